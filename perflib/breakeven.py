"""
Where a candidate is faster than the baseline and where it is slower: first predicted, then measured.

One ratio over one mix of texts hides that an engine may help long texts and hurt short ones. The map has a cell for
every batch size and length. Its prediction comes from timings at a few other shapes and is written down before any
cell is timed; whoever breaks off and begins again is held to it.

    found = measure_breakeven(session, "fixed-64", candidate, max_lives_count=6, units_per_life_count=1)
"""

import datetime
import random
import statistics
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from perflib import project
from perflib.artifact import SPEC_FILE, Artifact
from perflib.benchmarking.arm import ArmName, Launcher, StartArm
from perflib.benchmarking.compare import compare
from perflib.benchmarking.conditions import Watch
from perflib.benchmarking.grid import Cell, cell, grid_cells
from perflib.benchmarking.lives import ARMS, Agreed, Pair, arm_slots, live
from perflib.benchmarking.lock import host_lock
from perflib.benchmarking.question import check_comparable
from perflib.benchmarking.scenarios import Scenario
from perflib.errors import DataError
from perflib.params import load_recipe
from perflib.profiling.forecast import Shape, fit_cost, predicted_ratio, probe_shapes
from perflib.results import Breakeven, BreakevenCell, Comparison, Life, ScenarioComparison
from perflib.session import Session

Compare = Callable[..., Comparison]
Now = Callable[[], datetime.datetime]
# A probe decides nothing, but all of the prediction. Three short lives are better than a long one: what disturbs a
# machine for seconds spoils one of them, and the median forgets it.
_PROBE_LIVES_COUNT = 3


def find_candidate(session: Session, name: str) -> Artifact:
    """
    Return a candidate of the run; where the run has none of this name, it is built as its experiment says.

    Raises:
        ParameterError: If there is no experiment of this name either.
        StageError: If it cannot be built.
    """
    folder = session.run.artifact_folder(name)
    if (folder / SPEC_FILE).is_file():
        return Artifact.load(folder)
    _, recipe = load_recipe(project.root() / "params" / "experiments" / f"{name}.yaml")
    return session.build(name, recipe)[0]


def measure_breakeven(
    session: Session,
    name: str,
    candidate: Artifact,
    *,
    max_lives_count: int,
    units_per_life_count: int,
    compare: Compare = compare,
    start_arm: StartArm | None = None,
    watch: Watch | None = None,
    now: Now = lambda: datetime.datetime.now(datetime.UTC),
) -> Breakeven:
    """
    Predict the map and write it down, then measure it and keep the record.

    A map of the same two artifacts that the run has already is not made again: neither its prediction, nor, where it
    was finished, its measurement.

    Args:
        session: Of the run.
        name: The candidate.
        candidate: Its artifact.
        max_lives_count: Pairs of fresh processes at most; all cells share them.
        units_per_life_count: Quads per cell and life.
        compare: Times two artifacts; tests pass their own.
        start_arm: Starts a worker for the probes.
        watch: Reads the machine around every unit of the probes.
        now: The time, for the stamps.

    Raises:
        ParameterError: If the two artifacts do not answer the same question.
        ArmError: If an arm dies, hangs, refuses or writes something else.
    """
    check_comparable(session.baseline, candidate)
    cells = grid_cells(session.inputs)
    question = replace(
        session.question(name, ["single"], max_lives_count=max_lives_count, units_per_life_count=units_per_life_count),
        scenarios=cells,
    )
    with host_lock():
        found = _earlier(session, name, candidate, cells)
        if found is None:
            probes_sec = _probe(session, candidate, cells, start_arm or Launcher(), watch or Watch())
            found = Breakeven(
                name=name,
                baseline_sha256=session.baseline.digest,
                candidate_sha256=candidate.digest,
                probes_sec=probes_sec,
                predicted_at=_stamp(now),
                measured_at=None,
                cells=_predicted(cells, probes_sec),
            )
            session.run.write(found, name)
        if found.measured_at is None:
            measured_at = _stamp(now)
            timed = compare(session.baseline, candidate, session.inputs, question)
            found = replace(found, measured_at=measured_at, cells=_measured(found.cells, timed), comparison=timed)
    session.keep(found, name)
    return found


