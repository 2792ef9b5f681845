"""The drill's logic with made-up timings, its parts, and that what it plants is really there."""

import json
import urllib.request
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from perflib.artifact import Artifact
from perflib.errors import SetupError
from perflib.results.history import EnvironmentLock
from perflib.runs import Run
from perflib.watching.check import MakeBench
from perflib.watching.drill import model
from perflib.watching.drill.drill import DrillResult, Stage, run_drill
from perflib.watching.drill.inbox import Inbox
from perflib.watching.drill.model import DrillReviews
from perflib.watching.drill.planted import Planted, planted_regressions, with_package
from perflib.watching.drill.runs import Conditions
from perflib.watching.drill.wheels import GOOD_VERSION, SLOW_VERSION, write_wheels
from tests.fake_bench import FakeBench, lock_of, write_model
from tests.made_runs import Made, make_run

GOOD, SLOW = lock_of(kernel="1.0"), lock_of(kernel="2.0")
NOISE = np.random.default_rng(3).normal(0.0, 0.01, 2000)


def plant_slow(good: Conditions, folder: Path) -> Conditions:
    """Change the environment."""
    return Conditions(good.artifact, "slow", SLOW)


def plant_larger(good: Conditions, folder: Path) -> Conditions:
    """Change the artifact."""
    return Conditions(write_model(folder / "fat", weights=b"weights" * 3), "good", GOOD)


def plant_nothing(good: Conditions, folder: Path) -> Conditions:
    """Change nothing: a regression that nobody can find."""
    return good


class Theatre:
    """A stage where a slow environment costs a fifth more, in runs and reruns alike."""

    def __init__(self, folder: Path, *planted: tuple[str, Callable[[Conditions, Path], Conditions]]) -> None:
        family = {"lock": "speed", "artifact": "size"}
        self.folder, self.moment = folder, 0
        self.stage = Stage(
            good=Conditions(write_model(folder / "model"), "good", GOOD),
            planted=tuple(
                Planted(f"case-{index}", "a story", family[component], component, plant)  # type: ignore[arg-type]
                for index, (component, plant) in enumerate(planted)
            ),
            run=self.run,
            bench=self.bench,
        )

    def run(self, place: Path, conditions: Conditions, number: int) -> Run:
        """Make up a run."""
        self.moment += 1
        factor = 1.2 if conditions.lock == SLOW else 1.0
        made = Made(p50_sec=0.004 * factor * float(np.exp(NOISE[self.moment])))
        return make_run(place, conditions.artifact, conditions.lock, made, millisecond=self.moment)

    def bench(self, conditions: Conditions) -> MakeBench:
        """Make a bench on which the slow environment costs the same."""
        return lambda run: FakeBench(conditions.lock, cost=lambda artifact, python: 1.2 if "2.0" in python else 1.0)

    def play(self) -> tuple[DrillResult, list[str]]:
        """Play the whole drill."""
        said: list[str] = []
        return run_drill(self.folder / "drill", self.stage, say=said.append), said


def test_what_is_planted_is_found_once_with_its_culprit(tmp_path: Path, own_folders: Path) -> None:
    """Each case ends with one message, and nothing arrives while nothing is planted."""
    theatre = Theatre(tmp_path, ("lock", plant_slow), ("artifact", plant_larger))
    done, said = theatre.play()

    assert [case.why for case in done.cases] == ["", ""]
    assert done.line == "drill: 2 of 2 planted found, 0 alerts with nothing planted"
    assert done.is_passed
    assert [len(case.letters) for case in done.cases] == [1, 1]
    assert "kernel 1.0" in done.cases[0].letters[0].text
    assert any("kernel 1.0" in line for line in said)


def test_what_cannot_be_found_fails_the_drill(tmp_path: Path, own_folders: Path) -> None:
    """A drill that always passes would prove nothing."""
    done, _ = Theatre(tmp_path, ("lock", plant_nothing)).play()

    assert done.line == "drill: 0 of 1 planted found, 0 alerts with nothing planted"
    assert not done.is_passed
    assert "no alert in 6 runs" in done.cases[0].why


def test_a_wrong_culprit_fails_the_drill(tmp_path: Path, own_folders: Path) -> None:
    """It is not enough that something is found."""
    theatre = Theatre(tmp_path, ("artifact", plant_slow))
    done, _ = theatre.play()

    assert not done.is_passed
    assert "it is the artifact" in done.cases[0].why or "no alert" in done.cases[0].why


