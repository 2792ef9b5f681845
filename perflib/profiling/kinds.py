"""
What kind of work an operator of PyTorch is, by its name: matrix product, attention, memory traffic, dispatch …

    >>> kind_of("aten::addmm"), kind_of("aten::layer_norm"), kind_of("aten::unheard_of")
    ('matrix', 'framework', 'other')
    >>> kind_of("aten::native_layer_norm.out")
    'normalisation'

An operator that only finds out what to call is the framework's: its own time, without what it calls, is no work.
"""

import re
from collections.abc import Mapping

# An operator's name without its namespace and overload.
_EXACT: Mapping[str, str] = {
    **dict.fromkeys(("addmm", "mm", "bmm", "baddbmm", "_int_mm", "_addmm_activation", "mkldnn_linear"), "matrix"),
    **dict.fromkeys(("mkldnn_convolution", "_slow_conv2d_forward", "thnn_conv2d", "cudnn_convolution"), "matrix"),
    **dict.fromkeys(("native_layer_norm", "native_batch_norm", "_native_batch_norm_legit"), "normalisation"),
    **dict.fromkeys(("_batch_norm_impl_index", "_fused_rms_norm", "native_group_norm"), "normalisation"),
    **dict.fromkeys(("embedding", "index_select", "_embedding_bag", "gather"), "embedding"),
    **dict.fromkeys(("copy_", "clone", "cat", "fill_", "zero_", "empty", "empty_strided", "empty_like"), "memory"),
    **dict.fromkeys(("zeros", "ones", "resize_", "index_put_", "constant_pad_nd", "arange", "index"), "memory"),
    **dict.fromkeys(("sum", "mean", "max", "min", "amax", "argmax", "cumsum", "any", "all"), "reduction"),
    **dict.fromkeys(("_softmax", "_log_softmax", "adaptive_avg_pool2d", "max_pool2d_with_indices"), "reduction"),
}
_BEGINNINGS = (
    *(("_scaled_dot_product", "attention"), ("_flash_attention", "attention"), ("_efficient_attention", "attention")),
    *(("_weight_int", "matrix"), ("_linear_pointwise", "matrix"), ("_convolution_pointwise", "matrix")),
    *(("qlinear", "matrix"), ("qconv", "matrix"), ("onednn_linear", "matrix"), ("_linear", "matrix")),
    *(("quantize", "quantization"), ("dequantize", "quantization"), ("choose_qparams", "quantization")),
    *(("fake_quantize", "quantization"), ("cpp_fused", "fused"), ("triton", "fused"), ("Torch-Compiled", "fused")),
)
_ELEMENTWISE = frozenset(
    {
        *("gelu", "relu", "relu_", "tanh", "sigmoid", "silu", "exp", "log", "pow", "sqrt", "rsqrt", "neg", "abs"),
        *("add", "add_", "sub", "sub_", "mul", "mul_", "div", "div_", "where", "masked_fill", "masked_fill_"),
        *("eq", "ne", "lt", "le", "gt", "ge", "clamp", "clamp_", "clamp_min", "bitwise_and", "bitwise_not"),
        *("logical_not", "erf", "rsub", "maximum", "minimum", "round", "floor_divide", "clamp_min_"),
    }
)
# They only find out what to call.
_DISPATCH = frozenset(
    {
        *("linear", "matmul", "scaled_dot_product_attention", "softmax", "to", "_to_copy", "view", "_unsafe_view"),
        *("reshape", "transpose", "t", "permute", "expand", "slice", "select", "unsqueeze", "squeeze", "as_strided"),
        *("conv2d", "_convolution", "convolution", "flatten", "split", "chunk", "unbind", "detach", "detach_"),
        *("alias", "item", "lift_fresh", "_local_scalar_dense", "type_as", "expand_as", "numpy_T", "_reshape_alias"),
        *("layer_norm", "batch_norm", "dropout", "contiguous", "resolve_conj", "resolve_neg", "max_pool2d"),
        *("is_nonzero", "result_type", "numpy", "cpu", "log_softmax", "stack"),
    }
)


def kind_of(operator: str) -> str:
    """Return the kind of an operator, one of `perflib.results.KINDS`, by its name with or without namespace."""
    name = re.sub(r"^.*::", "", operator).split(".")[0]
    if name in _EXACT:
        return _EXACT[name]
    for beginning, kind in _BEGINNINGS:
        if name.startswith(beginning):
            return kind
    if name in _ELEMENTWISE:
        return "elementwise"
    return "framework" if name in _DISPATCH else "other"
