"""
Vocabulary trimming: an embedding without the rows of tokens that nobody's texts hold.

In a small encoder the embedding is half of the file, and most of its rows are words of other people's texts.
Inputs stay as they are: the model maps each token id to a row, and what was dropped reads the row of the unknown token,
or of the kept token that means nearly the same to it. What that costs on texts with rare words stands in the proof.
"""

import dataclasses
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from perflib.artifact import Artifact, ArtifactSpec
from perflib.compression.materials import Labelled, Materials
from perflib.compression.stage import require_torch
from perflib.compression.students import BERT
from perflib.compression.texts import IDS, token_counts, tokens_in_every_text
from perflib.encoded import MASK
from perflib.errors import StageError

# A letter that no tokenizer of ours has a token for.
_UNHEARD_OF = "\U00013000"
_EMBEDDING, _ROWS = "embeddings.word_embeddings.weight", "embeddings.row_of_token"
_CHUNK_COUNT = 1024
_SAME_ANSWER = 1e-4


@dataclasses.dataclass(frozen=True)
class Vocabulary:
    """
    Drop rows of the embedding.

    Options:
        keep: ``seen`` keeps what stands in the training texts; a number keeps so many of the most frequent tokens.
        least_count: How often a token must stand there to be ``seen``.
        dropped: What a dropped token is read as: the ``unknown`` token, or the kept one with the ``nearest`` embedding.
        unknown_id: The unknown token; by default what the tokenizer makes of a letter that it cannot know.
        always: Further ids that are kept, such as that of a mask token.
    """

    keep: Literal["seen"] | int = "seen"
    least_count: int = 1
    dropped: Literal["unknown", "nearest"] = "unknown"
    unknown_id: int | None = None
    always: tuple[int, ...] = ()

    def check(self, parent: ArtifactSpec, materials: Materials) -> ArtifactSpec:
        """Refuse other architectures, a second trimming, and more tokens than there are."""
        require_torch(parent, stage="vocabulary")
        if parent.builder != BERT:
            raise StageError(f"stage `vocabulary` trims perflib's own BERT, and the parent is a {parent.builder}.")
        if "full_vocab_size" in parent.config:
            raise StageError(
                f"the parent's vocabulary is trimmed already (to {parent.config['vocab_size']} of "
                f"{parent.config['full_vocab_size']} tokens); leave the second `vocabulary` out."
            )
        self._check_numbers(parent.config["vocab_size"])
        materials.labelled("tuning", stage="vocabulary")
        kept = self._kept(parent, materials)
        return dataclasses.replace(parent, config=_trimmed(parent.config, kept))

    def apply(self, parent: Artifact, folder: Path, materials: Materials) -> tuple[Artifact, dict[str, Any]]:
        """Write the smaller embedding and the map to its rows; prove that texts without a dropped token are safe."""
        import torch
        from safetensors.torch import load_file

        from perflib.engines.torch_engine import WEIGHTS_FILE, save_module
        from perflib.workloads.bert import mean_pooled_classifier

        config, kept = parent.spec.config, self._kept(parent.spec, materials)
        weights = load_file(parent.folder / WEIGHTS_FILE)
        rows = self._rows(weights[_EMBEDDING].numpy(), kept, self._special(parent.spec, materials))
        with torch.device("meta"):
            module = mean_pooled_classifier(_trimmed(config, kept))
        weights[_EMBEDDING] = weights[_EMBEDDING][torch.from_numpy(kept)]
        weights[_ROWS] = torch.from_numpy(rows)
        module.load_state_dict(weights, assign=True)
        save_module(module, folder)
        artifact = parent.derive(
            folder, {"vocabulary": dataclasses.asdict(self)}, packages=("torch",), config=_trimmed(config, kept)
        )
        sizes = {
            "kept_token_count": len(kept),
            "token_count": config["vocab_size"],
            "saved_bytes": parent.size_bytes - artifact.size_bytes,
        }
        return artifact, sizes | _compare(parent, artifact, kept, materials.labelled("tuning", stage="vocabulary"))

    def _check_numbers(self, token_count: int) -> None:
        if self.least_count < 1:
            raise StageError(f"option `least_count` of stage `vocabulary` is {self.least_count}; give at least 1.")
        if self.keep != "seen" and self.least_count > 1:
            raise StageError(
                "option `least_count` of stage `vocabulary` says what is `seen`; leave it out with a number."
            )
        if self.keep != "seen" and not 1 <= self.keep <= token_count:
            raise StageError(
                f"option `keep` of stage `vocabulary` is {self.keep}; the vocabulary has {token_count} tokens."
            )
        for number in (self.unknown_id, *self.always):
            if number is not None and not 0 <= number < token_count:
                raise StageError(
                    f"token {number} is not among the {token_count} tokens of the vocabulary; correct its id."
                )

    def _kept(self, parent: ArtifactSpec, materials: Materials) -> NDArray[np.int64]:
        """Return the ids that stay, ascending."""
        train = materials.labelled("train", stage="vocabulary").inputs
        counts, special = token_counts(train, parent.config["vocab_size"]), self._special(parent, materials)
        if self.keep == "seen":
            return np.union1d(np.flatnonzero(counts >= self.least_count), special)
        if self.keep < len(special):
            raise StageError(
                f"option `keep` of stage `vocabulary` is {self.keep}, and {len(special)} special tokens must stay; "
                "keep more."
            )
        counts[special] = counts.max() + 1
        # Stable, so that of equally frequent tokens the first stay.
        return np.sort(np.argsort(-counts, kind="stable")[: self.keep])

    def _special(self, parent: ArtifactSpec, materials: Materials) -> NDArray[np.int64]:
        """Return padding, the unknown token (the last one) and what stands in every text."""
        ends = tokens_in_every_text(materials.labelled("train", stage="vocabulary").inputs)
        unknown_id = self.unknown_id if self.unknown_id is not None else _find_unknown(materials, ends)
        others = np.union1d(ends, [parent.config["pad_token_id"], *self.always])
        return np.append(others[others != unknown_id], unknown_id).astype(np.int64)

    def _rows(
        self, embedding: NDArray[np.float32], kept: NDArray[np.int64], special: NDArray[np.int64]
    ) -> NDArray[np.int32]:
        """Return the row of every token id, shape (tokens,)."""
        token_count, unknown_id = len(embedding), special[-1]
        stand_in = np.full(token_count, unknown_id)
        words = kept[~np.isin(kept, special)]
        missing = np.setdiff1d(np.arange(token_count), kept)
        if self.dropped == "nearest" and len(words):
            directions = embedding / np.maximum(np.linalg.norm(embedding, axis=1, keepdims=True), 1e-12)
            for start in range(0, len(missing), _CHUNK_COUNT):
                some = missing[start : start + _CHUNK_COUNT]
                stand_in[some] = words[(directions[some] @ directions[words].T).argmax(axis=1)]
        stand_in[kept] = kept
        return np.searchsorted(kept, stand_in).astype(np.int32)


