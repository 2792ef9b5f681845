"""The check after a run, from the first run to the alert, with made-up timings and a bench that times nothing."""

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from perflib.artifact import Artifact
from perflib.regression.alerts.book import AlertBook
from perflib.regression.history.store import open_history
from perflib.regression.kept import Kept
from perflib.results.history import EnvironmentLock
from perflib.results.regression import Check
from perflib.runs import Run
from perflib.watching.check import Checked, check_run
from perflib.watching.goods import promote
from perflib.watching.open import Watch
from tests.fake_bench import FakeBench, lock_of, write_model
from tests.made_runs import Made, make_run

OLD, NEW = lock_of(kernel="1.0"), lock_of(kernel="2.0")
NOISE = np.random.default_rng(0).normal(0.0, 0.01, 200)


class Life:
    """A project that is run again and again; everything is as before unless it is said otherwise."""

    def __init__(self, folder: Path, watch: Watch) -> None:
        self.folder, self.watch, self.numbers = folder, watch, itertools.count()
        self.artifact = write_model(folder / "model")
        self.bench = FakeBench(OLD)

    def run(
        self,
        *,
        factor: float = 1.0,
        accuracy: float = 0.85,
        lock: EnvironmentLock = OLD,
        artifact: Artifact | None = None,
        mark: str | None = None,
        data: str = "data",
    ) -> Run:
        """Make the next run."""
        number = next(self.numbers)
        made = Made(0.004 * factor * float(np.exp(NOISE[number])), accuracy, mark, data)
        return make_run(
            self.folder / "runs" / f"r{number:03d}", artifact or self.artifact, lock, made, millisecond=number
        )

    def check(self, run: Run | None = None, *, is_confirming: bool = True, **made: object) -> Checked:
        """Make the next run and check it."""
        run = run or self.run(**made)  # type: ignore[arg-type]
        return check_run(run, self.watch, make_bench=(lambda _: self.bench) if is_confirming else None)

    def quiet(self, count: int = 22) -> None:
        """Live for a while without anything happening."""
        for _ in range(count):
            assert self.check().check.exit_code == 0

    def until_nominated(self, most_count: int = 6, **made: object) -> Checked:
        """Go on with something different until history nominates it."""
        for _ in range(most_count):
            checked = self.check(**made)
            if any(one.state == "nominated" for one in checked.check.series):
                return checked
        raise AssertionError("nothing was nominated")


@pytest.fixture
def life(tmp_path: Path, own_folders: Path) -> Iterator[Life]:
    """Return a project with an empty history."""
    with open_history(f"sqlite:///{tmp_path / 'history.sqlite'}") as history:
        yield Life(tmp_path, Watch(history, AlertBook(history), Kept(tmp_path / "kept")))


def slower_with(version: str, cost: float = 1.2) -> Callable[[Artifact, str], float]:
    """Return a cost that a version of a package causes."""
    return lambda artifact, python: cost if version in python else 1.0


def states(check: Check) -> set[str]:
    """Return the states of all series."""
    return {one.state for one in check.series}


def test_the_first_run_begins_the_history(life: Life) -> None:
    """There is nothing to compare with: exit 0, and it says so; the run is kept as the first good one."""
    first = life.check()

    assert first.check.exit_code == 0
    assert states(first.check) == {"first"}
    assert "begins the history" in first.check.sentence
    assert [one.role for one in life.watch.history.goods()] == ["baseline"]
    assert life.watch.kept.artifact(life.artifact.digest) is not None


def test_a_run_is_compared_before_it_is_appended(life: Life) -> None:
    """Checked twice it is still compared with the others, and stands once in the history."""
    life.quiet(3)
    run = life.run()
    first, second = life.check(run), life.check(run)

    assert [one.point_count for one in first.check.series] == [one.point_count for one in second.check.series]
    assert life.watch.history.count() == 4 * len(first.check.series)


def test_few_runs_are_no_ground_for_a_nomination(life: Life) -> None:
    """Twenty runs are needed to know the noise; until then the check says so."""
    life.quiet(5)
    checked = life.check(factor=1.5)

    assert checked.check.exit_code == 0
    assert "too few" in states(checked.check)
    assert "too few runs" in checked.check.sentence


