"""
Whether a backlog's money follows from what it states: ratio, effort, seed and number of draws, and the prices in force.

Nothing of the run is read again here; whether the ratios are those of the comparisons is another question.
"""

import dataclasses
import math
from collections.abc import Iterator
from typing import Any

from perflib.errors import DataError
from perflib.governance.backlog.items import OPEN_STATUSES
from perflib.governance.backlog.make import stake_of
from perflib.governance.backlog.rank import ranked, rice
from perflib.governance.backlog.returns import simulate
from perflib.governance.backlog.tornado import tornado
from perflib.results.governance import Backlog, BacklogItem, Finops, PriceBook

# Draws are the same bit by bit; sums may be ordered otherwise by another NumPy.
_TOLERANCE_RATIO = 1e-9
MAX_DRAW_COUNT = 1_000_000


def check_returns(backlog: Backlog, book: PriceBook, finops: Finops) -> list[str]:
    """
    Compute ROI, payback, NPV, tornado, RICE and ranks again, and say in a sentence what differs.

    Args:
        backlog: As it is stated.
        book: The prices that were in force.
        finops: The costs of the same run.

    Returns:
        One sentence for each difference; none where all is as it should be.
    """
    found = [*_about(backlog, book, finops)]
    for item in backlog.items:
        try:
            found += _of_item(item, book, finops)
        except (DataError, ArithmeticError, ValueError) as error:
            found.append(f"{item.id}: its return cannot be computed ({error}).")
    for stated, again in zip(backlog.items, ranked(backlog.items), strict=True):
        if (stated.id, stated.rank) != (again.id, again.rank):
            found.append(f"{stated.id} stands where {again.id} belongs, which has rank {again.rank}.")
            break
    return found


def _about(backlog: Backlog, book: PriceBook, finops: Finops) -> Iterator[str]:
    stated = (backlog.currency, backlog.is_example, backlog.prices_sha256)
    for other, name in ((book, "price book"), (finops, "cost record")):
        digest = other.file_sha256 if isinstance(other, PriceBook) else other.prices_sha256
        if stated != (other.currency, other.is_example, digest):
            yield f"The backlog and the {name} differ in currency, prices' digest, or in whether prices are examples."


def _of_item(item: BacklogItem, book: PriceBook, finops: Finops) -> Iterator[str]:
    stake, stated = stake_of(item, finops), item.returns
    if item.is_eligible and (item.status not in OPEN_STATUSES or item.verdict not in (None, "approved")):
        yield f"{item.id} is ranked, but it is {item.status} and {item.verdict}."
    arm = finops.arm(item.id.removeprefix("OPT-")) if item.kind == "candidate" else None
    if item.realisable != (arm.realisable if arm else None):
        yield f"{item.id}: `realisable` is {item.realisable}, but the cost record says otherwise."
    if (stake is None) != (stated is None):
        yield f"{item.id}: a return is stated without a ratio with bounds, or left out where there is one."
    if stake is not None and stated is not None:
        if not 0 < stated.draw_count <= MAX_DRAW_COUNT:
            yield f"{item.id}: {stated.draw_count:,} draws cannot be made again."
            return
        again = simulate(stake, book, seed=stated.seed, draw_count=stated.draw_count)
        yield from _differences(f"{item.id}: returns", dataclasses.asdict(stated), dataclasses.asdict(again))
    bars = tornado(stake, book) if stake else ()
    yield from _differences(f"{item.id}: tornado", _plain(item.tornado), _plain(bars))
    score = rice(item, book) if item.is_eligible else None
    yield from _differences(f"{item.id}: rice", _plain(item.rice), _plain(score))


def _plain(value: Any) -> Any:
    if isinstance(value, tuple | list):
        return {str(place): _plain(one) for place, one in enumerate(value)}
    return dataclasses.asdict(value) if dataclasses.is_dataclass(value) and not isinstance(value, type) else value


def _differences(where: str, stated: Any, again: Any) -> Iterator[str]:
    """Yield a sentence for each number that is stated otherwise than computed."""
    if isinstance(stated, dict) and isinstance(again, dict) and set(stated) == set(again):
        for key, value in stated.items():
            yield from _differences(f"{where}.{key}", value, again[key])
    elif not _is_equal(stated, again):
        yield f"{where} is stated as {_shown(stated)}, and computed again it is {_shown(again)}."


def _is_equal(one: Any, other: Any) -> bool:
    if isinstance(one, float) and isinstance(other, float):
        return math.isclose(one, other, rel_tol=_TOLERANCE_RATIO, abs_tol=_TOLERANCE_RATIO)
    return bool(one == other)


def _shown(value: Any) -> str:
    return f"{value:.9g}" if isinstance(value, float) else "something else" if isinstance(value, dict) else str(value)
