"""
Carbon of 1,000 inferences, as Software Carbon Intensity (SCI 1.1) has it: SCI = (E · I + M) per R.

    E = (busy joules + idle watts · idle seconds) · PUE / 3,600,000             kWh
    M = embodied grams · seconds that the instance is ours / its lifetime in seconds
    busy seconds = 1000 / examples a second; the instance is ours for busy seconds / utilisation

What was metered counts for the busy seconds; else it is full watts times busy seconds. Idle capacity that is kept in
reserve counts too, always modelled. I is the grid's location-based intensity; certificates and offsets change nothing.

Three values go with every number: all low assumptions together (and the high bound of throughput), all middle ones, all
high ones (and the low bound). They are corners, not quantiles: the truth is hardly ever in all corners at once.
"""

import statistics
from collections.abc import Callable

from perflib.governance.economics import BASELINE, SECONDS_PER_HOUR
from perflib.governance.ledger import Ledger
from perflib.results.governance import ArmCarbon, ArmCost, Carbon, Finops, PowerModel, PriceBook, Range

JOULE_PER_KWH = 3_600_000.0
# Twelve months of 730 hours.
HOURS_PER_YEAR = 8760
INFERENCES_COUNT = 1000

_BOUNDARY = (
    "Inside: the instances that serve the model, busy and in reserve, with cooling and power supply of the building, "
    "and their share of making the server. Outside: network, storage, clients, training, and making the candidate."
)


def estimate_carbon(ledger: Ledger, finops: Finops, book: PriceBook) -> Carbon:
    """
    Estimate the SCI of every priced arm, per 1,000 inferences.

    Args:
        ledger: Of a run; its comparisons may have metered energy.
        finops: Its costs, which hold every arm's throughput.
        book: With the assumptions on power, grid and hardware.
    """
    arms = tuple(_arm(one, _metered_joule(ledger, one.name, finops.scenario), book) for one in finops.arms)
    return Carbon(
        run_id=finops.run_id,
        is_example=book.is_example,
        prices_sha256=book.file_sha256,
        boundary=_BOUNDARY,
        method=_method(arms, book),
        arms=arms,
    )


def _arm(arm: ArmCost, joule_per_example: float | None, book: PriceBook) -> ArmCarbon:
    power, speed = book.power, arm.examples_per_sec
    # Low energy belongs to high throughput; without bounds all three are the estimate.
    busy_sec = Range(
        INFERENCES_COUNT / (speed.high or speed.estimate),
        INFERENCES_COUNT / speed.estimate,
        INFERENCES_COUNT / (speed.low or speed.estimate),
    )
    reserved_sec = _of(lambda busy: busy / book.utilisation_ratio, busy_sec)
    if joule_per_example is None:
        busy_joule = _of(lambda watt, busy: watt * busy, power.full_watt, busy_sec)
    else:
        busy_joule = Range(*(3 * (joule_per_example * INFERENCES_COUNT,)))
    energy_kwh = _of(
        lambda joule, idle_watt, reserved, busy: (
            (joule + idle_watt * (reserved - busy)) * power.pue_ratio / JOULE_PER_KWH
        ),
        *(busy_joule, power.idle_watt, reserved_sec, busy_sec),
    )
    operational = _of(lambda kwh, gram: kwh * gram, energy_kwh, power.grid_gram_per_kwh)
    embodied = _of(lambda gram, reserved: gram * reserved / _lifetime_sec(power), power.embodied_gram, reserved_sec)
    return ArmCarbon(
        name=arm.name,
        is_metered=joule_per_example is not None,
        energy_kwh=energy_kwh,
        operational_gram=operational,
        embodied_gram=embodied,
        score_gram=_of(lambda running, making: running + making, operational, embodied),
    )


def _of(formula: Callable[..., float], *ranges: Range) -> Range:
    """Apply a formula to all low, all middle and all high values."""
    return Range(
        formula(*(one.p10 for one in ranges)),
        formula(*(one.p50 for one in ranges)),
        formula(*(one.p90 for one in ranges)),
    )


def _metered_joule(ledger: Ledger, name: str, scenario: str) -> float | None:
    """Return what one example took by the meter; of the baseline, which every comparison has, the median."""
    found = []
    for candidate, comparison in ledger.comparisons.items():
        for one in comparison.scenarios:
            arm = one.baseline if name == BASELINE else one.candidate
            if one.scenario == scenario and name in (BASELINE, candidate) and arm.joule_per_example is not None:
                found.append(arm.joule_per_example)
    return statistics.median(found) if found else None


def _lifetime_sec(power: PowerModel) -> float:
    return power.lifetime_years * HOURS_PER_YEAR * SECONDS_PER_HOUR


def _method(arms: tuple[ArmCarbon, ...], book: PriceBook) -> str:
    metered = [one.name for one in arms if one.is_metered]
    modelled = [one.name for one in arms if not one.is_metered]
    energy = "Busy energy is modelled as full power times time: nothing was metered, so this is an estimate."
    if metered and modelled:
        energy = (
            f"Busy energy was metered for {', '.join(metered)} and is modelled for {', '.join(modelled)}: an estimate, "
            "and the two kinds do not compare."
        )
    elif metered:
        energy = (
            "Busy energy was metered by the processor's or GPU's own counters, which leave out what is around them; "
            "idle reserve, grid and hardware are assumptions, so this is an estimate."
        )
    return (
        f"SCI 1.1, (E · I + M) per {INFERENCES_COUNT:,} inferences. {energy} Low, middle and high take all assumptions "
        f"at that end. Instances are {100 * book.utilisation_ratio:g} % busy and idle in reserve the rest of the time; "
        f"grid intensity is location-based, without certificates or offsets."
    )
