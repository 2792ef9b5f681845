"""
The problems themselves: layers, and a way of asking, that do more than they have to and answer the same.

    model = plant(mean_pooled_classifier(config), "one-by-one")
"""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from torch import nn

from perflib.encoded import Encoded
from perflib.engines.torch_engine import model_builder
from perflib.errors import ParameterError, did_you_mean
from perflib.profiling.sampling import ProfiledStep
from perflib.workloads.bert import Layer, mean_pooled_classifier


class OneByOne(Layer):
    """Text by text, as a loop is written before somebody thinks of the batch."""

    def forward(self, x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Vectors (b, t, d) and a mask (b, 1, 1, t) -> vectors (b, t, d)."""
        rows = [Layer.forward(self, x[row : row + 1], mask[row : row + 1]) for row in range(len(x))]
        return torch.cat(rows)


class WideMask(Layer):
    """A mask for every pair of tokens and every head, made anew in each layer, in float64 and with the texts last."""

    def forward(self, x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Vectors (b, t, d) and a mask (b, 1, 1, t) -> vectors (b, t, d)."""
        texts_count, tokens_count, _ = x.shape
        pairs = mask.double().permute(3, 2, 1, 0)  # (t, 1, 1, b)
        pairs = pairs.expand(tokens_count, tokens_count, self.heads_count, texts_count).contiguous()
        return super().forward(x, pairs.permute(3, 2, 1, 0).contiguous().to(x.dtype))


def pad_all(step: ProfiledStep, width_count: int) -> ProfiledStep:
    """Make every text as long as the longest of all the data, whatever stands beside it in its batch."""
    calls = []
    for call in step.calls:
        missing_count = width_count - next(iter(call.arrays.values())).shape[1]
        wide = {name: np.pad(array, ((0, 0), (0, missing_count))) for name, array in call.arrays.items()}
        calls.append(Encoded(wide))
    return dataclasses.replace(step, calls=tuple(calls), token_count=width_count * step.example_count)


# Who has what.
PROBLEMS: Mapping[str, str] = {"A": "one-by-one", "B": "padding", "C": "conversions"}
GUILTY: Mapping[str, Callable[..., Any]] = {"one-by-one": OneByOne, "padding": pad_all, "conversions": WideMask}
LAYERS: Mapping[str, type[Layer]] = {"one-by-one": OneByOne, "conversions": WideMask}


def plant(module: nn.Module, problem: str) -> nn.Module:
    """
    Plant a problem in a model; its weights and their names stay as they are.

    Args:
        module: Made of the layers of `perflib.workloads.bert`; it is changed.
        problem: One of the values of `PROBLEMS`; ``padding`` lies in how a model is asked, and changes nothing here.

    Raises:
        ParameterError: If there is no such problem, or no such layer.
    """
    if problem not in GUILTY:
        raise ParameterError(f"there is no problem `{problem}` to plant; {did_you_mean(problem, GUILTY)}")
    layers = [part for part in module.modules() if isinstance(part, Layer)]
    if not layers:
        raise ParameterError("the model has no encoder layer to plant a problem in; choose a BERT encoder.")
    for layer in layers:
        # Another class for the same object: the weight file of the healthy model still fits.
        layer.__class__ = LAYERS.get(problem, type(layer))
    return module


@model_builder
def planted_classifier(config: dict[str, Any]) -> nn.Module:
    """Build the encoder of `perflib.workloads.bert` with the problem that ``planted`` names."""
    return plant(mean_pooled_classifier(config), config["planted"])
