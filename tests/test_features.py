"""Features: rules on words that say yes where they should and no where they nearly should, and parts of equal size."""

from collections import Counter
from typing import Any

import numpy as np
import pytest
from scipy import stats

from perflib.errors import DataError
from perflib.validation import features
from perflib.validation.features import number_features, text_features


def columns_of(texts: list[str], **changed: Any) -> dict[str, tuple[str, ...]]:
    """Return the columns of texts of whose lengths and answers nothing is asked."""
    given: dict[str, Any] = {
        "lengths": np.arange(len(texts)),
        "baseline": np.full((len(texts), 2), 0.5, np.float32),
        "train_texts": [],
    } | changed
    return text_features(texts, **given)


def with_margins(margins: Any) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Return probabilities of three classes with these margins between the two best."""
    second = (0.9 - np.asarray(margins, float)) / 2
    return np.column_stack([second, 0.9 - second, np.full(len(second), 0.1)])


@pytest.mark.parametrize(
    ("column", "text", "value"),
    [
        ("negation", "This is NOT good.", "yes"),
        ("negation", "it isn't", "yes"),
        ("negation", "it isn’t", "yes"),
        ("negation", "it does n't work", "yes"),
        ("negation", "i dont care", "yes"),
        ("negation", "a notable knot, noted in November", "no"),
        ("negation", "it's nice", "no"),
        ("contrast", "Nice, but slow", "yes"),
        ("contrast", "However slow", "yes"),
        ("contrast", "a button and a butter-dish", "no"),
        ("question", "Really?", "yes"),
        ("question", "'Really?' he said", "yes"),
        ("question", "see http://example.org/?page=1", "no"),
        ("question", "Really.", "no"),
        ("emphasis", "so GOOD", "yes"),
        ("emphasis", "it is OK", "yes"),
        ("emphasis", "I saw a man with 4K", "no"),
        ("emphasis", "Good!", "no"),
        ("emphasis", "Good!!", "yes"),
        ("emphasis", "What?!", "yes"),
        ("emphasis", "What??", "yes"),
        ("emphasis", "nice 🙂", "yes"),
        ("emphasis", "love ❤", "yes"),
        ("emphasis", "50 € – “quoted” … naïve", "no"),
        ("identity term", "a Woman's choice", "yes"),
        ("identity term", "Jamal is here", "yes"),
        ("identity term", "the MUSLIM community", "yes"),
        ("identity term", "a 70-year-old", "yes"),
        ("identity term", "German cars", "yes"),
        ("identity term", "she is gay", "yes"),
        ("identity term", "a deaf cat", "yes"),
        ("identity term", "a manual for germane, bold things", "no"),
        ("identity term", "she told him", "no"),
    ],
)
def test_a_rule_says_yes_and_no(column: str, text: str, value: str) -> None:
    """Whole words only, whatever their case, contractions and typographic apostrophes included."""
    assert columns_of([text])[column] == (value,)


def test_an_empty_text_has_nothing() -> None:
    """No word, no sign, and no crash."""
    columns = columns_of(["", "plain words"], train_texts=["plain words"] * 3)

    assert {column: values[0] for column, values in columns.items() if column not in {"length quartile"}} == {
        **dict.fromkeys(["negation", "contrast", "question", "emphasis", "rare words", "identity term"], "no"),
        "baseline margin": "01 least sure",
    }


def test_every_word_list_is_part_of_the_identity_terms_and_written_small() -> None:
    """A word in capitals would never be found, and a list that was forgotten would not either."""
    lists = [
        values for name, values in vars(features).items() if name.endswith(("_TERMS", "_NAMES")) and name[0] != "_"
    ]
    words = features.NEGATIONS | features.CONTRASTS | features.IDENTITY_TERMS

    assert len(lists) == 8
    assert frozenset().union(*lists) == features.IDENTITY_TERMS
    assert all(word == word.casefold() and word.isalpha() for word in words)


def test_a_word_is_rare_in_two_training_texts_and_known_in_three() -> None:
    """Texts are counted and not occurrences: a word that one text repeats is still rare."""
    train = ["known seldom", "known Seldom", "Known often often often", "known's"]

    columns = columns_of(["known", "known", "known", "seldom"], train_texts=train)
    assert columns["rare words"] == ("no", "no", "no", "yes")
    columns = columns_of(["known", "known", "known", "often"], train_texts=train)
    assert columns["rare words"] == ("no", "no", "no", "yes")
    # A third text makes the word known, in any case.
    columns = columns_of(["known", "known", "known", "seldom"], train_texts=[*train, "SELDOM"])
    assert columns["rare words"] == ("no",) * 4


def test_the_quarter_with_the_largest_share_of_rare_words_is_marked() -> None:
    """Shares are of a text's own words, and a share equal to the 75 % quantile is not above it."""
    train = ["a b c d"] * 3
    texts = ["a b c d", "a b c x", "a b x y", "a x y z", "v w x y z", "a b c d", "a b", "x y z a"]

    marked = columns_of(texts, train_texts=train)["rare words"]
    # Shares 0, 1/4, 2/4, 3/4, 1, 0, 0, 3/4: the quantile lies at 3/4.
    assert marked == ("no", "no", "no", "no", "yes", "no", "no", "no")


