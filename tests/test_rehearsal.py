"""Tests for the rehearsal: exactly, with a clock that we move; and once with two real servers."""

import contextlib
import dataclasses
import http.client
import json
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

from perflib.artifact import Artifact
from perflib.errors import DataError, ParameterError, SetupError
from perflib.governance.rollout.thresholds import AGREEMENT, ERRORS, LATENCY, SHIFT
from perflib.progress import Progress
from perflib.rehearsing import arms, rehearse, server
from perflib.rehearsing.arms import Answer, running_servers
from perflib.rehearsing.faults import HEALTHY, Fault
from perflib.rehearsing.rehearse import finished, play_all
from perflib.rehearsing.rounds import play
from perflib.rehearsing.router import Event, Router, Users
from perflib.rehearsing.schedule import make_rounds, planted_fault
from perflib.rehearsing.server import TOKEN_HEADER, Answering, make_server
from perflib.rehearsing.watch import p99_sec, see, traffic_point, watch
from perflib.results import Build, Comparison, RunSummary, Validation
from perflib.results.governance import Rehearsal, RolloutPlan
from perflib.runs import Run
from tests.ledgers import make_ledger
from tests.rehearsal_world import NOTHING_DONE, FakeArm, FakeClock, Toy, make_bench, make_plan
from tests.tiny_artifact import write_artifact

TOY = "tests.rehearsal_world:Toy"


def rehearse_fake(*, budget_sec: float = 60.0, seed: int = 0, **candidate: Any) -> Rehearsal:
    """Rehearse with fake arms; the candidate answers in 2 ms, the baseline in 5."""
    clock = FakeClock()
    fast = FakeArm(clock, **{"answer_sec": 0.002, **candidate})
    bench = make_bench(clock, FakeArm(clock), fast, seed=seed)
    with Progress("rehearsal", 4, stream=sys.__stderr__) as progress:
        played = play_all(
            make_plan(), bench, budget_sec=budget_sec, seed=seed, rehearsed=NOTHING_DONE, progress=progress
        )
    return finished(played, lost_count=bench.router.lost_count())


# --- the schedule -----------------------------------------------------------------------------------------------


