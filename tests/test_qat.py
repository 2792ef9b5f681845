"""Training with int8 in place: what is simulated is what OpenVINO runs, and batch normalisation stays folded."""

import dataclasses
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from perflib.artifact import Artifact, Lineage, Runtime, softmax
from perflib.compression.fake_quant import (
    InputQuantizer,
    WeightQuantizer,
    observe_ranges,
    quantizable_layers,
    simulated_int8,
)
from perflib.compression.materials import Labelled, Materials
from perflib.compression.qat import check_qat, prepare_student, prove_answers, prove_kernels, train_quantized
from perflib.compression.quantize import Quantize
from perflib.compression.teaching import answer
from perflib.encoded import Encoded
from perflib.engines import openvino_engine
from perflib.engines.torch_engine import builder_name, load_module, save_module
from perflib.errors import SetupError, StageError
from perflib.records import read_json
from perflib.workloads.convnet import small_convnet
from tests.test_folding import DIGITS, norms_count, with_statistics
from tests.tiny_artifact import LINEARS_COUNT, make_inputs, write_artifact

OPTIONS = Quantize(scheme="int8-qat", calibration_examples=8, learning_rate=1e-4)


def labelled(inputs: Encoded, *, classes_count: int = 3) -> Labelled:
    """Give inputs the class numbers 0, 1, 2, 0, 1 …"""
    return Labelled(inputs, np.arange(len(inputs), dtype=np.int64) % classes_count)


def of_texts() -> Materials:
    """Few texts of lengths 1 to 8."""
    return Materials(make_inputs(16), train=labelled(make_inputs(16)), tuning=labelled(make_inputs(24)))


def images(count: int) -> Encoded:
    """Random 8 × 8 images."""
    return Encoded({"images": np.random.default_rng(0).random((count, 1, 8, 8), np.float32)})


def write_convnet(folder: Path) -> Artifact:
    """The network of digits with statistics that a training could have left."""
    save_module(with_statistics(small_convnet(DIGITS)), folder)
    return Artifact.seal(
        folder,
        engine="torch",
        precision="fp32",
        builder=builder_name(small_convnet),
        config=DIGITS,
        labels=tuple("0123456789"),
        runtime=Runtime(thread_count=1),
        lineage=Lineage("toy", None, (), {}),
    )


# --- the simulation ---------------------------------------------------------------------------------------------


def test_weights_are_rounded_per_channel_as_by_hand() -> None:
    """One part in 127 of the largest weight of each channel is a level; a channel of zeros stays zero."""
    weight = torch.tensor([[1.27, -0.014, 0.006], [0.0, 0.0, 0.0], [-254.0, 3.1, 0.9]])

    expected = torch.tensor([[1.27, -0.01, 0.01], [0.0, 0.0, 0.0], [-254.0, 4.0, 0.0]])
    torch.testing.assert_close(WeightQuantizer()(weight), expected)


def test_inputs_are_rounded_and_clipped_to_their_range() -> None:
    """Between -0.55 and 2.00 a level is 0.01, zero is exact, and what lies outside is the nearest end."""
    given = torch.tensor([0.0, 0.014, -0.016, 5.0, -5.0])

    torch.testing.assert_close(
        InputQuantizer(-0.55, 2.0).eval()(given), torch.tensor([0.0, 0.01, -0.02, 2.0, -0.55]), atol=1e-6, rtol=0
    )


@pytest.mark.parametrize(
    ("low", "high", "ends"), [(1.0, 2.55, (0.0, 2.55)), (-2.55, -1.0, (-2.55, 0.0)), (0, 0, (0, 0))]
)
def test_every_range_holds_zero(low: float, high: float, ends: tuple[float, float]) -> None:
    """Padding is exactly zero, so a range is stretched to it."""
    given = torch.tensor([-9.0, 0.0, 9.0])

    rounded = InputQuantizer(low, high).eval()(given)
    torch.testing.assert_close(rounded, torch.tensor([ends[0], 0.0, ends[1]]), atol=1e-6, rtol=0)


def test_a_range_follows_the_inputs_only_while_training() -> None:
    """Each batch moves the ends by one part in a hundred of the way."""
    quantizer = InputQuantizer(-1.0, 1.0)
    quantizer.train()(torch.tensor([-2.0, 3.0]))
    quantizer.eval()(torch.tensor([-9.0, 9.0]))

    assert (float(quantizer.low), float(quantizer.high)) == pytest.approx((-1.01, 1.02))


def test_gradients_pass_through_the_rounding() -> None:
    """Inside the range the gradient is one, outside it is none; otherwise nothing would be learnt."""
    given = torch.tensor([0.3, 0.7, 9.0], requires_grad=True)
    InputQuantizer(0.0, 1.0).eval()(given).sum().backward()

    assert given.grad is not None
    assert given.grad.tolist() == [1.0, 1.0, 0.0]


