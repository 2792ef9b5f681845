"""
The answers of both models to the same test inputs, in the same order: what every quality number is computed from.

They are kept with the run as Parquet, so that anyone can recompute every number; nothing is dropped silently.
"""

import dataclasses
import io
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from perflib import machine, records
from perflib.artifact import Artifact
from perflib.encoded import Encoded
from perflib.errors import DataError
from perflib.progress import Progress
from perflib.records import sha256_json

if TYPE_CHECKING:
    import pandas as pd


@dataclasses.dataclass(frozen=True)
class Paired:
    """
    Answers of baseline and candidate, example by example.

    ``baseline`` and ``candidate`` are probabilities of shape (examples, classes); ``slices`` has one value per example.
    """

    ids: tuple[str, ...]
    labels: NDArray[np.int64]
    baseline: NDArray[np.float32]
    candidate: NDArray[np.float32]
    slices: Mapping[str, tuple[str, ...]]

    def __post_init__(self) -> None:
        shapes = {"labels": len(self.labels), "baseline": len(self.baseline), "candidate": len(self.candidate)}
        if not self.ids or set(shapes.values()) != {len(self.ids)} or len(set(self.ids)) != len(self.ids):
            raise DataError(
                f"the answers cannot be paired: {len(self.ids)} ids ({len(set(self.ids))} different) but {shapes}; "
                "predict the whole split with both models."
            )

    def __len__(self) -> int:
        return len(self.ids)

    def to_frame(self) -> "pd.DataFrame":
        """Return one row per example: id, label, baseline_0 …, candidate_0 …, and the slice columns."""
        import pandas as pd

        columns: dict[str, object] = {"id": self.ids, "label": self.labels}
        for arm in ("baseline", "candidate"):
            values: NDArray[np.float32] = getattr(self, arm)
            columns |= {f"{arm}_{index}": values[:, index] for index in range(values.shape[1])}
        return pd.DataFrame(columns | {f"slice_{name}": values for name, values in self.slices.items()})

    def write(self, path: Path) -> Path:
        """Write the frame as compressed Parquet, atomically."""
        buffer = io.BytesIO()
        self.to_frame().to_parquet(buffer, compression="zstd", index=False)
        records.write_bytes(path, buffer.getvalue())
        return path


def predict(artifact: Artifact, encoded: Encoded, *, cache: Path | None = None, label: str = "") -> NDArray[np.float32]:
    """
    Answer every example as the artifact is served, or return the answers of an earlier, identical call.

    Args:
        artifact: Which model.
        encoded: All inputs, in order.
        cache: A folder for answers; None keeps nothing.
        label: The model's name on the progress bar.

    Returns:
        Probabilities, float32, shape (examples, classes).
    """
    path = cache_path(artifact, encoded, cache=cache) if cache else None
    if path is not None and path.is_file():
        try:
            answers: NDArray[np.float32] = np.load(path, allow_pickle=False)
            if len(answers) == len(encoded):
                return answers
        except (OSError, ValueError, EOFError):
            pass  # a damaged cache is no answer: ask the model again
    with Progress(f"predicting {label}".strip(), len(encoded)) as bar:
        answers = artifact.predict(encoded, on_batch=lambda count: bar.step(count=count))
    if path is not None:
        keep(answers, path)
    return answers


def keep(answers: NDArray[np.float32], path: Path) -> None:
    """Keep answers in the cache, under the name that `predict` looks for."""
    buffer = io.BytesIO()
    np.save(buffer, answers)
    records.write_bytes(path, buffer.getvalue())


def cache_path(artifact: Artifact, encoded: Encoded, *, cache: Path) -> Path:
    """Return where the answers of one artifact to one set of inputs are kept."""
    return cache / f"{cache_key(artifact, encoded)}.npy"


def cache_key(artifact: Artifact, encoded: Encoded) -> str:
    """
    Return what decides an answer: artifact with its runtime block, inputs, threads, instruction sets, versions.

    int8 kernels differ between instruction sets and sums between thread counts, so an answer of another machine is not
    reused.
    """
    card = machine.read_card()
    return sha256_json([artifact.digest, encoded.digest(), card.thread_count, card.isa_flags, card.versions])
