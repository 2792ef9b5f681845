"""perf: counters as perf 6.1 wrote them, machines that lack some, programs that die, and functions by samples."""

import dataclasses
import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from perflib.errors import DataError, MeasurementError, SetupError
from perflib.profiling import linux_perf
from perflib.profiling.linux_perf import PerfCounters, SymbolShare, check_ended_well, read_report, read_stat
from perflib.profiling.outside import profile_outside
from perflib.profiling.recording import Recording

# Recorded by perf 6.1.187 in a virtual machine; values shortened.
VIRTUAL = """\
# started on Sun Nov 22 22:14:21 2026

11828361;ns;duration_time;11828361;100.00;14.204;G/sec
5.91;msec;task-clock;5914180;100.00;0.500;CPUs utilized
3;;context-switches;5914180;100.00;507.258;/sec
0;;cpu-migrations;5914180;100.00;0.000;/sec
70;;page-faults;5914180;100.00;11.836;K/sec
<not supported>;;cycles;0;100.00;;
<not supported>;;instructions;0;100.00;;
<not supported>;;branches;0;100.00;;
<not supported>;;branch-misses;0;100.00;;
<not supported>;;cache-references;0;100.00;;
<not supported>;;cache-misses;0;100.00;;
"""
# Written by hand in the documented order of fields: a processor with counters, one of which never ran.
HARDWARE = """\
2000000000;ns;duration_time;2000000000;100.00;;
3000.00;msec;task-clock;3000000000;100.00;1.500;CPUs utilized
10;;context-switches;3000000000;100.00;3.333;/sec
1;;cpu-migrations;3000000000;100.00;0.333;/sec
5000;;page-faults;3000000000;100.00;1.667;K/sec
9000000000;;cycles;2500000000;83.00;3.000;GHz
18000000000;;instructions;2500000000;83.25;2.00;insn per cycle
1000000000;;branches;2500000000;83.30;;
20000000;;branch-misses;2500000000;83.30;2.00;of all branches
400000000;;cache-references;2500000000;66.50;;
<not counted>;;cache-misses;0;0.00;;
"""
# Of `perf report` 6.1, which adds an empty column and blanks at the end.
REPORT = "".join(
    f" {percent}%  ;{library:20};{symbol} ;-      -            \n"
    for percent, library, symbol in (
        ("2.08", "[kernel.kallsyms]", "[k] copy_mc_enhanced_fast_string"),
        ("37.50", "libpython3.11.so.1.0", "[.] _PyEval_EvalFrameDefault"),
        ("12.50", "libpython3.11.so.1.0", "[.] _PyObject_Free"),
        ("12.50", "libtorch_cpu.so", "[.] at::native::(anonymous namespace)::gelu<float, 8>(at::Tensor const&)"),
    )
)


def counters(text: str, folder: Path) -> PerfCounters:
    """Read what perf wrote."""
    (folder / "stat.txt").write_text(text)
    return read_stat(folder / "stat.txt")


def test_the_commands_are_exact() -> None:
    """Fields are separated by what no event and no number holds, and the program begins after the dashes."""
    stat = linux_perf.stat_command(["sleep", "1"], Path("out.txt"))

    assert stat == (
        *("perf", "stat", "-x", ";", "-e"),
        "duration_time,task-clock,context-switches,cpu-migrations,page-faults,cycles,instructions,branches,"
        "branch-misses,cache-references,cache-misses",
        *("-o", "out.txt", "--", "sleep", "1"),
    )
    assert linux_perf.sample_command(["sleep", "1"], Path("a"))[-3:] == ("--", "sleep", "1")
    assert linux_perf.report_command(Path("a"))[-2:] == ("-i", "a")


def test_counters_of_the_kernel_are_read_where_the_hardware_has_none(tmp_path: Path) -> None:
    """In a virtual machine the hardware's are None, and nothing is derived from them."""
    found = counters(VIRTUAL, tmp_path)

    assert found.wall_sec == pytest.approx(0.011828361)
    assert found.task_clock_sec == pytest.approx(0.00591)
    assert (found.context_switch_count, found.cpu_migration_count, found.page_fault_count) == (3, 0, 70)
    assert (found.cycle_count, found.instruction_count, found.cache_miss_count) == (None, None, None)
    assert (found.instructions_per_cycle_ratio, found.branch_miss_ratio, found.cache_miss_ratio) == (None, None, None)
    assert found.busy_cpu_ratio == pytest.approx(0.00591 / 0.011828361)
    assert (found.counted_ratio, found.is_user_only) == (1.0, False)


