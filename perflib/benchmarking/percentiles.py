"""
How slow the slow calls are: percentiles of single calls, each with bounds that assume nothing about their distribution.

The number of calls below a percentile is binomial, so two calls of the sorted sample enclose it with a known
probability, whatever the latencies look like (Hahn and Meeker, *Statistical Intervals*, 1991, section 5.2).
Calls of one process are not independent: they share its memory layout, its clocks and its neighbours. The interval
therefore describes the calls of these processes and says nothing about the next ones; the verdict never rests on it.
"""

from collections.abc import Sequence

import numpy as np
from scipy.stats import binom

from perflib.errors import ParameterError
from perflib.results import Percentile

# From this percentile on, the calls expected above it must be at least so many: the far tail is made of rare events.
_TAIL_SHARE_RATIO = 0.99
_TAIL_CALL_COUNT = 10


def percentiles(
    samples_sec: Sequence[float], *, shares_ratio: Sequence[float] = (0.50, 0.95, 0.99), level_ratio: float = 0.95
) -> tuple[Percentile, ...]:
    """
    Return the percentiles that these calls support; one that they do not support is left out.

    A percentile is supported where both bounds are calls of the sample and, from p99 on, ten calls are expected above
    it: 1,000 calls for p99, 10,000 for p99.9.

    Args:
        samples_sec: Seconds of single calls, in any order.
        shares_ratio: The percentiles asked for, as shares of calls.
        level_ratio: The least coverage of an interval.

    Returns:
        In the order of ``shares_ratio``.

    Raises:
        ParameterError: If a share or the level is not between 0 and 1.

    Example:
        >>> found = percentiles([call / 1000 for call in range(1, 101)])
        >>> [(one.share_ratio, one.low_sec, one.high_sec) for one in found]
        [(0.5, 0.04, 0.061), (0.95, 0.09, 0.1)]
    """
    for ratio in (*shares_ratio, level_ratio):
        if not 0 < ratio < 1:
            raise ParameterError(f"shares are {list(shares_ratio)} at level {level_ratio}; give each between 0 and 1.")
    ordered_sec = np.sort(np.asarray(samples_sec, float))
    found = []
    for share_ratio in shares_ratio:
        ranks = bound_ranks(len(ordered_sec), share_ratio=share_ratio, level_ratio=level_ratio)
        if ranks is not None:
            found.append(
                Percentile(
                    share_ratio=share_ratio,
                    # Interpolated, so that p50 is the median that the slots use.
                    estimate_sec=float(np.quantile(ordered_sec, share_ratio)),
                    low_sec=float(ordered_sec[ranks[0] - 1]),
                    high_sec=float(ordered_sec[ranks[1] - 1]),
                    call_count=len(ordered_sec),
                )
            )
    return tuple(found)


def bound_ranks(call_count: int, *, share_ratio: float, level_ratio: float) -> tuple[int, int] | None:
    """
    Return which calls of the sorted sample enclose a percentile, counted from 1; None where so few cannot.

    Each side misses with a probability of at most half of what the level leaves, so the coverage is never below it.

    Example:
        >>> bound_ranks(10, share_ratio=0.5, level_ratio=0.95)
        (2, 9)
        >>> bound_ranks(5, share_ratio=0.5, level_ratio=0.95) is None
        True
    """
    # Rounded, because 1 - 0.99 is not exactly 0.01.
    above_count = round(call_count * (1 - share_ratio), 6)
    if call_count == 0 or (share_ratio >= _TAIL_SHARE_RATIO and above_count < _TAIL_CALL_COUNT):
        return None
    miss_ratio = (1 - level_ratio) / 2
    # ppf(q) is the smallest k with P(calls below <= k) >= q: one fewer below is too unlikely for the lower bound, and
    # more than k below are too unlikely for the upper one.
    low = int(binom.ppf(miss_ratio, call_count, share_ratio))
    high = int(binom.ppf(1 - miss_ratio, call_count, share_ratio)) + 1
    return (low, high) if low >= 1 and high <= call_count else None
