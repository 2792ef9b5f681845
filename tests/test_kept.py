"""What is kept of good runs: found again by digest, checked, shared on the disk, and removed by rule."""

import dataclasses
import shutil
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from perflib.artifact import Artifact, Runtime
from perflib.benchmarking.probe import make_probe
from perflib.errors import DataError, SetupError
from perflib.regression import kept as module
from perflib.regression.kept import Kept
from perflib.regression.locks import lock_sha256
from perflib.regression.retention import choose_goods
from perflib.results.history import EnvironmentLock, Good, LockedPackage
from tests.tiny_artifact import write_artifact

OLD = EnvironmentLock("3.11.7", (LockedPackage("torch", "2.12.0"),))
NEW = EnvironmentLock("3.11.7", (LockedPackage("torch", "2.13.0"),))


def make_good(number: int, *, artifact: str = "", role: Any = "good", lock: str = "", **fields: Any) -> Good:
    """Return a good run; a larger number is newer."""
    good = Good(
        workload="reviews",
        candidate="int8",
        hardware_class="fake",
        role=role,
        run_ulid=f"{number:026d}",
        run_id=f"run-{number}",
        recorded="2026-01-01T00:00:00Z",
        artifact_sha256=artifact or f"{number:064x}",
        weights_sha256="0" * 64,
        parameters_sha256="0" * 64,
        lock_sha256=lock or lock_sha256(OLD),
        data_sha256="0" * 64,
        size_bytes=1,
        accuracy_ratio=None,
    )
    return dataclasses.replace(good, **fields)


def make_sizes(goods: Sequence[Good], size_bytes: int = 100) -> dict[str, dict[tuple[int, int], int]]:
    """Give every artifact one file of its own."""
    names = sorted({one.artifact_sha256 for one in goods})
    return {name: {(0, place): size_bytes} for place, name in enumerate(names)}


def left(goods: Sequence[Good], *, limit_bytes: int = 10**9, good_count: int = 3) -> list[int]:
    """Return the numbers of the goods that stay."""
    chosen = choose_goods(goods, make_sizes(goods), limit_bytes=limit_bytes, good_count=good_count)
    return [int(one.run_ulid) for one in chosen]


# --- which stay -------------------------------------------------------------------------------------------------


def test_the_last_three_good_ones_of_each_series_stay() -> None:
    """Whatever their order; another candidate, workload or machine has three of its own."""
    mine = [make_good(number) for number in (4, 1, 5, 3, 2)]
    others = [make_good(10, candidate="bf16"), make_good(11, workload="digits"), make_good(12, hardware_class="x")]

    assert left([*mine, *others]) == [4, 5, 3, 10, 11, 12]
    assert left(mine, good_count=1) == [5]


def test_baselines_and_promoted_ones_do_not_count_among_the_three() -> None:
    """All of them stay while there is room."""
    goods = [make_good(1, role="baseline"), make_good(2, role="promoted"), make_good(3, role="promoted")]

    assert left([*goods, *(make_good(number) for number in range(4, 9))]) == [1, 2, 3, 6, 7, 8]


@pytest.mark.parametrize(
    ("limit_bytes", "numbers"),
    [
        (700, [1, 2, 3, 4, 5, 6, 7]),
        (699, [1, 2, 3, 4, 6, 7]),
        (600, [1, 2, 3, 4, 6, 7]),
        (599, [1, 2, 3, 4, 7]),
        (400, [1, 2, 3, 4]),
        (399, [2, 3, 4]),
        (299, [2, 4]),
        (0, [2, 4]),
    ],
)
def test_without_room_the_oldest_go_first_and_the_newest_baseline_and_promoted_never(
    limit_bytes: int, numbers: list[int]
) -> None:
    """First good ones, then older baselines and promoted ones; each has 100 bytes here."""
    goods = [
        make_good(1, role="baseline"),
        make_good(2, role="baseline"),
        make_good(3, role="promoted"),
        make_good(4, role="promoted"),
        *(make_good(number) for number in (5, 6, 7)),
    ]

    assert left(goods, limit_bytes=limit_bytes) == numbers


def test_a_good_run_goes_only_if_that_makes_room() -> None:
    """One that shares its artifact with a baseline, or that another machine keeps, stays."""
    goods = [
        make_good(1, role="baseline", artifact="a" * 64),
        make_good(2, artifact="a" * 64),
        make_good(3, artifact="b" * 64, candidate="elsewhere"),
        make_good(4, artifact="c" * 64),
    ]
    sizes = {"a" * 64: {(0, 1): 100}, "c" * 64: {(0, 2): 100}}

    chosen = choose_goods(goods, sizes, limit_bytes=150, good_count=3)

    assert [int(one.run_ulid) for one in chosen] == [1, 2, 3]


def test_runs_with_one_artifact_go_together() -> None:
    """The first of them makes no room by itself."""
    goods = [make_good(1, artifact="a" * 64), make_good(2, artifact="a" * 64), make_good(3)]

    assert left(goods, limit_bytes=100) == [3]
    assert left(goods, limit_bytes=200) == [1, 2, 3]


