"""
The door to the engines: one file per engine, imported only when an artifact needs it.

An engine opens an artifact's folder and returns a session: a callable from input arrays to logits.
A package adds an engine through the entry point group ``perflib.engines``, which names its `open_session`.
"""

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
}


def open_session(engine: str, folder: Path, spec: "ArtifactSpec") -> Session:
    """
    Load an artifact into its engine.

    Raises:
        ParameterError: If no engine has this name.
        SetupError: If the engine's package is not installed.
    """
    opener = find_plugin(engine, kind="engine", built_in=_BUILT_IN, group="perflib.engines")
    session: Session = opener(folder, spec)
    return session
