"""Exemplars: every changed answer, the furthest apart first, in a table that no spreadsheet runs."""

import csv
import dataclasses
import io
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from perflib.errors import DataError
from perflib.plain import plain_cell
from perflib.validation.exemplars import Exemplar, exemplars, read_csv, write_csv
from perflib.validation.predictions import Paired

LABELS = ("negative", "positive")
COLUMNS = (
    *("id", "text", "label", "baseline_label", "candidate_label", "direction", "divergence_nat", "slices"),
    "reviewer_note",
)


def paired(rows: list[tuple[int, list[float], list[float]]], **slices: tuple[str, ...]) -> Paired:
    """Pair answers that are given as label, baseline's probabilities and candidate's."""
    return Paired(
        ids=tuple(f"e{place}" for place in range(len(rows))),
        labels=np.array([label for label, _, _ in rows], np.int64),
        baseline=np.array([before for _, before, _ in rows], np.float32),
        candidate=np.array([after for _, _, after in rows], np.float32),
        slices=slices,
    )


def told(rows: list[tuple[int, list[float], list[float]]], **slices: tuple[str, ...]) -> tuple[Exemplar, ...]:
    """Return the exemplars of such answers to texts `t0`, `t1` …"""
    return exemplars(paired(rows, **slices), [f"t{place}" for place in range(len(rows))], LABELS)


def exemplar(text: str = "a text", **change: Any) -> Exemplar:
    """Return one changed answer."""
    one = Exemplar("e1", text, "negative", "negative", "positive", "became wrong", 0.25, "domain tweets")
    return dataclasses.replace(one, **change)


def cells_of(path: Path) -> list[list[str]]:
    """Return what a spreadsheet is given, row by row, without the module's own reader."""
    return list(csv.reader(io.StringIO(path.read_bytes().decode(), newline="")))


def test_only_changed_labels_are_told() -> None:
    """An answer that moved but kept its label is none; nor is one that no model could give."""
    nothing = [math.nan, math.nan]
    found = told(
        [
            (0, [0.9, 0.1], [0.51, 0.49]),
            (0, [0.51, 0.49], [0.49, 0.51]),
            (1, nothing, nothing),
            (1, [0.1, 0.9], [0.1, 0.9]),
        ]
    )

    assert [(one.id, one.text) for one in found] == [("e1", "t1")]


def test_without_a_change_there_is_no_exemplar() -> None:
    """Two equal models have nothing to show."""
    assert told([(0, [0.9, 0.1], [0.9, 0.1])]) == ()


def test_the_most_divergent_come_first_with_their_divergence() -> None:
    """The divergence is the plain sum of p ln(p / q), in double precision."""
    pairs = [([0.6, 0.4], [0.4, 0.6]), ([0.99, 0.01], [0.02, 0.98]), ([0.8, 0.2], [0.3, 0.7])]
    found = told([(0, before, after) for before, after in pairs])
    single = [[[float(np.float32(value)) for value in side] for side in pair] for pair in pairs]
    expected = [sum(p * math.log(p / q) for p, q in zip(before, after, strict=True)) for before, after in single]

    assert [one.id for one in found] == ["e1", "e2", "e0"]
    assert [one.divergence_nat for one in found] == pytest.approx([expected[1], expected[2], expected[0]], abs=1e-12)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("is_candidate", [True, False])
def test_what_is_no_number_comes_first_of_all(value: float, is_candidate: bool) -> None:
    """An answer with NaN or an infinity in either model has no divergence and stands before the largest one."""
    broken = ([0.9, 0.1], [value, 0.1]) if is_candidate else ([value, 0.1], [0.9, 0.1])
    found = told([(0, [1.0, 0.0], [0.0, 1.0]), (0, *broken)])

    assert [(one.id, one.divergence_nat is None) for one in found] == [("e1", True), ("e0", False)]
    assert (found[0].candidate_label if is_candidate else found[0].baseline_label) == "no number"
    assert found[0].direction == ("became wrong" if is_candidate else "became right")


def test_equals_keep_the_order_of_the_data() -> None:
    """Two runs over the same answers write the same file."""
    flip = ([0.9, 0.1], [0.1, 0.9])

    assert [one.id for one in told([(0, *flip)] * 3)] == ["e0", "e1", "e2"]


