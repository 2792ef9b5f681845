"""Money and carbon for readers: three tables, a figure with its text, and sentences that say whose prices they are."""

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import matplotlib as mpl
import pytest
from bs4 import BeautifulSoup
from matplotlib import pyplot as plt

from perflib import plots
from perflib.governance.carbon import estimate_carbon
from perflib.governance.economics import price_run
from perflib.plots.finops import plot_unit_costs
from perflib.plots.style import BASELINE, CANDIDATE
from perflib.results import Interval
from perflib.results.governance import ArmCarbon, Carbon, Finops, Price, Range
from perflib.sentences.finops import carbon_sentence, realisable_sentence, saving_sentence
from perflib.tables.finops import carbon_table, instance_table, unit_cost_table
from tests.ledgers import make_ledger
from tests.price_books import arm_cost, certain, finops, price_book

mpl.use("Agg")
EVIL = "<script>alert(1)</script>"


@pytest.fixture(autouse=True)
def _style() -> Iterator[None]:
    plots.use_house_style()
    yield
    plt.close("all")


@pytest.fixture
def costs(tmp_path: Path) -> Finops:
    """Return the costs of the made-up run: 62 a second, and candidates at 2.0 [1.9, 2.1] times that."""
    return price_run(make_ledger(tmp_path / "run"), price_book(on_demand_per_hour=Price(0.36, "a test", "2026-01-01")))


def cells(markup: str) -> list[list[str]]:
    """Return a table's words, row by row, its head first."""
    soup = BeautifulSoup(markup, "html.parser")
    return [[cell.get_text() for cell in row.find_all(["th", "td"])] for row in soup.find_all("tr")]


def emitted(name: str, gram: float, *, is_metered: bool = False) -> ArmCarbon:
    """Return an arm that emits so much, half of it in operation."""
    half, whole = certain(gram / 2), Range(gram / 2, gram, 2 * gram)
    return ArmCarbon(name, is_metered, certain(0.001), half, half, whole)


def carbon(*arms: ArmCarbon, is_example: bool = False) -> Carbon:
    """Return a record of emissions."""
    return Carbon("run", is_example, "e" * 64, "Inside: all.", "Some method.", arms)


# --- tables -------------------------------------------------------------------------------------------------------


def test_unit_costs_stand_by_utilisation_and_way_of_paying(costs: Finops) -> None:
    """0.36 EUR an hour at 62 a second and 60 %: 0.36 / 133.92 EUR for 1,000."""
    head, baseline, int8, *_ = cells(unit_cost_table(costs))

    assert head[:5] == ["arm", *(f"on demand, {used} % busy" for used in (30, 50, 60, 90))]
    assert head[5] == "reserved, 30 % busy"
    assert (baseline[0], baseline[3]) == ("baseline", "0.00269")
    assert (int8[0], int8[3]) == ("int8", "0.00134 [0.00128, 0.00141]")


def test_instances_and_both_savings_stand_side_by_side() -> None:
    """With the verdict and its reason; the baseline has neither."""
    made = finops(arm_cost("int8"))
    own = dataclasses.replace(made.arms[0], saving_month_amount=None, elastic_saving_month_amount=None)
    _, baseline, int8 = cells(instance_table(dataclasses.replace(made, arms=(own, made.arms[1]))))

    assert baseline[4:7] == ["–", "–", "–"]
    assert int8[1:] == ["200 [190, 210]", "2", "1,460 EUR", "730 EUR", "961 EUR", "yes", "One instance fewer."]


def test_carbon_stands_with_its_range_and_how_it_is_known() -> None:
    """The middle first; a meter is named where there was one."""
    found = carbon(emitted("baseline", 0.4), emitted("int8", 0.1, is_metered=True))
    _, baseline, int8 = cells(carbon_table(found))

    assert baseline[4:] == ["0.4 [0.2, 0.8]", "modelled"]
    assert int8[4:] == ["0.1 [0.05, 0.2]", "metered"]
    assert "Estimate for 1,000 inferences: middle [low, high]. Some method." in carbon_table(found)


def test_captions_say_example_while_prices_are_examples() -> None:
    """And do not once somebody has made them their own."""
    for is_example in (True, False):
        made = finops(is_example=is_example)
        captions = [unit_cost_table(made), instance_table(made), carbon_table(carbon(is_example=is_example))]

        assert ["example prices" in one for one in captions] == [is_example] * 3


