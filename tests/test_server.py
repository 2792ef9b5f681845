"""A server under load, by a fake clock: what it can answer in time, and what a closed loop would not have seen."""

import itertools
import math
from collections.abc import Callable, Sequence

import numpy as np
import pytest

from perflib.benchmarking import server
from perflib.benchmarking.server import arrival_gaps, keeps_up, largest_rate
from perflib.encoded import Encoded
from perflib.errors import MeasurementError

COUNT = 64
REQUESTS = Encoded({"row": np.arange(COUNT)[:, None]})
GAPS = arrival_gaps(COUNT)
ALLOWED_LATE_COUNT = 3


class FakeServer:
    """A model that takes its time on a clock of its own, and a diary of when it answered whom."""

    def __init__(
        self, *, call_sec: float, example_sec: float = 0.0, stall: Callable[[int], float] = lambda row: 0.0
    ) -> None:
        self.now_sec = 1000.0
        self.calls: list[tuple[float, list[int]]] = []
        self.service_sec: list[float] = []
        self._call_sec, self._example_sec, self._stall = call_sec, example_sec, stall

    def predict(self, batch: Encoded) -> None:
        """Answer some requests."""
        rows = batch.arrays["row"][:, 0].tolist()
        self.calls.append((self.now_sec, rows))
        taken_sec = self._call_sec + self._example_sec * len(rows) + sum(map(self._stall, rows))
        self.service_sec.append(taken_sec)
        self.now_sec += taken_sec

    def clock(self) -> float:
        """Tell the time."""
        return self.now_sec

    def sleep(self, wait_sec: float) -> None:
        """Wait; a nanosecond at least, as any real sleep does."""
        assert wait_sec > 0
        self.now_sec += max(wait_sec, 1e-9)

    def keeps_up(self, rate_per_sec: float, *, target_sec: float, batch_example_count: int = 1) -> bool:
        """Face one trial."""
        return keeps_up(
            self.predict,
            REQUESTS,
            rate_per_sec=rate_per_sec,
            target_sec=target_sec,
            batch_example_count=batch_example_count,
            gaps=GAPS,
            clock=self.clock,
            sleep=self.sleep,
        )

    def largest_rate(
        self, *, target_sec: float, start_rate_per_sec: float = 20.0, batch_example_count: int = 1
    ) -> float:
        """Face the whole search."""
        return largest_rate(
            self.predict,
            REQUESTS,
            target_sec=target_sec,
            start_rate_per_sec=start_rate_per_sec,
            batch_example_count=batch_example_count,
            clock=self.clock,
            sleep=self.sleep,
        )


def due_sec(rate_per_sec: float) -> list[float]:
    """Return when requests arrive at a rate."""
    return [moment / rate_per_sec for moment in itertools.accumulate(GAPS)]


def simulated_late_count(rate_per_sec: float, *, service_sec: float, target_sec: float) -> int:
    """Count late answers by Lindley's recursion: each is served when it is there and the one before is done."""
    free_sec, late_count = 0.0, 0
    for arrival_sec in due_sec(rate_per_sec):
        free_sec = max(free_sec, arrival_sec) + service_sec
        late_count += free_sec - arrival_sec > target_sec
    return late_count


def brute_force_rate(*, service_sec: float, target_sec: float) -> float:
    """Try a fine grid of rates, slowest first, and return the last before one at which too many are late."""
    best = math.nan
    for rate_per_sec in np.geomspace(0.05 / service_sec, 40 / service_sec, 4000):
        late_count = simulated_late_count(rate_per_sec, service_sec=service_sec, target_sec=target_sec)
        if late_count > ALLOWED_LATE_COUNT:
            return best
        best = float(rate_per_sec)
    return best


# --- arrivals ---------------------------------------------------------------------------------------------------


def test_arrivals_are_random_and_the_same_for_everybody() -> None:
    """Gaps are exponential with mean 1, and a slot later or in another process they are the same."""
    many = arrival_gaps(20_000)

    assert arrival_gaps(COUNT) == GAPS == many[:COUNT]
    assert arrival_gaps(COUNT, seed=1) != GAPS
    assert np.mean(many) == pytest.approx(1.0, abs=0.03)
    assert np.std(many) == pytest.approx(1.0, abs=0.05)
    assert np.mean(np.array(many) > 1.0) == pytest.approx(math.exp(-1), abs=0.02)


