"""Counters of real engines against oracles of their own: layers of the module, PyTorch's FLOP counter, the session."""

import datetime
import json
from collections import Counter
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from perflib.artifact import Artifact, Lineage, Runtime
from perflib.compression.converters import onnxruntime as onnx_converter
from perflib.compression.engine import Engine
from perflib.compression.materials import Labelled, Materials
from perflib.compression.quantize import Quantize
from perflib.compression.quantizers import onnxruntime as onnx_quantizer
from perflib.compression.quantizers import openvino as openvino_quantizer
from perflib.encoded import Encoded
from perflib.engines import openvino_engine
from perflib.engines.counting import ATTENTION_SUBGRAPH, Counted, KernelCall, find_counted
from perflib.engines.openvino_counters import NodeFacts, counters, kernel_calls
from perflib.engines.torch_engine import builder_name, load_module, save_module
from perflib.profiling.engine_counters import flop_count, kernel_kind
from perflib.workloads.convnet import small_convnet
from tests.tiny_artifact import LINEARS_COUNT, make_inputs, write_artifact

# OpenVINO has three names for a product by weights, ONNX Runtime one for each way of quantizing.
LINEAR = frozenset({"FullyConnected", "FullyConnectedQuantizedLegacy", "FullyConnectedCompressed"})
CONVOLUTIONS = frozenset({"Convolution", "Conv", "FusedConv", "QLinearConv"})
CALLS_COUNT = 2
FIXTURES = Path(__file__).parent / "fixtures" / "counters"


@pytest.fixture(autouse=True)
def one_thread() -> None:
    """Tests share their machine."""
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def materials() -> Materials:
    """Texts of every length from 1 to 8."""
    return Materials(calibration=make_inputs(24), tuning=Labelled(make_inputs(16), np.arange(16) % 3))


