"""Unit economics against numbers that were reckoned by hand: 100 a second, 0.36 EUR an hour, half busy."""

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from perflib.governance.economics import cost_per_1000, count_instances, elastic_saving, price_run
from perflib.governance.ledger import Ledger
from perflib.results import Interval, ScenarioMeasurement
from perflib.results.governance import Finops, Price, PriceBook
from tests.ledgers import make_ledger
from tests.price_books import certain, price_book
from tests.synthetic_records import comparison, scenario

# Inferences of a month that are one a second on average: 730 hours of 3,600 seconds.
ONE_PER_SEC = 2_628_000
SOURCE = ("a test", "2026-01-01")
TWICE = Interval(2.0, 1.6, 2.5, 0.9)


def book(**change: Any) -> PriceBook:
    """Return a book with 100 inferences a second on average and 200 in the busiest hour, at 0.36 EUR an hour."""
    usual: dict[str, Any] = {
        "on_demand_per_hour": Price(0.36, *SOURCE),
        "reserved_per_hour": Price(0.18, *SOURCE),
        "inferences_per_month": certain(100 * ONE_PER_SEC),
        "peak_ratio": 2.0,
        "utilisation_ratio": 0.5,
        "least_instance_count": 1,
    }
    return price_book(**usual | change)


def ledger(folder: Path, ratio: Interval) -> Ledger:
    """Return a run whose baseline does 100 a second in throughput, and whose `int8` was timed with a ratio."""
    run = make_ledger(folder / "run")
    assert run.baseline is not None
    offline = ScenarioMeasurement("offline", ((1.28,),), 128, 1.28, 1.28, 100.0)
    single = ScenarioMeasurement("single", ((0.01,),), 1, 0.01, 0.01, 77.0)
    timed = comparison(scenario("single"), scenario("offline", speedup_ratio=ratio), name="int8")
    return dataclasses.replace(
        run,
        baseline=dataclasses.replace(run.baseline, scenarios=(single, offline)),
        comparisons={"int8": timed},
    )


def priced(folder: Path, ratio: Interval = TWICE, **change: Any) -> Finops:
    """Return the costs of that run with a changed book."""
    return price_run(ledger(folder, ratio), book(**change))


# --- unit cost ----------------------------------------------------------------------------------------------------


def test_a_thousand_inferences_cost_what_their_seconds_cost() -> None:
    """0.36 EUR an hour are 0.0001 a second; at 100 a second, half busy, 1,000 take 20 of them."""
    assert cost_per_1000(0.36, 100.0, 0.5) == pytest.approx(0.002, rel=1e-12)


def test_every_arm_is_priced_at_each_utilisation_and_both_ways_of_paying(tmp_path: Path) -> None:
    """30, 60 and 90 %, and the book's own 50 %."""
    baseline = priced(tmp_path).arms[0]
    costs = {(one.pricing, one.utilisation_ratio): one.per_1000_amount for one in baseline.unit_costs}

    assert sorted(used for way, used in costs if way == "reserved") == [0.3, 0.5, 0.6, 0.9]
    assert costs["on-demand", 0.3].estimate == pytest.approx(0.01 / 3, rel=1e-12)
    assert costs["on-demand", 0.6].estimate == pytest.approx(0.005 / 3, rel=1e-12)
    assert costs["on-demand", 0.9].estimate == pytest.approx(0.01 / 9, rel=1e-12)
    assert costs["reserved", 0.5].estimate == pytest.approx(0.001, rel=1e-12)
    assert (costs["on-demand", 0.3].low, costs["on-demand", 0.3].high) == (None, None)


def test_the_books_own_utilisation_is_not_listed_twice(tmp_path: Path) -> None:
    """Where it is one of the three."""
    baseline = priced(tmp_path, utilisation_ratio=0.6).arms[0]

    assert [one.utilisation_ratio for one in baseline.unit_costs] == [0.3, 0.6, 0.9] * 2


def test_the_low_cost_belongs_to_the_high_throughput(tmp_path: Path) -> None:
    """A ratio of 2.0 [1.6, 2.5] makes 200 [160, 250] a second, and 0.001 [0.0008, 0.00125] EUR."""
    arm = priced(tmp_path).arms[1]
    cost = next(one for one in arm.unit_costs if (one.pricing, one.utilisation_ratio) == ("on-demand", 0.5))

    assert arm.examples_per_sec == Interval(200.0, 160.0, 250.0, 0.9)
    assert cost.per_1000_amount.estimate == pytest.approx(0.001, rel=1e-12)
    assert cost.per_1000_amount.low == pytest.approx(0.0008, rel=1e-12)
    assert cost.per_1000_amount.high == pytest.approx(0.00125, rel=1e-12)


