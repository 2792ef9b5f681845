"""
OpenVINO on the CPU: loading, converting from PyTorch, and reading which kernels really ran.

The precision hint is always given: with bf16 arithmetic chosen by default where AMX is present, an int8 model has been
seen to answer wrongly at one padded length, and the mean over a test split hides that.

An artifact's ``options`` may ask for plans of fixed shape, which skip the shape arithmetic of every call:

    {"shapes": "bucketed", "lengths": [8, 16, 24], "batches": [1], "settings": {...}, "arithmetic": "bf16"}

A call of one text with 13 tokens is then padded to 16; a call of two texts, or of 30 tokens, takes the model that is
free in both. Everything is compiled when the artifact is opened, never inside a call.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import openvino
from numpy.typing import NDArray

from perflib import machine
from perflib.artifact import Artifact, ArtifactSpec
from perflib.encoded import MASK, Encoded
from perflib.engines import Session

MODEL_FILE = "model.xml"
HINTS = {"fp32": "f32", "int8": "f32", "bf16": "bf16"}
# The layer types of the executed graph that multiply by weights.
LINEAR_TYPES = frozenset({"FullyConnected", "Convolution", "MatMul", "GroupConvolution"})
INT8_TYPES = frozenset({"i8", "u8"})
_PRECISIONS = dict.fromkeys(INT8_TYPES, "int8") | {"f32": "fp32", "bf16": "bf16", "f16": "fp16"}

# Examples and tokens of a plan; 0 tokens where inputs have no length, None for the plan that takes any shape.
PlanKey = tuple[int, int] | None


def compile_model(
    model: Any,
    *,
    precision: str,
    thread_count: int | None = None,
    settings: Mapping[str, str] = {},
    stream_count: int = 1,
) -> Any:
    """
    Compile for the CPU with the precision's hint.

    Args:
        model: An OpenVINO model, or the path of one.
        precision: A key of `HINTS`.
        thread_count: For each stream; None shares out all cores allotted.
        settings: Further settings of OpenVINO; they stand above ours.
        stream_count: How many calls are answered side by side, with one copy of the weights.
    """
    threads_count = thread_count or max(machine.thread_count() // stream_count, 1)
    given: dict[str, Any] = {
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_PRECISION_HINT": HINTS[precision],
        "INFERENCE_NUM_THREADS": threads_count * stream_count,
    }
    if stream_count > 1:
        given |= {"PERFORMANCE_HINT": "THROUGHPUT", "NUM_STREAMS": stream_count}
    return openvino.Core().compile_model(model, "CPU", given | dict(settings))


def convert(source: Artifact, example: Encoded) -> Any:
    """
    Convert a torch artifact to an OpenVINO model with free batch size, and free length where inputs have one.

    Args:
        source: A torch artifact in fp32 or bf16; the weights keep their precision, inputs and logits are fp32.
        example: Two or more examples for tracing.
    """
    import torch

    from perflib.engines.torch_engine import load_module, to_tensors

    module = load_module(source.folder, source.spec).float()
    tensors = to_tensors(example.arrays, device="cpu", dtype=torch.float32)
    model = openvino.convert_model(module, example_input=tensors)
    if source.spec.precision == "bf16":
        _store_bf16(model)
    if MASK not in example.arrays:
        model.reshape({name: [-1, *array.shape[1:]] for name, array in example.arrays.items()})
    return model


def save_model(model: Any, folder: Path) -> Path:
    """Write a model with its weights as they are; the library's default would store fp32 weights as fp16."""
    path = folder / MODEL_FILE
    openvino.save_model(model, path, compress_to_fp16=False)
    return path


def open_session(folder: Path, spec: ArtifactSpec) -> Session:
    """Compile the saved model and return a blocking call."""
    return open_sessions(folder, spec)[0]


def open_sessions(folder: Path, spec: ArtifactSpec) -> list[Session]:
    """Compile the saved model once and return a blocking call for each replica; they share the weights."""
    compiled = compile_plans(folder, spec)
    return [serve_plans(compiled) for _ in range(spec.runtime.replica_count)]


def compile_plans(folder: Path, spec: ArtifactSpec, *, most_count: int | None = None) -> dict[PlanKey, Any]:
    """
    Compile the model for any shape and for the shapes that the artifact's options plan for.

    Args:
        folder: Where the model lies.
        spec: Its record.
        most_count: How many fixed shapes at most, for a look at the executed graph; None for all.

    Returns:
        Compiled models by number of examples and tokens; the one for any shape under None.
    """
    options, runtime = spec.options, spec.runtime
    settings = {"INFERENCE_PRECISION_HINT": HINTS["bf16"]} if options.get("arithmetic") == "bf16" else {}

    def made(model: Any) -> Any:
        return compile_model(
            model,
            precision=spec.precision,
            thread_count=runtime.thread_count,
            settings=settings | options.get("settings", {}),
            stream_count=runtime.replica_count,
        )

    if options.get("shapes", "dynamic") == "dynamic":
        return {None: made(str(folder / MODEL_FILE))}
    model = openvino.Core().read_model(folder / MODEL_FILE)
    _fold_tables(model)
    lengths = options.get("lengths") or [0]
    keys = [(batch, length) for batch in options["batches"] for length in lengths]
    return {None: made(model)} | {key: made(_reshaped(model, *key)) for key in keys[:most_count]}


