"""Models in ONNX Runtime: converted, quantized, and what their executed graphs prove."""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from numpy.typing import NDArray
from onnx import numpy_helper
from torch import nn

from perflib.artifact import Artifact, Lineage, Runtime
from perflib.compression.converters import onnxruntime as converter
from perflib.compression.engine import Engine
from perflib.compression.materials import Labelled, Materials
from perflib.compression.quantize import Quantize
from perflib.compression.quantizers import onnxruntime as quantizer
from perflib.encoded import Encoded
from perflib.engines import onnx_build, onnx_engine
from perflib.engines.torch_engine import builder_name, load_module, model_builder, save_module
from perflib.errors import StageError
from perflib.records import read_json
from perflib.workloads.bert import mean_pooled_classifier
from perflib.workloads.convnet import small_convnet
from tests.tiny_artifact import CONFIG, LINEARS_COUNT, make_inputs, write_artifact

STATIC = Quantize(scheme="int8-static", engine="onnxruntime", calibration_examples=16)
DYNAMIC = Quantize(scheme="int8-dynamic", engine="onnxruntime", calibration_examples=16)
CONVERT = Engine(name="onnxruntime")


@pytest.fixture(autouse=True)
def one_thread() -> None:
    """Tests share their machine."""
    torch.set_num_threads(1)


@pytest.fixture
def materials() -> Materials:
    """Texts of every length from 1 to 8."""
    return Materials(calibration=make_inputs(24), tuning=Labelled(make_inputs(16), np.arange(16) % 3))


@pytest.fixture
def images() -> Materials:
    """Images of random pixels."""
    pixels = np.random.default_rng(0).random((12, 1, 8, 8), dtype=np.float32)
    return Materials(calibration=Encoded({"images": pixels}))


