"""The engine stage: what it refuses before any work, what it makes, and how it avoids a fault at one length."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import nn

from perflib import machine
from perflib.artifact import Artifact, Lineage, Runtime
from perflib.compression import engine as stage_module
from perflib.compression.converters import openvino as converter
from perflib.compression.engine import Engine, bucket_edges
from perflib.compression.materials import Materials
from perflib.compression.precision import Precision
from perflib.compression.stage import parse_recipe
from perflib.encoded import MASK, Encoded
from perflib.engines import Session, openvino_engine
from perflib.engines.torch_engine import builder_name, model_builder, save_module
from perflib.errors import ParameterError, SetupError, StageError
from perflib.records import dumps
from perflib.workloads.convnet import small_convnet
from perflib.workloads.hf_classifier import sequence_classifier
from tests.tiny_artifact import CONFIG, LINEARS_COUNT, make_inputs, write_artifact

Arrays = Mapping[str, NDArray[np.generic]]
MATERIALS = Materials(make_inputs(24))
IMAGES = Encoded({"images": np.random.default_rng(0).random((12, 1, 8, 8), np.float32)})
needs_bf16 = pytest.mark.skipif(
    not converter._BF16_PRODUCTS & set(machine.read_card().isa_flags), reason="no bf16 products on this processor"
)


def seal(folder: Path, module: nn.Module, builder: Any, config: dict[str, Any]) -> Artifact:
    """Write a torch artifact of any architecture."""
    save_module(module, folder)
    return Artifact.seal(
        folder,
        engine="torch",
        precision="fp32",
        builder=builder_name(builder),
        config=config,
        labels=("no", "yes"),
        runtime=Runtime(thread_count=1),
        lineage=Lineage("toy", None, (), {}),
    )


@model_builder
def eigenvalues(config: dict[str, Any]) -> nn.Module:
    """Build a model whose operator OpenVINO does not have."""

    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.head = nn.Linear(2, 2)

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return torch.linalg.eigvals(self.head(images)).real

    return Model()


@pytest.fixture(scope="module")
def parent(tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    """The tiny BERT."""
    return write_artifact(tmp_path_factory.mktemp("parent"))


@pytest.fixture(scope="module")
def converted(parent: Artifact, tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    """The same in OpenVINO, with free shapes."""
    return Engine().apply(parent, tmp_path_factory.mktemp("converted") / "made", MATERIALS)[0]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"lengths": (8,)}, r"has lengths \[8\] and batches \[1\] but shapes: dynamic"),
        ({"batches": (2,)}, r"has lengths \[\] and batches \[2\] but shapes: dynamic"),
        ({"shapes": "bucketed", "batches": ()}, "has no batches to plan for"),
        ({"shapes": "bucketed", "lengths": (0, 8)}, r"lengths \[0, 8\]; give whole numbers from 1 on"),
        ({"shapes": "bucketed", "batches": (-1,)}, r"batches \[-1\]; give whole numbers from 1 on"),
        ({"shapes": "fixed", "lengths": (8, 12)}, "has 2 lengths but shapes: fixed; give one"),
        ({"shapes": "bucketed", "lengths": (8, 17)}, "a plan of 17 tokens is asked of a model that takes 16"),
        ({"shapes": "bucketed", "lengths": (2, 4, 8), "batches": tuple(range(1, 23))}, "are 66 plans"),
    ],
)
def test_shapes_that_make_no_sense_are_refused(parent: Artifact, options: dict[str, Any], said: str) -> None:
    """Each is refused before any work, with its values."""
    with pytest.raises(StageError, match=said):
        Engine(**options).check(parent.spec, MATERIALS)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"name": "openvinno"}, "option `name`"),
        ({"shapes": "boxed"}, "option `shapes`"),
        ({"lengths": [8.5]}, "option `lengths.0`"),
        ({"lengths": 8}, "option `lengths`"),
        ({"length": [8]}, "did you mean `lengths`"),
        ({"arithmetic": "fp16"}, "option `arithmetic`"),
    ],
)
def test_options_of_the_wrong_kind_are_refused_when_the_recipe_is_read(options: dict[str, Any], said: str) -> None:
    """A typing mistake never reaches a stage."""
    with pytest.raises(ParameterError, match=said):
        parse_recipe([{"engine": options}])


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"precision": "fp16"}, "what comes to it is torch fp16"),
        ({"engine": "onnxruntime"}, "what comes to it is onnxruntime fp32"),
        ({"runtime": Runtime(device="cuda")}, "runs on the CPU here"),
    ],
)
def test_parents_that_openvino_cannot_take_are_refused(parent: Artifact, changes: dict[str, Any], said: str) -> None:
    """What another engine wrote, or what is served elsewhere, is no parent."""
    with pytest.raises(StageError, match=said):
        Engine().check(dataclasses.replace(parent.spec, **changes), MATERIALS)


def test_an_engine_that_is_not_installed_is_a_setup_error(parent: Artifact, monkeypatch: pytest.MonkeyPatch) -> None:
    """The sentence says what to install, before any work."""
    places = {"openvino": ("perflib.compression.converters.openvino", ("openvino", "no_such_package"))}
    monkeypatch.setattr(stage_module, "_CONVERTERS", places)

    with pytest.raises(SetupError, match="needs no_such_package, which is not installed; pip install no_such_package"):
        Engine().check(parent.spec, MATERIALS)


def test_bf16_is_refused_where_the_processor_has_no_such_products(
    parent: Artifact, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The library would compute in fp32 without a word."""
    card = dataclasses.replace(machine.read_card(), isa_flags=("avx2",))
    monkeypatch.setattr(machine, "read_card", lambda: card)

    with pytest.raises(SetupError, match="arithmetic: bf16 has no products on this processor"):
        Engine(arithmetic="bf16").check(parent.spec, MATERIALS)


