"""The measured waterfall: from the baseline to the candidate, step by step, on a scale where factors are lengths."""

from collections.abc import Sequence
from typing import Any

from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullFormatter

from perflib import units
from perflib.plots.style import BASELINE, CANDIDATE, INK, UNDECIDED, WARNING, WIDTH_INCH, empty_figure, labelled
from perflib.results import Interval, Ladder, LadderTotal

# A step is a part of the candidate: its blue, lighter.
STEP = "#7FB8D8"


def plot_ladder(ladder: Ladder) -> tuple[Figure, Any]:
    """
    Draw one panel a scenario: a bar for every step, what the steps leave open, and the total with its interval.

    The scale is logarithmic, so that equal factors have equal lengths wherever they start.
    """
    if not ladder.totals or not ladder.rungs:
        return empty_figure("No step of the recipe was timed, so there is nothing to draw.")
    rows_count = len(ladder.rungs) + 2
    fig, axes = plt.subplots(
        1, len(ladder.totals), figsize=(WIDTH_INCH * 1.25, 0.42 * rows_count + 1.3), sharey=True, squeeze=False
    )
    told = [_panel(ax, ladder, total) for ax, total in zip(axes[0], ladder.totals, strict=True)]
    names = [rung.stage for rung in ladder.rungs]
    axes[0][0].set_yticks(range(rows_count), [*names, "left open", "all together"])
    axes[0][0].invert_yaxis()
    return labelled(fig, tuple(axes[0]), f"Steps of {ladder.name}. {' '.join(told)}")


def _panel(ax: Axes, ladder: Ladder, total: LadderTotal) -> str:
    factors = [
        (rung.stage, speed.factor_ratio)
        for rung in ladder.rungs
        for speed in rung.speeds
        if speed.scenario == total.scenario
    ]
    reached, told, ends = 1.0, [], [1.0]
    for place, (stage, factor) in enumerate(factors):
        end = reached * factor.estimate
        _bar(ax, place, reached, end, STEP if factor.estimate >= 1 else WARNING)
        if factor.low is not None and factor.high is not None:
            ax.hlines(place, reached * factor.low, reached * factor.high, color=INK, lw=1.2)
        _write(ax, place, reached, end, factor)
        told.append(f"{stage} {units.speedup(factor.estimate, factor.low, factor.high)}")
        ends += [end, reached * (factor.high or factor.estimate)]
        reached = end
    _bar(ax, len(factors), reached, total.total_ratio.estimate, UNDECIDED)
    _write(ax, len(factors), reached, total.total_ratio.estimate, Interval(total.unattributed_ratio, None, None, 0.9))
    _bar(ax, len(factors) + 1, 1.0, total.total_ratio.estimate, CANDIDATE)
    if total.total_ratio.low is not None and total.total_ratio.high is not None:
        ax.hlines(len(factors) + 1, total.total_ratio.low, total.total_ratio.high, color=INK, lw=1.2)
    _write(ax, len(factors) + 1, 1.0, total.total_ratio.estimate, total.total_ratio)
    ends += [total.total_ratio.estimate, total.total_ratio.high or 1.0]
    _scale(ax, ends)
    ax.set_title(f"{total.scenario}: {units.speedup(total.total_ratio.estimate)} in all")
    whole = units.speedup(total.total_ratio.estimate, total.total_ratio.low, total.total_ratio.high)
    return (
        f"In {total.scenario}: {', '.join(told)}; left open {units.speedup(total.unattributed_ratio)}; "
        f"all together {whole}."
    )


def _bar(ax: Axes, place: int, start: float, end: float, colour: str) -> None:
    ax.barh(place, end - start, left=start, color=colour, height=0.62)


def _write(ax: Axes, place: int, start: float, end: float, factor: Interval) -> None:
    right = max(start, end, start * (factor.high or 0.0) if factor.high else 0.0)
    ax.annotate(
        units.speedup(factor.estimate, factor.low, factor.high),
        (right, place),
        xytext=(5, 0),
        textcoords="offset points",
        va="center",
        fontsize=7.5,
    )


def _scale(ax: Axes, ends: Sequence[float]) -> None:
    ax.set_xscale("log", base=2)
    ax.set_xlim(0.9 * min(ends), 3.2 * max(ends))
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}×"))
    ax.xaxis.set_minor_formatter(NullFormatter())
    ax.axvline(1, color=BASELINE, lw=1.2)
    ax.grid(axis="x")
    ax.set_xlabel("Speed over the baseline [×, log scale]")
