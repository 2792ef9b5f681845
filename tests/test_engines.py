"""Engines: the door opens by name, and the torch engine runs nothing that is not a marked builder."""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from perflib import engines, machine
from perflib.artifact import Artifact, Runtime
from perflib.engines import openvino_engine, torch_engine
from perflib.errors import DataError, ParameterError, SetupError
from tests.tiny_artifact import CONFIG, make_inputs, write_artifact


def test_an_unknown_engine_is_a_parameter_error(tmp_path: Path) -> None:
    """The sentence suggests the engine that was meant."""
    spec = write_artifact(tmp_path).spec

    with pytest.raises(ParameterError, match="engine `opnvino` is not known; did you mean `openvino`"):
        engines.open_sessions("opnvino", tmp_path, spec)


def test_an_engine_without_its_package_is_a_setup_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A missing package is said in one sentence, with what to install."""
    monkeypatch.setitem(engines._BUILT_IN, "ghost", "perflib.engines.no_such_module")

    with pytest.raises(SetupError, match="install it with pip"):
        engines.open_sessions("ghost", tmp_path, write_artifact(tmp_path).spec)


@pytest.mark.parametrize("builder", ["os:system", "builtins:eval", "perflib.workloads.bert:MeanPooledClassifier"])
def test_a_function_that_is_no_marked_builder_is_never_called(tmp_path: Path, builder: str) -> None:
    """A record cannot make perflib call what it likes."""
    write_artifact(tmp_path, builder=builder)

    with pytest.raises(DataError, match="not marked as a model builder"):
        Artifact.load(tmp_path).open()


@pytest.mark.parametrize("builder", ["no_such_package:build", "os:no_such_function", "nothing", ":x"])
def test_a_builder_that_cannot_be_imported_is_a_data_error(tmp_path: Path, builder: str) -> None:
    """An architecture from a package that is not installed is said in one sentence."""
    write_artifact(tmp_path, builder=builder)

    with pytest.raises(DataError, match="cannot be imported"):
        Artifact.load(tmp_path).open()


def test_weights_of_another_shape_are_refused(tmp_path: Path) -> None:
    """A configuration that does not belong to the weights fails in one sentence."""
    artifact = write_artifact(tmp_path)
    artifact.spec.config["hidden_size"] = 32

    with pytest.raises(DataError, match="do not fit"):
        torch_engine.load_module(tmp_path, artifact.spec)


def test_cuda_is_refused_where_there_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An artifact that is served on a GPU does not fall back silently."""
    monkeypatch.setattr(machine, "has_cuda", lambda: False)
    artifact = write_artifact(tmp_path, runtime=Runtime(device="cuda"))

    with pytest.raises(SetupError, match="no CUDA device"):
        artifact.open()


def test_a_module_is_loaded_in_evaluation_mode_with_its_weights(tmp_path: Path) -> None:
    """Dropout is off and every tensor is the saved one."""
    artifact = write_artifact(tmp_path)
    torch.manual_seed(0)
    original = torch_engine._builder(artifact.spec.builder)(CONFIG)
    loaded = torch_engine.load_module(tmp_path, artifact.spec)

    assert not loaded.training
    assert all(torch.equal(tensor, original.state_dict()[name]) for name, tensor in loaded.state_dict().items())


def test_a_session_answers_with_logits_on_the_host(tmp_path: Path) -> None:
    """One call takes arrays and returns float32, and the runtime's threads are in force."""
    session = write_artifact(tmp_path).open()
    logits = session(make_inputs(3).arrays)

    assert logits.shape == (3, 3)
    assert logits.dtype == np.float32
    assert torch.get_num_threads() == 1


def test_padding_does_not_change_an_answer(tmp_path: Path) -> None:
    """A text alone and the same text padded in a batch get the same probabilities."""
    artifact, inputs = write_artifact(tmp_path), make_inputs(8)
    together = artifact.predict(inputs)
    alone = np.concatenate([artifact.predict(inputs.take([row])) for row in range(len(inputs))])

    np.testing.assert_allclose(together, alone, atol=1e-6)


