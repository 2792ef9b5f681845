"""Probes: every text is asked once, every answer stands in its place, and the file gives back what was written."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from perflib.errors import DataError
from perflib.validation.probes import Probe, ProbeAnswers, answer_probes, texts_of

PROBES = (
    Probe("perturbation", "typo", 2, "same", before="good", after="godo", key="a"),
    Probe("behaviour", "vocabulary", 1, "right", before=None, after="good", label=1, key="b"),
    Probe("behaviour", "vocabulary", 1, "not less", before="bad", after="bad, “très” bad 📅", label=0, key="c"),
)
BASELINE = {"good": (0.1, 0.9), "godo": (0.2, 0.8), "bad": (0.75, 0.25), "bad, “très” bad 📅": (0.875, 0.125)}
CANDIDATE = {text: (no + 0.0625, yes - 0.0625) for text, (no, yes) in BASELINE.items()}


def answered(probes: Sequence[Probe]) -> ProbeAnswers:
    """Return both models' answers to the texts of some probes."""
    arms = [np.array([given[text] for text in texts_of(probes)], np.float32) for given in (BASELINE, CANDIDATE)]
    return answer_probes(probes, *(arm.reshape(-1, 2) for arm in arms))


def make_answers(**change: Any) -> ProbeAnswers:
    """Return the answers of two models to the probes."""
    return dataclasses.replace(answered(PROBES), **change)


def same(one: ProbeAnswers, other: ProbeAnswers) -> bool:
    """Say whether questions and answers are equal to the bit."""
    arrays = ("baseline_before", "baseline_after", "candidate_before", "candidate_after")
    return one.probes == other.probes and all(
        getattr(one, name).dtype == getattr(other, name).dtype
        and np.array_equal(getattr(one, name), getattr(other, name), equal_nan=True)
        for name in arrays
    )


def test_every_text_is_asked_once_in_the_order_of_first_use() -> None:
    """A text that two probes share, and one without a text before, are no extra questions."""
    assert texts_of(PROBES) == ["good", "godo", "bad", "bad, “très” bad 📅"]
    assert texts_of([]) == []


def test_answers_stand_in_the_places_of_their_texts() -> None:
    """Each arm and each side gets the row of its own text; where there is no text before, there is NaN."""
    answers = make_answers()

    for arm, given in (("baseline", BASELINE), ("candidate", CANDIDATE)):
        before, after = getattr(answers, f"{arm}_before"), getattr(answers, f"{arm}_after")
        np.testing.assert_array_equal(after, np.array([given[probe.after] for probe in PROBES], np.float32))
        np.testing.assert_array_equal(before[[0, 2]], np.array([given["good"], given["bad"]], np.float32))
        assert np.isnan(before[1]).all()
        assert before.dtype == after.dtype == np.float32
        assert answers.before(arm) is before  # type: ignore[arg-type]
        assert answers.after(arm) is after  # type: ignore[arg-type]
    assert len(answers) == 3


@pytest.mark.parametrize("shape", [(3, 2), (5, 2), (4,)])
@pytest.mark.parametrize("arm", ["baseline", "candidate"])
def test_a_text_without_an_answer_is_an_error(arm: str, shape: tuple[int, ...]) -> None:
    """A model that answered fewer or more texts than were asked is named, with both numbers."""
    given = {"baseline": np.zeros((4, 2), np.float32), "candidate": np.zeros((4, 2), np.float32)}

    with pytest.raises(DataError, match=rf"the {arm} gave answers of shape \({shape[0]},.* to the 4 texts .*once\.$"):
        answer_probes(PROBES, **given | {arm: np.zeros(shape, np.float32)})


def test_models_of_different_classes_are_refused() -> None:
    """Three probabilities against two are one sentence, not a comparison."""
    two, three = np.zeros((4, 2), np.float32), np.zeros((4, 3), np.float32)

    with pytest.raises(DataError, match=r"answers to 3 probes do not belong together: .*\(3, 3\).*same classes"):
        answer_probes(PROBES, two, three)


@pytest.mark.parametrize("shape", [(2, 2), (3, 3), (3, 0), (3,), (3, 2, 1)])
@pytest.mark.parametrize("name", ["baseline_before", "baseline_after", "candidate_before", "candidate_after"])
def test_arrays_of_another_shape_are_refused(name: str, shape: tuple[int, ...]) -> None:
    """No row is missing, and no class is more, in any of the four arrays."""
    with pytest.raises(DataError, match="do not belong together"):
        make_answers(**{name: np.zeros(shape, np.float32)})


def test_arrays_that_agree_only_with_each_other_are_refused() -> None:
    """Four arrays of two rows do not answer three probes, and answers without a class are none."""
    for shape in ((2, 2), (3, 0), (3,)):
        array = np.zeros(shape, np.float32)
        with pytest.raises(DataError, match="do not belong together"):
            ProbeAnswers(PROBES, array, array, array, array)