def test_all_rounds_fit_into_the_budget_and_limits_stay() -> None:
    """Times and counts are scaled by one factor; what a gate allows is what the plan says."""
    scale_ratio, rounds = make_rounds(make_plan(), budget_sec=60.0)

    assert sum(one.prelude_sec + one.limit_sec + one.tail_sec for one in rounds) == pytest.approx(60.0)
    assert [one.fault for one in rounds] == ["latency", "error rate", "labels", "none"]
    assert [len(one.stages) for one in rounds] == [1, 1, 1, 5]
    for one in rounds:
        assert one.rollback_sec == pytest.approx(300.0 * scale_ratio)
        for stage in one.stages:
            assert stage.least_request_count == -(-1787 * scale_ratio // 1)
            assert [gate.limit for gate in stage.gates] == [gate.limit for gate in make_plan().triggers]
            assert stage.gates[0].window_sec == pytest.approx(300.0 * scale_ratio)


def test_a_fault_has_one_window_more_than_it_needs_and_the_time_of_the_way_back() -> None:
    """Three windows of 15 minutes and 5 minutes; three of 5 and 5."""
    scale_ratio, rounds = make_rounds(make_plan(), budget_sec=60.0)

    assert [one.limit_sec / scale_ratio for one in rounds[:3]] == pytest.approx([3000.0, 1200.0, 3000.0])


@pytest.mark.parametrize("budget_sec", [4.99, 600.01, -1.0, float("nan"), float("inf")])
def test_a_budget_that_makes_no_rehearsal_is_refused(budget_sec: float) -> None:
    """From 5 to 600 seconds; both borders are allowed."""
    with pytest.raises(ParameterError, match="give 5 to 600 s"):
        make_rounds(make_plan(), budget_sec=budget_sec)
    assert make_rounds(make_plan(), budget_sec=5.0)
    assert make_rounds(make_plan(), budget_sec=600.0)


def test_a_late_answer_is_far_beyond_the_baseline_and_still_arrives_in_time() -> None:
    """Three times the baseline's slowest, at least 0.2 s, and at most half of the time for the way back."""
    holds = [
        planted_fault("latency", baseline_p99_sec=p99, rollback_sec=1.0).hold_sec for p99 in (None, 0.01, 0.1, 0.5)
    ]

    assert holds == pytest.approx([0.2, 0.2, 0.3, 0.5])
    assert planted_fault("none", baseline_p99_sec=0.1, rollback_sec=1.0) == HEALTHY


# --- what is watched --------------------------------------------------------------------------------------------


def event(at_sec: float, arm: Any, class_index: int | None = 0, *, other: int | None = None, sec: float = 0.1) -> Event:
    """Return an answer; with ``other`` a mirrored one beside the class that the user got."""
    mirrored = None if other is None else Answer(other, 0.1, is_planted=False)
    return Event(at_sec, arm, Answer(class_index, None if class_index is None else sec, is_planted=False), mirrored)


GATES = {gate.metric: gate for gate in make_plan().triggers}


def test_errors_are_counted_among_the_candidates_answers_only() -> None:
    """Served and mirrored answers count; the baseline's errors do not."""
    events = [event(0, "candidate", None), event(1, "candidate", other=0), event(2, "baseline", None)]
    seen = see(GATES[ERRORS], events)

    assert (seen.bad_count, seen.request_count) == (1, 2)


def test_labels_are_compared_where_both_arms_have_answered() -> None:
    """Whoever served; an error is no label."""
    events = [
        event(0, "candidate", 1, other=0),
        event(1, "baseline", 1, other=1),
        event(2, "candidate", None, other=0),
        event(3, "candidate", 1),
    ]
    seen = see(GATES[AGREEMENT], events)

    assert (seen.bad_count, seen.request_count) == (1, 2)


def test_the_shift_is_what_goes_one_way() -> None:
    """Two changes against each other cancel; who served decides which class is the baseline's."""
    there, back = event(0, "candidate", 1, other=0), event(1, "candidate", 0, other=1)

    assert see(GATES[SHIFT], [there, back]).bad_count == 0
    assert see(GATES[SHIFT], [there, there, back]).bad_count == 1
    # The baseline, mirrored, says 0 where the candidate has served 1: the same way as `there`.
    assert see(GATES[SHIFT], [there, event(2, "baseline", 0, other=1)]).bad_count == 2


def test_times_of_both_arms_are_compared() -> None:
    """Errors have no time."""
    slow = [event(0, "candidate", sec=0.12), event(0, "candidate", None), event(0, "baseline", sec=0.1)]

    assert see(GATES[LATENCY], slow).bad_count == 1
    assert see(GATES[LATENCY], slow).request_count == 1
    assert p99_sec(slow, "candidate") == 0.12
    assert p99_sec([], "candidate") is None


def test_the_99th_percentile_of_a_hundred_is_the_second_longest() -> None:
    """With fewer it is the longest."""
    events = [event(0, "baseline", sec=float(sec)) for sec in range(1, 101)]

    assert p99_sec(events, "baseline") == 99.0
    assert p99_sec(events[:99], "baseline") == 99.0
    assert p99_sec(events[:98], "baseline") == 98.0


def test_windows_begin_with_the_stage_and_an_unfinished_one_is_left_out() -> None:
    """What came before the stage counts for nothing; a window ends just before the next one."""
    stage = make_plan().stages[3]
    events = [event(at, "candidate") for at in (99.0, 100.0, 399.9, 400.0, 1000.0)]
    watched = watch(events, stage, begun_sec=100.0, now_sec=1000.0)

    assert [seen.request_count for seen in watched.windows[ERRORS]] == [2, 1, 0]
    assert watched.whole[ERRORS].request_count == 4
    assert [len(watch(events, stage, begun_sec=100.0, now_sec=now).windows[ERRORS]) for now in (399.9, 400.0)] == [0, 1]


def test_a_point_of_the_picture_counts_users_only() -> None:
    """Mirrored answers say something about the arms, and nobody got them."""
    events = [event(0, "candidate", 1), event(0, "baseline", 1, other=1), event(1, "baseline", 0)]
    point = traffic_point(events, at_sec=2.0, fault="none", stage="half")

    assert point is not None
    assert (point.request_count, point.candidate_ratio, point.label_agreement_ratio) == (2, 0.5, 1.0)
    assert traffic_point([event(0, "baseline", 1, other=1)], at_sec=1.0, fault="none", stage="half") is None


# --- the router -------------------------------------------------------------------------------------------------


def test_the_coins_are_seeded_and_split_as_told() -> None:
    """The same seed sends the same requests to the same arm; a tenth of 5,000 is a tenth."""

    def candidates(seed: int) -> list[Any]:
        clock = FakeClock()
        both = {"baseline": FakeArm(clock), "candidate": FakeArm(clock)}
        router = Router(both, seed=seed, clock=clock)  # type: ignore[arg-type]
        router.route(traffic_ratio=0.1, mirror_ratio=0.0)
        for number in range(5000):
            router.handle(number, number)
        return both["candidate"].asked

    assert candidates(0) == candidates(0)
    assert candidates(0) != candidates(1)
    assert len(candidates(0)) == pytest.approx(500, abs=90)


def test_in_shadow_users_get_the_baseline_and_both_answer() -> None:
    """Everything is mirrored and nothing served by the candidate."""
    clock = FakeClock()
    router = Router({"baseline": FakeArm(clock), "candidate": FakeArm(clock)}, seed=0, clock=clock)
    router.route(traffic_ratio=0.0, mirror_ratio=1.0)
    for number in range(50):
        router.handle(number, number)

    assert [one.arm for one in router.events() if one.is_served] == ["baseline"] * 50
    assert [one.arm for one in router.events() if not one.is_served] == ["candidate"] * 50


class Gated:
    """An arm that answers only when it is let."""

    def __init__(self) -> None:
        self.is_asked, self.may_answer = threading.Event(), threading.Event()

    def ask(self, given: Any) -> Answer:
        """Wait until it may answer."""
        self.is_asked.set()
        assert self.may_answer.wait(10)
        return Answer(given, 0.0, is_planted=False)

    def plant(self, fault: Fault) -> None:
        """Take nothing."""

    def check(self) -> None:
        """Be there."""


def test_going_back_waits_for_what_is_in_flight_and_sends_nothing_more() -> None:
    """The request that was under way is counted and answered; the next one goes to the baseline."""
    slow = Gated()
    router = Router({"baseline": FakeArm(FakeClock()), "candidate": slow}, seed=0)
    router.route(traffic_ratio=1.0, mirror_ratio=0.0)
    user = threading.Thread(target=router.handle, args=(0, 0))
    user.start()
    assert slow.is_asked.wait(10)
    assert router.lost_count() == 1
    threading.Timer(0.05, slow.may_answer.set).start()

    assert router.roll_back(timeout_sec=10.0) == 1
    assert [one.arm for one in router.events()] == ["candidate"]
    router.handle(1, 1)
    user.join()
    assert [one.arm for one in router.events()] == ["candidate", "baseline"]
    assert router.lost_count() == 0


def test_going_back_does_not_wait_for_ever() -> None:
    """A server that never answers keeps its one user, not everybody."""
    slow = Gated()
    router = Router({"baseline": FakeArm(FakeClock()), "candidate": slow}, seed=0)
    router.route(traffic_ratio=1.0, mirror_ratio=0.0)
    user = threading.Thread(target=router.handle, args=(0, 0))
    user.start()
    assert slow.is_asked.wait(10)

    assert router.roll_back(timeout_sec=0.0) == 1
    slow.may_answer.set()
    user.join()


def test_users_go_on_asking_until_they_are_stopped() -> None:
    """All threads are gone afterwards, and every request has its answer."""
    router = Router({"baseline": FakeArm(FakeClock()), "candidate": FakeArm(FakeClock())}, seed=0)
    before = threading.active_count()
    with Users(router, [3, 4]):
        while len(router.events()) < 5:
            time.sleep(0.01)

    assert threading.active_count() <= before
    assert router.lost_count() == 0


# --- rounds, exactly --------------------------------------------------------------------------------------------


def test_every_fault_sends_everybody_back_and_health_gets_to_the_end() -> None:
    """Two windows after the planting, from three stages, each by the gate that is meant for it."""
    rehearsal = rehearse_fake()
    scale = rehearsal.scale_ratio

    assert rehearsal.is_passed, rehearsal.sentence
    assert [(one.fault, one.stage, one.trigger) for one in rehearsal.faults] == [
        ("latency", "canary-10", LATENCY),
        ("error rate", "half", ERRORS),
        ("labels", "full", AGREEMENT),
        ("none", "full", ""),
    ]
    for one, window_sec in zip(rehearsal.faults, (900, 300, 900), strict=False):
        assert one.seen_sec is not None
        assert one.rolled_back_sec == one.seen_sec
        # A window's end is looked at when the request under way is over.
        assert 2 * window_sec * scale <= one.seen_sec + 0.5 <= 2 * window_sec * scale + 1.0
        assert one.rolled_back_sec <= one.limit_sec


def test_a_rehearsal_can_be_repeated() -> None:
    """The same seed gives the same record, another seed another."""
    assert rehearse_fake() == rehearse_fake()
    assert rehearse_fake(seed=1).traffic != rehearse_fake().traffic


def test_what_users_got_is_counted_from_the_planting_to_the_way_back() -> None:
    """With 10 % of the traffic a few were late; at full, three of four labels were wrong; without a fault none."""
    latency, _, labels, none = rehearse_fake().faults

    assert 0 < latency.bad_answer_count < 0.25 * latency.request_count
    assert 0.6 * labels.request_count < labels.bad_answer_count < 0.9 * labels.request_count
    assert none.bad_answer_count == 0


def test_after_the_way_back_nobody_is_served_by_the_candidate() -> None:
    """The windows before the planting have its share, those after the way back have none."""
    rehearsal = rehearse_fake()
    half = rehearsal.faults[1]
    points = [point for point in rehearsal.traffic if point.fault == "error rate"]
    before = [point.candidate_ratio for point in points if point.at_sec <= 0]
    after = [point.candidate_ratio for point in points if point.at_sec > (half.rolled_back_sec or 0) + 1.0]

    assert np.mean(before) == pytest.approx(0.5, abs=0.15)
    assert after
    assert set(after) == {0.0}


def test_the_round_without_a_fault_goes_through_every_stage() -> None:
    """In order, each for its least time."""
    rehearsal = rehearse_fake()
    stages = [point.stage for point in rehearsal.traffic if point.fault == "none"]

    assert list(dict.fromkeys(stages)) == ["shadow", "canary-1", "canary-10", "half", "full"]


def test_a_candidate_that_is_a_little_slower_than_allowed_does_not_get_through() -> None:
    """Of 5.6 ms beside 5 ms, none is within a factor of 1.1."""
    none = rehearse_fake(answer_sec=0.0056).faults[3]

    assert (none.stage, none.trigger, none.is_as_planned) == ("shadow", LATENCY, False)
    assert rehearse_fake(answer_sec=0.0054).faults[3].is_as_planned


def test_a_candidate_with_too_many_other_labels_does_not_get_through() -> None:
    """One of ten is beyond 2 %, in shadow already."""
    none = rehearse_fake(other_every=10).faults[3]

    assert (none.stage, none.trigger, none.is_as_planned) == ("shadow", AGREEMENT, False)


def test_a_fault_that_shows_nowhere_is_no_success() -> None:
    """A candidate that does not take the fault goes on serving; the rehearsal says that nothing noticed."""
    rehearsal = rehearse_fake(is_deaf=True)

    assert not rehearsal.is_passed
    assert [one.is_as_planned for one in rehearsal.faults] == [False, False, False, True]
    assert {one.seen_sec for one in rehearsal.faults} == {None}
    assert "Nothing noticed it within" in rehearsal.faults[0].sentence
    assert "do not start it" in rehearsal.sentence


def test_no_baseline_answers_hold_the_candidate_where_it_is() -> None:
    """Without mirrored answers there is nothing to compare; time runs out in shadow, and the sentence says why."""
    _, rounds = make_rounds(make_plan(), budget_sec=60.0)
    clock = FakeClock()
    bench = make_bench(clock, FakeArm(clock), FakeArm(clock, answer_sec=0.002))
    blind = dataclasses.replace(
        rounds[3], stages=tuple(dataclasses.replace(one, mirror_ratio=0.0) for one in rounds[3].stages)
    )
    found, _ = play(blind, bench)

    assert (found.stage, found.seen_sec, found.is_as_planned) == ("shadow", None, False)
    assert "was held in stage shadow" in found.sentence
    assert clock() == pytest.approx(blind.limit_sec, abs=blind.window_sec)


def test_a_lost_request_fails_a_rehearsal_that_went_well() -> None:
    """Whatever the gates said."""
    whole = rehearse_fake()

    assert not finished(whole, lost_count=1).is_passed
    assert "requests of users were lost" in finished(whole, lost_count=1).sentence


def test_a_rehearsal_is_a_record(tmp_path: Path) -> None:
    """It is read as it was written."""
    whole = rehearse_fake()

    assert Rehearsal.read(whole.write(tmp_path / "rehearsal-int8.json")) == whole


# --- a server ---------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def serving(answering: Answering, *, is_plantable: bool = True) -> Iterator[ThreadingHTTPServer]:
    """Serve in a thread of this process."""
    made = make_server(answering, token="right", is_plantable=is_plantable)
    thread = threading.Thread(target=made.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield made
    finally:
        made.shutdown()
        made.server_close()
        thread.join()


def post(made: ThreadingHTTPServer, path: str, document: Any, **headers: str) -> tuple[int, Any]:
    """Send a request and return status and reply."""
    connection = http.client.HTTPConnection("127.0.0.1", made.server_address[1], timeout=10)
    body = document if isinstance(document, bytes) else json.dumps(document).encode()
    connection.request("POST", path, body, {TOKEN_HEADER: "right"} | headers)
    reply = connection.getresponse()
    status, answer = reply.status, json.loads(reply.read())
    connection.close()
    return status, answer


def make_answering(folder: Path) -> Answering:
    """Return the tiny model behind the toy workload; a held answer waits for nobody."""
    return Answering(write_artifact(folder), Toy().encode, seed=0, sleep=lambda _: None)


def test_a_server_answers_as_its_artifact_does(tmp_path: Path) -> None:
    """Class and label of the encoded text, with the time that it took."""
    answering = make_answering(tmp_path / "model")
    texts = [f"text {number}" for number in range(5)]
    expected = answering.artifact.predict(Toy().encode(texts)).argmax(axis=1)
    with serving(answering) as made:
        replies = [post(made, "/answer", {"input": text}) for text in texts]

    assert [status for status, _ in replies] == [200] * 5
    assert [reply["class_index"] for _, reply in replies] == expected.tolist()
    assert {reply["label"] for _, reply in replies} <= set(answering.artifact.spec.labels)
    assert all(reply["answer_sec"] > 0 and reply["is_planted"] is False for _, reply in replies)


def test_each_fault_does_what_it_is_called(tmp_path: Path) -> None:
    """All answers fail, all are the next class, all are held."""
    with serving(make_answering(tmp_path / "model")) as made:
        _, healthy = post(made, "/answer", {"input": "text 1"})
        assert post(made, "/plant", {"error_ratio": 1.0}) == (200, {})
        assert post(made, "/answer", {"input": "text 1"}) == (500, {"error": "planted", "is_planted": True})
        post(made, "/plant", {"wrong_ratio": 1.0})
        _, wrong = post(made, "/answer", {"input": "text 1"})
        post(made, "/plant", {"hold_sec": 5.0})
        _, late = post(made, "/answer", {"input": "text 1"})
        post(made, "/plant", {})
        _, healed = post(made, "/answer", {"input": "text 1"})

    assert wrong["class_index"] == (healthy["class_index"] + 1) % 3
    assert wrong["is_planted"]
    assert late["answer_sec"] > 5.0
    assert late["is_planted"]
    assert (healed["class_index"], healed["is_planted"]) == (healthy["class_index"], False)


@pytest.mark.parametrize(
    ("path", "body", "headers", "refusal"),
    [
        ("/answer", {"input": "text 1"}, {TOKEN_HEADER: "wrong"}, (403, "wrong token")),
        ("/answer", {"input": "text 1"}, {TOKEN_HEADER: "ä"}, (403, "wrong token")),
        ("/answer", b"{", {}, (500, "JSONDecodeError")),
        ("/answer", {"text": "x"}, {}, (500, "KeyError")),
        ("/answer", [1], {}, (500, "TypeError")),
        ("/elsewhere", {}, {}, (500, "there is no /elsewhere")),
        ("/plant", {"error_ratio": 2.0}, {}, (500, "cannot be planted")),
        ("/plant", {"hold_sec": -1.0}, {}, (500, "cannot be planted")),
        ("/plant", {"colour": 1.0}, {}, (500, "is no fault")),
        ("/plant", {"error_ratio": "much"}, {}, (500, "is no fault")),
        ("/answer", b"{}", {"Content-Length": "1000001"}, (413, "up to 1000000 bytes")),
        ("/answer", b"{}", {"Content-Length": "many"}, (413, "up to 1000000 bytes")),
    ],
)
def test_a_bad_request_is_refused_in_words(
    tmp_path: Path, path: str, body: Any, headers: dict[str, str], refusal: tuple[int, str]
) -> None:
    """The server lives on and answers the next one."""
    with serving(make_answering(tmp_path / "model")) as made:
        found, reply = post(made, path, body, **headers)

        assert found == refusal[0]
        assert refusal[1] in reply["error"]
        assert post(made, "/answer", {"input": "text 1"})[0] == 200


def test_the_baseline_takes_no_fault(tmp_path: Path) -> None:
    """Where nothing can be planted, there is no such address."""
    with serving(make_answering(tmp_path / "model"), is_plantable=False) as made:
        assert post(made, "/plant", {"error_ratio": 1.0})[0] == 500
        assert post(made, "/answer", {"input": "text 1"})[0] == 200


def test_an_answer_that_is_not_finite_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """NaN has no largest class."""
    answering = make_answering(tmp_path / "model")
    monkeypatch.setattr(answering.artifact, "predict", lambda _: np.full((1, 3), np.nan, np.float32))

    with pytest.raises(DataError, match="not finite"):
        answering.answer("text 1")


def test_a_server_listens_on_the_loopback_interface_only(tmp_path: Path) -> None:
    """On a port that the system has chosen."""
    made = make_server(make_answering(tmp_path / "model"), token="right", is_plantable=False)
    host, port = made.server_address[:2]
    made.server_close()

    assert host == "127.0.0.1"
    assert port > 0


# --- processes --------------------------------------------------------------------------------------------------

_READY = "import json, sys; sys.stdin.readline(); print(json.dumps({'port': 1, 'sha256': 'x'}), flush=True); "
ASKED: dict[str, Any] = {"workload": "toy", "seed": 0, "dice_seed": 0, "first_inputs": ["text 1"]}
FOLDERS: Any = {"baseline": Path("b"), "candidate": Path("c")}


def children() -> set[int]:
    """Return the processes that this one has started and that live."""
    return {child.pid for child in psutil.Process().children(recursive=True)}


def stand_in(monkeypatch: pytest.MonkeyPatch, program: str) -> None:
    """Let a few lines of Python stand for the server."""
    monkeypatch.setattr(arms, "COMMAND", (sys.executable, "-c", program))


def test_servers_are_gone_when_the_rehearsal_is_interrupted(monkeypatch: pytest.MonkeyPatch) -> None:
    """A Ctrl-C in the parent ends both, whatever they are doing."""
    stand_in(monkeypatch, _READY + "import time; time.sleep(60)")
    pids = []
    with contextlib.suppress(KeyboardInterrupt), running_servers(FOLDERS, **ASKED) as both:
        pids = [one.pid for one in both.values()]
        assert all(psutil.pid_exists(pid) for pid in pids)
        raise KeyboardInterrupt

    assert len(pids) == 2
    assert not any(psutil.pid_exists(pid) for pid in pids)


def test_a_server_that_dies_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    """Which one, how, and what it said last; requests to it are errors, not exceptions."""
    stand_in(monkeypatch, _READY + "print('farewell', file=sys.stderr, flush=True); import time; time.sleep(60)")
    with running_servers(FOLDERS, **ASKED) as both:
        both["candidate"].check()
        while b"farewell" not in both["candidate"].said_last():
            time.sleep(0.01)
        os.kill(both["candidate"].pid, signal.SIGKILL)
        os.waitid(os.P_PID, both["candidate"].pid, os.WEXITED | os.WNOWAIT)
        with pytest.raises(SetupError, match=r"candidate's server was killed by signal 9.*farewell") as caught:
            both["candidate"].check()
        with pytest.raises(SetupError, match="killed by signal 9"):
            both["candidate"].plant(HEALTHY)
        assert both["candidate"].ask("text 1") == Answer(None, None, is_planted=False)
        both["baseline"].check()

    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("program", "words"),
    [
        ("import sys; sys.exit('no such model')", "baseline's server ended with code 1.*no such model"),
        ('print(\'{"error": "the weights were altered."}\')', "did not start: the weights were altered"),
        ("pass", "ended with code 0.*it printed nothing"),
    ],
)
def test_a_server_that_does_not_start_is_one_sentence(
    monkeypatch: pytest.MonkeyPatch, program: str, words: str
) -> None:
    """And the other one is ended too."""
    stand_in(monkeypatch, program)
    before = children()
    with pytest.raises(SetupError, match=words), running_servers(FOLDERS, **ASKED):
        pass

    assert children() <= before


def test_a_server_that_never_starts_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """The time is over, the sentence says so, the process is gone."""
    stand_in(monkeypatch, "import time; time.sleep(60)")
    monkeypatch.setattr(arms, "START_TIMEOUT_SEC", 0.2)
    before = children()
    with pytest.raises(SetupError, match=r"did not start in 0.2 s"), running_servers(FOLDERS, **ASKED):
        pass

    assert children() <= before


def test_the_token_is_no_argument(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every user of a machine can read the arguments of every process."""
    stand_in(monkeypatch, _READY + "import time; time.sleep(60)")
    with running_servers(FOLDERS, **ASKED) as both:
        token = both["candidate"]._token
        lines = psutil.Process(both["candidate"].pid).cmdline()
        environment = psutil.Process(both["candidate"].pid).environ()

    assert len(token) >= 32
    assert token != both["baseline"]._token
    assert not any(token in word for word in (*lines, *environment.values()))


# --- the real thing ---------------------------------------------------------------------------------------------


@pytest.fixture
def toy_run(tmp_path: Path, own_folders: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Write a finished run whose int8 is a real model that answers as its baseline does."""
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[1]))
    run = Run(tmp_path / "run")
    make_ledger(run.folder)
    # Two finalists would share what chance may do.
    for path in (run.folder / "records").glob("*-bf16.json"):
        path.unlink()
    baseline = write_artifact(run.artifact_folder("baseline"))
    source = write_artifact(tmp_path / "source")
    candidate = source.copy_to(run.artifact_folder("int8"), runtime=None)
    lineage = dataclasses.replace(candidate.spec.lineage, parent_sha256=baseline.digest)
    dataclasses.replace(candidate.spec, lineage=lineage).write(run.artifact_folder("int8") / "artifact.json")
    _point_records_at(run, baseline, Artifact.load(run.artifact_folder("int8")))
    summary = RunSummary.read(run.folder / "run.json")
    dataclasses.replace(summary, params={**summary.params, "workload": TOY}).write(run.folder / "run.json")
    return run


