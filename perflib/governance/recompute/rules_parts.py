"""The rules of gates that look at parts of the data and at probes (A6 to A11): the worst part decides."""

import math
from collections.abc import Callable, Mapping
from typing import Any

from perflib.governance.recompute.bounds import FAMILY_ALPHA_RATIO, Pairs
from perflib.governance.recompute.ruling import OPEN, Bar, Ruling, shown_harm, worst_part

Rule = Callable[[Any, Bar], Ruling]

_LEAST_PAIR_COUNT = 500
# The largest mean gap of the systems that Kiritchenko and Mohammad (2018) found.
_NOTABLE_GAP_RATIO = 0.03
_RARE_RATIO, _FREQUENT_RATIO = 0.05, 0.10


def _recall(record: Any, bar: Bar) -> Ruling:
    changes = [one["recall_change"] for one in record["classes"] if one["is_gated"]]
    return worst_part([_loss(one["estimate"], one["low"], one["high"], bar) for one in changes])


def _rate(record: Any, bar: Bar) -> Ruling:
    parts = []
    for change in (one["rate_change"] for one in record["classes"]):
        # More often or less often: the side on which the change lies is the harm.
        low, high = max(change["low"], -change["high"]), max(change["high"], -change["low"])
        shift = abs(change["estimate"])
        parts.append(Ruling(shown_harm(shift, low, bar.limit), shift, low, high))
    return worst_part(parts)


def _slice_drop(record: Any, bar: Bar) -> Ruling:
    return worst_part([_loss(one["change_ratio"], *_holm(one), bar) for one in _gated(record["slices"])])


def _slice_bound(record: Any, bar: Bar) -> Ruling:
    parts, restless = [], _restless(record, bar) if bar.is_above_churn else frozenset()
    for one in _gated(record["slices"]):
        if (one["column"], one["value"]) in restless:
            continue
        low, high = _holm(one)
        if low > -bar.limit:
            verdict = "PASS"
        else:
            verdict = "FAIL" if high < 0 and one["change_ratio"] <= -bar.limit else "INCONCLUSIVE"
        parts.append(Ruling(verdict, -low))
    return worst_part(parts)


def _slice_worst(record: Any, bar: Bar) -> Ruling:
    gated = _gated(record["slices"])
    if not gated:
        return OPEN
    # A tie that is forgiven changes nothing, so the candidate is as right as before plus the change that counts.
    after = [one["baseline_accuracy_ratio"] + one["change_ratio"] for one in gated]
    worst = min(range(len(gated)), key=after.__getitem__)
    harm = min(one["baseline_accuracy_ratio"] for one in gated) - after[worst]
    return Ruling(shown_harm(harm, -_holm(gated[worst])[1], bar.limit), harm)


def _gap(field: str) -> Rule:
    def rule(record: Any, bar: Bar) -> Ruling:
        changes = [one[field] for one in record["gaps"] if one[field] is not None]
        return worst_part([_growth(one, bar) for one in changes])

    return rule


def _perturbed(record: Any, bar: Bar) -> Ruling:
    parts = []
    for one in _gated_probes(record, "perturbation"):
        part = _growth(one["increase"], bar)
        if bar.warn_limit is not None and part.verdict != "FAIL":
            verdict = "PASS" if part.verdict == "PASS" else "WARN"
            part = part._replace(verdict=verdict if one["increase"]["high"] <= bar.warn_limit else "INCONCLUSIVE")
        parts.append(part)
    return worst_part(parts)


def _of_pairs(rule: Rule) -> Rule:
    """Ask a rule only where there are enough swapped pairs."""

    def asked(record: Any, bar: Bar) -> Ruling:
        pairs = _gated_probes(record, "counterfactual")
        return rule(pairs, bar) if _count(pairs) >= _LEAST_PAIR_COUNT else OPEN

    return asked


