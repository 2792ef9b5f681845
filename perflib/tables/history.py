"""What the watch looks at and finds: series, changes of level, paired reruns and alerts."""

import html
from collections.abc import Sequence

from perflib import units
from perflib.results.history import COMPONENTS, METRICS, NO_SCENARIO, HistoryPoint, SeriesKey
from perflib.results.regression import Alert, Check, Confirmation, Nomination, SeriesCheck, SeriesScan
from perflib.sentences.series_words import (
    coverage_words,
    ratio_words,
    scanned_places,
    shift_words,
    swap_words,
    value_words,
    worse_words,
)
from perflib.tables.markup import pill, table

# In an alert more series than these are counted only.
_MOST_SERIES_COUNT = 3


def series_table(check: Check) -> str:
    """Return every series of a check: its newest value, what moved, and the step that it could have shown."""
    rows = [
        (
            _series(one.series),
            value_words(one.value, one.series),
            pill(one.state),
            "–" if one.nomination is None else _shift(one.nomination),
            units.percent(one.noise_ratio),
            _visible(one),
            f"{one.point_count:,}",
        )
        for one in sorted(check.series, key=lambda one: (one.nomination is None, one.series))
    ]
    head = ("series", "newest", "state", "new level over old", "noise of a run", "would show at once", "runs")
    caption = f"Run {check.run_id} against its history on {check.machine}: {len(check.series)} series."
    quiet = [number for number, row in enumerate(rows) if row[3] == "–"]
    return table(caption, head, rows, quiet_rows=quiet if len(quiet) < len(rows) else ())


def change_points_table(points: Sequence[HistoryPoint], scan: SeriesScan) -> str:
    """
    Return every change of level in a series, with what else changed between the two runs.

    Args:
        points: Oldest first.
        scan: Of all of them, or of those without a mark.
    """
    if not points:
        return _empty("The series has no run yet.")
    key, places = points[-1].key, scanned_places(points, scan)
    if not scan.change_points:
        return _empty(f"No change of level in {len(points):,} runs of {key}.")
    rows = []
    for number, one in enumerate(scan.change_points):
        before, after = scan.levels[number], scan.levels[number + 1]
        first, last_good = points[places[one.index]], points[places[one.index - 1]]
        shift = shift_words(one.shift_ratio, before=before, family=METRICS[key.metric].family)
        rows.append(
            (
                html.escape(first.run_id),
                f"{shift}{coverage_words(one.shift_ratio)}, {worse_words(key, one.shift_ratio)}",
                value_words(before, key),
                value_words(after, key),
                f"{one.before_count} / {one.after_count}",
                html.escape(one.rule),
                html.escape(", ".join(_changed(last_good, first)) or "nothing that is recorded"),
            )
        )
    head = ("since run", "change", "level before", "level after", "runs before / after", "rule", "changed with it")
    return table(f"Changes of level in {len(points):,} runs of {key}; noise of a run {_noise(scan)}.", head, rows)


def confirmation_table(confirmations: Sequence[Confirmation]) -> str:
    """Return every paired rerun: which parts of the suspect were put into the last good state, and what that cost."""
    if not confirmations:
        return _empty("Nothing was run again.")
    rows: list[tuple[str, ...]] = []
    verdict_rows: list[int] = []
    for one in confirmations:
        verdict_rows.append(len(rows))
        causes = "; ".join(f"{culprit.component} ({culprit.detail})" for culprit in one.culprits)
        sentence = html.escape(one.sentence + (f" Cause: {causes}." if causes and causes not in one.sentence else ""))
        rows.append((*_who(one), "all", pill(one.verdict), _ratio(one), "", sentence))
        rows += [
            (
                *_who(one),
                html.escape(swap_words(run.swapped, run.package)),
                {True: "worse", False: "not worse", None: "not decided"}[run.is_worse],
                units.UNKNOWN if run.ratio is None else ratio_words(run.ratio, one.family) + coverage_words(run.ratio),
                units.UNKNOWN if run.evidence is None else units.three_digits(run.evidence),
                html.escape(run.sentence),
            )
            for run in one.reruns
        ]
    head = (
        "candidate",
        "family",
        "taken from the suspect",
        "found",
        "over the last good run",
        "evidence E",
        "in words",
    )
    caption = (
        f"The last good run ({', '.join(dict.fromkeys(one.good_run_id for one in confirmations))}) beside itself with "
        "parts of the suspect, run side by side on this machine. Above 1× is more time, memory or bytes; answers in "
        "percentage points."
    )
    return table(caption, head, rows, marked_rows=verdict_rows)


