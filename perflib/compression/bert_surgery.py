"""
Cut heads, neurons and layers out of `perflib.workloads.bert`.

The hidden size stays, because every layer adds to the same vectors, and so do the classifier's outputs.
What is left is a smaller model of the same builder; its configuration says how many heads and neurons each layer has.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from perflib.compression.choosing import choose
from perflib.compression.importance import Judge, Units
from perflib.compression.prune_checks import NEURON_MULTIPLE, counts_of, head_size, with_counts
from perflib.workloads.bert import mean_pooled_classifier


def layers_of(model: nn.Module) -> list[nn.Module]:
    """Return the encoder's layers."""
    return list(model.encoder["layer"])  # type: ignore[index]


def head_units(model: nn.Module) -> list[Units]:
    """Return the heads of every layer, made by the value projection and read by the attention's output layer."""
    units = []
    for layer in layers_of(model):
        attention: Any = layer.attention
        value = attention["self"]["value"]
        size: Any = layer.head_size
        units.append(Units(attention["output"].dense, (value.weight, value.bias), size))
    return units


def neuron_units(model: nn.Module) -> list[Units]:
    """Return the feed-forward neurons of every layer."""
    units = []
    for layer in layers_of(model):
        inner: Any = layer.intermediate
        output: Any = layer.output
        units.append(Units(output.dense, (inner["dense"].weight, inner["dense"].bias)))
    return units


def choose_layers(model: nn.Module, count: int, judge: Judge) -> list[int]:
    """Return the positions of the layers that matter most, rising."""
    parts = [list(units) for units in zip(head_units(model), neuron_units(model), strict=True)]
    (kept,) = choose([judge.layers(model, layers_of(model), parts)], [count])
    return [int(at) for at in kept]


def choose_units(
    model: nn.Module, heads_counts: Sequence[int], neurons_counts: Sequence[int], judge: Judge, *, is_uniform: bool
) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
    """Return the positions of the heads and of the neurons that stay, one tensor a layer; scored in one pass."""
    heads, neurons = head_units(model), neuron_units(model)
    scores = judge.units(model, [*heads, *neurons])
    heads_scores, neurons_scores = judge.comparable(scores[: len(heads)]), judge.comparable(scores[len(heads) :])
    return (
        choose(heads_scores, heads_counts, is_uniform=is_uniform),
        choose(neurons_scores, neurons_counts, multiple=NEURON_MULTIPLE, is_uniform=is_uniform),
    )


def cut_layers(model: nn.Module, config: dict[str, Any], kept: Sequence[int]) -> tuple[nn.Module, dict[str, Any]]:
    """Return a model with only these layers, in this order, and its configuration."""
    heads, neurons = counts_of(config)
    new = with_counts(config, [heads[at] for at in kept], [neurons[at] for at in kept])
    state = {name: tensor for name, tensor in model.state_dict().items() if not name.startswith("encoder.layer.")}
    for place, at in enumerate(kept):
        for name, tensor in layers_of(model)[at].state_dict().items():
            state[f"encoder.layer.{place}.{name}"] = tensor
    return _rebuild(new, state), new


def cut_units(
    model: nn.Module, config: dict[str, Any], heads: Sequence[torch.Tensor], neurons: Sequence[torch.Tensor]
) -> tuple[nn.Module, dict[str, Any]]:
    """Return a model with only these heads and neurons (positions, one tensor a layer), and its configuration."""
    new = with_counts(config, [len(kept) for kept in heads], [len(kept) for kept in neurons])
    size, state = head_size(config), dict(model.state_dict())
    for number, (kept_heads, kept_neurons) in enumerate(zip(heads, neurons, strict=True)):
        # All numbers of one head lie side by side.
        mixed = (kept_heads[:, None] * size + torch.arange(size)).flatten()
        for projection in ("query", "key", "value"):
            for kind in ("weight", "bias"):
                _take(state, f"encoder.layer.{number}.attention.self.{projection}.{kind}", mixed, dim=0)
        _take(state, f"encoder.layer.{number}.attention.output.dense.weight", mixed, dim=1)
        for kind in ("weight", "bias"):
            _take(state, f"encoder.layer.{number}.intermediate.dense.{kind}", kept_neurons, dim=0)
        _take(state, f"encoder.layer.{number}.output.dense.weight", kept_neurons, dim=1)
    return _rebuild(new, state), new


def _take(state: dict[str, torch.Tensor], name: str, kept: torch.Tensor, *, dim: int) -> None:
    state[name] = state[name].index_select(dim, kept)


def _rebuild(config: dict[str, Any], state: dict[str, torch.Tensor]) -> nn.Module:
    # On the meta device nothing is allocated and no random number is drawn for weights that are replaced at once.
    with torch.device("meta"):
        model = mean_pooled_classifier(config)
    model.load_state_dict(state, strict=True, assign=True)
    return model.eval()
