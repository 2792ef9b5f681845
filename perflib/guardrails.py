"""
What people allow, written down before and after a result: limits in `params/guardrails.yaml`, waivers in
`params/waivers.yaml`.

Limits are fixed before anybody sees an answer; their digest is in `run.json` from its first word on. A waiver lets one
artifact pass one gate for a while: somebody answers for it, says why, and what is done instead.
"""

import dataclasses
import datetime
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from perflib import project
from perflib.errors import ParameterError, did_you_mean
from perflib.plain_yaml import read_yaml
from perflib.records import sha256_file
from perflib.validation.gates import CHURN_GATES, GATES, TIE_GATES, WARNING_GATES, Guardrails, Limit

MAX_WAIVER_DAYS = 90
# A waiver cannot make the numbers of another model, or of texts that were learnt by heart, true.
NEVER_WAIVED = frozenset({"A13", "A14"})
_LIMIT_KEYS = {"limit", "warn_limit", "source", "above_churn", "free_ties"}
_WAIVER_KEYS = ("artifact", "gate", "owner", "reason", "compensating_control", "granted", "expires")


@dataclasses.dataclass(frozen=True)
class Waiver:
    """Who lets one artifact pass one gate, why, what is done instead, and until when (that day included)."""

    artifact_sha256: str
    gate: str
    owner: str
    reason: str
    compensating_control: str
    granted: datetime.date
    expires: datetime.date

    @property
    def sentence(self) -> str:
        """What stands beside the gate."""
        reason, control = (text.rstrip(".") for text in (self.reason, self.compensating_control))
        return f"{self.owner}, until {self.expires}: {reason}. Instead: {control}."


def load_guardrails(name: str, folder: Path | None = None) -> tuple[Guardrails, str]:
    """
    Read a guardrails file from ``params/``; return its limits by profile and gate, and the file's sha256.

    Raises:
        ParameterError: If a gate is unknown, or a limit is missing, no share, or without its source.
    """
    path = (folder or project.root() / "params") / name
    profiles: dict[str, dict[str, Limit]] = {}
    for profile, gates in read_yaml(path).items():
        if not isinstance(gates, dict) or not gates:
            raise ParameterError(f"profile `{profile}` of {path} holds no gates; give each its limit and source.")
        profiles[profile] = {}
        for gate, fields in gates.items():
            if gate not in GATES:
                raise ParameterError(f"guardrail `{gate}` of {path} is not known; {did_you_mean(str(gate), GATES)}")
            profiles[profile][gate] = _limit(fields, gate, f"{path}: {profile}.{gate}")
    return profiles, sha256_file(path)


def load_waivers(name: str, folder: Path | None = None, *, today: datetime.date | None = None) -> tuple[Waiver, ...]:
    """
    Read a waivers file from ``params/``; none where there is no file.

    Args:
        name: Of the file.
        folder: Where it lies.
        today: In UTC; tests pass their own.

    Raises:
        ParameterError: If the file cannot be read, or a waiver lacks something, has expired, or lasts over 90 days.
    """
    path = (folder or project.root() / "params") / name
    try:
        path.stat()
    except FileNotFoundError:
        return ()
    except (OSError, ValueError):
        pass  # a name that no file can have: the reader says so
    document = read_yaml(path)
    lines = document.get("waivers")
    if len(document) != 1 or not isinstance(lines, list):
        raise ParameterError(f"{path} is not one list `waivers`; write `waivers: []` where there are none.")
    today = today or datetime.datetime.now(datetime.UTC).date()
    return tuple(_waiver(line, f"waiver {number} of {path}", today) for number, line in enumerate(lines, start=1))


def waived_gates(waivers: Iterable[Waiver], artifact_sha256: str) -> dict[str, str]:
    """Return the gates that an artifact may fail, with the sentence that stands beside each."""
    return {one.gate: one.sentence for one in waivers if artifact_sha256.startswith(one.artifact_sha256)}


