"""
A server under load: requests arrive when they like, and each has to be answered within the latency target.

The load is open: arrival times are fixed before the trial (a Poisson process), and a request's latency counts from its
arrival, not from when the server got round to it. A slow answer therefore delays everybody behind it and is seen to do
so; measuring only from the start of service would leave that out (coordinated omission).
"""

import bisect
import math
import random
import time
from collections.abc import Callable, Sequence

from perflib.encoded import Encoded
from perflib.errors import MeasurementError

# Of 64 requests three may be late: the 95th percentile keeps the target.
LATE_RATIO = 0.05
_ARRIVAL_SEED = 20_240_229
_RESOLUTION_LOG = 0.02
# Halving ends early: where nothing arrives often, a late answer is the model's own slowness and not the queue's.
_MAX_DOUBLINGS_COUNT, _MAX_HALVINGS_COUNT = 14, 4


def arrival_gaps(count: int, *, seed: int = _ARRIVAL_SEED) -> list[float]:
    """Return ``count`` exponential gaps of mean 1; the same for every slot, so that both arms face the same rush."""
    dice = random.Random(seed)
    return [dice.expovariate(1.0) for _ in range(count)]


def keeps_up(
    predict: Callable[[Encoded], object],
    requests: Encoded,
    *,
    rate_per_sec: float,
    target_sec: float,
    batch_example_count: int,
    gaps: Sequence[float],
    clock: Callable[[], float] = time.perf_counter,
    sleep: Callable[[float], None] = time.sleep,
) -> bool:
    """
    Say whether the target holds at a rate; gives up as soon as too many requests are late.

    Requests that wait are answered together, oldest first, up to the batch size of the runtime block; nobody waits for
    a batch to fill.

    Args:
        predict: Answers a batch.
        requests: One example per request, in the order of arrival.
        rate_per_sec: Mean rate of arrivals.
        target_sec: How long a request may take from its arrival to its answer.
        batch_example_count: How many requests are answered together at most.
        gaps: Gaps between arrivals at rate 1, one per request.
        clock: Monotonic seconds; tests pass their own.
        sleep: Waits so many seconds.
    """
    due, moment = [], 0.0
    for gap in gaps:
        moment += gap / rate_per_sec
        due.append(moment)
    allowed_count, late_count, done = math.floor(LATE_RATIO * len(due)), 0, 0
    start_sec = clock()
    while done < len(due):
        now_sec = clock() - start_sec
        waiting = bisect.bisect_right(due, now_sec) - done
        if waiting <= 0:
            sleep(due[done] - now_sec)
            continue
        batch = range(done, done + min(waiting, batch_example_count))
        predict(requests.take([row % len(requests) for row in batch]))
        answered_sec = clock() - start_sec
        late_count += sum(answered_sec - due[row] > target_sec for row in batch)
        if late_count > allowed_count:
            return False
        done = batch.stop
    return True


def largest_rate(
    predict: Callable[[Encoded], object],
    requests: Encoded,
    *,
    target_sec: float,
    start_rate_per_sec: float,
    batch_example_count: int,
    clock: Callable[[], float] = time.perf_counter,
    sleep: Callable[[float], None] = time.sleep,
) -> float:
    """
    Return the largest rate of arrivals at which the latency target still holds, to within 2 %.

    Args:
        predict: Answers a batch.
        requests: The requests, in the order of arrival; every trial uses all of them.
        target_sec: How long 95 % of the requests may take.
        start_rate_per_sec: Where the search begins.
        batch_example_count: How many waiting requests are answered together at most.
        clock: Monotonic seconds.
        sleep: Waits so many seconds.

    Raises:
        MeasurementError: If the target is out of reach at any rate, or holds at every one.
    """

    def holds(rate_per_sec: float) -> bool:
        return keeps_up(
            predict,
            requests,
            rate_per_sec=rate_per_sec,
            target_sec=target_sec,
            batch_example_count=batch_example_count,
            gaps=arrival_gaps(max(len(requests), math.ceil(10 * target_sec * rate_per_sec))),
            clock=clock,
            sleep=sleep,
        )

    low, high = _bracket(holds, start_rate_per_sec, target_sec)
    while math.log(high / low) > _RESOLUTION_LOG:
        middle = math.sqrt(low * high)
        low, high = (middle, high) if holds(middle) else (low, middle)
    return math.sqrt(low * high)


def _bracket(holds: Callable[[float], bool], rate_per_sec: float, target_sec: float) -> tuple[float, float]:
    """Find a rate that holds and its double, which does not."""
    is_below = holds(rate_per_sec)
    for _ in range(_MAX_DOUBLINGS_COUNT if is_below else _MAX_HALVINGS_COUNT):
        following = rate_per_sec * 2 if is_below else rate_per_sec / 2
        if holds(following) != is_below:
            return (rate_per_sec, following) if is_below else (following, rate_per_sec)
        rate_per_sec = following
    raise MeasurementError(
        f"the latency target of {target_sec:g} s {'holds' if is_below else 'is missed'} at every rate tried, the last "
        f"{rate_per_sec:.3g} requests per second; set another target."
    )
