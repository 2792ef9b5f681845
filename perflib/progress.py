"""
Progress of long work: a bar on a terminal, a plain line in CI, a small file under the pipeline.

A notebook that runs under the pipeline has no terminal; it writes its progress to the file named in
``PERFLIB_PROGRESS_FILE``, and the pipeline, which has one, shows it.
"""

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

LINE_EVERY_SEC = 10.0
PROGRESS_FILE = "PERFLIB_PROGRESS_FILE"


class Progress:
    """
    Count steps of one long task; use it as a context manager.

    Args:
        label: What is being done, in two or three words.
        total_count: How many steps there are.
        clock: Monotonic seconds; tests pass their own.
        stream: Where plain lines go.
    """

    def __init__(
        self,
        label: str,
        total_count: int,
        *,
        clock: Callable[[], float] = time.monotonic,
        stream: Any = None,
    ) -> None:
        self.label, self.total_count, self.done_count = label, total_count, 0
        self._clock, self._stream = clock, stream if stream is not None else sys.stderr
        self._file = os.environ.get(PROGRESS_FILE)
        self._bar: Any = None
        self._last_line_sec = clock()

    def __enter__(self) -> Self:
        if not self._file and _can_draw(self._stream):
            from tqdm import tqdm

            # In a notebook the bar goes away when the work is done; the sentence after it says what came out.
            self._bar = tqdm(total=self.total_count, desc=self.label, leave="ipykernel" not in sys.modules, ncols=100)
        return self

    def step(self, note: str = "", *, count: int = 1) -> None:
        """Say that ``count`` more steps are done, with a short note."""
        self.done_count += count
        if self._bar is not None:
            self._bar.set_postfix_str(note, refresh=False)
            self._bar.update(count)
            return
        text = f"{self.label}: {self.done_count} of {self.total_count}{f' · {note}' if note else ''}"
        if self._file:
            # Not atomic on purpose: it is only ever shown, and a torn line is drawn over a moment later.
            Path(self._file).write_text(text, encoding="utf-8")
        elif self._clock() - self._last_line_sec >= LINE_EVERY_SEC or self.done_count >= self.total_count:
            self._last_line_sec = self._clock()
            print(text, file=self._stream, flush=True)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.close()


def _can_draw(stream: Any) -> bool:
    """Say whether a moving bar can be drawn: a terminal, or a notebook that a person has open."""
    if "ipykernel" in sys.modules:
        return not os.environ.get("CI")
    return bool(getattr(stream, "isatty", lambda: False)())
