"""Distances: each equals what scipy, a plain loop or the formula on paper says, also where an answer is no number."""

import math

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats
from scipy.spatial.distance import jensenshannon

from perflib.validation.distances import distances, js_bits, kl_nat


def drawn(count: int, class_count: int, seed: int = 0) -> NDArray[np.float64]:
    """Return probabilities of some examples, far from zero."""
    return np.random.default_rng(seed).dirichlet([2.0] * class_count, count)


def softmax(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return probabilities that sum to one."""
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    total: NDArray[np.float64] = powers / powers.sum(axis=1, keepdims=True)
    return total


def test_the_divergence_is_scipys() -> None:
    """Per example it is the relative entropy of the baseline with respect to the candidate, not the other way."""
    before, after = drawn(50, 3), drawn(50, 3, seed=1)

    np.testing.assert_allclose(kl_nat(before, after), stats.entropy(before, after, axis=1), rtol=1e-12)
    assert not np.allclose(kl_nat(before, after), kl_nat(after, before))


def test_the_divergence_is_summed_up_as_quantiles() -> None:
    """Mean, median, the tail by linear quantiles and the maximum are those of the divergence of every example."""
    before, after = drawn(1234, 3), drawn(1234, 3, seed=1)
    ranked = sorted(stats.entropy(before, after, axis=1))
    found = distances(before, after)

    def quantile(share: float) -> float:
        place = share * (len(ranked) - 1)
        low = math.floor(place)
        return float(ranked[low] + (place - low) * (ranked[low + 1] - ranked[low]))

    assert found is not None
    assert found.kl_mean_nat == pytest.approx(math.fsum(ranked) / len(ranked), rel=1e-12)
    assert found.kl_median_nat == pytest.approx((ranked[616] + ranked[617]) / 2, rel=1e-12)
    assert found.kl_p99_nat == pytest.approx(quantile(0.99), rel=1e-12)
    assert found.kl_p999_nat == pytest.approx(quantile(0.999), rel=1e-12)
    assert found.kl_max_nat == pytest.approx(ranked[-1], rel=1e-12)


def test_a_probability_of_zero_is_clipped() -> None:
    """A class that the candidate rules out costs the log of 1e-12; one that the baseline rules out costs nothing."""
    found = kl_nat(np.array([[0.5, 0.5], [1.0, 0.0]]), np.array([[1.0, 0.0], [0.5, 0.5]]))

    assert found[0] == pytest.approx(0.5 * math.log(0.5) + 0.5 * math.log(0.5 / 1e-12), rel=1e-12)
    assert found[1] == pytest.approx(math.log(2), abs=1e-10)


def test_rounding_brings_no_divergence_below_zero() -> None:
    """Where the candidate's answers sum to a little more than one, the divergence is zero."""
    before = np.array([[0.5, 0.5]])

    assert kl_nat(before, before * (1 + 1e-7)).tolist() == [0.0]


def test_probability_loyalty_is_scipys() -> None:
    """It is one minus the Jensen-Shannon distance in base 2, averaged, and the same in both directions."""
    before, after = drawn(200, 4), drawn(200, 4, seed=1)
    expected = np.mean(1 - jensenshannon(before, after, base=2, axis=1))
    there, back = distances(before, after), distances(after, before)

    assert there is not None
    assert back is not None
    assert there.probability_loyalty_ratio == pytest.approx(expected, rel=1e-12)
    assert back.probability_loyalty_ratio == pytest.approx(expected, rel=1e-12)


def test_the_jensen_shannon_divergence_ends_at_one() -> None:
    """It is 0 for equal answers and 1 for answers without a class in common, never beyond."""
    found = js_bits(np.array([[0.3, 0.7], [1.0, 0.0]]), np.array([[0.3, 0.7], [0.0, 1.0]]))

    assert found[0] == 0
    assert 1 - 1e-9 < found[1] <= 1


def test_a_sum_that_is_not_quite_one_costs_no_loyalty() -> None:
    """Answers rounded to single precision miss one by 1e-7; the square root must not make a distance of 1e-4 of it."""
    before = drawn(100, 2)
    after = before * (1 + 1e-7)

    assert js_bits(before, after).max() < 1e-13


def test_labels_are_compared_over_all_examples() -> None:
    """An answer that is not finite is another label than any class, and the same as another such answer."""
    nan = math.nan
    before = np.array([[0.9, 0.1], [0.9, 0.1], [0.9, 0.1], [nan, 0.1], [0.2, math.inf]])
    after = np.array([[0.6, 0.4], [0.4, 0.6], [nan, 0.1], [0.9, math.inf], [nan, nan]])
    found = distances(before, after)

    assert found is not None
    assert found.label_loyalty_ratio == 0.6


def test_other_numbers_are_over_what_is_finite_in_both() -> None:
    """They equal those of the finite rows alone, and nothing is said where there is none."""
    before, after = drawn(30, 3), drawn(30, 3, seed=1)
    broken_before, broken_after = before.copy(), after.copy()
    broken_before[3, 1], broken_after[7, 2], broken_after[9, 0] = math.nan, math.inf, -math.inf
    rows = np.delete(np.arange(30), [3, 7, 9])
    whole, part = distances(broken_before, broken_after), distances(before[rows], after[rows])

    assert whole is not None
    assert part is not None
    assert (whole.kl_mean_nat, whole.kl_max_nat) == (part.kl_mean_nat, part.kl_max_nat)
    assert whole.probability_loyalty_ratio == part.probability_loyalty_ratio
    assert (whole.cosine_ratio, whole.sqnr_db) == (part.cosine_ratio, part.sqnr_db)
    assert distances(np.full((2, 2), math.nan), drawn(2, 2)) is None
    assert distances(np.empty((0, 2)), np.empty((0, 2))) is None


def test_angle_and_noise_are_those_of_the_centred_logits() -> None:
    """A constant added to an example's logits changes nothing; all examples together make one vector."""
    rng = np.random.default_rng(2)
    one, other = rng.normal(0, 2, (40, 3)), rng.normal(0, 2, (40, 3))
    found = distances(softmax(one + 5), softmax(other))
    one, other = (logits - logits.mean(axis=1, keepdims=True) for logits in (one, other))
    noise = float(np.sum((one - other) ** 2))

    assert found is not None
    assert found.sqnr_db == pytest.approx(10 * math.log10(float(np.sum(one**2)) / noise), rel=1e-9)
    expected = float(np.sum(one * other)) / (np.linalg.norm(one) * np.linalg.norm(other))
    assert found.cosine_ratio == pytest.approx(expected, rel=1e-9)


def test_a_tenth_of_the_signal_is_twenty_decibels() -> None:
    """Logits that are all ten percent too large point the same way with an SQNR of 20 dB."""
    logits = np.random.default_rng(3).normal(0, 1, (20, 2))
    found = distances(softmax(logits), softmax(1.1 * logits))

    assert found is not None
    assert found.sqnr_db == pytest.approx(20.0)
    assert found.cosine_ratio == pytest.approx(1.0)


def test_a_class_that_is_ruled_out_has_a_finite_logit() -> None:
    """Logs are clipped at 1e-12: two models that are sure of opposite classes point in opposite directions."""
    found = distances(np.array([[1.0, 0.0]]), np.array([[0.0, 1.0]]))

    assert found is not None
    assert found.cosine_ratio == pytest.approx(-1.0)
    assert found.sqnr_db == pytest.approx(-20 * math.log10(2))


@pytest.mark.parametrize("precision", [np.float32, np.float64])
def test_a_model_is_at_no_distance_from_itself(precision: type[np.floating]) -> None:
    """Everything is exactly 1 or 0, and there is no noise to compare the signal with."""
    before = drawn(100, 3).astype(precision)
    found = distances(before, before.copy())

    assert found is not None
    assert (found.label_loyalty_ratio, found.probability_loyalty_ratio, found.cosine_ratio) == (1, 1, 1)
    assert (found.kl_mean_nat, found.kl_median_nat, found.kl_p99_nat) == (0, 0, 0)
    assert (found.kl_p999_nat, found.kl_max_nat, found.sqnr_db) == (0, 0, None)


def test_models_without_any_preference_have_an_angle_too() -> None:
    """Both without: the same. One without: a right angle, and a record can hold the decibels."""
    flat, sure = np.full((3, 2), 0.5), np.array([[0.9, 0.1]] * 3)
    both, baseline, candidate = distances(flat, flat), distances(flat, sure), distances(sure, flat)

    assert both is not None
    assert (both.cosine_ratio, both.sqnr_db) == (1.0, None)
    assert baseline is not None
    assert baseline.cosine_ratio == 0.0
    assert baseline.sqnr_db is not None
    assert math.isfinite(baseline.sqnr_db)
    assert baseline.sqnr_db < -3000
    assert candidate is not None
    assert candidate.cosine_ratio == 0.0
    assert candidate.sqnr_db == pytest.approx(0.0)


def test_single_precision_answers_are_summed_in_double() -> None:
    """The same numbers in both precisions give the same distances."""
    before, after = drawn(500, 2).astype(np.float32), drawn(500, 2, seed=1).astype(np.float32)

    assert distances(before, after) == distances(before.astype(np.float64), after.astype(np.float64))
