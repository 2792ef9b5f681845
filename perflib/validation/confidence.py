"""
Whether a model's confidence can be believed: calibration error, Brier score, log loss, and how they change.

The expected calibration error (ECE) is biased upwards where examples are few and depends on its bins. So it is given
with bins of equal width and of equal mass, and what counts is the paired change between two models, never a level.

    >>> labels, probabilities = np.array([0, 0, 1, 0]), np.array([[0.9, 0.1]] * 4)
    >>> round(describe_confidence(labels, probabilities).ece_ratio, 3)
    0.15
"""

import numpy as np
from numpy.typing import NDArray

from perflib.errors import DataError
from perflib.results import Change, Confidence, ReliabilityBin
from perflib.validation.distances import LEAST_PROBABILITY_RATIO
from perflib.validation.quality import answers

BIN_COUNT = 15
RESAMPLE_COUNT = 10_000
CHANGE_NAMES = ("ece", "ece_mass", "brier", "nll", "accuracy")

_EDGES = np.arange(BIN_COUNT) / BIN_COUNT
# So many resamples at once keep the weights of some thousand examples within about ten megabytes.
_CHUNK_COUNT = 200


def describe_confidence(labels: NDArray[np.int64], probabilities: NDArray[np.floating]) -> Confidence:
    """
    Describe one model.

    Args:
        labels: True classes, shape (examples,).
        probabilities: Finite, shape (examples, classes).

    Raises:
        DataError: If there is no example, a probability is not finite, or there are not as many labels.
    """
    _check(labels, probabilities)
    top, right = _top(labels, probabilities)
    place = equal_width_bins(top)
    bins = tuple(_bin(index, top[place == index], right[place == index]) for index in range(BIN_COUNT))
    gaps = [
        abs(one.accuracy_ratio - one.confidence_ratio)
        for one in bins
        if one.accuracy_ratio is not None and one.confidence_ratio is not None
    ]
    ece, ece_mass, brier, nll, _ = _averages(np.ones((1, len(labels))), _columns(labels, probabilities))[0]
    return Confidence(
        ece_ratio=float(ece),
        ece_mass_ratio=float(ece_mass),
        mce_ratio=max(gaps),
        brier_score=float(brier),
        nll_nat=float(nll),
        bins=bins,
    )


def confidence_changes(
    labels: NDArray[np.int64],
    baseline: NDArray[np.floating],
    candidate: NDArray[np.floating],
    *,
    seed: int = 0,
    resample_count: int = RESAMPLE_COUNT,
    level: float = 0.95,
) -> tuple[Change, ...]:
    """
    Return candidate minus baseline with one-sided bounds of a paired bootstrap, in the order of `CHANGE_NAMES`.

    Examples are resampled, both models together. Anyone can draw the same again: one ``np.random.default_rng(seed)``
    makes the resamples one after another, each as ``rng.integers(count, size=count)``, and an example weighs as often
    as it was drawn. The bounds are ``np.quantile`` of the changes, at ``1 - level`` and at ``level``. An example stays
    in the bin that it has in the whole data, also in a bin of equal mass, whose mass then varies between resamples.

    Args:
        labels: True classes, shape (examples,).
        baseline: Finite probabilities, shape (examples, classes).
        candidate: The same of the candidate, the examples in the same order.
        seed: Of the resampling.
        resample_count: How many resamples.
        level: Of each bound by itself.

    Raises:
        DataError: If there is no example, a probability is not finite, or there are not as many labels.
    """
    for probabilities in (baseline, candidate):
        _check(labels, probabilities)
    count = len(labels)
    before, after = _columns(labels, baseline), _columns(labels, candidate)
    whole = np.ones((1, count))
    estimates = _averages(whole, after)[0] - _averages(whole, before)[0]
    rng, resampled = np.random.default_rng(seed), np.empty((resample_count, len(CHANGE_NAMES)))
    for start in range(0, resample_count, _CHUNK_COUNT):
        rows = min(_CHUNK_COUNT, resample_count - start)
        weights = np.stack([np.bincount(rng.integers(count, size=count), minlength=count) for _ in range(rows)])
        drawn = weights.astype(np.float64)
        resampled[start : start + rows] = _averages(drawn, after) - _averages(drawn, before)
    lows, highs = np.quantile(resampled, [1 - level, level], axis=0)
    return tuple(
        Change(name, float(estimate), float(low), float(high), level)
        for name, estimate, low, high in zip(CHANGE_NAMES, estimates, lows, highs, strict=True)
    )


