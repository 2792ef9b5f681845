"""Predictions: nothing is dropped silently, and no model is asked twice for the same answer."""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from perflib import machine
from perflib.artifact import Runtime
from perflib.errors import DataError
from perflib.validation.predictions import Answers, Paired, cache_key, pair, predict
from perflib.workloads.base import Split
from tests.tiny_artifact import make_inputs, write_artifact


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


def assert_same(one: Paired, other: Paired) -> None:
    """Two are the same to the bit, types and all."""
    assert (one.ids, one.slices, list(one.slices)) == (other.ids, other.slices, list(other.slices))
    for name in ("labels", "baseline", "candidate"):
        before, after = getattr(one, name), getattr(other, name)
        np.testing.assert_array_equal(before, after, strict=True)


def test_what_was_written_is_read_to_the_bit(tmp_path: Path) -> None:
    """Answers that are no numbers, twelve classes, odd names and no slices at all survive."""
    wide = np.random.default_rng(0).random((3, 12), np.float32)
    wide[0, 0], wide[1, 11], wide[2, 3] = np.nan, np.inf, -np.inf
    for paired in (
        make_paired(),
        make_paired(baseline=wide, candidate=wide[::-1].copy(), slices={}),
        make_paired(slices={"z slice_": ("", "é", "\n"), "a": ("1", "2", "3")}),
    ):
        assert_same(paired, Paired.read(paired.write(tmp_path / "answers.parquet")))


@pytest.mark.parametrize(
    ("change", "column"),
    [
        (lambda frame: frame.drop(columns="id"), "id"),
        (lambda frame: frame.drop(columns="label"), "label"),
        (lambda frame: frame.drop(columns="candidate_1"), "candidate_1"),
        (lambda frame: frame.drop(columns="baseline_1"), "candidate_1"),
        (lambda frame: frame.rename(columns={"baseline_1": "baseline_2", "candidate_1": "candidate_2"}), "baseline_1"),
        (lambda frame: frame.drop(columns=[f"{arm}_{k}" for arm in ("baseline", "candidate") for k in (0, 1)]), "b"),
        (lambda frame: frame.assign(note="x"), "note"),
        (lambda frame: frame.astype({"candidate_0": "float64"}), "candidate_0"),
        (lambda frame: frame.astype({"label": "float64"}), "label"),
        (lambda frame: frame.assign(id=[1, 2, 3]), "id"),
        (lambda frame: frame.assign(id=["a", None, "c"]), "id"),
        (lambda frame: frame.assign(slice_length=["a", None, "c"]), "slice_length"),
    ],
)
def test_a_table_of_something_else_is_refused(tmp_path: Path, change: Any, column: str) -> None:
    """The first wrong column is named: missing, unknown, with holes or of another type."""
    path = tmp_path / "answers.parquet"
    change(make_paired().to_frame()).to_parquet(path, index=False)

    with pytest.raises(DataError, match=rf"answers\.parquet holds no paired answers \(column `{column}"):
        Paired.read(path)


def test_repeated_rows_of_a_table_are_refused(tmp_path: Path) -> None:
    """What is read is checked as what is made."""
    frame = make_paired().to_frame()
    pd.concat([frame, frame]).to_parquet(tmp_path / "answers.parquet", index=False)

    with pytest.raises(DataError, match="cannot be paired"):
        Paired.read(tmp_path / "answers.parquet")


@pytest.mark.parametrize("content", [None, b"", b"PAR1", b"id,label\n", "torn"])
def test_a_file_that_is_no_parquet_is_a_data_error(tmp_path: Path, content: bytes | str | None) -> None:
    """Missing, empty, torn and other files are named in one sentence."""
    path = tmp_path / "answers.parquet"
    if content == "torn":
        path.write_bytes(make_paired().write(path).read_bytes()[:-20])
    elif isinstance(content, bytes):
        path.write_bytes(content)

    with pytest.raises(DataError, match=r"answers\.parquet is no Parquet file"):
        Paired.read(path)


def test_slices_are_added_or_replaced() -> None:
    """The answers stay, a new column follows, one of the same name is replaced, and the first pair is untouched."""
    paired = make_paired()
    added = paired.with_slices({"negation": ["yes", "no", "no"]})

    assert added.slices == {"length": ("short", "long", "<b>"), "negation": ("yes", "no", "no")}
    assert added.with_slices({"length": "xyz"}).slices == {"length": ("x", "y", "z"), "negation": ("yes", "no", "no")}
    assert list(paired.slices) == ["length"]
    assert_same(dataclasses.replace(added, slices=paired.slices), make_paired())


