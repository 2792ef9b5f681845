"""
A plan of hours in a minute: every time and every least number of requests is scaled by one factor, limits never are.

Three rounds plant a fault each, in another stage; the last one plants nothing and has to get to the end.
"""

import dataclasses
import math
from typing import Literal

from perflib.errors import ParameterError
from perflib.governance.rollout.thresholds import AGREEMENT, ERRORS, LATENCY
from perflib.rehearsing.faults import HEALTHY, Fault
from perflib.results.governance import RolloutPlan, RolloutStage

FaultName = Literal["error rate", "labels", "latency", "none"]
LEAST_BUDGET_SEC, MOST_BUDGET_SEC = 5.0, 600.0
# A fault, and the stage from which everybody has to come back.
_FAULTS: tuple[tuple[FaultName, str, str], ...] = (
    ("latency", "canary-10", LATENCY),
    ("error rate", "half", ERRORS),
    ("labels", "full", AGREEMENT),
)
ROUND_COUNT = len(_FAULTS) + 1
# A stage of the round without a fault may be held for a while by chance.
_PATIENCE_RATIO = 1.25
# A window of a rehearsal holds some ten requests, and these have to show the fault.
_BAD_RATIO = 0.75
_LATE_FACTOR_RATIO, _LEAST_LATE_SEC = 3.0, 0.2


@dataclasses.dataclass(frozen=True)
class Round:
    """
    One try: the stages that it goes through, scaled, and its times.

    A fault is planted after ``prelude_sec``; everybody must be back ``limit_sec`` after that, of which
    ``rollback_sec`` are for the way back itself; ``tail_sec`` shows that all is well again. Without a fault
    ``limit_sec`` is the time for all stages.
    """

    fault: FaultName
    stages: tuple[RolloutStage, ...]
    window_sec: float
    prelude_sec: float
    limit_sec: float
    rollback_sec: float
    tail_sec: float


def make_rounds(plan: RolloutPlan, *, budget_sec: float) -> tuple[float, tuple[Round, ...]]:
    """
    Fit a plan into a time.

    Args:
        plan: With its real times.
        budget_sec: For all traffic, with every round as long as it may get.

    Returns:
        The scale (rehearsed over real seconds), and the rounds.

    Raises:
        ParameterError: If the time is too short for windows that hold a request, or no rehearsal's.
    """
    if not LEAST_BUDGET_SEC <= budget_sec <= MOST_BUDGET_SEC:
        raise ParameterError(
            f"a rehearsal in {budget_sec:g} s is not possible; give {LEAST_BUDGET_SEC:g} to {MOST_BUDGET_SEC:g} s."
        )
    real = _rounds(plan, scale_ratio=1.0)
    scale_ratio = budget_sec / sum(one.prelude_sec + one.limit_sec + one.tail_sec for one in real)
    return scale_ratio, _rounds(plan, scale_ratio=scale_ratio)


def planted_fault(fault: FaultName, *, baseline_p99_sec: float | None, rollback_sec: float) -> Fault:
    """
    Return what is planted.

    Args:
        fault: Its name.
        baseline_p99_sec: What the baseline's slowest answers took until now.
        rollback_sec: For the way back; a late answer that is under way has to arrive in half of it.
    """
    late_sec = min(max(_LATE_FACTOR_RATIO * (baseline_p99_sec or 0.0), _LEAST_LATE_SEC), rollback_sec / 2)
    faults: dict[FaultName, Fault] = {
        "error rate": Fault(error_ratio=_BAD_RATIO),
        "labels": Fault(wrong_ratio=_BAD_RATIO),
        "latency": Fault(hold_sec=late_sec),
    }
    return faults.get(fault, HEALTHY)


def _rounds(plan: RolloutPlan, *, scale_ratio: float) -> tuple[Round, ...]:
    stages = tuple(_scaled(stage, scale_ratio) for stage in plan.stages)
    windows = [gate.window_sec for gate in stages[0].gates]
    rollback_sec = plan.rollback_sec * scale_ratio
    rounds = []
    for fault, stage_name, metric in _FAULTS:
        (stage,) = (one for one in stages if one.name == stage_name)
        (gate,) = (one for one in stage.gates if one.metric == metric)
        rounds.append(
            Round(
                fault=fault,
                stages=(stage,),
                window_sec=min(windows),
                # Long enough for every gate to have seen the traffic while it was well.
                prelude_sec=max(windows),
                # One window more than it takes: chance may spare one.
                limit_sec=(gate.breach_count + 1) * gate.window_sec + rollback_sec,
                rollback_sec=rollback_sec,
                tail_sec=4 * min(windows),
            )
        )
    limit_sec = _PATIENCE_RATIO * sum(stage.least_sec for stage in stages)
    return (*rounds, Round("none", stages, min(windows), 0.0, limit_sec, rollback_sec, 0.0))


def _scaled(stage: RolloutStage, scale_ratio: float) -> RolloutStage:
    return dataclasses.replace(
        stage,
        least_sec=stage.least_sec * scale_ratio,
        least_request_count=math.ceil(stage.least_request_count * scale_ratio),
        gates=tuple(dataclasses.replace(gate, window_sec=gate.window_sec * scale_ratio) for gate in stage.gates),
    )
