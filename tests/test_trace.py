"""Traces as tables: what stands in the file, and every way in which a file can be something else."""

import gzip
import json
from pathlib import Path

import pytest

from perflib.errors import DataError
from perflib.profiling.trace import read_document, read_trace
from tests.small_traces import allocation, event, step, write


@pytest.mark.parametrize("name", ["a.json", "a.json.gz"])
def test_spans_are_in_seconds_from_the_first_one(tmp_path: Path, name: str) -> None:
    """Plain or packed, sorted by start, the longer of two that start together first."""
    path = write(tmp_path / name, [event("b", 30, 5, dims=[[2, 3]]), event("c", 10, 1), event("a", 10, 40)])
    spans = read_trace(path).spans

    assert spans["name"].tolist() == ["a", "c", "b"]
    assert spans["start_sec"].tolist() == pytest.approx([0, 0, 20e-6])
    assert spans["duration_sec"].tolist() == pytest.approx([40e-6, 1e-6, 5e-6])
    assert spans["shapes"].tolist() == ["[]", "[]", "[[2, 3]]"]
    assert spans["thread"].tolist() == ["1/1"] * 3


def test_steps_are_the_marks_and_nothing_that_is_called_alike(tmp_path: Path) -> None:
    """On a GPU the mark is repeated on the device's line, under another category."""
    repeated = step(2, 0, 9) | {"cat": "gpu_user_annotation"}
    path = write(tmp_path / "a.json", [step(3, 20, 10), step(2, 0, 10), repeated, event("x", 1, 2)])

    assert read_trace(path).steps["name"].tolist() == ["ProfilerStep#2", "ProfilerStep#3"]


def test_allocations_are_totals_over_time_by_device(tmp_path: Path) -> None:
    """The total after each change, which is what a curve is drawn from."""
    events = [event("x", 100, 10), allocation(106, 50), allocation(103, 70), allocation(104, 9, device_type=1)]
    found = read_trace(write(tmp_path / "a.json", events)).allocations

    assert found["allocated_bytes"].tolist() == [70, 9, 50]
    assert found["device"].tolist() == ["cpu", "cuda", "cpu"]
    assert found["at_sec"].tolist() == pytest.approx([3e-6, 4e-6, 6e-6])


def test_what_stands_beside_the_events_is_kept(tmp_path: Path) -> None:
    """A copy for another reader needs the whole document."""
    path = write(tmp_path / "a.json", [event("x", 1, 2)], deviceProperties=[{"id": 0}])

    assert read_document(path)["deviceProperties"] == [{"id": 0}]


def test_a_control_character_in_a_name_is_no_reason_to_refuse(tmp_path: Path) -> None:
    """Names of kernels have had them."""
    path = tmp_path / "a.json"
    path.write_bytes(b'{"traceEvents": [{"ph": "X", "name": "a\x01b", "ts": 1, "dur": 2}]}')

    assert read_trace(path).spans["name"].tolist() == ["a\x01b"]


_WHOLE = gzip.compress(json.dumps({"traceEvents": [event("x", 1, 2)]}).encode())


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("a.json", b"", r"a\.json is empty"),
        ("a.json.gz", gzip.compress(b""), r"a\.json\.gz is empty"),
        ("a.json.gz", _WHOLE[:-12], r"a\.json\.gz cannot be read"),
        ("a.json.gz", b"not packed at all", r"a\.json\.gz cannot be read"),
        ("a.json", b'{"traceEvents": [{"ph": "X"', "is not whole JSON"),
        ("a.json", b"<html>", "is not whole JSON"),
        ("a.json", b"\xff\xfe\x00", "is not whole JSON"),
        ("a.json", b"[" * 100_000, "is not whole JSON"),
        ("a.json", b"[]", "no list of trace events"),
        ("a.json", b'{"traceEvents": 3}', "no list of trace events"),
        ("a.json", b'{"traceEvents": [3]}', "no list of trace events"),
        ("a.json", b'{"traceEvents": []}', "0 events and none that took time"),
        ("a.json", b'{"traceEvents": [{"ph": "i"}]}', "1 events and none that took time"),
        ("a.json", b'{"traceEvents": [{"ph": "X", "ts": "soon", "dur": 1}]}', "times that are no numbers"),
        ("a.json", b'{"traceEvents": [{"ph": "X", "ts": 1, "dur": NaN}]}', "times that are no numbers"),
    ],
)
def test_a_file_that_is_no_trace_is_refused_with_its_reason(
    tmp_path: Path, name: str, content: bytes, sentence: str
) -> None:
    """Empty, truncated, not JSON, not a trace: one sentence that names the file and says what to do."""
    (tmp_path / name).write_bytes(content)

    with pytest.raises(DataError, match=sentence) as caught:
        read_trace(tmp_path / name)
    assert str(caught.value).endswith("profile the model again.")


def test_a_trace_that_is_not_there_is_refused(tmp_path: Path) -> None:
    """The sentence names the file."""
    with pytest.raises(DataError, match=r"a\.json cannot be read"):
        read_trace(tmp_path / "a.json")


@pytest.mark.parametrize("name", ["a.json", "a.json.gz"])
def test_a_huge_trace_is_not_read_further_than_the_limit(tmp_path: Path, name: str) -> None:
    """A packed file is not unpacked into memory first; at the limit itself a trace is read."""
    path = write(tmp_path / name, [event("x" * 3000, 1, 2)])
    size_bytes = len(json.dumps(read_document(path)).encode())

    assert len(read_trace(path, max_bytes=size_bytes).spans) == 1
    with pytest.raises(DataError, match=r"is larger than .* MB; profile fewer steps"):
        read_trace(path, max_bytes=size_bytes - 1)


def test_odd_arguments_of_an_event_do_no_harm(tmp_path: Path) -> None:
    """Foreign traces hold what they like there."""
    odd = event("x", 1, 2) | {"args": "words"}
    numbered = event("y", 2, 3) | {"args": {"External id": "seven"}}
    memory = {"name": "[memory]", "ts": 3, "args": {"Total Allocated": "much", "Device Type": 0}}
    found = read_trace(write(tmp_path / "a.json", [odd, numbered, memory]))

    assert found.spans["external_id"].tolist() == [-1, -1]
    assert found.allocations["allocated_bytes"].tolist() == [0]