def _trimmed(config: dict[str, Any], kept: NDArray[np.int64]) -> dict[str, Any]:
    pad_row = int(np.searchsorted(kept, config["pad_token_id"]))
    return config | {"vocab_size": len(kept), "full_vocab_size": config["vocab_size"], "pad_token_id": pad_row}


def _find_unknown(materials: Materials, ends: NDArray[np.int64]) -> int:
    found: list[int] = []
    if materials.encode is not None:
        arrays = materials.encode([_UNHEARD_OF]).arrays
        found = np.setdiff1d(arrays[IDS][arrays[MASK] == 1], ends).tolist()
    if len(found) != 1:
        raise StageError(
            f"the id of the unknown token cannot be found: the tokenizer makes {len(found)} tokens of a letter that it "
            "cannot know; give `unknown_id` of stage `vocabulary`."
        )
    return int(found[0])


def _compare(parent: Artifact, artifact: Artifact, kept: NDArray[np.int64], tuning: Labelled) -> dict[str, Any]:
    """
    Compare answers before and after, on all texts and on those that hold a dropped token.

    Raises:
        StageError: If the answer to a text without any has changed.
    """
    is_real = tuning.inputs.arrays[MASK] == 1
    is_dropped = is_real & ~np.isin(tuning.inputs.arrays[IDS], kept)
    is_rare = is_dropped.any(axis=1)
    before, after = parent.predict(tuning.inputs), artifact.predict(tuning.inputs)
    difference = float(np.abs(before - after)[~is_rare].max(initial=0.0))
    if not difference <= _SAME_ANSWER:
        raise StageError(f"the answer to a text without a dropped token changed by {difference:.2g}; nothing was kept.")
    right_before, right_after = (answers.argmax(axis=1) == tuning.labels for answers in (before, after))
    proof = {
        "dropped_tuning_token_ratio": float(is_dropped.sum() / is_real.sum()),
        "rare_text_count": int(is_rare.sum()),
        "untouched_largest_answer_difference": difference,
        "tuning_accuracy_before_ratio": float(right_before.mean()),
        "tuning_accuracy_ratio": float(right_after.mean()),
    }
    if is_rare.any():
        proof["rare_tuning_accuracy_before_ratio"] = float(right_before[is_rare].mean())
        proof["rare_tuning_accuracy_ratio"] = float(right_after[is_rare].mean())
    return proof
