"""Teaching: the losses by hand, real tokens only, the same weights every time, and none lost by an interruption."""

import dataclasses
import itertools
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy.special import log_softmax, softmax
from torch import nn

from perflib.compression import teaching
from perflib.compression.checkpoints import load_checkpoint, save_checkpoint
from perflib.compression.lessons import UNLABELLED, Course, Lesson, compare_answers, soft_and_hard_loss
from perflib.compression.students import spread_layers
from perflib.compression.teaching import TeachingDetails, answer, teach
from perflib.encoded import Encoded
from perflib.errors import StageError
from perflib.workloads.bert import mean_pooled_classifier
from perflib.workloads.convnet import ConvNet
from tests.tiny_artifact import CONFIG, make_inputs

LABELS = np.arange(24) % 3
LESSON = Lesson(epochs=3, learning_rate=1e-2, batch=8)


def model(seed: int, **changes: Any) -> nn.Module:
    """Make a tiny BERT with random weights that are large enough to say something."""
    torch.manual_seed(seed)
    return mean_pooled_classifier({**CONFIG, "initializer_range": 0.3, **changes}).eval()


def lesson(student: nn.Module, *, teacher: nn.Module | None = None, **options: Any) -> TeachingDetails:
    """Teach in fp32 on one thread."""
    options = {"lesson": LESSON, "arithmetic": "fp32", "thread_count": 1, **options}
    return teach(student, teacher or model(1), make_inputs(24), LABELS, **options)


def weights(module: nn.Module) -> list[torch.Tensor]:
    """Return all parameters."""
    return [tensor.clone() for tensor in module.state_dict().values()]


def same(one: list[torch.Tensor], other: list[torch.Tensor]) -> bool:
    """Say whether all are equal to the bit."""
    return all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


