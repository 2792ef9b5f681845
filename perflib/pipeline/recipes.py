"""
Every recipe of a run against the baseline that it starts from, before any notebook runs.

A recipe that cannot work is a mistake in a file, and the run is refused. One that needs what this machine lacks (an
engine, a compiler) is no mistake: its experiment is skipped by name, and the others run.
"""

import dataclasses
from collections.abc import Sequence
from typing import Any

from perflib.artifact import Artifact
from perflib.compression.materials import gather
from perflib.compression.stage import check_recipe, parse_recipe
from perflib.errors import ParameterError, SetupError, StageError
from perflib.params import ExperimentParams, RunParams
from perflib.workloads.base import Workload


def check_recipes(
    workload: Workload, prepared: Artifact, params: RunParams, experiments: Sequence[ExperimentParams]
) -> dict[str, str]:
    """
    Check what every recipe will do, without doing it.

    Returns:
        For each experiment that this machine cannot do: its name and the sentence that says what is missing.

    Raises:
        ParameterError: If a recipe cannot work on any machine, with the experiment's name.
    """
    materials = gather(workload, workload.splits(), seed=params.seed)
    device: Any = params.device
    spec = dataclasses.replace(prepared.spec, runtime=dataclasses.replace(prepared.spec.runtime, device=device))
    lacking: dict[str, str] = {}
    for one in experiments:
        try:
            check_recipe(parse_recipe(one.recipe), spec, materials)
        except SetupError as error:
            lacking[one.name] = str(error)
        except StageError as error:
            raise ParameterError(f"experiment {one.name}: {error}") from error
    return lacking
