"""
A process that appends runs to a history and says so, one line for each that was acknowledged.

    python -m tests.history_writer URL WRITER COUNT

``WRITER`` tells its runs from those of others. The line ``ready`` comes first, when the history is open.
"""

import subprocess
import sys
from pathlib import Path

from perflib.regression.history.store import open_history
from perflib.results.history import HistoryPoint, SeriesKey
from tests.synthetic_history import make_point, run_ulid

POINTS_PER_RUN_COUNT = 2


def start_writer(url: str, writer: int, count: int) -> "subprocess.Popen[str]":
    """Start a process that appends; its output is text."""
    command = [sys.executable, "-m", "tests.history_writer", url, str(writer), str(count)]
    return subprocess.Popen(
        command, cwd=Path(__file__).parents[1], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def points_of_run(writer: int, place: int) -> tuple[HistoryPoint, ...]:
    """Return what one writer appends as its run of that place."""
    index = 1000 * writer + place
    keys = (SeriesKey("toy", f"writer {writer}", "single", metric, "fake") for metric in ("p50_sec", "p95_sec"))
    return tuple(
        make_point(key, 0.001 + 1e-6 * index, host_id=f"host-{writer}", run_ulid=run_ulid(index)) for key in keys
    )


def main(url: str, writer: int, count: int) -> None:
    """Append that many runs; acknowledge each when `History.append` has returned."""
    with open_history(url) as history:
        print("ready", flush=True)
        for place in range(count):
            history.append(points_of_run(writer, place))
            print(place, flush=True)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
