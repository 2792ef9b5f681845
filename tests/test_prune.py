"""Pruning: what goes first, what stays the same when nothing of weight goes, and what is refused."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from perflib.artifact import Artifact, Lineage, Runtime
from perflib.compression import bert_surgery, conv_surgery
from perflib.compression.choosing import choose, kept_count
from perflib.compression.importance import Judge, Score, Units
from perflib.compression.materials import Labelled, Materials
from perflib.compression.prune import Prune
from perflib.compression.stage import check_recipe, parse_recipe
from perflib.compression.zeroing import held, prunable_layers, zero_masks, zero_share
from perflib.encoded import MASK, Encoded
from perflib.engines.torch_engine import builder_name, load_module, model_builder, save_module, to_tensors
from perflib.errors import ParameterError, SetupError, StageError
from perflib.workloads import finetune as finetuning
from perflib.workloads.bert import mean_pooled_classifier
from perflib.workloads.convnet import small_convnet
from tests.tiny_artifact import CONFIG, make_inputs, write_artifact

SCORES: tuple[Score, ...] = ("magnitude", "activation", "gradient")
CONV_CONFIG = {"channels_counts": [8, 12], "class_count": 10}
# Four heads and 40 neurons a layer leave more to choose between than the tiny model's two and 32.
WIDE = {**CONFIG, "num_attention_heads": 4, "intermediate_size": 40, "num_hidden_layers": 3}


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


def labelled(count: int = 24) -> Labelled:
    """Texts with random labels."""
    return Labelled(make_inputs(count), np.random.default_rng(1).integers(0, 3, count))


def text_materials(count: int = 24) -> Materials:
    return Materials(calibration=make_inputs(count), train=labelled(count), tuning=labelled(10), seed=3)


def image_materials() -> Materials:
    images = np.random.default_rng(0).random((20, 1, 8, 8)).astype(np.float32)
    examples = Labelled(Encoded({"images": images}), np.arange(20) % 10)
    return Materials(calibration=examples.inputs, train=examples, tuning=examples)


def make_bert(config: dict[str, Any] = WIDE, *, std: float = 0.3) -> torch.nn.Module:
    """Random weights, wide enough that every part has a say, also in the biases."""
    torch.manual_seed(2)
    model = mean_pooled_classifier(config)
    for name, parameter in model.named_parameters():
        if "LayerNorm" not in name:
            torch.nn.init.normal_(parameter, std=std)
    return model.eval()


def make_convnet() -> torch.nn.Module:
    """Random weights and random normalisation, as after training."""
    torch.manual_seed(0)
    model = small_convnet(CONV_CONFIG)
    for layer in model.modules():
        if isinstance(layer, torch.nn.BatchNorm2d):
            for tensor in (layer.weight, layer.bias, layer.running_var):
                assert tensor is not None
                tensor.data.uniform_(0.5, 1.5)
    return model.eval()


def seal(model: torch.nn.Module, folder: Path, config: dict[str, Any], *, builder: Any = mean_pooled_classifier) -> Any:
    save_module(model, folder)
    return Artifact.seal(
        folder,
        engine="torch",
        precision="fp32",
        builder=builder_name(builder),
        config=config,
        labels=tuple("0123456789"[: config["class_count"]]),
        runtime=Runtime(thread_count=1),
        lineage=Lineage("toy", None, (), {}),
    )


def logits_of(artifact: Artifact, inputs: Encoded) -> np.ndarray:
    return artifact.open()(inputs.arrays)


def silence(part: Units, gone: list[int]) -> None:
    """Make parts say nothing."""
    with torch.no_grad():
        for at in gone:
            part.reader.weight[:, at * part.size : (at + 1) * part.size] = 0.0


# --- the oracle of importance ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("score", SCORES)
@pytest.mark.parametrize("kind", ["heads", "neurons", "channels"])
def test_a_part_that_says_nothing_goes_first(score: Score, kind: str) -> None:
    """Zero weights in the reader make a part silent, however large the weights that make it."""
    if kind == "channels":
        model, examples = make_convnet(), image_materials().train
        example = to_tensors(image_materials().calibration.take([0]).arrays, device="cpu", dtype=torch.float32)
        parts = conv_surgery.channel_units(model, example)
    else:
        model, examples = make_bert(), labelled()
        parts = bert_surgery.head_units(model) if kind == "heads" else bert_surgery.neuron_units(model)
    for part in parts:
        silence(part, [2])
        for maker in part.makers:
            maker.data.reshape(part.count, -1)[2] *= 50

    for scores in Judge(score, examples).units(model, parts):
        assert scores[2] == 0
        assert scores.argmin() == 2
        assert (scores > 0).sum() == len(scores) - 1


def test_gradient_scores_are_what_fading_a_part_does_to_the_loss() -> None:
    """Each part's weights are scaled down by a millionth and the losses of all examples are computed again."""
    model, examples, step = make_bert().double(), labelled(12), 1e-6
    tensors = to_tensors(examples.inputs.arrays, device="cpu", dtype=torch.float64)

    def losses() -> torch.Tensor:
        with torch.no_grad():
            return F.cross_entropy(model(**tensors), torch.from_numpy(examples.labels), reduction="none")

    parts = [bert_surgery.head_units(model)[1], bert_surgery.neuron_units(model)[0]]
    found, before = Judge("gradient", examples).units(model, parts), losses()
    for part, scores in zip(parts, found, strict=True):
        brute = []
        for at in range(part.count):
            columns = part.reader.weight.data[:, at * part.size : (at + 1) * part.size]
            kept = columns.clone()
            columns *= 1 - step
            brute.append(float((losses() - before).abs().mean() / step))
            columns.copy_(kept)
        assert scores.tolist() == pytest.approx(brute, rel=1e-3)
        assert scores.argsort().tolist() == np.argsort(brute).tolist()


