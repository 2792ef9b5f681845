"""How much faster, and how it became certain: life by life, call by call, and as evidence."""

import dataclasses
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator
from numpy.typing import NDArray

from perflib import units
from perflib.plots.style import (
    BASELINE,
    CANDIDATE,
    HARMLESS,
    INK,
    WARNING,
    WIDTH_INCH,
    empty_figure,
    label_ends,
    labelled,
    shortened,
    verdict_words,
    wrapped,
)
from perflib.results import Comparison, EvidencePath, Percentile, ScenarioComparison

# More points than a screen has columns make a figure heavy and not finer.
_STEP_COUNT = 1000
_LIVES_AXIS = "Lives: pairs of fresh processes [count]"


def plot_lives(paths: Sequence[EvidencePath], *, name: str) -> tuple[Figure, Any]:
    """
    Draw every life's speed-up, and estimate and interval of all lives so far as they close in.

    Args:
        paths: One per scenario; each gets its own panel.
        name: The candidate's.
    """
    return _panels(paths, name, _closing_interval, what="Speed-up")


def plot_evidence(paths: Sequence[EvidencePath], *, name: str) -> tuple[Figure, Any]:
    """
    Draw the evidence for each verdict after each life; what reaches the dashed line first is said.

    Args:
        paths: One per scenario; each gets its own panel.
        name: The candidate's.
    """
    return _panels(paths, name, _evidence_lines, what="Evidence")


def _panels(
    paths: Sequence[EvidencePath], name: str, draw: Callable[[Axes, EvidencePath, str], str], *, what: str
) -> tuple[Figure, Any]:
    counted = [path for path in paths if path.speedup_ratios]
    if not counted:
        return empty_figure(f"No life of {name} counted, so there is nothing to draw.")
    fig, grid = plt.subplots(len(counted), 1, figsize=(WIDTH_INCH, 2.1 * len(counted) + 0.5), squeeze=False)
    axes = tuple(grid[:, 0])
    told = [draw(ax, path, name) for ax, path in zip(axes, counted, strict=True)]
    for ax in axes:
        ax.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        ax.set_xlabel(_LIVES_AXIS)
        ax.grid(axis="y")
    return labelled(fig, axes, f"{what} of {name} after each life: {'; '.join(told)}.")


def _closing_interval(ax: Axes, path: EvidencePath, name: str) -> str:
    count, tolerance = len(path.speedup_ratios), path.tolerance_ratio
    lives = np.arange(1, count + 1)
    # A missing bound becomes NaN, which is not drawn.
    lows, highs = np.array(path.low_ratios, float), np.array(path.high_ratios, float)
    ax.axhspan(1 / (1 + tolerance), 1 + tolerance, color=BASELINE, alpha=0.18, lw=0)
    ax.axhline(1, color=BASELINE, lw=1.5)
    ax.fill_between(lives, lows, highs, color=CANDIDATE, alpha=0.18, lw=0)
    ax.plot(lives, path.speedup_ratios, "o", color=CANDIDATE, alpha=0.45, ms=5, mec="none")
    ax.plot(lives, path.estimate_ratios, color=CANDIDATE, lw=1.8)
    low, high = path.low_ratios[-1], path.high_ratios[-1]
    final = [bound for bound in (low, high) if bound is not None]
    ax.plot([count] * len(final), final, color=CANDIDATE, lw=2)
    bottom, top = _limits([*path.speedup_ratios, *path.estimate_ratios, 1.0, *final])
    # Early intervals may reach far beyond the data; they enter from outside.
    ax.set(xlim=(0.5, count + 0.5), ylim=(bottom, top), ylabel="Speed-up [×]\n(axis cut)")
    reached = units.speedup(path.estimate_ratios[-1], low, high)
    zone = f"baseline ± {100 * tolerance:g} %" if 2 * tolerance > 0.02 * (top - bottom) else "baseline"
    label_ends(ax, [(1.0, zone, BASELINE), (path.estimate_ratios[-1], reached, CANDIDATE)])
    words = verdict_words(path.verdict, mde_ratio=path.mde_ratio)
    ax.set_title(wrapped(f"{name}, {path.scenario}: {words}, {reached}"))
    spanned = f"lives from {units.speedup(min(path.speedup_ratios))} to {units.speedup(max(path.speedup_ratios))}"
    return f"{path.scenario} {words} at {reached} after {_lives(count)}, {spanned}"


def _limits(values: Sequence[float]) -> tuple[float, float]:
    low, high = min(values), max(values)
    margin = max(0.12 * (high - low), 0.004)
    return low - margin, high + margin


