"""Write the report of a finished run again: after a change of the template, or as PDF."""

from pathlib import Path

from perflib.errors import NotebookError, ParameterError
from perflib.pdf import print_pdf
from perflib.pipeline.execute import execute
from perflib.pipeline.plan import executed_path, plan_report
from perflib.report import render_report
from perflib.runs import newest_run, open_run


def report_again(folder: Path | None, *, with_pdf: bool, cell_timeout_sec: int = 600) -> list[Path]:
    """
    Execute the report's notebook on a run's records and render it.

    Args:
        folder: The run; None for the newest.
        with_pdf: Also print ``report.pdf``.
        cell_timeout_sec: How long one cell may take.

    Returns:
        The files written.

    Raises:
        ParameterError: If there is no such run.
        NotebookError: If the notebook fails.
        SetupError: If a PDF is wanted and no Chromium is on PATH.
    """
    run = newest_run() if folder is None else open_run(folder)
    if run is None:
        raise ParameterError("there is no finished run yet; make one with `perflib run params/quickstart.yaml`.")
    step = plan_report(run)
    failure = execute(step, run, cell_timeout_sec=cell_timeout_sec)
    if failure is not None:
        raise NotebookError(failure.sentence)
    written = [render_report(executed_path(step.name, run), run.report, title=f"perflib report · {run.run_id}")]
    if with_pdf:
        written.append(print_pdf(run.report, run.report.with_suffix(".pdf")))
    return written
