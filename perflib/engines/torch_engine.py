"""
PyTorch eager: the baseline's engine, and the only file that turns an artifact into a `torch.nn.Module`.

A builder makes the architecture from plain configuration; the weights come from safetensors.
Only functions marked with `model_builder` are called, so an artifact's record cannot name any function it likes.
"""

import importlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file
from torch import nn

from perflib import machine
from perflib.artifact import ArtifactSpec
from perflib.engines import Session
from perflib.errors import DataError, SetupError

WEIGHTS_FILE = "model.safetensors"
DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}

Builder = Callable[[dict[str, Any]], nn.Module]


def model_builder(function: Builder) -> Builder:
    """Mark a function as an architecture that artifacts may name; it takes plain configuration."""
    function.is_model_builder = True  # type: ignore[attr-defined]
    return function


def builder_name(function: Builder) -> str:
    """Return the ``module:function`` that an artifact records."""
    return f"{function.__module__}:{function.__qualname__}"


def load_module(folder: Path, spec: ArtifactSpec, *, device: str = "cpu") -> nn.Module:
    """
    Build the architecture and fill in the weights, in the artifact's precision and in evaluation mode.

    Raises:
        DataError: If the builder is not a marked one or the weights do not fit it.
        SetupError: If the device is not there.
    """
    if device == "cuda" and not machine.has_cuda():
        raise SetupError("this artifact is served on CUDA and torch sees no CUDA device; use device: cpu.")
    module = _builder(spec.builder)(spec.config)
    weights = load_file(folder / WEIGHTS_FILE)
    try:
        module.load_state_dict(weights, strict=True)
    except RuntimeError as error:
        detail = " ".join(str(error).split())[:200]
        raise DataError(f"the weights in {folder} do not fit {spec.builder} ({detail}); build it again.") from error
    return module.to(device=device, dtype=DTYPES[spec.precision]).eval()


def save_module(module: nn.Module, folder: Path) -> Path:
    """Write a module's weights, as they are, to safetensors."""
    path = folder / WEIGHTS_FILE
    folder.mkdir(parents=True, exist_ok=True)
    save_file({name: tensor.contiguous() for name, tensor in module.state_dict().items()}, path)
    return path


def to_tensors(
    arrays: Mapping[str, NDArray[np.generic]], *, device: str, dtype: torch.dtype
) -> dict[str, torch.Tensor]:
    """Move arrays to the device; floating inputs take the model's precision, token ids stay integers."""
    tensors = {name: torch.from_numpy(np.ascontiguousarray(array)).to(device) for name, array in arrays.items()}
    return {name: tensor.to(dtype) if tensor.is_floating_point() else tensor for name, tensor in tensors.items()}


def open_session(folder: Path, spec: ArtifactSpec) -> Session:
    """Load the module and return a call that ends when the answer is on the host, so that it can be timed."""
    torch.set_num_threads(spec.runtime.thread_count or machine.thread_count())
    device, dtype = spec.runtime.device, DTYPES[spec.precision]
    module = load_module(folder, spec, device=device)

    def call(arrays: Mapping[str, NDArray[np.generic]]) -> NDArray[np.float32]:
        with torch.inference_mode():
            logits = module(**to_tensors(arrays, device=device, dtype=dtype))
            return logits.float().cpu().numpy()  # type: ignore[no-any-return]

    return call


def peak_device_bytes() -> int | None:
    """Return the most CUDA memory that torch has held in this process; None without CUDA."""
    return torch.cuda.max_memory_allocated() if torch.cuda.is_available() else None


def _builder(name: str | None) -> Builder:
    module_name, _, function_name = (name or "").partition(":")
    try:
        function = getattr(importlib.import_module(module_name), function_name)
    except (ImportError, AttributeError, ValueError) as error:
        raise DataError(
            f"the artifact's architecture `{name}` cannot be imported ({error}); install what defines it."
        ) from error
    if not getattr(function, "is_model_builder", False):
        raise DataError(f"`{name}` is not marked as a model builder; an artifact may name no other function.")
    return function  # type: ignore[no-any-return]
