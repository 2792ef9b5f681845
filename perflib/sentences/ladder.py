"""Which step gave what, and whether the whole beats what one would pick instead."""

from perflib import units
from perflib.results import Comparison, EndToEnd, Ladder, ModelAlone, Rival, ScenarioComparison


def ladder_sentence(ladder: Ladder) -> str:
    """Say for every scenario which step gave most, the total, and what the steps leave open."""
    parts = []
    for total in ladder.totals:
        factors = [
            (speed.factor_ratio, rung.stage)
            for rung in ladder.rungs
            for speed in rung.speeds
            if speed.scenario == total.scenario
        ]
        best, stage = max(factors, key=lambda pair: pair[0].estimate)
        ratio = total.total_ratio
        parts.append(
            f"In {total.scenario}, {ladder.name} is {units.speedup(ratio.estimate, ratio.low, ratio.high)} as fast as "
            f"the baseline ({total.lives_count} lives, paired directly); `{stage}` gave most, "
            f"{units.speedup(best.estimate, best.low, best.high)}. The steps multiply to "
            f"{units.speedup(total.product_ratio)}, which leaves {units.speedup(total.unattributed_ratio)} to their "
            "interplay and to noise."
        )
    return " ".join(parts)


def rivals_sentence(ladder: Ladder) -> str:
    """Say how the candidate stands against the best rival that passes the same gates, in every scenario."""
    approved = [rival for rival in ladder.rivals if rival.is_approved]
    if not approved:
        return "None of the usual choices passed the same gates, so there is nothing to compare with."
    parts = []
    for total in ladder.totals:
        # The best rival is the one over which the least is gained.
        rival, one = min(
            ((rival, _scenario(rival, total.scenario)) for rival in approved),
            key=lambda pair: pair[1].speedup_ratio.estimate,
        )
        ratio = one.speedup_ratio
        parts.append(
            f"In {total.scenario}, {ladder.name} is {units.speedup(ratio.estimate, ratio.low, ratio.high)} as fast as "
            f"{rival.name}, the best usual choice that passes the same gates ({len(one.log_ratios)} lives)."
        )
    failed = [rival.name for rival in ladder.rivals if not rival.is_approved]
    if failed:
        parts.append(f"Not approved themselves: {', '.join(failed)}.")
    if ladder.absent_rivals:
        parts.append(f"Not built here: {', '.join(ladder.absent_rivals)}.")
    return " ".join(parts)


def alone_sentence(comparison: Comparison, alone: ModelAlone | None) -> str:
    """Say how much of a speed-up is the model's and how much is how it is served."""
    if alone is None and comparison.is_baseline_runtime:
        return "Both are served the same way, so this is the speed-up of the model alone."
    if alone is None:
        return "The model is the baseline's own, so all of the speed-up is how it is served."
    parts = []
    for one in alone.comparison.scenarios:
        whole = next(other for other in comparison.scenarios if other.scenario == one.scenario)
        ratio = one.speedup_ratio
        parts.append(
            f"in {one.scenario} {units.speedup(ratio.estimate, ratio.low, ratio.high)} of "
            f"{units.speedup(whole.speedup_ratio.estimate)}"
        )
    return f"Served as the baseline is, the model alone gives {'; '.join(parts)}; the rest is how it is served."


def end_to_end_sentence(record: EndToEnd) -> str:
    """Say what is left of the speed-up with the tokeniser, and its share."""
    return (
        f"With tokenising, {record.example_count} raw inputs are answered {units.speedup(record.speedup_ratio)} as "
        f"fast as today; {units.percent(record.encode_share_ratio)} of the candidate's time is encoding (medians of "
        f"{len(record.candidate_sec)} passes in one process, a description and no verdict)."
    )


def _scenario(rival: Rival, name: str) -> ScenarioComparison:
    return next(one for one in rival.comparison.scenarios if one.scenario == name)
