"""What the watch found: change points, nominations, paired reruns, checks and alerts."""

import dataclasses
from typing import ClassVar, Literal

from perflib.records import Record
from perflib.results.history import Component, Family, SeriesKey
from perflib.results.speed import Comparison, Interval

# Which rule nominated: a segment of the rank CUSUM, a few runs far from the level, many runs on one side of it, a slow
# drift, or an exact metric that changed.
NominationRule = Literal["segment", "level", "signs", "drift", "exact"]


@dataclasses.dataclass(frozen=True)
class ChangePoint:
    """
    Where the level of a series changed.

    ``index`` is the first point of the new level. ``shift_ratio`` is new level over old, with its interval.
    """

    index: int
    rule: NominationRule
    shift_ratio: Interval
    before_count: int
    after_count: int


@dataclasses.dataclass(frozen=True)
class SeriesScan:
    """
    What the detector sees in one series of n points.

    ``noise_ratio`` is the robust standard deviation of a point about its level (of the logarithm), ``rho_ratio`` the
    lag-1 autocorrelation of the residuals. ``spikes`` are indices of isolated points, which count for nothing.
    ``levels`` holds the level of each segment, in the unit of the values, one more than there are change points.
    """

    point_count: int
    noise_ratio: float
    rho_ratio: float
    spikes: tuple[int, ...]
    change_points: tuple[ChangePoint, ...]
    levels: tuple[float, ...]


@dataclasses.dataclass(frozen=True)
class Nomination:
    """
    A suspect: one series whose level seems to have changed, and between which runs.

    ``shift_ratio`` is new over old value, in the metric's own direction; ``is_worse`` says what that means.
    ``good_*`` is the newest run before the change, ``since_*`` the first run after it. ``before_value`` and
    ``after_value`` are the two levels in ``unit``.
    """

    series: SeriesKey
    family: Family
    rule: NominationRule
    is_worse: bool
    shift_ratio: Interval
    before_value: float
    after_value: float
    unit: str
    good_run_id: str
    good_run_ulid: str
    since_run_id: str
    since_run_ulid: str
    after_count: int


SeriesState = Literal["first", "too few", "quiet", "nominated", "better", "known"]


@dataclasses.dataclass(frozen=True)
class SeriesCheck:
    """
    What one check made of one series.

    ``visible_effect_ratio`` is the smallest step that the detector would nominate at once, from the noise of this
    series; None where there are too few points.
    """

    series: SeriesKey
    state: SeriesState
    point_count: int
    value: float
    unit: str
    noise_ratio: float | None
    visible_effect_ratio: float | None
    nomination: Nomination | None


@dataclasses.dataclass(frozen=True)
class Canary(Record):
    """
    A frozen reference workload against itself at the start of a job: is this machine as it always is?

    ``level_sec`` is the median time of one pass, ``sd_ratio`` the robust standard deviation of a unit's log-ratio, and
    ``unit_levels_sec`` the level of each unit, which says how sure the whole one is.
    ``evidence`` is E for "the two equal arms differ", which on a sound machine stays small.
    """

    schema: ClassVar[str] = "perflib/canary/1"

    name: str
    hardware_class: str
    level_sec: float
    sd_ratio: float
    evidence: float
    unit_count: int
    throttle_count: int | None
    steal_ratio: float | None
    unit_levels_sec: tuple[float, ...] = ()


@dataclasses.dataclass(frozen=True)
class Quarantine:
    """
    Whether a machine may speak: None of its results is a baseline, and none pages, while ``is_quarantined``.

    ``clean_count`` of the last canaries were clean; three release it.
    """

    is_quarantined: bool
    reasons: tuple[str, ...]
    clean_count: int


@dataclasses.dataclass(frozen=True)
class Rerun:
    """
    One paired rerun: the last good state against itself with some components taken from the suspect.

    ``is_worse`` is None where it was not decided; then ``sentence`` says what could have been seen.
    """

    swapped: tuple[Component, ...]
    package: str | None
    is_worse: bool | None
    ratio: Interval | None
    evidence: float | None
    sentence: str


