"""Figure and tables of findings: promises beside measurements, in order, in words too, and nothing unescaped."""

import dataclasses
from collections.abc import Iterator

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib import pyplot as plt
from matplotlib.axes import Axes

from perflib import plots
from perflib.plots.findings import plot_findings
from perflib.results import Finding, FindingOutcome, Findings, Interval
from perflib.tables.findings import findings_table, outcomes_table

mpl.use("Agg")


def finding(rule: str, ratio: float, experiment: str = "sorted", scenario: str = "offline") -> Finding:
    """Make a finding of this price."""
    return Finding(
        rule=rule,
        scenario=scenario,
        claim=f"{rule} <takes> time.",
        evidence="gelu 24 % & more",
        share_ratio=0.5,
        part_speedup_ratio=None,
        predicted_speedup_ratio=ratio,
        assumption="lengths differ",
        experiment=experiment,
        recipe=({"runtime": {"batching": "sorted"}},),
    )


SOME = (
    finding("int8", 6.3, "int8"),
    finding("unfused", 2.0, "aotinductor"),
    finding("padding", 1.8),
    finding("dispatch", 1.3, "openvino", "single"),
    finding("encoding", 1.04, ""),
)
FINDINGS = Findings("baseline", "0" * 64, "two-cores", SOME)
OUTCOMES = (
    FindingOutcome(SOME[0], Interval(6.1, 5.8, 6.4, 0.9), "confirmed"),
    FindingOutcome(SOME[1], Interval(1.1, 1.0, 1.2, 0.9), "refuted"),
    FindingOutcome(SOME[2], Interval(1.35, None, None, 0.9), "undecided"),
    FindingOutcome(SOME[3], Interval(1.1, 1.05, 1.2, 0.9), "undecided"),
    FindingOutcome(SOME[4], None, "not tried"),
)


@pytest.fixture(autouse=True)
def house_style() -> Iterator[None]:
    """Draw as the notebooks do and close what was drawn."""
    with mpl.rc_context():
        plots.use_house_style()
        yield
    plt.close("all")


def markers(ax: Axes, marker: str) -> list[tuple[float, float]]:
    """Return the places of one kind of marker."""
    lines = [line for line in ax.get_lines() if line.get_marker() == marker]
    return [(float(x), float(y)) for line in lines for x, y in np.asarray(line.get_xydata())]


def test_promises_and_measurements_stand_on_their_rows() -> None:
    """Open circles at every prediction, diamonds at every measurement, and nothing outside the axis."""
    fig, ax = plot_findings(FINDINGS, OUTCOMES)
    fig.canvas.draw()

    assert markers(ax, "o") == [(one.predicted_speedup_ratio, row) for row, one in enumerate(SOME)]
    assert markers(ax, "D") == [(6.1, 0), (1.1, 1), (1.35, 2), (1.1, 3)]
    low, high = ax.get_xlim()
    assert low < 1.0
    assert high > 6.4
    assert ax.get_xscale() == "log"
    assert ax.yaxis_inverted()


def test_the_words_say_everything_that_is_drawn() -> None:
    """Predicted, measured with its experiment, outcome; the title counts what was tried."""
    fig, ax = plot_findings(FINDINGS, OUTCOMES)

    assert ax.get_title(loc="left") == "1 of the 4 findings that were tried came true"
    words = str(fig.get_label())
    assert "int8 in offline: 6.30× predicted, 6.10× [5.80, 6.40] measured with int8, confirmed." in words
    assert "encoding in offline: 1.04× predicted, not tried." in words
    assert "×" in ax.get_xlabel()


def test_the_figure_is_drawn_before_anything_was_tried() -> None:
    """Predictions alone, and the title is the largest one."""
    _, ax = plot_findings(FINDINGS)

    assert markers(ax, "D") == []
    assert "int8, 6.30× in offline" in ax.get_title(loc="left")


def test_one_finding_and_none_have_a_figure() -> None:
    """A single row, a ratio of exactly 1, and a sentence where there is nothing."""
    warning = dataclasses.replace(FINDINGS, findings=(finding("int8-without-instructions", 1.0),))
    fig, _ = plot_findings(warning)
    fig.canvas.draw()
    empty, _ = plot_findings(dataclasses.replace(FINDINGS, findings=()))

    assert "No rule found" in str(empty.get_label())


def test_tables_say_how_to_find_out_and_escape_words() -> None:
    """Price, assumption, experiment with its recipe; what people wrote is no markup."""
    whole = findings_table(FINDINGS)

    assert whole.count("<tr>") == 1 + len(SOME)
    assert "int8 &lt;takes&gt; time." in whole
    assert "gelu 24 % &amp; more" in whole
    assert "<code>sorted</code>: runtime (batching: sorted)" in whole
    assert "do not add them" in whole


def test_outcomes_are_one_row_each() -> None:
    """Measured with bounds, without bounds, and not at all."""
    whole = outcomes_table(OUTCOMES)

    assert "<td>6.10× [5.80, 6.40]</td><td>confirmed</td>" in whole
    assert "<td>1.35×</td><td>undecided</td>" in whole
    assert "<td>–</td><td>not tried</td>" in whole
