"""
The case that the rules look at: profiles, roofs, machine and recipe of one artifact, and what they all need from it.

A finding is made by `priced`, which leaves out what is not worth an experiment. Shares are of the time that the steps
take when nobody watches: the profiler's own time is taken off where it arises.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

from perflib import machine
from perflib.artifact import ArtifactSpec
from perflib.profiling.findings.amdahl import amdahl
from perflib.results import Ceilings, Finding, Profile, Roofline, RooflinePoint

# Five to eight lives of a usual comparison cannot tell less apart from noise, so no experiment would settle it.
MIN_SAVING_RATIO = 0.02
# Something is always left: a promise of more than fifty times would be an artefact of a share near 1.
MAX_SHARE_RATIO = 0.98

# Arithmetic; everything between it; and moments in which no operator worked.
PRODUCTS = ("matrix", "attention")
BETWEEN = ("normalisation", "elementwise", "memory")
DISPATCH = ("framework", "idle", "unattributed")


@dataclasses.dataclass(frozen=True)
class Circumstances:
    """
    What was measured beside the profiles; None where it was not, and the rules that need it are silent.

    Args:
        encode_share_ratio: Share of the end-to-end time that encoding takes, by scenario.
        load_sec: Cold start of one process: loading and the first call.
        calls_per_process: Calls that one process answers in its life.
        p50_sec: Median of a single call.
        thread_count: Threads that were asked for; None for those of the artifact's runtime block.
        core_count: Cores allotted; None for the machine card's.
        lengths: Real tokens of every input that is served, not of the profiled batch only.
    """

    encode_share_ratio: Mapping[str, float] = dataclasses.field(default_factory=dict)
    load_sec: float | None = None
    calls_per_process: int | None = None
    p50_sec: float | None = None
    thread_count: int | None = None
    core_count: int | None = None
    lengths: tuple[int, ...] | None = None


@dataclasses.dataclass(frozen=True)
class Case:
    """One artifact as everybody saw it; profiles and roofs by scenario."""

    profiles: Mapping[str, Profile]
    rooflines: Mapping[str, Roofline]
    card: machine.MachineCard
    ceilings: Ceilings
    spec: ArtifactSpec
    facts: Circumstances

    @property
    def is_eager(self) -> bool:
        """Whether Python calls one operator after the other, so that an engine could do better."""
        return self.spec.engine == "torch"

    @property
    def is_cuda(self) -> bool:
        """Whether it is served on a GPU."""
        return self.spec.runtime.device == "cuda"

    @property
    def core_count(self) -> int:
        """Cores that may be used."""
        return self.facts.core_count or self.card.core_count

    @property
    def thread_count(self) -> int:
        """Threads of each replica."""
        return self.facts.thread_count or self.spec.runtime.thread_count or self.card.thread_count

    def points(self, profile: Profile, *kinds: str) -> tuple[RooflinePoint, ...]:
        """Return the products of some kinds under the roof of a profile's scenario; none where no roof was drawn."""
        roofline = self.rooflines.get(profile.scenario)
        return tuple(point for point in roofline.points if point.kind in kinds) if roofline else ()

    def is_memory_bound(self, point: RooflinePoint) -> bool:
        """Say whether a point lies left of the ridge: its bytes take longer than its operations."""
        rate = self.ceilings.product_op_per_sec.get(point.precision, self.ceilings.fp32_flop_per_sec)
        return point.moved_bytes / self.ceilings.copy_bytes_per_sec > point.flop_count / rate


def busy_sec(profile: Profile) -> float:
    """
    Return the time of all active steps without what the profiler itself took.

    The profiler pays for every operator that it notes, between operators, so it can only have taken time there.
    """
    return profile.wall_sec - _overhead_sec(profile)


def share_ratio(profile: Profile, *kinds: str) -> float:
    """Return the share of `busy_sec` that some kinds take; ``DISPATCH`` is one kind here, without the overhead."""
    seen_sec = profile.share_ratio(*kinds) * profile.wall_sec
    taken_sec = _overhead_sec(profile) if set(DISPATCH) <= set(kinds) else 0.0
    return max(seen_sec - taken_sec, 0.0) / busy_sec(profile)


def calls_count(profile: Profile) -> int:
    """Return the calls of the model that a profile sums up."""
    return profile.active_step_count * profile.calls_per_step_count


def reached_ratio(points: tuple[RooflinePoint, ...]) -> float | None:
    """Return the share of the roof that products reach together; None without any."""
    seen_sec = sum(point.self_sec for point in points)
    return sum(point.attainable_sec for point in points) / seen_sec if seen_sec > 0 else None


def priced(
    rule: str,
    profile: Profile,
    *,
    claim: str,
    evidence: str,
    share_ratio: float,
    part_speedup_ratio: float | None,
    assumption: str,
    experiment: str = "",
    recipe: tuple[dict[str, Any], ...] = (),
) -> Finding | None:
    """Make a finding with its price by Amdahl's law; None where it saves too little to be seen."""
    share_ratio = min(share_ratio, MAX_SHARE_RATIO)
    predicted_ratio = amdahl(share_ratio, part_speedup_ratio)
    if 1 - 1 / predicted_ratio < MIN_SAVING_RATIO:
        return None
    return Finding(
        rule=rule,
        scenario=profile.scenario,
        claim=claim,
        evidence=evidence,
        share_ratio=share_ratio,
        part_speedup_ratio=part_speedup_ratio,
        predicted_speedup_ratio=predicted_ratio,
        assumption=assumption,
        experiment=experiment,
        recipe=recipe,
    )


def _overhead_sec(profile: Profile) -> float:
    between_sec = profile.share_ratio(*DISPATCH) * profile.wall_sec
    return min(max(profile.wall_sec - profile.unwatched_sec, 0.0), between_sec)
