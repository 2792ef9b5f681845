"""A run folder: where things lie, what it holds, and which run is the newest."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest

from perflib.artifact import Artifact, Runtime
from perflib.errors import DataError, ParameterError
from perflib.results import Baseline, Build, Comparison, Failure, RunSummary
from perflib.runs import SUMMARY_FILE, Run, newest_run, open_run
from tests.synthetic_records import baseline, build, comparison, prediction, validation
from tests.tiny_artifact import make_inputs, write_artifact


def write_summary(folder: Path, ulid: str, **change: Any) -> Path:
    """Write the summary of a finished run."""
    summary = RunSummary(
        run_id=folder.name,
        ulid=ulid,
        status="done",
        reason=None,
        exit_code=0,
        commit="nogit",
        started="2026-01-01T00:00:00Z",
        wall_sec=1.0,
        params_name="smoke",
        params={},
        params_sha256="",
        guardrails_sha256="",
        code_sha256="",
        machine={},
        steps=(),
        candidates=(),
    )
    return dataclasses.replace(summary, **change).write(folder / SUMMARY_FILE)


def test_a_record_is_kept_under_its_kind_and_name(tmp_path: Path) -> None:
    """What is written can be read again; what is not there is None."""
    run = Run(tmp_path / "20260101-000000_smoke_abc")

    assert run.write(comparison(), "int8") == run.folder / "records" / "comparison-int8.json"
    assert run.read(Comparison, "int8") == comparison()
    assert run.read(Comparison, "bf16") is None
    assert run.read(Build, "int8") is None
    assert run.names(Comparison) == ["int8"]
    assert run.run_id == "20260101-000000_smoke_abc"


def test_candidates_are_all_that_was_tried(tmp_path: Path) -> None:
    """Whatever record a candidate has makes it one; baseline, report and predictions do not."""
    run = Run(tmp_path)
    run.write(build(), "zeta")
    run.write(validation("PASS"), "mid")
    run.write(Failure("alpha", "stage", "no."), "alpha")
    run.write(Failure("report", "cell", "no."), "report")
    run.write(baseline(), "baseline")
    run.write(prediction(), "never-built")

    assert run.candidate_names() == ["alpha", "mid", "zeta"]
    assert run.names(Baseline) == ["baseline"]
    assert Run(tmp_path / "empty").candidate_names() == []


def test_a_damaged_record_is_refused(tmp_path: Path) -> None:
    """A record that was edited into another shape is an error with its path, not a missing record."""
    run = Run(tmp_path)
    path = run.write(build(), "int8")
    path.write_text(path.read_text().replace('"size_bytes": 25000000', '"size_bytes": "small"'))

    with pytest.raises(DataError, match=r"build-int8\.json"):
        run.read(Build, "int8")


def test_an_artifact_is_kept_as_it_is_served(tmp_path: Path) -> None:
    """The same weights with another runtime block are linked, loaded and checked; the source stays as it was."""
    source = write_artifact(tmp_path / "cache")
    before = source.digest
    kept = Run(tmp_path / "run").keep_artifact(source, "baseline", runtime=Runtime(thread_count=2))

    assert kept.folder == tmp_path / "run" / "artifacts" / "baseline"
    assert kept.spec.runtime.thread_count == 2
    assert kept.spec.files == source.spec.files
    assert Artifact.load(tmp_path / "cache").digest == before != kept.digest
    assert kept.predict(make_inputs(3)).shape == (3, 3)


def test_an_artifact_that_is_kept_already_stays(tmp_path: Path) -> None:
    """The same one is not written again; another one takes its place."""
    source, run = write_artifact(tmp_path / "cache"), Run(tmp_path / "run")
    first = run.keep_artifact(source, "baseline", runtime=Runtime())
    (first.folder / "note.txt").write_text("still here")
    again = run.keep_artifact(source, "baseline", runtime=Runtime())

    assert (again.folder / "note.txt").is_file()

    other = run.keep_artifact(source, "baseline", runtime=Runtime(batch_example_count=1))

    assert not (other.folder / "note.txt").exists()
    assert other.digest != again.digest == first.digest


def test_the_newest_run_is_the_last_ulid_not_the_last_name(tmp_path: Path) -> None:
    """Clocks go back; unfinished runs and what is no run do not count."""
    write_summary(tmp_path / "20300101-000000_smoke_a", "01A")
    write_summary(tmp_path / "20200101-000000_smoke_b", "01B", params_name="full")
    write_summary(tmp_path / "20400101-000000_smoke_c", "01C", status="failed")
    write_summary(tmp_path / "20400101-000000_smoke_d", "01D", status="running")
    (tmp_path / "notes").mkdir()
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / SUMMARY_FILE).write_text(json.dumps({"schema": "perflib/run/0"}))
    found = newest_run(tmp_path)

    assert found is not None
    assert found.run_id == "20200101-000000_smoke_b"


def test_a_run_to_resume_is_the_newest_of_its_params_in_any_state(tmp_path: Path) -> None:
    """An interrupted run is what one resumes."""
    write_summary(tmp_path / "one", "01A")
    write_summary(tmp_path / "two", "01B", status="interrupted")
    write_summary(tmp_path / "three", "01C", params_name="full")
    found = newest_run(tmp_path, params_name="smoke")

    assert found is not None
    assert found.run_id == "two"
    assert newest_run(tmp_path, params_name="quickstart") is None
    assert newest_run(tmp_path / "none") is None


def test_a_folder_that_is_no_run_is_refused(tmp_path: Path) -> None:
    """A run has a summary, or records where a notebook made it by itself."""
    with pytest.raises(ParameterError, match=r"is no run folder \(it has no run\.json\)"):
        open_run(tmp_path)

    run = Run(tmp_path)
    run.write(build(), "int8")

    assert open_run(tmp_path).folder == tmp_path
    assert run.summary() is None
    write_summary(tmp_path, "01A")
    assert run.summary() is not None
    assert run.profile() is None


def test_everything_of_a_run_lies_in_its_folder(tmp_path: Path) -> None:
    """Report, notebooks, figures and artifacts have fixed places."""
    run = Run(tmp_path)
    places = (run.report, run.notebook("01"), run.figure("latency"), run.artifact_folder("int8"))

    assert [place.relative_to(tmp_path).as_posix() for place in places] == [
        "report.html",
        "notebooks/01.ipynb",
        "figures/latency.svg",
        "artifacts/int8",
    ]
