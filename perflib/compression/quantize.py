"""
Quantization: numbers of 8 bits where there were 32, by one of three engines, in one of four ways.

- ``int8-static`` multiplies in int8 with ranges of the activations that were read off calibration examples;
- ``int8-dynamic`` multiplies in int8 with ranges found anew in every call;
- ``int8-weights`` stores the weights in int8 and multiplies in fp32;
- ``int8-qat`` first trains the model for a while with the rounding in place.

    recipe:
      - quantize: {scheme: int8-static, calibration_examples: 512, calibrator: mse, keep: sensitive}
"""

import dataclasses
import importlib.util
import math
from pathlib import Path
from typing import Any, Literal

from perflib.artifact import Artifact, ArtifactSpec
from perflib.compression.materials import Materials
from perflib.compression.stage import require_torch
from perflib.errors import SetupError, StageError

HIGHEST_LEARNING_RATE = 1e-3
# The values of `keep` that are no names of modules.
KEEP_WORDS = ("sensitive", "accuracy-control")
_PACKAGES = {
    "openvino": ("openvino", "nncf"),
    "onnxruntime": ("onnx", "onnxruntime"),
    "inductor": ("torchao",),
}


@dataclasses.dataclass(frozen=True)
class Quantize:
    """
    Quantize a PyTorch fp32 artifact.

    ``calibration_examples``, spread over the lengths, set the ranges of the activations, by the ``calibrator``; None
    takes 300, or all where there are fewer.
    ``smooth`` is SmoothQuant's alpha; None takes the library's own for transformers and 0 switches it off.
    ``activations: per-token`` demands that a token's scale does not depend on what else is in the batch.

    ``keep`` says what stays in floating point: names of modules or blocks such as ``encoder.layer.0``, or ``sensitive``
    (the worst blocks, until no more than ``max_drop_ratio`` is lost on the tuning split, within ``budget_sec``), or
    ``accuracy-control`` (NNCF's own search for the same). ``epochs`` and ``learning_rate`` are for ``int8-qat``.
    """

    scheme: Literal["int8-static", "int8-dynamic", "int8-weights", "int8-qat"] = "int8-static"
    engine: Literal["openvino", "onnxruntime", "inductor"] = "openvino"
    calibration_examples: int | None = None
    calibrator: Literal["min-max", "percentile", "mse"] = "min-max"
    smooth: float | None = None
    per_channel: bool = True
    activations: Literal["per-tensor", "per-token"] = "per-tensor"
    keep: str | tuple[str, ...] = ""
    max_drop_ratio: float = 0.005
    budget_sec: float = 300
    epochs: int = 1
    learning_rate: float = 1e-5

    @property
    def kept_blocks(self) -> tuple[str, ...]:
        """The modules that ``keep`` names; none where it is a word for a search."""
        if isinstance(self.keep, tuple):
            return self.keep
        return () if self.keep in ("", *KEEP_WORDS) else (self.keep,)

    @property
    def is_calibrated(self) -> bool:
        """Whether the ranges of activations are set before the model is used."""
        return self.scheme in ("int8-static", "int8-qat")

    def check(self, parent: ArtifactSpec, materials: Materials) -> ArtifactSpec:
        """Refuse options that contradict each other, data that is not there and an engine that cannot do it."""
        require_torch(parent, stage="quantize")
        if parent.runtime.device != "cpu":
            raise StageError("stage `quantize` makes int8 for the CPU, but the run asks for CUDA; use device: cpu.")
        for is_wrong, sentence in (*self._senseless(), *self._out_of_range()):
            if is_wrong:
                raise StageError(f"stage `quantize` {sentence}.")
        self._check_data(materials)
        missing = [name for name in _PACKAGES[self.engine] if importlib.util.find_spec(name) is None]
        if missing:
            raise SetupError(
                f"quantizing for `{self.engine}` needs {', '.join(missing)}, which is not installed; "
                f"pip install {' '.join(missing)}, or name another engine."
            )
        if self.scheme == "int8-qat":
            from perflib.compression import qat

            return qat.check_qat(self, parent, materials)
        found: ArtifactSpec = self._quantizer().check_parent(self, parent, materials)
        return found

    def apply(self, parent: Artifact, folder: Path, materials: Materials) -> tuple[Artifact, dict[str, Any]]:
        """Quantize, and prove by what was executed how much of the model computes in int8."""
        if self.scheme == "int8-qat":
            from perflib.compression import qat

            return qat.train_quantized(self, parent, folder, materials)
        made: tuple[Artifact, dict[str, Any]] = self._quantizer().quantize(self, parent, folder, materials)
        return made

    def _quantizer(self) -> Any:
        # Imports that can be read, because the digest of a stage's source follows them.
        if self.engine == "openvino":
            from perflib.compression.quantizers import openvino

            return openvino
        if self.engine == "onnxruntime":
            from perflib.compression.quantizers import onnxruntime

            return onnxruntime
        from perflib.compression.quantizers import inductor

        return inductor

    def _senseless(self) -> tuple[tuple[bool, str], ...]:
        """List the combinations that would promise what is not done."""
        scheme, keep = self.scheme, self.keep
        is_static = scheme == "int8-static"
        return (
            (
                self.calibrator != "min-max" and not self.is_calibrated,
                f"has calibrator: {self.calibrator}, but {scheme} sets no ranges beforehand; use scheme: int8-static",
            ),
            (
                self.smooth is not None and not is_static,
                f"has smooth: {self.smooth:g}, but only int8-static smooths activations; leave it out"
                if self.smooth is not None
                else "",
            ),
            (
                self.activations == "per-token" and scheme != "int8-dynamic",
                f"has activations: per-token, but {scheme} takes no scale per token; use scheme: int8-dynamic",
            ),
            (
                keep == "accuracy-control" and not (is_static and self.engine == "openvino"),
                f"has keep: accuracy-control, which NNCF has for int8-static on openvino and not for {scheme} on "
                f"{self.engine}; use keep: sensitive",
            ),
            (
                keep == "accuracy-control" and self.calibrator == "mse",
                "has keep: accuracy-control with calibrator: mse, which would move the ranges after they were judged; "
                "use min-max or percentile",
            ),
            (
                keep == "sensitive" and scheme == "int8-qat",
                "has keep: sensitive with int8-qat, which would train once per block; name the blocks to keep",
            ),
        )

    def _out_of_range(self) -> tuple[tuple[bool, str], ...]:
        """List the numbers that no stage could use."""
        smooth = self.smooth
        return (
            (smooth is not None and not 0 <= smooth <= 1, f"has smooth: {smooth}; give 0 (off) to 1, or leave it out"),
            (
                not 0 <= self.max_drop_ratio < 1,
                f"has max_drop_ratio: {self.max_drop_ratio}; give 0 to less than 1, such as 0.005 for half a point",
            ),
            (
                not 0 < self.budget_sec < math.inf,
                f"has budget_sec: {self.budget_sec}; give the seconds that a search may take, more than 0",
            ),
            (self.epochs < 1, f"has epochs: {self.epochs}; give at least 1"),
            (
                not 0 < self.learning_rate <= HIGHEST_LEARNING_RATE,
                f"has learning_rate: {self.learning_rate:g}; give more than 0 and at most {HIGHEST_LEARNING_RATE:g}, "
                "because a trained model that learns faster forgets what it knew",
            ),
        )

    def _check_data(self, materials: Materials) -> None:
        if self.is_calibrated:
            materials.check_sample(self.calibration_examples, stage="quantize")
        needed = {"train", "tuning"} if self.scheme == "int8-qat" else set()
        if self.keep in KEEP_WORDS:
            needed.add("tuning")
        for split in sorted(needed):
            materials.labelled(split, stage="quantize")
