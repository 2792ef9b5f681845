"""
Traces that the PyTorch profiler plugin of TensorBoard understands.

The plugin is older than the traces, and shows no device time, no data loading, no modules, and every step twice on a
GPU. A second copy of a trace says the same in the words that the plugin knows:

- CUDA calls are ``Runtime``; without it no kernel has an operator, and device time is zero.
- Annotations are operators; its share of data loading is made of them.
- Ranges around modules are calls of modules, so its module view has something to show, and the Python in them does not
  count as an operator.
- Annotations repeated on a GPU's track are left to the timeline; it would take a step's for a second step.

The original stays as torch wrote it, for Perfetto and other readers. The log folder holds one folder per model, which
TensorBoard lists as a run:

    <log folder>/<name>/<name>.<ns>.pt.trace.json.gz

    write_compatible_trace(trace, log_folder)    # then: perflib.viewers.serve_tensorboard(log_folder, 6006)
"""

import gzip
import json
import re
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from perflib import records
from perflib.errors import ParameterError
from perflib.profiling.attribution import CALL_RANGE, MODULE_PREFIX
from perflib.profiling.trace import read_document

# What torch writes -> what the plugin knows; it skips a category that it does not know.
CATEGORIES = {
    "cuda_runtime": "Runtime",
    "cuda_driver": "Runtime",
    "user_annotation": "cpu_op",
    "gpu_user_annotation": "device_annotation",
}
_TRACE_NAME = re.compile(r"(?P<worker>.+?)(?P<time>\.\d+)?\.pt\.trace\.json(?:\.gz)?")


def write_compatible_trace(source: Path, target_folder: Path) -> Path:
    """
    Write the copy of a trace that TensorBoard's plugin reads.

    Args:
        source: A trace named ``<name>.<ns>.pt.trace.json`` or ``….json.gz``, outside the log folder.
        target_folder: The log folder that TensorBoard is started on; a later trace of one name becomes a further span.

    Returns:
        The copy, ``<target_folder>/<name>/<name>.<ns>.pt.trace.json.gz``.

    Raises:
        ParameterError: If the name is not a trace's, or the trace lies in the log folder and would be shown twice.
        DataError: If the trace cannot be read or the copy cannot be written.
    """
    match = _TRACE_NAME.fullmatch(source.name)
    if match is None:
        raise ParameterError(f"{source} is not named <name>.<ns>.pt.trace.json(.gz); TensorBoard would not find it.")
    if source.resolve().is_relative_to(target_folder.resolve()):
        raise ParameterError(
            f"the trace {source} lies in the log folder {target_folder}, where TensorBoard would show it as well; "
            "keep the originals beside the log folder."
        )
    trace = read_document(source)
    calls = [event for event in trace["traceEvents"] if _is_module_call(event)]
    for event in trace["traceEvents"]:
        # A range around a whole call is no operator: it would cover the time that no operator ran in.
        if str(event.get("cat")) in CATEGORIES and event.get("name") != CALL_RANGE:
            event["cat"] = CATEGORIES[event["cat"]]
    _rewrite_module_calls(calls)
    name = source.name if source.suffix == ".gz" else f"{source.name}.gz"
    target = target_folder / match["worker"] / name
    # No time in the gzip header, so that one trace always gives the same bytes.
    records.write_bytes(target, gzip.compress(json.dumps(trace, separators=(",", ":")).encode(), mtime=0))
    return target


def _is_module_call(event: dict[str, Any]) -> bool:
    is_range = event.get("cat") == "user_annotation" and str(event.get("name")).startswith(MODULE_PREFIX)
    return is_range and all(isinstance(event.get(word), int | float) for word in ("ts", "dur"))


def _rewrite_module_calls(calls: Iterable[dict[str, Any]]) -> None:
    """Number the calls and say which call is inside of which other: the plugin does not look at their times."""
    open_calls: dict[Any, list[dict[str, Any]]] = defaultdict(list)
    module_ids: dict[str, int] = {}
    # Below zero, where no call that torch itself numbered is.
    for call_id, call in enumerate(sorted(calls, key=lambda event: (event["ts"], -event["dur"])), start=1):
        parents = open_calls[call.get("pid"), call.get("tid")]
        while parents and parents[-1]["ts"] + parents[-1]["dur"] <= call["ts"]:
            parents.pop()
        name = call["name"].removeprefix(MODULE_PREFIX)
        numbers = {
            "Python id": -call_id,
            "Python parent id": parents[-1]["args"]["Python id"] if parents else None,
            "Python module id": module_ids.setdefault(name, len(module_ids)),
        }
        call |= {"cat": "python_function", "name": f"nn.Module: {name}", "args": numbers}
        parents.append(call)
