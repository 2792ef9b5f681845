"""The comparison: an identical model is never called slower, a slowed one is, and everything is on record."""

import dataclasses
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats

from perflib.artifact import Artifact, Lineage, Runtime
from perflib.benchmarking import planning
from perflib.benchmarking.alone import measure_alone
from perflib.benchmarking.arm import ArmError, ArmName
from perflib.benchmarking.compare import compare
from perflib.benchmarking.lives import log_ratio
from perflib.benchmarking.question import Question
from perflib.benchmarking.scenarios import SCENARIOS, SlotPlan, get_scenarios
from perflib.benchmarking.summary import summarise
from perflib.benchmarking.warmup import MAX_WARMUP_SLOTS_COUNT
from perflib.errors import MeasurementError, ParameterError
from perflib.results import Comparison
from tests.fake_arms import (
    BASE_SEC,
    OTHER_LOAD,
    STEAL,
    TROUBLES,
    FakeHost,
    FakeWatch,
)
from tests.tiny_artifact import make_inputs, write_artifact

EXAMPLES_COUNT = 40


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> tuple[Artifact, Artifact]:
    """Two artifacts that differ in their runtime only."""
    folder = tmp_path_factory.mktemp("pair")
    return write_artifact(folder / "a"), write_artifact(folder / "b", runtime=Runtime(batch_example_count=8))


def run(
    pair: tuple[Artifact, Artifact],
    host: FakeHost,
    *,
    watch: FakeWatch | None = None,
    clock: Callable[[], float] | None = None,
    on_life: Callable[[Comparison], object] | None = None,
    **settings: Any,
) -> Comparison:
    """Compare the pair on a fake host, in the single scenario unless others are named."""
    settings = {"scenarios": ["single"], "max_lives_count": 6, "name": "b", "hardware_class": "toy"} | settings
    question = Question(**settings | {"scenarios": get_scenarios(settings["scenarios"])})
    return compare(
        *pair,
        make_inputs(EXAMPLES_COUNT),
        question,
        on_life=on_life,
        start_arm=host,
        watch=watch or FakeWatch(),
        clock=clock or host.clock,
    )


def noisy(seed: int, scale: float = 0.02) -> Callable[[], float]:
    """Return heavy-tailed slot noise."""
    generator = np.random.default_rng(seed)
    return lambda: float(scale * generator.standard_t(3))


# --- verdicts


@pytest.mark.parametrize(
    ("factor", "verdict"), [(1.0, "PASS"), (1.2, "REGRESSION"), (1.05, "REGRESSION"), (0.5, "IMPROVEMENT")]
)
def test_the_verdict_follows_the_truth_on_a_quiet_host(
    pair: tuple[Artifact, Artifact], factor: float, verdict: str
) -> None:
    """The same, slower and faster models are called so in every scenario, with the speed-up that was put in."""
    found = run(
        pair, FakeHost(cost_log=math.log(factor)), scenarios=["single", "offline", "server"], max_lives_count=12
    )

    assert {one.scenario: one.verdict for one in found.scenarios} == dict.fromkeys(
        ("single", "offline", "server"), verdict
    )
    assert (found.stop, found.stop_sentence, found.marks) == ("decided", "", ())
    for one in found.scenarios:
        assert one.speedup_ratio.estimate == pytest.approx(1 / factor, rel=1e-6)
        assert one.baseline.slot_sec * factor == pytest.approx(one.candidate.slot_sec, rel=1e-6)
        if verdict == "PASS":
            assert one.reached_mde_ratio is not None
            assert one.reached_mde_ratio <= found.mde_ratio


@pytest.mark.parametrize(("mde", "verdict"), [(0.03, "PASS"), (0.001, "INCONCLUSIVE")])
def test_a_pass_rules_out_exactly_the_slowdown_that_was_asked_for(
    pair: tuple[Artifact, Artifact], mde: float, verdict: str
) -> None:
    """Equal arms pass at 3 % in six lives and need more at 0.1 %, where the sentence says what is ruled out so far."""
    found = run(pair, FakeHost(), mde=mde, tolerance=0.0)
    (one,) = found.scenarios

    assert one.verdict == verdict
    assert one.reached_mde_ratio is not None
    assert (one.reached_mde_ratio <= mde) == (verdict == "PASS")
    assert (found.stop_sentence == "") == (verdict == "PASS")


