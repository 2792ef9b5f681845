"""The machine and the model today."""

from perflib import units
from perflib.results import Baseline, Ceilings, Profile

# Self time of these is arithmetic on matrices; attention is two products with a softmax between them.
MATRIX_OPERATORS = frozenset(
    {
        *("aten::addmm", "aten::mm", "aten::bmm", "aten::baddbmm", "aten::_int_mm", "aten::mkldnn_convolution"),
        *("mkldnn::_linear_pointwise", "aten::_scaled_dot_product_flash_attention_for_cpu"),
        *("aten::_scaled_dot_product_flash_attention", "aten::_scaled_dot_product_efficient_attention"),
    }
)


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
