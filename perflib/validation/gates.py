"""
Guardrails: limits fixed before anybody sees a result, and the verdict that follows from them.

The file `params/guardrails.yaml` holds profiles of limits, each with its source; its digest goes into the record.
A gate that lacks data says INCONCLUSIVE and how many examples would decide; that never counts as a pass.
"""

import dataclasses
import math
from collections.abc import Callable, Iterable, Mapping

import numpy as np

from perflib import units
from perflib.errors import ParameterError, did_you_mean
from perflib.results import Gate, GateVerdict, Interval, Validation
from perflib.validation import quality
from perflib.validation.predictions import Paired
from perflib.validation.quality import Flips

_SEVERITY: tuple[GateVerdict, ...] = ("PASS", "WARN", "INCONCLUSIVE", "FAIL")


@dataclasses.dataclass(frozen=True)
class Limit:
    """One limit of a profile: the number that passes, the one that only warns (if any), and where both come from."""

    limit: float
    source: str
    warn_limit: float | None = None


Guardrails = Mapping[str, Mapping[str, Limit]]


@dataclasses.dataclass(frozen=True)
class _Facts:
    flips: Flips
    baseline_accuracy_ratio: float
    candidate_accuracy_ratio: float
    change_low_ratio: float
    non_finite_count: int


def validate(
    paired: Paired,
    *,
    name: str,
    guardrails: Guardrails,
    guardrails_sha256: str,
    profile: str,
    slice_columns: tuple[str, ...],
    baseline_sha256: str,
    candidate_sha256: str,
    split_sha256: str,
) -> Validation:
    """
    Judge a candidate's answers.

    Args:
        paired: Both models' answers to the whole test split.
        name: The candidate.
        guardrails: Limits by profile and gate id.
        guardrails_sha256: Digest of the file they come from.
        profile: ``lossless`` or ``lossy``.
        slice_columns: Whose values are reported one by one.
        baseline_sha256: The baseline artifact.
        candidate_sha256: The candidate artifact.
        split_sha256: The test split.

    Raises:
        ParameterError: If the profile or a gate in it is unknown.
    """
    if profile not in guardrails:
        raise ParameterError(f"guardrail profile `{profile}` is not in the file; {did_you_mean(profile, guardrails)}")
    flips = quality.count_flips(paired)
    facts = _Facts(
        flips=flips,
        baseline_accuracy_ratio=quality.accuracy_ratio(paired.labels, paired.baseline),
        candidate_accuracy_ratio=quality.accuracy_ratio(paired.labels, paired.candidate),
        change_low_ratio=quality.tango_lower(flips.negative_count, flips.positive_count, len(paired)),
        non_finite_count=int(np.sum(~np.isfinite(paired.candidate).all(axis=1))),
    )
    gates = tuple(_judge(gate_id, limit, facts) for gate_id, limit in guardrails[profile].items())
    return Validation(
        name=name,
        baseline_sha256=baseline_sha256,
        candidate_sha256=candidate_sha256,
        guardrails_sha256=guardrails_sha256,
        profile=profile,
        split_sha256=split_sha256,
        example_count=len(paired),
        baseline_accuracy_ratio=facts.baseline_accuracy_ratio,
        candidate_accuracy_ratio=facts.candidate_accuracy_ratio,
        accuracy_change_ratio=Interval(flips.change_ratio, facts.change_low_ratio, None, quality.ONE_SIDED_LEVEL),
        negative_flip_count=flips.negative_count,
        positive_flip_count=flips.positive_count,
        changed_label_count=flips.changed_count,
        non_finite_count=facts.non_finite_count,
        slices=quality.slice_results(paired, slice_columns),
        gates=gates,
        verdict=worst(gate.verdict for gate in gates),
    )


