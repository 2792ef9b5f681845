"""Confidence: scores that equal sklearn's, bins that equal a plain loop, and a bootstrap that anyone can draw again."""

import math

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn import metrics

from perflib.errors import DataError
from perflib.validation import confidence
from perflib.validation.confidence import confidence_changes, describe_confidence, equal_mass_bins, equal_width_bins

Labels = NDArray[np.int64]
Probabilities = NDArray[np.float64]


def drawn(count: int, class_count: int, seed: int = 0) -> tuple[Labels, Probabilities]:
    """Return labels, and probabilities that know something about them."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(class_count, size=count)
    logits = rng.normal(0, 1, (count, class_count)) + 1.5 * np.eye(class_count)[labels]
    powers = np.exp(logits)
    return labels, powers / powers.sum(axis=1, keepdims=True)


def of_top(tops: list[float]) -> Probabilities:
    """Return two-class probabilities whose first class has these."""
    return np.array([[top, 1 - top] for top in tops])


def plain_ece(right: list[float], top: list[float], bins: list[int], weights: list[float] | None = None) -> float:
    """Return the calibration error by loops over bins and examples."""
    weights = weights or [1.0] * len(top)
    total = 0.0
    for place in set(bins):
        rows = [row for row in range(len(top)) if bins[row] == place]
        mass = sum(weights[row] for row in rows)
        if mass:
            accuracy = sum(weights[row] * right[row] for row in rows) / mass
            believed = sum(weights[row] * top[row] for row in rows) / mass
            total += mass / sum(weights) * abs(accuracy - believed)
    return total


def plain_numbers(labels: Labels, probabilities: Probabilities, weights: list[float] | None = None) -> list[float]:
    """Return ECE, ECE of equal mass, Brier score, log loss and accuracy by loops."""
    count, classes = probabilities.shape
    rows = range(count)
    weights = weights or [1.0] * count
    top = [max(probabilities[row].tolist()) for row in rows]
    right = [float(probabilities[row].tolist().index(top[row]) == labels[row]) for row in rows]
    width = [min(math.floor(one * 15), 14) for one in top]
    ranked = sorted(rows, key=lambda row: top[row])
    mass = [ranked.index(row) * 15 // count for row in rows]
    brier = [sum((probabilities[row, k] - (labels[row] == k)) ** 2 for k in range(classes)) for row in rows]
    nll = [-math.log(max(probabilities[row, labels[row]], 1e-12)) for row in rows]
    means = [sum(w * one for w, one in zip(weights, some, strict=True)) / sum(weights) for some in (brier, nll, right)]
    return [plain_ece(right, top, width, weights), plain_ece(right, top, mass, weights), *means]


@pytest.mark.parametrize(("count", "classes"), [(1, 2), (7, 2), (100, 3), (401, 5)])
def test_a_model_is_described_as_by_plain_loops(count: int, classes: int) -> None:
    """Both calibration errors, the Brier score and the log loss are those of loops over bins and examples."""
    labels, probabilities = drawn(count, classes)
    found = describe_confidence(labels, probabilities)

    numbers = (found.ece_ratio, found.ece_mass_ratio, found.brier_score, found.nll_nat)
    assert numbers == pytest.approx(plain_numbers(labels, probabilities)[:4], rel=1e-12)


def test_log_loss_is_sklearns() -> None:
    """The mean over examples, in nats."""
    labels, probabilities = drawn(300, 4)

    assert describe_confidence(labels, probabilities).nll_nat == pytest.approx(metrics.log_loss(labels, probabilities))


def test_the_brier_score_is_twice_sklearns() -> None:
    """It sums over both classes, where the binary form counts one."""
    labels, probabilities = drawn(300, 2)
    expected = 2 * metrics.brier_score_loss(labels, probabilities[:, 1])

    assert describe_confidence(labels, probabilities).brier_score == pytest.approx(expected)


def test_a_true_class_that_was_ruled_out_costs_a_finite_loss() -> None:
    """The log is clipped at 1e-12; what is a little less likely than that costs the same."""
    labels = np.zeros(2, np.int64)

    for chance in (0.0, 1e-13):
        found = describe_confidence(labels, np.array([[chance, 1 - chance]] * 2))
        assert found.nll_nat == pytest.approx(-math.log(1e-12), rel=1e-12)


def test_bins_of_equal_width_begin_at_their_lower_edge() -> None:
    """Every multiple of a fifteenth opens a bin, what lies just below it is in the bin before, and 1 is in the last."""
    edges = np.array([place / 15 for place in range(15)])

    assert equal_width_bins(edges).tolist() == list(range(15))
    assert equal_width_bins(np.nextafter(edges[1:], 0)).tolist() == list(range(14))
    assert equal_width_bins(np.array([1.0])).tolist() == [14]


def test_bins_of_equal_mass_hold_as_many_each() -> None:
    """Thirty-one examples make fourteen bins of two and one of three, in order of confidence."""
    top = np.random.default_rng(1).permutation(31) / 31
    bins = equal_mass_bins(top)

    assert sorted(np.bincount(bins, minlength=15).tolist()) == [2] * 14 + [3]
    assert np.all(np.diff(bins[np.argsort(top)]) >= 0)


def test_equal_confidences_are_ranked_in_the_order_of_the_data() -> None:
    """Otherwise another machine's sort would give another calibration error."""
    levels = [0.9, 0.6, 0.7] * 500
    ranked = sorted(range(1500), key=lambda place: levels[place])

    assert equal_mass_bins(np.array(levels))[ranked].tolist() == [rank // 100 for rank in range(1500)]


def test_the_diagram_says_what_each_bin_holds() -> None:
    """Fifteen bins without a gap, with count, mean confidence and accuracy; an empty one has no means."""
    labels, probabilities = np.array([0, 1, 0, 0]), of_top([0.61, 0.65, 0.97, 1.0])
    bins = describe_confidence(labels, probabilities).bins

    assert [one.low_ratio for one in bins] == [place / 15 for place in range(15)]
    assert [one.high_ratio for one in bins] == [place / 15 for place in range(1, 16)]
    assert {place: one.example_count for place, one in enumerate(bins) if one.example_count} == {9: 2, 14: 2}
    assert [bins[place].confidence_ratio for place in (9, 14)] == pytest.approx([0.63, 0.985])
    assert [bins[place].accuracy_ratio for place in (9, 14)] == [0.5, 1.0]
    assert (bins[0].confidence_ratio, bins[0].accuracy_ratio) == (None, None)


def test_the_largest_error_is_that_of_one_bin() -> None:
    """Of bins that are off by 0.05, 0.13 and 0.015 it is the middle one, however few examples that bin has."""
    labels, probabilities = np.array([1, 0] * 10 + [0, 1] + [0] * 50), of_top([0.55] * 20 + [0.61, 0.65] + [0.985] * 50)
    found = describe_confidence(labels, probabilities)

    assert found.mce_ratio == pytest.approx(0.13)
    assert found.ece_ratio == pytest.approx((20 * 0.05 + 2 * 0.13 + 50 * 0.015) / 72)


def test_a_model_that_is_sure_and_right_has_no_error() -> None:
    """Every number is exactly zero."""
    found = describe_confidence(np.array([0, 1, 1]), np.eye(2)[[0, 1, 1]])

    assert (found.ece_ratio, found.ece_mass_ratio, found.mce_ratio, found.brier_score, found.nll_nat) == (0,) * 5


def test_single_precision_is_summed_in_double() -> None:
    """The same numbers in both precisions give the same description."""
    labels, probabilities = drawn(200, 3)
    single = probabilities.astype(np.float32)

    assert describe_confidence(labels, single) == describe_confidence(labels, single.astype(np.float64))


@pytest.mark.parametrize("level", [0.95, 0.9])
def test_the_bootstrap_can_be_drawn_again(level: float) -> None:
    """Plain loops over the draws that the docstring names give the same estimates and bounds."""
    labels, baseline = drawn(40, 3)
    candidate = drawn(40, 3, seed=1)[1]
    before, after = (plain_numbers(labels, values) for values in (baseline, candidate))
    rng, changes = np.random.default_rng(7), []
    for _ in range(25):
        weights = [0.0] * 40
        for row in rng.integers(40, size=40):
            weights[row] += 1.0
        pair = [plain_numbers(labels, values, weights) for values in (baseline, candidate)]
        changes.append([new - old for old, new in zip(*pair, strict=True)])
    found = confidence_changes(labels, baseline, candidate, seed=7, resample_count=25, level=level)

    assert [one.name for one in found] == ["ece", "ece_mass", "brier", "nll", "accuracy"]
    for place, one in enumerate(found):
        column = [row[place] for row in changes]
        assert one.estimate == pytest.approx(after[place] - before[place], abs=1e-12)
        assert one.low == pytest.approx(np.quantile(column, 1 - level), abs=1e-12)
        assert one.high == pytest.approx(np.quantile(column, level), abs=1e-12)
        assert one.level_ratio == level


@pytest.mark.parametrize("chunk_count", [1, 7, 50])
def test_the_draws_do_not_depend_on_how_many_are_made_at_once(
    monkeypatch: pytest.MonkeyPatch, chunk_count: int
) -> None:
    """Resamples in chunks of any size, with a rest or without, give the same bounds."""
    labels, baseline = drawn(60, 2)
    candidate = drawn(60, 2, seed=1)[1]
    whole = confidence_changes(labels, baseline, candidate, resample_count=50)
    monkeypatch.setattr(confidence, "_CHUNK_COUNT", chunk_count)
    parts = confidence_changes(labels, baseline, candidate, resample_count=50)

    for one, other in zip(whole, parts, strict=True):
        assert (one.low, one.high) == pytest.approx((other.low, other.high), abs=1e-12)


def test_another_seed_draws_others() -> None:
    """The same seed repeats the bounds, another one moves them and leaves the estimates alone."""
    labels, baseline = drawn(60, 2)
    candidate = drawn(60, 2, seed=1)[1]
    zero, again, one = (
        confidence_changes(labels, baseline, candidate, seed=seed, resample_count=100) for seed in (0, 0, 1)
    )

    assert zero == again
    assert [change.estimate for change in zero] == [change.estimate for change in one]
    assert all(first.low != other.low for first, other in zip(zero, one, strict=True))


def test_a_model_does_not_differ_from_itself() -> None:
    """Estimate and both bounds are exactly zero: the examples are resampled for both together."""
    labels, baseline = drawn(333, 3)
    found = confidence_changes(labels, baseline, baseline.copy(), resample_count=300)

    assert {(one.estimate, one.low, one.high) for one in found} == {(0.0, 0.0, 0.0)}


def test_the_changes_are_those_of_the_descriptions() -> None:
    """Candidate minus baseline, and the accuracy too."""
    labels, baseline = drawn(200, 3)
    candidate = drawn(200, 3, seed=1)[1]
    one, other = describe_confidence(labels, baseline), describe_confidence(labels, candidate)
    ece, mass, brier, nll, accuracy = (
        change.estimate for change in confidence_changes(labels, baseline, candidate, resample_count=2)
    )

    assert (ece, mass) == pytest.approx((other.ece_ratio - one.ece_ratio, other.ece_mass_ratio - one.ece_mass_ratio))
    assert (brier, nll) == pytest.approx((other.brier_score - one.brier_score, other.nll_nat - one.nll_nat))
    assert accuracy == pytest.approx(
        np.mean(candidate.argmax(axis=1) == labels) - np.mean(baseline.argmax(axis=1) == labels)
    )


def test_the_bounds_are_those_of_a_mean() -> None:
    """For the accuracy, a mean of paired differences, they come near the normal interval of that mean."""
    labels, baseline = drawn(500, 2)
    candidate = drawn(500, 2, seed=1)[1]
    candidate[:300] = baseline[:300]
    differences = (candidate.argmax(axis=1) == labels).astype(float) - (baseline.argmax(axis=1) == labels)
    accuracy = confidence_changes(labels, baseline, candidate, resample_count=4000)[-1]
    half = 1.6449 * differences.std() / math.sqrt(500)

    assert accuracy.low == pytest.approx(differences.mean() - half, abs=0.1 * half)
    assert accuracy.high == pytest.approx(differences.mean() + half, abs=0.1 * half)


def test_an_over_confident_candidate_is_seen_though_its_labels_stay() -> None:
    """Halving the temperature changes no label, and lies above zero in calibration error, Brier score and log loss."""
    rng = np.random.default_rng(4)
    logits = rng.normal(0, 1.5, 2000)
    chance = 1 / (1 + np.exp(-logits))
    labels = np.where(rng.random(2000) < chance, 0, 1)
    sharp = 1 / (1 + np.exp(-2 * logits))
    ece, mass, brier, nll, accuracy = confidence_changes(
        labels, of_top(chance.tolist()), of_top(sharp.tolist()), resample_count=500
    )

    assert min(ece.low, mass.low, brier.low, nll.low) > 0
    assert (accuracy.low, accuracy.estimate, accuracy.high) == (0, 0, 0)


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_an_answer_that_is_no_number_is_refused(bad: float) -> None:
    """In either model; the message counts the examples."""
    labels, good = drawn(5, 2)
    broken = good.copy()
    broken[[1, 3], 0] = bad

    for arms in ((broken, good), (good, broken)):
        with pytest.raises(DataError, match="2 of 5 answers are not finite"):
            confidence_changes(labels, *arms, resample_count=2)
    with pytest.raises(DataError, match="2 of 5 answers are not finite"):
        describe_confidence(labels, broken)


@pytest.mark.parametrize(("label_count", "answer_count"), [(0, 0), (3, 2), (2, 3)])
def test_every_answer_needs_its_label(label_count: int, answer_count: int) -> None:
    """No example at all, and a label too many or too few, are refused."""
    labels, probabilities = np.zeros(label_count, np.int64), np.full((answer_count, 2), 0.5)

    with pytest.raises(DataError, match=f"{label_count} labels and {answer_count} answers"):
        describe_confidence(labels, probabilities)
    with pytest.raises(DataError, match=f"{label_count} labels and {answer_count} answers"):
        confidence_changes(labels, probabilities, probabilities)
