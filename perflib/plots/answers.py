"""Whether the answers are still right: by part of the data, by how sure the baseline was, and for their confidence."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import FuncFormatter
from numpy.typing import NDArray

from perflib import units
from perflib.plots.style import (
    BASELINE,
    CANDIDATE,
    INK,
    WARNING,
    WIDTH_INCH,
    empty_figure,
    labelled,
    shortened,
    wrapped,
)
from perflib.results import Confidence, SliceResult, Validation

_MARGIN_COLUMN = "baseline margin"
_EXPLORATORY_ALPHA = 0.4
# So many rows may stand wide apart.
_ROOMY_COUNT = 8
# How far below zero a reliability diagram has room to count the examples of each bin.
_COUNTS_PERCENT = 18.0


def plot_slices(slices: Sequence[SliceResult]) -> tuple[Figure, Axes]:
    """Draw the baseline's accuracy by slice, with what each can carry."""
    places = np.arange(len(slices))[::-1]
    names = _names(slices)
    row_inch = 0.42 if len(slices) <= _ROOMY_COUNT else 0.27
    fig, ax = plt.subplots(figsize=(WIDTH_INCH, row_inch * len(slices) + 1.3))
    labels = [f"{shortened(name, 36)} (n = {one.example_count:,})" for name, one in zip(names, slices, strict=True)]
    ax.set_yticks(places, labels, fontsize=None if len(slices) <= _ROOMY_COUNT else 8)
    ax.set_ylim(-0.6, len(slices) - 0.4)
    ax.grid(axis="x")
    return labelled(fig, ax, _accuracies(ax, slices, names, places))


def _names(slices: Sequence[SliceResult]) -> list[str]:
    """Return what tells slices apart: `long`, or where there are several columns `length: long`."""
    if len({one.column for one in slices}) == 1:
        return [one.value for one in slices]
    return [_full_name(one) for one in slices]


def _title_room(ax: Axes) -> int:
    """Return how many characters of a title have room to the right of the longest label of a row."""
    longest = max(ax.get_yticklabels(), key=lambda label: len(label.get_text()))
    fig = ax.get_figure(root=True)
    assert fig is not None
    label_inch = 0.0077 * float(longest.get_fontsize()) * len(longest.get_text())
    return max(20, int((fig.get_figwidth() - label_inch - 0.3) / 0.096))


def _accuracies(ax: Axes, slices: Sequence[SliceResult], names: Sequence[str], places: NDArray[np.int64]) -> str:
    lows = [100 * one.baseline_low_ratio for one in slices]
    highs = [100 * one.baseline_high_ratio for one in slices]
    values = [100 * one.baseline_accuracy_ratio for one in slices]
    ax.hlines(places, lows, highs, color=BASELINE, lw=2)
    ax.plot(values, places, "o", color=BASELINE, ms=6)
    ax.set(xlabel="Accuracy with its 95 % interval [%] (axis cut)", xlim=(min(lows) - 3, min(max(highs) + 3, 100.5)))
    worst = int(np.argmin(values))
    title = f"{shortened(names[worst], 36)} is hardest: {units.percent(slices[worst].baseline_accuracy_ratio)}"
    ax.set_title(wrapped(title, _title_room(ax)))
    parts = [f"{name} {units.percent(one.baseline_accuracy_ratio)}" for name, one in zip(names, slices, strict=True)]
    return f"Accuracy by slice: {'; '.join(parts)}."


def plot_flips_by_slice(validation: Validation, most: int = 20) -> tuple[Figure, Axes]:
    """
    Draw which share of a slice became wrong and which became right, and the change with its Holm bounds.

    Args:
        validation: With its slices.
        most: Slices to show, those with the largest shares of flips; the one with the largest net loss is among them.
    """
    gated = [one for one in validation.slices if one.is_gated]
    if not gated:
        return empty_figure(f"No slice of {validation.name} has enough examples to be judged: nothing to draw.")
    worst = min(gated, key=lambda one: one.change_ratio)
    looked_at = [one for one in validation.slices if one.is_gated or one.is_exploratory]
    shown = sorted(looked_at, key=lambda one: (one is not worst, -_flips_share(one)))[:most]
    shown.sort(key=_flips_share, reverse=True)
    fig, ax = plt.subplots(figsize=(1.15 * WIDTH_INCH, 0.27 * len(shown) + 1.5))
    for row, one in enumerate(shown):
        _flip_bars(ax, one, row)
    _flip_axes(ax, shown)
    ax.set_title(wrapped(_worst_slice(worst), _title_room(ax)), pad=26)
    told = "; ".join(_flips_told(one) for one in shown)
    return labelled(fig, ax, f"Flips of {validation.name} by slice, the largest shares first: {told}.")


