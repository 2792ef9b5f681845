"""Sentences: computed for every verdict, with the values, the uncertainty and the n."""

import dataclasses
from typing import Any

import pytest

from perflib import sentences
from perflib.results import Churn, Distances, Interval, SliceResult, Validation
from tests.synthetic_records import (
    baseline,
    build,
    ceilings,
    change_of,
    comparison,
    confidence,
    flips,
    gate,
    part,
    prediction,
    probe,
    profile,
    scenario,
    unbounded,
    validation,
)


@pytest.mark.parametrize(
    ("one", "said"),
    [
        (
            scenario(verdict="IMPROVEMENT"),
            "In single, int8 is faster: 3.00× [2.80, 3.20] of the baseline's speed (5 lives, E = 31.5).",
        ),
        (
            scenario(verdict="REGRESSION", speedup_ratio=Interval(0.5, 0.4, 0.6, 0.9)),
            "In single, int8 is slower: 0.5× [0.4, 0.6] of the baseline's speed (5 lives, E = 31.5).",
        ),
        (
            scenario(verdict="PASS"),
            "In single, int8 shows no regression as large as 3.0 %: 3.00× [2.80, 3.20] of the baseline's speed "
            "(5 lives, E = 31.5).",
        ),
        (
            scenario(verdict="PASS", visible_effect_ratio=0.021),
            "In single, int8 shows no regression as large as 3.0 %: 3.00× [2.80, 3.20] of the baseline's speed "
            "(5 lives, E = 31.5, could have seen 2.1 %).",
        ),
        (
            scenario(verdict="INCONCLUSIVE", reached_mde_ratio=0.08),
            "In single, int8 is not decided at 3.00× [2.80, 3.20] (5 lives, E = 31.5); "
            "this run rules out slowdowns of 8.0 % or more.",
        ),
        (
            unbounded(),
            "In single, int8 is not decided at 1.20× (1 lives, E = 31.5); this run rules out no slowdown.",
        ),
    ],
)
def test_every_speed_verdict_has_its_sentence(one: Any, said: str) -> None:
    """Nothing is ever called unchanged because nothing was found."""
    assert sentences.speed_sentence(comparison(one)) == said


def test_every_scenario_is_told() -> None:
    """Two scenarios give two sentences."""
    assert sentences.speed_sentence(comparison()).count("faster") == 2


@pytest.mark.parametrize(
    ("interval", "word"),
    [
        (Interval(3.0, 2.8, 3.2, 0.9), "as predicted"),
        (Interval(4.0, 3.5, 4.5, 0.9), "more than predicted"),
        (Interval(2.0, 1.9, 2.1, 0.9), "less than predicted"),
        (Interval(2.0, None, None, 0.9), "which the interval cannot test yet"),
    ],
)
def test_a_prediction_is_held_against_the_interval(interval: Interval, word: str) -> None:
    """The words follow the bounds, not the estimate, and throughput is what was predicted."""
    found = comparison(scenario("single"), scenario("offline", speedup_ratio=interval))
    said = sentences.prediction_sentence(prediction(3.0), found)

    assert said.startswith("Predicted 3.00×, measured ")
    assert said.endswith(f"in offline: {word}.")
    assert "in single" in sentences.prediction_sentence(prediction(), comparison(scenario("single")))


@pytest.mark.parametrize("verdict", ["PASS", "WARN", "FAIL", "INCONCLUSIVE"])
def test_quality_tells_the_flips_behind_the_mean(verdict: Any) -> None:
    """Change, bound, both kinds of flips, n and the verdict of the guardrails."""
    said = sentences.quality_sentence(validation(verdict, verdict=verdict))

    assert said == (
        "Accuracy changes by −0.57 pp (95 % sure: no worse than −1.36 pp). Behind that, 9 answers became wrong and 4 "
        f"right, of 872. Guardrails: {verdict} (1 {verdict})."
    )


def test_the_gates_are_counted_by_their_verdicts() -> None:
    """From the best verdict to the worst, without those that no gate has; what was waived keeps its verdict."""
    mixed = validation("FAIL", "PASS", "INCONCLUSIVE", "PASS", "WARN", "PASS", verdict="FAIL")
    waived = validation(gates=(gate("FAIL", waiver="Ada"), gate("INCONCLUSIVE", waiver="Bo"), gate()), verdict="WARN")

    assert sentences.quality_sentence(mixed).endswith(" FAIL (3 PASS, 1 WARN, 1 INCONCLUSIVE, 1 FAIL).")
    assert sentences.quality_sentence(waived).endswith(" WARN (1 PASS, 1 INCONCLUSIVE, 1 FAIL, 2 waived).")


def test_many_examples_are_told_with_their_thousands() -> None:
    """The n is as readable as the rest."""
    found = dataclasses.replace(validation("PASS"), example_count=12_345)

    assert "of 12,345." in sentences.quality_sentence(found)


