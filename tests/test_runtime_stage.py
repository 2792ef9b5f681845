"""Serving: batches, threads and replicas change no answer, and what makes no sense is refused."""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from perflib import machine
from perflib.artifact import Artifact, Runtime
from perflib.compression import runtime
from perflib.compression.materials import Materials
from perflib.compression.runtime import Serve, prove_order
from perflib.errors import SetupError, StageError
from tests.tiny_artifact import make_inputs, write_artifact

MATERIALS = Materials(make_inputs(40))
SERVED: list[dict[str, Any]] = [
    {"batching": "sorted"},
    {"batching": "sorted", "batch": 3},
    {"batching": "token-budget", "tokens": 30},
    {"batching": "as-given", "batch": 7, "replicas": 2, "threads": 1},
    {"batching": "sorted", "batch": 2, "replicas": 2},
]


@pytest.fixture(autouse=True)
def _two_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "thread_count", lambda: 2)


@pytest.mark.parametrize("options", SERVED, ids=str)
def test_answers_come_back_at_their_own_place(tmp_path: Path, options: dict[str, Any]) -> None:
    """However texts are sorted, cut and shared out, each gets the answer that it gets alone."""
    parent = write_artifact(tmp_path / "parent")
    made, proof = Serve(**options).apply(parent, tmp_path / "made", MATERIALS)

    alone = np.concatenate([parent.predict(MATERIALS.calibration.take([row])) for row in range(40)])
    np.testing.assert_allclose(made.predict(MATERIALS.calibration), alone, atol=1e-6)
    assert proof["answer_count"] == 40
    assert proof["largest_answer_difference"] < 1e-6
    assert made.size_bytes == parent.size_bytes
    assert made.spec.files == parent.spec.files


def test_the_runtime_block_says_how_it_is_served(tmp_path: Path) -> None:
    """Two replicas share two cores; what is not named stays as it was, and another run can read it all."""
    parent = write_artifact(tmp_path / "parent")
    made, _ = Serve("sorted", batch=16, replicas=2).apply(parent, tmp_path / "made", MATERIALS)

    assert made.spec.runtime == Runtime("sorted", 16, None, 1, 2, "cpu")
    assert Serve().check(parent.spec, MATERIALS).runtime == parent.spec.runtime
    assert Artifact.load(made.folder).spec.runtime == made.spec.runtime


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"batch": 0}, "option `batch` of stage `runtime` is 0; give at least 1"),
        ({"threads": 0}, "option `threads`"),
        ({"replicas": -1}, "option `replicas`"),
        ({"tokens": 0, "batching": "token-budget"}, "option `tokens`"),
        ({"batching": "token-budget"}, "needs `tokens` with batching: token-budget"),
        ({"batching": "sorted", "tokens": 5}, "and with nothing else"),
        ({"replicas": 2, "threads": 2}, "2 replicas of 2 threads need 4 cores where 2 are allotted"),
        ({"replicas": 3}, "3 replicas of 1 threads need 3 cores"),
    ],
)
def test_what_makes_no_sense_is_refused(tmp_path: Path, options: dict[str, Any], said: str) -> None:
    """Counts below one, a budget without its size, more threads than cores."""
    with pytest.raises((StageError, SetupError), match=said):
        Serve(**options).check(write_artifact(tmp_path).spec, MATERIALS)


def test_replicas_are_refused_on_cuda(tmp_path: Path) -> None:
    """They would share one queue."""
    parent = write_artifact(tmp_path).spec
    on_cuda = dataclasses.replace(parent, runtime=dataclasses.replace(parent.runtime, device="cuda"))
    with pytest.raises(StageError, match="gain nothing on CUDA"):
        Serve(replicas=2).check(on_cuda, MATERIALS)


def test_replicas_are_refused_where_they_would_wait_for_each_other(tmp_path: Path) -> None:
    """Two replicas of an inductor package are no quicker than one."""
    packaged = dataclasses.replace(write_artifact(tmp_path).spec, engine="aotinductor")
    with pytest.raises(StageError, match="replicas wait for each other"):
        Serve(replicas=2).check(packaged, MATERIALS)


def test_answers_that_moved_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An engine or a plan that hands answers back in another order is a failed stage."""
    parent = write_artifact(tmp_path)
    served = Artifact(parent.folder, parent.spec)
    monkeypatch.setattr(served, "predict", lambda inputs: np.roll(parent.predict(inputs), 3, axis=0))

    with pytest.raises(StageError, match="as if they stood at other places"):
        prove_order(parent, served, MATERIALS)
    assert runtime.prove_order(parent, parent, MATERIALS)["answer_count"] == 40
