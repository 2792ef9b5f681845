"""
What this processor could do at best, measured on the spot: matrix products per precision, and copying memory.

A model is a list of matrix products over weights that have to be fetched, so no engine can be faster than the larger of
FLOPs / peak rate and bytes / bandwidth (the roofline of Williams, Waterman and Patterson, 2009).
A ceiling is a maximum: the best of all repetitions and sizes counts, because disturbances only ever slow a call down.

    ceilings = measure_ceilings()
    floor_sec = attainable_sec(2 * 30e6 * 32, 90e6, ceilings, "fp32")
"""

import os
import time
from collections.abc import Callable, Sequence

import torch

from perflib import machine
from perflib.errors import MeasurementError, ParameterError, did_you_mean
from perflib.results import Ceilings

PRECISIONS = ("fp32", "bf16", "int8")
# Rows of square matrices. Peaks lie at the large end; the small end tells how long the next size will take.
SIDE_COUNTS = (512, 1024, 2048, 4096)
_REPEAT_COUNT = 3
_MIN_COPY_BYTES = 2**28
_MAX_COPY_BYTES = 2**30


def measure_ceilings(
    *,
    thread_count: int | None = None,
    budget_sec: float = 6.0,
    clock: Callable[[], float] = time.perf_counter,
) -> Ceilings:
    """
    Measure the peak rates of the processor, best of several.

    The bandwidth counts bytes read and bytes written, between two arrays far larger than the last-level cache;
    the cache lines that a store may fetch first are not counted, because not every processor fetches them.

    Args:
        thread_count: Threads of torch; None for all cores allotted.
        budget_sec: Time for the timed calls, shared evenly; every rate takes at least three, however small it is,
            and filling the arrays comes on top.
        clock: Monotonic clock in seconds; tests pass their own.

    Returns:
        Ceilings: Rates at fp32, bf16 and int8 with int32 sums; None where torch has no such product here.

    Raises:
        ParameterError: If ``thread_count`` or ``budget_sec`` is not positive.
        MeasurementError: If the clock saw no time pass.
    """
    threads = machine.thread_count() if thread_count is None else thread_count
    if threads < 1 or budget_sec <= 0:
        raise ParameterError(f"`thread_count` is {threads} and `budget_sec` is {budget_sec}; both must be above 0.")
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        share_sec = budget_sec / 4
        # torch's own fp32 product is MKL's, which leaves the wide vectors of other makers unused; engines do not.
        fp32_rates = [
            best_product_rate(make_product, budget_sec=share_sec / len(_FP32_PRODUCTS), clock=clock)
            for make_product in _FP32_PRODUCTS
        ]
        fp32 = max((rate for rate in fp32_rates if rate is not None), default=None)
        if fp32 is None:
            raise MeasurementError("torch cannot multiply fp32 matrices here; install a torch for this processor.")
        return Ceilings(
            thread_count=threads,
            fp32_flop_per_sec=fp32,
            bf16_flop_per_sec=best_product_rate(
                lambda side: _float_product(side, torch.bfloat16), budget_sec=share_sec, clock=clock
            ),
            int8_op_per_sec=best_product_rate(_int8_product, budget_sec=share_sec, clock=clock),
            copy_bytes_per_sec=_copy_rate(budget_sec=share_sec, clock=clock),
        )
    finally:
        torch.set_num_threads(before)


def best_product_rate(
    make_product: Callable[[int], Callable[[], object]],
    *,
    side_counts: Sequence[int] | None = None,
    budget_sec: float,
    clock: Callable[[], float] = time.perf_counter,
) -> float | None:
    """
    Return the best rate of square matrix products over growing sizes, multiplications and additions counted.

    A larger size is tried only while three calls and a warm-up of it, at the rate seen, fit in what is left.

    Args:
        make_product: Takes a side n and returns a call that multiplies two n × n matrices.
        side_counts: Sides to try, smallest first; `SIDE_COUNTS` if not given.
        budget_sec: Time for all sizes; it is shared among those that are left.
        clock: Monotonic clock in seconds.

    Returns:
        Operations per second, or None where torch refuses the product.

    Example:
        >>> ticks = iter([0, 0, 0, 4, 4, 6, 6, 11])
        >>> best_product_rate(lambda side: lambda: None, side_counts=(10,), budget_sec=1, clock=lambda: next(ticks))
        1000.0
    """
    sides = SIDE_COUNTS if side_counts is None else side_counts
    best, end_sec = 0.0, clock() + budget_sec
    for place, side in enumerate(sides):
        op_count = 2 * side**3
        left_sec = end_sec - clock()
        if best and (_REPEAT_COUNT + 1) * op_count / best > left_sec:
            break
        try:
            call = make_product(side)
            call()
        except RuntimeError:  # torch's word for a product that this processor or build does not have
            return None
        share_sec = left_sec / (len(sides) - place)
        best = max(best, op_count / shortest_sec(call, budget_sec=share_sec, clock=clock))
    return best


