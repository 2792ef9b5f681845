"""
A folder that is made once: whole or not at all, by one process at a time.

Downloads and trained baselines take minutes; a process that is killed half-way must leave nothing that looks finished.
The folder is filled under a temporary name and renamed into place, under a lock that a second process waits for.
"""

import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from perflib.artifact import SPEC_FILE, Artifact
from perflib.errors import DataError, SetupError

BASELINE = "baseline"


def fill_folder(folder: Path, fill: Callable[[Path], None], *, is_whole: Callable[[Path], bool]) -> Path:
    """
    Make ``folder`` unless it is whole already.

    Args:
        folder: Where the content shall lie.
        fill: Writes everything into the empty folder that it is given.
        is_whole: Says whether a folder needs no work; it is asked before and after waiting for the lock.

    Raises:
        SetupError: If the cache cannot be written.
    """
    if is_whole(folder):
        return folder
    from filelock import FileLock

    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(folder.parent / f".{folder.name}.lock"):
            if not is_whole(folder):
                _fill_beside(folder, fill)
    except OSError as error:
        raise SetupError(
            f"{folder} cannot be written ({error.strerror or error}); free space or set PERFLIB_CACHE_DIR."
        ) from error
    return folder


def cached_baseline(folder: Path, make: Callable[[Path], None]) -> Artifact:
    """
    Load the sealed baseline under ``folder``, making the folder first where there is none.

    Args:
        folder: Named by a digest of everything that the baseline depends on.
        make: Fills an empty folder; what it seals lies in its subfolder ``baseline``.

    Raises:
        DataError: If a cached baseline has been altered.
    """
    fill_folder(folder, make, is_whole=lambda place: (place / BASELINE / SPEC_FILE).is_file())
    try:
        return Artifact.load(folder / BASELINE)
    except DataError as error:
        raise DataError(
            f"the cached baseline is damaged: {str(error).partition(';')[0]}; delete {folder} to have it made again."
        ) from error


def _fill_beside(folder: Path, fill: Callable[[Path], None]) -> None:
    # The temporary folder is beside its goal, because a rename is atomic only within one file system.
    beside = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    try:
        new, old = beside / "new", beside / "old"
        new.mkdir()
        fill(new)
        if folder.exists():
            folder.rename(old)
        new.rename(folder)
    finally:
        shutil.rmtree(beside, ignore_errors=True)
