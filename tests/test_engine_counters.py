"""Engines' own counters: what OpenVINO and ONNX Runtime really print becomes kernels, and kernels become a profile."""

import datetime
import json
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import openvino
import pytest
from numpy.typing import NDArray

from perflib.artifact import Artifact, Runtime
from perflib.compression.converters import onnxruntime as onnx_converter
from perflib.compression.engine import Engine
from perflib.compression.materials import Labelled, Materials
from perflib.compression.quantize import Quantize
from perflib.compression.quantizers import onnxruntime as onnx_quantizer
from perflib.encoded import MASK, Encoded
from perflib.engines import openvino_engine
from perflib.engines.counting import ATTENTION_SUBGRAPH, KernelCall, find_counted
from perflib.engines.onnx_counters import kernel_calls as onnx_kernel_calls
from perflib.engines.openvino_counters import CountedOpenvino, NodeFacts, counters, kernel_calls
from perflib.errors import MeasurementError, ParameterError
from perflib.profiling import profile_artifact
from perflib.profiling.engine_counters import (
    flop_count,
    kernel_kind,
    operator_times,
    profile_engine,
    shape_times,
)
from perflib.profiling.sampling import ProfiledStep, make_step
from perflib.results import KINDS, Profile
from tests.tiny_artifact import CONFIG, LINEARS_COUNT, make_inputs, write_artifact

FIXTURES = Path(__file__).parent / "fixtures" / "profiles"
STEPS_COUNT = 2
# Ten texts of 1 … 8, 1, 2 tokens in batches of four: each as wide as its longest.
BATCHES = ((4, 4), (4, 8), (2, 2))
TOKENS_COUNT = sum(batch * length for batch, length in BATCHES)


def linear_flop_count() -> int:
    """Count two FLOPs per weight and row of every linear layer in one step, by arithmetic."""
    width, inner, classes = (int(CONFIG[name]) for name in ("hidden_size", "intermediate_size", "class_count"))
    per_token = int(CONFIG["num_hidden_layers"]) * (4 * width * width + 2 * width * inner)
    return 2 * (TOKENS_COUNT * per_token + 10 * width * classes)


def attention_flop_count() -> int:
    """Count queries times keys and their weights times values in one step, by arithmetic."""
    pairs_count = sum(batch * length * length for batch, length in BATCHES)
    return 4 * pairs_count * int(CONFIG["hidden_size"]) * int(CONFIG["num_hidden_layers"])


def make_kernel(operator: str, *input_sizes: tuple[int, ...], output: tuple[int, ...] = (), **given: Any) -> KernelCall:
    """Make a kernel of a microsecond."""
    facts: dict[str, Any] = {"precision": "fp32", "moved_bytes": 8, "has_weights": False, "self_sec": 1e-6} | given
    return KernelCall(operator=operator, input_sizes=input_sizes, output_sizes=output, **facts)


# --- kinds and work -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kernel", "kind"),
    [
        (make_kernel("FullyConnected", (8, 16), (3, 16), has_weights=True), "matrix"),
        (make_kernel("MatMul", (8, 2, 8, 8), (8, 2, 8, 8)), "attention"),
        (make_kernel("MatMul", (16, 8, 8), (16, 8, 8)), "attention"),
        (make_kernel("MatMul", (8, 8, 16), (16, 16), has_weights=True), "matrix"),
        (make_kernel("MatMul", (8, 8, 16), (16, 16)), "matrix"),  # a weight that is unpacked on the way
        (make_kernel("MatMul", (8, 2, 8, 8), (8, 2, 8, 8), has_weights=True), "matrix"),
        (make_kernel(ATTENTION_SUBGRAPH), "attention"),
        (make_kernel("Subgraph", (8, 8, 8, 8), (8, 8, 8, 8), (8, 8, 8, 8), (1, 8, 1, 1)), "elementwise"),
        (make_kernel("QAttention"), "attention"),
        (make_kernel("MVN"), "normalisation"),
        (make_kernel("SkipLayerNormalization"), "normalisation"),
        (make_kernel("DynamicQuantizeLinear"), "quantization"),
        (make_kernel("DequantizeLinear"), "quantization"),
        (make_kernel("Reorder"), "memory"),
        (make_kernel("ReduceSum"), "reduction"),
        (make_kernel("Gather", (40, 16), (8, 8)), "embedding"),
        (make_kernel("Gather", (2,)), "memory"),
        (make_kernel("Shape"), "framework"),
        (make_kernel("NobodyKnows"), "other"),
    ],
    ids=lambda value: value if isinstance(value, str) else value.operator,
)
def test_a_kernel_has_the_kind_of_its_work(kernel: KernelCall, kind: str) -> None:
    """By its name, and where that leaves it open by what it is given."""
    assert kernel_kind(kernel) == kind
    assert kind in KINDS


