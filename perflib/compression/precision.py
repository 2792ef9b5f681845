"""
Lower precision of weights and arithmetic alike: bfloat16, and float16 where the hardware has it.

bfloat16 keeps the range of fp32 and 8 bits of its mantissa; float16 keeps 11 bits and a range that ends at 65,504.
Half the bytes are saved in any case, but products are quicker only where the processor has them: torch emulates the
others, and a candidate that pays for emulation is refused here rather than timed.
"""

import dataclasses
from pathlib import Path
from typing import Any, Literal

from perflib import machine
from perflib.artifact import Artifact, ArtifactSpec
from perflib.compression.materials import Materials
from perflib.compression.stage import require_torch
from perflib.errors import SetupError, StageError

# What makes products of this type quicker than fp32's, by the names that Linux gives them.
_NEEDED = {"bf16": ("avx512_bf16", "amx_bf16", "bf16"), "fp16": ("avx512_fp16", "amx_fp16", "fphp", "asimdhp")}


@dataclasses.dataclass(frozen=True)
class Precision:
    """
    Cast a PyTorch fp32 artifact to ``dtype``.

    ``even_if_emulated`` makes the candidate also where the hardware has no such products, to see what that costs.
    """

    dtype: Literal["bf16", "fp16"] = "bf16"
    even_if_emulated: bool = False

    def check(self, parent: ArtifactSpec, materials: Materials) -> ArtifactSpec:  # noqa: ARG002 -- needs no data
        """Take PyTorch fp32 artifacts, on hardware that has the products."""
        require_torch(parent, stage="precision")
        needed, found = _NEEDED[self.dtype], machine.read_card().isa_flags
        if parent.runtime.device == "cpu" and not self.even_if_emulated and not set(needed) & set(found):
            has = ", ".join(found) or "no matrix instructions"
            raise SetupError(
                f"{self.dtype} has no products on this processor (it has {has}; one of {', '.join(needed)} is needed), "
                "so it would be emulated and slower; add even_if_emulated: true to measure that."
            )
        return dataclasses.replace(parent, precision=self.dtype)

    def apply(self, parent: Artifact, folder: Path, materials: Materials) -> tuple[Artifact, dict[str, Any]]:
        """Write the weights in the lower precision and prove that every linear layer computes in it."""
        from perflib.engines.torch_engine import DTYPES, load_module, save_module

        module = load_module(parent.folder, parent.spec).to(DTYPES[self.dtype])
        save_module(module, folder)
        spec = self.check(parent.spec, materials)
        artifact = parent.derive(
            folder, {"precision": dataclasses.asdict(self)}, packages=("torch",), precision=spec.precision
        )
        return artifact, prove_precision(artifact, materials)


def prove_precision(artifact: Artifact, materials: Materials) -> dict[str, Any]:
    """
    Run one batch and return the share of linear layers whose products were computed in the artifact's precision.

    Weights of the right type are no proof: a layer that is given fp32 inputs, or an operator without such a kernel,
    computes in fp32 all the same. So the types are read where the products are made.

    Raises:
        StageError: If one layer fell back.
    """
    import torch

    from perflib.engines.torch_engine import DTYPES, load_module, to_tensors

    module, wanted = load_module(artifact.folder, artifact.spec), DTYPES[artifact.spec.precision]
    layers = [layer for layer in module.modules() if isinstance(layer, torch.nn.Linear | torch.nn.Conv2d)]
    low: set[int] = set()

    def look(layer: Any, given: tuple[torch.Tensor, ...], made: torch.Tensor) -> None:
        if {given[0].dtype, layer.weight.dtype, made.dtype} == {wanted}:
            low.add(id(layer))

    for layer in layers:
        layer.register_forward_hook(look)
    arrays = materials.calibration.take([0]).arrays
    with torch.inference_mode():
        module(**to_tensors(arrays, device="cpu", dtype=wanted))
    if len(low) < max(len(layers), 1):
        raise StageError(
            f"{len(low)} of {len(layers)} linear layers compute in {artifact.spec.precision}; "
            "the model has parts that this stage cannot cast."
        )
    return {"linear_layer_count": len(layers), "low_precision_share_ratio": 1.0}
