"""
Traces that the PyTorch profiler plugin of TensorBoard understands.

The plugin is older than the traces: it drops the categories in which torch 2 writes CUDA calls and user annotations,
and then shows no device time and no data loading.
A second copy of a trace has the old names, and the original stays as torch wrote it, for Perfetto and other readers.

The log folder holds one folder per model, which TensorBoard lists as a run:

    <log folder>/<name>/<name>.<ns>.pt.trace.json.gz

    write_compatible_trace(trace, log_folder)    # then: tensorboard --logdir <log folder>
"""

import gzip
import json
import re
import zlib
from pathlib import Path
from typing import Any

from perflib import records
from perflib.errors import DataError, ParameterError

# What torch writes -> what the plugin knows. As operators, annotations are seen; its DataLoader share is made of them.
CATEGORIES = {"cuda_runtime": "Runtime", "cuda_driver": "Runtime", "user_annotation": "cpu_op"}
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
    trace = _read_trace(source)
    for event in trace["traceEvents"]:
        if event.get("cat") in CATEGORIES:
            event["cat"] = CATEGORIES[event["cat"]]
    name = source.name if source.suffix == ".gz" else f"{source.name}.gz"
    target = target_folder / match["worker"] / name
    # No time in the gzip header, so that one trace always gives the same bytes.
    records.write_bytes(target, gzip.compress(json.dumps(trace, separators=(",", ":")).encode(), mtime=0))
    return target


def _read_trace(path: Path) -> dict[str, Any]:
    """Read a Chrome trace; unlike a record it may hold control characters, which names of kernels have had."""
    try:
        content = path.read_bytes()
        if path.suffix == ".gz":
            content = gzip.decompress(content)
        trace = json.loads(content, strict=False)
    except (OSError, EOFError, zlib.error, ValueError, RecursionError) as error:
        raise DataError(f"the trace {path} cannot be read ({error}); profile the model again.") from error
    events = trace.get("traceEvents") if isinstance(trace, dict) else None
    if not isinstance(events, list) or not all(isinstance(event, dict) for event in events):
        raise DataError(f"{path} holds no list of trace events; profile the model again.")
    return trace  # type: ignore[no-any-return]
