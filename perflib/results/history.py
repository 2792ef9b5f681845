"""
What runs have measured over time: one point for each result, and what a change of it would mean.

A **series** is one metric of one candidate in one scenario on one hardware class. A point carries the digests of
everything that could have caused its value, so that two points say what has changed between them.
"""

import dataclasses
from typing import ClassVar, Literal

from perflib.records import Record

Family = Literal["speed", "memory", "size", "quality", "machine"]
# What may differ between two runs of one series, in the order in which it is asked.
Component = Literal["artifact", "lock", "parameters", "data"]
COMPONENTS: tuple[Component, ...] = ("artifact", "lock", "parameters", "data")
# Metrics that belong to no scenario are kept under this word.
NO_SCENARIO = "all"
# Fewer runs say too little about the noise of a series to accuse anyone.
LEAST_RUNS_COUNT = 20
# The workload under which a machine's own reference measurements are kept.
CANARY = "canary"


@dataclasses.dataclass(frozen=True)
class Metric:
    """
    What a series measures.

    ``better`` says which way is better. ``least_effect_ratio`` is the smallest change worth a person's time. An exact
    metric has no noise: the same artifact and data always give the same value, so a single point says all.
    """

    name: str
    unit: str
    family: Family
    better: Literal["less", "more"]
    least_effect_ratio: float = 0.02
    is_exact: bool = False


METRICS: dict[str, Metric] = {
    one.name: one
    for one in (
        Metric("p50_sec", "s", "speed", "less"),
        Metric("p95_sec", "s", "speed", "less"),
        Metric("examples_per_sec", "1/s", "speed", "more"),
        Metric("speedup_ratio", "1", "speed", "more"),
        Metric("load_sec", "s", "speed", "less"),
        Metric("peak_rss_bytes", "B", "memory", "less"),
        Metric("size_bytes", "B", "size", "less", 0.01, is_exact=True),
        Metric("accuracy_ratio", "1", "quality", "more", 0.005, is_exact=True),
        Metric("level_sec", "s", "machine", "less"),
        Metric("sd_ratio", "1", "machine", "less"),
    )
}


@dataclasses.dataclass(frozen=True, order=True)
class SeriesKey:
    """The name of one series; its words together, as ``str`` gives them, are unique."""

    workload: str
    candidate: str
    scenario: str
    metric: str
    hardware_class: str

    def __str__(self) -> str:
        """Return the words of the key for people, without the machine."""
        where = "" if self.scenario == NO_SCENARIO else f" {self.scenario}"
        return f"{self.workload} {self.candidate}{where} {self.metric}"


@dataclasses.dataclass(frozen=True)
class HistoryPoint(Record):
    """
    One result of one run: a row of the history.

    ``run_ulid`` orders a series, never the clock. ``artifact_sha256`` covers the weights and what reads them,
    ``parameters_sha256`` how they are served (runtime block and engine options), ``lock_sha256`` the installed
    packages, ``data_sha256`` the test split. ``mark`` says why the point is no baseline for others, such as a
    quarantined machine; None for a sound one.
    """

    schema: ClassVar[str] = "perflib/history-point/1"

    workload: str
    candidate: str
    scenario: str
    metric: str
    hardware_class: str
    value: float
    unit: str
    run_ulid: str
    run_id: str
    recorded: str
    commit: str
    artifact_sha256: str
    parameters_sha256: str
    lock_sha256: str
    data_sha256: str
    host_id: str
    operating_system: str
    driver: str | None
    image_digest: str | None
    mark: str | None

    @property
    def key(self) -> SeriesKey:
        """The series that this point belongs to."""
        return SeriesKey(self.workload, self.candidate, self.scenario, self.metric, self.hardware_class)

    def component_sha256(self, component: Component) -> str:
        """Return the digest of one thing that could have caused this value."""
        return str(getattr(self, f"{component}_sha256"))


@dataclasses.dataclass(frozen=True)
class Provenance(Record):
    """
    Where and under what a run measured, kept in the run so that it can enter a history later.

    ``mark`` is the reason why its results are no baseline for others; None for a sound run.
    """

    schema: ClassVar[str] = "perflib/provenance/1"

    workload: str
    host_id: str
    image_digest: str | None
    lock_sha256: str
    data_sha256: str
    recorded: str
    mark: str | None


@dataclasses.dataclass(frozen=True)
class LockedPackage:
    """One installed package of an environment."""

    name: str
    version: str


@dataclasses.dataclass(frozen=True)
class EnvironmentLock(Record):
    """Every installed package of the environment that a run measured in; packages sorted by name."""

    schema: ClassVar[str] = "perflib/environment-lock/1"

    python: str
    packages: tuple[LockedPackage, ...]


@dataclasses.dataclass(frozen=True)
class Good(Record):
    """
    A run whose artifact may stand for "as it was": what a suspect is held against.

    ``role`` says why it is kept: the first baseline, promoted by a person, or a run that the watch found nothing wrong
    with. ``artifact_sha256`` names the kept folder; the component of `HistoryPoint` is ``weights_sha256`` here.
    """

    schema: ClassVar[str] = "perflib/good/1"

    workload: str
    candidate: str
    hardware_class: str
    role: Literal["baseline", "promoted", "good"]
    run_ulid: str
    run_id: str
    recorded: str
    artifact_sha256: str
    weights_sha256: str
    parameters_sha256: str
    lock_sha256: str
    data_sha256: str
    size_bytes: int
    accuracy_ratio: float | None


@dataclasses.dataclass(frozen=True)
class Promotion(Record):
    """
    Which candidate of which run is the good one from now on, who said so, and on what evidence.

    ``manifest_sha256`` is the digest of the run's evidence pack, None where there was none. ``waivers`` say which gates
    somebody let pass. ``roi_p10_ratio`` is None while nobody has said that the prices are theirs.
    """

    schema: ClassVar[str] = "perflib/promotion/1"

    ulid: str
    workload: str
    candidate: str
    run_id: str
    run_ulid: str
    hardware_class: str
    artifact_sha256: str
    lock_sha256: str
    promoted: str
    promoted_by: str
    reason: str
    manifest_sha256: str | None = None
    waivers: tuple[str, ...] = ()
    roi_p10_ratio: float | None = None
