"""
The four acts of a story, each in one call that leaves its record: describe, build, time, check.

The notebooks call these and read what comes back; every loop, branch and threshold is in the parts.
"""

import math
import time
from collections.abc import Sequence
from typing import Any

from perflib import plots, project
from perflib.artifact import Artifact
from perflib.benchmarking.alone import measure_alone
from perflib.benchmarking.compare import compare
from perflib.benchmarking.lock import host_lock
from perflib.benchmarking.scenarios import get_scenarios
from perflib.diagnosing import SCENARIOS, draw_rooflines, encode_shares, profile_scenarios
from perflib.ladder import Effort, measure_model_alone
from perflib.profiling.findings import Circumstances, find_all
from perflib.profiling.known_ceilings import ceilings_for, known_ceilings
from perflib.results import (
    Baseline,
    Build,
    Ceilings,
    Comparison,
    Findings,
    MachineCeilings,
    ModelAlone,
    Prediction,
    Profile,
    Roofline,
    Sensitivity,
    Validation,
)
from perflib.session import Session
from perflib.validating import load_limits, validate_candidate
from perflib.validation import quality
from perflib.validation.exemplars import read_csv
from perflib.validation.predictions import Paired


def measure_machine(session: Session) -> tuple[MachineCeilings, Ceilings]:
    """Keep what this machine can do at best, and return it for every number of threads and for the baseline's."""
    with host_lock():
        known = known_ceilings(session.card, cache=project.ceilings_dir())
    ceilings = ceilings_for(known.ceilings, session.baseline.spec.runtime.thread_count or session.card.thread_count)
    session.keep(known, "machine")
    session.keep(ceilings, "machine")
    return known, ceilings


def profile_baseline(session: Session, *, scenarios: Sequence[str]) -> tuple[Profile, ...]:
    """Profile the baseline as each scenario asks it, and keep traces and records."""
    asked = [one for one in SCENARIOS if one in scenarios]
    return profile_scenarios(
        session.run, session.baseline, "baseline", session.inputs, scenarios=asked or SCENARIOS, keep=session.keep
    )


def draw_baseline_rooflines(session: Session, profiles: Sequence[Profile], ceilings: Ceilings) -> tuple[Roofline, ...]:
    """Put the baseline's products under the roof of the machine, and keep the records."""
    return draw_rooflines(session.run, profiles, ceilings, keep=session.keep)


def find_hypotheses(
    session: Session,
    profiles: Sequence[Profile],
    rooflines: Sequence[Roofline],
    ceilings: Ceilings,
    baseline: Baseline,
) -> Findings:
    """Ask every rule what it makes of the baseline, and keep what was found before any experiment is run."""
    raw = session.splits.test.inputs
    with host_lock():
        shares = encode_shares(session.workload, raw, session.inputs, profiles)
    single = next((one for one in baseline.scenarios if one.scenario == "single"), None)
    facts = Circumstances(
        encode_share_ratio=shares,
        load_sec=baseline.load_sec,
        p50_sec=single.p50_sec if single else None,
        thread_count=session.baseline.spec.runtime.thread_count,
        lengths=tuple(int(length) for length in session.inputs.lengths()),
    )
    spec = session.baseline.spec
    findings = find_all(profiles, rooflines, session.card, ceilings, spec, circumstances=facts, name="baseline")
    session.keep(findings, "baseline")
    return findings


def describe_baseline(session: Session, *, scenarios: Sequence[str], lives_count: int) -> Baseline:
    """Time the baseline by itself in fresh processes, answer the test split, and keep the record."""
    with host_lock():
        alone = measure_alone(
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
        scenarios=alone.scenarios,
        whole_split_sec=whole_split_sec,
        peak_rss_bytes=alone.peak_rss_bytes,
        load_sec=alone.load_sec,
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
    session: Session, candidate: Artifact, name: str, *, scenarios: Sequence[str]
) -> ModelAlone | None:
    """Time a candidate that is served otherwise once more as the baseline is served; None where there is no need."""
    return measure_model_alone(session, candidate, name, Effort.least(scenarios))


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
