"""
Two JSON documents, number by number: what was compared, what was left out, and what differs.

    >>> theirs, mine = {"n": 2, "rows": [{"x": 0.5, "note": "why"}]}, {"n": 2, "rows": [{"x": 0.25}]}
    >>> differences(theirs, mine, believed=()).differing
    ('rows.0.x',)
"""

import dataclasses
import math
from collections.abc import Iterable, Mapping
from typing import Any

# Relative for numbers above 1, absolute below.
TOLERANCE_RATIO = 1e-9


@dataclasses.dataclass(frozen=True)
class Differences:
    """
    What a record says against what follows from the kept answers.

    ``left_out_count`` numbers of the record were believed. ``differing`` are the paths of values that differ, that are
    missing, or that are new; a path is written with dots, such as ``slices.1.change_ratio``.
    """

    compared_count: int
    left_out_count: int
    largest_difference: float
    differing: tuple[str, ...]

    def __str__(self) -> str:
        """Return the counts in one line."""
        return (
            f"{self.compared_count} values compared, {self.left_out_count} not; "
            f"largest difference {self.largest_difference:.1e}"
        )


def differences(theirs: Mapping[str, Any], mine: Mapping[str, Any], *, believed: Iterable[str]) -> Differences:
    """
    Compare every number of a record, and every word that was recomputed.

    Args:
        theirs: The record.
        mine: What was recomputed, in the same shape.
        believed: The fields of the record that nobody can recompute; their numbers are counted and left out.
    """
    said, found = _leaves(theirs), _leaves(mine)
    numbers = {path for path, value in said.items() if not isinstance(value, str)}
    left_out = {path for path in numbers if path.split(".")[0] in set(believed)} - set(found)
    compared = sorted((numbers - left_out) | set(found))
    distances = {path: _distance(said.get(path), found.get(path)) for path in compared}
    return Differences(
        compared_count=len(compared),
        left_out_count=len(left_out),
        largest_difference=max(distances.values(), default=0.0),
        differing=tuple(path for path, distance in distances.items() if not distance <= TOLERANCE_RATIO),
    )


def _leaves(value: Any, path: str = "") -> dict[str, Any]:
    """Return every value that is no list and no object, by its path; None and NaN are no values."""
    if isinstance(value, Mapping):
        items = [(str(key), one) for key, one in value.items()]
    elif isinstance(value, list | tuple):
        items = [(str(place), one) for place, one in enumerate(value)]
    else:
        is_unknown = value is None or (isinstance(value, float) and math.isnan(value))
        return {} if is_unknown else {path: value}
    return {where: leaf for key, one in items for where, leaf in _leaves(one, f"{path}.{key}" if path else key).items()}


def _distance(said: Any, found: Any) -> float:
    """Return how far two values are apart; words are equal or infinitely far, and so is what one side lacks."""
    if said is None or found is None or isinstance(said, str) or isinstance(found, str):
        return 0.0 if said == found else math.inf
    return abs(float(said) - float(found)) / max(1.0, abs(float(found)))
