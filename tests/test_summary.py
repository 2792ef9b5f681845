"""From lives to a record: everything shown follows from the raw slots, and dropped units keep verdicts away."""

import dataclasses
import math
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from perflib.benchmarking import decision, planning
from perflib.benchmarking.lives import Agreed, Pair, live
from perflib.benchmarking.scenarios import SCENARIOS, SlotPlan
from perflib.benchmarking.summary import (
    counted,
    disturbed_sentence,
    dropped_ratio,
    evidence_paths,
    is_disturbed,
    summarise,
    verdict_of,
)
from perflib.results import Life, ScenarioComparison, Unit
from tests.fake_arms import BASE_SEC, PRESSURE, STEAL, FakeHost, FakeWatch
from tests.synthetic_records import comparison

RULES = {"alpha": 0.05, "tolerance": 0.005, "mde": 0.03}
PAIR = Pair(Path("a"), Path("b"), Path("inputs.npz"))


def life(log: float | None, *, dropped: tuple[str | None, ...] = (None, None)) -> Life:
    """Return a life of one-call slots in which the candidate costs so much more in every unit."""
    factor = math.exp(log or 0.0)
    units = tuple(Unit("ABBA", ((0.1,), (0.1 * factor,), (0.1 * factor,), (0.1,)), dropped=why) for why in dropped)
    return Life("baseline", units, log)


def summary(
    lives: list[Life], name: str = "single", *, plan: SlotPlan | None = None, **change: Any
) -> ScenarioComparison:
    """Summarise at the usual settings."""
    settings = {"examples_count": 40, "tokens_count": 180, **RULES, **change}
    return summarise(SCENARIOS[name], lives, plan=plan or SlotPlan(1), **settings)


def lived(host: FakeHost, name: str = "single", *, count: int = 6, plan: SlotPlan | None = None) -> list[Life]:
    """Live so often in one scenario."""
    coins, agreed = random.Random(0), Agreed(plans={name: plan or SlotPlan(1)})
    return [
        live(
            PAIR,
            (SCENARIOS[name],),
            units_count=2,
            agreed=agreed,
            coins=coins,
            start_arm=host,
            watch=FakeWatch(),
        ).by_scenario[name]
        for _ in range(count)
    ]


def test_lives_without_units_are_no_evidence() -> None:
    """Their value is None and is left out, in order."""
    lives = [life(0.1), life(None, dropped=("steal 5.0%",) * 2), life(0.2)]

    assert counted(lives) == [0.1, 0.2]
    assert dropped_ratio(lives) == pytest.approx(1 / 3)
    assert dropped_ratio([]) == 0.0


@pytest.mark.parametrize(("dropped_count", "verdict"), [(0, "REGRESSION"), (3, "REGRESSION"), (4, "INCONCLUSIVE")])
def test_more_than_thirty_per_cent_dropped_is_no_verdict(dropped_count: int, verdict: str) -> None:
    """Three of ten units may be lost, not four, even where a threefold slowness is plain in the rest."""
    lives = [life(math.log(3), dropped=(None, "steal 5.0%" if place < dropped_count else None)) for place in range(5)]
    found = summary(lives)

    assert verdict_of(lives, **RULES) == found.verdict == verdict
    assert found.dropped_unit_ratio == pytest.approx(dropped_count / 10)
    assert found.log_ratios == pytest.approx([math.log(3)] * 5)


def test_a_summary_says_what_the_decision_says() -> None:
    """Verdict, interval, evidence and what is ruled out are those of the lives' values."""
    logs = [-0.10, -0.12, -0.09, -0.11, -0.10, -0.13, -0.08]
    found = summary([life(log) for log in logs])

    assert found.verdict == "IMPROVEMENT"
    assert found.speedup_ratio == decision.speedup_interval(logs, alpha=0.05)
    assert math.log(found.evidence) == pytest.approx(decision.log_evidence([-log for log in logs], math.log1p(0.005)))
    assert found.reached_mde_ratio == decision.reached_mde(logs, alpha=0.05)
    assert (found.scenario, found.statistic, found.examples_per_slot_count) == ("single", "p50", 40)


def test_a_summary_without_any_counted_unit_still_has_its_numbers() -> None:
    """Everything was disturbed: raw times are shown, a speed-up of 1 without bounds, no evidence and no verdict."""
    found = summary([life(None, dropped=("steal 5.0%",) * 2) for _ in range(9)])

    assert (found.verdict, found.dropped_unit_ratio, found.evidence) == ("INCONCLUSIVE", 1.0, 1.0)
    assert (found.speedup_ratio.estimate, found.speedup_ratio.low, found.speedup_ratio.high) == (1.0, None, None)
    assert found.reached_mde_ratio is None
    assert found.log_ratios == ()
    assert found.baseline.slot_sec == pytest.approx(0.1)


