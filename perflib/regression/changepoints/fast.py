"""
What nominates before a stretch is long enough for segments: a few runs far off, and many runs on one side.

**Level rule.** The last two runs (or three to six) all lie on one side of the level, further off than a threshold
that grows with the tail of the reference: of noise that looks normal about 3.6 spreads for two runs and less for more,
of noise with outliers or skew many times that. It was tuned on simulated normal, autocorrelated, Student-t3 and
lognormal noise, so that a step of five spreads is seen with its second run more often than not, and about one series of
a hundred runs in three hundred is nominated for nothing.

**Sign rule.** An e-detector (Shin, Ramdas and Rinaldo): the sum, over all starts, of bets that the next run lies on the
same side of the level. At 1,000 the mean time between false alarms of independent runs is 1,000 runs at the least.
"""

import math
from collections.abc import Sequence

import numpy as np

from perflib.regression.changepoints.noise import MAD_TO_SD, Floats

REFERENCE_COUNT = 60
LEAST_REFERENCE_COUNT = 20
# So many runs in a row, and the part of the threshold that each of them has to pass.
FAR_RATIOS = {2: 1.0, 3: 0.85, 4: 0.75, 5: 0.65, 6: 0.57}
_ALARM = 1000.0
_BETS = (0.3, 0.6, 0.9)
# Of normal noise about this share of the runs lies within one spread.
_WITHIN_RATIO = 0.68
_TAIL_WEIGHTS = (0.25, 0.5, 0.25)
_LEAST_SD_COUNT, _TAIL_FREE, _TAIL_SLOPE, _SKEW_FREE, _SKEW_POWER = 3.6, 2.05, 7.0, 1.35, 3.0
# The largest of many normal deviations is larger than that of few.
_TAIL_PER_DOUBLING = 0.22


def far_runs(logs: Floats) -> int:
    """Return how many of the last runs lie far off the runs before, all on one side; spikes included in ``logs``."""
    for count, part_ratio in FAR_RATIOS.items():
        reference = logs[-count - REFERENCE_COUNT : -count]
        if len(reference) < LEAST_REFERENCE_COUNT:
            return 0
        off = logs[-count:] - float(np.median(reference))
        above, below = far_thresholds(reference)
        if (off > part_ratio * above).all() or (off < -part_ratio * below).all():
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
    spread = (MAD_TO_SD * float(np.median(sizes)) + float(sizes[round(_WITHIN_RATIO * len(sizes)) - 1])) / 2
    if spread == 0.0:
        # Runs that never differ: whatever differs now is far, and the effect gate says whether it matters.
        return float(sizes[-1]), float(sizes[-1])
    tail = float(np.dot(_TAIL_WEIGHTS, sizes[-1:-4:-1])) / spread
    free = _TAIL_FREE + _TAIL_PER_DOUBLING * math.log2(len(sizes) / LEAST_REFERENCE_COUNT)
    limit = spread * (_LEAST_SD_COUNT + _TAIL_SLOPE * max(tail - free, 0.0))
    above, below = (limit * _skew(side, spread) for side in (deviations[deviations > 0], -deviations[deviations < 0]))
    return above, below


def _skew(side: Floats, spread: float) -> float:
    """Return by how much a side's threshold grows, because its own runs scatter more than both sides together."""
    own = MAD_TO_SD * float(np.median(side)) if len(side) else 0.0
    return float(max(own / spread / _SKEW_FREE, 1.0) ** _SKEW_POWER)


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