def test_floating_inputs_take_the_precision_and_token_ids_stay_integers() -> None:
    """Rounding a token id to bf16 would change the text."""
    arrays = {"ids": np.array([[300, 301]]), "image": np.zeros((1, 2), np.float32)}
    tensors = torch_engine.to_tensors(arrays, device="cpu", dtype=torch.bfloat16)

    assert tensors["ids"].dtype == torch.int64
    assert tensors["image"].dtype == torch.bfloat16


# --- OpenVINO -----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def on_openvino(tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    """The tiny BERT, converted."""
    parent = write_artifact(tmp_path_factory.mktemp("torch"))
    folder = tmp_path_factory.mktemp("openvino")
    openvino_engine.save_model(openvino_engine.convert(parent, make_inputs(8).take([2, 3])), folder)
    return parent.derive(folder, {}, engine="openvino", builder=None, config={})


def served(artifact: Artifact, **changes: Any) -> Artifact:
    """Return the artifact with other options or another runtime block."""
    return Artifact(artifact.folder, dataclasses.replace(artifact.spec, **changes))


def spy_plans(monkeypatch: pytest.MonkeyPatch) -> list[tuple[tuple[int, ...], tuple[int, ...]]]:
    """Record the shape that each planned call was given, and the shape that it ran in."""
    seen: list[tuple[tuple[int, ...], tuple[int, ...]]] = []
    real = openvino_engine._Plan.__call__

    def call(plan: Any, arrays: Any) -> Any:
        seen.append((arrays["input_ids"].shape, plan._buffers["input_ids"].shape))
        return real(plan, arrays)

    monkeypatch.setattr(openvino_engine._Plan, "__call__", call)
    return seen


