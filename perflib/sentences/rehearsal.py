"""How we get back, in plain words: what the plan says, what was tried, and how long it took."""

from perflib import units
from perflib.results.governance import Rehearsal, RehearsedFault, RolloutPlan

_METRIC_WORDS = {
    "error_ratio": "the share of failed answers",
    "label_agreement_ratio": "labels that differ from the baseline's",
    "p99_sec": "the time of the slowest answers",
    "answer_shift_ratio": "the share of one kind of answer",
}


def metric_words(metric: str) -> str:
    """
    Name what a gate watches as people say it.

    Example:
        >>> metric_words("p99_sec")
        'the time of the slowest answers'
    """
    return _METRIC_WORDS.get(metric, metric)


def planted_words(*, error_ratio: float, wrong_ratio: float, hold_sec: float) -> str:
    """
    Say what was planted in the candidate's server.

    Example:
        >>> planted_words(error_ratio=0.75, wrong_ratio=0.0, hold_sec=0.0)
        '75 % of its answers failed'
    """
    if error_ratio:
        return f"{units.percent(error_ratio, 0)} of its answers failed"
    if wrong_ratio:
        return f"{units.percent(wrong_ratio, 0)} of its answers had the wrong label"
    return f"its answers came {units.duration(hold_sec)} late" if hold_sec else "nothing"


def fault_sentence(fault: RehearsedFault, *, in_flight_count: int = 0) -> str:
    """
    Say what became of one planted fault.

    Args:
        fault: As it was rehearsed.
        in_flight_count: Requests that the candidate still had to answer when the way back began.
    """
    if fault.fault == "none":
        return _healthy_sentence(fault)
    where = f"In stage {fault.stage}"
    if fault.planted == "nothing":
        return f"{where}, {metric_words(fault.trigger)} sent everybody back before {_fault_words(fault)} was planted."
    start = f"{where}, we let the candidate fail: {fault.planted}."
    if fault.seen_sec is None or fault.rolled_back_sec is None:
        return f"{start} Nothing noticed it within {units.duration(fault.limit_sec)}."
    flying = (
        f" {_counted(in_flight_count, 'answer was', 'answers were')} under way and came." if in_flight_count else ""
    )
    verdict = "" if fault.is_as_planned else " That is not what the plan promises."
    return (
        f"{start} It showed in {metric_words(fault.trigger)} after {units.duration(fault.seen_sec)}, and the way back "
        f"to the baseline took {units.duration(fault.rolled_back_sec - fault.seen_sec)} (allowed together: "
        f"{units.duration(fault.limit_sec)}).{flying} Until then {fault.bad_answer_count:,} of "
        f"{fault.request_count:,} answers were bad.{verdict}"
    )


def rehearsal_sentence(rehearsal: Rehearsal) -> str:
    """Say whether the way back was tried and works, when, and how long it took at most."""
    day = rehearsal.rehearsed[:10]
    faults = [one for one in rehearsal.faults if one.fault != "none"]
    if not rehearsal.is_passed:
        bad = [_fault_words(one) for one in rehearsal.faults if not one.is_as_planned]
        why = f"it did not go as planned with {', '.join(bad)}" if bad else "requests of users were lost"
        return f"On {day} we rehearsed the rollout of {rehearsal.candidate}, and {why}; do not start it before it does."
    slowest_sec = max((one.rolled_back_sec or 0.0 for one in faults), default=0.0)
    real_sec = slowest_sec / rehearsal.scale_ratio
    return (
        f"On {day} we rehearsed the way back from {rehearsal.candidate} with {len(faults)} planted faults and two real "
        f"servers: each time everybody was back at the baseline by itself, at the latest "
        f"{units.duration(slowest_sec)} after the fault. Windows were {1 / rehearsal.scale_ratio:,.0f} times shorter "
        f"than in the plan, where that is about {real_sec / 60:,.0f} minutes."
    )


def way_back_sentence(plan: RolloutPlan, rehearsal: Rehearsal | None) -> str:
    """Say how we get back, and whether that has been tried."""
    how = (
        f"If {plan.candidate} misbehaves, all requests go back to the baseline within "
        f"{plan.rollback_sec / 60:g} minutes of the alarm; nothing has to be built or loaded."
    )
    if rehearsal is None:
        return f"{how} This has not been rehearsed: `perflib rehearse {plan.run_id}:{plan.candidate}` does it."
    return f"{how} {rehearsal_sentence(rehearsal)}"


def _healthy_sentence(fault: RehearsedFault) -> str:
    if fault.is_as_planned:
        return (
            f"With nothing planted, the candidate got to {fault.stage} and stayed there; {fault.bad_answer_count:,} of "
            f"{fault.request_count:,} answers were bad."
        )
    if fault.seen_sec is not None:
        return (
            f"With nothing planted, {metric_words(fault.trigger)} sent everybody back from stage {fault.stage} after "
            f"{units.duration(fault.seen_sec)}."
        )
    held = " and ".join(metric_words(metric) for metric in fault.trigger.split(", ")) if fault.trigger else "time"
    return f"With nothing planted, the candidate was held in stage {fault.stage} until the time was up, by {held}."


def _fault_words(fault: RehearsedFault) -> str:
    return {"error rate": "failed answers", "labels": "wrong labels", "latency": "late answers"}.get(
        fault.fault, "no fault at all"
    )


def _counted(count: int, one: str, many: str) -> str:
    return f"{count} {one if count == 1 else many}"
