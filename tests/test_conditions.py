"""What the machine did meanwhile: every reading from a copy of its files, and which readings drop a unit."""

import dataclasses
import math
import os
import time
from pathlib import Path
from typing import Any

import pytest

from perflib.benchmarking.conditions import Quiet, Watch, drop_reason, load_before, load_during, quieter
from perflib.benchmarking.protocol import Slot
from perflib.results import Readings

TICKS_PER_SEC = os.sysconf("SC_CLK_TCK")
STAT = {
    "user": 1000,
    "nice": 20,
    "system": 300,
    "idle": 4000,
    "iowait": 50,
    "irq": 6,
    "softirq": 7,
    "steal": 3015,
    "guest": 500,
    "guest_nice": 5,
}
QUIET = Quiet({"cpu": 0.1, "memory": 0.0, "io": 0.0})


class Machine:
    """Copies of the files that a watch reads, a clock, and the parent's own processor time."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.proc, self.sys_dir, self.now_sec, self.parent_sec = folder / "proc", folder / "sys", 500.0, 7.0
        self.ticks = dict(STAT)
        self.watch = Watch(proc=self.proc, sys_dir=self.sys_dir, clock=lambda: self.now_sec)
        monkeypatch.setattr(time, "process_time", lambda: self.parent_sec)

    def write(self, folder: Path, path: str, text: str) -> None:
        """Write one file of the copy."""
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text, encoding="utf-8")

    def spend(self, wall_sec: float = 0.0, **ticks: int) -> None:
        """Let time pass and processor time be counted."""
        self.now_sec += wall_sec
        for name, count in ticks.items():
            self.ticks[name] += count
        all_cores = " ".join(str(count) for count in self.ticks.values())
        self.write(self.proc, "stat", f"cpu  {all_cores}\ncpu0 1 2 3 4 5 6 7 8 9 10\nintr 12345\nctxt 99\n")

    def press(self, **total_usec: int) -> None:
        """Write pressure totals; averages and the line for all tasks are there to be mistaken for them."""
        for name, total in total_usec.items():
            text = f"some avg10=99.00 avg60=98.00 avg300=97.00 total={total}\n"
            self.write(
                self.proc, f"pressure/{name}", text + f"full avg10=0.00 avg60=0.00 avg300=0.00 total={total * 7}\n"
            )

    def clock_cores(self, *mhz: float) -> None:
        """Write the cores' clocks."""
        cores = [f"processor\t: {n}\ncpu MHz\t\t: {value:.3f}\nbogomips\t: 4000.00\n" for n, value in enumerate(mhz)]
        self.write(self.proc, "cpuinfo", "\n".join(cores))

    def throttle(self, **counts: int) -> None:
        """Write throttle counters, one per core as ``cpu0_core=3``, with files beside them that are no counters."""
        for name, count in counts.items():
            cpu, _, kind = name.partition("_")
            folder = f"devices/system/cpu/{cpu}/thermal_throttle"
            self.write(self.sys_dir, f"{folder}/{kind}_throttle_count", f"{count}\n")
            self.write(self.sys_dir, f"{folder}/{kind}_throttle_total_time_ms", f"{count * 1000}\n")


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    """A machine whose every file is there."""
    machine = Machine(tmp_path, monkeypatch)
    machine.spend()
    machine.press(cpu=1_000_000, memory=2_000_000, io=3_000_000)
    machine.clock_cores(1000.0, 1000.0)
    machine.throttle(cpu0_core=3, cpu0_package=1, cpu1_core=0, cpu1_package=1)
    return machine


def slots(*cpu_sec: float | None) -> list[Slot]:
    """Return slots that used so much processor time."""
    return [Slot((0.1,), cpu_sec=one, involuntary_switch_count=index) for index, one in enumerate(cpu_sec, start=1)]


def readings(**change: Any) -> Readings:
    """Return readings of a quiet unit, with some that are not."""
    return dataclasses.replace(Readings(wall_sec=1.0), **change)


# --- reading ----------------------------------------------------------------------------------------------------


