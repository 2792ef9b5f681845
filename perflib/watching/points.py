"""
What a run says, as points of a history: one for each metric of the baseline and of every candidate that was timed.

    points = points_of_run(run)    # from its records alone, whoever made them and whenever
"""

import statistics
from collections.abc import Iterator
from typing import Any

from perflib.artifact import SPEC_FILE, ArtifactSpec
from perflib.errors import ParameterError
from perflib.records import sha256_json
from perflib.regression.components import parameters_sha256, weights_sha256
from perflib.results import Baseline, Build, Comparison, LifeProcesses, RunSummary, ScenarioComparison, Validation
from perflib.results.history import CANARY, METRICS, NO_SCENARIO, Good, HistoryPoint
from perflib.results.regression import Canary
from perflib.runs import SUMMARY_FILE, Run
from perflib.watching.provenance import read_provenance

BASELINE = "baseline"
# Scenario, metric and value.
_Measured = tuple[str, str, float | None]


def points_of_run(run: Run) -> list[HistoryPoint]:
    """
    Read every result of a run that has a series.

    Raises:
        ParameterError: If the run has no summary, or was made without provenance.
        DataError: If a record cannot be read.
    """
    summary, facts = _summary(run), _facts(run)
    points = [
        HistoryPoint(**facts, candidate=candidate, **_components(run, candidate), **_valued(one))
        for candidate in [BASELINE, *run.candidate_names()]
        if (run.artifact_folder(candidate) / SPEC_FILE).is_file()
        for one in _measured(run, candidate)
        if one[2] is not None
    ]
    canaries = [found for name in run.names(Canary) if (found := run.read(Canary, name)) is not None]
    return [*points, *(point for canary in canaries for point in _of_canary(canary, facts, summary))]


def good_of_run(run: Run, candidate: str, *, role: str) -> Good:
    """
    Describe a candidate of a run as one that others may be held against.

    Raises:
        ParameterError: If the run has no such artifact, or no provenance.
    """
    summary, facts = _summary(run), _facts(run)
    spec = _spec(run, candidate)
    accuracy = next((value for _, metric, value in _measured(run, candidate) if metric == "accuracy_ratio"), None)
    fields: Any = {"role": role}
    return Good(
        workload=facts["workload"],
        candidate=candidate,
        hardware_class=facts["hardware_class"],
        run_ulid=summary.ulid,
        run_id=run.run_id,
        recorded=facts["recorded"],
        artifact_sha256=_digest(spec),
        weights_sha256=weights_sha256(spec),
        parameters_sha256=parameters_sha256(spec),
        lock_sha256=facts["lock_sha256"],
        data_sha256=facts["data_sha256"],
        size_bytes=sum(file.bytes for file in spec.files),
        accuracy_ratio=accuracy,
        **fields,
    )


def _summary(run: Run) -> RunSummary:
    summary = run.summary()
    if summary is None:
        raise ParameterError(f"{run.folder} has no {SUMMARY_FILE}; name a folder that `perflib run` made.")
    return summary


def _facts(run: Run) -> dict[str, Any]:
    """Return what all points of a run have in common."""
    summary, kept = _summary(run), read_provenance(run)
    if kept is None:
        raise ParameterError(f"run {run.run_id} does not say under which packages it was made; run it again.")
    provenance, _ = kept
    gpus = summary.machine.get("gpus") or ()
    return {
        "workload": provenance.workload,
        "hardware_class": summary.machine["hardware_class"],
        "run_ulid": summary.ulid,
        "run_id": run.run_id,
        "recorded": provenance.recorded,
        "commit": summary.commit,
        "lock_sha256": provenance.lock_sha256,
        "data_sha256": provenance.data_sha256,
        "host_id": provenance.host_id,
        "operating_system": summary.machine["operating_system"],
        "driver": next((gpu["driver"] for gpu in gpus), None),
        "image_digest": provenance.image_digest,
        "mark": provenance.mark,
    }


