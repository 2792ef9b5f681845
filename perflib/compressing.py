"""
`perflib compress`: a recipe file in, a sealed artifact out, and nothing timed.

    done = compress_named("sentiment-minilm", Path("params/experiments/int8.yaml"))
    done.sentence  # what it cost once, how small it is, what proves that it took effect
"""

import dataclasses
from pathlib import Path

from perflib import project, sentences
from perflib.artifact import Artifact
from perflib.compression.build import build_candidate
from perflib.compression.materials import gather
from perflib.compression.stage import check_recipe, parse_recipe
from perflib.params import load_recipe
from perflib.results import Build
from perflib.runs import Run
from perflib.validation.overlaps import check_splits_apart
from perflib.workloads import get_workload


@dataclasses.dataclass(frozen=True)
class Compressed:
    """An artifact that a recipe made, its record, and the run that keeps both beside the baseline."""

    artifact: Artifact
    build: Build
    run: Run

    @property
    def sentence(self) -> str:
        """What was built, what it cost, and its proofs."""
        return sentences.build_sentence(self.build)


def compress_named(workload: str, recipe: Path, *, run_dir: Path | None = None, seed: int = 0) -> Compressed:
    """
    Build a recipe from a workload's baseline, or find it built, and keep it in a run folder.

    Args:
        workload: Its name.
        recipe: A YAML file with ``recipe:``, or an experiment's.
        run_dir: Where baseline, artifact and record go; a new folder in the outputs if not given.
        seed: Of whatever is trained.

    Raises:
        ParameterError: If workload or recipe cannot be read.
        StageError: If a stage refuses what comes to it, before any work, or cannot prove its effect.
        SetupError: If an engine is not installed or the disk is full.
    """
    name, lines = load_recipe(recipe)
    ingredients = parse_recipe(lines)
    found = get_workload(workload, seed=seed)
    prepared, splits = found.prepare(), found.splits()
    check_splits_apart(splits, unit=found.unit)
    materials = gather(found, splits, seed=seed)
    # Before there is a folder that nobody needs.
    check_recipe(ingredients, prepared.spec, materials)
    run = Run(Path(run_dir).resolve() if run_dir else project.new_run_dir(f"compress-{name}"))
    baseline = run.keep_artifact(prepared, "baseline", runtime=prepared.spec.runtime)
    artifact, build = build_candidate(
        name,
        ingredients,
        parent=baseline,
        folder=run.artifact_folder(name),
        materials=materials,
        cache=project.builds_dir(),
    )
    run.write(build, name)
    return Compressed(artifact, build, run)
