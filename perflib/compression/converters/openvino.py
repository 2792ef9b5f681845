"""
To OpenVINO, from PyTorch or from OpenVINO itself with other shapes or other arithmetic.

Weights stay in the precision that they have; int8 is a matter of `quantize`. What is converted is held against its
parent at every length, and where a length is wrong the safe settings are tried before anything is refused: fp32
arithmetic for bf16, no plan at the length whose plan is wrong.
"""

import dataclasses
import re
from pathlib import Path
from typing import Any

import numpy as np

from perflib import machine
from perflib.artifact import Artifact, ArtifactSpec
from perflib.compression.engine import Engine, bucket_edges
from perflib.compression.materials import Materials
from perflib.compression.parity import LOSSLESS_LOGIT, LengthParity, check_lengths, real_texts
from perflib.encoded import MASK
from perflib.errors import SetupError, StageError

FEWEST_SHARE_RATIO = 0.9
# Every plan holds its own packed copy of the linear layers' weights.
MOST_PLANS_COUNT = 64
_TAKEN = {"torch": ("fp32", "bf16"), "openvino": ("fp32", "bf16", "int8")}
# Options that another shape or arithmetic leaves as they are.
_KEPT = ("settings",)
_BF16_PRODUCTS = {"avx512_bf16", "amx_bf16", "bf16"}
_UNSUPPORTED = re.compile(r"No conversion rule found for operations: ([^\n]+)")


def check_parent(options: Engine, parent: ArtifactSpec, materials: Materials) -> ArtifactSpec:
    """
    Refuse what OpenVINO cannot take, and plans that cannot be.

    Raises:
        StageError: In one sentence, before any work.
    """
    if parent.precision not in _TAKEN.get(parent.engine, ()):
        raise StageError(
            f"engine `openvino` takes torch artifacts in fp32 or bf16 and its own in fp32, bf16 or int8, but what "
            f"comes to it is {parent.engine} {parent.precision}; put it earlier in the recipe."
        )
    if options.arithmetic == "bf16" and not _BF16_PRODUCTS & set(machine.read_card().isa_flags):
        raise SetupError(
            "arithmetic: bf16 has no products on this processor, and OpenVINO would compute in fp32; leave it out."
        )
    settings = _settings(options, parent, materials)
    _check_plans(settings, parent, materials)
    return dataclasses.replace(
        parent,
        engine="openvino",
        precision=_precision(parent, settings),
        builder=None,
        config={},
        options=settings,
    )


def convert(options: Engine, parent: Artifact, folder: Path, materials: Materials) -> tuple[Artifact, dict[str, Any]]:
    """
    Write the model, compare it with its parent at every length, and read which kernels run.

    Returns:
        The artifact, and a proof with what the comparison found, any fault and the fallback that was taken.

    Raises:
        StageError: If the model has an unsupported operator, answers wrongly also with the safe settings, or falls back
            to another precision.
    """
    _write_model(parent, folder, materials)
    settings = _settings(options, parent.spec, materials)
    texts, faults, fallbacks = real_texts(materials), [], []
    while True:
        made = _seal(options, parent, folder, settings)
        _require_opens(made)
        is_lossless = made.spec.precision == parent.spec.precision == "fp32"
        found = check_lengths(
            parent, made, texts, limit_logit=LOSSLESS_LOGIT if is_lossless else None, label="the OpenVINO model"
        )
        safer = _safer(settings, found) if found.faulty else None
        if safer is None:
            break
        settings, fallback = safer
        faults.append({"lengths": list(found.faulty_lengths), "said": found.sentence(), "rows": _plain(found)})
        fallbacks.append(fallback)
    found.require()
    proof = {"parity": found.to_proof(), **prove_kernels(made)}
    if faults:
        proof |= {"faults": faults, "fallback": ", ".join(fallbacks)}
    return made, proof


def prove_kernels(artifact: Artifact) -> dict[str, Any]:
    """
    Read the executed graphs, of any shape and of the first planned one, and return what linear layers ran in.

    Raises:
        StageError: If fewer than nine in ten ran in the artifact's precision.
    """
    from perflib.engines import openvino_engine as engine

    compiled = engine.compile_plans(artifact.folder, artifact.spec, most_count=1)
    layers = [engine.executed_linear_layers(model) for model in compiled.values()]
    share = min(engine.precision_shares(some).get(artifact.spec.precision, 0.0) for some in layers)
    if share < FEWEST_SHARE_RATIO:
        raise StageError(
            f"only {share:.0%} of {len(layers[0])} linear layers ran in {artifact.spec.precision} on this machine, "
            f"fewer than {FEWEST_SHARE_RATIO:.0%}; its processor or the engine fell back to another precision."
        )
    return {
        "linear_layer_count": len(layers[0]),
        "low_precision_share_ratio": share if artifact.spec.precision != "fp32" else 0.0,
        "precision_share_ratios": engine.precision_shares(layers[0]),
    }


