"""
The parent's side of a worker: start it, ask it, wait without spinning, and say what happened if it is gone.

A parent that polls burns a core beside the benchmark; this one sleeps in `select` until a reply or the deadline comes.
"""

import dataclasses
import json
import os
import select
import shlex
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal, Protocol, TypeVar

import perflib
from perflib.benchmarking import protocol
from perflib.benchmarking.protocol import ReplyError
from perflib.benchmarking.worker import OFFSET_SEED
from perflib.errors import MeasurementError, ParameterError

SLOT_TIMEOUT_SEC = 300.0
_TAIL_CHARS = 300
_WORKER = ("-m", "perflib.benchmarking.worker")

_Reply = TypeVar("_Reply")

ArmName = Literal["baseline", "candidate"]
ArmTrouble = Literal["died", "out-of-memory", "hung", "refused", "rubbish"]


class ArmError(MeasurementError):
    """An arm could not be timed; ``arm`` says which, ``trouble`` how, and the sentence holds its last output."""

    def __init__(self, message: str, *, arm: str, trouble: ArmTrouble) -> None:
        super().__init__(message)
        self.arm, self.trouble = arm, trouble


class Asked(Protocol):
    """What a comparison needs of an arm; tests pass one with a fake clock."""

    label: str

    def send(self, request: dict[str, Any]) -> None:
        """Hand over a request without waiting."""
        ...

    def receive(self) -> dict[str, Any]:
        """Wait for the reply."""
        ...

    def close(self) -> None:
        """End the arm, whatever state it is in."""
        ...


class StartArm(Protocol):
    """Starts the process of one arm with what chance gave it."""

    def __call__(self, label: ArmName, *, hash_seed: int, padding_bytes: int) -> Asked:
        """Return the arm, started and not yet asked anything."""
        ...

    def command(self, label: ArmName) -> tuple[str, ...]:
        """Return the arm's command line, for the record."""
        ...


@dataclasses.dataclass(frozen=True)
class Launcher:
    """
    Starts workers: here, under another Python, or by any command that speaks the protocol.

    Args:
        baseline: Command line of the baseline's arm.
        candidate: Command line of the candidate's arm.
        timeout_sec: How long one request may take.
    """

    baseline: tuple[str, ...] = (sys.executable, *_WORKER)
    candidate: tuple[str, ...] = (sys.executable, *_WORKER)
    timeout_sec: float = SLOT_TIMEOUT_SEC

    def __call__(self, label: ArmName, *, hash_seed: int, padding_bytes: int) -> "Arm":
        """Start one arm."""
        chance = {
            "PYTHONHASHSEED": str(hash_seed),
            # What lies below the environment moves with its length, and with it what shares a cache line.
            "PERFLIB_PADDING": "x" * padding_bytes,
            OFFSET_SEED: str(hash_seed),
        }
        return Arm(label, command=self.command(label), timeout_sec=self.timeout_sec, environment=chance)

    def command(self, label: ArmName) -> tuple[str, ...]:
        """Return an arm's command line."""
        return self.baseline if label == "baseline" else self.candidate


def worker_command(*, python: str | None = None, command: str | None = None) -> tuple[str, ...]:
    """
    Return the command line of an arm.

    Args:
        python: Another Python interpreter for perflib's own worker.
        command: A whole other command, as one would type it.

    Raises:
        ParameterError: If both are given, or the program is not there.
    """
    if python and command:
        raise ParameterError("an arm has either another Python or another command; give one of them.")
    try:
        words = tuple(shlex.split(command)) if command else (python or sys.executable, *_WORKER)
    except ValueError as error:
        raise ParameterError(f"the arm's command {command!r} cannot be read ({error}); check its quotes.") from error
    from shutil import which

    if not words or which(words[0]) is None:
        raise ParameterError(f"the arm's program {words[0] if words else command!r} cannot be run; give its full path.")
    return words


