"""Overlaps: what stands in the test split and elsewhere is counted, shown, and refused where it was trained on."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from perflib.errors import DataError
from perflib.results import Overlap
from perflib.validation.overlaps import check_apart, overlaps
from perflib.workloads.base import Split, normalise

LONG = "one two three four five six seven eight nine"


def make_split(name: str, inputs: list[Any], keys: list[str] | None = None) -> Split:
    """Make a split of the inputs; texts are normalised to keys."""
    return Split(
        name=name,
        ids=tuple(f"{name}-{row}" for row in range(len(inputs))),
        inputs=tuple(inputs),
        keys=tuple(keys if keys is not None else map(normalise, inputs)),
        labels=np.zeros(len(inputs), np.int64),
        slices={},
    )


def find(**inputs: list[str]) -> dict[str, Overlap]:
    """Return the overlaps of four splits by name; those that are not given hold one text that stands alone."""
    splits = {
        name: make_split(name, inputs.get(name, [f"alone in {name}"]))
        for name in ("train", "calibration", "tuning", "test")
    }
    return {one.split: one for one in overlaps(SimpleNamespace(**splits))}


def test_every_other_split_is_compared_with_test() -> None:
    """There is one result for each, in the order of how much harm an overlap does, and apart means zero."""
    found = find(train=["a", "b", "c"])

    assert list(found) == ["calibration", "tuning", "train"]
    assert found["train"] == Overlap("train", 3, 0, 0, ())


def test_a_text_that_differs_in_case_and_spaces_is_an_exact_overlap() -> None:
    """The normalised form decides, every row counts, and an exact repeat is not counted again as near."""
    found = find(calibration=["Good  FILM", "good film", "other words"], test=["good film", "dull"])

    assert found["calibration"] == Overlap("calibration", 3, 2, 0, ())
    assert (found["train"].exact_count, found["tuning"].exact_count) == (0, 0)


def test_a_near_repeat_is_counted_and_shown_as_it_stands() -> None:
    """Nine of ten words are near, eight of ten are still near, seven of ten are not."""
    words = LONG.split()
    texts = [f"{LONG} TEN!", f"{LONG} ten", " ".join(words[:8]), " ".join(words[:7])]
    found = find(tuning=texts, test=[f"{LONG} ten"])

    assert found["tuning"] == Overlap("tuning", 4, 1, 2, (texts[0], texts[2]))


def test_twenty_near_texts_are_shown_and_all_are_counted() -> None:
    """The first ones, in the order of the split, past those that are not near."""
    texts = ["far away", *(f"{LONG} {row}" for row in range(25))]
    found = find(train=texts, test=[f"{LONG} ten"])["train"]

    assert (found.text_count, found.near_count) == (26, 25)
    assert found.near_texts == tuple(texts[1:21])


def test_a_split_that_is_all_in_test_has_nothing_near() -> None:
    """No text is left to compare."""
    assert find(train=["same one", "same two"], test=["same one", "same two"])["train"] == Overlap("train", 2, 2, 0, ())


def test_inputs_that_are_no_texts_are_compared_exactly_only() -> None:
    """The key of an image is a digest, of which no words can be near."""
    images = [np.zeros(2), np.ones(2)]
    splits = {name: make_split(name, images, [LONG, f"{name} key"]) for name in ("train", "calibration", "tuning")}
    test = make_split("test", images, [LONG, f"{LONG} ten"])
    near = make_split("train", images, [LONG, f"{LONG} eleven"])
    found = overlaps(SimpleNamespace(**splits | {"test": test, "train": near}))

    assert found[2] == Overlap("train", 2, 1, 0, ())


def test_near_repeats_equal_brute_force() -> None:
    """Of random texts, the near ones are those that comparing all with all finds among those that are not exact."""
    rng = np.random.default_rng(0)
    texts = {
        name: [
            " ".join(f"word{number}" for number in rng.choice(11, rng.integers(5, 9), replace=False))
            for _ in range(150)
        ]
        for name in ("train", "test")
    }
    tested = [set(text.split()) for text in texts["test"]]
    others = [text for text in texts["train"] if text not in texts["test"]]
    near = [
        text
        for text in others
        if any(5 * len(set(text.split()) & one) >= 4 * len(set(text.split()) | one) for one in tested)
    ]
    found = find(**texts)["train"]

    assert 20 < len(near) < len(others)
    assert (found.near_count, found.near_texts) == (len(near), tuple(near[:20]))


def test_data_that_stand_apart_are_let_through() -> None:
    """Nothing is said of keys that are in one place only, or of none."""
    check_apart("the calibration texts of `int8`", ["a", "b"], ["c", "aa"])
    check_apart("the calibration texts of `int8`", [], ["c"])


def test_a_candidate_that_saw_the_test_split_is_refused() -> None:
    """One sentence says how many of how many, and shows the beginning of one."""
    with pytest.raises(DataError) as caught:
        check_apart("the calibration texts of `int8`", ["a", "b" * 80, "c"], iter(["c", "b" * 80]))

    assert str(caught.value) == (
        "the calibration texts of `int8` overlap with the test split: 2 of 3 stand in both "
        f"(one of them: '{'b' * 60}'); take them out and build the candidate again."
    )
