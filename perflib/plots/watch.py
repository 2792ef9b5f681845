"""What the watch found: every series of a check in a row, and the paired reruns behind a verdict."""

from collections.abc import Sequence

from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from perflib import units
from perflib.plots.style import (
    BASELINE,
    HARMLESS,
    INK,
    UNDECIDED,
    WARNING,
    WIDTH_INCH,
    empty_figure,
    labelled,
    shortened,
    wrapped,
)
from perflib.results.history import LEAST_RUNS_COUNT, METRICS, NO_SCENARIO, Family
from perflib.results.regression import Check, Confirmation, Rerun, SeriesCheck, SeriesState
from perflib.results.speed import Interval
from perflib.sentences.series_words import (
    VERDICT_WORDS,
    coverage_words,
    ratio_words,
    series_name,
    shift_words,
    swap_words,
)

_NAME_CHARACTERS = 30
_WATCH_WIDTH_INCH = 1.25 * WIDTH_INCH
_AXES: dict[Family, str] = {
    "speed": "Time over the last good run [×]",
    "memory": "Memory over the last good run [×]",
    "size": "Size over the last good run [×]",
    "quality": "Change of right answers [percentage points]",
    "machine": "Time over the last good run [×]",
}
_ORDER: tuple[SeriesState, ...] = ("nominated", "known", "better", "quiet", "too few", "first")
# A shift so many times the widest band would hide all others; it stands at the edge.
_MOST_BANDS_COUNT = 2.5


def plot_confirmation(confirmation: Confirmation) -> tuple[Figure, Axes]:
    """
    Draw the reruns of a confirmation: what each set of swapped components costs beside the last good run.

    A culprit has the warning colour, what is not worse is grey, and what was not decided is open.
    """
    one = confirmation
    if not one.reruns:
        return empty_figure(f"{one.candidate}, {one.family}: {one.sentence}")
    fig, ax = plt.subplots(figsize=(WIDTH_INCH, 0.46 * len(one.reruns) + 1.6))
    same, factor = (0.0, 100.0) if one.family == "quality" else (1.0, 1.0)
    told, ends = [], [same]
    ax.axvline(same, color=BASELINE, lw=1.5)
    for row, rerun in enumerate(one.reruns):
        ends += _forest_row(ax, row, rerun, one, factor=factor)
        told.append(" ".join(f"{_swap_name(rerun, row)}: {_found_words(rerun, one)}".split()))
    low, high = min(ends), max(ends)
    margin = 0.08 * (high - low) or 0.05 * factor
    ax.set_xlim(low - margin, high + margin)
    ax.set_ylim(len(one.reruns) - 0.4, -0.6)
    ax.set_yticks(range(len(one.reruns)), [_swap_name(rerun, row) for row, rerun in enumerate(one.reruns)])
    for tick, rerun in zip(ax.get_yticklabels(), one.reruns, strict=True):
        tick.set_fontweight("bold" if _is_culprit(rerun, one) else "normal")
    coverage = coverage_words(one.ratio).strip(" ()")
    ax.set_xlabel(_AXES[one.family] + (f", {coverage} intervals" if coverage else ""))
    ax.grid(axis="x")
    _head(fig, _verdict_title(one))
    return labelled(fig, ax, f"Reruns of {one.candidate} beside {one.good_run_id}: {'; '.join(told)}. {one.sentence}")


