"""
The state of a training between two epochs, in one file that is there whole or not at all.

Weights and the optimiser's moments are safetensors, the rest is JSON in the file's header; nothing is unpickled.
Whoever seeds order and dropout anew for each epoch gets, after an interruption, the weights of an undisturbed training.
"""

import json
from pathlib import Path
from typing import Any

import torch
from torch import nn

from perflib import records

_WEIGHTS, _MOMENTS = "weights.", "moments."


def save_checkpoint(path: Path, module: nn.Module, optimiser: torch.optim.Optimizer, facts: dict[str, Any]) -> None:
    """Write a module, its optimiser's state and plain facts about the training."""
    from safetensors.torch import save

    path.parent.mkdir(parents=True, exist_ok=True)
    tensors = {_WEIGHTS + name: tensor for name, tensor in module.state_dict().items()}
    for number, state in optimiser.state_dict()["state"].items():
        tensors |= {f"{_MOMENTS}{number}.{name}": tensor for name, tensor in state.items()}
    whole = {name: tensor.contiguous() for name, tensor in tensors.items()}
    records.write_bytes(path, save(whole, {"facts": records.dumps(facts)}))


def load_checkpoint(
    path: Path, module: nn.Module, optimiser: torch.optim.Optimizer, *, of: str
) -> dict[str, Any] | None:
    """
    Fill in what was saved and return its facts.

    Args:
        path: What `save_checkpoint` wrote.
        module: Of the same architecture.
        optimiser: Over the same parameters; its learning rate stays.
        of: What the facts must name under ``training``, so that no other training is gone on with.

    Returns:
        The facts; None where there is no such checkpoint, and then nothing is touched.
    """
    from safetensors import SafetensorError, safe_open

    if not path.is_file():
        return None
    try:
        with safe_open(path, "pt") as file:
            facts: dict[str, Any] = json.loads((file.metadata() or {}).get("facts", "{}"))
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 -- the file is no mapping
    except (SafetensorError, ValueError):
        return None
    if facts.get("training") != of:
        return None
    module.load_state_dict(
        {name.removeprefix(_WEIGHTS): one for name, one in tensors.items() if name.startswith(_WEIGHTS)}
    )
    states: dict[int, dict[str, torch.Tensor]] = {}
    for name, tensor in tensors.items():
        if name.startswith(_MOMENTS):
            number, _, key = name.removeprefix(_MOMENTS).partition(".")
            states.setdefault(int(number), {})[key] = tensor
    optimiser.load_state_dict({**optimiser.state_dict(), "state": states})
    return facts
