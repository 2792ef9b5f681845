"""
Lives: pairs of fresh processes in which baseline and candidate are timed in quads, in the order that coins give.

A life is the unit of evidence, because much of what makes one timing differ from the next is decided when a process
starts: where its memory lies, which hash seed it drew, what else the machine was doing.
Units inside a life only sharpen the one value that it contributes.
"""

import dataclasses
import math
import random
import statistics
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from perflib.benchmarking.arm import Arm, Asked, load_request
from perflib.benchmarking.scenarios import Scenario
from perflib.results import Life, Unit

MIN_SLOT_SEC = 0.05
_WARM_ROUNDS = 3

StartArm = Callable[[str], Arm]


@dataclasses.dataclass(frozen=True)
class Pair:
    """What is compared: two artifact folders and one file of inputs."""

    baseline: Path
    candidate: Path
    inputs: Path

    def folder(self, arm: str) -> Path:
        """Return the artifact of ``baseline`` or ``candidate``."""
        return self.baseline if arm == "baseline" else self.candidate


@dataclasses.dataclass(frozen=True)
class LivedLife:
    """One life in every scenario, and the memory that each arm took."""

    by_scenario: Mapping[str, Life]
    peaks: Mapping[str, Mapping[str, Any]]


def live(
    pair: Pair,
    scenarios: Sequence[Scenario],
    *,
    units_count: int,
    passes: dict[str, int],
    coins: random.Random,
    start_arm: StartArm = Arm,
) -> LivedLife:
    """
    Start both arms, warm them, time every scenario in quads, and end them.

    Args:
        pair: What is compared.
        scenarios: In the order they are timed.
        units_count: Quads per scenario.
        passes: Passes per slot by scenario; a missing one is calibrated here and kept, so that all lives agree.
        coins: Tosses the order; the seed is in the record.
        start_arm: Starts a worker by label; tests pass their own.

    Raises:
        MeasurementError: If an arm dies, hangs or refuses; both are ended.
    """
    first: Literal["baseline", "candidate"] = coins.choice(("baseline", "candidate"))
    names = ("baseline", "candidate") if first == "baseline" else ("candidate", "baseline")
    arms: dict[str, Arm] = {}
    try:
        for name in names:
            arms[name] = start_arm(name)
        for name in names:
            arms[name].send(load_request(pair.folder(name), pair.inputs))
        for name in names:
            arms[name].receive()
        done = {}
        for scenario in scenarios:
            warm_up(arms, scenario, names, passes)
            units = tuple(
                time_unit(arms, scenario, passes_count=passes[scenario.name], coins=coins) for _ in range(units_count)
            )
            done[scenario.name] = Life(first, units, statistics.fmean(log_ratio(unit, scenario) for unit in units))
        return LivedLife(done, {name: arms[name].ask({"op": "stop"}) for name in names})
    finally:
        for arm in arms.values():
            arm.close()


def warm_up(arms: Mapping[str, Asked], scenario: Scenario, names: Sequence[str], passes: dict[str, int]) -> None:
    """Run both arms past their first calls, and find the number of passes that makes a slot long enough."""
    fastest_sec = math.inf
    for _ in range(_WARM_ROUNDS):
        for name in names:
            arms[name].ask({"op": "warm", "scenario": scenario.name})
    if scenario.name not in passes:
        for name in names:
            samples_sec = arms[name].ask({"op": "slot", "scenario": scenario.name, "passes": 1})["samples_sec"]
            fastest_sec = min(fastest_sec, sum(samples_sec))
        passes[scenario.name] = max(1, math.ceil(MIN_SLOT_SEC / fastest_sec))


def time_unit(arms: Mapping[str, Asked], scenario: Scenario, *, passes_count: int, coins: random.Random) -> Unit:
    """Time one quad in the order that a coin gives; ABBA and BAAB cancel linear drift."""
    order: Literal["ABBA", "BAAB"] = coins.choice(("ABBA", "BAAB"))
    request = {"op": "slot", "scenario": scenario.name, "passes": passes_count}
    slots = tuple(
        tuple(arms["baseline" if letter == "A" else "candidate"].ask(request)["samples_sec"]) for letter in order
    )
    return Unit(order, slots)


def slot_values_sec(unit: Unit, scenario: Scenario) -> dict[str, list[float]]:
    """Return the slot values of each arm in one unit, in seconds."""
    values: dict[str, list[float]] = {"baseline": [], "candidate": []}
    for letter, samples_sec in zip(unit.order, unit.samples_sec, strict=True):
        values["baseline" if letter == "A" else "candidate"].append(scenario.value_sec(samples_sec))
    return values


def log_ratio(unit: Unit, scenario: Scenario) -> float:
    """Return mean ln(candidate) - mean ln(baseline) over the slots of one unit."""
    means = {arm: statistics.fmean(map(math.log, values)) for arm, values in slot_values_sec(unit, scenario).items()}
    return means["candidate"] - means["baseline"]
