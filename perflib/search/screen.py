"""
One combination, looked at cheaply: built, asked the tuning split, weighed, and timed a little if it is right enough.

The test split is not here. What breaks the constraint is not timed: its speed would buy nothing.
"""

import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Protocol

from perflib import project, units
from perflib.artifact import Artifact
from perflib.benchmarking.question import Question
from perflib.benchmarking.scenarios import get_scenarios
from perflib.compression.build import build_candidate
from perflib.compression.materials import Labelled, Materials
from perflib.compression.stage import Ingredient
from perflib.encoded import Encoded
from perflib.results import Build, Comparison, Interval, SearchTrial
from perflib.search.space import Choices, Space
from perflib.validation import quality
from perflib.validation.families import Discordant
from perflib.validation.predictions import predict

SCENARIOS = ("single", "offline")
# As few lives as can carry an interval, and one quad in each: an order, not a verdict.
_SCREEN_LIVES_COUNT, _SCREEN_UNITS_COUNT = 5, 1


class Compare(Protocol):
    """What times two artifacts; see `perflib.benchmarking.compare.compare`."""

    def __call__(
        self,
        baseline: Artifact,
        candidate: Artifact,
        encoded: Encoded,
        question: Question,
        *,
        on_life: Callable[[Comparison], object] | None = None,
    ) -> Comparison:
        """Return the comparison."""
        ...


class Screener:
    """
    Screens combinations of one space against one baseline.

    Args:
        space: What may be combined.
        baseline: What every candidate is held against.
        materials: What stages may use; its tuning split is asked here.
        work: A folder for the candidate while it is screened, best on the disk of the cache.
        hardware_class: Of the machine card.
        seed: Of the coins.
        compare: Times two artifacts.
    """

    def __init__(
        self,
        space: Space,
        baseline: Artifact,
        materials: Materials,
        *,
        work: Path,
        hardware_class: str,
        seed: int,
        compare: Compare,
    ) -> None:
        self._space, self._baseline, self._materials, self._work = space, baseline, materials, work
        self._hardware_class, self._seed, self._compare = hardware_class, seed, compare
        self._tuning = materials.labelled("tuning", stage="search")

    def __call__(self, choices: Choices) -> SearchTrial:
        """Build, ask, weigh and perhaps time one combination."""
        with tempfile.TemporaryDirectory(prefix=".screen-", dir=self._work) as folder:
            candidate, build = build_cached(
                "candidate",
                self._space.recipe(choices),
                parent=self._baseline,
                folder=Path(folder) / "candidate",
                materials=self._materials,
            )
            counts = count_discordant(self._baseline, candidate, self._tuning)
            low_ratio = counts.low_ratio(quality.ONE_SIDED_LEVEL)
            is_kept = low_ratio > -self._space.max_accuracy_drop_ratio
            timed = self._time(candidate) if is_kept else {}
        return SearchTrial(
            choices=choices,
            recipe=self._space.lines(choices),
            status="screened" if is_kept else "infeasible",
            sentence="" if is_kept else self._breach(counts, low_ratio),
            tuning_change_ratio=counts.change_ratio,
            tuning_low_ratio=low_ratio,
            size_ratio=build.size_bytes / build.parent_size_bytes,
            single_speedup_ratio=timed.get("single"),
            offline_speedup_ratio=timed.get("offline"),
            build_sec=build.build_sec,
        )

    def _time(self, candidate: Artifact) -> Mapping[str, Interval]:
        question = Question(
            name="a screen",
            scenarios=get_scenarios(SCENARIOS),
            hardware_class=self._hardware_class,
            max_lives_count=_SCREEN_LIVES_COUNT,
            units_per_life_count=_SCREEN_UNITS_COUNT,
            seed=self._seed,
        )
        found = self._compare(self._baseline, candidate, self._tuning.inputs, question)
        return {one.scenario: one.speedup_ratio for one in found.scenarios}

    def _breach(self, counts: Discordant, low_ratio: float) -> str:
        limit_ratio = self._space.max_accuracy_drop_ratio
        return (
            f"accuracy changes by {units.points(counts.change_ratio)} on {counts.example_count:,} tuning examples, "
            f"at worst {units.points(low_ratio)}, where {units.points(-limit_ratio)} is allowed; it was not timed."
        )


def build_cached(
    name: str, recipe: Sequence[Ingredient], *, parent: Artifact, folder: Path, materials: Materials
) -> tuple[Artifact, Build]:
    """Build a candidate with the cache of built stages that all searches share."""
    return build_candidate(name, recipe, parent=parent, folder=folder, materials=materials, cache=project.builds_dir())


def count_discordant(baseline: Artifact, candidate: Artifact, asked: Labelled) -> Discordant:
    """Ask both models, whose answers are kept in the cache, and count where only one of them is right."""
    cache = project.answers_dir()
    right_before, right_after = (
        quality.answers(predict(model, asked.inputs, cache=cache, label=label)) == asked.labels
        for model, label in ((baseline, "baseline"), (candidate, "candidate"))
    )
    return Discordant(
        worse_count=int((right_before & ~right_after).sum()),
        better_count=int((~right_before & right_after).sum()),
        example_count=len(asked),
    )