def test_the_direction_is_said_in_words() -> None:
    """Right to wrong, wrong to right, and from one wrong class to another; labels by their names."""
    rows = [
        (0, [0.8, 0.1, 0.1], [0.1, 0.8, 0.1]),
        (0, [0.1, 0.8, 0.1], [0.8, 0.1, 0.1]),
        (0, [0.1, 0.8, 0.1], [0.1, 0.1, 0.8]),
    ]
    found = exemplars(paired(rows), ["a", "b", "c"], ("no", "maybe", "yes"))

    assert {one.text: (one.label, one.baseline_label, one.candidate_label, one.direction) for one in found} == {
        "a": ("no", "no", "maybe", "became wrong"),
        "b": ("no", "maybe", "no", "became right"),
        "c": ("no", "maybe", "yes", "wrong in another way"),
    }


def test_the_slices_say_what_an_example_is() -> None:
    """`yes` is said by the column alone, `no` not at all, any other value with its column."""
    flip = (0, [0.9, 0.1], [0.1, 0.9])
    found = told([flip, flip], negation=("yes", "no"), question=("no", "no"), domain=("tweets", "movies"))

    assert [one.slices for one in found] == ["negation, domain tweets", "domain movies"]


def test_what_is_no_text_is_left_out() -> None:
    """Pixels do not belong into a table; the id says which example it is."""
    (found,) = exemplars(paired([(0, [0.9, 0.1], [0.1, 0.9])]), [np.zeros((8, 8))], LABELS)

    assert (found.id, found.text) == ("e0", "")


@pytest.mark.parametrize("input_count", [0, 2])
def test_texts_that_do_not_fit_the_answers_are_refused(input_count: int) -> None:
    """A text beside the answer to another would be worse than none."""
    with pytest.raises(DataError, match=rf"^{input_count} inputs do not fit 1 answers; .*\.$"):
        exemplars(paired([(0, [0.9, 0.1], [0.1, 0.9])]), ["t"] * input_count, LABELS)


# --- the file ---------------------------------------------------------------------------------------------------

NASTY = {
    "formula": '=HYPERLINK("http://a.example")',
    "plus": "+1",
    "minus": "-1",
    "at": "@SUM(A1)",
    "tab": "\t=1+1",
    "carriage return": "\r=1+1",
    "line feed": "\n=1+1",
    "spaces": "   =1+1",
    "no-break space": "\u00a0=1+1",
    "byte order mark": "\ufeff=1+1",
    "zero width": "\u200b=1+1",
    "NUL": "\0=1+1",
    "right to left": "\u202e=1+1",
    "full width": "＝1+1",
    "full-width plus": "＋1",
    "full-width minus": "－1",
    "full-width at": "＠SUM(A1)",
    "blanks of all kinds": " \t\u200f \u3000@x",
}
HARMLESS = {
    "word": "a text",
    "formula in the middle": "a =1+1",
    "after a line end": "a\n=1+1",
    "number sign": "#1",
    "a minus of typographers": "−1",
    "empty": "",
    "spaces only": "   ",
    "right to left": "\u202eabc",
    "NUL in the middle": "a\0b",
    "double quotes": '"a" said, "b"',
    "comma": "a, b; c",
    "line ends": "a\r\nb\rc\nd\u2028e",
    "not ASCII": "naïve 👍 שלום",
    "quote in the middle": "a 'b'",
}


@pytest.mark.parametrize("what", NASTY)
def test_a_formula_becomes_text(what: str) -> None:
    """A quote stands before it, and nothing of the text is lost."""
    assert plain_cell(NASTY[what]) == f"'{NASTY[what]}"


@pytest.mark.parametrize("what", HARMLESS)
def test_a_harmless_cell_is_left_alone(what: str) -> None:
    """Only what begins like a formula is touched."""
    assert plain_cell(HARMLESS[what]) == HARMLESS[what]


@pytest.mark.parametrize(("value", "cell"), [(-0.5, "-0.5"), (0.0, "0.0"), (-3, "-3"), (1e-9, "1e-09"), (None, "")])
def test_a_number_stays_a_number(value: object, cell: str) -> None:
    """A minus before a number is no formula; what is unknown is empty."""
    assert plain_cell(value) == cell


@pytest.mark.parametrize("text", ["'", "'tis", "'=1+1", "''", "''=1+1"])
def test_a_quote_that_stood_there_gets_another(text: str) -> None:
    """Otherwise `'=1+1` would be two texts."""
    assert plain_cell(text) == f"'{text}"


