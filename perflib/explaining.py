"""
`perflib explain`: why is a candidate faster than the baseline, or why is it not?

    done = explain_named("outputs/RUN:int8")
    done.lines  # which change gave most, which cost most, and whether the steps agree with the total

The total is the candidate's comparison of its run; only the steps between are timed, with the fewest lives.
"""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from perflib import plots, project, sentences, verdict
from perflib.artifact import SPEC_FILE, Artifact, ArtifactSpec
from perflib.benchmarking.compare import compare
from perflib.comparing import find_artifact
from perflib.diagnosing import draw_rooflines, profile_scenarios
from perflib.errors import DataError, MeasurementError, ParameterError, SetupError, StageError
from perflib.ladder import Compare, Effort, measure_ladder
from perflib.profiling.known_ceilings import ceilings_for, known_ceilings
from perflib.results import Build, Candidate, Ceilings, Comparison, Ladder, Profile, Roofline
from perflib.runs import Run
from perflib.sentences.ladder import waterfall_sentence
from perflib.session import Session, keep_figure, newest_or_smoke, prepare_notebook
from perflib.workloads import get_workload


@dataclasses.dataclass(frozen=True)
class Explained:
    """A candidate's waterfall, and the run that keeps it."""

    ladder: Ladder
    run: Run

    @property
    def lines(self) -> list[str]:
        """Why it is faster or not, whether the steps agree with the total, and where the figure lies."""
        figure = self.run.figure(f"why-{self.ladder.name}")
        return [waterfall_sentence(self.ladder), sentences.consistency_sentence(self.ladder), f"figure: {figure}"]


@dataclasses.dataclass(frozen=True)
class Explanations:
    """The waterfalls of several candidates of a run, and why others have none, by name."""

    ladders: tuple[Ladder, ...]
    left_out: dict[str, str]

    @property
    def sentence(self) -> str:
        """Say who has a waterfall, and why others have none."""
        if not self.ladders and not self.left_out:
            return "No candidate of this run was built and timed, so there is nothing to explain."
        told = [f"Taken apart: {', '.join(one.name for one in self.ladders) or 'nobody'}."]
        return " ".join(told + [f"{name} is not: {why}" for name, why in self.left_out.items()])


@dataclasses.dataclass(frozen=True)
class Watched:
    """A candidate's profile beside the baseline's, both in throughput, and their products under one roof."""

    name: str
    profiles: tuple[Profile, Profile]
    rooflines: tuple[Roofline, ...]
    ceilings: Ceilings


def explain_named(
    word: str, *, max_lives_count: int = 6, units_per_life_count: int = 1, compare: Compare = compare
) -> Explained:
    """
    Take the speed-up of a candidate of an existing run apart, and keep record and figure in that run.

    Args:
        word: ``RUN:name``.
        max_lives_count: Lives of each step at most.
        units_per_life_count: Units of each scenario in a life.
        compare: Times two artifacts; tests pass their own.

    Raises:
        ParameterError: If there is no such run or candidate, or no record of how it was built and how fast it is.
        DataError: If the run's baseline or a step of the recipe cannot be made again as it was.
    """
    folder = find_artifact(word).folder.resolve()
    run, name = Run(folder.parents[1]), folder.name
    if name == "baseline":
        raise ParameterError("the baseline is what candidates are held against; name a candidate as RUN:name.")
    built, timed = run.read(Build, name), run.read(Comparison, name)
    if built is None or timed is None:
        lacks = "how it was built" if built is None else "how fast it is"
        raise ParameterError(
            f"{word} has no record of {lacks}; name a candidate of a run, or run its experiment again."
        )
    summary = run.summary()
    asked: dict[str, Any] = summary.params if summary else {}
    spec = ArtifactSpec.read(folder / SPEC_FILE)
    session = open_session(
        str(run.folder),
        workload=asked.get("workload", spec.lineage.workload),
        seed=int(asked.get("seed", timed.seed)),
        device=spec.runtime.device,
    )
    effort = Effort([one.scenario for one in timed.scenarios], max_lives_count, units_per_life_count)
    ladder = measure_ladder(session, name, built.recipe, effort, compare=compare)
    plots.use_house_style()
    keep_figure(run, plots.plot_waterfall(ladder), f"why-{name}")
    return Explained(ladder, run)


