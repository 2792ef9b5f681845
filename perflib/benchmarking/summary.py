"""
From lives to a record: verdict, estimate, interval and evidence of every scenario, and what a person wants to know.

Everything here can be computed again from the raw slots that the record keeps.
"""

import math
import re
import statistics
from collections.abc import Sequence

import numpy as np

from perflib import units
from perflib.benchmarking import decision, planning
from perflib.benchmarking.arm import ArmName
from perflib.benchmarking.conditions import DROPPED_LIMIT_RATIO
from perflib.benchmarking.lives import ARMS, arm_slots
from perflib.benchmarking.percentiles import percentiles
from perflib.benchmarking.scenarios import Scenario, SlotPlan
from perflib.results import ArmTiming, Comparison, EvidencePath, Life, ScenarioComparison, SpeedVerdict, Unit


def verdict_of(lives: Sequence[Life], *, alpha: float, tolerance: float, mde: float) -> SpeedVerdict:
    """Return the verdict that lives allow: none where too many units were dropped, else the first one reached."""
    if dropped_ratio(lives) > DROPPED_LIMIT_RATIO:
        return "INCONCLUSIVE"
    return decision.first_verdict(counted(lives), alpha=alpha, tolerance=tolerance, mde=mde)


def counted(lives: Sequence[Life]) -> list[float]:
    """Return the log-ratios that count as evidence: of the lives that kept at least one unit."""
    return [life.log_ratio for life in lives if life.log_ratio is not None]


def dropped_ratio(lives: Sequence[Life]) -> float:
    """Return the share of units that the gating rules took out."""
    dropped = [unit.dropped is not None for life in lives for unit in life.units]
    return sum(dropped) / len(dropped) if dropped else 0.0


def summarise(
    scenario: Scenario,
    lives: Sequence[Life],
    *,
    plan: SlotPlan,
    examples_count: int,
    tokens_count: int | None,
    alpha: float,
    tolerance: float,
    mde: float,
) -> ScenarioComparison:
    """
    Turn the lives of one scenario into its verdict, estimate, interval and evidence.

    Args:
        scenario: What was asked.
        lives: At least one.
        plan: Of its slots.
        examples_count: Examples of one pass.
        tokens_count: Real tokens of one pass; None where there are none.
        alpha: Bound on a wrong verdict, each way.
        tolerance: A change of at most this share is none.
        mde: PASS rules out slowdowns from this share on.
    """
    ratios = counted(lives)
    # Where every unit was dropped there is still a number to show, and the verdict says that it does not count.
    shown = ratios or [0.0]
    kept = [unit for life in lives for unit in life.units if unit.dropped is None]
    timed = kept or [unit for life in lives for unit in life.units]
    passes = plan.passes_count
    timings = {
        arm: _arm_timing(
            scenario, timed, arm, passes_count=passes, examples_count=examples_count, tokens_count=tokens_count
        )
        for arm in ARMS
    }
    return ScenarioComparison(
        scenario=scenario.name,
        statistic=scenario.statistic,
        verdict=verdict_of(lives, alpha=alpha, tolerance=tolerance, mde=mde),
        speedup_ratio=decision.speedup_interval(shown, alpha=alpha),
        evidence=decision.bounded_exp(decision.log_evidence([-ratio for ratio in ratios], math.log1p(tolerance))),
        reached_mde_ratio=decision.reached_mde(ratios, alpha=alpha),
        baseline=timings["baseline"],
        candidate=timings["candidate"],
        examples_per_slot_count=examples_count,
        passes_per_slot_count=passes,
        dropped_unit_ratio=dropped_ratio(lives),
        latency_target_sec=plan.target_sec,
        lives=tuple(lives),
        visible_effect_ratio=_visible(ratios, alpha=alpha, tolerance=tolerance),
    )


def evidence_paths(comparison: Comparison) -> tuple[EvidencePath, ...]:
    """Return how every scenario came to its verdict, life by life."""
    return tuple(_evidence_path(one, comparison) for one in comparison.scenarios if one.log_ratios)


def _evidence_path(one: ScenarioComparison, comparison: Comparison) -> EvidencePath:
    ratios, alpha = np.asarray(one.log_ratios), comparison.alpha_ratio
    intervals = [decision.speedup_interval(ratios[: count + 1].tolist(), alpha=alpha) for count in range(ratios.size)]
    tolerance_log = math.log1p(comparison.tolerance_ratio)
    return EvidencePath(
        scenario=one.scenario,
        verdict=one.verdict,
        alpha_ratio=alpha,
        tolerance_ratio=comparison.tolerance_ratio,
        mde_ratio=comparison.mde_ratio,
        speedup_ratios=tuple(np.exp(-ratios).tolist()),
        estimate_ratios=tuple(interval.estimate for interval in intervals),
        low_ratios=tuple(interval.low for interval in intervals),
        high_ratios=tuple(interval.high for interval in intervals),
        log_evidence_faster=tuple(decision.evidence_path(-ratios, tolerance_log).tolist()),
        log_evidence_slower=tuple(decision.evidence_path(ratios, tolerance_log).tolist()),
        log_evidence_no_regression=tuple(decision.evidence_path(-ratios, -math.log1p(comparison.mde_ratio)).tolist()),
    )


def _arm_timing(
    scenario: Scenario,
    timed: Sequence[Unit],
    arm: ArmName,
    *,
    passes_count: int,
    examples_count: int,
    tokens_count: int | None,
) -> ArmTiming:
    slots = arm_slots(timed, arm)
    values_sec = [scenario.value_sec(unit.samples_sec[place]) for unit, place in slots]
    calls_sec = [value for unit, place in slots for value in unit.samples_sec[place]]
    joules = [unit.energy_joule[place] if unit.energy_joule else None for unit, place in slots]
    known_joule = [value for value in joules if value is not None]
    # A median call and a request stand for themselves; a total is shared by its passes.
    slot_sec = statistics.median(values_sec) / (passes_count if scenario.statistic == "total" else 1)
    pass_sec = {
        "p50": statistics.median(sum(unit.samples_sec[place]) for unit, place in slots) / passes_count,
        "total": slot_sec,
        "sec_per_request": slot_sec * examples_count,
    }[scenario.statistic]
    return ArmTiming(
        slot_sec=slot_sec,
        examples_per_sec=examples_count / pass_sec,
        tokens_per_sec=tokens_count / pass_sec if tokens_count else None,
        joule_per_example=(
            statistics.median(known_joule) / (examples_count * passes_count)
            if known_joule and not scenario.is_server
            else None
        ),
        percentiles=percentiles(calls_sec) if scenario.statistic == "p50" else (),
    )


def is_disturbed(one: ScenarioComparison) -> bool:
    """Say whether so many units were dropped that no verdict is given."""
    return one.dropped_unit_ratio > DROPPED_LIMIT_RATIO


def disturbed_sentence(one: ScenarioComparison) -> str:
    """Say how much was dropped, and the most frequent reason."""
    reasons = [re.split(r"[,\s]*\d", unit.dropped)[0] for life in one.lives for unit in life.units if unit.dropped]
    return (
        f"{units.percent(one.dropped_unit_ratio, 0)} of the units of {one.scenario} were disturbed (mostly "
        f"{statistics.mode(reasons)}) and do not count; measure again on a quieter machine."
    )


def _visible(ratios: Sequence[float], *, alpha: float, tolerance: float) -> float | None:
    if len(ratios) < decision.least_lives(alpha):
        return None
    sd_ratio = planning.robust_sd(ratios)
    return planning.visible_effect(sd_ratio=sd_ratio, lives_count=len(ratios), alpha=alpha, tolerance=tolerance)
