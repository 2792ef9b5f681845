"""
How much faster is B than A, and how sure can this machine be?

`compare` lives pairs until every scenario is decided or the agreed number of lives is spent, and keeps every sample.
`measure_alone` describes the baseline by itself, for people; no verdict rests on it.
"""

import random
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from perflib.artifact import Artifact
from perflib.benchmarking import decision
from perflib.benchmarking.arm import Arm, load_request
from perflib.benchmarking.lives import LivedLife, Pair, StartArm, live, slot_values_sec
from perflib.benchmarking.scenarios import Scenario
from perflib.encoded import Encoded
from perflib.errors import MeasurementError
from perflib.progress import Progress
from perflib.results import Comparison, Life, ScenarioComparison, ScenarioMeasurement


def compare(
    baseline: Artifact,
    candidate: Artifact,
    encoded: Encoded,
    *,
    name: str,
    scenarios: Sequence[Scenario],
    hardware_class: str,
    max_lives_count: int = 6,
    units_per_life_count: int = 2,
    alpha: float = 0.05,
    tolerance: float = 0.005,
    mde: float = 0.03,
    seed: int = 0,
    start_arm: StartArm = Arm,
    clock: Callable[[], float] = time.perf_counter,
) -> Comparison:
    """
    Compare two artifacts on the same inputs in fresh, interleaved, coin-ordered processes.

    Args:
        baseline: The arm A.
        candidate: The arm B.
        encoded: The inputs that scenarios sample from, usually the test split.
        name: The candidate's name in the record.
        scenarios: From `get_scenarios`.
        hardware_class: Of the machine card, so that the record says where it holds.
        max_lives_count: Lives at most; fewer are lived when every scenario is decided before.
        units_per_life_count: Quads per scenario and life.
        alpha: Bound on a wrong verdict, each way.
        tolerance: A change of at most this share is none.
        mde: PASS rules out slowdowns from this share on.
        seed: Of the coins.
        start_arm: Starts a worker; tests pass their own.
        clock: Monotonic seconds.

    Raises:
        MeasurementError: If the lives asked for could not carry any verdict, or an arm fails.
    """
    fewest = decision.fewest_lives(alpha)
    if max_lives_count < fewest:
        raise MeasurementError(
            f"{max_lives_count} lives cannot decide anything at alpha {alpha:g}; allow at least {fewest}."
        )
    start_sec, coins, passes = clock(), random.Random(seed), dict[str, int]()
    lived: list[LivedLife] = []
    with tempfile.TemporaryDirectory(prefix="perflib-") as folder, Progress(f"timing {name}", max_lives_count) as bar:
        pair = Pair(baseline.folder, candidate.folder, encoded.write(Path(folder) / "inputs.npz"))
        for _ in range(max_lives_count):
            one = live(
                pair, scenarios, units_count=units_per_life_count, passes=passes, coins=coins, start_arm=start_arm
            )
            lived.append(one)
            bar.step(_progress_note(lived, scenarios))
            if len(lived) >= fewest and _all_decided(lived, scenarios, alpha=alpha, tolerance=tolerance, mde=mde):
                break
    peaks = {arm: _peaks(lived, arm) for arm in ("baseline", "candidate")}
    return Comparison(
        name=name,
        baseline_sha256=baseline.digest,
        candidate_sha256=candidate.digest,
        inputs_sha256=encoded.digest(),
        hardware_class=hardware_class,
        is_baseline_runtime=candidate.spec.runtime == baseline.spec.runtime,
        seed=seed,
        alpha_ratio=alpha,
        tolerance_ratio=tolerance,
        mde_ratio=mde,
        scenarios=tuple(
            summarise(
                scenario,
                [one.by_scenario[scenario.name] for one in lived],
                examples_count=min(scenario.example_count, len(encoded)),
                passes_count=passes[scenario.name],
                alpha=alpha,
                tolerance=tolerance,
                mde=mde,
            )
            for scenario in scenarios
        ),
        baseline_peak_rss_bytes=peaks["baseline"][0],
        candidate_peak_rss_bytes=peaks["candidate"][0],
        baseline_peak_device_bytes=peaks["baseline"][1],
        candidate_peak_device_bytes=peaks["candidate"][1],
        wall_sec=clock() - start_sec,
    )


