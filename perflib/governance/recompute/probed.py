"""Which probes each model fails, kind by kind, and whether the candidate fails more of them."""

from typing import Any

import numpy as np

from perflib.governance.recompute.bounds import LEVEL_RATIO, Pairs, gated_levels
from perflib.governance.recompute.kept import Flags, Floats, Labels, Probes, label_of

# A directional probe lets the label become so much less probable; float32 holds the difference a little wrongly.
_TOLERANCE_RATIO = 0.1 + 1e-6
_LEAST_PERTURBED_COUNT = 300
_REPORTED_ONLY = "lookalike letters"
_POSITIVE = 1


def probe_results(probes: Probes) -> list[dict[str, Any]]:
    """Return every kind of every suite, in the order of their first probes."""
    is_right = {arm: _is_right(probes, arm) for arm in ("baseline", "candidate")}
    found = []
    for suite in dict.fromkeys(probes.suites.tolist()):
        kinds = [
            (kind, np.flatnonzero((probes.suites == suite) & (probes.kinds == kind)))
            for kind in dict.fromkeys(probes.kinds[probes.suites == suite].tolist())
        ]
        family = [Pairs.of(is_right["baseline"][rows], is_right["candidate"][rows]) for _, rows in kinds]
        levels = gated_levels(family, may=[_may_be_gated(suite, kind, len(rows)) for kind, rows in kinds])
        for place, (kind, rows) in enumerate(kinds):
            found.append(
                {
                    "suite": suite,
                    "kind": kind,
                    "version": int(probes.versions[rows[0]]),
                    "probe_count": len(rows),
                    "baseline_fail_count": int(np.sum(~is_right["baseline"][rows])),
                    "candidate_fail_count": int(np.sum(~is_right["candidate"][rows])),
                    "is_gated": place in levels,
                    "increase": _increase(family[place], levels.get(place, LEVEL_RATIO)),
                    **(_swapped(probes, rows) if suite == "counterfactual" else {}),
                }
            )
    return found


def _may_be_gated(suite: str, kind: str, probe_count: int) -> bool:
    return suite != "perturbation" or (probe_count >= _LEAST_PERTURBED_COUNT and kind != _REPORTED_ONLY)


def _is_right(probes: Probes, arm: str) -> Flags:
    """Say which probes a model passes, each by its rule; an answer that is not finite passes none."""
    before, after = probes.sides[f"{arm}_before"], probes.sides[f"{arm}_after"]
    was, now, rows = label_of(before), label_of(after), np.arange(len(after))
    with np.errstate(invalid="ignore"):
        falls = before[rows, probes.labels] - after[rows, probes.labels]
        keeps = falls <= _TOLERANCE_RATIO
    passes = np.select([probes.rules == "same", probes.rules == "right"], [was == now, now == probes.labels], keeps)
    is_right: Flags = passes & (now >= 0) & ((was >= 0) | (probes.rules == "right"))
    return is_right


def _increase(pairs: Pairs, level: float) -> dict[str, Any]:
    """Turn the change of right answers into the increase of failures; its upper bound pays for nobody else."""
    return {
        "estimate": -pairs.change_ratio,
        "low": -pairs.high_ratio(level),
        "high": -pairs.low_ratio(LEVEL_RATIO),
        "level_ratio": level,
    }


def _swapped(probes: Probes, rows: Labels) -> dict[str, float | None]:
    """Return how far apart both texts of a pair are answered, by the probability of the positive class."""
    gaps = {arm: _gaps(probes, arm, rows) for arm in ("baseline", "candidate")}
    return {
        "token_gap_change_ratio": _mean(np.abs(gaps["candidate"]) - np.abs(gaps["baseline"])),
        "baseline_mean_gap_ratio": _mean(gaps["baseline"]),
        "candidate_mean_gap_ratio": _mean(gaps["candidate"]),
    }


def _gaps(probes: Probes, arm: str, rows: Labels) -> Floats:
    before, after = (probes.sides[f"{arm}_{side}"][rows] for side in ("before", "after"))
    is_finite = (label_of(before) >= 0) & (label_of(after) >= 0)
    return np.where(is_finite, before[:, _POSITIVE] - after[:, _POSITIVE], np.nan)


def _mean(values: Floats) -> float | None:
    known = values[np.isfinite(values)]
    return float(known.mean()) if len(known) else None
