"""
Still right for every group: both models' accuracy slice by slice and class by class, with many looks paid for.

Looking at fifty slices finds a bad one by chance, so bounds are Holm's over all slices that are large enough to be
judged. The others are listed, and so is what a tree finds: it looked at the flips, so it proves nothing.

    >>> [(one.column, one.value, one.rows.tolist()) for one in cut({"length": ["short", "long", "short"]})]
    [('length', 'long', [False, True, False]), ('length', 'short', [True, False, True])]
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from perflib.errors import DataError
from perflib.results import Change, ClassResult, SliceResult
from perflib.validation import quality
from perflib.validation.families import FAMILY_ALPHA_RATIO, Discordant, holm_levels, large_enough
from perflib.validation.predictions import Paired

TREE_COLUMN = "found by a tree"
_TREE_DEPTH = 2
_TREE_LEAF_COUNT = 50


@dataclasses.dataclass(frozen=True)
class Slice:
    """A part of the split: the column and value that it comes from, and which rows belong to it, shape (examples,)."""

    column: str
    value: str
    rows: NDArray[np.bool_]


def cut(columns: Mapping[str, Sequence[str]]) -> list[Slice]:
    """
    Return a slice for every value of every column, in the order of columns and, within one, of sorted values.

    Raises:
        DataError: Where columns differ in their number of values.
    """
    counts = {column: len(values) for column, values in columns.items()}
    if len(set(counts.values())) > 1:
        raise DataError(f"every column to slice by needs one value per example, but there are {counts}.")
    return [
        Slice(column, value, np.array(list(values)) == value)
        for column, values in columns.items()
        for value in sorted(set(values))
    ]


def judge_slices(
    paired: Paired, slices: Sequence[Slice], *, bound_ratio: float, ignored: NDArray[np.bool_] | None = None
) -> tuple[SliceResult, ...]:
    """
    Return accuracy before and after for every slice, in their order, with Holm's bounds for those that are gated.

    A flip of an ignored example counts as an answer that did not change: it is in neither count of flips, nor in the
    change and its bounds. The two accuracies are plain, so their difference is the change only where nothing is
    ignored.

    Args:
        paired: Both models' answers.
        slices: From `cut`; the family is those that are large enough.
        bound_ratio: The loss that a bound has to exclude; a slice is gated if it would do so with one flip.
        ignored: The examples whose flips do not count, shape (examples,): those on which the baseline was undecided.

    Raises:
        DataError: Where a slice has no example, or rows and answers differ in number.
    """
    arms = _Arms.of(paired, ignored)
    family = [arms.discordant(one) for one in slices]
    levels = _levels(family, bound_ratio=bound_ratio)
    return tuple(_result(arms, one, level=level) for one, level in zip(slices, levels, strict=True))


def judge_exploratory(paired: Paired, slices: Sequence[Slice]) -> tuple[SliceResult, ...]:
    """Return accuracy before and after for slices that a search proposed; none is gated. Errors as `judge_slices`."""
    arms = _Arms.of(paired, None)
    return tuple(dataclasses.replace(_result(arms, one, level=None), is_exploratory=True) for one in slices)


def propose_slices(paired: Paired, columns: Mapping[str, Sequence[str]]) -> list[Slice]:
    """
    Let a shallow tree look for where negative flips gather.

    Args:
        paired: Both models' answers.
        columns: One value per example each, as for `cut`.

    Returns:
        The leaves with a larger share of negative flips than the whole, the densest first, at least 50 examples each;
        at most three, because the tree asks two questions. The value is the way to the leaf, in words.

    Raises:
        DataError: As `cut`, or where columns and answers differ in their number of examples.
    """
    from sklearn.tree import DecisionTreeClassifier

    arms, questions = _Arms.of(paired, None), _questions(columns)
    for one in questions:
        arms.check(one)
    if not questions or not arms.worse.any():
        return []
    table = np.column_stack([one.rows for one in questions])
    tree = DecisionTreeClassifier(max_depth=_TREE_DEPTH, min_samples_leaf=_TREE_LEAF_COUNT, random_state=0)
    leaf_of_each = tree.fit(table, arms.worse).apply(table)
    density = {int(leaf): float(arms.worse[leaf_of_each == leaf].mean()) for leaf in np.unique(leaf_of_each)}
    dense = [leaf for leaf in density if density[leaf] > arms.worse.mean()]
    paths = _paths(tree, questions, columns)
    return [
        Slice(TREE_COLUMN, paths[leaf], leaf_of_each == leaf) for leaf in sorted(dense, key=lambda leaf: -density[leaf])
    ]


def class_results(paired: Paired, labels: tuple[str, ...], *, bound_ratio: float) -> tuple[ClassResult, ...]:
    """
    Return for every class how recall changed, and how often it is the answer among all examples.

    Bounds of recall are Holm's over the gated classes, at the plain level for the others; those of the share are at
    ``1 - alpha / (2 * classes)``, because a class may be answered too rarely or too often. A class without any example
    has a recall of which nothing is known: a change of 0 between -1 and 1.

    Args:
        paired: Both models' answers.
        labels: Names of the classes, in the order of the probabilities.
        bound_ratio: As in `judge_slices`, for the examples of a class.

    Raises:
        DataError: Where names and probabilities differ in their number of classes.
    """
    if len(labels) != paired.baseline.shape[1]:
        raise DataError(f"{len(labels)} labels name {paired.baseline.shape[1]} classes; name every class once.")
    arms = _Arms.of(paired, None)
    before, after = quality.answers(paired.baseline), quality.answers(paired.candidate)
    recalls = [_among(arms.worse, arms.better, paired.labels == index) for index in range(len(labels))]
    levels = _levels(recalls, bound_ratio=bound_ratio)
    share_level = 1 - FAMILY_ALPHA_RATIO / (2 * len(labels))
    results = []
    for index, (label, recall, level) in enumerate(zip(labels, recalls, levels, strict=True)):
        was, now = before == index, after == index
        share = _among(was & ~now, now & ~was, np.ones(len(paired), bool))
        results.append(
            ClassResult(
                label=label,
                example_count=recall.example_count,
                recall_change=_change(f"recall of {label}", recall, level=level or quality.ONE_SIDED_LEVEL),
                rate_change=_change(f"share of {label}", share, level=share_level),
                is_gated=level is not None,
            )
        )
    return tuple(results)


@dataclasses.dataclass(frozen=True)
class _Arms:
    """Which answers are right with either model, and which of the counted ones became worse or better."""

    before: NDArray[np.bool_]
    after: NDArray[np.bool_]
    worse: NDArray[np.bool_]
    better: NDArray[np.bool_]

    @classmethod
    def of(cls, paired: Paired, ignored: NDArray[np.bool_] | None) -> "_Arms":
        before, after = (quality.answers(arm) == paired.labels for arm in (paired.baseline, paired.candidate))
        if ignored is None:
            return cls(before, after, before & ~after, after & ~before)
        if len(ignored) != len(paired):
            raise DataError(f"{len(ignored)} examples are marked as ignored or not, but {len(paired)} were answered.")
        return cls(before, after, before & ~after & ~ignored, after & ~before & ~ignored)

    def check(self, one: Slice) -> None:
        if len(one.rows) != len(self.before):
            raise DataError(
                f"{one.column} has {len(one.rows)} values for {len(self.before)} answers; give one per example."
            )
        if not one.rows.any():
            raise DataError(f"no example lies in the slice {one.column} = {one.value}; leave it out.")

    def discordant(self, one: Slice) -> Discordant:
        self.check(one)
        return _among(self.worse, self.better, one.rows)


def _among(worse: NDArray[np.bool_], better: NDArray[np.bool_], rows: NDArray[np.bool_]) -> Discordant:
    return Discordant(int((worse & rows).sum()), int((better & rows).sum()), int(rows.sum()))


def _levels(family: Sequence[Discordant], *, bound_ratio: float) -> list[float | None]:
    """Return Holm's level of each member that is large enough, None for the others: they are no part of the family."""
    gated = large_enough([one.example_count for one in family], bound_ratio=bound_ratio)
    levels = iter(holm_levels([one for one, is_gated in zip(family, gated, strict=True) if is_gated]))
    return [next(levels) if is_gated else None for is_gated in gated]


