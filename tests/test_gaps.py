"""Gaps: estimates are fairlearn's, and so is every resample that is written out example by example."""

from typing import Any

import numpy as np
import pytest
from fairlearn.metrics import MetricFrame, equalized_odds_difference
from numpy.typing import NDArray
from sklearn.metrics import accuracy_score

from perflib.errors import DataError
from perflib.validation.gaps import gap_results
from perflib.validation.predictions import Paired

COUNT = 600


def paired(labels: Any, baseline: Any, candidate: Any, *, class_count: int = 2) -> Paired:
    """Return answers of two models as one-hot probabilities."""
    rows = np.eye(class_count, dtype=np.float32)
    ids = tuple(f"id-{row}" for row in range(len(labels)))
    return Paired(ids, np.asarray(labels, np.int64), rows[np.asarray(baseline)], rows[np.asarray(candidate)], {})


def answers_of(
    seed: int, *, class_count: int = 2, harm_ratio: float = 0.3
) -> tuple[Paired, dict[str, tuple[str, ...]]]:
    """Return two models of which the candidate is worse for group "c", and two columns."""
    rng = np.random.default_rng(seed)
    groups = rng.choice(["a", "b", "c"], COUNT, p=[0.5, 0.3, 0.2])
    labels = rng.integers(class_count, size=COUNT)
    baseline = np.where(rng.random(COUNT) < 0.8, labels, (labels + 1) % class_count)
    spoilt = rng.random(COUNT) < np.where(groups == "c", harm_ratio, 0.05)
    candidate = np.where(spoilt, (baseline + 1) % class_count, baseline)
    columns = {"group": tuple(groups.tolist()), "half": ("x", "y") * (COUNT // 2)}
    return paired(labels, baseline, candidate, class_count=class_count), columns


def increases(both: Paired, groups: NDArray[Any], rows: NDArray[np.int64]) -> tuple[float, float]:
    """Return the increase of gap and odds by fairlearn, for examples that are repeated as ``rows`` says."""
    labels, named = both.labels[rows], groups[rows]
    gaps, odds = [], []
    for arm in (both.baseline, both.candidate):
        answers = arm.argmax(axis=1)[rows]
        frame = MetricFrame(metrics=accuracy_score, y_true=labels, y_pred=answers, sensitive_features=named)
        gaps.append(frame.difference())
        odds.append(equalized_odds_difference(labels, answers, sensitive_features=named))
    return gaps[1] - gaps[0], odds[1] - odds[0]


def test_estimates_are_those_of_fairlearn() -> None:
    """The whole split, and both differences of the two models."""
    both, columns = answers_of(0)

    for one in gap_results(both, columns, resample_count=20):
        gap, odds = increases(both, np.array(columns[one.column]), np.arange(COUNT))
        assert one.gap_increase.estimate == pytest.approx(gap, abs=1e-12)
        assert one.odds_increase is not None
        assert one.odds_increase.estimate == pytest.approx(odds, abs=1e-12)
        assert one.odds_increase.estimate != one.gap_increase.estimate


def test_bounds_are_those_of_fairlearn_on_examples_that_are_repeated() -> None:
    """The resamples are drawn again and written out; quantiles of what fairlearn says of them are the bounds."""
    both, columns = answers_of(1)

    found = gap_results(both, columns, seed=7, resample_count=9, level=0.8)
    for one in found:
        rng = np.random.default_rng(7)
        groups = np.array(columns[one.column])
        drawn = [increases(both, groups, rng.integers(COUNT, size=COUNT)) for _ in range(9)]
        for change, values in zip((one.gap_increase, one.odds_increase), zip(*drawn, strict=True), strict=True):
            assert change is not None
            assert change.level_ratio == 0.8
            assert (change.low, change.high) == pytest.approx(np.quantile(values, [0.2, 0.8]).tolist(), abs=1e-12)


def test_many_resamples_are_one_sequence() -> None:
    """However they are computed in parts, the 450 resamples are drawn one after the other."""
    both, columns = answers_of(2)
    before, after = both.baseline.argmax(1) == both.labels, both.candidate.argmax(1) == both.labels
    half = np.array(columns["half"]) == "x"
    rng, expected = np.random.default_rng(0), []
    for _ in range(450):
        rows = rng.integers(COUNT, size=COUNT)
        shares = [[arm[rows][half[rows] == side].mean() for side in (True, False)] for arm in (before, after)]
        expected.append(abs(shares[1][0] - shares[1][1]) - abs(shares[0][0] - shares[0][1]))

    (found,) = gap_results(both, {"half": columns["half"]}, resample_count=450)
    assert found.gap_increase.low == pytest.approx(np.quantile(expected, 0.05), abs=1e-12)
    assert found.gap_increase.high == pytest.approx(np.quantile(expected, 0.95), abs=1e-12)


def test_the_same_seed_draws_the_same_and_a_column_does_not_move_another() -> None:
    """Bounds are a property of the answers, the column, the seed and the level."""
    both, columns = answers_of(3)

    group, half = gap_results(both, columns, resample_count=50, level=0.9)
    assert gap_results(both, {"half": columns["half"]}, resample_count=50, level=0.9) == (half,)
    assert gap_results(both, columns, resample_count=50, level=0.9) == (group, half)
    (other,) = gap_results(both, {"half": columns["half"]}, resample_count=50, level=0.9, seed=1)
    assert other.gap_increase.low != half.gap_increase.low


def test_the_level_pays_for_the_columns_that_have_a_result() -> None:
    """A column that cannot be judged is not paid for."""
    both, columns = answers_of(4)
    constant = {"all": ("x",) * COUNT}

    found = gap_results(both, columns | constant, resample_count=10)
    assert [one.column for one in found] == ["group", "half"]
    assert [one.gap_increase.level_ratio for one in found] == [0.975, 0.975]
    assert gap_results(both, constant, resample_count=10) == ()
    assert gap_results(both, {}, resample_count=10) == ()


def test_a_harm_to_one_group_is_shown_and_equal_models_have_no_gap() -> None:
    """Most answers to group "c" are turned: the lower bound is above zero; nothing changes for a copy."""
    both, columns = answers_of(5, harm_ratio=0.6)
    same = Paired(both.ids, both.labels, both.baseline, both.baseline, {})

    group = gap_results(both, columns, resample_count=500)[0]
    assert group.odds_increase is not None
    assert 0 < group.gap_increase.low < group.gap_increase.estimate < group.gap_increase.high
    assert 0 < group.odds_increase.low < group.odds_increase.estimate < group.odds_increase.high
    for one in gap_results(same, columns, resample_count=50):
        assert (one.gap_increase.low, one.gap_increase.estimate, one.gap_increase.high) == (0, 0, 0)


def test_values_of_fewer_than_fifty_examples_are_left_out() -> None:
    """49 examples are not compared, though all of them are lost; 50 are."""
    labels = np.tile([0, 1], 150)
    candidate = labels.copy()
    candidate[-49:] = 1 - labels[-49:]
    both = paired(labels, labels, candidate)

    small = {"column": ("a",) * 150 + ("b",) * 101 + ("c",) * 49}
    (found,) = gap_results(both, small, resample_count=10)
    assert found.values == ("a", "b")
    assert found.gap_increase.estimate == 0
    assert found.odds_increase is not None
    assert found.odds_increase.high == 0
    (found,) = gap_results(both, {"column": ("a",) * 150 + ("b",) * 100 + ("c",) * 50}, resample_count=10)
    assert found.values == ("a", "b", "c")
    assert found.gap_increase.estimate == pytest.approx(49 / 50)
    assert gap_results(both, {"column": ("a",) * 251 + ("c",) * 49}, resample_count=10) == ()


def test_more_than_two_classes_have_a_gap_and_no_odds() -> None:
    """The estimate of the gap is fairlearn's all the same."""
    both, columns = answers_of(6, class_count=3)
    groups = np.array(columns["group"])
    gaps = [
        MetricFrame(
            metrics=accuracy_score, y_true=both.labels, y_pred=arm.argmax(1), sensitive_features=groups
        ).difference()
        for arm in (both.baseline, both.candidate)
    ]

    group = gap_results(both, columns, resample_count=10)[0]
    assert group.odds_increase is None
    assert group.gap_increase.estimate == pytest.approx(gaps[1] - gaps[0])


def test_a_value_without_one_class_is_no_part_of_the_odds() -> None:
    """Group "c" has no example of class 1, for which fairlearn would give it a true positive rate of 0."""
    both, columns = answers_of(8)
    groups = np.array(columns["group"])
    both.labels[groups == "c"] = 0
    mixed = np.flatnonzero(groups != "c")

    group = gap_results(both, columns, resample_count=9, level=0.8)[0]
    assert group.values == ("a", "b", "c")
    assert group.odds_increase is not None
    expected = increases(both, groups, mixed)[1]
    assert group.odds_increase.estimate == pytest.approx(expected, abs=1e-12)
    assert expected != pytest.approx(increases(both, groups, np.arange(COUNT))[1])
    # It is drawn with the others and then left out.
    rng, drawn = np.random.default_rng(0), []
    for _ in range(9):
        rows = rng.integers(COUNT, size=COUNT)
        drawn.append(increases(both, groups, rows[groups[rows] != "c"])[1])
    assert group.odds_increase.low == pytest.approx(np.quantile(drawn, 0.2), abs=1e-12)
    assert group.odds_increase.high == pytest.approx(np.quantile(drawn, 0.8), abs=1e-12)
    # The label itself as a column leaves no value with both classes.
    (by_label,) = gap_results(both, {"label": tuple(map(str, both.labels))}, resample_count=10)
    assert by_label.odds_increase is None


def test_a_rate_that_is_missing_in_a_resample_is_left_out_there() -> None:
    """Each group has one example of class 1, so some resamples have it in one group only or in none."""
    labels = np.zeros(120, np.int64)
    labels[[0, 60]] = 1
    candidate = labels.copy()
    candidate[0] = 0  # the only example of class 1 in group "a" is lost
    both = paired(labels, labels, candidate)
    rng, expected = np.random.default_rng(0), []
    for _ in range(200):
        counts = np.bincount(rng.integers(120, size=120), minlength=120)
        expected.append(float(counts[0] > 0 and counts[60] > 0))

    for level in (0.61, 0.9):
        (found,) = gap_results(both, {"side": ("a",) * 60 + ("b",) * 60}, resample_count=200, level=level)
        assert found.odds_increase is not None
        assert found.odds_increase.estimate == 1
        assert (found.odds_increase.low, found.odds_increase.high) == tuple(np.quantile(expected, [1 - level, level]))
    assert 0.2 < np.mean(expected) < 0.6


def test_an_answer_that_is_not_finite_is_a_wrong_one() -> None:
    """A candidate that breaks down for one group widens both differences, as if it had given the other class."""
    both, columns = answers_of(9)
    broken, wrong = both.candidate.copy(), both.candidate.copy()
    rows = np.flatnonzero(np.array(columns["group"]) == "c")[:40]
    broken[rows] = np.nan
    wrong[rows] = np.eye(2, dtype=np.float32)[1 - both.labels[rows]]

    found, expected = (
        gap_results(Paired(both.ids, both.labels, both.baseline, arm, {}), columns, resample_count=30)
        for arm in (broken, wrong)
    )
    assert found == expected


def test_a_column_of_another_length_is_refused() -> None:
    """One value per example, or nothing."""
    both, _ = answers_of(10)

    with pytest.raises(DataError, match="short has 3 values for 600 answers"):
        gap_results(both, {"short": ("a", "b", "c")})
