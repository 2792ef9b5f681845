"""
Which operators a model spends its time in, as `torch.profiler` sees it.

The profiler slows down what it watches, small operators most, so a profile says *where* the time goes, never how fast a
model is: that is for the benchmarks.
Self time is what is ranked, because total time counts a nested operator again in every operator above it.
"""

import os
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch.autograd import DeviceType  # type: ignore[attr-defined]  # public, but not re-exported for type checkers
from torch.profiler import ProfilerActivity, profile, schedule

from perflib import machine
from perflib.artifact import Artifact
from perflib.encoded import MASK, Encoded
from perflib.engines.torch_engine import DTYPES, load_module, to_tensors
from perflib.errors import MeasurementError, ParameterError, SetupError
from perflib.results import OperatorTime, Profile

_SEC_PER_US = 1e-6


def profile_artifact(
    artifact: Artifact,
    encoded: Encoded,
    *,
    name: str,
    folder: Path,
    warmup_step_count: int = 2,
    active_step_count: int = 5,
    batch_example_count: int | None = None,
    clock: Callable[[], float] = time.perf_counter,
) -> Profile:
    """
    Profile an artifact on one fixed batch and leave the trace in ``folder``.

    The batch is a sample stratified by length, so it has the padding of the data, and every step computes the same.
    Counts, seconds and FLOPs of the operators are sums over all active steps; divide by ``active_step_count`` for one.
    On CUDA the seconds are those of the kernels that an operator launched, on the CPU those of the operator itself.

    Args:
        artifact: What to profile; its engine must be torch.
        encoded: Inputs to draw the batch from.
        name: Names the profile, and with it the trace and its line in TensorBoard.
        folder: Where the trace goes, ``<name>.<ns>.pt.trace.json.gz``; made if it is not there.
        warmup_step_count: Steps that the profiler watches but does not record; 1 or more, because its start is slow.
        active_step_count: Steps recorded; 1 or more.
        batch_example_count: Examples in the batch; None for the batch size of the artifact's runtime block.
        clock: Monotonic clock in seconds; tests pass their own.

    Returns:
        Profile: All operators by falling self time; their shares sum to 1, the profiler's own step marks are left out.
        ``batch_token_count`` includes padding, which is computed too, and is the example count where nothing is
        padded; ``wall_sec`` is the time of the active steps, watched.

    Raises:
        ParameterError: If the engine is not torch or a count is too small.
        SetupError: If the folder cannot be written or the device is not there.
        MeasurementError: If the profiler saw no operator.
    """
    _check(artifact, warmup_step_count, active_step_count, batch_example_count)
    runtime = artifact.spec.runtime
    batch = encoded.stratified(batch_example_count or runtime.batch_example_count)
    torch.set_num_threads(runtime.thread_count or machine.thread_count())
    module = load_module(artifact.folder, artifact.spec, device=runtime.device)
    tensors = to_tensors(batch.arrays, device=runtime.device, dtype=DTYPES[artifact.spec.precision])
    trace = _trace_path(folder, name)
    # Kineto announces its start and stop on standard error, into the notebook; its errors reach us as exceptions.
    os.environ.setdefault("KINETO_LOG_LEVEL", "99")
    active_sec = []
    with (
        torch.inference_mode(),
        profile(
            activities=_activities(runtime.device),
            schedule=schedule(wait=0, warmup=warmup_step_count, active=active_step_count, repeat=1),
            on_trace_ready=lambda ready: ready.export_chrome_trace(str(trace)),
            record_shapes=True,
            profile_memory=True,
            with_flops=True,
        ) as profiler,
    ):
        for step in range(warmup_step_count + active_step_count):
            start_sec = clock()
            module(**tensors).float().cpu()  # the answer on the host ends a step, on a GPU too
            if step >= warmup_step_count:
                active_sec.append(clock() - start_sec)
            profiler.step()
    return Profile(
        name=name,
        artifact_sha256=artifact.digest,
        device=runtime.device,
        batch_example_count=len(batch),
        batch_token_count=int(batch.arrays[MASK].size) if MASK in batch.arrays else len(batch),
        real_token_count=int(batch.lengths().sum()),
        active_step_count=active_step_count,
        wall_sec=sum(active_sec),
        operators=_operators(profiler.key_averages(), device=runtime.device),
        trace_folder=folder.as_posix(),
        trace_files=(trace.name,),
    )


def _check(artifact: Artifact, warmup_step_count: int, active_step_count: int, batch_example_count: int | None) -> None:
    if artifact.spec.engine != "torch":
        raise ParameterError(
            f"the artifact in {artifact.folder} runs in `{artifact.spec.engine}`, which torch.profiler cannot see; "
            "profile the torch artifact that it was made from."
        )
    counts = {"warmup_step_count": warmup_step_count, "active_step_count": active_step_count}
    if batch_example_count is not None:
        counts["batch_example_count"] = batch_example_count
    for word, count in counts.items():
        if count < 1:
            raise ParameterError(f"`{word}` is {count} and a profile needs at least 1; raise it.")


def _activities(device: str) -> list[ProfilerActivity]:
    return [ProfilerActivity.CPU] + ([ProfilerActivity.CUDA] if device == "cuda" else [])


def _trace_path(folder: Path, name: str) -> Path:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SetupError(
            f"the trace folder {folder} cannot be made ({error.strerror}); choose one that you may write."
        ) from error
    # TensorBoard reads <worker>.<ns>.pt.trace.json.gz and takes a last dotted number of the worker for the time.
    worker = re.sub(r"[^A-Za-z0-9_-]+", "-", name) or "model"
    return folder / f"{worker}.{time.time_ns()}.pt.trace.json.gz"


def _operators(events: Any, *, device: str) -> tuple[OperatorTime, ...]:
    """Turn the profiler's averages, in microseconds, into operators; a kernel counts where it was launched."""
    rows = [event for event in events if event.device_type == DeviceType.CPU and not event.is_user_annotation]
    kind = "device" if device == "cuda" else "cpu"
    self_sec = [max(getattr(event, f"self_{kind}_time_total") * _SEC_PER_US, 0.0) for event in rows]
    all_sec = sum(self_sec)
    if all_sec <= 0:
        raise MeasurementError(
            f"torch.profiler saw {len(rows)} operators and no {kind} time in them; "
            "raise `active_step_count` and profile again."
        )
    operators = [
        OperatorTime(
            operator=event.key,
            call_count=event.count,
            self_sec=own_sec,
            total_sec=getattr(event, f"{kind}_time_total") * _SEC_PER_US,
            self_share_ratio=own_sec / all_sec,
            flop_count=int(event.flops or 0),
        )
        for event, own_sec in zip(rows, self_sec, strict=True)
    ]
    return tuple(sorted(operators, key=lambda operator: (-operator.self_sec, operator.operator)))
