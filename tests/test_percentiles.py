"""Percentiles of calls: the right order statistics, the coverage that they promise, and none without support."""

import numpy as np
import pytest
from scipy.stats import binom

from perflib.benchmarking.percentiles import bound_ranks, percentiles
from perflib.errors import ParameterError

SHARES_RATIO = (0.50, 0.95, 0.99)


def _shares(call_count: int) -> list[float]:
    """Return which of the usual percentiles so many calls support."""
    return [found.share_ratio for found in percentiles(np.arange(1.0, call_count + 1).tolist())]


def test_the_median_of_ten_calls_lies_between_the_second_and_the_ninth() -> None:
    """By hand: at most 1 of 10 below has probability 11/1024 = 1.1 %, at most 2 has 56/1024 = 5.5 %, over 2.5 %."""
    samples_sec = [7.0, 1.0, 10.0, 3.0, 9.0, 2.0, 8.0, 4.0, 6.0, 5.0]

    (found,) = percentiles(samples_sec, shares_ratio=[0.5])

    assert (found.low_sec, found.estimate_sec, found.high_sec) == (2.0, 5.5, 9.0)
    assert (found.share_ratio, found.call_count) == (0.5, 10)


def test_a_lower_level_takes_narrower_bounds() -> None:
    """By hand: at 80 % each side may miss 10 %; at most 2 of 10 has 5.5 %, at most 3 has 17.2 %."""
    assert bound_ranks(10, share_ratio=0.5, level_ratio=0.80) == (3, 8)


@pytest.mark.parametrize("level_ratio", [0.80, 0.95, 0.99])
@pytest.mark.parametrize("share_ratio", SHARES_RATIO)
def test_bounds_are_conservative_and_no_wider_than_they_must_be(share_ratio: float, level_ratio: float) -> None:
    """For every number of calls each side misses at most its half, and one call closer would miss more."""
    half_ratio = (1 - level_ratio) / 2
    for call_count in range(6, 3000, 7):
        ranks = bound_ranks(call_count, share_ratio=share_ratio, level_ratio=level_ratio)
        if ranks is not None:
            low, high = ranks
            below = binom(call_count, share_ratio)
            assert below.cdf(low - 1) <= half_ratio < below.cdf(low)
            assert below.sf(high - 1) <= half_ratio < below.sf(high - 2)


@pytest.mark.parametrize(
    ("share_ratio", "call_count", "tries_count"), [(0.50, 200, 4000), (0.95, 200, 4000), (0.99, 1000, 2000)]
)
def test_the_interval_covers_a_skewed_distribution(share_ratio: float, call_count: int, tries_count: int) -> None:
    """Of many samples with a long tail at least 95 % enclose the true percentile, and not nearly all of them."""
    draws = np.random.default_rng(20).lognormal(sigma=1.5, size=(tries_count, call_count))
    truth_sec = float(np.exp(1.5 * {0.50: 0.0, 0.95: 1.6448536, 0.99: 2.3263479}[share_ratio]))

    found = [percentiles(draw.tolist(), shares_ratio=[share_ratio])[0] for draw in draws]
    covered_ratio = np.mean([one.low_sec <= truth_sec <= one.high_sec for one in found])

    assert 0.95 - 2.5 * np.sqrt(0.95 * 0.05 / tries_count) <= covered_ratio < 0.985


def test_the_estimate_lies_within_its_bounds() -> None:
    """An interpolated estimate never leaves the two calls that enclose it."""
    generator = np.random.default_rng(3)
    for call_count in range(6, 400):
        for found in percentiles(generator.exponential(size=call_count).tolist()):
            assert found.low_sec <= found.estimate_sec <= found.high_sec


@pytest.mark.parametrize(
    ("call_count", "supported"),
    [
        (0, []),
        (1, []),
        (5, []),  # all five lie on one side of the median in 1 of 16 samples
        (6, [0.50]),
        (71, [0.50]),
        (72, [0.50, 0.95]),  # 0.95^72 = 2.49 %: only now the largest call may be the upper bound
        (999, [0.50, 0.95]),
        (1000, [0.50, 0.95, 0.99]),
    ],
)
def test_a_percentile_without_support_is_left_out(call_count: int, supported: list[float]) -> None:
    """The bounds are calls of the sample, and p99 needs a thousand calls."""
    assert _shares(call_count) == supported


def test_a_low_percentile_needs_a_call_below_it() -> None:
    """The mirror image of p95: its lower bound would lie outside of 71 calls."""
    assert bound_ranks(71, share_ratio=0.05, level_ratio=0.95) is None
    assert bound_ranks(72, share_ratio=0.05, level_ratio=0.95) is not None


def test_a_farther_tail_needs_more_calls() -> None:
    """Ten calls are expected above p99.9 in ten thousand, not in one less."""
    assert bound_ranks(9_999, share_ratio=0.999, level_ratio=0.95) is None
    assert bound_ranks(10_000, share_ratio=0.999, level_ratio=0.95) is not None


@pytest.mark.parametrize(("share_ratio", "level_ratio"), [(1.0, 0.95), (0.0, 0.95), (95.0, 0.95), (0.5, 1.0)])
def test_a_share_that_is_none_is_refused(share_ratio: float, level_ratio: float) -> None:
    """A percentile written as 95 instead of 0.95 is a mistake of the caller's."""
    with pytest.raises(ParameterError, match="between 0 and 1"):
        percentiles([1.0] * 100, shares_ratio=[share_ratio], level_ratio=level_ratio)
