"""One series over its runs: the levels between the changes, the noise around them, and what counts for nothing."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from perflib import units
from perflib.plots.style import BASELINE, CANDIDATE, HARMLESS, INK, WARNING, empty_figure, labelled, wrapped
from perflib.results.history import METRICS, HistoryPoint, SeriesKey
from perflib.results.regression import Nomination, SeriesScan
from perflib.sentences.series_words import full_name, scanned_places, series_name, shift_words, value_words, worse_words

# Changes older than these stay lines without words.
_MOST_LABELS_COUNT = 4
_MOST_TICKS_COUNT = 6
# The share of the axis that one label takes.
_LABEL_RATIO = 0.1


def plot_series(
    points: Sequence[HistoryPoint], scan: SeriesScan, *, nomination: Nomination | None = None
) -> tuple[Figure, Axes]:
    """
    Draw a series: every run, each segment's level with twice its noise, and where the level changed and by how much.

    Args:
        points: Oldest first; those with a mark become crosses.
        scan: Of all points, or of those without a mark.
        nomination: Of this series; a dashed line, unless the scan has found the same change.
    """
    if not points:
        return empty_figure("This series has no run yet, so there is nothing to draw.")
    series = _Series(points, scan)
    fig, ax = plt.subplots(figsize=(6.4, 3.7))
    bottom, top = _draw_points(ax, series)
    _draw_levels(ax, series)
    told = _told(series, nomination)
    _draw_changes(ax, series, told, bottom=bottom, top=top)
    _label_axes(ax, series)
    ax.set_title(wrapped(_title(series, told)), pad=26)
    return labelled(fig, ax, _alternative(series, told))


class _Series:
    """Points and scan together: what stands where, in the unit of the axis."""

    def __init__(self, points: Sequence[HistoryPoint], scan: SeriesScan) -> None:
        self.points, self.scan, self.key = points, scan, points[-1].key
        self.places = scanned_places(points, scan)
        self.factor, self.unit = _axis_unit(self.key, float(np.median([point.value for point in points])))
        self.values = self.factor * np.array([point.value for point in points])
        self.spikes = [self.places[index] for index in scan.spikes]
        self.marked = [place for place, point in enumerate(points) if point.mark is not None]
        self.sound = [place for place in range(len(points)) if place not in {*self.spikes, *self.marked}]
        self.starts = [0, *(change.index for change in scan.change_points)]

    @property
    def colour(self) -> str:
        return BASELINE if self.key.candidate == "baseline" else CANDIDATE

    def run_words(self, place: int) -> str:
        return f"run {place + 1} ({self.points[place].recorded[:10]})"

    def bands(self) -> list[tuple[float, float, float]]:
        """Return level, lower and upper edge of every segment, in the unit of the axis."""
        reach = 2 * self.scan.noise_ratio
        levels = [self.factor * level for level in self.scan.levels]
        return [(level, level * (1 - reach), level * (1 + reach)) for level in levels]


@dataclasses.dataclass(frozen=True)
class _Change:
    """A change as it is told: the first run of the new level, the shift in words, and who says so."""

    place: int
    words: str
    is_worse: bool
    is_of_scan: bool = True
    is_nominated: bool = False

    @property
    def suffix(self) -> str:
        return ", nominated" if self.is_nominated else ""


def _axis_unit(key: SeriesKey, typical: float) -> tuple[float, str]:
    unit = METRICS[key.metric].unit
    if unit == "s":
        return (1.0, "s") if typical >= 1 else (1e3, "ms") if typical >= 1e-3 else (1e6, "µs")
    if unit == "1":
        return (1.0, "×") if key.metric == "speedup_ratio" else (100.0, "%")
    return {"B": (1e-6, "MB"), "1/s": (1.0, "examples/s")}[unit]


def _draw_points(ax: Axes, series: _Series) -> tuple[float, float]:
    """Draw every run; return the limits, beyond which spikes stand as arrows."""
    shown = series.sound or list(range(len(series.points)))
    core = [*series.values[shown], *(edge for band in series.bands() for edge in band)]
    low, high = float(min(core)), float(max(core))
    span = high - low or 0.1 * abs(high) or 1.0
    others = series.values[[*series.spikes, *series.marked]]
    near = [float(value) for value in others if low - span <= value <= high + span]
    low, high = min([low, *near]) - 0.08 * span, max([high, *near]) + 0.08 * span
    runs = np.arange(1, len(series.points) + 1)
    if series.sound:
        ax.plot(runs[series.sound], series.values[series.sound], "o", color=series.colour, ms=4, label="run", zorder=3)
    spiky: dict[str, Any] = {
        "marker": "o",
        "ls": "",
        "mfc": "white",
        "mec": series.colour,
        "ms": 6,
        "label": "spike, no weight",
    }
    marked: dict[str, Any] = {"marker": "x", "ls": "", "color": "#a0a0a0", "ms": 6, "label": "quarantined"}
    for places, look in ((series.spikes, spiky), (series.marked, marked)):
        if places:
            ax.plot(runs[places], np.clip(series.values[places], low, high), zorder=4, **look)
    for place in {*series.spikes, *series.marked}:
        if not low <= series.values[place] <= high:
            is_above = bool(series.values[place] > high)
            text = f"{'↑' if is_above else '↓'} {value_words(series.points[place].value, series.key)}"
            offset = (6, -3 if is_above else 3)
            ax.annotate(
                text, (place + 1, high if is_above else low), offset, textcoords="offset points", fontsize=8, color=INK
            )
    return low, high


def _draw_levels(ax: Axes, series: _Series) -> None:
    ends = [*(series.starts[1:]), len(series.places)]
    for number, (first, end, band) in enumerate(zip(series.starts, ends, series.bands(), strict=False)):
        left, right = series.places[first] + 0.5, series.places[end - 1] + 1.5
        level, bottom, top = band
        name = "level" if bottom == top else "level ± 2 × noise"
        if bottom < top:
            ax.fill_between((left, right), bottom, top, color=series.colour, alpha=0.15, lw=0)
        ax.hlines(level, left, right, color=INK, lw=1.5, label="_" if number else name)


def _draw_changes(ax: Axes, series: _Series, told: Sequence[_Change], *, bottom: float, top: float) -> None:
    """Draw a line for each change; its words have a row of their own above the points."""
    labels_count = min(len(told), _MOST_LABELS_COUNT)
    room = labels_count * _LABEL_RATIO
    ax.set_ylim(bottom, top + (top - bottom) * room / (1 - room))
    for number, change in enumerate(reversed(told)):
        place, colour = change.place, WARNING if change.is_worse else HARMLESS
        ax.axvline(place + 0.5, color=colour, lw=1.4, ls="-" if change.is_of_scan else "--")
        if number >= labels_count:
            continue
        is_left = place < len(series.points) / 2
        ax.annotate(
            f"{change.words} since {series.run_words(place)}{change.suffix}",
            (place + 0.5, 1 - (number + 0.5) * _LABEL_RATIO),
            xytext=(4 if is_left else -4, 0),
            xycoords=("data", "axes fraction"),
            textcoords="offset points",
            ha="left" if is_left else "right",
            va="center",
            color=colour,
            fontsize=8,
            bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.85, "pad": 1},
        )


def _told(series: _Series, nomination: Nomination | None) -> list[_Change]:
    """Return all changes in their order; of the nominated one the nomination's numbers."""
    key = series.key
    family = METRICS[key.metric].family
    found = {
        series.places[one.index]: _Change(
            series.places[one.index],
            shift_words(one.shift_ratio, before=before, family=family),
            worse_words(key, one.shift_ratio) == "worse",
        )
        for one, before in zip(series.scan.change_points, series.scan.levels, strict=False)
    }
    ulids = [point.run_ulid for point in series.points]
    if nomination is not None and nomination.since_run_ulid in ulids:
        place = ulids.index(nomination.since_run_ulid)
        words = shift_words(nomination.shift_ratio, before=nomination.before_value, family=nomination.family)
        found[place] = _Change(place, words, nomination.is_worse, place in found, is_nominated=True)
    return [found[place] for place in sorted(found)]


