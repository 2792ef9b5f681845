"""
The machine card: which computer the numbers belong to.

Numbers are comparable inside one **hardware class**: processor, instruction sets, cores and memory allotted,
GPU and its limits, governor, in a container or not.
The host's name, its uptime and its megahertz of the moment are left out, so that a restart begins no new history;
versions and operating system are recorded beside the class, because changing them must not begin one either.
"""

import dataclasses
import importlib.metadata
import os
import platform
import re
import subprocess
from pathlib import Path
from typing import Any, ClassVar

from perflib.records import Record, sha256_json

# The instruction sets that decide which matrix kernels an engine takes.
MATRIX_FLAGS = (
    "avx2", "fma", "avx512f", "avx512bw", "avx512_vnni", "avx_vnni", "avx512_bf16", "avx512_fp16",
    "amx_tile", "amx_bf16", "amx_int8", "asimd", "asimddp", "i8mm", "bf16", "sve", "sve2",
)  # fmt: skip
ENGINE_PACKAGES = (
    *("torch", "torchao", "torch_pruning", "transformers", "openvino", "nncf", "onnx", "onnxruntime"),
    *("numpy", "papermill"),
)


@dataclasses.dataclass(frozen=True)
class Gpu:
    """One GPU as the driver describes it; a GPU that shares the processor's memory states none of its own."""

    name: str
    memory_bytes: int | None
    driver: str | None
    power_cap_watt: float | None
    max_sm_clock_mhz: int | None


@dataclasses.dataclass(frozen=True)
class MachineCard(Record):
    """Everything about this computer that a number may depend on; None where it cannot be read."""

    schema: ClassVar[str] = "perflib/machine/1"

    hardware_class: str
    cpu_model: str
    isa_flags: tuple[str, ...]
    core_count: int
    memory_bytes: int
    gpus: tuple[Gpu, ...]
    governor: str | None
    has_turbo: bool | None
    is_container: bool
    is_virtual: bool
    thread_count: int
    operating_system: str
    kernel: str
    python: str
    versions: dict[str, str]


def read_card(*, proc: Path = Path("/proc"), sys_dir: Path = Path("/sys")) -> MachineCard:
    """
    Read the machine card of this computer.

    Args:
        proc: The proc file system; tests pass a copy.
        sys_dir: The sys file system; tests pass a copy.
    """
    cpu_model, flags = _cpu(proc)
    card = MachineCard(
        hardware_class="",
        cpu_model=cpu_model,
        isa_flags=tuple(flag for flag in MATRIX_FLAGS if flag in flags),
        core_count=core_count(sys_dir=sys_dir),
        memory_bytes=_memory_bytes(proc, sys_dir),
        gpus=_gpus(),
        governor=read_text(sys_dir / "devices/system/cpu/cpu0/cpufreq/scaling_governor"),
        has_turbo=_turbo(sys_dir),
        is_container=_is_container(proc),
        is_virtual="hypervisor" in flags,
        thread_count=thread_count(),
        operating_system=_operating_system(),
        kernel=platform.release(),
        python=platform.python_version(),
        versions=_versions(),
    )
    return dataclasses.replace(card, hardware_class=hardware_class(card))


def hardware_class(card: MachineCard) -> str:
    """
    Return the short readable key of a hardware class, ``<cpu>-<cores>c-<memory>g[-<gpu>]-<digest8>``.

    Memory counts in whole gibibytes, because two boots of one virtual machine differ by some pages.
    """
    facts: dict[str, Any] = {
        "cpu": card.cpu_model,
        "isa": sorted(card.isa_flags),
        "cores": card.core_count,
        "memory_gib": round(card.memory_bytes / 2**30),
        "gpus": [(gpu.name, round((gpu.memory_bytes or 0) / 2**30), gpu.power_cap_watt) for gpu in card.gpus],
        "governor": card.governor,
        "container": card.is_container,
    }
    words = [card.cpu_model, f"{facts['cores']}c", f"{facts['memory_gib']}g", *(gpu.name for gpu in card.gpus)]
    readable = "-".join(re.sub(r"[^a-z0-9]+", "-", word.lower()).strip("-") for word in words)
    return f"{readable}-{sha256_json(facts)[:8]}"


def describe(card: MachineCard) -> str:
    """Return the card in one line, for captions."""
    memory = f"{card.memory_bytes / 2**30:.0f} GiB"
    fast = [flag for flag in card.isa_flags if flag not in ("avx2", "fma", "avx512f", "avx512bw")]
    parts = [card.cpu_model, f"{card.core_count} cores", memory, " ".join(fast) or "no matrix instructions"]
    parts += [gpu.name for gpu in card.gpus] or ["no GPU"]
    parts += [f"torch {card.versions.get('torch', 'absent')}", f"Python {card.python}"]
    if card.is_container:
        parts.append("in a container")
    elif card.is_virtual:
        parts.append("virtual machine")
    return " · ".join(parts)


