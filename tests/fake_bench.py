"""A bench that times nothing: what a rerun finds follows from which parts of which model run under which packages."""

import dataclasses
import math
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from perflib.artifact import Artifact, Lineage, Runtime
from perflib.benchmarking import decision
from perflib.errors import SetupError
from perflib.results import (
    ArmEnvironment,
    ArmTiming,
    Comparison,
    Interval,
    Life,
    LifeProcesses,
    MetricComparison,
    Percentile,
    Process,
    ScenarioComparison,
)
from perflib.results.history import EnvironmentLock, LockedPackage

LIVES_COUNT = 8
_SLOT_SEC = 0.1


def write_model(
    folder: Path, *, weights: bytes = b"weights", thread_count: int = 1, options: dict[str, object] | None = None
) -> Artifact:
    """Seal something that is never loaded."""
    folder.mkdir(parents=True)
    (folder / "model.safetensors").write_bytes(weights)
    return Artifact.seal(
        folder,
        engine="torch",
        precision="fp32",
        labels=("no", "yes"),
        lineage=Lineage("toy", None, (), {}),
        runtime=Runtime(thread_count=thread_count),
        options=options,
    )


def lock_of(**versions: str) -> EnvironmentLock:
    """Return a lock of some packages."""
    return EnvironmentLock("3.11.7", tuple(LockedPackage(name, version) for name, version in sorted(versions.items())))


@dataclasses.dataclass
class FakeBench:
    """
    Runs nothing.

    ``cost`` says what a model costs under an interpreter, 1 is the good one; ``right`` which answers of a model are
    right. An interpreter is named by its packages. ``unbuildable`` are names of packages whose environment cannot be
    had. ``made`` lists every comparison that was asked for.
    """

    here: EnvironmentLock
    cost: Callable[[Artifact, str], float] = lambda artifact, python: 1.0
    memory: Callable[[Artifact, str], float] = lambda artifact, python: 1.0
    right: Callable[[Artifact, str], NDArray[np.bool_]] = lambda artifact, python: np.ones(1000, bool)
    level_ratio: float = 1.0
    scatter: float = 0.0
    unbuildable: str = ""
    made: list[str] = dataclasses.field(default_factory=list)

    @property
    def labels(self) -> NDArray[np.int64]:
        """Say that the second class is right everywhere."""
        return np.ones(1000, np.int64)

    def python(self, lock: EnvironmentLock, *, without: str | None = None) -> str:
        """Name an interpreter by what is installed for it."""
        versions = {one.name: one.version for one in lock.packages}
        if without is not None:
            versions |= {one.name: one.version for one in self.here.packages if one.name == without}
        name = " ".join(f"{name}={version}" for name, version in sorted(versions.items()))
        if self.unbuildable and self.unbuildable in name:
            raise SetupError(f"{self.unbuildable} cannot be installed; the index does not have it.")
        return name

    def compare(
        self, good: Artifact, other: Artifact, *, pythons: tuple[str, str], scenarios: Sequence[str], name: str
    ) -> Comparison:
        """Return lives that all say the same, scattered a little if asked for."""
        self.made.append(name)
        cost = self.cost(other, pythons[1]) / self.cost(good, pythons[0])
        memory = self.memory(other, pythons[1]) / self.memory(good, pythons[0])
        signs = [1 if index % 2 else -1 for index in range(LIVES_COUNT)]
        ratios = [math.log(cost) + self.scatter * sign for sign in signs]
        return make_comparison(name, ratios, scenarios=scenarios, memory=memory, level_ratio=self.level_ratio)

    def answers(self, artifact: Artifact, *, python: str) -> NDArray[np.float32]:
        """Return probabilities that are right where they should be."""
        right = self.right(artifact, python).astype(np.float32)
        return np.stack([1 - right, right], axis=1)


def make_comparison(
    name: str,
    log_ratios: Sequence[float],
    *,
    scenarios: Sequence[str] = ("single",),
    memory: float = 1.0,
    level_ratio: float = 1.0,
) -> Comparison:
    """Return a comparison at 1 % with these lives; the level of its baseline is scaled by ``level_ratio``."""
    process = Process(
        is_first=True, hash_seed=0, padding_bytes=0, load_sec=1.0, peak_rss_bytes=100_000_000, peak_device_bytes=None
    )
    timing = ArmTiming(_SLOT_SEC, 320.0 / level_ratio, None, None, _percentiles(0.004 * level_ratio))
    lives = tuple(Life("baseline", (), value) for value in log_ratios)
    measured = tuple(
        ScenarioComparison(
            scenario=one,
            statistic="p50",
            verdict=decision.first_verdict(log_ratios, alpha=0.01),
            speedup_ratio=decision.speedup_interval(log_ratios, alpha=0.01),
            evidence=1.0,
            reached_mde_ratio=0.08,
            baseline=timing,
            candidate=timing,
            examples_per_slot_count=1,
            passes_per_slot_count=1,
            dropped_unit_ratio=0.0,
            latency_target_sec=None,
            lives=lives,
        )
        for one in scenarios
    )
    evidence = 1000.0
    peak = MetricComparison(
        "peak memory",
        Interval(memory, memory * 0.99, memory * 1.01, 0.98),
        evidence if memory < 1 else 0.1,
        evidence if memory > 1 else 0.1,
        "more" if memory > 1 else "less" if memory < 1 else "no claim",
    )
    return Comparison(
        name=name,
        baseline_sha256="a",
        candidate_sha256="b",
        inputs_sha256="c",
        hardware_class="fake",
        is_baseline_runtime=False,
        seed=0,
        alpha_ratio=0.01,
        tolerance_ratio=0.005,
        mde_ratio=0.03,
        stop="decided",
        stop_sentence="",
        marks=(),
        scenarios=measured,
        metrics=(peak,),
        processes=(LifeProcesses(process, process),) * len(log_ratios),
        baseline_environment=ArmEnvironment((), "3.11.7", {}),
        candidate_environment=ArmEnvironment((), "3.11.7", {}),
        parent_core_ratio=0.0,
        wall_sec=1.0,
    )


def _percentiles(p50_sec: float) -> tuple[Percentile, ...]:
    return tuple(
        Percentile(share, p50_sec * factor, p50_sec * factor, p50_sec * factor, 1000)
        for share, factor in ((0.5, 1.0), (0.95, 1.5))
    )
