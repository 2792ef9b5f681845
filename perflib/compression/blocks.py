"""
The blocks of a model: the parts of its module tree that are quantized, or kept, together.

    default_blocks(module)                          # ("embeddings", "encoder.layer.0.attention", …, "head")
    layers_of(module, "encoder.layer.0.attention")  # the paths of its linear layers
"""

from collections.abc import Iterator
from typing import Literal

from torch import nn

from perflib.compression.fake_quant import quantizable_layers
from perflib.errors import StageError

Unit = Literal["block", "layer"]
_LISTS = (nn.ModuleList, nn.Sequential)


def default_blocks(module: nn.Module, *, unit: Unit = "block") -> tuple[str, ...]:
    """
    Return the paths of a model's blocks, in the order of the model.

    What holds a list of parts is taken apart, and so is each item of a ``ModuleList``: the attention and the two halves
    of the feed-forward of each encoder layer, each convolution of a ``Sequential``. Any other part is one block.

    Raises:
        StageError: If the model has no layer that can be quantized.
    """
    found = tuple(quantizable_layers(module)) if unit == "layer" else tuple(_walk(module, ""))
    if not found:
        raise StageError("the model has no linear, convolution or embedding layer; there is nothing to quantize.")
    return found


def layers_of(module: nn.Module, block: str) -> tuple[str, ...]:
    """Return the paths of the layers that belong to a block; `StageError` if there is none."""
    layers = quantizable_layers(module)
    found = tuple(name for name in layers if name == block or name.startswith(f"{block}."))
    if not found:
        raise StageError(
            f"block `{block}` holds no linear, convolution or embedding layer; "
            f"name a part of the model such as `{next(iter(layers), '')}`."
        )
    return found


def _walk(module: nn.Module, path: str) -> Iterator[str]:
    for name, child in module.named_children():
        here = f"{path}{name}"
        if not quantizable_layers(child):
            continue
        if any(isinstance(part, _LISTS) for part in child.modules()):
            yield from _walk(child, f"{here}.")
        elif isinstance(module, nn.ModuleList) and any(True for _ in child.children()):
            yield from (f"{here}.{part}" for part, within in child.named_children() if quantizable_layers(within))
        else:
            yield here
