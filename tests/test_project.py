"""Project: where runs go, how they are named, and what is said when they cannot be made."""

import datetime
import re
from pathlib import Path

import pytest

from perflib import project
from perflib.errors import SetupError

NOON = datetime.datetime(2031, 5, 6, 12, 0, 1, tzinfo=datetime.UTC)


def _project(folder: Path) -> Path:
    for name in ("notebooks", "params", "perflib"):
        (folder / name).mkdir(parents=True)
    return folder


def test_the_root_is_found_from_a_folder_inside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A notebook in `notebooks/` finds the project above it."""
    home = _project(tmp_path / "home")
    monkeypatch.delenv("PERFLIB_ROOT", raising=False)
    monkeypatch.chdir(home / "notebooks")

    assert project.root() == home


def test_a_named_root_that_is_none_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The variable is not second-guessed."""
    monkeypatch.setenv("PERFLIB_ROOT", str(tmp_path))

    with pytest.raises(SetupError, match="PERFLIB_ROOT"):
        project.root()


def test_folders_can_be_named_by_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Outputs, cache and lock go where the variables say."""
    for variable in ("PERFLIB_OUTPUTS_DIR", "PERFLIB_CACHE_DIR", "PERFLIB_LOCK_DIR"):
        monkeypatch.setenv(variable, str(tmp_path / variable))

    assert project.outputs_dir() == tmp_path / "PERFLIB_OUTPUTS_DIR"
    assert project.cache_dir() == tmp_path / "PERFLIB_CACHE_DIR"
    assert project.lock_dir() == tmp_path / "PERFLIB_LOCK_DIR"


def test_outside_git_the_commit_is_called_nogit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A copy without history can still name its runs."""
    monkeypatch.setenv("PERFLIB_ROOT", str(_project(tmp_path / "copy")))

    assert project.commit7() == "nogit"


def test_a_run_is_named_by_time_params_and_commit(tmp_path: Path) -> None:
    """The name sorts by time and holds no character that a shell would stumble over."""
    folder = project.new_run_dir("my params/ü", outputs=tmp_path, now=NOON)

    assert folder.is_dir()
    assert re.fullmatch(r"20310506-120001_my-params-_([0-9a-f]{7}|nogit)", folder.name)


def test_a_second_run_in_the_same_second_gets_a_number(tmp_path: Path) -> None:
    """No run ever writes into the folder of another."""
    names = [project.new_run_dir("smoke", outputs=tmp_path, now=NOON).name for _ in range(3)]

    assert names == [names[0], f"{names[0]}-2", f"{names[0]}-3"]


def test_outputs_that_cannot_be_written_are_a_setup_error(tmp_path: Path) -> None:
    """The sentence says which option chooses another folder."""
    (tmp_path / "file").write_text("in the way")

    with pytest.raises(SetupError, match="PERFLIB_OUTPUTS_DIR"):
        project.new_run_dir("smoke", outputs=tmp_path / "file" / "outputs", now=NOON)
