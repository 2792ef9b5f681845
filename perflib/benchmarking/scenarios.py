"""
What is timed: how the inputs of a slot are chosen and how a slot becomes one number.

A slot is one timed block of one arm; all slots of a scenario process the same inputs in the same order.
*single* asks one example at a time, as an interactive user does; *offline* hands over a fixed sample and waits for all
answers, served as the artifact's runtime block says.
"""

import dataclasses
import statistics
from collections.abc import Callable, Mapping, Sequence

from perflib.encoded import Encoded
from perflib.errors import ParameterError, did_you_mean

Clock = Callable[[], int]


@dataclasses.dataclass(frozen=True)
class Scenario:
    """
    One way of asking.

    ``example_count`` examples make a slot's sample, ``warmup_count`` of them its warm-up;
    ``statistic`` names the number that a slot gives: ``p50`` of its calls, or ``total`` time.
    """

    name: str
    title: str
    example_count: int
    warmup_count: int
    is_one_by_one: bool
    statistic: str

    def sample(self, inputs: Encoded) -> Encoded:
        """Return the fixed sample of this scenario: stratified by length, in the order of the data."""
        return inputs.stratified(self.example_count)

    def calls(self, sample: Encoded) -> list[Encoded]:
        """Return what one pass hands to ``predict``, call by call."""
        return [sample.take([row]) for row in range(len(sample))] if self.is_one_by_one else [sample]

    def value_sec(self, samples_sec: Sequence[float]) -> float:
        """Turn the calls of one slot into its number, in seconds."""
        return statistics.median(samples_sec) if self.statistic == "p50" else sum(samples_sec)


SCENARIOS: Mapping[str, Scenario] = {
    "single": Scenario("single", "one at a time", 32, 32, is_one_by_one=True, statistic="p50"),
    "offline": Scenario("offline", "all at once", 128, 16, is_one_by_one=False, statistic="total"),
}


def get_scenarios(names: Sequence[str]) -> tuple[Scenario, ...]:
    """Return scenarios by name; `ParameterError` for an unknown, repeated or empty list."""
    for name in names:
        if name not in SCENARIOS:
            raise ParameterError(f"scenario `{name}` is not known; {did_you_mean(name, SCENARIOS)}")
    if not names or len(set(names)) != len(names):
        raise ParameterError(f"scenarios are {list(names)}; name each of {', '.join(SCENARIOS)} at most once.")
    return tuple(SCENARIOS[name] for name in names)


def time_calls(
    predict: Callable[[Encoded], object], calls: Sequence[Encoded], *, passes_count: int, clock_ns: Clock
) -> list[float]:
    """
    Time every call of one slot.

    Args:
        predict: Answers one call and returns when the answer is on the host.
        calls: What one pass asks, in order.
        passes_count: How often the pass is repeated, so that a slot is long enough to be timed.
        clock_ns: Monotonic nanoseconds.

    Returns:
        Seconds per call, ``len(calls) * passes_count`` of them, in order.
    """
    samples_sec = []
    for _ in range(passes_count):
        for call in calls:
            start_ns = clock_ns()
            predict(call)
            samples_sec.append((clock_ns() - start_ns) / 1e9)
    return samples_sec
