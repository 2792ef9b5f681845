"""
What the processor and the kernel count while a program runs, by Linux' `perf`.

    recording = record(stat_command(program, folder / "perf-stat.txt"), folder / "perf-stat.txt")
    counters = read_stat(recording.output)
    counters.instructions_per_cycle_ratio, counters.sentence()

Counters of the hardware are missing in most virtual machines; those of the kernel (task clock, context switches,
migrations, page faults) are there wherever perf is. What is missing is None, and `sentence` says so.
"""

import dataclasses
import re
import signal
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

from perflib.errors import DataError, MeasurementError
from perflib.profiling.recording import Recording

# perf's names of events -> our fields, and what one of perf's units is in ours.
_EVENTS: Mapping[str, tuple[str, float]] = {
    "duration_time": ("wall_sec", 1e-9),
    "task-clock": ("task_clock_sec", 1e-3),
    "context-switches": ("context_switch_count", 1),
    "cpu-migrations": ("cpu_migration_count", 1),
    "page-faults": ("page_fault_count", 1),
    "cycles": ("cycle_count", 1),
    "instructions": ("instruction_count", 1),
    "branches": ("branch_count", 1),
    "branch-misses": ("branch_miss_count", 1),
    "cache-references": ("cache_reference_count", 1),
    "cache-misses": ("cache_miss_count", 1),
}
_SAMPLES_PER_SEC = 499
_CPU_INFO = Path("/proc/cpuinfo")

Reason = Literal["not supported", "not counted"]


@dataclasses.dataclass(frozen=True)
class PerfCounters:
    """
    What was counted over a whole program with all its threads and children; None where nothing was.

    ``missing`` says for each of perf's events that has no value whether the machine does not have it or it never ran.
    ``counted_ratio`` is the smallest share of the time that a counter was running; below 1 perf scaled it up.
    ``is_user_only``: the kernel's part was not counted, because this user may not see it.
    """

    wall_sec: float | None
    task_clock_sec: float | None
    context_switch_count: int | None
    cpu_migration_count: int | None
    page_fault_count: int | None
    cycle_count: int | None
    instruction_count: int | None
    branch_count: int | None
    branch_miss_count: int | None
    cache_reference_count: int | None
    cache_miss_count: int | None
    missing: Mapping[str, Reason]
    counted_ratio: float
    is_user_only: bool

    @property
    def busy_cpu_ratio(self) -> float | None:
        """How many processors were busy on average: 1.5 is one and a half."""
        return _ratio(self.task_clock_sec, self.wall_sec)

    @property
    def instructions_per_cycle_ratio(self) -> float | None:
        """Below 1 a processor waits for most of its time; well-fed vector code reaches 2 to 4."""
        return _ratio(self.instruction_count, self.cycle_count)

    @property
    def branch_miss_ratio(self) -> float | None:
        """The share of branches that were guessed wrongly."""
        return _ratio(self.branch_miss_count, self.branch_count)

    @property
    def cache_miss_ratio(self) -> float | None:
        """The share of accesses to the last cache that went on to memory."""
        return _ratio(self.cache_miss_count, self.cache_reference_count)

    def sentence(self, *, is_virtual: bool) -> str:
        """Say which counters are missing and what cannot be said without them; empty where all are there."""
        absent, silent = (
            [event for event, reason in self.missing.items() if reason == wanted]
            for wanted in ("not supported", "not counted")
        )
        said = []
        if absent:
            said.append(
                f"This {'virtual machine' if is_virtual else 'machine'} does not count {_listed(absent)}: nothing can "
                "be said here of what the processor waited for; run it where the hardware's counters can be read."
            )
        if silent:
            said.append(f"The counters of {_listed(silent)} exist and never ran; watch a longer program.")
        if self.is_user_only:
            said.append("Only the program's own code was counted, not the kernel's work for it.")
        return " ".join(said)


@dataclasses.dataclass(frozen=True)
class SymbolShare:
    """One function, the library that it lies in, and the share of all samples that met it."""

    symbol: str
    library: str
    share_ratio: float


def stat_command(program: Sequence[str], output: Path) -> tuple[str, ...]:
    """Return the command that counts events over a program and writes them separated by semicolons."""
    return ("perf", "stat", "-x", ";", "-e", ",".join(_EVENTS), "-o", str(output), "--", *program)


def sample_command(program: Sequence[str], output: Path) -> tuple[str, ...]:
    """Return the command that looks 499 times a second where a program is; perf takes a clock where cycles are not."""
    return ("perf", "record", "-q", "-F", str(_SAMPLES_PER_SEC), "-o", str(output), "--", *program)


