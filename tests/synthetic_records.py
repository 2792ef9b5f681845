"""Records of a run that never was: every shape that tables, figures, sentences and verdicts read."""

import dataclasses
from typing import Any

from perflib.results import (
    Baseline,
    Build,
    Candidate,
    Ceilings,
    Comparison,
    Estimate,
    Gate,
    Interval,
    Life,
    LowerBound,
    OperatorTime,
    Prediction,
    Profile,
    ScenarioComparison,
    ScenarioMeasurement,
    SliceResult,
    Unit,
    Validation,
)

SHA = "0" * 64


def scenario(name: str = "single", verdict: Any = "IMPROVEMENT", **change: Any) -> ScenarioComparison:
    """Return five lives of one scenario."""
    life = Life("baseline", (Unit("ABBA", ((0.03,), (0.01,), (0.01,), (0.03,))),), -1.0986)
    one = ScenarioComparison(
        scenario=name,
        statistic="p50" if name == "single" else "total",
        verdict=verdict,
        speedup_ratio=Interval(3.0, 2.8, 3.2, 0.9),
        evidence=31.5,
        reached_mde_ratio=0.0,
        baseline_sec=0.03,
        candidate_sec=0.01,
        examples_per_slot_count=32,
        passes_per_slot_count=1,
        lives=(life,) * 5,
    )
    return dataclasses.replace(one, **change)


def unbounded(name: str = "single", verdict: Any = "INCONCLUSIVE") -> ScenarioComparison:
    """Return a scenario of too few lives for any bound."""
    one = scenario(name, verdict)
    return dataclasses.replace(
        one, speedup_ratio=Interval(1.2, None, None, 0.9), reached_mde_ratio=None, lives=one.lives[:1]
    )


def comparison(*scenarios: ScenarioComparison, name: str = "int8") -> Comparison:
    """Return a comparison; without scenarios, one that is faster in both."""
    return Comparison(
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
        scenarios=scenarios or (scenario("single"), scenario("offline")),
        baseline_peak_rss_bytes=1_000_000,
        candidate_peak_rss_bytes=None,
        baseline_peak_device_bytes=None,
        candidate_peak_device_bytes=None,
        wall_sec=1.0,
    )


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