def test_activation_scores_are_the_size_of_what_a_part_adds() -> None:
    """The part's own product is made text by text, without padding, and its root mean square is taken."""
    model, inputs = make_bert(), make_inputs(9)
    part = bert_surgery.head_units(model)[1]
    given: list[torch.Tensor] = []
    handle = part.reader.register_forward_pre_hook(lambda _, x: given.append(x[0][0].detach()))
    with torch.no_grad():
        for row in range(len(inputs)):
            model(**to_tensors(inputs.take([row]).arrays, device="cpu", dtype=torch.float32))
    handle.remove()
    tokens = torch.cat(given)  # (real tokens, heads × size)
    assert len(tokens) == int(inputs.arrays[MASK].sum())
    wanted = []
    for head in range(part.count):
        mine = slice(head * part.size, (head + 1) * part.size)
        wanted.append(
            float((tokens[:, mine] @ part.reader.weight[:, mine].T).square().sum(dim=1).mean().sqrt().detach())
        )

    (scores,) = Judge("activation", Labelled(inputs, np.zeros(9, np.int64))).units(model, [part])

    assert scores.tolist() == pytest.approx(wanted, rel=1e-4)


@pytest.mark.parametrize("score", SCORES)
def test_a_layer_that_changes_nothing_goes_first(score: Score, tmp_path: Path) -> None:
    """A layer whose outputs are zero only normalises again what was normalised already."""
    model = idle_layer(make_bert(), 1)
    parent = seal(model, tmp_path / "parent", WIDE)

    artifact, proof = Prune(layers_ratio=0.4, score=score, score_examples=24).apply(
        parent, tmp_path / "child", text_materials()
    )

    assert proof["kept_layers"] == [0, 2]
    inputs = make_inputs()
    assert logits_of(artifact, inputs) == pytest.approx(logits_of(parent, inputs), abs=1e-5)


def idle_layer(model: torch.nn.Module, number: int) -> torch.nn.Module:
    layer: Any = bert_surgery.layers_of(model)[number]
    for dense in (layer.attention["output"].dense, layer.output.dense):
        dense.weight.data.zero_()
        dense.bias.data.zero_()
    return model


