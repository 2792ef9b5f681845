"""
An environment of an old lock, built as a thin overlay over today's.

Most packages are the same as then, so only those that differ are installed, into a virtual environment whose path goes
on into today's. It takes seconds and some megabytes where a whole environment takes minutes and gigabytes.

    made = build_environment(old_lock, base=read_lock(), cache=folder)
    Launcher(baseline=worker_command(python=made.python))
"""

import contextlib
import dataclasses
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from perflib.errors import ParameterError, SetupError
from perflib.records import sha256_json
from perflib.regression import installed, overlay_path
from perflib.regression.locks import Interpreter, LockChange, ask_interpreter, diff_locks, read_lock_of
from perflib.results.history import EnvironmentLock

INSTALL_TIMEOUT_SEC = 1800.0
_VENV_TIMEOUT_SEC = 120.0
_TAIL_CHARS = 300
_FORMAT = 1


class EnvironmentUnavailableError(SetupError):
    """An environment of then cannot be had on this machine, so nothing can be said about it."""


@dataclasses.dataclass(frozen=True)
class Environment:
    """An interpreter, and what is installed for it."""

    python: str
    lock: EnvironmentLock


def build_environment(
    lock: EnvironmentLock,
    *,
    base: EnvironmentLock,
    base_python: str = sys.executable,
    cache: Path,
    find_links: Path | None = None,
    only: Sequence[str] | None = None,
) -> Environment:
    """
    Return an interpreter under which the packages of a lock are found, built the first time it is asked for.

    Packages that differ from the base are installed by the base's pip from the index that it is configured for, without
    their dependencies. What is new today stays visible behind them, and so does today's patch release of Python.
    Without any difference the base itself is returned.

    Args:
        lock: What was installed then.
        base: What is installed for ``base_python``.
        base_python: The interpreter of today; it may be one of our overlays.
        cache: Where overlays are kept, one folder each.
        find_links: A folder of wheels, asked instead of the index.
        only: Change these packages alone; all that differ if not given.

    Raises:
        EnvironmentUnavailableError: If Python is another one, a version cannot be found or installed, or what was
            installed is not what was wanted.
        ParameterError: If ``only`` names a package whose version of then does not differ.
    """
    if _minor(lock.python) != _minor(base.python):
        raise EnvironmentUnavailableError(
            f"the environment was one of Python {lock.python} and {base_python} is Python {base.python}; "
            "rerun it with the Python of then."
        )
    changes = _chosen(diff_locks(lock, base), only)
    if not changes:
        return Environment(base_python, base)
    with _unavailable(f"the environment with {_words(changes)} cannot be built"):
        behind = ask_interpreter(base_python)
        folder = cache / _digest(changes, behind)
        with _locked(cache, folder.name):
            made = _reused(folder, changes) or _built(folder, changes, behind, find_links=find_links)
    return made


def _chosen(differing: Sequence[LockChange], only: Sequence[str] | None) -> tuple[LockChange, ...]:
    changes = tuple(one for one in differing if one.before is not None)
    if only is None:
        return changes
    names = {installed.canonical(name) for name in only}
    unknown = sorted(names - {one.name for one in changes})
    if unknown:
        raise ParameterError(
            f"package `{unknown[0]}` has no version of then that differs from today's; name one of "
            f"{', '.join(one.name for one in changes) or 'none'}."
        )
    return tuple(one for one in changes if one.name in names)


def _digest(changes: Sequence[LockChange], behind: Interpreter) -> str:
    """Return the name of an overlay: what it holds itself, and over what it lies."""
    pins = [f"{one.name}=={one.before}" for one in changes]
    path = [behind.executable, behind.lock.python, behind.site_folders, behind.other_folders]
    return sha256_json([_FORMAT, pins, path])[:32]


def _reused(folder: Path, changes: Sequence[LockChange]) -> Environment | None:
    """Return an overlay that was built before; None where there is none or it is not whole any more."""
    if not folder.is_dir():
        return None
    try:
        return _checked(folder, changes)
    except SetupError:
        # Its base was removed, or somebody worked in it.
        shutil.rmtree(folder)
        return None


