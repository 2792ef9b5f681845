"""
A comparison, computed again from the raw times of its lives: log-ratios, estimate, interval, evidence, verdict.

Believed, because nothing in a record can show it: that a coin gave the order of the slots, that the readings which
dropped a unit are true, how many tokens a pass has, and why the comparison stopped.
"""

import math
import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from perflib.errors import DataError
from perflib.governance.recompute import evidence
from perflib.governance.recompute.metrics import bounded_exp, metrics
from perflib.governance.recompute.timings import ARM_LETTERS, arm_timing, slot_value_sec, slots_of

DROPPED_LIMIT_RATIO = 0.30
_ORDERS = ("ABBA", "BAAB")
# Bounds are the ends of a search that stops within a millionth; everything else is exact up to rounding.
_BOUND_TOLERANCE_RATIO, _TOLERANCE_RATIO = 3e-6, 1e-9
_SEARCHED = frozenset({"low", "high", "reached_mde_ratio"})
# A change of 10 %, less a tolerance of half a percent: fewer lives than it needs have no visible effect.
_PLAIN_EFFECT_LOG = math.log(1.10 / 1.005)
_TO_NORMAL, _PLAN_LOG = 1.4826, 2.5


def recompute_comparison(record: Mapping[str, Any]) -> tuple[str, ...]:
    """
    Say where a comparison is not what its raw times make of it.

    Args:
        record: A comparison, as its JSON file holds it.

    Returns:
        One sentence for each difference; none where all is as it should be.

    Raises:
        DataError: If the record lacks what a formula needs.
    """
    try:
        found = [sentence for one in record["scenarios"] for sentence in _of_scenario(record, one)]
        return (*found, *_of_metrics(record))
    except (KeyError, TypeError, ValueError, AttributeError, ArithmeticError, IndexError) as error:
        raise DataError(f"the comparison cannot be recomputed ({error!r}); measure it again.") from error


def _of_scenario(record: Mapping[str, Any], scenario: Mapping[str, Any]) -> list[str]:
    name = scenario["scenario"]
    malformed = _malformed(record, scenario)
    if malformed:
        return [f"{name}: {sentence}" for sentence in malformed]
    mine = _summary(record, scenario)
    found = _differing(name, scenario, mine)
    return found + _of_tokens(name, scenario)


def _of_tokens(name: str, scenario: Mapping[str, Any]) -> list[str]:
    """Both arms answer the same texts, so an example has the same tokens in both."""
    counts = []
    for arm in ARM_LETTERS:
        tokens, examples = scenario[arm]["tokens_per_sec"], scenario[arm]["examples_per_sec"]
        counts.append(None if tokens is None else tokens / examples)
    before, after = counts
    if before is None and after is None:
        return []
    if before is not None and after is not None and math.isclose(before, after, rel_tol=_TOLERANCE_RATIO):
        return []
    return [f"{name}: an example has {_shown(before)} tokens in the baseline and {_shown(after)} in the candidate."]


def _of_metrics(record: Mapping[str, Any]) -> list[str]:
    said, mine = {one["metric"]: one for one in record["metrics"]}, metrics(record)
    if sorted(one["metric"] for one in record["metrics"]) != sorted(mine):
        return [f"metrics are {', '.join(said) or 'none'}, and follow as {', '.join(mine) or 'none'}."]
    return _differing("metrics", said, mine)


def _malformed(record: Mapping[str, Any], scenario: Mapping[str, Any]) -> list[str]:
    """Return what no comparison can hold, whatever was timed."""
    lives, units = scenario["lives"], [unit for life in scenario["lives"] for unit in life["units"]]
    found = []
    if len(lives) != len(record["processes"]):
        found.append(f"it has {len(lives)} lives, and {len(record['processes'])} pairs of processes were started.")
    if any(life["first_loaded"] != _first(pair) for life, pair in zip(lives, record["processes"], strict=False)):
        found.append("a life says that another process was started first than its processes do.")
    if not units or any(unit["order"] not in _ORDERS or len(unit["samples_sec"]) != 4 for unit in units):
        found.append("a unit is no quad of slots, ABBA or BAAB.")
    call_counts = {len(samples_sec) for unit in units for samples_sec in unit["samples_sec"]}
    if len(call_counts) != 1 or min(call_counts) == 0 or min(call_counts) % scenario["passes_per_slot_count"]:
        found.append(f"its slots hold {sorted(call_counts)} times, and all have to hold equally many, pass by pass.")
    elif not all(call > 0 for unit in units for samples_sec in unit["samples_sec"] for call in samples_sec):
        found.append("a call took no time, or less.")
    return found


