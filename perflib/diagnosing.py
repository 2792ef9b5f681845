"""
`perflib profile`: where an artifact's time goes, how far it is from its limit, and what an engineer would try next.

    done = diagnose_named("outputs/RUN:int8")
    done.diagnosis.findings.findings[0].claim

The parts (profiles, rooflines, shares of encoding) are used by the baseline's notebook one by one.
"""

import dataclasses
import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any

from perflib import plots, project, sentences
from perflib.artifact import Artifact
from perflib.benchmarking.lock import host_lock
from perflib.comparing import find_artifact
from perflib.encoded import Encoded
from perflib.machine import read_card
from perflib.profiling import profile_artifact, write_compatible_trace
from perflib.profiling.findings import Circumstances, find_all
from perflib.profiling.known_ceilings import ceilings_for, known_ceilings
from perflib.profiling.roofline import make_roofline
from perflib.profiling.sampling import EXAMPLE_COUNTS, ScenarioName
from perflib.progress import Progress
from perflib.records import Record
from perflib.results import Ceilings, Findings, Profile, Roofline
from perflib.runs import Run
from perflib.session import keep_figure
from perflib.workloads import get_workload
from perflib.workloads.base import Workload

# Those that are profiled; requests that arrive when they like are calls and batches too.
SCENARIOS: tuple[ScenarioName, ...] = ("single", "offline")
_PASSES_COUNT = 3

Keep = Callable[[Record, str], object]


@dataclasses.dataclass(frozen=True)
class Diagnosis:
    """All that was seen of one artifact, one profile and one roofline a scenario, and what follows."""

    profiles: tuple[Profile, ...]
    rooflines: tuple[Roofline, ...]
    findings: Findings


@dataclasses.dataclass(frozen=True)
class Diagnosed:
    """A diagnosis by name: what to print, and where it lies."""

    diagnosis: Diagnosis
    run: Run
    lines: tuple[str, ...]


def profile_scenarios(
    run: Run,
    artifact: Artifact,
    name: str,
    inputs: Encoded,
    *,
    scenarios: Sequence[ScenarioName] = SCENARIOS,
    keep: Keep | None = None,
) -> tuple[Profile, ...]:
    """
    Profile an artifact in every scenario, and keep records, traces and the copies that TensorBoard reads.

    Args:
        run: Where all of it goes; an earlier trace of the same name is replaced.
        artifact: What to profile.
        name: Of the artifact in this run; its profiles are ``<name>-<scenario>``.
        inputs: The encoded test split.
        scenarios: Of `SCENARIOS`.
        keep: Writes a record under a name; `Run.write` if not given.
    """
    traces = run.folder / "traces"
    profiles = []
    with Progress(f"profiling {name}", len(scenarios)) as bar:
        for scenario in scenarios:
            label = f"{name}-{scenario}"
            for old in [*traces.glob(f"raw/{label}.*"), *traces.glob(f"tensorboard/{label}/*")]:
                old.unlink()
            with host_lock():
                profile = profile_artifact(artifact, inputs, name=label, scenario=scenario, folder=traces / "raw")
            for file in profile.trace_files:
                write_compatible_trace(traces / "raw" / file, traces / "tensorboard")
            (keep or run.write)(profile, label)
            profiles.append(profile)
            bar.step(scenario)
    return tuple(profiles)


def draw_rooflines(
    run: Run, profiles: Sequence[Profile], ceilings: Ceilings, *, keep: Keep | None = None
) -> tuple[Roofline, ...]:
    """Put the products of profiles under the roof, and keep the records; without any, or on a GPU, there is none."""
    rooflines = []
    for profile in profiles:
        if profile.device == "cpu" and any(one.flop_count for one in profile.shapes):
            roofline = make_roofline(profile, ceilings)
            (keep or run.write)(roofline, profile.name)
            rooflines.append(roofline)
    return tuple(rooflines)


