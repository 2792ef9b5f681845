"""Whether a model's confidence can be believed: bins, ECE, Brier score and log loss, and how they change."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from scipy import stats

from perflib.governance.recompute.kept import Answers, Flags, Floats, Labels
from perflib.governance.recompute.resampling import bootstrap

_BIN_COUNT = 15
_LEAST_PROBABILITY_RATIO = 1e-12
_CHANGES = ("ece", "ece_mass", "brier", "nll", "accuracy")


def confidence(answers: Answers, *, seed: int) -> dict[str, Any]:
    """
    Return each model's confidence and the changes between them; a model with an answer that is no number has none.

    Args:
        answers: Both models'.
        seed: Of the record.
    """
    found: dict[str, Any] = {}
    arms = []
    for arm, probabilities, is_right in (
        ("baseline", answers.baseline, answers.is_right_before),
        ("candidate", answers.candidate, answers.is_right_after),
    ):
        if np.isfinite(probabilities).all():
            columns = _columns(answers.labels, probabilities, is_right)
            arms.append(columns)
            found[f"{arm}_confidence"] = _described(columns, probabilities.max(axis=1), is_right)
    if len(arms) == 2:
        example_count = len(answers.labels)

        def changes(sums: Floats) -> Floats:
            before, after = (_statistics(part, example_count) for part in np.split(sums, 2, axis=1))
            return after - before

        bounded = bootstrap(np.hstack(arms), changes, seed=seed)
        found["differences"] = [{"name": name, **one} for name, one in zip(_CHANGES, bounded, strict=True)]
    return found


def _columns(labels: Labels, probabilities: Floats, is_right: Flags) -> Floats:
    """Return what is summed, one row per example: its excess of confidence in either bin, its scores, and if right."""
    top, truth = probabilities.max(axis=1), np.eye(probabilities.shape[1])[labels]
    excess, places = is_right - top, np.arange(_BIN_COUNT)
    mass = (stats.rankdata(top, "ordinal") - 1) * _BIN_COUNT // len(top)
    of_truth = (probabilities * truth).sum(axis=1)
    return np.column_stack(
        [
            (_width_bin(top)[:, None] == places) * excess[:, None],
            (mass[:, None] == places) * excess[:, None],
            ((probabilities - truth) ** 2).sum(axis=1),
            -np.log(np.maximum(of_truth, _LEAST_PROBABILITY_RATIO)),
            is_right,
        ]
    )


def _width_bin(top: Floats) -> Labels:
    """Return the bin of equal width: how many lower edges a confidence reaches, the first one aside."""
    bins: Labels = np.sum([top >= edge / _BIN_COUNT for edge in range(1, _BIN_COUNT)], axis=0)
    return bins


def _statistics(sums: Floats, example_count: int) -> Floats:
    """Return ECE of both kinds of bins, then the means; shape (draws, 5) from sums of shape (draws, columns)."""
    means = sums / example_count
    width, mass = np.abs(means[:, :_BIN_COUNT]), np.abs(means[:, _BIN_COUNT : 2 * _BIN_COUNT])
    return np.column_stack([width.sum(axis=1), mass.sum(axis=1), means[:, 2 * _BIN_COUNT :]])


def _described(columns: Floats, top: Floats, is_right: Flags) -> Mapping[str, Any]:
    ece, ece_mass, brier, nll, _ = _statistics(columns.sum(axis=0, keepdims=True), len(top))[0].tolist()
    bins = [_bin(place, top, is_right, _width_bin(top) == place) for place in range(_BIN_COUNT)]
    gaps = [abs(one["confidence_ratio"] - one["accuracy_ratio"]) for one in bins if one["example_count"]]
    return {
        "ece_ratio": ece,
        "ece_mass_ratio": ece_mass,
        "mce_ratio": max(gaps),
        "brier_score": brier,
        "nll_nat": nll,
        "bins": bins,
    }


def _bin(place: int, top: Floats, is_right: Flags, is_inside: Flags) -> dict[str, Any]:
    has_any = bool(is_inside.any())
    return {
        "low_ratio": place / _BIN_COUNT,
        "high_ratio": (place + 1) / _BIN_COUNT,
        "example_count": int(is_inside.sum()),
        "confidence_ratio": float(top[is_inside].mean()) if has_any else None,
        "accuracy_ratio": float(is_right[is_inside].mean()) if has_any else None,
    }
