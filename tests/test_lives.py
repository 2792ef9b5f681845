"""Scenarios and lives: what is timed, in which order, what does not count, and that every arm is ended."""

import dataclasses
import itertools
import math
import random
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats

from perflib.benchmarking import decision
from perflib.benchmarking.arm import ArmError, ArmName, Asked, load_request
from perflib.benchmarking.conditions import Watch
from perflib.benchmarking.lives import (
    Agreed,
    LivedLife,
    Pair,
    life_log_ratio,
    live,
    log_ratio,
    slot_values_sec,
)
from perflib.benchmarking.protocol import Slot
from perflib.benchmarking.scenarios import SCENARIOS, SlotPlan, SlotRunner, get_scenarios
from perflib.benchmarking.timers import CpuTimer
from perflib.benchmarking.warmup import MAX_WARMUP_SLOTS_COUNT, MIN_SLOT_SEC, STEADY_SLOTS_COUNT, is_level, warm_up
from perflib.encoded import Encoded
from perflib.errors import MeasurementError, ParameterError
from perflib.results import Life, Unit
from tests.fake_arms import (
    BASE_SEC,
    GPU_THROTTLE,
    PRESSURE,
    STEAL,
    THROTTLE,
    FakeHost,
    FakeWatch,
)
from tests.tiny_artifact import make_inputs

PAIR = Pair(Path("a"), Path("b"), Path("inputs.npz"))
SINGLE = SCENARIOS["single"]


def agreement(**change: Any) -> Agreed:
    """Return what a first life would have found out: one pass a slot."""
    return Agreed(**{"plans": {name: SlotPlan(1) for name in ("single", "offline")}, **change})


def one_life(
    host: FakeHost,
    *,
    seed: int = 0,
    agreed: Agreed | None = None,
    units_count: int = 2,
    names: tuple[str, ...] = ("single",),
    watch: Watch | None = None,
) -> LivedLife:
    """Live once."""
    return live(
        PAIR,
        get_scenarios(names),
        units_count=units_count,
        agreed=agreed or agreement(),
        coins=random.Random(seed),
        start_arm=host,
        watch=watch or FakeWatch(),
    )


def single(host: FakeHost, **settings: Any) -> Life:
    """Live once in the single scenario."""
    return one_life(host, **settings).by_scenario["single"]


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


def test_every_call_of_every_pass_is_timed_after_one_that_is_not() -> None:
    """A slot first asks once without timing, which washes out the other arm's caches, then times pass after pass."""
    now_ns, asked = 0, []

    def predict(call: Encoded) -> None:
        nonlocal now_ns
        asked.append(int(call.lengths()[0]))
        now_ns += 10**9 * len(asked)

    runner = SlotRunner(SCENARIOS["single"], predict, make_inputs(2), timer=CpuTimer(lambda: now_ns))

    assert runner.slot(SlotPlan(passes_count=2)) == [2.0, 3.0, 4.0, 5.0]
    assert asked == [1, 1, 2, 1, 2]


def test_the_warm_up_asks_sixteen_examples() -> None:
    """One call each where they come one at a time, one of all where they come at once; first every input once."""
    for name, whole, lengths in (("single", [1] * 32, [1] * 16), ("offline", [40], [16])):
        asked: list[int] = []
        ticks = itertools.count(0, 10**6)
        runner = SlotRunner(
            SCENARIOS[name],
            lambda call, asked=asked: asked.append(len(call)),  # type: ignore[misc]
            make_inputs(40),
            timer=CpuTimer(lambda ticks=ticks: next(ticks)),  # type: ignore[misc]
        )
        times_sec = runner.warm(passes_count=3)

        assert asked == whole + lengths * 3
        assert times_sec == [1e-3] * 3 * len(lengths)


def test_a_server_slot_without_its_target_is_refused() -> None:
    """Target and first rate come from the plan of all slots; without them there is nothing to search for."""
    runner = SlotRunner(SCENARIOS["server"], lambda call: None, make_inputs(4))
    with pytest.raises(ParameterError, match="give both"):
        runner.slot(SlotPlan())


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
        assert single(FakeHost(cost_log=0.1), seed=seed).log_ratio == pytest.approx(0.1, abs=1e-6)


