"""A rehearsal without servers: a clock that moves only when somebody asks, and arms that do as they are told."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from perflib.artifact import Artifact
from perflib.encoded import Encoded
from perflib.governance.rollout.thresholds import make_gates, make_stages
from perflib.rehearsing.arms import Answer
from perflib.rehearsing.faults import HEALTHY, Dice, Fault
from perflib.rehearsing.rounds import Bench
from perflib.rehearsing.router import Router
from perflib.results.governance import Rehearsal, RehearsedFault, RolloutPlan, TrafficPoint
from perflib.workloads.base import Example, Splits, build_splits

THINKING_SEC = 0.01
NOTHING_DONE = "2026-03-01T08:00:00+00:00"


class FakeClock:
    """Seconds that pass when they are spent."""

    def __init__(self) -> None:
        self.now_sec = 0.0

    def __call__(self) -> float:
        """Return the time."""
        return self.now_sec

    def spend(self, sec: float) -> None:
        """Let time pass."""
        self.now_sec += sec


@dataclasses.dataclass
class FakeArm:
    """Answers class ``index % 2`` after ``answer_sec``; of ``other_every`` requests one has another class."""

    clock: FakeClock
    answer_sec: float = 0.005
    other_every: int = 0
    is_deaf: bool = False
    fault: Fault = HEALTHY
    dice: Dice = dataclasses.field(default_factory=lambda: Dice(0))
    asked: list[Any] = dataclasses.field(default_factory=list)

    def ask(self, given: Any) -> Answer:
        """Answer as told, and as planted."""
        self.asked.append(given)
        if self.dice.hits(self.fault.error_ratio):
            return Answer(None, None, is_planted=True)
        self.clock.spend(self.answer_sec + self.fault.hold_sec)
        is_wrong = self.dice.hits(self.fault.wrong_ratio)
        is_other = bool(self.other_every) and given % self.other_every == 0
        is_planted = is_wrong or self.fault.hold_sec > 0
        return Answer((given + is_wrong + is_other) % 2, self.answer_sec + self.fault.hold_sec, is_planted)

    def plant(self, fault: Fault) -> None:
        """Take a fault, unless deaf."""
        self.fault = HEALTHY if self.is_deaf else fault

    def check(self) -> None:
        """Be there."""


def make_bench(clock: FakeClock, baseline: FakeArm, candidate: FakeArm, *, seed: int = 0) -> Bench:
    """Return a bench whose single user asks one number after the other."""
    router = Router({"baseline": baseline, "candidate": candidate}, seed=seed, clock=clock)
    numbers = iter(range(1_000_000))

    def wait(until_sec: float) -> None:
        while clock() < until_sec:
            router.handle((number := next(numbers)), number)
            clock.spend(THINKING_SEC)

    return Bench(router, candidate, clock, wait)


def make_plan(**change: Any) -> RolloutPlan:
    """Return the plan of a candidate that changes hardly any label."""
    gates = make_gates(disagreement_limit_ratio=0.02)
    plan = RolloutPlan(
        run_id="made",
        candidate="int8",
        candidate_sha256="1" * 64,
        baseline_sha256="0" * 64,
        preconditions=(),
        owner="Ann",
        approvers=("author", "reviewer"),
        stages=make_stages(gates, least_request_count=1787),
        triggers=gates,
        rollback_action="Route every request to the baseline.",
        rollback_sec=300.0,
        needs_isa=("avx512_vnni",),
        expires="2026-05-30",
    )
    return dataclasses.replace(plan, **change)


def rehearsed(**change: Any) -> RehearsedFault:
    """Return a fault whose way back went as planned."""
    one = RehearsedFault(
        fault="error rate",
        stage="canary-10",
        planted="75 % of its answers failed",
        trigger="error_ratio",
        seen_sec=1.5,
        rolled_back_sec=1.502,
        limit_sec=3.0,
        request_count=120,
        bad_answer_count=13,
        is_as_planned=True,
        sentence="It went back.",
    )
    return dataclasses.replace(one, **change)


def make_rehearsal(*faults: RehearsedFault, **change: Any) -> Rehearsal:
    """Return a rehearsal of four rounds, or of those given, with a few windows each."""
    shown = faults or (
        rehearsed(fault="latency", trigger="p99_sec", seen_sec=4.0, rolled_back_sec=4.2),
        rehearsed(stage="half"),
        rehearsed(fault="labels", stage="full", trigger="label_agreement_ratio", seen_sec=4.0, rolled_back_sec=4.003),
        rehearsed(
            fault="none", stage="full", planted="nothing", trigger="", seen_sec=None, rolled_back_sec=None,
            limit_sec=30.0, bad_answer_count=0,
        ),
    )  # fmt: skip
    one = Rehearsal(
        run_id="made",
        candidate="int8",
        candidate_sha256="1" * 64,
        baseline_sha256="0" * 64,
        rehearsed=NOTHING_DONE,
        scale_ratio=1 / 400,
        seed=0,
        faults=shown,
        traffic=tuple(point for fault in shown for point in _points(fault)),
        is_passed=all(fault.is_as_planned for fault in shown),
        sentence="",
    )
    return dataclasses.replace(one, **change)


def _points(fault: RehearsedFault) -> Sequence[TrafficPoint]:
    """Return windows of half a second from 1 s before the planting until 2 s after the way back."""
    point = TrafficPoint(0.0, fault.fault, fault.stage, 0.5, 30, 0.0, 1.0, 0.004, 0.02)
    if fault.fault == "none":
        stages = (("shadow", 0.0), ("half", 0.5), ("full", 1.0))
        return [
            dataclasses.replace(point, at_sec=0.5 * (4 * place + step), stage=name, candidate_ratio=share)
            for place, (name, share) in enumerate(stages)
            for step in range(1, 5)
        ]
    back_sec = fault.rolled_back_sec or 6.0
    return [
        dataclasses.replace(point, at_sec=0.5 * half, candidate_ratio=0.5 if 0.5 * half <= back_sec else 0.0)
        for half in range(-1, int(2 * back_sec) + 5)
    ]


class Toy:
    """A workload of numbers as texts, for the model of `tests.tiny_artifact`."""

    name = "toy"
    quality_metric = "accuracy"
    labels: tuple[str, ...] = ("bad", "fair", "good")
    unit = "texts"
    slice_columns: tuple[str, ...] = ()

    def __init__(self, *, seed: int = 0) -> None:
        self.seed = seed

    def prepare(self) -> Artifact:
        """Be prepared: a rehearsal reads no model from here."""
        return None  # type: ignore[return-value]

    def splits(self) -> Splits:
        """Return 400 numbers in four splits."""
        return build_splits(Example(str(row), f"text {row}", f"text {row}", row % 3, {}) for row in range(400))

    def encode(self, inputs: Sequence[Any]) -> Encoded:
        """Give every text five tokens that its number decides."""
        ids = np.array([np.random.default_rng(int(text.split()[1])).integers(1, 40, 5) for text in inputs], np.int64)
        return Encoded({"input_ids": ids, "attention_mask": np.ones_like(ids)})
