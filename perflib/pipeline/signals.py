"""
Interruptions: a signal becomes an exception, and no child process outlives the run.

Handlers are installed even where SIGINT was ignored by the shell that started us in the background.
"""

import contextlib
import gc
import logging
import signal
import threading
from collections.abc import Iterator
from types import FrameType

import psutil

from perflib.errors import InterruptedRunError

_GRACE_SEC = 3.0


class _SignalArrived(KeyboardInterrupt):
    """What a handler raises: event loops keep any other exception to themselves, and libraries catch `Exception`."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


@contextlib.contextmanager
def raising_signals(advice: str = "ended the run; go on with --resume") -> Iterator[None]:
    """
    Turn SIGINT and SIGTERM into `InterruptedRunError` while the block runs; a second one is let through.

    Args:
        advice: What follows the signal's name in the sentence.
    """
    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread may set handlers; a notebook that starts a run has its own
        return

    def handle(number: int, frame: FrameType | None) -> None:  # noqa: ARG001 -- the signal module's signature
        for one in (signal.SIGINT, signal.SIGTERM):
            signal.signal(one, signal.SIG_DFL)
        # What the libraries have under way ends badly now, and they would log every piece of it with its traceback.
        logging.disable(logging.CRITICAL)
        raise _SignalArrived(number)

    before = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    except _SignalArrived as arrived:
        name = signal.Signals(arrived.number).name
        raise InterruptedRunError(f"{name} {advice}.", signal_number=arrived.number) from None
    finally:
        gc.collect()  # asyncio logs a task's lost exception when the task is collected
        logging.disable(logging.NOTSET)
        for number, handler in before.items():
            signal.signal(number, handler)


@contextlib.contextmanager
def ending_children() -> Iterator[None]:
    """End every process that the block started and left: kernels, and the workers that they started."""
    ours = psutil.Process()
    before = {child.pid for child in ours.children(recursive=True)}
    try:
        yield
    finally:
        left = [child for child in ours.children(recursive=True) if child.pid not in before]
        for child in left:
            with contextlib.suppress(psutil.NoSuchProcess):
                child.terminate()
        for child in psutil.wait_procs(left, timeout=_GRACE_SEC)[1]:
            with contextlib.suppress(psutil.NoSuchProcess):
                child.kill()
