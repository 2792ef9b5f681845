"""
Opening the database: its address, its settings, its schema, and the sentences for what can go wrong.

SQLite keeps a write-ahead log, so that readers never wait for a writer, and syncs it with every commit: what was
acknowledged survives. A schema that is older is brought up to date by alembic, under a lock; a newer one is refused.
"""

import contextlib
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, column, create_engine, event, inspect, make_url, select, table, text
from sqlalchemy.engine import URL
from sqlalchemy.exc import ArgumentError, NoSuchModuleError, OperationalError, SQLAlchemyError

from perflib import project
from perflib.errors import DataError, ParameterError, PerflibError, SetupError

URL_VARIABLE = "PERFLIB_HISTORY_URL"
WAIT_SEC = 30.0
# The newest migration; `migrations/versions` holds the way to it.
SCHEMA = "0002"
_VERSION_TABLE = "schema_version"
_ADVISORY_LOCK = 7_263_414


def default_url() -> str:
    """Return the address of the history: ``PERFLIB_HISTORY_URL``, or SQLite in the outputs."""
    return os.environ.get(URL_VARIABLE) or f"sqlite:///{project.outputs_dir() / 'history' / 'history.sqlite'}"


def open_engine(address: str, *, wait_sec: float = WAIT_SEC) -> Engine:
    """
    Connect, and bring the schema up to date.

    Args:
        address: Of SQLAlchemy.
        wait_sec: How long to wait for another writer.

    Raises:
        ParameterError: If the address cannot be read.
        SetupError: If the database cannot be reached or written, or its driver is not installed.
        DataError: If the file is no history, is damaged, or was written by a newer perflib.
    """
    try:
        url = make_url(address)
    except ArgumentError:
        raise ParameterError(
            f"the address of the history in {URL_VARIABLE} cannot be read; write it as sqlite:////folder/file or "
            "postgresql+psycopg://user@host/name."
        ) from None
    engine = _sqlite(url, wait_sec) if url.get_backend_name() == "sqlite" else _server(url)
    with translated(engine):
        _bring_up_to_date(engine)
    return engine


@contextlib.contextmanager
def translated(engine: Engine) -> Iterator[None]:
    """Turn what the database says into one sentence; passwords in its address are left out."""
    where = engine.url.render_as_string(hide_password=True)
    try:
        yield
    except PerflibError:
        raise
    except SQLAlchemyError as error:
        raise _said(error, where) from error


def _said(error: SQLAlchemyError, where: str) -> PerflibError:
    original = getattr(error, "orig", None)
    words = " ".join(str(original or error).split())[:200]
    code = getattr(original, "sqlite_errorcode", None)
    # The lower byte is the kind; what stands above it says where it happened.
    kind = None if code is None else code & 0xFF
    if kind in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
        return DataError(
            f"the history {where} is damaged ({words}); put the file aside and take the past from where it was pushed "
            "or exported."
        )
    if kind in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return SetupError(f"the history {where} is locked by another program ({words}); wait for it to end.")
    if kind == sqlite3.SQLITE_FULL:
        return SetupError(f"the disk of the history {where} is full; free space, nothing was half-written.")
    if kind in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM, sqlite3.SQLITE_IOERR):
        return SetupError(f"the history {where} cannot be written ({words}); make its folder writable.")
    if isinstance(error, OperationalError):
        return SetupError(f"the history {where} cannot be reached ({words}); see that its server runs.")
    return DataError(f"the history {where} refused ({words}); see `perflib history verify`.")


def _sqlite(url: URL, wait_sec: float) -> Engine:
    if url.database and url.database != ":memory:":
        _prepare_file(Path(url.database))
    engine = create_engine(url, connect_args={"timeout": wait_sec})

    @event.listens_for(engine, "connect")
    def _settings(connection: Any, _: Any) -> None:
        # Transactions are begun by us, at once for writing: sqlite3 would begin them late and fail to upgrade a lock.
        connection.isolation_level = None
        cursor = connection.cursor()
        for setting in ("journal_mode=WAL", "synchronous=FULL", f"busy_timeout={round(1000 * wait_sec)}"):
            cursor.execute(f"PRAGMA {setting}")
        cursor.close()

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        is_reading = connection.get_execution_options().get("is_reading", False)
        connection.exec_driver_sql("BEGIN" if is_reading else "BEGIN IMMEDIATE")

    return engine


def _prepare_file(path: Path) -> None:
    """Make the folder; refuse a file that was emptied, which SQLite would take for a new database."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        is_emptied = path.is_file() and not path.stat().st_size and not path.with_name(f"{path.name}-wal").exists()
    except OSError as error:
        raise SetupError(
            f"the history's folder {path.parent} cannot be made ({error.strerror}); choose a writable one."
        ) from error
    if is_emptied and not _is_being_made(path):
        raise DataError(
            f"the history {path} is an empty file; put it aside and take the past from where it was pushed or exported."
        )


def _is_being_made(path: Path) -> bool:
    """Say whether another process makes the file at this moment: it holds the lock meanwhile."""
    from filelock import FileLock, Timeout

    lock = FileLock(_lock_path(path))
    try:
        with lock.acquire(timeout=WAIT_SEC):
            return bool(path.is_file() and path.stat().st_size)
    except (Timeout, OSError):
        return True


def _lock_path(path: Path) -> Path:
    return path.with_name(f".{path.name}.lock")


def _server(url: URL) -> Engine:
    try:
        return create_engine(url, pool_pre_ping=True)
    except NoSuchModuleError:
        raise ParameterError(
            f"no database is called `{url.get_backend_name()}`; a history lies in sqlite or postgresql+psycopg."
        ) from None
    except ImportError as error:
        raise SetupError(
            f"the driver of {url.get_backend_name()} is not installed ({error.name}); install perflib[postgres]."
        ) from None


def _bring_up_to_date(engine: Engine) -> None:
    if _schema(engine) == SCHEMA:
        return
    with _alone(engine):
        found = _schema(engine)
        if found is not None and found > SCHEMA:
            raise DataError(
                f"the history {engine.url.render_as_string(hide_password=True)} was written by a newer perflib (schema "
                f"{found}, this one knows {SCHEMA}); upgrade perflib."
            )
        if found != SCHEMA:
            from perflib.regression.history.migrations.upgrade import upgrade

            upgrade(engine, version_table=_VERSION_TABLE)


def _schema(engine: Engine) -> str | None:
    """Return the schema of the database; None for a new one."""
    with engine.connect().execution_options(is_reading=True) as connection:
        if _VERSION_TABLE not in inspect(connection).get_table_names():
            return None
        found = connection.execute(select(column("version_num")).select_from(table(_VERSION_TABLE))).scalar()
        return None if found is None else str(found)


@contextlib.contextmanager
def _alone(engine: Engine) -> Iterator[None]:
    """Let one process at a time change the schema."""
    if engine.url.get_backend_name() == "sqlite":
        from filelock import FileLock

        if not engine.url.database or engine.url.database == ":memory:":
            yield
            return
        try:
            with FileLock(_lock_path(Path(engine.url.database)), timeout=WAIT_SEC):
                yield
        except OSError as error:
            raise SetupError(
                f"the history's folder {Path(engine.url.database).parent} cannot be written ({error.strerror}); make "
                "it writable."
            ) from error
        return
    with engine.connect() as connection:
        connection.execute(text("SELECT pg_advisory_lock(:key)"), {"key": _ADVISORY_LOCK})
        try:
            yield
        finally:
            connection.execute(text("SELECT pg_advisory_unlock(:key)"), {"key": _ADVISORY_LOCK})
