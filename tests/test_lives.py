"""Scenarios and lives: what is timed, in which order, and that every arm is ended."""

import math
import random
from pathlib import Path

import pytest
from fake_arms import BASE_SEC, FakeHost
from tiny_artifact import make_inputs

from perflib.benchmarking.arm import load_request
from perflib.benchmarking.lives import MIN_SLOT_SEC, LivedLife, Pair, live, log_ratio, slot_values_sec
from perflib.benchmarking.scenarios import SCENARIOS, get_scenarios, time_calls
from perflib.errors import ParameterError
from perflib.results import Unit

PAIR = Pair(Path("a"), Path("b"), Path("inputs.npz"))


def one_life(host: FakeHost, *, seed: int = 0, passes: dict[str, int] | None = None, units_count: int = 2) -> LivedLife:
    """Live once in the single scenario."""
    return live(
        PAIR,
        get_scenarios(["single"]),
        units_count=units_count,
        passes={} if passes is None else passes,
        coins=random.Random(seed),
        start_arm=host.start,
    )


@pytest.mark.parametrize(
    ("names", "said"),
    [(["singel"], "did you mean `single`"), ([], "at most once"), (["single", "single"], "at most once")],
)
def test_a_wrong_list_of_scenarios_is_refused(names: list[str], said: str) -> None:
    """Unknown, empty and repeated names are refused in one sentence."""
    with pytest.raises(ParameterError, match=said):
        get_scenarios(names)


def test_scenarios_come_in_the_order_asked() -> None:
    """The order of timing is the reader's."""
    assert [one.name for one in get_scenarios(["offline", "single"])] == ["offline", "single"]


def test_single_asks_one_example_a_call_and_offline_all_at_once() -> None:
    """The sample is fixed, and its calls hold every example of it once."""
    inputs = make_inputs(300)
    single, offline = get_scenarios(["single", "offline"])

    assert [len(call) for call in single.calls(single.sample(inputs))] == [1] * 32
    assert [len(call) for call in offline.calls(offline.sample(inputs))] == [128]
    assert single.sample(inputs).digest() == single.sample(inputs).digest()


def test_a_slot_is_the_median_call_or_the_total() -> None:
    """One slow call does not move the single scenario; every call counts in the offline one."""
    assert SCENARIOS["single"].value_sec([0.1, 9.0, 0.2]) == 0.2
    assert SCENARIOS["offline"].value_sec([0.1, 9.0, 0.2]) == pytest.approx(9.3)


def test_every_call_of_every_pass_is_timed() -> None:
    """Two passes of two calls give four samples in seconds, in order."""
    ticks = iter([0, 10**9, 10**9, 3 * 10**9, 0, 10**9, 0, 5 * 10**8])
    inputs = make_inputs(2)

    assert time_calls(len, [inputs, inputs], passes_count=2, clock_ns=lambda: next(ticks)) == [1.0, 2.0, 1.0, 0.5]


def test_slots_are_given_to_the_arm_that_ran_them() -> None:
    """In ABBA the outer slots are the baseline's, in BAAB the inner ones."""
    samples_sec = ((1.0,), (2.0,), (3.0,), (4.0,))

    assert slot_values_sec(Unit("ABBA", samples_sec), SCENARIOS["single"]) == {
        "baseline": [1.0, 4.0],
        "candidate": [2.0, 3.0],
    }
    assert slot_values_sec(Unit("BAAB", samples_sec), SCENARIOS["single"]) == {
        "baseline": [2.0, 3.0],
        "candidate": [1.0, 4.0],
    }


@pytest.mark.parametrize("order", ["ABBA", "BAAB"])
def test_a_quad_cancels_linear_drift(order: str) -> None:
    """Slots that slow down at a steady rate show exactly the true ratio, in both orders."""
    arms_log = {"A": 0.0, "B": 0.2}
    samples_sec = tuple((math.exp(arms_log[letter] + 0.05 * time),) for time, letter in enumerate(order))

    assert log_ratio(Unit(order, samples_sec), SCENARIOS["single"]) == pytest.approx(0.2)  # type: ignore[arg-type]


