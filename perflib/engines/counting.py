"""
What engines count by themselves: every kernel of a call, with its precision, its sizes and its time.

An engine that can count has a module with ``open_counted``, which opens an artifact as it is served, and counting:

    counted = find_counted("openvino")(folder, spec)
    counted.call(arrays)      # as often as need be: engines prepare for what they meet the first time
    counted.reset()
    counted.call(arrays)
    counted.read()            # the kernels of the calls since
"""

import dataclasses
import importlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from perflib.artifact import ArtifactSpec

_MODULES = {
    "openvino": "perflib.engines.openvino_counters",
    "onnxruntime": "perflib.engines.onnx_counters",
}
# What we call a subgraph that OpenVINO compiled itself, if it attends; it has no name of its own.
ATTENTION_SUBGRAPH = "Subgraph of attention"


@dataclasses.dataclass(frozen=True)
class KernelCall:
    """
    One kernel in one call.

    ``precision`` is that of its arithmetic, empty for what has none. ``input_sizes`` are those of its inputs, without
    scalars and without inputs that are left out; ``output_sizes`` those of its first result. ``moved_bytes`` are its
    inputs and results, once. ``has_weights`` says whether an input is stored in the model.
    """

    operator: str
    precision: str
    input_sizes: tuple[tuple[int, ...], ...]
    output_sizes: tuple[int, ...]
    moved_bytes: int
    has_weights: bool
    self_sec: float


class Counted(Protocol):
    """An opened artifact that counts."""

    def call(self, arrays: Mapping[str, NDArray[np.generic]]) -> NDArray[np.floating[Any]]:
        """Answer as the artifact's session does."""

    def reset(self) -> None:
        """Forget the calls until now."""

    def read(self) -> list[KernelCall]:
        """Return the kernels of all calls since `reset`; counting ends with it."""


def find_counted(engine: str) -> Callable[[Path, ArtifactSpec], Counted] | None:
    """Return what opens an artifact of an engine with counting; None for an engine that cannot count."""
    name = _MODULES.get(engine)
    return importlib.import_module(name).open_counted if name else None
