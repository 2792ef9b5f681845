"""Where the time of a model goes, what the machine would allow, and what an engineer concludes from both."""

import dataclasses
from typing import Any, ClassVar, Literal

from perflib.records import Record
from perflib.results.speed import Comparison, Interval

# What an engineer asks about, in the order in which it is shown. The last three are no operators: Python and dispatch
# between them, moments in which nothing ran, and what the clock saw but the profiler did not.
KINDS = (
    *("matrix", "attention", "normalisation", "elementwise", "reduction", "embedding", "memory", "quantization"),
    *("fused", "other", "framework", "idle", "unattributed"),
)


@dataclasses.dataclass(frozen=True)
class OperatorTime:
    """
    One operator of a profile, over all its calls; self time is without the operators it calls.

    ``self_share_ratio`` is of the self time of all operators. ``moved_bytes`` are its inputs and its output, once.
    """

    operator: str
    kind: str
    call_count: int
    self_sec: float
    total_sec: float
    self_share_ratio: float
    flop_count: int
    moved_bytes: int


@dataclasses.dataclass(frozen=True)
class ShapeTime:
    """
    All calls of one operator with the same shapes and the same precision of its products.

    The counters of an engine may give one time for a kernel at all lengths; it is then shared out over them.
    """

    operator: str
    kind: str
    shapes: str
    precision: str
    call_count: int
    self_sec: float
    flop_count: int
    moved_bytes: int


@dataclasses.dataclass(frozen=True)
class ModuleTime:
    """One module of the model: ``self_sec`` is what ran for it and for none of its children."""

    module: str
    call_count: int
    self_sec: float
    total_sec: float


@dataclasses.dataclass(frozen=True)
class KindTime:
    """One of `KINDS`; the shares of all kinds are of the wall time of the active steps and sum to 1."""

    kind: str
    self_sec: float
    share_ratio: float


@dataclasses.dataclass(frozen=True)
class MemoryPoint:
    """What the allocator had given out at a moment, counted from the first active step."""

    at_sec: float
    allocated_bytes: int


@dataclasses.dataclass(frozen=True)
class Profile(Record):
    """
    Where the time of a model goes in one scenario, by operator, shape, module and kind; a trace may lie beside it.

    A step is one pass over the scenario's sample, in ``calls_per_step_count`` calls, as the artifact is served.
    Counts, seconds, FLOPs and bytes are sums over all active steps. ``source`` is the profiler that saw it.
    ``step_token_count`` includes padding, ``real_token_count`` does not; both are the example count without tokens.
    ``wall_sec`` is watched and so too long; ``unwatched_sec`` is the same steps in the same process without the
    profiler. Modules, memory and trace are empty where an engine's own counters do not tell.
    """

    schema: ClassVar[str] = "perflib/profile/2"

    name: str
    scenario: Literal["single", "offline"]
    artifact_sha256: str
    engine: str
    precision: str
    device: str
    source: str
    thread_count: int
    calls_per_step_count: int
    step_example_count: int
    step_token_count: int
    real_token_count: int
    active_step_count: int
    wall_sec: float
    unwatched_sec: float
    operators: tuple[OperatorTime, ...]
    shapes: tuple[ShapeTime, ...]
    modules: tuple[ModuleTime, ...]
    kinds: tuple[KindTime, ...]
    memory: tuple[MemoryPoint, ...]
    peak_allocated_bytes: int | None
    trace_folder: str
    trace_files: tuple[str, ...]

    @property
    def overhead_ratio(self) -> float:
        """How much longer the steps took under the profiler: 0.1 is a tenth longer."""
        return self.wall_sec / self.unwatched_sec - 1

    @property
    def padding_ratio(self) -> float:
        """The share of the computed tokens that is padding."""
        return 1 - self.real_token_count / self.step_token_count

    @property
    def step_sec(self) -> float:
        """What one step takes when nobody watches."""
        return self.unwatched_sec / self.active_step_count

    def share_ratio(self, *kinds: str) -> float:
        """Return the share of wall time that some kinds take together."""
        return sum(one.share_ratio for one in self.kinds if one.kind in kinds)


