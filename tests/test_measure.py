"""From answers to a record: every field is what the parts say, the same each time, and nothing is guessed for NaN."""

import dataclasses
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from perflib import project
from perflib.guardrails import load_guardrails
from perflib.results import Churn, Distances, Interval, Invariance, Overlap, Validation
from perflib.validation import quality
from perflib.validation.confidence import confidence_changes, describe_confidence
from perflib.validation.distances import distances
from perflib.validation.gaps import gap_results
from perflib.validation.gates import Limit, judge
from perflib.validation.measure import Answered, measure
from perflib.validation.predictions import Paired
from perflib.validation.probes import Probe, answer_probes
from perflib.validation.robustness import probe_results
from perflib.validation.slices import TREE_COLUMN, class_results, cut, judge_exploratory, judge_slices, propose_slices
from tests.synthetic_records import identity

COUNT = 400
LABELS = ("negative", "positive")
CHURN = Churn(
    workload="toy",
    baseline_sha256="b" * 64,
    retrained_sha256="r" * 64,
    split_sha256="s" * 64,
    example_count=COUNT,
    negative_flip_ratio=0.01,
    flips_ratio=0.02,
    distances=Distances(0.98, 0.9, 0.01, 0.001, 0.1, 0.2, 0.3, 0.99, 20.0),
    worst_perturbation_increase_ratio=None,
    slices=(),
)


def two_classes(positive: NDArray[np.float64]) -> NDArray[np.float32]:
    """Return probabilities of shape (examples, 2) from those of the second class."""
    return np.column_stack([1 - positive, positive]).astype(np.float32)


def arms() -> tuple[NDArray[np.int64], NDArray[np.float32], NDArray[np.float32]]:
    """
    Return labels and both models' answers.

    The baseline is right but in rows 0 to 19, and undecided in 20 and 21. The candidate turns five wrong answers right
    (rows 0 to 4) and ten right ones wrong (rows 20 to 29), so of its flips two are ties.
    """
    labels = np.arange(COUNT) % 2
    sure = np.linspace(0.6, 0.99, COUNT)
    sure[:20] = 0.3
    sure[20:22] = 0.5002
    then = sure * 0.98 + 0.005
    then[:5], then[20:30] = 0.7, 0.4
    before, after = (two_classes(np.where(labels == 1, one, 1 - one)) for one in (sure, then))
    return labels, before, after


def columns() -> dict[str, tuple[str, ...]]:
    """Return two domains, a column with one value, and halves by the baseline's margin."""
    return {
        "domain": tuple("hotels" if row < 100 else "films" for row in range(COUNT)),
        "language": ("English",) * COUNT,
        "baseline margin": tuple("01 least sure" if row < 200 else "10 surest" for row in range(COUNT)),
    }


def paired(**change: Any) -> Paired:
    """Return both models' answers."""
    labels, baseline, candidate = arms()
    ids = tuple(f"text-{row}" for row in range(COUNT))
    return dataclasses.replace(Paired(ids, labels, baseline, candidate, columns()), **change)


def probes() -> tuple[Probe, ...]:
    """Return one pair of texts and one text that has an answer."""
    return (
        Probe("counterfactual", "gender", 1, "same", before="he is", after="she is", key="a"),
        Probe("behaviour", "vocabulary", 1, "right", before=None, after="good", label=1, key="b"),
    )


def answered(**change: Any) -> Answered:
    """Return everything that was asked, each field with a value that no other one has."""
    answers = two_classes(np.array([0.8, 0.7, 0.9])), two_classes(np.array([0.8, 0.4, 0.3]))
    one = Answered(
        paired=paired(),
        labels=LABELS,
        probes=answer_probes(probes(), *answers),
        invariance=(Invariance("asked again", COUNT, 0, 0.0),),
        overlaps=(Overlap("train", 900, 0, 2, ("nearly",)),),
        identity=identity(candidate_sha256="c" * 64),
        split_sha256="s" * 64,
        cut_ratio=0.125,
        long_ratio=0.25,
        churn=CHURN,
        absent_suites=("perturbation",),
        notes=("A note.",),
    )
    return dataclasses.replace(one, **change)


def measured(one: Answered | None = None, limits: Mapping[str, Limit] | None = None, *, seed: int = 0) -> Validation:
    """Measure under some limits, none if not given."""
    return measure(
        one or answered(), name="int8", profile="lossy", limits=limits or {}, guardrails_sha256="g" * 64, seed=seed
    )


def slice_named(found: Validation, column: str, value: str) -> Any:
    """Return one slice that was not found by a search."""
    (one,) = [one for one in found.slices if (one.column, one.value) == (column, value) and not one.is_exploratory]
    return one


# --- every field --------------------------------------------------------------------------------------------------


