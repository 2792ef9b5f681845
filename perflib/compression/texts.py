"""
What stages that learn from texts do to encoded ones: count their tokens, put two lots together, disturb them.

Everything here works on token ids, so it needs no tokenizer and serves any language.

    >>> ids, mask = np.array([[1, 5, 2], [1, 2, 0]]), np.array([[1, 1, 1], [1, 1, 0]])
    >>> texts = Encoded({"input_ids": ids, "attention_mask": mask})
    >>> token_counts(texts, 7).tolist(), tokens_in_every_text(texts).tolist()
    ([0, 2, 2, 0, 0, 1, 0], [1, 2])
"""

import dataclasses
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from perflib.encoded import MASK, Encoded
from perflib.errors import StageError

IDS = "input_ids"
_DISTURBED_TEXTS_RATIO = 0.5
_MASKED_RATIO = 0.5


def token_counts(texts: Encoded, vocabulary_count: int) -> NDArray[np.int64]:
    """Count how often each token id stands in the texts, padding left out; shape (vocabulary,)."""
    found = texts.arrays[IDS][texts.arrays[MASK] == 1]
    return np.bincount(found, minlength=vocabulary_count).astype(np.int64)


def tokens_in_every_text(texts: Encoded) -> NDArray[np.int64]:
    """Return the ids that no text is without, ascending: what a tokenizer puts at the ends of every text."""
    ids, mask = texts.arrays[IDS], texts.arrays[MASK]
    rows, columns = np.nonzero(mask)
    # Each id once a text, however often it stands there.
    pairs = np.unique(np.stack([rows, ids[rows, columns]]), axis=1)
    numbers, counts = np.unique(pairs[1], return_counts=True)
    everywhere: NDArray[np.int64] = numbers[counts == len(texts)].astype(np.int64)
    return everywhere


def put_together(first: Encoded, second: Encoded) -> Encoded:
    """Return the examples of both, the shorter lot padded with zeros, which its mask hides."""
    return Encoded({name: _stack(array, second.arrays[name]) for name, array in first.arrays.items()})


def read_texts(path: Path) -> list[str]:
    """
    Read the lines of a UTF-8 file that are not empty.

    Raises:
        StageError: If there is no such file, or nothing in it.
    """
    try:
        # Not `splitlines`: a text may hold characters that it takes for ends of lines.
        texts = [line.strip() for line in path.read_text(encoding="utf-8").split("\n")]
    except (OSError, UnicodeDecodeError) as error:
        raise StageError(
            f"the unlabelled texts {path} cannot be read ({error}); give a file of UTF-8 lines."
        ) from error
    if not any(texts):
        raise StageError(f"the unlabelled texts {path} are empty; give a file with a text in each line.")
    return [text for text in texts if text]


@dataclasses.dataclass(frozen=True)
class Disturber:
    """
    Replace a share of the tokens in half of the texts by random words of other texts or, where there is one, the mask.

    A teacher answers such texts too, so they show a student more of what it does than the texts alone.

    Args:
        ratio: The share of tokens that are replaced, in the texts that are disturbed.
        words: Ids to draw from; what stands there often is drawn often.
        spared: Ids that are never replaced.
        mask_id: Stands for half of the replaced tokens; None for words alone.
    """

    ratio: float
    words: NDArray[np.integer]
    spared: NDArray[np.integer]
    mask_id: int | None = None

    @classmethod
    def of(cls, texts: Encoded, ratio: float, *, mask_id: int | None = None) -> "Disturber":
        """Make one that draws from the words of some texts and leaves alone what stands in all of them."""
        spared = tokens_in_every_text(texts)
        words = texts.arrays[IDS][texts.arrays[MASK] == 1]
        return cls(ratio, words[~np.isin(words, spared)], spared, mask_id)

    def __call__(self, texts: Encoded, rng: np.random.Generator) -> tuple[Encoded, NDArray[np.bool_]]:
        """Return the texts with some disturbed, and which those are: shape (texts,)."""
        ids = texts.arrays[IDS]
        is_hit = (texts.arrays[MASK] == 1) & ~np.isin(ids, self.spared) & (rng.random(ids.shape) < self.ratio)
        is_hit &= rng.random((len(texts), 1)) < _DISTURBED_TEXTS_RATIO
        if not len(self.words) or not is_hit.any():
            return texts, np.zeros(len(texts), bool)
        drawn = rng.choice(self.words, size=ids.shape)
        if self.mask_id is not None:
            drawn = np.where(rng.random(ids.shape) < _MASKED_RATIO, self.mask_id, drawn)
        changed = np.where(is_hit, drawn, ids).astype(ids.dtype)
        return Encoded({**texts.arrays, IDS: changed}), (changed != ids).any(axis=1)


def _stack(first: NDArray[np.generic], second: NDArray[np.generic]) -> NDArray[np.generic]:
    if first.ndim != 2:
        return np.concatenate([first, second])
    width = max(first.shape[1], second.shape[1])
    return np.concatenate([np.pad(array, ((0, 0), (0, width - array.shape[1]))) for array in (first, second)])
