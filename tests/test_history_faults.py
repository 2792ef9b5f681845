"""A history under what can go wrong: writers that die, damaged files, full disks, locks, newer and older schemas."""

import os
import random
import shutil
import signal
import sqlite3
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import create_engine, event, insert

from perflib.errors import DataError, ParameterError, PerflibError, SetupError
from perflib.regression.history.exchange import COLUMNS, rows_of
from perflib.regression.history.migrations.upgrade import upgrade
from perflib.regression.history.store import History, open_history
from perflib.regression.history.tables import result, row_sha256
from perflib.regression.history.verify import verify_history
from tests.history_writer import points_of_run, start_writer
from tests.synthetic_history import WORKLOAD, make_points, run_ulid
from tests.test_kept import make_good

WRITERS_COUNT, RUNS_COUNT = 8, 50
FLIPS_COUNT = 100


def url_of(path: Path) -> str:
    """Return the address of a file."""
    return f"sqlite:///{path}"


def _lines(told: list[tuple[str, str]]) -> list[list[str]]:
    return [out.splitlines() for out, _ in told]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return where a history of three runs, a good run and a document lies; nobody has it open."""
    path = tmp_path / "history.sqlite"
    fill(path)
    return path


def fill(path: Path, *, run_count: int = 3) -> None:
    """Write a history whose log is empty."""
    with open_history(url_of(path)) as history:
        history.append(make_points(run_count=run_count))
        history.put_good(make_good(1))
        history.put_document("alert", run_ulid(0), {"count": 1})
    connection = sqlite3.connect(path)
    assert connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0] == 0
    connection.close()
    assert not path.with_name(f"{path.name}-wal").exists()


def everything(history: History) -> list[object]:
    """Return all that a history says, through what reads it."""
    keys = history.keys()
    runs = [history.run_points(run_ulid(index)) for index in range(3)]
    newest = history.newest_run_ulid(keys[0].hardware_class, WORKLOAD) if keys else None
    series = [history.series(key) for key in keys]
    return [keys, series, runs, newest, history.goods(), history.documents("alert"), history.count()]


def outcome(path: Path, expected: list[object]) -> str:
    """
    Open, verify and read a file: ``told``, ``same``, or ``silent`` where it reads otherwise and nobody says so.

    Any other exception than those of perflib goes through.
    """
    try:
        with open_history(url_of(path), wait_sec=1) as history:
            if verify_history(history):
                return "told"
            return "same" if everything(history) == expected else "silent"
    except (DataError, SetupError):
        return "told"


def read_all(path: Path) -> list[object]:
    """Return all that a sound file says."""
    with open_history(url_of(path)) as history:
        assert verify_history(history) == []
        return everything(history)


# --- writers --------------------------------------------------------------------------------------------------------


def test_every_acknowledged_append_is_there_once_though_a_writer_was_killed(tmp_path: Path) -> None:
    """Eight processes append 50 runs each and one dies at some moment: nothing acknowledged is lost or twice."""
    url = url_of(tmp_path / "history.sqlite")
    # The one that dies has so much to do that it is never done before.
    doomed, *others = (start_writer(url, at, RUNS_COUNT if at else 900) for at in range(WRITERS_COUNT))
    assert doomed.stdout is not None
    lines = [doomed.stdout.readline() for _ in range(random.randrange(2, RUNS_COUNT))]
    doomed.send_signal(signal.SIGKILL)
    lines += doomed.stdout.readlines()
    assert doomed.wait(timeout=60) == -signal.SIGKILL
    told = [writer.communicate(timeout=120) for writer in others]
    assert [writer.returncode for writer in others] == [0] * len(others), told
    acknowledged = [[int(line) for line in some if line.strip().isdigit()] for some in (lines, *_lines(told))]
    assert acknowledged[1:] == [list(range(RUNS_COUNT))] * len(others)
    with open_history(url) as history:
        assert verify_history(history) == []
        for writer, places in enumerate(acknowledged):
            found = history.series(points_of_run(writer, 0)[0].key, last_count=None)
            # The killed one may have written one run that it could not tell of any more.
            assert len(found) - len(places) in ((0,) if writer else (0, 1))
            assert found[: len(places)] == [points_of_run(writer, place)[0] for place in places]
            for place in places:
                points = points_of_run(writer, place)
                assert history.run_points(points[0].run_ulid) == list(points)


def test_eight_processes_make_one_history_at_once(tmp_path: Path) -> None:
    """All of them open the same new file; each finds it whole."""
    url = url_of(tmp_path / "new" / "history.sqlite")
    writers = [start_writer(url, writer, 1) for writer in range(WRITERS_COUNT)]
    told = [writer.communicate(timeout=120) for writer in writers]
    assert [writer.returncode for writer in writers] == [0] * WRITERS_COUNT, told
    with open_history(url) as history:
        assert verify_history(history) == []
        assert history.count() == 2 * WRITERS_COUNT


def test_threads_make_one_history_at_once(tmp_path: Path) -> None:
    """The same within one process, ten times, because the moment of an empty file is short."""
    for attempt in range(10):
        url = url_of(tmp_path / f"{attempt}.sqlite")
        failed: list[Exception] = []

        def make(url: str = url, failed: list[Exception] = failed) -> None:
            try:
                open_history(url).close()
            except Exception as error:  # noqa: BLE001 - it is the test's own finding
                failed.append(error)

        threads = [threading.Thread(target=make) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert failed == []


# --- damage ---------------------------------------------------------------------------------------------------------


def test_a_flipped_byte_is_told_or_changes_nothing(path: Path, tmp_path: Path) -> None:
    """At a hundred offsets: a sentence, or all is read as it was; never another row, never a traceback."""
    expected, content = read_all(path), path.read_bytes()
    dice = random.Random(7)
    # Where the file says what it is and where its rows lie, every flip matters more than elsewhere.
    offsets = [*range(0, 100, 4), *(dice.randrange(len(content)) for _ in range(FLIPS_COUNT - 25))]
    outcomes: dict[int, str] = {}
    for number, offset in enumerate(offsets):
        damaged = tmp_path / f"{number}.sqlite"
        flipped = bytearray(content)
        flipped[offset] ^= 1 << dice.randrange(8)
        damaged.write_bytes(flipped)
        outcomes[offset] = outcome(damaged, expected)
        damaged.unlink()
    assert [offset for offset, found in outcomes.items() if found == "silent"] == []
    # A check that tells nothing would pass as well.
    assert sum(found == "told" for found in outcomes.values()) > FLIPS_COUNT // 3


def test_every_flip_inside_a_row_is_told(path: Path, tmp_path: Path) -> None:
    """All 8 bits of a spread of bytes of rows' own words: none is read as if it were right."""
    content = path.read_bytes()
    places = [content.index(word) for word in (b"int8single", b"host-1", make_good(1).run_id.encode(), b'{"count"')]
    value_at = content.index(b"p50_sec") + 3
    for place in [*places, value_at]:
        for bit in range(8):
            flipped = bytearray(content)
            flipped[place] ^= 1 << bit
            damaged = tmp_path / "damaged.sqlite"
            damaged.write_bytes(flipped)
            assert outcome(damaged, []) == "told", (place, bit)


