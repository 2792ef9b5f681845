"""One artifact by itself, described for people: no verdict rests on it."""

import dataclasses
import random
import statistics
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from perflib.artifact import Artifact
from perflib.benchmarking import protocol
from perflib.benchmarking.arm import ArmName, Asked, Launcher, StartArm, ask_slot, checked, load_request
from perflib.benchmarking.lives import draw_chance, draw_cpus
from perflib.benchmarking.scenarios import Scenario, SlotPlan
from perflib.benchmarking.warmup import plan_slots, slot_request, warm_up
from perflib.encoded import Encoded
from perflib.progress import Progress
from perflib.results import ScenarioMeasurement


@dataclasses.dataclass(frozen=True)
class Alone:
    """
    One artifact by itself.

    ``scenarios`` hold every sample, ``peak_rss_bytes`` is the largest of the workers (None where none could tell), and
    ``load_sec`` the median of what they needed to import the engine and load the model.
    """

    scenarios: tuple[ScenarioMeasurement, ...]
    peak_rss_bytes: int | None
    load_sec: float


def measure_alone(
    artifact: Artifact,
    encoded: Encoded,
    *,
    scenarios: Sequence[Scenario],
    lives_count: int = 3,
    slots_per_life_count: int = 2,
    seed: int = 0,
    start_arm: StartArm | None = None,
) -> Alone:
    """Time one artifact by itself in fresh processes, on the CPU cores and in the order that coins give."""
    samples: dict[str, list[tuple[float, ...]]] = {scenario.name: [] for scenario in scenarios}
    peaks_bytes: list[int | None] = []
    loads_sec: list[float] = []
    start, coins, plans = start_arm or Launcher(), random.Random(seed), dict[str, SlotPlan]()
    with tempfile.TemporaryDirectory(prefix="perflib-") as folder, Progress("timing baseline", lives_count) as bar:
        inputs = encoded.write(Path(folder) / "inputs.npz")
        for _ in range(lives_count):
            arm = start("baseline", **draw_chance(coins))
            try:
                request = load_request(artifact.folder, inputs, list(samples), draw_cpus(coins))
                loads_sec.append(checked(protocol.loaded, arm, request).load_sec)
                for scenario in scenarios:
                    slots = _slots(arm, scenario, plans, count=slots_per_life_count)
                    samples[scenario.name].append(tuple(value for slot in slots for value in slot.samples_sec))
                peaks_bytes.append(checked(protocol.stopped, arm, {"op": "stop"}).peak_rss_bytes)
            finally:
                arm.close()
            bar.step()
    measured = tuple(_describe(scenario, samples[scenario.name], len(encoded)) for scenario in scenarios)
    peak_bytes = max((peak for peak in peaks_bytes if peak is not None), default=None)
    return Alone(measured, peak_bytes, statistics.median(loads_sec))


def _slots(arm: Asked, scenario: Scenario, plans: dict[str, SlotPlan], *, count: int) -> list[protocol.Slot]:
    """Warm one arm and time it; the first life's plan is kept in ``plans`` for the later ones."""
    arms: dict[ArmName, Asked] = {"baseline": arm}
    if scenario.name not in plans:
        plans[scenario.name] = plan_slots(arms, scenario, ["baseline"], target_sec=None)
    warm_up(arms, scenario, ["baseline"], passes_count=plans[scenario.name].passes_count)
    return [ask_slot(arm, slot_request(scenario, plans[scenario.name])) for _ in range(count)]


def _describe(scenario: Scenario, samples_sec: list[tuple[float, ...]], available_count: int) -> ScenarioMeasurement:
    pooled = np.concatenate([np.asarray(one) for one in samples_sec])
    per_sample_count = 1 if scenario.is_one_by_one else min(scenario.example_count, available_count)
    return ScenarioMeasurement(
        scenario=scenario.name,
        samples_sec=tuple(samples_sec),
        examples_per_sample_count=per_sample_count,
        p50_sec=float(np.median(pooled)),
        p95_sec=float(np.quantile(pooled, 0.95)),
        examples_per_sec=float(per_sample_count * pooled.size / pooled.sum()),
    )
