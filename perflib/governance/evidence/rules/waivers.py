"""
Which waivers a pack has, and which gates they let pass: by our own reading, as the verifier trusts no other.

A waiver holds for one artifact and one gate, has an owner, a reason and what is done instead, lasts at most 90 days,
and was granted before the pack was built.
"""

import dataclasses
import datetime
import re
from collections.abc import Sequence

from perflib.errors import DataError
from perflib.governance.evidence.pack import Pack
from perflib.governance.evidence.strict import shown
from perflib.results import Gate, Validation

WAIVERS = "params/waivers.yaml"
MAX_WAIVER_DAYS = 90
NEVER_WAIVED = frozenset({"A13", "A14"})
_WORDS = ("artifact", "gate", "owner", "reason", "compensating_control", "granted", "expires")


@dataclasses.dataclass(frozen=True)
class Waiver:
    """One waiver as the pack holds it; ``artifact`` is the start of a digest."""

    artifact: str
    gate: str
    granted: datetime.date
    expires: datetime.date

    def is_for(self, sha256: str) -> bool:
        """Whether it speaks of this model."""
        return sha256.startswith(self.artifact)


def waivers(pack: Pack) -> tuple[Waiver, ...]:
    """Return the pack's waivers; `DataError` if one lacks something or lasts too long."""
    if WAIVERS not in pack:
        return ()
    document = pack.yaml(WAIVERS)
    lines = document.get("waivers")
    if set(document) != {"waivers"} or not isinstance(lines, list):
        raise DataError(f"{WAIVERS} is not one list `waivers`; build the pack again.")
    built = datetime.datetime.fromisoformat(pack.manifest.built).date()
    return tuple(_waiver(line, number, built) for number, line in enumerate(lines, start=1))


def open_gates(validation: Validation, known: Sequence[Waiver]) -> list[tuple[Gate, Waiver | None]]:
    """Return the gates that do not pass by themselves, each with the waiver that lets it pass, expired or not."""
    ours = [one for one in known if one.is_for(validation.identity.candidate_sha256)]
    return [
        (gate, max((one for one in ours if one.gate == gate.id), key=lambda one: one.expires, default=None))
        for gate in validation.gates
        if gate.verdict not in ("PASS", "WARN")
    ]


def _waiver(line: object, number: int, built: datetime.date) -> Waiver:
    where = f"waiver {number} of {WAIVERS}"
    if not isinstance(line, dict) or set(line) != set(_WORDS):
        raise DataError(f"{where} does not have exactly {', '.join(_WORDS)}.")
    words = {key: str(value).strip() for key, value in line.items()}
    if not all(words.values()):
        raise DataError(f"{where} leaves something empty.")
    if not re.fullmatch(r"[0-9a-f]{12,64}", words["artifact"]):
        raise DataError(f"{where} names no digest of at least 12 digits.")
    if words["gate"] in NEVER_WAIVED:
        raise DataError(f"{where} waives {words['gate']}, which nobody can.")
    try:
        granted, expires = (datetime.date.fromisoformat(words[key]) for key in ("granted", "expires"))
    except ValueError as error:
        raise DataError(f"{where} has no such day: {shown(error)}.") from error
    if not 0 <= (expires - granted).days <= MAX_WAIVER_DAYS or granted > built:
        raise DataError(
            f"{where} lasts over {MAX_WAIVER_DAYS} days, ends before it begins, or is younger than the pack."
        )
    return Waiver(words["artifact"], words["gate"], granted, expires)
