"""
The courier: brings each alert to its channels once, tries again for a while, and leaves the rest for the next run.

    courier = Courier(history, routes)
    courier.deliver(alerts)          # after a check; never raises for a channel
    courier.deliver_pending()        # what waited, and reminders that are due

What a channel does, or does not, changes nothing about the run: the alert stands in the book either way.
"""

import dataclasses
import datetime
import functools
import os
import time
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from typing import Protocol

from perflib.regression.alerts import deliveries, message
from perflib.regression.alerts.deliveries import Letter
from perflib.regression.alerts.documents import ALERTS, DocumentStore, Now, utc_now
from perflib.regression.alerts.escaping import plain_words
from perflib.regression.alerts.lifecycle import entered, is_snoozed
from perflib.regression.alerts.redaction import redact
from perflib.regression.alerts.routes import Routes
from perflib.regression.alerts.sending import START_SEC, apprise_send
from perflib.results.regression import Alert, Delivery

TOTAL_SEC = 30.0
SEND_SEC = 8.0
FIRST_PAUSE_SEC = 1.0
# How much longer than it needs a sender keeps a message, so that nobody takes it from slow hands.
_MARGIN_SEC = 15.0
_MOST_AT_ONCE_COUNT = 8
# Suspicions page nobody, and whoever closes an alert knows that it is closed.
_TOLD = ("OPEN",)
_REMINDED = ("OPEN", "ACKED")


class Send(Protocol):
    """Sends one message; returns None, or the trouble in words."""

    def __call__(self, url: str, subject: str, body: str, timeout_sec: float, /) -> str | None:
        """Send it within ``timeout_sec``."""
        ...


