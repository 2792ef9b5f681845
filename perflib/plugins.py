"""
Find a workload, stage or engine by the word that names it.

A word is built in, registered by a package under an entry point group, or ``module:Name`` itself.
"""

import importlib
import importlib.metadata
from collections.abc import Mapping
from typing import Any

from perflib.errors import ParameterError, SetupError, did_you_mean


def find_plugin(name: str, *, kind: str, built_in: Mapping[str, str], group: str) -> Any:
    """
    Import what a name stands for.

    Args:
        name: A built-in or registered word, or ``module:Name``.
        kind: What is looked for, for the error sentence: ``stage``, ``workload``, ``engine``.
        built_in: Word -> ``module:Name``.
        group: The entry point group; it is asked only where the built-in words do not answer.

    Raises:
        ParameterError: If there is no such word, or ``module:Name`` cannot be imported.
        SetupError: If a word is known but its package is not installed.
    """
    places = dict(built_in)
    if name not in places and ":" not in name:
        places |= {point.name: point.value for point in importlib.metadata.entry_points(group=group)}
        if name not in places:
            raise ParameterError(f"{kind} `{name}` is not known; {did_you_mean(name, places)}")
    module_name, _, attribute = places.get(name, name).partition(":")
    try:
        return getattr(importlib.import_module(module_name), attribute)
    # ValueError and TypeError: an empty or a relative module name.
    except (ImportError, AttributeError, ValueError, TypeError, SyntaxError) as error:
        if name in places and isinstance(error, ImportError):
            raise SetupError(
                f"{kind} `{name}` needs a package that is missing ({error}); install it with pip."
            ) from error
        raise ParameterError(f"{kind} `{name}` cannot be imported ({error}); write it as module:Name.") from error
