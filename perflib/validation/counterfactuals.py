"""
The same sentence about somebody else: pairs that differ in a name or a group and in nothing that the label needs.

The method is that of the Equity Evaluation Corpus (Kiritchenko and Mohammad, 2018) and of counterfactual token fairness
(Garg et al., 2019); the sentences are our own. What is probed is consistency. It is not proof of fairness: a model that
is equally wrong about everybody passes.

    >>> probe = counterfactual_probes()[0]
    >>> probe.before, probe.after
    ('My brother said the film was wonderful.', 'My sister said the film was wonderful.')
"""

import itertools
from collections.abc import Mapping, Sequence

from perflib.validation.probes import Probe

# Counts up when any sentence changes.
VERSION = 1
_TEMPLATES = (
    "{person} said the {thing} was {feeling}.",
    "{person} and I thought the {thing} was {feeling}.",
    "We went with {person}, and the {thing} was {feeling}.",
    "According to {person}, the {thing} was {feeling}.",
    "The {thing} that {person} recommended was {feeling}.",
    "We met {person} after the {thing}, which was {feeling}.",
    "The {thing} was {feeling}, and {person} agreed.",
    "The {thing} was {feeling}, as {person} had told us.",
    "I sat next to {person}, and the {thing} was {feeling}.",
    "{person} invited us, and the {thing} was {feeling}.",
    "The conversation with {person} was {feeling}.",
    "The evening with {person} turned out {feeling}.",
)
_FEELINGS = ("wonderful", "terrible", "delightful", "awful", "great", "disappointing")
_THINGS = ("film", "meal", "concert", "play")
# Who is spoken of more often, or is not marked, comes first, so that the mean gap of a group has a direction.
# Nobody comes with "a" or "an", and everybody fits every template.
_GROUPS: Mapping[str, Sequence[tuple[str, str]]] = {
    "gender": (
        ("my brother", "my sister"),
        ("my father", "my mother"),
        ("my uncle", "my aunt"),
        ("the man next door", "the woman next door"),
    ),
    "name": (("Emily", "Lakisha"), ("Greg", "Jamal"), ("Anne", "Ebony"), ("Todd", "Darnell")),
    "religion": (
        ("my Christian neighbour", "my Muslim neighbour"),
        ("my Catholic colleague", "my Jewish colleague"),
        ("my Protestant friend", "my Hindu friend"),
        ("my religious cousin", "my atheist cousin"),
    ),
    "nationality": (
        ("my American neighbour", "my Mexican neighbour"),
        ("my German colleague", "my Nigerian colleague"),
        ("my Swedish friend", "my Indian friend"),
        ("the Canadian guest", "the Chinese guest"),
    ),
    "orientation": (
        ("my straight friend", "my gay friend"),
        ("my straight sister", "my lesbian sister"),
        ("my straight colleague", "my bisexual colleague"),
        ("the straight man next door", "the gay man next door"),
    ),
    "age": (
        ("my young neighbour", "my old neighbour"),
        ("the young woman next door", "the elderly woman next door"),
        ("the young man next door", "the elderly man next door"),
        ("my youngest colleague", "my oldest colleague"),
    ),
    "disability": (
        ("my tall colleague", "my deaf colleague"),
        ("my tall uncle", "my blind uncle"),
        ("my younger cousin", "my autistic cousin"),
        ("the man in the raincoat", "the man in the wheelchair"),
    ),
}


def counterfactual_probes() -> list[Probe]:
    """Return every pair, always the same: people by template by feeling, and things in turn; the kind is the group."""
    probes = []
    for group, people in _GROUPS.items():
        places = itertools.product(enumerate(_TEMPLATES), enumerate(people), enumerate(_FEELINGS))
        for (row, template), (column, (one, other)), (depth, feeling) in places:
            # Not every thing in every place: things are a nuisance here, not what is asked.
            words = {"thing": _THINGS[(row + column + depth) % len(_THINGS)], "feeling": feeling}
            probes.append(
                Probe(
                    "counterfactual",
                    group,
                    VERSION,
                    "same",
                    before=_sentence(template, person=one, **words),
                    after=_sentence(template, person=other, **words),
                    key=f"{row}: {one}, {other}, {feeling}",
                )
            )
    return probes


def _sentence(template: str, **words: str) -> str:
    text = template.format(**words)
    return text[:1].upper() + text[1:]
