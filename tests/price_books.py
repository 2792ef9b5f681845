"""Prices and costs of nobody, in round numbers that can be reckoned in the head, for tests of what is made of them."""

import dataclasses
from typing import Any

from perflib.results import Interval
from perflib.results.governance import ArmCost, Finops, PowerModel, Price, PriceBook, Range, UnitCost

PRICES_SHA256 = "e" * 64


def price_book(**change: Any) -> PriceBook:
    """
    Return a book in which everything is certain: 1 EUR an hour, 365 million inferences a month, 100 EUR a day of work.

    A baseline of 100 a second at half load needs 2.78 instances on average, and three at the peak hour.
    """
    one = PriceBook(
        is_example=False,
        currency="EUR",
        instance="made-up.large",
        instance_core_count=2,
        on_demand_per_hour=Price(1.0, "nobody's list", "2026-01-01"),
        reserved_per_hour=Price(0.6, "nobody's list", "2026-01-01"),
        work_per_day=Price(100.0, "nobody's contract", "2026-01-01"),
        inferences_per_month=certain(365e6),
        peak_ratio=1.0,
        utilisation_ratio=0.5,
        least_instance_count=1,
        horizon_months=12,
        discount_per_year_ratio=0.0,
        effort_days={"default": certain(4.0), "quantize": certain(2.0), "runtime": Range(0.5, 1.0, 3.0)},
        power=PowerModel(
            idle_watt=certain(50.0),
            full_watt=certain(100.0),
            grid_gram_per_kwh=certain(300.0),
            embodied_gram=certain(1e6),
            lifetime_years=4.0,
            pue_ratio=1.5,
            source="nobody",
            date="2026-01-01",
        ),
        file_sha256=PRICES_SHA256,
    )
    return dataclasses.replace(one, **change)


def certain(value: float) -> Range:
    """Return what is expected without any doubt."""
    return Range(value, value, value)


def finops(*arms: ArmCost, **change: Any) -> Finops:
    """Return the costs of a run whose baseline does 100 a second; without arms, those of the made-up run's three."""
    own = arms or tuple(arm_cost(name) for name in ("int8", "vocabulary", "bf16"))
    baseline = arm_cost("baseline", examples_per_sec=Interval(100.0, None, None, 0.9), realisable=None)
    one = Finops(
        run_id="run",
        currency="EUR",
        is_example=False,
        prices_sha256=PRICES_SHA256,
        machine="any",
        scenario="offline",
        arms=(baseline, *own),
        notes=(),
    )
    return dataclasses.replace(one, **change)


def arm_cost(name: str, **change: Any) -> ArmCost:
    """Return a candidate at twice the baseline's throughput, whose saving is realisable."""
    one = ArmCost(
        name=name,
        examples_per_sec=Interval(200.0, 190.0, 210.0, 0.9),
        unit_costs=(UnitCost(0.5, "on-demand", Interval(1 / 360, 1 / 378, 1 / 342, 0.9)),),
        instance_count=2,
        month_amount=1460.0,
        saving_month_amount=730.0,
        elastic_saving_month_amount=961.0,
        realisable="yes",
        realisable_sentence="One instance fewer.",
    )
    return dataclasses.replace(one, **change)
