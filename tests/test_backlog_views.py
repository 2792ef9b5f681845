"""The backlog as people see it: table, list, figures, sentences and spreadsheet; foreign words stay words."""

import csv
import dataclasses
import html
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import matplotlib as mpl
import pytest
from matplotlib import pyplot as plt

from perflib import plots
from perflib.governance.backlog.export import write_csv
from perflib.governance.backlog.make import make_backlog
from perflib.plots.backlog import plot_returns, plot_tornado
from perflib.results import Interval
from perflib.results.governance import Backlog, BacklogItem, Range
from perflib.sentences.backlog import (
    amount,
    backlog_sentence,
    did_not_work,
    failed_sentence,
    gain_words,
    money_sentence,
    tornado_sentence,
)
from perflib.tables.backlog import backlog_table, failed_list
from tests.ledgers import make_ledger
from tests.price_books import arm_cost, finops, price_book

mpl.use("Agg")

ATTACK = "<script>alert(1)</script>\"'&=1+1"
BOOK = price_book(inferences_per_month=Range(2e8, 365e6, 9e8), effort_days={"default": Range(1.0, 2.0, 5.0)})


@pytest.fixture(autouse=True)
def _style() -> Iterator[None]:
    plots.use_house_style()
    yield
    plt.close("all")


@pytest.fixture(name="backlog", scope="module")
def _backlog(tmp_path_factory: pytest.TempPathFactory) -> Backlog:
    """The made-up run's backlog."""
    return make_backlog(make_ledger(tmp_path_factory.mktemp("made") / "run"), finops(), BOOK, {})


def example(backlog: Backlog) -> Backlog:
    """Return the backlog as it is while nobody has said that the prices are theirs."""
    return dataclasses.replace(backlog, is_example=True)


def changed(backlog: Backlog, name: str, **change: Any) -> Backlog:
    """Return a backlog in which one item is another."""
    found = tuple(dataclasses.replace(one, **change) if one.id == name else one for one in backlog.items)
    return dataclasses.replace(backlog, items=found)


def item(backlog: Backlog, name: str) -> BacklogItem:
    """Return one item."""
    found = backlog.item(name)
    assert found is not None
    return found


# --- table and list -----------------------------------------------------------------------------------------------


def test_the_table_has_what_may_be_done_and_the_list_what_did_not_work(backlog: Backlog) -> None:
    """By rank, with ratio, accuracy, return, work, risk and status; no item stands in both."""
    table, failed = backlog_table(backlog), failed_list(backlog)

    assert table.index(">1. <abbr") < table.index(">2. try sorted")
    assert "2.00× [1.90, 2.10]" in table
    assert "−0.57 pp (at worst −1.36 pp)" in table
    assert "2 d, <abbr title=" in table
    assert 'class="verdict validated"' in table
    assert "expected 1.22× [1.00, 1.50]" in table
    assert "not measured" in table
    assert "Bounds of ratios are at 90 % where measured, 80 % where expected." in table
    assert "vocabulary" not in table
    assert failed.index("vocabulary") < failed.index("bf16")
    assert "Texts with negation lose 4.0 pp." in failed
    assert 'class="verdict quarantined"' in failed
    assert "int8" not in failed


def test_what_is_not_offered_has_no_number_and_stands_quietly(backlog: Backlog) -> None:
    """Approved, shown, not ranked."""
    shown = changed(backlog, "OPT-int8", rank=None, is_eligible=False)

    assert '<tr class="quiet"><th scope="row"><abbr title="quantisation">int8</abbr>' in backlog_table(shown)


def test_example_prices_are_named_in_the_head_and_the_caption(backlog: Backlog) -> None:
    """And never where the prices are somebody's."""
    assert "ROI (example)" in backlog_table(example(backlog))
    assert "at example prices" in backlog_table(example(backlog))
    assert "example" not in backlog_table(backlog)


def test_nothing_that_was_written_runs_as_markup(backlog: Backlog) -> None:
    """Titles, techniques, reasons, risks and people's words are foreign."""
    for name in ("OPT-int8", "OPT-vocabulary", "HYP-padding"):
        foreign = {"title": ATTACK, "technique": ATTACK, "reasons": (ATTACK,), "risk_sentence": ATTACK}
        backlog = changed(backlog, name, **foreign)
    said = changed(backlog, "OPT-vocabulary", people_words=ATTACK)
    for page in (backlog_table(backlog), failed_list(backlog), failed_list(said)):
        assert "<script>" not in page
        assert html.escape(ATTACK) in page
        assert page.count("<") == page.count(">")


