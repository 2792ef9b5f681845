"""
What else the machine did while a unit ran, and which units therefore do not count.

A rule that drops units may look at the machine, never at the times and never at which arm was which: then the coin over
the order stays fair, and so does the verdict. Readings cover a whole unit, both arms together.
"""

import dataclasses
import functools
import operator
import os
import re
import statistics
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, TypeVar

from perflib import machine
from perflib.benchmarking import gpu
from perflib.benchmarking.protocol import Slot
from perflib.results import Readings

STEAL_LIMIT_RATIO = 0.01
PRESSURE_LIMIT_RATIO = 0.20
CLOCK_LIMIT_RATIO = 0.03
DROPPED_LIMIT_RATIO = 0.30
OTHER_LOAD_LIMIT_CORES = 0.25
# How every mark of other load begins.
OTHERS = "other programs kept"
# The kernel counts processor time in ticks; one tick of steal in a short unit is no per cent of anything.
_TICK_SEC = 1 / os.sysconf("SC_CLK_TCK")
_RESOURCES = ("cpu", "memory", "io")

_Number = TypeVar("_Number", int, float)


@dataclasses.dataclass(frozen=True)
class Snapshot:
    """Counters of the machine at one moment."""

    moment_sec: float
    parent_cpu_sec: float
    busy_sec: float | None
    total_sec: float | None
    steal_sec: float | None
    pressure_sec: dict[str, float | None]
    throttle_count: int | None


@dataclasses.dataclass(frozen=True)
class Quiet:
    """The least pressure seen while only our own arms ran, and the GPU's clock then: what readings are held against."""

    psi_ratio: dict[str, float]
    gpu_sm_clock_mhz: float | None = None


