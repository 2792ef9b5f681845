"""
Which parts of a model matter least: three scores for heads, neurons, channels and whole layers.

Every part is seen from the layer that reads its output. A part speaks through the columns of that layer's weights; if
they are zero it says nothing, and every score here is zero.

- ``magnitude``: the norm of the weights that make the part times the norm of those that read it. The product, because
  a part is silent when either is zero, and because scaling one up and the other down changes nothing.
- ``activation``: the root mean square, over calibration tokens, of what the part adds to the reader's output.
- ``gradient``: by how much the loss of an example would change, to first order, if the part were faded out; the mean
  of its absolute value over examples.

    scores = Judge("activation", examples).units(model, neuron_units(model))  # one tensor a layer, shape (neurons,)
"""

import contextlib
import dataclasses
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Literal

import torch
from torch import nn
from torch.nn import functional as F

from perflib.batching import plan_batches
from perflib.compression.materials import Labelled
from perflib.encoded import MASK
from perflib.engines.torch_engine import to_tensors
from perflib.progress import Progress

Score = Literal["magnitude", "activation", "gradient"]
_BATCH_EXAMPLE_COUNT = 16
_TINY = 1e-30


@dataclasses.dataclass(frozen=True)
class Units:
    """
    Parts of one layer that can go one by one.

    ``reader`` is the linear layer or convolution whose inputs they are, ``size`` inputs each.
    ``makers`` are the weights and biases that make them, ``size`` rows each.
    """

    reader: nn.Linear | nn.Conv2d
    makers: tuple[torch.Tensor, ...]
    size: int = 1

    @property
    def count(self) -> int:
        """How many parts there are."""
        return self.reader.weight.shape[1] // self.size

    def columns(self) -> torch.Tensor:
        """Return the reader's weights by part and input, shape (parts, size, outputs)."""
        weight = self.reader.weight.detach()
        return weight.transpose(0, 1).reshape(self.count, self.size, -1)


