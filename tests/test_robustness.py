"""Robustness: who fails by which rule, what counts as worse, who is gated, and what the family pays."""

import dataclasses
import math
from typing import Literal

import numpy as np
import pytest
from numpy.typing import NDArray

from perflib.results.answers import ProbeResult
from perflib.validation.perturbations import KINDS
from perflib.validation.probes import Probe, ProbeAnswers
from perflib.validation.quality import tango_lower
from perflib.validation.robustness import failures, probe_results

Suite = Literal["perturbation", "counterfactual", "behaviour"]
YES, NO = (0.25, 0.75), (0.75, 0.25)
NAN = (math.nan, math.nan)
NAN_PAIR = (NAN, NAN)
Row = tuple[float, ...]


def two(positive: float) -> Row:
    """Return the probabilities of two classes."""
    return (1 - positive, positive)


def rows(values: list[Row]) -> NDArray[np.float32]:
    """Return answers as an array."""
    return np.array(values, np.float32)


def asked(
    probes: list[Probe], *, baseline: list[tuple[Row, Row]], candidate: list[tuple[Row, Row]] | None = None
) -> ProbeAnswers:
    """Return answers, each given as (before, after); a candidate that is not given equals the baseline."""
    sides = [rows([pair[side] for pair in arm]) for arm in (baseline, candidate or baseline) for side in (0, 1)]
    return ProbeAnswers(tuple(probes), *sides)


def same(suite: Suite, kind: str, count: int) -> list[Probe]:
    """Return probes whose two texts must be answered alike."""
    return [Probe(suite, kind, 3, "same", before="a", after="b", key=str(number)) for number in range(count)]


def flipping(
    suite: Suite, kind: str, *, count: int, worse_count: int = 0, better_count: int = 0, both_count: int = 0
) -> ProbeAnswers:
    """Return a kind of which the candidate alone fails some, the baseline alone others, and both yet others."""
    steady: tuple[Row, Row] = (YES, YES)
    flipped: tuple[Row, Row] = (YES, NO)
    rest = count - worse_count - better_count - both_count
    baseline = [steady] * worse_count + [flipped] * (better_count + both_count) + [steady] * rest
    candidate = [flipped] * worse_count + [steady] * better_count + [flipped] * both_count + [steady] * rest
    return asked(same(suite, kind, count), baseline=baseline, candidate=candidate)


def together(*parts: ProbeAnswers) -> ProbeAnswers:
    """Join answers to different kinds."""
    names = ("baseline_before", "baseline_after", "candidate_before", "candidate_after")
    probes = tuple(probe for part in parts for probe in part.probes)
    return ProbeAnswers(probes, **{name: np.concatenate([getattr(part, name) for part in parts]) for name in names})


def only(answers: ProbeAnswers) -> ProbeResult:
    """Return the one result."""
    (result,) = probe_results(answers)
    return result


# --- rules ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("before", "after", "has_failed"),
    [
        (YES, YES, False),
        (NO, NO, False),
        (YES, NO, True),
        (NO, YES, True),
        (two(0.51), two(0.99), False),
        (two(0.51), two(0.49), True),
        (NAN, NAN, True),
        (NAN, YES, True),
        (YES, NAN, True),
        (YES, (0.0, math.inf), True),
        ((-math.inf, 1.0), YES, True),
    ],
)
def test_two_texts_are_answered_alike_by_their_labels(before: Row, after: Row, has_failed: bool) -> None:
    """Another label fails, another probability does not, and what is not finite is never alike."""
    answers = asked(same("perturbation", "upper case", 1), baseline=[(before, after)])

    assert failures(answers, "baseline").tolist() == [has_failed]


@pytest.mark.parametrize(
    ("label", "after", "has_failed"),
    [(1, YES, False), (1, NO, True), (0, NO, False), (0, YES, True), (0, NAN, True), (1, (math.nan, 0.9), True)],
)
def test_a_right_answer_is_the_label(label: int, after: Row, has_failed: bool) -> None:
    """The absent text before is not held against it."""
    probe = Probe("behaviour", "negation", 1, "right", before=None, after="b", label=label)

    assert failures(asked([probe], baseline=[(NAN, after)]), "baseline").tolist() == [has_failed]


@pytest.mark.parametrize(
    ("label", "before", "after", "has_failed"),
    [
        (1, 0.9, 0.8, False),
        (1, 0.6, 0.5, False),
        (1, 0.9, 0.7999, True),
        (1, 0.6, 0.4999, True),
        (1, 0.9, 0.8001, False),
        (1, 0.1, 0.9, False),
        (0, 0.1, 0.2, False),
        (0, 0.1, 0.2001, True),
        (0, 0.9, 0.1, False),
        (1, 0.9, math.nan, True),
        (1, math.nan, 0.9, True),
        (1, 0.9, math.inf, True),
        (1, -math.inf, 0.9, True),
    ],
)
def test_a_label_may_become_less_probable_by_a_tenth(label: int, before: float, after: float, has_failed: bool) -> None:
    """Exactly a tenth is allowed, more is not, whatever the label that is answered."""
    probe = Probe("behaviour", "vocabulary", 1, "not less", before="a", after="b", label=label)
    answers = asked([probe], baseline=[(two(before), two(after))])

    assert failures(answers, "baseline").tolist() == [has_failed]


