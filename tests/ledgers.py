"""A finished run that never was, with all records that governance reads: one approved, one refused, one undecided."""

import dataclasses
from pathlib import Path

from perflib import machine
from perflib.governance.ledger import Ledger, read_ledger
from perflib.records import sha256_json
from perflib.results import (
    Candidate,
    Estimate,
    Finding,
    FindingOutcome,
    Findings,
    Identity,
    Interval,
    LowerBound,
    Prediction,
    RunSummary,
)
from perflib.results.history import EnvironmentLock, LockedPackage, Provenance
from perflib.runs import Run
from tests.synthetic_records import baseline, build, comparison, gate, identity, scenario, validation

BASELINE_SHA256 = "0" * 64
CANDIDATES = {"int8": "1" * 64, "vocabulary": "2" * 64, "bf16": "3" * 64}


def make_ledger(folder: Path) -> Ledger:
    """
    Write a run's records to ``folder`` and return them as a ledger.

    ``int8`` is approved: 2.0x [1.9, 2.1] in throughput and 3.0x [2.8, 3.2] one at a time, a quarter of the size.
    ``vocabulary`` is quarantined by a gate, ``bf16`` is undecided. Of two findings, one was confirmed by ``int8`` and
    one was not tried.
    """
    run = Run(folder)
    run.write(baseline(artifact_sha256=BASELINE_SHA256), "baseline")
    for name, sha256 in CANDIDATES.items():
        run.write(dataclasses.replace(build(), name=name, artifact_sha256=sha256), name)
        run.write(Prediction(name, 2.0, "fewer bytes are moved"), name)
        single = scenario("single", "IMPROVEMENT", speedup_ratio=Interval(3.0, 2.8, 3.2, 0.9))
        offline = scenario("offline", "IMPROVEMENT", speedup_ratio=Interval(2.0, 1.9, 2.1, 0.9))
        run.write(
            comparison(single, offline, name=name, baseline_sha256=BASELINE_SHA256, candidate_sha256=sha256), name
        )
    failing = gate("FAIL", id="A7-drop", name="worst slice", sentence="Texts with negation lose 4.0 pp.")
    answers = {
        "int8": validation("PASS"),
        "vocabulary": validation(gates=(failing,), verdict="FAIL"),
        "bf16": validation("PASS", "INCONCLUSIVE"),
    }
    for name, found in answers.items():
        run.write(dataclasses.replace(found, name=name, identity=_identity(CANDIDATES[name])), name)
    run.write(Findings("baseline", BASELINE_SHA256, "fake", tuple(one.finding for one in _outcomes())), "baseline")
    lock = EnvironmentLock("3.11.7", (LockedPackage("numpy", "2.4.6"), LockedPackage("torch", "2.13.0")))
    run.write(lock, "run")
    recorded = "2026-03-01T08:10:00+00:00"
    run.write(
        Provenance("reviews-tiny", "hosthosthost", None, sha256_json(lock.to_dict()), "d" * 64, recorded, None), "run"
    )
    judged = _judged()
    summary = _summary(run, judged)
    summary.write(run.folder / "run.json")
    return read_ledger(run, judged, _outcomes())


def _identity(sha256: str) -> Identity:
    return identity(
        baseline_sha256=BASELINE_SHA256,
        candidate_sha256=sha256,
        built_sha256=sha256,
        timed_baseline_sha256=BASELINE_SHA256,
        timed_candidate_sha256=sha256,
    )


def _judged() -> tuple[Candidate, ...]:
    fast = Candidate(
        name="int8",
        verdict="approved",
        reasons=("2.00x as fast in offline (5 lives).",),
        single_p50_speedup_ratio=Estimate(3.0, 2.8, 3.2),
        offline_throughput_speedup_ratio=Estimate(2.0, 1.9, 2.1),
        size_ratio=0.25,
        accuracy_change=LowerBound(-0.0057, -0.0136),
    )
    refused = dataclasses.replace(
        fast, name="vocabulary", verdict="quarantined", reasons=("Texts with negation lose 4.0 pp.",)
    )
    undecided = dataclasses.replace(
        fast, name="bf16", verdict="undecided", reasons=("1 of 2 guardrails is inconclusive.",)
    )
    return fast, refused, undecided


def _outcomes() -> tuple[FindingOutcome, ...]:
    tried = Finding(
        rule="int8-available",
        scenario="offline",
        claim="Products could run in int8.",
        evidence="78 % of the time is in fp32 products, and the processor has avx512_vnni.",
        share_ratio=0.78,
        part_speedup_ratio=3.0,
        predicted_speedup_ratio=2.08,
        assumption="products three times as fast",
        experiment="int8",
        recipe=({"quantize": {"scheme": "int8-static"}},),
    )
    untried = dataclasses.replace(
        tried,
        rule="padding",
        claim="A third of the tokens is padding.",
        evidence="33 % of what is computed is thrown away.",
        share_ratio=0.33,
        part_speedup_ratio=None,
        predicted_speedup_ratio=1.5,
        assumption="no padding",
        experiment="sorted",
        recipe=({"runtime": {"batching": "sorted"}},),
    )
    return (
        FindingOutcome(tried, Interval(2.0, 1.9, 2.1, 0.9), "confirmed"),
        FindingOutcome(untried, None, "not tried"),
    )


def _summary(run: Run, judged: tuple[Candidate, ...]) -> RunSummary:
    nothing = sha256_json({})
    return RunSummary(
        run_id=run.run_id,
        ulid="01JNABCDEFGHJKMNPQRSTVWXYZ",
        status="done",
        reason=None,
        exit_code=0,
        commit="abcdef0",
        started="2026-03-01T08:00:00+00:00",
        wall_sec=600.0,
        params_name="made",
        params={"workload": "reviews-tiny", "experiments": list(CANDIDATES)},
        params_sha256=nothing,
        guardrails_sha256=nothing,
        code_sha256=nothing,
        machine=machine.read_card().to_dict(),
        steps=(),
        candidates=judged,
    )
