"""
The parts of a saved model that may have changed, each with a digest of its own, and models put together from two.

An artifact's own digest covers everything at once, its history included; to find a culprit the weights with what reads
them (*artifact*) are told apart from how they are served (*parameters*: runtime block and engine options).

    mixed = mix(good, suspect, swapped={"parameters"}, folder=folder)   # the good weights, served as the suspect is
"""

import dataclasses
from collections.abc import Collection
from pathlib import Path
from typing import Any

from perflib.artifact import SPEC_FILE, Artifact, ArtifactSpec, link_or_copy
from perflib.records import sha256_json
from perflib.results.history import Component

# Words of a reader for the fields of `artifact.json` that make the component `artifact`.
_WEIGHT_FIELDS = {"engine": "engine", "precision": "precision", "builder": "builder", "config": "configuration"}


def weights_sha256(spec: ArtifactSpec) -> str:
    """Return the digest of the weights and of what reads them; where they came from is left out."""
    files = sorted((file.path, file.sha256) for file in spec.files)
    return sha256_json([*(getattr(spec, field) for field in _WEIGHT_FIELDS), spec.labels, files])


def parameters_sha256(spec: ArtifactSpec) -> str:
    """Return the digest of how the weights are served: runtime block and engine options."""
    return sha256_json([dataclasses.asdict(spec.runtime), spec.options])


def mix(good: Artifact, suspect: Artifact, *, swapped: Collection[Component], folder: Path) -> Artifact:
    """
    Put a model together from two.

    Args:
        good: Whose parts are kept.
        suspect: Whose parts are taken where ``swapped`` says so.
        swapped: ``artifact`` takes the suspect's weights, ``parameters`` its way of being served.
        folder: Where it is written; it must not exist yet.

    Raises:
        DataError: If a file is not what its record says.
    """
    weights = suspect if "artifact" in swapped else good
    serving = suspect if "parameters" in swapped else good
    folder.mkdir(parents=True)
    for file in weights.spec.files:
        link_or_copy(weights.folder / file.path, folder / file.path)
    spec = dataclasses.replace(weights.spec, runtime=serving.spec.runtime, options=serving.spec.options)
    spec.write(folder / SPEC_FILE)
    return Artifact.load(folder)


def change_words(good: ArtifactSpec, suspect: ArtifactSpec, component: Component) -> str:
    """Say what differs between two models in one component; for people."""
    if component == "parameters":
        return _differences(_serving(good), _serving(suspect)) or "no difference in how it is served"
    found = [
        _changed(word, getattr(good, field), getattr(suspect, field))
        for field, word in _WEIGHT_FIELDS.items()
        if getattr(good, field) != getattr(suspect, field) and field != "config"
    ]
    found += [_differences(good.config, suspect.config, prefix="configuration ")]
    if good.lineage.recipe != suspect.lineage.recipe:
        found.append(_changed("recipe", _recipe(good), _recipe(suspect)))
    if good.files != suspect.files:
        size_bytes = [sum(file.bytes for file in spec.files) for spec in (good, suspect)]
        found.append(f"other weights ({size_bytes[0]:,} -> {size_bytes[1]:,} bytes)")
    return "; ".join(part for part in found if part) or "no difference in the artifact"


def _serving(spec: ArtifactSpec) -> dict[str, Any]:
    return {**dataclasses.asdict(spec.runtime), **spec.options}


def _differences(before: dict[str, Any], after: dict[str, Any], *, prefix: str = "") -> str:
    names = sorted({*before, *after})
    return "; ".join(
        _changed(f"{prefix}`{name}`", before.get(name), after.get(name))
        for name in names
        if before.get(name) != after.get(name)
    )


def _changed(word: str, before: Any, after: Any) -> str:
    return f"{word} {_short(before)} -> {_short(after)}"


def _recipe(spec: ArtifactSpec) -> str:
    return " + ".join(next(iter(stage), "?") for stage in spec.lineage.recipe) or "none"


def _short(value: Any) -> str:
    text = "none" if value is None else str(value)
    return text if len(text) <= 60 else text[:57] + "…"
