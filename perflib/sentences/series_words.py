"""
One series in words: its name, its values in units of people, its changes and what a rerun of it measured.

Sentences, figures and tables share them, so that one thing has one name everywhere.
"""

from collections.abc import Callable, Sequence

from perflib import units
from perflib.results.history import CANARY, METRICS, NO_SCENARIO, Family, HistoryPoint, SeriesKey
from perflib.results.regression import SeriesScan
from perflib.results.speed import Interval

_NAMES = {
    "p50_sec": "median latency",
    "p95_sec": "95 % latency",
    "examples_per_sec": "throughput",
    "speedup_ratio": "speed-up",
    "load_sec": "load time",
    "peak_rss_bytes": "peak memory",
    "size_bytes": "size",
    "accuracy_ratio": "accuracy",
    "level_sec": "time of the reference",
    "sd_ratio": "noise of the reference",
}
VERDICT_WORDS = {
    "CONFIRMED": "confirmed",
    "WITHDRAWN": "not worse, withdrawn",
    "MACHINE": "it is the machine",
    "INCONCLUSIVE": "not decided",
}


def series_name(key: SeriesKey) -> str:
    """
    Name a series for people, without its machine.

    Example:
        >>> series_name(SeriesKey("reviews-tiny", "int8", "single", "p50_sec", "any"))
        'median latency of int8 in single'
    """
    of = f"{_NAMES.get(key.metric, key.metric)} {'' if key.workload == CANARY else 'of '}{key.candidate}"
    return of if key.scenario == NO_SCENARIO else f"{of} in {key.scenario}"


def full_name(key: SeriesKey) -> str:
    """Name a series with its workload, where it stands alone."""
    return series_name(key) if key.workload == CANARY else f"{series_name(key)}, {key.workload}"


def value_words(value: float, key: SeriesKey) -> str:
    """
    Write a value of a series in the unit that people use.

    Example:
        >>> value_words(0.0007, SeriesKey("reviews-tiny", "int8", "single", "p50_sec", "any"))
        '700 µs'
    """
    unit = METRICS[key.metric].unit
    write: Callable[[float], str] = {
        "s": units.duration,
        "B": units.size,
        "1/s": lambda number: f"{units.three_digits(number)} examples/s",
        "1": units.speedup if key.metric == "speedup_ratio" else lambda number: units.percent(number, 2),
    }[unit]
    return write(value)


def shift_words(shift_ratio: Interval, *, before: float, family: Family) -> str:
    """
    Write a change of level with its bounds: in percent, for a share of right answers in percentage points.

    Example:
        >>> shift_words(Interval(1.123, 1.101, 1.146, 0.95), before=2.0, family="speed")
        '+12.3 % [10.1, 14.6]'
    """
    factor, unit, digits = (before, "pp", 2) if family == "quality" else (1.0, "%", 1)

    def write(ratio: float, sign: str) -> str:
        text = f"{100 * factor * (ratio - 1):{sign}.{digits}f}"
        return (text.lstrip("+-") if float(text) == 0 else text).replace("-", "−")

    bounds = _bounds(shift_ratio)
    between = f" [{write(bounds[0], '')}, {write(bounds[1], '')}]" if bounds else ""
    return f"{write(shift_ratio.estimate, '+')} {unit}{between}"


def worse_words(key: SeriesKey, shift_ratio: Interval) -> str:
    """Say whether a shift of this series is for the worse or for the better."""
    return "worse" if (shift_ratio.estimate > 1) == (METRICS[key.metric].better == "less") else "better"


def scanned_places(points: Sequence[HistoryPoint], scan: SeriesScan) -> tuple[int, ...]:
    """
    Return which points a scan has seen: all of them, or only those without a mark.

    Raises:
        ValueError: If the scan is of other points.
    """
    sound = tuple(place for place, point in enumerate(points) if point.mark is None)
    for places in (tuple(range(len(points))), sound):
        if len(places) == scan.point_count:
            return places
    raise ValueError(f"a scan of {scan.point_count} points cannot be of these {len(points)}")


def ratio_words(ratio: Interval | None, family: Family) -> str:
    """Say what a rerun measured against the last good run; of answers it is a difference."""
    if ratio is None:
        return "no figure"
    bounds = _bounds(ratio)
    if family != "quality":
        return units.speedup(ratio.estimate, *(bounds or (None, None)))
    between = f" [{units.points(bounds[0])[:-3]}, {units.points(bounds[1])[:-3]}]" if bounds else ""
    return f"{units.points(ratio.estimate)}{between}"


def swap_words(swapped: Sequence[str], package: str | None = None) -> str:
    """Say which parts of the suspect a rerun took."""
    return f"package {package}" if package is not None else " + ".join(swapped) or "nothing"


def coverage_words(ratio: Interval | None) -> str:
    """Return how sure an interval is, in brackets; nothing where there is none."""
    return f" ({100 * ratio.level_ratio:.0f} %)" if ratio is not None and _bounds(ratio) else ""


def _bounds(ratio: Interval) -> tuple[float, float] | None:
    """Return both bounds where there is something between them."""
    if ratio.low is None or ratio.high is None or ratio.low >= ratio.high:
        return None
    return ratio.low, ratio.high
