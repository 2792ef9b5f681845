"""A shared place: documents that were changed apart, goods that would be given up at once, and pushes at one time."""

import itertools
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from perflib.errors import DataError, SetupError
from perflib.regression.alerts.documents import TURNS
from perflib.regression.history.exchange import rows_of
from perflib.regression.history.remote import pull, push
from perflib.regression.history.shared_place import SharedPlace
from perflib.regression.history.store import History, open_history
from perflib.regression.history.verify import verify_history
from perflib.regression.kept import Kept
from tests.fake_bench import lock_of, write_model
from tests.synthetic_history import make_points, make_series, run_ulid
from tests.test_kept import make_good

_NUMBERS = itertools.count()
ULID = run_ulid(0)


@pytest.fixture
def place(tmp_path: Path) -> str:
    """Return the address of a folder that is not there yet."""
    return f"file://{tmp_path / 'shared'}"


@pytest.fixture
def two(tmp_path: Path) -> Iterator[tuple[History, History]]:
    """Return two empty histories."""
    with new_history(tmp_path) as one, new_history(tmp_path) as other:
        yield one, other


def new_history(folder: Path) -> History:
    """Return an empty history."""
    return open_history(f"sqlite:///{folder / f'history-{next(_NUMBERS)}.sqlite'}")


def change(history: History, state: str) -> None:
    """Change the document once."""
    history.update_document("alert", ULID, lambda data: {**data, "state": state})


def test_a_document_travels_and_its_later_copy_wins(place: str, two: tuple[History, History]) -> None:
    """An alert that was acknowledged elsewhere is acknowledged here; an older copy changes nothing."""
    one, other = two
    one.put_document("alert", ULID, {"state": "OPEN"})
    push(one, place)
    pull(other, place)
    assert other.document("alert", ULID) == {"state": "OPEN"}

    change(other, "ACKED")
    push(other, place)
    push(one, place)
    pull(one, place)
    pull(other, place)

    assert one.document("alert", ULID) == other.document("alert", ULID) == {"state": "ACKED"}
    assert verify_history(one) == verify_history(other) == []


def test_two_that_changed_a_document_apart_agree_afterwards(place: str, two: tuple[History, History]) -> None:
    """More changes win; of as many, everybody takes the same one."""
    one, other = two
    for history in two:
        history.put_document("alert", ULID, {"state": "OPEN"})
    change(one, "ACKED")
    change(one, "FIXED")
    change(other, "INVALID")
    for history in (*two, *two):
        push(history, place)
        pull(history, place)
    assert one.document("alert", ULID) == other.document("alert", ULID) == {"state": "FIXED"}

    change(one, "here")
    change(other, "there")
    for history in (*two, *two):
        push(history, place)
        pull(history, place)
    assert one.document("alert", ULID) == other.document("alert", ULID) != {"state": "FIXED"}


def test_a_change_that_changes_nothing_is_no_revision(place: str, tmp_path: Path, two: tuple[History, History]) -> None:
    """Or who only looked would win over who answered."""
    one, _ = two
    one.put_document("alert", ULID, {"state": "OPEN"})
    change(one, "OPEN")
    push(one, place)

    (file,) = (tmp_path / "shared" / "documents" / "alert" / ULID).iterdir()
    assert file.name.startswith("0000000001-")


def test_who_works_at_this_moment_stays_at_home(place: str, two: tuple[History, History]) -> None:
    """A turn that is held here would be waited for elsewhere."""
    one, other = two
    one.put_document(TURNS, ULID, {"holder": "me"})
    push(one, place)
    pull(other, place)

    assert other.documents(TURNS) == []


@pytest.mark.parametrize("name", [f"alert/{run_ulid(1)}", f"delivery/{ULID}"])
def test_a_document_under_another_name_is_refused(
    place: str, tmp_path: Path, two: tuple[History, History], name: str
) -> None:
    """What stands in it has to be what its path says."""
    one, other = two
    one.put_document("alert", ULID, {"state": "OPEN"})
    push(one, place)
    documents = tmp_path / "shared" / "documents"
    (documents / name).parent.mkdir(exist_ok=True)
    (documents / "alert" / ULID).rename(documents / name)

    with pytest.raises(DataError, match="is no document of a history"):
        pull(other, place)
    assert other.documents("alert") == []


