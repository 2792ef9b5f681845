"""Progress is plain lines in CI, a bar on a terminal, and never in the way of the run."""

import io
import os
from pathlib import Path
from typing import Any

import pytest

from perflib.pipeline.watch import Watch
from perflib.progress import PROGRESS_FILE


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        """Say so."""
        return True


class Rounds:
    """An event that lets a loop go round a number of times."""

    def __init__(self, count: int) -> None:
        self.count = count

    def wait(self, timeout: float) -> bool:
        """Count down instead of waiting."""
        self.count -= 1
        return self.count < 0


def follow(stream: Any, file: Path, *, ticks_sec: list[float]) -> str:
    """Let a watch read a progress file, once per tick after the first, and return what was shown."""
    ticks = iter(ticks_sec)
    watch = Watch(1, stream=stream, clock=lambda: next(ticks))
    rounds: Any = Rounds(len(ticks_sec) - 1)
    watch._follow("int8", file, rounds)
    watch.close()
    return str(stream.getvalue())


def test_a_step_is_one_line_with_its_duration() -> None:
    """In CI a reader sees what ended, and how long it took."""
    ticks = iter([0.0, 0.0, 95.0])
    stream = io.StringIO()
    watch = Watch(1, stream=stream, clock=ticks.__next__)
    with watch.step("baseline"):
        assert os.environ[PROGRESS_FILE]
    watch.line("done")
    watch.close()

    assert stream.getvalue().splitlines()[0].startswith("baseline: ")
    assert stream.getvalue().splitlines()[1:] == ["done"]


@pytest.mark.parametrize("before", [None, "/somewhere/else"])
def test_the_variable_is_put_back(before: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also after an error, which is not hidden; and no line says that the step was done."""
    monkeypatch.delenv(PROGRESS_FILE, raising=False)
    if before is not None:
        monkeypatch.setenv(PROGRESS_FILE, before)
    stream = io.StringIO()
    with pytest.raises(ZeroDivisionError), Watch(1, stream=stream).step("baseline"):
        raise ZeroDivisionError

    assert os.environ.get(PROGRESS_FILE) == before
    assert stream.getvalue() == ""


def test_in_ci_news_is_told_now_and_then(tmp_path: Path) -> None:
    """A line every twenty seconds at most, and only where something changed."""
    (tmp_path / "progress.txt").write_text("life 1 of 5")
    shown = follow(io.StringIO(), tmp_path / "progress.txt", ticks_sec=[0.0, 5.0, 25.0, 25.0])

    assert shown == "int8 · life 1 of 5\n"


def test_without_news_nothing_is_told(tmp_path: Path) -> None:
    """A notebook that has not written yet is no error."""
    assert follow(io.StringIO(), tmp_path / "progress.txt", ticks_sec=[0.0, 30.0]) == ""


def test_on_a_terminal_there_is_a_bar(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The bar says which step it is and what it is doing."""
    monkeypatch.delenv("CI", raising=False)
    (tmp_path / "progress.txt").write_text("life 1 of 5")

    assert "int8 · life 1 of 5" in follow(Terminal(), tmp_path / "progress.txt", ticks_sec=[0.0, 1.0])


def test_a_terminal_in_ci_gets_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hosted logs keep every redraw of a bar."""
    monkeypatch.setenv("CI", "true")
    stream = Terminal()
    watch = Watch(1, stream=stream)
    watch.line("run /somewhere")
    watch.close()

    assert stream.getvalue() == "run /somewhere\n"
