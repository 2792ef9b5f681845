"""
One series under the eyes of the detector: is the newest run as the ones before, and if not, since when?

A metric with noise is nominated by its history. An exact one, such as the size, is held against the last good run.
"""

import dataclasses
import statistics
from collections.abc import Sequence

from perflib.regression.changepoints.detect import nominate, scan, visible_effect_ratio
from perflib.results.history import LEAST_RUNS_COUNT, METRICS, HistoryPoint, Metric
from perflib.results.regression import Nomination, SeriesCheck, SeriesState
from perflib.results.speed import Interval


def check_series(
    points: Sequence[HistoryPoint], *, reference_ulid: str | None = None, is_known: bool = False, seed: int = 0
) -> SeriesCheck:
    """
    Look at one series after a run.

    Args:
        points: Oldest first, the run's own last; marked ones before it left out by the caller.
        reference_ulid: Of the run that exact metrics are held against; the one before if not given.
        is_known: Whether an open alert holds this series, which is then not nominated again.
        seed: Of the permutations.

    Returns:
        SeriesCheck: What it is like, with a nomination where something changed.
    """
    metric = METRICS[points[-1].metric]
    if len(points) == 1:
        return _made(points, "first", None)
    found = _exact(points, metric, reference_ulid) if metric.is_exact else _noisy(points, metric, seed)
    if is_known:
        return _made(points, "known", found)
    if found is None:
        few = not metric.is_exact and len(points) < LEAST_RUNS_COUNT
        return _made(points, "too few" if few else "quiet", None)
    return _made(points, "nominated" if found.is_worse else "better", found)


def _made(points: Sequence[HistoryPoint], state: SeriesState, nomination: Nomination | None) -> SeriesCheck:
    newest, metric = points[-1], METRICS[points[-1].metric]
    values = [point.value for point in points]
    is_noisy = not metric.is_exact and len(values) >= LEAST_RUNS_COUNT
    return SeriesCheck(
        series=newest.key,
        state=state,
        point_count=len(points),
        value=newest.value,
        unit=newest.unit,
        noise_ratio=scan(values).noise_ratio if is_noisy else None,
        visible_effect_ratio=visible_effect_ratio(values) if is_noisy else None,
        nomination=nomination,
    )


def _noisy(points: Sequence[HistoryPoint], metric: Metric, seed: int) -> Nomination | None:
    found = nominate([point.value for point in points], least_effect_ratio=metric.least_effect_ratio, seed=seed)
    if found is None or found.index == 0:
        return None
    good, since = points[found.index - 1], points[found.index]
    before = [point.value for point in points[: found.index]][-found.before_count :]
    after = [point.value for point in points[found.index :]]
    made = _nomination(metric, good, since, statistics.median(before), statistics.median(after), after_count=len(after))
    return dataclasses.replace(
        made,
        rule=found.rule,
        shift_ratio=found.shift_ratio,
        is_worse=(found.shift_ratio.estimate > 1) == (metric.better == "less"),
    )


def _exact(points: Sequence[HistoryPoint], metric: Metric, reference_ulid: str | None) -> Nomination | None:
    """Hold the newest value against that of one run; without it, against the run before."""
    known = [index for index, point in enumerate(points[:-1]) if point.run_ulid == reference_ulid]
    reference = known[-1] if known else len(points) - 2
    before = points[reference].value
    if not _is_change(metric, before, points[-1].value):
        return None
    first = len(points) - 1
    while first - 1 > reference and _is_change(metric, before, points[first - 1].value):
        first -= 1
    return _nomination(
        metric, points[first - 1], points[first], before, points[-1].value, after_count=len(points) - first
    )


def _is_change(metric: Metric, before: float, after: float) -> bool:
    # A share of right answers changes by points, whatever it was; everything else in proportion.
    change = abs(after - before) if metric.family == "quality" else abs(after / before - 1) if before else 1.0
    return change > metric.least_effect_ratio


def _nomination(
    metric: Metric, good: HistoryPoint, since: HistoryPoint, before: float, after: float, *, after_count: int
) -> Nomination:
    ratio = after / before if before else 0.0
    return Nomination(
        series=since.key,
        family=metric.family,
        rule="exact",
        is_worse=(after > before) == (metric.better == "less"),
        shift_ratio=Interval(ratio, ratio, ratio, 1.0),
        before_value=before,
        after_value=after,
        unit=since.unit,
        good_run_id=good.run_id,
        good_run_ulid=good.run_ulid,
        since_run_id=since.run_id,
        since_run_ulid=since.run_ulid,
        after_count=after_count,
    )
