"""
A stage turns one artifact into another; a recipe is a list of stages.

A stage never measures speed and never sees the test split.
It says what it cannot do before any work, and proves afterwards that what it promised is what runs.

    recipe = parse_recipe([{"int8": {"calibration_example_count": 300}}])
    artifact, build = build_candidate("int8", recipe, parent=baseline, folder=folder, materials=materials)

A package adds a stage by the entry point group ``perflib.stages``; a recipe may also name ``module:Class``.
"""

import dataclasses
import shutil
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from perflib.artifact import Artifact, ArtifactSpec
from perflib.encoded import Encoded
from perflib.errors import ParameterError, StageError, did_you_mean
from perflib.plugins import find_plugin
from perflib.progress import Progress
from perflib.records import dumps
from perflib.results import Build

_BUILT_IN = {"bf16": "perflib.compression.bf16:Bf16", "int8": "perflib.compression.int8:Int8"}


@dataclasses.dataclass(frozen=True)
class Materials:
    """What a stage may use besides its parent: inputs of the calibration split, and the seed."""

    calibration: Encoded
    seed: int = 0


@runtime_checkable
class Stage(Protocol):
    """
    One technique. Its options are the fields of a frozen dataclass.

    `check` raises `StageError` when the parent does not suit, before any work.
    `apply` writes a sealed artifact into ``folder`` and returns it with the proof that the technique took effect.
    """

    def check(self, parent: ArtifactSpec) -> None:
        """Refuse, in one sentence, a parent that this stage cannot take."""
        ...

    def apply(self, parent: Artifact, folder: Path, materials: Materials) -> tuple[Artifact, dict[str, Any]]:
        """Write the new artifact and return it with its proof (plain data for the build record)."""
        ...


@dataclasses.dataclass(frozen=True)
class Ingredient:
    """One line of a recipe: the stage as it was written, and as it was made."""

    name: str
    options: Mapping[str, Any]
    stage: Stage

    def to_dict(self) -> dict[str, Any]:
        """Return the line as it stands in YAML."""
        return {self.name: dict(self.options)}


def parse_recipe(lines: Sequence[Any]) -> tuple[Ingredient, ...]:
    """
    Read a recipe: a list of stage names, each alone or with its options.

    Raises:
        ParameterError: If it is no such list, a stage is unknown, or an option is unknown or of the wrong type.
    """
    if not isinstance(lines, Sequence) or isinstance(lines, str) or not lines:
        raise ParameterError(f"the recipe is {lines!r}; write a list of stages, such as [int8: {{}}].")
    return tuple(_ingredient(line) for line in lines)


def build_candidate(
    name: str,
    recipe: Sequence[Ingredient],
    *,
    parent: Artifact,
    folder: Path,
    materials: Materials,
    clock: Callable[[], float] = time.perf_counter,
) -> tuple[Artifact, Build]:
    """
    Apply a recipe to an artifact.

    Args:
        name: The candidate's name.
        recipe: From `parse_recipe`.
        parent: What the first stage takes.
        folder: Where the artifact goes; it appears there complete or not at all.
        materials: Calibration inputs and seed.
        clock: Monotonic seconds.

    Raises:
        StageError: If a stage refuses its parent or cannot prove its effect.
    """
    start_sec, proofs, current = clock(), [], parent
    folder.parent.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory(prefix=f".{name}.", dir=folder.parent) as work,
        Progress(f"building {name}", len(recipe)) as bar,
    ):
        for position, line in enumerate(recipe):
            line.stage.check(current.spec)
            place = Path(work) / f"{position}-{_word(line.name)}"
            current, proof = line.stage.apply(current, place, materials)
            if current.folder != place:
                # Otherwise the move below would take away the parent's own folder.
                raise StageError(f"stage `{line.name}` wrote to {current.folder}, not to the folder it was given.")
            proofs.append({"stage": line.name, **proof})
            bar.step(line.name)
        shutil.rmtree(folder, ignore_errors=True)
        current.folder.rename(folder)
    artifact = Artifact.load(folder)
    return artifact, Build(
        name=name,
        recipe=tuple(line.to_dict() for line in recipe),
        artifact_sha256=artifact.digest,
        parent_sha256=parent.digest,
        size_bytes=artifact.size_bytes,
        parent_size_bytes=parent.size_bytes,
        build_sec=clock() - start_sec,
        proofs=tuple(proofs),
    )


def _ingredient(line: Any) -> Ingredient:
    if isinstance(line, str):
        line = {line: None}
    if not isinstance(line, Mapping) or len(line) != 1:
        raise ParameterError(f"recipe line {line!r} is not one stage with its options; write `- int8: {{}}`.")
    ((name, options),) = line.items()
    if not isinstance(options, Mapping | None):
        raise ParameterError(f"the options of stage `{name}` are {options!r}; write them as `key: value`.")
    options = dict(options or {})
    return Ingredient(str(name), options, _make(_stage_class(str(name)), str(name), options))


def _stage_class(name: str) -> type:
    found = find_plugin(name, kind="stage", built_in=_BUILT_IN, group="perflib.stages")
    if not (isinstance(found, type) and dataclasses.is_dataclass(found) and issubclass(found, Stage)):
        raise ParameterError(f"stage `{name}` is no dataclass with `check` and `apply`; see perflib.compression.stage.")
    return found


def _make(kind: type, name: str, options: dict[str, Any]) -> Stage:
    from pydantic import TypeAdapter, ValidationError

    known = [field.name for field in dataclasses.fields(kind)]
    for key in options:
        if key not in known:
            raise ParameterError(f"`{key}` is not an option of stage `{name}`; {did_you_mean(str(key), known)}")
    try:
        made: Stage = TypeAdapter(kind).validate_json(dumps(options), strict=True)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or name
        raise ParameterError(
            f"option `{where}` of stage `{name}`: {first['msg']} (it is {first['input']!r})."
        ) from error
    return made


def _word(name: str) -> str:
    return "".join(letter if letter.isalnum() else "-" for letter in name)
