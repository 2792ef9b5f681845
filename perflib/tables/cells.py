"""Cells that stand in more than one table."""

import html

from perflib import units
from perflib.results import Change, Estimate, Interval, ScenarioMeasurement


def interval(ratio: Estimate | Interval | None) -> str:
    """Return a speed-up with its interval, a dash where nothing was measured."""
    return units.UNKNOWN if ratio is None else units.speedup(ratio.estimate, ratio.low, ratio.high)


def throughput(one: ScenarioMeasurement | None, unit: str) -> str:
    """Return a rate in the workload's own unit, which is escaped."""
    return units.UNKNOWN if one is None else f"{units.three_digits(one.examples_per_sec)} {html.escape(unit)}/s"


def points_change(one: Change) -> str:
    """Return a change of a share with both bounds."""
    return f"{units.points(one.estimate)} {points_range(one.low, one.high)}"


def points_range(low_ratio: float | None, high_ratio: float | None) -> str:
    """Return two bounds of a change, a dash where neither exists."""
    if low_ratio is None and high_ratio is None:
        return units.UNKNOWN
    return f"[{units.points(low_ratio)}, {units.points(high_ratio)}]"
