"""Energy counters: packages and boards, their wrap, and None wherever a part is unknown."""

import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from perflib import machine
from perflib.benchmarking.energy import open_meter
from perflib.errors import ParameterError

RANGE_UJ = 262_143_328_850


def _zone(sys_dir: Path, zone: str, *, name: str, energy_uj: int | None, range_uj: int = RANGE_UJ) -> None:
    """Write one zone of the powercap tree, or only its energy anew."""
    folder = sys_dir / "class/powercap" / zone
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "name").write_text(f"{name}\n")
    (folder / "max_energy_range_uj").write_text(f"{range_uj}\n")
    if energy_uj is not None:
        (folder / "energy_uj").write_text(f"{energy_uj}\n")


def _two_packages(sys_dir: Path, *, first_uj: int, second_uj: int, other_uj: int = 0) -> None:
    """Write two packages beside everything that must not be added to them."""
    _zone(sys_dir, "intel-rapl:0", name="package-0", energy_uj=first_uj)
    _zone(sys_dir, "intel-rapl:1", name="package-1", energy_uj=second_uj)
    _zone(sys_dir, "intel-rapl:2", name="psys", energy_uj=other_uj)
    _zone(sys_dir, "intel-rapl:0:0", name="core", energy_uj=other_uj)
    _zone(sys_dir, "intel-rapl:0:1", name="dram", energy_uj=other_uj)
    _zone(sys_dir, "intel-rapl:0:2", name="package-0-part", energy_uj=other_uj)
    _zone(sys_dir, "intel-rapl-mmio:0", name="package-0", energy_uj=other_uj)
    (sys_dir / "class/powercap/intel-rapl").mkdir(exist_ok=True)


def test_packages_are_added_and_nothing_else(tmp_path: Path) -> None:
    """Cores, memory, the whole platform and a second way to the same counter would count energy twice."""
    _two_packages(tmp_path, first_uj=5_000_000, second_uj=7_000_000)
    meter = open_meter(device="cpu", sys_dir=tmp_path)
    assert meter is not None

    meter.start()
    _two_packages(tmp_path, first_uj=6_500_000, second_uj=7_250_000, other_uj=90_000_000)

    assert meter.stop_joule() == pytest.approx(1.75)


def test_a_counter_that_starts_again_is_followed(tmp_path: Path) -> None:
    """One package wraps while the other does not."""
    _two_packages(tmp_path, first_uj=RANGE_UJ - 1_000_000, second_uj=0)
    meter = open_meter(device="cpu", sys_dir=tmp_path)
    assert meter is not None

    meter.start()
    _two_packages(tmp_path, first_uj=2_000_000, second_uj=4_000_000)

    assert meter.stop_joule() == pytest.approx(1.0 + 2.0 + 4.0)


def test_start_begins_anew(tmp_path: Path) -> None:
    """The second slot does not contain the first."""
    _zone(tmp_path, "intel-rapl:0", name="package-0", energy_uj=1_000_000)
    meter = open_meter(device="cpu", sys_dir=tmp_path)
    assert meter is not None

    meter.start()
    _zone(tmp_path, "intel-rapl:0", name="package-0", energy_uj=2_000_000)
    meter.start()
    _zone(tmp_path, "intel-rapl:0", name="package-0", energy_uj=2_500_000)

    assert meter.stop_joule() == pytest.approx(0.5)


def test_a_counter_that_did_not_move_is_unknown_not_zero(tmp_path: Path) -> None:
    """A slot shorter than the counter's step has an energy; we do not know which."""
    _two_packages(tmp_path, first_uj=1, second_uj=1)
    meter = open_meter(device="cpu", sys_dir=tmp_path)
    assert meter is not None

    meter.start()
    _two_packages(tmp_path, first_uj=1, second_uj=2_000_000)

    assert meter.stop_joule() is None


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_counter_that_goes_away_is_unknown(tmp_path: Path, when: str) -> None:
    """One package of two would be taken for the whole."""
    _two_packages(tmp_path, first_uj=1_000_000, second_uj=1_000_000)
    meter = open_meter(device="cpu", sys_dir=tmp_path)
    assert meter is not None
    gone = tmp_path / "class/powercap/intel-rapl:1/energy_uj"

    if when == "before":
        gone.unlink()
    meter.start()
    _two_packages(tmp_path, first_uj=2_000_000, second_uj=2_000_000)
    if when == "after":
        gone.unlink()

    assert meter.stop_joule() is None


