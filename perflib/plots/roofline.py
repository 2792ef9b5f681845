"""The roofline as a picture: what the machine allows at each intensity, and where the products of a model lie."""

import dataclasses
from collections.abc import Callable, Iterator, Sequence

from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

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
    spread,
    wrapped,
)
from perflib.results import Ceilings, Roofline, RooflinePoint
from perflib.results.layers import merged_points

# Of recipes, in their order; a colour and a marker each, so that neither has to be seen alone.
COLOURS = (BASELINE, CANDIDATE, WARNING, HARMLESS, "#CC79A7", "#E69F00")
MARKERS = ("o", "s", "D", "^", "v", "P", "X")
_ROOF_STYLES = {"fp32": "-", "bf16": "--", "int8": ":"}
# The area of a bubble that is the whole step, in square points; a smaller one than the least is not seen.
_WHOLE_AREA = 1400.0
_LEAST_AREA = 14.0
# A margin line every so many inches keeps 8-point words apart.
_LINE_INCH = 0.17
_LABEL_COUNT = 5
# What takes less of a step is of no importance, and would stretch the axes.
_LEAST_SHARE_RATIO = 0.01


@dataclasses.dataclass(frozen=True)
class _Bubble:
    """A point with its place and the share of the step that it takes."""

    point: RooflinePoint
    x: float
    y: float
    share_ratio: float


def plot_roofline(rooflines: Sequence[Roofline], ceilings: Ceilings, *, point_count: int = 12) -> tuple[Figure, Axes]:
    """
    Draw the products of one or several recipes under the roofs of the machine.

    Both axes are logarithmic. A bubble's area is the share of the step; an arrow leads from a product of the first
    recipe to the same one of every other in the same scenario, so that one sees it walk.

    Args:
        rooflines: The baseline's first.
        ceilings: Of as many threads.
        point_count: The layers of each that took most time, without those below a hundredth of the step; a product
            whose bytes are not known has no place.
    """
    bubbles = [_bubbles(one, point_count) for one in rooflines]
    if not any(bubbles):
        return empty_figure("No product with known work was profiled, so nothing lies under the roof.")
    fig, ax = plt.subplots(figsize=(WIDTH_INCH * 1.25, 4.6))
    _set_scales(ax, [one for group in bubbles for one in group], ceilings)
    roofs = list(_draw_roofs(ax, ceilings))
    starts = _starts(rooflines)
    has_scenarios = len({one.scenario for one in rooflines}) > 1
    for place, (roofline, group, start) in enumerate(zip(rooflines, bubbles, starts, strict=True)):
        colour, marker = COLOURS[place % len(COLOURS)], MARKERS[place % len(MARKERS)]
        ax.scatter(
            [one.x for one in group],
            [one.y for one in group],
            s=[max(_WHOLE_AREA * one.share_ratio, _LEAST_AREA) for one in group],
            c=colour,
            marker=marker,
            alpha=0.75,
            edgecolors="white",
            linewidths=0.8,
            zorder=3,
        )
        is_told = not has_scenarios or roofline.name.endswith(roofline.scenario)
        name = shortened(roofline.name, 30) + ("" if is_told else f", {roofline.scenario}")
        ax.plot([], [], marker, color=colour, ms=7, label=name)
        if start is not None:
            _draw_walk(ax, bubbles[start], group, colour)
    _write_margin(ax, roofs, _labels(bubbles, starts))
    ax.legend(loc="upper left", frameon=False, fontsize=8, title="Area: share of the step", title_fontsize=8)
    first = rooflines[0]
    share = units.percent(first.floor_sec / first.step_sec, 0)
    ax.set_title(
        wrapped(f"{shortened(first.name)} is at {share} of what {first.thread_count} threads allow its products", 72)
    )
    return labelled(fig, ax, _told(rooflines, bubbles, ceilings))