def _point_records_at(run: Run, baseline: Artifact, candidate: Artifact) -> None:
    build, comparison = run.read(Build, "int8"), run.read(Comparison, "int8")
    validation = run.read(Validation, "int8")
    assert build
    assert comparison
    assert validation
    digests: dict[str, Any] = {"baseline_sha256": baseline.digest, "candidate_sha256": candidate.digest}
    run.write(dataclasses.replace(build, artifact_sha256=candidate.digest), "int8")
    run.write(dataclasses.replace(comparison, **digests), "int8")
    identity = dataclasses.replace(validation.identity, **digests)
    run.write(dataclasses.replace(validation, identity=identity), "int8")


def test_two_real_servers_go_there_and_back_again(toy_run: Run) -> None:
    """
    Plan and rehearsal are written, everybody comes back from wrong answers, and no process is left.

    How soon, and what the slowest answers of a busy machine lead to, is not asked here: clocks decide no test.
    """
    before = children()
    rehearsal = rehearse(toy_run.folder, "int8", budget_sec=12.0)

    assert [one.fault for one in rehearsal.faults] == ["latency", "error rate", "labels", "none"]
    for one in rehearsal.faults[1:3]:
        assert one.rolled_back_sec is not None, one.sentence
    assert sum(one.request_count for one in rehearsal.faults) > 100
    assert toy_run.read(Rehearsal, "int8") == rehearsal
    plan = toy_run.read(RolloutPlan, "int8")
    assert plan is not None
    assert (plan.candidate_sha256, plan.baseline_sha256) == (rehearsal.candidate_sha256, rehearsal.baseline_sha256)
    assert children() <= before


