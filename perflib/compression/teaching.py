"""
A small model learns from a large one: the training loop behind distillation.

What is taught stands in `perflib.compression.lessons`. Batches hold texts of about one length; every epoch has random
numbers of its own and leaves a checkpoint, so that an interrupted training ends with the weights of an undisturbed one.

    details = teach(student, teacher, inputs, labels, lesson=Lesson(epochs=3, alpha=0.9))
"""

import copy
import dataclasses
import functools
import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from perflib import machine, records
from perflib.batching import plan_batches
from perflib.compression.checkpoints import load_checkpoint, save_checkpoint
from perflib.compression.lessons import UNLABELLED, Course, Lesson, tensors
from perflib.encoded import Encoded
from perflib.errors import StageError
from perflib.progress import Progress
from perflib.workloads.finetune import bucketed_batches, is_bf16_quicker, time_steps, typical_rows, warm_up_and_decay

Arithmetic = Literal["probe", "fp32", "bf16"]
# (batch, random numbers) -> the batch with some examples changed, and which: their labels are no longer known.
Disturb = Callable[[Encoded, np.random.Generator], tuple[Encoded, NDArray[np.bool_]]]
_ANSWER_EXAMPLE_COUNT = 64


@dataclasses.dataclass(frozen=True)
class TeachingDetails:
    """What was done; step times are None without a probe, ``resumed_epoch_count`` is what an earlier try did."""

    lesson: Lesson
    step_count: int
    example_count: int
    labelled_count: int
    has_hidden_loss: bool
    precision: Literal["fp32", "bf16"]
    thread_count: int
    fp32_step_sec: float | None
    bf16_step_sec: float | None
    train_sec: float
    resumed_epoch_count: int
    epoch_losses_nat: tuple[float, ...]


def teach(
    student: nn.Module,
    teacher: nn.Module,
    inputs: Encoded,
    labels: NDArray[np.integer] | None = None,
    *,
    lesson: Lesson,
    disturb: Disturb | None = None,
    arithmetic: Arithmetic = "probe",
    thread_count: int | None = None,
    checkpoint: Path | None = None,
    label: str = "distilling",
    clock: Callable[[], float] = time.perf_counter,
) -> TeachingDetails:
    """
    Train ``student`` in place with AdamW and leave it in evaluation mode; ``teacher`` is not changed.

    One seed, precision, thread count and machine give one set of weights, interrupted or not.

    Args:
        student: Takes the arrays of ``inputs`` by name and gives logits.
        teacher: The same, with the same classes.
        inputs: Examples to learn from.
        labels: Class numbers, one per example, `UNLABELLED` where only the teacher teaches; None for nowhere.
        lesson: How.
        disturb: Changes each batch before both models see it.
        arithmetic: bf16 autocast or not; ``probe`` takes two seconds to find what is quicker.
        thread_count: None for all cores allotted.
        checkpoint: A file written after each epoch; one of the same training is gone on with.
        label: What the progress bar calls the work.
        clock: Monotonic seconds.

    Raises:
        StageError: If the loss is no longer a number.
    """
    known = np.full(len(inputs), UNLABELLED) if labels is None else np.asarray(labels, np.int64)
    threads_before_count = torch.get_num_threads()
    thread_count = thread_count or machine.thread_count()
    torch.set_num_threads(thread_count)
    try:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(lesson.seed)
            course = Course(student, teacher.eval(), inputs, lesson)
            run = _Run(course, inputs, known, lesson, disturb, checkpoint, label)
            steps_sec = _probe(course, inputs, known, lesson, clock) if arithmetic == "probe" else {}
            started_sec = clock()
            facts, resumed_count = run.train(is_bf16=arithmetic == "bf16" or is_bf16_quicker(steps_sec))
    finally:
        torch.set_num_threads(threads_before_count)
        student.eval()
    return TeachingDetails(
        lesson=lesson,
        step_count=lesson.epochs * math.ceil(len(inputs) / lesson.batch),
        example_count=len(inputs),
        labelled_count=int((known != UNLABELLED).sum()),
        has_hidden_loss=course.has_hidden_loss,
        precision="bf16" if facts["is_bf16"] else "fp32",
        thread_count=thread_count,
        fp32_step_sec=steps_sec.get("fp32"),
        bf16_step_sec=steps_sec.get("bf16"),
        train_sec=clock() - started_sec,
        resumed_epoch_count=resumed_count,
        epoch_losses_nat=tuple(facts["losses_nat"]),
    )


def answer(model: nn.Module, inputs: Encoded) -> NDArray[np.float32]:
    """Return a model's logits in fp32, shape (examples, classes), computed in batches of about one length."""
    batches = plan_batches(inputs.lengths(), "sorted", example_count=_ANSWER_EXAMPLE_COUNT)
    with torch.inference_mode():
        parts = [model(**tensors(inputs.take(rows))).float().numpy() for rows in batches]
    ordered = np.empty((len(inputs), parts[0].shape[1]), np.float32)
    for rows, part in zip(batches, parts, strict=True):
        ordered[rows] = part
    return ordered


