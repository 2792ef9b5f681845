"""Calibrating ourselves: what is planted is known, nothing is done twice, and a cut leaves something of each kind."""

import functools
import random
from pathlib import Path
from typing import Any

import pytest

from perflib import calibrating, sentences
from perflib.benchmarking import calibration
from perflib.benchmarking.calibration import Cell, calibrate, measure_noise, read_comparisons, usual_cells
from perflib.errors import MeasurementError
from perflib.results import Calibration, CalibrationCell, NoiseFloor, VisibleEffect
from tests.fake_arms import FakeHost, FakeWatch

SMALL = (Cell("none", 0.0, 2), Cell("spin", 0.10, 1), Cell("work", 0.05, 1))


class Pauses:
    """Counts how often somebody waited, without waiting."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self, wait_sec: float) -> None:
        """Count."""
        self.count += 1


def do(folder: Path, host: FakeHost, *, cells: tuple[Cell, ...] = SMALL, budget_sec: float = 1e9) -> Calibration:
    """Calibrate on a host without processes."""
    return calibrate(
        folder,
        hardware_class="fake",
        cells=cells,
        budget_sec=budget_sec,
        start_arm=host,
        watch=FakeWatch(),
        clock=lambda: host.now_ns / 1e9,
    )


def test_the_usual_cells_are_those_of_the_plan() -> None:
    """Two hundred comparisons of a model with itself, thirty of each planted slowdown."""
    cells = usual_cells()

    assert [cell.wanted_count for cell in cells] == [200] + 6 * [30]
    assert {(cell.kind, cell.effect_ratio) for cell in cells[1:]} == {
        (kind, effect) for kind in ("spin", "work") for effect in (0.03, 0.05, 0.10)
    }


@pytest.mark.parametrize(("cell", "key", "value"), [(SMALL[1], "spin_ratio", 0.10), (SMALL[2], "layer_count", 525)])
def test_the_planted_slowdown_is_in_the_artifact(tmp_path: Path, cell: Cell, key: str, value: float) -> None:
    """What a cell says is what its model does."""
    assert cell.make(tmp_path).spec.config[key] == value


def test_every_comparison_is_kept_and_counted(tmp_path: Path) -> None:
    """A host on which the candidate costs 10 % more alarms in every cell, and the A/A alarms are named."""
    done = do(tmp_path, FakeHost(cost_log=0.1))

    assert [(cell.kind, cell.comparison_count, cell.regression_count) for cell in done.cells] == [
        ("none", 2, 2),
        ("spin", 1, 1),
        ("work", 1, 1),
    ]
    assert done.cells[0].alarms == ("none-000", "none-001")
    assert [one.name for one in read_comparisons(tmp_path, SMALL[0])] == ["none-000", "none-001"]


def test_a_second_call_does_only_what_is_missing_or_broken(tmp_path: Path) -> None:
    """A file that was cut is done again, the others stay as they are."""
    do(tmp_path, FakeHost())
    files = sorted((tmp_path / "comparisons").iterdir())
    before = [path.read_bytes() for path in files]
    files[1].write_text("{")
    host = FakeHost()
    do(tmp_path, host)

    assert len(host.arms) == 2 * len(read_comparisons(tmp_path, SMALL[0])[1].processes)
    assert [path.read_bytes() for path in files][2:] == before[2:]
    assert len(read_comparisons(tmp_path, SMALL[0])) == 2


def test_a_cut_calibration_has_something_of_each_kind(tmp_path: Path) -> None:
    """One of each comes first, then every A/A, then the rest."""
    cells = (Cell("spin", 0.10, 20), Cell("none", 0.0, 60))
    done = do(tmp_path, FakeHost(), cells=cells, budget_sec=100.0)

    assert 0 < sum(cell.comparison_count for cell in done.cells) < 80
    assert {cell.kind: cell.comparison_count for cell in done.cells}["spin"] == 1
    assert {cell.kind: cell.comparison_count for cell in done.cells}["none"] > 1


def test_the_coins_of_every_comparison_are_its_own(tmp_path: Path) -> None:
    """Two comparisons of one cell toss differently."""
    do(tmp_path, FakeHost())
    seeds = [one.seed for one in read_comparisons(tmp_path, SMALL[0])]

    assert len(set(seeds)) == 2


def test_it_waits_while_others_are_busy_but_not_for_ever(tmp_path: Path) -> None:
    """After a disturbed comparison it waits, for half a minute at most; the comparisons mark themselves."""
    watch = FakeWatch(before_core_count=1.5)
    watch.pause = pauses = Pauses()
    calibrate(
        tmp_path,
        hardware_class="fake",
        cells=(Cell("none", 0.0, 2),),
        start_arm=FakeHost(),
        watch=watch,
    )

    assert pauses.count == 2 * calibration._QUIET_TRIES_COUNT + 2
    assert any("other programs" in mark for mark in read_comparisons(tmp_path, Cell("none", 0.0, 2))[0].marks)


def test_the_noise_floor_says_what_the_machine_can_see(tmp_path: Path) -> None:
    """A host without noise sees a small effect in the fewest lives."""
    floor = measure_noise(tmp_path, hardware_class="fake", start_arm=FakeHost(), watch=FakeWatch())

    assert floor.sd_ratio == pytest.approx(0.0, abs=1e-6)
    assert floor.visible[0] == VisibleEffect(0.01, 8)
    assert sentences.noise_sentence(floor).startswith("This machine can see 1 % in 8 lives: ")


@pytest.mark.parametrize(
    ("sd_ratio", "visible", "said"),
    [
        (0.02, ((0.03, 14), (0.05, 8), (0.10, 8)), "This machine can see 3 % in 14 lives, 5 % in 8 lives: "),
        (0.30, ((0.50, 90),), "This machine can see no usual effect in 60 lives: "),
        (None, (), "too disturbed"),
    ],
)
def test_the_noise_is_said_in_lives(sd_ratio: float | None, visible: tuple[tuple[float, int], ...], said: str) -> None:
    """Effects that need equally many lives are said once, the smallest."""
    effects = tuple(VisibleEffect(effect, lives) for effect, lives in visible)

    assert said in sentences.noise_sentence(NoiseFloor("fake", 8, sd_ratio, 0.01, effects, 1.0))


def test_the_calibration_is_said_with_its_counts() -> None:
    """False alarms first, then what was found."""
    same = CalibrationCell("none", 0.0, 200, 1, 0, 150, 49, 9.0, 0.01, ("none-007",))
    slow = CalibrationCell("work", 0.05, 30, 29, 0, 0, 1, 8.0, 0.01, ())
    said = sentences.calibration_sentence(Calibration("fake", 0.01, 0.005, 0.03, 30, (same, slow), 1.0))

    assert (
        "Of 200 comparisons of a model with itself 1 said slower or faster, 150 no regression, 49 not decided." in said
    )
    assert "5 % slower by work: found in 29 of 30, median 8 lives." in said


def test_a_whole_calibration_leaves_records_and_figures(own_folders: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Real comparisons, the study on simulated and recorded noise, and both pictures, in the outputs."""
    host = FakeHost(noise=functools.partial(random.Random(0).gauss, 0, 0.01))
    real = calibrate

    def on_fake_host(folder: Path, **settings: Any) -> Calibration:
        return real(folder, **{**settings, "start_arm": host, "watch": FakeWatch()})

    monkeypatch.setattr(calibrating, "calibrate", on_fake_host)
    done = calibrating.calibrate_machine(cells=(Cell("none", 0.0, 3),), path_count=200, rival_path_count=40)

    assert done.run.folder.parent == own_folders / "calibration"
    assert {score.noise for score in done.study.scores} >= {"iid", "recorded"}
    assert sorted(path.name for path in (done.run.folder / "figures").iterdir()) == ["calibration.svg", "rules.svg"]
    assert calibrating.known_calibration() == done.calibration


def test_more_workers_than_a_probe_has_threads_share_one_processor(tmp_path: Path) -> None:
    """A probe names one thread, so that both arms of a life can be kept on one processor."""
    assert Cell("none", 0.0, 1).make(tmp_path).spec.runtime.thread_count == 1


def test_a_calibration_asks_what_a_question_may_ask(tmp_path: Path) -> None:
    """A limit of lives that could decide nothing is refused."""
    with pytest.raises(MeasurementError, match="cannot decide anything"):
        calibrate(
            tmp_path,
            hardware_class="fake",
            cells=SMALL,
            max_lives_count=3,
            start_arm=FakeHost(),
            watch=FakeWatch(),
        )
