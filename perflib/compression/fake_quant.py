"""
int8 simulated in PyTorch: every linear, convolution and embedding layer rounds as an int8 engine will.

Weights have one scale per output channel (per row of an embedding) and 255 symmetric levels; the inputs of a layer have
one range for the whole tensor and 256 levels. The rounding is torch's own operator, through which gradients pass, and
which OpenVINO converts to its own: what is simulated is what will run.

    ranges = observe_ranges(module, calibration)
    with simulated_int8(module, ranges, quantizable_layers(module)):
        ...                                              # the module answers in int8; afterwards as before
"""

import contextlib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import torch
from torch import nn
from torch.nn.utils import parametrize

from perflib.batching import plan_batches
from perflib.encoded import Encoded
from perflib.engines.torch_engine import to_tensors

# The lowest and highest value that a layer's inputs take.
Ranges = Mapping[str, tuple[float, float]]

_LAYERS = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Embedding)
_WEIGHT_LEVEL = 127
_INPUT_LEVEL = 255
_SMALLEST_SCALE = 1e-12


class WeightQuantizer(nn.Module):
    """Round weights to 255 symmetric levels per output channel; a parametrization of ``weight``."""

    def forward(self, weight: torch.Tensor) -> torch.Tensor:
        """Weights (channels, …) -> the nearest weights that int8 can hold."""
        largest = weight.detach().flatten(1).abs().amax(dim=1)
        scale = (largest / _WEIGHT_LEVEL).clamp(min=_SMALLEST_SCALE)
        zero = torch.zeros_like(scale, dtype=torch.int32)
        return torch.fake_quantize_per_channel_affine(weight, scale, zero, 0, -_WEIGHT_LEVEL, _WEIGHT_LEVEL)


class InputQuantizer(nn.Module):
    """
    Round a layer's inputs to 256 levels between ``low`` and ``high``.

    While the model trains, the range follows the inputs: each batch moves it by one part in a hundred.
    """

    low: torch.Tensor
    high: torch.Tensor
    momentum = 0.01

    def __init__(self, low: float = 0.0, high: float = 1.0) -> None:
        super().__init__()
        self.register_buffer("low", torch.tensor(low))
        self.register_buffer("high", torch.tensor(high))

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """Inputs of any shape -> the nearest values that the range holds."""
        if self.training:
            seen = inputs.detach()
            self.low.lerp_(seen.min(), self.momentum)
            self.high.lerp_(seen.max(), self.momentum)
        # Plain numbers, so that a trace holds them as constants, and two layers with one input share them. Zero has a
        # level of its own, because padding is exactly zero.
        low, high = min(float(self.low), 0.0), max(float(self.high), 0.0)
        scale = max((high - low) / _INPUT_LEVEL, _SMALLEST_SCALE)
        return torch.fake_quantize_per_tensor_affine(inputs, scale, round(-low / scale), 0, _INPUT_LEVEL)


def quantizable_layers(module: nn.Module) -> dict[str, nn.Module]:
    """Return the layers that multiply by weights or look them up, by their path in the module."""
    return {name: layer for name, layer in module.named_modules() if isinstance(layer, _LAYERS)}


def observe_ranges(
    module: nn.Module, inputs: Encoded, *, batch_example_count: int = 16
) -> dict[str, tuple[float, float]]:
    """
    Return the range of each layer's inputs: the extremes of a batch, averaged over batches.

    The average is less easily stretched by one odd example than the extremes of all. Token ids have no range.

    Args:
        module: In evaluation mode.
        inputs: From the calibration split.
        batch_example_count: Examples per batch, sorted by length so that few are padded.
    """
    seen: dict[str, list[tuple[float, float]]] = {}

    def watch(name: str) -> Any:
        return lambda _, args: seen.setdefault(name, []).append((float(args[0].min()), float(args[0].max())))

    hooks = [
        layer.register_forward_pre_hook(watch(name))
        for name, layer in quantizable_layers(module).items()
        if not isinstance(layer, nn.Embedding)
    ]
    batches = plan_batches(inputs.lengths(), "sorted", example_count=batch_example_count)
    with torch.inference_mode():
        for rows in batches:
            module(**to_tensors(inputs.take(rows).arrays, device="cpu", dtype=torch.float32))
    for hook in hooks:
        hook.remove()
    return {
        name: (sum(low for low, _ in found) / len(found), sum(high for _, high in found) / len(found))
        for name, found in seen.items()
    }


def fake_quantize(module: nn.Module, ranges: Ranges, names: Iterable[str]) -> None:
    """
    Let layers compute in simulated int8 from now on, in place.

    Args:
        module: Its weights become parametrizations, under ``parametrizations.weight.original``.
        ranges: From `observe_ranges`; a layer without one rounds only its weights.
        names: Paths of the layers.
    """
    for name in names:
        layer = module.get_submodule(name)
        parametrize.register_parametrization(layer, "weight", WeightQuantizer())
        if name in ranges:
            layer.add_module("input_quantizer", InputQuantizer(*ranges[name]))
            layer.register_forward_pre_hook(_round_input)


@contextlib.contextmanager
def simulated_int8(module: nn.Module, ranges: Ranges, names: Iterable[str]) -> Iterator[None]:
    """Let layers compute in simulated int8 for a while; the module is in evaluation mode and its weights stay."""
    layers = [(name, module.get_submodule(name)) for name in names]
    hooks = []
    try:
        for name, layer in layers:
            parametrize.register_parametrization(layer, "weight", WeightQuantizer())
            if name in ranges:
                quantizer = InputQuantizer(*ranges[name]).eval()
                hooks.append(layer.register_forward_pre_hook(lambda _, args, of=quantizer: (of(args[0]), *args[1:])))
        with parametrize.cached():  # weights are rounded once, not in every batch
            yield
    finally:
        for hook in hooks:
            hook.remove()
        for _, layer in layers:
            if parametrize.is_parametrized(layer, "weight"):
                parametrize.remove_parametrizations(layer, "weight", leave_parametrized=False)


def trained_ranges(module: nn.Module) -> dict[str, tuple[float, float]]:
    """Return the ranges that the layers of a fake-quantized module have by now."""
    return {
        name.removesuffix(".input_quantizer"): (float(part.low), float(part.high))
        for name, part in module.named_modules()
        if isinstance(part, InputQuantizer)
    }


def _round_input(layer: nn.Module, args: tuple[Any, ...]) -> tuple[Any, ...]:
    quantizer: Any = layer.input_quantizer
    return (quantizer(args[0]), *args[1:])
