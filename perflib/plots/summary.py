"""All candidates of a run in one figure: the two things that decide."""

from collections.abc import Sequence
from typing import Any

from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from perflib import units
from perflib.plots.style import BASELINE, CANDIDATE, WARNING, WIDTH_INCH, empty_figure, labelled
from perflib.results import Candidate

_VERDICT_COLOUR = {"approved": CANDIDATE, "quarantined": WARNING, "undecided": BASELINE, "failed": WARNING}


def plot_summary(candidates: Sequence[Candidate], *, margin_ratio: float) -> tuple[Figure, Any]:
    """Draw the two things that decide, side by side: speed with its interval, accuracy change with its lower bound."""
    shown = [one for one in candidates if one.accuracy_change is not None]
    if not shown:
        return empty_figure("No candidate was both built and validated, so there is nothing to draw.")
    fig, (speed, quality) = plt.subplots(
        1,
        2,
        figsize=(WIDTH_INCH * 1.25, (0.75 if len(shown) < 8 else 0.5) * len(shown) + 1.5),
        sharey=True,
        width_ratios=(3, 2),
    )
    told = []
    for place, one in enumerate(shown[::-1]):
        colour = _VERDICT_COLOUR[one.verdict]
        rows = {"single": one.single_p50_speedup_ratio, "offline": one.offline_throughput_speedup_ratio}
        for offset, (scenario, ratio) in zip((0.17, -0.17), rows.items(), strict=True):
            if ratio is not None:
                told.append(_interval_line(speed, ratio, place + offset, f"{one.name} {scenario}", colour=colour))
                _beside(
                    speed, ratio.high or ratio.estimate, place + offset, f"{scenario} {units.speedup(ratio.estimate)}"
                )
        told.append(_accuracy_line(quality, one, place, colour))
    speed.set_yticks(range(len(shown)), [one.name for one in shown[::-1]])
    speed.set_ylim(-0.6, len(shown) - 0.4)
    speed.axvline(1, color=BASELINE, lw=1.5)
    speed.set(xlabel="Speed-up over the baseline [×]")
    speed.set_xlim(0, 1.45 * max(speed.get_xlim()[1], 1.2))
    quality.axvline(-100 * margin_ratio, color=WARNING, lw=1.5, ls="--")
    quality.axvline(0, color=BASELINE, lw=1.5)
    quality.set(xlabel="Accuracy change [points]")
    for ax in (speed, quality):
        ax.grid(axis="x")
    speed.set_title("How much faster")
    quality.set_title("How much less right")
    return labelled(fig, (speed, quality), f"{'; '.join(told)}. The margin is {100 * margin_ratio:g} points.")


def _accuracy_line(ax: Axes, one: Candidate, place: float, colour: str) -> str:
    change = one.accuracy_change
    assert change is not None
    ax.plot(100 * change.estimate, place, "o", color=colour, ms=6)
    if change.low is not None:
        ax.hlines(place, 100 * change.low, 100 * change.estimate, color=colour, lw=2)
        ax.plot(100 * change.low, place, "|", color=colour, ms=9, mew=2)
    return f"{one.name} accuracy {units.points(change.estimate)}, at worst {units.points(change.low)}"


def _interval_line(ax: Axes, ratio: Any, place: float, name: str, *, colour: str) -> str:
    ax.plot(ratio.estimate, place, "o", color=colour, ms=6)
    if ratio.low is not None and ratio.high is not None:
        ax.hlines(place, ratio.low, ratio.high, color=colour, lw=2)
    return f"{name} {units.speedup(ratio.estimate, ratio.low, ratio.high)}"


def _beside(ax: Axes, x: float, y: float, text: str) -> None:
    ax.annotate(text, (x, y), xytext=(6, 0), textcoords="offset points", va="center", fontsize=8)