def test_a_slower_environment_becomes_one_alert_with_its_culprit(life: Life) -> None:
    """History nominates, the rerun confirms, the lock is named, the code is 3, and the alert is open."""
    life.quiet()
    life.bench = FakeBench(NEW, cost=slower_with("2.0"))
    checked = life.until_nominated(factor=1.2, lock=NEW)

    assert checked.check.exit_code == 3
    assert {one.verdict for one in checked.check.confirmations} == {"CONFIRMED"}
    assert [one.component for one in checked.check.confirmations[0].culprits] == ["lock"]
    assert [alert.state for alert in checked.alerts] == ["OPEN"]
    assert checked.run.read(Check, "run") == checked.check


def test_nobody_is_told_twice(life: Life) -> None:
    """While the alert is open the series is known: still code 3, no rerun, no other alert."""
    life.quiet()
    life.bench = FakeBench(NEW, cost=slower_with("2.0"))
    life.until_nominated(factor=1.2, lock=NEW)
    made = list(life.bench.made)
    again = life.check(factor=1.2, lock=NEW)

    assert again.check.exit_code == 3
    assert again.alerts == ()
    assert life.bench.made == made
    assert len(life.watch.book.list()) == 1


def test_a_nomination_alone_is_undecided(life: Life) -> None:
    """Without --confirm nobody is accused: code 5, and the sentence says what to do."""
    life.quiet()
    for _ in range(6):
        checked = life.check(is_confirming=False, factor=1.2)
        if checked.check.exit_code:
            break

    assert checked.check.exit_code == 5
    assert "--confirm" in checked.check.sentence
    assert {alert.state for alert in checked.alerts} == {"NOMINATED"}


def test_a_slow_machine_is_nobodys_alert(life: Life) -> None:
    """The good model is as slow today, so the runs count for nothing and the next sound run is quiet."""
    life.quiet()
    life.bench = FakeBench(OLD, level_ratio=1.2)
    checked = life.until_nominated(factor=1.2)

    assert checked.check.exit_code == 5
    assert {alert.state for alert in checked.alerts} == {"MACHINE"}
    assert life.check().check.exit_code == 0


def test_a_quarantined_machine_nominates_without_effect(life: Life) -> None:
    """Its results are kept and marked; nothing is rerun, nothing told."""
    life.quiet()
    checked = [life.check(factor=1.5, mark="this machine is in quarantine (throttled)") for _ in range(4)][-1]

    assert life.bench.made == []
    assert checked.check.quarantine.is_quarantined
    assert not [alert for alert in life.watch.book.list() if alert.state == "OPEN"]
    assert life.check().check.exit_code == 0


def test_a_larger_model_is_found_at_once(life: Life) -> None:
    """Bytes have no noise: the first run is enough."""
    life.quiet(2)
    checked = life.check(artifact=write_model(life.folder / "fat", weights=b"weights" * 3))

    assert checked.check.exit_code == 3
    assert [(one.family, one.culprits[0].component) for one in checked.check.confirmations] == [("size", "artifact")]


def test_a_loss_of_accuracy_is_found_at_once(life: Life) -> None:
    """The same examples give the same answers, so one run is enough here too."""
    life.quiet(2)
    worse = write_model(life.folder / "cut", options={"max_token_count": 4})

    def right(artifact: Artifact, python: str) -> np.ndarray:
        return np.arange(1000) >= (100 if artifact.spec.options else 0)

    life.bench = FakeBench(OLD, right=right)
    checked = life.check(accuracy=0.75, artifact=worse)

    assert checked.check.exit_code == 3
    assert checked.check.confirmations[0].family == "quality"
    assert checked.check.confirmations[0].culprits[0].component == "parameters"


def test_an_alert_closes_itself_when_the_series_is_back(life: Life) -> None:
    """Once the model is small again there is nothing left to say."""
    life.quiet(2)
    life.check(artifact=write_model(life.folder / "fat", weights=b"weights" * 3))
    back = life.check()

    assert back.check.exit_code == 0
    assert {alert.state for alert in life.watch.book.list()} == {"FIXED"}


