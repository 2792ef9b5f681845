"""Canaries: fixed work against itself, and what it says about the machine."""

import itertools
import math
import random
import statistics
import sys
import types
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from perflib.artifact import Artifact
from perflib.benchmarking.arm import ArmError
from perflib.benchmarking.probe import LAYER_COUNT, probe_inputs
from perflib.errors import ParameterError
from perflib.regression import canary, canary_engine
from perflib.regression.canary import evidence_of_difference, run_canaries
from perflib.results.regression import Canary
from tests.fake_arms import BASE_SEC, GPU_THROTTLE, STEAL, THROTTLE, FakeHost, FakeWatch


def run_one(folder: Path, host: FakeHost, watch: FakeWatch | None = None, *, name: str = "cpu") -> Canary:
    """Run one canary on a host without processes."""
    (found,) = run_canaries(
        folder, hardware_class="fake", seed=0, start_arm=host, watch=watch or FakeWatch(), names=[name]
    )
    return found


def open_canary(artifact: Artifact) -> Any:
    """Open it as a worker does."""
    return canary_engine.open_session(artifact.folder, artifact.spec)


def test_a_still_machine_has_its_level_and_no_noise(tmp_path: Path) -> None:
    """Two arms, eight units of four slots, and no evidence either way."""
    host = FakeHost()
    found = run_one(tmp_path, host)

    assert (found.name, found.hardware_class, found.unit_count) == ("cpu", "fake", 8)
    assert (found.throttle_count, found.steal_ratio) == (0, 0.0)
    assert found.level_sec == pytest.approx(BASE_SEC)
    assert found.sd_ratio == pytest.approx(0.0, abs=1e-9)
    assert found.evidence == pytest.approx(1.0)
    assert found.unit_levels_sec == pytest.approx([BASE_SEC] * 8)
    assert [arm.label for arm in host.arms].count("baseline") == 1
    assert len(host.arms) == 2
    assert all(arm.is_closed for arm in host.arms)
    assert len(host.slots()) - 2 == 8 * 4  # one each makes the plan


@pytest.mark.parametrize("slowness_log", [0.0, math.log(2.2), math.log(9.0)])
def test_the_level_does_not_depend_on_how_a_slot_is_filled(tmp_path: Path, slowness_log: float) -> None:
    """A slower machine makes fewer passes a slot; the level is that of one pass."""
    found = run_one(tmp_path, FakeHost(noise=lambda: slowness_log))

    assert found.level_sec == pytest.approx(BASE_SEC * math.exp(slowness_log))


def test_the_level_is_the_median_over_both_arms(tmp_path: Path) -> None:
    """Half of the slots are those of the slower arm."""
    found = run_one(tmp_path, FakeHost(cost_log=0.1))

    assert found.level_sec == pytest.approx(statistics.fmean([BASE_SEC, BASE_SEC * math.exp(0.1)]))
    assert found.unit_levels_sec == pytest.approx([BASE_SEC * math.exp(0.05)] * 8)


def test_some_slow_slots_do_not_move_the_level(tmp_path: Path) -> None:
    """One in nine takes four times as long, as where another program wakes up."""
    slots = itertools.count(1)
    found = run_one(tmp_path, FakeHost(noise=lambda: 0.0 if next(slots) % 9 else math.log(4.0)))

    assert found.level_sec == pytest.approx(BASE_SEC)
    assert max(found.unit_levels_sec) > 1.2 * BASE_SEC


def test_equal_arms_that_differ_plainly_are_evidence_in_either_direction(tmp_path: Path) -> None:
    """A difference of 15 % in every unit alarms, one of 14 % cannot."""
    slower, faster = (run_one(tmp_path, FakeHost(cost_log=sign * math.log(1.15))) for sign in (1, -1))
    smaller = run_one(tmp_path, FakeHost(cost_log=math.log(1.14)))

    assert slower.evidence == pytest.approx(faster.evidence, rel=1e-6)
    assert slower.evidence > 100 > smaller.evidence


