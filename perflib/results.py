"""
The shapes of everything a run says: frozen, plain, in base units, unknown as None.

The parts fill them, the figures, the report and the governance rooms read them; none of those needs the part itself.
"""

import dataclasses
from typing import Any, ClassVar, Literal

from perflib.records import Record

SpeedVerdict = Literal["IMPROVEMENT", "PASS", "REGRESSION", "INCONCLUSIVE"]
GateVerdict = Literal["PASS", "WARN", "FAIL", "INCONCLUSIVE"]
CandidateVerdict = Literal["approved", "quarantined", "undecided", "failed"]


@dataclasses.dataclass(frozen=True)
class Interval:
    """An estimate with its bounds; a bound is None until the data can carry it. ``level_ratio`` is the coverage."""

    estimate: float
    low: float | None
    high: float | None
    level_ratio: float


@dataclasses.dataclass(frozen=True)
class Unit:
    """
    Four slots, ``ABBA`` or ``BAAB`` as a coin fell (A is the baseline).

    ``samples_sec`` has one tuple per slot in run order, each with every call's seconds.
    """

    order: Literal["ABBA", "BAAB"]
    samples_sec: tuple[tuple[float, ...], ...]


@dataclasses.dataclass(frozen=True)
class Life:
    """
    One pair of fresh processes, the unit of evidence.

    ``log_ratio`` is the mean over its units of ln(candidate) - ln(baseline) of the slot values: positive costs more.
    ``first_loaded`` is the arm that a coin gave to the process that was started first.
    """

    first_loaded: Literal["baseline", "candidate"]
    units: tuple[Unit, ...]
    log_ratio: float


@dataclasses.dataclass(frozen=True)
class ScenarioComparison:
    """
    Baseline against candidate in one scenario, summary beside raw samples.

    ``speedup_ratio`` is baseline time over candidate time; above 1 the candidate is faster.
    ``evidence`` is E for "the candidate is faster": 1/alpha decides, values from independent days may be multiplied.
    ``reached_mde_ratio`` is the smallest slowdown that this run rules out, as a share; None where it rules out none.
    """

    scenario: str
    statistic: str
    verdict: SpeedVerdict
    speedup_ratio: Interval
    evidence: float
    reached_mde_ratio: float | None
    baseline_sec: float
    candidate_sec: float
    examples_per_slot_count: int
    passes_per_slot_count: int
    lives: tuple[Life, ...]


@dataclasses.dataclass(frozen=True)
class Comparison(Record):
    """How much faster a candidate is than the baseline, with what was tossed, timed and assumed."""

    schema: ClassVar[str] = "perflib/comparison/1"

    name: str
    baseline_sha256: str
    candidate_sha256: str
    inputs_sha256: str
    hardware_class: str
    is_baseline_runtime: bool
    seed: int
    alpha_ratio: float
    tolerance_ratio: float
    mde_ratio: float
    scenarios: tuple[ScenarioComparison, ...]
    baseline_peak_rss_bytes: int | None
    candidate_peak_rss_bytes: int | None
    baseline_peak_device_bytes: int | None
    candidate_peak_device_bytes: int | None
    wall_sec: float


@dataclasses.dataclass(frozen=True)
class SliceResult:
    """
    Accuracy of both models on one part of the test split.

    The baseline's accuracy has a 95 % Wilson interval, the change a one-sided 95 % lower bound of Tango.
    """

    column: str
    value: str
    example_count: int
    baseline_accuracy_ratio: float
    baseline_low_ratio: float
    baseline_high_ratio: float
    candidate_accuracy_ratio: float
    change_ratio: float
    change_low_ratio: float


@dataclasses.dataclass(frozen=True)
class Gate:
    """One guardrail, the number it looked at, its limit, where the limit comes from, and what follows."""

    id: str
    name: str
    verdict: GateVerdict
    measured: float | None
    limit: float
    sentence: str
    source: str


@dataclasses.dataclass(frozen=True)
class Validation(Record):
    """
    Whether a candidate is still right, on the whole test split, example by example.

    ``accuracy_change_ratio`` has the one-sided 95 % lower bound of Tango in ``low`` and no upper bound.
    """

    schema: ClassVar[str] = "perflib/validation/1"

    name: str
    baseline_sha256: str
    candidate_sha256: str
    guardrails_sha256: str
    profile: str
    split_sha256: str
    example_count: int
    baseline_accuracy_ratio: float
    candidate_accuracy_ratio: float
    accuracy_change_ratio: Interval
    negative_flip_count: int
    positive_flip_count: int
    changed_label_count: int
    non_finite_count: int
    slices: tuple[SliceResult, ...]
    gates: tuple[Gate, ...]
    verdict: GateVerdict