@pytest.mark.parametrize(("tolerance", "verdict"), [(0.005, "REGRESSION"), (0.025, "PASS")])
def test_a_change_within_the_tolerance_is_none(pair: tuple[Artifact, Artifact], tolerance: float, verdict: str) -> None:
    """Two per cent slower is a regression where half a per cent is tolerated, and passes where two and a half are."""
    found = run(
        pair,
        FakeHost(cost_log=math.log(1.02), noise=noisy(0, 1e-4)),
        max_lives_count=60,
        tolerance=tolerance,
        mde=0.05,
    )

    assert found.scenarios[0].verdict == verdict


def test_an_identical_model_is_not_called_different_more_often_than_alpha(pair: tuple[Artifact, Artifact]) -> None:
    """A hundred noisy comparisons of a model with itself, all through the real code, stay in the binomial bound."""
    count = 100
    verdicts = [
        run(pair, FakeHost(noise=noisy(seed)), units_per_life_count=1, seed=seed, tolerance=0.0).scenarios[0].verdict
        for seed in range(count)
    ]
    allowed = stats.binom.ppf(0.999, count, 0.05)

    assert verdicts.count("REGRESSION") <= allowed
    assert verdicts.count("IMPROVEMENT") <= allowed


@pytest.mark.parametrize(("factor", "verdict"), [(1.2, "REGRESSION"), (1 / 1.2, "IMPROVEMENT")])
def test_a_real_difference_is_found_despite_the_noise(
    pair: tuple[Artifact, Artifact], factor: float, verdict: str
) -> None:
    """A fifth more or less time is found in every one of ten noisy comparisons."""
    for seed in range(10):
        found = run(pair, FakeHost(cost_log=math.log(factor), noise=noisy(seed)), max_lives_count=15, seed=seed)

        assert found.scenarios[0].verdict == verdict


# --- why it stops


def test_a_budget_that_can_decide_nothing_is_refused_before_anything_starts(pair: tuple[Artifact, Artifact]) -> None:
    """Four lives at 5 % and six at 1 % are refused in one sentence with the number that is needed."""
    host = FakeHost()
    with pytest.raises(MeasurementError, match=r"4 lives cannot decide anything at alpha 0.05; allow at least 5\.$"):
        run(pair, host, max_lives_count=4)
    with pytest.raises(MeasurementError, match="allow at least 8"):
        run(pair, host, max_lives_count=6, alpha=0.01)

    assert host.arms == []


def test_it_stops_when_every_scenario_is_decided(pair: tuple[Artifact, Artifact]) -> None:
    """A large effect takes the fewest lives of a large budget, all of them closed."""
    host = FakeHost(cost_log=-1.0)
    found = run(pair, host, scenarios=["single", "offline"], max_lives_count=30)

    assert found.stop == "decided"
    assert [len(one.lives) for one in found.scenarios] == [5, 5]
    assert len(host.arms) == 10
    assert all(arm.is_closed for arm in host.arms)


def test_one_undecided_scenario_keeps_all_living(pair: tuple[Artifact, Artifact]) -> None:
    """Scenarios share their lives, and the verdict that was there first stays."""
    host = FakeHost(cost_log=-1.0)
    noise = noisy(1, 0.4)

    def wild(reply: dict[str, Any]) -> dict[str, Any]:
        return reply | {"samples_sec": [sec * math.exp(1.0 + noise()) for sec in reply["samples_sec"]]}

    def only_offline(reply: dict[str, Any]) -> dict[str, Any]:
        return wild(reply) if host.requests[-1][1]["scenario"] == "offline" else reply

    host.change("candidate", "slot", only_offline)
    single, offline = run(pair, host, scenarios=["single", "offline"], max_lives_count=7).scenarios

    assert (single.verdict, offline.verdict) == ("IMPROVEMENT", "INCONCLUSIVE")
    assert len(single.lives) == len(offline.lives) == 7


