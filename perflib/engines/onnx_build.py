"""
Making models for ONNX Runtime: tracing them from PyTorch, fusing their operators, quantizing them.

The graph is traced by torch's TorchScript exporter: the newer one gives attention in a form that ONNX Runtime's
transformer optimizer does not recognise, takes longer, and forgets which module a product came from.
Products and embedding tables are named by their torch modules, so that one name serves from the recipe to the proof.
"""

import contextlib
import inspect
import io
import logging
import tempfile
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import onnx
from numpy.typing import NDArray
from onnxruntime import quantization
from onnxruntime.quantization import calibrate
from onnxruntime.transformers import optimizer
from onnxruntime.transformers.fusion_options import FusionOptions

from perflib import machine
from perflib.artifact import Artifact
from perflib.encoded import MASK, Encoded
from perflib.engines.onnx_engine import FP32_PRODUCTS, first_sentence, weighted_nodes_of
from perflib.errors import StageError

# The newest with which the optimizer's patterns and the quantizer's operators agree.
OPSET = 17
Fusions = Literal["attention", "layers", "none"]


def export(source: Artifact, example: Encoded, path: Path) -> Path:
    """
    Write a torch fp32 artifact as an ONNX model with free batch size and length.

    Args:
        source: The artifact.
        example: Two or more examples for tracing, of more than one token where there is a mask.
        path: The file to write.

    Raises:
        StageError: If an operator has no counterpart in ONNX.
    """
    import torch

    from perflib.engines.torch_engine import load_module, to_tensors

    module = load_module(source.folder, source.spec)
    tensors = to_tensors(example.arrays, device="cpu", dtype=torch.float32)
    names = [name for name in inspect.signature(module.forward).parameters if name in tensors]
    free = {name: _free_axes(name, example) for name in names}
    with _quietly():
        calls = _called_layers(module, tensors)
        try:
            torch.onnx.export(
                module,
                tuple(tensors[name] for name in names),
                str(path),
                input_names=names,
                output_names=["logits"],
                dynamic_axes=free | {"logits": {0: "batch"}},
                opset_version=OPSET,
                dynamo=False,
            )
        except torch.onnx.errors.OnnxExporterError as error:
            raise StageError(f"{first_sentence(error)}; keep this model in torch, or replace the operator.") from error
    _name_products(path, calls)
    return path


def optimize(path: Path, *, fusions: Fusions) -> None:
    """
    Fuse a graph's operators in place, keeping the names of its products.

    Args:
        path: A model from `export`.
        fusions: ``attention`` makes one operator of every attention with its three projections; ``layers`` fuses what
            lies between products and leaves those single; ``none`` only tidies, for static quantization, which needs
            to infer shapes through operators that the ONNX standard knows. The session fuses the rest when it loads.
    """
    options = FusionOptions("bert")
    options.use_raw_attention_mask(use_raw_mask=True)  # by default a mask is replaced by its number of ones
    options.enable_attention = fusions == "attention"
    if fusions == "none":
        for name in ("gelu", "bias_gelu", "gelu_approximation", "skip_layer_norm", "bias_skip_layer_norm"):
            setattr(options, f"enable_{name}", False)
        options.enable_embed_layer_norm = False
    with _quietly():
        made = optimizer.optimize_model(str(path), "bert", optimization_options=options, opt_level=0)
        made.save_model_to_file(str(path))


def weighted_nodes(path: Path) -> dict[str, str]:
    """Return the nodes of a model that take weights, products and embedding tables alike: name -> operator."""
    graph = onnx.load(path).graph
    return {node.name: node.op_type for node in weighted_nodes_of(graph) if node.op_type in FP32_PRODUCTS | {"Gather"}}


def quantize_dynamic(source: Path, target: Path, nodes: Sequence[str], *, is_per_channel: bool) -> None:
    """
    Quantize the weights of the named nodes; ranges of activations are measured at every call.

    Args:
        source: A model from `optimize`.
        target: The file to write.
        nodes: Names from `weighted_nodes`.
        is_per_channel: Give every output its own scale.
    """
    with _quietly():
        quantization.quantize_dynamic(
            source,
            target,
            op_types_to_quantize=["MatMul", "Attention", "Gather"],
            # A Gemm is first rewritten as a MatMul of this name.
            nodes_to_quantize=[*nodes, *(f"{name}_MatMul" for name in nodes)],
            per_channel=is_per_channel,
            reduce_range=_saturates(),
            weight_type=quantization.QuantType.QInt8,
            # Types cannot be inferred through the fused operators.
            extra_options={"DefaultTensorType": onnx.TensorProto.FLOAT},
        )


