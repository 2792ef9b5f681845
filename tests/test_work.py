"""Counting by shapes: products, attention and convolutions against torch's own counter, bytes by hand."""

import json
from typing import Any

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from perflib.profiling.kinds import kind_of
from perflib.profiling.work import flop_count, moved_bytes, precision_of
from perflib.results import KINDS


def _counted(call: Any) -> int:
    with FlopCounterMode(display=False) as counter:
        call()
    return int(counter.get_total_flops())


def test_products_count_as_torch_counts_them() -> None:
    """The independent oracle is torch's own counter of FLOPs."""
    one, two, three = torch.rand(5, 3), torch.rand(3, 7), torch.rand(7)
    many, others = torch.rand(2, 5, 3), torch.rand(2, 3, 4)

    assert flop_count("aten::mm", "[[5, 3], [3, 7]]") == _counted(lambda: one @ two)
    assert flop_count("aten::addmm", "[[7], [5, 3], [3, 7], [], []]") == _counted(lambda: torch.addmm(three, one, two))
    assert flop_count("aten::bmm", "[[2, 5, 3], [2, 3, 4]]") == _counted(lambda: torch.bmm(many, others))


def test_attention_counts_both_of_its_products() -> None:
    """Queries with keys, weights with values; of unequal lengths too."""
    query, key = torch.rand(2, 3, 5, 4), torch.rand(2, 3, 7, 4)
    expected = _counted(lambda: (query @ key.transpose(-1, -2)) @ key)
    shapes = json.dumps([list(query.shape), list(key.shape), list(key.shape), [], []])

    assert flop_count("aten::_scaled_dot_product_flash_attention_for_cpu", shapes) == expected


@pytest.mark.parametrize(
    ("stride", "padding", "dilation", "groups"), [(1, 0, 1, 1), (2, 1, 1, 1), (1, 2, 2, 1), (1, 1, 1, 2)]
)
def test_convolutions_count_as_torch_counts_them(stride: int, padding: int, dilation: int, groups: int) -> None:
    """Padding, stride, dilation and groups decide how many outputs there are and what each costs."""
    image, weight = torch.rand(2, 4, 9, 8), torch.rand(6, 4 // groups, 3, 3)
    options = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
    expected = _counted(lambda: torch.nn.functional.conv2d(image, weight, **options))
    values = json.dumps(["", "", "", f"[{padding}, {padding}]", f"[{stride}, {stride}]", f"[{dilation}]", str(groups)])
    shapes = json.dumps([list(image.shape), list(weight.shape), [], [], [], [], []])

    assert flop_count("aten::mkldnn_convolution", shapes, values) == expected


@pytest.mark.parametrize(
    ("operator", "shapes", "values"),
    [
        ("aten::gelu", "[[5, 3]]", "[]"),
        ("aten::mm", "[]", "[]"),
        ("aten::mm", "[[5], [3]]", "[]"),
        ("aten::addmm", "[[7]]", "[]"),
        ("aten::mm", '[[[5, 3], [3, 7]], "x"]', "[]"),
        ("aten::mkldnn_convolution", "[[2, 4, 9, 8], [6, 4, 3, 3]]", "[]"),
        ("aten::mkldnn_convolution", "[[2, 4, 9, 8], [6, 4, 3, 3]]", '["", "", "", "odd", "odd", "odd"]'),
        ("aten::_scaled_dot_product_flash_attention_for_cpu", "[[5, 3]]", "[]"),
    ],
)
def test_what_is_no_product_or_does_not_say_counts_nothing(operator: str, shapes: str, values: str) -> None:
    """A guess would be worse than none."""
    assert flop_count(operator, shapes, values) == 0


def test_bytes_are_inputs_and_output_once() -> None:
    """The output of a product follows from its inputs, any other is as large as the largest input."""
    assert moved_bytes("aten::addmm", "[[4], [2, 3], [3, 4], []]", '["float", "float", "float", "Scalar"]') == 4 * (
        4 + 6 + 12 + 8
    )
    assert moved_bytes("aten::gelu", "[[2, 3], []]", '["c10::BFloat16", ""]') == 2 * (6 + 6)
    assert moved_bytes("aten::_int_mm", "[[2, 3], [3, 4]]", '["signed char", "signed char"]') == 6 + 12 + 4 * 8
    assert moved_bytes("aten::add", "[[2, 3], [3]]", '["float", "an odd type"]') == 4 * (6 + 3 + 6)
    assert moved_bytes("aten::arange", "[[], []]", "[]") == 0


def test_the_precision_of_a_product_is_that_of_its_lowest_factor() -> None:
    """A bias in fp32 does not make an int8 product one of fp32."""
    assert precision_of('["signed char", "float", "float"]') == "int8"
    assert precision_of('["float", "Scalar"]') == "fp32"
    assert precision_of('["long int", "c10::Half"]') == "fp16"
    assert precision_of('["double", "Scalar"]') == "fp64"
    assert precision_of('["Scalar", null]') == ""


def test_every_kind_is_one_that_is_shown() -> None:
    """Names with namespace and overload, beginnings of families, and what nobody knows."""
    expected = {
        "aten::addmm": "matrix",
        "mkldnn::_linear_pointwise": "matrix",
        "onednn::qlinear_pointwise": "matrix",
        "aten::_weight_int8pack_mm": "matrix",
        "aten::_scaled_dot_product_flash_attention_for_cpu": "attention",
        "aten::native_layer_norm.out": "normalisation",
        "aten::gelu": "elementwise",
        "aten::_softmax": "reduction",
        "aten::embedding": "embedding",
        "aten::copy_": "memory",
        "quantized_decomposed::quantize_per_tensor": "quantization",
        "Torch-Compiled Region: 0/0": "fused",
        "aten::linear": "framework",
        "mine::magic": "other",
    }

    assert {name: kind_of(name) for name in expected} == expected
    assert set(expected.values()) <= set(KINDS)