@pytest.mark.parametrize("mask", [0x01, 0x80, 0xFF])
def test_a_flip_inside_a_name_of_the_schema_is_told(path: Path, tmp_path: Path, mask: int) -> None:
    """A name of a table or a column that is another one, or no text any more, is a sentence too."""
    expected, content = read_all(path), path.read_bytes()
    words = (b"CREATE TABLE result", b"CREATE TABLE good", b"CREATE INDEX series", b"INTEGER NOT NULL", b"PRIMARY KEY")
    outcomes = []
    for word in words:
        flipped = bytearray(content)
        flipped[content.index(word) + len(word) - 1] ^= mask
        damaged = tmp_path / "damaged.sqlite"
        damaged.write_bytes(flipped)
        outcomes.append(outcome(damaged, expected))
    assert outcomes == ["told"] * len(words)


@pytest.mark.parametrize("share", [0.999, 0.5, 0.1])
def test_a_truncated_file_is_told(path: Path, share: float) -> None:
    """What was cut off is missed."""
    expected, content = read_all(path), path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    assert outcome(path, expected) == "told"


def test_a_file_cut_at_a_page_is_told(path: Path) -> None:
    """The cut that leaves whole pages is missed too."""
    expected, content = read_all(path), path.read_bytes()
    path.write_bytes(content[:-4096])
    assert outcome(path, expected) == "told"


def test_a_block_of_nuls_is_told(path: Path) -> None:
    """As a disk leaves it after a power cut."""
    expected, content = read_all(path), bytearray(path.read_bytes())
    for start in range(0, len(content), 4096):
        damaged = content.copy()
        damaged[start : start + 4096] = bytes(4096)
        path.write_bytes(damaged)
        assert outcome(path, expected) == "told", start


@pytest.mark.parametrize("content", [b"", b"the history of everything\n" * 200, bytes(8192), b"SQLite format 3\0"])
def test_what_is_no_database_is_refused_and_left_alone(tmp_path: Path, content: bytes) -> None:
    """An empty file, a text, NULs and a header alone: one sentence, and not a byte is written."""
    path = tmp_path / "history.sqlite"
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"history\.sqlite"):
        open_history(url_of(path))
    assert path.read_bytes() == content


