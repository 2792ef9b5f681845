"""
One step of a trace as plain rows, to be drawn.

    rows, step_sec = step_rows(read_trace(path))
    plot_timeline(rows, step_sec, name="baseline")
"""

from perflib.errors import ParameterError
from perflib.profiling.attribution import MODULE_PREFIX, attribute
from perflib.profiling.kinds import kind_of
from perflib.profiling.trace import Trace

# Name, kind, depth, start and duration in seconds.
Row = tuple[str, str, int, float, float]


def step_rows(trace: Trace, *, step: int = 0) -> tuple[list[Row], float]:
    """
    Return what the main thread did in one step.

    Args:
        trace: With step marks.
        step: Its place among the active steps; negative from the end.

    Returns:
        Rows by start: name, kind, depth, start since the step's start and duration. A range around a module or a call
        has the module's name, or its own, and no kind. Then the duration of the step.

    Raises:
        DataError: As `attribute`.
        ParameterError: If there is no such step.
    """
    spans, steps = attribute(trace).spans, trace.steps
    if not -len(steps) <= step < len(steps):
        raise ParameterError(f"there is no step {step} among {len(steps)} active ones.")
    start_sec, step_sec = (float(steps[column].iloc[step]) for column in ("start_sec", "duration_sec"))
    inside = spans[(spans["start_sec"] >= start_sec) & (spans["start_sec"] < start_sec + step_sec)]
    columns = ("name", "is_range", "depth", "start_sec", "total_sec")
    rows = [
        (
            name.removeprefix(MODULE_PREFIX),
            "" if is_range else kind_of(name),
            int(depth),
            float(at_sec) - start_sec,
            float(length_sec),
        )
        for name, is_range, depth, at_sec, length_sec in zip(*(inside[one] for one in columns), strict=True)
    ]
    return rows, step_sec