def _limit(fields: Any, gate: str, where: str) -> Limit:
    if not isinstance(fields, dict) or not set(fields) <= _LIMIT_KEYS or not {"limit", "source"} <= set(fields):
        raise ParameterError(
            f"{where} needs `limit` and `source` and may have `warn_limit`, `above_churn` and `free_ties`, "
            f"but holds {fields!r}."
        )
    if not isinstance(fields["source"], str) or not fields["source"].strip():
        raise ParameterError(f"{where}.source is {fields['source']!r}; say in words who set the limit.")
    limit = _share(fields["limit"], f"{where}.limit")
    if gate == "A2" and limit == 0:
        raise ParameterError(f"{where}.limit is 0, and no number of examples can rule out every loss; give a margin.")
    warn_limit = _share(fields["warn_limit"], f"{where}.warn_limit") if "warn_limit" in fields else None
    if warn_limit is not None and gate not in WARNING_GATES:
        raise ParameterError(f"{where}.warn_limit is {warn_limit:g}; only {', '.join(sorted(WARNING_GATES))} can warn.")
    if warn_limit is not None and warn_limit < limit:
        raise ParameterError(f"{where}.warn_limit is {warn_limit:g}; give at least the limit, which is {limit:g}.")
    for key, gates in (("above_churn", CHURN_GATES), ("free_ties", TIE_GATES)):
        if not isinstance(fields.get(key, False), bool) or (fields.get(key) and gate not in gates):
            raise ParameterError(f"{where}.{key} is {fields[key]!r}; only {', '.join(sorted(gates))} may say true.")
    return Limit(
        limit=limit,
        source=fields["source"].strip(),
        warn_limit=warn_limit,
        is_above_churn=fields.get("above_churn", False),
        has_free_ties=fields.get("free_ties", False),
    )


def _share(value: Any, where: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        raise ParameterError(f"{where} is {value!r}; give a share between 0 and 1.")
    return float(value)


def _waiver(fields: Any, where: str, today: datetime.date) -> Waiver:
    words = _waiver_words(fields, where)
    gate, artifact = words["gate"], words["artifact"]
    if gate not in GATES:
        raise ParameterError(f"{where}: gate `{gate}` is not known; {did_you_mean(gate, GATES)}")
    if gate in NEVER_WAIVED:
        raise ParameterError(f"{where}: gate {gate} cannot be waived; validate the right artifact or data.")
    if not re.fullmatch(r"[0-9a-f]{12,64}", artifact):
        raise ParameterError(f"{where}: artifact is {artifact!r}; give 12 to 64 digits (0-9, a-f) of its sha256.")
    granted, expires = (_date(words[key], f"{where}: {key}") for key in ("granted", "expires"))
    if not 0 <= (expires - granted).days <= MAX_WAIVER_DAYS:
        raise ParameterError(f"{where} lasts from {granted} to {expires}; at most {MAX_WAIVER_DAYS} days are allowed.")
    if granted > today:
        raise ParameterError(f"{where} is granted on {granted}, which is still to come; give the day it was decided.")
    if expires < today:
        raise ParameterError(f"{where} (gate {gate}) expired on {expires}; decide anew or delete it.")
    return Waiver(
        artifact_sha256=artifact,
        gate=gate,
        owner=words["owner"],
        reason=words["reason"],
        compensating_control=words["compensating_control"],
        granted=granted,
        expires=expires,
    )


def _waiver_words(fields: Any, where: str) -> dict[str, str]:
    """Return the words of a waiver, each on one line: they stand beside the gate in every report."""
    if not isinstance(fields, Mapping):
        raise ParameterError(f"{where} is {fields!r}; give it {', '.join(_WAIVER_KEYS)}.")
    for key in fields:
        if key not in _WAIVER_KEYS:
            raise ParameterError(f"{where}: `{key}` is not known; {did_you_mean(key, _WAIVER_KEYS)}")
    words = {}
    for key in _WAIVER_KEYS:
        if key not in fields:
            raise ParameterError(f"{where} lacks `{key}`; a waiver has {', '.join(_WAIVER_KEYS)}.")
        text = " ".join(fields[key].split()) if isinstance(fields[key], str) else ""
        if not text or not text.isprintable():
            raise ParameterError(f"{where}: {key} is {fields[key]!r}; write it as plain text, in quotes if need be.")
        words[key] = text
    return words


def _date(text: str, where: str) -> datetime.date:
    try:
        day = datetime.date.fromisoformat(text)
    except ValueError:
        day = None
    # The standard library also reads 20261122 and 2026-W47-7.
    if day is None or day.isoformat() != text:
        raise ParameterError(f"{where} is {text!r}; write a day as YYYY-MM-DD.")
    return day
