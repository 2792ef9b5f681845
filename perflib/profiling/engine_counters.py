"""
Profiles of engines that PyTorch's profiler cannot see, from their own counters.

An engine counts kernels and shows no gaps between them: what our clock saw beyond them is unattributed, never idle, and
there are no modules, no memory and no trace. Kernels of one call run one after the other; should they add up to more
than the clock saw, the shares are of their sum. FLOPs and bytes follow from the sizes that the engine tells; where it
does not tell them, as for convolutions whose weights ONNX Runtime has packed away, a product has 0 FLOPs.
"""

import json
import math
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence

from perflib import machine
from perflib.artifact import Artifact
from perflib.engines.counting import ATTENTION_SUBGRAPH, Counted, KernelCall, find_counted
from perflib.errors import MeasurementError, ParameterError
from perflib.profiling.digest import kind_times
from perflib.profiling.sampling import ProfiledStep
from perflib.results import OperatorTime, Profile, ShapeTime

_MATRIX_PRODUCTS = frozenset({"MatMul", "FusedMatMul", "MatMulInteger", "MatMulIntegerToFloat", "QLinearMatMul"})
_CONVOLUTIONS = frozenset({"Convolution", "GroupConvolution", "Conv", "FusedConv", "QLinearConv", "ConvInteger"})
# Layer types of OpenVINO and operators of ONNX Runtime; a name that both have is the same work.
_KINDS = {
    **dict.fromkeys(("FullyConnected", "FullyConnectedQuantizedLegacy", "Convolution", "GroupConvolution"), "matrix"),
    **dict.fromkeys(("FullyConnectedCompressed", "MatMulInteger", "MatMulIntegerToFloat", "QLinearMatMul"), "matrix"),
    **dict.fromkeys(("DynamicQuantizeMatMul", "FusedMatMul", "Gemm", "FusedGemm", "QGemm", "QLinearConv"), "matrix"),
    **dict.fromkeys(("MatMul", "Conv", "FusedConv", "ConvInteger", "MatMulNBits"), "matrix"),
    **dict.fromkeys(("Attention", "QAttention", "MultiHeadAttention", "ScaledDotProductAttention", "MHA"), "attention"),
    **dict.fromkeys(("ScaledDotProductAttentionWithKVCache", "SDPA", ATTENTION_SUBGRAPH), "attention"),
    **dict.fromkeys(("MVN", "LayerNormalization", "SkipLayerNormalization", "RMSNorm", "NormalizeL2"), "normalisation"),
    **dict.fromkeys(("BatchNormalization", "EmbedLayerNormalization"), "normalisation"),
    **dict.fromkeys(
        ("Add", "Multiply", "MulAdd", "Subtract", "Divide", "PowerStatic", "Eltwise", "Mul"), "elementwise"
    ),
    **dict.fromkeys(
        ("Sub", "Div", "Sqrt", "Pow", "Gelu", "FastGelu", "BiasGelu", "Erf", "Relu", "Tanh"), "elementwise"
    ),
    **dict.fromkeys(("Sigmoid", "Where", "Select", "Equal", "Subgraph", "Clamp", "Clip", "QLinearAdd"), "elementwise"),
    **dict.fromkeys(
        ("ReduceSum", "ReduceMean", "ReduceMax", "Reduce", "Softmax", "MaxPool", "AveragePool"), "reduction"
    ),
    **dict.fromkeys(("GlobalAveragePool", "SoftMax", "Pooling", "NhwcMaxPool"), "reduction"),
    **dict.fromkeys(("Gather", "GatherND", "GatherCompressed", "Embedding", "EmbeddingBag"), "embedding"),
    **dict.fromkeys(("Reorder", "Transpose", "Convert", "Concat", "Concatenation", "Reshape", "Slice"), "memory"),
    **dict.fromkeys(("StridedSlice", "Split", "Cast", "Unsqueeze", "Squeeze", "Expand", "Broadcast", "Tile"), "memory"),
    **dict.fromkeys(("Pad", "ReorderInput", "ReorderOutput", "Range", "Input", "Output", "Flatten"), "memory"),
    **dict.fromkeys(("FakeQuantize", "Quantize", "QuantizeLinear", "DequantizeLinear"), "quantization"),
    **dict.fromkeys(("DynamicQuantizeLinear",), "quantization"),
    **dict.fromkeys(("ShapeOf", "Shape", "ConstantOfShape"), "framework"),
}