def test_only_what_would_be_kept_is_taken(place: str, tmp_path: Path, two: tuple[History, History]) -> None:
    """Of five good runs of a series the last three, with their artifacts; what is here already stays."""
    one, other = two
    kept = Kept(tmp_path / "here")
    lock_sha256 = kept.keep_lock(lock_of(torch="2.13.0"))
    goods = []
    for number in range(5):
        artifact = write_model(tmp_path / f"model-{number}", weights=b"weights" * (number + 1))
        kept.keep_artifact(artifact)
        goods.append(make_good(number, artifact=artifact.digest, lock=lock_sha256))
        one.put_good(goods[-1])
    push(one, place, kept_dir=kept.folder)
    other.put_good(goods[0])
    pull(other, place, kept_dir=tmp_path / "there")

    assert other.goods() == [goods[0], *goods[2:]]
    there = Kept(tmp_path / "there")
    assert [there.artifact(good.artifact_sha256) is not None for good in goods] == [False, False, True, True, True]


def test_a_good_run_whose_digest_leads_out_is_refused(place: str, tmp_path: Path, two: tuple[History, History]) -> None:
    """The name of a kept folder comes from a record that somebody else wrote."""
    one, other = two
    one.put_good(make_good(1, artifact="../../evil"))
    push(one, place)
    evil = tmp_path / "shared" / "kept" / "artifacts" / "evil.json"
    evil.parent.mkdir(parents=True)
    evil.write_text("{}")

    with pytest.raises(DataError, match="is no sha256"):
        pull(other, place, kept_dir=tmp_path / "a" / "there")
    assert other.goods() == []


def test_pushes_at_one_time_lose_nothing(place: str, tmp_path: Path) -> None:
    """Four histories push what they have and what they share; the next pull has all of it, each row once."""
    points = make_points(run_count=6)
    histories = [new_history(tmp_path) for _ in range(4)]
    for number, history in enumerate(histories):
        history.append([one for one in points if one.run_ulid in (run_ulid(number), run_ulid(5))])
    threads = [threading.Thread(target=push, args=(history, place)) for history in histories]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with new_history(tmp_path) as other:
        expected = [one for one in points if one.run_ulid != run_ulid(4)]
        assert pull(other, place) == len(expected)
        assert {row["run_ulid"] for row in rows_of(other)} == {run_ulid(number) for number in (0, 1, 2, 3, 5)}
        assert verify_history(other) == []
    for history in histories:
        history.close()


def test_another_result_of_a_run_elsewhere_is_refused_whole(place: str, two: tuple[History, History]) -> None:
    """Nothing of that pull is written."""
    one, other = two
    one.append(make_series([0.001, 0.002]))
    other.append(make_series([0.001, 0.003])[1:])
    push(one, place)

    with pytest.raises(DataError, match="already, with another value"):
        pull(other, place)
    assert other.count() == 1
    assert verify_history(other) == []


class Strange:
    """A bucket whose listing holds what a disk cannot."""

    def __init__(self, *names: str) -> None:
        self.names = names

    def exists(self, path: str) -> bool:
        """Say that every folder is there."""
        return True

    def find(self, path: str) -> list[str]:
        """List the names."""
        return [f"{path}/{name}" for name in self.names]


@pytest.mark.parametrize("name", ["../evil", "a/../../evil", "/etc/evil", "a\\..\\evil"])
def test_a_name_that_leads_out_is_refused(name: str) -> None:
    """Wherever in it the way out stands."""
    assert SharedPlace(Strange("a/b", "c"), "root").names("kept") == ["a/b", "c"]
    with pytest.raises(DataError, match="leads out"):
        SharedPlace(Strange("a/b", name), "root").names("kept")


def test_a_place_whose_package_is_missing_is_one_sentence(
    two: tuple[History, History], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It says the kind of place, and nothing of the address."""
    monkeypatch.setitem(sys.modules, "s3fs", None)
    with pytest.raises(SetupError, match="`s3`") as raised:
        pull(two[0], "s3://key:se3cret@bucket/perflib")

    assert "se3cret" not in str(raised.value)
    assert raised.value.__cause__ is None
