"""
Which technique helps here, and why: what each could give at most, what each gave in a run, and recipes tried out.

    bounds = upper_bounds(baseline, profile, ceilings)
    rows = technique_rows(run)
    trial = try_recipe(session, "zeros", [{"prune": {"weights_ratio": 0.5}}])

Nothing here is timed: bounds and rows are computed from the records of a run, and a trial counts.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from perflib import sentences, verdict
from perflib.artifact import Artifact
from perflib.batching import Batching, plan_batches
from perflib.encoded import Encoded
from perflib.errors import ParameterError
from perflib.results import Baseline, Build, Ceilings, Profile, Validation
from perflib.results.techniques import FAMILIES, Family, PaddingPlan, TechniqueRow, Trial, UpperBound, Work
from perflib.runs import Run
from perflib.session import Session
from perflib.workloads.base import accuracy

_FAMILY_OF_STAGE: Mapping[str, Family] = {
    "engine": "engine",
    "precision": "precision",
    "quantize": "quantization",
    "prune": "structure",
    "distil": "structure",
    "vocabulary": "structure",
    "runtime": "serving",
}
FP32_ENGINE, BF16_PRODUCTS, INT8_PRODUCTS = "a perfect engine in fp32", "bf16 products", "int8 products"
INT8_ENGINE, NO_PADDING = "int8 products in a perfect engine", "no padding at all"


def run_bounds(run: Run) -> tuple[UpperBound, ...]:
    """Return the bounds of a run's baseline on its machine; none where a record is missing."""
    baseline, profile = run.read(Baseline, "baseline"), run.profile()
    ceilings = run.read(Ceilings, "machine")
    if baseline is None or profile is None or ceilings is None:
        return ()
    return upper_bounds(baseline, profile, ceilings)


def upper_bounds(baseline: Baseline, profile: Profile, ceilings: Ceilings) -> tuple[UpperBound, ...]:
    """
    Say how many times as fast each technique could make the baseline on this machine.

    Amdahl's law: what a technique does not touch takes as long as before. The profile says which share of the time
    matrix products and attention take, and the ceilings how fast they could be at best.

    Args:
        baseline: Timed; where throughput was not asked for, the profiled batch stands in.
        profile: Of a batch with the real distribution of lengths.
        ceilings: Of the machine on which both were made.
    """
    rates = {one.scenario: one for one in baseline.scenarios}
    flop_count = sum(row.flop_count for row in profile.operators) / profile.active_step_count
    batch_sec = profile.step_sec
    if "offline" in rates:
        batch_sec = profile.step_example_count / rates["offline"].examples_per_sec
    rest_sec = (1 - profile.share_ratio("matrix", "attention")) * batch_sec
    found = _product_bounds(ceilings, flop_count, batch_sec=batch_sec, rest_sec=rest_sec)
    if "single" in rates and flop_count:
        text_flop_count = flop_count / profile.step_token_count * profile.real_token_count / profile.step_example_count
        fastest_sec = text_flop_count / ceilings.fp32_flop_per_sec
        because = "one call does nothing but its products, at the fp32 ceiling"
        found.append(UpperBound("engine", FP32_ENGINE, "single", rates["single"].p50_sec / fastest_sec, because))
    if profile.real_token_count < profile.step_token_count:
        ratio = profile.step_token_count / profile.real_token_count
        found.append(UpperBound("serving", NO_PADDING, "offline", ratio, "time goes with the tokens of a batch"))
    because = "all time is in the layers, and every second one goes"
    found.append(UpperBound("structure", "half of the layers", "offline", 2.0, because))
    return tuple(sorted(found, key=lambda one: FAMILIES.index(one.family)))


def family_of(recipe: Sequence[Mapping[str, Any]]) -> Family:
    """
    Say what kind of technique a recipe is; more than one kind is a combination.

    Example:
        >>> family_of([{"quantize": {}}]), family_of([{"prune": {}}, {"quantize": {}}]), family_of([{"own:Stage": {}}])
        ('quantization', 'combination', 'other')
    """
    kinds = {_FAMILY_OF_STAGE.get(stage, "other") for line in recipe for stage in line}
    return next(iter(kinds)) if len(kinds) == 1 else "combination"


def technique_rows(run: Run) -> tuple[TechniqueRow, ...]:
    """Put every candidate of a run beside the others, family by family, in each the fastest in throughput first."""
    bounds = {one.technique: one.bound_ratio for one in run_bounds(run) if one.scenario == "offline"}
    rows = []
    for candidate in verdict.judge_run(run):
        build, validation = run.read(Build, candidate.name), run.read(Validation, candidate.name)
        bound_ratio = bounds.get(_technique_of(build)) if build else None
        row = TechniqueRow(
            candidate=candidate,
            family=family_of(build.recipe) if build else "not built",
            recipe=sentences.recipe_words(build.recipe) if build else "",
            why=sentences.why_sentence(candidate, build, validation, bound_ratio=bound_ratio),
            bound_ratio=bound_ratio,
        )
        rows.append(row)
    return tuple(sorted(rows, key=lambda row: (FAMILIES.index(row.family), -(row.offline_ratio or 0.0), row.name)))


