"""
The environment lock: what was installed when something was measured, and what has changed since.

    change, *_ = diff_locks(old, read_lock())
    change_words(change)   # "torch 2.12.0 -> 2.13.0"

perflib itself is left out, because its code has a commit of its own.
"""

import dataclasses
import functools
import json
import os
import platform
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

from perflib.errors import SetupError
from perflib.records import sha256_json
from perflib.regression import installed
from perflib.results.history import EnvironmentLock, LockedPackage

TIMEOUT_SEC = 120.0
_OURSELVES = "perflib"
_TAIL_CHARS = 300


@dataclasses.dataclass(frozen=True)
class LockChange:
    """One package that differs between two locks; a version is None where the package is not installed."""

    name: str
    before: str | None
    after: str | None


@dataclasses.dataclass(frozen=True)
class Interpreter:
    """
    A Python with its lock and its path.

    ``site_folders`` are those whose ``.pth`` files it reads, ``other_folders`` what else is on its path beside the
    standard library.
    """

    executable: str
    lock: EnvironmentLock
    site_folders: tuple[str, ...]
    other_folders: tuple[str, ...]


@functools.cache
def read_lock() -> EnvironmentLock:
    """
    Return the lock of this process's environment, read once.

    Of distributions with one name the first on the path counts, as it does for an import. An editable or local
    installation is locked by name and version like any other, and the current folder is none.
    """
    return _lock(platform.python_version(), installed.installed_packages())


def lock_sha256(lock: EnvironmentLock) -> str:
    """Return the digest that names a lock."""
    return sha256_json(lock.to_dict())


def read_lock_of(python: str, *, timeout_sec: float = TIMEOUT_SEC) -> EnvironmentLock:
    """
    Ask another interpreter for its lock.

    Args:
        python: Its path.
        timeout_sec: How long it may take.

    Raises:
        SetupError: If it cannot be started, fails, hangs or answers something else.
    """
    return ask_interpreter(python, timeout_sec=timeout_sec).lock


def ask_interpreter(python: str, *, timeout_sec: float = TIMEOUT_SEC) -> Interpreter:
    """Ask an interpreter for its lock and its path; errors as `read_lock_of`."""
    # An arm under another Python is not lent our path either.
    environment = dict(os.environ) if python == sys.executable else _without_path(os.environ)
    try:
        done = subprocess.run(
            [python, "-P", str(Path(installed.__file__))],
            env=environment,
            capture_output=True,
            timeout=timeout_sec,
            check=False,
        )
    except OSError as error:
        raise SetupError(f"the Python {python} cannot be started ({error.strerror}); give its full path.") from None
    except subprocess.TimeoutExpired:
        raise SetupError(
            f"the Python {python} did not say within {timeout_sec:g} s what it has installed; see why it hangs."
        ) from None
    if done.returncode:
        tail = " ".join(done.stderr.decode(errors="replace").split())[-_TAIL_CHARS:]
        raise SetupError(
            f"the Python {python} cannot say what it has installed (code {done.returncode}); its last output: {tail}"
        )
    return _interpreter(python, done.stdout)


def diff_locks(before: EnvironmentLock, after: EnvironmentLock) -> tuple[LockChange, ...]:
    """
    Return the packages that differ, sorted by name.

    Example:
        >>> old = EnvironmentLock("3.11.7", (LockedPackage("torch", "2.12.0"), LockedPackage("x", "1.0")))
        >>> new = EnvironmentLock("3.11.7", (LockedPackage("apprise", "2.2.0"), LockedPackage("torch", "2.13.0")))
        >>> [change_words(one) for one in diff_locks(old, new)]
        ['apprise 2.2.0 is new', 'torch 2.12.0 -> 2.13.0', 'x 1.0 is gone']
    """
    old, new = _versions(before), _versions(after)
    return tuple(
        LockChange(name, old.get(name), new.get(name))
        for name in sorted({*old, *new})
        if old.get(name) != new.get(name)
    )


def change_words(change: LockChange) -> str:
    """Say for people what became of a package."""
    if change.before is None:
        return f"{change.name} {change.after} is new"
    if change.after is None:
        return f"{change.name} {change.before} is gone"
    return f"{change.name} {change.before} -> {change.after}"


def _lock(python: str, packages: Iterable[tuple[str, str]]) -> EnvironmentLock:
    kept = (LockedPackage(name, version) for name, version in packages if name != _OURSELVES)
    return EnvironmentLock(python, tuple(sorted(kept, key=lambda one: one.name)))


def _interpreter(python: str, answer: bytes) -> Interpreter:
    try:
        # A package may greet on standard output when Python starts; the answer is the last line.
        found = json.loads(answer.splitlines()[-1])
        packages = [(str(name), str(version)) for name, version in found["packages"]]
        return Interpreter(
            executable=str(found["executable"]),
            lock=_lock(str(found["python"]), packages),
            site_folders=tuple(map(str, found["site_folders"])),
            other_folders=tuple(map(str, found["other_folders"])),
        )
    except (ValueError, KeyError, TypeError, IndexError):
        raise SetupError(
            f"{python} answered {answer[:80]!r} when asked what it has installed; give the path of a Python."
        ) from None


def _versions(lock: EnvironmentLock) -> dict[str, str]:
    return {one.name: one.version for one in lock.packages}


def _without_path(environment: "os._Environ[str]") -> dict[str, str]:
    return {name: value for name, value in environment.items() if name != "PYTHONPATH"}
