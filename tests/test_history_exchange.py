"""A history that travels: as a file, and through a shared place, with what good runs need; damage is refused."""

import dataclasses
import itertools
import shutil
from collections.abc import Iterator
from pathlib import Path

import fsspec
import pandas as pd
import pytest

from perflib.errors import DataError, ParameterError, SetupError
from perflib.regression.history.exchange import COLUMNS, export_history, import_history, rows_of
from perflib.regression.history.remote import pull, push
from perflib.regression.history.store import History, open_history
from perflib.regression.history.tables import row_sha256
from perflib.regression.history.verify import verify_history
from perflib.regression.kept import Kept
from perflib.results.history import Good
from tests.fake_bench import lock_of, write_model
from tests.history_battery import AWKWARD_VALUES, KEY, awkward_points
from tests.synthetic_history import make_point, make_points, make_series, run_ulid
from tests.test_kept import make_good

SUFFIXES = (".csv", ".parquet")
_NUMBERS = itertools.count()


@pytest.fixture
def history(tmp_path: Path) -> Iterator[History]:
    """Return a history of some runs, one of them hard to write down."""
    with new_history(tmp_path) as one:
        one.append(awkward_points())
        one.append(make_points(run_count=3)[18:])
        yield one


def new_history(folder: Path) -> History:
    """Return an empty history."""
    return open_history(f"sqlite:///{folder / f'history-{next(_NUMBERS)}.sqlite'}")


# --- files ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_out_and_in_again_nothing_differs(history: History, tmp_path: Path, suffix: str) -> None:
    """Every word and every bit of every value, and the order; a second import adds nothing."""
    path = export_history(history, tmp_path / f"all{suffix}")
    with new_history(tmp_path) as other:
        assert import_history(other, path) == history.count()
        assert import_history(other, path) == 0
        assert rows_of(other) == rows_of(history)
        assert verify_history(other) == []


def test_both_formats_hold_the_same(history: History, tmp_path: Path) -> None:
    """A history that went through one of them goes through the other."""
    path = export_history(history, tmp_path / "all.csv")
    with new_history(tmp_path) as second, new_history(tmp_path) as third:
        import_history(second, path)
        import_history(third, export_history(second, tmp_path / "all.parquet"))
        assert rows_of(third) == rows_of(history)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_thousand_values_come_back_to_the_last_bit(tmp_path: Path, suffix: str) -> None:
    """Values over the whole range of floats, through a file."""
    values = [*AWKWARD_VALUES, *(1.0 / 3 * 10.0**power for power in range(-300, 300))]
    with new_history(tmp_path) as one, new_history(tmp_path) as other:
        one.append(make_series(values))
        import_history(other, export_history(one, tmp_path / f"all{suffix}"))
        assert [point.value for point in other.series(KEY, last_count=None)] == values


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_an_empty_history_travels_too(tmp_path: Path, suffix: str) -> None:
    """No rows, and the columns."""
    with new_history(tmp_path) as one, new_history(tmp_path) as other:
        path = export_history(one, tmp_path / f"all{suffix}")
        assert import_history(other, path) == 0


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_an_import_adds_what_is_new_beside_what_is_there(tmp_path: Path, suffix: str) -> None:
    """Runs that both know stand once."""
    with new_history(tmp_path) as one, new_history(tmp_path) as other:
        one.append(make_series([0.001, 0.002, 0.003])[:2])
        other.append(make_series([0.001, 0.002, 0.003])[1:])
        assert import_history(other, export_history(one, tmp_path / f"all{suffix}")) == 1
        assert other.series(KEY) == list(make_series([0.001, 0.002, 0.003]))
        assert verify_history(other) == []


@pytest.mark.parametrize("column", COLUMNS)
def test_an_altered_file_is_refused_before_anything_is_written(tmp_path: Path, column: str) -> None:
    """Whichever column of the last row was altered, no row of the file is taken."""
    with new_history(tmp_path) as one, new_history(tmp_path) as other:
        one.append(make_series([0.001, 0.002, 0.003]))
        path = export_history(one, tmp_path / "all.csv")
        frame = pd.read_csv(path, dtype=str, keep_default_na=False)
        frame.loc[2, column] = "0.004" if column == "value" else run_ulid(9) if "ulid" in column else "altered"
        frame.to_csv(path, index=False)
        with pytest.raises(DataError):
            import_history(other, path)
        assert other.count() == 0


