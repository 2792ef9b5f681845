"""
Train a small classifier in minutes, the same way every time, in the precision that this machine is quicker in.

One optimiser, one schedule, batches of texts of about one length: padding is work that teaches nothing.
On processors with bf16 matrix units a step in bf16 autocast takes half the time; on others it takes longer, and nothing
but trying tells which, so two seconds are spent on a copy of the model.
"""

import contextlib
import copy
import dataclasses
import functools
import math
import statistics
import time
from collections.abc import Callable, Mapping
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional as F

from perflib import machine
from perflib.encoded import Encoded
from perflib.errors import DataError
from perflib.progress import Progress

PROBE_SEC = 2.0
# bf16 must be quicker by more than chance makes it, or the noise of one second would choose the precision.
BF16_MUST_SAVE_RATIO = 0.1
_BUCKET_BATCH_COUNT = 50


@dataclasses.dataclass(frozen=True)
class TrainingDetails:
    """What was done, for `Lineage.details`; step times are None where no probe was made."""

    seed: int
    epochs_count: int
    steps_count: int
    batch_example_count: int
    learning_rate: float
    precision: Literal["fp32", "bf16"]
    fp32_step_sec: float | None
    bf16_step_sec: float | None
    thread_count: int
    train_sec: float
    last_loss_nats: float


def finetune(
    model: nn.Module,
    train: Encoded,
    labels: NDArray[np.integer],
    *,
    seed: int,
    epochs_count: int,
    learning_rate: float,
    batch_example_count: int = 32,
    bf16: Literal["probe", "no"] = "probe",
    thread_count: int | None = None,
    label: str = "training",
    clock: Callable[[], float] = time.perf_counter,
) -> TrainingDetails:
    """
    Train ``model`` in place with AdamW and cross-entropy, and leave it in evaluation mode.

    The learning rate rises over the first tenth of the steps and falls linearly to zero.
    With one seed, one precision, one thread count and one machine the weights come out the same.

    Args:
        model: Takes the arrays of ``train`` by name and gives logits.
        train: Inputs of all training examples.
        labels: Class numbers, one per example.
        seed: Of order and dropout; torch's own generator is left as it was.
        epochs_count: Passes over the data.
        learning_rate: The highest one.
        batch_example_count: Examples per step.
        bf16: Whether to try bf16 autocast.
        thread_count: Of the training; None for all cores allotted.
        label: What the progress bar calls the work.
        clock: Monotonic seconds; tests pass their own.

    Raises:
        DataError: If the loss is no longer a number.
    """
    threads_before_count = torch.get_num_threads()
    torch.set_num_threads(thread_count or machine.thread_count())
    rng = np.random.default_rng(seed)
    targets = torch.from_numpy(np.asarray(labels, np.int64))
    steps_count = epochs_count * math.ceil(len(train) / batch_example_count)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model.train()
        typical = train.take(typical_rows(train, batch_example_count))
        steps_sec = _probe(model, typical, clock) if bf16 == "probe" else {}
        is_bf16 = is_bf16_quicker(steps_sec)
        torch.manual_seed(seed)  # the probe's dropout must not decide what training sees
        optimiser = torch.optim.AdamW(model.parameters(), lr=learning_rate, fused=True)
        schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, warm_up_and_decay(steps_count))
        started_sec, loss = clock(), math.nan
        with Progress(label, steps_count) as progress:
            for _ in range(epochs_count):
                for rows in bucketed_batches(train.lengths(), batch_example_count, rng):
                    loss = _step(model, optimiser, train.take(rows), targets[rows], is_bf16=is_bf16)
                    schedule.step()
                    progress.step(f"loss {loss:.3f}")
        train_sec = clock() - started_sec
    torch.set_num_threads(threads_before_count)
    model.eval()
    if not math.isfinite(loss):
        raise DataError(f"the loss became {loss} while training; lower the learning rate of {learning_rate}.")
    return TrainingDetails(
        seed=seed,
        epochs_count=epochs_count,
        steps_count=steps_count,
        batch_example_count=batch_example_count,
        learning_rate=learning_rate,
        precision="bf16" if is_bf16 else "fp32",
        fp32_step_sec=steps_sec.get("fp32"),
        bf16_step_sec=steps_sec.get("bf16"),
        thread_count=thread_count or machine.thread_count(),
        train_sec=train_sec,
        last_loss_nats=loss,
    )


