"""Timers: the clock that counts, what happens before it starts, and a clock that cannot be trusted."""

import functools
import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from perflib import machine
from perflib.benchmarking import timers
from perflib.benchmarking.timers import CpuTimer, CudaTimer, allocate_offset, open_timer
from perflib.errors import MeasurementError, ParameterError, SetupError


def _clock(*readings_ns: int) -> Callable[[], int]:
    """Return a clock that reads these values one after the other."""
    left = iter(readings_ns)
    return lambda: next(left)


class FakeTorch:
    """A torch that keeps a diary; its second event is ``elapsed_ms`` after its first."""

    uint8 = "uint8"

    def __init__(self, *, l2_bytes: int | None = 50 * 2**20, elapsed_ms: float = 1.5, is_there: bool = True) -> None:
        self.diary: list[str] = []
        self.sizes_bytes: list[int] = []
        properties = SimpleNamespace() if l2_bytes is None else SimpleNamespace(L2_cache_size=l2_bytes)
        events = iter(("start", "end"))
        self.cuda = SimpleNamespace(
            is_available=lambda: is_there,
            current_device=lambda: 0,
            get_device_properties=lambda index: properties,
            synchronize=lambda: self.diary.append("synchronise"),
            Event=lambda *, enable_timing: self._event(next(events), elapsed_ms),
        )

    def _event(self, name: str, elapsed_ms: float) -> SimpleNamespace:
        def elapsed_time(other: SimpleNamespace) -> float:
            assert (name, other.name) == ("start", "end")
            return elapsed_ms

        return SimpleNamespace(name=name, record=lambda: self.diary.append(name), elapsed_time=elapsed_time)

    def empty(self, size_bytes: int, *, dtype: str, device: str) -> SimpleNamespace:
        """Note the size of a buffer, which notes when it is written."""
        assert (dtype, device) == ("uint8", "cuda")
        self.sizes_bytes.append(size_bytes)
        return SimpleNamespace(zero_=lambda: self.diary.append("flush"))


def test_the_host_clock_is_read_around_the_call() -> None:
    """Nothing but the call lies between the two readings."""
    diary: list[str] = []

    def clock_ns() -> int:
        diary.append("clock")
        return 1_000_000_000 * len(diary)

    assert CpuTimer(clock_ns).time(lambda: diary.append("call")) == pytest.approx(2.0)
    assert diary == ["clock", "call", "clock"]


@pytest.mark.parametrize("end_ns", [500, 499])
def test_a_clock_that_does_not_run_forwards_is_refused(end_ns: int) -> None:
    """A duration of zero or less is no measurement, and the message has both readings."""
    with pytest.raises(MeasurementError, match=rf"500 ns before a call and {end_ns} ns after"):
        CpuTimer(_clock(500, end_ns)).time(lambda: None)


def test_the_real_clock_sees_a_real_wait() -> None:
    """Without a fake the timer is the performance counter."""
    assert open_timer("cpu").time(lambda: time.sleep(0.002)) >= 0.0019


def test_an_error_of_the_call_is_its_own() -> None:
    """A timer hides nothing that goes wrong in what it times."""

    def broken() -> None:
        raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        CpuTimer().time(broken)


def test_cuda_flushes_and_waits_before_every_call() -> None:
    """The flush has ended before the first event, and the second one has happened before it is read."""
    fake = FakeTorch()
    timer = CudaTimer(torch_module=fake)

    elapsed_sec = [timer.time(lambda: fake.diary.append("call")) for _ in range(2)]

    assert elapsed_sec == pytest.approx([0.0015, 0.0015])
    assert fake.diary == ["flush", "synchronise", "start", "call", "end", "synchronise"] * 2


@pytest.mark.parametrize("elapsed_ms", [0.0, -0.25])
def test_a_gpu_clock_that_does_not_run_forwards_is_refused(elapsed_ms: float) -> None:
    """Events that are no time apart are no measurement."""
    with pytest.raises(MeasurementError, match=f"{elapsed_ms} ms apart"):
        CudaTimer(torch_module=FakeTorch(elapsed_ms=elapsed_ms)).time(lambda: None)


@pytest.mark.parametrize(
    ("l2_bytes", "buffer_bytes"), [(50 * 2**20, 100 * 2**20), (None, 128 * 2**20), (0, 128 * 2**20)]
)
def test_the_flush_is_twice_the_cache(l2_bytes: int | None, buffer_bytes: int) -> None:
    """An unknown cache counts as 64 MiB, and the timer says what it holds."""
    fake = FakeTorch(l2_bytes=l2_bytes)

    assert CudaTimer(torch_module=fake).held_bytes == buffer_bytes
    assert fake.sizes_bytes == [buffer_bytes]


@pytest.mark.parametrize(
    "use", [lambda fake: CudaTimer(torch_module=fake), lambda fake: allocate_offset(1, torch_module=fake)]
)
def test_without_cuda_the_reader_is_told_so(use: Callable[[FakeTorch], Any]) -> None:
    """The driver's own error would name a library, not what to do."""
    with pytest.raises(SetupError, match="use device: cpu"):
        use(FakeTorch(is_there=False))


def test_a_device_has_its_timer() -> None:
    """A name that is no device gets a suggestion, not the host's clock."""
    assert isinstance(open_timer("cpu"), CpuTimer)
    with pytest.raises(ParameterError, match="did you mean `cuda`"):
        open_timer("cudaa")


def test_an_offset_is_what_its_seed_says_and_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same seed takes the same bytes, other seeds take others, all within 2 MiB and held by the process."""
    held: list[object] = []
    monkeypatch.setattr(timers, "_held", held)
    fake = FakeTorch()

    offsets_bytes = [allocate_offset(seed, torch_module=fake) for seed in (*range(200), 0)]

    assert offsets_bytes == fake.sizes_bytes
    assert offsets_bytes[-1] == offsets_bytes[0]
    assert len(set(offsets_bytes)) > 150
    assert min(offsets_bytes) < 0.1 * 2**20
    assert 1.9 * 2**20 < max(offsets_bytes) <= 2 * 2**20
    assert {offset_bytes % 512 for offset_bytes in offsets_bytes} == {0}
    assert len(held) == len(offsets_bytes)


def test_a_real_gpu_takes_longer_for_more_work() -> None:
    """Ten times the cycles take about ten times as long, and the flush covers the cache twice."""
    if not machine.has_cuda():
        pytest.skip("torch sees no CUDA device here")
    import torch

    timer = CudaTimer()
    calls = [functools.partial(torch.cuda._sleep, cycles_count) for cycles_count in (20_000_000, 200_000_000)]
    for call in calls:  # the first calls wake the GPU
        timer.time(call)
    short_sec, long_sec = (timer.time(call) for call in calls)

    assert 5 < long_sec / short_sec < 20
    assert timer.held_bytes >= 2 * torch.cuda.get_device_properties(0).L2_cache_size


def test_a_real_offset_takes_device_memory() -> None:
    """Torch counts it as allocated from then on."""
    if not machine.has_cuda():
        pytest.skip("torch sees no CUDA device here")
    import torch

    before_bytes = torch.cuda.memory_allocated()
    offset_bytes = allocate_offset(5)

    assert torch.cuda.memory_allocated() - before_bytes == offset_bytes
