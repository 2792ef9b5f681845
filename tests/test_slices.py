"""Slices: counts by a plain loop, bounds that pay for the family that is judged, and a search that proves nothing."""

from typing import Any

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import recall_score

from perflib.errors import DataError
from perflib.validation.families import Discordant
from perflib.validation.predictions import Paired
from perflib.validation.quality import slice_results, tango_lower
from perflib.validation.slices import (
    TREE_COLUMN,
    Slice,
    class_results,
    cut,
    judge_exploratory,
    judge_slices,
    propose_slices,
)


def paired(labels: Any, baseline: Any, candidate: Any, *, class_count: int = 3, **slices: Any) -> Paired:
    """Return answers of two models as one-hot probabilities."""
    rows = np.eye(class_count, dtype=np.float32)
    return Paired(
        tuple(f"id-{row}" for row in range(len(labels))),
        np.asarray(labels, np.int64),
        rows[np.asarray(baseline)],
        rows[np.asarray(candidate)],
        {name: tuple(values) for name, values in slices.items()},
    )


def random_answers(count: int, seed: int = 0) -> Paired:
    """Return two models that err often, mostly on the same examples, with two columns."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(3, size=count)
    baseline = np.where(rng.random(count) < 0.6, labels, rng.integers(3, size=count))
    candidate = np.where(rng.random(count) < 0.6, baseline, rng.integers(3, size=count))
    size, mood = rng.choice(["large", "small"], count, p=[0.9, 0.1]).tolist(), rng.choice(list("abc"), count).tolist()
    return paired(labels, baseline, candidate, size=size, mood=mood)


def flips_in(part: tuple[int, int, int], *, name: str) -> dict[str, Any]:
    """Return labels, answers and a column for counts of answers that became worse, better, or stayed."""
    worse, better, same = part
    return {
        "labels": [1] * (worse + better + same),
        "baseline": [1] * worse + [0] * better + [1] * same,
        "candidate": [0] * worse + [1] * better + [1] * same,
        "part": [name] * (worse + better + same),
    }


def together(*parts: dict[str, Any]) -> Paired:
    """Return the examples of several parts, one after the other."""
    joined = {key: [value for part in parts for value in part[key]] for key in parts[0]}
    return paired(joined["labels"], joined["baseline"], joined["candidate"], part=joined["part"])


def test_a_slice_is_every_value_of_every_column() -> None:
    """Columns in their order, values sorted, and each row in exactly one slice of a column."""
    slices = cut({"b": ["y", "x", "y"], "a": ("2", "10", "2")})

    assert [(one.column, one.value, one.rows.tolist()) for one in slices] == [
        ("b", "x", [False, True, False]),
        ("b", "y", [True, False, True]),
        ("a", "10", [False, True, False]),
        ("a", "2", [True, False, True]),
    ]
    assert cut({}) == []


def test_columns_of_other_lengths_are_refused() -> None:
    """Against each other when they are cut, against the answers when they are judged."""
    with pytest.raises(DataError, match="'b': 2"):
        cut({"a": "xyz", "b": "xy"})
    with pytest.raises(DataError, match="a has 2 values for 3 answers"):
        judge_slices(paired([0, 1, 2], [0, 1, 2], [0, 1, 2]), cut({"a": "xy"}), bound_ratio=0.05)


def test_a_slice_without_examples_is_refused() -> None:
    """Its accuracy would be nothing divided by nothing."""
    both, nobody = paired([0, 1, 2], [0, 1, 2], [0, 1, 2]), Slice("age", "old", np.zeros(3, bool))

    with pytest.raises(DataError, match="age = old"):
        judge_slices(both, [nobody], bound_ratio=0.05)
    with pytest.raises(DataError, match="age = old"):
        judge_exploratory(both, [nobody])


def test_numbers_of_a_slice_are_those_of_a_plain_loop() -> None:
    """Counts, both accuracies and the change, row by row."""
    both = random_answers(500)
    before, after = both.baseline.argmax(axis=1), both.candidate.argmax(axis=1)

    for found in judge_slices(both, cut(both.slices), bound_ratio=0.05):
        rows = [row for row in range(500) if both.slices[found.column][row] == found.value]
        worse = sum(before[row] == both.labels[row] != after[row] for row in rows)
        better = sum(after[row] == both.labels[row] != before[row] for row in rows)
        right_before, right_after = (sum(arm[row] == both.labels[row] for row in rows) for arm in (before, after))
        assert (found.example_count, found.negative_flip_count, found.positive_flip_count) == (len(rows), worse, better)
        assert worse > 0
        assert better > 0
        assert found.baseline_accuracy_ratio == pytest.approx(right_before / len(rows))
        assert found.candidate_accuracy_ratio == pytest.approx(right_after / len(rows))
        assert found.change_ratio == pytest.approx((right_after - right_before) / len(rows))
        wilson = stats.binomtest(right_before, len(rows)).proportion_ci(0.95, method="wilson")
        assert (found.baseline_low_ratio, found.baseline_high_ratio) == (wilson.low, wilson.high)
        assert found.change_low_ratio == tango_lower(worse, better, len(rows))
        assert not found.is_exploratory


def test_what_was_said_without_families_is_still_said() -> None:
    """Accuracy, interval and plain bound are those of the simple table of slices."""
    both = random_answers(300, seed=4)
    fields = (
        *("column", "value", "example_count", "change_ratio", "change_low_ratio"),
        *("baseline_accuracy_ratio", "baseline_low_ratio", "baseline_high_ratio", "candidate_accuracy_ratio"),
    )

    judged = judge_slices(both, cut(both.slices), bound_ratio=0.05)
    simple = slice_results(both, list(both.slices))
    assert [[getattr(one, name) for name in fields] for one in judged] == [
        [getattr(one, name) for name in fields] for one in simple
    ]


def test_only_large_slices_are_judged_and_only_they_are_paid_for() -> None:
    """Two of three are large enough, so the clearer harm pays for two and the other for two, as nothing was shown."""
    both = together(
        flips_in((6, 3, 400), name="first"), flips_in((0, 0, 20), name="small"), flips_in((4, 3, 400), name="third")
    )

    first, small, third = judge_slices(both, cut({"part": both.slices["part"]}), bound_ratio=0.05)
    assert (first.is_gated, small.is_gated, third.is_gated) == (True, False, True)
    assert (small.holm_low_ratio, small.holm_high_ratio) == (None, None)
    assert small.change_low_ratio < -0.05
    for one, worse, better in ((first, 6, 3), (third, 4, 3)):
        count = worse + better + 400
        assert one.holm_low_ratio == tango_lower(worse, better, count, level=0.975)
        assert one.holm_high_ratio == -tango_lower(better, worse, count, level=0.975)
        assert one.holm_low_ratio < one.change_low_ratio < one.change_ratio < one.holm_high_ratio


def test_after_a_harm_that_is_shown_the_next_pays_less() -> None:
    """The small slice in between takes no part, and results keep the order of the slices."""
    both = together(
        flips_in((4, 3, 400), name="calm"), flips_in((9, 0, 9), name="few"), flips_in((60, 5, 400), name="harmed")
    )

    calm, few, harmed = judge_slices(both, cut({"part": both.slices["part"]}), bound_ratio=0.05)
    assert harmed.holm_high_ratio == Discordant(60, 5, 465).high_ratio(0.975)
    assert harmed.holm_high_ratio < 0
    assert calm.holm_high_ratio == Discordant(4, 3, 407).high_ratio(0.95)
    assert not few.is_gated


def test_the_bound_decides_how_large_is_large_enough() -> None:
    """A slice without flips is gated where the bound of one flip clears the loss, and not a hair earlier."""
    both = together(flips_in((0, 0, 53), name="all"))
    low = -tango_lower(1, 0, 53)

    for bound_ratio, is_gated in ((low + 1e-6, True), (low - 1e-6, False)):
        (found,) = judge_slices(both, cut({"part": both.slices["part"]}), bound_ratio=bound_ratio)
        assert found.is_gated is is_gated


def test_an_ignored_flip_counts_as_unchanged() -> None:
    """It leaves the counts, the change and every bound; accuracies stay plain, and nobody else's flips are touched."""
    both = together(flips_in((5, 2, 300), name="a"), flips_in((3, 0, 300), name="b"))
    ignored = np.zeros(len(both), bool)
    ignored[[0, 1, 5]] = True  # two that became worse, one that became better
    ignored[20:30] = True  # and some that did not change

    a, b = judge_slices(both, cut({"part": both.slices["part"]}), bound_ratio=0.05, ignored=ignored)
    assert (a.example_count, a.negative_flip_count, a.positive_flip_count) == (307, 3, 1)
    assert a.change_ratio == -2 / 307
    assert a.change_low_ratio == tango_lower(3, 1, 307)
    assert a.holm_low_ratio == tango_lower(3, 1, 307, level=0.975)
    assert a.candidate_accuracy_ratio - a.baseline_accuracy_ratio == pytest.approx(-3 / 307)
    assert (b.negative_flip_count, b.positive_flip_count) == (3, 0)
    with pytest.raises(DataError, match="5 examples are marked"):
        judge_slices(both, [], bound_ratio=0.05, ignored=np.zeros(5, bool))


