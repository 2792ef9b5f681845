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
import functools
import importlib.metadata
import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from perflib import engines
from perflib.batching import Batching, plan_batches, side_by_side
from perflib.encoded import Encoded
from perflib.errors import DataError, SetupError
from perflib.records import Record, sha256_file, sha256_json

SPEC_FILE = "artifact.json"
# `.pt2` holds machine code that we compiled ourselves; like every file it is opened only with the digest we wrote.
WEIGHT_SUFFIXES = {".safetensors", ".onnx", ".xml", ".bin", ".pt2"}
# Plain data beside the weights, such as calibration ranges.
DATA_SUFFIXES = {".json"}


@dataclasses.dataclass(frozen=True)
class Runtime:
    """
    How an artifact is served: the order and size of batches, threads, replicas, device.

    ``batch_token_count`` is the budget of ``token-budget`` batching. ``thread_count`` is that of each replica; None
    means all cores allotted. Replicas answer batches side by side.
    """

    batching: Batching = "as-they-come"
    batch_example_count: int = 32
    batch_token_count: int | None = None
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
    ``config`` is its argument. ``options`` are the engine's own settings, such as fixed shapes.
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
    options: dict[str, Any] = dataclasses.field(default_factory=dict)


class Artifact:
    """A model folder whose files have been checked against its record; make one with `load` or `seal`."""

    def __init__(self, folder: Path, spec: ArtifactSpec) -> None:
        self.folder, self.spec = folder, spec
        self._sessions: list[engines.Session] | None = None

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
        lying = {path.name for path in folder.iterdir() if path.suffix in WEIGHT_SUFFIXES | DATA_SUFFIXES} - {SPEC_FILE}
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
        options: Mapping[str, Any] | None = None,
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
            options=dict(options or {}),
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
            options=spec.options,
        )

    def copy_to(self, folder: Path, *, runtime: "Runtime | None" = None) -> "Artifact":
        """
        Put this artifact into another folder, perhaps to be served otherwise; what is there is replaced at the end.

        Weights are linked where the file system can, since an artifact's files never change.

        Raises:
            SetupError: If the disk is full or cannot be written.
        """
        spec = dataclasses.replace(self.spec, runtime=runtime or self.spec.runtime)
        try:
            folder.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(prefix=f".{folder.name}.", dir=folder.parent) as work:
                new = Path(work) / "new"
                new.mkdir()
                for file in spec.files:
                    link_or_copy(self.folder / file.path, new / file.path)
                spec.write(new / SPEC_FILE)
                shutil.rmtree(folder, ignore_errors=True)
                new.rename(folder)
        except (OSError, DataError) as error:
            why = error.strerror if isinstance(error, OSError) else error
            raise SetupError(f"{folder} cannot be written ({why}); free space there and try again.") from error
        return Artifact.load(folder)

    def open(self) -> engines.Session:
        """Load the weights into the engine, once; later calls return the same session, the first replica's."""
        return self._open_all()[0]

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
            batch_example_count: Examples per batch, as they come; None serves as the runtime block says.
            is_padded: Keep every batch as wide as ``encoded``, instead of padding it to its own longest example.
            on_batch: Called after each batch with its number of examples, for progress.

        Returns:
            Probabilities, float32, shape (examples, classes), in the order of the inputs.
        """
        runtime, lengths = self.spec.runtime, encoded.lengths()
        if batch_example_count is None:
            batches = plan_batches(
                lengths,
                runtime.batching,
                example_count=runtime.batch_example_count,
                token_count=runtime.batch_token_count,
            )
        else:
            batches = plan_batches(lengths, "as-they-come", example_count=batch_example_count)
        sessions = self._open_all()
        work = [
            functools.partial(_ask, encoded.rows(rows) if is_padded else encoded.take(rows).arrays) for rows in batches
        ]
        answers = side_by_side(work, sessions, on_done=on_batch and (lambda at: on_batch(len(batches[at]))))
        ordered = np.empty((len(encoded), answers[0].shape[1]), np.float32)
        for rows, answer in zip(batches, answers, strict=True):
            ordered[rows] = answer
        return ordered

    def _open_all(self) -> list[engines.Session]:
        if self._sessions is None:
            self._sessions = engines.open_sessions(self.spec.engine, self.folder, self.spec)
        return self._sessions


def softmax(logits: NDArray[np.floating[Any]]) -> NDArray[np.float32]:
    """Turn logits of shape (examples, classes) into float32 probabilities; NaN stays NaN so that a gate can see it."""
    wide = logits.astype(np.float64)
    powers = np.exp(wide - wide.max(axis=1, keepdims=True))
    probabilities: NDArray[np.float32] = (powers / powers.sum(axis=1, keepdims=True)).astype(np.float32)
    return probabilities


def _ask(arrays: Mapping[str, NDArray[np.generic]], session: engines.Session) -> NDArray[np.float32]:
    return softmax(session(arrays))


def link_or_copy(source: Path, target: Path) -> None:
    """Link a file of an artifact, which never changes, or copy it where the file system cannot link."""
    try:
        target.hardlink_to(source)
    except OSError:
        shutil.copy2(source, target)


def _weight_path(folder: Path, name: str) -> Path:
    path = folder / name
    if path.resolve().parent != folder.resolve() or path.is_symlink():
        raise DataError(f"weight file {name!r} of {folder} is not a plain file inside it; build the artifact again.")
    if path.suffix not in WEIGHT_SUFFIXES | DATA_SUFFIXES:
        raise DataError(
            f"{path} is no weight file that perflib loads ({', '.join(sorted(WEIGHT_SUFFIXES))}); "
            "convert it to safetensors: pickled weights can run code."
        )
    return path
