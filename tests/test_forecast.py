"""The forecast: a known cost is found again, nothing is negative, and the probes are no cells of the map."""

import itertools
import math

import numpy as np
import pytest

from perflib.errors import MeasurementError
from perflib.profiling.forecast import CallCost, fit_cost, predicted_ratio, probe_shapes

MAP = list(itertools.product((1, 4, 8, 16), (8, 12, 16, 32, 64)))
# Eager: every token costs; fixed: every text costs as much as the longest.
EAGER = CallCost(4e-3, 2e-4, 1e-4, 7e-7)
FIXED = CallCost(1e-3, 3.5e-3, 0.0, 0.0)


def test_the_cost_of_a_call_is_a_sum_over_examples_tokens_and_pairs() -> None:
    """Checked against the sum written out by hand."""
    cost = CallCost(1.0, 0.5, 0.25, 0.125)

    assert cost.seconds(2, 4) == 1.0 + 0.5 * 2 + 0.25 * 8 + 0.125 * 32


@pytest.mark.parametrize("true", [EAGER, FIXED, CallCost(0.0, 0.0, 1e-4, 0.0), CallCost(5e-3, 0.0, 0.0, 1e-6)])
def test_a_known_cost_is_found_again_from_five_probes(true: CallCost) -> None:
    """At shapes that were never timed, also outside the probes."""
    probes = probe_shapes(MAP)
    found = fit_cost(probes, [true.seconds(*shape) for shape in probes])

    for shape in [*MAP, (64, 128)]:
        assert found.seconds(*shape) == pytest.approx(true.seconds(*shape), rel=1e-6)


def test_break_even_is_predicted_on_the_right_side_of_every_cell() -> None:
    """Timings that are wrong by up to 3 % do not move a sign that is 10 % away from break-even."""
    probes, noise = probe_shapes(MAP), np.random.default_rng(0)
    costs = {
        name: fit_cost(probes, [true.seconds(*shape) * noise.uniform(0.97, 1.03) for shape in probes])
        for name, true in (("baseline", EAGER), ("candidate", FIXED))
    }
    true = {shape: EAGER.seconds(*shape) / FIXED.seconds(*shape) for shape in MAP}
    plain = [shape for shape, ratio in true.items() if abs(math.log(ratio)) > math.log(1.1)]

    assert {true[shape] > 1 for shape in plain} == {True, False}
    assert len(plain) >= 16
    for shape in plain:
        assert (predicted_ratio(shape, **costs) > 1) == (true[shape] > 1), shape


def test_no_part_of_a_cost_is_negative() -> None:
    """Timings that fall with length, which plain least squares would follow below zero, leave a flat cost."""
    shapes = [(1, 10), (1, 50), (16, 10), (16, 50), (4, 20)]
    found = fit_cost(shapes, [1.0, 0.8, 1.0, 0.8, 0.9])

    assert min(found.overhead_sec, found.example_sec, found.token_sec, found.token_pair_sec) >= 0
    assert found.seconds(64, 128) > 0


def test_short_calls_count_as_much_as_long_ones() -> None:
    """The error is relative: of two contradicting pairs the fit misses both by the same share."""
    found = fit_cost([(1, 1), (1, 1)], [1.0, 3.0])

    # The least of (t - 1)² + (t / 3 - 1)² is at t = 1.2; without weights it would be 2.
    assert found.seconds(1, 1) == pytest.approx(1.2)


def test_without_lengths_a_line_over_the_batch_is_found() -> None:
    """Examples, tokens and pairs then are the same thing, and share what they cost."""
    cells = [(batch, 1) for batch in (1, 4, 8, 16, 32, 64)]
    probes = probe_shapes(cells)
    found = fit_cost(probes, [1e-3 + 2e-4 * batch for batch, _ in probes])

    assert probes == ((2, 1), (5, 1), (11, 1), (22, 1), (45, 1))
    assert [found.seconds(*cell) for cell in cells] == pytest.approx([1e-3 + 2e-4 * batch for batch, _ in cells])


@pytest.mark.parametrize(
    "cells",
    [
        MAP,
        list(itertools.product((1, 4), (8, 12))),
        [(batch, 1) for batch in (1, 4, 8)],
        [(batch, 7) for batch in (1, 4, 8, 16)],
        [(1, 8), (1, 16), (1, 32)],
        list(itertools.product((1, 4, 16, 64), (8, 16, 32, 64, 128))),
    ],
)
def test_no_probe_is_a_cell(cells: list[tuple[int, int]]) -> None:
    """What the prediction has seen is no proof of it."""
    probes = probe_shapes(cells)

    assert not set(probes) & set(cells)
    assert len(set(probes)) == len(probes) >= 2


def test_probes_have_batch_sizes_of_the_map() -> None:
    """An engine that plans for some batch sizes is timed in its plans."""
    assert {batch for batch, _ in probe_shapes(MAP)} == {1, 8, 16}
    assert {length for _, length in probe_shapes(MAP)} == {9, 22, 45}


@pytest.mark.parametrize("seconds", [[], [0.1, 0.0], [0.1, -1.0], [0.1, math.nan], [0.1, math.inf]])
def test_timings_that_are_none_are_refused(seconds: list[float]) -> None:
    """In one sentence."""
    with pytest.raises(MeasurementError, match="needs timings above zero"):
        fit_cost([(1, 8), (2, 8)][: len(seconds)], seconds)
