"""
How many lives an effect needs on this machine, and what a pilot of eight of them says about the rest.

A plan decides nothing: it only says early that a budget cannot bring a verdict, so that nobody waits for it.
Stopping because of a plan is as harmless as any other: the evidence holds at every moment.
"""

import dataclasses
import math
from collections.abc import Sequence

import numpy as np

from perflib.benchmarking.decision import hodges_lehmann, least_lives

PILOT_LIVES_COUNT = 8
# Beyond the smallest effect and the largest effort that anybody plans for.
_EFFECTS_RATIO = (0.01, 0.02, 0.03, 0.05, 0.10, 0.20, 0.50)
_MAX_LIVES_COUNT = 10_000
_TO_NORMAL = 1.4826


@dataclasses.dataclass(frozen=True)
class Plan:
    """
    What a pilot says: the noise of a life, the lives that the most promising verdict needs, the lives there are.

    ``needed_lives_count`` is None where no number of lives is enough.
    """

    sd_ratio: float
    needed_lives_count: int | None
    affordable_lives_count: int

    @property
    def is_hopeless(self) -> bool:
        """Whether even the most promising verdict is out of reach."""
        return self.needed_lives_count is None or self.needed_lives_count > self.affordable_lives_count


def robust_sd(log_ratios: Sequence[float]) -> float:
    """
    Return the standard deviation that normal noise with this median absolute deviation would have.

    Example:
        >>> round(robust_sd([-0.02, -0.01, 0.0, 0.01, 5.0]), 4)
        0.0148
    """
    values = np.asarray(log_ratios, float)
    return float(_TO_NORMAL * np.median(np.abs(values - np.median(values))))


def lives_needed(distance_log: float, *, sd_ratio: float, alpha: float) -> int | None:
    """
    Return about how many lives a log-ratio at this distance from what is tested needs, within some 25 %.

    Args:
        distance_log: How far the true log-ratio lies beyond the tested one.
        sd_ratio: Of a life's log-ratio.
        alpha: Of the verdict.

    Returns:
        At least `least_lives`; None where no number is enough.

    Example:
        >>> lives_needed(math.log(1.03 / 1.005), sd_ratio=0.02, alpha=0.01)
        10
        >>> lives_needed(0.0, sd_ratio=0.02, alpha=0.01) is None
        True
    """
    if distance_log <= 0:
        return None
    lives = 2 * (sd_ratio / distance_log) ** 2 * (math.log(1 / alpha) + 2.5)
    return None if lives > _MAX_LIVES_COUNT else max(math.ceil(lives), least_lives(alpha))


def plan(
    log_ratios: Sequence[float], *, affordable_lives_count: int, alpha: float, tolerance: float, mde: float
) -> Plan:
    """
    Size the rest of a comparison from its first lives, giving every verdict the benefit of the pilot's doubt.

    Args:
        log_ratios: Of the pilot's lives.
        affordable_lives_count: Lives that the budget allows, the pilot's included.
        alpha: Of the verdicts.
        tolerance: A change of at most this share is none.
        mde: The slowdown that PASS rules out.
    """
    if not log_ratios:
        return Plan(math.inf, None, affordable_lives_count)
    sd_ratio = robust_sd(log_ratios)
    # One standard error of doubt: with two, eight noisy lives would always look as if a verdict could be near.
    estimate, doubt = hodges_lehmann(log_ratios), sd_ratio / math.sqrt(len(log_ratios))
    beyond = {
        "REGRESSION": estimate + doubt - math.log1p(tolerance),
        "IMPROVEMENT": -estimate + doubt - math.log1p(tolerance),
        "PASS": math.log1p(mde) - estimate + doubt,
    }
    needed = [lives_needed(distance, sd_ratio=sd_ratio, alpha=alpha) for distance in beyond.values()]
    return Plan(sd_ratio, min((count for count in needed if count is not None), default=None), affordable_lives_count)


def visible_effect(*, sd_ratio: float, lives_count: int, alpha: float, tolerance: float) -> float:
    """
    Return the smallest slowdown, as a share, that so many lives can be expected to find; infinite for too few lives.

    Example:
        >>> round(visible_effect(sd_ratio=0.02, lives_count=30, alpha=0.01, tolerance=0.005), 4)
        0.0189
    """
    if lives_count < least_lives(alpha):
        return math.inf
    return math.expm1(math.log1p(tolerance) + sd_ratio * math.sqrt(2 * (math.log(1 / alpha) + 2.5) / lives_count))


def visible_effects(*, sd_ratio: float, alpha: float, tolerance: float) -> dict[float, int]:
    """Return how many lives the usual effects of 1 to 50 % need; an effect that none can show is left out."""
    needed = {
        effect: lives_needed(math.log1p(effect) - math.log1p(tolerance), sd_ratio=sd_ratio, alpha=alpha)
        for effect in _EFFECTS_RATIO
    }
    return {effect: count for effect, count in needed.items() if count is not None}
