"""
Worse, not worse, or not decided: what one rerun says of time, memory, size and answers.

Time and memory rest on the evidence of lives at the level of a confirmation. Bytes are counted. Answers are held
against each other example by example: an exact sign test on those that changed says whether more became wrong than
chance would make of equal models.
"""

import dataclasses
import math
import statistics
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from perflib import units
from perflib.artifact import Artifact
from perflib.benchmarking.decision import log_evidence
from perflib.results.history import METRICS, NO_SCENARIO, Component
from perflib.results.regression import Nomination, Rerun
from perflib.results.speed import Comparison, Interval, MetricComparison, Process, ScenarioComparison

ALPHA_RATIO = 0.01
# Beyond it a number is no float any more.
_MOST_LOG = 700.0
_LEVEL_RATIO = 1 - 2 * ALPHA_RATIO
# Metrics that belong to a process, not to a scenario, under their names in a comparison.
_OF_PROCESSES = {"load_sec": "load time", "peak_rss_bytes": "peak memory"}


@dataclasses.dataclass(frozen=True)
class Judgement:
    """
    What was found, before it is said which components were swapped.

    ``is_worse`` is None where it was not decided. ``ratio`` is a cost, other over good; for answers the change of
    accuracy.
    """

    is_worse: bool | None
    ratio: Interval | None
    evidence: float | None
    sentence: str

    def rerun(self, swapped: tuple[Component, ...], package: str | None) -> Rerun:
        """Return it as the record of a rerun."""
        return Rerun(swapped, package, self.is_worse, self.ratio, self.evidence, self.sentence)


def judge_time(comparison: Comparison, nominations: Sequence[Nomination]) -> Judgement:
    """
    Judge every nominated time or memory by one comparison.

    Any that is worse makes the family worse; one that is not decided leaves it undecided. The one that speaks is the
    worst of those that decide it.
    """
    found = {_subject(one): _one_of(comparison, one) for one in nominations}
    worse = [one for one in found.values() if one.is_worse]
    undecided = [one for one in found.values() if one.is_worse is None]
    return max(worse or undecided or found.values(), key=lambda one: one.ratio.estimate if one.ratio else 0.0)


def judge_size(good: Artifact, other: Artifact) -> Judgement:
    """Compare the bytes of two models; nothing is uncertain about them."""
    ratio = other.size_bytes / good.size_bytes
    worse = ratio > 1 + METRICS["size_bytes"].least_effect_ratio
    sentence = f"{units.size(good.size_bytes)} before and {units.size(other.size_bytes)} with the swap"
    return Judgement(worse, Interval(ratio, ratio, ratio, _LEVEL_RATIO), None, sentence)


def judge_answers(good: NDArray[np.float32], other: NDArray[np.float32], labels: NDArray[np.int64]) -> Judgement:
    """
    Compare two models' answers to the same examples.

    Args:
        good: Probabilities of the last good one, shape (examples, classes).
        other: Those of the other.
        labels: The right classes, shape (examples,).

    Worse takes both: the exact one-sided sign test over the examples that changed sides at 1 %, and a drop that is
    worth a person's time. With fewer answers wrong than that it is not worse; between, the test split is too small.
    """
    from scipy.stats import binomtest, norm

    right = [np.argmax(one, axis=1) == labels for one in (good, other)]
    lost, won = int((right[0] & ~right[1]).sum()), int((right[1] & ~right[0]).sum())
    count, change = len(labels), float((won - lost) / len(labels))
    spread = math.sqrt(max(lost + won - (won - lost) ** 2 / count, 0.0)) / count
    reach = float(norm.isf(ALPHA_RATIO)) * spread
    interval = Interval(change, change - reach, change + reach, _LEVEL_RATIO)
    p = float(binomtest(lost, lost + won, 0.5, alternative="greater").pvalue) if lost + won else 1.0
    words = (
        f"of {count:,} answers {lost} right ones became wrong and {won} wrong ones right: {units.points(change)} "
        f"[{units.points(interval.low)}, {units.points(interval.high)}]"
    )
    is_large = change <= -METRICS["accuracy_ratio"].least_effect_ratio
    if not is_large:
        return Judgement(is_worse=False, ratio=interval, evidence=None, sentence=words)
    if p <= ALPHA_RATIO:
        return Judgement(is_worse=True, ratio=interval, evidence=None, sentence=words)
    return Judgement(None, interval, None, f"{words}; so few changed that chance could do it")