@model_builder
def without_counterpart(config: dict[str, Any]) -> nn.Module:
    """Build a model with an operator that ONNX has not."""

    class Odd(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.head = nn.Linear(config["pixels_count"], 2)

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return self.head(torch.special.i0(images.flatten(1)))  # type: ignore[no-any-return]

    return Odd()


@model_builder
def batch_dependent(config: dict[str, Any]) -> nn.Module:
    """Build a model whose tracing freezes the number of examples."""

    class Frozen(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.head = nn.Linear(config["pixels_count"], 2)

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return self.head(images.flatten(1)) / len(images)  # type: ignore[no-any-return]

    return Frozen()


def write_other(folder: Path, builder: Any, config: dict[str, Any]) -> Artifact:
    """Write a model of another architecture and seal it."""
    torch.manual_seed(0)
    save_module(builder(config), folder)
    return Artifact.seal(
        folder,
        engine="torch",
        precision="fp32",
        builder=builder_name(builder),
        config=config,
        labels=("no", "yes"),
        runtime=Runtime(batch_example_count=4, thread_count=1),
        lineage=Lineage("toy", None, (), {}),
    )


def logits_of(artifact: Artifact, inputs: Encoded) -> NDArray[np.floating[Any]]:
    """Ask text by text."""
    session = artifact.open()
    return np.concatenate([session(inputs.take([row]).arrays) for row in range(len(inputs))])


def stored_weights(artifact: Artifact) -> dict[str, NDArray[Any]]:
    """Read the tensors of the saved model that have two or more axes."""
    graph = onnx.load(artifact.folder / onnx_engine.MODEL_FILE).graph
    return {one.name: numpy_helper.to_array(one) for one in graph.initializer if len(one.dims) > 1}


# --- conversion -------------------------------------------------------------------------------------------------


def test_a_converted_model_answers_as_its_source(tmp_path: Path, materials: Materials) -> None:
    """Lengths that the tracer did not see, alone and in batches, get the source's logits."""
    parent = write_artifact(tmp_path / "parent")
    made, proof = converter.convert(CONVERT, parent, tmp_path / "made", materials)

    assert (made.spec.engine, made.spec.precision, made.spec.builder) == ("onnxruntime", "fp32", None)
    assert np.abs(logits_of(made, make_inputs(8)) - logits_of(parent, make_inputs(8))).max() < 1e-5
    assert np.abs(made.predict(make_inputs(11)) - parent.predict(make_inputs(11))).max() < 1e-5
    assert proof["parity"]["length_count"] == 8
    assert proof["low_precision_share_ratio"] == 0.0
    assert proof["operator_counts"]["Attention"] == 2
    assert [path.name for path in made.folder.iterdir() if path.suffix == ".onnx"] == ["model.onnx"]


def test_the_products_of_an_exported_model_have_the_names_of_their_modules(tmp_path: Path) -> None:
    """The weights behind each name are those of that module."""
    parent = write_artifact(tmp_path / "parent")
    path = onnx_build.export(parent, make_inputs(8).take([6, 7]), tmp_path / "model.onnx")
    onnx_build.optimize(path, fusions="none")
    module = load_module(parent.folder, parent.spec)
    graph = onnx.load(path).graph
    stored = {one.name: numpy_helper.to_array(one) for one in graph.initializer}
    found = {
        node.name: next(stored[name] for name in node.input if name in stored and stored[name].ndim == 2)
        for node in graph.node
        if node.name in onnx_build.weighted_nodes(path)
    }

    linear = {name: one for name, one in module.named_modules() if isinstance(one, nn.Linear)}
    tables = {"embeddings.word_embeddings", "embeddings.position_embeddings"}
    assert set(found) == set(linear) | tables
    for name, layer in linear.items():
        kept = found[name] if name == "head" else found[name].T
        assert np.array_equal(kept, layer.weight.detach().numpy()), name


def test_fusing_leaves_fewer_operators_and_the_same_answers(tmp_path: Path) -> None:
    """What the optimizer makes of a graph is smaller, and every degree of it is right."""
    parent, inputs = write_artifact(tmp_path / "parent"), make_inputs(8)
    counts = {}
    for fusions in ("none", "layers", "attention"):
        folder = tmp_path / fusions
        folder.mkdir()
        path = onnx_build.export(parent, inputs.take([6, 7]), folder / "model.onnx")
        onnx_build.optimize(path, fusions=fusions)
        counts[fusions] = len(onnx.load(path).graph.node)
        made = parent.derive(folder, {}, engine="onnxruntime")
        assert np.abs(logits_of(made, inputs) - logits_of(parent, inputs)).max() < 1e-5, fusions

    assert counts["attention"] <= counts["layers"] < counts["none"]


def test_a_pruned_and_trimmed_model_is_converted_too(tmp_path: Path, materials: Materials) -> None:
    """Layers of unequal width and a trimmed vocabulary answer as their source does."""
    smaller = {"heads_per_layer": [1, 2], "neurons_per_layer": [8, 24], "head_size": 8, "full_vocab_size": 40}
    parent = write_other(tmp_path / "parent", mean_pooled_classifier, CONFIG | smaller)
    made, proof = converter.convert(CONVERT, parent, tmp_path / "made", materials)

    assert proof["parity"]["largest_logit_difference"] < 1e-4
    assert made.spec.config == {}


def test_an_unsupported_operator_is_named(tmp_path: Path, images: Materials) -> None:
    """The refusal says which operator it is."""
    parent = write_other(tmp_path / "parent", without_counterpart, {"pixels_count": 64})

    with pytest.raises(StageError, match="aten::i0"):
        converter.convert(CONVERT, parent, tmp_path / "made", images)


def test_a_conversion_that_answers_otherwise_is_refused(tmp_path: Path, images: Materials) -> None:
    """A tracer that takes the number of examples for a constant makes a wrong model, and nothing is kept of it."""
    parent = write_other(tmp_path / "parent", batch_dependent, {"pixels_count": 64})

    with pytest.raises(StageError, match="answers wrongly"):
        converter.convert(CONVERT, parent, tmp_path / "made", images)


@pytest.mark.parametrize(
    ("changes", "words"),
    [({"shapes": "bucketed"}, "shapes: dynamic"), ({"arithmetic": "bf16"}, "no bf16 arithmetic")],
)
def test_what_the_engine_cannot_do_is_refused(
    tmp_path: Path, materials: Materials, changes: dict[str, Any], words: str
) -> None:
    """Before any work, in one sentence."""
    spec = write_artifact(tmp_path / "parent").spec

    with pytest.raises(StageError, match=words):
        converter.check_parent(dataclasses.replace(CONVERT, **changes), spec, materials)


def test_a_parent_that_is_no_torch_fp32_model_is_refused(tmp_path: Path, materials: Materials) -> None:
    """A model cannot be traced from another engine."""
    spec = dataclasses.replace(write_artifact(tmp_path / "parent").spec, precision="bf16")

    with pytest.raises(StageError, match="torch bf16"):
        converter.check_parent(CONVERT, spec, materials)


# --- quantization -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("options", [STATIC, DYNAMIC], ids=["static", "dynamic"])
def test_every_product_runs_in_int8_and_the_answers_stay_near(
    tmp_path: Path, materials: Materials, options: Quantize
) -> None:
    """The executed graph has int8 kernels only, and the logits are off by rounding, not by more."""
    parent = write_artifact(tmp_path / "parent")
    made, proof = quantizer.quantize(options, parent, tmp_path / "made", materials)
    expected, given = logits_of(parent, make_inputs(16)), logits_of(made, make_inputs(16))

    assert made.spec == dataclasses.replace(
        quantizer.check_parent(options, parent.spec, materials), files=made.spec.files, lineage=made.spec.lineage
    )
    assert proof["low_precision_share_ratio"] == 1.0
    assert set(proof["operator_counts"]) <= onnx_engine.INT8_PRODUCTS
    assert 1e-6 < np.abs(given - expected).max() < 0.25 * expected.std()


@pytest.mark.parametrize("options", [STATIC, DYNAMIC], ids=["static", "dynamic"])
def test_weights_and_tables_are_stored_in_int8(tmp_path: Path, materials: Materials, options: Quantize) -> None:
    """No large tensor of the file is fp32, so that the file is small."""
    made, _ = quantizer.quantize(options, write_artifact(tmp_path / "parent"), tmp_path / "made", materials)
    large = [one for one in stored_weights(made).values() if one.size >= 16 * 16]

    assert len(large) >= 5
    assert {one.dtype.kind + str(one.dtype.itemsize) for one in large} <= {"i1", "u1"}


def test_a_static_model_keeps_every_product_and_its_range(tmp_path: Path, materials: Materials) -> None:
    """The ranges are those that the inputs of each linear layer take in PyTorch on the calibration texts."""
    parent = write_artifact(tmp_path / "parent")
    made, proof = quantizer.quantize(STATIC, parent, tmp_path / "made", materials)
    sample = materials.calibration.stratified(16)
    module = load_module(parent.folder, parent.spec)
    seen: dict[str, list[NDArray[Any]]] = {}

    def look(name: str) -> Any:
        return lambda _, given: seen.setdefault(name, []).append(given[0].numpy())

    for name, layer in module.named_modules():
        if isinstance(layer, nn.Linear):
            layer.register_forward_pre_hook(look(name))
    with torch.inference_mode():
        for row in range(16):
            module(**{name: torch.from_numpy(one) for name, one in sample.take([row]).arrays.items()})

    written = {one["name"]: one for one in read_json(made.folder / "ranges.json")["ranges"]}
    assert proof["linear_layer_count"] == LINEARS_COUNT == len(written)
    for name, values in seen.items():
        assert written[name]["low"] == pytest.approx(min(one.min() for one in values), abs=1e-5), name
        assert written[name]["high"] == pytest.approx(max(one.max() for one in values), abs=1e-5), name
    assert made.spec.lineage.details["calibration_inputs_sha256"] == sample.digest()
    assert made.spec.lineage.details["calibration_example_count"] == 16


def test_the_percentile_calibrator_takes_texts_of_different_lengths_and_cuts(
    tmp_path: Path, materials: Materials
) -> None:
    """Its ranges lie within those of min-max, and at least one is narrower."""
    parent = write_artifact(tmp_path / "parent")
    found: dict[str, dict[str, float]] = {}
    for calibrator in ("min-max", "percentile"):
        options = dataclasses.replace(STATIC, calibrator=calibrator)
        made, _ = quantizer.quantize(options, parent, tmp_path / calibrator, materials)
        ranges = read_json(made.folder / "ranges.json")["ranges"]
        found[calibrator] = {one["name"]: one["high"] - one["low"] for one in ranges}

    narrower = [found["percentile"][name] - width for name, width in found["min-max"].items()]
    assert max(narrower) <= 1e-6
    assert min(narrower) < 0


@pytest.mark.parametrize("options", [STATIC, DYNAMIC], ids=["static", "dynamic"])
def test_a_kept_block_stays_in_fp32(tmp_path: Path, materials: Materials, options: Quantize) -> None:
    """Its own products are fp32 in the executed graph, the others are not."""
    kept = dataclasses.replace(options, keep=("encoder.layer.0.attention", "head"))
    made, proof = quantizer.quantize(kept, write_artifact(tmp_path / "parent"), tmp_path / "made", materials)
    products = onnx_engine.executed_products(made.folder / onnx_engine.MODEL_FILE, thread_count=1)

    assert proof["kept_layer_count"] == 5
    assert sum(one["precision"] == "fp32" for one in products) == 5
    assert len(products) == LINEARS_COUNT
    assert proof["low_precision_share_ratio"] == 1.0


def test_an_unknown_block_to_keep_is_refused_with_the_nearest(tmp_path: Path, materials: Materials) -> None:
    """A name that is misspelt is not silently nothing."""
    options = dataclasses.replace(STATIC, keep="encoder.layer.0.atention")

    with pytest.raises(StageError, match=r"did you mean `encoder\.layer\.[01]\.attention`"):
        quantizer.quantize(options, write_artifact(tmp_path / "parent"), tmp_path / "made", materials)


def test_keeping_everything_is_no_quantization(tmp_path: Path, materials: Materials) -> None:
    """A model without an int8 layer is not called int8."""
    options = dataclasses.replace(STATIC, keep=("encoder", "head"))

    with pytest.raises(StageError, match="everything was kept"):
        quantizer.quantize(options, write_artifact(tmp_path / "parent"), tmp_path / "made", materials)


def test_a_fallback_of_more_than_one_layer_in_ten_is_refused(
    tmp_path: Path, materials: Materials, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nine in ten are enough, less is not."""
    made, _ = quantizer.quantize(STATIC, write_artifact(tmp_path / "parent"), tmp_path / "made", materials)

    def run(int8_count: int) -> dict[str, Any]:
        layers = [{"name": "", "type": "", "precision": "int8" if at < int8_count else "fp32"} for at in range(10)]
        monkeypatch.setattr(onnx_engine, "executed_products", lambda *_, **__: layers)
        return quantizer.prove(made)

    assert run(9)["low_precision_share_ratio"] == 0.9
    with pytest.raises(StageError, match="only 80% of 10"):
        run(8)


def test_sensitive_blocks_are_looked_for_on_tuning(tmp_path: Path, materials: Materials) -> None:
    """The search builds candidates with this quantizer and its winner is the artifact."""
    options = dataclasses.replace(DYNAMIC, keep="sensitive", max_drop_ratio=0.9, budget_sec=20)
    made, proof = quantizer.quantize(options, write_artifact(tmp_path / "parent"), tmp_path / "made", materials)

    assert made.folder == tmp_path / "made"
    assert proof["kept_block_count"] == len(made.spec.lineage.details["kept_blocks"])
    assert proof["low_precision_share_ratio"] == 1.0


def test_convolutions_are_int8_when_static(tmp_path: Path, images: Materials) -> None:
    """Batch normalisation is folded and every convolution has an int8 kernel."""
    config = {"channels_counts": [8, 16], "class_count": 2}
    parent = write_other(tmp_path / "parent", small_convnet, config)
    options = dataclasses.replace(STATIC, calibration_examples=12)
    made, proof = quantizer.quantize(options, parent, tmp_path / "made", images)

    assert proof["linear_layer_count"] == 3
    assert proof["operator_counts"]["QLinearConv"] == 2
    assert np.abs(made.predict(images.calibration) - parent.predict(images.calibration)).max() < 0.02


def test_convolutions_cannot_be_dynamic(tmp_path: Path, images: Materials) -> None:
    """The engine has no kernel for them, and the refusal says what has."""
    parent = write_other(tmp_path / "parent", small_convnet, {"channels_counts": [8], "class_count": 2})

    with pytest.raises(StageError, match="use scheme: int8-static"):
        quantizer.quantize(DYNAMIC, parent, tmp_path / "made", images)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"scheme": "int8-weights"}, "has no int8-weights"),
        ({"calibrator": "mse"}, "no calibrator: mse"),
        ({"smooth": 0.5}, "no SmoothQuant"),
        ({"scheme": "int8-dynamic", "activations": "per-token"}, "depends on the other texts of its batch"),
        ({"keep": "accuracy-control"}, "no accuracy control"),
    ],
)
def test_what_the_quantizer_has_not_is_refused(
    tmp_path: Path, materials: Materials, changes: dict[str, Any], words: str
) -> None:
    """Before any work, in one sentence that ends in what to do."""
    spec = write_artifact(tmp_path / "parent").spec

    with pytest.raises(StageError, match=words):
        quantizer.check_parent(dataclasses.replace(STATIC, **changes), spec, materials)


def test_dynamic_scales_are_those_of_the_whole_batch(tmp_path: Path, materials: Materials) -> None:
    """This is why a scale per token is refused: alone and in company, a text gets different answers."""
    made, _ = quantizer.quantize(DYNAMIC, write_artifact(tmp_path / "parent"), tmp_path / "made", materials)
    inputs = make_inputs(8).take([7])
    others = make_inputs(16).take([7, 15])

    assert not np.array_equal(made.open()(inputs.arrays)[0], made.open()(others.arrays)[0])
