"""
The parent's side of a server: start it, ask it, and leave nothing of it behind.

Every request ends in an answer: one that fails, times out or breaks off is an answer that is an error.
"""

import contextlib
import dataclasses
import http.client
import json
import os
import secrets
import select
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np

from perflib.benchmarking.arm import end_group
from perflib.errors import SetupError
from perflib.rehearsing.faults import HEALTHY, Fault
from perflib.rehearsing.server import TOKEN_HEADER

COMMAND = (sys.executable, "-m", "perflib.rehearsing.server")
START_TIMEOUT_SEC, REQUEST_TIMEOUT_SEC = 180.0, 10.0
_TAIL_CHARACTERS, _LOG_BYTES = 300, 10_000

ArmName = Literal["baseline", "candidate"]


@dataclasses.dataclass(frozen=True)
class Answer:
    """What came back for one request; None where it is an error. The watch never looks at ``is_planted``."""

    class_index: int | None
    answer_sec: float | None
    is_planted: bool

    @property
    def is_error(self) -> bool:
        """Whether there is no answer."""
        return self.class_index is None


class Arm(Protocol):
    """What a rehearsal needs of a server; tests pass one with a fake clock."""

    def ask(self, given: Any) -> Answer:
        """Answer one input; an error is an answer too."""
        ...

    def plant(self, fault: Fault) -> None:
        """Make the server faulty, or healthy again."""
        ...

    def check(self) -> None:
        """Raise if the server is gone."""
        ...


class ServerArm:
    """
    A server in a process and a session of its own: a Ctrl-C reaches the parent alone, which ends its servers.

    Args:
        name: For error sentences.
        asked: What it serves: artifact, workload, seeds and first inputs.
    """

    def __init__(self, name: ArmName, asked: Mapping[str, Any]) -> None:
        self.name, self.sha256 = name, ""
        self._token, self._port = secrets.token_urlsafe(32), 0
        self._local = threading.local()
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 -- it lives as long as the server and is closed in `close`
        self._process = subprocess.Popen(
            COMMAND,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            bufsize=0,
            start_new_session=True,
        )
        assert self._process.stdin is not None
        # The token is written, not an argument: arguments can be read by every user of the machine.
        line = json.dumps({**asked, "token": self._token, "is_plantable": name == "candidate"})
        with contextlib.suppress(BrokenPipeError):  # `wait` says how it ended
            self._process.stdin.write(line.encode() + b"\n")

    @property
    def pid(self) -> int:
        """The number of its process."""
        return self._process.pid

    def wait(self, *, timeout_sec: float) -> None:
        """Wait until it listens; `SetupError` if it does not."""
        assert self._process.stdout is not None
        handle, end_sec, said = self._process.stdout.fileno(), time.monotonic() + timeout_sec, b""
        while not said.endswith(b"\n"):
            if not select.select([handle], [], [], max(end_sec - time.monotonic(), 0.0))[0]:
                raise SetupError(f"the {self.name}'s server did not start in {timeout_sec:g} s; free the machine.")
            chunk = os.read(handle, 1 << 16)
            if not chunk:
                raise self._ended()
            said += chunk
        ready = json.loads(said)
        if "error" in ready:
            raise SetupError(f"the {self.name}'s server did not start: {ready['error']}")
        self._port, self.sha256 = ready["port"], ready["sha256"]

    def ask(self, given: Any) -> Answer:
        """Ask for one answer."""
        status, document = self._post("/answer", {"input": _plain(given)})
        if status != 200:
            return Answer(None, None, is_planted=document.get("is_planted") is True)
        return Answer(document["class_index"], document["answer_sec"], document["is_planted"])

    def plant(self, fault: Fault) -> None:
        """Make the server faulty, or healthy again; `SetupError` if it does not take it."""
        status, document = self._post("/plant", dataclasses.asdict(fault))
        if status != 200:
            self.check()
            raise SetupError(f"the {self.name}'s server did not take a fault ({document}); rehearse again.")

    def check(self) -> None:
        """Raise `SetupError` if the process has ended."""
        if self._process.poll() is not None:
            raise self._ended()

    def said_last(self) -> bytes:
        """Return what it has printed, without moving the place where it goes on printing."""
        return os.pread(self._log.fileno(), _LOG_BYTES, max(os.fstat(self._log.fileno()).st_size - _LOG_BYTES, 0))

    def let_go(self) -> None:
        """End its input, as the end of this process would."""
        if self._process.stdin is not None:
            self._process.stdin.close()

    def close(self) -> None:
        """End the process and whatever it has started."""
        end_group(self._process)
        self._log.close()

    def _post(self, path: str, document: Mapping[str, Any]) -> tuple[int, dict[str, Any]]:
        """Return status and reply, (0, {}) where there is none; each thread keeps a connection of its own."""
        connection = getattr(self._local, "connection", None)
        if connection is None:
            connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=REQUEST_TIMEOUT_SEC)
            self._local.connection = connection
        try:
            connection.request("POST", path, json.dumps(document), {TOKEN_HEADER: self._token})
            reply = connection.getresponse()
            return reply.status, json.loads(reply.read())
        except (OSError, http.client.HTTPException, ValueError):
            connection.close()
            return 0, {}

    def _ended(self) -> SetupError:
        code = self._process.wait()
        how = f"was killed by signal {-code}" if code < 0 else f"ended with code {code}"
        tail = " ".join(self.said_last().decode(errors="replace").split())[-_TAIL_CHARACTERS:]
        return SetupError(
            f"the {self.name}'s server {how}; rehearse again after reading its last output: "
            f"{tail or 'it printed nothing'}"
        )


@contextlib.contextmanager
def running_servers(
    folders: Mapping[ArmName, Path], *, workload: Any, seed: int, dice_seed: int, first_inputs: Sequence[Any]
) -> Iterator[dict[ArmName, ServerArm]]:
    """
    Start one server for each folder, side by side, and end them all, whatever happens.

    Args:
        folders: Artifacts by arm.
        workload: As a params file names it.
        seed: Of the workload.
        dice_seed: Decides which answers a fault hits.
        first_inputs: Answered before a server is called ready.

    Raises:
        SetupError: If one does not start.
    """
    first = [_plain(given) for given in first_inputs]
    asked = {"workload": workload, "seed": seed, "dice_seed": dice_seed, "first_inputs": first}
    with contextlib.ExitStack() as stack:
        arms: dict[ArmName, ServerArm] = {}
        for name, folder in folders.items():
            arms[name] = ServerArm(name, {**asked, "artifact": str(folder)})
            stack.callback(arms[name].close)
        for arm in arms.values():
            arm.wait(timeout_sec=START_TIMEOUT_SEC)
        yield arms


def heal(arm: Arm) -> None:
    """Take every fault out of a server."""
    arm.plant(HEALTHY)


def _plain(given: Any) -> Any:
    """Return an input as JSON has it: texts as they are, arrays as lists."""
    return given.tolist() if isinstance(given, np.ndarray | np.generic) else given
