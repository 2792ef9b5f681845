"""Chrome traces made by hand: a few events as torch writes them, times in microseconds."""

import gzip
import json
from pathlib import Path
from typing import Any


def event(
    name: str,
    start_us: float,
    duration_us: float,
    *,
    cat: str = "cpu_op",
    tid: int = 1,
    dims: list[Any] | None = None,
    types: list[str] | None = None,
    external_id: int | None = None,
) -> dict[str, Any]:
    """Return one span."""
    args: dict[str, Any] = {}
    if dims is not None:
        args |= {"Input Dims": dims, "Input type": types or ["float"] * len(dims)}
    if external_id is not None:
        args["External id"] = external_id
    return {"ph": "X", "cat": cat, "name": name, "pid": 1, "tid": tid, "ts": start_us, "dur": duration_us, "args": args}


def step(number: int, start_us: float, duration_us: float, *, tid: int = 1) -> dict[str, Any]:
    """Return the mark of an active step."""
    return event(f"ProfilerStep#{number}", start_us, duration_us, cat="user_annotation", tid=tid)


def opened(name: str, start_us: float, duration_us: float) -> dict[str, Any]:
    """Return a range of ours."""
    return event(name, start_us, duration_us, cat="user_annotation")


def allocation(at_us: float, total_bytes: int, *, device_type: int = 0) -> dict[str, Any]:
    """Return what the allocator says after it gave out memory or took it back."""
    args = {"Device Type": device_type, "Total Allocated": total_bytes}
    return {"ph": "i", "cat": "cpu_instant_event", "name": "[memory]", "pid": 1, "tid": 1, "ts": at_us, "args": args}


def write(path: Path, events: list[dict[str, Any]], **document: Any) -> Path:
    """Write a trace, packed where its name says so."""
    content = json.dumps({"schemaVersion": 1, **document, "traceEvents": events}).encode()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)
    return path
