"""
Before anything counts: how long a slot has to be, and when an arm is warm.

First calls pay for caches, compilers and clocks that later ones find ready, so they are asked for and thrown away until
the times are level. Where they never are, that is said, not guessed away.
"""

import math
import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from perflib.benchmarking.arm import ArmName, Asked, ask_slot
from perflib.benchmarking.decision import hodges_lehmann_shift
from perflib.benchmarking.protocol import Slot
from perflib.benchmarking.scenarios import Scenario, SlotPlan
from perflib.errors import MeasurementError

MIN_SLOT_SEC = 0.05
STEADY_SHIFT_RATIO = 0.01
STEADY_SLOTS_COUNT = 5
MAX_WARMUP_SLOTS_COUNT = 20
# Where the search for a server's largest rate begins: one call after the other, as if nobody ever waited.
_START_RATE_RATIO = 1.0
_TARGET_RATIO = 5.0
_MAX_PASSES_COUNT = 100_000


def slot_request(scenario: Scenario, plan: SlotPlan) -> dict[str, Any]:
    """Return the request for one timed slot."""
    return {
        "op": "slot",
        "scenario": scenario.name,
        "passes": plan.passes_count,
        "target_sec": plan.target_sec,
        "start_rate_per_sec": plan.start_rate_per_sec,
    }


def plan_slots(
    arms: Mapping[ArmName, Asked], scenario: Scenario, names: Sequence[ArmName], *, target_sec: float | None
) -> SlotPlan:
    """
    Find the number of passes that makes the faster arm's slot long enough, or a server's target and first rate.

    Args:
        arms: Both arms, or the baseline alone.
        scenario: What is asked.
        names: In which order arms are asked.
        target_sec: A latency target that somebody asked for; None for five times the baseline's median call.

    Raises:
        MeasurementError: If a call is too short for any sensible number of passes.
    """
    warm = {"op": "warm", "scenario": scenario.name, "passes": 1}
    slots: dict[ArmName, Slot] = {}
    for name in names:
        ask_slot(arms[name], warm)
        slots[name] = ask_slot(arms[name], warm if scenario.is_server else slot_request(scenario, SlotPlan()))
    if scenario.is_server:
        call_sec = statistics.median(slots["baseline"].samples_sec)
        return SlotPlan(1, target_sec or _TARGET_RATIO * call_sec, _START_RATE_RATIO / call_sec)
    fastest_sec = min(sum(slot.samples_sec) for slot in slots.values())
    if fastest_sec * _MAX_PASSES_COUNT < MIN_SLOT_SEC:
        raise MeasurementError(
            f"one pass of {scenario.name} takes {fastest_sec:.3g} s, too short to fill slots of {MIN_SLOT_SEC:g} s; "
            "ask for more work in a call."
        )
    return SlotPlan(max(1, math.ceil(MIN_SLOT_SEC / fastest_sec)))


def warm_up(
    arms: Mapping[ArmName, Asked], scenario: Scenario, names: Sequence[ArmName], *, passes_count: int
) -> tuple[int, bool]:
    """
    Ask both arms in turn until each has had five level slots in a row, or twenty (or the scenario's own limit) were not
    enough.

    On a noisy machine two arms are seldom level in the same round, so one may have been so up to five rounds ago.

    Returns:
        Slots that each arm was given, and whether both were level. A false one is reported, not guessed away.
    """
    request = {"op": "warm", "scenario": scenario.name, "passes": passes_count}
    values: dict[ArmName, list[float]] = {name: [] for name in names}
    level_since: dict[ArmName, int] = {}
    max_count = scenario.max_warmup_slots_count or MAX_WARMUP_SLOTS_COUNT
    for count in range(1, max_count + 1):
        for name in names:
            # The median call also of a scenario that hands over everything at once: there it is the only call.
            values[name].append(math.log(statistics.median(ask_slot(arms[name], request).samples_sec)))
            if count >= STEADY_SLOTS_COUNT and is_level(values[name][-STEADY_SLOTS_COUNT:]):
                level_since[name] = count
        if all(count - level_since.get(name, -STEADY_SLOTS_COUNT) < STEADY_SLOTS_COUNT for name in names):
            return count, True
    return max_count, False


def is_level(logs: Sequence[float]) -> bool:
    """
    Say whether the later half of some slot values lies within 1 % of the earlier, by the Hodges-Lehmann shift.

    Example:
        >>> is_level([0.50, 0.30, 0.20, 0.20, 0.20]), is_level([0.201, 0.199, 0.20, 0.202, 0.20])
        (False, True)
    """
    half = len(logs) // 2
    return abs(hodges_lehmann_shift(logs[:half], logs[half:])) < math.log1p(STEADY_SHIFT_RATIO)