@pytest.mark.parametrize(
    ("kernel", "count"),
    [
        (make_kernel("FullyConnected", (5, 7, 16), (32, 16), output=(5, 7, 32), has_weights=True), 2 * 35 * 16 * 32),
        (make_kernel("Gemm", (5, 16), (16, 3), output=(5, 3), has_weights=True), 2 * 5 * 16 * 3),
        (make_kernel("MatMul", (5, 2, 7, 8), (5, 2, 8, 7), output=(5, 2, 7, 7)), 2 * 5 * 2 * 7 * 8 * 7),
        (make_kernel("Conv", (5, 3, 9, 9), (4, 3, 3, 3), (4,), output=(5, 4, 7, 7)), 2 * 5 * 4 * 49 * 27),
        (make_kernel("GroupConvolution", (5, 6, 9, 9), (6, 1, 1, 3, 3), output=(5, 6, 7, 7)), 2 * 5 * 6 * 49 * 9),
        (make_kernel("QLinearConv", (12, 8, 8, 1), (8,), (8,), output=(12, 8, 8, 8)), 0),  # its weights are not told
        (make_kernel("Attention", (5, 7, 16), (16, 48), output=(5, 7, 16)), 2 * 35 * 16 * 48 + 4 * 5 * 49 * 16),
        (
            make_kernel("ScaledDotProductAttention", (5, 2, 7, 8), (5, 2, 9, 8), (5, 2, 9, 8), output=(5, 2, 7, 8)),
            4 * 5 * 2 * 7 * 9 * 8,
        ),
        (
            make_kernel(
                ATTENTION_SUBGRAPH, (5, 7, 2, 8), (5, 2, 8, 7), (5, 1, 1, 7), (5, 7, 2, 8), output=(5, 7, 2, 8)
            ),
            4 * 5 * 2 * 49 * 8,
        ),
        (make_kernel(ATTENTION_SUBGRAPH, (5, 7, 2, 8), (5, 2, 8, 7), (5, 7, 2, 8), output=(5, 7, 2, 8)), 0),
        (make_kernel("Softmax", (5, 7), output=(5, 7)), 0),
        (make_kernel("FullyConnected", has_weights=True), 0),
    ],
    ids=lambda value: value if isinstance(value, int) else value.operator,
)
def test_work_follows_from_sizes_or_is_nought(kernel: KernelCall, count: int) -> None:
    """Two FLOPs for each multiplication; where sizes do not tell, there is no guess."""
    assert flop_count(kernel) == count


def test_kernels_are_summed_by_operator_and_by_sizes() -> None:
    """Times, calls, FLOPs and bytes add up; rows fall by time; a product shows its two factors only."""
    long = make_kernel("Gemm", (4, 2), (2, 3), (3,), output=(4, 3), has_weights=True, self_sec=3e-6)
    short = make_kernel("Gemm", (1, 2), (2, 3), (3,), output=(1, 3), has_weights=True, self_sec=2e-6)
    kernels = [short, long, long, make_kernel("Add", (4, 3), (3,)), make_kernel("Shape", (4, 3))]
    operators, shapes = operator_times(kernels), shape_times(kernels)

    assert [(row.operator, row.call_count, row.flop_count, row.moved_bytes) for row in operators] == [
        ("Gemm", 3, 2 * 2 * 3 * (4 + 4 + 1), 24),
        ("Add", 1, 0, 8),
        ("Shape", 1, 0, 8),
    ]
    assert operators[0].self_sec == pytest.approx(8e-6)
    assert operators[0].self_share_ratio == pytest.approx(0.8)
    assert [(row.operator, json.loads(row.shapes), row.call_count) for row in shapes] == [
        ("Gemm", [[4, 2], [2, 3]], 2),
        ("Gemm", [[1, 2], [2, 3]], 1),
        ("Add", [[4, 3], [3]], 1),
    ]
    assert [row.self_sec for row in shapes] == pytest.approx([6e-6, 2e-6, 1e-6])


