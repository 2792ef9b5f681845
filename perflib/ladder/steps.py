"""The artifacts of a ladder: taken from the run where it has them, from the cache of builds, or built."""

from collections.abc import Sequence
from pathlib import Path

from perflib import project
from perflib.artifact import SPEC_FILE, Artifact, ArtifactSpec
from perflib.compression.build import build_stage
from perflib.compression.stage import Ingredient, check_recipe
from perflib.errors import DataError
from perflib.ladder.expand import Step, expand
from perflib.progress import Progress
from perflib.records import dumps, sha256_json
from perflib.results import Build, BuildStep
from perflib.runs import Run
from perflib.session import Session

# An artifact's parent and the line that made it.
_Made = tuple[str, str]


def find_steps(session: Session, recipe: Sequence[Ingredient]) -> list[Step]:
    """
    Take a recipe apart, and find or build the artifact of every step.

    Raises:
        StageError: If the recipe cannot be built from the session's baseline.
        SetupError: If this machine lacks what it needs.
    """
    check_recipe(recipe, session.baseline.spec, session.materials)
    folders, told = _artifact_folders(session.run), _told_steps(session.run)
    steps = []

    def build(line: Ingredient, parent: Artifact) -> tuple[Artifact, BuildStep]:
        step = told.get((parent.digest, dumps(line.to_dict())))
        if step is not None and step.artifact_sha256 in folders:
            return Artifact.load(folders[step.artifact_sha256]), step
        return build_stage(line, parent, session.materials, cache=project.builds_dir())

    with Progress("finding the steps", len(recipe)) as bar:
        for step in expand(recipe, session.baseline, session.materials, build):
            steps.append(step)
            bar.step(step.line.name, count=int(step.is_of_recipe))
    return steps


def _artifact_folders(run: Run) -> dict[str, Path]:
    """Return the artifacts that lie in the run, by their digests."""
    found = {}
    for path in sorted((run.folder / "artifacts").glob(f"*/{SPEC_FILE}")):
        try:
            found[sha256_json(ArtifactSpec.read(path).to_dict())] = path.parent
        except DataError:
            continue  # of another version, or cut: what it was is built again
    return found


def _told_steps(run: Run) -> dict[_Made, BuildStep]:
    """Return every step that an experiment of the run has built, so that nothing is trained twice."""
    told: dict[_Made, BuildStep] = {}
    for name in run.names(Build):
        built = run.read(Build, name)
        parent = built.parent_sha256 if built else ""
        for line, step in zip(built.recipe, built.steps, strict=True) if built else ():
            told[parent, dumps(line)] = step
            parent = step.artifact_sha256
    return told
