"""
What a profile counts, and what is wrong by those counts.

More tokens for the same texts are padding; more calls for the same operations are a loop; bytes that are moved only to
change the type of a number are conversions. Seconds decide nothing here, because they are noisy.
"""

import dataclasses
from collections.abc import Mapping

from perflib import units
from perflib.results import Profile

# What may be guessed. Some of it is nobody's problem, so that nothing can be found by crossing out.
SUSPECTS: Mapping[str, str] = {
    "conversions": "numbers are turned into another precision or layout, and back",
    "extra-layers": "more layers are computed than the model needs",
    "one-by-one": "Python asks for small pieces one after the other, where one call could do all of them",
    "padding": "texts are made longer than their batch needs",
    "slow-products": "matrix products run in a precision that this processor is slow at",
    "unfused-attention": "attention is made of separate operators, and its scores are written and read again",
}
# Far from what another version of torch could bring about.
_MORE_TOKENS_RATIO, _MORE_CALLS_RATIO, _MORE_CONVERTED_RATIO = 1.2, 1.5, 10.0


@dataclasses.dataclass(frozen=True)
class Symptoms:
    """
    What one step of a profile counts.

    A product is any operator with FLOPs; ``converted_bytes`` are read and written to change the type of numbers.
    """

    token_count: int
    flop_count: int
    product_call_count: int
    operator_call_count: int
    converted_bytes: int


@dataclasses.dataclass(frozen=True)
class Diagnosis:
    """The suspect that the counts name (empty: none), the evidence, and the kind of work that grew most, a step."""

    suspect: str
    evidence: str
    grown_kind: str
    grown_sec: float


def symptoms(profile: Profile) -> Symptoms:
    """Count what one step of a profile does."""
    products = [row for row in profile.operators if row.flop_count]
    converting = [row for row in profile.operators if row.operator == "aten::_to_copy"]
    steps_count = profile.active_step_count
    return Symptoms(
        token_count=profile.step_token_count,
        flop_count=sum(row.flop_count for row in products) // steps_count,
        product_call_count=sum(row.call_count for row in products) // steps_count,
        operator_call_count=sum(row.call_count for row in profile.operators) // steps_count,
        converted_bytes=sum(row.moved_bytes for row in converting) // steps_count,
    )


def diagnosis(healthy: Profile, patient: Profile) -> Diagnosis:
    """Say what is wrong with a patient, by what it counts beside the healthy model on the same texts."""
    suspect, evidence = _suspect(symptoms(healthy), symptoms(patient))
    kind, grown_sec = grown_kinds(healthy, patient)[0]
    return Diagnosis(suspect, evidence, kind, grown_sec)


def grown_kinds(healthy: Profile, patient: Profile) -> list[tuple[str, float]]:
    """Return every kind of a patient's profile with the seconds that it grew by, a watched step, the most first."""
    before = {one.kind: one.self_sec / healthy.active_step_count for one in healthy.kinds}
    after = {one.kind: one.self_sec / patient.active_step_count for one in patient.kinds}
    grown = {kind: took_sec - before.get(kind, 0.0) for kind, took_sec in after.items()}
    return sorted(grown.items(), key=lambda pair: -pair[1])


def _suspect(before: Symptoms, after: Symptoms) -> tuple[str, str]:
    if after.token_count >= _MORE_TOKENS_RATIO * before.token_count:
        return "padding", (
            f"{after.token_count:,} tokens are computed for the same texts, where {before.token_count:,} were enough"
        )
    if after.product_call_count >= _MORE_CALLS_RATIO * before.product_call_count:
        return "one-by-one", (
            f"{after.product_call_count:,} products are called instead of {before.product_call_count:,}, for "
            f"{units.speedup(after.flop_count / before.flop_count)} the operations"
        )
    if after.converted_bytes >= _MORE_CONVERTED_RATIO * max(before.converted_bytes, 1):
        return "conversions", (
            f"{units.size(after.converted_bytes)} are read and written only to change their type, instead of "
            f"{units.size(before.converted_bytes)}"
        )
    return "", "no count differs much from the healthy model's"
