"""Batches: every row once, answers at their own place, less padding than as they come."""

import threading
from typing import Any

import numpy as np
import pytest

from perflib.batching import Batching, plan_batches, side_by_side

LENGTHS = np.random.default_rng(0).integers(3, 60, 101)


@pytest.mark.parametrize("batching", ["as-they-come", "sorted", "token-budget"])
@pytest.mark.parametrize("count", [1, 7, 101, 500])
def test_every_row_is_in_one_batch(batching: Batching, count: int) -> None:
    """Whatever the plan, no example is lost or answered twice."""
    batches = plan_batches(LENGTHS, batching, example_count=count, token_count=count)

    assert sorted(np.concatenate(batches).tolist()) == list(range(101))
    assert all(len(rows) for rows in batches)


def test_as_they_come_keeps_the_order() -> None:
    """Batches are slices of the order given."""
    batches = plan_batches([5, 1, 9, 2, 2], "as-they-come", example_count=2)

    assert [rows.tolist() for rows in batches] == [[0, 1], [2, 3], [4]]


def test_sorted_batches_hold_neighbours_in_length() -> None:
    """No text of a later batch is shorter than one of an earlier batch, and ties keep their order."""
    batches = plan_batches([5, 1, 9, 1, 2], "sorted", example_count=2)

    assert [rows.tolist() for rows in batches] == [[1, 3], [4, 0], [2]]


@pytest.mark.parametrize("budget", [1, 59, 60, 200, 1000])
def test_a_budget_is_kept_padding_included_and_used_as_far_as_it_goes(budget: int) -> None:
    """Only a text that alone is over the budget exceeds it, and no batch could have taken the next text."""
    batches = plan_batches(LENGTHS, "token-budget", example_count=1, token_count=budget)

    for rows, after in zip(batches, [*batches[1:], None], strict=True):
        cost = len(rows) * int(LENGTHS[rows].max())
        assert cost <= budget or len(rows) == 1
        if after is not None:
            assert (len(rows) + 1) * int(LENGTHS[after[0]]) > budget


def test_nothing_to_answer_is_no_batch() -> None:
    """An empty list is planned as no work."""
    assert plan_batches([], "sorted", example_count=4) == []
    assert plan_batches([], "token-budget", example_count=4, token_count=9) == []


def test_servers_share_the_work_and_the_answers_keep_their_order() -> None:
    """Two servers are busy at the same time, and each piece's answer stands at its place."""
    both_busy, seen, done = threading.Barrier(2, timeout=10), set(), []

    def piece(at: int) -> Any:
        def run(server: str) -> int:
            if at < 2:
                both_busy.wait()
            seen.add(server)
            return at * at

        return run

    answers = side_by_side([piece(at) for at in range(2)], ["a", "b"], on_done=done.append)

    assert answers == [0, 1]
    assert seen == {"a", "b"}
    assert sorted(done) == [0, 1]


def test_one_server_works_in_the_callers_thread() -> None:
    """Nothing is started where nothing can run side by side: a timed call pays for no thread."""
    threads = side_by_side([lambda _: threading.get_ident()] * 3, ["only"])

    assert threads == [threading.get_ident()] * 3
    assert side_by_side([lambda _: threading.get_ident()], ["a", "b"]) == [threading.get_ident()]


def test_an_error_of_one_piece_is_raised() -> None:
    """A failed batch is no empty answer."""

    def fail(server: str) -> int:
        raise ValueError(server)

    with pytest.raises(ValueError, match=r"^[ab]$"):
        side_by_side([lambda _: 1, fail, lambda _: 2], ["a", "b"])
