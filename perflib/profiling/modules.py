"""
Which module of a model an operator ran for: a named range around every module's forward, seen by the profiler.

torch writes no module names into its traces on its own (2.13), and stacks make a trace ten times as large.
A range costs microseconds, so annotated runs are for profiles and never for timing.

    with annotated():
        session(arrays)

The hooks are torch's global ones, so that what is watched is the session that is served, and not a copy of it.
"""

import contextlib
from collections.abc import Iterator
from typing import Any

import torch
from torch.nn.modules.module import register_module_forward_hook, register_module_forward_pre_hook
from torch.profiler import record_function

from perflib.profiling.attribution import MODULE_PREFIX


@contextlib.contextmanager
def annotated(*, name: str = "model") -> Iterator[None]:
    """
    Open a range around every forward of every module, as long as the context lasts.

    The module that is called while no other one runs is the model; its modules have their dotted names in it.

    Args:
        name: Of the model itself.
    """
    open_ranges: list[Any] = []
    names: dict[torch.nn.Module, str] = {}

    def enter(module: torch.nn.Module, *_: Any) -> None:
        if not open_ranges:
            names.clear()
            names.update({part: dotted or name for dotted, part in module.named_modules()})
        opened: Any = record_function(f"{MODULE_PREFIX}{names.get(module, type(module).__name__)}")
        opened.__enter__()
        open_ranges.append(opened)

    def leave(*_: Any) -> None:
        open_ranges.pop().__exit__(None, None, None)

    handles = [
        register_module_forward_pre_hook(enter),
        # A forward that fails leaves its range too, so that the next one nests where it belongs.
        register_module_forward_hook(leave, always_call=True),
    ]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
