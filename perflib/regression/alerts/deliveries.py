"""
The record of a message on its way: one document for each alert, channel, state and kind of message.

Its ulid follows from those words, so whoever wants to send the same message finds the same document, and takes it
before sending. A try is counted when it is taken: a process that dies while it sends has tried.
"""

import dataclasses
import datetime
from collections.abc import Callable

from perflib.regression.alerts.documents import (
    DELIVERIES,
    Document,
    DocumentStore,
    file_once,
    is_held,
    named_ulid,
    written,
)
from perflib.results.regression import AlertState, Delivery

GIVE_UP_COUNT = 10


@dataclasses.dataclass(frozen=True)
class Letter:
    """One message to one channel, by the words that make its name; a reminder is a message of its own."""

    alert_ulid: str
    channel: str
    state: AlertState
    is_reminder: bool = False

    @property
    def ulid(self) -> str:
        """The name of its document."""
        kind = "reminder" if self.is_reminder else "message"
        return named_ulid(DELIVERIES, self.alert_ulid, self.channel, self.state, kind)


def all_deliveries(store: DocumentStore) -> tuple[Delivery, ...]:
    """Return every message that was ever to be sent, with what became of it."""
    found = [_delivery(data) for data in store.documents(DELIVERIES)]
    return tuple(sorted(found, key=lambda one: (one.alert_ulid, one.channel, one.state)))


def pending_letters(store: DocumentStore) -> tuple[Letter, ...]:
    """Return the messages that wait for another try."""
    found = [(_delivery(data), bool(data["is_reminder"])) for data in store.documents(DELIVERIES)]
    waiting = [
        Letter(one.alert_ulid, one.channel, one.state, is_reminder)
        for one, is_reminder in found
        if one.status == "pending"
    ]
    return tuple(sorted(waiting, key=lambda one: (one.alert_ulid, one.channel)))


def read(store: DocumentStore, letter: Letter) -> Delivery | None:
    """Return what became of a message; None where nobody wanted to send it yet."""
    data = store.document(DELIVERIES, letter.ulid)
    return None if data is None else _delivery(data)


def open_letter(store: DocumentStore, letter: Letter) -> Delivery:
    """File a message that is to be sent, unless it is there, and return what became of it."""
    new = Delivery(letter.alert_ulid, letter.channel, letter.state, "pending", 0, None, None)
    data = {**dataclasses.asdict(new), "is_reminder": letter.is_reminder, "holder": None, "held_until": None}
    file_once(store, DELIVERIES, letter.ulid, data)
    return read(store, letter) or new


def take(
    store: DocumentStore, letter: Letter, *, holder: str, now: datetime.datetime, for_sec: float
) -> Delivery | None:
    """Take a pending message that nobody else has, and count a try; None where that cannot be."""

    def change(data: Document) -> Document:
        if data["status"] != "pending" or is_held(data, now=now):
            return data
        until = written(now + datetime.timedelta(seconds=for_sec))
        tried = {"attempt_count": data["attempt_count"] + 1, "last_tried": written(now)}
        return {**data, **tried, "holder": holder, "held_until": until}

    store.update_document(DELIVERIES, letter.ulid, change)
    data = store.document(DELIVERIES, letter.ulid)
    is_ours = data is not None and data["status"] == "pending" and data["holder"] == holder
    return _delivery(data) if is_ours and data is not None else None


def settle(store: DocumentStore, letter: Letter, *, holder: str, trouble: str | None) -> Delivery:
    """Write down how a try went: sent without trouble; else it waits, or is given up after the tenth."""

    def change(data: Document) -> Document:
        # Sent is sent, even if the turn has run out meanwhile; trouble is written by whoever has the turn.
        if data["holder"] != holder and trouble is not None:
            return data
        waiting = "given up" if data["attempt_count"] >= GIVE_UP_COUNT else "pending"
        status = "sent" if trouble is None else waiting
        return {**data, "status": status, "trouble": trouble, "holder": None, "held_until": None}

    return _updated(store, letter, change)


def note(store: DocumentStore, letter: Letter, trouble: str, *, is_last: bool = False) -> Delivery:
    """Write down why a pending message was not tried; ``is_last`` gives it up."""

    def change(data: Document) -> Document:
        if data["status"] != "pending":
            return data
        return {**data, "trouble": trouble, "status": "given up" if is_last else "pending"}

    return _updated(store, letter, change)


def _updated(store: DocumentStore, letter: Letter, change: Callable[[Document], Document]) -> Delivery:
    store.update_document(DELIVERIES, letter.ulid, change)
    found = read(store, letter)
    assert found is not None, "it was filed before it was tried"
    return found


def _delivery(data: Document) -> Delivery:
    names = {field.name for field in dataclasses.fields(Delivery)}
    return Delivery(**{name: data[name] for name in names})
