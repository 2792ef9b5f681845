"""
Opening the database: its address, its settings and its schema.

SQLite keeps a write-ahead log, so that readers never wait for a writer, and syncs it with every commit: what was
acknowledged survives. PostgreSQL gets one writer at a time as well, so that both behave the same. A schema that is
older is brought up to date by alembic, under a lock; a newer one is refused.
"""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, column, create_engine, event, inspect, make_url, select, table, text
from sqlalchemy.engine import URL
from sqlalchemy.exc import ArgumentError, NoSuchModuleError

from perflib import project
from perflib.errors import DataError, ParameterError, SetupError
from perflib.regression.history.tables import metadata
from perflib.regression.history.trouble import shown, translated

URL_VARIABLE = "PERFLIB_HISTORY_URL"
WAIT_SEC = 30.0
# Every migration, oldest first; `migrations/versions` holds the way from each to the next.
SCHEMAS = ("0001", "0002")
_VERSION_TABLE = "schema_version"
_SCHEMA_LOCK, _WRITING_LOCK = 7_263_414, 7_263_415
_REACH_SEC = 10


def default_url() -> str:
    """Return the address of the history: ``PERFLIB_HISTORY_URL``, or SQLite in the outputs."""
    return os.environ.get(URL_VARIABLE) or f"sqlite:///{project.outputs_dir() / 'history' / 'history.sqlite'}"


def open_engine(address: str, *, wait_sec: float = WAIT_SEC) -> Engine:
    """
    Connect, and bring the schema up to date.

    A file of no bytes is refused, because SQLite would take it for a new database: ours is never empty, so it was
    emptied. A new one is made under the lock beside it.

    Args:
        address: Of SQLAlchemy.
        wait_sec: How long to wait for another writer.

    Raises:
        ParameterError: If the address cannot be read, or is none of SQLite or PostgreSQL.
        SetupError: If the database cannot be reached or written, is locked, or its driver is not installed.
        DataError: If the file is no history, is damaged, or was written by a newer perflib.
    """
    url = _read_address(address)
    engine = _sqlite(url, wait_sec) if url.get_backend_name() == "sqlite" else _server(url, wait_sec)
    try:
        with translated(engine):
            _bring_up_to_date(engine, wait_sec)
    except BaseException:
        engine.dispose()
        raise
    return engine


def _read_address(address: str) -> URL:
    try:
        url = make_url(address)
    except (ArgumentError, ValueError):
        # The address may hold a password, so it is not repeated.
        raise ParameterError(
            f"the address of the history cannot be read; write it, or {URL_VARIABLE}, as sqlite:////folder/file or "
            "postgresql+psycopg://user@host/name."
        ) from None
    if url.get_backend_name() not in ("sqlite", "postgresql"):
        raise ParameterError(
            f"a history cannot lie in `{url.get_backend_name()}`; it lies in sqlite or postgresql+psycopg."
        )
    return url


def _connecting(url: URL, **options: Any) -> Engine:
    try:
        return create_engine(url, **options)
    except NoSuchModuleError:
        raise ParameterError(
            f"no driver is called `{url.drivername}`; a history lies in sqlite or postgresql+psycopg."
        ) from None
    except ImportError as error:
        raise SetupError(
            f"the driver of {url.drivername} is not installed ({error.name}); install perflib[postgres]."
        ) from None


def _sqlite(url: URL, wait_sec: float) -> Engine:
    engine = _connecting(url, connect_args={"timeout": wait_sec})

    @event.listens_for(engine, "connect")
    def _settings(connection: Any, _: Any) -> None:
        # Transactions are begun by us, at once for writing: sqlite3 would begin them late and fail to upgrade a lock.
        connection.isolation_level = None
        cursor = connection.cursor()
        for setting in (f"busy_timeout={round(1000 * wait_sec)}", "journal_mode=WAL", "synchronous=FULL"):
            cursor.execute(f"PRAGMA {setting}")
        cursor.close()

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN" if _is_reading(connection) else "BEGIN IMMEDIATE")

    return engine


