"""
Your own model and data: a sequence classifier from Hugging Face, or a folder, and a labelled CSV or Parquet table.

The checkpoint is the baseline as it is; nothing is trained.
Only here and in the architecture is transformers imported, because the model can be any that it knows.

    TableWorkload(hf_model="distilbert/…-sst-2-english", data="reviews.csv", text="body", label="stars")
"""

import importlib.metadata
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from perflib import project
from perflib.artifact import Artifact, Lineage
from perflib.encoded import Encoded
from perflib.errors import DataError, SetupError, did_you_mean
from perflib.records import read_json, sha256_file, sha256_json
from perflib.workloads.base import SPLIT_NAMES, Example, Splits, build_splits, normalise
from perflib.workloads.cache import BASELINE, cached_baseline
from perflib.workloads.fetch import first_line
from perflib.workloads.text import find_near_duplicates, tokenise

MAX_TOKEN_COUNT = 256
_CODE_VERSION = 1
_CLASSIFIER = "ForSequenceClassification"
_MODEL_FILES = ("*.json", "*.safetensors", "*.txt", "*.model")


class TableWorkload:
    """
    A sequence classifier with a labelled table; see `perflib.workloads.base.Workload`.

    Args:
        hf_model: Id on huggingface.co, or a folder with config, safetensors and tokenizer.
        data: A ``.csv`` or ``.parquet`` file.
        text: Its column of texts.
        label: Its column of labels: names that the model's ``label2id`` knows, or whole numbers from 0.
    """

    unit = "texts"
    quality_metric = "accuracy"
    slice_columns: tuple[str, ...] = ()

    def __init__(self, *, hf_model: str, data: str, text: str, label: str) -> None:
        self.name = f"table:{hf_model}"
        self.hf_model, self.data, self.text, self.label = hf_model, Path(data), text, label
        self._checkpoint = Path(hf_model) if Path(hf_model).is_dir() else _fetch_checkpoint(hf_model)
        self._config = _read_config(self._checkpoint, hf_model)
        names = self._config["id2label"]
        self.labels = tuple(str(names[number]) for number in sorted(names, key=int))
        self._splits: Splits | None = None
        self._tokenizer: Any = None
        self._pad_id = 0

    def prepare(self) -> Artifact:
        """
        Read the table and seal the checkpoint as the baseline; later calls only load.

        Raises:
            DataError: If checkpoint or table cannot be used.
        """
        splits = self.splits()
        weights = {path.name: sha256_file(path) for path in sorted(self._checkpoint.glob("*.safetensors"))}
        # The data are named too: nothing is trained on them, but another table is another baseline to whoever resumes.
        data = {name: getattr(splits, name).digest() for name in SPLIT_NAMES}
        key = sha256_json([weights, data, self._config, self.name, _CODE_VERSION])
        folder = project.cache_dir() / "workloads" / "table" / key[:16]
        return cached_baseline(folder, lambda new: self._make(new / BASELINE, weights, data))

    def splits(self) -> Splits:
        """Return the four splits of the table."""
        if self._splits is None:
            texts, labels = _read_table(self.data, text=self.text, label=self.label)
            numbers = _label_numbers(labels, self.labels, where=f"column `{self.label}` of {self.data}")
            self._splits = build_splits(
                (
                    Example(id=f"row-{row}", input=text, key=normalise(text), label=number, slices={})
                    for row, (text, number) in enumerate(zip(texts, numbers, strict=True), start=1)
                ),
                near_duplicates=find_near_duplicates,
            )
        return self._splits

    def encode(self, inputs: Sequence[Any]) -> Encoded:
        """Tokenise texts as the checkpoint does; those of more than 256 tokens are cut."""
        if self._tokenizer is None:
            self._tokenizer, self._pad_id = _load_tokenizer(self._checkpoint, self.hf_model)
        return tokenise(self._tokenizer, inputs, pad_id=self._pad_id).encoded

    def _make(self, folder: Path, weights: Mapping[str, str], data: Mapping[str, str]) -> None:
        from transformers import AutoModelForSequenceClassification

        from perflib.engines.torch_engine import builder_name, save_module
        from perflib.workloads.hf_classifier import SequenceClassifier, sequence_classifier

        model = AutoModelForSequenceClassification.from_pretrained(self._checkpoint, use_safetensors=True)
        save_module(SequenceClassifier(model.float()), folder)
        Artifact.seal(
            folder,
            engine="torch",
            precision="fp32",
            labels=self.labels,
            lineage=Lineage(
                workload=self.name,
                parent_sha256=None,
                recipe=(),
                versions={name: importlib.metadata.version(name) for name in ("perflib", "torch", "transformers")},
                details={"checkpoint": self.hf_model, "checkpoint_sha256": dict(weights), "split_sha256": dict(data)},
            ),
            builder=builder_name(sequence_classifier),
            config=self._config,
        )


