"""Gates A6 to A11: each border, a harm that is shown against one that is only seen, and groups too small to judge."""

import dataclasses
import math
from typing import Any

import pytest

from perflib.results import Change, ClassResult, GapResult, ProbeResult
from perflib.validation.quality import tango_lower
from tests.ruled_gates import ruled
from tests.synthetic_records import part, probe

# The next share beyond a limit that any number of examples up to a hundred thousand can give, or less.
BEYOND = 1e-10


def bounded(estimate: float, low: float, high: float) -> Change:
    """Return a change with its bounds."""
    return Change("any", estimate, low, high, 0.95)


def of_class(recall: Change, rate: Change | None = None, *, label: str = "yes", is_gated: bool = True) -> ClassResult:
    """Return a class of 400 examples."""
    return ClassResult(label, 400, recall, rate or bounded(0, -0.01, 0.01), is_gated=is_gated)


def lost(change: float, low: float | None, high: float | None, **more: Any) -> Any:
    """Return a gated slice of 400 examples whose accuracy changed so much."""
    return part(
        more.pop("value", "yes"),
        **{
            "candidate_accuracy_ratio": 0.85 + change,
            "change_ratio": change,
            "holm_low_ratio": low,
            "holm_high_ratio": high,
            "is_gated": True,
            **more,
        },
    )


def pairs(kind: str = "gender", count: int = 1000, **change: Any) -> ProbeResult:
    """Return swapped pairs of one group, without harm."""
    return probe(
        kind,
        **{
            "suite": "counterfactual",
            "probe_count": count,
            "candidate_fail_count": 12,
            "increase": bounded(0.0, -0.004, 0.004),
            "token_gap_change_ratio": 0.0,
            "baseline_mean_gap_ratio": 0.01,
            "candidate_mean_gap_ratio": 0.01,
            **change,
        },
    )


@pytest.mark.parametrize(
    ("change", "low", "high", "verdict"),
    [
        (0.5, 0.4, 0.6, "PASS"),  # a class may become better
        (-0.02, -0.05, -0.01, "PASS"),
        (-0.02 - BEYOND, -0.05, -BEYOND, "FAIL"),
        (-0.02 - BEYOND, -0.05, 0.0, "INCONCLUSIVE"),
        (-0.3, -0.7, 0.1, "INCONCLUSIVE"),
    ],
)
def test_recall_may_fall_to_its_limit(change: float, low: float, high: float, verdict: str) -> None:
    """Beyond it fails where the fall is shown, and is not decided where it may be none."""
    gate = ruled("A6-recall", 0.02, classes=(of_class(bounded(change, low, high)),))

    assert (gate.verdict, gate.measured, gate.low, gate.high) == (verdict, -change, -high, -low)


def test_the_worst_class_decides_and_small_ones_do_not() -> None:
    """The class that lost most is named; one with too few examples is no evidence either way."""
    lost_class = of_class(bounded(-0.05, -0.08, -0.02), label="rare")
    kept_class = of_class(bounded(0.0, -0.01, 0.01), label="common")

    gate = ruled("A6-recall", 0.02, classes=(kept_class, lost_class))
    small = dataclasses.replace(lost_class, is_gated=False)

    assert gate.verdict == "FAIL"
    assert "recall of rare" in gate.sentence
    assert ruled("A6-recall", 0.02, classes=(kept_class, small)).verdict == "PASS"
    assert ruled("A6-recall", 0.02, classes=(small,)).verdict == "INCONCLUSIVE"


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize(
    ("change", "near", "verdict"),
    [(0.01, 0.005, "PASS"), (0.01 + BEYOND, BEYOND, "FAIL"), (0.01 + BEYOND, 0.0, "INCONCLUSIVE")],
)
def test_an_answer_may_become_neither_commoner_nor_rarer(sign: int, change: float, near: float, verdict: str) -> None:
    """Both directions are judged alike, by the bound on the side of zero; a small class counts too."""
    low, high = sorted((sign * near, sign * 0.05))
    rate = bounded(sign * change, low, high)

    gate = ruled("A6-rate", 0.01, classes=(of_class(bounded(0, 0, 0), rate, is_gated=False),))

    assert (gate.verdict, gate.measured, gate.low, gate.high) == (verdict, change, near, 0.05)


