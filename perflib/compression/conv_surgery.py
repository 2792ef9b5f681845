"""
Cut channels out of `perflib.workloads.convnet`.

A channel lives in several layers at once: a filter, its normalisation, the inputs of whatever reads it. Which belong
together is found by torch-pruning's dependency graph, which follows the computation instead of a list of names.
The classifier's outputs belong to no convolution, so no group contains them.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from perflib.compression.importance import Units
from perflib.errors import StageError


def channel_units(model: nn.Module, example: dict[str, torch.Tensor]) -> list[Units]:
    """
    Return the channels of every convolution, made by scale and shift of its normalisation.

    The filter's own norm says nothing, because the normalisation divides by what the filter made.

    Args:
        model: A network whose convolutions are each followed by one normalisation and read by one layer.
        example: Inputs by name, for following the computation.

    Raises:
        StageError: If a convolution is not of that kind.
    """
    units = []
    for conv, group in _groups(model, example):
        norms = [dep.layer for dep, _ in group if isinstance(dep.layer, nn.BatchNorm2d)]
        layers = [dep.layer for dep, _ in group if isinstance(dep.layer, nn.Conv2d | nn.Linear)]
        readers = [layer for layer in layers if layer is not conv]
        if len(norms) != 1 or len(readers) != 1:
            raise StageError(
                f"a convolution of {conv.out_channels} channels has {len(norms)} normalisations and {len(readers)} "
                "readers where one of each can be pruned; leave channels_ratio out."
            )
        units.append(Units(readers[0], (norms[0].weight, norms[0].bias)))
    return units


def cut_channels(
    model: nn.Module, config: dict[str, Any], example: dict[str, torch.Tensor], kept: Sequence[torch.Tensor]
) -> dict[str, Any]:
    """Remove all channels but these (positions, one tensor a convolution) in place, and return the configuration."""
    for (conv, group), stay in zip(_groups(model, example), kept, strict=True):
        gone = sorted(set(range(conv.out_channels)) - set(stay.tolist()))
        if gone:
            group.prune(idxs=gone)
    return {**config, "channels_counts": [conv.out_channels for conv in _convolutions(model)]}


def _groups(model: nn.Module, example: dict[str, torch.Tensor]) -> list[tuple[nn.Conv2d, Any]]:
    import torch_pruning

    graph = torch_pruning.DependencyGraph().build_dependency(model, example_inputs=example)
    return [
        (
            conv,
            graph.get_pruning_group(conv, torch_pruning.prune_conv_out_channels, idxs=list(range(conv.out_channels))),
        )
        for conv in _convolutions(model)
    ]


def _convolutions(model: nn.Module) -> list[nn.Conv2d]:
    return [layer for layer in model.modules() if isinstance(layer, nn.Conv2d)]