def test_what_is_missing_is_said(tmp_path: Path) -> None:
    """All events by name, and what a reader can do."""
    found = counters(VIRTUAL, tmp_path)

    sentence = found.sentence(is_virtual=True)
    assert sentence.startswith(
        "This virtual machine does not count cycles, instructions, branches, branch-misses, cache-references and "
        "cache-misses: nothing can be said here"
    )
    assert found.sentence(is_virtual=False).startswith("This machine does not count")
    one = dataclasses.replace(found, missing={"cycles": "not counted"}, is_user_only=True)
    assert one.sentence(is_virtual=True) == (
        "The counters of cycles exist and never ran; watch a longer program. "
        "Only the program's own code was counted, not the kernel's work for it."
    )
    assert dataclasses.replace(found, missing={}).sentence(is_virtual=True) == ""


def test_counters_of_the_hardware_give_ratios(tmp_path: Path) -> None:
    """Two instructions a cycle, one branch of fifty missed; the counter that ran least is remembered."""
    found = counters(HARDWARE, tmp_path)

    assert found.instructions_per_cycle_ratio == 2
    assert found.branch_miss_ratio == pytest.approx(0.02)
    assert found.busy_cpu_ratio == 1.5
    assert found.cache_miss_ratio is None
    assert found.missing == {"cache-misses": "not counted"}
    assert found.counted_ratio == pytest.approx(0.665)


def test_two_kinds_of_cores_are_added(tmp_path: Path) -> None:
    """Where one kind cannot count, the other's number stands and nothing is missing."""
    text = (
        "100;;cpu_core/cycles/;5;100.00;;\n20;;cpu_atom/cycles/;5;40.00;;\n"
        "<not counted>;;cpu_atom/instructions/;0;0.00;;\n7;;cpu_core/instructions/;5;100.00;;\n"
    )
    found = counters(text, tmp_path)

    assert (found.cycle_count, found.instruction_count, found.missing) == (120, 7, {})
    assert found.counted_ratio == pytest.approx(0.4)


def test_a_user_who_may_not_see_the_kernel_is_noticed(tmp_path: Path) -> None:
    """The event says so itself."""
    assert counters("0.50;msec;task-clock:u;504563;100.00;0.542;CPUs utilized\n", tmp_path).is_user_only
    assert not counters("0.50;msec;task-clock:uk;504563;100.00;0.542;CPUs utilized\n", tmp_path).is_user_only


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "empty or cut off"),
        ("# started on Sun Nov 22\n\n", "empty or cut off"),
        ("5;;cycles;1\n", "empty or cut off"),
        ("5;;some-other-event;1;100.00;;\n", "holds no event"),
        ("many;;cycles;1;100.00;;\n", "'many', which is no number"),
        ("5;;cycles;1;often;;\n", "'often', which is no number"),
    ],
)
def test_what_is_no_output_of_perf_is_refused(text: str, words: str, tmp_path: Path) -> None:
    """Each with its reason."""
    with pytest.raises(DataError, match=words):
        counters(text, tmp_path)


def test_missing_and_binary_files_are_refused(tmp_path: Path) -> None:
    """Neither is a traceback."""
    (tmp_path / "binary").write_bytes(b"\xff\x00")
    for name in ("nowhere", "binary"):
        with pytest.raises(DataError, match="cannot be read"):
            read_stat(tmp_path / name)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGSEGV])
def test_a_killed_program_is_found_out(number: signal.Signals, tmp_path: Path) -> None:
    """Perf ends with 0 and prints the signal's name."""
    said = f"something else\npython: {signal.strsignal(number)}\n"
    killed = Recording("perf", "6.1", ("perf",), tmp_path, said)

    with pytest.raises(MeasurementError, match=f"a signal ended .*{signal.strsignal(number)}"):
        check_ended_well(killed, ["python", "a.py"])
    check_ended_well(dataclasses.replace(killed, standard_error="the log says python: Killed, too"), ["python"])


def test_functions_are_ranked_by_samples() -> None:
    """Libraries and long names of C++ are kept; a tie goes by name."""
    first, second, third = read_report(REPORT, count=3)

    assert first == SymbolShare("_PyEval_EvalFrameDefault", "libpython3.11.so.1.0", 0.375)
    assert second.symbol == "_PyObject_Free"
    assert third == SymbolShare(
        "at::native::(anonymous namespace)::gelu<float, 8>(at::Tensor const&)", "libtorch_cpu.so", 0.125
    )
    assert len(read_report(REPORT)) == 4


def test_a_report_without_functions_is_refused() -> None:
    """A program of a few milliseconds leaves no sample."""
    with pytest.raises(DataError, match="holds no function"):
        read_report("\n# To display the perf.data header info\n")


