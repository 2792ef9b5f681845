"""
Computed conclusions: one sentence per result, with its values, its uncertainty and its n.

Notebooks and the report show these; nobody types a number into prose.
"""

from collections.abc import Sequence

from perflib import units
from perflib.results import (
    Baseline,
    Build,
    Calibration,
    Ceilings,
    Comparison,
    NoiseFloor,
    NoiseStudy,
    Prediction,
    Profile,
    RuleScore,
    ScenarioComparison,
    Validation,
)

# Self time of these is arithmetic on matrices; attention is two products with a softmax between them.
MATRIX_OPERATORS = frozenset(
    {
        *("aten::addmm", "aten::mm", "aten::bmm", "aten::baddbmm", "aten::_int_mm", "aten::mkldnn_convolution"),
        *("mkldnn::_linear_pointwise", "aten::_scaled_dot_product_flash_attention_for_cpu"),
        *("aten::_scaled_dot_product_flash_attention", "aten::_scaled_dot_product_efficient_attention"),
    }
)
# What the study of rules is summed up by.
_PLAIN_EFFECT_RATIO = 0.05
# More lives than this nobody waits for by default.
_PATIENCE_LIVES_COUNT = 60
_SPEED = {
    "IMPROVEMENT": "faster",
    "REGRESSION": "slower",
    "PASS": "not slower",
    "INCONCLUSIVE": "not decided",
}


def ceilings_sentence(ceilings: Ceilings) -> str:
    """Say how much the lower precisions could give at best."""
    parts = [
        f"{name} at most {units.speedup(rate / ceilings.fp32_flop_per_sec)}"
        for name, rate in (("bf16", ceilings.bf16_flop_per_sec), ("int8", ceilings.int8_op_per_sec))
        if rate is not None
    ]
    return f"Over a perfect fp32, this machine can give {' and '.join(parts) or 'no lower precision'}."


def distance_sentence(profile: Profile, ceilings: Ceilings) -> str:
    """Say how far the profiled batch is from the fp32 ceiling; the profiler's own overhead is in it."""
    flops_count = sum(row.flop_count for row in profile.operators) / profile.active_step_count
    ideal_sec = flops_count / ceilings.fp32_flop_per_sec
    seen_sec = profile.wall_sec / profile.active_step_count
    return (
        f"A batch of {profile.batch_example_count} needs {units.rate(flops_count, 'FLOP')}, which the fp32 ceiling "
        f"does in {units.duration(ideal_sec)}; under the profiler it takes {units.duration(seen_sec)}, "
        f"so {units.percent(ideal_sec / seen_sec, 0)} of the ceiling is reached."
    )


def matrix_sentence(profile: Profile) -> str:
    """Say whether matrix products take more than half of the time, as a transformer's should."""
    share = sum(row.self_share_ratio for row in profile.operators if row.operator in MATRIX_OPERATORS)
    word = "more than half, as predicted" if share > 0.5 else "less than half, against the prediction"
    return f"Matrix products and attention take {units.percent(share, 0)} of the time: {word}."


def reach_sentence(baseline: Baseline, profile: Profile, ceilings: Ceilings) -> str:
    """Say which share of the fp32 ceiling is useful work, in one call and in a batch; padding is no useful work."""
    flops_count = sum(row.flop_count for row in profile.operators) / profile.active_step_count
    real_ratio = profile.real_token_count / profile.batch_token_count
    per_example = flops_count / profile.batch_example_count * real_ratio
    reached = {
        one.scenario: per_example
        * (1 / one.p50_sec if one.scenario == "single" else one.examples_per_sec)
        / ceilings.fp32_flop_per_sec
        for one in baseline.scenarios
    }
    if not {"single", "offline"} <= set(reached):
        return "Only one scenario was timed, so one call and a batch cannot be compared."
    word = "as predicted" if reached["single"] < reached["offline"] else "against the prediction"
    return (
        f"Counting real tokens only, one call reaches {units.percent(reached['single'], 0)} of the fp32 ceiling and a "
        f"batch {units.percent(reached['offline'], 0)}: {word}. "
        f"In the profiled batch {units.percent(1 - real_ratio, 0)} of the tokens are padding, which is computed too."
    )


def profile_sentence(profile: Profile) -> str:
    """Say which operators take the time."""
    top = [
        f"{row.operator.removeprefix('aten::')} {units.percent(row.self_share_ratio, 0)}"
        for row in profile.operators[:3]
    ]
    return f"Most of the time goes to {', '.join(top)}."


def baseline_sentence(baseline: Baseline) -> str:
    """Say what the model does today: latency, throughput, quality."""
    parts = []
    for one in baseline.scenarios:
        if one.scenario == "single":
            parts.append(
                f"answers one call in {units.duration(one.p50_sec)} (95 % within {units.duration(one.p95_sec)})"
            )
        else:
            parts.append(f"works through {units.three_digits(one.examples_per_sec)} {baseline.unit} per second")
    accuracy = baseline.accuracy_ratio
    share = f"{units.percent(accuracy.estimate)} [{units.percent(accuracy.low)}, {units.percent(accuracy.high)}]"
    quality = f"is right on {share}"
    return f"Today the model {', '.join(parts)}, and {quality} of {baseline.test_count:,} test {baseline.unit}."


