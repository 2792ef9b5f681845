"""
Every moment of a step belongs to somebody: an operator, the Python between operators of a module, or a gap.

Spans of one thread nest. What a span takes for itself is its duration without its children; a moment of a step that no
span covers is a gap, read off the trace and not left over from a subtraction.

    found = attribute(trace)
    found.spans.groupby("module")["self_sec"].sum()

On a GPU the time of an operator is that of the kernels that it launched, and a gap is a moment in which none ran.
"""

import dataclasses
from collections.abc import Sequence

import numpy as np
import pandas as pd

from perflib.errors import DataError
from perflib.profiling.trace import STEP_PREFIX, Trace

# Ranges that `modules.annotated` opens around every module's forward, and around a call that hides its modules.
MODULE_PREFIX = "module:"
CALL_RANGE = "call"
# What a device does, as torch names it in its traces.
_DEVICE_CATEGORIES = ("kernel", "gpu_memcpy", "gpu_memset")
_HOST_CATEGORIES = ("cpu_op", "user_annotation", "cuda_runtime", "cuda_driver")


@dataclasses.dataclass(frozen=True)
class Attribution:
    """
    Active steps, moment by moment, on the thread that made them, or on the device.

    ``spans`` are those of the main thread within the steps, with ``self_sec``, ``total_sec``, ``depth``, ``module``
    (dotted, empty outside) and ``is_range`` (a range of ours, whose own time is Python between operators).
    ``gap_sec`` is the time of the steps in which nothing ran, ``step_sec`` their whole time.
    """

    spans: pd.DataFrame
    gap_sec: float
    step_sec: float


def attribute(trace: Trace, *, device: str = "cpu") -> Attribution:
    """
    Give every moment of the active steps to one span, or to a gap.

    Args:
        trace: With step marks.
        device: ``cpu``, or ``cuda`` for the time of kernels.

    Raises:
        DataError: If the trace has no step marks, or steps of several threads.
    """
    steps = trace.steps
    if steps.empty:
        raise DataError("the trace has no step marks; profile with a schedule, and call `step` after each one.")
    threads = steps["thread"].unique()
    if len(threads) > 1:
        raise DataError(f"the trace has steps on {len(threads)} threads; profile one model at a time.")
    spans = trace.spans
    is_mine = (spans["thread"] == threads[0]) & spans["category"].isin(_HOST_CATEGORIES)
    mine = spans[is_mine & ~spans["name"].str.startswith(STEP_PREFIX)]
    kernels = spans[spans["category"].isin(_DEVICE_CATEGORIES)]
    parts, gap_sec = [], 0.0
    for start_sec, duration_sec in zip(steps["start_sec"], steps["duration_sec"], strict=True):
        end_sec = start_sec + duration_sec
        inside = mine[(mine["start_sec"] >= start_sec) & (mine["start_sec"] < end_sec)]
        parts.append(nest(inside))
        busy = inside if device == "cpu" else kernels
        starts, ends = busy["start_sec"].tolist(), (busy["start_sec"] + busy["duration_sec"]).tolist()
        gap_sec += uncovered_sec(starts, ends, start_sec, end_sec)
    table = pd.concat(parts, ignore_index=True)
    if device == "cuda":
        table = _on_device(table, kernels)
    return Attribution(table, gap_sec, float(steps["duration_sec"].sum()))


def nest(spans: pd.DataFrame) -> pd.DataFrame:
    """
    Return spans of one thread with their own time, their depth, and the module that they ran for.

    Args:
        spans: As `Trace.spans`, of one thread.

    Returns:
        The same rows by start, and ``self_sec``, ``total_sec``, ``depth``, ``module`` and ``is_range``.
    """
    table = spans.sort_values(["start_sec", "duration_sec"], ascending=[True, False], ignore_index=True)
    starts = table["start_sec"].to_numpy(float)
    ends = starts + table["duration_sec"].to_numpy(float)
    own_sec = table["duration_sec"].to_numpy(float).copy()
    names: list[str] = table["name"].tolist()
    modules, depths, open_rows = [""] * len(table), [0] * len(table), list[int]()
    for row in range(len(table)):
        while open_rows and ends[open_rows[-1]] <= starts[row]:
            open_rows.pop()
        if open_rows:
            parent = open_rows[-1]
            # A child may end some nanoseconds after its parent: the profiler rounds.
            own_sec[parent] -= min(ends[row], ends[parent]) - starts[row]
            modules[row] = modules[parent]
        if names[row].startswith(MODULE_PREFIX):
            modules[row] = names[row].removeprefix(MODULE_PREFIX)
        depths[row] = len(open_rows)
        open_rows.append(row)
    return table.assign(
        self_sec=np.maximum(own_sec, 0.0),
        total_sec=table["duration_sec"],
        depth=depths,
        module=modules,
        is_range=[name.startswith(MODULE_PREFIX) or name == CALL_RANGE for name in names],
    )


def uncovered_sec(starts_sec: Sequence[float], ends_sec: Sequence[float], from_sec: float, to_sec: float) -> float:
    """
    Return how much of a stretch no interval covers.

    Example:
        >>> uncovered_sec([1.0, 1.5], [2.0, 3.0], 0.0, 4.0)
        2.0
    """
    gap_sec, seen_sec = 0.0, from_sec
    for start_sec, end_sec in sorted(zip(starts_sec, ends_sec, strict=True)):
        gap_sec += max(min(start_sec, to_sec) - seen_sec, 0.0)
        seen_sec = max(seen_sec, end_sec)
    return gap_sec + max(to_sec - seen_sec, 0.0)


def _on_device(spans: pd.DataFrame, kernels: pd.DataFrame) -> pd.DataFrame:
    """Replace host time by that of the kernels that a span launched; a kernel carries the number of its operator."""
    launched_sec = kernels[kernels["external_id"] >= 0].groupby("external_id")["duration_sec"].sum()
    is_operator = spans["category"] == "cpu_op"
    own_sec = spans["external_id"].map(launched_sec).fillna(0.0).where(is_operator, 0.0)
    return spans.assign(self_sec=own_sec, total_sec=_with_children(own_sec.to_numpy(float), spans["depth"].tolist()))


def _with_children(own_sec: "np.ndarray[tuple[int], np.dtype[np.float64]]", depths: list[int]) -> list[float]:
    """Add to every span what the spans below it have; they follow it, deeper than it is."""
    total_sec = own_sec.tolist()
    ancestors: list[int] = []
    for row, depth in enumerate(depths):
        del ancestors[depth:]
        for ancestor in ancestors:
            total_sec[ancestor] += own_sec[row]
        ancestors.append(row)
    return total_sec
