"""Numerics: a model whose answer depends on its neighbours, its padding or the hour is found, an honest one is not."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from perflib.encoded import MASK, Encoded
from perflib.progress import PROGRESS_FILE
from perflib.validation.numerics import invariances, non_finite_count, sum_error_ratio
from tests.tiny_artifact import make_inputs, write_artifact

WAYS = [
    "asked again",
    "one at a time",
    "batches of 8",
    "batches of 32, other neighbours",
    "padded to the longest",
]


def make_ids(count: int = 100) -> Encoded:
    """Make inputs whose first token is the row's own number, in 12 columns of which the longest uses 9."""
    lengths = np.arange(count) % 9 + 1
    mask = (np.arange(12) < lengths[:, None]).astype(np.int64)
    ids = mask * (np.arange(count)[:, None] + 1)
    return Encoded({"input_ids": ids, MASK: mask})


def own_logits(batch: Encoded) -> np.ndarray:
    """Return a number per example that depends on its first token alone, near zero for some."""
    first = next(iter(batch.arrays.values()))[:, 0].astype(np.float64)
    return ((first * 37) % 101 - 50) / 50


def two_classes(logits: np.ndarray) -> np.ndarray:
    """Squash to probabilities of two classes by divisions only, so that equal logits give equal bits."""
    share = 0.5 + 0.5 * logits / (1 + np.abs(logits))
    return np.stack([1 - share, share], axis=1).astype(np.float32)


class FakeArtifact:
    """Answers by ``logits_of(batch)`` and remembers what it was asked."""

    def __init__(self, logits_of: Callable[[Encoded], np.ndarray] = own_logits, *, batch_example_count: int = 4):
        self.logits_of, self.asked, self.calls = logits_of, [], []
        self.spec = SimpleNamespace(runtime=SimpleNamespace(batch_example_count=batch_example_count))

    def predict(
        self, encoded: Encoded, *, batch_example_count: int | None = None, is_padded: bool = False, on_batch: Any = None
    ) -> np.ndarray:
        """Answer in batches as an artifact does."""
        count = batch_example_count or self.spec.runtime.batch_example_count
        batches = encoded.batches(count, is_padded=is_padded)
        self.calls.append((count, is_padded))
        self.asked.append([batch.arrays for batch in batches])
        answers = []
        for batch in batches:
            answers.append(two_classes(self.logits_of(batch)))
            if on_batch is not None:
                on_batch(len(batch))
        return np.concatenate(answers)

    def first_tokens(self, call: int) -> list[int]:
        """Return the first token of every example in the order of one call."""
        return [int(row[0]) for arrays in self.asked[call] for row in next(iter(arrays.values()))]


def by_name(artifact: Any, encoded: Encoded, **settings: Any) -> dict[str, Any]:
    """Return the results by their way of asking."""
    return {one.what: one for one in invariances(artifact, encoded, **settings)}


def test_an_honest_model_changes_nothing() -> None:
    """Every way of asking gives the same bits, put back in order, and all ways are asked of all examples."""
    found = invariances(FakeArtifact(), make_ids())

    assert [one.what for one in found] == WAYS
    assert {(one.example_count, one.changed_label_count, one.max_difference_ratio) for one in found} == {(100, 0, 0.0)}


def test_an_answer_that_depends_on_its_neighbours_is_found() -> None:
    """Adding a twentieth of the batch's mean changes labels and probabilities by what a plain loop finds."""

    def shifted(batch: Encoded) -> np.ndarray:
        logits = own_logits(batch)
        return logits + 0.05 * logits.mean()

    found = by_name(FakeArtifact(shifted), make_ids())
    logits = own_logits(make_ids())
    before = two_classes(np.concatenate([part + 0.05 * part.mean() for part in np.split(logits, 25)]))
    alone = two_classes(1.05 * logits)

    assert found["asked again"].max_difference_ratio == 0.0
    assert found["padded to the longest"].max_difference_ratio == 0.0
    assert found["one at a time"].max_difference_ratio == pytest.approx(np.abs(before - alone).max(), abs=1e-6)
    assert found["one at a time"].changed_label_count == (before.argmax(axis=1) != alone.argmax(axis=1)).sum() > 0
    for what in ("batches of 8", "batches of 32, other neighbours"):
        assert found[what].max_difference_ratio > 0.001


def test_an_answer_that_depends_on_padding_is_found() -> None:
    """A model that sees the width of its batch answers otherwise when the batch is as wide as the longest."""
    artifact = FakeArtifact(lambda batch: own_logits(batch) + 0.1 * batch.arrays[MASK].shape[1])
    found = by_name(artifact, make_ids())

    assert found["asked again"].max_difference_ratio == 0.0
    assert found["padded to the longest"].changed_label_count > 0
    assert found["padded to the longest"].max_difference_ratio > 0.01


def test_a_model_that_answers_otherwise_when_asked_again_is_found() -> None:
    """A drift from call to call is seen in the very same call."""
    artifact = FakeArtifact()
    artifact.logits_of = lambda batch: own_logits(batch) + 0.01 * len(artifact.calls)

    assert by_name(artifact, make_ids())["asked again"].max_difference_ratio == pytest.approx(0.005, rel=0.1)


