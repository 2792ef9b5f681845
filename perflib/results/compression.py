"""What compression found out on its way: which blocks of a model bear low precision, and which do not."""

import dataclasses
from typing import ClassVar, Literal

from perflib.records import Record


@dataclasses.dataclass(frozen=True)
class BlockSensitivity:
    """
    What one block alone does to the answers when it alone is quantized.

    ``loss_increase_nat`` is the rise of the mean cross-entropy (less than zero where the loss fell), ``flips_ratio``
    the share of answers that differ from the parent's.
    """

    name: str
    loss_increase_nat: float
    flips_ratio: float
    example_count: int
    measured_sec: float


@dataclasses.dataclass(frozen=True)
class Sensitivity(Record):
    """
    The loss that each block alone causes when it alone is quantized to int8, on the tuning split.

    ``scores`` stand in the order of the model and ``unmeasured`` are the blocks that the budget left out. ``spent_sec``
    is the time of the last run; blocks that an earlier one had measured cost it nothing.
    """

    schema: ClassVar[str] = "perflib/sensitivity/1"

    name: str
    parent_sha256: str
    unit: Literal["block", "layer"]
    example_count: int
    baseline_loss_nat: float
    scores: tuple[BlockSensitivity, ...]
    unmeasured: tuple[str, ...]
    budget_sec: float
    spent_sec: float

    @property
    def is_complete(self) -> bool:
        """Whether every block was measured."""
        return not self.unmeasured

    def ranked(self) -> tuple[BlockSensitivity, ...]:
        """Return the measured blocks, the worst first; of equals the one that answers otherwise more often."""
        return tuple(sorted(self.scores, key=lambda one: (-one.loss_increase_nat, -one.flips_ratio)))
