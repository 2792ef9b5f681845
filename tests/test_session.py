"""What a notebook works with: its run, its figures, its records, and errors that are sentences."""

import dataclasses
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from xml.etree import ElementTree

import pytest
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from perflib import experiment, pipeline, project, session
from perflib.errors import DataError, ParameterError
from perflib.results import Build, Validation
from perflib.runs import Run
from perflib.session import Session, newest_or_smoke, show_figure
from perflib.validation.predictions import Paired, predict
from perflib.validation.probes import ProbeAnswers
from tests import synthetic_records
from tests.test_ask import Counting, Words, word_numbers, write_model


class Shell:
    """As much of IPython's shell as an exception handler sees."""

    def __init__(self) -> None:
        self.handlers: dict[type[BaseException], Any] = {}
        self.shown: list[tuple[type[BaseException], list[str]]] = []

    def set_custom_exc(self, kinds: tuple[type[BaseException], ...], handler: Any) -> None:
        """Keep the handler."""
        self.handlers |= dict.fromkeys(kinds, handler)

    def _showtraceback(self, kind: type[BaseException], error: BaseException, lines: list[str]) -> None:
        self.shown.append((kind, lines))


def bars(label: str = "Two bars: the second is longer") -> tuple[Figure, Any]:
    """Draw something small."""
    figure, axes = plt.subplots(label=label)
    axes.bar([1, 2], [3, 4])
    return figure, axes