def test_inputs_without_lengths_have_no_buckets(parent: Artifact) -> None:
    """Images can be planned for a batch, not for lengths."""
    materials, spec = Materials(IMAGES), dataclasses.replace(parent.spec, config={})

    for options in ({"shapes": "bucketed"}, {"shapes": "fixed", "lengths": (8,)}):
        with pytest.raises(StageError, match="these inputs have no length"):
            Engine(**options).check(spec, materials)  # type: ignore[arg-type]
    assert Engine(shapes="fixed").check(spec, materials).options["lengths"] == []


def test_an_unsupported_operator_is_named(tmp_path: Path) -> None:
    """The operator can be read from the library's message, and nothing is written."""
    inputs = Encoded({"images": np.random.default_rng(0).random((4, 2, 2), np.float32)})
    made = seal(tmp_path / "p", eigenvalues({}), eigenvalues, {})

    with pytest.raises(StageError, match=r"cannot convert this model \(no rule for aten::linalg_eigvals\)"):
        Engine().apply(made, tmp_path / "made", Materials(inputs))
    assert not (tmp_path / "made").exists()


def test_a_converted_model_is_what_was_promised_and_proves_it(parent: Artifact, tmp_path: Path) -> None:
    """The record, the answers and the proof, also after loading from the disk."""
    stage = Engine(shapes="bucketed", lengths=(4, 2, 6, 4), batches=(3, 1))
    made, proof = stage.apply(parent, tmp_path / "made", MATERIALS)
    promised = stage.check(parent.spec, MATERIALS)

    assert made.spec.options == promised.options
    assert made.spec.options["lengths"] == [2, 4, 6]
    assert made.spec.options["batches"] == [1, 3]
    assert (made.spec.engine, made.spec.precision) == (promised.engine, promised.precision) == ("openvino", "fp32")
    assert made.spec.lineage.recipe == ({"engine": dataclasses.asdict(stage)},)
    assert "openvino" in made.spec.lineage.versions
    assert proof["linear_layer_count"] == LINEARS_COUNT
    assert proof["precision_share_ratios"] == {"fp32": 1.0}
    assert proof["parity"]["faulty"] == []
    assert set(proof["parity"]["mean_logit_difference_by_length"]) == {"alone", "together", "padded"}
    assert "fallback" not in proof
    dumps(proof)
    again = Artifact.load(tmp_path / "made")
    for batch in (1, 3, 4):
        answers = again.predict(MATERIALS.calibration, batch_example_count=batch)
        np.testing.assert_allclose(answers, parent.predict(MATERIALS.calibration), atol=1e-5)


def test_another_shape_keeps_the_files_and_changes_the_options(converted: Artifact, tmp_path: Path) -> None:
    """From OpenVINO to OpenVINO nothing is converted again, and the model's limit is not forgotten."""
    first = converted
    stage = Engine(shapes="fixed")
    second, proof = stage.apply(first, tmp_path / "second", MATERIALS)

    assert second.spec.files == first.spec.files
    assert second.spec.lineage.parent_sha256 == first.digest
    assert second.spec.options == {"shapes": "fixed", "lengths": [8], "batches": [1], "token_limit": 16}
    assert proof["parity"]["faulty"] == []
    with pytest.raises(StageError, match="a plan of 17 tokens"):
        Engine(shapes="fixed", lengths=(17,)).check(first.spec, MATERIALS)


