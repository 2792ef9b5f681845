"""The rules of gates that look at the whole test split (A1 to A5) and at what was asked (A12 to A16)."""

from collections.abc import Callable, Mapping
from typing import Any

from perflib.governance.recompute.ruling import OPEN, Bar, Ruling, at_least, at_most, worst_part

Rule = Callable[[Any, Bar], Ruling]

_AGAIN, _PADDED = "asked again", "padded to the longest"


def _retention(record: Any, bar: Bar) -> Ruling:
    right_before, right_after = (
        round(record[f"{arm}_accuracy_ratio"] * record["example_count"]) for arm in ("baseline", "candidate")
    )
    if right_before == 0:
        return OPEN
    kept = right_after / right_before
    return Ruling(at_least(kept, bar), kept)


def _non_inferiority(record: Any, bar: Bar) -> Ruling:
    change = record["accuracy_change_ratio"]
    low = -1.0 if change["low"] is None else change["low"]
    not_shown = "FAIL" if change["estimate"] <= -bar.limit else "INCONCLUSIVE"
    return Ruling("PASS" if low > -bar.limit else not_shown, change["estimate"], change["low"])


def _negative_flips(record: Any, bar: Bar) -> Ruling:
    forgiven_count = record["negative_tie_count"] if bar.has_free_ties else 0
    share = (record["negative_flip_count"] - forgiven_count) / record["example_count"]
    return Ruling(at_most(share, bar), share)


def _all_flips(record: Any, bar: Bar) -> Ruling:
    forgiven_count = record["tie_count"] if bar.has_free_ties else 0
    flip_count = record["negative_flip_count"] + record["positive_flip_count"]
    share = (flip_count - forgiven_count) / record["example_count"]
    return Ruling(at_most(share, bar), share)


def _loyalty(record: Any, bar: Bar) -> Ruling:
    """Labels are compared on every example, so answers that are no numbers leave nothing open."""
    if record["distances"] is None:
        return OPEN
    value = record["distances"]["label_loyalty_ratio"]
    return Ruling(at_least(value, bar), value)


def _distance(field: str, judge: Callable[[float, Bar], str]) -> Rule:
    def rule(record: Any, bar: Bar) -> Ruling:
        if record["distances"] is None:
            return OPEN
        value = record["distances"][field]
        verdict = judge(value, bar)
        # What keeps its limit on the finite answers alone has not kept it.
        is_open = record["non_finite_count"] > 0 and verdict != "FAIL"
        return Ruling("INCONCLUSIVE" if is_open else verdict, value)

    return rule


def _confidence(name: str) -> Rule:
    def rule(record: Any, bar: Bar) -> Ruling:
        change = next((one for one in record["differences"] if one["name"] == name), None)
        if change is None:
            return OPEN
        # The upper bound decides; the estimate only says whether beyond it is a fail or an open question.
        verdict = at_most(change["high"], bar)
        most = bar.limit if bar.warn_limit is None else bar.warn_limit
        if verdict == "FAIL" and change["estimate"] <= most:
            verdict = "INCONCLUSIVE"
        return Ruling(verdict, change["estimate"], change["low"], change["high"])

    return rule


def _finite(record: Any, bar: Bar) -> Ruling:
    count = float(record["non_finite_count"])
    return Ruling(at_most(count, bar), count)


def _sums(record: Any, bar: Bar) -> Ruling:
    if record["non_finite_count"] >= record["example_count"]:
        return OPEN
    return Ruling(at_most(record["worst_sum_error_ratio"], bar), record["worst_sum_error_ratio"])


def _moved(one: Any) -> float:
    """Return the largest difference of an answer; a label that changes is one, whatever its probability says."""
    return max(float(one["max_difference_ratio"]), 1.0 if one["changed_label_count"] else 0.0)


def _relabelled(one: Any) -> float:
    share: float = one["changed_label_count"] / one["example_count"]
    return share


def _asked(is_meant: Callable[[str], bool], number: Callable[[Any], float]) -> Rule:
    def rule(record: Any, bar: Bar) -> Ruling:
        values = [number(one) for one in record["invariance"] if is_meant(one["what"])]
        return worst_part([Ruling(at_most(value, bar), value) for value in values])

    return rule


def _padding(record: Any, bar: Bar) -> Ruling:
    asked = {one["what"] for one in record["invariance"]}
    if _AGAIN in asked and _PADDED not in asked:
        return Ruling("PASS", 0.0)
    return _asked(lambda what: what == _PADDED, _relabelled)(record, bar)


def _identity(record: Any, bar: Bar) -> Ruling:
    one = record["identity"]
    if one["timed_candidate_sha256"] is None:
        return OPEN
    built = one["built_sha256"] or one["candidate_sha256"]
    other_count = float(
        sum(
            first != second
            for first, second in (
                (one["timed_candidate_sha256"], one["candidate_sha256"]),
                (one["timed_baseline_sha256"], one["baseline_sha256"]),
                (one["timed_inputs_sha256"], one["baseline_inputs_sha256"]),
                (one["candidate_inputs_sha256"], one["baseline_inputs_sha256"]),
                (built, one["candidate_sha256"]),
            )
        )
    )
    return Ruling(at_most(other_count, bar) if other_count else "PASS", other_count)


def _apart(record: Any, bar: Bar) -> Ruling:
    if not record["overlaps"]:
        return OPEN
    count = float(sum(one["exact_count"] for one in record["overlaps"]))
    return Ruling(at_most(count, bar), count)


def _machine(record: Any, bar: Bar) -> Ruling:
    one = record["identity"]
    if one["timed_hardware_class"] is None:
        return OPEN
    is_other = float(one["timed_hardware_class"] != one["hardware_class"])
    return Ruling(at_most(is_other, bar), is_other)


def _cut(record: Any, bar: Bar) -> Ruling:
    return Ruling(at_most(record["cut_ratio"], bar), record["cut_ratio"])


WHOLE: Mapping[str, Rule] = {
    "A1": _retention,
    "A2": _non_inferiority,
    "A3-negative": _negative_flips,
    "A3-all": _all_flips,
    "A4-label-loyalty": _loyalty,
    "A4-kl-mean": _distance("kl_mean_nat", at_most),
    "A4-kl-p99": _distance("kl_p99_nat", at_most),
    "A4-cosine": _distance("cosine_ratio", at_least),
    "A5-ece": _confidence("ece"),
    "A5-brier": _confidence("brier"),
    "A12-finite": _finite,
    "A12-sums": _sums,
    "A12-again": _asked(lambda what: what == _AGAIN, _moved),
    "A12-batch": _asked(lambda what: what not in (_AGAIN, _PADDED), _relabelled),
    "A12-padding": _padding,
    "A12-difference": _asked(lambda what: what != _AGAIN, _moved),
    "A13": _identity,
    "A14": _apart,
    "A15": _machine,
    "A16": _cut,
}
