"""
The run itself: check everything, then prepare, execute, judge and report, and write `run.json` after every step.

A run that is interrupted, or whose experiment fails, leaves a consistent record; ``resume`` redoes only the steps that
are missing or whose inputs changed.
"""

import dataclasses
import datetime
import os
import time
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

from perflib import machine, project, records
from perflib.benchmarking.lock import host_lock
from perflib.errors import InterruptedRunError, ParameterError, PerflibError, SetupError, did_you_mean
from perflib.governing.commands import moment
from perflib.governing.govern import govern
from perflib.governing.pack import is_signed, make_pack
from perflib.governing.sources import keep_run_sources, read_sources
from perflib.guardrails import load_guardrails, load_waivers
from perflib.params import ExperimentParams, RunParams, load_experiments, load_run
from perflib.pipeline.book import Book
from perflib.pipeline.execute import execute
from perflib.pipeline.plan import (
    AFTERWARDS,
    PlannedStep,
    check_notebooks,
    code_sha256,
    executed_path,
    plan,
    report_inputs_sha256,
)
from perflib.pipeline.recipes import check_recipes
from perflib.pipeline.signals import ending_children, raising_signals
from perflib.pipeline.watch import Watch
from perflib.rehearsing import rehearse
from perflib.results import Baseline, Build, Candidate, RunSummary
from perflib.runs import SUMMARY_FILE, Run, newest_run
from perflib.watching.recording import begin_record, enter_history
from perflib.workloads import get_workload


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What a run came to."""

    run: Run
    summary: RunSummary

    @property
    def candidates(self) -> tuple[Candidate, ...]:
        """The judged candidates."""
        return self.summary.candidates


def run_params(
    path: Path,
    *,
    run_dir: Path | None = None,
    resume: bool = False,
    only: Sequence[str] = (),
    stream: Any = None,
) -> Outcome:
    """
    Run a params file from beginning to end.

    Args:
        path: The params file.
        run_dir: The run's folder; None makes a new one, or with ``resume`` takes the newest of these params.
        resume: Redo only what is missing or whose inputs changed.
        only: Names of experiments to keep of those in the file; empty for all.
        stream: Where progress goes; standard error if None.

    Returns:
        Outcome: The run and its summary, which holds the exit code.

    Raises:
        ParameterError: For any mistake in the files, before anything is written.
        SetupError: If the machine or the network is not up to it.
        InterruptedRunError: If a signal ended it; the record says so.
    """
    params, experiments, named = _read(path, only)
    read_sources()  # a mistake in prices or statuses is told now and not after an hour
    guardrails_sha256 = _check_guardrails(params, experiments)
    check_notebooks(params, experiments)
    workload = get_workload(_plain_workload(params), seed=params.seed)
    _check_device(params)
    run = _open(path, run_dir, resume=resume)
    summary = _begin_summary(run, path, params, guardrails_sha256=guardrails_sha256)
    watch = Watch(len(experiments) + 5 + _afterwards_count(params), stream=stream)
    book = Book(run, summary, order=["baseline", *named, *AFTERWARDS, "report"])
    try:
        with raising_signals(), ending_children(), host_lock():
            book.save()
            keep_run_sources(run, summary)
            watch.line(f"run {run.folder}")
            with watch.step("prepare"):
                prepared = workload.prepare()
                lacking = check_recipes(workload, prepared, params, experiments)
                begin_record(run, workload, is_canary_asked=params.canary, say=watch.line)
            steps = plan(
                _without(params, lacking),
                experiments,
                run=run,
                guardrails_sha256=guardrails_sha256,
                prepared_sha256=prepared.digest,
                versions=machine.read_card().versions,
            )
            book.forget_strangers()
            trouble: PerflibError | None = None
            for step in steps:
                if step.name in lacking:
                    book.skip(step, lacking[step.name])
                    watch.line(f"{step.name} skipped: {lacking[step.name]}")
                    continue
                if step.name == "report":
                    trouble = _weigh(run, params, watch)
                _take(step, book, watch, cell_timeout_sec=params.cell_timeout_sec)
            ended = book.end()
            enter_history(run, say=watch.line)
            trouble = trouble or _prove(run, watch)
            if trouble is not None:
                raise trouble
            return Outcome(run, ended)
    except InterruptedRunError as error:
        book.end(status="interrupted", reason=str(error), exit_code=error.exit_code)
        raise
    except PerflibError as error:
        book.end(status="failed", reason=str(error), exit_code=error.exit_code)
        raise
    finally:
        watch.close()


def _take(step: PlannedStep, book: Book, watch: Watch, *, cell_timeout_sec: int) -> None:
    """Execute one step unless an earlier run of it stands, and render the page after the report's notebook."""
    run, is_report = book.run, step.name == "report"
    if is_report:
        step = dataclasses.replace(step, inputs_sha256=report_inputs_sha256(run, step))
    if book.stands(step):
        watch.line(f"{step.name}: unchanged")
        return
    with watch.step(step.name):
        book.begin(step)
        start_sec = time.monotonic()
        failure = execute(step, run, cell_timeout_sec=cell_timeout_sec)
        if is_report and failure is None:
            from perflib.report import render_report

            render_report(executed_path(step.name, run), run.report, title=f"perflib report · {run.run_id}")
        book.finish(step, failure, wall_sec=time.monotonic() - start_sec)
    if failure is not None:
        watch.line(f"{step.name} failed ({failure.reason}): {failure.sentence}")


