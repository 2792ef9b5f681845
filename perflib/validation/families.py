"""
Many looks at once: what a family of comparisons pays, so that looking fifty times does not find a bad one by chance.

Every comparison counts pairs in which exactly one model is right. Its bounds are Tango's at a level that pays for the
whole family by Holm's method: the clearest harm pays for all, the next for one less, until one is not clear.

    >>> family = [Discordant(30, 2, 500), Discordant(3, 2, 500)]
    >>> [round(level, 4) for level in holm_levels(family)]
    [0.975, 0.95]
"""

import dataclasses
import math
from collections.abc import Sequence

from perflib.results import Validation
from perflib.validation.quality import normal_quantile, tango_lower

FAMILY_ALPHA_RATIO = 0.05


@dataclasses.dataclass(frozen=True)
class Discordant:
    """Pairs in which only the baseline is right (``worse_count``) or only the candidate, of ``example_count``."""

    worse_count: int
    better_count: int
    example_count: int

    @classmethod
    def of(cls, validation: Validation) -> "Discordant":
        """Return the counts of a candidate on the whole test split."""
        return cls(validation.negative_flip_count, validation.positive_flip_count, validation.example_count)

    @property
    def change_ratio(self) -> float:
        """The candidate's share of right answers minus the baseline's."""
        return (self.better_count - self.worse_count) / self.example_count

    def low_ratio(self, level: float) -> float:
        """Return the one-sided lower bound of the change."""
        return tango_lower(self.worse_count, self.better_count, self.example_count, level=level)

    def high_ratio(self, level: float) -> float:
        """Return the one-sided upper bound of the change: minus the lower bound of its opposite."""
        return -tango_lower(self.better_count, self.worse_count, self.example_count, level=level)


def holm_levels(family: Sequence[Discordant], *, alpha_ratio: float = FAMILY_ALPHA_RATIO) -> tuple[float, ...]:
    """
    Return the level of each member's one-sided bounds, in their order.

    A member is shown to be worse where its upper bound at this level is below zero. That any member is shown so by
    chance has a probability of at most ``alpha_ratio``, up to the third of a point that a score test may take for few
    flips.
    """
    scores = [_score(one) for one in family]
    levels, share_count = [0.0] * len(family), len(family)
    for place in sorted(range(len(family)), key=lambda place: -scores[place]):
        levels[place] = 1 - alpha_ratio / share_count
        # Whoever comes after one that is not shown pays as much as that one did.
        if scores[place] > normal_quantile(levels[place]):
            share_count -= 1
    return tuple(levels)


def holm_non_inferior(
    family: Sequence[Discordant], *, margin_ratios: Sequence[float], alpha_ratio: float = FAMILY_ALPHA_RATIO
) -> tuple[tuple[float, bool], ...]:
    """
    Say which candidates lose less than their margin, so that calling any wrongly so has a chance of ``alpha_ratio``.

    Holm's method: a candidate is shown where its one-sided lower bound stays above minus the margin at the level that
    pays for all those not shown yet; each one that is shown leaves more for the rest.

    Args:
        family: The paired counts of every finalist on the same examples.
        margin_ratios: For each the loss of accuracy that is allowed.
        alpha_ratio: Of the whole family.

    Returns:
        For each, the level of its bound and whether it is shown.

    Example:
        >>> none, many = Discordant(0, 0, 400), Discordant(30, 2, 400)
        >>> holm_non_inferior([many, none], margin_ratios=[0.02, 0.02])
        ((0.95, False), (0.975, True))
    """
    levels: dict[int, float] = {}
    left = list(range(len(family)))
    while left:
        level = 1 - alpha_ratio / len(left)
        shown = next((place for place in left if family[place].low_ratio(level) > -margin_ratios[place]), None)
        if shown is None:
            return tuple((levels.get(place, level), place in levels) for place in range(len(family)))
        levels[shown] = level
        left.remove(shown)
    return tuple((levels[place], True) for place in range(len(family)))


def large_enough(
    example_counts: Sequence[int], *, bound_ratio: float, alpha_ratio: float = FAMILY_ALPHA_RATIO
) -> tuple[bool, ...]:
    """
    Say which members can be judged: those whose lower bound with a single flip for the worse lies above the loss.

    Without that one flip a member would be called undecided by the first answer that changes. The smallest leave first,
    because the rest of the family then pays less; of equals, the last in order.

    Example:
        >>> large_enough([1000, 40, 200], bound_ratio=0.05)
        (True, False, True)
    """
    ranked = sorted(range(len(example_counts)), key=lambda place: -example_counts[place])
    while ranked:
        smallest_count = example_counts[ranked[-1]]
        level = 1 - alpha_ratio / len(ranked)
        if smallest_count and tango_lower(1, 0, smallest_count, level=level) > -bound_ratio:
            break
        ranked.pop()
    kept = set(ranked)
    return tuple(place in kept for place in range(len(example_counts)))


def _score(one: Discordant) -> float:
    """Return the standard normal score of McNemar's test that the candidate is worse."""
    discordant_count = one.worse_count + one.better_count
    return (one.worse_count - one.better_count) / math.sqrt(discordant_count) if discordant_count else 0.0
