"""Predictions: nothing is dropped silently, and no model is asked twice for the same answer."""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from tiny_artifact import make_inputs, write_artifact

from perflib import machine
from perflib.artifact import Runtime
from perflib.errors import DataError
from perflib.validation.predictions import Paired, cache_key, predict


def make_paired(**change: Any) -> Paired:
    """Return three answers of two models."""
    answers = np.array([[0.1, 0.9], [0.6, 0.4], [0.5, 0.5]], np.float32)
    given = {
        "ids": ("a", "b", "c"),
        "labels": np.array([1, 0, 1]),
        "baseline": answers,
        "candidate": answers[::-1].copy(),
        "slices": {"length": ("short", "long", "<b>")},
    }
    return Paired(**given | change)


@pytest.mark.parametrize(
    "change",
    [
        {"candidate": np.zeros((2, 2), np.float32)},
        {"baseline": np.zeros((4, 2), np.float32)},
        {"labels": np.array([1, 0])},
        {"ids": ("a", "b")},
        {"ids": ("a", "b", "b")},
    ],
)
def test_answers_that_do_not_pair_are_refused(change: dict[str, Any]) -> None:
    """A missing row and a repeated id are errors in one sentence, never a smaller sample."""
    with pytest.raises(DataError, match=r"cannot be paired: .* predict the whole split with both models"):
        make_paired(**change)


def test_no_answers_at_all_are_refused() -> None:
    """Of nothing, nothing can be said."""
    none = np.zeros((0, 2), np.float32)
    with pytest.raises(DataError, match="0 ids"):
        make_paired(ids=(), labels=np.zeros(0, np.int64), baseline=none, candidate=none, slices={})


def test_parquet_keeps_every_answer(tmp_path: Path) -> None:
    """The file holds ids, labels, all probabilities to the bit, and slices."""
    paired = make_paired()
    frame = pd.read_parquet(paired.write(tmp_path / "records" / "answers.parquet"))

    pd.testing.assert_frame_equal(frame, paired.to_frame())
    assert frame.columns.tolist() == [
        "id",
        "label",
        "baseline_0",
        "baseline_1",
        "candidate_0",
        "candidate_1",
        "slice_length",
    ]
    np.testing.assert_array_equal(frame[["candidate_0", "candidate_1"]].to_numpy(), paired.candidate)


def test_the_model_is_not_asked_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second call reads the cache, the answers are equal to the bit."""
    artifact, inputs = write_artifact(tmp_path / "model"), make_inputs()
    first = predict(artifact, inputs, cache=tmp_path / "cache")

    def never(*args: object, **named: object) -> None:
        raise AssertionError("the model was asked again")

    monkeypatch.setattr(artifact, "predict", never)

    np.testing.assert_array_equal(first, predict(artifact, inputs, cache=tmp_path / "cache"))


def test_without_a_cache_nothing_is_written(tmp_path: Path) -> None:
    """The answers are those of the artifact and no file appears."""
    artifact = write_artifact(tmp_path / "model")
    before = sorted(tmp_path.rglob("*"))

    np.testing.assert_array_equal(predict(artifact, make_inputs()), artifact.predict(make_inputs()))
    assert sorted(tmp_path.rglob("*")) == before


def test_a_damaged_cache_is_answered_anew(tmp_path: Path) -> None:
    """A cut file or one of another length is not believed."""
    artifact, inputs, cache = write_artifact(tmp_path / "model"), make_inputs(), tmp_path / "cache"
    first = predict(artifact, inputs, cache=cache)
    (file,) = cache.iterdir()
    np.save(file, first[:-1])

    np.testing.assert_array_equal(first, predict(artifact, inputs, cache=cache))
    for content in (b"", b"\x93NUMPY", file.read_bytes()[:-3]):
        file.write_bytes(content)

        np.testing.assert_array_equal(first, predict(artifact, inputs, cache=cache))


def test_the_cache_key_changes_with_all_that_decides_an_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Runtime block, inputs, threads, instruction sets and engine versions each give another key."""
    artifact, inputs = write_artifact(tmp_path / "one"), make_inputs()
    other = write_artifact(tmp_path / "two", runtime=Runtime(batch_example_count=8, thread_count=1))
    keys = [cache_key(artifact, inputs), cache_key(other, inputs), cache_key(artifact, make_inputs(9))]
    card = machine.read_card()
    for change in (
        {"thread_count": card.thread_count + 1},
        {"isa_flags": ("other",)},
        {"versions": {**card.versions, "torch": "0"}},
    ):
        changed = dataclasses.replace(card, **change)
        monkeypatch.setattr(machine, "read_card", lambda changed=changed: changed)
        keys.append(cache_key(artifact, inputs))

    assert len(set(keys)) == len(keys)
    monkeypatch.undo()
    assert cache_key(artifact, inputs) == keys[0]