def test_an_undecided_comparison_spends_its_lives_and_says_so(pair: tuple[Artifact, Artifact]) -> None:
    """Noise as large as the effect ends at the lives allowed with INCONCLUSIVE and what was ruled out."""
    found = run(pair, FakeHost(noise=noisy(1, 0.3)), seed=1)

    assert found.stop == "lives-spent"
    assert found.scenarios[0].verdict == "INCONCLUSIVE"
    assert len(found.scenarios[0].lives) == len(found.processes) == 6
    assert "6 lives" in found.stop_sentence
    assert "3.0 %" in found.stop_sentence


def test_a_budget_of_time_ends_it_before_it_is_overdrawn(pair: tuple[Artifact, Artifact]) -> None:
    """No life is begun that the time left does not hold, going by the lives so far, and most of the time is used."""
    host = FakeHost()
    # Lives that contradict each other and all take the same time.
    host.change(
        "candidate",
        "slot",
        lambda reply: (
            reply | {"samples_sec": [sec * (1.1 if len(host.arms) % 4 == 0 else 0.9) for sec in reply["samples_sec"]]}
        ),
    )
    found = run(pair, host, max_lives_count=1000, budget_sec=6.0)

    assert found.stop == "budget-spent"
    assert found.scenarios[0].verdict == "INCONCLUSIVE"
    assert 6.0 * (1 - 1 / len(found.processes)) < found.wall_sec <= 6.0
    assert "6 s" in found.stop_sentence


def test_a_budget_too_short_for_any_verdict_is_refused_after_one_life(pair: tuple[Artifact, Artifact]) -> None:
    """The sentence names the seconds that are needed, nothing is recorded, and the seconds named are enough."""
    host, records = FakeHost(cost_log=-1.0), []
    with pytest.raises(MeasurementError) as caught:
        run(pair, host, budget_sec=2.0, on_life=records.append)
    sentence = str(caught.value)

    assert sentence.startswith("the budget of 2 s is too short: one life takes ")
    assert " and 5 are the fewest; give at least " in sentence
    assert (len(host.arms), [arm.is_closed for arm in host.arms], records) == (2, [True, True], [])

    needed_sec = float(sentence.removesuffix(" s.").split()[-1])

    assert run(pair, FakeHost(cost_log=-1.0), budget_sec=needed_sec).stop == "decided"


def test_a_verdict_that_is_there_is_not_lost_to_a_late_slow_life(pair: tuple[Artifact, Artifact]) -> None:
    """At 1 % a doubling is decided in seven lives, also where the seventh took what was left for the eighth."""
    host = FakeHost(cost_log=math.log(2))
    host.noise = lambda: math.log(5) if len(host.arms) > 12 else 0.0
    found = run(pair, host, alpha=0.01, max_lives_count=20, budget_sec=11.5)

    assert (found.stop, found.scenarios[0].verdict, len(found.processes)) == ("decided", "REGRESSION", 7)


def test_an_effect_that_the_machine_cannot_resolve_is_given_up_early(pair: tuple[Artifact, Artifact]) -> None:
    """Some lives of huge noise say the noise, the lives needed and what the lives allowed could show."""
    found = run(pair, FakeHost(noise=noisy(0, 0.6)), units_per_life_count=1, max_lives_count=15)
    (one,) = found.scenarios

    assert (found.stop, one.verdict) == ("hopeless", "INCONCLUSIVE")
    assert 8 <= len(one.lives) < 15
    plan = planning.plan(one.log_ratios, affordable_lives_count=15, alpha=0.05, tolerance=0.005, mde=0.03)
    visible_ratio = planning.visible_effect(sd_ratio=plan.sd_ratio, lives_count=15, alpha=0.05, tolerance=0.005)

    assert f"{100 * plan.sd_ratio:.1f} %" in found.stop_sentence
    assert f"about {plan.needed_lives_count} lives where 15 are allowed" in found.stop_sentence
    assert f"can show {100 * visible_ratio:.1f} % or more" in found.stop_sentence


