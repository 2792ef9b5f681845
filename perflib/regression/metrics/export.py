"""
The newest results and what the watch made of them, as text that Prometheus scrapes and Grafana draws.

No price is written here: machine time is a fact, what an hour of it costs is typed into the dashboard.

    write_metrics(path, newest_points, checks=checks, alerts=alerts)
    MetricsServer(path, PORT).serve_forever()    # perflib.regression.metrics.server
"""

import datetime
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar, get_args, get_type_hints

from prometheus_client import CollectorRegistry
from prometheus_client.openmetrics import exposition

from perflib.records import write_bytes
from perflib.regression.metrics.families import NAMES, Families
from perflib.results.history import CANARY, METRICS, HistoryPoint, Promotion, SeriesKey
from perflib.results.regression import Alert, AlertState, Check, Confirmation
from perflib.results.speed import NoiseFloor

CONTENT_TYPE: str = exposition.CONTENT_TYPE_LATEST

_One = TypeVar("_One")
_Key = TypeVar("_Key", bound=Hashable)
_Place = tuple[str, str]


def export_metrics(
    points: Sequence[HistoryPoint],
    *,
    checks: Sequence[Check] = (),
    alerts: Sequence[Alert] = (),
    promotions: Sequence[Promotion] = (),
    noise: Sequence[NoiseFloor] = (),
    core_counts: Mapping[str, int] | None = None,
) -> bytes:
    """
    Return OpenMetrics text, UTF-8.

    Args:
        points: Any part of a history; of each series the newest point counts, also a marked one.
        checks: The newest of each workload and hardware class counts, for a machine the newest of each host.
        alerts: All that shall be counted.
        promotions: The newest of each workload and hardware class counts.
        noise: What comparisons can resolve, one for each hardware class.
        core_counts: Hardware class -> cores, for core time; a class that is missing has none.
    """
    newest = _newest(points, key=lambda one: one.key, order=lambda one: one.run_ulid)
    families = Families()
    _add_results(families, newest.values())
    _add_costs(families, newest.values(), core_counts or {})
    _add_promoted(families, newest, promotions)
    _add_checks(families, checks)
    _add_alerts(families, alerts, {_place_of(one) for one in newest if one.workload != CANARY})
    for floor in noise:
        where = {"hardware_class": floor.hardware_class}
        families.gauge("perflib_machine_noise_ratio", where, floor.sd_ratio)
        for seen in floor.visible:
            effect = {"effect_ratio": f"{seen.effect_ratio:g}"}
            families.gauge("perflib_visible_effect_lives", where | effect, seen.lives_count)
    registry = CollectorRegistry()
    registry.register(families)
    text: bytes = exposition.generate_latest(registry)  # type: ignore[no-untyped-call]
    return text


def write_metrics(
    path: Path,
    points: Sequence[HistoryPoint],
    *,
    checks: Sequence[Check] = (),
    alerts: Sequence[Alert] = (),
    promotions: Sequence[Promotion] = (),
    noise: Sequence[NoiseFloor] = (),
    core_counts: Mapping[str, int] | None = None,
) -> Path:
    """
    Write what `export_metrics` returns, so that a scrape sees the old file or the new one; return its path.

    Raises:
        DataError: If the folder cannot be written; the old file is untouched.
    """
    content = export_metrics(
        points, checks=checks, alerts=alerts, promotions=promotions, noise=noise, core_counts=core_counts
    )
    write_bytes(path, content)
    return path


def _add_results(families: Families, points: Iterable[HistoryPoint]) -> None:
    points = list(points)
    for point in points:
        if _is_as_declared(point):
            name, words = NAMES[point.metric]
            families.gauge(name, _labels(point.key) | words, point.value)
    own = [point for point in points if point.workload != CANARY]
    for last in _newest(own, key=lambda one: (_place_of(one.key), one.candidate), order=_run_order).values():
        where = {"workload": last.workload, "candidate": last.candidate, "hardware_class": last.hardware_class}
        families.gauge("perflib_result_timestamp_seconds", where, _since_1970_sec(last.recorded))
        families.gauge("perflib_result_marked", where, float(last.mark is not None))
    for place, last in _newest(own, key=lambda one: _place_of(one.key), order=_run_order).items():
        families.run(place, run_id=last.run_id, commit=last.commit)


def _add_costs(families: Families, points: Iterable[HistoryPoint], core_counts: Mapping[str, int]) -> None:
    for point in points:
        if point.metric == "examples_per_sec" and _is_as_declared(point) and point.value > 0:
            million_sec = 1e6 / point.value
            families.gauge("perflib_machine_seconds_per_million_examples", _labels(point.key), million_sec)
            if point.hardware_class in core_counts:
                cores_sec = million_sec * core_counts[point.hardware_class]
                families.gauge("perflib_core_seconds_per_million_examples", _labels(point.key), cores_sec)