def test_a_planned_call_is_padded_to_the_next_length_and_others_are_not_planned(
    on_openvino: Artifact, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Borders exact: a length that is planned takes its own plan, one above takes the next, the rest none."""
    options = {"shapes": "bucketed", "lengths": [3, 6], "batches": [1, 2]}
    seen, inputs = spy_plans(monkeypatch), make_inputs(8)
    session, want = served(on_openvino, options=options).open(), on_openvino.open()(inputs.arrays)

    for row in range(8):
        np.testing.assert_allclose(session(inputs.take([row]).arrays), want[[row]], atol=1e-6)
    assert seen == [((1, n), (1, 3)) for n in (1, 2, 3)] + [((1, n), (1, 6)) for n in (4, 5, 6)]
    seen.clear()
    for rows in ([0, 3], [3, 4, 5], [6, 7]):
        np.testing.assert_allclose(session(inputs.take(rows).arrays), want[rows], atol=1e-6)
    assert seen == [((2, 4), (2, 6))]


def test_a_short_text_after_a_long_one_meets_none_of_its_tokens(on_openvino: Artifact) -> None:
    """Buffers are used again, so what a call does not fill must be empty."""
    session = served(on_openvino, options={"shapes": "fixed", "lengths": [8], "batches": [1]}).open()
    long, short = make_inputs(8).take([7]).arrays, make_inputs(8).take([1]).arrays
    first = session(short)
    kept = first.copy()
    session(long)

    np.testing.assert_array_equal(session(short), kept)
    np.testing.assert_array_equal(first, kept)  # an answer that was handed out is not written over


def test_everything_is_compiled_when_the_artifact_is_opened(
    on_openvino: Artifact, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Three plans are four compilations at opening and none in a call."""
    compiled: list[Any] = []
    real = openvino_engine.compile_model
    monkeypatch.setattr(
        openvino_engine, "compile_model", lambda *given, **named: compiled.append(1) or real(*given, **named)
    )
    session = served(on_openvino, options={"shapes": "bucketed", "lengths": [2, 4, 6], "batches": [1]}).open()

    assert len(compiled) == 4
    for row in range(8):
        session(make_inputs(8).take([row]).arrays)
    assert len(compiled) == 4


@pytest.mark.parametrize("options", [{}, {"shapes": "bucketed", "lengths": [4, 8], "batches": [2]}])
def test_replicas_share_one_compiled_model_with_a_stream_each(
    on_openvino: Artifact, monkeypatch: pytest.MonkeyPatch, options: dict[str, Any]
) -> None:
    """Weights are held once; threads are those of all replicas; answers keep their places."""
    made: list[Any] = []
    real = openvino_engine.compile_model
    monkeypatch.setattr(
        openvino_engine, "compile_model", lambda *given, **named: made.append(real(*given, **named)) or made[-1]
    )
    runtime = Runtime(batching="sorted", batch_example_count=2, thread_count=1, replica_count=2)
    artifact, inputs = served(on_openvino, options=options, runtime=runtime), make_inputs(24)

    np.testing.assert_allclose(artifact.predict(inputs), on_openvino.predict(inputs), atol=1e-6)
    assert len(engines.open_sessions("openvino", artifact.folder, artifact.spec)) == 2
    assert len(made) == 2 * (1 + len(options.get("lengths", ())))
    assert {model.get_property("NUM_STREAMS") for model in made} == {2}
    assert {model.get_property("INFERENCE_NUM_THREADS") for model in made} == {2}


def test_settings_of_an_artifact_reach_the_engine_and_stand_above_ours(
    on_openvino: Artifact, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An int8 model computes the rest in fp32, unless its options say otherwise."""
    given: list[dict[str, Any]] = []
    monkeypatch.setattr(
        openvino_engine.openvino.Core, "compile_model", lambda core, model, device, settings: given.append(settings)
    )
    for options in (
        {},
        {"arithmetic": "bf16"},
        {"settings": {"INFERENCE_PRECISION_HINT": "f16", "CPU_DENORMALS": "YES"}},
    ):
        openvino_engine.compile_plans(on_openvino.folder, served(on_openvino, precision="int8", options=options).spec)

    assert [settings["INFERENCE_PRECISION_HINT"] for settings in given] == ["f32", "bf16", "f16"]
    assert given[2]["CPU_DENORMALS"] == "YES"
    assert {settings["INFERENCE_NUM_THREADS"] for settings in given} == {1}


def test_an_embedding_that_is_packed_is_unpacked_once_for_all_plans(on_openvino: Artifact, tmp_path: Path) -> None:
    """After the folding the table is one constant, with the values that the packed one stands for."""
    import openvino

    ops = openvino.opset13
    packed = np.arange(-6, 6, dtype=np.int8).reshape(4, 3)
    ids = ops.parameter([-1, -1], np.int64, name="input_ids")
    table = ops.multiply(ops.convert(ops.constant(packed), "f32"), ops.constant(np.float32(0.5)))
    model = openvino.Model([ops.gather(table, ids, ops.constant(np.int64(0)))], [ids])
    openvino_engine._fold_tables(model)
    (gather,) = [node for node in model.get_ordered_ops() if node.get_type_name() == "Gather"]
    source = gather.input(0).get_source_output().get_node()

    assert source.get_type_name() == "Constant"
    np.testing.assert_array_equal(source.data, packed * np.float32(0.5))


def test_shares_of_precisions_are_named_as_ours() -> None:
    """Signed and unsigned int8 are one precision; what is unknown keeps its name."""
    layers = [{"precision": name} for name in ("i8", "u8", "u8", "f32", "bf16", "f16", "boolean", "f32")]

    assert openvino_engine.precision_shares(layers) == {
        "bf16": 0.125,
        "boolean": 0.125,
        "fp16": 0.125,
        "fp32": 0.25,
        "int8": 0.375,
    }
    assert openvino_engine.precision_shares([]) == {}
    assert (openvino_engine.int8_share(layers), openvino_engine.int8_share([])) == (0.375, 0.0)
