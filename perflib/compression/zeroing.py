"""
Set the least important single weights to zero, and keep them there while the rest is trained.

The shapes stay, and a dense kernel multiplies zeros as it multiplies anything else: the file is as large and the model
as slow as before. It is here because people expect otherwise, and as a measure of how much a model can spare.
"""

import contextlib
from collections.abc import Iterator, Sequence

import torch
from torch import nn
from torch.nn.utils import parametrize

from perflib.compression.choosing import choose
from perflib.compression.importance import Judge

WHY_NOT_FASTER = (
    "the zeros stand in tensors of the same shape: dense kernels multiply zeros like any other number, and the file "
    "stores them"
)


def prunable_layers(model: nn.Module, *, class_count: int) -> list[nn.Linear | nn.Conv2d]:
    """Return all linear layers and convolutions but the classifier: the last linear layer with an output per class."""
    layers = [layer for layer in model.modules() if isinstance(layer, nn.Linear | nn.Conv2d)]
    heads = [layer for layer in layers if isinstance(layer, nn.Linear) and layer.out_features == class_count]
    return [layer for layer in layers if not heads or layer is not heads[-1]]


def zero_masks(
    model: nn.Module, layers: Sequence[nn.Linear | nn.Conv2d], ratio: float, judge: Judge, *, is_uniform: bool
) -> list[torch.Tensor]:
    """
    Zero the weights that score lowest, in place.

    Args:
        model: The whole model, in evaluation mode.
        layers: Where weights may go.
        ratio: The share that shall be zero, counting what is zero already.
        judge: Scores them.
        is_uniform: Whether every layer loses the same share.

    Returns:
        True where a weight stayed, one mask a layer.
    """
    scores = judge.weights(model, layers)
    keep_counts = [score.numel() - int(ratio * score.numel() + 1e-9) for score in scores]
    if is_uniform:
        kept = choose([score.flatten() for score in scores], keep_counts)
    else:
        everywhere = torch.cat([score.flatten() for score in judge.comparable(scores)])
        (best,) = choose([everywhere], [sum(keep_counts)])
        kept = _by_layer(best, [score.numel() for score in scores])
    masks = []
    for layer, positions in zip(layers, kept, strict=True):
        mask = torch.zeros(layer.weight.numel(), dtype=torch.bool)
        mask[positions] = True
        masks.append(mask.reshape(layer.weight.shape))
        with torch.no_grad():
            layer.weight.mul_(masks[-1])
    return masks


@contextlib.contextmanager
def held(layers: Sequence[nn.Module], masks: Sequence[torch.Tensor]) -> Iterator[None]:
    """Keep zeros at zero while the model is trained; afterwards the weights are plain parameters again."""
    for layer, mask in zip(layers, masks, strict=True):
        parametrize.register_parametrization(layer, "weight", _Masked(mask))
    try:
        yield
    finally:
        for layer, _ in zip(layers, masks, strict=True):
            parametrize.remove_parametrizations(layer, "weight", leave_parametrized=True)


def zero_share(layers: Sequence[nn.Linear | nn.Conv2d]) -> float:
    """Return the share of these layers' weights that is zero."""
    zeros = sum(int((layer.weight == 0).sum()) for layer in layers)
    return zeros / sum(layer.weight.numel() for layer in layers)


class _Masked(nn.Module):
    # torch.nn.utils.prune does the same by a hook, but a model that carries it cannot be copied, as training needs to.
    mask: torch.Tensor

    def __init__(self, mask: torch.Tensor) -> None:
        super().__init__()
        self.register_buffer("mask", mask)

    def forward(self, weight: torch.Tensor) -> torch.Tensor:
        return weight * self.mask


def _by_layer(positions: torch.Tensor, counts: Sequence[int]) -> list[torch.Tensor]:
    """Split positions in a row of all weights, rising, into those of each layer."""
    found, start = [], 0
    for count in counts:
        inside = positions[(positions >= start) & (positions < start + count)]
        found.append(inside - start)
        start += count
    return found