@pytest.mark.parametrize("values", [(), ("a", "b"), ("a",) * 4])
def test_a_slice_column_has_one_value_per_example(values: tuple[str, ...]) -> None:
    """A shorter or longer column is refused wherever it comes from."""
    message = f"slice column `length` has {len(values)} values for 3 examples"
    with pytest.raises(DataError, match=message):
        make_paired().with_slices({"length": values})
    with pytest.raises(DataError, match=message):
        pair(make_split(), make_answers(), make_answers(), {"length": values}, class_count=2)


def make_split(**change: Any) -> Split:
    """Return a test split of three texts."""
    given = {
        "name": "test",
        "ids": ("a", "b", "c"),
        "inputs": ("A", "B", "C"),
        "keys": ("a", "b", "c"),
        "labels": np.array([1, 0, 1]),
        "slices": {},
    }
    return Split(**given | change)


def make_answers(ids: str = "abc", class_count: int = 2) -> Answers:
    """Return equal probabilities for each letter."""
    return Answers(tuple(ids), np.full((len(ids), class_count), 1 / class_count, np.float32))


def test_answers_are_paired_as_they_are() -> None:
    """Ids and labels are the split's, each model's answers its own."""
    expected = make_paired()
    baseline, candidate = Answers(("a", "b", "c"), expected.baseline), Answers(("a", "b", "c"), expected.candidate)

    assert_same(pair(make_split(), baseline, candidate, expected.slices, class_count=2), expected)


@pytest.mark.parametrize(
    ("ids", "message"),
    [
        ("ac", r"1 ids are missing in the answers of the {} \(one of them: 'b'\); answer the whole test split"),
        ("", r"3 ids are missing in the answers of the {} \(one of them: 'a'\)"),
        ("abb", r"1 ids are missing in the answers of the {} \(one of them: 'c'\)"),
        ("abcxy", r"2 ids are not of the test split in the answers of the {} \(one of them: 'x'\)"),
        ("abccc", r"1 ids are repeated in the answers of the {} \(one of them: 'c'\)"),
        ("acb", r"the {} are in another order than the test split \(row 1 answers 'c' instead of 'b'\)"),
    ],
)
def test_answers_to_other_questions_are_refused(ids: str, message: str) -> None:
    """For either model, one sentence says how many ids are wrong, in which way, and names one."""
    with pytest.raises(DataError, match=message.format("candidate")):
        pair(make_split(), make_answers(), make_answers(ids), {}, class_count=2)
    with pytest.raises(DataError, match=message.format("baseline")):
        pair(make_split(), make_answers(ids), make_answers(), {}, class_count=2)


@pytest.mark.parametrize(
    ("baseline", "candidate", "arm"), [(3, 2, "baseline"), (2, 3, "candidate"), (1, 1, "baseline")]
)
def test_models_of_other_classes_are_refused(baseline: int, candidate: int, arm: str) -> None:
    """Both models answer with the labels of the workload, even if they agree with each other."""
    with pytest.raises(DataError, match=rf"the {arm} has [13] classes but the workload has 2 labels"):
        pair(
            make_split(),
            make_answers(class_count=baseline),
            make_answers(class_count=candidate),
            {},
            class_count=2,
        )


@pytest.mark.parametrize("label", [-1, 2])
def test_a_label_that_is_no_class_is_refused(label: int) -> None:
    """The first and the last class are let through, the next on either side is named with its example."""
    split = make_split(labels=np.array([0, 1, label]))
    message = rf"1 labels of the test split lie outside 0 to 1 \(one of them: {label} of 'c'\)"
    with pytest.raises(DataError, match=message):
        pair(split, make_answers(), make_answers(), {}, class_count=2)


@pytest.mark.parametrize("shape", [(2, 2), (4, 2), (3,), (3, 2, 1)])
def test_answers_have_one_row_of_classes_per_id(shape: tuple[int, ...]) -> None:
    """Fewer rows, more rows and another number of axes are refused."""
    with pytest.raises(DataError, match="3 ids do not fit answers of shape"):
        Answers(("a", "b", "c"), np.zeros(shape, np.float32))


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
