"""A history as a file: another place in the order, single flipped bytes, and an export that is ended."""

import random
from collections.abc import Callable, Iterator
from pathlib import Path

import pandas as pd
import pytest

from perflib.errors import DataError
from perflib.regression.history.exchange import COLUMNS, export_history, import_history, rows_of
from perflib.regression.history.store import History, open_history
from perflib.regression.history.tables import row_sha256
from tests.synthetic_history import make_points, run_ulid

POINTS = make_points(run_count=3)


@pytest.fixture
def history(tmp_path: Path) -> Iterator[History]:
    """Return a history of three runs."""
    with open_history(f"sqlite:///{tmp_path / 'one.sqlite'}") as history:
        history.append(POINTS)
        yield history


@pytest.fixture
def other(tmp_path: Path) -> Iterator[History]:
    """Return an empty history."""
    with open_history(f"sqlite:///{tmp_path / 'other.sqlite'}") as other:
        yield other


@pytest.fixture(params=[".csv", ".parquet"])
def path(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """Return a file of each kind that is not there yet."""
    return tmp_path / f"all{request.param}"


def rewrite(path: Path, change: Callable[[pd.DataFrame], pd.DataFrame]) -> None:
    """Change a file's table and write it as it was."""
    if path.suffix == ".csv":
        frame = pd.read_csv(path, dtype=str, keep_default_na=False)
        change(frame).to_csv(path, index=False)
    else:
        change(pd.read_parquet(path)).to_parquet(path, index=False)


def test_a_run_that_stands_elsewhere_in_the_order_stays_there(history: History, other: History, path: Path) -> None:
    """Two histories may have placed one run differently; that is no other result."""
    frame = [{**row, "order_ulid": run_ulid(9)} for row in rows_of(history)]
    moved = pd.DataFrame([{**row, "content_sha256": row_sha256(row)} for row in frame], columns=list(COLUMNS))
    export_history(history, path)
    rewrite(path, lambda _: moved)

    assert import_history(history, path) == 0
    assert {row["order_ulid"] for row in rows_of(history)} == {run_ulid(index) for index in range(3)}
    assert import_history(other, path) == len(POINTS)
    assert {row["order_ulid"] for row in rows_of(other)} == {run_ulid(9)}


def test_a_flipped_byte_of_a_file_brings_no_other_row_in(history: History, path: Path, tmp_path: Path) -> None:
    """At fifty offsets: refused in one sentence, or the same rows."""
    content, dice, refused_count = export_history(history, path).read_bytes(), random.Random(3), 0
    for _ in range(50):
        flipped = bytearray(content)
        flipped[dice.randrange(len(content))] ^= 1 << dice.randrange(8)
        path.write_bytes(flipped)
        try:
            # What is there already with another value would be refused as well.
            assert import_history(history, path) == 0
        except DataError:
            refused_count += 1
    assert refused_count > 20


def test_an_export_is_whole_or_not_there(history: History, path: Path) -> None:
    """A damaged row ends it, and the file of yesterday stays."""
    yesterday = export_history(history, path).read_bytes()
    with history.writing() as connection:
        connection.exec_driver_sql("UPDATE result SET value = 2 * value WHERE id = 7")

    with pytest.raises(DataError, match="was changed after it was written"):
        export_history(history, path)
    assert path.read_bytes() == yesterday
    assert [one.name for one in path.parent.glob(f".{path.name}*")] == []