@dataclasses.dataclass(frozen=True)
class Judge:
    """Scores parts of a model in evaluation mode; ``examples`` may be None for ``magnitude``, which looks at none."""

    score: Score
    examples: Labelled | None = None

    def units(self, module: nn.Module, parts: Sequence[Units]) -> list[torch.Tensor]:
        """Score every part: one tensor of shape (parts,) for each layer."""
        if self.score == "magnitude":
            return [_made(part) * part.columns().flatten(1).norm(dim=1) for part in parts]
        if self.score == "activation":
            return [_added(part, moment) for part, moment in zip(parts, self._moments(module, parts), strict=True)]
        return self._unit_slopes(module, parts)

    def layers(self, module: nn.Module, layers: Sequence[nn.Module], parts: Sequence[Sequence[Units]]) -> torch.Tensor:
        """
        Score whole layers, shape (layers,), by what each changes in the vectors that pass through it.

        Args:
            module: The whole model.
            layers: Called with vectors and perhaps more, giving vectors of the same shape.
            parts: The parts inside each layer, by whose magnitudes it is judged.
        """
        if self.score == "magnitude":
            inside = [torch.cat(self.units(module, units)) for units in parts]
            return torch.stack([scores.norm() for scores in inside])
        return self._layer_changes(module, layers) if self.score == "activation" else self._layer_slopes(module, layers)

    def weights(self, module: nn.Module, layers: Sequence[nn.Linear | nn.Conv2d]) -> list[torch.Tensor]:
        """Score every single weight: one tensor of the weights' shape for each layer."""
        if self.score == "gradient":
            return self._weight_slopes(module, layers)
        sizes = [layer.weight.detach().abs() for layer in layers]
        if self.score == "magnitude":
            return sizes
        groups = [getattr(layer, "groups", 1) for layer in layers]
        whole = [_WholeInput(layer, count) for layer, count in zip(layers, groups, strict=True)]
        moments = self._moments(module, whole)
        return [
            size * _by_weight(moment.flatten().sqrt(), size, count)
            for size, moment, count in zip(sizes, moments, groups, strict=True)
        ]

    def comparable(self, scores: Sequence[torch.Tensor]) -> list[torch.Tensor]:
        """Make scores of different layers comparable; slopes of the loss are, the others are taken by their mean."""
        if self.score == "gradient":
            return list(scores)
        return [score / score.mean().clamp_min(_TINY) for score in scores]

    def _moments(self, module: nn.Module, parts: Sequence[Any]) -> list[torch.Tensor]:
        """Return the mean products of every part's inputs over real tokens, shape (parts, size, size) a layer."""
        totals = [torch.zeros(part.count, part.size, part.size, dtype=torch.float64) for part in parts]
        counts = [0] * len(parts)

        def look(at: int, x: torch.Tensor) -> None:
            part = parts[at]
            rows = _rows(x, part.reader, tensors.get(MASK)).reshape(-1, part.count, part.size).double()
            totals[at] += torch.einsum("nus,nut->ust", rows, rows)
            counts[at] += len(rows)

        with torch.no_grad(), _before([part.reader for part in parts], look):
            for tensors, _ in self._batches():
                module(**tensors)
        return [total / max(count, 1) for total, count in zip(totals, counts, strict=True)]

    def _unit_slopes(self, module: nn.Module, parts: Sequence[Units]) -> list[torch.Tensor]:
        def fade(at: int, x: torch.Tensor, gates: dict[int, torch.Tensor]) -> torch.Tensor:
            part = parts[at]
            is_image = isinstance(part.reader, nn.Conv2d)
            shape = (len(x), part.count, 1, 1) if is_image else (len(x), *[1] * (x.ndim - 2), part.count)
            gates[at] = torch.ones(shape, dtype=x.dtype, requires_grad=True)
            return x * gates[at].repeat_interleave(part.size, dim=1 if is_image else -1)

        def slopes(gates: dict[int, torch.Tensor]) -> Any:
            return _before([part.reader for part in parts], lambda at, x: fade(at, x, gates))

        return self._gate_slopes(module, slopes)

    def _layer_slopes(self, module: nn.Module, layers: Sequence[nn.Module]) -> torch.Tensor:
        def fade(at: int, x: torch.Tensor, made: torch.Tensor, gates: dict[int, torch.Tensor]) -> torch.Tensor:
            gates[at] = torch.ones((len(x), *[1] * (x.ndim - 1)), dtype=x.dtype, requires_grad=True)
            return x + gates[at] * (made - x)

        def slopes(gates: dict[int, torch.Tensor]) -> Any:
            return _after(layers, lambda at, x, made: fade(at, x, made, gates))

        return torch.cat(self._gate_slopes(module, slopes))

    def _gate_slopes(self, module: nn.Module, hooks: Callable[[dict[int, torch.Tensor]], Any]) -> list[torch.Tensor]:
        """Give every part of every example a gate of 1 and return the mean absolute slope of the loss by gate."""
        totals: dict[int, torch.Tensor] = {}
        seen_count = 0
        for tensors, labels in self._batches():
            gates: dict[int, torch.Tensor] = {}
            with torch.enable_grad(), hooks(gates):
                loss = F.cross_entropy(module(**tensors), labels, reduction="sum")
            order = sorted(gates)
            # The loss is a sum over examples, so one backward pass gives each example's own slopes.
            for at, slope in zip(order, torch.autograd.grad(loss, [gates[at] for at in order]), strict=True):
                totals[at] = totals.get(at, 0.0) + slope.reshape(len(labels), -1).abs().sum(dim=0)
            seen_count += len(labels)
        return [totals[at] / seen_count for at in sorted(totals)]

    def _layer_changes(self, module: nn.Module, layers: Sequence[nn.Module]) -> torch.Tensor:
        totals, counts = torch.zeros(len(layers), dtype=torch.float64), [0] * len(layers)

        def look(at: int, x: torch.Tensor, made: torch.Tensor) -> None:
            change = _rows(made - x, layers[at], tensors.get(MASK))
            totals[at] += change.double().square().sum()
            counts[at] += change.numel()

        with torch.no_grad(), _after(layers, look):
            for tensors, _ in self._batches():
                module(**tensors)
        return (totals / torch.tensor(counts)).sqrt()

    def _weight_slopes(self, module: nn.Module, layers: Sequence[nn.Linear | nn.Conv2d]) -> list[torch.Tensor]:
        weights = [layer.weight for layer in layers]
        totals = [torch.zeros_like(weight) for weight in weights]
        for tensors, labels in self._batches():
            with torch.enable_grad():
                loss = F.cross_entropy(module(**tensors), labels, reduction="sum")
            for at, slope in enumerate(torch.autograd.grad(loss, weights)):
                totals[at] += (weights[at].detach() * slope).abs()
        return totals

    def _batches(self) -> Iterator[tuple[dict[str, torch.Tensor], torch.Tensor]]:
        if self.examples is None:
            raise ValueError(f"the score {self.score} needs examples.")
        inputs, labels = self.examples.inputs, self.examples.labels
        batches = plan_batches(inputs.lengths(), "sorted", example_count=_BATCH_EXAMPLE_COUNT)
        with Progress(f"scoring by {self.score}", len(batches)) as bar:
            for rows in batches:
                tensors = to_tensors(inputs.take(rows).arrays, device="cpu", dtype=torch.float32)
                yield tensors, torch.from_numpy(labels[rows])
                bar.step()


