"""Decide and report a finished run again: after a change of a price, a status or the template, or as PDF."""

from pathlib import Path

from perflib.errors import NotebookError
from perflib.governing.commands import moment, weigh_run
from perflib.governing.pack import EVIDENCE, make_pack, refuse_signed
from perflib.pdf import print_pdf
from perflib.pipeline.execute import execute
from perflib.pipeline.plan import executed_path, plan_report
from perflib.report import render_report
from perflib.runs import find_run


def report_again(
    word: str | None, *, with_pdf: bool, is_forced: bool = False, cell_timeout_sec: int = 600
) -> list[Path]:
    """
    Make the decision's records from today's prices, execute the report's notebook, render it, and build the pack.

    Args:
        word: A run folder or a run's name; None for the newest.
        with_pdf: Also print ``report.pdf``.
        is_forced: Whether a pack that is signed may be replaced.
        cell_timeout_sec: How long one cell may take.

    Returns:
        The files written.

    Raises:
        ParameterError: If there is no such run, its pack is signed, or what people wrote cannot be.
        NotebookError: If the notebook fails.
        SetupError: If a PDF is wanted and no Chromium is on PATH.
    """
    run = find_run(word)
    refuse_signed(run, is_forced=is_forced)
    is_run = run.summary() is not None  # and not the folder of a notebook that somebody opened
    if is_run:
        weigh_run(run)
    step = plan_report(run)
    failure = execute(step, run, cell_timeout_sec=cell_timeout_sec)
    if failure is not None:
        raise NotebookError(failure.sentence)
    written = [render_report(executed_path(step.name, run), run.report, title=f"perflib report · {run.run_id}")]
    if with_pdf:
        written.append(print_pdf(run.report, run.report.with_suffix(".pdf")))
    if is_run:
        make_pack(run, built=moment(), is_forced=is_forced)
        written.append(run.folder / EVIDENCE)
    return written
