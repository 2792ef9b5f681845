"""Secondary metrics: a real difference is found under e-BH, none is claimed for equal arms, and gaps are left out."""

import math
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats

from perflib.benchmarking import decision
from perflib.benchmarking.lives import Agreed, LivedLife, Pair, live
from perflib.benchmarking.metrics import FALSE_DISCOVERY_RATIO, compare_metrics
from perflib.benchmarking.scenarios import SlotPlan, get_scenarios
from perflib.results import MetricComparison
from tests.fake_arms import STEAL, FakeHost, FakeWatch, Reply

PAIR = Pair(Path("a"), Path("b"), Path("inputs.npz"))


def lived(
    host: FakeHost, count: int = 12, *, names: tuple[str, ...] = ("single",), watch: Any = None, seed: int = 0
) -> list[LivedLife]:
    """Live so often."""
    coins, watch = random.Random(seed), watch or FakeWatch()
    agreed = Agreed(plans={name: SlotPlan(1) for name in names})
    return [
        live(
            PAIR,
            get_scenarios(names),
            units_count=2,
            agreed=agreed,
            coins=coins,
            start_arm=host,
            watch=watch,
        )
        for _ in range(count)
    ]


def compared(lives: list[LivedLife]) -> dict[str, MetricComparison]:
    """Compare at the usual settings, by name."""
    return {one.metric: one for one in compare_metrics(lives, alpha=0.05, tolerance=0.005)}


def setting(**values: Any) -> Callable[[Reply], Reply]:
    """Return a change that puts values into a reply."""
    return lambda reply: reply | values


def test_equal_arms_get_no_claim_and_a_ratio_of_one() -> None:
    """Memory, loading and the tail are compared, energy that nobody reads is not, and nothing is claimed."""
    found = compared(lived(FakeHost()))

    assert list(found) == ["peak memory", "load time", "95 % of calls, single"]
    for one in found.values():
        assert one.finding == "no claim"
        assert one.ratio.estimate == pytest.approx(1.0)
        assert one.evidence_less < 1
        assert one.evidence_more < 1


@pytest.mark.parametrize(("peak_bytes", "finding"), [(700, "less"), (1300, "more")])
def test_a_real_difference_in_memory_is_found(peak_bytes: int, finding: str) -> None:
    """Twelve lives at 30 % less or more are enough among six claims; the other metrics stay without one."""
    host = FakeHost()
    host.change("candidate", "stop", setting(peak_rss_bytes=peak_bytes))
    found = compared(lived(host))
    memory = found.pop("peak memory")

    assert memory.finding == finding
    assert memory.ratio.estimate == pytest.approx(peak_bytes / 1000)
    assert memory.ratio.low is not None
    assert memory.ratio.high is not None
    assert memory.ratio.low <= peak_bytes / 1000 <= memory.ratio.high
    assert memory.ratio.level_ratio == 0.9
    assert {one.finding for one in found.values()} == {"no claim"}


def test_a_difference_below_the_tolerance_is_no_finding() -> None:
    """Four per mille less memory in every life is no change worth a claim."""
    host = FakeHost()
    host.change("candidate", "stop", setting(peak_rss_bytes=996))

    assert compared(lived(host, 30))["peak memory"].finding == "no claim"


def test_device_memory_load_time_and_energy_are_compared_where_they_are_known() -> None:
    """A GPU's memory, the time to load and the joules of both scenarios each get their ratio, candidate by baseline."""
    host = FakeHost()
    for label, factor in (("baseline", 1.0), ("candidate", 0.5)):
        host.change(label, "stop", setting(peak_device_bytes=int(4000 * factor)))
        host.change(label, "load", setting(load_sec=1.6 / factor))
        host.change(label, "slot", setting(energy_joule=3.0 * factor))
    found = compared(lived(host, names=("single", "offline")))

    assert {name: round(one.ratio.estimate, 6) for name, one in found.items()} == {
        "peak memory": 1.0,
        "peak GPU memory": 0.5,
        "load time": 2.0,
        "95 % of calls, single": 1.0,
        "energy, single": 0.5,
        "energy, offline": 0.5,
    }
    assert {name: one.finding for name, one in found.items() if one.finding != "no claim"} == {
        "peak GPU memory": "less",
        "load time": "more",
        "energy, single": "less",
        "energy, offline": "less",
    }


def test_a_slow_tail_is_found_though_the_median_call_is_the_same() -> None:
    """One call in ten that takes three times as long moves the 95th percentile and nothing else."""
    host = FakeHost(calls_count=20)
    host.change("candidate", "slot", lambda reply: reply | {"samples_sec": [*reply["samples_sec"][:18], 0.03, 0.03]})
    lives = lived(host)
    tail = compared(lives)["95 % of calls, single"]

    assert tail.finding == "more"
    assert tail.ratio.estimate == pytest.approx(3.0)
    assert [one.by_scenario["single"].log_ratio for one in lives] == pytest.approx([0.0] * 12)


