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
    BuildStep,
    Calibration,
    CalibrationCell,
    Candidate,
    Ceilings,
    Change,
    ClassResult,
    Comparison,
    Confidence,
    Distances,
    Estimate,
    EvidencePath,
    GapResult,
    Gate,
    Identity,
    Interval,
    Invariance,
    KindTime,
    Ladder,
    LadderTotal,
    Life,
    LifeProcesses,
    LowerBound,
    MemoryPoint,
    MetricComparison,
    ModuleTime,
    NoiseStudy,
    OperatorTime,
    Overlap,
    Percentile,
    Prediction,
    ProbeResult,
    Process,
    Profile,
    Readings,
    ReliabilityBin,
    Rival,
    RuleScore,
    Rung,
    RungSpeed,
    ScenarioComparison,
    ScenarioMeasurement,
    ShapeTime,
    SliceResult,
    Unit,
    Validation,
)
from perflib.results.ladder import CategoryFactor

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
    one = Gate(
        id="A2",
        name="non-inferiority",
        verdict=verdict,
        measured=-0.002,
        low=None,
        high=None,
        limit=0.01,
        warn_limit=None,
        sentence=f"the {verdict} sentence",
        source="house default",
    )
    return dataclasses.replace(one, **change)


def validation(*verdicts: Any, gates: tuple[Gate, ...] | None = None, verdict: Any = None) -> Validation:
    """Return a validation with one gate per verdict, of answers that were only compared: no texts, no probes."""
    gates = tuple(gate(one) for one in verdicts) if gates is None else gates
    return Validation(
        name="int8",
        profile="lossy",
        guardrails_sha256=SHA,
        split_sha256=SHA,
        seed=0,
        identity=identity(),
        example_count=872,
        baseline_accuracy_ratio=0.85,
        candidate_accuracy_ratio=0.8443,
        accuracy_change_ratio=Interval(-0.0057, -0.0136, None, 0.95),
        negative_flip_count=9,
        positive_flip_count=4,
        changed_label_count=13,
        tie_count=1,
        negative_tie_count=1,
        relative_negative_flip_ratio=0.08,
        mcnemar_p=0.267,
        needed_example_count=922,
        non_finite_count=0,
        worst_sum_error_ratio=1e-7,
        cut_ratio=0.0,
        long_ratio=0.02,
        distances=None,
        baseline_confidence=None,
        candidate_confidence=None,
        differences=(),
        slices=(part("short"), part("long")),
        classes=(),
        gaps=(),
        probes=(),
        invariance=(),
        overlaps=(),
        churn=None,
        absent_suites=(),
        notes=(),
        gates=gates,
        verdict=verdict or "PASS",
    )


def full_validation(**change: Any) -> Validation:
    """Return a validation in which everything was asked and every gate passes."""
    one = dataclasses.replace(
        validation(gates=passing_gates()),
        distances=Distances(0.985, 0.97, 0.004, 0.0008, 0.06, 0.3, 1.2, 0.9987, 25.9),
        baseline_confidence=confidence(),
        candidate_confidence=confidence(shift=0.03),
        differences=(change_of("ece", 0.003, 0.012), change_of("brier", 0.001, 0.007)),
        slices=(*slices_of_texts(), *margin_slices()),
        classes=(
            ClassResult(
                "negative", 430, change_of("recall", -0.004, 0.012), change_of("rate", -0.002, 0.006), is_gated=True
            ),
            ClassResult(
                "positive", 442, change_of("recall", -0.007, 0.012), change_of("rate", 0.002, 0.006), is_gated=True
            ),
        ),
        gaps=(GapResult("domain", ("tweets", "movies"), change_of("gap", 0.004, 0.011), None),),
        probes=(
            probe("typo"),
            probe("homoglyph", is_gated=False),
            probe(
                "gender",
                suite="counterfactual",
                probe_count=1200,
                token_gap_change_ratio=0.002,
                baseline_mean_gap_ratio=0.011,
                candidate_mean_gap_ratio=0.012,
            ),
            probe("negation", suite="behaviour", probe_count=80),
        ),
        invariance=(Invariance("asked again", 1024, 0, 0.0), Invariance("batches of 8", 1024, 1, 0.0004)),
        overlaps=(Overlap("train", 20_000, 0, 3, ("almost the same",)),),
        notes=("The candidate was not timed.",),
    )
    return dataclasses.replace(one, **change)


