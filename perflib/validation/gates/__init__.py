"""
Guardrails: limits fixed before anybody sees a result, and the verdict that follows from them.

A gate is a rule over the finished record and nothing else, so anyone can judge a record again, under other limits too.
A gate that lacks data says INCONCLUSIVE and, where it can, how much would decide; that never counts as a pass.
"""

from perflib.validation.gates.judge import (
    CHURN_GATES,
    GATES,
    TIE_GATES,
    WARNING_GATES,
    Guardrails,
    judge,
    worst,
)
from perflib.validation.gates.ruling import Limit

__all__ = ["CHURN_GATES", "GATES", "TIE_GATES", "WARNING_GATES", "Guardrails", "Limit", "judge", "worst"]
