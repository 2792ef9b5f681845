"""
Whether groups have drifted apart: the gap between the best and the worst served value of a column, after minus before.

A candidate may lose nothing on average and still widen the distance between groups. Estimates are fairlearn's; their
bounds come from a paired bootstrap over examples, which keeps the two answers to one example together. How often each
example stands in a resample is drawn like this, for each column anew:

    >>> rng, n = np.random.default_rng(0), 4
    >>> [np.bincount(rng.integers(n, size=n), minlength=n).tolist() for _ in range(2)]
    [[0, 1, 2, 1], [3, 1, 0, 0]]
"""

import dataclasses
from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from perflib.errors import DataError
from perflib.results import Change, GapResult
from perflib.validation import quality
from perflib.validation.families import FAMILY_ALPHA_RATIO
from perflib.validation.predictions import Paired

LEAST_EXAMPLE_COUNT = 50
# The weights of so many resamples of some thousand examples take a few megabytes.
_CHUNK_COUNT = 200


def gap_results(
    paired: Paired,
    columns: Mapping[str, Sequence[str]],
    *,
    seed: int = 0,
    resample_count: int = 2_000,
    level: float | None = None,
) -> tuple[GapResult, ...]:
    """
    Return by how much the gap of each column grew, for columns with at least two values of 50 examples or more.

    The gap is the largest minus the smallest accuracy over those values; other values are left out. With two classes
    the equalised-odds difference is the larger of two such ranges, of the true and of the false positive rate. A value
    without any example of one class is left out of it, where fairlearn would count the missing rate as 0; there is
    none without two values. An answer that is not finite is a wrong one.

    Bounds are quantiles (linear between neighbours) of the increase over resamples of all examples. A value without
    any example of a class in a resample is left out of that rate there, and the range over a single one is 0.

    Args:
        paired: Both models' answers.
        columns: One value per example each.
        seed: Of the resamples, the same for each column.
        resample_count: How many.
        level: Of each one-sided bound; by default ``1 - 0.05 / columns``, counting those that have a result.

    Raises:
        DataError: Where columns and answers differ in their number of examples.
    """
    answered = np.stack([quality.answers(paired.baseline), quality.answers(paired.candidate)])
    groups = [_Groups.of(column, values, paired, answered) for column, values in columns.items()]
    judged = [one for one in groups if len(one.values) >= 2]
    bound_level = 1 - FAMILY_ALPHA_RATIO / max(len(judged), 1) if level is None else level
    results = []
    for one in judged:
        sums = one.resampled_sums(seed=seed, resample_count=resample_count)
        gap = _change(f"accuracy gap by {one.column}", one.gaps(), _gap_increases(sums), level=bound_level)
        odds = None
        if one.is_mixed.sum() >= 2:
            increases = _odds_increases(sums[:, :, one.is_mixed])
            odds = _change(f"equalised odds by {one.column}", one.odds(), increases, level=bound_level)
        results.append(GapResult(one.column, one.values, gap, odds))
    return tuple(results)


@dataclasses.dataclass(frozen=True)
class _Groups:
    """
    One column's large values, and what both models answered to their examples.

    ``places`` says for each example which of the values it has, -1 for another; ``answered`` has shape (2, examples),
    baseline first; ``is_mixed`` marks values with examples of both classes, none where there are not two classes.
    """

    column: str
    values: tuple[str, ...]
    places: NDArray[np.int64]
    labels: NDArray[np.int64]
    answered: NDArray[np.int64]
    is_mixed: NDArray[np.bool_]

    @classmethod
    def of(cls, column: str, values: Sequence[str], paired: Paired, answered: NDArray[np.int64]) -> "_Groups":
        if len(values) != len(paired):
            raise DataError(f"{column} has {len(values)} values for {len(paired)} answers; give one per example.")
        large = tuple(sorted(value for value, count in Counter(values).items() if count >= LEAST_EXAMPLE_COUNT))
        of_value = {value: place for place, value in enumerate(large)}
        places = np.array([of_value.get(value, -1) for value in values], np.int64)
        has_two = paired.baseline.shape[1] == 2
        is_mixed = [has_two and len(np.unique(paired.labels[places == place])) == 2 for place in range(len(large))]
        return cls(column, large, places, paired.labels, answered, np.array(is_mixed, bool))

    def gaps(self) -> tuple[float, float]:
        """Return the baseline's and the candidate's gap in accuracy."""
        from fairlearn.metrics import MetricFrame
        from sklearn.metrics import accuracy_score

        rows = self.places >= 0
        before, after = (
            MetricFrame(
                metrics=accuracy_score,
                y_true=self.labels[rows],
                y_pred=answers[rows],
                sensitive_features=self.places[rows],
            ).difference()
            for answers in self.answered
        )
        return float(before), float(after)

    def odds(self) -> tuple[float, float]:
        """Return the baseline's and the candidate's equalised-odds difference."""
        from fairlearn.metrics import equalized_odds_difference

        rows = np.isin(self.places, np.flatnonzero(self.is_mixed))
        # fairlearn knows two classes only, so an answer that is none of them becomes the wrong one.
        known = np.where(self.answered < 0, 1 - self.labels, self.answered)
        before, after = (
            equalized_odds_difference(self.labels[rows], answers[rows], sensitive_features=self.places[rows])
            for answers in known
        )
        return float(before), float(after)

    def resampled_sums(self, *, seed: int, resample_count: int) -> NDArray[np.float64]:
        """
        Return how many examples of each value and class are in a resample, and how many of them each model gets right.

        Returns:
            Counts, shape (resamples, 3, values, classes): all, right before, right after. Without mixed values there
            is a single class, of all examples.
        """
        class_count = 2 if self.is_mixed.any() else 1
        cells = self.places * class_count + (self.labels if class_count == 2 else 0)
        is_inside = cells[:, None] == np.arange(len(self.values) * class_count)
        before, after = (self.answered == self.labels)[:, :, None]
        table = np.hstack([is_inside, is_inside & before, is_inside & after]).astype(np.float64)
        rng, n = np.random.default_rng(seed), len(table)
        chunks = []
        for start in range(0, resample_count, _CHUNK_COUNT):
            count = min(_CHUNK_COUNT, resample_count - start)
            weights = [np.bincount(rng.integers(n, size=n), minlength=n) for _ in range(count)]
            chunks.append(np.array(weights, np.float64) @ table)
        return np.concatenate(chunks).reshape(resample_count, 3, len(self.values), class_count)


def _gap_increases(sums: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the increase of the gap in accuracy in every resample."""
    gaps = _ranges(sums.sum(axis=3))
    return gaps[:, 1] - gaps[:, 0]


def _odds_increases(sums: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the increase of the equalised-odds difference in every resample."""
    # The share of false positives is 1 minus the recall of the other class, so its range is that recall's.
    odds = _ranges(sums).max(axis=2)
    increases: NDArray[np.float64] = odds[:, 1] - odds[:, 0]
    return increases


def _ranges(sums: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return each model's range of the share of right answers over values with any example; -inf without one."""
    all_count, right_count = sums[:, :1], sums[:, 1:]
    shares = right_count / np.maximum(all_count, 1)
    highest = np.where(all_count > 0, shares, -np.inf).max(axis=2)
    lowest = np.where(all_count > 0, shares, np.inf).min(axis=2)
    ranges: NDArray[np.float64] = highest - lowest
    return ranges


def _change(name: str, before_after: tuple[float, float], increases: NDArray[np.float64], *, level: float) -> Change:
    before, after = before_after
    low, high = np.quantile(increases, [1 - level, level])
    return Change(name, after - before, float(low), float(high), level)
