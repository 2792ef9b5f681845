"""
What a student is taught, and how far it is from knowing it.

Three things teach: the teacher's softened logits (how wrong the other classes are), the labels, and what the teacher's
layers gave (the states of real tokens, layer for layer).
The loss of one text is ``alpha · T² · KL(teacher ‖ student) + (1 − alpha) · cross-entropy``, with both logits of the
first part divided by the temperature T; T² keeps the two parts of one size whatever T is. The mean squared error of
the states is added.
"""

import contextlib
import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional as F

from perflib.compression.students import spread_layers
from perflib.encoded import MASK, Encoded
from perflib.engines.torch_engine import to_tensors

UNLABELLED = -1


@dataclasses.dataclass(frozen=True)
class Lesson:
    """
    How a student is taught; see the module for ``temperature`` and ``alpha``.

    ``hidden_loss`` needs models that show their states by ``explain``; of others only the logits teach.
    ``learning_rate`` is the highest one: it rises over the first tenth of the steps and falls linearly to zero.
    """

    epochs: int = 3
    learning_rate: float = 2e-4
    temperature: float = 4.0
    alpha: float = 1.0
    hidden_loss: bool = True
    batch: int = 32
    seed: int = 0


class Course(nn.Module):
    """A student and, where its states are of another width than the teacher's, a map that is thrown away afterwards."""

    def __init__(self, student: nn.Module, teacher: nn.Module, inputs: Encoded, lesson: Lesson) -> None:
        super().__init__()
        self.student = student
        self._outside = (teacher,)  # in a tuple, so that it is neither trained nor saved
        self.has_hidden_loss = lesson.hidden_loss and all(hasattr(model, "explain") for model in (student, teacher))
        self.projection: nn.Linear | None = None
        if self.has_hidden_loss:
            with torch.no_grad():
                said, told = (_explain(model, tensors(inputs.take([0])))[1] for model in (student, teacher))
            self._pairs = spread_layers(len(said), of=len(told))
            if said[0].shape[-1] != told[0].shape[-1]:
                self.projection = nn.Linear(said[0].shape[-1], told[0].shape[-1])

    @property
    def teacher(self) -> nn.Module:
        """Who teaches."""
        return self._outside[0]

    def loss(self, batch: Encoded, labels: torch.Tensor, lesson: Lesson, *, is_bf16: bool) -> torch.Tensor:
        """Let both models answer a batch and compare."""
        arrays = tensors(batch)
        with torch.autocast("cpu", torch.bfloat16) if is_bf16 else contextlib.nullcontext():
            # Not `inference_mode`: the losses keep what the teacher gave for their gradients.
            with torch.no_grad():
                told, told_states = _explain(self.teacher, arrays, is_deep=self.has_hidden_loss)
            said, said_states = _explain(self.student, arrays, is_deep=self.has_hidden_loss)
            if self.projection is not None:
                said_states = [self.projection(state) for state in said_states]
        loss = soft_and_hard_loss(
            said.float(), told.float(), labels, temperature=lesson.temperature, alpha=lesson.alpha
        )
        return loss + self._distance(said_states, told_states, arrays.get(MASK)) if self.has_hidden_loss else loss

    def _distance(self, said: list[torch.Tensor], told: list[torch.Tensor], mask: torch.Tensor | None) -> torch.Tensor:
        """Return the mean squared error over layers, of real tokens: what stands on padding is nobody's business."""
        real = torch.ones(said[0].shape[:2], dtype=torch.bool) if mask is None else mask.bool()
        parts = [
            F.mse_loss(state[real].float(), told[at][real].float()) for state, at in zip(said, self._pairs, strict=True)
        ]
        return torch.stack(parts).mean()


def soft_and_hard_loss(
    said: torch.Tensor, told: torch.Tensor, labels: torch.Tensor, *, temperature: float, alpha: float
) -> torch.Tensor:
    """
    Return the mean loss of a batch in nats.

    Args:
        said: The student's logits, shape (examples, classes).
        told: The teacher's, of the same shape.
        labels: Class numbers, shape (examples,); where they are `UNLABELLED`, alpha is 1.
        temperature: Divides both logits.
        alpha: The weight of what the teacher says against what the label says.
    """
    said_soft, told_soft = F.log_softmax(said / temperature, dim=-1), F.log_softmax(told / temperature, dim=-1)
    soft = F.kl_div(said_soft, told_soft, log_target=True, reduction="none").sum(dim=-1) * temperature**2
    hard = F.cross_entropy(said, labels, ignore_index=UNLABELLED, reduction="none")
    weights = torch.where(labels == UNLABELLED, 1.0, alpha)
    return (weights * soft + (1 - weights) * hard).mean()


def compare_answers(
    said: NDArray[np.floating], told: NDArray[np.floating], labels: NDArray[np.integer], *, names: Sequence[str]
) -> dict[str, Any]:
    """
    Compare a student's logits with its teacher's, both of shape (examples, classes), on labelled examples.

    Returns:
        Accuracies, the share of equal answers, and the recall of each class that occurs.
    """
    student, teacher = said.argmax(axis=1), told.argmax(axis=1)
    recalls = [
        {
            "class": name,
            "example_count": int((labels == number).sum()),
            "student_recall_ratio": float(np.mean(student[labels == number] == number)),
            "teacher_recall_ratio": float(np.mean(teacher[labels == number] == number)),
        }
        for number, name in enumerate(names)
        if (labels == number).any()
    ]
    return {
        "tuning_accuracy_ratio": float(np.mean(student == labels)),
        "teacher_tuning_accuracy_ratio": float(np.mean(teacher == labels)),
        "agreement_ratio": float(np.mean(student == teacher)),
        "classes": recalls,
    }


def tensors(batch: Encoded) -> dict[str, torch.Tensor]:
    """Return a batch as a model on the CPU takes it."""
    return to_tensors(batch.arrays, device="cpu", dtype=torch.float32)


def _explain(
    model: nn.Module, arrays: dict[str, torch.Tensor], *, is_deep: bool = True
) -> tuple[torch.Tensor, list[torch.Tensor]]:
    """Return logits and, where they are wanted, what each layer gave."""
    explain: Any = getattr(model, "explain", None)
    return explain(**arrays) if is_deep and explain is not None else (model(**arrays), [])