def test_a_virtual_machine_is_known_by_its_processor(tmp_path: Path) -> None:
    """The flag has to be a whole word among the flags; without the file nobody knows."""
    info = tmp_path / "cpuinfo"
    info.write_text("model name\t: X\nflags\t\t: fpu sse2 hypervisor lahf_lm\n")
    assert linux_perf.is_virtual_machine(info)
    info.write_text("model name\t: hypervisor\nflags\t\t: fpu hypervisors\n")
    assert not linux_perf.is_virtual_machine(info)
    assert not linux_perf.is_virtual_machine(tmp_path / "nowhere")


class FakePerf:
    """Counts, and samples or not."""

    def __init__(self, folder: Path, *, may_sample: bool) -> None:
        self.folder, self.may_sample = folder, may_sample

    def __call__(self, command: Sequence[str], **options: Any) -> "subprocess.CompletedProcess[str]":
        """Answer for perf."""
        match command[1]:
            case "--version":
                return subprocess.CompletedProcess(command, 0, "perf version 6.1.187\n", "")
            case "stat":
                (self.folder / "perf-stat.txt").write_text(VIRTUAL)
            case "record" if self.may_sample:
                (self.folder / "perf.data").write_bytes(b"PERFILE2")
            case "record":
                said = "Access to performance monitoring is limited: perf_event_paranoid setting is 3"
                return subprocess.CompletedProcess(command, 255, "", said)
            case "report":
                return subprocess.CompletedProcess(command, 0, REPORT, "")
        return subprocess.CompletedProcess(command, 0, "", "")


@pytest.fixture
def perf_on_path(monkeypatch: pytest.MonkeyPatch) -> None:
    """Put perf on PATH."""
    monkeypatch.setattr("perflib.profiling.recording.shutil.which", lambda name: f"/usr/bin/{name}")


def test_a_run_under_perf_is_told_in_lines(perf_on_path: None, tmp_path: Path) -> None:
    """Counts, what is missing, and the functions with most samples."""
    lines = profile_outside("perf", ["python", "a.py"], tmp_path, run=FakePerf(tmp_path, may_sample=True))

    assert lines[0].startswith("perf 6.1.187: perf stat -x ';'")
    assert "  processor time 5.91 ms in 11.8 ms" in lines
    assert "  page faults: 70" in lines
    assert not any(line.startswith("  cycles") for line in lines)
    assert any("does not count cycles" in line for line in lines)
    assert "  37.5 %  _PyEval_EvalFrameDefault  (libpython3.11.so.1.0)" in lines


def test_counts_stand_where_samples_are_forbidden(perf_on_path: None, tmp_path: Path) -> None:
    """The counts are told, and why there are no functions."""
    lines = profile_outside("perf", ["python", "a.py"], tmp_path, run=FakePerf(tmp_path, may_sample=False))

    assert "  page faults: 70" in lines
    assert lines[-1].startswith("There are counts and no samples: the kernel does not let this user")
    assert "kernel.perf_event_paranoid" in lines[-1]


def test_a_machine_without_perf_is_told_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """With the command for another machine."""
    monkeypatch.setattr("perflib.profiling.recording.shutil.which", lambda name: None)

    with pytest.raises(SetupError, match=r"`perf` is not on PATH; install the `linux-perf` package.*perf stat -x"):
        profile_outside("perf", ["python", "a.py"], tmp_path)


def _perf_works() -> bool:
    return (
        shutil.which("perf") is not None
        and subprocess.run(["perf", "stat", "true"], capture_output=True).returncode == 0
    )


def _is_found_out(program: list[str], folder: Path) -> bool:
    try:
        profile_outside("perf", program, folder)
    except MeasurementError as error:
        return "a signal ended" in str(error) or "ended with exit status" in str(error)
    return False


@pytest.mark.skipif(not _perf_works(), reason="this machine has no perf, or does not let us use it")
def test_the_real_perf_is_understood(tmp_path: Path) -> None:
    """Whatever version is here, its own output is read, and a program that is killed is found out."""
    lines = profile_outside("perf", [sys.executable, "-c", "sum(i * i for i in range(10**6))"], tmp_path)

    assert lines[1].startswith("  processor time ")
    assert read_stat(tmp_path / "perf-stat.txt").page_fault_count
    # perf itself forgets to say so once in some thirty times.
    assert any(_is_found_out(["sh", "-c", "kill -9 $$"], tmp_path) for _ in range(5))
    with pytest.raises(MeasurementError, match="exit status 3"):
        profile_outside("perf", ["sh", "-c", "exit 3"], tmp_path)