def _earlier(session: Session, name: str, candidate: Artifact, cells: Sequence[Cell]) -> Breakeven | None:
    """Return what the run says of this map of these two artifacts."""
    try:
        found = session.run.read(Breakeven, name)
    except DataError:
        return None  # of another version, or cut: it is made again
    if found is None or (found.baseline_sha256, found.candidate_sha256) != (session.baseline.digest, candidate.digest):
        return None
    return found if [_shape(one) for one in found.cells] == [_shape_of(one) for one in cells] else None


def _probe(
    session: Session, candidate: Artifact, cells: Sequence[Cell], start_arm: StartArm, watch: Watch
) -> tuple[tuple[int, int, float, float], ...]:
    """Time both models at the probes' shapes, in turns, in a few lives; a description and no verdict."""
    probes = [cell(f"{batch}x{length}") for batch, length in probe_shapes([_shape_of(one) for one in cells])]
    agreed, coins = Agreed(), random.Random(session.seed)
    with tempfile.TemporaryDirectory(prefix="perflib-") as folder:
        pair = Pair(session.baseline.folder, candidate.folder, session.inputs.write(Path(folder) / "inputs.npz"))
        lives = [
            live(pair, probes, units_count=1, agreed=agreed, coins=coins, start_arm=start_arm, watch=watch)
            for _ in range(_PROBE_LIVES_COUNT)
        ]
    return tuple(
        (*_shape_of(one), *(_median_sec([life.by_scenario[one.name] for life in lives], one, arm) for arm in ARMS))  # type: ignore[misc]
        for one in probes
    )


def _median_sec(lives: Sequence[Life], scenario: Scenario, arm: ArmName) -> float:
    """Return the median over lives of what a call took, each of them by its two slots."""
    return statistics.median(
        statistics.fmean(scenario.value_sec(unit.samples_sec[place]) for unit, place in arm_slots(life.units, arm))
        for life in lives
    )


def _predicted(cells: Sequence[Cell], probes_sec: Sequence[tuple[int, int, float, float]]) -> tuple[BreakevenCell, ...]:
    shapes = [(batch, length) for batch, length, _, _ in probes_sec]
    baseline_cost = fit_cost(shapes, [before_sec for _, _, before_sec, _ in probes_sec])
    candidate_cost = fit_cost(shapes, [after_sec for _, _, _, after_sec in probes_sec])
    return tuple(
        BreakevenCell(
            *_shape_of(one),
            predicted_ratio=predicted_ratio(_shape_of(one), baseline=baseline_cost, candidate=candidate_cost),
            measured_ratio=None,
            verdict="",
            lives_count=0,
        )
        for one in cells
    )


def _measured(predicted: Sequence[BreakevenCell], timed: Comparison) -> tuple[BreakevenCell, ...]:
    """Give every cell the verdict that it has by itself."""
    by_name = {one.scenario: one for one in timed.scenarios}
    return tuple(_filled(one, by_name["{}x{}".format(*_shape(one))]) for one in predicted)


def _filled(one: BreakevenCell, timed: ScenarioComparison) -> BreakevenCell:
    return replace(one, measured_ratio=timed.speedup_ratio, verdict=timed.verdict, lives_count=len(timed.log_ratios))


def _shape(one: BreakevenCell) -> Shape:
    return one.batch_example_count, one.length_token_count


def _shape_of(one: Cell) -> Shape:
    return one.example_count, one.length_token_count


def _stamp(now: Now) -> str:
    """Return the time, fine enough that what comes later also reads later."""
    return now().isoformat(timespec="microseconds")
