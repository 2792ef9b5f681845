"""Distillation: the student is what was asked for, the best alpha stays, and a wrong pupil or teacher is refused."""

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from perflib.artifact import Artifact, Lineage, Runtime
from perflib.compression.build import build_candidate
from perflib.compression.distil import Distil
from perflib.compression.materials import Labelled, Materials, gather
from perflib.compression.stage import parse_recipe
from perflib.compression.students import BERT, CONVNET, make_student, plan_student
from perflib.compression.vocabulary import Vocabulary
from perflib.encoded import Encoded
from perflib.engines.torch_engine import builder_name, load_module, save_module
from perflib.errors import DataError, ParameterError, SetupError, StageError
from perflib.workloads.bert import mean_pooled_classifier
from perflib.workloads.convnet import small_convnet
from tests.tiny_artifact import CONFIG, make_inputs, write_artifact

LAYER_PARAMETERS_COUNT = 4 * (16 * 16 + 16) + (16 * 32 + 32) + (32 * 16 + 16) + 4 * 16


def encode(texts: Sequence[Any]) -> Encoded:
    """Turn each text into a token for every letter."""
    ids = np.zeros((len(texts), max(map(len, texts))), np.int64)
    for row, text in enumerate(texts):
        ids[row, : len(text)] = [ord(letter) % 39 + 1 for letter in text]
    return Encoded({"input_ids": ids, "attention_mask": (ids > 0).astype(np.int64)})


TRAIN = Labelled(make_inputs(24), np.arange(24) % 3)
TUNING = Labelled(make_inputs(9), np.arange(9) % 3)
MATERIALS = Materials(make_inputs(8), TRAIN, TUNING, encode=encode)
QUICK: dict[str, Any] = {"epochs": 1, "batch": 8, "learning_rate": 1e-2, "arithmetic": "fp32"}


def seal(folder: Path, config: dict[str, Any], *, seed: int = 0, **changes: Any) -> Artifact:
    """Write a BERT of the toy task with other numbers."""
    torch.manual_seed(seed)
    save_module(mean_pooled_classifier(config), folder)
    facts: dict[str, Any] = {"labels": ("bad", "fair", "good"), "lineage": Lineage("toy", None, (), {}), **changes}
    runtime = Runtime(thread_count=1)
    return Artifact.seal(
        folder, engine="torch", precision="fp32", builder=BERT, config=config, runtime=runtime, **facts
    )


def distil(stage: Distil, parent: Artifact, folder: Path, materials: Materials = MATERIALS) -> Any:
    """Check, apply, and hold what was predicted against what came out."""
    predicted = stage.check(parent.spec, materials)
    made, proof = stage.apply(parent, folder, materials)
    assert (predicted.builder, predicted.config) == (made.spec.builder, made.spec.config)
    json.dumps(proof, allow_nan=False)
    return made, proof


def test_builders_are_known_by_their_names() -> None:
    """The names in artifacts are those of the functions."""
    assert (builder_name(mean_pooled_classifier), builder_name(small_convnet)) == (BERT, CONVNET)


def test_a_student_with_half_of_the_layers(tmp_path: Path) -> None:
    """Counts by hand, answers of the sealed artifact as in the proof, and a lineage that says what was done."""
    parent = write_artifact(tmp_path / "parent")
    made, proof = distil(Distil(layers=1, **QUICK), parent, tmp_path / "made")

    assert (made.spec.config["num_hidden_layers"], proof["picked_layers"]) == (1, [1])
    assert proof["teacher_parameter_count"] - proof["student_parameter_count"] == LAYER_PARAMETERS_COUNT
    said, told = (one.predict(TUNING.inputs).argmax(axis=1) for one in (made, parent))
    assert proof["tuning_accuracy_ratio"] == (said == TUNING.labels).mean()
    assert proof["teacher_tuning_accuracy_ratio"] == (told == TUNING.labels).mean()
    assert proof["agreement_ratio"] == (said == told).mean()
    assert [one["class"] for one in proof["classes"]] == ["bad", "fair", "good"]
    assert len(proof["epoch_losses_nat"]) == 1
    assert made.spec.lineage.recipe[0]["distil"]["layers"] == 1
    assert made.spec.lineage.details["teacher_sha256"] == made.spec.lineage.parent_sha256 == parent.digest
    assert made.size_bytes < parent.size_bytes


