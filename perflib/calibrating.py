"""
`perflib machine`: what this machine is, what it can do at best, what it can see, and how often we would be wrong on it.

    look = look_at_machine()          # card, ceilings, noise floor: about half a minute
    calibrated = calibrate_machine()  # hundreds of real comparisons and the study of rules; goes on where it was ended
"""

import dataclasses
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from perflib import machine, plots, project, sentences
from perflib.benchmarking import calibration, study
from perflib.benchmarking.calibration import Cell, calibrate, measure_noise
from perflib.benchmarking.lock import host_lock
from perflib.benchmarking.noise import MIN_RECORDED_LIVES_COUNT, Noise, recorded_noise, simulated_noises
from perflib.machine import MachineCard
from perflib.profiling.known_ceilings import ceilings_for, known_ceilings
from perflib.results import Calibration, Comparison, MachineCeilings, NoiseFloor, NoiseStudy
from perflib.runs import Run
from perflib.session import keep_figure


@dataclasses.dataclass(frozen=True)
class MachineLook:
    """The machine's card, its measured ceilings and its noise floor."""

    card: MachineCard
    ceilings: MachineCeilings
    noise: NoiseFloor

    def to_dict(self) -> dict[str, Any]:
        """Return all three as plain data."""
        return {name: getattr(self, name).to_dict() for name in ("card", "ceilings", "noise")}

    def lines(self) -> list[str]:
        """Return what a person wants to read."""
        return [
            machine.describe(self.card),
            f"hardware class: {self.card.hardware_class}",
            sentences.ceilings_sentence(ceilings_for(self.ceilings.ceilings, self.card.thread_count)),
            *sentences.repeats_sentences(self.ceilings),
            sentences.noise_sentence(self.noise),
        ]


@dataclasses.dataclass(frozen=True)
class Calibrated:
    """What real comparisons and the study of rules said, and where both lie."""

    calibration: Calibration
    study: NoiseStudy
    run: Run


def look_at_machine() -> MachineLook:
    """Read the card, and measure ceilings and noise floor; what is known of the ceilings is measured once more."""
    card = machine.read_card()
    with host_lock(), tempfile.TemporaryDirectory(prefix="perflib-") as folder:
        ceilings = known_ceilings(card, cache=project.ceilings_dir(), refresh=True)
        return MachineLook(card, ceilings, measure_noise(Path(folder), hardware_class=card.hardware_class))


def calibration_run(hardware_class: str | None = None) -> Run:
    """Return the folder of this machine's calibration, which may not exist yet."""
    return Run(project.outputs_dir() / "calibration" / (hardware_class or machine.read_card().hardware_class))


def known_calibration() -> Calibration | None:
    """Return what real comparisons said on this machine; None where it was never calibrated."""
    return calibration_run().read(Calibration, "real")


def try_probe(
    run: Run,
    name: str,
    *,
    effect_ratio: float = 0.0,
    max_lives_count: int = calibration.MAX_LIVES_COUNT,
    seed: int = 0,
) -> Comparison:
    """
    Compare a small NumPy model with a copy that does so much more work, and keep the record.

    Args:
        run: Where the record goes.
        name: Of the record.
        effect_ratio: The slowdown that is planted, as a share; 0 for the same model twice.
        max_lives_count: Lives at most.
        seed: Of the coins.
    """
    cell = Cell("work" if effect_ratio else "none", effect_ratio, 1)
    hardware_class = machine.read_card().hardware_class
    with host_lock(), tempfile.TemporaryDirectory(prefix="perflib-") as folder:
        done = calibration.compare_probes(
            Path(folder),
            cell,
            name=name,
            hardware_class=hardware_class,
            seed=seed,
            max_lives_count=max_lives_count,
        )
    run.write(done, name)
    return done


def calibrate_machine(
    *,
    cells: Sequence[Cell] | None = None,
    budget_sec: float = 5400.0,
    path_count: int = 10_000,
    rival_path_count: int = 1_000,
) -> Calibrated:
    """
    Do the real comparisons that are missing, study the rules on simulated and recorded noise, and keep both.

    Args:
        cells: What is compared; the usual cells if not given.
        budget_sec: No real comparison is begun after that.
        path_count: Simulated comparisons of our rule, for each noise and effect.
        rival_path_count: The same for each other rule.
    """
    cells = cells or calibration.usual_cells()
    card = machine.read_card()
    run = calibration_run(card.hardware_class)
    with host_lock():
        done = calibrate(run.folder, hardware_class=card.hardware_class, cells=cells, budget_sec=budget_sec)
    run.write(done, "real")
    noises: list[Noise] = [*simulated_noises()]
    lived = [one for cell in cells if not cell.effect_ratio for one in calibration.read_comparisons(run.folder, cell)]
    if sum(len(one.scenarios[0].log_ratios) for one in lived) >= MIN_RECORDED_LIVES_COUNT:
        noises.append(recorded_noise(lived))
    studied = study.run_study(noises, path_count=path_count, rival_path_count=rival_path_count)
    run.write(studied, "rules")
    plots.use_house_style()
    keep_figure(run, plots.plot_calibration(done), "calibration")
    keep_figure(run, plots.plot_rules(studied), "rules")
    return Calibrated(done, studied, run)