def _components(run: Run, candidate: str) -> dict[str, Any]:
    spec = _spec(run, candidate)
    return {"artifact_sha256": weights_sha256(spec), "parameters_sha256": parameters_sha256(spec)}


def _spec(run: Run, candidate: str) -> ArtifactSpec:
    path = run.artifact_folder(candidate) / SPEC_FILE
    if not path.is_file():
        raise ParameterError(f"run {run.run_id} has no artifact `{candidate}`; name one that it has built.")
    return ArtifactSpec.read(path)


def _digest(spec: ArtifactSpec) -> str:
    return sha256_json(spec.to_dict())


def _measured(run: Run, candidate: str) -> list[_Measured]:
    if candidate == BASELINE:
        baseline = run.read(Baseline, BASELINE)
        return list(_of_baseline(baseline)) if baseline else []
    comparison = run.read(Comparison, candidate)
    return [*(_of_comparison(comparison) if comparison else ()), *_of_candidate(run, candidate)]


def _of_baseline(baseline: Baseline) -> Iterator[_Measured]:
    for one in baseline.scenarios:
        if one.scenario == "single":
            yield one.scenario, "p50_sec", one.p50_sec
            yield one.scenario, "p95_sec", one.p95_sec
        else:
            yield one.scenario, "examples_per_sec", one.examples_per_sec
    yield NO_SCENARIO, "load_sec", baseline.load_sec
    yield NO_SCENARIO, "peak_rss_bytes", baseline.peak_rss_bytes
    yield NO_SCENARIO, "size_bytes", baseline.size_bytes
    yield NO_SCENARIO, "accuracy_ratio", baseline.accuracy_ratio.estimate


def _of_comparison(comparison: Comparison) -> Iterator[_Measured]:
    for one in comparison.scenarios:
        yield one.scenario, "speedup_ratio", one.speedup_ratio.estimate
        if one.scenario == "single":
            yield one.scenario, "p50_sec", _percentile_sec(one, 0.50)
            yield one.scenario, "p95_sec", _percentile_sec(one, 0.95)
        else:
            yield one.scenario, "examples_per_sec", one.candidate.examples_per_sec
    yield NO_SCENARIO, "load_sec", _median_load_sec(comparison.processes)
    yield NO_SCENARIO, "peak_rss_bytes", comparison.peak_rss_bytes("candidate")


def _of_candidate(run: Run, candidate: str) -> Iterator[_Measured]:
    build, validation = run.read(Build, candidate), run.read(Validation, candidate)
    yield NO_SCENARIO, "size_bytes", build.size_bytes if build else None
    yield NO_SCENARIO, "accuracy_ratio", validation.candidate_accuracy_ratio if validation else None


def _percentile_sec(timed: ScenarioComparison, share_ratio: float) -> float | None:
    return next((one.estimate_sec for one in timed.candidate.percentiles if one.share_ratio == share_ratio), None)


def _median_load_sec(processes: tuple[LifeProcesses, ...]) -> float | None:
    return statistics.median(pair.candidate.load_sec for pair in processes) if processes else None


def _valued(measured: _Measured) -> dict[str, Any]:
    scenario, metric, value = measured
    return {"scenario": scenario, "metric": metric, "value": float(value or 0.0), "unit": METRICS[metric].unit}


def _of_canary(canary: Canary, facts: dict[str, Any], summary: RunSummary) -> list[HistoryPoint]:
    """A canary is frozen, so nothing but the machine can change it; its code's digest is that of the run."""
    code = {"artifact_sha256": summary.code_sha256, "parameters_sha256": "", "data_sha256": ""}
    series = {"workload": CANARY, "candidate": canary.name, "scenario": NO_SCENARIO}
    metrics = (("level_sec", canary.level_sec), ("sd_ratio", canary.sd_ratio))
    return [
        HistoryPoint(**(facts | code | series), metric=metric, value=value, unit=METRICS[metric].unit)
        for metric, value in metrics
        if value > 0
    ]
