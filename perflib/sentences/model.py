"""The machine and the model today."""

from perflib import units
from perflib.results import Baseline, Ceilings, MachineCeilings


def ceilings_sentence(ceilings: Ceilings) -> str:
    """Say how much the lower precisions could give at best."""
    parts = [
        f"{name} at most {units.speedup(rate / ceilings.fp32_flop_per_sec)}"
        for name, rate in (("bf16", ceilings.bf16_flop_per_sec), ("int8", ceilings.int8_op_per_sec))
        if rate is not None
    ]
    return f"Over a perfect fp32, this machine can give {' and '.join(parts) or 'no lower precision'}."


def repeats_sentences(known: MachineCeilings) -> list[str]:
    """Say how well ceilings repeat that were measured more than once."""
    worst = {one.thread_count: one.worst_repeat_ratio for one in known.repeats}
    if not worst:
        return []
    told = ", ".join(f"{units.percent(ratio)} at {count} thread{'s' * (count > 1)}" for count, ratio in worst.items())
    return [f"Measured again, ceilings were within {told} of what was known; the larger one is kept."]


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
