"""
One alert for one cause: suspects of one workload and one class of machines whose ranges overlap are told together.

A range is what may hold the change: after the last good run, up to and with the first bad one. Where two overlap, the
change that explains both lies in both, so a merged alert has the narrower range.
"""

import dataclasses
from collections.abc import Iterable, Sequence

from perflib.regression.alerts.lifecycle import is_open
from perflib.results.history import SeriesKey
from perflib.results.regression import Alert, AlertEvent, AlertState, Confirmation, Nomination

# Of two alerts that become one, the state that is further on stands.
_RANK: dict[AlertState, int] = {"NOMINATED": 0, "CONFIRMING": 1, "OPEN": 2, "ACKED": 3}


def series_of(alert: Alert) -> frozenset[SeriesKey]:
    """Return the series that an alert holds."""
    return frozenset(one.series for one in alert.nominations)


def overlaps(alert: Alert, other: Alert) -> bool:
    """Say whether two alerts may have one cause."""
    last_good = max(alert.good_run_ulid, other.good_run_ulid)
    return _place(alert) == _place(other) and last_good < min(alert.since_run_ulid, other.since_run_ulid)


def find_overlapping(alerts: Iterable[Alert], new: Alert) -> tuple[Alert, ...]:
    """Return the open alerts that may have the cause of ``new``: those that share a series first, then by age."""
    found = [one for one in alerts if is_open(one) and overlaps(one, new)]
    return tuple(sorted(found, key=lambda one: (not series_of(one) & series_of(new), one.ulid)))


def find_known(alerts: Iterable[Alert], new: Alert) -> Alert | None:
    """Return the oldest open alert that holds every series of ``new``; None if there is none."""
    wanted = series_of(new)
    found = [one for one in alerts if is_open(one) and _place(one) == _place(new) and wanted <= series_of(one)]
    return min(found, key=lambda one: one.ulid, default=None) if wanted else None


def merge(alert: Alert, other: Alert) -> Alert:
    """
    Put two open alerts into one.

    The older keeps its ulid, machine and history of events. Of what both say about the same series, the younger's
    stands, since it has seen more runs; but a rerun that decided nothing does not replace one that did. Where the
    ranges do not overlap, that of the alert that is further on stands.
    """
    older, younger = sorted((alert, other), key=lambda one: one.ulid)
    good = max(older, younger, key=lambda one: one.good_run_ulid)
    since = min(older, younger, key=lambda one: one.since_run_ulid)
    if good.good_run_ulid >= since.since_run_ulid:
        good = since = max(older, younger, key=lambda one: _RANK.get(one.state, len(_RANK)))
    return dataclasses.replace(
        older,
        state=max(older.state, younger.state, key=lambda state: _RANK.get(state, len(_RANK))),
        nominations=_nominations(older.nominations, younger.nominations),
        confirmations=_confirmations(older.confirmations, younger.confirmations),
        good_run_id=good.good_run_id,
        good_run_ulid=good.good_run_ulid,
        since_run_id=since.since_run_id,
        since_run_ulid=since.since_run_ulid,
        run_id=younger.run_id,
        owner=older.owner or younger.owner,
        snoozed_until=older.snoozed_until or younger.snoozed_until,
        events=_events(older.events, younger.events),
    )


def adds_nothing(alert: Alert, new: Alert) -> bool:
    """Say whether an alert already tells everything that ``new`` does."""
    return (
        series_of(new) <= series_of(alert)
        and _verdicts(new) <= _verdicts(alert)
        and _RANK.get(new.state, 0) <= _RANK.get(alert.state, len(_RANK))
        and new.good_run_ulid <= alert.good_run_ulid
        and alert.since_run_ulid <= new.since_run_ulid
    )


def _place(alert: Alert) -> tuple[str, str, str]:
    return alert.kind, alert.workload, alert.hardware_class


def _verdicts(alert: Alert) -> set[tuple[str, str, str]]:
    return {(one.candidate, one.family, one.verdict) for one in alert.confirmations}


def _nominations(first: Sequence[Nomination], second: Sequence[Nomination]) -> tuple[Nomination, ...]:
    return tuple({one.series: one for one in (*first, *second)}.values())


def _confirmations(first: Sequence[Confirmation], second: Sequence[Confirmation]) -> tuple[Confirmation, ...]:
    found: dict[tuple[str, str], Confirmation] = {}
    for one in (*first, *second):
        place = (one.candidate, one.family)
        if place not in found or one.verdict != "INCONCLUSIVE" or found[place].verdict == "INCONCLUSIVE":
            found[place] = one
    return tuple(found.values())


def _events(first: Sequence[AlertEvent], second: Sequence[AlertEvent]) -> tuple[AlertEvent, ...]:
    return tuple(sorted(dict.fromkeys((*first, *second)), key=lambda event: event.when))
