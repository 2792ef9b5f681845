"""
In which batches waiting examples are answered (as they come, sorted by length, by a budget of tokens), and by whom.

Padding is work that nobody asked for: in a batch of texts as they come, every one is as long as the longest.
A plan is a list of row numbers; whoever follows it puts each answer back at its row, so the order of the answers never
changes.

    >>> [rows.tolist() for rows in plan_batches([9, 3, 8, 2], "sorted", example_count=2)]
    [[3, 1], [2, 0]]
"""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from queue import SimpleQueue
from typing import Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

Server = TypeVar("Server")
Answer = TypeVar("Answer")

Batching = Literal["as-they-come", "sorted", "token-budget"]


def plan_batches(
    lengths: Sequence[int] | NDArray[np.integer],
    batching: Batching,
    *,
    example_count: int,
    token_count: int | None = None,
) -> list[NDArray[np.int64]]:
    """
    Split examples into batches.

    Args:
        lengths: Real tokens of every example.
        batching: ``sorted`` puts texts of about one length together; ``token-budget`` also lets short texts share
            larger batches.
        example_count: Examples per batch at most, where no budget is given.
        token_count: Tokens per batch at most, padding included; a text that is longer goes alone. For ``token-budget``.

    Returns:
        Row numbers of each batch; together every row once.
    """
    rows = np.arange(len(lengths), dtype=np.int64)
    if batching == "as-they-come":
        return _cut(rows, example_count)
    # Stable, so that one set of texts is always served in the same batches.
    rows = np.argsort(np.asarray(lengths), kind="stable").astype(np.int64)
    if batching == "sorted":
        return _cut(rows, example_count)
    return _fill(rows, np.asarray(lengths)[rows], token_count or 0)


def side_by_side(
    work: Sequence[Callable[[Server], Answer]],
    servers: Sequence[Server],
    *,
    on_done: Callable[[int], None] | None = None,
) -> list[Answer]:
    """
    Let several servers share pieces of work, each taking the next piece when it is free.

    Args:
        work: Called with the server that is free.
        servers: One runs everything in this thread; more run in threads of their own, because every engine leaves the
            interpreter's lock while it computes.
        on_done: Called with the position of each piece when it is done, perhaps from another thread.

    Returns:
        The answers, in the order of ``work``. The first error of any piece is raised.
    """
    idle: SimpleQueue[Server] = SimpleQueue()
    for server in servers:
        idle.put(server)

    def do(at: int) -> Answer:
        server = idle.get()
        try:
            answer = work[at](server)
        finally:
            idle.put(server)
        if on_done is not None:
            on_done(at)
        return answer

    if min(len(servers), len(work)) < 2:
        return [do(at) for at in range(len(work))]
    # From the end: sorted batches have their longest texts there, and the last piece to start should be a short one.
    backwards = range(len(work) - 1, -1, -1)
    with ThreadPoolExecutor(len(servers)) as pool:
        return list(pool.map(do, backwards))[::-1]


def _cut(rows: NDArray[np.int64], count: int) -> list[NDArray[np.int64]]:
    return [rows[start : start + count] for start in range(0, len(rows), count)]


def _fill(rows: NDArray[np.int64], lengths: NDArray[np.integer], token_count: int) -> list[NDArray[np.int64]]:
    """Fill batches with rows of rising length; the newest row is the longest and decides what padding costs."""
    batches, start = [], 0
    for end in range(1, len(rows) + 1):
        is_last = end == len(rows)
        if is_last or (end + 1 - start) * int(lengths[end]) > token_count:
            batches.append(rows[start:end])
            start = end
    return batches
