"""Which assumption a return hangs on: each alone goes from its low to its high end, the others stay in the middle."""

import numpy as np

from perflib.governance.backlog.returns import Stake, ratio_range, return_on, saving_month
from perflib.results.governance import PriceBook, TornadoBar

# The book gives one number for these two, so their ends are those that the cost tables show.
LOW_UTILISATION_RATIO, HIGH_UTILISATION_RATIO = 0.3, 0.9


def tornado(stake: Stake, book: PriceBook) -> tuple[TornadoBar, ...]:
    """
    Return one bar for volume, effort, ratio, utilisation and price, the widest first, of equals by name.

    Volume, effort and ratio go from P10 to P90, utilisation from 30 % to 90 %, the price from reserved to on demand.

    Raises:
        DataError: If the ratio's bounds do not hold its estimate.
    """
    volume, effort, ratio = book.inferences_per_month, stake.effort_days, ratio_range(stake.ratio)
    prices = sorted((book.reserved_per_hour.amount, book.on_demand_per_hour.amount))
    ends = (
        ("volume", "inferences a month", volume.p10, volume.p90),
        ("effort", "days", effort.p10, effort.p90),
        ("ratio", "times the throughput", ratio.p10, ratio.p90),
        ("utilisation", "share of capacity", LOW_UTILISATION_RATIO, HIGH_UTILISATION_RATIO),
        ("price", f"{book.currency} an hour", prices[0], prices[1]),
    )
    bars = [
        TornadoBar(name, unit, low, high, _roi(stake, book, name, low), _roi(stake, book, name, high))
        for name, unit, low, high in ends
    ]
    return tuple(sorted(bars, key=lambda bar: (-abs(bar.roi_at_high_ratio - bar.roi_at_low_ratio), bar.assumption)))


def _roi(stake: Stake, book: PriceBook, moved: str, value: float) -> float:
    """Return ROI where one assumption has a value of its own."""
    asked = {
        "volume": book.inferences_per_month.p50,
        "effort": stake.effort_days.p50,
        "ratio": stake.ratio.estimate,
        "utilisation": book.utilisation_ratio,
        "price": book.on_demand_per_hour.amount,
    } | {moved: value}
    saving = saving_month(
        np.array([asked["volume"]]),
        np.array([asked["ratio"]]),
        stake,
        book,
        utilisation_ratio=asked["utilisation"],
        hour_amount=asked["price"],
    )
    one_off = np.array([asked["effort"] * book.work_per_day.amount])
    return float(return_on(one_off, saving, horizon_months=book.horizon_months)[0])
