"""Whether the answers are still right: probes, and single answers that changed."""

import html
import math
from collections.abc import Mapping, Sequence
from typing import Any

from perflib import units
from perflib.results import ProbeResult, Validation
from perflib.tables.cells import points_change
from perflib.tables.markup import table

_MOST_EXEMPLARS = 20
_LONGEST_TEXT = 200
_LEAST_DIVERGENCE_NAT = 0.001


def probes_table(validation: Validation) -> str:
    """Return how often both models fail each kind of probe, and by how much more often the candidate does."""
    rows = [
        (
            html.escape(one.suite),
            html.escape(f"{one.kind} (version {one.version})"),
            f"{one.probe_count:,}",
            _failures(one.baseline_fail_count, one),
            _failures(one.candidate_fail_count, one),
            points_change(one.increase),
            "yes" if one.is_gated else "no: too few, or only reported",
        )
        for one in validation.probes
    ]
    head = ("suite", "kind", "probes", "baseline fails", "candidate fails", "increase [bounds]", "judged")
    caption = (
        f"Texts that were changed or made up to test both models, {len(rows)} kinds. Bounds are Holm's: they pay for "
        "the number of kinds in their suite."
    )
    return table(caption, head, rows)


def _failures(fail_count: int, one: ProbeResult) -> str:
    share = f" ({units.percent(fail_count / one.probe_count)})" if one.probe_count else ""
    return f"{fail_count:,}{share}"


def exemplars_table(rows: Sequence[Mapping[str, Any]]) -> str:
    """
    Return single answers that changed, in the order given, at most 20 of them and their texts cut.

    Args:
        rows: With ``id``, ``text``, ``label``, ``baseline_label``, ``candidate_label``, ``divergence_nat``,
            ``direction`` and ``slices``, which is a word or several.
    """
    cells = [
        (
            _words(row["id"]),
            _words(row["text"]),
            _words(row["label"]),
            _words(row["baseline_label"]),
            _words(row["candidate_label"]),
            _divergence(row["divergence_nat"]),
            _words(row["direction"]),
            _words(row["slices"] if isinstance(row["slices"], str) else "; ".join(map(str, row["slices"]))),
        )
        for row in rows[:_MOST_EXEMPLARS]
    ]
    head = ("example", "text", "truth", "baseline", "candidate", "divergence [nat]", "direction", "slices")
    return table(_exemplars_caption(len(rows)), head, cells)


def _exemplars_caption(count: int) -> str:
    if not count:
        return "No answer changed; the file is empty."
    if count <= _MOST_EXEMPLARS:
        return f"Answers that changed: {count} in the file, all of them here."
    return f"Answers that changed: {count:,} in the file, the first {_MOST_EXEMPLARS} of them here."


def _words(value: object) -> str:
    # Characters that turn the direction of writing or feed lines would let a text rearrange its neighbours.
    text = " ".join("".join(one if one.isprintable() else " " for one in str(value)).split())
    return html.escape(text if len(text) <= _LONGEST_TEXT else f"{text[: _LONGEST_TEXT - 1]}…")


def _divergence(value_nat: float | None) -> str:
    # An answer that is no number has no distance.
    if value_nat is None or not math.isfinite(value_nat):
        return units.UNKNOWN
    return html.escape(f"<{_LEAST_DIVERGENCE_NAT:g}") if value_nat < _LEAST_DIVERGENCE_NAT else f"{value_nat:.3f}"