# --- instances ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("per_cent", range(1, 101))
def test_a_load_that_fits_exactly_needs_no_instance_more(per_cent: int) -> None:
    """0.29 times 100 is a little less than 29 in floats: that may not rent another instance."""
    for count in (1, 3, 7, 41):
        exact = book(
            inferences_per_month=certain(count * per_cent * ONE_PER_SEC),
            peak_ratio=1.0,
            utilisation_ratio=per_cent / 100,
        )
        more = dataclasses.replace(exact, inferences_per_month=certain((count * per_cent + 0.001) * ONE_PER_SEC))

        assert (count_instances(exact, 100.0), count_instances(more, 100.0)) == (count, count + 1)


def test_the_least_count_stands_whatever_the_traffic() -> None:
    """One instance would do, but one of two may fail."""
    assert count_instances(book(inferences_per_month=certain(1.0)), 100.0) == 1
    assert count_instances(book(inferences_per_month=certain(1.0), least_instance_count=2), 100.0) == 2


def test_instances_are_counted_for_the_middle_volume() -> None:
    """Not for the ends of its range, which the backlog's simulation has."""
    volume = dataclasses.replace(certain(100 * ONE_PER_SEC), p10=1.0, p90=1e12)

    assert count_instances(book(inferences_per_month=volume), 100.0) == 4


def test_a_month_is_730_hours_of_whole_instances(tmp_path: Path) -> None:
    """200 a second need 4 instances of 50, and 3 of 80: 4 · 730 · 0.36 and 3 · 730 · 0.36 EUR."""
    baseline, int8 = priced(tmp_path).arms

    assert (baseline.instance_count, int8.instance_count) == (4, 3)
    assert baseline.month_amount == pytest.approx(1051.2, rel=1e-12)
    assert int8.month_amount == pytest.approx(788.4, rel=1e-12)
    assert int8.saving_month_amount == pytest.approx(262.8, rel=1e-12)
    assert (baseline.saving_month_amount, baseline.elastic_saving_month_amount, baseline.realisable) == (None,) * 3


# --- savings ------------------------------------------------------------------------------------------------------


def test_the_elastic_saving_is_counted_at_the_lower_bound(tmp_path: Path) -> None:
    """262,800 thousands a month at 0.002 less 0.00125 EUR; the estimate would promise 262.8 EUR."""
    assert priced(tmp_path).arms[1].elastic_saving_month_amount == pytest.approx(197.1, rel=1e-12)
    assert elastic_saving(book(), 100.0, 50.0) == pytest.approx(-525.6, rel=1e-12)


def test_a_saving_is_realisable_where_whole_instances_give_it_back(tmp_path: Path) -> None:
    """262.8 EUR are not paid, 197.1 would not be by the second."""
    arm = priced(tmp_path).arms[1]

    assert arm.realisable == "yes"
    assert "4 instances with the baseline and 3 with int8: 1 need not be paid" in arm.realisable_sentence


def test_a_saving_is_partly_realisable_where_the_least_count_keeps_instances(tmp_path: Path) -> None:
    """1,000 a second need 20 instances, and 4 at five times the speed; 15 stay, so 5 · 262.8 of 4204.8 are saved."""
    arm = priced(
        tmp_path,
        Interval(5.0, 5.0, 5.0, 0.9),
        inferences_per_month=certain(1000 * ONE_PER_SEC),
        peak_ratio=1.0,
        least_instance_count=15,
    ).arms[1]

    assert arm.saving_month_amount == pytest.approx(1314.0, rel=1e-12)
    assert arm.elastic_saving_month_amount == pytest.approx(4204.8, rel=1e-12)
    assert arm.realisable == "partly"
    assert "20 instances with the baseline and 15 with int8 (at least 15 are kept): 5 need" in arm.realisable_sentence


def test_a_saving_equal_to_the_elastic_one_is_all_of_it(tmp_path: Path) -> None:
    """Flat traffic that fills whole instances before and after: both savings are the same sum."""
    arm = priced(
        tmp_path, Interval(2.0, 2.0, 2.0, 0.9), inferences_per_month=certain(400 * ONE_PER_SEC), peak_ratio=1.0
    ).arms[1]

    assert arm.saving_month_amount == pytest.approx(arm.elastic_saving_month_amount)
    assert arm.realisable == "yes"


