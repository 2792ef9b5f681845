"""The plan refuses what papermill would pass over, and its digests see every input."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from perflib import project
from perflib.errors import ParameterError
from perflib.params import ExperimentParams, RunParams
from perflib.pipeline import plan as plan_module
from perflib.pipeline.plan import (
    PlannedStep,
    check_notebooks,
    check_parameters,
    code_sha256,
    executed_path,
    parameter_names,
    plan,
    plan_report,
    report_inputs_sha256,
)
from perflib.runs import Run
from tests.conftest import NOTEBOOKS

INT8 = {"name": "int8", "recipe": [{"quantize": {}}], "predicted_speedup_ratio": 3.0, "because": "fewer bytes"}
RUN = {"workload": "reviews-tiny", "experiments": ["int8"]}


@pytest.fixture
def own_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Copy the notebooks into a project that a test may change."""
    folder = tmp_path / "project"
    shutil.copytree(project.root() / "notebooks", folder / "notebooks")
    for name in ("params", "perflib"):
        (folder / name).mkdir()
    monkeypatch.setenv("PERFLIB_ROOT", str(folder))
    return folder


def planned(run_dir: Path = Path("/somewhere/run"), **changes: Any) -> list[PlannedStep]:
    """Plan a run of one experiment, with some of its inputs changed."""
    run = RunParams(**{**RUN, **changes.pop("run", {})})
    experiment = ExperimentParams(**{**INT8, **changes.pop("experiment", {})})
    inputs = {"guardrails_sha256": "g", "prepared_sha256": "p", "versions": {"torch": "2.13.0"}, **changes}
    return plan(run, [experiment], run=Run(run_dir), **inputs)


def digests(**changes: Any) -> list[str | None]:
    """Return the digests of baseline and experiment."""
    return [step.inputs_sha256 for step in planned(**changes)[:2]]


def test_a_plan_is_baseline_experiments_report(own_project: Path) -> None:
    """The steps come in the order in which they read each other's records."""
    steps = planned()

    assert [step.name for step in steps] == ["baseline", "int8", "report"]
    assert [step.notebook.name for step in steps] == ["01_baseline.ipynb", "02_experiment.ipynb", "04_report.ipynb"]
    assert all(step.parameters["run_dir"] == "/somewhere/run" for step in steps)
    assert steps[1].parameters["because"] == "fewer bytes"
    assert steps[2].inputs_sha256 is None


def test_what_explains_comes_before_the_report_with_the_fewest_lives(own_project: Path) -> None:
    """Only the best is known later, so nobody is named; all are named one by one."""
    best = planned(run={"explain": "best", "ladder": "int8", "max_lives_count": 9})
    every = planned(run={"explain": "all"})

    assert [step.name for step in best] == ["baseline", "int8", "ladder", "why", "report"]
    assert best[3].notebook.name == "02_why.ipynb"
    assert best[3].parameters["candidates"] == []
    assert every[2].parameters["candidates"] == ["int8"]
    assert (best[2].parameters["max_lives_count"], best[3].parameters["max_lives_count"]) == (9, 6)
    assert best[3].parameters["units_per_life_count"] == 1
    assert best[3].parameters["scenarios"] == ["offline"]
    assert executed_path("why", Run(Path("run"))).name == "02_why.ipynb"


@pytest.mark.parametrize(("finalists", "lives_count"), [([], 9), (["int8"], 9), (["bf16"], 6)])
def test_what_cannot_be_shipped_is_timed_with_the_fewest_lives(
    own_project: Path, finalists: list[str], lives_count: int
) -> None:
    """A finalist keeps the lives of the run; without finalists everybody is one."""
    run = {"experiments": ["int8", "bf16"], "finalists": finalists, "max_lives_count": 9}

    assert planned(run=run)[1].parameters["max_lives_count"] == lives_count


@pytest.mark.parametrize("explain", ["best", "all"])
def test_where_every_experiment_is_lacking_nothing_is_explained(own_project: Path, explain: str) -> None:
    """No name would mean the best of none."""
    assert [step.name for step in planned(run={"explain": explain, "experiments": []})] == [
        *("baseline", "int8", "report")
    ]


def test_the_map_is_planned_after_the_waterfalls(own_project: Path) -> None:
    """It has cells instead of scenarios, and is redone when its experiment is."""
    names = ("run_dir", "workload", "seed", "device", "name", "max_lives_count", "units_per_life_count")
    source = "".join(f"{name} = 0\n" for name in names)
    cell = {"cell_type": "code", "metadata": {"tags": ["parameters"]}, "source": source}
    (own_project / "notebooks" / "02_breakeven.ipynb").write_text(json.dumps({"cells": [cell]}))
    given = {"run": {"explain": "best", "breakeven": "int8"}}
    steps = planned(**given)
    other = planned(**given, experiment={"because": "of something else"})

    assert [step.name for step in steps] == ["baseline", "int8", "why", "breakeven", "report"]
    assert steps[3].parameters["name"] == "int8"
    assert set(steps[3].parameters) == set(names)
    assert steps[3].inputs_sha256 != other[3].inputs_sha256


