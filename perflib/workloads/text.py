"""
What the text workloads share: tokenising, and finding texts that nearly repeat another.

Only the `tokenizers` package is needed here, so a worker that encodes texts imports neither torch nor transformers.

    >>> find_near_duplicates(["a very good film", "bad"], ["A very good film!", "fine"])
    [0]
"""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from perflib.encoded import Encoded

if TYPE_CHECKING:
    from tokenizers import Tokenizer

NEAR_DUPLICATE_JACCARD_RATIO = 0.8
_PAIRS_AT_ONCE_COUNT = 200_000
_WORD = r"\w+"


@dataclasses.dataclass(frozen=True)
class Tokenised:
    """Model inputs, and how many texts were cut at the greatest length."""

    encoded: Encoded
    truncated_count: int


def load_tokenizer(path: Path, *, max_token_count: int) -> "Tokenizer":
    """Read a ``tokenizer.json``; its own padding is dropped, since `tokenise` pads to the longest text."""
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(path))
    tokenizer.no_padding()
    tokenizer.enable_truncation(max_token_count)
    return tokenizer


def tokenise(tokenizer: "Tokenizer", texts: Sequence[str], *, pad_id: int = 0) -> Tokenised:
    """
    Turn texts into ``input_ids`` and ``attention_mask``, int64 of shape (texts, tokens), padded on the right.

    Args:
        tokenizer: With truncation on and padding off, as `load_tokenizer` gives it.
        texts: As people send them.
        pad_id: What stands where there is no token.
    """
    encodings = tokenizer.encode_batch_fast(list(texts))
    ids = [encoding.ids for encoding in encodings]
    lengths = np.array([len(row) for row in ids], np.int64)
    mask = np.arange(max(int(lengths.max(initial=0)), 1)) < lengths[:, None]
    input_ids = np.full(mask.shape, pad_id, np.int64)
    input_ids[mask] = np.fromiter((token for row in ids for token in row), np.int64, int(lengths.sum()))
    truncated_count = sum(bool(encoding.overflowing) for encoding in encodings)
    return Tokenised(Encoded({"input_ids": input_ids, "attention_mask": mask.astype(np.int64)}), truncated_count)


def find_near_duplicates(
    texts: Sequence[str], others: Sequence[str], *, jaccard_ratio: float = NEAR_DUPLICATE_JACCARD_RATIO
) -> list[int]:
    """
    Find texts whose set of words is nearly that of one of the others.

    Two sets with a Jaccard ratio of at least t share one of the (1 - t) · size + 1 rarest words of each (the prefix
    filter of Chaudhuri et al., 2006), so only pairs that share such a word are compared.

    Args:
        texts: Those to be judged.
        others: Those that they may repeat.
        jaccard_ratio: Words in both over words in either, from which a pair is called near.

    Returns:
        Positions in ``texts``, ascending. A text without a word is never near another.
    """
    from sklearn.feature_extraction.text import CountVectorizer

    words = CountVectorizer(binary=True, token_pattern=_WORD, dtype=np.int32)
    try:
        table = words.fit_transform([*texts, *others]).tocsr()
    except ValueError:  # scikit-learn's answer to texts without any word
        return []
    # Columns from the rarest word to the most frequent one, so that a row's first entries are its prefix.
    rank = np.empty(table.shape[1], np.int32)
    rank[np.argsort(table.getnnz(axis=0), kind="stable")] = np.arange(table.shape[1], dtype=np.int32)
    table.indices = rank[table.indices]
    table.has_sorted_indices = False
    table.sort_indices()
    sizes = np.diff(table.indptr)
    prefixes = _prefixes(table, (np.floor((1 - jaccard_ratio) * sizes + 1e-9) + 1).astype(np.int64))
    pairs = (prefixes[: len(texts)] @ prefixes[len(texts) :].T).tocoo()
    near: set[int] = set()
    for start in range(0, pairs.nnz, _PAIRS_AT_ONCE_COUNT):
        one = pairs.row[start : start + _PAIRS_AT_ONCE_COUNT]
        other = pairs.col[start : start + _PAIRS_AT_ONCE_COUNT] + len(texts)
        both = np.asarray(table[one].multiply(table[other]).sum(axis=1)).ravel()
        either = sizes[one] + sizes[other] - both
        near.update(one[both >= jaccard_ratio * either - 1e-9].tolist())
    return sorted(near)


def _prefixes(table: Any, keep_counts: Any) -> Any:
    """Keep the first entries of each row of a sparse table whose indices are sorted."""
    from scipy.sparse import csr_matrix

    sizes = np.diff(table.indptr)
    positions = np.arange(table.nnz) - np.repeat(table.indptr[:-1], sizes)
    kept = positions < np.repeat(keep_counts, sizes)
    ends = np.concatenate([[0], np.cumsum(kept)])[table.indptr]
    return csr_matrix((table.data[kept], table.indices[kept], ends), shape=table.shape)
