"""A recipe step by step, and a candidate beside what one would pick instead."""

import html
from collections.abc import Sequence

from perflib import units
from perflib.results import Ladder, Rung, ScenarioComparison
from perflib.tables.cells import interval
from perflib.tables.markup import table

_AGREES = {True: "yes", False: "no", None: units.UNKNOWN}


def ladder_table(ladder: Ladder) -> str:
    """Return every step with its factor, what the steps leave open, and the total: speed, size and one-time cost."""
    scenarios = [total.scenario for total in ladder.totals]
    rows: list[Sequence[str]] = []
    for rung in ladder.rungs:
        speeds = {speed.scenario: speed for speed in rung.speeds}
        rows.append(
            (
                html.escape(f"{rung.stage} ({_options(rung.line[rung.stage])})"),
                html.escape(rung.category),
                *(interval(speeds[name].factor_ratio) for name in scenarios),
                units.size(rung.size_bytes),
                units.duration(rung.build_sec),
                _timed_in(ladder, rung),
            )
        )
    dash = units.UNKNOWN
    open_ratios = [interval(total.unattributed_ratio) for total in ladder.totals]
    rows.append(("left open by the steps", dash, *open_ratios, dash, dash, dash))
    last = ladder.rungs[-1].size_bytes
    rows.append(
        (
            "all together, paired directly",
            dash,
            *(interval(total.total_ratio) for total in ladder.totals),
            f"{units.size(last)}, {units.percent(last / ladder.baseline_size_bytes, 0)} of the baseline",
            # What was made only to be timed costs nobody anything who ships the candidate.
            units.duration(sum(rung.build_sec for rung in ladder.rungs if rung.is_of_recipe)),
            html.escape(f"comparison-{ladder.name}"),
        )
    )
    caption = (
        "Each step against the one before it; factors above 1× are faster; intervals at 90 %. "
        "Steps in brackets were made only to be timed."
    )
    head = ("step", "what it changes", *scenarios, "weights after it", "one-time cost", "timed in")
    rows = [(f"[{row[0]}]" if _is_between(ladder, at) else row[0], *row[1:]) for at, row in enumerate(rows)]
    return table(caption, head, rows, has_total=True)


def waterfall_table(ladder: Ladder) -> str:
    """Return the total ratio by what was changed, with the product, what is left open, and whether they agree."""
    names = list(dict.fromkeys(one.category for total in ladder.totals for one in total.categories))
    found = [{one.category: one.factor_ratio for one in total.categories} for total in ladder.totals]
    rows: list[Sequence[str]] = [
        (html.escape(name), *(interval(factors.get(name)) for factors in found)) for name in names
    ]
    rows += [
        ("all steps multiplied", *(interval(total.product_ratio) for total in ladder.totals)),
        ("left open", *(interval(total.unattributed_ratio) for total in ladder.totals)),
        ("do steps and total agree?", *(_AGREES[total.is_consistent] for total in ladder.totals)),
        ("all together, paired directly", *(interval(total.total_ratio) for total in ladder.totals)),
    ]
    caption = (
        f"What each change gave {ladder.name}; factors above 1× are faster; intervals at 90 %, of products from the "
        "squares of the logarithmic distances."
    )
    return table(caption, ("change", *(total.scenario for total in ladder.totals)), rows, has_total=True)


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


def _is_between(ladder: Ladder, row: int) -> bool:
    return row < len(ladder.rungs) and not ladder.rungs[row].is_of_recipe


def _timed_in(ladder: Ladder, rung: Rung) -> str:
    return "here" if rung.timed_in == f"ladder-{ladder.name}" else html.escape(rung.timed_in)


def _options(options: object) -> str:
    if not isinstance(options, dict):
        return ""
    return ", ".join(f"{key}: {value}" for key, value in options.items())
