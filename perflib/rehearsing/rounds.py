"""
Rounds of a rehearsal: traffic flows, a fault is planted, and the plan's own rules decide what happens.

Nothing here knows what was planted: the way back is taken because a gate was breached.
"""

import dataclasses
from collections.abc import Callable, Sequence

from perflib.governance.rollout.rules import Watched, breached_gate, decide, holding_gates
from perflib.rehearsing.arms import Arm, heal
from perflib.rehearsing.faults import Fault
from perflib.rehearsing.router import Event, Router
from perflib.rehearsing.schedule import Round, planted_fault
from perflib.rehearsing.watch import p99_sec, traffic_point, watch
from perflib.results.governance import RehearsedFault, RolloutStage, TrafficPoint
from perflib.sentences.rehearsal import fault_sentence, planted_words

_ROUND_DIGITS = 4


@dataclasses.dataclass(frozen=True)
class Bench:
    """
    Two arms behind a router, with traffic on it.

    ``wait`` lets traffic flow until a moment of ``clock`` and raises if an arm is gone.
    """

    router: Router
    candidate: Arm
    clock: Callable[[], float]
    wait: Callable[[float], None]


@dataclasses.dataclass
class _Story:
    """What has happened in a round so far; times are of the bench's clock."""

    begun_sec: float
    stage: RolloutStage
    stages: list[tuple[float, str]]
    fault: Fault | None = None
    planted_sec: float | None = None
    seen_sec: float | None = None
    rolled_back_sec: float | None = None
    back_sec: float = 0.0
    trigger: str = ""
    in_flight_count: int = 0
    is_through: bool = False


def play(one: Round, bench: Bench) -> tuple[RehearsedFault, tuple[TrafficPoint, ...]]:
    """
    Play one round, from its first stage to the way back or to the end.

    Args:
        one: What to plant, and when.
        bench: With traffic on it.

    Returns:
        What became of it, and its windows, timed from the planting where something was planted.
    """
    heal(bench.candidate)
    before_count = len(bench.router.events())
    begun_sec = bench.clock()
    story = _Story(begun_sec, one.stages[0], [(begun_sec, one.stages[0].name)])
    _enter(bench, story.stage)
    _run(one, bench, story)
    if one.tail_sec:
        bench.wait(bench.clock() + one.tail_sec)
    end_sec = bench.clock()
    heal(bench.candidate)
    events = bench.router.events()[before_count:]
    return _outcome(one, story, events, end_sec), _points(one, story, events, end_sec)


def _run(one: Round, bench: Bench, story: _Story) -> None:
    """Look at the traffic whenever the shortest window is over, until something is decided or the time is up."""
    stage_begun_sec, number = story.begun_sec, 0
    rest = list(one.stages[1:])
    while True:
        number += 1
        bench.wait(stage_begun_sec + number * one.window_sec)
        now_sec, events = bench.clock(), bench.router.events()
        watched = watch(events, story.stage, begun_sec=stage_begun_sec, now_sec=now_sec)
        verdict = decide(story.stage, watched)
        if verdict == "roll back":
            _roll_back(one, bench, story, watched, now_sec)
            return
        if one.fault == "none" and verdict == "advance":
            if not rest:
                story.is_through = True
                return
            story.stage, stage_begun_sec, number = rest.pop(0), bench.clock(), 0
            story.stages.append((stage_begun_sec, story.stage.name))
            _enter(bench, story.stage)
        if one.fault != "none" and story.planted_sec is None and _is_due(now_sec, story.begun_sec + one.prelude_sec):
            story.fault = planted_fault(
                one.fault, baseline_p99_sec=p99_sec(events, "baseline"), rollback_sec=one.rollback_sec
            )
            bench.candidate.plant(story.fault)
            # Windows begin anew: chance in a healthy one must not help to see the fault.
            story.planted_sec = stage_begun_sec = bench.clock()
            number = 0
        if _is_due(now_sec, (story.planted_sec or story.begun_sec + one.prelude_sec) + one.limit_sec):
            _give_up(bench, story, watched)
            return


