"""
What the driver says of the GPU while a unit runs: a GPU that slows itself down, or serves others, measures that.

A worker asks NVML after each slot; the library is optional, and what it does not know is None. NVML counts all GPUs of
the host, CUDA only those that ``CUDA_VISIBLE_DEVICES`` names: an index here is CUDA's.
On a host with different GPUs the two agree on the order only with ``CUDA_DEVICE_ORDER=PCI_BUS_ID``.
"""

import dataclasses
import os
from collections.abc import Callable, Collection, Mapping
from typing import Any

# NVML's documented reasons for lower clocks. Only these are a disturbance: idling, chosen clocks and the power cap are
# how the GPU was set up, and both arms meet them alike.
HARDWARE_SLOWDOWN_BIT = 0x08
SOFTWARE_THERMAL_SLOWDOWN_BIT = 0x20
HARDWARE_THERMAL_SLOWDOWN_BIT = 0x40
HARDWARE_POWER_BRAKE_BIT = 0x80
HARDWARE_OR_THERMAL_BITS = (
    HARDWARE_SLOWDOWN_BIT | SOFTWARE_THERMAL_SLOWDOWN_BIT | HARDWARE_THERMAL_SLOWDOWN_BIT | HARDWARE_POWER_BRAKE_BIT
)


@dataclasses.dataclass(frozen=True)
class GpuReadings:
    """
    One GPU at one moment; None where it does not say.

    ``throttle_bits`` are all of NVML's reasons for lower clocks, `is_throttled` says whether any of them disturbs;
    ``process_count`` counts the compute processes that are not ours.
    """

    sm_clock_mhz: int | None
    throttle_bits: int | None
    temperature_celsius: int | None
    process_count: int | None


@dataclasses.dataclass(frozen=True)
class Device:
    """A GPU that can be asked: NVML's library and its handle."""

    nvml: Any
    handle: Any

    def ask(self, question: Callable[..., Any], *details: object) -> Any:
        """Return NVML's answer about this GPU; None where it has none."""
        try:
            return question(self.handle, *details)
        except self.nvml.NVMLError:
            return None


def open_device(index: int = 0, *, environ: Mapping[str, str] = os.environ) -> Device | None:
    """
    Return a GPU that can be asked; None without library, driver or device.

    Args:
        index: As CUDA counts in this process.
        environ: Where ``CUDA_VISIBLE_DEVICES`` is looked up.
    """
    try:
        import pynvml  # type: ignore[import-untyped]
    except ImportError:
        return None
    name = visible_name(index, environ.get("CUDA_VISIBLE_DEVICES"))
    if name is None:
        return None
    try:
        # Once more is harmless: NVML counts, and the process keeps it open, because opening it may wake the GPU.
        pynvml.nvmlInit()
        by_index, by_uuid = pynvml.nvmlDeviceGetHandleByIndex, pynvml.nvmlDeviceGetHandleByUUID
        return Device(pynvml, by_index(int(name)) if name.isdecimal() else by_uuid(name))
    except pynvml.NVMLError:
        return None


def visible_name(index: int, visible: str | None) -> str | None:
    """
    Return the number or UUID by which NVML knows CUDA's GPU; None where CUDA sees no such GPU.

    Args:
        index: As CUDA counts.
        visible: ``CUDA_VISIBLE_DEVICES``; None where it is not set.

    Example:
        >>> visible_name(1, None), visible_name(1, "3,GPU-5a1c"), visible_name(1, "3")
        ('1', 'GPU-5a1c', None)
    """
    if visible is None:
        return str(index)
    names = [name.strip() for name in visible.split(",")]
    return names[index] or None if index < len(names) else None


def read_gpu(
    index: int = 0, *, own_pids: Collection[int] = (), environ: Mapping[str, str] = os.environ
) -> GpuReadings | None:
    """
    Read one GPU now; None without library, driver or device.

    Args:
        index: As CUDA counts in this process.
        own_pids: Our processes that hold a CUDA context; they are not counted.
        environ: Where ``CUDA_VISIBLE_DEVICES`` is looked up.
    """
    device = open_device(index, environ=environ)
    if device is None:
        return None
    nvml = device.nvml
    return GpuReadings(
        sm_clock_mhz=device.ask(nvml.nvmlDeviceGetClockInfo, nvml.NVML_CLOCK_SM),
        throttle_bits=_throttle_bits(device),
        temperature_celsius=device.ask(nvml.nvmlDeviceGetTemperature, nvml.NVML_TEMPERATURE_GPU),
        process_count=_process_count(device, own_pids),
    )


def is_throttled(bits: int) -> bool:
    """
    Say whether hardware or heat holds the clocks down.

    Example:
        >>> is_throttled(0x40), is_throttled(0x04)  # too hot; at its power cap
        (True, False)
    """
    return bool(bits & HARDWARE_OR_THERMAL_BITS)


def _throttle_bits(device: Device) -> int | None:
    bits: int | None = device.ask(device.nvml.nvmlDeviceGetCurrentClocksEventReasons)
    if bits is None:  # drivers before 535 know it by its older name
        bits = device.ask(device.nvml.nvmlDeviceGetCurrentClocksThrottleReasons)
    return bits


def _process_count(device: Device, own_pids: Collection[int]) -> int | None:
    # By its versioned name: on an old driver the plain one raises what is not an NVMLError.
    processes = device.ask(device.nvml.nvmlDeviceGetComputeRunningProcesses_v3)
    if processes is None:
        return None
    pids = {process.pid for process in processes}
    if own_pids and pids.isdisjoint(own_pids):
        return None  # in a container NVML may hide processes or number them as the host does: ours cannot be told apart
    return len(pids - set(own_pids))
