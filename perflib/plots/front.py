"""What a search found: every combination that was screened, and the front that none of the others beats."""

import dataclasses
from collections.abc import Collection, Sequence
from typing import Any

from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

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
from perflib.results import Candidate, Estimate, Interval, Search, SearchTrial
from perflib.sentences.search import recipe_words

# Points² of a marker as large as the baseline; a smaller artifact has a smaller marker, but still one to be seen.
_BASELINE_AREA, _LEAST_AREA = 220.0, 18.0
_KEY_CHARACTERS = 118
_LINE_INCH = 0.19


@dataclasses.dataclass(frozen=True)
class _Point:
    """One combination or candidate, as both panels draw it; ``label`` is what stands beside it on the front."""

    label: str
    words: str
    single: Interval | Estimate
    offline: Interval | Estimate
    size_ratio: float
    change_ratio: float
    low_ratio: float | None
    is_front: bool


def plot_front(record: Search) -> tuple[Figure, Any]:
    """
    Draw throughput against single speed-up, and accuracy against throughput with the constraint, side by side.

    A marker's area is the size of the artifact; what breaks the constraint is hollow, and stands at the edge where it
    was not timed. The front is joined and numbered; the numbers are explained below.
    """
    points = [
        _Point(
            label=str(place),
            words=recipe_words(trial.recipe),
            single=_known(trial.single_speedup_ratio),
            offline=_known(trial.offline_speedup_ratio),
            size_ratio=trial.size_ratio or 0.0,
            change_ratio=trial.tuning_change_ratio or 0.0,
            low_ratio=trial.tuning_low_ratio,
            is_front=place in record.front,
        )
        for place, trial in enumerate(record.trials)
        if trial.gains is not None
    ]
    if not points:
        return empty_figure("No combination was screened that keeps the constraint, so there is no front to draw.")
    front = [one for one in points if one.is_front]
    fig, (speed, quality) = _panels(points, margin_ratio=record.max_accuracy_drop_ratio, key_count=len(front))
    _hollow(quality, record)
    speed.set_title("How much faster (screens)", fontsize=10)
    quality.set(ylabel="Accuracy change on tuning [points]")
    tried_count = sum(trial.status != "refused" for trial in record.trials)
    fig.suptitle(wrapped(_finding(front, tried_count), 84), x=0.01, ha="left", fontsize=11, fontweight="bold")
    key = [shortened(f"{one.label}  {one.words}", _KEY_CHARACTERS) for one in front]
    fig.supxlabel("\n".join(key), x=0.01, ha="left", fontsize=8, color=INK)
    told = "; ".join(f"{one.label}, {one.words}: {_point_words(one)}" for one in front)
    return labelled(
        fig,
        (speed, quality),
        f"The front of a search, by screens on the tuning split: {told}. {len(_infeasible(record))} of "
        f"{len(record.trials)} combinations break the constraint of {units.points(-record.max_accuracy_drop_ratio)}.",
    )


def plot_candidates(
    candidates: Sequence[Candidate], front: Collection[str], *, margin_ratio: float
) -> tuple[Figure, Any]:
    """
    Draw the measured candidates of a run as `plot_front` draws the trials of a search.

    Args:
        candidates: Those that were timed in both scenarios and validated are drawn.
        front: Names of those that no other approved candidate beats.
        margin_ratio: The loss of accuracy that is allowed.
    """
    points = [
        _Point(
            label=one.name,
            words=one.name,
            single=one.single_p50_speedup_ratio,
            offline=one.offline_throughput_speedup_ratio,
            size_ratio=one.size_ratio,
            change_ratio=one.accuracy_change.estimate,
            low_ratio=one.accuracy_change.low,
            is_front=one.name in front,
        )
        for one in candidates
        if one.single_p50_speedup_ratio and one.offline_throughput_speedup_ratio
        if one.size_ratio is not None and one.accuracy_change is not None
    ]
    on_front = [one for one in points if one.is_front]
    if not on_front:
        return empty_figure("No candidate is approved in both scenarios, so there is no front to draw.")
    fig, (speed, quality) = _panels(points, margin_ratio=margin_ratio, key_count=0)
    speed.set_title("How much faster", fontsize=10)
    quality.set(ylabel="Accuracy change on test [points]")
    fig.suptitle(wrapped(_finding(on_front, len(points)), 84), x=0.01, ha="left", fontsize=11, fontweight="bold")
    told = "; ".join(f"{one.words}: {_point_words(one)}" for one in on_front)
    return labelled(fig, (speed, quality), f"The front of the approved candidates: {told}.")