def test_an_unknown_parameter_is_refused_with_a_suggestion() -> None:
    """Papermill would warn and run the default."""
    with pytest.raises(ParameterError, match=r"`run_dirr` is not a parameter of good; did you mean `run_dir`\?"):
        check_parameters(NOTEBOOKS / "good.ipynb", {"run_dirr": ""})


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("no_parameters", "has 0 cells tagged `parameters`"),
        ("two_parameters", "has 2 cells tagged `parameters`"),
        ("not_there", "does not exist"),
    ],
)
def test_a_notebook_without_one_parameters_cell_is_refused(name: str, words: str) -> None:
    """Without the cell papermill would put ours on top, where the notebook's own values override them."""
    with pytest.raises(ParameterError, match=words):
        check_parameters(NOTEBOOKS / f"{name}.ipynb", {"run_dir": ""})


def test_what_is_no_notebook_is_refused(tmp_path: Path) -> None:
    """A file that cannot be parsed is named."""
    (tmp_path / "torn.ipynb").write_text('{"cells": [')

    with pytest.raises(ParameterError, match=r"torn\.ipynb is not a notebook"):
        check_parameters(tmp_path / "torn.ipynb", {})


def test_braces_in_a_path_are_not_a_template(tmp_path: Path) -> None:
    """Papermill formats paths with the parameters; ours are taken as they are."""
    folder = tmp_path / "{tag}"
    folder.mkdir()
    shutil.copy(NOTEBOOKS / "good.ipynb", folder)

    check_parameters(folder / "good.ipynb", {"run_dir": ""})


def test_the_projects_own_notebooks_have_all_parameters() -> None:
    """What the params files offer, the notebooks know."""
    check_notebooks(RunParams(**RUN), [ExperimentParams(**INT8)])


def test_a_missing_notebook_is_found_before_the_run(own_project: Path) -> None:
    """The report is checked first as well, not after an hour."""
    (own_project / "notebooks" / "04_report.ipynb").unlink()

    with pytest.raises(ParameterError, match=r"04_report\.ipynb does not exist"):
        check_notebooks(RunParams(**RUN), [])


def test_digests_do_not_see_the_run_folder(own_project: Path) -> None:
    """A run that is moved can still be resumed."""
    assert digests(run_dir=Path("/a")) == digests(run_dir=Path("/b"))


@pytest.mark.parametrize(
    ("changes", "are_changed"),
    [
        ({"run": {"seed": 1}}, [True, True]),
        ({"run": {"scenarios": ["offline"]}}, [True, True]),
        ({"run": {"baseline_lives_count": 4}}, [True, False]),
        ({"run": {"max_lives_count": 9}}, [False, True]),
        ({"experiment": {"because": "of something else"}}, [False, True]),
        ({"guardrails_sha256": "other"}, [False, True]),
        ({"prepared_sha256": "other"}, [True, True]),
        ({"versions": {"torch": "2.14.0"}}, [True, True]),
    ],
    ids=["seed", "scenarios", "baseline lives", "lives", "experiment", "guardrails", "prepared artifact", "versions"],
)
def test_digests_see_each_input(own_project: Path, changes: dict[str, Any], are_changed: list[bool]) -> None:
    """A step is redone when something that it reads has changed, and only then."""
    pairs = zip(digests(), digests(**changes), strict=True)

    assert are_changed == [old != new for old, new in pairs]


def test_digests_see_the_code(own_project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every step is redone with changed code."""
    before = digests()
    monkeypatch.setattr(plan_module, "code_sha256", lambda: "other")

    assert set(before).isdisjoint(digests())


def test_digests_see_the_notebook(own_project: Path) -> None:
    """An edited notebook is a changed input of its own steps."""
    before = digests()
    notebook = own_project / "notebooks" / "02_experiment.ipynb"
    notebook.write_text(notebook.read_text(encoding="utf-8").replace("# Is this", "# Is that"), encoding="utf-8")

    assert [old != new for old, new in zip(before, digests(), strict=True)] == [False, True]


def test_the_report_is_made_of_the_records(tmp_path: Path) -> None:
    """The report's digest follows the records of its run, not the run's place."""
    runs = [Run(tmp_path / name) for name in ("a", "b")]
    for run in runs:
        path = run.record_path("build", "int8")
        path.parent.mkdir(parents=True)
        path.write_text("{}")
    one, other = (report_inputs_sha256(run, plan_report(run)) for run in runs)

    assert one == other

    runs[1].record_path("build", "int8").write_text("{ }")

    assert one != report_inputs_sha256(runs[1], plan_report(runs[1]))


def test_the_digest_of_the_code_is_stable() -> None:
    """Nothing but the source goes in."""
    assert code_sha256() == code_sha256()


@pytest.mark.parametrize("notebook", sorted((project.root() / "notebooks").glob("*.ipynb")), ids=lambda path: path.stem)
def test_parameters_are_read_as_papermill_reads_them(notebook: Path) -> None:
    """Our quick reading of the parameters cell gives the names that papermill would override."""
    import papermill

    assert sorted(papermill.inspect_notebook(str(notebook))) == sorted(parameter_names(notebook))