def test_every_reading_is_the_difference_of_two_snapshots(machine: Machine) -> None:
    """Two seconds of which every counter is known."""
    before = machine.watch.snapshot()
    per_sec = TICKS_PER_SEC // 100
    machine.spend(2.0, user=100 * per_sec, nice=10 * per_sec, system=20 * per_sec, idle=250 * per_sec)
    machine.spend(iowait=10 * per_sec, irq=2 * per_sec, softirq=3 * per_sec, steal=5 * per_sec, guest=90 * per_sec)
    machine.press(cpu=1_300_000, memory=2_040_000, io=3_500_000)
    machine.clock_cores(2000.0, 3000.5)
    machine.throttle(cpu0_core=4, cpu1_core=2)
    machine.parent_sec += 0.05

    seen = machine.watch.readings(before, slots(0.2, 0.2, 0.2, 0.2))

    expected = Readings(
        wall_sec=2.0,
        parent_cpu_sec=0.05,
        other_load_core_count=(1.35 - 0.8 - 0.05) / 2.0,  # a guest's time is part of user's
        steal_ratio=0.05 / 4.0,
        psi_cpu_ratio=0.15,
        psi_memory_ratio=0.02,
        psi_io_ratio=0.25,
        involuntary_switch_count=1 + 2 + 3 + 4,
        cpu_mhz=2500.25,
        throttle_count=3,
    )
    known = {name: value for name, value in dataclasses.asdict(expected).items() if value is not None}
    assert {name: getattr(seen, name) for name in known} == pytest.approx(known, rel=1e-9)
    assert seen.gpu_sm_clock_mhz is None


def test_a_unit_in_which_nothing_happened_reads_zero_and_counts(machine: Machine) -> None:
    """Zero is known, and not the same as unknown."""
    before = machine.watch.snapshot()
    machine.spend(1.0, idle=2 * TICKS_PER_SEC)
    seen = machine.watch.readings(before, slots(0.0, 0.0))

    assert (seen.other_load_core_count, seen.steal_ratio, seen.throttle_count) == (0.0, 0.0, 0)
    assert (seen.psi_cpu_ratio, seen.psi_memory_ratio, seen.psi_io_ratio) == (0.0, 0.0, 0.0)
    assert drop_reason(seen, quieter(None, [seen])) is None


def test_arms_that_used_more_than_was_counted_leave_no_other_load(machine: Machine) -> None:
    """The kernel's ticks and the arms' own count differ a little, and less than nothing is nothing."""
    before = machine.watch.snapshot()
    machine.spend(1.0, user=TICKS_PER_SEC // 2, idle=TICKS_PER_SEC)

    assert machine.watch.readings(before, slots(0.3, 0.3)).other_load_core_count == 0.0


def test_an_unknown_part_makes_the_sum_unknown(machine: Machine) -> None:
    """What one arm used cannot be taken for another program's load, so then the load is not known."""
    before = machine.watch.snapshot()
    machine.spend(1.0, user=TICKS_PER_SEC, idle=TICKS_PER_SEC)
    seen = machine.watch.readings(before, [*slots(0.1, None), Slot((0.1,), cpu_sec=0.1)])

    assert seen.other_load_core_count is None
    assert seen.involuntary_switch_count is None
    assert seen.steal_ratio == 0.0


def test_missing_files_are_unknown_and_never_a_drop(tmp_path: Path) -> None:
    """Elsewhere than on Linux, or in a sandbox, there is nothing to read, and every unit counts."""
    moments = iter([1.0, 3.0])
    watch = Watch(proc=tmp_path / "none", sys_dir=tmp_path / "none", clock=lambda: next(moments))
    seen = watch.readings(watch.snapshot(), [Slot((0.1,))])

    assert seen == Readings(wall_sec=2.0, parent_cpu_sec=seen.parent_cpu_sec)
    assert seen.parent_cpu_sec >= 0
    assert drop_reason(seen, quieter(None, [seen])) is None
    assert drop_reason(seen, QUIET) is None


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("stat", ""),
        ("stat", "cpu  1 2 3 4\n"),
        ("pressure/cpu", ""),
        ("pressure/cpu", "some avg10=0\n"),
        ("cpuinfo", "x"),
    ],
)
def test_an_odd_file_is_unknown_and_never_a_drop(machine: Machine, path: str, text: str) -> None:
    """An old kernel without steal, an empty file or another processor's cpuinfo is no error."""
    machine.write(machine.proc, path, text)
    before = machine.watch.snapshot()
    machine.now_sec += 1.0
    seen = machine.watch.readings(before, slots(0.1))
    field = {"stat": "steal_ratio", "pressure/cpu": "psi_cpu_ratio", "cpuinfo": "cpu_mhz"}[path]

    assert getattr(seen, field) is None
    assert drop_reason(seen, QUIET) is None


def test_a_file_that_appears_or_goes_in_between_is_unknown(machine: Machine) -> None:
    """A difference needs both ends."""
    (machine.proc / "pressure/io").unlink()
    before = machine.watch.snapshot()
    machine.spend(1.0)
    machine.press(io=9_000_000)
    (machine.proc / "pressure/memory").unlink()
    seen = machine.watch.readings(before, slots(0.1))

    assert (seen.psi_cpu_ratio, seen.psi_memory_ratio, seen.psi_io_ratio) == (0.0, None, None)


