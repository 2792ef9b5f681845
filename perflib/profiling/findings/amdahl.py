"""
What the whole gains when a part of it becomes faster: Amdahl's law, for one part and for several.

    >>> amdahl(0.5, None), amdahl(0.5, 2.0)
    (2.0, 1.3333333333333333)
"""

from collections.abc import Sequence

from perflib.errors import ParameterError


def amdahl(share_ratio: float, part_speedup_ratio: float | None) -> float:
    """
    Return how many times as fast the whole becomes.

    Args:
        share_ratio: Share of the time that is touched, 0 to 1.
        part_speedup_ratio: How many times as fast that part becomes; None if it goes away.

    Raises:
        ParameterError: If the share is none, the factor is not positive, or nothing would be left.
    """
    if not 0 <= share_ratio <= 1:
        raise ParameterError(f"`share_ratio` is {share_ratio}; give a share of the time from 0 to 1.")
    if part_speedup_ratio is not None and not part_speedup_ratio > 0:
        raise ParameterError(f"`part_speedup_ratio` is {part_speedup_ratio}; give more than 0, or None.")
    left_ratio = 1 - share_ratio + (0.0 if part_speedup_ratio is None else share_ratio / part_speedup_ratio)
    if left_ratio <= 0:
        raise ParameterError("all of the time cannot go away; give a share below 1, or a factor.")
    return 1 / left_ratio


def combined_speedup(parts: Sequence[tuple[float, float | None]]) -> tuple[float, float | None]:
    """
    Return several parts as one: their share together, and how many times as fast they become together.

    Args:
        parts: Share and factor of each, as for `amdahl`; they do not overlap.

    Example:
        >>> combined_speedup([(0.5, 4.0), (0.25, None)])
        (0.75, 6.0)
        >>> combined_speedup([(0.4, None)])
        (0.4, None)
    """
    share_ratio = sum(share for share, _ in parts)
    left_ratio = sum(share / factor for share, factor in parts if factor is not None)
    return share_ratio, share_ratio / left_ratio if left_ratio > 0 else None
