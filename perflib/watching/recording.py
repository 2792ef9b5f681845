"""
What `perflib run` does for the history: a canary before, provenance at the start, and all results at the end.

A history that cannot be written never fails a run: its results are in its folder, and `perflib check` takes them from
there once the history is mended.
"""

import tempfile
from collections.abc import Callable
from pathlib import Path

from perflib.errors import PerflibError
from perflib.machine import read_card
from perflib.regression.alerts.documents import file_once, named_ulid
from perflib.regression.canary import run_canaries
from perflib.regression.quarantine import judge_machine
from perflib.results.history import CANARY, NO_SCENARIO, SeriesKey
from perflib.results.regression import Canary, Quarantine
from perflib.runs import Run
from perflib.watching.goods import keep_good
from perflib.watching.open import Watch, open_watch
from perflib.watching.points import BASELINE, points_of_run
from perflib.watching.provenance import host_id, read_provenance, write_provenance
from perflib.workloads.base import Workload

# As many canaries as the class is known by.
_PAST_COUNT = 50
_STATES = "machine-state"


def try_canaries(run: Run, *, hardware_class: str, seed: int = 0) -> tuple[Canary, ...]:
    """Run the frozen reference workloads and keep their records in the run."""
    with tempfile.TemporaryDirectory(prefix="perflib-") as folder:
        canaries = run_canaries(Path(folder), hardware_class=hardware_class, seed=seed)
    for canary in canaries:
        run.write(canary, canary.name)
    return canaries


def judge_host(watch: Watch, canaries: tuple[Canary, ...], *, host_id: str) -> Quarantine:
    """Hold the canaries against the past ones of their class, and remember what was found of this host."""
    past = {
        metric: {canary.name: _past(watch, canary, metric) for canary in canaries}
        for metric in ("level_sec", "sd_ratio")
    }
    before = watch.history.document(_STATES, named_ulid(_STATES, host_id)) or {"clean": [], "is_quarantined": False}
    found = judge_machine(
        canaries,
        past=past["level_sec"],
        past_sd=past["sd_ratio"],
        was_quarantined=bool(before["is_quarantined"]),
        last_clean=[bool(one) for one in before["clean"]],
    )
    state = {"is_quarantined": found.is_quarantined, "clean": [*before["clean"], not found.reasons][-_PAST_COUNT:]}
    file_once(watch.history, _STATES, named_ulid(_STATES, host_id), state)
    watch.history.update_document(_STATES, named_ulid(_STATES, host_id), lambda _: state)
    return found


def _past(watch: Watch, canary: Canary, metric: str) -> list[float]:
    # Marked ones too: a class that is known by the clean ones alone never recovers from a disturbed beginning, because
    # what it then finds too fast can never become usual.
    key = SeriesKey(CANARY, canary.name, NO_SCENARIO, metric, canary.hardware_class)
    return [point.value for point in watch.history.series(key, last_count=_PAST_COUNT)]


def begin_record(run: Run, workload: Workload, *, is_canary_asked: bool, say: Callable[[str], None]) -> None:
    """
    Write where and under what the run measures, after a look at the machine; once in a run.

    Args:
        run: At its beginning.
        workload: Prepared.
        is_canary_asked: Whether the frozen reference workloads are run first.
        say: Is told in one line if the machine is in quarantine or its past is unknown.
    """
    if read_provenance(run) is not None:
        return  # a resumed run stays the run that was begun
    mark = None
    if is_canary_asked:
        card = read_card()
        canaries = try_canaries(run, hardware_class=card.hardware_class)
        try:
            with open_watch() as watch:
                found = judge_host(watch, canaries, host_id=host_id())
        except PerflibError as error:
            say(f"the machine's past is not known ({error})")
        else:
            mark = quarantine_mark(found)
    if mark:
        say(f"{mark}; the results are kept, but are no baseline and page nobody")
    write_provenance(run, workload, mark=mark)


def quarantine_mark(found: Quarantine) -> str | None:
    """Return the words with which results of a machine in quarantine are marked; None for a sound one."""
    if not found.is_quarantined:
        return None
    why = "; ".join(found.reasons) or f"{found.clean_count} clean canaries so far, three release it"
    return f"this machine is in quarantine ({why})"


def enter_history(run: Run, *, say: Callable[[str], None], url: str | None = None) -> bool:
    """
    Append a finished run to the history, and keep its baseline if it is the first.

    Args:
        run: Finished.
        say: Is told in one line what was done or why not.
        url: Of the history.

    Returns:
        Whether it is in the history now.
    """
    try:
        with open_watch(url) as watch:
            points = points_of_run(run)
            added_count = watch.history.append(points)
            first = points[0]
            if not watch.history.goods(
                workload=first.workload, candidate=BASELINE, hardware_class=first.hardware_class
            ):
                keep_good(run, BASELINE, role="baseline", history=watch.history, kept=watch.kept)
    except PerflibError as error:
        say(f"history: not written ({error}); the results are kept in the run, `perflib check {run.run_id}` adds them")
        return False
    say(f"history: {added_count} results added; `perflib check` compares this run with those before it")
    return True