def test_evidence_is_bounded_so_that_it_is_a_number_in_json() -> None:
    """Two thousand lives of a plain effect would overflow; the record says e^700."""
    assert summary([life(-1.0)] * 1100).evidence == pytest.approx(math.exp(700))
    assert summary([life(1.0)] * 5).evidence < 1e-3


def test_single_counts_calls_and_shows_the_percentiles_that_they_support() -> None:
    """The slot is its median call, a pass is all of its calls; tokens are real ones."""
    host = FakeHost(calls_count=40, cost_log=math.log(2))
    found = summary(lived(host, plan=SlotPlan(3)), plan=SlotPlan(3))

    for arm, factor in ((found.baseline, 1.0), (found.candidate, 2.0)):
        assert arm.slot_sec == pytest.approx(BASE_SEC * factor)
        assert arm.examples_per_sec == pytest.approx(1 / (BASE_SEC * factor))
        assert arm.tokens_per_sec == pytest.approx(180 / (40 * BASE_SEC * factor))
        # 6 lives x 2 units x 2 slots x 3 passes x 40 calls: enough for p99.
        assert [(one.share_ratio, one.call_count) for one in arm.percentiles] == [
            (0.5, 2880),
            (0.95, 2880),
            (0.99, 2880),
        ]
    assert found.passes_per_slot_count == 3


def test_a_total_is_shared_by_its_passes_and_has_no_percentiles() -> None:
    """All examples at once take one call a pass; the seconds shown are those of one pass."""
    found = summary(lived(FakeHost(), "offline", plan=SlotPlan(5)), "offline", plan=SlotPlan(5))

    assert found.baseline.slot_sec == pytest.approx(BASE_SEC)
    assert found.baseline.examples_per_sec == pytest.approx(40 / BASE_SEC)
    assert found.baseline.tokens_per_sec == pytest.approx(180 / BASE_SEC)
    assert found.baseline.percentiles == ()
    assert found.latency_target_sec is None


def test_a_server_shows_requests_per_second_and_its_target() -> None:
    """The slot is the seconds per request at the largest rate that keeps the target."""
    plan = SlotPlan(1, target_sec=0.05, start_rate_per_sec=10.0)
    found = summary(lived(FakeHost(cost_log=-math.log(2)), "server", plan=plan), "server", plan=plan)

    assert found.candidate.examples_per_sec == pytest.approx(2 / BASE_SEC)
    assert found.baseline.tokens_per_sec == pytest.approx(180 / 40 / BASE_SEC)
    assert found.latency_target_sec == 0.05
    assert found.baseline.joule_per_example is None


def test_energy_is_shown_per_example_where_it_was_read() -> None:
    """The joules of a slot are shared by its passes and examples; without readings nothing is shown."""
    host, silent = FakeHost(), FakeHost()
    host.change("baseline", "slot", lambda reply: reply | {"energy_joule": 8.0})
    found = summary(lived(host, "offline", plan=SlotPlan(2)), "offline", plan=SlotPlan(2))

    assert found.baseline.joule_per_example == pytest.approx(8.0 / (2 * 40))
    assert found.candidate.joule_per_example is None
    assert summary(lived(silent)).baseline.joule_per_example is None


def test_inputs_without_tokens_have_no_token_rate() -> None:
    """A table or a picture is not made of tokens."""
    assert summary([life(0.0)], tokens_count=None).baseline.tokens_per_sec is None


def test_dropped_units_are_not_in_the_numbers_shown() -> None:
    """A disturbed unit's slow calls neither move the median nor enter the percentiles."""
    slow = Unit("ABBA", ((9.0,), (9.0,), (9.0,), (9.0,)), dropped="steal 5.0%")
    whole = life(0.0, dropped=(None, None, None))
    found = summary([dataclasses.replace(whole, units=(*whole.units, slow))])

    assert found.baseline.slot_sec == pytest.approx(0.1)
    # Two slots in each of the three units that count.
    assert [(one.call_count, one.high_sec) for one in found.baseline.percentiles] == [(6, 0.1)]
    assert found.dropped_unit_ratio == 0.25
    assert len(found.lives[0].units) == 4