def test_a_plan_that_does_not_compile_is_a_stage_error(
    converted: Artifact, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the library alone can find out is told in one sentence, with the shapes."""

    def refuse(folder: Path, spec: Any) -> list[Session]:
        raise RuntimeError("Check 'shape'\n failed")

    monkeypatch.setattr(openvino_engine, "open_sessions", refuse)

    with pytest.raises(StageError, match=r"lengths \[8\] and batches \[2\] \(Check 'shape' failed\); ask for other"):
        Engine(shapes="fixed", lengths=(8,), batches=(2,)).apply(converted, tmp_path / "made", MATERIALS)


def test_a_bf16_parent_keeps_half_its_bytes(parent: Artifact, converted: Artifact, tmp_path: Path) -> None:
    """Weights stay in two bytes, and the answers are those of the bf16 model, not of noise."""
    low, _ = Precision(even_if_emulated=True).apply(parent, tmp_path / "low", MATERIALS)
    model = openvino_engine.convert(low, MATERIALS.calibration.take([0, 1]))
    (tmp_path / "bf16").mkdir()
    openvino_engine.save_model(model, tmp_path / "bf16")
    compiled = openvino_engine.compile_model(str(tmp_path / "bf16" / "model.xml"), precision="fp32", thread_count=1)
    answers = compiled(dict(MATERIALS.calibration.arrays))[0]

    assert (tmp_path / "bf16" / "model.bin").stat().st_size < 0.6 * (converted.folder / "model.bin").stat().st_size
    np.testing.assert_allclose(answers, low.open()(MATERIALS.calibration.arrays), atol=2e-3)


@needs_bf16
@pytest.mark.parametrize("way", ["arithmetic", "precision"])
def test_bf16_arithmetic_is_proved(parent: Artifact, tmp_path: Path, way: str) -> None:
    """Every linear layer ran in bf16, from fp32 weights and from bf16 weights."""
    if way == "precision":
        parent, _ = Precision().apply(parent, tmp_path / "low", MATERIALS)
    stage = Engine(arithmetic="bf16" if way == "arithmetic" else "fp32", shapes="bucketed", lengths=(4, 8))
    made, proof = stage.apply(parent, tmp_path / "made", MATERIALS)

    assert made.spec.precision == "bf16"
    assert proof["precision_share_ratios"] == {"bf16": 1.0}
    assert proof["low_precision_share_ratio"] == 1.0


def test_a_silent_fallback_to_another_precision_is_refused(
    converted: Artifact, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What ran counts, not what was asked for."""
    layers = [{"name": "x", "type": "MatMul", "precision": "bf16"}] * 8
    layers += [{"name": "x", "type": "MatMul", "precision": "f32"}] * 2
    low = Artifact(converted.folder, dataclasses.replace(converted.spec, precision="bf16"))
    monkeypatch.setattr(openvino_engine, "executed_linear_layers", lambda compiled: layers)

    with pytest.raises(StageError, match="only 80% of 10 linear layers ran in bf16"):
        converter.prove_kernels(low)
    layers[-1] = layers[0]
    assert converter.prove_kernels(low)["low_precision_share_ratio"] == 0.9


def break_engine(monkeypatch: pytest.MonkeyPatch, is_wrong: Any) -> None:
    """Let OpenVINO be off by 0.3, more than the tiny model's answers differ, where ``is_wrong(options, shape)``."""
    real = openvino_engine.open_sessions

    def open_sessions(folder: Path, spec: Any) -> list[Session]:
        def broken(session: Session) -> Session:
            def call(arrays: Arrays) -> NDArray[np.floating[Any]]:
                return session(arrays) + 0.3 * is_wrong(spec.options, next(iter(arrays.values())).shape)

            return call

        return [broken(session) for session in real(folder, spec)]

    monkeypatch.setattr(openvino_engine, "open_sessions", open_sessions)


@needs_bf16
def test_bf16_that_is_wrong_at_one_length_falls_back_to_fp32(
    parent: Artifact, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The fault is in the proof with its length, and what is kept is right."""
    break_engine(monkeypatch, lambda options, shape: options.get("arithmetic") == "bf16" and shape[1] == 5)
    made, proof = Engine(arithmetic="bf16").apply(parent, tmp_path / "made", MATERIALS)

    assert (made.spec.precision, "arithmetic" in made.spec.options) == ("fp32", False)
    assert proof["fallback"] == "fp32"
    assert [fault["lengths"] for fault in proof["faults"]] == [[5]]
    assert "answers wrongly at 5 tokens" in proof["faults"][0]["said"]
    assert proof["precision_share_ratios"] == {"fp32": 1.0}
    assert Artifact.load(tmp_path / "made").digest == made.digest
    dumps(proof)


def test_a_wrong_plan_is_dropped(parent: Artifact, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Texts that it would have taken are padded to the next one."""
    break_engine(
        monkeypatch,
        lambda options, shape: shape[0] == 1 and 4 in options["lengths"] and 2 < shape[1] <= 4,
    )
    made, proof = Engine(shapes="bucketed", lengths=(2, 4, 8)).apply(parent, tmp_path / "made", MATERIALS)

    assert made.spec.options["lengths"] == [2, 8]
    assert proof["fallback"] == "no plan for 4 tokens"
    assert proof["faults"][0]["lengths"] == [3, 4]
    assert proof["parity"]["faulty"] == []


def test_a_fault_that_no_setting_avoids_is_refused_with_its_length(
    parent: Artifact, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With plans or without, the length is named."""
    break_engine(monkeypatch, lambda options, shape: shape[1] == 7)

    with pytest.raises(StageError, match="answers wrongly at 7 tokens"):
        Engine().apply(parent, tmp_path / "dynamic", MATERIALS)
    with pytest.raises(StageError, match="answers wrongly at 7 tokens"):
        Engine(shapes="bucketed", lengths=(2, 4)).apply(parent, tmp_path / "bucketed", MATERIALS)


def test_the_only_plan_is_not_dropped(parent: Artifact, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without it nothing of what was asked for would be left."""
    break_engine(monkeypatch, lambda options, shape: shape[0] == 1)

    with pytest.raises(StageError, match="answers wrongly at 1, 2, 3, 4, 5, 6, 7, 8 tokens"):
        Engine(shapes="fixed").apply(parent, tmp_path / "made", MATERIALS)


def test_images_are_planned_by_batch(tmp_path: Path) -> None:
    """A convolutional network has its sizes fixed and its batch free, and a plan for three images."""
    config = {"channels_counts": [4, 8], "class_count": 2}
    torch.manual_seed(0)
    parent = seal(tmp_path / "p", small_convnet(config), small_convnet, config)
    made, proof = Engine(shapes="fixed", batches=(3,)).apply(parent, tmp_path / "made", Materials(IMAGES))
    compiled = openvino_engine.compile_plans(made.folder, made.spec)

    assert list(compiled) == [None, (3, 0)]
    assert compiled[3, 0].input(0).shape == [3, 1, 8, 8]
    assert str(compiled[None].input(0).partial_shape) == "[?,1,8,8]"
    assert proof["linear_layer_count"] == 3
    for batch in (1, 3, 5):
        answers = made.predict(IMAGES, batch_example_count=batch)
        np.testing.assert_allclose(answers, parent.predict(IMAGES), atol=1e-5)


def test_a_transformers_classifier_is_converted_too(tmp_path: Path) -> None:
    """The architecture of a table workload is no different from ours."""
    config = {
        "model_type": "bert",
        **{key: CONFIG[key] for key in ("vocab_size", "hidden_size", "num_attention_heads", "intermediate_size")},
        **{key: CONFIG[key] for key in ("num_hidden_layers", "max_position_embeddings")},
        "num_labels": 2,
    }
    torch.manual_seed(0)
    parent = seal(tmp_path / "p", sequence_classifier(config), sequence_classifier, config)
    made, proof = Engine(shapes="bucketed", lengths=(4, 8)).apply(parent, tmp_path / "made", MATERIALS)

    assert proof["parity"]["faulty"] == []
    assert made.spec.options["token_limit"] == 16


@pytest.mark.parametrize(
    ("lengths", "longest", "edges"),
    [
        ([*range(1, 101)], 256, (*range(8, 100, 4), 96, 104)),
        ([24] * 95 + [40] * 5, 256, (8, 12, 16, 20, 24, 32, 40)),
        ([24] * 100, 20, (8, 12, 16, 20)),
        ([24] * 100, 22, (8, 12, 16, 20, 22)),
        ([3] * 100, 256, (8,)),
        ([3] * 100, 6, (6,)),
    ],
)
def test_buckets_are_fine_where_texts_are_and_end_where_nearly_all_end(
    lengths: list[int], longest: int, edges: tuple[int, ...]
) -> None:
    """Every fourth to the 95 % quantile, every eighth to the 99 % quantile, and never beyond the model."""
    mask = (np.arange(max(lengths)) < np.array(lengths)[:, None]).astype(np.int64)
    materials = Materials(Encoded({"input_ids": mask, MASK: mask}))

    assert bucket_edges(materials, longest=longest) == tuple(sorted(set(edges)))


def test_the_fixed_length_holds_every_calibration_text(parent: Artifact) -> None:
    """Rounded up to eight, and never beyond what the model takes."""
    limit = dataclasses.replace(parent.spec, config={"max_position_embeddings": 6})

    assert Engine(shapes="fixed").check(parent.spec, MATERIALS).options["lengths"] == [8]
    assert Engine(shapes="fixed").check(parent.spec, Materials(make_inputs(3))).options["lengths"] == [8]
    assert Engine(shapes="fixed").check(limit, MATERIALS).options["lengths"] == [6]
