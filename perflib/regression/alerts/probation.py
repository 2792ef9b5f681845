"""
A series that cried wolf: two alerts of it in a row were closed as INVALID, after somebody had looked.

From then on it may nominate but page nobody for a change of the model; instead the benchmark itself is to be mended,
which is told once. It is trusted again when that alert is closed as FIXED (mended) or INVALID (nothing was wrong with
the benchmark), or when one of its own alerts turns out to be right. Suspicions that the watch withdrew by itself told
nobody anything, so they are no false alarm: otherwise a series would fall silent by chance alone.
"""

from collections.abc import Iterable, Sequence

from perflib.regression.alerts.lifecycle import is_open, was_told
from perflib.regression.alerts.merging import series_of
from perflib.results.history import SeriesKey
from perflib.results.regression import Alert

FALSE_ALARMS_COUNT = 2


def is_on_probation(alerts: Iterable[Alert], key: SeriesKey) -> bool:
    """Say whether the last two answers to alerts of a series were that they are false."""
    false_count = 0
    for alert in _closed(alerts, key):
        if alert.kind == "benchmark":
            false_count = false_count if alert.state == "ACCEPTED" else 0
        elif alert.state == "INVALID":
            false_count += 1
        else:
            false_count = 0
    return false_count >= FALSE_ALARMS_COUNT


def benchmark_alert(alerts: Iterable[Alert], key: SeriesKey) -> Alert | None:
    """Return the newest alert about the benchmark of a series that is open, or that people live with."""
    found = [one for one in alerts if one.kind == "benchmark" and key in series_of(one)]
    standing = [one for one in found if is_open(one) or one.state == "ACCEPTED"]
    return max(standing, key=lambda one: one.ulid, default=None)


def _closed(alerts: Iterable[Alert], key: SeriesKey) -> Sequence[Alert]:
    answered = [
        one
        for one in alerts
        if key in series_of(one) and one.state in ("INVALID", "FIXED", "ACCEPTED") and was_told(one)
    ]
    return sorted(answered, key=lambda one: (one.events[-1].when if one.events else "", one.ulid))
