"""
How risky an item is, from facts of its records that anybody can look up.

Each of these raises a concern: it was trained again, it runs on another engine, its worst slice loses more than one
point, a gate is inconclusive, or its accuracy bound has used up more than half of the margin. None is low risk, one or
two are medium, three are high. A gate that fails without a waiver, a scenario that is slower, or answers that nobody
validated are high at once.
Where nothing was measured the technique decides.
"""

from collections.abc import Collection
from typing import Literal

from perflib import units
from perflib.results import Comparison, SliceResult, Validation

Risk = Literal["low", "medium", "high"]
MARGIN_GATE = "A2"
_SLICE_LOSS_RATIO = 0.01
_USED_MARGIN_RATIO = 0.5
_HIGH_CONCERN_COUNT = 3
_NAMED_GATE_COUNT = 3
_TRAINED_STAGES = frozenset({"distil", "prune"})
_HARMLESS_STAGES = frozenset({"runtime", "engine"})


def measured_risk(validation: Validation | None, comparison: Comparison | None) -> tuple[Risk, str]:
    """Return the risk of a candidate, and the facts that make it."""
    if validation is None:
        return "high", "Its answers were not validated."
    concerns, refused = _concerns(validation, comparison), _refused(validation, comparison)
    if refused:
        return "high", _sentence([*refused, *concerns])
    if not concerns:
        return "low", f"All {len(validation.gates)} gates are kept, nothing was trained, and the engine stays."
    return ("high" if len(concerns) >= _HIGH_CONCERN_COUNT else "medium"), _sentence(concerns)


def guessed_risk(stages: Collection[str]) -> tuple[Risk, str]:
    """Return the risk of a hypothesis by what its recipe would change."""
    names = set(stages)
    if names & _TRAINED_STAGES:
        return "high", "Nothing was measured, and the model would be trained again."
    if names and names <= _HARMLESS_STAGES:
        return "low", "Nothing was measured; the weights would stay, only how they are run would change."
    return "medium", "Nothing was measured, and the numbers in the model would change."


def worst_slice(validation: Validation | None) -> SliceResult | None:
    """Return the gated slice that loses most; None where none is large enough to judge."""
    gated = [one for one in validation.slices if one.is_gated] if validation else []
    return min(gated, key=lambda one: (one.change_ratio, one.column, one.value), default=None)


def slice_words(one: SliceResult | None) -> str:
    """Return a slice with its change in words; empty where there is none."""
    if one is None:
        return ""
    return f"{one.column} = {one.value}: {units.points(one.change_ratio)} of {one.example_count:,} examples"


def _refused(validation: Validation, comparison: Comparison | None) -> list[str]:
    failing = [gate.id for gate in validation.gates if gate.counts_as == "FAIL"]
    found = []
    if failing:
        more = f" and {len(failing) - _NAMED_GATE_COUNT} more" if len(failing) > _NAMED_GATE_COUNT else ""
        named = ", ".join(failing[:_NAMED_GATE_COUNT])
        found.append(f"{len(failing)} of {len(validation.gates)} gates fail ({named}{more})")
    slower = [one.scenario for one in (comparison.scenarios if comparison else ()) if one.verdict == "REGRESSION"]
    return [*found, f"it is slower in {' and '.join(slower)}"] if slower else found


def _concerns(validation: Validation, comparison: Comparison | None) -> list[str]:
    found = []
    if validation.profile == "retrained":
        found.append("the model was trained again")
    engines = _new_engines(comparison)
    if engines:
        found.append(f"it runs on another engine ({', '.join(engines)})")
    worst = worst_slice(validation)
    if worst is not None and worst.change_ratio < -_SLICE_LOSS_RATIO:
        found.append(f"{worst.column} = {worst.value} changes by {units.points(worst.change_ratio)}")
    open_count = sum(gate.verdict == "INCONCLUSIVE" for gate in validation.gates)
    if open_count:
        found.append(f"{open_count} of {len(validation.gates)} gates are inconclusive")
    used_ratio = _used_margin_ratio(validation)
    if used_ratio is not None and used_ratio > _USED_MARGIN_RATIO:
        found.append(f"the sure loss of accuracy uses {units.percent(used_ratio, 0)} of the margin")
    return found


def _new_engines(comparison: Comparison | None) -> list[str]:
    if comparison is None:
        return []
    before, after = comparison.baseline_environment.versions, comparison.candidate_environment.versions
    return sorted(set(after) - set(before))


def _used_margin_ratio(validation: Validation) -> float | None:
    gate = next((one for one in validation.gates if one.id == MARGIN_GATE), None)
    low = validation.accuracy_change_ratio.low
    return -low / gate.limit if gate is not None and low is not None and gate.limit > 0 else None


def _sentence(parts: list[str]) -> str:
    text = "; ".join(parts)
    return f"{text[:1].upper()}{text[1:]}."
