"""Rows that keep JSON: good runs and documents, each with the digest of all that it says."""

from typing import Any

from sqlalchemy import Connection, insert, select, update

from perflib.errors import DataError
from perflib.records import dumps, loads, sha256_bytes
from perflib.regression.history.rows import AnyRow, Row
from perflib.regression.history.tables import document, good
from perflib.results.history import Good

_GOOD_COLUMNS = ("workload", "candidate", "hardware_class", "run_ulid")


def good_sha256(one: Good) -> str:
    """Return the digest under which a good run is kept."""
    return sha256_bytes(dumps(one.to_dict()).encode())


def insert_good(connection: Connection, one: Good) -> None:
    """Write a good run unless it is there."""
    sha256 = good_sha256(one)
    if connection.execute(select(good.c.run_ulid).where(good.c.content_sha256 == sha256)).first() is None:
        fields = {name: getattr(one, name) for name in _GOOD_COLUMNS}
        connection.execute(insert(good), [{**fields, "content": dumps(one.to_dict()), "content_sha256": sha256}])


def good_of(row: AnyRow) -> Good:
    """Return a checked good run; `DataError` if it, or the columns that it is found by, were changed."""
    what = f"the good run {row['run_ulid']}"
    text = str(row["content"])
    if sha256_bytes(text.encode()) != row["content_sha256"]:
        raise _changed(what)
    one = Good.from_dict(loads(text, source=what), source=what)
    if any(getattr(one, name) != row[name] for name in _GOOD_COLUMNS):
        raise _changed(what)
    return one


def document_row(kind: str, ulid: str, revision: int, data: Row) -> Row:
    """Return a document as a row; its digest covers its name and its revision too."""
    text = dumps(data)
    named = {"kind": kind, "ulid": ulid, "revision": revision}
    return {**named, "content": text, "content_sha256": sha256_bytes(document_bytes({**named, "content": text}))}


def document_bytes(row: AnyRow) -> bytes:
    """Return a document with its name and revision as canonical JSON."""
    return dumps({name: row[name] for name in ("kind", "ulid", "revision", "content")}).encode()


def document_of(row: AnyRow) -> Row:
    """Return the checked content of a document."""
    what = f"{row['kind']} {row['ulid']}"
    try:
        is_same = sha256_bytes(document_bytes(row)) == row["content_sha256"]
    except DataError:  # damage has put something there that JSON does not know
        is_same = False
    if not is_same:
        raise _changed(what)
    read: Any = loads(row["content"], source=what)
    if not isinstance(read, dict):
        raise DataError(f"{what} holds no JSON object; remove it.")
    return read


def replace_document(connection: Connection, row: Row) -> None:
    """Write a document over the one that is there."""
    where = (document.c.kind == row["kind"], document.c.ulid == row["ulid"])
    connection.execute(update(document).where(*where).values(row))


def insert_newer(connection: Connection, row: Row) -> None:
    """Write a document from elsewhere unless the one that is there has as many revisions."""
    asked = select(document.c.revision, document.c.content_sha256)
    there = connection.execute(asked.where(document.c.kind == row["kind"], document.c.ulid == row["ulid"])).first()
    if there is None:
        connection.execute(insert(document), [row])
    elif (row["revision"], row["content_sha256"]) > (there[0], there[1]):
        # Of two that were changed apart from each other everybody takes the same one.
        replace_document(connection, row)


def _changed(what: str) -> DataError:
    return DataError(f"{what} was changed after it was written; see `perflib history verify`.")