def test_an_answer_that_is_not_finite_is_a_wrong_one() -> None:
    """A candidate that breaks down in a slice is seen there."""
    both = together(flips_in((0, 0, 10), name="a"), flips_in((0, 0, 10), name="b"))
    both.candidate[:4] = np.nan

    a, b = judge_slices(both, cut({"part": both.slices["part"]}), bound_ratio=0.05)
    assert (a.negative_flip_count, a.candidate_accuracy_ratio, b.negative_flip_count) == (4, 0.6, 0)


def test_no_slices_give_no_results() -> None:
    """Where there is nothing to cut by, nothing is judged."""
    both = random_answers(60)

    assert judge_slices(both, [], bound_ratio=0.05) == ()
    assert judge_exploratory(both, []) == ()
    assert propose_slices(both, {}) == []


def planted(*, harmed_count: int = 60) -> tuple[Paired, dict[str, tuple[str, ...]]]:
    """Return answers that are lost where ``tone`` is "no_1" and ``place`` is "here", and nowhere else."""
    place = [where for where in ("here", "there", "far away") for _ in range(400)]
    tone = ["no_1", "yes", "yes", "yes"] * 300
    labels = np.ones(1200, np.int64)
    spot = np.flatnonzero((np.array(place) == "here") & (np.array(tone) == "no_1"))[:harmed_count]
    candidate = labels.copy()
    candidate[spot] = 0
    return paired(labels, labels, candidate), {"place": tuple(place), "tone": tuple(tone)}


