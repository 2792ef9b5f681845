"""The run: what is refused, in which order things happen, what is redone, and what the record says at every moment."""

import datetime
import functools
import io
import json
import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from xml.etree import ElementTree

import jsonschema
import pandas as pd
import pytest
from filelock import FileLock

from perflib import project, report
from perflib.benchmarking.lock import HELD
from perflib.errors import InterruptedRunError, NotebookError, ParameterError, SetupError
from perflib.governance.evidence.verify import verify_pack
from perflib.pipeline import Outcome, again, run_params
from perflib.pipeline import book as book_module
from perflib.pipeline import run as run_module
from perflib.pipeline.schema import run_schema
from perflib.results import (
    Baseline,
    Build,
    Canary,
    Ceilings,
    Comparison,
    EndToEnd,
    EnvironmentLock,
    Failure,
    Findings,
    Ladder,
    MachineCeilings,
    Prediction,
    Profile,
    Provenance,
    Roofline,
    RunSummary,
    Validation,
)
from perflib.results.governance import Backlog, Carbon, Finops, PriceBook, RiskRegister
from perflib.runs import SUMMARY_FILE, Run
from perflib.validating import validate_named
from tests.fake_notebooks import FakeNotebooks

PARAMS = "workload: reviews-tiny\nexperiments: [int8, static-int8, bf16]\n"
EXPERIMENT = "name: {name}\nrecipe: [{{runtime: {{}}}}]\npredicted_speedup_ratio: 2.0\nbecause: fewer bytes\n"


