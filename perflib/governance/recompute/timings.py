"""Each arm of a scenario in everyday numbers, from the raw times of its slots."""

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from scipy import stats

_SHARES_RATIO = (0.50, 0.95, 0.99)
_LEVEL_RATIO = 0.95
# A far percentile needs ten calls beyond it.
_FAR_SHARE_RATIO, _FAR_CALL_COUNT = 0.99, 10

ARM_LETTERS: Mapping[str, str] = {"baseline": "A", "candidate": "B"}


def counted_units(lives: Sequence[Any]) -> list[Any]:
    """Return the units of some lives that no rule has dropped."""
    return [unit for life in lives for unit in life["units"] if unit["dropped"] is None]


def slots_of(units: Sequence[Any], arm: str) -> list[tuple[Any, int]]:
    """Return the slots of one arm: each unit with the place of the slot in it."""
    return [(unit, place) for unit in units for place, letter in enumerate(unit["order"]) if letter == ARM_LETTERS[arm]]


def slot_value_sec(samples_sec: Sequence[float], statistic: str) -> float:
    """Return the number of one slot: the median of its calls where calls are asked for, else their sum."""
    return statistics.median(samples_sec) if statistic == "p50" else sum(samples_sec)


def arm_timing(scenario: Mapping[str, Any], arm: str) -> dict[str, Any]:
    """
    Return one arm's times as a record writes them.

    ``tokens_per_sec`` is left out: how many tokens a pass has is not in the record.

    Args:
        scenario: With its lives.
        arm: ``baseline`` or ``candidate``.
    """
    lives, passes_count = scenario["lives"], scenario["passes_per_slot_count"]
    # Where everything was dropped there is still a number to show; the verdict says that it does not count.
    units = counted_units(lives) or [unit for life in lives for unit in life["units"]]
    slots = slots_of(units, arm)
    samples_sec = [unit["samples_sec"][place] for unit, place in slots]
    statistic, examples_count = scenario["statistic"], scenario["examples_per_slot_count"]
    slot_sec = statistics.median(slot_value_sec(one, statistic) for one in samples_sec)
    if statistic == "total":
        slot_sec /= passes_count
    pass_sec = slot_sec
    if statistic == "p50":
        pass_sec = statistics.median(sum(one) for one in samples_sec) / passes_count
    elif statistic == "sec_per_request":
        pass_sec = slot_sec * examples_count
    joules = [unit["energy_joule"][place] for unit, place in slots if unit["energy_joule"]]
    known_joule = [one for one in joules if one is not None]
    has_energy = bool(known_joule) and statistic != "sec_per_request"
    return {
        "slot_sec": slot_sec,
        "examples_per_sec": examples_count / pass_sec,
        "joule_per_example": (statistics.median(known_joule) / (examples_count * passes_count) if has_energy else None),
        "percentiles": percentiles([call for one in samples_sec for call in one]) if statistic == "p50" else [],
    }


def percentiles(calls_sec: Sequence[float]) -> list[dict[str, float]]:
    """
    Return p50, p95 and p99 with bounds that are calls themselves; one that so few calls do not support is left out.

    The number of calls below a percentile is binomial, whatever the latencies look like.

    Example:
        >>> [one["low_sec"] for one in percentiles([call / 1000 for call in range(1, 101)])]
        [0.04, 0.09]
    """
    ordered, count = sorted(calls_sec), len(calls_sec)
    found = []
    for share_ratio in _SHARES_RATIO:
        if share_ratio >= _FAR_SHARE_RATIO and round(count * (1 - share_ratio), 6) < _FAR_CALL_COUNT:
            continue
        below = stats.binom.cdf(np.arange(count + 1), count, share_ratio)
        low = int(np.argmax(below >= (1 - _LEVEL_RATIO) / 2))
        high = int(np.argmax(below >= (1 + _LEVEL_RATIO) / 2)) + 1
        if low >= 1 and high <= count:
            found.append(
                {
                    "share_ratio": share_ratio,
                    "estimate_sec": float(np.quantile(ordered, share_ratio)),
                    "low_sec": ordered[low - 1],
                    "high_sec": ordered[high - 1],
                    "call_count": count,
                }
            )
    return found
