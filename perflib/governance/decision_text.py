"""
What a decision says to a reader, in the sections of MADR 4, from the records of the run alone.

Every name, reason and text is foreign: it is written without markup.
"""

from collections.abc import Iterable

from perflib import units
from perflib.governance.backlog.risk import worst_slice
from perflib.governance.ledger import Ledger
from perflib.plain import markdown
from perflib.results import Candidate, Validation
from perflib.results.governance import Backlog, BacklogItem, Decision

KEEP = "keep the baseline"
_REPAIR = "keep the baseline until it can be built"
# The figures say more to a reader than the thirtieth reason.
_MOST_REASONS = 12


def proposal(candidate: Candidate) -> str:
    """
    Return the option that follows from a candidate's verdict; every verdict has its own.

    Example:
        >>> proposal(Candidate("int8", "quarantined", (), None, None, None, None))
        'keep the baseline'
    """
    name = candidate.name
    if candidate.verdict == "approved":
        return f"adopt {name}" if candidate.is_finalist else f"name {name} as a finalist of the next run"
    if candidate.verdict == "undecided":
        return f"decide later: measure {name} again"
    return KEEP if candidate.verdict == "quarantined" else _REPAIR


def options(ledger: Ledger, candidate: Candidate) -> tuple[str, ...]:
    """Return what can be chosen: the candidate, the baseline, what follows from the verdict, the other finalists."""
    others = [f"adopt {one.name}" for one in ledger.candidates if one.is_finalist and one.name != candidate.name]
    return tuple(dict.fromkeys((f"adopt {candidate.name}", KEEP, proposal(candidate), *others)))


def title(candidate: Candidate) -> str:
    """Return the title of a candidate's decision."""
    words = {
        "approved": "Serve {} in place of the baseline" if candidate.is_finalist else "Try {} as a finalist first",
        "quarantined": "Do not serve {}",
        "undecided": "Decide later about {}",
        "failed": "Do not serve {}, which could not be made",
    }
    return words[candidate.verdict].format(" ".join(candidate.name.split()))


