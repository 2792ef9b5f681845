"""
What is optimised: a model, its data in four splits, its quality metric and the inputs people really send.

The split is by hash of the normalised text, so that duplicates fall on one side whatever the order of the file.
Candidates are tuned on *tuning*, calibrated on *calibration*, and meet *test* once.
"""

import dataclasses
import hashlib
import html
import itertools
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from perflib.artifact import Artifact
from perflib.encoded import Encoded
from perflib.errors import DataError
from perflib.records import sha256_json

SPLIT_NAMES = ("train", "calibration", "tuning", "test")
# Upper edges of the hash in hundredths: test 25 %, tuning 10 %, calibration 2 %, train the rest.
_SPLIT_EDGES = (("test", 25), ("tuning", 35), ("calibration", 37), ("train", 100))


@dataclasses.dataclass(frozen=True)
class Split:
    """
    One part of the data.

    ``inputs`` are what ``encode`` takes (texts, or arrays); ``keys`` are their normalised forms, which say what is the
    same example; ``slices`` maps a column to one value per example.
    """

    name: str
    ids: tuple[str, ...]
    inputs: tuple[Any, ...]
    keys: tuple[str, ...]
    labels: NDArray[np.int64]
    slices: Mapping[str, tuple[str, ...]]

    def __len__(self) -> int:
        return len(self.ids)

    def digest(self) -> str:
        """Return a sha256 over ids, keys, labels and slices, in order."""
        return sha256_json([self.name, self.ids, self.keys, self.labels.tolist(), dict(self.slices)])


@dataclasses.dataclass(frozen=True)
class Splits:
    """The four splits, checked: no normalised text stands in two of them. ``notes`` say what was moved or found."""

    train: Split
    calibration: Split
    tuning: Split
    test: Split
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        parts = {name: set(getattr(self, name).keys) for name in SPLIT_NAMES}
        for one, other in itertools.combinations(SPLIT_NAMES, 2):
            shared = parts[one] & parts[other]
            if shared:
                raise DataError(
                    f"{len(shared)} examples stand in both {one} and {other} (one of them: {min(shared)[:60]!r}); "
                    "split the data by normalised text."
                )


@runtime_checkable
class Workload(Protocol):
    """
    A model with its data.

    ``name`` is the word in params files, ``quality_metric`` a word of `QUALITY_METRICS`, ``labels`` the classes in
    order, ``unit`` what one example is called ("texts", "images"), ``slice_columns`` the columns of `Split.slices`
    whose values are reported one by one.
    Example inputs with the real lengths are ``encode(splits().test.inputs).stratified(count)``.
    """

    name: str
    quality_metric: str
    labels: tuple[str, ...]
    unit: str
    slice_columns: tuple[str, ...]

    def prepare(self) -> Artifact:
        """Fetch, verify, train and cache what is missing, and return the baseline; later calls only load it."""
        ...

    def splits(self) -> Splits:
        """Return the four splits; the data must have been prepared."""
        ...

    def encode(self, inputs: Sequence[Any]) -> Encoded:
        """Turn inputs of a split into model inputs."""
        ...


def accuracy(labels: NDArray[np.integer], probabilities: NDArray[np.floating]) -> float:
    """Return the share of examples whose most probable class is the label: the built-in quality metric."""
    return float(np.mean(probabilities.argmax(axis=1) == labels))


# What a workload may be judged by; pairs, flips and bounds are defined on right and wrong answers.
QUALITY_METRICS = {"accuracy": accuracy}


def normalise(text: str) -> str:
    """
    Bring a text to the form by which two examples are the same: NFKC, HTML entities, case, spaces.

    Example:
        >>> normalise("Good &amp;  CHEAP")
        'good & cheap'
    """
    plain = unicodedata.normalize("NFKC", html.unescape(text)).casefold()
    return " ".join(plain.split())


def split_name(key: str) -> str:
    """
    Say which split a normalised text belongs to, by its sha256 alone.

    Example:
        >>> split_name("good & cheap") in SPLIT_NAMES
        True
    """
    hundredth = int.from_bytes(hashlib.sha256(key.encode()).digest()[:8], "big") % 100
    return next(name for name, edge in _SPLIT_EDGES if hundredth < edge)


@dataclasses.dataclass(frozen=True)
class Example:
    """One labelled example before it is split; ``key`` is its normalised form."""

    id: str
    input: Any
    key: str
    label: int
    slices: Mapping[str, str]


def build_splits(examples: Iterable[Example], *, near_duplicates: "NearDuplicates | None" = None) -> Splits:
    """
    Split examples by the hash of their key and move near-duplicates of the other splits out of train.

    Args:
        examples: All labelled examples; their order is kept inside a split.
        near_duplicates: Finds positions in train that nearly repeat a held-out text; None for data without texts.

    Raises:
        DataError: If a split would be empty.
    """
    parts: dict[str, list[Example]] = {name: [] for name in SPLIT_NAMES}
    for example in examples:
        parts[split_name(example.key)].append(example)
    notes: tuple[str, ...] = ()
    if near_duplicates is not None:
        held_out = [example.key for name in SPLIT_NAMES[1:] for example in parts[name]]
        moved = set(near_duplicates([example.key for example in parts["train"]], held_out))
        parts["train"] = [example for row, example in enumerate(parts["train"]) if row not in moved]
        notes = (f"{len(moved)} near-duplicates of held-out texts were taken out of train.",) if moved else ()
    for name, rows in parts.items():
        if not rows:
            raise DataError(f"the {name} split is empty; give more examples (a few hundred different ones).")
    return Splits(**{name: _split(name, rows) for name, rows in parts.items()}, notes=notes)


# (keys of train, keys held out) -> positions in train that nearly repeat a held-out text.
NearDuplicates = Callable[[Sequence[str], Sequence[str]], Iterable[int]]


def _split(name: str, rows: Sequence[Example]) -> Split:
    columns = sorted({column for row in rows for column in row.slices})
    return Split(
        name=name,
        ids=tuple(row.id for row in rows),
        inputs=tuple(row.input for row in rows),
        keys=tuple(row.key for row in rows),
        labels=np.array([row.label for row in rows], np.int64),
        slices={column: tuple(row.slices.get(column, "") for row in rows) for column in columns},
    )