def test_sixty_lives_of_huge_noise_are_not_all_lived(pair: tuple[Artifact, Artifact]) -> None:
    """Noise of more than half a life's time, to rule out 3 %, is given up before the lives are spent."""
    found = run(pair, FakeHost(noise=noisy(0, 0.6)), units_per_life_count=1, max_lives_count=60)

    assert found.stop == "hopeless"
    assert 8 <= len(found.processes) < 60
    assert " lives where 60 are allowed; these can show " in found.stop_sentence


# --- what disturbs it


def test_too_many_dropped_units_are_no_verdict_even_for_a_huge_effect(pair: tuple[Artifact, Artifact]) -> None:
    """Every second unit is disturbed: threefold slowness is plain in the rest, and the sentence says why not."""
    watch = FakeWatch(lambda place: STEAL if place % 2 else {})
    found = run(pair, FakeHost(cost_log=math.log(3)), watch=watch, max_lives_count=10)
    (one,) = found.scenarios

    assert (found.stop, one.verdict, one.dropped_unit_ratio) == ("lives-spent", "INCONCLUSIVE", 0.5)
    assert one.log_ratios == pytest.approx([math.log(3)] * 10)
    assert "50 % of the units of single were disturbed (mostly steal)" in found.stop_sentence


def test_a_few_dropped_units_cost_only_their_lives(pair: tuple[Artifact, Artifact]) -> None:
    """A life without units is no evidence, so the same effect takes one life more; the units stay on record."""
    watch = FakeWatch([{}, {}, STEAL, STEAL])
    found = run(pair, FakeHost(cost_log=math.log(3)), watch=watch, max_lives_count=10)
    (one,) = found.scenarios

    assert (one.verdict, len(one.lives), len(one.log_ratios)) == ("REGRESSION", 6, 5)
    assert one.lives[1].log_ratio is None
    assert [unit.dropped for unit in one.lives[1].units] == ["steal 5.0%", "steal 5.0%"]


@pytest.mark.parametrize("max_lives_count", [6, 10])
def test_a_machine_that_disturbs_every_unit_gets_a_record_and_no_verdict(
    pair: tuple[Artifact, Artifact], max_lives_count: int
) -> None:
    """There is nothing to size a plan by after eight lives, and that is no reason to fail."""
    found = run(pair, FakeHost(), watch=FakeWatch(lambda place: STEAL), max_lives_count=max_lives_count)

    assert found.stop in ("lives-spent", "hopeless")
    assert (found.scenarios[0].verdict, found.scenarios[0].dropped_unit_ratio) == ("INCONCLUSIVE", 1.0)
    assert "100 % of the units of single were disturbed (mostly steal)" in found.stop_sentence
    assert Comparison.from_dict(found.to_dict()) == found


def test_dropping_does_not_depend_on_which_arm_is_slow(pair: tuple[Artifact, Artifact]) -> None:
    """The same machine drops the same units whether the candidate is three times faster or slower."""

    def dropped(cost_log: float) -> list[str | None]:
        chance = np.random.default_rng(1)
        watch = FakeWatch(lambda place: STEAL if chance.random() < 0.2 else {})
        found = run(pair, FakeHost(cost_log=cost_log), watch=watch, max_lives_count=5)
        return [unit.dropped for life in found.scenarios[0].lives for unit in life.units]

    assert dropped(math.log(3)) == dropped(-math.log(3))
    assert "steal 5.0%" in dropped(0.0)


def test_a_warm_up_without_end_is_marked(pair: tuple[Artifact, Artifact]) -> None:
    """The lives in which an arm never levelled are counted, and the comparison goes on."""
    host = FakeHost()
    drift = iter(0.05 * count for count in range(100_000))
    host.noise = lambda: next(drift) if 2 < len(host.arms) <= 6 else 0.0
    found = run(pair, host, max_lives_count=6)
    lives = found.scenarios[0].lives

    assert [life.is_steady for life in lives][:4] == [True, False, False, True]
    assert lives[1].warmup_slot_count == MAX_WARMUP_SLOTS_COUNT
    assert found.marks == (f"no steady state in 2 of {len(lives)} lives of single",)