def test_of_a_gpu_the_worst_slot_is_read() -> None:
    """The slowest clock, any slot's throttle bits, the highest heat and the most neighbours count."""
    watch = Watch(proc=Path("none"), sys_dir=Path("none"))
    told = [
        Slot(
            (0.1,), gpu_sm_clock_mhz=1980.0, gpu_throttle_bits=0x04, gpu_temperature_celsius=50.0, gpu_process_count=0
        ),
        Slot((0.1,)),
        Slot(
            (0.1,), gpu_sm_clock_mhz=1900.0, gpu_throttle_bits=0x40, gpu_temperature_celsius=71.0, gpu_process_count=2
        ),
        Slot(
            (0.1,), gpu_sm_clock_mhz=1950.0, gpu_throttle_bits=0x00, gpu_temperature_celsius=60.0, gpu_process_count=1
        ),
    ]
    seen = watch.readings(watch.snapshot(), told)

    assert (seen.gpu_sm_clock_mhz, seen.gpu_throttle_bits) == (1900.0, 0x44)
    assert (seen.gpu_temperature_celsius, seen.gpu_process_count) == (71.0, 2)
    silent = watch.readings(watch.snapshot(), [Slot((0.1,))])
    assert (silent.gpu_sm_clock_mhz, silent.gpu_throttle_bits, silent.gpu_process_count) == (None, None, None)


def test_the_real_machine_can_be_read() -> None:
    """Whatever this host tells, the readings are amounts or unknown."""
    watch = Watch()
    seen = dataclasses.asdict(watch.readings(watch.snapshot(), slots(0.0)))

    assert all(value is None or (math.isfinite(value) and value >= 0) for value in seen.values())


# --- dropping ---------------------------------------------------------------------------------------------------


def test_one_tick_of_steal_is_an_accident_wherever_the_counter_stands(machine: Machine) -> None:
    """In a unit of 20 ticks one of them would be 5 %, and says nothing."""
    wrong = []
    for start in (*range(200), *range(3000, 3200), 2**31 + 7):
        machine.ticks["steal"] = start
        machine.spend()
        before = machine.watch.snapshot()
        machine.spend(0.1, user=19, steal=1)
        seen = machine.watch.readings(before, slots(0.1))
        wrong += [(start, seen.steal_ratio)] if seen.steal_ratio or drop_reason(seen, QUIET) else []

    assert wrong == []


@pytest.mark.parametrize(
    ("steal_ticks", "other_ticks", "reason"),
    [(2, 18, "steal 10.0%"), (2, 148, "steal 1.3%"), (2, 248, None), (5, 395, "steal 1.2%")],
)
def test_more_steal_than_one_per_cent_is_a_drop(
    machine: Machine, steal_ticks: int, other_ticks: int, reason: str | None
) -> None:
    """From two ticks on the share decides."""
    before = machine.watch.snapshot()
    machine.spend(1.0, idle=other_ticks, steal=steal_ticks)

    assert drop_reason(machine.watch.readings(before, slots(0.0)), QUIET) == reason


@pytest.mark.parametrize("name", ["cpu", "memory", "io"])
def test_pressure_is_held_against_the_quiet_one(name: str) -> None:
    """Twenty points more than what our own arms cause is somebody else's doing."""
    quiet = Quiet({"cpu": 0.0, "memory": 0.0, "io": 0.0} | {name: 0.3})

    assert drop_reason(readings(**{f"psi_{name}_ratio": 0.49}), quiet) is None
    assert drop_reason(readings(**{f"psi_{name}_ratio": 0.51}), quiet) == f"{name} pressure 51%, 30% when quiet"
    assert drop_reason(readings(**{f"psi_{name}_ratio": 0.0}), quiet) is None


def test_a_thermal_throttle_event_is_a_drop(machine: Machine) -> None:
    """Heat slowed a core down, whichever arm it was."""
    before = machine.watch.snapshot()
    machine.spend(1.0)
    machine.throttle(cpu1_package=2)

    assert drop_reason(machine.watch.readings(before, slots(0.0)), QUIET) == "thermal throttling, 1 events"


@pytest.mark.parametrize(
    ("bits", "reason"),
    [
        (0x00, None),
        (0x01, None),  # idle
        (0x04, None),  # at its power cap
        (0x08, "GPU throttle reasons 0x8"),
        (0x20, "GPU throttle reasons 0x20"),
        (0x44, "GPU throttle reasons 0x44"),
        (0x80, "GPU throttle reasons 0x80"),
    ],
)
def test_a_gpu_that_is_held_down_by_hardware_or_heat_is_a_drop(bits: int, reason: str | None) -> None:
    """Its power cap is how it was set up, and both arms meet it."""
    assert drop_reason(readings(gpu_throttle_bits=bits), QUIET) == reason