@pytest.mark.parametrize(
    ("change", "low", "high", "verdict"),
    [
        (-12 / 400, -0.05, -0.01, "PASS"),
        (-13 / 400, -0.05, -BEYOND, "FAIL"),
        (-13 / 400, -0.05, 0.0, "INCONCLUSIVE"),
        (-13 / 400, -0.05, None, "INCONCLUSIVE"),
    ],
)
def test_a_slice_may_lose_three_points(change: float, low: float, high: float | None, verdict: str) -> None:
    """Twelve of 400 are three points; one more fails where the loss is shown."""
    gate = ruled("A7-drop", 0.03, slices=(lost(change, low, high),))

    assert (gate.verdict, gate.measured) == (verdict, -change)


@pytest.mark.parametrize(
    ("change", "low", "high", "verdict"),
    [
        (0.0, math.nextafter(-0.05, 0), 0.02, "PASS"),
        (0.0, -0.05, 0.02, "INCONCLUSIVE"),
        (math.nextafter(-0.05, 0), -0.1, -0.01, "INCONCLUSIVE"),
        (-0.05, -0.1, -BEYOND, "FAIL"),
        (-0.05, -0.1, 0.0, "INCONCLUSIVE"),  # many flips both ways: it may be chance
        (0.0, None, 0.02, "INCONCLUSIVE"),
        (-0.06, None, None, "INCONCLUSIVE"),
    ],
)
def test_a_larger_loss_of_a_slice_has_to_be_ruled_out(
    change: float, low: float | None, high: float | None, verdict: str
) -> None:
    """The bound has to be above; it fails only where so much was lost and a loss is shown."""
    gate = ruled("A7-bound", 0.05, slices=(lost(change, low, high),))

    assert (gate.verdict, gate.measured) == (verdict, 1.0 if low is None else -low)


@pytest.mark.parametrize(
    ("after", "high", "verdict"),
    [
        (0.82, -0.01, "PASS"),  # though 0.85 - 0.82 is more than 0.03 in floating point
        (0.82 - BEYOND, -BEYOND, "FAIL"),
        (0.82 - BEYOND, 0.0, "INCONCLUSIVE"),
        (0.82 - BEYOND, None, "INCONCLUSIVE"),
    ],
)
def test_the_worst_slice_may_be_three_points_worse(after: float, high: float | None, verdict: str) -> None:
    """It need not be the slice that was the worst before."""
    kept = lost(0.0, -0.01, 0.01, value="kept", baseline_accuracy_ratio=0.85)
    fell = lost(after - 0.9, -0.2, high, value="fell", baseline_accuracy_ratio=0.9)

    gate = ruled("A7-worst", 0.03, slices=(kept, fell))

    assert gate.verdict == verdict
    assert gate.measured == pytest.approx(0.85 - after, abs=1e-12)
    assert "length = fell" in gate.sentence


def test_forgiven_ties_do_not_count_in_the_worst_slice() -> None:
    """Where the plain accuracies differ by ties alone, nothing has changed."""
    tied = lost(0.0, -0.01, 0.01, candidate_accuracy_ratio=0.84)

    gate = ruled("A7-worst", 0.005, slices=(tied,))

    assert (gate.verdict, gate.measured) == ("PASS", 0.0)
    assert "85.0 %" in gate.sentence


