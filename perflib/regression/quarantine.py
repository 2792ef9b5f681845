"""
Whether a machine may speak: four rules over its canaries, and three clean ones in a row to be released.

A machine in quarantine still measures; its results are kept and marked, are no baseline for others, and page nobody.
"""

import math
import statistics
from collections.abc import Mapping, Sequence

from perflib import units
from perflib.benchmarking import planning
from perflib.benchmarking.decision import bounded_exp, log_evidence
from perflib.errors import ParameterError
from perflib.results.regression import Canary, Quarantine

SD_LIMIT_RATIO = 3.0
LEVEL_LIMIT_RATIO = 0.05
EVIDENCE_LIMIT = 100.0
# With fewer canaries a class is not known yet.
LEAST_PAST_COUNT = 5
CLEAN_COUNT = 3
# Of a confirmation, whose noise floor is shown.
_ALPHA_RATIO, _TOLERANCE_RATIO = 0.01, 0.005
_PATIENCE_PAIRS_COUNT = 30


def judge_machine(
    canaries: Sequence[Canary],
    *,
    past: Mapping[str, Sequence[float]],
    past_sd: Mapping[str, Sequence[float]],
    was_quarantined: bool,
    last_clean: Sequence[bool],
) -> Quarantine:
    """
    Hold the canaries of a machine against what its hardware class mostly was.

    It is not clean where (a) a canary varies more than three times as much as is usual for the class, (b) it is more
    than 5 % slower or faster than the class, (c) the machine held its clocks down, or (d) two equal arms differ.

    Args:
        canaries: Of this job.
        past: Levels of past canaries of the class, in seconds, by name; (b) needs five.
        past_sd: Their ``sd_ratio``, by name; (a) needs five.
        was_quarantined: Whether this machine was, after its last job.
        last_clean: Whether its earlier jobs found it clean, oldest first.

    Returns:
        Its state, with a reason for each rule that holds now; a machine that waits for its release has none.

    Raises:
        ParameterError: If there is no canary to judge by.
    """
    if not canaries:
        raise ParameterError("a machine is judged by its canaries and there are none; run at least one.")
    reasons = tuple(
        f"canary {one.name}: {reason}"
        for one in canaries
        for reason in (
            _varies(one, past_sd.get(one.name, ())),
            _moved(one, past.get(one.name, ())),
            _throttled(one),
            _differs(one),
        )
        if reason is not None
    )
    clean_count = 0
    for is_clean in reversed([*last_clean, not reasons]):
        if not is_clean:
            break
        clean_count += 1
    is_waiting = was_quarantined and clean_count < CLEAN_COUNT
    return Quarantine(is_quarantined=bool(reasons) or is_waiting, reasons=reasons, clean_count=clean_count)


def level_evidence(unit_levels_sec: Sequence[float], *, class_level_sec: float) -> float:
    """
    Return E for "this machine is more than 5 % off the level of its class", in the direction where it is larger.

    Each unit's level is tossed against the limit as a life is against a tolerance: were the level within the limit,
    units would lie on both sides of it.

    Args:
        unit_levels_sec: Of one canary.
        class_level_sec: The median of the class.

    Example:
        >>> level_evidence([1.06] * 8, class_level_sec=1.0) > 100 > level_evidence([1.055] * 8, class_level_sec=1.0)
        True
        >>> level_evidence([1.08, 1.02] * 4, class_level_sec=1.0) < 100
        True
    """
    logs = [math.log(level_sec / class_level_sec) for level_sec in unit_levels_sec]
    limit_log = math.log1p(LEVEL_LIMIT_RATIO)
    return max(bounded_exp(log_evidence(side, limit_log)) for side in (logs, [-log for log in logs]))


def noise_words(sd_ratio: float) -> str:
    """
    Say what a machine can see, in the unit that people plan with.

    Args:
        sd_ratio: Robust standard deviation of a pair's log-ratio.

    Example:
        >>> noise_words(0.025)
        'this machine can see 3 % in 15 pairs'
        >>> noise_words(0.9)
        'this machine can see no usual effect in 30 pairs'
    """
    needed = planning.visible_effects(sd_ratio=sd_ratio, alpha=_ALPHA_RATIO, tolerance=_TOLERANCE_RATIO)
    seen = {effect: count for effect, count in needed.items() if count <= _PATIENCE_PAIRS_COUNT}
    if not seen:
        return f"this machine can see no usual effect in {_PATIENCE_PAIRS_COUNT} pairs"
    smallest = min(seen)
    return f"this machine can see {units.percent(smallest, 0)} in {seen[smallest]} pairs"


def _varies(canary: Canary, past: Sequence[float]) -> str | None:
    if len(past) < LEAST_PAST_COUNT or canary.sd_ratio <= SD_LIMIT_RATIO * statistics.median(past):
        return None
    usual = units.percent(statistics.median(past), 2)
    return f"it varies by {units.percent(canary.sd_ratio, 2)} where {usual} is usual"


def _moved(canary: Canary, past: Sequence[float]) -> str | None:
    if len(past) < LEAST_PAST_COUNT:
        return None
    usual_sec = statistics.median(past)
    change = canary.level_sec / usual_sec - 1
    if level_evidence(canary.unit_levels_sec, class_level_sec=usual_sec) < EVIDENCE_LIMIT:
        return None
    return f"it takes {units.duration(canary.level_sec)} where {units.duration(usual_sec)} is usual ({change:+.0%})"


def _throttled(canary: Canary) -> str | None:
    if not canary.throttle_count:
        return None
    return f"the machine held its clocks down ({canary.throttle_count} events)"


def _differs(canary: Canary) -> str | None:
    if canary.evidence < EVIDENCE_LIMIT:
        return None
    return f"two equal arms differ (E = {canary.evidence:.0f})"