class Watch:
    """
    Reads the machine's counters.

    Args:
        proc: The proc file system; tests pass a copy.
        sys_dir: The sys file system; tests pass a copy.
        clock: Monotonic seconds.
        pause: Waits so many seconds.
    """

    def __init__(
        self,
        *,
        proc: Path = Path("/proc"),
        sys_dir: Path = Path("/sys"),
        clock: Callable[[], float] = time.monotonic,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        self._proc, self._sys, self._clock, self.pause = proc, sys_dir, clock, pause

    def snapshot(self) -> Snapshot:
        """Read the counters now."""
        busy_sec, total_sec, steal_sec = None, None, None
        fields = _first_line(self._proc / "stat")
        if len(fields) > 8:
            user, nice, system, idle, iowait, irq, softirq, steal = (int(tick) * _TICK_SEC for tick in fields[1:9])
            busy_sec = user + nice + system + irq + softirq
            total_sec, steal_sec = busy_sec + idle + iowait + steal, steal
        return Snapshot(
            moment_sec=self._clock(),
            parent_cpu_sec=time.process_time(),
            busy_sec=busy_sec,
            total_sec=total_sec,
            steal_sec=steal_sec,
            pressure_sec={name: _pressure_sec(self._proc / "pressure" / name) for name in _RESOURCES},
            throttle_count=_throttle_count(self._sys),
        )

    def readings(self, before: Snapshot, slots: Iterable[Slot]) -> Readings:
        """Return what happened since ``before``, while the arms ran ``slots``."""
        after, slots = self.snapshot(), list(slots)
        wall_sec = after.moment_sec - before.moment_sec
        arms_sec = _sum(slot.cpu_sec for slot in slots)
        busy_sec, total_sec = _less(after.busy_sec, before.busy_sec), _less(after.total_sec, before.total_sec)
        steal_sec = _less(after.steal_sec, before.steal_sec)
        psi = {name: _over(_less(after.pressure_sec[name], before.pressure_sec[name]), wall_sec) for name in _RESOURCES}
        parent_sec, other_sec = after.parent_cpu_sec - before.parent_cpu_sec, None
        if busy_sec is not None and arms_sec is not None:
            other_sec = max(busy_sec - arms_sec - parent_sec, 0.0)
        switches = _sum(slot.involuntary_switch_count for slot in slots)
        return Readings(
            wall_sec=wall_sec,
            parent_cpu_sec=parent_sec,
            other_load_core_count=_over(other_sec, wall_sec),
            # A single tick may be an accident of counting.
            steal_ratio=0.0 if steal_sec is not None and steal_sec < 1.5 * _TICK_SEC else _over(steal_sec, total_sec),
            psi_cpu_ratio=psi["cpu"],
            psi_memory_ratio=psi["memory"],
            psi_io_ratio=psi["io"],
            involuntary_switch_count=None if switches is None else int(switches),
            cpu_mhz=_mhz(self._proc),
            throttle_count=_less(after.throttle_count, before.throttle_count),
            # The slowest clock and the worst of the rest: the unit is dropped whole or not at all.
            gpu_sm_clock_mhz=min(_known(slots, "gpu_sm_clock_mhz"), default=None),
            gpu_throttle_bits=functools.reduce(operator.or_, bits)
            if (bits := _known(slots, "gpu_throttle_bits"))
            else None,
            gpu_temperature_celsius=max(_known(slots, "gpu_temperature_celsius"), default=None),
            gpu_process_count=max(_known(slots, "gpu_process_count"), default=None),
        )


def quieter(so_far: Quiet | None, seen: Sequence[Readings]) -> Quiet:
    """
    Return the least pressure of all units so far: what our own arms cause by themselves is at most that.

    The GPU's clock is the median of the first life's units and stays.
    """
    floors = {}
    for name in _RESOURCES:
        shares = [share for one in seen if (share := getattr(one, f"psi_{name}_ratio")) is not None]
        floors[name] = min([*shares, *([so_far.psi_ratio[name]] if so_far else [])], default=0.0)
    if so_far is not None:
        return Quiet(floors, so_far.gpu_sm_clock_mhz)
    clocks_mhz = [one.gpu_sm_clock_mhz for one in seen if one.gpu_sm_clock_mhz is not None]
    return Quiet(floors, statistics.median(clocks_mhz) if clocks_mhz else None)


def drop_reason(readings: Readings, held_against: Quiet) -> str | None:
    """Say why a unit does not count, from the machine's state alone; None where it counts."""
    if readings.steal_ratio is not None and readings.steal_ratio > STEAL_LIMIT_RATIO:
        return f"steal {readings.steal_ratio:.1%}"
    for name in _RESOURCES:
        share = getattr(readings, f"psi_{name}_ratio")
        if share is not None and share - held_against.psi_ratio[name] > PRESSURE_LIMIT_RATIO:
            return f"{name} pressure {share:.0%}, {held_against.psi_ratio[name]:.0%} when quiet"
    if readings.throttle_count:
        return f"thermal throttling, {readings.throttle_count} events"
    if readings.gpu_throttle_bits is not None and gpu.is_throttled(readings.gpu_throttle_bits):
        return f"GPU throttle reasons {readings.gpu_throttle_bits:#x}"
    clock_mhz, usual_mhz = readings.gpu_sm_clock_mhz, held_against.gpu_sm_clock_mhz
    if clock_mhz and usual_mhz and abs(clock_mhz / usual_mhz - 1) > CLOCK_LIMIT_RATIO:
        return f"GPU clock {clock_mhz:.0f} MHz, {usual_mhz:.0f} MHz in the first life"
    return None


def load_before(watch: Watch, *, wait_sec: float = 0.5) -> str | None:
    """Look at the host for a moment before anything is timed; return a mark where others keep it busy."""
    before = watch.snapshot()
    watch.pause(wait_sec)
    cores = watch.readings(before, []).other_load_core_count
    if cores is None or cores <= OTHER_LOAD_LIMIT_CORES:
        return None
    return f"{OTHERS} {cores:.1f} cores busy before the first life"


def load_during(readings: Iterable[Readings]) -> str | None:
    """Return a mark where other programs were busy in a tenth of the units or more."""
    cores = [one.other_load_core_count for one in readings if one.other_load_core_count is not None]
    disturbed = [count for count in cores if count > OTHER_LOAD_LIMIT_CORES]
    if not cores or not disturbed or 10 * len(disturbed) < len(cores):
        return None
    return (
        f"{OTHERS} up to {max(disturbed):.1f} cores busy in {len(disturbed)} of {len(cores)} "
        "units; end them and measure again if the result matters"
    )


def _first_line(path: Path) -> list[str]:
    return (machine.read_text(path) or "").partition("\n")[0].split()


def _pressure_sec(path: Path) -> float | None:
    """Return the total time, in seconds, for which some task had to wait; None where the kernel does not say."""
    found = re.search(r"total=(\d+)", " ".join(_first_line(path)))
    return int(found[1]) / 1e6 if found else None


def _throttle_count(sys_dir: Path) -> int | None:
    counts = []
    for path in sys_dir.glob("devices/system/cpu/cpu*/thermal_throttle/*_throttle_count"):
        words = _first_line(path)
        if words and words[0].isdigit():
            counts.append(int(words[0]))
    return sum(counts) if counts else None


def _mhz(proc: Path) -> float | None:
    text = machine.read_text(proc / "cpuinfo") or ""
    found = [float(value) for value in re.findall(r"^cpu MHz\s*:\s*([\d.]+)", text, re.MULTILINE)]
    return sum(found) / len(found) if found else None


def _known(slots: Sequence[Slot], field: str) -> list[Any]:
    return [value for slot in slots if (value := getattr(slot, field)) is not None]


def _sum(values: Iterable[float | None]) -> float | None:
    """Return the sum, or None where any part is unknown: half a sum would look like less load."""
    total = 0.0
    for value in values:
        if value is None:
            return None
        total += value
    return total


def _less(after: _Number | None, before: _Number | None) -> _Number | None:
    return None if after is None or before is None else max(after - before, 0)


def _over(value: float | None, whole: float | None) -> float | None:
    return None if value is None or not whole else value / whole