@pytest.mark.parametrize("alpha", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("temperature", [1.0, 4.0])
def test_the_loss_is_the_formula(alpha: float, temperature: float) -> None:
    """Alpha times T² times KL, and the rest cross-entropy; an example without a label has only the first, whole."""
    rng = np.random.default_rng(0)
    said, told = rng.normal(size=(3, 4)), rng.normal(size=(3, 4))
    labels = np.array([2, UNLABELLED, 0])
    soft_told = softmax(told / temperature, axis=1)
    divergence = (soft_told * (np.log(soft_told) - log_softmax(said / temperature, axis=1))).sum(axis=1)
    soft, hard = temperature**2 * divergence, -log_softmax(said, axis=1)[np.arange(3), labels]
    expected = np.mean(
        [
            alpha * soft[0] + (1 - alpha) * hard[0],
            soft[1],
            alpha * soft[2] + (1 - alpha) * hard[2],
        ]
    )
    found = soft_and_hard_loss(
        torch.tensor(said), torch.tensor(told), torch.tensor(labels), temperature=temperature, alpha=alpha
    )

    assert float(found) == pytest.approx(expected, rel=1e-6)


def test_states_of_real_tokens_are_compared_layer_for_layer() -> None:
    """The mean squared error over layers and real tokens, added to the loss of the logits; padding counts nothing."""
    student, teacher, batch = model(0, num_hidden_layers=1), model(1), make_inputs(4).take([0, 2])
    known = torch.tensor([0, 1])
    course = Course(student, teacher, batch, LESSON)
    with torch.no_grad():
        whole = course.loss(batch, known, LESSON, is_bf16=False)
        logits_only = Course(student, teacher, batch, dataclasses.replace(LESSON, hidden_loss=False))
        arrays = {name: torch.tensor(array) for name, array in batch.arrays.items()}
        (said,), (_, told) = student.explain(**arrays)[1], teacher.explain(**arrays)[1]  # type: ignore[operator]
        # One real token in the first text, three in the second.
        tokens = [said[0, :1] - told[0, :1], said[1] - told[1]]
        expected = torch.cat(tokens).square().mean()

        assert course.has_hidden_loss
        assert course.projection is None
        assert float(whole - logits_only.loss(batch, known, LESSON, is_bf16=False)) == pytest.approx(float(expected))


def test_states_of_another_width_are_mapped_and_the_map_is_learned() -> None:
    """The map belongs to the training, not to the student."""
    student, inputs = model(0, hidden_size=8), make_inputs(24)
    names = list(student.state_dict())
    course = Course(student, model(1), inputs, LESSON)

    assert course.projection is not None
    assert tuple(course.projection.weight.shape) == (16, 8)
    assert {name.split(".")[0] for name, _ in course.named_parameters()} == {"student", "projection"}
    assert lesson(student).has_hidden_loss
    assert list(student.state_dict()) == names


def test_models_that_show_no_states_learn_from_logits() -> None:
    """A convolutional network has images, no mask and no layers to compare."""
    torch.manual_seed(0)
    teacher, student = ConvNet([8], 3), ConvNet([4], 3)
    images = Encoded({"images": np.random.default_rng(0).random((24, 1, 8, 8), np.float32)})
    details = teach(student, teacher, images, lesson=LESSON, arithmetic="fp32", thread_count=1)

    assert not details.has_hidden_loss
    assert details.labelled_count == 0


def test_a_student_comes_to_answer_as_its_teacher() -> None:
    """With random labels, only the teacher can have taught it; the loss falls epoch by epoch."""
    student, teacher, inputs = model(0, num_hidden_layers=1), model(1), make_inputs(24)

    def distance() -> float:
        """Return how far the probabilities are apart; a constant in all logits says nothing."""
        return float(np.abs(softmax(answer(student, inputs), axis=1) - softmax(answer(teacher, inputs), axis=1)).max())

    before, teacher_weights = distance(), weights(teacher)
    details = lesson(student, teacher=teacher, lesson=dataclasses.replace(LESSON, epochs=40))

    assert distance() < before / 5
    assert details.epoch_losses_nat[-1] < details.epoch_losses_nat[0] / 5
    assert same(weights(teacher), teacher_weights)
    assert not student.training
    assert (details.step_count, details.example_count, details.labelled_count) == (120, 24, 24)


def test_alpha_zero_learns_the_labels() -> None:
    """Without the teacher's word the labels are learned, whatever the teacher says."""
    student, inputs = model(0), make_inputs(24)
    labels = answer(model(5), inputs).argmax(axis=1)
    options = dataclasses.replace(LESSON, epochs=40, alpha=0.0, hidden_loss=False)
    teach(student, model(1), inputs, labels, lesson=options, arithmetic="fp32", thread_count=1)

    assert (answer(student, inputs).argmax(axis=1) == labels).mean() > 0.9


def test_one_seed_gives_one_student() -> None:
    """Order and dropout come from the seed alone; torch's own generator and thread count are left as they were."""
    found: list[list[torch.Tensor]] = []
    threads_count = torch.get_num_threads()
    for seed in (0, 0, 1):
        teacher, student = model(1), model(0)
        torch.manual_seed(100 + len(found))
        state = torch.get_rng_state()
        lesson(student, teacher=teacher, lesson=dataclasses.replace(LESSON, seed=seed))
        assert torch.equal(torch.get_rng_state(), state)
        found.append(weights(student))

    assert same(found[0], found[1])
    assert not same(found[0], found[2])
    assert torch.get_num_threads() == threads_count


def test_an_interrupted_training_ends_with_the_same_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was done before the interruption is not done again; the map of states is kept as well."""
    whole, interrupted, resumed = (model(0, hidden_size=8) for _ in range(3))
    lesson(whole)
    real, calls = teaching._step, itertools.count()

    def stop(*args: Any, **options: Any) -> float:
        if next(calls) == 5:  # in the middle of the second of three epochs
            raise KeyboardInterrupt
        return real(*args, **options)

    path = tmp_path / "scratch" / "one.safetensors"
    with monkeypatch.context() as patch:
        patch.setattr(teaching, "_step", stop)
        with pytest.raises(KeyboardInterrupt):
            lesson(interrupted, checkpoint=path)
    details = lesson(resumed, checkpoint=path)

    assert details.resumed_epoch_count == 1
    assert len(details.epoch_losses_nat) == 3
    assert same(weights(whole), weights(resumed))
    again = model(3, hidden_size=8)
    assert lesson(again, checkpoint=path).resumed_epoch_count == 3
    assert same(weights(whole), weights(again))


@pytest.mark.parametrize("other", [{"seed": 1}, {"alpha": 0.5}, {"epochs": 4}])
def test_the_checkpoint_of_another_training_is_not_used(tmp_path: Path, other: dict[str, Any]) -> None:
    """Another option is another training."""
    path = tmp_path / "one.safetensors"
    lesson(model(0), checkpoint=path)

    assert lesson(model(0), checkpoint=path, lesson=dataclasses.replace(LESSON, **other)).resumed_epoch_count == 0


def test_a_damaged_checkpoint_is_as_none(tmp_path: Path) -> None:
    """Training begins anew, and nothing of the file is used."""
    path, module = tmp_path / "one.safetensors", nn.Linear(2, 2)
    optimiser = torch.optim.AdamW(module.parameters())
    save_checkpoint(path, module, optimiser, {"training": "mine", "losses_nat": [0.5]})

    assert load_checkpoint(path, module, optimiser, of="mine") == {"training": "mine", "losses_nat": [0.5]}
    assert load_checkpoint(path, module, optimiser, of="yours") is None
    path.write_bytes(path.read_bytes()[:-4])
    assert load_checkpoint(path, module, optimiser, of="mine") is None
    assert load_checkpoint(tmp_path / "none", module, optimiser, of="mine") is None


def test_a_loss_that_is_no_number_is_refused() -> None:
    """The sentence names the epoch and what to change."""
    teacher = model(1)
    with torch.no_grad():
        teacher.head.weight.fill_(math.nan)  # type: ignore[union-attr,operator]

    with pytest.raises(StageError, match=r"became nan in epoch 1 of distilling; lower the learning rate of 0.01"):
        lesson(model(0), teacher=teacher)


def test_changed_texts_have_no_label_any_more() -> None:
    """What `disturb` returns is what both models see, and its labels teach nothing."""
    seen = []

    def disturb(batch: Encoded, rng: np.random.Generator) -> tuple[Encoded, Any]:
        seen.append(len(batch))
        return batch, np.ones(len(batch), bool)

    options = dataclasses.replace(LESSON, alpha=0.0, hidden_loss=False)
    found = []
    for labels in (LABELS, LABELS[::-1]):
        student = model(0)
        settings: dict[str, Any] = {"lesson": options, "arithmetic": "fp32", "thread_count": 1}
        teach(student, model(1), make_inputs(24), labels, disturb=disturb, **settings)
        found.append(weights(student))

    assert same(found[0], found[1])
    assert seen == [8] * 18


@pytest.mark.parametrize(("bf16_sec", "precision"), [(0.8, "bf16"), (0.95, "fp32")])
def test_the_probe_chooses_and_changes_nothing_else(
    monkeypatch: pytest.MonkeyPatch, bf16_sec: float, precision: str
) -> None:
    """bf16 must be quicker by a tenth; the weights are those of a training told to use what was found."""
    real, now_sec = teaching._step, [0.0]

    def step(*args: Any, is_bf16: bool) -> float:
        now_sec[0] += bf16_sec if is_bf16 else 1.0
        return real(*args, is_bf16=is_bf16)

    monkeypatch.setattr(teaching, "_step", step)
    probed, told = model(0), model(0)
    details = lesson(probed, arithmetic="probe", clock=lambda: now_sec[0])
    lesson(told, arithmetic=precision)

    assert details.precision == precision
    assert details.fp32_step_sec == pytest.approx(1.0)
    assert details.bf16_step_sec == pytest.approx(bf16_sec)
    assert same(weights(probed), weights(told))


def test_answers_keep_their_places() -> None:
    """Batches of one length are put back in the order asked."""
    module, inputs = model(0), make_inputs(130)
    with torch.inference_mode():
        alone = [module(*(torch.tensor(array) for array in inputs.take([row]).arrays.values())) for row in range(130)]

    np.testing.assert_allclose(answer(module, inputs), torch.cat(alone).numpy(), atol=1e-5)


def test_answers_are_compared_class_by_class() -> None:
    """By hand; a class that nobody belongs to has no recall."""
    said = np.eye(3)[[0, 1, 1, 0]]
    told = np.eye(3)[[0, 1, 0, 1]]
    found = compare_answers(said, told, np.array([0, 0, 1, 1]), names=("bad", "fair", "good"))

    assert (found["tuning_accuracy_ratio"], found["teacher_tuning_accuracy_ratio"]) == (0.5, 0.5)
    assert found["agreement_ratio"] == 0.5
    assert [one["class"] for one in found["classes"]] == ["bad", "fair"]
    assert [one["student_recall_ratio"] for one in found["classes"]] == [0.5, 0.5]
    said[3] = [0, 1, 0]
    found = compare_answers(said, told, np.array([0, 0, 1, 1]), names=("bad", "fair", "good"))
    assert [one["student_recall_ratio"] for one in found["classes"]] == [0.5, 1.0]
    assert [one["teacher_recall_ratio"] for one in found["classes"]] == [0.5, 0.5]


@pytest.mark.parametrize(
    ("count", "of", "layers"),
    [(1, 6, (5,)), (2, 6, (2, 5)), (3, 6, (1, 3, 5)), (4, 6, (1, 2, 3, 5)), (6, 6, (0, 1, 2, 3, 4, 5)), (1, 2, (1,))],
)
def test_layers_are_spread_to_the_last(count: int, of: int, layers: tuple[int, ...]) -> None:
    """Evenly, as far as whole numbers allow."""
    assert spread_layers(count, of=of) == layers