def identity(**change: Any) -> Identity:
    """Return one model, one input and one machine throughout."""
    one = Identity(
        baseline_sha256=SHA,
        candidate_sha256=SHA,
        built_sha256=SHA,
        timed_baseline_sha256=SHA,
        timed_candidate_sha256=SHA,
        baseline_inputs_sha256=SHA,
        candidate_inputs_sha256=SHA,
        timed_inputs_sha256=SHA,
        hardware_class="abc",
        timed_hardware_class="abc",
        isa_flags=("avx2", "avx512_vnni"),
    )
    return dataclasses.replace(one, **change)


def change_of(name: str, estimate: float, half_width: float = 0.01) -> Change:
    """Return a change with bounds equally far on both sides."""
    return Change(name, estimate, estimate - half_width, estimate + half_width, 0.95)


def confidence(*, shift: float = 0.01) -> Confidence:
    """Return a model of two classes that is so much more confident than right; the last bin holds most examples."""
    bins = []
    for place in range(15):
        low, high = place / 15, (place + 1) / 15
        count = 0 if high < 0.5 else 20 * (place - 6) ** 2
        sure = (low + high) / 2
        bins.append(ReliabilityBin(low, high, count, sure if count else None, sure - shift if count else None))
    return Confidence(abs(shift), 0.9 * abs(shift), abs(shift), brier_score=0.21, nll_nat=0.33, bins=tuple(bins))


# Gate id -> name, measured, low, high, limit, warn limit: a lossy candidate that keeps every limit.
_PASSING: dict[str, tuple[str, float, float | None, float | None, float, float | None]] = {
    "A1": ("accuracy retention", 0.9933, None, None, 0.99, None),
    "A2": ("non-inferiority", -0.0082, None, None, 0.01, None),
    "A3-negative": ("negative flips", 0.0061, None, None, 0.01, 0.02),
    "A3-all": ("all flips", 0.0149, None, None, 0.02, None),
    "A4-label-loyalty": ("label loyalty", 0.9851, None, None, 0.98, None),
    "A4-kl-mean": ("mean divergence", 0.0042, None, None, 0.01, None),
    "A4-kl-p99": ("divergence of the worst hundredth", 0.061, None, None, 0.2, None),
    "A4-cosine": ("angle of the logits", 0.99871, None, None, 0.99, None),
    "A5-ece": ("calibration error", -0.0031, -0.012, 0.0072, 0.01, 0.02),
    "A5-brier": ("Brier score", 0.0011, -0.004, 0.0061, 0.01, None),
    "A6-recall": ("recall of each class", 0.0068, -0.004, 0.019, 0.02, None),
    "A6-rate": ("how often each class is the answer", 0.0021, None, None, 0.01, None),
    "A7-drop": ("accuracy in every slice", 0.0121, None, None, 0.03, None),
    "A7-bound": ("what no slice can have lost", 0.0384, None, None, 0.05, None),
    "A7-worst": ("the worst slice", 0.004, None, None, 0.03, None),
    "A8-gap": ("gap between groups", 0.0043, -0.006, 0.0155, 0.02, None),
    "A8-odds": ("equalised odds", -0.002, -0.014, 0.0101, 0.02, None),
    "A9": ("small changes of the text", 0.005, -0.0075, 0.018, 0.01, 0.03),
    "A10-flips": ("another person, same sentence", 0.0008, -0.001, 0.0031, 0.005, None),
    "A10-gap": ("another person, probability", 0.002, None, None, 0.01, None),
    "A10-mean": ("favour of one group", 0.001, None, None, 0.01, None),
    "A11": ("what the model has to be able to do", 0.0, -0.01, 0.013, 0.02, None),
    "A12-finite": ("finite answers", 0.0, None, None, 0.0, None),
    "A12-sums": ("probabilities sum to one", 1.2e-7, None, None, 1e-5, None),
    "A12-again": ("the same answer again", 0.0, None, None, 0.0, None),
    "A12-batch": ("other batches", 0.00098, None, None, 0.001, 0.005),
    "A12-padding": ("more padding", 0.0, None, None, 0.001, 0.005),
    "A13": ("the model that was timed", 0.0, None, None, 0.0, None),
    "A14": ("test texts not used before", 0.0, None, None, 0.0, None),
    "A15": ("the machine that it runs on", 0.0, None, None, 0.0, None),
    "A16": ("inputs not cut", 0.0, None, None, 0.0, None),
}


