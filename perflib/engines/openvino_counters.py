"""
Kernels of OpenVINO by its own counters: the same plans that serve, compiled with ``PERF_COUNT``.

A counter is the mean over all calls that a compiled model ever had, in whole microseconds, and cannot be set back. So
calls are counted too: the time of a kernel since `reset` is mean × calls now, less mean × calls then. It is right to
about two microseconds a call, and a kernel of less than one is not seen to take any.

A plan for any shape has one mean for all of them. What a kernel took is then shared out over the calls by how long each
call took; sums over calls are as counted, the time at one length is an estimate.

The executed graph knows the sizes of the call before it, so they are read once for every shape that is met; that takes
milliseconds, and happens before `reset`.
"""

import dataclasses
import math
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from perflib import machine
from perflib.artifact import ArtifactSpec
from perflib.engines.counting import ATTENTION_SUBGRAPH, KernelCall
from perflib.engines.openvino_engine import LINEAR_TYPES, compile_plans, serve_plans

# The end of a kernel's name says what it computes in.
_PRECISIONS = {"i8": "int8", "u8": "int8", "bf16": "bf16", "f16": "fp16", "f32": "fp32"}
_SUBGRAPH = "Subgraph"
# Counters know a linear layer by how its weights are stored; the executed graph has one name for all.
_PRODUCTS = LINEAR_TYPES | {"FullyConnectedQuantizedLegacy", "FullyConnectedCompressed", ATTENTION_SUBGRAPH}
_US_PER_SEC = 1_000_000


@dataclasses.dataclass(frozen=True)
class NodeFacts:
    """What the executed graph says of a node at one shape; ``has_softmax`` tells a subgraph that attends."""

    input_sizes: tuple[tuple[int, ...], ...]
    output_sizes: tuple[int, ...]
    moved_bytes: int
    has_weights: bool
    has_softmax: bool


@dataclasses.dataclass(frozen=True)
class Counter:
    """What one node took in all calls of its model; ``kernel`` is such as ``brgemm_avx512_i8``."""

    operator: str
    kernel: str
    total_us: int


