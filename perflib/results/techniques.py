"""Techniques side by side: what each could give at most, what each gave, and what trying one out showed."""

import dataclasses
from typing import Literal

from perflib.results.model import Build
from perflib.results.runs import Candidate

Family = Literal["engine", "precision", "quantization", "structure", "serving", "combination", "other", "not built"]
FAMILIES: tuple[Family, ...] = (
    *("engine", "precision", "quantization", "structure", "serving", "combination", "other", "not built"),
)


@dataclasses.dataclass(frozen=True)
class UpperBound:
    """
    How many times as fast one technique could make one scenario, if all that it promises came true.

    ``because`` says what is assumed. A bound is a ceiling and no forecast: real kernels stay below it.
    """

    family: Family
    technique: str
    scenario: str
    bound_ratio: float
    because: str


@dataclasses.dataclass(frozen=True)
class TechniqueRow:
    """
    One candidate among the techniques.

    ``recipe`` is its recipe in words, ``why`` what its proofs and gates say of it, ``bound_ratio`` the most that the
    part which its technique speeds up could give in throughput; None where that is not known.
    """

    candidate: Candidate
    family: Family
    recipe: str
    why: str
    bound_ratio: float | None = None

    @property
    def name(self) -> str:
        """The candidate's name."""
        return self.candidate.name

    @property
    def offline_ratio(self) -> float | None:
        """The speed-up in throughput; None where it was not measured."""
        found = self.candidate.offline_throughput_speedup_ratio
        return found.estimate if found else None

    @property
    def single_ratio(self) -> float | None:
        """The speed-up one at a time; None where it was not measured."""
        found = self.candidate.single_p50_speedup_ratio
        return found.estimate if found else None

    @property
    def best_ratio(self) -> float:
        """The larger of the two; 0 where nothing was measured."""
        return max(self.offline_ratio or 0.0, self.single_ratio or 0.0)


@dataclasses.dataclass(frozen=True)
class Work:
    """
    What the kernels multiply for one batch.

    ``multiplication_count`` are done whatever the numbers are; ``useful_count`` are those whose weight is not zero.
    """

    multiplication_count: int
    useful_count: int


@dataclasses.dataclass(frozen=True)
class Trial:
    """A recipe tried on the tuning split: what was built, and how its answers differ from the baseline's."""

    name: str
    build: Build
    example_count: int
    changed_label_count: int
    baseline_accuracy_ratio: float
    accuracy_ratio: float

    @property
    def size_ratio(self) -> float:
        """The size on disk over the baseline's."""
        return self.build.size_bytes / self.build.parent_size_bytes


@dataclasses.dataclass(frozen=True)
class PaddingPlan:
    """What one way of making batches computes: ``token_count`` with padding, ``real_token_count`` without."""

    batching: str
    batch_count: int
    token_count: int
    real_token_count: int

    @property
    def padding_ratio(self) -> float:
        """The share of all computed tokens that nobody asked for."""
        return 1 - self.real_token_count / self.token_count
