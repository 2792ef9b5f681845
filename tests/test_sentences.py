"""Sentences: computed for every verdict, with the values, the uncertainty and the n."""

import dataclasses
from typing import Any

import pytest
from synthetic_records import (
    baseline,
    build,
    ceilings,
    comparison,
    prediction,
    profile,
    scenario,
    unbounded,
    validation,
)

from perflib import sentences
from perflib.results import Interval


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
    said = sentences.quality_sentence(dataclasses.replace(validation("PASS"), verdict=verdict))

    assert said == (
        "Accuracy changes by −0.57 pp (95 % sure: no worse than −1.36 pp). Behind that, 9 answers became wrong and 4 "
        f"right, of 872. Guardrails: {verdict}."
    )


def test_the_baseline_is_told_with_speed_and_quality() -> None:
    """Latency with its tail, throughput, accuracy with its interval and n."""
    assert sentences.baseline_sentence(baseline()) == (
        "Today the model answers one call in 30.0 ms (95 % within 49.0 ms), works through 62.0 texts per second, and "
        "is right on 85.0 % [82.0 %, 87.0 %] of 872 test texts."
    )
    assert sentences.baseline_sentence(baseline(scenarios=())).startswith("Today the model")


def test_a_build_is_told_with_its_proof() -> None:
    """Time, size before and after, and the layers that run in the low precision; a stage without proof claims none."""
    assert sentences.build_sentence(build()) == (
        "Built in 12.0 s: 100 MB became 25.0 MB; int8: 100 % of 37 linear layers run in the low precision."
    )
    assert sentences.build_sentence(build(proofs=({"stage": "mine"},))) == "Built in 12.0 s: 100 MB became 25.0 MB."


def test_the_ceilings_say_what_lower_precision_can_give() -> None:
    """A precision that torch does not have here is left out."""
    assert sentences.ceilings_sentence(ceilings()) == (
        "Over a perfect fp32, this machine can give bf16 at most 3.00× and int8 at most 6.00×."
    )
    assert "no lower precision" in sentences.ceilings_sentence(ceilings(bf16_flop_per_sec=None, int8_op_per_sec=None))


def test_the_profile_is_told_by_its_largest_operators() -> None:
    """And held against the ceiling: ideal time over seen time."""
    assert sentences.profile_sentence(profile()) == "Most of the time goes to addmm 75 %, <gelu> 25 %."
    assert "10 % of the ceiling is reached" in sentences.distance_sentence(profile(), ceilings())


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
    from synthetic_records import noise_study

    said = sentences.rules_sentence(noise_study())

    assert said.startswith("Where nothing differs, perflib alarms in at most ")
    assert "Of slowdowns of 5 %, perflib finds " in said
