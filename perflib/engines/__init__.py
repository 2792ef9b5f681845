"""
The door to the engines: one file per engine, imported only when an artifact needs it.

An engine opens an artifact's folder and returns a session: a callable from input arrays to logits.
A package adds an engine through the entry point group ``perflib.engines``, which names its ``open_session``.
"""

import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from perflib.plugins import find_plugin

if TYPE_CHECKING:
    from perflib.artifact import ArtifactSpec

# Arrays with the example first, as `Encoded.arrays` -> logits of shape (examples, classes).
Session = Callable[[Mapping[str, NDArray[np.generic]]], NDArray[np.floating[Any]]]

_BUILT_IN = {
    "torch": "perflib.engines.torch_engine:open_session",
    "openvino": "perflib.engines.openvino_engine:open_session",
    "onnxruntime": "perflib.engines.onnx_engine:open_session",
    "aotinductor": "perflib.engines.aot_engine:open_session",
    "torch-compile": "perflib.engines.compile_engine:open_session",
}


def open_sessions(engine: str, folder: Path, spec: "ArtifactSpec") -> list[Session]:
    """
    Load an artifact into its engine, once for each replica that its runtime block asks for.

    An opener whose module has an ``open_sessions`` too makes all replicas itself, so that they can share their weights.

    Raises:
        ParameterError: If no engine has this name.
        SetupError: If the engine's package is not installed.
    """
    opener = find_plugin(engine, kind="engine", built_in=_BUILT_IN, group="perflib.engines")
    make_all = getattr(sys.modules.get(opener.__module__), "open_sessions", None)
    sessions: list[Session] = (
        make_all(folder, spec) if make_all else [opener(folder, spec) for _ in range(spec.runtime.replica_count)]
    )
    return sessions
