"""Results as rows: which are accepted, how they are written, whether they are still the same."""

import dataclasses
import itertools
import math
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, RowMapping, insert, select, update
from ulid import ULID

from perflib.errors import DataError
from perflib.regression.history.tables import KEY_FIELDS, POINT_FIELDS, append_log, result, row_sha256, rows_sha256
from perflib.results.history import METRICS, HistoryPoint

Row = dict[str, Any]
# As it comes from the database, or from a file.
AnyRow = Mapping[str, Any] | RowMapping
# What may be None; a file of text cannot tell it from empty.
OPTIONAL = ("driver", "image_digest", "mark")
_WORDS = tuple(name for name in POINT_FIELDS if name != "value")
_IDENTITY = ("run_ulid", *KEY_FIELDS)
_NOTHING = "Nothing of this run was written."


def check_point(point: HistoryPoint) -> None:
    """Raise `DataError` for a result that no history can hold: no number, not in its metric's unit, of no run."""
    where = f"{point.metric} of {point.candidate} in run {point.run_id}"
    metric = METRICS.get(point.metric)
    if metric is None:
        raise DataError(f"{where} is no metric that a history knows; known are: {', '.join(METRICS)}.")
    if not _is_number(point.value):
        raise DataError(f"{where} is {point.value!s:.40}, which is no number; measure it again. {_NOTHING}")
    # Logarithms are taken of everything but shares, which may be 0.
    if point.value < 0 or (point.value == 0 and metric.family != "quality"):
        raise DataError(f"{where} is {point.value:g} and must be above 0; measure it again. {_NOTHING}")
    if point.unit != metric.unit:
        raise DataError(
            f"{where} is in `{point.unit}` and its series in `{metric.unit}`; a change of unit is a new metric. "
            f"{_NOTHING}"
        )
    check_ulid(point.run_ulid, f"the run of {where}")
    for name in _WORDS:
        word = getattr(point, name)
        if not _is_text(word) and not (word is None and name in OPTIONAL):
            raise DataError(
                f"{where} has {word!r:.80} for its {name}, which is no text; make the record again. {_NOTHING}"
            )


def check_ulid(word: str, what: str) -> ULID:
    """Return a ulid as one; `DataError` if it is none, because the order of a series rests on it."""
    try:
        found = ULID.from_str(word)
        # The last ulids have a time that no calendar has.
        is_one = str(found) == word and found.datetime is not None
    except (ValueError, TypeError, OverflowError):
        is_one = False
    if not is_one:
        raise DataError(f"{what} has {word!r:.80} where a ulid is needed; make the record again. {_NOTHING}")
    return found


def fields_of(point: HistoryPoint) -> Row:
    """Return a result as a row without its place; an empty word that may be absent is."""
    # A count of bytes comes back from the database as a float and -0.0 as 0.0; the digest has to be the same.
    given = {**dataclasses.asdict(point), "value": float(point.value) + 0.0}
    return {**given, **{name: given[name] or None for name in OPTIONAL}}


def check_row(row: AnyRow) -> None:
    """Raise `DataError` if a result is not what was written."""
    try:
        is_same = row_sha256(row) == row["content_sha256"]
    except DataError:  # damage has put something there that JSON does not know
        is_same = False
    if not is_same:
        raise DataError(
            f"{row['metric']} of {row['candidate']} in run {row['run_id']} was changed after it was written; see "
            "`perflib history verify`."
        )


def points_of(rows: Sequence[AnyRow]) -> list[HistoryPoint]:
    """Return checked rows as results."""
    for row in rows:
        check_row(row)
    return [HistoryPoint(**{name: row[name] for name in POINT_FIELDS}) for row in rows]


def insert_rows(connection: Connection, rows: Sequence[Row]) -> int:
    """
    Write rows that are not there yet, and bring the digests of their runs up to date; return how many were new.

    A result that is there at another place in the order stays where it is: two histories may have placed one run
    differently.

    Raises:
        DataError: If a result of the same run is there with another content.
    """
    ulids = sorted({row["run_ulid"] for row in rows})
    known = _known(connection, ulids)
    digests: dict[str, list[str]] = {ulid: [] for ulid in ulids}
    for (run_ulid, *_), (_, sha256) in known.items():
        digests[run_ulid].append(sha256)
    new: list[Row] = []
    for one in rows:
        sha256 = row_sha256(one)
        order_ulid, there = known.setdefault(_identity(one), (one["order_ulid"], ""))
        if not there:
            known[_identity(one)] = (order_ulid, sha256)
            digests[one["run_ulid"]].append(sha256)
            new.append({**one, "content_sha256": sha256})
        elif row_sha256({**one, "order_ulid": order_ulid}) != there:
            raise DataError(
                f"run {one['run_id']} has {one['metric']} of {one['candidate']} already, with another value; a run is "
                "never written twice with other results."
            )
    for some in _portions(new):
        connection.execute(insert(result), list(some))
    _log(connection, {ulid: digests[ulid] for ulid in {row["run_ulid"] for row in new}})
    return len(new)


def by_run(points: Sequence[HistoryPoint]) -> list[list[HistoryPoint]]:
    """Return results in groups of one run each, the first run first."""
    ordered = sorted(points, key=lambda one: one.run_ulid)
    return [list(some) for _, some in itertools.groupby(ordered, key=lambda one: one.run_ulid)]


def _is_number(value: object) -> bool:
    try:
        return isinstance(value, int | float) and math.isfinite(value)
    except OverflowError:  # an int that no float can hold
        return False


def _is_text(word: object) -> bool:
    """Say whether every database can hold it: PostgreSQL no NUL, and half a character has no bytes at all."""
    return isinstance(word, str) and "\0" not in word and word == word.encode(errors="replace").decode()


def _known(connection: Connection, ulids: Sequence[str]) -> dict[tuple[Any, ...], tuple[str, str]]:
    """Return the place and the digest of every result that these runs have already."""
    asked = select(*(result.c[name] for name in _IDENTITY), result.c.order_ulid, result.c.content_sha256)
    return {
        _identity(row): (row["order_ulid"], row["content_sha256"])
        for some in _portions(ulids)
        for row in connection.execute(asked.where(result.c.run_ulid.in_(some))).mappings()
    }


def _identity(row: AnyRow) -> tuple[Any, ...]:
    return tuple(row[name] for name in _IDENTITY)


def _log(connection: Connection, digests: Mapping[str, list[str]]) -> None:
    known: set[str] = set()
    for some in _portions(sorted(digests)):
        known |= set(connection.scalars(select(append_log.c.run_ulid).where(append_log.c.run_ulid.in_(some))))
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
