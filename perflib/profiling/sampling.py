"""
What one step of a profile is: a scenario's fixed sample, asked as the artifact's runtime block says.

A single call of every length and a batch with the padding of the data are different work, so a step is no call of our
own invention: it is what is timed too.

    step = make_step(encoded, artifact.spec.runtime, "offline")
    for call in step.calls: session(call.arrays)
"""

import dataclasses
from typing import Literal

from perflib.artifact import Runtime
from perflib.batching import plan_batches
from perflib.encoded import MASK, Encoded

# As many examples as a slot of the scenario of this name has.
EXAMPLE_COUNTS = {"single": 32, "offline": 128}
ScenarioName = Literal["single", "offline"]


@dataclasses.dataclass(frozen=True)
class ProfiledStep:
    """The calls of one step, and how much of their inputs is padding."""

    scenario: ScenarioName
    calls: tuple[Encoded, ...]
    example_count: int
    token_count: int
    real_token_count: int


def make_step(
    encoded: Encoded, runtime: Runtime, scenario: ScenarioName, *, example_count: int | None = None
) -> ProfiledStep:
    """
    Sample examples stratified by length and put them into the calls in which they are served.

    Args:
        encoded: Inputs to draw from.
        runtime: Says which examples share a call in ``offline``; in ``single`` each has its own.
        scenario: ``single`` or ``offline``.
        example_count: Examples of a step; None for what the scenario times.
    """
    sample = encoded.stratified(example_count or EXAMPLE_COUNTS[scenario])
    lengths = sample.lengths()
    if scenario == "single":
        batches = plan_batches(lengths, "as-they-come", example_count=1)
    else:
        batches = plan_batches(
            lengths,
            runtime.batching,
            example_count=runtime.batch_example_count,
            token_count=runtime.batch_token_count,
        )
    calls = tuple(sample.take(rows) for rows in batches)
    tokens = sum(int(call.arrays[MASK].size) for call in calls) if MASK in sample.arrays else len(sample)
    return ProfiledStep(scenario, calls, len(sample), tokens, int(lengths.sum()))