def profile_engine(
    artifact: Artifact,
    step: ProfiledStep,
    *,
    name: str,
    warmup_step_count: int = 1,
    active_step_count: int = 2,
    clock: Callable[[], float] = time.perf_counter,
) -> Profile:
    """
    Profile an artifact by its engine's own counters, on one step, repeated.

    First come ``active_step_count`` steps of the session that is served, then the warm-up and as many again of one that
    counts.

    Args:
        artifact: What to profile.
        step: From `make_step`.
        name: Names the profile.
        warmup_step_count: Steps that are counted and left out; 1 or more, because engines prepare for new lengths.
        active_step_count: Steps recorded; 1 or more.
        clock: Monotonic clock in seconds; tests pass their own.

    Raises:
        ParameterError: If the engine cannot count, or a count is too small.
        MeasurementError: If no kernel took time.
    """
    spec = artifact.spec
    open_counted = find_counted(spec.engine)
    if open_counted is None:
        raise ParameterError(
            f"the artifact in {artifact.folder} runs in `{spec.engine}`, which gives no counters; "
            "profile the torch artifact that it was made from."
        )
    for word, count in {"warmup_step_count": warmup_step_count, "active_step_count": active_step_count}.items():
        if count < 1:
            raise ParameterError(f"`{word}` is {count} and a profile needs at least 1; raise it.")
    served = artifact.open()
    _repeat(served, step, 1, clock)
    unwatched_sec = _repeat(served, step, active_step_count, clock)
    counted: Counted = open_counted(artifact.folder, spec)
    _repeat(counted.call, step, warmup_step_count, clock)
    counted.reset()
    wall_sec = _repeat(counted.call, step, active_step_count, clock)
    kernels = counted.read()
    all_sec = sum(kernel.self_sec for kernel in kernels)
    if all_sec <= 0:
        raise MeasurementError(f"`{spec.engine}` counted {len(kernels)} kernels that took no time; profile more steps.")
    by_kind: dict[str, float] = defaultdict(float)
    for kernel in kernels:
        by_kind[kernel_kind(kernel)] += kernel.self_sec
    return Profile(
        name=name,
        scenario=step.scenario,
        artifact_sha256=artifact.digest,
        engine=spec.engine,
        precision=spec.precision,
        device=spec.runtime.device,
        source=f"{spec.engine} counters",
        thread_count=spec.runtime.thread_count or machine.thread_count(),
        calls_per_step_count=len(step.calls),
        step_example_count=step.example_count,
        step_token_count=step.token_count,
        real_token_count=step.real_token_count,
        active_step_count=active_step_count,
        wall_sec=wall_sec,
        unwatched_sec=unwatched_sec,
        operators=operator_times(kernels),
        shapes=shape_times(kernels),
        modules=(),
        kinds=kind_times(dict(by_kind), wall_sec),
        memory=(),
        peak_allocated_bytes=None,
        trace_folder="",
        trace_files=(),
    )


def kernel_kind(kernel: KernelCall) -> str:
    """Return the kind of a kernel, one of `perflib.results.KINDS`; a product of two activations is attention."""
    if kernel.operator in _MATRIX_PRODUCTS and not kernel.has_weights and not _is_matrix(kernel.input_sizes[1:2]):
        return "attention"
    if kernel.operator == "Gather" and not _is_matrix(kernel.input_sizes[:1]):
        # What picks sides out of a shape is no table.
        return "memory"
    return _KINDS.get(kernel.operator, "other")


