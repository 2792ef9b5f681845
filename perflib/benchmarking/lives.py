"""
Lives: pairs of fresh processes in which baseline and candidate are timed in quads, in the order that coins give.

A life is the unit of evidence, because much of what makes one timing differ from the next is decided when a process
starts: where its memory lies, which hash seed it drew, what else the machine was doing.
Units inside a life only sharpen the one value that it contributes.
"""

import dataclasses
import math
import os
import random
import statistics
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Literal

from perflib.benchmarking import conditions, protocol
from perflib.benchmarking.arm import ArmName, Asked, StartArm, ask_slot, checked, load_request, received
from perflib.benchmarking.conditions import Quiet, Watch
from perflib.benchmarking.decision import hodges_lehmann
from perflib.benchmarking.protocol import Loaded, Stopped
from perflib.benchmarking.scenarios import Scenario, SlotPlan
from perflib.benchmarking.warmup import plan_slots, slot_request, warm_up
from perflib.errors import MeasurementError
from perflib.results import Life, LifeProcesses, Process, Unit

_MAX_HASH_SEED = 2**32 - 1
_PADDING_BYTES = 4096

ARMS: tuple[ArmName, ArmName] = ("baseline", "candidate")


@dataclasses.dataclass(frozen=True)
class Pair:
    """What is compared: two artifact folders and one file of inputs."""

    baseline: Path
    candidate: Path
    inputs: Path

    def folder(self, arm: ArmName) -> Path:
        """Return the artifact of ``baseline`` or ``candidate``."""
        return self.baseline if arm == "baseline" else self.candidate


@dataclasses.dataclass
class Agreed:
    """
    What lives have in common: slot plans, which the first one makes, and the quietest readings so far.

    ``target_sec`` is a latency target that somebody asked for.
    """

    target_sec: float | None = None
    plans: dict[str, SlotPlan] = dataclasses.field(default_factory=dict)
    quiet: dict[str, Quiet] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class LivedLife:
    """One life in every scenario, and what its processes were and took."""

    by_scenario: Mapping[str, Life]
    processes: LifeProcesses
    environments: Mapping[str, Loaded]


def live(
    pair: Pair,
    scenarios: Sequence[Scenario],
    *,
    units_count: int,
    agreed: Agreed,
    coins: random.Random,
    start_arm: StartArm,
    watch: Watch,
) -> LivedLife:
    """
    Start both arms, warm them to a steady state, time every scenario in quads, and end them.

    Args:
        pair: What is compared.
        scenarios: In the order they are timed.
        units_count: Quads per scenario.
        agreed: What the first life found out; filled here where it is empty, so that all lives agree.
        coins: Tosses every order and every seed; its own seed is in the record.
        start_arm: Starts a process.
        watch: Reads the machine around every unit.

    Raises:
        ArmError: If an arm dies, hangs, refuses or writes something else; both are ended.
        MeasurementError: If the two arms' answers differ in shape.
    """
    first: ArmName = coins.choice(ARMS)
    names: tuple[ArmName, ArmName] = ARMS if first == "baseline" else ARMS[::-1]
    arms: dict[ArmName, Asked] = {}
    drawn: dict[ArmName, dict[str, int]] = {}
    cpus = draw_cpus(coins)
    try:
        for name in names:
            drawn[name] = draw_chance(coins)
            arms[name] = start_arm(name, **drawn[name])
        loaded = _load(arms, names, pair, [scenario.name for scenario in scenarios], cpus)
        done = {
            scenario.name: _live_in(
                scenario, arms, names, units_count=units_count, agreed=agreed, coins=coins, watch=watch
            )
            for scenario in scenarios
        }
        ended = {name: checked(protocol.stopped, arms[name], {"op": "stop"}) for name in names}
    finally:
        for arm in arms.values():
            arm.close()
    processes = {
        name: _process(is_first=name == first, drawn=drawn[name], loaded=loaded[name], ended=ended[name])
        for name in names
    }
    pair_of = LifeProcesses(processes["baseline"], processes["candidate"], tuple(cpus))
    return LivedLife(done, pair_of, dict(loaded.items()))


def draw_chance(coins: random.Random) -> dict[str, int]:
    """Draw what a process gets by chance: a hash seed, and padding that moves what lies below its environment."""
    return {"hash_seed": coins.randint(0, _MAX_HASH_SEED), "padding_bytes": coins.randrange(_PADDING_BYTES)}


def draw_cpus(coins: random.Random) -> list[int]:
    """
    Shuffle the processors that we may use; an arm of fewer threads takes the first of them, and so does the other arm.

    Left to itself the scheduler may keep one arm on a processor with a busy neighbour for the whole life.
    """
    cpus = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
    coins.shuffle(cpus)
    return cpus


