"""Accuracy in every part of the test split: slices by column and value, and classes."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from perflib.governance.recompute.bounds import FAMILY_ALPHA_RATIO, Pairs, gated_levels
from perflib.governance.recompute.kept import Answers, Flags


def columns_of(answers: Answers) -> Mapping[str, NDArray[np.str_]]:
    """Return the columns that cut the split at all; one with a single value is the whole split again."""
    return {name: values for name, values in answers.slices.items() if len(np.unique(values)) > 1}


def slices(answers: Answers, *, bound_ratio: float, has_free_ties: bool) -> list[dict[str, Any]]:
    """
    Return every slice, in the order of the columns and of their sorted values.

    Args:
        answers: Both models'.
        bound_ratio: The loss that a gated slice has to be able to rule out.
        has_free_ties: Whether flips count as none where the baseline was undecided.
    """
    before = answers.is_right_before
    counted = np.where(answers.is_tie & has_free_ties, before, answers.is_right_after)
    cut = [
        (column, str(value), values == value)
        for column, values in columns_of(answers).items()
        for value in np.unique(values)
    ]
    family = [Pairs.of(before[rows], counted[rows]) for _, _, rows in cut]
    levels = gated_levels(family, bound_ratio=bound_ratio)
    return [
        {"column": column, "value": value, **_slice(answers, rows, family[place], levels.get(place))}
        for place, (column, value, rows) in enumerate(cut)
    ]


def classes(answers: Answers, *, bound_ratio: float) -> list[dict[str, Any]]:
    """
    Return every class: how its recall changes, and how often it is the answer.

    Args:
        answers: Both models'.
        bound_ratio: As in `slices`, for the examples of a class.
    """
    of_class = [answers.labels == label for label in range(answers.class_count)]
    recalls = [Pairs.of(answers.is_right_before[rows], answers.is_right_after[rows]) for rows in of_class]
    levels = gated_levels(recalls, bound_ratio=bound_ratio)
    # A class may be answered too rarely or too often, so each pays for both.
    rate_level = 1 - FAMILY_ALPHA_RATIO / 2 / answers.class_count
    found = []
    for label, recall in enumerate(recalls):
        rate = Pairs.of(answers.label_before == label, answers.label_after == label)
        found.append(
            {
                "example_count": recall.example_count,
                "is_gated": label in levels,
                "recall_change": recall.change(levels.get(label, 1 - FAMILY_ALPHA_RATIO)),
                "rate_change": rate.change(rate_level),
            }
        )
    return found


def _slice(answers: Answers, rows: Flags, pairs: Pairs, level: float | None) -> dict[str, Any]:
    before, after = answers.is_right_before[rows], answers.is_right_after[rows]
    wilson = stats.binomtest(int(before.sum()), len(before)).proportion_ci(0.95, method="wilson")
    holm = (
        {} if level is None else {"holm_low_ratio": pairs.low_ratio(level), "holm_high_ratio": pairs.high_ratio(level)}
    )
    return {
        "example_count": len(before),
        "baseline_accuracy_ratio": float(before.mean()),
        "baseline_low_ratio": float(wilson.low),
        "baseline_high_ratio": float(wilson.high),
        "candidate_accuracy_ratio": float(after.mean()),
        "change_ratio": pairs.change_ratio,
        "change_low_ratio": pairs.low_ratio(1 - FAMILY_ALPHA_RATIO),
        "negative_flip_count": pairs.worse_count,
        "positive_flip_count": pairs.better_count,
        "is_gated": level is not None,
        "is_exploratory": False,
        **(holm or {}),
    }