@pytest.fixture
def glued(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Collect what is glued."""
    found: dict[str, Any] = {}
    monkeypatch.setattr(session.scraps, "glue", lambda name, data, view=None: found.__setitem__(name, data))
    return found


def test_a_named_run_folder_is_taken(tmp_path: Path) -> None:
    """The pipeline says where to write."""
    begun = Session.begin("01_baseline", run_dir=str(tmp_path / "run"), workload="reviews-tiny", seed=3)

    assert begun.run == Run(tmp_path / "run")
    assert (begun.workload.name, begun.seed, begun.device) == ("reviews-tiny", 3, "cpu")


def test_a_person_gets_a_new_run_folder(own_folders: Path) -> None:
    """A notebook that is opened in JupyterLab makes its own run, named after itself."""
    begun = Session.begin("01_baseline", run_dir="", workload="reviews-tiny")

    assert begun.run.folder.parent == own_folders
    assert "_01-baseline_" in begun.run.run_id
    assert begun.run.folder.is_dir()


def test_an_unknown_workload_leaves_no_folder(own_folders: Path) -> None:
    """The workload is looked up before anything is made."""
    with pytest.raises(ParameterError, match="did you mean `reviews-tiny`"):
        Session.begin("01_baseline", run_dir="", workload="reviews-tinny")

    assert not own_folders.exists()


def test_our_errors_are_shown_as_one_sentence(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """In IPython a handler shows the sentence; other errors keep their traceback."""
    shell = Shell()
    monkeypatch.setattr(session, "get_ipython", lambda: shell)
    Session.begin("01_baseline", run_dir=str(tmp_path), workload="reviews-tiny")
    ((kind, handler),) = shell.handlers.items()
    handler(shell, ParameterError, ParameterError("write it otherwise."), None, tb_offset=None)

    assert issubclass(ParameterError, kind)
    assert not issubclass(ZeroDivisionError, kind)
    assert shell.shown == [(ParameterError, ["ParameterError: write it otherwise."])]


def test_a_figure_is_kept_with_its_description(tmp_path: Path, glued: dict[str, Any]) -> None:
    """The SVG says in words what it shows, the scrap repeats it, and the figure is closed."""
    drawn = bars()
    show_figure(Run(tmp_path), drawn, "bars")
    tree = ElementTree.parse(tmp_path / "figures" / "bars.svg")

    assert tree.findtext(".//{http://purl.org/dc/elements/1.1/}description") == "Two bars: the second is longer"
    assert tree.findtext(".//{http://purl.org/dc/elements/1.1/}date") is None
    assert glued == {"figure-bars": "Two bars: the second is longer"}
    assert not plt.fignum_exists(drawn[0].number)


def test_a_record_is_kept_and_glued_without_its_samples(tmp_path: Path, glued: dict[str, Any]) -> None:
    """The raw samples are in the record; a notebook stays small."""
    begun = Session.begin("02_experiment", run_dir=str(tmp_path), workload="reviews-tiny")
    comparison = synthetic_records.comparison()
    baseline = synthetic_records.baseline()
    begun.keep(comparison, "int8")
    begun.keep(baseline, "baseline")
    first = glued["comparison"]["scenarios"][0]

    assert begun.run.read(type(comparison), "int8") == comparison
    assert begun.run.read(type(baseline), "baseline") == baseline
    assert "lives" not in first
    assert first["speedup_ratio"] == dataclasses.asdict(comparison.scenarios[0].speedup_ratio)
    assert "samples_sec" not in glued["baseline"]["scenarios"][0]


def test_the_last_cell_leaves_the_completion_scrap(tmp_path: Path, glued: dict[str, Any]) -> None:
    """It carries the run's id, so that a copied notebook does not count."""
    Session.begin("02_experiment", run_dir=str(tmp_path / "a-run"), workload="reviews-tiny").finish()

    assert glued == {"complete": {"complete": True, "run_id": "a-run"}}


def test_without_a_run_the_report_makes_a_small_one(
    own_folders: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A learner who opens the report first sees one all the same."""
    asked: list[str] = []

    def run_params(path: Path) -> Any:
        asked.append(path.name)
        return pipeline.Outcome(Run(tmp_path), None)  # type: ignore[arg-type]

    monkeypatch.setattr(pipeline, "run_params", run_params)

    assert newest_or_smoke() == Run(tmp_path)
    assert asked == ["smoke.yaml"]


# --- what candidates are asked ------------------------------------------------------------------------------------


@pytest.fixture
def words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Session:
    """Begin a session on a model that only adds up numbers of words, with a cache of its own."""
    monkeypatch.setenv("PERFLIB_CACHE_DIR", str(tmp_path / "cache"))
    return Session.begin("02_experiment", run_dir=str(tmp_path / "run"), workload=Words.name, seed=2)


def test_a_session_has_one_material_for_all_candidates(words: Session) -> None:
    """It is made of what the session has already, and answers are cached for all runs."""
    material = words.material

    assert words.material is material
    assert (material.workload, material.splits, material.inputs) == (words.workload, words.splits, words.inputs)
    assert (material.baseline, material.seed, material.cache) == (words.baseline, 2, project.answers_dir())
    assert material.baseline.folder == words.run.artifact_folder("baseline")


def test_what_a_session_remembers_is_not_asked_again(words: Session) -> None:
    """The baseline's notebook answers the whole split anyhow, for the time that it takes."""
    model = Counting(words.baseline)
    answers = words.baseline.predict(words.inputs)
    words.remember(words.baseline, answers)

    assert (predict(model, words.inputs, cache=project.answers_dir()) == answers).all()
    assert model.asked == []


def test_a_checked_candidate_leaves_record_and_answers(words: Session, glued: dict[str, Any]) -> None:
    """By our own limits; every answer that changed can be read back."""
    candidate = write_model(words.run.artifact_folder("int8"), word_numbers(shift=-1.0), labels=Words.labels)
    found = experiment.check_candidate(
        words, candidate, "int8", guardrails="guardrails.yaml", guardrail_profile="lossless"
    )
    folder, changed = words.run.folder / "records", experiment.changed_answers(words, "int8")

    assert words.run.read(Validation, "int8") == found
    assert (found.profile, found.seed, found.verdict) == ("lossless", 2, "FAIL")
    assert glued["validation"]["verdict"] == "FAIL"
    assert len(Paired.read(folder / "predictions-int8.parquet")) == found.example_count == 80
    assert len(ProbeAnswers.read(folder / "probes-int8.parquet")) == len(words.material.probes)
    assert len(changed) == found.changed_label_count > 0
    assert changed == sorted(changed, key=lambda one: -one["divergence_nat"])


def test_calibration_texts_of_the_test_split_are_refused_before_anything_is_built(words: Session) -> None:
    """Splits cut by hand may overlap: the candidate would be judged by what it was fitted to."""
    splits = words.splits
    one = splits.calibration
    leaky = dataclasses.replace(
        one, inputs=(*one.inputs[1:], splits.test.inputs[0]), keys=(*one.keys[1:], splits.test.keys[0])
    )
    parts = {"train": splits.train, "tuning": splits.tuning, "calibration": leaky, "test": splits.test}
    words.__dict__["splits"] = SimpleNamespace(**parts)
    with pytest.raises(DataError, match=r"the calibration texts overlap with the test split: 1 of 10"):
        experiment.build(words, "low", ["precision"])

    assert not words.run.artifact_folder("low").exists()
    assert words.run.read(Build, "low") is None
