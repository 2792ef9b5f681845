"""Every moment of a step belongs to one span or to a gap, on the host and on a device."""

from pathlib import Path
from typing import Any

import pytest

from perflib.errors import DataError
from perflib.profiling.attribution import Attribution, attribute, uncovered_sec
from perflib.profiling.trace import read_trace
from tests.small_traces import event, opened, step, write


def _attribute(tmp_path: Path, events: list[dict[str, Any]], *, device: str = "cpu") -> Attribution:
    return attribute(read_trace(write(tmp_path / "a.json", events)), device=device)


def _own_us(found: Attribution) -> dict[str, float]:
    return {str(name): round(1e6 * sec, 6) for name, sec in found.spans.groupby("name")["self_sec"].sum().items()}


def test_own_time_is_without_what_is_called(tmp_path: Path) -> None:
    """Nested spans share their time out, and own times and gaps add up to the step."""
    found = _attribute(
        tmp_path,
        [
            step(1, 0, 100),
            event("outer", 10, 50),
            event("inner", 20, 20),
            event("inmost", 25, 5),
            event("next", 70, 10),
        ],
    )

    assert _own_us(found) == {"outer": 30, "inner": 15, "inmost": 5, "next": 10}
    assert found.gap_sec == pytest.approx(40e-6)
    assert found.step_sec == pytest.approx(100e-6)
    assert found.spans["self_sec"].sum() + found.gap_sec == pytest.approx(found.step_sec)
    assert found.spans["depth"].tolist() == [0, 1, 2, 0]


def test_an_operator_runs_for_the_innermost_module_around_it(tmp_path: Path) -> None:
    """Also where other operators lie between them; outside of every module it runs for none."""
    found = _attribute(
        tmp_path,
        [
            step(1, 0, 100),
            opened("module:a", 0, 60),
            opened("module:a.b", 10, 30),
            event("linear", 12, 20),
            event("addmm", 14, 10),
            event("add", 45, 5),
            event("softmax", 80, 5),
        ],
    )
    modules = dict(zip(found.spans["name"], found.spans["module"], strict=True))

    assert modules == {
        "module:a": "a",
        "module:a.b": "a.b",
        "linear": "a.b",
        "addmm": "a.b",
        "add": "a",
        "softmax": "",
    }
    assert found.spans.set_index("name")["is_range"].to_dict() == {name: name.startswith("module:") for name in modules}


def test_a_child_that_ends_a_moment_after_its_parent_takes_nothing_away_from_it(tmp_path: Path) -> None:
    """The profiler rounds; no own time is negative."""
    found = _attribute(tmp_path, [step(1, 0, 100), event("outer", 10, 10), event("inner", 10.001, 10.001)])

    assert _own_us(found)["outer"] == pytest.approx(0.001)
    assert (found.spans["self_sec"] >= 0).all()


def test_only_active_steps_on_their_own_thread_count(tmp_path: Path) -> None:
    """What ran before the first step, on another thread, or on Python's own line is left out."""
    found = _attribute(
        tmp_path,
        [
            event("early", 0, 5),
            step(1, 10, 20),
            step(2, 40, 20),
            event("mine", 12, 5),
            event("mine", 42, 7),
            event("worker", 12, 9, tid=2),
            event("between", 31, 5),
            event("frame", 12, 9, cat="python_function"),
        ],
    )

    assert _own_us(found) == {"mine": 12}
    assert found.gap_sec == pytest.approx(28e-6)


def test_on_cuda_an_operator_has_the_time_of_the_kernels_that_it_launched(tmp_path: Path) -> None:
    """Host time is not device time; what calls an operator has its kernels too; idle is when no kernel ran."""
    found = _attribute(
        tmp_path,
        [
            step(1, 0, 100),
            event("linear", 5, 30, external_id=1),
            event("addmm", 10, 20, external_id=2),
            event("cudaLaunchKernel", 12, 3, cat="cuda_runtime", external_id=2),
            event("add", 40, 10, external_id=3),
            event("gemm", 20, 40, cat="kernel", tid=7, external_id=2),
            event("vec", 50, 30, cat="kernel", tid=8, external_id=3),
        ],
        device="cuda",
    )
    total_us = {name: round(1e6 * sec, 6) for name, sec in found.spans.set_index("name")["total_sec"].items()}

    assert _own_us(found) == {"linear": 0, "addmm": 40, "cudaLaunchKernel": 0, "add": 30}
    assert (total_us["linear"], total_us["addmm"]) == (40, 40)
    # Kernels of two streams overlap from 50 to 60: the device was busy from 20 to 80.
    assert found.gap_sec == pytest.approx(40e-6)


def test_a_trace_without_steps_or_with_steps_of_two_threads_is_refused(tmp_path: Path) -> None:
    """Nobody could say which moments are meant."""
    with pytest.raises(DataError, match="no step marks"):
        _attribute(tmp_path, [event("x", 0, 1)])
    with pytest.raises(DataError, match="steps on 2 threads"):
        _attribute(tmp_path, [step(1, 0, 1), step(2, 2, 1, tid=2)])


@pytest.mark.parametrize(
    ("starts", "ends", "gap"),
    [
        ([], [], 4.0),
        ([0.0], [4.0], 0.0),
        ([1.0, 1.0], [2.0, 3.0], 2.0),
        ([3.0, 0.0], [9.0, 1.0], 2.0),
        ([5.0], [6.0], 4.0),
    ],
)
def test_gaps_are_what_no_interval_covers(starts: list[float], ends: list[float], gap: float) -> None:
    """Overlaps count once, order does not matter, and what lies outside is not counted."""
    assert uncovered_sec(starts, ends, 0.0, 4.0) == gap
