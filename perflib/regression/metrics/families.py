"""
What the metrics are called out there, and the samples of each name, as the library of Prometheus wants them.

Names follow the conventions of Prometheus: base units, and the unit at the end of the name. Every number is a gauge, as
it was measured; a number that is not known is left out.
"""

import math
from collections.abc import Iterable, Mapping
from typing import get_args, get_type_hints

from prometheus_client import Metric
from prometheus_client.core import GaugeMetricFamily, InfoMetricFamily, StateSetMetricFamily

from perflib.results.regression import SeriesCheck

SERIES_STATES: tuple[str, ...] = get_args(get_type_hints(SeriesCheck)["state"])
# Metric of a series -> its name out there, and the labels that tell it from others of that name.
NAMES: dict[str, tuple[str, dict[str, str]]] = {
    "p50_sec": ("perflib_latency_seconds", {"percentile": "50"}),
    "p95_sec": ("perflib_latency_seconds", {"percentile": "95"}),
    "examples_per_sec": ("perflib_throughput_examples_per_second", {}),
    "speedup_ratio": ("perflib_speedup_ratio", {}),
    "load_sec": ("perflib_load_seconds", {}),
    "peak_rss_bytes": ("perflib_peak_memory_bytes", {}),
    "size_bytes": ("perflib_artifact_size_bytes", {}),
    "accuracy_ratio": ("perflib_accuracy_ratio", {}),
    "level_sec": ("perflib_canary_level_seconds", {}),
    "sd_ratio": ("perflib_canary_noise_ratio", {}),
}
_HELP = {
    "perflib_latency_seconds": "Time of one call, by percentile of the calls.",
    "perflib_throughput_examples_per_second": "Examples answered in a second.",
    "perflib_speedup_ratio": "Time of the baseline over that of the candidate, run side by side; above 1 is faster.",
    "perflib_load_seconds": "Time until a fresh process can answer.",
    "perflib_peak_memory_bytes": "The most memory that a process held.",
    "perflib_artifact_size_bytes": "The model's size on disk.",
    "perflib_accuracy_ratio": "Share of right answers on the test split.",
    "perflib_canary_level_seconds": "Time of the machine's frozen reference workload.",
    "perflib_canary_noise_ratio": "Robust standard deviation of the reference workload's log-ratio.",
    "perflib_result_timestamp_seconds": "When the newest result was measured, in seconds since 1970.",
    "perflib_result_marked": "1 where the newest result is no baseline for others, as on a quarantined machine.",
    "perflib_promoted": "1 for the candidate that a person promoted last.",
    "perflib_machine_seconds_per_million_examples": "Time that one machine needs for a million examples.",
    "perflib_core_seconds_per_million_examples": "Machine time for a million examples times the machine's cores.",
    "perflib_machine_seconds_saved_ratio": "Share of the baseline's machine time that the promoted candidate saves.",
    "perflib_check_exit_code": "Exit code of the newest check: 0 nothing is worse, 3 it is worse, 5 not decided.",
    "perflib_check_timestamp_seconds": "When the newest check was made, in seconds since 1970.",
    "perflib_nominations": "Series that the newest check suspects, by what the change would mean.",
    "perflib_confirmations": "What paired reruns of the newest check said.",
    "perflib_machine_quarantined": "1 while the machine may not speak.",
    "perflib_noise_ratio": "Robust standard deviation of a point about its series' level.",
    "perflib_visible_effect_ratio": "The smallest step of a series that would be noticed at once.",
    "perflib_alerts": "Alerts by kind and state.",
    "perflib_machine_noise_ratio": "Robust standard deviation of a life's log-ratio, of one artifact against itself.",
    "perflib_visible_effect_lives": "Lives that a comparison needs to see an effect of this share.",
}
_UNITS = ("seconds_per_million_examples", "examples_per_second", "seconds", "bytes", "ratio")


class Families:
    """Samples by the name of their metric, as the library wants them from somebody who has measured already."""

    def __init__(self) -> None:
        self._gauges: dict[str, GaugeMetricFamily] = {}
        self._runs: dict[tuple[str, str], dict[str, str]] = {}
        self._states: list[tuple[dict[str, str], str]] = []

    def gauge(self, name: str, labels: Mapping[str, str], value: float | None) -> None:
        """Add a number, unless it is not known."""
        if value is None or not math.isfinite(value):
            return
        if name not in self._gauges:
            unit = next((unit for unit in _UNITS if name.endswith(f"_{unit}")), "")
            self._gauges[name] = GaugeMetricFamily(name, _HELP[name], labels=list(labels), unit=unit)
        self._gauges[name].add_metric(list(labels.values()), value)

    def run(self, place: tuple[str, str], **facts: str) -> None:
        """Add what is known about the newest run of a place."""
        self._runs[place] = facts

    def state(self, labels: dict[str, str], state: str) -> None:
        """Add the state of a series."""
        self._states.append((labels, state))

    def collect(self) -> Iterable[Metric]:
        """Return everything; the library asks for it."""
        found: list[Metric] = list(self._gauges.values())
        if self._runs:
            runs = InfoMetricFamily("perflib_run", "The newest run.", labels=["workload", "hardware_class"])
            for place, facts in self._runs.items():
                runs.add_metric(place, facts)
            found.append(runs)
        if self._states:
            names = list(self._states[0][0])
            states = StateSetMetricFamily(
                "perflib_series_state", "What the newest check made of a series.", labels=names
            )
            for labels, state in self._states:
                states.add_metric(list(labels.values()), {one: one == state for one in SERIES_STATES})
            found.append(states)
        return found