def test_both_arms_face_the_same_rush() -> None:
    """A server that answers at once serves every request at its arrival, in order, in every slot alike."""
    seen = []
    for start_sec in (1000.0, 123_456.0):
        fake = FakeServer(call_sec=0.0)
        fake.now_sec = start_sec
        assert fake.keeps_up(50.0, target_sec=0.01)
        seen.append([moment_sec - start_sec for moment_sec, _ in fake.calls])
        assert [rows for _, rows in fake.calls] == [[row] for row in range(COUNT)]

    assert seen[0] == pytest.approx(due_sec(50.0), abs=1e-6)
    assert seen[1] == pytest.approx(seen[0], abs=1e-6)


# --- one trial --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("rate_per_sec", "expected"), [(10.0, True), (50.0, True), (200.0, False), (1000.0, False)])
def test_a_server_keeps_up_below_its_capacity_and_not_above(rate_per_sec: float, expected: bool) -> None:
    """Ten milliseconds a call are a hundred requests per second."""
    assert FakeServer(call_sec=0.01).keeps_up(rate_per_sec, target_sec=0.1) is expected


def test_three_of_sixty_four_may_be_late_and_the_fourth_ends_the_trial() -> None:
    """The 95th percentile keeps the target, and nobody waits for a trial that is lost."""
    few, many = (FakeServer(call_sec=0.001, stall=lambda row, n=n: 0.5 * (row % 16 == 8 and row < n)) for n in (48, 64))  # type: ignore[misc]

    assert few.keeps_up(0.1, target_sec=0.1)
    assert [len(few.calls), sum(taken > 0.1 for taken in few.service_sec)] == [64, 3]
    assert not many.keeps_up(0.1, target_sec=0.1)
    assert len(many.calls) == 57  # row 56 is the fourth late one


def test_a_hopeless_trial_ends_with_its_fourth_answer() -> None:
    """Where every answer is late, four are enough."""
    fake = FakeServer(call_sec=0.2)

    assert not fake.keeps_up(1.0, target_sec=0.1)
    assert len(fake.calls) == 4


def test_latency_counts_from_arrival_and_a_stall_makes_the_queue_late() -> None:
    """One second's stall delays everybody behind it, which a closed loop, timing its own calls, would not see."""
    fake = FakeServer(call_sec=0.001, stall=lambda row: 1.0 * (row == 10))
    smooth = FakeServer(call_sec=0.001)
    closed_loop = FakeServer(call_sec=0.001, stall=lambda row: 1.0 * (row == 10))
    for row in range(COUNT):
        closed_loop.predict(REQUESTS.take([row]))

    assert smooth.keeps_up(100.0, target_sec=0.05)
    assert not fake.keeps_up(100.0, target_sec=0.05)
    assert sum(taken_sec > 0.05 for taken_sec in closed_loop.service_sec) == 1 <= ALLOWED_LATE_COUNT


def test_waiting_requests_are_answered_together_oldest_first() -> None:
    """A batch takes who is there, up to its size, and nobody twice or never."""
    fake = FakeServer(call_sec=0.05)
    assert fake.keeps_up(100.0, target_sec=10.0, batch_example_count=4)
    sizes = [len(rows) for _, rows in fake.calls]

    assert [row for _, rows in fake.calls for row in rows] == list(range(COUNT))
    assert max(sizes) == 4
    due = [moment_sec + 1000.0 for moment_sec in due_sec(100.0)]
    for moment_sec, rows in fake.calls:
        there_count = sum(arrival_sec <= moment_sec + 1e-6 for arrival_sec in due[rows[0] :])
        assert len(rows) == min(4, there_count)


def test_nobody_waits_for_a_batch_to_fill() -> None:
    """At a slow rate each request is answered alone and at once."""
    fake = FakeServer(call_sec=0.0001)
    assert fake.keeps_up(0.1, target_sec=0.001, batch_example_count=32)

    assert [len(rows) for _, rows in fake.calls] == [1] * COUNT


# --- the search -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("service_sec", "target_sec", "start_rate_per_sec"),
    [(0.01, 0.03, 50.0), (0.01, 0.015, 50.0), (0.01, 0.03, 500.0), (0.01, 0.025, 3.0), (0.002, 0.006, 250.0)],
)
def test_the_rate_found_is_that_of_a_brute_force_simulation(
    service_sec: float, target_sec: float, start_rate_per_sec: float
) -> None:
    """For a constant time of service every rate of a fine grid can be tried, and the search finds the same one."""
    found = FakeServer(call_sec=service_sec).largest_rate(target_sec=target_sec, start_rate_per_sec=start_rate_per_sec)

    assert found == pytest.approx(brute_force_rate(service_sec=service_sec, target_sec=target_sec), rel=0.03)


