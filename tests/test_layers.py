"""Products by layer: texts of every length are one point, in every engine's order of operands."""

import dataclasses

import pytest

from perflib.results import Roofline, RooflinePoint
from perflib.results.layers import layer_of, merged_points


def _point(
    operator: str, shapes: str, *, kind: str = "matrix", precision: str = "fp32", sec: float = 1.0
) -> RooflinePoint:
    return RooflinePoint(operator, kind, shapes, precision, 2, sec, 30, 20, sec / 2)


@pytest.mark.parametrize(
    ("operator", "shapes", "layer"),
    [
        ("aten::addmm", "[[1536], [64, 384], [384, 1536]]", "384→1536"),
        ("aten::mm", "[[64, 384], [384, 1536]]", "384→1536"),
        ("FullyConnected", "[[4, 16, 384], [1536, 384]]", "384→1536"),
        ("aten::addmm", "[[384], [64, 1536], [1536, 384]]", "1536→384"),
        ("aten::mkldnn_convolution", "[[2, 4, 9, 9], [6, 4, 3, 3]]", "6×4×3×3"),
        ("aten::mm", "[[64, 384]]", "[[64, 384]]"),
        ("aten::mm", "[[64, 5], [4, 7]]", "[[64, 5], [4, 7]]"),
        ("odd", "no sizes", "no sizes"),
    ],
)
def test_a_layer_is_what_goes_in_and_what_comes_out(operator: str, shapes: str, layer: str) -> None:
    """Whether the weight is stored by rows or by columns; what does not say keeps its shapes."""
    assert layer_of(_point(operator, shapes)) == layer


def test_attention_is_one_layer() -> None:
    """It has no weights, and every length is another shape."""
    assert layer_of(_point("sdpa", "[[1, 2, 3, 4], [1, 2, 3, 4]]", kind="attention")) == "attention"


def test_all_lengths_of_a_layer_are_summed_and_precisions_are_not() -> None:
    """Work, bytes and time of both; another precision has another roof."""
    points = (
        _point("aten::mm", "[[8, 4], [4, 2]]", sec=1.0),
        _point("aten::mm", "[[9, 4], [4, 2]]", sec=3.0),
        _point("aten::mm", "[[9, 4], [4, 2]]", sec=5.0, precision="bf16"),
    )
    found = merged_points(Roofline("x", "offline", "a" * 64, 2, points, 1.0, 2.0))

    assert [(one.precision, one.self_sec) for one in found] == [("bf16", 5.0), ("fp32", 4.0)]
    assert found[1] == dataclasses.replace(
        points[0], shapes="4→2", call_count=4, self_sec=4.0, flop_count=60, moved_bytes=40, attainable_sec=2.0
    )
