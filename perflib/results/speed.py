"""
How much faster, and how sure: every slot, toss and reading of a comparison, and what follows from them.

The order of nesting is the order of chance: a comparison has lives (pairs of fresh processes), a life has units (quads
of slots), a slot has calls. Only lives count as evidence.
"""

import dataclasses
from typing import ClassVar, Literal

from perflib.records import Record

SpeedVerdict = Literal["IMPROVEMENT", "PASS", "REGRESSION", "INCONCLUSIVE"]
# Why a comparison ended: every verdict reached, lives or time spent, an effect that this machine cannot resolve, a
# person's Ctrl-C, or an arm that failed. `running` stands in the record that is kept after every life.
StopReason = Literal["decided", "lives-spent", "budget-spent", "hopeless", "interrupted", "arm-failed", "running"]


@dataclasses.dataclass(frozen=True)
class Interval:
    """An estimate with its bounds; a bound is None until the data can carry it. ``level_ratio`` is the coverage."""

    estimate: float
    low: float | None
    high: float | None
    level_ratio: float


@dataclasses.dataclass(frozen=True)
class Readings:
    """
    What the machine did while one unit ran, both arms together; None where it cannot be read.

    ``psi_*_ratio`` are shares of the unit's time in which some task of the host had to wait (pressure stall
    information), ``steal_ratio`` the share of processor time that the hypervisor gave to others,
    ``other_load_core_count`` the cores that were busy with anything but this comparison.
    """

    wall_sec: float
    parent_cpu_sec: float = 0.0
    other_load_core_count: float | None = None
    steal_ratio: float | None = None
    psi_cpu_ratio: float | None = None
    psi_memory_ratio: float | None = None
    psi_io_ratio: float | None = None
    involuntary_switch_count: int | None = None
    cpu_mhz: float | None = None
    throttle_count: int | None = None
    gpu_sm_clock_mhz: float | None = None
    gpu_throttle_bits: int | None = None
    gpu_temperature_celsius: float | None = None
    gpu_process_count: int | None = None


@dataclasses.dataclass(frozen=True)
class Unit:
    """
    Four slots, ``ABBA`` or ``BAAB`` as a coin fell (A is the baseline).

    ``samples_sec`` has one tuple per slot in run order, each with every call's seconds; ``energy_joule`` one value per
    slot. ``dropped`` is the reason why the whole unit does not count: a rule that sees neither arms nor times.
    """

    order: Literal["ABBA", "BAAB"]
    samples_sec: tuple[tuple[float, ...], ...]
    readings: Readings | None = None
    energy_joule: tuple[float | None, ...] | None = None
    dropped: str | None = None


@dataclasses.dataclass(frozen=True)
class Life:
    """
    One pair of fresh processes, the unit of evidence.

    ``log_ratio`` is the mean (of more than two units the Hodges-Lehmann estimate) of ln(candidate) - ln(baseline) over
    the counted units: positive costs more; None where every unit was dropped. ``first_loaded`` is the arm that a coin
    gave to the process started first. ``is_steady`` says whether both arms' last five warm-up slots were level before
    the first slot was timed.
    """

    first_loaded: Literal["baseline", "candidate"]
    units: tuple[Unit, ...]
    log_ratio: float | None
    warmup_slot_count: int = 0
    is_steady: bool = True


@dataclasses.dataclass(frozen=True)
class Percentile:
    """One percentile of single calls with its distribution-free 95 % interval from order statistics."""

    share_ratio: float
    estimate_sec: float
    low_sec: float
    high_sec: float
    call_count: int


@dataclasses.dataclass(frozen=True)
class ArmTiming:
    """
    One arm of one scenario in everyday numbers, over all counted units.

    ``slot_sec`` is the median slot value for one pass; ``tokens_per_sec`` counts real tokens, never padding;
    ``percentiles`` holds those that the number of calls supports.
    """

    slot_sec: float
    examples_per_sec: float
    tokens_per_sec: float | None
    joule_per_example: float | None
    percentiles: tuple[Percentile, ...]


@dataclasses.dataclass(frozen=True)
class ScenarioComparison:
    """
    Baseline against candidate in one scenario, summary beside raw samples.

    ``speedup_ratio`` is baseline time over candidate time; above 1 the candidate is faster.
    ``evidence`` is E for "the candidate is faster": 1/alpha decides, values from independent days may be multiplied.
    ``reached_mde_ratio`` is the smallest slowdown that this run rules out, as a share; None where it rules out none.
    ``dropped_unit_ratio`` is the share of units that the gating rules took out.
    ``latency_target_sec`` is what a server has to keep; None in the other scenarios. ``visible_effect_ratio`` is the
    smallest slowdown that so many lives of this noise can be expected to find; None for too few lives.
    """

    scenario: str
    statistic: str
    verdict: SpeedVerdict
    speedup_ratio: Interval
    evidence: float
    reached_mde_ratio: float | None
    baseline: ArmTiming
    candidate: ArmTiming
    examples_per_slot_count: int
    passes_per_slot_count: int
    dropped_unit_ratio: float
    latency_target_sec: float | None
    lives: tuple[Life, ...]
    visible_effect_ratio: float | None = None

    @property
    def log_ratios(self) -> tuple[float, ...]:
        """The values that count as evidence, one per life that has one."""
        return tuple(life.log_ratio for life in self.lives if life.log_ratio is not None)