def test_words_of_people_stand_before_reasons_of_programs(backlog: Backlog) -> None:
    """Whoever looked knows more; further reasons are counted."""
    said = changed(backlog, "OPT-vocabulary", people_words="The customer needs negation.")
    many = changed(backlog, "OPT-vocabulary", reasons=("First.", "Second.", "Third."))

    assert "The customer needs negation." in failed_list(said)
    assert "First. (and 2 more)" in failed_list(many)
    assert "No reason was kept." in failed_list(changed(backlog, "OPT-vocabulary", reasons=()))


def test_without_failures_the_list_says_so(backlog: Backlog) -> None:
    """An empty list would look like a mistake."""
    fine = dataclasses.replace(backlog, items=backlog.items[:2])

    assert failed_list(fine) == "<p>Everything that was tried worked.</p>"


def test_what_was_rolled_back_did_not_work(backlog: Backlog) -> None:
    """Whatever its gates had said."""
    taken_back = changed(backlog, "OPT-int8", status="rolled_back", rank=None)

    assert "OPT-int8" in [one.id for one in did_not_work(taken_back)]


# --- sentences ----------------------------------------------------------------------------------------------------


def test_the_first_sentence_leads_with_the_ratio(backlog: Backlog) -> None:
    """Then accuracy, work and risk, and only then money."""
    told = backlog_sentence(example(backlog))

    assert told.startswith("First int8: quantisation: 2.00× [1.90, 2.10] the throughput, accuracy −0.57 pp, 2 days")
    assert told.index("2.00×") < told.index("With example prices")


def test_every_sentence_with_money_says_that_prices_are_examples(backlog: Backlog) -> None:
    """While they are; afterwards the word is gone."""
    first = item(backlog, "OPT-int8")
    for told in (
        backlog_sentence(example(backlog)),
        money_sentence(first, example(backlog)),
        tornado_sentence(first, is_example=True),
    ):
        assert "example prices" in told
    for told in (backlog_sentence(backlog), money_sentence(first, backlog), tornado_sentence(first, is_example=False)):
        assert "example" not in told


def test_why_the_first_is_first_is_said(backlog: Backlog) -> None:
    """Its bad case against that of the second; the one that saves more in the end is named too."""
    first = item(backlog, "OPT-int8")
    assert first.returns is not None
    low = dataclasses.replace(first.returns, roi_ratio=Range(1.0, 2.0, 3.0), saving_month_amount=Range(5e3, 9e3, 2e4))
    second = dataclasses.replace(first, id="OPT-best", rank=2, returns=low)
    told = backlog_sentence(dataclasses.replace(backlog, items=(first, second)))

    assert "It stands first because its bad case (P10) gives back" in told
    assert "that of best 1.00 times." in told
    assert "best would save more in the end, for 2 days of work." in told


def test_what_saves_no_money_says_why(backlog: Backlog, tmp_path: Path) -> None:
    """No whole machine is given back, and no amount is told."""
    costs = finops(*(arm_cost(name, realisable="no") for name in ("int8", "vocabulary", "bf16")))
    found = make_backlog(make_ledger(tmp_path / "run"), costs, BOOK, {})
    told = backlog_sentence(found)

    assert "It saves no money: no whole machine can be given back." in told
    assert "EUR" not in told
    assert tornado_sentence(found.items[0], is_example=False).startswith("No single assumption moves the return")


def test_where_nothing_may_be_shipped_the_hypothesis_is_first(backlog: Backlog) -> None:
    """And without either there is nothing to do."""
    hoped = dataclasses.replace(backlog, items=tuple(one for one in backlog.items if one.id != "OPT-int8"))

    assert backlog_sentence(hoped).startswith("No candidate may be shipped yet. First try sorted: expected 1.22×")
    assert backlog_sentence(dataclasses.replace(backlog, items=())).startswith("There is nothing to do")


def test_gains_are_told_by_what_is_known(backlog: Backlog) -> None:
    """Throughput, else one at a time, else nothing."""
    one = item(backlog, "OPT-int8")

    assert "3.00× [2.80, 3.20] the speed one at a time" in gain_words(dataclasses.replace(one, throughput_ratio=None))
    assert gain_words(dataclasses.replace(one, throughput_ratio=None, latency_ratio=None)) == "no speed is known"
    assert money_sentence(dataclasses.replace(one, returns=None), backlog).startswith("Its throughput is not sure")


