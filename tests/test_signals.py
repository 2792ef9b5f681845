"""A signal ends a run in good order: one exception, and no process left behind."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import psutil
import pytest

from perflib.errors import InterruptedRunError
from perflib.pipeline.signals import ending_children, raising_signals
from tests.conftest import NOTEBOOKS

SLEEPING_CHILD = """
import subprocess, sys, time
from pathlib import Path
from perflib.errors import InterruptedRunError
from perflib.pipeline.signals import ending_children, raising_signals

try:
    with raising_signals(), ending_children():
        child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True)
        Path(sys.argv[1]).write_text(str(child.pid))
        time.sleep(600)
except InterruptedRunError as error:
    print(error, flush=True)
    sys.exit(error.exit_code)
"""

HANGING_KERNEL = f"""
import sys
from pathlib import Path
from perflib.errors import InterruptedRunError
from perflib.pipeline.execute import execute
from perflib.pipeline.plan import PlannedStep
from perflib.pipeline.signals import ending_children, raising_signals
from perflib.runs import Run

run = Run(Path(sys.argv[1]).parent)
step = PlannedStep("hangs", Path({str(NOTEBOOKS)!r}, "hangs.ipynb"), {{"run_dir": str(run.folder)}}, "ab", False)
try:
    with raising_signals(), ending_children():
        execute(step, run, cell_timeout_sec=600)
except InterruptedRunError as error:
    print(error, flush=True)
    sys.exit(error.exit_code)
"""


def wait_for(is_so: Callable[[], bool]) -> None:
    """Wait until something is so; two minutes are for ever."""
    for _ in range(1200):
        if is_so():
            return
        time.sleep(0.1)
    raise AssertionError("it did not happen")


def is_alive(pid: int) -> bool:
    """Tell whether a process runs; one that only waits to be reaped does not."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def send(
    script: str, number: int, pid_file: Path, *, prefix: Sequence[str] = ()
) -> tuple["subprocess.CompletedProcess[str]", int]:
    """Start a script that starts a child, signal it once the child is there, and return how it ended."""
    command = [*prefix, sys.executable, "-c", script, str(pid_file)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        wait_for(lambda: (pid_file.is_file() and pid_file.read_text() != "") or process.poll() is not None)
        process.send_signal(number)
        out, err = process.communicate(timeout=120)
    finally:
        process.kill()
    ended = subprocess.CompletedProcess(command, process.returncode, out, err)
    return ended, int(pid_file.read_text())


@pytest.mark.parametrize(("number", "exit_code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_ends_the_children_too(number: int, exit_code: int, tmp_path: Path) -> None:
    """The exception carries the exit code, and the child of another session is gone."""
    ended, child = send(SLEEPING_CHILD, number, tmp_path / "child.pid")

    assert ended.returncode == exit_code, ended.stderr
    assert ended.stdout == f"{signal.Signals(number).name} ended the run; go on with --resume.\n"
    assert not is_alive(child)


def test_an_ignored_sigint_is_heard_again(tmp_path: Path) -> None:
    """A shell without job control starts background commands with SIGINT ignored (F9)."""
    ended, child = send(
        SLEEPING_CHILD, signal.SIGINT, tmp_path / "child.pid", prefix=["sh", "-c", 'trap "" INT; exec "$@"', "sh"]
    )

    assert ended.returncode == 130, ended.stderr
    assert not is_alive(child)


def test_a_signal_ends_a_notebook_and_its_kernel(tmp_path: Path) -> None:
    """The exception comes through papermill's event loop, the kernel is gone, and the notebook is kept (R6)."""
    ended, kernel = send(HANGING_KERNEL, signal.SIGTERM, tmp_path / "kernel.pid")

    assert ended.returncode == 143, ended.stderr
    assert ended.stdout == "SIGTERM ended the run; go on with --resume.\n"
    assert not is_alive(kernel)
    assert (tmp_path / "notebooks" / "02_hangs.ipynb").is_file()


def test_handlers_are_put_back() -> None:
    """After the block signals mean what they meant before."""
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    with raising_signals():
        assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] != before
    with pytest.raises(InterruptedRunError), raising_signals():
        os.kill(os.getpid(), signal.SIGTERM)

    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before


def test_nobody_can_catch_a_signal_by_mistake() -> None:
    """Code inside the block that suppresses every `Exception` does not swallow the interruption."""
    with pytest.raises(InterruptedRunError), raising_signals(), contextlib.suppress(Exception):
        os.kill(os.getpid(), signal.SIGTERM)


def test_children_from_before_are_left_alone() -> None:
    """Only what the block started is ended."""
    command = [sys.executable, "-c", "import time; time.sleep(600)"]
    with subprocess.Popen(command) as elder:
        try:
            with ending_children():
                younger = subprocess.Popen(command)

            assert is_alive(elder.pid)
            assert not is_alive(younger.pid)
        finally:
            elder.kill()
