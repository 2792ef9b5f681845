"""
How far apart two models' answers are, whoever is right: loyalty, divergence, angle.

A model may keep its accuracy and still become another model. Loyalty is that of Xu et al. (2021), divergence and its
tail that of Dutta et al. (2024). All sums are in double precision, so that rounding of the answers is all that is seen.

    >>> half, sure = np.array([[0.5, 0.5]]), np.array([[0.9, 0.1]])
    >>> round(distances(half, sure).kl_mean_nat, 3)
    0.511
"""

import math

import numpy as np
from numpy.typing import NDArray

from perflib.results import Distances
from perflib.validation.quality import answers

LEAST_PROBABILITY_RATIO = 1e-12


def distances(baseline: NDArray[np.floating], candidate: NDArray[np.floating]) -> Distances | None:
    """
    Return every distance between two models' answers.

    Label loyalty counts all examples; an answer that is not finite is a label of its own. Everything else is over the
    examples whose answers are finite in both models.

    Args:
        baseline: Probabilities, shape (examples, classes).
        candidate: The same of the candidate, the examples in the same order.

    Returns:
        The distances; None where no example is finite in both.
    """
    is_finite = np.isfinite(baseline).all(axis=1) & np.isfinite(candidate).all(axis=1)
    if not is_finite.any():
        return None
    before, after = (values[is_finite].astype(np.float64) for values in (baseline, candidate))
    divergence = kl_nat(before, after)
    p99, p999 = np.quantile(divergence, [0.99, 0.999])
    one, other = _centred_logs(before), _centred_logs(after)
    return Distances(
        label_loyalty_ratio=float(np.mean(answers(baseline) == answers(candidate))),
        probability_loyalty_ratio=float(np.mean(1.0 - np.sqrt(js_bits(before, after)))),
        kl_mean_nat=float(divergence.mean()),
        kl_median_nat=float(np.median(divergence)),
        kl_p99_nat=float(p99),
        kl_p999_nat=float(p999),
        kl_max_nat=float(divergence.max()),
        cosine_ratio=_cosine_ratio(one, other),
        sqnr_db=_sqnr_db(one, other),
    )


def kl_nat(before: NDArray[np.float64], after: NDArray[np.float64]) -> NDArray[np.float64]:
    """
    Return the divergence of ``after`` from ``before`` per example: the sum over classes of p ln(p / q).

    Both are clipped from below at 1e-12. Rounded answers do not sum to one exactly, which can bring a divergence below
    zero; it is then zero.

    Args:
        before: p, shape (examples, classes).
        after: q, of the same shape.

    Returns:
        Nats, shape (examples,).

    Example:
        >>> kl_nat(np.array([[0.5, 0.5], [1.0, 0.0]]), np.array([[0.5, 0.5], [0.5, 0.5]])).round(3).tolist()
        [0.0, 0.693]
    """
    return np.maximum(_kl_sums(before, after), 0.0)


def js_bits(before: NDArray[np.float64], after: NDArray[np.float64]) -> NDArray[np.float64]:
    """
    Return the Jensen-Shannon divergence per example: 0 where both agree, 1 where they share no class.

    Args:
        before: Probabilities, shape (examples, classes); clipped as in `kl_nat`.
        after: Of the same shape; exchanging the two changes nothing.

    Returns:
        Bits, shape (examples,).

    Example:
        >>> js_bits(np.array([[0.5, 0.5], [1.0, 0.0]]), np.array([[0.5, 0.5], [0.0, 1.0]])).round(3).tolist()
        [0.0, 1.0]
    """
    middle = (before + after) / 2
    # Each half alone may be off by a sum that is not one; added they are not, so only the total may be clipped.
    nat = (_kl_sums(before, middle) + _kl_sums(after, middle)) / 2
    return np.clip(nat / math.log(2), 0.0, 1.0)


def _kl_sums(before: NDArray[np.float64], after: NDArray[np.float64]) -> NDArray[np.float64]:
    p, q = np.maximum(before, LEAST_PROBABILITY_RATIO), np.maximum(after, LEAST_PROBABILITY_RATIO)
    sums: NDArray[np.float64] = (p * np.log(p / q)).sum(axis=1)
    return sums


def _centred_logs(probabilities: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the logits up to what softmax drops: the logs, minus their mean over the classes of each example."""
    logs = np.log(np.maximum(probabilities, LEAST_PROBABILITY_RATIO))
    centred: NDArray[np.float64] = logs - logs.mean(axis=1, keepdims=True)
    return centred


def _cosine_ratio(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    power, other_power = float(np.vdot(one, one)), float(np.vdot(other, other))
    if power == 0 or other_power == 0:
        # Two models without any preference agree; one of them without is at a right angle to the other.
        return 1.0 if power == other_power else 0.0
    return float(np.vdot(one, other)) / math.sqrt(power * other_power)


def _sqnr_db(one: NDArray[np.float64], other: NDArray[np.float64]) -> float | None:
    difference = one - other
    noise = float(np.vdot(difference, difference))
    if noise == 0:
        return None
    # A baseline without any preference has no signal; a record holds no infinity, and -3,000 dB says the same.
    signal = max(float(np.vdot(one, one)), np.finfo(np.float64).tiny)
    return 10.0 * (math.log10(signal) - math.log10(noise))
