"""Tests for what a stage's observations lead to, at the borders."""

import dataclasses
import itertools
from collections.abc import Mapping
from fractions import Fraction
from math import comb

import pytest

from perflib.governance.rollout.rules import Seen, Watched, breached_gate, decide, holding_gates
from perflib.governance.rollout.thresholds import AGREEMENT, ERRORS, LATENCY, SHIFT, make_gates
from perflib.results.governance import RolloutStage

STAGE = RolloutStage("half", 0.5, 0.2, 1800.0, 1000, make_gates(disagreement_limit_ratio=0.02))
GOOD, BAD, NOTHING = Seen(0, 1000, 1.0), Seen(40, 1000, 0.001), Seen(0, 0, 1.0)
METRICS = (ERRORS, AGREEMENT, LATENCY, SHIFT)


def watched(windows: Mapping[str, tuple[Seen, ...]] | None = None, *, elapsed_sec: float = 1800.0) -> Watched:
    """Return a stage of good windows, but for those named; the whole stage is good."""
    shown = {**dict.fromkeys(METRICS, (GOOD, GOOD)), **(windows or {})}
    return Watched(elapsed_sec, shown, dict.fromkeys(METRICS, GOOD))


def test_a_healthy_stage_advances_at_its_least_time_and_not_a_second_before() -> None:
    """Time counts from the begin of the stage, and the border belongs to the stage's end."""
    assert decide(STAGE, watched()) == "advance"
    assert decide(STAGE, watched(elapsed_sec=1799.999)) == "hold"


@pytest.mark.parametrize("metric", METRICS)
def test_two_breaches_in_a_row_send_everybody_back_whatever_the_metric(metric: str) -> None:
    """One is a hiccup and holds; two that are apart are two hiccups."""
    assert decide(STAGE, watched({metric: (GOOD, BAD)})) == "hold"
    assert decide(STAGE, watched({metric: (BAD, GOOD, BAD)})) == "hold"
    assert decide(STAGE, watched({metric: (GOOD, BAD, BAD)})) == "roll back"
    assert decide(STAGE, watched({metric: (BAD,)})) == "hold"


def test_breaches_that_are_over_send_nobody_back() -> None:
    """The last window decides; what was broken is still seen in the stage as a whole."""
    assert decide(STAGE, watched({ERRORS: (BAD, BAD, GOOD)})) == "advance"


def test_going_back_does_not_wait_for_the_least_time() -> None:
    """A stage of 30 minutes is left after two windows of five."""
    assert decide(STAGE, watched({ERRORS: (BAD, BAD)}, elapsed_sec=600.0)) == "roll back"


@pytest.mark.parametrize("metric", METRICS)
def test_missing_data_holds_and_breaks_no_limit(metric: str) -> None:
    """No window, an empty one, and an empty one between two breaches."""
    assert decide(STAGE, watched({metric: ()})) == "hold"
    assert decide(STAGE, watched({metric: (GOOD, NOTHING)})) == "hold"
    assert decide(STAGE, watched({metric: (BAD, NOTHING)})) == "hold"
    assert decide(STAGE, watched({metric: (BAD, NOTHING, BAD)})) == "hold"


def test_a_metric_that_nobody_reports_holds() -> None:
    """A gate that is absent from what was seen is missing data too."""
    seen = {metric: GOOD for metric in METRICS if metric != SHIFT}
    partly = Watched(1800.0, {metric: (one,) for metric, one in seen.items()}, seen)

    assert decide(STAGE, partly) == "hold"
    assert [gate.metric for gate in holding_gates(STAGE, partly)] == [SHIFT]


def test_too_few_requests_hold_up_to_the_border() -> None:
    """Every gate has to see the least number of requests, over the whole stage."""
    for count, expected in ((999, "hold"), (1000, "advance")):
        seen = watched()
        seen = dataclasses.replace(seen, whole={**seen.whole, AGREEMENT: Seen(0, count, 1.0)})

        assert decide(STAGE, seen) == expected


