"""Gates A9 to A11, probe by probe: small changes of a text, another person in it, what a model has to be able to do."""

from collections.abc import Callable, Mapping, Sequence

from perflib import units
from perflib.results import Change, GateVerdict, ProbeResult, Validation
from perflib.validation.gates.ruling import Limit, Rule, Ruling, capital, harm_verdict, margin_points, worst_of

LEAST_PAIRS_COUNT = 500
# The largest mean gap of the baseline systems of Kiritchenko and Mohammad (2018).
_NOTABLE_GAP_RATIO = 0.03
_RARE_FAILURE_RATIO, _FREQUENT_FAILURE_RATIO = 0.05, 0.10


def _perturbed(limit: Limit, found: Validation) -> Ruling:
    ruled_out = "" if limit.warn_limit is None else f", and more than {100 * limit.warn_limit:g} pp has to be ruled out"
    rulings = [
        Ruling(
            _perturbed_verdict(one.increase, limit),
            one.increase.estimate,
            f"{_failing(one)}; {margin_points(limit)} more is allowed{ruled_out}.",
            one.increase.low,
            one.increase.high,
        )
        for one in _probes(found, "perturbation")
    ]
    return worst_of(rulings, "No perturbation changes enough texts to be judged.")


def _perturbed_verdict(change: Change, limit: Limit) -> GateVerdict:
    verdict = harm_verdict(change.estimate, change.low, limit)
    if limit.warn_limit is None or verdict == "FAIL":
        return verdict
    # Too much was seen, but it may be chance: if it cannot be much more either, that is a warning.
    seen: GateVerdict = "PASS" if verdict == "PASS" else "WARN"
    return seen if change.high <= limit.warn_limit else "INCONCLUSIVE"


def _of_pairs(rule: Callable[[Limit, Sequence[ProbeResult]], Ruling]) -> Rule:
    def of_record(limit: Limit, found: Validation) -> Ruling:
        pairs = _probes(found, "counterfactual")
        count = _pair_count(pairs)
        if count < LEAST_PAIRS_COUNT:
            return Ruling("INCONCLUSIVE", None, f"{count} swapped pairs are fewer than the {LEAST_PAIRS_COUNT} needed.")
        return rule(limit, pairs)

    return of_record


def _swapped_flips(limit: Limit, pairs: Sequence[ProbeResult]) -> Ruling:
    count = _pair_count(pairs)
    harm = sum(one.candidate_fail_count - one.baseline_fail_count for one in pairs) / count
    worst = max(pairs, key=lambda one: one.increase.estimate)
    together = Ruling(
        harm_verdict(harm, max(one.increase.low for one in pairs), limit),
        harm,
        f"When only the person changes, the answer changes in {units.points(harm)} more of {count:,} pairs, most for "
        f"{worst.kind} ({units.points(worst.increase.estimate)}); {margin_points(limit)} is allowed.",
    )
    groups = [
        Ruling(
            harm_verdict(one.increase.estimate, one.increase.low, limit),
            one.increase.estimate,
            f"{_failing(one)} when only the person changes; {margin_points(limit)} more is allowed.",
            one.increase.low,
            one.increase.high,
        )
        for one in pairs
    ]
    # A group alone is too small to prove safe, but a harm that is shown there must not vanish among the others.
    return worst_of([together, *(one for one in groups if one.verdict == "FAIL")], "There are no swapped pairs.")


def _swapped_gap(limit: Limit, pairs: Sequence[ProbeResult]) -> Ruling:
    weighted = 0.0
    for one in pairs:
        if one.token_gap_change_ratio is None:
            return Ruling("INCONCLUSIVE", None, f"No pair of {one.kind} has finite answers.")
        weighted += one.token_gap_change_ratio * one.probe_count
    change = weighted / _pair_count(pairs)
    return Ruling(
        "PASS" if change <= limit.limit else "FAIL",
        change,
        f"When only the person changes, the probability moves by {change:+.4f} more; {limit.limit:g} is allowed.",
    )


def _swapped_mean(limit: Limit, pairs: Sequence[ProbeResult]) -> Ruling:
    rulings = []
    for one in pairs:
        before, after = one.baseline_mean_gap_ratio, one.candidate_mean_gap_ratio
        if before is None or after is None:
            rulings.append(Ruling("INCONCLUSIVE", None, f"No pair of {one.kind} has finite answers."))
            continue
        growth = abs(after) - abs(before)
        is_inherited = abs(before) > _NOTABLE_GAP_RATIO
        is_notable = abs(after) > _NOTABLE_GAP_RATIO and not is_inherited
        inherited = " (so large already in the baseline)" if is_inherited else ""
        rulings.append(
            Ruling(
                "PASS" if round(growth, 12) <= limit.limit and not is_notable else "FAIL",
                growth,
                f"By {one.kind}, one side is answered {abs(after):.4f} more positively on average, {abs(before):.4f} "
                f"before{inherited}; {limit.limit:g} more is allowed, and no new gap over {_NOTABLE_GAP_RATIO:g}.",
            )
        )
    return worst_of(rulings, "There are no swapped pairs.")


def _behaviour(limit: Limit, found: Validation) -> Ruling:
    rulings = []
    for one in _probes(found, "behaviour"):
        before, after = one.baseline_fail_count / one.probe_count, one.candidate_fail_count / one.probe_count
        is_lost = before < _RARE_FAILURE_RATIO and after > _FREQUENT_FAILURE_RATIO
        rulings.append(
            Ruling(
                "FAIL" if is_lost else harm_verdict(one.increase.estimate, one.increase.low, limit),
                one.increase.estimate,
                f"{_failing(one)}; {margin_points(limit)} more is allowed.",
                one.increase.low,
                one.increase.high,
            )
        )
    return worst_of(rulings, "There are no behavioural cases.")


ROBUSTNESS: Mapping[str, tuple[str, Rule]] = {
    "A9": ("small changes of the text", _perturbed),
    "A10-flips": ("another person, same sentence", _of_pairs(_swapped_flips)),
    "A10-gap": ("another person, probability", _of_pairs(_swapped_gap)),
    "A10-mean": ("favour of one group", _of_pairs(_swapped_mean)),
    "A11": ("what the model has to be able to do", _behaviour),
}


def _probes(found: Validation, suite: str) -> Sequence[ProbeResult]:
    return [one for one in found.of_suite(suite) if one.is_gated]


def _pair_count(pairs: Sequence[ProbeResult]) -> int:
    return sum(one.probe_count for one in pairs)


def _failing(one: ProbeResult) -> str:
    change = one.increase
    return (
        f"{capital(one.kind)}: {one.candidate_fail_count} of {one.probe_count} fail, "
        f"{one.baseline_fail_count} before ({units.points(change.estimate)} [{units.points(change.low)}, "
        f"{units.points(change.high)}])"
    )