def _bubbles(roofline: Roofline, count: int) -> list[_Bubble]:
    if not roofline.points:
        return []
    # Points are sums over all steps, the floor is of one; their quotient is the number of steps.
    steps = sum(point.attainable_sec for point in roofline.points) / roofline.floor_sec
    found = [
        _Bubble(
            point,
            point.intensity_flop_per_byte,
            point.achieved_flop_per_sec,
            point.self_sec / steps / roofline.step_sec,
        )
        for point in merged_points(roofline)[:count]
        if point.moved_bytes > 0
    ]
    return [one for place, one in enumerate(found) if not place or one.share_ratio >= _LEAST_SHARE_RATIO]


def _starts(rooflines: Sequence[Roofline]) -> list[int | None]:
    """Return for each the first one of its scenario, from which its points have walked; None where it is the first."""
    firsts: dict[str, int] = {}
    found = [firsts.setdefault(one.scenario, place) for place, one in enumerate(rooflines)]
    return [None if start == place else start for place, start in enumerate(found)]


def _set_scales(ax: Axes, bubbles: Sequence[_Bubble], ceilings: Ceilings) -> None:
    peak = max(ceilings.product_op_per_sec.values())
    ridge = peak / ceilings.copy_bytes_per_sec
    ax.set(xscale="log", yscale="log")
    ax.set_xlim(min(*(one.x for one in bubbles), ridge / 30) / 2, max(*(one.x for one in bubbles), ridge) * 4)
    ax.set_ylim(min(*(one.y for one in bubbles), peak / 100) / 2, max(*(one.y for one in bubbles), peak) * 2.5)
    for axis, unit in ((ax.xaxis, ""), (ax.yaxis, "OP/s")):
        axis.set_major_locator(LogLocator(numticks=12))
        axis.set_minor_formatter(NullFormatter())
        axis.set_major_formatter(FuncFormatter(_tick_words(unit)))
    ax.set(xlabel="Operations for each byte moved [OP/B]", ylabel="Operations a second")
    ax.grid(axis="both")


def _tick_words(unit: str) -> Callable[[float, int], str]:
    """Write a power of ten without needless zeros."""

    def words(value: float, _: int) -> str:
        if not unit:
            return f"{value:g}"
        prefix, factor = next(
            (pair for pair in (("T", 1e12), ("G", 1e9), ("M", 1e6), ("k", 1e3)) if value >= pair[1]), ("", 1.0)
        )
        return f"{value / factor:g} {prefix}{unit}"

    return words


def _draw_roofs(ax: Axes, ceilings: Ceilings) -> Iterator[tuple[float, str, str]]:
    """Draw the slope of memory and a flat roof for each precision; yield where each ends, its words and its colour."""
    low, high = ax.get_xlim()
    bandwidth = ceilings.copy_bytes_per_sec
    rates = ceilings.product_op_per_sec
    top_ridge = max(rates.values()) / bandwidth
    # Its name stands in the legend, where no point can lie on it.
    words = f"memory {units.rate(bandwidth, 'B/s')}"
    ax.plot([low, top_ridge], [low * bandwidth, top_ridge * bandwidth], color=INK, lw=1.2, zorder=2, label=words)
    for precision, rate in rates.items():
        ax.plot([rate / bandwidth, high], [rate, rate], color=INK, lw=1.2, ls=_ROOF_STYLES[precision], zorder=2)
        yield rate, f"{precision} {units.rate(rate, 'OP/s')}", INK


def _draw_walk(ax: Axes, before: Sequence[_Bubble], after: Sequence[_Bubble], colour: str) -> None:
    for start, end in pairs([one.point for one in before], [one.point for one in after]):
        ax.annotate(
            "",
            (after[end].x, after[end].y),
            xytext=(before[start].x, before[start].y),
            arrowprops={"arrowstyle": "-|>", "color": colour, "lw": 0.8, "shrinkA": 3, "shrinkB": 3},
            zorder=4,
        )


def pairs(before: Sequence[RooflinePoint], after: Sequence[RooflinePoint]) -> list[tuple[int, int]]:
    """
    Return which points of two recipes are the same layer, as indices.

    The same operator and layer; else the same kind and layer, for another engine's operator has another name; else the
    same operator. Several that fit are paired in the order of their work.
    """
    keys: tuple[Callable[[RooflinePoint], object], ...] = (
        lambda point: (point.operator, point.shapes),
        lambda point: (point.kind, point.shapes),
        lambda point: point.operator,
    )
    left, right = dict(enumerate(before)), dict(enumerate(after))
    found = []
    for key in keys:
        for start in sorted(left, key=lambda index: -before[index].flop_count):
            fitting = [index for index, point in right.items() if key(point) == key(before[start])]
            if fitting:
                end = max(fitting, key=lambda index: after[index].flop_count)
                found.append((start, end))
                del left[start], right[end]
    return sorted(found)


