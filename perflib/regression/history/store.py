"""
The history: append what a run measured, read a series, remember what was good, keep documents.

    with open_history() as history:
        history.append(points)
        history.series(points[0].key)

An append is one transaction: all results of a run or none. What is read is checked against its digest.
"""

import contextlib
import datetime
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, Engine, Select, delete, func, insert, select
from sqlalchemy.exc import IntegrityError
from ulid import ULID

from perflib.errors import DataError
from perflib.regression.history.contents import (
    document_of,
    document_row,
    good_of,
    good_sha256,
    insert_good,
    replace_document,
)
from perflib.regression.history.opening import WAIT_SEC, default_url, open_engine
from perflib.regression.history.rows import by_run, check_point, check_ulid, fields_of, insert_rows, points_of
from perflib.regression.history.tables import KEY_FIELDS, document, good, result
from perflib.regression.history.trouble import translated
from perflib.results.history import Good, HistoryPoint, SeriesKey

Document = dict[str, Any]
Now = Callable[[], datetime.datetime]


def _utc_now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)


def open_history(url: str | None = None, *, wait_sec: float = WAIT_SEC, now: Now = _utc_now) -> "History":
    """
    Open the history, making it where there is none.

    Args:
        url: Of SQLAlchemy; None for `opening.default_url`.
        wait_sec: How long to wait for another writer.
        now: The present, which says whether the clock was set back.

    Raises:
        ParameterError: If the address cannot be read.
        SetupError: If it cannot be reached or written.
        DataError: If it is damaged, or was written by a newer perflib.
    """
    return History(open_engine(url or default_url(), wait_sec=wait_sec), now=now)


