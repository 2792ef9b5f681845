"""Records of a run that never was: every shape that tables, figures, sentences and verdicts read."""

import dataclasses
import math
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np

from perflib.benchmarking import decision
from perflib.results import (
    ArmEnvironment,
    ArmTiming,
    Baseline,
    Build,
    Calibration,
    CalibrationCell,
    Candidate,
    Ceilings,
    Comparison,
    Estimate,
    EvidencePath,
    Gate,
    Interval,
    Life,
    LifeProcesses,
    LowerBound,
    MetricComparison,
    NoiseStudy,
    OperatorTime,
    Percentile,
    Prediction,
    Process,
    Profile,
    Readings,
    RuleScore,
    ScenarioComparison,
    ScenarioMeasurement,
    SliceResult,
    Unit,
    Validation,
)

SHA = "0" * 64


def timing(pass_sec: float = 0.03, *, is_calls: bool = True, **change: Any) -> ArmTiming:
    """Return an arm whose pass takes so long, with the percentiles of a few hundred calls: p99 is not supported."""
    calls = tuple(
        Percentile(share, factor * pass_sec, 0.98 * factor * pass_sec, factor * pass_sec, 320)
        for share, factor in ((0.5, 1.0), (0.95, 1.08))
    )
    examples_count = 1 if is_calls else 32
    one = ArmTiming(
        slot_sec=pass_sec,
        examples_per_sec=examples_count / pass_sec,
        tokens_per_sec=24 * examples_count / pass_sec,
        joule_per_example=None,
        percentiles=calls if is_calls else (),
    )
    return dataclasses.replace(one, **change)


def life(
    log_ratio: float = -1.0986, *, baseline_sec: float = 0.03, is_calls: bool = True, calls_count: int = 8
) -> Life:
    """Return a life of two quads in which the candidate's calls cost so much more."""
    spread = [0.98 + 0.01 * (call % 5) + (0.08 if call % 8 == 7 else 0.0) for call in range(calls_count)]
    calls = {
        "A": tuple(baseline_sec * factor for factor in (spread if is_calls else [1.0])),
        "B": tuple(baseline_sec * math.exp(log_ratio) * factor for factor in (spread if is_calls else [1.0])),
    }
    readings = Readings(wall_sec=1.2, other_load_core_count=0.1, psi_cpu_ratio=0.01, involuntary_switch_count=3)
    orders: tuple[Literal["ABBA"], Literal["BAAB"]] = ("ABBA", "BAAB")
    units = tuple(Unit(order, tuple(calls[letter] for letter in order), readings) for order in orders)
    return Life("baseline", units, log_ratio, warmup_slot_count=5)


def scenario(name: str = "single", verdict: Any = "IMPROVEMENT", **change: Any) -> ScenarioComparison:
    """Return five lives of one scenario, all of them close to its speed-up."""
    is_calls = name == "single"
    speedup_ratio: Interval = change.get("speedup_ratio", Interval(3.0, 2.8, 3.2, 0.9))
    logs = [-math.log(speedup_ratio.estimate) + shift for shift in (0.0, 0.01, -0.02, -0.01, 0.02)]
    one = ScenarioComparison(
        scenario=name,
        statistic="p50" if is_calls else "total",
        verdict=verdict,
        speedup_ratio=speedup_ratio,
        evidence=31.5,
        reached_mde_ratio=0.0,
        baseline=timing(0.03, is_calls=is_calls),
        candidate=timing(0.03 / speedup_ratio.estimate, is_calls=is_calls),
        examples_per_slot_count=32,
        passes_per_slot_count=1,
        dropped_unit_ratio=0.0,
        latency_target_sec=None,
        lives=tuple(life(log, is_calls=is_calls) for log in logs),
    )
    return dataclasses.replace(one, **change)


def unbounded(name: str = "single", verdict: Any = "INCONCLUSIVE") -> ScenarioComparison:
    """Return a scenario of too few lives for any bound."""
    one = scenario(name, verdict, speedup_ratio=Interval(1.2, None, None, 0.9))
    return dataclasses.replace(one, reached_mde_ratio=None, lives=one.lives[:1])