@dataclasses.dataclass(frozen=True)
class _Run:
    """One training, epoch by epoch; every epoch has random numbers of its own, so that it can begin anywhere."""

    course: Course
    inputs: Encoded
    labels: NDArray[np.int64]
    lesson: Lesson
    disturb: Disturb | None
    checkpoint: Path | None
    label: str

    def train(self, *, is_bf16: bool) -> tuple[dict[str, Any], int]:
        """Train to the end; return the facts of the last checkpoint and how many epochs had been done before."""
        lesson = self.lesson
        epoch_steps_count = math.ceil(len(self.inputs) / lesson.batch)
        optimiser = torch.optim.AdamW(self.course.parameters(), lr=lesson.learning_rate, fused=True)
        share = warm_up_and_decay(lesson.epochs * epoch_steps_count)
        name = self._name() if self.checkpoint else ""
        found = load_checkpoint(self.checkpoint, self.course, optimiser, of=name) if self.checkpoint else None
        # The precision of the first epochs stays that of the last, whatever a second probe would find.
        facts: dict[str, Any] = found or {"training": name, "is_bf16": is_bf16, "losses_nat": []}
        done_count = len(facts["losses_nat"])
        with Progress(self.label, lesson.epochs * epoch_steps_count) as bar:
            if done_count:
                bar.step("resumed", count=done_count * epoch_steps_count)
            for epoch in range(done_count, lesson.epochs):
                rates = [
                    lesson.learning_rate * share(epoch * epoch_steps_count + at) for at in range(epoch_steps_count)
                ]
                loss_nat = self._epoch(epoch, optimiser, rates, bar, is_bf16=facts["is_bf16"])
                facts = {**facts, "losses_nat": [*facts["losses_nat"], loss_nat]}
                if self.checkpoint:
                    save_checkpoint(self.checkpoint, self.course, optimiser, facts)
        return facts, done_count

    def _epoch(
        self, epoch: int, optimiser: torch.optim.Optimizer, rates: list[float], bar: Progress, *, is_bf16: bool
    ) -> float:
        rng = np.random.default_rng([self.lesson.seed, epoch])
        torch.manual_seed(int(rng.integers(2**31)))
        self.course.student.train()
        losses_nat = []
        batches = bucketed_batches(self.inputs.lengths(), self.lesson.batch, rng)
        for rate, rows in zip(rates, batches, strict=True):
            batch, labels = self.inputs.take(rows), self.labels[rows]
            if self.disturb is not None:
                batch, is_changed = self.disturb(batch, rng)
                labels = np.where(is_changed, UNLABELLED, labels)
            for group in optimiser.param_groups:
                group["lr"] = rate
            losses_nat.append(_step(self.course, optimiser, batch, labels, self.lesson, is_bf16=is_bf16))
            if not math.isfinite(losses_nat[-1]):
                raise StageError(
                    f"the loss became {losses_nat[-1]} in epoch {epoch + 1} of distilling; "
                    f"lower the learning rate of {self.lesson.learning_rate:g}."
                )
            bar.step(f"loss {losses_nat[-1]:.3f}")
        return float(np.mean(losses_nat))

    def _name(self) -> str:
        """Name what decides the training; teacher and disturbance are left to whoever chose the checkpoint's folder."""
        decides = [dataclasses.asdict(self.lesson), self.inputs.digest(), self.labels.tolist()]
        shapes = [(name, list(tensor.shape)) for name, tensor in self.course.state_dict().items()]
        return records.sha256_json([*decides, shapes])


def _step(
    course: Course,
    optimiser: torch.optim.Optimizer,
    batch: Encoded,
    labels: NDArray[np.int64],
    lesson: Lesson,
    *,
    is_bf16: bool,
) -> float:
    loss = course.loss(batch, torch.from_numpy(labels), lesson, is_bf16=is_bf16)
    optimiser.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    optimiser.step()
    return float(loss.detach())


def _probe(
    course: Course, inputs: Encoded, labels: NDArray[np.int64], lesson: Lesson, clock: Callable[[], float]
) -> dict[str, float]:
    """Time steps of a copy that learns nothing."""
    twin = Course(copy.deepcopy(course.student), course.teacher, inputs, lesson)
    twin.student.train()
    optimiser = torch.optim.AdamW(twin.parameters(), lr=0.0, fused=True)
    rows = typical_rows(inputs, lesson.batch)
    return time_steps(functools.partial(_step, twin, optimiser, inputs.take(rows), labels[rows], lesson), clock)
