"""
Calibrating ourselves: real comparisons whose truth is known, by the very machinery that compares models.

A probe against itself has to be called neither slower nor faster; against a copy with planted slowness it has to be
found. Workers import NumPy alone, so a life takes a second and hundreds of comparisons an hour or two; every one is
kept, and a second call goes on where the first was ended.
"""

import dataclasses
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from perflib.artifact import Artifact
from perflib.benchmarking import conditions, planning
from perflib.benchmarking.arm import StartArm
from perflib.benchmarking.compare import compare
from perflib.benchmarking.conditions import Watch
from perflib.benchmarking.probe import LAYER_COUNT, make_probe, probe_inputs
from perflib.benchmarking.question import Question
from perflib.benchmarking.scenarios import get_scenarios
from perflib.errors import DataError
from perflib.progress import Progress
from perflib.results import Calibration, CalibrationCell, Comparison, NoiseFloor, VisibleEffect

ALPHA, TOLERANCE, MDE = 0.01, 0.005, 0.03
MAX_LIVES_COUNT = 30
# A shared processor changes its speed every few seconds; of five quads the estimate does not notice one that it spoils.
_UNITS_COUNT = 5
_NOISE_LIVES_COUNT = 8
_QUIET_TRIES_COUNT = 30


@dataclasses.dataclass(frozen=True)
class Cell:
    """One kind of comparison: how the slower copy is made, how much slower it is, and how many are wanted."""

    kind: str
    effect_ratio: float
    wanted_count: int

    @property
    def name(self) -> str:
        """The stem of its files."""
        return self.kind if not self.effect_ratio else f"{self.kind}-{100 * self.effect_ratio:.0f}"

    def make(self, folder: Path) -> Artifact:
        """Write the artifact that stands for the candidate."""
        if self.kind == "work":
            return make_probe(folder / self.name, layer_count=round(LAYER_COUNT * (1 + self.effect_ratio)))
        return make_probe(folder / self.name, spin_ratio=self.effect_ratio if self.kind == "spin" else 0.0)


def usual_cells(*, same_count: int = 200, planted_count: int = 30) -> tuple[Cell, ...]:
    """Return an A/A cell, and 3, 5 and 10 % planted by spinning and by real work."""
    planted = [Cell(kind, effect, planted_count) for kind in ("spin", "work") for effect in (0.03, 0.05, 0.10)]
    return (Cell("none", 0.0, same_count), *planted)


