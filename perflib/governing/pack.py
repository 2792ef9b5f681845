"""
The evidence pack of a run: what its records prove, in the forms that reviewers and their tools read.

    make_pack(run, built=moment())      # outputs/RUN/evidence/, unsigned
"""

import datetime
import importlib.metadata
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from perflib.errors import DataError, ParameterError
from perflib.governance.backlog.export import write_csv
from perflib.governance.bom import environment_bom, model_bom
from perflib.governance.cards import make_card
from perflib.governance.costs_page import costs_page
from perflib.governance.crosswalk import map_controls
from perflib.governance.decisions import decision_paths, read_decision
from perflib.governance.evidence import layout
from perflib.governance.evidence.build import build_pack, left_out
from perflib.governance.evidence.instructions import instructions
from perflib.governance.evidence.statements import (
    accuracy_statement,
    gate_statement,
    performance_statement,
    provenance_statement,
)
from perflib.governance.focus import write_focus
from perflib.governance.ledger import Ledger
from perflib.governing.govern import WHOLE, decisions_folder, ledger_of
from perflib.governing.sources import params_folder
from perflib.records import dumps, sha256_file
from perflib.results.governance import Backlog, Carbon, Finops, Manifest, PriceBook
from perflib.runs import Run

EVIDENCE = "evidence"


def make_pack(run: Run, *, built: datetime.datetime, is_forced: bool = False) -> Manifest:
    """
    Build the pack of a finished run, unsigned, and put it into its folder as a whole.

    Args:
        run: With its report and the decision's records.
        built: In UTC; the same moment and the same run give the same bytes.
        is_forced: Whether a pack that is signed may be replaced.

    Raises:
        ParameterError: If the pack is signed, or would be larger than it may be.
        DataError: If the run lacks its report or the decision's records, or one of them is damaged.
    """
    ledger = ledger_of(run)
    moment = built.astimezone(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    parts = {**_of_people(run, ledger), **_of_costs(run, ledger), **_of_candidates(run, ledger, moment)}
    if ledger.lock is not None:
        parts["sbom/env.cdx.json"] = environment_bom(ledger.lock, built=moment).encode()
    parts["attestations/provenance.json"] = _json(provenance_statement(ledger))
    kept = {*ledger.approved, *ledger.promoted}
    parts[layout.VERIFY_FILE] = instructions(
        run_id=run.run_id, claimed=ledger.approved, left_out=left_out(run.folder, kept)
    ).encode()
    paths = [*parts, layout.RUN_FILE, layout.REPORT_FILE, *_record_paths(run)]
    parts["crosswalk.json"] = _json(map_controls(paths).to_dict())
    return build_pack(
        run.folder,
        run.folder / EVIDENCE,
        parts,
        run_id=run.run_id,
        run_ulid=ledger.summary.ulid,
        built=moment,
        claimed=ledger.approved,
        promoted=ledger.promoted,
        version=importlib.metadata.version("perflib"),
        force=is_forced,
    )


def is_signed(run: Run) -> bool:
    """Whether somebody has signed the run's pack."""
    return (run.folder / EVIDENCE / layout.BUNDLE_FILE).exists()


def refuse_signed(run: Run, *, is_forced: bool) -> None:
    """Raise `ParameterError` if the run's pack is signed, because a new one would lose the signatures."""
    if is_signed(run) and not is_forced:
        raise ParameterError(
            f"the evidence of {run.run_id} is signed, and what is made anew has to be signed anew; "
            "say so with --force, or leave it as it is."
        )


def manifest_sha256(run: Run) -> str | None:
    """Return the digest of the list of all that the pack holds; None where there is no pack."""
    path = run.folder / EVIDENCE / layout.MANIFEST_FILE
    return sha256_file(path) if path.is_file() else None


def _of_people(run: Run, ledger: Ledger) -> dict[str, bytes]:
    """Return what people wrote: limits, waivers, prices, edits, and the decisions of this run."""
    found = {f"params/{path.name}": path.read_bytes() for path in sorted(params_folder(run).glob("*.yaml"))}
    for path in decision_paths(decisions_folder(), ledger.workload).values():
        if read_decision(path).run_id == run.run_id:
            found[f"decisions/{path.name}"] = path.read_bytes()
    return found


def _of_costs(run: Run, ledger: Ledger) -> dict[str, bytes]:
    backlog, finops, book = run.read(Backlog, WHOLE), run.read(Finops, WHOLE), run.read(PriceBook, WHOLE)
    if backlog is None or finops is None or book is None:
        raise DataError(
            f"{run.folder} lacks its backlog, costs or prices; write them with `perflib report {run.run_id}`."
        )
    page = costs_page(finops, book, run.read(Carbon, WHOLE)).encode()
    # Of the run and not of the pack, so that a pack that is built again says the same.
    month = datetime.date.fromisoformat(ledger.summary.started[:10]).replace(day=1)
    return {
        "backlog/backlog.csv": _written(lambda path: write_csv(path, backlog)),
        "finops/focus.csv": _written(lambda path: write_focus(path, finops, book, period_start=month)),
        "finops/SUMMARY.md": page,
    }


def _of_candidates(run: Run, ledger: Ledger, built: str) -> dict[str, bytes]:
    """Return statements, model card and bill of materials of every finalist that was measured and validated."""
    carbon, found = run.read(Carbon, WHOLE), dict[str, bytes]()
    for one in ledger.candidates:
        name = one.name
        if not one.is_finalist or not all(name in part for part in (ledger.comparisons, ledger.validations)):
            continue
        folder = f"candidates/{name}"
        found[f"{folder}/accuracy.json"] = _json(accuracy_statement(ledger, name))
        found[f"{folder}/performance.json"] = _json(performance_statement(ledger, name))
        found[f"{folder}/gate.json"] = _json(gate_statement(ledger, name))
        found[f"{folder}/MODEL_CARD.md"] = make_card(ledger, name, carbon).encode()
        found[f"{folder}/model.cdx.json"] = model_bom(ledger, name, built=built).encode()
    return found


def _record_paths(run: Run) -> list[str]:
    return [f"{layout.RECORDS_FOLDER}/{path.name}" for path in (run.folder / layout.RECORDS_FOLDER).iterdir()]


def _json(document: Any) -> bytes:
    return dumps(document, indent=1).encode()


def _written(write: Callable[[Path], object]) -> bytes:
    """Return what a writer of files writes."""
    with tempfile.TemporaryDirectory(prefix="perflib-") as folder:
        path = Path(folder) / "part"
        write(path)
        return path.read_bytes()
