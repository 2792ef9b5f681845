"""
What is timed: how the inputs of a slot are chosen and how a slot becomes one number.

A slot is one timed block of one arm; all slots of a scenario process the same inputs in the same order.
*single* asks one example at a time, as an interactive user does; *offline* hands over a fixed sample and waits for all
answers, served as the artifact's runtime block says; *server* lets requests arrive when they like and asks how many per
second can be answered in time.
"""

import dataclasses
import statistics
from collections.abc import Callable, Mapping, Sequence

from perflib.benchmarking.server import largest_rate
from perflib.benchmarking.timers import CpuTimer, Timer
from perflib.encoded import MASK, Encoded
from perflib.errors import ParameterError, did_you_mean
from perflib.nvtx import named_range, range_name

Predict = Callable[[Encoded], object]


@dataclasses.dataclass(frozen=True)
class SlotPlan:
    """
    What every slot of a scenario has in common, fixed in the first life.

    ``passes_count`` is how often the sample is asked, so that a slot is long enough to be timed; a server slot has a
    latency target and the rate at which its search begins instead.
    """

    passes_count: int = 1
    target_sec: float | None = None
    start_rate_per_sec: float | None = None


@dataclasses.dataclass(frozen=True)
class Scenario:
    """
    One way of asking.

    ``example_count`` examples make a slot's sample, ``warmup_count`` of them its warm-up; ``statistic`` names the
    number that a slot gives: ``p50`` of its calls, ``total`` time, or ``sec_per_request`` at the largest rate.
    ``max_units_per_life_count`` limits the quads of a life where a slot takes long, and ``max_warmup_slots_count`` the
    slots in which an arm may become level (None for as many as usual).
    """

    name: str
    title: str
    example_count: int
    warmup_count: int
    is_one_by_one: bool
    statistic: str
    max_units_per_life_count: int = 20
    max_warmup_slots_count: int | None = None

    @property
    def is_server(self) -> bool:
        """Whether requests arrive when they like."""
        return self.statistic == "sec_per_request"

    def sample(self, inputs: Encoded) -> Encoded:
        """Return the fixed sample of this scenario: stratified by length, in the order of the data."""
        return inputs.stratified(self.example_count)

    def calls(self, sample: Encoded, *, count: int | None = None) -> list[Encoded]:
        """Return what one pass hands to ``predict``, call by call; of the first ``count`` examples, if given."""
        rows = range(len(sample) if count is None else min(count, len(sample)))
        return [sample.take([row]) for row in rows] if self.is_one_by_one else [sample.take(list(rows))]

    def value_sec(self, samples_sec: Sequence[float]) -> float:
        """Turn the calls of one slot into its number, in seconds."""
        return statistics.median(samples_sec) if self.statistic == "p50" else sum(samples_sec)

    def tokens_count(self, inputs: Encoded) -> int | None:
        """Return the real tokens of the sample; None for inputs without tokens."""
        return int(self.sample(inputs).lengths().sum()) if MASK in inputs.arrays else None


SCENARIOS: Mapping[str, Scenario] = {
    "single": Scenario("single", "one at a time", 32, 16, is_one_by_one=True, statistic="p50"),
    "offline": Scenario("offline", "all at once", 128, 16, is_one_by_one=False, statistic="total"),
    "server": Scenario(
        "server", "as they arrive", 64, 16, is_one_by_one=True, statistic="sec_per_request", max_units_per_life_count=1
    ),
}


def get_scenarios(names: Sequence[str]) -> tuple[Scenario, ...]:
    """Return scenarios by name; `ParameterError` for an unknown, repeated or empty list."""
    for name in names:
        if name not in SCENARIOS:
            raise ParameterError(f"scenario `{name}` is not known; {did_you_mean(name, SCENARIOS)}")
    if not names or len(set(names)) != len(names):
        raise ParameterError(f"scenarios are {list(names)}; name each of {', '.join(SCENARIOS)} at most once.")
    return tuple(SCENARIOS[name] for name in names)


class SlotRunner:
    """
    One scenario of one arm, ready to be timed.

    Args:
        scenario: What is asked.
        predict: Answers one call and returns when the answer is on the host.
        inputs: The inputs that the scenario samples from.
        batch_example_count: Of the runtime block: how many waiting requests a server answers together.
        timer: Times one call on the device that it runs on.
    """

    def __init__(
        self,
        scenario: Scenario,
        predict: Predict,
        inputs: Encoded,
        *,
        batch_example_count: int = 1,
        timer: Timer | None = None,
    ) -> None:
        self._scenario, self._predict, self._timer = scenario, predict, timer or CpuTimer()
        self._sample = scenario.sample(inputs)
        self._calls = scenario.calls(self._sample)
        self._warm_calls = scenario.calls(self._sample, count=scenario.warmup_count)
        self._batch_example_count, self._has_met_all = batch_example_count, False

    def warm(self, *, passes_count: int = 1) -> list[float]:
        """Time the warm-up calls; no slot counts them."""
        if not self._has_met_all:
            # Some engines compile for every length that they meet; a slot must not find one that warm-up left out.
            for call in self._calls:
                self._predict(call)
            self._has_met_all = True
        return self._time(self._warm_calls, passes_count)

    def slot(self, plan: SlotPlan) -> list[float]:
        """Run one slot: one untimed call first, which washes out what the other arm left in the caches."""
        self._predict(self._warm_calls[0])
        # Around the slot: no timed call pays for it.
        with named_range(range_name(self._scenario.name)):
            return self._serve(plan) if self._scenario.is_server else self._time(self._calls, plan.passes_count)

    def _serve(self, plan: SlotPlan) -> list[float]:
        if plan.target_sec is None or plan.start_rate_per_sec is None:
            raise ParameterError("a server slot needs a latency target and a first rate; give both.")
        found_per_sec = largest_rate(
            self._predict,
            self._sample,
            target_sec=plan.target_sec,
            start_rate_per_sec=plan.start_rate_per_sec,
            batch_example_count=self._batch_example_count,
        )
        return [1 / found_per_sec]

    def _time(self, calls: Sequence[Encoded], passes_count: int) -> list[float]:
        return [self._timer.time(lambda call=call: self._predict(call)) for _ in range(passes_count) for call in calls]  # type: ignore[misc]