def test_a_meter_that_was_not_started_knows_nothing(tmp_path: Path) -> None:
    """The counter's own value, since the machine's start, is no slot's energy."""
    _zone(tmp_path, "intel-rapl:0", name="package-0", energy_uj=1_000_000)
    meter = open_meter(device="cpu", sys_dir=tmp_path)

    assert meter is not None
    assert meter.stop_joule() is None


def test_without_counters_there_is_no_meter(tmp_path: Path) -> None:
    """A virtual machine has no such folder, or one with nothing in it that counts."""
    assert open_meter(device="cpu", sys_dir=tmp_path) is None
    _zone(tmp_path, "intel-rapl:0", name="psys", energy_uj=1)
    assert open_meter(device="cpu", sys_dir=tmp_path) is None


@pytest.mark.parametrize("energy_uj", [None, "", "error"])
def test_an_incomplete_machine_has_no_meter(tmp_path: Path, energy_uj: str | None) -> None:
    """One package that is missing, empty or garbled is enough."""
    _two_packages(tmp_path, first_uj=1, second_uj=1)
    path = tmp_path / "class/powercap/intel-rapl:1/energy_uj"
    path.unlink()
    if energy_uj is not None:
        path.write_text(energy_uj)

    assert open_meter(device="cpu", sys_dir=tmp_path) is None


def test_a_counter_that_only_root_may_read_gives_no_meter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The usual case: the file is there and its permission is not."""
    _two_packages(tmp_path, first_uj=1, second_uj=1)
    read_text = Path.read_text

    def guarded(path: Path, **settings: str) -> str:
        if path.name == "energy_uj":
            raise PermissionError(13, "Permission denied", str(path))
        return read_text(path, **settings)

    monkeypatch.setattr(Path, "read_text", guarded)

    assert open_meter(device="cpu", sys_dir=tmp_path) is None


def _fake_nvml(readings_mj: list[int | None]) -> SimpleNamespace:
    """Return a library whose GPU reports these energies one after the other; None is an error."""

    class FakeNVMLError(Exception):
        """The fake's error."""

    def total_energy(handle: str) -> int:
        assert handle == "gpu 0"
        reading_mj = readings_mj.pop(0)
        if reading_mj is None:
            raise FakeNVMLError
        return reading_mj

    return SimpleNamespace(
        NVMLError=FakeNVMLError,
        nvmlInit=lambda: None,
        nvmlDeviceGetHandleByIndex=lambda index: f"gpu {index}",
        nvmlDeviceGetHandleByUUID=str,
        nvmlDeviceGetTotalEnergyConsumption=total_energy,
    )


@pytest.mark.parametrize(
    ("readings_mj", "expected_joule"),
    [
        ([1, 4_000, 6_500], 2.5),
        ([1, 4_000, 4_000], None),
        ([1, 4_000, 10], None),  # the driver was loaded anew; this counter has no wrap
        ([1, 4_000, None], None),
        ([1, None, 4_000], None),
    ],
)
def test_a_board_is_read_in_joule(
    monkeypatch: pytest.MonkeyPatch, readings_mj: list[int | None], expected_joule: float | None
) -> None:
    """NVML counts millijoule; what it does not say or what cannot be is unknown."""
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setitem(sys.modules, "pynvml", _fake_nvml(list(readings_mj)))
    meter = open_meter(device="cuda")
    assert meter is not None

    meter.start()

    assert meter.stop_joule() == (None if expected_joule is None else pytest.approx(expected_joule))


def test_a_gpu_without_a_counter_or_library_has_no_meter(monkeypatch: pytest.MonkeyPatch) -> None:
    """Older GPUs do not count, and the library is optional; the processor's counters are no substitute."""
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setitem(sys.modules, "pynvml", _fake_nvml([None]))
    without_counter = open_meter(device="cuda")
    monkeypatch.setitem(sys.modules, "pynvml", None)
    without_library = open_meter(device="cuda")

    assert (without_counter, without_library) == (None, None)


def test_an_unknown_device_is_refused() -> None:
    """A device that is misspelt is not one without a counter."""
    with pytest.raises(ParameterError, match="did you mean `cuda`"):
        open_meter(device="cudo")


def test_a_real_board_spends_energy() -> None:
    """Half a second of sleeping kernels costs more than nothing and less than a kilowatt would."""
    if not machine.has_cuda():
        pytest.skip("torch sees no CUDA device here")
    meter = open_meter(device="cuda")
    if meter is None:
        pytest.skip("this GPU keeps no energy counter")
    import torch

    meter.start()
    torch.cuda._sleep(1_000_000_000)  # type: ignore[no-untyped-call]
    torch.cuda.synchronize()
    spent_joule = meter.stop_joule()

    assert spent_joule is not None
    assert 1 < spent_joule < 2_000
