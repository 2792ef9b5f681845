"""
May a candidate be shipped? The one place that puts speed and correctness together.

approved     validation PASS or WARN, faster in at least one scenario, slower in none
quarantined  a gate or a scenario says no; kept in the run with the reason, never promoted
undecided    something that is required stayed inconclusive
failed       it could not be built or run
"""

from collections.abc import Sequence

from perflib import records, units
from perflib.finalists import judge_together, named_finalists
from perflib.results import (
    Build,
    Candidate,
    CandidateVerdict,
    Comparison,
    Estimate,
    Failure,
    Gate,
    LowerBound,
    ScenarioComparison,
    Validation,
)
from perflib.runs import Run

QUARANTINE_FILE = "QUARANTINE.md"


def judge(
    name: str,
    *,
    build: Build | None,
    comparison: Comparison | None,
    validation: Validation | None,
    failure: Failure | None = None,
) -> Candidate:
    """Put the records of one candidate together; a missing record makes it failed."""
    verdict, reasons = _decide(build, comparison, validation, failure)
    speed = {one.scenario: one for one in comparison.scenarios} if comparison else {}
    change = validation.accuracy_change_ratio if validation else None
    return Candidate(
        name=name,
        verdict=verdict,
        reasons=tuple(reasons),
        single_p50_speedup_ratio=_estimate(speed.get("single")),
        offline_throughput_speedup_ratio=_estimate(speed.get("offline")),
        size_ratio=build.size_bytes / build.parent_size_bytes if build else None,
        accuracy_change=LowerBound(change.estimate, change.low) if change else None,
    )


def judge_run(run: Run) -> tuple[Candidate, ...]:
    """Judge every candidate of a run from its records, then the finalists together, in the order of their names."""
    names = run.candidate_names()
    validations = {name: found for name in names if (found := run.read(Validation, name))}
    judged = [
        judge(
            name,
            build=run.read(Build, name),
            comparison=run.read(Comparison, name),
            validation=validations.get(name),
            failure=run.read(Failure, name),
        )
        for name in names
    ]
    return judge_together(judged, validations, named_finalists(run))


def exit_code(candidates: Sequence[Candidate], *, has_failed_step: bool) -> int:
    """
    Return the exit code of a finished run: 4 a notebook failed, 0 a finalist is approved or nothing was asked,
    5 inconclusive, 2 all finalists quarantined.

    Example:
        >>> exit_code([], has_failed_step=False)
        0
    """
    if has_failed_step or any(candidate.verdict == "failed" for candidate in candidates):
        return 4
    verdicts = {candidate.verdict for candidate in candidates if candidate.is_finalist}
    if not candidates or "approved" in verdicts:
        return 0
    # Where only others than the finalists were tried, nothing is decided.
    return 5 if "undecided" in verdicts or not verdicts else 2


def mark_quarantine(run: Run, candidates: Sequence[Candidate]) -> None:
    """Leave a note in the folder of every artifact that may not be promoted, and take it away from those that may."""
    for one in candidates:
        folder = run.artifact_folder(one.name)
        if is_offered(one) or not folder.is_dir():
            (folder / QUARANTINE_FILE).unlink(missing_ok=True)
            continue
        reasons = "".join(f"- {' '.join(reason.split())}\n" for reason in one.reasons)
        what = one.verdict if one.verdict != "approved" else "no finalist of its run"
        text = f"# {one.name} may not be promoted: it is {what}\n\n{reasons}"
        records.write_bytes(folder / QUARANTINE_FILE, text.encode())


def is_offered(candidate: Candidate) -> bool:
    """Say whether a candidate may be shipped: approved, and a finalist."""
    return candidate.verdict == "approved" and candidate.is_finalist


def ranked(candidates: Sequence[Candidate]) -> tuple[Candidate, ...]:
    """Put first what may be shipped, then the other finalists, then what is only shown; the fastest of each first."""

    def place(one: Candidate) -> tuple[int, float, str]:
        return (0 if is_offered(one) else 1 if one.is_finalist else 2), -_speed_key(one), one.name

    return tuple(sorted(candidates, key=place))