class Arm:
    """
    One worker process, in a session of its own: a Ctrl-C reaches the parent alone, which ends its arms.

    Args:
        label: Its name in error sentences.
        command: What is started.
        timeout_sec: How long one request may take.
        environment: Added to the worker's environment.
    """

    def __init__(
        self,
        label: str,
        *,
        command: tuple[str, ...] = (sys.executable, *_WORKER),
        timeout_sec: float = SLOT_TIMEOUT_SEC,
        environment: dict[str, str] | None = None,
    ) -> None:
        self.label, self._timeout_sec = label, timeout_sec
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 -- it lives as long as the arm and is closed in `close`
        self._lent = lend_package() if command[0] != sys.executable else None
        self._process = self._start(command, environment or {})
        self._rest = b""

    def _start(self, command: tuple[str, ...], environment: dict[str, str]) -> "subprocess.Popen[bytes]":
        lent = {"PYTHONPATH": self._lent.name} if self._lent else {}
        return subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            # Unbuffered: a request that a dead worker never took would be written again by `close`, and fail there.
            bufsize=0,
            start_new_session=True,
            env={**os.environ, **environment, **lent},
        )

    def send(self, request: dict[str, Any]) -> None:
        """Hand over a request without waiting, so that two arms can load at the same time."""
        assert self._process.stdin is not None
        if self._rest:
            raise self._gone(f"wrote {self._rest[:80]!r} without being asked", trouble="rubbish")
        try:
            self._process.stdin.write(json.dumps(request).encode() + b"\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            raise self._ended() from None

    def receive(self) -> dict[str, Any]:
        """
        Wait for the reply.

        Raises:
            ArmError: If the worker died, hung, refused or wrote something else; the sentence holds its last output.
        """
        try:
            reply = protocol.decode(self._read_line())
        except ReplyError as error:
            raise self._gone(str(error), trouble="rubbish") from None
        if "error" in reply:
            raise ArmError(
                f"the {self.label} arm could not be timed: {reply['error']}", arm=self.label, trouble="refused"
            )
        return reply

    def close(self) -> None:
        """End the process, whatever it has started, and its log."""
        end_group(self._process)
        self._log.close()
        if self._lent is not None:
            self._lent.cleanup()

    def _read_line(self) -> bytes:
        assert self._process.stdout is not None
        handle, deadline_sec = self._process.stdout.fileno(), time.monotonic() + self._timeout_sec
        while b"\n" not in self._rest:
            left_sec = deadline_sec - time.monotonic()
            if not select.select([handle], [], [], max(left_sec, 0.0))[0]:
                raise self._gone(f"gave no answer within {self._timeout_sec:g} s", trouble="hung")
            chunk = os.read(handle, 1 << 16)
            if not chunk:
                raise self._ended()
            self._rest += chunk
            if len(self._rest) > protocol.MAX_LINE_BYTES:
                raise self._gone(f"wrote {len(self._rest):,} bytes without a line's end", trouble="rubbish")
        line, _, self._rest = self._rest.partition(b"\n")
        return line

    def _ended(self) -> ArmError:
        """Say how the process ended; its end of a pipe is closed, so it is gone or about to be."""
        try:
            code = self._process.wait(timeout=5.0)
        except subprocess.TimeoutExpired:
            return self._gone("closed its pipe and lives on", trouble="rubbish")
        if code == -signal.SIGKILL:
            return self._gone("was killed by signal 9", trouble="out-of-memory")
        return self._gone(f"was killed by signal {-code}" if code < 0 else f"ended with code {code}", trouble="died")

    def _gone(self, what: str, *, trouble: ArmTrouble) -> ArmError:
        self._log.seek(0)
        tail = " ".join(self._log.read().decode(errors="replace").split())[-_TAIL_CHARS:]
        advice = "most likely memory ran out, free some and try again;" if trouble == "out-of-memory" else "see"
        return ArmError(
            f"the {self.label} arm {what}; {advice} its last output: {tail or 'it printed nothing'}",
            arm=self.label,
            trouble=trouble,
        )


def end_group(process: "subprocess.Popen[Any]") -> None:
    """End a process that leads its own group, whatever it has started, and the pipes to it."""
    try:
        # Also where it has ended: what it has started may live on, and keeps the group's number taken.
        os.killpg(process.pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        process.kill()
    process.wait()
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            pipe.close()


def lend_package() -> "tempfile.TemporaryDirectory[str]":
    """Let an arm under another Python import this very perflib, and nothing else of what is installed beside it."""
    folder = tempfile.TemporaryDirectory(prefix="perflib-import-")
    (Path(folder.name) / "perflib").symlink_to(Path(perflib.__file__).resolve().parent, target_is_directory=True)
    return folder


def load_request(artifact: Path, inputs: Path, scenarios: list[str], cpus: list[int]) -> dict[str, Any]:
    """Return the request that loads an artifact, its inputs and what is going to be asked, on which processors."""
    return {"op": "load", "artifact": str(artifact), "inputs": str(inputs), "scenarios": scenarios, "cpus": cpus}


def received(check: Callable[[Mapping[str, Any]], _Reply], arm: Asked) -> _Reply:
    """Wait for a reply and check it; `ArmError` for anything that is no such reply."""
    try:
        return check(arm.receive())
    except ReplyError as error:
        raise ArmError(f"the {arm.label} arm {error}; measure again.", arm=arm.label, trouble="rubbish") from None


def checked(check: Callable[[Mapping[str, Any]], _Reply], arm: Asked, request: dict[str, Any]) -> _Reply:
    """Send a request, wait for its reply and check it."""
    arm.send(request)
    return received(check, arm)


def ask_slot(arm: Asked, request: dict[str, Any]) -> protocol.Slot:
    """Ask for one slot; `ArmError` for anything that is no list of times."""
    return checked(protocol.slot, arm, request)
