"""Ceilings: the best of several by a fake clock, the roofline by hand, one real measurement that compares nothing."""

import math
from collections.abc import Callable

import pytest
import torch

from perflib.errors import MeasurementError, ParameterError
from perflib.profiling import attainable_sec, ceilings, measure_ceilings
from perflib.results import Ceilings

PEAKS = Ceilings(
    thread_count=1, fp32_flop_per_sec=100.0, bf16_flop_per_sec=None, int8_op_per_sec=400.0, copy_bytes_per_sec=10.0
)


class FakeMachine:
    """Multiplies n × n matrices at a rate by moving its own clock; each call may be disturbed by a factor."""

    def __init__(self, op_per_sec: float, *, disturbances: tuple[float, ...] = (1.0,)) -> None:
        self.now_sec, self.op_per_sec, self.disturbances = 0.0, op_per_sec, disturbances
        self.sides: list[int] = []

    def clock(self) -> float:
        """Return the time of the fake."""
        return self.now_sec

    def make_product(self, side: int) -> Callable[[], None]:
        """Return a call that takes as long as the rate says."""

        def call() -> None:
            self.now_sec += 2 * side**3 / self.op_per_sec * self.disturbances[len(self.sides) % len(self.disturbances)]
            self.sides.append(side)

        return call


def test_the_best_call_counts() -> None:
    """Disturbances only slow a call down, so the fastest is the ceiling."""
    fake = FakeMachine(1e6, disturbances=(5.0, 3.0, 1.0, 2.0))
    rate = ceilings.best_product_rate(fake.make_product, side_counts=(10,), budget_sec=1.0, clock=fake.clock)

    assert rate == pytest.approx(1e6)


def test_a_size_that_would_take_too_long_is_not_tried() -> None:
    """A slow machine stops at the size that fits its budget; a fast one goes on."""
    slow, fast = FakeMachine(1e6), FakeMachine(1e7)
    for fake in (slow, fast):
        ceilings.best_product_rate(fake.make_product, side_counts=(10, 20, 30), budget_sec=0.3, clock=fake.clock)

    assert set(slow.sides) == {10, 20}
    assert set(fast.sides) == {10, 20, 30}
    assert slow.now_sec < 0.5


def test_a_product_that_torch_refuses_is_unknown() -> None:
    """No path is None, never zero."""

    def make_product(side: int) -> Callable[[], object]:
        raise NotImplementedError(f"no kernel for {side}")

    assert ceilings.best_product_rate(make_product, budget_sec=1.0) is None


def test_at_least_three_calls_are_made_however_small_the_budget() -> None:
    """The best of one is no best."""
    fake = FakeMachine(1e6)
    ceilings.shortest_sec(fake.make_product(10), budget_sec=1e-9, clock=fake.clock)

    assert fake.sides == [10, 10, 10]


def test_a_clock_that_stands_still_is_refused() -> None:
    """No time passed means no rate, in one sentence instead of a division by zero or an endless loop."""
    with pytest.raises(MeasurementError, match="finer clock"):
        ceilings.shortest_sec(lambda: None, budget_sec=1.0, clock=lambda: 7.0)


def test_the_copied_arrays_are_larger_than_the_cache_and_fit_the_memory() -> None:
    """Twice the cache, within bounds that a small machine can afford."""
    gib = 2**30

    assert ceilings.copy_array_bytes(cache_bytes=384 * 2**20, memory_bytes=64 * gib) == 768 * 2**20
    assert ceilings.copy_array_bytes(cache_bytes=0, memory_bytes=64 * gib) == 256 * 2**20
    assert ceilings.copy_array_bytes(cache_bytes=4 * gib, memory_bytes=64 * gib) == gib
    assert ceilings.copy_array_bytes(cache_bytes=0, memory_bytes=gib) == gib // 8


@pytest.mark.parametrize(("flop_count", "moved_bytes", "expected_sec"), [(200, 10, 2.0), (200, 50, 5.0), (0, 0, 0.0)])
def test_the_roofline_is_the_larger_of_compute_and_memory(
    flop_count: float, moved_bytes: float, expected_sec: float
) -> None:
    """Whichever takes longer hides the other."""
    assert attainable_sec(flop_count, moved_bytes, PEAKS, "fp32") == expected_sec


@pytest.mark.parametrize(("precision", "words"), [("int9", "did you mean `int8`"), ("bf16", "no bf16 product")])
def test_a_precision_without_a_ceiling_is_refused(precision: str, words: str) -> None:
    """Unknown and unmeasured are told apart."""
    with pytest.raises(ParameterError, match=words):
        attainable_sec(1, 1, PEAKS, precision)


def test_negative_counts_are_refused() -> None:
    """A negative time is no ceiling."""
    with pytest.raises(ParameterError, match="negative"):
        attainable_sec(-1, 1, PEAKS, "fp32")


def test_a_real_measurement_gives_finite_positive_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every path runs here within a tiny budget, and torch's threads are as they were."""
    monkeypatch.setattr(ceilings, "SIDE_COUNTS", (128,))
    monkeypatch.setattr(ceilings, "_MIN_COPY_BYTES", 2**20)
    monkeypatch.setattr(ceilings, "_MAX_COPY_BYTES", 2**24)
    before = torch.get_num_threads()
    found = measure_ceilings(thread_count=1, budget_sec=0.04)
    rates = [
        found.fp32_flop_per_sec,
        found.bf16_flop_per_sec,
        found.int8_op_per_sec,
        found.copy_bytes_per_sec,
    ]

    assert all(rate is None or (math.isfinite(rate) and rate > 0) for rate in rates)
    assert found.thread_count == 1
    assert torch.get_num_threads() == before
    assert Ceilings.from_dict(found.to_dict()) == found


@pytest.mark.parametrize("wrong", [{"thread_count": 0}, {"budget_sec": 0.0}])
def test_no_threads_or_no_time_is_refused(wrong: dict[str, float]) -> None:
    """A measurement needs both."""
    with pytest.raises(ParameterError, match="must be above 0"):
        measure_ceilings(**wrong)  # type: ignore[arg-type]
