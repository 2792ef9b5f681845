"""
Who may be shipped from a run: few candidates, named before it saw the test split, judged together.

Whoever tries twenty candidates on one test split and takes the best finds a good one by chance. So at most five are
finalists, and that none of them loses more than its margin is shown for all together, by Holm's method. The others are
measured and judged as well; they are shown and not offered.
"""

import dataclasses
from collections.abc import Collection, Mapping, Sequence

from perflib import units
from perflib.results import Candidate, Gate, Validation
from perflib.runs import Run
from perflib.validation.families import Discordant, holm_non_inferior

NOT_OFFERED = "It was no finalist of this run, named before the test split was seen, so it is shown and not offered."


def named_finalists(run: Run) -> frozenset[str] | None:
    """Return the finalists that a run's params name; None where every candidate is one."""
    summary = run.summary()
    names = summary.params.get("finalists") if summary else None
    return frozenset(names) if names else None


def judge_together(
    candidates: Sequence[Candidate], validations: Mapping[str, Validation], finalists: Collection[str] | None
) -> tuple[Candidate, ...]:
    """
    Say of each candidate whether it is a finalist, and take the approval from those that do not hold beside the others.

    Args:
        candidates: As each was judged by itself.
        validations: Of those that were validated.
        finalists: Their names; None for all.
    """
    marked = [_marked(one, is_finalist=finalists is None or one.name in finalists) for one in candidates]
    names = {one.name for one in marked if one.is_finalist}
    gates = {name: gate for name, found in validations.items() if name in names and (gate := _non_inferiority(found))}
    if len(gates) < 2:
        return tuple(marked)
    counts = [Discordant.of(validations[name]) for name in gates]
    shown = holm_non_inferior(counts, margin_ratios=[gate.limit for gate in gates.values()])
    # Who does not hold alone has a gate that says so already, or a waiver that bears it.
    reasons = {
        name: _open_reason(found, level, gate.limit, count=len(gates))
        for (name, gate), found, (level, is_shown) in zip(gates.items(), counts, shown, strict=True)
        if not is_shown and gate.verdict == "PASS"
    }
    return tuple(_held(one, reasons.get(one.name)) for one in marked)


def _marked(one: Candidate, *, is_finalist: bool) -> Candidate:
    if is_finalist:
        return one
    reasons = (*one.reasons, NOT_OFFERED) if one.verdict == "approved" else one.reasons
    return dataclasses.replace(one, is_finalist=False, reasons=reasons)


def _non_inferiority(found: Validation) -> Gate | None:
    return next((gate for gate in found.gates if gate.id == "A2"), None)


def _held(one: Candidate, reason: str | None) -> Candidate:
    if reason is None or one.verdict != "approved":
        return one
    return dataclasses.replace(one, verdict="undecided", reasons=(reason, *one.reasons))


def _open_reason(counts: Discordant, level: float, margin_ratio: float, *, count: int) -> str:
    return (
        f"Of {count} finalists together its loss has to be ruled out at {units.percent(level, 2)}, and there "
        f"{units.points(counts.low_ratio(level))} is not; the margin is {100 * margin_ratio:g} pp."
    )
