"""
Which parts of a model bear int8: each block is quantized alone, and its cost on the tuning split is written down.

A block is a part of the module tree, such as ``encoder.layer.0.attention``. int8 is simulated in PyTorch, so the
finding belongs to the model and not to one engine. The order is that of the model; when the budget ends, the rest stays
unmeasured and the record says so. With a scratch folder every block is kept, and a second run goes on where one ended.

    found = measure_sensitivity(parent, materials, budget_sec=60)
    found.ranked()[0].name                                     # the worst block

`sensitive_blocks` is `keep: sensitive` of the stage `quantize`: it leaves the worst blocks in floating point.
"""

import dataclasses
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from perflib.artifact import Artifact, softmax
from perflib.compression.keeping import Tries, judge, kept_counts
from perflib.compression.materials import Materials
from perflib.compression.stage import require_torch
from perflib.encoded import Encoded
from perflib.errors import StageError
from perflib.progress import Progress
from perflib.records import read_json, sha256_json, write_json
from perflib.results.compression import BlockSensitivity, Sensitivity

if TYPE_CHECKING:
    from perflib.compression.quantize import Quantize

# Inputs -> probabilities, float32, shape (examples, classes).
Predict = Callable[[Encoded], NDArray[np.float32]]
MOST_CALIBRATION_COUNT = 256
# Of the budget of `keep: sensitive`; the rest is for building and judging candidates.
SENSITIVITY_SHARE = 0.5
_STAGE = "quantize"
_LEAST_PROBABILITY = 1e-30


@dataclasses.dataclass(frozen=True)
class Score:
    """How well somebody answers: the mean cross-entropy, and the share of answers that differ from the parent's."""

    loss_nat: float
    flips_ratio: float


def measure_sensitivity(
    parent: Artifact,
    materials: Materials,
    *,
    score: Callable[[Predict], Score] | None = None,
    unit: Literal["block", "layer"] = "block",
    blocks: Sequence[str] | None = None,
    budget_sec: float,
    scratch: Path | None = None,
    example_count: int = 512,
    name: str = "parent",
    clock: Callable[[], float] = time.perf_counter,
) -> Sensitivity:
    """
    Quantize each block alone, in simulation, and score it on the tuning split.

    Args:
        parent: A torch fp32 artifact.
        materials: Calibration gives the ranges, tuning the score.
        score: Takes who answers and says how well; by default the cross-entropy on a sample of tuning. Blocks kept in
            ``scratch`` are those of the default, so give another folder with another score.
        unit: Blocks, or every layer alone.
        blocks: Paths of modules instead of the default ones.
        budget_sec: No block is begun after it; the first one always is.
        scratch: Keeps every measured block; None keeps none.
        example_count: Size of the sample.
        name: The parent's name in the record.
        clock: Monotonic seconds.

    Raises:
        StageError: If the parent is no torch fp32 model, a block holds no layer with weights, or a split is missing.
    """
    from perflib.compression.blocks import default_blocks, layers_of
    from perflib.compression.fake_quant import observe_ranges, simulated_int8
    from perflib.compression.teaching import answer
    from perflib.engines.torch_engine import load_module

    require_torch(parent.spec, stage=_STAGE)
    start_sec = clock()
    module = load_module(parent.folder, parent.spec)
    layers = {block: layers_of(module, block) for block in blocks or default_blocks(module, unit=unit)}
    tuning = materials.labelled("tuning", stage=_STAGE).stratified(example_count)
    ranges = observe_ranges(module, materials.calibration.stratified(MOST_CALIBRATION_COUNT))

    def predict(inputs: Encoded) -> NDArray[np.float32]:
        return softmax(answer(module, inputs))

    rate = score or tuning_score(predict, tuning.inputs, tuning.labels)
    baseline = rate(predict)
    scores: list[BlockSensitivity] = []
    kept = _Kept(scratch, [parent.digest, tuning.inputs.digest(), tuning.labels.tolist(), ranges])
    with Progress("sensitivity", len(layers)) as bar:
        for block, names in layers.items():
            found = kept.read(block)
            if found is None and scores and clock() - start_sec >= budget_sec:
                continue  # what an earlier run has measured further on is still read
            if found is None:
                begun_sec = clock()
                with simulated_int8(module, ranges, names):
                    made = rate(predict)
                increase_nat = made.loss_nat - baseline.loss_nat
                found = BlockSensitivity(block, increase_nat, made.flips_ratio, len(tuning), clock() - begun_sec)
                kept.write(found)
            scores.append(found)
            bar.step(f"{block} {found.loss_increase_nat:+.2g} nats")
    measured = {one.name for one in scores}
    return Sensitivity(
        name=name,
        parent_sha256=parent.digest,
        unit=unit,
        example_count=len(tuning),
        baseline_loss_nat=baseline.loss_nat,
        scores=tuple(scores),
        unmeasured=tuple(block for block in layers if block not in measured),
        budget_sec=budget_sec,
        spent_sec=clock() - start_sec,
    )