@pytest.mark.parametrize("score", SCORES)
def test_the_example_weights_score_right(score: Score) -> None:
    """Of two inputs that are the same but for one hundredth of the size, the small one's weights count less."""
    layer = torch.nn.Linear(2, 3, bias=False)
    torch.nn.init.constant_(layer.weight, 0.5)
    layer.weight.data[:, 0] = torch.tensor([0.4, 0.3, 0.2])
    model = _Named(layer)
    inputs = Encoded({"x": np.tile(np.array([[1.0, 0.01]], np.float32), (4, 1))})
    (scores,) = Judge(score, Labelled(inputs, np.array([0, 1, 2, 0]))).weights(model, [layer])

    assert bool((scores[:, 0] > scores[:, 1]).all()) == (score != "magnitude")
    if score == "activation":
        assert scores[:, 0].tolist() == pytest.approx([0.4, 0.3, 0.2])
        assert scores[:, 1].tolist() == pytest.approx([0.005] * 3)


class _Named(torch.nn.Module):
    def __init__(self, layer: torch.nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        made: torch.Tensor = self.layer(x)
        return made


def test_weights_of_a_grouped_convolution_meet_their_own_inputs() -> None:
    """Output channels of the second group read the second half of the inputs."""
    layer = torch.nn.Conv2d(4, 2, 1, groups=2, bias=False)
    torch.nn.init.ones_(layer.weight)
    images = np.ones((3, 4, 2, 2), np.float32) * np.array([1, 2, 3, 4], np.float32)[:, None, None]
    (scores,) = Judge("activation", Labelled(Encoded({"x": images}), np.zeros(3, np.int64))).weights(
        _Named(layer), [layer]
    )

    assert scores.flatten(1).tolist() == [[1, 2], [3, 4]]


# --- choosing --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("count", "ratio", "multiple", "kept"),
    [
        (12, 0.0, 1, 12),
        (12, 0.25, 1, 9),
        (10, 0.7, 1, 3),
        (100, 0.29, 1, 71),
        (2, 0.49, 1, 2),
        (2, 0.5, 1, 1),
        (3, 0.99, 1, 1),
        (1536, 0.5, 8, 768),
        (32, 0.3, 8, 24),
        (32, 0.25, 8, 24),
        (32, 0.24, 8, 32),
        (32, 0.999, 8, 8),
        (4, 0.5, 8, 4),
        (20, 0.01, 8, 20),
    ],
)
def test_never_more_goes_than_was_asked_for(count: int, ratio: float, multiple: int, kept: int) -> None:
    """What stays is rounded up, to whole multiples where there are as many."""
    assert kept_count(count, ratio, multiple=multiple) == kept


def test_uniform_choice_takes_the_best_of_each_layer() -> None:
    """Positions come back in order; of equals the first stays."""
    kept = choose([torch.tensor([1.0, 3, 2]), torch.tensor([5.0, 5, 5])], [2, 1])

    assert [positions.tolist() for positions in kept] == [[1, 2], [0]]


def test_global_choice_takes_the_worst_wherever_they_are() -> None:
    """One layer may lose nearly all, but never its best block."""
    scores = [torch.tensor([0.1, 0.2, 0.3, 0.4]), torch.tensor([8.0, 9, 7, 6]), torch.tensor([1.0, 5, 5, 1])]

    assert [kept.tolist() for kept in choose(scores, [2, 2, 2], is_uniform=False)] == [[3], [0, 1, 2, 3], [1]]
    blocks = choose(scores, [2, 2, 2], multiple=2, is_uniform=False)
    assert [kept.tolist() for kept in blocks] == [[2, 3], [0, 1], [1, 2]]
    blocks = choose(scores, [4, 2, 2], multiple=2, is_uniform=False)
    assert [kept.tolist() for kept in blocks] == [[2, 3], [0, 1, 2, 3], [1, 2]]


