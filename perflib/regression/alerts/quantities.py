"""What an alert says of one series, one rerun and one culprit, in plain units and without names that could do harm."""

from collections.abc import Callable
from typing import Literal

from perflib import units
from perflib.results.history import Family
from perflib.results.regression import Alert, Confirmation, Nomination, Rerun
from perflib.results.speed import Interval

# What a confirmation's ratio is a ratio of; quality is a difference.
_COST: dict[Family, str] = {
    "speed": "the time of the last good run",
    "memory": "the memory of the last good run",
    "size": "the size of the last good run",
    "machine": "the time of the last good run",
    "quality": "",
}
_WORSE: dict[Family, str] = {
    "speed": "is slower",
    "memory": "needs more memory",
    "size": "is larger",
    "quality": "is less often right",
    "machine": "is on a slower machine",
}
VERDICTS: dict[str, str] = {
    "CONFIRMED": "confirmed",
    "WITHDRAWN": "withdrawn",
    "MACHINE": "it is the machine",
    "INCONCLUSIVE": "not decided",
}
Words = Callable[[str], str]


def value_words(value: float, nomination: Nomination) -> str:
    """Write a level of a series in the unit that people use."""
    if nomination.unit == "s":
        return units.duration(value)
    if nomination.unit == "B":
        return units.size(value)
    if nomination.unit == "1/s":
        return units.rate(value, "examples/s")
    if nomination.series.metric == "speedup_ratio":
        return units.speedup(value)
    if nomination.unit == "1":
        return units.percent(value, digits=2)
    return f"{units.three_digits(value)} {nomination.unit}"


def change_words(nomination: Nomination) -> str:
    """
    Say how far the level moved, with its interval.

    Example: ``12.3 ms → 14.1 ms, 1.15× [1.12, 1.18]``.
    """
    before, after = (value_words(one, nomination) for one in (nomination.before_value, nomination.after_value))
    shift = nomination.shift_ratio
    change = units.speedup(shift.estimate, shift.low, shift.high)
    if nomination.rule == "exact":
        change = units.speedup(shift.estimate)
    if nomination.family == "quality":
        change = units.points(nomination.after_value - nomination.before_value)
    return f"{before} → {after}, {change}"


def short_change(ratio: Interval, family: Family) -> str:
    """Write what a rerun measured in one figure: ``+14.7 %``, or points for quality."""
    return units.points(ratio.estimate) if family == "quality" else _signed(ratio.estimate - 1)


def worse_words(alert: Alert) -> str:
    """Say in a few words what is wrong: ``is slower and is larger``; ``has changed`` where nothing is worse."""
    families = dict.fromkeys(one.family for one in alert.nominations if one.is_worse)
    return " and ".join(_WORSE[family] for family in families) or "has changed"


def ratio_words(ratio: Interval | None, family: Family) -> str:
    """Say what a paired rerun measured; the coverage stands with the bounds."""
    if ratio is None:
        return "no figure"
    if family == "quality":
        return f"{units.points(ratio.estimate)} of right answers{_bounds(ratio, units.points)}"
    size = f"{units.three_digits(ratio.estimate)}×{_bounds(ratio, units.three_digits)}"
    return f"{size} {_COST[family]} ({short_change(ratio, family)})"


def measured_words(confirmation: Confirmation) -> str:
    """Say what the rerun of a candidate's family measured, with the lives it took."""
    lives_count = confirmation.lives_count
    lives = "" if lives_count is None else f", {lives_count} lives"
    return f"{VERDICTS[confirmation.verdict]}: {ratio_words(confirmation.ratio, confirmation.family)}{lives}"


def swap_words(rerun: Rerun, family: Family, words: Words) -> str:
    """Say which parts of the suspect a rerun put into the last good state, and what it found."""
    parts = " and ".join(rerun.swapped) or "nothing"
    if rerun.package is not None:
        parts += f" (package {words(rerun.package)} alone)"
    found: dict[bool | None, Literal["worse", "not worse", "not decided"]] = {True: "worse", False: "not worse"}
    return f"{parts}: {found.get(rerun.is_worse, 'not decided')}, {ratio_words(rerun.ratio, family)}"


def _signed(share_ratio: float) -> str:
    return ("−" if share_ratio < 0 else "+") + units.percent(abs(share_ratio))


def _bounds(ratio: Interval, write: Callable[[float], str]) -> str:
    if ratio.low is None or ratio.high is None:
        return ""
    return f" [{write(ratio.low)}, {write(ratio.high)}; {100 * ratio.level_ratio:.0f} %]"
