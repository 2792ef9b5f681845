"""
The answers of both models to the same test inputs, in the same order: what every quality number is computed from.

They are kept with the run as Parquet, so that anyone can recompute every number; nothing is dropped silently.

    answers = Answers(test.ids, predict(candidate, encoded))
    paired = pair(test, Answers(test.ids, predict(baseline, encoded)), answers, test.slices, class_count=2)
    Paired.read(paired.write(path))  # the same, to the bit
"""

import collections
import dataclasses
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from perflib import machine, records
from perflib.artifact import Artifact
from perflib.encoded import Encoded
from perflib.errors import DataError
from perflib.progress import Progress
from perflib.records import sha256_json
from perflib.workloads.base import Split

if TYPE_CHECKING:
    import pandas as pd

ARMS = ("baseline", "candidate")
_SLICE = "slice_"


@dataclasses.dataclass(frozen=True)
class Answers:
    """One model's probabilities, shape (examples, classes), and which example each row answers."""

    ids: tuple[str, ...]
    probabilities: NDArray[np.float32]

    def __post_init__(self) -> None:
        shape = self.probabilities.shape
        if len(shape) != 2 or shape[0] != len(self.ids):
            raise DataError(f"{len(self.ids)} ids do not fit answers of shape {shape}; give one row of classes per id.")


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
        _check_columns(self.slices, len(self.ids))

    def __len__(self) -> int:
        return len(self.ids)

    def to_frame(self) -> "pd.DataFrame":
        """Return one row per example: id, label, baseline_0 …, candidate_0 …, and the slice columns."""
        import pandas as pd

        columns: dict[str, object] = {"id": self.ids, "label": self.labels}
        for arm in ARMS:
            values: NDArray[np.float32] = getattr(self, arm)
            columns |= {f"{arm}_{index}": values[:, index] for index in range(values.shape[1])}
        return pd.DataFrame(columns | {f"{_SLICE}{name}": values for name, values in self.slices.items()})

    def write(self, path: Path) -> Path:
        """Write the frame as compressed Parquet, atomically."""
        return records.write_parquet(path, self.to_frame())

    @classmethod
    def read(cls, path: Path) -> "Paired":
        """Read what `write` wrote; nothing in the file can be code. `DataError` if it is anything else."""
        import pyarrow as pa
        from pyarrow import parquet

        try:
            table = parquet.ParquetFile(path).read()
        except (OSError, pa.ArrowException) as error:
            raise DataError(f"{path} is no Parquet file ({error}); validate the candidate again.") from error
        class_count = max(sum(name.startswith("baseline_") for name in table.column_names), 1)
        _check_table(path, table, class_count)
        arms = {
            arm: np.column_stack([table[f"{arm}_{index}"].to_numpy() for index in range(class_count)]) for arm in ARMS
        }
        names = [name for name in table.column_names if name.startswith(_SLICE)]
        return cls(
            ids=tuple(table["id"].to_pylist()),
            labels=table["label"].to_numpy(),
            slices={name.removeprefix(_SLICE): tuple(table[name].to_pylist()) for name in names},
            **arms,
        )

    def with_slices(self, columns: Mapping[str, Sequence[str]]) -> "Paired":
        """Return the same answers with more slice columns; one that is there already is replaced."""
        added = {name: tuple(values) for name, values in columns.items()}
        return dataclasses.replace(self, slices={**self.slices, **added})


def pair(
    split: Split, baseline: Answers, candidate: Answers, slices: Mapping[str, tuple[str, ...]], *, class_count: int
) -> Paired:
    """
    Put the answers of both models to a split side by side, and refuse any that do not fit.

    Args:
        split: What was asked, in order.
        baseline: The answers of the model that is compared with.
        candidate: Those of the model that is judged.
        slices: Column -> one value per example.
        class_count: Of the workload's labels.

    Raises:
        DataError: If ids are missing, unknown, repeated or in another order, a model has another number of classes,
            a label is no class, or a slice column has another length.
    """
    for arm, answers in zip(ARMS, (baseline, candidate), strict=True):
        _check_ids(arm, answers.ids, split)
        if answers.probabilities.shape[1] != class_count:
            raise DataError(
                f"the {arm} has {answers.probabilities.shape[1]} classes but the workload has {class_count} labels; "
                "build both models for the labels of the workload."
            )
    outside = np.flatnonzero((split.labels < 0) | (split.labels >= class_count))
    if len(outside):
        raise DataError(
            f"{len(outside)} labels of the {split.name} split lie outside 0 to {class_count - 1} "
            f"(one of them: {split.labels[outside[0]]} of {split.ids[outside[0]]!r}); correct the data."
        )
    return Paired(split.ids, split.labels, baseline.probabilities, candidate.probabilities, slices)


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


def _check_ids(arm: str, ids: Sequence[str], split: Split) -> None:
    wanted, given = set(split.ids), set(ids)
    repeated = [one for one, count in collections.Counter(ids).items() if count > 1]
    for rows, what in (
        ([one for one in split.ids if one not in given], "are missing"),
        ([one for one in ids if one not in wanted], f"are not of the {split.name} split"),
        (repeated, "are repeated"),
    ):
        if rows:
            raise DataError(
                f"{len(rows)} ids {what} in the answers of the {arm} (one of them: {rows[0]!r}); "
                f"answer the whole {split.name} split with it, each example once."
            )
    for row, (one, expected) in enumerate(zip(ids, split.ids, strict=True)):
        if one != expected:
            raise DataError(
                f"the answers of the {arm} are in another order than the {split.name} split "
                f"(row {row} answers {one!r} instead of {expected!r}); keep the order of the split."
            )


def _check_columns(slices: Mapping[str, Sequence[str]], example_count: int) -> None:
    for name, values in slices.items():
        if len(values) != example_count:
            raise DataError(
                f"slice column `{name}` has {len(values)} values for {example_count} examples; give one per example."
            )


def _check_table(path: Path, table: Any, class_count: int) -> None:
    found = {field.name: str(field.type).removeprefix("large_") for field in table.schema}
    expected = {"id": "string", "label": "int64"}
    expected |= {f"{arm}_{index}": "float" for arm in ARMS for index in range(class_count)}
    expected |= {name: "string" for name in found if name.startswith(_SLICE)}
    wrong = sorted(name for name in {*expected, *found} if found.get(name) != expected.get(name))
    wrong += [name for name, count in collections.Counter(table.column_names).items() if count > 1]
    # A probability that is not a number is kept as a hole; nothing else may have one.
    wrong = wrong or [name for name, kind in expected.items() if kind != "float" and table[name].null_count]
    if wrong:
        raise DataError(
            f"{path} holds no paired answers (column `{wrong[0]}` is missing, unknown, repeated, incomplete or of "
            "another type); validate the candidate again."
        )
