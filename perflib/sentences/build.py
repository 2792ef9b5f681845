"""What a recipe made of the model, what it cost once, and what proves that every stage took effect."""

from collections.abc import Mapping
from typing import Any

from perflib import units
from perflib.results import Build

_ALIKE = {"batching": "batches {}", "batch": "{} texts a batch", "tokens": "at most {} tokens a batch"}
_ALIKE |= {"threads": "{} threads", "replicas": "{} replicas"}
# Where a proof says how often the candidate and its parent are right on the tuning split.
_TUNING_KEYS = (
    ("tuning_accuracy_ratio", "teacher_tuning_accuracy_ratio"),
    ("tuning_accuracy_ratio", "tuning_accuracy_before_ratio"),
    ("accuracy_ratio", "parent_accuracy_ratio"),
)


def build_sentence(build: Build) -> str:
    """Say what the recipe cost and what proves that it took effect."""
    took = units.duration(build.build_sec)
    is_cached = bool(build.steps) and all(step.is_cached for step in build.steps)
    built = f"Found as it was built, once, in {took}" if is_cached else f"Built in {took}"
    sizes = f"{units.size(build.parent_size_bytes)} became {units.size(build.size_bytes)}"
    return f"{built}: {'; '.join([sizes, *mechanisms(build)])}."


def mechanisms(build: Build) -> list[str]:
    """Say for every step what its proof shows."""
    lines = [(stage, options or {}) for line in build.recipe for stage, options in line.items()]
    return [
        _mechanism(stage, options, step.proof) + _tuned(step.proof)
        for (stage, options), step in zip(lines, build.steps, strict=True)
    ]


def _mechanism(stage: str, options: Mapping[str, Any], proof: Mapping[str, Any]) -> str:
    if proof.get("is_faster_expected") is False and "zero_share_ratio" in proof:
        return f"{units.percent(proof['zero_share_ratio'], 0)} of the weights are zero, but {proof['why']}"
    for after, before in (
        ("parameter_count", "parent_parameter_count"),
        ("student_parameter_count", "teacher_parameter_count"),
    ):
        if after in proof and before in proof:
            return f"{stage} leaves {units.percent(proof[after] / proof[before], 0)} of the parameters"
    if "kept_token_count" in proof:
        share = units.percent(proof["kept_token_count"] / proof["token_count"], 0)
        return f"{share} of the embedding's rows are kept, which saves bytes and no product"
    if stage == "runtime":
        served = [_ALIKE[name].format(value) for name, value in options.items() if name in _ALIKE]
        return f"the model is as before, and served otherwise ({', '.join(served) or 'as before'})"
    return _arithmetic(stage, options, proof)


def _arithmetic(stage: str, options: Mapping[str, Any], proof: Mapping[str, Any]) -> str:
    """Say what a stage that converts or rounds made of the products."""
    if options.get("scheme") == "int8-weights":
        return "the weights are stored in int8, and the products stay in fp32"
    if stage == "engine":
        shapes = options.get("shapes", "dynamic")
        return f"{options.get('name', 'openvino')} makes the same products, with {shapes} shapes"
    share, count = proof.get("low_precision_share_ratio"), proof.get("linear_layer_count")
    if share and count:
        emulated = ", emulated where the processor has no such products" if options.get("even_if_emulated") else ""
        kind = "int8" if stage == "quantize" else options.get("dtype") or "low precision"
        return f"{units.percent(share, 0)} of {count} linear layers compute in {kind}{emulated}"
    return f"{stage} leaves no number that would say more"


def _tuned(proof: Mapping[str, Any]) -> str:
    """Say what a stage that looked at the tuning split found there."""
    for after, before in _TUNING_KEYS:
        if after in proof and before in proof:
            now, was = (units.percent(proof[key], 2) for key in (after, before))
            return f" and is right on {now} of the tuning split (before: {was})"
    return ""
