"""How much faster, how sure, and whether it was expected."""

from perflib import units
from perflib.results import Comparison, Prediction, ScenarioComparison

_SPEED = {
    "IMPROVEMENT": "faster",
    "REGRESSION": "slower",
    "PASS": "not slower",
    "INCONCLUSIVE": "not decided",
}


def speed_sentence(comparison: Comparison) -> str:
    """Say the verdict of every scenario with interval and number of lives."""
    return " ".join(_scenario_sentence(comparison, one) for one in comparison.scenarios)


def comparison_sentence(comparison: Comparison) -> str:
    """Say the verdict of every scenario, why the comparison ended before one was reached, and what disturbed it."""
    parts = [speed_sentence(comparison)]
    if comparison.stop_sentence:
        parts.append(f"{comparison.stop_sentence[:1].upper()}{comparison.stop_sentence[1:]}")
    parts += [f"Note: {mark}." for mark in comparison.marks]
    return " ".join(parts)


def prediction_sentence(prediction: Prediction, comparison: Comparison) -> str:
    """Hold the prediction against the measurement."""
    one = next((one for one in comparison.scenarios if one.scenario == "offline"), comparison.scenarios[0])
    ratio, expected = one.speedup_ratio, prediction.predicted_speedup_ratio
    word = "as predicted"
    if ratio.low is not None and ratio.low > expected:
        word = "more than predicted"
    if ratio.high is not None and ratio.high < expected:
        word = "less than predicted"
    if ratio.low is None:
        word = "which the interval cannot test yet"
    return (
        f"Predicted {units.speedup(expected)}, measured {units.speedup(ratio.estimate, ratio.low, ratio.high)} in "
        f"{one.scenario}: {word}."
    )


def _scenario_sentence(comparison: Comparison, one: ScenarioComparison) -> str:
    ratio = one.speedup_ratio
    speed = units.speedup(ratio.estimate, ratio.low, ratio.high)
    lives = f"{len(one.log_ratios)} lives, E = {units.three_digits(one.evidence)}"
    if one.visible_effect_ratio is not None:
        lives += f", could have seen {units.percent(one.visible_effect_ratio)}"
    ruled_out = one.reached_mde_ratio
    if one.verdict == "INCONCLUSIVE":
        seen = "no slowdown" if ruled_out is None else f"slowdowns of {units.percent(ruled_out)} or more"
        return f"In {one.scenario}, {comparison.name} is not decided at {speed} ({lives}); this run rules out {seen}."
    if one.verdict == "PASS":
        return (
            f"In {one.scenario}, {comparison.name} shows no regression as large as "
            f"{units.percent(comparison.mde_ratio)}: {speed} of the baseline's speed ({lives})."
        )
    return f"In {one.scenario}, {comparison.name} is {_SPEED[one.verdict]}: {speed} of the baseline's speed ({lives})."
