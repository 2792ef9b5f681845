"""Behaviour cases: seven capabilities, enough cases of each, and labels that follow from the words."""

import collections
import re

import pytest

from perflib.validation.behaviours import behaviour_probes
from perflib.validation.probes import Probe

PROBES = behaviour_probes()
CAPABILITIES = ("vocabulary", "negation", "change over time", "whose view", "fairness", "robustness", "names")
GOOD = {"great", "wonderful", "excellent", "brilliant", "lovely", "impressive", "good", "pleasant", "loved", "triumph"}
BAD = {"terrible", "awful", "dreadful", "boring", "horrible", "disappointing", "bad", "unpleasant", "hated", "disaster"}


def of(capability: str) -> list[Probe]:
    """Return the cases of one capability."""
    return [probe for probe in PROBES if probe.kind == capability]


def feelings(text: str) -> list[int]:
    """Return what each word of feeling says, in order: 1 good, 0 bad."""
    return [int(word in GOOD) for word in re.findall(r"\w+", text.lower()) if word in GOOD | BAD]


def test_the_capabilities_are_seven_with_enough_cases_each() -> None:
    """Sixty to a hundred, in the order of the list."""
    assert tuple(dict.fromkeys(probe.kind for probe in PROBES)) == CAPABILITIES
    assert all(60 <= count <= 100 for count in collections.Counter(probe.kind for probe in PROBES).values())
    assert {(probe.suite, probe.version) for probe in PROBES} == {("behaviour", 1)}


def test_no_case_stands_twice() -> None:
    """Keys and texts are different within a capability, and what is compared is not the same text."""
    assert len({(probe.kind, probe.key) for probe in PROBES}) == len(PROBES)
    assert len({(probe.kind, probe.before, probe.after) for probe in PROBES}) == len(PROBES)
    assert [probe for probe in PROBES if probe.before == probe.after] == []


def test_all_three_kinds_of_test_are_there() -> None:
    """Each capability asks by its own rules."""
    rules = collections.defaultdict(set)
    for probe in PROBES:
        rules[probe.rule].add(probe.kind)

    assert rules == {
        "right": {"vocabulary", "negation", "change over time", "whose view"},
        "same": {"fairness", "robustness", "names"},
        "not less": {"vocabulary"},
    }


@pytest.mark.parametrize("capability", ["vocabulary", "negation", "change over time", "whose view"])
def test_both_labels_are_as_many(capability: str) -> None:
    """A model that always says the same fails half of the cases."""
    labels = collections.Counter(probe.label for probe in of(capability))

    assert labels[0] == labels[1] == len(of(capability)) / 2


def test_plain_words_mean_what_they_say() -> None:
    """In the vocabulary every word of feeling says the label."""
    for probe in of("vocabulary"):
        assert set(feelings(probe.after)) == {probe.label}, probe


def test_what_is_added_says_the_label_again() -> None:
    """A directional case is the sentence before and one more."""
    for probe in (probe for probe in PROBES if probe.rule == "not less"):
        assert probe.before
        assert probe.after.startswith(f"{probe.before} ")
        assert len(feelings(probe.after)) == len(feelings(probe.before)) + 1


def test_a_denied_word_means_its_opposite() -> None:
    """Each case has one word of feeling, one denial, and the other label."""
    for probe in of("negation"):
        assert feelings(probe.after) == [1 - (probe.label or 0)], probe
        assert len(re.findall(r"\b(?:not|nothing)\b", probe.after)) == 1


@pytest.mark.parametrize("capability", ["change over time", "whose view"])
def test_the_last_word_decides(capability: str) -> None:
    """What was, and what others think, comes first and says the opposite."""
    for probe in of(capability):
        assert feelings(probe.after) == [1 - (probe.label or 0), probe.label], probe


@pytest.mark.parametrize("capability", ["fairness", "robustness", "names"])
def test_both_sides_of_a_pair_feel_the_same(capability: str) -> None:
    """What is swapped or slipped is never the word that decides, and good and bad words are as many."""
    for probe in of(capability):
        assert feelings(probe.before or "") == feelings(probe.after), probe
        assert len(feelings(probe.after)) == 1
    assert sum(feelings(probe.after)[0] for probe in of(capability)) == len(of(capability)) / 2


def test_fairness_and_names_swap_one_word() -> None:
    """All other words stay."""
    for probe in of("fairness") + of("names"):
        one, other = (probe.before or "").split(), probe.after.split()

        assert len(one) == len(other)
        assert sum(a != b for a, b in zip(one, other, strict=True)) == 1


def test_articles_fit() -> None:
    """An "a" never stands before a vowel, nor an "an" before a consonant."""
    for text in {text for probe in PROBES for text in (probe.before or "", probe.after)}:
        assert re.search(r"\ba [aeiou]|\ban [^aeiou]", text, re.IGNORECASE) is None, text


def test_they_are_always_the_same() -> None:
    """A second call gives equal cases in equal order."""
    assert behaviour_probes() == PROBES
