"""Gates: each border of A1 to A5, and for every gate no pass for want of data; profiles, churn, ties and waivers."""

import dataclasses
import math
from typing import Any

import pytest

from perflib.errors import ParameterError
from perflib.guardrails import load_guardrails
from perflib.results import (
    Churn,
    ClassResult,
    Distances,
    GapResult,
    Gate,
    Interval,
    Invariance,
    SliceChurn,
    SliceResult,
    Validation,
)
from perflib.validation.gates import CHURN_GATES, GATES, TIE_GATES, WARNING_GATES, Limit, judge, worst
from perflib.validation.gates.ruling import Ruling, capital, harm_verdict, within, worst_of
from perflib.validation.quality import tango_lower
from tests.ruled_gates import ruled
from tests.synthetic_records import SHA, change_of, full_validation, identity, part, probe, validation

NAN = math.nan
SAME = Distances(1.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0, None)
WAYS = (
    "asked again",
    "one at a time",
    "batches of 8",
    "batches of 32, other neighbours",
    "padded to the longest",
)
UNTIMED = identity(
    timed_baseline_sha256=None, timed_candidate_sha256=None, timed_inputs_sha256=None, timed_hardware_class=None
)


def flipped(example_count: int, negative_count: int, positive_count: int) -> dict[str, Any]:
    """Return the fields of a record with so many flips, its bound by Tango's formula."""
    change = (positive_count - negative_count) / example_count
    low = tango_lower(negative_count, positive_count, example_count)
    return {
        "example_count": example_count,
        "negative_flip_count": negative_count,
        "positive_flip_count": positive_count,
        "accuracy_change_ratio": Interval(change, low, None, 0.95),
    }


def far(**change: float) -> dict[str, Any]:
    """Return the field of a record whose answers are so far apart."""
    return {"distances": dataclasses.replace(SAME, **change)}


def churn(**change: Any) -> Churn:
    """Return what another seed changes: half a per cent of answers for the worse."""
    one = Churn(
        workload="reviews-tiny",
        baseline_sha256=SHA,
        retrained_sha256="1" * 64,
        split_sha256=SHA,
        example_count=872,
        negative_flip_ratio=0.005,
        flips_ratio=0.015,
        distances=Distances(0.97, 0.95, 0.02, 0.001, 0.1, 0.4, 1.0, 0.98, 20.0),
        worst_perturbation_increase_ratio=0.004,
        slices=(),
    )
    return dataclasses.replace(one, **change)


