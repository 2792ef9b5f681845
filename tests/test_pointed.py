"""A number with a pointer is the one of its record, and one without is found."""

import json
from pathlib import Path
from typing import Any

import pytest

from perflib.errors import DataError
from perflib.pointed import FORMS, Evidence, check_numbers, resolve, write

PATH = "records/comparison-int8.json"
DOCUMENT: dict[str, Any] = {
    "name": "int8 <b>&",
    "speed": {"estimate": 2.0, "low": 1.9, "high": 2.1},
    "lives": [1, 2, 3],
    "money": 1841.7,
    "currency": "EUR",
    "is_example": True,
}
# The document and the table of RFC 6901, chapter 5.
RFC = {
    "foo": ["bar", "baz"],
    "": 0,
    "a/b": 1,
    "c%d": 2,
    "e^f": 3,
    "g|h": 4,
    "i\\j": 5,
    'k"l': 6,
    " ": 7,
    "m~n": 8,
}


@pytest.fixture
def evidence(tmp_path: Path) -> Evidence:
    """Return a run folder of one document."""
    (tmp_path / "records").mkdir()
    (tmp_path / PATH).write_text(json.dumps(DOCUMENT))
    return Evidence(tmp_path)


def page(body: str) -> str:
    """Return a page as the report's template makes it."""
    return f"<html><style>p {{ margin: 1px }}</style><body><main>{body}</main><footer>v1</footer></body></html>"


@pytest.mark.parametrize(
    ("pointer", "value"),
    [
        ("", RFC),
        ("/foo", ["bar", "baz"]),
        ("/foo/0", "bar"),
        ("/", 0),
        ("/a~1b", 1),
        ("/c%d", 2),
        ("/e^f", 3),
        ("/g|h", 4),
        ("/i\\j", 5),
        ('/k"l', 6),
        ("/ ", 7),
        ("/m~0n", 8),
    ],
)
def test_a_pointer_is_followed_as_its_standard_says(pointer: str, value: object) -> None:
    """All examples of RFC 6901."""
    assert resolve(RFC, pointer) == value


@pytest.mark.parametrize("pointer", ["foo", "/nothing", "/foo/2", "/foo/-", "/foo/-1", "/foo/01", "/foo/x", "/a~1b/0"])
def test_a_pointer_at_nothing_is_an_error(pointer: str) -> None:
    """Neither a missing key, nor an index beyond the end or of another spelling, nor a way through a number."""
    with pytest.raises(DataError, match=r"pointer|nothing at"):
        resolve(RFC, pointer)


def test_a_number_is_read_through_its_pointer(evidence: Evidence) -> None:
    """Value, place and form stand in one element."""
    assert evidence.number(PATH, "/speed/estimate", form="speedup") == (
        f'<span data-ev="{PATH}#/speed/estimate" data-ev-as="speedup">2.00×</span>'
    )


def test_an_interval_has_a_place_for_each_of_its_numbers(evidence: Evidence) -> None:
    """Estimate and bounds are three values of the record."""
    shown = evidence.number(PATH, "/speed/estimate", "/speed/low", "/speed/high", form="speedup")

    assert f'data-ev="{PATH}#/speed/estimate {PATH}#/speed/low {PATH}#/speed/high"' in shown
    assert ">2.00× [1.90, 2.10]</span>" in shown


def test_a_text_of_a_record_is_escaped(evidence: Evidence) -> None:
    """A name that somebody gave is no markup."""
    assert ">int8 &lt;b&gt;&amp;</span>" in evidence.text(PATH, "/name")


def test_what_is_not_there_cannot_be_written(evidence: Evidence) -> None:
    """A missing document, a missing value, an unknown form and a value of another kind are named."""
    for path, pointers, form, words in (
        ("records/none.json", ("/a",), "count", "cannot be read"),
        (PATH, ("/none",), "count", "nothing at"),
        (PATH, ("/money",), "best", "written as 'best'"),
        (PATH, ("/name",), "speedup", "cannot be written"),
        (PATH, ("/money",), "text", "cannot be written"),
        (PATH, ("/money", "/currency"), "money", "cannot be written"),
        (PATH, ("/money", "/currency", "/money"), "money", "cannot be written"),
    ):
        with pytest.raises(DataError, match=words):
            evidence.number(path, *pointers, form=form)