def explain_candidates(
    session: Session, candidates: Sequence[str], effort: Effort, *, compare: Compare = compare
) -> Explanations:
    """
    Take the speed-ups of several candidates apart, one after the other.

    Args:
        session: Of the run.
        candidates: Their names; empty for the best of the run, as `best_candidate` says.
        effort: What each step may cost.
        compare: Times two artifacts; tests pass their own.

    Returns:
        Explanations: Their ladders; a candidate that cannot be explained is named with the reason and stops nobody.
    """
    best = best_candidate(session.run)
    ladders, left_out = [], {}
    for name in candidates or ([best] if best else []):
        built = session.run.read(Build, name)
        if built is None or session.run.read(Comparison, name) is None:
            left_out[name] = "this run has not built and timed it."
            continue
        try:
            ladders.append(measure_ladder(session, name, built.recipe, effort, compare=compare))
        except (DataError, MeasurementError, SetupError, StageError) as error:
            left_out[name] = str(error)
    return Explanations(tuple(ladders), left_out)


def watch_candidates(session: Session, names: Sequence[str]) -> tuple[Watched, ...]:
    """
    Profile candidates and the baseline in the same scenario, so that one sees where the time went.

    Args:
        session: Of the run.
        names: Candidates of it; one whose engine gives no counters is left out.
    """
    known = known_ceilings(session.card, cache=project.ceilings_dir())
    watched = []
    for name in names:
        artifact = Artifact.load(session.run.artifact_folder(name))
        before = session.run.profile() or _profiled(session, session.baseline, "baseline")
        try:
            after = session.run.profile(name) or _profiled(session, artifact, name)
        except ParameterError:
            continue
        threads = session.baseline.spec.runtime.thread_count or session.card.thread_count
        ceilings = ceilings_for(known.ceilings, threads)
        watched.append(Watched(name, (before, after), draw_rooflines(session.run, (before, after), ceilings), ceilings))
    return tuple(watched)


def _profiled(session: Session, artifact: Artifact, name: str) -> Profile:
    return profile_scenarios(session.run, artifact, name, session.inputs, scenarios=["offline"], keep=session.keep)[0]


def best_candidate(run: Run) -> str | None:
    """Return the best that may be shipped; where there is none, the fastest that was built and timed; else None."""
    judged = [one for one in verdict.judge_run(run) if one.verdict != "failed"]
    offered = [one for one in verdict.ranked(judged) if verdict.is_offered(one)]
    best = offered[0] if offered else max(judged, key=_fastest_ratio, default=None)
    return best.name if best else None


def open_session(run_dir: str, *, workload: Any, seed: int, device: str) -> Session:
    """
    Open the run whose candidates are to be explained; an empty ``run_dir`` takes the newest, as it was asked.

    Raises:
        DataError: If the workload prepares another baseline than the run was made from.
    """
    prepare_notebook()
    run = Run(Path(run_dir).resolve()) if run_dir else newest_or_smoke()
    summary = run.summary()
    if not run_dir and summary is not None:
        asked = summary.params
        workload, seed, device = asked["workload"], asked["seed"], asked["device"]
    _check_baseline(run, workload, seed=seed)
    return Session.begin("02_why", run_dir=str(run.folder), workload=workload, seed=seed, device=device)


def _check_baseline(run: Run, workload: Any, *, seed: int) -> None:
    """Refuse before a session replaces the run's baseline by another."""
    path = run.artifact_folder("baseline") / SPEC_FILE
    if not path.is_file():
        return
    kept, prepared = ArtifactSpec.read(path), get_workload(workload, seed=seed).prepare().spec
    if dataclasses.replace(prepared, runtime=kept.runtime) != kept:
        raise DataError(
            f"the workload prepares another baseline now than run {run.run_id} was made from, so its candidates cannot "
            "be taken apart; start a new run."
        )


def _fastest_ratio(one: Candidate) -> float:
    ratios = (one.single_p50_speedup_ratio, one.offline_throughput_speedup_ratio)
    return max((ratio.estimate for ratio in ratios if ratio is not None), default=0.0)
