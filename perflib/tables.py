"""
Tables for people: HTML with a caption, scoped headers, one unit per column and the baseline's row marked.

Speed never stands without quality beside it. Every text from a model, a file or a person is escaped.
"""

import html
from collections.abc import Collection, Sequence

from perflib import machine, units
from perflib.results import (
    ArmTiming,
    Baseline,
    Build,
    Candidate,
    Ceilings,
    Comparison,
    Estimate,
    Interval,
    Percentile,
    Profile,
    ScenarioComparison,
    ScenarioMeasurement,
    SliceResult,
    Validation,
)

_PERCENTILES = {"p50": 0.50, "p95": 0.95, "p99": 0.99}
# Evidence doubles with every life; beyond these nobody reads digits.
_MOST_EVIDENCE, _LEAST_EVIDENCE = 100_000, 0.01


def table(
    caption: str, head: Sequence[str], rows: Sequence[Sequence[str]], *, marked_rows: Collection[int] = ()
) -> str:
    """
    Return an HTML table.

    Args:
        caption: One sentence: what it shows, on which machine, with how many.
        head: Column names with their units.
        rows: Cells that are already HTML; the first of each row is its header.
        marked_rows: The baseline's.
    """
    top = "".join(f'<th scope="col">{html.escape(name)}</th>' for name in head)
    body = []
    for index, row in enumerate(rows):
        kind = ' class="baseline"' if index in marked_rows else ""
        cells = "".join(f"<td>{cell}</td>" for cell in row[1:])
        body.append(f'<tr{kind}><th scope="row">{row[0]}</th>{cells}</tr>')
    return (
        f'<table class="perflib"><caption>{html.escape(caption)}</caption>'
        f"<thead><tr>{top}</tr></thead><tbody>{''.join(body)}</tbody></table>"
    )


def pill(verdict: str) -> str:
    """Return a verdict word that the report colours."""
    return f'<span class="verdict {html.escape(verdict.lower())}">{html.escape(verdict)}</span>'


def machine_table(card: machine.MachineCard) -> str:
    """Return the machine card as a table."""
    rows = [
        ("processor", html.escape(card.cpu_model)),
        ("matrix instructions", html.escape(" ".join(card.isa_flags)) or "none known"),
        ("cores, threads used", f"{card.core_count}, {card.thread_count}"),
        ("memory", f"{card.memory_bytes / 2**30:.0f} GiB"),
        ("GPU", html.escape(", ".join(gpu.name for gpu in card.gpus)) or "none"),
        ("governor, turbo", f"{html.escape(card.governor or 'unknown')}, {_yes_no(card.has_turbo)}"),
        ("container, virtual machine", f"{_yes_no(card.is_container)}, {_yes_no(card.is_virtual)}"),
        ("system", html.escape(f"{card.operating_system}, kernel {card.kernel}")),
        ("versions", html.escape(", ".join(f"{name} {number}" for name, number in card.versions.items()))),
        ("hardware class", f"<code>{html.escape(card.hardware_class)}</code>"),
    ]
    return table("The machine that these numbers belong to.", ("", "value"), rows)


def ceilings_table(ceilings: Ceilings) -> str:
    """Return the measured ceilings of the machine."""
    rates = (
        ("fp32 matrix product", ceilings.fp32_flop_per_sec, "FLOP/s"),
        ("bf16 matrix product", ceilings.bf16_flop_per_sec, "FLOP/s"),
        ("int8 matrix product", ceilings.int8_op_per_sec, "OP/s"),
        ("memory copy", ceilings.copy_bytes_per_sec, "B/s"),
    )
    rows = [(name, units.rate(rate, unit)) for name, rate, unit in rates]
    return table(f"The best that {ceilings.thread_count} threads did, of several tries.", ("", "at most"), rows)


def operators_table(profile: Profile, *, top_count: int = 8) -> str:
    """Return the operators with most time of their own."""
    steps = profile.active_step_count
    rows = [
        (
            f"<code>{html.escape(row.operator)}</code>",
            f"{row.call_count / steps:,.0f}",
            units.duration(row.self_sec / steps),
            units.percent(row.self_share_ratio),
        )
        for row in profile.operators[:top_count]
    ]
    caption = f"Operators by their own time, per batch of {profile.batch_example_count} ({steps} batches)."
    return table(caption, ("operator", "calls", "self time", "share"), rows)


