"""A simulated series whose truth is known, for those whose history is still short: a spike, a step, and noise."""

import dataclasses
import datetime

import numpy as np

from perflib.records import sha256_json
from perflib.results.history import METRICS, HistoryPoint, SeriesKey

_FIRST = datetime.datetime(2026, 1, 5, 6, tzinfo=datetime.UTC)
_NOTHING = sha256_json("simulated")


@dataclasses.dataclass(frozen=True)
class Truth:
    """What was put into the series: where the step begins and how large it is, where the spike stands, the noise."""

    step_index: int = 40
    step_ratio: float = 1.06
    spike_index: int = 22
    spike_ratio: float = 1.15
    noise_ratio: float = 0.01
    rho_ratio: float = 0.3


def simulate_series(
    *, truth: Truth | None = None, count: int = 60, level_sec: float = 0.004, seed: int = 0
) -> list[HistoryPoint]:
    """
    Return a series of single-call latencies that nobody has measured.

    Args:
        truth: What is put in.
        count: Runs, one a day.
        level_sec: Of the first ones.
        seed: Of the noise.
    """
    truth, rng = truth or Truth(), np.random.default_rng(seed)
    noise = np.zeros(count)
    for index in range(count):
        fresh = rng.normal(0.0, truth.noise_ratio * (1 - truth.rho_ratio**2) ** 0.5)
        noise[index] = truth.rho_ratio * noise[index - 1] + fresh if index else fresh
    level = np.where(np.arange(count) >= truth.step_index, truth.step_ratio, 1.0)
    level[truth.spike_index] *= truth.spike_ratio
    key = SeriesKey("simulated", "baseline", "single", "p50_sec", "a machine that never was")
    return [_point(key, index, float(value)) for index, value in enumerate(level_sec * level * np.exp(noise))]


def _point(key: SeriesKey, index: int, value_sec: float) -> HistoryPoint:
    moment = _FIRST + datetime.timedelta(days=index)
    return HistoryPoint(
        **dataclasses.asdict(key),
        value=value_sec,
        unit=METRICS[key.metric].unit,
        run_ulid=f"01{index:024d}",
        run_id=f"{moment:%Y%m%d-%H%M%S}_simulated_nogit",
        recorded=moment.isoformat(),
        commit="nogit",
        artifact_sha256=_NOTHING,
        parameters_sha256=_NOTHING,
        lock_sha256=_NOTHING,
        data_sha256=_NOTHING,
        host_id="nowhere",
        operating_system="none",
        driver=None,
        image_digest=None,
        mark=None,
    )
