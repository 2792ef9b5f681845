"""
What the watch remembers beside the results: which runs count for nothing, and where a series begins anew.

A run that a quarantined or disturbed machine made stays in the history and is left out of every reference. Where a
change was accepted, or something simply became better, the level starts anew: the points before are brought to the new
level, so that what they say about the noise is kept.
"""

import dataclasses
import math
import statistics
from collections.abc import Iterable, Sequence

from perflib.regression.alerts.book import AlertBook
from perflib.regression.alerts.documents import file_once, named_ulid
from perflib.regression.history.store import History
from perflib.results.history import METRICS, HistoryPoint, SeriesKey
from perflib.results.regression import Alert

EXCLUDED, REBASED = "excluded-run", "rebase"
# As many on each side as the detector compares.
_SIDE_COUNT = 12


def exclude_runs(history: History, run_ulids: Iterable[str], *, reason: str) -> None:
    """Leave runs out of every reference from now on; they stay in the history."""
    for run_ulid in run_ulids:
        file_once(history, EXCLUDED, run_ulid, {"run_ulid": run_ulid, "reason": reason})


def excluded_runs(history: History) -> frozenset[str]:
    """Return the runs that count for nothing."""
    return frozenset(str(one["run_ulid"]) for one in history.documents(EXCLUDED))


def leave_out(history: History, alert: Alert) -> None:
    """Leave the runs of a regression that is over out of every reference: those nearer to the worse level."""
    for one in alert.nominations:
        points = [point for point in history.series(one.series) if point.run_ulid >= one.since_run_ulid]
        worse = [point for point in points if _is_nearer(point.value, one.after_value, one.before_value)]
        if worse:
            until = worse[-1].run_ulid
            ulids = [point.run_ulid for point in points if point.run_ulid <= until]
            exclude_runs(history, ulids, reason=f"alert {alert.ulid} is over")


def rebase(history: History, key: SeriesKey, since_run_ulid: str, *, reason: str) -> None:
    """Let the level of a series start anew with a run."""
    data = {**dataclasses.asdict(key), "since_run_ulid": since_run_ulid, "reason": reason}
    file_once(history, REBASED, named_ulid(*dataclasses.astuple(key), since_run_ulid), data)


def rebases(history: History, book: AlertBook, key: SeriesKey) -> tuple[str, ...]:
    """Return the runs with which the level of a series started anew, oldest first."""
    wanted = dataclasses.asdict(key)
    found = {
        str(one["since_run_ulid"])
        for one in history.documents(REBASED)
        if all(one[field] == value for field, value in wanted.items())
    }
    accepted = book.rebased_after(key)
    return tuple(sorted(found | ({accepted} if accepted else set())))


def on_one_level(points: Sequence[HistoryPoint], starts: Sequence[str]) -> list[HistoryPoint]:
    """
    Bring the points before each new start to the level after it; what they scatter stays.

    Args:
        points: Oldest first.
        starts: Run ulids with which a level begins, oldest first.
    """
    aligned = list(points)
    if points and METRICS[points[0].metric].is_exact:
        return aligned
    for start in starts:
        at = next((index for index, point in enumerate(aligned) if point.run_ulid >= start), len(aligned))
        before, after = aligned[max(at - _SIDE_COUNT, 0) : at], aligned[at : at + _SIDE_COUNT]
        if before and after:
            factor = math.exp(_level_log(after) - _level_log(before))
            aligned[:at] = [dataclasses.replace(point, value=point.value * factor) for point in aligned[:at]]
    return aligned


def _is_nearer(value: float, one: float, other: float) -> bool:
    return abs(value - one) < abs(value - other)


def _level_log(points: Sequence[HistoryPoint]) -> float:
    return statistics.median(math.log(point.value) for point in points)