def _weigh(run: Run, params: RunParams, watch: Watch) -> PerflibError | None:
    """Make the decision's records; what stands against them is returned, because the measurements must not be lost."""
    try:
        with watch.step("decision"):
            ledger = govern(run, read_sources(), today=moment().date())
    except PerflibError as error:
        watch.line(f"decision not made: {error} Then write it with `perflib report {run.run_id}`.")
        return error
    if params.rehearse == "best" and ledger.approved:
        try:
            with watch.step("rehearsal"):
                rehearse(run.folder, ledger.approved[0], seed=params.seed)
        except PerflibError as error:
            watch.line(f"rehearsal not done: {error}")
    return None


def _prove(run: Run, watch: Watch) -> PerflibError | None:
    """Build the evidence pack of a run that has a report."""
    if not run.report.is_file() or not (run.names(Baseline) or run.names(Build)):
        return None  # a notebook failed, which the exit code says
    if is_signed(run):
        watch.line("evidence: signed, so it is left as it is; `perflib evidence build --force` makes it anew")
        return None
    try:
        with watch.step("evidence"):
            make_pack(run, built=moment())
    except PerflibError as error:
        watch.line(f"evidence not built: {error}")
        return error
    return None


def _afterwards_count(params: RunParams) -> int:
    """Count the steps between experiments and report, for the bar; what this machine lacks is not known yet."""
    asked = (params.ladder in params.experiments, params.explain != "none", params.breakeven in params.experiments)
    return sum(asked) + (params.rehearse != "none")


def _without(params: RunParams, lacking: Collection[str]) -> RunParams:
    """Leave what this machine cannot do out of what explains others; its experiment is skipped by name."""
    return params.model_copy(
        update={
            "experiments": [name for name in params.experiments if name not in lacking],
            "ladder": "" if params.ladder in lacking else params.ladder,
            "breakeven": "" if params.breakeven in lacking else params.breakeven,
            "rivals": [name for name in params.rivals if name not in lacking],
        }
    )


def _begin_summary(run: Run, path: Path, params: RunParams, *, guardrails_sha256: str) -> RunSummary:
    """Return the first word of `run.json`; a resumed run keeps its identity, its start and the steps it has done."""
    before = run.summary()
    return RunSummary(
        run_id=run.run_id,
        ulid=before.ulid if before else _ulid(),
        status="running",
        reason=None,
        exit_code=None,
        commit=project.commit7(),
        started=before.started if before else _now(),
        wall_sec=before.wall_sec if before else None,
        params_name=path.stem,
        params=params.model_dump(),
        params_sha256=records.sha256_file(path),
        guardrails_sha256=guardrails_sha256,
        code_sha256=code_sha256(),
        machine=machine.read_card().to_dict(),
        steps=before.steps if before else (),
        candidates=(),
    )


def _read(path: Path, only: Sequence[str]) -> tuple[RunParams, tuple[ExperimentParams, ...], list[str]]:
    """Return the run, the experiments to do now, and the names of all that the file asks for."""
    params = load_run(path)
    named = params.experiments
    for name in only:
        if name not in params.experiments:
            raise ParameterError(f"--only {name} is no experiment of {path}; {did_you_mean(name, params.experiments)}")
    if only:
        params = params.model_copy(update={"experiments": [name for name in params.experiments if name in only]})
    return params, load_experiments(params), named


def _check_guardrails(params: RunParams, experiments: Sequence[ExperimentParams]) -> str:
    """Return the digest of the limits, if they have the profile of every experiment and no waiver has expired."""
    profiles, digest = load_guardrails(params.guardrails)
    load_waivers(params.waivers)
    for experiment in experiments:
        word = experiment.guardrail_profile
        if word not in profiles:
            raise ParameterError(
                f"guardrail profile `{word}` of experiment {experiment.name} is not in {params.guardrails}; "
                f"{did_you_mean(word, profiles)}"
            )
    return digest


def _open(path: Path, run_dir: Path | None, *, resume: bool) -> Run:
    if run_dir is None and resume:
        found = newest_run(params_name=path.stem)
        if found is None:
            raise ParameterError(f"there is no run of {path.stem} to resume; start one without --resume.")
        return found
    if run_dir is None:
        return Run(project.new_run_dir(path.stem))
    run = Run(run_dir.resolve())
    if (run.folder / SUMMARY_FILE).exists() and not resume:
        raise ParameterError(
            f"{run.folder} holds a run already; add --resume to go on with it, or name another folder."
        )
    if run.folder.is_dir() and any(run.folder.iterdir()) and not (run.folder / SUMMARY_FILE).exists():
        raise ParameterError(f"{run.folder} is not empty and holds no run; name a new folder.")
    try:
        run.folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SetupError(
            f"the run folder {run.folder} cannot be made ({error.strerror}); name a writable one."
        ) from error
    if not os.access(run.folder, os.W_OK):
        raise SetupError(f"the run folder {run.folder} cannot be written; name a writable one.")
    return run


def _check_device(params: RunParams) -> None:
    if params.device == "cuda" and not machine.has_cuda():
        raise SetupError("the run asks for device: cuda and torch sees no CUDA device here; use device: cpu.")


def _plain_workload(params: RunParams) -> Any:
    return params.workload if isinstance(params.workload, str) else params.workload.model_dump()


def _ulid() -> str:
    from ulid import ULID

    return str(ULID())


def _now() -> str:
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
