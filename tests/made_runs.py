"""Runs that nobody has measured: all that a history reads of a run's folder, with made-up values."""

import dataclasses
from pathlib import Path

from ulid import ULID

from perflib import machine, records
from perflib.artifact import Artifact
from perflib.regression.locks import lock_sha256
from perflib.results import Baseline, Interval, RunSummary, ScenarioMeasurement
from perflib.results.history import EnvironmentLock, Provenance
from perflib.runs import SUMMARY_FILE, Run
from perflib.watching.provenance import NAME

DATA_SHA256 = "d" * 64


@dataclasses.dataclass(frozen=True)
class Made:
    """What a made-up run has measured of its baseline."""

    p50_sec: float = 0.004
    accuracy_ratio: float = 0.85
    mark: str | None = None
    data_sha256: str = DATA_SHA256
    host_id: str = "host-1"


def make_run(folder: Path, artifact: Artifact, lock: EnvironmentLock, made: Made, *, millisecond: int) -> Run:
    """Write a run that was made at a moment; later moments are later runs."""
    run = Run(folder)
    kept = run.keep_artifact(artifact, "baseline", runtime=artifact.spec.runtime)
    run.write(_baseline(kept, made), "baseline")
    run.write(lock, NAME)
    provenance = Provenance(
        workload=artifact.spec.lineage.workload,
        host_id=made.host_id,
        image_digest=None,
        lock_sha256=lock_sha256(lock),
        data_sha256=made.data_sha256,
        recorded="2026-03-01T08:00:00+00:00",
        mark=made.mark,
    )
    run.write(provenance, NAME)
    _summary(run, artifact, millisecond).write(run.folder / SUMMARY_FILE)
    return run


def _baseline(artifact: Artifact, made: Made) -> Baseline:
    single = ScenarioMeasurement("single", ((made.p50_sec,),), 1, made.p50_sec, made.p50_sec * 1.5, 1 / made.p50_sec)
    offline = ScenarioMeasurement("offline", ((made.p50_sec * 100,),), 128, 0.4, 0.5, 1.28 / made.p50_sec)
    return Baseline(
        workload=artifact.spec.lineage.workload,
        unit="texts",
        artifact_sha256=artifact.digest,
        size_bytes=artifact.size_bytes,
        parameter_count=0,
        test_count=1000,
        accuracy_ratio=Interval(made.accuracy_ratio, None, None, 0.95),
        slices=(),
        scenarios=(single, offline),
        whole_split_sec=1.0,
        peak_rss_bytes=100_000_000,
        load_sec=1.0,
        data_notes=(),
    )


def _summary(run: Run, artifact: Artifact, millisecond: int) -> RunSummary:
    nothing = records.sha256_json({})
    return RunSummary(
        run_id=run.run_id,
        ulid=str(ULID.from_timestamp(1_700_000_000 + millisecond)),
        status="done",
        reason=None,
        exit_code=0,
        commit="abcdef0",
        started="2026-03-01T08:00:00+00:00",
        wall_sec=1.0,
        params_name="made",
        params={"workload": artifact.spec.lineage.workload},
        params_sha256=nothing,
        guardrails_sha256=nothing,
        code_sha256=nothing,
        machine=machine.read_card().to_dict(),
        steps=(),
        candidates=(),
    )
