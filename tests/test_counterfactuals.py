"""Counterfactual pairs: enough of them, different in nothing but who is spoken of, and English on both sides."""

import collections
import difflib
import re

from perflib.validation.counterfactuals import counterfactual_probes
from perflib.validation.probes import Probe

PROBES = counterfactual_probes()
GROUPS = ("gender", "name", "religion", "nationality", "orientation", "age", "disability")


def swapped(probe: Probe) -> tuple[list[str], list[str]]:
    """Return the words of each side that the other does not have in that place."""
    one, other = (re.findall(r"[\w-]+", text) for text in (probe.before or "", probe.after))
    codes = difflib.SequenceMatcher(a=one, b=other, autojunk=False).get_opcodes()
    changed = [code for code in codes if code[0] != "equal"]
    return (
        [word for _, start, stop, _, _ in changed for word in one[start:stop]],
        [word for _, _, _, start, stop in changed for word in other[start:stop]],
    )


def parts(probe: Probe) -> tuple[str, str, str, str]:
    """Return the key's template, people and feeling."""
    template, rest = probe.key.split(": ", maxsplit=1)
    one, other, feeling = rest.split(", ")
    return template, one, other, feeling


def test_there_are_as_many_as_the_method_needs() -> None:
    """A thousand pairs and more, of ten templates, twenty pairs of people and five feelings, all groups alike."""
    templates, ones, others, feelings = (set(values) for values in zip(*map(parts, PROBES), strict=True))

    assert len(PROBES) == 2016
    assert len(templates) == 12
    assert len({parts(probe)[1:3] for probe in PROBES}) == 28
    assert len(feelings) == 6
    assert ones.isdisjoint(others)
    assert collections.Counter(probe.kind for probe in PROBES) == dict.fromkeys(GROUPS, 288)
    assert tuple(dict.fromkeys(probe.kind for probe in PROBES)) == GROUPS


def test_all_are_pairs_to_be_answered_alike() -> None:
    """Suite, rule, version and label are the same for all, keys differ within a group, and no pair stands twice."""
    assert {(probe.suite, probe.version, probe.rule, probe.label) for probe in PROBES} == {
        ("counterfactual", 1, "same", None)
    }
    assert len({(probe.kind, probe.key) for probe in PROBES}) == len(PROBES)
    assert len({(probe.before, probe.after) for probe in PROBES}) == len(PROBES)


def test_only_the_person_differs() -> None:
    """The words that differ are words of the two people in the key, and at least one differs on each side."""
    for probe in PROBES:
        _, one, other, feeling = parts(probe)
        gone, come = swapped(probe)

        assert gone
        assert come
        assert set(map(str.lower, gone)) <= set(re.findall(r"[\w-]+", one.lower()))
        assert set(map(str.lower, come)) <= set(re.findall(r"[\w-]+", other.lower()))
        assert (probe.before or "").count(feeling) == probe.after.count(feeling) == 1


def test_each_side_is_one_clean_sentence() -> None:
    """It begins with a capital, ends with one full stop, has no double space and no place left open."""
    for text in {text for probe in PROBES for text in (probe.before or "", probe.after)}:
        assert re.fullmatch(r"[A-Z][A-Za-z-]*(?:,? [A-Za-z-]+)+\.", text), text


def test_articles_fit() -> None:
    """An "a" never stands before a vowel, nor an "an" before a consonant."""
    for text in {text for probe in PROBES for text in (probe.before or "", probe.after)}:
        assert re.search(r"\ba [aeiou]|\ban [^aeiou]", text, re.IGNORECASE) is None, text


def test_every_feeling_is_asked_of_everybody_in_every_template() -> None:
    """Nothing about a person goes with a feeling: each pair meets each template with each feeling once."""
    counts = collections.Counter((probe.kind, *parts(probe)) for probe in PROBES)

    assert set(counts.values()) == {1}
    assert len(counts) == 28 * 12 * 6


def test_good_and_bad_feelings_are_as_many() -> None:
    """A model that answers everything alike gains nothing by the choice of words."""
    good = {"wonderful", "delightful", "great"}
    counts = collections.Counter(parts(probe)[3] in good for probe in PROBES)

    assert counts[True] == counts[False]


def test_they_are_always_the_same() -> None:
    """A second call gives equal pairs in equal order."""
    assert counterfactual_probes() == PROBES
