"""Each notebook runs from top to bottom by itself, as a learner, nbval or bare papermill would run it."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import papermill
import pytest

from perflib import project, scraps
from perflib.pipeline import Outcome

pytestmark = pytest.mark.notebooks

SMALL = {"workload": "reviews-tiny", "scenarios": ["offline"]}
PARAMETERS: dict[str, dict[str, Any]] = {
    "01_baseline": {**SMALL, "baseline_lives_count": 1},
    "02_experiment": {**SMALL, "max_lives_count": 5, "units_per_life_count": 1},
    "02_ladder": {**SMALL, "max_lives_count": 5, "units_per_life_count": 1},
    "02_breakeven": {"workload": "reviews-tiny", "name": "openvino", "max_lives_count": 5, "units_per_life_count": 1},
    "02_why": {**SMALL, "max_lives_count": 5, "units_per_life_count": 1},
    "03_regression": {"workload": "reviews-tiny", "scenario": "offline", "metric": "examples_per_sec"},
    "04_report": {},
    "learn/choosing_a_technique": {"calibration_counts": [1, 4]},
    "learn/writing_the_case": {},
    "learn/reading_a_profile": {},
    "learn/how_sure_are_we": {"max_lives_count": 8, "path_count": 300, "rival_path_count": 60},
}


def notebook(name: str) -> Path:
    """Return a template."""
    return project.root() / "notebooks" / f"{name}.ipynb"


def call(folder: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """Run a Python module in a folder, with runs and the lock below it."""
    environment = {
        **os.environ,
        "PERFLIB_OUTPUTS_DIR": str(folder / "outputs"),
        "PERFLIB_LOCK_DIR": str(folder / "lock"),
        "PERFLIB_ROOT": str(project.root()),
    }
    return subprocess.run(
        [sys.executable, "-m", *arguments], cwd=folder, env=environment, capture_output=True, text=True
    )


def _history_of(name: str, smoke_run: Outcome) -> dict[str, str]:
    """Let the story of a series read what the smoke run has left, which is one point."""
    history = smoke_run.run.folder.parent / "history" / "history.sqlite"
    return {"history_url": f"sqlite:///{history}"} if name == "03_regression" else {}


@pytest.mark.parametrize("name", PARAMETERS)
def test_nbval_accepts_the_notebook(name: str, tmp_path: Path, smoke_run: Outcome) -> None:
    """No cell of a copy with smoke parameters fails."""
    reads_a_run = name in ("02_why", "04_report", "learn/choosing_a_technique", "learn/writing_the_case")
    run_dir = smoke_run.run.folder if reads_a_run else tmp_path / "run"
    copy = tmp_path / f"{Path(name).name}.ipynb"
    papermill.execute_notebook(
        str(notebook(name)),
        str(copy),
        {"run_dir": str(run_dir), **PARAMETERS[name], **_history_of(name, smoke_run)},
        prepare_only=True,
        progress_bar=False,
    )
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    nbval = ("--nbval-lax", "--nbval-current-env", "--nbval-cell-timeout=300")
    reply = call(tmp_path, "pytest", *nbval, "-c", "pytest.ini", "-p", "no:cacheprovider", "-q", copy.name)

    assert reply.returncode == 0, reply.stdout[-3000:] + reply.stderr[-1000:]


def test_bare_papermill_runs_an_experiment(tmp_path: Path) -> None:
    """An experiment's file is what papermill's `-f` takes, and nothing of the pipeline is needed."""
    experiment = project.root() / "params" / "experiments" / "int8.yaml"
    given = [word for key, value in PARAMETERS["02_experiment"].items() for word in ("-y", f"{key}: {value}")]
    reply = call(
        tmp_path, "papermill", str(notebook("02_experiment")), "out.ipynb", "-f", str(experiment), *given,
        "-p", "run_dir", str(tmp_path / "a-run"), "--no-progress-bar",
    )  # fmt: skip

    assert reply.returncode == 0, reply.stderr[-3000:]
    assert scraps.is_complete(tmp_path / "out.ipynb", "a-run")
    kept = {path.name for path in (tmp_path / "a-run" / "records").iterdir()}
    assert {"validation-int8.json", "predictions-int8.parquet", "probes-int8.parquet", "exemplars-int8.csv"} <= kept