def baseline_table(baseline: Baseline) -> str:
    """Return the baseline on one row: speed and quality together."""
    by_name = {one.scenario: one for one in baseline.scenarios}
    accuracy = baseline.accuracy_ratio
    row = (
        html.escape(baseline.workload),
        _latency(by_name.get("single")),
        _throughput(by_name.get("offline"), baseline.unit),
        f"{units.percent(accuracy.estimate)} [{units.percent(accuracy.low)}, {units.percent(accuracy.high)}]",
        units.size(baseline.size_bytes),
        units.size(baseline.peak_rss_bytes),
    )
    head = ("baseline", "one call, median (95 %)", "all at once", "accuracy [95 % interval]", "weights", "peak memory")
    caption = f"The model as it is today; accuracy on {baseline.test_count:,} test {baseline.unit}."
    return table(caption, head, [row], marked_rows=(0,))


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
    ratio = ["ratio", *(_interval(one.speedup_ratio) for one in by_name.values())]
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
            _interval(one.ratio),
            _evidence(one.evidence_less),
            _evidence(one.evidence_more),
            html.escape(one.finding),
        )
        for one in comparison.metrics
    ]
    head = ("metric", "candidate over baseline", "E for less", "E for more", "finding")
    caption = f"Secondary metrics, one value per life; findings are corrected for their number, {len(rows)} (e-BH)."
    return table(caption, head, rows)


def gates_table(validation: Validation) -> str:
    """Return every guardrail with its verdict and the reason."""
    rows = [
        (
            html.escape(gate.id),
            html.escape(gate.name),
            pill(gate.verdict),
            html.escape(gate.sentence),
            html.escape(gate.source),
        )
        for gate in validation.gates
    ]
    caption = f"Guardrails of profile {validation.profile}, fixed before the answers were computed."
    return table(caption, ("gate", "what", "verdict", "why", "limit set by"), rows)


def slices_table(slices: Sequence[SliceResult]) -> str:
    """Return accuracy before and after by slice, with the one-sided lower bound of the change."""
    rows = [
        (
            html.escape(one.value),
            f"{one.example_count:,}",
            units.percent(one.baseline_accuracy_ratio),
            units.percent(one.candidate_accuracy_ratio),
            units.points(one.change_ratio),
            units.points(one.change_low_ratio),
        )
        for one in slices
    ]
    head = ("slice", "examples", "baseline", "candidate", "change", "at worst (95 %)")
    return table("Accuracy by slice; small slices carry wide bounds.", head, rows)


def summary_table(candidates: Sequence[Candidate], baseline: Baseline | None, *, caption: str) -> str:
    """Return the decision in one table: the baseline marked, then every candidate: speed, quality, size, verdict."""
    head = ("model", "one at a time", "all at once", "accuracy", "size", "verdict")
    rows: list[Sequence[str]] = []
    if baseline is not None:
        by_name = {one.scenario: one for one in baseline.scenarios}
        latency, rate = by_name.get("single"), by_name.get("offline")
        rows.append(
            (
                "baseline",
                f"1× ({units.duration(latency.p50_sec)})" if latency else units.UNKNOWN,
                f"1× ({_throughput(rate, baseline.unit)})" if rate else units.UNKNOWN,
                units.percent(baseline.accuracy_ratio.estimate),
                units.size(baseline.size_bytes),
                "today",
            )
        )
    for one in candidates:
        change = one.accuracy_change
        rows.append(
            (
                html.escape(one.name),
                _interval(one.single_p50_speedup_ratio),
                _interval(one.offline_throughput_speedup_ratio),
                f"{units.points(change.estimate)} (at worst {units.points(change.low)})" if change else units.UNKNOWN,
                units.percent(one.size_ratio, 0),
                pill(one.verdict),
            )
        )
    return table(caption, head, rows, marked_rows=(0,) if baseline is not None else ())


def reasons_list(candidates: Sequence[Candidate]) -> str:
    """Return why each candidate got its verdict."""
    items = []
    for one in candidates:
        why = " ".join(html.escape(reason) for reason in one.reasons)
        items.append(f"<li><strong>{html.escape(one.name)}</strong> {pill(one.verdict)} {why}</li>")
    return f'<ul class="reasons">{"".join(items)}</ul>'


def _interval(ratio: Estimate | Interval | None) -> str:
    return units.UNKNOWN if ratio is None else units.speedup(ratio.estimate, ratio.low, ratio.high)


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


def _latency(one: ScenarioMeasurement | None) -> str:
    return units.UNKNOWN if one is None else f"{units.duration(one.p50_sec)} ({units.duration(one.p95_sec)})"


def _throughput(one: ScenarioMeasurement | None, unit: str) -> str:
    return units.UNKNOWN if one is None else f"{units.three_digits(one.examples_per_sec)} {html.escape(unit)}/s"


def _what(statistic: str) -> str:
    return "median call" if statistic == "p50" else "whole sample"


def _share(after: int | None, before: int | None) -> str:
    return units.UNKNOWN if after is None or before is None else units.percent(after / before, 0)


def _yes_no(value: bool | None) -> str:
    return "unknown" if value is None else "yes" if value else "no"
