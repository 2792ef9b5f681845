"""
What an item gives back: money over the horizon, drawn many times from what is assumed.

Every uncertain number is log-normal in two pieces: ``exp(ln(middle) + slope · z)`` with a standard normal z and one
slope below the middle and another above it. So it is always positive, and its quantiles are exactly the given ones: P10
and P90 of volume and effort, the bounds of a ratio's interval at its own level. A comparison's lower bound at 90 % is
the 5 % quantile of the ratio, and the bad case of an item is counted with that end of the interval.

    saving a month = volume / 1000 · (cost of 1,000 before - after), but never more than whole instances give back
    cost of 1,000  = price an hour · 1000 / (examples a second · 3600 · utilisation)
    ROI            = (saving over the horizon - one-off) / one-off;  one-off = effort · price of a day
    NPV            = savings, each month's discounted to today, less the one-off

All items of a run share their draws of z, so two of them are compared at the same volumes.
"""

import dataclasses
import math
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from perflib.errors import DataError
from perflib.governance.economics import HOURS_PER_MONTH, SECONDS_PER_HOUR
from perflib.results.governance import PriceBook, Range, Return
from perflib.results.speed import Interval

DRAW_COUNT = 10_000
# What is computed in floats may lie a little above the whole number of instances that it stands for.
_ROUNDING = 1e-9
Draws = NDArray[np.float64]
_P90_Z = NormalDist().inv_cdf(0.9)


@dataclasses.dataclass(frozen=True)
class Stake:
    """
    What one item's return is made of, beside the price book.

    ``ratio`` is throughput after over before with the bounds in which it lies; ``baseline_per_sec`` examples a second
    before. ``is_realisable`` is False where no instance can be given back, so that nothing is saved.
    """

    ratio: Interval
    effort_days: Range
    baseline_per_sec: float
    is_realisable: bool


def can_be_priced(ratio: Interval | None) -> bool:
    """Say whether a ratio has both bounds; without them there is no bad case to count with."""
    return ratio is not None and ratio.low is not None and ratio.high is not None


def ratio_range(ratio: Interval) -> Range:
    """Return P10, P50 and P90 of the ratio that an interval stands for."""
    low, high = _bounds(ratio)
    share = _P90_Z / _bound_z(ratio)
    middle = ratio.estimate
    return Range(middle * (low / middle) ** share, middle, middle * (high / middle) ** share)


def simulate(stake: Stake, book: PriceBook, *, seed: int, draw_count: int = DRAW_COUNT) -> Return:
    """
    Draw an item's return.

    Args:
        stake: Of the item.
        book: With volume, price, horizon and discount.
        seed: Of the draws; the same for all items of a run.
        draw_count: How many.

    Raises:
        DataError: If a ratio's bounds do not hold its estimate, or one of them is not positive.
    """
    volume_z, effort_z, ratio_z = np.random.Generator(np.random.PCG64(seed)).standard_normal((3, draw_count))
    volume = spread(book.inferences_per_month, volume_z)
    effort_days = spread(stake.effort_days, effort_z)
    ratio = spread(ratio_range(stake.ratio), ratio_z)
    saving = saving_month(volume, ratio, stake, book)
    one_off = effort_days * book.work_per_day.amount
    roi = return_on(one_off, saving, horizon_months=book.horizon_months)
    payback = np.divide(one_off, saving, out=np.full(draw_count, np.inf), where=saving > 0)
    # The higher of two neighbours: between a number and never there is nothing to interpolate.
    payback_months = [_finite(np.quantile(payback, share, method="higher")) for share in (0.1, 0.5, 0.9)]
    return Return(
        horizon_months=book.horizon_months,
        draw_count=draw_count,
        seed=seed,
        one_off_amount=_range(one_off),
        saving_month_amount=_range(saving),
        roi_ratio=_range(roi),
        npv_amount=_range(annuity_months(book) * saving - one_off),
        payback_months_p10=payback_months[0],
        payback_months_p50=payback_months[1],
        payback_months_p90=payback_months[2],
        chance_of_loss_ratio=float(np.mean(roi < 0)),
    )


def spread(expected: Range, z: Draws) -> Draws:
    """
    Turn standard normal numbers into draws whose P10, P50 and P90 are those expected.

    Example:
        >>> spread(Range(1.0, 2.0, 8.0), np.array([-1.2815515655446004, 0.0, 1.2815515655446004])).round(9).tolist()
        [1.0, 2.0, 8.0]
    """
    below, above = math.log(expected.p50 / expected.p10), math.log(expected.p90 / expected.p50)
    drawn: Draws = expected.p50 * np.exp(np.where(z < 0, below, above) * z / _P90_Z)
    return drawn


def saving_month(
    volume: Draws,
    ratio: Draws,
    stake: Stake,
    book: PriceBook,
    *,
    utilisation_ratio: float | None = None,
    hour_amount: float | None = None,
) -> Draws:
    """
    Return what is not paid any more in a month, below 0 where it costs more.

    Args:
        volume: Inferences a month.
        ratio: Throughput after over before, one for each volume.
        stake: Of the item.
        book: For what is not given.
        utilisation_ratio: Of the instances; the book's where it is None.
        hour_amount: Price of an instance's hour; on demand where it is None.
    """
    used_ratio = book.utilisation_ratio if utilisation_ratio is None else utilisation_ratio
    hour = book.on_demand_per_hour.amount if hour_amount is None else hour_amount
    before_per_sec = stake.baseline_per_sec * used_ratio
    per_1000 = hour * 1000 / (before_per_sec * SECONDS_PER_HOUR)
    elastic = volume / 1000 * per_1000 * (1 - 1 / ratio)
    peak_per_sec = volume / (HOURS_PER_MONTH * SECONDS_PER_HOUR) * book.peak_ratio
    before, after = (
        np.maximum(np.ceil(peak_per_sec / one_per_sec * (1 - _ROUNDING)), book.least_instance_count)
        for one_per_sec in (before_per_sec, before_per_sec * ratio)
    )
    saved: Draws = np.minimum(elastic, (before - after) * hour * HOURS_PER_MONTH)
    return saved if stake.is_realisable else np.minimum(saved, 0.0)


def return_on(one_off: Draws, saving: Draws, *, horizon_months: int) -> Draws:
    """Return ROI: what the horizon saves beyond the one-off, in multiples of the one-off."""
    return (saving * horizon_months - one_off) / one_off


def annuity_months(book: PriceBook) -> float:
    """Return how many months' savings of today those of the whole horizon are worth, each paid at its month's end."""
    months = np.arange(1, book.horizon_months + 1)
    return float(np.sum((1 + book.discount_per_year_ratio) ** (-months / 12)))


def _bound_z(ratio: Interval) -> float:
    return NormalDist().inv_cdf((1 + ratio.level_ratio) / 2)


def _bounds(ratio: Interval) -> tuple[float, float]:
    low, high = ratio.low, ratio.high
    if low is None or high is None or not 0 < low <= ratio.estimate <= high or not 0 < ratio.level_ratio < 1:
        raise DataError(f"{ratio} is no interval that holds its own estimate; make the comparison again.")
    return low, high


def _range(draws: Draws) -> Range:
    low, middle, high = (float(one) for one in np.quantile(draws, (0.1, 0.5, 0.9)))
    return Range(low, middle, high)


def _finite(months: float) -> float | None:
    return float(months) if math.isfinite(months) else None
