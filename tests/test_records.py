"""Records: strict JSON in and out, files that are whole or not there, and readers that refuse what they do not know."""

import dataclasses
import json
import os
from pathlib import Path
from typing import Any, ClassVar

import pytest

from perflib import records
from perflib.errors import DataError
from perflib.records import Record
from perflib.results import Interval


@dataclasses.dataclass(frozen=True)
class Reading(Record):
    """A record with a nested value and an unknown."""

    schema: ClassVar[str] = "perflib/reading/1"

    name: str
    count: int
    samples_sec: tuple[float, ...]
    change: Interval
    note: str | None = None


READING = Reading("a", 2, (0.5, 1.0), Interval(1.0, None, 2.0, 0.95))


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf"), {1, 2}, object()])
def test_writing_refuses_what_strict_json_cannot_say(value: object) -> None:
    """NaN, Infinity and objects are refused instead of written in a dialect."""
    with pytest.raises(DataError, match="strict JSON"):
        records.dumps({"a": value})


@pytest.mark.parametrize(
    "text", ['{"a": NaN}', "[-Infinity]", "[1e999]", '{"a": 1, "a": 1}', "{", "", b"\xff", "[" * 99999]
)
def test_reading_refuses_what_is_not_strict_json(text: str | bytes) -> None:
    """Not-a-number, numbers without bound, repeated keys, and documents that are broken or endless are refused."""
    with pytest.raises(DataError, match="this document is not strict JSON"):
        records.loads(text)


def test_canonical_json_does_not_depend_on_the_order_of_keys() -> None:
    """Two equal values have one digest."""
    assert records.dumps({"b": 1, "a": [1.5, None]}) == '{"a":[1.5,null],"b":1}'
    assert records.sha256_json({"b": 1, "a": 2}) == records.sha256_json({"a": 2, "b": 1})


def test_a_missing_file_is_a_data_error(tmp_path: Path) -> None:
    """The sentence names the file."""
    for read in (records.read_json, records.sha256_file, Reading.read):
        with pytest.raises(DataError, match=r"nothing\.json"):
            read(tmp_path / "nothing.json")


def test_a_document_that_is_too_large_is_not_parsed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The size is looked at before the content."""
    path = tmp_path / "large.json"
    path.write_text("not json at all")
    monkeypatch.setattr(records, "MAX_DOCUMENT_BYTES", 5)

    with pytest.raises(DataError, match="larger than 5 bytes"):
        records.read_json(path)


def _fail(*_: object, **__: object) -> None:
    raise OSError(28, "No space left on device")


@pytest.mark.parametrize(("owner", "name"), [(os, "fsync"), (Path, "replace")])
def test_a_failed_write_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, owner: Any, name: str
) -> None:
    """A full disk costs the new content, not the old, and leaves no temporary file behind."""
    path = tmp_path / "record.json"
    records.write_json(path, {"old": 1})
    monkeypatch.setattr(owner, name, _fail)

    with pytest.raises(DataError, match="No space left on device"):
        records.write_json(path, {"new": 2})

    assert json.loads(path.read_text()) == {"old": 1}
    assert [entry.name for entry in tmp_path.iterdir()] == ["record.json"]


def test_an_interrupt_while_writing_leaves_no_temporary_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C passes through as itself, after cleaning up."""

    def interrupt(_: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        records.write_bytes(tmp_path / "x.bin", b"x")

    assert list(tmp_path.iterdir()) == []


def test_a_written_file_is_as_readable_as_the_umask_allows(tmp_path: Path) -> None:
    """A result is no private file, although it is born as one."""
    before = os.umask(0o027)
    try:
        records.write_bytes(tmp_path / "x.bin", b"x")
    finally:
        os.umask(before)

    assert (tmp_path / "x.bin").stat().st_mode & 0o777 == 0o640


def test_the_digest_of_files_covers_names_and_contents(tmp_path: Path) -> None:
    """Renaming or changing a file changes the digest; the order in which files are listed does not."""
    one, two = tmp_path / "a", tmp_path / "b"
    one.write_bytes(b"1")
    two.write_bytes(b"2")
    digest = records.sha256_files([one, two], root=tmp_path)

    assert records.sha256_files([two, one], root=tmp_path) == digest
    one.rename(tmp_path / "c")
    assert records.sha256_files([tmp_path / "c", two], root=tmp_path) != digest


def test_a_record_survives_the_round_trip(tmp_path: Path) -> None:
    """What is read equals what was written, tuples, nested values and unknowns included."""
    path = READING.write(tmp_path / "reading.json")

    assert Reading.read(path) == READING
    assert json.loads(path.read_text())["note"] is None


@pytest.mark.parametrize(
    "change",
    [
        {"schema": "perflib/reading/2"},
        {"schema": None},
        {"surprise": 1},
        {"count": "2"},
        {"count": 2.5},
        {"name": None},
        {"samples_sec": 0.5},
        {"change": {"estimate": 1.0, "low": None, "high": None}},
        {"change": {"estimate": 1.0, "low": None, "high": None, "level_ratio": 0.95, "surprise": 1}},
    ],
)
def test_a_reader_refuses_another_schema_key_or_type(change: dict[str, Any]) -> None:
    """Nothing is guessed, converted or silently dropped, nested values included."""
    with pytest.raises(DataError, match="the file"):
        Reading.from_dict({**READING.to_dict(), **change}, source="the file")


def test_a_reader_refuses_a_missing_key() -> None:
    """The sentence names the key."""
    data = READING.to_dict()
    del data["count"]

    with pytest.raises(DataError, match="`count`"):
        Reading.from_dict(data)


def test_a_list_is_no_record(tmp_path: Path) -> None:
    """JSON that is no object is refused before its keys are looked for."""
    records.write_json(tmp_path / "list.json", [1])

    with pytest.raises(DataError, match="no JSON object"):
        Reading.read(tmp_path / "list.json")
