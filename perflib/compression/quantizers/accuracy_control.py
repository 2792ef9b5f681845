"""
The judge of NNCF's accuracy control: the share of right answers on the tuning split, and a verdict that fails closed.

NNCF returns its last attempt also when that missed the target, and says so only in its log; so what it returns is
measured again, as it will be served.
"""

import time
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from perflib.compression.materials import Labelled
from perflib.encoded import Encoded
from perflib.errors import StageError

_BATCH_EXAMPLE_COUNT = 32


class Judge:
    """
    A validation function for NNCF.

    Args:
        tuning: What is judged on; texts of about one length share a batch.
        max_drop_ratio: By how much the share of right answers may fall.
        budget_sec: After which the search ends.
        clock: Monotonic seconds.
    """

    def __init__(
        self,
        tuning: Labelled,
        *,
        max_drop_ratio: float,
        budget_sec: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        order = np.argsort(tuning.inputs.lengths(), kind="stable")
        rows = [order[start : start + _BATCH_EXAMPLE_COUNT] for start in range(0, len(order), _BATCH_EXAMPLE_COUNT)]
        self.items = [(tuning.inputs.take(some), tuning.labels[some]) for some in rows]
        self._max_drop_ratio, self._budget_sec, self._clock = max_drop_ratio, budget_sec, clock
        self._end_sec = clock() + budget_sec
        self._source: Any = None
        self._source_ratio = self._best_ratio = float("nan")

    def __call__(self, compiled: Any, items: Iterable[tuple[Encoded, Any]]) -> tuple[float, list[float]]:
        """
        Return the share of right answers over all items, and that of each item.

        Raises:
            StageError: If the budget is spent.
        """
        if self._clock() > self._end_sec:
            raise StageError(
                f"accuracy control did not come within {self._max_drop_ratio:g} of the source's tuning accuracy "
                f"({self._source_ratio:.4f}) in {self._budget_sec:g} s, its best so far being {self._best_ratio:.4f}; "
                "allow more budget_sec or max_drop_ratio, or use keep: sensitive."
            )
        given = list(items)
        ratio, ratios = _right_ratios(compiled, given)
        self._remember(compiled, ratio, is_whole=len(given) == len(self.items))
        return ratio, ratios

    def verdict(self, source: Any, made: Any) -> dict[str, float]:
        """
        Measure the source and what NNCF returned, both compiled as they are served.

        Returns:
            Tuning accuracy of what was returned, and its drop from the source's.

        Raises:
            StageError: If the drop is larger than allowed.
        """
        before_ratio, after_ratio = (_right_ratios(compiled, self.items)[0] for compiled in (source, made))
        drop_ratio = before_ratio - after_ratio
        if drop_ratio > self._max_drop_ratio:
            raise StageError(
                f"accuracy control ended with a tuning accuracy of {after_ratio:.4f}, {drop_ratio:.4f} below the "
                f"source's {before_ratio:.4f} where {self._max_drop_ratio:g} is allowed; allow a larger "
                "max_drop_ratio, or use keep: sensitive."
            )
        return {"tuning_accuracy_ratio": after_ratio, "tuning_drop_ratio": drop_ratio}

    def _remember(self, compiled: Any, ratio: float, *, is_whole: bool) -> None:
        """NNCF asks about the source first, perhaps more than once, and then only about quantized models."""
        if self._source is None:
            self._source = compiled
        if compiled is self._source:
            self._source_ratio = ratio
        elif is_whole:
            self._best_ratio = float(np.nanmax([self._best_ratio, ratio]))


def _right_ratios(compiled: Any, items: list[tuple[Encoded, Any]]) -> tuple[float, list[float]]:
    right_counts = [
        int((np.asarray(compiled(dict(inputs.arrays))[0]).argmax(axis=1) == labels).sum()) for inputs, labels in items
    ]
    sizes_count = [len(labels) for _, labels in items]
    ratios = [right / size for right, size in zip(right_counts, sizes_count, strict=True)]
    return sum(right_counts) / sum(sizes_count), ratios
