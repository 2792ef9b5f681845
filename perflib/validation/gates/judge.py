"""From a finished record to its gates and its verdict."""

import dataclasses
from collections.abc import Iterable, Mapping

from perflib.errors import ParameterError, did_you_mean
from perflib.results import Gate, GateVerdict, Validation
from perflib.validation.gates.groups import GROUPS
from perflib.validation.gates.integrity import INTEGRITY
from perflib.validation.gates.overall import OVERALL, churn_allowance
from perflib.validation.gates.robustness import ROBUSTNESS
from perflib.validation.gates.ruling import SEVERITY, Limit, Rule, Ruling

Guardrails = Mapping[str, Mapping[str, Limit]]

GATES: Mapping[str, tuple[str, Rule]] = {**OVERALL, **GROUPS, **ROBUSTNESS, **INTEGRITY}

# Where a number between limit and warn_limit warns instead of failing.
WARNING_GATES = frozenset(
    {"A3-negative", "A3-all", "A4-kl-mean", "A4-kl-p99", "A5-ece", "A5-brier", "A9", "A12-batch", "A12-padding"}
)
# What a re-training changes by itself, and these gates may therefore allow.
CHURN_GATES = frozenset(
    {"A3-negative", "A3-all", "A4-label-loyalty", "A4-kl-mean", "A4-kl-p99", "A4-cosine", "A7-bound", "A9"}
)
TIE_GATES = frozenset({"A3-negative", "A3-all"})


def judge(found: Validation, guardrails: Guardrails, *, waivers: Mapping[str, str] | None = None) -> Validation:
    """
    Apply the limits of a record's profile to the record.

    Args:
        found: Everything that was measured; its own gates and verdict are replaced.
        guardrails: Limits by profile and gate id.
        waivers: For a gate's id, who lets it pass, why and until when; a waived FAIL or INCONCLUSIVE counts as WARN.

    Raises:
        ParameterError: If the profile or a gate in it is unknown.
    """
    if found.profile not in guardrails:
        raise ParameterError(
            f"guardrail profile `{found.profile}` is not in the file; {did_you_mean(found.profile, guardrails)}"
        )
    gates = tuple(
        _gate(gate_id, limit, found, (waivers or {}).get(gate_id))
        for gate_id, limit in guardrails[found.profile].items()
        if gate_id not in _unasked(found)
    )
    return dataclasses.replace(found, gates=gates, verdict=worst(gate.counts_as for gate in gates))


def worst(verdicts: Iterable[GateVerdict]) -> GateVerdict:
    """
    Return the worst of several verdicts: FAIL, then INCONCLUSIVE, then WARN; without any gate nothing was decided.

    Example:
        >>> worst(["PASS", "INCONCLUSIVE", "WARN"])
        'INCONCLUSIVE'
    """
    return max(verdicts, key=SEVERITY.index, default="INCONCLUSIVE")


def _gate(gate_id: str, limit: Limit, found: Validation, waiver: str | None) -> Gate:
    if gate_id not in GATES:
        raise ParameterError(f"guardrail `{gate_id}` is not known; {did_you_mean(gate_id, GATES)}")
    name, rule = GATES[gate_id]
    if limit.is_above_churn and not _has_own_churn(found):
        ruling = Ruling(
            "INCONCLUSIVE",
            None,
            "How many answers an honest re-training of this baseline changes on this test split was never measured; "
            "run `perflib prepare --churn`.",
        )
    else:
        limit = _allowing_churn(gate_id, limit, found)
        ruling = rule(limit, found)
    return Gate(
        id=gate_id,
        name=name,
        verdict=ruling.verdict,
        measured=ruling.measured,
        low=ruling.low,
        high=ruling.high,
        limit=limit.limit,
        warn_limit=limit.warn_limit,
        sentence=ruling.sentence,
        source=limit.source,
        waiver=waiver if ruling.verdict in ("FAIL", "INCONCLUSIVE") else None,
    )


def _has_own_churn(found: Validation) -> bool:
    """Say whether the churn is of this baseline and this split: another's may be larger and would allow too much."""
    churn = found.churn
    return churn is not None and (
        (churn.baseline_sha256, churn.split_sha256) == (found.identity.baseline_sha256, found.split_sha256)
    )


def _allowing_churn(gate_id: str, limit: Limit, found: Validation) -> Limit:
    churn = found.churn
    # What a re-training does to a slice is no allowance: the gate leaves out the slices where it could not be kept.
    if not limit.is_above_churn or churn is None or gate_id == "A7-bound":
        return limit
    if gate_id == "A9":
        allowed = max(churn.worst_perturbation_increase_ratio or 0.0, 0.0)
    else:
        allowed = churn_allowance(
            gate_id, churn.distances, negative_ratio=churn.negative_flip_ratio, flips_ratio=churn.flips_ratio
        )
    most = None if limit.warn_limit is None else limit.warn_limit + allowed
    return dataclasses.replace(limit, limit=limit.limit + allowed, warn_limit=most)


def _unasked(found: Validation) -> frozenset[str]:
    suites = {"perturbation": {"A9"}, "counterfactual": {"A10-flips", "A10-gap", "A10-mean"}, "behaviour": {"A11"}}
    absent = [gates for suite, gates in suites.items() if suite in found.absent_suites]
    # True and false positives are words for two classes.
    absent += [{"A8-odds"}] if len(found.classes) > 2 else []
    return frozenset().union(*absent) if absent else frozenset()
