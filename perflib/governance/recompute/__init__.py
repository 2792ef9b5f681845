"""
A second opinion on a run's numbers: what its records say, computed again by code that shares nothing with theirs.

Who checks a pack must not trust the code that made it. So this package imports nothing of perflib but its errors and
its strict reader of JSON; validation, comparison and verdict are written here once more, by other formulas where there
are any, and tests hold both to the same numbers.
"""

from perflib.governance.recompute.differences import Differences
from perflib.governance.recompute.gates import recompute_gates
from perflib.governance.recompute.speed import recompute_comparison
from perflib.governance.recompute.validation import BELIEVED, recompute_validation
from perflib.governance.recompute.verdicts import candidate_verdict, recompute_verdicts, run_verdicts

__all__ = [
    "BELIEVED",
    "Differences",
    "candidate_verdict",
    "recompute_comparison",
    "recompute_gates",
    "recompute_validation",
    "recompute_verdicts",
    "run_verdicts",
]