def comparison(*scenarios: ScenarioComparison, name: str = "int8", **change: Any) -> Comparison:
    """Return a comparison; without scenarios, one that is faster in both."""
    shown = scenarios or (scenario("single"), scenario("offline"))
    process = Process(
        is_first=True, hash_seed=7, padding_bytes=512, load_sec=0.8, peak_rss_bytes=1_000_000, peak_device_bytes=None
    )
    pair = LifeProcesses(process, dataclasses.replace(process, is_first=False, hash_seed=8, peak_rss_bytes=None))
    environment = ArmEnvironment(("python", "-m", "worker"), "3.11.7", {"torch": "2.13.0"})
    one = Comparison(
        name=name,
        baseline_sha256=SHA,
        candidate_sha256=SHA,
        inputs_sha256=SHA,
        hardware_class="abc",
        is_baseline_runtime=True,
        seed=0,
        alpha_ratio=0.05,
        tolerance_ratio=0.005,
        mde_ratio=0.03,
        stop="decided",
        stop_sentence="Every scenario is decided.",
        marks=(),
        scenarios=shown,
        metrics=(metric(), metric("load_sec", ratio=Interval(1.01, None, None, 0.9), finding="no claim")),
        processes=(pair,) * max(len(one.lives) for one in shown),
        baseline_environment=environment,
        candidate_environment=environment,
        parent_core_ratio=0.01,
        wall_sec=1.0,
    )
    return dataclasses.replace(one, **change)


def metric(name: str = "peak_rss_bytes", **change: Any) -> MetricComparison:
    """Return a secondary metric of which the candidate needs less."""
    one = MetricComparison(name, Interval(0.5, 0.45, 0.55, 0.9), evidence_less=64.0, evidence_more=1e-9, finding="less")
    return dataclasses.replace(one, **change)


def evidence_path(
    logs: Sequence[float] = (-1.1, -1.09, -1.08, -1.12, -1.1), name: str = "single", *, alpha_ratio: float = 0.05
) -> EvidencePath:
    """Return how these log-ratios of lives came to their verdict, by the decision's own mathematics."""
    tolerance, mde = 0.005, 0.03
    so_far = [decision.speedup_interval(logs[:count], alpha=alpha_ratio) for count in range(1, len(logs) + 1)]
    costs = np.asarray(logs, float)
    return EvidencePath(
        scenario=name,
        verdict=decision.first_verdict(logs, alpha=alpha_ratio, tolerance=tolerance, mde=mde),
        alpha_ratio=alpha_ratio,
        tolerance_ratio=tolerance,
        mde_ratio=mde,
        speedup_ratios=tuple(math.exp(-log) for log in logs),
        estimate_ratios=tuple(one.estimate for one in so_far),
        low_ratios=tuple(one.low for one in so_far),
        high_ratios=tuple(one.high for one in so_far),
        log_evidence_faster=tuple(decision.evidence_path(-costs, math.log1p(tolerance)).tolist()),
        log_evidence_slower=tuple(decision.evidence_path(costs, math.log1p(tolerance)).tolist()),
        log_evidence_no_regression=tuple(decision.evidence_path(-costs, -math.log1p(mde)).tolist()),
    )


def noise_study(**change: Any) -> NoiseStudy:
    """Return a study of our rule and two rivals on two kinds of noise."""
    found = {
        "perflib": ((0.001, 0.9, 0.99, 1.0), (0.0, 0.7, 0.95, 1.0)),
        "asv": ((0.02, 0.0, 0.1, 0.8), (0.3, 0.2, 0.4, 0.9)),
        "pyperf": ((0.4, 0.8, 0.9, 1.0), (0.6, 0.9, 1.0, 1.0)),
    }
    scores = tuple(
        RuleScore(rule, noise, effect, said, max(said - 0.01, 0.0), min(said + 0.01, 1.0), 1000, 9 if effect else None)
        for rule, by_noise in found.items()
        for noise, shares in zip(("iid", "recorded"), by_noise, strict=True)
        for effect, said in zip((0.0, 0.03, 0.05, 0.10), shares, strict=True)
    )
    longer = RuleScore("perflib", "iid", 0.0, 0.002, 0.001, 0.004, 1000, None)
    one = NoiseStudy(
        seed=0,
        alpha_ratio=0.01,
        run_slot_count=240,
        lives_count=24,
        any_time_lives_count=60,
        scores=scores,
        any_time=(longer,),
    )
    return dataclasses.replace(one, **change)


def calibration(**change: Any) -> Calibration:
    """Return real comparisons: one alarm in two hundred, and slowdowns that were found more often the larger."""
    cells = (
        CalibrationCell("none", 0.0, 200, 1, 0, 150, 49, 14.0, 0.01, ("aa-017",)),
        CalibrationCell("spin", 0.03, 30, 24, 0, 0, 6, 12.0, 0.01, ()),
        CalibrationCell("spin", 0.10, 30, 30, 0, 0, 0, 8.0, 0.01, ()),
        CalibrationCell("work", 0.05, 30, 29, 0, 1, 0, 8.5, 0.01, ()),
    )
    one = Calibration(
        hardware_class="abc",
        alpha_ratio=0.01,
        tolerance_ratio=0.005,
        mde_ratio=0.03,
        max_lives_count=24,
        cells=cells,
        wall_sec=5000.0,
    )
    return dataclasses.replace(one, **change)


