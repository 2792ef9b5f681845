"""
The paired bootstrap of a record, drawn again: the same resamples follow from the record's seed.

One ``numpy.random.default_rng(seed)`` makes the resamples one after another, each as ``integers(n, size=n)``. A
resample is how often each example was drawn, so every total over examples is one product of two matrices.
"""

import functools
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from perflib.governance.recompute.kept import Floats

DRAW_COUNT = 10_000
_CHUNK_COUNT = 500
_MOST_KEPT_BYTES = 200_000_000


def bootstrap(
    columns: Floats,
    changes: Callable[[Floats], Floats],
    *,
    seed: int,
    draw_count: int = DRAW_COUNT,
    level: float = 0.95,
) -> list[dict[str, Any]]:
    """
    Return candidate minus baseline for each statistic, with one-sided bounds at ``level``.

    Args:
        columns: What is summed over examples, of both models side by side; shape (examples, columns).
        changes: From sums over examples, shape (draws, columns), to the changes, shape (draws, statistics).
        seed: Of the record.
        draw_count: How many of the resamples are used.
        level: Of each bound by itself.
    """
    sums = [drawn.astype(np.float64) @ columns for drawn in _chunks(seed, len(columns), draw_count)]
    lows, highs = np.quantile(changes(np.concatenate(sums)), [1 - level, level], axis=0)
    estimates = changes(columns.sum(axis=0, keepdims=True))[0]
    return [
        {"estimate": estimate, "low": low, "high": high, "level_ratio": level}
        for estimate, low, high in zip(estimates.tolist(), lows.tolist(), highs.tolist(), strict=True)
    ]


def _chunks(seed: int, example_count: int, draw_count: int) -> Iterator[NDArray[np.uint8]]:
    """Yield how often each example was drawn, some resamples at a time; shape (draws, examples)."""
    if DRAW_COUNT * example_count <= _MOST_KEPT_BYTES:
        kept = _kept(seed, example_count)
        yield from (kept[start : start + _CHUNK_COUNT] for start in range(0, draw_count, _CHUNK_COUNT))
        return
    rng = np.random.default_rng(seed)
    for _ in range(0, draw_count, _CHUNK_COUNT):
        yield _drawn(rng, example_count, _CHUNK_COUNT)


# The candidates of a run share seed and split, so the second one finds the resamples made.
@functools.lru_cache(maxsize=1)
def _kept(seed: int, example_count: int) -> NDArray[np.uint8]:
    return _drawn(np.random.default_rng(seed), example_count, DRAW_COUNT)


def _drawn(rng: np.random.Generator, example_count: int, draw_count: int) -> NDArray[np.uint8]:
    drawn = np.empty((draw_count, example_count), np.uint8)
    for row in drawn:
        row[:] = np.bincount(rng.integers(example_count, size=example_count), minlength=example_count)
    return drawn