@dataclasses.dataclass(frozen=True)
class RooflinePoint:
    """
    All calls of one operator with the same shapes, under the roof of its precision.

    ``attainable_sec`` is the larger of its operations over the peak and its bytes over the bandwidth.
    """

    operator: str
    kind: str
    shapes: str
    precision: str
    call_count: int
    self_sec: float
    flop_count: int
    moved_bytes: int
    attainable_sec: float

    @property
    def intensity_flop_per_byte(self) -> float:
        """Operations for each byte that has to be moved."""
        return self.flop_count / self.moved_bytes

    @property
    def achieved_flop_per_sec(self) -> float:
        """Operations a second, as seen."""
        return self.flop_count / self.self_sec

    @property
    def reached_ratio(self) -> float:
        """Share of what the roof allows; above 1 where caches gave what memory could not."""
        return self.attainable_sec / self.self_sec


@dataclasses.dataclass(frozen=True)
class Roofline(Record):
    """
    The products of one profile under the measured roof of the machine.

    ``floor_sec`` is what all products need at best, ``step_sec`` what a step took unwatched; both are of one step.
    """

    schema: ClassVar[str] = "perflib/roofline/1"

    name: str
    scenario: str
    artifact_sha256: str
    thread_count: int
    points: tuple[RooflinePoint, ...]
    floor_sec: float
    step_sec: float

    @property
    def limit_ratio(self) -> float:
        """How many times as fast a step could be, if its products reached the roof and nothing else took time."""
        return self.step_sec / self.floor_sec


@dataclasses.dataclass(frozen=True)
class Finding:
    """
    One hypothesis: what takes time, how one knows, what it would save, and which experiment tells.

    ``share_ratio`` of the scenario's time is touched, and that part is assumed to become ``part_speedup_ratio`` times
    as fast (None: it goes away); ``predicted_speedup_ratio`` follows by Amdahl's law. ``experiment`` names a file of
    ``params/experiments``, empty where there is none; ``recipe`` is what to try, from the baseline on where the
    artifact itself cannot be changed that way.
    """

    rule: str
    scenario: str
    claim: str
    evidence: str
    share_ratio: float
    part_speedup_ratio: float | None
    predicted_speedup_ratio: float
    assumption: str
    experiment: str
    recipe: tuple[dict[str, Any], ...]

    @property
    def saving_ratio(self) -> float:
        """The share of the scenario's time that it would save."""
        return 1 - 1 / self.predicted_speedup_ratio


@dataclasses.dataclass(frozen=True)
class Findings(Record):
    """What a profile, the roof, the machine and the recipe let one expect, the largest saving first."""

    schema: ClassVar[str] = "perflib/findings/1"

    name: str
    artifact_sha256: str
    hardware_class: str
    findings: tuple[Finding, ...]


Outcome = Literal["confirmed", "refuted", "undecided", "not tried"]


@dataclasses.dataclass(frozen=True)
class FindingOutcome:
    """What became of a finding: the measured ratio of its experiment in its scenario, and what that says."""

    finding: Finding
    measured_ratio: Interval | None
    outcome: Outcome


@dataclasses.dataclass(frozen=True)
class BreakevenCell:
    """
    One batch size at one length: the ratio that was predicted, and the one that was measured later.

    ``length_token_count`` is 1 where inputs have no length.
    """

    batch_example_count: int
    length_token_count: int
    predicted_ratio: float
    measured_ratio: Interval | None
    verdict: str
    lives_count: int

    @property
    def is_right(self) -> bool | None:
        """Whether the predicted sign came true; None where the cell was not decided, and a tie is right nowhere."""
        if self.verdict == "IMPROVEMENT":
            return self.predicted_ratio > 1
        return self.predicted_ratio < 1 if self.verdict == "REGRESSION" else None


@dataclasses.dataclass(frozen=True)
class Breakeven(Record):
    """
    Where a candidate is faster than the baseline, and where it is slower, over batch size and length.

    ``probes_sec`` are the timings that the prediction was made from: batch, length, baseline, candidate.
    ``predicted_at`` is a time before ``measured_at``; that and ``comparison``, which holds every sample of the cells,
    are None until the map was measured.
    """

    schema: ClassVar[str] = "perflib/breakeven/1"

    name: str
    baseline_sha256: str
    candidate_sha256: str
    probes_sec: tuple[tuple[int, int, float, float], ...]
    predicted_at: str
    measured_at: str | None
    cells: tuple[BreakevenCell, ...]
    comparison: Comparison | None = None
