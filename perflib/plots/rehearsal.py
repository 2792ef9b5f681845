"""A rehearsal: who answered the users, window by window, when a fault was planted, seen, and everybody was back."""

import itertools
from typing import Any

from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import PercentFormatter

from perflib import units
from perflib.plots.style import (
    CANDIDATE,
    HARMLESS,
    INK,
    UNDECIDED,
    WARNING,
    WIDTH_INCH,
    empty_figure,
    labelled,
    wrapped,
)
from perflib.results.governance import Rehearsal, RehearsedFault, TrafficPoint

_COLUMN_COUNT = 2
_TITLES = {
    "error rate": "Failed answers",
    "labels": "Wrong labels",
    "latency": "Late answers",
    "none": "Nothing planted",
}
_PLANTED, _SEEN, _BACK = (WARNING, "-"), (INK, ":"), (HARMLESS, "-")


def plot_rehearsal(rehearsal: Rehearsal) -> tuple[Figure, Any]:
    """
    Draw one panel for each planted fault: the share of users whom the candidate answered, in each window.

    Args:
        rehearsal: As it was recorded.
    """
    drawn = [one for one in rehearsal.faults if _points(rehearsal, one)]
    if not drawn:
        return empty_figure("No traffic was recorded in this rehearsal, so there is nothing to draw.")
    row_count = -(-len(drawn) // _COLUMN_COUNT)
    fig, grid = plt.subplots(
        row_count, _COLUMN_COUNT, sharey=True, squeeze=False, figsize=(WIDTH_INCH, 1.75 * row_count + 1.1)
    )
    axes = list(grid.flat)
    for ax, fault in zip(axes, drawn, strict=False):
        _panel(ax, fault, _points(rehearsal, fault))
    for ax in axes[len(drawn) :]:
        ax.axis("off")
    for ax in grid[:, 0]:
        ax.set_ylabel("Users' requests [%]")
    _legend(fig)
    fig.suptitle(wrapped(_title(rehearsal), 72), x=0.01, ha="left", fontsize=11, fontweight="bold")
    told = " ".join(one.sentence for one in drawn)
    return labelled(fig, axes[: len(drawn)], f"{_title(rehearsal)}. {told}")


def _panel(ax: Axes, fault: RehearsedFault, points: list[TrafficPoint]) -> None:
    width_sec = _window_sec(points)
    middles = [point.at_sec - width_sec / 2 for point in points]
    shares = [point.candidate_ratio for point in points]
    ax.bar(middles, [1.0] * len(points), width=width_sec, color=UNDECIDED, lw=0)
    ax.bar(middles, shares, width=width_sec, color=CANDIDATE, lw=0)
    is_planted = fault.fault != "none" and fault.planted != "nothing"
    if is_planted:
        ax.axvline(0, color=_PLANTED[0], ls=_PLANTED[1], lw=1.6)
    for moment_sec, (colour, line) in ((fault.rolled_back_sec, _BACK), (fault.seen_sec, _SEEN)):
        if moment_sec is not None:
            ax.axvline(moment_sec, color=colour, ls=line, lw=2.2)
    if fault.rolled_back_sec is not None:
        ax.annotate(
            f"back after\n{units.duration(fault.rolled_back_sec)}",
            (fault.rolled_back_sec, 0.5),
            xytext=(5, 0),
            textcoords="offset points",
            va="center",
            fontsize=8,
            color=INK,
        )
    _stages(ax, points, width_sec)
    where = f", in stage {fault.stage}" if fault.fault != "none" else ""
    ax.set_title(f"{_TITLES.get(fault.fault, fault.fault)}{where}", fontsize=9)
    ax.set_xlim(points[0].at_sec - width_sec, max(points[-1].at_sec, fault.rolled_back_sec or 0.0))
    ax.set_ylim(0, 1)
    ax.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0, symbol=""))
    ax.set_yticks([0, 0.5, 1])
    ax.set_xlabel("Since the planting [s]" if is_planted else "Since the start [s]", fontsize=8)
    ax.tick_params(labelsize=8)


def _stages(ax: Axes, points: list[TrafficPoint], width_sec: float) -> None:
    """Name the stages where there is more than one, each over its own windows."""
    groups = [list(group) for _, group in itertools.groupby(points, key=lambda point: point.stage)]
    if len(groups) < 2:
        return
    for group in groups:
        start_sec, end_sec = group[0].at_sec - width_sec, group[-1].at_sec
        ax.axvline(start_sec, color="white", lw=1)
        is_blue = group[-1].candidate_ratio > 0.75
        ax.text(
            (start_sec + end_sec) / 2,
            0.75,
            group[0].stage,
            rotation=90,
            ha="center",
            va="center",
            fontsize=8,
            color="white" if is_blue else INK,
        )


def _legend(fig: Figure) -> None:
    handles = [
        Patch(color=CANDIDATE, label="candidate answers"),
        Patch(color=UNDECIDED, label="baseline answers"),
        Line2D([], [], color=_PLANTED[0], ls=_PLANTED[1], lw=1.6, label="fault planted"),
        Line2D([], [], color=_SEEN[0], ls=_SEEN[1], lw=2.2, label="seen"),
        Line2D([], [], color=_BACK[0], ls=_BACK[1], lw=2.2, label="everybody is back"),
    ]
    fig.legend(handles=handles, loc="outside lower left", ncols=5, frameon=False, fontsize=8, columnspacing=1.0)


def _title(rehearsal: Rehearsal) -> str:
    faults = [one for one in rehearsal.faults if one.fault != "none"]
    back = [one.rolled_back_sec for one in faults if one.rolled_back_sec is not None]
    if not faults or len(back) < len(faults) or not rehearsal.is_passed:
        bad_count = sum(not one.is_as_planned for one in rehearsal.faults)
        return f"The rehearsal of {rehearsal.candidate} did not go as planned in {bad_count} of {len(rehearsal.faults)}"
    return (
        f"Each of {len(faults)} planted faults sent everybody back to the baseline by itself, at the latest after "
        f"{units.duration(max(back))}"
    )


def _points(rehearsal: Rehearsal, fault: RehearsedFault) -> list[TrafficPoint]:
    return [point for point in rehearsal.traffic if point.fault == fault.fault]


def _window_sec(points: list[TrafficPoint]) -> float:
    """Return the length of a window: the least distance of two points."""
    gaps = [after.at_sec - before.at_sec for before, after in itertools.pairwise(points)]
    return min((gap for gap in gaps if gap > 0), default=1.0)