def tuning_score(parent: Predict, inputs: Encoded, labels: NDArray[np.integer]) -> Callable[[Predict], Score]:
    """Return a score by cross-entropy against the labels, and by answers that differ from the parent's."""
    expected = parent(inputs).argmax(axis=1)

    def rate(predict: Predict) -> Score:
        probabilities = predict(inputs)
        right = probabilities[np.arange(len(labels)), labels].astype(np.float64)
        loss_nat = float(-np.log(np.maximum(right, _LEAST_PROBABILITY)).mean())
        return Score(loss_nat, float(np.mean(probabilities.argmax(axis=1) != expected)))

    return rate


def sensitive_blocks(
    options: "Quantize",
    parent: Artifact,
    materials: Materials,
    *,
    quantize: Callable[[tuple[str, ...], Path], Artifact],
    folder: Path,
    clock: Callable[[], float] = time.perf_counter,
) -> tuple[Artifact, dict[str, Any]]:
    """
    Rank the blocks, then quantize with the worst of them kept until accuracy holds or the budget ends.

    Args:
        options: ``max_drop_ratio`` and ``budget_sec``; half of the budget at most goes to the ranking.
        parent: A torch fp32 artifact.
        materials: With a scratch folder, the best candidate and the table outlive a failure, and candidates that were
            refused once are not built again.
        quantize: Takes the paths of the blocks to keep and an empty place, and builds the candidate there.
        folder: Where the winner goes; nothing else is ever put there.
        clock: Monotonic seconds.

    Returns:
        The winner, and the proof: the sensitivity record under ``sensitivity``, the candidates under ``tried``.

    Raises:
        StageError: If no candidate held; it names the smallest drop that was reached.
    """
    start_sec = clock()
    tuning = materials.labelled("tuning", stage="quantize")
    sensitivity = measure_sensitivity(
        parent, materials, budget_sec=SENSITIVITY_SHARE * options.budget_sec, scratch=materials.scratch, clock=clock
    )
    ranked = [one.name for one in sensitivity.ranked()]
    block_count = len(ranked) + len(sensitivity.unmeasured)
    table = Tries(materials.scratch, [parent.digest, dataclasses.asdict(options), materials.digest(), ranked])
    counts = [count for count in kept_counts(block_count) if count <= len(ranked)]
    folder.parent.mkdir(parents=True, exist_ok=True)
    expected = parent.predict(tuning.inputs).argmax(axis=1)
    with (
        tempfile.TemporaryDirectory(prefix=f".{folder.name}.", dir=folder.parent) as work,
        Progress("keeping sensitive blocks", len(counts)) as bar,
    ):
        has_tried = False
        for count in counts:
            kept = tuple(ranked[:count])
            if table.has_refused(kept, options.max_drop_ratio):
                bar.step(f"{count} kept: refused before")
                continue
            if has_tried and clock() - start_sec >= options.budget_sec:
                break
            candidate, has_tried = quantize(kept, Path(work) / f"kept-{count}"), True
            found = judge(candidate, kept, expected, tuning)
            table.add(found, candidate)
            bar.step(f"{count} kept: {100 * found.drop_ratio:+.2f} points lost")
            if found.drop_ratio <= options.max_drop_ratio:
                proof = {"sensitivity": sensitivity.to_dict(), "tried": table.rows(), "kept_block_count": count}
                return candidate.copy_to(folder), proof
    raise StageError(table.refusal(options.max_drop_ratio, block_count))


class _Kept:
    """Measured blocks in a folder of their own, one file each, for a run that goes on later."""

    def __init__(self, scratch: Path | None, decides: list[Any]) -> None:
        self._folder = scratch and scratch / "sensitivity" / sha256_json(decides)[:16]

    def read(self, block: str) -> BlockSensitivity | None:
        path = self._folder and self._folder / f"{block}.json"
        return BlockSensitivity(**read_json(path)) if path and path.is_file() else None

    def write(self, found: BlockSensitivity) -> None:
        if self._folder:
            write_json(self._folder / f"{found.name}.json", dataclasses.asdict(found))