def test_a_real_server_ends_with_its_parents_pipe(toy_run: Run) -> None:
    """A parent that is killed cannot end anybody; its pipe does. And another model than the plan's is refused."""
    folders: Any = {"candidate": toy_run.artifact_folder("int8")}
    asked = {**ASKED, "workload": TOY}
    with running_servers(folders, **asked) as both:
        one = both["candidate"]
        assert one.ask("text 2").class_index in range(3)
        assert one.sha256 == Artifact.load(toy_run.artifact_folder("int8")).digest
        assert server.__name__ in " ".join(psutil.Process(one.pid).cmdline())
        one.let_go()
        assert psutil.wait_procs([psutil.Process(one.pid)], timeout=10)[1] == []


def test_what_cannot_be_rehearsed_is_refused_before_anything_starts(
    toy_run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A candidate that is not approved, a budget that is none, an artifact that is gone."""
    monkeypatch.setattr(arms, "COMMAND", ("/nothing/may/start",))
    with pytest.raises(ParameterError, match="`vocabulary` is quarantined"):
        rehearse(toy_run.folder, "vocabulary")
    with pytest.raises(ParameterError, match="give 5 to 600 s"):
        rehearse(toy_run.folder, "int8", budget_sec=1.0)
    (toy_run.artifact_folder("int8") / "artifact.json").unlink()
    with pytest.raises(ParameterError, match=r"has no artifact\.json"):
        rehearse(toy_run.folder, "int8")
    assert toy_run.read(Rehearsal, "int8") is None
