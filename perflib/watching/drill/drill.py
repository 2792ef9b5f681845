"""
The drill itself: a history of real short runs, then one planted regression after the other, each from the same history.

    done = run_drill(folder, stage=Stage.real(folder))
    done.line      # drill: 3 of 3 planted found, 0 alerts with nothing planted

Every case begins with a copy of the same clean history, so that none of them helps another. A case goes on until its
alert has arrived, or six runs have gone by; then one more run has to stay silent, since nobody is told twice.
"""

import contextlib
import dataclasses
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

from perflib.progress import Progress
from perflib.regression.alerts.book import AlertBook
from perflib.regression.alerts.deliver import Courier
from perflib.regression.alerts.routes import parse_routes
from perflib.regression.history.store import open_history
from perflib.regression.kept import Kept
from perflib.runs import Run
from perflib.watching.check import Checked, MakeBench, check_run
from perflib.watching.drill.inbox import Inbox, Letter
from perflib.watching.drill.planted import Planted
from perflib.watching.drill.runs import Conditions
from perflib.watching.open import Watch

HISTORY_RUNS_COUNT = 20
QUIET_RUNS_COUNT = 3
# The detector is allowed so many runs to notice a plain step.
MOST_RUNS_COUNT = 6
_VARIABLE = "PERFLIB_DRILL_INBOX"
_ROUTES = parse_routes({"channels": {"inbox": {"url_env": _VARIABLE}}, "default": {"to": ["inbox"]}}, "the drill")


@dataclasses.dataclass(frozen=True)
class Stage:
    """
    What the drill is played with.

    ``run`` measures conditions into a folder; ``bench`` makes, from the conditions of today, what reruns suspects.
    Tests pass ones with made-up timings.
    """

    good: Conditions
    planted: tuple[Planted, ...]
    run: Callable[[Path, Conditions, int], Run]
    bench: Callable[[Conditions], MakeBench]


@dataclasses.dataclass(frozen=True)
class CaseResult:
    """What became of one planted regression; ``why`` says it where it was not found."""

    planted: Planted
    is_found: bool
    runs_count: int
    letters: tuple[Letter, ...]
    why: str


@dataclasses.dataclass(frozen=True)
class DrillResult:
    """All cases, and what arrived while nothing was planted."""

    cases: tuple[CaseResult, ...]
    false_letters: tuple[Letter, ...]
    quiet_runs_count: int

    @property
    def is_passed(self) -> bool:
        """Whether everything was found and nobody was called for nothing."""
        return all(case.is_found for case in self.cases) and not self.false_letters

    @property
    def line(self) -> str:
        """The last line of the drill."""
        found_count = sum(case.is_found for case in self.cases)
        return (
            f"drill: {found_count} of {len(self.cases)} planted found, "
            f"{len(self.false_letters)} alerts with nothing planted"
        )


def run_drill(
    folder: Path,
    stage: Stage,
    *,
    history_runs_count: int = HISTORY_RUNS_COUNT,
    say: Callable[[str], None] = print,
) -> DrillResult:
    """
    Play the whole drill.

    Args:
        folder: Of its own; runs, history and kept artifacts go there.
        stage: Real or made-up.
        history_runs_count: Clean runs before anything is planted.
        say: Is told what arrives.
    """
    clean, letters = folder / "clean", list[Letter]()
    quiet_count = history_runs_count + QUIET_RUNS_COUNT
    with Progress("drill", quiet_count + len(stage.planted)) as bar, Inbox() as inbox:
        with _opened(clean) as place:
            for number in range(quiet_count):
                letters += _one_run(place, stage, stage.good, number, inbox)[1]
                bar.step(f"run {number + 1} with nothing planted")
        cases = []
        for planted in stage.planted:
            shutil.copytree(clean, folder / planted.name)
            with _opened(folder / planted.name) as place:
                cases.append(_case(place, stage, planted, inbox))
            bar.step(f"{planted.name}: {'found' if cases[-1].is_found else 'not found'}")
            for line in _case_lines(cases[-1]):
                say(line)
    return DrillResult(tuple(cases), tuple(letters), quiet_count)


@dataclasses.dataclass(frozen=True)
class _Place:
    """A folder with a history of its own, opened."""

    folder: Path
    watch: Watch


@contextlib.contextmanager
def _opened(folder: Path) -> Iterator[_Place]:
    folder.mkdir(parents=True, exist_ok=True)
    with open_history(f"sqlite:///{folder / 'history.sqlite'}") as history:
        yield _Place(folder, Watch(history, AlertBook(history), Kept(folder / "kept")))


def _one_run(
    place: _Place, stage: Stage, conditions: Conditions, number: int, inbox: Inbox
) -> tuple[Checked, list[Letter]]:
    """Make one run, check it, and return what arrived."""
    run = stage.run(place.folder / "runs" / f"{number:03d}", conditions, number)
    checked = check_run(run, place.watch, make_bench=stage.bench(conditions), seed=number)
    Courier(place.watch.history, _ROUTES, environ={_VARIABLE: inbox.url}).deliver(checked.alerts)
    return checked, inbox.take()


def _case(place: _Place, stage: Stage, planted: Planted, inbox: Inbox) -> CaseResult:
    conditions = planted.plant(stage.good, place.folder)
    letters, checked, count = list[Letter](), None, 0
    while not letters and count < MOST_RUNS_COUNT:
        count += 1
        checked, letters = _one_run(place, stage, conditions, 900 + count, inbox)
    assert checked is not None
    again = _one_run(place, stage, conditions, 900 + count + 1, inbox)[1] if letters else []
    why = _why_not(planted, checked, letters, again)
    return CaseResult(planted, not why, count, (*letters, *again), why)


def _why_not(planted: Planted, checked: Checked, letters: list[Letter], again: list[Letter]) -> str:
    """Say what is wrong with a case; empty where it is as it should be."""
    if not letters:
        return f"no alert in {MOST_RUNS_COUNT} runs: {checked.check.sentence}"
    if len(letters) + len(again) > 1:
        return f"{len(letters) + len(again)} messages for one regression"
    found = [one for one in checked.check.confirmations if one.family == planted.family]
    culprits = [culprit.component for one in found for culprit in one.culprits]
    if culprits != [planted.component]:
        return f"the culprit is called {', '.join(culprits) or 'unknown'}, but it is the {planted.component}"
    return ""


def _case_lines(case: CaseResult) -> list[str]:
    head = f"planted in the {case.planted.component}: {case.planted.story}"
    if not case.letters:
        return [head, f"not found: {case.why}"]
    runs = f"{case.runs_count} run" + ("s" if case.runs_count > 1 else "")
    shown = [line for letter in case.letters for line in ("", letter.title, *letter.text.splitlines(), "")]
    return [f"{head}; the alert came after {runs}:", *shown, *([f"but {case.why}"] if case.why else [])]