def _fetch_checkpoint(repository: str) -> Path:
    from huggingface_hub import snapshot_download

    try:
        return Path(snapshot_download(repository, allow_patterns=list(_MODEL_FILES)))
    # The hub's client raises its own, httpx's and the system's errors: each of them means "not delivered".
    except Exception as error:
        raise SetupError(
            f"`{repository}` is no folder and cannot be fetched from huggingface.co ({first_line(error)}); "
            "correct the name, connect to the network, or give the path of a downloaded checkpoint."
        ) from error


def _read_config(folder: Path, name: str) -> dict[str, Any]:
    """Return the checkpoint's configuration as plain data, once it is clear that we can use the checkpoint."""
    config = read_json(folder / "config.json")
    architectures = config.get("architectures") or ["unknown"]
    config.setdefault("id2label", {"0": "LABEL_0", "1": "LABEL_1"})
    if not any(str(word).endswith(_CLASSIFIER) for word in architectures) or len(config["id2label"]) < 2:
        raise DataError(
            f"`{name}` is a {architectures[0]} with {len(config['id2label'])} classes and no sequence classifier; "
            f"give a checkpoint whose architecture ends in {_CLASSIFIER} and has two classes or more."
        )
    if not list(folder.glob("*.safetensors")):
        raise DataError(f"`{name}` has no safetensors; convert it, because pickled weights can run code.")
    # The precision belongs to the artifact.
    return {key: value for key, value in config.items() if key not in {"dtype", "torch_dtype"}}


def _read_table(path: Path, *, text: str, label: str) -> tuple[list[str], list[str]]:
    """Read the two columns as words, row by row."""
    import pandas as pd

    if path.suffix not in {".csv", ".parquet"}:
        raise DataError(f"{path} is no .csv or .parquet file; convert the table to one of them.")
    if not path.is_file():
        raise DataError(f"the table {path} does not exist; correct `data` in the workload.")
    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False) if path.suffix == ".csv" else pd.read_parquet(path)
    except (ValueError, OSError) as error:
        raise DataError(
            f"the table {path} cannot be read ({error}); write it again as UTF-8 CSV or Parquet."
        ) from error
    for column in (text, label):
        if column not in table.columns:
            raise DataError(f"{path} has no column `{column}`; {did_you_mean(column, map(str, table.columns))}")
    texts = ["" if value is None or value != value else str(value) for value in table[text]]  # noqa: PLR0124 - NaN
    empty = [row for row, value in enumerate(texts, start=1) if not value.strip()]
    if empty:
        raise DataError(
            f"{len(empty)} texts in column `{text}` of {path} are empty, the first in row {empty[0]}; remove them."
        )
    return texts, [str(value) for value in table[label]]


def _label_numbers(values: Sequence[str], names: Sequence[str], *, where: str) -> list[int]:
    """Turn label words into class numbers, by the model's names or, where they do not fit, by whole numbers."""
    by_name = {name: number for number, name in enumerate(names)}
    by_number = {str(number): number for number in range(len(names))}
    fits = by_name if set(values) & set(by_name) else by_number
    unknown = next(((row, value) for row, value in enumerate(values, start=1) if value not in fits), None)
    if unknown is not None:
        raise DataError(
            f"{where} has the label `{unknown[1]}` in row {unknown[0]}, which the model does not know; "
            f"use its names ({', '.join(names)}) or the numbers 0 to {len(names) - 1}."
        )
    if len(set(values)) < 2:
        raise DataError(
            f"{where} has one class only (`{values[0] if values else 'no row'}`); give examples of two or more."
        )
    return [fits[value] for value in values]


def _load_tokenizer(folder: Path, name: str) -> tuple[Any, int]:
    from transformers import AutoTokenizer

    found = AutoTokenizer.from_pretrained(folder, use_fast=True)
    if not found.is_fast:
        raise DataError(f"`{name}` has no tokenizer.json, which makes tokenising quick; save one beside it.")
    tokenizer = found.backend_tokenizer
    tokenizer.no_padding()
    tokenizer.enable_truncation(min(MAX_TOKEN_COUNT, found.model_max_length))
    return tokenizer, found.pad_token_id or 0