@pytest.mark.parametrize("text", [*NASTY.values(), *HARMLESS.values(), "'", "'tis", "'=1+1", "''=1+1", "x" * 200_000])
def test_a_text_comes_back_as_it_was(tmp_path: Path, text: str) -> None:
    """Formula, quotes, line ends, NUL, or very long: the reader returns what was written, and the file is safe."""
    path = write_csv([exemplar(text), exemplar("the next")], tmp_path / "exemplars.csv")

    assert [row["text"] for row in read_csv(path)] == [text, "the next"]
    if len(text) < 100_000:
        assert cells_of(path)[1][1] == plain_cell(text)


@pytest.mark.parametrize("name", [name for name in COLUMNS if name != "divergence_nat"])
def test_no_column_is_trusted(tmp_path: Path, name: str) -> None:
    """Ids, names of labels and slices come from data too."""
    path = write_csv([exemplar(**{name: "=1+1"})], tmp_path / "exemplars.csv")

    assert cells_of(path)[1][COLUMNS.index(name)] == "'=1+1"
    assert read_csv(path)[0][name] == "=1+1"


def test_rows_come_back_with_every_column(tmp_path: Path) -> None:
    """In the order of the file, the divergence as the same number, None where there is none."""
    rows = [exemplar(divergence_nat=None), exemplar("b", divergence_nat=1 / 3), exemplar("c", reviewer_note="agreed")]
    path = write_csv(rows, tmp_path / "exemplars.csv")

    assert tuple(cells_of(path)[0]) == COLUMNS
    assert read_csv(path) == [dataclasses.asdict(row) for row in rows]


def test_no_exemplar_is_a_table_without_rows(tmp_path: Path) -> None:
    """The header alone says that somebody looked."""
    path = write_csv([], tmp_path / "exemplars.csv")

    assert cells_of(path) == [list(COLUMNS)]
    assert read_csv(path) == []


def test_a_new_table_takes_the_place_of_the_old_one(tmp_path: Path) -> None:
    """Written at once and alone: nothing of the old rows, no temporary file."""
    path = tmp_path / "exemplars.csv"
    write_csv([exemplar("old")] * 3, path)
    write_csv([exemplar("new")], path)

    assert [row["text"] for row in read_csv(path)] == ["new"]
    assert list(tmp_path.iterdir()) == [path]


def test_a_table_that_a_spreadsheet_saved_is_read(tmp_path: Path) -> None:
    """With a byte order mark, a note, a column more, and a quote that the person typed."""
    path = tmp_path / "exemplars.csv"
    line = "e1,'=1+1,no,no,yes,became wrong,0.5,,-1 from me,'tis fine"
    path.write_bytes(b"\xef\xbb\xbf" + f"{','.join(COLUMNS)},mine\n{line}\n".encode())
    (row,) = read_csv(path)

    assert (row["id"], row["text"], row["divergence_nat"], row["reviewer_note"]) == ("e1", "=1+1", 0.5, "-1 from me")
    assert set(row) == set(COLUMNS)
    path.write_text(path.read_text(encoding="utf-8-sig").replace("-1 from me", "'tis fine"), encoding="utf-8")
    assert read_csv(path)[0]["reviewer_note"] == "'tis fine"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "no column `id`"),
        (b"id,text\ne1,a\n", "no column `label`"),
        (",".join(COLUMNS).encode() + b"\ne1,a\n", "a row ends too early"),
        (",".join(COLUMNS).encode() + b"\ne1,a,b,c,d,e,much,f,g\n", "'much'"),
        (",".join(COLUMNS).encode() + b'\ne1,"a\n', "unexpected end of data"),
        (b"\xff\xfe\x00", "utf-8"),
    ],
    ids=["empty", "columns", "short row", "divergence", "open quote", "not UTF-8"],
)
def test_a_damaged_table_is_refused(tmp_path: Path, content: bytes, words: str) -> None:
    """One sentence names the file and what is wrong with it."""
    path = tmp_path / "exemplars.csv"
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"exemplars\.csv is no table of changed answers \(.*\); .*\.$") as caught:
        read_csv(path)

    assert words in str(caught.value)


def test_a_missing_table_is_refused(tmp_path: Path) -> None:
    """The sentence says what to do."""
    with pytest.raises(
        DataError, match=r"none\.csv cannot be read \(No such file.*\); validate the candidate again\.$"
    ):
        read_csv(tmp_path / "none.csv")