def test_the_evidence_is_below_one_on_average_over_all_coins() -> None:
    """Over all signs that fair coins can give the mean of E is one: that is what makes 100 a rare number."""
    sizes = [0.01, 0.02, 0.03, 0.05, 0.08, 0.13, 0.21, 0.34]
    all_signs = [[1 if place >> bit & 1 else -1 for bit in range(8)] for place in range(256)]
    found = [evidence_of_difference([s * size for s, size in zip(signs, sizes, strict=True)]) for signs in all_signs]

    assert statistics.fmean(found) == pytest.approx(1.0)
    assert max(found) < 128


def test_noise_is_that_of_a_unit(tmp_path: Path) -> None:
    """The deviation is that of the units' log-ratios, which the fake machine's slots determine."""
    noise = random.Random(0)
    found = run_one(tmp_path, FakeHost(noise=lambda: noise.gauss(0.0, 0.05)))

    # The mean of two slots less that of two others varies as much as one slot; eight values of it say so roughly.
    assert 0.01 < found.sd_ratio < 0.15
    assert len(set(found.unit_levels_sec)) == 8


@pytest.mark.parametrize(
    ("script", "throttle_count", "steal_ratio"),
    [
        ([{}, THROTTLE], 2, 0.0),
        ([GPU_THROTTLE, {}, GPU_THROTTLE], 2, 0.0),
        ([{"gpu_throttle_bits": 0x04}], 0, 0.0),  # at its power cap, as it was set up
        ([STEAL, STEAL], 0, 0.0125),
        ([{"throttle_count": None, "steal_ratio": None}] * 8, None, None),
        ([{"throttle_count": None, "gpu_throttle_bits": 0x40}] * 8, 8, 0.0),
    ],
)
def test_what_the_machine_did_is_counted_over_all_units(
    tmp_path: Path, script: list[dict[str, Any]], throttle_count: int | None, steal_ratio: float | None
) -> None:
    """Units that a comparison would drop count here, because they are what is asked for."""
    found = run_one(tmp_path, FakeHost(), FakeWatch(script))

    assert found.throttle_count == throttle_count
    assert found.steal_ratio == (None if steal_ratio is None else pytest.approx(steal_ratio))
    assert found.unit_count == 8


def test_every_canary_tosses_its_own_coins(tmp_path: Path) -> None:
    """The same whichever run beside it, others with another seed."""

    def order(names: list[str], seed: int) -> str:
        host = FakeHost()
        run_canaries(tmp_path, hardware_class="f", seed=seed, start_arm=host, watch=FakeWatch(), names=names)
        return host.slots()

    assert order(["memory"], 0) == order(["cpu", "memory"], 0)[len(order(["cpu"], 0)) :]
    assert order(["memory"], 0) != order(["cpu"], 0)
    assert order(["cpu"], 0) != order(["cpu"], 1)


@pytest.mark.parametrize(
    ("is_on_gpu", "names"), [(False, ["cpu", "memory"]), (True, ["cpu", "memory", "gpu-gemm", "gpu-copy"])]
)
def test_a_machine_runs_the_canaries_that_it_has_devices_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_on_gpu: bool, names: list[str]
) -> None:
    """Those of a GPU go the same way as the others."""
    monkeypatch.setattr(canary, "has_cuda", lambda: is_on_gpu)
    done = run_canaries(tmp_path, hardware_class="fake", seed=0, start_arm=FakeHost(), watch=FakeWatch())

    assert [one.name for one in done] == names
    devices = [Artifact.load(tmp_path / name / "artifact").spec.runtime.device for name in names]
    assert devices == ["cpu", "cpu", "cuda", "cuda"][: len(names)]


def test_torch_is_asked_only_where_there_is_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """It takes seconds to load, and may not be there."""
    loaded = types.SimpleNamespace(cuda=types.SimpleNamespace(is_available=lambda: True))
    monkeypatch.setitem(sys.modules, "torch", loaded)
    monkeypatch.setattr(canary, "read_card", lambda: types.SimpleNamespace(gpus=()))
    assert not canary.has_cuda()

    monkeypatch.setattr(canary, "read_card", lambda: types.SimpleNamespace(gpus=("one",)))
    assert canary.has_cuda()

    monkeypatch.setitem(sys.modules, "torch", None)
    assert not canary.has_cuda()


