"""
Kinds of noise on which decision rules are tried: slots of a machine first, arms and coins only afterwards.

Noise that is put on paired differences is symmetric because we made it so, and then proves nothing about a rule.
So a kind of noise knows nothing of arms: it gives the machine's slowness slot by slot, whatever runs in it, and the
luck that every process keeps for as long as it lives.
"""

import dataclasses
import math
import statistics
from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from scipy import signal

from perflib.errors import MeasurementError
from perflib.results import Comparison, Life

Floats = NDArray[np.float64]
Shape = Callable[[np.random.Generator, int, int], Floats]

MIN_RECORDED_LIVES_COUNT = 20
_AR1_RHO = 0.7
# 1.4826 times the median absolute deviation of the plain distribution, so that dividing by it gives 1.
_ROBUST_SD_OF_T3 = 1.13402
_ROBUST_SD_OF_LOGNORMAL = 0.88776
# In robust standard deviations over the whole run, up or down: at 2 % a slot that is at most 5 %.
_MAX_DRIFT = 2.5


class Noise(Protocol):
    """What a machine and its processes add to the log of a slot's time."""

    @property
    def name(self) -> str:
        """As it stands in scores."""

    def draw(
        self, rng: np.random.Generator, path_count: int, slot_count: int, process_count: int
    ) -> tuple[Floats, Floats]:
        """
        Draw many runs at once.

        Args:
            rng: Where chance comes from.
            path_count: Runs.
            slot_count: Slots of each run, one after the other.
            process_count: Processes that each run may start.

        Returns:
            Log-slowness of the machine, (paths, slots), and of each process's luck, (paths, processes).
        """


@dataclasses.dataclass(frozen=True)
class SimulatedNoise:
    """
    Noise by formula: a shape whose slots have robust sd 1, stretched, and Gaussian luck.

    Args:
        name: As it stands in scores.
        shape: Makes (paths, slots).
        slot_sd_log: Robust standard deviation of a slot.
        luck_sd_log: Standard deviation of a process's luck.
    """

    name: str
    shape: Shape
    slot_sd_log: float = 0.02
    luck_sd_log: float = 0.015

    def draw(
        self, rng: np.random.Generator, path_count: int, slot_count: int, process_count: int
    ) -> tuple[Floats, Floats]:
        """Draw many runs at once; see `Noise.draw`."""
        env_log = self.slot_sd_log * self.shape(rng, path_count, slot_count)
        return env_log, rng.normal(0.0, self.luck_sd_log, (path_count, process_count))


@dataclasses.dataclass(frozen=True)
class RecordedNoise:
    """
    Noise as it was: contiguous windows of recorded streams, and process lucks drawn from recorded ones.

    Args:
        streams_log: Residuals of slots in run order, (streams, slots); a window that reaches the end runs on at the
            start.
        lucks_log: One value per recorded process or pair of processes.
        name: As it stands in scores.
    """

    streams_log: Floats
    lucks_log: Floats
    name: str = "recorded"

    def draw(
        self, rng: np.random.Generator, path_count: int, slot_count: int, process_count: int
    ) -> tuple[Floats, Floats]:
        """Draw many runs at once; see `Noise.draw`."""
        stream_count, stream_slot_count = self.streams_log.shape
        rows = rng.integers(stream_count, size=(path_count, 1))
        starts = rng.integers(stream_slot_count, size=(path_count, 1))
        env_log = self.streams_log[rows, (starts + np.arange(slot_count)) % stream_slot_count]
        return env_log, rng.choice(self.lucks_log, size=(path_count, process_count))


def simulated_noises(*, slot_sd_log: float = 0.02, luck_sd_log: float = 0.015) -> tuple[SimulatedNoise, ...]:
    """
    Return the kinds of noise that need no recording, from harmless to nasty.

    Args:
        slot_sd_log: Robust standard deviation of a slot; drift comes on top.
        luck_sd_log: Standard deviation of a process's luck.

    Example:
        >>> [noise.name for noise in simulated_noises()]
        ['iid', 'ar1', 'student-t3', 'lognormal-drift']
    """
    shapes = {"iid": _gaussian, "ar1": _ar1, "student-t3": _student_t3, "lognormal-drift": _lognormal_drift}
    return tuple(SimulatedNoise(name, shape, slot_sd_log, luck_sd_log) for name, shape in shapes.items())