def test_a_stage_that_is_bad_as_a_whole_holds() -> None:
    """A slow leak is in no single window."""
    seen = watched()
    seen = dataclasses.replace(seen, whole={**seen.whole, ERRORS: BAD})

    assert decide(STAGE, seen) == "hold"


def test_the_gate_that_sends_everybody_back_is_named() -> None:
    """The first in the order of the plan; none where nothing is broken."""
    seen = watched({AGREEMENT: (BAD, BAD), LATENCY: (BAD, BAD)})
    gate = breached_gate(STAGE, seen)

    assert gate is not None
    assert gate.metric == AGREEMENT
    assert breached_gate(STAGE, watched()) is None


def test_a_gate_may_ask_for_more_breaches() -> None:
    """The number of windows is the gate's own."""
    patient = dataclasses.replace(STAGE.gates[0], breach_count=3)
    stage = dataclasses.replace(STAGE, gates=(patient,))

    assert decide(stage, watched({ERRORS: (BAD, BAD)})) == "hold"
    assert decide(stage, watched({ERRORS: (BAD, BAD, BAD)})) == "roll back"


def test_chance_at_exactly_one_in_a_hundred_is_no_breach() -> None:
    """The border belongs to the candidate."""
    assert not Seen(5, 100, 0.01).is_breach
    assert Seen(5, 100, 0.00999).is_breach


@pytest.mark.parametrize(("bad", "count", "limit"), [(0, 5, 1), (1, 5, 1), (2, 8, 1), (3, 10, 2), (33, 1689, 1)])
def test_a_share_is_judged_by_the_exact_binomial_tail(bad: int, count: int, limit: int) -> None:
    """The same probability, summed in whole numbers; the limit is in hundredths."""
    share = Fraction(limit, 100)
    tail = sum(comb(count, k) * share**k * (1 - share) ** (count - k) for k in range(bad, count + 1))

    seen = Seen.of_share(bad, count, limit_ratio=limit / 100)

    assert seen.chance_ratio == pytest.approx(float(tail), rel=1e-9)
    assert seen.is_breach == (tail < Fraction(1, 100))


def test_the_tail_is_judged_by_counting_all_orders() -> None:
    """Of five and four times that are alike, how often do the longest ones belong to the candidate?"""
    baseline_sec, candidate_sec = [1.0, 2.0, 3.0, 4.0, 5.0], [9.0, 8.0, 0.5, 0.4]
    orders = list(itertools.combinations(range(9), 4))  # the candidate's places, the longest first
    extreme = sum(set(order) >= {0, 1} for order in orders)

    seen = Seen.of_tail(candidate_sec, baseline_sec, factor_ratio=1.0)

    assert (seen.bad_count, seen.request_count) == (2, 4)
    assert seen.chance_ratio == pytest.approx(extreme / len(orders))


def test_the_tail_of_many_is_counted_from_the_second_longest() -> None:
    """Of 100 times, one lies beyond the 99th percentile: the limit is the second longest, and the factor's border."""
    baseline_sec = [9.0, 2.0] + [1.0] * 98

    assert Seen.of_tail([2.2, 2.2], baseline_sec, factor_ratio=1.1).bad_count == 0
    both = Seen.of_tail([2.21, 9.5], baseline_sec, factor_ratio=1.1)
    assert both.bad_count == 2
    # Both are among the three longest of 102 in 3 of the 5,151 ways to place two.
    assert both.chance_ratio == pytest.approx(comb(3, 2) / comb(102, 2))


def test_a_tail_needs_both_arms() -> None:
    """Without times of the baseline, or of the candidate, nothing is seen."""
    assert Seen.of_tail([1.0], [], factor_ratio=1.1).is_missing
    assert Seen.of_tail([], [1.0], factor_ratio=1.1).is_missing
