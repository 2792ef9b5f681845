"""int8: the executed graph is read, the conversion is compared, and a silent fallback is a failed stage."""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tiny_artifact import LINEARS_COUNT, make_inputs, write_artifact

from perflib.artifact import Artifact, Lineage, Runtime
from perflib.compression import int8
from perflib.compression.int8 import Int8, parity
from perflib.compression.stage import Materials, build_candidate, parse_recipe
from perflib.encoded import Encoded
from perflib.engines import openvino_engine
from perflib.engines.torch_engine import builder_name, save_module
from perflib.errors import StageError
from perflib.results import Build
from perflib.workloads.convnet import small_convnet

RECIPE = parse_recipe([{"int8": {"calibration_example_count": 16}}])


def write_convnet(folder: Path) -> Artifact:
    """Write the digits network with random weights."""
    torch.manual_seed(0)
    config = {"channels_counts": [16, 32], "class_count": 10}
    save_module(small_convnet(config), folder)
    return Artifact.seal(
        folder,
        engine="torch",
        precision="fp32",
        builder=builder_name(small_convnet),
        config=config,
        labels=tuple("0123456789"),
        runtime=Runtime(thread_count=1),
        lineage=Lineage("toy", None, (), {}),
    )


def images(count: int) -> Encoded:
    """Return random images of 8 x 8 pixels."""
    return Encoded({"images": np.random.default_rng(0).random((count, 1, 8, 8), np.float32)})


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[Artifact, Artifact, Build]:
    """A tiny BERT and its int8 candidate."""
    folder = tmp_path_factory.mktemp("int8")
    parent = write_artifact(folder / "parent")
    made, record = build_candidate(
        "int8", RECIPE, parent=parent, folder=folder / "made", materials=Materials(make_inputs(24))
    )
    return parent, made, record


def test_the_executed_graph_of_a_bert_is_int8(built: tuple[Artifact, Artifact, Build]) -> None:
    """At least nine in ten linear layers really ran in int8, and the record proves it."""
    parent, made, record = built
    (proof,) = record.proofs

    assert (made.spec.engine, made.spec.precision) == ("openvino", "int8")
    assert proof["low_precision_share_ratio"] >= 0.9
    assert proof["linear_layer_count"] == LINEARS_COUNT
    assert proof["conversion_largest_logit_difference"] <= int8.PARITY_LOGIT
    assert made.spec.runtime == parent.spec.runtime
    assert made.spec.lineage.parent_sha256 == parent.digest
    assert made.spec.lineage.details["calibration_example_count"] == 16


def test_the_answers_of_int8_are_near_the_parents_at_every_length(built: tuple[Artifact, Artifact, Build]) -> None:
    """Quantized probabilities are close to the source's, example by example."""
    parent, made, _ = built
    inputs = make_inputs(40)

    np.testing.assert_allclose(made.predict(inputs), parent.predict(inputs), atol=0.05)


def test_the_loaded_artifact_needs_no_python_model(built: tuple[Artifact, Artifact, Build]) -> None:
    """The engine's own files suffice, and the digest of what is loaded is that of the record."""
    _, made, record = built

    assert made.spec.builder is None
    assert Artifact.load(made.folder).digest == record.artifact_sha256


def test_a_convnet_is_quantized_too(tmp_path: Path) -> None:
    """Convolutions count as linear layers, and nothing asks for a mask."""
    parent = write_convnet(tmp_path / "parent")
    made, record = build_candidate(
        "int8", RECIPE, parent=parent, folder=tmp_path / "made", materials=Materials(images(24))
    )
    (proof,) = record.proofs

    assert proof["low_precision_share_ratio"] >= 0.9
    assert proof["linear_layer_count"] == 3
    np.testing.assert_allclose(made.predict(images(9)), parent.predict(images(9)), atol=0.05)


@pytest.mark.parametrize("wrong", [0.5, np.nan, np.inf])
def test_a_wrong_conversion_is_refused(built: tuple[Artifact, Artifact, Build], wrong: float) -> None:
    """One logit that differs, or is no number, at one length only, is enough; nothing is quantized."""
    parent, _, _ = built
    session = parent.open()

    def converted(arrays: dict[str, Any]) -> list[Any]:
        logits = np.array(session(arrays))
        if arrays["input_ids"].shape[1] == 3:
            logits[0, 0] += wrong
        return [logits]

    with pytest.raises(StageError, match=r"the converted model differs from its source by .* nothing was quantized"):
        parity(parent, converted, make_inputs(24))


def test_a_failed_parity_leaves_no_artifact(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The stage ends before it quantizes."""
    monkeypatch.setattr(int8, "PARITY_LOGIT", -1.0)
    with pytest.raises(StageError, match="nothing was quantized"):
        build_candidate(
            "int8",
            RECIPE,
            parent=write_convnet(tmp_path / "parent"),
            folder=tmp_path / "made",
            materials=Materials(images(8)),
        )

    assert [path.name for path in tmp_path.iterdir()] == ["parent"]


def test_a_silent_fallback_is_refused(built: tuple[Artifact, Artifact, Build], monkeypatch: pytest.MonkeyPatch) -> None:
    """A graph that runs half its layers in fp32 is no int8 model, whatever its file says."""
    monkeypatch.setattr(openvino_engine, "int8_share", lambda layers: 0.5)
    with pytest.raises(StageError, match=f"only 50% of {LINEARS_COUNT} linear layers ran in int8"):
        int8.prove_int8(built[1])


def test_the_share_counts_layers_by_what_they_ran_in() -> None:
    """Signed and unsigned bytes are int8; a graph without linear layers proves nothing."""
    layers = [{"precision": word} for word in ("i8", "u8", "f32", "bf16")]

    assert openvino_engine.int8_share(layers) == 0.5
    assert openvino_engine.int8_share([]) == 0.0


def test_a_parent_that_does_not_suit_is_refused_before_any_work(built: tuple[Artifact, Artifact, Build]) -> None:
    """Another engine, another precision, CUDA and no calibration are refused in one sentence each."""
    parent, made, _ = built
    on_cuda = dataclasses.replace(parent.spec, runtime=Runtime(device="cuda"))
    for stage, spec, said in (
        (Int8(), made.spec, "its parent is openvino int8; put it first"),
        (Int8(), dataclasses.replace(parent.spec, precision="bf16"), "its parent is torch bf16"),
        (Int8(), on_cuda, "use device: cpu"),
        (Int8(0), parent.spec, "give at least 1"),
    ):
        with pytest.raises(StageError, match=said):
            stage.check(spec)
