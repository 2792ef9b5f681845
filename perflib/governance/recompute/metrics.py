"""What else changed between two arms: memory, loading, tail latency and energy, decided together."""

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from perflib.governance.recompute.evidence import log_evidence, ratio_interval, stands
from perflib.governance.recompute.timings import counted_units, slots_of

_RATE = 0.05
_MAX_LOG = 700.0
_OF_PROCESSES = {"peak memory": "peak_rss_bytes", "peak GPU memory": "peak_device_bytes", "load time": "load_sec"}
# The one way of asking whose calls have a tail that users meet.
_ONE_AT_A_TIME = "single"


def metrics(record: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """
    Return every metric that all lives of a comparison have, by its name.

    Args:
        record: A comparison, as its JSON file holds it.
    """
    alpha, theta = record["alpha_ratio"], math.log1p(record["tolerance_ratio"])
    ratios = _log_ratios(record)
    more = [log_evidence(values, theta) for values in ratios.values()]
    less = [log_evidence([-one for one in values], theta) for values in ratios.values()]
    standing = stands([*less, *more], rate=_RATE)
    found = {}
    for place, (name, values) in enumerate(ratios.items()):
        words = "less" if place in standing else "more" if place + len(ratios) in standing else "no claim"
        found[name] = {
            "metric": name,
            "ratio": ratio_interval(values, alpha=alpha),
            "evidence_less": bounded_exp(less[place]),
            "evidence_more": bounded_exp(more[place]),
            "finding": words,
        }
    return found


def bounded_exp(log: float) -> float:
    """Return the evidence itself, within what a float can hold."""
    return math.exp(max(-_MAX_LOG, min(_MAX_LOG, log)))


def _log_ratios(record: Mapping[str, Any]) -> dict[str, list[float]]:
    """Return one log-ratio per life for each metric that no life lacks."""
    ratios: dict[str, list[float | None]] = {
        name: [_log_ratio(pair["candidate"][field], pair["baseline"][field]) for pair in record["processes"]]
        for name, field in _OF_PROCESSES.items()
    }
    for scenario in record["scenarios"]:
        lives = [life for life in scenario["lives"] if life["log_ratio"] is not None]
        name = scenario["scenario"]
        if name == _ONE_AT_A_TIME:
            ratios[f"95 % of calls, {name}"] = [_of_life(life, _tail) for life in lives]
        ratios[f"energy, {name}"] = [_of_life(life, _energy) for life in lives]
    return {
        name: [one for one in values if one is not None]
        for name, values in ratios.items()
        if values and None not in values
    }


def _of_life(life: Any, number: Callable[[Any, str], float | None]) -> float | None:
    return _log_ratio(number(life, "candidate"), number(life, "baseline"))


def _tail(life: Any, arm: str) -> float | None:
    calls = [call for unit, place in slots_of(counted_units([life]), arm) for call in unit["samples_sec"][place]]
    return float(np.percentile(calls, 95)) if calls else None


def _energy(life: Any, arm: str) -> float | None:
    slots = slots_of(counted_units([life]), arm)
    joules = [unit["energy_joule"][place] if unit["energy_joule"] else None for unit, place in slots]
    known = [one for one in joules if one is not None]
    return sum(known) if known and len(known) == len(joules) else None


def _log_ratio(after: float | None, before: float | None) -> float | None:
    return math.log(after / before) if after and before else None