def test_a_student_begins_with_the_layers_that_were_picked(tmp_path: Path) -> None:
    """The weights are those of the parent's layers, in their order; the embeddings and the head are all there."""
    config = {**CONFIG, "num_hidden_layers": 4}
    parent = seal(tmp_path / "parent", config)
    student, _ = make_student(plan_student(parent.spec, pick=(0, 3)), parent, seed=0)
    whole = load_module(parent.folder, parent.spec).state_dict()

    for name, tensor in student.state_dict().items():
        assert torch.equal(tensor, whole[name.replace("layer.1.", "layer.3.")])
    assert plan_student(parent.spec, layers=3).kept_layers == (0, 2, 3)
    assert plan_student(parent.spec, pick=(0,), layers=1).kept_layers == (0,)


def test_a_narrow_student_keeps_its_strongest_neurons(tmp_path: Path) -> None:
    """A model whose other neurons are silent answers the same without them."""
    parent = write_artifact(tmp_path / "loud")
    weights = load_file(parent.folder / "model.safetensors")
    loud = torch.tensor([1, 7, 8, 20, 31])
    for number in range(2):
        for name in ("intermediate.dense.weight", "intermediate.dense.bias"):
            tensor = weights[f"encoder.layer.{number}.{name}"]
            kept = tensor[loud].clone()
            tensor *= 0
            tensor[loud] = kept
    save_file(weights, parent.folder / "model.safetensors")
    parent = Artifact.seal(
        parent.folder, engine="torch", precision="fp32", builder=BERT, config=CONFIG, labels=parent.spec.labels,
        lineage=parent.spec.lineage,
    )  # fmt: skip
    plan = plan_student(parent.spec, ffn=5)
    student, _ = make_student(plan, parent, seed=0)
    ids, mask = (torch.tensor(array) for array in make_inputs().arrays.values())

    assert plan.config["neurons_per_layer"] == [5, 5]
    with torch.inference_mode():
        torch.testing.assert_close(student(ids, mask), load_module(parent.folder, parent.spec)(ids, mask))
    assert distil(Distil(ffn=5, layers=1, **QUICK), parent, tmp_path / "made")[0].spec.config["neurons_per_layer"] == [
        5
    ]


def test_the_best_alpha_stays(tmp_path: Path) -> None:
    """All are in the proof; the one that answers most tuning texts rightly is the artifact."""
    parent = write_artifact(tmp_path / "parent")
    options = {**QUICK, "epochs": 6, "hidden_loss": False}
    made, proof = distil(Distil(layers=1, alpha=(1.0, 0.0), **options), parent, tmp_path / "made")
    alone = [
        distil(Distil(layers=1, alpha=alpha, **options), parent, tmp_path / f"alone-{alpha:g}") for alpha in (1.0, 0.0)
    ]
    accuracies = [one["tuning_accuracy_ratio"] for _, one in alone]

    assert [one["alpha"] for one in proof["alphas"]] == [1.0, 0.0]
    assert [one["tuning_accuracy_ratio"] for one in proof["alphas"]] == accuracies
    assert accuracies[0] != accuracies[1]
    best = int(np.argmax(accuracies))
    assert proof["alpha"] == [1.0, 0.0][best]
    assert made.spec.files == alone[best][0].spec.files