def quantize_static(
    source: Path,
    target: Path,
    nodes: Sequence[str],
    calls: Sequence[Mapping[str, NDArray[np.generic]]],
    *,
    is_per_channel: bool,
    calibrator: str,
    on_call: Callable[[], None],
) -> dict[str, tuple[float, float]]:
    """
    Quantize the named nodes with ranges of activations that the calls show.

    Args:
        source: A model from `optimize` without fusions.
        target: The file to write.
        nodes: Names from `weighted_nodes`.
        calls: Inputs, each at its real length: padding would widen the ranges by what no answer depends on.
        is_per_channel: Give every output its own weight scale.
        calibrator: ``min-max``, or ``percentile``, which leaves out the most extreme values.
        on_call: Called after each of the calls, for progress.

    Returns:
        The range of each named node's input.
    """
    method = {
        "min-max": quantization.CalibrationMethod.MinMax,
        "percentile": quantization.CalibrationMethod.Percentile,
    }[calibrator]
    with tempfile.TemporaryDirectory() as work, _quietly():
        cache = Path(work) / "ranges.json"
        quantization.quantize_static(
            source,
            target,
            _Reader(calls, on_call),
            # Activations pass between convolutions in int8; after other products they are wanted in fp32.
            op_types_to_quantize=["MatMul", "Gemm", "Gather", "Conv", "Relu", "MaxPool"],
            nodes_to_quantize=[*nodes, *_between_convolutions(source, nodes)],
            per_channel=is_per_channel,
            reduce_range=_saturates(),
            activation_type=quantization.QuantType.QUInt8,
            weight_type=quantization.QuantType.QInt8,
            calibrate_method=method,
            calibration_cache_path=cache,
            extra_options={
                "OpTypesToExcludeOutputQuantization": ["MatMul", "Gemm"],
                "CalibStridedMinMax": 1,  # one text at a time: they cannot be stacked, and nothing piles up
                "CalibTensorRangeSymmetric": False,
            },
        )
        found = calibrate.load_tensors_data(cache)
    inputs = {node.name: node.input[0] for node in onnx.load(source).graph.node if node.name in set(nodes)}
    seen = {name: found[tensor].range_value for name, tensor in inputs.items() if tensor in found}
    return {name: (float(np.min(low)), float(np.max(high))) for name, (low, high) in seen.items()}


class _Reader(calibrate.CalibrationDataReader):  # type: ignore[misc]
    """Gives the library one call after another."""

    def __init__(self, calls: Sequence[Mapping[str, NDArray[np.generic]]], on_call: Callable[[], None]) -> None:
        self._calls, self._on_call, self._at, self._end = calls, on_call, 0, len(calls)

    def __len__(self) -> int:
        return len(self._calls)

    def set_range(self, start_index: int, end_index: int) -> None:
        self._at, self._end = start_index, end_index

    def get_next(self) -> dict[str, NDArray[np.generic]] | None:
        if self._at >= self._end:
            return None
        self._at += 1
        self._on_call()
        return dict(self._calls[self._at - 1])


def _name_products(path: Path, calls: Mapping[str, Sequence[str]]) -> None:
    """Name the products and tables by the modules that they come from: the graph has them in the order of the calls."""
    model = onnx.load(path)
    for kind, types in {"product": FP32_PRODUCTS, "table": {"Gather"}}.items():
        nodes = [node for node in weighted_nodes_of(model.graph) if node.op_type in types]
        if len(nodes) == len(calls[kind]):
            for node, name in zip(nodes, calls[kind], strict=True):
                node.name = name
    onnx.save(model, path)


def _between_convolutions(path: Path, nodes: Sequence[str]) -> list[str]:
    graph = onnx.load(path).graph
    if not any(node.op_type == "Conv" and node.name in set(nodes) for node in graph.node):
        return []
    return [node.name for node in graph.node if node.op_type in ("Relu", "MaxPool")]


def _saturates() -> bool:
    """Say whether sums of 8-bit products overflow 16 bits here, so that weights should have only 7."""
    flags = machine.read_card().isa_flags
    return "avx2" in flags and not {"avx512_vnni", "avx_vnni", "amx_int8"} & set(flags)


def _free_axes(name: str, example: Encoded) -> dict[int, str]:
    has_tokens = MASK in example.arrays and example.arrays[name].ndim == 2
    return {0: "batch", 1: "tokens"} if has_tokens else {0: "batch"}


def _called_layers(module: Any, tensors: Mapping[str, Any]) -> dict[str, list[str]]:
    """Run once and return the names of linear layers and of embedding tables, each in the order of their calls."""
    import torch

    calls: dict[str, list[str]] = {"product": [], "table": []}

    def note(name: str, kind: str) -> Any:
        return lambda *_: calls[kind].append(name)

    hooks = [
        layer.register_forward_hook(note(name, "table" if isinstance(layer, torch.nn.Embedding) else "product"))
        for name, layer in module.named_modules()
        if isinstance(layer, torch.nn.Linear | torch.nn.Conv2d | torch.nn.Embedding)
    ]
    with torch.inference_mode():
        module(**tensors)
    for hook in hooks:
        hook.remove()
    return calls


@contextlib.contextmanager
def _quietly() -> Iterator[None]:
    """Keep the libraries' own remarks out of notebooks; perflib shows its own progress."""
    level = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(level)