def test_a_tree_finds_where_harm_was_planted() -> None:
    """Both answers on the way are in the name, in words, and the rows are those that the name says."""
    both, columns = planted()

    best, *others = propose_slices(both, columns)
    assert (best.column, best.value) in {
        (TREE_COLUMN, "place is here and tone is no_1"),
        (TREE_COLUMN, "tone is no_1 and place is here"),
    }
    assert best.rows.tolist() == [
        where == "here" and tone == "no_1" for where, tone in zip(*columns.values(), strict=True)
    ]
    assert len(others) <= 2


def test_the_densest_place_comes_first() -> None:
    """Six in ten are lost in one group, half in another, which is more than on average too, and none in the third."""
    labels = np.ones(300, np.int64)
    candidate = labels.copy()
    candidate[:50], candidate[100:160] = 0, 0

    found = propose_slices(
        paired(labels, labels, candidate), {"age": ("new",) * 100 + ("old",) * 100 + ("unknown",) * 100}
    )
    assert [float(np.mean(candidate[one.rows] == 0)) for one in found] == [0.6, 0.5]


def test_what_a_tree_proposes_is_large_and_denser_than_the_whole() -> None:
    """On noise too: at least 50 examples, a larger share of negative flips than all, the densest first."""
    both = random_answers(900, seed=2)
    flipped = (both.baseline.argmax(1) == both.labels) & (both.candidate.argmax(1) != both.labels)

    found = propose_slices(both, both.slices)
    densities = [float(flipped[one.rows].mean()) for one in found]
    assert 1 <= len(found) <= 3
    assert all(one.rows.sum() >= 50 for one in found)
    assert min(densities) > flipped.mean()
    assert densities == sorted(densities, reverse=True)


def test_the_way_to_a_leaf_is_true_of_its_rows() -> None:
    """Read as a rule, each name marks exactly the rows of its slice, for columns of two and of three values."""
    both = random_answers(900, seed=2)
    proposed = propose_slices(both, both.slices)

    for one in proposed:
        expected = np.ones(len(both), bool)
        for rule in one.value.split(" and "):
            column, _, value = rule.partition(" is ")
            matches = np.array([cell == value.removeprefix("not ") for cell in both.slices[column]])
            expected &= ~matches if value.startswith("not ") else matches
        assert one.rows.tolist() == expected.tolist()
    assert all("size is not" not in one.value for one in proposed)


