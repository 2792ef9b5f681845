"""
What else changed: memory, loading, tail latency and energy, under the same exact test as the time itself.

Each metric gives one log-ratio per life, whose sign is a fair coin if the arms are equal. They depend on each other
strongly, so which of them stand is decided together (e-BH), and no verdict of a candidate rests on them.
"""

import math
from collections.abc import Callable, Sequence

import numpy as np

from perflib.benchmarking import decision
from perflib.benchmarking.arm import ArmName
from perflib.benchmarking.lives import ARMS, LivedLife, arm_slots
from perflib.benchmarking.scenarios import SCENARIOS
from perflib.results import Life, MetricComparison, Process, Unit

FALSE_DISCOVERY_RATIO = 0.05

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
        # A cell of a map is no way of asking that users know, and has too few calls for its tail.
        if name in SCENARIOS and SCENARIOS[name].statistic == "p50":
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
        compared.append(
            MetricComparison(
                metric=name,
                ratio=decision.ratio_interval(values, alpha=alpha),
                evidence_less=decision.bounded_exp(less[name]),
                evidence_more=decision.bounded_exp(more[name]),
                finding="less" if place in stands else "more" if place + len(ratios) in stands else "no claim",
            )
        )
    return tuple(compared)


def _of_processes(lived: Sequence[LivedLife], read: Callable[[Process], float | None]) -> list[float | None]:
    return [_log_ratio(read(one.processes.candidate), read(one.processes.baseline)) for one in lived]


def _tail_log_ratio(life: Life) -> float | None:
    calls = {arm: [value for unit, place in _slots(life, arm) for value in unit.samples_sec[place]] for arm in ARMS}
    tails = {arm: float(np.percentile(values, 95)) if values else None for arm, values in calls.items()}
    return _log_ratio(tails["candidate"], tails["baseline"])


def _energy_log_ratio(life: Life) -> float | None:
    totals: dict[str, float] = {}
    for arm in ARMS:
        values = [unit.energy_joule[place] if unit.energy_joule else None for unit, place in _slots(life, arm)]
        known = [value for value in values if value is not None]
        if not known or len(known) < len(values):
            return None
        totals[arm] = sum(known)
    return _log_ratio(totals["candidate"], totals["baseline"])


def _slots(life: Life, arm: ArmName) -> list[tuple[Unit, int]]:
    """Return the slots of one arm in the counted units."""
    return arm_slots([unit for unit in life.units if unit.dropped is None], arm)


def _log_ratio(after: float | None, before: float | None) -> float | None:
    return math.log(after / before) if after and before else None
