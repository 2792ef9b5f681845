"""A pack that holds together: small, made up, and true in every number that a verifier can ask for."""

import dataclasses
import datetime
import functools
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from perflib import project
from perflib.governance.backlog.make import make_backlog
from perflib.governance.carbon import estimate_carbon
from perflib.governance.costs_page import costs_page
from perflib.governance.decisions import write_decisions
from perflib.governance.economics import price_run
from perflib.governance.evidence.rules.crosswalk import ANNEX_HEADINGS, NIST_SUBCATEGORIES
from perflib.governance.focus import write_focus
from perflib.governance.ledger import Ledger, read_ledger
from perflib.guardrails import load_guardrails
from perflib.records import sha256_bytes
from perflib.results import (
    Candidate,
    Comparison,
    Estimate,
    Invariance,
    LowerBound,
    Overlap,
    RunSummary,
    Validation,
)
from perflib.results.governance import (
    ControlRow,
    Crosswalk,
    Finops,
    Pointer,
    PriceBook,
    RiskRegister,
    RolloutPlan,
    RolloutStage,
    StageGate,
)
from perflib.runs import Run
from perflib.validation.gates import judge
from perflib.validation.measure import Answered, measure
from tests.hand_packs import as_bytes, write_pack
from tests.ledgers import make_ledger
from tests.price_books import price_book
from tests.synthetic_records import baseline, build, identity
from tests.whole_records import NAME, compared, paired

BASELINE_SHA256, CANDIDATE_SHA256 = "0" * 64, "1" * 64
RUN_ID, ULID = "20260301-080000_made_abcdef0", "01JNABCDEFGHJKMNPQRSTVWXYZ"
DECISION = f"decisions/0001-{NAME}.md"
_CARD = f"# {NAME}\n\nsha256 {CANDIDATE_SHA256}\n"
_PRICES = "currency: EUR\nexample: false\n"


def write_sound_pack(folder: Path, **change: Any) -> Path:
    """Write the pack without signatures; ``change`` is of its manifest."""
    return write_pack(folder, sound_files(), **{"run_id": RUN_ID, "run_ulid": ULID, "claimed": (NAME,), **change})


@functools.cache
def _made() -> dict[str, bytes]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / RUN_ID
        _write_run(folder)
        return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def sound_files() -> dict[str, bytes]:
    """Return the files by their paths; made once for all tests."""
    return dict(_made())


def _write_run(folder: Path) -> None:
    ledger = _ledger(folder)
    prices = _PRICES.encode()
    book = price_book(file_sha256=sha256_bytes(prices), least_instance_count=1)
    finops = price_run(ledger, book)
    backlog = make_backlog(ledger, finops, book, {})
    item = dataclasses.replace(backlog.items[0], status="accepted")
    backlog = dataclasses.replace(backlog, items=(item, *backlog.items[1:]))
    (written,) = write_decisions(ledger, backlog, folder=folder / "decisions", today=datetime.date(2026, 3, 1))
    _flatten(folder / "decisions")
    files: dict[str, Any] = {
        "params/prices.yaml": prices,
        "params/waivers.yaml": "waivers: []\n",
        "params/guardrails.yaml": (project.root() / "params" / "guardrails.yaml").read_bytes(),
        "params/backlog.yaml": "{}\n",
        "records/prices-run.json": book,
        "records/finops-run.json": finops,
        "records/backlog-run.json": backlog,
        f"records/rollout-{NAME}.json": rollout(),
        "crosswalk.json": crosswalk(),
        "attestations/provenance.json": _provenance(),
        "report.html": _report(ledger, finops, book),
        "VERIFY.md": "# How to verify\n",
        "records/carbon-run.json": estimate_carbon(ledger, finops, book),
        "records/risks-run.json": RiskRegister(RUN_ID, ()),
        "backlog/backlog.csv": "id,status\r\nOPT-int8,accepted\r\n",
        "finops/SUMMARY.md": costs_page(finops, book, None),
        "sbom/env.cdx.json": {"components": []},
        **_candidate_files(),
    }
    assert written.candidate == NAME
    for path, content in files.items():
        place = folder / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(as_bytes(content))
    write_focus(folder / "finops" / "focus.csv", finops, book, period_start=datetime.date(2026, 3, 1))


def _ledger(folder: Path) -> Ledger:
    with tempfile.TemporaryDirectory() as scratch:
        template = make_ledger(Path(scratch) / "template").summary
        comparison = dataclasses.replace(
            compared(Path(scratch)), baseline_sha256=BASELINE_SHA256, candidate_sha256=CANDIDATE_SHA256
        )
    validation = _validation(folder)
    run = Run(folder)
    run.write(baseline(artifact_sha256=BASELINE_SHA256), "baseline")
    run.write(dataclasses.replace(build(), name=NAME, artifact_sha256=CANDIDATE_SHA256), NAME)
    run.write(comparison, NAME)
    candidate = _candidate(comparison, validation)
    summary = dataclasses.replace(
        template,
        run_id=RUN_ID,
        ulid=ULID,
        params={"workload": "reviews-tiny", "experiments": [NAME]},
        guardrails_sha256=validation.guardrails_sha256,
        candidates=(candidate,),
    )
    summary.write(folder / "run.json")
    return read_ledger(run, (candidate,))


