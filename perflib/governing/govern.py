"""
What a run costs, what to do next, what could go wrong, and how it goes to users: the records of a decision.

They are made of a run's records alone, so they can be made again when somebody has changed a price.

    govern(run, read_sources(), today=…)
"""

import datetime
from pathlib import Path

from perflib import project, verdict
from perflib.governance.backlog.make import make_backlog
from perflib.governance.carbon import estimate_carbon
from perflib.governance.decisions import write_decisions
from perflib.governance.economics import price_run
from perflib.governance.ledger import Ledger, read_ledger
from perflib.governance.risks import assess_risks
from perflib.governance.rollout.plan import plan_rollout
from perflib.governing.sources import Sources
from perflib.profiling.outcomes import settle
from perflib.results import Comparison, FindingOutcome, Findings
from perflib.results.governance import Backlog, RolloutPlan
from perflib.runs import Run
from perflib.watching.goods import promotions

# The word under which records of a whole run are kept.
WHOLE = "run"
_NOBODY = "unassigned"


def decisions_folder() -> Path:
    """Return where decisions are kept, over all runs."""
    return project.outputs_dir() / "decisions"


def govern(run: Run, sources: Sources, *, today: datetime.date) -> Ledger:
    """
    Write prices in force, costs, carbon, backlog, rollout plans, risks and decisions of a run.

    Args:
        run: With its records; its `run.json` may still say that it is running.
        sources: What people wrote.
        today: In UTC.

    Returns:
        What the run left, as it was read.

    Raises:
        ParameterError: If an edit of the backlog contradicts the gates.
        DataError: If a record or a decision's file is damaged.
    """
    ledger = ledger_of(run)
    book = sources.book
    run.write(book, WHOLE)
    finops = price_run(ledger, book)
    run.write(finops, WHOLE)
    run.write(estimate_carbon(ledger, finops, book), WHOLE)
    edits = sources.edits.get(ledger.workload, {})
    backlog = make_backlog(ledger, finops, book, edits, seed=_seed(ledger))
    run.write(backlog, WHOLE)
    _plan(run, ledger, backlog, today)
    run.write(assess_risks(ledger, backlog, finops), WHOLE)
    write_decisions(ledger, backlog, folder=decisions_folder(), today=today)
    return ledger


def ledger_of(run: Run) -> Ledger:
    """
    Read what a run left, judged as the report judges it.

    Raises:
        ParameterError: If the folder has no `run.json`.
        DataError: If a record is damaged.
    """
    promoted = [one.candidate for one in promotions() if one.run_id == run.run_id]
    return read_ledger(run, verdict.ranked(verdict.judge_run(run)), _outcomes(run), promoted)


def _plan(run: Run, ledger: Ledger, backlog: Backlog, today: datetime.date) -> None:
    """Plan the way to users of what may be shipped, and drop the plans of what may not be any more."""
    for name in run.names(RolloutPlan):
        if name not in ledger.approved:
            run.record_path("rollout", name).unlink()
    for name in ledger.approved:
        item = backlog.item(f"OPT-{name}")
        owner = item.owner if item and item.owner else _NOBODY
        plan = plan_rollout(ledger, name, owner=owner, approvers=("author", "reviewer"), today=today)
        run.write(plan, name)


def _outcomes(run: Run) -> tuple[FindingOutcome, ...]:
    findings = run.read(Findings, "baseline")
    if findings is None:
        return ()
    compared = {name: run.read(Comparison, name) for name in run.names(Comparison)}
    return settle(findings, {name: one for name, one in compared.items() if one is not None})


def _seed(ledger: Ledger) -> int:
    return int(ledger.summary.params.get("seed", 0))