def _swapped_flips(pairs: Any, bar: Bar) -> Ruling:
    harm = sum(one["candidate_fail_count"] - one["baseline_fail_count"] for one in pairs) / _count(pairs)
    together = Ruling(shown_harm(harm, max(one["increase"]["low"] for one in pairs), bar.limit), harm)
    alone = [_growth(one["increase"], bar) for one in pairs]
    return worst_part([together, *(one for one in alone if one.verdict == "FAIL")])


def _swapped_gap(pairs: Any, bar: Bar) -> Ruling:
    if any(one["token_gap_change_ratio"] is None for one in pairs):
        return OPEN
    change = sum(one["token_gap_change_ratio"] * one["probe_count"] for one in pairs) / _count(pairs)
    return Ruling("PASS" if change <= bar.limit else "FAIL", change)


def _swapped_mean(pairs: Any, bar: Bar) -> Ruling:
    parts = []
    for one in pairs:
        means = one["baseline_mean_gap_ratio"], one["candidate_mean_gap_ratio"]
        if None in means:
            parts.append(OPEN)
            continue
        before, after = (abs(mean) for mean in means)
        is_new = after > _NOTABLE_GAP_RATIO >= before
        has_grown = round(after - before, 12) > bar.limit
        parts.append(Ruling("FAIL" if is_new or has_grown else "PASS", after - before))
    return worst_part(parts)


def _behaviour(record: Any, bar: Bar) -> Ruling:
    parts = []
    for one in _gated_probes(record, "behaviour"):
        part = _growth(one["increase"], bar)
        before, after = (one[f"{arm}_fail_count"] / one["probe_count"] for arm in ("baseline", "candidate"))
        is_lost = before < _RARE_RATIO and after > _FREQUENT_RATIO
        parts.append(part._replace(verdict="FAIL") if is_lost else part)
    return worst_part(parts)


PARTS: Mapping[str, Rule] = {
    "A6-recall": _recall,
    "A6-rate": _rate,
    "A7-drop": _slice_drop,
    "A7-bound": _slice_bound,
    "A7-worst": _slice_worst,
    "A8-gap": _gap("gap_increase"),
    "A8-odds": _gap("odds_increase"),
    "A9": _perturbed,
    "A10-flips": _of_pairs(_swapped_flips),
    "A10-gap": _of_pairs(_swapped_gap),
    "A10-mean": _of_pairs(_swapped_mean),
    "A11": _behaviour,
}


def _loss(estimate: float, low: float, high: float, bar: Bar) -> Ruling:
    """Judge a change of accuracy: what is lost is the harm, and the bounds change sides with the sign."""
    return Ruling(shown_harm(-estimate, -high, bar.limit), -estimate, -high, -low)


def _growth(change: Any, bar: Bar) -> Ruling:
    verdict = shown_harm(change["estimate"], change["low"], bar.limit)
    return Ruling(verdict, change["estimate"], change["low"], change["high"])


def _gated(parts: Any) -> list[Any]:
    return [one for one in parts if one["is_gated"]]


def _gated_probes(record: Any, suite: str) -> list[Any]:
    return _gated(one for one in record["probes"] if one["suite"] == suite)


def _count(pairs: Any) -> int:
    return sum(one["probe_count"] for one in pairs)


def _holm(one: Any) -> tuple[float, float]:
    low, high = one["holm_low_ratio"], one["holm_high_ratio"]
    return -1.0 if low is None else low, 1.0 if high is None else high


def _restless(record: Any, bar: Bar) -> frozenset[tuple[str, str]]:
    """Return the slices where what a re-training flips, half of it for the better, would already break the bound."""
    gated, churn = _gated(record["slices"]), record["churn"]
    level = 1 - FAMILY_ALPHA_RATIO / max(len(gated), 1)
    flip_counts = {(one["column"], one["value"]): one["flip_count"] for one in churn["slices"]}
    found = set()
    for one in gated:
        key = one["column"], one["value"]
        half_count = math.ceil(flip_counts.get(key, 0) / 2)
        if Pairs(half_count, half_count, one["example_count"]).low_ratio(level) <= -bar.limit:
            found.add(key)
    return frozenset(found)
