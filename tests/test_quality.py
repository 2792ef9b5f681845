"""Quality: paired counts, and bounds that agree with the literature and with brute force."""

import math
from typing import Any

import numpy as np
import pytest
from scipy import optimize, stats

from perflib.validation import quality
from perflib.validation.predictions import Paired
from perflib.validation.quality import Flips, count_flips, examples_needed, tango_lower, wilson_interval


def paired(labels: list[int], baseline: list[int], candidate: list[int], **slices: Any) -> Paired:
    """Return answers of two models as one-hot probabilities."""
    rows = np.eye(3, dtype=np.float32)
    return Paired(
        tuple(f"id-{row}" for row in range(len(labels))),
        np.array(labels, np.int64),
        rows[baseline],
        rows[candidate],
        {name: tuple(values) for name, values in slices.items()},
    )


@pytest.mark.parametrize(
    ("count", "negative", "positive", "lower_points"),
    [(872, 9, 4, -1.36), (872, 12, 12, -0.97), (872, 0, 0, -0.31), (5000, 9, 4, -0.24)],
)
def test_the_worked_bounds_hold(count: int, negative: int, positive: int, lower_points: float) -> None:
    """The four bounds that are worked out in the reference."""
    assert round(100 * tango_lower(negative, positive, count), 2) == lower_points


@pytest.mark.parametrize(("negative", "positive", "count"), [(9, 4, 872), (30, 10, 200), (3, 0, 50)])
def test_at_no_change_the_score_is_mcnemars(negative: int, positive: int, count: int) -> None:
    """Tango's statistic at zero is (c - b) / sqrt(b + c), without continuity correction."""
    expected = (positive - negative) / math.sqrt(positive + negative)

    assert quality._tango_z(0.0, negative, positive, count) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("negative", "positive", "count"), [(9, 4, 872), (12, 12, 872), (30, 10, 200), (2, 7, 60), (5, 0, 40)]
)
def test_the_bound_agrees_with_a_brute_force_constrained_likelihood(negative: int, positive: int, count: int) -> None:
    """At the bound the score, with the nuisance share found by maximising the likelihood, is the normal quantile."""
    change = tango_lower(negative, positive, count)

    def minus_log_likelihood(share: float) -> float:
        # share: P(right, then wrong); share + change: P(wrong, then right).
        cells = ((negative, share), (positive, share + change), (count - negative - positive, 1 - 2 * share - change))
        return -sum(seen * math.log(chance) for seen, chance in cells if seen)

    low, high = max(0.0, -change), (1 - change) / 2
    best = optimize.minimize_scalar(
        minus_log_likelihood, bounds=(low + 1e-12, high - 1e-12), method="bounded", options={"xatol": 1e-14}
    ).x
    variance = count * (2 * best + change - change**2)
    score = (positive - negative - count * change) / math.sqrt(variance)

    assert score == pytest.approx(stats.norm.ppf(0.95), abs=1e-4)


@pytest.mark.parametrize(("negative", "positive", "count"), [(1, 0, 1), (100, 0, 100), (0, 1, 1), (0, 0, 1), (0, 9, 9)])
def test_the_extremes_have_a_bound_too(negative: int, positive: int, count: int) -> None:
    """All wrong, all right, and a single example: a bound between -1 and the estimate, never a crash."""
    estimate = (positive - negative) / count

    assert -1 <= tango_lower(negative, positive, count) <= estimate


def test_the_bound_covers_as_often_as_it_says() -> None:
    """In 2,000 simulated splits the true change lies above the bound in at least the binomial share."""
    generator, trials, count, shares = np.random.default_rng(0), 2000, 400, (0.05, 0.03, 0.92)
    seen = generator.multinomial(count, shares, trials)
    bounds = {(b, c): tango_lower(b, c, count) for b, c in {(int(b), int(c)) for b, c, _ in seen}}
    covered = sum(bounds[int(b), int(c)] <= shares[1] - shares[0] for b, c, _ in seen)

    # Score intervals are close to their level, not above it everywhere; one point is allowed.
    assert covered >= stats.binom.ppf(0.001, trials, 0.94)


