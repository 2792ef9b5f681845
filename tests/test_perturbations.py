"""Perturbations: the same change wherever and whenever, of one word in ten, and none that says something else."""

import random
import re

import pytest

from perflib.errors import DataError
from perflib.validation.perturbations import KINDS, Kind, perturb, perturbation_probes

BY_NAME = {kind.name: kind for kind in KINDS}
IN_WORDS = ("neighbouring key", "swapped letters", "dropped letter", "doubled letter", "lookalike letters")
_PARTS = ("Plainly", "everyone", "enjoyed this café", "because nothing", "isn't", "worth it ,", "it is not", "away .")
IDS = [f"id-{number}" for number in range(600)]
TEXTS = [" ".join(random.Random(number).sample(_PARTS, 3 + number % 6)) for number in range(600)]


def changed_by(name: str, text: str, *, seed: int = 0) -> str:
    """Return the text as one kind changes it, or as it was."""
    _, texts = perturb([text], ["one"], BY_NAME[name], seed=seed)
    return texts[0] if texts else text


def test_the_kinds_are_those_that_were_promised() -> None:
    """Names are different, versions count from one, and only lookalike letters are merely reported."""
    assert len(BY_NAME) == len(KINDS) == 17
    assert {kind.version for kind in KINDS} == {1}
    assert [kind.name for kind in KINDS if kind.is_reported_only] == ["lookalike letters"]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_every_kind_changes_something_and_only_what_it_returns(kind: Kind) -> None:
    """Rows ascend, no row stands twice, and each returned text differs from the one that was given."""
    rows, texts = perturb(TEXTS, IDS, kind, seed=1)

    assert 100 <= len(rows) <= 400
    assert rows == sorted(set(rows))
    assert all(TEXTS[row] != text for row, text in zip(rows, texts, strict=True))


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_a_change_depends_on_nothing_but_seed_kind_and_id(kind: Kind) -> None:
    """In another order and among fewer others, each example is changed in the same way."""
    whole = dict(zip(*perturb(TEXTS, IDS, kind, seed=7, max_changed_count=600), strict=True))
    places = random.Random(3).sample(range(600), 150)
    texts, ids = [TEXTS[place] for place in places], [IDS[place] for place in places]
    rows, found = perturb(texts, ids, kind, seed=7)

    assert dict(zip((places[row] for row in rows), found, strict=True)) == {
        place: whole[place] for place in places if place in whole
    }


def test_a_sample_does_not_depend_on_the_order_of_the_texts() -> None:
    """Whatever comes first, the same examples are taken, and they are not simply the first ones."""
    kind = BY_NAME["upper case"]
    rows, _ = perturb(TEXTS, IDS, kind, seed=0, max_changed_count=50)
    back, _ = perturb(TEXTS[::-1], IDS[::-1], kind, seed=0, max_changed_count=50)

    assert sorted(599 - row for row in back) == rows
    assert len(rows) == 50
    assert rows[-1] > 400


def test_a_smaller_sample_is_a_part_of_a_larger_one() -> None:
    """Asking for fewer changes takes none that were not there."""
    kind = BY_NAME["dropped letter"]
    small, large = (perturb(TEXTS, IDS, kind, seed=0, max_changed_count=count)[0] for count in (20, 200))

    assert (len(small), len(large)) == (20, 200)
    assert set(small) < set(large)


def test_another_seed_and_another_kind_are_another_choice() -> None:
    """Neither the sample nor the change is the same for two seeds, and two kinds do not share a sample."""
    first, again, later = (perturb(TEXTS, IDS, BY_NAME["doubled letter"], seed=seed) for seed in (0, 0, 1))
    other = perturb(TEXTS, IDS, BY_NAME["upper case"], seed=0, max_changed_count=400)

    assert first == again
    assert first[0] != later[0]
    assert first[0] != other[0]
    text = "everyone enjoyed everything thoroughly"
    assert len({changed_by("doubled letter", text, seed=seed) for seed in range(20)}) > 5


@pytest.mark.parametrize("name", IN_WORDS)
@pytest.mark.parametrize(("word_count", "edit_count"), [(1, 1), (9, 1), (19, 1), (20, 2), (39, 3)])
def test_one_word_in_ten_is_changed_and_at_least_one(name: str, word_count: int, edit_count: int) -> None:
    """The number of words that differ is exact at the borders, and no word appears or disappears."""
    before = ["peace"] * word_count
    after = changed_by(name, " ".join(before)).split(" ")

    assert len(after) == word_count
    assert sum(one != other for one, other in zip(before, after, strict=True)) == edit_count


@pytest.mark.parametrize("name", IN_WORDS)
def test_handles_addresses_tags_and_short_words_are_left_alone(name: str) -> None:
    """A slip in them would be another name or no link at all, and in a short word another word."""
    text = "@someone not too bad &quot;so&quot; #winning https://example.org/pages a1234"

    assert changed_by(name, text) == text


def test_slips_are_what_they_are_called() -> None:
    """Against the plain word: one other letter next to it on the keyboard, two letters turned, one less, one more."""
    seeds = range(40)
    typos = {changed_by("neighbouring key", "plain", seed=seed) for seed in seeds}
    drops = {changed_by("dropped letter", "plain", seed=seed) for seed in seeds}
    doubles = {changed_by("doubled letter", "plain", seed=seed) for seed in seeds}
    swaps = {changed_by("swapped letters", "plain", seed=seed) for seed in seeds}

    assert all(len(word) == 5 and sum(a != b for a, b in zip(word, "plain", strict=True)) == 1 for word in typos)
    assert {word for word in typos if word[1] != "l"} == {"pkain", "poain", "ppain"}
    assert drops == {"pain", "plin", "plan", "plai"}
    assert doubles == {"pllain", "plaain", "plaiin", "plainn"}
    assert swaps == {"palin", "plian", "plani"}