def _evidence_lines(ax: Axes, path: EvidencePath, name: str) -> str:
    bar, count = math.log10(1 / path.alpha_ratio), len(path.speedup_ratios)
    words = verdict_words("PASS", mde_ratio=path.mde_ratio)
    # A clear improvement is as clearly no regression: the wider line stays visible below the other.
    lines = {
        words: (path.log_evidence_no_regression, HARMLESS, 3.4),
        "faster": (path.log_evidence_faster, CANDIDATE, 1.8),
        "slower": (path.log_evidence_slower, WARNING, 1.8),
    }
    ends = [(bar, f"decided: 1/alpha = {1 / path.alpha_ratio:.0f}", INK)]
    ax.axhline(bar, color=INK, lw=1.2, ls="--")
    for word, (logs, colour, width) in lines.items():
        # Before the first life nothing speaks for anything: E is 1.
        powers = np.array([0.0, *logs]) / math.log(10)
        ax.plot(range(count + 1), powers, color=colour, lw=width, solid_capstyle="butt")
        ends.append((float(powers[-1]), word, colour))
    highest = max(max(logs) for logs, *_ in lines.values()) / math.log(10)
    # What lies further below is evidence against, and how much is nobody's question.
    ax.set(xlim=(0, count), ylim=(-1.2 * bar, max(1.25 * bar, 1.05 * highest)))
    ax.set_ylabel("Evidence E [×]\n(log axis)")
    ax.yaxis.set_major_locator(MaxNLocator(nbins=6, integer=True))
    ax.yaxis.set_major_formatter(FuncFormatter(lambda power, _: f"$10^{{{power:.0f}}}$"))
    label_ends(ax, ends)
    crossed, said = _decided_with(path)
    if crossed:
        ax.plot(crossed, said / math.log(10), "o", color=INK, ms=5)
    finding = verdict_words(path.verdict, mde_ratio=path.mde_ratio)
    finding += f", decided with life {crossed} of {count}" if crossed else f" after {_lives(count)}"
    ax.set_title(wrapped(f"{name}, {path.scenario}: {finding}"))
    values = ", ".join(f"E for {word} {_power(logs[-1])}" for word, (logs, *_) in lines.items())
    return f"{path.scenario} {finding}, {values}, where {1 / path.alpha_ratio:.0f} decides"


def _decided_with(path: EvidencePath) -> tuple[int, float]:
    """Return the life that brought the verdict, with its evidence; 0 and 0 where none did."""
    logs = {
        "IMPROVEMENT": path.log_evidence_faster,
        "REGRESSION": path.log_evidence_slower,
        "PASS": path.log_evidence_no_regression,
    }.get(path.verdict, ())
    bar = math.log(1 / path.alpha_ratio)
    return next(((life, value) for life, value in enumerate(logs, start=1) if value >= bar), (0, 0.0))


def _power(log_evidence: float) -> str:
    # E doubles with a life at most, so that hundreds of lives leave what a float can hold.
    power = log_evidence / math.log(10)
    return units.three_digits(math.exp(log_evidence)) if -2 < power < 4 else f"10^{power:.0f}"


def _lives(count: int) -> str:
    return f"{count} {'life' if count == 1 else 'lives'}"


@dataclasses.dataclass(frozen=True)
class _Arm:
    """One arm as `plot_latencies` draws it; ``samples_sec`` in ascending order."""

    name: str
    colour: str
    percentiles: tuple[Percentile, ...]
    samples_sec: NDArray[np.float64]

    @property
    def median_sec(self) -> float:
        known = [one.estimate_sec for one in self.percentiles if one.share_ratio == 0.5]
        return known[0] if known else float(np.median(self.samples_sec))


def plot_latencies(comparison: Comparison) -> tuple[Figure, Axes]:
    """
    Draw the cumulative distribution of single calls of both arms over all lives, with the percentiles they carry.

    Without the scenario `single` the slots of the first scenario are drawn, and the axis says so.
    """
    one = next((one for one in comparison.scenarios if one.scenario == "single"), comparison.scenarios[0])
    arms = _arms(one, comparison.name)
    if min(arm.samples_sec.size for arm in arms) == 0:
        return empty_figure(f"No unit of {comparison.name} counted, so there is nothing to draw.")
    item, items, what = _what(one)
    fig, ax = plt.subplots()
    _steps(ax, arms, what)
    ax.set_ylabel(f"{items} at most that long [%]")
    before, after = (units.duration(arm.median_sec) for arm in arms)
    title = f"The median {item} takes {before} in both" if before == after else ""
    ax.set_title(wrapped(title or f"The median {item} takes {after} instead of {before}"), pad=26)
    ax.legend(loc="lower left", bbox_to_anchor=(-0.02, 1.0), ncols=2, frameon=False, labelcolor="linecolor")
    ax.grid(axis="both")
    told = "; ".join(_arm_words(arm) for arm in arms)
    return labelled(fig, ax, f"Cumulative distribution of the time of {what}, all lives together: {told}.")


