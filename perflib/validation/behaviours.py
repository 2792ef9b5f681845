"""
What a sentiment model has to be able to do, capability by capability, in small cases whose answer is not in dispute.

The method is CheckList's (Ribeiro et al., 2020), the sentences are our own: a minimum functionality test has a right
answer, an invariance test pairs two sentences that must be answered alike, and a directional test adds what must not
make the label less probable. Class 1 is positive, 0 negative; other workloads have no such cases.

    >>> probe = behaviour_probes()[0]
    >>> probe.kind, probe.after, probe.label
    ('vocabulary', 'The film was great.', 1)
"""

import itertools
from collections.abc import Iterator

from perflib.validation.probes import Probe

# Counts up when any sentence changes.
VERSION = 1
_GOOD = ("great", "wonderful", "excellent", "brilliant", "lovely", "impressive")
_BAD = ("terrible", "awful", "dreadful", "boring", "horrible", "disappointing")
_THINGS = ("film", "book", "concert", "game", "party")
_SLIPS = {"film": "flim", "book": "boook", "concert": "cocnert", "game": "gmae", "party": "patry"}
_LASTING = ("hotel", "restaurant", "newspaper", "phone", "shop", "bank")
_OTHERS = (
    ("male", "female"),
    ("white", "black"),
    ("Christian", "Muslim"),
    ("straight", "gay"),
    ("young", "elderly"),
    ("English", "Arab"),
)
_PLACES = (("Paris", "Lagos"), ("Boston", "Tehran"), ("Berlin", "Manila"))
_NAMES = (("Emma", "Aisha"), ("John", "Juan"), ("Peter", "Wei"))


def behaviour_probes() -> list[Probe]:
    """Return all cases, always the same: 60 to 100 of each of the seven capabilities, which are the kinds."""
    return [
        *_vocabulary(),
        *_negation(),
        *_change_over_time(),
        *_whose_view(),
        *_fairness(),
        *_robustness(),
        *_names(),
    ]


def _vocabulary() -> Iterator[Probe]:
    """Yield adjectives, verbs and nouns that say it all, and adjectives with a sentence added that says it again."""
    for thing, (word, label) in itertools.product(_THINGS, _feelings()):
        yield _right("vocabulary", f"The {thing} was {word}.", label)
    verbs_and_nouns = (("I loved the {}.", 1), ("I hated the {}.", 0), ("The {} was a triumph.", 1),
                       ("The {} was a disaster.", 0))  # fmt: skip
    for thing, (template, label) in itertools.product(_THINGS, verbs_and_nouns):
        yield _right("vocabulary", template.format(thing), label)
    for word, label in _feelings():
        text = f"The show was {word}."
        yield _not_less("vocabulary", text, f"{text} {'I loved it.' if label else 'I hated it.'}", label)


def _negation() -> Iterator[Probe]:
    words = [(word, 0) for word in ("good", "great", "pleasant", "impressive")]
    words += [(word, 1) for word in ("bad", "boring", "disappointing", "unpleasant")]
    templates = ("The {} was not {} at all.", "There was nothing {1} about the {0}.")
    for thing, (word, label), template in itertools.product(_THINGS, words, templates):
        yield _right("negation", template.format(thing, word), label)


def _change_over_time() -> Iterator[Probe]:
    templates = ("This {} used to be {}, but now it is {}.", "Last year this {} was {}, and now it is {}.")
    for (row, thing), (first, second, label) in itertools.product(enumerate(_LASTING), _opposites()):
        yield _right("change over time", templates[row % 2].format(thing, first, second), label)


def _whose_view() -> Iterator[Probe]:
    templates = ("Some people think this {} is {}, but I think it is {}.", "They call this {} {}, but I find it {}.")
    for (row, thing), (theirs, mine, label) in itertools.product(enumerate(_LASTING), _opposites()):
        yield _right("whose view", templates[row % 2].format(thing, theirs, mine), label)


def _fairness() -> Iterator[Probe]:
    for (row, (one, other)), (column, (word, _)) in itertools.product(enumerate(_OTHERS), enumerate(_feelings())):
        thing = _THINGS[(row + column) % len(_THINGS)]
        yield _same("fairness", *(f"My {who} friend told me the {thing} was {word}." for who in (one, other)))


def _robustness() -> Iterator[Probe]:
    """Yield changes that sit beside the word that decides: an address, a handle, small letters, a slip, a filler."""
    for number, (word, _) in enumerate(_feelings()):
        for thing in (_THINGS[number % len(_THINGS)], _THINGS[(number + 2) % len(_THINGS)]):
            text = f"The {thing} was {word}."
            yield _same("robustness", text, f"{text} https://example.org/17ab")
            yield _same("robustness", text, f"@user17 {text}")
            yield _same("robustness", text, f"the {thing} was {word}")
            yield _same("robustness", text, f"The {_SLIPS[thing]} was {word}.")


def _names() -> Iterator[Probe]:
    for number, (word, _) in enumerate(_feelings()):
        thing = _THINGS[number % len(_THINGS)]
        for places in _PLACES:
            yield _same("names", *(f"The {thing} in {place} was {word}." for place in places))
        for names in _NAMES:
            yield _same("names", *(f"{name} told me the {thing} was {word}." for name in names))


def _feelings() -> Iterator[tuple[str, int]]:
    """Yield a word and its label, good and bad in turn."""
    for good, bad in zip(_GOOD, _BAD, strict=True):
        yield good, 1
        yield bad, 0


def _opposites() -> Iterator[tuple[str, str, int]]:
    """Yield two opposite words and the label of the second."""
    for good, bad in zip(_GOOD, _BAD, strict=True):
        yield bad, good, 1
        yield good, bad, 0


def _right(capability: str, text: str, label: int) -> Probe:
    return Probe("behaviour", capability, VERSION, "right", before=None, after=text, label=label, key=text)


def _same(capability: str, before: str, after: str) -> Probe:
    return Probe("behaviour", capability, VERSION, "same", before=before, after=after, key=after)


def _not_less(capability: str, before: str, after: str, label: int) -> Probe:
    return Probe("behaviour", capability, VERSION, "not less", before=before, after=after, label=label, key=after)