def _validation(folder: Path) -> Validation:
    """Validate a model that answers as the baseline does, of inputs for which no probes can be made."""
    limits, sha256 = load_guardrails("guardrails.yaml")
    both = paired(np.random.default_rng(5), class_count=2, noise=0.0)
    shas = dict.fromkeys(("candidate_sha256", "built_sha256", "timed_candidate_sha256"), CANDIDATE_SHA256)
    answered = Answered(
        paired=both,
        labels=("a", "b"),
        probes=None,
        invariance=tuple(Invariance(what, 100, 0, 0.0) for what in ("asked again", "one by one", "reversed")),
        overlaps=(Overlap("train", 1000, 0, 0, ()),),
        identity=identity(**shas),
        split_sha256="0" * 64,
        absent_suites=("perturbation", "counterfactual", "behaviour"),
    )
    found = measure(answered, name=NAME, profile="lossy", limits=limits["lossy"], guardrails_sha256=sha256, seed=3)
    both.write(folder / "records" / f"predictions-{NAME}.parquet")
    judged = judge(found, limits)
    judged.write(folder / "records" / f"validation-{NAME}.json")
    return judged


def _candidate(comparison: Comparison, validation: Validation) -> Candidate:
    ratios = {one.scenario: one.speedup_ratio for one in comparison.scenarios}
    single, offline = (Estimate(one.estimate, one.low, one.high) for one in (ratios["single"], ratios["offline"]))
    change = validation.accuracy_change_ratio
    assert validation.verdict == "PASS", [gate for gate in validation.gates if gate.verdict != "PASS"]
    return Candidate(
        name=NAME,
        verdict="approved",
        reasons=("It is faster, and every guardrail passes.",),
        single_p50_speedup_ratio=single,
        offline_throughput_speedup_ratio=offline,
        size_ratio=0.25,
        accuracy_change=LowerBound(change.estimate, change.low),
    )


def rollout(**change: Any) -> RolloutPlan:
    """Return a plan of one stage."""
    gate = StageGate("error_rate", "<=", 0.01, "", 300.0, 2)
    one = RolloutPlan(
        run_id=RUN_ID,
        candidate=NAME,
        candidate_sha256=CANDIDATE_SHA256,
        baseline_sha256=BASELINE_SHA256,
        preconditions=(),
        owner="ann",
        approvers=("ben",),
        stages=(RolloutStage("shadow", 0.0, 1.0, 3600.0, 5000, (gate,)),),
        triggers=(gate,),
        rollback_action="all traffic to the baseline",
        rollback_sec=300.0,
        needs_isa=("avx512_vnni",),
        expires="2026-05-30",
    )
    return dataclasses.replace(one, **change)


def crosswalk() -> Crosswalk:
    """Return a row for every heading; one is not applicable."""
    nist = [
        ControlRow("NIST AI RMF 1.0", control, "a title", "covered", "", (Pointer("run.json", "/candidates/0"),))
        for control in sorted(NIST_SUBCATEGORIES)
    ]
    annex = [
        ControlRow("EU AI Act Annex IV", number, "a title", "partial", "only this", (Pointer("report.html", ""),))
        for number in sorted(ANNEX_HEADINGS - {"8"})
    ]
    last = ControlRow("EU AI Act Annex IV", "8", "a title", "not applicable", "nobody declares", ())
    return Crosswalk("A voluntary mapping, no claim of conformity.", (*nist, *annex, last))


def _provenance() -> Mapping[str, Any]:
    metadata = {"startedOn": "2026-03-01T08:00:00+00:00", "finishedOn": "2026-03-01T08:10:00+00:00"}
    return {
        "_type": "https://in-toto.io/Statement/v1",
        "predicateType": "https://slsa.dev/provenance/v1",
        "subject": [{"name": NAME, "digest": {"sha256": CANDIDATE_SHA256}}],
        "predicate": {"runDetails": {"metadata": metadata}},
    }


def _candidate_files() -> dict[str, Any]:
    statement = {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"name": NAME, "digest": {"sha256": CANDIDATE_SHA256}}],
    }
    hashes = [{"alg": "SHA-256", "content": CANDIDATE_SHA256}]
    return {
        **{f"candidates/{NAME}/{name}.json": statement for name in ("accuracy", "performance", "gate")},
        f"candidates/{NAME}/model.cdx.json": {"metadata": {"component": {"hashes": hashes}}},
        f"candidates/{NAME}/MODEL_CARD.md": _CARD,
    }


def _report(ledger: Ledger, finops: Finops, book: PriceBook) -> str:
    summary: RunSummary = ledger.summary
    speed = summary.candidates[0].offline_throughput_speedup_ratio
    assert speed is not None
    place = "run.json#/candidates/0/offline_throughput_speedup_ratio/estimate"
    month = f"{finops.arms[0].month_amount:,.0f} {book.currency}"
    return (
        "<!DOCTYPE html><html><body><main>\n"
        f'<section class="output"><p>It is <span data-ev="{place}">{speed.estimate:.2f}×</span> as fast.</p>\n'
        f'<p><b data-ev="records/finops-run.json#/arms/0/month_amount">{month}</b> a month</p></section>\n'
        "</main></body></html>\n"
    )


def _flatten(folder: Path) -> None:
    """Put the decisions of the one workload where the pack has them."""
    for path in list(folder.glob("*/*.md")):
        path.rename(folder / path.name)
        path.parent.rmdir()