# --- ONNX Runtime's events ----------------------------------------------------------------------------------------


def onnx_events(name: str) -> list[dict[str, Any]]:
    """Read what the profiler of ONNX Runtime wrote, cut to a few nodes of each run."""
    events: list[dict[str, Any]] = json.loads((FIXTURES / f"onnxruntime_{name}.json").read_text(encoding="utf-8"))
    return events


def test_only_nodes_of_the_runs_asked_for_are_kernels() -> None:
    """Loading, whole runs and the first run are left out; microseconds become seconds."""
    both, last = (onnx_kernel_calls(onnx_events("fp32"), left_out_count=count) for count in (0, 1))

    assert [kernel.operator for kernel in last] == ["Gather", "Add", "Attention", "MatMul", "Gemm"]
    assert [kernel.operator for kernel in both] == [kernel.operator for kernel in last] * 2
    assert [kernel.self_sec for kernel in last] == pytest.approx([3e-6, 3e-6, 22e-6, 2e-6, 2e-6])
    assert onnx_kernel_calls(onnx_events("fp32"), left_out_count=2) == []


def test_a_weight_that_was_packed_away_is_known_from_its_product() -> None:
    """The events name the activations only; sizes, bytes and FLOPs are those with the weight all the same."""
    found = {kernel.operator: kernel for kernel in onnx_kernel_calls(onnx_events("fp32"), left_out_count=1)}

    assert found["MatMul"].input_sizes == ((8, 8, 16), (16, 16))
    assert found["MatMul"].moved_bytes == 4 * (2 * 8 * 8 * 16 + 16 * 16)
    assert found["MatMul"].has_weights
    assert found["Attention"].input_sizes[:2] == ((8, 8, 16), (16, 48))
    assert found["Attention"].moved_bytes == 4 * (2 * 8 * 8 * 16 + 48 + 8 * 8 + 16 * 48)
    assert found["Gemm"].input_sizes == ((8, 16), (16, 3), (3,))
    assert found["Gather"].moved_bytes == 4 * 40 * 16 + 8 * 8 * 8 + 4 * 8 * 8 * 16
    assert flop_count(found["MatMul"]) == 2 * 8 * 8 * 16 * 16


def test_products_of_quantized_models_are_int8() -> None:
    """Also where the kernel is fed with fp32 and quantizes by itself; two activations multiplied stay as they are."""
    found = {kernel.operator: kernel for kernel in onnx_kernel_calls(onnx_events("int8"), left_out_count=0)}

    assert {name: (kernel.precision, kernel_kind(kernel)) for name, kernel in found.items()} == {
        "DynamicQuantizeLinear": ("fp32", "quantization"),
        "QAttention": ("int8", "attention"),
        "DynamicQuantizeMatMul": ("int8", "matrix"),
        "MatMulIntegerToFloat": ("int8", "matrix"),
        "MatMul": ("fp32", "attention"),
        "QuantizeLinear": ("fp32", "quantization"),
        "QGemm": ("int8", "matrix"),
        "Cast": ("", "memory"),
    }
    assert found["MatMulIntegerToFloat"].input_sizes[:2] == ((8, 8, 16), (16, 32))
    assert found["QAttention"].input_sizes[:2] == ((8, 8, 16), (16, 48))
    assert found["MatMul"].input_sizes == ((8, 2, 8, 8), (8, 2, 8, 8))
    # A byte a weight, whatever its product is fed with and writes; a scale each for 16 columns, and their zeros.
    assert found["DynamicQuantizeMatMul"].moved_bytes == 4 * 2 * 8 * 8 * 16 + 4 * 16 + 16 + 16 * 16


# --- OpenVINO's counters ------------------------------------------------------------------------------------------


def info(name: str, kind: str, kernel: str, mean_us: int) -> SimpleNamespace:
    """Make a counter as `get_profiling_info` gives it."""
    return SimpleNamespace(
        node_name=name, node_type=kind, exec_type=kernel, real_time=datetime.timedelta(microseconds=mean_us)
    )


