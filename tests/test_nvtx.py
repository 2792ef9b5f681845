"""Ranges: named where CUDA is used, nothing where it is not."""

import subprocess
import sys
from types import SimpleNamespace

import pytest

from perflib.nvtx import RANGE_PREFIX, named_range, range_name


class FakeTorch:
    """Keeps a diary of the ranges; ``is_initialized`` as told."""

    def __init__(self, *, is_initialized: bool) -> None:
        self.diary: list[str] = []
        self.cuda = SimpleNamespace(
            is_initialized=lambda: is_initialized,
            nvtx=SimpleNamespace(
                range_push=lambda name: self.diary.append(f"push {name}"), range_pop=lambda: self.diary.append("pop")
            ),
        )


def test_a_range_is_opened_and_closed_where_cuda_was_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """The name arrives as it is, braces too, and the inner range closes first."""
    torch = FakeTorch(is_initialized=True)
    monkeypatch.setitem(sys.modules, "torch", torch)

    with named_range("outer {0}"), named_range("inner"):
        torch.diary.append("work")

    assert torch.diary == ["push outer {0}", "push inner", "work", "pop", "pop"]


def test_a_range_closes_when_the_work_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    """A range left open would swallow everything after it."""
    torch = FakeTorch(is_initialized=True)
    monkeypatch.setitem(sys.modules, "torch", torch)

    with pytest.raises(ValueError, match="broken"), named_range("work"):
        raise ValueError("broken")

    assert torch.diary == ["push work", "pop"]


def test_nothing_happens_where_cuda_was_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a CPU it is the same empty context every time, also within itself."""
    torch = FakeTorch(is_initialized=False)
    monkeypatch.setitem(sys.modules, "torch", torch)

    with named_range("work") as outer, named_range("work") as inner:
        assert outer is inner is None

    assert torch.diary == []
    assert named_range("a") is named_range("b")


def test_torch_is_not_imported_for_a_range() -> None:
    """A worker of another engine must not load torch."""
    code = (
        "import sys\nfrom perflib.nvtx import named_range\nwith named_range('a'): pass\nprint('torch' in sys.modules)"
    )
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert answer.stdout == "False\n"


@pytest.mark.parametrize("scenario", ["single", "offline", "server"])
def test_names_hold_nothing_that_ncu_reads_as_grammar(scenario: str) -> None:
    """Slashes, brackets, stars, plus signs, at signs and commas mean something in its filters."""
    assert range_name(scenario).startswith(RANGE_PREFIX)
    assert set("/[]*+@,") & set(range_name(scenario)) == set()
