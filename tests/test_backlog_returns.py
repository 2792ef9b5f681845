"""Returns by simulation, held against what can be reckoned in the head or in closed form."""

import dataclasses
import math
from statistics import NormalDist
from typing import Any

import numpy as np
import pytest

from perflib.errors import DataError
from perflib.governance.backlog.returns import (
    Stake,
    annuity_months,
    can_be_priced,
    ratio_range,
    saving_month,
    simulate,
    spread,
)
from perflib.governance.backlog.tornado import tornado
from perflib.results import Interval
from perflib.results.governance import PriceBook, Range
from tests.price_books import certain, price_book

SURE_DOUBLE = Interval(2.0, 2.0, 2.0, 0.9)


def stake(ratio: Interval = SURE_DOUBLE, effort_days: Range | None = None, *, is_realisable: bool = True) -> Stake:
    """Return an item at 100 a second before, two days of work."""
    return Stake(ratio, effort_days or certain(2.0), 100.0, is_realisable)


def saved(volume: float, ratio: float, book: PriceBook, one: Stake | None = None) -> float:
    """Return the saving of one draw."""
    return float(saving_month(np.array([volume]), np.array([ratio]), one or stake(), book)[0])


# --- one draw -----------------------------------------------------------------------------------------------------


def test_without_any_doubt_every_quantile_is_the_sum_in_the_head() -> None:
    """Three instances become two, for 730 EUR a month, and two days of work cost 200 EUR once."""
    found = simulate(stake(), price_book(), seed=0)

    assert found.saving_month_amount == certain(730.0)
    assert found.one_off_amount == certain(200.0)
    assert found.roi_ratio == certain((12 * 730 - 200) / 200)
    assert found.npv_amount == certain(12 * 730 - 200)
    assert found.payback_months_p10 == found.payback_months_p50 == found.payback_months_p90 == 200 / 730
    assert found.chance_of_loss_ratio == 0.0
    assert (found.horizon_months, found.draw_count, found.seed) == (12, 10_000, 0)


def test_what_whole_instances_do_not_give_back_is_not_saved() -> None:
    """2.78 instances' work becomes 1.39: by the second that is 1,014 EUR, in whole instances 730 EUR."""
    assert saved(365e6, 2.0, price_book()) == 730.0


def test_where_instances_are_many_the_saving_is_volume_times_the_difference_of_unit_costs() -> None:
    """At twice the peak, whole instances give back more than the mean hour's work, and the formula counts."""
    book = price_book(peak_ratio=2.0)
    before, after = 1000 / (100 * 3600 * 0.5), 1000 / (200 * 3600 * 0.5)

    assert saved(365e8, 2.0, book) == pytest.approx(365e8 / 1000 * (before - after))


def test_a_single_instance_that_has_to_stay_saves_nothing() -> None:
    """Half of one machine cannot be given back, however fast the candidate is."""
    assert saved(1e6, 10.0, price_book()) == 0.0
    assert saved(365e6, 10.0, price_book(least_instance_count=3)) == 0.0


def test_an_instance_more_only_where_the_peak_passes_its_capacity() -> None:
    """At exactly two full instances a third is not needed; a hair above it is."""
    full = 2 * 50.0 * 730 * 3600

    assert saved(full, 2.0, price_book()) == pytest.approx(730.0)
    assert saved(full * 1.001, 1.001, price_book()) == pytest.approx(2.002 * 730 * (1 - 1 / 1.001), rel=1e-6)


def test_a_slower_candidate_costs_more() -> None:
    """At half the throughput six instances do what three did, and three more are paid."""
    assert saved(365e6, 0.5, price_book()) == -3 * 730


def test_what_is_not_realisable_saves_nothing_and_may_still_cost() -> None:
    """The cost record's no beats every draw; a loss stays one."""
    one = stake(is_realisable=False)

    assert saved(365e6, 2.0, price_book(), one) == 0.0
    assert saved(365e6, 0.5, price_book(), one) < 0
    found = simulate(one, price_book(), seed=0)
    assert found.roi_ratio == certain(-1.0)
    assert (found.payback_months_p10, found.payback_months_p90, found.chance_of_loss_ratio) == (None, None, 1.0)


