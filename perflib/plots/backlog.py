"""What each item would give back, and which assumption that hangs on."""

from collections.abc import Sequence
from typing import Any

from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

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
from perflib.results.governance import Backlog, BacklogItem, Range
from perflib.sentences.backlog import range_words, short_name, signed, tornado_sentence

_NAME_CHARACTERS = 34
# Returns differ by powers of ten; up to this many times the cost the axis is linear, so that losses have a place.
_LINEAR_ROI_RATIO = 1.0
_LARGE_VALUE = 1000


def plot_returns(backlog: Backlog) -> tuple[Figure, Any]:
    """
    Draw ROI of every ranked item as a line from P10 to P90 with a point at P50, the first item on top.

    Left of the line at zero an item costs more than it gives; expected ratios are hollow and grey.
    """
    found = [(one, one.returns.roi_ratio) for one in backlog.items if one.rank is not None and one.returns is not None]
    if not found:
        return empty_figure("No item has both a rank and a return, so there is nothing to draw.")
    fig, ax = plt.subplots(figsize=(1.15 * WIDTH_INCH, 0.42 * len(found) + 1.6))
    for place, (item, roi) in enumerate(found):
        _interval(ax, place, item, roi)
    ax.axvline(0, color=INK, lw=1)
    ax.set_xscale("symlog", linthresh=_LINEAR_ROI_RATIO)
    # Room for the words at the right ends.
    ax.set_xlim(min(-1.2, *(1.5 * roi.p10 for _, roi in found)), 4 * max(1.0, *(roi.p90 for _, roi in found)))
    ax.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}".replace("-", "−"))
    names = [f"{one.rank}. {short_name(one)}" for one, _ in found]
    ax.set_yticks(range(len(found)), [shortened(name, _NAME_CHARACTERS) for name in names])
    ax.set_ylim(len(found) - 0.5, -0.6)
    ax.tick_params(axis="y", length=0)
    ax.grid(axis="x")
    ax.set_xlabel(f"ROI{_example(backlog.is_example)} [times the cost], logarithmic beyond ±1")
    _title(fig, _finding(found[0][0], found[0][1], is_example=backlog.is_example))
    told = "; ".join(_told(one, roi) for one, roi in found)
    prices = "Prices are examples. " if backlog.is_example else ""
    return labelled(fig, ax, f"{prices}ROI over the horizon, in multiples of the cost, by rank: {told}.")


def plot_tornado(item: BacklogItem, *, is_example: bool = False) -> tuple[Figure, Any]:
    """
    Draw how an item's ROI moves when one assumption alone goes from its low to its high end, the widest on top.

    Args:
        item: With a tornado; all bars start where every assumption is in its middle.
        is_example: Whether the prices are examples.
    """
    if not item.tornado:
        return empty_figure(f"No money is set against {item.title}, so there is nothing to draw.")
    fig, ax = plt.subplots(figsize=(1.15 * WIDTH_INCH, 0.5 * len(item.tornado) + 1.5))
    for place, bar in enumerate(item.tornado):
        ends = (bar.roi_at_low_ratio, bar.low_value), (bar.roi_at_high_ratio, bar.high_value)
        (left, low), (right, high) = sorted(ends)
        colour = WARNING if right <= 0 else CANDIDATE
        # An edge of the bar's own colour, so that one without any width is seen too.
        ax.barh(place, right - left, left=left, height=0.55, color=colour, edgecolor=colour, lw=1.5)
        ax.annotate(
            _value(low), (left, place), (-4, 0), textcoords="offset points", ha="right", va="center", fontsize=8
        )
        if right > left:
            ax.annotate(
                _value(high), (right, place), (4, 0), textcoords="offset points", ha="left", va="center", fontsize=8
            )
    ax.set_yticks(range(len(item.tornado)), [f"{bar.assumption}\n[{bar.unit}]" for bar in item.tornado], fontsize=8)
    ax.set_ylim(len(item.tornado) - 0.5, -0.6)
    ax.tick_params(axis="y", length=0)
    _room(ax, [one for bar in item.tornado for one in (bar.roi_at_low_ratio, bar.roi_at_high_ratio)])
    ax.grid(axis="x")
    ax.set_xlabel(f"ROI{_example(is_example)} [times the cost]")
    sentence = tornado_sentence(item, is_example=is_example)
    _title(fig, _tornado_title(item))
    bars = "; ".join(
        f"{bar.assumption} from {_value(bar.low_value)} to {_value(bar.high_value)} {bar.unit}: "
        f"{signed(bar.roi_at_low_ratio)} to {signed(bar.roi_at_high_ratio)}"
        for bar in item.tornado
    )
    return labelled(fig, ax, f"{sentence} Every assumption: {bars}.")


def _title(fig: Figure, finding: str) -> None:
    fig.suptitle(wrapped(finding, 80), x=0.01, ha="left", fontsize=11, fontweight="bold")


def _interval(ax: Axes, place: int, item: BacklogItem, roi: Range) -> None:
    is_measured = item.kind == "candidate"
    colour = CANDIDATE if is_measured else BASELINE
    ax.plot((roi.p10, roi.p90), (place, place), color=colour, lw=3 if is_measured else 1.6, solid_capstyle="butt")
    ax.plot(roi.p50, place, "o", ms=7, color=colour, mfc=colour if is_measured else "white")
    ax.annotate(
        range_words(roi), (roi.p90, place), (6, 0), textcoords="offset points", va="center", fontsize=8, color=INK
    )


def _finding(item: BacklogItem, roi: Range, *, is_example: bool) -> str:
    prices = "With example prices " if is_example else ""
    name = short_name(item)
    if roi.p10 < 0:
        return f"{prices}{name} stands first, and may give back less than it costs"
    return f"{prices}{name} gives back {signed(roi.p10)} times its cost or more, 9 times in 10"


def _told(item: BacklogItem, roi: Range) -> str:
    expected = "" if item.kind == "candidate" else " (expected, not measured)"
    return f"{item.rank}. {item.title}{expected}: P10 {signed(roi.p10)}, P50 {signed(roi.p50)}, P90 {signed(roi.p90)}"


def _tornado_title(item: BacklogItem) -> str:
    widest = item.tornado[0]
    name = short_name(item)
    if widest.roi_at_low_ratio == widest.roi_at_high_ratio:
        return f"{name}: no single assumption moves the return"
    ends = [one for bar in item.tornado for one in (bar.roi_at_low_ratio, bar.roi_at_high_ratio)]
    sign = "it pays at every end" if min(ends) > 0 else "not every end pays"
    return f"{name}: the return hangs most on {widest.assumption}; {sign}"


def _room(ax: Axes, ends: Sequence[float]) -> None:
    low, high = min(*ends, 0.0), max(*ends, 0.0)
    margin = 0.14 * (high - low or 1.0)
    ax.set_xlim(low - margin, high + margin)
    ax.axvline(0, color=INK, lw=1)
    ax.axvspan(low - margin, 0, color=UNDECIDED, alpha=0.25, lw=0, zorder=0)


def _example(is_example: bool) -> str:
    return " at example prices" if is_example else ""


def _value(value: float) -> str:
    for unit, size in (("billion", 1e9), ("million", 1e6)):
        if value >= size:
            return f"{value / size:.3g} {unit}"
    return f"{value:,.0f}" if value >= _LARGE_VALUE else f"{value:.3g}"
