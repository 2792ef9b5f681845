"""The backlog of a run: its items, what each would give, and which comes first."""

import dataclasses
from collections.abc import Mapping

from perflib.governance.backlog.edits import Edit
from perflib.governance.backlog.items import make_items
from perflib.governance.backlog.rank import ranked, rice
from perflib.governance.backlog.returns import Stake, can_be_priced, simulate
from perflib.governance.backlog.tornado import tornado
from perflib.governance.ledger import Ledger
from perflib.results.governance import Backlog, BacklogItem, Finops, PriceBook


def make_backlog(
    ledger: Ledger, finops: Finops, book: PriceBook, edits: Mapping[str, Edit], *, seed: int = 0
) -> Backlog:
    """
    Make the backlog of a run.

    Args:
        ledger: What the run left.
        finops: Its costs; without arms no item has a return.
        book: Prices, volume and effort in force.
        edits: What people wrote about this workload's items, by id.
        seed: Of the simulated draws.

    Raises:
        ParameterError: If an edit claims for an item what its gates refuse, or the book knows no effort of a stage.
        DataError: If a ratio's bounds do not hold its estimate.
    """
    items = [_priced(one, finops, book, seed) for one in make_items(ledger, finops, book, edits)]
    return Backlog(
        run_id=ledger.summary.run_id,
        workload=ledger.workload,
        currency=book.currency,
        is_example=book.is_example,
        prices_sha256=book.file_sha256,
        items=ranked(items),
    )


def stake_of(item: BacklogItem, finops: Finops) -> Stake | None:
    """Return what an item's return is made of; None where no throughput, or no bounds of its ratio, are known."""
    ratio = item.throughput_ratio
    if ratio is None or not finops.arms or not can_be_priced(ratio):
        return None
    return Stake(ratio, item.effort_days, finops.arms[0].examples_per_sec.estimate, item.realisable != "no")


def _priced(item: BacklogItem, finops: Finops, book: PriceBook, seed: int) -> BacklogItem:
    stake = stake_of(item, finops)
    return dataclasses.replace(
        item,
        returns=simulate(stake, book, seed=seed) if stake else None,
        tornado=tornado(stake, book) if stake else (),
        rice=rice(item, book) if item.is_eligible else None,
    )
