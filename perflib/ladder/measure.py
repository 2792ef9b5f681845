"""Timing the steps: each against the one before, the last against the baseline and against what one would pick."""

import dataclasses
import itertools
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from perflib import verdict
from perflib.artifact import Artifact
from perflib.benchmarking.compare import compare
from perflib.benchmarking.lock import host_lock
from perflib.compression.stage import parse_recipe
from perflib.errors import DataError
from perflib.ladder.expand import Step
from perflib.ladder.factors import summed
from perflib.ladder.pairs import Pair, TimedPair, is_whole, readable_ladder, timed_pairs
from perflib.ladder.steps import find_steps
from perflib.results import Candidate, Comparison, Ladder, ModelAlone, Rival, Rung, RungSpeed
from perflib.session import Session

Compare = Callable[..., Comparison]


@dataclasses.dataclass(frozen=True)
class Effort:
    """What each pairing may cost."""

    scenarios: Sequence[str]
    max_lives_count: int
    units_per_life_count: int

    @classmethod
    def least(cls, scenarios: Sequence[str]) -> "Effort":
        """Return five lives, which have an interval, and one to spare, for what describes and decides nothing."""
        return cls(scenarios, 6, 1)


def measure_ladder(
    session: Session,
    name: str,
    recipe: Sequence[Any],
    effort: Effort,
    *,
    rivals: Sequence[str] | None = None,
    compare: Compare = compare,
) -> Ladder:
    """
    Time every step of a candidate's recipe, and the candidate against its rivals, and keep the record.

    What the run has measured of the same artifacts is kept: the candidate's comparison with the baseline, those of
    other experiments, the steps of other ladders and of an interrupted attempt.

    Args:
        session: Of the run.
        name: The candidate.
        recipe: The lines that it was built from.
        effort: What each pairing may cost; a scenario in which the run did not time the candidate is left out.
        rivals: Other candidates of the run; None keeps those of an earlier attempt.
        compare: Times two artifacts; tests pass their own.

    Raises:
        DataError: If the run timed another artifact under this name, in none of the scenarios, or not to the end.
    """
    steps = find_steps(session, parse_recipe(recipe))
    last = steps[-1].artifact
    effort = _within(effort, session, name, last)
    timer = _Timer(session, effort, compare, timed_pairs(session.run, effort.scenarios))
    ladder = _begun(session, name, steps, rivals)
    before = session.baseline
    for place, step in enumerate(steps, start=1):
        timed = timer.time(before, step.artifact, f"{name}, step {place} of {len(steps)}: {step.category}")
        new = () if timed.record else (timed.comparison,)
        ladder = dataclasses.replace(
            ladder,
            rungs=(*ladder.rungs, _rung(step, timed, effort, own=f"ladder-{name}")),
            comparisons=(*ladder.comparisons, *new),
        )
        # At once, so that an interruption loses one pairing at most.
        session.run.write(ladder, name)
        before = step.artifact
    own = {rung.artifact_sha256 for rung in ladder.rungs if rung.timed_in == f"ladder-{name}"}
    total = _total(session, name, last, timer)
    totals = tuple(summed(ladder.rungs, one) for one in total.scenarios if one.scenario in effort.scenarios)
    # An earlier attempt may have timed what an experiment has timed better since.
    needed = tuple(one for one in ladder.comparisons if one.candidate_sha256 in own)
    ladder = dataclasses.replace(ladder, totals=totals, comparisons=needed)
    for rival in rivals or ():
        ladder = _against(session, ladder, rival, last, timer)
        session.run.write(ladder, name)
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
        timed = _Timer(session, effort, compare, {}).time(session.baseline, alike, name)
    record = ModelAlone(name, timed.comparison)
    session.keep(record, name)
    return record


@dataclasses.dataclass(frozen=True)
class _Timer:
    """Times pairs that the run has not timed, and remembers them."""

    session: Session
    effort: Effort
    compare: Compare
    known: dict[Pair, TimedPair]

    def time(self, before: Artifact, after: Artifact, name: str) -> TimedPair:
        """Return the run's comparison of two artifacts, or a new one, which no record holds yet."""
        pair = (before.digest, after.digest)
        if pair in self.known:
            return self.known[pair]
        effort = self.effort
        question = self.session.question(
            name,
            effort.scenarios,
            max_lives_count=effort.max_lives_count,
            units_per_life_count=effort.units_per_life_count,
        )
        with host_lock():
            timed = TimedPair(self.compare(before, after, self.session.inputs, question), "")
        self.known[pair] = timed
        return timed


