"""
Every gate of a validation record, judged again from the record's own numbers and the guardrails' own limits.

A gate passes, warns, fails or stays open by a rule that is written here a second time. What a re-training is allowed
comes from the record's churn, which is believed; so are waivers, whose file the reader of a pack has beside this.
"""

import math
from collections.abc import Mapping
from typing import Any

from perflib.errors import DataError
from perflib.governance.recompute.rules_parts import PARTS
from perflib.governance.recompute.rules_whole import WHOLE, Rule
from perflib.governance.recompute.ruling import OPEN, Bar, Ruling, worst_verdict
from perflib.governance.recompute.validation import TIES_LEFT_OUT

RULES: Mapping[str, Rule] = {**WHOLE, **PARTS}
NEVER_WAIVED = frozenset({"A13", "A14"})
_WAIVABLE = ("FAIL", "INCONCLUSIVE")
_TOLERANCE_RATIO = 1e-9
_UNASKED = {
    "perturbation": frozenset({"A9"}),
    "counterfactual": frozenset({"A10-flips", "A10-gap", "A10-mean"}),
    "behaviour": frozenset({"A11"}),
}


def recompute_gates(record: Mapping[str, Any], limits: Mapping[str, Any]) -> tuple[str, ...]:
    """
    Say where a record's gates are not what its numbers and the guardrails make of them.

    Args:
        record: A validation, as its JSON file holds it.
        limits: The guardrails, as their YAML file holds them: profile, then gate, then its fields.

    Returns:
        One sentence for each difference; none where all is as it should be.

    Raises:
        DataError: If the record or the limits lack what a rule needs.
    """
    try:
        return tuple(_differences(record, limits))
    except (KeyError, TypeError, ValueError, AttributeError, ArithmeticError, IndexError) as error:
        raise DataError(f"the gates cannot be judged again ({error!r}); validate the candidate again.") from error


def counts_as(gate: Mapping[str, Any]) -> str:
    """Return the verdict with which a gate counts: a waived FAIL or INCONCLUSIVE warns."""
    return "WARN" if gate["waiver"] and gate["verdict"] in _WAIVABLE else str(gate["verdict"])


def _differences(record: Mapping[str, Any], limits: Mapping[str, Any]) -> list[str]:
    profile = record["profile"]
    if profile not in limits:
        return [f"The guardrails have no profile `{profile}`."]
    bars = {gate: Bar.of(fields) for gate, fields in limits[profile].items() if gate not in _unasked(record)}
    found = [] if [gate["id"] for gate in record["gates"]] == list(bars) else [_other_gates(record, bars)]
    for gate in record["gates"]:
        if gate["id"] in bars:
            found += _of_gate(gate, bars[gate["id"]], record)
    overall = worst_verdict(counts_as(gate) for gate in record["gates"])
    if record["verdict"] != overall:
        found.append(f"The verdict is {record['verdict']}, but its gates make it {overall}.")
    present = {one["suite"] for one in record["probes"]}
    found += [f"Probes of {suite} are said to be absent, and are there." for suite in sorted(present & _absent(record))]
    return found


def _absent(record: Mapping[str, Any]) -> set[str]:
    return set(record["absent_suites"])


def _unasked(record: Mapping[str, Any]) -> frozenset[str]:
    """Return the gates that nobody asks of these inputs: no probes, or more than the two classes that odds need."""
    odds = {"A8-odds"} if len(record["classes"]) > 2 else set()
    return frozenset(odds).union(*(_UNASKED[suite] for suite in _absent(record) if suite in _UNASKED))


def _other_gates(record: Mapping[str, Any], bars: Mapping[str, Bar]) -> str:
    asked = [gate["id"] for gate in record["gates"]]
    missing = ", ".join(gate for gate in bars if gate not in asked) or "none"
    added = ", ".join(sorted(gate for gate in set(asked) if gate not in bars or asked.count(gate) > 1)) or "none"
    return f"Its gates are not those of the guardrails, one each and in their order: missing {missing}; added {added}."


def _of_gate(gate: Mapping[str, Any], bar: Bar, record: Mapping[str, Any]) -> list[str]:
    name = gate["id"]
    if name not in RULES:
        return [f"{name}: this gate is not known, so it cannot be judged again."]
    bar, is_measurable = _with_churn(name, bar, record)
    ruling = RULES[name](record, bar) if is_measurable else OPEN
    found = [
        f"{name}: {what} is {_shown(gate[what])}, and follows as {_shown(value)}."
        for what, value in (("limit", bar.limit), ("warn_limit", bar.warn_limit), *_numbers(ruling))
        if not _is_same(gate[what], value)
    ]
    found += [
        f"{name}: {what} is {gate[what]!r}, and follows as {value!r}."
        for what, value in (("verdict", ruling.verdict), ("source", bar.source))
        if gate[what] != value
    ]
    if is_measurable and name.startswith("A3-") and (TIES_LEFT_OUT in gate["sentence"]) != bar.has_free_ties:
        found.append(f"{name}: it does not treat ties of the baseline as the guardrails say.")
    return found + _of_waiver(gate)


def _of_waiver(gate: Mapping[str, Any]) -> list[str]:
    if gate["waiver"] is None:
        return []
    if gate["id"] in NEVER_WAIVED:
        return [f"{gate['id']}: it is waived, and no waiver can make it true."]
    if gate["verdict"] not in _WAIVABLE:
        return [f"{gate['id']}: it is waived and needs none; its verdict is {gate['verdict']}."]
    return []


def _with_churn(name: str, bar: Bar, record: Mapping[str, Any]) -> tuple[Bar, bool]:
    """Return a gate's bar with what a re-training is allowed, and whether that is known where it is needed."""
    if not bar.is_above_churn:
        return bar, True
    churn = record["churn"]
    is_own = churn is not None and (
        churn["baseline_sha256"] == record["identity"]["baseline_sha256"]
        and churn["split_sha256"] == record["split_sha256"]
    )
    # A7-bound leaves out the slices that a re-training would break, instead of allowing more.
    return (bar.raised(_allowance(name, churn)) if is_own and name != "A7-bound" else bar), is_own


def _allowance(name: str, churn: Mapping[str, Any]) -> float:
    """Return what a re-training changes; less than nothing for what a candidate has to keep at least."""
    far = churn["distances"]
    return float(
        {
            "A3-negative": churn["negative_flip_ratio"],
            "A3-all": churn["flips_ratio"],
            "A4-label-loyalty": far["label_loyalty_ratio"] - 1,
            "A4-kl-mean": far["kl_mean_nat"],
            "A4-kl-p99": far["kl_p99_nat"],
            "A4-cosine": far["cosine_ratio"] - 1,
            "A9": max(churn["worst_perturbation_increase_ratio"] or 0.0, 0.0),
        }[name]
    )


def _numbers(ruling: Ruling) -> tuple[tuple[str, float | None], ...]:
    return ("measured", ruling.measured), ("low", ruling.low), ("high", ruling.high)


def _is_same(said: Any, found: float | None) -> bool:
    if said is None or found is None:
        return said is found
    return math.isclose(said, found, rel_tol=_TOLERANCE_RATIO, abs_tol=_TOLERANCE_RATIO)


def _shown(value: float | None) -> str:
    return "missing" if value is None else f"{value:.10g}"
