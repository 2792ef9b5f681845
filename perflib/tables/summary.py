"""All candidates of a run: the decision on one page, and why."""

import html
from collections.abc import Sequence

from perflib import units
from perflib.results import Baseline, Candidate
from perflib.tables.cells import interval, throughput
from perflib.tables.markup import pill, table

_SHOWN_REASONS_COUNT = 3


def summary_table(candidates: Sequence[Candidate], baseline: Baseline | None, *, caption: str) -> str:
    """
    Return the decision in one table: the baseline marked, then every candidate: speed, quality, size, verdict.

    Finalists stand out: of the others the run may not choose any.
    """
    head = ("model", "one at a time", "all at once", "accuracy", "size", "verdict")
    rows: list[Sequence[str]] = []
    if baseline is not None:
        by_name = {one.scenario: one for one in baseline.scenarios}
        latency, rate = by_name.get("single"), by_name.get("offline")
        rows.append(
            (
                "baseline",
                f"1× ({units.duration(latency.p50_sec)})" if latency else units.UNKNOWN,
                f"1× ({throughput(rate, baseline.unit)})" if rate else units.UNKNOWN,
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
                interval(one.single_p50_speedup_ratio),
                interval(one.offline_throughput_speedup_ratio),
                f"{units.points(change.estimate)} (at worst {units.points(change.low)})" if change else units.UNKNOWN,
                units.percent(one.size_ratio, 0),
                pill(one.verdict),
            )
        )
    first = len(rows) - len(candidates)
    quiet = [first + place for place, one in enumerate(candidates) if not one.is_finalist]
    return table(caption, head, rows, marked_rows=(0,) if baseline is not None else (), quiet_rows=quiet)


def reasons_list(candidates: Sequence[Candidate]) -> str:
    """Return why each candidate got its verdict: the first reasons, and how many more there are."""
    items = []
    for one in candidates:
        why = html.escape(sentences_of(one.reasons))
        items.append(f"<li><strong>{html.escape(one.name)}</strong> {pill(one.verdict)} {why}</li>")
    return f'<ul class="reasons">{"".join(items)}</ul>'


def sentences_of(reasons: Sequence[str]) -> str:
    """Return the first three reasons and the number of others: a wall of words would be read by nobody."""
    more_count = len(reasons) - _SHOWN_REASONS_COUNT
    if more_count <= 1:
        return " ".join(reasons)
    return f"{' '.join(reasons[:_SHOWN_REASONS_COUNT])} And {more_count} more reasons."
