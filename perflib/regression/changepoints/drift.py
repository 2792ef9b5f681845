"""
Slow drift, which no step shows: every run a little worse than the one before.

Mann and Kendall's trend test on the medians of blocks, so that neighbours that resemble each other count once. Over
many runs it finds what no comparison of two runs would.
"""

import numpy as np

from perflib.regression.changepoints.noise import Floats, Noise

_BLOCK_COUNT, _MOST_BLOCKS_COUNT = 3, 20
_WINDOWS_COUNT = (30, 60, 120, 240)
_LEVEL_RATIO = 0.001
_NOISE_COUNT = 6.0


def drift_since(logs: Floats, noise: Noise, *, least_nat: float) -> int | None:
    """
    Return the run since when a series drifts; None where it does not.

    Args:
        logs: Of one level, without spikes.
        noise: About a line through them.
        least_nat: The least effect: the whole way has to be longer, and longer than six spreads.
    """
    for count in _WINDOWS_COUNT:
        if count <= len(logs) and _is_drifting(logs[-count:], noise, least_nat):
            return len(logs) - count
    return None


def _is_drifting(logs: Floats, noise: Noise, least_nat: float) -> bool:
    from pymannkendall import original_test

    blocks_count = min(len(logs) // _BLOCK_COUNT, _MOST_BLOCKS_COUNT)
    medians = np.array([np.median(block) for block in np.array_split(logs, blocks_count)])
    if abs(medians[-1] - medians[0]) <= max(least_nat, _NOISE_COUNT * noise.long_run_nat):
        return False
    return bool(original_test(medians, alpha=_LEVEL_RATIO).h)