def serve_plans(compiled: Mapping[PlanKey, Any]) -> Session:
    """Return a blocking call that takes the plan of each call's shape, or the one for any shape."""
    request = compiled[None].create_infer_request()
    has_lengths = MASK in {port.any_name for port in compiled[None].inputs}
    plan_of = _by_shape({key: _Plan(model) for key, model in compiled.items() if key is not None})

    def call(arrays: Mapping[str, NDArray[np.generic]]) -> NDArray[np.float32]:
        if plan_of:
            shape = next(iter(arrays.values())).shape
            plan = plan_of.get((shape[0], shape[1] if has_lengths else 0))
            if plan is not None:
                return plan(arrays)
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


def precision_shares(layers: list[dict[str, str]]) -> dict[str, float]:
    """Return the share of linear layers that ran in each precision: ``{"int8": 0.95, "fp32": 0.05}``."""
    ran = [_PRECISIONS.get(layer["precision"], layer["precision"]) for layer in layers]
    return {precision: ran.count(precision) / len(ran) for precision in sorted(set(ran))}


def int8_share(layers: list[dict[str, str]]) -> float:
    """Return the share of linear layers that ran in int8; 0 where there is none."""
    return precision_shares(layers).get("int8", 0.0)


class _Plan:
    """A compiled model of fixed shape with a request whose inputs and output stay where they are."""

    def __init__(self, compiled: Any) -> None:
        self._request = compiled.create_infer_request()
        # The tensors own the memory that the buffers show.
        self._tensors = {port.any_name: openvino.Tensor(port.element_type, port.shape) for port in compiled.inputs}
        self._output = openvino.Tensor(compiled.output(0).element_type, compiled.output(0).shape)
        for name, tensor in self._tensors.items():
            self._request.set_tensor(name, tensor)
        self._request.set_output_tensor(0, self._output)
        self._buffers = {name: tensor.data for name, tensor in self._tensors.items()}
        self._answer = self._output.data

    def __call__(self, arrays: Mapping[str, NDArray[np.generic]]) -> NDArray[np.float32]:
        for name, buffer in self._buffers.items():
            array = arrays[name]
            if array.shape == buffer.shape:
                buffer[...] = array
            else:
                width = array.shape[1]
                buffer[:, :width] = array
                buffer[:, width:] = 0
        self._request.infer()
        # A copy, because the next call overwrites the output.
        return np.array(self._answer, dtype=np.float32)


def _by_shape(plans: Mapping[tuple[int, int], _Plan]) -> dict[tuple[int, int], _Plan]:
    """Give every shape the plan of its batch with the fewest tokens that holds it, so that a call only looks it up."""
    found: dict[tuple[int, int], _Plan] = {}
    for (batch, length), plan in sorted(plans.items(), key=lambda item: item[0], reverse=True):
        # From long to short: a shorter plan takes over what it holds.
        found |= dict.fromkeys([(batch, width) for width in range(min(length, 1), length + 1)], plan)
    return found


def _store_bf16(model: Any) -> None:
    """
    Keep weights that are bf16 already in two bytes, with a conversion to fp32 behind them.

    Tracing a bf16 module instead would also normalise in bf16, which has been seen to give NaN.
    """
    ops = openvino.opset13
    for node in model.get_ordered_ops():
        if node.get_type_name() == "Constant" and node.get_element_type() == openvino.Type.f32 and node.data.size > 1:
            packed = ops.convert(ops.constant(node.data, dtype=openvino.Type.bf16), "f32")
            for target in list(node.output(0).get_target_inputs()):
                target.replace_source_output(packed.output(0))


def _reshaped(model: Any, batch: int, length: int) -> Any:
    """Return a clone of fixed shape; clones share their constants."""
    clone = model.clone()
    shapes = {}
    for port in clone.inputs:
        sizes = [dimension.get_length() if dimension.is_static else length for dimension in port.partial_shape]
        shapes[port.any_name] = [batch, *sizes[1:]]
    clone.reshape(shapes)
    return clone


def _fold_tables(model: Any) -> None:
    """
    Unpack quantized embedding tables once.

    Each compiled model would otherwise unpack its own: 47 MB a plan for 30,000 tokens of 384 numbers.
    """
    for node in model.get_ordered_ops():
        if node.get_type_name() != "Gather":
            continue
        table = node.input(0).get_source_output()
        if table.get_node().get_type_name() != "Constant" and _is_constant(table.get_node()):
            part = openvino.Model([table], [])
            values = compile_model(part, precision="fp32")()[0]
            node.input(0).replace_source_output(openvino.opset13.constant(values).output(0))


def _is_constant(node: Any) -> bool:
    sources = [port.get_source_output().get_node() for port in node.inputs()]
    if not sources:
        return str(node.get_type_name()) == "Constant"
    return all(_is_constant(source) for source in sources)


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