def test_only_calls_that_come_one_by_one_have_a_tail() -> None:
    """A total and a server's rate are one number a slot."""
    assert list(compared(lived(FakeHost(), names=("offline", "server")))) == ["peak memory", "load time"]


@pytest.mark.parametrize("label", ["baseline", "candidate"])
@pytest.mark.parametrize(
    ("op", "gap", "name"),
    [
        ("stop", {"peak_rss_bytes": None}, "peak memory"),
        ("slot", {"energy_joule": None}, "energy, single"),
        ("load", {"load_sec": 0.0}, "load time"),
    ],
)
def test_a_metric_that_one_life_lacks_is_left_out(label: Any, op: str, gap: dict[str, Any], name: str) -> None:
    """It was not measured alike in all lives; the others stay."""
    host = FakeHost()
    for each in ("baseline", "candidate"):
        host.change(each, "slot", setting(energy_joule=2.0))  # type: ignore[arg-type]
    whole = set(compared(lived(host, 4)))
    host = FakeHost()
    for each in ("baseline", "candidate"):
        host.change(each, "slot", setting(energy_joule=2.0))  # type: ignore[arg-type]
    host.change(label, op, setting(**gap), life=3)

    assert set(compared(lived(host, 4))) == whole - {name}


def test_energy_that_one_slot_lacks_is_left_out() -> None:
    """Half a sum would look like less energy."""
    host, slots = FakeHost(), iter(range(1000))
    host.change("baseline", "slot", setting(energy_joule=2.0))
    host.change("candidate", "slot", lambda reply: reply | {"energy_joule": None if next(slots) == 5 else 2.0})

    assert "energy, single" not in compared(lived(host, 4))


def test_lives_without_units_do_not_count_for_what_units_show() -> None:
    """Tail and energy come from the other lives; memory and loading are of the process and count in all."""
    host = FakeHost(calls_count=20)
    host.change("candidate", "slot", setting(energy_joule=9.0))
    host.change("baseline", "slot", setting(energy_joule=3.0))
    # Of the second life both units are disturbed, and its energy would say the opposite.
    host.change("candidate", "slot", setting(energy_joule=1.0), life=2)
    lives = lived(host, 12, watch=FakeWatch([{}, {}, STEAL, STEAL]))
    found = compared(lives)

    def evidence_more(ratio: float, count: int) -> float:
        return math.exp(decision.log_evidence([math.log(ratio)] * count, math.log1p(0.005)))

    assert lives[1].by_scenario["single"].log_ratio is None
    assert found["energy, single"].evidence_more == pytest.approx(evidence_more(3.0, 11))
    assert found["load time"].evidence_more == pytest.approx(evidence_more(1.0, 12))


def test_dropped_units_of_a_life_do_not_count_either() -> None:
    """Tail and energy of a life come from its counted units alone."""
    host, joules = FakeHost(), iter([9.0, 9.0, 500.0, 500.0])
    host.change("candidate", "slot", lambda reply: reply | {"energy_joule": next(joules)})
    host.change("baseline", "slot", setting(energy_joule=3.0))
    found = compared(lived(host, 1, watch=FakeWatch([{}, STEAL])))

    assert found["energy, single"].ratio.estimate == pytest.approx(3.0)


def test_without_any_life_there_is_nothing_to_compare() -> None:
    """No metric is made up."""
    assert compare_metrics([], alpha=0.05, tolerance=0.005) == ()


def test_what_stands_is_decided_together() -> None:
    """A difference that would stand alone does not where it is one claim of many: the bar rises with their number."""
    host = FakeHost()
    host.change("candidate", "stop", setting(peak_rss_bytes=700))
    (memory, *others) = compare_metrics(lived(host, 6), alpha=0.05, tolerance=0.005)
    claims_count = 2 * (1 + len(others))

    assert 1 / FALSE_DISCOVERY_RATIO < memory.evidence_less < claims_count / FALSE_DISCOVERY_RATIO
    assert memory.finding == "no claim"


def test_equal_arms_seldom_get_a_claim() -> None:
    """In 200 comparisons of equal arms whose memory, loading and tail vary, claims stay within the bound of 5 %."""
    chance = np.random.default_rng(3)
    with_claims = 0
    for seed in range(200):
        host = FakeHost(noise=lambda: float(0.05 * chance.standard_t(3)))
        for label in ("baseline", "candidate"):
            host.change(label, "stop", lambda reply: reply | {"peak_rss_bytes": int(1e6 * chance.lognormal(0, 0.2))})  # type: ignore[arg-type]
            host.change(label, "load", lambda reply: reply | {"load_sec": float(chance.lognormal(0, 0.3))})  # type: ignore[arg-type]
        with_claims += any(one.finding != "no claim" for one in compared(lived(host, 8, seed=seed)).values())

    assert with_claims <= stats.binom.ppf(0.999, 200, FALSE_DISCOVERY_RATIO)
