"""
Reading an OpenVINO model: which torch module a layer comes from, which weights are int8, which products are.

The engine's executed graph says "u8" for a layer with int8 weights also where it unpacks them and multiplies in fp32.
So products are told apart by their results: fp32 products of unpacked weights come within millionths of the same
products in 64 bits, products of activations that were rounded to 8 bits do not.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from perflib.encoded import Encoded
from perflib.errors import StageError, did_you_mean

INT8_PRODUCT_ERROR_RATIO = 1e-4
_WEIGHTED = ("MatMul", "Convolution", "GroupConvolution")
# What may stand between a constant and the layer that multiplies by it.
_WRAPPERS = ("Convert", "Reshape", "Transpose", "Multiply", "Subtract", "FakeQuantize", "Unsqueeze")
_INT8 = ("i8", "u8")


def linear_layers(model: Any, modules: Sequence[str]) -> dict[str, str]:
    """
    Find the operation of every linear or convolutional torch module.

    Args:
        model: Converted from torch.
        modules: Names of the linear and convolutional modules, in the order in which they run.

    Returns:
        The operation's name by the module's. Operations that lost their module's name, as a convolution does whose
        normalisation was folded into it, are the nameless ones in their order.
    """
    names = [node.get_friendly_name() for node in _weighted(model)]
    found = {_module(name): name for name in names if _module(name) in modules}
    nameless = [name for name in names if name not in found.values()]
    rest = [module for module in modules if module not in found]
    if len(nameless) == len(rest):
        found |= dict(zip(rest, nameless, strict=True))
    return found


def operations_of(
    kept: Sequence[str], layers: Mapping[str, str], *, known: Sequence[str], words: Sequence[str] = ()
) -> tuple[list[str], list[str]]:
    """
    Say which operations belong to the blocks that stay in floating point.

    Args:
        kept: Names of torch modules.
        layers: From `linear_layers`.
        known: Names of all modules.
        words: What else could have been meant by an unknown name.

    Returns:
        Names of linear operations, and patterns for all operations that bear such a module's name.

    Raises:
        StageError: If no module has a name.
    """
    for name in kept:
        if name not in known:
            raise StageError(
                f"`{name}` is no block of this model that could be kept; {did_you_mean(name, [*known, *words])}"
            )
    inside = [
        operation
        for module, operation in layers.items()
        if any(module == name or module.startswith(f"{name}.") for name in kept)
    ]
    return inside, [rf"__module\.{re.escape(name)}(?:[./].*)?" for name in kept]


def int8_weighted(model: Any) -> list[Any]:
    """Return the operations that multiply by weights stored in int8."""
    return [node for node in _weighted(model) if _stored_type(node) in _INT8]


def int8_product_count(model: Any, sample: Encoded, *, settings: Mapping[str, str]) -> int:
    """
    Run the longest example and count the matrix products with int8 weights whose activations were rounded too.

    Args:
        model: With weights stored in int8.
        sample: Inputs.
        settings: OpenVINO's, as the model will be served with.
    """
    from perflib.engines import openvino_engine

    seen = model.clone()
    nodes = [node for node in int8_weighted(seen) if node.get_type_name() == "MatMul"]
    if not nodes:
        return 0
    weights = [_weights(node) for node in nodes]
    given = watch(seen, [node.input(0).get_source_output() for node in nodes])
    made = watch(seen, [node.output(0) for node in nodes])
    compiled = openvino_engine.compile_model(seen, precision="int8", settings=settings)
    outputs = compiled(dict(sample.take([int(np.argmax(sample.lengths()))]).arrays))
    errors = [
        _error_ratio(outputs[before], weight, outputs[after])
        for before, weight, after in zip(given, weights, made, strict=True)
    ]
    return sum(error > INT8_PRODUCT_ERROR_RATIO for error in errors)


def watch(model: Any, ports: Sequence[Any]) -> list[int]:
    """
    Make values inside a model outputs of it, in place.

    Returns:
        The place of each among the model's outputs; what several ask for has one place.
    """
    model.add_outputs(list(ports))
    places = {_key(result.input(0).get_source_output()): at for at, result in enumerate(model.get_results())}
    return [places[_key(port)] for port in ports]


def _key(port: Any) -> tuple[str, int]:
    return port.get_node().get_friendly_name(), port.get_index()


def _error_ratio(given: NDArray[Any], weights: NDArray[np.float64], made: NDArray[Any]) -> float:
    exact = given.astype(np.float64) @ weights
    return float(np.linalg.norm(made - exact) / max(np.linalg.norm(exact), np.finfo(np.float64).tiny))


def _weighted(model: Any) -> list[Any]:
    return [
        node for node in model.get_ordered_ops() if node.get_type_name() in _WEIGHTED and _stored_type(node) is not None
    ]


def _stored_type(node: Any) -> str | None:
    """Name the type of the constant that an operation multiplies by; None where it multiplies two activations."""
    source = node.input(1).get_source_output().get_node()
    while source.get_type_name() in _WRAPPERS:
        source = source.input(0).get_source_output().get_node()
    return str(source.get_element_type().get_type_name()) if source.get_type_name() == "Constant" else None


def _weights(node: Any) -> NDArray[np.float64]:
    """Unpack the weights of a matrix product; shape (inputs, outputs)."""
    weights = _value(node.input(1).get_source_output().get_node())
    return weights.T if node.get_attributes()["transpose_b"] else weights


def _value(node: Any) -> NDArray[np.float64]:
    if node.get_type_name() == "Constant":
        return np.asarray(node.data, dtype=np.float64)
    parts = [_value(port.get_source_output().get_node()) for port in node.inputs()[:2]]
    if node.get_type_name() == "Subtract":
        return parts[0] - parts[1]
    return parts[0] * parts[1] if node.get_type_name() == "Multiply" else parts[0]


def _module(operation: str) -> str:
    """Cut ``__module.head/aten::linear/MatMul`` down to ``head``."""
    return operation.removeprefix("__module.").split("/", maxsplit=1)[0] if operation.startswith("__module.") else ""
