"""Environments of old locks: an overlay holds what differs, today's packages are behind it, and failures are said."""

import base64
import dataclasses
import errno
import fcntl
import hashlib
import os
import subprocess
import sys
import time
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from perflib.benchmarking.alone import measure_alone
from perflib.benchmarking.arm import Launcher, worker_command
from perflib.benchmarking.probe import make_probe, probe_inputs
from perflib.benchmarking.scenarios import get_scenarios
from perflib.errors import ParameterError, SetupError
from perflib.regression import environments
from perflib.regression.environments import Environment, EnvironmentUnavailableError, build_environment
from perflib.regression.locks import read_lock_of
from perflib.results.history import EnvironmentLock, LockedPackage

# Puts itself in front of every other finder, as some editable installations do, and of the path.
HOG = """
import sys
from importlib.machinery import PathFinder

class Hog:
    def find_spec(self, name, path=None, target=None):
        return PathFinder.find_spec(name, [FOLDER], target) if name == "drillpkg" else None

def install():
    sys.meta_path.insert(0, Hog())
    sys.path.insert(0, FOLDER)
"""


def write_wheel(folder: Path, name: str, version: str, files: Mapping[str, str]) -> None:
    """Write a wheel of plain files, as an index would serve it."""
    info = f"{name}-{version}.dist-info"
    content = {
        **files,
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\nRequires-Dist: nowhere\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    digests = {
        path: base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).decode().rstrip("=")
        for path, text in content.items()
    }
    record = "".join(f"{path},sha256={digests[path]},{len(text.encode())}\n" for path, text in content.items())
    with zipfile.ZipFile(folder / f"{name}-{version}-py3-none-any.whl", "w") as wheel:
        for path, text in {**content, f"{info}/RECORD": f"{record}{info}/RECORD,,\n"}.items():
            wheel.writestr(path, text)


def with_versions(lock: EnvironmentLock, **versions: str) -> EnvironmentLock:
    """Return a lock in which some packages have these versions."""
    packages = {one.name: one.version for one in lock.packages} | versions
    return dataclasses.replace(lock, packages=tuple(LockedPackage(name, packages[name]) for name in sorted(packages)))


def say(python: str, expression: str, *modules: str) -> str:
    """Evaluate an expression under an interpreter, in a folder that is nobody's."""
    code = f"import {', '.join(modules or ('sys',))}; print({expression})"
    done = subprocess.run([python, "-c", code], capture_output=True, text=True, check=False, cwd="/")
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def lying(cache: Path) -> list[str]:
    """Return what lies in a cache besides the files of locks."""
    return sorted(path.name for path in cache.glob("*") if path.suffix != ".lock")


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write versions 1.0 and 2.0 of two packages; of each a part lies in one namespace."""
    folder = tmp_path_factory.mktemp("wheels")
    for version in ("1.0", "2.0"):
        write_wheel(folder, "drillpkg", version, {"drillpkg/__init__.py": f"version = '{version}'\n"})
        write_wheel(folder, "otherpkg", version, {"otherpkg.py": f"version = '{version}'\n"})
    write_wheel(folder, "spaced_one", "1.0", {"spaced/one.py": "number = 1\n"})
    write_wheel(folder, "spaced_two", "1.0", {"spaced/two.py": "number = 2\n"})
    hogged = tmp_path_factory.mktemp("hogged")
    (hogged / "drillpkg.py").write_text("version = 'hogged'\n")
    files = {"hog.py": f"FOLDER = {str(hogged)!r}\n{HOG}", "hog.pth": "import hog; hog.install()\n"}
    write_wheel(folder, "hog", "1.0", files)
    return folder


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Keep overlays for all tests that do not spoil them."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def here() -> EnvironmentLock:
    """Lock the environment that runs the tests."""
    return read_lock_of(sys.executable)


@pytest.fixture(scope="module")
def today(wheels: Path, cache: Path, here: EnvironmentLock) -> Environment:
    """Stand for today: this environment with 2.0 of both packages."""
    lock = with_versions(here, drillpkg="2.0", otherpkg="2.0", **{"spaced-two": "1.0"})
    return build_environment(lock, base=here, cache=cache, find_links=wheels)


@pytest.fixture(scope="module")
def old(wheels: Path, cache: Path, today: Environment) -> Environment:
    """Build the environment of then: 1.0 of one package, a package that is gone, and the rest as today."""
    lock = with_versions(today.lock, drillpkg="1.0", **{"spaced-one": "1.0"})
    return build_environment(lock, base=today.lock, base_python=today.python, cache=cache, find_links=wheels)


def build_old(today: Environment, wheels: Path, cache: Path, **options: Any) -> Environment:
    """Build version 1.0 of the first package over today's environment."""
    lock = with_versions(today.lock, drillpkg=options.pop("version", "1.0"))
    options = {"base": today.lock, "base_python": today.python, "cache": cache, "find_links": wheels} | options
    return build_environment(lock, **options)


