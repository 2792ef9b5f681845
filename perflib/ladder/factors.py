"""
The arithmetic of a waterfall: factors multiply, and their intervals add up on the logarithmic scale.

Each factor is an estimate with bounds of its own, from lives of its own. For a product the squares of the logarithmic
distances from estimate to bound are added, the lower and the upper ones by themselves, so that a lopsided interval
stays lopsided (Zou and Donner 2008 call it MOVER). A ratio of two is a product with the second turned over.
"""

import math
from collections.abc import Sequence

from perflib.results import Interval, Rung, ScenarioComparison
from perflib.results.ladder import CategoryFactor, LadderTotal


def product(factors: Sequence[Interval]) -> Interval:
    """
    Multiply factors that were measured apart; one factor is its own product, and without a bound there is none.

    Example:
        >>> both = product([Interval(2.0, 1.8, 2.2, 0.9), Interval(3.0, 2.7, 3.3, 0.9)])
        >>> both.estimate, round(both.low, 2), round(both.high, 2)
        (6.0, 5.17, 6.87)
    """
    estimate = math.prod(one.estimate for one in factors)
    lows = [math.log(one.estimate / one.low) for one in factors if one.low is not None and one.low > 0]
    highs = [math.log(one.high / one.estimate) for one in factors if one.high is not None]
    return Interval(
        estimate,
        estimate * math.exp(-math.hypot(*lows)) if len(lows) == len(factors) else None,
        estimate * math.exp(math.hypot(*highs)) if len(highs) == len(factors) else None,
        min((one.level_ratio for one in factors), default=0.9),
    )


def over(whole: Interval, part: Interval) -> Interval:
    """Divide two ratios that were measured apart."""
    turned = Interval(
        1 / part.estimate,
        1 / part.high if part.high is not None else None,
        1 / part.low if part.low is not None and part.low > 0 else None,
        part.level_ratio,
    )
    return product([whole, turned])


def holds_one(ratio: Interval) -> bool | None:
    """Say whether an interval holds 1: no change; None where a bound is lacking."""
    if ratio.low is None or ratio.high is None:
        return None
    return ratio.low <= 1 <= ratio.high


def summed(rungs: Sequence[Rung], total: ScenarioComparison) -> LadderTotal:
    """Put the steps of one scenario beside the total that was paired directly."""
    factors = [
        (rung.category, speed.factor_ratio)
        for rung in rungs
        for speed in rung.speeds
        if speed.scenario == total.scenario
    ]
    steps_ratio = product([factor for _, factor in factors])
    open_ratio = over(total.speedup_ratio, steps_ratio)
    # One step that is the whole recipe is the total itself, not a second measurement of it.
    is_total = len(factors) == 1 and factors[0][1] == total.speedup_ratio
    if is_total:
        open_ratio = Interval(1.0, 1.0, 1.0, open_ratio.level_ratio)
    names = list(dict.fromkeys(name for name, _ in factors))
    return LadderTotal(
        scenario=total.scenario,
        total_ratio=total.speedup_ratio,
        product_ratio=steps_ratio,
        unattributed_ratio=open_ratio,
        is_consistent=holds_one(open_ratio),
        categories=tuple(
            CategoryFactor(name, product([factor for other, factor in factors if other == name])) for name in names
        ),
        lives_count=len(total.log_ratios),
    )
