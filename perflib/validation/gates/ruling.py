"""What a gate is made of: a limit that was fixed beforehand, and a ruling on what was measured."""

import dataclasses
from collections.abc import Callable

from perflib.results import GateVerdict, Validation

SEVERITY: tuple[GateVerdict, ...] = ("PASS", "WARN", "INCONCLUSIVE", "FAIL")


@dataclasses.dataclass(frozen=True)
class Limit:
    """
    One limit of a profile: the number that passes, the one that only warns (if any), and where both come from.

    ``is_above_churn`` allows a re-trained candidate so much more than what an honest re-training changes;
    ``has_free_ties`` forgives answers that flip where the baseline itself was undecided.
    """

    limit: float
    source: str
    warn_limit: float | None = None
    is_above_churn: bool = False
    has_free_ties: bool = False


@dataclasses.dataclass(frozen=True)
class Ruling:
    """What a rule says: the verdict, the number it looked at with its bounds, and why, in one sentence."""

    verdict: GateVerdict
    measured: float | None
    sentence: str
    low: float | None = None
    high: float | None = None


Rule = Callable[[Limit, Validation], Ruling]


def within(measured: float, limit: Limit) -> GateVerdict:
    """Judge a count or share that has no uncertainty worth stating."""
    if measured <= limit.limit:
        return "PASS"
    return "WARN" if limit.warn_limit is not None and measured <= limit.warn_limit else "FAIL"


def harm_verdict(harm: float, low: float, limit: Limit) -> GateVerdict:
    """
    Judge a harm in a part of the data: it fails only where it is too large and shown to be there at all.

    Args:
        harm: As measured; positive is worse.
        low: Its lower bound.
        limit: What is allowed.
    """
    # A difference of two shares is off by 1e-16 or so, which shall not decide where it stands exactly at its limit.
    if round(harm, 12) <= limit.limit:
        return "PASS"
    return "FAIL" if low > 0 else "INCONCLUSIVE"


def capital(text: str) -> str:
    """Begin a sentence."""
    return f"{text[:1].upper()}{text[1:]}"


def margin_points(limit: Limit) -> str:
    """Write a limit that is a difference of shares."""
    return f"{100 * limit.limit:g} pp"


def worst_of(rulings: list[Ruling], missing: str) -> Ruling:
    """Return the ruling with the worst verdict, of those the one with the largest number; INCONCLUSIVE without any."""
    if not rulings:
        return Ruling("INCONCLUSIVE", None, missing)
    return max(rulings, key=lambda one: (SEVERITY.index(one.verdict), one.measured or 0.0))