def facts_of(tokens_count: int, **given: Any) -> NodeFacts:
    """Make what the executed graph says of a linear layer of 16 × 16 weights."""
    known: dict[str, Any] = {"has_weights": True, "has_softmax": False} | given
    sizes = ((1, tokens_count, 16), (16, 16))
    return NodeFacts(sizes, (1, tokens_count, 16), 4 * (2 * 16 * tokens_count + 256), **known)


def test_a_counter_is_a_mean_over_the_life_of_a_model() -> None:
    """Ten calls of 100 µs and then two of 700 µs: the mean has become 200 µs, and the two calls took 1,400 µs."""
    before = counters([info("query", "FullyConnected", "brgemm_avx512_f32", 100)], call_count=10)
    now = counters([info("query", "FullyConnected", "brgemm_avx512_f32", 200)], call_count=12)
    kernels = kernel_calls(before, now, [(0.3, {"query": facts_of(4)}), (0.1, {"query": facts_of(2)})])

    assert [kernel.self_sec for kernel in kernels] == pytest.approx([1050e-6, 350e-6])
    assert [kernel.input_sizes[0] for kernel in kernels] == [(1, 4, 16), (1, 2, 16)]
    assert [flop_count(kernel) for kernel in kernels] == [2 * 4 * 256, 2 * 2 * 256]
    assert {kernel.precision for kernel in kernels} == {"fp32"}


def test_what_was_not_seen_to_run_is_no_kernel() -> None:
    """Neither a node that was joined to another, nor one whose mean of whole microseconds fell with every call."""
    nodes = [info("add", "Add", "undef", 0), info("view", "Reshape", "unknown_f32", 0)]
    fallen = info("sum", "ReduceSum", "jit_avx512_f32", 5), info("sum", "ReduceSum", "jit_avx512_f32", 1)
    before = counters([*nodes, fallen[0]], call_count=2)
    now = counters([*nodes, fallen[1]], call_count=4)

    assert kernel_calls(before, now, [(1e-3, {"sum": facts_of(4)})]) == []


def test_a_product_that_was_too_quick_for_the_counter_has_been_computed() -> None:
    """Its FLOPs are there, and no time; what the executed graph does not list was joined to another node."""
    now = counters([info("a", "FullyConnected", "gemm_f32", 0), info("b", "FullyConnected", "undef", 0)], call_count=3)
    (kernel,) = kernel_calls({}, now, [(1e-3, {"a": facts_of(4)})])

    assert (kernel.self_sec, flop_count(kernel)) == (0.0, 2 * 4 * 256)


@pytest.mark.parametrize(
    ("kernel", "precision"),
    [
        ("brgemm_avx512_amx_I8", "int8"),
        ("brgemm_avx512_i8", "int8"),
        ("jit_avx512_u8", "int8"),
        ("brgemm_avx512_bf16", "bf16"),
        ("gemm_mlas_f32", "fp32"),
        ("ref_i64", ""),
        ("undef", ""),
    ],
)
def test_the_end_of_a_kernels_name_is_its_precision(kernel: str, precision: str) -> None:
    """In either case of letters; integers that are no products have none."""
    now = counters([info("one", "FullyConnected", kernel, 9)], call_count=1)

    assert [one.precision for one in kernel_calls({}, now, [(1.0, {})])] == [precision]


def test_a_subgraph_with_a_softmax_attends_and_a_node_without_facts_has_no_sizes() -> None:
    """The graph knows the parts of a subgraph; what it does not list has no work that anybody could count."""
    now = counters([info("a", "Subgraph", "jit_f32", 9), info("b", "Subgraph", "jit_f32", 9)], call_count=1)
    kernels = kernel_calls({}, now, [(0.0, {"a": facts_of(4, has_softmax=True)})])

    assert [kernel.operator for kernel in kernels] == [ATTENTION_SUBGRAPH, "Subgraph"]
    assert (kernels[1].input_sizes, kernels[1].moved_bytes, flop_count(kernels[1])) == ((), 0, 0)


# --- end to end ---------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def parent(tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    """The tiny BERT in PyTorch."""
    return write_artifact(tmp_path_factory.mktemp("torch"))


@pytest.fixture(scope="module")
def materials() -> Materials:
    """Texts of every length from 1 to 8."""
    return Materials(calibration=make_inputs(24), tuning=Labelled(make_inputs(16), np.arange(16) % 3))


