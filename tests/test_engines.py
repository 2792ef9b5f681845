"""Engines: the door opens by name, and the torch engine runs nothing that is not a marked builder."""

from pathlib import Path

import numpy as np
import pytest
import torch
from tiny_artifact import CONFIG, make_inputs, write_artifact

from perflib import engines, machine
from perflib.artifact import Artifact, Runtime
from perflib.engines import torch_engine
from perflib.errors import DataError, ParameterError, SetupError


def test_an_unknown_engine_is_a_parameter_error(tmp_path: Path) -> None:
    """The sentence suggests the engine that was meant."""
    spec = write_artifact(tmp_path).spec

    with pytest.raises(ParameterError, match="engine `opnvino` is not known; did you mean `openvino`"):
        engines.open_session("opnvino", tmp_path, spec)


def test_an_engine_without_its_package_is_a_setup_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A missing package is said in one sentence, with what to install."""
    monkeypatch.setitem(engines._BUILT_IN, "ghost", "perflib.engines.no_such_module")

    with pytest.raises(SetupError, match="install it with pip"):
        engines.open_session("ghost", tmp_path, write_artifact(tmp_path).spec)


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