def _flips_share(one: SliceResult) -> float:
    return (one.negative_flip_count + one.positive_flip_count) / one.example_count


def _flip_bars(ax: Axes, one: SliceResult, row: int) -> None:
    alpha = _EXPLORATORY_ALPHA if one.is_exploratory else 1.0
    lost, won = (100 * count / one.example_count for count in (one.negative_flip_count, one.positive_flip_count))
    ax.barh(row, -lost, height=0.62, color=WARNING, alpha=alpha)
    ax.barh(row, won, height=0.62, color=CANDIDATE, alpha=alpha)
    if one.holm_low_ratio is not None and one.holm_high_ratio is not None:
        ax.hlines(row, 100 * one.holm_low_ratio, 100 * one.holm_high_ratio, color=INK, lw=1)
        ax.plot(100 * one.change_ratio, row, "o", color=INK, ms=3.5)


def _flip_axes(ax: Axes, shown: Sequence[SliceResult]) -> None:
    labels = [
        f"{'† ' if one.is_exploratory else ''}{shortened(_full_name(one), 36)} (n = {one.example_count:,})"
        for one in shown
    ]
    ax.set_yticks(range(len(shown)), labels, fontsize=8)
    ax.set_ylim(len(shown) - 0.4, -0.6)
    ax.tick_params(axis="y", length=0)
    ax.grid(axis="x")
    ax.axvline(0, color=BASELINE, lw=1.5)
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}".replace("-", "−")))
    note = "\n† found by a search that saw the flips: a hint, no finding"
    ax.set_xlabel(f"Share of the slice [%]{note if any(one.is_exploratory for one in shown) else ''}")
    handles = [
        Patch(color=WARNING, label="became wrong"),
        Patch(color=CANDIDATE, label="became right"),
        Line2D([], [], color=INK, marker="o", ms=3.5, lw=1, label="net change with its bounds"),
    ]
    _legend_above(ax, handles)


def _legend_above(ax: Axes, handles: Sequence[Any]) -> None:
    ax.legend(
        handles=handles,
        loc="lower left",
        bbox_to_anchor=(-0.02, 1.0),
        ncols=len(handles),
        frameon=False,
        fontsize=8,
        handlelength=1.2,
    )


def _full_name(one: SliceResult) -> str:
    return one.value if one.is_exploratory else f"{one.column}: {one.value}"


def _worst_slice(worst: SliceResult) -> str:
    if worst.change_ratio >= 0:
        return "No slice loses more answers than it gains"
    return (
        f"{shortened(_full_name(worst), 36)} loses most: {units.points(worst.change_ratio)} net, "
        f"{worst.negative_flip_count:,} became wrong and {worst.positive_flip_count:,} right"
    )


def _flips_told(one: SliceResult) -> str:
    bounds = f" [{units.points(one.holm_low_ratio)}, {units.points(one.holm_high_ratio)}]" if one.is_gated else ""
    found = " (found by a search)" if one.is_exploratory else ""
    return (
        f"{_full_name(one)}{found} {one.negative_flip_count} wrong and {one.positive_flip_count} right of "
        f"{one.example_count:,}, {units.points(one.change_ratio)}{bounds}"
    )


def plot_reliability(validation: Validation) -> tuple[Figure, Any]:
    """Draw how often each model is right where it is so confident, side by side, with the number of examples."""
    before, after = validation.baseline_confidence, validation.candidate_confidence
    if before is None or after is None:
        return empty_figure(f"Not every answer of {validation.name} is finite, so confidence cannot be drawn.")
    arms = (("baseline", before, BASELINE), (validation.name, after, CANDIDATE))
    fig, axes = plt.subplots(1, 2, figsize=(1.15 * WIDTH_INCH, 3.8), sharey=True)
    filled = [one.low_ratio for confidence in (before, after) for one in confidence.bins if one.example_count]
    for ax, (name, confidence, colour) in zip(axes, arms, strict=True):
        _reliability_bars(ax, confidence, colour)
        ax.set(xlim=(100 * min(filled, default=0.0), 100), ylim=(-_COUNTS_PERCENT - 4, 100))
        ax.set_title(wrapped(f"{shortened(name, 40)}: ECE {units.percent(confidence.ece_ratio, 2)}", 34))
    axes[0].set(ylabel="Right answers [%]", yticks=range(0, 101, 20))
    gap = Patch(facecolor="none", edgecolor=WARNING, hatch="////", label="gap to the confidence")
    axes[0].legend(handles=[gap], loc="upper left", frameon=False, fontsize=8)
    told = "; ".join(_confidence_told(name, confidence) for name, confidence, _ in arms)
    return labelled(fig, tuple(axes), f"Right answers by confidence, bin by bin: {told}.")


