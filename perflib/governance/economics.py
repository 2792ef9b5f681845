"""
Unit economics: what 1,000 inferences cost, how many instances the busiest hour needs, and what is really not paid.

A speed-up alone saves nothing: instances are rented whole, some are kept in case one fails, and only what is given back
is not paid. So two savings stand side by side: whole instances, and what the time itself would be worth.

    cost of 1,000  = price of an hour · 1000 / (examples a second · 3600 · utilisation)
    busiest second = inferences a month / (730 · 3600) · peak
    instances      = busiest second / (examples a second · utilisation), rounded up, never below the least count
    month          = instances · 730 hours · price of an hour on demand
    elastic saving = inferences a month / 1000 · (cost of 1,000 before - after)

A candidate's throughput is the baseline's times the paired ratio. Instances and savings are counted at the ratio's
lower bound, where the benefit is smaller: a fleet is planned for what was shown.
"""

import dataclasses
import math
from collections.abc import Iterable

from perflib.governance.ledger import Ledger
from perflib.results import Interval
from perflib.results.governance import ArmCost, Finops, PriceBook, Pricing, Realisable, UnitCost

HOURS_PER_MONTH = 730
SECONDS_PER_HOUR = 3600
UTILISATIONS_RATIO = (0.3, 0.6, 0.9)
SCENARIO = "offline"
BASELINE = "baseline"
# What is computed in floats may lie a little above the whole number that it stands for.
_ROUNDING = 1e-9
_LEVEL_RATIO = 0.9


def price_run(ledger: Ledger, book: PriceBook) -> Finops:
    """
    Count what every arm that was timed in throughput costs; the baseline first, candidates in the ledger's order.

    Without a baseline that was timed there are no arms, and a note says so.

    Args:
        ledger: Of a run.
        book: Prices and volumes in force.
    """
    ratios = _ratios(ledger)
    before_per_sec = _baseline_per_sec(ledger)
    arms: list[ArmCost] = []
    if before_per_sec is not None:
        level_ratio = next((one.level_ratio for one in ratios.values()), _LEVEL_RATIO)
        arms.append(_price_baseline(Interval(before_per_sec, None, None, level_ratio), book))
        arms += [_price_candidate(name, ratio, arms[0], book) for name, ratio in ratios.items()]
    return Finops(
        run_id=ledger.summary.run_id,
        currency=book.currency,
        is_example=book.is_example,
        prices_sha256=book.file_sha256,
        machine=str(ledger.summary.machine.get("hardware_class", "")),
        scenario=SCENARIO,
        arms=tuple(arms),
        notes=tuple(_notes(ledger, book, arms)),
    )


def cost_per_1000(hour_amount: float, examples_per_sec: float, utilisation_ratio: float) -> float:
    """
    Return what 1,000 inferences cost: hour_amount · 1000 / (examples_per_sec · 3600 · utilisation_ratio).

    Example:
        >>> cost_per_1000(0.36, 100.0, 0.5)
        0.002
    """
    return hour_amount * 1000 / (examples_per_sec * SECONDS_PER_HOUR * utilisation_ratio)


def count_instances(book: PriceBook, examples_per_sec: float) -> int:
    """
    Return how many whole instances the busiest hour needs at the middle volume, the least count included.

    max(least, ceil(p50 / (730 · 3600) · peak_ratio / (examples_per_sec · utilisation_ratio)))
    """
    mean_per_sec = book.inferences_per_month.p50 / (HOURS_PER_MONTH * SECONDS_PER_HOUR)
    needed = mean_per_sec * book.peak_ratio / (examples_per_sec * book.utilisation_ratio)
    return max(book.least_instance_count, math.ceil(needed * (1 - _ROUNDING)))


def elastic_saving(book: PriceBook, before_per_sec: float, after_per_sec: float) -> float:
    """
    Return what a month would save if capacity could be given back to the second, on demand at the book's utilisation.

    p50 / 1000 · (cost of 1,000 before - cost of 1,000 after); below 0 where it costs more.
    """
    before, after = (
        cost_per_1000(book.on_demand_per_hour.amount, speed, book.utilisation_ratio)
        for speed in (before_per_sec, after_per_sec)
    )
    return book.inferences_per_month.p50 / 1000 * (before - after)


def _price_baseline(examples_per_sec: Interval, book: PriceBook) -> ArmCost:
    count = count_instances(book, examples_per_sec.estimate)
    return ArmCost(
        name=BASELINE,
        examples_per_sec=examples_per_sec,
        unit_costs=_unit_costs(examples_per_sec, book),
        instance_count=count,
        month_amount=_month_amount(count, book),
        saving_month_amount=None,
        elastic_saving_month_amount=None,
        realisable=None,
        realisable_sentence=f"The busiest hour needs {_instances(count)}{_kept(count, book)}.",
    )


def _price_candidate(name: str, ratio: Interval, baseline: ArmCost, book: PriceBook) -> ArmCost:
    before_per_sec = baseline.examples_per_sec.estimate
    after = _scaled(ratio, before_per_sec)
    planned_per_sec = after.estimate if after.low is None else after.low
    count = count_instances(book, planned_per_sec)
    month_amount = _month_amount(count, book)
    # Without bounds nothing is claimed to be saved: the next lives may say otherwise.
    arm = ArmCost(
        name=name,
        examples_per_sec=after,
        unit_costs=_unit_costs(after, book),
        instance_count=count,
        month_amount=month_amount,
        saving_month_amount=None if after.low is None else baseline.month_amount - month_amount,
        elastic_saving_month_amount=None if after.low is None else elastic_saving(book, before_per_sec, after.low),
        realisable=None,
        realisable_sentence="",
    )
    realisable, sentence = _realise(arm, ratio, baseline, book)
    return dataclasses.replace(arm, realisable=realisable, realisable_sentence=sentence)


