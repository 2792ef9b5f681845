"""
The Chrome trace that torch.profiler writes, as tables.

    trace = read_trace(Path("baseline.1767.pt.trace.json.gz"))
    trace.spans[["name", "category", "start_sec", "duration_sec"]]
    trace.steps  # one row for each active step

Times are seconds since the first span. A trace is foreign data: what does not fit is refused with a reason.
"""

import dataclasses
import gzip
import json
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from perflib import units
from perflib.errors import DataError

# A trace of five steps of a small model has a few megabytes; one of gigabytes would take the machine's memory.
MAX_BYTES = 512 * 2**20
STEP_PREFIX = "ProfilerStep#"
_SEC_PER_US = 1e-6
_CHUNK_BYTES = 2**20
_COLUMNS = ("name", "category", "thread", "start_sec", "duration_sec", "external_id", "shapes", "types", "values")


@dataclasses.dataclass(frozen=True)
class Trace:
    """
    What a profiler saw.

    ``spans`` has a row for everything that took time: ``name``, ``category`` (cpu_op, user_annotation, kernel, …),
    ``thread``, ``start_sec``, ``duration_sec``, ``external_id`` (links a kernel to the operator that launched it), and
    ``shapes``, ``types`` and ``values`` of the inputs as JSON text. ``allocations`` has ``at_sec``, ``device`` and
    ``allocated_bytes``, the total after each allocation or release.
    """

    spans: pd.DataFrame
    allocations: pd.DataFrame

    @property
    def steps(self) -> pd.DataFrame:
        """The profiler's marks: one row for each active step, in order."""
        is_step = self.spans["name"].str.startswith(STEP_PREFIX) & (self.spans["category"] == "user_annotation")
        return self.spans[is_step].sort_values("start_sec", ignore_index=True)


def read_trace(path: Path, *, max_bytes: int = MAX_BYTES) -> Trace:
    """
    Read a trace as torch wrote it, ``.json`` or ``.json.gz``.

    Args:
        path: The file.
        max_bytes: Of the unpacked text; a packed file is not unpacked further than this.

    Raises:
        DataError: If it is missing, empty, truncated, larger than ``max_bytes``, no JSON, or no trace.
    """
    events = read_document(path, max_bytes=max_bytes)["traceEvents"]
    spans = [_span(event) for event in events if event.get("ph") == "X"]
    if not spans:
        raise DataError(
            f"the trace {path} holds {len(events)} events and none that took time; profile the model again."
        )
    table = pd.DataFrame(spans, columns=list(_COLUMNS))
    if not np.isfinite(table[["start_sec", "duration_sec"]].to_numpy(float)).all():
        raise DataError(f"the trace {path} holds times that are no numbers; profile the model again.")
    first_sec = float(table["start_sec"].min())
    table["start_sec"] -= first_sec
    table = table.sort_values(["start_sec", "duration_sec"], ascending=[True, False], ignore_index=True)
    return Trace(table, _allocations(events, first_sec))


def read_document(path: Path, *, max_bytes: int = MAX_BYTES) -> dict[str, Any]:
    """
    Return a trace as it stands in the file, with its ``traceEvents``; errors as `read_trace`.

    A trace may hold control characters, which names of kernels have had.
    """
    try:
        found = json.loads(_unpacked(path, max_bytes), strict=False)
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"the trace {path} cannot be read ({error}); profile the model again.") from error
    except (ValueError, RecursionError) as error:
        raise DataError(f"the trace {path} is not whole JSON ({error}); profile the model again.") from error
    events = found.get("traceEvents") if isinstance(found, dict) else None
    if not isinstance(events, list) or not all(isinstance(event, dict) for event in events):
        raise DataError(f"{path} holds no list of trace events; profile the model again.")
    return found  # type: ignore[no-any-return]


def _unpacked(path: Path, max_bytes: int) -> bytes:
    chunks, size_bytes = [], 0
    for chunk in _chunks(path):
        size_bytes += len(chunk)
        if size_bytes > max_bytes:
            raise DataError(
                f"the trace {path} is larger than {units.size(max_bytes)}; profile fewer steps, or without stacks."
            )
        chunks.append(chunk)
    if not size_bytes:
        raise DataError(f"the trace {path} is empty; profile the model again.")
    return b"".join(chunks)


def _chunks(path: Path) -> Iterator[bytes]:
    with gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb") as stream:
        while chunk := stream.read(_CHUNK_BYTES):
            yield chunk


def _span(event: dict[str, Any]) -> tuple[Any, ...]:
    args = event.get("args")
    args = args if isinstance(args, dict) else {}
    return (
        str(event.get("name", "")),
        str(event.get("cat", "")),
        f"{event.get('pid')}/{event.get('tid')}",
        _number(event.get("ts")) * _SEC_PER_US,
        _number(event.get("dur")) * _SEC_PER_US,
        _whole(args.get("External id", -1)),
        json.dumps(args.get("Input Dims", [])),
        json.dumps(args.get("Input type", [])),
        json.dumps(args.get("Concrete Inputs", [])),
    )


def _number(value: Any) -> float:
    return float(value) if isinstance(value, int | float) else float("nan")


def _whole(value: Any) -> int:
    return value if isinstance(value, int) else -1


def _allocations(events: list[dict[str, Any]], first_sec: float) -> pd.DataFrame:
    rows = [
        (
            _number(event.get("ts")) * _SEC_PER_US - first_sec,
            "cpu" if event["args"].get("Device Type") == 0 else "cuda",
            max(_whole(event["args"].get("Total Allocated")), 0),
        )
        for event in events
        if event.get("name") == "[memory]" and isinstance(event.get("args"), dict)
    ]
    table = pd.DataFrame(rows, columns=["at_sec", "device", "allocated_bytes"])
    return table.sort_values("at_sec", ignore_index=True)
