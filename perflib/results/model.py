"""The model as it is and as it was made: baseline, ceilings, profile, build, prediction."""

import dataclasses
from typing import Any, ClassVar

from perflib.records import Record
from perflib.results.answers import SliceResult
from perflib.results.speed import Interval


@dataclasses.dataclass(frozen=True)
class BuildStep:
    """One stage of a recipe: what it left, what it cost once, and the proof that it did what its name says."""

    stage: str
    artifact_sha256: str
    size_bytes: int
    build_sec: float
    is_cached: bool
    proof: dict[str, Any]


@dataclasses.dataclass(frozen=True)
class Build(Record):
    """
    What it took to make a candidate.

    ``build_sec`` is the one-time cost of all steps, those included that were found in the cache.
    """

    schema: ClassVar[str] = "perflib/build/2"

    name: str
    recipe: tuple[dict[str, Any], ...]
    artifact_sha256: str
    parent_sha256: str
    size_bytes: int
    parent_size_bytes: int
    build_sec: float
    steps: tuple[BuildStep, ...]

    @property
    def proofs(self) -> tuple[dict[str, Any], ...]:
        """The proofs of all steps, each with its stage's name."""
        return tuple({"stage": step.stage, **step.proof} for step in self.steps)


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
