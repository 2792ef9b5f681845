"""
OpenVINO on the CPU: loading, converting from PyTorch, and reading which kernels really ran.

The precision hint is always given: with bf16 arithmetic chosen by default where AMX is present, an int8 model has been
seen to answer wrongly at one padded length, and the mean over a test split hides that.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import openvino
from numpy.typing import NDArray

from perflib import machine
from perflib.artifact import Artifact, ArtifactSpec
from perflib.encoded import Encoded
from perflib.engines import Session

MODEL_FILE = "model.xml"
HINTS = {"fp32": "f32", "int8": "f32", "bf16": "bf16"}
# The layer types of the executed graph that multiply by weights.
LINEAR_TYPES = frozenset({"FullyConnected", "Convolution", "MatMul", "GroupConvolution"})
INT8_TYPES = frozenset({"i8", "u8"})


def compile_model(model: Any, *, precision: str, thread_count: int | None = None) -> Any:
    """
    Compile for the CPU with the precision's hint.

    Args:
        model: An OpenVINO model, or the path of one.
        precision: A key of `HINTS`.
        thread_count: None for all cores allotted.
    """
    settings = {
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_PRECISION_HINT": HINTS[precision],
        "INFERENCE_NUM_THREADS": thread_count or machine.thread_count(),
    }
    return openvino.Core().compile_model(model, "CPU", settings)


def convert(source: Artifact, example: Encoded) -> Any:
    """
    Convert a torch artifact to an OpenVINO model with free batch size and length.

    Args:
        source: A torch fp32 artifact.
        example: Two or more examples for tracing.
    """
    from perflib.engines.torch_engine import load_module, to_tensors

    module = load_module(source.folder, source.spec)
    tensors = to_tensors(example.arrays, device="cpu", dtype=next(module.parameters()).dtype)
    return openvino.convert_model(module, example_input=tensors)


def save_model(model: Any, folder: Path) -> Path:
    """Write a model with its weights as they are; the library's default would store fp32 weights as fp16."""
    path = folder / MODEL_FILE
    openvino.save_model(model, path, compress_to_fp16=False)
    return path


def open_session(folder: Path, spec: ArtifactSpec) -> Session:
    """Compile the saved model and return a blocking call."""
    compiled = compile_model(str(folder / MODEL_FILE), precision=spec.precision, thread_count=spec.runtime.thread_count)
    request = compiled.create_infer_request()

    def call(arrays: Mapping[str, NDArray[np.generic]]) -> NDArray[np.float32]:
        outputs = request.infer(dict(arrays))
        # A copy, because the request overwrites its output buffer in the next call.
        return np.array(outputs[0], dtype=np.float32)

    return call


def executed_linear_layers(compiled: Any) -> list[dict[str, str]]:
    """
    List the layers of the executed graph that multiply by weights, with the precision they ran in.

    Returns:
        ``[{"name": …, "type": "FullyConnected", "precision": "u8"}, …]``; products of two activations are not listed.
    """
    layers = []
    for node in compiled.get_runtime_model().get_ordered_ops():
        facts = {key: _plain(value) for key, value in node.get_rt_info().items()}
        if facts.get("layerType") in LINEAR_TYPES and _has_constant_input(node):
            layers.append(
                {
                    "name": facts.get("originalLayersNames") or node.get_friendly_name(),
                    "type": facts["layerType"],
                    "precision": facts.get("runtimePrecision", "unknown"),
                }
            )
    return layers


def int8_share(layers: list[dict[str, str]]) -> float:
    """Return the share of linear layers that ran in int8; 0 where there is none."""
    return sum(layer["precision"] in INT8_TYPES for layer in layers) / len(layers) if layers else 0.0


def _plain(value: Any) -> str:
    return str(value.astype(str)) if hasattr(value, "astype") else str(value)


def _has_constant_input(node: Any) -> bool:
    """Weights reach a linear layer as a constant, perhaps through a reorder."""
    for port in node.inputs():
        source = port.get_source_output().get_node()
        kind = _plain(source.get_rt_info()["layerType"]) if "layerType" in source.get_rt_info() else ""
        if kind == "Const":
            return True
    return False
