"""Is the history still what was written? Every row, every run's digest, and the database itself."""

import itertools
from collections.abc import Callable, Iterator
from typing import Any

from sqlalchemy import Connection, Table, select, text

from perflib.errors import PerflibError
from perflib.progress import Progress
from perflib.regression.history.contents import document_of, good_of
from perflib.regression.history.rows import AnyRow, check_row
from perflib.regression.history.store import History
from perflib.regression.history.tables import append_log, document, good, result, rows_sha256

_AT_ONCE_COUNT = 10_000


def verify_history(history: History) -> list[str]:
    """
    Check everything and return each problem as one sentence; an empty list is a sound history.

    Raises:
        DataError: If the database is so damaged that it cannot be read.
    """
    count = history.count()
    with history.reading() as connection:
        if history.engine.url.get_backend_name() == "sqlite":
            words = [str(row[0]) for row in connection.execute(text("PRAGMA integrity_check"))]
            if words != ["ok"]:
                return [f"the database file is damaged: {word}." for word in words]
        return [
            *_results(connection, count),
            *_contents(connection, good, good_of),
            *_contents(connection, document, document_of),
        ]


def _results(connection: Connection, count: int) -> Iterator[str]:
    """Compare every row with its digest, and the rows of every run with the run's."""
    logged = {row.run_ulid: (row.row_count, row.rows_sha256) for row in connection.execute(select(append_log))}
    asked = select(result).order_by(result.c.run_ulid)
    rows = connection.execute(asked, execution_options={"yield_per": _AT_ONCE_COUNT}).mappings()
    with Progress("verifying", max(count, 1)) as bar:
        for run_ulid, of_run in itertools.groupby(rows, key=lambda row: row["run_ulid"]):
            digests: list[str] = []
            for row in of_run:
                digests.append(str(row["content_sha256"]))
                yield from _problem(check_row, row)
            bar.step(count=len(digests))
            expected = logged.pop(run_ulid, None)
            if expected is None:
                yield f"run {run_ulid} has {len(digests)} results that nobody appended."
            elif expected != (len(digests), rows_sha256(digests)):
                yield f"run {run_ulid} was appended with {expected[0]} results and has {len(digests)} others now."
    for run_ulid, (row_count, _) in logged.items():
        yield f"run {run_ulid} was appended with {row_count} results and has none now."


def _contents(connection: Connection, table: Table, check: Callable[[AnyRow], Any]) -> Iterator[str]:
    for row in connection.execute(select(table)).mappings():
        yield from _problem(check, row)


def _problem(check: Callable[[AnyRow], Any], row: AnyRow) -> Iterator[str]:
    try:
        check(row)
    except PerflibError as error:
        yield str(error)