def _within(effort: Effort, session: Session, name: str, last: Artifact) -> Effort:
    """Leave out scenarios in which the run has no total; a candidate that it did not time will be timed in all."""
    found = session.run.read(Comparison, name)
    if found is None:
        return effort
    if found.candidate_sha256 != last.digest or found.baseline_sha256 != session.baseline.digest:
        raise DataError(f"the recipe of {name} builds another artifact than was timed; run its experiment again.")
    if not is_whole(found, ()):
        raise DataError(f"the timing of {name} was cut short; run its experiment again.")
    timed = [one.scenario for one in found.scenarios]
    left = [scenario for scenario in effort.scenarios if scenario in timed]
    if not left:
        raise DataError(f"{name} was timed in {', '.join(timed)} and not in {', '.join(effort.scenarios)}; ask those.")
    return dataclasses.replace(effort, scenarios=left)


def _begun(session: Session, name: str, steps: Sequence[Step], rivals: Sequence[str] | None) -> Ladder:
    """Begin a ladder with the samples that an earlier attempt has left of the same steps."""
    last, before = steps[-1].artifact, session.baseline.digest
    earlier = readable_ladder(session.run, name)
    if earlier is not None and earlier.candidate_sha256 != last.digest:
        earlier = None
    chain = [before, *(step.artifact.digest for step in steps)]
    pairs = set(itertools.pairwise(chain))
    kept = earlier.comparisons if earlier else ()
    kept_rivals = earlier.rivals if earlier else ()
    return Ladder(
        name=name,
        baseline_sha256=before,
        candidate_sha256=last.digest,
        baseline_size_bytes=session.baseline.size_bytes,
        rungs=(),
        totals=(),
        rivals=tuple(one for one in kept_rivals if rivals is None or one.name in rivals),
        absent_rivals=earlier.absent_rivals if earlier and rivals is None else (),
        comparisons=tuple(one for one in kept if (one.baseline_sha256, one.candidate_sha256) in pairs),
    )


def _total(session: Session, name: str, last: Artifact, timer: _Timer) -> Comparison:
    """Return the candidate's own comparison with the baseline; where the run has none, it is made."""
    found = session.run.read(Comparison, name)
    if found is None:
        found = dataclasses.replace(timer.time(session.baseline, last, name).comparison, name=name)
        session.keep(found, name)
    return found


def _rung(step: Step, timed: TimedPair, effort: Effort, *, own: str) -> Rung:
    return Rung(
        category=step.category,
        stage=step.line.name,
        line=step.line.to_dict(),
        is_of_recipe=step.is_of_recipe,
        artifact_sha256=step.artifact.digest,
        size_bytes=step.artifact.size_bytes,
        build_sec=step.made.build_sec,
        timed_in=timed.record or own,
        speeds=tuple(
            RungSpeed(one.scenario, one.speedup_ratio, one.verdict, len(one.log_ratios))
            for one in timed.comparison.scenarios
            if one.scenario in effort.scenarios
        ),
    )


def _against(session: Session, ladder: Ladder, rival: str, last: Artifact, timer: _Timer) -> Ladder:
    """Pair the candidate with a rival, the rival as the baseline; one that could not be timed is named as absent."""
    judged = {one.name: one for one in verdict.judge_run(session.run)}.get(rival)
    others = tuple(one for one in ladder.rivals if one.name != rival)
    if not _is_timed(judged):
        return dataclasses.replace(ladder, rivals=others, absent_rivals=(*ladder.absent_rivals, rival))
    theirs = Artifact.load(session.run.artifact_folder(rival))
    timed = timer.time(theirs, last, f"{ladder.name} against {rival}").comparison
    new = Rival(rival, judged is not None and judged.verdict == "approved", timed)
    return dataclasses.replace(ladder, rivals=(*others, new))


def _is_timed(judged: Candidate | None) -> bool:
    return judged is not None and judged.verdict != "failed"
