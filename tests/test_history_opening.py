"""Opening a history: what SQLite would throw away silently, who waits for whom, and what is loaded for it."""

import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from filelock import FileLock
from sqlalchemy import update

from perflib.errors import DataError, SetupError
from perflib.regression.history import benchmark
from perflib.regression.history.migrations import upgrade as migrations
from perflib.regression.history.store import open_history
from perflib.regression.history.tables import document, good
from perflib.regression.history.verify import verify_history
from tests.synthetic_history import make_points, make_series, run_ulid
from tests.test_kept import make_good


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return where no history lies yet."""
    return tmp_path / "history.sqlite"


def leave_log(path: Path) -> None:
    """Leave a history whose rows are still in the log, as a killed writer does."""
    code = (
        "import os, sys\nfrom synthetic_history import make_points\n"
        "from perflib.regression.history.store import open_history\n"
        f"open_history('sqlite:///{path}').append(make_points(run_count=1))\nos._exit(0)"
    )
    subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parent, check=True)
    assert path.with_name(f"{path.name}-wal").stat().st_size > 0


def test_what_a_killed_writer_left_in_the_log_is_read(path: Path) -> None:
    """A commit is in the log first, and the next who opens finds it."""
    leave_log(path)
    with open_history(f"sqlite:///{path}") as history:
        assert history.run_points(run_ulid(0)) == list(make_points(run_count=1))
        assert verify_history(history) == []


@pytest.mark.parametrize("is_removed", [True, False])
def test_a_log_without_its_file_is_not_thrown_away(path: Path, *, is_removed: bool) -> None:
    """SQLite would begin a new database and empty the log; both stay as they are, and a sentence says so."""
    leave_log(path)
    log = path.with_name(f"{path.name}-wal")
    content = log.read_bytes()
    path.unlink()
    if not is_removed:
        path.touch()
    with pytest.raises(DataError, match="is missing beside its log" if is_removed else "is an empty file"):
        open_history(f"sqlite:///{path}")
    assert log.read_bytes() == content
    assert path.exists() is not is_removed


def test_an_opening_that_fails_leaves_no_empty_file(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Or the next opening would take it for one that was emptied; one that was made in part is finished."""

    def fail(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(migrations, "upgrade", fail)
        with pytest.raises(KeyboardInterrupt):
            open_history(f"sqlite:///{path}")
    with open_history(f"sqlite:///{path}") as history:
        assert history.append(make_series([0.001])) == 1


def test_an_upgrade_that_is_cut_short_is_begun_anew(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All of its tables come in one transaction."""
    from alembic.operations import Operations

    made = Operations.create_table

    def until_documents(self: object, name: str, *columns: object) -> object:
        if name == "document":
            raise KeyboardInterrupt
        return made(self, name, *columns)

    with monkeypatch.context() as patch:
        patch.setattr(Operations, "create_table", until_documents)
        with pytest.raises(KeyboardInterrupt):
            open_history(f"sqlite:///{path}")
    connection = sqlite3.connect(path)
    assert connection.execute("SELECT name FROM sqlite_master").fetchall() == []
    connection.close()
    with open_history(f"sqlite:///{path}") as history:
        assert verify_history(history) == []


def test_who_makes_the_schema_is_waited_for_and_then_named(path: Path) -> None:
    """One sentence after the wait; an up-to-date history is opened without the lock."""
    lock = FileLock(path.with_name(f".{path.name}.lock"))
    with lock, pytest.raises(SetupError, match="has worked on the schema of"):
        open_history(f"sqlite:///{path}", wait_sec=0.1)
    open_history(f"sqlite:///{path}").close()
    with lock:
        open_history(f"sqlite:///{path}", wait_sec=0.1).close()


def test_an_up_to_date_history_opens_without_alembic(path: Path) -> None:
    """Most openings have nothing to migrate."""
    code = (
        "import sys\nfrom perflib.regression.history.store import open_history\n"
        f"open_history('sqlite:///{path}').close()\nprint('alembic' in sys.modules, 'pandas' in sys.modules)"
    )
    said = [
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()
        for _ in range(2)
    ]

    assert said == ["True False", "False False"]


def test_commits_are_synced(path: Path) -> None:
    """What was acknowledged survives a power cut, and readers wait for nobody."""
    with open_history(f"sqlite:///{path}", wait_sec=7) as history, history.reading() as connection:
        found = {
            name: connection.exec_driver_sql(f"PRAGMA {name}").scalar()
            for name in ("journal_mode", "synchronous", "busy_timeout")
        }

    assert found == {"journal_mode": "wal", "synchronous": 2, "busy_timeout": 7000}


def test_a_driver_that_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The sentence names what to install."""
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(SetupError, match=r"install perflib\[postgres\]"):
        open_history("postgresql+psycopg://ada@host/name")


@pytest.mark.parametrize("column", ["workload", "candidate", "hardware_class", "run_ulid"])
def test_the_columns_that_a_good_run_is_found_by_are_checked(path: Path, column: str) -> None:
    """Under another name it would not be found, and nobody would miss it."""
    with open_history(f"sqlite:///{path}") as history:
        history.put_good(make_good(1))
        with history.writing() as connection:
            connection.execute(update(good).values({column: "another"}))
        assert len(verify_history(history)) == 1
        with pytest.raises(DataError, match="was changed"):
            history.goods()


@pytest.mark.parametrize("change", [{"kind": "delivery"}, {"ulid": run_ulid(2)}, {"revision": 7}])
def test_the_name_of_a_document_is_checked(path: Path, change: dict[str, object]) -> None:
    """The digest covers kind, ulid and revision too."""
    with open_history(f"sqlite:///{path}") as history:
        history.put_document("alert", run_ulid(0), {"state": "OPEN"})
        with history.writing() as connection:
            connection.execute(update(document).values(change))
        assert len(verify_history(history)) == 1


def test_the_benchmark_says_all_its_times(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It fills what it was asked for and measures each kind of work."""
    assert benchmark.main([str(path), "--rows", "100"]) == 0

    printed = capsys.readouterr().out
    assert "fill 100 results" in printed
    assert all(word in printed for word in ("append 20 results", "read 20 series", "name all series", "verify", "open"))