class History:
    """One opened history; close it, or use it as a context. Methods raise `DataError` and `SetupError` as it opens."""

    def __init__(self, engine: Engine, *, now: Now = _utc_now) -> None:
        self.engine, self._now = engine, now

    def __enter__(self) -> "History":
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the database."""
        self.engine.dispose()

    # --- results ------------------------------------------------------------------------------------------------

    def append(self, points: Sequence[HistoryPoint]) -> int:
        """
        Add the results of a run; what is there already, with the same content, is left as it is.

        Returns:
            How many were new.

        Raises:
            DataError: If a value is no number that its metric can have, a unit is another than its metric's, or a
                result of this run is there with another value. Nothing is written then.
        """
        for point in points:
            check_point(point)
        with self.writing() as connection:
            return sum(self._append_run(connection, of_run) for of_run in by_run(points))

    def _append_run(self, connection: Connection, points: Sequence[HistoryPoint]) -> int:
        first = points[0]
        order = self._place(connection, first.run_ulid, among=[result.c.host_id == first.host_id])
        return insert_rows(connection, [{**fields_of(point), "order_ulid": order} for point in points])

    def _place(self, connection: Connection, run_ulid: str, *, among: Sequence[ColumnElement[bool]]) -> str:
        """
        Return where a run stands in the order lived: at its ulid, unless the clock was set back.

        Then it stands right behind the newest of these rows.
        """
        known = connection.scalar(select(func.max(result.c.order_ulid)).where(result.c.run_ulid == run_ulid))
        if known is not None:
            return str(known)
        newest = connection.scalar(select(func.max(result.c.order_ulid)).where(*among))
        if newest is None or run_ulid > newest:
            return run_ulid
        # A run of yesterday that is added today has its own place; a run "of yesterday" in a clock's future has not.
        last = check_ulid(newest, "the newest result of the history")
        return run_ulid if self._now() >= last.datetime else str(ULID.from_int(int(last) + 1))

    def series(
        self,
        key: SeriesKey,
        *,
        last_count: int | None = 512,
        before_run_ulid: str | None = None,
        with_marked: bool = True,
    ) -> list[HistoryPoint]:
        """
        Return the points of a series, oldest first.

        Args:
            key: Its name.
            last_count: At most so many of the newest; None for all.
            before_run_ulid: Only runs before this one, in the order lived; one that is not there yet comes last.
            with_marked: Whether points that are no baseline are returned too.
        """
        among = [result.c[name] == getattr(key, name) for name in KEY_FIELDS]
        asked = select(result).where(*among)
        if not with_marked:
            asked = asked.where(result.c.mark.is_(None))
        asked = asked.order_by(result.c.order_ulid.desc(), result.c.id.desc()).limit(last_count)
        return self._points(asked, before_run_ulid, among)[::-1]

    def keys(self, *, hardware_class: str | None = None, workload: str | None = None) -> list[SeriesKey]:
        """Return the name of every series, sorted."""
        asked = select(*(result.c[name] for name in KEY_FIELDS)).distinct()
        if hardware_class is not None:
            asked = asked.where(result.c.hardware_class == hardware_class)
        if workload is not None:
            asked = asked.where(result.c.workload == workload)
        with self.reading() as connection:
            rows = [tuple(row) for row in connection.execute(asked)]
        if not all(isinstance(word, str) for row in rows for word in row):
            raise DataError("the name of a series was changed after it was written; see `perflib history verify`.")
        return sorted(SeriesKey(*row) for row in rows)

    def run_points(self, run_ulid: str) -> list[HistoryPoint]:
        """Return every result of a run."""
        return self._points(select(result).where(result.c.run_ulid == run_ulid).order_by(result.c.id))

    def newest_run_ulid(self, hardware_class: str, workload: str, *, before: str | None = None) -> str | None:
        """Return the newest run of a workload on a hardware class, perhaps before another; None if there is none."""
        among = [result.c.hardware_class == hardware_class, result.c.workload == workload]
        asked = select(result).where(*among).order_by(result.c.order_ulid.desc()).limit(1)
        found = self._points(asked, before, among)
        return found[0].run_ulid if found else None

    def count(self) -> int:
        """Return how many results there are."""
        with self.reading() as connection:
            return int(connection.scalar(select(func.count()).select_from(result)) or 0)

    def _points(
        self, asked: Select[Any], before: str | None = None, among: Sequence[ColumnElement[bool]] = ()
    ) -> list[HistoryPoint]:
        with self.reading() as connection:
            if before is not None:
                asked = asked.where(result.c.order_ulid < self._place(connection, before, among=among))
            rows = connection.execute(asked).mappings().all()
        return points_of(rows)

    # --- what was good ------------------------------------------------------------------------------------------

    def put_good(self, one: Good) -> None:
        """Remember a good run; the same one twice is one."""
        with self.writing() as connection:
            insert_good(connection, one)

    def goods(
        self, workload: str | None = None, candidate: str | None = None, hardware_class: str | None = None
    ) -> list[Good]:
        """Return the good runs, perhaps only some, oldest first."""
        asked = select(good).order_by(good.c.run_ulid, good.c.content_sha256)
        for column, wanted in ((good.c.workload, workload), (good.c.candidate, candidate)):
            asked = asked if wanted is None else asked.where(column == wanted)
        if hardware_class is not None:
            asked = asked.where(good.c.hardware_class == hardware_class)
        with self.reading() as connection:
            rows = connection.execute(asked).mappings().all()
        return [good_of(row) for row in rows]

    def drop_good(self, one: Good) -> None:
        """Forget a good run."""
        with self.writing() as connection:
            connection.execute(delete(good).where(good.c.content_sha256 == good_sha256(one)))

    # --- documents ----------------------------------------------------------------------------------------------

    def put_document(self, kind: str, ulid: str, data: Document) -> None:
        """File a new document; `DataError`, and the old one stays, where the ulid is taken."""
        try:
            with self.writing() as connection:
                connection.execute(insert(document), [document_row(kind, ulid, 1, data)])
        except DataError as error:
            if isinstance(error.__cause__, IntegrityError):
                raise DataError(f"{kind} {ulid} is filed already; change the one that is there.") from error
            raise

    def documents(self, kind: str) -> list[Document]:
        """Return every document of a kind, in the order of their ulids."""
        with self.reading() as connection:
            rows = connection.execute(select(document).where(document.c.kind == kind).order_by(document.c.ulid))
            return [document_of(row) for row in rows.mappings()]

    def document(self, kind: str, ulid: str) -> Document | None:
        """Return one document; None if there is none."""
        with self.reading() as connection:
            row = connection.execute(_one(kind, ulid)).mappings().first()
        return None if row is None else document_of(row)

    def update_document(self, kind: str, ulid: str, change: Callable[[Document], Document]) -> Document:
        """
        Read, change and write one document in a single transaction.

        Raises:
            DataError: If there is no such document; what ``change`` raises leaves the old one.
        """
        with self.writing() as connection:
            row = connection.execute(_one(kind, ulid).with_for_update()).mappings().first()
            if row is None:
                raise DataError(f"there is no {kind} {ulid} to change; file it first.")
            changed = change(document_of(row))
            written = document_row(kind, ulid, row["revision"] + 1, changed)
            if written["content"] != row["content"]:
                replace_document(connection, written)
        return changed

    # --- connections --------------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def writing(self) -> Iterator[Connection]:
        """Lend a connection inside one transaction; nobody else writes meanwhile."""
        with translated(self.engine), self.engine.begin() as connection:
            yield connection

    @contextlib.contextmanager
    def reading(self) -> Iterator[Connection]:
        """Lend a connection for reading; it waits for no writer."""
        with translated(self.engine), self.engine.connect().execution_options(is_reading=True) as connection:
            yield connection


def _one(kind: str, ulid: str) -> Select[Any]:
    return select(document).where(document.c.kind == kind, document.c.ulid == ulid)
