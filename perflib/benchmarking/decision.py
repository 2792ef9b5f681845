"""
Faster, slower, no regression, or not decided: an exact sign-flip test that may be looked at after every life.

If two arms are equivalent, a fair coin that we tossed ourselves decides the sign of each life's log-ratio d.
For a shift theta and any rate l, the product over lives of ``1 + tanh(l (d - theta))`` is then a non-negative
martingale that starts at 1, so by Ville's inequality it ever reaches 1/alpha with probability at most alpha,
whatever the noise looks like.
Averaging over a fixed grid of rates keeps that property and leaves nothing to tune.

    >>> decide([0.030] * 8, alpha=0.01)
    'REGRESSION'
"""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from perflib.results import Interval, SpeedVerdict

RATES = np.geomspace(2.0, 2000.0, 24)
# Interval bounds are searched this far beyond the data; a ratio of e^5 is no longer a comparison.
_REACH_LOG = 5.0


def log_evidence(log_ratios: Sequence[float] | NDArray[np.floating], theta: float = 0.0) -> float:
    """
    Return the natural log of the evidence that the log-ratio is symmetric about a value above ``theta``.

    Args:
        log_ratios: One value per life, ln(candidate) - ln(baseline); positive costs more.
        theta: The value that is tested.

    Returns:
        ln E after the last life; 0 without lives.

    Example:
        >>> log_evidence([0.03] * 7, math.log1p(0.005)) < math.log(100) < log_evidence([0.03] * 8, math.log1p(0.005))
        True
    """
    shifted = np.outer(RATES, np.asarray(log_ratios, float) - theta)
    # ln(1 + tanh z) without overflow or loss for large |z|.
    factors = math.log(2.0) - np.logaddexp(0.0, -2.0 * shifted)
    return float(np.logaddexp.reduce(factors.sum(axis=1)) - math.log(RATES.size))


def decide(log_ratios: Sequence[float], *, alpha: float, tolerance: float = 0.005, mde: float = 0.03) -> SpeedVerdict:
    """
    Say what all lives so far allow; ``INCONCLUSIVE`` means: measure on, or report what was not decided.

    Args:
        log_ratios: One value per life; positive costs more.
        alpha: Bound on the probability of a wrong REGRESSION, IMPROVEMENT or PASS, each.
        tolerance: A change of at most this share is no change.
        mde: PASS means that no slowdown as large as this share is left.
    """
    values = np.asarray(log_ratios, float)
    bar = math.log(1.0 / alpha)
    # REGRESSION first: between tolerance and mde both it and PASS can be true, and then we fail closed.
    if log_evidence(values, math.log1p(tolerance)) >= bar:
        return "REGRESSION"
    if log_evidence(-values, math.log1p(tolerance)) >= bar:
        return "IMPROVEMENT"
    if log_evidence(-values, -math.log1p(mde)) >= bar:
        return "PASS"
    return "INCONCLUSIVE"


def first_verdict(
    log_ratios: Sequence[float], *, alpha: float, tolerance: float = 0.005, mde: float = 0.03
) -> SpeedVerdict:
    """
    Return the first verdict that was reached when looking after every life; later lives do not take it back.

    Where several scenarios share their lives, one may be decided while another still needs more.
    """
    for count in range(1, len(log_ratios) + 1):
        verdict = decide(log_ratios[:count], alpha=alpha, tolerance=tolerance, mde=mde)
        if verdict != "INCONCLUSIVE":
            return verdict
    return "INCONCLUSIVE"


def fewest_lives(alpha: float) -> int:
    """
    Return the number of lives below which no verdict is possible: a factor is at most 2 a life.

    Example:
        >>> fewest_lives(0.05), fewest_lives(0.01)
        (5, 7)
    """
    return math.ceil(math.log2(1.0 / alpha))


def log_bounds(log_ratios: Sequence[float], *, alpha: float) -> tuple[float | None, float | None]:
    """
    Return the confidence sequence of the log-ratio: all values that neither side rejects at ``alpha``.

    Returns:
        Low and high; both None while either is missing, because half an interval misleads. Coverage >= 1 - 2 alpha.
    """
    values = np.asarray(log_ratios, float)
    low = _last_rejected(values, alpha=alpha)
    high = _last_rejected(-values, alpha=alpha)
    return (None, None) if low is None or high is None else (low, -high)


def hodges_lehmann(values: Sequence[float]) -> float:
    """
    Return the median of all pairwise means, each value with itself too: a location that outliers hardly move.

    Example:
        >>> hodges_lehmann([1.0, 2.0, 30.0])
        8.75
    """
    array = np.asarray(values, float)
    rows, columns = np.triu_indices(array.size)
    return float(np.median((array[rows] + array[columns]) / 2))


def speedup_interval(log_ratios: Sequence[float], *, alpha: float) -> Interval:
    """Return baseline time over candidate time: the Hodges-Lehmann estimate with its confidence sequence."""
    low, high = log_bounds(log_ratios, alpha=alpha)
    return Interval(
        estimate=math.exp(-hodges_lehmann(log_ratios)),
        low=None if high is None else math.exp(-high),
        high=None if low is None else math.exp(-low),
        level_ratio=round(1 - 2 * alpha, 6),
    )


def reached_mde(log_ratios: Sequence[float], *, alpha: float) -> float | None:
    """Return the smallest slowdown, as a share, that these lives rule out; None while they rule out none."""
    high = _last_rejected(-np.asarray(log_ratios, float), alpha=alpha)
    return None if high is None else max(math.exp(-high) - 1.0, 0.0)


def _last_rejected(values: NDArray[np.floating], *, alpha: float) -> float | None:
    """Find by bisection the largest theta with E >= 1/alpha; E falls as theta rises."""
    bar = math.log(1.0 / alpha)
    if values.size == 0:
        return None
    rejected, kept = float(values.min()) - _REACH_LOG, float(values.max()) + _REACH_LOG
    if log_evidence(values, rejected) < bar:
        return None
    while kept - rejected > 1e-6:
        middle = (kept + rejected) / 2
        if log_evidence(values, middle) >= bar:
            rejected = middle
        else:
            kept = middle
    return rejected
