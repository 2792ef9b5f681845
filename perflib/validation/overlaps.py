"""
Has a candidate seen the questions: texts that stand in the test split and in another one, exactly or nearly.

A candidate that was calibrated or tuned on test texts is judged by what it was fitted to.
Exact repeats are refused; near ones are counted and shown, for a person to judge.

    >>> check_apart("the calibration texts of `int8`", ["a dull film"], ["a fine film"])
"""

from collections.abc import Iterable, Sequence
from typing import Protocol

from perflib.errors import DataError
from perflib.results import Overlap
from perflib.workloads.base import Split, Splits
from perflib.workloads.text import find_near_duplicates

SHOWN_TEXT_COUNT = 20


class FourSplits(Protocol):
    """What `overlaps` reads: the four splits, whether or not anybody has checked them."""

    @property
    def train(self) -> Split:
        """What models are fitted to."""
        ...

    @property
    def calibration(self) -> Split:
        """What ranges are taken from."""
        ...

    @property
    def tuning(self) -> Split:
        """What choices are made on."""
        ...

    @property
    def test(self) -> Split:
        """What answers are judged on."""
        ...


def overlaps(splits: FourSplits) -> tuple[Overlap, ...]:
    """
    Count the texts of calibration, tuning and train that also stand in the test split.

    Exact means the same key; near is by `find_near_duplicates` on the keys, exact ones not counted again.
    Where inputs are not texts, none is near another.
    """
    return tuple(_overlap(split, splits.test) for split in (splits.calibration, splits.tuning, splits.train))


def check_apart(name: str, keys: Sequence[str], test_keys: Iterable[str]) -> None:
    """
    Refuse data of a candidate that stand in the test split.

    Args:
        name: What the data are, as a plural: "the calibration texts of `int8`".
        keys: Their normalised forms, as in `Split.keys`.
        test_keys: Those of the test split.

    Raises:
        DataError: If any key stands in both.
    """
    known = set(test_keys)
    shared = [key for key in keys if key in known]
    if shared:
        raise DataError(
            f"{name} overlap with the test split: {len(shared)} of {len(keys)} stand in both "
            f"(one of them: {shared[0][:60]!r}); take them out and build the candidate again."
        )


def check_splits_apart(splits: Splits, *, unit: str) -> None:
    """
    Refuse splits of which one that candidates are built with holds a test example; ``unit`` is its plural word.

    Raises:
        DataError: As `check_apart`.
    """
    for part in (splits.train, splits.calibration, splits.tuning):
        check_apart(f"the {part.name} {unit}", part.keys, splits.test.keys)


def _overlap(split: Split, test: Split) -> Overlap:
    known = set(test.keys)
    others = [row for row, key in enumerate(split.keys) if key not in known]
    near: list[int] = []
    if all(isinstance(given, str) for given in (*split.inputs, *test.inputs)):
        near = find_near_duplicates([split.keys[row] for row in others], test.keys)
    return Overlap(
        split=split.name,
        text_count=len(split),
        exact_count=len(split) - len(others),
        near_count=len(near),
        near_texts=tuple(split.inputs[others[position]] for position in near[:SHOWN_TEXT_COUNT]),
    )
