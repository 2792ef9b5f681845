"""
Advance, hold or roll back: pure functions of what was seen, without a clock.

A window breaches a gate only if it is beyond what chance would show **at the limit** in 1 of 100 windows, so that a
quiet hour with three requests cannot send anybody back. Missing data is never good news and never bad: it holds.

    >>> quiet = Seen.of_share(0, 2000, limit_ratio=0.01)
    >>> bad = Seen.of_share(40, 2000, limit_ratio=0.01)
    >>> quiet.is_breach, bad.is_breach
    (False, True)
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Literal

from perflib.governance.rollout.samples import LEVEL_RATIO
from perflib.results.governance import RolloutStage, StageGate

Verdict = Literal["advance", "hold", "roll back"]
_TAIL_RATIO = 0.01


@dataclasses.dataclass(frozen=True)
class Seen:
    """
    One metric over some time: how many requests were bad for it, of how many, and how likely that is at the limit.

    ``chance_ratio`` is the probability of so many bad ones or more where the limit is just kept.
    """

    bad_count: int
    request_count: int
    chance_ratio: float

    @property
    def is_missing(self) -> bool:
        """Whether nothing was seen."""
        return self.request_count == 0

    @property
    def is_breach(self) -> bool:
        """Whether the limit is broken beyond chance."""
        return not self.is_missing and self.chance_ratio < LEVEL_RATIO

    @classmethod
    def of_share(cls, bad_count: int, request_count: int, *, limit_ratio: float) -> "Seen":
        """Judge bad requests against an allowed share (exact binomial)."""
        from scipy.stats import binom

        return cls(bad_count, request_count, float(binom.sf(bad_count - 1, request_count, limit_ratio)))

    @classmethod
    def of_tail(cls, candidate_sec: Sequence[float], baseline_sec: Sequence[float], *, factor_ratio: float) -> "Seen":
        """
        Judge whether the candidate's 99th percentile is more than a factor above the baseline's (exact exceedances).

        Bad are the candidate's times above the factor times the baseline's r-th longest, r being 1 and one more for
        each hundred. Were both arms alike, the ``bad + r - 1`` longest of all times would seldom hold fewer than r of
        the baseline's: a hypergeometric count.

        Args:
            candidate_sec: How long its answers took.
            baseline_sec: The same of the baseline, in the same window.
            factor_ratio: How many times as long the candidate may take.
        """
        before_count, after_count = len(baseline_sec), len(candidate_sec)
        if not before_count or not after_count:
            return cls(0, 0, 1.0)
        from scipy.stats import hypergeom

        rank = int(_TAIL_RATIO * before_count) + 1
        limit_sec = factor_ratio * sorted(baseline_sec, reverse=True)[rank - 1]
        bad_count = sum(one > limit_sec for one in candidate_sec)
        chance_ratio = hypergeom.cdf(rank - 1, before_count + after_count, before_count, bad_count + rank - 1)
        return cls(bad_count, after_count, float(chance_ratio))


@dataclasses.dataclass(frozen=True)
class Watched:
    """
    A stage since it began: its windows by metric, the oldest first, and each metric over the whole stage.

    A metric that is absent, or whose last window saw nothing, is missing data.
    """

    elapsed_sec: float
    windows: Mapping[str, Sequence[Seen]]
    whole: Mapping[str, Seen]


def decide(stage: RolloutStage, watched: Watched) -> Verdict:
    """
    Say what follows.

    "roll back" where any gate was breached in as many windows in a row as it names, the last one included. "advance"
    where the stage has lasted, every gate has seen enough requests, and neither its last window nor the stage as a
    whole is a breach. Everything else holds.

    Args:
        stage: With its gates.
        watched: What was seen since it began.
    """
    if breached_gate(stage, watched) is not None:
        return "roll back"
    is_over = watched.elapsed_sec >= stage.least_sec
    return "advance" if is_over and not holding_gates(stage, watched) else "hold"


def breached_gate(stage: RolloutStage, watched: Watched) -> StageGate | None:
    """Return the first gate that sends everybody back; None where none does."""
    return next((gate for gate in stage.gates if _is_broken(gate, watched.windows.get(gate.metric, ()))), None)


def holding_gates(stage: RolloutStage, watched: Watched) -> tuple[StageGate, ...]:
    """Return the gates for which a stage may not end yet."""
    return tuple(gate for gate in stage.gates if not _is_passed(gate, watched, stage.least_request_count))


def _is_broken(gate: StageGate, windows: Sequence[Seen]) -> bool:
    last = windows[-gate.breach_count :]
    return len(last) == gate.breach_count and all(one.is_breach for one in last)


def _is_passed(gate: StageGate, watched: Watched, least_count: int) -> bool:
    windows, whole = watched.windows.get(gate.metric, ()), watched.whole.get(gate.metric)
    if not windows or windows[-1].is_missing or windows[-1].is_breach or whole is None:
        return False
    return whole.request_count >= least_count and not whole.is_breach