def with_slices(*slices: SliceResult) -> Validation:
    """Return a validation of these slices."""
    return dataclasses.replace(validation("PASS"), slices=slices)


def tweets(high_ratio: float | None) -> SliceResult:
    """Return the slice that lost most of those that are judged."""
    return part(
        "tweets",
        column="domain",
        change_ratio=-0.03,
        holm_low_ratio=-0.055,
        holm_high_ratio=high_ratio,
        is_gated=True,
    )


@pytest.mark.parametrize(
    ("high_ratio", "said"),
    [
        (-0.005, ", −3.00 pp [−5.50 pp, −0.50 pp], and that is shown to be real"),
        (0.0, ", −3.00 pp [−5.50 pp, 0.00 pp], and that is not shown to be real"),
        (0.005, ", −3.00 pp [−5.50 pp, +0.50 pp], and that is not shown to be real"),
    ],
)
def test_the_worst_slice_is_named_and_doubted_where_its_bound_reaches_zero(high_ratio: float, said: str) -> None:
    """Small slices and what a search found are not it, however bad they look; small ones are counted."""
    found = with_slices(
        flips("domain", "movies", 500, 2, 0, is_gated=True),
        tweets(high_ratio),
        flips("question", "yes", 18, 9, 0),
        flips("truncated", "yes", 3, 3, 0),
        flips("found by a tree", "negation is yes", 96, 40, 0, is_exploratory=True),
    )

    assert sentences.slices_sentence(found) == (
        f"Slices judged: 2. domain = tweets has the lowest change of accuracy{said}. Too small to judge: 2."
    )


def test_where_no_slice_is_too_small_none_is_mentioned() -> None:
    """Exploratory slices are not counted as small."""
    found = with_slices(tweets(-0.005), flips("found by a tree", "x", 96, 40, 0, is_exploratory=True))

    assert sentences.slices_sentence(found).endswith("[−5.50 pp, −0.50 pp], and that is shown to be real.")


def test_without_a_slice_to_judge_that_is_said() -> None:
    """Nothing is called fine because nothing could be judged."""
    found = with_slices(
        flips("question", "yes", 18, 9, 0),
        flips("question", "no", 20, 0, 0),
        flips("found by a tree", "x", 96, 40, 0, is_exploratory=True),
    )

    assert sentences.slices_sentence(found) == "None of the slices (2) has enough examples to be judged."


def with_confidence(**change: Any) -> Validation:
    """Return a validation in which the calibration error doubled."""
    fields: dict[str, Any] = {
        "baseline_confidence": confidence(shift=0.012),
        "candidate_confidence": confidence(shift=0.024),
        "differences": (change_of("brier", 0.5), change_of("ece", 0.012, 0.02)),
    }
    return dataclasses.replace(validation("PASS"), **fields | change)


def test_the_calibration_error_is_told_before_and_after() -> None:
    """Both levels, their difference and its bounds; the Brier score is another number."""
    assert sentences.confidence_sentence(with_confidence()) == (
        "The expected calibration error goes from 1.2 % to 2.4 % (+1.20 pp [−0.80 pp, +3.20 pp])."
    )


@pytest.mark.parametrize("field", ["baseline_confidence", "candidate_confidence", "differences"])
def test_without_numbers_confidence_is_not_judged(field: str) -> None:
    """Answers that are no numbers leave any of the three out."""
    found = with_confidence(**{field: () if field == "differences" else None})

    assert sentences.confidence_sentence(found) == "Some answers are no numbers, so confidence cannot be judged."


def test_the_worst_kind_of_probe_is_named() -> None:
    """Of those that are judged, whatever their suite; n is that of all of them, and its own."""
    probes = (
        probe("typo", increase=change_of("typo", 0.005, 0.0125)),
        probe("homoglyph", increase=change_of("homoglyph", 0.3), is_gated=False),
        probe("gender", suite="counterfactual", probe_count=1200, increase=change_of("gender", 0.0075, 0.005)),
        probe("negation", suite="behaviour", probe_count=80, increase=change_of("negation", -0.02)),
    )

    assert sentences.probes_sentence(dataclasses.replace(validation("PASS"), probes=probes)) == (
        "Of 1,680 probes of 3 kinds, failures change most for the worse in gender, by +0.75 pp [+0.25 pp, +1.25 pp] "
        "(1,200 probes)."
    )


def test_without_probes_that_is_said() -> None:
    """A workload of pixels has none."""
    assert sentences.probes_sentence(validation("PASS")) == "No kind of probe has enough of them to be judged."


def test_notes_are_told_one_after_the_other() -> None:
    """What nearly repeats a test text is no gate, but it is said; without notes nothing is."""
    found = dataclasses.replace(validation("PASS"), notes=("One in tuning.", "No probes."))

    assert sentences.notes_sentence(found) == "Note: One in tuning. Note: No probes."
    assert sentences.notes_sentence(dataclasses.replace(found, notes=())) == ""


