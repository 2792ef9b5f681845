"""
The workloads: three built in, any other by entry point, ``module:Class`` or a Hugging Face id with a labelled table.

    get_workload("sentiment-minilm")
    get_workload("my_package.my_workload:Invoices")
    get_workload({"hf_model": "…", "data": "reviews.csv", "text": "body", "label": "stars"})
"""

import importlib
import importlib.metadata
from collections.abc import Mapping
from typing import Any

from perflib.errors import ParameterError, did_you_mean
from perflib.workloads.base import Workload

_BUILT_IN = {
    "sentiment-minilm": "perflib.workloads.sentiment_minilm:SentimentMiniLM",
    "reviews-tiny": "perflib.workloads.reviews_tiny:ReviewsTiny",
    "digits": "perflib.workloads.digits:Digits",
}
_ENTRY_POINTS = "perflib.workloads"
_TABLE_KEYS = ("hf_model", "data", "text", "label")


def get_workload(name: str | Mapping[str, Any], *, seed: int = 0) -> Workload:
    """
    Find a workload by name, ``module:Class``, or the four keys of a table workload.

    Args:
        name: As in the ``workload`` line of a params file.
        seed: Seeds what the workload trains.

    Raises:
        ParameterError: If there is no such workload, or it lacks a member of the protocol.
    """
    if isinstance(name, Mapping):
        return _table_workload(name)
    places = dict(_BUILT_IN)
    if name not in places and ":" not in name:
        places |= {point.name: point.value for point in importlib.metadata.entry_points(group=_ENTRY_POINTS)}
        if name not in places:
            raise ParameterError(f"workload `{name}` is not known; {did_you_mean(name, places)}")
    module_name, _, class_name = places.get(name, name).partition(":")
    try:
        made: object = getattr(importlib.import_module(module_name), class_name)(seed=seed)
    except (ImportError, AttributeError, TypeError) as error:
        raise ParameterError(f"workload `{name}` cannot be made ({error}); write it as module:Class.") from error
    if not isinstance(made, Workload):
        missing = [member for member in _members() if not hasattr(made, member)]
        raise ParameterError(f"workload `{name}` lacks {', '.join(missing)}; see perflib.workloads.base.Workload.")
    return made


def workload_name(name: str | Mapping[str, Any]) -> str:
    """Return the word that names a workload in records and folders."""
    return name if isinstance(name, str) else f"table:{name.get('hf_model', '?')}"


def _members() -> tuple[str, ...]:
    return ("name", "labels", "unit", "slice_columns", "prepare", "splits", "encode")


def _table_workload(keys: Mapping[str, Any]) -> Workload:
    unknown = sorted(set(keys) - set(_TABLE_KEYS))
    missing = [key for key in _TABLE_KEYS if key not in keys]
    if unknown:
        raise ParameterError(f"workload key `{unknown[0]}` is not known; {did_you_mean(unknown[0], _TABLE_KEYS)}")
    if missing:
        raise ParameterError(f"the workload needs `{missing[0]}`; give all of {', '.join(_TABLE_KEYS)}.")
    from perflib.workloads.table import TableWorkload

    table: Workload = TableWorkload(**{key: str(keys[key]) for key in _TABLE_KEYS})
    return table