def shortest_sec(
    call: Callable[[], object], *, budget_sec: float, clock: Callable[[], float] = time.perf_counter
) -> float:
    """
    Return the shortest of at least three calls, more while the budget lasts.

    Raises:
        MeasurementError: If the clock saw no time pass.
    """
    samples_sec: list[float] = []
    while len(samples_sec) < _REPEAT_COUNT or sum(samples_sec) < budget_sec:
        start_sec = clock()
        call()
        samples_sec.append(clock() - start_sec)
        if len(samples_sec) == _REPEAT_COUNT and max(samples_sec) <= 0:
            raise MeasurementError(f"{_REPEAT_COUNT} calls took 0 s by the clock; use a finer clock.")
    return min(sample_sec for sample_sec in samples_sec if sample_sec > 0)


def attainable_sec(flop_count: float, moved_bytes: float, ceilings: Ceilings, precision: str) -> float:
    """
    Return the shortest time that the roofline allows: the larger of compute time and memory time.

    Args:
        flop_count: Multiplications and additions.
        moved_bytes: Bytes that must cross the memory bus at least once.
        ceilings: Of the machine that runs it.
        precision: ``fp32``, ``bf16`` or ``int8``.

    Raises:
        ParameterError: If the precision is unknown or was not measured here, or a count is negative.

    Example:
        >>> peaks = Ceilings(1, fp32_flop_per_sec=100.0, bf16_flop_per_sec=None, int8_op_per_sec=400.0,
        ...                  copy_bytes_per_sec=10.0)
        >>> attainable_sec(200, 10, peaks, "fp32"), attainable_sec(200, 10, peaks, "int8")
        (2.0, 1.0)
    """
    rates = ceilings.product_op_per_sec
    if precision not in PRECISIONS:
        raise ParameterError(f"precision `{precision}` has no ceiling; {did_you_mean(precision, PRECISIONS)}")
    if precision not in rates:
        raise ParameterError(f"torch has no {precision} product on this machine, so it has no ceiling; use fp32.")
    if flop_count < 0 or moved_bytes < 0:
        raise ParameterError(f"{flop_count} FLOPs and {moved_bytes} bytes cannot be negative; count them again.")
    return max(flop_count / rates[precision], moved_bytes / ceilings.copy_bytes_per_sec)


def copy_array_bytes(*, cache_bytes: int, memory_bytes: int) -> int:
    """
    Return the size of each of the two arrays that are copied.

    Twice the last-level cache, at least 256 MiB; never above 1 GiB or an eighth of the memory.

    Example:
        >>> copy_array_bytes(cache_bytes=32 * 2**20, memory_bytes=16 * 2**30) // 2**20
        256
    """
    return min(max(_MIN_COPY_BYTES, 2 * cache_bytes), _MAX_COPY_BYTES, memory_bytes // 8)


def _float_product(side: int, dtype: torch.dtype) -> Callable[[], object]:
    left, right = (torch.rand(side, side).to(dtype) for _ in range(2))
    out = torch.empty(side, side, dtype=dtype)
    return lambda: torch.mm(left, right, out=out)


def _mkl_product(side: int) -> Callable[[], object]:
    return _float_product(side, torch.float32)


def _onednn_product(side: int) -> Callable[[], object]:
    left, right = (torch.rand(side, side).to_mkldnn() for _ in range(2))
    return lambda: torch.nn.functional.linear(left, right)


def _int8_product(side: int) -> Callable[[], object]:
    left, right = (torch.randint(-127, 128, (side, side), dtype=torch.int8) for _ in range(2))
    return lambda: torch._int_mm(left, right)


_FP32_PRODUCTS = (_mkl_product, _onednn_product)


def _copy_rate(*, budget_sec: float, clock: Callable[[], float]) -> float:
    array_bytes = copy_array_bytes(cache_bytes=_last_level_cache_bytes(), memory_bytes=_memory_bytes())
    source = torch.ones(array_bytes, dtype=torch.uint8)
    target = torch.empty_like(source)
    target.copy_(source)  # the first touch makes the system fetch pages, which is not bandwidth
    return 2 * array_bytes / shortest_sec(lambda: target.copy_(source), budget_sec=budget_sec, clock=clock)


def _last_level_cache_bytes() -> int:
    try:
        return max(os.sysconf("SC_LEVEL3_CACHE_SIZE"), 0)
    except (ValueError, OSError):  # not Linux with glibc
        return 0


def _memory_bytes() -> int:
    import psutil

    return int(psutil.virtual_memory().available)
