"""
Show a run's progress: a bar of steps on a terminal, plain lines in CI.

Notebooks under the pipeline write what they are doing to a small file; a thread reads it twice a second.
"""

import contextlib
import os
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from perflib import units
from perflib.progress import PROGRESS_FILE

_READ_EVERY_SEC = 0.5
_LINE_EVERY_SEC = 20.0


class Watch:
    """The steps of one run, and what the present one is doing."""

    def __init__(self, step_count: int, *, stream: Any = None, clock: Callable[[], float] = time.monotonic) -> None:
        self._stream, self._clock = stream if stream is not None else sys.stderr, clock
        self._bar: Any = None
        if getattr(self._stream, "isatty", lambda: False)() and not os.environ.get("CI"):
            from tqdm import tqdm

            self._bar = tqdm(
                total=step_count,
                file=self._stream,
                dynamic_ncols=True,
                bar_format="{n_fmt}/{total_fmt} {bar:20} {desc} [{elapsed}]",
            )

    def line(self, text: str) -> None:
        """Write one line, above the bar if there is one."""
        if self._bar is not None:
            self._bar.write(text, file=self._stream)
        else:
            print(text, file=self._stream, flush=True)

    @contextlib.contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Show what happens inside one step, and how long it took."""
        start_sec = self._clock()
        with tempfile.TemporaryDirectory(prefix="perflib-") as folder:
            file = Path(folder) / "progress.txt"
            before = os.environ.get(PROGRESS_FILE)
            os.environ[PROGRESS_FILE] = str(file)
            ended = threading.Event()
            reader = threading.Thread(target=self._follow, args=(name, file, ended), daemon=True)
            reader.start()
            try:
                yield
            finally:
                ended.set()
                reader.join()
                os.environ.pop(PROGRESS_FILE)
                if before is not None:
                    os.environ[PROGRESS_FILE] = before
        if self._bar is not None:
            self._bar.update(1)
        self.line(f"{name}: {units.duration(self._clock() - start_sec)}")

    def close(self) -> None:
        """Take the bar away."""
        if self._bar is not None:
            self._bar.close()

    def _follow(self, name: str, file: Path, ended: threading.Event) -> None:
        shown, shown_sec = "", self._clock()
        while not ended.wait(_READ_EVERY_SEC):
            try:
                text = file.read_text(encoding="utf-8")
            except OSError:
                text = ""
            if self._bar is not None:
                self._bar.set_description_str(f"{name} · {text}" if text else name)
            elif text and text != shown and self._clock() - shown_sec >= _LINE_EVERY_SEC:
                shown, shown_sec = text, self._clock()
                self.line(f"{name} · {text}")
