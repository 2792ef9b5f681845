"""The roofline by hand: which roof binds a product, what the floor of a step is, and what is refused."""

import dataclasses

import pytest

from perflib.errors import ParameterError
from perflib.profiling.roofline import make_roofline
from perflib.results import Ceilings, Roofline, ShapeTime
from tests.synthetic_profiles import STEP_COUNT, make_ceilings, make_profile

PEAKS = Ceilings(
    thread_count=2, fp32_flop_per_sec=100.0, bf16_flop_per_sec=None, int8_op_per_sec=400.0, copy_bytes_per_sec=10.0
)


def shape(
    precision: str = "fp32", *, self_sec: float = 30.0, flop_count: int = 1200, moved_bytes: int = 60
) -> ShapeTime:
    """Return one product that took 30 s for 12 s of fp32 arithmetic and 6 s of memory."""
    return ShapeTime("aten::mm", "matrix", "[[2, 3], [3, 4]]", precision, 6, self_sec, flop_count, moved_bytes)


def test_a_product_lies_under_the_roof_that_binds_it() -> None:
    """The larger of arithmetic and memory is the time at best, and the rest follows from it."""
    profile = make_profile(shapes=(shape(), shape(self_sec=20.0, moved_bytes=150)))
    by_sec = {point.self_sec: point for point in make_roofline(profile, PEAKS).points}

    assert by_sec[30.0].attainable_sec == 12.0
    assert by_sec[30.0].intensity_flop_per_byte == 20.0
    assert by_sec[30.0].achieved_flop_per_sec == 40.0
    assert by_sec[30.0].reached_ratio == 0.4
    assert by_sec[20.0].attainable_sec == 15.0


@pytest.mark.parametrize(
    ("precision", "roof", "attainable_sec"),
    [("fp32", "fp32", 12.0), ("int8", "int8", 6.0), ("bf16", "fp32", 12.0), ("fp16", "fp32", 12.0), ("", "fp32", 12.0)],
)
def test_the_precision_chooses_the_roof(precision: str, roof: str, attainable_sec: float) -> None:
    """What has no roof here is put under fp32 and says so; int8 at 3 s waits for its 6 s of memory."""
    point = make_roofline(make_profile(shapes=(shape(precision),)), PEAKS).points[0]

    assert (point.precision, point.attainable_sec) == (roof, attainable_sec)


def test_the_floor_and_the_step_are_of_one_step() -> None:
    """Points sum up three steps; the floor is a third of theirs, the step that of nobody watching."""
    profile = make_profile(
        shapes=(shape(), shape(self_sec=40.0)), active_step_count=3, wall_sec=99.0, unwatched_sec=96.0
    )
    roofline = make_roofline(profile, PEAKS)

    assert roofline.floor_sec == 8.0
    assert roofline.step_sec == 32.0
    assert roofline.limit_ratio == 4.0
    assert [point.self_sec for point in roofline.points] == [40.0, 30.0]


def test_what_multiplies_nothing_and_what_took_no_time_has_no_point() -> None:
    """They are neither drawn nor part of the floor."""
    others = (shape(flop_count=0), shape(self_sec=0.0))
    roofline = make_roofline(make_profile(shapes=(shape(), *others)), PEAKS)

    assert len(roofline.points) == 1
    assert roofline.floor_sec == 12.0 / STEP_COUNT


def test_the_roofline_of_a_whole_profile_adds_up_and_survives_a_file() -> None:
    """Six layers by hand: 44.7 GFLOP on 200 GFLOP/s, but the head, which waits for memory."""
    profile = make_profile()
    roofline = make_roofline(profile, make_ceilings(2))
    products = [row for row in profile.shapes if row.kind in ("matrix", "attention")]

    assert len(roofline.points) == len(products) == 5
    assert roofline.floor_sec == pytest.approx(44.694e9 / 200e9, rel=1e-3)
    assert (roofline.name, roofline.scenario, roofline.thread_count) == ("baseline", "offline", 2)
    assert Roofline.from_dict(roofline.to_dict()) == roofline


def test_the_threads_are_those_of_the_roof() -> None:
    """More threads than cores are bound by the cores."""
    assert make_roofline(make_profile(thread_count=8), make_ceilings(2)).thread_count == 2


@pytest.mark.parametrize("shapes", [(), (shape(flop_count=0),)])
def test_a_profile_without_products_is_refused(shapes: tuple[ShapeTime, ...]) -> None:
    """The sentence names the profile and says what to profile instead."""
    with pytest.raises(ParameterError, match=r"`fused` .* profile the torch artifact"):
        make_roofline(make_profile(name="fused", shapes=shapes), PEAKS)


def test_a_profile_of_another_device_is_refused() -> None:
    """A GPU does not run under the processor's roof."""
    with pytest.raises(ParameterError, match="ran on cuda"):
        make_roofline(dataclasses.replace(make_profile(), device="cuda"), PEAKS)