def test_money_of_later_months_is_worth_less() -> None:
    """The sum of a geometric series, in closed form."""
    one = price_book(discount_per_year_ratio=0.08, horizon_months=24)
    month = 1.08 ** (-1 / 12)

    assert annuity_months(one) == pytest.approx(month * (1 - month**24) / (1 - month), rel=1e-12)
    assert annuity_months(price_book()) == 12.0
    found = simulate(stake(), one, seed=0)
    assert found.npv_amount.p50 == pytest.approx(730 * annuity_months(one) - 200)


# --- draws --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("expected", [Range(1.0, 2.0, 8.0), Range(3.0, 3.0, 4.0), Range(0.1, 9.0, 9.5)])
def test_draws_have_exactly_the_quantiles_that_were_given(expected: Range) -> None:
    """At the normal quantiles of 10, 50 and 90 %, whatever the skew; in many draws nearly."""
    z = np.array([NormalDist().inv_cdf(share) for share in (0.1, 0.5, 0.9)])
    many = spread(expected, np.random.default_rng(1).standard_normal(200_000))

    assert spread(expected, z) == pytest.approx([expected.p10, expected.p50, expected.p90])
    assert np.quantile(many, (0.1, 0.5, 0.9)) == pytest.approx([expected.p10, expected.p50, expected.p90], rel=0.02)
    assert (many > 0).all()


def test_a_lower_bound_at_90_percent_is_the_5_percent_quantile_of_the_ratio() -> None:
    """And the upper bound the 95 % quantile; at 98 % they are the hundredths."""
    for level, share in ((0.9, 0.05), (0.98, 0.01)):
        z = NormalDist().inv_cdf(share)
        drawn = spread(ratio_range(Interval(2.0, 1.6, 2.2, level)), np.array([z, -z]))

        assert drawn == pytest.approx([1.6, 2.2])


def test_a_symmetric_doubt_in_effort_gives_the_quantiles_of_roi_in_closed_form() -> None:
    """ROI falls with effort, so its P10 belongs to the effort's P90, and the middle is the middle's."""
    found = simulate(stake(effort_days=Range(1.0, 2.0, 4.0)), price_book(), seed=3, draw_count=100_000)

    for seen, days in ((found.roi_ratio.p90, 1), (found.roi_ratio.p50, 2), (found.roi_ratio.p10, 4)):
        assert seen == pytest.approx((12 * 730 - 100 * days) / (100 * days), rel=0.02)
    assert found.payback_months_p90 == pytest.approx(400 / 730, rel=0.02)


def test_the_chance_of_a_loss_is_the_share_of_efforts_that_cost_too_much() -> None:
    """A one-off of a whole horizon's saving is the P90 of effort, so one draw in ten loses."""
    found = simulate(stake(effort_days=Range(10.0, 30.0, 87.6)), price_book(), seed=5, draw_count=100_000)

    assert found.chance_of_loss_ratio == pytest.approx(0.1, abs=0.005)


def test_a_payback_that_may_never_come_has_no_p90() -> None:
    """A ratio whose P10 is no gain at all gives nothing back in the bad case, and something in the good one."""
    found = simulate(stake(Interval(2.0, 1.0, 4.0, 0.8)), price_book(), seed=0)

    assert found.payback_months_p90 is None
    assert found.payback_months_p10 is not None


def test_the_same_seed_gives_the_same_return_and_another_one_another() -> None:
    """Nothing else is random."""
    one = stake(Interval(2.0, 1.9, 2.1, 0.9), Range(1.0, 2.0, 5.0))
    book = price_book(inferences_per_month=Range(2e8, 4e8, 9e8))

    assert simulate(one, book, seed=7) == simulate(one, book, seed=7)
    assert simulate(one, book, seed=7).roi_ratio != simulate(one, book, seed=8).roi_ratio


