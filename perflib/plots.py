"""
Every figure: results in, ``(figure, axes)`` out.

The title is the finding, computed; the baseline is always the same grey and a candidate the same blue; axes carry
their unit and start at zero where a length is compared.
The figure's label (``fig.get_label()``) is its text alternative: it says in words what the picture shows.
"""

from collections.abc import Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
import seaborn as sns
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from perflib import units
from perflib.results import Baseline, Candidate, Ceilings, Comparison, Profile, SliceResult

BASELINE = "#7a7a7a"
CANDIDATE = "#0072B2"
WARNING = "#D55E00"
WIDTH_INCH = 6.4
_VERDICT_COLOUR = {"approved": CANDIDATE, "quarantined": WARNING, "undecided": BASELINE, "failed": WARNING}


def use_house_style() -> None:
    """Set matplotlib's defaults: no top or right spine, a light grid behind the data, one width."""
    sns.set_theme(style="ticks", context="notebook", font_scale=0.85)
    mpl.rcParams |= {
        "figure.figsize": (WIDTH_INCH, 3.4),
        "figure.dpi": 130,
        "figure.constrained_layout.use": True,
        "savefig.dpi": 160,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.titlelocation": "left",
        "axes.titlesize": 11,
        "axes.titleweight": "bold",
        "axes.titlepad": 10,
        "axes.axisbelow": True,
        "grid.color": "#e6e6e6",
        "svg.hashsalt": "perflib",
    }


def plot_operators(profile: Profile, *, top_count: int = 10) -> tuple[Figure, Axes]:
    """Draw the operators in which most of the time is spent, by their own time."""
    rows = profile.operators[:top_count][::-1]
    first = profile.operators[0]
    fig, ax = plt.subplots(figsize=(WIDTH_INCH, 0.32 * len(rows) + 1.1))
    shares = [100 * row.self_share_ratio for row in rows]
    ax.barh([row.operator.removeprefix("aten::") for row in rows], shares, color=BASELINE)
    for place, (row, share) in enumerate(zip(rows, shares, strict=True)):
        ax.annotate(
            f"{share:.1f} %  ({units.duration(row.self_sec / profile.active_step_count)})",
            (share, place),
            xytext=(4, 0),
            textcoords="offset points",
            va="center",
            fontsize=8,
        )
    ax.set(xlabel="Share of operator self time [%]", xlim=(0, 1.25 * max(shares)))
    ax.grid(axis="x")
    name = first.operator.removeprefix("aten::")
    ax.set_title(f"{name} takes {100 * first.self_share_ratio:.0f} % of the time")
    listed = ", ".join(
        f"{row.operator.removeprefix('aten::')} {100 * row.self_share_ratio:.0f} %" for row in rows[::-1]
    )
    return _labelled(fig, ax, f"Bars of operator self time: {listed}.")


def plot_latency(baseline: Baseline) -> tuple[Figure, Axes]:
    """Draw the cumulative distribution of single-example latency, one line per fresh process."""
    single = next(one for one in baseline.scenarios if one.scenario == "single")
    fig, ax = plt.subplots()
    for index, samples_sec in enumerate(single.samples_sec):
        ordered = np.sort(np.asarray(samples_sec)) * 1e3
        shares = 100 * np.arange(1, ordered.size + 1) / ordered.size
        ax.step(ordered, shares, where="post", color=BASELINE, alpha=0.8, lw=1.4, label=f"process {index + 1}")
    for quantile_sec, word, share in ((single.p50_sec, "median", 50), (single.p95_sec, "95 %", 95)):
        ax.plot(1e3 * quantile_sec, share, "o", color=CANDIDATE, ms=5)
        ax.annotate(
            f"{word}: {units.duration(quantile_sec)}",
            (1e3 * quantile_sec, share),
            xytext=(8, -12),
            textcoords="offset points",
            color=CANDIDATE,
            bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.85, "pad": 1},
        )
    largest_ms = 1e3 * max(max(samples) for samples in single.samples_sec)
    ax.set(xlabel="Latency of one call [ms]", ylabel="Calls at most that long [%]", ylim=(0, 104))
    ax.set_xlim(0, min(1.1 * largest_ms, 4e3 * single.p95_sec))
    ax.grid(axis="both")
    ax.set_title(f"Half of single calls take {units.duration(single.p50_sec)} or less")
    return _labelled(
        fig,
        ax,
        f"Cumulative distribution of single-call latency in {len(single.samples_sec)} processes: median "
        f"{units.duration(single.p50_sec)}, 95 % within {units.duration(single.p95_sec)}, "
        f"longest {units.duration(largest_ms / 1e3)}.",
    )


def plot_ceiling(ceilings: Ceilings) -> tuple[Figure, Axes]:
    """Draw what the machine can multiply per second, by precision."""
    rates = {
        "fp32": ceilings.fp32_flop_per_sec,
        "bf16": ceilings.bf16_flop_per_sec,
        "int8": ceilings.int8_op_per_sec,
    }
    known = {name: rate for name, rate in rates.items() if rate is not None}
    fig, ax = plt.subplots(figsize=(WIDTH_INCH, 2.3))
    bars = ax.barh(list(known), [rate / 1e9 for rate in known.values()], color=[BASELINE, CANDIDATE, CANDIDATE])
    words = [f"{units.rate(rate, 'OP/s')}, {rate / known['fp32']:.1f}× fp32" for rate in known.values()]
    ax.bar_label(bars, words, padding=4, fontsize=8)
    ax.invert_yaxis()
    ax.set(xlabel="Best matrix product seen [GOP/s]", xlim=(0, 1.4e-9 * max(known.values())))
    ax.grid(axis="x")
    best = max(known, key=lambda name: known[name])
    ax.set_title(f"{best} can multiply {known[best] / known['fp32']:.1f}× as fast as fp32 here")
    return _labelled(fig, ax, f"Bars of the best matrix product rate by precision: {'; '.join(words)}.")