def test_counts_are_those_that_were_put_in() -> None:
    """Ten became wrong and five right, of 400 of which 20 were wrong; two of the ten were ties."""
    found = measured()

    assert (found.example_count, found.negative_flip_count, found.positive_flip_count) == (COUNT, 10, 5)
    assert (found.changed_label_count, found.tie_count, found.negative_tie_count) == (15, 2, 2)
    assert (found.baseline_accuracy_ratio, found.candidate_accuracy_ratio) == (380 / 400, 375 / 400)
    assert found.accuracy_change_ratio == Interval(-5 / 400, quality.tango_lower(10, 5, COUNT), None, 0.95)
    assert found.relative_negative_flip_ratio == pytest.approx((10 / 400) / ((380 / 400) * (25 / 400)))
    assert found.mcnemar_p == pytest.approx(2 * sum(math.comb(15, count) for count in range(6)) / 2**15)
    assert found.non_finite_count == 0
    assert 0 < found.worst_sum_error_ratio < 1e-6


def test_what_the_parts_say_is_what_is_written() -> None:
    """Distances, confidence, slices, classes, gaps and probes are those of their modules, from the same answers."""
    one, found = answered(), measured(seed=3)
    pair = one.paired
    kept = {name: values for name, values in pair.slices.items() if name != "language"}

    assert found.distances == distances(pair.baseline, pair.candidate)
    assert found.baseline_confidence == describe_confidence(pair.labels, pair.baseline)
    assert found.candidate_confidence == describe_confidence(pair.labels, pair.candidate)
    assert found.differences == confidence_changes(pair.labels, pair.baseline, pair.candidate, seed=3)
    assert found.slices == (
        *judge_slices(pair, cut(kept), bound_ratio=0.05),
        *judge_exploratory(pair, propose_slices(pair, kept)),
    )
    assert found.classes == class_results(pair, LABELS, bound_ratio=0.05)
    assert found.gaps == gap_results(pair, {"domain": pair.slices["domain"]}, seed=3)
    assert one.probes is not None
    assert found.probes == probe_results(one.probes)


def test_what_was_asked_is_handed_on() -> None:
    """Fields that nobody computes here come out as they went in, and no gate is judged yet."""
    one, found = answered(), measured(seed=3)
    same = ("identity", "split_sha256", "cut_ratio", "long_ratio", "invariance", "overlaps", "churn", "absent_suites")

    assert {name: getattr(found, name) for name in (*same, "notes")} == {
        name: getattr(one, name) for name in (*same, "notes")
    }
    assert (found.name, found.profile, found.guardrails_sha256, found.seed) == ("int8", "lossy", "g" * 64, 3)
    assert (found.gates, found.verdict) == ((), "INCONCLUSIVE")


def test_without_probes_there_is_no_result_of_any() -> None:
    """Inputs that are no texts have none."""
    assert measured(answered(probes=None)).probes == ()


def test_a_record_can_be_written_and_read(tmp_path: Path) -> None:
    """It is plain data without NaN."""
    found = measured()

    assert Validation.read(found.write(tmp_path / "validation.json")) == found


# --- pure -----------------------------------------------------------------------------------------------------------


def test_the_same_answers_give_the_same_record() -> None:
    """Twice measured is twice the same, and the answers are left as they were."""
    one, untouched = answered(), answered()

    assert measured(one) == measured(one)
    for name in ("labels", "baseline", "candidate"):
        np.testing.assert_array_equal(getattr(one.paired, name), getattr(untouched.paired, name))
    assert one.paired.slices == untouched.paired.slices


def test_the_seed_is_only_of_the_bootstraps() -> None:
    """Another one moves bounds of confidence and gaps, and nothing else."""
    one, other = measured(seed=0), measured(seed=1)

    assert one.differences != other.differences
    assert one.gaps != other.gaps
    assert dataclasses.replace(other, seed=0, differences=one.differences, gaps=one.gaps) == one
    for first, second in zip(one.differences, other.differences, strict=True):
        assert (first.name, first.estimate) == (second.name, second.estimate)


# --- what limits decide -------------------------------------------------------------------------------------------


def test_the_margin_of_a2_says_how_many_examples_are_needed() -> None:
    """A tenth of the margin takes a hundred times as many; without that gate it is one point."""
    assert measured().needed_example_count == quality.examples_needed(15 / COUNT, 0.01)
    assert measured(limits={"A2": Limit(0.001, "us")}).needed_example_count == quality.examples_needed(
        15 / COUNT, 0.001
    )


def test_without_a_flip_one_is_assumed() -> None:
    """Nobody can rule out the flip that the next example would have shown."""
    same = answered(paired=paired(candidate=arms()[1]))

    assert measured(same).needed_example_count == quality.examples_needed(1 / COUNT, 0.01)


def test_the_bound_of_a7_says_which_parts_are_large_enough() -> None:
    """A hundred hotels can rule out a loss of a fifth, not one of a twentieth; the same holds for classes."""
    strict, loose = (measured(limits={"A7-bound": Limit(bound, "us")}) for bound in (0.012, 0.2))

    assert not slice_named(measured(), "domain", "hotels").is_gated
    assert slice_named(loose, "domain", "hotels").is_gated
    assert [one.is_gated for one in strict.classes] == [False, False]
    assert [one.is_gated for one in measured().classes] == [True, True]


