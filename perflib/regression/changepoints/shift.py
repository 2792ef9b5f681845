"""How far two stretches of runs lie apart: the Hodges-Lehmann shift with its interval from the rank sum."""

import dataclasses
import math

import numpy as np
from scipy.stats import norm

from perflib.regression.changepoints.noise import Floats, Noise

# As many runs on each side as are looked at.
SIDE_COUNT = 12
LEVEL_RATIO = 0.99
_NOISE_COUNT = 3.0


@dataclasses.dataclass(frozen=True)
class Shift:
    """New level less old level, in logarithms, with the bounds of its interval."""

    estimate_nat: float
    low_nat: float
    high_nat: float

    @property
    def nearest_nat(self) -> float:
        """The smallest change that the interval allows; 0 where it holds none."""
        if self.low_nat > 0:
            return self.low_nat
        return -self.high_nat if self.high_nat < 0 else 0.0


def measure_shift(before: Floats, after: Floats, *, rho: float = 0.0) -> Shift:
    """Compare two stretches of runs, each of at least one; ``rho`` says how much a run resembles the one before."""
    pairs = np.sort((after[:, None] - before[None, :]).ravel())
    n, m = len(before), len(after)
    # Of n x m differences so many lie outside on each side (normal approximation of the rank sum).
    reach = float(norm.isf((1 - LEVEL_RATIO) / 2)) * math.sqrt(n * m * (n + m + 1) / 12 * (1 + rho) / (1 - rho))
    outside = max(int(n * m / 2 - reach), 0)
    return Shift(float(np.median(pairs)), float(pairs[outside]), float(pairs[len(pairs) - 1 - outside]))


def shift_at(logs: Floats, index: int, noise: Noise) -> Shift:
    """Compare up to twelve runs before a place with up to twelve from it on."""
    return measure_shift(logs[max(index - SIDE_COUNT, 0) : index], logs[index : index + SIDE_COUNT], rho=noise.rho)


def is_worth_telling(shift: Shift, noise: Noise, *, after_count: int, least_nat: float) -> bool:
    """
    Say whether a shift is larger than what matters and than what the noise makes.

    The bound nearer to zero has to exceed the least effect, and three times what the mean of so many runs scatters by.
    """
    count = min(after_count, SIDE_COUNT)
    return shift.nearest_nat > max(least_nat, _NOISE_COUNT * noise.long_run_nat / math.sqrt(count))
