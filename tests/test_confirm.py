"""The paired rerun and the search for a culprit, on a bench that times nothing."""

from pathlib import Path

import numpy as np
import pytest

from perflib.artifact import Artifact
from perflib.regression.confirm import confirm, inconclusive
from perflib.regression.reruns import Case, State
from perflib.results.history import Component, EnvironmentLock, Family, SeriesKey
from perflib.results.regression import Confirmation, Nomination
from perflib.results.speed import Interval
from tests.fake_bench import FakeBench, lock_of, make_comparison, write_model

OLD, NEW = lock_of(kernel="1.0", other="1.0"), lock_of(kernel="2.0", other="1.0")
METRIC_OF: dict[Family, tuple[str, str]] = {
    "speed": ("single", "p50_sec"),
    "memory": ("all", "peak_rss_bytes"),
    "size": ("all", "size_bytes"),
    "quality": ("all", "accuracy_ratio"),
}


def nominate(family: Family, *, before: float = 0.004, after: float = 0.006) -> Nomination:
    """Return the nomination of a family's usual series."""
    scenario, metric = METRIC_OF[family]
    return Nomination(
        series=SeriesKey("toy", "int8", scenario, metric, "fake"),
        family=family,
        rule="level",
        is_worse=True,
        shift_ratio=Interval(after / before, None, None, 0.98),
        before_value=before,
        after_value=after,
        unit="s",
        good_run_id="good-run",
        good_run_ulid="01A",
        since_run_id="bad-run",
        since_run_ulid="01B",
        after_count=2,
    )


