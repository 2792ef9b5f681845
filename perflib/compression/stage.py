"""
A stage turns one artifact into another; a recipe is a list of stages.

A stage never measures speed and never sees the test split.
It says what it cannot do before any work, and proves afterwards that what it promised is what runs.

    recipe = parse_recipe([{"distil": {"layers": 3}}, {"quantize": {"scheme": "int8-static"}}])
    check_recipe(recipe, baseline.spec, materials)

A package adds a stage by the entry point group ``perflib.stages``; a recipe may also name ``module:Class``.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from perflib.artifact import Artifact, ArtifactSpec
from perflib.compression.materials import Materials
from perflib.errors import ParameterError, SetupError, StageError, did_you_mean
from perflib.plugins import find_plugin
from perflib.records import dumps

_BUILT_IN = {
    "precision": "perflib.compression.precision:Precision",
    "runtime": "perflib.compression.runtime:Serve",
    "engine": "perflib.compression.engine:Engine",
    "quantize": "perflib.compression.quantize:Quantize",
    "prune": "perflib.compression.prune:Prune",
    "distil": "perflib.compression.distil:Distil",
    "vocabulary": "perflib.compression.vocabulary:Vocabulary",
}


@runtime_checkable
class Stage(Protocol):
    """
    One technique. Its options are the fields of a frozen dataclass.

    `check` raises `StageError` when the parent or the materials do not suit, before any work of any stage.
    `apply` writes a sealed artifact into ``folder`` and returns it with the proof that the technique took effect.
    A stage whose options name files has a third method, ``outside_sha256() -> str``, the digest of their content, so
    that a changed file is another build.
    """

    def check(self, parent: ArtifactSpec, materials: Materials) -> ArtifactSpec:
        """Refuse, in one sentence, what cannot be done; else return what the child will be, as far as is known."""
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
        raise ParameterError(f"the recipe is {lines!r}; write a list of stages, such as [quantize: {{}}].")
    return tuple(_ingredient(line) for line in lines)


def check_recipe(recipe: Sequence[Ingredient], parent: ArtifactSpec, materials: Materials) -> ArtifactSpec:
    """
    Check every stage against what the ones before it will have made, without doing any work.

    Returns:
        ArtifactSpec: What the recipe will make, as far as is known.

    Raises:
        StageError: By the first stage that cannot take what it would be given, with its place in the recipe.
        SetupError: By the first that needs what this machine lacks, the same way.
    """
    for position, line in enumerate(recipe, start=1):
        try:
            parent = line.stage.check(parent, materials)
        except (StageError, SetupError) as error:
            raise type(error)(f"line {position} of the recipe: {error}") from error
    return parent


def require_torch(parent: ArtifactSpec, *, stage: str) -> None:
    """Refuse a parent that is no fp32 PyTorch model: what trains or reshapes must stand before what converts."""
    if parent.engine != "torch" or parent.precision != "fp32":
        raise StageError(
            f"stage `{stage}` takes a torch fp32 artifact, but what comes to it is {parent.engine} "
            f"{parent.precision}; put it before the stages that quantize or convert."
        )


def _ingredient(line: Any) -> Ingredient:
    if isinstance(line, str):
        line = {line: None}
    if not isinstance(line, Mapping) or len(line) != 1:
        raise ParameterError(f"recipe line {line!r} is not one stage with its options; write `- quantize: {{}}`.")
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
