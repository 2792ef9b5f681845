"""
A saved model that can be loaded and called, and that knows where it came from.

An artifact is a folder: `artifact.json` and weight files.
Its digest covers the engine, the weights' digests, the configuration, the runtime block and the lineage,
so two artifacts with one digest give the same answers.
Weights are safetensors, ONNX or an engine's own files; nothing is ever unpickled.

    baseline = Artifact.load(folder)          # refuses a file whose digest is not the recorded one
    probabilities = baseline.predict(inputs)  # float32, shape (examples, classes)
"""

import dataclasses
import importlib.metadata
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from perflib import engines
from perflib.encoded import Encoded
from perflib.errors import DataError
from perflib.records import Record, sha256_file, sha256_json

SPEC_FILE = "artifact.json"
WEIGHT_SUFFIXES = {".safetensors", ".onnx", ".xml", ".bin"}


@dataclasses.dataclass(frozen=True)
class Runtime:
    """
    How an artifact is served: the order and size of batches, threads, replicas, device.

    ``thread_count`` None means all cores allotted.
    """

    batching: Literal["as-they-come"] = "as-they-come"
    batch_example_count: int = 32
    thread_count: int | None = None
    replica_count: int = 1
    device: Literal["cpu", "cuda"] = "cpu"


@dataclasses.dataclass(frozen=True)
class WeightFile:
    """One weight file of an artifact; the path is relative to its folder."""

    path: str
    sha256: str
    bytes: int


@dataclasses.dataclass(frozen=True)
class Lineage:
    """Where an artifact comes from: workload, parent, what was done, with which versions."""

    workload: str
    parent_sha256: str | None
    recipe: tuple[dict[str, Any], ...]
    versions: dict[str, str]
    details: dict[str, Any] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class ArtifactSpec(Record):
    """
    The content of `artifact.json`.

    ``builder`` is ``module:function`` of the architecture where the engine needs one (torch);
    ``config`` is its argument.
    """

    schema: ClassVar[str] = "perflib/artifact/1"

    engine: str
    precision: str
    builder: str | None
    config: dict[str, Any]
    labels: tuple[str, ...]
    runtime: Runtime
    files: tuple[WeightFile, ...]
    lineage: Lineage