def time_steps(step: Callable[..., object], clock: Callable[[], float] = time.perf_counter) -> dict[str, float]:
    """
    Time training steps in both precisions, in turn, for two seconds.

    Args:
        step: Called with ``is_bf16``; it must leave alone what is trained afterwards.
        clock: Monotonic seconds.

    Returns:
        The median second of a step, under ``fp32`` and ``bf16``.
    """
    samples_sec: dict[str, list[float]] = {"fp32": [], "bf16": []}
    started_sec = clock()
    while clock() - started_sec < PROBE_SEC or len(samples_sec["bf16"]) < 3:
        for precision, samples in samples_sec.items():
            before_sec = clock()
            step(is_bf16=precision == "bf16")
            samples.append(clock() - before_sec)
    # The first of each compiles and allocates.
    return {precision: statistics.median(samples[1:]) for precision, samples in samples_sec.items()}


def is_bf16_quicker(steps_sec: Mapping[str, float]) -> bool:
    """Say whether what `time_steps` found speaks for bf16; without a finding it does not."""
    return bool(steps_sec) and steps_sec["bf16"] < steps_sec["fp32"] * (1 - BF16_MUST_SAVE_RATIO)


def typical_rows(train: Encoded, count: int) -> NDArray[np.int64]:
    """Take the examples whose lengths are in the middle."""
    ranked = np.argsort(train.lengths(), kind="stable")
    first = max((len(ranked) - count) // 2, 0)
    return ranked[first : first + count].astype(np.int64)


def bucketed_batches(lengths: NDArray[np.int64], size: int, rng: np.random.Generator) -> list[NDArray[np.int64]]:
    """Shuffle, sort by length within large buckets, cut into batches and shuffle those."""
    order = rng.permutation(len(lengths))
    bucket = size * _BUCKET_BATCH_COUNT
    batches = []
    for start in range(0, len(order), bucket):
        rows = order[start : start + bucket]
        rows = rows[np.argsort(lengths[rows], kind="stable")]
        batches += [rows[cut : cut + size] for cut in range(0, len(rows), size)]
    return [batches[at] for at in rng.permutation(len(batches))]


def warm_up_and_decay(steps_count: int) -> Callable[[int], float]:
    """Return the share of the highest learning rate at a step: up over the first tenth, then linearly to zero."""
    warm_up_count = max(steps_count // 10, 1)
    return lambda step: min((step + 1) / warm_up_count, (steps_count - step) / max(steps_count - warm_up_count, 1), 1.0)


def _step(
    model: nn.Module, optimiser: torch.optim.Optimizer, batch: Encoded, targets: torch.Tensor, *, is_bf16: bool
) -> float:
    context = torch.autocast("cpu", torch.bfloat16) if is_bf16 else contextlib.nullcontext()
    with context:
        logits = model(**{name: torch.from_numpy(np.ascontiguousarray(array)) for name, array in batch.arrays.items()})
    loss = F.cross_entropy(logits.float(), targets)
    optimiser.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    optimiser.step()
    return float(loss.detach())


def _probe(model: nn.Module, batch: Encoded, clock: Callable[[], float]) -> Mapping[str, float]:
    """Time steps on a copy."""
    twin = copy.deepcopy(model)
    # A learning rate of zero: the cost of a step is that of any other, and repeated steps cannot diverge.
    optimiser = torch.optim.AdamW(twin.parameters(), lr=0.0, fused=True)
    targets = torch.zeros(len(batch), dtype=torch.int64)
    return time_steps(functools.partial(_step, twin, optimiser, batch, targets), clock)
