"""
int8 by post-training quantization with NNCF, run by OpenVINO.

Ranges of activations come from the calibration split, at the lengths it really has; weights are quantized per channel.
What is not a matrix product stays fp32: the precision hint is f32, because int8 with bf16 around it has been seen to
answer wrongly at one padded length.
Two things are proved before the artifact leaves this file: the converted fp32 model equals its source at several
lengths, and the executed graph runs its linear layers in int8.
"""

import contextlib
import dataclasses
import io
import logging
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from perflib.artifact import Artifact, ArtifactSpec
from perflib.compression.stage import Materials
from perflib.encoded import MASK, Encoded
from perflib.errors import SetupError, StageError

FEWEST_INT8_SHARE = 0.9
PARITY_LOGIT = 1e-2
_PARITY_BATCHES = 8


@dataclasses.dataclass(frozen=True)
class Int8:
    """
    Quantize a PyTorch fp32 artifact.

    ``calibration_example_count`` texts or images, spread over the lengths, set the ranges.
    """

    calibration_example_count: int = 300

    def check(self, parent: ArtifactSpec) -> None:
        """Take PyTorch fp32 artifacts on the CPU, and a sensible number of examples."""
        if parent.engine != "torch" or parent.precision != "fp32":
            raise StageError(
                f"stage `int8` takes a torch fp32 artifact, but its parent is {parent.engine} {parent.precision}; "
                "put it first in the recipe."
            )
        if parent.runtime.device != "cpu":
            raise StageError("stage `int8` runs on OpenVINO's CPU engine, but the run asks for CUDA; use device: cpu.")
        if self.calibration_example_count < 1:
            raise StageError(f"calibration_example_count is {self.calibration_example_count}; give at least 1.")

    def apply(self, parent: Artifact, folder: Path, materials: Materials) -> tuple[Artifact, dict[str, Any]]:
        """Convert, compare with the source, quantize, and read the executed graph."""
        try:
            import nncf

            from perflib.engines import openvino_engine
        except ImportError as error:
            raise SetupError(f"stage `int8` needs OpenVINO and NNCF ({error}); pip install openvino nncf.") from error

        sample = materials.calibration.stratified(self.calibration_example_count)
        with _quiet(nncf):
            model = openvino_engine.convert(parent, sample.take([0, 1]) if len(sample) > 1 else sample)
            difference = parity(parent, openvino_engine.compile_model(model, precision="fp32"), sample)
            calls = [dict(sample.take([row]).arrays) for row in range(len(sample))]
            quantized = nncf.quantize(
                model,
                nncf.Dataset(calls),
                model_type=nncf.ModelType.TRANSFORMER if MASK in sample.arrays else None,
                subset_size=len(calls),
            )
        folder.mkdir(parents=True)
        openvino_engine.save_model(quantized, folder)
        artifact = parent.derive(
            folder,
            {"int8": dataclasses.asdict(self)},
            packages=("openvino", "nncf"),
            details={"calibration_inputs_sha256": sample.digest(), "calibration_example_count": len(sample)},
            engine="openvino",
            precision="int8",
            builder=None,
            config={},
        )
        return artifact, {"conversion_largest_logit_difference": difference, **prove_int8(artifact)}


def parity(parent: Artifact, compiled: Any, sample: Encoded) -> float:
    """
    Return the largest difference of logits between the source and its conversion, over batches of many lengths.

    Raises:
        StageError: If it is larger than `PARITY_LOGIT`.
    """
    session = parent.open()
    ranked = np.argsort(sample.lengths(), kind="stable")
    differences = []
    for rows in np.array_split(ranked, min(_PARITY_BATCHES, len(sample))):
        arrays: Mapping[str, NDArray[np.generic]] = sample.take(rows).arrays
        converted = np.asarray(compiled(dict(arrays))[0], dtype=np.float64)
        differences.append(np.abs(converted - session(arrays)).max())
    largest = float(np.max(differences))  # NaN if one is, unlike Python's max
    if not largest <= PARITY_LOGIT:
        raise StageError(
            f"the converted model differs from its source by {largest:.2g} in a logit, more than {PARITY_LOGIT:g}; "
            "the conversion is wrong at some length, so nothing was quantized."
        )
    return largest


def prove_int8(artifact: Artifact) -> dict[str, Any]:
    """
    Return how many linear layers of the executed graph ran in int8.

    Raises:
        StageError: If fewer than nine in ten did: a silent fallback to fp32 is a failed stage.
    """
    from perflib.engines import openvino_engine

    compiled = openvino_engine.compile_model(
        str(artifact.folder / openvino_engine.MODEL_FILE),
        precision="int8",
        thread_count=artifact.spec.runtime.thread_count,
    )
    layers = openvino_engine.executed_linear_layers(compiled)
    share = openvino_engine.int8_share(layers)
    if share < FEWEST_INT8_SHARE:
        raise StageError(
            f"only {share:.0%} of {len(layers)} linear layers ran in int8 on this machine, fewer than "
            f"{FEWEST_INT8_SHARE:.0%}; its processor or the engine fell back to fp32."
        )
    return {"linear_layer_count": len(layers), "low_precision_share_ratio": share}


@contextlib.contextmanager
def _quiet(nncf: Any) -> Iterator[None]:
    """Keep NNCF's own bars and torch's tracing remarks out of notebooks; perflib shows its own progress."""
    nncf.set_log_level(logging.ERROR)
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