def test_an_interrupted_build_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What one alpha has learned is not learned again, and the weights are those of an undisturbed build."""
    from perflib.compression import teaching

    parent, stage = write_artifact(tmp_path / "parent"), Distil(layers=1, alpha=(1.0, 0.5), **QUICK)
    whole, _ = stage.apply(parent, tmp_path / "whole", MATERIALS)
    kept = dataclasses.replace(MATERIALS, scratch=tmp_path / "scratch")
    real, steps = teaching._step, []

    def stop(*args: Any, **options: Any) -> float:
        steps.append(1)
        if len(steps) == 5:  # the second alpha's second step
            raise KeyboardInterrupt
        return real(*args, **options)

    monkeypatch.setattr(teaching, "_step", stop)
    with pytest.raises(KeyboardInterrupt):
        stage.apply(parent, tmp_path / "made", kept)
    made, _ = stage.apply(parent, tmp_path / "made", kept)

    assert len(steps) == 5 + 3
    assert made.digest == whole.digest


def test_a_named_student_of_another_width(tmp_path: Path) -> None:
    """A checkpoint of transformers becomes the student; its pooler is left out, its head is new."""
    from transformers import BertConfig, BertModel

    shape = {name: CONFIG[name] for name in CONFIG if name != "class_count"} | {
        "hidden_size": 8,
        "num_hidden_layers": 1,
    }
    torch.manual_seed(3)
    original = BertModel(BertConfig(**shape))
    original.save_pretrained(tmp_path / "small")
    parent = write_artifact(tmp_path / "parent")
    plan = plan_student(parent.spec, student=str(tmp_path / "small"))
    student, origin = make_student(plan, parent, seed=0)
    made, proof = distil(Distil(student=str(tmp_path / "small"), **QUICK), parent, tmp_path / "made")

    found = original.state_dict()
    for name, tensor in student.state_dict().items():
        assert name.startswith("head.") or torch.equal(tensor, found[name])
    assert tuple(made.spec.config[key] for key in ("hidden_size", "class_count")) == (8, 3)
    assert proof["has_hidden_loss"]
    assert proof["picked_layers"] == []
    assert made.spec.lineage.details["student_sha256"] == origin["student_sha256"]
    assert not [name for name in load_file(made.folder / "model.safetensors") if "projection" in name]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"vocab_size": 41}, r"has another vocabulary \(41 tokens\) than .* \(40 tokens\)"),
        ({"max_position_embeddings": 15}, "takes 15 tokens where its teacher takes 16"),
        ({"model_type": "roberta"}, "is a roberta"),
        ({"hidden_act": "relu"}, "with relu activation"),
        ({"num_hidden_layers": 3}, "the student .* would have .* parameters where its teacher has"),
    ],
)
def test_a_student_that_does_not_suit_is_refused(tmp_path: Path, change: dict[str, Any], said: str) -> None:
    """Known from the configuration alone; there are no weights in this folder."""
    config = {**CONFIG, "model_type": "bert", "hidden_act": "gelu", "initializer_range": 0.02, "num_hidden_layers": 1}
    (tmp_path / "config.json").write_text(json.dumps(config | change), encoding="utf-8")
    parent = write_artifact(tmp_path / "parent")

    with pytest.raises(StageError, match=said):
        Distil(student=str(tmp_path)).check(parent.spec, MATERIALS)


def test_a_student_without_weights_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither pickled weights nor a name that nobody knows will do."""
    config = {**CONFIG, "model_type": "bert", "initializer_range": 0.02, "num_hidden_layers": 1}
    (tmp_path / "config.json").write_text(json.dumps(config), encoding="utf-8")
    parent, stage = write_artifact(tmp_path / "parent"), Distil(student=str(tmp_path), **QUICK)
    with pytest.raises(DataError, match="holds no safetensors"):
        distil(stage, parent, tmp_path / "made")
    save_file({"bert.embeddings.LayerNorm.gamma": torch.ones(16)}, tmp_path / "model.safetensors")
    with pytest.raises(DataError, match="has no weights named embeddings"):
        distil(stage, parent, tmp_path / "made")
    monkeypatch.setattr("huggingface_hub.hf_hub_download", lambda *_: (_ for _ in ()).throw(OSError("no route")))
    with pytest.raises(SetupError, match=r"`nobody/nothing` is in no folder .* \(no route\)"):
        Distil(student="nobody/nothing").check(parent.spec, MATERIALS)


