"""
What to do first: by the P10 of ROI, among those that may be done at all.

Whether answers are right is a filter and no weight: no return buys it off. What was measured stands before what is
expected, because the P10 of what nobody tried is no gain at all. Of equal returns (all are -100 % where no instance can
be given back) RICE decides, then the id.
"""

import dataclasses
from collections.abc import Iterable

from perflib.results.governance import BacklogItem, PriceBook, Rice
from perflib.results.speed import Interval

WORKING_DAYS_PER_MONTH = 20
# From this sure ratio on, the impact; below the last it is the least that there is.
_IMPACTS = ((4.0, 3.0), (2.0, 2.0), (1.5, 1.0), (1.1, 0.5))
_LEAST_IMPACT = 0.25
_CONFIDENCE_BY_KIND = {"candidate": 1.0, "hypothesis": 0.5}
_DOUBTFUL_CONFIDENCE = 0.8


def rice(item: BacklogItem, book: PriceBook) -> Rice:
    """
    Score an item on a relative scale.

    Impact follows from the larger of the two speed-ups: the lower bound of a measured one, the middle of an expected
    one. Confidence is 1 for a candidate whose gates all pass, 0.8 where one warns, and 0.5 where nothing was measured.
    """
    reach = book.inferences_per_month.p50 / 1e6
    effort_months = item.effort_days.p50 / WORKING_DAYS_PER_MONTH
    impact, confidence = _impact(item), _confidence(item)
    return Rice(reach, impact, confidence, effort_months, reach * impact * confidence / effort_months)


def ranked(items: Iterable[BacklogItem]) -> tuple[BacklogItem, ...]:
    """Give the eligible ones their ranks and put them first; the others follow by id without one."""
    items = tuple(items)
    first = sorted((one for one in items if one.is_eligible), key=_place)
    rest = sorted((one for one in items if not one.is_eligible), key=lambda one: one.id)
    return (
        *(dataclasses.replace(one, rank=rank) for rank, one in enumerate(first, start=1)),
        *(dataclasses.replace(one, rank=None) for one in rest),
    )


def _place(item: BacklogItem) -> tuple[bool, bool, float, float, str]:
    roi_ratio = item.returns.roi_ratio.p10 if item.returns else 0.0
    score = item.rice.score if item.rice else 0.0
    return item.kind == "hypothesis", item.returns is None, -roi_ratio, -score, item.id


def _impact(item: BacklogItem) -> float:
    known = [_sure(one, item) for one in (item.throughput_ratio, item.latency_ratio) if one is not None]
    best = max(known, default=1.0)
    return next((impact for least, impact in _IMPACTS if best >= least), _LEAST_IMPACT)


def _sure(ratio: Interval, item: BacklogItem) -> float:
    # The low end of what nobody tried is no gain at all, for every hypothesis, so it cannot tell them apart.
    if item.kind == "hypothesis":
        return ratio.estimate
    return ratio.low if ratio.low is not None else 1.0


def _confidence(item: BacklogItem) -> float:
    return _DOUBTFUL_CONFIDENCE if item.accuracy_verdict == "WARN" else _CONFIDENCE_BY_KIND[item.kind]
