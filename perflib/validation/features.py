"""
What an example is like, by rules that a reader can check: the columns by which answers are cut into slices.

None of them asks who the author is. A rule on words is crude on purpose ("white" may be a wall), because it needs no
model that could itself be wrong for some. Low margins flip first (Xia et al., 2021), so the baseline's is one too.

    >>> columns = number_features(baseline=np.array([[0.9, 0.1], [0.4, 0.6]]))
    >>> columns["baseline margin"]
    ('10 surest', '01 least sure')
"""

import collections
import re
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from perflib.errors import DataError
from perflib.validation import quality

YES, NO = "yes", "no"


def _words(words: str) -> frozenset[str]:
    return frozenset(words.split())


NEGATIONS = _words(
    "no not never none nothing nobody nowhere nor neither cannot hardly barely scarcely without "
    # Who writes quickly leaves the apostrophe out; with it, the ending n't is enough.
    "aint arent cant couldnt didnt doesnt dont hasnt havent isnt shouldnt wasnt werent wont wouldnt"
)
CONTRASTS = _words("but however although though tho yet despite whereas nevertheless nonetheless notwithstanding")
# No pronouns: nearly every story has one.
GENDER_TERMS = _words(
    "man men woman women boy boys girl girls male males female females lady ladies gentleman gentlemen guy guys "
    "father mother son daughter husband wife brother sister grandfather grandmother transgender nonbinary"
)
# Bertrand and Mullainathan (2004), without the three that mean something else as well.
RACE_NAMES = _words(
    "allison anne carrie emily jill laurie kristen meredith sarah brad brendan geoffrey greg brett matthew neil todd "
    "aisha keisha lakisha latonya latoya tamika tanisha darnell hakim jamal jermaine kareem leroy rasheed tremayne "
    "tyrone black blacks white whites"
)
RELIGION_TERMS = _words(
    "christian christians catholic catholics protestant protestants mormon mormons muslim muslims islam islamic jew "
    "jews jewish judaism hindu hindus buddhist buddhists sikh sikhs atheist atheists"
)
NATIONALITY_TERMS = _words(
    "african africans american americans arab arabs asian asians australian british canadian chinese cuban dutch "
    "egyptian english european europeans filipino french german germans greek hispanic hispanics indian indians "
    "iranian iraqi irish israeli italian italians japanese korean koreans latina latino latinos mexican mexicans "
    "nigerian pakistani palestinian polish russian russians scottish spanish syrian turkish ukrainian vietnamese "
    "immigrant immigrants foreigner foreigners refugee refugees"
)
ORIENTATION_TERMS = _words("gay gays lesbian lesbians bisexual homosexual heterosexual queer lgbt lgbtq")
DISABILITY_TERMS = _words(
    "disabled disability disabilities blind deaf autistic autism wheelchair handicapped paralysed paralyzed "
    "dyslexic epileptic"
)
AGE_TERMS = _words(
    "old young elderly senior seniors teen teens teenager teenagers pensioner pensioners millennial millennials "
    "boomer boomers"
)
IDENTITY_TERMS = (
    GENDER_TERMS | RACE_NAMES | RELIGION_TERMS | NATIONALITY_TERMS | ORIENTATION_TERMS | DISABILITY_TERMS | AGE_TERMS
)

# A word is rare that stands in at most this many of the training texts.
RARE_TEXT_COUNT = 2

_WORD = re.compile(r"[^\W_]+(?:'[^\W_]+)*")
# Not the one in an address: there, something follows at once.
_QUESTION = re.compile(r"\?(?!\w)")
_REPEATED_OR_EMOJI = re.compile(
    "[!?]{2}|[\u203c\u2049\u2600-\u27bf\u2b50\u2b55\U0001f1e6-\U0001f1ff\U0001f300-\U0001faff]"
)
_LENGTH_NAMES = ("1 shortest", "2", "3", "4 longest")
_MARGIN_NAMES = ("01 least sure", *(f"{part:02d}" for part in range(2, 10)), "10 surest")


