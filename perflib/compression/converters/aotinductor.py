"""
To AOTInductor: exported with a free batch and length, compiled ahead of time, compared at every length.

One package serves every shape, so there are no plans to choose; and the arithmetic is that of the weights.
"""

import dataclasses
from pathlib import Path
from typing import Any

from perflib.artifact import Artifact, ArtifactSpec
from perflib.compression.engine import Engine
from perflib.compression.materials import Materials
from perflib.compression.parity import LOSSLESS_LOGIT, LengthParity, check_lengths, real_texts
from perflib.errors import StageError
from perflib.progress import Progress

_TAKEN = ("fp32", "bf16")


def check_inductor_parent(options: Engine, parent: ArtifactSpec) -> None:
    """
    Refuse what no route through inductor takes.

    Raises:
        StageError: If the parent is no torch fp32 or bf16 model, or fixed shapes or other arithmetic are asked for.
    """
    if parent.engine != "torch" or parent.precision not in _TAKEN:
        raise StageError(
            f"engine `{options.name}` takes torch artifacts in fp32 or bf16, but what comes to it is {parent.engine} "
            f"{parent.precision}; put it earlier in the recipe."
        )
    if options.shapes != "dynamic":
        raise StageError(
            f"engine `{options.name}` compiles one plan for every shape, so shapes: {options.shapes} is not for it; "
            "leave shapes out, or choose engine: openvino."
        )
    if options.arithmetic != "fp32":
        raise StageError(
            f"engine `{options.name}` computes in the precision of the weights; leave arithmetic out and put "
            f"precision: {{dtype: {options.arithmetic}}} before it."
        )


def longest_tokens_count(parent: ArtifactSpec) -> int | None:
    """Return how many positions the architecture has; None where its record tells no limit."""
    found = parent.config.get("max_position_embeddings")
    return None if found is None else int(found)


def compare(parent: Artifact, made: Artifact, materials: Materials, *, label: str) -> LengthParity:
    """Compare at every length; fp32 within the limit of a lossless conversion, bf16 one length with the others."""
    limit = LOSSLESS_LOGIT if made.spec.precision == "fp32" else None
    found = check_lengths(parent, made, real_texts(materials), limit_logit=limit, label=label)
    found.require()
    return found


def check_parent(options: Engine, parent: ArtifactSpec, materials: Materials) -> ArtifactSpec:  # noqa: ARG001 -- the protocol's
    """
    Say what comes out, or refuse.

    Raises:
        StageError: As `check_inductor_parent`.
        SetupError: If there is no C++ compiler.
    """
    from perflib.engines.aot_engine import require_compiler

    check_inductor_parent(options, parent)
    require_compiler(options.name)
    return dataclasses.replace(parent, engine="aotinductor", builder=None, config={}, options={})


def convert(options: Engine, parent: Artifact, folder: Path, materials: Materials) -> tuple[Artifact, dict[str, Any]]:
    """
    Export, compile and compare.

    Returns:
        The artifact, and a proof with what the comparison found.

    Raises:
        StageError: If the model cannot be exported or compiled, or answers wrongly at some length.
    """
    from perflib.engines import aot_engine
    from perflib.engines.torch_engine import DTYPES, load_module

    inputs = aot_engine.describe_inputs(
        materials.calibration,
        dtype=DTYPES[parent.spec.precision],
        longest_tokens_count=longest_tokens_count(parent.spec),
    )
    with Progress("compiling", 2) as bar:
        program = aot_engine.export(load_module(parent.folder, parent.spec), inputs)
        bar.step("exported")
        aot_engine.compile_package(program, folder)
        bar.step("compiled")
    made = parent.derive(
        folder,
        {"engine": dataclasses.asdict(options)},
        packages=("torch",),
        engine="aotinductor",
        builder=None,
        config={},
        options=inputs | aot_engine.build_options(),
    )
    return made, {"parity": compare(parent, made, materials, label="the AOTInductor package").to_proof()}
