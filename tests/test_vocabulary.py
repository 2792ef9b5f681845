"""Vocabulary trimming: fewer rows, the same inputs, the same answers where no token was dropped."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from perflib.artifact import Artifact
from perflib.compression.materials import Labelled, Materials
from perflib.compression.stage import parse_recipe
from perflib.compression.texts import Disturber, put_together, read_texts, token_counts, tokens_in_every_text
from perflib.compression.vocabulary import Vocabulary
from perflib.encoded import Encoded
from perflib.errors import StageError
from tests.tiny_artifact import CONFIG, write_artifact

UNKNOWN, START = 1, 2


def encode(texts: Sequence[Any]) -> Encoded:
    """Turn words of numbers into those token ids after a start token; any other word is unknown."""
    rows = [[START, *(int(word) if word.isdecimal() else UNKNOWN for word in text.split())] for text in texts]
    width = max(len(row) for row in rows)
    ids = np.array([row + [0] * (width - len(row)) for row in rows], np.int64)
    return Encoded({"input_ids": ids, "attention_mask": (ids > 0).astype(np.int64)})


# Token 5 stands thrice, 6 twice, 7 and 8 once; 30 and 31 are seen in tuning only.
TRAIN = Labelled(encode(["5 6 7", "5 6", "5", "8"]), np.array([0, 1, 2, 0]))
TUNING = Labelled(encode(["5 6", "30 5", "31", "7 8"]), np.array([0, 1, 2, 0]))
MATERIALS = Materials(TRAIN.inputs, TRAIN, TUNING, encode=encode)


def trim(stage: Vocabulary, folder: Path) -> tuple[Artifact, Artifact, dict[str, Any]]:
    """Return parent, child and proof."""
    parent = write_artifact(folder / "parent")
    predicted = stage.check(parent.spec, MATERIALS)
    made, proof = stage.apply(parent, folder / "made", MATERIALS)
    assert (predicted.config, predicted.builder) == (made.spec.config, made.spec.builder)
    return parent, made, proof


def kept_tokens(parent: Artifact, made: Artifact) -> list[int]:
    """Find the kept ids by the rows themselves: each row of the child is one of the parent's."""
    name = "embeddings.word_embeddings.weight"
    before, after = (load_file(one.folder / "model.safetensors")[name] for one in (parent, made))
    return [int((before == row).all(dim=1).nonzero()) for row in after]


@pytest.mark.parametrize(
    ("stage", "kept"),
    [
        (Vocabulary(), [0, 1, 2, 5, 6, 7, 8]),
        (Vocabulary(least_count=2), [0, 1, 2, 5, 6]),
        (Vocabulary(least_count=3), [0, 1, 2, 5]),
        (Vocabulary(least_count=4), [0, 1, 2]),
        (Vocabulary(keep=3), [0, 1, 2]),
        (Vocabulary(keep=4), [0, 1, 2, 5]),
        (Vocabulary(keep=6), [0, 1, 2, 5, 6, 7]),
        (Vocabulary(keep=8), [0, 1, 2, 3, 5, 6, 7, 8]),
        (Vocabulary(always=(39,)), [0, 1, 2, 5, 6, 7, 8, 39]),
        (Vocabulary(unknown_id=9), [0, 2, 5, 6, 7, 8, 9]),
    ],
)
def test_what_is_kept(tmp_path: Path, stage: Vocabulary, kept: list[int]) -> None:
    """Special tokens always, then what is frequent; of equally frequent tokens the first."""
    parent, made, proof = trim(stage, tmp_path)

    assert kept_tokens(parent, made) == kept
    assert (proof["kept_token_count"], proof["token_count"]) == (len(kept), CONFIG["vocab_size"])