def equal_width_bins(top: NDArray[np.float64]) -> NDArray[np.int64]:
    """
    Return the bin of each confidence; a bin begins with its lower edge, and the last one holds 1 too.

    Example:
        >>> equal_width_bins(np.array([0.0, 0.59, 0.6, 1.0])).tolist()
        [0, 8, 9, 14]
    """
    return np.searchsorted(_EDGES, top, side="right") - 1


def equal_mass_bins(top: NDArray[np.float64]) -> NDArray[np.int64]:
    """
    Return the bin of each confidence: rank · 15 // examples. Equal ones are ranked in the order of the data.

    With fewer examples than bins some bins are empty.

    Example:
        >>> equal_mass_bins(np.array([0.9, 0.6, 0.7])).tolist()
        [10, 0, 5]
    """
    ranks = np.empty(len(top), np.int64)
    ranks[np.argsort(top, kind="stable")] = np.arange(len(top))
    return ranks * BIN_COUNT // len(top)


def brier_scores(labels: NDArray[np.int64], probabilities: NDArray[np.floating]) -> NDArray[np.float64]:
    """
    Return the squared distance from the truth per example, summed over all classes: twice the binary form.

    Example:
        >>> brier_scores(np.array([0]), np.array([[0.9, 0.1]])).round(2).tolist()
        [0.02]
    """
    truth = np.eye(probabilities.shape[1])[labels]
    scores: NDArray[np.float64] = ((probabilities.astype(np.float64) - truth) ** 2).sum(axis=1)
    return scores


def log_loss_nat(labels: NDArray[np.int64], probabilities: NDArray[np.floating]) -> NDArray[np.float64]:
    """
    Return minus the log of the true class's probability per example, clipped from below at 1e-12.

    Example:
        >>> log_loss_nat(np.array([0, 1]), np.array([[0.5, 0.5], [1.0, 0.0]])).round(2).tolist()
        [0.69, 27.63]
    """
    of_truth = probabilities[np.arange(len(labels)), labels].astype(np.float64)
    return -np.log(np.maximum(of_truth, LEAST_PROBABILITY_RATIO))


def _check(labels: NDArray[np.int64], probabilities: NDArray[np.floating]) -> None:
    if not len(labels) or len(labels) != len(probabilities):
        raise DataError(
            f"confidence needs a label for every answer, and there are {len(labels)} labels and {len(probabilities)} "
            "answers; ask both models the same examples."
        )
    bad_count = int(np.sum(~np.isfinite(probabilities).all(axis=1)))
    if bad_count:
        raise DataError(
            f"confidence is of finite probabilities, and {bad_count} of {len(probabilities)} answers are not finite; "
            "leave those examples out and count them."
        )


def _top(
    labels: NDArray[np.int64], probabilities: NDArray[np.floating]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return each answer's confidence, and 1 where it is right."""
    return probabilities.max(axis=1).astype(np.float64), (answers(probabilities) == labels).astype(np.float64)


def _columns(labels: NDArray[np.int64], probabilities: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return what has to be averaged: per bin how far right and confident differ, then scores; one row per example."""
    top, right = _top(labels, probabilities)
    gap, one_hot = (right - top)[:, None], np.eye(BIN_COUNT)
    scores = [brier_scores(labels, probabilities), log_loss_nat(labels, probabilities), right]
    return np.hstack(
        [one_hot[equal_width_bins(top)] * gap, one_hot[equal_mass_bins(top)] * gap, np.column_stack(scores)]
    )


def _averages(weights: NDArray[np.float64], columns: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the numbers of `CHANGE_NAMES`, one row per row of weights; a row's weights sum to the examples."""
    means = weights @ columns / len(columns)
    width, mass = means[:, :BIN_COUNT], means[:, BIN_COUNT : 2 * BIN_COUNT]
    return np.column_stack([np.abs(width).sum(axis=1), np.abs(mass).sum(axis=1), means[:, 2 * BIN_COUNT :]])


def _bin(index: int, top: NDArray[np.float64], right: NDArray[np.float64]) -> ReliabilityBin:
    return ReliabilityBin(
        low_ratio=index / BIN_COUNT,
        high_ratio=(index + 1) / BIN_COUNT,
        example_count=len(top),
        confidence_ratio=float(top.mean()) if len(top) else None,
        accuracy_ratio=float(right.mean()) if len(top) else None,
    )
