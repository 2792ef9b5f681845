"""`perflib validate`: registered limits only, answers kept with the verdict they led to, trials that leave no trace."""

import dataclasses
import datetime
import hashlib
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from numpy.typing import NDArray

from perflib import machine, project, records, validating
from perflib.artifact import Artifact
from perflib.errors import DataError, ParameterError
from perflib.guardrails import load_guardrails
from perflib.records import sha256_file
from perflib.results import Build, Comparison, RunSummary, Step, Validation
from perflib.runs import SUMMARY_FILE, Run
from perflib.validating import (
    Limits,
    Validated,
    churn_path,
    known_churn,
    load_limits,
    measure_churn,
    validate_named,
)
from perflib.validation.distances import distances
from perflib.validation.exemplars import read_csv
from perflib.validation.perturbations import KINDS, perturb
from perflib.validation.predictions import Paired
from perflib.validation.probes import ProbeAnswers
from perflib.verdict import QUARANTINE_FILE
from perflib.workloads import get_workload
from tests.synthetic_records import build, comparison, scenario
from tests.test_ask import Counting, ManyWords, SameWords, Words, word_numbers, write_model
from tests.test_cli import assert_one_sentence, leave

GUARDRAILS = {
    "lossy": {
        "A3-all": {"limit": 0.02, "source": "us"},
        "A13": {"limit": 0, "source": "us"},
    },
    "strict": {"A3-all": {"limit": 0, "source": "us"}},
    "retrained": {"A3-all": {"limit": 0, "above_churn": True, "source": "us"}},
}
LOOSE = {"lossy": {"A3-all": {"limit": 0.9, "source": "us"}}}
RUN_ID = "20260101-000000_words_nogit"