def test_other_programs_are_marked(pair: tuple[Artifact, Artifact]) -> None:
    """Both what was seen before the first life and what ran beside it; neither drops a unit."""
    watch = FakeWatch(lambda place: OTHER_LOAD if place < 3 else {}, before_core_count=2.0)
    found = run(pair, FakeHost(cost_log=1.0), watch=watch)

    assert found.marks[0] == "other programs kept 2.0 cores busy before the first life"
    assert found.marks[1].startswith("other programs kept up to 1.5 cores busy in 3 of 10 units")
    assert found.scenarios[0].dropped_unit_ratio == 0.0
    assert found.scenarios[0].verdict == "REGRESSION"


# --- what it records


def test_every_life_hands_over_a_whole_record(pair: tuple[Artifact, Artifact], tmp_path: Path) -> None:
    """After each life there is one that can be read again, marked as running until the last, which is what returns."""
    records: list[Comparison] = []
    found = run(pair, FakeHost(cost_log=-1.0), on_life=records.append)

    assert [len(one.processes) for one in records] == [1, 2, 3, 4, 5]
    assert [one.stop for one in records] == ["running"] * 4 + ["decided"]
    assert records[-1] == found
    for place, one in enumerate(records):
        assert Comparison.read(one.write(tmp_path / f"{place}.json")) == one


def test_the_record_survives_json_with_every_slot_and_reading(pair: tuple[Artifact, Artifact], tmp_path: Path) -> None:
    """Written and read again it is equal: samples, tosses, readings, drop reasons, digests, environments."""
    host = FakeHost(noise=noisy(2), calls_count=3)
    host.change("candidate", "slot", lambda reply: reply | {"energy_joule": 2.5})
    host.change("candidate", "stop", lambda reply: reply | {"peak_rss_bytes": 800})
    watch = FakeWatch([{}, STEAL, {"gpu_sm_clock_mhz": 1410, "gpu_throttle_bits": 4}])
    found = run(pair, host, watch=watch, scenarios=["single", "offline", "server"])
    again = Comparison.read(found.write(tmp_path / "one.json"))

    assert again == found
    assert found.baseline_sha256 == pair[0].digest != found.candidate_sha256 == pair[1].digest
    assert found.inputs_sha256 == make_inputs(EXAMPLES_COUNT).digest()
    assert not found.is_baseline_runtime
    assert (found.peak_rss_bytes("baseline"), found.peak_rss_bytes("candidate")) == (1000, 800)
    assert found.baseline_environment.command == ("fake", "baseline")
    assert found.candidate_environment.python == "3.11.7"
    assert found.candidate_environment.versions == {"torch": "2.13.0"}
    for one in again.scenarios:
        for life in one.lives:
            for unit in life.units:
                assert [len(calls) > 0 for calls in unit.samples_sec] == [True] * 4
                assert unit.readings is not None
                assert unit.readings.involuntary_switch_count == 12
                assert unit.energy_joule == tuple(2.5 if letter == "B" else None for letter in unit.order)
    assert [unit.dropped for unit in again.scenarios[0].lives[0].units] == [None, "steal 5.0%"]


def test_the_summary_follows_from_the_raw_slots_that_were_read_again(
    pair: tuple[Artifact, Artifact], tmp_path: Path
) -> None:
    """From the file alone every life's value and every scenario's summary come out the same."""
    watch = FakeWatch([{}, STEAL, {}, {}, {}, {}, {}, {}, STEAL, STEAL])
    found = run(pair, FakeHost(noise=noisy(3), calls_count=3), watch=watch, scenarios=["single", "offline"])
    again = Comparison.read(found.write(tmp_path / "one.json"))
    inputs = make_inputs(EXAMPLES_COUNT)

    for one in again.scenarios:
        scenario = SCENARIOS[one.scenario]
        for life in one.lives:
            values = [log_ratio(unit, scenario) for unit in life.units if unit.dropped is None]

            assert life.log_ratio == (pytest.approx(np.mean(values)) if values else None)
        assert (
            summarise(
                scenario,
                one.lives,
                plan=SlotPlan(one.passes_per_slot_count, one.latency_target_sec),
                examples_count=one.examples_per_slot_count,
                tokens_count=scenario.tokens_count(inputs),
                alpha=again.alpha_ratio,
                tolerance=again.tolerance_ratio,
                mde=again.mde_ratio,
            )
            == one
        )


