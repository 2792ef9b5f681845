"""
Moving a model to another engine, with shapes that are free, fixed or sorted into buckets.

An engine that knows the shape of its inputs plans memory once and skips the shape arithmetic of every call, which is
much of the time of a small batch; but each length needs a plan of its own, so a few lengths are planned and texts are
padded to the next one.
Whatever engine it is, its answers are held against its source at every length that real texts have.
"""

import dataclasses
import importlib
import importlib.util
from pathlib import Path
from typing import Any, Literal

from perflib.artifact import Artifact, ArtifactSpec
from perflib.compression.materials import Materials
from perflib.errors import SetupError, StageError

# The engine's name in recipes -> the module with `check_parent` and `convert`, and the packages that it needs.
_CONVERTERS = {
    "openvino": ("perflib.compression.converters.openvino", ("openvino",)),
    "onnxruntime": ("perflib.compression.converters.onnxruntime", ("onnx", "onnxruntime")),
    "aotinductor": ("perflib.compression.converters.aotinductor", ()),
    "torch-compile": ("perflib.compression.converters.torch_compile", ()),
}
Shapes = Literal["dynamic", "fixed", "bucketed"]


@dataclasses.dataclass(frozen=True)
class Engine:
    """
    Convert the parent to an engine, or give a parent that is there already other shapes.

    ``shapes``: ``dynamic`` takes any batch and length; ``fixed`` pads every text to one length; ``bucketed`` pads it to
    the next of a few. ``lengths`` are those lengths in tokens (by default what the calibration texts suggest) and
    ``batches`` the numbers of examples that get such plans; other calls, and longer texts, take the dynamic plan.
    ``arithmetic`` is the precision of what is not quantized, where the engine lets one choose.
    """

    name: Literal["openvino", "onnxruntime", "aotinductor", "torch-compile"] = "openvino"
    shapes: Shapes = "dynamic"
    lengths: tuple[int, ...] = ()
    batches: tuple[int, ...] = (1,)
    arithmetic: Literal["fp32", "bf16"] = "fp32"

    def check(self, parent: ArtifactSpec, materials: Materials) -> ArtifactSpec:
        """Refuse an engine that is not installed, a parent that it cannot take, and shapes that make no sense."""
        module = self._converter()
        self._check_shapes()
        if parent.runtime.device != "cpu" and self.name != "torch-compile":
            raise StageError(f"engine `{self.name}` runs on the CPU here, but the run asks for CUDA; use device: cpu.")
        found: ArtifactSpec = module.check_parent(self, parent, materials)
        return found

    def apply(self, parent: Artifact, folder: Path, materials: Materials) -> tuple[Artifact, dict[str, Any]]:
        """Convert, then compare with the source at every length; a wrong length is named and avoided or refused."""
        return self._converter().convert(self, parent, folder, materials)  # type: ignore[no-any-return]

    def _check_shapes(self) -> None:
        if self.shapes == "dynamic" and (self.lengths or self.batches != (1,)):
            raise StageError(
                f"stage `engine` has lengths {list(self.lengths)} and batches {list(self.batches)} but shapes: "
                "dynamic, which plans for none; say bucketed or fixed."
            )
        if not self.batches:
            raise StageError("stage `engine` has no batches to plan for; give [1], or say shapes: dynamic.")
        for name, numbers in (("lengths", self.lengths), ("batches", self.batches)):
            if any(number < 1 for number in numbers):
                raise StageError(f"stage `engine` has {name} {list(numbers)}; give whole numbers from 1 on.")
        if self.shapes == "fixed" and len(self.lengths) > 1:
            raise StageError(f"stage `engine` has {len(self.lengths)} lengths but shapes: fixed; give one.")

    def _converter(self) -> Any:
        place, packages = _CONVERTERS[self.name]
        missing = [name for name in packages if importlib.util.find_spec(name) is None]
        if missing:
            raise SetupError(
                f"engine `{self.name}` needs {', '.join(missing)}, which is not installed; "
                f"pip install {' '.join(missing)}, or name another engine."
            )
        return importlib.import_module(place)


def bucket_edges(materials: Materials, *, longest: int, step: int = 4) -> tuple[int, ...]:
    """
    Suggest lengths to plan for: every fourth up to where 19 in 20 texts end, then every eighth up to 99 in 100.

    A plan costs memory and a moment at opening, so the longest one in a hundred takes the model of any shape.

    Args:
        materials: Whose calibration texts have the lengths that people send.
        longest: Tokens of the longest text that the model can be given.
        step: Tokens between short lengths: on average half of it is padded.
    """
    import numpy as np

    usual, long = (int(np.quantile(materials.calibration.lengths(), share)) for share in (0.95, 0.99))
    edges = list(range(2 * step, max(usual, step + 1) + step, step))
    while edges[-1] < long:
        edges.append(edges[-1] + 2 * step)
    return tuple(edge for edge in edges if edge < longest) + ((longest,) if edges[-1] >= longest else ())
