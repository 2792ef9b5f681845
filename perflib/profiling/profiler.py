"""
The door to the profilers: one call for any artifact, whichever engine it runs in.

What runs in PyTorch is seen by `torch.profiler`, down to modules and memory; other engines tell their own counters.

    profile = profile_artifact(artifact, encoded, name="int8", scenario="offline", folder=run / "traces" / "raw")
"""

from pathlib import Path

from perflib.artifact import Artifact
from perflib.encoded import Encoded
from perflib.profiling import torch_profiler
from perflib.profiling.sampling import ScenarioName, make_step
from perflib.results import Profile


def profile_artifact(
    artifact: Artifact,
    encoded: Encoded,
    *,
    name: str,
    scenario: ScenarioName,
    folder: Path,
    warmup_step_count: int = 1,
    active_step_count: int = 2,
    example_count: int | None = None,
    has_stacks: bool = False,
) -> Profile:
    """
    Profile an artifact on what a scenario asks, served as its runtime block says.

    Args:
        artifact: What to profile.
        encoded: Inputs to draw the scenario's sample from.
        name: Names the profile, and with it the trace.
        scenario: ``single`` or ``offline``.
        folder: Where a trace goes, if the profiler writes one.
        warmup_step_count: Steps that are watched and not recorded; 1 or more.
        active_step_count: Steps recorded, and as many before them that nobody watches; 1 or more.
        example_count: Examples of a step; None for what the scenario times.
        has_stacks: Whether a trace shall hold Python's calls too.

    Raises:
        ParameterError: If the engine has neither a PyTorch form nor counters, or a count is too small.
        SetupError: If the folder cannot be written or the device is not there.
        MeasurementError: If nothing took time.
    """
    step = make_step(encoded, artifact.spec.runtime, scenario, example_count=example_count)
    if artifact.spec.engine in torch_profiler.ENGINES:
        return torch_profiler.profile_in_torch(
            artifact,
            step,
            name=name,
            folder=folder,
            warmup_step_count=warmup_step_count,
            active_step_count=active_step_count,
            has_stacks=has_stacks,
        )
    from perflib.profiling.engine_counters import profile_engine

    return profile_engine(
        artifact, step, name=name, warmup_step_count=warmup_step_count, active_step_count=active_step_count
    )
