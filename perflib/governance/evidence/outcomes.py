"""
Four verdicts told in the three words of a test result, of which none means "we cannot say".

What is inconclusive never passes: it stands among the failed ones, with the word. A guardrail that somebody waived
warns, with what it said and who let it pass.

    gate_outcome(validation.gates).result
"""

import dataclasses
from collections.abc import Sequence
from typing import Literal

from perflib.results import Comparison, Gate

Result = Literal["PASSED", "WARNED", "FAILED"]

# Comparisons that ended so have no verdict that could be believed.
CUT_SHORT = ("running", "interrupted", "arm-failed")


@dataclasses.dataclass(frozen=True)
class Outcome:
    """The result of several tests, and the name of each under what became of it."""

    result: Result
    passed: tuple[str, ...]
    warned: tuple[str, ...]
    failed: tuple[str, ...]

    def to_predicate(self) -> dict[str, object]:
        """Return the fields of in-toto's test result."""
        return {
            "result": self.result,
            "passedTests": list(self.passed),
            "warnedTests": list(self.warned),
            "failedTests": list(self.failed),
        }


def gate_outcome(gates: Sequence[Gate]) -> Outcome:
    """Tell what guardrails say; without any, nothing was shown and the result is a failure."""
    passed = [gate.id for gate in gates if gate.verdict == "PASS"]
    warned = [_warned(gate) for gate in gates if gate.counts_as == "WARN"]
    failed = [_failed(gate) for gate in gates if gate.counts_as in ("FAIL", "INCONCLUSIVE")]
    if not gates:
        failed = ["no guardrail was asked"]
    result: Result = "FAILED" if failed else "WARNED" if warned else "PASSED"
    return Outcome(result, tuple(passed), tuple(warned), tuple(failed))


def speed_outcome(comparison: Comparison) -> Outcome:
    """
    Tell what the scenarios say.

    One that is inconclusive alone does not fail a candidate that is decided in another one: the result is a warning.
    What was odd about the conditions warns too.
    """
    verdicts = {f"{one.scenario} ({one.verdict})": one.verdict for one in comparison.scenarios}
    passed = [name for name, verdict in verdicts.items() if verdict in ("IMPROVEMENT", "PASS")]
    failed = [name for name in verdicts if name not in passed]
    is_cut_short = comparison.stop in CUT_SHORT
    if is_cut_short or not verdicts:
        failed.append(f"the measurement was not completed ({comparison.stop})")
    is_bad = is_cut_short or "REGRESSION" in verdicts.values() or not passed
    result: Result = "FAILED" if is_bad else "WARNED" if failed or comparison.marks else "PASSED"
    return Outcome(result, tuple(passed), tuple(comparison.marks), tuple(failed))


def _warned(gate: Gate) -> str:
    return gate.id if gate.verdict == "WARN" else f"{gate.id} ({gate.verdict}, waived: {gate.waiver})"


def _failed(gate: Gate) -> str:
    return f"{gate.id} (INCONCLUSIVE)" if gate.verdict == "INCONCLUSIVE" else gate.id
