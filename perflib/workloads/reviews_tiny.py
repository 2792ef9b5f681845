"""
A workload for tests and first steps: generated reviews in four domains and a BERT so small that it trains in seconds.

Nothing is downloaded.
The tokenizer knows the words of the grammar; every other word is one and the same to it.
"""

import functools
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from perflib import project
from perflib.artifact import Artifact
from perflib.encoded import Encoded
from perflib.errors import SetupError
from perflib.records import sha256_json, write_json
from perflib.workloads.base import Example, Splits, build_splits
from perflib.workloads.cache import BASELINE, cached_baseline
from perflib.workloads.generated_reviews import generate_reviews
from perflib.workloads.text import find_near_duplicates, load_tokenizer, tokenise

LEAST_ACCURACY_RATIO = 0.88
MAX_TOKEN_COUNT = 64
_REVIEWS_COUNT = 6000
_CODE_VERSION = 2
_TOKENIZER_FILE = "tokenizer.json"
_UNKNOWN = "[UNK]"
# One thread: the model is so small that a second one only waits, and for ever where others use the machine.
_RECIPE = {"epochs_count": 8, "learning_rate": 3e-3, "batch_example_count": 32, "bf16": "no", "thread_count": 1}


class ReviewsTiny:
    """Binary sentiment of generated reviews with a 2-layer BERT; see `perflib.workloads.base.Workload`."""

    name = "reviews-tiny"
    quality_metric = "accuracy"
    labels: tuple[str, ...] = ("negative", "positive")
    unit = "texts"
    slice_columns: tuple[str, ...] = ("domain",)
    max_token_count: int | None = MAX_TOKEN_COUNT

    def __init__(self, *, seed: int = 0) -> None:
        self.seed = seed
        self._splits: Splits | None = None
        self._tokenizer: Any = None

    def prepare(self) -> Artifact:
        """Write the tokenizer, train for some seconds, and cache; later calls only load."""
        return cached_baseline(self._folder(), self._make)

    def splits(self) -> Splits:
        """Return the four splits; the reviews are the same on every machine and for every seed."""
        if self._splits is None:
            self._splits = build_splits(_reviews(), near_duplicates=find_near_duplicates)
        return self._splits

    def encode(self, inputs: Sequence[Any]) -> Encoded:
        """Look up the words of texts; unknown words share one token."""
        if self._tokenizer is None:
            path = self._folder() / _TOKENIZER_FILE
            if not path.is_file():
                raise SetupError(f"{self.name} is not prepared in {project.cache_dir()}; run `perflib prepare` first.")
            self._tokenizer = load_tokenizer(path, max_token_count=MAX_TOKEN_COUNT)
        return tokenise(self._tokenizer, inputs).encoded

    def _folder(self) -> Path:
        key = sha256_json([[(review.key, review.label) for review in _reviews()], _RECIPE, _CODE_VERSION, self.seed])
        return project.cache_dir() / "workloads" / self.name / key[:16]

    def _make(self, folder: Path) -> None:
        from perflib.workloads.baseline import train_baseline
        from perflib.workloads.bert import mean_pooled_classifier

        write_json(folder / _TOKENIZER_FILE, _tokenizer_content())
        self._tokenizer = load_tokenizer(folder / _TOKENIZER_FILE, max_token_count=MAX_TOKEN_COUNT)
        train_baseline(
            self,
            self.splits(),
            folder / BASELINE,
            builder=mean_pooled_classifier,
            config=_config(),
            recipe=_RECIPE,
            seed=self.seed,
            least_accuracy_ratio=LEAST_ACCURACY_RATIO,
        )


@functools.cache
def _reviews() -> list[Example]:
    return generate_reviews(_REVIEWS_COUNT)


def _vocabulary() -> list[str]:
    """Return every token that the reviews use, special ones first."""
    words = {word for review in _reviews() for word in review.key.split()}
    return ["[PAD]", _UNKNOWN, "[CLS]", *sorted(words)]


def _tokenizer_content() -> Any:
    """Return the JSON of a tokenizer that looks up lower-case words."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

    numbers = {word: number for number, word in enumerate(_vocabulary())}
    tokenizer = Tokenizer(models.WordLevel(numbers, unk_token=_UNKNOWN))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A", special_tokens=[("[CLS]", numbers["[CLS]"])]
    )
    return json.loads(tokenizer.to_str())


def _config() -> dict[str, Any]:
    return {
        "vocab_size": len(_vocabulary()),
        "hidden_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "intermediate_size": 64,
        "max_position_embeddings": MAX_TOKEN_COUNT,
        "type_vocab_size": 1,
        "pad_token_id": 0,
        "layer_norm_eps": 1e-12,
        "initializer_range": 0.15,
        "hidden_dropout_prob": 0.0,
        "attention_probs_dropout_prob": 0.0,
        "class_count": 2,
    }