def _server(url: URL, wait_sec: float) -> Engine:
    engine = _connecting(url, pool_pre_ping=True, connect_args={"connect_timeout": _REACH_SEC})

    @event.listens_for(engine, "connect")
    def _settings(connection: Any, _: Any) -> None:
        cursor = connection.cursor()
        cursor.execute(f"SET lock_timeout = {round(1000 * wait_sec)}")
        cursor.close()
        connection.commit()

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        if _is_reading(connection):
            # Several statements see one moment, or a reader would take an append between them for damage.
            connection.exec_driver_sql("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
        else:
            # Two appends to one run would each write a digest of the run without the other's rows.
            connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_WRITING_LOCK})")

    return engine


def _is_reading(connection: Connection) -> bool:
    return bool(connection.get_execution_options().get("is_reading", False))


def _file(engine: Engine) -> Path | None:
    """Return the file of a database that has one."""
    name = engine.url.database
    is_file = engine.url.get_backend_name() == "sqlite" and name not in (None, "", ":memory:")
    return Path(str(name)) if is_file else None


def _bring_up_to_date(engine: Engine, wait_sec: float) -> None:
    path = _file(engine)
    if (path is None or _size_bytes(path)) and _schema(engine) == SCHEMAS[-1]:
        return
    with _alone(engine, wait_sec), _made_whole(path):
        found = _schema(engine)
        if found != SCHEMAS[-1]:
            _check_schema(engine, found)
            from perflib.regression.history.migrations.upgrade import upgrade

            upgrade(engine, version_table=_VERSION_TABLE)


@contextlib.contextmanager
def _made_whole(path: Path | None) -> Iterator[None]:
    """Refuse a file that was emptied or taken away, and leave none behind if a new one cannot be made."""
    is_new = path is not None and not path.exists()
    if path is not None and not _size_bytes(path):
        # With an empty file, or none, SQLite would throw the log away as well.
        log = path.with_name(f"{path.name}-wal")
        if not is_new or _size_bytes(log):
            what = "is missing beside its log" if is_new else "is an empty file"
            raise DataError(
                f"the history {path} {what}; put what is left aside and take the past from where it was pushed or "
                "exported."
            )
    try:
        yield
    except BaseException:
        if path is not None and is_new and path.exists() and not _size_bytes(path):
            path.unlink()
        raise


def _size_bytes(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _schema(engine: Engine) -> str | None:
    """Return the schema of the database; None for a new one, `DataError` for one that is not ours."""
    with engine.connect().execution_options(is_reading=True) as connection:
        names = set(inspect(connection).get_table_names())
        found = None
        if _VERSION_TABLE in names:
            found = connection.scalar(select(column("version_num")).select_from(table(_VERSION_TABLE)))
    ours = names if engine.url.get_backend_name() == "sqlite" else names & set(metadata.tables)
    if found is None and ours - {_VERSION_TABLE}:
        raise DataError(
            f"{shown(engine.url)} has tables and no number of a history's schema; it is damaged or no history, give "
            "the history a database of its own."
        )
    return None if found is None else str(found)


def _check_schema(engine: Engine, found: str | None) -> None:
    if found is not None and found not in SCHEMAS:
        raise DataError(
            f"the history {shown(engine.url)} was written by a newer perflib (schema {found}, this one knows "
            f"{SCHEMAS[-1]}); upgrade perflib."
        )


@contextlib.contextmanager
def _alone(engine: Engine, wait_sec: float) -> Iterator[None]:
    """Let one process at a time make a database or change its schema."""
    path = _file(engine)
    if path is not None:
        lock = _held(path, wait_sec)
        try:
            yield
        finally:
            lock.release()
    elif engine.url.get_backend_name() == "sqlite":
        yield
    else:
        # Reading, because the migration, in another connection, takes the lock of writers.
        with engine.connect().execution_options(is_reading=True) as connection:
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _SCHEMA_LOCK})
            yield


def _held(path: Path, wait_sec: float) -> Any:
    from filelock import FileLock, Timeout

    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(path.with_name(f".{path.name}.lock"), timeout=wait_sec)
        lock.acquire()
    except Timeout:
        raise SetupError(
            f"another process has worked on the schema of {path} for {wait_sec:g} s; wait for it to end."
        ) from None
    except OSError as error:
        raise SetupError(
            f"the history's folder {path.parent} cannot be written ({error.strerror}); make it writable or choose "
            "another one."
        ) from error
    return lock
