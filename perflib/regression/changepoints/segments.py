"""
Where the level changed: binary segmentation by ranks, with thresholds from the series' own shuffled blocks.

The largest Wilcoxon-score CUSUM over all places of a stretch is held against the same maximum of 199 shuffles, so its
level holds *after* the search. Whole blocks are shuffled, because neighbouring runs resemble each other. A change also
has to be worth telling and to stand out of the noise's tail. That is cheap and asked first, and it keeps the search
over many stretches from finding something somewhere.
"""

import itertools
import math
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from perflib.regression.changepoints.fast import FAR_RATIOS, far_thresholds
from perflib.regression.changepoints.noise import Floats, Noise, measure_noise
from perflib.regression.changepoints.shift import SIDE_COUNT, Shift, is_worth_telling, shift_at

LEAST_COUNT = 5
_SHUFFLES_COUNT = 199
_QUANTILE_RATIO = 0.99
# The 99 % quantile of shuffles is never below this, so nothing smaller needs them.
_FLOOR = 2.3
# How far the clearest shift may lie from the largest statistic, and how near its own has to come to that.
_REACH_COUNT, _NEARLY_RATIO = 3, 0.9
# Shuffles of blocks do not come near a statistic of so many roots of their length; they are spared then.
_SURE_COUNT = 5.0
# The noise of short stretches is measured with so many runs up to their end.
_CONTEXT_COUNT = 40
# Stretches that end at the newest run are this much shorter from one to the next.
_SHRINK_RATIO = 1 / math.sqrt(2)


def last_change(logs: Floats, *, least_nat: float, seed: int) -> int:
    """
    Return the first run of the newest level; 0 where the level never changed.

    Args:
        logs: Without spikes.
        least_nat: The least effect.
        seed: Of the shuffles.
    """
    start = 0
    while True:
        found = next(
            (
                begin + place
                for begin in _anchored(start, len(logs))
                if (place := _change_in(logs[begin:], logs[start:begin], least_nat=least_nat, seed=seed))
            ),
            0,
        )
        if found <= start:
            return start
        start = found


def all_changes(logs: Floats, *, least_nat: float, seed: int) -> list[int]:
    """Return the first run of every level but the first, oldest first; arguments as `last_change`."""
    changes = _split(logs, 0, len(logs), least_nat=least_nat, seed=seed)
    # A level that was split off early may turn out to be no other once its neighbours are known.
    kept: list[int] = []
    for index, change in enumerate(changes):
        start = kept[-1] if kept else 0
        end = changes[index + 1] if index + 1 < len(changes) else len(logs)
        part, place = logs[start:end], change - start
        noise = _noise(part, place)
        if is_worth_telling(shift_at(part, place, noise), noise, after_count=end - change, least_nat=least_nat):
            kept.append(change)
    return kept


def _split(logs: Floats, start: int, end: int, *, least_nat: float, seed: int) -> list[int]:
    """Search one stretch, and then what lies between the changes that are found."""
    found: list[tuple[float, int, int, int]] = []
    for begin, stop in _seeded(start, end):
        before = logs[max(stop - _CONTEXT_COUNT, start) : begin]
        place = _change_in(logs[begin:stop], before, least_nat=least_nat, seed=seed)
        if place:
            strength = float(_cusum(_scores(logs[begin:stop]))[place - 1])
            found.append((strength, begin, stop, begin + place))
    changes: list[int] = []
    # The strongest first; a stretch that holds a change already has nothing to say about another.
    for _, begin, stop, change in sorted(found, reverse=True):
        if not any(begin < known < stop for known in changes):
            changes.append(change)
    if not changes:
        return []
    edges = [start, *sorted(changes), end]
    inside = (_split(logs, left, right, least_nat=least_nat, seed=seed) for left, right in itertools.pairwise(edges))
    return sorted([*changes, *itertools.chain.from_iterable(inside)])


