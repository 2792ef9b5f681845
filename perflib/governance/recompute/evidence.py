"""
How sure a comparison is, from one log-ratio per life: evidence, interval and verdict, by formulas of their own.

If two arms are equal, the sign of each life's log-ratio is a fair coin, so the product over lives of
``1 + tanh(rate * (d - theta))`` is a fair game; it reaches 1/alpha with a chance of at most alpha. The evidence is
the mean of that product over 24 rates from 2 to 2000.

    >>> verdict([0.03] * 8, alpha=0.01, tolerance=0.005, mde=0.03)
    'REGRESSION'
"""

import itertools
import math
import statistics
from collections.abc import Sequence

import numpy as np
from scipy import optimize, special

_RATES = np.geomspace(2.0, 2000.0, 24)
# No bound is looked for further from the data than this; a ratio of e^10 is no longer a comparison.
_REACH_LOG = 10.0
_PRECISION = 1e-13


def log_evidence(log_ratios: Sequence[float], theta: float) -> float:
    """Return ln E, all lives together, that the log-ratio is symmetric about a value above ``theta``."""
    distances = np.asarray(log_ratios, float) - theta
    # ln(1 + tanh z) = ln 2 + ln(1 / (1 + exp(-2 z)))
    factors = math.log(2) + special.log_expit(2 * np.outer(_RATES, distances))
    return float(special.logsumexp(factors.sum(axis=1)) - math.log(len(_RATES)))


def verdict(log_ratios: Sequence[float], *, alpha: float, tolerance: float, mde: float) -> str:
    """
    Return the first verdict that is reached life by life; the stricter one where one life reaches two.

    Args:
        log_ratios: One per life, ln(candidate) - ln(baseline), in the order lived.
        alpha: Bound on the chance of a wrong verdict.
        tolerance: A change of at most this share is none.
        mde: PASS rules out slowdowns of this share.
    """
    bar = math.log(1 / alpha)
    for count in range(1, len(log_ratios) + 1):
        slower = list(log_ratios[:count])
        faster = [-one for one in slower]
        if log_evidence(slower, math.log1p(tolerance)) >= bar:
            return "REGRESSION"
        if log_evidence(faster, math.log1p(tolerance)) >= bar:
            return "IMPROVEMENT"
        if log_evidence(faster, -math.log1p(mde)) >= bar:
            return "PASS"
    return "INCONCLUSIVE"


def low_bound(log_ratios: Sequence[float], *, alpha: float) -> float | None:
    """Return the largest value that the lives show to lie below the log-ratio; None where they show none."""
    bar = math.log(1 / alpha)
    # A life at most doubles the evidence, so few lives show nothing whatever they say.
    if len(log_ratios) * math.log(2) < bar:
        return None
    highest = max(log_ratios)
    lowest = highest - _REACH_LOG
    if log_evidence(log_ratios, lowest) < bar:
        return None

    def excess(theta: float) -> float:
        return log_evidence(log_ratios, theta) - bar

    low: float = optimize.bisect(excess, lowest, highest, xtol=_PRECISION)
    return low


def centre(values: Sequence[float]) -> float:
    """
    Return the median of the means of all pairs, each value with itself too (Hodges and Lehmann).

    Example:
        >>> centre([1.0, 2.0, 30.0])
        8.75
    """
    return statistics.median((a + b) / 2 for a, b in itertools.combinations_with_replacement(values, 2))


def ratio_interval(log_ratios: Sequence[float], *, alpha: float) -> dict[str, float | None]:
    """Return candidate over baseline as a record writes it: estimate, and both bounds or none."""
    low = low_bound(log_ratios, alpha=alpha)
    high = low_bound([-one for one in log_ratios], alpha=alpha)
    has_both = low is not None and high is not None
    return {
        "estimate": math.exp(centre(log_ratios)),
        "low": math.exp(low) if has_both and low is not None else None,
        "high": math.exp(-high) if has_both and high is not None else None,
        "level_ratio": 1 - 2 * alpha,
    }


def ruled_out_slowdown(log_ratios: Sequence[float], *, alpha: float) -> float | None:
    """Return the smallest slowdown, as a share, that the lives rule out; None where they rule out none."""
    bound = low_bound([-one for one in log_ratios], alpha=alpha) if log_ratios else None
    return None if bound is None else max(math.expm1(-bound), 0.0)


def stands(log_evidences: Sequence[float], *, rate: float) -> frozenset[int]:
    """
    Return the places of the claims that stand together (e-BH): the k largest, where the k-th is at least m / (k rate).

    Args:
        log_evidences: ln E of each claim.
        rate: Bound on the expected share of false ones among those that stand.
    """
    ranked = sorted(log_evidences, reverse=True)
    count = len(ranked)
    enough = [value for k, value in enumerate(ranked, start=1) if value >= math.log(count / (k * rate))]
    least = min(enough, default=math.inf)
    return frozenset(place for place, value in enumerate(log_evidences) if value >= least)