# --- the function is preserved where nothing of weight goes ----------------------------------------------------------


@pytest.mark.parametrize("score", SCORES)
def test_silent_heads_and_neurons_go_and_no_answer_changes(score: Score, tmp_path: Path) -> None:
    """Two of four heads and 20 of 40 neurons of every layer say nothing; 16 of them can go in whole eights."""
    model = make_bert()
    for number, part in enumerate(bert_surgery.head_units(model)):
        silence(part, [number, 3])
    for part in bert_surgery.neuron_units(model):
        silence(part, list(range(5, 25)))
    parent = seal(model, tmp_path / "parent", WIDE)
    stage = Prune(heads_ratio=0.5, neurons_ratio=0.4, score=score, score_examples=24)

    artifact, proof = stage.apply(parent, tmp_path / "child", text_materials())

    assert proof["heads_count"] == [2, 2, 2]
    assert proof["neurons_count"] == [24, 24, 24]
    inputs = make_inputs()
    assert logits_of(artifact, inputs) == pytest.approx(logits_of(parent, inputs), abs=1e-6, rel=1e-6)
    assert artifact.spec.config == stage.check(parent.spec, text_materials()).config


def test_counts_in_the_proof_are_those_of_the_saved_tensors(tmp_path: Path) -> None:
    """An independent sum over shapes; head and hidden size are as before."""
    parent = seal(make_bert(), tmp_path / "parent", WIDE)
    artifact, proof = Prune(heads_ratio=0.25, neurons_ratio=0.2, layers=(1,)).apply(
        parent, tmp_path / "child", text_materials()
    )
    before, after = (load_module(a.folder, a.spec).state_dict() for a in (parent, artifact))

    hidden, mixed, inner = 16, 3 * 4, 32
    layer = 3 * mixed * (hidden + 1) + hidden * (mixed + 1) + inner * (hidden + 1) + hidden * (inner + 1) + 4 * hidden
    embeddings = (40 + 16 + 2) * hidden + 2 * hidden
    assert proof["parameter_count"] == 2 * layer + embeddings + 3 * (hidden + 1)
    assert proof["parent_parameter_count"] == sum(tensor.numel() for tensor in before.values())
    assert proof["kept_layers"] == [0, 2]
    assert proof["is_smaller"] is True
    for name in ("head.weight", "head.bias", "embeddings.word_embeddings.weight"):
        assert torch.equal(before[name], after[name])
    assert torch.equal(before["encoder.layer.2.output.LayerNorm.bias"], after["encoder.layer.1.output.LayerNorm.bias"])
    assert json.loads(json.dumps(proof, allow_nan=False)) == proof


def test_silent_channels_go_and_no_digit_changes(tmp_path: Path) -> None:
    """Half of the channels are read with weights of zero; torch-pruning removes filter, normalisation and inputs."""
    model = make_convnet()
    readers = [layer for layer in model.modules() if isinstance(layer, torch.nn.Conv2d | torch.nn.Linear)][1:]
    for reader, gone in zip(readers, ([0, 2, 4, 6], [1, 2, 3, 5, 8, 11]), strict=True):
        reader.weight.data[:, gone] = 0.0
    parent = seal(model, tmp_path / "parent", CONV_CONFIG, builder=small_convnet)
    materials = image_materials()

    artifact, proof = Prune(channels_ratio=0.5).apply(parent, tmp_path / "child", materials)

    assert proof["channels_count"] == [4, 6]
    assert artifact.spec.config == {"channels_counts": [4, 6], "class_count": 10}
    assert logits_of(artifact, materials.calibration) == pytest.approx(
        logits_of(parent, materials.calibration), abs=1e-6
    )


def test_global_pruning_spares_the_layer_that_matters(tmp_path: Path) -> None:
    """With all heads but one silent in the first layer, it loses them and the others lose fewer."""
    model = make_bert()
    silence(bert_surgery.head_units(model)[0], [0, 1, 3])
    parent = seal(model, tmp_path / "parent", WIDE)

    _, proof = Prune(heads_ratio=0.5, is_uniform=False).apply(parent, tmp_path / "child", text_materials())

    assert proof["heads_count"][0] == 1
    assert sum(proof["heads_count"]) == 6