def _unit_costs(examples_per_sec: Interval, book: PriceBook) -> tuple[UnitCost, ...]:
    prices: dict[Pricing, float] = {
        "on-demand": book.on_demand_per_hour.amount,
        "reserved": book.reserved_per_hour.amount,
    }
    return tuple(
        UnitCost(utilisation_ratio, pricing, _cost_interval(hour_amount, examples_per_sec, utilisation_ratio))
        for pricing, hour_amount in prices.items()
        for utilisation_ratio in sorted({*UTILISATIONS_RATIO, book.utilisation_ratio})
    )


def _cost_interval(hour_amount: float, examples_per_sec: Interval, utilisation_ratio: float) -> Interval:
    def cost(speed_per_sec: float | None) -> float | None:
        return None if speed_per_sec is None else cost_per_1000(hour_amount, speed_per_sec, utilisation_ratio)

    return Interval(
        cost_per_1000(hour_amount, examples_per_sec.estimate, utilisation_ratio),
        cost(examples_per_sec.high),
        cost(examples_per_sec.low),
        examples_per_sec.level_ratio,
    )


def _realise(arm: ArmCost, ratio: Interval, baseline: ArmCost, book: PriceBook) -> tuple[Realisable, str]:
    """Say whether the elastic saving is really not paid, with the numbers of instances."""
    name, before_count, after_count = arm.name, baseline.instance_count, arm.instance_count
    saving, elastic = arm.saving_month_amount, arm.elastic_saving_month_amount
    kept = _kept(after_count, book)
    counts = f"the busiest hour needs {_instances(before_count)} with the baseline and {after_count} with {name}{kept}"
    if saving is None or elastic is None:
        return "no", f"The ratio of {name} has no bounds yet, so no saving is claimed; by the estimate alone {counts}."
    if elastic <= 0:
        more = f", and {after_count - before_count} more would be paid" if after_count > before_count else ""
        return "no", f"At its lower bound, {ratio.low:.3g}, {name} is no faster: {counts}, so nothing is saved{more}."
    told = f"{counts[:1].upper()}{counts[1:]}"
    if saving <= 0:
        return "no", f"{told}: none can be given back, so nothing is saved."
    fewer = f"{told}: {before_count - after_count} need not be paid"
    # A hair below is the same sum added up in another order.
    if saving < elastic * (1 - _ROUNDING):
        return "partly", f"{fewer}, which saves less than paying by the second would, because instances come whole."
    return "yes", f"{fewer}, which saves at least what paying by the second would."


def _ratios(ledger: Ledger) -> dict[str, Interval]:
    """Return the paired throughput ratio of every candidate that was timed."""
    return {
        one.name: scenario.speedup_ratio
        for one in ledger.candidates
        if one.name in ledger.comparisons
        for scenario in ledger.comparisons[one.name].scenarios
        if scenario.scenario == SCENARIO
    }


def _baseline_per_sec(ledger: Ledger) -> float | None:
    scenarios = ledger.baseline.scenarios if ledger.baseline else ()
    return next((one.examples_per_sec for one in scenarios if one.scenario == SCENARIO), None)


def _scaled(ratio: Interval, factor: float) -> Interval:
    low, high = (None if bound is None else factor * bound for bound in (ratio.low, ratio.high))
    return Interval(factor * ratio.estimate, low, high, ratio.level_ratio)


def _month_amount(count: int, book: PriceBook) -> float:
    return count * HOURS_PER_MONTH * book.on_demand_per_hour.amount


def _notes(ledger: Ledger, book: PriceBook, arms: Iterable[ArmCost]) -> Iterable[str]:
    names = {one.name for one in arms}
    if book.is_example:
        yield "Prices, volumes and effort are examples of ours, until somebody puts their own into params/prices.yaml."
    yield (
        f"Instances are counted for the busiest hour at the middle volume, at the lower bound of each ratio; "
        f"a month has {HOURS_PER_MONTH} hours."
    )
    core_count = ledger.summary.machine.get("core_count")
    if core_count != book.instance_core_count:
        yield (
            f"Throughput was timed on {core_count} cores, but {book.instance} has {book.instance_core_count}: "
            "time it there, or price what it was timed on."
        )
    if ledger.summary.params.get("device") == "cuda":
        yield f"Throughput was timed on a GPU: the price of {book.instance} has to be that of an instance with one."
    if not names:
        yield f"The baseline was not timed in {SCENARIO}, so nothing can be priced."
        return
    untimed = [one.name for one in ledger.candidates if one.name not in names]
    if untimed:
        yield f"Not timed in {SCENARIO}, so not priced: {', '.join(untimed)}."


def _instances(count: int) -> str:
    return f"{count} instance{'' if count == 1 else 's'}"


def _kept(count: int, book: PriceBook) -> str:
    """Mention the least count where it may be what keeps so many."""
    least = book.least_instance_count
    return f" (at least {least} are kept)" if count == least > 1 else ""
