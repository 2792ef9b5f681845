"""
Kernels of ONNX Runtime by its own profiler: the session that serves, with profiling on.

The profiler writes every run of the session's life into one file, so the runs before `reset` are counted and left out.
"""

import json
import math
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from perflib.artifact import ArtifactSpec
from perflib.engines.counting import KernelCall
from perflib.engines.onnx_engine import FP32_PRODUCTS, INT8_PRODUCTS, MODEL_FILE, load_model
from perflib.errors import DataError

_SEC_PER_US = 1e-6
_PRECISIONS = {"float": "fp32", "float16": "fp16", "bfloat16": "bf16", "int8": "int8", "uint8": "int8"}
_WIDTHS_BYTES = {"double": 8, "int64": 8, "float16": 2, "bfloat16": 2, "int8": 1, "uint8": 1, "bool": 1}
_PRODUCTS = (INT8_PRODUCTS | FP32_PRODUCTS) - {"Conv", "FusedConv", "QLinearConv", "ConvInteger"}
# Attention projects to queries, keys and values at once, and its mask has two axes as a weight has.
_PROJECTION_COUNTS = {"Attention": 3, "QAttention": 3}
_INDEX_TYPES = frozenset({"int32", "int64", "bool"})
# The name of a type, and sizes.
_Typed = tuple[str, tuple[int, ...]]


def open_counted(folder: Path, spec: ArtifactSpec) -> "CountedOnnx":
    """Load the saved model as it is served, with its profiler on."""
    return CountedOnnx(folder, spec)


class CountedOnnx:
    """A session that writes down what it runs."""

    def __init__(self, folder: Path, spec: ArtifactSpec) -> None:
        self._work = tempfile.TemporaryDirectory(prefix="perflib-")
        prefix = Path(self._work.name) / "counters"
        self._session = load_model(
            folder / MODEL_FILE, thread_count=spec.runtime.thread_count, write_counters_to=prefix
        )
        self._names = [given.name for given in self._session.get_inputs()]
        self._run_count = self._left_out_count = 0

    def call(self, arrays: Mapping[str, NDArray[np.generic]]) -> NDArray[np.floating[Any]]:
        """Answer as the artifact's session does."""
        self._run_count += 1
        return self._session.run(None, {name: arrays[name] for name in self._names})[0]  # type: ignore[no-any-return]

    def reset(self) -> None:
        """Forget the runs until now."""
        self._left_out_count = self._run_count

    def read(self) -> list[KernelCall]:
        """End profiling and return every kernel since."""
        path = Path(self._session.end_profiling())
        try:
            events = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise DataError(f"ONNX Runtime's counters in {path} cannot be read ({error}); profile again.") from error
        finally:
            self._work.cleanup()
        return kernel_calls(events, left_out_count=self._left_out_count)


def kernel_calls(events: Sequence[Mapping[str, Any]], *, left_out_count: int) -> list[KernelCall]:
    """
    Return the kernels of all runs but the first ones.

    Args:
        events: As the profiler writes them; a run is an event ``model_run`` of the category ``Session``, and kernels
            are those of the category ``Node``.
        left_out_count: Runs at the beginning that are left out.
    """
    runs = sorted(event["ts"] for event in events if event.get("name") == "model_run")
    if len(runs) <= left_out_count:
        return []
    start_us = runs[left_out_count]
    return [
        _kernel_call(event)
        for event in events
        if event.get("cat") == "Node" and event["name"].endswith("_kernel_time") and event["ts"] >= start_us
    ]


def _kernel_call(event: Mapping[str, Any]) -> KernelCall:
    told = event["args"]
    operator = str(told["op_name"])
    inputs, outputs = _typed(told.get("input_type_shape", [])), _typed(told.get("output_type_shape", []))
    first = _PRECISIONS.get(inputs[0][0], "") if inputs else ""
    # A kernel that quantizes what it is given is fed with fp32 and multiplies in int8.
    precision = "int8" if operator in INT8_PRODUCTS else first
    packed = _packed_weight(operator, inputs, outputs)
    # Scalars are no factors, and an input that is left out has no numbers.
    sizes = [size for _, size in inputs if size and 0 not in size]
    told_bytes = sum(math.prod(size) * _WIDTHS_BYTES.get(name, 4) for name, size in (*inputs, *outputs))
    packed_bytes = math.prod(packed) * (1 if precision == "int8" else 4) if packed else 0
    return KernelCall(
        operator=operator,
        precision=precision,
        input_sizes=tuple(sizes[:1] + ([packed] if packed else []) + sizes[1:]),
        output_sizes=outputs[0][1] if outputs else (),
        moved_bytes=told_bytes + packed_bytes,
        has_weights=bool(packed) or int(told.get("parameter_size", 0)) > 0,
        self_sec=event["dur"] * _SEC_PER_US,
    )


def _packed_weight(operator: str, inputs: Sequence[_Typed], outputs: Sequence[_Typed]) -> tuple[int, ...]:
    """
    Return the sizes of a weight that the engine has packed away and does not tell; empty where it tells them.

    A product of rows of k numbers into rows of n numbers has a weight of k × n; of a convolution nobody can say.
    """
    if operator not in _PRODUCTS or not inputs or not outputs or not inputs[0][1] or not outputs[0][1]:
        return ()
    if any(len(size) > 1 and name not in _INDEX_TYPES for name, size in inputs[1:]):
        return ()
    return inputs[0][1][-1], _PROJECTION_COUNTS.get(operator, 1) * outputs[0][1][-1]


def _typed(described: Sequence[Mapping[str, Sequence[int]]]) -> list[_Typed]:
    """Read ``[{"float": [4, 20]}, …]``."""
    return [(name, tuple(sizes)) for one in described for name, sizes in one.items()]