def test_the_inbox_keeps_what_arrives() -> None:
    """Posts are read back in order, once."""
    with Inbox() as inbox:
        for number in range(2):
            body = json.dumps({"title": f"t{number}", "message": "m"}).encode()
            address = inbox.url.replace("json://", "http://")
            urllib.request.urlopen(urllib.request.Request(address, data=body, method="POST"), timeout=10).close()
        taken = inbox.take()

        assert [letter.title for letter in taken] == ["t0", "t1"]
        assert inbox.take() == []


# --- what is planted --------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def baseline(tmp_path_factory: pytest.TempPathFactory) -> tuple[DrillReviews, Artifact]:
    """Return the drill's workload with its trained model."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PERFLIB_CACHE_DIR", str(tmp_path_factory.mktemp("cache")))
        workload = DrillReviews()
        return workload, workload.prepare()


@pytest.fixture
def kernel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Return a function that makes one version of the drill's package importable."""

    def choose(version: str) -> None:
        folder = tmp_path / version
        with zipfile.ZipFile(write_wheels(tmp_path / "wheels") / f"{model.KERNEL}-{version}-py3-none-any.whl") as wheel:
            wheel.extractall(folder)
        monkeypatch.syspath_prepend(str(folder))
        monkeypatch.delitem(__import__("sys").modules, model.KERNEL, raising=False)

    return choose


def answers(workload: DrillReviews, artifact: Artifact) -> np.ndarray:
    """Return a freshly opened model's answers to the test split."""
    return Artifact.load(artifact.folder).predict(workload.encode(workload.splits().test.inputs))


def test_the_model_has_learnt(baseline: tuple[DrillReviews, Artifact], kernel: Callable[[str], None]) -> None:
    """It is right clearly more often than a coin."""
    workload, artifact = baseline
    kernel(GOOD_VERSION)
    right = answers(workload, artifact).argmax(axis=1) == workload.splits().test.labels

    assert right.mean() > 0.65


def test_both_versions_answer_alike(baseline: tuple[DrillReviews, Artifact], kernel: Callable[[str], None]) -> None:
    """The slow version does more work for the same answers."""
    workload, artifact = baseline
    kernel(GOOD_VERSION)
    first = answers(workload, artifact)
    kernel(SLOW_VERSION)

    np.testing.assert_allclose(answers(workload, artifact), first, atol=1e-5)


def test_the_slow_version_multiplies_more() -> None:
    """Its source has a second product, and no sleep."""
    from perflib.watching.drill.wheels import _PRODUCTS

    assert _PRODUCTS[SLOW_VERSION].count("@") == _PRODUCTS[GOOD_VERSION].count("@") + 1
    assert "sleep" not in "".join(_PRODUCTS.values())


def test_the_two_planted_artifacts_are_what_they_say(
    baseline: tuple[DrillReviews, Artifact], kernel: Callable[[str], None], tmp_path: Path
) -> None:
    """One is less often right by many points, the other larger, with the same answers."""
    workload, artifact = baseline
    kernel(GOOD_VERSION)
    good, labels = Conditions(artifact, "python", GOOD), workload.splits().test.labels
    _, less_right, larger = planted_regressions(tmp_path / "wheels")
    cut, fat = less_right.plant(good, tmp_path).artifact, larger.plant(good, tmp_path).artifact
    first = answers(workload, artifact)

    assert (answers(workload, cut).argmax(axis=1) == labels).mean() < (first.argmax(axis=1) == labels).mean() - 0.05
    assert fat.size_bytes > 1.5 * artifact.size_bytes
    np.testing.assert_array_equal(answers(workload, fat), first)


def test_without_its_package_the_model_says_what_to_do(
    baseline: tuple[DrillReviews, Artifact], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One sentence, no traceback."""
    workload, artifact = baseline
    monkeypatch.setitem(__import__("sys").modules, model.KERNEL, None)
    with pytest.raises(SetupError, match="make drill"):
        answers(workload, artifact)


def test_a_package_is_put_into_a_lock() -> None:
    """Whatever version was there before."""
    lock: EnvironmentLock = with_package(lock_of(alpha="1"), "1.0")

    assert [(one.name, one.version) for one in with_package(lock, "2.0").packages] == [
        ("alpha", "1"),
        ("perflib-drill-kernel", "2.0"),
    ]