def alerts_table(alerts: Sequence[Alert]) -> str:
    """Return alerts, the newest first: what moved since when and where, who has it, and its last event."""
    if not alerts:
        return _empty("There is no alert.")
    rows = [
        (
            f"<code>{html.escape(one.ulid)}</code>",
            pill(one.state),
            "<br>".join(_moved(one)),
            f"{html.escape(one.since_run_id)}<br>(last good {html.escape(one.good_run_id)})",
            html.escape(one.machine),
            html.escape(one.owner or "nobody"),
            _last_event(one),
        )
        for one in sorted(alerts, key=lambda one: one.ulid, reverse=True)
    ]
    head = ("alert", "state", "what moved", "since run", "machine", "owner", "last event (UTC)")
    return table(f"{len(alerts):,} alert{'s' * (len(alerts) > 1)}, the newest first.", head, rows)


def _series(key: SeriesKey) -> str:
    words = (key.candidate, key.scenario, key.metric)
    return html.escape(" ".join(word for word in words if word != NO_SCENARIO))


def _shift(one: Nomination) -> str:
    shift = shift_words(one.shift_ratio, before=one.before_value, family=one.family)
    return f"{shift}{coverage_words(one.shift_ratio)}, {'worse' if one.is_worse else 'better'}"


def _visible(one: SeriesCheck) -> str:
    metric = METRICS[one.series.metric]
    if metric.is_exact:
        least = metric.least_effect_ratio
        return f"more than {f'{100 * least:g} pp' if metric.family == 'quality' else units.percent(least)}"
    return "too few runs" if one.visible_effect_ratio is None else units.percent(one.visible_effect_ratio)


def _noise(scan: SeriesScan) -> str:
    return units.percent(scan.noise_ratio) if scan.noise_ratio else "none"


def _changed(before: HistoryPoint, after: HistoryPoint) -> list[str]:
    """Name what the digests of two runs say has changed, from what could be the cause to where it ran."""
    found: list[str] = [one for one in COMPONENTS if before.component_sha256(one) != after.component_sha256(one)]
    surroundings = {
        "commit": "commit",
        "host_id": "host",
        "operating_system": "operating system",
        "driver": "driver",
        "image_digest": "image",
    }
    return found + [word for field, word in surroundings.items() if getattr(before, field) != getattr(after, field)]


def _who(one: Confirmation) -> tuple[str, str]:
    return html.escape(one.candidate), one.family


def _ratio(one: Confirmation) -> str:
    return units.UNKNOWN if one.ratio is None else ratio_words(one.ratio, one.family) + coverage_words(one.ratio)


def _moved(alert: Alert) -> list[str]:
    told = [f"{_series(one.series)} {_shift(one)}" for one in alert.nominations[:_MOST_SERIES_COUNT]]
    more = len(alert.nominations) - len(told)
    return [*told, f"and {more} more"] if more else told


def _last_event(alert: Alert) -> str:
    if not alert.events:
        return units.UNKNOWN
    newest = alert.events[-1]
    return html.escape(f"{newest.when[:16].replace('T', ' ')} {newest.who}: {newest.reason}")


def _empty(sentence: str) -> str:
    return f"<p>{html.escape(sentence)}</p>"