def test_a_database_of_something_else_is_refused_and_left_alone(tmp_path: Path) -> None:
    """Nothing is added to a file that another program keeps."""
    path = tmp_path / "photos.sqlite"
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE photo (id INTEGER)")
    connection.close()
    with pytest.raises(DataError, match="no history"):
        open_history(url_of(path))
    connection = sqlite3.connect(path)
    assert connection.execute("SELECT name FROM sqlite_master").fetchall() == [("photo",)]
    connection.close()


_QUOTED = ", ".join(f'"{name}"' for name in COLUMNS)
_SLIPPED = _QUOTED.replace('"scenario"', "'other'")


@pytest.mark.parametrize(
    "statements",
    [
        ["DELETE FROM result WHERE id = 5"],
        [f"DELETE FROM result WHERE run_ulid = '{run_ulid(1)}'"],
        ["UPDATE result SET value = value * 0.9 WHERE id = 5"],
        ["UPDATE result SET mark = 'no' WHERE id = 5"],
        [f"UPDATE result SET order_ulid = '{run_ulid(9)}' WHERE id = 5"],
        ["UPDATE result SET content_sha256 = CAST(content_sha256 AS BLOB) WHERE id = 5"],
        ["UPDATE result SET value = 'fast' WHERE id = 5"],
        [f"INSERT INTO result ({_QUOTED}) SELECT {_SLIPPED} FROM result WHERE id = 5"],
        [f"DELETE FROM append_log WHERE run_ulid = '{run_ulid(1)}'"],
        ["UPDATE append_log SET row_count = row_count + 1"],
        ["UPDATE good SET content = replace(content, 'int8', 'int4')"],
        ["UPDATE document SET content = '{\"count\":2}'"],
    ],
)
def test_what_was_changed_behind_the_back_is_found(path: Path, statements: list[str]) -> None:
    """A row removed, slipped in or altered through SQL, which leaves the file itself sound."""
    connection = sqlite3.connect(path)
    for statement in statements:
        assert connection.execute(statement).rowcount > 0
    connection.commit()
    connection.close()
    with open_history(url_of(path)) as history:
        assert verify_history(history)


def test_a_row_that_was_slipped_in_with_its_digest_is_found(path: Path) -> None:
    """The row itself is sound; the digest of its run does not know it."""
    with open_history(url_of(path)) as history, history.writing() as connection:
        row = rows_of(history)[0] | {"scenario": "other"}
        connection.execute(insert(result), [row | {"content_sha256": row_sha256(row)}])
    with open_history(url_of(path)) as history:
        assert len(history.run_points(run_ulid(0))) == 19
        assert [one for one in verify_history(history) if f"run {run_ulid(0)}" in one]


def test_a_changed_value_is_never_read(path: Path) -> None:
    """Who reads the series learns of the damage, not of the value; other series go on."""
    with open_history(url_of(path)) as history:
        (first, *_), other = history.run_points(run_ulid(1)), history.run_points(run_ulid(1))[1].key
        connection = sqlite3.connect(path)
        where = (run_ulid(1), first.candidate, first.scenario, first.metric)
        connection.execute(
            "UPDATE result SET value = 1e-9 WHERE run_ulid = ? AND candidate = ? AND scenario = ? AND metric = ?", where
        )
        connection.commit()
        connection.close()
        with pytest.raises(DataError, match=r"changed after it was written"):
            history.series(first.key)
        assert len(history.series(other)) == 3


# --- schemas --------------------------------------------------------------------------------------------------------


def test_a_newer_schema_is_refused_with_its_sentence(path: Path) -> None:
    """An old perflib does not touch what it cannot understand."""
    connection = sqlite3.connect(path)
    connection.execute("UPDATE schema_version SET version_num = '0099'")
    connection.commit()
    connection.close()
    content = path.read_bytes()
    with pytest.raises(DataError, match=r"newer perflib \(schema 0099.*upgrade perflib"):
        open_history(url_of(path))
    assert path.read_bytes() == content


@pytest.mark.parametrize("number", ["", "/002", "abc"])
def test_a_damaged_schema_number_is_one_sentence(path: Path, number: str) -> None:
    """No number of ours is no reason for a traceback."""
    connection = sqlite3.connect(path)
    connection.execute("UPDATE schema_version SET version_num = ?", (number,))
    connection.commit()
    connection.close()
    with pytest.raises(DataError):
        open_history(url_of(path))