def _first(pair: Mapping[str, Any]) -> str:
    return "baseline" if pair["baseline"]["is_first"] and not pair["candidate"]["is_first"] else "candidate"


def _summary(record: Mapping[str, Any], scenario: Mapping[str, Any]) -> dict[str, Any]:
    """Return everything that follows from the raw times of one scenario, in the shape of the record."""
    alpha, tolerance, mde = (record[f"{key}_ratio"] for key in ("alpha", "tolerance", "mde"))
    units = [unit for life in scenario["lives"] for unit in life["units"]]
    dropped_ratio = sum(unit["dropped"] is not None for unit in units) / len(units)
    of_lives = [_life_log_ratio(life, scenario["statistic"]) for life in scenario["lives"]]
    ratios = [one for one in of_lives if one is not None]
    faster = [-one for one in ratios]
    verdict = evidence.verdict(ratios, alpha=alpha, tolerance=tolerance, mde=mde)
    log_evidence = evidence.log_evidence(faster, math.log1p(tolerance)) if faster else 0.0
    return {
        "verdict": "INCONCLUSIVE" if dropped_ratio > DROPPED_LIMIT_RATIO else verdict,
        "speedup_ratio": evidence.ratio_interval(faster or [0.0], alpha=alpha),
        "evidence": bounded_exp(log_evidence),
        "reached_mde_ratio": evidence.ruled_out_slowdown(ratios, alpha=alpha),
        "dropped_unit_ratio": dropped_ratio,
        "visible_effect_ratio": _visible_effect(ratios, alpha=alpha, tolerance=tolerance),
        "lives": [{"log_ratio": one} for one in of_lives],
        **{arm: arm_timing(scenario, arm) for arm in ARM_LETTERS},
    }


def _life_log_ratio(life: Mapping[str, Any], statistic: str) -> float | None:
    """Return the one value of a life: the mean of one or two counted units, of more their Hodges-Lehmann estimate."""
    values = []
    for unit in (one for one in life["units"] if one["dropped"] is None):
        logs = {
            arm: [math.log(slot_value_sec(unit["samples_sec"][place], statistic)) for _, place in slots_of([unit], arm)]
            for arm in ARM_LETTERS
        }
        values.append(statistics.fmean(logs["candidate"]) - statistics.fmean(logs["baseline"]))
    if not values:
        return None
    return statistics.fmean(values) if len(values) <= 2 else evidence.centre(values)


def _visible_effect(ratios: Sequence[float], *, alpha: float, tolerance: float) -> float | None:
    """Return the smallest slowdown that so many lives of this noise can be expected to find."""
    count, bar = len(ratios), math.log(1 / alpha)
    if not ratios or evidence.log_evidence([_PLAIN_EFFECT_LOG] * count, 0.0) < bar:
        return None
    middle = statistics.median(ratios)
    sd_ratio = _TO_NORMAL * statistics.median(abs(one - middle) for one in ratios)
    return math.expm1(math.log1p(tolerance) + sd_ratio * math.sqrt(2 * (bar + _PLAN_LOG) / count))


def _differing(where: str, said: Any, mine: Any) -> list[str]:
    """Return one sentence for each value that was recomputed and that the record says otherwise."""
    if isinstance(said, Mapping) and isinstance(mine, Mapping):
        return [text for key in mine for text in _differing(f"{where}.{key}", said.get(key), mine[key])]
    if isinstance(said, list) and isinstance(mine, list) and len(said) == len(mine):
        pairs = enumerate(zip(said, mine, strict=True))
        return [text for place, (a, b) in pairs for text in _differing(f"{where}.{place}", a, b)]
    if _is_same(said, mine, is_searched=where.rpartition(".")[2] in _SEARCHED):
        return []
    return [f"{where} is {_shown(said)}, and follows as {_shown(mine)}."]


def _is_same(said: Any, mine: Any, *, is_searched: bool) -> bool:
    if not isinstance(said, int | float) or not isinstance(mine, int | float):
        return bool(said == mine)
    tolerance = _BOUND_TOLERANCE_RATIO if is_searched else _TOLERANCE_RATIO
    # Times are small, so they are compared relative to themselves; only a ratio of exactly nothing has no scale.
    return math.isclose(said, mine, rel_tol=tolerance, abs_tol=tolerance if is_searched else 1e-12)


def _shown(value: Any) -> str:
    if value is None:
        return "missing"
    return f"{value:.10g}" if isinstance(value, float) else str(value)[:80]
