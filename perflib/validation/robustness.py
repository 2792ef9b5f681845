"""
Which probes each model fails, and whether the candidate fails more of them than the baseline does.

A probe that the baseline fails too is inherited: what counts is the increase, kind by kind, with bounds that pay for
looking at all kinds of a suite together.
"""

import dataclasses
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from perflib.results.answers import Change, ProbeResult
from perflib.validation.families import Discordant, holm_levels
from perflib.validation.perturbations import KINDS
from perflib.validation.probes import Arm, Probe, ProbeAnswers, Suite
from perflib.validation.quality import ONE_SIDED_LEVEL, answers

# A directional test allows the label to become less probable by this much.
TOLERANCE_RATIO = 0.1
# Fewer changed texts cannot show that a kind of change is borne.
MIN_PERTURBED_COUNT = 300
_POSITIVE = 1
# float32 holds 0.6 and 0.5 a little wrongly; what falls by exactly the tolerance has not failed.
_ROUNDING_RATIO = 1e-6


@dataclasses.dataclass(frozen=True)
class _Kind:
    """The rows of one kind of probe, and where exactly one model fails."""

    first: Probe
    rows: NDArray[np.int64]
    discordant: Discordant
    is_gated: bool


def failures(probe_answers: ProbeAnswers, arm: Arm) -> NDArray[np.bool_]:
    """
    Say which probes a model fails, shape (probes,), each by its rule.

    An answer that is not finite fails, whatever the rule.
    """
    before, after = probe_answers.before(arm), probe_answers.after(arm)
    label_before, label_after = answers(before), answers(after)
    rules = np.array([probe.rule for probe in probe_answers.probes], str)
    labels = np.array([-1 if probe.label is None else probe.label for probe in probe_answers.probes], np.int64)
    has_before = np.array([probe.before is not None for probe in probe_answers.probes], bool)
    rows = np.arange(len(labels))
    # A fall from or to what is not finite is decided below.
    with np.errstate(invalid="ignore"):
        falls = before[rows, labels].astype(np.float64) - after[rows, labels]
        falls_too_far = falls > TOLERANCE_RATIO + _ROUNDING_RATIO
    fails = np.select(
        [rules == "same", rules == "right"], [label_before != label_after, label_after != labels], falls_too_far
    )
    found: NDArray[np.bool_] = fails | (label_after < 0) | (has_before & (label_before < 0))
    return found


def probe_results(probe_answers: ProbeAnswers) -> tuple[ProbeResult, ...]:
    """
    Return one result for each kind of each suite, in the order of their first probes.

    The lower bound of a gated kind is at the Holm level of its suite, because a harm must not be found by looking
    often. Every upper bound is at 95 %: to pass, each kind has to keep its own, so none pays for the others. Groups of
    people and capabilities are fixed and always gated; a perturbation needs enough changed texts, and must not be one
    that is only reported.
    """
    failed: dict[Arm, NDArray[np.bool_]] = {arm: failures(probe_answers, arm) for arm in ("baseline", "candidate")}
    kinds = _kinds(probe_answers.probes, baseline=failed["baseline"], candidate=failed["candidate"])
    levels = _levels(kinds)
    return tuple(
        ProbeResult(
            suite=kind.first.suite,
            kind=kind.first.kind,
            version=kind.first.version,
            probe_count=len(kind.rows),
            baseline_fail_count=int(failed["baseline"][kind.rows].sum()),
            candidate_fail_count=int(failed["candidate"][kind.rows].sum()),
            increase=_increase(kind.discordant, level=level),
            is_gated=kind.is_gated,
            **(_gaps(probe_answers, kind.rows) if kind.first.suite == "counterfactual" else {}),
        )
        for kind, level in zip(kinds, levels, strict=True)
    )


def _kinds(probes: Sequence[Probe], *, baseline: NDArray[np.bool_], candidate: NDArray[np.bool_]) -> list[_Kind]:
    places: dict[tuple[Suite, str], list[int]] = {}
    for row, probe in enumerate(probes):
        places.setdefault((probe.suite, probe.kind), []).append(row)
    kinds = []
    for listed in places.values():
        rows, first = np.array(listed), probes[listed[0]]
        worse_count = int(np.sum(candidate[rows] & ~baseline[rows]))
        better_count = int(np.sum(baseline[rows] & ~candidate[rows]))
        kinds.append(_Kind(first, rows, Discordant(worse_count, better_count, len(rows)), _is_gated(first, len(rows))))
    return kinds


def _is_gated(first: Probe, probe_count: int) -> bool:
    if first.suite != "perturbation":
        return True
    reported_only = {kind.name for kind in KINDS if kind.is_reported_only}
    return probe_count >= MIN_PERTURBED_COUNT and first.kind not in reported_only


def _levels(kinds: Sequence[_Kind]) -> list[float]:
    """Return the level of each kind's bounds; the gated kinds of a suite are one family."""
    levels = [ONE_SIDED_LEVEL] * len(kinds)
    for suite in {kind.first.suite for kind in kinds}:
        gated = [place for place, kind in enumerate(kinds) if kind.first.suite == suite and kind.is_gated]
        for place, level in zip(gated, holm_levels([kinds[place].discordant for place in gated]), strict=True):
            levels[place] = level
    return levels


def _increase(discordant: Discordant, *, level: float) -> Change:
    """Turn the change of right answers into the increase of failures: the same pairs with the other sign."""
    return Change(
        name="failures",
        estimate=(discordant.worse_count - discordant.better_count) / discordant.example_count,
        low=-discordant.high_ratio(level),
        high=-discordant.low_ratio(ONE_SIDED_LEVEL),
        level_ratio=level,
    )


def _gaps(probe_answers: ProbeAnswers, rows: NDArray[np.int64]) -> dict[str, float | None]:
    """Return how far apart the two texts of a pair are, by the probability of the positive class."""
    baseline, candidate = (_differences(probe_answers, arm, rows) for arm in ("baseline", "candidate"))
    return {
        "token_gap_change_ratio": _finite_mean(np.abs(candidate) - np.abs(baseline)),
        "baseline_mean_gap_ratio": _finite_mean(baseline),
        "candidate_mean_gap_ratio": _finite_mean(candidate),
    }


def _differences(probe_answers: ProbeAnswers, arm: Arm, rows: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return before minus after, shape (rows,), NaN where one of them is not finite."""
    before, after = (side[rows].astype(np.float64) for side in (probe_answers.before(arm), probe_answers.after(arm)))
    finite = np.isfinite(before).all(axis=1) & np.isfinite(after).all(axis=1)
    differences = np.full(len(rows), np.nan)
    differences[finite] = before[finite, _POSITIVE] - after[finite, _POSITIVE]
    return differences


def _finite_mean(values: NDArray[np.float64]) -> float | None:
    finite = values[np.isfinite(values)]
    return float(finite.mean()) if len(finite) else None
