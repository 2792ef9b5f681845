"""
Names for stretches of the measured code, which NVIDIA's profilers show beside the kernels that ran in them.

    with named_range(range_name("offline")):
        predict(batch)

A range is opened only where this process has used CUDA. Elsewhere nothing is imported and nothing is done, so that a
timed run on a CPU pays for one look into a dictionary. Even so, open it around a slot and never inside a timed call.
"""

import contextlib
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import Any

# Not a slash: `ncu` takes slashes, brackets, plus signs and stars in the name of a range for its own grammar.
RANGE_PREFIX = "perflib:"
_NOTHING: AbstractContextManager[None] = contextlib.nullcontext()


def range_name(scenario: str) -> str:
    """
    Return what the range of a scenario is called.

    Example:
        >>> range_name("offline")
        'perflib:offline'
    """
    return f"{RANGE_PREFIX}{scenario}"


def named_range(name: str) -> AbstractContextManager[None]:
    """
    Return a context that is an NVTX range where this process has used CUDA, and nothing elsewhere.

    Args:
        name: ASCII, as NVTX wants it.
    """
    torch = sys.modules.get("torch")
    # Not `is_available`: that asks the driver, which takes milliseconds and cannot be forked afterwards.
    if torch is None or not torch.cuda.is_initialized():
        return _NOTHING
    return _nvtx_range(torch, name)


@contextlib.contextmanager
def _nvtx_range(torch: Any, name: str) -> Iterator[None]:
    # Not `nvtx.range`, which reads braces in a name as a format.
    nvtx = torch.cuda.nvtx
    nvtx.range_push(name)
    try:
        yield
    finally:
        nvtx.range_pop()
