"""
The answers that a run keeps, read from Parquet and nothing else: what everything here is computed from.

A file from another person is read column by column, by name and type; whatever is not as it should be is refused.
"""

import collections
import dataclasses
import functools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from perflib.errors import DataError

Floats = NDArray[np.float64]
Labels = NDArray[np.int64]
Flags = NDArray[np.bool_]

# What a record calls a tie: the baseline's two best classes closer than this.
_TIE_MARGIN_RATIO = 0.001
_SLICE = "slice_"


@dataclasses.dataclass(frozen=True)
class Answers:
    """
    Both models' probabilities, shape (examples, classes), with the true labels and the slice columns.

    An answer that is not finite has the label -1, which is never right.
    """

    labels: Labels
    baseline: Floats
    candidate: Floats
    slices: Mapping[str, NDArray[np.str_]]

    @functools.cached_property
    def label_before(self) -> Labels:
        """The baseline's labels, shape (examples,)."""
        return label_of(self.baseline)

    @functools.cached_property
    def label_after(self) -> Labels:
        """The candidate's labels, shape (examples,)."""
        return label_of(self.candidate)

    @functools.cached_property
    def is_right_before(self) -> Flags:
        """Where the baseline is right."""
        is_right: Flags = self.label_before == self.labels
        return is_right

    @functools.cached_property
    def is_right_after(self) -> Flags:
        """Where the candidate is right."""
        is_right: Flags = self.label_after == self.labels
        return is_right

    @functools.cached_property
    def is_tie(self) -> Flags:
        """Where the baseline itself was undecided between its two best classes."""
        ordered = np.sort(self.baseline, axis=1)
        ties: Flags = ordered[:, -1] - ordered[:, -2] < _TIE_MARGIN_RATIO
        return ties

    @property
    def class_count(self) -> int:
        """How many classes there are."""
        return int(self.baseline.shape[1])


@dataclasses.dataclass(frozen=True)
class Probes:
    """
    Both models' answers to the probes, each of shape (probes, classes), and what was asked.

    ``labels`` has -1 where a probe has none.
    """

    suites: NDArray[np.str_]
    kinds: NDArray[np.str_]
    rules: NDArray[np.str_]
    versions: Labels
    labels: Labels
    sides: Mapping[str, Floats]


def label_of(probabilities: Floats) -> Labels:
    """
    Return the most probable class of each row; -1 where a row is not finite.

    Example:
        >>> label_of(np.array([[0.2, 0.8], [np.nan, 0.1]])).tolist()
        [1, -1]
    """
    is_finite = np.isfinite(probabilities).all(axis=1)
    return np.where(is_finite, np.nan_to_num(probabilities).argmax(axis=1), -1)


def read_answers(path: Path) -> Answers:
    """
    Read ``predictions-NAME.parquet``.

    Raises:
        DataError: If it is anything else than two models' answers to the same examples.
    """
    table = _read(path)
    class_count = sum(name.startswith("baseline_") for name in table.column_names)
    labels = _integers(path, table, "label")
    if class_count < 2 or not len(labels) or labels.min() < 0 or labels.max() >= class_count:
        raise DataError(f"{path} holds {len(labels)} labels for {class_count} classes; validate the candidate again.")
    return Answers(
        labels=labels,
        baseline=_probabilities(path, table, "baseline", class_count),
        candidate=_probabilities(path, table, "candidate", class_count),
        slices={
            name.removeprefix(_SLICE): _words(path, table, name)
            for name in table.column_names
            if name.startswith(_SLICE)
        },
    )


def read_probes(path: Path) -> Probes | None:
    """
    Read ``probes-NAME.parquet``; None where there is no such file, as for inputs that no probe can be made of.

    Raises:
        DataError: If it is anything else than two models' answers to probes.
    """
    if not path.exists():
        return None
    table = _read(path)
    class_count = sum(name.startswith("baseline_after_") for name in table.column_names)
    labels = _integers(path, table, "label", missing=-1)
    if class_count < 2 or (len(labels) and (labels.min() < -1 or labels.max() >= class_count)):
        raise DataError(f"{path} holds labels of other than its {class_count} classes; validate the candidate again.")
    return Probes(
        suites=_words(path, table, "suite"),
        kinds=_words(path, table, "kind"),
        rules=_words(path, table, "rule"),
        versions=_integers(path, table, "version"),
        labels=labels,
        sides={
            f"{arm}_{side}": _probabilities(path, table, f"{arm}_{side}", class_count)
            for arm in ("baseline", "candidate")
            for side in ("before", "after")
        },
    )


def _read(path: Path) -> Any:
    import pyarrow as pa
    from pyarrow import parquet

    try:
        table = parquet.ParquetFile(path).read()
    except (OSError, pa.ArrowException) as error:
        raise DataError(f"{path} is no Parquet file ({error}); validate the candidate again.") from error
    twice = [name for name, count in collections.Counter(table.column_names).items() if count > 1]
    if twice:
        raise DataError(f"{path} holds column `{twice[0]}` twice; validate the candidate again.")
    return table


def _column(path: Path, table: Any, name: str, kinds: tuple[str, ...], *, may_miss: bool) -> Any:
    if name not in table.column_names:
        raise DataError(f"{path} has no column `{name}`; validate the candidate again.")
    column = table[name]
    if str(column.type).removeprefix("large_") not in kinds or (column.null_count and not may_miss):
        raise DataError(
            f"column `{name}` of {path} is {column.type} with {column.null_count} holes where {kinds[0]} is needed; "
            "validate the candidate again."
        )
    return column


def _integers(path: Path, table: Any, name: str, *, missing: int | None = None) -> Labels:
    column = _column(path, table, name, ("int64",), may_miss=missing is not None)
    return np.array(column.to_pylist() if missing is None else column.fill_null(missing).to_pylist(), np.int64)


def _words(path: Path, table: Any, name: str) -> NDArray[np.str_]:
    return np.array(_column(path, table, name, ("string",), may_miss=False).to_pylist(), np.str_)


def _probabilities(path: Path, table: Any, prefix: str, class_count: int) -> Floats:
    names = [f"{prefix}_{index}" for index in range(class_count)]
    # A probability that is no number may be kept as a hole; it becomes NaN here and is counted as such.
    columns = [_column(path, table, name, ("float", "double"), may_miss=True).to_numpy() for name in names]
    return np.column_stack(columns).astype(np.float64)