@pytest.fixture
def root(tmp_path: Path, own_folders: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make a project with a few limits and a cache of its own, and return its params folder."""
    for name in ("notebooks", "params", "perflib"):
        (tmp_path / "project" / name).mkdir(parents=True)
    monkeypatch.setenv("PERFLIB_ROOT", str(tmp_path / "project"))
    monkeypatch.setenv("PERFLIB_CACHE_DIR", str(tmp_path / "cache"))
    write_yaml(tmp_path / "project" / "params" / "guardrails.yaml", GUARDRAILS)
    return tmp_path / "project" / "params"


@pytest.fixture
def run(root: Path, own_folders: Path) -> Run:
    """
    Make a finished run with a candidate that changes no answer (`same`) and one that changes many (`worse`).

    Nobody has validated either of them; `run.json` says what only a validation can put right.
    """
    made = Run(own_folders / RUN_ID)
    workload = Words()
    prepared = workload.prepare()
    baseline = made.keep_artifact(prepared, "baseline", runtime=prepared.spec.runtime)
    inputs = workload.encode(workload.splits().test.inputs)
    for name, table in (("same", word_numbers()), ("worse", word_numbers(shift=0.75))):
        model = write_model(made.artifact_folder(name), table, labels=Words.labels, details=name)
        made.write(build(name=name, artifact_sha256=model.digest, parent_sha256=baseline.digest), name)
        timed = comparison(
            scenario("offline"),
            name=name,
            baseline_sha256=baseline.digest,
            candidate_sha256=model.digest,
            inputs_sha256=inputs.digest(),
            hardware_class=machine.read_card().hardware_class,
        )
        made.write(timed, name)
    summary_of(made, root).write(made.folder / SUMMARY_FILE)
    return made


def write_yaml(path: Path, document: Any) -> Path:
    """Write a params file."""
    path.write_text(yaml.safe_dump(document), encoding="utf-8")
    return path


def summary_of(run: Run, folder: Path, **change: Any) -> RunSummary:
    """Return what a finished run says of itself."""
    one = RunSummary(
        run_id=run.run_id,
        ulid="0" * 26,
        status="done",
        reason=None,
        exit_code=4,
        commit="nogit",
        started="2026-01-01T00:00:00Z",
        wall_sec=1.0,
        params_name="words",
        params={"workload": Words.name, "seed": 0, "guardrails": "guardrails.yaml", "waivers": "waivers.yaml"},
        params_sha256="",
        guardrails_sha256=sha256_file(folder / "guardrails.yaml"),
        code_sha256="",
        machine={},
        steps=(),
        candidates=(),
    )
    return dataclasses.replace(one, **change)


def summary(run: Run) -> RunSummary:
    """Return what a run says of itself now."""
    found = run.summary()
    assert found is not None
    return found


def only(run: Run, name: str) -> str:
    """Take the other candidate out of a run, and return the word for this one."""
    for other in {"same", "worse"} - {name}:
        shutil.rmtree(run.artifact_folder(other))
        for kind in (Build, Comparison):
            run.record_path(kind.schema.split("/")[1], other).unlink()
    return f"{RUN_ID}:{name}"


def files(folder: Path) -> dict[str, str]:
    """Return the digest of every file below a folder."""
    found = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in found}


def waiver(run: Run, name: str, gate: str = "A3-all") -> dict[str, str]:
    """Return a waiver that holds today."""
    today = datetime.datetime.now(datetime.UTC).date()
    return {
        "artifact": Artifact.load(run.artifact_folder(name)).digest[:12],
        "gate": gate,
        "owner": "Ada",
        "reason": "It is repaired next week.",
        "compensating_control": "The old model answers until then.",
        "granted": str(today - datetime.timedelta(days=1)),
        "expires": str(today + datetime.timedelta(days=30)),
    }


# --- exit codes ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "code"), [("same", 0), ("worse", 2)])
def test_the_verdict_is_the_exit_code(run: Run, name: str, code: int) -> None:
    """0 where every gate passes, 2 where one fails."""
    done = validate_named(f"{RUN_ID}:{name}")

    assert done.validation.verdict == ("PASS" if code == 0 else "FAIL")
    assert (done.exit_code, done.is_kept, done.run) == (code, True, run)


def test_what_is_not_decided_is_no_pass(run: Run) -> None:
    """Where nothing was timed nobody knows whether speed and answers are of one model: 5."""
    run.record_path("comparison", "same").unlink()
    done = validate_named(f"{RUN_ID}:same")

    assert {gate.id: gate.verdict for gate in done.validation.gates} == {"A3-all": "PASS", "A13": "INCONCLUSIVE"}
    assert done.exit_code == 5


@pytest.mark.parametrize(("verdict", "code"), [("PASS", 0), ("WARN", 0), ("FAIL", 2), ("INCONCLUSIVE", 5)])
def test_every_verdict_has_its_code(tmp_path: Path, verdict: Any, code: int) -> None:
    """A warning is no reason to stop."""
    from tests.synthetic_records import validation

    assert Validated(validation(verdict=verdict), Run(tmp_path), is_kept=True).exit_code == code


def test_a_person_reads_what_does_not_pass(run: Run, root: Path) -> None:
    """The sentence on quality first, then open gates, waivers and notes; a gate that passes needs no line."""
    write_yaml(root / "waivers.yaml", {"waivers": [waiver(run, "worse")]})
    first, gate, waived, note = validate_named(f"{RUN_ID}:worse").lines

    assert first.startswith("Accuracy changes by ")
    assert gate.startswith("FAIL A3-all: ")
    assert waived.startswith("waived A3-all: Ada, until ")
    assert note == "note: Made by hand."


# --- limits -------------------------------------------------------------------------------------------------------


def test_limits_that_were_not_registered_are_refused(run: Run, root: Path) -> None:
    """The sentence has both digests, no model is asked, and nothing is written."""
    registered = sha256_file(root / "guardrails.yaml")
    write_yaml(root / "guardrails.yaml", GUARDRAILS | LOOSE)
    now, before = sha256_file(root / "guardrails.yaml"), files(run.folder)
    with pytest.raises(ParameterError) as refused:
        validate_named(f"{RUN_ID}:worse")

    assert registered != now
    assert f"guardrails.yaml has sha256 {now[:12]}… where the run registered {registered[:12]}…" in str(refused.value)
    assert files(run.folder) == before
    assert not project.answers_dir().exists()


def test_where_nothing_was_registered_the_limits_are_those_that_lie_there(run: Run, root: Path) -> None:
    """A notebook that a person opened makes a run without `run.json`."""
    (run.folder / SUMMARY_FILE).unlink()
    limits = load_limits(run, file="guardrails.yaml", profile="strict", waivers="waivers.yaml")
    done = validate_named(f"{RUN_ID}:same")

    assert (limits.sha256, limits.profile, limits.waivers) == (sha256_file(root / "guardrails.yaml"), "strict", ())
    assert (done.exit_code, done.is_kept, done.validation.guardrails_sha256) == (0, True, limits.sha256)
    assert not (run.folder / SUMMARY_FILE).exists()


def test_the_files_that_the_run_named_are_read(run: Run, root: Path) -> None:
    """Limits and waivers may lie in others than the usual ones."""
    write_yaml(root / "ours.yaml", LOOSE)
    write_yaml(root / "let-pass.yaml", {"waivers": [waiver(run, "worse")]})
    named = {"workload": Words.name, "guardrails": "ours.yaml", "waivers": "let-pass.yaml"}
    sha256 = sha256_file(root / "ours.yaml")
    summary_of(run, root, params=named, guardrails_sha256=sha256).write(run.folder / SUMMARY_FILE)

    assert validate_named(f"{RUN_ID}:worse").validation.guardrails_sha256 == sha256
    (root / "let-pass.yaml").write_text("waivers: no\n")
    with pytest.raises(ParameterError, match=r"let-pass\.yaml is not one list"):
        validate_named(f"{RUN_ID}:worse")


def test_an_unknown_profile_is_refused_before_anybody_is_asked(run: Run) -> None:
    """The nearest is named."""
    before = files(run.folder)
    with pytest.raises(ParameterError, match=r"profile `stric` is not in the file; did you mean `strict`\?"):
        validate_named(f"{RUN_ID}:same", profile="stric")

    assert files(run.folder) == before
    assert not project.answers_dir().exists()


def test_our_own_limits_can_be_used() -> None:
    """Every profile that we ship."""
    guardrails, sha256 = load_guardrails("guardrails.yaml", project.root() / "params")

    assert [Limits(guardrails, sha256, profile).profile for profile in guardrails] == ["lossy", "retrained", "lossless"]


# --- names --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("20260101-000000_word_nogit:same", "there is no run 20260101-000000_word_nogit with artifacts; did you mean"),
        (f"{RUN_ID}:sane", "has no artifact `sane`; did you mean `same`?"),
        (f"{RUN_ID}:baseline", "the baseline is what candidates are held against"),
        ("same", "same is no artifact's folder"),
    ],
)
def test_a_name_that_is_no_candidate_is_refused(run: Run, word: str, said: str) -> None:
    """Nothing is asked and nothing is written."""
    before = files(run.folder)
    with pytest.raises(ParameterError) as refused:
        validate_named(word)

    assert said in str(refused.value)
    assert files(run.folder) == before


def test_an_artifact_outside_of_a_run_has_no_baseline(run: Run, tmp_path: Path) -> None:
    """A folder is taken only where a run's baseline lies beside it."""
    write_model(tmp_path / "alone", word_numbers(), labels=Words.labels)
    shutil.copytree(run.artifact_folder("same"), tmp_path / "artifacts" / "same")

    for place in (tmp_path / "alone", tmp_path / "artifacts" / "same"):
        with pytest.raises(ParameterError, match="is no candidate of a run with a baseline; name one as RUN:name"):
            validate_named(str(place))


def test_a_candidate_may_be_named_by_its_folder(run: Run) -> None:
    """It lies in its run."""
    done = validate_named(str(run.artifact_folder("same")))

    assert (done.run, done.validation.name, done.is_kept) == (run, "same", True)


# --- what is kept -------------------------------------------------------------------------------------------------


def test_a_validation_keeps_every_answer(run: Run) -> None:
    """Record, answers to the test split and to the probes, and every answer that changed."""
    found = validate_named(f"{RUN_ID}:worse").validation
    folder, workload = run.folder / "records", Words()
    test = workload.splits().test
    model = Artifact.load(run.artifact_folder("worse"))
    paired = Paired.read(folder / "predictions-worse.parquet")
    probes = ProbeAnswers.read(folder / "probes-worse.parquet")
    changed = read_csv(folder / "exemplars-worse.csv")

    assert run.read(Validation, "worse") == found
    assert paired.ids == test.ids
    np.testing.assert_array_equal(paired.candidate, model.predict(workload.encode(test.inputs)))
    assert sum(one.probe_count for one in found.probes) == len(probes)
    assert len(changed) == found.changed_label_count > 0
    texts = dict(zip(test.ids, test.inputs, strict=True))
    assert [one["text"] for one in changed] == [texts[one["id"]] for one in changed]
    assert {one["baseline_label"] for one in changed} <= set(workload.labels)


def test_a_failing_candidate_is_quarantined(run: Run) -> None:
    """`run.json` names it with its reason and ends with 2, and its folder says so."""
    done = validate_named(only(run, "worse"))
    (candidate,), note = summary(run).candidates, run.artifact_folder("worse") / QUARANTINE_FILE
    (gate,) = [gate for gate in done.validation.gates if gate.verdict == "FAIL"]

    assert (candidate.name, candidate.verdict, candidate.reasons) == ("worse", "quarantined", (gate.sentence,))
    assert summary(run).exit_code == 2
    assert gate.sentence in note.read_text(encoding="utf-8")


def test_a_candidate_that_passes_leaves_quarantine(run: Run) -> None:
    """What an earlier validation wrote is taken back."""
    word = only(run, "same")
    note = run.artifact_folder("same") / QUARANTINE_FILE
    note.write_text("an old reason", encoding="utf-8")
    validate_named(word)

    assert [(one.name, one.verdict) for one in summary(run).candidates] == [("same", "approved")]
    assert summary(run).exit_code == 0
    assert not note.exists()


def test_the_rest_of_a_run_stays_what_it_is(run: Run) -> None:
    """Only verdicts and what follows from them are written anew."""
    before, old = files(run.folder), summary(run)
    validate_named(f"{RUN_ID}:same")
    now = files(run.folder)
    added = {f"records/{name}" for name in ("validation-same.json", "predictions-same.parquet", "exemplars-same.csv")}
    added |= {"records/probes-same.parquet", f"artifacts/worse/{QUARANTINE_FILE}"}

    assert set(now) - set(before) == added
    assert {name for name in before if now.get(name) != before[name]} == {SUMMARY_FILE}
    assert dataclasses.replace(summary(run), candidates=(), exit_code=4) == old
    assert [(one.name, one.verdict) for one in summary(run).candidates] == [("same", "approved"), ("worse", "failed")]
    assert summary(run).exit_code == 4


def test_validated_twice_is_validated_the_same(run: Run) -> None:
    """The second time nothing changes, to the byte."""
    validate_named(f"{RUN_ID}:worse")
    before = files(run.folder)
    validate_named(f"{RUN_ID}:worse")

    assert files(run.folder) == before


def test_a_failed_step_stands_above_a_good_candidate(run: Run, root: Path) -> None:
    """The report's notebook failed, and a validation does not put that right."""
    word = only(run, "same")
    step = Step("report", "04_report.ipynb", "failed", "cell-error", "", 1.0, is_modified=False)
    summary_of(run, root, steps=(step,)).write(run.folder / SUMMARY_FILE)
    validate_named(word)

    assert [one.verdict for one in summary(run).candidates] == ["approved"]
    assert summary(run).exit_code == 4


@pytest.mark.parametrize("status", ["running", "failed", "interrupted"])
def test_a_run_that_did_not_end_keeps_its_last_word(run: Run, root: Path, status: Any) -> None:
    """The record is new, and `run.json` is left to who goes on with the run."""
    summary_of(run, root, status=status, exit_code=None).write(run.folder / SUMMARY_FILE)
    before = (run.folder / SUMMARY_FILE).read_bytes()
    validate_named(f"{RUN_ID}:same")

    assert (run.folder / SUMMARY_FILE).read_bytes() == before
    assert run.read(Validation, "same") is not None


@pytest.mark.parametrize("content", ["{", '{"schema": "perflib/validation/1"}'], ids=["cut", "another version"])
def test_a_record_that_cannot_be_read_is_made_again(run: Run, content: str) -> None:
    """What it said is not asked for."""
    run.record_path("validation", "same").write_text(content, encoding="utf-8")

    found = validate_named(f"{RUN_ID}:same").validation

    assert run.read(Validation, "same") == found


# --- what is tried ------------------------------------------------------------------------------------------------


def test_other_limits_are_tried_and_nothing_is_kept(run: Run, tmp_path: Path) -> None:
    """Every file of the run is what it was, and the verdict is that of the other limits."""
    loose = write_yaml(tmp_path / "loose.yaml", LOOSE)
    validate_named(f"{RUN_ID}:worse")
    before = files(run.folder)
    done = validate_named(f"{RUN_ID}:worse", guardrails_file=loose)

    assert (done.exit_code, done.is_kept) == (0, False)
    assert done.validation.guardrails_sha256 == sha256_file(loose)
    assert files(run.folder) == before


def test_limits_may_be_tried_before_anything_was_validated(run: Run, tmp_path: Path) -> None:
    """The run's own limits may even be gone by then."""
    write_yaml(project.root() / "params" / "guardrails.yaml", LOOSE)
    before = files(run.folder)

    assert validate_named(f"{RUN_ID}:worse", guardrails_file=write_yaml(tmp_path / "a.yaml", GUARDRAILS)).exit_code == 2
    assert files(run.folder) == before


def test_another_profile_is_other_limits(run: Run) -> None:
    """A candidate that was judged by one profile is not promoted by another."""
    validate_named(f"{RUN_ID}:same", profile="strict")
    before = files(run.folder)
    again, other = validate_named(f"{RUN_ID}:same"), validate_named(f"{RUN_ID}:same", profile="lossy")

    assert (again.validation.profile, again.is_kept) == ("strict", True)
    assert (other.validation.profile, other.is_kept) == ("lossy", False)
    assert files(run.folder) == before


def test_limits_may_lie_behind_a_link(run: Run, tmp_path: Path) -> None:
    """The name that a person wrote is the one that is opened."""
    (tmp_path / "elsewhere").mkdir()
    link = tmp_path / "link.yaml"
    link.symlink_to(write_yaml(tmp_path / "elsewhere" / "loose.yaml", LOOSE))

    assert validate_named(f"{RUN_ID}:worse", guardrails_file=link).exit_code == 0


def test_limits_may_be_named_from_where_a_person_is(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not from `params/`, as those of a run are."""
    write_yaml(tmp_path / "loose.yaml", LOOSE)
    monkeypatch.chdir(tmp_path)

    assert validate_named(f"{RUN_ID}:worse", guardrails_file=Path("loose.yaml")).exit_code == 0
    with pytest.raises(ParameterError, match=r"los\.yaml does not exist; did you mean `loose\.yaml`\?"):
        validate_named(f"{RUN_ID}:worse", guardrails_file=Path("los.yaml"))


# --- waivers ------------------------------------------------------------------------------------------------------


def test_a_waiver_lets_a_failing_gate_through_as_a_warning(run: Run, root: Path) -> None:
    """The gate still says FAIL; the candidate is approved, and who answers for it stands in its reasons."""
    write_yaml(root / "waivers.yaml", {"waivers": [waiver(run, "worse")]})
    done = validate_named(only(run, "worse"))
    gate = next(gate for gate in done.validation.gates if gate.id == "A3-all")
    (candidate,) = summary(run).candidates

    assert (gate.verdict, gate.counts_as) == ("FAIL", "WARN")
    assert (done.validation.verdict, done.exit_code) == ("WARN", 0)
    assert candidate.verdict == "approved"
    assert "Waived by Ada, until " in candidate.reasons[-1]
    assert "It is repaired next week. Instead: The old model answers until then." in candidate.reasons[-1]
    assert not (run.artifact_folder("worse") / QUARANTINE_FILE).exists()


@pytest.mark.parametrize("change", [{"artifact": "0" * 12}, {"gate": "A1"}], ids=["artifact", "gate"])
def test_a_waiver_is_for_one_gate_of_one_artifact(run: Run, root: Path, change: dict[str, str]) -> None:
    """Another one changes nothing."""
    write_yaml(root / "waivers.yaml", {"waivers": [waiver(run, "worse") | change]})

    assert validate_named(f"{RUN_ID}:worse").exit_code == 2


def test_limits_that_are_tried_know_no_waiver(run: Run, root: Path) -> None:
    """They show what the limits themselves would say."""
    write_yaml(root / "waivers.yaml", {"waivers": [waiver(run, "worse")]})

    assert validate_named(f"{RUN_ID}:worse", guardrails_file=root / "guardrails.yaml").exit_code == 2


# --- the seed -----------------------------------------------------------------------------------------------------


def test_the_seed_is_that_of_the_run(run: Run, root: Path) -> None:
    """Of `run.json`, and where there is none, of the record before: another one would ask other probes."""
    named = {"workload": Words.name, "seed": 7}
    summary_of(run, root, params=named).write(run.folder / SUMMARY_FILE)
    first = validate_named(f"{RUN_ID}:same").validation
    (run.folder / SUMMARY_FILE).unlink()
    second = validate_named(f"{RUN_ID}:same").validation

    assert (first.seed, second.seed) == (7, 7)
    assert second == first


# --- churn --------------------------------------------------------------------------------------------------------


def labels_of(model: Artifact, workload: Words, texts: Sequence[str]) -> NDArray[np.intp]:
    """Return a model's answers to texts."""
    labels: NDArray[np.intp] = model.predict(workload.encode(texts)).argmax(axis=1)
    return labels


def fails_of(model: Artifact, workload: Words) -> Iterator[float]:
    """Yield which share of a kind of change turns a model's answer, for every kind that is judged."""
    test = workload.splits().test
    for kind in KINDS:
        rows, after = perturb(test.inputs, test.ids, kind, seed=0)
        if len(rows) >= 300 and not kind.is_reported_only:
            before = [test.inputs[row] for row in rows]
            yield float(np.mean(labels_of(model, workload, before) != labels_of(model, workload, after)))


def test_churn_counts_what_another_seed_changes(root: Path) -> None:
    """Flips, distances and the kind of change that is borne worst, counted here one by one, and kept for later."""
    churn, workload = measure_churn(ManyWords.name), ManyWords()
    models = [ManyWords(seed=seed).prepare() for seed in (0, 1)]
    test = workload.splits().test
    answers = [model.predict(workload.encode(test.inputs)) for model in models]
    before, after = (one.argmax(axis=1) == test.labels for one in answers)
    increases = [then - first for first, then in zip(*(fails_of(one, workload) for one in models), strict=True)]

    assert (churn.workload, churn.example_count, churn.split_sha256) == (ManyWords.name, 320, test.digest())
    assert (churn.baseline_sha256, churn.retrained_sha256) == (models[0].digest, models[1].digest)
    assert churn.negative_flip_ratio == np.mean(before & ~after) > 0
    assert churn.flips_ratio == np.mean(before != after) > churn.negative_flip_ratio
    assert churn.distances == distances(*answers)
    assert churn.worst_perturbation_increase_ratio == pytest.approx(max(increases))
    for one in churn.slices:
        assert 0 <= one.flip_count <= one.example_count <= 320
    margins = [one for one in churn.slices if one.column == "baseline margin"]
    assert sum(one.example_count for one in margins) == 320
    assert sum(one.flip_count for one in margins) == np.sum(before != after)
    assert known_churn(models[0]) == churn
    assert known_churn(models[1]) is None


def test_few_texts_say_nothing_of_perturbations(root: Path) -> None:
    """Eighty cannot show that a change is borne, so no increase is allowed for it."""
    assert measure_churn(Words.name).worst_perturbation_increase_ratio is None


def test_churn_starts_from_the_seed_that_is_asked_for(root: Path) -> None:
    """The baseline is that of the seed, the other model that of the next."""
    churn = measure_churn(Words.name, seed=3)

    assert churn.baseline_sha256 == Words(seed=3).prepare().digest
    assert churn.retrained_sha256 == Words(seed=4).prepare().digest


def test_what_is_not_trained_has_no_churn(root: Path) -> None:
    """Two seeds give one model, and that is said instead of zeros."""
    with pytest.raises(ParameterError, match=r"same model for seeds 0 and 1; it is not trained\.$"):
        measure_churn(SameWords.name)

    assert known_churn(SameWords().prepare()) is None


def test_a_retrained_model_that_answers_nothing_has_no_churn(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A training that diverged allows nobody anything."""
    monkeypatch.setattr(Words, "table", lambda words: word_numbers(shift=np.nan if words.seed else 0.0))

    with pytest.raises(ParameterError, match="is finite with seed 1"):
        measure_churn(Words.name)
    assert not churn_path(Words().prepare()).exists()


def test_known_churn_is_allowed_to_the_retrained(run: Run, root: Path) -> None:
    """Before it is measured such a gate is not decided; afterwards its limit has grown by that much."""
    unknown = validate_named(f"{RUN_ID}:worse", profile="retrained")
    churn = measure_churn(Words.name)
    known = validate_named(f"{RUN_ID}:worse").validation

    assert (unknown.validation.churn, unknown.exit_code) == (None, 5)
    assert known.churn == churn
    assert [(gate.id, gate.limit) for gate in known.gates] == [("A3-all", churn.flips_ratio)]


def test_a_damaged_churn_is_refused(run: Run) -> None:
    """It would loosen limits by nobody knows what."""
    baseline = Artifact.load(run.artifact_folder("baseline"))
    path = churn_path(baseline)
    path.parent.mkdir(parents=True)
    path.write_text("{}", encoding="utf-8")

    with pytest.raises(DataError, match="has schema None"):
        validate_named(f"{RUN_ID}:same")


# --- the baseline's answers -----------------------------------------------------------------------------------------


def test_the_baseline_is_asked_once_for_both_candidates(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Answers are cached for all runs."""
    loaded: list[Counting] = []

    class Counted(Artifact):
        @classmethod
        def load(cls, folder: Path) -> Artifact:
            loaded.append(Counting(Artifact.load(folder)))
            return loaded[-1]

    monkeypatch.setattr(validating, "Artifact", Counted)
    for name in ("same", "worse"):
        validate_named(f"{RUN_ID}:{name}")

    assert [len(one.asked) for one in loaded] == [2, 0]


# --- the command --------------------------------------------------------------------------------------------------


def test_the_command_prints_strict_json_and_nothing_else(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    """What a program reads is the record; where it lies is for people."""
    code, out, err = leave(capsys, "validate", f"{RUN_ID}:worse", "--json")

    assert code == 2
    assert Validation.from_dict(records.loads(out)) == run.read(Validation, "worse")
    assert f"kept in {run.folder}\n" in err


def test_the_command_tells_people(run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Sentences, and that nothing was kept of other limits."""
    loose = write_yaml(tmp_path / "loose.yaml", LOOSE)
    code, out, err = leave(capsys, "validate", f"{RUN_ID}:worse", "--guardrails", str(loose), "--profile", "lossy")

    assert code == 0
    assert out.startswith("Accuracy changes by ")
    assert "{" not in out
    assert err.splitlines()[-1] == "nothing was kept: these are not the registered limits"
    assert run.read(Validation, "worse") is None


def test_a_mistake_is_one_sentence_of_the_command(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    """It leaves with 1, which is no verdict."""
    code, out, err = leave(capsys, "validate", f"{RUN_ID}:baseline", "--json")

    assert (code, out) == (1, "")
    assert_one_sentence(err)


def test_the_commands_churn_is_kept_where_a_validation_finds_it(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`perflib prepare --churn` says what training again changes."""
    code, out, _ = leave(capsys, "prepare", Words.name, "--churn")
    ready, told = out.splitlines()

    assert code == 0
    assert ready.startswith(f"{Words.name} is ready: baseline artifact ")
    assert told.startswith(f"Training {Words.name} again with another seed turns ")
    assert known_churn(get_workload(Words.name).prepare()) is not None
