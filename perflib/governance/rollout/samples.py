"""
How many requests a stage needs before its silence means something.

A share that should be at most ``p`` and is ``q > p`` is told from it, with a false alarm in 1 of 100 and a miss in 1 of
10, after

    n = ((z(0.99) · sqrt(p (1 - p)) + z(0.90) · sqrt(q (1 - q))) / (q - p))²

requests, times ``(1 + sqrt(1 + 2 / (n (q - p))))² / 4`` because requests are whole: the one-sided test of one
proportion with continuity correction (Fleiss, Levin and Paik, 2003, section 2.5).
A stage has to see twice the limit of errors, twice the limit of other labels, and that the share of other labels which
the test split has shown is below its limit; and a 99th percentile needs 1,000 calls.

    >>> requests_to_tell(0.01, 0.02)
    1787
"""

import math
from statistics import NormalDist

from perflib.governance.rollout.thresholds import ERROR_LIMIT_RATIO, LEAST_TAIL_COUNT

LEVEL_RATIO = 0.01
_MISS_RATIO = 0.10


def requests_to_tell(expected_ratio: float, other_ratio: float) -> int:
    """
    Return the number of requests after which a share is told from a smaller one that was expected.

    Args:
        expected_ratio: The smaller share, from 0.
        other_ratio: The larger one, below 1.
    """
    level, power = NormalDist().inv_cdf(1 - LEVEL_RATIO), NormalDist().inv_cdf(1 - _MISS_RATIO)
    spread = level * math.sqrt(expected_ratio * (1 - expected_ratio)) + power * math.sqrt(
        other_ratio * (1 - other_ratio)
    )
    distance = other_ratio - expected_ratio
    count = (spread / distance) ** 2
    return math.ceil(count * (1 + math.sqrt(1 + 2 / (count * distance))) ** 2 / 4)


def least_request_count(*, disagreement_ratio: float | None, disagreement_limit_ratio: float) -> int:
    """
    Return how many requests every gate of a stage has to see.

    Args:
        disagreement_ratio: Share of the test split whose label the candidate changes; None where nobody asked.
        disagreement_limit_ratio: What the plan allows.
    """
    needs = [
        LEAST_TAIL_COUNT,
        requests_to_tell(ERROR_LIMIT_RATIO, 2 * ERROR_LIMIT_RATIO),
        # A limit above a half cannot be doubled.
        requests_to_tell(disagreement_limit_ratio, min(2 * disagreement_limit_ratio, 1.0)),
    ]
    if disagreement_ratio is not None:
        needs.append(requests_to_tell(disagreement_ratio, disagreement_limit_ratio))
    return max(needs)