@pytest.mark.parametrize(
    ("form", "values", "text"),
    [
        ("count", [5754], "5,754"),
        ("length", [[1, 2, 3]], "3"),
        ("plain", [-0.5611], "−0.561"),
        ("days", [3.0], "3"),
        ("days", [2.5], "2.5"),
        ("duration", [0.01864], "18.6 ms"),
        ("minutes", [119.0], "119 s"),
        ("minutes", [120.0], "2 minutes"),
        ("minutes", [450.0], "7.5 minutes"),
        ("size", [90_868_376], "90.9 MB"),
        ("speedup", [None], "–"),
        ("percent", [0.0512], "5 %"),
        ("percent-fine", [0.0512], "5.1 %"),
        ("points", [-0.0057], "−0.57 points"),
        ("range", [0.1, 12.34], "0.1 to 12.3"),
        ("money", [9.99, "EUR", False], "9.99 EUR"),
        ("money", [-10.4, "EUR", True], "−10 EUR (example)"),
        ("money-range", [92.4, 597.6, "EUR", True], "92 to 598 EUR (example)"),
        ("money-range", [0.0, 0.0, "EUR", False], "0.00 EUR"),
        ("text", ["two\n words"], "two words"),
    ],
)
def test_every_form_writes_as_people_read(form: str, values: list[Any], text: str) -> None:
    """The words of each form, at its borders."""
    assert write(form, values) == text


def test_every_form_is_tried() -> None:
    """A new form has its example above."""
    marks = [one for one in test_every_form_writes_as_people_read.pytestmark if one.name == "parametrize"]

    assert {case[0] for case in marks[0].args[1]} == set(FORMS)


def test_a_true_page_has_no_problem(evidence: Evidence) -> None:
    """Pointed numbers, blocks of one record, and words without digits."""
    speed = evidence.number(PATH, "/speed/estimate", form="speedup")
    block = f'<figure data-ev-block="{PATH}"><img alt="bars of 3" src=""><p>4 of 5</p></figure>'

    assert check_numbers(page(f"<p>It is {speed} as fast.</p>{block}"), {PATH: DOCUMENT}) == []


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ('<span data-ev="{p}#/speed/estimate" data-ev-as="speedup">2.01×</span>', "says `2.00×`"),
        ('<span data-ev="{p}#/speed/estimate" data-ev-as="speedup">2.00× to 3</span>', "says `2.00×`"),
        ('<span data-ev="{p}#/speed/best" data-ev-as="speedup">2.00×</span>', "nothing at /speed/best"),
        ('<span data-ev="run.json#/speed" data-ev-as="speedup">2.00×</span>', "not there"),
        ('<span data-ev="{p}#/speed/estimate">2.00×</span>', "written as ''"),
        ('<span data-ev="" data-ev-as="speedup">2.00×</span>', "cannot be written"),
        ("<p>It saves 40 % of all.</p>", "`It saves 40 % of all.` points at no record"),
        ('<p data-other="{p}">int8</p>', "`int8` points at no record"),
        ('<img alt="2 bars" src="">', "`2 bars` points at no record"),
        ('<section data-ev-block="">5</section>', "names no record"),
        ('<section data-ev-block="{p} records/none.json">5</section>', "not there"),
    ],
)
def test_a_wrong_number_is_found(body: str, words: str) -> None:
    """Another value, a pointer at nothing, no form, and every way to have no pointer."""
    problems = check_numbers(page(body.replace("{p}", PATH)), {PATH: DOCUMENT})

    assert len(problems) == 1
    assert words in problems[0]
