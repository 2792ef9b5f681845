"""
What a stage may use besides its parent: three of the four splits, and the seed.

The test split is not here, and a stage is handed nothing else: whatever is tuned, calibrated or chosen cannot have seen
the texts that it will be judged by.
"""

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from perflib.encoded import Encoded
from perflib.errors import StageError
from perflib.records import sha256_json
from perflib.workloads.base import Split, Splits, Workload

# What NNCF takes where nobody says otherwise.
USUAL_SAMPLE_COUNT = 300


@dataclasses.dataclass(frozen=True)
class Labelled:
    """Inputs of one split with their class numbers, shape (examples,)."""

    inputs: Encoded
    labels: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.labels)

    def stratified(self, count: int) -> "Labelled":
        """Return a fixed sample with the real distribution of lengths."""
        rows = self.inputs.stratified_rows(count)
        return Labelled(self.inputs.take(rows), self.labels[rows])


@dataclasses.dataclass(frozen=True)
class Materials:
    """
    What is there to build with.

    ``calibration`` sets ranges, ``train`` teaches, ``tuning`` chooses. ``encode`` turns further unlabelled texts into
    inputs. ``scratch`` is a folder that outlives an interrupted build, for partial results; None keeps none.
    """

    calibration: Encoded
    train: Labelled | None = None
    tuning: Labelled | None = None
    encode: Callable[[Sequence[Any]], Encoded] | None = None
    seed: int = 0
    scratch: Path | None = None

    def digest(self) -> str:
        """Return a sha256 over all that a stage's result can depend on."""
        parts = [self.calibration.digest(), self.seed]
        for part in (self.train, self.tuning):
            parts += [part.inputs.digest(), part.labels.tolist()] if part else [None]
        return sha256_json(parts)

    def sample(self, count: int | None, *, stage: str) -> Encoded:
        """
        Return that many calibration inputs, spread over the lengths; None takes the usual number, or all of fewer.

        Raises:
            StageError: If there are not so many, or none is asked for.
        """
        self.check_sample(count, stage=stage)
        return self.calibration.stratified(USUAL_SAMPLE_COUNT if count is None else count)

    def check_sample(self, count: int | None, *, stage: str) -> None:
        """Refuse a sample that the calibration split cannot give, as `sample` does, without taking it."""
        if count is not None and not 1 <= count <= len(self.calibration):
            raise StageError(
                f"stage `{stage}` asks for {count} calibration examples where the calibration split has "
                f"{len(self.calibration)}; give a number from 1 to {len(self.calibration)}."
            )

    def labelled(self, split: str, *, stage: str) -> Labelled:
        """
        Return ``train`` or ``tuning``.

        Raises:
            StageError: If nobody gave it.
        """
        found: Labelled | None = getattr(self, split)
        if found is None:
            raise StageError(f"stage `{stage}` needs the {split} split, and none was given; build from a workload.")
        return found


def gather(workload: Workload, splits: Splits, *, seed: int = 0) -> Materials:
    """Encode what stages may use of a workload."""
    return Materials(
        calibration=workload.encode(splits.calibration.inputs),
        train=_labelled(workload, splits.train),
        tuning=_labelled(workload, splits.tuning),
        encode=workload.encode,
        seed=seed,
    )


def _labelled(workload: Workload, split: Split) -> Labelled:
    return Labelled(workload.encode(split.inputs), split.labels)
