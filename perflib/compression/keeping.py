"""
The rule of `keep: sensitive`: the blocks that bear int8 worst stay in floating point, as few as the answers allow.

Of candidates with the worst 0, 1, 2, 3, 4, 6, 8, 12 … blocks kept, the first is taken whose accuracy on the
tuning split is at most ``max_drop_ratio`` below the parent's. The point estimate decides, since it only chooses among
candidates and the test split judges; its paired one-sided 95 % bound is written down beside it.
"""

import dataclasses
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from perflib.artifact import Artifact
from perflib.compression.materials import Labelled
from perflib.records import read_json, sha256_json, write_json

TRIED_FILE, BEST_FOLDER = "tried.json", "best"
_ONE_SIDED_95 = 1.6448536269514722


@dataclasses.dataclass(frozen=True)
class Try:
    """One candidate on the tuning split; less than zero where it answers better than its parent."""

    kept: tuple[str, ...]
    drop_ratio: float
    drop_upper_ratio: float
    flips_ratio: float
    size_bytes: int


def kept_counts(block_count: int) -> Iterator[int]:
    """
    Say how many blocks to keep, one after the other: never all, because nothing would be quantized.

    Example:
        >>> list(kept_counts(20))
        [0, 1, 2, 3, 4, 6, 8, 12, 16]
    """
    count, step = 0, 1
    while count < max(block_count, 1):
        yield count
        count += step
        if count >= 4 and count & (count - 1) == 0:
            step = count // 2


def paired_drop(was_right: NDArray[np.bool_], is_right: NDArray[np.bool_]) -> tuple[float, float]:
    """
    Return the drop of accuracy on the same examples, and its one-sided 95 % upper bound.

    The bound is Bonett and Price's: Wald's for paired shares with one example added to each kind of disagreement, so
    that it also holds where candidates hardly ever disagree.

    Example:
        >>> drop, upper = paired_drop(np.ones(100, bool), np.arange(100) >= 2)
        >>> round(drop, 3), round(upper, 3)
        (0.02, 0.052)
    """
    example_count = len(was_right)
    lost, won = int((was_right & ~is_right).sum()), int((~was_right & is_right).sum())
    lost_share, won_share = (lost + 1) / (example_count + 2), (won + 1) / (example_count + 2)
    difference = lost_share - won_share
    variance = (lost_share + won_share - difference**2) / (example_count + 2)
    return (lost - won) / example_count, min(difference + _ONE_SIDED_95 * math.sqrt(variance), 1.0)


def judge(candidate: Artifact, kept: tuple[str, ...], expected: NDArray[np.integer], tuning: Labelled) -> Try:
    """Compare a candidate with its parent's answers on the tuning split, example by example."""
    given = candidate.predict(tuning.inputs).argmax(axis=1)
    drop_ratio, upper_ratio = paired_drop(expected == tuning.labels, given == tuning.labels)
    return Try(kept, drop_ratio, upper_ratio, float(np.mean(given != expected)), candidate.size_bytes)


class Tries:
    """The candidates so far, and the best of them, in memory and in a scratch folder where there is one."""

    def __init__(self, scratch: Path | None, decides: list[Any]) -> None:
        self._scratch, self._key = scratch, sha256_json(decides)
        self._tries: list[Try] = []
        if scratch and (scratch / TRIED_FILE).is_file():
            written = read_json(scratch / TRIED_FILE)
            if written["key"] == self._key:
                self._tries = [Try(**row | {"kept": tuple(row["kept"])}) for row in written["tried"]]

    def has_refused(self, kept: tuple[str, ...], max_drop_ratio: float) -> bool:
        """Say whether these blocks were kept before, and it was not enough."""
        return any(one.kept == kept and one.drop_ratio > max_drop_ratio for one in self._tries)

    def add(self, found: Try, candidate: Artifact) -> None:
        """Write down a candidate, and keep it if it is the best so far."""
        is_best = all(found.drop_ratio < one.drop_ratio for one in self._tries)
        self._tries.append(found)
        if self._scratch:
            if is_best:
                candidate.copy_to(self._scratch / BEST_FOLDER)
            write_json(self._scratch / TRIED_FILE, {"key": self._key, "tried": self.rows()})

    def rows(self) -> list[dict[str, Any]]:
        """Return the table as plain data."""
        return [dataclasses.asdict(one) | {"kept": list(one.kept)} for one in self._tries]

    def refusal(self, max_drop_ratio: float, block_count: int) -> str:
        """Say in one sentence how near the best candidate came; there is at least one."""
        best = min(self._tries, key=lambda one: one.drop_ratio)
        where = f"; it lies in {self._scratch / BEST_FOLDER}" if self._scratch else ""
        return (
            f"no candidate loses at most {100 * max_drop_ratio:g} points of accuracy on tuning: the smallest loss is "
            f"{100 * best.drop_ratio:.2f} points (95 % bound {100 * best.drop_upper_ratio:.2f}) with {len(best.kept)} "
            f"of {block_count} blocks kept in floating point{where}; raise max_drop_ratio or budget_sec, or train "
            "with scheme: int8-qat."
        )