def _panels(points: Sequence[_Point], *, margin_ratio: float, key_count: int) -> tuple[Figure, tuple[Axes, Axes]]:
    fig, (speed, quality) = plt.subplots(1, 2, figsize=(1.3 * WIDTH_INCH, 3.6 + _LINE_INCH * key_count))
    for one in points:
        colour = CANDIDATE if one.is_front else UNDECIDED
        _mark(speed, one.single.estimate, one.offline.estimate, one, colour=colour)
        _mark(quality, one.offline.estimate, 100 * one.change_ratio, one, colour=colour)
        if one.low_ratio is not None:
            quality.vlines(
                one.offline.estimate, 100 * one.low_ratio, 100 * one.change_ratio, color=BASELINE, lw=0.9, zorder=2
            )
    front = [one for one in points if one.is_front]
    _join(speed, [(one.single.estimate, one.offline.estimate, one.label) for one in front])
    _join(quality, [(one.offline.estimate, 100 * one.change_ratio, one.label) for one in front])
    _finish_speed(speed)
    _finish_quality(quality, margin_ratio)
    return fig, (speed, quality)


def _known(ratio: Interval | None) -> Interval:
    assert ratio is not None, "what was screened was timed"
    return ratio


def _area(size_ratio: float | None) -> float:
    return max(_BASELINE_AREA * (size_ratio or 0.0), _LEAST_AREA)


def _mark(ax: Axes, x: float, y: float, one: _Point, *, colour: str) -> None:
    ax.scatter(x, y, s=_area(one.size_ratio), color=colour, alpha=0.85, edgecolors="white", linewidths=0.6, zorder=3)


def _join(ax: Axes, points: Sequence[tuple[float, float, str]]) -> None:
    ranked = sorted(points)
    ax.plot([x for x, _, _ in ranked], [y for _, y, _ in ranked], color=CANDIDATE, lw=1, alpha=0.5, zorder=2)
    for x, y, label in ranked:
        ax.annotate(label, (x, y), xytext=(6, 6), textcoords="offset points", fontsize=8, color=INK, zorder=4)


def _finish_speed(ax: Axes) -> None:
    ax.scatter(1, 1, s=_BASELINE_AREA, color=BASELINE, marker="s", zorder=3)
    ax.annotate("baseline", (1, 1), xytext=(9, -3), textcoords="offset points", fontsize=8, color=BASELINE)
    ax.set(xlabel="One at a time: speed-up [×]", ylabel="All at once: speed-up [×]")
    ax.set_xlim(0, 1.15 * ax.get_xlim()[1])
    ax.set_ylim(0, 1.1 * ax.get_ylim()[1])
    ax.grid()


def _finish_quality(ax: Axes, margin_ratio: float) -> None:
    """Add the constraint and the baseline, and name the axes."""
    ax.scatter(1, 0, s=_BASELINE_AREA, color=BASELINE, marker="s", zorder=3)
    ax.axhline(-100 * margin_ratio, color=WARNING, lw=1.3, ls="--", label="a lower bound (line) may not cross")
    ax.set_xlim(0, 1.15 * ax.get_xlim()[1])
    ax.set(xlabel="All at once: speed-up [×]")
    ax.set_title("How much less right", fontsize=10)
    ax.grid()
    ax.legend(loc="best", fontsize=7, frameon=False)


def _hollow(ax: Axes, record: Search) -> None:
    """Add what breaks the constraint."""
    for trial in _infeasible(record):
        x = 0.0 if trial.offline_speedup_ratio is None else trial.offline_speedup_ratio.estimate
        y = 100 * (trial.tuning_change_ratio or 0.0)
        ax.scatter(x, y, s=_area(trial.size_ratio), facecolors="none", edgecolors=WARNING, zorder=3, clip_on=False)
    if _infeasible(record):
        ax.plot([], [], color=WARNING, marker="o", ls="", mfc="none", label="breaks the constraint; not timed")
        ax.legend(loc="best", fontsize=7, frameon=False)


def _infeasible(record: Search) -> list[SearchTrial]:
    return [trial for trial in record.trials if trial.status == "infeasible" and trial.tuning_change_ratio is not None]


def _finding(front: Sequence[_Point], tried_count: int) -> str:
    best = max(one.offline.estimate for one in front)
    combinations = "combination" if tried_count == 1 else "combinations"
    return (
        f"{len(front)} of {tried_count} {combinations} tried {'is' if len(front) == 1 else 'are'} beaten by no other, "
        f"up to {units.speedup(best)} as fast all at once"
    )


def _point_words(one: _Point) -> str:
    return (
        f"{units.speedup(one.single.estimate, one.single.low, one.single.high)} one at a time, "
        f"{units.speedup(one.offline.estimate, one.offline.low, one.offline.high)} all at once, "
        f"{units.percent(one.size_ratio, 0)} of the size, accuracy {units.points(one.change_ratio)}, "
        f"at worst {units.points(one.low_ratio)}"
    )
