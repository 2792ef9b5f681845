"""Carbon against numbers that were reckoned by hand: 100 W busy, 50 W idle, half busy, 300 g/kWh, PUE 1.5."""

import dataclasses
from pathlib import Path

import pytest

from perflib.governance.carbon import estimate_carbon
from perflib.governance.ledger import Ledger
from perflib.results import Interval
from perflib.results.governance import ArmCarbon, Carbon, PowerModel, Range
from tests.ledgers import make_ledger
from tests.price_books import arm_cost, certain, finops, price_book
from tests.synthetic_records import comparison, scenario, timing


def metered(run: Ledger, **joules: tuple[float | None, float | None]) -> Ledger:
    """Return a run whose comparisons metered so many joules an example, baseline and candidate."""
    comparisons = {
        name: comparison(
            # What single calls took is of another scenario.
            scenario("single", baseline=timing(joule_per_example=99.0), candidate=timing(joule_per_example=99.0)),
            scenario(
                "offline",
                baseline=timing(joule_per_example=baseline),
                candidate=timing(joule_per_example=candidate),
            ),
            name=name,
        )
        for name, (baseline, candidate) in joules.items()
    }
    return dataclasses.replace(run, comparisons=comparisons)


def arm(carbon: Carbon, name: str) -> ArmCarbon:
    """Return one arm."""
    return next(one for one in carbon.arms if one.name == name)


def test_modelled_energy_counts_busy_and_idle_seconds(tmp_path: Path) -> None:
    """1,000 at 100 a second: 10 s of 100 W and 10 s of 50 W, times 1.5, are 2,250 J or 0.000625 kWh, 0.1875 g."""
    one = arm(estimate_carbon(make_ledger(tmp_path / "run"), finops(), price_book()), "baseline")

    assert not one.is_metered
    assert one.energy_kwh.p50 == pytest.approx(0.000625, rel=1e-12)
    assert one.operational_gram.p50 == pytest.approx(0.1875, rel=1e-12)


def test_embodied_carbon_is_the_share_of_a_lifetime(tmp_path: Path) -> None:
    """The instance is ours for 20 s of 4 · 8,760 · 3,600 = 126,144,000 s, and a ton was emitted: 0.158549 g."""
    one = arm(estimate_carbon(make_ledger(tmp_path / "run"), finops(), price_book()), "baseline")

    assert one.embodied_gram.p50 == pytest.approx(20e6 / 126_144_000, rel=1e-12)
    assert one.score_gram.p50 == pytest.approx(0.1875 + 0.158549, abs=1e-6)


def test_full_use_has_no_idle_reserve(tmp_path: Path) -> None:
    """Then only 10 s count, 1,500 J."""
    one = arm(
        estimate_carbon(make_ledger(tmp_path / "run"), finops(), price_book(utilisation_ratio=1.0)),
        "baseline",
    )

    assert one.energy_kwh.p50 == pytest.approx(1500 / 3.6e6, rel=1e-12)


def test_low_takes_every_low_end_and_the_high_throughput(tmp_path: Path) -> None:
    """At 250 a second 4 s of 60 W and 4 s of 30 W; at 160 a second 6.25 s of 200 W and 6.25 s of 80 W."""
    power = PowerModel(
        idle_watt=Range(30.0, 50.0, 80.0),
        full_watt=Range(60.0, 100.0, 200.0),
        grid_gram_per_kwh=Range(100.0, 300.0, 600.0),
        embodied_gram=Range(1e5, 1e6, 2e6),
        lifetime_years=4.0,
        pue_ratio=1.0,
        source="nobody",
        date="2026-01-01",
    )
    costs = finops(arm_cost("int8", examples_per_sec=Interval(200.0, 160.0, 250.0, 0.9)))
    one = arm(estimate_carbon(make_ledger(tmp_path / "run"), costs, price_book(power=power)), "int8")

    assert one.energy_kwh.p10 == pytest.approx(360 / 3.6e6, rel=1e-12)
    assert one.energy_kwh.p50 == pytest.approx(750 / 3.6e6, rel=1e-12)
    assert one.energy_kwh.p90 == pytest.approx(1750 / 3.6e6, rel=1e-12)
    assert one.operational_gram.p10 == pytest.approx(0.01, rel=1e-12)
    assert one.operational_gram.p90 == pytest.approx(1750 * 600 / 3.6e6, rel=1e-12)
    assert one.embodied_gram.p10 == pytest.approx(1e5 * 8 / 126_144_000, rel=1e-12)
    assert one.embodied_gram.p90 == pytest.approx(2e6 * 12.5 / 126_144_000, rel=1e-12)
    assert one.score_gram.p90 == pytest.approx(one.operational_gram.p90 + one.embodied_gram.p90, rel=1e-12)


def test_metered_energy_stands_for_the_busy_seconds(tmp_path: Path) -> None:
    """4 J an example are 4,000 J, and 500 J of idle reserve come to them: 6,750 J at the wall."""
    run = metered(make_ledger(tmp_path / "run"), int8=(4.0, 1.0))
    found = estimate_carbon(run, finops(arm_cost("int8")), price_book())

    assert [one.is_metered for one in found.arms] == [True, True]
    assert arm(found, "baseline").energy_kwh == certain(6750 / 3.6e6)
    # 200 [190, 210] a second: 5 s of 50 W in the middle.
    assert arm(found, "int8").energy_kwh.p50 == pytest.approx(1250 * 1.5 / 3.6e6, rel=1e-12)
    assert "metered by the processor's or GPU's own counters" in found.method


def test_the_baselines_energy_is_the_median_of_its_comparisons(tmp_path: Path) -> None:
    """Each candidate was timed beside it; those that no meter saw do not count."""
    run = metered(make_ledger(tmp_path / "run"), int8=(4.0, 1.0), vocabulary=(6.0, 1.0), bf16=(None, None))
    found = estimate_carbon(run, finops(), price_book())

    assert arm(found, "baseline").energy_kwh.p50 == pytest.approx((5000 + 500) * 1.5 / 3.6e6, rel=1e-12)
    assert [one.name for one in found.arms if not one.is_metered] == ["bf16"]
    assert "modelled for bf16" in found.method
    assert "do not compare" in found.method


def test_words_say_what_is_inside_and_that_it_is_an_estimate(tmp_path: Path) -> None:
    """A score without its boundary and its method is no SCI."""
    found = estimate_carbon(make_ledger(tmp_path / "run"), finops(), price_book())

    assert found.boundary.startswith("Inside: ")
    assert "Outside: " in found.boundary
    for words in ("SCI 1.1", "per 1,000 inferences", "estimate", "50 % busy", "location-based", "without certificates"):
        assert words in found.method
    assert (found.run_id, found.prices_sha256, found.is_example) == ("run", price_book().file_sha256, False)
    assert Carbon.from_dict(found.to_dict()) == found


def test_without_priced_arms_there_is_no_carbon(tmp_path: Path) -> None:
    """A run of single calls only."""
    costs = dataclasses.replace(finops(), arms=())

    assert estimate_carbon(make_ledger(tmp_path / "run"), costs, price_book(is_example=True)).arms == ()