def passing_gates(**changes: dict[str, Any]) -> tuple[Gate, ...]:
    """
    Return one gate of every id, all of them passed.

    Args:
        changes: Fields to replace, by id with `_` for `-`: `A5_ece={"verdict": "WARN"}`.
    """
    fields = ("name", "measured", "low", "high", "limit", "warn_limit")
    return tuple(
        gate(id=key, **dict(zip(fields, row, strict=True)) | changes.get(key.replace("-", "_"), {}))
        for key, row in _PASSING.items()
    )


def slices_of_texts() -> tuple[SliceResult, ...]:
    """Return slices of three kinds: gated, too small to judge, and found by a search that looked."""
    gated: dict[str, Any] = {"is_gated": True}
    return (
        flips("negation", "yes", 412, 11, 3, **gated),
        flips("negation", "no", 460, 6, 7, **gated),
        flips("domain", "movies", 500, 4, 9, **gated),
        flips("domain", "tweets", 372, 13, 1, **gated),
        flips("question", "no", 800, 0, 0, **gated),
        flips("question", "yes", 18, 2, 0),
        flips("found by a tree", "negation is yes and length is 24 to 61 tokens", 96, 7, 0, is_exploratory=True),
    )


def margin_slices() -> tuple[SliceResult, ...]:
    """Return ten parts by the baseline's margin: the less certain it was, the more flips; the last is its surest."""
    counts = ((9, 6), (3, 2), (2, 1), (1, 1), (0, 1), (1, 0), (0, 0), (0, 0), (0, 0), (0, 0))
    names = ("01 least sure", *(f"{place:02d}" for place in range(2, 10)), "10 surest")
    return tuple(
        flips("baseline margin", name, 87, *pair, is_gated=True) for name, pair in zip(names, counts, strict=True)
    )


def flips(
    column: str, value: str, example_count: int, negative_count: int, positive_count: int, **change: Any
) -> SliceResult:
    """Return a slice with so many flips; a gated one has bounds two standard errors away."""
    estimate = (positive_count - negative_count) / example_count
    half = 2 * math.sqrt(negative_count + positive_count + 1) / example_count
    is_gated = change.get("is_gated", False)
    return part(
        value,
        **{
            "column": column,
            "example_count": example_count,
            "candidate_accuracy_ratio": 0.85 + estimate,
            "change_ratio": estimate,
            "change_low_ratio": estimate - 0.8 * half,
            "negative_flip_count": negative_count,
            "positive_flip_count": positive_count,
            "holm_low_ratio": estimate - half if is_gated else None,
            "holm_high_ratio": estimate + half if is_gated else None,
            **change,
        },
    )


def probe(kind: str = "typo", **change: Any) -> ProbeResult:
    """Return a kind of probe that the candidate fails a little more often."""
    one = ProbeResult(
        suite="perturbation",
        kind=kind,
        version=1,
        probe_count=400,
        baseline_fail_count=12,
        candidate_fail_count=14,
        increase=change_of(kind, 0.005, 0.0125),
        is_gated=True,
    )
    return dataclasses.replace(one, **change)


def part(value: str, **change: Any) -> SliceResult:
    """Return one slice."""
    return dataclasses.replace(SliceResult("length", value, 400, 0.85, 0.81, 0.88, 0.84, -0.01, -0.02), **change)


def build(**change: Any) -> Build:
    """Return a build that made the model four times smaller."""
    one = Build(
        name="int8",
        recipe=({"quantize": {}},),
        artifact_sha256=SHA,
        parent_sha256=SHA,
        size_bytes=25_000_000,
        parent_size_bytes=100_000_000,
        build_sec=12.0,
        steps=(
            BuildStep(
                stage="quantize",
                artifact_sha256="b" * 64,
                size_bytes=25_000_000,
                build_sec=12.0,
                is_cached=False,
                proof={"low_precision_share_ratio": 1.0, "linear_layer_count": 37},
            ),
        ),
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
        load_sec=1.5,
        data_notes=(),
    )
    return dataclasses.replace(one, **change)


