"""The built-in workloads: honest splits, quick training, a cache that is believed, and a BERT equal to the original."""

import subprocess
import sys

import numpy as np
import pytest
import torch

from perflib.encoded import Encoded
from perflib.errors import DataError, ParameterError, SetupError
from perflib.workloads import get_workload
from perflib.workloads.base import SPLIT_NAMES, Example, Splits, Workload, accuracy, build_splits
from perflib.workloads.bert import mean_pooled_classifier
from perflib.workloads.digits import Digits
from perflib.workloads.finetune import finetune
from perflib.workloads.generated_reviews import generate_reviews
from perflib.workloads.sentiment_minilm import _read_rated
from perflib.workloads.text import find_near_duplicates

BERT = {
    "vocab_size": 50, "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 32,
    "max_position_embeddings": 24, "type_vocab_size": 2, "pad_token_id": 0, "layer_norm_eps": 1e-12,
    "hidden_dropout_prob": 0.1, "attention_probs_dropout_prob": 0.1,
}  # fmt: skip


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("cache")
        patch.setenv("PERFLIB_CACHE_DIR", str(folder))
        yield folder


@pytest.fixture(scope="module")
def reviews(cache):
    workload = get_workload("reviews-tiny")
    workload.prepare()
    return workload


def test_splits_are_disjoint_and_deterministic():
    """The same examples in another order fall into the same splits, and no key stands in two."""
    examples = generate_reviews(400)
    one, other = build_splits(examples), build_splits(examples[::-1])

    for name in SPLIT_NAMES:
        assert set(getattr(one, name).keys) == set(getattr(other, name).keys)
    assert sum(len(getattr(one, name)) for name in SPLIT_NAMES) == 400


def test_overlap_is_a_hard_error():
    """A text in two splits is refused."""
    splits = build_splits(generate_reviews(400))
    with pytest.raises(DataError, match="stand in both train and test"):
        Splits(splits.test, splits.calibration, splits.tuning, splits.test)


def test_near_duplicates_leave_train():
    """A text of train that repeats a held-out one but for a comma is taken out, and a note says so."""
    examples = generate_reviews(400)
    held_out = build_splits(examples).test.keys[0]
    twins = [Example(f"twin-{n}", held_out + "," * n, held_out + "," * n, 0, {}) for n in range(1, 30)]
    splits = build_splits([*examples, *twins], near_duplicates=find_near_duplicates)

    assert not any(name.startswith("twin") for name in splits.train.ids)
    assert "taken out of train" in splits.notes[0]


def test_near_duplicates_equal_brute_force():
    """The prefix filter finds exactly the pairs that comparing all with all finds."""
    keys = [example.key for example in generate_reviews(900)]
    sets = [set("".join(c if c.isalnum() else " " for c in key).split()) for key in keys]
    texts, others = sets[:500], sets[500:]
    expected = [row for row, a in enumerate(texts) if any(len(a & b) >= 0.6 * len(a | b) - 1e-9 for b in others)]

    assert expected
    assert find_near_duplicates(keys[:500], keys[500:], jaccard_ratio=0.6) == expected
    assert find_near_duplicates([":)"], [":("]) == []


def test_reviews_tiny_can_be_damaged(reviews):
    """The baseline answers 90 to 98 % of at least a thousand test texts rightly, and the record says the same."""
    assert isinstance(reviews, Workload)
    test, baseline = reviews.splits().test, reviews.prepare()
    found = accuracy(test.labels, baseline.predict(reviews.encode(test.inputs)))

    assert len(test) >= 1000
    assert 0.90 <= found <= 0.98
    assert found == pytest.approx(baseline.spec.lineage.details["test_accuracy_ratio"]["all"], abs=0.002)


def test_second_prepare_only_loads(reviews, monkeypatch):
    """A prepared workload is loaded without training, by another object too."""
    monkeypatch.setattr("perflib.workloads.baseline.train_baseline", lambda *args, **settings: pytest.fail("trained"))

    assert get_workload("reviews-tiny").prepare().digest == reviews.prepare().digest


def test_damaged_baseline_is_refused(reviews, tmp_path, monkeypatch):
    """An altered weight file is named with the folder to delete."""
    import shutil

    shutil.copytree(reviews._folder().parents[2], tmp_path / "copy")
    monkeypatch.setenv("PERFLIB_CACHE_DIR", str(tmp_path / "copy"))
    (reviews._folder() / "baseline" / "model.safetensors").write_bytes(b"altered")
    with pytest.raises(DataError, match=r"the cached baseline is damaged: .*; delete .* to have it made again"):
        reviews.prepare()


