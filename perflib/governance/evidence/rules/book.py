"""The rules of the verifier, in the order in which they are asked."""

from perflib.governance.evidence.rules import (
    complete,
    crosswalk,
    decided,
    identities,
    money,
    order,
    policy,
    quiet,
    recomputed,
    shown,
)
from perflib.governance.evidence.rules.base import Rule

RULES: tuple[Rule, ...] = (
    Rule("I1", "Nothing that a pack needs is left out", complete.files),
    Rule("I11", "Every document is strict", quiet.strictness),
    Rule("I10", "No secrets, no traces of a machine", quiet.silence),
    Rule("I3", "All files speak of the same models", identities.models),
    Rule("I9", "Times are in order", order.times),
    Rule("I4", "What was accepted was tested, decided and can go back", decided.items),
    Rule("I8", "Every row of the crosswalk leads somewhere", crosswalk.rows),
    Rule("I6", "Costs have their columns and their sum", money.costs),
    Rule("I5", "Returns follow from prices and ratios", money.returns),
    Rule("I12", "Verdicts on speed follow from the lives", recomputed.lives),
    Rule("I12", "Verdicts of the run follow from its records", recomputed.verdicts),
    Rule("I2", "Gates follow from the kept answers", recomputed.answers),
    Rule("I7", "Numbers of the report are those of the records", shown.numbers),
    Rule("policy", "What is claimed passed its gates", policy.gates),
    Rule("policy", "The limits are the registered ones", policy.limits),
    Rule("stale", "Nothing has expired", policy.freshness),
)
