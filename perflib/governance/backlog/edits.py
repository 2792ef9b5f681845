"""
What people write about the backlog into `params/backlog.yaml`: status, owner, effort, a note, dependencies.

No program writes that file, so a re-run can never undo what somebody decided.
"""

import dataclasses
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from perflib import project
from perflib.errors import ParameterError, did_you_mean
from perflib.plain_yaml import read_yaml
from perflib.results.governance import ITEM_STATUSES, Backlog, ItemStatus, Range

_KEYS = ("status", "owner", "effort_days", "note", "depends_on")
_QUANTILES = ("p10", "p50", "p90")


@dataclasses.dataclass(frozen=True)
class Edit:
    """What a person says about one item; what was not said is None or empty."""

    status: ItemStatus | None = None
    owner: str = ""
    effort_days: Range | None = None
    note: str = ""
    depends_on: tuple[str, ...] = ()


def load_edits(name: str = "backlog.yaml", folder: Path | None = None) -> Mapping[str, Mapping[str, Edit]]:
    """
    Read the edits from ``params/``, by workload and item id; none where there is no file.

    Args:
        name: Of the file.
        folder: Where it lies.

    Raises:
        ParameterError: If it cannot be read, a key or status is unknown, or an effort is not positive or out of order.
    """
    path = (folder or project.root() / "params") / name
    if not path.exists():
        return {}
    document = read_yaml(path)
    workloads = document.get("workloads")
    if len(document) != 1 or not isinstance(workloads, dict):
        raise ParameterError(
            f"{path} is not one mapping `workloads`; write `workloads: {{}}` where there are no edits."
        )
    found: dict[str, dict[str, Edit]] = {}
    for workload, items in workloads.items():
        if not isinstance(items, dict):
            raise ParameterError(f"{path}: `{workload}` holds {items!r}; write item ids with what you say about them.")
        found[str(workload)] = {
            str(item): _edit(fields, f"{path}: {workload}.{item}") for item, fields in items.items()
        }
    return found


def unknown_ids(edits: Mapping[str, Edit], backlog: Backlog) -> tuple[str, ...]:
    """Return a warning for every id that is edited or depended on and that the run's backlog does not have."""
    known = {one.id for one in backlog.items}
    edited = [f"params/backlog.yaml edits `{item}`" for item in sorted(set(edits) - known)]
    needed = [
        f"params/backlog.yaml says that `{item}` depends on `{other}`"
        for item, edit in sorted(edits.items())
        for other in sorted(set(edit.depends_on) - known)
    ]
    return tuple(
        f"{what}, which this run's backlog does not have; nothing was done with it." for what in edited + needed
    )


def _edit(fields: Any, where: str) -> Edit:
    if not isinstance(fields, dict):
        raise ParameterError(f"{where} is {fields!r}; write keys such as `status` and `owner` with their values.")
    for key in fields:
        if key not in _KEYS:
            raise ParameterError(f"{where}: `{key}` is no key of an item; {did_you_mean(str(key), _KEYS)}")
    return Edit(
        status=_status(fields["status"], where) if "status" in fields else None,
        owner=_text(fields.get("owner", ""), f"{where}.owner"),
        effort_days=_effort(fields["effort_days"], f"{where}.effort_days") if "effort_days" in fields else None,
        note=_text(fields.get("note", ""), f"{where}.note"),
        depends_on=_ids(fields.get("depends_on", []), f"{where}.depends_on"),
    )


def _status(value: Any, where: str) -> ItemStatus:
    found = next((one for one in ITEM_STATUSES if one == value), None)
    if found is None:
        raise ParameterError(f"{where}: status `{value}` is not known; {did_you_mean(str(value), ITEM_STATUSES)}")
    return found


def _text(value: Any, where: str) -> str:
    if not isinstance(value, str):
        raise ParameterError(f"{where} is {value!r}; write words.")
    return " ".join(value.split())


def _effort(value: Any, where: str) -> Range:
    if not isinstance(value, dict) or set(value) != set(_QUANTILES) or not all(map(_is_positive, value.values())):
        raise ParameterError(f"{where} is {value!r}; give `p10`, `p50` and `p90`, each a number of days above 0.")
    low, middle, high = (float(value[key]) for key in _QUANTILES)
    if not low <= middle <= high:
        raise ParameterError(f"{where} is {low:g}, {middle:g}, {high:g}; p10 may not exceed p50, nor p50 p90.")
    return Range(low, middle, high)


def _is_positive(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value) and value > 0


def _ids(value: Any, where: str) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
        raise ParameterError(f"{where} is {value!r}; write a list of item ids, such as [OPT-int8].")
    return tuple(dict.fromkeys(value))
