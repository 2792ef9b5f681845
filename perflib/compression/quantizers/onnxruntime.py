"""
int8 for ONNX Runtime, by its own quantizer: ranges from calibration texts, or measured anew in every call.

Weights are signed and activations unsigned, which is what the processor's 8-bit products take. Only products by weights
and embedding tables are quantized: the attention's own products are small, and their ranges the widest.
The converted fp32 model is compared with its source at every length before anything is quantized, and the graph that is
executed says afterwards which kernels run.
"""

import dataclasses
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from perflib.artifact import Artifact, ArtifactSpec
from perflib.compression.materials import Materials
from perflib.compression.ranges import Range, write_ranges
from perflib.errors import StageError, did_you_mean
from perflib.progress import Progress

if TYPE_CHECKING:
    from perflib.compression.quantize import Quantize
    from perflib.engines.onnx_build import Fusions

FEWEST_INT8_SHARE = 0.9
_SCHEMES = ("int8-static", "int8-dynamic")
_LEVELS_COUNT = 256


def check_parent(
    options: "Quantize",
    parent: ArtifactSpec,
    materials: Materials,  # noqa: ARG001 -- the stage has looked at the data
) -> ArtifactSpec:
    """
    Return what the stage will make of a torch fp32 parent.

    Raises:
        StageError: If this engine has no such scheme, calibrator or scale.
    """
    refusals = (
        (options.scheme not in _SCHEMES, f"has no {options.scheme}; use {' or '.join(_SCHEMES)}, or engine: openvino"),
        (options.calibrator == "mse", "has no calibrator: mse; use min-max or percentile, or engine: openvino"),
        (bool(options.smooth), "has no SmoothQuant of its own; leave out `smooth`, or use engine: openvino"),
        (
            options.activations == "per-token",
            "has one dynamic scale per tensor, so an answer depends on the other texts of its batch, and activations: "
            "per-token cannot be had; use another engine",
        ),
        (options.keep == "accuracy-control", "has no accuracy control; use keep: sensitive"),
    )
    for is_wrong, sentence in refusals:
        if is_wrong:
            raise StageError(f"engine `onnxruntime` {sentence}.")
    return dataclasses.replace(parent, engine="onnxruntime", precision="int8", builder=None, config={})


def quantize(
    options: "Quantize", parent: Artifact, folder: Path, materials: Materials
) -> tuple[Artifact, dict[str, Any]]:
    """
    Convert, compare with the source, quantize, and read the executed graph.

    Raises:
        StageError: If the conversion is wrong, a module to keep is unknown, or layers fell back to fp32.
    """
    from perflib.compression.converters.onnxruntime import convert_fp32

    with tempfile.TemporaryDirectory() as work:
        source, parity = convert_fp32(parent, Path(work) / "fp32", materials, line={}, fusions=_fusions(options))

        def build(kept: tuple[str, ...], place: Path) -> Artifact:
            return quantize_keeping(options, parent, source, kept=kept, folder=place, materials=materials)

        found: dict[str, Any] = {}
        if options.keep == "sensitive":
            from perflib.compression.sensitivity import sensitive_blocks

            artifact, found = sensitive_blocks(options, parent, materials, quantize=build, folder=folder)
        else:
            artifact = build(options.kept_blocks, folder)
    return artifact, {**prove(artifact), "conversion_parity": parity, **found}