def build_sentence(build: Build) -> str:
    """Say what the recipe cost and what proves that it took effect."""
    proofs = [
        f"{proof['stage']}: {units.percent(proof['low_precision_share_ratio'], 0)} of {proof['linear_layer_count']} "
        "linear layers run in the low precision"
        for proof in build.proofs
        if "low_precision_share_ratio" in proof
    ]
    return (
        f"Built in {units.duration(build.build_sec)}: {units.size(build.parent_size_bytes)} became "
        f"{units.size(build.size_bytes)}{'; ' if proofs else ''}{'; '.join(proofs)}."
    )


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


def noise_sentence(noise: NoiseFloor) -> str:
    """Say the smallest usual effects that this machine can see, and how many lives that takes."""
    if noise.sd_ratio is None:
        return "This machine was too disturbed to say what it can see; end other programs and ask again."
    of = f"a life of a small NumPy model varies by {units.percent(noise.sd_ratio)} here ({noise.lives_count} lives)"
    # Of effects that need equally many lives the smallest says it all.
    smallest = {one.lives_count: one.effect_ratio for one in reversed(noise.visible)}
    seen = [
        f"{units.percent(effect_ratio, 0)} in {lives_count} lives"
        for lives_count, effect_ratio in sorted(smallest.items(), reverse=True)
        if lives_count <= _PATIENCE_LIVES_COUNT
    ]
    if not seen:
        return f"This machine can see no usual effect in {_PATIENCE_LIVES_COUNT} lives: {of}."
    return f"This machine can see {', '.join(seen)}: {of}."


def calibration_sentence(calibration: Calibration) -> str:
    """Say how often our own machinery was wrong, and what it found of what was planted."""
    same = next((cell for cell in calibration.cells if cell.effect_ratio == 0), None)
    parts = []
    if same is not None:
        alarms = same.regression_count + same.improvement_count
        parts.append(
            f"Of {same.comparison_count} comparisons of a model with itself {alarms} said slower or faster, "
            f"{same.pass_count} no regression, {same.inconclusive_count} not decided."
        )
    parts += [
        f"{units.percent(cell.effect_ratio, 0)} slower by {cell.kind}: found in {cell.regression_count} of "
        f"{cell.comparison_count}, median {cell.median_lives_count:.0f} lives."
        for cell in calibration.cells
        if cell.effect_ratio
    ]
    return " ".join(parts)


def rules_sentence(study: NoiseStudy) -> str:
    """Hold our rule against the others: false alarms in the worst noise first, then what a 5 % slowdown comes to."""
    same = [score for score in study.scores if score.effect_ratio == 0]
    worst = {score.rule: max((one for one in same if one.rule == score.rule), key=_said) for score in same}
    found = [score for score in study.scores if score.effect_ratio == _PLAIN_EFFECT_RATIO]
    ours = study.any_time[0].rule
    quietest = min((score for rule, score in worst.items() if rule != ours), key=_said)
    loudest = max((score for rule, score in worst.items() if rule != ours), key=_said)
    return (
        f"Where nothing differs, {ours} alarms in at most {units.percent(worst[ours].said_ratio)} of the comparisons, "
        f"and looked at after each of {study.any_time_lives_count} lives in at most "
        f"{units.percent(max(map(_said, study.any_time)))}; the habit of {loudest.rule} alarms in up to "
        f"{units.percent(loudest.said_ratio, 0)} ({loudest.noise}), that of {quietest.rule} in at most "
        f"{units.percent(quietest.said_ratio)}. Of slowdowns of {units.percent(_PLAIN_EFFECT_RATIO, 0)}, "
        f"{ours} finds {_range(found, ours)} and {quietest.rule} {_range(found, quietest.rule)}, by the kind of noise."
    )


def _said(score: RuleScore) -> float:
    return score.said_ratio


def _range(scores: Sequence[RuleScore], rule: str) -> str:
    shares = sorted(score.said_ratio for score in scores if score.rule == rule)
    return f"{units.percent(shares[0], 0)} to {units.percent(shares[-1], 0)}"


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


def quality_sentence(validation: Validation) -> str:
    """Say what changed in the answers, and what hides behind the mean."""
    change = validation.accuracy_change_ratio
    return (
        f"Accuracy changes by {units.points(change.estimate)} (95 % sure: no worse than {units.points(change.low)}). "
        f"Behind that, {validation.negative_flip_count} answers became wrong and {validation.positive_flip_count} "
        f"right, of {validation.example_count:,}. Guardrails: {validation.verdict}."
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
