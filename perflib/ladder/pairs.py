"""What a run has timed already, by the two artifacts that were paired: nothing is timed twice."""

import dataclasses
from collections.abc import Collection

from perflib.errors import DataError
from perflib.results import Comparison, Ladder
from perflib.runs import Run

Pair = tuple[str, str]
_CUT_SHORT = ("running", "interrupted", "arm-failed")


@dataclasses.dataclass(frozen=True)
class TimedPair:
    """A comparison, and the record of the run that holds its samples, such as ``comparison-openvino``."""

    comparison: Comparison
    record: str


def timed_pairs(run: Run, scenarios: Collection[str]) -> dict[Pair, TimedPair]:
    """
    Return the comparisons of a run that are whole and cover all of the scenarios.

    Of two for one pair, an experiment's own counts, which was given more time than a step of a ladder.
    """
    found = [
        TimedPair(one, f"ladder-{name}")
        for name in run.names(Ladder)
        if (ladder := readable_ladder(run, name))
        for one in (*ladder.comparisons, *(rival.comparison for rival in ladder.rivals))
    ]
    for name in run.names(Comparison):
        one = run.read(Comparison, name)
        found += [TimedPair(one, f"comparison-{name}")] if one else []
    return {_pair(one.comparison): one for one in found if is_whole(one.comparison, scenarios)}


def readable_ladder(run: Run, name: str) -> Ladder | None:
    """Return a ladder of the run; None where there is none, where it is of another version, and where it was cut."""
    try:
        return run.read(Ladder, name)
    except DataError:
        return None


def is_whole(comparison: Comparison, scenarios: Collection[str]) -> bool:
    """Say whether a comparison came to its end, in all of these scenarios."""
    timed = {one.scenario for one in comparison.scenarios}
    return comparison.stop not in _CUT_SHORT and set(scenarios) <= timed


def _pair(comparison: Comparison) -> Pair:
    return comparison.baseline_sha256, comparison.candidate_sha256
