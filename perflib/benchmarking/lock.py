"""
One benchmark at a time on one host: two that overlap measure each other.

The pipeline holds the lock for a whole run; a notebook by itself holds it while it times.
"""

import contextlib
import os
import sys
from collections.abc import Iterator

from perflib import project
from perflib.errors import SetupError

HELD = "PERFLIB_LOCK_HELD"
WAIT_SEC = 900.0


@contextlib.contextmanager
def host_lock(*, wait_sec: float = WAIT_SEC) -> Iterator[None]:
    """
    Hold the host's benchmark lock; a child process of the holder passes through.

    Args:
        wait_sec: How long to wait for another benchmark to end.

    Raises:
        SetupError: If the lock's folder cannot be written, or the other benchmark does not end in time.
    """
    if os.environ.get(HELD):
        yield
        return
    from filelock import FileLock, Timeout

    path = project.lock_dir() / "benchmark.lock"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(path)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            print(f"another benchmark runs on this host; waiting up to {wait_sec:.0f} s for it to end", file=sys.stderr)
            lock.acquire(timeout=wait_sec)
    except Timeout:
        raise SetupError(
            f"another benchmark held {path} for {wait_sec:.0f} s; wait for it to end, two at once measure each other."
        ) from None
    except OSError as error:
        raise SetupError(
            f"the lock {path} cannot be made ({error.strerror}); set PERFLIB_LOCK_DIR to a writable folder."
        ) from error
    os.environ[HELD] = str(os.getpid())
    try:
        yield
    finally:
        del os.environ[HELD]
        lock.release()
