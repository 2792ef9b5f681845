"""
Handwritten digits and a small convolutional network: proof that nothing in the library assumes texts.

The 1,797 images of 8 × 8 pixels come with scikit-learn; the network has batch normalisation, which can be folded.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from perflib import project
from perflib.artifact import Artifact
from perflib.encoded import Encoded
from perflib.records import sha256_bytes, sha256_json
from perflib.workloads.base import Example, Splits, build_splits
from perflib.workloads.cache import BASELINE, cached_baseline

LEAST_ACCURACY_RATIO = 0.95
_CODE_VERSION = 2
# One thread: the model is so small that a second one only waits, and for ever where others use the machine.
_RECIPE = {"epochs_count": 12, "learning_rate": 3e-3, "batch_example_count": 32, "bf16": "no", "thread_count": 1}
_CONFIG = {"channels_counts": [16, 32], "class_count": 10}


class Digits:
    """Which digit is it, for 8 × 8 grey images; see `perflib.workloads.base.Workload`."""

    name = "digits"
    quality_metric = "accuracy"
    labels: tuple[str, ...] = tuple("0123456789")
    unit = "images"
    # The data say nothing about who wrote a digit or how; the label itself would be no slice but the answer.
    slice_columns: tuple[str, ...] = ()

    def __init__(self, *, seed: int = 0) -> None:
        self.seed = seed
        self._splits: Splits | None = None

    def prepare(self) -> Artifact:
        """Train for some seconds, and cache; later calls only load."""
        return cached_baseline(self._folder(), self._make)

    def splits(self) -> Splits:
        """Return the four splits; the same pixels never stand in two of them."""
        if self._splits is None:
            self._splits = build_splits(_examples())
        return self._splits

    def encode(self, inputs: Sequence[Any]) -> Encoded:
        """Stack images of shape (1, 8, 8) with values from 0 to 1."""
        return Encoded({"images": np.asarray(inputs, np.float32).reshape(len(inputs), 1, 8, 8)})

    def _folder(self) -> Path:
        key = sha256_json([self.splits().test.digest(), _RECIPE, _CONFIG, _CODE_VERSION, self.seed])
        return project.cache_dir() / "workloads" / self.name / key[:16]

    def _make(self, folder: Path) -> None:
        from perflib.workloads.baseline import train_baseline
        from perflib.workloads.convnet import small_convnet

        train_baseline(
            self,
            self.splits(),
            folder / BASELINE,
            builder=small_convnet,
            config=_CONFIG,
            recipe=_RECIPE,
            seed=self.seed,
            least_accuracy_ratio=LEAST_ACCURACY_RATIO,
        )


def _examples() -> list[Example]:
    from sklearn.datasets import load_digits

    found = load_digits()
    images = (found.images / 16).astype(np.float32)[:, None]
    return [
        Example(id=f"digit-{row}", input=image, key=sha256_bytes(image.tobytes()), label=int(label), slices={})
        for row, (image, label) in enumerate(zip(images, found.target, strict=True))
    ]
