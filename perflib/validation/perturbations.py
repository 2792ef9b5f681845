"""
Small changes that must not change an answer: typos, case, punctuation, spaces, something appended.

Every change is decided by the seed, the kind and the example's id alone, so that the same text is always changed in the
same way, on every machine, in every order and among any others. One word in ten is changed, at least one.

    >>> upper = next(kind for kind in KINDS if kind.name == "upper case")
    >>> perturb(["So good!", "OK"], ["a", "b"], upper, seed=0)
    ([0], ['SO GOOD!'])
"""

import dataclasses
import hashlib
import random
import re
import unicodedata
from collections.abc import Callable, Sequence

from perflib.errors import DataError
from perflib.validation.probes import Probe

MAX_CHANGED_COUNT = 400
_WORDS_PER_EDIT_COUNT = 10
_NEIGHBOURS = {
    "a": "qwsz", "b": "vghn", "c": "xdfv", "d": "serfcx", "e": "wsdr", "f": "drtgvc", "g": "ftyhbv", "h": "gyujnb",
    "i": "ujko", "j": "huikmn", "k": "jiolm", "l": "kop", "m": "njk", "n": "bhjm", "o": "iklp", "p": "ol", "q": "wa",
    "r": "edft", "s": "awedxz", "t": "rfgy", "u": "yhji", "v": "cfgb", "w": "qase", "x": "zsdc", "y": "tghu",
    "z": "asx",
}  # fmt: skip
_POSITIVE = {
    "it is": "it's", "that is": "that's", "there is": "there's", "they are": "they're", "we are": "we're",
    "i am": "i'm",
}  # fmt: skip
_NEGATIVE = {
    "do not": "don't", "does not": "doesn't", "did not": "didn't", "is not": "isn't", "are not": "aren't",
    "was not": "wasn't", "were not": "weren't", "cannot": "can't", "will not": "won't", "would not": "wouldn't",
    "could not": "couldn't", "should not": "shouldn't",
}  # fmt: skip
_SHORT = {**_POSITIVE, **_NEGATIVE, "can not": "can't"}
_LONG = {short.replace("'", apostrophe): long for long, short in (_POSITIVE | _NEGATIVE).items() for apostrophe in "'’"}
# "As it is." stays: only before a word is it shortened.
_TO_SHORTEN = re.compile(rf"\b(?:(?:{'|'.join(_POSITIVE)})(?=\s+\w)|{'|'.join({*_SHORT} - {*_POSITIVE})})\b", re.I)
# "It's been" is "it has been", and "don't you" cannot be put at length in that order.
_NOT_LENGTHENED = "been|got|had|become|gone|made|i|you|he|she|it|we|they"
_TO_LENGTHEN = re.compile(rf"\b(?:{'|'.join(_LONG)})\b(?!\s+(?:{_NOT_LENGTHENED})\b)", re.I)
_LOOKALIKES = str.maketrans({"a": "а", "e": "е", "o": "о", "p": "р", "c": "с", "x": "х", "y": "у"})
_NEUTRAL_EMOJI = ("📅", "🕒", "📍", "📱", "🚌", "🏠", "📦", "🧾")
_WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday")
# Not handles, hashtags, HTML entities and addresses: a slip there makes another name, not a typo.
_WORD = re.compile(r"(?<![@#&/\w])[^\W\d_]{4,}(?!\w|://)")
# Only at the end of a word, so that emoticons such as :) and (: and numbers such as 4.5 keep what they say.
_PUNCTUATION = re.compile(r"\s?(?<![(\[<.,;:!?])[.,;:!?]+(?=\s|$)")
_WORD_START = re.compile(r"(?<!\S)[^\W\d_]")

Change = Callable[[str, random.Random], str]


@dataclasses.dataclass(frozen=True)
class Kind:
    """
    One kind of change; made in another way it gets a new version, so that old results are not compared with new ones.

    ``is_reported_only`` marks what a tokenizer cannot be expected to bear.
    """

    name: str
    version: int
    change: Change
    is_reported_only: bool = False


def perturbation_probes(
    texts: Sequence[str], ids: Sequence[str], *, seed: int, max_changed_count: int = MAX_CHANGED_COUNT
) -> list[Probe]:
    """Return text and changed text as probes for every kind, in the order of `KINDS`; see `perturb`."""
    return [
        Probe("perturbation", kind.name, kind.version, "same", before=texts[row], after=after, key=ids[row])
        for kind in KINDS
        for row, after in zip(*perturb(texts, ids, kind, seed=seed, max_changed_count=max_changed_count), strict=True)
    ]


def perturb(
    texts: Sequence[str], ids: Sequence[str], kind: Kind, *, seed: int, max_changed_count: int = MAX_CHANGED_COUNT
) -> tuple[list[int], list[str]]:
    """
    Change texts in one way, and keep those that really changed.

    Args:
        texts: As people send them.
        ids: One per text, all different; with seed and kind they decide the change and who is tried first.
        kind: From `KINDS`.
        seed: Recorded.
        max_changed_count: As many changed texts as are wanted.

    Returns:
        Positions in ``texts``, ascending, and their changed texts.

    Raises:
        DataError: If ids are missing or repeated.
    """
    if len(ids) != len(texts) or len(set(ids)) != len(ids):
        raise DataError(
            f"{len(texts)} texts cannot be changed by {len(ids)} ids ({len(set(ids))} different); give each its own."
        )
    digests = [hashlib.sha256(f"{seed}|{kind.name}|{kind.version}|{name}".encode()).digest() for name in ids]
    changed: dict[int, str] = {}
    # A sample in the order of the digests, because most kinds change nearly every text.
    for row in sorted(range(len(texts)), key=lambda row: digests[row]):
        if len(changed) >= max_changed_count:
            break
        # Not the part of the digest that decides who is tried: it is small wherever it comes first.
        after = kind.change(texts[row], random.Random(digests[row][16:]))
        if after != texts[row]:
            changed[row] = after
    rows = sorted(changed)
    return rows, [changed[row] for row in rows]