def _change_in(logs: Floats, before: Floats, *, least_nat: float, seed: int) -> int:
    """
    Return the place of the likeliest change in a stretch; 0 where there is none that counts.

    The runs ``before`` it, of the same level so far, only help to know the noise.
    """
    if len(logs) < 2 * LEAST_COUNT:
        return 0
    scores = _scores(logs)
    statistic = _cusum(scores)
    statistic[: LEAST_COUNT - 1] = statistic[len(statistic) - LEAST_COUNT + 1 :] = 0.0
    place = int(statistic.argmax()) + 1
    if statistic[place - 1] < _FLOOR:
        return 0
    known = np.concatenate([before, logs])
    noise = _noise(known, len(before) + place)
    # Noise moves the largest statistic by some runs; of places nearly as likely the clearest shift is meant.
    near = range(max(place - _REACH_COUNT, LEAST_COUNT), min(place + _REACH_COUNT, len(logs) - LEAST_COUNT) + 1)
    likely = [one for one in near if statistic[one - 1] >= _NEARLY_RATIO * statistic[place - 1]]
    shifts = {one: shift_at(logs, one, noise) for one in likely}
    place = max(shifts, key=lambda one: (shifts[one].nearest_nat, statistic[one - 1]))
    after_count = len(logs) - place
    if not is_worth_telling(shifts[place], noise, after_count=after_count, least_nat=least_nat):
        return 0
    if not _stands_out(shifts[place], _residuals(known, len(before) + place), after_count):
        return 0
    block, strength = math.ceil(2 / (1 - noise.rho)), statistic[place - 1]
    return place if strength > _SURE_COUNT * math.sqrt(block) or strength > _threshold(scores, block, seed) else 0


def _stands_out(shift: Shift, residuals: Floats, count: int) -> bool:
    """
    Say whether a shift is larger than what the tail of the noise makes of so many runs.

    Medians forgive outliers, and in noise with a long tail five of them come together sooner than one thinks.
    """
    above, below = far_thresholds(residuals)
    part_ratio = FAR_RATIOS[6] * math.sqrt(6 / min(count, SIDE_COUNT))
    return abs(shift.estimate_nat) > part_ratio * (above if shift.estimate_nat > 0 else below)


def _noise(logs: Floats, place: int) -> Noise:
    return measure_noise(logs, logs - _residuals(logs, place))


def _residuals(logs: Floats, place: int) -> Floats:
    return np.concatenate([logs[:place] - np.median(logs[:place]), logs[place:] - np.median(logs[place:])])


def _scores(logs: Floats) -> Floats:
    ranks: Floats = rankdata(logs) / (len(logs) + 1) - 0.5
    return ranks


def _cusum(scores: Floats) -> Floats:
    """Return the statistic of every place between two runs, along the last axis; shape (…, runs - 1)."""
    count = scores.shape[-1]
    left = np.arange(1, count)
    sums = scores.cumsum(axis=-1)[..., :-1]
    total = scores.sum(axis=-1, keepdims=True)
    spread = scores.std(axis=-1, keepdims=True)
    gaps = np.abs(sums / left - (total - sums) / (count - left))
    statistic: Floats = np.sqrt(left * (count - left) / count) * gaps / np.where(spread > 0, spread, 1.0)
    return statistic


def _threshold(scores: Floats, block: int, seed: int) -> float:
    """Return the quantile of the largest statistic over shuffles of whole blocks."""
    rng = np.random.default_rng([seed, len(scores)])
    shuffled = np.stack([scores[_shuffled(len(scores), block, rng)] for _ in range(_SHUFFLES_COUNT)])
    statistic = _cusum(shuffled)
    statistic[:, : LEAST_COUNT - 1] = statistic[:, statistic.shape[1] - LEAST_COUNT + 1 :] = 0.0
    return float(np.quantile(statistic.max(axis=1), _QUANTILE_RATIO, method="higher"))


def _shuffled(count: int, block: int, rng: np.random.Generator) -> NDArray[np.intp]:
    """Return an order in which blocks of neighbours stay together; where they are cut is drawn too."""
    cuts = np.arange(int(rng.integers(1, block + 1)), count, block)
    parts = np.split(np.arange(count), cuts)
    return np.concatenate([parts[index] for index in rng.permutation(len(parts))])


def _anchored(start: int, end: int) -> Iterator[int]:
    """Return the beginnings of stretches that end at the newest run, the longest first."""
    length = float(end - start)
    while length >= 2 * LEAST_COUNT:
        yield end - round(length)
        length *= _SHRINK_RATIO


def _seeded(start: int, end: int) -> Iterator[tuple[int, int]]:
    """Return seeded intervals: at every length, stretches that overlap by half."""
    length = float(end - start)
    while length >= 2 * LEAST_COUNT:
        count = 2 * math.ceil((end - start) / length) - 1
        step = (end - start - length) / max(count - 1, 1)
        for index in range(count):
            begin = start + round(index * step)
            yield begin, min(begin + math.ceil(length), end)
        length *= _SHRINK_RATIO
