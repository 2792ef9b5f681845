"""
How a model is served: batches, threads, replicas. No weight changes, and still a batch of texts may take half the time.

Sorting by length saves padding; a budget of tokens lets short texts share larger batches; two replicas of one thread
often do more than one of two threads, which wait for each other at every layer.
"""

import dataclasses
from pathlib import Path
from typing import Any, Literal

from perflib import machine
from perflib.artifact import Artifact, ArtifactSpec, link_or_copy
from perflib.compression.materials import Materials
from perflib.errors import SetupError, StageError

_SHORT = {"as-given": "as-they-come"}


@dataclasses.dataclass(frozen=True)
class Serve:
    """
    Serve the parent otherwise.

    ``batching`` is ``as-given``, ``sorted`` or ``token-budget``, the last with ``tokens`` a batch. ``batch`` is the
    number of examples a batch (None: as before). ``threads`` is for each of the ``replicas``; None shares cores out.
    """

    batching: Literal["as-given", "sorted", "token-budget"] = "as-given"
    batch: int | None = None
    tokens: int | None = None
    threads: int | None = None
    replicas: int = 1

    def check(self, parent: ArtifactSpec, materials: Materials) -> ArtifactSpec:  # noqa: ARG002 -- needs no data
        """Refuse counts below one, a budget without its size, and more threads than there are cores."""
        for name in ("batch", "tokens", "threads", "replicas"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise StageError(f"option `{name}` of stage `runtime` is {value}; give at least 1.")
        if (self.batching == "token-budget") != (self.tokens is not None):
            raise StageError("stage `runtime` needs `tokens` with batching: token-budget, and with nothing else.")
        cores = machine.thread_count()
        if self.replicas * (self.threads or 1) > cores:
            raise SetupError(
                f"{self.replicas} replicas of {self.threads or 1} threads need {self.replicas * (self.threads or 1)} "
                f"cores where {cores} are allotted; ask for fewer."
            )
        if parent.runtime.device == "cuda" and self.replicas > 1:
            raise StageError("replicas share a GPU's queue and gain nothing on CUDA; give replicas: 1.")
        if parent.engine == "aotinductor" and self.replicas > 1:
            raise StageError(
                "a package of inductor holds the interpreter while it computes, so replicas wait for each other; "
                "give replicas: 1, or another engine."
            )
        return dataclasses.replace(parent, runtime=self._runtime(parent))

    def apply(
        self,
        parent: Artifact,
        folder: Path,
        materials: Materials,
    ) -> tuple[Artifact, dict[str, Any]]:
        """Link the parent's files under another runtime block, and prove that no answer has moved to another place."""
        runtime = self._runtime(parent.spec)
        folder.mkdir(parents=True)
        for file in parent.spec.files:
            link_or_copy(parent.folder / file.path, folder / file.path)
        artifact = parent.derive(folder, {"runtime": dataclasses.asdict(self)}, runtime=runtime)
        return artifact, prove_order(parent, artifact, materials)

    def _runtime(self, parent: ArtifactSpec) -> Any:
        threads = self.threads
        if threads is None and self.replicas > 1:
            threads = max(machine.thread_count() // self.replicas, 1)
        return dataclasses.replace(
            parent.runtime,
            batching=_SHORT.get(self.batching, self.batching),  # type: ignore[arg-type]
            batch_example_count=self.batch or parent.runtime.batch_example_count,
            batch_token_count=self.tokens,
            thread_count=threads or parent.runtime.thread_count,
            replica_count=self.replicas,
        )


def prove_order(parent: Artifact, artifact: Artifact, materials: Materials) -> dict[str, Any]:
    """
    Answer the calibration examples one by one with the parent and as served now, and compare them place by place.

    Raises:
        StageError: If an answer is nearer to another example's than to its own.
    """
    import numpy as np

    inputs = materials.calibration
    alone, served = parent.predict(inputs, batch_example_count=1), artifact.predict(inputs)
    differences = np.abs(alone - served).max(axis=1)
    # Rounding differs between batches, more so in int8; a misplaced answer differs by as much as two texts do.
    shuffled = np.abs(alone - np.roll(served, 1, axis=0)).max(axis=1)
    if len(inputs) > 1 and float(np.mean(differences)) > float(np.mean(shuffled)) / 2:
        raise StageError(
            f"answers served as asked differ from those one by one by {np.mean(differences):.2g} on average, "
            "as if they stood at other places; nothing was kept."
        )
    return {"largest_answer_difference": float(differences.max()), "answer_count": len(inputs)}
