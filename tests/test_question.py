"""The question: wrong values are refused in one sentence with the value, before any process is started."""

import dataclasses
import math
from pathlib import Path
from typing import Any

import pytest

from perflib.artifact import Artifact, ArtifactSpec, Lineage, Runtime
from perflib.benchmarking.question import Question, check_comparable
from perflib.benchmarking.scenarios import get_scenarios
from perflib.errors import MeasurementError, ParameterError


def ask(**change: Any) -> Question:
    """Ask about one candidate in one scenario."""
    return Question(
        **{"name": "b", "scenarios": get_scenarios(["single"]), "hardware_class": "toy", **change},
    )


def artifact(**change: Any) -> Artifact:
    """Return an artifact whose files nobody reads."""
    spec = ArtifactSpec(
        engine="torch",
        precision="fp32",
        builder=None,
        config={},
        labels=("bad", "good"),
        runtime=Runtime(),
        files=(),
        lineage=Lineage("reviews", None, (), {}),
    )
    return Artifact(Path("nowhere"), dataclasses.replace(spec, **change))


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"alpha": 0.0}, "alpha is 0; give a share above 0 and below 0.5"),
        ({"alpha": 1.0}, "alpha is 1; give a share above 0 and below 0.5"),
        ({"alpha": -0.05}, "alpha is -0.05; give a share"),
        ({"alpha": 5.0}, "alpha is 5; give a share"),
        ({"alpha": math.nan}, "alpha is nan; give a share"),
        ({"mde": 0.0}, "mde is 0; give a share above 0 and below 1"),
        ({"mde": 1.0}, "mde is 1; give a share"),
        ({"mde": 3.0}, "mde is 3; give a share"),
        ({"mde": math.inf}, "mde is inf; give a share"),
        ({"tolerance": 0.03}, "the tolerance is 0.03 and mde 0.03; a tolerance is at least 0 and below mde"),
        ({"tolerance": 0.5}, "the tolerance is 0.5 and mde 0.03"),
        ({"tolerance": -0.001}, "the tolerance is -0.001 and mde 0.03"),
        ({"tolerance": math.nan}, "the tolerance is nan and mde 0.03"),
        ({"units_per_life_count": 0}, "0 units a life measure nothing; give at least 1"),
        ({"units_per_life_count": -2}, "-2 units a life measure nothing"),
        ({"budget_sec": 0.0}, "the budget is 0 s; give a time above 0"),
        ({"budget_sec": -60.0}, "the budget is -60 s; give a time above 0"),
        ({"budget_sec": math.inf}, "the budget is inf s; give a time above 0"),
        ({"budget_sec": math.nan}, "the budget is nan s; give a time above 0"),
        ({"latency_target_sec": 0.0}, "the latency target is 0 s; give a time above 0"),
        ({"latency_target_sec": -0.1}, "the latency target is -0.1 s; give a time above 0"),
    ],
)
def test_a_value_out_of_its_range_is_refused_with_it(wrong: dict[str, float], said: str) -> None:
    """One sentence holds the value and what to give instead."""
    with pytest.raises(ParameterError) as caught:
        ask(**wrong)
    sentence = str(caught.value)

    assert said in sentence
    assert sentence.endswith(".")
    assert "\n" not in sentence


@pytest.mark.parametrize("alpha", [5e-324, 1e-310, 1e-300])
def test_an_alpha_that_no_number_of_lives_reaches_is_refused_in_a_sentence(alpha: float) -> None:
    """A share so small that its inverse overflows is a question like any other that six lives cannot answer."""
    with pytest.raises((ParameterError, MeasurementError)):
        ask(alpha=alpha)


@pytest.mark.parametrize(("alpha", "least"), [(0.05, 5), (0.01, 8)])
def test_fewer_lives_than_any_verdict_needs_are_refused(alpha: float, least: int) -> None:
    """The sentence names the number that is enough, and that number is accepted."""
    for count in (least - 1, 1, 0, -3):
        with pytest.raises(
            MeasurementError,
            match=rf"^{count} lives cannot decide anything at alpha {alpha}; allow at least {least}\.$",
        ):
            ask(alpha=alpha, max_lives_count=count)

    assert ask(alpha=alpha, max_lives_count=least).least_lives_count == least


def test_values_at_the_edge_are_accepted() -> None:
    """No tolerance, one unit, a wide mde, a second of budget: unusual, and allowed."""
    asked = ask(tolerance=0.0, units_per_life_count=1, mde=0.99, budget_sec=1.0, latency_target_sec=0.001)

    assert (asked.tolerance, asked.units_per_life_count, asked.mde) == (0.0, 1, 0.99)


def test_an_unknown_scenario_is_refused_with_the_nearest_name() -> None:
    """What was typed is in the sentence, and what was probably meant."""
    with pytest.raises(ParameterError, match=r"scenario `ofline` is not known; did you mean `offline`\?"):
        ask(scenarios=get_scenarios(["single", "ofline"]))


def test_artifacts_of_one_workload_and_labels_are_comparable() -> None:
    """Everything else may differ: engine, precision and how it is served."""
    check_comparable(artifact(), artifact(engine="openvino", precision="int8", runtime=Runtime(thread_count=1)))


def test_artifacts_of_two_workloads_are_refused() -> None:
    """Both names are in the sentence, baseline first."""
    other = artifact(lineage=Lineage("digits", None, (), {}))
    with pytest.raises(
        ParameterError,
        match=r"^the baseline is of workload `reviews` and the candidate of `digits`; compare artifacts of one\.$",
    ):
        check_comparable(artifact(), other)


@pytest.mark.parametrize("labels", [("good", "bad"), ("bad", "fair", "good"), ("bad",)])
def test_artifacts_with_other_labels_are_refused(labels: tuple[str, ...]) -> None:
    """Another number, other words or another order is another question; both lists are in the sentence."""
    with pytest.raises(ParameterError, match="same labels") as caught:
        check_comparable(artifact(), artifact(labels=labels))

    assert "answers with ['bad', 'good']" in str(caught.value)
    assert str(list(labels)) in str(caught.value)
