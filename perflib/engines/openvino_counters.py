"""
Kernels of OpenVINO by its own counters: the same plans that serve, compiled with ``PERF_COUNT``.

The executed graph knows the sizes of the call before it, so they are read once for every shape that is met; that takes
milliseconds, and happens before `reset`.
"""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from perflib.artifact import ArtifactSpec
from perflib.engines.counting import KernelCall
from perflib.engines.openvino_engine import compile_plans, serve_plans

# The end of a kernel's name says what it computes in.
_PRECISIONS = {"i8": "int8", "u8": "int8", "bf16": "bf16", "f16": "fp16", "f32": "fp32"}
_Sizes = tuple[tuple[tuple[int, ...], ...], tuple[int, ...]]


def open_counted(folder: Path, spec: ArtifactSpec) -> "CountedOpenvino":
    """Compile the saved model as it is served, with counters."""
    settings = spec.options.get("settings", {}) | {"PERF_COUNT": "YES"}
    return CountedOpenvino(folder, dataclasses.replace(spec, options=spec.options | {"settings": settings}))


class CountedOpenvino:
    """The plans of an artifact, each watched."""

    def __init__(self, folder: Path, spec: ArtifactSpec) -> None:
        self._seen: list[tuple[_CountedModel, tuple[int, ...], list[Any]]] = []
        plans = {key: _CountedModel(model, self) for key, model in compile_plans(folder, spec).items()}
        self._session = serve_plans(plans)
        self._sizes: dict[tuple[int, tuple[int, ...]], dict[str, _Sizes]] = {}
        self._shape: tuple[int, ...] = ()

    def call(self, arrays: Mapping[str, NDArray[np.generic]]) -> NDArray[np.floating[Any]]:
        """Answer as the artifact's session does."""
        self._shape = next(iter(arrays.values())).shape
        return self._session(arrays)

    def reset(self) -> None:
        """Forget the calls until now."""
        self._seen.clear()

    def read(self) -> list[KernelCall]:
        """Return every kernel that was executed since."""
        return [
            kernel_call(node, self._sizes[id(model), shape].get(node.node_name))
            for model, shape, nodes in self._seen
            for node in nodes
            if node.real_time.total_seconds() > 0
        ]

    def saw(self, model: "_CountedModel", nodes: list[Any]) -> None:
        """Keep what a request counted, and the sizes of its graph where this shape is new."""
        if (id(model), self._shape) not in self._sizes:
            self._sizes[id(model), self._shape] = graph_sizes(model.compiled)
        self._seen.append((model, self._shape, nodes))


class _CountedModel:
    """A compiled model whose requests tell what they counted."""

    def __init__(self, compiled: Any, watcher: CountedOpenvino) -> None:
        self.compiled, self._watcher = compiled, watcher

    def __getattr__(self, name: str) -> Any:
        return getattr(self.compiled, name)

    def create_infer_request(self) -> "_CountedRequest":
        return _CountedRequest(self.compiled.create_infer_request(), self, self._watcher)


class _CountedRequest:
    def __init__(self, request: Any, model: _CountedModel, watcher: CountedOpenvino) -> None:
        self._request, self._model, self._watcher = request, model, watcher

    def __getattr__(self, name: str) -> Any:
        return getattr(self._request, name)

    def infer(self, *given: Any) -> Any:
        answers = self._request.infer(*given)
        self._watcher.saw(self._model, self._request.get_profiling_info())
        return answers


def kernel_call(node: Any, sizes: _Sizes | None) -> KernelCall:
    """
    Turn a counter into a kernel.

    Args:
        node: A `ProfilingInfo` of OpenVINO: ``node_type``, ``exec_type`` (such as ``brgemm_avx512_i8``), ``real_time``.
        sizes: Of its inputs and output, where the executed graph tells them.
    """
    inputs, output = sizes or ((), ())
    return KernelCall(
        operator=str(node.node_type),
        precision=_PRECISIONS.get(str(node.exec_type).rsplit("_", maxsplit=1)[-1].lower(), ""),
        input_sizes=inputs,
        output_sizes=output,
        self_sec=float(node.real_time.total_seconds()),
    )


def graph_sizes(compiled: Any) -> dict[str, _Sizes]:
    """Return the sizes of inputs and first output of every node of the executed graph, by name."""
    return {
        node.get_friendly_name(): (
            tuple(_static(port.get_partial_shape()) for port in node.inputs()),
            _static(node.outputs()[0].get_partial_shape()) if node.outputs() else (),
        )
        for node in compiled.get_runtime_model().get_ordered_ops()
    }


def _static(shape: Any) -> tuple[int, ...]:
    """Return a shape as numbers; empty where it is still open, because then nobody knows the work."""
    return tuple(int(side.get_length()) for side in shape) if shape.is_static else ()
