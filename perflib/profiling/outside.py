"""
A run under a profiler from outside: the command that was used, its version, and what it found, as lines to print.

    program = [sys.executable, "-m", "perflib", "profile", "RUN:int8", "--steps-only"]
    for line in profile_outside("perf", program, folder):
        print(line)

Where a profiler is not on PATH, the error carries the command, for a machine that has it.
"""

import shlex
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pandas as pd

from perflib import units
from perflib.errors import ParameterError, PerflibError, did_you_mean
from perflib.nvtx import RANGE_PREFIX
from perflib.profiling import linux_perf
from perflib.profiling.ncu_pages import read_ncu
from perflib.profiling.nsight import ncu_command, nsys_command
from perflib.profiling.nsys_export import read_nsys
from perflib.profiling.nsys_profile import kernel_kind
from perflib.profiling.recording import Run, record

TOOLS = ("nsys", "ncu", "perf")
_TOP_COUNT = 5
_NAME_LENGTH = 80


def profile_outside(tool: str, program: Sequence[str], folder: Path, *, run: Run = subprocess.run) -> list[str]:
    """
    Run a program under a profiler and say what it found.

    Args:
        tool: One of `TOOLS`: ``nsys`` and ``ncu`` for a model on a GPU, ``perf`` for one on a CPU.
        program: The command to watch; perf runs it twice, to count and to take samples.
        folder: Where the profiler's files go; they stay there for its own viewer.
        run: What stands for `subprocess.run` in tests.

    Raises:
        ParameterError: If the tool is another one.
        SetupError: If the profiler is not on PATH, or this user may not read its counters.
        MeasurementError: If the profiler or the program failed.
        DataError: If the answer cannot be read.
    """
    outside: Mapping[str, Callable[..., list[str]]] = dict(zip(TOOLS, (_nsys, _ncu, _perf), strict=True))
    if tool not in outside:
        raise ParameterError(f"`{tool}` is no profiler that perflib can run; {did_you_mean(tool, TOOLS)}")
    return outside[tool](program, folder, run)


def _nsys(program: Sequence[str], folder: Path, run: Run) -> list[str]:
    recording = record(nsys_command(program, folder / "nsys"), folder / "nsys.sqlite", run=run)
    export = read_nsys(recording.output)
    ours = export.ranges[export.ranges["name"].str.startswith(RANGE_PREFIX)]
    device_sec = export.device.groupby("name")["duration_sec"].sum().nlargest(_TOP_COUNT)
    return [
        recording.line,
        f"export schema {export.schema_version}; {len(export.device):,} kernels, copies and fills, "
        f"{len(ours)} steps of {units.duration(float(ours['duration_sec'].sum()))} together:",
        *(_kernel_line(str(name), float(sec)) for name, sec in device_sec.items()),
        f"open {folder / 'nsys.nsys-rep'} in Nsight Systems for the timeline.",
    ]


def _ncu(program: Sequence[str], folder: Path, run: Run) -> list[str]:
    recording = record(ncu_command(program, folder / "ncu.csv"), folder / "ncu.csv", run=run)
    kernels = read_ncu(recording.output).sort_values("duration_sec", ascending=False)
    return [
        recording.line,
        f"{len(kernels)} kernels, each alone and with a cold cache; the longest, and what they reached of the GPU:",
        *(
            f"{_kernel_line(str(kernel['name']), float(kernel['duration_sec']))}; "
            f"compute {_percent(kernel['compute_share_ratio'])}, memory {_percent(kernel['memory_share_ratio'])}, "
            f"occupancy {_percent(kernel['occupancy_ratio'])}"
            for kernel in kernels.head(_TOP_COUNT).to_dict("records")
        ),
    ]


def _perf(program: Sequence[str], folder: Path, run: Run) -> list[str]:
    stat = folder / "perf-stat.txt"
    counted = record(linux_perf.stat_command(program, stat), stat, run=run)
    linux_perf.check_ended_well(counted, program)
    counters = linux_perf.read_stat(stat)
    lines = [counted.line, *_counter_lines(counters)]
    sentence = counters.sentence(is_virtual=linux_perf.is_virtual_machine())
    return [*lines, *([sentence] if sentence else []), *_sampled(program, folder / "perf.data", run)]


def _sampled(program: Sequence[str], samples: Path, run: Run) -> list[str]:
    """Say where the samples fell; a machine that counts may still forbid samples, which is no reason to fail."""
    try:
        sampled = record(linux_perf.sample_command(program, samples), samples, run=run)
        report = run(list(linux_perf.report_command(samples)), capture_output=True, text=True, check=False)
        shares = linux_perf.read_report(report.stdout, count=_TOP_COUNT)
    except PerflibError as error:
        return [f"There are counts and no samples: {error}"]
    return [
        sampled.line,
        *(f"  {units.percent(share.share_ratio)}  {share.symbol}  ({share.library})" for share in shares),
        f"look further with: {shlex.join(['perf', 'report', '-i', str(samples)])}",
    ]


def _counter_lines(counters: linux_perf.PerfCounters) -> list[str]:
    ratios = {
        "instructions per cycle": counters.instructions_per_cycle_ratio,
        "processors busy": counters.busy_cpu_ratio,
    }
    shares = {"branches missed": counters.branch_miss_ratio, "cache accesses missed": counters.cache_miss_ratio}
    counts = {
        "context switches": counters.context_switch_count,
        "migrations": counters.cpu_migration_count,
        "page faults": counters.page_fault_count,
        "cycles": counters.cycle_count,
        "instructions": counters.instruction_count,
    }
    return [
        f"  processor time {units.duration(counters.task_clock_sec)} in {units.duration(counters.wall_sec)}",
        *(f"  {word}: {value:.2f}" for word, value in ratios.items() if value is not None),
        *(f"  {word}: {units.percent(value)}" for word, value in shares.items() if value is not None),
        *(f"  {word}: {value:,}" for word, value in counts.items() if value is not None),
    ]


def _kernel_line(name: str, sec: float) -> str:
    shown = name if len(name) <= _NAME_LENGTH else f"{name[: _NAME_LENGTH - 1]}…"
    return f"  {units.duration(sec)}  {kernel_kind(name)}  {shown}"


def _percent(ratio: float) -> str:
    return units.percent(None if pd.isna(ratio) else ratio, 0)