def _reliability_bars(ax: Axes, confidence: Confidence, colour: str) -> None:
    largest_count = max([one.example_count for one in confidence.bins], default=0)
    for one in confidence.bins:
        if one.confidence_ratio is None or one.accuracy_ratio is None:
            continue
        left, width = 100 * one.low_ratio, 100 * (one.high_ratio - one.low_ratio)
        right, sure = 100 * one.accuracy_ratio, 100 * one.confidence_ratio
        ax.bar(left, right, width, align="edge", color=colour, edgecolor="white", lw=0.6)
        ax.bar(left, sure - right, width, right, align="edge", fc=(1, 1, 1, 0.6), ec=WARNING, hatch="////", lw=0.8)
        share = _COUNTS_PERCENT * one.example_count / largest_count
        ax.bar(left, share, width, -_COUNTS_PERCENT - 3, align="edge", color=INK, alpha=0.55, edgecolor="white", lw=0.6)
    ax.plot((0, 100), (0, 100), color=INK, lw=1.2, ls="--")
    ax.axhline(0, color=INK, lw=0.8)
    ax.set_xlabel(f"Confidence [%]\nbelow zero: examples, up to {largest_count:,} in a bin")


def _confidence_told(name: str, confidence: Confidence) -> str:
    bins = [
        f"{units.percent(one.accuracy_ratio, 0)} right at {units.percent(one.confidence_ratio, 0)} "
        f"(n = {one.example_count:,})"
        for one in confidence.bins
        if one.example_count
    ]
    return f"{name} ECE {units.percent(confidence.ece_ratio, 2)}, {', '.join(bins)}"


def plot_confidence_flips(validation: Validation) -> tuple[Figure, Axes]:
    """Draw the share of answers that became wrong and right by how sure the baseline was, in tenths."""
    parts = sorted((one for one in validation.slices if one.column == _MARGIN_COLUMN), key=lambda one: one.value)
    if not parts:
        return empty_figure(f"Slices of {validation.name} do not say how sure the baseline was: nothing to draw.")
    fig, ax = plt.subplots(figsize=(WIDTH_INCH, 3.2))
    lost, won = (
        np.array([100 * count / one.example_count for count, one in zip(counts, parts, strict=True)])
        for counts in ([one.negative_flip_count for one in parts], [one.positive_flip_count for one in parts])
    )
    ax.bar(range(len(parts)), lost, width=0.8, color=WARNING)
    ax.bar(range(len(parts)), won, width=0.8, bottom=lost, color=CANDIDATE)
    ax.set_xticks(range(len(parts)), [one.value.replace(" ", "\n", 1) for one in parts], fontsize=8)
    ax.set(xlabel="Tenths of the examples by the baseline's margin [least sure first]", ylabel="Flips [% of the tenth]")
    ax.set_ylim(0, max(1.1 * float((lost + won).max()), 1.0))
    ax.grid(axis="y")
    _legend_above(ax, [Patch(color=WARNING, label="became wrong"), Patch(color=CANDIDATE, label="became right")])
    ax.set_title(wrapped(_least_sure(parts)), pad=26)
    told = "; ".join(
        f"{one.value} {one.negative_flip_count} wrong and {one.positive_flip_count} right of {one.example_count:,}"
        for one in parts
    )
    return labelled(fig, ax, f"Flips of {validation.name} by the baseline's margin, least sure first: {told}.")


def _least_sure(parts: Sequence[SliceResult]) -> str:
    counts = [one.negative_flip_count + one.positive_flip_count for one in parts]
    if not sum(counts):
        return "No answer flipped, however unsure the baseline was"
    return f"{units.percent(counts[0] / sum(counts), 0)} of flips are where the baseline was least sure"