@dataclasses.dataclass(frozen=True)
class Build(Record):
    """What it took to make a candidate, and the proof that each stage did what its name says."""

    schema: ClassVar[str] = "perflib/build/1"

    name: str
    recipe: tuple[dict[str, Any], ...]
    artifact_sha256: str
    parent_sha256: str
    size_bytes: int
    parent_size_bytes: int
    build_sec: float
    proofs: tuple[dict[str, Any], ...]


@dataclasses.dataclass(frozen=True)
class ScenarioMeasurement:
    """The baseline alone in one scenario: every call of every life, one inner tuple per life."""

    scenario: str
    samples_sec: tuple[tuple[float, ...], ...]
    examples_per_sample_count: int
    p50_sec: float
    p95_sec: float
    examples_per_sec: float


@dataclasses.dataclass(frozen=True)
class Ceilings(Record):
    """What this machine could do at best, measured now; None where torch has no such path."""

    schema: ClassVar[str] = "perflib/ceilings/1"

    thread_count: int
    fp32_flop_per_sec: float
    bf16_flop_per_sec: float | None
    int8_op_per_sec: float | None
    copy_bytes_per_sec: float


@dataclasses.dataclass(frozen=True)
class Baseline(Record):
    """
    The model as it is today: identity, size, speed and quality.

    ``unit`` is what one example is called; ``accuracy_ratio`` has a 95 % Wilson interval.
    """

    schema: ClassVar[str] = "perflib/baseline/1"

    workload: str
    unit: str
    artifact_sha256: str
    size_bytes: int
    parameter_count: int
    test_count: int
    accuracy_ratio: Interval
    slices: tuple[SliceResult, ...]
    scenarios: tuple[ScenarioMeasurement, ...]
    whole_split_sec: float
    peak_rss_bytes: int | None
    data_notes: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class OperatorTime:
    """One operator of a profile, over all its calls; self time is without the operators it calls."""

    operator: str
    call_count: int
    self_sec: float
    total_sec: float
    self_share_ratio: float
    flop_count: int


@dataclasses.dataclass(frozen=True)
class Profile(Record):
    """
    Where the time of a model goes, by operator; the trace lies beside it for TensorBoard.

    ``batch_token_count`` includes padding, ``real_token_count`` does not; both are the example count without tokens.
    """

    schema: ClassVar[str] = "perflib/profile/1"

    name: str
    artifact_sha256: str
    device: str
    batch_example_count: int
    batch_token_count: int
    real_token_count: int
    active_step_count: int
    wall_sec: float
    operators: tuple[OperatorTime, ...]
    trace_folder: str
    trace_files: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class Prediction(Record):
    """What an experiment expected, written down before it was measured."""

    schema: ClassVar[str] = "perflib/prediction/1"

    name: str
    predicted_speedup_ratio: float
    because: str


@dataclasses.dataclass(frozen=True)
class Failure(Record):
    """A part of a run that could not be done, in one sentence."""

    schema: ClassVar[str] = "perflib/failure/1"

    name: str
    reason: str
    sentence: str


@dataclasses.dataclass(frozen=True)
class Estimate:
    """An estimate with bounds as `run.json` shows it; a bound is None until the data can carry it."""

    estimate: float
    low: float | None
    high: float | None


@dataclasses.dataclass(frozen=True)
class LowerBound:
    """An estimate with its one-sided 95 % lower bound."""

    estimate: float
    low: float | None


@dataclasses.dataclass(frozen=True)
class Candidate:
    """One line of a run's summary: what a CI job or a stakeholder needs to decide."""

    name: str
    verdict: CandidateVerdict
    reasons: tuple[str, ...]
    single_p50_speedup_ratio: Estimate | None
    offline_throughput_speedup_ratio: Estimate | None
    size_ratio: float | None
    accuracy_change: LowerBound | None


@dataclasses.dataclass(frozen=True)
class Step:
    """One executed notebook of a run; the digest covers everything that it read."""

    name: str
    notebook: str
    status: Literal["done", "failed", "running"]
    reason: str | None
    inputs_sha256: str
    wall_sec: float | None
    is_modified: bool


@dataclasses.dataclass(frozen=True)
class RunSummary(Record):
    """
    `run.json`: what was asked, on which machine, what came out.

    ``status`` is one of running, done, failed, interrupted; ``exit_code`` is None while it runs.
    """

    schema: ClassVar[str] = "perflib/run/1"

    run_id: str
    ulid: str
    status: Literal["running", "done", "failed", "interrupted"]
    reason: str | None
    exit_code: int | None
    commit: str
    started: str
    wall_sec: float | None
    params_name: str
    params: dict[str, Any]
    params_sha256: str
    guardrails_sha256: str
    code_sha256: str
    machine: dict[str, Any]
    steps: tuple[Step, ...]
    candidates: tuple[Candidate, ...]