def test_foreign_words_are_escaped_and_the_baseline_is_marked() -> None:
    """A name, a currency and a sentence from a file cannot become markup."""
    evil = arm_cost(EVIL, realisable_sentence=EVIL)
    made = finops(evil, currency="<b>", machine="<i>")
    tables = [unit_cost_table(made), instance_table(made), carbon_table(carbon(emitted(EVIL, 1.0)))]

    for markup in tables:
        assert not BeautifulSoup(markup, "html.parser").find_all(["script", "b", "i"])
    assert [one.count('class="baseline"') for one in tables] == [1, 1, 0]


def test_a_run_without_prices_has_empty_tables() -> None:
    """Not an error: it was timed in single calls only."""
    nothing = dataclasses.replace(finops(), arms=())

    assert len(cells(unit_cost_table(nothing))) == 1
    assert len(cells(instance_table(nothing))) == 1


# --- figure -------------------------------------------------------------------------------------------------------


def drawn(found: Finops, **change: Any) -> tuple[Any, Any, str]:
    """Return figure, axes and text alternative, after a rendering that would raise."""
    fig, ax = plot_unit_costs(found, **change)
    fig.canvas.draw()
    return fig, ax, str(fig.get_label())


def test_every_arm_has_its_three_costs_in_its_colour(costs: Finops) -> None:
    """The baseline grey and on top, candidates blue, cheapest utilisation left; the book's own 50 % is not drawn."""
    _, ax, _ = drawn(costs)
    points: dict[tuple[str, int], list[float]] = {}
    for line in ax.lines:
        points.setdefault((line.get_color(), line.get_ydata()[0]), []).append(line.get_xdata()[0])

    assert sorted(points) == sorted([(BASELINE, 3), (CANDIDATE, 2), (CANDIDATE, 1), (CANDIDATE, 0)])
    assert points[BASELINE, 3] == pytest.approx([0.36 / (62 * 3.6 * used) for used in (0.3, 0.6, 0.9)])
    assert points[CANDIDATE, 2] == pytest.approx([0.36 / (124 * 3.6 * used) for used in (0.3, 0.6, 0.9)])
    assert [text.get_text() for text in ax.get_yticklabels()] == ["baseline", "int8", "vocabulary", "bf16"]
    assert [text.get_text() for text in ax.texts] == ["30 %", "60 %", "90 %"]
    assert ax.get_xscale() == "log"
    assert "logarithmic" in ax.get_xlabel()
    assert "[EUR]" in ax.get_xlabel()


def test_intervals_are_drawn_where_there_are_bounds(costs: Finops) -> None:
    """From the cost at the upper bound of throughput to that at the lower one."""
    _, ax, _ = drawn(costs, names=["int8"])
    spans = [one.get_segments()[0][:, 0] for one in ax.collections if one.get_linewidth()[0] == 3]

    assert [list(one) for one in spans] == [
        pytest.approx([0.36 / (62 * 2.1 * 3.6 * used), 0.36 / (62 * 1.9 * 3.6 * used)]) for used in (0.3, 0.6, 0.9)
    ]


def test_the_figure_says_in_words_what_it_shows(costs: Finops) -> None:
    """The title leads with the ratio; the text alternative has every number."""
    fig, _, told = drawn(dataclasses.replace(costs, is_example=True), names=["bf16"])
    title = " ".join(fig.get_suptitle().split())

    assert title == (
        "With bf16, 1,000 inferences cost 50 % of today: at 60 % use 0.00134 EUR instead of 0.00269 EUR, "
        "with example prices"
    )
    assert "baseline: 0.00538 at 30 %, 0.00269 at 60 %, 0.00179 at 90 %" in told
    assert "bf16: 0.00269 [0.00256, 0.00283] at 30 %" in told
    assert "int8" not in told


def test_a_figure_of_the_baseline_alone_or_of_nothing_is_a_sentence(costs: Finops) -> None:
    """Neither fails."""
    assert "1,000 inferences cost 0.00269 EUR at 60 % use" in drawn(costs, names=[])[2]
    assert "no cost to draw" in drawn(dataclasses.replace(costs, arms=()))[2]


