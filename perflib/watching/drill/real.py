"""The drill with real processes: environments with the drill's package, real runs, real reruns."""

from pathlib import Path

from perflib import project
from perflib.regression.environments import build_environment
from perflib.regression.locks import read_lock
from perflib.runs import Run
from perflib.watching.bench import Workbench
from perflib.watching.check import MakeBench
from perflib.watching.drill.drill import DrillResult, Stage, run_drill
from perflib.watching.drill.model import DrillReviews
from perflib.watching.drill.planted import planted_regressions, with_package
from perflib.watching.drill.runs import Conditions, short_run
from perflib.watching.drill.wheels import GOOD_VERSION, write_wheels


def drill_here(folder: Path | None = None) -> tuple[DrillResult, Path]:
    """
    Play the drill on this machine, in about two minutes, and return what came of it and where it lies.

    Raises:
        SetupError: If the environments cannot be built.
    """
    place = folder.resolve() if folder else project.new_run_dir("drill")
    return run_drill(place, real_stage(place)), place


def real_stage(folder: Path) -> Stage:
    """Return a stage whose runs and reruns are measured."""
    workload, wheels, lock = DrillReviews(), write_wheels(folder / "wheels"), read_lock()
    artifact = workload.prepare()
    made = build_environment(
        with_package(lock, GOOD_VERSION), base=lock, cache=folder / "environments", find_links=wheels
    )

    def run(place: Path, conditions: Conditions, number: int) -> Run:
        return short_run(place, workload, conditions, seed=number)

    def bench(conditions: Conditions) -> MakeBench:
        return lambda run: Workbench(
            workload,
            here=conditions.lock,
            run=Run(run.folder / "watch"),
            python=conditions.python,
            find_links=wheels,
        )

    return Stage(
        good=Conditions(artifact, made.python, made.lock),
        planted=planted_regressions(wheels),
        run=run,
        bench=bench,
    )