def test_failures_are_counted_and_the_first_are_named(backlog: Backlog) -> None:
    """Three names at most."""
    bad = item(backlog, "OPT-vocabulary")
    many = tuple(dataclasses.replace(bad, id=f"OPT-{letter}") for letter in "abcde")

    assert failed_sentence(backlog) == "2 candidates were tried and may not be shipped: vocabulary, bf16."
    assert failed_sentence(dataclasses.replace(backlog, items=many)).endswith("a, b, c and 2 more.")
    assert failed_sentence(dataclasses.replace(backlog, items=(bad,))).startswith("1 candidate was tried")
    assert failed_sentence(dataclasses.replace(backlog, items=())) == "Everything that was tried worked."


def test_the_tornado_is_told_with_its_ends(backlog: Backlog) -> None:
    """The widest bar, its assumption's ends and the return at both."""
    told = tornado_sentence(item(backlog, "OPT-int8"), is_example=False)
    widest = item(backlog, "OPT-int8").tornado[0]

    assert f"hangs most on {widest.assumption}" in told
    assert widest.unit in told


def test_amounts_are_whole_with_a_true_minus() -> None:
    """Nobody plans with cents."""
    assert (amount(1234.5), amount(-0.6)) == ("1,234", "−1")


# --- figures ------------------------------------------------------------------------------------------------------


def test_every_ranked_return_is_an_interval_and_told_in_words(backlog: Backlog) -> None:
    """P10 to P90 as a line, P50 as a point; a hypothesis is hollow."""
    fig, ax = plot_returns(backlog)
    fig.canvas.draw()
    lines = [line for line in ax.lines if len(line.get_xdata()) == 2 and line.get_xdata()[0] != line.get_xdata()[1]]
    points = [line for line in ax.lines if line.get_marker() == "o"]
    roi = [one.returns.roi_ratio for one in backlog.items[:2] if one.returns]

    assert [tuple(line.get_xdata()) for line in lines] == [(one.p10, one.p90) for one in roi]
    assert [float(point.get_xdata()[0]) for point in points] == [one.p50 for one in roi]
    assert [point.get_markerfacecolor() for point in points][1] == "white"
    assert [label.get_text() for label in ax.get_yticklabels()] == ["1. int8", "2. try sorted"]
    assert ax.get_ylim()[0] > ax.get_ylim()[1]
    told = str(fig.get_label())
    assert "1. int8: quantisation: P10" in told
    assert "2. try sorted (expected, not measured)" in told
    assert "example" not in told + ax.get_xlabel() + fig.get_suptitle()


def test_figures_of_example_prices_say_so(backlog: Backlog) -> None:
    """In the title or the axis, and in the words."""
    fig, ax = plot_returns(example(backlog))
    other, tornado_ax = plot_tornado(item(backlog, "OPT-int8"), is_example=True)

    assert "example prices" in ax.get_xlabel()
    assert fig.get_suptitle().startswith("With example prices")
    assert str(fig.get_label()).startswith("Prices are examples.")
    assert "example prices" in tornado_ax.get_xlabel()
    assert "example prices" in str(other.get_label())


def test_a_tornado_has_one_bar_an_assumption_the_widest_on_top(backlog: Backlog) -> None:
    """From the smaller to the larger return, with the assumption's values at both ends."""
    one = item(backlog, "OPT-int8")
    fig, ax = plot_tornado(one)
    fig.canvas.draw()
    bars = ax.containers
    ends = [(bar[0].get_x(), bar[0].get_x() + bar[0].get_width()) for bar in bars]

    assert [pytest.approx(pair) for pair in ends] == [
        tuple(sorted((bar.roi_at_low_ratio, bar.roi_at_high_ratio))) for bar in one.tornado
    ]
    labels = [label.get_text() for label in ax.get_yticklabels()]
    assert labels[0].startswith(one.tornado[0].assumption)
    assert "200 million" in [text.get_text() for text in ax.texts]
    assert all(bar.assumption in str(fig.get_label()) for bar in one.tornado)


