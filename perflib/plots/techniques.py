"""Every candidate of a run by technique: how fast, how small, and which of them may be shipped."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, NullFormatter, NullLocator

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
    shortened,
    wrapped,
)
from perflib.results import Estimate
from perflib.results.techniques import TechniqueRow

_COLOURS = {"approved": CANDIDATE, "quarantined": WARNING, "undecided": BASELINE, "failed": WARNING}
_SCENARIOS = (("one at a time", "D", 0.16), ("all at once", "o", -0.16))
_NAME_CHARACTERS = 24


def plot_techniques(rows: Sequence[TechniqueRow]) -> tuple[Figure, Any]:
    """
    Draw the speed-ups of every candidate on a scale where equal factors have equal lengths, family by family.

    A filled mark is approved, a hollow one is not; the share at the right edge is the size of the file. A grey tick is
    the most that the part which a technique speeds up could give in throughput; beyond it the rest was sped up too.
    """
    if not any(row.best_ratio for row in rows):
        return empty_figure("No candidate of this run was timed, so there is no technique to compare.")
    fig, ax = plt.subplots(figsize=(1.25 * WIDTH_INCH, 0.33 * len(rows) + 2.0))
    told = [_draw(ax, place, row) for place, row in enumerate(rows)]
    ax.axvline(1, color=BASELINE, lw=1.5, zorder=1)
    for place, (above, below) in enumerate(pairwise(rows)):
        if above.family != below.family:
            ax.axhline(place + 0.5, color=UNDECIDED, lw=0.8, zorder=0)
    names = [f"{shortened(row.name, _NAME_CHARACTERS)}  ·  {row.family}" for row in rows]
    ax.set_yticks(range(len(rows)), names, fontsize=8)
    ax.set_ylim(len(rows) - 0.4, -0.6)
    _scale(ax, rows)
    for place, row in enumerate(rows):
        size = units.percent(row.candidate.size_ratio, 0)
        ax.annotate(size, (1.02, place), xycoords=("axes fraction", "data"), va="center", fontsize=8, color=INK)
    ax.annotate("size", (1.02, 1.0), xycoords="axes fraction", xytext=(0, 4), textcoords="offset points", fontsize=8)
    fig.legend(handles=_key(rows), loc="outside lower center", ncols=6, fontsize=8, frameon=False, handletextpad=0.3)
    ax.set_title(wrapped(_finding(rows), 70))
    return labelled(fig, ax, f"{_finding(rows)}. {'; '.join(told)}.")


def _draw(ax: Axes, place: int, row: TechniqueRow) -> str:
    one = row.candidate
    colour, said = _COLOURS[one.verdict], []
    measured = (one.single_p50_speedup_ratio, one.offline_throughput_speedup_ratio)
    for (words, marker, offset), ratio in zip(_SCENARIOS, measured, strict=True):
        if ratio is not None:
            face = colour if one.verdict == "approved" else "white"
            _interval(ax, ratio, place - offset, colour)
            ax.plot(ratio.estimate, place - offset, marker, color=colour, mfc=face, ms=6, zorder=3)
            said.append(f"{units.speedup(ratio.estimate, ratio.low, ratio.high)} {words}")
    if row.bound_ratio is not None:
        ax.plot(row.bound_ratio, place + 0.16, "|", color=BASELINE, ms=11, mew=2, zorder=2)
        said.append(f"its part alone at most {units.speedup(row.bound_ratio)}")
    speeds = ", ".join(said) or "not timed"
    return f"{row.name} ({row.family}), {one.verdict}: {speeds}, {units.percent(one.size_ratio, 0)} of the size"


def _interval(ax: Axes, ratio: Estimate, place: float, colour: str) -> None:
    if ratio.low is not None and ratio.high is not None:
        ax.hlines(place, ratio.low, ratio.high, color=colour, lw=1.5, zorder=2)


def _scale(ax: Axes, rows: Sequence[TechniqueRow]) -> None:
    """Set a scale of doublings that holds every mark."""
    seen = [1.0]
    for row in rows:
        measured = (row.candidate.single_p50_speedup_ratio, row.candidate.offline_throughput_speedup_ratio)
        for ratio in (one for one in measured if one is not None):
            seen += [ratio.estimate, ratio.low or ratio.estimate, ratio.high or ratio.estimate]
        seen += [row.bound_ratio] if row.bound_ratio is not None else []
    ax.set_xscale("log", base=2)
    ax.set_xlim(min(seen) / 1.25, max(*seen, 2.0) * 1.25)
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}×"))
    ax.xaxis.set_minor_formatter(NullFormatter())
    ax.xaxis.set_minor_locator(NullLocator())
    ax.set(xlabel="Speed-up over the baseline [×]")
    ax.grid(axis="x")


def _key(rows: Sequence[TechniqueRow]) -> list[Line2D]:
    verdicts = [word for word in _COLOURS if any(row.candidate.verdict == word for row in rows) and word != "failed"]
    marks = [Line2D([], [], color=INK, marker=marker, ls="", ms=6, label=words) for words, marker, _ in _SCENARIOS]
    for word in verdicts:
        face = _COLOURS[word] if word == "approved" else "white"
        marks.append(Line2D([], [], color=_COLOURS[word], marker="s", mfc=face, ls="", ms=6, label=word))
    if any(row.bound_ratio is not None for row in rows):
        marks.append(Line2D([], [], color=BASELINE, marker="|", ls="", ms=10, mew=2, label="its part alone, at most"))
    return marks


def _finding(rows: Sequence[TechniqueRow]) -> str:
    approved = [row for row in rows if row.candidate.verdict == "approved"]
    if not approved:
        return f"None of {len(rows)} {'candidate' if len(rows) == 1 else 'candidates'} may be shipped"
    best = max(approved, key=lambda row: row.best_ratio)
    return (
        f"{len(approved)} of {len(rows)} may be shipped; the fastest is {shortened(best.name)} ({best.family}), "
        f"{units.speedup(best.best_ratio)}"
    )
