"""Rows and what they promise: which results are accepted, how they are written, whether they are still the same."""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, RowMapping, insert, select, update

from perflib.errors import DataError
from perflib.records import dumps, loads, sha256_bytes
from perflib.regression.history.tables import (
    KEY_FIELDS,
    POINT_FIELDS,
    append_log,
    document,
    good,
    result,
    row_sha256,
    rows_sha256,
)
from perflib.results.history import METRICS, Good, HistoryPoint

Row = dict[str, Any]
# As it comes from the database, or from a file.
AnyRow = Mapping[str, Any] | RowMapping
_IDENTITY = ("run_ulid", *KEY_FIELDS)


def check_point(point: HistoryPoint) -> None:
    """Raise `DataError` for a result that no history can hold: no number, or not in its metric's unit."""
    where = f"{point.metric} of {point.candidate} in run {point.run_id}"
    metric = METRICS.get(point.metric)
    if metric is None:
        raise DataError(f"{where} is no metric that a history knows; known are: {', '.join(METRICS)}.")
    if not isinstance(point.value, int | float) or not math.isfinite(point.value):
        raise DataError(f"{where} is {point.value}, which is no number; nothing of this run was written.")
    # Logarithms are taken of everything but shares, which may be 0.
    if point.value < 0 or (point.value == 0 and metric.family != "quality"):
        raise DataError(f"{where} is {point.value:g}; it must be above 0. Nothing of this run was written.")
    if point.unit != metric.unit:
        raise DataError(
            f"{where} is in `{point.unit}` and its series in `{metric.unit}`; a change of unit is a new metric. "
            "Nothing of this run was written."
        )


def fields_of(point: HistoryPoint) -> Row:
    """Return a result as a row without its place."""
    # A count of bytes comes back from the database as a float, and its digest has to be the same.
    return {**dataclasses.asdict(point), "value": float(point.value)}


def check_row(row: AnyRow) -> None:
    """Raise `DataError` if a result is not what was written."""
    if row_sha256(row) != row["content_sha256"]:
        raise DataError(
            f"{row['metric']} of {row['candidate']} in run {row['run_id']} was changed after it was written; see "
            "`perflib history verify`."
        )


def insert_rows(connection: Connection, rows: Sequence[Row]) -> int:
    """
    Write rows that are not there yet, and bring the digests of their runs up to date; return how many were new.

    Raises:
        DataError: If a result of the same run is there with another content.
    """
    ulids = sorted({row["run_ulid"] for row in rows})
    known: dict[tuple[Any, ...], str] = {}
    digests: dict[str, list[str]] = {ulid: [] for ulid in ulids}
    for some in _portions(ulids):
        asked = select(*(result.c[name] for name in _IDENTITY), result.c.content_sha256)
        for row in connection.execute(asked.where(result.c.run_ulid.in_(some))).mappings():
            known[_identity(row)] = row["content_sha256"]
            digests[row["run_ulid"]].append(row["content_sha256"])
    new: list[Row] = []
    for one in rows:
        sha256 = row_sha256(one)
        if known.setdefault(_identity(one), sha256) != sha256:
            raise DataError(
                f"run {one['run_id']} has {one['metric']} of {one['candidate']} already, with another value; a run is "
                "never written twice with other results."
            )
        if sha256 not in digests[one["run_ulid"]]:
            digests[one["run_ulid"]].append(sha256)
            new.append({**one, "content_sha256": sha256})
    for some_rows in _portions(new):
        connection.execute(insert(result), list(some_rows))
    _log(connection, {ulid: digests[ulid] for ulid in {row["run_ulid"] for row in new}})
    return len(new)


def insert_good(connection: Connection, one: Good) -> None:
    """Write a good run unless it is there."""
    text = dumps(one.to_dict())
    sha256 = sha256_bytes(text.encode())
    if connection.execute(select(good.c.run_ulid).where(good.c.content_sha256 == sha256)).first() is None:
        fields = {name: getattr(one, name) for name in ("workload", "candidate", "hardware_class", "run_ulid")}
        connection.execute(insert(good), [{**fields, "content": text, "content_sha256": sha256}])


def document_row(kind: str, ulid: str, data: Row) -> Row:
    """Return a document as a row."""
    text = dumps(data)
    return {"kind": kind, "ulid": ulid, "content": text, "content_sha256": sha256_bytes(text.encode())}


def replace_document(connection: Connection, row: Row) -> None:
    """Write a document over the one that is there."""
    values = {"content": row["content"], "content_sha256": row["content_sha256"]}
    where = (document.c.kind == row["kind"], document.c.ulid == row["ulid"])
    connection.execute(update(document).where(*where).values(values))


def content_of(row: AnyRow, what: str) -> Row:
    """Return the checked content of a row that keeps JSON."""
    text = str(row["content"])
    if sha256_bytes(text.encode()) != row["content_sha256"]:
        raise DataError(f"{what} was changed after it was written; see `perflib history verify`.")
    read: Row = loads(text, source=what)
    return read


def good_sha256(one: Good) -> str:
    """Return the digest under which a good run is kept."""
    return sha256_bytes(dumps(one.to_dict()).encode())


def points_of(rows: Sequence[AnyRow]) -> list[HistoryPoint]:
    """Return checked rows as results."""
    for row in rows:
        check_row(row)
    return [HistoryPoint(**{name: row[name] for name in POINT_FIELDS}) for row in rows]


def _identity(row: AnyRow) -> tuple[Any, ...]:
    return tuple(row[name] for name in _IDENTITY)


def _log(connection: Connection, digests: Mapping[str, list[str]]) -> None:
    known: set[str] = set()
    for some in _portions(sorted(digests)):
        asked = select(append_log.c.run_ulid).where(append_log.c.run_ulid.in_(some))
        known |= set(connection.scalars(asked))
    entries = [
        {"run_ulid": ulid, "row_count": len(found), "rows_sha256": rows_sha256(found)}
        for ulid, found in digests.items()
    ]
    for entry in entries:
        if entry["run_ulid"] in known:
            connection.execute(update(append_log).where(append_log.c.run_ulid == entry["run_ulid"]).values(entry))
    for some_entries in _portions([entry for entry in entries if entry["run_ulid"] not in known]):
        connection.execute(insert(append_log), list(some_entries))


def _portions(items: Sequence[Any], count: int = 500) -> list[Sequence[Any]]:
    """Cut a long list, because a statement takes only so many values."""
    return [items[start : start + count] for start in range(0, len(items), count)]
