"""Progress: a bar for people, sparse lines for logs, a file for the pipeline."""

import io
import sys
from pathlib import Path
from typing import Any

import pytest

from perflib.progress import PROGRESS_FILE, Progress


class Terminal(io.StringIO):
    """A stream that a bar can be drawn on."""

    def isatty(self) -> bool:
        """Say yes."""
        return True


@pytest.fixture(autouse=True)
def _outside_notebooks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(PROGRESS_FILE, raising=False)
    monkeypatch.delitem(sys.modules, "ipykernel", raising=False)


@pytest.fixture
def bars(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Collect the bars instead of drawing them."""
    made: list[Any] = []

    class Bar:
        def __init__(self, **options: Any) -> None:
            self.options, self.count, self.note, self.is_closed = options, 0, "", False
            made.append(self)

        def set_postfix_str(self, note: str, *, refresh: bool) -> None:
            self.note = note

        def update(self, count: int) -> None:
            self.count += count

        def close(self) -> None:
            self.is_closed = True

    monkeypatch.setattr("tqdm.tqdm", Bar)
    return made


def test_a_log_gets_a_line_every_ten_seconds_and_a_last_one() -> None:
    """A thousand steps do not make a thousand lines."""
    now_sec, stream = [0.0], io.StringIO()
    with Progress("timing", 5, clock=lambda: now_sec[0], stream=stream) as progress:
        for at_sec in (1.0, 9.9, 10.0, 15.0, 16.0):
            now_sec[0] = at_sec
            progress.step("life")

    assert stream.getvalue().splitlines() == ["timing: 3 of 5 · life", "timing: 5 of 5 · life"]


def test_a_step_can_count_many() -> None:
    """A batch is reported as its number of examples."""
    stream = io.StringIO()
    with Progress("predicting", 64, clock=lambda: 0.0, stream=stream) as progress:
        progress.step(count=32)
        progress.step(count=32)

    assert stream.getvalue() == "predicting: 64 of 64\n"


def test_under_the_pipeline_progress_goes_to_the_file_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each step replaces the text in the file; nothing is printed, even on a terminal."""
    path, stream = tmp_path / "progress.txt", Terminal()
    monkeypatch.setenv(PROGRESS_FILE, str(path))
    with Progress("building", 3, clock=lambda: 0.0, stream=stream) as progress:
        progress.step("int8")
        progress.step("bf16")

    assert path.read_text() == "building: 2 of 3 · bf16"
    assert stream.getvalue() == ""


def test_a_terminal_gets_a_bar_that_is_closed_even_after_an_error(bars: list[Any]) -> None:
    """The bar counts steps, shows the note, prints no lines and is always closed."""
    stream = Terminal()

    def work() -> None:
        with Progress("timing", 4, stream=stream) as progress:
            progress.step("A", count=3)
            raise RuntimeError("stop")

    with pytest.raises(RuntimeError, match="stop"):
        work()

    (bar,) = bars
    assert (bar.count, bar.note, bar.is_closed) == (3, "A", True)
    assert bar.options["total"] == 4
    assert stream.getvalue() == ""


def test_a_notebook_gets_a_bar_but_not_in_ci(bars: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """A notebook that a person has open can draw; one that a robot runs cannot."""
    monkeypatch.setitem(sys.modules, "ipykernel", sys)
    monkeypatch.delenv("CI", raising=False)
    with Progress("timing", 1, stream=io.StringIO()):
        pass
    monkeypatch.setenv("CI", "true")
    with Progress("timing", 1, stream=io.StringIO()):
        pass

    assert len(bars) == 1
