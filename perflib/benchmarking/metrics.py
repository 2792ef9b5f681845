"""
What else changed: memory, loading, tail latency and energy, under the same exact test as the time itself.

Each metric gives one log-ratio per life, whose sign is a fair coin if the arms are equal. They depend on each other
strongly, so which of them stand is decided together (e-BH), and no verdict of a candidate rests on them.
"""

import math
from collections.abc import Callable, Sequence

import numpy as np

from perflib.benchmarking import decision
from perflib.benchmarking.lives import LivedLife
from perflib.benchmarking.scenarios import SCENARIOS
from perflib.results import Interval, Life, MetricComparison, Process, Unit

FALSE_DISCOVERY_RATIO = 0.05
_MAX_LOG = 700.0

_PROCESS_METRICS: dict[str, Callable[[Process], float | None]] = {
    "peak memory": lambda process: process.peak_rss_bytes,
    "peak GPU memory": lambda process: process.peak_device_bytes,
    "load time": lambda process: process.load_sec,
}


def compare_metrics(lived: Sequence[LivedLife], *, alpha: float, tolerance: float) -> tuple[MetricComparison, ...]:
    """
    Compare every secondary metric that all lives have.

    Args:
        lived: The lives.
        alpha: Of each metric's interval.
        tolerance: A change of at most this share is none.
    """
    ratios = {name: _of_processes(lived, read) for name, read in _PROCESS_METRICS.items()}
    for name in lived[0].by_scenario if lived else ():
        lives = [one.by_scenario[name] for one in lived if one.by_scenario[name].log_ratio is not None]
        if SCENARIOS[name].statistic == "p50":
            ratios[f"95 % of calls, {name}"] = [_tail_log_ratio(life) for life in lives]
        ratios[f"energy, {name}"] = [_energy_log_ratio(life) for life in lives]
    known = {name: [value for value in values if value is not None] for name, values in ratios.items()}
    # A metric that some lives lack was not measured the same way in all of them, so it is left out.
    whole = {name: values for name, values in known.items() if values and len(values) == len(ratios[name])}
    return _judged(whole, alpha=alpha, theta=math.log1p(tolerance))


def _judged(ratios: dict[str, list[float]], *, alpha: float, theta: float) -> tuple[MetricComparison, ...]:
    more = {name: decision.log_evidence(values, theta) for name, values in ratios.items()}
    less = {name: decision.log_evidence([-value for value in values], theta) for name, values in ratios.items()}
    stands = set(decision.discoveries([*less.values(), *more.values()], rate=FALSE_DISCOVERY_RATIO))
    compared = []
    for place, (name, values) in enumerate(ratios.items()):
        low, high = decision.log_bounds(values, alpha=alpha)
        bounds = [None if bound is None else math.exp(bound) for bound in (low, high)]
        ratio = Interval(math.exp(decision.hodges_lehmann(values)), bounds[0], bounds[1], round(1 - 2 * alpha, 6))
        compared.append(
            MetricComparison(
                metric=name,
                ratio=ratio,
                evidence_less=math.exp(min(less[name], _MAX_LOG)),
                evidence_more=math.exp(min(more[name], _MAX_LOG)),
                finding="less" if place in stands else "more" if place + len(ratios) in stands else "no claim",
            )
        )
    return tuple(compared)


def _of_processes(lived: Sequence[LivedLife], read: Callable[[Process], float | None]) -> list[float | None]:
    return [_log_ratio(read(one.processes.candidate), read(one.processes.baseline)) for one in lived]


def _tail_log_ratio(life: Life) -> float | None:
    tails = {
        letter: [value for unit, slot in _slots(life, letter) for value in unit.samples_sec[slot]] for letter in "AB"
    }
    if not tails["A"] or not tails["B"]:
        return None
    return _log_ratio(*(float(np.percentile(tails[letter], 95)) for letter in "BA"))


def _energy_log_ratio(life: Life) -> float | None:
    totals: dict[str, float] = {}
    for letter in "AB":
        values = [unit.energy_joule[slot] if unit.energy_joule else None for unit, slot in _slots(life, letter)]
        known = [value for value in values if value is not None]
        if not known or len(known) < len(values):
            return None
        totals[letter] = sum(known)
    return _log_ratio(totals["B"], totals["A"])


def _slots(life: Life, letter: str) -> list[tuple[Unit, int]]:
    """Return the slots of one arm in the counted units: each unit with the slot's place in it."""
    return [
        (unit, slot)
        for unit in life.units
        if unit.dropped is None
        for slot, owner in enumerate(unit.order)
        if owner == letter
    ]


def _log_ratio(after: float | None, before: float | None) -> float | None:
    return math.log(after / before) if after and before else None
