"""
The workloads: three built in, any other by entry point, ``module:Class`` or a Hugging Face id with a labelled table.

    get_workload("sentiment-minilm")
    get_workload("my_package.my_workload:Invoices")
    get_workload({"hf_model": "…", "data": "reviews.csv", "text": "body", "label": "stars"})
"""

from collections.abc import Mapping
from typing import Any

from perflib.errors import ParameterError, did_you_mean
from perflib.plugins import find_plugin
from perflib.workloads.base import QUALITY_METRICS, Workload

_BUILT_IN = {
    "sentiment-minilm": "perflib.workloads.sentiment_minilm:SentimentMiniLM",
    "reviews-tiny": "perflib.workloads.reviews_tiny:ReviewsTiny",
    "digits": "perflib.workloads.digits:Digits",
}
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
    kind = find_plugin(name, kind="workload", built_in=_BUILT_IN, group="perflib.workloads")
    try:
        made: object = kind(seed=seed)
    except TypeError as error:
        raise ParameterError(f"workload `{name}` cannot be made ({error}); its class takes `seed`.") from error
    if not isinstance(made, Workload):
        missing = [member for member in _members() if not hasattr(made, member)]
        raise ParameterError(f"workload `{name}` lacks {', '.join(missing)}; see perflib.workloads.base.Workload.")
    if made.quality_metric not in QUALITY_METRICS:
        raise ParameterError(
            f"quality metric `{made.quality_metric}` of workload `{name}` is not known; "
            f"{did_you_mean(made.quality_metric, QUALITY_METRICS)}"
        )
    return made


def _members() -> tuple[str, ...]:
    return ("name", "quality_metric", "labels", "unit", "slice_columns", "prepare", "splits", "encode")


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
