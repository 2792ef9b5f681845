"""
How the model is served: padding, size of batches, threads and replicas.

None of these findings changes a weight, so what they promise costs no accuracy.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from perflib import units
from perflib.batching import Batching, plan_batches
from perflib.profiling.findings.case import (
    DISPATCH,
    PRODUCTS,
    Case,
    busy_sec,
    calls_count,
    priced,
    reached_ratio,
    share_ratio,
)
from perflib.results import Finding, Profile

# How many times as large a batch is tried where batches are too small; four times leaves a quarter of what each costs.
_LARGER_BATCH_RATIO = 4


def padding_waste(case: Case, profile: Profile) -> Finding | None:
    """
    Padding that batches of about one length would not have, from the exact batches of all inputs.

    Attention grows with the square of the padded length, everything else of the model with its tokens.
    """
    runtime = case.spec.runtime
    if profile.scenario != "offline" or not case.facts.lengths or runtime.batching != "as-they-come":
        return None
    lengths = np.asarray(case.facts.lengths)
    real_count = int(lengths.sum())
    today, planned = (_cost(lengths, batching, runtime.batch_example_count) for batching in ("as-they-come", "sorted"))
    attention_ratio = share_ratio(profile, "attention")
    # Python between operators costs the same for every batch, however wide it is.
    touched_ratio = 1 - share_ratio(profile, *DISPATCH)
    left_ratio = (touched_ratio - attention_ratio) * planned[0] / today[0] + attention_ratio * planned[1] / today[1]
    if touched_ratio <= 0:
        return None
    return priced(
        "padding",
        profile,
        claim=f"{units.percent(1 - real_count / today[0], 0)} of the tokens that are computed are padding; "
        "batches of texts of about one length would have hardly any.",
        evidence=f"{len(lengths):,} inputs with {real_count:,} tokens are padded to {today[0]:,} in batches of "
        f"{runtime.batch_example_count} as they come, and to {planned[0]:,} in sorted ones",
        share_ratio=touched_ratio,
        part_speedup_ratio=touched_ratio / left_ratio,
        assumption="time follows the padded tokens, in attention their square; many inputs wait together, so that they "
        "can be sorted (a few batches leave more padding than many)",
        experiment="sorted",
        recipe=({"runtime": {"batching": "sorted"}},),
    )


def small_batch(case: Case, profile: Profile) -> Finding | None:
    """A batch so small that what each call costs anyway is felt; both profiles together tell that cost."""
    single = case.profiles.get("single")
    if profile.scenario != "offline" or single is None:
        return None
    call_sec, batch_sec = (one.step_sec / one.calls_per_step_count for one in (single, profile))
    call_count, batch_count = (one.step_token_count / one.calls_per_step_count for one in (single, profile))
    if batch_count <= call_count:
        return None
    token_sec = (batch_sec - call_sec) / (batch_count - call_count)
    fixed_sec = call_sec - token_sec * call_count
    if token_sec <= 0 or fixed_sec <= 0:
        return None
    reached = [reached_ratio(case.points(one, *PRODUCTS)) for one in (single, profile)]
    example_count = case.spec.runtime.batch_example_count
    larger_count = _LARGER_BATCH_RATIO * example_count
    return priced(
        "small-batch",
        profile,
        claim=f"A batch of {example_count} is too small: {units.percent(fixed_sec / batch_sec, 0)} of "
        "its time would be spent on any batch.",
        evidence=f"a call takes {units.duration(call_sec)} for {call_count:,.0f} tokens and "
        f"{units.duration(batch_sec)} for {batch_count:,.0f}, so {units.duration(fixed_sec)} do not depend "
        f"on the tokens; products reach {units.percent(reached[0], 0)} and {units.percent(reached[1], 0)} of their "
        "roof",
        share_ratio=fixed_sec / batch_sec,
        part_speedup_ratio=_LARGER_BATCH_RATIO,
        assumption=f"batches of {larger_count} fit the caches as well as today's, and so many inputs wait together",
        recipe=({"runtime": {"batch": larger_count}},),
    )


def oversubscription(case: Case, profile: Profile) -> Finding | None:
    """More threads than cores: they take turns, and those that wait at a barrier hold the core of one that works."""
    replica_count = case.spec.runtime.replica_count
    asked_count = case.thread_count * replica_count
    if case.is_cuda or asked_count <= case.core_count:
        return None
    fitting_count = max(case.core_count // replica_count, 1)
    return priced(
        "oversubscription",
        profile,
        claim=f"{asked_count} threads share {case.core_count} cores, so they wait for each other's turn.",
        evidence=f"{replica_count} × {case.thread_count} threads asked for, {case.core_count} cores allotted",
        share_ratio=1 - share_ratio(profile, *DISPATCH),
        part_speedup_ratio=asked_count / case.core_count,
        assumption="a thread that waits at a barrier spins for as long as its turn lasts; a runtime whose threads "
        "sleep loses less",
        recipe=({"runtime": {"threads": fitting_count, "replicas": replica_count}},),
    )


def idle_cores(case: Case, profile: Profile) -> Finding | None:
    """Serial time in which the other cores of a batch have nothing to do; replicas of one thread fill it."""
    thread_count = case.thread_count
    if profile.scenario != "offline" or case.is_cuda or case.spec.runtime.replica_count > 1 or thread_count < 2:
        return None
    # A package of inductor holds the interpreter while it computes, so its replicas wait for each other.
    if case.spec.engine == "aotinductor" or thread_count > case.core_count:
        return None
    serial_ratio = share_ratio(profile, *DISPATCH)
    return priced(
        "idle-cores",
        profile,
        claim=f"For {units.percent(serial_ratio, 0)} of a batch only one of {thread_count} cores works; replicas of "
        "one thread keep all of them busy.",
        evidence=f"Python, dispatch and gaps take {units.percent(serial_ratio)} of a batch, without the profiler's "
        f"own time, at {thread_count} threads",
        share_ratio=serial_ratio,
        part_speedup_ratio=thread_count,
        assumption="products run on one thread at its full share of the peak, and the replicas' weights fit the "
        "bandwidth; a single call gets slower",
        recipe=({"runtime": {"replicas": thread_count, "threads": 1}},),
    )


def threads_of_a_small_call(case: Case, profile: Profile) -> Finding | None:
    """Products so small that several threads need longer than one would at the share of the roof that batches reach."""
    thread_count, offline = case.thread_count, case.profiles.get("offline")
    if profile.scenario != "single" or case.is_cuda or thread_count < 2 or offline is None:
        return None
    points, reach_ratio = case.points(profile, "matrix"), reached_ratio(case.points(offline, "matrix"))
    if not points or not reach_ratio:
        return None
    seen_sec = sum(point.self_sec for point in points)
    # Operations take so many times as long on one thread; bytes do not, because one thread can use most of the bus.
    alone_sec = sum(
        point.attainable_sec * (1 if case.is_memory_bound(point) else thread_count) for point in points
    ) / min(reach_ratio, 1.0)
    call_count = calls_count(profile)
    return priced(
        "small-call-threads",
        profile,
        claim=f"The products of one call are too small for {thread_count} threads; one would be done sooner.",
        evidence=f"they take {units.duration(seen_sec / call_count)} a call on {thread_count} threads; one thread at "
        f"the {units.percent(reach_ratio, 0)} of its roof that a batch reaches needs "
        f"{units.duration(alone_sec / call_count)}",
        share_ratio=seen_sec / busy_sec(profile),
        part_speedup_ratio=seen_sec / alone_sec,
        assumption="one thread reaches in small products what all reach in large ones",
        recipe=({"runtime": {"threads": 1}},),
    )


def _cost(lengths: NDArray[np.integer], batching: Batching, example_count: int) -> tuple[int, int]:
    """Return the padded tokens of all batches, and the sum of their squares, text by text."""
    batches: Sequence[NDArray[np.int64]] = plan_batches(lengths, batching, example_count=example_count)
    widest = [(len(rows), int(lengths[rows].max())) for rows in batches]
    return sum(count * width for count, width in widest), sum(count * width**2 for count, width in widest)
