"""Which step of a recipe gave what, each measured against the one before; and against what one would pick instead."""

import dataclasses
import statistics
from typing import Any, ClassVar

from perflib.records import Record
from perflib.results.speed import Comparison, Interval, SpeedVerdict

# What a step can change, in the order in which a deployment usually does. A step that could not be taken apart is of
# several, joined by "and"; one that changes only how it is written down is of `NO_CHANGE`.
CATEGORIES = ("runtime change", "graph compilation", "precision", "structure", "batching", "threads")
NO_CHANGE = "no change"


@dataclasses.dataclass(frozen=True)
class RungSpeed:
    """What one step did in one scenario: ``factor_ratio`` above 1 is faster than the step before."""

    scenario: str
    factor_ratio: Interval
    verdict: SpeedVerdict
    lives_count: int


@dataclasses.dataclass(frozen=True)
class Rung:
    """
    One step, in the order in which they are climbed.

    ``category`` is of `CATEGORIES`, or several of them where the step could not be taken apart. A step that is not
    ``is_of_recipe`` was made only to be timed, such as the engine in fp32 between PyTorch and int8. ``timed_in`` names
    the record of the run that holds the samples, such as ``comparison-openvino``.
    """

    category: str
    stage: str
    line: dict[str, Any]
    is_of_recipe: bool
    artifact_sha256: str
    size_bytes: int
    build_sec: float
    timed_in: str
    speeds: tuple[RungSpeed, ...]


@dataclasses.dataclass(frozen=True)
class CategoryFactor:
    """What all steps of one category did together."""

    category: str
    factor_ratio: Interval


@dataclasses.dataclass(frozen=True)
class LadderTotal:
    """
    Last step against baseline in one scenario, paired directly.

    ``product_ratio`` multiplies the steps. What the total differs from it, ``unattributed_ratio``, is shown and not
    explained away; ``is_consistent`` says whether its interval holds 1, and None that bounds are lacking. Intervals of
    products add up the squares of the logarithmic distances from estimate to bound, each side by itself.
    """

    scenario: str
    total_ratio: Interval
    product_ratio: Interval
    unattributed_ratio: Interval
    is_consistent: bool | None
    categories: tuple[CategoryFactor, ...]
    lives_count: int


@dataclasses.dataclass(frozen=True)
class Rival:
    """What a person would pick instead, and how much faster the candidate is than that, paired directly."""

    name: str
    is_approved: bool
    comparison: Comparison


@dataclasses.dataclass(frozen=True)
class Ladder(Record):
    """
    A recipe, step by step.

    ``comparisons`` holds the raw samples of the steps that were timed for this ladder; the others and the total are in
    records of the run. ``absent_rivals`` were named, but could not be built or timed.
    """

    schema: ClassVar[str] = "perflib/ladder/2"

    name: str
    baseline_sha256: str
    candidate_sha256: str
    baseline_size_bytes: int
    rungs: tuple[Rung, ...]
    totals: tuple[LadderTotal, ...]
    rivals: tuple[Rival, ...]
    absent_rivals: tuple[str, ...]
    comparisons: tuple[Comparison, ...]


@dataclasses.dataclass(frozen=True)
class ModelAlone(Record):
    """A candidate that is served otherwise than the baseline, timed when both are served alike."""

    schema: ClassVar[str] = "perflib/alone/1"

    name: str
    comparison: Comparison


@dataclasses.dataclass(frozen=True)
class EndToEnd(Record):
    """
    From raw inputs to answers, tokenising included: one value a pass, both models in turn in one process.

    It describes and decides nothing: how much faster a candidate is, is asked of fresh processes and without the
    tokeniser, which is the same for both.
    """

    schema: ClassVar[str] = "perflib/end-to-end/1"

    name: str
    example_count: int
    encode_sec: tuple[float, ...]
    baseline_sec: tuple[float, ...]
    candidate_sec: tuple[float, ...]

    @property
    def encode_share_ratio(self) -> float:
        """The share of the candidate's time that goes into encoding."""
        return statistics.median(self.encode_sec) / statistics.median(self.candidate_sec)

    @property
    def speedup_ratio(self) -> float:
        """The ratio of the medians."""
        return statistics.median(self.baseline_sec) / statistics.median(self.candidate_sec)
