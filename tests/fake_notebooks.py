"""Notebooks that take no time: they leave the records and the executed notebook that real ones would."""

import dataclasses
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import nbformat
from nbformat.v4 import new_code_cell, new_notebook, new_output

from perflib.benchmarking.lock import HELD
from perflib.pipeline.execute import executed_path
from perflib.pipeline.plan import AFTERWARDS, PlannedStep
from perflib.results import Failure
from perflib.runs import Run
from tests import synthetic_records

SPEED = {"approved": "IMPROVEMENT", "quarantined": "REGRESSION", "undecided": "INCONCLUSIVE"}


class FakeNotebooks:
    """
    Stands in for `execute`.

    ``becomes`` says what an experiment comes to: a verdict, a reason of failure, or something to call; approved if not
    named.
    """

    def __init__(self, becomes: Mapping[str, str | Callable[[], None]] | None = None) -> None:
        self.becomes: dict[str, Any] = dict(becomes or {})
        self.executed: list[str] = []
        self.parameters: dict[str, Mapping[str, Any]] = {}
        self.was_lock_held = True

    def __call__(self, step: PlannedStep, run: Run, *, cell_timeout_sec: int) -> Failure | None:
        """Do what the step comes to."""
        self.executed.append(step.name)
        self.parameters[step.name] = step.parameters
        self.was_lock_held &= bool(os.environ.get(HELD))
        fate = self.becomes.get(step.name, "approved")
        is_experiment = step.name not in ("baseline", *AFTERWARDS, "report")
        if is_experiment:
            run.write(synthetic_records.build(name=step.name), step.name)
        if callable(fate):
            fate()
        if fate not in SPEED:
            return Failure(step.name, str(fate), f"{step.name} had to fail.")
        if is_experiment:
            offline = synthetic_records.scenario("offline", SPEED[fate])
            run.write(synthetic_records.comparison(offline, name=step.name), step.name)
            run.write(
                dataclasses.replace(synthetic_records.validation("PASS"), name=step.name, negative_flip_count=4),
                step.name,
            )
        write_complete(executed_path(step.name, run), run.run_id)
        return None


def write_complete(path: Path, run_id: str) -> None:
    """Write an executed notebook with the completion scrap of a run."""
    payload = {"name": "complete", "data": {"complete": True, "run_id": run_id}, "encoder": "json", "version": 1}
    output = new_output("display_data", {"application/scrapbook.scrap.json+json": payload})
    cell = new_code_cell("session.finish()", execution_count=1, outputs=[output], id="end")
    path.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(new_notebook(cells=[cell]), path)