def worst(verdicts: Iterable[GateVerdict]) -> GateVerdict:
    """
    Return the worst of several verdicts: FAIL, then INCONCLUSIVE, then WARN; without any gate nothing was decided.

    Example:
        >>> worst(["PASS", "INCONCLUSIVE", "WARN"])
        'INCONCLUSIVE'
    """
    return max(verdicts, key=_SEVERITY.index, default="INCONCLUSIVE")


def _judge(gate_id: str, limit: Limit, facts: _Facts) -> Gate:
    if gate_id not in GATES:
        raise ParameterError(f"guardrail `{gate_id}` is not known; {did_you_mean(gate_id, GATES)}")
    name, rule = GATES[gate_id]
    verdict, measured, sentence = rule(limit, facts)
    return Gate(gate_id, name, verdict, measured, limit.limit, sentence, limit.source)


# Where a number between limit and warn_limit warns instead of failing.
WARNING_GATES = frozenset({"A3-negative", "A3-all"})

Ruling = tuple[GateVerdict, float | None, str]


def _retention(limit: Limit, facts: _Facts) -> Ruling:
    if facts.baseline_accuracy_ratio == 0:
        return "INCONCLUSIVE", None, "The baseline has no right answer, so nothing can be retained."
    # Of the counts: the ratio of two rounded ratios can fall below a limit that 99 of 100 keep exactly.
    count = facts.flips.example_count
    kept = round(facts.candidate_accuracy_ratio * count) / round(facts.baseline_accuracy_ratio * count)
    verdict: GateVerdict = "PASS" if kept >= limit.limit else "FAIL"
    least = units.percent(limit.limit)
    return (
        verdict,
        kept,
        f"The candidate keeps {units.percent(kept, 2)} of the baseline's accuracy; the limit is {least}.",
    )


def _non_inferiority(limit: Limit, facts: _Facts) -> Ruling:
    margin, low, flips = limit.limit, facts.change_low_ratio, facts.flips
    said = f"Accuracy changes by {units.points(flips.change_ratio)} and, 95 % sure, by no less than {units.points(low)}"
    if low > -margin:
        return "PASS", low, f"{said}; the margin is {100 * margin:g} pp."
    if flips.change_ratio <= -margin:
        return "FAIL", low, f"{said}; the margin of {100 * margin:g} pp is used up."
    # If the loss is truly the one seen, what is left of the margin has to be proved.
    left = margin + min(flips.change_ratio, 0.0)
    wanted = quality.examples_needed(max(flips.flips_ratio, 1 / flips.example_count), left)
    return (
        "INCONCLUSIVE",
        low,
        f"{said}; {flips.example_count:,} examples cannot show that the loss stays under {100 * margin:g} pp; "
        f"about {wanted:,} could, if it is truly what was seen.",
    )


def _flips(share: Callable[[Flips], float], what: str) -> Callable[[Limit, _Facts], Ruling]:
    def rule(limit: Limit, facts: _Facts) -> Ruling:
        measured = share(facts.flips)
        warned = limit.limit if limit.warn_limit is None else limit.warn_limit
        verdict: GateVerdict = "PASS" if measured <= limit.limit else "WARN" if measured <= warned else "FAIL"
        most = units.percent(limit.limit)
        return verdict, measured, f"{units.percent(measured, 2)} of answers {what}; the limit is {most}."

    return rule


def _finite(limit: Limit, facts: _Facts) -> Ruling:
    count = facts.non_finite_count
    verdict: GateVerdict = "PASS" if count <= limit.limit else "FAIL"
    return verdict, float(count), f"{count} answers are not finite numbers; {math.floor(limit.limit)} are allowed."


GATES: Mapping[str, tuple[str, Callable[[Limit, _Facts], Ruling]]] = {
    "A1": ("accuracy retention", _retention),
    "A2": ("non-inferiority", _non_inferiority),
    "A3-negative": ("negative flips", _flips(lambda flips: flips.negative_ratio, "were right and became wrong")),
    "A3-all": ("all flips", _flips(lambda flips: flips.flips_ratio, "changed between right and wrong")),
    "A12": ("finite answers", _finite),
}
