"""A small pack of a run that never was, and the keys of its author, its reviewer and a stranger."""

import dataclasses
from pathlib import Path

import pandas as pd

from perflib.governance.evidence.build import build_pack
from perflib.governance.evidence.keys import make_key
from perflib.governance.evidence.signing import sign_pack
from perflib.governance.ledger import Ledger
from perflib.results.governance import Manifest
from tests.ledgers import make_ledger

BUILT = "2026-03-01T09:00:00+00:00"
PARTS = {
    "params/guardrails.yaml": b"profile: lossy\n",
    "params/prices.yaml": b"example: true\n",
    "backlog/backlog.csv": b"id,status\r\n",
    "decisions/0001-int8.md": b"# int8\n",
    "crosswalk.json": b"{}\n",
    "VERIFY.md": b"# How to check this pack\n",
}


@dataclasses.dataclass(frozen=True)
class PackMade:
    """A pack with its run; private keys lie outside of it, each with its public key as ``FILE.pub`` beside it."""

    folder: Path
    run_folder: Path
    ledger: Ledger
    manifest: Manifest
    author: Path
    reviewer: Path
    stranger: Path

    @property
    def trusted(self) -> tuple[Path, Path]:
        """The public keys of author and reviewer, outside the pack."""
        return public(self.author), public(self.reviewer)


def public(key: Path) -> Path:
    """Return where the public key of a private one lies."""
    return key.with_name(f"{key.name}.pub")


def make_run(folder: Path) -> Ledger:
    """Write a run with a report and raw answers of two candidates, of which one is approved."""
    ledger = make_ledger(folder)
    (folder / "report.html").write_text("<!DOCTYPE html>\n<p>int8 is twice as fast.</p>\n")
    for name in ("int8", "vocabulary"):
        answers = pd.DataFrame({"id": ["a", "b"], "baseline_0": [0.2, 0.8], "candidate_0": [0.3, 0.7]})
        for kind in ("predictions", "probes"):
            answers.to_parquet(folder / "records" / f"{kind}-{name}.parquet")
    return ledger


def make_pack(folder: Path, *, signed: bool = True) -> PackMade:
    """
    Write a small complete pack.

    Args:
        folder: Of the pack; run and keys are written beside it.
        signed: Whether author and reviewer sign it.
    """
    run_folder = folder.parent / "20260301-080000_made_abcdef0"
    ledger = make_run(run_folder)
    manifest = build_pack(
        run_folder,
        folder,
        PARTS,
        run_id=ledger.summary.run_id,
        run_ulid=ledger.summary.ulid,
        built=BUILT,
        claimed=ledger.approved,
        promoted=(),
        version="0.1.0",
    )
    keys = [folder.parent / "people" / f"{name}.key" for name in ("ann", "ben", "eve")]
    for key in keys:
        make_key(key, force=True)
    if signed:
        sign_pack(folder, key=keys[0], role="author")
        sign_pack(folder, key=keys[1], role="reviewer")
    return PackMade(folder, run_folder, ledger, manifest, *keys)
