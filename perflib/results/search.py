"""A search over recipes: what was tried, what it came to on the tuning split, and who met the test split in the end."""

import dataclasses
from typing import Any, ClassVar, Literal

from perflib.records import Record
from perflib.results.answers import GateVerdict
from perflib.results.speed import Interval, SpeedVerdict

# refused: a stage said no before any work. failed: it could not be built or run. infeasible: the constraint is not
# shown to hold. screened: it holds, and the speed was screened. finalist: chosen to meet the test split.
TrialStatus = Literal["refused", "failed", "infeasible", "screened", "finalist"]


@dataclasses.dataclass(frozen=True)
class SearchTrial:
    """
    One combination: a recipe, and what a cheap look on the tuning split said of it. A screen is no verdict.

    ``choices`` has the place of the alternative taken at every position of the space. ``tuning_change_ratio`` is the
    change of accuracy against the baseline, ``tuning_low_ratio`` its one-sided lower bound. Speed-ups are baseline time
    over candidate time, size is candidate over baseline. None where it was not measured; ``sentence`` says why.
    """

    choices: tuple[int, ...]
    recipe: tuple[dict[str, Any], ...]
    status: TrialStatus
    sentence: str = ""
    tuning_change_ratio: float | None = None
    tuning_low_ratio: float | None = None
    size_ratio: float | None = None
    single_speedup_ratio: Interval | None = None
    offline_speedup_ratio: Interval | None = None
    build_sec: float | None = None
    wall_sec: float = 0.0

    @property
    def gains(self) -> tuple[float, float, float, float] | None:
        """What the front is over, more is better: single, offline, how much smaller, accuracy; None if not screened."""
        if self.status not in ("screened", "finalist"):
            return None
        assert self.single_speedup_ratio is not None, self.recipe
        assert self.offline_speedup_ratio is not None, self.recipe
        assert self.size_ratio is not None, self.recipe
        assert self.tuning_change_ratio is not None, self.recipe
        return (
            self.single_speedup_ratio.estimate,
            self.offline_speedup_ratio.estimate,
            1 / self.size_ratio,
            self.tuning_change_ratio,
        )


@dataclasses.dataclass(frozen=True)
class ScenarioFinding:
    """What a full comparison in fresh lives said of a finalist in one scenario."""

    scenario: str
    verdict: SpeedVerdict
    speedup_ratio: Interval


@dataclasses.dataclass(frozen=True)
class FinalistCheck:
    """
    A finalist on the test split and in fresh lives; its full records stand in the run under ``name``.

    ``is_non_inferior`` says whether the one-sided lower bound of the accuracy change stays above minus the margin at
    ``level_ratio``, the level that pays for all finalists by Holm's method. ``gate_verdict`` is the worst of its gates.
    """

    trial_index: int
    name: str
    example_count: int
    test_change_ratio: float
    test_low_ratio: float
    level_ratio: float
    is_non_inferior: bool
    gate_verdict: GateVerdict
    scenarios: tuple[ScenarioFinding, ...]


@dataclasses.dataclass(frozen=True)
class Search(Record):
    """
    A search: what was asked, what was tried, the front, and the finalists.

    ``space_sha256`` is of the space's content, not of its file. ``spent_sec`` is the time of all trials, over all
    resumed parts; ``stop`` why they ended. ``front`` and ``finalists`` are places in ``trials``, the finalists in the
    order in which they were chosen; they are written before any of them meets the test split.
    ``is_complete`` says that every finalist was checked; nothing is tried after that.
    """

    schema: ClassVar[str] = "perflib/search/1"

    workload: str
    space_sha256: str
    baseline_sha256: str
    combination_count: int
    max_accuracy_drop_ratio: float
    budget_sec: float
    spent_sec: float
    seed: int
    stop: Literal["running", "exhausted", "budget-spent"]
    trials: tuple[SearchTrial, ...]
    front: tuple[int, ...] = ()
    finalists: tuple[int, ...] = ()
    checks: tuple[FinalistCheck, ...] = ()
    is_complete: bool = False