def test_another_teacher_teaches_a_parent_as_large_as_it_is(tmp_path: Path) -> None:
    """What was cut before may learn from the model that it was cut from, and only its teacher must be larger."""
    large, parent = seal(tmp_path / "large", {**CONFIG, "hidden_size": 24}, seed=1), write_artifact(tmp_path / "parent")
    stage = Distil(teacher=str(large.folder), **QUICK)
    made, proof = distil(stage, parent, tmp_path / "made")

    assert made.spec.config == parent.spec.config
    assert made.spec.lineage.parent_sha256 == parent.digest
    assert made.spec.lineage.details["teacher_sha256"] == large.digest
    assert proof["teacher_parameter_count"] > proof["student_parameter_count"]
    assert proof["picked_layers"] == [0, 1]
    trimmed, _ = Vocabulary(unknown_id=1).apply(parent, tmp_path / "trimmed", MATERIALS)
    learned, _ = distil(stage, trimmed, tmp_path / "learned")
    rows = [load_file(one.folder / "model.safetensors")["embeddings.row_of_token"] for one in (trimmed, learned)]
    assert torch.equal(*rows)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (
            {"labels": ("no", "maybe", "yes")},
            "toy with the labels no, maybe, yes and 40 tokens, where toy with the lab",
        ),
        ({"lineage": Lineage("other", None, (), {})}, "a teacher of another task: other with the labels"),
    ],
)
def test_a_teacher_of_another_task_is_refused(tmp_path: Path, changes: dict[str, Any], said: str) -> None:
    """Its record tells; nothing is loaded."""
    teacher = seal(tmp_path / "teacher", CONFIG, **changes)
    (teacher.folder / "model.safetensors").unlink()

    with pytest.raises(StageError, match=said):
        Distil(layers=1, teacher=str(teacher.folder)).check(write_artifact(tmp_path / "parent").spec, MATERIALS)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"layers": 2}, "the student of stage `distil` would have .* parameters where its teacher has"),
        ({}, "give fewer `layers`, a smaller `ffn`"),
        ({"ffn": 32}, "would have"),
        ({"layers": 3}, "asks for 3 layers of a parent with 2"),
        ({"layers": 0}, "asks for 0 layers"),
        ({"pick": ()}, "asks for 0 layers"),
        ({"pick": (2,)}, r"`pick` .* is \[2\]; give 1 different layers from 0 to 1"),
        ({"pick": (-1,)}, "`pick`"),
        ({"pick": (1, 0), "ffn": 8}, "in rising order"),
        ({"pick": (0, 0)}, "`pick`"),
        ({"pick": (0,), "layers": 2}, r"`pick` .* is \[0\]; give 2 different"),
        ({"ffn": 0}, "`ffn` .* is 0; the parent's layers have 32 neurons"),
        ({"ffn": 33}, "`ffn` .* is 33"),
        ({"channels": (4,)}, "`channels` .* has no meaning here, because the parent is a BERT"),
        ({"student": "x", "layers": 1}, "`layers` .* has no meaning here, because the student is a checkpoint"),
        ({"layers": 1, "epochs": 0}, "`epochs` .* is 0; give at least 1"),
        ({"layers": 1, "batch": 0}, "`batch` .* is 0"),
        ({"layers": 1, "temperature": 0}, "`temperature` .* is 0; give a number above 0"),
        ({"layers": 1, "temperature": -1.0}, "`temperature` .* is -1"),
        ({"layers": 1, "learning_rate": float("nan")}, "`learning_rate` .* is nan"),
        ({"layers": 1, "alpha": 1.1}, "`alpha` .* is 1.1; give numbers from 0 to 1"),
        ({"layers": 1, "alpha": (0.5, -0.1)}, "`alpha`"),
        ({"layers": 1, "alpha": ()}, "`alpha`"),
        ({"layers": 1, "augment_ratio": 1.0}, "`augment_ratio` .* is 1; give 0 to below 1"),
        ({"layers": 1, "augment_ratio": 0.1, "mask_id": 40}, "`mask_id` .* is 40; the vocabulary ends before it"),
        ({"layers": 1, "unlabelled": "no/such/file.txt"}, "cannot be read"),
        ({"layers": 1, "teacher": "no/such/folder"}, "`no/such/folder` is no folder of an artifact"),
    ],
)
def test_what_teaches_nothing_is_refused(tmp_path: Path, options: dict[str, Any], said: str) -> None:
    """One sentence, before any work."""
    with pytest.raises(StageError, match=said):
        Distil(**options).check(write_artifact(tmp_path).spec, MATERIALS)


