"""Gates A1 to A5, over the whole test split: accuracy, flips, distance of the answers, confidence."""

from collections.abc import Callable, Mapping

from perflib import units
from perflib.results import Change, Distances, GateVerdict, Validation
from perflib.validation import quality
from perflib.validation.gates.ruling import Limit, Rule, Ruling, within


def _retention(limit: Limit, found: Validation) -> Ruling:
    # Of the counts: the ratio of two rounded ratios can fall below a limit that 99 of 100 keep exactly.
    right_before = round(found.baseline_accuracy_ratio * found.example_count)
    right_after = round(found.candidate_accuracy_ratio * found.example_count)
    if not right_before:
        return Ruling("INCONCLUSIVE", None, "The baseline has no right answer, so nothing can be retained.")
    kept = right_after / right_before
    return Ruling(
        "PASS" if kept >= limit.limit else "FAIL",
        kept,
        f"The candidate keeps {units.percent(kept, 2)} of the baseline's accuracy; the limit is "
        f"{units.percent(limit.limit)}.",
    )


def _non_inferiority(limit: Limit, found: Validation) -> Ruling:
    margin, change = limit.limit, found.accuracy_change_ratio
    low = -1.0 if change.low is None else change.low
    said = f"Accuracy changes by {units.points(change.estimate)} and, 95 % sure, by no less than {units.points(low)}"
    verdict: GateVerdict = "INCONCLUSIVE"
    if low > -margin:
        verdict, ending = "PASS", f"the margin is {100 * margin:g} pp."
    elif change.estimate <= -margin:
        verdict, ending = "FAIL", f"the margin of {100 * margin:g} pp is used up."
    else:
        ending = (
            f"{found.example_count:,} examples cannot show that the loss stays under {100 * margin:g} pp; "
            f"about {examples_wanted(found, margin):,} could, if it is truly what was seen."
        )
    return Ruling(verdict, change.estimate, f"{said}; {ending}", low=change.low)


def examples_wanted(found: Validation, margin: float) -> int:
    """Return how many examples would prove the margin with 80 % power, if the loss and the flips are those seen."""
    # If the loss is truly the one seen, what is left of the margin has to be proved.
    left = margin + min(found.accuracy_change_ratio.estimate, 0.0)
    flips_ratio = (found.negative_flip_count + found.positive_flip_count) / found.example_count
    return quality.examples_needed(max(flips_ratio, 1 / found.example_count), left)


def _flips(count_of: Callable[[Validation], int], ties_of: Callable[[Validation], int], what: str) -> Rule:
    def rule(limit: Limit, found: Validation) -> Ruling:
        count = count_of(found) - (ties_of(found) if limit.has_free_ties else 0)
        share = count / found.example_count
        forgiven = ", ties of the baseline left out" if limit.has_free_ties else ""
        return Ruling(
            within(share, limit),
            share,
            f"{units.percent(share, 2)} of answers {what}{forgiven}; the limit is {units.percent(limit.limit)}.",
        )

    return rule


def _distance(field: str, what: str, *, is_larger_better: bool) -> Rule:
    def rule(limit: Limit, found: Validation) -> Ruling:
        if found.distances is None:
            return Ruling("INCONCLUSIVE", None, "No answer is finite in both models, so they cannot be compared.")
        value: float = getattr(found.distances, field)
        if is_larger_better:
            verdict: GateVerdict = "PASS" if value >= limit.limit else "FAIL"
        else:
            verdict = within(value, limit)
        allowed = "has to be at least" if is_larger_better else "may be at most"
        said = f"{what} is {value:.6g}; it {allowed} {limit.limit:.6g}"
        # Labels are compared on every example, all else where both answers are finite: on a part nothing is kept.
        if found.non_finite_count and field != "label_loyalty_ratio" and verdict != "FAIL":
            left_out = f"{found.non_finite_count} answers that are not finite are left out"
            return Ruling("INCONCLUSIVE", value, f"{said}, but {left_out}.")
        return Ruling(verdict, value, f"{said}.")

    return rule


def _calibration(name: str, what: str) -> Rule:
    def rule(limit: Limit, found: Validation) -> Ruling:
        change = next((one for one in found.differences if one.name == name), None)
        if change is None:
            return Ruling("INCONCLUSIVE", None, "Not every answer is finite, so confidence cannot be judged.")
        most = limit.warn_limit if limit.warn_limit is not None else limit.limit
        return Ruling(
            _bounded(change, limit, most),
            change.estimate,
            f"{what} changes by {change.estimate:+.4f}, 95 % sure by no more than {change.high:+.4f}; the limit is "
            f"{most:g}.",
            change.low,
            change.high,
        )

    return rule


def _bounded(change: Change, limit: Limit, most: float) -> GateVerdict:
    if change.high <= limit.limit:
        return "PASS"
    if change.high <= most:
        return "WARN"
    return "FAIL" if change.estimate > most else "INCONCLUSIVE"


OVERALL: Mapping[str, tuple[str, Rule]] = {
    "A1": ("accuracy retention", _retention),
    "A2": ("non-inferiority", _non_inferiority),
    "A3-negative": (
        "negative flips",
        _flips(lambda one: one.negative_flip_count, lambda one: one.negative_tie_count, "were right and became wrong"),
    ),
    "A3-all": (
        "all flips",
        _flips(
            lambda one: one.negative_flip_count + one.positive_flip_count,
            lambda one: one.tie_count,
            "changed between right and wrong",
        ),
    ),
    "A4-label-loyalty": (
        "label loyalty",
        _distance("label_loyalty_ratio", "The share of equal labels", is_larger_better=True),
    ),
    "A4-kl-mean": ("mean divergence", _distance("kl_mean_nat", "Mean KL divergence in nat", is_larger_better=False)),
    "A4-kl-p99": (
        "divergence of the worst hundredth",
        _distance("kl_p99_nat", "The 99th percentile of the KL divergence in nat", is_larger_better=False),
    ),
    "A4-cosine": ("angle of the logits", _distance("cosine_ratio", "The cosine of the logits", is_larger_better=True)),
    "A5-ece": ("calibration error", _calibration("ece", "The expected calibration error")),
    "A5-brier": ("Brier score", _calibration("brier", "The Brier score")),
}


def churn_allowance(gate_id: str, distances: Distances, *, negative_ratio: float, flips_ratio: float) -> float:
    """Return what an honest re-training changes, on the scale of one gate; negative where larger is better."""
    return {
        "A3-negative": negative_ratio,
        "A3-all": flips_ratio,
        "A4-label-loyalty": distances.label_loyalty_ratio - 1,
        "A4-kl-mean": distances.kl_mean_nat,
        "A4-kl-p99": distances.kl_p99_nat,
        "A4-cosine": distances.cosine_ratio - 1,
    }[gate_id]
