"""
A model that needs NumPy alone, so that a life takes a second: what the machinery is tried on.

Its answer is worthless and its work is real: a chain of vector-matrix products. A slower copy either does more of them
(``layer_count``) or spins after each call for a share of the time the call took (``spin_ratio``).
"""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file

from perflib.artifact import Artifact, ArtifactSpec, Lineage, Runtime
from perflib.encoded import Encoded
from perflib.engines import Session

ENGINE = "perflib.benchmarking.probe:open_session"
# So many that what a call costs besides (batching, softmax) is 1 % of it, and a planted 5 % is 5 %.
LAYER_COUNT = 500
# Small enough for the innermost cache, wherever the allocator puts it.
_WIDTH = 32
_EXAMPLE_COUNT = 128
_FILE = "model.safetensors"


def make_probe(folder: Path, *, layer_count: int = LAYER_COUNT, spin_ratio: float = 0.0) -> Artifact:
    """
    Write a probe.

    Args:
        folder: Where; it is made.
        layer_count: Matrix products of one call.
        spin_ratio: Share of a call's own time that it spins afterwards.
    """
    folder.mkdir(parents=True, exist_ok=True)
    weights = np.random.default_rng(0).normal(size=(_WIDTH, _WIDTH)).astype(np.float32) / np.sqrt(_WIDTH)
    save_file({"weights": weights.astype(np.float32)}, folder / _FILE)
    return Artifact.seal(
        folder,
        engine=ENGINE,
        precision="fp32",
        labels=("no", "yes"),
        lineage=Lineage(workload="probe", parent_sha256=None, recipe=(), versions={"numpy": np.__version__}),
        # One thread, so that a life keeps both arms on the same processor.
        runtime=Runtime(thread_count=1),
        config={"layer_count": layer_count, "spin_ratio": spin_ratio},
    )


def probe_inputs() -> Encoded:
    """Return the examples that a probe is asked, always the same."""
    return Encoded({"x": np.random.default_rng(1).normal(size=(_EXAMPLE_COUNT, _WIDTH)).astype(np.float32)})


def open_session(folder: Path, spec: ArtifactSpec) -> Session:
    """Load a probe; the call returns logits of shape (examples, 2)."""
    weights = load_file(folder / _FILE)["weights"]
    layer_count, spin_ratio = int(spec.config["layer_count"]), float(spec.config["spin_ratio"])

    def call(arrays: Mapping[str, NDArray[np.generic]]) -> NDArray[np.floating[Any]]:
        start_sec = time.perf_counter()
        hidden = np.asarray(arrays["x"], np.float32)
        # Wide kernels raise flags for lanes that they do not use.
        with np.errstate(over="ignore", invalid="ignore"):
            for _ in range(layer_count):
                hidden = np.tanh(hidden @ weights)
        if spin_ratio:
            end_sec = time.perf_counter()
            while time.perf_counter() - end_sec < spin_ratio * (end_sec - start_sec):
                pass
        return hidden[:, :2]

    return call
