"""
What is planted: one regression each in the environment, in the way of serving, and in the artifact.

Each is what happens to people: a dependency whose new version does more work, a limit that somebody lowered to be
faster, weights that were saved with something that nobody reads.
"""

import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np

from perflib.artifact import Artifact, Lineage, link_or_copy
from perflib.regression.environments import build_environment
from perflib.results.history import Component, EnvironmentLock, Family, LockedPackage
from perflib.watching.drill.model import KERNEL, MAX_TOKEN_COUNT
from perflib.watching.drill.runs import Conditions
from perflib.watching.drill.wheels import SLOW_VERSION

_SHORT_TOKEN_COUNT = 8
_USELESS_FILE = "optimizer.safetensors"


@dataclasses.dataclass(frozen=True)
class Planted:
    """One regression: what it is, which family shows it, which component causes it, and how it is made."""

    name: str
    story: str
    family: Family
    component: Component
    plant: Callable[[Conditions, Path], Conditions]


def planted_regressions(wheels: Path) -> tuple[Planted, ...]:
    """Return the three; ``wheels`` is where the packages of the drill lie."""
    return (
        Planted(
            "slower",
            f"version {SLOW_VERSION} of a dependency does more work for the same answers",
            "speed",
            "lock",
            lambda good, folder: _slower(good, folder, wheels),
        ),
        Planted(
            "less-right",
            f"texts are cut after {_SHORT_TOKEN_COUNT} words instead of {MAX_TOKEN_COUNT}",
            "quality",
            "parameters",
            _less_right,
        ),
        Planted("larger", "the optimizer's state was saved beside the weights", "size", "artifact", _larger),
    )


def with_package(lock: EnvironmentLock, version: str) -> EnvironmentLock:
    """Return a lock in which the drill's package has a version."""
    name = KERNEL.replace("_", "-")
    others = [one for one in lock.packages if one.name != name]
    packages = sorted([*others, LockedPackage(name, version)], key=lambda one: one.name)
    return dataclasses.replace(lock, packages=tuple(packages))


def _slower(good: Conditions, folder: Path, wheels: Path) -> Conditions:
    made = build_environment(
        with_package(good.lock, SLOW_VERSION),
        base=good.lock,
        base_python=good.python,
        cache=folder / "environments",
        find_links=wheels,
    )
    return Conditions(good.artifact, made.python, made.lock)


def _less_right(good: Conditions, folder: Path) -> Conditions:
    spec = dataclasses.replace(good.artifact.spec, options={"max_token_count": _SHORT_TOKEN_COUNT})
    return dataclasses.replace(good, artifact=_written(good.artifact, spec.options, folder / "less-right"))


def _larger(good: Conditions, folder: Path) -> Conditions:
    from safetensors.numpy import load_file, save_file

    target = folder / "larger"
    target.mkdir(parents=True)
    (weights,) = [good.artifact.folder / file.path for file in good.artifact.spec.files]
    moments = {f"{name}.moment": np.square(tensor) for name, tensor in load_file(weights).items()}
    save_file(moments, target / _USELESS_FILE)
    return dataclasses.replace(good, artifact=_written(good.artifact, good.artifact.spec.options, target))


def _written(parent: Artifact, options: dict[str, object], folder: Path) -> Artifact:
    """Seal the parent's weights, and whatever lies in the folder, as another artifact."""
    folder.mkdir(parents=True, exist_ok=True)
    for file in parent.spec.files:
        link_or_copy(parent.folder / file.path, folder / file.path)
    lineage = parent.spec.lineage
    return Artifact.seal(
        folder,
        engine=parent.spec.engine,
        precision=parent.spec.precision,
        labels=parent.spec.labels,
        lineage=Lineage(lineage.workload, parent.digest, lineage.recipe, lineage.versions),
        runtime=parent.spec.runtime,
        options=options,
    )
