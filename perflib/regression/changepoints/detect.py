"""
The doors of the detector: scan a series, ask after each run whether to nominate it, and whether it is back.

    scan(values).change_points       # everything that can be seen in it now
    nominate(values)                 # after a run: a change to look into, or None

It works on logarithms, since a slowdown is a factor, and gives the same answer for the same seed.
"""

import itertools
import math
from collections.abc import Sequence

import numpy as np

from perflib.errors import DataError
from perflib.regression.changepoints import fast, segments
from perflib.regression.changepoints.drift import drift_since
from perflib.regression.changepoints.noise import Floats, Noise, find_spikes, measure_noise
from perflib.regression.changepoints.shift import LEVEL_RATIO, SIDE_COUNT, is_worth_telling, measure_shift
from perflib.results.history import LEAST_RUNS_COUNT
from perflib.results.regression import ChangePoint, NominationRule, SeriesScan
from perflib.results.speed import Interval

WINDOW_COUNT = 512


def scan(values: Sequence[float], *, least_effect_ratio: float = 0.02, seed: int = 0) -> SeriesScan:
    """
    Find every change of level in a series.

    Args:
        values: Oldest first, all above 0.
        least_effect_ratio: Smaller changes are not worth telling.
        seed: Of the shuffles.

    Raises:
        DataError: If a value is no number above 0.
    """
    logs = _logs(values)
    is_spike = find_spikes(logs)
    kept = np.flatnonzero(~is_spike)
    calm = logs[kept]
    changes = segments.all_changes(calm, least_nat=math.log1p(least_effect_ratio), seed=seed)
    edges = [0, *changes, len(calm)]
    parts = [calm[start:end] for start, end in itertools.pairwise(edges)]
    levels = [float(np.median(part)) for part in parts] if len(calm) else []
    noise = _noise_of(parts, levels)
    return SeriesScan(
        point_count=len(values),
        noise_ratio=noise.sd_nat,
        rho_ratio=noise.rho,
        spikes=tuple(int(index) for index in np.flatnonzero(is_spike)),
        change_points=tuple(
            _change(int(kept[change]), "segment", parts[index], parts[index + 1])
            for index, change in enumerate(changes)
        ),
        levels=tuple(math.exp(level) for level in levels),
    )


def nominate(
    values: Sequence[float], *, least_effect_ratio: float = 0.02, seed: int = 0, window_count: int = WINDOW_COUNT
) -> ChangePoint | None:
    """
    Ask after a run whether the series has changed: the newest change that can be seen, or None.

    Args:
        values: Oldest first, the newest run last; what was told and accepted is left out by the caller.
        least_effect_ratio: Smaller changes are not worth telling.
        seed: Of the shuffles.
        window_count: So many of the newest runs are looked at.

    Raises:
        DataError: If a value is no number above 0.
    """
    before_count = max(len(values) - window_count, 0)
    logs = _logs(values)[before_count:]
    least_nat = math.log1p(least_effect_ratio)
    kept = np.flatnonzero(~find_spikes(logs))
    if len(kept) < LEAST_RUNS_COUNT:
        return None
    calm = logs[kept]
    start = segments.last_change(calm, least_nat=least_nat, seed=seed)
    place, rule = _newer(calm, logs[kept[start] :], start, least_nat) or (start, "segment")
    if place == 0:
        return None
    since = start if place > start else 0
    return _change(before_count + int(kept[place]), rule, calm[since:place], calm[place:])


def visible_effect_ratio(values: Sequence[float]) -> float | None:
    """Return the smallest slowdown that two runs in a row would show; None for too few runs."""
    logs = _logs(values)
    if len(logs) < fast.LEAST_REFERENCE_COUNT:
        return None
    above, below = fast.far_thresholds(logs[-fast.REFERENCE_COUNT :])
    return max(math.expm1(max(above, below)), 0.0)


def has_returned(
    values_since_change: Sequence[float], *, before_value: float, after_value: float, limit: float = 100.0
) -> bool:
    """
    Say whether a series is back where it was, by bets on which level each run is nearer to.

    Args:
        values_since_change: Oldest first.
        before_value: The level before the change.
        after_value: The level after it.
        limit: Of the evidence; at 100 a series that stays where it is seems to be back once in 100 runs at the most.
    """
    middle = math.log(before_value * after_value) / 2
    side = 1.0 if before_value < after_value else -1.0
    signs = side * np.sign(middle - _logs(values_since_change))
    return fast.sign_evidence(list(signs)) >= limit and bool(signs[-1] > 0)


def _newer(calm: Floats, raw: Floats, start: int, least_nat: float) -> tuple[int, NominationRule] | None:
    """Ask the rules that need no long stretch, of the runs since the last change."""
    part = calm[start:]
    if len(part) < LEAST_RUNS_COUNT:
        return None
    far_count = fast.far_runs(raw)
    if far_count:
        place = len(part) - far_count
        if abs(float(np.median(part[place:]) - np.median(part[:place]))) > least_nat:
            return start + place, "level"
    noise = measure_noise(part, np.full(len(part), np.median(part)))
    frozen = max(LEAST_RUNS_COUNT, len(part) // 2)
    since = fast.one_side_since(part[frozen:], float(np.median(part[:frozen])))
    if since is not None and _is_shift(part, frozen + since, noise, least_nat):
        return start + frozen + since, "signs"
    drift = drift_since(part, noise, least_nat=least_nat)
    return (start + max(drift, 1), "drift") if drift is not None else None


def _is_shift(part: Floats, place: int, noise: Noise, least_nat: float) -> bool:
    shift = measure_shift(part[:place][-SIDE_COUNT:], part[place:][-SIDE_COUNT:], rho=noise.rho)
    return is_worth_telling(shift, noise, after_count=len(part) - place, least_nat=least_nat)


def _noise_of(parts: Sequence[Floats], levels: Sequence[float]) -> Noise:
    if not levels or sum(map(len, parts)) < 3:
        return Noise(0.0, 0.0)
    about = np.concatenate([np.full(len(part), level) for part, level in zip(parts, levels, strict=True)])
    return measure_noise(np.concatenate(parts), about)


def _change(index: int, rule: NominationRule, before: Floats, after: Floats) -> ChangePoint:
    newest = after[:SIDE_COUNT] if rule == "segment" else after[-SIDE_COUNT:]
    shift = measure_shift(before[-SIDE_COUNT:], newest)
    return ChangePoint(
        index=index,
        rule=rule,
        shift_ratio=Interval(
            math.exp(shift.estimate_nat), math.exp(shift.low_nat), math.exp(shift.high_nat), LEVEL_RATIO
        ),
        before_count=len(before),
        after_count=len(after),
    )


def _logs(values: Sequence[float]) -> Floats:
    numbers = np.asarray(values, float)
    bad = np.flatnonzero(~(np.isfinite(numbers) & (numbers > 0)))
    if len(bad):
        raise DataError(
            f"run {bad[0] + 1} of a series is {numbers[bad[0]]}; a series holds numbers above 0, so leave that run out."
        )
    logs: Floats = np.log(numbers)
    return logs