@pytest.mark.parametrize(
    "change", [{"value": -1.0}, {"unit": "ms"}, {"metric": "none"}, {"order_ulid": "soon"}, {"run_ulid": "now"}]
)
def test_a_file_with_digests_of_its_own_is_judged_too(tmp_path: Path, change: dict[str, object]) -> None:
    """Whoever knows how a digest is made still gets in nothing that an append would refuse."""
    with new_history(tmp_path) as one, new_history(tmp_path) as other:
        one.append(make_series([0.001, 0.002]))
        rows = rows_of(one)
        rows[1] |= change
        rows[1]["content_sha256"] = row_sha256(rows[1])
        pd.DataFrame(rows, columns=list(COLUMNS)).to_parquet(tmp_path / "all.parquet")
        with pytest.raises(DataError):
            import_history(other, tmp_path / "all.parquet")
        assert other.count() == 0


def test_a_whole_number_in_a_file_is_the_float_that_it_becomes(tmp_path: Path) -> None:
    """A table of only sizes is easily written with whole numbers; what is read again is sound."""
    with new_history(tmp_path) as one, new_history(tmp_path) as other:
        one.append([make_point(dataclasses.replace(KEY, metric="size_bytes", scenario="all"), 342_016)])
        rows = [row | {"value": 342_016} for row in rows_of(one)]
        rows[0]["content_sha256"] = row_sha256(rows[0])
        frame = pd.DataFrame(rows, columns=list(COLUMNS))
        assert frame["value"].dtype == "int64"
        frame.to_parquet(tmp_path / "all.parquet")
        try:
            import_history(other, tmp_path / "all.parquet")
        except DataError:
            assert other.count() == 0
        assert verify_history(other) == []


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_another_value_of_a_known_result_is_refused_whole(tmp_path: Path, suffix: str) -> None:
    """And the rows before it in the file are not taken either."""
    with new_history(tmp_path) as one, new_history(tmp_path) as other:
        one.append(make_series([0.001, 0.002, 0.003]))
        other.append(make_series([0.001, 0.002, 0.004])[2:])
        path = export_history(one, tmp_path / f"all{suffix}")
        with pytest.raises(DataError, match="already, with another value"):
            import_history(other, path)
        assert other.count() == 1
        assert verify_history(other) == []


def test_other_columns_are_refused(history: History, tmp_path: Path) -> None:
    """One too many, one too few."""
    path = export_history(history, tmp_path / "all.csv")
    frame = pd.read_csv(path, dtype=str, keep_default_na=False)
    for other in (frame.assign(note="x"), frame.drop(columns="mark"), frame.rename(columns={"mark": "marks"})):
        other.to_csv(path, index=False)
        with pytest.raises(DataError, match="columns"):
            import_history(history, path)


@pytest.mark.parametrize("name", ["all.txt", "all", "all.csv.gz", "all.CSV"])
def test_another_format_is_refused(history: History, tmp_path: Path, name: str) -> None:
    """By its name, on both ways; nothing is written."""
    with pytest.raises(ParameterError, match=r"\.parquet nor \.csv"):
        export_history(history, tmp_path / name)
    assert not (tmp_path / name).exists()
    with pytest.raises(ParameterError, match=r"\.parquet nor \.csv"):
        import_history(history, tmp_path / name)


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("content", [None, b"", b"not a table", bytes(500), b"PAR1" + bytes(40) + b"PAR1", b'"'])
def test_what_is_no_table_is_one_sentence(tmp_path: Path, content: bytes | None, suffix: str) -> None:
    """Neither a missing file nor a damaged one ends in a traceback."""
    path = tmp_path / f"all{suffix}"
    if content is not None:
        path.write_bytes(content)
    with new_history(tmp_path) as one, pytest.raises(DataError, match="export it again"):
        import_history(one, path)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_cut_file_is_refused(history: History, tmp_path: Path, suffix: str) -> None:
    """In the middle of a row nobody can tell what it was."""
    path = export_history(history, tmp_path / f"all{suffix}")
    path.write_bytes(path.read_bytes()[:-20])
    with new_history(tmp_path) as other:
        with pytest.raises(DataError):
            import_history(other, path)
        assert other.count() == 0


