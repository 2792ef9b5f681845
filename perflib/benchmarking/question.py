"""What a comparison is asked, checked before any process is started: which errors are allowed, and what it may cost."""

import dataclasses

from perflib.artifact import Artifact
from perflib.benchmarking.decision import least_lives
from perflib.benchmarking.scenarios import Scenario
from perflib.errors import MeasurementError, ParameterError


@dataclasses.dataclass(frozen=True)
class Question:
    """
    What is asked of two artifacts.

    Args:
        name: The candidate's name in the record.
        scenarios: From `get_scenarios`.
        hardware_class: Of the machine card, so that the record says where it holds.
        max_lives_count: Lives at most; fewer are lived when every scenario is decided before.
        units_per_life_count: Quads per scenario and life.
        alpha: Bound on a wrong verdict, each way.
        tolerance: A change of at most this share is none.
        mde: PASS rules out slowdowns from this share on.
        budget_sec: Time that the lives may take; None for no limit.
        latency_target_sec: Of the server scenario; None for five times the baseline's median call.
        seed: Of the coins.

    Raises:
        ParameterError: If a share, a count or a time is out of its range.
        MeasurementError: If the lives allowed could not carry any verdict.
    """

    name: str
    scenarios: tuple[Scenario, ...]
    hardware_class: str
    max_lives_count: int = 6
    units_per_life_count: int = 2
    alpha: float = 0.05
    tolerance: float = 0.005
    mde: float = 0.03
    budget_sec: float | None = None
    latency_target_sec: float | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        # Each side spends alpha, so at one half nothing is left of the interval.
        for word, share, limit in (("alpha", self.alpha, 0.5), ("mde", self.mde, 1.0)):
            if not 0 < share < limit:
                raise ParameterError(f"{word} is {share:g}; give a share above 0 and below {limit:g}, such as 0.01.")
        if not 0 <= self.tolerance < self.mde:
            raise ParameterError(
                f"the tolerance is {self.tolerance:g} and mde {self.mde:g}; a tolerance is at least 0 and below mde."
            )
        if self.units_per_life_count < 1:
            raise ParameterError(f"{self.units_per_life_count} units a life measure nothing; give at least 1.")
        for word, seconds in (("budget", self.budget_sec), ("latency target", self.latency_target_sec)):
            if seconds is not None and not 0 < seconds < float("inf"):
                raise ParameterError(f"the {word} is {seconds:g} s; give a time above 0.")
        if self.max_lives_count < self.least_lives_count:
            raise MeasurementError(
                f"{self.max_lives_count} lives cannot decide anything at alpha {self.alpha:g}; "
                f"allow at least {self.least_lives_count}."
            )

    @property
    def least_lives_count(self) -> int:
        """The lives that a plain effect needs without any noise."""
        return least_lives(self.alpha)


def check_comparable(baseline: Artifact, candidate: Artifact) -> None:
    """Raise `ParameterError` where two artifacts do not answer the same question."""
    asked = [one.spec.lineage.workload for one in (baseline, candidate)]
    if asked[0] != asked[1]:
        raise ParameterError(
            f"the baseline is of workload `{asked[0]}` and the candidate of `{asked[1]}`; compare artifacts of one."
        )
    labels = [one.spec.labels for one in (baseline, candidate)]
    if labels[0] != labels[1]:
        raise ParameterError(
            f"the baseline answers with {list(labels[0])} and the candidate with {list(labels[1])}; "
            "compare models with the same labels."
        )
