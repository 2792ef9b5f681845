"""Gates A6 to A8, part by part: classes, slices, gaps between groups."""

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence

from perflib import units
from perflib.results import Change, GapResult, GateVerdict, SliceResult, Validation
from perflib.validation.families import FAMILY_ALPHA_RATIO, Discordant
from perflib.validation.gates.ruling import Limit, Rule, Ruling, harm_verdict, margin_points, worst_of


def _recall(limit: Limit, found: Validation) -> Ruling:
    rulings = [
        Ruling(
            harm_verdict(-one.recall_change.estimate, -one.recall_change.high, limit),
            -one.recall_change.estimate,
            f"The recall of {one.label} changes by {units.points(one.recall_change.estimate)} "
            f"({one.example_count:,} examples); it may fall by {margin_points(limit)}.",
            -one.recall_change.high,
            -one.recall_change.low,
        )
        for one in found.classes
        if one.is_gated
    ]
    return worst_of(rulings, "No class has enough examples to be judged.")


def _rate(limit: Limit, found: Validation) -> Ruling:
    rulings = []
    for one in found.classes:
        change = one.rate_change
        # Either way is a shift; the bound on the side of zero says whether it is there at all.
        low = max(change.low, -change.high)
        rulings.append(
            Ruling(
                harm_verdict(abs(change.estimate), low, limit),
                abs(change.estimate),
                f"The share of answers that are {one.label} changes by {units.points(change.estimate)} "
                f"[{units.points(change.low)}, {units.points(change.high)}]; {margin_points(limit)} either way is "
                "allowed.",
                low,
                max(change.high, -change.low),
            )
        )
    return worst_of(rulings, "There is no class to judge.")


def _slice_drop(limit: Limit, found: Validation) -> Ruling:
    return worst_of([_dropped(one, limit) for one in _gated(found)], _NO_SLICE)


def _dropped(one: SliceResult, limit: Limit) -> Ruling:
    low, high = _bounds(one)
    return Ruling(
        harm_verdict(-one.change_ratio, -high, limit),
        -one.change_ratio,
        f"{_named(one)}: accuracy changes by {units.points(one.change_ratio)} "
        f"[{units.points(low)}, {units.points(high)}]; it may fall by {margin_points(limit)}.",
        -high,
        -low,
    )


def _slice_bound(limit: Limit, found: Validation) -> Ruling:
    gated = _gated(found)
    restless = restless_slices(limit, found) if limit.is_above_churn else frozenset()
    rulings = []
    for one in gated:
        if (one.column, one.value) in restless:
            continue
        low, high = _bounds(one)
        failed: GateVerdict = "FAIL" if high < 0 and one.change_ratio <= -limit.limit else "INCONCLUSIVE"
        verdict = "PASS" if low > -limit.limit else failed
        sentence = (
            f"{_named(one)}: accuracy changes by {units.points(one.change_ratio)}, and what cannot be ruled out is "
            f"{units.points(low)}; −{margin_points(limit)} has to be ruled out."
        )
        rulings.append(Ruling(verdict, -low, sentence))
    ruling = worst_of(rulings, _NO_SLICE)
    if not restless:
        return ruling
    left_out = ", ".join(sorted(f"{column} = {value}" for column, value in restless))
    return dataclasses.replace(
        ruling,
        sentence=f"{ruling.sentence} Not asked of {left_out}: training again with another seed changes so many "
        "answers there that nobody could rule it out.",
    )


def restless_slices(limit: Limit, found: Validation) -> frozenset[tuple[str, str]]:
    """
    Return the gated slices whose bound no candidate that was trained again could keep, by column and value.

    As a slice is too small where it could not bear one flip, so it is for a trained candidate where it could not bear
    the flips of an honest re-training, half of them for the better. How far accuracy falls there is judged as anywhere.
    """
    gated, churn = _gated(found), found.churn
    if churn is None:
        return frozenset()
    level = 1 - FAMILY_ALPHA_RATIO / max(len(gated), 1)
    flip_counts = {(one.column, one.value): one.flip_count for one in churn.slices}
    restless = set()
    for one in gated:
        worse_count = math.ceil(flip_counts.get((one.column, one.value), 0) / 2)
        even = Discordant(worse_count, worse_count, one.example_count)
        if even.low_ratio(level) <= -limit.limit:
            restless.add((one.column, one.value))
    return frozenset(restless)


def _slice_worst(limit: Limit, found: Validation) -> Ruling:
    gated = _gated(found)
    if not gated:
        return Ruling("INCONCLUSIVE", None, _NO_SLICE)
    before = min(one.baseline_accuracy_ratio for one in gated)
    worst = min(gated, key=_after)
    harm = before - _after(worst)
    return Ruling(
        harm_verdict(harm, -_bounds(worst)[1], limit),
        harm,
        f"The worst slice was right on {units.percent(before)}, and is now {_named(worst)} with "
        f"{units.percent(_after(worst))}; it may be {margin_points(limit)} worse.",
    )


def _gap(change_of: Callable[[GapResult], Change | None], what: str) -> Rule:
    def rule(limit: Limit, found: Validation) -> Ruling:
        rulings = []
        for one in found.gaps:
            change = change_of(one)
            if change is None:
                continue
            rulings.append(
                Ruling(
                    harm_verdict(change.estimate, change.low, limit),
                    change.estimate,
                    f"By {one.column}, {what} grows by {units.points(change.estimate)} [{units.points(change.low)}, "
                    f"{units.points(change.high)}]; {margin_points(limit)} is allowed.",
                    change.low,
                    change.high,
                )
            )
        return worst_of(rulings, "No column has two groups that are large enough to compare.")

    return rule


GROUPS: Mapping[str, tuple[str, Rule]] = {
    "A6-recall": ("recall of each class", _recall),
    "A6-rate": ("how often each class is the answer", _rate),
    "A7-drop": ("accuracy in every slice", _slice_drop),
    "A7-bound": ("what no slice can have lost", _slice_bound),
    "A7-worst": ("the worst slice", _slice_worst),
    "A8-gap": ("gap between groups", _gap(lambda one: one.gap_increase, "the gap between best and worst")),
    "A8-odds": ("equalised odds", _gap(lambda one: one.odds_increase, "the equalised-odds difference")),
}

_NO_SLICE = "No slice has enough examples to be judged."


def _gated(found: Validation) -> Sequence[SliceResult]:
    return [one for one in found.slices if one.is_gated]


def _bounds(one: SliceResult) -> tuple[float, float]:
    """Return Holm's bounds of the change; without them everything is possible."""
    low, high = one.holm_low_ratio, one.holm_high_ratio
    return -1.0 if low is None else low, 1.0 if high is None else high


def _after(one: SliceResult) -> float:
    """Return the candidate's accuracy as far as its flips count: ties that are forgiven are as they were."""
    return one.baseline_accuracy_ratio + one.change_ratio


def _named(one: SliceResult) -> str:
    return f"{one.column} = {one.value} ({one.example_count:,} examples)"
