"""I9: what is said to come before comes before: the run began, ended, and was packed."""

import datetime
from collections.abc import Iterator
from typing import Any

from perflib.errors import DataError
from perflib.governance.evidence.pack import Pack
from perflib.governance.evidence.rules.base import Look, Setting, held, summary
from perflib.governance.evidence.strict import shown

PROVENANCE = "attestations/provenance.json"
# Whoever verifies may be a time zone ahead or behind in nothing but the day.
_TOLERANCE_DAYS = 1


def times(pack: Pack, setting: Setting) -> Iterator[Look]:
    """Hold the times of run.json, of the provenance and of the manifest in order; nothing is of tomorrow."""
    run = summary(pack)
    details = pack.json(PROVENANCE)["predicate"]["runDetails"]["metadata"]
    started, finished = (_moment(details[key], PROVENANCE) for key in ("startedOn", "finishedOn"))
    built = _moment(pack.manifest.built, "MANIFEST.json")
    begun = _moment(run.started, "run.json")
    yield held(started == begun, "I9", PROVENANCE, "It says another start than run.json.")
    yield held(started <= finished, "I9", PROVENANCE, "The run ends before it begins.")
    yield held(finished <= built, "I9", PROVENANCE, "The pack was built before the run ended.")
    least = begun + datetime.timedelta(seconds=int(run.wall_sec or 0))
    yield held(least <= built, "I9", "MANIFEST.json", "The pack was built before the run could have ended.")
    is_past = built.date() <= setting.today + datetime.timedelta(days=_TOLERANCE_DAYS)
    yield held(is_past, "I9", "MANIFEST.json", f"The pack says it was built on {built.date()}, which is still to come.")


def _moment(text: Any, path: str) -> datetime.datetime:
    try:
        moment = datetime.datetime.fromisoformat(text)
    except (TypeError, ValueError) as error:
        raise DataError(f"{path} has no such time: {shown(error)}.") from error
    if moment.tzinfo is None:
        raise DataError(f"{path} has a time without its zone: {shown(text)}.")
    return moment