@pytest.mark.parametrize("gate_id", ["A7-drop", "A7-bound", "A7-worst"])
def test_a_slice_that_is_not_gated_decides_nothing(gate_id: str) -> None:
    """Too small, or found by a search: it neither fails nor makes a pass of no evidence."""
    small = lost(-0.5, -0.8, -0.2, is_gated=False)
    found = dataclasses.replace(small, is_exploratory=True)
    kept = lost(0.0, -0.01, 0.01)

    assert ruled(gate_id, 0.03, slices=(small, found, kept)).verdict == "PASS"
    assert ruled(gate_id, 0.03, slices=(small, found)).verdict == "INCONCLUSIVE"


@pytest.mark.parametrize(("gate_id", "verdict"), [("A7-drop", "FAIL"), ("A7-bound", "FAIL"), ("A7-worst", "FAIL")])
def test_one_slice_that_is_harmed_is_enough(gate_id: str, verdict: str) -> None:
    """Whatever its place among the slices that keep their accuracy."""
    kept, harmed = lost(0.0, -0.01, 0.01, value="kept"), lost(-0.2, -0.3, -0.1, value="harmed")
    for slices in ((kept, harmed), (harmed, kept)):
        gate = ruled(gate_id, 0.05, slices=slices)

        assert gate.verdict == verdict
        assert "length = harmed" in gate.sentence


@pytest.mark.parametrize("gate_id", ["A8-gap", "A8-odds"])
@pytest.mark.parametrize(
    ("grown", "low", "verdict"),
    [
        (0.02, 0.01, "PASS"),
        (0.12 - 0.1, 0.01, "PASS"),
        (0.02 + BEYOND, BEYOND, "FAIL"),
        (0.02 + BEYOND, 0.0, "INCONCLUSIVE"),
        (-0.5, -0.6, "PASS"),
    ],
)
def test_groups_may_drift_apart_to_the_limit(gate_id: str, grown: float, low: float, verdict: str) -> None:
    """Each gate looks at its own increase, and the widest column decides."""
    harmless, change = bounded(-0.9, -0.95, -0.85), bounded(grown, low, 0.9)
    ours, other = (change, harmless) if gate_id == "A8-gap" else (harmless, change)
    gaps = (
        GapResult("question", ("no", "yes"), harmless, harmless),
        GapResult("domain", ("tweets", "movies"), ours, other),
    )

    gate = ruled(gate_id, 0.02, gaps=gaps)

    assert (gate.verdict, gate.measured, gate.low, gate.high) == (verdict, grown, low, 0.9)
    assert "By domain" in gate.sentence


def test_equalised_odds_of_no_column_are_not_decided() -> None:
    """A column may have none, as that of the labels; but one has to."""
    without = GapResult("label", ("no", "yes"), bounded(0, 0, 0), None)
    of_domain = GapResult("domain", ("a", "b"), bounded(0, 0, 0), bounded(0, 0, 0))

    assert ruled("A8-odds", 0.02, gaps=(without, of_domain)).verdict == "PASS"
    assert ruled("A8-odds", 0.02, gaps=(without,)).verdict == "INCONCLUSIVE"


@pytest.mark.parametrize(
    ("increase", "low", "high", "warn_limit", "verdict"),
    [
        (0.01, 0.005, 0.03, 0.03, "PASS"),
        (0.01, 0.005, math.nextafter(0.03, 1), 0.03, "INCONCLUSIVE"),
        (0.01 + BEYOND, 0.0, 0.03, 0.03, "WARN"),
        (0.01 + BEYOND, 0.0, math.nextafter(0.03, 1), 0.03, "INCONCLUSIVE"),
        (0.01 + BEYOND, BEYOND, 0.03, 0.03, "FAIL"),  # shown and too much: that it is under 3 points is no excuse
        (0.2, 0.1, 0.3, 0.03, "FAIL"),
        (0.01, -0.1, 0.1, None, "PASS"),
        (0.01 + BEYOND, BEYOND, 0.1, None, "FAIL"),
        (0.01 + BEYOND, 0.0, 0.1, None, "INCONCLUSIVE"),
    ],
)
def test_perturbations_may_hurt_a_point_more(
    increase: float, low: float, high: float, warn_limit: float | None, verdict: str
) -> None:
    """With a second limit, more than that has to be ruled out too; an excess that may be chance warns."""
    gate = ruled("A9", 0.01, warn_limit=warn_limit, probes=(probe(increase=bounded(increase, low, high)),))

    assert (gate.verdict, gate.measured, gate.low, gate.high) == (verdict, increase, low, high)


