"""From an architecture and four splits to a sealed baseline: train, score, refuse what is too weak, seal last."""

import dataclasses
import importlib.metadata
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from perflib.artifact import Artifact, Lineage, Runtime, softmax
from perflib.encoded import Encoded
from perflib.engines.torch_engine import Builder, builder_name, save_module
from perflib.errors import DataError
from perflib.workloads.base import Split, Splits, Workload, accuracy
from perflib.workloads.finetune import finetune

_ANSWER_EXAMPLE_COUNT = 64


def train_baseline(
    workload: Workload,
    splits: Splits,
    folder: Path,
    *,
    builder: Builder,
    config: dict[str, Any],
    recipe: Mapping[str, Any],
    seed: int,
    least_accuracy_ratio: float,
    load_weights: Callable[[nn.Module], None] | None = None,
    details: Mapping[str, Any] | None = None,
) -> Artifact:
    """
    Build, train and seal a workload's baseline.

    Args:
        workload: Gives name, labels and ``encode``.
        splits: Train is learned, test is scored.
        folder: Where weights and record are written.
        builder: A marked model builder.
        config: Its argument.
        recipe: ``epochs_count``, ``learning_rate``, ``batch_example_count``, ``bf16`` and ``thread_count``
            (optional, for training and serving) are obeyed, all is recorded.
        seed: Of first weights, order and dropout.
        least_accuracy_ratio: What the test split demands.
        load_weights: Puts trained weights into the new model, where there are some.
        details: What else the lineage shall say.

    Raises:
        DataError: If the accuracy is too low; no artifact is sealed.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = builder(config)
    if load_weights is not None:
        load_weights(model)
    training = finetune(
        model,
        workload.encode(splits.train.inputs),
        splits.train.labels,
        seed=seed,
        epochs_count=recipe["epochs_count"],
        learning_rate=recipe["learning_rate"],
        batch_example_count=recipe["batch_example_count"],
        bf16=recipe["bf16"],
        thread_count=recipe.get("thread_count"),
        label=f"training {workload.name}",
    )
    scores = _scores(splits.test, answer(model, workload.encode(splits.test.inputs)))
    if scores["all"] < least_accuracy_ratio:
        raise DataError(
            f"the baseline of {workload.name} answers {scores['all']:.2%} of the test {workload.unit} rightly where "
            f"{least_accuracy_ratio:.1%} is needed; train it with another seed than {seed}."
        )
    save_module(model, folder)
    lineage = Lineage(
        workload=workload.name,
        parent_sha256=None,
        recipe=({"stage": "finetune", **recipe},),
        versions={name: importlib.metadata.version(name) for name in ("perflib", "torch", "numpy")},
        details={
            "training": dataclasses.asdict(training),
            "train_examples_count": len(splits.train),
            "split_sha256": {part.name: part.digest() for part in (splits.train, splits.test)},
            "test_accuracy_ratio": scores,
            **(details or {}),
        },
    )
    return Artifact.seal(
        folder,
        engine="torch",
        precision="fp32",
        labels=workload.labels,
        lineage=lineage,
        builder=builder_name(builder),
        config=config,
        runtime=Runtime(thread_count=recipe.get("thread_count")),
    )


def answer(model: nn.Module, encoded: Encoded) -> NDArray[np.float32]:
    """Return a module's probabilities, shape (examples, classes); `Artifact.predict` does it for sealed ones."""
    with torch.inference_mode():
        logits = [
            model(**{name: torch.from_numpy(np.ascontiguousarray(array)) for name, array in batch.arrays.items()})
            for batch in encoded.batches(_ANSWER_EXAMPLE_COUNT)
        ]
    return softmax(torch.cat(logits).float().numpy())


def _scores(test: Split, probabilities: NDArray[np.float32]) -> dict[str, float]:
    """Accuracy of all test examples and, as ``column=value``, of every slice."""
    scores = {"all": accuracy(test.labels, probabilities)}
    for column, values in test.slices.items():
        for value in sorted(set(values)):
            rows = np.array([other == value for other in values])
            scores[f"{column}={value}"] = accuracy(test.labels[rows], probabilities[rows])
    return scores
