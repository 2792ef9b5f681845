"""
Bounds of a change between two models that answered the same examples, and what many looks at once pay.

Tango's interval (1998): the changes d that a score test does not reject. Here its lower end is found where the test's
excess over the normal quantile is zero, by bisection; Holm's method then decides at which level each member of a
family stands.

    >>> round(Pairs(9, 4, 872).low_ratio(0.95), 4)
    -0.0136
"""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from scipy import optimize, special

from perflib.governance.recompute.kept import Flags

FAMILY_ALPHA_RATIO = 0.05
LEVEL_RATIO = 0.95
# A bisection that stops at the estimate itself would divide zero by zero there.
_LEAST = 1e-12
_PRECISION = 1e-14


@dataclasses.dataclass(frozen=True)
class Pairs:
    """Examples in which only the baseline is right (``worse_count``), or only the candidate, of ``example_count``."""

    worse_count: int
    better_count: int
    example_count: int

    @classmethod
    def of(cls, before: Flags, after: Flags) -> "Pairs":
        """Count where one of two models is right."""
        return cls(int(np.sum(before & ~after)), int(np.sum(after & ~before)), len(before))

    @property
    def change_ratio(self) -> float:
        """The candidate's share of right answers minus the baseline's; 0 without examples."""
        return (self.better_count - self.worse_count) / max(self.example_count, 1)

    @property
    def score(self) -> float:
        """How many standard errors the candidate is worse (McNemar); 0 where no answer flips."""
        return (self.worse_count - self.better_count) / math.sqrt(max(self.worse_count + self.better_count, 1))

    def low_ratio(self, level: float) -> float:
        """Return the one-sided lower bound of the change; -1 where nothing can be ruled out."""
        n10, n01, n = self.worse_count, self.better_count, self.example_count
        if n in (0, n10):
            return -1.0
        quantile = float(special.ndtri(level))

        def excess(change: float) -> float:
            linear = -n10 - n01 - (2 * n - n10 + n01) * change
            constant = n01 * change * (1 + change)
            root = math.sqrt(max(linear * linear - 8 * n * constant, 0.0))
            variance = max((root - linear) / 2 - n * change * (1 + change), 0.0)
            return n01 - n10 - n * change - quantile * math.sqrt(variance)

        low: float = optimize.bisect(excess, -1.0, self.change_ratio - _LEAST, xtol=_PRECISION)
        return low

    def high_ratio(self, level: float) -> float:
        """Return the one-sided upper bound: the lower one with the models' roles swapped."""
        return -Pairs(self.better_count, self.worse_count, self.example_count).low_ratio(level)

    def change(self, level: float = LEVEL_RATIO) -> dict[str, Any]:
        """Return estimate, bounds and level as a record writes them."""
        return {
            "estimate": self.change_ratio,
            "low": self.low_ratio(level),
            "high": self.high_ratio(level),
            "level_ratio": level,
        }


def gated_levels(
    family: Sequence[Pairs], *, bound_ratio: float | None = None, may: Sequence[bool] | None = None
) -> Mapping[int, float]:
    """
    Return the level of each member that is judged, by its place; who is missing is too small, or may not be judged.

    Args:
        family: The members.
        bound_ratio: A member that could not rule out this loss with a single flip is too small; None judges all.
        may: Which members may be judged at all.
    """
    places = [place for place in range(len(family)) if may is None or may[place]]
    if bound_ratio is not None:
        places = _large_enough(family, places, bound_ratio)
    # Holm: the clearest harm pays for all, the next for one less, until one is not clear.
    levels: dict[int, float] = {}
    payers_count = len(places)
    for place in sorted(places, key=lambda place: (-family[place].score, place)):
        levels[place] = 1 - FAMILY_ALPHA_RATIO / payers_count
        payers_count -= family[place].score > special.ndtri(levels[place])
    return levels


def not_shown_together(family: Mapping[str, tuple[Pairs, float]]) -> frozenset[str]:
    """
    Return who cannot be shown to lose less than its margin, all members together (Holm's step-down).

    Args:
        family: For each name its pairs and the margin.
    """
    left = set(family)
    while left:
        level = 1 - FAMILY_ALPHA_RATIO / len(left)
        shown = {name for name in left if family[name][0].low_ratio(level) > -family[name][1]}
        if not shown:
            break
        # One at a time or all at once: whoever is shown at this level is shown at the next one, which asks less.
        left -= shown
    return frozenset(left)


def _large_enough(family: Sequence[Pairs], places: Sequence[int], bound_ratio: float) -> list[int]:
    """Leave out the smallest until the smallest left bears one flip; of equals the last in order leaves first."""
    ranked = sorted(places, key=lambda place: -family[place].example_count)
    for count in range(len(ranked), 0, -1):
        smallest = Pairs(1, 0, family[ranked[count - 1]].example_count)
        if smallest.example_count and smallest.low_ratio(1 - FAMILY_ALPHA_RATIO / count) > -bound_ratio:
            return ranked[:count]
    return []