@pytest.fixture(scope="module")
def parent(tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    """The tiny BERT in PyTorch."""
    return write_artifact(tmp_path_factory.mktemp("torch"))


@pytest.fixture(scope="module")
def on_openvino(parent: Artifact, tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    """The tiny BERT in OpenVINO, for any shape."""
    return convert_to_openvino(parent, make_inputs(8).take([2, 3]), tmp_path_factory.mktemp("openvino"))


@pytest.fixture(scope="module")
def on_onnx(parent: Artifact, materials: Materials, tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    """The tiny BERT in ONNX Runtime."""
    folder = tmp_path_factory.mktemp("onnx") / "made"
    return onnx_converter.convert(Engine(name="onnxruntime"), parent, folder, materials)[0]


@pytest.fixture(scope="module")
def convnet(tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    """A network of two convolutions, whose channels fill the blocks of 16 that ONNX Runtime computes in."""
    folder, config = tmp_path_factory.mktemp("convnet"), {"channels_counts": [16, 32], "class_count": 2}
    torch.manual_seed(0)
    save_module(small_convnet(config), folder)
    return Artifact.seal(
        folder,
        engine="torch",
        precision="fp32",
        builder=builder_name(small_convnet),
        config=config,
        labels=("no", "yes"),
        runtime=Runtime(batch_example_count=4, thread_count=1),
        lineage=Lineage("toy", None, (), {}),
    )


@pytest.fixture(scope="module")
def images() -> Encoded:
    """Four images of random pixels."""
    return Encoded({"images": np.random.default_rng(0).random((4, 1, 8, 8), dtype=np.float32)})


def convert_to_openvino(source: Artifact, example: Encoded, folder: Path) -> Artifact:
    """Convert without the checks of a stage."""
    openvino_engine.save_model(openvino_engine.convert(source, example), folder)
    return source.derive(folder, {}, engine="openvino", builder=None, config={})


def open_counted(artifact: Artifact) -> Counted:
    """Open an artifact with its engine's counters."""
    found = find_counted(artifact.spec.engine)
    assert found is not None
    return found(artifact.folder, artifact.spec)


def count(artifact: Artifact, inputs: Encoded) -> list[KernelCall]:
    """Ask once for a warm-up of other shapes, once for one of this shape, and count the calls after it."""
    counted = open_counted(artifact)
    for given in (inputs.take([0]), inputs):
        counted.call(given.arrays)
    counted.reset()
    for _ in range(CALLS_COUNT):
        counted.call(inputs.arrays)
    return counted.read()


def linear_flops(artifact: Artifact, *, rows_count: int, examples_count: int) -> Counter[int]:
    """Count 2 · rows · in · out of every `nn.Linear` of a module; the head has a row an example."""
    module = load_module(artifact.folder, artifact.spec)
    layers = {name: layer for name, layer in module.named_modules() if isinstance(layer, nn.Linear)}
    assert len(layers) == LINEARS_COUNT
    return Counter(
        2 * (examples_count if name == "head" else rows_count) * layer.in_features * layer.out_features
        for name, layer in layers.items()
        for _ in range(CALLS_COUNT)
    )


# --- texts --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "length"),
    [({}, 8), ({"shapes": "bucketed", "lengths": [10], "batches": [4]}, 10)],
    ids=["any shape", "plan of 10"],
)
def test_every_linear_layer_of_openvino_has_its_flops(
    parent: Artifact, on_openvino: Artifact, tmp_path: Path, options: dict[str, Any], length: int
) -> None:
    """Layer by layer what the module says, in two calls, at the length that is computed; the warm-up is left out."""
    artifact = on_openvino.copy_to(tmp_path / "copy")
    artifact.spec.options.update(options)
    kernels = count(artifact, make_inputs(8).take([4, 5, 6, 7]))
    linear = [kernel for kernel in kernels if kernel.operator in LINEAR]

    assert Counter(map(flop_count, linear)) == linear_flops(parent, rows_count=4 * length, examples_count=4)
    assert {kernel_kind(kernel) for kernel in linear} == {"matrix"}
    assert all(kernel.has_weights for kernel in linear)


def test_every_linear_layer_of_onnx_runtime_has_its_flops(
    parent: Artifact, materials: Materials, tmp_path: Path
) -> None:
    """Layer by layer what the module says, with weights that the engine has packed away, in two calls of three."""
    options = Quantize(scheme="int8-static", engine="onnxruntime", calibration_examples=16)
    artifact, _ = onnx_quantizer.quantize(options, parent, tmp_path / "made", materials)
    kernels = count(artifact, make_inputs(8).take([4, 5, 6, 7]))
    linear = [kernel for kernel in kernels if kernel_kind(kernel) == "matrix"]

    assert Counter(map(flop_count, linear)) == linear_flops(parent, rows_count=4 * 8, examples_count=4)
    assert {kernel.precision for kernel in linear} == {"int8"}


@pytest.mark.parametrize("engine", ["openvino", "onnxruntime"])
def test_a_counted_engine_answers_as_the_served_one(on_openvino: Artifact, on_onnx: Artifact, engine: str) -> None:
    """Bit for bit, text by text and in a batch."""
    artifact = {"openvino": on_openvino, "onnxruntime": on_onnx}[engine]
    counted, session, inputs = open_counted(artifact), artifact.open(), make_inputs(8)

    for rows in ([2], [0, 7], list(range(8))):
        arrays = inputs.take(rows).arrays
        np.testing.assert_array_equal(counted.call(arrays), session(arrays))


def test_onnx_runtime_forgets_what_came_before_the_reset(on_onnx: Artifact) -> None:
    """One head a call: of five calls the two after the reset are there, and none where nothing was asked since."""
    counted, arrays = open_counted(on_onnx), make_inputs(4).arrays
    for _ in range(3):
        counted.call(arrays)
    counted.reset()
    for _ in range(2):
        counted.call(arrays)

    assert [kernel.operator for kernel in counted.read()].count("Gemm") == 2
    silent = open_counted(on_onnx)
    silent.call(arrays)
    silent.reset()
    assert silent.read() == []


@pytest.mark.parametrize(
    ("scheme", "precision"), [("int8-static", "int8"), ("int8-weights", "fp32")], ids=["static", "weights"]
)
def test_int8_in_openvino_does_the_same_arithmetic_and_every_kernel_has_a_kind(
    parent: Artifact, materials: Materials, tmp_path: Path, scheme: Any, precision: str
) -> None:
    """Kernels that end in `_I8` multiply in int8; weights that are only stored so are multiplied in fp32."""
    options = Quantize(scheme=scheme, engine="openvino", calibration_examples=16)
    artifact, _ = openvino_quantizer.quantize(options, parent, tmp_path / "made", materials)
    kernels = count(artifact, make_inputs(8).take([4, 5, 6, 7]))
    linear = [kernel for kernel in kernels if kernel.operator in LINEAR]

    assert Counter(map(flop_count, linear)) == linear_flops(parent, rows_count=4 * 8, examples_count=4)
    assert {kernel.precision for kernel in linear} == {precision}
    assert {kernel.operator for kernel in kernels if kernel_kind(kernel) == "other"} == set()
    # Two layers of two heads of 8 numbers: queries times keys, and their weights times values.
    attention = [kernel for kernel in kernels if kernel.operator == ATTENTION_SUBGRAPH]
    assert [flop_count(kernel) for kernel in attention] == [4 * 4 * 8 * 8 * 16] * 2 * CALLS_COUNT


def test_what_openvino_printed_has_kinds_and_precisions() -> None:
    """Products are int8, normalisation is fp32, integers have none; what was fused away is no kernel."""
    told = json.loads((FIXTURES / "openvino_int8.json").read_text(encoding="utf-8"))
    nodes = [SimpleNamespace(**one, real_time=datetime.timedelta(microseconds=one["real_time_us"])) for one in told]
    kernels = kernel_calls({}, counters(nodes, call_count=3), [(1.0, {})] * 3)
    found = {(kernel.operator, kernel.precision) for kernel in kernels}

    ran = [one for one in told if one["real_time_us"]]
    assert len(kernels) == 3 * len({one["node_name"] for one in ran})
    assert sum(kernel.self_sec for kernel in kernels) == pytest.approx(3e-6 * sum(one["real_time_us"] for one in told))
    assert {("FullyConnected", "int8"), ("FullyConnectedQuantizedLegacy", "int8"), ("MVN", "fp32")} <= found
    assert ("Convert", "") in found
    assert {operator for operator, _ in found} & {"FakeQuantize", "Gelu", "Parameter", "Result"} == set()
    assert "other" not in {kernel_kind(kernel) for kernel in kernels}


@pytest.mark.parametrize("operator", sorted(LINEAR))
def test_no_linear_layer_is_lost_because_it_was_quick(operator: str) -> None:
    """A mean below a microsecond is told as 0, under each of the three names."""
    node = SimpleNamespace(node_name="query", node_type=operator, exec_type="gemm_i8", real_time=datetime.timedelta())
    facts = NodeFacts(((4, 16), (3, 16)), (4, 3), 124, has_weights=True, has_softmax=False)
    (kernel,) = kernel_calls({}, counters([node], call_count=1), [(1e-6, {"query": facts})])

    assert (kernel.self_sec, flop_count(kernel)) == (0.0, 2 * 4 * 16 * 3)


# --- images -------------------------------------------------------------------------------------------------------


def torch_flops(artifact: Artifact, images: Encoded) -> Counter[int]:
    """Let PyTorch count the FLOPs of each convolution and of the head."""
    module = load_module(artifact.folder, artifact.spec)
    with FlopCounterMode(display=False) as counter:
        module(torch.from_numpy(images.arrays["images"]))
    found = counter.get_flop_counts()
    parts = [name for name in found if name.startswith(("ConvNet.stages.", "ConvNet.head"))]
    return Counter(sum(found[name].values()) for name in parts for _ in range(CALLS_COUNT))


@pytest.mark.parametrize("engine", ["openvino", "onnxruntime"])
def test_convolutions_have_the_flops_that_pytorch_counts(
    convnet: Artifact, images: Encoded, tmp_path: Path, engine: Any
) -> None:
    """Two convolutions and a head, of four images, twice."""
    if engine == "openvino":
        artifact = convert_to_openvino(convnet, images, tmp_path)
    else:
        given = Materials(calibration=images)
        artifact, _ = onnx_converter.convert(Engine(name=engine), convnet, tmp_path / "made", given)
    products = [kernel for kernel in count(artifact, images) if kernel_kind(kernel) == "matrix"]

    assert Counter(map(flop_count, products)) == torch_flops(convnet, images)


@pytest.mark.parametrize("engine", ["openvino", "onnxruntime"])
def test_quantized_convolutions_are_int8_and_have_flops_where_the_engine_tells_their_weights(
    convnet: Artifact, images: Encoded, tmp_path: Path, engine: Any
) -> None:
    """OpenVINO tells them; ONNX Runtime has packed them away, and then there is no guess."""
    quantizer = {"openvino": openvino_quantizer, "onnxruntime": onnx_quantizer}[engine]
    options = Quantize(scheme="int8-static", engine=engine, calibration_examples=4)
    artifact, _ = quantizer.quantize(options, convnet, tmp_path / "made", Materials(calibration=images))
    kernels = count(artifact, images)
    convolutions = [kernel for kernel in kernels if kernel.operator in CONVOLUTIONS]

    assert {kernel_kind(kernel) for kernel in kernels} & {"other", "attention"} == set()
    assert [kernel.precision for kernel in convolutions] == ["int8"] * 2 * CALLS_COUNT
    if engine == "openvino":
        assert not Counter(map(flop_count, convolutions)) - torch_flops(convnet, images)
    else:
        assert {flop_count(kernel) for kernel in convolutions} == {0}