class Artifact:
    """A model folder whose files have been checked against its record; make one with `load` or `seal`."""

    def __init__(self, folder: Path, spec: ArtifactSpec) -> None:
        self.folder, self.spec = folder, spec
        self._session: engines.Session | None = None

    @property
    def digest(self) -> str:
        """The sha256 that names this artifact."""
        return sha256_json(self.spec.to_dict())

    @property
    def size_bytes(self) -> int:
        """The size of the weight files on disk."""
        return sum(file.bytes for file in self.spec.files)

    @classmethod
    def load(cls, folder: Path) -> "Artifact":
        """
        Read an artifact and check every weight file.

        Raises:
            DataError: If the record or a file is missing, altered, unrecorded, of a refused kind or outside the folder.
        """
        spec = ArtifactSpec.read(folder / SPEC_FILE)
        # An engine opens its weights by their fixed name, so a file that the record leaves out would go unchecked.
        lying = {path.name for path in folder.iterdir() if path.suffix in WEIGHT_SUFFIXES}
        unrecorded = sorted(lying - {file.path for file in spec.files})
        if unrecorded:
            raise DataError(f"{folder / unrecorded[0]} is not in {SPEC_FILE}; build the artifact again.")
        for file in spec.files:
            path = _weight_path(folder, file.path)
            found = sha256_file(path)
            if found != file.sha256:
                raise DataError(
                    f"{path} has sha256 {found[:12]}… where {file.sha256[:12]}… is recorded; build the artifact again."
                )
        return cls(folder, spec)

    @classmethod
    def seal(
        cls,
        folder: Path,
        *,
        engine: str,
        precision: str,
        labels: tuple[str, ...],
        lineage: Lineage,
        builder: str | None = None,
        config: Mapping[str, Any] | None = None,
        runtime: Runtime | None = None,
    ) -> "Artifact":
        """
        Record the weight files that lie in ``folder`` and write `artifact.json`, last.

        Raises:
            DataError: If there is no weight file, or one of a refused kind.
        """
        paths = sorted(path for path in folder.iterdir() if path.is_file() and path.name != SPEC_FILE)
        if not paths:
            raise DataError(f"{folder} holds no weight file; write the weights before sealing the artifact.")
        files = tuple(
            WeightFile(path.name, sha256_file(_weight_path(folder, path.name)), path.stat().st_size) for path in paths
        )
        spec = ArtifactSpec(
            engine=engine,
            precision=precision,
            builder=builder,
            config=dict(config or {}),
            labels=labels,
            runtime=runtime or Runtime(),
            files=files,
            lineage=lineage,
        )
        spec.write(folder / SPEC_FILE)
        return cls(folder, spec)

    def derive(
        self,
        folder: Path,
        ingredient: dict[str, Any],
        *,
        packages: Sequence[str] = (),
        details: Mapping[str, Any] | None = None,
        **changes: Any,
    ) -> "Artifact":
        """
        Seal the weights in ``folder`` as a child of this artifact.

        Args:
            folder: Where the child's weight files lie.
            ingredient: What was done, as a line of a recipe: ``{"int8": {…}}``.
            packages: Whose versions the result depends on, besides the parent's.
            details: What else its lineage shall say.
            changes: Fields of `ArtifactSpec` that differ from the parent's, such as ``precision="bf16"``.
        """
        spec = dataclasses.replace(self.spec, **changes)
        lineage = Lineage(
            workload=spec.lineage.workload,
            parent_sha256=self.digest,
            recipe=(*spec.lineage.recipe, ingredient),
            versions=spec.lineage.versions | {name: importlib.metadata.version(name) for name in packages},
            details=dict(details or {}),
        )
        return Artifact.seal(
            folder,
            engine=spec.engine,
            precision=spec.precision,
            labels=spec.labels,
            lineage=lineage,
            builder=spec.builder,
            config=spec.config,
            runtime=spec.runtime,
        )

    def open(self) -> engines.Session:
        """Load the weights into the engine, once; later calls return the same session."""
        if self._session is None:
            self._session = engines.open_session(self.spec.engine, self.folder, self.spec)
        return self._session

    def predict(
        self,
        encoded: Encoded,
        *,
        batch_example_count: int | None = None,
        is_padded: bool = False,
        on_batch: Callable[[int], None] | None = None,
    ) -> NDArray[np.float32]:
        """
        Answer every example, served as the runtime block says unless other batches are asked for.

        Args:
            encoded: Inputs from the workload's ``encode``.
            batch_example_count: Examples per batch; None takes the runtime block's.
            is_padded: Keep every batch as wide as ``encoded``, instead of padding it to its own longest example.
            on_batch: Called after each batch with its number of examples, for progress.

        Returns:
            Probabilities, float32, shape (examples, classes), in the order of the inputs.
        """
        session = self.open()
        count = self.spec.runtime.batch_example_count if batch_example_count is None else batch_example_count
        answers = []
        for batch in encoded.batches(count, is_padded=is_padded):
            answers.append(softmax(session(batch.arrays)))
            if on_batch is not None:
                on_batch(len(batch))
        return np.concatenate(answers)


def softmax(logits: NDArray[np.floating[Any]]) -> NDArray[np.float32]:
    """Turn logits of shape (examples, classes) into float32 probabilities; NaN stays NaN so that a gate can see it."""
    wide = logits.astype(np.float64)
    powers = np.exp(wide - wide.max(axis=1, keepdims=True))
    probabilities: NDArray[np.float32] = (powers / powers.sum(axis=1, keepdims=True)).astype(np.float32)
    return probabilities


def _weight_path(folder: Path, name: str) -> Path:
    path = folder / name
    if path.resolve().parent != folder.resolve() or path.is_symlink():
        raise DataError(f"weight file {name!r} of {folder} is not a plain file inside it; build the artifact again.")
    if path.suffix not in WEIGHT_SUFFIXES:
        raise DataError(
            f"{path} is no weight file that perflib loads ({', '.join(sorted(WEIGHT_SUFFIXES))}); "
            "convert it to safetensors: pickled weights can run code."
        )
    return path
