"""
The drill's model: a small text classifier in NumPy that really learns, so that a life takes a second.

It counts words and puts the counts through a few dense layers. Its products are done by a package of its own
(`perflib.watching.drill.wheels`), because one of the planted regressions is another version of a dependency.
"""

import functools
import importlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from perflib import project
from perflib.artifact import Artifact, ArtifactSpec, Lineage, Runtime
from perflib.encoded import MASK, Encoded
from perflib.engines import Session
from perflib.errors import SetupError
from perflib.records import sha256_json
from perflib.workloads.base import Example, Splits, build_splits
from perflib.workloads.cache import BASELINE, cached_baseline
from perflib.workloads.generated_reviews import generate_reviews

NAME = "perflib.watching.drill.model:DrillReviews"
ENGINE = "perflib.watching.drill.model:open_session"
KERNEL = "perflib_drill_kernel"
MAX_TOKEN_COUNT = 32
_HIDDEN_COUNTS = (256, 256, 256)
_ROUNDS_COUNT = 12
_REVIEWS_COUNT = 3000
_CODE_VERSION = 1
_FILE, _IDS = "model.safetensors", "input_ids"


class DrillReviews:
    """Sentiment of generated reviews by word counts; see `perflib.workloads.base.Workload`."""

    name = NAME
    quality_metric = "accuracy"
    labels: tuple[str, ...] = ("negative", "positive")
    unit = "texts"
    slice_columns: tuple[str, ...] = ("domain",)
    max_token_count: int | None = MAX_TOKEN_COUNT

    def __init__(self, *, seed: int = 0) -> None:
        self.seed = seed
        self._splits: Splits | None = None

    def prepare(self) -> Artifact:
        """Train for some seconds, and cache; later calls only load."""
        key = sha256_json([_REVIEWS_COUNT, _HIDDEN_COUNTS, _ROUNDS_COUNT, MAX_TOKEN_COUNT, _CODE_VERSION, self.seed])
        return cached_baseline(project.cache_dir() / "workloads" / "drill" / key[:16], self._make)

    def splits(self) -> Splits:
        """Return the four splits; the reviews are always the same."""
        if self._splits is None:
            self._splits = build_splits(_reviews())
        return self._splits

    def encode(self, inputs: Sequence[Any]) -> Encoded:
        """Number the words of texts; padded with 0 on the right, unknown words are 1."""
        numbers = _word_numbers()
        rows = [[numbers.get(word, 1) for word in str(text).lower().split()][:MAX_TOKEN_COUNT] for text in inputs]
        width = max(map(len, rows), default=1)
        ids = np.array([row + [0] * (width - len(row)) for row in rows], np.int64)
        return Encoded({_IDS: ids, MASK: (ids > 0).astype(np.int64)})

    def _make(self, folder: Path) -> None:
        from safetensors.numpy import save_file
        from sklearn.neural_network import MLPClassifier

        train = self.splits().train
        network = MLPClassifier(_HIDDEN_COUNTS, random_state=self.seed, batch_size=64)
        counts = _counts(self.encode(train.inputs).arrays[_IDS], len(_word_numbers()) + 2)
        for _ in range(_ROUNDS_COUNT):
            network.partial_fit(counts, train.labels, classes=[0, 1])
        tensors: dict[str, NDArray[np.float32]] = {}
        for index, (weights, bias) in enumerate(zip(network.coefs_, network.intercepts_, strict=True)):
            tensors |= {f"{index}.weight": weights.astype(np.float32), f"{index}.bias": bias.astype(np.float32)}
        target = folder / BASELINE
        target.mkdir(parents=True)
        save_file(tensors, target / _FILE)
        Artifact.seal(
            target,
            engine=ENGINE,
            precision="fp32",
            labels=self.labels,
            lineage=Lineage(NAME, None, (), {"numpy": np.__version__}),
            runtime=Runtime(thread_count=1),
            options={"max_token_count": MAX_TOKEN_COUNT},
        )


def open_session(folder: Path, spec: ArtifactSpec) -> Session:
    """
    Load the model; the call returns logits of shape (examples, 2).

    Raises:
        SetupError: If the package that does its products is not installed.
    """
    from safetensors.numpy import load_file

    try:
        kernel: Any = importlib.import_module(KERNEL)
    except ImportError as error:
        raise SetupError(f"the drill's model needs the package {KERNEL}; run it with `make drill`.") from error
    tensors = load_file(folder / _FILE)
    layers = [(tensors[f"{index}.weight"], tensors[f"{index}.bias"]) for index in range(len(_HIDDEN_COUNTS) + 1)]
    token_count = int(spec.options["max_token_count"])

    def call(arrays: Mapping[str, NDArray[np.generic]]) -> NDArray[np.floating[Any]]:
        hidden = _counts(np.asarray(arrays[_IDS])[:, :token_count], len(layers[0][0]))
        logit = kernel.forward(hidden, layers)
        return np.hstack([-logit / 2, logit / 2])

    return call


def _counts(ids: NDArray[Any], words_count: int) -> NDArray[np.float32]:
    """Count each word in each text: shape (examples, words)."""
    counts = np.zeros((len(ids), words_count), np.float32)
    np.add.at(counts, (np.arange(len(ids))[:, None], ids), 1.0)
    counts[:, 0] = 0.0
    return counts


@functools.cache
def _reviews() -> list[Example]:
    return generate_reviews(_REVIEWS_COUNT)


@functools.cache
def _word_numbers() -> dict[str, int]:
    words = sorted({word for review in _reviews() for word in str(review.key).split()})
    return {word: number + 2 for number, word in enumerate(words)}
