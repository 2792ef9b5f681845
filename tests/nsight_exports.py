"""
Exports of nsys, written by code.

They follow the schema that NVIDIA publishes for SQLite exports (tables, columns and their types, of which only those
that perflib reads and a few of their neighbours are here). They were not recorded on a GPU: their times are round, so
that a test can say what is right.
"""

import contextlib
import sqlite3
from collections.abc import Sequence
from pathlib import Path

SCHEMA = """
    create table StringIds (id integer not null primary key, value text not null);
    create table META_DATA_EXPORT (name text not null, value text);
    create table CUPTI_ACTIVITY_KIND_KERNEL (
        start integer not null, end integer not null, deviceId integer not null, contextId integer not null,
        streamId integer not null, correlationId integer, globalPid integer, demangledName integer not null,
        shortName integer not null, graphNodeId integer
    );
    create table CUPTI_ACTIVITY_KIND_MEMCPY (
        start integer not null, end integer not null, deviceId integer not null, contextId integer not null,
        streamId integer not null, correlationId integer, globalPid integer, bytes integer not null,
        copyKind integer not null
    );
    create table CUPTI_ACTIVITY_KIND_MEMSET (
        start integer not null, end integer not null, deviceId integer not null, contextId integer not null,
        streamId integer not null, correlationId integer, globalPid integer, value integer not null,
        bytes integer not null
    );
    create table CUPTI_ACTIVITY_KIND_RUNTIME (
        start integer not null, end integer not null, eventClass integer not null, globalTid integer,
        correlationId integer, nameId integer not null, returnValue integer not null, callchainId integer
    );
    create table NVTX_EVENTS (
        start integer not null, end integer, eventType integer not null, rangeId integer, category integer,
        color integer, text text, globalTid integer, endGlobalTid integer, textId integer, domainId integer
    );
"""
# A machine's clock in nanoseconds, beyond what a float holds to the nanosecond.
ZERO_NS = 1_700_000_000_000_000_001

Timed = tuple[str, int, int]


def write_export(
    path: Path,
    *,
    kernels: Sequence[Timed] = (),
    calls: Sequence[Timed] = (),
    ranges: Sequence[Timed] = (),
    copies: Sequence[tuple[int, int, int, int]] = (),
    fills: Sequence[tuple[int, int, int]] = (),
    version: str = "3.24.14",
    without: Sequence[str] = (),
) -> Path:
    """
    Write an export; times are nanoseconds from its zero.

    Args:
        path: The file.
        kernels: Name, start and end.
        calls: Of CUDA's runtime: name, start and end.
        ranges: Name, start and end.
        copies: Start, end, kind (1 to the device, 2 to the host) and bytes.
        fills: Start, end and bytes.
        version: Of the schema.
        without: Tables that are left out, as nsys leaves out those that nothing is in.
    """
    with contextlib.closing(sqlite3.connect(path)) as connection, connection:
        connection.executescript(SCHEMA)
        meta = [("EXPORT_SCHEMA_VERSION", version), ("EXPORT_PRODUCT_VERSION", "2026.1.1.204")]
        connection.executemany("insert into META_DATA_EXPORT values (?, ?)", meta)
        ids: dict[str, int] = {}

        def text_id(text: str) -> int:
            return ids.setdefault(text, len(ids) + 1)

        def put(table: str, rows: Sequence[tuple[object, ...]]) -> None:
            for row in rows:
                connection.execute(f"insert into {table} values ({', '.join('?' * len(row))})", row)

        def at(time_ns: int) -> int:
            return ZERO_NS + time_ns

        put(
            "CUPTI_ACTIVITY_KIND_KERNEL",
            [(at(a), at(b), 0, 1, 7, 1, 1, text_id(name), text_id(name[:8]), None) for name, a, b in kernels],
        )
        put("CUPTI_ACTIVITY_KIND_MEMCPY", [(at(a), at(b), 0, 1, 7, 1, 1, size, kind) for a, b, kind, size in copies])
        put("CUPTI_ACTIVITY_KIND_MEMSET", [(at(a), at(b), 0, 1, 7, 1, 1, 0, size) for a, b, size in fills])
        put("CUPTI_ACTIVITY_KIND_RUNTIME", [(at(a), at(b), 0, 9, 1, text_id(name), 0, None) for name, a, b in calls])
        # One range by its text, the next by the number of its text: registered strings are written so.
        put(
            "NVTX_EVENTS",
            [
                (
                    at(a),
                    at(b),
                    59,
                    None,
                    None,
                    None,
                    None if row % 2 else name,
                    9,
                    9,
                    text_id(name) if row % 2 else None,
                    0,
                )
                for row, (name, a, b) in enumerate(ranges)
            ],
        )
        put("NVTX_EVENTS", [(at(5), None, 34, None, None, None, "perflib:offline", 9, None, None, 0)])
        put("StringIds", [(number, text) for text, number in ids.items()])
        for table in without:
            connection.execute(f"drop table {table}")
    return path
