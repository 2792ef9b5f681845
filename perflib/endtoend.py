"""
From a text to its answer: what tokenising adds, and what is left of a speed-up with it.

Timed lives hand encoded arrays to the models, because the tokeniser is the same for both. A service does pay for it,
and the faster the model, the larger its share.
"""

import time
from collections.abc import Callable
from typing import Any

from perflib.artifact import Artifact
from perflib.benchmarking.lock import host_lock
from perflib.results import EndToEnd
from perflib.session import Session

EXAMPLES_COUNT = 128
_PASSES_COUNT = 5


def measure_end_to_end(
    session: Session, candidate: Artifact, name: str, *, clock: Callable[[], float] = time.perf_counter
) -> EndToEnd:
    """
    Encode and answer a sample of the test inputs with both models in turn, and keep the record.

    Args:
        session: Of the run.
        candidate: The model beside the baseline.
        name: Its name.
        clock: Monotonic seconds.
    """
    rows = session.inputs.stratified_rows(EXAMPLES_COUNT)
    raw = [session.splits.test.inputs[row] for row in rows]
    encode: Callable[[Any], Any] = session.workload.encode
    steps: dict[str, Callable[[], object]] = {
        "encode_sec": lambda: encode(raw),
        "baseline_sec": lambda: session.baseline.predict(encode(raw)),
        "candidate_sec": lambda: candidate.predict(encode(raw)),
    }
    times: dict[str, list[float]] = {word: [] for word in steps}
    with host_lock():
        for step in steps.values():
            step()  # engines prepare for lengths that they meet the first time
        for _ in range(_PASSES_COUNT):
            for word, step in steps.items():
                start_sec = clock()
                step()
                times[word].append(clock() - start_sec)
    record = EndToEnd(name, len(raw), *(tuple(times[word]) for word in steps))
    session.keep(record, name)
    return record
