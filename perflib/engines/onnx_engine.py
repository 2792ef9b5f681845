"""
ONNX Runtime on the CPU: loading a model, and reading which kernels really run.

`onnx_build` makes what is loaded here; serving does not import it.
"""

import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from onnxruntime.capi import onnxruntime_pybind11_state as ort_errors

from perflib import machine
from perflib.artifact import ArtifactSpec
from perflib.engines import Session
from perflib.errors import StageError

MODEL_FILE = "model.onnx"
# Operators that multiply by weights, by the precision of their products.
INT8_PRODUCTS = frozenset(
    {
        *("MatMulInteger", "MatMulIntegerToFloat", "DynamicQuantizeMatMul", "QLinearMatMul", "QGemm"),
        *("QAttention", "QLinearConv", "ConvInteger"),
    }
)
FP32_PRODUCTS = frozenset({"MatMul", "FusedMatMul", "Gemm", "FusedGemm", "Attention", "Conv", "FusedConv"})
# What may stand between a stored weight and its product.
_UNPACKING = frozenset({"DequantizeLinear", "Transpose", "Cast", "Identity", "ReorderInput"})


def open_session(folder: Path, spec: ArtifactSpec) -> Session:
    """Load the saved model and return a blocking call."""
    session = load_model(folder / MODEL_FILE, thread_count=spec.runtime.thread_count)
    names = [given.name for given in session.get_inputs()]

    def call(arrays: Mapping[str, NDArray[np.generic]]) -> NDArray[np.float32]:
        logits: NDArray[np.float32] = session.run(None, {name: arrays[name] for name in names})[0]
        return logits

    return call


def load_model(
    path: Path, *, thread_count: int | None, write_to: Path | None = None, write_counters_to: Path | None = None
) -> Any:
    """
    Load a model as it is served.

    Args:
        path: The model.
        thread_count: Of the session; None for all cores allotted.
        write_to: Where the engine writes the graph that it executes, if anybody wants to read it.
        write_counters_to: The beginning of the name of the file in which its profiler writes every kernel.
    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = thread_count or machine.thread_count()
    options.inter_op_num_threads = 1
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    # Threads that spin between calls take the cores of whatever is measured beside this.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 3
    if write_to is not None:
        options.optimized_model_filepath = str(write_to)
    if write_counters_to is not None:
        options.enable_profiling = True
        options.profile_file_prefix = str(write_counters_to)
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def executed_products(path: Path, *, thread_count: int | None = None) -> list[dict[str, str]]:
    """
    List the products by weights of the graph that is executed, after all that the engine does to it at loading.

    Returns:
        ``[{"name": …, "type": "MatMulIntegerToFloat", "precision": "int8"}, …]``; products of two activations are not
        listed.

    Raises:
        StageError: If this build of the engine has no kernel for an operator.
    """
    import onnx

    with tempfile.TemporaryDirectory() as work:
        seen = Path(work) / "executed.onnx"
        try:
            load_model(path, thread_count=thread_count, write_to=seen)
        except (ort_errors.NotImplemented, ort_errors.Fail) as error:
            raise StageError(f"ONNX Runtime cannot run this model ({first_sentence(error)}).") from error
        graph = onnx.load(seen).graph
    return [
        {
            "name": node.name,
            "type": node.op_type,
            "precision": "int8" if node.op_type in INT8_PRODUCTS else "fp32",
        }
        for node in weighted_nodes_of(graph)
        if node.op_type in INT8_PRODUCTS | FP32_PRODUCTS
    ]


def weighted_nodes_of(graph: Any) -> Iterator[Any]:
    """Give the nodes one of whose inputs is a stored matrix, or made of nothing else."""
    weights = {tensor.name for tensor in graph.initializer if len(tensor.dims) > 1}
    for node in graph.node:
        if not weights.isdisjoint(node.input):
            if node.op_type in _UNPACKING:
                weights |= set(node.output)
            else:
                yield node


def first_sentence(error: Exception) -> str:
    """Return what a library's error says, without its full stop and its essay."""
    return " ".join(str(error).split())[:200].split(". ")[0].rstrip(".")