@dataclasses.dataclass(frozen=True)
class Process:
    """One worker process of a life: what chance gave it and what it took."""

    is_first: bool
    hash_seed: int
    padding_bytes: int
    load_sec: float
    peak_rss_bytes: int | None
    peak_device_bytes: int | None


@dataclasses.dataclass(frozen=True)
class LifeProcesses:
    """
    Both processes of one life, shared by its scenarios.

    ``cpus`` is the shuffled order of processors: an arm of fewer threads ran on the first of them.
    """

    baseline: Process
    candidate: Process
    cpus: tuple[int, ...] = ()


@dataclasses.dataclass(frozen=True)
class MetricComparison:
    """
    A secondary metric under the same exact test, one value per life.

    ``ratio`` is candidate over baseline, below 1 is less; ``finding`` is corrected for the number of metrics (e-BH).
    """

    metric: str
    ratio: Interval
    evidence_less: float
    evidence_more: float
    finding: Literal["less", "more", "no claim"]


@dataclasses.dataclass(frozen=True)
class ArmEnvironment:
    """What an arm ran under: its command line, Python and the versions of what its engine needs."""

    command: tuple[str, ...]
    python: str
    versions: dict[str, str]


@dataclasses.dataclass(frozen=True)
class Comparison(Record):
    """
    How much faster a candidate is than the baseline, with what was tossed, timed and assumed.

    ``stop`` says why it ended and ``stop_sentence`` what to do where it was not decided; ``marks`` lists what disturbed
    it; ``parent_core_ratio`` is the share of one core that the parent used while units were timed.
    """

    schema: ClassVar[str] = "perflib/comparison/2"

    name: str
    baseline_sha256: str
    candidate_sha256: str
    inputs_sha256: str
    hardware_class: str
    is_baseline_runtime: bool
    seed: int
    alpha_ratio: float
    tolerance_ratio: float
    mde_ratio: float
    stop: StopReason
    stop_sentence: str
    marks: tuple[str, ...]
    scenarios: tuple[ScenarioComparison, ...]
    metrics: tuple[MetricComparison, ...]
    processes: tuple[LifeProcesses, ...]
    baseline_environment: ArmEnvironment
    candidate_environment: ArmEnvironment
    parent_core_ratio: float
    wall_sec: float

    @property
    def is_slower_everywhere(self) -> bool:
        """Whether every scenario that was timed found a regression."""
        return bool(self.scenarios) and all(one.verdict == "REGRESSION" for one in self.scenarios)

    def peak_rss_bytes(self, arm: Literal["baseline", "candidate"]) -> int | None:
        """Return the most memory that any process of an arm has held; None where it is not known."""
        peaks = [getattr(pair, arm).peak_rss_bytes for pair in self.processes]
        return max((peak for peak in peaks if peak is not None), default=None)


@dataclasses.dataclass(frozen=True)
class EvidencePath:
    """
    How one scenario came to its verdict, life by life; derived from a comparison, for figures.

    Each tuple has one entry per counted life: the life's own speed-up, the estimate and interval of all lives so far,
    and the natural logs of the evidence for each verdict. A bound is None until both exist.
    """

    scenario: str
    verdict: SpeedVerdict
    alpha_ratio: float
    tolerance_ratio: float
    mde_ratio: float
    speedup_ratios: tuple[float, ...]
    estimate_ratios: tuple[float, ...]
    low_ratios: tuple[float | None, ...]
    high_ratios: tuple[float | None, ...]
    log_evidence_faster: tuple[float, ...]
    log_evidence_slower: tuple[float, ...]
    log_evidence_no_regression: tuple[float, ...]


@dataclasses.dataclass(frozen=True)
class VisibleEffect:
    """An effect, as a share, and the lives that a comparison needs to see it."""

    effect_ratio: float
    lives_count: int


@dataclasses.dataclass(frozen=True)
class NoiseFloor(Record):
    """
    What a comparison can resolve on this machine, from lives of one artifact against itself.

    ``sd_ratio`` is the robust standard deviation of a life's log-ratio, None where every life was disturbed;
    ``visible`` says how many lives the usual effects need.
    """

    schema: ClassVar[str] = "perflib/noise/1"

    hardware_class: str
    lives_count: int
    sd_ratio: float | None
    alpha_ratio: float
    visible: tuple[VisibleEffect, ...]
    wall_sec: float