@pytest.mark.parametrize("units_count", [1, 2, 5])
def test_units_only_sharpen_the_one_value_of_a_life(units_count: int) -> None:
    """Of one or two units it is their mean, of more the median of all pairwise means."""
    noise = np.random.default_rng(0)
    life = single(FakeHost(noise=lambda: float(noise.normal(0, 0.1))), units_count=units_count)
    values = [log_ratio(unit, SINGLE) for unit in life.units]
    pairs = [(one + other) / 2 for one, other in itertools.combinations_with_replacement(values, 2)]

    assert len(values) == units_count
    assert life.log_ratio == pytest.approx(np.median(pairs))
    assert units_count > 2 or life.log_ratio == pytest.approx(np.mean(values))


def test_swapping_the_arms_flips_the_value_of_a_life() -> None:
    """The coin stays fair only if naming the arms the other way round changes nothing but the sign."""
    chance = np.random.default_rng(2)
    for count in range(1, 7):
        units = [Unit("ABBA", tuple((float(sec),) for sec in chance.uniform(0.5, 2, 4))) for _ in range(count)]
        swapped = [dataclasses.replace(unit, order="BAAB") for unit in units]

        assert life_log_ratio(swapped, SINGLE) == pytest.approx(-life_log_ratio(units, SINGLE))  # type: ignore[operator]


# --- the coins


def test_arms_start_and_load_in_the_order_of_the_coin() -> None:
    """The arm that the coin names starts first and is told to load first, and both load before either is asked more."""
    firsts = set()
    for seed in range(8):
        host = FakeHost()
        lived = one_life(host, seed=seed)
        first = lived.by_scenario["single"].first_loaded
        firsts.add(first)
        second = "candidate" if first == "baseline" else "baseline"

        assert [arm.label for arm in host.arms] == [first, second]
        assert [(label, request["op"]) for label, request in host.requests[:2]] == [(first, "load"), (second, "load")]
        assert lived.processes.baseline.is_first == (first == "baseline") != lived.processes.candidate.is_first
        assert [call for call in host.asked if call[1] == "load"] == host.asked[:2]

    assert firsts == {"baseline", "candidate"}


def test_each_arm_loads_its_own_artifact_on_the_same_processors() -> None:
    """The request names the folder of the arm's side, the same inputs, all scenarios and the recorded processors."""
    host = FakeHost()
    cpus = list(one_life(host, names=("single", "offline")).processes.cpus)
    loads = {label: request for label, request in host.requests if request["op"] == "load"}

    assert loads == {
        "baseline": load_request(Path("a"), PAIR.inputs, ["single", "offline"], cpus),
        "candidate": load_request(Path("b"), PAIR.inputs, ["single", "offline"], cpus),
    }


def test_the_processors_are_those_we_may_use_in_an_order_that_is_tossed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every life shuffles them, so that no arm of few threads stays beside a busy neighbour in all of them."""
    monkeypatch.setattr("os.sched_getaffinity", lambda process: {2, 3, 5, 7}, raising=False)
    seen = {one_life(FakeHost(), seed=seed).processes.cpus for seed in range(20)}

    assert all(sorted(cpus) == [2, 3, 5, 7] for cpus in seen)
    assert len({cpus[0] for cpus in seen}) == 4


def test_the_order_asked_is_the_order_recorded() -> None:
    """Slots are asked of the arms exactly as the recorded units say, after the warm-up."""
    for seed in range(8):
        host = FakeHost()
        life = single(host, seed=seed)

        assert host.slots() == "".join(unit.order for unit in life.units)
        assert host.arms[0].label == life.first_loaded
        assert {arm.label for arm in host.arms} == {"baseline", "candidate"}


def test_hash_seeds_and_paddings_differ_from_life_to_life_and_are_recorded() -> None:
    """Every process of every life gets its own, and the record says which."""
    coins, host, seen = random.Random(0), FakeHost(), []
    for _ in range(10):
        lived = live(
            PAIR,
            get_scenarios(["single"]),
            units_count=1,
            agreed=agreement(),
            coins=coins,
            start_arm=host,
            watch=FakeWatch(),
        )
        for arm in host.arms[-2:]:
            process = getattr(lived.processes, arm.label)

            assert (process.hash_seed, process.padding_bytes) == (arm.hash_seed, arm.padding_bytes)
            seen.append((arm.hash_seed, arm.padding_bytes))

    assert len({seed for seed, _ in seen}) == 20
    assert len({padding for _, padding in seen}) >= 18
    assert all(0 <= seed < 2**32 and 0 <= padding < 4096 for seed, padding in seen)


def test_the_coins_are_fair_and_reproducible_by_their_seed() -> None:
    """Both orders and both first arms come up; the same seed tosses the same, processes' chances included."""

    def tosses(seed: int) -> list[Any]:
        coins, host, found = random.Random(seed), FakeHost(), []
        for _ in range(40):
            lived = live(
                PAIR,
                get_scenarios(["single"]),
                units_count=1,
                agreed=agreement(),
                coins=coins,
                start_arm=host,
                watch=FakeWatch(),
            )
            life = lived.by_scenario["single"]
            found.append((life.first_loaded, life.units[0].order, lived.processes))
        return found

    assert tosses(3) == tosses(3) != tosses(4)
    assert len({toss[:2] for toss in tosses(3)}) == 4


