"""A model and a table of one's own: end to end with a tiny BERT, and one sentence for each bad input."""

import json

import pandas as pd
import pytest

from perflib.errors import DataError, SetupError
from perflib.workloads import get_workload
from perflib.workloads.base import Workload
from perflib.workloads.generated_reviews import generate_reviews

REVIEWS = generate_reviews(300)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import BertConfig, BertForSequenceClassification, PreTrainedTokenizerFast

    folder = tmp_path_factory.mktemp("hub") / "tiny-bert"
    words = sorted({word for review in REVIEWS for word in review.key.split()})
    words = {word: number for number, word in enumerate(["[PAD]", "[UNK]", *words])}
    tokenizer = Tokenizer(models.WordLevel(words, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="[PAD]", unk_token="[UNK]", model_max_length=32
    ).save_pretrained(folder)
    config = BertConfig(
        vocab_size=len(words), hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16,
        max_position_embeddings=32, id2label={0: "bad", 1: "good"}, label2id={"bad": 0, "good": 1},
    )  # fmt: skip
    BertForSequenceClassification(config).save_pretrained(folder)
    return folder


@pytest.fixture
def make(checkpoint, tmp_path, monkeypatch):
    monkeypatch.setenv("PERFLIB_CACHE_DIR", str(tmp_path / "cache"))

    def make_workload(table, *, name="data.csv", model=checkpoint, text="body", label="stars"):
        path = tmp_path / name
        if table is not None:
            table.to_parquet(path) if name.endswith("parquet") else table.to_csv(path, index=False)
        return get_workload({"hf_model": str(model), "data": str(path), "text": text, "label": label})

    return make_workload


def table(**changes):
    columns = {"body": [review.input for review in REVIEWS], "stars": [review.label for review in REVIEWS]}
    return pd.DataFrame({**columns, **changes})


@pytest.mark.parametrize("name", ["data.csv", "data.parquet"])
def test_table_end_to_end(make, checkpoint, name):
    """The sealed artifact answers as the checkpoint does in transformers, from CSV and Parquet."""
    import torch
    from transformers import AutoModelForSequenceClassification

    workload = make(table(), name=name)
    baseline = workload.prepare()
    test = workload.splits().test
    encoded = workload.encode(test.inputs)
    original = AutoModelForSequenceClassification.from_pretrained(checkpoint)
    with torch.inference_mode():
        logits = original(**{key: torch.from_numpy(array) for key, array in encoded.arrays.items()}).logits
    difference = abs(baseline.predict(encoded) - logits.softmax(1).numpy()).max()

    assert isinstance(workload, Workload)
    assert workload.labels == ("bad", "good")
    assert difference < 1e-5
    assert workload.prepare().digest == baseline.digest


def test_another_table_is_another_baseline(make):
    """A resumed run compares the baseline's digest, so changed labels must change it although the weights do not."""
    before = make(table()).prepare()
    after = make(table(stars=[1 - review.label for review in REVIEWS])).prepare()

    assert before.spec.files == after.spec.files
    assert before.digest != after.digest


def test_labels_by_name(make):
    """Label words are matched by the model's own names."""
    words = ["good" if review.label else "bad" for review in REVIEWS]
    by_name, by_number = make(table(stars=words)).splits(), make(table()).splits()

    assert by_name.test.labels.tolist() == by_number.test.labels.tolist()


@pytest.mark.parametrize(
    ("changes", "settings", "sentence"),
    [
        (None, {}, "does not exist; correct `data`"),
        ({}, {"text": "bodi"}, "has no column `bodi`; did you mean `body`"),
        ({}, {"name": "data.xlsx.txt"}, "is no .csv or .parquet file"),
        ({"stars": [1] * 300}, {}, "has one class only"),
        ({"stars": [0, 7] * 150}, {}, "has the label `7` in row 2, which the model does not know"),
        ({"body": ["fine", "", " "] * 100}, {}, r"200 texts in column `body` .* are empty, the first in row 2"),
    ],
)
def test_bad_table_is_one_sentence(make, changes, settings, sentence):
    """Each fault of a table is said in one sentence with its values."""
    workload = make(None if changes is None else table(**changes), **settings)
    with pytest.raises(DataError, match=sentence) as caught:
        workload.prepare()

    assert "\n" not in str(caught.value)


def test_bad_checkpoint_is_one_sentence(make, tmp_path):
    """A checkpoint that does not classify, and one with pickled weights, are refused."""
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps({"architectures": ["BertModel"], "model_type": "bert"}))
    with pytest.raises(DataError, match=r"is a BertModel .* no sequence classifier"):
        make(table(), model=folder)
    (folder / "config.json").write_text(json.dumps({"architectures": ["BertForSequenceClassification"]}))
    (folder / "pytorch_model.bin").write_bytes(b"pickle")
    with pytest.raises(DataError, match="has no safetensors"):
        make(table(), model=folder)


def test_no_network_says_what_to_do(make, monkeypatch):
    """A name that is no folder, without a network, says to connect or to give a path."""
    import huggingface_hub

    def fail(*args, **settings):
        raise ConnectionError("no route to host\nmore")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", fail)
    with pytest.raises(SetupError, match=r"no route to host\); correct the name, connect to the network"):
        make(table(), model="nobody/nothing")