def test_the_path_of_evidence_ends_where_the_summary_stands() -> None:
    """Each of its entries is what a summary of the lives so far says; a scenario without values has none."""
    logs = [-0.10, 0.02, -0.09, -0.11, -0.10, -0.13, -0.08]
    lives = [life(log) for log in logs]
    lives.insert(2, life(None, dropped=("steal 5.0%",) * 2))
    empty = summary([life(None, dropped=("steal 5.0%",) * 2)], "offline")
    (path,) = evidence_paths(comparison(summary(lives), empty))

    assert path.scenario == "single"
    assert path.speedup_ratios == pytest.approx([math.exp(-log) for log in logs])
    for count in range(1, len(logs) + 1):
        so_far = summary([life(log) for log in logs[:count]])

        assert path.estimate_ratios[count - 1] == pytest.approx(so_far.speedup_ratio.estimate)
        assert (path.low_ratios[count - 1] is None) == (so_far.speedup_ratio.low is None)
        assert path.log_evidence_faster[count - 1] == pytest.approx(math.log(so_far.evidence))
        assert path.log_evidence_slower[count - 1] == pytest.approx(
            decision.log_evidence(logs[:count], math.log1p(0.005))
        )
        assert path.log_evidence_no_regression[count - 1] == pytest.approx(
            decision.log_evidence([-log for log in logs[:count]], -math.log1p(0.03))
        )


def test_what_is_ruled_out_and_what_could_be_seen_are_none_until_lives_carry_them() -> None:
    """Too few lives rule out nothing; more say a share, and what so many of this noise can be expected to find."""
    early = summary([life(0.02), life(-0.02)])
    later = summary([life(log) for log in (0.08, -0.08, 0.06, -0.06, 0.04, -0.04, 0.02, -0.02)])

    assert (early.verdict, early.reached_mde_ratio, early.visible_effect_ratio) == ("INCONCLUSIVE", None, None)
    assert later.verdict == "INCONCLUSIVE"
    assert later.reached_mde_ratio is not None
    assert later.reached_mde_ratio > 0.03
    assert later.visible_effect_ratio == planning.visible_effect(
        sd_ratio=1.4826 * 0.05, lives_count=8, alpha=0.05, tolerance=0.005
    )


@pytest.mark.parametrize(
    ("reason", "named"),
    [
        ("steal 5.0%", "steal"),
        ("cpu pressure 60%, 1% when quiet", "cpu"),
        ("thermal throttling, 2 events", "thermal throttling"),
        ("GPU throttle reasons 0x40", "GPU"),
    ],
)
def test_a_disturbed_scenario_says_how_much_was_dropped_and_why(reason: str, named: str) -> None:
    """The reason for having no verdict is the machine, not the models; the most frequent one is named in words."""
    lives = [life(1.0, dropped=(None, reason)) for _ in range(8)] + [life(1.0, dropped=("io pressure 30%, 0%", None))]
    found = summary(lives)
    sentence = disturbed_sentence(found)

    assert is_disturbed(found)
    assert not is_disturbed(summary([life(1.0)] * 8))
    assert sentence.startswith("50 % of the units of single were disturbed (mostly ")
    assert named in sentence.partition("mostly ")[2].partition(")")[0]
    assert sentence.endswith("measure again on a quieter machine.")


def test_raw_slots_give_every_number_again() -> None:
    """From orders, samples and drop marks alone, plain arithmetic finds each life's value and the whole summary."""
    noise = np.random.default_rng(2)
    coins, agreed = random.Random(2), Agreed(plans={"single": SlotPlan(2)})
    host = FakeHost(noise=lambda: float(noise.normal(0, 0.05)), calls_count=5, cost_log=0.1)
    watch = FakeWatch([{}, STEAL, {}, {}, {}, {}, PRESSURE, {}])
    lives = [
        live(
            PAIR,
            (SCENARIOS["single"],),
            units_count=2,
            agreed=agreed,
            coins=coins,
            start_arm=host,
            watch=watch,
        ).by_scenario["single"]
        for _ in range(8)
    ]
    for one in lives:
        values = []
        for unit in one.units:
            logs = [math.log(np.median(samples_sec)) for samples_sec in unit.samples_sec]
            inner_minus_outer = (logs[1] + logs[2] - logs[0] - logs[3]) / 2
            if unit.dropped is None:
                values.append(inner_minus_outer if unit.order == "ABBA" else -inner_minus_outer)

        assert one.log_ratio == pytest.approx(np.mean(values))

    found = summary(lives, plan=SlotPlan(2))

    assert found.dropped_unit_ratio == 2 / 16
    assert summary(list(found.lives), plan=SlotPlan(2)) == found
