"""
The finals: few combinations, fixed before, timed in full in fresh lives and validated once on the test split.

Every finalist keeps the records of any other candidate (build, comparison, validation), under the name `trial-N`.
"""

import dataclasses
from collections.abc import Callable

from perflib.artifact import Artifact
from perflib.results import Comparison, FinalistCheck, ScenarioFinding, Search, Validation
from perflib.search.screen import SCENARIOS, Compare, build_cached
from perflib.search.space import Space
from perflib.session import Session
from perflib.validating import Limits, validate_candidate
from perflib.validation.families import Discordant, holm_non_inferior

# Twice what an experiment spends: these few are what the search is for.
_LIVES_COUNT, _UNITS_COUNT = 12, 2
_CUT_SHORT = ("running", "interrupted", "arm-failed")


def finalist_name(trial_index: int) -> str:
    """Return under which name a finalist's artifact and records are kept."""
    return f"trial-{trial_index}"


@dataclasses.dataclass(frozen=True)
class Finals:
    """What finalists are checked with: the session with the test split, and limits that were fixed before."""

    session: Session
    space: Space
    limits: Limits
    compare: Compare

    def run(self, record: Search, *, keep: Callable[[Search], object]) -> Search:
        """
        Check every finalist, then judge all together.

        Args:
            record: With its finalists fixed and written.
            keep: Is handed the whole record at the end.
        """
        found = [self._check(record, place) for place in record.finalists]
        family = [Discordant.of(validation) for _, validation in found]
        shown = holm_non_inferior(family, margin_ratios=[record.max_accuracy_drop_ratio] * len(family))
        checks = tuple(
            FinalistCheck(
                trial_index=place,
                name=finalist_name(place),
                example_count=counts.example_count,
                test_change_ratio=counts.change_ratio,
                test_low_ratio=counts.low_ratio(level_ratio),
                level_ratio=level_ratio,
                is_non_inferior=is_non_inferior,
                gate_verdict=validation.verdict,
                scenarios=tuple(
                    ScenarioFinding(one.scenario, one.verdict, one.speedup_ratio) for one in comparison.scenarios
                ),
            )
            for place, (comparison, validation), counts, (level_ratio, is_non_inferior) in zip(
                record.finalists, found, family, shown, strict=True
            )
        )
        record = dataclasses.replace(record, checks=checks, is_complete=True)
        keep(record)
        return record

    def _check(self, record: Search, place: int) -> tuple[Comparison, Validation]:
        """Build, time and validate one finalist; what an interrupted search has finished of it stands."""
        run, name = self.session.run, finalist_name(place)
        candidate, build = build_cached(
            name,
            self.space.recipe(record.trials[place].choices),
            parent=self.session.baseline,
            folder=run.artifact_folder(name),
            materials=self.session.materials,
        )
        run.write(build, name)
        comparison = run.read(Comparison, name)
        if comparison is None or comparison.stop in _CUT_SHORT or comparison.candidate_sha256 != candidate.digest:
            comparison = self._time(candidate, name)
        validation = run.read(Validation, name)
        if validation is None or validation.identity.candidate_sha256 != candidate.digest:
            validation = validate_candidate(run, self.session.material, candidate, name, self.limits)
            run.write(validation, name)
        return comparison, validation

    def _time(self, candidate: Artifact, name: str) -> Comparison:
        session = self.session
        question = session.question(name, SCENARIOS, max_lives_count=_LIVES_COUNT, units_per_life_count=_UNITS_COUNT)
        comparison = self.compare(
            session.baseline,
            candidate,
            session.inputs,
            question,
            on_life=lambda so_far: session.run.write(so_far, name),
        )
        session.run.write(comparison, name)
        return comparison