def test_a_slip_keeps_capitals_and_first_letters() -> None:
    """A word in capitals stays in capitals, and two equal letters are not turned."""
    assert all(changed_by("neighbouring key", "PLAIN", seed=seed).isupper() for seed in range(10))
    assert all(changed_by("swapped letters", "book", seed=seed) == "boko" for seed in range(10))
    assert changed_by("swapped letters", "zzzz") == "zzzz"
    assert changed_by("neighbouring key", "жжжж") == "жжжж"


@pytest.mark.parametrize(
    ("name", "before", "after"),
    [
        ("lower case", "So GOOD", "so good"),
        ("upper case", "So good", "SO GOOD"),
        ("title case", "so very GOOD, isn't it (now) @you", "So Very GOOD, Isn't It (now) @you"),
        ("no punctuation", "Good, very good ! 4.5 of 5... why?!", "Good very good 4.5 of 5 why"),
        ("no punctuation", "fine :) but (: and ;-) no", "fine :) but (: and ;-) no"),
        ("contracted", "I am sure it is good, as it is.", "I'm sure it's good, as it is."),
        ("contracted", "DO NOT go. Can not, cannot", "DON'T go. Can't, can't"),
        ("contracted", "this is notable", "this is notable"),
        ("expanded", "It's good and I'm sure THEY'RE not", "It is good and I am sure THEY ARE not"),
        ("expanded", "it's been long, don't you think, isn’t bad", "it's been long, don't you think, is not bad"),
        ("expanded", "I can't say: “won’t”", "I cannot say: “will not”"),
        ("no accents", "très naïve Pokémon", "tres naive Pokemon"),
        ("no accents", "cafe\u0301", "cafe"),
        ("no accents", "a ≠ b, 한국어, हिन्दी", "a ≠ b, 한국어, हिन्दी"),
        ("lookalike letters", "peace", "реасе"),
    ],
)
def test_a_fixed_change_gives_exactly_this(name: str, before: str, after: str) -> None:
    """What is not left to chance is the same for every seed."""
    assert {changed_by(name, before, seed=seed) for seed in range(3)} == {after}


@pytest.mark.parametrize(
    ("name", "pattern"),
    [
        ("url appended", r"So good https://example\.org/[0-9a-f]{8}"),
        ("handle appended", r"So good @user\d{1,4}"),
        ("emoji appended", r"So good \W"),
        ("neutral sentence", r"So good\. I wrote this on a \w+day\."),
        ("extra space", r"So  good"),
    ],
)
def test_what_is_added_is_added_and_nothing_else(name: str, pattern: str) -> None:
    """The text stays what it was, and seeds give different additions where there is a choice."""
    found = {changed_by(name, "So good", seed=seed) for seed in range(30)}

    assert all(re.fullmatch(pattern, text) for text in found), found
    assert (len(found) > 1) == (name != "extra space")


@pytest.mark.parametrize("end", [".", "!", "?", "…", ". "])
def test_a_sentence_is_ended_once(end: str) -> None:
    """Where a text has its own full stop, it gets no second one."""
    assert changed_by("neutral sentence", f"So good{end}").startswith(f"So good{end} I wrote")


def test_extra_spaces_are_one_in_ten_words() -> None:
    """They stand between words, and taking them out gives the text again."""
    text = " ".join(["word"] * 30)
    wider = changed_by("extra space", text)

    assert wider.split() == text.split()
    assert len(wider) == len(text) + 3


def test_nothing_is_made_of_nothing() -> None:
    """Empty texts, no texts and a wish for none give no change by kinds that need something to change."""
    assert perturb([], [], BY_NAME["upper case"], seed=0) == ([], [])
    assert perturb(["ok"], ["a"], BY_NAME["upper case"], seed=0, max_changed_count=0) == ([], [])
    assert all(changed_by(name, "") == "" for name in (*IN_WORDS, "extra space", "no punctuation", "title case"))


@pytest.mark.parametrize("ids", [["a"], ["a", "b", "c"], ["a", "a"]])
def test_every_text_needs_an_id_of_its_own(ids: list[str]) -> None:
    """A missing and a repeated id are one sentence: they would change two texts in one way, or none."""
    with pytest.raises(DataError, match=rf"2 texts cannot be changed by {len(ids)} ids .*; give each its own\.$"):
        perturb(["one", "two"], ids, BY_NAME["upper case"], seed=0)


def test_probes_carry_what_was_changed() -> None:
    """Every kind is asked in its order, each probe with its example's id and text, to be answered the same."""
    probes = perturbation_probes(TEXTS, IDS, seed=5, max_changed_count=30)

    assert list(dict.fromkeys(probe.kind for probe in probes)) == [kind.name for kind in KINDS]
    assert len(probes) == 30 * len(KINDS)
    assert {(probe.suite, probe.rule, probe.label) for probe in probes} == {("perturbation", "same", None)}
    assert len({(probe.kind, probe.key) for probe in probes}) == len(probes)
    of_id = dict(zip(IDS, TEXTS, strict=True))
    assert all(probe.before == of_id[probe.key] != probe.after for probe in probes)
