"""
Where a reader who thinks in a framework finds things in a pack: NIST AI RMF 1.0 and the headings of Annex IV.

It is a voluntary mapping. A row says "covered" only if everything that it points at is in the pack.
"""

from collections.abc import Collection, Iterator
from typing import Literal

from perflib.governance.controls import CONTROLS, Control
from perflib.results.governance import ControlRow, Crosswalk, Pointer

DISCLAIMER = (
    "Voluntary mapping, no claim of conformity: it shows where a reader finds what, and nobody has assessed it. "
    "The workload is not held to be a high-risk system."
)
_CLAIMED = "candidates/"


def map_controls(paths: Collection[str]) -> Crosswalk:
    """
    Return which files of a pack speak to which control.

    Args:
        paths: Of the pack's files, relative to it. Its claimed candidates are those with a folder in `candidates/`.

    Example:
        >>> rows = map_controls(["crosswalk.json"]).rows
        >>> len([one for one in rows if one.framework == "EU AI Act Annex IV"])
        9
    """
    there = frozenset(paths)
    names = sorted({path.split("/")[1] for path in there if path.startswith(_CLAIMED) and path.count("/") > 1})
    return Crosswalk(DISCLAIMER, tuple(_row(control, there, names) for control in CONTROLS))


def _row(control: Control, there: frozenset[str], names: Collection[str]) -> ControlRow:
    wanted = [one for place in control.places for one in _pointers(place, names)]
    pointers = tuple(one for one in wanted if one.path in there)
    missing = list(dict.fromkeys(one.path for one in wanted if one.path not in there))
    is_unclaimed = not names and any("{name}" in place for place in control.places)
    reasons = [control.limit] if control.limit else []
    if missing:
        reasons.append(f"Not in this pack: {', '.join(missing)}.")
    if is_unclaimed:
        reasons.append("This pack claims no candidate, so nothing of one is shown.")
    status: Literal["covered", "partial", "not covered", "not applicable"] = "partial" if reasons else "covered"
    if not pointers:
        status = "not covered" if control.places else "not applicable"
    return ControlRow(control.framework, control.id, control.title, status, " ".join(reasons), pointers)


def _pointers(place: str, names: Collection[str]) -> Iterator[Pointer]:
    path, _, pointer = place.partition("#")
    for name in names if "{name}" in path else [""]:
        yield Pointer(path.replace("{name}", name), pointer)
