"""What a run says as a whole: its candidates, steps and failures."""

import dataclasses
from typing import Any, ClassVar, Literal

from perflib.records import Record

CandidateVerdict = Literal["approved", "quarantined", "undecided", "failed"]


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
    """
    One line of a run's summary: what a CI job or a stakeholder needs to decide.

    Only a finalist may be shipped: it was named before the run saw the test split.
    """

    name: str
    verdict: CandidateVerdict
    reasons: tuple[str, ...]
    single_p50_speedup_ratio: Estimate | None
    offline_throughput_speedup_ratio: Estimate | None
    size_ratio: float | None
    accuracy_change: LowerBound | None
    is_finalist: bool = True


@dataclasses.dataclass(frozen=True)
class Step:
    """One executed notebook of a run; the digest covers everything that it read."""

    name: str
    notebook: str
    status: Literal["done", "failed", "running", "skipped"]
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