# --- shared places --------------------------------------------------------------------------------------------------


@pytest.fixture(params=["memory", "file"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """Return the address of a shared place of each kind."""
    files = fsspec.filesystem("memory")
    url = f"memory://team-{next(_NUMBERS)}/perflib" if request.param == "memory" else f"file://{tmp_path / 'shared'}"
    yield url
    files.store.clear()
    files.pseudo_dirs[:] = [""]


def objects(url: str, folder: str) -> tuple[fsspec.AbstractFileSystem, list[str]]:
    """Return a place's library and its objects below a folder."""
    files, root = fsspec.core.url_to_fs(url)
    return files, sorted(files.find(f"{root}/{folder}"))


def keep(folder: Path, **model: object) -> tuple[Kept, Good]:
    """Keep a model and a lock, and return the good run that needs them."""
    artifact = write_model(folder / "model", weights=b"weights of int8", **model)  # type: ignore[arg-type]
    kept = Kept(folder / "kept")
    kept.keep_artifact(artifact)
    lock_sha256 = kept.keep_lock(lock_of(torch="2.13.0"))
    good = dataclasses.replace(make_good(1), artifact_sha256=artifact.digest, lock_sha256=lock_sha256)
    return kept, good


def test_two_that_push_and_pull_get_what_the_other_has(place: str, tmp_path: Path) -> None:
    """In whatever order, and once; what both knew already stands once."""
    series = make_series([0.001, 0.002, 0.003])
    with new_history(tmp_path) as one, new_history(tmp_path) as other:
        one.append(series[:2])
        other.append(series[1:])
        other.put_good(make_good(1))
        assert pull(one, place) == 0
        assert push(one, place) == 2
        assert push(one, place) == 0
        assert push(other, place) == 1
        assert pull(one, place) == 1
        assert pull(other, place) == 1
        assert pull(other, place) == 0
        assert one.series(KEY) == other.series(KEY) == list(series)
        assert rows_of(one) == rows_of(other)
        assert one.goods() == [make_good(1)]
        assert verify_history(one) == verify_history(other) == []


def test_awkward_words_travel(place: str, history: History, tmp_path: Path) -> None:
    """As through a file."""
    push(history, place)
    with new_history(tmp_path) as other:
        assert pull(other, place) == history.count()
        assert rows_of(other) == rows_of(history)


def test_what_good_runs_need_travels(place: str, tmp_path: Path) -> None:
    """The artifact and the lock are found under their digests; what is at work is left at home."""
    kept, good = keep(tmp_path / "here")
    (kept.folder / "artifacts" / ".half").mkdir()
    (kept.folder / "artifacts" / ".half" / "model.safetensors").write_bytes(b"half")
    with new_history(tmp_path) as one, new_history(tmp_path) as other:
        one.put_good(good)
        push(one, place, kept_dir=kept.folder)
        assert not [name for name in objects(place, "kept")[1] if "/." in name]
        pull(other, place, kept_dir=tmp_path / "there")
        there = Kept(tmp_path / "there")
        found = there.artifact(good.artifact_sha256)
        assert found is not None
        assert (found.folder / "model.safetensors").read_bytes() == b"weights of int8"
        assert there.lock(good.lock_sha256) == lock_of(torch="2.13.0")
        assert other.goods() == [good]
        pull(other, place, kept_dir=tmp_path / "there")
        assert other.goods() == [good]


@pytest.mark.parametrize("folder", ["results", "goods", "documents", "kept/artifacts", "kept/locks"])
def test_an_altered_object_is_refused(place: str, tmp_path: Path, folder: str) -> None:
    """One byte of one object; nothing of it is taken, and no good run without what it needs."""
    kept, good = keep(tmp_path / "here")
    with new_history(tmp_path) as one, new_history(tmp_path) as other:
        one.append(make_series([0.001]))
        one.put_good(good)
        one.put_document("alert", run_ulid(0), {"state": "OPEN"})
        push(one, place, kept_dir=kept.folder)
        files, names = objects(place, folder)
        for name in names:
            content = files.cat_file(name)
            for at in (len(content) // 3, len(content) // 2):
                files.pipe_file(name, content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :])
                with pytest.raises(DataError):
                    pull(other, place, kept_dir=tmp_path / "there")
                assert other.goods() == []
                assert folder != "documents" or other.documents("alert") == []
                assert Kept(tmp_path / "there").artifact(good.artifact_sha256) is None or "locks" in folder
                shutil.rmtree(tmp_path / "there", ignore_errors=True)
            files.pipe_file(name, content)
        assert names
        pull(other, place, kept_dir=tmp_path / "there")
        assert other.goods() == [good]
        assert verify_history(other) == []


@pytest.mark.parametrize("name", ["results/../../evil", "kept/../../evil", "kept/artifacts/../../../evil"])
def test_a_path_that_leads_out_is_refused(tmp_path: Path, name: str) -> None:
    """A bucket may hold objects of any name; none is written outside its folder."""
    files, root = fsspec.core.url_to_fs("memory://team/perflib")
    kept, good = keep(tmp_path / "here")
    try:
        with new_history(tmp_path) as one, new_history(tmp_path) as other:
            one.put_good(good)
            push(one, "memory://team/perflib", kept_dir=kept.folder)
            files.store[f"{root}/{name}"] = fsspec.implementations.memory.MemoryFile(
                fs=files, path=f"{root}/{name}", data=b"evil"
            )
            with pytest.raises(DataError, match="remove it there"):
                pull(other, "memory://team/perflib", kept_dir=tmp_path / "a" / "b" / "there")
        assert [path for path in tmp_path.rglob("*evil*") if path.is_file()] == []
    finally:
        files.store.clear()


def test_a_missing_part_of_an_artifact_is_told_or_left(place: str, tmp_path: Path) -> None:
    """Half an artifact is never kept."""
    kept, good = keep(tmp_path / "here")
    with new_history(tmp_path) as one, new_history(tmp_path) as other:
        one.put_good(good)
        push(one, place, kept_dir=kept.folder)
        files, names = objects(place, "kept/artifacts")
        files.rm_file(next(name for name in names if name.endswith("model.safetensors")))
        with pytest.raises(DataError):
            pull(other, place, kept_dir=tmp_path / "there")
        assert not (tmp_path / "there" / "artifacts" / good.artifact_sha256).exists()


def test_a_push_that_was_cut_short_leaves_no_half_object(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Into a folder an object comes whole, or a later push would find it damaged for good."""
    url, series = f"file://{tmp_path / 'shared'}", make_series([0.001])
    with new_history(tmp_path) as one, new_history(tmp_path) as other:
        one.append(series)

        def die(*_: object) -> None:
            raise OSError(28, "No space left on device")

        with monkeypatch.context() as patch:
            patch.setattr("os.fsync", die)
            with pytest.raises((SetupError, DataError)):
                push(one, url)
        assert push(one, url) == 1
        assert pull(other, url) == 1


def test_an_unknown_place_is_one_sentence_without_its_secret(history: History) -> None:
    """The word before ``://`` is told, what follows is not."""
    for word in (push, pull):
        with pytest.raises(SetupError, match="nosuchkind") as caught:
            word(history, "nosuchkind://key:s3cret@bucket/perflib")
        assert "cret" not in str(caught.value)
        assert "bucket" not in str(caught.value)


def test_a_place_that_cannot_be_written_is_one_sentence(history: History, tmp_path: Path) -> None:
    """Such as a file where a folder should be."""
    (tmp_path / "file").write_text("x")
    with pytest.raises((SetupError, DataError)):
        push(history, f"file://{tmp_path / 'file'}/perflib")