# --- the plan of slots


def test_passes_are_calibrated_once_and_then_kept() -> None:
    """A slot is repeated until it is long enough; a later life takes the number as it is."""
    agreed = Agreed()
    one_life(FakeHost(calls_count=16), agreed=agreed)
    planned = SlotPlan(1)

    assert agreed.plans == {"single": planned}

    agreed = Agreed()
    one_life(FakeHost(), agreed=agreed)
    planned = SlotPlan(math.ceil(MIN_SLOT_SEC / BASE_SEC))

    assert agreed.plans == {"single": planned}

    host = FakeHost(noise=lambda: -3.0)
    one_life(host, agreed=agreed)

    assert agreed.plans == {"single": planned}
    assert len(host.slots()) == 8
    assert {request["passes"] for _, request in host.requests if request["op"] in ("warm", "slot")} == {5}


def test_the_faster_arm_sets_the_passes() -> None:
    """Both arms' slots must be long enough, so the shorter one decides."""
    agreed = Agreed()
    one_life(FakeHost(cost_log=-math.log(10)), agreed=agreed)

    assert agreed.plans["single"].passes_count == math.ceil(MIN_SLOT_SEC / (BASE_SEC / 10) - 1e-6)


def test_a_slot_of_a_batch_is_planned_from_a_slot_and_not_from_its_warm_up() -> None:
    """A batch of 128 takes no eight times as long as one of 16, so the whole sample is asked once."""
    host, agreed = FakeHost(noise=lambda: math.log(1e-1)), Agreed()
    one_life(host, agreed=agreed, names=("offline",))

    assert agreed.plans["offline"].passes_count == math.ceil(MIN_SLOT_SEC / (BASE_SEC / 10))
    assert [request["passes"] for _, request in host.requests if request["op"] == "slot"][:2] == [1, 1]


def test_every_server_slot_has_the_same_target_and_first_rate() -> None:
    """Five times the baseline's median call and its rate, for both arms, whatever later lives see."""
    host, agreed = FakeHost(cost_log=-1.0), Agreed()
    one_life(host, agreed=agreed, names=("server",))
    host.noise = lambda: 0.5
    one_life(host, seed=1, agreed=agreed, names=("server",))
    slots = [(label, request) for label, request in host.requests if request["op"] == "slot"]

    assert {label for label, _ in slots} == {"baseline", "candidate"}
    assert len(slots) == 2 * (2 + 4), "in each life both arms once to warm, then a quad"
    assert len({(request["target_sec"], request["start_rate_per_sec"]) for _, request in slots}) == 1
    assert slots[0][1]["target_sec"] == pytest.approx(5 * BASE_SEC)
    assert slots[0][1]["start_rate_per_sec"] == pytest.approx(1 / BASE_SEC)


def test_a_latency_target_that_somebody_set_is_kept() -> None:
    """It replaces the usual one; the first rate still comes from the baseline."""
    agreed = Agreed(target_sec=0.123)
    one_life(FakeHost(), agreed=agreed, names=("server",))

    assert agreed.plans["server"].target_sec == 0.123


def test_a_server_lives_one_unit_a_life() -> None:
    """Its slots take long, so five units asked for are one there and five in the single scenario."""
    lived = one_life(FakeHost(), agreed=Agreed(), units_count=5, names=("server", "single"))

    assert [len(lived.by_scenario[name].units) for name in ("server", "single")] == [1, 5]


