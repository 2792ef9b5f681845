"""
A trace in a few numbers: operators, shapes, modules and kinds of a profile, and how memory rose and fell.

    attribution = attribute(read_trace(path))
    digest(attribution, wall_sec=1.85).kinds
"""

import dataclasses
from typing import Any

import pandas as pd

from perflib.errors import MeasurementError
from perflib.profiling.attribution import MODULE_PREFIX, Attribution
from perflib.profiling.kinds import kind_of
from perflib.profiling.trace import Trace
from perflib.profiling.work import flop_count, moved_bytes, precision_of
from perflib.results import KINDS, KindTime, MemoryPoint, ModuleTime, OperatorTime, ShapeTime

# Of all operators' time: what takes less and computes no product is left out of the shapes, to keep the record small.
_LEAST_SHARE_RATIO = 0.001
# A curve of more points is not seen, and a record stays small.
MAX_POINT_COUNT = 400


@dataclasses.dataclass(frozen=True)
class Digest:
    """What the fields of these names hold in a `Profile`."""

    operators: tuple[OperatorTime, ...]
    shapes: tuple[ShapeTime, ...]
    modules: tuple[ModuleTime, ...]
    kinds: tuple[KindTime, ...]


def digest(attribution: Attribution, *, wall_sec: float, is_compiled: bool = False) -> Digest:
    """
    Sum up what ran in the active steps.

    Args:
        attribution: Of the steps.
        wall_sec: Of the same steps by a clock of ours, so that what the trace does not show is seen as unattributed.
        is_compiled: Whether the own time of a call is that of fused kernels, and not of Python.

    Raises:
        MeasurementError: If no operator took time.
    """
    spans = attribution.spans
    is_operator = (spans["category"] == "cpu_op") & ~spans["is_range"]
    operators = _with_work(spans[is_operator])
    all_sec = float(operators["self_sec"].sum())
    if all_sec <= 0 and not is_compiled:
        raise MeasurementError(f"torch.profiler saw {len(operators)} operators that took no time; profile more steps.")
    ranges_sec = float(spans.loc[~is_operator, "self_sec"].sum())
    by_kind = {str(kind): float(sec) for kind, sec in operators.groupby("kind")["self_sec"].sum().items()}
    own_kind = "fused" if is_compiled else "framework"
    by_kind[own_kind] = by_kind.get(own_kind, 0.0) + ranges_sec
    by_kind["idle"] = attribution.gap_sec
    return Digest(
        operators=_operators(operators, all_sec),
        shapes=_shapes(operators, all_sec),
        modules=_modules(spans),
        kinds=kind_times(by_kind, wall_sec),
    )


def kind_times(by_kind: dict[str, float], wall_sec: float) -> tuple[KindTime, ...]:
    """
    Return every kind with its share of wall time, in the order of `KINDS`; what is missing is ``unattributed``.

    Where the parts add up to more than the clock saw, which rounding can do, the shares are of their sum.

    Example:
        >>> [(one.kind, one.share_ratio) for one in kind_times({"matrix": 3.0, "idle": 0.5}, 4.0)]
        [('matrix', 0.75), ('idle', 0.125), ('unattributed', 0.125)]
    """
    seen_sec = sum(by_kind.values())
    known = by_kind | {"unattributed": max(wall_sec - seen_sec, 0.0)}
    whole_sec = max(wall_sec, seen_sec)
    return tuple(KindTime(kind, known[kind], known[kind] / whole_sec) for kind in KINDS if known.get(kind, 0.0) > 0)