def report_command(samples: Path) -> tuple[str, ...]:
    """Return the command that prints the functions of a recording, one a line."""
    return ("perf", "report", "-q", "--stdio", "-F", "overhead,dso,symbol", "-t", ";", "-i", str(samples))


def check_ended_well(recording: Recording, program: Sequence[str]) -> None:
    """
    Refuse a program that a signal ended: `perf stat` itself ends with 0 then, and prints a line, mostly.

    Raises:
        MeasurementError: If it was killed.
    """
    for number in signal.valid_signals():
        if f"{program[0]}: {signal.strsignal(number)}" in recording.standard_error.splitlines():
            raise MeasurementError(
                f"a signal ended the program that perf watched ({signal.strsignal(number)}); "
                "run the program without the profiler to see whether it works alone."
            )


def read_stat(path: Path) -> PerfCounters:
    """
    Read what ``perf stat -x ';'`` wrote.

    The fields of a line are: value, unit, event, time that the counter ran, percentage of that time, and a derived
    number with its unit. Processors with two kinds of cores count each kind; the sum is taken.

    Raises:
        DataError: If it is missing, empty, cut off, or holds no event that was asked for.
    """
    found: dict[str, float] = {}
    missing: dict[str, Reason] = {}
    ratios, is_user_only = [1.0], False
    for fields in _lines(path):
        parsed = re.fullmatch(r"(?:\w+/)?([\w-]+)/?(?::(\w+))?", fields[2])
        if parsed is None or parsed[1] not in _EVENTS:
            continue
        event, modifier = parsed[1], parsed[2]
        is_user_only |= modifier is not None and "u" in modifier and "k" not in modifier
        if fields[0].startswith("<"):
            missing[event] = "not counted" if "not counted" in fields[0] else "not supported"
            continue
        found[event] = found.get(event, 0.0) + _number(fields[0], path)
        ratios.append(_number(fields[4], path) / 100)
    if not found and not missing:
        raise DataError(f"{path} holds no event of perf; run `perf stat` again.")
    values = {field: found[event] * unit for event, (field, unit) in _EVENTS.items() if event in found}
    return PerfCounters(
        **{field: _typed(field, values.get(field)) for field, _ in _EVENTS.values()},  # type: ignore[arg-type]
        missing={event: reason for event, reason in missing.items() if event not in found},
        counted_ratio=min(ratios),
        is_user_only=is_user_only,
    )


def read_report(text: str, *, count: int = 10) -> tuple[SymbolShare, ...]:
    """
    Read what `report_command` printed: the functions with most samples, the largest first.

    Raises:
        DataError: If there is no function in it.
    """
    rows = re.findall(r"^\s*([\d.]+)%\s*;\s*(.*?)\s*;\s*(?:\[.\]\s*)?(.*?)\s*(?:;.*)?$", text, re.MULTILINE)
    shares = [SymbolShare(symbol, library, float(percent) / 100) for percent, library, symbol in rows]
    if not shares:
        raise DataError("perf's report holds no function; let the program run for a second at least.")
    return tuple(sorted(shares, key=lambda share: (-share.share_ratio, share.symbol))[:count])


def is_virtual_machine(cpu_info: Path = _CPU_INFO) -> bool:
    """Say whether the processor says that it is not a real one."""
    try:
        return re.search(r"^flags\s*:.*\bhypervisor\b", cpu_info.read_text(encoding="utf-8"), re.MULTILINE) is not None
    except OSError:
        return False


def _lines(path: Path) -> list[list[str]]:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise DataError(f"perf's counters {path} cannot be read ({error}); run `perf stat` again.") from error
    lines = [line.split(";") for line in text.splitlines() if line and not line.startswith("#")]
    if not lines or any(len(fields) < 5 for fields in lines):
        raise DataError(f"perf's counters {path} are empty or cut off; run `perf stat -x ';'` again.")
    return lines


def _number(text: str, path: Path) -> float:
    try:
        return float(text)
    except ValueError:
        raise DataError(f"{path} holds the value {text!r}, which is no number; run `perf stat` again.") from None


def _typed(field: str, value: float | None) -> float | int | None:
    return value if value is None or field.endswith("_sec") else round(value)


def _ratio(part: float | None, whole: float | None) -> float | None:
    return part / whole if part is not None and whole else None


def _listed(words: Sequence[str]) -> str:
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)