def test_all_lives_agree_on_the_passes(pair: tuple[Artifact, Artifact]) -> None:
    """Passes are calibrated in the first life and every slot of every life has as many calls."""
    found = run(pair, FakeHost(noise=noisy(1), calls_count=4)).scenarios[0]
    lengths = {len(slot) for life in found.lives for unit in life.units for slot in unit.samples_sec}

    assert lengths == {4 * found.passes_per_slot_count}


def test_the_seed_decides_every_toss(pair: tuple[Artifact, Artifact]) -> None:
    """The same seed gives the same order of slots, hash seeds and paddings, and the record holds it."""

    def tossed(seed: int) -> list[Any]:
        found = run(pair, FakeHost(), seed=seed)
        assert found.seed == seed
        orders = [(life.first_loaded, [unit.order for unit in life.units]) for life in found.scenarios[0].lives]
        return [orders, found.processes]

    assert tossed(5) == tossed(5) != tossed(6)


def test_the_processes_on_record_are_those_that_were_started(pair: tuple[Artifact, Artifact]) -> None:
    """In the order of the lives, with what chance gave each; no two processes got the same."""
    host = FakeHost(cost_log=1.0)
    found = run(pair, host)
    started = [(arm.label, arm.hash_seed, arm.padding_bytes) for arm in host.arms]
    recorded = []
    for life, both in zip(found.scenarios[0].lives, found.processes, strict=True):
        names = sorted(("baseline", "candidate"), key=lambda name: name != life.first_loaded)
        recorded += [
            (name, getattr(both, name).hash_seed, getattr(both, name).padding_bytes)  # type: ignore[misc]
            for name in names
        ]

        assert getattr(both, life.first_loaded).is_first

    assert recorded == started
    assert len({seed for _, seed, _ in started}) == 10


def test_every_slot_of_a_server_has_the_same_target_and_first_rate(pair: tuple[Artifact, Artifact]) -> None:
    """The target that was asked for goes to both arms in all lives, one unit each, and into the record."""
    host = FakeHost(cost_log=-1.0, noise=noisy(4, 0.01))
    (server,) = run(
        pair, host, scenarios=["server"], latency_target_sec=0.123, units_per_life_count=3, max_lives_count=9
    ).scenarios
    slots = [(label, request) for label, request in host.requests if request["op"] == "slot"]

    assert {label for label, _ in slots} == {"baseline", "candidate"}
    assert {request["target_sec"] for _, request in slots} == {0.123}
    assert len({request["start_rate_per_sec"] for _, request in slots}) == 1
    assert len(slots) == (2 + 4) * len(server.lives), "each arm warms the shapes of its batches, then a quad"
    assert {len(life.units) for life in server.lives} == {1}
    assert server.latency_target_sec == 0.123


# --- what goes wrong


@pytest.mark.parametrize("op", ["load", "warm", "slot", "stop"])
@pytest.mark.parametrize("label", ["baseline", "candidate"])
def test_ctrl_c_leaves_a_record_of_the_lives_before_it(
    pair: tuple[Artifact, Artifact], tmp_path: Path, label: ArmName, op: str
) -> None:
    """In the third life: two lives are handed over as interrupted, both arms are ended, and Ctrl-C goes on."""
    host, records = FakeHost(cost_log=1.0), []
    host.break_arm(label, op, "ctrl-c", life=3)
    with pytest.raises(KeyboardInterrupt):
        run(pair, host, on_life=records.append)
    last = records[-1]

    assert [one.stop for one in records] == ["running", "running", "interrupted"]
    assert [len(last.scenarios[0].lives), len(last.processes)] == [2, 2]
    assert last.stop_sentence == "interrupted after 2 lives; what they say stands."
    assert Comparison.read(last.write(tmp_path / "one.json")) == last
    assert len(host.arms) == 6
    assert all(arm.is_closed for arm in host.arms)