def plot_watch(check: Check, *, max_rows_count: int = 25) -> tuple[Figure, Axes]:
    """
    Draw every series of a check as one row: how far it moved, over the step that it could have shown.

    Args:
        check: What was found.
        max_rows_count: Of the quietest series those beyond it are counted only.
    """
    if not check.series:
        return empty_figure("No series was looked at, so there is nothing to draw.")
    ranked = sorted(check.series, key=_rank)
    shown = ranked[:max_rows_count]
    limit = _limit(shown)
    fig, ax = plt.subplots(figsize=(_WATCH_WIDTH_INCH, 0.26 * len(shown) + 2.0))
    for row, one in enumerate(shown):
        _watch_row(ax, row, one, limit)
    ax.axvline(0, color=BASELINE, lw=1.2)
    ax.set_xlim(-limit, limit)
    ax.set_ylim(len(shown) - 0.4, -0.6)
    names = [shortened(_row_name(one), _NAME_CHARACTERS) for one in shown]
    ax.set_yticks(range(len(shown)), names, fontsize=8)
    left = len(ranked) - len(shown)
    rest = f"\n{left} more series without a change are not drawn" if left else ""
    ax.set_xlabel(f"Change of the level [%, accuracy in points]; worse is right{rest}")
    ax.grid(axis="x")
    _watch_legend(fig, shown)
    _head(fig, _watch_title(check), characters_count=78)
    return labelled(fig, ax, f"{_watch_title(check)}. " + "; ".join(_row_words(one) for one in ranked) + ".")


def _forest_row(ax: Axes, row: int, rerun: Rerun, one: Confirmation, *, factor: float) -> list[float]:
    """Draw one rerun; return what has to be inside the axis."""
    colour = {True: WARNING, False: BASELINE, None: INK}[rerun.is_worse]
    ax.annotate(
        _found_words(rerun, one),
        (1.03, row),
        xycoords=("axes fraction", "data"),
        va="center",
        fontsize=8,
        color=colour if rerun.is_worse else INK,
        annotation_clip=False,
    )
    if rerun.ratio is None:
        return []
    ends = [bound for bound in (rerun.ratio.low, rerun.ratio.high) if bound is not None]
    if len(ends) == 2:
        ax.hlines(row, factor * ends[0], factor * ends[1], color=colour, lw=2)
    fill = "white" if rerun.is_worse is None else colour
    ax.plot(factor * rerun.ratio.estimate, row, "o", mec=colour, mfc=fill, mew=1.5, ms=8 if rerun.is_worse else 7)
    return [factor * end for end in (*ends, rerun.ratio.estimate)]


def _swap_name(rerun: Rerun, row: int) -> str:
    name = swap_words(rerun.swapped, rerun.package)
    if row == 0:
        return f"all that differs\n({name})" if len(rerun.swapped) > 1 else f"{name}\n(all that differs)"
    return shortened(name, _NAME_CHARACTERS) + " alone"


def _found_words(rerun: Rerun, one: Confirmation) -> str:
    found = {True: "worse", False: "not worse", None: "not decided"}[rerun.is_worse]
    return found if rerun.ratio is None else f"{ratio_words(rerun.ratio, one.family)}\n{found}"


def _is_culprit(rerun: Rerun, one: Confirmation) -> bool:
    return bool(rerun.is_worse) and any((culprit.component,) == rerun.swapped for culprit in one.culprits)


def _verdict_title(one: Confirmation) -> str:
    head = f"{one.family} of {one.candidate}: {VERDICT_WORDS[one.verdict]}"
    found = f", {ratio_words(one.ratio, one.family)}" if one.ratio is not None else ""
    causes = " and ".join(f"the {culprit.component}" for culprit in one.culprits)
    return f"{head}{found}{f'; the cause is {causes}' if causes else ''}"


def _rank(one: SeriesCheck) -> tuple[int, float, str]:
    moved = abs(_shift(one)[0]) if one.nomination is not None else one.visible_effect_ratio or 0.0
    return (_ORDER.index(one.state), -moved, str(one.series))


def _shift(one: SeriesCheck) -> tuple[float, float, float]:
    """Return shift and bounds in percent (points for accuracy), positive is worse."""
    assert one.nomination is not None, "only a nominated series has a shift"
    found = one.nomination
    sign = 1.0 if METRICS[one.series.metric].better == "less" else -1.0
    factor = 100.0 * sign * (found.before_value if found.family == "quality" else 1.0)
    known: Interval = found.shift_ratio
    bounds = [known.estimate if bound is None else bound for bound in (known.low, known.high)]
    low, high = sorted(factor * (bound - 1) for bound in bounds)
    return factor * (known.estimate - 1), low, high


