"""
`perflib search`: which combination of stages is worth its build, within a budget of seconds.

    found = search_workload("reviews-tiny", Path("params/spaces/tiny.yaml"), budget_sec=600)
    found.record.finalists  # places in found.record.trials

Cheap screens first, all on the tuning split; then few finalists, fixed and written down, meet the test split once.
The budget is that of the screens; the finals come after it.
"""

import dataclasses
import math
import time
from collections.abc import Callable
from pathlib import Path

from perflib import plots, project, sentences
from perflib.benchmarking.compare import compare as compare_artifacts
from perflib.benchmarking.lock import host_lock
from perflib.errors import ParameterError
from perflib.results import Search
from perflib.runs import Run
from perflib.search.finals import Finals
from perflib.search.screen import Compare, Screener
from perflib.search.space import Space, read_space
from perflib.search.study import begin_record, import_optuna, run_study
from perflib.session import Session, keep_figure
from perflib.validating import load_limits
from perflib.workloads import get_workload

RECORD_NAME = "space"
_GUARDRAILS_FILE, _WAIVERS_FILE = "guardrails.yaml", "waivers.yaml"


@dataclasses.dataclass(frozen=True)
class Searched:
    """A search and the run that keeps it."""

    record: Search
    run: Run

    @property
    def exit_code(self) -> int:
        """0 where a finalist is shown to keep the accuracy, 2 where none is or no combination kept the constraint."""
        return 0 if any(check.is_non_inferior for check in self.record.checks) else 2

    @property
    def lines(self) -> list[str]:
        """What was tried, and what the finalists came to."""
        return sentences.search_sentences(self.record)


def search_workload(
    workload_name: str,
    space: Path,
    *,
    budget_sec: float,
    run_dir: Path | None = None,
    resume: bool = False,
    seed: int = 0,
    compare: Compare | None = None,
    clock: Callable[[], float] = time.perf_counter,
) -> Searched:
    """
    Search a space of recipes and keep the record after every trial.

    Args:
        workload_name: As in the ``workload`` line of a params file.
        space: The space file; see `perflib.search.space`.
        budget_sec: Time that all screens together may take, those before a resume included. A screen that has begun is
            finished.
        run_dir: Where the record goes; a new folder in the outputs if not given.
        resume: Go on with the search in ``run_dir``. One that is complete is returned as it is: its finalists have met
            the test split, and nothing may be chosen after that.
        seed: Of the suggestions, the coins, the workload and the stages.
        compare: Times two artifacts; `perflib.benchmarking.compare.compare` if not given.
        clock: Monotonic seconds.

    Raises:
        ParameterError: If the space file or the budget is wrong, or what is to be resumed is another search.
        SetupError: If Optuna is not installed, or the machine has to be put right before anything can be built.
    """
    if not 0 < budget_sec < math.inf:
        raise ParameterError(f"the budget is {budget_sec:g} s; give a time above 0.")
    import_optuna()
    found = read_space(space)
    workload = get_workload(workload_name, seed=seed)
    run = _open(run_dir, resume=resume, space=space)
    session = Session(run, workload, "cpu", seed)
    # Before anything is seen: a profile that does not exist is found here, not after the last screen.
    limits = load_limits(run, file=_GUARDRAILS_FILE, profile=found.guardrail_profile, waivers=_WAIVERS_FILE)
    with host_lock():
        record = _begun(session, found, budget_sec=budget_sec)
        times = compare or compare_artifacts
        if not record.finalists and not record.is_complete:
            screen = Screener(
                found,
                session.baseline,
                session.materials,
                work=run.folder,
                hardware_class=session.card.hardware_class,
                seed=seed,
                compare=times,
            )
            record = run_study(found, record, screen, keep=lambda so_far: _keep(run, so_far), clock=clock)
        if not record.is_complete:
            finals = Finals(session, found, limits, times)
            record = finals.run(record, keep=lambda whole: _keep(run, whole))
    plots.use_house_style()
    keep_figure(run, plots.plot_front(record), "front")
    return Searched(record, run)


def _open(run_dir: Path | None, *, resume: bool, space: Path) -> Run:
    if resume and run_dir is None:
        raise ParameterError("resume needs the folder of the search; name it with --run-dir.")
    if run_dir is None:
        return Run(project.new_run_dir(f"search-{space.stem}"))
    run = Run(run_dir.resolve())
    is_there = run.read(Search, RECORD_NAME) is not None
    if resume and not is_there:
        raise ParameterError(f"{run.folder} holds no search to resume; start it without --resume.")
    if is_there and not resume:
        raise ParameterError(f"{run.folder} holds a search already; go on with --resume, or name another folder.")
    return run


def _begun(session: Session, space: Space, *, budget_sec: float) -> Search:
    """Return the record to go on with: the one that is there, with the new budget, or a new one, written."""
    found = session.run.read(Search, RECORD_NAME)
    if found is None:
        found = begin_record(
            space,
            workload=session.workload.name,
            baseline_sha256=session.baseline.digest,
            refusals=space.refusals(session.baseline.spec, session.materials),
            budget_sec=budget_sec,
            seed=session.seed,
        )
        _keep(session.run, found)
        return found
    wanted = (session.workload.name, space.digest(), session.baseline.digest, session.seed)
    for what, asked, kept in zip(
        ("workload", "space", "baseline", "seed"),
        wanted,
        (found.workload, found.space_sha256, found.baseline_sha256, found.seed),
        strict=True,
    ):
        if asked != kept:
            raise ParameterError(
                f"the search in {session.run.folder} has {what} {kept}, but {asked} is asked for; "
                "resume with what it began with, or start a new one."
            )
    return found if found.is_complete else dataclasses.replace(found, budget_sec=budget_sec)


def _keep(run: Run, record: Search) -> None:
    run.write(record, RECORD_NAME)
