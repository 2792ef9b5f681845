"""
How an alert may move from one state to the next.

Nominated ones are confirmed or withdrawn by the watch; open ones are answered by people, or close when the series
return. A closed alert stays closed: what comes back later is another regression.
"""

import dataclasses
import datetime

from perflib.errors import ParameterError
from perflib.regression.alerts.documents import written
from perflib.results.regression import OPEN_STATES, Alert, AlertEvent, AlertState

_ANSWERS: tuple[AlertState, ...] = ("FIXED", "ACCEPTED", "INVALID", "MACHINE", "DOWNSTREAM")
TRANSITIONS: dict[AlertState, tuple[AlertState, ...]] = {
    "NOMINATED": ("CONFIRMING", "INVALID", "MACHINE"),
    # A rerun that decides nothing leaves the suspicion where it was.
    "CONFIRMING": ("OPEN", "NOMINATED", "INVALID", "MACHINE"),
    "OPEN": ("ACKED", *_ANSWERS),
    "ACKED": _ANSWERS,
    **dict.fromkeys(_ANSWERS, ()),
}
# Whoever says that a regression stays, or never was, says why: the series is judged by it from then on.
NEEDS_REASON: tuple[AlertState, ...] = ("ACCEPTED", "INVALID")


def move(alert: Alert, state: AlertState, *, who: str, reason: str = "", now: datetime.datetime) -> Alert:
    """
    Return the alert in its next state, with the event that led there.

    Args:
        alert: As it is.
        state: The next one.
        who: Whoever decided it.
        reason: Why; needed for ACCEPTED and INVALID.
        now: The moment of the event, with its time zone.

    Raises:
        ParameterError: If the state does not follow, or a reason is missing.
    """
    if state not in TRANSITIONS[alert.state]:
        raise ParameterError(f"alert {alert.ulid} is {alert.state}; {_possible(alert.state, state)}.")
    if state in NEEDS_REASON and not reason.strip():
        raise ParameterError(f"alert {alert.ulid} cannot become {state} without a reason; say why with --reason.")
    return _with_event(dataclasses.replace(alert, state=state), who=who, reason=reason, now=now)


def snooze(alert: Alert, until: datetime.datetime, *, who: str, reason: str = "", now: datetime.datetime) -> Alert:
    """
    Return the alert silenced until a moment; it then speaks again by itself.

    Raises:
        ParameterError: If the alert is closed, or the moment is past or has no time zone.
    """
    if not is_open(alert):
        raise ParameterError(f"alert {alert.ulid} is {alert.state}, which is closed; nothing is left to snooze.")
    if until.tzinfo is None:
        raise ParameterError(f"{until.isoformat()} has no time zone; write it as 2026-11-22T18:00+00:00.")
    if until <= now:
        raise ParameterError(f"{written(until)} is not in the future; snooze until a later moment.")
    silent = dataclasses.replace(alert, snoozed_until=written(until))
    return _with_event(silent, who=who, reason=reason or f"snoozed until {written(until)}", now=now)


def is_open(alert: Alert) -> bool:
    """Say whether somebody still has to decide something."""
    return alert.state in OPEN_STATES


def is_snoozed(alert: Alert, now: datetime.datetime) -> bool:
    """Say whether the alert is silent at this moment."""
    return alert.snoozed_until is not None and now < datetime.datetime.fromisoformat(alert.snoozed_until)


def was_told(alert: Alert) -> bool:
    """Say whether a person has been told: it was open at some time."""
    return any(event.state in ("OPEN", "ACKED") for event in alert.events) or alert.state in ("OPEN", "ACKED")


def entered(alert: Alert) -> str | None:
    """Return when the alert came into its present state; None where its events do not say."""
    since = None
    for event in reversed(alert.events):
        if event.state != alert.state:
            break
        since = event.when
    return since


def _with_event(alert: Alert, *, who: str, reason: str, now: datetime.datetime) -> Alert:
    event = AlertEvent(written(now), who, alert.state, reason.strip())
    return dataclasses.replace(alert, events=(*alert.events, event))


def _possible(state: AlertState, wanted: AlertState) -> str:
    following = TRANSITIONS[state]
    if not following:
        return f"a closed alert stays closed and cannot become {wanted}, so wait for a new one"
    return f"from there it can become {', '.join(following)}, not {wanted}"
