"""
How much an operator has to compute and to move, counted from the shapes that the trace holds.

FLOPs are multiplications and additions of the products; what is elementwise counts none, because it waits for memory.
Bytes are those of every input and of the output, once: what caches save and what is read twice is not known.
"""

import json
import math
import re
from collections.abc import Sequence

_WIDTH_BYTES = {
    **dict.fromkeys(("float", "int", "int32", "float32"), 4),
    **dict.fromkeys(("c10::BFloat16", "c10::Half", "bfloat16", "half", "short"), 2),
    **dict.fromkeys(("signed char", "unsigned char", "bool", "char", "int8", "uint8"), 1),
    **dict.fromkeys(("double", "long", "long int", "int64"), 8),
}
_PRECISIONS = {
    **dict.fromkeys(("double", "float64"), "fp64"),
    **dict.fromkeys(("float", "float32"), "fp32"),
    **dict.fromkeys(("c10::BFloat16", "bfloat16"), "bf16"),
    **dict.fromkeys(("c10::Half", "half"), "fp16"),
    **dict.fromkeys(("signed char", "unsigned char", "char", "int8", "uint8"), "int8"),
}
_BIASED = frozenset({"addmm", "_addmm_activation", "baddbmm"})
_PRODUCTS = _BIASED | {"mm", "_int_mm", "bmm"}
# Where padding, stride and dilation stand among the inputs.
_CONVOLUTIONS = {"mkldnn_convolution": (3, 4, 5), "cudnn_convolution": (2, 3, 4), "_slow_conv2d_forward": (5, 4, None)}


def flop_count(operator: str, shapes: str, values: str = "[]") -> int:
    """
    Return the multiplications and additions of a product or of attention; 0 where it is neither, or nobody can say.

    Args:
        operator: The name, with or without its namespace.
        shapes: Sizes of the inputs as JSON.
        values: Inputs that are no tensors, as JSON; the strides of a convolution stand there.

    Example:
        >>> flop_count("aten::addmm", "[[4], [2, 3], [3, 4]]")
        48
        >>> flop_count("aten::_scaled_dot_product_flash_attention", "[[1, 2, 5, 3], [1, 2, 5, 3], [1, 2, 5, 3]]")
        600
    """
    name = re.sub(r"^.*::", "", operator).split(".")[0]
    sizes = _sizes(shapes)
    if name in _PRODUCTS:
        left, right = _factors(name, sizes)
        return 2 * math.prod(left) * right[-1] if left and right else 0
    if name.startswith("_scaled_dot_product") and len(sizes) > 2 and len(sizes[0]) == 4:
        # Queries times keys, and their weights times values.
        query, key, value = sizes[:3]
        return 2 * math.prod(query[:3]) * key[2] * (query[3] + value[3])
    if name in _CONVOLUTIONS:
        return _convolution_flop_count(name, sizes, json.loads(values or "[]"))
    return 0


def moved_bytes(operator: str, shapes: str, types: str) -> int:
    """
    Return the bytes that an operator reads and writes at least once: its inputs and its output.

    The output of a product follows from its inputs; any other is taken to be as large as the largest input.
    Inputs of a type that is not known count four bytes a number.

    Example:
        >>> moved_bytes("aten::mm", "[[2, 3], [3, 4]]", '["float", "c10::BFloat16"]')
        80
    """
    sizes, names = _sizes(shapes), _names(types)
    name = re.sub(r"^.*::", "", operator).split(".")[0]
    widths = [_WIDTH_BYTES.get(names[place] if place < len(names) else "", 4) for place in range(len(sizes))]
    inputs_bytes = [math.prod(size) * width for size, width in zip(sizes, widths, strict=True) if size]
    if not inputs_bytes:
        return 0
    left, right = _factors(name, sizes)
    if left and right:
        # Sums of int8 products are int32.
        written_bytes = math.prod(left[:-1]) * right[-1] * (4 if name == "_int_mm" else widths[0])
    else:
        written_bytes = max(inputs_bytes)
    return sum(inputs_bytes) + written_bytes


def precision_of(types: str) -> str:
    """
    Return the lowest precision among the first two inputs that are numbers with a precision, empty where there is none.

    Example:
        >>> precision_of('["float", "c10::BFloat16", "Scalar"]'), precision_of('["long int"]')
        ('bf16', '')
    """
    found = [_PRECISIONS[name] for name in _names(types) if name in _PRECISIONS][:2]
    return min(found, key=["int8", "bf16", "fp16", "fp32", "fp64"].index) if found else ""


def _sizes(shapes: str) -> list[list[int]]:
    """Keep the place of every input, with an empty size where it is no tensor."""
    found = json.loads(shapes or "[]")
    return [size if _is_size(size) else [] for size in found] if isinstance(found, list) else []


def _is_size(size: object) -> bool:
    return isinstance(size, list) and bool(size) and all(isinstance(side, int) for side in size)


def _factors(name: str, sizes: Sequence[list[int]]) -> tuple[list[int], list[int]]:
    """Return the sizes of the two matrices that are multiplied; empty ones where the operator multiplies none."""
    start = 1 if name in _BIASED else 0
    found = sizes[start : start + 2]
    is_product = name in _PRODUCTS and len(found) == 2 and all(len(size) > 1 for size in found)
    return (found[0], found[1]) if is_product else ([], [])


def _names(types: str) -> list[str]:
    return [name if isinstance(name, str) else "" for name in json.loads(types or "[]")]


def _convolution_flop_count(name: str, sizes: Sequence[list[int]], values: Sequence[object]) -> int:
    places = _CONVOLUTIONS[name]
    if len(sizes) < 2 or len(sizes[0]) != len(sizes[1]) or len(sizes[0]) < 3:
        return 0
    (examples, _, *image), (out_channels, in_channels, *kernel) = sizes[0], sizes[1]
    padding, stride, dilation = (_sides(values, place, len(image)) for place in places)
    if padding is None or stride is None:
        return 0
    spread = dilation or [1] * len(image)
    outputs = [
        (image[at] + 2 * padding[at] - spread[at] * (kernel[at] - 1) - 1) // stride[at] + 1 for at in range(len(image))
    ]
    return 2 * examples * out_channels * in_channels * math.prod(kernel) * math.prod(outputs)


def _sides(values: Sequence[object], place: int | None, count: int) -> list[int] | None:
    try:
        found = json.loads(str(values[place])) if place is not None else None
    except (IndexError, ValueError):
        return None
    return found * count if isinstance(found, list) and len(found) == 1 else found
