"""
Frozen reference work beside the processor-bound probe: streams of memory, and products and copies on a GPU.

The amount of work is fixed, never fitted to the machine, so that the times of two machines of one class may be
compared. A call does as large a part of it as its share of the examples: warm-up calls are small ones.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save_file

from perflib.artifact import Artifact, ArtifactSpec, Lineage, Runtime
from perflib.engines import Session

ENGINE = "perflib.regression.canary_engine:open_session"
# As many as `probe_inputs` has.
EXAMPLE_COUNT = 128
# With its copy more than any last-level cache that one core can fill.
BLOCK_BYTES = 256 * 2**20
# Milliseconds on a large GPU, and far more numbers than its caches hold.
WIDTH = 4096
_FILE = "canary.safetensors"

# Does the work for so many examples and returns numbers that depend on it, at least two for each.
_Work = Callable[[int], NDArray[np.floating[Any]]]


def make_stream(folder: Path, *, block_bytes: int = BLOCK_BYTES) -> Artifact:
    """Write the memory-bound canary: NumPy copies a block from one place to another."""
    return _seal(folder, {"kind": "stream", "block_bytes": block_bytes}, device="cpu")


def make_gpu_product(folder: Path, *, width: int = WIDTH, device: str = "cuda") -> Artifact:
    """Write the GPU's compute-bound canary: a product of square matrices in half precision."""
    return _seal(folder, {"kind": "product", "width": width}, device=device)


def make_gpu_copy(folder: Path, *, block_bytes: int = BLOCK_BYTES, device: str = "cuda") -> Artifact:
    """Write the GPU's memory-bound canary: a copy inside its memory."""
    return _seal(folder, {"kind": "copy", "block_bytes": block_bytes}, device=device)


def open_session(_folder: Path, spec: ArtifactSpec) -> Session:
    """Take the memory; the call returns logits of shape (examples, 2) that say nothing."""
    openers: Mapping[str, Callable[[ArtifactSpec], _Work]] = {"stream": _stream, "product": _product, "copy": _copy}
    work = openers[str(spec.config["kind"])](spec)

    def call(arrays: Mapping[str, NDArray[np.generic]]) -> NDArray[np.floating[Any]]:
        count = len(arrays["x"])
        return work(count)[: 2 * count].reshape(count, 2).astype(np.float32)

    return call


def _seal(folder: Path, config: dict[str, Any], *, device: Any) -> Artifact:
    folder.mkdir(parents=True, exist_ok=True)
    save_file({"unused": np.zeros(1, np.float32)}, folder / _FILE)
    return Artifact.seal(
        folder,
        engine=ENGINE,
        precision="fp32",
        labels=("no", "yes"),
        lineage=Lineage(workload="canary", parent_sha256=None, recipe=(), versions={"numpy": np.__version__}),
        # One call hands over everything: in parts the block would be a part too, and fit into a cache.
        runtime=Runtime(batch_example_count=EXAMPLE_COUNT, thread_count=1, device=device),
        config=config,
    )


def _stream(spec: ArtifactSpec) -> _Work:
    length = int(spec.config["block_bytes"]) // np.dtype(np.float32).itemsize
    # Written once, so that no timed call has to fetch a page.
    source, target = np.ones(length, np.float32), np.zeros(length, np.float32)

    def work(count: int) -> NDArray[np.floating[Any]]:
        part = _part(length, count)
        np.copyto(target[:part], source[:part])
        return target[:part]

    return work


def _product(spec: ArtifactSpec) -> _Work:
    import torch

    width, device = int(spec.config["width"]), spec.runtime.device
    dtype = torch.float16 if device == "cuda" else torch.float32
    numbers = torch.Generator().manual_seed(0)
    left, right = (torch.rand((width, width), generator=numbers).to(device, dtype) for _ in range(2))

    def work(count: int) -> NDArray[np.floating[Any]]:
        with torch.inference_mode():
            product = left[: _part(width, count)] @ right
            # Fetching a little of it waits for all of it.
            return product.flatten()[: 2 * count].cpu().numpy()

    return work


def _copy(spec: ArtifactSpec) -> _Work:
    import torch

    length, device = int(spec.config["block_bytes"]) // 4, spec.runtime.device
    source, target = (torch.full((length,), value, device=device) for value in (1.0, 0.0))

    def work(count: int) -> NDArray[np.floating[Any]]:
        part = _part(length, count)
        with torch.inference_mode():
            target[:part].copy_(source[:part])
            return target[: 2 * count].cpu().numpy()

    return work


def _part(whole: int, count: int) -> int:
    return max(whole * min(count, EXAMPLE_COUNT) // EXAMPLE_COUNT, 2 * count)