def test_today_is_this_environment_with_two_packages_more(today: Environment, here: EnvironmentLock) -> None:
    """Everything else is what it was, and the lock says so."""
    assert today.lock == with_versions(here, drillpkg="2.0", otherpkg="2.0", **{"spaced-two": "1.0"})
    assert say(today.python, "drillpkg.version", "drillpkg") == "2.0"


def test_the_old_environment_has_the_old_version_in_front_of_todays_packages(
    old: Environment, today: Environment, here: EnvironmentLock
) -> None:
    """What differs is its own; numpy is this environment's, and so is perflib."""
    import numpy as np

    import perflib

    assert old.lock == with_versions(today.lock, drillpkg="1.0", **{"spaced-one": "1.0"})
    assert read_lock_of(old.python) == old.lock
    assert say(old.python, "drillpkg.version, otherpkg.version", "drillpkg", "otherpkg") == "1.0 2.0"
    assert say(old.python, "numpy.__file__", "numpy") == np.__file__
    assert say(old.python, "perflib.__file__", "perflib") == perflib.__file__
    assert say(old.python, "sys.prefix") == str(Path(old.python).parents[1])
    assert {one.name for one in here.packages} <= {one.name for one in old.lock.packages}


def test_the_base_is_not_touched(old: Environment, today: Environment) -> None:
    """Pip finds nothing to remove there."""
    assert old.python != today.python
    assert read_lock_of(today.python) == today.lock


def test_a_namespace_has_parts_in_front_and_behind(old: Environment) -> None:
    """One part is the overlay's, the other one today's."""
    assert say(old.python, "spaced.one.number, spaced.two.number", "spaced.one", "spaced.two") == "1 2"


def test_what_pushes_itself_to_the_front_in_the_base_stays_behind(
    wheels: Path, tmp_path: Path, here: EnvironmentLock
) -> None:
    """Neither a finder nor a folder that the base puts first hides the overlay's own packages."""
    hogged = build_environment(with_versions(here, hog="1.0"), base=here, cache=tmp_path / "cache", find_links=wheels)
    assert say(hogged.python, "drillpkg.version", "drillpkg") == "hogged"

    made = build_old(hogged, wheels, tmp_path / "cache")

    assert say(made.python, "drillpkg.version", "drillpkg") == "1.0"
    own = "sys.path.index(os.path.dirname(os.path.dirname(drillpkg.__file__)))"
    assert say(made.python, f"{own} < sys.path.index(hog.FOLDER)", "sys", "os", "drillpkg", "hog") == "True"