def itself() -> Validation:
    """Return the record of 5,754 answers of a model that is held against itself."""
    count = 5754
    slices = tuple(
        part(
            value,
            example_count=2000,
            candidate_accuracy_ratio=0.85,
            change_ratio=0.0,
            holm_low_ratio=tango_lower(0, 0, 2000, level=0.998),
            holm_high_ratio=-tango_lower(0, 0, 2000, level=0.998),
            is_gated=True,
        )
        for value in ("short", "long")
    )
    nothing = change_of("nothing", 0.0, 0.0)
    return full_validation(
        **flipped(count, 0, 0),
        baseline_accuracy_ratio=0.85,
        candidate_accuracy_ratio=0.85,
        tie_count=0,
        negative_tie_count=0,
        distances=SAME,
        differences=(dataclasses.replace(nothing, name="ece"), dataclasses.replace(nothing, name="brier")),
        slices=slices,
        classes=tuple(ClassResult(label, count // 2, nothing, nothing, is_gated=True) for label in ("no", "yes")),
        gaps=(GapResult("domain", ("tweets", "movies"), nothing, nothing),),
        probes=(
            probe(candidate_fail_count=12, increase=change_of("typo", 0.0, 0.017)),
            probe(
                "gender",
                suite="counterfactual",
                probe_count=2016,
                candidate_fail_count=12,
                increase=change_of("gender", 0.0, 0.004),
                token_gap_change_ratio=0.0,
                baseline_mean_gap_ratio=0.05,
                candidate_mean_gap_ratio=0.05,
            ),
            probe(
                "negation",
                suite="behaviour",
                probe_count=80,
                candidate_fail_count=12,
                increase=change_of("negation", 0.0, 0.08),
            ),
        ),
        invariance=tuple(Invariance(way, 1024, 0, 0.0) for way in WAYS),
        churn=churn(),
    )


@pytest.mark.parametrize(("after", "verdict"), [(100, "PASS"), (99, "PASS"), (98, "FAIL")])
@pytest.mark.parametrize("count", [120, 104, 1000])
def test_retention_passes_at_its_limit(count: int, after: int, verdict: str) -> None:
    """Of 100 right answers 99 are 99 %, even where the two rounded shares say a little less; 98 are not enough."""
    gate = ruled(
        "A1", 0.99, example_count=count, baseline_accuracy_ratio=100 / count, candidate_accuracy_ratio=after / count
    )

    assert gate.verdict == verdict
    assert gate.measured == after / 100


def test_retention_of_nothing_is_not_decided() -> None:
    """A baseline without a right answer leaves nothing to retain."""
    gate = ruled("A1", 0.99, baseline_accuracy_ratio=0.0)

    assert (gate.verdict, gate.measured) == ("INCONCLUSIVE", None)


@pytest.mark.parametrize(
    ("count", "negative", "positive", "margin", "verdict"),
    [
        (872, 9, 4, 0.01, "INCONCLUSIVE"),
        (872, 9, 4, 0.02, "PASS"),
        (872, 12, 12, 0.01, "PASS"),
        (872, 0, 0, 0.002, "INCONCLUSIVE"),  # no flip at all, and still too few examples
        (5000, 9, 4, 0.01, "PASS"),
        (1000, 10, 0, 0.01, "FAIL"),  # the loss seen is the margin
        (1000, 9, 0, 0.01, "INCONCLUSIVE"),
    ],
)
def test_non_inferiority_holds_for_the_worked_examples(
    count: int, negative: int, positive: int, margin: float, verdict: str
) -> None:
    """PASS by the bound, FAIL by the estimate, otherwise not decided."""
    gate = ruled("A2", margin, **flipped(count, negative, positive))

    assert gate.verdict == verdict
    assert (gate.measured, gate.low) == ((positive - negative) / count, tango_lower(negative, positive, count))


@pytest.mark.parametrize(
    ("estimate", "low", "verdict"),
    [
        (0.0, math.nextafter(-0.01, 0), "PASS"),
        (0.0, -0.01, "INCONCLUSIVE"),
        (math.nextafter(-0.01, 0), -0.02, "INCONCLUSIVE"),
        (-0.01, -0.02, "FAIL"),
        (0.0, None, "INCONCLUSIVE"),
    ],
)
def test_non_inferiority_needs_its_bound_above_the_margin(estimate: float, low: float | None, verdict: str) -> None:
    """A bound at the margin is not above it, a loss at the margin has used it up, and no bound is no proof."""
    gate = ruled("A2", 0.01, accuracy_change_ratio=Interval(estimate, low, None, 0.95))

    assert gate.verdict == verdict


def test_an_undecided_margin_says_how_many_examples_would_decide() -> None:
    """The number is that of the power formula, for what the loss seen leaves of the margin."""
    gate = ruled("A2", 0.01, **flipped(872, 9, 4))
    by_hand = math.ceil((1.644854 + 0.841621) ** 2 * (13 / 872) / (0.01 - 5 / 872) ** 2)

    assert "−0.57 pp" in gate.sentence
    assert "−1.36 pp" in gate.sentence
    assert "872 examples cannot show" in gate.sentence
    assert f"about {by_hand:,} could" in gate.sentence


@pytest.mark.parametrize(
    ("negative", "warn_limit", "verdict"),
    [(10, 0.02, "PASS"), (11, 0.02, "WARN"), (20, 0.02, "WARN"), (21, 0.02, "FAIL"), (11, None, "FAIL")],
)
def test_negative_flips_pass_warn_and_fail_at_their_limits(
    negative: int, warn_limit: float | None, verdict: str
) -> None:
    """At a limit it still holds; without a limit for warnings there is no warning."""
    gate = ruled("A3-negative", 0.01, warn_limit=warn_limit, **flipped(1000, negative, 30))

    assert (gate.verdict, gate.measured) == (verdict, negative / 1000)


@pytest.mark.parametrize(("positive", "verdict"), [(10, "PASS"), (11, "FAIL")])
def test_balanced_flips_hide_from_the_mean_and_not_from_the_count(positive: int, verdict: str) -> None:
    """Both ways count, though one per cent each way leaves accuracy equal."""
    assert ruled("A3-all", 0.02, **flipped(1000, 10, positive)).verdict == verdict
    assert ruled("A1", 0.99, baseline_accuracy_ratio=0.8, candidate_accuracy_ratio=0.8).verdict == "PASS"


@pytest.mark.parametrize(
    ("gate_id", "is_free", "verdict", "measured"),
    [
        ("A3-negative", True, "PASS", 0.0),
        ("A3-negative", False, "FAIL", 0.003),
        ("A3-all", True, "FAIL", 0.002),
        ("A3-all", False, "FAIL", 0.007),
    ],
)
def test_ties_are_forgiven_only_where_the_limit_says_so(
    gate_id: str, is_free: bool, verdict: str, measured: float
) -> None:
    """Three flips for the worse are ties, and two of the four for the better: each count leaves out its own."""
    found = full_validation(**flipped(1000, 3, 4), tie_count=5, negative_tie_count=3)
    limit = Limit(0.0, "house default", has_free_ties=is_free)
    (gate,) = judge(found, {"lossy": {gate_id: limit}}).gates

    assert (gate.verdict, gate.measured) == (verdict, measured)
    assert ("ties" in gate.sentence) == is_free


@pytest.mark.parametrize(
    ("gate_id", "field", "limit", "beyond"),
    [
        ("A4-label-loyalty", "label_loyalty_ratio", 0.98, -1),
        ("A4-cosine", "cosine_ratio", 0.99, -1),
        ("A4-kl-mean", "kl_mean_nat", 0.01, 1),
        ("A4-kl-p99", "kl_p99_nat", 0.2, 1),
    ],
)
def test_distances_pass_at_their_limit(gate_id: str, field: str, limit: float, beyond: int) -> None:
    """The limit itself is kept, and the next number in the bad direction is not."""
    at_limit, worse = limit, math.nextafter(limit, limit + beyond)

    assert ruled(gate_id, limit, **far(**{field: at_limit})).verdict == "PASS"
    assert ruled(gate_id, limit, **far(**{field: worse})).verdict == "FAIL"


def test_divergence_warns_up_to_its_second_limit() -> None:
    """Between the two limits, the upper one included."""
    found = {
        value: ruled("A4-kl-mean", 0.01, warn_limit=0.02, **far(kl_mean_nat=value)) for value in (0.01, 0.02, 0.03)
    }

    assert [gate.verdict for gate in found.values()] == ["PASS", "WARN", "FAIL"]


@pytest.mark.parametrize("gate_id", ["A4-cosine", "A4-kl-mean", "A4-kl-p99"])
def test_a_distance_of_some_answers_is_not_the_distance_of_all(gate_id: str) -> None:
    """What is not finite is left out of it, so it cannot pass; labels were compared on every example."""
    limit = 0.5

    gate = ruled(gate_id, limit, non_finite_count=1)

    assert gate.verdict == "INCONCLUSIVE"
    assert "1 answers that are not finite are left out" in gate.sentence
    assert ruled(gate_id, limit, non_finite_count=1, **far(cosine_ratio=0.1, kl_mean_nat=9, kl_p99_nat=9)).verdict == (
        "FAIL"
    )
    assert ruled("A4-label-loyalty", limit, non_finite_count=1).verdict == "PASS"


def test_a_cosine_just_under_its_limit_is_told_apart_from_it() -> None:
    """Four digits would say that 1 has to be at least 1."""
    gate = ruled("A4-cosine", 0.99999, **far(cosine_ratio=0.999984))

    assert gate.sentence == "The cosine of the logits is 0.999984; it has to be at least 0.99999."


@pytest.mark.parametrize("name", ["ece", "brier"])
@pytest.mark.parametrize(
    ("estimate", "high", "warn_limit", "verdict"),
    [
        (0.0, 0.01, 0.02, "PASS"),
        (0.0, math.nextafter(0.01, 1), 0.02, "WARN"),
        (0.0, 0.02, 0.02, "WARN"),
        (0.02, math.nextafter(0.02, 1), 0.02, "INCONCLUSIVE"),
        (math.nextafter(0.02, 1), 0.03, 0.02, "FAIL"),
        (0.0, math.nextafter(0.01, 1), None, "INCONCLUSIVE"),
        (math.nextafter(0.01, 1), 0.03, None, "FAIL"),
    ],
)
def test_confidence_is_judged_by_its_upper_bound(
    name: str, estimate: float, high: float, warn_limit: float | None, verdict: str
) -> None:
    """The bound passes or warns at its limits; beyond them the estimate says whether it fails or is not decided."""
    change = dataclasses.replace(change_of(name, estimate), high=high)
    other = change_of("brier" if name == "ece" else "ece", 0.5)

    gate = ruled(f"A5-{name}", 0.01, warn_limit=warn_limit, differences=(other, change))

    assert (gate.verdict, gate.measured, gate.low, gate.high) == (verdict, estimate, change.low, high)


# For every gate, the fields in which a number is none. Where it is made of counts, a ratio stands for them.
NOT_A_NUMBER: dict[str, dict[str, Any]] = {
    "A2": {"accuracy_change_ratio": Interval(0.0, NAN, None, 0.95)},
    "A4-label-loyalty": far(label_loyalty_ratio=NAN),
    "A4-kl-mean": far(kl_mean_nat=NAN),
    "A4-kl-p99": far(kl_p99_nat=NAN),
    "A4-cosine": far(cosine_ratio=NAN),
    "A5-ece": {"differences": (change_of("ece", NAN),)},
    "A5-brier": {"differences": (change_of("brier", NAN),)},
    "A6-recall": {"classes": (ClassResult("yes", 400, change_of("r", NAN), change_of("s", 0.0), is_gated=True),)},
    "A6-rate": {"classes": (ClassResult("yes", 400, change_of("r", 0.0), change_of("s", NAN), is_gated=True),)},
    "A7-drop": {"slices": (part("x", change_ratio=NAN, is_gated=True),)},
    "A7-bound": {"slices": (part("x", holm_low_ratio=NAN, holm_high_ratio=NAN, is_gated=True),)},
    "A7-worst": {"slices": (part("x", change_ratio=NAN, is_gated=True),)},
    "A8-gap": {"gaps": (GapResult("domain", ("a", "b"), change_of("gap", NAN), None),)},
    "A8-odds": {"gaps": (GapResult("domain", ("a", "b"), change_of("gap", 0.0), change_of("odds", NAN)),)},
    "A9": {"probes": (probe(increase=change_of("typo", NAN)),)},
    "A10-gap": {"probes": (probe("age", suite="counterfactual", probe_count=600, token_gap_change_ratio=NAN),)},
    "A10-mean": {
        "probes": (
            probe(
                "age",
                suite="counterfactual",
                probe_count=600,
                baseline_mean_gap_ratio=0.0,
                candidate_mean_gap_ratio=NAN,
            ),
        )
    },
    "A11": {"probes": (probe("negation", suite="behaviour", increase=change_of("negation", NAN)),)},
    "A12-sums": {"worst_sum_error_ratio": NAN},
    "A12-again": {"invariance": (Invariance("asked again", 10, 0, NAN),)},
    "A12-difference": {"invariance": (Invariance("batches of 8", 10, 0, NAN),)},
    "A16": {"cut_ratio": NAN},
}
# These count examples, compare words, or both: no number of theirs can be none.
OF_COUNTS = {
    *("A1", "A3-negative", "A3-all", "A10-flips", "A12-finite", "A12-batch", "A12-padding"),
    *("A13", "A14", "A15"),
}


@pytest.mark.parametrize("gate_id", NOT_A_NUMBER)
@pytest.mark.parametrize("warn_limit", [None, 0.9])
def test_what_is_not_a_number_never_passes(gate_id: str, warn_limit: float | None) -> None:
    """Nor does it warn, however much is allowed."""
    limit = 0.0 if gate_id in {"A4-label-loyalty", "A4-cosine"} else 0.5

    gate = ruled(gate_id, limit, warn_limit=warn_limit, **NOT_A_NUMBER[gate_id])

    assert gate.verdict in {"FAIL", "INCONCLUSIVE"}


def test_every_gate_was_given_what_is_not_a_number() -> None:
    """A new gate has to join one of the two lists."""
    assert set(NOT_A_NUMBER) | OF_COUNTS == set(GATES)


def test_nothing_passes_for_want_of_data() -> None:
    """A record in which nothing was asked beyond the test split, and nothing timed, leaves the other gates open."""
    bare = dataclasses.replace(validation(), identity=UNTIMED, slices=())
    limits = {gate_id: Limit(1.0, "house default") for gate_id in GATES}

    found = {gate.id: gate for gate in judge(bare, {"lossy": limits}).gates}

    measured = {"A1", "A2", "A3-negative", "A3-all", "A12-finite", "A12-sums", "A16"}
    assert {gate_id for gate_id, gate in found.items() if gate.verdict != "INCONCLUSIVE"} == measured
    assert {gate.measured for gate_id, gate in found.items() if gate_id not in measured} == {None}
    assert all(gate.sentence.endswith(".") for gate in found.values())


def test_a_model_that_answers_nothing_passes_no_gate_on_its_answers() -> None:
    """None of 872 answers is a number: that fails, and what would be computed from them is left open."""
    found = full_validation(non_finite_count=872, worst_sum_error_ratio=0.0, distances=None, differences=())
    ids = ("A12-finite", "A12-sums", "A4-label-loyalty", "A4-kl-mean", "A4-kl-p99", "A4-cosine", "A5-ece", "A5-brier")

    gates = judge(found, {"lossy": {gate_id: Limit(0.0, "house default") for gate_id in ids}}).gates

    assert [gate.verdict for gate in gates] == ["FAIL"] + 7 * ["INCONCLUSIVE"]


@pytest.mark.parametrize("profile", ["lossy", "retrained", "lossless"])
def test_a_model_held_against_itself_passes_every_shipped_limit(profile: str) -> None:
    """No gate asks for more than 5,754 answers and the probes can show."""
    limits, _ = load_guardrails("guardrails.yaml")

    found = judge(dataclasses.replace(itself(), profile=profile), limits)

    assert [(gate.id, gate.sentence) for gate in found.gates if gate.verdict != "PASS"] == []
    assert [gate.id for gate in found.gates] == list(limits[profile])
    assert found.verdict == "PASS"


# What a reader has to find in the sentence of every gate, of the record that keeps every limit.
SAID: dict[str, tuple[str, ...]] = {
    "A1": ("99.33 %", "99.0 %"),
    "A2": ("−0.57 pp", "−1.36 pp", "1 pp", "872", "4,985"),
    "A3-negative": ("1.03 %", "1.0 %"),
    "A3-all": ("1.49 %", "2.0 %"),
    "A4-label-loyalty": ("0.985", "0.98"),
    "A4-kl-mean": ("0.004", "0.01"),
    "A4-kl-p99": ("0.06", "0.2"),
    "A4-cosine": ("0.9987", "0.99"),
    "A5-ece": ("+0.0030", "+0.0150", "0.02"),
    "A5-brier": ("+0.0010", "+0.0080", "0.01"),
    "A6-recall": ("positive", "−0.70 pp", "442", "2 pp"),
    "A6-rate": ("0.20 pp", "1 pp"),
    "A7-drop": ("domain = tweets", "372", "−3.23 pp", "3 pp"),
    "A7-bound": ("baseline margin = 01 least sure", "87", "−3.45 pp", "−12.64 pp", "5 pp"),
    "A7-worst": ("85.0 %", "baseline margin = 01 least sure", "87", "81.6 %", "3 pp"),
    "A8-gap": ("domain", "0.40 pp", "−0.70 pp", "+1.50 pp", "2 pp"),
    "A8-odds": ("two groups",),
    "A9": ("Typo", "14 of 400", "12 before", "+0.50 pp", "−0.75 pp", "+1.75 pp", "1 pp", "3 pp"),
    "A10-flips": ("0.17 pp", "1,200", "gender", "+0.50 pp", "0.5 pp"),
    "A10-gap": ("+0.0020", "0.01"),
    "A10-mean": ("gender", "0.0120", "0.0110", "0.01", "0.03"),
    "A11": ("Negation", "14 of 80", "12 before", "+0.50 pp", "2 pp"),
    "A12-finite": ("0 answers", "0 are allowed"),
    "A12-sums": ("1e-07", "1e-05"),
    "A12-again": ("Asked again", "0 labels"),
    "A12-batch": ("Batches of 8", "1 of 1,024", "0.0004", "0.1 %"),
    "A12-padding": ("no padding",),
    "A12-difference": ("Batches of 8", "0.0004", "1 labels", "0.0001"),
    "A13": ("same models", "same inputs"),
    "A14": ("No test example", "0 are allowed"),
    "A15": ("abc",),
    "A16": ("0.00 %", "2.00 %", "0.0 %"),
}


@pytest.mark.parametrize("gate_id", GATES)
def test_a_sentence_holds_its_numbers(gate_id: str) -> None:
    """What was measured and what is allowed, in one sentence that ends."""
    limits, _ = load_guardrails("guardrails.yaml")
    limit = limits["lossy"].get(gate_id) or limits["lossless"][gate_id]

    gate = ruled(gate_id, limit.limit, warn_limit=limit.warn_limit)

    assert [words for words in SAID[gate_id] if words not in gate.sentence] == []
    assert gate.sentence.endswith(".")
    assert gate.sentence[0].isupper() or gate.sentence[0].isdigit() or gate_id.startswith("A7")


def test_an_unknown_profile_is_refused() -> None:
    """The sentence suggests the profile that was meant."""
    with pytest.raises(ParameterError, match="guardrail profile `losy` is not in the file; did you mean `lossy`"):
        judge(full_validation(profile="losy"), {"lossy": {}})


def test_an_unknown_gate_is_refused() -> None:
    """A limit that nothing checks would look like safety."""
    with pytest.raises(ParameterError, match="guardrail `A99` is not known"):
        judge(full_validation(), {"lossy": {"A99": Limit(0.0, "house default")}})


def test_a_profile_without_gates_decides_nothing() -> None:
    """The gates and the verdict that the record came with are replaced, and an empty profile is never a pass."""
    found = judge(full_validation(), {"lossy": {}})

    assert (found.gates, found.verdict) == ((), "INCONCLUSIVE")


@pytest.mark.parametrize(
    ("suite", "left_out"),
    [
        ("perturbation", {"A9"}),
        ("counterfactual", {"A10-flips", "A10-gap", "A10-mean"}),
        ("behaviour", {"A11"}),
    ],
)
def test_a_suite_that_cannot_be_asked_leaves_out_its_gates_and_no_other(suite: str, left_out: set[str]) -> None:
    """Where inputs are no texts, nothing can be mistyped in them."""
    limits = {"lossy": {gate_id: Limit(1.0, "house default") for gate_id in GATES}}

    found = judge(full_validation(probes=(), absent_suites=(suite,)), limits)

    assert set(GATES) - {gate.id for gate in found.gates} == left_out


@pytest.mark.parametrize(("class_count", "is_asked"), [(0, True), (2, True), (3, False)])
def test_equalised_odds_are_asked_of_two_classes_only(class_count: int, is_asked: bool) -> None:
    """Of more there is no true and false positive; knowing nothing of the classes is no reason to leave it out."""
    nothing = change_of("nothing", 0.0)
    classes = tuple(ClassResult(str(place), 90, nothing, nothing, is_gated=True) for place in range(class_count))

    found = judge(full_validation(classes=classes), {"lossy": {"A8-odds": Limit(0.02, "house default")}})

    assert [gate.id for gate in found.gates] == ["A8-odds"] * is_asked
    assert found.verdict == "INCONCLUSIVE"


@pytest.mark.parametrize(
    ("change", "verdict", "counts_as", "is_waived"),
    [
        ({"non_finite_count": 1}, "FAIL", "WARN", True),
        ({"overlaps": ()}, "INCONCLUSIVE", "WARN", True),
        ({}, "PASS", "PASS", False),
        ({"negative_flip_count": 10}, "WARN", "WARN", False),
    ],
)
def test_a_waiver_changes_what_counts_and_not_what_was_found(
    change: dict[str, Any], verdict: str, counts_as: str, is_waived: bool
) -> None:
    """A failed or open gate counts as a warning; on one that passes or warns there is nothing to waive."""
    limits = {
        "A12-finite": Limit(0.0, "house default"),
        "A14": Limit(0.0, "house default"),
        "A3-negative": Limit(0.011, "house default", 0.02),
    }
    gate_id = {"overlaps": "A14", "negative_flip_count": "A3-negative"}.get(next(iter(change), ""), "A12-finite")
    found = full_validation(**change)

    (gate,) = judge(found, {"lossy": {gate_id: limits[gate_id]}}, waivers={gate_id: "Ada: because."}).gates

    assert (gate.verdict, gate.counts_as) == (verdict, counts_as)
    assert gate.waiver == ("Ada: because." if is_waived else None)


def test_a_waiver_lets_pass_its_own_gate_only() -> None:
    """The record warns where the only failed gate is waived, and fails where another one failed too."""
    limits = {"lossy": {gate_id: Limit(0.0, "house default") for gate_id in ("A12-finite", "A16")}}
    one = full_validation(non_finite_count=1)
    both = full_validation(non_finite_count=1, cut_ratio=0.1)

    assert judge(one, limits).verdict == "FAIL"
    assert judge(one, limits, waivers={"A12-finite": "Ada"}).verdict == "WARN"
    assert judge(one, limits, waivers={"A16": "Ada"}).verdict == "FAIL"
    assert judge(both, limits, waivers={"A12-finite": "Ada"}).verdict == "FAIL"


@pytest.mark.parametrize("gate_id", sorted(CHURN_GATES))
@pytest.mark.parametrize(
    "other", [None, churn(baseline_sha256="2" * 64), churn(split_sha256="2" * 64)], ids=["none", "baseline", "split"]
)
def test_above_churn_needs_the_churn_of_this_baseline_and_split(gate_id: str, other: Churn | None) -> None:
    """Without it, or with that of another model or other texts, nothing is known of what a re-training may change."""
    limits = {"lossy": {gate_id: Limit(1.0, "house default", is_above_churn=True)}}

    (gate,) = judge(full_validation(churn=other), limits).gates

    assert (gate.verdict, gate.measured) == ("INCONCLUSIVE", None)
    assert "perflib prepare --churn" in gate.sentence


@pytest.mark.parametrize(
    ("gate_id", "limit", "allowed", "field"),
    [
        ("A3-negative", 0.01, 0.015, None),
        ("A3-all", 0.02, 0.035, None),
        ("A4-label-loyalty", 0.98, 0.95, "label_loyalty_ratio"),
        ("A4-kl-mean", 0.01, 0.03, "kl_mean_nat"),
        ("A4-kl-p99", 0.2, 0.3, "kl_p99_nat"),
        ("A4-cosine", 0.99, 0.97, "cosine_ratio"),
        ("A9", 0.01, 0.014, None),
    ],
)
def test_churn_is_added_to_what_is_allowed(gate_id: str, limit: float, allowed: float, field: str | None) -> None:
    """Both limits grow by it, and where larger is better they sink; a candidate between old and new limit passes."""
    between = (limit + allowed) / 2
    found = {
        "A3-negative": flipped(10_000, round(10_000 * between), 0),
        "A3-all": flipped(10_000, 0, round(10_000 * between)),
        "A9": {"probes": (probe(increase=change_of("typo", between, 0.001)),)},
    }.get(gate_id) or far(**{str(field): between})
    rule = Limit(limit, "house default", limit, is_above_churn=True)

    (gate,) = judge(full_validation(churn=churn(), **found), {"lossy": {gate_id: rule}}).gates
    strict = ruled(gate_id, limit, warn_limit=limit, churn=churn(), **found)

    assert gate.limit == pytest.approx(allowed, abs=1e-12)
    assert gate.warn_limit == pytest.approx(allowed, abs=1e-12)
    assert (gate.verdict, strict.verdict) == ("PASS", "FAIL")


@pytest.mark.parametrize("increase", [None, -0.01, 0.0])
def test_a_retraining_that_is_no_more_fragile_allows_nothing_more(increase: float | None) -> None:
    """A limit never sinks by churn, and what was not measured adds nothing."""
    found = full_validation(churn=churn(worst_perturbation_increase_ratio=increase))
    limits = {"lossy": {"A9": Limit(0.01, "house default", 0.03, is_above_churn=True)}}

    (gate,) = judge(found, limits).gates

    assert (gate.limit, gate.warn_limit) == (0.01, 0.03)


def in_slices(one: Churn | None, *slices: SliceResult, above_churn: bool = True) -> Gate:
    """Return A7-bound of a candidate with these slices."""
    limits = {"lossy": {"A7-bound": Limit(0.05, "house default", is_above_churn=above_churn)}}
    (gate,) = judge(full_validation(churn=one, slices=slices), limits).gates
    return gate


def part_of(value: str, *, low: float) -> SliceResult:
    """Return a gated slice of 576 texts by the baseline's margin that can rule out a loss beyond ``low``."""
    return part(value, column="margin", example_count=576, holm_low_ratio=low, holm_high_ratio=0.05, is_gated=True)


def test_a_slice_that_another_seed_upsets_is_left_out_of_the_bound() -> None:
    """
    Of 576 texts training again changes 230: no candidate that was trained could rule out a loss of 5 pp there.

    A slice in which it changes 9 is asked as ever, and so is one of which nothing is known.
    """
    known = churn(slices=(SliceChurn("margin", "least sure", 576, 230), SliceChurn("margin", "surer", 576, 9)))
    upset, calm, unknown = (part_of(value, low=-0.08) for value in ("least sure", "surer", "new"))
    kept = part_of("surer", low=-0.02)

    gate = in_slices(known, upset, kept)

    assert (gate.verdict, gate.measured, gate.limit) == ("PASS", 0.02, 0.05)
    assert gate.sentence.endswith(
        "Not asked of margin = least sure: training again with another seed changes so many answers there that nobody "
        "could rule it out."
    )
    assert in_slices(known, upset, calm).verdict == "INCONCLUSIVE"
    assert in_slices(known, kept, unknown).verdict == "INCONCLUSIVE"
    assert in_slices(known, upset).verdict == "INCONCLUSIVE"
    assert in_slices(known, upset, kept, above_churn=False).verdict == "INCONCLUSIVE"
    assert "Not asked" not in in_slices(known, kept).sentence


@pytest.mark.parametrize(("flip_count", "verdict"), [(103, "PASS"), (102, "INCONCLUSIVE")])
def test_the_border_of_an_upset_slice_is_half_of_its_flips_either_way(flip_count: int, verdict: str) -> None:
    """Two slices are a family that asks for 97.5 %: there 52 of 400 either way reach 5 pp, and 51 do not."""
    assert tango_lower(52, 52, 400, level=0.975) <= -0.05 < tango_lower(51, 51, 400, level=0.975)
    known = churn(slices=(SliceChurn("length", "short", 400, flip_count),))
    slices = [part(word, holm_low_ratio=low, is_gated=True) for word, low in (("short", -0.08), ("long", -0.01))]

    assert in_slices(known, *slices).verdict == verdict


def test_churn_is_allowed_only_where_the_limit_says_so() -> None:
    """That it was measured does not loosen the limits of a candidate that was never trained."""
    assert ruled("A3-negative", 0.01, churn=churn()).limit == 0.01


def test_the_kinds_of_gates_are_gates() -> None:
    """A misspelt id would allow nothing, silently."""
    assert set(GATES) >= CHURN_GATES | TIE_GATES | WARNING_GATES


@pytest.mark.parametrize(
    ("verdicts", "expected"),
    [
        (["PASS", "PASS"], "PASS"),
        (["PASS", "WARN"], "WARN"),
        (["WARN", "INCONCLUSIVE", "PASS"], "INCONCLUSIVE"),
        (["INCONCLUSIVE", "FAIL", "WARN"], "FAIL"),
        ([], "INCONCLUSIVE"),
    ],
)
def test_the_worst_verdict_counts(verdicts: list[Any], expected: str) -> None:
    """FAIL, then INCONCLUSIVE, then WARN; and no gate at all is no pass."""
    assert worst(verdicts) == expected


def test_the_worst_part_speaks_for_all() -> None:
    """The worst verdict first, then the largest number; without any part nothing is decided."""
    parts = [
        Ruling("PASS", 9.0, "large and allowed"),
        Ruling("FAIL", 1.0, "bad"),
        Ruling("FAIL", 2.0, "worse"),
        Ruling("INCONCLUSIVE", 5.0, "open"),
    ]

    assert worst_of(parts, "").sentence == "worse"
    assert worst_of(parts[::-1], "").sentence == "worse"
    assert worst_of(parts[:1] + parts[3:], "").sentence == "open"
    assert worst_of([], "Nothing.") == Ruling("INCONCLUSIVE", None, "Nothing.")


@pytest.mark.parametrize(
    ("harm", "low", "verdict"),
    [
        (0.03, 0.01, "PASS"),
        (0.85 - 0.82, 0.01, "PASS"),  # which is 0.03 and a little, only because shares are rounded
        (0.03 + 1e-9, 1e-9, "FAIL"),
        (0.03 + 1e-9, 0.0, "INCONCLUSIVE"),
        (0.03 + 1e-9, -0.01, "INCONCLUSIVE"),
        (NAN, NAN, "INCONCLUSIVE"),
    ],
)
def test_a_harm_fails_only_where_it_is_shown_to_be_there(harm: float, low: float, verdict: str) -> None:
    """Too large and its bound above zero; a bound at zero shows nothing."""
    assert harm_verdict(harm, low, Limit(0.03, "house default")) == verdict


def test_a_count_is_within_its_limit_or_not() -> None:
    """The border belongs to the milder verdict, and what is no number is beyond every limit."""
    limit = Limit(1.0, "house default", 2.0)

    assert [within(count, limit) for count in (1.0, 2.0, 2.5, NAN)] == ["PASS", "WARN", "FAIL", "FAIL"]
    assert within(1.5, Limit(1.0, "house default")) == "FAIL"


def test_a_sentence_begins_with_a_capital() -> None:
    """Only its first letter changes."""
    assert (capital("batches of MiniLM"), capital("")) == ("Batches of MiniLM", "")


def test_a_gate_carries_its_limit_its_source_and_its_name() -> None:
    """A reader sees where the limit comes from, and the judged record survives its file."""
    found = judge(full_validation(), {"lossy": {"A1": Limit(0.99, "MLPerf")}})
    (gate,) = found.gates

    assert (gate.id, gate.name, gate.limit, gate.source, gate.warn_limit) == (
        "A1",
        "accuracy retention",
        0.99,
        "MLPerf",
        None,
    )
    assert Validation.from_dict(found.to_dict()) == found
