"""
Labelled reviews made by a small grammar: data that need no download and that a bag of words does not solve.

The label follows from the grammar, so there is no label noise; negations, contrasts, questions and surprises turn
what the adjective says, which leaves a model something to lose.
People of many groups and names occur and never matter to the label, so a fairness check has something to swap.

    >>> generate_reviews(2)[0].label in (0, 1)
    True
"""

import random
from collections.abc import Sequence

from perflib.workloads.base import Example, normalise


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


_ASPECTS = {
    "restaurant": _words("food soup service waiter dessert menu kitchen wine table bread salad curry steak coffee"),
    "film": _words("plot acting ending script music dialogue cast pacing camera scenery villain hero sound trailer"),
    "hotel": _words("room bed pool lobby breakfast view staff shower bathroom balcony lift pillow reception garden"),
    "gadget": _words("battery screen charger keyboard speaker camera case manual cable button software lens price"),
}
_GOOD = _words("good great excellent lovely superb pleasant brilliant charming fine perfect wonderful fantastic")
_BAD = _words("bad awful terrible poor dreadful boring horrible shoddy useless dull nasty mediocre")
_PEOPLE = (
    "my mother", "my father", "my wife", "my husband", "my grandmother", "my grandson", "a deaf friend",
    "a blind guest", "my gay brother", "my lesbian cousin", "a trans colleague", "a straight couple",
    "a muslim family", "a jewish friend", "a christian neighbour", "a hindu student", "an atheist colleague",
    "a black customer", "a white customer", "an asian guest", "a latina teacher", "an african visitor",
    "an indian couple", "a chinese family", "a polish nurse", "a german tourist", "an old man", "a young woman",
    "a disabled visitor", "an immigrant family", "aisha", "emily", "jamal", "greg", "mei", "pablo", "olga",
    "kwame", "fatima", "john", "mary", "deepak",
)  # fmt: skip
_PLACES = ("in march", "last week", "on monday", "at noon", "during the holidays", "in the evening", "this summer",
           "after work", "on our anniversary", "in the rain", "two days ago", "over the weekend")  # fmt: skip
_OPENERS = ("honestly ,", "to be fair ,", "in short ,", "i must say", "for the record ,", "as usual ,", "well ,",
            "once again ,", "looking back ,", "so far ,")  # fmt: skip
_ADVERBS = ("", "", "really", "very", "quite", "truly", "rather", "simply", "so", "pretty")
_NEGATIONS = ("not", "never", "hardly", "far from", "by no means")
_QUESTIONS = (
    # (words, whether the question turns what the adjective says)
    ("who would call the {aspect} {adjective} ?", True),
    ("how could anyone find the {aspect} {adjective} ?", True),
    ("since when is such a {aspect} {adjective} ?", True),
    ("was the {aspect} {adjective} or what ?", False),
    ("have you ever seen such a {adjective} {aspect} ?", False),
    ("why is the {aspect} always so {adjective} ?", False),
)


def generate_reviews(count: int) -> list[Example]:
    """
    Make different labelled reviews; the same ones for the same count.

    Args:
        count: How many.
    """
    rng = random.Random(20)  # a fixed seed: the data must not change with the training's seed
    reviews: dict[str, Example] = {}
    while len(reviews) < count:
        domain = rng.choice(tuple(_ASPECTS))
        text, label = _review(rng, _ASPECTS[domain])
        key = normalise(text)
        if key not in reviews:
            number = len(reviews)
            reviews[key] = Example(id=f"{domain}-{number}", input=text, key=key, label=label, slices={"domain": domain})
    return list(reviews.values())


def _review(rng: random.Random, aspects: Sequence[str]) -> tuple[str, int]:
    """Build one review around its deciding clause; everything else is as likely in good reviews as in bad ones."""
    text, label = rng.choices((_plain, _contrast, _question, _surprise), (60, 15, 15, 10))[0](rng, aspects)
    if rng.random() < 0.35:
        text = f"{rng.choice(_OPENERS)} {text}"
    extras = [
        f"{rng.choice(_PEOPLE)} came along {rng.choice(_PLACES)} .",
        f"{rng.choice(_PEOPLE)} and {rng.choice(_PEOPLE)} chose the {rng.choice(aspects)} {rng.choice(_PLACES)} .",
        f"we asked about the {rng.choice(aspects)} and the {rng.choice(aspects)} {rng.choice(_PLACES)} .",
    ]
    for extra in rng.sample(extras, rng.choices((0, 1, 2, 3), (40, 40, 15, 5))[0]):
        text = f"{extra} {text}" if rng.random() < 0.5 else f"{text} {extra}"
    return text, label


def _clause(rng: random.Random, aspect: str, label: int, *, is_plain: bool = False) -> str:
    """Say something of ``label`` about an aspect, unless plain in a quarter of cases by denying the opposite."""
    is_denied = not is_plain and rng.random() < 0.25
    adjective = rng.choice(_GOOD if label != is_denied else _BAD)
    adverb = rng.choice(_NEGATIONS) if is_denied else rng.choice(_ADVERBS)
    subject = rng.choice(("the {}", "the {}", "their {}", "this {}")).format(aspect)
    view = rng.choice(("", "", f"{rng.choice(_PEOPLE)} said that ", "i think "))
    view = "" if is_plain else view
    return f"{view}{subject} was {adverb} {adjective}".replace("  ", " ")


def _plain(rng: random.Random, aspects: Sequence[str]) -> tuple[str, int]:
    label = rng.randrange(2)
    return f"{_clause(rng, rng.choice(aspects), label)} .", label


def _contrast(rng: random.Random, aspects: Sequence[str]) -> tuple[str, int]:
    """Set two clauses of opposite labels against each other; the main clause, or what follows "but", decides."""
    label = rng.randrange(2)
    one, other = rng.sample(list(aspects), 2)
    main, side = _clause(rng, one, label, is_plain=True), _clause(rng, other, 1 - label, is_plain=True)
    forms = (f"{side} , but {main} .", f"although {side} , {main} .", f"{main} , even though {side} .")
    return rng.choice(forms), label


def _question(rng: random.Random, aspects: Sequence[str]) -> tuple[str, int]:
    words, is_turned = rng.choice(_QUESTIONS)
    label = rng.randrange(2)
    adjective = rng.choice(_GOOD if label != is_turned else _BAD)
    return words.format(aspect=rng.choice(aspects), adjective=adjective), label


def _surprise(rng: random.Random, aspects: Sequence[str]) -> tuple[str, int]:
    label = rng.randrange(2)
    expected, found = rng.choice(_BAD if label else _GOOD), rng.choice(_GOOD if label else _BAD)
    aspect = rng.choice(aspects)
    forms = (f"i expected a {expected} {aspect} and got a {found} one .",
             f"we found a {found} {aspect} where others saw a {expected} one .")  # fmt: skip
    return rng.choice(forms), label