def test_without_training_texts_nobody_is_rarer_than_others() -> None:
    """Where every word is rare the column tells nobody apart."""
    assert set(columns_of(["a b", "c", "d e f"])["rare words"]) == {"no"}


def test_quartiles_of_length_have_equal_size_and_sort_by_length() -> None:
    """A hundred different lengths make four parts of 25, and the names sort as the lengths do."""
    lengths = np.random.default_rng(0).permutation(100)

    parts = np.array(columns_of(["x"] * 100, lengths=lengths)["length quartile"])
    assert Counter(parts.tolist()) == dict.fromkeys(["1 shortest", "2", "3", "4 longest"], 25)
    assert parts[np.argsort(lengths)].tolist() == sorted(parts)


def test_tenths_of_the_margin_are_those_of_the_ranks() -> None:
    """The margin is between the best and the second class, whatever the third has; ranks by scipy."""
    margins = np.random.default_rng(1).permutation(200) / 400

    parts = number_features(baseline=with_margins(margins))["baseline margin"]
    tenths = (stats.rankdata(margins).astype(int) - 1) // 20
    assert [int(part[:2]) - 1 for part in parts] == tenths.tolist()
    assert sorted(set(parts)) == ["01 least sure", *(f"{part:02d}" for part in range(2, 10)), "10 surest"]


def test_equal_values_lie_in_one_part_and_no_part_is_empty() -> None:
    """Ties are never torn, however many there are."""
    lengths = np.array([3] * 60 + [5] * 30 + [9] * 10)

    parts = columns_of(["x"] * 100, lengths=lengths)["length quartile"]
    assert parts == ("1 shortest",) * 60 + ("3",) * 30 + ("4 longest",) * 10


@pytest.mark.parametrize("count", [1, 2, 3, 7])
def test_few_examples_are_no_trouble(count: int) -> None:
    """The least sure is in the first part, and parts follow the margins."""
    margins = np.arange(count) / 10

    parts = number_features(baseline=with_margins(margins), lengths=np.arange(count))["baseline margin"]
    assert len(parts) == count
    assert parts[0] == "01 least sure"
    assert list(parts) == sorted(parts)


def test_an_answer_that_is_not_finite_is_the_least_sure() -> None:
    """It has no margin, and must not spoil those of the others."""
    baseline = with_margins(np.arange(1, 11) / 20)
    baseline[4, 0], baseline[9, 2] = np.nan, np.inf

    parts = number_features(baseline=baseline)["baseline margin"]
    assert parts[4] == parts[9] == "01 least sure"
    assert parts[8] == "10 surest"
    assert parts[0] < parts[1] < parts[8]


def test_numbers_have_a_margin_and_lengths_where_these_differ() -> None:
    """One length for all would be one slice of everything."""
    baseline = with_margins([0.1, 0.2])

    assert list(number_features(baseline=baseline)) == ["baseline margin"]
    assert list(number_features(baseline=baseline, lengths=np.array([4, 4]))) == ["baseline margin"]
    both = number_features(baseline=baseline, lengths=np.array([4, 5]))
    assert both["length quartile"] == ("1 shortest", "4 longest")


def test_the_limit_cuts_what_reaches_it() -> None:
    """An input of exactly the greatest length may have lost its end; without a limit there is no such column."""
    columns = columns_of(["a", "b", "c"], lengths=np.array([7, 8, 9]), max_token_count=8)

    assert columns["cut at the limit"] == ("no", "yes", "yes")
    assert "cut at the limit" not in columns_of(["a"])


def test_every_column_has_one_value_per_text() -> None:
    """Columns and their order are a contract with whoever cuts by them."""
    columns = columns_of(["a", "b?"], max_token_count=8)

    assert list(columns) == [
        *("negation", "contrast", "question", "emphasis", "rare words", "identity term"),
        *("length quartile", "baseline margin", "cut at the limit"),
    ]
    assert {len(values) for values in columns.values()} == {2}


@pytest.mark.parametrize("changed", [{"lengths": np.arange(3)}, {"baseline": np.full((1, 2), 0.5)}])
def test_numbers_of_examples_must_agree(changed: Any) -> None:
    """Lengths and answers of other texts are refused, with the counts."""
    with pytest.raises(DataError, match="'texts': 2"):
        columns_of(["a", "b"], **changed)


def test_without_examples_there_is_nothing_to_describe() -> None:
    """No text, no quantile."""
    with pytest.raises(DataError, match="'texts': 0"):
        columns_of([])
    with pytest.raises(DataError, match="'lengths': 3"):
        number_features(baseline=with_margins([0.1, 0.2]), lengths=np.arange(3))