def summarise(
    scenario: Scenario,
    lives: Sequence[Life],
    *,
    examples_count: int,
    passes_count: int,
    alpha: float,
    tolerance: float,
    mde: float,
) -> ScenarioComparison:
    """Turn the lives of one scenario into its verdict, estimate, interval and evidence."""
    ratios = [one.log_ratio for one in lives]
    pooled: dict[str, list[float]] = {"baseline": [], "candidate": []}
    for one in lives:
        for unit in one.units:
            for arm, values in slot_values_sec(unit, scenario).items():
                pooled[arm] += values
    # A single call's median stands for itself; a total is shared by its passes.
    per = 1 if scenario.statistic == "p50" else passes_count
    return ScenarioComparison(
        scenario=scenario.name,
        statistic=scenario.statistic,
        verdict=decision.first_verdict(ratios, alpha=alpha, tolerance=tolerance, mde=mde),
        speedup_ratio=decision.speedup_interval(ratios, alpha=alpha),
        evidence=float(np.exp(max(decision.log_evidence([-ratio for ratio in ratios], np.log1p(tolerance)), -700.0))),
        reached_mde_ratio=decision.reached_mde(ratios, alpha=alpha),
        baseline_sec=statistics.median(pooled["baseline"]) / per,
        candidate_sec=statistics.median(pooled["candidate"]) / per,
        examples_per_slot_count=examples_count,
        passes_per_slot_count=passes_count,
        lives=tuple(lives),
    )


def measure_alone(
    artifact: Artifact,
    encoded: Encoded,
    *,
    scenarios: Sequence[Scenario],
    lives_count: int = 3,
    slots_per_life_count: int = 2,
    start_arm: StartArm = Arm,
) -> tuple[tuple[ScenarioMeasurement, ...], int | None]:
    """
    Time one artifact by itself in fresh processes.

    Returns:
        One measurement per scenario, with every sample, and the largest peak memory of a worker in bytes.
    """
    samples: dict[str, list[tuple[float, ...]]] = {scenario.name: [] for scenario in scenarios}
    peaks_bytes: list[int] = []
    with tempfile.TemporaryDirectory(prefix="perflib-") as folder, Progress("timing baseline", lives_count) as bar:
        inputs = encoded.write(Path(folder) / "inputs.npz")
        for _ in range(lives_count):
            arm = start_arm("baseline")
            try:
                arm.ask(load_request(artifact.folder, inputs))
                for scenario in scenarios:
                    arm.ask({"op": "warm", "scenario": scenario.name})
                    request = {"op": "slot", "scenario": scenario.name, "passes": 1}
                    slots = [arm.ask(request)["samples_sec"] for _ in range(slots_per_life_count)]
                    samples[scenario.name].append(tuple(value for slot in slots for value in slot))
                peaks_bytes.append(arm.ask({"op": "stop"})["peak_rss_bytes"])
            finally:
                arm.close()
            bar.step()
    return tuple(_describe(scenario, samples[scenario.name], len(encoded)) for scenario in scenarios), max(
        peaks_bytes, default=None
    )


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


def _all_decided(
    lived: Sequence[LivedLife], scenarios: Sequence[Scenario], *, alpha: float, tolerance: float, mde: float
) -> bool:
    return all(
        decision.first_verdict(
            [one.by_scenario[scenario.name].log_ratio for one in lived], alpha=alpha, tolerance=tolerance, mde=mde
        )
        != "INCONCLUSIVE"
        for scenario in scenarios
    )


def _progress_note(lived: Sequence[LivedLife], scenarios: Sequence[Scenario]) -> str:
    parts = []
    for scenario in scenarios:
        ratios = [one.by_scenario[scenario.name].log_ratio for one in lived]
        parts.append(f"{scenario.name} {np.exp(-decision.hodges_lehmann(ratios)):.2f}×")
    return ", ".join(parts)


def _peaks(lived: Sequence[LivedLife], arm: str) -> tuple[int | None, int | None]:
    rss = [one.peaks[arm]["peak_rss_bytes"] for one in lived]
    device = [one.peaks[arm]["peak_device_bytes"] for one in lived if one.peaks[arm]["peak_device_bytes"] is not None]
    return max(rss, default=None), max(device, default=None)
