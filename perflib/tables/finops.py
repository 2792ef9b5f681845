"""Money and carbon in numbers: cost of 1,000 inferences, instances and savings, emissions."""

import html
from collections.abc import Sequence

from perflib import units
from perflib.results.governance import ArmCost, Carbon, Finops, Pricing
from perflib.sentences.finops import middle_and_range, money, money_interval
from perflib.tables.markup import table

_PRICINGS: tuple[Pricing, ...] = ("on-demand", "reserved")
_PRICING_WORDS = {"on-demand": "on demand", "reserved": "reserved"}


def unit_cost_table(finops: Finops) -> str:
    """Return what 1,000 inferences cost with each arm, by utilisation and way of paying."""
    shown = sorted(
        {(_PRICINGS.index(one.pricing), one.utilisation_ratio) for arm in finops.arms for one in arm.unit_costs}
    )
    head = ["arm", *(f"{_PRICING_WORDS[_PRICINGS[place]]}, {100 * used:g} % busy" for place, used in shown)]
    rows: list[Sequence[str]] = []
    for arm in finops.arms:
        costs = {(_PRICINGS.index(one.pricing), one.utilisation_ratio): one.per_1000_amount for one in arm.unit_costs}
        rows.append((_name(arm), *(money_interval(costs[key]) if key in costs else units.UNKNOWN for key in shown)))
    level = f"; intervals at {100 * finops.arms[0].examples_per_sec.level_ratio:g} %" if finops.arms else ""
    caption = (
        f"{finops.currency} per 1,000 inferences{_example(is_example=finops.is_example)}: "
        f"throughput in {finops.scenario} on {finops.machine}{level}."
    )
    return table(caption, head, rows, marked_rows=_marked(finops))


def instance_table(finops: Finops) -> str:
    """Return how many instances each arm needs, and what is really not paid."""
    rows = [
        (
            _name(arm),
            _throughput(arm),
            str(arm.instance_count),
            html.escape(money(arm.month_amount, finops.currency)),
            html.escape(money(arm.saving_month_amount, finops.currency)),
            html.escape(money(arm.elastic_saving_month_amount, finops.currency)),
            html.escape(arm.realisable or units.UNKNOWN),
            html.escape(arm.realisable_sentence),
        )
        for arm in finops.arms
    ]
    caption = (
        f"Instances for the busiest hour, and what a month costs on demand{_example(is_example=finops.is_example)}."
    )
    head = (
        *("arm", "examples/s", "instances", "a month", "saved: whole instances", "saved: if by the second"),
        *("realisable", "why"),
    )
    return table(caption, head, rows, marked_rows=_marked(finops))


def carbon_table(carbon: Carbon) -> str:
    """Return energy and emissions of each arm, with low and high assumptions."""
    rows = [
        (
            html.escape(one.name),
            middle_and_range(one.energy_kwh),
            middle_and_range(one.operational_gram),
            middle_and_range(one.embodied_gram),
            middle_and_range(one.score_gram),
            "metered" if one.is_metered else "modelled",
        )
        for one in carbon.arms
    ]
    caption = (
        f"Estimate for 1,000 inferences{_example(is_example=carbon.is_example)}: middle [low, high]. {carbon.method}"
    )
    head = ("arm", "energy [kWh]", "running [g CO₂e]", "making [g CO₂e]", "SCI [g CO₂e]", "busy energy")
    marked = [index for index, one in enumerate(carbon.arms) if one.name == "baseline"]
    return table(caption, head, rows, marked_rows=marked)


def _throughput(arm: ArmCost) -> str:
    speed = arm.examples_per_sec
    if speed.low is None or speed.high is None:
        return units.three_digits(speed.estimate)
    bounds = f"[{units.three_digits(speed.low)}, {units.three_digits(speed.high)}]"
    return f"{units.three_digits(speed.estimate)} {bounds}"


def _name(arm: ArmCost) -> str:
    return html.escape(arm.name)


def _marked(finops: Finops) -> list[int]:
    return [index for index, arm in enumerate(finops.arms) if arm.name == "baseline"]


def _example(*, is_example: bool) -> str:
    return " with example prices" if is_example else ""