def test_ranges_are_the_mean_extremes_of_batches(tmp_path: Path) -> None:
    """An independent watch over single examples finds the same for the first layer of the convolutional network."""
    module = load_module((parent := write_convnet(tmp_path)).folder, parent.spec)
    inputs = images(5)
    found = observe_ranges(module, inputs, batch_example_count=1)
    pixels = inputs.arrays["images"].reshape(5, -1)

    assert list(found) == ["stages.0", "stages.4", "head"]
    assert found["stages.0"] == pytest.approx((pixels.min(axis=1).mean(), pixels.max(axis=1).mean()))


def test_simulated_int8_ends_without_a_trace(tmp_path: Path) -> None:
    """The answers move while it lasts, also after an error, and are bit for bit the old ones afterwards."""
    parent, inputs = write_artifact(tmp_path), make_inputs()
    module = load_module(parent.folder, parent.spec)
    before, names = answer(module, inputs), set(module.state_dict())
    ranges = observe_ranges(module, inputs)

    def fail() -> None:
        with simulated_int8(module, ranges, quantizable_layers(module)):
            assert np.abs(answer(module, inputs) - before).max() > 1e-6
            raise RuntimeError("in the middle")

    with pytest.raises(RuntimeError, match="in the middle"):
        fail()
    np.testing.assert_array_equal(answer(module, inputs), before)
    assert set(module.state_dict()) == names


# --- the stage --------------------------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class Trained:
    """A text model before and after training with int8 in place."""

    parent: Artifact
    made: Artifact
    proof: dict[str, Any]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """Train once for all tests that only look."""
    folder = tmp_path_factory.mktemp("qat")
    parent = write_artifact(folder / "parent")
    return Trained(parent, *train_quantized(OPTIONS, parent, folder / "made", of_texts()))


def test_a_text_model_is_trained_and_runs_in_int8_as_simulated(trained: Trained) -> None:
    """All linear layers are int8, the engine's answers are the simulation's, and the weights have moved."""
    made, proof = trained.made, trained.proof
    assert (made.spec.engine, made.spec.precision, made.spec.builder) == ("openvino", "int8", None)
    assert (proof["linear_layer_count"], proof["low_precision_share_ratio"]) == (LINEARS_COUNT, 1.0)
    assert proof["mean_answer_difference_ratio"] < 1e-4
    assert proof["folded_batch_norm_count"] == 0
    # Beside the weights there is the graph, which outweighs so small a model.
    assert (made.folder / "model.bin").stat().st_size < 0.35 * trained.parent.size_bytes
    assert len(read_json(made.folder / "ranges.json")["input_ranges"]) == LINEARS_COUNT
    untrained, _ = prepare_student(trained.parent, make_inputs(16).stratified(8))
    moved = np.abs(made.predict(make_inputs(24)) - softmax(answer(untrained, make_inputs(24)))).max()
    assert 1e-6 < moved < 0.2
    assert Artifact.load(made.folder).spec.lineage.recipe == ({"quantize": dataclasses.asdict(OPTIONS)},)


def test_a_convolutional_model_stays_folded(tmp_path: Path) -> None:
    """Two normalisations are folded before training and none comes back; both convolutions and the head are int8."""
    parent = write_convnet(tmp_path / "parent")
    data = labelled(images(32), classes_count=10)
    materials = Materials(images(16), train=data, tuning=data)
    student, folded_count = prepare_student(parent, images(16))
    made, proof = train_quantized(OPTIONS, parent, tmp_path / "made", materials)

    assert (folded_count, norms_count(student)) == (2, 0)
    assert proof["folded_batch_norm_count"] == 2
    assert (proof["linear_layer_count"], proof["low_precision_share_ratio"]) == (3, 1.0)
    xml = (tmp_path / "made" / "model.xml").read_text(encoding="utf-8")
    assert "BatchNorm" not in xml
    assert set(read_json(tmp_path / "made" / "ranges.json")["input_ranges"]) == {"stages.0", "stages.4", "head"}
    # As far from the parent as int8 is, not as another model is.
    assert np.abs(made.predict(data.inputs) - parent.predict(data.inputs)).mean() < 0.05


def test_a_kept_block_stays_in_floating_point(tmp_path: Path) -> None:
    """What is named by `keep` is not rounded, and the proof counts it."""
    options = dataclasses.replace(OPTIONS, keep=("encoder.layer.0.attention", "head"))
    _, proof = train_quantized(options, write_artifact(tmp_path / "parent"), tmp_path / "made", of_texts())

    ranges = read_json(tmp_path / "made" / "ranges.json")["input_ranges"]
    assert len(ranges) == LINEARS_COUNT - 5
    assert not any(name.startswith(("encoder.layer.0.attention", "head")) for name in ranges)
    assert proof["low_precision_share_ratio"] == pytest.approx((LINEARS_COUNT - 5) / LINEARS_COUNT)