def test_a_tree_without_harm_or_room_proposes_nothing() -> None:
    """No negative flip, no column that tells examples apart, or parts of fewer than 50: nothing is denser."""
    labels = np.ones(120, np.int64)
    columns = {"half": ("a", "b") * 60}
    harmed = np.where(np.arange(120) % 2 == 0, 0, 1)

    assert propose_slices(paired(labels, harmed, labels), columns) == []
    assert propose_slices(paired(labels, labels, harmed), {"all": ("x",) * 120}) == []
    assert len(propose_slices(paired(labels, labels, harmed), columns)) == 1
    assert propose_slices(paired(labels[:99], labels[:99], harmed[:99]), {"half": columns["half"][:99]}) == []
    with pytest.raises(DataError, match="120 values for 99 answers"):
        propose_slices(paired(labels[:99], labels[:99], harmed[:99]), columns)


def test_what_a_tree_found_is_reported_and_never_judged() -> None:
    """However large and however bad: it was looked for."""
    both, columns = planted()

    best = judge_exploratory(both, propose_slices(both, columns))[0]
    assert (best.is_exploratory, best.is_gated, best.holm_low_ratio, best.holm_high_ratio) == (True, False, None, None)
    assert (best.example_count, best.negative_flip_count) == (100, 60)
    assert best.change_low_ratio == tango_lower(60, 0, 100)


def test_recall_and_share_of_a_class_are_those_of_sklearn_and_counting() -> None:
    """For each of three classes: the estimate, and the bounds of the pairs that a loop finds."""
    both = random_answers(900, seed=6)
    before, after = both.baseline.argmax(1), both.candidate.argmax(1)
    recall = [recall_score(both.labels, arm, average=None) for arm in (before, after)]

    found = class_results(both, ("bad", "fair", "good"), bound_ratio=0.05)
    assert [one.label for one in found] == ["bad", "fair", "good"]
    for index, one in enumerate(found):
        assert one.example_count == int((both.labels == index).sum())
        assert (one.recall_change.name, one.rate_change.name) == (f"recall of {one.label}", f"share of {one.label}")
        assert one.recall_change.estimate == pytest.approx(recall[1][index] - recall[0][index])
        assert one.rate_change.estimate == pytest.approx((after == index).mean() - (before == index).mean())
        gone = sum(was == index != now for was, now in zip(before, after, strict=True))
        come = sum(now == index != was for was, now in zip(before, after, strict=True))
        assert one.rate_change.level_ratio == pytest.approx(1 - 0.05 / 6)
        assert one.rate_change.low == tango_lower(gone, come, 900, level=one.rate_change.level_ratio)
        assert one.rate_change.high == -tango_lower(come, gone, 900, level=one.rate_change.level_ratio)


def test_bounds_of_recall_pay_for_the_classes_that_are_judged() -> None:
    """A class of ten examples takes no part: the others pay for two, and it has its plain bounds."""
    labels = [0] * 400 + [1] * 400 + [2] * 10
    candidate = np.array(labels)
    candidate[:2], candidate[400:403], candidate[-1] = 1, 2, 0

    bad, fair, good = class_results(paired(labels, labels, candidate), ("bad", "fair", "good"), bound_ratio=0.05)
    assert (bad.is_gated, fair.is_gated, good.is_gated) == (True, True, False)
    for one, worse, count, level in ((bad, 2, 400, 0.975), (fair, 3, 400, 0.975), (good, 1, 10, 0.95)):
        assert one.recall_change.level_ratio == level
        assert one.recall_change.low == tango_lower(worse, 0, count, level=level)
        assert one.recall_change.high == -tango_lower(0, worse, count, level=level)


def test_of_a_class_without_examples_nothing_is_known_but_its_share() -> None:
    """Both models may answer it all the same."""
    both = paired([0, 0, 1, 1], [0, 0, 1, 1], [0, 2, 1, 1])

    nobody = class_results(both, ("a", "b", "c"), bound_ratio=0.9)[2]
    assert (nobody.example_count, nobody.is_gated) == (0, False)
    assert (nobody.recall_change.estimate, nobody.recall_change.low, nobody.recall_change.high) == (0.0, -1.0, 1.0)
    assert nobody.rate_change.estimate == 0.25


def test_every_class_needs_its_name() -> None:
    """Two names for three classes are refused."""
    with pytest.raises(DataError, match="2 labels name 3 classes"):
        class_results(random_answers(10), ("a", "b"), bound_ratio=0.05)