def test_an_environment_is_built_once(
    old: Environment, today: Environment, wheels: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second time nothing is run; it lies in the cache under one name."""
    monkeypatch.setattr(environments, "_run", None)
    again = build_environment(old.lock, base=today.lock, base_python=today.python, cache=cache, find_links=wheels)

    assert again == old
    assert Path(old.python).parents[1].parent == cache


def test_an_environment_that_is_not_whole_is_built_again(today: Environment, wheels: Path, tmp_path: Path) -> None:
    """Somebody has removed the package; what a killed process left beside it goes too."""
    made = build_old(today, wheels, tmp_path)
    folder = Path(made.python).parents[1]
    dead = folder.rename(folder.with_name(f".{folder.name}.dead"))
    made = build_old(today, wheels, tmp_path)
    assert not dead.exists()

    (info,) = folder.glob("lib/python*/site-packages/drillpkg-1.0.dist-info")
    info.rename(info.with_name("nothing"))

    assert build_old(today, wheels, tmp_path) == made
    assert lying(tmp_path) == [folder.name]


def test_without_a_difference_the_base_itself_is_the_environment(
    today: Environment, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is asked or built; a package that is new today stays visible, and a patch of Python is no difference."""
    monkeypatch.setattr(environments, "_run", None)
    without = dataclasses.replace(today.lock, packages=today.lock.packages[1:])
    patched = dataclasses.replace(today.lock, python="3.11.999")

    for lock in (today.lock, without, patched):
        made = build_environment(lock, base=today.lock, base_python=today.python, cache=cache / "none")
        assert made == Environment(today.python, today.lock)
    assert not (cache / "none").exists()


def test_only_some_packages_can_be_changed(today: Environment, wheels: Path, cache: Path) -> None:
    """To find which one it is; names may be spelt as people spell them."""
    lock = with_versions(today.lock, drillpkg="1.0", otherpkg="1.0")
    options: dict[str, Any] = {
        "base": today.lock,
        "base_python": today.python,
        "cache": cache,
        "find_links": wheels,
    }
    made = build_environment(lock, only=["OtherPkg"], **options)

    assert made.lock == with_versions(today.lock, otherpkg="1.0")
    assert say(made.python, "drillpkg.version, otherpkg.version", "drillpkg", "otherpkg") == "2.0 1.0"
    assert build_environment(lock, only=[], **options).python == today.python
    with pytest.raises(ParameterError, match=r"`numpy` has no version .* name one of drillpkg, otherpkg\.$"):
        build_environment(lock, only=["numpy"], **options)


def test_another_python_cannot_be_built(today: Environment, tmp_path: Path) -> None:
    """The minor version counts; it is said before anything is tried."""
    lock = dataclasses.replace(today.lock, python="3.10.13")

    with pytest.raises(EnvironmentUnavailableError, match=r"one of Python 3\.10\.13 and .* is Python 3\.11"):
        build_environment(lock, base=today.lock, base_python=today.python, cache=tmp_path / "cache")
    assert not (tmp_path / "cache").exists()
    assert issubclass(EnvironmentUnavailableError, SetupError)


def test_a_version_that_cannot_be_found_is_said_and_leaves_nothing(
    today: Environment, wheels: Path, tmp_path: Path
) -> None:
    """Pip's own last sentence, and what to look at."""
    with pytest.raises(
        EnvironmentUnavailableError,
        match=r"^the environment with drillpkg 9\.0 cannot be built: pip says: No matching distribution found for "
        r"drillpkg==9\.0; check the package index, the network and the disk\.$",
    ):
        build_old(today, wheels, tmp_path, version="9.0")
    assert lying(tmp_path) == []


def test_an_installation_that_hangs_is_ended_with_all_that_it_started(
    today: Environment, wheels: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The sentence says how long was waited."""
    monkeypatch.setattr(environments, "INSTALL_TIMEOUT_SEC", 0.05)

    with pytest.raises(EnvironmentUnavailableError, match=r"pip did not end within 0\.05 s"):
        build_old(today, wheels, tmp_path)
    assert lying(tmp_path) == []


def test_a_grandchild_ends_with_the_command(tmp_path: Path) -> None:
    """Pip works in a child of its own, which would go on installing."""
    file = tmp_path / "held"
    holder = f"import fcntl, time; file = open({str(file)!r}, 'w'); fcntl.flock(file, fcntl.LOCK_EX); time.sleep(60)"
    parent = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {holder!r}])"
    (tmp_path / "slow.py").write_text(parent)

    with pytest.raises(subprocess.TimeoutExpired):
        environments._run([sys.executable, str(tmp_path / "slow.py"), "-m", "x"], timeout_sec=2.0)

    with file.open("w") as mine:
        for _ in range(50):  # the kernel may take a moment to end it
            try:
                fcntl.flock(mine, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return
            except BlockingIOError:
                time.sleep(0.1)
    pytest.fail("the grandchild lives on")


@pytest.mark.parametrize("step", ["_install", "_look_behind"])
def test_an_interrupted_build_leaves_nothing(
    today: Environment, wheels: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    """Neither under the final name nor beside it; the next one succeeds."""
    with monkeypatch.context() as patch:
        patch.setattr(environments, step, _interrupt)
        with pytest.raises(KeyboardInterrupt):
            build_old(today, wheels, tmp_path)
    assert lying(tmp_path) == []

    assert say(build_old(today, wheels, tmp_path).python, "drillpkg.version", "drillpkg") == "1.0"


def test_a_full_disk_is_said_and_leaves_nothing(
    today: Environment, wheels: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whichever file it was that had no room."""

    def fill(*_args: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(environments, "_look_behind", fill)
    with pytest.raises(EnvironmentUnavailableError, match=r"cannot be built: No space left on device; check"):
        build_old(today, wheels, tmp_path)
    assert lying(tmp_path) == []


def _interrupt(*_args: object, **_options: object) -> None:
    raise KeyboardInterrupt


def test_an_installation_that_did_not_do_what_was_asked_is_no_environment(
    today: Environment, wheels: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is asked itself, whatever pip said."""
    monkeypatch.setattr(environments, "_install", lambda *_args, **_options: None)

    with pytest.raises(EnvironmentUnavailableError, match=r"drillpkg 1\.0 was installed and 2\.0 is found"):
        build_old(today, wheels, tmp_path)
    assert lying(tmp_path) == []


def test_a_base_without_pip_or_without_python_is_said(
    today: Environment, wheels: Path, tmp_path: Path, here: EnvironmentLock
) -> None:
    """A bare virtual environment has no pip; a path that leads nowhere has nothing."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(tmp_path / "bare")], check=True)

    with pytest.raises(EnvironmentUnavailableError, match="No module named pip"):
        build_old(today, wheels, tmp_path / "cache", base_python=str(tmp_path / "bare" / "bin" / "python"))
    with pytest.raises(EnvironmentUnavailableError, match="nowhere cannot be started"):
        build_old(today, wheels, tmp_path / "cache", base_python=str(tmp_path / "nowhere"))
    assert lying(tmp_path / "cache") == []


def test_a_cache_that_cannot_be_written_is_said(today: Environment, wheels: Path, tmp_path: Path) -> None:
    """Here a file lies where the folder should be."""
    (tmp_path / "file").write_text("")

    with pytest.raises(EnvironmentUnavailableError, match=r"cannot be built: (Not a directory|File exists)"):
        build_old(today, wheels, tmp_path / "file")


def test_two_do_not_build_the_same_at_once(
    today: Environment, wheels: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second one waits, and says for how long."""
    from filelock import FileLock

    folder = Path(build_old(today, wheels, tmp_path).python).parents[1]
    monkeypatch.setattr(environments, "INSTALL_TIMEOUT_SEC", 0.1)

    with (
        FileLock(tmp_path / f"{folder.name}.lock"),
        pytest.raises(EnvironmentUnavailableError, match=r"another process has been building it for 0\.1 s"),
    ):
        build_old(today, wheels, tmp_path)


@pytest.mark.timing
def test_an_arm_runs_under_an_old_environment(old: Environment, tmp_path: Path) -> None:
    """A life of the probe under the overlay's Python answers; nothing is said about how fast."""
    done = measure_alone(
        make_probe(tmp_path / "probe", layer_count=20),
        probe_inputs(),
        scenarios=get_scenarios(["offline"]),
        lives_count=1,
        slots_per_life_count=1,
        start_arm=Launcher(baseline=worker_command(python=old.python)),
    )

    assert done.scenarios[0].p50_sec > 0