def text_features(
    texts: Sequence[str],
    *,
    lengths: NDArray[np.integer],
    baseline: NDArray[np.floating],
    train_texts: Iterable[str],
    max_token_count: int | None = None,
) -> dict[str, tuple[str, ...]]:
    """
    Return one value per text for each column; "yes" or "no" where nothing else is said.

    Columns: ``negation``, ``contrast``, ``question``; ``emphasis``: a word in capitals of two letters or more, an
    emoji, or "!" and "?" repeated; ``rare words``: the quarter of texts in which rare words have the largest share;
    ``identity term``; ``length quartile``; ``baseline margin`` in tenths; ``cut at the limit``.

    Args:
        texts: What was asked.
        lengths: Real tokens per text, shape (texts,).
        baseline: Probabilities, shape (texts, classes).
        train_texts: What the baseline learned from; a word is rare that at most two of them have.
        max_token_count: Where inputs are cut; None leaves ``cut at the limit`` out.

    Raises:
        DataError: Without any text, or where the three differ in their number of examples.

    Example:
        >>> answers = np.array([[0.9, 0.1], [0.4, 0.6]])
        >>> columns = text_features(["Isn't it?", "GREAT!"], lengths=np.array([4, 3]), baseline=answers, train_texts=[])
        >>> columns["negation"], columns["emphasis"]
        (('yes', 'no'), ('no', 'yes'))
    """
    _check_counts(texts=len(texts), lengths=len(lengths), baseline=len(baseline))
    written = [_written_words(text) for text in texts]
    words = [_plain_words(one) for one in written]
    columns = {
        "negation": _flags(_has_negation(one) for one in words),
        "contrast": _flags(not CONTRASTS.isdisjoint(one) for one in words),
        "question": _flags(bool(_QUESTION.search(text)) for text in texts),
        "emphasis": _flags(_has_emphasis(text, one) for text, one in zip(texts, written, strict=True)),
        "rare words": _rare_words(words, train_texts),
        "identity term": _flags(not IDENTITY_TERMS.isdisjoint(one) for one in words),
        "length quartile": _parts(lengths, _LENGTH_NAMES),
        **number_features(baseline=baseline),
    }
    if max_token_count is not None:
        columns["cut at the limit"] = _flags(bool(length >= max_token_count) for length in lengths)
    return columns


def number_features(
    *, baseline: NDArray[np.floating], lengths: NDArray[np.integer] | None = None
) -> dict[str, tuple[str, ...]]:
    """
    Return the columns that need no text: ``baseline margin``, and ``length quartile`` where lengths differ.

    The margin is the best probability minus the second best, 0 where an answer is not finite. Equal values always lie
    in one part, the lowest that they reach, so a part may be missing but never empty.

    Args:
        baseline: Probabilities, shape (examples, classes).
        lengths: Real tokens per example, shape (examples,).

    Raises:
        DataError: Without any example, or where the two differ in their number of examples.
    """
    _check_counts(baseline=len(baseline), lengths=len(baseline) if lengths is None else len(lengths))
    columns = {"baseline margin": _parts(np.nan_to_num(quality.margins(baseline), nan=0.0), _MARGIN_NAMES)}
    if lengths is not None and len(np.unique(lengths)) > 1:
        columns["length quartile"] = _parts(lengths, _LENGTH_NAMES)
    return columns


def _check_counts(**counts: int) -> None:
    if len(set(counts.values())) > 1 or 0 in counts.values():
        raise DataError(f"features need the same number of examples in everything, but there are {counts}.")


def _flags(found: Iterable[bool]) -> tuple[str, ...]:
    return tuple(YES if one else NO for one in found)


def _written_words(text: str) -> list[str]:
    """Return the words as they are written, with a plain apostrophe."""
    return _WORD.findall(text.replace("’", "'"))


def _plain_words(written: Iterable[str]) -> list[str]:
    """Return the words without case and possessive."""
    return [word.casefold().removesuffix("'s") for word in written]


def _has_negation(words: Sequence[str]) -> bool:
    return any(word in NEGATIONS or word.endswith("n't") for word in words)


def _has_emphasis(text: str, written: Sequence[str]) -> bool:
    in_capitals = any(word.isupper() and sum(map(str.isalpha, word)) >= 2 for word in written)
    return in_capitals or bool(_REPEATED_OR_EMOJI.search(text))


def _rare_words(words: Sequence[Sequence[str]], train_texts: Iterable[str]) -> tuple[str, ...]:
    """Mark texts whose share of rare words lies above the 75 % quantile; equal shares are not marked."""
    text_counts = collections.Counter(word for text in train_texts for word in set(_plain_words(_written_words(text))))
    shares = [sum(text_counts[word] <= RARE_TEXT_COUNT for word in one) / max(len(one), 1) for one in words]
    limit = np.quantile(shares, 0.75)
    return _flags(bool(share > limit) for share in shares)


def _parts(values: NDArray[np.number], names: Sequence[str]) -> tuple[str, ...]:
    """Name for each value the part of the distribution in which it lies."""
    edges = np.quantile(values, np.arange(1, len(names)) / len(names))
    return tuple(names[part] for part in np.searchsorted(edges, values, side="left"))