def test_answers_are_those_of_the_parent_on_the_replaced_tokens(tmp_path: Path) -> None:
    """A dropped token is the unknown one, nothing else changes, and the proof counts by hand."""
    parent, made, proof = trim(Vocabulary(), tmp_path)
    asked = encode(["5 6 7 8", "30 5 9", "39", "6"])
    replaced = encode(["5 6 7 8", "x 5 x", "x", "6"])

    np.testing.assert_allclose(made.predict(asked), parent.predict(replaced), atol=1e-6)
    assert not np.allclose(made.predict(asked), parent.predict(asked), atol=1e-3)
    assert proof["dropped_tuning_token_ratio"] == 2 / 11
    assert proof["rare_text_count"] == 2
    assert proof["untouched_largest_answer_difference"] < 1e-6
    assert proof["saved_bytes"] == parent.size_bytes - made.size_bytes > 33 * 16 * 4 - 40 * 4 - 200
    before = parent.predict(TUNING.inputs).argmax(axis=1) == TUNING.labels
    after = made.predict(TUNING.inputs).argmax(axis=1) == TUNING.labels
    assert proof["tuning_accuracy_before_ratio"] == before.mean()
    assert proof["tuning_accuracy_ratio"] == after.mean()
    assert proof["rare_tuning_accuracy_before_ratio"] == before[[1, 2]].mean()
    assert proof["rare_tuning_accuracy_ratio"] == after[[1, 2]].mean()


def test_a_dropped_token_reads_its_nearest_neighbour(tmp_path: Path) -> None:
    """By cosine to the kept words, never to a special token."""
    parent, made, _ = trim(Vocabulary(dropped="nearest"), tmp_path)
    weights = load_file(parent.folder / "model.safetensors")["embeddings.word_embeddings.weight"]
    words = [5, 6, 7, 8]
    near = torch.nn.functional.cosine_similarity(weights[30][None], weights[words]).argmax()

    np.testing.assert_allclose(
        made.predict(encode(["30 5"])), parent.predict(encode([f"{words[int(near)]} 5"])), atol=1e-6
    )
    made_rows = load_file(made.folder / "model.safetensors")["embeddings.row_of_token"]
    assert made_rows.dtype == torch.int32
    assert set(made_rows[9:].tolist()) <= {3, 4, 5, 6}  # the rows of 5, 6, 7 and 8


def test_nothing_dropped_in_tuning_needs_no_rare_accuracy(tmp_path: Path) -> None:
    """Without a text that holds a dropped token there is no accuracy to give."""
    parent = write_artifact(tmp_path / "parent")
    same = dataclasses.replace(MATERIALS, tuning=TRAIN)
    _, proof = Vocabulary().apply(parent, tmp_path / "made", same)

    assert proof["rare_text_count"] == proof["dropped_tuning_token_ratio"] == 0
    assert not [name for name in proof if name.startswith("rare_tuning")]


def test_a_trimmed_model_converts_to_openvino(tmp_path: Path) -> None:
    """The map of tokens to rows survives the conversion, at another length and batch than traced."""
    from perflib.engines.openvino_engine import compile_model, convert

    _, made, _ = trim(Vocabulary(), tmp_path)
    compiled = compile_model(convert(made, TUNING.inputs), precision="fp32", thread_count=1)
    asked = encode(["5 30 31 6 7", "39", "8 8 x"])

    np.testing.assert_allclose(compiled(dict(asked.arrays))[0], made.open()(asked.arrays), atol=1e-5)


@pytest.mark.parametrize(
    ("stage", "said"),
    [
        (Vocabulary(keep=41), "`keep` .* is 41; the vocabulary has 40 tokens"),
        (Vocabulary(keep=0), "`keep` .* is 0"),
        (Vocabulary(keep=2), "`keep` .* is 2, and 3 special tokens must stay"),
        (Vocabulary(least_count=0), "`least_count` .* is 0"),
        (Vocabulary(keep=9, least_count=2), "leave it out with a number"),
        (Vocabulary(unknown_id=40), "token 40 is not among the 40 tokens"),
        (Vocabulary(always=(-1,)), "token -1 is not among"),
    ],
)
def test_what_cannot_be_trimmed_is_refused(tmp_path: Path, stage: Vocabulary, said: str) -> None:
    """One sentence, before any work."""
    with pytest.raises(StageError, match=said):
        stage.check(write_artifact(tmp_path).spec, MATERIALS)


