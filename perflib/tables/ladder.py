"""A recipe step by step, and a candidate beside what one would pick instead."""

import html
from collections.abc import Sequence

from perflib import units
from perflib.results import Ladder, ScenarioComparison
from perflib.tables.cells import interval
from perflib.tables.markup import table


def ladder_table(ladder: Ladder) -> str:
    """Return every step with its factor, what the steps leave open, and the total: speed, size and one-time cost."""
    scenarios = [total.scenario for total in ladder.totals]
    rows: list[Sequence[str]] = []
    for rung in ladder.rungs:
        speeds = {speed.scenario: speed for speed in rung.speeds}
        rows.append(
            (
                html.escape(f"{rung.stage} ({_options(rung.line[rung.stage])})"),
                *(interval(speeds[name].factor_ratio) for name in scenarios),
                units.size(rung.size_bytes),
                units.duration(rung.build_sec),
            )
        )
    open_ratios = [units.speedup(total.unattributed_ratio) for total in ladder.totals]
    rows.append(("left open by the steps", *open_ratios, units.UNKNOWN, units.UNKNOWN))
    last = ladder.rungs[-1].size_bytes
    rows.append(
        (
            "all together, paired directly",
            *(interval(total.total_ratio) for total in ladder.totals),
            f"{units.size(last)}, {units.percent(last / ladder.baseline_size_bytes, 0)} of the baseline",
            units.duration(sum(rung.build_sec for rung in ladder.rungs)),
        )
    )
    caption = "Each step against the one before it; factors above 1× are faster; intervals at 90 %."
    head = ("step", *scenarios, "weights after it", "one-time cost")
    return table(caption, head, rows, has_total=True)


def rivals_table(ladder: Ladder) -> str:
    """Return the candidate's speed over each ready-made choice, and whether that choice passes the same gates."""
    scenarios = [total.scenario for total in ladder.totals]
    rows = []
    for rival in ladder.rivals:
        found = {one.scenario: one for one in rival.comparison.scenarios}
        verdict = "approved" if rival.is_approved else "not approved"
        rows.append((html.escape(rival.name), verdict, *(_over(found.get(name)) for name in scenarios)))
    caption = f"{html.escape(ladder.name)} over each choice, paired directly; intervals at 90 %."
    return table(caption, ("choice", "its own verdict", *scenarios), rows)


def _over(one: ScenarioComparison | None) -> str:
    return units.UNKNOWN if one is None else interval(one.speedup_ratio)


def _options(options: object) -> str:
    if not isinstance(options, dict):
        return ""
    return ", ".join(f"{key}: {value}" for key, value in options.items())