@pytest.mark.parametrize(
    "change",
    [
        {"before": None},
        {"label": 1},
        {"rule": "right"},
        {"rule": "right", "label": 1},
        {"rule": "right", "before": None},
        {"rule": "not less"},
        {"rule": "not less", "label": 1, "before": None},
        {"rule": "equal"},
        {"suite": "robustness"},
    ],
)
def test_a_probe_that_its_rule_cannot_judge_is_refused(change: dict[str, Any]) -> None:
    """Texts and label must be those that the rule needs, and suite and rule those that exist."""
    with pytest.raises(DataError, match="cannot be asked by the rule"):
        dataclasses.replace(PROBES[0], **change)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"label": 2}, r"has the label 2, but the models answer 2 classes"),
        ({"label": -1}, r"has the label -1"),
        ({"key": "c"}, r"'vocabulary', 'c'\) stands 2 times; give each a key"),
        ({"version": 2}, r"a kind of probe has two versions"),
    ],
)
def test_probes_that_cannot_stand_together_are_refused(change: dict[str, Any], sentence: str) -> None:
    """A label beyond the classes, a key given twice and a kind in two versions are errors."""
    changed = (PROBES[0], dataclasses.replace(PROBES[1], **change), PROBES[2])

    with pytest.raises(DataError, match=sentence):
        make_answers(probes=changed)


def test_a_key_may_be_used_again_in_another_kind() -> None:
    """One example is probed by many kinds of change, under its one id."""
    other = dataclasses.replace(PROBES[0], kind="upper case", version=1)

    assert len(answered([PROBES[0], other])) == 2


def test_the_file_gives_back_what_was_written(tmp_path: Path) -> None:
    """Texts of any script, missing labels, missing texts, NaN and infinity come back to the bit."""
    after = np.array([[np.nan, 0.5], [np.inf, 0.1], [1 / 3, 2 / 3]], np.float32)
    answers = make_answers(candidate_after=after)
    path = answers.write(tmp_path / "records" / "probes.parquet")

    assert same(ProbeAnswers.read(path), answers)
    assert [file.name for file in path.parent.iterdir()] == ["probes.parquet"]


@pytest.mark.parametrize("row", [0, 1])
def test_a_file_of_one_rule_keeps_its_empty_columns(tmp_path: Path, row: int) -> None:
    """A column of nothing but missing values, texts or labels, comes back as such."""
    answers = answered(PROBES[row : row + 1])

    assert same(ProbeAnswers.read(answers.write(tmp_path / "probes.parquet")), answers)


def test_no_probes_are_a_table_too(tmp_path: Path) -> None:
    """A workload without texts has none, and their file says so."""
    answers = answered([])

    assert answers.baseline_before.shape == (0, 2)
    assert same(ProbeAnswers.read(answers.write(tmp_path / "probes.parquet")), answers)


def test_anybody_can_read_the_table(tmp_path: Path) -> None:
    """Pandas alone finds question and answers, one row per probe, in columns that say what they are."""
    answers = make_answers()
    frame = pd.read_parquet(answers.write(tmp_path / "probes.parquet"))

    pd.testing.assert_frame_equal(frame, answers.to_frame())
    assert frame.columns.tolist() == [
        *("suite", "kind", "version", "rule", "key", "label", "before", "after"),
        *("baseline_before_0", "baseline_before_1", "baseline_after_0", "baseline_after_1"),
        *("candidate_before_0", "candidate_before_1", "candidate_after_0", "candidate_after_1"),
    ]
    assert frame["after"].tolist() == [probe.after for probe in PROBES]
    assert str(frame["label"].dtype) == "Int64"
    assert frame["label"].isna().tolist() == [True, False, False]
    np.testing.assert_array_equal(frame["candidate_after_1"].to_numpy(), answers.candidate_after[:, 1])


def test_a_damaged_file_is_refused(tmp_path: Path) -> None:
    """Nothing there, an empty file, another format and a cut file are one sentence that names the file."""
    path = make_answers().write(tmp_path / "probes.parquet")
    whole = path.read_bytes()
    path.unlink()
    with pytest.raises(DataError, match=r"probes\.parquet holds no answers to probes"):
        ProbeAnswers.read(path)
    for content in (b"", b"{}", whole[:-9], whole[100:], whole[:200] + b"\0" * 200 + whole[400:]):
        path.write_bytes(content)
        with pytest.raises(DataError, match=r"probes\.parquet holds no answers to probes .*; ask the models again\.$"):
            ProbeAnswers.read(path)


@pytest.mark.parametrize("change", ["no key", "one class more", "no answers", "words", "another order"])
def test_a_foreign_table_is_refused(tmp_path: Path, change: str) -> None:
    """Columns that are missing, added, moved or hold words are not ours."""
    frame, path = make_answers().to_frame(), tmp_path / "probes.parquet"
    changed = {
        "no key": lambda: frame.drop(columns="key"),
        "one class more": lambda: frame.assign(candidate_after_2=0.0),
        "no answers": lambda: frame.iloc[:, :8],
        "words": lambda: frame.assign(candidate_after_1="yes"),
        "another order": lambda: frame[frame.columns[::-1]],
    }
    changed[change]().to_parquet(path)

    with pytest.raises(DataError, match="holds no answers to probes"):
        ProbeAnswers.read(path)
