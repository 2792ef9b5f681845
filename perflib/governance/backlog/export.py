"""The backlog as a table for a spreadsheet: one row an item, units in the header, no cell that runs as a formula."""

import csv
import io
from pathlib import Path
from typing import Any

from perflib import records
from perflib.plain import plain_cell
from perflib.results.governance import Backlog, BacklogItem

# Header -> the field, through its parents; {currency} and {example} say so while prices are examples.
_INTERVALS = {
    "throughput [times the baseline]": "throughput_ratio",
    "speed one at a time [times the baseline]": "latency_ratio",
    "peak memory [share of the baseline]": "memory_ratio",
    "accuracy change [share]": "accuracy_change_ratio",
}
_RANGES = {
    "effort [days]": "effort_days",
    "one-off [{currency}]": "returns.one_off_amount",
    "saving a month [{currency}]": "returns.saving_month_amount",
    "ROI [times the one-off{example}]": "returns.roi_ratio",
    "NPV [{currency}]": "returns.npv_amount",
}
_COLUMNS: dict[str, str] = {
    "id": "id",
    "rank": "rank",
    "kind": "kind",
    "title": "title",
    "technique": "technique",
    "status": "status",
    "owner": "owner",
    "verdict": "verdict",
    "accuracy verdict": "accuracy_verdict",
    **{f"{name} {end}": f"{field}.{end}" for name, field in _INTERVALS.items() for end in ("estimate", "low", "high")},
    "size [share of the baseline]": "size_ratio",
    "right answers made wrong [share]": "negative_flip_ratio",
    "worst slice": "worst_slice",
    "risk": "risk",
    "risk because": "risk_sentence",
    "depends on": "dependencies",
    "build [s]": "build_sec",
    "realisable": "realisable",
    "horizon [months]": "returns.horizon_months",
    **{f"{name} {end.upper()}": f"{field}.{end}" for name, field in _RANGES.items() for end in ("p10", "p50", "p90")},
    **{f"payback [months{{example}}] {end.upper()}": f"returns.payback_months_{end}" for end in ("p10", "p50", "p90")},
    "chance of loss [share{example}]": "returns.chance_of_loss_ratio",
    "RICE [score]": "rice.score",
    "hypothesis": "hypothesis",
    "reasons": "reasons",
    "words of people": "people_words",
    "evidence": "evidence",
}


def write_csv(path: Path, backlog: Backlog) -> Path:
    """
    Write the backlog, atomically, and return its path.

    What is not known is an empty cell. While the prices are examples, every column of money says so in its header.

    Raises:
        DataError: If the folder cannot be written.
    """
    currency, example = backlog.currency, ""
    if backlog.is_example:
        currency, example = f"example {currency}", ", example prices"
    buffer = io.StringIO(newline="")
    writer = csv.writer(buffer)
    writer.writerow([plain_cell(name.format(currency=currency, example=example)) for name in _COLUMNS])
    for item in backlog.items:
        writer.writerow([plain_cell(_value(item, field)) for field in _COLUMNS.values()])
    records.write_bytes(path, buffer.getvalue().encode())
    return path


def _value(item: BacklogItem, field: str) -> Any:
    found: Any = item
    for name in field.split("."):
        found = getattr(found, name) if found is not None else None
    return " ".join(str(one) for one in found) if isinstance(found, tuple) else found