class Courier:
    """
    Delivers alerts.

    Args:
        store: Keeps alerts and deliveries; several couriers may share it.
        routes: Who is told.
        now: The present, with its time zone.
        sleep: Waits between tries.
        send: Sends one message.
        environ: Where the addresses are.
        clock: Monotonic seconds, for the time that one call may take.
    """

    def __init__(
        self,
        store: DocumentStore,
        routes: Routes,
        *,
        now: Now = utc_now,
        sleep: Callable[[float], None] = time.sleep,
        send: Send = apprise_send,
        environ: Mapping[str, str] = os.environ,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store, self._routes, self._send, self._environ = store, routes, send, environ
        self._now, self._sleep, self._clock = now, sleep, clock

    def deliver(self, alerts: Iterable[Alert]) -> tuple[Delivery, ...]:
        """
        Send every filed alert that is open to its channels, unless it was sent there before; at most 30 s in all.

        Returns:
            What became of each message.
        """
        present = [self._alert(one.ulid) for one in alerts]
        return self._bring([letter for alert in present if alert is not None for letter in self._letters(alert)])

    def deliver_pending(self) -> tuple[Delivery, ...]:
        """Try what waited, and remind once of what has been open or acknowledged for too long."""
        found = [Alert.from_dict(data, source="an alert") for data in self._store.documents(ALERTS)]
        reminders = [letter for alert in found for letter in self._reminders(alert)]
        return self._bring([*deliveries.pending_letters(self._store), *reminders])

    def _alert(self, ulid: str) -> Alert | None:
        data = self._store.document(ALERTS, ulid)
        return None if data is None else Alert.from_dict(data, source=f"alert {ulid}")

    def _letters(self, alert: Alert) -> list[Letter]:
        if alert.state not in _TOLD or is_snoozed(alert, self._now()):
            return []
        return [Letter(alert.ulid, channel, alert.state) for channel in self._routes.route(alert).to]

    def _reminders(self, alert: Alert) -> list[Letter]:
        hours, since = self._routes.reminder_hours, entered(alert)
        if hours is None or since is None or alert.state not in _REMINDED or is_snoozed(alert, self._now()):
            return []
        if self._now() < datetime.datetime.fromisoformat(since) + datetime.timedelta(hours=hours):
            return []
        first = [deliveries.read(self._store, Letter(alert.ulid, to, "OPEN")) for to in self._routes.route(alert).to]
        told = [one.channel for one in first if one is not None and one.status == "sent"]
        return [Letter(alert.ulid, channel, alert.state, is_reminder=True) for channel in told]

    def _bring(self, letters: Sequence[Letter]) -> tuple[Delivery, ...]:
        found = {letter: deliveries.open_letter(self._store, letter) for letter in dict.fromkeys(letters)}
        waiting = [letter for letter in found if found[letter].status == "pending"]
        end_sec, pause_sec = self._clock() + TOTAL_SEC, FIRST_PAUSE_SEC
        while waiting:
            tried = self._try(waiting, end_sec)
            found |= {letter: one for letter in waiting if (one := deliveries.read(self._store, letter)) is not None}
            waiting = [letter for letter in tried if found[letter].status == "pending"]
            if self._left_sec(end_sec) <= pause_sec:
                break
            if waiting:
                self._sleep(pause_sec)
            pause_sec *= 2
        return tuple(found.values())

    def _try(self, letters: Sequence[Letter], end_sec: float) -> list[Letter]:
        """Try each letter once, side by side, so that a slow channel holds up no other; return those tried."""
        with ThreadPoolExecutor(max_workers=_MOST_AT_ONCE_COUNT) as pool:
            sending: dict[Future[str | None], tuple[Letter, str]] = {}
            for letter in letters:
                timeout_sec = min(SEND_SEC, self._left_sec(end_sec))
                task = self._prepared(letter, timeout_sec)
                holder = str(uuid.uuid4())
                if task is not None and self._is_taken(letter, holder, timeout_sec):
                    sending[pool.submit(task)] = (letter, holder)
            for done in as_completed(sending):
                letter, holder = sending[done]
                deliveries.settle(self._store, letter, holder=holder, trouble=done.result())
        return [letter for letter, _ in sending.values()]

    def _left_sec(self, end_sec: float) -> float:
        return end_sec - self._clock() - START_SEC

    def _is_taken(self, letter: Letter, holder: str, timeout_sec: float) -> bool:
        for_sec = timeout_sec + START_SEC + _MARGIN_SEC
        taken = deliveries.take(self._store, letter, holder=holder, now=self._now(), for_sec=for_sec)
        return taken is not None

    def _prepared(self, letter: Letter, timeout_sec: float) -> Callable[[], str | None] | None:
        """Return what sends a letter; None, with the reason in its record, where it cannot or need not be sent."""
        alert = self._alert(letter.alert_ulid)
        if alert is None or alert.state != letter.state:
            now = "gone" if alert is None else alert.state
            deliveries.note(self._store, letter, f"not needed any more: the alert is {now}", is_last=True)
            return None
        if is_snoozed(alert, self._now()):
            deliveries.note(self._store, letter, f"waits: the alert is snoozed until {alert.snoozed_until}")
            return None
        variable = self._routes.variables.get(letter.channel)
        if variable is None:
            deliveries.note(self._store, letter, "the channel is no longer in the routes", is_last=True)
            return None
        url = self._environ.get(variable, "").strip()
        if not url:
            deliveries.note(self._store, letter, f"environment variable {variable} is not set")
            return None
        owned = dataclasses.replace(alert, owner=alert.owner or self._routes.route(alert).owner)
        title = f"Reminder: {message.subject(owned)}" if letter.is_reminder else message.subject(owned)
        return functools.partial(_send, self._send, url, title, message.plain(owned), timeout_sec)


def _send(send: Send, url: str, title: str, body: str, timeout_sec: float) -> str | None:
    try:
        trouble = send(url, title, body, timeout_sec)
    except Exception as error:  # noqa: BLE001 -- whatever a channel does, the run goes on
        trouble = f"{type(error).__name__}: {error}"
    return None if trouble is None else plain_words(redact(trouble, url)) or "the service did not take it"
