"""What the tests of alerts share: a store in memory, a clock that is set by hand, and alerts of every shape."""

import copy
import dataclasses
import datetime
import threading
from collections.abc import Callable
from typing import Any

from perflib.errors import DataError
from perflib.records import dumps, loads
from perflib.results.history import METRICS, SeriesKey
from perflib.results.regression import Alert, AlertEvent, Confirmation, Culprit, Nomination, Rerun
from perflib.results.speed import Interval

NOON = datetime.datetime(2026, 11, 23, 12, tzinfo=datetime.UTC)
WORSE = Interval(1.15, 1.12, 1.18, 0.98)
ULID = "01KAR0000000000000000000A1"


class MemoryStore:
    """Documents in a dictionary, each change under one lock; what is kept is strict JSON, as in a database."""

    def __init__(self) -> None:
        self.texts: dict[tuple[str, str], str] = {}
        self._lock = threading.Lock()

    def put_document(self, kind: str, ulid: str, data: dict[str, Any]) -> None:
        """File a new document."""
        with self._lock:
            if (kind, ulid) in self.texts:
                raise DataError(f"{kind} {ulid} is there already.")
            self.texts[kind, ulid] = dumps(data)

    def documents(self, kind: str) -> list[dict[str, Any]]:
        """Return all of a kind."""
        with self._lock:
            return [loads(text) for (one, _), text in sorted(self.texts.items()) if one == kind]

    def document(self, kind: str, ulid: str) -> dict[str, Any] | None:
        """Return one."""
        with self._lock:
            text = self.texts.get((kind, ulid))
        return None if text is None else loads(text)

    def update_document(self, kind: str, ulid: str, change: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
        """Change one."""
        with self._lock:
            self.texts[kind, ulid] = dumps(change(copy.deepcopy(loads(self.texts[kind, ulid]))))


class HandClock:
    """Time that passes only when somebody sleeps, or a test says so."""

    def __init__(self) -> None:
        self.passed_sec = 0.0
        self.pauses: list[float] = []

    def now(self) -> datetime.datetime:
        """Return the time of day."""
        return NOON + datetime.timedelta(seconds=self.passed_sec)

    def clock(self) -> float:
        """Return monotonic seconds."""
        return self.passed_sec

    def sleep(self, pause_sec: float) -> None:
        """Let time pass."""
        self.pauses.append(pause_sec)
        self.passed_sec += pause_sec


def make_key(metric: str = "p50_sec", candidate: str = "int8", scenario: str = "single") -> SeriesKey:
    """Return the name of a series."""
    return SeriesKey("sentiment-minilm", candidate, scenario, metric, "c0ffee")


def run_ulid(number: int) -> str:
    """Return the ulid of the run with this number."""
    return f"01KAQ00000000000000000{number:04d}"


def make_nomination(key: SeriesKey | None = None, *, good: int = 5, since: int = 6, **fields: Any) -> Nomination:
    """Return a suspect between two runs."""
    key = key or make_key()
    metric = METRICS[key.metric]
    nomination = Nomination(
        series=key,
        family=metric.family,
        rule="segment",
        is_worse=True,
        shift_ratio=WORSE,
        before_value=0.01226,
        after_value=0.0141,
        unit=metric.unit,
        good_run_id=f"run-{good}",
        good_run_ulid=run_ulid(good),
        since_run_id=f"run-{since}",
        since_run_ulid=run_ulid(since),
        after_count=3,
    )
    return dataclasses.replace(nomination, **fields)


def make_confirmation(**fields: Any) -> Confirmation:
    """Return a rerun that found the lock to be the cause, and the parameters not to be."""
    confirmation = Confirmation(
        candidate="int8",
        family="speed",
        verdict="CONFIRMED",
        ratio=Interval(1.147, 1.11, 1.19, 0.98),
        culprits=(Culprit("lock", "numpy 2.1.0 → 2.2.0", Interval(1.14, 1.1, 1.18, 0.98)),),
        reruns=(
            Rerun(
                ("lock", "parameters"),
                None,
                is_worse=True,
                ratio=Interval(1.147, 1.11, 1.19, 0.98),
                evidence=900.0,
                sentence="all of it",
            ),
            Rerun(
                ("parameters",),
                None,
                is_worse=False,
                ratio=Interval(1.001, 0.99, 1.01, 0.98),
                evidence=0.1,
                sentence="not that",
            ),
        ),
        good_run_id="run-5",
        sentence="it is 14.7 % slower than the last good run",
    )
    return dataclasses.replace(confirmation, **fields)


def make_alert(ulid: str = ULID, *, good: int = 5, since: int = 6, **fields: Any) -> Alert:
    """Return an open alert of one series whose suspect range ends at two runs."""
    state = fields.get("state", "OPEN")
    alert = Alert(
        ulid=ulid,
        kind="performance",
        state=state,
        workload="sentiment-minilm",
        hardware_class="c0ffee",
        host_id="host-7",
        machine="Example CPU, 8 cores, 31.0 GB",
        nominations=(make_nomination(good=good, since=since),),
        confirmations=(make_confirmation(),),
        good_run_id=f"run-{good}",
        good_run_ulid=run_ulid(good),
        since_run_id=f"run-{since}",
        since_run_ulid=run_ulid(since),
        run_id=f"run-{since}",
        owner=None,
        snoozed_until=None,
        events=(AlertEvent(NOON.isoformat(), "perflib", state, "confirmed side by side"),),
    )
    return dataclasses.replace(alert, **fields)
