"""
The door to the engines: one file per engine, imported only when an artifact needs it.

An engine opens an artifact's folder and returns a session: a callable from input arrays to logits.
A package adds an engine through the entry point group ``perflib.engines``, which names a module with `open_session`.
"""

import importlib
import importlib.metadata
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from perflib.errors import ParameterError, SetupError, did_you_mean

if TYPE_CHECKING:
    from perflib.artifact import ArtifactSpec

# Arrays with the example first, as `Encoded.arrays` -> logits of shape (examples, classes).
Session = Callable[[Mapping[str, NDArray[np.generic]]], NDArray[np.floating[Any]]]

_BUILT_IN = {"torch": "perflib.engines.torch_engine", "openvino": "perflib.engines.openvino_engine"}
_ENTRY_POINTS = "perflib.engines"


def open_session(engine: str, folder: Path, spec: "ArtifactSpec") -> Session:
    """
    Load an artifact into its engine.

    Raises:
        ParameterError: If no engine has this name.
        SetupError: If the engine's package is not installed.
    """
    places = dict(_BUILT_IN)
    if engine not in places:
        places |= {point.name: point.value for point in importlib.metadata.entry_points(group=_ENTRY_POINTS)}
    if engine not in places:
        raise ParameterError(f"engine `{engine}` is not known here; {did_you_mean(engine, places)}")
    try:
        module = importlib.import_module(places[engine])
    except ImportError as error:
        raise SetupError(
            f"engine `{engine}` needs a package that is missing ({error}); install it with pip."
        ) from error
    session: Session = module.open_session(folder, spec)
    return session
