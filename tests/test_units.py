"""Units: numbers become words only at the edge, and an unknown number is a dash."""

import pytest

from perflib import units


@pytest.mark.parametrize(
    ("value_sec", "text"),
    [(0.0, "0.00 ns"), (2.5e-9, "2.50 ns"), (3.4e-6, "3.40 µs"), (0.0999, "99.9 ms"), (1.0, "1.00 s")],
)
def test_a_duration_takes_the_unit_that_fits(value_sec: float, text: str) -> None:
    """The largest unit in which the value is at least one is chosen."""
    assert units.duration(value_sec) == text


def test_unknown_is_a_dash_everywhere() -> None:
    """No function writes 0 or nan for what is not known."""
    texts = {
        units.duration(None),
        units.size(None),
        units.rate(None, "texts/s"),
        units.percent(None),
        units.points(None),
        units.speedup(None),
    }

    assert texts == {units.UNKNOWN}


def test_rates_take_prefixes() -> None:
    """Each step of a thousand has its SI prefix."""
    assert [units.rate(10.0**power, "FLOP/s") for power in (0, 3, 6, 9, 12)] == [
        "1.00 FLOP/s",
        "1.00 kFLOP/s",
        "1.00 MFLOP/s",
        "1.00 GFLOP/s",
        "1.00 TFLOP/s",
    ]


def test_points_carry_a_true_minus_and_zero_carries_no_sign() -> None:
    """A change of minus nothing is nothing."""
    assert units.points(-0.012) == "−1.20 pp"
    assert units.points(0.012) == "+1.20 pp"
    assert units.points(-0.00001) == "0.00 pp"


def test_a_speedup_with_half_an_interval_shows_none() -> None:
    """Two bounds make an interval; one does not."""
    assert units.speedup(1.5, 1.4, None) == "1.50×"
    assert units.speedup(1.5, 1.4, 1.6) == "1.50× [1.40, 1.60]"