def flop_count(kernel: KernelCall) -> int:
    """
    Return multiplications and additions of a product, from its sizes; 0 where they do not tell.

    Example:
        >>> flop_count(KernelCall("FullyConnected", "fp32", ((2, 3), (4, 3)), (2, 4), 104, True, 1.0))
        48
    """
    kind, inputs, output = kernel_kind(kernel), kernel.input_sizes, kernel.output_sizes
    if kind not in ("matrix", "attention") or not inputs or not output:
        return 0
    first = inputs[0]
    if kernel.operator in _CONVOLUTIONS:
        weights = [sizes for sizes in inputs[1:] if len(sizes) >= len(first)]
        # A grouped weight has an axis more; the channels of one group and the kernel's sides are its last axes.
        return 2 * math.prod(output) * math.prod(weights[0][1 - len(first) :]) if weights else 0
    if kernel.operator in ("Attention", "QAttention"):
        # One kernel projects to queries, keys and values, and attends.
        tokens_count, width = math.prod(first[:-1]), output[-1]
        return 2 * tokens_count * first[-1] * 3 * width + 4 * tokens_count * first[-2] * width
    if kind == "attention" and kernel.operator not in _MATRIX_PRODUCTS:
        # Queries times keys, and their weights times values.
        return 4 * math.prod(output) * _key_count(kernel)
    return 2 * math.prod(output) * first[-1]


def operator_times(kernels: Iterable[KernelCall]) -> tuple[OperatorTime, ...]:
    """Sum kernels up by operator, by falling time."""
    groups: dict[tuple[str, str], list[KernelCall]] = defaultdict(list)
    for kernel in kernels:
        groups[kernel.operator, kernel_kind(kernel)].append(kernel)
    all_sec = sum(one.self_sec for group in groups.values() for one in group)
    rows = [
        OperatorTime(
            operator=operator,
            kind=kind,
            call_count=len(group),
            self_sec=_sec(group),
            total_sec=_sec(group),
            self_share_ratio=_sec(group) / all_sec if all_sec > 0 else 0.0,
            flop_count=sum(flop_count(one) for one in group),
            moved_bytes=sum(one.moved_bytes for one in group),
        )
        for (operator, kind), group in groups.items()
    ]
    return tuple(sorted(rows, key=lambda row: (-row.self_sec, row.operator, row.kind)))


def shape_times(kernels: Iterable[KernelCall]) -> tuple[ShapeTime, ...]:
    """Sum kernels up by operator, sizes and precision, by falling time."""
    groups: dict[tuple[str, str, str, str], list[KernelCall]] = defaultdict(list)
    for kernel in kernels:
        # Of a product the two factors: a bias or scales behind them say nothing more.
        told = kernel.input_sizes[: 2 if flop_count(kernel) else None]
        shapes = json.dumps([list(sizes) for sizes in told])
        groups[kernel.operator, kernel_kind(kernel), shapes, kernel.precision].append(kernel)
    rows = [
        ShapeTime(
            operator=operator,
            kind=kind,
            shapes=shapes,
            precision=precision,
            call_count=len(group),
            self_sec=_sec(group),
            flop_count=sum(flop_count(one) for one in group),
            moved_bytes=sum(one.moved_bytes for one in group),
        )
        for (operator, kind, shapes, precision), group in groups.items()
        if kind != "framework"
    ]
    return tuple(sorted(rows, key=lambda row: (-row.self_sec, row.operator, row.shapes)))


def _repeat(call: Callable[..., object], step: ProfiledStep, count: int, clock: Callable[[], float]) -> float:
    start_sec = clock()
    for _ in range(count):
        for inputs in step.calls:
            call(inputs.arrays)
    return clock() - start_sec


def _sec(group: Sequence[KernelCall]) -> float:
    return sum(one.self_sec for one in group)


def _is_matrix(sizes: Sequence[tuple[int, ...]]) -> bool:
    return [len(size) for size in sizes] == [2]


def _key_count(kernel: KernelCall) -> int:
    """Return how many keys every query meets; 0 where nobody can say."""
    if kernel.operator != ATTENTION_SUBGRAPH:
        keys = kernel.input_sizes[1] if len(kernel.input_sizes) > 1 else ()
        return keys[-2] if len(keys) > 2 else 0
    # A subgraph takes keys in any order of axes, but its mask, the smallest of its inputs, ends in keys.
    per_head = [sizes for sizes in kernel.input_sizes if len(sizes) == 4]
    return min(per_head, key=math.prod)[-1] if len(per_head) > 3 else 0