def try_recipe(session: Session, name: str, recipe: Sequence[Any]) -> tuple[Artifact, Trial]:
    """
    Build a recipe from the session's baseline, or find it built, and compare answers on the tuning split.

    Raises:
        ParameterError: If the recipe cannot be read.
        StageError: If a stage refuses what comes to it, before any work, or cannot prove its effect.
    """
    artifact, build = session.build(name, recipe)
    session.run.write(build, name)
    tuning = session.materials.labelled("tuning", stage=name)
    before, after = (model.predict(tuning.inputs) for model in (session.baseline, artifact))
    trial = Trial(
        name=name,
        build=build,
        example_count=len(tuning),
        changed_label_count=int((before.argmax(axis=1) != after.argmax(axis=1)).sum()),
        baseline_accuracy_ratio=accuracy(tuning.labels, before),
        accuracy_ratio=accuracy(tuning.labels, after),
    )
    return artifact, trial


def count_work(artifact: Artifact, inputs: Encoded) -> Work:
    """
    Count what the layers multiply for these inputs, as one batch, and how much of it is by zeros.

    The two products inside attention have no weights, and torch does not count them on a CPU.

    Args:
        artifact: A torch one; other engines do not let us look at their layers.
        inputs: One batch.

    Raises:
        ParameterError: If the artifact is of another engine.
    """
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    from perflib.engines.torch_engine import DTYPES, load_module, to_tensors

    if artifact.spec.engine != "torch":
        raise ParameterError(
            f"multiplications are counted in torch artifacts only, and this one runs in {artifact.spec.engine}; "
            "leave the stages out that quantize or convert."
        )
    module = load_module(artifact.folder, artifact.spec)
    wasted: list[int] = []

    def look(layer: Any, _: Any, made: torch.Tensor) -> None:
        # Every output of a layer is the sum of one product for each weight of its row or filter.
        zero_count = int((layer.weight == 0).sum())
        wasted.append(made.numel() // _width(layer) * zero_count)

    for layer in module.modules():
        if isinstance(layer, torch.nn.Linear | torch.nn.Conv2d):
            layer.register_forward_hook(look)
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        module(**to_tensors(inputs.arrays, device="cpu", dtype=DTYPES[artifact.spec.precision]))
    total = counter.get_total_flops() // 2  # a product and a sum each
    return Work(total, total - sum(wasted))


def padding_plans(
    lengths: NDArray[np.integer], *, example_count: int = 32, token_count: int = 1024
) -> tuple[PaddingPlan, ...]:
    """
    Count the tokens that each way of making batches computes.

    Args:
        lengths: Real tokens of every text.
        example_count: Texts a batch, as they come and sorted.
        token_count: Tokens a batch, padding included, for the budget.
    """
    ways: tuple[Batching, ...] = ("as-they-come", "sorted", "token-budget")
    return tuple(_padding(lengths, way, example_count, token_count) for way in ways)


def best_single(rows: Sequence[TechniqueRow]) -> TechniqueRow | None:
    """Return the approved and faster candidate of one technique with the largest speed-up; None without any."""
    alone = [row for row in rows if row.candidate.verdict == "approved" and row.family not in ("combination", "other")]
    return max((row for row in alone if row.best_ratio > 1), key=lambda row: row.best_ratio, default=None)


def _product_bounds(ceilings: Ceilings, flop_count: float, *, batch_sec: float, rest_sec: float) -> list[UpperBound]:
    """Bound what changes how fast products are made, with what lies between them and without."""
    asked: tuple[tuple[Family, str, float | None, float], ...] = (
        ("engine", FP32_ENGINE, ceilings.fp32_flop_per_sec, 0.0),
        ("precision", BF16_PRODUCTS, ceilings.bf16_flop_per_sec, rest_sec),
        ("quantization", INT8_PRODUCTS, ceilings.int8_op_per_sec, rest_sec),
        ("quantization", INT8_ENGINE, ceilings.int8_op_per_sec, 0.0),
    )
    found = []
    for family, technique, rate, left_sec in asked:
        if rate is None or not flop_count:
            continue
        kept = "all else takes as long as today" if left_sec else "all else takes no time"
        because = f"products at the ceiling, {kept}"
        found.append(UpperBound(family, technique, "offline", batch_sec / (left_sec + flop_count / rate), because))
    return found


def _technique_of(build: Build) -> str:
    """Name the bound that a recipe of one family stands under."""
    # What a perfect engine could give is so much that no candidate is told apart by it.
    family = family_of(build.recipe)
    options = {key: value for line in build.recipe for given in line.values() for key, value in (given or {}).items()}
    if family == "quantization":
        return "" if options.get("scheme") == "int8-weights" else INT8_PRODUCTS
    if family == "precision":
        # Only bf16 has a ceiling of its own.
        return BF16_PRODUCTS if options.get("dtype", "bf16") == "bf16" else ""
    # More threads, replicas or examples a batch save something else than padding.
    return NO_PADDING if family == "serving" and set(options) <= {"batching"} else ""


def _width(layer: Any) -> int:
    """Return how many outputs share one input position."""
    return int(layer.weight.shape[0])


def _padding(lengths: NDArray[np.integer], way: Batching, example_count: int, token_count: int) -> PaddingPlan:
    batches = plan_batches(lengths, way, example_count=example_count, token_count=token_count)
    computed = sum(len(rows) * int(lengths[rows].max()) for rows in batches)
    return PaddingPlan(way, len(batches), computed, int(np.sum(lengths)))