def open_counted(folder: Path, spec: ArtifactSpec) -> "CountedOpenvino":
    """Compile the saved model as it is served, with counters; of several replicas, which count apart, only one."""
    runtime = spec.runtime
    threads_count = runtime.thread_count or max(machine.thread_count() // runtime.replica_count, 1)
    settings = spec.options.get("settings", {}) | {"PERF_COUNT": "YES"}
    alone = dataclasses.replace(
        spec,
        options=spec.options | {"settings": settings},
        runtime=dataclasses.replace(runtime, thread_count=threads_count, replica_count=1),
    )
    return CountedOpenvino(compile_plans(folder, alone))


class CountedOpenvino:
    """The plans of an artifact, each watched."""

    def __init__(self, plans: Mapping[Any, Any], *, clock: Callable[[], float] = time.perf_counter) -> None:
        self._clock = clock
        self._models = {key: _CountedModel(model, self._saw) for key, model in plans.items()}
        self._session = serve_plans(self._models)
        self._asked: _CountedModel | None = None

    def call(self, arrays: Mapping[str, NDArray[np.generic]]) -> NDArray[np.floating[Any]]:
        """Answer as the artifact's session does."""
        start_sec = self._clock()
        answers = self._session(arrays)
        took_sec = self._clock() - start_sec
        if self._asked is not None:
            self._asked.note(next(iter(arrays.values())).shape, took_sec)
        return answers

    def reset(self) -> None:
        """Forget the calls until now."""
        for model in self._models.values():
            model.reset()

    def read(self) -> list[KernelCall]:
        """Return every kernel that was executed since."""
        return [kernel for model in self._models.values() for kernel in model.read()]

    def _saw(self, model: "_CountedModel") -> None:
        self._asked = model


def counters(nodes: list[Any], *, call_count: int) -> dict[str, Counter]:
    """
    Return what the nodes of a model took in all its calls, by name.

    Args:
        nodes: Every `ProfilingInfo` of a request: ``node_name``, ``node_type``, ``exec_type`` and ``real_time``, which
            is the mean of all calls.
        call_count: Calls that the model has had.
    """
    return {
        node.node_name: Counter(
            str(node.node_type), str(node.exec_type), round(node.real_time.total_seconds() * _US_PER_SEC) * call_count
        )
        for node in nodes
    }


def kernel_calls(
    before: Mapping[str, Counter],
    now: Mapping[str, Counter],
    calls: list[tuple[float, Mapping[str, NodeFacts]]],
) -> list[KernelCall]:
    """
    Return the kernels of some calls of one model: what took time, and every product.

    Args:
        before: Counters when the calls began.
        now: Counters when they had ended.
        calls: For each of them how long it took and what the graph says of its nodes.
    """
    all_sec = sum(took_sec for took_sec, _ in calls)
    found = []
    for name, counter in now.items():
        spent_us = max(counter.total_us - (before[name].total_us if name in before else 0), 0)
        for took_sec, facts in calls:
            share_ratio = took_sec / all_sec if all_sec > 0 else 1 / len(calls)
            kernel = _kernel_call(counter, facts.get(name), share_ratio * spent_us / _US_PER_SEC)
            # A product that was too quick for the counter has been computed all the same.
            if spent_us or (name in facts and kernel.operator in _PRODUCTS):
                found.append(kernel)
    return found


def graph_facts(nodes: list[Any]) -> dict[str, NodeFacts]:
    """Return what the nodes of an executed graph say of themselves, by name."""
    return {node.get_friendly_name(): _facts(node) for node in nodes}


class _CountedModel:
    """A compiled model that counts its calls; all else it leaves to the model."""

    def __init__(self, compiled: Any, saw: Callable[["_CountedModel"], None]) -> None:
        self._compiled, self._saw = compiled, saw
        self._request: Any = None
        self._call_count = 0
        self._before: dict[str, Counter] = {}
        self._calls: list[tuple[float, Mapping[str, NodeFacts]]] = []
        self._facts: dict[tuple[int, ...], dict[str, NodeFacts]] = {}

    def __getattr__(self, name: str) -> Any:
        return getattr(self._compiled, name)

    def create_infer_request(self) -> "_CountedRequest":
        self._request = self._compiled.create_infer_request()
        return _CountedRequest(self._request, lambda: self._saw(self))

    def note(self, shape: tuple[int, ...], took_sec: float) -> None:
        if shape not in self._facts:
            self._facts[shape] = graph_facts(self._compiled.get_runtime_model().get_ordered_ops())
        self._call_count += 1
        self._calls.append((took_sec, self._facts[shape]))

    def reset(self) -> None:
        self._before = self._counters()
        self._calls = []

    def read(self) -> list[KernelCall]:
        return kernel_calls(self._before, self._counters(), self._calls) if self._calls else []

    def _counters(self) -> dict[str, Counter]:
        # A request that was never asked has nothing to tell, and says so with an exception.
        nodes = self._request.get_profiling_info() if self._call_count else []
        return counters(nodes, call_count=self._call_count)


class _CountedRequest:
    """A request that says when it was asked; all else it leaves to the request."""

    def __init__(self, request: Any, asked: Callable[[], None]) -> None:
        self._request, self._asked = request, asked

    def __getattr__(self, name: str) -> Any:
        return getattr(self._request, name)

    def infer(self, *given: Any) -> Any:
        self._asked()
        return self._request.infer(*given)


def _kernel_call(counter: Counter, facts: NodeFacts | None, self_sec: float) -> KernelCall:
    known = facts or NodeFacts((), (), 0, has_weights=False, has_softmax=False)
    return KernelCall(
        operator=ATTENTION_SUBGRAPH if counter.operator == _SUBGRAPH and known.has_softmax else counter.operator,
        precision=_PRECISIONS.get(counter.kernel.rsplit("_", maxsplit=1)[-1].lower(), ""),
        input_sizes=known.input_sizes,
        output_sizes=known.output_sizes,
        moved_bytes=known.moved_bytes,
        has_weights=known.has_weights,
        self_sec=self_sec,
    )


def _facts(node: Any) -> NodeFacts:
    inputs, outputs = node.inputs(), node.outputs()
    sizes = [_static(port) for port in inputs]
    return NodeFacts(
        # Scalars are no factors, and a bias that is left out has no numbers.
        input_sizes=tuple(size for size in sizes if size and 0 not in size),
        output_sizes=_static(outputs[0]) if outputs else (),
        moved_bytes=sum(_port_bytes(port) for port in (*inputs, *outputs)),
        has_weights=any(_said(port.get_source_output().get_node(), "layerType") == "Const" for port in inputs),
        has_softmax="Softmax" in _said(node, "originalLayersNames"),
    )


def _static(port: Any) -> tuple[int, ...]:
    """Return a shape as numbers; empty where it is still open, because then nobody knows the work."""
    shape = port.get_partial_shape()
    return tuple(int(side.get_length()) for side in shape) if shape.is_static else ()


def _port_bytes(port: Any) -> int:
    shape, kind = port.get_partial_shape(), port.get_element_type()
    # A type that is still open is that of an input that is left out.
    if not shape.is_static or kind.is_dynamic():
        return 0
    return math.prod(_static(port)) * int(kind.bitwidth) // 8


def _said(node: Any, key: str) -> str:
    facts = node.get_rt_info()
    if key not in facts:
        return ""
    value = facts[key]
    return str(value.astype(str)) if hasattr(value, "astype") else str(value)