def gate(verdict: Any = "PASS", **change: Any) -> Gate:
    """Return one guardrail."""
    return dataclasses.replace(
        Gate("A2", "non-inferiority", verdict, -0.002, 0.01, f"the {verdict} sentence", "house default"), **change
    )


def validation(*verdicts: Any, gates: tuple[Gate, ...] | None = None, verdict: Any = None) -> Validation:
    """Return a validation with one gate per verdict."""
    gates = tuple(gate(one) for one in verdicts) if gates is None else gates
    return Validation(
        name="int8",
        baseline_sha256=SHA,
        candidate_sha256=SHA,
        guardrails_sha256=SHA,
        profile="lossy",
        split_sha256=SHA,
        example_count=872,
        baseline_accuracy_ratio=0.85,
        candidate_accuracy_ratio=0.8443,
        accuracy_change_ratio=Interval(-0.0057, -0.0136, None, 0.95),
        negative_flip_count=9,
        positive_flip_count=4,
        changed_label_count=13,
        non_finite_count=0,
        slices=(part("short"), part("long")),
        gates=gates,
        verdict=verdict or "PASS",
    )


def part(value: str, **change: Any) -> SliceResult:
    """Return one slice."""
    return dataclasses.replace(SliceResult("length", value, 400, 0.85, 0.81, 0.88, 0.84, -0.01, -0.02), **change)


def build(**change: Any) -> Build:
    """Return a build that made the model four times smaller."""
    one = Build(
        name="int8",
        recipe=({"int8": {}},),
        artifact_sha256=SHA,
        parent_sha256=SHA,
        size_bytes=25_000_000,
        parent_size_bytes=100_000_000,
        build_sec=12.0,
        proofs=({"stage": "int8", "low_precision_share_ratio": 1.0, "linear_layer_count": 37},),
    )
    return dataclasses.replace(one, **change)


def baseline(**change: Any) -> Baseline:
    """Return the description of a baseline."""
    one = Baseline(
        workload="reviews-tiny",
        unit="texts",
        artifact_sha256=SHA,
        size_bytes=100_000_000,
        parameter_count=25_000_000,
        test_count=872,
        accuracy_ratio=Interval(0.85, 0.82, 0.87, 0.95),
        slices=(part("short"), part("long")),
        scenarios=(
            ScenarioMeasurement("single", ((0.03, 0.031), (0.029, 0.05)), 1, 0.03, 0.049, 33.0),
            ScenarioMeasurement("offline", ((2.0, 2.1),), 128, 2.05, 2.1, 62.0),
        ),
        whole_split_sec=14.0,
        peak_rss_bytes=None,
        data_notes=(),
    )
    return dataclasses.replace(one, **change)


def profile() -> Profile:
    """Return a profile of two operators."""
    return Profile(
        name="baseline",
        artifact_sha256=SHA,
        device="cpu",
        batch_example_count=32,
        batch_token_count=1024,
        real_token_count=512,
        active_step_count=2,
        wall_sec=1.0,
        operators=(
            OperatorTime("aten::addmm", 74, 0.6, 0.7, 0.75, 10**10),
            OperatorTime("aten::<gelu>", 12, 0.2, 0.2, 0.25, 0),
        ),
        trace_folder="traces",
        trace_files=("a.json",),
    )


def ceilings(**change: Any) -> Ceilings:
    """Return the ceilings of a machine."""
    return dataclasses.replace(Ceilings(2, 1e11, 3e11, 6e11, 2e10), **change)


def prediction(speedup_ratio: float = 3.0) -> Prediction:
    """Return a prediction."""
    return Prediction("int8", speedup_ratio, "a quarter of the bytes")


def candidate(name: str = "int8", verdict: Any = "approved", **change: Any) -> Candidate:
    """Return one line of a run's summary."""
    one = Candidate(
        name=name,
        verdict=verdict,
        reasons=("because of this",),
        single_p50_speedup_ratio=Estimate(3.0, 2.8, 3.2),
        offline_throughput_speedup_ratio=Estimate(2.0, 1.9, 2.1),
        size_ratio=0.25,
        accuracy_change=LowerBound(-0.0057, -0.0136),
    )
    return dataclasses.replace(one, **change)
