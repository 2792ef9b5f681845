"""A history as a file: all results as Parquet or CSV, with their digests, out and in again."""

import csv
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from perflib.errors import DataError, ParameterError
from perflib.records import write_bytes, write_parquet
from perflib.regression.history.rows import (
    OPTIONAL,
    Row,
    check_point,
    check_row,
    check_ulid,
    fields_of,
    insert_rows,
    points_of,
)
from perflib.regression.history.store import History
from perflib.regression.history.tables import POINT_FIELDS, result

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = (*POINT_FIELDS, "order_ulid", "content_sha256")
_SUFFIXES = (".parquet", ".csv")


def export_history(history: History, path: Path) -> Path:
    """
    Write every result to a file, whole or not at all.

    Raises:
        ParameterError: If the file's name ends in neither ``.parquet`` nor ``.csv``.
        DataError: If a row is damaged, or the file cannot be written.
    """
    check_suffix(path)
    return write_frame(frame_of(rows_of(history)), path)


def import_history(history: History, path: Path) -> int:
    """
    Add the results of a file and return how many were new; all of them are checked before any is written.

    Raises:
        ParameterError: If the file's name ends otherwise.
        DataError: If it cannot be read, has other columns, or a row is not what it was when it was written.
    """
    check_suffix(path)
    return add_rows(history, read_rows(path))


def rows_of(history: History, *, without: Iterable[str] = ()) -> list[Row]:
    """Return every checked row, in the order lived; those with a known digest left out."""
    known = frozenset(without)
    asked = select(*(result.c[name] for name in COLUMNS)).order_by(result.c.order_ulid, result.c.id)
    with history.reading() as connection:
        rows = [dict(row) for row in connection.execute(asked).mappings()]
    for row in rows:
        check_row(row)
    return [row for row in rows if row["content_sha256"] not in known]


def add_rows(history: History, rows: list[Row]) -> int:
    """Write checked rows at their own places in the order; return how many were new."""
    bare: list[Row] = []
    for point, row in zip(points_of(rows), rows, strict=True):
        check_point(point)
        check_ulid(row["order_ulid"], f"the place of run {point.run_id}")
        # As an append writes it: a whole number in a file becomes a float, and its digest that of the float.
        bare.append({**fields_of(point), "order_ulid": row["order_ulid"]})
    with history.writing() as connection:
        return insert_rows(connection, bare)


def frame_of(rows: list[Row]) -> "pd.DataFrame":
    """Return rows as a table of the exported columns."""
    import pandas as pd

    return pd.DataFrame(rows, columns=list(COLUMNS))


def write_frame(frame: "pd.DataFrame", path: Path) -> Path:
    """Write a table as its file's name says."""
    if path.suffix == ".parquet":
        return write_parquet(path, frame)
    # 17 digits bring every float back as it was; quotes keep any line break inside its field.
    write_bytes(path, frame.to_csv(index=False, float_format="%.17g", quoting=csv.QUOTE_NONNUMERIC).encode())
    return path


def read_rows(path: Path) -> list[Row]:
    """Read a file's rows, without judging them; `DataError` if it is no such file."""
    import pandas as pd

    try:
        texts: dict[str, Any] = dict.fromkeys(COLUMNS, str) | {"value": float}
        frame = (
            pd.read_parquet(path)
            if path.suffix == ".parquet"
            else pd.read_csv(path, dtype=texts, keep_default_na=False, float_precision="round_trip")
        )
    except (OSError, ValueError, TypeError, KeyError, RuntimeError) as error:
        reason = " ".join(str(error).split())[:120]
        raise DataError(f"{path} cannot be read as a history ({reason}); export it again.") from error
    if set(frame.columns) != set(COLUMNS):
        other = sorted(set(frame.columns) ^ set(COLUMNS))
        raise DataError(
            f"{path} has not the columns of a history (differing: {', '.join(other[:5])}); export it again."
        )
    return [_plain({str(name): value for name, value in row.items()}) for row in frame.to_dict("records")]


def check_suffix(path: Path) -> None:
    """Raise `ParameterError` for a name that says no known format."""
    if path.suffix not in _SUFFIXES:
        raise ParameterError(f"{path} ends in neither {' nor '.join(_SUFFIXES)}; name the file so.")


def _plain(row: Row) -> Row:
    """Give absent values back their None: Parquet reads them as NaN, CSV as empty text."""
    empty = {name: None for name in OPTIONAL if row[name] == "" or row[name] is None or row[name] != row[name]}
    return {**row, **empty}