def _built(folder: Path, changes: Sequence[LockChange], behind: Interpreter, *, find_links: Path | None) -> Environment:
    """Build beside the final name and rename: a virtual environment finds itself by where its Python lies."""
    for left in folder.parent.glob(f".{folder.name}.*"):
        shutil.rmtree(left)  # of a process that was killed, since we hold the lock
    with tempfile.TemporaryDirectory(prefix=f".{folder.name}.", dir=folder.parent) as temporary:
        new = Path(temporary) / "new"
        command = [behind.executable, "-m", "venv", "--without-pip", "--symlinks", str(new)]
        _run(command, timeout_sec=_VENV_TIMEOUT_SEC)
        # Before the base is visible, so that pip finds an empty environment and leaves the base alone.
        _install(new, changes, behind, find_links=find_links)
        _look_behind(new, behind)
        _checked(new, changes)
        new.rename(folder)
    try:
        return _checked(folder, changes)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def _install(folder: Path, changes: Sequence[LockChange], behind: Interpreter, *, find_links: Path | None) -> None:
    source = [] if find_links is None else ["--no-index", "--find-links", str(find_links)]
    pip = [behind.executable, "-m", "pip", "--python", _python(folder), "--disable-pip-version-check", "--no-input"]
    pins = [f"{one.name}=={one.before}" for one in changes]
    _run([*pip, "install", "--quiet", "--no-deps", *source, *pins], timeout_sec=INSTALL_TIMEOUT_SEC)


def _look_behind(folder: Path, behind: Interpreter) -> None:
    """Let the overlay see the base; every overlay has a name of its own for this, because one may lie over another."""
    (packages,) = folder.glob("lib/python*/site-packages")
    name = f"_perflib_overlay_{folder.parent.name.split('.')[1][:16]}"
    shutil.copy(overlay_path.__file__, packages / f"{name}.py")
    folders = f"{list(behind.site_folders)!a}, {list(behind.other_folders)!a}"
    # Last of all `.pth` files, so that what those of the overlay's own packages add comes before the base.
    (packages / f"zzz{name}.pth").write_text(
        f"import os, {name}; {name}.look_behind(os.path.dirname({name}.__file__), {folders})\n", encoding="ascii"
    )


def _checked(folder: Path, changes: Sequence[LockChange]) -> Environment:
    """Ask the environment itself whether it has what was wanted."""
    found = read_lock_of(_python(folder))
    versions = {one.name: one.version for one in found.packages}
    for one in changes:
        if versions.get(one.name) != one.before:
            raise EnvironmentUnavailableError(
                f"{one.name} {one.before} was installed and {versions.get(one.name, 'nothing')} is found; "
                "see what else is on the path."
            )
    return Environment(_python(folder), found)


def _run(command: Sequence[str], *, timeout_sec: float) -> None:
    """Run a command and whatever it starts; end all of it when the time is up or we are interrupted."""
    with subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True
    ) as process:
        try:
            output, _ = process.communicate(timeout=timeout_sec)
        except BaseException:
            # pip works in a child of its own, which would outlive it and hold the pipe.
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)
            raise
    if process.returncode:
        raise EnvironmentUnavailableError(f"{_name(command)} says: {_complaint(output)}")


def _name(command: Sequence[str]) -> str:
    return command[command.index("-m") + 1]


def _complaint(output: bytes) -> str:
    """Return the last error of pip, which sums up the ones before it, or the end of what was printed."""
    lines = [" ".join(line.split()) for line in output.decode(errors="replace").splitlines() if line.strip()]
    errors = [line.removeprefix("ERROR: ") for line in lines if line.startswith("ERROR: ")]
    return (errors or [" ".join(lines)])[-1][-_TAIL_CHARS:].rstrip(".") or "nothing"


@contextlib.contextmanager
def _unavailable(what: str) -> Iterator[None]:
    """Say every failure in one sentence of one kind."""
    try:
        yield
    except subprocess.TimeoutExpired as error:
        why = f"{_name(error.cmd)} did not end within {error.timeout:g} s"
    except OSError as error:
        why = error.strerror or str(error)
    except SetupError as error:
        why = str(error).rstrip(".")
    else:
        return
    raise EnvironmentUnavailableError(f"{what}: {why}; check the package index, the network and the disk.")


@contextlib.contextmanager
def _locked(cache: Path, name: str) -> Iterator[None]:
    from filelock import FileLock, Timeout

    cache.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(cache / f"{name}.lock", timeout=INSTALL_TIMEOUT_SEC):
            yield
    except Timeout:
        raise SetupError(f"another process has been building it for {INSTALL_TIMEOUT_SEC:g} s") from None


def _python(folder: Path) -> str:
    return str(folder / "bin" / "python")


def _minor(python: str) -> list[str]:
    return python.split(".")[:2]


def _words(changes: Sequence[LockChange]) -> str:
    first = ", ".join(f"{one.name} {one.before}" for one in changes[:3])
    return first if len(changes) <= 3 else f"{first} and {len(changes) - 3} more"
