"""A finished run that never was, with all that governance makes of it: what the report tells to those who decide."""

import dataclasses
import datetime
from pathlib import Path
from typing import Any

from perflib.governance.backlog.make import make_backlog
from perflib.governance.carbon import estimate_carbon
from perflib.governance.economics import price_run
from perflib.governance.risks import assess_risks
from perflib.governance.rollout.plan import plan_rollout
from perflib.records import read_json
from perflib.results import Validation
from perflib.results.governance import Rehearsal, RehearsedFault, TrafficPoint
from perflib.runs import Run
from tests.ledgers import make_ledger
from tests.price_books import price_book


def make_run(folder: Path, *, is_governed: bool = True, is_example: bool = True) -> Run:
    """
    Write the records of a run in which ``int8`` may be shipped, ``vocabulary`` is quarantined and ``bf16`` undecided.

    Args:
        folder: For the run.
        is_governed: Whether it has costs, carbon, backlog, risks, rollout plan and rehearsal.
        is_example: Whether the prices are examples.
    """
    ledger, run = make_ledger(folder), Run(folder)
    # Alone it is undecided already; beside it int8 would have to hold twice.
    undecided = run.read(Validation, "bf16")
    assert undecided is not None
    gates = tuple(dataclasses.replace(one, id="A3") for one in undecided.gates)
    run.write(dataclasses.replace(undecided, gates=gates), "bf16")
    if is_governed:
        book = price_book(is_example=is_example)
        finops = price_run(ledger, book)
        backlog = make_backlog(ledger, finops, book, {}, seed=0)
        plan = plan_rollout(
            ledger, "int8", owner="unassigned", approvers=("author", "reviewer"), today=datetime.date(2026, 3, 1)
        )
        for record in (finops, estimate_carbon(ledger, finops, book), backlog, assess_risks(ledger, backlog, finops)):
            run.write(record, "run")
        run.write(plan, "int8")
        run.write(rehearsal(run.run_id), "int8")
    return run


def rehearsal(run_id: str = "run", **change: Any) -> Rehearsal:
    """Return a way back that was tried with one fault, and went as planned."""
    fault = RehearsedFault(
        "error rate", "canary-10", "75 % of its answers failed", "error_ratio", 1.2, 1.5, 5.0, 400, 12,
        is_as_planned=True, sentence="Everybody was back after 1.5 s.",
    )  # fmt: skip
    point = TrafficPoint(0.5, "error rate", "canary-10", 0.1, 40, 0.0, 1.0, 0.02, 0.02)
    later = dataclasses.replace(point, at_sec=1.0, error_ratio=0.3)
    one = Rehearsal(
        run_id, "int8", "1" * 64, "0" * 64, "2026-03-01T09:00:00+00:00", 0.01, 0, (fault,), (point, later),
        is_passed=True, sentence="Everybody was back after 1.5 s at most.",
    )  # fmt: skip
    return dataclasses.replace(one, **change)


def documents(run: Run) -> dict[str, Any]:
    """Return every JSON document of a run by its path."""
    paths = [run.folder / "run.json", *(run.folder / "records").glob("*.json")]
    return {path.relative_to(run.folder).as_posix(): read_json(path) for path in paths}
