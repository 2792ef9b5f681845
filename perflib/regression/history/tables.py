"""
The tables of the history, the same on SQLite and PostgreSQL.

Every row stores the sha256 of its content. `append_log` has a row for each run with the digest of all its rows, so that
a row that was removed or slipped in is found as well as one that was changed. A document counts its revisions, so that
of two copies the later one is known.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

from sqlalchemy import Column, Float, Index, Integer, MetaData, RowMapping, String, Table, Text, UniqueConstraint

from perflib.records import sha256_json
from perflib.results.history import HistoryPoint, SeriesKey

metadata = MetaData()

POINT_FIELDS = tuple(field.name for field in dataclasses.fields(HistoryPoint))
KEY_FIELDS = tuple(field.name for field in dataclasses.fields(SeriesKey))
_KINDS: dict[str, Any] = {"value": Float(53)}

result = Table(
    "result",
    metadata,
    Column("id", Integer, primary_key=True),
    *(
        Column(name, _KINDS.get(name, Text), nullable=name in ("driver", "image_digest", "mark"))
        for name in POINT_FIELDS
    ),
    Column("order_ulid", String(26), nullable=False),
    Column("content_sha256", String(64), nullable=False),
    UniqueConstraint("run_ulid", *KEY_FIELDS, name="one_value_a_run"),
)
Index("series", *(result.c[name] for name in KEY_FIELDS), result.c.order_ulid)
Index("newest_of_host", result.c.host_id, result.c.order_ulid)
Index("newest_of_class", result.c.hardware_class, result.c.workload, result.c.order_ulid)

append_log = Table(
    "append_log",
    metadata,
    Column("run_ulid", String(26), primary_key=True),
    Column("row_count", Integer, nullable=False),
    Column("rows_sha256", String(64), nullable=False),
)

good = Table(
    "good",
    metadata,
    Column("content_sha256", String(64), primary_key=True),
    Column("workload", Text, nullable=False),
    Column("candidate", Text, nullable=False),
    Column("hardware_class", Text, nullable=False),
    Column("run_ulid", String(26), nullable=False),
    Column("content", Text, nullable=False),
)

document = Table(
    "document",
    metadata,
    Column("kind", String(40), primary_key=True),
    Column("ulid", String(26), primary_key=True),
    Column("revision", Integer, nullable=False),
    Column("content", Text, nullable=False),
    Column("content_sha256", String(64), nullable=False),
)


def row_sha256(row: Mapping[str, Any] | RowMapping) -> str:
    """Return the digest of one result: all its fields and its place in the order."""
    return sha256_json({name: row[name] for name in (*POINT_FIELDS, "order_ulid")})


def rows_sha256(digests: list[str]) -> str:
    """Return the digest of all results of a run, in whatever order they come."""
    return sha256_json(sorted(digests))
