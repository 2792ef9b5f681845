"""
The same `Profile` from an export of nsys: kernels for operators, and every moment of our ranges given to somebody.

A moment in which kernels ran is theirs, in equal parts where several ran at once. A moment in which none ran and the
host was calling CUDA is the framework's: it was launching. A moment with neither is idle, read off the gaps and not
left over from a subtraction. Calls that only wait for the GPU launch nothing, so they count as idle.

    profile = profile_of_export(read_nsys(path), like=profile)
    profile.share_ratio("idle", "framework")
"""

import dataclasses
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from perflib.errors import DataError
from perflib.nvtx import range_name
from perflib.profiling.nsys_export import NsysExport
from perflib.results.profile import KINDS, KindTime, OperatorTime, Profile

# The first that is found in a kernel's name, in lower case, says its kind. Attention is made of cutlass, norms are
# written with vectorised loops, and compilers put the names of everything they fused into one.
_PATTERNS = tuple(
    (kind, re.compile(pattern))
    for kind, pattern in (
        ("matrix", r"^triton_tem"),
        ("fused", r"^triton_"),
        ("memory", r"^\[mem"),
        ("attention", r"fmha|flash|attention"),
        ("matrix", r"gemm|gemv|cutlass|xmma|nvjet|wgmma|splitk|conv(?!ert)|(?<![a-z0-9])sm\d\d+_"),
        ("normalisation", r"layer_?norm|rms_?norm|batch_?norm|group_?norm|rowwise_?moments"),
        ("quantization", r"quant"),
        ("embedding", r"embedding|index_?select|gather"),
        ("reduction", r"softmax|reduce"),
        ("memory", r"copy|catarray|fillfunctor|transpose|memset"),
        ("elementwise", r"elementwise|vectorized|unrolled"),
    )
)
_WAITS = re.compile(r"synchronize|streamwaitevent", re.IGNORECASE)

Span = tuple[float, float]


def kernel_kind(name: str) -> str:
    """
    Return the kind of a kernel by its name, one of `perflib.results.profile.KINDS`.

    Example:
        >>> kernel_kind("ampere_sgemm_128x64_tn"), kernel_kind("void pytorch_flash::flash_fwd_kernel<...>(...)")
        ('matrix', 'attention')
    """
    return next((kind for kind, pattern in _PATTERNS if pattern.search(name.lower())), "other")


def profile_of_export(export: NsysExport, *, like: Profile, path: Path | None = None) -> Profile:
    """
    Turn an export into a profile.

    Args:
        export: Of ``perflib profile --steps-only``: every range of ours is one step.
        like: A profile of the same artifact in the same scenario, for what nsys cannot know. Its unwatched time is
            taken for as many steps as the export has.
        path: The export, named by the profile as its trace.

    Returns:
        Without modules, shapes, memory and FLOPs; bytes are those of copies and fills. An operator's ``self_sec``
        shares moments in which several ran, its ``total_sec`` does not.

    Raises:
        DataError: If the export has no range of the scenario, or no kernel ran inside one.
    """
    steps = _steps(export, range_name(like.scenario))
    device = _inside(export.device, steps)
    if device.empty:
        raise DataError(f"no kernel ran inside the ranges `{range_name(like.scenario)}`; profile a model on the GPU.")
    spans = _spans(device)
    calls = export.calls[~export.calls["name"].str.contains(_WAITS)]
    busy = merged(spans)
    wall_sec = sum(end - start for start, end in steps)
    launching_sec = covered_sec(merged(_spans(_inside(calls, steps))), gaps(busy, steps))
    idle_sec = sum(end - start for start, end in gaps(busy, steps)) - launching_sec
    device = device.assign(self_sec=shared_sec(spans), kind=device["name"].map(kernel_kind))
    by_kind = {str(kind): float(sec) for kind, sec in device.groupby("kind")["self_sec"].sum().items()}
    seconds = {**by_kind, "framework": launching_sec, "idle": idle_sec}
    return dataclasses.replace(
        like,
        device="cuda",
        source=f"nsys {export.product_version}",
        active_step_count=len(steps),
        wall_sec=wall_sec,
        unwatched_sec=like.unwatched_sec * len(steps) / like.active_step_count,
        operators=_operators(device),
        shapes=(),
        modules=(),
        kinds=_kinds(seconds, wall_sec),
        memory=(),
        peak_allocated_bytes=None,
        trace_folder=path.parent.as_posix() if path else "",
        trace_files=(path.name,) if path else (),
    )


