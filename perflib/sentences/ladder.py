"""Which step gave what, and whether the whole beats what one would pick instead."""

from collections.abc import Sequence

from perflib import units
from perflib.results import Comparison, EndToEnd, Interval, Ladder, ModelAlone, Rival, ScenarioComparison
from perflib.results.ladder import CategoryFactor, LadderTotal

_PARTICIPLES = {"gave": "given", "cost": "cost"}
_WAYS = {"single": "one at a time", "offline": "in throughput"}


def ladder_sentence(ladder: Ladder) -> str:
    """Say for every scenario which step gave most, the total, and what the steps leave open."""
    parts = []
    for total in ladder.totals:
        factors = [
            (speed.factor_ratio, _step(rung.stage, rung.category))
            for rung in ladder.rungs
            for speed in rung.speeds
            if speed.scenario == total.scenario
        ]
        best, step = max(factors, key=lambda pair: pair[0].estimate)
        parts.append(
            f"In {total.scenario}, {ladder.name} is {_ratio(total.total_ratio)} as fast as the baseline "
            f"({total.lives_count} lives, paired directly); {step} gave most, {_ratio(best)}. {_open(total)}"
        )
    return " ".join(parts)


def waterfall_sentence(ladder: Ladder) -> str:
    """
    Say for every scenario why the candidate is faster, or why it is not.

    What made it slower stands first where it is slower. A category counts only where its interval leaves out 1.
    """
    if not ladder.totals:
        return f"No step of {ladder.name} was timed, so nothing is known of why it is faster or not."
    return " ".join(_why(ladder.name, total) for total in ladder.totals)


def consistency_sentence(ladder: Ladder) -> str:
    """Say for every scenario whether the steps multiply to the total that was paired directly."""
    parts = [f"{_way(total)[:1].upper()}{_way(total)[1:]}: {_open(total)}" for total in ladder.totals]
    mixed = [rung for rung in ladder.rungs if " and " in rung.category]
    if mixed:
        named = " and ".join(f"`{rung.stage}` ({rung.category})" for rung in mixed)
        parts.append(f"Not taken apart here, so that its parts stay unknown: {named}.")
    return " ".join(parts)


def _why(name: str, total: LadderTotal) -> str:
    ratio = total.total_ratio
    gave = sorted((one for one in total.categories if _is_sure(one, 1)), key=lambda one: -one.factor_ratio.estimate)
    cost = sorted((one for one in total.categories if _is_sure(one, -1)), key=lambda one: one.factor_ratio.estimate)
    if ratio.low is not None and ratio.low > 1:
        word, first, second = "faster", gave, cost
    elif ratio.high is not None and ratio.high < 1:
        word, first, second = "slower", cost, gave
    else:
        word, first, second = "neither faster nor slower for sure", [], []
    head = f"{name} is {word} {_way(total)}, {_ratio(ratio)} as fast as the baseline ({total.lives_count} lives)"
    if len(total.categories) == 1:
        return f"{head}, and all of it is {total.categories[0].category}: its recipe changes nothing else."
    if first:
        verb, against = ("gave", "cost") if word == "faster" else ("cost", "gave")
        return f"{head}, because {_listed(first, verb)}; {_listed(second, against)}."
    if word in ("faster", "slower"):
        return f"{head}, and no single change is sure to have made it so."
    return f"{head}: {_listed(gave, 'gave')}, and {_listed(cost, 'cost')}."


def _listed(found: Sequence[CategoryFactor], verb: str) -> str:
    """Name the strongest category, then the others that are sure."""
    if not found:
        return f"no change is sure to have {_PARTICIPLES[verb]} anything"
    most, *others = found
    words = f"{most.category} {verb} most, {_ratio(most.factor_ratio)}"
    rest = [f"{one.category} {_ratio(one.factor_ratio)}" for one in others]
    return f"{words} (then {', '.join(rest)})" if rest else words


def _is_sure(one: CategoryFactor, sign: int) -> bool:
    low, high = one.factor_ratio.low, one.factor_ratio.high
    return (low is not None and low > 1) if sign > 0 else (high is not None and high < 1)


def _open(total: LadderTotal) -> str:
    """Say what the steps multiply to and what that leaves open."""
    agrees = {
        True: "which agrees with the total within the intervals",
        False: "which does not agree with the total: the steps act on each other, or the machine changed meanwhile",
        None: "too few lives to say whether they agree with the total",
    }[total.is_consistent]
    return (
        f"The steps multiply to {_ratio(total.product_ratio)}, {agrees}; "
        f"{_ratio(total.unattributed_ratio)} is left open."
    )


def _way(total: LadderTotal) -> str:
    return _WAYS.get(total.scenario, f"in {total.scenario}")


def _step(stage: str, category: str) -> str:
    return f"`{stage}` ({category})"


def _ratio(ratio: Interval) -> str:
    return units.speedup(ratio.estimate, ratio.low, ratio.high)


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
