"""What was predicted, and what the experiment of each prediction measured: one row a finding, on a scale of factors."""

from collections.abc import Mapping, Sequence

from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullFormatter, NullLocator

from perflib import units
from perflib.plots.style import (
    BASELINE,
    CANDIDATE,
    HARMLESS,
    INK,
    WARNING,
    WIDTH_INCH,
    empty_figure,
    labelled,
    shortened,
    wrapped,
)
from perflib.results import Finding, FindingOutcome, Findings

_COLOURS: Mapping[str, str] = {"confirmed": HARMLESS, "refuted": WARNING, "undecided": CANDIDATE, "not tried": BASELINE}


def plot_findings(findings: Findings, outcomes: Sequence[FindingOutcome] = ()) -> tuple[Figure, Axes]:
    """
    Draw every predicted ratio as an open marker and the measured one of its experiment as a filled one with its bounds.

    Args:
        findings: In the order in which they are drawn.
        outcomes: Of the same findings; none where nothing was tried yet.
    """
    if not findings.findings:
        return empty_figure("No rule found anything worth an experiment.")
    by_finding = {_key(one.finding): one for one in outcomes}
    rows = [by_finding.get(_key(one)) or FindingOutcome(one, None, "not tried") for one in findings.findings]
    fig, ax = plt.subplots(figsize=(WIDTH_INCH * 1.15, 0.36 * len(rows) + 1.75))
    ends = [1.0]
    for place, row in enumerate(rows):
        ends += _draw(ax, place, row)
    ax.set_yticks(range(len(rows)), [f"{shortened(one.finding.rule, 28)}, {one.finding.scenario}" for one in rows])
    ax.set_ylim(len(rows) - 0.5, -0.5)
    _scale(ax, ends)
    _legend(ax, {row.outcome for row in rows})
    ax.set_title(wrapped(_title(rows)))
    return labelled(fig, ax, " ".join(_told(row) for row in rows))


def _draw(ax: Axes, place: int, row: FindingOutcome) -> list[float]:
    predicted, measured, colour = row.finding.predicted_speedup_ratio, row.measured_ratio, _COLOURS[row.outcome]
    ax.plot(predicted, place, "o", mfc="white", mec=INK, ms=7, mew=1.3, zorder=4)
    ends = [predicted]
    if measured is not None:
        # A line from promise to measurement, so that the eye finds the pair.
        ax.hlines(place, predicted, measured.estimate, color=BASELINE, lw=0.8, ls=":", zorder=1)
        if measured.low is not None and measured.high is not None:
            ax.hlines(place, measured.low, measured.high, color=colour, lw=2.2, zorder=2)
            ends += [measured.low, measured.high]
        ax.plot(measured.estimate, place, "D", color=colour, ms=6, zorder=3)
        ends.append(measured.estimate)
    ax.annotate(
        row.outcome,
        (1.0, place),
        xytext=(4, 0),
        xycoords=("axes fraction", "data"),
        textcoords="offset points",
        va="center",
        color=colour,
        fontsize=8,
        annotation_clip=False,
    )
    return ends


def _scale(ax: Axes, ends: Sequence[float]) -> None:
    ax.set_xscale("log", base=2)
    ax.set_xlim(0.85 * min(ends), 1.15 * max(ends))
    ax.xaxis.set_major_locator(MaxNLocator(nbins=7, steps=[1, 2, 5, 10]))
    ax.xaxis.set_minor_locator(NullLocator())
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}×"))
    ax.xaxis.set_minor_formatter(NullFormatter())
    ax.axvline(1, color=BASELINE, lw=1.2, zorder=0)
    ax.grid(axis="x")
    ax.set_xlabel("Speed over the profiled model [×, log scale]")


def _legend(ax: Axes, outcomes: set[str]) -> None:
    handles = [Line2D([], [], ls="", marker="o", mfc="white", mec=INK, ms=7, label="predicted")]
    handles += [
        Line2D([], [], lw=2.2, marker="D", ms=6, color=_COLOURS[one], label=f"measured, {one}")
        for one in ("confirmed", "undecided", "refuted")
        if one in outcomes
    ]
    ax.figure.legend(handles=handles, loc="outside lower center", ncols=4, frameon=False, fontsize=8)


def _title(rows: Sequence[FindingOutcome]) -> str:
    tried = [row for row in rows if row.outcome != "not tried"]
    if not tried:
        best = rows[0].finding
        ratio = units.speedup(best.predicted_speedup_ratio)
        return f"The largest promise: {best.rule}, {ratio} in {best.scenario}"
    count = sum(row.outcome == "confirmed" for row in tried)
    return f"{count} of the {len(tried)} findings that were tried came true"


def _told(row: FindingOutcome) -> str:
    words = (
        f"{row.finding.rule} in {row.finding.scenario}: {units.speedup(row.finding.predicted_speedup_ratio)} predicted"
    )
    if row.measured_ratio is not None:
        found = row.measured_ratio
        words += f", {units.speedup(found.estimate, found.low, found.high)} measured with {row.finding.experiment}"
    return f"{words}, {row.outcome}."


def _key(finding: Finding) -> tuple[str, str]:
    return finding.rule, finding.scenario