def test_ctrl_c_in_the_first_life_leaves_no_record(pair: tuple[Artifact, Artifact]) -> None:
    """There is nothing to say, and nothing is left running."""
    host, records = FakeHost(), []
    host.break_arm("candidate", "warm", "ctrl-c")
    with pytest.raises(KeyboardInterrupt):
        run(pair, host, on_life=records.append)

    assert records == []
    assert [arm.is_closed for arm in host.arms] == [True, True]


def test_an_arm_that_fails_later_leaves_a_record_with_the_sentence(
    pair: tuple[Artifact, Artifact], tmp_path: Path
) -> None:
    """In the second life: the first one is handed over as it is, with what the arm said, and the error goes on."""
    host, records = FakeHost(), []
    host.break_arm("candidate", "slot", "dies", life=2)
    with pytest.raises(ArmError, match="the fake arm died"):
        run(pair, host, on_life=records.append)
    last = records[-1]

    assert [one.stop for one in records] == ["running", "arm-failed"]
    assert last.stop_sentence == "the fake arm died; see its last output: it printed nothing"
    assert [len(last.processes), last.scenarios[0].verdict] == [1, "INCONCLUSIVE"]
    assert Comparison.read(last.write(tmp_path / "one.json")) == last
    assert all(arm.is_closed for arm in host.arms)


def test_an_arm_that_fails_at_once_leaves_no_record(pair: tuple[Artifact, Artifact]) -> None:
    """The error is passed on and both arms are ended."""
    host, records = FakeHost(), []
    host.break_arm("baseline", "load", "dies")
    with pytest.raises(ArmError, match="died"):
        run(pair, host, on_life=records.append)

    assert records == []
    assert [arm.is_closed for arm in host.arms] == [True, True]


def test_nobody_has_to_take_the_records(pair: tuple[Artifact, Artifact]) -> None:
    """Without a taker a failing arm is still one error, and its arms are ended."""
    host = FakeHost()
    host.break_arm("baseline", "slot", "dies", life=2)
    with pytest.raises(ArmError, match="died"):
        run(pair, host)

    assert all(arm.is_closed for arm in host.arms)


@pytest.mark.parametrize("trouble", [name for name in TROUBLES if "time" in name and "load" not in name] + ["rubbish"])
def test_times_that_are_none_end_it_in_one_sentence(pair: tuple[Artifact, Artifact], trouble: str) -> None:
    """A clock that goes backwards, NaN, infinity or no number at all in a later life: the lives before it are kept."""
    host, records = FakeHost(), []
    host.break_arm("candidate", "slot", trouble, life=2)
    with pytest.raises(ArmError, match=r"^the candidate arm .*; measure again\.$"):
        run(pair, host, on_life=records.append)

    assert [one.stop for one in records] == ["running", "arm-failed"]
    assert all(arm.is_closed for arm in host.arms)


def test_models_with_answers_of_different_shapes_are_not_compared(pair: tuple[Artifact, Artifact]) -> None:
    """Both shapes are in the sentence, no slot is timed and no record made."""
    host, records = FakeHost(), []
    host.break_arm("candidate", "load", "other shape")
    with pytest.raises(MeasurementError, match=r"shape \(1, 3\), of the candidate \(1, 7\)"):
        run(pair, host, on_life=records.append)

    assert (host.slots(), records) == ("", [])
    assert [arm.is_closed for arm in host.arms] == [True, True]


def test_artifacts_of_two_workloads_start_nothing(pair: tuple[Artifact, Artifact]) -> None:
    """The question is checked before any process and any look at the machine."""
    spec = dataclasses.replace(pair[1].spec, lineage=Lineage("digits", None, (), {}))
    host = FakeHost()
    with pytest.raises(ParameterError, match="workload `toy` and the candidate of `digits`"):
        run((pair[0], Artifact(pair[1].folder, spec)), host)

    assert host.arms == []


# --- one artifact alone