def _add_promoted(
    families: Families, newest: Mapping[SeriesKey, HistoryPoint], promotions: Sequence[Promotion]
) -> None:
    last = _newest(promotions, key=lambda one: (one.workload, one.hardware_class), order=lambda one: one.ulid)
    for (workload, hardware_class), promotion in last.items():
        where = {"workload": workload, "candidate": promotion.candidate, "hardware_class": hardware_class}
        families.gauge("perflib_promoted", where, 1.0)
        for key, point in newest.items():
            if (*_place_of(key), key.candidate) != (workload, hardware_class, promotion.candidate):
                continue
            # Both ran side by side for this ratio; the two throughputs may come from different hours.
            if key.metric == "speedup_ratio" and _is_as_declared(point) and point.value > 0:
                families.gauge("perflib_machine_seconds_saved_ratio", _labels(key), 1 - 1 / point.value)


def _add_checks(families: Families, checks: Sequence[Check]) -> None:
    newest = _newest(checks, key=_place_of_check, order=_run_order)
    for place, check in newest.items():
        where = dict(zip(("workload", "hardware_class"), place, strict=True))
        families.gauge("perflib_check_exit_code", where, check.exit_code)
        families.gauge("perflib_check_timestamp_seconds", where, _since_1970_sec(check.checked))
        for direction, is_worse in (("worse", True), ("better", False)):
            suspect_count = sum(one.is_worse == is_worse for one in check.nominations)
            families.gauge("perflib_nominations", where | {"direction": direction}, suspect_count)
        for verdict in _words(Confirmation, "verdict"):
            verdict_count = sum(one.verdict == verdict for one in check.confirmations)
            families.gauge("perflib_confirmations", where | {"verdict": verdict}, verdict_count)
    # The series of the machine's own reference are in the checks of every workload.
    ordered = sorted(newest.values(), key=_run_order)
    for one in {one.series: one for check in ordered for one in check.series}.values():
        labels = _labels(one.series) | {"metric": one.series.metric}
        families.state(labels, one.state)
        families.gauge("perflib_noise_ratio", labels, one.noise_ratio)
        families.gauge("perflib_visible_effect_ratio", labels, one.visible_effect_ratio)
    for last in _newest(checks, key=lambda one: (one.hardware_class, one.host_id), order=_run_order).values():
        machine = {"hardware_class": last.hardware_class, "host_id": last.host_id}
        families.gauge("perflib_machine_quarantined", machine, float(last.quarantine.is_quarantined))


def _add_alerts(families: Families, alerts: Sequence[Alert], places: set[_Place]) -> None:
    """Count the alerts, with a 0 where there is none: an empty panel could also mean that nobody looked."""
    for workload, hardware_class in sorted(places | {(one.workload, one.hardware_class) for one in alerts}):
        here = [one for one in alerts if (one.workload, one.hardware_class) == (workload, hardware_class)]
        for kind in _words(Alert, "kind"):
            for state in get_args(AlertState):
                labels = {"workload": workload, "hardware_class": hardware_class, "kind": kind, "state": state}
                alert_count = sum((one.kind, one.state) == (kind, state) for one in here)
                families.gauge("perflib_alerts", labels, alert_count)


def _newest(items: Iterable[_One], *, key: Callable[[_One], _Key], order: Callable[[_One], str]) -> dict[_Key, _One]:
    """Return the last item of each key; of equal ones the later in the sequence."""
    found: dict[_Key, _One] = {}
    for one in items:
        name = key(one)
        if name not in found or order(one) >= order(found[name]):
            found[name] = one
    return found


def _run_order(one: HistoryPoint | Check) -> str:
    return one.run_ulid


def _is_as_declared(point: HistoryPoint) -> bool:
    """Say whether a point has the unit of its metric: another one would make the name a lie."""
    return point.metric in NAMES and point.unit == METRICS[point.metric].unit


def _labels(key: SeriesKey) -> dict[str, str]:
    names = ("workload", "candidate", "scenario", "hardware_class")
    return {name: getattr(key, name) for name in names}


def _place_of(key: SeriesKey) -> _Place:
    return key.workload, key.hardware_class


def _place_of_check(check: Check) -> _Place:
    """Name the workload of a check, which is that of its series; the canary belongs to the machine."""
    workloads = {one.series.workload for one in check.series} - {CANARY}
    return min(workloads, default=""), check.hardware_class


def _words(kind: type[Any], field: str) -> tuple[str, ...]:
    """Return the words that a field of a record may hold."""
    return get_args(get_type_hints(kind)[field])


def _since_1970_sec(moment: str) -> float | None:
    try:
        when = datetime.datetime.fromisoformat(moment)
    except ValueError:
        return None
    return (when if when.tzinfo else when.replace(tzinfo=datetime.UTC)).timestamp()