def test_each_probe_is_judged_by_its_own_rule_and_each_arm_by_its_own_answers() -> None:
    """Mixed rules with three classes, against a plain loop."""
    generator = np.random.default_rng(4)
    probes = [
        Probe("behaviour", "mixed", 1, "same", before="a", after="b", key=str(number))
        if number % 3 == 0
        else Probe("behaviour", "mixed", 1, "right", before=None, after="b", label=number % 2, key=str(number))
        if number % 3 == 1
        else Probe("behaviour", "mixed", 1, "not less", before="a", after="b", label=number % 2, key=str(number))
        for number in range(300)
    ]
    arrays = [generator.dirichlet((1, 1, 1), 300).astype(np.float32) for _ in range(4)]
    for array in arrays:
        array[generator.integers(0, 300, 15)] = math.nan
    answers = ProbeAnswers(tuple(probes), *arrays)
    for arm, (before, after) in (("baseline", arrays[:2]), ("candidate", arrays[2:])):
        expected = []
        for probe, one, other in zip(probes, before, after, strict=True):
            if np.isnan(other).any() or (probe.before is not None and np.isnan(one).any()):
                expected.append(True)
            elif probe.rule == "same":
                expected.append(int(np.argmax(one)) != int(np.argmax(other)))
            elif probe.rule == "right":
                expected.append(int(np.argmax(other)) != probe.label)
            else:
                expected.append(float(one[probe.label or 0]) - float(other[probe.label or 0]) > 0.1)

        assert failures(answers, arm).tolist() == expected  # type: ignore[arg-type]
        assert 50 < sum(expected) < 250


# --- results ----------------------------------------------------------------------------------------------------


def test_no_probes_have_no_results() -> None:
    """A workload without texts is not an error."""
    none = np.zeros((0, 2), np.float32)

    assert probe_results(ProbeAnswers((), none, none, none, none)) == ()


def test_a_result_counts_each_arm_and_says_how_much_the_candidate_fails_more() -> None:
    """A positive increase is harm; its bounds are Tango's with the arms exchanged."""
    result = only(flipping("counterfactual", "gender", count=200, worse_count=9, better_count=2, both_count=5))

    assert (result.suite, result.kind, result.version) == ("counterfactual", "gender", 3)
    assert (result.probe_count, result.baseline_fail_count, result.candidate_fail_count) == (200, 7, 14)
    assert result.increase.estimate == pytest.approx(7 / 200)
    assert result.increase.low == pytest.approx(tango_lower(2, 9, 200))
    assert result.increase.high == pytest.approx(-tango_lower(9, 2, 200))
    assert result.increase.low < result.increase.estimate < result.increase.high
    assert result.increase.level_ratio == 0.95


def test_bounds_of_the_increase_cover_what_tango_tests() -> None:
    """Nine against four of 872 is at most 1.36 points worse: the published bound, with the sign of an increase."""
    result = only(flipping("counterfactual", "gender", count=872, worse_count=9, better_count=4))

    assert round(100 * result.increase.high, 2) == 1.36


def test_equal_arms_have_no_increase() -> None:
    """The baseline against itself: zero, written without a minus, between bounds that lie alike."""
    result = only(flipping("counterfactual", "age", count=300, both_count=40))

    assert str(result.increase.estimate) == "0.0"
    assert result.increase.low == pytest.approx(-result.increase.high)
    assert result.increase.low < 0
    assert (result.baseline_fail_count, result.candidate_fail_count) == (40, 40)


def test_all_worse_and_all_better_are_the_ends() -> None:
    """Nothing lies above one nor below minus one."""
    worse = only(flipping("behaviour", "negation", count=60, worse_count=60)).increase
    better = only(flipping("behaviour", "negation", count=60, better_count=60)).increase

    assert (worse.estimate, worse.high) == (1.0, 1.0)
    assert (better.estimate, better.low) == (-1.0, -1.0)
    assert 0.9 < worse.low < 1.0
    assert worse.low == pytest.approx(-better.high)


def test_results_stand_in_the_order_of_first_probes() -> None:
    """Kinds that alternate are gathered, and equal names in two suites stay two."""
    parts = [
        flipping("behaviour", "names", count=3),
        flipping("perturbation", "upper case", count=2),
        flipping("counterfactual", "names", count=4),
    ]
    answers = together(*parts)
    order = [5, 0, 3, 1, 6, 4, 2, 7, 8]
    shuffled = ProbeAnswers(
        tuple(answers.probes[row] for row in order),
        *(getattr(answers, name)[order] for name in ("baseline_before", "baseline_after")),
        *(getattr(answers, name)[order] for name in ("candidate_before", "candidate_after")),
    )

    assert [(one.suite, one.kind, one.probe_count) for one in probe_results(shuffled)] == [
        ("counterfactual", "names", 4),
        ("behaviour", "names", 3),
        ("perturbation", "upper case", 2),
    ]