def test_the_worst_perturbation_decides_and_reported_ones_do_not() -> None:
    """A kind that is only reported, or has too few changed texts, neither fails nor passes."""
    kept = probe("case", increase=bounded(0.0, -0.01, 0.01))
    broken = probe("typo", increase=bounded(0.2, 0.1, 0.3))
    reported = dataclasses.replace(broken, is_gated=False)

    assert ruled("A9", 0.01, probes=(kept, broken)).verdict == "FAIL"
    assert ruled("A9", 0.01, probes=(kept, broken)).sentence.startswith("Typo: ")
    assert ruled("A9", 0.01, probes=(kept, reported)).verdict == "PASS"
    assert ruled("A9", 0.01, probes=(reported,)).verdict == "INCONCLUSIVE"
    assert ruled("A9", 0.01, probes=(pairs(),)).verdict == "INCONCLUSIVE"


@pytest.mark.parametrize("gate_id", ["A10-flips", "A10-gap", "A10-mean"])
@pytest.mark.parametrize(("count", "verdict"), [(500, "PASS"), (499, "INCONCLUSIVE"), (0, "INCONCLUSIVE")])
def test_five_hundred_pairs_are_needed(gate_id: str, count: int, verdict: str) -> None:
    """All groups together; fewer say nothing, however harmless they look."""
    found = (pairs("age", 200), pairs("name", count - 200)) if count else ()

    assert ruled(gate_id, 0.02, probes=found).verdict == verdict


@pytest.mark.parametrize(
    ("more", "low", "verdict"),
    [(5, 0.001, "PASS"), (6, BEYOND, "FAIL"), (6, 0.0, "INCONCLUSIVE"), (-12, -0.1, "PASS")],
)
def test_swapping_a_person_may_change_half_a_point_more(more: int, low: float, verdict: str) -> None:
    """Five of 1,000 pairs are half a point."""
    increase = bounded(more / 1000, low, 0.9)

    gate = ruled("A10-flips", 0.005, probes=(pairs(candidate_fail_count=12 + more, increase=increase),))

    assert (gate.verdict, gate.measured) == (verdict, more / 1000)


def test_the_harm_of_one_group_does_not_vanish_among_the_others() -> None:
    """Eight of 200 pairs of one group are not half a point of 2,000, but four points where nobody else has any."""
    low, high = -0.1, -tango_lower(8, 0, 200, level=0.99)
    shown = bounded(0.04, tango_lower(0, 8, 200, level=0.99), 0.09)
    others = pairs("name", 1800)

    gate = ruled("A10-flips", 0.005, probes=(others, pairs("age", 200, candidate_fail_count=20, increase=shown)))
    seen = dataclasses.replace(shown, low=low)
    open_gate = ruled("A10-flips", 0.005, probes=(others, pairs("age", 200, candidate_fail_count=20, increase=seen)))

    assert high > 0 > -shown.low
    assert (gate.verdict, gate.measured, gate.low) == ("FAIL", 0.04, shown.low)
    assert gate.sentence.startswith("Age: 20 of 200 fail, 12 before")
    assert (open_gate.verdict, open_gate.measured) == ("PASS", 0.004)


@pytest.mark.parametrize(("change", "verdict"), [(0.01, "PASS"), (math.nextafter(0.01, 1), "FAIL"), (-0.3, "PASS")])
def test_swapping_a_person_may_move_the_probability_a_hundredth_more(change: float, verdict: str) -> None:
    """It is the mean over all pairs, each counting once."""
    gate = ruled("A10-gap", 0.01, probes=(pairs(token_gap_change_ratio=change),))

    assert (gate.verdict, gate.measured) == (verdict, change)