# --- on the disk ------------------------------------------------------------------------------------------------


@pytest.fixture
def kept(tmp_path: Path) -> Kept:
    """Return an empty folder of kept things."""
    return Kept(tmp_path / "kept")


def test_the_folder_is_that_of_the_history(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beside the runs, if nobody says otherwise."""
    monkeypatch.setenv("PERFLIB_OUTPUTS_DIR", str(tmp_path))

    assert Kept().folder == tmp_path / "history" / "kept"


def test_an_artifact_is_found_again_by_its_digest(tmp_path: Path, kept: Kept) -> None:
    """Linked, the same model, in a folder of that name."""
    artifact = write_artifact(tmp_path / "run")

    folder = kept.keep_artifact(artifact)
    found = kept.artifact(artifact.digest)

    assert found is not None
    assert found.digest == artifact.digest
    assert folder == found.folder == tmp_path / "kept" / "artifacts" / artifact.digest
    for file in artifact.spec.files:
        assert (folder / file.path).samefile(artifact.folder / file.path)
    assert kept.artifact("0" * 64) is None


def test_keeping_twice_changes_nothing(tmp_path: Path, kept: Kept) -> None:
    """Not even the folder."""
    artifact = make_probe(tmp_path / "run")
    folder = kept.keep_artifact(artifact)
    before = folder.stat()

    assert kept.keep_artifact(artifact) == folder
    assert (folder.stat().st_ino, folder.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    # It may be the kept one itself that is kept again.
    assert kept.keep_artifact(Artifact.load(folder)) == folder


def test_a_kept_artifact_outlives_its_run(tmp_path: Path, kept: Kept) -> None:
    """Removing the run's folder does not harm it."""
    artifact = make_probe(tmp_path / "run")
    kept.keep_artifact(artifact)
    shutil.rmtree(tmp_path / "run")

    assert kept.artifact(artifact.digest) is not None


def test_a_damaged_artifact_is_refused_and_replaced_when_kept_again(tmp_path: Path, kept: Kept) -> None:
    """A changed file, a changed record and another artifact under this name."""
    artifact = make_probe(tmp_path / "run")
    folder = kept.keep_artifact(artifact)
    weights = folder / artifact.spec.files[0].path
    content = weights.read_bytes()
    weights.unlink()  # else the link would change the run's own file
    weights.write_bytes(content[:-1] + b"?")
    with pytest.raises(DataError, match="is recorded; build the artifact again"):
        kept.artifact(artifact.digest)

    kept.keep_artifact(artifact)
    assert kept.artifact(artifact.digest) is not None

    other = make_probe(tmp_path / "other", layer_count=3)
    shutil.rmtree(folder)
    shutil.copytree(other.folder, folder)
    with pytest.raises(DataError, match="under another name"):
        kept.artifact(artifact.digest)


def test_an_artifact_that_is_damaged_at_its_source_is_not_kept(tmp_path: Path, kept: Kept) -> None:
    """Nothing lies under its name afterwards."""
    artifact = make_probe(tmp_path / "run")
    (artifact.folder / artifact.spec.files[0].path).write_bytes(b"rubbish")

    with pytest.raises(DataError, match="build the artifact again"):
        kept.keep_artifact(artifact)
    assert kept.artifact(artifact.digest) is None
    assert list((kept.folder / "artifacts").iterdir()) == []


def test_an_artifact_larger_than_all_that_may_be_kept_is_refused(tmp_path: Path) -> None:
    """By a byte; the sentence has both sizes."""
    artifact = make_probe(tmp_path / "run")
    Kept(tmp_path / "kept", limit_bytes=artifact.size_bytes).keep_artifact(artifact)

    with pytest.raises(DataError, match=rf"has {artifact.size_bytes:,} bytes and at most {artifact.size_bytes - 1:,}"):
        Kept(tmp_path / "none", limit_bytes=artifact.size_bytes - 1).keep_artifact(artifact)
    assert not (tmp_path / "none").exists()


def test_a_lock_is_found_again_by_its_digest(kept: Kept) -> None:
    """The file's name is the digest; a changed one is refused."""
    digest = kept.keep_lock(OLD)

    assert digest == lock_sha256(OLD) == kept.keep_lock(OLD)
    assert kept.lock(digest) == OLD
    assert kept.lock(lock_sha256(NEW)) is None

    NEW.write(kept.folder / "locks" / f"{digest}.json")
    with pytest.raises(DataError, match="is not the lock that its name says"):
        kept.lock(digest)


@pytest.mark.parametrize("digest", ["", "../../etc", "A" * 64, "0" * 63, f"{'0' * 64}\n"])
def test_a_digest_that_is_none_is_refused(kept: Kept, digest: str) -> None:
    """A history from elsewhere may hold any word; none leads out of the folder."""
    with pytest.raises(DataError, match="is no sha256"):
        kept.artifact(digest)
    with pytest.raises(DataError, match="is no sha256"):
        kept.lock(digest)


def test_shared_files_count_once_by_their_recorded_size(tmp_path: Path, kept: Kept) -> None:
    """Two ways of serving the same weights take the room of one."""
    artifact = make_probe(tmp_path / "run")
    other = artifact.copy_to(tmp_path / "other", runtime=Runtime(batch_example_count=8))
    copied = make_probe(tmp_path / "copy", layer_count=7)
    assert kept.size_bytes() == 0

    kept.keep_artifact(artifact)
    kept.keep_artifact(other)
    assert artifact.digest != other.digest
    assert kept.size_bytes() == artifact.size_bytes

    kept.keep_artifact(copied)
    assert kept.size_bytes() == 2 * artifact.size_bytes


def test_what_no_good_run_needs_is_removed(tmp_path: Path, kept: Kept) -> None:
    """Artifacts and locks, and what a killed process left; the goods that are left come back."""
    artifacts = [make_probe(tmp_path / str(number), layer_count=number) for number in range(1, 6)]
    for artifact in artifacts:
        kept.keep_artifact(artifact)
    old, new = kept.keep_lock(OLD), kept.keep_lock(NEW)
    (kept.folder / "artifacts" / ".half").mkdir()
    goods = [
        make_good(number, artifact=artifact.digest, lock=old if number == 1 else new)
        for number, artifact in enumerate(artifacts[:4], 1)
    ]

    found = kept.retain(goods)

    assert found == tuple(goods[1:])
    assert [kept.artifact(one.digest) is not None for one in artifacts] == [False, True, True, True, False]
    assert len(list((kept.folder / "artifacts").iterdir())) == 3
    assert (kept.lock(old), kept.lock(new)) == (None, NEW)
    assert all((artifact.folder / artifact.spec.files[0].path).is_file() for artifact in artifacts)


def test_the_cap_holds_on_the_disk(tmp_path: Path, kept: Kept) -> None:
    """Sizes are those of the files that lie there."""
    artifacts = [make_probe(tmp_path / str(number), layer_count=number) for number in range(1, 4)]
    for artifact in artifacts:
        kept.keep_artifact(artifact)
    goods = [make_good(number, artifact=artifact.digest) for number, artifact in enumerate(artifacts, 1)]
    limit_bytes = 2 * artifacts[0].size_bytes

    assert kept.retain(goods, limit_bytes=limit_bytes + artifacts[0].size_bytes) == tuple(goods)
    assert kept.retain(goods, limit_bytes=limit_bytes) == tuple(goods[1:])
    assert kept.size_bytes() == limit_bytes


def test_another_process_waits_while_something_is_kept_and_written_down(kept: Kept) -> None:
    """Keeping, noting that it is good, and removing the rest are one step for everybody else."""
    code = (
        "import sys; from pathlib import Path; from perflib.regression import kept\n"
        "kept._WAIT_SEC = 0.2\n"
        "kept.Kept(Path(sys.argv[1])).retain([])"
    )
    command = [sys.executable, "-c", code, str(kept.folder)]
    with kept.locked():
        with kept.locked():
            pass
        refused = subprocess.run(command, capture_output=True, text=True, check=False)
    passed = subprocess.run(command, capture_output=True, text=True, check=False)

    assert "another process has worked in" in refused.stderr
    assert "SetupError" in refused.stderr
    assert passed.returncode == 0, passed.stderr


def test_many_keep_and_remove_at_once_without_harm(tmp_path: Path) -> None:
    """Whoever holds the lock around keeping and noting finds the artifact afterwards."""
    noted: list[Good] = []
    missing: list[str] = []

    def work(number: int) -> None:
        mine = Kept(tmp_path / "kept")
        artifact = make_probe(tmp_path / str(number), layer_count=number)
        with mine.locked():
            mine.keep_artifact(artifact)
            noted.append(make_good(number, artifact=artifact.digest, role="promoted"))
        with mine.locked():
            # What is noted is read under the lock: an older list would clear away what came after it.
            mine.retain(tuple(noted))
        if mine.artifact(artifact.digest) is None:
            missing.append(artifact.digest)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(1, 9)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert missing == []
    assert len(list((tmp_path / "kept" / "artifacts").iterdir())) == 8


def test_a_folder_that_cannot_be_written_is_said_in_one_sentence(tmp_path: Path) -> None:
    """Here a file lies where the folder should be."""
    (tmp_path / "file").write_text("")

    with pytest.raises(SetupError, match="cannot be made"):
        Kept(tmp_path / "file" / "kept").keep_lock(OLD)


def test_what_cannot_be_removed_is_said(tmp_path: Path, kept: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    """In one sentence with the folder."""
    kept.keep_artifact(make_probe(tmp_path / "run"))

    def refuse(path: Path) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(module, "_remove_folder", refuse)
    with pytest.raises(SetupError, match=r"cannot be removed \(Operation not permitted\)"):
        kept.retain([])
