"""
How quick a history is when it is long: fill one, then append, read and verify.

    python -m perflib.regression.history.benchmark /tmp/long.sqlite --rows 1000000
"""

import argparse
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from ulid import ULID

from perflib.records import sha256_bytes
from perflib.regression.history.rows import Row, fields_of, insert_rows
from perflib.regression.history.store import History, open_history
from perflib.regression.history.verify import verify_history
from perflib.results.history import METRICS, HistoryPoint

SERIES_COUNT = 20
_FIRST_MILLISECOND = 1_700_000_000_000
_RUNS_AT_ONCE_COUNT = 1_000
_TIMES_COUNT = 21


def main(arguments: Sequence[str] | None = None) -> int:
    """Fill a history that is not there yet, and print the median times."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("path", type=Path, help="a file that is not there yet")
    parser.add_argument("--rows", type=int, default=1_000_000, metavar="N")
    asked = parser.parse_args(arguments)
    run_count = asked.rows // SERIES_COUNT
    address = f"sqlite:///{asked.path}"
    with open_history(address) as history:
        filling_sec = _seconds(lambda: fill(history, run_count))
        print(f"fill {history.count():,} results: {filling_sec:.1f} s")
        _print_times(history, run_count)
    opening_sec = statistics.median(_seconds(lambda: open_history(address).close()) for _ in range(_TIMES_COUNT))
    print(f"open: {1000 * opening_sec:.1f} ms")
    return 0


def fill(history: History, run_count: int) -> None:
    """Add that many runs of `SERIES_COUNT` results, many in each transaction."""
    for start in range(0, run_count, _RUNS_AT_ONCE_COUNT):
        runs = range(start, min(start + _RUNS_AT_ONCE_COUNT, run_count))
        rows: list[Row] = [
            {**fields_of(point), "order_ulid": point.run_ulid} for run in runs for point in points_of_run(run)
        ]
        with history.writing() as connection:
            insert_rows(connection, rows)


def points_of_run(run: int) -> list[HistoryPoint]:
    """Return what a run of that number would give."""
    # One metric after the other, then the same of another candidate.
    metrics = list(METRICS.values())
    names = [(metrics[at % len(metrics)], f"candidate-{at // len(metrics)}") for at in range(SERIES_COUNT)]
    ulid = str(ULID.from_int(((_FIRST_MILLISECOND + 1000 * run) << 80) + run))
    digest = sha256_bytes(b"benchmark")
    return [
        HistoryPoint(
            workload="benchmark",
            candidate=candidate,
            scenario="single",
            metric=metric.name,
            hardware_class="benchmark",
            value=1.0 + run / 1e7,
            unit=metric.unit,
            run_ulid=ulid,
            run_id=f"run-{run}",
            recorded="2026-01-01T00:00:00+00:00",
            commit="0000000",
            artifact_sha256=digest,
            parameters_sha256=digest,
            lock_sha256=digest,
            data_sha256=digest,
            host_id="host",
            operating_system="benchmark",
            driver=None,
            image_digest=None,
            mark=None,
        )
        for metric, candidate in names
    ]


def _print_times(history: History, run_count: int) -> None:
    runs = iter(range(run_count, run_count + _TIMES_COUNT))
    newest = points_of_run(run_count + _TIMES_COUNT)
    keys = [point.key for point in newest]
    last_ulid = newest[0].run_ulid
    work: dict[str, Callable[[], object]] = {
        f"append {SERIES_COUNT} results": lambda: history.append(points_of_run(next(runs))),
        f"read {SERIES_COUNT} series of 512": lambda: [
            history.series(key, before_run_ulid=last_ulid, with_marked=False) for key in keys
        ],
        "find the run before": lambda: history.newest_run_ulid("benchmark", "benchmark", before=last_ulid),
        "name all series": history.keys,
    }
    for name, do in work.items():
        times_sec = [_seconds(do) for _ in range(_TIMES_COUNT if "512" not in name else 5)]
        print(f"{name}: {1000 * statistics.median(times_sec):.1f} ms, at most {1000 * max(times_sec):.1f} ms")
    print(f"verify: {_seconds(lambda: verify_history(history)):.1f} s")


def _seconds(do: Callable[[], object]) -> float:
    begun = time.perf_counter()
    do()
    return time.perf_counter() - begun


if __name__ == "__main__":
    raise SystemExit(main())
