"""The machine and the model as it is: card, ceilings, operators, baseline."""

import html

from perflib import machine, units
from perflib.results import Baseline, Ceilings, ScenarioMeasurement
from perflib.tables.cells import throughput
from perflib.tables.markup import table


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


def baseline_table(baseline: Baseline) -> str:
    """Return the baseline on one row: speed and quality together."""
    by_name = {one.scenario: one for one in baseline.scenarios}
    accuracy = baseline.accuracy_ratio
    row = (
        html.escape(baseline.workload),
        _latency(by_name.get("single")),
        throughput(by_name.get("offline"), baseline.unit),
        f"{units.percent(accuracy.estimate)} [{units.percent(accuracy.low)}, {units.percent(accuracy.high)}]",
        units.size(baseline.size_bytes),
        units.size(baseline.peak_rss_bytes),
    )
    head = ("baseline", "one call, median (95 %)", "all at once", "accuracy [95 % interval]", "weights", "peak memory")
    caption = f"The model as it is today; accuracy on {baseline.test_count:,} test {baseline.unit}."
    return table(caption, head, [row], marked_rows=(0,))


def _latency(one: ScenarioMeasurement | None) -> str:
    return units.UNKNOWN if one is None else f"{units.duration(one.p50_sec)} ({units.duration(one.p95_sec)})"


def _yes_no(value: bool | None) -> str:
    return "unknown" if value is None else "yes" if value else "no"
