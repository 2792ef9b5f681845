"""Outcomes: what a measurement makes of a prediction, at the borders and on both sides of them."""

import math

import pytest

from perflib.profiling.outcomes import NO_GAIN_RATIO, settle, verdict
from perflib.results import Finding, Findings, Interval, Prediction
from perflib.sentences.findings import findings_sentence, outcomes_sentence, promise_sentence
from tests.synthetic_records import comparison, scenario

SHA = "0" * 64


def finding(rule: str = "unfused", ratio: float = 2.0, *, experiment: str = "aotinductor") -> Finding:
    """Make a finding of this price."""
    return Finding(rule, "offline", f"{rule} takes time.", "half of it", 0.5, None, ratio, "it holds", experiment, ())


def findings(*some: Finding) -> Findings:
    """Make the findings of the artifact that the synthetic comparisons start from."""
    return Findings("baseline", SHA, "two-cores", some)


def interval(low: float | None, high: float | None) -> Interval:
    """Make a measured ratio; without bounds there was too little to measure."""
    return Interval(1.5, low, high, 0.9)


ROOT = math.sqrt(2.0)


@pytest.mark.parametrize(
    ("predicted", "low", "high", "expected"),
    [
        (2.0, ROOT, 1.6, "confirmed"),
        (2.0, ROOT - 1e-9, 1.6, "undecided"),
        (2.0, 1.2, ROOT - 1e-9, "refuted"),
        (2.0, 1.2, ROOT, "undecided"),
        (2.0, 3.0, 4.0, "confirmed"),
        (2.0, 0.5, 0.6, "refuted"),
        (2.0, None, None, "undecided"),
        (2.0, 3.0, None, "undecided"),
        (1.0, 0.9, NO_GAIN_RATIO - 1e-9, "confirmed"),
        (1.0, 0.9, NO_GAIN_RATIO, "undecided"),
        (1.0, NO_GAIN_RATIO, 1.2, "refuted"),
        (1.0, NO_GAIN_RATIO - 1e-9, 1.2, "undecided"),
        (1.0, None, None, "undecided"),
    ],
)
def test_a_prediction_is_judged_by_both_bounds(
    predicted: float, low: float | None, high: float | None, expected: str
) -> None:
    """Half of the gain on the log scale is the border of a hope, a twentieth that of no hope."""
    assert verdict(predicted, interval(low, high)) == expected


def test_a_finding_meets_the_comparison_of_its_experiment_in_its_scenario() -> None:
    """The other scenario is faster by far and does not count."""
    compared = comparison(
        scenario("single", speedup_ratio=Interval(9.0, 8.0, 10.0, 0.9)),
        scenario("offline", speedup_ratio=Interval(1.2, 1.1, 1.3, 0.9)),
    )
    (one,) = settle(findings(finding()), {"aotinductor": compared})

    assert one.outcome == "refuted"
    assert one.measured_ratio == Interval(1.2, 1.1, 1.3, 0.9)


def test_what_was_not_tried_is_said_to_be_so() -> None:
    """No experiment, no comparison, not this scenario, or against another artifact than the profiled one."""
    only_single = comparison(scenario("single"))
    other = comparison(baseline_sha256="1" * 64)
    cases = [
        (finding(experiment=""), {}),
        (finding(), {}),
        (finding(), {"int8": comparison()}),
        (finding(), {"aotinductor": only_single}),
        (finding(), {"aotinductor": other}),
    ]
    for one, comparisons in cases:
        (settled,) = settle(findings(one), comparisons)
        assert (settled.outcome, settled.measured_ratio) == ("not tried", None)


def test_outcomes_keep_the_order_of_their_findings() -> None:
    """One for each, also where two share an experiment."""
    some = (finding("a"), finding("b", 1.5), finding("c", experiment="sorted"))

    assert [one.finding for one in settle(findings(*some), {"aotinductor": comparison()})] == list(some)


# --- sentences --------------------------------------------------------------------------------------------------


def test_the_first_finding_is_told_and_nobody_adds_them_up() -> None:
    """The largest promise, its experiment, and the warning where there are several."""
    one, two = findings_sentence(findings(finding())), findings_sentence(findings(finding(), finding("b", 1.2)))

    assert "2.00×; `aotinductor` tells. unfused takes time." in one
    assert "must not be added" not in one
    assert "2 findings are hypotheses about the same time" in two
    assert "must not be added" in two


def test_a_list_without_hope_says_so() -> None:
    """Nothing at all, or a warning only."""
    for some in ((), (finding(ratio=1.0),)):
        assert findings_sentence(findings(*some)).startswith("No rule found anything")


def test_outcomes_are_counted_and_the_wrong_ones_named() -> None:
    """One confirmed, one refuted, one not tried."""
    compared = comparison(scenario("offline", speedup_ratio=Interval(1.5, 1.45, 1.6, 0.9)))
    settled = settle(findings(finding(), finding("b", 9.0), finding("c", experiment="")), {"aotinductor": compared})

    assert outcomes_sentence(settled) == (
        "Of 3 findings 1 was confirmed, 1 refuted and 1 not tried. "
        "Wrong: b in offline (predicted 9.00×, measured 1.50× [1.45, 1.60])."
    )
    assert outcomes_sentence(settled[:1]) == "Of 1 finding 1 was confirmed."
    assert outcomes_sentence(()) == "There are no findings, so nothing could come true."


def test_a_promise_is_told_with_what_came_true() -> None:
    """Predicted, measured in every scenario, and the findings behind it; the others are left out."""
    prediction = Prediction("int8", 3.0, "a quarter of the bytes")
    compared = {"int8": comparison(), "aotinductor": comparison()}
    settled = settle(findings(finding("int8", 2.5, experiment="int8"), finding()), compared)
    told = promise_sentence(prediction, comparison(), settled)

    assert told == (
        "int8 promised 3.00× (a quarter of the bytes); measured were 3.00× [2.80, 3.20] in single, "
        "3.00× [2.80, 3.20] in offline. Of the profile's findings, int8 in offline (2.50×) is confirmed."
    )
    assert promise_sentence(prediction, None).endswith("it was not timed.")
    assert promise_sentence(prediction, comparison()).endswith("in offline.")


def test_an_undecided_finding_stays_so() -> None:
    """Bounds that hold the border decide nothing."""
    compared = comparison(scenario("offline", speedup_ratio=Interval(1.4, 1.3, 1.5, 0.9)))
    settled = settle(findings(finding(experiment="int8")), {"int8": compared})

    assert "unfused in offline (2.00×) stays undecided" in promise_sentence(
        Prediction("int8", 3.0, "why"), compared, settled
    )