# --- the warm-up


def warmed(
    baseline: Callable[[int], float], candidate: Callable[[int], float] = lambda count: 0.01
) -> tuple[tuple[int, bool], FakeHost]:
    """Warm both arms up, whose slots take these seconds by their number from 0."""
    host, counts = FakeHost(), {"baseline": itertools.count(), "candidate": itertools.count()}
    times: dict[ArmName, Callable[[int], float]] = {"baseline": baseline, "candidate": candidate}
    for label, time_sec in times.items():
        host.change(
            label,
            "warm",
            lambda reply, label=label, time_sec=time_sec: {"samples_sec": [time_sec(next(counts[label]))]},  # type: ignore[misc]
        )
    names: tuple[ArmName, ArmName] = ("candidate", "baseline")
    arms: dict[ArmName, Asked] = {name: host(name, hash_seed=0, padding_bytes=0) for name in names}
    return warm_up(arms, SCENARIOS["single"], names, passes_count=3), host


def test_level_arms_are_warmed_by_the_fewest_slots() -> None:
    """Five each, in turn, with the passes of a slot."""
    found, host = warmed(lambda count: 0.01)

    assert found == (STEADY_SLOTS_COUNT, True)
    assert [label for label, _ in host.asked] == ["candidate", "baseline"] * STEADY_SLOTS_COUNT
    assert {request["passes"] for _, request in host.requests} == {3}


@pytest.mark.parametrize("cold_count", [1, 4, 9])
def test_the_warm_up_ends_at_the_first_round_in_which_both_arms_are_level(cold_count: int) -> None:
    """Slots that were slow while the arm was cold have to leave the window, and not one round more is asked."""

    def time_sec(count: int) -> float:
        return 0.01 * (1.5 + 0.1 * (cold_count - count) if count < cold_count else 1.0)

    expected = next(
        count
        for count in range(STEADY_SLOTS_COUNT, 21)
        if is_level([math.log(time_sec(place)) for place in range(count - STEADY_SLOTS_COUNT, count)])
    )
    (count, is_steady), host = warmed(time_sec)

    assert (count, is_steady) == (expected, True)
    assert cold_count < count <= cold_count + STEADY_SLOTS_COUNT
    assert len(host.asked) == 2 * count


@pytest.mark.parametrize("is_baseline_drifting", [True, False])
def test_one_drifting_arm_keeps_both_warming(is_baseline_drifting: bool) -> None:
    """An arm that is level from the start is asked as often as the other, to the cap, and that is said."""
    drifting, level = (lambda count: 0.01 * 1.02**count), (lambda count: 0.01)
    found, host = warmed(*((drifting, level) if is_baseline_drifting else (level, drifting)))

    assert found == (MAX_WARMUP_SLOTS_COUNT, False)
    assert [label for label, _ in host.asked].count("baseline") == MAX_WARMUP_SLOTS_COUNT
    assert [label for label, _ in host.asked].count("candidate") == MAX_WARMUP_SLOTS_COUNT


def test_the_level_check_allows_one_per_cent() -> None:
    """Half a per cent between the halves is level, two are not, up or down; one outlier moves nothing."""
    for factor, is_expected in ((1.005, True), (1 / 1.005, True), (1.02, False), (1 / 1.02, False)):
        assert is_level([0.0, 0.0, *[math.log(factor)] * 3]) is is_expected

    assert is_level([0.0, 0.0, 0.0, 5.0, 0.0])


def test_a_life_says_how_it_was_warmed() -> None:
    """The number of slots and whether both arms ended level are in the life, and it is timed all the same."""
    steady = single(FakeHost())
    slow = iter(0.05 * count for count in range(1000))
    drifting = single(FakeHost(noise=lambda: next(slow)))

    assert (steady.warmup_slot_count, steady.is_steady) == (STEADY_SLOTS_COUNT, True)
    assert (drifting.warmup_slot_count, drifting.is_steady) == (MAX_WARMUP_SLOTS_COUNT, False)
    assert len(drifting.units) == 2


def test_both_arms_are_warmed_alike_before_any_slot() -> None:
    """No slot is timed before both arms have run as often."""
    host = FakeHost()
    one_life(host)
    before = host.asked[: [op for _, op in host.asked].index("slot")]

    assert before.count(("baseline", "warm")) == before.count(("candidate", "warm")) == STEADY_SLOTS_COUNT
    assert "warm" not in [op for _, op in host.asked[len(before) :]]


