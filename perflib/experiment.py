"""
The four acts of a story, each in one call that leaves its record: describe, build, time, check.

The notebooks call these and read what comes back; every loop, branch and threshold is in the parts.
"""

import math
import time
from collections.abc import Sequence
from typing import Any

from perflib import plots
from perflib.artifact import Artifact
from perflib.benchmarking.alone import measure_alone
from perflib.benchmarking.compare import compare
from perflib.benchmarking.lock import host_lock
from perflib.benchmarking.scenarios import get_scenarios
from perflib.ladder import Effort, measure_model_alone
from perflib.profiling.ceilings import measure_ceilings
from perflib.profiling.tensorboard import write_compatible_trace
from perflib.profiling.torch_profiler import profile_artifact
from perflib.results import (
    Baseline,
    Build,
    Ceilings,
    Comparison,
    ModelAlone,
    Prediction,
    Profile,
    Sensitivity,
    Validation,
)
from perflib.session import Session
from perflib.validating import load_limits, validate_candidate
from perflib.validation import quality
from perflib.validation.exemplars import read_csv
from perflib.validation.predictions import Paired


def measure_machine(session: Session) -> Ceilings:
    """Measure what this machine can do at best, and keep the record."""
    with host_lock():
        ceilings = measure_ceilings()
    session.keep(ceilings, "machine")
    return ceilings


def profile_baseline(session: Session) -> Profile:
    """Profile the baseline on one batch with the real distribution of lengths, and keep trace and record."""
    traces = session.run.folder / "traces"
    with host_lock():
        profile = profile_artifact(session.baseline, session.inputs, name="baseline", folder=traces / "raw")
    for file in profile.trace_files:
        write_compatible_trace(traces / "raw" / file, traces / "tensorboard")
    session.keep(profile, "baseline")
    return profile


def describe_baseline(session: Session, *, scenarios: Sequence[str], lives_count: int) -> Baseline:
    """Time the baseline by itself in fresh processes, answer the test split, and keep the record."""
    with host_lock():
        measured, peak_bytes = measure_alone(
            session.baseline, session.inputs, scenarios=get_scenarios(scenarios), lives_count=lives_count
        )
        start_sec = time.perf_counter()
        answers = session.baseline.predict(session.inputs)
        whole_split_sec = time.perf_counter() - start_sec
    session.remember(session.baseline, answers)
    test = session.splits.test
    paired = Paired(test.ids, test.labels, answers, answers, test.slices)
    right_count = int((quality.answers(answers) == test.labels).sum())
    baseline = Baseline(
        workload=session.workload.name,
        unit=session.workload.unit,
        artifact_sha256=session.baseline.digest,
        size_bytes=session.baseline.size_bytes,
        parameter_count=_parameter_count(session.baseline),
        test_count=len(test),
        accuracy_ratio=quality.wilson_interval(right_count, len(test)),
        slices=quality.slice_results(paired, session.workload.slice_columns),
        scenarios=measured,
        whole_split_sec=whole_split_sec,
        peak_rss_bytes=peak_bytes,
        data_notes=session.splits.notes,
    )
    session.keep(baseline, "baseline")
    return baseline


def predict_speedup(session: Session, name: str, *, predicted_speedup_ratio: float, because: str) -> Prediction:
    """Write down what the experiment expects, before anything is built or timed."""
    prediction = Prediction(name, predicted_speedup_ratio, because)
    session.keep(prediction, name)
    return prediction


def build(session: Session, name: str, recipe: Sequence[Any]) -> tuple[Artifact, Build]:
    """Build the candidate of a recipe from the baseline, or find it built, and keep artifact and record."""
    candidate, record = session.build(name, recipe)
    session.keep(record, name)
    for step in record.steps:
        if "sensitivity" in step.proof:
            session.keep(Sensitivity.from_dict(step.proof["sensitivity"]), name)
    return candidate, record


def show_sensitivity(session: Session, name: str) -> None:
    """Show what each block loses by itself, where the recipe asked for that."""
    found = session.run.read(Sensitivity, name)
    if found is not None:
        session.show(plots.plot_sensitivity(found), f"sensitivity-{name}")


def time_candidate(
    session: Session,
    candidate: Artifact,
    name: str,
    *,
    scenarios: Sequence[str],
    max_lives_count: int,
    units_per_life_count: int,
) -> Comparison:
    """Time the candidate against the baseline in pairs of fresh processes, and keep the record with every sample."""
    with host_lock():
        comparison = compare(
            session.baseline,
            candidate,
            session.inputs,
            session.question(
                name, scenarios, max_lives_count=max_lives_count, units_per_life_count=units_per_life_count
            ),
            on_life=lambda so_far: session.run.write(so_far, name),
        )
    session.keep(comparison, name)
    return comparison


def time_model_alone(
    session: Session,
    candidate: Artifact,
    name: str,
    *,
    scenarios: Sequence[str],
    max_lives_count: int,
    units_per_life_count: int,
) -> ModelAlone | None:
    """Time a candidate that is served otherwise once more as the baseline is served; None where there is no need."""
    return measure_model_alone(session, candidate, name, Effort(scenarios, max_lives_count, units_per_life_count))


def check_candidate(
    session: Session,
    candidate: Artifact,
    name: str,
    *,
    guardrails: str,
    guardrail_profile: str,
    waivers: str = "waivers.yaml",
) -> Validation:
    """Ask both models everything, judge by the limits that were fixed before, and keep answers and record."""
    limits = load_limits(session.run, file=guardrails, profile=guardrail_profile, waivers=waivers)
    validation = validate_candidate(session.run, session.material, candidate, name, limits)
    session.keep(validation, name)
    return validation


def changed_answers(session: Session, name: str) -> list[dict[str, Any]]:
    """Read back every answer of a candidate that changed, the furthest apart first."""
    return read_csv(session.run.folder / "records" / f"exemplars-{name}.csv")


def _parameter_count(artifact: Artifact) -> int:
    """Count weights from the safetensors header, without loading them."""
    from safetensors import safe_open

    total = 0
    for file in artifact.spec.files:
        if file.path.endswith(".safetensors"):
            with safe_open(artifact.folder / file.path, framework="numpy") as weights:
                for key in weights.keys():  # noqa: SIM118 -- the handle is not iterable
                    total += math.prod(weights.get_slice(key).get_shape())
    return total
