"""
The answers that changed, for people to read: sorted by how far apart the two models are.

What changes under compression is no random part of the data (Hooker et al., 2020), so somebody should look at it. Texts
come from strangers: a cell that a spreadsheet would take for a formula is made plain text by a quote before it, and
`read_csv` takes that quote away again.
"""

import csv
import dataclasses
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from perflib import records
from perflib.errors import DataError
from perflib.plain import plain_cell
from perflib.validation import quality
from perflib.validation.distances import kl_nat
from perflib.validation.predictions import Paired

_NONE = "no number"


@dataclasses.dataclass(frozen=True)
class Exemplar:
    """One example whose answer changed; ``divergence_nat`` is None where an answer is no number."""

    id: str
    text: str
    label: str
    baseline_label: str
    candidate_label: str
    direction: str
    divergence_nat: float | None
    slices: str
    reviewer_note: str = ""


_COLUMNS = tuple(field.name for field in dataclasses.fields(Exemplar))


def exemplars(paired: Paired, inputs: Sequence[Any], labels: Sequence[str]) -> tuple[Exemplar, ...]:
    """
    Return every example with another answer, the most divergent first.

    Args:
        paired: Both models' answers.
        inputs: What they were asked, in the same order; what is no text is left out.
        labels: The classes in order.

    Raises:
        DataError: If there is not one input for each answer.
    """
    if len(inputs) != len(paired):
        raise DataError(f"{len(inputs)} inputs do not fit {len(paired)} answers; give what was asked, one per answer.")
    before, after = quality.answers(paired.baseline), quality.answers(paired.candidate)
    found = [
        Exemplar(
            id=paired.ids[row],
            text=inputs[row] if isinstance(inputs[row], str) else "",
            label=labels[paired.labels[row]],
            baseline_label=_named(before[row], labels),
            candidate_label=_named(after[row], labels),
            direction=_direction(int(paired.labels[row]), int(before[row]), int(after[row])),
            divergence_nat=_divergence_nat(paired, row),
            slices=_slices_of(paired, row),
        )
        for row in np.flatnonzero(before != after).tolist()
    ]
    # What is no number is the furthest away of all.
    return tuple(sorted(found, key=lambda one: -(np.inf if one.divergence_nat is None else one.divergence_nat)))


def write_csv(rows: Sequence[Exemplar], path: Path) -> Path:
    """Write a table for a spreadsheet, atomically; `reviewer_note` is for the person who reads it."""
    buffer = io.StringIO(newline="")
    writer = csv.DictWriter(buffer, _COLUMNS)
    writer.writeheader()
    for row in rows:
        writer.writerow({name: plain_cell(getattr(row, name)) for name in _COLUMNS})
    records.write_bytes(path, buffer.getvalue().encode())
    return path


def read_csv(path: Path) -> list[dict[str, Any]]:
    """
    Read what `write_csv` wrote, row by row, the divergence as a number; columns that somebody added are left out.

    Raises:
        DataError: If the file is missing or is no such table.
    """
    try:
        # Spreadsheets write a byte order mark; line ends inside a text stay what they are.
        content = path.read_bytes().decode("utf-8-sig")
        # One text may be longer than what the module reads by default.
        csv.field_size_limit(max(csv.field_size_limit(), len(content)))
        reader = csv.DictReader(io.StringIO(content, newline=""), strict=True)
        missing = [name for name in _COLUMNS if name not in (reader.fieldnames or ())]
        if missing:
            raise ValueError(f"it has no column `{missing[0]}`")
        return [_from_cells(row) for row in reader]
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror}); validate the candidate again.") from error
    except (csv.Error, ValueError) as error:
        raise DataError(f"{path} is no table of changed answers ({error}); validate the candidate again.") from error


def _from_cells(row: Mapping[str, str | None]) -> dict[str, Any]:
    found = {name: _unquoted(row.get(name)) for name in _COLUMNS}
    divergence = found["divergence_nat"]
    return found | {"divergence_nat": float(divergence) if divergence else None}


def _unquoted(cell: str | None) -> str:
    if cell is None:
        raise ValueError("a row ends too early")
    # Only our own quote: a person may have typed another.
    return cell[1:] if cell.startswith("'") and plain_cell(cell[1:]) == cell else cell


def _divergence_nat(paired: Paired, row: int) -> float | None:
    before, after = (arm[[row]].astype(np.float64) for arm in (paired.baseline, paired.candidate))
    is_finite = np.isfinite(before).all() and np.isfinite(after).all()
    return float(kl_nat(before, after)[0]) if is_finite else None


def _named(answer: int, labels: Sequence[str]) -> str:
    return _NONE if answer < 0 else labels[answer]


def _slices_of(paired: Paired, row: int) -> str:
    """Name what an example is, and leave out what it is not."""
    values = {column: values[row] for column, values in paired.slices.items()}
    return ", ".join(
        column if value == "yes" else f"{column} {value}" for column, value in values.items() if value != "no"
    )


def _direction(label: int, before: int, after: int) -> str:
    if before == label:
        return "became wrong"
    return "became right" if after == label else "wrong in another way"