def test_the_churn_is_told_with_its_n() -> None:
    """Wrong and both ways are two numbers; the workload is named."""
    churn = Churn(
        workload="sentiment-minilm",
        baseline_sha256="a",
        retrained_sha256="b",
        split_sha256="c",
        example_count=5_800,
        negative_flip_ratio=0.0214,
        flips_ratio=0.0436,
        distances=Distances(0.95, 0.9, 0.02, 0.01, 0.3, 0.5, 1.0, 0.97, 12.0),
        worst_perturbation_increase_ratio=0.011,
        slices=(),
    )

    assert sentences.churn_sentence(churn) == (
        "Training sentiment-minilm again with another seed turns 2.14 % of 5,800 answers wrong and changes 4.36 % "
        "between right and wrong."
    )


def test_the_baseline_is_told_with_speed_and_quality() -> None:
    """Latency with its tail, throughput, accuracy with its interval and n."""
    assert sentences.baseline_sentence(baseline()) == (
        "Today the model answers one call in 30.0 ms (95 % within 49.0 ms), works through 62.0 texts per second, and "
        "is right on 85.0 % [82.0 %, 87.0 %] of 872 test texts."
    )
    assert sentences.baseline_sentence(baseline(scenarios=())).startswith("Today the model")


def test_a_build_is_told_with_its_proof() -> None:
    """Time, size before and after, and what each stage's proof shows."""
    assert sentences.build_sentence(build()) == (
        "Built in 12.0 s: 100 MB became 25.0 MB; 100 % of 37 linear layers compute in int8."
    )
    cached = tuple(dataclasses.replace(step, is_cached=True) for step in build().steps)
    assert sentences.build_sentence(build(steps=cached)).startswith("Found as it was built, once, in 12.0 s: 100 MB")
    assert sentences.build_sentence(build(recipe=(), steps=())) == "Built in 12.0 s: 100 MB became 25.0 MB."


@pytest.mark.parametrize(
    ("proof", "told"),
    [
        (
            {"tuning_accuracy_ratio": 0.857, "teacher_tuning_accuracy_ratio": 0.85},
            "85.70 % of the tuning split (before: 85.00 %)",
        ),
        ({"tuning_accuracy_ratio": 0.857, "tuning_accuracy_before_ratio": 0.86}, "(before: 86.00 %)"),
        ({"accuracy_ratio": 0.857, "parent_accuracy_ratio": 0.87}, "(before: 87.00 %)"),
    ],
)
def test_a_stage_that_looked_at_the_tuning_split_says_what_it_saw(proof: dict[str, float], told: str) -> None:
    """Beside the model that it started from; without both there is nothing to compare."""
    step = dataclasses.replace(build().steps[0], proof=proof)

    assert told in sentences.build_sentence(build(steps=(step,)))
    proof.popitem()
    assert "tuning split" not in sentences.build_sentence(build(steps=(step,)))


def test_the_ceilings_say_what_lower_precision_can_give() -> None:
    """A precision that torch does not have here is left out."""
    assert sentences.ceilings_sentence(ceilings()) == (
        "Over a perfect fp32, this machine can give bf16 at most 3.00× and int8 at most 6.00×."
    )
    assert "no lower precision" in sentences.ceilings_sentence(ceilings(bf16_flop_per_sec=None, int8_op_per_sec=None))


def test_the_profile_is_told_by_its_largest_operators() -> None:
    """By own time, whatever their names hold."""
    assert sentences.profile_sentence(profile()) == "Most of the time goes to addmm 75 %, <gelu> 25 %."


def test_padding_is_no_useful_work() -> None:
    """The share of the ceiling counts real tokens only: half the tokens real, half the share."""
    whole = dataclasses.replace(profile(), real_token_count=1024)

    told = [sentences.reach_sentence(baseline(), one, ceilings()) for one in (whole, profile())]

    assert "0 % of the tokens are padding" in told[0]
    assert "50 % of the tokens are padding" in told[1]
    assert told[0].split("padding")[0] != told[1].split("padding")[0]


def test_a_comparison_that_was_not_decided_says_why_and_what_disturbed_it() -> None:
    """After the verdicts: why it ended, then every mark."""
    ended = comparison(
        scenario(verdict="INCONCLUSIVE"), stop_sentence="the 60 lives allowed are spent.", marks=("a mark",)
    )

    assert sentences.comparison_sentence(ended).endswith(" The 60 lives allowed are spent. Note: a mark.")


def test_the_rules_are_said_with_the_worst_noise_of_each() -> None:
    """False alarms first: ours, the loudest, the quietest; then what a slowdown of 5 % comes to."""
    from tests.synthetic_records import noise_study

    said = sentences.rules_sentence(noise_study())

    assert said.startswith("Where nothing differs, perflib alarms in at most ")
    assert "Of slowdowns of 5 %, perflib finds " in said