def _settings(options: Engine, parent: ArtifactSpec, materials: Materials) -> dict[str, Any]:
    """Return the artifact's engine options, with lengths chosen where none were given."""
    kept: dict[str, Any] = {name: parent.options[name] for name in _KEPT if name in parent.options}
    limit = _limit(parent)
    if limit is not None:
        kept["token_limit"] = limit
    if options.arithmetic == "bf16" and parent.precision != "bf16":
        kept["arithmetic"] = "bf16"
    if options.shapes == "dynamic":
        return kept
    return kept | {
        "shapes": options.shapes,
        "lengths": sorted(set(options.lengths)) or _lengths(options, parent, materials),
        "batches": sorted(set(options.batches)),
    }


def _lengths(options: Engine, parent: ArtifactSpec, materials: Materials) -> list[int]:
    """Choose one length that holds every calibration text, rounded up to eight, or the usual buckets."""
    if MASK not in materials.calibration.arrays:
        return []
    arrays = materials.calibration.arrays
    longest = _limit(parent) or int(arrays[MASK].shape[1])
    if options.shapes == "fixed":
        return [min(-(-int(materials.calibration.lengths().max()) // 8) * 8, longest)]
    return list(bucket_edges(materials, longest=longest))


def _limit(parent: ArtifactSpec) -> int | None:
    """Return how many tokens the model can be given, where its record tells."""
    found = parent.config.get("max_position_embeddings", parent.options.get("token_limit"))
    return None if found is None else int(found)


def _check_plans(settings: dict[str, Any], parent: ArtifactSpec, materials: Materials) -> None:
    if "shapes" not in settings:
        return
    lengths, count = settings["lengths"], max(len(settings["lengths"]), 1) * len(settings["batches"])
    if count > MOST_PLANS_COUNT:
        raise StageError(
            f"{len(lengths)} lengths for {len(settings['batches'])} batches are {count} plans, each with weights of "
            f"its own; ask for {MOST_PLANS_COUNT} at most."
        )
    if MASK not in materials.calibration.arrays:
        if lengths or settings["shapes"] == "bucketed":
            raise StageError(
                "these inputs have no length, so there is nothing to sort; say shapes: fixed, without lengths."
            )
        return
    limit = _limit(parent)
    if limit is not None and lengths[-1] > limit:
        raise StageError(f"a plan of {lengths[-1]} tokens is asked of a model that takes {limit}; give shorter ones.")


def _precision(parent: ArtifactSpec, settings: dict[str, Any]) -> str:
    # Only int8 weights are rare enough to be named by; fp32 weights that are multiplied in bf16 are a bf16 model.
    return "bf16" if settings.get("arithmetic") == "bf16" and parent.precision == "fp32" else parent.precision


def _write_model(parent: Artifact, folder: Path, materials: Materials) -> None:
    if parent.spec.engine == "openvino":
        parent.copy_to(folder)
        return
    from perflib.engines import openvino_engine as engine

    sample = materials.calibration.take(np.arange(min(2, len(materials.calibration))))
    try:
        model = engine.convert(parent, sample)
    except Exception as error:
        # The library raises bare exceptions, and tracing whatever the model raises.
        found = _UNSUPPORTED.search(str(error))
        what = f"no rule for {found[1].strip()}" if found else " ".join(str(error).split())[:200]
        raise StageError(f"OpenVINO cannot convert this model ({what}); use another engine.") from error
    folder.mkdir(parents=True, exist_ok=True)
    engine.save_model(model, folder)


def _seal(options: Engine, parent: Artifact, folder: Path, settings: dict[str, Any]) -> Artifact:
    return parent.derive(
        folder,
        {"engine": dataclasses.asdict(options)},
        packages=("openvino",),
        engine="openvino",
        precision=_precision(parent.spec, settings),
        builder=None,
        config={},
        options=settings,
    )


def _require_opens(artifact: Artifact) -> None:
    try:
        artifact.open()
    except Exception as error:
        options = artifact.spec.options
        raise StageError(
            f"OpenVINO cannot compile the model for lengths {options.get('lengths', 'of any size')} and batches "
            f"{options.get('batches', 'of any size')} ({' '.join(str(error).split())[:200]}); ask for other shapes."
        ) from error


def _safer(settings: dict[str, Any], found: LengthParity) -> tuple[dict[str, Any], str] | None:
    """Return settings that may avoid the fault, with their name, or None where none are left."""
    if settings.get("arithmetic") == "bf16":
        return {name: value for name, value in settings.items() if name != "arithmetic"}, "fp32"
    left = [length for length in settings.get("lengths", ()) if length not in found.faulty_plans]
    if not found.faulty_plans or not left:
        return None
    dropped = " and ".join(str(length) for length in found.faulty_plans)
    return settings | {"lengths": left}, f"no plan for {dropped} tokens"


def _plain(found: LengthParity) -> list[dict[str, Any]]:
    return [dataclasses.asdict(row) for row in found.faulty]