def _labels(bubbles: Sequence[Sequence[_Bubble]], starts: Sequence[int | None]) -> list[tuple[_Bubble, str]]:
    """Choose what is named: the heaviest of the first recipe of a scenario, and of others what has no partner there."""
    chosen: list[tuple[_Bubble, str]] = []
    for place, (group, start) in enumerate(zip(bubbles, starts, strict=True)):
        before = [] if start is None else [one.point for one in bubbles[start]]
        partners = {end for _, end in pairs(before, [one.point for one in group])}
        colour = COLOURS[place % len(COLOURS)]
        chosen += [(one, colour) for index, one in enumerate(group) if index not in partners]
    return sorted(chosen, key=lambda pair: -pair[0].share_ratio)[:_LABEL_COUNT]


@dataclasses.dataclass(frozen=True)
class _Entry:
    """Words in the margin, and the place that they name, as shares of the axes."""

    place: tuple[float, float]
    words: str
    colour: str
    alpha: float


def _write_margin(ax: Axes, roofs: Sequence[tuple[float, str, str]], labels: Sequence[tuple[_Bubble, str]]) -> None:
    """Write the names of roofs and bubbles beside the right edge, each with a thin line to what it names."""
    fig = ax.get_figure(root=True)
    assert fig is not None
    to_axes = (ax.transData + ax.transAxes.inverted()).transform
    right = ax.get_xlim()[1]
    entries = [_Entry(tuple(to_axes((right, rate))), words, colour, 1.0) for rate, words, colour in roofs]
    for one, colour in labels:
        words = f"{_name(one.point)}, {units.percent(one.share_ratio, 0)}"
        entries.append(_Entry(tuple(to_axes((one.x, one.y))), words, colour, 0.5))
    ranked = sorted(entries, key=lambda entry: entry.place[1])
    gap = _LINE_INCH / (0.8 * fig.get_figheight())
    for place, entry in zip(spread([entry.place[1] for entry in ranked], gap), ranked, strict=True):
        ax.annotate(
            entry.words,
            entry.place,
            xytext=(1.03, place),
            xycoords="axes fraction",
            textcoords="axes fraction",
            va="center",
            color=entry.colour,
            fontsize=7.5,
            annotation_clip=False,
            arrowprops={
                "arrowstyle": "-",
                "color": entry.colour,
                "lw": 0.6,
                "alpha": entry.alpha,
                "shrinkA": 1,
                "shrinkB": 0,
                "relpos": (0, 0.5),
            },
        )


def _name(point: RooflinePoint) -> str:
    """Name a product by its operator and its layer."""
    operator = point.operator.split("::")[-1].removesuffix("_for_cpu").removeprefix("_")
    return "attention" if point.kind == "attention" else shortened(f"{operator} {point.shapes}", 26)


def _told(rooflines: Sequence[Roofline], bubbles: Sequence[Sequence[_Bubble]], ceilings: Ceilings) -> str:
    roofs = ", ".join(f"{name} {units.rate(rate, 'OP/s')}" for name, rate in ceilings.product_op_per_sec.items())
    parts = [
        f"{one.name}, {one.scenario}: "
        + ", ".join(
            f"{_name(bubble.point)} at {units.three_digits(bubble.x)} OP/B reaches {units.rate(bubble.y, 'OP/s')}, "
            f"{units.percent(bubble.point.reached_ratio, 0)} of its roof"
            for bubble in group[:_LABEL_COUNT]
        )
        for one, group in zip(rooflines, bubbles, strict=True)
    ]
    return f"Roofline with {roofs}, memory {units.rate(ceilings.copy_bytes_per_sec, 'B/s')}. {'. '.join(parts)}."
