"""What model card and bill of materials say of a candidate: numbers with their bounds, and what nobody tested."""

import dataclasses
from collections.abc import Iterator

from perflib import units
from perflib.governance.ledger import Ledger
from perflib.results import Interval, Validation

_RATIOS = {"single": "latency speed-up", "offline": "throughput speed-up"}


@dataclasses.dataclass(frozen=True)
class CardMetric:
    """
    One number of a candidate.

    ``kind`` names it for programs, ``name`` for people. ``part`` is the slice it is of, empty for all examples. A bound
    is None where the data carries none; ``level_ratio`` is what the bounds cover. The unit is in the name.
    """

    kind: str
    name: str
    value: float
    low: float | None
    high: float | None
    level_ratio: float | None
    part: str
    example_count: int | None


def card_metrics(ledger: Ledger, name: str) -> tuple[CardMetric, ...]:
    """Return the numbers of a candidate: of its answers, of its slices, of its speed, of its size and memory."""
    validation = ledger.validations.get(name)
    found = [*_of_answers(validation), *_of_slices(validation)] if validation else []
    return (*found, *_of_speed(ledger, name), *_of_size(ledger, name))


def limits(ledger: Ledger, name: str) -> tuple[str, ...]:
    """Return what is not known of a candidate, one plain sentence each; what a reader has to be told."""
    validation = ledger.validations.get(name)
    found = list(_unknown_answers(validation)) if validation else ["Its answers were not validated."]
    comparison = ledger.comparisons.get(name)
    if comparison is None:
        return (*found, "Its speed was not measured.")
    found.append(f"Its speed was measured on one class of machines, {comparison.hardware_class}.")
    scenarios = ", ".join(one.scenario for one in comparison.scenarios)
    found.append(f"Speed was measured in these scenarios only: {scenarios}.")
    undecided = [one.scenario for one in comparison.scenarios if one.verdict == "INCONCLUSIVE"]
    if undecided:
        found.append(f"Whether it is faster was not decided in: {', '.join(undecided)}.")
    found += [f"While it was timed: {mark}." for mark in comparison.marks]
    if ledger.provenance is not None and ledger.provenance.mark:
        found.append(f"The machine was marked: {ledger.provenance.mark}")
    return tuple(found)


def _of_answers(validation: Validation) -> Iterator[CardMetric]:
    count = validation.example_count
    yield _metric("accuracy", "Accuracy", validation.candidate_accuracy_ratio, count=count)
    yield _metric("baseline_accuracy", "Accuracy of the baseline", validation.baseline_accuracy_ratio, count=count)
    change = validation.accuracy_change_ratio
    yield _metric("accuracy_change", "Change of accuracy", change.estimate, change, count=count)
    flips = validation.negative_flip_count / count if count else 0.0
    yield _metric("negative_flip_ratio", "Right answers that became wrong", flips, count=count)
    if validation.candidate_confidence is not None:
        ece = validation.candidate_confidence.ece_ratio
        yield _metric("expected_calibration_error", "Expected calibration error", ece, count=count)


def _of_slices(validation: Validation) -> Iterator[CardMetric]:
    for one in validation.slices:
        part = f"{one.column} = {one.value}"
        accuracy = one.candidate_accuracy_ratio
        yield _metric("accuracy", "Accuracy", accuracy, part=part, count=one.example_count)
        if one.is_gated and one.holm_low_ratio is not None:
            bounds = Interval(one.change_ratio, one.holm_low_ratio, one.holm_high_ratio, 0.95)
        else:
            bounds = Interval(one.change_ratio, one.change_low_ratio, None, 0.95)
        yield _metric(
            "accuracy_change", "Change of accuracy", one.change_ratio, bounds, part=part, count=one.example_count
        )


def _of_speed(ledger: Ledger, name: str) -> Iterator[CardMetric]:
    comparison = ledger.comparisons.get(name)
    for one in comparison.scenarios if comparison else ():
        words = _RATIOS.get(one.scenario, f"speed-up in {one.scenario}")
        ratio = one.speedup_ratio
        yield _metric(f"speedup_ratio_{one.scenario}", f"{words.capitalize()} (ratio)", ratio.estimate, ratio)
        yield _metric(
            f"examples_per_sec_{one.scenario}", f"Examples per second, {one.scenario}", one.candidate.examples_per_sec
        )


def _of_size(ledger: Ledger, name: str) -> Iterator[CardMetric]:
    build, comparison = ledger.builds.get(name), ledger.comparisons.get(name)
    if build is not None:
        yield _metric("size_bytes", "Size in bytes", float(build.size_bytes))
    peak = comparison.peak_rss_bytes("candidate") if comparison else None
    if peak is not None:
        yield _metric("peak_rss_bytes", "Peak memory in bytes", float(peak))


def _metric(
    kind: str, name: str, value: float, bounds: Interval | None = None, *, part: str = "", count: int | None = None
) -> CardMetric:
    low, high = (bounds.low, bounds.high) if bounds else (None, None)
    has_bound = low is not None or high is not None
    level_ratio = bounds.level_ratio if bounds and has_bound else None
    return CardMetric(kind, name, value, low, high, level_ratio, part, count)


def _unknown_answers(validation: Validation) -> Iterator[str]:
    yield f"Answers were compared on {validation.example_count:,} examples of one fixed split; other data may differ."
    small = [f"{one.column} = {one.value}" for one in validation.slices if not one.is_gated and not one.is_exploratory]
    if small:
        yield f"Too few examples to judge these parts of the data: {', '.join(small)}."
    if validation.absent_suites:
        yield f"These probes could not be made of its inputs: {', '.join(validation.absent_suites)}."
    missed = [gate for gate in validation.gates if gate.verdict in ("FAIL", "INCONCLUSIVE")]
    for gate in missed:
        waived = f" Waived: {gate.waiver}" if gate.waiver else ""
        yield f"{gate.id}, {gate.verdict}: {gate.sentence}{waived}"
    if validation.long_ratio is not None and validation.long_ratio > 0:
        yield f"{units.percent(validation.long_ratio)} of inputs reach the greatest length and are cut there."
    yield from validation.notes
    yield "Attacks by people, other languages and other tasks were not tested."