def _roll_back(one: Round, bench: Bench, story: _Story, watched: Watched, now_sec: float) -> None:
    gate = breached_gate(story.stage, watched)
    story.trigger = gate.metric if gate else ""
    story.seen_sec = now_sec
    start_sec = bench.clock()
    story.in_flight_count = bench.router.roll_back(timeout_sec=one.rollback_sec)
    story.rolled_back_sec = bench.clock()
    story.back_sec = story.rolled_back_sec - start_sec


def _give_up(bench: Bench, story: _Story, watched: Watched) -> None:
    """End a round that no gate has ended: nobody may stay at a faulty candidate."""
    if story.planted_sec is None:
        story.trigger = ", ".join(gate.metric for gate in holding_gates(story.stage, watched))
    bench.router.roll_back(timeout_sec=0.0)


def _outcome(one: Round, story: _Story, events: Sequence[Event], end_sec: float) -> RehearsedFault:
    zero_sec = story.begun_sec if story.planted_sec is None else story.planted_sec
    until_sec = end_sec if story.rolled_back_sec is None else story.rolled_back_sec
    users = [event for event in events if event.is_served and zero_sec <= event.at_sec <= until_sec]
    found = RehearsedFault(
        fault=one.fault,
        stage=story.stage.name,
        planted=planted_words(
            error_ratio=story.fault.error_ratio if story.fault else 0.0,
            wrong_ratio=story.fault.wrong_ratio if story.fault else 0.0,
            hold_sec=story.fault.hold_sec if story.fault else 0.0,
        ),
        trigger=story.trigger,
        seen_sec=_since(story.seen_sec, zero_sec),
        rolled_back_sec=_since(story.rolled_back_sec, zero_sec),
        limit_sec=round(one.limit_sec, _ROUND_DIGITS),
        request_count=len(users),
        bad_answer_count=sum(event.answer.is_error or event.answer.is_planted for event in users),
        is_as_planned=_is_as_planned(one, story, events),
        sentence="",
    )
    return dataclasses.replace(found, sentence=fault_sentence(found, in_flight_count=story.in_flight_count))


def _is_as_planned(one: Round, story: _Story, events: Sequence[Event]) -> bool:
    if one.fault == "none":
        return story.is_through and story.seen_sec is None
    if story.planted_sec is None or story.rolled_back_sec is None:
        return False
    rolled_back_sec = story.rolled_back_sec
    late = [
        event for event in events if event.is_served and event.arm == "candidate" and event.at_sec > rolled_back_sec
    ]
    is_in_time = rolled_back_sec - story.planted_sec <= one.limit_sec and story.back_sec <= one.rollback_sec
    return is_in_time and not late


def _points(one: Round, story: _Story, events: Sequence[Event], end_sec: float) -> tuple[TrafficPoint, ...]:
    """Return a round's windows, cut at the planting; a point stands at the end of its window."""
    zero_sec = story.begun_sec if story.planted_sec is None else story.planted_sec
    first = round((story.begun_sec - zero_sec) / one.window_sec)
    last = int((end_sec - zero_sec) / one.window_sec + 1e-9)
    points = []
    for number in range(first, last):
        low_sec = zero_sec + number * one.window_sec
        high_sec = low_sec + one.window_sec
        inside = [event for event in events if low_sec <= event.at_sec < high_sec]
        stage = [name for at_sec, name in story.stages if at_sec < high_sec][-1]
        point = traffic_point(inside, at_sec=high_sec - zero_sec, fault=one.fault, stage=stage)
        points += [point] if point else []
    return tuple(points)


def _enter(bench: Bench, stage: RolloutStage) -> None:
    bench.router.route(traffic_ratio=stage.traffic_ratio, mirror_ratio=stage.mirror_ratio)


def _since(moment_sec: float | None, zero_sec: float) -> float | None:
    return None if moment_sec is None else round(moment_sec - zero_sec, _ROUND_DIGITS)


def _is_due(now_sec: float, due_sec: float) -> bool:
    # Waiting ends at the moment or later, give or take the last bit of a float.
    return now_sec >= due_sec - 1e-9