def test_a_speed_up_that_gives_no_instance_back_saves_nothing(tmp_path: Path) -> None:
    """Four are kept whatever the speed; so are two where one and a quarter would do."""
    kept = priced(tmp_path / "kept", least_instance_count=4).arms[1]
    whole = priced(tmp_path / "whole", peak_ratio=1.0).arms[1]

    assert (kept.realisable, kept.saving_month_amount) == ("no", 0.0)
    assert "4 instances with the baseline and 4 with int8 (at least 4 are kept): none" in kept.realisable_sentence
    assert (whole.realisable, whole.saving_month_amount) == ("no", 0.0)
    assert "2 instances with the baseline and 2 with int8: none" in whole.realisable_sentence


def test_a_slower_candidate_costs_more(tmp_path: Path) -> None:
    """At half the speed 8 instances stand where 4 did, and nobody calls that a saving."""
    arm = priced(tmp_path, Interval(0.6, 0.5, 0.7, 0.9)).arms[1]

    assert arm.saving_month_amount == pytest.approx(-1051.2, rel=1e-12)
    assert arm.realisable == "no"
    assert "4 instances with the baseline and 8 with int8" in arm.realisable_sentence
    assert arm.realisable_sentence.endswith("nothing is saved, and 4 more would be paid.")


def test_a_ratio_without_bounds_claims_no_saving(tmp_path: Path) -> None:
    """Nobody knows yet how bad it may be."""
    arm = priced(tmp_path, Interval(2.0, None, None, 0.9)).arms[1]

    assert (arm.saving_month_amount, arm.elastic_saving_month_amount, arm.realisable) == (None, None, "no")
    assert "no bounds yet, so no saving is claimed" in arm.realisable_sentence
    assert "4 instances with the baseline and 2 with int8" in arm.realisable_sentence
    assert {one.per_1000_amount.low for one in arm.unit_costs} == {None}


# --- the whole run ------------------------------------------------------------------------------------------------


def test_the_baseline_comes_first_and_candidates_keep_their_order(tmp_path: Path) -> None:
    """Also those that may not be shipped: what they would cost is known."""
    run = make_ledger(tmp_path / "run")
    found = price_run(run, book())

    assert [one.name for one in found.arms] == ["baseline", "int8", "vocabulary", "bf16"]
    assert (found.run_id, found.currency, found.scenario) == (run.summary.run_id, "EUR", "offline")
    assert found.machine == run.summary.machine["hardware_class"]
    assert found.prices_sha256 == book().file_sha256
    assert Finops.from_dict(found.to_dict()) == found


def test_what_was_not_timed_in_throughput_is_named(tmp_path: Path) -> None:
    """Neither priced nor passed over in silence."""
    found = priced(tmp_path)

    assert [one.name for one in found.arms] == ["baseline", "int8"]
    assert "Not timed in offline, so not priced: vocabulary, bf16." in found.notes


def test_without_a_timed_baseline_there_is_no_price(tmp_path: Path) -> None:
    """A run of single calls only is no reason to stop, and none to guess."""
    run = dataclasses.replace(make_ledger(tmp_path / "run"), baseline=None)
    found = price_run(run, book())

    assert found.arms == ()
    assert "The baseline was not timed in offline, so nothing can be priced." in found.notes


def test_notes_tell_of_examples_and_of_another_machine(tmp_path: Path) -> None:
    """A price of two cores for what was timed on another count, or on a GPU, is no price."""
    run = ledger(tmp_path, TWICE)
    two_cores = {**run.summary.machine, "core_count": 2}

    def notes(**change: Any) -> str:
        machine = {**two_cores, "core_count": change.pop("core_count", 2)}
        params = {**run.summary.params, "device": change.pop("device", "cpu")}
        summary = dataclasses.replace(run.summary, machine=machine, params=params)
        return " ".join(price_run(dataclasses.replace(run, summary=summary), book(**change)).notes)

    assert "examples of ours" in notes(is_example=True)
    assert "examples of ours" not in notes()
    assert "timed on 8 cores, but made-up.large has 2" in notes(core_count=8)
    assert "cores" not in notes()
    assert "GPU" in notes(device="cuda")
    assert "GPU" not in notes()
