"""
One model behind HTTP, in a process of its own: loads an artifact, encodes as its workload does, answers JSON.

It listens on the loopback interface only, on a port that the system chooses, and answers those who know its token.
The first line of standard input says what to serve; when that input ends, the parent is gone, and so is this server.

    python -m perflib.rehearsing.server
"""

import dataclasses
import hmac
import json
import os
import sys
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np

from perflib.artifact import Artifact
from perflib.encoded import Encoded
from perflib.errors import DataError, ParameterError, PerflibError
from perflib.rehearsing.faults import HEALTHY, Dice, Fault

TOKEN_HEADER = "X-Perflib-Token"  # noqa: S105 -- the name of a header, no secret
MOST_BODY_BYTES = 1_000_000


@dataclasses.dataclass(frozen=True)
class Served:
    """An answer, and whether a planted fault has touched it; what watches the traffic never looks at that."""

    class_index: int
    label: str
    answer_sec: float
    is_planted: bool


class PlantedError(Exception):
    """The request was chosen to fail."""


class Answering:
    """
    A loaded model with whatever is planted in it.

    Args:
        artifact: What answers.
        encode: Of its workload.
        seed: Decides which answers a fault hits.
        clock: Monotonic seconds.
        sleep: Holds an answer back.
    """

    def __init__(
        self,
        artifact: Artifact,
        encode: Callable[[list[Any]], Encoded],
        *,
        seed: int,
        clock: Callable[[], float] = time.perf_counter,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.artifact, self.fault = artifact, HEALTHY
        self._encode, self._dice, self._clock, self._sleep = encode, Dice(seed), clock, sleep
        # Engines do not promise that one session answers two threads.
        self._lock = threading.Lock()

    def answer(self, given: Any) -> Served:
        """
        Answer one input.

        ``answer_sec`` counts from when the model takes it up: the wait before that says how many users there are.

        Raises:
            PlantedError: If it was chosen to fail.
            DataError: If the model's answer is not finite.
        """
        with self._lock:
            fault, is_wrong = self.fault, self._dice.hits(self.fault.wrong_ratio)
            if self._dice.hits(fault.error_ratio):
                raise PlantedError
            start_sec = self._clock()
            chances = self.artifact.predict(self._encode([given]))[0]
            answer_sec = self._clock() - start_sec
        if not np.isfinite(chances).all():
            raise DataError("the model's answer is not finite; look at its validation.")
        if fault.hold_sec:
            self._sleep(fault.hold_sec)
        labels = self.artifact.spec.labels
        class_index = (int(chances.argmax()) + is_wrong) % len(labels)
        is_planted = is_wrong or fault.hold_sec > 0
        return Served(class_index, labels[class_index], answer_sec + fault.hold_sec, is_planted)


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, answering: Answering, token: str, *, is_plantable: bool) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answering, self.token, self.is_plantable = answering, token, is_plantable


class _Handler(BaseHTTPRequestHandler):
    # Connections stay open, and an answer of two small writes must not wait for the first one's acknowledgement.
    protocol_version, disable_nagle_algorithm = "HTTP/1.1", True
    server: _Server

    def do_POST(self) -> None:
        """Answer an input, or plant a fault."""
        body = self._body()
        if body is None:
            return
        try:
            self._reply(200, self._route(json.loads(body)))
        except PlantedError:
            self._reply(500, {"error": "planted", "is_planted": True})
        except (PerflibError, ValueError, KeyError, TypeError, RuntimeError) as error:
            self._reply(500, {"error": f"{type(error).__name__}: {error}", "is_planted": False})

    def log_message(self, *_: Any) -> None:
        """Write nothing: the parent keeps the record."""

    def _body(self) -> bytes | None:
        """Return what was sent, or refuse: in one sentence, and closing, because what follows may be unread."""
        length = self.headers.get("Content-Length", "")
        size = int(length) if length.isdecimal() else MOST_BODY_BYTES + 1
        if size > MOST_BODY_BYTES:
            self.close_connection = True
            self._reply(413, {"error": f"a request has up to {MOST_BODY_BYTES} bytes, and says how many"})
            return None
        body = self.rfile.read(size)
        if not hmac.compare_digest(self.headers.get(TOKEN_HEADER, "").encode(), self.server.token.encode()):
            self._reply(403, {"error": "wrong token"})
            return None
        return body

    def _route(self, request: Any) -> dict[str, Any]:
        if self.path == "/answer":
            return dataclasses.asdict(self.server.answering.answer(request["input"]))
        if self.path == "/plant" and self.server.is_plantable:
            self.server.answering.fault = Fault.from_dict(request)
            return {}
        raise ParameterError(f"there is no {self.path} here; ask /answer.")

    def _reply(self, status: int, document: dict[str, Any]) -> None:
        content = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


def make_server(answering: Answering, *, token: str, is_plantable: bool) -> ThreadingHTTPServer:
    """Return a server that listens but does not serve yet; ``is_plantable`` opens ``/plant``."""
    return _Server(answering, token, is_plantable=is_plantable)


def load(asked: dict[str, Any]) -> Answering:
    """Load what the parent names and answer some inputs: engines prepare themselves for each new length."""
    from perflib.workloads import get_workload

    artifact = Artifact.load(Path(asked["artifact"]))
    artifact.open()
    answering = Answering(artifact, get_workload(asked["workload"], seed=asked["seed"]).encode, seed=asked["dice_seed"])
    for given in asked["first_inputs"]:
        answering.answer(given)
    return answering


def main() -> None:
    """Serve until the parent closes standard input; whatever a library prints goes to standard error."""
    replies = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    asked = json.loads(sys.stdin.readline())
    try:
        answering = load(asked)
        server = make_server(answering, token=asked["token"], is_plantable=asked["is_plantable"])
    except PerflibError as error:
        print(json.dumps({"error": str(error)}), file=replies, flush=True)
        return
    threading.Thread(target=server.serve_forever, daemon=True).start()
    ready = {"port": server.server_address[1], "sha256": answering.artifact.digest}
    print(json.dumps(ready), file=replies, flush=True)
    sys.stdin.read()
    # Not by returning: an engine's threads may keep an interpreter that wants to end.
    os._exit(0)


if __name__ == "__main__":
    main()