def calibrate(
    folder: Path,
    *,
    hardware_class: str,
    cells: Sequence[Cell] | None = None,
    budget_sec: float = 5400.0,
    max_lives_count: int = MAX_LIVES_COUNT,
    start_arm: StartArm | None = None,
    watch: Watch | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> Calibration:
    """
    Do the comparisons that are missing, until all are there or the time is spent, and sum up those that are.

    Args:
        folder: Where comparisons are kept, one file each.
        hardware_class: Of the machine card.
        cells: What is compared; `usual_cells` if not given.
        budget_sec: No comparison is begun after that.
        max_lives_count: Of one comparison.
        start_arm: Starts workers; tests pass their own.
        watch: Reads the machine.
        clock: Monotonic seconds.
    """
    cells, start_sec, watch = cells or usual_cells(), clock(), watch or Watch()
    todo = [place for place in _in_turn(cells) if _read(_file(folder, *place)) is None]
    is_busy = False
    with Progress("calibrating", len(todo)) as bar:
        for cell, index in todo:
            if clock() - start_sec > budget_sec:
                break
            if is_busy:
                _wait_until_quiet(watch)
            done = compare_probes(
                folder / "probes",
                cell,
                name=f"{cell.name}-{index:03d}",
                hardware_class=hardware_class,
                max_lives_count=max_lives_count,
                # Another toss for every comparison, and the same one when it has to be done again.
                seed=1000 * list(cells).index(cell) + index,
                start_arm=start_arm,
                watch=watch,
            )
            done.write(_file(folder, cell, index))
            is_busy = any(mark.startswith(conditions.OTHERS) for mark in done.marks)
            bar.step(f"{done.name} {done.scenarios[0].verdict.lower()}, {len(done.processes)} lives")
    return sum_up(folder, hardware_class=hardware_class, cells=cells, max_lives_count=max_lives_count)


def compare_probes(
    folder: Path,
    cell: Cell,
    *,
    name: str,
    hardware_class: str,
    seed: int,
    max_lives_count: int = MAX_LIVES_COUNT,
    start_arm: StartArm | None = None,
    watch: Watch | None = None,
) -> Comparison:
    """
    Compare a probe with a copy of which we know how much slower it is.

    Args:
        folder: Where the probes are written.
        cell: How the copy is made.
        name: Of the record.
        hardware_class: Of the machine card.
        seed: Of the coins.
        max_lives_count: Lives at most.
        start_arm: Starts workers; tests pass their own.
        watch: Reads the machine.
    """
    question = Question(
        name=name,
        # All at once: a warm-up is an eighth of a slot there, and a life a second.
        scenarios=get_scenarios(["offline"]),
        hardware_class=hardware_class,
        max_lives_count=max_lives_count,
        units_per_life_count=_UNITS_COUNT,
        alpha=ALPHA,
        tolerance=TOLERANCE,
        mde=MDE,
        seed=seed,
    )
    baseline, candidate = make_probe(folder / "baseline"), cell.make(folder)
    return compare(baseline, candidate, probe_inputs(), question, start_arm=start_arm, watch=watch)


def sum_up(
    folder: Path, *, hardware_class: str, cells: Sequence[Cell], max_lives_count: int = MAX_LIVES_COUNT
) -> Calibration:
    """Count what the comparisons in a folder said; cells without any are left out."""
    by_cell = {cell: read_comparisons(folder, cell) for cell in cells}
    return Calibration(
        hardware_class=hardware_class,
        alpha_ratio=ALPHA,
        tolerance_ratio=TOLERANCE,
        mde_ratio=MDE,
        max_lives_count=max_lives_count,
        cells=tuple(_counted(cell, done) for cell, done in by_cell.items() if done),
        wall_sec=sum(one.wall_sec for done in by_cell.values() for one in done),
    )


def read_comparisons(folder: Path, cell: Cell) -> list[Comparison]:
    """Return the comparisons of one cell that were done."""
    done = (_read(_file(folder, cell, index)) for index in range(cell.wanted_count))
    return [one for one in done if one is not None]


def measure_noise(
    folder: Path, *, hardware_class: str, start_arm: StartArm | None = None, watch: Watch | None = None
) -> NoiseFloor:
    """
    Live a probe against itself eight times and say what this machine can see.

    Args:
        folder: Where the probe is written.
        hardware_class: Of the machine card.
        start_arm: Starts workers; tests pass their own.
        watch: Reads the machine.
    """
    done = compare_probes(
        folder,
        Cell("none", 0.0, 1),
        name="noise",
        hardware_class=hardware_class,
        seed=time.time_ns() % 2**32,
        max_lives_count=_NOISE_LIVES_COUNT,
        start_arm=start_arm,
        watch=watch,
    )
    # A disturbed life tells of the disturbance; where nothing is left there is no floor to speak of.
    ratios = done.scenarios[0].log_ratios
    sd_ratio = planning.robust_sd(ratios) if len(ratios) > 1 else None
    visible = {} if sd_ratio is None else planning.visible_effects(sd_ratio=sd_ratio, alpha=ALPHA, tolerance=TOLERANCE)
    return NoiseFloor(
        hardware_class=hardware_class,
        lives_count=len(ratios),
        sd_ratio=sd_ratio,
        alpha_ratio=ALPHA,
        visible=tuple(VisibleEffect(effect, count) for effect, count in visible.items()),
        wall_sec=done.wall_sec,
    )


def _counted(cell: Cell, done: Sequence[Comparison]) -> CalibrationCell:
    verdicts = [one.scenarios[0].verdict for one in done]
    alarms = [one.name for one in done if one.scenarios[0].verdict in ("REGRESSION", "IMPROVEMENT")]
    return CalibrationCell(
        kind=cell.kind,
        effect_ratio=cell.effect_ratio,
        comparison_count=len(done),
        regression_count=verdicts.count("REGRESSION"),
        improvement_count=verdicts.count("IMPROVEMENT"),
        pass_count=verdicts.count("PASS"),
        inconclusive_count=verdicts.count("INCONCLUSIVE"),
        median_lives_count=statistics.median(len(one.processes) for one in done),
        sd_ratio=statistics.median(planning.robust_sd(one.scenarios[0].log_ratios or (0.0,)) for one in done),
        alarms=tuple(alarms) if not cell.effect_ratio else (),
    )


def _in_turn(cells: Sequence[Cell]) -> Iterator[tuple[Cell, int]]:
    """
    Take one of each kind, then every A/A, then the planted ones at the same pace.

    So a calibration that is cut short has something of each kind, and that we seldom alarm is the first promise.
    """
    places = [
        (index > 0, index > 0 and cell.effect_ratio > 0, index / cell.wanted_count, order, index)
        for order, cell in enumerate(cells)
        for index in range(cell.wanted_count)
    ]
    for *_, order, index in sorted(places):
        yield cells[order], index


def _file(folder: Path, cell: Cell, index: int) -> Path:
    return folder / "comparisons" / f"{cell.name}-{index:03d}.json"


def _read(path: Path) -> Comparison | None:
    try:
        return Comparison.read(path) if path.is_file() else None
    except DataError:
        return None  # cut while it was written, or of another version: done again


def _wait_until_quiet(watch: Watch) -> None:
    """Let other programs finish; after half a minute go on, because the comparison marks itself as disturbed."""
    for _ in range(_QUIET_TRIES_COUNT):
        if conditions.load_before(watch) is None:
            return
        watch.pause(0.5)
