"""How much faster, beside what it costs: ratios, percentiles and secondary metrics of one comparison."""

import html
from collections.abc import Sequence

from perflib import units
from perflib.results import ArmTiming, Build, Comparison, Percentile, ScenarioComparison, Validation
from perflib.tables.cells import interval
from perflib.tables.markup import table

_PERCENTILES = {"p50": 0.50, "p95": 0.95, "p99": 0.99}
# Evidence doubles with every life; beyond these nobody reads digits.
_MOST_EVIDENCE, _LEAST_EVIDENCE = 100_000, 0.01


def comparison_table(comparison: Comparison, validation: Validation, build: Build) -> str:
    """Return baseline and candidate, row by row: speed, quality and size together."""
    by_name = {one.scenario: one for one in comparison.scenarios}
    head = [
        "",
        *(f"{name}, {_what(one.statistic)}" for name, one in by_name.items()),
        "accuracy",
        "weights",
        "peak memory",
    ]
    before = ["baseline", *(units.duration(one.baseline.slot_sec) for one in by_name.values())]
    after = [html.escape(comparison.name), *(units.duration(one.candidate.slot_sec) for one in by_name.values())]
    ratio = ["ratio", *(interval(one.speedup_ratio) for one in by_name.values())]
    before += [units.percent(validation.baseline_accuracy_ratio), units.size(build.parent_size_bytes)]
    after += [units.percent(validation.candidate_accuracy_ratio), units.size(build.size_bytes)]
    change = validation.accuracy_change_ratio
    ratio += [f"{units.points(change.estimate)} (at worst {units.points(change.low)})"]
    ratio += [units.percent(build.size_bytes / build.parent_size_bytes, 0)]
    peaks = comparison.peak_rss_bytes("baseline"), comparison.peak_rss_bytes("candidate")
    before.append(units.size(peaks[0]))
    after.append(units.size(peaks[1]))
    ratio.append(_share(peaks[1], peaks[0]))
    lives_count = max(len(one.lives) for one in comparison.scenarios)
    level = comparison.scenarios[0].speedup_ratio.level_ratio
    caption = (
        f"{lives_count} pairs of fresh processes; intervals at {100 * level:.0f} %; "
        f"{validation.example_count:,} test examples."
    )
    return table(caption, head, [before, after, ratio], marked_rows=(0,))


def timings_table(comparison: Comparison) -> str:
    """Return what users notice, by scenario: percentiles, rates and energy of both arms, and what is gained."""
    rows: list[Sequence[str]] = []
    for one in comparison.scenarios:
        rows.append((f"{html.escape(one.scenario)}, baseline", *_timing_cells(one.baseline)))
        rows.append((f"{html.escape(one.scenario)}, {html.escape(comparison.name)}", *_timing_cells(one.candidate)))
        rows.append(("gain", *_gain_cells(one)))
    caption = (
        "Percentiles of single calls with their 95 % intervals, where there are calls enough. A gain above 1× is less "
        "time, a higher rate or less energy; it is a plain ratio, and the verdict does not rest on it."
    )
    head = ("", *_PERCENTILES, "examples per second", "real tokens per second", "energy per example")
    return table(caption, head, rows, marked_rows=range(0, len(rows), 3))


def metrics_table(comparison: Comparison) -> str:
    """Return the secondary metrics: how candidate and baseline compare, the evidence, and what may be claimed."""
    rows = [
        (
            html.escape(one.metric),
            interval(one.ratio),
            _evidence(one.evidence_less),
            _evidence(one.evidence_more),
            html.escape(one.finding),
        )
        for one in comparison.metrics
    ]
    head = ("metric", "candidate over baseline", "E for less", "E for more", "finding")
    caption = f"Secondary metrics, one value per life; findings are corrected for their number, {len(rows)} (e-BH)."
    return table(caption, head, rows)


def _timing_cells(arm: ArmTiming) -> tuple[str, ...]:
    by_share = {one.share_ratio: one for one in arm.percentiles}
    energy_joule = arm.joule_per_example
    return (
        *(_percentile(by_share.get(share)) for share in _PERCENTILES.values()),
        units.three_digits(arm.examples_per_sec),
        units.UNKNOWN if arm.tokens_per_sec is None else units.three_digits(arm.tokens_per_sec),
        units.UNKNOWN if energy_joule is None else f"{units.three_digits(energy_joule)} J",
    )


def _gain_cells(one: ScenarioComparison) -> tuple[str, ...]:
    before, after = (
        {percentile.share_ratio: percentile.estimate_sec for percentile in arm.percentiles}
        for arm in (one.baseline, one.candidate)
    )
    return (
        *(_ratio(before.get(share), after.get(share)) for share in _PERCENTILES.values()),
        _ratio(one.candidate.examples_per_sec, one.baseline.examples_per_sec),
        _ratio(one.candidate.tokens_per_sec, one.baseline.tokens_per_sec),
        _ratio(one.baseline.joule_per_example, one.candidate.joule_per_example),
    )


def _percentile(one: Percentile | None) -> str:
    if one is None:
        return units.UNKNOWN
    return f"{units.duration(one.estimate_sec)} [{units.duration(one.low_sec)}, {units.duration(one.high_sec)}]"


def _ratio(above: float | None, below: float | None) -> str:
    # Energy counters may stand still over a short slot.
    return units.UNKNOWN if above is None or not below else units.speedup(above / below)


def _evidence(value: float) -> str:
    if value > _MOST_EVIDENCE:
        return f"over {_MOST_EVIDENCE:,}"
    return f"below {_LEAST_EVIDENCE:g}" if value < _LEAST_EVIDENCE else units.three_digits(value)


def _what(statistic: str) -> str:
    return "median call" if statistic == "p50" else "whole sample"


def _share(after: int | None, before: int | None) -> str:
    return units.UNKNOWN if after is None or before is None else units.percent(after / before, 0)