def _edit_count(text: str) -> int:
    return max(1, len(text.split()) // _WORDS_PER_EDIT_COUNT)


def _in_words(edit: Change) -> Change:
    """Apply an edit to one word in ten, at least to one, chosen among those of four letters or more."""

    def change(text: str, dice: random.Random) -> str:
        places = [found.span() for found in _WORD.finditer(text)]
        # From the last to the first, so that the places before stay where they are.
        for start, stop in sorted(dice.sample(places, min(len(places), _edit_count(text))), reverse=True):
            text = text[:start] + edit(text[start:stop], dice) + text[stop:]
        return text

    return change


def _typo(word: str, dice: random.Random) -> str:
    places = [place for place in range(1, len(word)) if word[place].lower() in _NEIGHBOURS]
    if not places:
        return word
    place = dice.choice(places)
    near = dice.choice(_NEIGHBOURS[word[place].lower()])
    return word[:place] + (near.upper() if word[place].isupper() else near) + word[place + 1 :]


def _swap(word: str, dice: random.Random) -> str:
    places = [place for place in range(1, len(word) - 1) if word[place] != word[place + 1]]
    if not places:
        return word
    place = dice.choice(places)
    return word[:place] + word[place + 1] + word[place] + word[place + 2 :]


def _drop(word: str, dice: random.Random) -> str:
    place = dice.randrange(1, len(word))
    return word[:place] + word[place + 1 :]


def _double(word: str, dice: random.Random) -> str:
    place = dice.randrange(1, len(word))
    return word[:place] + word[place] + word[place:]


def _look_alike(word: str, dice: random.Random) -> str:  # noqa: ARG001 -- nothing is left to chance here
    return word.translate(_LOOKALIKES)


def _shortened(text: str) -> str:
    return _TO_SHORTEN.sub(lambda found: _as_written(_SHORT[found[0].lower()], found[0]), text)


def _lengthened(text: str) -> str:
    return _TO_LENGTHEN.sub(lambda found: _as_written(_LONG[found[0].lower()], found[0]), text)


def _as_written(words: str, before: str) -> str:
    """Write words in capitals, or with one, where what they stand for was so written."""
    if before.isupper():
        return words.upper()
    return words[0].upper() + words[1:] if before[0].isupper() else words


def _extra_spaces(text: str, dice: random.Random) -> str:
    places = [found.start() for found in re.finditer(" ", text)]
    for place in sorted(dice.sample(places, min(len(places), _edit_count(text))), reverse=True):
        text = f"{text[:place]} {text[place:]}"
    return text


def _without_accents(text: str) -> str:
    """Take the accents off Latin letters; in other scripts, and on signs such as ≠, a mark is no ornament."""
    parts = [(mark, unicodedata.normalize("NFD", mark)[0]) for mark in unicodedata.normalize("NFC", text)]
    return "".join(base if base.isascii() and base.isalpha() else mark for mark, base in parts)


def _neutral_sentence(text: str, dice: random.Random) -> str:
    stop = "" if text.rstrip().endswith((".", "!", "?", "…")) else "."
    return f"{text}{stop} I wrote this on a {dice.choice(_WEEKDAYS)}."


def _fixed(change: Callable[[str], str]) -> Change:
    return lambda text, dice: change(text)  # noqa: ARG005 -- nothing is left to chance here


KINDS: tuple[Kind, ...] = (
    Kind("neighbouring key", 1, _in_words(_typo)),
    Kind("swapped letters", 1, _in_words(_swap)),
    Kind("dropped letter", 1, _in_words(_drop)),
    Kind("doubled letter", 1, _in_words(_double)),
    Kind("lower case", 1, _fixed(str.lower)),
    Kind("upper case", 1, _fixed(str.upper)),
    Kind("title case", 1, _fixed(lambda text: _WORD_START.sub(lambda found: found[0].upper(), text))),
    Kind("no punctuation", 1, _fixed(lambda text: _PUNCTUATION.sub("", text))),
    Kind("contracted", 1, _fixed(_shortened)),
    Kind("expanded", 1, _fixed(_lengthened)),
    Kind("extra space", 1, _extra_spaces),
    Kind("url appended", 1, lambda text, dice: f"{text} https://example.org/{dice.getrandbits(32):08x}"),
    Kind("handle appended", 1, lambda text, dice: f"{text} @user{dice.randrange(10_000)}"),
    Kind("emoji appended", 1, lambda text, dice: f"{text} {dice.choice(_NEUTRAL_EMOJI)}"),
    Kind("neutral sentence", 1, _neutral_sentence),
    Kind("no accents", 1, _fixed(_without_accents)),
    Kind("lookalike letters", 1, _in_words(_look_alike), is_reported_only=True),
)