@pytest.mark.parametrize(
    ("discordant", "needed"),
    [
        (0.01, (2474, 619, 155)),
        (0.02, (4947, 1237, 310)),
        (0.05, (12366, 3092, 773)),
        (0.10, (24731, 6183, 1546)),
    ],
)
def test_the_power_table_holds(discordant: float, needed: tuple[int, ...]) -> None:
    """Examples for 80 % power at margins of a half, one and two points."""
    assert tuple(examples_needed(discordant, margin) for margin in (0.005, 0.01, 0.02)) == needed


def test_flips_are_counted_both_ways() -> None:
    """Right to wrong, wrong to right, and another wrong answer are three different things."""
    flips = count_flips(paired([0, 0, 0, 0, 0], [0, 0, 1, 1, 1], [0, 1, 0, 2, 1]))

    assert flips == Flips(example_count=5, negative_count=1, positive_count=1, changed_count=3)
    assert flips.change_ratio == 0
    assert flips.negative_ratio == 0.2
    assert flips.flips_ratio == 0.4


def test_flips_can_be_counted_in_a_part() -> None:
    """Only the marked rows count."""
    both = paired([0, 0, 0], [0, 0, 1], [1, 0, 0])

    assert count_flips(both, np.array([True, True, False])) == Flips(2, 1, 0, 1)


def test_an_answer_that_is_no_number_is_wrong() -> None:
    """NaN or infinity in any class is answer -1, also where the largest probability is at the label."""
    answers = quality.answers(np.array([[0.9, 0.1], [np.nan, 0.1], [np.inf, 0.1], [0.2, np.nan]]))

    assert answers.tolist() == [0, -1, -1, -1]
    assert quality.accuracy_ratio(np.zeros(4, np.int64), np.array([[0.9, 0.1]] + [[0.9, np.nan]] * 3)) == 0.25


def test_wilson_is_the_score_interval() -> None:
    """It equals the closed form, also at the edges where the naive interval is empty."""
    for right, count in ((846, 1000), (0, 10), (10, 10)):
        z, share = stats.norm.ppf(0.975), right / count
        middle = (share + z**2 / (2 * count)) / (1 + z**2 / count)
        half = z / (1 + z**2 / count) * math.sqrt(share * (1 - share) / count + z**2 / (4 * count**2))
        found = wilson_interval(right, count)

        assert (found.low, found.high) == (
            pytest.approx(max(middle - half, 0), abs=1e-9),
            pytest.approx(min(middle + half, 1), abs=1e-9),
        )
        assert found.level_ratio == 0.95


def test_slices_are_described_one_by_one() -> None:
    """Every value of a column has its own count, accuracies, change and bound, in the order of names."""
    both = paired([0] * 4, [0, 0, 1, 0], [0, 1, 0, 0], length=["short", "long", "long", "short"], other=["x"] * 4)
    long, short, other = quality.slice_results(both, ("length", "other"))

    assert (long.value, long.example_count, long.baseline_accuracy_ratio, long.candidate_accuracy_ratio) == (
        "long",
        2,
        0.5,
        0.5,
    )
    assert (short.value, short.change_ratio) == ("short", 0.0)
    assert long.change_low_ratio == tango_lower(1, 1, 2)
    assert other.example_count == 4
    assert quality.slice_results(both, ()) == ()


def test_the_p_value_is_exact() -> None:
    """It is twice the smaller tail of a fair coin over the discordant pairs, at most 1, and 1 without any."""
    for negative, positive in ((9, 4), (4, 9), (5, 0), (6, 6), (1, 0), (0, 0)):
        total = negative + positive
        tail = sum(math.comb(total, count) for count in range(min(negative, positive) + 1)) / 2**total
        flips = Flips(example_count=100, negative_count=negative, positive_count=positive, changed_count=total + 3)

        assert quality.mcnemar_p(flips) == pytest.approx(min(2 * tail, 1.0), rel=1e-12)


