"""
How many parts stay, and which: per layer, or the best of all layers together.

    kept = choose(scores, [768] * 6, multiple=8, is_uniform=True)  # positions that stay, one tensor a layer
"""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


def kept_count(count: int, ratio: float, *, multiple: int = 1) -> int:
    """
    Return how many of ``count`` parts stay when at most this share goes, in whole multiples where there are as many.

    >>> kept_count(12, 0.25), kept_count(3, 0.5), kept_count(100, 0.5, multiple=8)
    (9, 2, 56)
    """
    # The tiny step keeps 10 × (1 − 0.7) = 3.0000000000000004 from becoming 4.
    least = max(math.ceil(count * (1 - ratio) - 1e-9), 1)
    return min(math.ceil(least / multiple) * multiple, count)


def choose(
    scores: "Sequence[torch.Tensor]", keep_counts: Sequence[int], *, multiple: int = 1, is_uniform: bool = True
) -> "list[torch.Tensor]":
    """
    Choose which parts stay.

    Args:
        scores: One tensor a layer; the highest stay.
        keep_counts: How many stay in each layer; their sum is what counts where ``is_uniform`` is False.
        multiple: Parts go in blocks of so many; every layer keeps its best block.
        is_uniform: Whether each layer keeps its own count, or the best blocks of all layers stay.

    Returns:
        The positions that stay, rising, one tensor a layer. Of equal scores the first stays.
    """
    ranked = [score.argsort(descending=True, stable=True) for score in scores]
    if not is_uniform:
        keep_counts = _share_out(scores, ranked, sum(keep_counts), multiple)
    return [order[:count].sort().values for order, count in zip(ranked, keep_counts, strict=True)]


def _share_out(
    scores: "Sequence[torch.Tensor]", ranked: "Sequence[torch.Tensor]", total_count: int, multiple: int
) -> list[int]:
    """Give every layer its best block, then the best of the rest, block by block, until the total is reached."""
    kept_counts, waiting = [], []
    for layer, (score, order) in enumerate(zip(scores, ranked, strict=True)):
        blocks = _cut(score[order], multiple)
        kept_counts.append(len(blocks[0]))
        # Blocks are cut from falling scores, so a layer's better block always comes before its worse one.
        waiting += [(-float(block.mean()), layer, at, len(block)) for at, block in enumerate(blocks) if at]
    for _, layer, _, count in sorted(waiting):
        if sum(kept_counts) >= total_count:
            break
        kept_counts[layer] += count
    return kept_counts


def _cut(score: "torch.Tensor", multiple: int) -> "list[torch.Tensor]":
    return [score[start : start + multiple] for start in range(0, len(score), multiple)]
