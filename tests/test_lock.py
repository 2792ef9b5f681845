"""The host lock: one benchmark at a time, and a sentence for those who wait."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from perflib.benchmarking.lock import HELD, host_lock
from perflib.errors import SetupError

TRY = "from perflib.benchmarking.lock import host_lock\nwith host_lock(wait_sec=0.2): print('held')"


@pytest.fixture(autouse=True)
def _own_lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PERFLIB_LOCK_DIR", str(tmp_path / "locks"))
    monkeypatch.delenv(HELD, raising=False)


def other_process(environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """Try to take the lock in another process."""
    return subprocess.run([sys.executable, "-c", TRY], env=environment, capture_output=True, text=True, timeout=60)


def test_a_second_holder_waits_and_is_then_refused(tmp_path: Path) -> None:
    """A stranger says that it waits, and after its patience says who is in the way."""
    stranger = {name: value for name, value in os.environ.items() if name != HELD}
    with host_lock():
        reply = other_process(stranger)

    assert "waiting up to 0 s" in reply.stderr
    assert f"another benchmark held {tmp_path / 'locks' / 'benchmark.lock'} for 0 s" in reply.stderr
    assert "SetupError" in reply.stderr

    assert other_process(stranger).stdout == "held\n"


def test_a_child_of_the_holder_passes_through() -> None:
    """A notebook of a run that holds the lock does not wait for its own parent."""
    with host_lock():
        reply = other_process(dict(os.environ))

    assert reply.stdout == "held\n"


def test_the_holder_may_take_it_again() -> None:
    """An inner lock is the outer one, and leaving it releases nothing."""
    with host_lock():
        with host_lock(wait_sec=0):
            pass

        assert os.environ[HELD] == str(os.getpid())
    assert HELD not in os.environ


def test_the_lock_is_released_after_an_error() -> None:
    """A failed benchmark does not block the next one."""
    with pytest.raises(ValueError, match="inside"), host_lock():
        raise ValueError("inside")
    with host_lock(wait_sec=0):
        pass


def test_a_folder_that_cannot_be_written_is_said_in_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The sentence names the setting that helps."""
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("PERFLIB_LOCK_DIR", str(tmp_path / "file" / "locks"))
    with pytest.raises(SetupError, match=r"cannot be made .*set PERFLIB_LOCK_DIR to a writable folder\.$"), host_lock():
        pass
