"""
The costs of a run as a page of Markdown, for who pays: numbers, prices with their sources, and what is not counted.

    page = costs_page(finops, book, carbon)
"""

from collections.abc import Iterable, Sequence

from perflib.plain import markdown
from perflib.results.governance import ArmCost, Carbon, Finops, Price, PriceBook, Range

_NOT_COUNTED = (
    "storage, network and load balancers",
    "people who run the service",
    "discounts that were negotiated, taxes and support plans",
    "what a wrong answer costs",
    "training and data",
)


def costs_page(finops: Finops, book: PriceBook, carbon: Carbon | None) -> str:
    """
    Return the page.

    Args:
        finops: Costs of all arms, the baseline first.
        book: The price book that they were computed from.
        carbon: Their emissions; None where they were not estimated.
    """
    lines = [
        f"# What run {markdown(finops.run_id)} costs",
        "",
        _standing(book),
        f"Measured on: {markdown(finops.machine)}. Amounts are in {markdown(book.currency)}, modelled and not billed.",
        "",
        "## Cost of 1,000 inferences",
        "",
        *_unit_costs(finops),
        "",
        "cost = price of an hour · 1,000 / (throughput per second · 3,600 · utilisation)",
        "",
        "## Instances and what is really saved",
        "",
        *(f"- **{markdown(one.name)}**: {_instances(one)}" for one in finops.arms),
        "",
        "## Prices and volumes in force",
        "",
        *_prices(book),
        "",
        "## Carbon",
        "",
        *_carbon(carbon),
        "",
        "## What is not counted",
        "",
        *(f"- {one}" for one in _NOT_COUNTED),
        *(f"- {markdown(note)}" for note in finops.notes),
    ]
    return "\n".join(lines) + "\n"


def _standing(book: PriceBook) -> str:
    if not book.is_example:
        return "The prices are those of `params/prices.yaml`, which somebody has made their own."
    return (
        "**Example.** Nobody has said yet that the prices and volumes in `params/prices.yaml` are theirs, so every "
        "amount below is an example."
    )


def _unit_costs(finops: Finops) -> list[str]:
    cells = finops.arms[0].unit_costs if finops.arms else ()
    if not cells:
        return ["No arm was timed in throughput, so there is no cost of an inference."]
    head = [f"{one.pricing}, {one.utilisation_ratio:.0%} used" for one in cells]
    rows = (
        [markdown(arm.name), *(_amount(one.per_1000_amount.estimate) for one in arm.unit_costs)] for arm in finops.arms
    )
    return _table(["arm", *head], rows)


def _instances(arm: ArmCost) -> str:
    words = f"{arm.instance_count} instances at the peak, {_amount(arm.month_amount)} a month"
    if arm.saving_month_amount is not None:
        words += f", {_amount(arm.saving_month_amount)} a month less than today"
    return f"{words}. {markdown(arm.realisable_sentence)}".rstrip()


def _prices(book: PriceBook) -> list[str]:
    prices = {"on demand, an hour": book.on_demand_per_hour, "reserved, an hour": book.reserved_per_hour}
    rows = [_price_row(name, price) for name, price in {**prices, "work, a day": book.work_per_day}.items()]
    volume = book.inferences_per_month
    return [
        *_table(["price", "amount", "source", "date"], rows),
        "",
        f"Volume: {_range(volume)} inferences a month (P10, P50, P90), {book.peak_ratio:g} times the mean in the peak "
        f"hour; instances are {book.utilisation_ratio:.0%} used then, and at least {book.least_instance_count} run.",
    ]


def _price_row(name: str, price: Price) -> list[str]:
    return [name, _amount(price.amount), markdown(price.source), markdown(price.date)]


def _carbon(carbon: Carbon | None) -> list[str]:
    if carbon is None:
        return ["Not estimated."]
    rows = (
        [
            markdown(one.name),
            "metered" if one.is_metered else "estimate",
            " / ".join(f"{gram:.3g}" for gram in (one.score_gram.p10, one.score_gram.p50, one.score_gram.p90)),
        ]
        for one in carbon.arms
    )
    table = _table(["arm", "energy", "g CO2e per 1,000 inferences, low / middle / high"], rows)
    return [*table, "", f"{markdown(carbon.boundary)} {markdown(carbon.method)}"]


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    lines = [" | ".join(row) for row in (head, ["---"] * len(head), *rows)]
    return [f"| {line} |" for line in lines]


def _amount(value: float) -> str:
    return f"{value:,.2f}" if abs(value) >= 1 else f"{value:.3g}"


def _range(value: Range) -> str:
    return " / ".join(f"{one:,.0f}" for one in (value.p10, value.p50, value.p90))
