"""
To torch.compile: the parent's weights as they are, compiled whenever a session opens.

Nothing is compiled into the artifact, so it moves between machines, and pays for it each time it is opened.
"""

import dataclasses
from pathlib import Path
from typing import Any

from perflib.artifact import Artifact, ArtifactSpec, link_or_copy
from perflib.compression.converters.aotinductor import check_inductor_parent, compare, longest_tokens_count
from perflib.compression.engine import Engine
from perflib.compression.materials import Materials


def check_parent(options: Engine, parent: ArtifactSpec, materials: Materials) -> ArtifactSpec:
    """
    Say what comes out, or refuse.

    Raises:
        StageError: If the parent is no torch fp32 or bf16 model, or fixed shapes or other arithmetic are asked for.
        SetupError: If there is no C++ compiler on the CPU.
    """
    from perflib.engines.aot_engine import require_compiler

    check_inductor_parent(options, parent)
    if parent.runtime.device == "cpu":
        require_compiler(options.name)
    return dataclasses.replace(parent, engine="torch-compile", options=_options(parent, materials))


def convert(options: Engine, parent: Artifact, folder: Path, materials: Materials) -> tuple[Artifact, dict[str, Any]]:
    """
    Link the weights, compile them once and compare.

    Returns:
        The artifact, and a proof with what the comparison found.

    Raises:
        SetupError: If the model cannot be compiled with a free batch and length.
        StageError: If it answers wrongly at some length.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for file in parent.spec.files:
        link_or_copy(parent.folder / file.path, folder / file.path)
    made = parent.derive(
        folder,
        {"engine": dataclasses.asdict(options)},
        packages=("torch",),
        engine="torch-compile",
        options=_options(parent.spec, materials),
    )
    return made, {"parity": compare(parent, made, materials, label="the compiled model").to_proof()}


def _options(parent: ArtifactSpec, materials: Materials) -> dict[str, Any]:
    from perflib.engines.aot_engine import describe_inputs
    from perflib.engines.torch_engine import DTYPES

    inputs = describe_inputs(
        materials.calibration,
        dtype=DTYPES[parent.precision],
        longest_tokens_count=longest_tokens_count(parent),
    )
    # CUDA graphs save the launches, which are most of a small batch.
    return inputs | {"mode": "reduce-overhead" if parent.runtime.device == "cuda" else "default"}
