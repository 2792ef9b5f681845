"""
What `ncu --csv` prints, as a table with a row for each kernel that was measured.

    kernels = read_ncu(Path("ncu.csv"))
    kernels.sort_values("duration_sec")[["name", "compute_share_ratio", "memory_share_ratio"]]

The raw page has a column for each metric and a row of units under its header; the details page has a row for each
metric of each kernel. Both are read. What ncu could not measure ("n/a") is NaN.
"""

import csv
import io
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from perflib.errors import DataError

_ADD, _MULTIPLY, _BOTH = (f"smsp__sass_thread_inst_executed_op_{name}_pred_on.sum" for name in ("fadd", "fmul", "ffma"))
# ncu's names of what is kept -> our columns.
_COLUMNS: Mapping[str, str] = {
    "gpu__time_duration.sum": "duration_sec",
    "dram__bytes.sum": "dram_bytes",
    "sm__throughput.avg.pct_of_peak_sustained_elapsed": "compute_share_ratio",
    "gpu__compute_memory_throughput.avg.pct_of_peak_sustained_elapsed": "memory_share_ratio",
    "sm__warps_active.avg.pct_of_peak_sustained_active": "occupancy_ratio",
}
_OPERATIONS: Mapping[str, int] = {_ADD: 1, _MULTIPLY: 1, _BOTH: 2}
# The metrics that a recording asks for.
METRICS = (*_COLUMNS, *_OPERATIONS)
# How the details page calls them; the same name stands there for a rate, too, so the unit has to fit.
_DETAILS: Mapping[tuple[str, bool], str] = {
    ("Duration", False): "duration_sec",
    ("Compute (SM) Throughput", True): "compute_share_ratio",
    ("Memory Throughput", True): "memory_share_ratio",
    ("Achieved Occupancy", True): "occupancy_ratio",
}
_UNITS: Mapping[str, float] = {
    **dict.fromkeys(("nsecond", "ns"), 1e-9),
    **dict.fromkeys(("usecond", "us"), 1e-6),
    **dict.fromkeys(("msecond", "ms"), 1e-3),
    **dict.fromkeys(("second", "s", "sec", "byte", "inst", ""), 1.0),
    "Kbyte": 1e3,
    "Mbyte": 1e6,
    "Gbyte": 1e9,
    "Tbyte": 1e12,
    "%": 0.01,
}
_NOT_MEASURED = frozenset({"", "n/a", "nan", "no data"})
_KERNEL = "Kernel Name"


def read_ncu(path: Path) -> pd.DataFrame:
    """
    Read a page of ncu: one row for each kernel, in the order of their launches.

    Returns:
        ``name``, ``duration_sec``, ``dram_bytes``, ``compute_share_ratio``, ``memory_share_ratio`` and
        ``occupancy_ratio`` (shares of what the GPU allows), and ``vector_flop_count``: fp32 operations outside of
        tensor cores. NaN stands for what was not measured.

    Raises:
        DataError: If it is no such page, is cut off, holds no kernel, or a value that cannot be read.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise DataError(f"the page {path} cannot be read ({error}); run ncu again.") from error
    head, rows = _rows(text, path)
    found = _from_details(head, rows, path) if "Metric Name" in head else _from_raw(head, rows, path)
    if not found:
        raise DataError(
            f"the page {path} holds no kernel; let the program run on a GPU and inside ranges of perflib, "
            "with `perflib profile --steps-only`."
        )
    table = pd.DataFrame(found, columns=["name", *_COLUMNS.values(), *_OPERATIONS])
    flops = sum(count * table[metric] for metric, count in _OPERATIONS.items())
    return table.drop(columns=list(_OPERATIONS)).assign(vector_flop_count=flops)


def _rows(text: str, path: Path) -> tuple[list[str], list[list[str]]]:
    """Return the header and what stands below it; messages of ncu and of the program may stand before and between."""
    lines = [line for line in text.splitlines() if line and not line.startswith("==")]
    start = next((place for place, line in enumerate(lines) if line.startswith('"ID",')), None)
    if start is None:
        raise DataError(f"{path} is no page of ncu, it has no header; run ncu with --csv --page raw.")
    try:
        head, *rows = csv.reader(io.StringIO("\n".join(lines[start:])), strict=True)
    except csv.Error as error:
        raise DataError(f"the page {path} is cut off or is no CSV ({error}); run ncu again.") from error
    if _KERNEL not in head:
        raise DataError(f"{path} has no column `{_KERNEL}`; run ncu with --csv --page raw.")
    if any(len(row) != len(head) for row in rows):
        raise DataError(f"the page {path} is cut off, a row is not as long as its header; run ncu again.")
    return head, rows


def _from_raw(head: Sequence[str], rows: Sequence[Sequence[str]], path: Path) -> list[dict[str, object]]:
    if not rows:
        return []
    units, *kernels = rows
    if units[0].strip():
        raise DataError(f"{path} has no row of units below its header; run ncu with --csv --page raw.")
    wanted = {**_COLUMNS, **dict(zip(_OPERATIONS, _OPERATIONS, strict=True))}
    places = {place: wanted[metric] for place, metric in enumerate(head) if metric in wanted}
    name_place = head.index(_KERNEL)
    return [
        {"name": row[name_place]} | {name: _value(row[at], units[at], path) for at, name in places.items()}
        for row in kernels
    ]


def _from_details(head: Sequence[str], rows: Sequence[Sequence[str]], path: Path) -> list[dict[str, object]]:
    kernels: dict[str, dict[str, object]] = {}
    for row in rows:
        cells = dict(zip(head, row, strict=True))
        kernel = kernels.setdefault(cells["ID"], {"name": cells[_KERNEL]})
        metric, unit = cells["Metric Name"], cells.get("Metric Unit", "")
        is_known = unit in _UNITS
        name = _COLUMNS.get(metric, metric if metric in _OPERATIONS else None) or (
            _DETAILS.get((metric, unit == "%")) if is_known else None
        )
        if name is not None:
            kernel[name] = _value(cells.get("Metric Value", ""), unit, path)
    return list(kernels.values())


def _value(cell: str, unit: str, path: Path) -> float:
    digits = cell.replace(",", "").removeprefix("(!)").strip()
    if digits.lower() in _NOT_MEASURED:
        return math.nan
    try:
        return float(digits) * _UNITS[unit]
    except (ValueError, KeyError):
        raise DataError(f"{path} has the value {cell!r} in {unit!r}, which cannot be read; run ncu again.") from None