@pytest.fixture
def params_file(tmp_path: Path, own_folders: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make a project with three experiments, whose workload is prepared and whose notebooks take no time."""
    folder = tmp_path / "project"
    shutil.copytree(project.root() / "notebooks", folder / "notebooks")
    (folder / "perflib").mkdir()
    (folder / "params" / "experiments").mkdir(parents=True)
    for name in ("guardrails.yaml", "prices.yaml"):
        shutil.copy(project.root() / "params" / name, folder / "params")
    for name in ("int8", "static-int8", "bf16"):
        (folder / "params" / "experiments" / f"{name}.yaml").write_text(EXPERIMENT.format(name=name))
    (folder / "params" / "p.yaml").write_text(PARAMS)
    monkeypatch.setenv("PERFLIB_ROOT", str(folder))
    monkeypatch.delenv(HELD, raising=False)

    def render(notebook: Path, target: Path, *, title: str) -> Path:
        target.write_text(title, encoding="utf-8")
        return target

    monkeypatch.setattr(report, "render_report", render)
    return folder / "params" / "p.yaml"


@pytest.fixture
def told() -> list[str]:
    """Return what the run did for the history."""
    return []


@pytest.fixture
def begin(params_file: Path, monkeypatch: pytest.MonkeyPatch, told: list[str]) -> Callable[..., Outcome]:
    """Return a function that runs the params file with given notebooks; every save is held against the schema."""
    save = book_module.Book.save

    def checked_save(book: Any, **changes: Any) -> None:
        save(book, **changes)
        jsonschema.validate(json.loads((book.run.folder / SUMMARY_FILE).read_bytes()), run_schema())

    def run(
        notebooks: FakeNotebooks, *, prepared: str = "p" * 64, lacking: dict[str, str] | None = None, **options: Any
    ) -> Outcome:
        made = SimpleNamespace(prepare=lambda: SimpleNamespace(digest=prepared))
        monkeypatch.setattr(run_module, "get_workload", lambda name, seed: made)
        monkeypatch.setattr(run_module, "execute", notebooks)
        monkeypatch.setattr(run_module, "check_recipes", lambda *given: lacking or {})
        # What a run gives to the history is tested where it is made; here it would time canaries for every test.
        monkeypatch.setattr(run_module, "begin_record", lambda run, workload, **asked: told.append("begun"))
        monkeypatch.setattr(run_module, "enter_history", lambda run, **asked: told.append("entered"))
        return run_params(params_file, stream=options.pop("stream", io.StringIO()), **options)

    monkeypatch.setattr(book_module.Book, "save", checked_save)
    return run


def summary_of(folder: Path) -> RunSummary:
    """Read the record of a run."""
    found = Run(folder).summary()
    assert found is not None
    return found


def the_only_run(outputs: Path) -> RunSummary:
    """Read the record of the one run that there is."""
    (path,) = outputs.glob(f"*/{SUMMARY_FILE}")
    return summary_of(path.parent)


# --- the order of things, and what it comes to ------------------------------------------------------------------


def test_steps_run_in_order_under_the_lock(begin: Callable[..., Outcome], tmp_path: Path) -> None:
    """Baseline, experiments as listed, report; and nobody else measures meanwhile."""
    notebooks = FakeNotebooks()
    outcome = begin(notebooks)

    assert notebooks.executed == ["baseline", "int8", "static-int8", "bf16", "report"]
    assert notebooks.was_lock_held
    assert [step.name for step in outcome.summary.steps] == notebooks.executed
    assert {step.status for step in outcome.summary.steps} == {"done"}
    assert (outcome.summary.status, outcome.summary.exit_code) == ("done", 0)
    assert outcome.run.report.is_file()

    with FileLock(tmp_path / "lock" / "benchmark.lock", timeout=0):  # it was let go
        assert HELD not in os.environ


def test_what_this_machine_lacks_is_skipped_by_name_and_is_no_failure(
    begin: Callable[..., Outcome], params_file: Path
) -> None:
    """The others run, the ladder goes without it, and the sentence stands in the report's reasons."""
    params_file.write_text(PARAMS + "ladder: bf16\nrivals: [int8, static-int8]\nexplain: all\n")
    notebooks = FakeNotebooks()
    outcome = begin(notebooks, lacking={"int8": "it needs a compiler; install one."})
    skipped = next(one for one in outcome.summary.steps if one.name == "int8")
    judged = next(one for one in outcome.candidates if one.name == "int8")

    assert notebooks.executed == ["baseline", "static-int8", "bf16", "ladder", "why", "report"]
    assert notebooks.parameters["why"]["candidates"] == ["static-int8", "bf16"]
    assert (skipped.status, skipped.reason) == ("skipped", "unavailable")
    assert (judged.verdict, judged.reasons) == ("failed", ("it needs a compiler; install one.",))
    assert outcome.summary.exit_code == 0
    assert notebooks.parameters["ladder"]["rivals"] == ["static-int8"]

    del notebooks.executed[:]
    without = begin(notebooks, lacking={"bf16": "no.", "int8": "no."}, run_dir=outcome.run.folder, resume=True)
    assert "ladder" not in notebooks.executed
    assert notebooks.parameters["why"]["candidates"] == ["static-int8"]
    assert [one.name for one in without.summary.steps if one.status == "skipped"] == ["int8", "bf16"]


@pytest.mark.parametrize(
    ("verdicts", "exit_code"),
    [
        (("approved", "quarantined", "undecided"), 0),
        (("quarantined", "quarantined", "quarantined"), 2),
        (("quarantined", "undecided", "quarantined"), 5),
        (("approved", "quarantined", "cell-error"), 4),
    ],
)
def test_the_exit_code_follows_from_the_records(
    begin: Callable[..., Outcome], verdicts: tuple[str, ...], exit_code: int
) -> None:
    """Something approved is 0, all quarantined 2, undecided 5, and a failed notebook stands above them."""
    outcome = begin(FakeNotebooks(dict(zip(("int8", "static-int8", "bf16"), verdicts, strict=True))))

    assert outcome.summary.exit_code == exit_code
    assert {one.name for one in outcome.candidates} == {"int8", "static-int8", "bf16"}


def test_a_run_that_ends_enters_the_history(begin: Callable[..., Outcome], told: list[str]) -> None:
    """Where it measured is written first, and its results are added last."""
    begin(FakeNotebooks())

    assert told == ["begun", "entered"]


def test_a_run_without_experiments_is_done(begin: Callable[..., Outcome], params_file: Path) -> None:
    """Nothing was asked, so nothing is missing."""
    params_file.write_text("workload: reviews-tiny\n")
    outcome = begin(FakeNotebooks())

    assert (outcome.summary.exit_code, outcome.candidates) == (0, ())


@pytest.mark.parametrize("name", ["baseline", "int8", "report"])
def test_a_failed_notebook_stops_nothing_else(begin: Callable[..., Outcome], name: str) -> None:
    """The other experiments and the report are made all the same, and the record says what failed."""
    stream = io.StringIO()
    notebooks = FakeNotebooks({name: "kernel-died"})
    outcome = begin(notebooks, stream=stream)

    assert notebooks.executed == ["baseline", "int8", "static-int8", "bf16", "report"]
    assert outcome.summary.exit_code == 4
    assert outcome.summary.reason == f"{name}: kernel-died"
    assert [step.name for step in outcome.summary.steps if step.status == "failed"] == [name]
    assert outcome.run.read(Failure, name) == Failure(name, "kernel-died", f"{name} had to fail.")
    assert f"{name} failed (kernel-died): {name} had to fail." in stream.getvalue()


def test_a_failed_candidate_is_judged_failed(begin: Callable[..., Outcome]) -> None:
    """Its reason is the sentence of its failure."""
    outcome = begin(FakeNotebooks({"int8": "timeout"}))
    failed = next(one for one in outcome.candidates if one.name == "int8")

    assert (failed.verdict, failed.reasons) == ("failed", ("int8 had to fail.",))


def test_only_keeps_the_named_experiments(begin: Callable[..., Outcome]) -> None:
    """The others are not run, and order is that of the file."""
    notebooks = FakeNotebooks()
    begin(notebooks, only=["bf16", "int8"])

    assert notebooks.executed == ["baseline", "int8", "bf16", "report"]


# --- resuming ---------------------------------------------------------------------------------------------------


def test_resume_does_nothing_where_nothing_changed(begin: Callable[..., Outcome]) -> None:
    """Every step stands, and the record is as before."""
    first = begin(FakeNotebooks())
    notebooks, stream = FakeNotebooks(), io.StringIO()
    second = begin(notebooks, resume=True, stream=stream)

    assert notebooks.executed == []
    assert stream.getvalue().count(": unchanged\n") == 5
    assert second.run == first.run
    assert second.summary.ulid == first.summary.ulid
    assert second.summary.steps == first.summary.steps
    assert second.candidates == first.candidates


def test_resume_redoes_a_changed_experiment_and_the_report(begin: Callable[..., Outcome], params_file: Path) -> None:
    """Records of others whose names end alike are left alone."""
    first = begin(FakeNotebooks())
    other = first.run.record_path("comparison", "static-int8")
    inode = other.stat().st_ino
    changed = params_file.parent / "experiments" / "int8.yaml"
    changed.write_text(changed.read_text().replace("fewer bytes", "of another reason"))
    notebooks = FakeNotebooks({"int8": "quarantined"})
    outcome = begin(notebooks, resume=True)

    assert notebooks.executed == ["int8", "report"]
    assert other.stat().st_ino == inode
    assert [one.verdict for one in outcome.candidates] == ["approved", "quarantined", "approved"]


def test_a_step_that_is_redone_forgets_its_old_answers(begin: Callable[..., Outcome], params_file: Path) -> None:
    """No table of an earlier attempt stands beside a new record; those of names that end alike are left alone."""
    kinds = ("predictions-{}.parquet", "probes-{}.parquet", "exemplars-{}.csv")
    folder = begin(FakeNotebooks()).run.folder / "records"
    for path in (folder / kind.format(name) for kind in kinds for name in ("int8", "static-int8")):
        pd.DataFrame({"id": ["a"]}).to_parquet(path)
    changed = params_file.parent / "experiments" / "int8.yaml"
    changed.write_text(changed.read_text().replace("fewer bytes", "of another reason"))
    begin(FakeNotebooks({"int8": "cell-error"}), resume=True)

    assert [kind for kind in kinds if (folder / kind.format("int8")).exists()] == []
    assert [kind for kind in kinds if not (folder / kind.format("static-int8")).exists()] == []
    assert not (folder / "validation-int8.json").exists()


def test_a_signed_pack_survives_a_resume(begin: Callable[..., Outcome]) -> None:
    """Nobody's signature is lost because a run was looked at again; a line says so."""
    pack = begin(FakeNotebooks()).run.folder / "evidence"
    (pack / "bundle.dsse.json").write_text("{}")
    before = {path: path.read_bytes() for path in pack.rglob("*") if path.is_file()}
    stream = io.StringIO()
    begin(FakeNotebooks(), resume=True, stream=stream)

    assert {path: path.read_bytes() for path in pack.rglob("*") if path.is_file()} == before
    assert "evidence: signed, so it is left as it is" in stream.getvalue()


def test_an_edit_that_cannot_be_costs_no_measurement(begin: Callable[..., Outcome], params_file: Path) -> None:
    """What was shipped may fail its gates now: the run ends with the sentence, its records and its report."""
    edits = "workloads: {reviews-tiny: {OPT-int8: {status: shipped}}}\n"
    (params_file.parent / "backlog.yaml").write_text(edits)
    stream = io.StringIO()
    with pytest.raises(ParameterError, match="OPT-int8 is shipped"):
        begin(FakeNotebooks({"int8": "quarantined"}), stream=stream)

    assert "decision not made" in stream.getvalue()
    assert "perflib report" in stream.getvalue()


def test_a_new_waiver_is_no_reason_to_time_again(begin: Callable[..., Outcome], params_file: Path) -> None:
    """It is applied by validating, which takes seconds."""
    begin(FakeNotebooks())
    (params_file.parent / "waivers.yaml").write_text("waivers: []\n")
    notebooks = FakeNotebooks()
    begin(notebooks, resume=True)

    assert notebooks.executed == []


def test_resume_redoes_what_failed(begin: Callable[..., Outcome]) -> None:
    """The failure's record goes when the second attempt succeeds."""
    first = begin(FakeNotebooks({"bf16": "timeout"}))
    notebooks = FakeNotebooks()
    outcome = begin(notebooks, resume=True)

    assert notebooks.executed == ["bf16", "report"]
    assert (outcome.summary.exit_code, outcome.summary.reason) == (0, None)
    assert first.run.read(Failure, "bf16") is None


def test_resume_redoes_everything_with_another_baseline(begin: Callable[..., Outcome]) -> None:
    """It is an input of every step but the report, which reads the records, and they came out the same."""
    begin(FakeNotebooks())
    notebooks = FakeNotebooks()
    begin(notebooks, resume=True, prepared="q" * 64)

    assert notebooks.executed == ["baseline", "int8", "static-int8", "bf16"]


@pytest.mark.parametrize("lost", ["notebooks/02_bf16.ipynb", "report.html"])
def test_resume_redoes_what_is_missing(begin: Callable[..., Outcome], lost: str) -> None:
    """A step without its notebook, or a report without its page, does not stand."""
    first = begin(FakeNotebooks())
    (first.run.folder / lost).unlink()
    notebooks = FakeNotebooks()
    begin(notebooks, resume=True, run_dir=first.run.folder)

    assert notebooks.executed[0] == ("bf16" if "bf16" in lost else "report")


def test_resume_forgets_what_the_file_no_longer_names(begin: Callable[..., Outcome], params_file: Path) -> None:
    """A removed experiment leaves no record that the report would show, and takes none of another."""
    begin(FakeNotebooks())
    params_file.write_text(PARAMS.replace("int8, static", "static"))
    notebooks = FakeNotebooks()
    outcome = begin(notebooks, resume=True)

    assert notebooks.executed == ["report"]
    assert [one.name for one in outcome.candidates] == ["bf16", "static-int8"]
    assert [step.name for step in outcome.summary.steps] == ["baseline", "static-int8", "bf16", "report"]


def test_resume_without_a_run_is_refused(params_file: Path, own_folders: Path) -> None:
    """There is nothing to go on with."""
    with pytest.raises(ParameterError, match="no run of p to resume; start one without --resume"):
        run_params(params_file, resume=True)

    assert not own_folders.exists()


# --- interruptions ----------------------------------------------------------------------------------------------


def raise_interrupted(number: int) -> None:
    """Do as `raising_signals` does."""
    raise InterruptedRunError("a signal ended the run; go on with --resume.", signal_number=number)


@pytest.mark.parametrize(
    ("interrupt", "exit_code"),
    [
        (functools.partial(raise_interrupted, signal.SIGTERM), 143),
        (functools.partial(os.kill, os.getpid(), signal.SIGINT), 130),
        (functools.partial(os.kill, os.getpid(), signal.SIGTERM), 143),
    ],
    ids=["exception", "SIGINT", "SIGTERM"],
)
def test_an_interrupted_run_is_consistent_and_can_go_on(
    begin: Callable[..., Outcome], own_folders: Path, interrupt: Callable[[], None], exit_code: int
) -> None:
    """The record says interrupted, no step is left running, and resume redoes the step that was cut."""
    with pytest.raises(InterruptedRunError) as caught:
        begin(FakeNotebooks({"static-int8": interrupt}))
    found = the_only_run(own_folders)

    assert caught.value.exit_code == exit_code
    assert (found.status, found.exit_code) == ("interrupted", exit_code)
    assert [(one.name, one.status) for one in found.steps] == [
        ("baseline", "done"),
        ("int8", "done"),
        ("static-int8", "failed"),
    ]
    assert found.steps[-1].reason == "interrupted"
    assert {one.name: one.verdict for one in found.candidates} == {"int8": "approved", "static-int8": "failed"}

    notebooks = FakeNotebooks()
    outcome = begin(notebooks, resume=True)

    assert notebooks.executed == ["static-int8", "bf16", "report"]
    assert (outcome.summary.status, outcome.summary.exit_code) == ("done", 0)
    assert outcome.summary.ulid == found.ulid


def test_a_report_that_cannot_be_rendered_fails_the_run(
    begin: Callable[..., Outcome], own_folders: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The record has the sentence and the code of the error."""

    def refuse(*_: object, **__: object) -> None:
        raise NotebookError("04_report.ipynb holds a script; remove it.")

    monkeypatch.setattr(report, "render_report", refuse)
    with pytest.raises(NotebookError):
        begin(FakeNotebooks())
    found = the_only_run(own_folders)

    assert (found.status, found.exit_code) == ("failed", 4)
    assert found.reason == "04_report.ipynb holds a script; remove it."
    assert found.steps[-1].status == "failed"


# --- what is refused --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("workload: reviews-tinny\n", r"`reviews-tinny` is not known; did you mean `reviews-tiny`\?"),
        ("workload: reviews-tiny\nexperiments: [int9]\n", r"`int9` has no file in .*; did you mean `int8`\?"),
        ("workload: reviews-tiny\nguardrails: others.yaml\n", r"others\.yaml does not exist"),
        ("workload: reviews-tiny\nsead: 1\n", r"`sead` is not a parameter of .*; did you mean `seed`\?"),
        ("workload: reviews-tiny\ndevice: cuda\n", "no CUDA device"),
    ],
    ids=["workload", "experiment", "guardrails", "key", "device"],
)
def test_a_mistake_leaves_nothing_behind(params_file: Path, own_folders: Path, text: str, words: str) -> None:
    """Everything that can be checked is checked before a folder is made."""
    if "cuda" in text and run_module.machine.has_cuda():
        pytest.skip("this machine has a CUDA device")
    params_file.write_text(text)
    with pytest.raises((ParameterError, SetupError), match=words):
        run_params(params_file)

    assert not own_folders.exists()


def test_only_an_unknown_experiment_is_refused(params_file: Path, own_folders: Path) -> None:
    """`--only` names experiments of the file."""
    with pytest.raises(ParameterError, match=r"--only bf61 is no experiment of .*; did you mean `bf16`\?"):
        run_params(params_file, only=["bf61"])

    assert not own_folders.exists()


@pytest.mark.parametrize("name", ["baseline", "machine", "report"])
def test_an_experiment_cannot_take_the_name_of_a_step(params_file: Path, own_folders: Path, name: str) -> None:
    """Its records would stand where the run's own do."""
    (params_file.parent / "experiments" / f"{name}.yaml").write_text(EXPERIMENT.format(name=name))
    params_file.write_text(f"workload: reviews-tiny\nexperiments: [{name}]\n")
    with pytest.raises(ParameterError, match="is taken by the run itself"):
        run_params(params_file)

    assert not own_folders.exists()


def test_a_second_run_in_the_same_folder_is_refused(begin: Callable[..., Outcome], tmp_path: Path) -> None:
    """A run is not written over."""
    folder = tmp_path / "run"
    begin(FakeNotebooks(), run_dir=folder)
    before = (folder / SUMMARY_FILE).read_bytes()
    with pytest.raises(ParameterError, match="holds a run already; add --resume"):
        begin(FakeNotebooks(), run_dir=folder)

    assert (folder / SUMMARY_FILE).read_bytes() == before


def test_a_foreign_folder_is_refused(begin: Callable[..., Outcome], tmp_path: Path) -> None:
    """A folder with other things in it is left as it is, also with `--resume`."""
    folder = tmp_path / "photos"
    folder.mkdir()
    (folder / "cat.jpg").write_bytes(b"")
    for resume in (False, True):
        with pytest.raises(ParameterError, match="is not empty and holds no run"):
            begin(FakeNotebooks(), run_dir=folder, resume=resume)

    assert [path.name for path in folder.iterdir()] == ["cat.jpg"]


@pytest.mark.parametrize("below", ["", "run"])
def test_a_folder_that_cannot_be_made_is_refused(begin: Callable[..., Outcome], tmp_path: Path, below: str) -> None:
    """A regular file is no place for a run."""
    (tmp_path / "file").write_text("")
    with pytest.raises(SetupError, match=r"cannot be made .*; name a writable one"):
        begin(FakeNotebooks(), run_dir=tmp_path / "file" / below)


def test_a_damaged_record_is_not_written_over(begin: Callable[..., Outcome], tmp_path: Path) -> None:
    """Resume refuses a run whose record cannot be read."""
    begin(FakeNotebooks(), run_dir=tmp_path / "run")
    (tmp_path / "run" / SUMMARY_FILE).write_text('{"schema": "perflib/run/1"')
    with pytest.raises(Exception, match="is not strict JSON"):
        begin(FakeNotebooks(), run_dir=tmp_path / "run", resume=True)


# --- the report once more ---------------------------------------------------------------------------------------


def test_the_report_of_the_newest_run_is_written_again(
    begin: Callable[..., Outcome], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a folder the newest finished run is taken."""
    outcome = begin(FakeNotebooks())
    outcome.run.report.unlink()
    monkeypatch.setattr(again, "execute", FakeNotebooks())
    monkeypatch.setattr(again, "render_report", report.render_report)

    assert again.report_again(None, with_pdf=False) == [outcome.run.report, outcome.run.folder / "evidence"]
    assert outcome.run.report.is_file()


def test_a_report_that_fails_is_an_error(begin: Callable[..., Outcome], monkeypatch: pytest.MonkeyPatch) -> None:
    """`perflib report` leaves with 4 and the sentence."""
    outcome = begin(FakeNotebooks())
    monkeypatch.setattr(again, "execute", FakeNotebooks({"report": "cell-error"}))
    with pytest.raises(NotebookError, match="report had to fail"):
        again.report_again(str(outcome.run.folder), with_pdf=False)


def test_a_report_of_no_run_is_refused(params_file: Path, tmp_path: Path) -> None:
    """Neither a foreign folder nor an empty outputs folder has anything to report."""
    with pytest.raises(ParameterError, match="is no run folder"):
        again.report_again(str(tmp_path), with_pdf=False)
    with pytest.raises(ParameterError, match="there is no finished run yet"):
        again.report_again(None, with_pdf=False)


# --- one real run -----------------------------------------------------------------------------------------------

RECORDS = {
    "canary-cpu": Canary,
    "canary-memory": Canary,
    "environment-lock-run": EnvironmentLock,
    "provenance-run": Provenance,
    "prices-run": PriceBook,
    "finops-run": Finops,
    "carbon-run": Carbon,
    "backlog-run": Backlog,
    "risks-run": RiskRegister,
    "ceilings-machine": Ceilings,
    "machine-ceilings-machine": MachineCeilings,
    "profile-baseline-offline": Profile,
    "profile-int8-offline": Profile,
    "roofline-baseline-offline": Roofline,
    "roofline-int8-offline": Roofline,
    "baseline-baseline": Baseline,
    "findings-baseline": Findings,
    "ladder-int8": Ladder,
    "prediction-int8": Prediction,
    "build-int8": Build,
    "end-to-end-int8": EndToEnd,
    "comparison-int8": Comparison,
    "validation-int8": Validation,
}


@pytest.mark.notebooks
def test_a_smoke_run_ends_with_a_result(smoke_run: Outcome) -> None:
    """The record fits its schema, and a smoke run succeeds with 0 or 5."""
    document = json.loads((smoke_run.run.folder / SUMMARY_FILE).read_bytes())
    jsonschema.validate(document, run_schema())

    assert document["status"] == "done"
    assert document["exit_code"] in (0, 5)
    assert [step["name"] for step in document["steps"]] == ["baseline", "int8", "why", "report"]
    assert [one["name"] for one in document["candidates"]] == ["int8"]
    assert document["params"]["workload"] == "reviews-tiny"
    assert document["machine"]["hardware_class"]


@pytest.mark.notebooks
def test_a_smoke_run_leaves_every_record(smoke_run: Outcome) -> None:
    """Each record is there, of its kind, and read strictly."""
    folder = smoke_run.run.folder / "records"

    plans = {f"rollout-{one.name}" for one in smoke_run.candidates if one.verdict == "approved"}
    assert {path.stem for path in folder.glob("*.json")} == set(RECORDS) | plans
    assert {path.name for path in folder.iterdir() if path.suffix != ".json"} == {
        *("predictions-int8.parquet", "probes-int8.parquet", "exemplars-int8.csv")
    }
    for name, kind in RECORDS.items():
        assert kind.read(folder / f"{name}.json").schema == kind.schema


@pytest.mark.notebooks
def test_a_smoke_run_keeps_its_artifacts(smoke_run: Outcome) -> None:
    """Baseline and candidate can be loaded from the run."""
    from perflib.artifact import Artifact

    build = smoke_run.run.read(Build, "int8")
    assert build is not None

    assert Artifact.load(smoke_run.run.artifact_folder("int8")).digest == build.artifact_sha256
    assert Artifact.load(smoke_run.run.artifact_folder("baseline")).digest == build.parent_sha256


@pytest.mark.notebooks
def test_a_smoke_run_asks_everything(smoke_run: Outcome) -> None:
    """Every example and every suite, by the limits that the run registered, of the models that were timed."""
    found, timed = smoke_run.run.read(Validation, "int8"), smoke_run.run.read(Comparison, "int8")
    described = smoke_run.run.read(Baseline, "baseline")
    assert found is not None
    assert timed is not None
    assert described is not None

    assert found.guardrails_sha256 == smoke_run.summary.guardrails_sha256
    assert found.example_count == described.test_count
    assert found.baseline_accuracy_ratio == described.accuracy_ratio.estimate
    assert {one.suite for one in found.probes} == {"perturbation", "counterfactual", "behaviour"}
    assert found.identity.candidate_sha256 == timed.candidate_sha256
    assert {gate.id: gate.verdict for gate in found.gates if gate.id in ("A13", "A14", "A15", "A16")} == dict.fromkeys(
        ("A13", "A14", "A15", "A16"), "PASS"
    )


@pytest.mark.notebooks
def test_a_smoke_run_validated_again_stays_as_it_is(smoke_run: Outcome) -> None:
    """The command asks what the notebook asked: record, answers and `run.json` are the same to the byte."""
    folder = smoke_run.run.folder
    paths = [folder / SUMMARY_FILE, *sorted((folder / "records").iterdir())]
    before = {path: path.read_bytes() for path in paths}
    done = validate_named(f"{folder}:int8")

    assert done.is_kept
    assert [path.name for path in paths if path.read_bytes() != before[path]] == []
    assert sorted((folder / "records").iterdir()) == paths[1:]


@pytest.mark.notebooks
def test_the_figures_of_a_smoke_run_are_described(smoke_run: Outcome) -> None:
    """Every figure is an SVG that says in words what it shows."""
    figures = sorted((smoke_run.run.folder / "figures").glob("*"))

    assert "decision.svg" in [path.name for path in figures]
    for path in figures:
        tree = ElementTree.parse(path).getroot()
        description = tree.findtext(".//{http://purl.org/dc/elements/1.1/}description")

        assert tree.tag == "{http://www.w3.org/2000/svg}svg"
        assert description is not None, path.name
        assert len(description.split()) >= 3, path.name


@pytest.mark.notebooks
def test_another_team_reads_the_numbers_with_scrapbook(smoke_run: Outcome) -> None:
    """The scraps of the executed notebooks are scrapbook's own, and equal to the records."""
    import scrapbook

    books = scrapbook.read_notebooks(str(smoke_run.run.folder / "notebooks"))
    comparison = books["02_int8"].scraps["comparison"].data
    record = smoke_run.run.read(Comparison, "int8")
    assert record is not None

    assert sorted(books) == ["01_baseline", "02_int8", "02_why", "04_report"]
    assert comparison["scenarios"][0]["speedup_ratio"]["estimate"] == record.scenarios[0].speedup_ratio.estimate
    assert "lives" not in comparison["scenarios"][0]
    assert books["04_report"].scraps["complete"].data["run_id"] == smoke_run.run.run_id


@pytest.mark.notebooks
def test_the_report_of_a_smoke_run_is_for_stakeholders(smoke_run: Outcome) -> None:
    """The page names the candidate and its verdict, and holds no script and no code."""
    page = smoke_run.run.report.read_text(encoding="utf-8")

    assert "int8" in page
    assert smoke_run.candidates[0].verdict in page
    assert "<script" not in page.lower()
    assert "ReportView" not in page


@pytest.mark.notebooks
def test_a_smoke_run_can_be_opened_in_tensorboard(smoke_run: Outcome) -> None:
    """The compatible traces lie where `tensorboard --logdir` looks."""
    traces = list((smoke_run.run.folder / "traces" / "tensorboard").rglob("*.pt.trace.json*"))

    assert traces != []


@pytest.mark.notebooks
def test_resuming_a_smoke_run_does_nothing(smoke_run: Outcome, own_folders: Path) -> None:
    """With the same files every step is unchanged."""
    stream = io.StringIO()
    outcome = run_params(
        project.root() / "params" / "smoke.yaml", run_dir=smoke_run.run.folder, resume=True, stream=stream
    )

    assert [line for line in stream.getvalue().splitlines() if line.endswith(": unchanged")] == [
        "baseline: unchanged",
        "int8: unchanged",
        "why: unchanged",
        "report: unchanged",
    ]
    assert outcome.summary.steps == smoke_run.summary.steps
    assert outcome.candidates == smoke_run.candidates


@pytest.mark.notebooks
def test_the_evidence_of_a_smoke_run_verifies(smoke_run: Outcome) -> None:
    """Every rule holds for a real run, and every number of its report is that of its record."""
    today = datetime.datetime.now(datetime.UTC).date()
    check = verify_pack(smoke_run.run.folder / "evidence", is_integrity_only=True, today=today)

    assert (check.exit_code, check.problems) == (0, ())
    assert sum(one.checked_count for one in check.rules) > 200


@pytest.mark.notebooks
def test_the_report_of_a_smoke_run_is_written_again(smoke_run: Outcome) -> None:
    """`perflib report RUN` makes the page from the records alone."""
    smoke_run.run.report.unlink()

    written = [smoke_run.run.report, smoke_run.run.folder / "evidence"]
    assert again.report_again(str(smoke_run.run.folder), with_pdf=False) == written
    assert "int8" in smoke_run.run.report.read_text(encoding="utf-8")
