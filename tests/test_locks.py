"""The environment lock: what is installed, read here and elsewhere, and what has changed between two of them."""

import importlib.metadata
import json
import os
import platform
import random
import subprocess
import sys
from pathlib import Path

import pytest

from perflib.errors import SetupError
from perflib.regression import installed, locks
from perflib.regression.locks import LockChange, change_words, diff_locks, lock_sha256, read_lock, read_lock_of
from perflib.results.history import EnvironmentLock, LockedPackage


def make_lock(python: str = "3.11.7", **versions: str) -> EnvironmentLock:
    """Return a lock of some packages."""
    return EnvironmentLock(python, tuple(LockedPackage(name, versions[name]) for name in sorted(versions)))


def install(folder: Path, name: str, version: str, *, metadata: str | None = None) -> None:
    """Lay down the record of an installed distribution, as an installer does."""
    info = folder / f"{name.replace('-', '_')}-{version}.dist-info"
    info.mkdir(parents=True)
    text = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n" if metadata is None else metadata
    (info / "METADATA").write_text(text)


def write_program(path: Path, text: str) -> str:
    """Write a program that stands for a Python."""
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return str(path)


def test_the_lock_of_this_environment_is_what_each_package_says_itself() -> None:
    """Every package with the version that an import would find, sorted, without perflib."""
    lock = read_lock()
    names = [one.name for one in lock.packages]
    chosen = random.Random(0).sample(lock.packages, 20)

    assert lock.python == platform.python_version()
    assert names == sorted(set(names))
    assert {"numpy", "pytest", "jinja2"} <= set(names)
    assert "perflib" not in names
    assert [one.version for one in chosen] == [importlib.metadata.version(one.name) for one in chosen]


def test_the_lock_is_read_once() -> None:
    """A second call is free."""
    assert read_lock() is read_lock()


def test_another_process_of_this_python_gives_the_same_lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Wherever it stands: a checkout in the current folder is not installed."""
    install(tmp_path, "lying-about", "1.0")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PYTHONPATH", raising=False)

    assert read_lock_of(sys.executable) == read_lock()


def test_the_first_on_the_path_wins_and_names_are_canonical(tmp_path: Path) -> None:
    """Two copies of one package count as the one that is imported; broken records are passed over."""
    install(tmp_path / "first", "Drill.Pkg", "1.0")
    install(tmp_path / "second", "drill_pkg", "2.0")
    install(tmp_path / "second", "other", "3")
    install(tmp_path / "second", "broken", "4", metadata="")

    found = installed.installed_packages([str(tmp_path / "first"), str(tmp_path / "second")])

    assert found == [("drill-pkg", "1.0"), ("other", "3")]


def test_the_current_folder_counts_as_installed_in_no_spelling(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither as the empty word nor as its path."""
    install(tmp_path, "lying-about", "1.0")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", ["", str(tmp_path), f"{tmp_path}/.", *sys.path])

    assert "lying-about" not in dict(installed.installed_packages())


def test_another_python_is_asked_without_our_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It says what an arm would find under it, and an arm is not lent our PYTHONPATH."""
    install(tmp_path, "lent", "1.0")
    alias = tmp_path / "python"
    alias.symlink_to(sys.executable)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))

    assert "lent" in {one.name for one in read_lock_of(sys.executable).packages}
    assert "lent" not in {one.name for one in read_lock_of(str(alias)).packages}


def test_what_is_asked_needs_the_standard_library_alone() -> None:
    """An interpreter without any package can say that it has none."""
    done = subprocess.run(
        [sys.executable, "-I", "-S", installed.__file__],
        capture_output=True,
        check=True,
        env={"PATH": os.environ["PATH"]},
        cwd="/",
    )

    assert json.loads(done.stdout)["packages"] == []


@pytest.mark.parametrize(
    ("program", "says"),
    [
        ("exit 3", r"cannot say what it has installed \(code 3\)"),
        ("echo no such thing >&2; exit 1", "its last output: no such thing"),
        ("echo hello", "answered b'hello"),
        ("echo '{}'", "answered"),
        ("echo '[1]'", "answered"),
        ("true", "answered b''"),
    ],
)
def test_a_program_that_is_no_python_is_refused_in_one_sentence(tmp_path: Path, program: str, says: str) -> None:
    """Whatever it does instead of answering."""
    with pytest.raises(SetupError, match=says):
        read_lock_of(write_program(tmp_path / "python", program))


def test_a_python_that_hangs_is_left_after_its_time(tmp_path: Path) -> None:
    """The sentence says how long was waited."""
    with pytest.raises(SetupError, match=r"did not say within 0\.2 s"):
        read_lock_of(write_program(tmp_path / "python", "exec sleep 20"), timeout_sec=0.2)


def test_a_python_that_is_not_there_is_refused(tmp_path: Path) -> None:
    """The sentence names it."""
    with pytest.raises(SetupError, match=r"python cannot be started \(No such file or directory\)"):
        read_lock_of(str(tmp_path / "python"))


def test_a_greeting_before_the_answer_is_no_harm(tmp_path: Path) -> None:
    """Some packages print when Python starts."""
    lock = read_lock_of(write_program(tmp_path / "python", f'echo hello\nexec "{sys.executable}" "$@"'))

    assert lock.packages == read_lock().packages


def test_a_diff_names_what_changed_what_is_new_and_what_is_gone() -> None:
    """Sorted by name; what is equal is left out."""
    before = make_lock(torch="2.12.0", x="1.0", numpy="2.0")
    after = make_lock(torch="2.13.0", apprise="2.2.0", numpy="2.0")

    changes = diff_locks(before, after)

    assert changes == (
        LockChange("apprise", None, "2.2.0"),
        LockChange("torch", "2.12.0", "2.13.0"),
        LockChange("x", "1.0", None),
    )
    assert [change_words(one) for one in changes] == ["apprise 2.2.0 is new", "torch 2.12.0 -> 2.13.0", "x 1.0 is gone"]
    assert diff_locks(before, before) == ()


def test_the_digest_depends_on_python_names_and_versions_only() -> None:
    """It survives being written and read, and no change goes unseen."""
    lock = make_lock(torch="2.12.0")
    again = EnvironmentLock.from_dict(lock.to_dict())

    assert lock_sha256(again) == lock_sha256(lock)
    assert (
        len({lock_sha256(one) for one in (lock, make_lock("3.11.8", torch="2.12.0"), make_lock(torch="2.13.0"))}) == 3
    )
    assert len(lock_sha256(lock)) == 64


def test_perflib_of_another_python_is_left_out_too(tmp_path: Path) -> None:
    """Its code has a commit of its own."""
    answer = {"python": "3.11.7", "executable": "p", "site_folders": [], "other_folders": []}
    text = json.dumps({**answer, "packages": [["perflib", "0.1"], ["b", "1"], ["a", "2"]]})
    lock = read_lock_of(write_program(tmp_path / "python", f"echo '{text}'"))

    assert lock == make_lock(a="2", b="1")
    assert locks.ask_interpreter(str(tmp_path / "python")).executable == "p"