@pytest.fixture(scope="module")
def on_openvino(parent: Artifact, tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    """The tiny BERT in OpenVINO, for any shape."""
    folder = tmp_path_factory.mktemp("openvino")
    openvino_engine.save_model(openvino_engine.convert(parent, make_inputs(8).take([2, 3])), folder)
    return parent.derive(folder, {}, engine="openvino", builder=None, config={})


@pytest.fixture(scope="module")
def on_onnx(parent: Artifact, materials: Materials, tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    """The tiny BERT in ONNX Runtime."""
    folder = tmp_path_factory.mktemp("onnx") / "made"
    return onnx_converter.convert(Engine(name="onnxruntime"), parent, folder, materials)[0]


def served(artifact: Artifact, folder: Path, runtime: Runtime | None = None, **options: Any) -> Artifact:
    """Return the artifact with other options or another runtime block, in a folder of its own."""
    copied = artifact.copy_to(folder, runtime=runtime)
    copied.spec.options.update(options)
    return copied


def profiled(artifact: Artifact, tmp_path: Path) -> Profile:
    """Profile a step of ten texts."""
    return profile_artifact(
        artifact, make_inputs(10), name="x", scenario="offline", folder=tmp_path, active_step_count=STEPS_COUNT
    )


def check_record(profile: Profile, artifact: Artifact) -> None:
    """Every moment has one kind, nothing is claimed that the engine does not tell, and the record can be written."""
    assert (profile.artifact_sha256, profile.engine) == (artifact.digest, artifact.spec.engine)
    assert (profile.calls_per_step_count, profile.step_token_count) == (len(BATCHES), TOKENS_COUNT)
    assert (profile.modules, profile.memory, profile.trace_files) == ((), (), ())
    assert profile.peak_allocated_bytes is None
    assert sum(one.share_ratio for one in profile.kinds) == pytest.approx(1)
    assert {one.kind for one in profile.kinds} <= set(KINDS) - {"idle", "fused"}
    assert sum(row.self_share_ratio for row in profile.operators) == pytest.approx(1)
    assert sum(row.self_sec for row in profile.operators) <= profile.wall_sec * 1.01
    assert min(profile.wall_sec, profile.unwatched_sec) > 0
    assert Profile.from_dict(profile.to_dict()) == profile


def flops_by_kind(profile: Profile) -> dict[str, int]:
    """Sum up the FLOPs of the shapes."""
    return {kind: sum(row.flop_count for row in profile.shapes if row.kind == kind) for kind in ("matrix", "attention")}


@pytest.mark.engines
def test_openvino_counts_the_arithmetic_of_a_model_of_any_shape(on_openvino: Artifact, tmp_path: Path) -> None:
    """Every linear layer and every attention of every call, as arithmetic has it, though lengths change."""
    profile = profiled(on_openvino, tmp_path)
    linear = next(row for row in profile.operators if row.operator == "FullyConnected")

    check_record(profile, on_openvino)
    assert flops_by_kind(profile) == {
        "matrix": STEPS_COUNT * linear_flop_count(),
        "attention": STEPS_COUNT * attention_flop_count(),
    }
    assert linear.call_count == STEPS_COUNT * len(BATCHES) * LINEARS_COUNT
    assert {row.precision for row in profile.shapes if row.kind == "matrix"} == {"fp32"}
    assert "[[4, 8, 16], [32, 16]]" in {row.shapes for row in profile.shapes}


@pytest.mark.engines
def test_openvino_counts_what_a_plan_computes_padding_included(on_openvino: Artifact, tmp_path: Path) -> None:
    """A call of 4 × 4 tokens runs in the plan of 4 × 8, and that is what its kernels have to do."""
    artifact = served(on_openvino, tmp_path / "fixed", shapes="bucketed", lengths=[8], batches=[4])
    profile = profiled(artifact, tmp_path)
    tokens = {tuple(json.loads(row.shapes)[0][:2]) for row in profile.shapes if "[32, 16]" in row.shapes}

    check_record(profile, artifact)
    assert tokens == {(4, 8), (2, 2)}


@pytest.mark.engines
def test_replicas_are_profiled_alone_because_they_count_apart(on_openvino: Artifact, tmp_path: Path) -> None:
    """With two streams a call's counters could be those of the other stream."""
    runtime = Runtime(batch_example_count=4, thread_count=1, replica_count=2)
    profile = profiled(served(on_openvino, tmp_path / "two", runtime), tmp_path)

    assert flops_by_kind(profile)["matrix"] == STEPS_COUNT * linear_flop_count()


@pytest.mark.engines
@pytest.mark.parametrize("options", [{}, {"shapes": "bucketed", "lengths": [4], "batches": [4]}])
def test_a_counted_openvino_answers_as_the_served_one(
    on_openvino: Artifact, tmp_path: Path, options: dict[str, Any]
) -> None:
    """Bit for bit, in plans and out of them, and calls before `reset` are forgotten."""
    artifact = served(on_openvino, tmp_path / "copy", **options)
    find = find_counted("openvino")
    assert find is not None
    counted, calls = find(artifact.folder, artifact.spec), make_inputs(10).batches(4)
    for call in calls:
        np.testing.assert_array_equal(counted.call(call.arrays), artifact.open()(call.arrays))
    counted.reset()

    assert counted.read() == []
    counted.call(calls[1].arrays)
    sizes = {kernel.input_sizes[0] for kernel in counted.read() if kernel.operator == "FullyConnected"}
    assert sizes == {(4, 8, 16), (4, 8, 32), (4, 16)}


@pytest.mark.engines
def test_time_of_long_calls_is_not_given_to_short_ones() -> None:
    """After long calls the mean of a model stays high for ever; calls that come later are not charged with it."""
    ops = openvino.opset13
    rows = ops.parameter([-1, 512], np.float32, name="rows")
    weights = ops.constant(np.random.default_rng(0).random((512, 512), dtype=np.float32))
    model = openvino.Model([ops.relu(ops.matmul(rows, weights, transpose_a=False, transpose_b=True))], [rows])
    compiled = openvino_engine.compile_model(model, precision="fp32", thread_count=1, settings={"PERF_COUNT": "YES"})
    counted = CountedOpenvino({None: compiled})

    def linear_sec(rows_count: int) -> float:
        """Ask four times and return what the product took in a call."""
        given: dict[str, NDArray[np.generic]] = {"rows": np.ones((rows_count, 512), np.float32)}
        counted.reset()
        for _ in range(4):
            counted.call(given)
        found = [kernel.self_sec for kernel in counted.read() if kernel.operator == "FullyConnected"]
        assert len(found) == 4
        return sum(found) / 4

    linear_sec(8)  # the first call of all prepares
    long_sec, short_sec = linear_sec(2048), linear_sec(8)

    # 256 times the work; a mean of means would give the later calls a quarter of it and more.
    assert short_sec < long_sec / 5


@pytest.mark.engines
def test_onnx_runtime_counts_the_arithmetic_of_a_model(on_onnx: Artifact, tmp_path: Path) -> None:
    """Its attention projects too, so it is the sum that agrees with arithmetic; no file is left behind."""
    profile = profiled(on_onnx, tmp_path)

    check_record(profile, on_onnx)
    assert sum(flops_by_kind(profile).values()) == STEPS_COUNT * (linear_flop_count() + attention_flop_count())
    assert list(tmp_path.iterdir()) == []
    names = {row.operator: row.call_count for row in profile.operators}
    assert (names["Attention"], names["Gemm"]) == (STEPS_COUNT * len(BATCHES) * 2, STEPS_COUNT * len(BATCHES))


@pytest.mark.engines
@pytest.mark.parametrize("scheme", ["int8-static", "int8-dynamic"])
def test_int8_in_onnx_runtime_does_the_same_arithmetic_and_shows_its_rescaling(
    parent: Artifact, materials: Materials, tmp_path: Path, scheme: Any
) -> None:
    """The FLOPs of fp32, the products by weights in int8, and time for quantizing."""
    options = Quantize(scheme=scheme, engine="onnxruntime", calibration_examples=16)
    artifact, _ = onnx_quantizer.quantize(options, parent, tmp_path / "made", materials)
    profile = profiled(artifact, tmp_path)

    check_record(profile, artifact)
    assert sum(flops_by_kind(profile).values()) == STEPS_COUNT * (linear_flop_count() + attention_flop_count())
    assert {row.precision for row in profile.shapes if row.kind == "matrix"} == {"int8"}
    assert profile.share_ratio("quantization") > 0


# --- the record ---------------------------------------------------------------------------------------------------


class FakeCounted:
    """An engine that counts what it is told to, and keeps a list of what was asked of it."""

    def __init__(self, kernels: Sequence[KernelCall]) -> None:
        self.kernels, self.asked = list(kernels), list[str]()

    def call(self, arrays: Any) -> NDArray[np.floating[Any]]:
        """Answer with noughts."""
        self.asked.append("call")
        return np.zeros((len(arrays[MASK]), 3), np.float32)

    def reset(self) -> None:
        """Note it."""
        self.asked.append("reset")

    def read(self) -> list[KernelCall]:
        """Return the kernels given."""
        self.asked.append("read")
        return self.kernels


def profile_fake(
    monkeypatch: pytest.MonkeyPatch, artifact: Artifact, kernels: Sequence[KernelCall], *, wall_sec: float
) -> tuple[Profile, list[str]]:
    """Profile with an engine that counts the kernels given, and a clock by which watched steps take ``wall_sec``."""
    counted = FakeCounted(kernels)
    monkeypatch.setattr("perflib.profiling.engine_counters.find_counted", lambda _: lambda *_: counted)
    ticks = iter([0.0, 9.0, 10.0, 11.0, 20.0, 29.0, 30.0, 30.0 + wall_sec])
    profile = profile_engine(
        artifact, one_step(make_inputs(4)), name="x", active_step_count=3, clock=lambda: next(ticks)
    )
    return profile, counted.asked


def one_step(inputs: Encoded) -> ProfiledStep:
    """Make a step of one call."""
    return make_step(inputs, Runtime(), "offline")


def test_what_the_clock_saw_beyond_the_kernels_is_unattributed(
    parent: Artifact, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Shares are of the watched time; the served session is timed apart, and the warm-up is not read."""
    kernels = [make_kernel("MVN", self_sec=1.0), make_kernel("Shape", self_sec=0.5)]
    profile, asked = profile_fake(monkeypatch, parent, kernels, wall_sec=2.0)

    assert {one.kind: one.share_ratio for one in profile.kinds} == {
        "normalisation": 0.5,
        "framework": 0.25,
        "unattributed": 0.25,
    }
    assert (profile.wall_sec, profile.unwatched_sec) == (2.0, 1.0)
    assert asked == ["call", "reset", "call", "call", "call", "read"]


def test_kernels_that_took_longer_than_the_clock_saw_share_their_sum(
    parent: Artifact, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whole microseconds add up to a little more than there was; nothing is left for the rest."""
    kernels = [make_kernel("MVN", self_sec=3.0), make_kernel("Add", self_sec=1.0)]
    profile, _ = profile_fake(monkeypatch, parent, kernels, wall_sec=2.0)

    assert {one.kind: one.share_ratio for one in profile.kinds} == {"normalisation": 0.75, "elementwise": 0.25}


def test_an_engine_that_counted_nothing_is_a_measurement_error(
    parent: Artifact, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise every share would be of nothing."""
    with pytest.raises(MeasurementError, match="counted 1 kernels that took no time"):
        profile_fake(monkeypatch, parent, [make_kernel("Add", self_sec=0.0)], wall_sec=1.0)


def test_an_engine_without_counters_is_refused_with_what_to_do(parent: Artifact) -> None:
    """The door of another package's engine gives answers and nothing else."""
    with pytest.raises(ParameterError, match="runs in `torch`, which gives no counters; profile the torch artifact"):
        profile_engine(parent, one_step(make_inputs(4)), name="x")


@pytest.mark.parametrize(
    ("warmup_count", "active_count", "word"), [(0, 1, "warmup_step_count"), (1, 0, "active_step_count")]
)
def test_a_profile_needs_a_step_of_each_kind(
    parent: Artifact, monkeypatch: pytest.MonkeyPatch, warmup_count: int, active_count: int, word: str
) -> None:
    """Without a warm-up the first call of every length would be in it."""
    monkeypatch.setattr("perflib.profiling.engine_counters.find_counted", lambda _: lambda *_: FakeCounted([]))

    step = one_step(make_inputs(4))

    with pytest.raises(ParameterError, match=f"`{word}` is 0"):
        profile_engine(parent, step, name="x", warmup_step_count=warmup_count, active_step_count=active_count)