def core_count(*, sys_dir: Path = Path("/sys")) -> int:
    """Return the cores allotted: the affinity mask, cut down by a cgroup quota."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = (read_text(sys_dir / "fs/cgroup/cpu.max") or "max").split()
    if quota[0] != "max" and len(quota) == 2:
        cores = min(cores, max(1, round(int(quota[0]) / int(quota[1]))))
    return cores


def thread_count() -> int:
    """Return the threads that an engine gets when its runtime block names none: ``OMP_NUM_THREADS`` or all cores."""
    named = os.environ.get("OMP_NUM_THREADS", "")
    return int(named) if named.isdigit() and int(named) > 0 else core_count()


def has_cuda() -> bool:
    """Say whether torch can use a CUDA device here."""
    import torch

    return torch.cuda.is_available()


def read_text(path: Path) -> str | None:
    """Return what a small file of the system says; None where it is missing, unreadable or empty."""
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip() or None
    except OSError:
        return None


def _cpu(proc: Path) -> tuple[str, frozenset[str]]:
    text = read_text(proc / "cpuinfo") or ""
    model = re.search(r"^model name\s*:\s*(.+)$", text, re.MULTILINE)
    flags = re.search(r"^(?:flags|Features)\s*:\s*(.+)$", text, re.MULTILINE)
    name = model.group(1) if model else platform.processor() or platform.machine()
    return " ".join(name.split()), frozenset(flags.group(1).split()) if flags else frozenset()


def _memory_bytes(proc: Path, sys_dir: Path) -> int:
    total = re.search(r"^MemTotal:\s+(\d+) kB", read_text(proc / "meminfo") or "", re.MULTILINE)
    if total:
        whole = int(total.group(1)) * 1024
    else:
        import psutil

        whole = psutil.virtual_memory().total
    limit = read_text(sys_dir / "fs/cgroup/memory.max") or "max"
    return min(whole, int(limit)) if limit.isdigit() else whole


def _turbo(sys_dir: Path) -> bool | None:
    intel = read_text(sys_dir / "devices/system/cpu/intel_pstate/no_turbo")
    if intel is not None:
        return intel == "0"
    boost = read_text(sys_dir / "devices/system/cpu/cpufreq/boost")
    return None if boost is None else boost == "1"


def _is_container(proc: Path) -> bool:
    if Path("/.dockerenv").exists() or Path("/run/.containerenv").exists() or "container" in os.environ:
        return True
    return bool(re.search(r"docker|kubepods|containerd|libpod", read_text(proc / "1/cgroup") or ""))


def _operating_system() -> str:
    try:
        return platform.freedesktop_os_release().get("PRETTY_NAME", platform.platform())
    except OSError:
        return platform.platform()


def _versions() -> dict[str, str]:
    found = {}
    for name in ENGINE_PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def _gpus() -> tuple[Gpu, ...]:
    """Ask the driver's own tool, so that reading a card loads no CUDA context; no tool, no GPU."""
    fields = "name,memory.total,driver_version,power.limit,clocks.max.sm"
    try:
        reply = subprocess.run(
            ["nvidia-smi", f"--query-gpu={fields}", "--format=csv,noheader,nounits"],
            capture_output=True,
            text=True,
            timeout=20,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ()
    return parse_nvidia_smi(reply.stdout) if reply.returncode == 0 else ()


def parse_nvidia_smi(text: str) -> tuple[Gpu, ...]:
    """
    Read the CSV of ``nvidia-smi --query-gpu=name,memory.total,driver_version,power.limit,clocks.max.sm``.

    Example:
        >>> parse_nvidia_smi("NVIDIA H100 80GB HBM3, 81559, 570.1, 700.00, 1980")[0].max_sm_clock_mhz
        1980
    """

    def number(word: str) -> float | None:
        try:
            return float(word)
        except ValueError:
            return None

    gpus = []
    for line in text.strip().splitlines():
        words = [word.strip() for word in line.rsplit(",", 4)]
        if len(words) != 5:  # "No devices were found"
            continue
        name, memory, driver, power, clock = words
        memory_mib, clock_mhz = number(memory), number(clock)
        gpus.append(
            Gpu(
                name=name,
                memory_bytes=None if memory_mib is None else int(memory_mib * 2**20),
                driver=None if driver in ("", "[N/A]") else driver,
                power_cap_watt=number(power),
                max_sm_clock_mhz=None if clock_mhz is None else int(clock_mhz),
            )
        )
    return tuple(gpus)
