"""The model as it is and as it was made: baseline, ceilings, build, prediction."""

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

    @property
    def product_op_per_sec(self) -> dict[str, float]:
        """The peak of matrix products by precision, without those that torch cannot multiply in here."""
        rates = {"fp32": self.fp32_flop_per_sec, "bf16": self.bf16_flop_per_sec, "int8": self.int8_op_per_sec}
        return {precision: rate for precision, rate in rates.items() if rate is not None}


@dataclasses.dataclass(frozen=True)
class CeilingRepeat:
    """
    How far a measurement lay from what was known before, as a share of the larger: 0.03 is three hundredths.

    None where only one of both has the rate.
    """

    thread_count: int
    fp32_repeat_ratio: float | None
    bf16_repeat_ratio: float | None
    int8_repeat_ratio: float | None
    copy_repeat_ratio: float | None

    @property
    def worst_repeat_ratio(self) -> float:
        """The largest of them."""
        ratios = (self.fp32_repeat_ratio, self.bf16_repeat_ratio, self.int8_repeat_ratio, self.copy_repeat_ratio)
        return max((ratio for ratio in ratios if ratio is not None), default=0.0)


@dataclasses.dataclass(frozen=True)
class MachineCeilings(Record):
    """
    The ceilings of one hardware class for several thread counts, fewest first.

    ``repeats`` has an entry for each count that was measured again; the larger of two rates is the ceiling.
    """

    schema: ClassVar[str] = "perflib/machine-ceilings/1"

    hardware_class: str
    torch_version: str
    ceilings: tuple[Ceilings, ...]
    repeats: tuple[CeilingRepeat, ...]


@dataclasses.dataclass(frozen=True)
class Baseline(Record):
    """
    The model as it is today: identity, size, speed and quality.

    ``unit`` is what one example is called; ``accuracy_ratio`` has a 95 % Wilson interval. ``load_sec`` is what a fresh
    process needs to import the engine and to load the model.
    """

    schema: ClassVar[str] = "perflib/baseline/2"

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
    load_sec: float
    data_notes: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class Prediction(Record):
    """What an experiment expected, written down before it was measured."""

    schema: ClassVar[str] = "perflib/prediction/1"

    name: str
    predicted_speedup_ratio: float
    because: str