def test_training_teaches(tmp_path: Path) -> None:
    """The engine's cross-entropy against the labels is lower than that of the same model without training."""
    parent, inputs = write_convnet(tmp_path / "parent"), images(64)
    data = Labelled(inputs, parent.predict(inputs).argmax(axis=1))
    materials = Materials(images(16), train=data, tuning=data)
    untrained, _ = prepare_student(parent, materials.sample(8, stage="quantize"))
    options = dataclasses.replace(OPTIONS, epochs=2, learning_rate=5e-4)
    made, _ = train_quantized(options, parent, tmp_path / "made", materials)

    def loss_nat(answers: Any) -> float:
        return float(-np.log(answers[np.arange(64), data.labels]).mean())

    assert loss_nat(made.predict(inputs)) < loss_nat(softmax(answer(untrained, inputs))) - 0.01


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"engine": "onnxruntime"}, "int8-qat is for engine: openvino, not for onnxruntime"),
        ({"calibrator": "mse"}, "calibrator: mse is no use"),
        ({"per_channel": False}, "leave per_channel out"),
        ({"epochs": 0}, "epochs is 0; give at least 1"),
        ({"learning_rate": 0.0}, "learning_rate is 0.0; give more than 0"),
        ({"learning_rate": float("nan")}, "learning_rate is nan"),
        ({"calibration_examples": 17}, "from 1 to 16"),
        ({"calibration_examples": 0}, "from 1 to 16"),
    ],
)
def test_what_cannot_be_trained_is_refused_before_work(tmp_path: Path, changes: dict[str, Any], said: str) -> None:
    """One sentence, and nothing is written."""
    options = dataclasses.replace(OPTIONS, **changes)
    parent = write_artifact(tmp_path / "parent")

    with pytest.raises(StageError, match=said):
        check_qat(options, parent.spec, of_texts())
    with pytest.raises(StageError, match=said):
        train_quantized(options, parent, tmp_path / "made", of_texts())
    assert not (tmp_path / "made").exists()


@pytest.mark.parametrize("split", ["train", "tuning"])
def test_a_missing_split_is_refused(tmp_path: Path, split: str) -> None:
    """Training needs train, the proof needs tuning."""
    materials = dataclasses.replace(of_texts(), **{split: None})

    with pytest.raises(StageError, match=f"needs the {split} split"):
        check_qat(OPTIONS, write_artifact(tmp_path).spec, materials)


def test_check_says_what_will_come_out(tmp_path: Path) -> None:
    """The next stage of a recipe is checked against it; a quantized parent is refused."""
    predicted = check_qat(OPTIONS, write_artifact(tmp_path).spec, of_texts())

    assert (predicted.engine, predicted.precision) == ("openvino", "int8")
    with pytest.raises(StageError, match="takes a torch fp32 artifact"):
        check_qat(OPTIONS, predicted, of_texts())


def test_a_silent_fallback_is_a_failed_stage(trained: Trained, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nine in ten of the layers that were to be int8 have to be; kept ones are not asked for."""
    layers = [{"name": "a", "type": "FullyConnected", "precision": kind} for kind in ["u8"] * 9 + ["f32"] * 4]
    monkeypatch.setattr(openvino_engine, "executed_linear_layers", lambda compiled: layers)

    assert prove_kernels(trained.made, 10)["low_precision_share_ratio"] == pytest.approx(9 / 13)
    with pytest.raises(StageError, match="only 9 of 11 quantized layers ran in int8"):
        prove_kernels(trained.made, 11)


def test_other_answers_than_trained_are_refused(trained: Trained) -> None:
    """An engine whose int8 saturates would answer otherwise; exactly one part in a hundred still passes."""
    tuning = labelled(make_inputs(24))
    given = trained.made.predict(tuning.inputs)

    assert prove_answers(trained.made, given + np.float32(0.0099), tuning)["mean_answer_difference_ratio"] < 0.01
    with pytest.raises(StageError, match=r"differ by 0\.011 on average"):
        prove_answers(trained.made, given + np.float32(0.011), tuning)
    with pytest.raises(StageError, match="differ by nan"):
        prove_answers(trained.made, given * np.float32("nan"), tuning)


def test_without_openvino_the_sentence_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A missing package is a matter of setup."""
    monkeypatch.delattr("perflib.engines.openvino_engine")
    monkeypatch.setitem(sys.modules, "perflib.engines.openvino_engine", None)

    with pytest.raises(SetupError, match="pip install openvino"):
        train_quantized(OPTIONS, write_artifact(tmp_path / "parent"), tmp_path / "made", of_texts())