def test_an_older_schema_is_brought_up_to_date_with_nothing_lost(path: Path, tmp_path: Path) -> None:
    """The first migration alone, with rows in it: after the opening they are the same, and the new tables work."""
    old = tmp_path / "old.sqlite"
    upgrade(create_engine(url_of(old)), version_table="schema_version", target="0001")
    connection = sqlite3.connect(old)
    connection.execute("ATTACH ? AS full", (str(path),))
    connection.execute(f"INSERT INTO result ({_QUOTED}) SELECT {_QUOTED} FROM full.result")
    connection.execute("INSERT INTO append_log SELECT * FROM full.append_log")
    connection.commit()
    connection.close()
    with open_history(url_of(path)) as history:
        expected = rows_of(history)
    with open_history(url_of(old)) as history:
        assert verify_history(history) == []
        assert rows_of(history) == expected
        history.put_document("alert", run_ulid(0), {"count": 1})
        history.put_good(make_good(1))
        assert history.goods() == [make_good(1)]


# --- locks, disks and rights ----------------------------------------------------------------------------------------


def test_a_locked_history_is_one_sentence_and_readers_do_not_wait(path: Path) -> None:
    """Another program writes: an append gives up after its wait, reading goes on, and the append works afterwards."""
    points = make_points(run_count=4)
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("BEGIN IMMEDIATE")
    with open_history(url_of(path), wait_sec=0.1) as history:
        with pytest.raises(SetupError, match="locked by another program"):
            history.append(points)
        assert len(history.series(points[0].key)) == 3
        connection.execute("ROLLBACK")
        connection.close()
        assert history.append(points) == len(points) // 4


def test_a_full_disk_writes_nothing_and_says_so(path: Path) -> None:
    """The run that did not fit is not there in part, and what was there is sound."""
    with open_history(url_of(path)) as history:
        before = everything(history)

        @event.listens_for(history.engine, "begin")
        def fill_up(connection: object) -> None:
            connection.exec_driver_sql("PRAGMA max_page_count = 1")  # type: ignore[attr-defined]

        with pytest.raises(SetupError, match=r"disk of the history .* is full"):
            history.append(make_points(run_count=40))
        event.remove(history.engine, "begin", fill_up)
        assert verify_history(history) == []
        assert everything(history) == before


@pytest.fixture
def read_only(path: Path) -> Iterator[Callable[[], Path]]:
    """Return what makes a folder with a copy of the history read-only, also for root, and gives the copy's place."""
    folder = Path(tempfile.mkdtemp(prefix="perflib-read-only-"))
    user = os.geteuid()

    def make() -> Path:
        shutil.copy(path, folder / path.name)
        (folder / path.name).chmod(0o444)
        folder.chmod(0o555)
        if user == 0:
            os.seteuid(65534)
        return folder / path.name

    yield make
    os.seteuid(user)
    folder.chmod(0o755)
    shutil.rmtree(folder)


def test_a_read_only_folder_is_one_sentence(read_only: Callable[[], Path]) -> None:
    """Whether the file is there, a new one is wanted, or a folder for it."""
    there = read_only()
    with pytest.raises(SetupError, match="writable"), open_history(url_of(there)) as history:
        history.append(make_points(run_count=4))
    for place in (there.with_name("new.sqlite"), there.parent / "new" / "history.sqlite"):
        with pytest.raises(SetupError, match="writable"):
            open_history(url_of(place))


def test_a_folder_that_is_a_file_is_one_sentence(path: Path) -> None:
    """A typing error in the address."""
    with pytest.raises(SetupError, match="writable"):
        open_history(url_of(path / "history.sqlite"))
    with pytest.raises(PerflibError):
        open_history(url_of(path.parent))


# --- addresses ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "address",
    [
        "postgresql+psycopg://me:s3cret@/name?host=/nowhere",
        "postgresql+psycopg://me@/name?host=/nowhere&password=s3cret",
        "postgresql+psycopg://me:s3cret@127.0.0.1:1/name",
        "postgresql+psycopg://me:s3cret@host:port/name",
        "postgresql+psycopg://me:s3/cret@host/name",
        "postgresql+nodriver://me:s3cret@host/name",
        "mysql://me:s3cret@host/name",
        "nonsense://me:s3cret@host/name",
        "me:s3cret",
    ],
)
def test_no_message_holds_a_password(address: str) -> None:
    """Neither an address that cannot be read nor a server that is not there repeats it."""
    with pytest.raises((ParameterError, SetupError)) as caught:
        open_history(address, wait_sec=1)
    assert "cret" not in str(caught.value)
    assert "s3" not in str(caught.value)
