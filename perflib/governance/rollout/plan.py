"""
The plan by which an approved candidate goes to users, and by which it comes back.

    plan_rollout(ledger, "int8", owner="Ann", approvers=("author", "reviewer"), today=today).stages[0].name  # "shadow"

Limits are house defaults (`thresholds`); what the run measured decides the label limit, the least number of requests
(`samples`) and the processors (`instructions`).
"""

import datetime
import math
from collections.abc import Sequence

from perflib.errors import ParameterError
from perflib.governance.ledger import Ledger
from perflib.governance.models import model_sha256
from perflib.governance.rollout.instructions import needed_isa
from perflib.governance.rollout.samples import least_request_count
from perflib.governance.rollout.thresholds import (
    DISAGREEMENT_FACTOR_RATIO,
    EXPIRY_DAYS,
    LEAST_DISAGREEMENT_LIMIT_RATIO,
    ROLLBACK_SEC,
    make_gates,
    make_stages,
)
from perflib.results.governance import RolloutPlan

_PRECONDITIONS = (
    "bundle.dsse.json",
    "candidates/{name}/gate.json",
    "records/comparison-{name}.json",
    "records/rehearsal-{name}.json",
    "records/validation-{name}.json",
)
_STEP_RATIO = 0.001


def plan_rollout(
    ledger: Ledger, name: str, *, owner: str, approvers: Sequence[str], today: datetime.date
) -> RolloutPlan:
    """
    Plan the way of one candidate to users and back.

    Args:
        ledger: What its run left.
        name: Of an approved finalist.
        owner: Who looks at the gates while it goes.
        approvers: Who have to say yes before it starts.
        today: The plan ends 90 days later.

    Raises:
        ParameterError: If the run has no such candidate, or it may not be shipped.
        DataError: If its artifact's record is damaged.
    """
    require_approved(ledger, name)
    validation = ledger.validations.get(name)
    changed_ratio = validation.changed_label_count / validation.example_count if validation else None
    limit_ratio = disagreement_limit_ratio(changed_ratio)
    gates = make_gates(disagreement_limit_ratio=limit_ratio)
    needed_count = least_request_count(disagreement_ratio=changed_ratio, disagreement_limit_ratio=limit_ratio)
    baseline_sha256 = _baseline_sha256(ledger, name)
    return RolloutPlan(
        run_id=ledger.summary.run_id,
        candidate=name,
        candidate_sha256=model_sha256(ledger, name),
        baseline_sha256=baseline_sha256,
        preconditions=tuple(path.format(name=name) for path in _PRECONDITIONS),
        owner=owner,
        approvers=tuple(approvers),
        stages=make_stages(gates, least_request_count=needed_count),
        triggers=gates,
        rollback_action=(
            f"Route every request to the baseline ({baseline_sha256[:12]}…) and stop mirroring. "
            "Nothing is built or loaded: the baseline has kept answering mirrored requests."
        ),
        rollback_sec=ROLLBACK_SEC,
        needs_isa=needed_isa(ledger, name),
        expires=(today + datetime.timedelta(days=EXPIRY_DAYS)).isoformat(),
    )


def require_approved(ledger: Ledger, name: str) -> None:
    """Refuse with a `ParameterError` what may not be shipped, with the reason."""
    candidate = ledger.candidate(name)
    if candidate.verdict != "approved":
        why = candidate.reasons[0] if candidate.reasons else "no reason is recorded."
        raise ParameterError(f"candidate `{name}` is {candidate.verdict}, so there is no way to users for it: {why}")
    if not candidate.is_finalist:
        raise ParameterError(
            f"candidate `{name}` was no finalist, so it was chosen after the run saw the test split; "
            "name it in `finalists` of a new run."
        )


def disagreement_limit_ratio(changed_ratio: float | None) -> float:
    """
    Return which share of the labels may differ in traffic: 2 %, or half as much again as in the test split.

    Example:
        >>> [disagreement_limit_ratio(share) for share in (None, 0.008, 0.0342)]
        [0.02, 0.02, 0.052]
    """
    if changed_ratio is None:
        return LEAST_DISAGREEMENT_LIMIT_RATIO
    asked = math.ceil(round(DISAGREEMENT_FACTOR_RATIO * changed_ratio / _STEP_RATIO, 9)) * _STEP_RATIO
    return max(LEAST_DISAGREEMENT_LIMIT_RATIO, round(asked, 3))


def _baseline_sha256(ledger: Ledger, name: str) -> str:
    if name in ledger.comparisons:
        return ledger.comparisons[name].baseline_sha256
    return ledger.baseline.artifact_sha256 if ledger.baseline else ""
