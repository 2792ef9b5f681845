"""
Execute one notebook with papermill and find out whether it really ran to its end.

After a time-out or a dead kernel papermill's own notebook says that every cell completed, so success is judged by the
exception and by the completion scrap of the last cell, never by metadata.
"""

import contextlib
import logging
import re
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from perflib import errors, project, scraps
from perflib.errors import SetupError
from perflib.pipeline.plan import PlannedStep, executed_path, literal
from perflib.results import Failure
from perflib.runs import Run

_COLOUR = re.compile(r"\x1b\[[0-9;]*m")


def execute(step: PlannedStep, run: Run, *, cell_timeout_sec: int) -> Failure | None:
    """
    Execute a step's notebook into the run.

    Args:
        step: What to execute.
        run: The run's folder; the executed notebook is kept there also when it failed.
        cell_timeout_sec: How long one cell may take.

    Returns:
        None on success, else what happened, in one sentence.

    Raises:
        SetupError: If the executed notebook cannot be written.
    """
    # Imported here: they take seconds that a resumed run with nothing to do need not wait for.
    import papermill
    from nbclient.exceptions import CellTimeoutError, DeadKernelError
    from papermill.exceptions import PapermillExecutionError

    target = executed_path(step.name, run)
    target.parent.mkdir(parents=True, exist_ok=True)
    working, log = target.with_name(f".{target.name}"), target.with_suffix(".log")
    log.unlink(missing_ok=True)
    try:
        with _quiet_kernel():
            papermill.execute_notebook(
                literal(step.notebook),
                literal(working),
                parameters=dict(step.parameters),
                kernel_name="python3",
                progress_bar=False,
                cwd=str(project.root()),
                autosave_cell_every=0,
                execution_timeout=cell_timeout_sec,
                config=_kernel_settings(log),
            )
        failure = None if scraps.is_complete(working, run.run_id) else _incomplete(step, target)
    except PapermillExecutionError as error:
        failure = _cell_failure(step, error, target)
    except DeadKernelError:
        failure = _named(step, "kernel-died", f"its kernel died, most likely out of memory; see {log}.")
    except CellTimeoutError:
        failure = _named(
            step, "timeout", f"a cell took longer than {cell_timeout_sec} s; raise cell_timeout_sec or see {target}."
        )
    except RuntimeError as error:  # jupyter_client's word for a kernel that does not start
        failure = _named(step, "kernel-start", f"its kernel did not start ({error}); free the machine and go on.")
    except OSError as error:
        raise SetupError(f"{target} cannot be written ({error.strerror or error}); free space and go on.") from error
    finally:
        if working.exists():
            working.replace(target)
        if log.exists() and not log.stat().st_size:
            log.unlink()
    return failure


def _cell_failure(step: PlannedStep, error: Any, target: Path) -> Failure:
    words = _COLOUR.sub("", str(error.evalue)).strip()
    is_ours = isinstance(getattr(errors, str(error.ename), None), type)
    sentence = words if is_ours else f"{error.ename}: {words}"
    return _named(step, "cell-error", f"cell {error.exec_count} said: {sentence} (see {target})")


def _incomplete(step: PlannedStep, target: Path) -> Failure:
    return _named(step, "incomplete", f"its last cell was not reached, although no error was raised; see {target}.")


def _named(step: PlannedStep, reason: str, sentence: str) -> Failure:
    return Failure(step.name, reason, f"{step.notebook.name} for {step.name}: {sentence}")


def _kernel_settings(log: Path) -> Any:
    """Talk to kernels over files, not over TCP that other users of the host could reach, and keep their log."""
    from traitlets.config import Config

    config = Config()
    config.KernelManager.transport = "ipc"
    config.NotebookClient.kernel_manager_class = "perflib.pipeline.kernel.LoggedKernelManager"
    config.LoggedKernelManager.log_path = str(log)
    return config


@contextlib.contextmanager
def _quiet_kernel() -> Iterator[None]:
    """Keep papermill's remarks about our own parameters and cells off the terminal."""
    logging.getLogger("papermill").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
