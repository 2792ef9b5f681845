"""The backlog for a page: what to do, the first thing first, and what was tried that did not work."""

import html
from collections.abc import Sequence

from perflib import units
from perflib.results.governance import Backlog, BacklogItem
from perflib.sentences.backlog import did_not_work, range_words, ratio_words, short_name
from perflib.tables.markup import pill, table

_STATUS_WORDS = {"rolled_back": "rolled back"}


def backlog_table(backlog: Backlog) -> str:
    """
    Return what may be done, by rank, then without rank what is only shown: few columns, so that a phone has room.

    What did not work is left to `failed_list`.
    """
    gone = {one.id for one in did_not_work(backlog)}
    items = [one for one in backlog.items if one.id not in gone]
    rows = [
        (
            f"{f'{one.rank}. ' if one.rank else ''}{_name(one)}",
            _ratio(one),
            _accuracy(one),
            range_words(one.returns.roi_ratio) if one.returns else units.UNKNOWN,
            f"{one.effort_days.p50:g} d, <abbr title={_quoted(one.risk_sentence)}>{one.risk}</abbr>",
            pill(_STATUS_WORDS.get(one.status, one.status)),
        )
        for one in items
    ]
    example = " (example)" if backlog.is_example else ""
    caption = (
        "What to do, ranked by the P10 of ROI; what was measured stands before what is expected, and rows without a "
        "number are not offered by this run. ROI is in multiples of the cost, from P10 to P90"
        f"{', at example prices' if backlog.is_example else ''}. {_levels(items)}"
    )
    head = ("item", "throughput", "accuracy", f"ROI{example}", "work, risk", "status")
    return table(caption, head, rows, quiet_rows=[place for place, one in enumerate(items) if one.rank is None])


def failed_list(backlog: Backlog) -> str:
    """Return what was tried that did not work, each with its verdict, its speed and the first of its reasons."""
    found = did_not_work(backlog)
    if not found:
        return "<p>Everything that was tried worked.</p>"
    return f'<ul class="perflib tried">{"".join(_line(one) for one in found)}</ul>'


def _levels(items: Sequence[BacklogItem]) -> str:
    found = {(one.kind, one.throughput_ratio.level_ratio) for one in items if one.throughput_ratio}
    words = {"candidate": "measured", "hypothesis": "expected"}
    told = [f"{units.percent(level, 0)} where {words[kind]}" for kind, level in sorted(found)]
    return f"Bounds of ratios are at {', '.join(told)}." if told else ""


def _line(item: BacklogItem) -> str:
    speed = f" {ratio_words(item.throughput_ratio)} in throughput." if item.throughput_ratio else ""
    verdict = pill(item.verdict or item.status)
    return f"<li><strong>{html.escape(item.title)}</strong> {verdict}{speed} {_reason(item)}</li>"


def _reason(item: BacklogItem) -> str:
    if item.people_words:
        return html.escape(item.people_words)
    first = item.reasons[0] if item.reasons else "No reason was kept."
    more_count = len(item.reasons) - 1
    return html.escape(first) + (f" (and {more_count} more)" if more_count > 0 else "")


def _name(item: BacklogItem) -> str:
    """Return the short name; what it is made of is one touch away, because a phone has no room for it."""
    name = html.escape(short_name(item))
    return f"<abbr title={_quoted(item.technique)}>{name}</abbr>" if item.kind == "candidate" else name


def _ratio(item: BacklogItem) -> str:
    if item.throughput_ratio is None:
        return units.UNKNOWN
    words = ratio_words(item.throughput_ratio)
    return f"expected {words}" if item.kind == "hypothesis" else words


def _accuracy(item: BacklogItem) -> str:
    change = item.accuracy_change_ratio
    if change is None:
        return "not measured" if item.kind == "hypothesis" else units.UNKNOWN
    return f"{units.points(change.estimate)} (at worst {units.points(change.low)})"


def _quoted(text: str) -> str:
    return f'"{html.escape(text)}"'
