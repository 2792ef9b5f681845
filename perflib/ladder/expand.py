"""
A recipe taken apart until every step changes one thing: the engine, its graph, precision, structure, batches, threads.

One line of a recipe may change several: int8 on OpenVINO leaves PyTorch and fp32 at once. So the same engine is made in
fp32 as well, from what the line was given, and stands between; the recipe's own path does not pass it. Where that
cannot be made, the line stays whole and is said to be of two kinds.

    steps = list(expand(recipe, baseline, materials, build))
    [one.category for one in steps]  # ["runtime change", "precision"]
"""

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from perflib.artifact import Artifact, ArtifactSpec, Runtime
from perflib.compression.materials import Materials
from perflib.compression.stage import Ingredient, parse_recipe
from perflib.errors import ParameterError, SetupError, StageError
from perflib.results import BuildStep
from perflib.results.ladder import CATEGORIES, NO_CHANGE

# What these engines do with a model is what a compiler does: the kernels are generated for its graph.
_COMPILING = ("aotinductor", "torch-compile")
_SHAPES = ("shapes", "lengths", "batches")
_BATCHING = ("batching", "batch_example_count", "batch_token_count")
_THREADS = ("thread_count", "replica_count")
_STAGE_WORDS = {"as-they-come": "as-given"}

Build = Callable[[Ingredient, Artifact], tuple[Artifact, BuildStep]]


@dataclasses.dataclass(frozen=True)
class Step:
    """One step down the waterfall: what was done, what came out, and what of `CATEGORIES` it is."""

    category: str
    line: Ingredient
    artifact: Artifact
    made: BuildStep
    is_of_recipe: bool


def expand(recipe: Sequence[Ingredient], baseline: Artifact, materials: Materials, build: Build) -> Iterator[Step]:
    """
    Build every line of a recipe, and between the lines what takes them apart.

    Args:
        recipe: From `parse_recipe`.
        baseline: What the first line takes.
        materials: What stages may use.
        build: Makes the artifact of one line, or finds it.

    Yields:
        The steps in order; the last is the candidate.
    """
    parent = baseline
    for line in recipe:
        after, made = build(line, parent)
        before = parent
        for between in halfway_lines(line, parent.spec, after.spec):
            found = _try(between, parent, materials, build)
            if found is not None:
                yield Step(category(before.spec, found[1].spec), *found, is_of_recipe=False)
                before = found[1]
        yield Step(category(before.spec, after.spec), line, after, made, is_of_recipe=True)
        parent = after


def category(before: ArtifactSpec, after: ArtifactSpec) -> str:
    """
    Say in a word what was changed, by what two artifacts record of themselves.

    A line that moves a model to another engine is believed not to change its structure, which no record tells.
    """
    return " and ".join(changes(before, after)) or NO_CHANGE


def changes(before: ArtifactSpec, after: ArtifactSpec) -> list[str]:
    """Return all of `CATEGORIES` in which two artifacts differ, in their order."""
    is_moved, is_recast = before.engine != after.engine, _precision(before) != _precision(after)
    is_compiled = (is_moved and after.engine in _COMPILING) or _chosen(before, _SHAPES) != _chosen(after, _SHAPES)
    is_changed = {
        "runtime change": is_moved and after.engine not in _COMPILING,
        "graph compilation": is_compiled,
        "precision": is_recast,
        "structure": not is_moved and not is_recast and before.files != after.files,
        "batching": _part(before.runtime, _BATCHING) != _part(after.runtime, _BATCHING),
        "threads": _part(before.runtime, _THREADS) != _part(after.runtime, _THREADS),
    }
    return [word for word in CATEGORIES if is_changed[word]]


def halfway_lines(line: Ingredient, parent: ArtifactSpec, after: ArtifactSpec) -> list[dict[str, Any]]:
    """
    Return what to make of a line's parent so that each change stands by itself; nothing for a single change.

    Example:
        For ``quantize: {scheme: int8-static}`` of a PyTorch parent it is ``[{"engine": {"name": "openvino"}}]``.
    """
    found = changes(parent, after)
    lines: list[dict[str, Any]] = []
    if parent.engine != after.engine and len(found) > 1:
        lines.append({"engine": {"name": after.engine}})
    if line.name == "engine" and {"graph compilation", "precision"} <= set(found) and "shapes" in after.options:
        lines.append({"engine": {key: value for key, value in line.options.items() if key != "arithmetic"}})
    if {"batching", "threads"} <= set(found):
        lines.append({"runtime": _batching_only(parent.runtime, after.runtime)})
    return lines


def _batching_only(before: Runtime, after: Runtime) -> dict[str, Any]:
    """Serve in the new batches with the threads and replicas of before."""
    options = {
        "batching": _STAGE_WORDS.get(after.batching, after.batching),
        "batch": after.batch_example_count,
        "tokens": after.batch_token_count,
        "threads": before.thread_count,
        "replicas": before.replica_count,
    }
    return {key: value for key, value in options.items() if value is not None}


def _try(
    line: dict[str, Any], parent: Artifact, materials: Materials, build: Build
) -> tuple[Ingredient, Artifact, BuildStep] | None:
    """Make what stands between, or None where the engine is not there or refuses: then the line stays whole."""
    try:
        (ingredient,) = parse_recipe([line])
        ingredient.stage.check(parent.spec, materials)
        artifact, made = build(ingredient, parent)
    except (ParameterError, SetupError, StageError):
        return None
    return ingredient, artifact, made


def _precision(spec: ArtifactSpec) -> tuple[str, str]:
    return spec.precision, spec.options.get("arithmetic", "")


def _chosen(spec: ArtifactSpec, keys: Sequence[str]) -> list[Any]:
    return [spec.options.get(key) for key in keys]


def _part(runtime: Runtime, names: Sequence[str]) -> list[Any]:
    return [getattr(runtime, name) for name in names]