def test_another_parent_is_refused(tmp_path: Path) -> None:
    """Other architectures, other precisions, a second trimming, and texts without an unknown token."""
    parent, made, _ = trim(Vocabulary(), tmp_path)
    other = dataclasses.replace(parent.spec, builder="perflib.workloads.convnet:small_convnet")
    with pytest.raises(StageError, match=r"and the parent is a perflib\.workloads\.convnet:small_convnet"):
        Vocabulary().check(other, MATERIALS)
    with pytest.raises(StageError, match="takes a torch fp32 artifact"):
        Vocabulary().check(dataclasses.replace(parent.spec, precision="bf16"), MATERIALS)
    with pytest.raises(StageError, match=r"trimmed already \(to 7 of 40 tokens\)"):
        Vocabulary().check(made.spec, MATERIALS)
    with pytest.raises(StageError, match="give `unknown_id`"):
        Vocabulary().check(parent.spec, dataclasses.replace(MATERIALS, encode=None))
    with pytest.raises(StageError, match="needs the train split"):
        Vocabulary().check(parent.spec, dataclasses.replace(MATERIALS, train=None))


def test_options_come_from_yaml() -> None:
    """A word or a number for `keep`, a list for `always`."""
    given = parse_recipe(["vocabulary", {"vocabulary": {"keep": 500, "dropped": "nearest", "always": [103]}}])

    assert [line.stage for line in given] == [Vocabulary(), Vocabulary(keep=500, dropped="nearest", always=(103,))]


# --- texts ------------------------------------------------------------------------------------------------------


def test_tokens_are_counted_without_padding() -> None:
    """A token counts as often as it stands there, and is everywhere only if every text has it."""
    texts = encode(["5 5 6", "5"])

    assert token_counts(texts, 8).tolist() == [0, 0, 2, 0, 0, 3, 1, 0]
    assert tokens_in_every_text(texts).tolist() == [2, 5]


def test_texts_are_put_together() -> None:
    """The shorter lot is padded, in either order, and images are simply stacked."""
    short, long = encode(["5"]), encode(["6 7 8"])

    assert put_together(short, long).arrays["input_ids"].tolist() == [[2, 5, 0, 0], [2, 6, 7, 8]]
    assert put_together(long, short).arrays["attention_mask"].tolist() == [[1, 1, 1, 1], [1, 1, 0, 0]]
    images = Encoded({"images": np.zeros((2, 1, 8, 8))})
    assert put_together(images, images).arrays["images"].shape == (4, 1, 8, 8)


def test_half_of_the_texts_are_disturbed() -> None:
    """Words change at the asked rate in about half of the texts; ends and padding never do; nothing else comes in."""
    texts = encode(["5 6 7 8 9 10 11 12", "5 6 7"] * 500)
    disturb = Disturber.of(texts, 0.4, mask_id=30)
    changed, is_changed = disturb(texts, np.random.default_rng(0))
    before, after = texts.arrays["input_ids"], changed.arrays["input_ids"]
    is_other = before != after

    assert disturb.spared.tolist() == [2, 5, 6, 7]
    assert (after[:, 0] == START).all()
    assert (after[texts.arrays["attention_mask"] == 0] == 0).all()
    np.testing.assert_array_equal(is_changed, is_other.any(axis=1))
    assert set(after[is_other]) == {8, 9, 10, 11, 12, 30}
    long = is_other[::2, 4:]
    # Of five words in half of the texts 0.4 are drawn: half become the mask, and one drawn word in five is the same.
    assert abs(long.mean() - 0.5 * 0.4 * (0.5 + 0.5 * 0.8)) < 0.03
    assert abs((after[is_other] == 30).mean() - 0.5 / 0.9) < 0.06
    assert Disturber.of(texts, 0.4)(texts, np.random.default_rng(0))[0].arrays["input_ids"].max() == 12


def test_nothing_to_draw_from_disturbs_nothing() -> None:
    """Texts that are all alike have no words of their own."""
    texts = encode(["5 6"] * 3)
    same, is_changed = Disturber.of(texts, 0.9)(texts, np.random.default_rng(0))

    assert same is texts
    assert not is_changed.any()


def test_lines_are_read(tmp_path: Path) -> None:
    """Empty lines are no texts, odd separators stay inside one."""
    path = tmp_path / "texts.txt"
    path.write_text("one\u2028still one\r\n\n two \n", encoding="utf-8")

    assert read_texts(path) == ["one\u2028still one", "two"]
    path.write_text("\n \n", encoding="utf-8")
    with pytest.raises(StageError, match="are empty"):
        read_texts(path)
    with pytest.raises(StageError, match="cannot be read"):
        read_texts(tmp_path / "none.txt")