def plot_slices(slices: Sequence[SliceResult], *, has_candidate: bool) -> tuple[Figure, Axes]:
    """Draw the baseline's accuracy by slice, or where there is a candidate its change, with what each can carry."""
    places = np.arange(len(slices))[::-1]
    fig, ax = plt.subplots(figsize=(WIDTH_INCH, 0.42 * len(slices) + 1.3))
    ax.set_yticks(places, [f"{one.value} (n = {one.example_count:,})" for one in slices])
    ax.set_ylim(-0.6, len(slices) - 0.4)
    ax.grid(axis="x")
    told = _slice_changes(ax, slices, places) if has_candidate else _slice_accuracies(ax, slices, places)
    return _labelled(fig, ax, told)


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


def plot_lives(comparison: Comparison) -> tuple[Figure, Axes]:
    """Draw the speed-up of every life as a point, and the interval that all of them carry, by scenario."""
    fig, ax = plt.subplots(figsize=(WIDTH_INCH, 0.8 * len(comparison.scenarios) + 1.5))
    told = []
    for place, one in enumerate(comparison.scenarios[::-1]):
        ratios = np.exp([-life.log_ratio for life in one.lives])
        ax.plot(ratios, np.full(ratios.size, place + 0.16), "o", color=CANDIDATE, alpha=0.45, ms=5, mec="none")
        told.append(_interval_line(ax, one.speedup_ratio, place, f"{one.scenario}: {one.verdict.lower()}"))
    _speed_axis(ax, comparison.scenarios[::-1], [one.scenario for one in comparison.scenarios[::-1]])
    lives_count = max(len(one.lives) for one in comparison.scenarios)
    ax.set_title(f"{comparison.name} against the baseline, {lives_count} pairs of fresh processes")
    return _labelled(fig, ax, f"Speed-up of {comparison.name} with interval: {'; '.join(told)}.")


def plot_summary(candidates: Sequence[Candidate], *, margin_ratio: float) -> tuple[Figure, Any]:
    """Draw the two things that decide, side by side: speed with its interval, accuracy change with its lower bound."""
    shown = [one for one in candidates if one.accuracy_change is not None]
    if not shown:
        return _empty_summary()
    fig, (speed, quality) = plt.subplots(
        1, 2, figsize=(WIDTH_INCH * 1.25, 0.75 * len(shown) + 1.5), sharey=True, width_ratios=(3, 2)
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
    return _labelled(fig, (speed, quality), f"{'; '.join(told)}. The margin is {100 * margin_ratio:g} points.")


def _empty_summary() -> tuple[Figure, Axes]:
    fig, ax = plt.subplots(figsize=(WIDTH_INCH, 1.2))
    ax.axis("off")
    ax.text(0, 0.5, "No candidate was both built and validated.", va="center")
    return _labelled(fig, ax, "No candidate was both built and validated, so there is nothing to draw.")


def _accuracy_line(ax: Axes, one: Candidate, place: float, colour: str) -> str:
    change = one.accuracy_change
    assert change is not None
    ax.plot(100 * change.estimate, place, "o", color=colour, ms=6)
    if change.low is not None:
        ax.hlines(place, 100 * change.low, 100 * change.estimate, color=colour, lw=2)
        ax.plot(100 * change.low, place, "|", color=colour, ms=9, mew=2)
    return f"{one.name} accuracy {units.points(change.estimate)}, at worst {units.points(change.low)}"


def _interval_line(ax: Axes, ratio: Any, place: float, name: str, *, colour: str = CANDIDATE) -> str:
    ax.plot(ratio.estimate, place, "o", color=colour, ms=6)
    if ratio.low is not None and ratio.high is not None:
        ax.hlines(place, ratio.low, ratio.high, color=colour, lw=2)
    return f"{name} {units.speedup(ratio.estimate, ratio.low, ratio.high)}"


def _beside(ax: Axes, x: float, y: float, text: str) -> None:
    ax.annotate(text, (x, y), xytext=(6, 0), textcoords="offset points", va="center", fontsize=8)


def _speed_axis(ax: Axes, scenarios: Sequence[Any], names: Sequence[str]) -> None:
    for place, one in enumerate(scenarios):
        ratio = one.speedup_ratio
        _beside(ax, ratio.high or ratio.estimate, place, units.speedup(ratio.estimate, ratio.low, ratio.high))
    ax.axvline(1, color=BASELINE, lw=1.5)
    ax.annotate(
        "baseline", (1, len(names) - 0.55), xytext=(4, 0), textcoords="offset points", color=BASELINE, fontsize=8
    )
    ax.set_yticks(range(len(names)), names)
    ax.set_ylim(-0.6, len(names) - 0.3)
    ax.set_xlim(0, 1.35 * max(ax.get_xlim()[1], 1.2))
    ax.set_xlabel("Speed-up over the baseline [×]")
    ax.grid(axis="x")


def _labelled(fig: Figure, ax: Any, text: str) -> tuple[Figure, Any]:
    fig.set_label(text)
    return fig, ax