def _what(one: ScenarioComparison) -> tuple[str, str, str]:
    """Return what is counted, its plural, and what the axis calls it."""
    if one.scenario == "single":
        return "call", "Calls", "one call"
    if one.statistic == "total":
        return "pass", "Passes", f"one pass over {one.examples_per_slot_count} examples in {one.scenario}"
    return "slot", "Slots", f"a request at the rate that a slot of {one.scenario} carries"


def _arms(one: ScenarioComparison, name: str) -> tuple[_Arm, _Arm]:
    is_single = one.scenario == "single"
    # Percentiles are of calls; where slots are drawn, they have no place.
    baseline, candidate = (arm.percentiles if is_single else () for arm in (one.baseline, one.candidate))
    slots: dict[str, list[tuple[float, ...]]] = {"A": [], "B": []}
    for unit in (unit for life in one.lives for unit in life.units if unit.dropped is None):
        for letter, samples_sec in zip(unit.order, unit.samples_sec, strict=True):
            slots[letter].append(samples_sec if is_single else (sum(samples_sec) / one.passes_per_slot_count,))
    before, after = (np.sort(np.array([value for slot in slots[letter] for value in slot])) for letter in "AB")
    return _Arm("baseline", BASELINE, baseline, before), _Arm(name, CANDIDATE, candidate, after)


def _steps(ax: Axes, arms: Sequence[_Arm], what: str) -> None:
    slow_sec = max(float(np.quantile(arm.samples_sec, 0.95)) for arm in arms)
    end_sec = min(1.05 * max(float(arm.samples_sec[-1]) for arm in arms), 2.5 * slow_sec)
    factor, unit = (1.0, "s") if slow_sec >= 1 else (1e3, "ms") if slow_sec >= 1e-3 else (1e6, "µs")
    # The baseline's line is wider, so that it shows where both are the same.
    for arm, width in zip(arms, (2.4, 1.5), strict=True):
        heights = np.linspace(0, 1, min(arm.samples_sec.size, _STEP_COUNT) + 1)
        ordered = np.quantile(arm.samples_sec, heights, method="inverted_cdf")
        ax.step(factor * ordered, 100 * heights, where="post", color=arm.colour, lw=width, label=shortened(arm.name))
        for one in arm.percentiles:
            share, ends = 100 * one.share_ratio, (factor * one.low_sec, factor * one.high_sec)
            ax.plot(ends, (share, share), "|-", color=arm.colour, lw=2.5, ms=8, mew=1.5)
            ax.plot(factor * one.estimate_sec, share, "o", color=arm.colour, ms=5, mec="white", mew=0.6)
    beyond_count = sum(int((arm.samples_sec > end_sec).sum()) for arm in arms)
    cut = f"; n = {beyond_count:,} beyond the axis" if beyond_count else ""
    ax.set(xlabel=f"Time of {what} [{unit}]{cut}", xlim=(0, factor * end_sec), ylim=(0, 103))
    shares = sorted({one.share_ratio for arm in arms for one in arm.percentiles})
    label_ends(ax, [(100 * share, _both(arms, share), INK) for share in shares])


def _both(arms: Sequence[_Arm], share_ratio: float) -> str:
    """Say one percentile of both arms, in their order; a dash where the calls do not carry it."""
    found = [
        next((one.estimate_sec for one in arm.percentiles if one.share_ratio == share_ratio), None) for arm in arms
    ]
    return f"p{100 * share_ratio:g}: {' → '.join(units.duration(value_sec) for value_sec in found)}"


def _arm_words(arm: _Arm) -> str:
    percentiles = [
        f"p{100 * one.share_ratio:g} {units.duration(one.estimate_sec)} "
        f"[{units.duration(one.low_sec)}, {units.duration(one.high_sec)}]"
        for one in arm.percentiles
    ] or [f"median {units.duration(arm.median_sec)}"]
    longest = units.duration(float(arm.samples_sec[-1]))
    return f"{arm.name} {', '.join(percentiles)}, longest {longest}, n = {arm.samples_sec.size:,}"