def _result(arms: _Arms, one: Slice, *, level: float | None) -> SliceResult:
    """Return a slice's numbers; ``level`` is that of Holm's bounds, None where it is not gated."""
    flips = arms.discordant(one)
    baseline = quality.wilson_interval(int(arms.before[one.rows].sum()), flips.example_count)
    return SliceResult(
        column=one.column,
        value=one.value,
        example_count=flips.example_count,
        baseline_accuracy_ratio=baseline.estimate,
        baseline_low_ratio=baseline.low or 0.0,
        baseline_high_ratio=1.0 if baseline.high is None else baseline.high,
        candidate_accuracy_ratio=float(arms.after[one.rows].mean()),
        change_ratio=flips.change_ratio,
        change_low_ratio=flips.low_ratio(quality.ONE_SIDED_LEVEL),
        negative_flip_count=flips.worse_count,
        positive_flip_count=flips.better_count,
        holm_low_ratio=None if level is None else flips.low_ratio(level),
        holm_high_ratio=None if level is None else flips.high_ratio(level),
        is_gated=level is not None,
    )


def _change(name: str, pairs: Discordant, *, level: float) -> Change:
    if not pairs.example_count:
        return Change(name, 0.0, -1.0, 1.0, level)
    return Change(name, pairs.change_ratio, pairs.low_ratio(level), pairs.high_ratio(level), level)


def _questions(columns: Mapping[str, Sequence[str]]) -> list[Slice]:
    """Return what the tree may ask: every value of a column but the first, which two values leave as the other one."""
    return [one for one in cut(columns) if len(set(columns[one.column])) > 2 or one.value != min(columns[one.column])]


def _paths(tree: Any, questions: Sequence[Slice], columns: Mapping[str, Sequence[str]]) -> dict[int, str]:
    """Return for every leaf the answers that lead to it, in words."""
    nodes, paths, waiting = tree.tree_, {}, [(0, "")]
    while waiting:
        node, words = waiting.pop()
        if nodes.children_left[node] == -1:
            paths[node] = words
            continue
        asked = questions[nodes.feature[node]]
        values = sorted(set(columns[asked.column]))
        otherwise = f"is {values[0]}" if len(values) == 2 else f"is not {asked.value}"
        lead = f"{words} and " if words else ""
        waiting.append((int(nodes.children_left[node]), f"{lead}{asked.column} {otherwise}"))
        waiting.append((int(nodes.children_right[node]), f"{lead}{asked.column} is {asked.value}"))
    return paths
