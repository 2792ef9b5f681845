"""The GPU's readings: what NVML says, None where it does not, and never an error."""

import os
import sys
from types import SimpleNamespace
from typing import Any, ClassVar

import pytest

from perflib import machine
from perflib.benchmarking import gpu
from perflib.benchmarking.gpu import GpuReadings, is_throttled, open_device, read_gpu


class FakeNVMLError(Exception):
    """What the fake library raises for everything that it cannot do."""


class FakeNvml:
    """Two GPUs of a host; a name in ``missing`` is a function that this driver or device does not have."""

    NVMLError = FakeNVMLError
    NVML_CLOCK_SM = 1
    NVML_TEMPERATURE_GPU = 0
    _ANSWERS: ClassVar[dict[str, Any]] = {
        "nvmlDeviceGetClockInfo": 1980,
        "nvmlDeviceGetTemperature": 41,
        "nvmlDeviceGetCurrentClocksEventReasons": 0x44,
        "nvmlDeviceGetCurrentClocksThrottleReasons": 0x08,
        "nvmlDeviceGetComputeRunningProcesses_v3": [SimpleNamespace(pid=pid) for pid in (11, 12, 13, 13)],
    }

    def __init__(self, *missing: str) -> None:
        self.missing = missing
        self.asked: list[tuple[Any, ...]] = []

    def __getattr__(self, name: str) -> Any:
        def answer(*details: object) -> Any:
            self.asked.append((name, *details))
            if name in self.missing:
                raise FakeNVMLError(name)
            return self._ANSWERS.get(name, ("handle", *details))

        return answer


def _install(monkeypatch: pytest.MonkeyPatch, library: object) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", library)  # None makes the import fail


def test_all_readings_come_from_the_library(monkeypatch: pytest.MonkeyPatch) -> None:
    """Clock, reasons and temperature are as NVML says, and a process counts once, ours not at all."""
    fake = FakeNvml()
    _install(monkeypatch, fake)

    readings = read_gpu(own_pids=[11, 99], environ={})

    assert readings == GpuReadings(sm_clock_mhz=1980, throttle_bits=0x44, temperature_celsius=41, process_count=2)
    assert ("nvmlDeviceGetClockInfo", ("handle", 0), FakeNvml.NVML_CLOCK_SM) in fake.asked


@pytest.mark.parametrize(
    ("function", "field"),
    [
        ("nvmlDeviceGetClockInfo", "sm_clock_mhz"),
        ("nvmlDeviceGetTemperature", "temperature_celsius"),
        ("nvmlDeviceGetComputeRunningProcesses_v3", "process_count"),
    ],
)
def test_a_missing_feature_is_none_alone(monkeypatch: pytest.MonkeyPatch, function: str, field: str) -> None:
    """What one GPU cannot say does not take the rest with it."""
    _install(monkeypatch, FakeNvml(function))

    readings = read_gpu(environ={})

    assert readings is not None
    assert [name for name, value in vars(readings).items() if value is None] == [field]


def test_an_old_driver_is_asked_for_the_reasons_by_their_old_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only where it knows neither name the reasons are unknown."""
    new, old = "nvmlDeviceGetCurrentClocksEventReasons", "nvmlDeviceGetCurrentClocksThrottleReasons"
    _install(monkeypatch, FakeNvml(new))
    by_old_name = read_gpu(environ={})
    _install(monkeypatch, FakeNvml(new, old))
    by_none = read_gpu(environ={})

    assert by_old_name is not None
    assert by_none is not None
    assert (by_old_name.throttle_bits, by_none.throttle_bits) == (0x08, None)


@pytest.mark.parametrize("library", [None, FakeNvml("nvmlInit"), FakeNvml("nvmlDeviceGetHandleByIndex")])
def test_without_library_driver_or_device_there_are_no_readings(
    monkeypatch: pytest.MonkeyPatch, library: object
) -> None:
    """Each of the three may be missing, and none of it is an error."""
    _install(monkeypatch, library)

    assert read_gpu(environ={}) is None


def test_processes_among_which_ours_are_not_are_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    """A container's process numbers are not the host's: then our own arms must not count as strangers."""
    _install(monkeypatch, FakeNvml())

    readings = read_gpu(own_pids=[7], environ={})

    assert readings is not None
    assert readings.process_count is None


@pytest.mark.parametrize(
    ("visible", "handle"),
    [
        (None, ("handle", 1)),
        ("2,3", ("handle", 3)),
        ("2, GPU-5a1c", ("handle", "GPU-5a1c")),
        ("2", None),
        ("", None),
        ("2,", None),
    ],
)
def test_the_index_is_that_of_cuda(
    monkeypatch: pytest.MonkeyPatch, visible: str | None, handle: tuple[object, ...] | None
) -> None:
    """The second GPU that CUDA sees may be another one for NVML, or none."""
    _install(monkeypatch, FakeNvml())

    device = open_device(1, environ={} if visible is None else {"CUDA_VISIBLE_DEVICES": visible})

    assert (None if device is None else device.handle) == handle


@pytest.mark.parametrize(
    ("bits", "expected"),
    [
        (0x000, False),
        (0x001, False),  # idle
        (0x002, False),  # clocks chosen
        (0x004, False),  # power cap
        (0x010, False),  # sync boost
        (0x100, False),  # display clocks
        (0x008, True),
        (0x020, True),
        (0x040, True),
        (0x080, True),
        (0x044, True),
    ],
)
def test_only_hardware_and_heat_count_as_throttling(bits: int, *, expected: bool) -> None:
    """What somebody has set up is no disturbance."""
    assert is_throttled(bits) is expected


def test_the_bits_are_those_of_the_library() -> None:
    """The constants written here are NVML's own."""
    pynvml = pytest.importorskip("pynvml")

    assert pynvml.nvmlClocksEventReasonHwSlowdown == gpu.HARDWARE_SLOWDOWN_BIT
    assert pynvml.nvmlClocksEventReasonSwThermalSlowdown == gpu.SOFTWARE_THERMAL_SLOWDOWN_BIT
    assert pynvml.nvmlClocksEventReasonHwThermalSlowdown == gpu.HARDWARE_THERMAL_SLOWDOWN_BIT
    assert pynvml.nvmlClocksEventReasonHwPowerBrakeSlowdown == gpu.HARDWARE_POWER_BRAKE_BIT


def test_every_function_that_is_asked_is_in_the_library() -> None:
    """The fake answers to any name; the pinned library must know those that it was asked for."""
    pynvml = pytest.importorskip("pynvml")
    fake = FakeNvml("nvmlDeviceGetCurrentClocksEventReasons")
    with pytest.MonkeyPatch.context() as patch:
        _install(patch, fake)
        read_gpu(environ={})
        open_device(environ={"CUDA_VISIBLE_DEVICES": "GPU-5a1c"})
    names = {asked[0] for asked in fake.asked}

    assert len(names) == 8
    assert [name for name in sorted(names) if not callable(getattr(pynvml, name, None))] == []


def test_a_real_gpu_answers() -> None:
    """A GPU that torch can use has a clock and a temperature that are possible."""
    if not machine.has_cuda():
        pytest.skip("torch sees no CUDA device here")
    readings = read_gpu(own_pids=[os.getpid()])

    assert readings is not None
    assert readings.sm_clock_mhz is None or 100 <= readings.sm_clock_mhz <= 5000
    assert readings.temperature_celsius is None or 5 <= readings.temperature_celsius <= 120
    assert readings != GpuReadings(None, None, None, None)
