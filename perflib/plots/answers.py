"""Whether the answers are still right, by part of the data."""

from collections.abc import Sequence

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from perflib import units
from perflib.plots.style import BASELINE, CANDIDATE, WIDTH_INCH, labelled
from perflib.results import SliceResult


def plot_slices(slices: Sequence[SliceResult], *, has_candidate: bool) -> tuple[Figure, Axes]:
    """Draw the baseline's accuracy by slice, or where there is a candidate its change, with what each can carry."""
    places = np.arange(len(slices))[::-1]
    fig, ax = plt.subplots(figsize=(WIDTH_INCH, 0.42 * len(slices) + 1.3))
    ax.set_yticks(places, [f"{one.value} (n = {one.example_count:,})" for one in slices])
    ax.set_ylim(-0.6, len(slices) - 0.4)
    ax.grid(axis="x")
    told = _slice_changes(ax, slices, places) if has_candidate else _slice_accuracies(ax, slices, places)
    return labelled(fig, ax, told)


def _slice_changes(ax: Axes, slices: Sequence[SliceResult], places: NDArray[np.int64]) -> str:
    changes = [100 * one.change_ratio for one in slices]
    lows = [100 * one.change_low_ratio for one in slices]
    ax.hlines(places, lows, changes, color=CANDIDATE, lw=2)
    ax.plot(lows, places, "|", color=CANDIDATE, ms=9, mew=2)
    ax.plot(changes, places, "o", color=CANDIDATE, ms=6)
    ax.axvline(0, color=BASELINE, lw=1.5)
    ax.set_xlabel("Accuracy change, down to its 95 % bound [points]")
    worst = min(slices, key=lambda one: one.change_ratio)
    finding = "loses most" if worst.change_ratio < 0 else "gains least"
    ax.set_title(f"{worst.value} {finding}: {units.points(worst.change_ratio)}")
    told = [
        f"{one.value} {units.points(one.change_ratio)}, at worst {units.points(one.change_low_ratio)}" for one in slices
    ]
    return f"Change of accuracy by slice: {'; '.join(told)}."


def _slice_accuracies(ax: Axes, slices: Sequence[SliceResult], places: NDArray[np.int64]) -> str:
    lows = [100 * one.baseline_low_ratio for one in slices]
    highs = [100 * one.baseline_high_ratio for one in slices]
    ax.hlines(places, lows, highs, color=BASELINE, lw=2)
    ax.plot([100 * one.baseline_accuracy_ratio for one in slices], places, "o", color=BASELINE, ms=6)
    ax.set(xlabel="Accuracy with its 95 % interval [%] (axis cut)", xlim=(min(lows) - 3, min(max(highs) + 3, 100.5)))
    worst = min(slices, key=lambda one: one.baseline_accuracy_ratio)
    ax.set_title(f"{worst.value} is hardest: {units.percent(worst.baseline_accuracy_ratio)}")
    parts = [f"{one.value} {units.percent(one.baseline_accuracy_ratio)}" for one in slices]
    return f"Accuracy by slice: {'; '.join(parts)}."