def test_raw_samples_are_kept() -> None:
    """Every call of every slot is in the life."""
    life = single(FakeHost(calls_count=32), agreed=agreement(plans={"single": SlotPlan(3)}))

    assert [[len(slot) for slot in unit.samples_sec] for unit in life.units] == [[96] * 4] * 2


# --- what does not count


@pytest.mark.parametrize(
    ("disturbance", "said"),
    [
        (STEAL, "steal 5.0%"),
        (PRESSURE, "cpu pressure 60%, 1% when quiet"),
        ({"psi_memory_ratio": 0.3}, "memory pressure 30%, 0% when quiet"),
        ({"psi_io_ratio": 0.3}, "io pressure 30%, 0% when quiet"),
        (THROTTLE, "thermal throttling, 2 events"),
        (GPU_THROTTLE, "GPU throttle reasons 0x40"),
    ],
)
def test_a_disturbed_unit_is_dropped_whole_with_its_reason(disturbance: Mapping[str, Any], said: str) -> None:
    """Its slots and readings stay on record, and the life's value comes from the other units alone."""
    noise = np.random.default_rng(1)
    life = single(
        FakeHost(noise=lambda: float(noise.normal(0, 0.1))), units_count=3, watch=FakeWatch([{}, disturbance, {}])
    )
    first, second, third = life.units

    assert [unit.dropped for unit in life.units] == [None, said, None]
    assert len(second.samples_sec) == 4
    assert second.readings is not None
    assert all(getattr(second.readings, name) == value for name, value in disturbance.items())
    assert life.log_ratio == pytest.approx((log_ratio(first, SINGLE) + log_ratio(third, SINGLE)) / 2)


@pytest.mark.parametrize(
    "harmless",
    [
        {"steal_ratio": 0.009},
        {"psi_cpu_ratio": 0.2},
        {"gpu_throttle_bits": 0x04},
        {"other_load_core_count": 3.0},
        {"steal_ratio": None, "psi_cpu_ratio": None, "throttle_count": None},
    ],
)
def test_below_the_limits_and_without_readings_units_count(harmless: Mapping[str, Any]) -> None:
    """A little steal, a little pressure, a power cap, other programs and a kernel that says nothing drop no unit."""
    life = single(FakeHost(), watch=FakeWatch([{}, harmless]))

    assert [unit.dropped for unit in life.units] == [None, None]


def test_a_clock_unlike_that_of_the_first_life_drops_the_unit() -> None:
    """The GPU's clock is held against the median of the first life's units, in every later life too."""
    agreed, clocks = agreement(), iter([1400.0, 1410.0, 1420.0, 1410.0, 1300.0, 1500.0])
    watch = FakeWatch(lambda place: {"gpu_sm_clock_mhz": next(clocks)})
    first, second = (single(FakeHost(), units_count=3, agreed=agreed, watch=watch) for _ in range(2))

    assert [unit.dropped for unit in first.units] == [None] * 3
    assert [unit.dropped for unit in second.units] == [
        None,
        "GPU clock 1300 MHz, 1410 MHz in the first life",
        "GPU clock 1500 MHz, 1410 MHz in the first life",
    ]


def test_pressure_that_our_own_arms_cause_drops_nothing() -> None:
    """An arm with more threads than cores always waits; only what comes on top of the quietest unit disturbs."""
    agreed = agreement()
    usual, more = {"psi_cpu_ratio": 0.5}, {"psi_cpu_ratio": 0.75}
    first = single(FakeHost(), agreed=agreed, watch=FakeWatch([usual, usual]))
    second = single(FakeHost(), agreed=agreed, watch=FakeWatch([usual, more]))

    assert [unit.dropped for unit in first.units] == [None, None]
    assert [unit.dropped for unit in second.units] == [None, "cpu pressure 75%, 50% when quiet"]


def test_a_life_without_units_has_no_value() -> None:
    """Where every unit was disturbed there is nothing to average, and no evidence."""
    life = single(FakeHost(cost_log=1.0), watch=FakeWatch(lambda place: STEAL))

    assert life.log_ratio is None
    assert [unit.dropped for unit in life.units] == ["steal 5.0%"] * 2


