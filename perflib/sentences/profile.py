"""Where the time of the model goes, and how far it is from what the machine allows."""

from perflib import units
from perflib.results import Baseline, Ceilings, Profile, Roofline

# What is arithmetic on matrices; attention is two products with a softmax between them.
PRODUCT_KINDS = ("matrix", "attention")
KIND_WORDS = {
    "matrix": "matrix products",
    "attention": "attention",
    "normalisation": "normalisation",
    "elementwise": "elementwise work",
    "reduction": "reductions",
    "embedding": "embeddings",
    "memory": "copying memory",
    "quantization": "quantizing and back",
    "fused": "fused kernels",
    "other": "other operators",
    "framework": "Python and dispatch",
    "idle": "idle gaps",
    "unattributed": "unattributed",
}
_WIDTH_BYTES = {"fp32": 4, "bf16": 2, "int8": 1}
_TOP_COUNT = 3


def profile_sentence(profile: Profile) -> str:
    """Say which operators take the time."""
    if not profile.operators:
        return f"{profile.source} names no operators of `{profile.name}`."
    top = [
        f"{row.operator.removeprefix('aten::')} {units.percent(row.self_share_ratio, 0)}"
        for row in profile.operators[:_TOP_COUNT]
    ]
    return f"Most of the time goes to {', '.join(top)}."


def kinds_sentence(profile: Profile) -> str:
    """Say which kinds of work take the wall time, and how much of it no operator took."""
    step_sec = profile.wall_sec / profile.active_step_count
    without_work = ("framework", "idle", "unattributed")
    worked = sorted((one for one in profile.kinds if one.kind not in without_work), key=lambda one: -one.share_ratio)
    parts = [f"{KIND_WORDS[one.kind]} {units.percent(one.share_ratio, 0)}" for one in worked[:_TOP_COUNT]]
    text = (
        f"A watched step of `{profile.name}` takes {units.duration(step_sec)}: {', '.join(parts) or 'no operator'}; in "
        f"{units.percent(profile.share_ratio(*without_work), 0)} of it no operator worked (Python, dispatch, gaps)."
    )
    if profile.padding_ratio > 0:
        text += f" {units.percent(profile.padding_ratio, 0)} of the tokens were padding."
    return text


def matrix_sentence(profile: Profile) -> str:
    """Say whether matrix products take more than half of the time, as a transformer's should."""
    share = profile.share_ratio(*PRODUCT_KINDS)
    word = "more than half, as predicted" if share > 0.5 else "less than half, against the prediction"
    return f"Matrix products and attention take {units.percent(share, 0)} of the time: {word}."


def reach_sentence(baseline: Baseline, profile: Profile, ceilings: Ceilings) -> str:
    """Say which share of the fp32 ceiling is useful work, in one call and in a batch; padding is no useful work."""
    real_ratio = 1 - profile.padding_ratio
    per_example = _flops_count(profile) / profile.step_example_count * real_ratio
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
        f"In the profiled step {units.percent(1 - real_ratio, 0)} of the tokens are padding, which is computed too."
    )


def limit_sentence(roofline: Roofline, ceilings: Ceilings) -> str:
    """Say how far the whole model is from what its products need at best, here and with every product in int8."""
    precision = " and ".join(sorted({point.precision for point in roofline.points}))
    text = (
        f"Of the {units.duration(roofline.step_sec)} of a step of `{roofline.name}`, "
        f"{units.percent(roofline.floor_sec / roofline.step_sec, 0)} is what its products need at best on "
        f"{roofline.thread_count} threads; so {units.speedup(roofline.limit_ratio)} is the most that the same "
        f"arithmetic can give in {precision}"
    )
    if precision == "int8" or "int8" not in ceilings.product_op_per_sec:
        return f"{text}."
    int8_ratio = roofline.step_sec / _int8_floor_sec(roofline, ceilings)
    return f"{text}, and {units.speedup(int8_ratio)} with every product in int8."


def overhead_sentence(profile: Profile) -> str:
    """Say what watching cost, and what the profiler did not see."""
    change = profile.overhead_ratio
    cost = (
        f"made the steps {units.percent(change)} longer"
        if change > 0
        else f"made the steps no longer ({units.percent(change)})"
    )
    return (
        f"Watching `{profile.name}` with {profile.source} {cost}, which is in no timed run; "
        f"{units.percent(profile.share_ratio('unattributed'))} of the watched time is unattributed and "
        f"{units.percent(profile.share_ratio('idle'))} are gaps in which nothing ran."
    )


def memory_sentence(profile: Profile) -> str:
    """Say what the allocator had given out at most, and how much of it came and went."""
    if profile.peak_allocated_bytes is None:
        return f"{profile.source} tells nothing of the memory of `{profile.name}`."
    text = f"`{profile.name}` held at most {units.size(profile.peak_allocated_bytes)} of tensors"
    if not profile.memory:
        return f"{text}."
    lowest_bytes = min(point.allocated_bytes for point in profile.memory)
    return f"{text}, {units.size(profile.peak_allocated_bytes - lowest_bytes)} of which came and went within the steps."


def _flops_count(profile: Profile) -> float:
    return sum(row.flop_count for row in profile.operators) / profile.active_step_count


def _int8_floor_sec(roofline: Roofline, ceilings: Ceilings) -> float:
    """Return what a step's products would need in int8, where every number is one byte."""
    rate = ceilings.product_op_per_sec["int8"]
    int8_sec = sum(
        max(
            point.flop_count / rate,
            point.moved_bytes / _WIDTH_BYTES[point.precision] / ceilings.copy_bytes_per_sec,
        )
        for point in roofline.points
    )
    # Points are sums over all steps; the floor is of one.
    return int8_sec * roofline.floor_sec / sum(point.attainable_sec for point in roofline.points)