def memory_curve(trace: Trace, *, device: str) -> tuple[tuple[MemoryPoint, ...], int | None]:
    """
    Return what the allocator had given out over the active steps, and its peak; nothing where it was not recorded.

    A long curve keeps the highest point of every stretch, so the peak is on it.
    """
    steps = trace.steps
    start_sec = float(steps["start_sec"].min())
    end_sec = float((steps["start_sec"] + steps["duration_sec"]).max())
    rows = trace.allocations
    rows = rows[(rows["device"] == device) & rows["at_sec"].between(start_sec, end_sec)]
    if rows.empty:
        return (), None
    stretch = (rows["at_sec"] - start_sec) // ((end_sec - start_sec) / MAX_POINT_COUNT)
    kept = rows.loc[rows.groupby(stretch)["allocated_bytes"].idxmax()]
    points = [
        MemoryPoint(float(at_sec) - start_sec, int(total))
        for at_sec, total in zip(kept["at_sec"], kept["allocated_bytes"], strict=True)
    ]
    return tuple(points), int(rows["allocated_bytes"].max())


def _with_work(operators: pd.DataFrame) -> pd.DataFrame:
    """Add kind, FLOPs, bytes and precision, each computed once for every distinct operator and inputs."""
    keys = ["name", "shapes", "types", "values"]
    distinct = operators[keys].drop_duplicates()
    columns = zip(*(distinct[key] for key in keys), strict=True)
    work = [
        (kind_of(name), flop_count(name, shapes, values), moved_bytes(name, shapes, types), precision_of(types))
        for name, shapes, types, values in columns
    ]
    found = pd.DataFrame(work, columns=["kind", "flop_count", "moved_bytes", "precision"], index=distinct.index)
    return operators.merge(pd.concat([distinct, found], axis=1), on=keys, how="left")


def _operators(table: pd.DataFrame, all_sec: float) -> tuple[OperatorTime, ...]:
    sums = _summed(table, ["name", "kind"])
    rows = [
        OperatorTime(
            operator=name,
            kind=kind,
            call_count=int(row.call_count),
            self_sec=float(row.self_sec),
            total_sec=float(row.total_sec),
            self_share_ratio=float(row.self_sec) / all_sec if all_sec > 0 else 0.0,
            flop_count=int(row.flop_count),
            moved_bytes=int(row.moved_bytes),
        )
        for (name, kind), row in _rows(sums)
    ]
    return tuple(sorted(rows, key=lambda row: (-row.self_sec, row.operator)))


def _shapes(table: pd.DataFrame, all_sec: float) -> tuple[ShapeTime, ...]:
    """Keep every product and what takes time; the shapes of dispatch are of no interest."""
    worked = table[table["kind"] != "framework"]
    rows = [
        ShapeTime(
            operator=name,
            kind=kind,
            shapes=shapes,
            precision=precision,
            call_count=int(row.call_count),
            self_sec=float(row.self_sec),
            flop_count=int(row.flop_count),
            moved_bytes=int(row.moved_bytes),
        )
        for (name, kind, shapes, precision), row in _rows(_summed(worked, ["name", "kind", "shapes", "precision"]))
    ]
    kept = [row for row in rows if row.flop_count or row.self_sec >= _LEAST_SHARE_RATIO * all_sec]
    return tuple(sorted(kept, key=lambda row: (-row.self_sec, row.operator, row.shapes)))


def _modules(spans: pd.DataFrame) -> tuple[ModuleTime, ...]:
    opened = spans[spans["name"].str.startswith(MODULE_PREFIX)]
    own_sec = spans.groupby("module")["self_sec"].sum()
    sums = opened.groupby("module").agg(call_count=("total_sec", "size"), total_sec=("total_sec", "sum"))
    rows = [
        ModuleTime(str(name), int(row.call_count), float(own_sec.get(name, 0.0)), float(row.total_sec))
        for name, row in _rows(sums)
    ]
    return tuple(sorted(rows, key=lambda row: (-row.self_sec, row.module)))


def _summed(table: pd.DataFrame, keys: list[str]) -> pd.DataFrame:
    return table.groupby(keys, sort=True).agg(
        call_count=("self_sec", "size"),
        self_sec=("self_sec", "sum"),
        total_sec=("total_sec", "sum"),
        flop_count=("flop_count", "sum"),
        moved_bytes=("moved_bytes", "sum"),
    )


def _rows(table: pd.DataFrame) -> list[tuple[Any, Any]]:
    return list(zip(table.index, table.itertuples(index=False), strict=True))