def test_the_mean_over_groups_is_weighted_by_their_pairs() -> None:
    """Two hundredths of a quarter of the pairs are half a hundredth of all."""
    found = (pairs("age", 250, token_gap_change_ratio=0.02), pairs("name", 750))

    assert ruled("A10-gap", 0.01, probes=found).measured == pytest.approx(0.005, abs=1e-15)


@pytest.mark.parametrize(
    ("gate_id", "field"), [("A10-gap", "token_gap_change_ratio"), ("A10-mean", "candidate_mean_gap_ratio")]
)
def test_a_group_without_finite_answers_is_not_left_out(gate_id: str, field: str) -> None:
    """The other group's 900 pairs do not speak for it."""
    gate = ruled(gate_id, 0.01, probes=(pairs("age", 100, **{field: None}), pairs("name", 900)))

    assert gate.verdict == "INCONCLUSIVE"
    assert "No pair of age has finite answers" in gate.sentence


@pytest.mark.parametrize(
    ("before", "after", "verdict"),
    [
        (0.01, 0.02, "PASS"),
        (0.007, 0.017, "PASS"),  # a hundredth, though in floating point it is a little more
        (0.01, 0.02 + BEYOND, "FAIL"),
        (-0.01, -0.02, "PASS"),
        (-0.01, -0.02 - BEYOND, "FAIL"),
        (0.02, 0.0, "PASS"),
        (0.025, 0.03, "PASS"),
        (0.025, 0.03 + BEYOND, "FAIL"),  # little more, and now as large as to be notable
        (0.05, 0.05, "PASS"),  # inherited from the baseline
        (0.05, 0.06, "PASS"),
        (0.05, 0.06 + BEYOND, "FAIL"),
    ],
)
def test_favour_of_one_group_may_grow_by_a_hundredth(before: float, after: float, verdict: str) -> None:
    """Whoever is favoured; a gap over three hundredths may be inherited, not new."""
    gate = ruled("A10-mean", 0.01, probes=(pairs(baseline_mean_gap_ratio=before, candidate_mean_gap_ratio=after),))

    assert gate.verdict == verdict
    assert gate.measured == pytest.approx(abs(after) - abs(before), abs=1e-15)
    assert ("already in the baseline" in gate.sentence) == (before == 0.05)


def test_the_most_favoured_group_decides() -> None:
    """The others do not make up for it."""
    found = (pairs("name"), pairs("age", candidate_mean_gap_ratio=0.025), pairs("religion"))

    gate = ruled("A10-mean", 0.01, probes=found)

    assert gate.verdict == "FAIL"
    assert "By age" in gate.sentence


@pytest.mark.parametrize(
    ("before", "after", "low", "verdict"),
    [
        (20, 22, 0.01, "PASS"),
        (20, 23, BEYOND, "FAIL"),
        (20, 23, 0.0, "INCONCLUSIVE"),
        (5, 11, -0.1, "INCONCLUSIVE"),  # one in twenty failed before, which is not rare
        (4, 10, -0.1, "INCONCLUSIVE"),  # one in ten fails now, which is not frequent
        (4, 11, -0.1, "FAIL"),  # an ability is lost, however few the cases
        (30, 20, -0.2, "PASS"),
    ],
)
def test_a_capability_may_fail_two_points_more(before: int, after: int, low: float, verdict: str) -> None:
    """Of a hundred cases; what hardly ever failed may not fail often."""
    case = probe(
        "negation",
        suite="behaviour",
        probe_count=100,
        baseline_fail_count=before,
        candidate_fail_count=after,
        increase=bounded((after - before) / 100, low, 0.3),
    )

    gate = ruled("A11", 0.02, probes=(case,))

    assert (gate.verdict, gate.measured) == (verdict, (after - before) / 100)
