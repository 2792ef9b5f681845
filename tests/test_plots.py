"""Figures: each has a finding for a title, units on its axes, and words for those who cannot see it."""

from collections.abc import Callable, Iterator
from typing import Any

import matplotlib as mpl
import pytest
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from synthetic_records import baseline, candidate, ceilings, comparison, part, profile, scenario, unbounded

from perflib import plots
from perflib.results import Estimate, LowerBound

mpl.use("Agg")

SUMMARY = [candidate(), candidate("bf16", "undecided", offline_throughput_speedup_ratio=Estimate(1.1, None, None))]
FIGURES: dict[str, Callable[[], tuple[Any, Any]]] = {
    "operators": lambda: plots.plot_operators(profile()),
    "latency": lambda: plots.plot_latency(baseline()),
    "ceiling": lambda: plots.plot_ceiling(ceilings()),
    "ceiling, fp32 only": lambda: plots.plot_ceiling(ceilings(bf16_flop_per_sec=None, int8_op_per_sec=None)),
    "slices": lambda: plots.plot_slices([part("short"), part("long")], has_candidate=False),
    "slices of two": lambda: plots.plot_slices([part("short"), part("long")], has_candidate=True),
    "one slice, all right": lambda: plots.plot_slices(
        [part("only", baseline_accuracy_ratio=1.0, candidate_accuracy_ratio=1.0)], has_candidate=True
    ),
    "lives": lambda: plots.plot_lives(comparison()),
    "lives without bounds": lambda: plots.plot_lives(comparison(unbounded())),
    "lives, slower": lambda: plots.plot_lives(comparison(scenario("offline", "REGRESSION"))),
    "summary": lambda: plots.plot_summary(SUMMARY, margin_ratio=0.01),
    "summary without bounds": lambda: plots.plot_summary(
        [candidate(single_p50_speedup_ratio=None, accuracy_change=LowerBound(-0.01, None))], margin_ratio=0.01
    ),
    "summary without speed": lambda: plots.plot_summary(
        [candidate("x", "quarantined", single_p50_speedup_ratio=None, offline_throughput_speedup_ratio=None)],
        margin_ratio=0.01,
    ),
}


@pytest.fixture(autouse=True)
def _house_style() -> Iterator[None]:
    with mpl.rc_context():
        plots.use_house_style()
        yield
    plt.close("all")


def panels(axes: Any) -> list[Axes]:
    """Return the panels of a figure."""
    return list(axes) if isinstance(axes, tuple) else [axes]


@pytest.mark.parametrize("name", FIGURES)
def test_every_figure_has_words_a_title_and_units(name: str) -> None:
    """The label says in words what is drawn, the title is there, every quantity has its unit in brackets."""
    figure, axes = FIGURES[name]()
    figure.canvas.draw()

    assert len(figure.get_label()) > 30
    assert figure.get_label().endswith(".")
    for ax in panels(axes):
        assert ax.get_title(loc="left")
        assert "[" in ax.get_xlabel()
        assert "]" in ax.get_xlabel()


def test_the_house_style_sets_the_defaults() -> None:
    """No box around the data, titles to the left, one width."""
    assert mpl.rcParams["axes.spines.top"] is False
    assert mpl.rcParams["axes.titlelocation"] == "left"
    assert mpl.rcParams["figure.figsize"][0] == plots.WIDTH_INCH


def test_lengths_start_at_zero() -> None:
    """Bars, latencies and speed-ups are not cut; accuracy by slice is, and says so."""
    for name in ("operators", "latency", "ceiling", "lives", "summary"):
        assert panels(FIGURES[name]()[1])[0].get_xlim()[0] == 0
    assert "axis cut" in FIGURES["slices"]()[1].get_xlabel()


def test_titles_are_findings() -> None:
    """They are computed from the record."""
    assert FIGURES["operators"]()[1].get_title(loc="left") == "addmm takes 75 % of the time"
    assert FIGURES["ceiling"]()[1].get_title(loc="left") == "int8 can multiply 6.0× as fast as fp32 here"
    assert FIGURES["latency"]()[1].get_title(loc="left") == "Half of single calls take 30.0 ms or less"


def test_without_candidates_the_figure_says_so() -> None:
    """No candidate, and a candidate that was never validated, give one line of text and no crash."""
    for candidates in ([], [candidate(verdict="failed", accuracy_change=None)]):
        figure, _ = plots.plot_summary(candidates, margin_ratio=0.01)
        figure.canvas.draw()

        assert "nothing to draw" in figure.get_label()


def test_the_text_alternative_holds_the_numbers() -> None:
    """Every scenario and the accuracy of every candidate are told with their bounds."""
    told = FIGURES["summary"]()[0].get_label()

    assert "int8 single 3.00× [2.80, 3.20]" in told
    assert "bf16 offline 1.10×" in told
    assert "int8 accuracy −0.57 pp, at worst −1.36 pp" in told
    assert "margin is 1 points" in told


def test_drawing_leaves_the_record_alone() -> None:
    """The same record gives the same words twice."""
    assert FIGURES["lives"]()[0].get_label() == FIGURES["lives"]()[0].get_label()