@dataclasses.dataclass(frozen=True)
class Culprit:
    """A component that makes it worse by itself; ``detail`` names the package or the digests, in words."""

    component: Component
    detail: str
    ratio: Interval | None


@dataclasses.dataclass(frozen=True)
class Confirmation:
    """
    What a paired rerun said about the nominations of one candidate and one family.

    ``CONFIRMED``: the suspect is worse than the last good one, both run now on this machine. ``MACHINE``: the last good
    one is as slow today. ``WITHDRAWN``: it is not worse when run side by side. ``INCONCLUSIVE``: not decided.
    ``ratio`` is suspect over last good: cost for speed, memory and size; for quality the change of the share of right
    answers (a difference, negative is worse). ``lives_count`` is how many pairs of processes it took; None where none.
    """

    candidate: str
    family: Family
    verdict: Literal["CONFIRMED", "WITHDRAWN", "MACHINE", "INCONCLUSIVE"]
    ratio: Interval | None
    culprits: tuple[Culprit, ...]
    reruns: tuple[Rerun, ...]
    good_run_id: str
    sentence: str
    lives_count: int | None = None
    comparisons: tuple[Comparison, ...] = ()


@dataclasses.dataclass(frozen=True)
class Check(Record):
    """
    One look at a run against the history of its hardware class: nominated, confirmed, told.

    ``machine`` describes the computer in words, ``noise_sentence`` what it can see. ``appeared`` and ``disappeared``
    list series that the run before did not have, or that this one lacks.
    """

    schema: ClassVar[str] = "perflib/check/1"

    run_id: str
    run_ulid: str
    checked: str
    hardware_class: str
    host_id: str
    machine: str
    quarantine: Quarantine
    canaries: tuple[Canary, ...]
    noise_sentence: str
    series: tuple[SeriesCheck, ...]
    appeared: tuple[SeriesKey, ...]
    disappeared: tuple[SeriesKey, ...]
    confirmations: tuple[Confirmation, ...]
    alert_ulids: tuple[str, ...]
    exit_code: int
    sentence: str

    @property
    def nominations(self) -> tuple[Nomination, ...]:
        """Every series that was nominated, for the worse or for the better."""
        return tuple(one.nomination for one in self.series if one.nomination is not None)


AlertState = Literal[
    "NOMINATED", "CONFIRMING", "OPEN", "ACKED", "FIXED", "ACCEPTED", "INVALID", "MACHINE", "DOWNSTREAM"
]
OPEN_STATES: tuple[AlertState, ...] = ("NOMINATED", "CONFIRMING", "OPEN", "ACKED")


@dataclasses.dataclass(frozen=True)
class AlertEvent:
    """One change of an alert: when (UTC), by whom, into which state, and why."""

    when: str
    who: str
    state: AlertState
    reason: str


@dataclasses.dataclass(frozen=True)
class Alert(Record):
    """
    One regression, told once: merged over all series whose suspect ranges overlap on one hardware class.

    ``kind`` is ``benchmark`` where a series cried wolf too often: then the benchmark is to be mended, nobody's change.
    ``good_*`` and ``since_*`` are the ends of the suspect range. ``snoozed_until`` is a UTC time or None.
    """

    schema: ClassVar[str] = "perflib/alert/1"

    ulid: str
    kind: Literal["performance", "benchmark"]
    state: AlertState
    workload: str
    hardware_class: str
    host_id: str
    machine: str
    nominations: tuple[Nomination, ...]
    confirmations: tuple[Confirmation, ...]
    good_run_id: str
    good_run_ulid: str
    since_run_id: str
    since_run_ulid: str
    run_id: str
    owner: str | None
    snoozed_until: str | None
    events: tuple[AlertEvent, ...]


@dataclasses.dataclass(frozen=True)
class Delivery:
    """
    One message of one alert to one channel: sent once, kept until it arrived.

    ``status`` is ``pending`` while it waits for another try. ``trouble`` never holds a secret.
    """

    alert_ulid: str
    channel: str
    state: AlertState
    status: Literal["pending", "sent", "given up"]
    attempt_count: int
    last_tried: str | None
    trouble: str | None