def time_unit(
    arms: Mapping[ArmName, Asked], scenario: Scenario, plan: SlotPlan, *, coins: random.Random, watch: Watch
) -> Unit:
    """Time one quad in the order that a coin gives; ABBA and BAAB cancel linear drift."""
    order: Literal["ABBA", "BAAB"] = coins.choice(("ABBA", "BAAB"))
    request = slot_request(scenario, plan)
    before = watch.snapshot()
    slots = [ask_slot(arms["baseline" if letter == "A" else "candidate"], request) for letter in order]
    counts = sorted({len(slot.samples_sec) for slot in slots})
    if len(counts) > 1:
        raise MeasurementError(
            f"slots of {scenario.name} hold {counts[0]} and {counts[-1]} times; both arms have to time the same calls."
        )
    return Unit(
        order=order,
        samples_sec=tuple(slot.samples_sec for slot in slots),
        readings=watch.readings(before, slots),
        energy_joule=tuple(slot.energy_joule for slot in slots),
    )


def arm_slots(units: Iterable[Unit], arm: ArmName) -> list[tuple[Unit, int]]:
    """Return the slots of one arm: each unit with the slot's place in it."""
    letter = "A" if arm == "baseline" else "B"
    return [(unit, place) for unit in units for place, owner in enumerate(unit.order) if owner == letter]


def slot_values_sec(unit: Unit, scenario: Scenario) -> dict[str, list[float]]:
    """Return the slot values of each arm in one unit, in seconds."""
    return {
        arm: [scenario.value_sec(unit.samples_sec[place]) for unit, place in arm_slots([unit], arm)] for arm in ARMS
    }


def log_ratio(unit: Unit, scenario: Scenario) -> float:
    """Return mean ln(candidate) - mean ln(baseline) over the slots of one unit."""
    means = {arm: statistics.fmean(map(math.log, values)) for arm, values in slot_values_sec(unit, scenario).items()}
    return means["candidate"] - means["baseline"]


def life_log_ratio(units: Sequence[Unit], scenario: Scenario) -> float | None:
    """
    Return the one value of a life: of one or two counted units their mean, of more their Hodges-Lehmann estimate.

    A machine that changes its speed in the middle of a quad spoils that quad; a life of many is not spoilt by one.
    Swapping the arms flips the sign of the value, whatever the units are, so the coin stays fair.
    """
    values = [log_ratio(unit, scenario) for unit in units if unit.dropped is None]
    return hodges_lehmann(values) if values else None


def _live_in(
    scenario: Scenario,
    arms: Mapping[ArmName, Asked],
    names: tuple[ArmName, ArmName],
    *,
    units_count: int,
    agreed: Agreed,
    coins: random.Random,
    watch: Watch,
) -> Life:
    if scenario.name not in agreed.plans:
        agreed.plans[scenario.name] = plan_slots(arms, scenario, names, target_sec=agreed.target_sec)
    plan = agreed.plans[scenario.name]
    warmup_count, is_steady = warm_up(arms, scenario, names, passes_count=plan.passes_count)
    if scenario.is_server:
        # Waiting requests make batches, of shapes that single calls have not met; some engines compile each of them.
        for name in names:
            ask_slot(arms[name], slot_request(scenario, plan))
    count = min(units_count, scenario.max_units_per_life_count)
    units = [time_unit(arms, scenario, plan, coins=coins, watch=watch) for _ in range(count)]
    agreed.quiet[scenario.name] = conditions.quieter(
        agreed.quiet.get(scenario.name), [unit.readings for unit in units if unit.readings]
    )
    units = [_gated(unit, agreed.quiet[scenario.name]) for unit in units]
    return Life(names[0], tuple(units), life_log_ratio(units, scenario), warmup_count, is_steady)


def _gated(unit: Unit, quiet: Quiet) -> Unit:
    reason = conditions.drop_reason(unit.readings, quiet) if unit.readings else None
    return dataclasses.replace(unit, dropped=reason)


def _load(
    arms: Mapping[ArmName, Asked], names: Sequence[ArmName], pair: Pair, scenarios: list[str], cpus: list[int]
) -> dict[ArmName, Loaded]:
    for name in names:
        arms[name].send(load_request(pair.folder(name), pair.inputs, scenarios, cpus))
    loaded = {name: received(protocol.loaded, arms[name]) for name in names}
    shapes = {name: loaded[name].answer_shape for name in names}
    if shapes["baseline"] != shapes["candidate"]:
        raise MeasurementError(
            f"one answer of the baseline has shape {shapes['baseline']}, of the candidate {shapes['candidate']}; "
            "compare models that answer the same question."
        )
    return loaded


def _process(*, is_first: bool, drawn: Mapping[str, int], loaded: Loaded, ended: Stopped) -> Process:
    return Process(
        is_first=is_first,
        hash_seed=drawn["hash_seed"],
        padding_bytes=drawn["padding_bytes"],
        load_sec=loaded.load_sec,
        peak_rss_bytes=ended.peak_rss_bytes,
        peak_device_bytes=ended.peak_device_bytes,
    )