def test_every_shown_tick_is_a_number_without_exponent(costs: Finops) -> None:
    """Costs of a thousandth of a cent are common."""
    _, ax, _ = drawn(costs)
    labels = [text.get_text() for text in ax.get_xticklabels()]

    assert {"0.001", "0.002", "0.005"} <= set(labels)
    assert not any("e" in label or "$" in label for label in labels)


# --- sentences ----------------------------------------------------------------------------------------------------


def test_the_saving_is_said_with_instances_and_whose_prices() -> None:
    """730 EUR are not paid; 961 would not be by the second."""
    made = finops(arm_cost("int8"))
    made = dataclasses.replace(made, arms=(dataclasses.replace(made.arms[0], instance_count=3), made.arms[1]))

    assert saving_sentence(made, "int8") == (
        "With the prices of params/prices.yaml, int8 saves 730 EUR a month: 2 instances instead of 3; "
        "paid by the second, it would save 961 EUR."
    )
    assert saving_sentence(dataclasses.replace(made, is_example=True), "int8").startswith("With example prices, int8")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"saving_month_amount": 0.0}, "saves nothing: 2 instances as before; paid by the second"),
        ({"saving_month_amount": -730.0, "elastic_saving_month_amount": -9.0}, "costs 730 EUR more a month: 2 inst"),
        ({"saving_month_amount": None, "elastic_saving_month_amount": None}, "without bounds, so no saving is claimed"),
    ],
)
def test_no_saving_is_said_as_none(change: dict[str, Any], said: str) -> None:
    """Whatever the speed-up: standing instances, a slower candidate, a ratio without bounds."""
    assert said in saving_sentence(finops(arm_cost("int8", **change)), "int8")


def test_the_baseline_and_strangers_have_sentences_of_their_own() -> None:
    """Asking about what was not timed is no error."""
    made, gone = finops(), "was not timed in throughput"

    assert saving_sentence(made, "baseline") == (
        "With the prices of params/prices.yaml, the baseline costs 1,460 EUR a month: 2 instances."
    )
    assert realisable_sentence(made, "baseline") == "One instance fewer."
    assert gone in saving_sentence(made, "nobody")
    assert gone in realisable_sentence(made, "nobody")
    assert gone in carbon_sentence(carbon(), "nobody")


@pytest.mark.parametrize(
    ("word", "said"), [("yes", "is realisable"), ("partly", "is partly realisable"), ("no", "is not realisable")]
)
def test_realisability_is_said_with_its_reason(word: Any, said: str) -> None:
    """The instance numbers are in the record's own sentence."""
    made = finops(arm_cost("int8", realisable=word), is_example=True)

    assert realisable_sentence(made, "int8") == f"With example prices, the saving {said}. One instance fewer."


def test_carbon_is_said_as_an_estimate_beside_the_baseline() -> None:
    """0.1 of 0.4 g is 75 % less; whose assumptions they are comes first."""
    found = carbon(emitted("baseline", 0.4), emitted("int8", 0.1), is_example=True)

    assert carbon_sentence(found, "int8") == (
        "With example assumptions, 1,000 inferences with int8 emit an estimated 0.1 [0.05, 0.2] g CO₂e (modelled, "
        "nothing was metered), with the baseline 0.4 [0.2, 0.8] g: 75 % less in the middle case."
    )
    assert "50 % more" in carbon_sentence(carbon(emitted("baseline", 0.4), emitted("slow", 0.6)), "slow")


def test_metered_and_modelled_carbon_are_not_compared() -> None:
    """A meter leaves out what a model has."""
    found = carbon(emitted("baseline", 0.4), emitted("int8", 0.1, is_metered=True))

    assert carbon_sentence(found, "int8").endswith("so they do not compare.")
    assert "less" not in carbon_sentence(found, "int8")


def test_the_views_take_what_governance_makes(costs: Finops, tmp_path: Path) -> None:
    """From a run's records to words, without a number that cannot be written."""
    run = make_ledger(tmp_path / "again")
    found = estimate_carbon(run, costs, price_book())

    assert len(cells(carbon_table(found))) == 5
    assert "50 % less" in carbon_sentence(found, "int8")
    assert Interval(124.0, 62 * 1.9, 62 * 2.1, 0.9) == costs.arms[1].examples_per_sec
