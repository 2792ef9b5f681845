"""
One arm in one process: loads an artifact, answers requests on standard input, times what it is told to time.

It imports only what its engine needs and sleeps in a blocking read between slots, so that it does not disturb the other
arm. Requests and replies are one JSON object a line; whatever a library prints goes to standard error.

    python -m perflib.benchmarking.worker
    {"op": "load", "artifact": "…", "inputs": "….npz"}    -> {"load_sec": 0.81}
    {"op": "slot", "scenario": "single", "passes": 1}     -> {"samples_sec": [0.0123, …]}
    {"op": "stop"}                                        -> {"peak_rss_bytes": …, "peak_device_bytes": null}
"""

import json
import os
import re
import resource
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any, TextIO

from perflib.artifact import Artifact
from perflib.benchmarking.scenarios import SCENARIOS, time_calls
from perflib.encoded import Encoded
from perflib.errors import MeasurementError, PerflibError


class Worker:
    """The state of one arm between requests."""

    def __init__(self) -> None:
        self._artifact: Artifact | None = None
        self._calls: dict[str, list[Encoded]] = {}

    def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        """Do what one request asks; `MeasurementError` for an unknown one."""
        match request:
            case {"op": "load", "artifact": str(artifact), "inputs": str(inputs)}:
                return self._load(Path(artifact), Path(inputs))
            case {"op": "warm", "scenario": str(name)}:
                return {"samples_sec": self._time(name, passes_count=1, count=SCENARIOS[name].warmup_count)}
            case {"op": "slot", "scenario": str(name), "passes": int(passes)}:
                return {"samples_sec": self._time(name, passes_count=passes)}
            case {"op": "stop"}:
                return {"peak_rss_bytes": peak_rss_bytes(), "peak_device_bytes": self._peak_device_bytes()}
        raise MeasurementError(f"the worker does not know the request {request!r}; parent and worker must match.")

    def _load(self, artifact: Path, inputs: Path) -> dict[str, Any]:
        start_sec = time.perf_counter()
        self._artifact = Artifact.load(artifact)
        self._artifact.open()
        encoded = Encoded.read(inputs)
        self._calls = {name: scenario.calls(scenario.sample(encoded)) for name, scenario in SCENARIOS.items()}
        return {"load_sec": time.perf_counter() - start_sec}

    def _time(self, name: str, *, passes_count: int, count: int | None = None) -> list[float]:
        if self._artifact is None:
            raise MeasurementError("a slot was asked for before an artifact was loaded; send `load` first.")
        calls = self._calls[name]
        if count is not None:
            calls = calls[:count] if SCENARIOS[name].is_one_by_one else [calls[0].take(slice(0, count))]
        return time_calls(self._artifact.predict, calls, passes_count=passes_count, clock_ns=time.perf_counter_ns)

    def _peak_device_bytes(self) -> int | None:
        if self._artifact is None or self._artifact.spec.runtime.device != "cuda":
            return None
        from perflib.engines.torch_engine import peak_device_bytes

        return peak_device_bytes()


def peak_rss_bytes() -> int:
    """
    Return the most memory that this process has held.

    Linux keeps it as VmHWM; ``getrusage`` there would start from the memory of the parent that forked us.
    """
    try:
        status = Path("/proc/self/status").read_text(encoding="utf-8")
        return int(re.search(r"^VmHWM:\s+(\d+) kB", status, re.MULTILINE).group(1)) * 1024  # type: ignore[union-attr]
    except (OSError, AttributeError):
        pass  # no such file here, or no such line: ask the portable way
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def serve(requests: Iterable[str], replies: TextIO) -> None:
    """Answer requests until ``stop`` or the end of the input, which means that the parent is gone."""
    worker = Worker()
    for line in requests:
        request = json.loads(line)
        try:
            reply = worker.answer(request)
        except PerflibError as error:
            reply = {"error": str(error)}
        replies.write(json.dumps(reply) + "\n")
        replies.flush()
        if request.get("op") == "stop":
            return


def main() -> None:
    """Keep the real standard output for replies and send everything else that is printed to standard error."""
    replies = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    serve(sys.stdin, replies)


if __name__ == "__main__":
    main()
