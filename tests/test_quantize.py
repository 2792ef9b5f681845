"""quantize: what was executed is read, conversions are compared, and options that promise nothing are refused."""

import dataclasses
import importlib.util
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from perflib import machine
from perflib.artifact import Artifact, Lineage, Runtime
from perflib.compression.build import build_candidate
from perflib.compression.materials import Labelled, Materials
from perflib.compression.quantize import Quantize
from perflib.compression.quantizers import openvino, openvino_graph, openvino_source
from perflib.compression.quantizers.accuracy_control import Judge
from perflib.compression.stage import parse_recipe
from perflib.encoded import Encoded
from perflib.engines import openvino_engine
from perflib.engines.torch_engine import builder_name, save_module
from perflib.errors import ParameterError, SetupError, StageError
from perflib.records import read_json
from perflib.workloads.bert import mean_pooled_classifier
from perflib.workloads.convnet import small_convnet
from tests.tiny_artifact import CONFIG, LINEARS_COUNT, make_inputs

MANY_WORDS = CONFIG | {"vocab_size": 6000, "initializer_range": 0.1}


def write_model(folder: Path, builder: Any, config: dict[str, Any], labels: tuple[str, ...]) -> Artifact:
    """Write a model with random weights."""
    torch.manual_seed(0)
    save_module(builder(config), folder)
    return Artifact.seal(
        folder,
        engine="torch",
        precision="fp32",
        builder=builder_name(builder),
        config=config,
        labels=labels,
        runtime=Runtime(thread_count=1),
        lineage=Lineage("toy", None, (), {}),
    )


def write_bert(folder: Path) -> Artifact:
    """Write the tiny BERT with a table of 6,000 words."""
    return write_model(folder, mean_pooled_classifier, MANY_WORDS, ("bad", "fair", "good"))


def write_convnet(folder: Path) -> Artifact:
    """Write the digits network."""
    config = {"channels_counts": [16, 32], "class_count": 10}
    return write_model(folder, small_convnet, config, tuple("0123456789"))


def images(count: int) -> Encoded:
    """Return random images of 8 x 8 pixels."""
    return Encoded({"images": np.random.default_rng(0).random((count, 1, 8, 8), np.float32)})


def build(parent: Artifact, folder: Path, inputs: Encoded, **options: Any) -> tuple[Artifact, dict[str, Any]]:
    """Quantize with 16 examples and return the artifact and its proof."""
    made, record = build_candidate(
        "made",
        parse_recipe([{"quantize": {"calibration_examples": 16, **options}}]),
        parent=parent,
        folder=folder,
        materials=Materials(inputs),
    )
    (step,) = record.steps
    return made, step.proof