def encode_shares(
    workload: Workload,
    raw: Sequence[Any],
    inputs: Encoded,
    profiles: Sequence[Profile],
    *,
    clock: Callable[[], float] = time.perf_counter,
) -> dict[str, float]:
    """
    Return the share that encoding takes of the time from a raw input to its answer, by scenario.

    Args:
        workload: Whose ``encode`` is timed, on the inputs of each profile's step and in its calls.
        raw: All raw inputs of the test split.
        inputs: The same, encoded.
        profiles: What the model takes for the same step.
        clock: Monotonic seconds.
    """
    shares = {}
    for profile in profiles:
        rows = inputs.stratified_rows(EXAMPLE_COUNTS[profile.scenario])
        calls = [[raw[row]] for row in rows] if profile.scenario == "single" else [[raw[row] for row in rows]]
        took_sec = []
        for _ in range(_PASSES_COUNT):
            start_sec = clock()
            for call in calls:
                workload.encode(call)
            took_sec.append(clock() - start_sec)
        encode_sec = statistics.median(took_sec)
        shares[str(profile.scenario)] = encode_sec / (encode_sec + profile.step_sec)
    return shares


def diagnose_named(word: str) -> Diagnosed:
    """
    Profile a candidate of a run, or the baseline, and keep records and figures in that run.

    Args:
        word: ``RUN:name``, or an artifact's folder; then a new folder in the outputs is made.

    Raises:
        ParameterError: If there is no such artifact, or it has neither a PyTorch form nor counters.
        DataError: If it does not load.
    """
    artifact = find_artifact(word)
    name = artifact.folder.name
    run = run_of(artifact) or Run(project.new_run_dir("profile"))
    workload = get_workload(artifact.spec.lineage.workload)
    workload.prepare()
    test = workload.splits().test
    inputs = workload.encode(test.inputs)
    card = read_card()
    with host_lock():
        known = known_ceilings(card, cache=project.ceilings_dir())
    ceilings = ceilings_for(known.ceilings, artifact.spec.runtime.thread_count or card.thread_count)
    profiles = profile_scenarios(run, artifact, name, inputs)
    rooflines = draw_rooflines(run, profiles, ceilings)
    facts = Circumstances(
        encode_share_ratio=encode_shares(workload, test.inputs, inputs, profiles),
        thread_count=artifact.spec.runtime.thread_count,
        lengths=tuple(int(length) for length in inputs.lengths()),
    )
    findings = find_all(profiles, rooflines, card, ceilings, artifact.spec, circumstances=facts, name=name)
    run.write(findings, name)
    found = Diagnosis(profiles, rooflines, findings)
    _keep_figures(run, name, found, ceilings)
    return Diagnosed(found, run, tuple(_lines(found, ceilings)))


def run_of(artifact: Artifact) -> Run | None:
    """Return the run in whose folder an artifact lies; None where it lies elsewhere."""
    folder = artifact.folder.resolve()
    is_in_run = folder.parent.name == "artifacts" and (folder.parents[1] / "records").is_dir()
    return Run(folder.parents[1]) if is_in_run else None


def _keep_figures(run: Run, name: str, found: Diagnosis, ceilings: Ceilings) -> None:
    plots.use_house_style()
    keep_figure(run, plots.plot_kinds(found.profiles), f"kinds-{name}")
    if found.rooflines:
        keep_figure(run, plots.plot_roofline(found.rooflines, ceilings), f"roofline-{name}")
    if found.findings.findings:
        keep_figure(run, plots.plot_findings(found.findings), f"findings-{name}")


def _lines(found: Diagnosis, ceilings: Ceilings) -> list[str]:
    """Return what a person reads at the command line."""
    lines = []
    for profile in found.profiles:
        lines.append(f"{profile.scenario}: {sentences.kinds_sentence(profile)} {sentences.profile_sentence(profile)}")
        lines += [sentences.limit_sentence(one, ceilings) for one in found.rooflines if one.name == profile.name]
        lines.append(sentences.overhead_sentence(profile))
    lines.append(sentences.findings_sentence(found.findings))
    lines += [f"- {one.claim} {one.evidence}." for one in found.findings.findings]
    return lines
