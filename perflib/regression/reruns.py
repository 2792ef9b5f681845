"""
One paired rerun, judged for every family: time and memory by lives, size by its bytes, answers example by example.

A rerun puts some components of the suspect into the last good state and runs both. It is made once, whoever asks.
"""

import dataclasses
import tempfile
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from perflib.artifact import Artifact
from perflib.errors import PerflibError
from perflib.regression.components import mix, parameters_sha256, weights_sha256
from perflib.regression.locks import lock_sha256
from perflib.regression.outcomes import judge_answers, judge_size, judge_time, level_is_new
from perflib.results.history import COMPONENTS, Component, EnvironmentLock, Family
from perflib.results.regression import Nomination, Rerun
from perflib.results.speed import Comparison

TIMED: tuple[Family, ...] = ("speed", "memory")


@dataclasses.dataclass(frozen=True)
class State:
    """A model with the environment, the data and the run that it belongs to."""

    artifact: Artifact
    lock: EnvironmentLock
    data_sha256: str
    run_id: str


@dataclasses.dataclass(frozen=True)
class Case:
    """What a confirmation is about: the last good state, the suspect, and the nominations of one candidate."""

    candidate: str
    good: State
    suspect: State
    nominations: tuple[Nomination, ...]

    @property
    def changed(self) -> tuple[Component, ...]:
        """Every component that differs, data included."""
        good, suspect = _digests(self.good), _digests(self.suspect)
        return tuple(component for component in COMPONENTS if good[component] != suspect[component])

    @property
    def differing(self) -> tuple[Component, ...]:
        """The components that can be swapped: data cannot, since only today's are there."""
        return tuple(component for component in self.changed if component != "data")

    def of(self, family: Family) -> tuple[Nomination, ...]:
        """Return the nominations of a family."""
        return tuple(one for one in self.nominations if one.family == family)


class Bench(Protocol):
    """Runs models; the real one builds environments and times processes."""

    @property
    def labels(self) -> NDArray[np.int64]:
        """The right answers of the test split."""
        ...

    def python(self, lock: EnvironmentLock, *, without: str | None = None) -> str:
        """
        Return an interpreter in which the packages of a lock are installed.

        ``without`` leaves one package as it is today. `PerflibError` if that environment cannot be had.
        """
        ...

    def compare(
        self, good: Artifact, other: Artifact, *, pythons: tuple[str, str], scenarios: Sequence[str], name: str
    ) -> Comparison:
        """Compare two models in fresh processes at the level of a confirmation."""
        ...

    def answers(self, artifact: Artifact, *, python: str) -> NDArray[np.float32]:
        """Return a model's probabilities for the whole test split."""
        ...


@dataclasses.dataclass(frozen=True)
class Judged:
    """A rerun as one family sees it; ``is_level_new`` says whether the good model is as bad as the suspect was."""

    rerun: Rerun
    comparison: Comparison | None = None
    is_level_new: bool = False


class Reruns:
    """The reruns of one case, each made when first asked for."""

    def __init__(self, case: Case, bench: Bench) -> None:
        self._case, self._bench = case, bench
        self._done: dict[tuple[tuple[Component, ...], str | None], dict[Family, Judged]] = {}

    def judge(self, swapped: Sequence[Component], *, package: str | None = None) -> dict[Family, Judged]:
        """
        Run the good state against itself with ``swapped`` taken from the suspect, and judge every nominated family.

        Args:
            swapped: Components.
            package: Of a swapped lock only this package is taken.
        """
        key = (tuple(swapped), package)
        if key not in self._done:
            self._done[key] = self._judge(key[0], package)
        return self._done[key]

    def _judge(self, swapped: tuple[Component, ...], package: str | None) -> dict[Family, Judged]:
        families = {one.family for one in self._case.nominations}
        with tempfile.TemporaryDirectory(prefix="perflib-") as folder:
            try:
                mixed = mix(
                    self._case.good.artifact,
                    self._case.suspect.artifact,
                    swapped=swapped,
                    folder=Path(folder) / "mixed",
                )
                return dict(self._each(mixed, swapped, package, families))
            except PerflibError as error:
                lost = Rerun(swapped, package, None, None, None, str(error))
                return dict.fromkeys(families, Judged(lost))

    def _each(
        self, mixed: Artifact, swapped: tuple[Component, ...], package: str | None, families: Collection[Family]
    ) -> list[tuple[Family, Judged]]:
        """Judge the families one after the other; one that fails takes the others along, since they share processes."""
        case, found = self._case, list[tuple[Family, Judged]]()
        if "size" in families:
            outcome = judge_size(case.good.artifact, mixed)
            found.append(("size", Judged(outcome.rerun(swapped, package))))
        if not {*families} - {"size"}:
            return found
        pythons = self._pythons(swapped, package)
        if "quality" in families:
            good = self._bench.answers(case.good.artifact, python=pythons[0])
            other = self._bench.answers(mixed, python=pythons[1])
            outcome = judge_answers(good, other, self._bench.labels)
            found.append(("quality", Judged(outcome.rerun(swapped, package))))
        if {*families} & {*TIMED}:
            comparison = self._timed(mixed, pythons, swapped, package)
            for family in [one for one in TIMED if one in families]:
                nominations = case.of(family)
                outcome = judge_time(comparison, nominations)
                level = level_is_new(comparison, nominations)
                found.append((family, Judged(outcome.rerun(swapped, package), comparison, level)))
        return found

    def _timed(
        self, mixed: Artifact, pythons: tuple[str, str], swapped: Sequence[Component], package: str | None
    ) -> Comparison:
        scenarios = sorted({one.series.scenario for one in self._case.nominations if one.family in TIMED} - {"all"})
        return self._bench.compare(
            self._case.good.artifact,
            mixed,
            pythons=pythons,
            scenarios=scenarios or ["offline"],
            name="-".join(["rerun", self._case.candidate, *swapped, *([package] if package else [])]),
        )

    def _pythons(self, swapped: Sequence[Component], package: str | None) -> tuple[str, str]:
        good, suspect = self._case.good.lock, self._case.suspect.lock
        first = self._bench.python(good)
        if "lock" not in swapped:
            return first, first
        return first, self._bench.python(good, without=package) if package else self._bench.python(suspect)


def _digests(state: State) -> dict[Component, str]:
    return {
        "artifact": weights_sha256(state.artifact.spec),
        "lock": lock_sha256(state.lock),
        "parameters": parameters_sha256(state.artifact.spec),
        "data": state.data_sha256,
    }