def test_what_was_pruned_can_be_pruned_again(tmp_path: Path) -> None:
    """Counts that differ by layer are read back, cut by layer, and stay with their layers."""
    config = {**WIDE, "heads_per_layer": [1, 4, 2], "head_size": 4, "neurons_per_layer": [8, 40, 24]}
    parent = seal(make_bert(config), tmp_path / "parent", config)
    stage = Prune(heads_ratio=0.5, neurons_ratio=0.5, layers=(0,))

    artifact, proof = stage.apply(parent, tmp_path / "child", text_materials())

    assert (proof["heads_count"], proof["neurons_count"]) == ([2, 1], [24, 16])
    assert artifact.spec.config["heads_per_layer"] == [2, 1]
    assert stage.check(parent.spec, text_materials()).config == artifact.spec.config


# --- unstructured ----------------------------------------------------------------------------------------------------


@model_builder
def unknown_network(config: dict[str, Any]) -> torch.nn.Module:
    """An architecture that the structured kinds do not know."""
    return make_convnet()


@pytest.mark.parametrize("is_uniform", [True, False])
@pytest.mark.parametrize("score", SCORES)
def test_zeros_are_counted_and_nothing_is_promised(score: Score, is_uniform: bool, tmp_path: Path) -> None:
    """Any network can have zeros; its file is as large as before, and the proof says why that is not faster."""
    parent = seal(make_convnet(), tmp_path / "parent", CONV_CONFIG, builder=unknown_network)
    stage = Prune(weights_ratio=0.5, score=score, score_examples=20, is_uniform=is_uniform)

    artifact, proof = stage.apply(parent, tmp_path / "child", image_materials())

    assert proof["zero_share_ratio"] == pytest.approx(0.5, abs=0.001)
    assert (proof["is_smaller"], proof["is_faster_expected"]) == (False, False)
    assert "dense kernels multiply zeros" in proof["why"]
    assert artifact.size_bytes == parent.size_bytes
    before, after = (load_module(a.folder, a.spec).state_dict() for a in (parent, artifact))
    assert torch.equal(before["head.weight"], after["head.weight"])
    kept = after["stages.4.weight"] != 0
    assert torch.equal(before["stages.4.weight"][kept], after["stages.4.weight"][kept])


def test_the_smallest_weights_become_zero() -> None:
    """By magnitude, all that stay are at least as large as all that go."""
    model = make_bert()
    layers = prunable_layers(model, class_count=3)
    whole = layers[4].weight.detach().clone()

    masks = zero_masks(model, layers, 0.3, Judge("magnitude"), is_uniform=True)

    assert len(layers) == 6 * 3
    assert whole[masks[4]].abs().min() >= whole[~masks[4]].abs().max()
    assert (~masks[4]).sum() == int(0.3 * whole.numel())
    assert bool((layers[4].weight[~masks[4]] == 0).all())