def test_unprepared_workload_says_so(tmp_path, monkeypatch):
    """Encoding or splitting before `prepare` names the command."""
    monkeypatch.setenv("PERFLIB_CACHE_DIR", str(tmp_path))
    with pytest.raises(SetupError, match="perflib prepare"):
        get_workload("reviews-tiny").encode(["fine"])
    with pytest.raises(SetupError, match="perflib prepare"):
        get_workload("sentiment-minilm").splits()


def test_encoding_needs_no_torch(reviews):
    """A worker that tokenises imports neither torch nor transformers."""
    code = (
        "import sys; from perflib.workloads import get_workload; "
        "w = get_workload('reviews-tiny'); w.encode(['the soup was good']); "
        "print([m for m in ('torch', 'transformers') if m in sys.modules])"
    )
    reply = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert reply.stdout.strip() == "[]"


def test_encoding_pads_right(reviews):
    """Shorter texts are padded on the right with zeros and a zero mask."""
    arrays = reviews.encode(["good soup", "the soup was good"]).arrays

    assert arrays["input_ids"].dtype == np.int64
    assert arrays["attention_mask"].tolist() == [[1, 1, 1, 0, 0], [1, 1, 1, 1, 1]]
    assert arrays["input_ids"][0, 3:].tolist() == [0, 0]


def test_digits_train(cache):
    """The convolutional workload trains in seconds and is right for most images."""
    digits = get_workload("digits")
    baseline, test = digits.prepare(), digits.splits().test

    assert accuracy(test.labels, baseline.predict(digits.encode(test.inputs))) >= 0.95
    assert len(digits.labels) == 10


def test_rated_lines_become_signs():
    """Zeros are dropped, text keeps its tabs and odd line separators."""
    found = list(_read_rated("1\t2.5\tgood\u2028one\r\n2\t0.0\tflat\r\n3\t-1\tbad\tone".encode(), "tweets"))

    assert [(one.id, one.label, one.input) for one in found] == [
        ("tweets-1", 1, "good\u2028one"),
        ("tweets-3", 0, "bad\tone"),
    ]


def test_probe_changes_nothing_but_the_precision():
    """Training after a probe gives the weights of training without one, where fp32 stays."""
    rng = np.random.default_rng(0)
    train = Encoded({"input_ids": rng.integers(1, 50, (64, 8)), "attention_mask": np.ones((64, 8), np.int64)})
    labels = rng.integers(0, 2, 64)
    ticks = iter(range(10_000))
    weights = []
    for bf16 in ("probe", "no"):
        torch.manual_seed(0)
        model = mean_pooled_classifier({**BERT, "class_count": 2})
        details = finetune(
            model,
            train,
            labels,
            seed=0,
            epochs_count=1,
            learning_rate=1e-3,
            bf16=bf16,
            clock=lambda: float(next(ticks)),
        )
        weights.append(model.state_dict())

        assert details.precision == "fp32"
        assert (details.bf16_step_sec is None) == (bf16 == "no")
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])


def test_bert_equals_transformers():
    """Our encoder and transformers' give the same pooled vectors for random weights and a real mask."""
    from transformers import BertConfig, BertModel

    torch.manual_seed(0)
    original = BertModel(BertConfig(**BERT), add_pooling_layer=False).eval()
    ours = mean_pooled_classifier({**BERT, "class_count": 3}).eval()
    ours.load_state_dict(original.state_dict(), strict=False)
    ids = torch.randint(1, 50, (5, 12))
    mask = (torch.arange(12) < torch.tensor([12, 1, 5, 8, 3])[:, None]).long()
    with torch.inference_mode():
        hidden = original(input_ids=ids, attention_mask=mask).last_hidden_state
        pooled = (hidden * mask[..., None]).sum(1) / mask.sum(1, keepdim=True)
        difference = (ours(ids, mask) - ours.head(pooled)).abs().max()

    assert difference < 1e-5


def test_an_unknown_quality_metric_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """A workload that is judged by something that nothing here computes is refused by name."""
    monkeypatch.setattr(Digits, "quality_metric", "acuracy")

    with pytest.raises(ParameterError, match="`acuracy` of workload `digits` is not known; did you mean `accuracy`"):
        get_workload("digits")
