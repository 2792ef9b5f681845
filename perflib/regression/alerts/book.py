"""
The book of alerts: everything that was raised, who answered it, and what follows for the next check.

    book = AlertBook(history)
    filed = book.raise_alert(alert)   # a new one, or the open one that tells the same
    book.accept("01KAR", who="ada", reason="the new tokenizer needs it")   # as many letters as it takes
"""

import builtins
import dataclasses
import datetime
import time
from collections.abc import Callable, Collection, Iterable
from typing import Literal

from perflib.errors import ParameterError, did_you_mean
from perflib.regression.alerts import lifecycle, probation
from perflib.regression.alerts.documents import ALERTS, Document, DocumentStore, Now, turn, utc_now, written
from perflib.regression.alerts.merging import adds_nothing, find_known, find_overlapping, merge, overlaps, series_of
from perflib.results.history import SeriesKey
from perflib.results.regression import OPEN_STATES, Alert, AlertEvent, AlertState, Nomination

# Who acts where no person does.
WATCH = "perflib"
_ACCEPTED: tuple[AlertState, ...] = ("ACCEPTED",)
_SUGGESTIONS_COUNT = 10
_WOLF = "two alerts of this series in a row were false, so its benchmark is to be mended"


class AlertBook:
    """
    Alerts in a store that several processes share.

    Args:
        store: Keeps the documents.
        now: The present, with its time zone; tests pass their own.
        sleep: Seconds to wait for another process.
    """

    def __init__(
        self, store: DocumentStore, *, now: Now = utc_now, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self._store, self._now, self._sleep = store, now, sleep

    def raise_alert(self, alert: Alert) -> Alert:
        """
        File an alert, or put it into the one that tells the same.

        The same alert twice changes nothing. What was told, answered and closed is not raised again for the same
        range. Series on probation go into an alert about their benchmark, once; if nothing else is left, that one is
        returned.

        Returns:
            The alert that now holds it.
        """
        with turn(self._store, f"{alert.workload} on {alert.hardware_class}", now=self._now, sleep=self._sleep):
            filed = self.list()
            doubtful = [one for one in alert.nominations if probation.is_on_probation(filed, one.series)]
            if alert.kind == "benchmark" or not doubtful:
                return self._file(alert, filed)
            sound = [one for one in alert.nominations if one not in doubtful]
            benchmark = self._file_benchmark(alert, doubtful, filed, is_all=not sound)
            return self._file(_only(alert, sound), filed) if sound else benchmark

    def get(self, ulid: str) -> Alert:
        """
        Return the alert with this ulid, or the only one whose ulid begins so.

        Raises:
            ParameterError: If there is none, or more than one.
        """
        wanted = ulid.strip().upper()
        ulids = [one.ulid for one in self.list()]
        found = [one for one in ulids if one.startswith(wanted)]
        if not found or not wanted:
            raise ParameterError(f"no alert is called `{ulid}`; {did_you_mean(wanted, ulids[-_SUGGESTIONS_COUNT:])}")
        if len(found) > 1:
            shown = ", ".join(found[:_SUGGESTIONS_COUNT])
            raise ParameterError(f"{len(found)} alerts begin with `{wanted}` ({shown}); write more letters of one.")
        return self._read(found[0])

    def list(self, *, states: Collection[AlertState] | None = None) -> tuple[Alert, ...]:
        """Return the alerts, oldest first, of all states or of these."""
        alerts = [Alert.from_dict(data, source="an alert") for data in self._store.documents(ALERTS)]
        return tuple(sorted((one for one in alerts if states is None or one.state in states), key=lambda one: one.ulid))

    def ack(self, ulid: str, *, who: str, reason: str = "") -> Alert:
        """Say that somebody has it; errors as `get` and `lifecycle.move`."""
        return self._move(ulid, "ACKED", who, reason)

    def accept(self, ulid: str, *, who: str, reason: str) -> Alert:
        """Say that the new level stays; the series are judged from the first changed run on."""
        return self._move(ulid, "ACCEPTED", who, reason)

    def invalid(self, ulid: str, *, who: str, reason: str) -> Alert:
        """Say that it was a false alarm."""
        return self._move(ulid, "INVALID", who, reason)

    def close(
        self, ulid: str, *, who: str, reason: str = "", state: Literal["FIXED", "MACHINE", "DOWNSTREAM"] = "FIXED"
    ) -> Alert:
        """Say that it is over: repaired, or caused by the machine or by somebody else's software."""
        return self._move(ulid, state, who, reason)

    def snooze(self, ulid: str, *, until: datetime.datetime, who: str, reason: str = "") -> Alert:
        """Keep an alert silent until a moment."""
        return self._change(ulid, lambda alert: lifecycle.snooze(alert, until, who=who, reason=reason, now=self._now()))

    def known_series(self) -> dict[SeriesKey, Alert]:
        """Return the series of open alerts with their alert; one about the model before one about its benchmark."""
        alerts = sorted(self.list(states=OPEN_STATES), key=lambda one: one.kind)
        return {key: alert for alert in alerts for key in series_of(alert)}

    def rebased_after(self, key: SeriesKey) -> str | None:
        """Return the ulid of the first run of the newest accepted level of a series; None if none was accepted."""
        accepted = [one for one in self.list(states=_ACCEPTED) if one.kind == "performance"]
        return max((one.since_run_ulid for one in accepted if key in series_of(one)), default=None)

    def is_on_probation(self, key: SeriesKey) -> bool:
        """Say whether a series cried wolf, so that it may nominate but not page."""
        return probation.is_on_probation(self.list(), key)

    def close_returned(self, keys: Collection[SeriesKey]) -> tuple[Alert, ...]:
        """
        Close the alerts all of whose series are back at their old level; return them.

        What people were told of becomes FIXED; a suspicion that nobody heard of is withdrawn (INVALID).
        """
        returned = frozenset(keys)
        alerts = [one for one in self.list(states=OPEN_STATES) if one.kind == "performance" and one.nominations]
        closing = [one for one in alerts if series_of(one) <= returned]
        return tuple(
            self._move(
                one.ulid,
                "FIXED" if lifecycle.was_told(one) else "INVALID",
                WATCH,
                "all its series returned to the level from before",
            )
            for one in closing
        )

    def _file(self, alert: Alert, filed: Iterable[Alert]) -> Alert:
        told = [one for one in filed if not lifecycle.is_open(one) and lifecycle.was_told(one) and overlaps(one, alert)]
        answered = [one for one in told if alert.nominations and series_of(alert) <= series_of(one)]
        if answered:
            return max(answered, key=lambda one: one.ulid)
        known = find_known(filed, alert) or next(iter(find_overlapping(filed, alert)), None)
        if known is None:
            self._store.put_document(ALERTS, alert.ulid, alert.to_dict())
            return alert
        return self._change(known.ulid, lambda present: _merged(present, alert))

    def _file_benchmark(
        self, alert: Alert, doubtful: builtins.list[Nomination], filed: Iterable[Alert], *, is_all: bool
    ) -> Alert:
        standing = probation.benchmark_alert(filed, doubtful[0].series)
        new = [one for one in doubtful if probation.benchmark_alert(filed, one.series) is None]
        if standing is not None and not new:
            return standing
        event = AlertEvent(written(self._now()), WATCH, "OPEN", _WOLF)
        about = dataclasses.replace(
            _only(alert, new),
            ulid=alert.ulid if is_all else _new_ulid(),
            kind="benchmark",
            state="OPEN",
            confirmations=(),
            events=(event,),
        )
        return self._file(about, filed)

    def _move(self, ulid: str, state: AlertState, who: str, reason: str) -> Alert:
        return self._change(ulid, lambda alert: lifecycle.move(alert, state, who=who, reason=reason, now=self._now()))

    def _change(self, ulid: str, change: Callable[[Alert], Alert]) -> Alert:
        found = self.get(ulid)

        def changed(data: Document) -> Document:
            return change(Alert.from_dict(data, source=f"alert {found.ulid}")).to_dict()

        self._store.update_document(ALERTS, found.ulid, changed)
        return self._read(found.ulid)

    def _read(self, ulid: str) -> Alert:
        return Alert.from_dict(self._store.document(ALERTS, ulid) or {}, source=f"alert {ulid}")


def _merged(present: Alert, new: Alert) -> Alert:
    # A person may have closed it since it was found; their word stands.
    if not lifecycle.is_open(present) or adds_nothing(present, new):
        return present
    # What was filed first is the older one, also after a clock was set back; equal ulids leave it first.
    return merge(present, dataclasses.replace(new, ulid=max(new.ulid, present.ulid)))


def _only(alert: Alert, nominations: Iterable[Nomination]) -> Alert:
    kept = tuple(nominations)
    asked = {(one.series.candidate, one.family) for one in kept}
    confirmations = tuple(one for one in alert.confirmations if (one.candidate, one.family) in asked)
    return dataclasses.replace(alert, nominations=kept, confirmations=confirmations)


def _new_ulid() -> str:
    from ulid import ULID

    return str(ULID())