def quantize_keeping(
    options: "Quantize", parent: Artifact, source: Artifact, *, kept: Sequence[str], folder: Path, materials: Materials
) -> Artifact:
    """
    Quantize all but some modules, and seal the result in a folder.

    Args:
        options: How.
        parent: The torch artifact.
        source: Its fp32 conversion.
        kept: Names of torch modules that stay in fp32, with all that is in them.
        folder: Where the artifact goes.
        materials: The calibration texts.

    Raises:
        StageError: If a name is unknown, or the model has layers that the scheme has no kernels for.
    """
    from perflib.engines import onnx_build, onnx_engine

    path = source.folder / onnx_engine.MODEL_FILE
    nodes = onnx_build.weighted_nodes(path)
    left = _resolve(kept, nodes)
    chosen = [name for name in nodes if name not in left]
    if options.scheme == "int8-dynamic" and "Conv" in nodes.values():
        raise StageError("ONNX Runtime has no int8-dynamic for convolutions; use scheme: int8-static.")
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / onnx_engine.MODEL_FILE
    details: dict[str, Any] = {
        "kept_blocks": list(kept),
        "kept_layer_count": sum(nodes[name] != "Gather" for name in left),
    }
    if options.is_calibrated:
        details |= _quantize_static(options, path, target, chosen, materials)
    else:
        onnx_build.quantize_dynamic(path, target, chosen, is_per_channel=options.per_channel)
    return parent.derive(
        folder,
        {"quantize": dataclasses.asdict(options)},
        packages=("onnx", "onnxruntime"),
        details=details,
        engine="onnxruntime",
        precision="int8",
        builder=None,
        config={},
    )


def prove(artifact: Artifact) -> dict[str, Any]:
    """
    Return how many of the layers that were to be int8 have int8 kernels in the executed graph.

    Raises:
        StageError: If fewer than nine in ten have: a silent fallback to fp32 is a failed stage.
    """
    from perflib.engines import onnx_engine

    products = onnx_engine.executed_products(
        artifact.folder / onnx_engine.MODEL_FILE, thread_count=artifact.spec.runtime.thread_count
    )
    details = artifact.spec.lineage.details
    int8_count = sum(product["precision"] == "int8" for product in products)
    wanted_count = len(products) - details["kept_layer_count"]
    share = int8_count / wanted_count if wanted_count > 0 else 0.0
    if share < FEWEST_INT8_SHARE:
        raise StageError(
            f"only {share:.0%} of {wanted_count} linear layers that were to be int8 are ({len(products)} in all), "
            f"fewer than {FEWEST_INT8_SHARE:.0%}; the engine fell back to fp32, or everything was kept."
        )
    kinds = [product["type"] for product in products]
    return {
        "linear_layer_count": len(products),
        "low_precision_share_ratio": min(share, 1.0),
        "kept_layer_count": details["kept_layer_count"],
        "kept_blocks": details["kept_blocks"],
        "operator_counts": {kind: kinds.count(kind) for kind in sorted(set(kinds))},
    }


def _fusions(options: "Quantize") -> "Fusions":
    """An attention that is one operator cannot be kept in part, and no static quantizer knows it."""
    if options.is_calibrated:
        return "none"
    return "layers" if options.keep else "attention"


def _resolve(kept: Sequence[str], nodes: Mapping[str, str]) -> set[str]:
    """Return the nodes that belong to the named modules."""
    left: set[str] = set()
    for block in kept:
        within = {name for name in nodes if name == block or name.startswith(f"{block}.")}
        if not within:
            blocks = {".".join(name.split(".")[:count]) for name in nodes for count in range(1, name.count(".") + 2)}
            raise StageError(
                f"`keep` names `{block}`, but the model has no such part with weights; {did_you_mean(block, blocks)}"
            )
        left |= within
    return left


def _quantize_static(
    options: "Quantize", path: Path, target: Path, chosen: Sequence[str], materials: Materials
) -> dict[str, Any]:
    """Quantize, write the ranges beside the model, and return what the lineage says of the calibration."""
    from perflib.engines import onnx_build

    sample = materials.sample(options.calibration_examples, stage="quantize")
    # One text at a time, at its real length: padding would set ranges that no answer depends on.
    calls = [dict(sample.take([row]).arrays) for row in range(len(sample))]
    with Progress("calibrating", len(calls)) as bar:
        found = onnx_build.quantize_static(
            path,
            target,
            chosen,
            calls,
            is_per_channel=options.per_channel,
            calibrator=options.calibrator,
            on_call=bar.step,
        )
    ranges = [Range(name, low, high, _LEVELS_COUNT) for name, (low, high) in found.items()]
    write_ranges(ranges, target.parent, calibrator=options.calibrator)
    return {
        "calibration_inputs_sha256": sample.digest(),
        "calibration_example_count": len(sample),
        "activation_range_count": len(ranges),
    }
