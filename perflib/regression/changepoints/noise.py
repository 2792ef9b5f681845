"""
The noise of a series of logarithms: spikes, spread, and how much a run resembles the one before.

Everything is robust, because a history holds what neighbours and updates have done to it.
"""

import dataclasses
import math

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import median_filter

Floats = NDArray[np.float64]

# Of a normal distribution the median absolute deviation is this part of its standard deviation.
MAD_TO_SD = 1.4826
_SPIKE_SD_COUNT = 5.0
_WINDOW_COUNT = 11
_MOST_RHO = 0.9
# Neighbours that resemble each other more than thought are what most false nominations come from.
_ERRORS_COUNT = 1.5


@dataclasses.dataclass(frozen=True)
class Noise:
    """
    Spread of a series about its level, in logarithms.

    ``rho`` is the lag-1 autocorrelation of the residuals and ``rho_error`` its standard error; ``long_run_nat`` is what
    a mean of many runs may scatter by, times the root of their number.
    """

    sd_nat: float
    rho: float
    rho_error: float = 0.0

    @property
    def long_run_nat(self) -> float:
        """The spread that counts for means, with the largest autocorrelation that few runs leave possible."""
        rho = min(self.rho + _ERRORS_COUNT * self.rho_error, _MOST_RHO)
        return self.sd_nat * math.sqrt((1 + rho) / (1 - rho))


def find_spikes(logs: Floats) -> NDArray[np.bool_]:
    """
    Mark isolated runs: more than five spreads off the local median, and back within two runs.

    The newest runs cannot have come back yet, so they are never marked.

    Returns:
        Shape (runs,).
    """
    if len(logs) < _WINDOW_COUNT:
        return np.zeros(len(logs), bool)
    off = logs - median_filter(logs, _WINDOW_COUNT, mode="nearest")
    spread = MAD_TO_SD * float(np.median(np.abs(off)))
    is_far: NDArray[np.bool_] = np.abs(off) > _SPIKE_SD_COUNT * spread
    is_back = np.zeros(len(logs), bool)
    is_back[:-1] |= ~is_far[1:]
    is_back[:-2] |= ~is_far[2:]
    marked: NDArray[np.bool_] = is_far & is_back
    return marked


def measure_noise(logs: Floats, levels: Floats) -> Noise:
    """
    Measure the noise about known levels.

    Args:
        logs: Logarithms without spikes, shape (runs,); at least three.
        levels: The level of each run, the same shape.
    """
    residuals = logs - levels
    spread = float(np.median(np.abs(residuals)))
    if spread == 0.0 or len(logs) < 3:
        return Noise(0.0 if spread == 0.0 else MAD_TO_SD * spread, 0.0)
    # Residuals are clipped so that one bad run does not decide how runs resemble each other.
    clipped = np.clip(residuals, -3 * MAD_TO_SD * spread, 3 * MAD_TO_SD * spread)
    centred = clipped - clipped.mean()
    rho = float((centred[1:] * centred[:-1]).sum() / (centred**2).sum())
    # Of few runs the estimate is too small (Kendall, 1954).
    rho = min(max(rho + (1 + 3 * rho) / len(logs), 0.0), _MOST_RHO)
    # Differences do not feel a level that moves; neighbours that resemble each other make them too small.
    from_steps = MAD_TO_SD * float(np.median(np.abs(np.diff(logs)))) / math.sqrt(2 * (1 - rho))
    return Noise(from_steps or MAD_TO_SD * spread, rho, 1 / math.sqrt(len(logs)))