def decision_body(ledger: Ledger, backlog: Backlog, decision: Decision) -> str:
    """Return the generated part of a decision's file, Markdown that ends with a line break."""
    candidate = ledger.candidate(decision.candidate)
    item = backlog.item(decision.backlog_id)
    good, bad = advantages(ledger, candidate, item), disadvantages(ledger, candidate)
    parts = [
        f"# {decision.id}: {markdown(decision.title)}",
        _supersession(decision),
        f"## Context and Problem Statement\n\n{_context(ledger, candidate, decision)}",
        f"## Decision Drivers\n\n{_bullets(_drivers(ledger, item, backlog))}",
        f"## Considered Options\n\n{_bullets(markdown(one) for one in decision.options)}",
        f"## Decision Outcome\n\n{_outcome(candidate, decision)}",
        f"### Consequences\n\n{_bullets(_consequences(candidate, good, bad))}",
        f"### Confirmation\n\n{_confirmation(candidate, decision)}",
        f"## Pros and Cons of the Options\n\n{_pros_and_cons(ledger, backlog, decision)}",
        f"## More Information\n\n{_evidence(decision)}",
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def advantages(ledger: Ledger, candidate: Candidate, item: BacklogItem | None) -> list[str]:
    """Return what speaks for a candidate, as clauses of Markdown."""
    found = []
    comparison = ledger.comparisons.get(candidate.name)
    for one in comparison.scenarios if comparison else ():
        if one.verdict == "IMPROVEMENT":
            ratio = one.speedup_ratio
            found.append(f"{markdown(one.scenario)} is {units.speedup(ratio.estimate, ratio.low, ratio.high)} as fast")
    if candidate.size_ratio is not None and candidate.size_ratio < 1:
        found.append(f"it is {candidate.size_ratio:.2f} times the baseline's size")
    if item is not None and item.memory_ratio is not None and (item.memory_ratio.high or 1.0) < 1:
        found.append(f"it takes {item.memory_ratio.estimate:.2f} times the baseline's memory")
    validation = ledger.validations.get(candidate.name)
    if validation is not None and validation.verdict in ("PASS", "WARN"):
        kept_count = sum(gate.counts_as in ("PASS", "WARN") for gate in validation.gates)
        found.append(f"{kept_count} of {len(validation.gates)} guardrails are kept")
    return found


def disadvantages(ledger: Ledger, candidate: Candidate) -> list[str]:
    """Return what speaks against a candidate, as clauses of Markdown; never empty."""
    validation = ledger.validations.get(candidate.name)
    found = [] if validation is None else _worse_answers(validation)
    comparison = ledger.comparisons.get(candidate.name)
    for one in comparison.scenarios if comparison else ():
        if one.verdict == "REGRESSION":
            ratio = one.speedup_ratio
            found.append(f"{markdown(one.scenario)} is {units.speedup(ratio.estimate, ratio.low, ratio.high)} as fast")
    if candidate.size_ratio is not None and candidate.size_ratio > 1:
        found.append(f"it is {candidate.size_ratio:.2f} times the baseline's size")
    if validation is None:
        found.append("its answers were not validated")
    found.append("another model has to be rolled out, watched, and rolled back if need be")
    return found


def _worse_answers(validation: Validation) -> list[str]:
    change = validation.accuracy_change_ratio
    count = validation.example_count
    found = [
        f"accuracy changes by {units.points(change.estimate)} and may change by {units.points(change.low)}",
        f"{validation.negative_flip_count:,} of {count:,} answers were right and are wrong now",
    ]
    worst = worst_slice(validation)
    if worst is not None and worst.change_ratio < 0:
        where = f"{markdown(worst.column)} = {markdown(worst.value)}"
        found.append(f"{where} changes by {units.points(worst.change_ratio)} ({worst.example_count:,} examples)")
    missed = [gate.id for gate in validation.gates if gate.verdict in ("FAIL", "INCONCLUSIVE")]
    if missed:
        found.append(f"{len(missed)} of {len(validation.gates)} guardrails are not kept: {markdown(', '.join(missed))}")
    return found


def _context(ledger: Ledger, candidate: Candidate, decision: Decision) -> str:
    name, build = markdown(candidate.name), ledger.builds.get(candidate.name)
    made = ""
    if build is not None:
        stages = ", ".join(markdown(step.stage) for step in build.steps) or "no stage"
        made = f" It was made by {stages}."
    digest = f" Its sha256 is `{decision.candidate_sha256}`." if decision.candidate_sha256 else ""
    return (
        f"Run {markdown(ledger.summary.run_id)} judged {name}, a candidate for {markdown(ledger.workload)}: "
        f"**{candidate.verdict}**.{made}{digest}\n"
        f"Shall {name} answer users in place of today's model?"
    )


def _drivers(ledger: Ledger, item: BacklogItem | None, backlog: Backlog) -> list[str]:
    found = [
        "Answers may not get worse than the guardrails allow, whoever asks.",
        "What is faster has to be shown by paired measurements, with its bounds.",
    ]
    if item is not None and item.returns is not None:
        mark = " (made of example prices)" if backlog.is_example else ""
        roi = item.returns.roi_ratio
        shares = ", ".join(units.percent(one, 0) for one in (roi.p10, roi.p50, roi.p90))
        found.append(f"Return on investment over {item.returns.horizon_months} months, P10, P50, P90: {shares}{mark}.")
    if item is not None:
        found.append(f"Risk: {item.risk}. {markdown(item.risk_sentence)}")
    measured = ledger.summary.machine.get("hardware_class")
    if isinstance(measured, str) and measured:
        found.append(f"Numbers hold for machines of the class {markdown(measured)}.")
    return found


def _outcome(candidate: Candidate, decision: Decision) -> str:
    reasons = [markdown(one) for one in candidate.reasons[:_MOST_REASONS]]
    left_count = len(candidate.reasons) - len(reasons)
    if left_count:
        reasons.append(f"{left_count} more reasons stand in run.json.")
    because = f"\n\n{_bullets(reasons)}" if reasons else ""
    waived = "".join(f"\n\nWaived: {markdown(one)}" for one in decision.waivers)
    steps = {
        "proposed": "This is a proposal until a person sets `status` to `accepted` or `rejected`.",
        "accepted": "It is accepted.",
        "rejected": "Serving the candidate is rejected.",
        "superseded": "It does not hold any more.",
    }
    verdict = f"the candidate is {candidate.verdict}"
    return f'Chosen option: "{markdown(decision.chosen)}", because {verdict}. {steps[decision.status]}{because}{waived}'


def _consequences(candidate: Candidate, good: list[str], bad: list[str]) -> list[str]:
    if candidate.verdict == "approved" and candidate.is_finalist:
        return [*(f"Good, because {one}." for one in good), *(f"Bad, because {one}." for one in bad)]
    lost = [f"Bad, because this is left on the table: {one}." for one in good]
    return ["Good, because nothing changes for users.", *lost]


def _confirmation(candidate: Candidate, decision: Decision) -> str:
    again = f"The decision is looked at again on {decision.review_by}, or as soon as a run's verdict is another."
    if candidate.verdict != "approved" or not candidate.is_finalist:
        return f"The reasons can be recomputed from the answers and times of the run. {again}"
    plan = markdown(f"records/rollout-{candidate.name}.json")
    return (
        "`perflib evidence verify` recomputes the guardrails from the answers. "
        f"The metrics that are watched while it goes to users, and their limits, stand in {plan}. {again}"
    )


def _pros_and_cons(ledger: Ledger, backlog: Backlog, decision: Decision) -> str:
    adopt = {f"adopt {one.name}": one for one in ledger.candidates}
    parts = []
    for option in decision.options:
        if option in adopt:
            one = adopt[option]
            good = advantages(ledger, one, backlog.item(f"OPT-{one.name}"))
            bad = [f"it is {one.verdict}"] if one.verdict != "approved" else []
            bad += disadvantages(ledger, one)
        else:
            good = ["nothing changes for users, and nothing has to be rolled out"]
            bad = ["everything stays as slow, as large and as dear as it is"]
        lines = [*(f"Good, because {line}." for line in good), *(f"Bad, because {line}." for line in bad)]
        parts.append(f"### {markdown(option)}\n\n{_bullets(lines)}")
    return "\n\n".join(parts)


def _evidence(decision: Decision) -> str:
    rows = [f"| {markdown(one.path)} | `{one.sha256}` | {markdown(one.pointer)} |" for one in decision.evidence]
    return "\n".join(["Paths are below the run's folder.", "", "| path | sha256 | pointer |", "|---|---|---|", *rows])


def _supersession(decision: Decision) -> str:
    return f"It replaces {decision.supersedes}." if decision.supersedes else ""


def _bullets(lines: Iterable[str]) -> str:
    return "\n".join(f"* {line}" for line in lines)