@pytest.mark.parametrize(
    ("clock_mhz", "reason"),
    [
        (1980.0, None),
        (1930.0, None),
        (2030.0, None),
        (1900.0, "GPU clock 1900 MHz, 1980 MHz in the first life"),
        (2050.0, "GPU clock 2050 MHz, 1980 MHz in the first life"),
        (None, None),
    ],
)
def test_a_gpu_clock_off_by_three_per_cent_is_a_drop(clock_mhz: float | None, reason: str | None) -> None:
    """Above as below, because then cycles were not the usual ones."""
    quiet = dataclasses.replace(QUIET, gpu_sm_clock_mhz=1980.0)

    assert drop_reason(readings(gpu_sm_clock_mhz=clock_mhz), quiet) == reason
    assert drop_reason(readings(gpu_sm_clock_mhz=clock_mhz), QUIET) is None


def test_other_load_and_switches_alone_drop_nothing() -> None:
    """They depend on what the arms do, so a rule over them could see which arm was which."""
    busy = readings(
        other_load_core_count=9.0, involuntary_switch_count=10**6, cpu_mhz=400.0, gpu_temperature_celsius=95.0
    )

    assert drop_reason(dataclasses.replace(busy, gpu_process_count=5, wall_sec=1e4), QUIET) is None


# --- what is quiet ----------------------------------------------------------------------------------------------


def test_quiet_is_the_least_pressure_of_all_units_and_the_first_clock() -> None:
    """Later lives can lower the floor, never raise it, and the clock stays the first life's median."""
    first = quieter(
        None,
        [
            readings(psi_cpu_ratio=0.4, psi_memory_ratio=0.1, gpu_sm_clock_mhz=1900.0),
            readings(psi_cpu_ratio=0.3, psi_memory_ratio=0.2, gpu_sm_clock_mhz=1980.0),
            readings(psi_cpu_ratio=None, psi_memory_ratio=0.3, gpu_sm_clock_mhz=1990.0),
        ],
    )
    lower = quieter(first, [readings(psi_cpu_ratio=0.35, psi_memory_ratio=0.05, gpu_sm_clock_mhz=1000.0)])

    assert first == Quiet({"cpu": 0.3, "memory": 0.1, "io": 0.0}, 1980.0)
    assert lower == Quiet({"cpu": 0.3, "memory": 0.05, "io": 0.0}, 1980.0)
    assert quieter(lower, []) == lower


def test_without_any_reading_quiet_is_none_at_all() -> None:
    """An unknown floor is zero, and an unknown clock is no clock."""
    assert quieter(None, []) == Quiet({"cpu": 0.0, "memory": 0.0, "io": 0.0}, None)


# --- marks ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("busy_sec", "mark"),
    [(0.1, None), (0.75, "other programs kept 1.5 cores busy before the first life")],
)
def test_a_busy_host_is_marked_before_anything_is_timed(machine: Machine, busy_sec: float, mark: str | None) -> None:
    """Half a second's look is enough, and what the parent uses itself does not count."""

    def sleep(wait_sec: float) -> None:
        machine.parent_sec += 0.02
        machine.spend(wait_sec, user=round((busy_sec + 0.02) * TICKS_PER_SEC), idle=TICKS_PER_SEC)

    machine.watch.pause = sleep

    assert load_before(machine.watch) == mark


def test_an_unknown_load_is_no_mark(tmp_path: Path) -> None:
    """Where the host does not say, nothing is claimed."""
    watch = Watch(proc=tmp_path, sys_dir=tmp_path, pause=lambda wait_sec: None)

    assert load_before(watch) is None
    assert load_during([readings(), readings()]) is None
    assert load_during([]) is None


@pytest.mark.parametrize(
    ("disturbed_count", "count", "is_marked"),
    [(0, 5, False), (1, 5, True), (1, 10, True), (1, 19, False), (1, 20, False), (2, 20, True), (2, 30, False)],
)
def test_other_load_in_a_tenth_of_the_units_is_marked(disturbed_count: int, count: int, is_marked: bool) -> None:
    """A single disturbed unit of many is left to the rules that drop units."""
    cores = [0.2] * (count - disturbed_count) + [0.3] * disturbed_count
    mark = load_during([readings(other_load_core_count=one) for one in cores])

    assert (mark is not None) is is_marked


def test_the_mark_says_how_much_in_how_many_units() -> None:
    """Unknown units are left out, on both sides of the count."""
    known = [readings(other_load_core_count=one) for one in (0.1, 0.3, 1.26, 0.0)]

    assert load_during([*known, readings()]) == (
        "other programs kept up to 1.3 cores busy in 2 of 4 units; end them and measure again if the result matters"
    )
