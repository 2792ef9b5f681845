"""
To ONNX Runtime, from PyTorch: traced, fused and held against the source at every length that real texts have.

Weights stay in fp32; int8 is a matter of `quantize`, which begins with the same conversion.
"""

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from perflib.artifact import Artifact, ArtifactSpec
from perflib.compression.engine import Engine
from perflib.compression.materials import Materials
from perflib.compression.parity import LOSSLESS_LOGIT, check_lengths, real_texts
from perflib.compression.stage import require_torch
from perflib.errors import StageError

if TYPE_CHECKING:
    from perflib.engines.onnx_build import Fusions

PACKAGES = ("onnx", "onnxruntime")


def check_parent(
    options: Engine,
    parent: ArtifactSpec,
    materials: Materials,  # noqa: ARG001 -- free shapes need no data
) -> ArtifactSpec:
    """
    Take torch fp32 parents, with free shapes and fp32 arithmetic.

    Raises:
        StageError: If something else is asked for.
    """
    require_torch(parent, stage="engine")
    if options.shapes != "dynamic":
        raise StageError(
            f"engine `onnxruntime` plans memory anew for every call, so shapes: {options.shapes} gains nothing on it; "
            "use shapes: dynamic, or name openvino."
        )
    if options.arithmetic != "fp32":
        raise StageError(
            f"engine `onnxruntime` has no {options.arithmetic} arithmetic on the CPU; leave it out, or name openvino."
        )
    return dataclasses.replace(parent, engine="onnxruntime", builder=None, config={})


def convert(options: Engine, parent: Artifact, folder: Path, materials: Materials) -> tuple[Artifact, dict[str, Any]]:
    """
    Write the model, compare it with its parent at every length, and read which operators run.

    Raises:
        StageError: If the model has an unsupported operator or answers otherwise than its parent.
    """
    from perflib.engines import onnx_engine

    line = {"engine": dataclasses.asdict(options)}
    made, parity = convert_fp32(parent, folder, materials, line=line, fusions="attention")
    products = onnx_engine.executed_products(
        made.folder / onnx_engine.MODEL_FILE, thread_count=made.spec.runtime.thread_count
    )
    kinds = [product["type"] for product in products]
    proof = {
        "parity": parity,
        "linear_layer_count": len(products),
        "low_precision_share_ratio": 0.0,
        "operator_counts": {kind: kinds.count(kind) for kind in sorted(set(kinds))},
    }
    return made, proof


def convert_fp32(
    parent: Artifact, folder: Path, materials: Materials, *, line: dict[str, Any], fusions: "Fusions"
) -> tuple[Artifact, dict[str, Any]]:
    """
    Convert a torch fp32 artifact and compare.

    Args:
        parent: The artifact.
        folder: Where the result goes.
        materials: Texts to trace and compare with.
        line: What the result's lineage says was done.
        fusions: As for `onnx_build.optimize`.

    Returns:
        The result, and what the comparison found, as plain data.

    Raises:
        StageError: If the model has an unsupported operator or answers otherwise than its parent at some length.
    """
    from perflib.engines import onnx_build, onnx_engine

    folder.mkdir(parents=True, exist_ok=True)
    path = folder / onnx_engine.MODEL_FILE
    # Two of the longest: a text of one token, or one text alone, would let the tracer take a size for a constant.
    longest = np.resize(np.argsort(materials.calibration.lengths(), kind="stable")[-2:], 2)
    onnx_build.export(parent, materials.calibration.take(longest), path)
    onnx_build.optimize(path, fusions=fusions)
    made = parent.derive(folder, line, packages=PACKAGES, engine="onnxruntime", builder=None, config={})
    found = check_lengths(
        parent, made, real_texts(materials), limit_logit=LOSSLESS_LOGIT, label="the ONNX Runtime model"
    )
    found.require()
    return made, found.to_proof()