def test_a_parent_or_materials_that_do_not_suit_are_refused(tmp_path: Path) -> None:
    """Lower precision comes later; both splits are needed; other architectures need a named student."""
    spec, stage = write_artifact(tmp_path).spec, Distil(layers=1)
    with pytest.raises(StageError, match="takes a torch fp32 artifact"):
        stage.check(dataclasses.replace(spec, precision="bf16"), MATERIALS)
    with pytest.raises(StageError, match="needs the tuning split"):
        stage.check(spec, dataclasses.replace(MATERIALS, tuning=None))
    with pytest.raises(StageError, match="cannot cut somebody:else smaller"):
        stage.check(dataclasses.replace(spec, builder="somebody:else"), MATERIALS)


def test_unlabelled_and_disturbed_texts_teach_too(tmp_path: Path) -> None:
    """More examples, the same labels; disturbing changes what is learned."""
    path = tmp_path / "texts.txt"
    path.write_text("abc\n\nlonger than the others\n", encoding="utf-8")
    parent = seal(tmp_path / "parent", {**CONFIG, "max_position_embeddings": 32})
    _, plain = distil(Distil(layers=1, **QUICK), parent, tmp_path / "plain")
    _, more = distil(Distil(layers=1, unlabelled=str(path), **QUICK), parent, tmp_path / "more")
    _, other = distil(Distil(layers=1, augment_ratio=0.5, mask_id=3, **QUICK), parent, tmp_path / "other")

    assert (plain["example_count"], plain["labelled_count"]) == (24, 24)
    assert (more["example_count"], more["labelled_count"]) == (26, 24)
    assert other["epoch_losses_nat"] != plain["epoch_losses_nat"]
    with pytest.raises(StageError, match="cannot encode unlabelled texts"):
        Distil(layers=1, unlabelled=str(path)).check(parent.spec, dataclasses.replace(MATERIALS, encode=None))


def test_a_convolutional_student_learns_digits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Half of the channels, begun from nothing, taught by logits alone; built like any other."""
    from perflib.workloads import get_workload

    monkeypatch.setenv("PERFLIB_CACHE_DIR", str(tmp_path / "cache"))
    workload = get_workload("digits")
    parent, materials = workload.prepare(), gather(workload, workload.splits())
    options = {"channels": [8, 16], "epochs": 12, "learning_rate": 0.01, "alpha": 0.9, "arithmetic": "fp32"}
    made, _ = build_candidate(
        "small", parse_recipe([{"distil": options}]), parent=parent, folder=tmp_path / "made", materials=materials
    )
    proof = Distil(**options | {"channels": (8, 16)}).apply(parent, tmp_path / "again", materials)[1]  # type: ignore[arg-type]

    assert made.spec.config["channels_counts"] == [8, 16]
    assert not proof["has_hidden_loss"]
    assert proof["student_parameter_count"] < 0.3 * proof["teacher_parameter_count"]
    assert proof["tuning_accuracy_ratio"] > 0.93
    assert proof["agreement_ratio"] > 0.93
    assert len(proof["classes"]) == 10
    for wrong, said in (
        ({"layers": 1}, "give `channels`"),
        ({}, "`channels` .* is None"),
        ({"channels": (0,)}, "is .0,."),
    ):
        with pytest.raises(StageError, match=said):
            Distil(**wrong).check(parent.spec, materials)
    with pytest.raises(StageError, match="are for texts, which these inputs are not"):
        Distil(channels=(4, 4), augment_ratio=0.1).check(parent.spec, materials)
    with pytest.raises(StageError, match="would have"):
        Distil(channels=(16, 32)).check(parent.spec, materials)


def test_options_come_from_yaml() -> None:
    """Whole numbers pass as floats, alpha is one number or a list, and a wrong type is named."""
    given = parse_recipe(
        [{"distil": {"layers": 3, "temperature": 4, "alpha": 1}}, {"distil": {"pick": [1, 3], "alpha": [1.0, 0.5]}}]
    )

    assert [line.stage for line in given] == [
        Distil(layers=3, temperature=4.0, alpha=1.0),
        Distil(pick=(1, 3), alpha=(1.0, 0.5)),
    ]
    with pytest.raises(ParameterError, match="option `layers` of stage `distil`"):
        parse_recipe([{"distil": {"layers": 2.5}}])
