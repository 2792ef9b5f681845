"""
What `nsys` exports as SQLite, as tables: what the GPU did, what the host asked it to do, and our ranges.

    export = read_nsys(Path("nsys.sqlite"))
    export.device.groupby("name")["duration_sec"].sum()

The schema has a version in `META_DATA_EXPORT`. Tables exist only where something happened; a missing one is empty.
"""

import contextlib
import dataclasses
import sqlite3
from collections.abc import Collection
from pathlib import Path

import pandas as pd

from perflib.errors import DataError

# Versions whose tables have the columns that are read here; within a major version columns are only added.
KNOWN_SCHEMA_MAJORS = ("2", "3")
# A step of a small model has some hundred kernels; more rows than this would take the machine's memory.
MAX_ROW_COUNT = 5_000_000
_NS = 1e-9
_KERNEL_TABLE = "CUPTI_ACTIVITY_KIND_KERNEL"
# (table, statement); every row is start, end, name, bytes.
_DEVICE = (
    (
        _KERNEL_TABLE,
        "select k.start, k.end, coalesce(d.value, s.value, ''), 0 from CUPTI_ACTIVITY_KIND_KERNEL k "
        "left join StringIds d on d.id = k.demangledName left join StringIds s on s.id = k.shortName",
    ),
    (
        "CUPTI_ACTIVITY_KIND_MEMCPY",
        "select start, end, case copyKind when 1 then '[memcpy host to device]' when 2 then '[memcpy device to host]' "
        "when 8 then '[memcpy device to device]' else '[memcpy]' end, bytes from CUPTI_ACTIVITY_KIND_MEMCPY",
    ),
    ("CUPTI_ACTIVITY_KIND_MEMSET", "select start, end, '[memset]', bytes from CUPTI_ACTIVITY_KIND_MEMSET"),
)
_CALLS = (
    (
        "CUPTI_ACTIVITY_KIND_RUNTIME",
        "select r.start, r.end, coalesce(s.value, ''), 0 from CUPTI_ACTIVITY_KIND_RUNTIME r "
        "left join StringIds s on s.id = r.nameId",
    ),
)
# Marks have no end.
_RANGES = (
    (
        "NVTX_EVENTS",
        "select n.start, n.end, coalesce(n.text, s.value, ''), 0 from NVTX_EVENTS n "
        "left join StringIds s on s.id = n.textId where n.end is not null",
    ),
)


@dataclasses.dataclass(frozen=True)
class NsysExport:
    """
    One export of nsys.

    Every table has ``name``, ``start_sec``, ``end_sec``, ``duration_sec`` and ``moved_bytes``, by start, counted from
    the earliest of all. ``device`` holds kernels, copies and fills, ``calls`` what the host called of CUDA, ``ranges``
    NVTX ranges.
    """

    schema_version: str
    product_version: str
    device: pd.DataFrame
    calls: pd.DataFrame
    ranges: pd.DataFrame


def read_nsys(path: Path) -> NsysExport:
    """
    Read an export of nsys.

    Args:
        path: An ``.sqlite`` file.

    Raises:
        DataError: If it is missing, no export, of a schema that nobody has read yet, too large, without kernels, or
            holds times that are none.
    """
    if not path.is_file():
        raise DataError(f"the export {path} does not exist; run nsys with --export=sqlite.")
    try:
        with contextlib.closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as connection:
            names = {name for (name,) in connection.execute("select name from sqlite_master where type = 'table'")}
            schema, product = _versions(path, connection, names)
            found = [_rows(path, connection, names, sources) for sources in (_DEVICE, _CALLS, _RANGES)]
    except sqlite3.Error as error:
        raise DataError(f"the export {path} cannot be read ({error}); export it again.") from error
    zero_ns = min(row[0] for rows in found for row in rows)
    return NsysExport(schema, product, *(_table(rows, zero_ns) for rows in found))


def _versions(path: Path, connection: sqlite3.Connection, names: Collection[str]) -> tuple[str, str]:
    if "META_DATA_EXPORT" not in names:
        raise DataError(f"{path} is no export of nsys, it has no META_DATA_EXPORT; export it with --type sqlite.")
    found = {str(name): str(value) for name, value in connection.execute("select name, value from META_DATA_EXPORT")}
    version = found.get("EXPORT_SCHEMA_VERSION", found.get("EXPORT_SCHEMA_VERSION_MAJOR", "unknown"))
    if version.split(".")[0] not in KNOWN_SCHEMA_MAJORS:
        raise DataError(
            f"{path} has the export schema {version}, and the known major versions are "
            f"{' and '.join(KNOWN_SCHEMA_MAJORS)}; export the .nsys-rep file again with an nsys that writes one, as "
            "2024 to 2026.1 do."
        )
    for name in ("StringIds", _KERNEL_TABLE):
        if name not in names:
            raise DataError(
                f"the export {path} has no table {name}, so no kernel was seen; let the program run on a GPU and "
                "record it with --trace=cuda,nvtx."
            )
    return version, found.get("EXPORT_PRODUCT_VERSION", "unknown")


def _rows(
    path: Path, connection: sqlite3.Connection, names: Collection[str], sources: tuple[tuple[str, str], ...]
) -> list[tuple[int, int, str, int]]:
    rows: list[tuple[int, int, str, int]] = []
    for table, statement in sources:
        if table not in names:
            continue
        rows += connection.execute(f"{statement} limit {MAX_ROW_COUNT + 1}").fetchall()
        if len(rows) > MAX_ROW_COUNT:
            raise DataError(f"the export {path} has more than {MAX_ROW_COUNT:,} rows of {table}; record fewer steps.")
        if table == _KERNEL_TABLE and not rows:
            raise DataError(f"the export {path} holds no kernel; let the program run on a GPU.")
    for start_ns, end_ns, name, size_bytes in rows:
        if not all(isinstance(one, int) for one in (start_ns, end_ns, size_bytes)) or end_ns < start_ns:
            raise DataError(f"the export {path} says that `{name}` ran from {start_ns} to {end_ns}; export it again.")
    return rows


def _table(rows: list[tuple[int, int, str, int]], zero_ns: int) -> pd.DataFrame:
    # Differences of whole numbers first: nanoseconds since the start of a machine do not fit a float. Ends stand beside
    # durations, so that what ends where the next begins still does in floats.
    return pd.DataFrame(
        [
            (str(name), (start - zero_ns) * _NS, (end - zero_ns) * _NS, (end - start) * _NS, moved)
            for start, end, name, moved in sorted(rows)
        ],
        columns=["name", "start_sec", "end_sec", "duration_sec", "moved_bytes"],
    )
