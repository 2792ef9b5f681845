"""
How one call is timed on the device that it runs on: by the host's clock, or by the GPU's own.

A CUDA call starts with a cold L2 cache, because otherwise the same small input again and again is served from it, as no
user's input is. Events are stamped by the GPU when it gets there: the first one while nothing else is queued, the last
one after everything that the call has queued, so host work in between counts and waiting for the flush does not.
"""

import random
import time
from collections.abc import Callable
from typing import Any, Protocol

from perflib.errors import MeasurementError, ParameterError, SetupError, did_you_mean

# Where torch does not say how large the cache is; twice this is more than any GPU up to Hopper has.
_UNKNOWN_L2_BYTES = 64 * 2**20
_OFFSET_BYTES = 2 * 2**20
# torch's allocator rounds up to this, so finer offsets would not move anything.
_BLOCK_BYTES = 512
# What `allocate_offset` took: it lives as long as the process.
_held: list[object] = []


class Timer(Protocol):
    """Times one call; ``held_bytes`` is the device memory that the timer itself takes, to subtract from a peak."""

    held_bytes: int

    def time(self, call: Callable[[], object]) -> float:
        """Return the seconds that one call takes."""
        ...


class CpuTimer:
    """Times by the host's clock."""

    held_bytes = 0

    def __init__(self, clock_ns: Callable[[], int] = time.perf_counter_ns) -> None:
        self._clock_ns = clock_ns

    def time(self, call: Callable[[], object]) -> float:
        """
        Return the seconds that one call takes.

        Raises:
            MeasurementError: If the clock stood still or went backwards.

        Example:
            >>> ticks = iter([1_000, 26_000])
            >>> CpuTimer(lambda: next(ticks)).time(lambda: None)
            2.5e-05
        """
        start_ns = self._clock_ns()
        call()
        end_ns = self._clock_ns()
        if end_ns <= start_ns:
            raise MeasurementError(
                f"the clock read {start_ns} ns before a call and {end_ns} ns after it; time longer calls, or measure "
                "on a machine whose clock runs forwards."
            )
        return (end_ns - start_ns) / 1e9


class CudaTimer:
    """
    Times by CUDA events on the current stream, each call with a cold L2 cache.

    The call has to leave nothing running on other streams; one that returns its answer to the host does not.
    """

    def __init__(self, *, torch_module: Any = None) -> None:
        """
        Take the buffer that flushes the cache.

        Args:
            torch_module: What stands for torch; tests pass one that keeps a diary.

        Raises:
            SetupError: If torch sees no CUDA device.
        """
        self._torch = _cuda_torch(torch_module)
        properties = self._torch.cuda.get_device_properties(self._torch.cuda.current_device())
        # Twice: a cache that keeps lines by a hash, or in two halves, is not emptied by exactly its size.
        self.held_bytes = 2 * (getattr(properties, "L2_cache_size", 0) or _UNKNOWN_L2_BYTES)
        self._flush_buffer = self._torch.empty(self.held_bytes, dtype=self._torch.uint8, device="cuda")
        self._start = self._torch.cuda.Event(enable_timing=True)
        self._end = self._torch.cuda.Event(enable_timing=True)

    def time(self, call: Callable[[], object]) -> float:
        """
        Return the seconds that one call takes on the GPU's clock, host work of the call included.

        Raises:
            MeasurementError: If the GPU's clock stood still or went backwards.
        """
        self._flush_buffer.zero_()
        self._torch.cuda.synchronize()
        self._start.record()
        call()
        self._end.record()
        self._torch.cuda.synchronize()
        elapsed_ms = float(self._start.elapsed_time(self._end))
        if elapsed_ms <= 0:
            raise MeasurementError(
                f"the GPU's events are {elapsed_ms} ms apart; time longer calls, or measure on another GPU."
            )
        return elapsed_ms / 1e3


def open_timer(device: str) -> Timer:
    """
    Return the timer of a device.

    Args:
        device: ``cpu`` or ``cuda``.

    Raises:
        ParameterError: If the device is another one.
        SetupError: If torch sees no CUDA device.
    """
    if device == "cpu":
        return CpuTimer()
    if device == "cuda":
        return CudaTimer()
    raise ParameterError(f"device `{device}` has no timer; {did_you_mean(device, ('cpu', 'cuda'))}")


def allocate_offset(seed: int, *, torch_module: Any = None) -> int:
    """
    Take up to 2 MiB of CUDA memory for the rest of the process, so that buffers lie elsewhere in every life.

    Which addresses buffers get decides which cache sets and memory channels they share: one fixed layout would be
    measured again and again. Call it before a model is loaded. Torch keeps tensors above 1 MiB apart from smaller ones,
    so one offset moves the kind that it belongs to itself.

    Args:
        seed: Tossed for this process; the same seed takes the same.
        torch_module: What stands for torch in tests.

    Returns:
        The bytes taken.

    Raises:
        SetupError: If torch sees no CUDA device.
    """
    torch = _cuda_torch(torch_module)
    offset_bytes = _BLOCK_BYTES * random.Random(seed).randint(0, _OFFSET_BYTES // _BLOCK_BYTES)
    _held.append(torch.empty(offset_bytes, dtype=torch.uint8, device="cuda"))
    return offset_bytes


def _cuda_torch(torch_module: Any) -> Any:
    """Import torch only where CUDA is timed: an arm of another engine does not have to load it."""
    if torch_module is None:
        import torch

        torch_module = torch
    if not torch_module.cuda.is_available():
        raise SetupError("a call was to be timed on CUDA and torch sees no CUDA device; use device: cpu.")
    return torch_module
