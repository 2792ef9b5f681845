"""What the answers of two servers say about a stage: windows of each metric, and the points of a picture."""

import itertools
import math
from collections import Counter
from collections.abc import Sequence

from perflib.governance.rollout.rules import Seen, Watched
from perflib.governance.rollout.thresholds import AGREEMENT, ERRORS, LATENCY, SHIFT
from perflib.rehearsing.arms import ArmName
from perflib.rehearsing.router import Event
from perflib.results.governance import RolloutStage, StageGate, TrafficPoint

# A window that ends at this very moment is whole, whatever the last bit of a float says.
_SLACK_RATIO = 1e-9
_TAIL_RATIO = 0.99


def watch(events: Sequence[Event], stage: RolloutStage, *, begun_sec: float, now_sec: float) -> Watched:
    """
    Return what a stage's gates have seen.

    Args:
        events: All answers, in the order in which they came.
        stage: With its gates.
        begun_sec: When it began.
        now_sec: Windows that are not over yet are left out.
    """
    since = [event for event in events if event.at_sec >= begun_sec]
    return Watched(
        elapsed_sec=now_sec - begun_sec,
        windows={gate.metric: _windows(gate, since, begun_sec, now_sec) for gate in stage.gates},
        whole={gate.metric: see(gate, since) for gate in stage.gates},
    )


def see(gate: StageGate, events: Sequence[Event]) -> Seen:
    """
    Judge one metric over some answers.

    Args:
        gate: Its metric and limit.
        events: Of both arms.
    """
    if gate.metric == ERRORS:
        errors = [event.answer.is_error for event in events if event.arm == "candidate"]
        return Seen.of_share(sum(errors), len(errors), limit_ratio=gate.limit)
    if gate.metric == LATENCY:
        return Seen.of_tail(
            _answer_secs(events, "candidate"), _answer_secs(events, "baseline"), factor_ratio=gate.limit
        )
    pairs = _pairs(events)
    if gate.metric == AGREEMENT:
        other_count = sum(before != after for before, after in pairs)
        return Seen.of_share(other_count, len(pairs), limit_ratio=round(1 - gate.limit, 9))
    assert gate.metric == SHIFT, f"{gate.metric} is watched by nobody"
    moved = Counter(after for _, after in pairs)
    moved.subtract(before for before, _ in pairs)
    return Seen.of_share(max(map(abs, moved.values()), default=0), len(pairs), limit_ratio=gate.limit)


def traffic_point(events: Sequence[Event], *, at_sec: float, fault: str, stage: str) -> TrafficPoint | None:
    """Return one window as the record keeps it; None where no user asked."""
    served = [event.arm == "candidate" for event in events if event.is_served]
    if not served:
        return None
    errors = [event.answer.is_error for event in events if event.arm == "candidate"]
    pairs = _pairs(events)
    return TrafficPoint(
        at_sec=round(at_sec, 4),
        fault=fault,
        stage=stage,
        candidate_ratio=sum(served) / len(served),
        request_count=len(served),
        error_ratio=sum(errors) / len(errors) if errors else None,
        label_agreement_ratio=sum(before == after for before, after in pairs) / len(pairs) if pairs else None,
        p99_sec=p99_sec(events, "candidate"),
        baseline_p99_sec=p99_sec(events, "baseline"),
    )


def p99_sec(events: Sequence[Event], arm: ArmName) -> float | None:
    """Return the 99th percentile of an arm's times, the longest where there are fewer than 100; None without any."""
    ranked = sorted(_answer_secs(events, arm))
    return ranked[math.ceil(_TAIL_RATIO * len(ranked)) - 1] if ranked else None


def _windows(gate: StageGate, events: Sequence[Event], begun_sec: float, now_sec: float) -> list[Seen]:
    count = math.floor((now_sec - begun_sec) / gate.window_sec + _SLACK_RATIO)
    edges = [begun_sec + number * gate.window_sec for number in range(count + 1)]
    return [
        see(gate, [event for event in events if low <= event.at_sec < high]) for low, high in itertools.pairwise(edges)
    ]


def _answer_secs(events: Sequence[Event], arm: ArmName) -> list[float]:
    found = (event.answer.answer_sec for event in events if event.arm == arm)
    return [answer_sec for answer_sec in found if answer_sec is not None]


def _pairs(events: Sequence[Event]) -> list[tuple[int, int]]:
    """Return the classes of baseline and candidate for each request that both answered."""
    pairs = []
    for event in events:
        if event.other is None or event.answer.class_index is None or event.other.class_index is None:
            continue
        mirrored, served = event.answer.class_index, event.other.class_index
        pairs.append((mirrored, served) if event.arm == "baseline" else (served, mirrored))
    return pairs
