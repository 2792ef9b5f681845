"""
Where alerts and their deliveries lie: documents in a store that several processes share.

A document has a kind and a ulid. Two processes that want the same thing at the same moment *take* it first: the one
whose name stands in the document works, the other leaves. A name that was forgotten (its process died) expires.
"""

import contextlib
import datetime
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Protocol

from perflib.errors import PerflibError, SetupError
from perflib.records import dumps, sha256_bytes

ALERTS = "alert"
DELIVERIES = "delivery"
TURNS = "turn"
TURN_SEC = 30.0
_LOOK_EVERY_SEC = 0.05

Document = dict[str, Any]
Now = Callable[[], datetime.datetime]


class DocumentStore(Protocol):
    """The part of a history that keeps documents."""

    def put_document(self, kind: str, ulid: str, data: Document) -> object:
        """File a new document; `PerflibError`, and the old one stays, where the ulid is taken."""
        ...

    def documents(self, kind: str) -> list[Document]:
        """Return every document of a kind."""
        ...

    def document(self, kind: str, ulid: str) -> Document | None:
        """Return one document; None if there is none."""
        ...

    def update_document(self, kind: str, ulid: str, change: Callable[[Document], Document]) -> object:
        """Read, change and write one document in a single transaction; what ``change`` raises leaves the old one."""
        ...


def utc_now() -> datetime.datetime:
    """Return the present with its time zone."""
    return datetime.datetime.now(datetime.UTC)


def written(moment: datetime.datetime) -> str:
    """Write a moment as records do: UTC, to the second."""
    return moment.astimezone(datetime.UTC).isoformat(timespec="seconds")


def named_ulid(*words: str) -> str:
    """Return the same ulid for the same words, so that two processes that file the same thing meet."""
    from ulid import ULID

    return str(ULID.from_bytes(bytes.fromhex(sha256_bytes(dumps(list(words)).encode()))[:16]))


def file_once(store: DocumentStore, kind: str, ulid: str, data: Document) -> None:
    """File a document unless it is there, also where somebody else files it at the same moment."""
    if store.document(kind, ulid) is None:
        try:
            store.put_document(kind, ulid, data)
        except PerflibError:
            if store.document(kind, ulid) is None:
                raise


def is_held(data: Mapping[str, Any], *, now: datetime.datetime) -> bool:
    """Say whether somebody works on a document at this moment."""
    held_until = data.get("held_until")
    return held_until is not None and now < datetime.datetime.fromisoformat(held_until)


@contextlib.contextmanager
def turn(
    store: DocumentStore, name: str, *, now: Now = utc_now, sleep: Callable[[float], None] = time.sleep
) -> Iterator[None]:
    """
    Wait until nobody else is between these lines for ``name``, on any machine that shares the store.

    Raises:
        SetupError: If somebody keeps it for longer than a turn may take.
    """
    ulid, holder = named_ulid(TURNS, name), _new_ulid()
    file_once(store, TURNS, ulid, {"name": name, "holder": None, "held_until": None})
    for _ in range(int(2 * TURN_SEC / _LOOK_EVERY_SEC)):
        if _take(store, ulid, holder, now()):
            break
        sleep(_LOOK_EVERY_SEC)
    else:
        raise SetupError(f"another process keeps the alerts of {name}; wait for it to end, then try again.")
    try:
        yield
    finally:
        store.update_document(TURNS, ulid, lambda data: _let_go(data, holder))


def _take(store: DocumentStore, ulid: str, holder: str, moment: datetime.datetime) -> bool:
    until = written(moment + datetime.timedelta(seconds=TURN_SEC))

    def change(data: Document) -> Document:
        return data if is_held(data, now=moment) else {**data, "holder": holder, "held_until": until}

    store.update_document(TURNS, ulid, change)
    taken = store.document(TURNS, ulid)
    return taken is not None and taken["holder"] == holder


def _let_go(data: Document, holder: str) -> Document:
    return {**data, "holder": None, "held_until": None} if data["holder"] == holder else data


def _new_ulid() -> str:
    from ulid import ULID

    return str(ULID())