def test_a_slow_series_that_recovers_closes_its_alert(life: Life) -> None:
    """A noisy series needs several good runs to be believed."""
    life.quiet()
    life.bench = FakeBench(NEW, cost=slower_with("2.0"))
    life.until_nominated(factor=1.2, lock=NEW)
    life.bench = FakeBench(OLD)
    for _ in range(20):
        checked = life.check()

    assert {alert.state for alert in life.watch.book.list()} == {"FIXED"}
    assert checked.check.exit_code == 0


def test_an_accepted_change_is_the_new_level(life: Life) -> None:
    """After it was accepted the series is quiet at its new level, and a further step is found."""
    life.quiet()
    life.bench = FakeBench(NEW, cost=slower_with("2.0"))
    (alert,) = life.until_nominated(factor=1.2, lock=NEW).alerts
    life.watch.book.accept(alert.ulid, who="me", reason="it is meant")
    for _ in range(12):
        assert life.check(factor=1.2, lock=NEW).check.exit_code == 0
    third = lock_of(kernel="3.0")
    life.bench = FakeBench(third, cost=slower_with("3.0"))

    assert life.until_nominated(factor=1.5, lock=third).check.exit_code == 3


def test_an_unexplained_speed_up_is_said_and_pages_nobody(life: Life) -> None:
    """Better is worth a look as well; it begins a new level, and coming back from it is a regression."""
    life.quiet()
    for _ in range(6):
        checked = life.check(factor=0.8)
        if "better" in states(checked.check):
            break

    assert checked.check.exit_code == 0
    assert "better and unexplained" in checked.check.sentence
    assert checked.alerts == ()


def test_an_environment_that_cannot_be_built_is_undecided(life: Life) -> None:
    """The last good lock is gone from the index: code 5 and a reason, never silence."""
    life.quiet()
    life.bench = FakeBench(NEW, unbuildable="kernel=1.0")
    checked = life.until_nominated(factor=1.2, lock=NEW)

    assert checked.check.exit_code == 5
    assert "cannot be installed" in checked.check.sentence
    assert {alert.state for alert in checked.alerts} == {"NOMINATED"}


def test_other_data_are_named(life: Life) -> None:
    """The model is innocent where the good one is as slow on today's data."""
    life.quiet()
    life.bench = FakeBench(OLD, level_ratio=1.2)
    checked = life.until_nominated(factor=1.2, data="other")

    assert checked.check.exit_code == 3
    assert checked.check.confirmations[0].culprits[0].component == "data"


def test_a_promoted_baseline_is_kept_and_named(life: Life) -> None:
    """Promotion says who is good, why, and keeps artifact and lock."""
    life.quiet(2)
    run = life.run()
    made = promote(f"{run.folder}:baseline", reason="ships", history=life.watch.history, kept=life.watch.kept)

    assert (made.candidate, made.reason, made.run_id) == ("baseline", "ships", run.run_id)
    assert life.watch.kept.lock(made.lock_sha256) == OLD
    assert [one.role for one in life.watch.history.goods()][-1] == "promoted"


def test_a_run_without_provenance_is_refused(life: Life) -> None:
    """A folder that does not say under which packages it was made cannot be compared."""
    from perflib.errors import ParameterError

    run = life.run()
    run.record_path("provenance", "run").unlink()
    with pytest.raises(ParameterError, match="run it again"):
        life.check(run)


def test_what_is_over_is_no_reference(life: Life) -> None:
    """After a regression was mended its runs count for nothing, and the next one is found as the first was."""
    life.quiet()
    life.bench = FakeBench(NEW, cost=slower_with("2.0"))
    life.until_nominated(factor=1.2, lock=NEW)
    for _ in range(4):
        life.check(factor=1.2, lock=NEW)
    life.bench = FakeBench(OLD)
    for _ in range(14):
        life.check()
    assert {alert.state for alert in life.watch.book.list()} == {"FIXED"}
    life.bench = FakeBench(NEW, cost=slower_with("2.0"))
    second = life.until_nominated(factor=1.2, lock=NEW)

    assert second.check.exit_code == 3
    assert sorted(alert.state for alert in life.watch.book.list()) == ["FIXED", "OPEN"]
