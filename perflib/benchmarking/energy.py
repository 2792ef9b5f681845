"""
What a slot costs in energy, from counters that the machine keeps itself; None where they cannot be read.

On a processor RAPL counts whole packages: memory outside them is not in it, and whatever else runs there is. Subzones
(cores, DRAM) are left out, because not every machine has them and cores are part of the package already; so is the
platform's own counter (``psys``), which holds the packages too. Most systems let only root read RAPL.
On CUDA NVML counts the whole board since the driver was loaded, and the processor's share is not in it.
A counter moves in steps (RAPL about a millisecond, NVML up to some tenths of a second), so slots should be longer.
"""

import dataclasses
import functools
import re
from collections.abc import Callable, Sequence
from pathlib import Path

from perflib.benchmarking.gpu import open_device
from perflib.errors import ParameterError, did_you_mean
from perflib.machine import read_text

_JOULE_PER_MICROJOULE = 1e-6
_JOULE_PER_MILLIJOULE = 1e-3


@dataclasses.dataclass(frozen=True)
class Counter:
    """
    One counter that only grows: how it is read (None where it cannot be), what one tick is worth, and where it wraps.

    ``range_count`` is the largest value before it starts again at 0; None where it never does.
    """

    read: Callable[[], int | None]
    joule_per_tick: float
    range_count: int | None = None

    def joule_between(self, before_count: int | None, after_count: int | None) -> float | None:
        """
        Return the energy between two readings; None where one is missing or the counter did not move.

        A counter that stands still was read within one of its steps: then the energy is unknown, not 0. Two wraps
        between readings cannot be told from one; a package takes minutes for one.

        Example:
            >>> counter = Counter(read=lambda: None, joule_per_tick=0.5, range_count=100)
            >>> counter.joule_between(10, 14), counter.joule_between(98, 4), counter.joule_between(10, 10)
            (2.0, 3.0, None)
        """
        if before_count is None or after_count is None:
            return None
        ticks_count = after_count - before_count
        if ticks_count < 0 and self.range_count is not None:
            ticks_count += self.range_count
        return ticks_count * self.joule_per_tick if ticks_count > 0 else None


class EnergyMeter:
    """The counters of one device, read before and after what is measured."""

    def __init__(self, counters: Sequence[Counter]) -> None:
        self._counters = tuple(counters)
        self._before_counts: tuple[int | None, ...] = (None,) * len(self._counters)

    def start(self) -> None:
        """Read the counters before."""
        self._before_counts = tuple(counter.read() for counter in self._counters)

    def stop_joule(self) -> float | None:
        """Return the energy of all counters since `start`; None where any of them is unknown or did not move."""
        after_counts = tuple(counter.read() for counter in self._counters)
        total_joule = 0.0
        for counter, before_count, after_count in zip(self._counters, self._before_counts, after_counts, strict=True):
            spent_joule = counter.joule_between(before_count, after_count)
            if spent_joule is None:
                return None  # a part would be taken for the whole
            total_joule += spent_joule
        return total_joule


def open_meter(*, device: str, sys_dir: Path = Path("/sys")) -> EnergyMeter | None:
    """
    Return the meter of a device; None where it has no counter or we may not read every one of them.

    Args:
        device: ``cpu`` for all processor packages, ``cuda`` for the first GPU that CUDA sees.
        sys_dir: The sys file system; tests pass a copy.

    Raises:
        ParameterError: If the device is another one.
    """
    if device not in ("cpu", "cuda"):
        raise ParameterError(f"device `{device}` has no energy meter; {did_you_mean(device, ('cpu', 'cuda'))}")
    counters = _package_counters(sys_dir) if device == "cpu" else _gpu_counters()
    if not counters or any(counter.read() is None for counter in counters):
        return None
    return EnergyMeter(counters)


def _package_counters(sys_dir: Path) -> list[Counter]:
    counters = []
    for zone in sorted((sys_dir / "class/powercap").glob("intel-rapl:*")):  # AMD's packages have this name too
        is_top_level = re.fullmatch(r"intel-rapl:\d+", zone.name) is not None
        if is_top_level and (read_text(zone / "name") or "").startswith("package"):
            range_count = _number(zone / "max_energy_range_uj")
            read = functools.partial(_number, zone / "energy_uj")
            counters.append(Counter(read, _JOULE_PER_MICROJOULE, range_count))
    return counters


def _gpu_counters() -> list[Counter]:
    gpu = open_device()
    if gpu is None:
        return []
    return [Counter(lambda: gpu.ask(gpu.nvml.nvmlDeviceGetTotalEnergyConsumption), _JOULE_PER_MILLIJOULE)]


def _number(path: Path) -> int | None:
    text = read_text(path) or ""
    return int(text) if text.isdecimal() else None
