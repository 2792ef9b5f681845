"""
The history on a real PostgreSQL, which this module starts itself: the promises of `history_battery`, and its own.

The server listens on a socket in a folder of its own and on no port. It runs as an unprivileged user, because it
refuses to run as root.
"""

import os
import pwd
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

from perflib.errors import DataError, SetupError
from perflib.regression.history.exchange import export_history, import_history, rows_of
from perflib.regression.history.migrations.upgrade import upgrade
from perflib.regression.history.store import open_history
from perflib.regression.history.verify import verify_history
from tests import history_battery
from tests.history_writer import points_of_run, start_writer
from tests.synthetic_history import make_points, make_series, run_ulid
from tests.test_kept import make_good

PASSWORD = "s3cret-word"
_NUMBERS = count()


def _programs() -> Path | None:
    """Return the folder of the server's programs; None where there is none."""
    found = shutil.which("initdb")
    if found:
        return Path(found).parent
    versions = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name.split(".")[0]))
    return versions[-1] if versions and (versions[-1] / "initdb").is_file() else None


def _user() -> list[str] | None:
    """Return what runs a command as an unprivileged user; None if nothing can."""
    if os.geteuid() != 0:
        return []
    try:
        one = pwd.getpwnam("postgres")
    except KeyError:
        one = pwd.getpwnam("nobody")
    command = shutil.which("setpriv")
    return [command, f"--reuid={one.pw_uid}", f"--regid={one.pw_gid}", "--clear-groups"] if command else None


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """Start a server for this module and return its address without a database."""
    pytest.importorskip("psycopg", reason="the driver of PostgreSQL is not installed")
    programs, user = _programs(), _user()
    if programs is None or user is None:
        pytest.skip("no PostgreSQL server is installed that could be started here")
    # A socket's path may have some 100 characters, and every folder above must let the other user through.
    folder = Path(tempfile.mkdtemp(prefix="perflib-pg-"))
    folder.chmod(0o777)
    # What a killed server leaves is never read again, so nothing has to be synced.
    options = f"-c listen_addresses='' -c unix_socket_directories={folder} -c fsync=off -c shared_buffers=16MB"

    def do(program: str, *arguments: str) -> None:
        command = [*user, str(programs / program), "-D", str(folder / "data"), *arguments]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stdout + done.stderr

    try:
        do("initdb", "-U", "perflib", "--auth=trust", "--no-sync", "-E", "UTF8", "--locale=C.UTF-8")
        do("pg_ctl", "-w", "-l", str(folder / "log"), "-o", options, "start")
        try:
            yield f"postgresql+psycopg://perflib:{PASSWORD}@/{{name}}?host={folder}"
        finally:
            do("pg_ctl", "-w", "-m", "immediate", "stop")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def url(server: str) -> str:
    """Return the address of a new and empty database."""
    name = f"history_{next(_NUMBERS)}"
    engine = create_engine(server.format(name="postgres"), isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    engine.dispose()
    return server.format(name=name)


class TestResults(history_battery.Results):
    """On PostgreSQL."""


class TestOrder(history_battery.Order):
    """On PostgreSQL."""


class TestGoods(history_battery.Goods):
    """On PostgreSQL."""


class TestDocuments(history_battery.Documents):
    """On PostgreSQL."""


class TestConcurrency(history_battery.Concurrency):
    """On PostgreSQL."""


def test_four_processes_make_one_history_and_append(url: str) -> None:
    """All of them open the same empty database; every append that was acknowledged is there."""
    writers = [start_writer(url, at, 10) for at in range(4)]
    told = [writer.communicate(timeout=60) for writer in writers]
    assert [writer.returncode for writer in writers] == [0] * 4, told
    with open_history(url) as history:
        assert verify_history(history) == []
        assert history.count() == 80
        for writer in range(4):
            points = points_of_run(writer, 9)
            assert history.run_points(points[0].run_ulid) == list(points)


def test_a_history_moves_between_databases(url: str, tmp_path: Path) -> None:
    """From the server into a file of SQLite, through an exported file, and nothing differs."""
    with open_history(url) as history, open_history(f"sqlite:///{tmp_path / 'history.sqlite'}") as other:
        history.append(make_points(run_count=4))
        history.append(history_battery.awkward_points()[:8])
        path = export_history(history, tmp_path / "all.csv")
        import_history(other, path)
        assert rows_of(other) == rows_of(history)
        assert import_history(history, path) == 0


def test_a_row_that_was_changed_is_found(url: str) -> None:
    """The server itself notices nothing."""
    with open_history(url) as history:
        history.append(make_series([0.001, 0.002]))
        with history.writing() as connection:
            connection.execute(text("UPDATE result SET value = 0.5 WHERE run_ulid = :ulid"), {"ulid": run_ulid(1)})
        assert len(verify_history(history)) == 1
        with pytest.raises(DataError, match="changed after it was written"):
            history.run_points(run_ulid(1))


def test_older_and_newer_schemas(url: str) -> None:
    """The one is brought up to date with its rows, the other refused."""
    engine = create_engine(url)
    upgrade(engine, version_table="schema_version", target="0001")
    with open_history(url) as history:
        history.append(make_series([0.001]))
        history.put_good(make_good(1))
        assert verify_history(history) == []
    with engine.begin() as connection:
        connection.execute(text("UPDATE schema_version SET version_num = '0099'"))
    engine.dispose()
    with pytest.raises(DataError, match=r"newer perflib \(schema 0099"):
        open_history(url)


def test_tables_of_others_in_the_same_database_are_left_alone(url: str) -> None:
    """A server's database may be shared."""
    engine = create_engine(url)
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE photo (id INTEGER)"))
    with open_history(url) as history:
        assert history.append(make_series([0.001])) == 1
    with engine.begin() as connection:
        assert connection.execute(text("SELECT count(*) FROM photo")).scalar() == 0
    engine.dispose()


def test_a_writer_that_holds_on_is_told_and_readers_do_not_wait(url: str) -> None:
    """An append gives up after its wait; reading goes on; nothing of the append is there."""
    with open_history(url) as slow, open_history(url, wait_sec=0.2) as history:
        slow.append(make_series([0.001]))
        with slow.writing(), pytest.raises(SetupError, match="locked by another program"):
            history.append(make_series([0.001, 0.002])[1:])
        with slow.writing():
            assert history.count() == 1
        assert history.append(make_series([0.001, 0.002])[1:]) == 1


def test_no_message_holds_the_password(server: str) -> None:
    """A database that is not there is told by its name alone."""
    with pytest.raises(SetupError, match="not_there") as caught:
        open_history(server.format(name="not_there"))
    assert PASSWORD not in str(caught.value)


def test_threads_that_open_at_once_find_one_schema(url: str) -> None:
    """The lock of the schema is waited for, and the second finds it made."""
    failed: list[BaseException] = []

    def make() -> None:
        try:
            open_history(url).close()
        except Exception as error:  # noqa: BLE001 - it is the test's own finding
            failed.append(error)

    threads = [threading.Thread(target=make) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
