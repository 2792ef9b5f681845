"""
One decision record (MADR 4) for each candidate that was judged, adopted or not: negative results stay findable.

    write_decisions(ledger, backlog, folder=outputs / "decisions", today=today)

A later run writes perflib's part of a decision again. It writes a new decision, which supersedes the old one, when the
verdict is another, or when a person had decided about a model that is not the same any more.
"""

import dataclasses
import datetime
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from perflib import records
from perflib.errors import DataError
from perflib.governance.citations import check_citations
from perflib.governance.decision_file import DecisionFile, new_file, read_file, renewed
from perflib.governance.decision_text import decision_body, options, proposal, title
from perflib.governance.ledger import Ledger
from perflib.governance.models import model_sha256
from perflib.results import Candidate
from perflib.results.governance import Backlog, Cited, Decision

__all__ = ["check_citations", "decision_paths", "decisions_folder", "read_decision", "write_decisions"]

_REVIEW_DAYS = 90
_FILE = re.compile(r"(\d{4,})-.+\.md")
_CITED = (
    ("validation", "/verdict"),
    ("comparison", "/scenarios"),
    ("build", "/artifact_sha256"),
    ("failure", "/sentence"),
)
_NOTE = "> Superseded by "


def write_decisions(ledger: Ledger, backlog: Backlog, *, folder: Path, today: datetime.date) -> tuple[Decision, ...]:
    """
    Write or refresh the decision of every candidate in ``folder/<workload>/NNNN-<candidate>.md``.

    What people wrote is never changed. Same records, same bytes: the date of a decision moves only with its content.

    Args:
        ledger: What the run left.
        backlog: Of the same run; the status that a person gave an approved candidate becomes the decision's.
        folder: Of all decisions.
        today: In UTC.

    Returns:
        The decisions of this run, in the order of its candidates.

    Raises:
        DataError: If a file in the folder is damaged; then nothing is written.
    """
    place = decisions_folder(folder, ledger.workload)
    known = _read_all(place)
    changed: list[DecisionFile] = []
    found = []
    for candidate in ledger.candidates:
        old = _standing(known, candidate.name, ledger.summary.run_id)
        if old is not None and _is_superseded(old, known):
            found.append(old.decision)
            continue
        if old is not None and not _is_replaced(old, ledger, candidate):
            files = [_refreshed(old, ledger, backlog, candidate, today)]
        else:
            files = _written(old, known, ledger, backlog, candidate, place=place, today=today)
        known = [*(one for one in known if one.path not in {file.path for file in files}), *files]
        changed += files
        found.append(files[0].decision)
    for file in changed:
        content = file.text().encode()
        if not file.path.exists() or file.path.read_bytes() != content:
            records.write_bytes(file.path, content)
    return tuple(found)


def read_decision(path: Path) -> Decision:
    """
    Read a decision.

    Raises:
        DataError: If the file is damaged, in one sentence.
    """
    return read_file(path).decision


def decisions_folder(folder: Path, workload: str) -> Path:
    """Return where the decisions about one workload are kept, below the folder of all."""
    return folder / _slug(workload, otherwise="workload")


def decision_paths(folder: Path, workload: str) -> dict[str, Path]:
    """
    Return the files of a workload's decisions by their ids.

    Raises:
        DataError: If a file is damaged, or two have one id.
    """
    return {one.decision.id: one.path for one in _read_all(decisions_folder(folder, workload))}


def _read_all(place: Path) -> list[DecisionFile]:
    paths = sorted(path for path in place.glob("*.md") if _FILE.fullmatch(path.name)) if place.is_dir() else []
    found = [read_file(path) for path in paths]
    by_id: dict[str, Path] = {}
    for one in found:
        other = by_id.setdefault(one.decision.id, one.path)
        if other != one.path:
            raise DataError(
                f"{one.path} and {other.name} are both {one.decision.id}; nothing was overwritten, keep one of them."
            )
    return found


def _standing(known: Sequence[DecisionFile], name: str, run_id: str) -> DecisionFile | None:
    """Return the newest decision about a candidate of this run, or else the one that holds."""
    mine = sorted((one for one in known if one.decision.candidate == name), key=_number, reverse=True)
    of_run = [one for one in mine if one.decision.run_id == run_id]
    holding = [one for one in mine if not _is_superseded(one, known)]
    return next(iter(of_run or holding), None)