def test_an_unknown_canary_is_refused(tmp_path: Path) -> None:
    """With the nearest known name."""
    with pytest.raises(ParameterError, match=r"canary `gpu-gem` is not known; did you mean `gpu-gemm`\?"):
        run_canaries(tmp_path, hardware_class="fake", seed=0, names=["gpu-gem"])


def test_an_arm_that_dies_is_said(tmp_path: Path) -> None:
    """A machine that cannot run its canary is nothing to be silent about."""
    host = FakeHost()
    host.break_arm("candidate", "slot", "dies")

    with pytest.raises(ArmError, match="died"):
        run_one(tmp_path, host)
    assert all(arm.is_closed for arm in host.arms)


def test_the_record_is_that_of_a_canary(tmp_path: Path) -> None:
    """What judges the machine now does not enter the record."""
    found = run_one(tmp_path, FakeHost())
    again = Canary.read(found.write(tmp_path / "record.json"))

    assert again.to_dict() == found.to_dict()
    assert again.level_sec == found.level_sec


def test_the_work_is_frozen(tmp_path: Path) -> None:
    """Whoever changes it breaks every level in every history, and has to rename the canary."""
    configs = {one.name: one.make(tmp_path / one.name).spec.config for one in canary.REFERENCES}

    assert configs == {
        "cpu": {"layer_count": LAYER_COUNT, "spin_ratio": 0.0},
        "memory": {"kind": "stream", "block_bytes": 268_435_456},
        "gpu-gemm": {"kind": "product", "width": 4096},
        "gpu-copy": {"kind": "copy", "block_bytes": 268_435_456},
    }
    assert LAYER_COUNT == 500


@pytest.mark.parametrize("make", [canary_engine.make_stream, canary_engine.make_gpu_copy])
def test_a_copy_really_copies(tmp_path: Path, make: Any) -> None:
    """The target is zero before and one where it was copied; a GPU's canary goes the same way on any device."""
    artifact = make(tmp_path, block_bytes=2**16, **({} if make is canary_engine.make_stream else {"device": "cpu"}))
    session = open_canary(artifact)

    np.testing.assert_array_equal(session({"x": np.zeros((16, 32), np.float32)}), np.ones((16, 2), np.float32))


def test_a_product_is_the_product(tmp_path: Path) -> None:
    """Held against NumPy."""
    import torch

    session = open_canary(canary_engine.make_gpu_product(tmp_path, width=256, device="cpu"))
    numbers = torch.Generator().manual_seed(0)
    left, right = (torch.rand((256, 256), generator=numbers).numpy() for _ in range(2))

    found = session({"x": np.zeros((128, 32), np.float32)})

    np.testing.assert_allclose(found.ravel(), (left @ right).ravel()[:256], rtol=1e-5)


def test_a_call_does_its_examples_share_of_the_work(tmp_path: Path) -> None:
    """All at once touch the whole block, a warm-up of 16 an eighth of it; all of them are one call."""
    assert canary_engine._part(1024 * 1024, 128) == 1024 * 1024
    assert canary_engine._part(1024 * 1024, 16) == 128 * 1024
    assert canary_engine._part(64, 128) == 256  # never less than the answer needs

    artifact = canary_engine.make_stream(tmp_path, block_bytes=2**16)
    batches: list[int] = []
    answers = artifact.predict(probe_inputs(), on_batch=batches.append)
    assert batches == [128]
    np.testing.assert_allclose(answers, np.full((128, 2), 0.5), rtol=1e-6)


@pytest.mark.timing
def test_the_probe_lives_against_itself_for_real(tmp_path: Path) -> None:
    """Real workers answer; nothing is said about how fast."""
    (found,) = run_canaries(tmp_path, hardware_class="here", seed=0, names=["cpu"])

    assert found.unit_count == len(found.unit_levels_sec) == 8
    assert min(found.unit_levels_sec) > 0
    assert min(found.unit_levels_sec) / 2 < found.level_sec < 2 * max(found.unit_levels_sec)
    assert 0 <= found.evidence < 128
