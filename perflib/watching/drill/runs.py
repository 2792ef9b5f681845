"""
Short real runs for the drill: the model timed in a fresh process, asked the whole test split, and written as a run.

A run of the pipeline takes a minute; what the history needs of it takes seconds.
"""

import dataclasses
import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from ulid import ULID

from perflib import machine, project, records
from perflib.artifact import Artifact
from perflib.benchmarking.alone import measure_alone
from perflib.benchmarking.arm import Launcher, worker_command
from perflib.benchmarking.lock import host_lock
from perflib.benchmarking.scenarios import get_scenarios
from perflib.encoded import Encoded
from perflib.regression.answering import answers_under
from perflib.results import Baseline, RunSummary
from perflib.results.history import EnvironmentLock
from perflib.runs import SUMMARY_FILE, Run
from perflib.validation.quality import wilson_interval
from perflib.watching.points import BASELINE
from perflib.watching.provenance import now_utc, write_provenance
from perflib.workloads.base import Workload

SCENARIOS = ("single", "offline")
# One process has its own luck; the middle of three is what a run reports.
LIVES_COUNT = 3


@dataclasses.dataclass(frozen=True)
class Conditions:
    """What one run is made of: the model, and the interpreter with its installed packages."""

    artifact: Artifact
    python: str
    lock: EnvironmentLock


def short_run(folder: Path, workload: Workload, conditions: Conditions, *, seed: int) -> Run:
    """
    Measure a model and write what a run of the pipeline would leave for the history.

    Args:
        folder: Of the run; it is made.
        workload: Prepared.
        conditions: What is measured, and under what.
        seed: Of the order and the processors.
    """
    run, start_sec = Run(folder), time.monotonic()
    artifact = run.keep_artifact(conditions.artifact, BASELINE, runtime=conditions.artifact.spec.runtime)
    test = workload.splits().test
    inputs = workload.encode(test.inputs)
    with host_lock():
        run.write(_describe(workload, artifact, inputs, test.labels, conditions.python, seed=seed), BASELINE)
    write_provenance(run, workload, lock=conditions.lock)
    _summary(run, workload, wall_sec=time.monotonic() - start_sec).write(run.folder / SUMMARY_FILE)
    return run


def _describe(
    workload: Workload, artifact: Artifact, inputs: Encoded, labels: NDArray[np.int64], python: str, *, seed: int
) -> Baseline:
    alone = measure_alone(
        artifact,
        inputs,
        scenarios=get_scenarios(SCENARIOS),
        lives_count=LIVES_COUNT,
        seed=seed,
        start_arm=Launcher(worker_command(python=python)),
    )
    start_sec = time.perf_counter()
    answers = answers_under(python, artifact, inputs)
    whole_split_sec = time.perf_counter() - start_sec
    right_count = int((np.argmax(answers, axis=1) == labels).sum())
    return Baseline(
        workload=workload.name,
        unit=workload.unit,
        artifact_sha256=artifact.digest,
        size_bytes=artifact.size_bytes,
        parameter_count=0,
        test_count=len(labels),
        accuracy_ratio=wilson_interval(right_count, len(labels)),
        slices=(),
        scenarios=alone.scenarios,
        whole_split_sec=whole_split_sec,
        peak_rss_bytes=alone.peak_rss_bytes,
        load_sec=alone.load_sec,
        data_notes=(),
    )


def _summary(run: Run, workload: Workload, *, wall_sec: float) -> RunSummary:
    nothing = records.sha256_json({})
    return RunSummary(
        run_id=run.run_id,
        ulid=str(ULID()),
        status="done",
        reason=None,
        exit_code=0,
        commit=project.commit7(),
        started=now_utc(),
        wall_sec=wall_sec,
        params_name="drill",
        params={"workload": workload.name},
        params_sha256=nothing,
        guardrails_sha256=nothing,
        code_sha256=nothing,
        machine=machine.read_card().to_dict(),
        steps=(),
        candidates=(),
    )