def test_batching_raises_the_rate() -> None:
    """Where most of a call's time does not depend on its size, answering together serves more."""
    rates = [
        FakeServer(call_sec=0.01, example_sec=0.0002).largest_rate(target_sec=0.05, batch_example_count=count)
        for count in (1, 4, 16)
    ]

    assert rates[0] * 1.5 < rates[1] < rates[2]


def test_a_faster_model_is_served_at_a_higher_rate() -> None:
    """With all times halved, the target's too, the rate doubles exactly as the clock runs."""
    slow = FakeServer(call_sec=0.02).largest_rate(target_sec=0.1, start_rate_per_sec=25.0)
    fast = FakeServer(call_sec=0.01).largest_rate(target_sec=0.05, start_rate_per_sec=50.0)

    assert fast / slow == pytest.approx(2.0, rel=0.001)


class Threshold:
    """Stands for `keeps_up`: holds up to a rate, and counts how often it is asked."""

    def __init__(self, largest_per_sec: float) -> None:
        self.largest_per_sec, self.asked_per_sec = largest_per_sec, list[float]()

    def __call__(self, *args: object, rate_per_sec: float, gaps: Sequence[float], **settings: object) -> bool:
        """Hold up to the rate."""
        assert gaps[:COUNT] == GAPS
        self.asked_per_sec.append(rate_per_sec)
        return rate_per_sec <= self.largest_per_sec


@pytest.mark.parametrize("true_per_sec", [*np.geomspace(20 / 15, 20 * 2**13.5, 25).tolist(), 20.0, 40.0])
def test_the_search_resolves_two_per_cent_in_few_trials(true_per_sec: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """From wherever it begins, it doubles or halves its way to the rate and then needs six trials."""
    trial = Threshold(true_per_sec)
    monkeypatch.setattr(server, "keeps_up", trial)
    found = FakeServer(call_sec=1.0).largest_rate(target_sec=0.001, start_rate_per_sec=20.0)

    assert abs(math.log(found / true_per_sec)) <= 0.02
    assert len(trial.asked_per_sec) <= 2 + abs(math.log2(true_per_sec / 20)) + 6


def test_a_target_below_the_time_of_service_is_refused_soon() -> None:
    """Slower arrivals cannot help, so five short trials are enough to say so."""
    fake = FakeServer(call_sec=0.02)

    with pytest.raises(MeasurementError, match=r"the latency target of 0\.01 s is missed at every rate tried"):
        fake.largest_rate(target_sec=0.01, start_rate_per_sec=25.0)

    assert len(fake.calls) <= 5 * (ALLOWED_LATE_COUNT + 1)


def test_a_target_that_always_holds_is_refused() -> None:
    """A model that takes no time is kept up with at any rate, and the sentence names the last one."""
    with pytest.raises(MeasurementError, match=r"holds at every rate tried, the last .* requests per second; set"):
        FakeServer(call_sec=0.0).largest_rate(target_sec=0.01, start_rate_per_sec=2.0)


@pytest.mark.parametrize(("largest_per_sec", "trials_count"), [(math.inf, 15), (0.0, 5)])
def test_a_search_without_an_end_is_given_up(
    largest_per_sec: float, trials_count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Fourteen doublings up or four halvings down, and no rate is tried twice."""
    trial = Threshold(largest_per_sec)
    monkeypatch.setattr(server, "keeps_up", trial)
    with pytest.raises(MeasurementError, match="set another target"):
        FakeServer(call_sec=1.0).largest_rate(target_sec=0.001, start_rate_per_sec=20.0)

    assert len(set(trial.asked_per_sec)) == len(trial.asked_per_sec) <= trials_count


@pytest.mark.parametrize("batch_example_count", [8, 32])
def test_a_model_that_gains_much_from_batches_has_a_largest_rate_too(batch_example_count: int) -> None:
    """A trial lasts longer than its target, or a queue that grows for ever would be answered in time."""
    call_sec, example_sec = 0.01, 0.0001
    capacity_per_sec = batch_example_count / (call_sec + example_sec * batch_example_count)
    fake = FakeServer(call_sec=call_sec, example_sec=example_sec)
    found = fake.largest_rate(
        target_sec=5 * call_sec, start_rate_per_sec=0.5 / call_sec, batch_example_count=batch_example_count
    )

    assert 0.6 * capacity_per_sec < found < 1.4 * capacity_per_sec
