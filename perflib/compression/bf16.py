"""
bfloat16: half the bytes, the same exponent range, 8 bits of mantissa.

Weights and arithmetic both change; where the processor has no bfloat16 products, torch emulates them and the
candidate is slower, which the comparison will say.
"""

import dataclasses
from pathlib import Path
from typing import Any

from perflib.artifact import Artifact, ArtifactSpec
from perflib.compression.stage import Materials
from perflib.errors import StageError


@dataclasses.dataclass(frozen=True)
class Bf16:
    """Cast a PyTorch fp32 artifact to bfloat16; it has no options."""

    def check(self, parent: ArtifactSpec) -> None:
        """Take PyTorch fp32 artifacts only."""
        if parent.engine != "torch" or parent.precision != "fp32":
            raise StageError(
                f"stage `bf16` takes a torch fp32 artifact, but its parent is {parent.engine} {parent.precision}; "
                "put it first in the recipe."
            )

    def apply(
        self,
        parent: Artifact,
        folder: Path,
        materials: Materials,  # noqa: ARG002 -- bf16 needs no calibration
    ) -> tuple[Artifact, dict[str, Any]]:
        """Write the weights in bfloat16 and prove that every linear layer computes in it."""
        import torch

        from perflib.engines.torch_engine import load_module, save_module

        module = load_module(parent.folder, parent.spec).to(torch.bfloat16)
        save_module(module, folder)
        artifact = parent.derive(folder, {"bf16": {}}, packages=("torch",), precision="bf16")
        return artifact, prove_bf16(artifact)


def prove_bf16(artifact: Artifact) -> dict[str, Any]:
    """
    Return the share of linear layers whose weights are bfloat16 after loading.

    Raises:
        StageError: If one is not.
    """
    import torch

    from perflib.engines.torch_engine import load_module

    linear = [
        layer
        for layer in load_module(artifact.folder, artifact.spec).modules()
        if isinstance(layer, torch.nn.Linear | torch.nn.Conv2d)
    ]
    low = sum(layer.weight.dtype == torch.bfloat16 for layer in linear)
    if not linear or low < len(linear):
        raise StageError(
            f"{low} of {len(linear)} linear layers are bfloat16; the model has parts that bf16 cannot cast."
        )
    return {"linear_layer_count": len(linear), "low_precision_share_ratio": low / len(linear)}
