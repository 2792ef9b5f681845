"""
How a gate's numbers are written and drawn: in percent, points, nat or plainly, and on which side of the limit they lie.

A record holds every one of them in base units, and a gate does not say which; its id does.
"""

import dataclasses
import math
from typing import Literal

from perflib import units
from perflib.results import Gate


@dataclasses.dataclass(frozen=True)
class Scale:
    """A gate's unit, and whether its number is a harm, what is kept of 1, or a change that may be a loss."""

    unit: Literal["%", "pp", "nat", ""]
    kind: Literal["harm", "kept", "change"] = "harm"

    def place(self, value: float, limit: float) -> float:
        """Return 0 for no harm and 1 for as much as is allowed; where nothing is allowed, 0 or infinity."""
        harm, allowed = {
            "harm": (value, limit),
            "kept": (1 - value, 1 - limit),
            "change": (-value, limit),
        }[self.kind]
        if allowed > 0:
            return harm / allowed
        return math.inf if harm > 0 else 0.0

    def words(self, value: float) -> str:
        """Return a number that was measured."""
        if self.unit == "%":
            return units.percent(value, 2)
        return units.points(value) if self.unit == "pp" else f"{_plain(value)} {self.unit}".strip()

    def round_words(self, value: float) -> str:
        """Return a number that a person chose, without digits that they did not."""
        factor = 100 if self.unit in ("%", "pp") else 1
        return f"{_plain(factor * value)} {self.unit}".strip()


# By id, or by what stands before its first hyphen; what is not here is a plain number.
_SCALES = {
    "A1": Scale("%", "kept"),
    "A2": Scale("pp", "change"),
    "A3": Scale("%"),
    "A4-label-loyalty": Scale("%", "kept"),
    "A4-kl-mean": Scale("nat"),
    "A4-kl-p99": Scale("nat"),
    "A4-cosine": Scale("", "kept"),
    "A5-ece": Scale("pp"),
    **dict.fromkeys(("A6", "A7", "A8", "A9", "A10", "A11"), Scale("pp")),
    **dict.fromkeys(("A12-batch", "A12-padding", "A16"), Scale("%")),
}


def scale_of(gate: Gate) -> Scale:
    """Return on which scale a gate measures."""
    return _SCALES.get(gate.id) or _SCALES.get(gate.id.partition("-")[0], Scale(""))


def measured_words(gate: Gate) -> str:
    """Return what a gate measured."""
    return "not measured" if gate.measured is None else scale_of(gate).words(gate.measured)


def limit_words(gate: Gate) -> str:
    """Return what a gate allows."""
    scale = scale_of(gate)
    sign, limit = {"harm": ("≤", gate.limit), "kept": ("≥", gate.limit), "change": (">", -gate.limit)}[scale.kind]
    return f"{sign} {scale.round_words(limit)}"


def warning_words(gate: Gate) -> str:
    """Return up to where a gate only warns, as the end of `limit_words`; nothing where it does not."""
    return "" if gate.warn_limit is None else f", warns to {scale_of(gate).round_words(gate.warn_limit)}"


def _plain(value: float) -> str:
    if 0 < abs(value) < 1e-5:
        return "<0.00001" if value > 0 else ">−0.00001"
    text = f"{value:,.5f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text.replace("-", "−")