@dataclasses.dataclass(frozen=True)
class _WholeInput:
    """Every input of a layer as a part of its own, also where a convolution reads them in groups."""

    reader: nn.Linear | nn.Conv2d
    groups_count: int
    size: int = 1

    @property
    def count(self) -> int:
        return self.reader.weight.shape[1] * self.groups_count


def _made(part: Units) -> torch.Tensor:
    rows = [maker.detach().reshape(part.count, -1) for maker in part.makers]
    norms: torch.Tensor = torch.cat(rows, dim=1).norm(dim=1)
    return norms


def _added(part: Units, moment: torch.Tensor) -> torch.Tensor:
    """Return the root of trace(W C Wᵀ): what weights W make of inputs whose mean products are C."""
    columns = part.columns().double()
    return torch.einsum("use,ust,ute->u", columns, moment, columns).clamp_min(0).sqrt()


def _by_weight(inputs: torch.Tensor, weight: torch.Tensor, groups_count: int) -> torch.Tensor:
    """Spread one number per input over the weights (outputs, inputs of the group, …) that multiply it."""
    spread = inputs.reshape(groups_count, -1).repeat_interleave(weight.shape[0] // groups_count, dim=0)
    return spread.reshape(*spread.shape, *[1] * (weight.ndim - 2)).to(weight.dtype)


def _rows(x: torch.Tensor, layer: nn.Module, mask: torch.Tensor | None) -> torch.Tensor:
    """Flatten to (positions, features), without padding."""
    if isinstance(layer, nn.Conv2d):
        return x.movedim(1, -1).reshape(-1, x.shape[1])
    if mask is not None and x.ndim == 3 and x.shape[:2] == mask.shape:
        real: torch.Tensor = x[mask.bool()]
        return real
    return x.reshape(-1, x.shape[-1])


@contextlib.contextmanager
def _before(layers: Sequence[nn.Module], look: Callable[[int, torch.Tensor], torch.Tensor | None]) -> Iterator[None]:
    """Call ``look`` with each layer's position and input; what it returns is used instead of the input."""

    def hook(at: int) -> Any:
        return lambda _, given: look(at, given[0])

    handles = [layer.register_forward_pre_hook(hook(at)) for at, layer in enumerate(layers)]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


@contextlib.contextmanager
def _after(
    layers: Sequence[nn.Module], look: Callable[[int, torch.Tensor, torch.Tensor], torch.Tensor | None]
) -> Iterator[None]:
    """Call ``look`` with each layer's position, input and output; what it returns is used instead of the output."""

    def hook(at: int) -> Any:
        return lambda _, given, made: look(at, given[0], made)

    handles = [layer.register_forward_hook(hook(at)) for at, layer in enumerate(layers)]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
