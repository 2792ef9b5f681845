"""
What a call should take at a shape that nobody has timed, from a handful of shapes that somebody has.

A forward pass is assumed to cost a fixed overhead, something for every example, for every token (products with
weights) and for every pair of tokens of one text (attention), and nothing negative:

    seconds = overhead + c · batch + a · batch · length + b · batch · length²

Engines with jumps break this: kernels that work in blocks, a batch that no longer fits into a cache, plans for a few
shapes to which inputs are padded. The forecast knows nothing of them, so some of its cells may be wrong.

    >>> probes = [(1, 10, 0.003), (1, 40, 0.006), (16, 10, 0.018), (16, 40, 0.066), (4, 20, 0.010)]
    >>> cost = fit_cost([probe[:2] for probe in probes], [probe[2] for probe in probes])
    >>> round(cost.seconds(8, 10), 4)
    0.01
"""

import dataclasses
import itertools
import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from perflib.errors import MeasurementError

# Examples of a call and real tokens of each of them; 1 token where inputs have no length.
Shape = tuple[int, int]


@dataclasses.dataclass(frozen=True)
class CallCost:
    """What one call costs, part by part."""

    overhead_sec: float
    example_sec: float
    token_sec: float
    token_pair_sec: float

    def seconds(self, batch_example_count: int, length_token_count: int) -> float:
        """Return the time of one call of so many examples, each of so many tokens."""
        parts_sec = (self.overhead_sec, self.example_sec, self.token_sec, self.token_pair_sec)
        return float(_terms([(batch_example_count, length_token_count)])[0] @ np.asarray(parts_sec))


def fit_cost(shapes: Sequence[Shape], seconds: Sequence[float]) -> CallCost:
    """
    Fit the cost of a call to timings, by least squares of the relative error, so that short calls count as much.

    Args:
        shapes: Batch and length of every timing.
        seconds: What it took.

    Raises:
        MeasurementError: If there is no timing, or one that is not above zero.
    """
    taken_sec = np.asarray(seconds, float)
    if not taken_sec.size or not np.all(np.isfinite(taken_sec) & (taken_sec > 0)):
        raise MeasurementError(f"a forecast needs timings above zero, but has {list(seconds)}; time the probes again.")
    from scipy.optimize import nnls

    relative = _terms(shapes) / taken_sec[:, None]
    # Terms differ by powers of ten; columns of one size keep the solver exact.
    sizes = np.linalg.norm(relative, axis=0)
    parts, _ = nnls(relative / sizes, np.ones(taken_sec.size))
    return CallCost(*(float(part) for part in parts / sizes))


def probe_shapes(cells: Sequence[Shape]) -> tuple[Shape, ...]:
    """
    Choose five shapes to time for a map: its four corners, a little further in, and its middle; none is a cell.

    Batch sizes are those of the map, because some engines plan for a few of them, and only the lengths lie between its
    lengths. Where there is one length only, or none, it is the batch sizes that lie between.

    Example:
        >>> probe_shapes([(batch, length) for batch in (1, 4, 16) for length in (8, 16, 32, 64)])
        ((1, 11), (1, 45), (4, 22), (16, 11), (16, 45))
        >>> probe_shapes([(1, 1), (4, 1), (16, 1), (64, 1)])
        ((2, 1), (8, 1), (32, 1))
    """
    batches, lengths = (sorted({cell[axis] for cell in cells}) for axis in (0, 1))
    if len(lengths) == 1:
        return tuple((batch, lengths[0]) for batch in _between(batches))
    gaps = _between(lengths)
    first, middle, last = gaps[0], gaps[len(gaps) // 2], gaps[-1]
    corners = [(batch, length) for batch in (batches[0], batches[-1]) for length in (first, last)]
    return tuple(sorted({*corners, (batches[len(batches) // 2], middle)}))


def predicted_ratio(shape: Shape, *, baseline: CallCost, candidate: CallCost) -> float:
    """Return how many times as fast the candidate should be at a shape: baseline over candidate time."""
    return baseline.seconds(*shape) / candidate.seconds(*shape)


def _terms(shapes: Sequence[Shape]) -> NDArray[np.float64]:
    batch, length = np.asarray(shapes, float).T
    return np.stack([np.ones_like(batch), batch, batch * length, batch * length**2], axis=1)


def _between(values: Sequence[int]) -> list[int]:
    """Return whole numbers in the middle of each gap, on a logarithmic scale; a map of one value has only itself."""
    middles = [math.isqrt(low * high) for low, high in itertools.pairwise(values)]
    return [middle for middle in middles if middle not in values] or list(values)