# --- gating and levels ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("suite", "kind", "count", "is_gated"),
    [
        ("perturbation", "upper case", 300, True),
        ("perturbation", "upper case", 299, False),
        ("perturbation", "lookalike letters", 400, False),
        ("counterfactual", "gender", 1, True),
        ("behaviour", "negation", 60, True),
        ("behaviour", "lookalike letters", 1, True),
    ],
)
def test_small_and_reported_perturbations_are_not_gated(suite: Suite, kind: str, count: int, is_gated: bool) -> None:
    """Three hundred changed texts are enough; suites that are fixed are always gated."""
    assert only(flipping(suite, kind, count=count)).is_gated is is_gated


def test_every_kind_that_is_only_reported_is_known_here() -> None:
    """The flag of the kind decides, not a second list."""
    parts = [flipping("perturbation", kind.name, count=300) for kind in KINDS]

    assert [one.is_gated for one in probe_results(together(*parts))] == [not kind.is_reported_only for kind in KINDS]


def test_a_suite_pays_for_its_gated_kinds_and_no_other_suite() -> None:
    """Two gated kinds share five percent, one that is too small pays nothing, a suite of one has all of it."""
    answers = together(
        flipping("perturbation", "upper case", count=300, worse_count=1),
        flipping("perturbation", "no accents", count=20, worse_count=15),
        flipping("perturbation", "lower case", count=300),
        flipping("counterfactual", "gender", count=300),
    )

    assert [one.increase.level_ratio for one in probe_results(answers)] == pytest.approx([0.975, 0.95, 0.975, 0.95])


def test_the_clearest_harm_pays_most() -> None:
    """Holm's steps: once the first is shown, the next pays for one less; lower bounds are at the level that is said."""
    answers = together(
        flipping("behaviour", "names", count=100, worse_count=3, better_count=2),
        flipping("behaviour", "negation", count=100, worse_count=30, better_count=2),
        flipping("behaviour", "fairness", count=100, better_count=30),
    )
    results = probe_results(answers)

    assert [one.increase.level_ratio for one in results] == pytest.approx([0.975, 1 - 0.05 / 3, 0.975])
    assert results[1].increase.low > 0 > results[0].increase.low
    for one, (worse, better) in zip(results, ((3, 2), (30, 2), (0, 30)), strict=True):
        level = one.increase.level_ratio
        assert one.increase.low == pytest.approx(tango_lower(better, worse, 100, level=level))
        # A promise pays for no other: each kind has to keep its own.
        assert one.increase.high == pytest.approx(-tango_lower(worse, better, 100, level=0.95))


# --- gaps -------------------------------------------------------------------------------------------------------


def test_gaps_follow_the_probability_of_the_positive_class() -> None:
    """Absolute gaps do not cancel, signed ones do, and each arm has its own."""
    baseline = [(two(0.75), two(0.5)), (two(0.5), two(0.75))]
    candidate = [(two(0.875), two(0.375)), (two(0.5), two(0.625))]
    result = only(asked(same("counterfactual", "name", 2), baseline=baseline, candidate=candidate))

    assert result.token_gap_change_ratio == (0.5 + 0.125) / 2 - 0.25
    assert result.baseline_mean_gap_ratio == 0.0
    assert result.candidate_mean_gap_ratio == (0.5 - 0.125) / 2


def test_gaps_leave_out_what_is_not_finite() -> None:
    """The change compares the pairs that both answered, each mean those of its own arm, and none is None."""
    baseline = [(two(0.75), two(0.5)), (two(0.5), two(0.25)), (two(1.0), two(0.0))]
    candidate = [(two(0.75), two(0.625)), NAN_PAIR, (two(math.inf), two(math.inf))]
    result = only(asked(same("counterfactual", "name", 3), baseline=baseline, candidate=candidate))

    assert result.token_gap_change_ratio == 0.125 - 0.25
    assert result.baseline_mean_gap_ratio == 0.5
    assert result.candidate_mean_gap_ratio == 0.125
    silent = only(asked(same("counterfactual", "name", 3), baseline=baseline, candidate=[NAN_PAIR] * 3))
    assert silent.token_gap_change_ratio is None
    assert silent.candidate_mean_gap_ratio is None
    assert silent.baseline_mean_gap_ratio == 0.5
    assert silent.candidate_fail_count == 3


def test_only_counterfactual_pairs_have_gaps() -> None:
    """Perturbations and capabilities leave them unknown."""
    for suite, kind in (("perturbation", "upper case"), ("behaviour", "names")):
        found = dataclasses.asdict(only(flipping(suite, kind, count=5, worse_count=2)))  # type: ignore[arg-type]

        assert [value for name, value in found.items() if "gap" in name] == [None] * 3
