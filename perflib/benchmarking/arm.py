"""
The parent's side of a worker: start it, ask it, wait without spinning, and say what happened if it is gone.

A parent that polls burns a core beside the benchmark; this one sleeps in `select` until a reply or the deadline comes.
"""

import json
import os
import select
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, Protocol

from perflib.errors import MeasurementError

SLOT_TIMEOUT_SEC = 300.0
_TAIL_CHARS = 300


class Asked(Protocol):
    """What a comparison needs of an arm; tests pass one with a fake clock."""

    def ask(self, request: dict[str, Any]) -> dict[str, Any]:
        """Return the reply to one request."""
        ...

    def close(self) -> None:
        """End the arm, whatever state it is in."""
        ...


class Arm:
    """
    One worker process.

    Args:
        label: Its name in error sentences.
        timeout_sec: How long one request may take.
        environment: Added to the worker's environment.
    """

    def __init__(
        self, label: str, *, timeout_sec: float = SLOT_TIMEOUT_SEC, environment: dict[str, str] | None = None
    ) -> None:
        self.label, self._timeout_sec = label, timeout_sec
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 -- it lives as long as the arm and is closed in `close`
        self._process = subprocess.Popen(
            [sys.executable, "-m", "perflib.benchmarking.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            # Unbuffered: a request that a dead worker never took would be written again by `close`, and fail there.
            bufsize=0,
            # PYTHONHASHSEED=random: the luck of one hash seed must not be in every life.
            env={**os.environ, "PYTHONHASHSEED": "random", **(environment or {})},
        )
        self._rest = b""

    def send(self, request: dict[str, Any]) -> None:
        """Hand over a request without waiting, so that two arms can load at the same time."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(request).encode() + b"\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            raise self._ended() from None

    def receive(self) -> dict[str, Any]:
        """
        Wait for the reply.

        Raises:
            MeasurementError: If the worker died, hung or refused; the sentence holds its last output.
        """
        reply = json.loads(self._read_line())
        if "error" in reply:
            raise MeasurementError(f"the {self.label} arm could not be timed: {reply['error']}")
        return dict(reply)

    def ask(self, request: dict[str, Any]) -> dict[str, Any]:
        """Send a request and wait for its reply."""
        self.send(request)
        return self.receive()

    def close(self) -> None:
        """End the process and its log."""
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()
        self._log.close()

    def _read_line(self) -> bytes:
        assert self._process.stdout is not None
        handle = self._process.stdout.fileno()
        while b"\n" not in self._rest:
            ready, _, _ = select.select([handle], [], [], self._timeout_sec)
            if not ready:
                raise self._gone(f"gave no answer within {self._timeout_sec:.0f} s")
            chunk = os.read(handle, 1 << 16)
            if not chunk:
                raise self._ended()
            self._rest += chunk
        line, _, self._rest = self._rest.partition(b"\n")
        return line

    def _ended(self) -> MeasurementError:
        """Say how the process ended; its end of a pipe is closed, so it is gone or about to be."""
        code = self._process.wait()
        return self._gone(f"was killed by signal {-code}" if code < 0 else f"ended with code {code}")

    def _gone(self, what: str) -> MeasurementError:
        self._log.seek(0)
        tail = " ".join(self._log.read().decode(errors="replace").split())[-_TAIL_CHARS:]
        advice = "free memory and try again" if "signal 9" in what else "see its last output"
        return MeasurementError(f"the {self.label} arm {what}; {advice}: {tail or 'it printed nothing'}")


def load_request(artifact: Path, inputs: Path) -> dict[str, Any]:
    """Return the request that loads an artifact and its inputs."""
    return {"op": "load", "artifact": str(artifact), "inputs": str(inputs)}