def test_a_slow_candidate_has_a_positive_log_ratio() -> None:
    """Positive costs more, whatever order the coins gave."""
    for seed in range(8):
        life = one_life(FakeHost(cost_log=0.1), seed=seed)

        assert life.by_scenario["single"].log_ratio == pytest.approx(0.1, abs=1e-6)


def test_the_order_asked_is_the_order_recorded() -> None:
    """Slots are asked of the arms exactly as the recorded units say, after the warm-up."""
    for seed in range(8):
        host = FakeHost()
        life = one_life(host, seed=seed, passes={"single": 1}).by_scenario["single"]

        assert host.slots() == "".join(unit.order for unit in life.units)
        assert host.arms[0].label == life.first_loaded
        assert {arm.label for arm in host.arms} == {"baseline", "candidate"}


def test_the_coins_are_fair_and_reproducible_by_their_seed() -> None:
    """Both orders and both first arms come up; the same seed tosses the same."""

    def orders(seed: int) -> list[str]:
        coins, host, found = random.Random(seed), FakeHost(), []
        for _ in range(40):
            made = live(
                PAIR,
                get_scenarios(["single"]),
                units_count=1,
                passes={"single": 1},
                coins=coins,
                start_arm=host.start,
            ).by_scenario["single"]
            found.append(f"{made.first_loaded} {made.units[0].order}")
        return found

    assert orders(3) == orders(3) != orders(4)
    assert len(set(orders(3))) == 4


def test_passes_are_calibrated_once_and_then_kept() -> None:
    """A slot is repeated until it is long enough; a later life takes the number as it is."""
    passes: dict[str, int] = {}
    one_life(FakeHost(), passes=passes)

    assert passes == {"single": math.ceil(MIN_SLOT_SEC / BASE_SEC)}

    host = FakeHost(noise=lambda: -3.0)
    one_life(host, passes=passes)

    assert passes == {"single": math.ceil(MIN_SLOT_SEC / BASE_SEC)}
    assert len(host.slots()) == 8


def test_the_faster_arm_sets_the_passes() -> None:
    """Both arms' slots must be long enough, so the shorter one decides."""
    passes: dict[str, int] = {}
    one_life(FakeHost(cost_log=-math.log(10)), passes=passes)

    assert passes["single"] == math.ceil(MIN_SLOT_SEC / (BASE_SEC / 10) - 1e-6)


def test_both_arms_are_warmed_alike_before_any_slot() -> None:
    """No slot is timed before both arms have run as often."""
    host = FakeHost()
    one_life(host, passes={"single": 1})
    before = host.asked[: [op for _, op in host.asked].index("slot")]

    assert before.count(("baseline", "warm")) == before.count(("candidate", "warm")) >= 1


def test_raw_samples_are_kept() -> None:
    """Every call of every slot is in the life."""
    life = one_life(FakeHost(calls_count=32), passes={"single": 3}).by_scenario["single"]

    assert [[len(slot) for slot in unit.samples_sec] for unit in life.units] == [[96] * 4] * 2


@pytest.mark.parametrize("op", ["load", "warm", "slot", "stop"])
@pytest.mark.parametrize("label", ["baseline", "candidate"])
def test_both_arms_are_ended_when_one_fails(label: str, op: str) -> None:
    """Whatever one of them does, no worker is left behind."""
    host = FakeHost()
    host.broken = (label, op)
    with pytest.raises(RuntimeError, match="broke"):
        one_life(host)

    assert [arm.is_closed for arm in host.arms] == [True, True]


def test_an_arm_that_cannot_start_takes_the_other_with_it() -> None:
    """The first arm is ended when the second one does not start."""
    host = FakeHost()

    def start(label: str) -> object:
        if host.arms:
            raise OSError("no more processes")
        return host.start(label)

    with pytest.raises(OSError, match="no more"):
        live(PAIR, (), units_count=1, passes={}, coins=random.Random(0), start_arm=start)  # type: ignore[arg-type]

    assert host.arms[0].is_closed


def test_a_load_request_names_both_files() -> None:
    """The worker is told its artifact and its inputs, and nothing about which arm it is."""
    assert load_request(PAIR.folder("candidate"), PAIR.inputs) == {
        "op": "load",
        "artifact": "b",
        "inputs": "inputs.npz",
    }