def test_a_tornado_that_does_not_move_says_so(backlog: Backlog) -> None:
    """All ends are a full loss; nothing divides by the width."""
    one = item(backlog, "OPT-int8")
    flat = tuple(dataclasses.replace(bar, roi_at_low_ratio=-1.0, roi_at_high_ratio=-1.0) for bar in one.tornado)
    fig, _ = plot_tornado(dataclasses.replace(one, tornado=flat))
    fig.canvas.draw()

    assert fig.get_suptitle() == "int8: no single assumption moves the return"


def test_figures_without_money_are_a_sentence(backlog: Backlog) -> None:
    """Nothing is drawn where nothing is known."""
    none, _ = plot_returns(dataclasses.replace(backlog, items=()))
    bare, _ = plot_tornado(dataclasses.replace(item(backlog, "OPT-int8"), tornado=()))

    assert "nothing to draw" in str(none.get_label())
    assert "No money is set against int8" in str(bare.get_label())


def test_a_loss_is_named_in_the_title(backlog: Backlog) -> None:
    """The first may give back less than it costs, and the title does not hide it."""
    one = item(backlog, "OPT-int8")
    assert one.returns is not None
    poor = dataclasses.replace(one.returns, roi_ratio=Range(-0.5, 1.0, 2.0))
    fig, _ = plot_returns(changed(backlog, "OPT-int8", returns=poor))

    assert fig.get_suptitle() == "int8 stands first, and may give back less than it costs"


# --- spreadsheet --------------------------------------------------------------------------------------------------


def rows(path: Path) -> list[dict[str, str]]:
    """Read a table back."""
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_the_spreadsheet_has_every_item_with_units_in_its_head(backlog: Backlog, tmp_path: Path) -> None:
    """Numbers are those of the record, unknown is empty."""
    found = {row["id"]: row for row in rows(write_csv(tmp_path / "backlog.csv", backlog))}
    one, hoped = found["OPT-int8"], found["HYP-padding"]
    returns = item(backlog, "OPT-int8").returns
    assert returns is not None

    assert list(found) == [one.id for one in backlog.items]
    assert float(one["throughput [times the baseline] low"]) == 1.9
    assert float(one["ROI [times the one-off] P10"]) == returns.roi_ratio.p10
    assert float(one["saving a month [EUR] P50"]) == returns.saving_month_amount.p50
    assert (one["rank"], one["effort [days] P50"], one["RICE [score]"]) == ("1", "2.0", "7300.0")
    assert (hoped["build [s]"], hoped["accuracy change [share] low"], hoped["realisable"]) == ("", "", "")
    assert found["OPT-vocabulary"]["rank"] == ""
    assert "records/comparison-int8.json#/scenarios/0/speedup_ratio" in one["evidence"]


def test_every_column_of_money_says_example_while_prices_are(backlog: Backlog, tmp_path: Path) -> None:
    """In its own header, because columns are copied without the others."""
    head = list(rows(write_csv(tmp_path / "backlog.csv", example(backlog)))[0])
    money = [name for name in head if name.startswith(("one-off", "saving", "ROI", "NPV", "payback", "chance"))]

    assert len(money) == 16
    assert all("example" in name for name in money)
    assert not any("example" in name for name in head if name not in money)


@pytest.mark.parametrize("word", ["=1+1", "+cmd", "-2", "@x", "\t=1", " =1"])
def test_no_cell_is_a_formula(backlog: Backlog, tmp_path: Path, word: str) -> None:
    """Also not behind blanks; numbers below zero stay numbers."""
    foreign = changed(backlog, "OPT-int8", title=word, owner=word, people_words=word, reasons=(word,))
    found = {row["id"]: row for row in rows(write_csv(tmp_path / "backlog.csv", foreign))}["OPT-int8"]

    assert [found[name] for name in ("title", "owner", "words of people", "reasons")] == [f"'{word}"] * 4
    assert found["accuracy change [share] estimate"] == "-0.0057"


def test_the_same_backlog_gives_the_same_bytes(backlog: Backlog, tmp_path: Path) -> None:
    """A rebuilt pack differs in nothing."""
    one, other = (write_csv(tmp_path / name, backlog).read_bytes() for name in ("a.csv", "b.csv"))

    assert one == other


def test_a_ratio_without_an_upper_bound_is_shown_as_it_is(backlog: Backlog) -> None:
    """No bound is made up."""
    open_end = changed(backlog, "OPT-int8", throughput_ratio=Interval(2.0, None, None, 0.9), returns=None)

    assert "<td>2.00×</td>" in backlog_table(open_end)
