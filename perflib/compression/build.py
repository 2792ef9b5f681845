"""
From a recipe to an artifact: everything checked first, every stage built once, nothing half-built kept.

A built stage is cached under the digest of all that decides it: parent, options, the stage's own code, the versions of
the engines, the instruction sets, the materials. Two recipes that begin alike share what they have in common, and a
second run builds nothing.

    artifact, build = build_candidate("int8", recipe, parent=baseline, folder=folder, materials=materials)
"""

import contextlib
import dataclasses
import errno
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from perflib import machine
from perflib.artifact import Artifact
from perflib.compression.materials import Materials
from perflib.compression.sources import source_sha256
from perflib.compression.stage import Ingredient, check_recipe
from perflib.errors import DataError, PerflibError, SetupError, StageError
from perflib.progress import Progress
from perflib.records import read_json, sha256_json, write_json
from perflib.results import Build, BuildStep
from perflib.workloads.cache import fill_folder

ARTIFACT, STEP_FILE = "artifact", "step.json"
_NO_SPACE = (errno.ENOSPC, errno.EDQUOT)
_LEAST_FREE_BYTES = 1 << 20


def build_candidate(
    name: str,
    recipe: Sequence[Ingredient],
    *,
    parent: Artifact,
    folder: Path,
    materials: Materials,
    cache: Path | None = None,
    clock: Callable[[], float] = time.perf_counter,
) -> tuple[Artifact, Build]:
    """
    Apply a recipe to an artifact.

    Args:
        name: The candidate's name.
        recipe: From `parse_recipe`.
        parent: What the first stage takes.
        folder: Where the artifact goes; it appears there complete or not at all.
        materials: What stages may use.
        cache: Where built stages are kept; None builds all and keeps none.
        clock: Monotonic seconds.

    Raises:
        StageError: If a stage refuses what comes to it, before any work, or cannot prove its effect.
        SetupError: If the disk is full or cannot be written.
    """
    check_recipe(recipe, parent.spec, materials)
    with _open_cache(cache, folder) as place, Progress(f"building {name}", len(recipe)) as bar:
        current, steps = parent, []
        for line in recipe:
            current, step = build_stage(line, current, materials, cache=place, clock=clock)
            steps.append(step)
            bar.step(line.name)
        artifact = current.copy_to(folder)
    return artifact, Build(
        name=name,
        recipe=tuple(line.to_dict() for line in recipe),
        artifact_sha256=artifact.digest,
        parent_sha256=parent.digest,
        size_bytes=artifact.size_bytes,
        parent_size_bytes=parent.size_bytes,
        build_sec=sum(step.build_sec for step in steps),
        steps=tuple(steps),
    )


def build_stage(
    line: Ingredient,
    parent: Artifact,
    materials: Materials,
    *,
    cache: Path,
    clock: Callable[[], float] = time.perf_counter,
) -> tuple[Artifact, BuildStep]:
    """
    Apply one stage, unless the cache has its result.

    Returns:
        The artifact in the cache, and what its making took, now or when it was made.
    """
    place = cache / line.name.replace(":", "-") / _key(line, parent, materials)
    was_whole = _is_whole(place)

    def fill(new: Path) -> None:
        start_sec = clock()
        scratch = place.with_suffix(".scratch")
        with _naming_a_full_disk(new):
            made, proof = line.stage.apply(parent, new / ARTIFACT, dataclasses.replace(materials, scratch=scratch))
            if made.folder != new / ARTIFACT:
                # Otherwise the cache would hold a name without weights.
                raise StageError(f"stage `{line.name}` wrote to {made.folder}, not to the folder it was given.")
            write_json(new / STEP_FILE, {"build_sec": clock() - start_sec, "proof": proof})
        shutil.rmtree(scratch, ignore_errors=True)

    fill_folder(place, fill, is_whole=_is_whole)
    artifact, kept = Artifact.load(place / ARTIFACT), read_json(place / STEP_FILE)
    return artifact, BuildStep(
        stage=line.name,
        artifact_sha256=artifact.digest,
        size_bytes=artifact.size_bytes,
        build_sec=kept["build_sec"],
        is_cached=was_whole,
        proof=kept["proof"],
    )


def _key(line: Ingredient, parent: Artifact, materials: Materials) -> str:
    card = machine.read_card()
    decides = [
        parent.digest,
        line.name,
        dataclasses.asdict(line.stage),  # type: ignore[call-overload]
        source_sha256(type(line.stage)),
        card.versions,
        card.isa_flags,
        machine.thread_count(),
        materials.digest(),
        _outside_sha256(line),
    ]
    return sha256_json(decides)[:16]


def _outside_sha256(line: Ingredient) -> str | None:
    """Return the digest of the files that a stage names outside the recipe; None where it names none."""
    read = getattr(line.stage, "outside_sha256", None)
    return read() if read is not None else None


def _is_whole(place: Path) -> bool:
    if not (place / STEP_FILE).is_file():
        return False
    try:
        Artifact.load(place / ARTIFACT)
    except DataError:
        return False  # altered since: it is built again
    return True


@contextlib.contextmanager
def _naming_a_full_disk(folder: Path) -> Iterator[None]:
    """
    Raise `OSError` where it is the disk that is full, whatever a library calls it.

    safetensors and OpenVINO write by themselves and raise errors of their own, one of them without a reason.
    """
    try:
        yield
    except Exception as error:
        causes = [error, error.__cause__]
        is_told = any(isinstance(one, OSError) and one.errno in _NO_SPACE for one in causes)
        is_full = not isinstance(error, PerflibError) and shutil.disk_usage(folder).free < _LEAST_FREE_BYTES
        if is_told or is_full or f"os error {errno.ENOSPC}" in str(error):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)) from error
        raise


@contextlib.contextmanager
def _open_cache(cache: Path | None, folder: Path) -> Iterator[Path]:
    """Give the cache, or a folder beside the result that is gone afterwards."""
    if cache is not None:
        yield cache
        return
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        work = tempfile.TemporaryDirectory(prefix=f".{folder.name}.", dir=folder.parent)
    except OSError as error:
        raise SetupError(f"{folder} cannot be written ({error.strerror or error}); free space there.") from error
    with work as path:
        yield Path(path)
