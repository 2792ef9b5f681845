"""Where the time goes, by operator, kind, module and shape; and the ceilings of the machine by threads."""

import html
import json

from perflib import units
from perflib.results import Ceilings, Profile, Roofline, ShapeTime
from perflib.results.model import MachineCeilings
from perflib.results.modules import grouped_modules
from perflib.tables.markup import table


def operators_table(profile: Profile, *, top_count: int = 8) -> str:
    """Return the operators with most time of their own."""
    steps = profile.active_step_count
    rows = [
        (
            f"<code>{html.escape(row.operator)}</code>",
            html.escape(row.kind),
            f"{row.call_count / steps:,.0f}",
            units.duration(row.self_sec / steps),
            units.percent(row.self_share_ratio),
        )
        for row in profile.operators[:top_count]
    ]
    caption = f"Operators by their own time, per step of {profile.step_example_count} examples ({steps} steps)."
    return table(caption, ("operator", "kind", "calls", "self time", "share"), rows)


def kinds_table(profile: Profile) -> str:
    """Return every kind of work with its share of the wall time; the last row is the whole."""
    steps = profile.active_step_count
    rows = [
        (html.escape(one.kind), units.duration(one.self_sec / steps), units.percent(one.share_ratio))
        for one in profile.kinds
    ]
    whole_sec = sum(one.self_sec for one in profile.kinds) / steps
    rows.append(("all", units.duration(whole_sec), units.percent(sum(one.share_ratio for one in profile.kinds))))
    calls = "one call" if profile.calls_per_step_count == 1 else f"{profile.calls_per_step_count} calls"
    caption = (
        f"Where the time of a step goes ({profile.name}, {profile.scenario}: {profile.step_example_count} examples in "
        f"{calls}, {profile.thread_count} threads), as {profile.source} saw {steps} steps; without it a step takes "
        f"{units.duration(profile.step_sec)}."
    )
    return table(caption, ("kind", "time", "share"), rows, has_total=True)


def modules_table(profile: Profile, *, top_count: int = 10) -> str:
    """Return the modules with most time of their own; the layers of a stack are one row, named with ``*``."""
    steps = profile.active_step_count
    rows = [
        (
            f"<code>{html.escape(row.module)}</code>",
            f"{row.call_count / steps:,.0f}",
            units.duration(row.self_sec / steps),
            units.percent(row.self_sec / profile.wall_sec),
            units.duration(row.total_sec / steps),
        )
        for row in grouped_modules(profile)[:top_count]
    ]
    caption = "Modules by their own time, without their children's; shares are of the wall time of a step."
    return table(caption, ("module", "calls", "own time", "share", "with children"), rows)


def shapes_table(profile: Profile, roofline: Roofline, *, top_count: int = 10) -> str:
    """Return the operators and shapes with most time, and how near each product came to its roof."""
    steps = profile.active_step_count
    points = {(point.operator, point.shapes, point.flop_count, point.self_sec): point for point in roofline.points}
    rows = []
    for row in profile.shapes[:top_count]:
        point = points.get((row.operator, row.shapes, row.flop_count, row.self_sec))
        rows.append(
            (
                f"<code>{html.escape(row.operator.removeprefix('aten::'))}</code>",
                html.escape(_sizes(row.shapes)),
                html.escape(row.precision) or units.UNKNOWN,
                f"{row.call_count / steps:,.0f}",
                units.duration(row.self_sec / steps),
                units.three_digits(row.flop_count / steps / 1e9) if row.flop_count else units.UNKNOWN,
                _intensity(row),
                units.percent(point.reached_ratio, 0) if point else units.UNKNOWN,
            )
        )
    caption = (
        f"Operators by shape, per step, under the roof of {roofline.thread_count} threads; above 100 % where caches "
        "gave what memory could not."
    )
    head = ("operator", "inputs", "precision", "calls", "time", "GFLOP", "FLOP per byte", "of the roof")
    return table(caption, head, rows)


def machine_ceilings_table(known: MachineCeilings) -> str:
    """Return the ceilings by thread count, and how far the last repetition was from what was known."""
    repeats = {one.thread_count: one.worst_repeat_ratio for one in known.repeats}
    rows = [
        (
            str(one.thread_count),
            *_rates(one),
            f"within {units.percent(repeats[one.thread_count])}" if one.thread_count in repeats else units.UNKNOWN,
        )
        for one in known.ceilings
    ]
    caption = f"The best that this processor did with torch {known.torch_version}, by threads."
    return table(caption, ("threads", "fp32 product", "bf16 product", "int8 product", "memory copy", "repeats"), rows)


def _rates(one: Ceilings) -> tuple[str, ...]:
    return (
        units.rate(one.fp32_flop_per_sec, "FLOP/s"),
        units.rate(one.bf16_flop_per_sec, "FLOP/s"),
        units.rate(one.int8_op_per_sec, "OP/s"),
        units.rate(one.copy_bytes_per_sec, "B/s"),
    )


def _intensity(row: ShapeTime) -> str:
    if not row.flop_count or not row.moved_bytes:
        return units.UNKNOWN
    return units.three_digits(row.flop_count / row.moved_bytes)


def _sizes(shapes: str) -> str:
    """
    Write the sizes of the inputs as people do; what is no list of sizes stays as it is.

    Example:
        >>> _sizes("[[384], [2048, 384], []]"), _sizes("conv 3x3")
        ('384 · 2048×384', 'conv 3x3')
    """
    try:
        found = json.loads(shapes)
    except ValueError:
        return shapes
    if not isinstance(found, list):
        return shapes
    return " · ".join("×".join(str(side) for side in size) for size in found if isinstance(size, list) and size)