def test_all_items_see_the_same_volumes() -> None:
    """Where ratio and effort are certain, the item with twice the work has exactly twice the one-off in every case."""
    book = price_book(inferences_per_month=Range(2e8, 4e8, 9e8))
    short, long = simulate(stake(), book, seed=1), simulate(stake(effort_days=certain(4.0)), book, seed=1)

    assert short.saving_month_amount == long.saving_month_amount
    assert short.roi_ratio.p10 + 1 == pytest.approx(2 * (long.roi_ratio.p10 + 1))


@pytest.mark.parametrize(
    "ratio",
    [
        Interval(2.0, 2.1, 2.2, 0.9),
        Interval(2.0, 0.0, 2.2, 0.9),
        Interval(2.0, 1.0, 1.9, 0.9),
        Interval(2.0, 1.9, 2.1, 1.0),
    ],
)
def test_bounds_that_do_not_hold_their_estimate_are_refused(ratio: Interval) -> None:
    """A record that was tampered with gives one sentence and no number."""
    with pytest.raises(DataError, match="no interval that holds its own estimate"):
        simulate(stake(ratio), price_book(), seed=0)


def test_only_a_ratio_with_both_bounds_can_be_priced() -> None:
    """Without a lower bound there is no bad case."""
    assert can_be_priced(SURE_DOUBLE)
    assert not can_be_priced(None)
    assert not can_be_priced(Interval(2.0, None, 2.1, 0.9))
    assert not can_be_priced(Interval(2.0, 1.9, None, 0.9))


# --- tornado ------------------------------------------------------------------------------------------------------


def test_a_tornado_moves_one_assumption_at_a_time() -> None:
    """Each end is the ROI of a book in which this number alone is another; the widest bar stands first."""
    ratio = Interval(2.0, 1.5, 2.5, 0.9)
    book = price_book(inferences_per_month=Range(2e8, 365e6, 9e8), peak_ratio=3.0)
    bars = {bar.assumption: bar for bar in tornado(stake(ratio, Range(1.0, 2.0, 4.0)), book)}
    widths = [abs(bar.roi_at_high_ratio - bar.roi_at_low_ratio) for bar in bars.values()]

    def roi(days: float = 2.0, ratio: float = 2.0, **change: Any) -> float:
        sure = price_book(inferences_per_month=certain(365e6), peak_ratio=3.0)
        return (12 * saved(365e6, ratio, dataclasses.replace(sure, **change)) - 100 * days) / (100 * days)

    assert widths == sorted(widths, reverse=True)
    assert bars["effort"].roi_at_low_ratio == pytest.approx(roi(days=1.0))
    assert bars["effort"].roi_at_high_ratio == pytest.approx(roi(days=4.0))
    assert bars["utilisation"].roi_at_low_ratio == pytest.approx(roi(utilisation_ratio=0.3))
    assert bars["utilisation"].roi_at_high_ratio == pytest.approx(roi(utilisation_ratio=0.9))
    assert bars["ratio"].roi_at_low_ratio == pytest.approx(roi(ratio=ratio_range(ratio).p10))
    assert bars["price"].roi_at_high_ratio == pytest.approx(roi())
    assert (bars["price"].low_value, bars["price"].high_value) == (0.6, 1.0)
    assert (bars["volume"].low_value, bars["volume"].high_value) == (2e8, 9e8)


def test_a_tornado_of_what_saves_nothing_does_not_move() -> None:
    """Every end is a full loss; equals stand by name."""
    bars = tornado(stake(is_realisable=False), price_book())

    assert [bar.assumption for bar in bars] == ["effort", "price", "ratio", "utilisation", "volume"]
    assert {(bar.roi_at_low_ratio, bar.roi_at_high_ratio) for bar in bars} == {(-1.0, -1.0)}


def test_the_p10_of_a_ratio_lies_between_bound_and_estimate() -> None:
    """By the ratio of normal quantiles, on the scale of factors."""
    found = ratio_range(Interval(2.0, 1.0, 4.0, 0.9))
    share = NormalDist().inv_cdf(0.9) / NormalDist().inv_cdf(0.95)

    assert math.log2(found.p50 / found.p10) == pytest.approx(share)
    assert found.p10 * found.p90 == pytest.approx(4.0)
