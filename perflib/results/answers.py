"""Whether a candidate is still right: gates, slices and the validation of a whole split."""

import dataclasses
from typing import ClassVar, Literal

from perflib.records import Record
from perflib.results.speed import Interval

GateVerdict = Literal["PASS", "WARN", "FAIL", "INCONCLUSIVE"]


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
