"""
Which step of a recipe gave what: every step is timed against the one before, and the last against the baseline.

A factor of the total is not the total: steps help or hinder each other, and each factor has noise of its own. So the
total is a pairing of its own, and what the product of the steps leaves open is shown as such.

    found = measure_ladder(session, "best", recipe, scenarios=["single", "offline"], max_lives_count=10, …)
"""

import dataclasses
import math
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from perflib import project, verdict
from perflib.artifact import Artifact
from perflib.benchmarking.compare import compare
from perflib.benchmarking.lock import host_lock
from perflib.compression.build import build_stage
from perflib.compression.stage import Ingredient, check_recipe, parse_recipe
from perflib.errors import DataError
from perflib.results import (
    BuildStep,
    Candidate,
    Comparison,
    Ladder,
    LadderTotal,
    ModelAlone,
    Rival,
    Rung,
    RungSpeed,
    ScenarioComparison,
)
from perflib.session import Session

Compare = Callable[..., Comparison]


@dataclasses.dataclass(frozen=True)
class Effort:
    """What each pairing may cost."""

    scenarios: Sequence[str]
    max_lives_count: int
    units_per_life_count: int


def measure_ladder(
    session: Session,
    name: str,
    recipe: Sequence[Any],
    effort: Effort,
    *,
    rivals: Sequence[str] = (),
    compare: Compare = compare,
) -> Ladder:
    """
    Time every step of a candidate's recipe, and the candidate against its rivals, and keep the record.

    What the run has measured of the same artifacts is kept: the candidate's comparison with the baseline, and the
    rungs of an interrupted attempt.

    Args:
        session: Of the run.
        name: The candidate.
        recipe: The lines that it was built from.
        effort: What each pairing may cost.
        rivals: Other candidates of the run.
        compare: Times two artifacts; tests pass their own.

    Raises:
        DataError: If the run timed another artifact under this name.
    """
    lines = parse_recipe(recipe)
    steps = _steps(session, lines)
    judged = {one.name: one for one in verdict.judge_run(session.run)}
    theirs = {rival: _rival_artifact(session, rival) for rival in rivals if _is_timed(judged.get(rival))}
    timer = _Timer(session, effort, compare, _earlier(session, name))
    last = steps[-1][0]
    ladder = Ladder(
        name=name,
        baseline_sha256=session.baseline.digest,
        candidate_sha256=last.digest,
        baseline_size_bytes=session.baseline.size_bytes,
        rungs=(),
        totals=(),
        rivals=(),
        absent_rivals=tuple(rival for rival in rivals if rival not in theirs),
        comparisons=(),
    )
    previous = session.baseline
    for line, (artifact, step) in zip(lines, steps, strict=True):
        timed = timer.time(previous, artifact, step.stage)
        ladder = _grown(session, ladder, rungs=_rung(line, step, timed), comparisons=timed)
        previous = artifact
    for one in _total(session, name, last, timer).scenarios:
        ladder = _grown(session, ladder, totals=_summed(ladder, one))
    for rival, artifact in theirs.items():
        timed = timer.time(artifact, last, f"{name} against {rival}")
        ladder = _grown(session, ladder, rivals=Rival(rival, judged[rival].verdict == "approved", timed))
    session.keep(ladder, name)
    return ladder


def measure_model_alone(
    session: Session, candidate: Artifact, name: str, effort: Effort, *, compare: Compare = compare
) -> ModelAlone | None:
    """
    Time a candidate that is served otherwise than the baseline once more, both served as the baseline is.

    Returns:
        The kept record; None where both are served alike anyway, and where the model is the baseline's own.
    """
    mine, theirs = candidate.spec, session.baseline.spec
    if mine.runtime == theirs.runtime or (mine.files, mine.engine) == (theirs.files, theirs.engine):
        return None
    with tempfile.TemporaryDirectory(prefix="perflib-") as folder:
        alike = candidate.copy_to(Path(folder) / name, runtime=session.baseline.spec.runtime)
        record = ModelAlone(name, _Timer(session, effort, compare, {}).time(session.baseline, alike, name))
    session.keep(record, name)
    return record