def _label_axes(ax: Axes, series: _Series) -> None:
    count = len(series.points)
    ticks = np.unique(np.linspace(1, count, min(count, _MOST_TICKS_COUNT)).round().astype(int))
    names = [f"{tick}\n{series.points[tick - 1].recorded[:10]}" if tick in (1, count) else str(tick) for tick in ticks]
    ax.set_xticks(ticks, names)
    ax.set_xlim(0.4, count + 0.6)
    ax.set_xlabel("Run, in order [number]")
    ax.set_ylabel(f"{_capital(series_name(series.key).split(' of ')[0])} [{series.unit}]\n(axis cut)")
    ax.ticklabel_format(axis="y", useOffset=False, style="plain")
    ax.grid(axis="y")
    handles, labels = ax.get_legend_handles_labels()
    band = Patch(color=series.colour, alpha=0.15, lw=0)
    drawn = [(band, one) if "noise" in label else one for one, label in zip(handles, labels, strict=True)]
    ax.legend(drawn, labels, loc="lower left", bbox_to_anchor=(-0.02, 1.0), ncols=4, frameon=False, columnspacing=1.2)


def _title(series: _Series, told: Sequence[_Change]) -> str:
    name, count = _capital(full_name(series.key)), len(series.points)
    if count == 1:
        return f"{name}: one run so far, {value_words(series.points[0].value, series.key)}"
    if not told:
        return f"{name}: no change of level in {count} runs"
    newest = next((one for one in told if one.is_nominated), told[-1])
    last = "nominated" if newest.is_nominated else "worse" if newest.is_worse else "better"
    return f"{name}: {newest.words} since {series.run_words(newest.place)}, {last}"


def _alternative(series: _Series, told: Sequence[_Change]) -> str:
    points, key = series.points, series.key
    levels = ", ".join(value_words(level, key) for level in series.scan.levels)
    words = [
        f"{_capital(full_name(key))}: {len(points)} run{'s' * (len(points) > 1)}, {points[0].recorded[:10]} to "
        f"{points[-1].recorded[:10]}.",
        f"Levels: {levels or 'none'}; noise {units.percent(series.scan.noise_ratio)}.",
    ]
    words += [
        f"{one.words} since run {points[one.place].run_id}, {'worse' if one.is_worse else 'better'}{one.suffix}."
        for one in told
    ]
    for word, places in (("Spikes without weight", series.spikes), ("Quarantined", series.marked)):
        words += [f"{word}: {', '.join(points[place].run_id for place in places)}."] if places else []
    return " ".join(words)


def _capital(sentence: str) -> str:
    return sentence[:1].upper() + sentence[1:]
