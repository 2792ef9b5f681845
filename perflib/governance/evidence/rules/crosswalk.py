"""I8: a reader who thinks in a framework finds every heading, and what each row points at is there."""

import re
from collections.abc import Iterator

from perflib.errors import DataError
from perflib.governance.evidence.pack import Pack
from perflib.governance.evidence.rules.base import Look, Setting, broken, held
from perflib.results.governance import ControlRow, Crosswalk

CROSSWALK = "crosswalk.json"
ANNEX_HEADINGS = frozenset(str(number) for number in range(1, 10))
NIST_SUBCATEGORIES = frozenset(
    f"MEASURE {number}"
    for number in ["1.3", "2.1", "2.3", "2.4", "2.5", "2.6", "2.7", "2.9", "2.11", "2.12", "2.13", "3.1"]
) | frozenset(f"MANAGE {number}" for number in ["1.1", "1.3", "1.4", "2.4", "4.1"])


def rows(pack: Pack, _: Setting) -> Iterator[Look]:
    """Ask that all rows are there, that each says where or why not, and that its pointers resolve."""
    found = pack.record(Crosswalk, CROSSWALK)
    yield held("no claim" in found.disclaimer.lower(), "I8", CROSSWALK, "It does not say that it is no claim.")
    missing = sorted((ANNEX_HEADINGS | NIST_SUBCATEGORIES) - {_control(row) for row in found.rows})
    yield held(not missing, "I8", CROSSWALK, f"Rows are missing: {', '.join(missing)}.")
    for row in found.rows:
        said = f"{row.framework}, {row.control}"
        is_shown = row.status in ("covered", "partial")
        yield held(is_shown == bool(row.pointers), "I8", CROSSWALK, f"{said} is {row.status}, against its pointers.")
        yield held(row.status == "covered" or bool(row.reason.strip()), "I8", CROSSWALK, f"{said} gives no reason.")
        for pointer in row.pointers:
            try:
                pack.value(pointer)
                yield None
            except DataError as error:
                yield broken("I8", CROSSWALK, f"{said}: {error}")


def _control(row: ControlRow) -> str:
    """Return a control as both sides write it: the number of a heading, or `MEASURE 2.1`."""
    if row.framework == "EU AI Act Annex IV":
        number = re.search(r"\d+", row.control)
        return number.group() if number else ""
    return " ".join(row.control.upper().split())