def _steps(session: Session, recipe: Sequence[Ingredient]) -> list[tuple[Artifact, BuildStep]]:
    """Find every prefix of the recipe in the cache, or build it."""
    check_recipe(recipe, session.baseline.spec, session.materials)
    current, steps = session.baseline, []
    for line in recipe:
        current, step = build_stage(line, current, session.materials, cache=project.builds_dir())
        steps.append((current, step))
    return steps


@dataclasses.dataclass(frozen=True)
class _Timer:
    """Times pairs that no earlier attempt has timed."""

    session: Session
    effort: Effort
    compare: Compare
    earlier: Mapping[tuple[str, str], Comparison]

    def time(self, before: Artifact, after: Artifact, name: str) -> Comparison:
        known = self.earlier.get((before.digest, after.digest))
        if known is not None:
            return known
        effort = self.effort
        question = self.session.question(
            name,
            effort.scenarios,
            max_lives_count=effort.max_lives_count,
            units_per_life_count=effort.units_per_life_count,
        )
        with host_lock():
            return self.compare(before, after, self.session.inputs, question)


def _earlier(session: Session, name: str) -> dict[tuple[str, str], Comparison]:
    """Return what an interrupted attempt has measured, by the pair of artifacts."""
    try:
        found = session.run.read(Ladder, name)
    except DataError:
        return {}  # of another version, or cut: it is measured again
    kept = [*found.comparisons, *(one.comparison for one in found.rivals)] if found else []
    return {(one.baseline_sha256, one.candidate_sha256): one for one in kept}


def _grown(session: Session, ladder: Ladder, **parts: object) -> Ladder:
    """Add to the lists of a ladder and write it at once, so that an interruption loses one pairing at most."""
    longer: dict[str, Any] = {word: (*getattr(ladder, word), part) for word, part in parts.items()}
    grown = dataclasses.replace(ladder, **longer)
    session.run.write(grown, ladder.name)
    return grown


def _total(session: Session, name: str, last: Artifact, timer: _Timer) -> Comparison:
    """Return the candidate's own comparison with the baseline; where the run has none, it is made."""
    found = session.run.read(Comparison, name)
    if found is None:
        found = timer.time(session.baseline, last, name)
        session.keep(found, name)
    if found.candidate_sha256 != last.digest:
        raise DataError(f"the recipe of {name} builds another artifact than was timed; run its experiment again.")
    return found


def _rung(line: Ingredient, step: BuildStep, timed: Comparison) -> Rung:
    return Rung(
        stage=step.stage,
        line=line.to_dict(),
        artifact_sha256=step.artifact_sha256,
        size_bytes=step.size_bytes,
        build_sec=step.build_sec,
        speeds=tuple(
            RungSpeed(one.scenario, one.speedup_ratio, one.verdict, len(one.log_ratios)) for one in timed.scenarios
        ),
    )


def _summed(ladder: Ladder, one: ScenarioComparison) -> LadderTotal:
    factors = [
        speed.factor_ratio.estimate for rung in ladder.rungs for speed in rung.speeds if speed.scenario == one.scenario
    ]
    product_ratio = math.prod(factors)
    return LadderTotal(
        scenario=one.scenario,
        total_ratio=one.speedup_ratio,
        product_ratio=product_ratio,
        unattributed_ratio=one.speedup_ratio.estimate / product_ratio,
        lives_count=len(one.log_ratios),
    )


def _is_timed(judged: Candidate | None) -> bool:
    return judged is not None and judged.verdict != "failed"


def _rival_artifact(session: Session, rival: str) -> Artifact:
    return Artifact.load(session.run.artifact_folder(rival))
