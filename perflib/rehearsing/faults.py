"""
What can be planted in the candidate's server while users are served.

It is a fault of a server, not a measurement: a late answer is held back, and a wrong one is the next class.
"""

import dataclasses
import random
from collections.abc import Mapping
from typing import Any, Self

from perflib.errors import ParameterError


@dataclasses.dataclass(frozen=True)
class Fault:
    """Shares of answers that fail or carry the wrong label, and how long each answer is held back; 0 is health."""

    error_ratio: float = 0.0
    wrong_ratio: float = 0.0
    hold_sec: float = 0.0

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Read a fault; `ParameterError` for anything else."""
        try:
            fault = cls(**{name: float(value) for name, value in data.items()})
        except (TypeError, ValueError):
            raise ParameterError(f"{dict(data)!r} is no fault; give error_ratio, wrong_ratio and hold_sec.") from None
        if not (0 <= fault.error_ratio <= 1 and 0 <= fault.wrong_ratio <= 1 and 0 <= fault.hold_sec <= 10):
            raise ParameterError(f"{fault} cannot be planted; shares lie from 0 to 1, and holding from 0 to 10 s.")
        return fault


HEALTHY = Fault()


class Dice:
    """Decides which answers a fault hits; the same seed hits the same ones in order."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)

    def hits(self, ratio: float) -> bool:
        """Say whether the next answer is hit."""
        return self._random.random() < ratio
