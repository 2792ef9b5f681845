"""A trace in a few numbers: they add up to the step, and nothing is counted twice."""

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from perflib.errors import MeasurementError
from perflib.profiling.attribution import attribute
from perflib.profiling.digest import MAX_POINT_COUNT, Digest, digest, kind_times, memory_curve
from perflib.profiling.trace import Trace, read_trace
from tests.small_traces import allocation, event, opened, step, write

_US = 1e-6


def _events() -> list[dict[str, Any]]:
    return [
        step(1, 0, 100),
        opened("call", 0, 90),
        opened("module:m", 5, 80),
        opened("module:m.a", 10, 50),
        event("aten::linear", 12, 40),
        event("aten::addmm", 14, 30, dims=[[4], [2, 3], [3, 4]]),
        event("aten::gelu", 62, 10, dims=[[2, 4]]),
        step(2, 100, 50),
        event("aten::addmm", 110, 20, dims=[[4], [2, 3], [3, 4]]),
    ]


def _digest(tmp_path: Path, *, wall_sec: float = 150 * _US, **options: Any) -> Digest:
    return digest(attribute(read_trace(write(tmp_path / "a.json", _events()))), wall_sec=wall_sec, **options)


def test_kinds_are_the_whole_step(tmp_path: Path) -> None:
    """Operators by kind, Python between them as framework, gaps as idle: together the wall time."""
    found = {one.kind: one.self_sec / _US for one in _digest(tmp_path).kinds}

    # Framework: 10 of linear itself, 10 of m.a, 20 of m, 10 of the call.
    assert found == pytest.approx({"matrix": 50, "elementwise": 10, "framework": 50, "idle": 40})
    assert sum(one.share_ratio for one in _digest(tmp_path).kinds) == pytest.approx(1)


def test_what_the_clock_saw_beyond_the_trace_is_shown_as_unattributed(tmp_path: Path) -> None:
    """It is not given to anybody."""
    found = {one.kind: one.share_ratio for one in _digest(tmp_path, wall_sec=200 * _US).kinds}

    assert found["unattributed"] == pytest.approx(0.25)
    assert found["idle"] == pytest.approx(0.2)


def test_in_a_compiled_model_a_calls_own_time_is_that_of_fused_kernels(tmp_path: Path) -> None:
    """Its kernels have no names in the trace; calling them Python would be wrong."""
    found = {one.kind: one.self_sec / _US for one in _digest(tmp_path, is_compiled=True).kinds}

    assert found["fused"] == pytest.approx(40)
    assert found["framework"] == pytest.approx(10)


def test_operators_and_shapes_are_summed_over_the_steps(tmp_path: Path) -> None:
    """Calls, time, FLOPs and bytes; dispatch has no line among the shapes."""
    found = _digest(tmp_path)
    addmm = found.operators[0]

    assert (addmm.operator, addmm.kind, addmm.call_count, addmm.flop_count) == ("aten::addmm", "matrix", 2, 96)
    assert addmm.self_sec == pytest.approx(50 * _US)
    assert addmm.self_share_ratio == pytest.approx(50 / 70)
    assert addmm.moved_bytes == 2 * 4 * (4 + 6 + 12 + 8)
    assert sum(one.self_share_ratio for one in found.operators) == pytest.approx(1)
    assert [(one.operator, one.precision, one.call_count) for one in found.shapes] == [
        ("aten::addmm", "fp32", 2),
        ("aten::gelu", "fp32", 1),
    ]


def test_a_module_has_what_ran_for_it_and_for_none_of_its_children(tmp_path: Path) -> None:
    """The total of a module is with its children."""
    found = {one.module: (one.call_count, one.self_sec / _US, one.total_sec / _US) for one in _digest(tmp_path).modules}

    assert found["m"] == pytest.approx((1, 30, 80))
    assert found["m.a"] == pytest.approx((1, 50, 50))


def test_a_trace_without_time_is_refused(tmp_path: Path) -> None:
    """Shares of nothing are not written as NaN."""
    path = write(tmp_path / "a.json", [step(1, 0, 10), event("aten::mm", 1, 0)])

    with pytest.raises(MeasurementError, match="saw 1 operators that took no time"):
        digest(attribute(read_trace(path)), wall_sec=1.0)


def test_parts_that_exceed_the_clock_are_shares_of_their_sum() -> None:
    """Rounding can do that; shares above one would be nonsense."""
    found = kind_times({"matrix": 3.0, "idle": 2.0, "other": 0.0}, 4.0)

    assert [(one.kind, one.share_ratio) for one in found] == [("matrix", 0.6), ("idle", 0.4)]


def _memory(tmp_path: Path, events: list[dict[str, Any]]) -> Trace:
    return read_trace(write(tmp_path / "a.json", [step(1, 100, 1000), *events]))


def test_memory_is_that_of_the_active_steps_on_their_device(tmp_path: Path) -> None:
    """What was given out before the first step, or on another device, is not on the curve."""
    events = [allocation(100, 5), allocation(200, 70), allocation(300, 20), allocation(400, 999, device_type=1)]
    points, peak_bytes = memory_curve(_memory(tmp_path, events), device="cpu")

    assert [point.allocated_bytes for point in points] == [5, 70, 20]
    assert [point.at_sec for point in points] == pytest.approx([0, 100 * _US, 200 * _US])
    assert peak_bytes == 70
    assert memory_curve(_memory(tmp_path, []), device="cpu") == ((), None)


def test_a_long_memory_curve_is_thinned_and_keeps_its_peak(tmp_path: Path) -> None:
    """One point for every stretch, its highest."""
    events = [allocation(100 + at / 10, 10_000 if at == 4_321 else at % 7) for at in range(9_999)]
    points, peak_bytes = memory_curve(_memory(tmp_path, events), device="cpu")

    assert len(points) <= MAX_POINT_COUNT + 1
    assert peak_bytes == max(point.allocated_bytes for point in points) == 10_000


def test_a_digest_is_plain_data(tmp_path: Path) -> None:
    """Numbers of pandas would not be written as JSON."""
    for field in dataclasses.fields(Digest):
        for one in getattr(_digest(tmp_path), field.name):
            assert {type(value) for value in dataclasses.asdict(one).values()} <= {str, int, float}


def test_shapes_without_products_that_take_no_time_are_left_out(tmp_path: Path) -> None:
    """A record of every small operator would be long and say nothing; a product always counts."""
    events = [
        step(1, 0, 2000),
        event("aten::addmm", 0, 0.5, dims=[[4], [2, 3], [3, 4]]),
        event("aten::gelu", 10, 1000, dims=[[2, 4]]),
        event("aten::add", 1100, 0.9, dims=[[2, 4]]),
    ]
    found = digest(attribute(read_trace(write(tmp_path / "a.json", events))), wall_sec=2000 * _US)

    assert [one.operator for one in found.shapes] == ["aten::gelu", "aten::addmm"]