def test_zeros_stay_zero_while_the_rest_is_trained(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where training copies the model to try bf16; afterwards the weights are plain parameters again."""
    monkeypatch.setattr(finetuning, "PROBE_SEC", 0.0)
    model, examples = make_bert(), labelled()
    layers = prunable_layers(model, class_count=3)
    names = set(model.state_dict())
    masks = zero_masks(model, layers, 0.5, Judge("magnitude"), is_uniform=True)
    before = [layer.weight.detach().clone() for layer in layers]

    with held(layers, masks):
        finetuning.finetune(
            model, examples.inputs, examples.labels, seed=0, epochs_count=2, learning_rate=1e-2, thread_count=1
        )

    assert set(model.state_dict()) == names
    assert zero_share(layers) == pytest.approx(0.5, abs=0.01)
    for layer, mask, old in zip(layers, masks, before, strict=True):
        assert bool((layer.weight[~mask] == 0).all())
        assert not torch.equal(layer.weight[mask], old[mask])


# --- rounds ----------------------------------------------------------------------------------------------------------


def test_rounds_go_step_by_step_to_the_same_shape(tmp_path: Path) -> None:
    """Fewer parameters each time, the last shape is the predicted one, and a second build is the same to the bit."""
    parent = seal(make_bert(), tmp_path / "parent", WIDE)
    stage = Prune(
        heads_ratio=0.5, neurons_ratio=0.4, weights_ratio=0.2, score="gradient", rounds=2, score_examples=8,
        finetune_epochs=1, learning_rate=1e-3,
    )  # fmt: skip
    materials = text_materials()

    artifact, proof = stage.apply(parent, tmp_path / "child", materials)
    again, _ = stage.apply(parent, tmp_path / "again", materials)

    counts = [record["parameter_count"] for record in proof["rounds"]]
    assert proof["parent_parameter_count"] > counts[0] > counts[1] == proof["parameter_count"]
    assert artifact.spec.config == stage.check(parent.spec, materials).config
    assert proof["zero_share_ratio"] == pytest.approx(0.2, abs=0.01)
    for record in proof["rounds"]:
        assert {"accuracy_before_finetuning_ratio", "accuracy_after_finetuning_ratio", "train_sec"} <= set(record)
        assert 0 <= record["accuracy_after_finetuning_ratio"] <= 1
    assert artifact.digest == again.digest


def test_accuracy_of_a_round_is_that_of_its_answers(tmp_path: Path) -> None:
    """Without training, the recorded accuracy is what the artifact itself scores."""
    parent, materials = seal(make_bert(), tmp_path / "parent", WIDE), text_materials()
    artifact, proof = Prune(heads_ratio=0.5).apply(parent, tmp_path / "child", materials)
    tuning = materials.labelled("tuning", stage="prune")

    right = np.mean(artifact.predict(tuning.inputs).argmax(axis=1) == tuning.labels)

    assert proof["rounds"][0]["accuracy_before_finetuning_ratio"] == pytest.approx(right)
    assert "accuracy_after_finetuning_ratio" not in proof["rounds"][0]


def test_training_after_pruning_lowers_the_loss(tmp_path: Path) -> None:
    """On learnable digits, a quick training brings back what half of the channels took."""
    from perflib.workloads.digits import Digits

    workload = Digits()
    splits = workload.splits()
    train, tuning = (Labelled(workload.encode(s.inputs), s.labels) for s in (splits.train, splits.tuning))
    config = {"channels_counts": [8, 16], "class_count": 10}
    torch.manual_seed(0)
    model = small_convnet(config)
    finetuning.finetune(
        model, train.inputs, train.labels, seed=0, epochs_count=4, learning_rate=5e-3, bf16="no", thread_count=1
    )
    parent = seal(model, tmp_path / "parent", config, builder=small_convnet)
    materials = Materials(calibration=train.inputs.take(range(64)), train=train, tuning=tuning)

    _, proof = Prune(
        channels_ratio=0.5, score="activation", score_examples=64, rounds=2, finetune_epochs=2, learning_rate=5e-3
    ).apply(parent, tmp_path / "child", materials)

    last = proof["rounds"][-1]
    assert proof["channels_count"] == [4, 8]
    assert last["accuracy_after_finetuning_ratio"] > last["accuracy_before_finetuning_ratio"]
    assert last["accuracy_after_finetuning_ratio"] > 0.6


# --- what comes after ------------------------------------------------------------------------------------------------


def test_a_pruned_model_converts_and_answers_the_same(tmp_path: Path) -> None:
    """OpenVINO takes layers with different counts of heads and neurons, at any length and batch."""
    openvino_engine = pytest.importorskip("perflib.engines.openvino_engine")
    model = make_bert()
    silence(bert_surgery.head_units(model)[0], [0, 1, 3])
    parent, inputs = seal(model, tmp_path / "parent", WIDE), make_inputs(16)
    artifact, proof = Prune(heads_ratio=0.5, neurons_ratio=0.4, is_uniform=False).apply(
        parent, tmp_path / "child", text_materials()
    )
    assert len(set(proof["heads_count"])) > 1

    compiled = openvino_engine.compile_model(
        openvino_engine.convert(artifact, inputs.take([0, 1])), precision="fp32", thread_count=1
    )

    for rows in ([0], [3, 4, 5], list(range(16))):
        arrays = dict(inputs.take(rows).arrays)
        assert compiled(arrays)[0] == pytest.approx(artifact.open()(arrays), abs=1e-4)


def test_a_pruned_model_quantizes(tmp_path: Path) -> None:
    """NNCF finds the linear layers of the pruned shapes and the answers stay near."""
    nncf = pytest.importorskip("nncf")
    openvino_engine = pytest.importorskip("perflib.engines.openvino_engine")
    parent, inputs = seal(make_bert(), tmp_path / "parent", WIDE), make_inputs(16)
    artifact, _ = Prune(heads_ratio=0.25, neurons_ratio=0.4).apply(parent, tmp_path / "child", text_materials())
    model = openvino_engine.convert(artifact, inputs.take([0, 1]))
    calls = [dict(inputs.take([row]).arrays) for row in range(16)]

    quantized = nncf.quantize(model, nncf.Dataset(calls), model_type=nncf.ModelType.TRANSFORMER, subset_size=16)

    answers = openvino_engine.compile_model(quantized, precision="int8", thread_count=1)(dict(inputs.arrays))[0]
    wanted = logits_of(artifact, inputs)
    assert np.abs(answers - wanted).mean() < 0.1 * np.abs(wanted).mean()


# --- refusals --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "word"),
    [
        ({"heads_ratio": 1.0}, "`heads_ratio` of stage `prune` is 1.0; a ratio of 1.0 would remove everything"),
        ({"weights_ratio": 1.0}, "would remove everything"),
        ({"neurons_ratio": 1.1}, "from 0 to below 1"),
        ({"neurons_ratio": -0.1}, "from 0 to below 1"),
        ({"neurons_ratio": float("nan")}, "from 0 to below 1"),
        ({}, "nothing to prune"),
        ({"layers": ()}, "nothing to prune"),
        ({"layers": (0,), "layers_ratio": 0.5}, "both layers and layers_ratio"),
        ({"layers": (0, 1)}, "names all 2 layers"),
        ({"layers": (2,)}, "different numbers from 0 to 1"),
        ({"layers": (-1,)}, "different numbers from 0 to 1"),
        ({"layers": (1, 1)}, "different numbers from 0 to 1"),
        ({"layers_ratio": 0.49}, "takes none after rounding"),
        ({"heads_ratio": 0.49}, "which of 2 takes none after rounding"),
        ({"neurons_ratio": 0.24}, "which of 32 takes none after rounding"),
        ({"channels_ratio": 0.5}, "knows channels of perflib.workloads.convnet:small_convnet only"),
        ({"heads_ratio": 0.5, "rounds": 0}, "`rounds` of stage `prune` is 0; give at least 1"),
        ({"heads_ratio": 0.5, "finetune_epochs": -1}, "give at least 0"),
        ({"heads_ratio": 0.5, "learning_rate": 0.0}, "give one above 0"),
        ({"heads_ratio": 0.5, "score_examples": 0}, "give at least 1"),
        ({"heads_ratio": 0.5, "score": "activation", "score_examples": 25}, "calibration split has 24"),
        ({"heads_ratio": 0.5, "score": "gradient", "score_examples": 25}, "training split has 24"),
    ],
)
def test_what_cannot_be_is_refused_before_any_work(options: dict[str, Any], word: str, tmp_path: Path) -> None:
    """Each in one sentence that names the option."""
    parent = write_artifact(tmp_path)
    with pytest.raises(StageError, match=word) as error:
        Prune(**options).check(parent.spec, text_materials())

    assert str(error.value).endswith(".")


def test_borders_that_are_allowed(tmp_path: Path) -> None:
    """Just enough to take one head, one block of neurons, one layer; as many examples as there are."""
    parent = write_artifact(tmp_path)
    for options in (
        {"heads_ratio": 0.5},
        {"neurons_ratio": 0.25},
        {"layers_ratio": 0.5},
        {"layers": (1,)},
        {"weights_ratio": 0.999},
        {"heads_ratio": 0.5, "score": "activation", "score_examples": 24},
        {"heads_ratio": 0.5, "score": "gradient", "score_examples": 24},
    ):
        Prune(**options).check(parent.spec, text_materials())


def test_training_without_a_training_split_is_refused(tmp_path: Path) -> None:
    """Fine-tuning and gradients need labels; magnitudes need nothing."""
    parent, materials = write_artifact(tmp_path), Materials(calibration=make_inputs())
    for options in ({"finetune_epochs": 1}, {"score": "gradient"}):
        with pytest.raises(StageError, match="needs the train split"):
            Prune(heads_ratio=0.5, **options).check(parent.spec, materials)
    Prune(heads_ratio=0.5).check(parent.spec, materials)


def test_only_a_torch_fp32_parent_is_taken(tmp_path: Path) -> None:
    """Pruning stands before what casts or converts."""
    parent = write_artifact(tmp_path).spec
    with pytest.raises(StageError, match="torch fp32"):
        Prune(heads_ratio=0.5).check(dataclasses.replace(parent, precision="bf16"), text_materials())


def test_channels_need_torch_pruning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Said before any work, with the command that helps."""
    parent = seal(make_convnet(), tmp_path, CONV_CONFIG, builder=small_convnet).spec
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)

    with pytest.raises(SetupError, match="pip install torch-pruning"):
        Prune(channels_ratio=0.5).check(parent, image_materials())