@pytest.mark.parametrize(
    ("given", "counts"),
    [
        ({}, (10, 5)),
        ({"A3-negative": Limit(0.01, "us")}, (10, 5)),
        ({"A3-all": Limit(0.01, "us", has_free_ties=True)}, (10, 5)),
        ({"A3-negative": Limit(0.0, "us", has_free_ties=True)}, (8, 5)),
    ],
    ids=["no limit", "none forgiven", "forgiven elsewhere", "forgiven"],
)
def test_ties_are_forgiven_in_slices_only_where_the_profile_says_so(
    given: dict[str, Limit], counts: tuple[int, int]
) -> None:
    """The two flips of an undecided baseline leave the slice's count; the counts of the whole say them anyhow."""
    found = measured(limits=given)
    hotels = slice_named(found, "domain", "hotels")

    assert (hotels.negative_flip_count, hotels.positive_flip_count) == counts
    assert hotels.change_ratio == (counts[1] - counts[0]) / 100
    assert (found.negative_flip_count, found.tie_count, found.negative_tie_count) == (10, 2, 2)


# --- slices and gaps ----------------------------------------------------------------------------------------------


def test_a_column_with_one_value_is_no_slice() -> None:
    """It would be the whole split once more, and everybody else would pay for the look."""
    found = measured()

    assert "language" not in {one.column for one in found.slices}
    assert "language" not in {one.column for one in found.gaps}
    assert "English" not in " ".join(one.value for one in found.slices)


def test_the_margin_is_a_slice_and_no_group() -> None:
    """Who is least sure flips first in every model, so that its gap says nothing about groups."""
    found = measured()

    assert {one.column for one in found.slices} == {"domain", "baseline margin", TREE_COLUMN}
    assert [one.column for one in found.gaps] == ["domain"]


def test_what_a_search_found_comes_last_and_is_not_judged() -> None:
    """It looked at the flips."""
    exploratory = [one.is_exploratory for one in measured().slices]

    assert exploratory == sorted(exploratory)
    assert any(exploratory)
    assert not any(one.is_gated for one in measured().slices if one.is_exploratory)


def test_without_any_column_there_is_no_slice_and_no_gap() -> None:
    """Data may say nothing about their parts."""
    found = measured(answered(paired=paired(slices={})))

    assert (found.slices, found.gaps) == ((), ())


# --- answers that are no numbers ------------------------------------------------------------------------------------


def spoiled(*arm_names: str, rows: slice = slice(300, 302), value: float = np.nan) -> Answered:
    """Return answers some of which are no numbers."""
    changes = {}
    for name, answers in zip(("baseline", "candidate"), arms()[1:], strict=True):
        if name in arm_names:
            answers[rows, 1] = value
        changes[name] = answers
    return answered(paired=paired(**changes))


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_candidate_that_is_not_finite_has_no_confidence(value: float) -> None:
    """Nothing is said of its confidence, nor of a change; the baseline's stands, and the rows are counted as wrong."""
    whole, found = measured(), measured(spoiled("candidate", value=value))

    assert found.candidate_confidence is None
    assert found.differences == ()
    assert found.baseline_confidence == whole.baseline_confidence
    assert (found.non_finite_count, found.negative_flip_count) == (2, 12)


def test_a_baseline_that_is_not_finite_has_none_either() -> None:
    """There is no change without both; what is counted as not finite is the candidate's."""
    found = measured(spoiled("baseline"))

    assert found.baseline_confidence is None
    assert found.candidate_confidence is not None
    assert (found.differences, found.non_finite_count) == ((), 0)


@pytest.mark.parametrize("profile", ["lossy", "lossless"])
def test_what_is_not_finite_never_passes(profile: str) -> None:
    """By our own limits it fails, and a gate that needs confidence is not decided by itself either."""
    guardrails, sha256 = load_guardrails("guardrails.yaml", project.root() / "params")
    found = measure(
        spoiled("candidate"), name="int8", profile=profile, limits=guardrails[profile], guardrails_sha256=sha256
    )
    only = {profile: {"A5-ece": guardrails[profile]["A5-ece"], "A5-brier": guardrails[profile]["A5-brier"]}}

    assert {gate.id: gate.verdict for gate in judge(found, guardrails).gates}["A12-finite"] == "FAIL"
    assert judge(found, guardrails).verdict == "FAIL"
    assert judge(found, only).verdict == "INCONCLUSIVE"


def test_nothing_finite_at_all_is_still_a_record(tmp_path: Path) -> None:
    """Every answer is wrong, distances are unknown, and the record can be written."""
    found = measured(spoiled("candidate", rows=slice(None)))

    assert found.candidate_accuracy_ratio == 0
    assert found.distances is None
    assert Validation.read(found.write(tmp_path / "validation.json")) == found
