"""
torch.compile: PyTorch weights, compiled to C++ or CUDA kernels when the session opens.

Compiling takes half a minute and more, so it never happens within a call: the session compiles a plan for batches, one
for single examples and, where the model asks for it, one for large batches; it tries them at several sizes, and only
then answers. Weights are frozen into the code.

What torch compiles is kept in perflib's cache (`perflib.engines.aot_engine.inductor_cache`), where a second process
finds it. Parts of that cache are pickled by torch itself; it is this user's own, and the artifact never contains it: an
artifact of this engine is the parent's safetensors.

On CUDA ``mode: reduce-overhead`` records CUDA graphs, one for each shape when it is first asked for.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from perflib import machine
from perflib.artifact import ArtifactSpec
from perflib.engines import Session
from perflib.engines.aot_engine import (
    BATCH,
    EXAMPLE_BATCH,
    EXAMPLE_LENGTH,
    LENGTH,
    SETTINGS,
    example_inputs,
    fit,
    inductor_cache,
    require_compiler,
)
from perflib.engines.torch_engine import load_module
from perflib.errors import SetupError

MODES = ("default", "reduce-overhead")
# torch takes a size of 1 for a constant: single texts have a plan of their own, and no plan is made for one token.
_SHORTEST = 2
# Convolutions choose another layout from 16 examples on, and so another plan.
_LARGE_BATCH = 32


def compile_settings(options: Mapping[str, Any], *, device: str) -> dict[str, Any]:
    """Return inductor's settings for an artifact's ``mode``; freezing is always on."""
    settings: dict[str, Any] = {"freezing": True, "compile_threads": SETTINGS["compile_threads"]}
    if device == "cpu":
        settings |= {"cpp.dynamic_threads": True, "cpp.cxx": (None, require_compiler("torch-compile"))}
    return settings | torch._inductor.list_mode_options(options["mode"])


def open_session(folder: Path, spec: ArtifactSpec) -> Session:
    """
    Compile the model and return a call that ends when the answer is on the host.

    Raises:
        SetupError: If there is no C++ compiler, or the model cannot be compiled with a free batch and length.
    """
    thread_count = spec.runtime.thread_count or machine.thread_count()
    torch.set_num_threads(thread_count)
    device, options = spec.runtime.device, spec.options
    module = load_module(folder, spec, device=device)
    names = [one["name"] for one in options["inputs"]]
    compiled = torch.compile(module, fullgraph=True, options=compile_settings(options, device=device))

    def run(tensors: list[torch.Tensor]) -> torch.Tensor:
        with torch.inference_mode():
            return compiled(**dict(zip(names, tensors, strict=True)))  # type: ignore[no-any-return]

    _compile(run, options, device=device, batch_example_count=spec.runtime.batch_example_count)

    def call(arrays: Mapping[str, NDArray[np.generic]]) -> NDArray[np.float32]:
        # torch compiles anew when this number has changed: in a new thread, or by another artifact.
        if torch.get_num_threads() != thread_count:
            torch.set_num_threads(thread_count)
        fitted = zip(fit(arrays, options, device=device), options["inputs"], strict=True)
        return run([_at_least_two_long(tensor, one) for tensor, one in fitted]).float().cpu().numpy()

    return call


def _compile(run: Any, options: Mapping[str, Any], *, device: str, batch_example_count: int) -> None:
    """Make the plans, then prove at other sizes that no call needs another."""
    longest = options["longest_tokens_count"] or 128
    try:
        with inductor_cache():
            for batch in (EXAMPLE_BATCH, 1, max(batch_example_count, _LARGE_BATCH)):
                run(_marked(example_inputs(options, batch=batch, length=EXAMPLE_LENGTH, device=device), options))
        with torch.compiler.set_stance("fail_on_recompile"):
            for batch in sorted({1, 2, batch_example_count, 2 * _LARGE_BATCH}):
                for length in sorted({_SHORTEST, min(EXAMPLE_LENGTH + 2, longest), longest}):
                    run(example_inputs(options, batch=batch, length=length, device=device))
    except RuntimeError as error:
        detail = " ".join(str(error).split())[:200]
        raise SetupError(
            f"torch.compile cannot compile this model once for all lengths ({detail}); use engine: torch."
        ) from error


def _marked(tensors: list[torch.Tensor], options: Mapping[str, Any]) -> list[torch.Tensor]:
    """Tell torch which sizes are free, so that it fails where it would make one of them a constant."""
    for tensor, one in zip(tensors, options["inputs"], strict=True):
        for axis, name in enumerate(one["shape"]):
            if name in (BATCH, LENGTH) and tensor.shape[axis] > 1:
                torch._dynamo.mark_dynamic(tensor, axis)
    return tensors


def _at_least_two_long(tensor: torch.Tensor, described: Mapping[str, Any]) -> torch.Tensor:
    """Pad a text of one token by one that the mask leaves out."""
    if described["shape"][1:] == [LENGTH] and tensor.shape[1] < _SHORTEST:
        return torch.nn.functional.pad(tensor, (0, _SHORTEST - tensor.shape[1]))
    return tensor