@pytest.mark.parametrize(("deployed", "expected"), [(None, 4), (16, 16), (1, 1)])
def test_the_deployed_batches_are_what_is_compared_with(deployed: int | None, expected: int) -> None:
    """The runtime block's batch, or the one that is given, is asked first, again and padded."""
    artifact = FakeArtifact()
    invariances(artifact, make_ids(), deployed=deployed)

    sizes = [expected, expected, 1, 8, 32, expected]
    assert artifact.calls == [*((size, False) for size in sizes[:-1]), (expected, True)]


def test_padding_goes_to_the_longest_of_the_sample() -> None:
    """Columns that no example of the sample uses are gone, whether or not the sample is everything."""
    for encoded, count in ((make_ids(), 1024), (make_ids(), 50)):
        artifact = FakeArtifact()
        invariances(artifact, encoded, example_count=count)

        assert {arrays[MASK].shape[1] for arrays in artifact.asked[-1]} == {9}
        assert len({arrays[MASK].shape[1] for arrays in artifact.asked[0]}) > 1


def test_the_sample_has_the_lengths_of_the_whole() -> None:
    """What is asked is the sample stratified by length, in the order of the data."""
    artifact, encoded = FakeArtifact(), make_ids()
    found = invariances(artifact, encoded, example_count=10)

    assert {one.example_count for one in found} == {10}
    assert artifact.first_tokens(0) == encoded.stratified(10).arrays["input_ids"][:, 0].tolist()


def test_other_neighbours_are_the_same_examples_in_a_seeded_order() -> None:
    """The order differs from the data's and between seeds, and one seed gives one order."""
    orders = []
    for seed in (0, 0, 1):
        artifact = FakeArtifact()
        invariances(artifact, make_ids(), seed=seed)
        orders.append(artifact.first_tokens(4))

    assert orders[0] == orders[1] != orders[2]
    assert sorted(orders[0]) == artifact.first_tokens(0) != orders[0]


def test_without_a_mask_nothing_is_padded() -> None:
    """Images are asked in five ways less the padded one."""
    images = Encoded({"image": np.arange(40, dtype=np.float32).reshape(20, 2)})

    assert list(by_name(FakeArtifact(), images)) == WAYS[:-1]


def test_an_answer_that_is_no_number_is_another_label_and_no_difference() -> None:
    """NaN for one example asked alone changes one label; NaN always changes none; differences are of finite values."""

    def broken_alone(batch: Encoded) -> np.ndarray:
        logits = own_logits(batch)
        logits[(batch.arrays["input_ids"][:, 0] == 7) & (len(batch) == 1)] = np.nan
        return logits

    alone = by_name(FakeArtifact(broken_alone), make_ids())["one at a time"]
    always = invariances(FakeArtifact(lambda batch: own_logits(batch) * np.nan), make_ids())

    assert (alone.changed_label_count, alone.max_difference_ratio) == (1, 0.0)
    assert {(one.changed_label_count, one.max_difference_ratio) for one in always} == {(0, 0.0)}


def test_progress_counts_every_example_of_every_question(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Six calls of ten examples are sixty steps with a mask, five calls fifty without."""
    file = tmp_path / "progress.txt"
    monkeypatch.setenv(PROGRESS_FILE, str(file))

    invariances(FakeArtifact(), make_ids(10), label="int8")
    assert file.read_text() == "asking again int8: 60 of 60"

    invariances(FakeArtifact(), Encoded({"image": np.zeros((10, 2))}))
    assert file.read_text() == "asking again: 50 of 50"


def test_a_real_model_keeps_its_answers(tmp_path: Path) -> None:
    """An fp32 model is the same again to the bit, and in any batch up to rounding."""
    found = by_name(write_artifact(tmp_path), make_inputs(40))

    assert list(found) == WAYS
    assert found["asked again"].max_difference_ratio == 0.0
    assert all(one.changed_label_count == 0 and one.max_difference_ratio < 1e-5 for one in found.values())


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([[0.25, 0.75]], 0.0),
        ([[0.25, 0.75], [0.5, 0.25]], 0.25),
        ([[0.75, 0.5], [0.5, 0.375]], 0.25),
        ([[np.nan, 5.0], [np.inf, 0.0], [0.5, 0.625]], 0.125),
        ([[np.nan, 1.0]], 0.0),
        ([[1.0, 2**-25]], 2**-25),
    ],
)
def test_the_error_of_a_sum_is_the_worst_of_finite_rows(rows: list[list[float]], expected: float) -> None:
    """Too much and too little count alike, however little, and a row that is not finite is counted elsewhere."""
    assert sum_error_ratio(np.array(rows, np.float32)) == expected


def test_rows_that_are_not_finite_are_counted_once() -> None:
    """NaN and both infinities count, however many in a row."""
    rows = [[0.5, 0.5], [np.nan, np.nan], [np.inf, 0.0], [0.0, -np.inf]]

    assert non_finite_count(np.array(rows, np.float32)) == 3
    assert non_finite_count(np.array(rows[:1], np.float32)) == 0
