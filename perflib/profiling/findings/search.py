"""Every rule on every profile, the largest predicted saving first."""

from collections.abc import Callable, Sequence

from perflib.artifact import ArtifactSpec
from perflib.errors import ParameterError
from perflib.machine import MachineCard
from perflib.profiling.findings import between, products, serving, waiting
from perflib.profiling.findings.case import Case, Circumstances
from perflib.results import Ceilings, Finding, Findings, Profile, Roofline

Rule = Callable[[Case, Profile], Finding | None]

RULES: tuple[Rule, ...] = (
    *(serving.padding_waste, serving.small_batch, serving.oversubscription),
    *(serving.idle_cores, serving.threads_of_a_small_call),
    *(between.dispatch, between.unfused, between.separate_attention, between.rescaling),
    *(products.int8_headroom, products.bf16_headroom, products.memory_bound_weights),
    *(products.far_from_roof, products.fallback, products.int8_without_instructions),
    *(waiting.encoding, waiting.cold_start),
)


def find_all(
    profiles: Sequence[Profile],
    rooflines: Sequence[Roofline],
    card: MachineCard,
    ceilings: Ceilings,
    spec: ArtifactSpec,
    *,
    circumstances: Circumstances | None = None,
    name: str = "",
) -> Findings:
    """
    Ask every rule about every profile.

    Args:
        profiles: Of one artifact, one a scenario.
        rooflines: Of the same artifact, at most one a scenario; rules that need a missing one are silent.
        card: Of the machine that was profiled.
        ceilings: Of the same machine, with the threads of the profiles.
        spec: Of the artifact.
        circumstances: What else was measured.
        name: Names the findings; by default as the first profile is named.

    Returns:
        Findings: By falling saving; those that expect nothing stand last. They are not additive.

    Raises:
        ParameterError: If there is no profile, two of one scenario, or records of several artifacts.
    """
    _check(profiles, rooflines)
    case = Case(
        profiles={one.scenario: one for one in profiles},
        rooflines={one.scenario: one for one in rooflines},
        card=card,
        ceilings=ceilings,
        spec=spec,
        facts=circumstances or Circumstances(),
    )
    asked = [rule(case, profile) for profile in profiles for rule in RULES]
    found = [one for one in asked if one is not None]
    return Findings(
        name=name or profiles[0].name,
        artifact_sha256=profiles[0].artifact_sha256,
        hardware_class=card.hardware_class,
        findings=tuple(sorted(found, key=lambda one: -one.saving_ratio)),
    )


def _check(profiles: Sequence[Profile], rooflines: Sequence[Roofline]) -> None:
    if not profiles:
        raise ParameterError("there is no profile to find anything in; profile the artifact first.")
    of_profiles, of_rooflines = [one.scenario for one in profiles], [one.scenario for one in rooflines]
    for scenarios in (of_profiles, of_rooflines):
        if len(set(scenarios)) < len(scenarios):
            raise ParameterError(f"there are {len(scenarios)} records for {', '.join(scenarios)}; give one a scenario.")
    artifacts = {one.artifact_sha256 for one in profiles} | {one.artifact_sha256 for one in rooflines}
    if len(artifacts) > 1:
        raise ParameterError(f"the records belong to {len(artifacts)} artifacts; give those of one.")
