"""Whether groups drift apart: the range of accuracy over the values of a column, and of true and false positives."""

from typing import Any

import numpy as np

from perflib.governance.recompute.bounds import FAMILY_ALPHA_RATIO
from perflib.governance.recompute.kept import Answers, Flags, Floats
from perflib.governance.recompute.parts import columns_of
from perflib.governance.recompute.resampling import bootstrap

_LEAST_EXAMPLE_COUNT = 50
_DRAW_COUNT = 2_000
# The least sure answers flip first in every model, so they are no group that could drift apart from another.
_NO_GROUP = "baseline margin"


def gaps(answers: Answers, *, seed: int) -> list[dict[str, Any]]:
    """
    Return for every column with two large values how their gap grew; with two classes the equalised odds too.

    Args:
        answers: Both models'.
        seed: Of the record.
    """
    groups = {
        column: [values == value for value in np.unique(values) if np.sum(values == value) >= _LEAST_EXAMPLE_COUNT]
        for column, values in columns_of(answers).items()
        if column != _NO_GROUP
    }
    judged = {column: some for column, some in groups.items() if len(some) > 1}
    ranges = {(column, "gap_increase"): [some] for column, some in judged.items()}
    for column, some in judged.items():
        mixed = [rows for rows in some if len(np.unique(answers.labels[rows])) == 2]
        if answers.class_count == 2 and len(mixed) > 1:
            # The rate of false positives is 1 minus the recall of the other class, and so has the same range.
            ranges[column, "odds_increase"] = [[rows & (answers.labels == label) for rows in mixed] for label in (0, 1)]
    level = 1 - FAMILY_ALPHA_RATIO / max(len(judged), 1)
    increases = _increases(answers, list(ranges.values()), seed=seed, level=level)
    found: dict[str, dict[str, Any]] = {column: {"column": column} for column in judged}
    for (column, field), increase in zip(ranges, increases, strict=True):
        found[column][field] = increase
    return list(found.values())


def _increases(
    answers: Answers, all_ranges: list[list[list[Flags]]], *, seed: int, level: float
) -> list[dict[str, Any]]:
    """Return how the largest of some ranges grows, for each of many; a range is over shares of right answers."""
    if not all_ranges:
        return []
    cells = np.column_stack([rows for ranges in all_ranges for some in ranges for rows in some])
    right = [cells & is_right[:, None] for is_right in (answers.is_right_before, answers.is_right_after)]

    def changes(sums: Floats) -> Floats:
        counts, before, after = np.split(sums, 3, axis=1)
        with np.errstate(invalid="ignore"):
            # A cell that a resample leaves empty is NaN, which fmax and fmin pass over.
            shares = np.stack([before / counts, after / counts])
        widest, start = [], 0
        for ranges in all_ranges:
            end = start + sum(len(some) for some in ranges)
            parts = shares[:, :, start:end].reshape(2, len(sums), len(ranges), -1)
            spreads = np.fmax.reduce(parts, axis=3) - np.fmin.reduce(parts, axis=3)
            widest.append(np.fmax.reduce(spreads, axis=2))
            start = end
        return np.column_stack([after - before for before, after in widest])

    columns = np.hstack([cells, *right]).astype(np.float64)
    return bootstrap(columns, changes, seed=seed, draw_count=_DRAW_COUNT, level=level)
