"""Which model a candidate is: the one digest that every document about it names."""

from perflib.governance.ledger import Ledger


def model_sha256(ledger: Ledger, name: str) -> str:
    """
    Return the digest of a candidate's artifact; empty where nothing was built, timed or asked.

    Its build says it first. Whether times and answers are of the same model is a guardrail of its own (A13).
    """
    if name in ledger.builds:
        return ledger.builds[name].artifact_sha256
    if name in ledger.comparisons:
        return ledger.comparisons[name].candidate_sha256
    return ledger.validations[name].identity.candidate_sha256 if name in ledger.validations else ""