@pytest.fixture(scope="module")
def parent(tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    """A tiny BERT."""
    return write_bert(tmp_path_factory.mktemp("parent"))


@pytest.fixture(scope="module")
def static(parent: Artifact, tmp_path_factory: pytest.TempPathFactory) -> tuple[Artifact, dict[str, Any]]:
    """Its int8 candidate with static ranges, and the proof."""
    return build(parent, tmp_path_factory.mktemp("static") / "made", make_inputs(24))


@pytest.fixture(scope="module")
def dynamic(parent: Artifact, tmp_path_factory: pytest.TempPathFactory) -> tuple[Artifact, dict[str, Any]]:
    """Its int8 candidate with ranges found in every call, and the proof."""
    folder = tmp_path_factory.mktemp("dynamic") / "made"
    return build(parent, folder, make_inputs(24), scheme="int8-dynamic", activations="per-token")


def test_the_executed_graph_of_a_bert_is_int8(parent: Artifact, static: tuple[Artifact, dict[str, Any]]) -> None:
    """At least nine in ten linear layers really ran in int8, and the record proves it."""
    made, proof = static

    assert (made.spec.engine, made.spec.precision) == ("openvino", "int8")
    assert proof["low_precision_share_ratio"] >= 0.9
    assert (proof["linear_layer_count"], proof["kept_layer_count"]) == (LINEARS_COUNT, 0)
    assert proof["conversion_largest_logit_difference"] <= openvino_source.PARITY_LOGIT
    assert made.spec.runtime == parent.spec.runtime
    assert made.spec.lineage.parent_sha256 == parent.digest
    sample = make_inputs(24).stratified(16)
    assert made.spec.lineage.details["calibration_inputs_sha256"] == sample.digest()
    assert made.spec.lineage.details["calibration_example_count"] == 16


def test_the_answers_of_int8_are_near_the_parents_at_every_length(
    parent: Artifact, static: tuple[Artifact, dict[str, Any]], dynamic: tuple[Artifact, dict[str, Any]]
) -> None:
    """Quantized probabilities are close to the source's, example by example."""
    inputs = make_inputs(40)

    np.testing.assert_allclose(static[0].predict(inputs), parent.predict(inputs), atol=0.05)
    np.testing.assert_allclose(dynamic[0].predict(inputs), parent.predict(inputs), atol=0.05)


def test_the_loaded_artifact_needs_no_python_model(static: tuple[Artifact, dict[str, Any]]) -> None:
    """The engine's own files suffice, and what is loaded is what was sealed."""
    made, _ = static

    assert made.spec.builder is None
    assert Artifact.load(made.folder).digest == made.digest


def test_the_table_of_words_is_stored_in_a_byte_a_number(
    parent: Artifact, static: tuple[Artifact, dict[str, Any]], dynamic: tuple[Artifact, dict[str, Any]]
) -> None:
    """Most of a small encoder is its embedding table, so its weights are a quarter only if that is quantized too."""
    whole_bytes = (parent.folder / "model.safetensors").stat().st_size
    for made, _ in (static, dynamic):
        assert (made.folder / "model.bin").stat().st_size < 0.32 * whole_bytes  # a scale and a zero point a row


def test_the_ranges_are_sealed_with_the_model(static: tuple[Artifact, dict[str, Any]]) -> None:
    """There is a range for each rounded activation, and altering the file would be noticed."""
    made, proof = static
    kept = read_json(made.folder / "ranges.json")

    assert kept["calibrator"] == "min-max"
    assert len(kept["ranges"]) == proof["activation_range_count"] == LINEARS_COUNT
    assert all(found["low"] < found["high"] and found["levels"] == 256 for found in kept["ranges"])
    assert np.mean([found["error_ratio"] for found in kept["ranges"]]) == pytest.approx(proof["activation_error_ratio"])
    assert "ranges.json" in {file.path for file in made.spec.files}


def test_the_mse_calibrator_rounds_with_less_error(
    parent: Artifact, static: tuple[Artifact, dict[str, Any]], tmp_path: Path
) -> None:
    """What it minimises is smaller than with the mean of extremes, and the graph still runs in int8."""
    made, proof = build(parent, tmp_path / "made", make_inputs(24), calibrator="mse", keep=["encoder.layer.0", "head"])

    assert proof["activation_error_ratio"] < static[1]["activation_error_ratio"]
    assert proof["kept_blocks"] == ["encoder.layer.0", "head"]
    assert proof["kept_layer_count"] == 7
    assert proof["low_precision_share_ratio"] == pytest.approx(6 / 13)
    assert proof["intended_share_ratio"] == 1.0
    compiled = openvino_engine.compile_model(str(made.folder / "model.xml"), precision="int8")
    layers = openvino_engine.executed_linear_layers(compiled)
    in_fp32 = {layer["name"] for layer in layers if layer["precision"] not in openvino_engine.INT8_TYPES}
    assert len(in_fp32) == 7
    assert all(name.startswith(("__module.encoder.layer.0.", "__module.head/")) for name in in_fp32)


def test_dynamic_products_are_in_int8_and_do_not_depend_on_the_neighbours(
    dynamic: tuple[Artifact, dict[str, Any]],
) -> None:
    """Every layer's products are off by what 8 bits cost, and a text's answer is the same whoever shares its batch."""
    made, proof = dynamic
    inputs = make_inputs(32)
    of_eight = inputs.take(np.flatnonzero(inputs.lengths() == 8))

    assert proof["int8_product_layer_count"] == proof["linear_layer_count"] == LINEARS_COUNT
    assert made.spec.options["settings"] == {"DYNAMIC_QUANTIZATION_GROUP_SIZE": "16"}
    alone, together = (made.predict(of_eight, batch_example_count=count) for count in (1, 4))
    np.testing.assert_allclose(alone, together, atol=1e-6)


def test_weights_alone_multiply_in_fp32(parent: Artifact, tmp_path: Path) -> None:
    """The engine would round activations by itself; this scheme switches that off, and the proof says so."""
    made, proof = build(parent, tmp_path / "made", make_inputs(5), scheme="int8-weights", keep="head")

    assert proof["int8_weighted_layer_count"] == LINEARS_COUNT - 1
    assert proof["int8_product_layer_count"] == 0
    assert proof["intended_share_ratio"] == 1.0
    assert "low_precision_share_ratio" not in proof
    assert made.spec.options["settings"] == {"DYNAMIC_QUANTIZATION_GROUP_SIZE": "0"}
    assert not (made.folder / "ranges.json").exists()
    np.testing.assert_allclose(made.predict(make_inputs(9)), parent.predict(make_inputs(9)), atol=0.02)


def test_a_convolution_whose_normalisation_was_folded_can_be_kept(tmp_path: Path) -> None:
    """Its operation has lost its module's name; convolutions count as linear layers, and nothing asks for a mask."""
    parent = write_convnet(tmp_path / "parent")
    made, proof = build(parent, tmp_path / "made", images(24), keep="stages.0")

    assert (proof["linear_layer_count"], proof["kept_layer_count"]) == (3, 1)
    assert (proof["low_precision_share_ratio"], proof["intended_share_ratio"]) == (pytest.approx(2 / 3), 1.0)
    compiled = openvino_engine.compile_model(str(made.folder / "model.xml"), precision="int8")
    layers = openvino_engine.executed_linear_layers(compiled)
    assert [layer["precision"] in openvino_engine.INT8_TYPES for layer in layers] == [False, True, True]
    np.testing.assert_allclose(made.predict(images(9)), parent.predict(images(9)), atol=0.05)


def test_accuracy_control_is_judged_on_tuning(tmp_path: Path) -> None:
    """What NNCF returns is measured again, and the proof tells the drop."""
    parent, inputs = write_convnet(tmp_path / "parent"), images(24)
    labels = parent.predict(inputs).argmax(axis=1)
    stage = Quantize(calibration_examples=16, keep="accuracy-control", max_drop_ratio=0.5)
    materials = Materials(inputs, tuning=Labelled(inputs, labels))
    stage.check(parent.spec, materials)
    made, proof = stage.apply(parent, tmp_path / "made", materials)

    found = float(np.mean(made.predict(inputs).argmax(axis=1) == labels))
    assert proof["tuning_accuracy_ratio"] == pytest.approx(found)
    assert proof["tuning_drop_ratio"] == pytest.approx(1 - found)


def judge(**options: Any) -> tuple[Judge, Any]:
    """Make a judge over 40 texts whose right answers are all 0, and a model that is right for ``share`` of them."""
    inputs = make_inputs(40)
    made = Judge(Labelled(inputs, np.zeros(40, np.int64)), **({"max_drop_ratio": 0.1, "budget_sec": 60.0} | options))

    def model(share: float) -> Any:
        answers = iter(np.arange(40) >= round(share * 40))
        return lambda arrays: [np.stack([[0.5, float(next(answers))] for _ in arrays["input_ids"]])]

    return made, model


def test_the_judge_counts_right_answers_over_all_texts() -> None:
    """Batches of 32 and 8 weigh by their texts; each batch's own share ranks the layers."""
    made, model = judge()

    assert made(model(0.9), made.items) == (0.9, [1.0, 0.5])


@pytest.mark.parametrize(("share", "is_refused"), [(0.9, False), (0.875, True)])
def test_a_missed_target_is_refused(share: float, is_refused: bool) -> None:
    """Exactly the allowed drop passes; one text more does not, whatever NNCF made of it."""
    made, model = judge(max_drop_ratio=0.1)
    if not is_refused:
        assert made.verdict(model(1.0), model(share))["tuning_drop_ratio"] == pytest.approx(0.1)
        return
    with pytest.raises(StageError, match=r"accuracy of 0\.8750, 0\.1250 below the source's 1\.0000 where 0\.1 is"):
        made.verdict(model(1.0), model(share))


def test_a_spent_budget_ends_the_search_with_its_best() -> None:
    """The sentence has the source's accuracy and the best of the attempts, not the last."""
    now = [0.0]
    made, model = judge(budget_sec=10.0, clock=lambda: now[0])
    for share in (1.0, 0.5, 0.75, 0.6):
        made(model(share), made.items)
    now[0] = 10.1

    with pytest.raises(StageError, match=r"\(1\.0000\) in 10 s, its best so far being 0\.7500"):
        made(model(0.5), made.items)


@pytest.mark.parametrize("wrong", [0.5, np.nan, np.inf])
def test_a_wrong_conversion_is_refused(parent: Artifact, wrong: float) -> None:
    """One logit that differs, or is no number, at one length only, is enough; nothing is quantized."""
    session = parent.open()

    def converted(arrays: dict[str, Any]) -> list[Any]:
        logits = np.array(session(arrays))
        if arrays["input_ids"].shape[1] == 3:
            logits[0, 0] += wrong
        return [logits]

    with pytest.raises(StageError, match=r"the converted model differs from its source by .* nothing was quantized"):
        openvino_source.parity(parent, converted, make_inputs(24))


def test_a_failed_parity_leaves_no_artifact(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The stage ends before it quantizes."""
    monkeypatch.setattr(openvino_source, "PARITY_LOGIT", -1.0)
    parent = write_convnet(tmp_path / "parent")
    with pytest.raises(StageError, match="nothing was quantized"):
        build(parent, tmp_path / "made", images(20))

    assert [path.name for path in tmp_path.iterdir()] == ["parent"]


def test_a_silent_fallback_is_refused(static: tuple[Artifact, dict[str, Any]], monkeypatch: pytest.MonkeyPatch) -> None:
    """A graph that runs part of its layers in fp32 is no int8 model, whatever its file says."""
    monkeypatch.setattr(openvino_engine, "int8_share", lambda layers: 11 / LINEARS_COUNT)
    with pytest.raises(StageError, match=f"only 85% of {LINEARS_COUNT} linear layers that were to be int8"):
        openvino.prove(static[0])
    monkeypatch.setattr(openvino_engine, "int8_share", lambda layers: 12 / LINEARS_COUNT)
    assert openvino.prove(static[0])["low_precision_share_ratio"] == pytest.approx(12 / LINEARS_COUNT)


def test_the_share_counts_layers_by_what_they_ran_in() -> None:
    """Signed and unsigned bytes are int8; a graph without linear layers proves nothing."""
    layers = [{"precision": word} for word in ("i8", "u8", "f32", "bf16")]

    assert openvino_engine.int8_share(layers) == 0.5
    assert openvino_engine.int8_share([]) == 0.0


def test_a_block_that_is_not_there_is_named_with_its_neighbour() -> None:
    """A slip of the pen is answered with what was meant: a module, or a word."""
    layers = {"head": "__module.head/aten::linear/Add", "heads.0": "__module.heads.0/aten::linear/Add"}
    known = ["encoder.layer.0", "head", "heads", "heads.0"]

    assert openvino_graph.operations_of(["head"], layers, known=known)[0] == ["__module.head/aten::linear/Add"]
    with pytest.raises(StageError, match=r"`encoder.layer.O` is no block .* did you mean `encoder.layer.0`\?"):
        openvino_graph.operations_of(["encoder.layer.O"], layers, known=known)
    with pytest.raises(StageError, match=r"did you mean `sensitive`\?"):
        openvino_graph.operations_of(["sensitve"], layers, known=known, words=["sensitive"])


def test_options_are_read_as_they_stand_in_a_recipe() -> None:
    """A name and a list of names are both blocks; a word for a search is none; other words are refused."""

    def kept(value: Any) -> tuple[str, ...]:
        (line,) = parse_recipe([{"quantize": {"keep": value, "smooth": 0, "budget_sec": 5}}])
        return line.stage.kept_blocks  # type: ignore[attr-defined, no-any-return]

    assert kept("head") == ("head",)
    assert kept(["head", "encoder.layer.0"]) == ("head", "encoder.layer.0")
    assert kept("") == kept("sensitive") == kept("accuracy-control") == ()
    with pytest.raises(ParameterError, match="option `scheme` of stage `quantize`"):
        parse_recipe([{"quantize": {"scheme": "int4"}}])


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"scheme": "int8-weights", "calibrator": "mse"}, "int8-weights sets no ranges beforehand"),
        ({"scheme": "int8-dynamic", "smooth": 0.5}, "only int8-static smooths"),
        ({"activations": "per-token"}, "int8-static takes no scale per token"),
        ({"scheme": "int8-weights", "keep": "accuracy-control"}, "use keep: sensitive"),
        ({"engine": "onnxruntime", "keep": "accuracy-control"}, "not for int8-static on onnxruntime"),
        ({"calibrator": "mse", "keep": "accuracy-control"}, "move the ranges after they were judged"),
        ({"scheme": "int8-qat", "keep": "sensitive"}, "name the blocks to keep"),
        ({"scheme": "int8-dynamic", "per_channel": False}, "per channel only"),
        ({"smooth": 1.01}, "give 0 .off. to 1"),
        ({"max_drop_ratio": 1.0}, "0.005 for half a point"),
        ({"budget_sec": 0}, "more than 0"),
        ({"epochs": 0}, "give at least 1"),
        ({"learning_rate": 0.00101}, "at most 0.001"),
        ({"learning_rate": 0.0}, "more than 0 and at most 0.001"),
        ({"calibration_examples": 0}, "asks for 0 calibration examples where the calibration split has 24"),
        ({"calibration_examples": 25}, "give a number from 1 to 24"),
        ({"keep": "sensitive"}, "needs the tuning split"),
        ({"scheme": "int8-qat"}, "needs the train split"),
    ],
)
def test_what_makes_no_sense_is_refused_before_any_work(parent: Artifact, options: dict[str, Any], said: str) -> None:
    """Each in one sentence that says what to write instead."""
    with pytest.raises(StageError, match=said) as caught:
        Quantize(**({"calibration_examples": 24} | options)).check(parent.spec, Materials(make_inputs(24)))

    assert str(caught.value).endswith(".")


def test_a_parent_that_does_not_suit_is_refused(
    parent: Artifact, static: tuple[Artifact, dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another engine, CUDA, smoothing without a transformer, and a processor without such products."""
    materials = Materials(make_inputs(24))
    on_cuda = dataclasses.replace(parent.spec, runtime=Runtime(device="cuda"))
    with pytest.raises(StageError, match="takes a torch fp32 artifact, but what comes to it is openvino int8"):
        Quantize().check(static[0].spec, materials)
    with pytest.raises(StageError, match="use device: cpu"):
        Quantize().check(on_cuda, materials)
    with pytest.raises(StageError, match="NNCF smooths transformers only"):
        Quantize(calibration_examples=4, smooth=0.5).check(parent.spec, Materials(images(4)))
    monkeypatch.setattr(machine, "read_card", lambda: SimpleNamespace(isa_flags=("avx2",)))
    with pytest.raises(SetupError, match=r"\(it has avx2; one of avx512_vnni, .* use scheme: int8-weights"):
        Quantize(scheme="int8-dynamic").check(parent.spec, materials)


def test_what_is_not_installed_is_named(parent: Artifact, monkeypatch: pytest.MonkeyPatch) -> None:
    """The sentence has the command that installs it."""
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "nncf" else name)
    with pytest.raises(SetupError, match="needs nncf, which is not installed; pip install nncf, or name another"):
        Quantize(calibration_examples=24).check(parent.spec, Materials(make_inputs(24)))


def test_the_predicted_record_is_what_is_made(parent: Artifact, static: tuple[Artifact, dict[str, Any]]) -> None:
    """Stages behind this one are checked against what it will make."""
    predicted = Quantize(calibration_examples=16).check(parent.spec, Materials(make_inputs(24)))
    made = static[0].spec

    for name in ("engine", "precision", "builder", "config", "options", "runtime", "labels"):
        assert getattr(predicted, name) == getattr(made, name), name