def merged(spans: Sequence[Span]) -> list[Span]:
    """
    Return stretches that are covered by any span, in order; those that only touch stay two.

    Example:
        >>> merged([(0.0, 2.0), (1.0, 3.0), (3.0, 4.0), (5.0, 6.0)])
        [(0.0, 3.0), (3.0, 4.0), (5.0, 6.0)]
    """
    found: list[Span] = []
    for start_sec, end_sec in sorted(spans):
        if found and start_sec < found[-1][1]:
            found[-1] = (found[-1][0], max(found[-1][1], end_sec))
        else:
            found.append((start_sec, end_sec))
    return found


def gaps(busy: Sequence[Span], windows: Sequence[Span]) -> list[Span]:
    """
    Return the stretches of the windows that nothing covers.

    Args:
        busy: From `merged`.
        windows: In order, and none within another.

    Example:
        >>> gaps([(1.0, 2.0), (4.0, 9.0)], [(0.0, 5.0), (8.0, 10.0)])
        [(0.0, 1.0), (2.0, 4.0), (9.0, 10.0)]
    """
    found: list[Span] = []
    place = 0
    for from_sec, to_sec in windows:
        seen_sec = from_sec
        while place < len(busy) and busy[place][0] < to_sec:
            start_sec, end_sec = busy[place]
            if start_sec > seen_sec:
                found.append((seen_sec, start_sec))
            seen_sec = max(seen_sec, end_sec)
            if end_sec > to_sec:
                break  # it may reach into the next window
            place += 1
        if seen_sec < to_sec:
            found.append((seen_sec, to_sec))
    return found


def covered_sec(spans: Sequence[Span], holes: Sequence[Span]) -> float:
    """
    Return how much of the holes is covered.

    Example:
        >>> covered_sec([(0.5, 3.0)], [(0.0, 1.0), (2.0, 4.0)])
        1.5
    """
    # What of the holes is left uncovered is again made of gaps.
    return sum(end - start for start, end in holes) - sum(end - start for start, end in gaps(spans, holes))


def shared_sec(spans: Sequence[Span]) -> list[float]:
    """
    Return the time of every span, where a moment with several spans is shared by them in equal parts.

    Example:
        >>> shared_sec([(0.0, 2.0), (1.0, 4.0)])
        [1.5, 2.5]
    """
    own_sec = [0.0] * len(spans)
    # One that takes no time has no turn: its end would come before its start, and it would never stop running.
    lasting = [(place, start, end) for place, (start, end) in enumerate(spans) if end > start]
    turns = sorted([(start, 1, place) for place, start, _ in lasting] + [(end, 0, place) for place, _, end in lasting])
    running: set[int] = set()
    before_sec = 0.0
    for at_sec, is_start, place in turns:
        for one in running:
            own_sec[one] += (at_sec - before_sec) / len(running)
        before_sec = at_sec
        running.add(place) if is_start else running.discard(place)
    return own_sec


def _steps(export: NsysExport, name: str) -> list[Span]:
    ranges = export.ranges[export.ranges["name"] == name]
    if ranges.empty:
        raise DataError(
            f"the export has no range `{name}`; let nsys watch `perflib profile --steps-only` of that scenario."
        )
    return merged(_spans(ranges))


def _spans(table: pd.DataFrame) -> list[Span]:
    return list(zip(table["start_sec"].tolist(), table["end_sec"].tolist(), strict=True))


def _inside(table: pd.DataFrame, steps: Sequence[Span]) -> pd.DataFrame:
    """Cut what happened to the steps."""
    parts = []
    for from_sec, to_sec in steps:
        here = table[(table["start_sec"] < to_sec) & (table["end_sec"] > from_sec)]
        start_sec, end_sec = here["start_sec"].clip(lower=from_sec), here["end_sec"].clip(upper=to_sec)
        parts.append(here.assign(start_sec=start_sec, end_sec=end_sec, duration_sec=end_sec - start_sec))
    return pd.concat(parts, ignore_index=True)


def _operators(device: pd.DataFrame) -> tuple[OperatorTime, ...]:
    all_sec = float(device["self_sec"].sum())
    operators = []
    for name, calls in device.groupby("name"):
        self_sec = float(calls["self_sec"].sum())
        operators.append(
            OperatorTime(
                operator=str(name),
                kind=kernel_kind(str(name)),
                call_count=len(calls),
                self_sec=self_sec,
                total_sec=float(calls["duration_sec"].sum()),
                self_share_ratio=self_sec / all_sec,
                flop_count=0,
                moved_bytes=int(calls["moved_bytes"].sum()),
            )
        )
    return tuple(sorted(operators, key=lambda one: (-one.self_sec, one.operator)))


def _kinds(seconds: Mapping[str, float], wall_sec: float) -> tuple[KindTime, ...]:
    return tuple(KindTime(kind, seconds[kind], seconds[kind] / wall_sec) for kind in KINDS if seconds.get(kind))
