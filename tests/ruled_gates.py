"""One gate of a finished record, judged under one limit."""

from typing import Any

from perflib.results import Gate
from perflib.validation.gates import Limit, judge
from tests.synthetic_records import full_validation


def ruled(gate_id: str, limit: float, *, warn_limit: float | None = None, **change: Any) -> Gate:
    """
    Return the ruling of one gate.

    Args:
        gate_id: Which one.
        limit: What it allows.
        warn_limit: Up to where it warns.
        change: Fields of the record that differ from those of a candidate that keeps every limit.
    """
    found = full_validation(**change)
    (gate,) = judge(found, {found.profile: {gate_id: Limit(limit, "house default", warn_limit)}}).gates
    return gate
