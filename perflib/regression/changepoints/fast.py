"""
What nominates before a stretch is long enough for segments: a few runs far off, and many runs on one side.

**Level rule.** The last two runs (or four, or six) all lie on one side of the level, further off than a threshold that
grows with the tail of the reference: of noise that looks normal 3.5 spreads, of noise with outliers, heavy tails or
skew many times that. How normal it looks is read from three things, since each finds what the others miss in few
runs: the second and third largest deviation, the standard over the mean deviation (1.25 for normal noise), and the
skew towards the side in question. Two runs also have to agree with each other, as runs of a new level do and two
accidents hardly ever.

**Sign rule.** An e-detector (Shin, Ramdas and Rinaldo): the sum, over all starts, of bets that the next run lies on the
same side of the level. At 1,000 the mean time between false alarms of independent runs is 1,000 runs at the least.
"""

import math
from collections.abc import Sequence

import numpy as np

from perflib.regression.changepoints.noise import MAD_TO_SD, Floats

REFERENCE_COUNT = 100
LEAST_REFERENCE_COUNT = 20
# So many runs in a row, and the part of the threshold that each of them has to pass.
FAR_RATIOS = {2: 1.0, 4: 0.7, 6: 0.6}
# Two runs of one level are hardly ever further from each other than so many spreads.
_PAIR_SD_COUNT = 3.0
_ALARM = 1000.0
_BETS = (0.3, 0.6, 0.9)
# Within these distances, in spreads, lie so many of normal runs.
_SPREAD_SHARES = ((0.6827, 1.0), (0.8, 1.2816))
_LEAST_SD_COUNT = 3.5
_TAIL_SLOPE, _TAIL_FREE, _TAIL_PER_DOUBLING = 2.0, 1.6, 0.2
# Normal noise has 1.2533 and no skew; of few runs both scatter about that.
_HEAVY_SLOPE, _HEAVY_NORMAL, _HEAVY_SCATTER = 12.0, 1.2533, 0.4
_SKEW_SLOPE, _SKEW_SCATTER = 3.0, 3.0


def far_runs(logs: Floats) -> int:
    """Return how many of the last runs lie far off the runs before, all on one side; spikes included in ``logs``."""
    for count, part_ratio in FAR_RATIOS.items():
        reference = logs[-count - REFERENCE_COUNT : -count]
        if len(reference) < LEAST_REFERENCE_COUNT:
            return 0
        off = logs[-count:] - float(np.median(reference))
        if off.min() <= 0 <= off.max():
            continue
        above, below = far_thresholds(reference)
        if not ((off > part_ratio * above).all() or (off < -part_ratio * below).all()):
            continue
        spread = spread_of(reference)
        if count > 2 or spread == 0.0 or float(np.ptp(off)) < _PAIR_SD_COUNT * spread:
            return count
    return 0


def far_thresholds(reference: Floats) -> tuple[float, float]:
    """
    Return how far above and below its median a run has to lie to be called far.

    Args:
        reference: At least `LEAST_REFERENCE_COUNT` runs of one level, spikes included: they tell of the tail.
    """
    deviations = reference - float(np.median(reference))
    sizes = np.sort(np.abs(deviations))
    spread = spread_of(reference)
    if spread == 0.0:
        # Runs that never differ: whatever differs now is far, and the effect gate says whether it matters.
        return float(sizes[-1]), float(sizes[-1])
    count = len(reference)
    standard = math.sqrt(float((deviations**2).mean()))
    # The largest of many normal deviations is larger than that of few.
    free = _TAIL_FREE + _TAIL_PER_DOUBLING * math.log2(count / LEAST_REFERENCE_COUNT)
    tail = float(sizes[-3:-1].mean()) / spread - free
    heavy = standard / float(sizes.mean()) - _HEAVY_NORMAL - _HEAVY_SCATTER / math.sqrt(count)
    skew = float((deviations**3).mean()) / standard**3
    both = _LEAST_SD_COUNT + _TAIL_SLOPE * max(tail, 0.0) + _HEAVY_SLOPE * max(heavy, 0.0)
    above, below = (
        spread * (both + _SKEW_SLOPE * max(side * skew - _SKEW_SCATTER / math.sqrt(count), 0.0)) for side in (1, -1)
    )
    return above, below


def spread_of(reference: Floats) -> float:
    """Return the robust standard deviation of some runs: of three quantiles, because one of few runs is too unsure."""
    sizes = np.abs(reference - float(np.median(reference)))
    shares = np.quantile(sizes, [share for share, _ in _SPREAD_SHARES], method="hazen")
    middle = MAD_TO_SD * float(np.median(sizes))
    if middle == 0.0:
        return 0.0
    return (middle + sum(float(at) / far for at, (_, far) in zip(shares, _SPREAD_SHARES, strict=True))) / 3


def sign_evidence(signs: Sequence[float]) -> float:
    """
    Return the e-detector's value after the last run, for the side of positive signs.

    Args:
        signs: 1 above, -1 below, 0 on the level, oldest first.
    """
    values = np.zeros(len(_BETS))
    bets = np.asarray(_BETS)
    for sign in signs:
        values = (1 + values) * (1 + bets * sign)
    return float(values.mean())


def one_side_since(logs: Floats, level: float) -> int | None:
    """
    Return the run since when the series keeps to one side of a level; None where it does not.

    Args:
        logs: The runs after those that made the level, without spikes.
        level: Frozen before them.
    """
    signs = np.sign(logs - level)
    for side in (1.0, -1.0):
        if sign_evidence(list(side * signs)) >= _ALARM:
            # The sum is carried by the bets since the other side led for the last time.
            walk = np.concatenate([[0.0], np.cumsum(side * signs)])
            return int(np.flatnonzero(walk == walk.min())[-1])
    return None