def recorded_noise(comparisons: Sequence[Comparison]) -> RecordedNoise:
    """
    Make noise from what real comparisons kept, first scenario, dropped units left out.

    A slot's residual is taken from the mean of its own process, so neither arm nor luck is left in it.
    Lives are too short to tell slow drift from luck, so streams hold no drift slower than a life, which favours rules
    that time one arm after the other.
    What the slots' own noise adds to the recorded lucks is taken out again, or those rules would be blamed for it.

    Args:
        comparisons: Of any two artifacts; their effect is taken out.

    Raises:
        MeasurementError: If fewer than 20 lives are recorded.
    """
    lives = [
        [values for life in comparison.scenarios[0].lives if (values := _slot_logs(life)) is not None]
        for comparison in comparisons
        if comparison.scenarios
    ]
    lives_count = sum(map(len, lives))
    if lives_count < MIN_RECORDED_LIVES_COUNT:
        raise MeasurementError(
            f"{lives_count} recorded lives are too few to stand for a machine's noise; "
            f"record at least {MIN_RECORDED_LIVES_COUNT}."
        )
    residuals = [_residuals(*values) for one in lives for values in one]
    lucks_log = np.concatenate([_centred_lucks(one) for one in lives if one])
    explained = statistics.fmean(_luck_variance_from_slots(*values) for one in lives for values in one)
    seen = float(np.mean(lucks_log**2))
    kept_ratio = math.sqrt(max(0.0, 1.0 - explained / seen)) if seen else 0.0
    return RecordedNoise(np.concatenate(residuals)[None, :], lucks_log * kept_ratio)


def _gaussian(rng: np.random.Generator, path_count: int, slot_count: int) -> Floats:
    """Slots that know nothing of each other."""
    return rng.standard_normal((path_count, slot_count))


def _ar1(rng: np.random.Generator, path_count: int, slot_count: int) -> Floats:
    """Slots that resemble their neighbours, as when somebody else's job comes and goes."""
    steps = rng.standard_normal((path_count, slot_count))
    # The first slot is drawn from the stationary distribution, so that every slot has the same spread.
    steps[:, 1:] *= math.sqrt(1.0 - _AR1_RHO**2)
    env: Floats = signal.lfilter([1.0], [1.0, -_AR1_RHO], steps, axis=1)
    return env


def _student_t3(rng: np.random.Generator, path_count: int, slot_count: int) -> Floats:
    """Slots with rare outliers to both sides."""
    return rng.standard_t(3, (path_count, slot_count)) / _ROBUST_SD_OF_T3


def _lognormal_drift(rng: np.random.Generator, path_count: int, slot_count: int) -> Floats:
    """Spikes upwards only, on a machine that warms up or cools down evenly over the run."""
    spikes = (rng.lognormal(size=(path_count, slot_count)) - 1.0) / _ROBUST_SD_OF_LOGNORMAL
    drift: Floats = rng.uniform(-_MAX_DRIFT, _MAX_DRIFT, (path_count, 1)) * np.linspace(0.0, 1.0, slot_count)
    return spikes + drift


def _slot_logs(life: Life) -> tuple[Floats, NDArray[np.bool_]] | None:
    """Return a life's slot values in log and whether each is the candidate's, in run order; None without any."""
    counted = [unit for unit in life.units if unit.dropped is None]
    if not counted:
        return None
    medians_sec = [statistics.median(samples_sec) for unit in counted for samples_sec in unit.samples_sec]
    is_candidate = np.array([letter == "B" for unit in counted for letter in unit.order])
    return np.log(medians_sec), is_candidate


def _residuals(values_log: Floats, is_candidate: NDArray[np.bool_]) -> Floats:
    """Take each process's own mean out of its slots."""
    residuals = values_log.copy()
    for arm in (False, True):
        own = values_log[is_candidate == arm]
        # A mean of few slots follows them and takes some of their spread away; this gives it back.
        residuals[is_candidate == arm] = (own - own.mean()) * math.sqrt(own.size / (own.size - 1))
    return residuals


def _centred_lucks(lives: Sequence[tuple[Floats, NDArray[np.bool_]]]) -> Floats:
    """Return one process's luck for each life of one comparison, with the difference of its arms taken out."""
    lucks_log = np.array([values[~is_candidate].mean() - values[is_candidate].mean() for values, is_candidate in lives])
    centred: Floats = (lucks_log - lucks_log.mean()) / math.sqrt(2.0)
    return centred


def _luck_variance_from_slots(values_log: Floats, is_candidate: NDArray[np.bool_]) -> float:
    """Return how much variance a recorded luck has from the noise of the few slots behind it alone."""
    arms = values_log[is_candidate], values_log[~is_candidate]
    return float(sum(arm.var(ddof=1) / arm.size for arm in arms)) / 2.0