def _limit(shown: Sequence[SeriesCheck]) -> float:
    bands = [100 * one.visible_effect_ratio for one in shown if one.visible_effect_ratio is not None]
    shifts = [max(abs(bound) for bound in _shift(one)) for one in shown if one.nomination is not None]
    return 1.15 * max(min(max([*bands, *shifts, 1.0]), _MOST_BANDS_COUNT * max([*bands, 5.0])), 1.0)


def _watch_row(ax: Axes, row: int, one: SeriesCheck, limit: float) -> None:
    visible = 100 * one.visible_effect_ratio if one.visible_effect_ratio is not None else None
    if visible is not None:
        ax.barh(row, 2 * visible, left=-visible, height=0.62, color=UNDECIDED, alpha=0.7, lw=0)
    if one.nomination is not None:
        shift, low, high = _shift(one)
        colour = WARNING if one.nomination.is_worse else HARMLESS
        fill = "white" if one.state == "known" else colour
        inside = min(max(shift, -0.97 * limit), 0.97 * limit)
        marker = "o" if inside == shift else ">" if shift > 0 else "<"
        ax.hlines(row, max(low, -limit), min(high, limit), color=colour, lw=2)
        ax.plot(inside, row, marker, mec=colour, mfc=fill, mew=1.5, ms=6, clip_on=False)
    ax.annotate(
        _state_words(one),
        (1.03, row),
        xycoords=("axes fraction", "data"),
        va="center",
        fontsize=7.5,
        color=INK if one.nomination is not None else BASELINE,
        annotation_clip=False,
    )


def _state_words(one: SeriesCheck) -> str:
    if one.nomination is not None:
        found = one.nomination
        shift = shift_words(found.shift_ratio, before=found.before_value, family=found.family)
        return f"{shift}{'' if one.state == 'nominated' else f', {one.state}'}"
    if one.state == "quiet":
        seen = one.visible_effect_ratio
        return "as before" if seen is None else f"quiet, would show {units.percent(seen)}"
    return f"{one.point_count} of {LEAST_RUNS_COUNT} runs" if one.state == "too few" else one.state


def _row_name(one: SeriesCheck) -> str:
    key = one.series
    return " ".join(word for word in (key.candidate, key.scenario, key.metric) if word != NO_SCENARIO)


def _row_words(one: SeriesCheck) -> str:
    return f"{series_name(one.series)}: {_state_words(one)}"


def _watch_title(check: Check) -> str:
    worse = [one for one in check.series if one.state == "nominated"]
    known, better = (sum(one.state == state for one in check.series) for state in ("known", "better"))
    words = [f"{len(worse)} of {len(check.series)} series moved for the worse"]
    if len(worse) == 1:
        words = [f"Of {len(check.series)} series only the {series_name(worse[0].series)} moved for the worse"]
    words += [f"{known} still known as worse"] if known else []
    words += [f"{better} better"] if better else []
    return ", ".join(words)


def _watch_legend(fig: Figure, shown: Sequence[SeriesCheck]) -> None:
    handles: list[Line2D | Patch] = [Patch(color=UNDECIDED, alpha=0.7, label="a step in here is not seen at once")]
    looks = (("worse", WARNING, WARNING), ("better", HARMLESS, HARMLESS), ("worse, told before", WARNING, "white"))
    moved = {(one.nomination.is_worse, one.state == "known") for one in shown if one.nomination is not None}
    wanted = ((True, False) in moved, (False, False) in moved, any(is_known for _, is_known in moved))
    handles += [
        Line2D([], [], marker="o", ls="", mec=edge, mfc=fill, label=label)
        for (label, edge, fill), is_there in zip(looks, wanted, strict=True)
        if is_there
    ]
    fig.legend(handles=handles, loc="outside lower left", ncols=4, frameon=False, columnspacing=1.2)


def _head(fig: Figure, title: str, *, characters_count: int = 70) -> None:
    """Write a title over the whole figure, because long names of rows leave little room over the axes."""
    sentence = wrapped(title[:1].upper() + title[1:], characters_count)
    fig.suptitle(sentence, x=0.01, ha="left", fontsize=11, fontweight="bold")
