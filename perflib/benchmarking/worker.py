"""
One arm in one process: loads an artifact, answers requests on standard input, times what it is told to time.

It imports only what its engine needs and sleeps in a blocking read between slots, so that it does not disturb the other
arm. `perflib.benchmarking.protocol` describes the requests; whatever a library prints goes to standard error.

    python -m perflib.benchmarking.worker
"""

import dataclasses
import importlib.metadata
import json
import os
import platform
import re
import resource
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, TextIO

from perflib.artifact import Artifact
from perflib.benchmarking import energy, gpu
from perflib.benchmarking.grid import named_scenarios
from perflib.benchmarking.scenarios import SlotPlan, SlotRunner
from perflib.benchmarking.timers import allocate_offset, open_timer
from perflib.encoded import Encoded
from perflib.errors import MeasurementError, PerflibError
from perflib.machine import ENGINE_PACKAGES

OFFSET_SEED = "PERFLIB_DEVICE_OFFSET"


class Worker:
    """The state of one arm between requests."""

    def __init__(self) -> None:
        self._artifact: Artifact | None = None
        self._runners: dict[str, SlotRunner] = {}
        self._meter: energy.EnergyMeter | None = None
        self._own_device_bytes = 0

    def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        """Do what one request asks; `MeasurementError` for an unknown one."""
        match request:
            case {"op": "load", "artifact": str(artifact), "inputs": str(inputs), "scenarios": list(names)}:
                return self._load(Path(artifact), Path(inputs), names, cpus=request.get("cpus", []))
            case {"op": "warm", "scenario": str(name), "passes": int(passes)}:
                return {"samples_sec": self._runner(name).warm(passes_count=passes)}
            case {"op": "slot", "scenario": str(name), "passes": int(passes)}:
                plan = SlotPlan(passes, request.get("target_sec"), request.get("start_rate_per_sec"))
                return self._observed(lambda: self._runner(name).slot(plan))
            case {"op": "stop"}:
                return {"peak_rss_bytes": peak_rss_bytes(), "peak_device_bytes": self._peak_device_bytes()}
        raise MeasurementError(f"the worker does not know the request {request!r}; parent and worker must match.")

    def _load(self, folder: Path, inputs: Path, names: Sequence[str], *, cpus: Sequence[int]) -> dict[str, Any]:
        start_sec = time.perf_counter()
        self._artifact = artifact = Artifact.load(folder)
        runtime = artifact.spec.runtime
        if runtime.thread_count is not None and runtime.thread_count < len(cpus):
            os.sched_setaffinity(0, cpus[: runtime.thread_count])
        if runtime.device == "cuda":
            # Before the model, so that its buffers lie elsewhere than in the life before.
            self._own_device_bytes = allocate_offset(int(os.environ.get(OFFSET_SEED, "0")))
        artifact.open()
        load_sec = time.perf_counter() - start_sec
        encoded, timer = Encoded.read(inputs), open_timer(runtime.device)
        self._own_device_bytes += timer.held_bytes
        self._meter = energy.open_meter(device=runtime.device)
        self._runners = {
            scenario.name: SlotRunner(
                scenario,
                artifact.predict,
                encoded,
                batch_example_count=runtime.batch_example_count,
                timer=timer,
            )
            for scenario in named_scenarios(names)
        }
        return {
            "load_sec": load_sec,
            "answer_shape": list(artifact.predict(encoded.take([0])).shape),
            "python": platform.python_version(),
            "versions": _versions(),
        }

    def _runner(self, name: str) -> SlotRunner:
        if name not in self._runners:
            raise MeasurementError(f"scenario `{name}` was asked for before it was loaded; name it in `load`.")
        return self._runners[name]

    def _observed(self, run: Callable[[], list[float]]) -> dict[str, Any]:
        """Run a slot and say what this process used for it."""
        before, meter = _usage(), self._meter
        if meter is not None:
            meter.start()
        samples_sec = run()
        energy_joule = meter.stop_joule() if meter is not None else None
        after = _usage()
        return {
            "samples_sec": samples_sec,
            "cpu_sec": after[0] - before[0],
            "involuntary_switch_count": after[1] - before[1],
            "energy_joule": energy_joule,
            **self._gpu_state(),
        }

    def _gpu_state(self) -> dict[str, Any]:
        """Read the GPU at the end of a slot, while its clock is still the one that was timed."""
        if self._artifact is None or self._artifact.spec.runtime.device != "cuda":
            return {}
        state = gpu.read_gpu(own_pids=(os.getpid(),))
        return {f"gpu_{name}": value for name, value in dataclasses.asdict(state).items()} if state else {}

    def _peak_device_bytes(self) -> int | None:
        if self._artifact is None or self._artifact.spec.runtime.device != "cuda":
            return None
        from perflib.engines.torch_engine import peak_device_bytes

        peak_bytes = peak_device_bytes()
        return None if peak_bytes is None else peak_bytes - self._own_device_bytes


def _usage() -> tuple[float, int]:
    """Return the processor time of this process and its ended children, and how often it was made to wait."""
    usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in usages), sum(one.ru_nivcsw for one in usages)


def _versions() -> dict[str, str]:
    """Return the versions of the engines' packages that this process has imported."""
    return {name: importlib.metadata.version(name) for name in ENGINE_PACKAGES if name in sys.modules}


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
        except MemoryError:
            reply = {"error": "it ran out of memory; free some, or give it a smaller batch."}
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
