"""What 1,000 inferences cost: one row an arm, one point for each utilisation, with the interval of the throughput."""

from collections.abc import Collection
from typing import Any

from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullFormatter

from perflib import units
from perflib.plots.style import BASELINE, CANDIDATE, INK, WIDTH_INCH, empty_figure, labelled, shortened, wrapped
from perflib.results.governance import ArmCost, Finops, UnitCost
from perflib.sentences.finops import money, money_interval, number, prices_words

UTILISATIONS_RATIO = (0.3, 0.6, 0.9)


def plot_unit_costs(finops: Finops, *, names: Collection[str] | None = None) -> tuple[Figure, Any]:
    """
    Draw the cost of 1,000 inferences on demand, at 30, 60 and 90 % utilisation, on a logarithmic scale.

    Args:
        finops: Of a run.
        names: Candidates to show beside the baseline; all where it is None.
    """
    wanted = {"baseline", *(names if names is not None else (one.name for one in finops.arms))}
    shown = [one for one in finops.arms if one.name in wanted and _drawn(one)]
    if not shown:
        return empty_figure("Nothing was timed in throughput, so there is no cost to draw.")
    fig, ax = plt.subplots(figsize=(WIDTH_INCH, (0.55 if len(shown) < 8 else 0.36) * len(shown) + 1.5))
    places = range(len(shown) - 1, -1, -1)
    for place, arm in zip(places, shown, strict=True):
        _row(ax, arm, place)
    for cost in _drawn(shown[0]):
        ax.annotate(
            f"{100 * cost.utilisation_ratio:g} %",
            (cost.per_1000_amount.estimate, len(shown) - 1),
            xytext=(0, 8),
            textcoords="offset points",
            ha="center",
            fontsize=8,
            color=INK,
        )
    ax.set_yticks(list(places), [shortened(one.name, 30) for one in shown])
    ax.set_ylim(-0.6, len(shown) - 0.3)
    _scale(ax, shown)
    ax.set_xlabel(f"Cost of 1,000 inferences on demand [{finops.currency}], logarithmic")
    # Above the names too: a title that starts at the axis would run out of the figure.
    fig.suptitle(wrapped(_title(finops, shown), 70), x=0.01, ha="left", fontsize=11, fontweight="bold")
    return labelled(fig, ax, f"{_title(finops, shown)}. {'; '.join(_told(one) for one in shown)}.")


def _row(ax: Axes, arm: ArmCost, place: int) -> None:
    colour = BASELINE if arm.name == "baseline" else CANDIDATE
    costs = [one.per_1000_amount for one in _drawn(arm)]
    ax.hlines(place, costs[-1].estimate, costs[0].estimate, color=colour, lw=0.8, alpha=0.35)
    for cost in costs:
        if cost.low is not None and cost.high is not None:
            ax.hlines(place, cost.low, cost.high, color=colour, lw=3)
        ax.plot(cost.estimate, place, "o", color=colour, ms=6)


def _scale(ax: Axes, shown: list[ArmCost]) -> None:
    """Give the axis a few numbers that people read: 1, 2 and 5 of each power of ten."""
    ax.set_xscale("log")
    every = [one.per_1000_amount for arm in shown for one in _drawn(arm)]
    low = min(one.estimate if one.low is None else one.low for one in every)
    high = max(one.estimate if one.high is None else one.high for one in every)
    ax.set_xlim(0.75 * low, 1.35 * high)
    ticks = [step * 10.0**power for power in range(-12, 13) for step in (1, 2, 5)]
    ax.set_xticks([tick for tick in ticks if 0.75 * low <= tick <= 1.35 * high])
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: number(value)))
    ax.xaxis.set_minor_formatter(NullFormatter())
    ax.tick_params(axis="x", which="minor", length=0)
    ax.grid(axis="x")


def _drawn(arm: ArmCost) -> list[UnitCost]:
    """Return the costs on demand at the three utilisations, the dearest (least busy) first."""
    found = [one for one in arm.unit_costs if one.pricing == "on-demand"]
    return sorted(
        (one for one in found if one.utilisation_ratio in UTILISATIONS_RATIO), key=lambda one: one.utilisation_ratio
    )


def _title(finops: Finops, shown: list[ArmCost]) -> str:
    """Say the finding: the first candidate's share of today's cost, and both costs."""
    middles = [_drawn(arm)[len(_drawn(arm)) // 2] for arm in shown[:2]]
    used = f"at {100 * middles[0].utilisation_ratio:g} % use"
    today, *others = (one.per_1000_amount.estimate for one in middles)
    words = prices_words(is_example=finops.is_example)
    if not others:
        return f"1,000 inferences cost {money(today, finops.currency)} {used}, with {words}"
    return (
        f"With {shown[1].name}, 1,000 inferences cost {units.percent(others[0] / today, 0)} of today: {used} "
        f"{money(others[0], finops.currency)} instead of {money(today, finops.currency)}, with {words}"
    )


def _told(arm: ArmCost) -> str:
    costs = ", ".join(
        f"{money_interval(one.per_1000_amount)} at {100 * one.utilisation_ratio:g} %" for one in _drawn(arm)
    )
    return f"{arm.name}: {costs}"
