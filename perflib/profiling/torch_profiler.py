"""
Where the time of a model goes, as `torch.profiler` sees it: by operator, shape, module and kind, and over memory.

The profiler slows down what it watches, small operators most, so a profile says *where* the time goes, never how fast a
model is: that is for the benchmarks. The same steps are run once without it first, and the record says how much longer
they took under watch.
Self time is what is ranked, because total time counts a nested operator again in every operator above it.
"""

import contextlib
import os
import re
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch.profiler import ProfilerActivity, profile, record_function, schedule

from perflib import machine
from perflib.artifact import Artifact
from perflib.engines import Session
from perflib.errors import ParameterError, SetupError
from perflib.profiling.attribution import CALL_RANGE, attribute
from perflib.profiling.digest import digest, memory_curve
from perflib.profiling.modules import annotated
from perflib.profiling.sampling import ProfiledStep
from perflib.profiling.trace import read_trace
from perflib.results import Profile

# Engines that run inside PyTorch, so that its profiler sees them; compiled ones hide their modules.
ENGINES = ("torch", "torch-compile", "aotinductor")
MAX_TRACE_BYTES = 20_000_000


def profile_in_torch(
    artifact: Artifact,
    step: ProfiledStep,
    *,
    name: str,
    folder: Path,
    warmup_step_count: int = 1,
    active_step_count: int = 2,
    has_stacks: bool = False,
    max_trace_bytes: int = MAX_TRACE_BYTES,
    clock: Callable[[], float] = time.perf_counter,
) -> Profile:
    """
    Profile an artifact on one step, repeated, and leave the trace in ``folder``.

    First come ``active_step_count`` steps that nobody watches, then the warm-up, then as many that are recorded.
    On CUDA the seconds of operators are those of the kernels that they launched, and idle is when none ran.

    Args:
        artifact: What to profile; its engine is one of `ENGINES`.
        step: From `make_step`.
        name: Names the profile, and with it the trace and its line in TensorBoard.
        folder: Where the trace goes, ``<name>.<ns>.pt.trace.json.gz``; made if it is not there.
        warmup_step_count: Steps that the profiler watches but does not record; 1 or more, because its start is slow.
        active_step_count: Steps recorded; 1 or more.
        has_stacks: Whether the trace shall hold Python's calls too, which makes it about ten times as large.
        max_trace_bytes: A larger trace is thrown away and half of the steps are recorded instead; one step that is
            still larger leaves no trace, only the record.
        clock: Monotonic clock in seconds; tests pass their own.

    Raises:
        ParameterError: If the engine does not run in PyTorch or a count is too small.
        SetupError: If the folder cannot be written or the device is not there.
        MeasurementError: If the profiler saw no operator.
    """
    _check(artifact, warmup_step_count, active_step_count)
    runtime = artifact.spec.runtime
    threads_before = torch.get_num_threads()
    torch.set_num_threads(runtime.thread_count or machine.thread_count())
    try:
        call = artifact.open()
        # What is compiled has no modules left, and a hook would make torch compile it anew.
        watching = annotated if artifact.spec.engine == "torch" else contextlib.nullcontext
        path = _trace_path(folder, name)
        unwatched_sec, watched_sec = _run(
            call,
            watching,
            step,
            path,
            counts=(active_step_count, warmup_step_count),
            device=runtime.device,
            has_stacks=has_stacks,
            clock=clock,
        )
    finally:
        torch.set_num_threads(threads_before)
    if path.stat().st_size > max_trace_bytes and active_step_count > 1:
        path.unlink()
        return profile_in_torch(
            artifact,
            step,
            name=name,
            folder=folder,
            warmup_step_count=warmup_step_count,
            active_step_count=active_step_count // 2,
            has_stacks=has_stacks,
            max_trace_bytes=max_trace_bytes,
            clock=clock,
        )
    trace = read_trace(path)
    is_compiled = artifact.spec.engine != "torch"
    found = digest(attribute(trace, device=runtime.device), wall_sec=watched_sec, is_compiled=is_compiled)
    memory, peak_bytes = memory_curve(trace, device=runtime.device)
    is_kept = path.stat().st_size <= max_trace_bytes
    if not is_kept:
        path.unlink()
    return Profile(
        name=name,
        scenario=step.scenario,
        artifact_sha256=artifact.digest,
        engine=artifact.spec.engine,
        precision=artifact.spec.precision,
        device=runtime.device,
        source="torch.profiler",
        thread_count=runtime.thread_count or machine.thread_count(),
        calls_per_step_count=len(step.calls),
        step_example_count=step.example_count,
        step_token_count=step.token_count,
        real_token_count=step.real_token_count,
        active_step_count=active_step_count,
        wall_sec=watched_sec,
        unwatched_sec=unwatched_sec,
        operators=found.operators,
        shapes=found.shapes,
        modules=found.modules,
        kinds=found.kinds,
        memory=memory,
        peak_allocated_bytes=peak_bytes,
        trace_folder=folder.as_posix(),
        trace_files=(path.name,) if is_kept else (),
    )


def _run(
    call: Session,
    watching: Callable[[], contextlib.AbstractContextManager[None]],
    step: ProfiledStep,
    path: Path,
    *,
    counts: tuple[int, int],
    device: str,
    has_stacks: bool,
    clock: Callable[[], float],
) -> tuple[float, float]:
    """Run the unwatched, the warm-up and the active steps; return the seconds of the first and of the last."""
    active_count, warmup_count = counts
    # Kineto announces its start and stop on standard error, into the notebook; its errors reach us as exceptions.
    os.environ.setdefault("KINETO_LOG_LEVEL", "99")
    took_sec: list[float] = []

    def take(profiler: "profile") -> None:
        start_sec = clock()
        for inputs in step.calls:
            with record_function(CALL_RANGE):
                call(inputs.arrays)
        took_sec.append(clock() - start_sec)
        profiler.step()

    for inputs in step.calls:
        call(inputs.arrays)  # the first call of all is slow, and is nobody's
    with profile(
        activities=_activities(device),
        schedule=schedule(wait=active_count, warmup=warmup_count, active=active_count, repeat=1),
        on_trace_ready=lambda ready: ready.export_chrome_trace(str(path)),
        record_shapes=True,
        profile_memory=True,
        with_stack=has_stacks,
    ) as profiler:
        for _ in range(active_count):
            take(profiler)
        with watching():
            for _ in range(warmup_count + active_count):
                take(profiler)
    return sum(took_sec[:active_count]), sum(took_sec[-active_count:])


def _check(artifact: Artifact, warmup_step_count: int, active_step_count: int) -> None:
    if artifact.spec.engine not in ENGINES:
        raise ParameterError(
            f"the artifact in {artifact.folder} runs in `{artifact.spec.engine}`, which torch.profiler cannot see; "
            "profile the torch artifact that it was made from."
        )
    for word, count in {"warmup_step_count": warmup_step_count, "active_step_count": active_step_count}.items():
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