def test_channels_that_two_layers_read_are_refused() -> None:
    """A score of one reader would miss what the other makes of a channel."""
    example = to_tensors(image_materials().calibration.take([0]).arrays, device="cpu", dtype=torch.float32)

    with pytest.raises(StageError, match="has 1 normalisations and 2 readers"):
        conv_surgery.channel_units(_Forked().eval(), example)


class _Forked(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm = torch.nn.Conv2d(1, 4, 3), torch.nn.BatchNorm2d(4)
        self.left, self.right = torch.nn.Conv2d(4, 2, 1), torch.nn.Conv2d(4, 2, 1)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        x = self.norm(self.conv(images))
        product: torch.Tensor = self.left(x) * self.right(x)
        return product.mean(dim=(2, 3))


def test_an_unknown_architecture_loses_single_weights_only(tmp_path: Path) -> None:
    """Nobody taught the stage where its heads are."""
    parent = seal(make_convnet(), tmp_path, CONV_CONFIG, builder=unknown_network).spec
    for options in ({"heads_ratio": 0.5}, {"layers": (0,)}, {"channels_ratio": 0.5}):
        with pytest.raises(StageError, match="weights_ratio"):
            Prune(**options).check(parent, image_materials())
    Prune(weights_ratio=0.5).check(parent, image_materials())


def test_a_recipe_reads_its_options_and_predicts_the_config(tmp_path: Path) -> None:
    """From YAML's lists and whole numbers to a spec that the next stage can check."""
    parent = write_artifact(tmp_path).spec
    recipe = parse_recipe([{"prune": {"heads_ratio": 0.5, "neurons_ratio": 0.5, "layers": [0], "weights_ratio": 0}}])

    spec = check_recipe(recipe, parent, text_materials())

    assert spec.config == {
        **CONFIG, "num_hidden_layers": 1, "heads_per_layer": [1], "head_size": 8, "neurons_per_layer": [16],
    }  # fmt: skip
    with pytest.raises(ParameterError, match="head_ratio"):
        parse_recipe([{"prune": {"head_ratio": 0.5}}])
