"""
How often is the detector wrong, and how soon is it right? Counted on noise whose truth is known.

    python -m perflib.regression.changepoints.rates [--series-count 2000] [--sap FOLDER] [--export FILE]

*Online* replays a series run by run, as a history grows, and counts it if any run of it is nominated: that is what a
team lives with. *Offline* scans the whole series once, as other tools are asked.
"""

import argparse
import csv
import dataclasses
import math
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
from scipy.stats import beta

from perflib import units
from perflib.errors import DataError
from perflib.progress import Progress
from perflib.regression.changepoints.detect import nominate, scan
from perflib.regression.changepoints.noise import Floats
from perflib.results.history import LEAST_RUNS_COUNT

RUNS_COUNT = 100
LEVELS_RATIO = (0.01, 0.03)
_RHO = 0.3
# What makes the middle of these distributions as wide as a standard normal's.
_T3_SPREAD, _LOGNORMAL_SPREAD = 1.134, 0.888
_PORTION_COUNT = 50

Draw = Callable[[np.random.Generator, int], Floats]


def _iid(rng: np.random.Generator, count: int) -> Floats:
    return rng.standard_normal(count)


def _autocorrelated(rng: np.random.Generator, count: int) -> Floats:
    fresh = rng.standard_normal(count) * math.sqrt(1 - _RHO**2)
    values = np.empty(count)
    values[0] = fresh[0] / math.sqrt(1 - _RHO**2)
    for index in range(1, count):
        values[index] = _RHO * values[index - 1] + fresh[index]
    return values


def _student(rng: np.random.Generator, count: int) -> Floats:
    return rng.standard_t(3, count) / _T3_SPREAD


def _lognormal(rng: np.random.Generator, count: int) -> Floats:
    return (rng.lognormal(size=count) - 1.0) / _LOGNORMAL_SPREAD


NOISES: dict[str, Draw] = {
    "normal": _iid,
    "AR(1) 0.3": _autocorrelated,
    "Student t3": _student,
    "lognormal": _lognormal,
}


@dataclasses.dataclass(frozen=True)
class Rate:
    """How many of some series without any change were nominated."""

    noise: str
    level_ratio: float
    series_count: int
    online_count: int
    offline_count: int

    @property
    def online_bound_ratio(self) -> float:
        """The upper 95 % bound of the online rate (Clopper and Pearson)."""
        return upper_bound(self.online_count, self.series_count)


@dataclasses.dataclass(frozen=True)
class Delay:
    """Runs until a step was nominated, over many series; a series in which it never was counts as infinite."""

    step: str
    before_count: int
    median_count: float
    ninety_count: float


def upper_bound(hit_count: int, count: int) -> float:
    """
    Return the one-sided upper 95 % bound of a share.

    Example:
        >>> round(upper_bound(11, 2000), 4)
        0.0091
    """
    return 1.0 if hit_count >= count else float(beta.ppf(0.95, hit_count + 1, count - hit_count))


def make_series(noise: str, level_ratio: float, index: int, *, count: int = RUNS_COUNT) -> Floats:
    """Return one series without any change; the same for the same arguments."""
    rng = np.random.default_rng([list(NOISES).index(noise), round(1e4 * level_ratio), index])
    # What a machine adds to a time is a share of it; a time is never below a tenth of its level.
    values: Floats = np.maximum(1.0 + level_ratio * NOISES[noise](rng, count), 0.1)
    return values


def first_nomination(values: Floats, *, start_count: int = LEAST_RUNS_COUNT) -> int | None:
    """Replay a series run by run and return after how many runs something was nominated; None if nothing was."""
    return next((count for count in range(start_count, len(values) + 1) if nominate(values[:count].tolist())), None)


def count_false(noise: str, level_ratio: float, first: int, count: int) -> tuple[int, int]:
    """Return how many of some series without change are nominated, online and offline."""
    series = [make_series(noise, level_ratio, index) for index in range(first, first + count)]
    online = sum(first_nomination(values) is not None for values in series)
    return online, sum(bool(scan(values.tolist()).change_points) for values in series)


