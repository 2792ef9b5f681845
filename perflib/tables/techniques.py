"""Techniques side by side: what each could give, what each candidate gave, and what was tried."""

import html
from collections.abc import Sequence

from perflib import units
from perflib.results.techniques import PaddingPlan, TechniqueRow, Trial, UpperBound
from perflib.tables.cells import interval
from perflib.tables.markup import pill, table


def bounds_table(bounds: Sequence[UpperBound]) -> str:
    """Return what each technique could give at most, and what is assumed for that."""
    rows = [
        (
            html.escape(one.technique),
            html.escape(one.family),
            html.escape(one.scenario),
            units.speedup(one.bound_ratio),
            html.escape(one.because),
        )
        for one in bounds
    ]
    caption = "Upper bounds for the baseline on its machine, computed from its profile and the machine's ceilings."
    return table(caption, ("technique", "family", "scenario", "at most", "if"), rows)


def techniques_table(rows: Sequence[TechniqueRow], *, caption: str) -> str:
    """Return every candidate of a run, family by family: speed, size, accuracy, verdict, and why."""
    cells = []
    for row in rows:
        one = row.candidate
        change = one.accuracy_change
        cells.append(
            (
                f"<abbr title={_quoted(row.recipe)}>{html.escape(row.name)}</abbr>",
                html.escape(row.family),
                interval(one.single_p50_speedup_ratio),
                interval(one.offline_throughput_speedup_ratio),
                units.percent(one.size_ratio, 0),
                f"{units.points(change.estimate)} (at worst {units.points(change.low)})" if change else units.UNKNOWN,
                pill(one.verdict),
                html.escape(row.why),
            )
        )
    return table(
        caption,
        ("candidate", "family", "one at a time", "all at once", "size", "accuracy", "verdict", "why"),
        cells,
    )


def trials_table(trials: Sequence[Trial]) -> str:
    """Return what was tried: answers that changed, accuracy on the tuning split, size."""
    rows = [
        (
            html.escape(one.name),
            f"{one.changed_label_count:,} of {one.example_count:,}",
            units.percent(one.accuracy_ratio),
            units.points(one.accuracy_ratio - one.baseline_accuracy_ratio),
            units.percent(one.size_ratio, 0),
        )
        for one in trials
    ]
    caption = "Recipes tried on the tuning split, against the baseline; the test split was not asked."
    return table(caption, ("trial", "answers changed", "accuracy", "accuracy change", "size"), rows)


def padding_table(plans: Sequence[PaddingPlan]) -> str:
    """Return what each way of making batches computes."""
    rows = [
        (
            html.escape(one.batching),
            f"{one.batch_count:,}",
            f"{one.token_count:,}",
            f"{one.real_token_count:,}",
            units.percent(one.padding_ratio, 0),
        )
        for one in plans
    ]
    caption = "The same texts in other batches: tokens that are computed, and how many of them are texts'."
    return table(caption, ("batches", "number", "tokens computed", "tokens of texts", "padding"), rows)


def _quoted(text: str) -> str:
    return f'"{html.escape(text)}"'
