"""
What a gate may say and how it is decided: limits of the guardrails file, and the comparisons that all rules share.

    >>> shown_harm(0.02, low=0.001, limit=0.01), shown_harm(0.02, low=-0.001, limit=0.01), shown_harm(0.01, 0.0, 0.01)
    ('FAIL', 'INCONCLUSIVE', 'PASS')
"""

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

# From best to worst; an open question is worse than a warning.
ORDER = ("PASS", "WARN", "INCONCLUSIVE", "FAIL")
# A difference of two shares is off by 1e-16 or so, which decides nothing at its limit.
_DIGIT_COUNT = 12


@dataclasses.dataclass(frozen=True)
class Bar:
    """One limit of the guardrails file, with what its profile says about it."""

    limit: float
    warn_limit: float | None
    is_above_churn: bool
    has_free_ties: bool
    source: str

    @classmethod
    def of(cls, fields: Mapping[str, Any]) -> "Bar":
        """Take one limit from the parsed file."""
        warn_limit = fields.get("warn_limit")
        return cls(
            limit=float(fields["limit"]),
            warn_limit=None if warn_limit is None else float(warn_limit),
            is_above_churn=bool(fields.get("above_churn", False)),
            has_free_ties=bool(fields.get("free_ties", False)),
            source=str(fields["source"]).strip(),
        )

    def raised(self, allowed: float) -> "Bar":
        """Allow so much more."""
        most = None if self.warn_limit is None else self.warn_limit + allowed
        return dataclasses.replace(self, limit=self.limit + allowed, warn_limit=most)


class Ruling(NamedTuple):
    """The verdict of a gate, and the number that it looked at with its bounds."""

    verdict: str
    measured: float | None = None
    low: float | None = None
    high: float | None = None


OPEN = Ruling("INCONCLUSIVE")


def at_most(value: float, bar: Bar) -> str:
    """Judge a number without bounds: up to the limit it passes, up to the limit of warnings it warns."""
    if value <= bar.limit:
        return "PASS"
    return "WARN" if bar.warn_limit is not None and value <= bar.warn_limit else "FAIL"


def at_least(value: float, bar: Bar) -> str:
    """Judge a number of which more is better."""
    return "PASS" if value >= bar.limit else "FAIL"


def shown_harm(harm: float, low: float, limit: float) -> str:
    """Judge a harm with its lower bound: it fails where it is too large and certainly there."""
    if round(harm, _DIGIT_COUNT) <= limit:
        return "PASS"
    return "FAIL" if low > 0 else "INCONCLUSIVE"


def worst_verdict(verdicts: Iterable[str]) -> str:
    """Return the worst of several verdicts; nothing judged is nothing decided."""
    return max(verdicts, key=ORDER.index, default="INCONCLUSIVE")


def worst_part(parts: list[Ruling]) -> Ruling:
    """Return the part with the worst verdict, the larger number first; `OPEN` without any."""
    return max(parts, key=lambda one: (ORDER.index(one.verdict), one.measured or 0.0), default=OPEN)