def test_independent_errors_have_a_relative_ratio_of_one() -> None:
    """Both have 80 of 100 answers right, of which 64 are common, as chance would have it."""
    independent = Flips(example_count=100, negative_count=16, positive_count=16, changed_count=32)
    congruent = Flips(example_count=100, negative_count=0, positive_count=5, changed_count=5)

    assert quality.relative_negative_flip_ratio(independent, baseline_right_count=80) == pytest.approx(1.0)
    assert quality.relative_negative_flip_ratio(congruent, baseline_right_count=80) == 0.0


def test_the_relative_ratio_is_the_formula_on_answers() -> None:
    """It equals the rate of negative flips over baseline accuracy times candidate error, counted from answers."""
    rng = np.random.default_rng(5)
    labels, baseline, candidate = rng.integers(3, size=(3, 200)).tolist()
    right_before, right_after = np.equal(labels, baseline), np.equal(labels, candidate)
    expected = np.mean(right_before & ~right_after) / (right_before.mean() * (1 - right_after.mean()))
    found = quality.relative_negative_flip_ratio(
        count_flips(paired(labels, baseline, candidate)), baseline_right_count=int(right_before.sum())
    )

    assert found == pytest.approx(expected)


def test_the_relative_ratio_needs_something_to_lose_and_an_error() -> None:
    """There is none where the baseline is never right, and none where the candidate is never wrong."""
    gained = Flips(example_count=10, negative_count=0, positive_count=10, changed_count=10)
    both_wrong = Flips(example_count=10, negative_count=0, positive_count=0, changed_count=0)

    assert quality.relative_negative_flip_ratio(gained, baseline_right_count=0) is None
    assert quality.relative_negative_flip_ratio(both_wrong, baseline_right_count=0) is None
    assert quality.relative_negative_flip_ratio(both_wrong, baseline_right_count=10) is None


def test_a_margin_is_best_minus_second_best() -> None:
    """In double precision, wherever the two classes stand; NaN where any probability is not finite."""
    rows = [[0.1, 0.7, 0.2], [0.4, 0.2, 0.4], [math.nan, 0.9, 0.1], [math.inf, math.inf, 0]]
    with np.errstate(invalid="raise"):
        found = quality.margins(np.array(rows, np.float32))

    assert found[:2].tolist() == [float(np.float32(0.7)) - float(np.float32(0.2)), 0.0]
    assert np.isnan(found[2:]).all()
    assert found.dtype == np.float64


def test_ties_are_flips_where_the_baseline_could_hardly_decide() -> None:
    """Both ways, below the margin and not at it; a tie that did not flip and another wrong label do not count."""
    border, sure = [0.40625, 0.59375, 0.0], [0.0, 1.0, 0.0]
    near = [0.4375, 0.5625, 0.0]
    first, second, third = np.eye(3).tolist()
    # Baseline, candidate, label: the margin of `near` is 0.125 and that of `border` 0.1875.
    rows = [
        (near, first, 1),  # a tie, right and then wrong
        (near, third, 1),  # another
        (near, first, 0),  # a tie, wrong and then right
        (near, second, 1),  # still right
        (near, first, 2),  # wrong and then wrong in another way
        (border, first, 1),  # a flip at the margin
        (sure, first, 1),  # a flip that is no tie
        ([math.nan, 0.5, 0.5], first, 0),  # no number has no margin
    ]
    baseline, candidate, labels = zip(*rows, strict=True)
    both = Paired(
        tuple(f"id-{place}" for place in range(len(rows))),
        np.array(labels, np.int64),
        np.array(baseline, np.float32),
        np.array(candidate, np.float32),
        {},
    )

    assert quality.tie_counts(both, margin_ratio=0.1875) == (3, 2)
    assert quality.tie_counts(both, margin_ratio=0.1876) == (4, 3)
    assert quality.tie_counts(both) == (0, 0)


def test_a_thousandth_is_the_margin_of_a_tie() -> None:
    """Answers of 0.50025 to 0.49975 are a tie, those of 0.5006 to 0.4994 are none."""
    for top, expected in ((0.50025, (1, 1)), (0.5006, (0, 0))):
        both = Paired(
            ("id-0",),
            np.zeros(1, np.int64),
            np.array([[top, 1 - top]], np.float32),
            np.array([[0.4, 0.6]], np.float32),
            {},
        )

        assert quality.tie_counts(both) == expected
