"""From what was found to what is told: the alert with its suspect range, the exit code, and one sentence."""

import dataclasses
from collections.abc import Sequence

from ulid import ULID

from perflib.results.history import HistoryPoint
from perflib.results.regression import (
    Alert,
    AlertEvent,
    AlertState,
    Confirmation,
    Nomination,
    Quarantine,
    SeriesCheck,
)
from perflib.watching.provenance import now_utc

_STATES: dict[str, AlertState] = {
    "CONFIRMED": "OPEN",
    "WITHDRAWN": "INVALID",
    "MACHINE": "MACHINE",
    "INCONCLUSIVE": "NOMINATED",
}


def alert_of(
    nominations: Sequence[Nomination],
    confirmations: Sequence[Confirmation],
    *,
    point: HistoryPoint,
    machine: str,
) -> list[Alert]:
    """
    Return the alerts of one candidate's nominations, one for each state that their families came to.

    Args:
        nominations: At least one.
        confirmations: What the reruns said; families without one stay nominated.
        point: Any result of the run that was checked.
        machine: The computer in words.
    """
    verdicts = {one.family: one for one in confirmations}
    by_state: dict[AlertState, list[Nomination]] = {}
    for one in nominations:
        said = verdicts.get(one.family)
        by_state.setdefault(_STATES[said.verdict] if said else "NOMINATED", []).append(one)
    return [
        _alert(
            state, mine, [one for one in confirmations if one.family in {each.family for each in mine}], point, machine
        )
        for state, mine in by_state.items()
    ]


def _alert(
    state: AlertState,
    nominations: Sequence[Nomination],
    confirmations: Sequence[Confirmation],
    point: HistoryPoint,
    machine: str,
) -> Alert:
    first = min(nominations, key=lambda one: one.since_run_ulid)
    said = confirmations[0].sentence if confirmations else "not rerun yet"
    steps: list[AlertState] = ["NOMINATED"] if state == "NOMINATED" else ["NOMINATED", "CONFIRMING", state]
    return Alert(
        ulid=str(ULID()),
        kind="performance",
        state=state,
        workload=point.workload,
        hardware_class=point.hardware_class,
        host_id=point.host_id,
        machine=machine,
        nominations=tuple(nominations),
        # Raw samples stay in the run; an alert travels.
        confirmations=tuple(_light(one) for one in confirmations),
        good_run_id=first.good_run_id,
        good_run_ulid=first.good_run_ulid,
        since_run_id=first.since_run_id,
        since_run_ulid=first.since_run_ulid,
        run_id=point.run_id,
        owner=None,
        snoozed_until=None,
        events=tuple(
            AlertEvent(now_utc(), "perflib check", step, said if step == state else "history") for step in steps
        ),
    )


def _light(confirmation: Confirmation) -> Confirmation:
    return dataclasses.replace(confirmation, comparisons=())


def conclude(
    series: Sequence[SeriesCheck],
    confirmations: Sequence[Confirmation],
    quarantine: Quarantine,
    *,
    is_confirming: bool,
) -> tuple[int, str]:
    """
    Return the exit code and one sentence that says why.

    3 a regression is confirmed, or one that was told is still there; 5 something was nominated and is not decided;
    0 everything else, also where there is no history yet.
    """
    confirmed = [one for one in confirmations if one.verdict == "CONFIRMED"]
    known = [one for one in series if one.state == "known" and one.nomination is not None]
    if confirmed:
        return 3, _said(confirmed)
    if known:
        return 3, f"{_names(known)}: still worse, as an open alert says; `perflib alerts list` shows it."
    undecided = _undecided(series, confirmations, quarantine, is_confirming=is_confirming)
    if undecided:
        return 5, undecided
    return 0, _said(confirmations) if confirmations else _quiet_sentence(series)


def _undecided(
    series: Sequence[SeriesCheck],
    confirmations: Sequence[Confirmation],
    quarantine: Quarantine,
    *,
    is_confirming: bool,
) -> str | None:
    """Say what is open; None where nothing is."""
    suspects = [one for one in series if one.state == "nominated"]
    if suspects and quarantine.is_quarantined:
        why = "; ".join(quarantine.reasons)
        return f"{_names(suspects)} moved, but this machine is in quarantine ({why}); nothing is told."
    if suspects and not is_confirming:
        return f"{_names(suspects)} moved; run it again with --confirm, history alone does not decide."
    left = [one for one in confirmations if one.verdict in ("INCONCLUSIVE", "MACHINE")]
    return _said(left) if left else None


def _said(confirmations: Sequence[Confirmation]) -> str:
    return "; ".join(f"{one.candidate} {one.family}: {one.sentence}" for one in confirmations) + "."


def _quiet_sentence(series: Sequence[SeriesCheck]) -> str:
    if all(one.state == "first" for one in series):
        return "there is no earlier run on this hardware class; this one begins the history."
    few = sum(one.state == "too few" for one in series)
    better = [one for one in series if one.state == "better"]
    words = [f"nothing is worse in {len(series)} series"]
    if few:
        words.append(f"{few} of them have too few runs to judge by history alone")
    if better:
        words.append(f"better and unexplained: {_names(better)}")
    return "; ".join(words) + "."


def _names(series: Sequence[SeriesCheck]) -> str:
    return ", ".join(str(one.series) for one in series)