def test_the_baseline_alone_is_timed_in_fresh_processes(pair: tuple[Artifact, Artifact]) -> None:
    """Each life is one process; every sample is kept and described by its median, tail and rate."""
    host = FakeHost(calls_count=32)
    alone = measure_alone(
        pair[0],
        make_inputs(EXAMPLES_COUNT),
        scenarios=get_scenarios(["single", "offline", "server"]),
        lives_count=3,
        start_arm=host,
    )

    single, offline, server = alone.scenarios

    assert [len(samples) for samples in single.samples_sec] == [64, 64, 64]
    assert (single.p50_sec, single.p95_sec) == (pytest.approx(BASE_SEC), pytest.approx(BASE_SEC))
    assert single.examples_per_sec == pytest.approx(1 / BASE_SEC)
    assert offline.examples_per_sample_count == EXAMPLES_COUNT
    assert offline.examples_per_sec == pytest.approx(EXAMPLES_COUNT / BASE_SEC)
    assert [len(samples) for samples in server.samples_sec] == [2, 2, 2]
    assert server.examples_per_sec == pytest.approx(1 / BASE_SEC)
    assert (alone.peak_rss_bytes, alone.load_sec) == (1000, 0.8)
    assert [arm.label for arm in host.arms] == ["baseline"] * 3
    assert len({arm.hash_seed for arm in host.arms}) == 3
    assert all(arm.is_closed for arm in host.arms)


def test_alone_every_server_slot_has_the_same_target_and_rate(pair: tuple[Artifact, Artifact]) -> None:
    """The first life sets them, five times the median call and its rate, however the later ones run."""
    host = FakeHost(noise=noisy(7))
    measure_alone(pair[0], make_inputs(8), scenarios=get_scenarios(["server"]), start_arm=host)
    asked = [request for _, request in host.requests if request["op"] == "slot"]

    assert len(asked) == 6
    assert len({(request["target_sec"], request["start_rate_per_sec"]) for request in asked}) == 1
    assert asked[0]["target_sec"] * asked[0]["start_rate_per_sec"] == pytest.approx(5.0)


def test_an_arm_alone_that_does_not_know_its_memory_has_none(pair: tuple[Artifact, Artifact]) -> None:
    """Unknown is None; where one life knows it, that one counts."""
    host = FakeHost()
    host.change("baseline", "stop", lambda reply: reply | {"peak_rss_bytes": None})

    assert (
        measure_alone(pair[0], make_inputs(4), scenarios=get_scenarios(["single"]), start_arm=host).peak_rss_bytes
        is None
    )

    host = FakeHost()
    host.change("baseline", "stop", lambda reply: reply | {"peak_rss_bytes": None}, life=2)

    assert (
        measure_alone(pair[0], make_inputs(4), scenarios=get_scenarios(["single"]), start_arm=host).peak_rss_bytes
        == 1000
    )


@pytest.mark.parametrize("op", ["load", "warm", "slot", "stop"])
@pytest.mark.parametrize(("trouble", "error"), [("dies", ArmError), ("ctrl-c", KeyboardInterrupt)])
def test_the_baseline_alone_is_ended_when_it_fails(
    pair: tuple[Artifact, Artifact], trouble: str, error: type[BaseException], op: str
) -> None:
    """No worker is left behind, and the error goes on."""
    host = FakeHost()
    host.break_arm("baseline", op, trouble, life=2)
    with pytest.raises(error):
        measure_alone(pair[0], make_inputs(4), scenarios=get_scenarios(["single"]), start_arm=host)

    assert [arm.is_closed for arm in host.arms] == [True, True]


@pytest.mark.parametrize(
    ("op", "trouble"),
    [("load", "rubbish"), ("slot", "negative time"), ("warm", "rubbish"), ("stop", "text for memory")],
)
def test_the_baseline_alone_refuses_rubbish_in_one_sentence(
    pair: tuple[Artifact, Artifact], op: str, trouble: str
) -> None:
    """Whatever it answers that is no answer is said with its value, as in a comparison, and the arm is ended."""
    host = FakeHost()
    host.break_arm("baseline", op, trouble)
    with pytest.raises(ArmError, match=r"^the baseline arm .*; measure again\.$"):
        measure_alone(pair[0], make_inputs(4), scenarios=get_scenarios(["single"]), start_arm=host)

    assert [arm.is_closed for arm in host.arms] == [True]
