"""The machine card: read from a copied tree, and a class that a restart does not change."""

import dataclasses
import os
from pathlib import Path

import pytest

from perflib import machine
from perflib.machine import Gpu, MachineCard

CPUINFO = """processor : 0
model name : Example  CPU   9000
cpu MHz : {mhz}
flags : fpu avx2 fma avx512f amx_tile amx_int8 hypervisor
"""


@pytest.fixture(autouse=True)
def _no_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    """Eight cores, no GPU, no thread count in the environment, whatever computer this is."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)), raising=False)
    monkeypatch.setattr(machine, "_gpus", lambda: ())
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)


def _write(folder: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


def _card(
    tmp_path: Path, *, mhz: str = "2100.0", memory_kib: int = 16 * 2**20, quota: str = "max 100000", host: str = "one"
) -> MachineCard:
    proc = {"cpuinfo": CPUINFO.format(mhz=mhz), "meminfo": f"MemTotal:  {memory_kib} kB\n", "1/cgroup": "0::/\n"}
    sys_dir = {
        "fs/cgroup/cpu.max": quota,
        "devices/system/cpu/cpu0/cpufreq/scaling_governor": "performance\n",
        "devices/system/cpu/intel_pstate/no_turbo": "1\n",
    }
    return machine.read_card(
        proc=_write(tmp_path / "proc", {**proc, "sys/kernel/hostname": host}),
        sys_dir=_write(tmp_path / "sys", sys_dir),
    )


def test_a_card_is_read_from_the_trees(tmp_path: Path) -> None:
    """Model, instruction sets, cores, memory, governor and turbo come from /proc and /sys."""
    card = _card(tmp_path)

    assert card.cpu_model == "Example CPU 9000"
    assert card.isa_flags == ("avx2", "fma", "avx512f", "amx_tile", "amx_int8")
    assert (card.core_count, card.memory_bytes) == (8, 16 * 2**30)
    assert (card.governor, card.has_turbo, card.is_virtual) == ("performance", False, True)
    assert card.hardware_class.startswith("example-cpu-9000-8c-16g-")


def test_an_empty_tree_gives_unknowns(tmp_path: Path) -> None:
    """What cannot be read is None, not zero, and reading it is no error."""
    card = machine.read_card(proc=tmp_path / "none", sys_dir=tmp_path / "none")

    assert (card.governor, card.has_turbo, card.isa_flags) == (None, None, ())
    assert card.memory_bytes > 0


def test_the_class_outlives_a_restart(tmp_path: Path) -> None:
    """Megahertz, the host's name and some pages of memory do not begin a new history."""
    before = _card(tmp_path / "a")
    after = _card(tmp_path / "b", mhz="3999.9", host="two", memory_kib=16 * 2**20 - 900)

    assert after.hardware_class == before.hardware_class


def test_the_class_outlives_an_upgrade(tmp_path: Path) -> None:
    """Versions stand beside the class, not in it."""
    card = _card(tmp_path)
    upgraded = dataclasses.replace(card, versions={"torch": "99"}, kernel="9.9", python="9.9.9")

    assert machine.hardware_class(upgraded) == card.hardware_class


@pytest.mark.parametrize(
    "change",
    [
        {"core_count": 4},
        {"cpu_model": "Other CPU"},
        {"isa_flags": ("avx2",)},
        {"memory_bytes": 2**30},
        {"governor": "powersave"},
        {"gpus": (Gpu("NVIDIA X", 2**30, None, 300.0, None),)},
    ],
)
def test_the_class_changes_with_the_hardware(tmp_path: Path, change: dict[str, object]) -> None:
    """Numbers from other cores, kernels or limits are not comparable."""
    card = _card(tmp_path)

    assert machine.hardware_class(dataclasses.replace(card, **change)) != card.hardware_class  # type: ignore[arg-type]


def test_the_power_limit_of_a_gpu_is_part_of_the_class(tmp_path: Path) -> None:
    """The same GPU held at less power is slower; a new driver is not a new GPU."""
    card = dataclasses.replace(_card(tmp_path), gpus=(Gpu("NVIDIA X", 2**30, "1.0", 300.0, 1980),))
    capped = dataclasses.replace(card, gpus=(Gpu("NVIDIA X", 2**30, "1.0", 250.0, 1980),))
    updated = dataclasses.replace(card, gpus=(Gpu("NVIDIA X", 2**30, "2.0", 300.0, 1980),))

    assert machine.hardware_class(capped) != machine.hardware_class(card)
    assert machine.hardware_class(updated) == machine.hardware_class(card)


@pytest.mark.parametrize(("quota", "cores"), [("max 100000", 8), ("200000 100000", 2), ("50000 100000", 1), ("", 8)])
def test_a_cgroup_quota_cuts_the_cores(tmp_path: Path, quota: str, cores: int) -> None:
    """A container with two CPUs has two cores, whatever the host has."""
    assert _card(tmp_path, quota=quota).core_count == cores


def test_a_cgroup_limit_cuts_the_memory(tmp_path: Path) -> None:
    """The limit counts, not the host's memory."""
    _write(tmp_path / "sys", {"fs/cgroup/memory.max": str(4 * 2**30)})

    assert _card(tmp_path).memory_bytes == 4 * 2**30


def test_threads_can_be_named_by_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """``OMP_NUM_THREADS`` counts when it is a positive number."""
    found = []
    for word in ("3", "0", "many", ""):
        monkeypatch.setenv("OMP_NUM_THREADS", word)
        found.append(machine.thread_count() == machine.core_count())
        if word == "3":
            assert machine.thread_count() == 3

    assert found == [False, True, True, True]


def test_a_card_survives_the_round_trip(tmp_path: Path) -> None:
    """A card with a GPU is read as it was written."""
    card = dataclasses.replace(_card(tmp_path), gpus=machine.parse_nvidia_smi("NVIDIA X, 1024, 570.1, 300.00, 1980"))

    assert MachineCard.read(card.write(tmp_path / "card.json")) == card


def test_the_drivers_words_for_unknown_become_none(tmp_path: Path) -> None:
    """A GPU that shares memory, or hides its limits, has unknowns and not zeros."""
    (gpu,) = machine.parse_nvidia_smi("NVIDIA GB10, [N/A], 580.1, [N/A], [Not Supported]\n")

    assert gpu == Gpu("NVIDIA GB10", None, "580.1", None, None)
    assert "nvidia-gb10" in machine.hardware_class(dataclasses.replace(_card(tmp_path), gpus=(gpu,)))


def test_several_gpus_and_odd_names_are_read() -> None:
    """One GPU per line; a comma in the name belongs to the name."""
    first, second = machine.parse_nvidia_smi(
        "NVIDIA A, rev 2, 1024, 570.1, 300.00, 1980\nNVIDIA B, 2048, [N/A], 70.0, 1500\n"
    )

    assert (first.name, first.memory_bytes) == ("NVIDIA A, rev 2", 2**30)
    assert (second.name, second.driver, second.power_cap_watt) == ("NVIDIA B", None, 70.0)


@pytest.mark.parametrize("text", ["", "\n", "No devices were found\n"])
def test_a_driver_without_gpus_is_no_error(text: str) -> None:
    """The driver's sentence is not read as a GPU."""
    assert machine.parse_nvidia_smi(text) == ()


def test_the_description_says_where_a_number_comes_from(tmp_path: Path) -> None:
    """One line has processor, cores, memory and GPU."""
    line = machine.describe(_card(tmp_path))

    assert line.startswith("Example CPU 9000 · 8 cores · 16 GiB · amx_tile amx_int8 · no GPU · torch ")