def level_is_new(comparison: Comparison, nominations: Sequence[Nomination]) -> bool:
    """Say whether the good model, run today, lies nearer to the new level than to the old one in every series."""
    seen = [(one, _value_today(comparison, one)) for one in nominations]
    known = [(one, value) for one, value in seen if value is not None and value > 0]
    return bool(known) and all(
        abs(math.log(value / one.after_value)) < abs(math.log(value / one.before_value)) for one, value in known
    )


def _subject(nomination: Nomination) -> str:
    metric = nomination.series.metric
    return _OF_PROCESSES.get(metric) or nomination.series.scenario


def _one_of(comparison: Comparison, nomination: Nomination) -> Judgement:
    metric = nomination.series.metric
    if metric in _OF_PROCESSES:
        name = _OF_PROCESSES[metric]
        measured = next((one for one in comparison.metrics if one.metric == name), None)
        return _of_metric(measured, comparison) if measured else _unmeasured(name)
    name = nomination.series.scenario
    timed = next((one for one in comparison.scenarios if one.scenario == name), None)
    return _of_scenario(timed, comparison) if timed else _unmeasured(name)


def _of_scenario(timed: ScenarioComparison, comparison: Comparison) -> Judgement:
    cost = _inverse(timed.speedup_ratio)
    words = f"{timed.scenario}: {_cost_words(cost)}, {len(timed.log_ratios)} lives"
    if timed.verdict == "INCONCLUSIVE":
        reached = timed.reached_mde_ratio
        ruled = (
            f"slowdowns of {units.percent(reached)} or more are ruled out" if reached else "no slowdown is ruled out"
        )
        return Judgement(None, cost, None, f"{words}; {ruled}")
    return Judgement(timed.verdict == "REGRESSION", cost, _evidence_slower(timed, comparison.tolerance_ratio), words)


def _of_metric(measured: MetricComparison, comparison: Comparison) -> Judgement:
    lives_count = len(comparison.processes)
    words = f"{measured.metric}: {_cost_words(measured.ratio)}, {lives_count} lives"
    if measured.evidence_more >= 1 / ALPHA_RATIO:
        return Judgement(is_worse=True, ratio=measured.ratio, evidence=measured.evidence_more, sentence=words)
    high = measured.ratio.high
    if measured.evidence_less >= 1 / ALPHA_RATIO or (high is not None and high < 1 + comparison.mde_ratio):
        return Judgement(is_worse=False, ratio=measured.ratio, evidence=measured.evidence_less, sentence=words)
    return Judgement(None, measured.ratio, measured.evidence_more, f"{words}; so few lives do not decide it")


def _evidence_slower(timed: ScenarioComparison, tolerance_ratio: float) -> float:
    return math.exp(min(log_evidence(timed.log_ratios, math.log1p(tolerance_ratio)), _MOST_LOG))


def _unmeasured(name: str) -> Judgement:
    return Judgement(None, None, None, f"{name} was not measured in the rerun")


def _cost_words(cost: Interval) -> str:
    if cost.low is None or cost.high is None:
        return f"{cost.estimate:.3f} times the cost"
    return f"{cost.estimate:.3f} times the cost [{cost.low:.3f}, {cost.high:.3f}]"


def _inverse(speedup: Interval) -> Interval:
    low, high = speedup.high, speedup.low
    return Interval(1 / speedup.estimate, 1 / low if low else None, 1 / high if high else None, speedup.level_ratio)


def _value_today(comparison: Comparison, nomination: Nomination) -> float | None:
    """Return what the good model measured in the rerun, in the series' own metric."""
    metric, scenario = nomination.series.metric, nomination.series.scenario
    if scenario == NO_SCENARIO:
        return _of_process(comparison, metric)
    timed = next((one for one in comparison.scenarios if one.scenario == scenario), None)
    if timed is None:
        return None
    if metric == "examples_per_sec":
        return timed.baseline.examples_per_sec
    share = {"p50_sec": 0.5, "p95_sec": 0.95}.get(metric)
    return next((one.estimate_sec for one in timed.baseline.percentiles if one.share_ratio == share), None)


def _of_process(comparison: Comparison, metric: str) -> float | None:
    processes: list[Process] = [pair.baseline for pair in comparison.processes]
    values = [value for one in processes if (value := getattr(one, metric, None)) is not None]
    return statistics.median(values) if values else None