def headline(candidates: Sequence[Candidate]) -> str:
    """Say in one sentence what the run found, for the first line of the report."""
    approved = [candidate for candidate in candidates if is_offered(candidate)]
    if not candidates:
        return "No candidate was asked for; the baseline is measured."
    if not approved:
        finalists = [f"{one.name} is {one.verdict}" for one in candidates if one.is_finalist]
        return f"Ship nothing yet: {', '.join(finalists) or 'no finalist of this run was tried'}."
    best = max(approved, key=_speed_key)
    ratio, way = _best_speed(best)
    words = [f"Ship {best.name}"]
    if ratio is not None:
        words[0] += f": {units.speedup(ratio.estimate, ratio.low, ratio.high)} as fast as today {way}"
    if best.size_ratio is not None:
        words.append(f"{units.percent(best.size_ratio, 0)} of the size")
    if best.accuracy_change is not None:
        change = best.accuracy_change
        words.append(f"accuracy {units.points(change.estimate)} (at worst {units.points(change.low)})")
    return ", ".join(words) + "."


def _decide(
    build: Build | None, comparison: Comparison | None, validation: Validation | None, failure: Failure | None
) -> tuple[CandidateVerdict, list[str]]:
    if failure is not None:
        return "failed", [failure.sentence]
    if build is None or comparison is None or validation is None:
        done = {"it was not built": build, "speed was not measured": comparison}
        missing = next((words for words, record in done.items() if record is None), "answers were not validated")
        return "failed", [f"The record is incomplete: {missing}."]
    if comparison.stop in ("running", "interrupted", "arm-failed"):
        return "failed", [f"Its timing was cut short: {comparison.stop_sentence or 'the process was ended'}"]
    return _decide_measured(comparison, validation)


def _decide_measured(comparison: Comparison, validation: Validation) -> tuple[CandidateVerdict, list[str]]:
    bad = [gate.sentence for gate in validation.gates if gate.counts_as == "FAIL"]
    bad += [_slower(one) for one in comparison.scenarios if one.verdict == "REGRESSION"]
    if bad:
        return "quarantined", bad
    faster = [one for one in comparison.scenarios if one.verdict == "IMPROVEMENT"]
    open_gates = [gate.sentence for gate in validation.gates if gate.counts_as == "INCONCLUSIVE"]
    if open_gates or not validation.gates:
        return "undecided", open_gates or ["No guardrail was checked, so nothing is known of its answers."]
    if faster:
        warned = [_warned(gate) for gate in validation.gates if gate.counts_as == "WARN"]
        passed_count = sum(gate.counts_as == "PASS" for gate in validation.gates)
        kept = f"{passed_count} of {len(validation.gates)} guardrails pass."
        return "approved", [*(_faster(one) for one in faster), kept, *warned]
    undecided = [_unclear(one) for one in comparison.scenarios if one.verdict == "INCONCLUSIVE"]
    if undecided:
        return "undecided", undecided
    return "quarantined", ["It is faster in no scenario, so there is nothing to gain from shipping it."]


def _warned(gate: Gate) -> str:
    return f"{gate.sentence} Waived by {gate.waiver.rstrip('.')}." if gate.waiver else gate.sentence


def _faster(one: ScenarioComparison) -> str:
    return f"{_interval(one)} as fast in {one.scenario} ({len(one.lives)} lives)."


def _slower(one: ScenarioComparison) -> str:
    return f"Slower in {one.scenario}: {_interval(one)} of the baseline's speed ({len(one.lives)} lives)."


def _unclear(one: ScenarioComparison) -> str:
    ruled_out = one.reached_mde_ratio
    seen = "no slowdown" if ruled_out is None else f"only slowdowns of {units.percent(ruled_out)} or more"
    return f"Not decided in {one.scenario}: {len(one.log_ratios)} lives rule out {seen}."


def _interval(one: ScenarioComparison) -> str:
    ratio = one.speedup_ratio
    return units.speedup(ratio.estimate, ratio.low, ratio.high)


def _estimate(one: ScenarioComparison | None) -> Estimate | None:
    if one is None:
        return None
    return Estimate(one.speedup_ratio.estimate, one.speedup_ratio.low, one.speedup_ratio.high)


def _best_speed(candidate: Candidate) -> tuple[Estimate | None, str]:
    offline, single = candidate.offline_throughput_speedup_ratio, candidate.single_p50_speedup_ratio
    known = [(one, way) for one, way in ((offline, "in throughput"), (single, "one at a time")) if one is not None]
    # An approved candidate is faster in one scenario; the other may be undecided and is not the headline then.
    proved = [pair for pair in known if pair[0].low is not None and pair[0].low > 1]
    return next(iter(proved or known), (None, "one at a time"))


def _speed_key(candidate: Candidate) -> float:
    ratio, _ = _best_speed(candidate)
    return ratio.estimate if ratio else 0.0
