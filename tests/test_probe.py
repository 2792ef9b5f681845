"""The probe: a model of NumPy alone whose slowness is what one asks for, and which pulls in nothing else."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from perflib.artifact import Artifact
from perflib.benchmarking import probe
from perflib.benchmarking.probe import LAYER_COUNT, make_probe, probe_inputs
from perflib.benchmarking.scenarios import SCENARIOS
from perflib.encoded import Encoded

LAYER_SEC = 1e-5
# A real clock moves while it is read, too, but next to nothing.
READ_SEC = 1e-8


@pytest.fixture
def call_sec(monkeypatch: pytest.MonkeyPatch) -> Callable[[Artifact], float]:
    """Return what a probe's call takes by a clock that moves with every layer, and hardly while it is read."""
    now_sec = [100.0]

    def perf_counter() -> float:
        now_sec[0] += READ_SEC
        return now_sec[0]

    def tanh(values: Any) -> Any:
        now_sec[0] += LAYER_SEC
        return values

    def measure(artifact: Artifact) -> float:
        session, arrays = artifact.open(), probe_inputs().take([0]).arrays
        start_sec = now_sec[0]
        session(arrays)
        return now_sec[0] - start_sec

    monkeypatch.setattr(probe, "time", SimpleNamespace(perf_counter=perf_counter))
    monkeypatch.setattr(np, "tanh", tanh)
    return measure


@pytest.mark.parametrize("layer_count", [1, 10, LAYER_COUNT, 2 * LAYER_COUNT])
def test_a_call_does_its_layers(layer_count: int, call_sec: Callable[[Artifact], float], tmp_path: Path) -> None:
    """Twice the layers are twice the work."""
    taken_sec = call_sec(make_probe(tmp_path / "probe", layer_count=layer_count))

    assert taken_sec == pytest.approx(layer_count * LAYER_SEC, rel=0.01)


@pytest.mark.parametrize("spin_ratio", [0.0, 0.01, 0.1, 0.5, 2.0])
def test_a_spin_makes_a_call_slower_by_its_share(
    spin_ratio: float, call_sec: Callable[[Artifact], float], tmp_path: Path
) -> None:
    """Whatever a call took by itself, the spin adds its share of that."""
    times_sec = [
        call_sec(make_probe(tmp_path / str(count), layer_count=count, spin_ratio=spin_ratio)) for count in (100, 300)
    ]

    assert times_sec == pytest.approx([(1 + spin_ratio) * count * LAYER_SEC for count in (100, 300)], rel=0.001)


def test_without_a_spin_the_clock_is_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A clock that stands still holds up only a probe that spins."""
    monkeypatch.setattr(probe, "time", SimpleNamespace(perf_counter=lambda: 1.0))

    assert make_probe(tmp_path / "probe").predict(probe_inputs()).shape == (len(probe_inputs()), 2)


def test_a_spin_changes_time_and_not_answers(tmp_path: Path) -> None:
    """A slower copy says the same, so that only its time can differ, and is another artifact nevertheless."""
    plain = make_probe(tmp_path / "plain", layer_count=20)
    again = make_probe(tmp_path / "again", layer_count=20)
    slower = make_probe(tmp_path / "slower", layer_count=20, spin_ratio=0.5)
    answers = [artifact.predict(probe_inputs()) for artifact in (plain, again, slower)]

    assert np.array_equal(answers[0], answers[1])
    assert np.array_equal(answers[0], answers[2])
    assert np.isfinite(answers[0]).all()
    assert len(np.unique(answers[0][:, 0])) > len(probe_inputs()) // 2
    assert plain.digest == again.digest != slower.digest


def test_inputs_are_always_the_same_and_enough_for_an_offline_slot() -> None:
    """As many as an offline slot takes, whoever asks."""
    assert len(probe_inputs()) == SCENARIOS["offline"].example_count
    assert probe_inputs().digest() == probe_inputs().digest()


def test_a_probe_is_loaded_and_checked_like_any_artifact(tmp_path: Path) -> None:
    """What was written is what answers."""
    made = make_probe(tmp_path / "probe", layer_count=5)
    inputs = probe_inputs().write(tmp_path / "inputs.npz")
    loaded = Artifact.load(tmp_path / "probe")

    assert loaded.digest == made.digest
    assert loaded.spec.config == {"layer_count": 5, "spin_ratio": 0.0}
    assert np.array_equal(loaded.predict(Encoded.read(inputs)), made.predict(probe_inputs()))


def test_a_worker_answers_with_a_probe_and_imports_no_engine(tmp_path: Path) -> None:
    """A life of the machinery's trials takes no library that takes seconds to import."""
    make_probe(tmp_path / "probe")
    probe_inputs().write(tmp_path / "inputs.npz")
    code = """
import sys
from pathlib import Path
from perflib.benchmarking.worker import Worker
worker = Worker()
folder = Path(sys.argv[1])
request = {"op": "load", "artifact": str(folder / "probe"), "inputs": str(folder / "inputs.npz")}
reply = worker.answer(request | {"scenarios": ["single"]})
assert reply["answer_shape"] == [1, 2], reply
assert len(worker.answer({"op": "slot", "scenario": "single", "passes": 2})["samples_sec"]) == 64
heavy = {"torch", "transformers", "openvino", "pandas", "scipy", "matplotlib", "IPython"}
assert not heavy & set(sys.modules), heavy & set(sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True)

    assert (done.returncode, done.stderr) == (0, "")
