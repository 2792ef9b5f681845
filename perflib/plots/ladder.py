"""The measured waterfall: from the baseline to the candidate, step by step, on a scale where factors are lengths."""

from collections.abc import Sequence
from typing import Any

from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullFormatter

from perflib import units
from perflib.plots.style import (
    BASELINE,
    CANDIDATE,
    INK,
    UNDECIDED,
    WARNING,
    WIDTH_INCH,
    empty_figure,
    labelled,
    wrapped,
)
from perflib.results import Interval, Ladder, LadderTotal

# A step is a part of the candidate: its blue, lighter.
STEP = "#7FB8D8"
_NAME_CHARACTERS = 22


def plot_ladder(ladder: Ladder) -> tuple[Figure, Any]:
    """
    Draw one panel a scenario: a bar for every step, what the steps leave open, and the total with its interval.

    The scale is logarithmic, so that equal factors have equal lengths wherever they start.
    """
    bars = [
        [
            (rung.stage if rung.is_of_recipe else f"[{rung.stage}]", speed.factor_ratio)
            for rung in ladder.rungs
            for speed in rung.speeds
            if speed.scenario == total.scenario
        ]
        for total in ladder.totals
    ]
    return _draw(ladder, bars, f"Steps of {ladder.name}.")


def plot_waterfall(ladder: Ladder) -> tuple[Figure, Any]:
    """
    Draw why a candidate is faster or not: one panel a scenario, a bar for every kind of change, as `plot_ladder`.

    All steps of one kind are one bar; what slows down has the warning colour.
    """
    bars = [[(one.category, one.factor_ratio) for one in total.categories] for total in ladder.totals]
    return _draw(ladder, bars, f"What each change gave {ladder.name}.")


def _draw(ladder: Ladder, bars: Sequence[Sequence[tuple[str, Interval]]], head: str) -> tuple[Figure, Any]:
    if not ladder.totals or not all(bars):
        return empty_figure("No step of the recipe was timed, so there is nothing to draw.")
    rows_count = len(bars[0]) + 2
    fig, axes = plt.subplots(
        1, len(ladder.totals), figsize=(WIDTH_INCH * 1.25, 0.42 * rows_count + 1.3), sharey=True, squeeze=False
    )
    told = [_panel(ax, some, total) for ax, some, total in zip(axes[0], bars, ladder.totals, strict=True)]
    names = [wrapped(name, _NAME_CHARACTERS) for name, _ in bars[0]]
    axes[0][0].set_yticks(range(rows_count), [*names, "left open", "all together"])
    axes[0][0].invert_yaxis()
    return labelled(fig, tuple(axes[0]), f"{head} {' '.join(told)}")


def _panel(ax: Axes, factors: Sequence[tuple[str, Interval]], total: LadderTotal) -> str:
    reached, told, ends = 1.0, [], [1.0]
    for place, (name, factor) in enumerate(factors):
        end = reached * factor.estimate
        _bar(ax, place, reached, end, STEP if factor.estimate >= 1 else WARNING)
        _whisker(ax, place, reached, factor)
        _write(ax, place, reached, end, factor)
        told.append(f"{name} {units.speedup(factor.estimate, factor.low, factor.high)}")
        ends += [end, reached * (factor.high or factor.estimate), reached * (factor.low or factor.estimate)]
        reached = end
    whole, left = total.total_ratio, total.unattributed_ratio
    _bar(ax, len(factors), reached, whole.estimate, UNDECIDED)
    _whisker(ax, len(factors), reached, left)
    _write(ax, len(factors), reached, whole.estimate, left)
    _bar(ax, len(factors) + 1, 1.0, whole.estimate, CANDIDATE if whole.estimate >= 1 else WARNING)
    _whisker(ax, len(factors) + 1, 1.0, whole)
    _write(ax, len(factors) + 1, 1.0, whole.estimate, whole)
    ends += [whole.estimate, whole.high or 1.0, reached * (left.low or 1.0), reached * (left.high or 1.0)]
    _scale(ax, ends)
    ax.set_title(f"{total.scenario}: {units.speedup(whole.estimate)} in all")
    return (
        f"In {total.scenario}: {', '.join(told)}; left open {units.speedup(left.estimate, left.low, left.high)}; "
        f"all together {units.speedup(whole.estimate, whole.low, whole.high)}."
    )


def _whisker(ax: Axes, place: int, start: float, factor: Interval) -> None:
    if factor.low is not None and factor.high is not None:
        ax.hlines(place, start * factor.low, start * factor.high, color=INK, lw=1.2)


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