class Bad:
    """Makes the suspect of a case; every argument is a difference to the good state."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.good = folder, State(write_model(folder / "good"), OLD, "data", "good-run")

    def case(
        self,
        *families: Family,
        weights: bytes = b"weights",
        threads: int = 1,
        lock: EnvironmentLock = OLD,
        data: str = "data",
    ) -> Case:
        """Return the case of a suspect with these parts."""
        artifact = write_model(self.folder / "bad", weights=weights, thread_count=threads)
        return Case("int8", self.good, State(artifact, lock, data, "bad-run"), tuple(map(nominate, families)))


@pytest.fixture
def bad(tmp_path: Path) -> Bad:
    """Return a maker of cases."""
    return Bad(tmp_path)


def components(confirmation: Confirmation) -> list[Component]:
    """Return the components that are called culprits."""
    return [one.component for one in confirmation.culprits]


def test_a_slower_environment_is_confirmed_and_named(bad: Bad) -> None:
    """With a single difference the lock is the culprit, and its package is named with both versions."""
    bench = FakeBench(NEW, cost=lambda artifact, python: 1.2 if "kernel=2.0" in python else 1.0)
    (found,) = confirm(bad.case("speed", lock=NEW), bench)

    assert found.verdict == "CONFIRMED"
    assert components(found) == ["lock"]
    assert "kernel 1.0" in found.culprits[0].detail
    assert "2.0" in found.culprits[0].detail
    assert found.ratio is not None
    assert found.ratio.estimate == pytest.approx(1.2)
    assert bench.made == ["rerun-int8-lock"]


@pytest.mark.parametrize("guilty", ["artifact", "parameters", "lock"])
def test_each_of_three_differences_is_swapped_alone(bad: Bad, guilty: str) -> None:
    """Everything changed at once; only the one that costs something is called the culprit."""

    def cost(artifact: Artifact, python: str) -> float:
        is_bad = {
            "artifact": (artifact.folder / "model.safetensors").read_bytes() != b"weights",
            "parameters": artifact.spec.runtime.thread_count == 2,
            "lock": "kernel=2.0" in python,
        }
        return 1.1 if is_bad[guilty] else 1.0

    (found,) = confirm(bad.case("speed", weights=b"other", threads=2, lock=NEW), FakeBench(NEW, cost=cost))

    assert components(found) == [guilty]
    assert [one.swapped for one in found.reruns[:4]] == [
        ("artifact", "lock", "parameters"),
        ("artifact",),
        ("lock",),
        ("parameters",),
    ]


def test_two_culprits_are_both_named(bad: Bad) -> None:
    """Each is worse by itself."""

    def cost(artifact: Artifact, python: str) -> float:
        return (1.1 if artifact.spec.runtime.thread_count == 2 else 1.0) * (1.1 if "kernel=2.0" in python else 1.0)

    (found,) = confirm(bad.case("speed", threads=2, lock=NEW), FakeBench(NEW, cost=cost))

    assert components(found) == ["lock", "parameters"]


def test_what_only_both_together_do_is_said(bad: Bad) -> None:
    """No component is accused that is innocent by itself."""

    def cost(artifact: Artifact, python: str) -> float:
        return 1.2 if artifact.spec.runtime.thread_count == 2 and "kernel=2.0" in python else 1.0

    (found,) = confirm(bad.case("speed", threads=2, lock=NEW), FakeBench(NEW, cost=cost))

    assert found.verdict == "CONFIRMED"
    assert found.culprits == ()
    assert "together" in found.sentence


def test_the_package_is_found_among_several(bad: Bad) -> None:
    """Where several packages changed, each is put back alone."""
    lock = lock_of(kernel="2.0", other="3.0")
    bench = FakeBench(lock, cost=lambda artifact, python: 1.2 if "other=3.0" in python else 1.0)
    (found,) = confirm(bad.case("speed", lock=lock), bench)

    assert [one.detail.split()[0] for one in found.culprits] == ["other"]
    assert {one.package for one in found.reruns} == {None, "kernel", "other"}


def test_a_machine_is_not_blamed_on_anybody(bad: Bad) -> None:
    """Side by side nothing is worse, and the good model is as slow as the suspect was: it is the machine."""
    (found,) = confirm(bad.case("speed", lock=NEW), FakeBench(NEW, level_ratio=1.5))

    assert found.verdict == "MACHINE"
    assert found.culprits == ()


def test_what_does_not_come_back_is_withdrawn(bad: Bad) -> None:
    """Side by side nothing is worse, and the good model is as fast as ever."""
    (found,) = confirm(bad.case("speed", lock=NEW), FakeBench(NEW))

    assert found.verdict == "WITHDRAWN"


def test_a_machine_is_named_also_where_nothing_has_changed(bad: Bad) -> None:
    """The same artifact under the same lock is compared with itself, and its level says the rest."""
    (slow,) = confirm(bad.case("speed"), FakeBench(OLD, level_ratio=1.5))

    assert slow.verdict == "MACHINE"
    assert slow.reruns[0].swapped == ()


def test_other_data_are_the_culprit_where_the_model_is_not(bad: Bad) -> None:
    """Old data cannot be asked again, so they are named when everything else is innocent."""
    (found,) = confirm(bad.case("speed", data="other data"), FakeBench(OLD, level_ratio=1.5))

    assert found.verdict == "CONFIRMED"
    assert components(found) == ["data"]


def test_an_environment_that_cannot_be_built_is_no_acquittal(bad: Bad) -> None:
    """Without the old packages nothing is decided, and the sentence says what is missing."""
    bench = FakeBench(NEW, unbuildable="kernel=1.0")
    (found,) = confirm(bad.case("speed", lock=NEW), bench)

    assert found.verdict == "INCONCLUSIVE"
    assert "cannot be installed" in found.sentence


def test_too_much_noise_is_undecided_and_says_what_it_could_see(bad: Bad) -> None:
    """Lives that contradict each other carry no verdict."""
    bench = FakeBench(NEW, cost=lambda artifact, python: 1.01 if "2.0" in python else 1.0, scatter=0.08)
    (found,) = confirm(bad.case("speed", lock=NEW), bench)

    assert found.verdict == "INCONCLUSIVE"
    assert "8.0 % or more are ruled out" in found.sentence


def test_size_is_counted_not_timed(bad: Bad) -> None:
    """Bytes need no lives, and only the artifact can change them."""
    bench = FakeBench(NEW)
    (found,) = confirm(bad.case("size", weights=b"weights" * 2, lock=NEW), bench)

    assert found.verdict == "CONFIRMED"
    assert components(found) == ["artifact"]
    assert found.ratio is not None
    assert found.ratio.estimate == 2.0
    assert bench.made == []


@pytest.mark.parametrize(
    ("wrong_count", "verdict"), [(0, "WITHDRAWN"), (4, "WITHDRAWN"), (6, "INCONCLUSIVE"), (7, "CONFIRMED")]
)
def test_answers_need_a_drop_that_matters_and_that_chance_does_not_make(
    bad: Bad, wrong_count: int, verdict: str
) -> None:
    """Of 1,000 answers 5 are half a point; 7 of 7 to one side are one in 128, 6 of 6 only one in 64."""

    def right(artifact: Artifact, python: str) -> np.ndarray:
        cut = wrong_count if artifact.spec.runtime.thread_count == 2 else 0
        return np.arange(1000) >= cut

    (found,) = confirm(bad.case("quality", threads=2), FakeBench(OLD, right=right))

    assert found.verdict == verdict
    assert found.ratio is not None
    assert found.ratio.estimate == pytest.approx(-wrong_count / 1000)


def test_memory_rides_on_the_same_lives_as_time(bad: Bad) -> None:
    """One comparison answers both families."""
    bench = FakeBench(
        NEW,
        cost=lambda artifact, python: 1.0,
        memory=lambda artifact, python: 1.3 if "kernel=2.0" in python else 1.0,
    )
    speed, memory = confirm(bad.case("speed", "memory", lock=NEW), bench)

    assert (speed.verdict, memory.verdict) == ("WITHDRAWN", "CONFIRMED")
    assert components(memory) == ["lock"]
    assert bench.made == ["rerun-int8-lock"]


def test_what_cannot_be_rerun_is_undecided_for_every_family() -> None:
    """Silence is no answer."""
    found = inconclusive("int8", [nominate("speed"), nominate("size")], "nothing is kept")

    assert [(one.family, one.verdict) for one in found] == [("speed", "INCONCLUSIVE"), ("size", "INCONCLUSIVE")]
    assert all("nothing is kept" in one.sentence for one in found)


def test_another_python_with_the_same_packages_is_named(bad: Bad) -> None:
    """Where no package differs the interpreter is all that is left."""
    newer = EnvironmentLock("3.11.8", OLD.packages)
    bench = FakeBench(newer, cost=lambda artifact, python: 1.0)
    bench.compare = lambda good, other, **asked: make_comparison("x", [0.2] * 8)  # type: ignore[method-assign]
    (found,) = confirm(bad.case("speed", lock=newer), bench)

    assert "Python 3.11.7 -> 3.11.8" in found.culprits[0].detail
