"""How far a verdict can be trusted: false alarms and power, simulated for many rules and lived for ours."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter
from numpy.typing import NDArray

from perflib import units
from perflib.plots.style import (
    BASELINE,
    CANDIDATE,
    HARMLESS,
    INK,
    UNDECIDED,
    WARNING,
    WIDTH_INCH,
    empty_figure,
    labelled,
    wrapped,
)
from perflib.results import Calibration, CalibrationCell, NoiseStudy, RuleScore

_MARKERS = "os^DvP*X"
_NOISE_WORDS = {
    "iid": "independent",
    "ar1": "autocorrelated",
    "student-t3": "outliers",
    "lognormal-drift": "spikes and drift",
    "recorded": "recorded",
}
# Below this many percent the axis of false alarms is linear, so that zero has a place.
_LINEAR_PERCENT = 0.1
# A narrower part of a bar has no room for its number.
_LEAST_WRITTEN_PERCENT = 6.0


def plot_rules(study: NoiseStudy) -> tuple[Figure, Any]:
    """
    Draw each rule's false alarms where nothing changed beside the slowdowns that it found, one marker per noise.

    Our rule stands first, then the rivals by their worst false alarms.
    """
    ours = {score.rule for score in study.any_time}
    rules = _ranked(study.scores, ours)
    if not rules:
        return empty_figure("The study holds no rule, so there is nothing to draw.")
    effects = sorted({score.effect_ratio for score in study.scores if score.effect_ratio > 0})
    noises = list(dict.fromkeys(score.noise for score in study.scores))
    markers = {noise: _MARKERS[index % len(_MARKERS)] for index, noise in enumerate(noises)}
    size = (1.25 * WIDTH_INCH, 0.5 * len(rules) + 1.7)
    fig, (alarms, power) = plt.subplots(1, 2, figsize=size, sharey=True)
    for place, rule in enumerate(rules):
        colour, own = CANDIDATE if rule in ours else BASELINE, [one for one in study.scores if one.rule == rule]
        _alarm_marks(alarms, [one for one in own if one.effect_ratio == 0], place, markers, colour)
        for effect, height in zip(effects, place + _offsets(len(effects)), strict=True):
            _power_marks(power, [one for one in own if one.effect_ratio == effect], height, markers, colour)
    _rule_axes(alarms, power, rules, ours)
    _alarm_axis(alarms, study.alpha_ratio)
    for effect, height in zip(effects, _offsets(len(effects)), strict=True):
        power.text(104, height, f"{100 * effect:g} % slower", va="center", fontsize=7.5)
    marks = [
        Line2D([], [], color=INK, marker=mark, ls="", ms=5, label=_NOISE_WORDS.get(noise, noise))
        for noise, mark in markers.items()
    ]
    fig.legend(handles=marks, loc="outside lower center", ncols=len(marks), frameon=False, fontsize=8)
    alarms.set_title(wrapped(_alarm_finding(study.scores, rules), 42), fontsize=10, pad=16)
    power.set_title(wrapped(_power_finding(study.scores, rules[0], effects), 44), fontsize=10, pad=16)
    told = "; ".join(_rule_words(rule, study.scores, effects) for rule in rules)
    longer = f" Over {study.any_time_lives_count} lives {_alarm_words(study.any_time)}." if study.any_time else ""
    return labelled(fig, (alarms, power), f"Rules at equal run time: {told}.{longer}")


def _ranked(scores: Sequence[RuleScore], ours: set[str]) -> list[str]:
    rules = dict.fromkeys(score.rule for score in scores)
    return sorted(rules, key=lambda rule: (rule not in ours, max(_said(scores, rule, 0.0), default=0.0)))


def _said(scores: Sequence[RuleScore], rule: str, effect_ratio: float) -> list[float]:
    return [one.said_ratio for one in scores if one.rule == rule and one.effect_ratio == effect_ratio]


def _offsets(count: int) -> NDArray[np.float64]:
    """Return where the lines of one row stand around its middle."""
    return np.linspace(-0.27, 0.27, count) if count > 1 else np.zeros(count)


def _alarm_marks(ax: Axes, scores: Sequence[RuleScore], place: int, markers: Mapping[str, str], colour: str) -> None:
    for one, offset in zip(scores, _offsets(len(scores)), strict=True):
        ax.hlines(place + offset, 100 * one.low_ratio, 100 * one.high_ratio, color=colour, lw=1, alpha=0.6)
        ax.plot(100 * one.said_ratio, place + offset, markers[one.noise], color=colour, ms=4.5, mec="none")


def _power_marks(ax: Axes, scores: Sequence[RuleScore], height: float, markers: Mapping[str, str], colour: str) -> None:
    found = [100 * one.said_ratio for one in scores]
    if found:
        ax.hlines(height, min(found), max(found), color=colour, lw=1, alpha=0.6)
    for one, value in zip(scores, found, strict=True):
        ax.plot(value, height, markers[one.noise], color=colour, ms=4, mec="none", alpha=0.8, clip_on=False)


def _rule_axes(alarms: Axes, power: Axes, rules: Sequence[str], ours: set[str]) -> None:
    power.set(xlabel="Planted slowdowns found [%]", xlim=(0, 102))
    alarms.set_yticks(range(len(rules)), rules)
    alarms.set_ylim(len(rules) - 0.5, -0.5)
    for tick, rule in zip(alarms.get_yticklabels(), rules, strict=True):
        tick.set(color=CANDIDATE if rule in ours else INK, weight="bold" if rule in ours else "normal")
    for ax in (alarms, power):
        ax.grid(axis="x")
        ax.tick_params(axis="y", length=0)
        ax.hlines(np.arange(1, len(rules)) - 0.5, 0, 1, color="#e6e6e6", lw=0.8, transform=ax.get_yaxis_transform())


def _alarm_axis(ax: Axes, alpha_ratio: float) -> None:
    ax.set_xscale("symlog", linthresh=_LINEAR_PERCENT, linscale=0.5)
    ax.set_xticks([0, 0.1, 1, 10, 100])
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    ax.set(xlabel=f"False alarms [%] (log axis from {_LINEAR_PERCENT:g})", xlim=(-0.02, 110))
    ax.axvline(100 * alpha_ratio, color=INK, lw=1.2, ls="--")
    ax.text(
        *(100 * alpha_ratio, 1.005),
        f"alpha = {100 * alpha_ratio:g} %",
        transform=ax.get_xaxis_transform(),
        ha="center",
        va="bottom",
        fontsize=8,
    )


def _alarm_finding(scores: Sequence[RuleScore], rules: Sequence[str]) -> str:
    worst = {rule: max(_said(scores, rule, 0.0), default=0.0) for rule in rules}
    first, *rivals = rules
    finding = f"{first}: at most {units.percent(worst[first])} false alarms"
    return f"{finding}, rivals up to {units.percent(max(worst[rule] for rule in rivals))}" if rivals else finding


def _power_finding(scores: Sequence[RuleScore], rule: str, effects: Sequence[float]) -> str:
    least = {effect: min(said) for effect in effects if (said := _said(scores, rule, effect))}
    if not least:
        return "No slowdown was planted"
    shares = ", ".join(units.percent(share, 0) for share in least.values())
    return f"{rule} finds at least {shares} of slowdowns of {', '.join(f'{100 * effect:g} %' for effect in least)}"


def _rule_words(rule: str, scores: Sequence[RuleScore], effects: Sequence[float]) -> str:
    alarms = [one for one in scores if one.rule == rule and one.effect_ratio == 0]
    powers = [
        f"{100 * effect:g} % slower found in {units.percent(min(said))} to {units.percent(max(said))}"
        for effect in effects
        if (said := _said(scores, rule, effect))
    ]
    return ", ".join([_alarm_words(alarms), *powers])


def _alarm_words(scores: Sequence[RuleScore]) -> str:
    parts = [f"{_NOISE_WORDS.get(one.noise, one.noise)} {units.percent(one.said_ratio, 2)}" for one in scores]
    return f"{scores[0].rule} false alarms: {', '.join(parts)}" if scores else "no A/A"


def plot_calibration(calibration: Calibration) -> tuple[Figure, Axes]:
    """Draw what was said in real comparisons whose truth is known, one bar of shares for each kind."""
    cells = [cell for cell in calibration.cells if cell.comparison_count]
    if not cells:
        return empty_figure("Nothing was compared for the calibration, so there is nothing to draw.")
    fig, ax = plt.subplots(figsize=(WIDTH_INCH, 0.42 * len(cells) + 1.6))
    places = np.arange(len(cells))
    ends = np.zeros(len(cells))
    for word, colour, ink in _ANSWERS:
        shares = np.array([100 * _counts(cell)[word] / cell.comparison_count for cell in cells])
        bars = ax.barh(places, shares, left=ends, height=0.66, color=colour, label=word)
        written = [f"{share:.0f}" if share >= _LEAST_WRITTEN_PERCENT else "" for share in shares]
        ax.bar_label(bars, written, label_type="center", color=ink, fontsize=8)
        ends += shares
    for place, cell in enumerate(cells):
        ax.text(102, place, f"{cell.comparison_count:,}", va="center", fontsize=8)
        ax.text(114, place, f"{cell.median_lives_count:g}", va="center", fontsize=8)
    ax.text(102, -0.62, "n", fontsize=8, color=BASELINE)
    ax.text(114, -0.62, "median lives", fontsize=8, color=BASELINE)
    ax.set_yticks(places, [_cell_name(cell) for cell in cells])
    ax.set(xlabel="Share of comparisons [%]", xlim=(0, 100), ylim=(len(cells) - 0.5, -0.5))
    ax.grid(axis="x")
    ax.legend(loc="lower left", bbox_to_anchor=(-0.02, 1.0), ncols=4, frameon=False, fontsize=8, handlelength=1)
    ax.set_title(wrapped(_calibration_finding(cells)), pad=26)
    told = "; ".join(_cell_words(cell) for cell in cells)
    return labelled(fig, ax, f"What was said of real comparisons whose truth is known: {told}.")


_ANSWERS = (
    ("slower", WARNING, "white"),
    ("no regression", HARMLESS, "white"),
    ("not decided", UNDECIDED, INK),
    ("faster", CANDIDATE, "white"),
)


def _counts(cell: CalibrationCell) -> dict[str, int]:
    return {
        "slower": cell.regression_count,
        "no regression": cell.pass_count,
        "not decided": cell.inconclusive_count,
        "faster": cell.improvement_count,
    }


def _cell_name(cell: CalibrationCell) -> str:
    return "A/A: no change" if cell.effect_ratio == 0 else f"{cell.kind} +{100 * cell.effect_ratio:g} %"


def _calibration_finding(cells: Sequence[CalibrationCell]) -> str:
    same = [cell for cell in cells if cell.effect_ratio == 0]
    planted = [cell for cell in cells if cell.effect_ratio > 0]
    parts = []
    if same:
        alarms_count = sum(cell.regression_count + cell.improvement_count for cell in same)
        word = "false alarm" if alarms_count == 1 else "false alarms"
        parts.append(f"{alarms_count} {word} in {sum(cell.comparison_count for cell in same):,} A/A comparisons")
    if planted:
        found_count = sum(cell.regression_count for cell in planted)
        parts.append(f"{found_count:,} of {sum(cell.comparison_count for cell in planted):,} planted slowdowns found")
    return "; ".join(parts)


def _cell_words(cell: CalibrationCell) -> str:
    said = ", ".join(f"{word} {count}" for word, count in _counts(cell).items() if count)
    return f"{_cell_name(cell)} {said} of {cell.comparison_count} after {cell.median_lives_count:g} lives in the median"