def _is_superseded(file: DecisionFile, known: Sequence[DecisionFile]) -> bool:
    return any(one.decision.supersedes == file.decision.id for one in known)


def _is_replaced(old: DecisionFile, ledger: Ledger, candidate: Candidate) -> bool:
    is_other_model = old.decision.candidate_sha256 != model_sha256(ledger, candidate.name)
    return old.decision.chosen != proposal(candidate) or (old.is_status_of_people and is_other_model)


def _refreshed(
    old: DecisionFile, ledger: Ledger, backlog: Backlog, candidate: Candidate, today: datetime.date
) -> DecisionFile:
    """Write perflib's part again; with the old date if nothing else is new."""
    before = datetime.date.fromisoformat(old.decision.date)
    for day in (before, today):
        fresh = _decision(
            ledger, backlog, candidate, adr_id=old.decision.id, supersedes=old.decision.supersedes, day=day
        )
        # Twice, because the text says the status, which a person may have changed.
        actual = renewed(old, fresh, "").decision
        file = renewed(old, fresh, decision_body(ledger, backlog, actual))
        if file.text() == old.text():
            break
    return file


def _written(
    old: DecisionFile | None,
    known: Sequence[DecisionFile],
    ledger: Ledger,
    backlog: Backlog,
    candidate: Candidate,
    *,
    place: Path,
    today: datetime.date,
) -> list[DecisionFile]:
    number = max((_number(one) for one in known), default=0) + 1
    supersedes = old.decision.id if old else None
    decision = _decision(ledger, backlog, candidate, adr_id=f"ADR-{number:04d}", supersedes=supersedes, day=today)
    path = place / f"{number:04d}-{_slug(candidate.name, otherwise='candidate')}.md"
    new = new_file(path, decision, decision_body(ledger, backlog, decision))
    return [new] if old is None else [new, _superseded(old, decision.id)]


def _superseded(old: DecisionFile, by: str) -> DecisionFile:
    """Return the old file, which says what has replaced it; a status that a person wrote stays."""
    body = f"{_NOTE}{by}.\n\n{old.body}"
    return renewed(old, dataclasses.replace(old.decision, status="superseded"), body)


def _decision(
    ledger: Ledger, backlog: Backlog, candidate: Candidate, *, adr_id: str, supersedes: str | None, day: datetime.date
) -> Decision:
    validation = ledger.validations.get(candidate.name)
    gates = validation.gates if validation else ()
    return Decision(
        id=adr_id,
        title=title(candidate),
        status=_status(backlog, candidate),
        date=day.isoformat(),
        candidate=candidate.name,
        candidate_sha256=model_sha256(ledger, candidate.name),
        run_id=ledger.summary.run_id,
        backlog_id=f"OPT-{candidate.name}",
        options=options(ledger, candidate),
        chosen=proposal(candidate),
        accuracy_verdict=validation.verdict if validation else None,
        waivers=tuple(f"{gate.id}: {gate.waiver}" for gate in gates if gate.waiver),
        review_by=(day + datetime.timedelta(days=_REVIEW_DAYS)).isoformat(),
        supersedes=supersedes,
        evidence=_evidence(ledger, candidate.name),
    )


def _status(backlog: Backlog, candidate: Candidate) -> Literal["proposed", "accepted", "rejected"]:
    if candidate.verdict in ("quarantined", "failed"):
        return "rejected"
    item = backlog.item(f"OPT-{candidate.name}")
    said = item.status if item is not None and candidate.verdict == "approved" and candidate.is_finalist else ""
    if said in ("accepted", "shipped"):
        return "accepted"
    return "rejected" if said in ("rejected", "rolled_back") else "proposed"


def _evidence(ledger: Ledger, name: str) -> tuple[Cited, ...]:
    places = [ledger.place(kind, name, pointer) for kind, pointer in _CITED]
    there = [one for one in places if (ledger.folder / one.path).is_file()]
    # What could not even be begun has no record of its own; then what it was to replace is cited.
    there = there or [ledger.place("baseline", "baseline", "/artifact_sha256")]
    return tuple(Cited(one.path, records.sha256_file(ledger.folder / one.path), one.pointer) for one in there)


def _number(file: DecisionFile) -> int:
    return int(file.decision.id.removeprefix("ADR-"))


def _slug(words: str, *, otherwise: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", words.lower()).strip("-")[:60].strip("-") or otherwise
