"""
Canaries: frozen reference workloads, each against itself, at the start of a job.

They say whether this machine is as it always is before anything of ours is measured on it: how long the fixed work
takes, how much it varies, and whether two equal arms look different.

    canaries = run_canaries(folder, hardware_class="…", seed=0)
    judge_machine(canaries, past=…, …)   # in perflib.regression.quarantine
"""

import dataclasses
import random
import statistics
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from perflib.artifact import Artifact
from perflib.benchmarking import gpu
from perflib.benchmarking.arm import Launcher, StartArm
from perflib.benchmarking.conditions import Watch
from perflib.benchmarking.decision import bounded_exp, log_evidence
from perflib.benchmarking.lives import Agreed, Pair, live, log_ratio
from perflib.benchmarking.planning import robust_sd
from perflib.benchmarking.probe import make_probe, probe_inputs
from perflib.benchmarking.scenarios import Scenario, get_scenarios
from perflib.errors import ParameterError, did_you_mean
from perflib.machine import read_card
from perflib.progress import Progress
from perflib.regression.canary_engine import make_gpu_copy, make_gpu_product, make_stream
from perflib.results import Readings, Unit
from perflib.results.regression import Canary

UNITS_COUNT = 8


@dataclasses.dataclass(frozen=True)
class Reference:
    """One frozen workload: its name in the history, how it is written, and whether it needs a GPU."""

    name: str
    make: Callable[[Path], Artifact]
    is_on_gpu: bool = False


REFERENCES: tuple[Reference, ...] = (
    Reference("cpu", make_probe),
    Reference("memory", make_stream),
    Reference("gpu-gemm", make_gpu_product, is_on_gpu=True),
    Reference("gpu-copy", make_gpu_copy, is_on_gpu=True),
)


def run_canaries(
    folder: Path,
    *,
    hardware_class: str,
    seed: int,
    start_arm: StartArm | None = None,
    watch: Watch | None = None,
    names: Sequence[str] | None = None,
) -> tuple[Canary, ...]:
    """
    Live every reference workload against itself once, for eight units.

    Disturbed units count too: a canary tells of the machine as it is.

    Args:
        folder: Where the workloads are written.
        hardware_class: Of the machine card.
        seed: Of the coins.
        start_arm: Starts workers; tests pass their own.
        watch: Reads the machine.
        names: Which of `REFERENCES`; those that this machine has the device for if not given.

    Raises:
        ParameterError: If a name is not known.
        ArmError: If a worker dies, hangs or refuses.
    """
    wanted = _wanted(names)
    done = []
    with Progress("canaries", len(wanted)) as bar:
        for reference in wanted:
            done.append(
                _run(
                    reference,
                    folder / reference.name,
                    hardware_class=hardware_class,
                    # By name, so that a canary tosses the same coins whichever run beside it.
                    coins=random.Random(f"{seed} {reference.name}"),
                    start_arm=start_arm or Launcher(),
                    watch=watch or Watch(),
                )
            )
            bar.step(reference.name)
    return tuple(done)


def has_cuda() -> bool:
    """Say whether the canaries of a GPU can run; torch is asked only where the driver knows a GPU."""
    if not read_card().gpus:
        return False
    try:
        import torch
    except ImportError:
        return False
    return torch.cuda.is_available()


def evidence_of_difference(log_ratios: Sequence[float]) -> float:
    """
    Return E for "the two arms differ", either way: the mean of the evidence for each direction.

    Eight units can give 128 at the most, so only a plain difference of equal arms reaches 100.

    Example:
        >>> evidence_of_difference([0.3] * 8) > 100 > evidence_of_difference([0.1] * 8)
        True
        >>> evidence_of_difference([0.3, -0.3] * 4) < 1
        True
    """
    values = list(log_ratios)
    return statistics.fmean(bounded_exp(log_evidence(side)) for side in (values, [-value for value in values]))


def _wanted(names: Sequence[str] | None) -> list[Reference]:
    if names is None:
        is_on_gpu = has_cuda()
        return [one for one in REFERENCES if is_on_gpu or not one.is_on_gpu]
    known = {one.name: one for one in REFERENCES}
    for name in names:
        if name not in known:
            raise ParameterError(f"canary `{name}` is not known; {did_you_mean(name, known)}")
    return [known[name] for name in names]


def _run(
    reference: Reference,
    folder: Path,
    *,
    hardware_class: str,
    coins: random.Random,
    start_arm: StartArm,
    watch: Watch,
) -> Canary:
    artifact = reference.make(folder / "artifact")
    inputs = probe_inputs().write(folder / "inputs.npz")
    (scenario,) = get_scenarios(["offline"])
    lived = live(
        Pair(artifact.folder, artifact.folder, inputs),
        [scenario],
        units_count=UNITS_COUNT,
        agreed=Agreed(),
        coins=coins,
        start_arm=start_arm,
        watch=watch,
    )
    units = lived.by_scenario[scenario.name].units
    return _canary(reference.name, units, scenario, hardware_class=hardware_class)


def _canary(name: str, units: Sequence[Unit], scenario: Scenario, *, hardware_class: str) -> Canary:
    log_ratios = [log_ratio(unit, scenario) for unit in units]
    readings = [unit.readings for unit in units if unit.readings is not None]
    steals = [one.steal_ratio for one in readings if one.steal_ratio is not None]
    return Canary(
        name=name,
        hardware_class=hardware_class,
        level_sec=statistics.median(value for unit in units for value in _passes_sec(unit, scenario)),
        sd_ratio=robust_sd(log_ratios),
        evidence=evidence_of_difference(log_ratios),
        unit_count=len(units),
        throttle_count=_throttle_count(readings),
        steal_ratio=statistics.fmean(steals) if steals else None,
        unit_levels_sec=tuple(statistics.geometric_mean(_passes_sec(unit, scenario)) for unit in units),
    )


def _passes_sec(unit: Unit, scenario: Scenario) -> list[float]:
    """
    Return the seconds of each slot by its passes.

    A slot is filled with as many passes as the first call of the day suggests; its sum would jump with their number.
    """
    return [scenario.value_sec(samples) / len(samples) for samples in unit.samples_sec]


def _throttle_count(readings: Iterable[Readings]) -> int | None:
    """Count what the processor counted and the units in which the GPU held its clocks down; None if none can say."""
    known: list[int] = []
    for one in readings:
        if one.throttle_count is not None:
            known.append(one.throttle_count)
        if one.gpu_throttle_bits is not None:
            known.append(int(gpu.is_throttled(one.gpu_throttle_bits)))
    return sum(known) if known else None