def profile() -> Profile:
    """Return a profile of two operators."""
    return Profile(
        name="baseline",
        scenario="offline",
        artifact_sha256=SHA,
        engine="torch",
        precision="fp32",
        device="cpu",
        source="torch.profiler",
        thread_count=2,
        calls_per_step_count=1,
        step_example_count=32,
        step_token_count=1024,
        real_token_count=512,
        active_step_count=2,
        wall_sec=1.0,
        unwatched_sec=0.9,
        operators=(
            OperatorTime("aten::addmm", "matrix", 74, 0.6, 0.7, 0.75, 10**10, 10**8),
            OperatorTime("aten::<gelu>", "elementwise", 12, 0.2, 0.2, 0.25, 0, 10**7),
        ),
        shapes=(
            ShapeTime("aten::addmm", "matrix", "[[4], [8, 2], [2, 4]]", "fp32", 74, 0.6, 10**10, 10**8),
            ShapeTime("aten::<gelu>", "elementwise", "[[8, 4]]", "fp32", 12, 0.2, 0, 10**7),
        ),
        modules=(ModuleTime("encoder.<layer>.0", 2, 0.5, 0.7), ModuleTime("model", 2, 0.1, 0.9)),
        kinds=(
            KindTime("matrix", 0.6, 0.6),
            KindTime("elementwise", 0.2, 0.2),
            KindTime("framework", 0.15, 0.15),
            KindTime("idle", 0.05, 0.05),
        ),
        memory=(MemoryPoint(0.0, 10**6), MemoryPoint(0.5, 3 * 10**6), MemoryPoint(0.9, 10**6)),
        peak_allocated_bytes=3 * 10**6,
        trace_folder="traces",
        trace_files=("a.json",),
    )


def ceilings(**change: Any) -> Ceilings:
    """Return the ceilings of a machine."""
    return dataclasses.replace(Ceilings(2, 1e11, 3e11, 6e11, 2e10), **change)


def ladder(**change: Any) -> Ladder:
    """Return a recipe of two steps, 2× and 3× in both scenarios, that give 6.6× together, and two rivals."""
    rungs = tuple(
        Rung(
            category=category,
            stage=stage,
            line={stage: {"layers": 3}},
            is_of_recipe=True,
            artifact_sha256=SHA,
            size_bytes=size_bytes,
            build_sec=60.0,
            timed_in="ladder-best",
            speeds=tuple(
                RungSpeed(name, Interval(factor, 0.9 * factor, 1.1 * factor, 0.9), "IMPROVEMENT", 6)
                for name in ("single", "offline")
            ),
        )
        for category, stage, factor, size_bytes in (
            ("structure", "distil", 2.0, 60_000_000),
            ("runtime change and precision", "quantize", 3.0, 15_000_000),
        )
    )
    slow = scenario("offline", speedup_ratio=Interval(2.5, 2.2, 2.8, 0.9))
    one = Ladder(
        name="best",
        baseline_sha256=SHA,
        candidate_sha256=SHA,
        baseline_size_bytes=100_000_000,
        rungs=rungs,
        totals=tuple(
            LadderTotal(
                scenario=name,
                total_ratio=Interval(6.6, 6.1, 7.0, 0.9),
                product_ratio=Interval(6.0, 5.17, 6.87, 0.9),
                unattributed_ratio=Interval(1.1, 0.94, 1.29, 0.9),
                is_consistent=True,
                categories=tuple(
                    CategoryFactor(rung.category, next(one.factor_ratio for one in rung.speeds if one.scenario == name))
                    for rung in rungs
                ),
                lives_count=5,
            )
            for name in ("single", "offline")
        ),
        rivals=(
            Rival("onnx", is_approved=True, comparison=comparison(scenario("single"), slow, name="best against onnx")),
            Rival("other", is_approved=False, comparison=comparison(name="best against other")),
        ),
        absent_rivals=("third",),
        comparisons=(comparison(name="distil"), comparison(name="quantize")),
    )
    return dataclasses.replace(one, **change)


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