def false_rates(*, series_count: int = 2000, jobs_count: int = 2) -> list[Rate]:
    """Count false nominations for every noise at every level."""
    cells = [(noise, level) for noise in NOISES for level in LEVELS_RATIO]
    portions = [
        (noise, level, first, min(_PORTION_COUNT, series_count - first))
        for noise, level in cells
        for first in range(0, series_count, _PORTION_COUNT)
    ]
    found = {cell: [0, 0] for cell in cells}
    with Progress("noise", len(portions)) as bar, ProcessPoolExecutor(jobs_count) as pool:
        for portion, counts in zip(portions, pool.map(count_false, *zip(*portions, strict=True)), strict=True):
            found[portion[:2]] = [sum(pair) for pair in zip(found[portion[:2]], counts, strict=True)]
            bar.step(portion[0])
    return [Rate(noise, level, series_count, *found[noise, level]) for noise, level in cells]


def delay(step_sd: float, before_count: int, *, level_ratio: float = 0.01, series_count: int = 300) -> Delay:
    """Measure how soon a step of so many spreads is nominated after quiet runs of normal noise."""
    delays = []
    for index in range(series_count):
        values = make_series("normal", level_ratio, 10**6 + index, count=before_count + 30)
        values[before_count:] *= 1 + step_sd * level_ratio
        found = first_nomination(values, start_count=before_count + 1)
        delays.append(math.inf if found is None else found - before_count)
    # An order statistic, because between two infinite delays there is no mean.
    ordered = sorted(delays)
    return Delay(
        f"{step_sd:g} spreads", before_count, ordered[len(ordered) // 2], ordered[math.ceil(0.9 * len(ordered)) - 1]
    )


def export_series(path: Path, *, series_count: int) -> None:
    """Write the noise series as CSV (noise, level, index, values …), so that other tools can be asked about them."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        for noise in NOISES:
            for level in LEVELS_RATIO:
                for index in range(series_count):
                    writer.writerow([noise, level, index, *make_series(noise, level, index)])


def read_series(folder: Path) -> Iterator[tuple[str, Floats]]:
    """
    Read series from a folder of CSV files, one series a file: the last column that holds numbers.

    Raises:
        DataError: If there is no such file.
    """
    paths = sorted(folder.rglob("*.csv"))
    if not paths:
        raise DataError(f"{folder} holds no CSV file; name the folder of the data set.")
    import pandas as pd

    for path in paths:
        numbers = pd.read_csv(path).select_dtypes("number")
        if numbers.shape[1] and len(numbers) >= LEAST_RUNS_COUNT:
            yield path.relative_to(folder).as_posix(), numbers.iloc[:, -1].dropna().to_numpy(float)


def print_rates(rates: Sequence[Rate]) -> None:
    """Print a table of false nominations."""
    for one in rates:
        online, offline = (count / one.series_count for count in (one.online_count, one.offline_count))
        print(
            f"{one.noise:<12} {units.percent(one.level_ratio, 0):>4}: online {units.percent(online, 2)} (at most "
            f"{units.percent(one.online_bound_ratio, 2)}), offline {units.percent(offline, 2)} of {one.series_count}"
        )


def main(words: Sequence[str] | None = None) -> None:
    """Count and print."""
    parser = argparse.ArgumentParser(description="How often is the detector wrong, and how soon is it right?")
    parser.add_argument("--series-count", type=int, default=2000, help="of each noise at each level")
    parser.add_argument("--jobs", type=int, default=2, help="processes")
    parser.add_argument("--export", type=Path, metavar="FILE", help="write the noise series as CSV and leave")
    parser.add_argument(
        "--sap", type=Path, metavar="FOLDER", help="series from elsewhere, one CSV file each, and leave"
    )
    given = parser.parse_args(words)
    if given.export:
        export_series(given.export, series_count=given.series_count)
        return
    if given.sap:
        for name, values in read_series(given.sap):
            changes = scan(values.tolist()).change_points
            places = ", ".join(str(one.index) for one in changes)
            print(f"{name}: {len(values)} runs, {f'changes at {places}' if changes else 'silent'}")
        return
    print_rates(false_rates(series_count=given.series_count, jobs_count=given.jobs))
    for step in (5.0, 3.0):
        for before in (20, 50, 100):
            one = delay(step, before)
            print(
                f"step of {one.step} after {before} runs: median {one.median_count:g}, 90 % {one.ninety_count:g} runs"
            )


if __name__ == "__main__":
    main()