def test_the_drop_rule_sees_neither_arms_nor_times() -> None:
    """The same readings drop the same units with the same words, whichever arm is slow and however the times fall."""
    script = [{}, STEAL, PRESSURE, {}, THROTTLE, {"psi_io_ratio": 0.21}]

    def dropped(cost_log: float, seed: int) -> list[str | None]:
        noise = np.random.default_rng(seed)
        host = FakeHost(cost_log=cost_log, noise=lambda: float(noise.normal(0, 0.5)))
        life = single(host, seed=seed, units_count=6, watch=FakeWatch(script))
        return [unit.dropped for unit in life.units]

    expected = dropped(0.0, 0)

    assert [reason is not None for reason in expected] == [False, True, True, False, True, True]
    for cost_log, seed in itertools.product((-2.0, 2.0), range(5)):
        assert dropped(cost_log, seed) == expected


def test_readings_are_of_the_whole_unit_whichever_arm_used_what(tmp_path: Path) -> None:
    """Handing the slots over in any order, or swapping the arms' processor times, changes no reading."""
    ticks = itertools.count()
    watch = Watch(proc=tmp_path, sys_dir=tmp_path, clock=lambda: 0.5 * next(ticks))
    (tmp_path / "stat").write_text("cpu 100 0 0 100 0 0 0 0 0 0\n")
    slots = [Slot((0.1,), cpu_sec=used, involuntary_switch_count=count) for used, count in enumerate((1, 0, 2, 4))]
    seen = []
    for order in itertools.permutations(slots):
        before = watch.snapshot()
        reading = watch.readings(before, order)
        seen.append((reading.other_load_core_count, reading.involuntary_switch_count, reading.wall_sec))

    assert set(seen) == {(0.0, 7, 0.5)}


def burst_lives(seed: int, count: int) -> Iterator[list[Life]]:
    """
    Live comparisons of equal arms under bursts that look anything but symmetric.

    A burst slows the second half of a unit, mostly the process started first; the readings show two of three bursts.
    """
    chance, coins = np.random.default_rng(seed), random.Random(seed)
    for _ in range(count):
        is_burst = chance.random(16) < 0.3
        is_seen = is_burst & (chance.random(16) < 0.66)
        watch = FakeWatch([PRESSURE if seen else {} for seen in is_seen])
        host = FakeHost(luck=lambda position: float(chance.normal(0.05 * position, 0.02)))
        done = itertools.count()

        def noise(host: FakeHost = host, watch: FakeWatch = watch, done: Any = done, is_burst: Any = is_burst) -> float:
            place = next(done) % 4 if host.asked[-1][1] == "slot" else 0
            return 0.3 if place >= 2 and is_burst[watch.units_count] else 0.0

        host.noise, agreed = noise, agreement()
        yield [
            live(PAIR, (SINGLE,), units_count=2, agreed=agreed, coins=coins, start_arm=host, watch=watch).by_scenario[
                "single"
            ]
            for _ in range(8)
        ]


def test_gating_keeps_the_bound_on_false_alarms() -> None:
    """300 comparisons of equal arms under such bursts, two thirds of them dropped, alarm no more than alpha allows."""
    count, verdicts, dropped = 300, [], 0
    for lives in burst_lives(4, count):
        values = [life.log_ratio for life in lives if life.log_ratio is not None]
        dropped += sum(unit.dropped is not None for life in lives for unit in life.units)
        verdicts.append(decision.first_verdict(values, alpha=0.05, tolerance=0.0, mde=0.9))
    allowed = stats.binom.ppf(0.999, count, 0.05)

    assert dropped > 0.1 * count * 16
    assert verdicts.count("REGRESSION") <= allowed
    assert verdicts.count("IMPROVEMENT") <= allowed


def test_a_rule_that_saw_the_times_would_not_keep_it() -> None:
    """Dropping the units in which the candidate looks faster, in the very same lives, alarms far beyond alpha."""
    alarms = 0
    for lives in burst_lives(4, 120):
        kept = [[value for unit in life.units if (value := log_ratio(unit, SINGLE)) > 0] for life in lives]
        values = [max(units) for units in kept if units]
        alarms += decision.first_verdict(values, alpha=0.05, tolerance=0.0) == "REGRESSION"

    assert alarms > stats.binom.ppf(1 - 1e-6, 120, 0.05)


