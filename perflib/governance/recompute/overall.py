"""Counts over the whole test split, and how far apart two models' answers are, whoever is right."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from scipy import special, stats

from perflib.governance.recompute.bounds import LEVEL_RATIO, Pairs
from perflib.governance.recompute.kept import Answers, Floats

_POWER_RATIO = 0.8
_LEAST_PROBABILITY_RATIO = 1e-12


def counts(answers: Answers, *, margin_ratio: float) -> dict[str, Any]:
    """
    Return what a record says of the whole split, except distances and confidence.

    Args:
        answers: Both models'.
        margin_ratio: The loss of accuracy that is allowed; the number of examples needed follows from it.
    """
    before, after, ties = answers.is_right_before, answers.is_right_after, answers.is_tie
    pairs = Pairs.of(before, after)
    n, flip_count = pairs.example_count, pairs.worse_count + pairs.better_count
    quantiles = float(special.ndtri(LEVEL_RATIO) + special.ndtri(_POWER_RATIO))
    # As many negative flips as two models with independent errors would have.
    independent_ratio = float(before.mean() * np.mean(~after))
    is_finite = answers.label_after >= 0
    sums = answers.candidate[is_finite].sum(axis=1)
    return {
        "example_count": n,
        "baseline_accuracy_ratio": float(before.mean()),
        "candidate_accuracy_ratio": float(after.mean()),
        "accuracy_change_ratio": pairs.change() | {"high": None},
        "negative_flip_count": pairs.worse_count,
        "positive_flip_count": pairs.better_count,
        "changed_label_count": int(np.sum(answers.label_before != answers.label_after)),
        "tie_count": int(np.sum((before != after) & ties)),
        "negative_tie_count": int(np.sum(before & ~after & ties)),
        "relative_negative_flip_ratio": pairs.worse_count / n / independent_ratio if independent_ratio else None,
        "mcnemar_p": float(stats.binomtest(pairs.worse_count, flip_count).pvalue) if flip_count else 1.0,
        "needed_example_count": math.ceil(quantiles**2 * (max(flip_count, 1) / n) / margin_ratio**2),
        "non_finite_count": int(np.sum(~is_finite)),
        "worst_sum_error_ratio": float(np.abs(sums - 1).max(initial=0.0)),
    }


def distances(answers: Answers) -> Mapping[str, float] | None:
    """Return how far apart the answers are; None where no example has two finite ones."""
    was, now = answers.label_before, answers.label_after
    is_finite = (was >= 0) & (now >= 0)
    if not is_finite.any():
        return None
    p, q = answers.baseline[is_finite], answers.candidate[is_finite]
    kl_nat = np.maximum(_divergence(p, q), 0.0)
    middle = (p + q) / 2
    shannon_bits = np.clip((_divergence(p, middle) + _divergence(q, middle)) / 2 / math.log(2), 0.0, 1.0)
    median, p99, p999 = np.quantile(kl_nat, (0.5, 0.99, 0.999))
    return {
        "label_loyalty_ratio": float(np.mean(was == now)),
        "probability_loyalty_ratio": float(np.mean(1 - np.sqrt(shannon_bits))),
        "kl_mean_nat": float(kl_nat.mean()),
        "kl_median_nat": float(median),
        "kl_p99_nat": float(p99),
        "kl_p999_nat": float(p999),
        "kl_max_nat": float(kl_nat.max()),
        **_of_logits(_centred_logs(p), _centred_logs(q)),
    }


def _divergence(p: Floats, q: Floats) -> Floats:
    """Return the KL divergence of each row of q from p, in nat, with probabilities clipped from below."""
    p, q = np.maximum(p, _LEAST_PROBABILITY_RATIO), np.maximum(q, _LEAST_PROBABILITY_RATIO)
    divergences: Floats = (p * np.log(p / q)).sum(axis=1)
    return divergences


def _centred_logs(p: Floats) -> Floats:
    logs = np.log(np.maximum(p, _LEAST_PROBABILITY_RATIO))
    centred: Floats = logs - logs.mean(axis=1, keepdims=True)
    return centred


def _of_logits(a: Floats, b: Floats) -> dict[str, float]:
    power, other_power, noise = float((a**2).sum()), float((b**2).sum()), float(((a - b) ** 2).sum())
    # A model without any preference has no direction: two of them agree, one alone is at a right angle to the other.
    cosine = float(power == other_power)
    if power and other_power:
        cosine = float((a * b).sum()) / math.sqrt(power * other_power)
    signal = max(power, float(np.finfo(np.float64).tiny))
    return {"cosine_ratio": cosine, "sqnr_db": 10 * math.log10(signal / noise) if noise else math.nan}
