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
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import brentq

from perflib.results import Interval, SpeedVerdict

RATES = np.geomspace(2.0, 2000.0, 24)
# Ten percent, less the tolerance of half a percent.
_PLAIN_EFFECT_LOG = math.log(1.10 / 1.005)
# Interval bounds are searched this far beyond the data; a ratio of e^10 is no longer a comparison.
_REACH_LOG = 10.0
_MAX_LOG = 700.0


def evidence_path(log_ratios: ArrayLike, theta: float = 0.0) -> NDArray[np.float64]:
    """
    Return the natural log of the evidence that the log-ratio is symmetric about a value above ``theta``.

    Args:
        log_ratios: One value per life in the order lived, ln(candidate) - ln(baseline), positive costs more;
            shape (lives,), or (paths, lives) for many comparisons at once.
        theta: The value that is tested.

    Returns:
        ln E after each life, in the shape of ``log_ratios``.

    Example:
        >>> path = evidence_path([0.03] * 8, math.log1p(0.005))
        >>> bool(path[6] < math.log(100) < path[7])
        True
    """
    shifted = (np.asarray(log_ratios, float) - theta)[..., None, :] * RATES[:, None]
    # ln(1 + tanh z) without overflow or loss for large |z|.
    factors = math.log(2.0) - np.logaddexp(0.0, -2.0 * shifted)
    path: NDArray[np.float64] = np.logaddexp.reduce(factors.cumsum(axis=-1), axis=-2) - math.log(RATES.size)
    return path


def log_evidence(log_ratios: Sequence[float] | NDArray[np.floating], theta: float = 0.0) -> float:
    """
    Return ln E after the last life; 0 without lives. See `evidence_path`.

    Example:
        >>> log_evidence([math.log(1.2)] * 6, math.log1p(0.005)) < math.log(100)
        True
    """
    return float(evidence_path(log_ratios, theta)[-1]) if len(log_ratios) else 0.0


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
    bar = -math.log(alpha)
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
    values, bar = np.asarray(log_ratios, float), -math.log(alpha)
    # In the order of `decide`, so that the stricter verdict wins where two are reached with the same life.
    paths: dict[SpeedVerdict, NDArray[np.float64]] = {
        "REGRESSION": evidence_path(values, math.log1p(tolerance)),
        "IMPROVEMENT": evidence_path(-values, math.log1p(tolerance)),
        "PASS": evidence_path(-values, -math.log1p(mde)),
    }
    reached = {word: np.flatnonzero(path >= bar) for word, path in paths.items()}
    crossed: dict[SpeedVerdict, int] = {word: int(lives[0]) for word, lives in reached.items() if lives.size}
    return min(crossed, key=lambda word: crossed[word]) if crossed else "INCONCLUSIVE"


def fewest_lives(alpha: float) -> int:
    """
    Return the number of lives below which no verdict is possible: a factor is at most 2 a life.

    Example:
        >>> fewest_lives(0.05), fewest_lives(0.01)
        (5, 7)
    """
    return math.ceil(-math.log2(alpha))


def least_lives(alpha: float) -> int:
    """
    Return the lives that a change of 10 % needs on a machine without any noise: a budget for fewer is refused.

    Example:
        >>> least_lives(0.05), least_lives(0.01)
        (5, 8)
    """
    count = fewest_lives(alpha)
    while log_evidence([_PLAIN_EFFECT_LOG] * count) < -math.log(alpha):
        count += 1
    return count


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


def hodges_lehmann_shift(before: Sequence[float], after: Sequence[float]) -> float:
    """
    Return the median of all differences between a value of ``after`` and one of ``before``.

    Example:
        >>> hodges_lehmann_shift([1.0, 2.0], [2.0, 3.0, 30.0])
        1.5
    """
    return float(np.median(np.subtract.outer(np.asarray(after, float), np.asarray(before, float))))


def discoveries(log_evidences: Sequence[float], *, rate: float) -> tuple[int, ...]:
    """
    Return which of several claims stand together, by the e-value form of Benjamini and Hochberg (e-BH).

    Metrics of one comparison depend on each other strongly; this bound on the false discovery rate holds however they
    do (Wang and Ramdas, 2022).

    Args:
        log_evidences: ln E of each claim.
        rate: Bound on the expected share of false ones among the claims that stand.

    Returns:
        The places of the claims that stand, in their order.

    Example:
        >>> discoveries([math.log(500), math.log(15), math.log(90)], rate=0.05)
        (0, 2)
        >>> discoveries([math.log(25), math.log(25), math.log(25)], rate=0.05)
        (0, 1, 2)
    """
    values = np.asarray(log_evidences, float)
    ranked = np.sort(values)[::-1]
    bars = math.log(values.size / rate) - np.log(np.arange(1, values.size + 1)) if values.size else values
    passing = np.flatnonzero(ranked >= bars)
    if not passing.size:
        return ()
    return tuple(int(place) for place in np.flatnonzero(values >= ranked[passing[-1]]))


def speedup_interval(log_ratios: Sequence[float], *, alpha: float) -> Interval:
    """Return baseline time over candidate time: the Hodges-Lehmann estimate with its confidence sequence."""
    return ratio_interval([-ratio for ratio in log_ratios], alpha=alpha)


def ratio_interval(log_ratios: Sequence[float], *, alpha: float) -> Interval:
    """Return candidate over baseline: the Hodges-Lehmann estimate with its confidence sequence."""
    low, high = log_bounds(log_ratios, alpha=alpha)
    return Interval(
        estimate=math.exp(hodges_lehmann(log_ratios)),
        low=None if low is None else math.exp(low),
        high=None if high is None else math.exp(high),
        level_ratio=round(1 - 2 * alpha, 6),
    )


def bounded_exp(log: float) -> float:
    """Return e to the power of some evidence, kept within what a float can hold."""
    return math.exp(min(max(log, -_MAX_LOG), _MAX_LOG))


def reached_mde(log_ratios: Sequence[float], *, alpha: float) -> float | None:
    """Return the smallest slowdown, as a share, that these lives rule out; None while they rule out none."""
    high = _last_rejected(-np.asarray(log_ratios, float), alpha=alpha)
    return None if high is None else max(math.exp(-high) - 1.0, 0.0)


def _last_rejected(values: NDArray[np.floating], *, alpha: float) -> float | None:
    """Find the largest theta with E >= 1/alpha; E falls as theta rises."""
    bar = -math.log(alpha)
    if values.size < fewest_lives(alpha):
        return None
    # At the largest value no factor is above 1, so E is not either.
    high, span = float(values.max()), float(np.ptp(values)) + 0.01
    while log_evidence(values, high - span) < bar:
        span *= 2
        if span > _REACH_LOG:
            return None
    return float(brentq(lambda theta: log_evidence(values, theta) - bar, high - span, high, xtol=1e-6))