# --- what goes wrong


@pytest.mark.parametrize("op", ["load", "warm", "slot", "stop"])
@pytest.mark.parametrize("label", ["baseline", "candidate"])
@pytest.mark.parametrize(("trouble", "error"), [("dies", ArmError), ("ctrl-c", KeyboardInterrupt)])
def test_both_arms_are_ended_when_one_fails(label: ArmName, op: str, trouble: str, error: type[BaseException]) -> None:
    """Whatever one of them does, and at Ctrl-C, no worker is left behind."""
    host = FakeHost()
    host.break_arm(label, op, trouble)
    with pytest.raises(error):
        one_life(host)

    assert [arm.is_closed for arm in host.arms] == [True, True]


def test_an_arm_that_cannot_start_takes_the_other_with_it() -> None:
    """The first arm is ended when the second one does not start."""

    class Crowded(FakeHost):
        def __call__(self, label: ArmName, **chance: int) -> Any:
            if self.arms:
                raise OSError("no more processes")
            return super().__call__(label, **chance)

    host = Crowded()
    with pytest.raises(OSError, match="no more"):
        one_life(host)

    assert [arm.is_closed for arm in host.arms] == [True]


@pytest.mark.parametrize(
    ("op", "trouble", "said"),
    [
        ("load", "rubbish", "answer_shape None, which is no list of lengths"),
        ("load", "rubbish shape", "answer_shape 'wide', which is no list of lengths"),
        ("load", "negative load time", "load_sec -0.5, which is no duration"),
        ("load", "nan load time", "load_sec nan, which is no duration"),
        ("warm", "rubbish", "samples_sec None, which is no list of times"),
        ("slot", "rubbish", "samples_sec None, which is no list of times"),
        ("slot", "no times", r"samples_sec \[\], which is no list of times"),
        ("slot", "negative time", "-0.02 s: its clock stood still or went backwards"),
        ("warm", "negative time", "-0.02 s: its clock stood still or went backwards"),
        ("slot", "zero time", "0.0 s: its clock stood still or went backwards"),
        ("slot", "nan time", "the time nan, which is no number"),
        ("slot", "infinite time", "the time inf, which is no number"),
        ("slot", "huge time", "the time 1000.*, which is no number"),
        ("slot", "text for a time", "the time 'soon', which is no number"),
        ("slot", "truth for a time", "the time True, which is no number"),
        ("slot", "negative processor time", "cpu_sec -1.0"),
        ("slot", "negative energy", "energy_joule -5.0"),
        ("stop", "negative memory", "peak_rss_bytes -1"),
        ("stop", "text for memory", "peak_rss_bytes 'much', which is no number"),
    ],
)
def test_a_rubbish_reply_is_refused_with_its_value(op: str, trouble: str, said: str) -> None:
    """One sentence names the arm and what it wrote, and both arms are ended."""
    host = FakeHost()
    host.break_arm("candidate", op, trouble)
    with pytest.raises(ArmError, match=said) as caught:
        one_life(host)
    sentence = str(caught.value)

    assert sentence.startswith("the candidate arm ")
    assert sentence.endswith("; measure again.")
    assert "\n" not in sentence
    assert (caught.value.arm, caught.value.trouble) == ("candidate", "rubbish")
    assert [arm.is_closed for arm in host.arms] == [True, True]


def test_answers_of_different_shapes_are_refused() -> None:
    """Two models that do not answer the same question are not timed, and the sentence has both shapes."""
    host = FakeHost()
    host.break_arm("candidate", "load", "other shape")
    with pytest.raises(MeasurementError, match=r"baseline has shape \(1, 3\), of the candidate \(1, 7\); compare"):
        one_life(host)

    assert [op for _, op in host.asked] == ["load", "load"]
    assert [arm.is_closed for arm in host.arms] == [True, True]


def test_a_load_request_says_nothing_about_which_arm_it_is() -> None:
    """The worker is told its artifact, its inputs, the scenarios and the processors."""
    assert load_request(PAIR.folder("candidate"), PAIR.inputs, ["single"], [1, 0]) == {
        "op": "load",
        "artifact": "b",
        "inputs": "inputs.npz",
        "scenarios": ["single"],
        "cpus": [1, 0],
    }
