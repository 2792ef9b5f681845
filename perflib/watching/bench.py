"""
Where suspects are rerun: environments built from locks, processes timed in pairs, answers asked under any Python.

    bench = Workbench(workload, here=read_lock(), run=run)
    bench.python(old_lock)      # an interpreter with the packages of then
"""

import functools
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from perflib import project
from perflib.artifact import Artifact
from perflib.benchmarking.arm import Launcher, StartArm, worker_command
from perflib.benchmarking.compare import compare
from perflib.benchmarking.lock import host_lock
from perflib.benchmarking.question import Question
from perflib.benchmarking.scenarios import get_scenarios
from perflib.encoded import Encoded
from perflib.machine import read_card
from perflib.regression.answering import answers_under
from perflib.regression.environments import build_environment
from perflib.regression.locks import diff_locks, lock_sha256
from perflib.regression.outcomes import ALPHA_RATIO
from perflib.results import Comparison
from perflib.results.history import EnvironmentLock
from perflib.runs import Run
from perflib.workloads.base import Workload

# Eight decide a plain effect at 1 %; twice as many are worth an answer.
MAX_LIVES_COUNT = 16
UNITS_PER_LIFE_COUNT = 2


class Workbench:
    """
    The real bench of a confirmation.

    Args:
        workload: Prepared; its test split is asked.
        here: The lock of the environment that ``python`` runs in.
        run: Keeps the records of every rerun.
        python: The interpreter of today.
        find_links: A folder of wheels to install old packages from; None asks the package index.
        max_lives_count: Of one rerun.
        seed: Of the coins.
    """

    def __init__(
        self,
        workload: Workload,
        *,
        here: EnvironmentLock,
        run: Run,
        python: str = sys.executable,
        find_links: Path | None = None,
        max_lives_count: int = MAX_LIVES_COUNT,
        seed: int = 0,
        launcher: Callable[[str, str], StartArm] | None = None,
    ) -> None:
        self._workload, self._here, self._run, self._python = workload, here, run, python
        self._find_links, self._max_lives_count, self._seed = find_links, max_lives_count, seed
        self._launcher = launcher or _launcher

    @property
    def labels(self) -> NDArray[np.int64]:
        """The right answers of the test split."""
        return self._workload.splits().test.labels

    def python(self, lock: EnvironmentLock, *, without: str | None = None) -> str:
        """
        Return an interpreter with the packages of a lock: today's where they are the same, else one built over it.

        Raises:
            SetupError: If that environment cannot be built.
        """
        if lock_sha256(lock) == lock_sha256(self._here):
            return self._python
        changed = [one.name for one in diff_locks(lock, self._here) if one.before is not None]
        made = build_environment(
            lock,
            base=self._here,
            base_python=self._python,
            cache=project.cache_dir() / "environments",
            find_links=self._find_links,
            only=None if without is None else [name for name in changed if name != without],
        )
        return made.python

    def compare(
        self, good: Artifact, other: Artifact, *, pythons: tuple[str, str], scenarios: Sequence[str], name: str
    ) -> Comparison:
        """Compare two models in lives of their own interpreters, at the level of a confirmation."""
        question = Question(
            name=name,
            scenarios=get_scenarios(scenarios),
            hardware_class=read_card().hardware_class,
            max_lives_count=self._max_lives_count,
            units_per_life_count=UNITS_PER_LIFE_COUNT,
            alpha=ALPHA_RATIO,
            seed=self._seed,
        )
        with host_lock():
            return compare(
                good,
                other,
                self._inputs,
                question,
                on_life=lambda so_far: self._run.write(so_far, name),
                start_arm=self._launcher(*pythons),
            )

    def answers(self, artifact: Artifact, *, python: str) -> NDArray[np.float32]:
        """Return the probabilities of the whole test split, asked in a process of its own."""
        with host_lock():
            return answers_under(python, artifact, self._inputs)

    @functools.cached_property
    def _inputs(self) -> Encoded:
        return self._workload.encode(self._workload.splits().test.inputs)


def _launcher(good: str, other: str) -> StartArm:
    return Launcher(worker_command(python=good), worker_command(python=other))
