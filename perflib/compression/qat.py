"""
Quantization-aware training: the model learns for a while with the rounding in place, mostly from its own fp32 answers.

Batch normalisation is folded first, then every layer rounds as int8 will (`perflib.compression.fake_quant`), and a low
learning rate moves the weights to where rounding hurts less. The ranges of the inputs follow while it trains.
What is converted is the trained model together with its rounding, so the engine has nothing left to decide; its answers
are held against the simulation's.
"""

import dataclasses
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from perflib.artifact import Artifact, ArtifactSpec, softmax
from perflib.compression.blocks import layers_of
from perflib.compression.fake_quant import fake_quantize, observe_ranges, quantizable_layers, trained_ranges
from perflib.compression.folding import fold_batch_norms
from perflib.compression.lessons import Lesson
from perflib.compression.materials import Labelled, Materials
from perflib.compression.quantizers.openvino_source import naming_what_is_unsupported
from perflib.compression.stage import require_torch
from perflib.compression.teaching import TeachingDetails, answer, teach
from perflib.encoded import MASK, Encoded
from perflib.engines.torch_engine import load_module, to_tensors
from perflib.errors import SetupError, StageError
from perflib.records import write_json
from perflib.workloads.base import accuracy

if TYPE_CHECKING:
    from perflib.compression.quantize import Quantize

RANGES_FILE, CHECKPOINT_FILE = "ranges.json", "qat.safetensors"
# The mean difference of a probability between engine and simulation. The same levels are computed by both; only values
# on the border of two levels may fall on either side.
PARITY_RATIO = 0.01
FEWEST_INT8_SHARE = 0.9
# Mostly the parent's answers, so that few of them change, and a little of the labels.
ALPHA, TEMPERATURE = 0.9, 2.0


def check_qat(options: "Quantize", parent: ArtifactSpec, materials: Materials) -> ArtifactSpec:
    """Refuse what cannot be trained with rounding, and say what will come out; no work is done."""
    require_torch(parent, stage="quantize")
    materials.check_sample(options.calibration_examples, stage="quantize")
    for split in ("train", "tuning"):
        materials.labelled(split, stage="quantize")
    for is_wrong, sentence in (
        (options.engine != "openvino", f"int8-qat is for engine: openvino, not for {options.engine}"),
        (options.calibrator != "min-max", f"int8-qat trains its ranges, so calibrator: {options.calibrator} is no use"),
        (not options.per_channel, "int8-qat has a scale per channel; leave per_channel out"),
        (options.epochs < 1, f"epochs is {options.epochs}; give at least 1"),
        (not options.learning_rate > 0, f"learning_rate is {options.learning_rate}; give more than 0"),
    ):
        if is_wrong:
            raise StageError(f"stage `quantize`: {sentence}.")
    return dataclasses.replace(parent, engine="openvino", precision="int8", builder=None, config={})


def train_quantized(
    options: "Quantize", parent: Artifact, folder: Path, materials: Materials
) -> tuple[Artifact, dict[str, Any]]:
    """
    Fold, simulate int8, train, convert to OpenVINO, and prove that it runs in int8 as it was trained.

    Args:
        options: ``epochs``, ``learning_rate``, ``calibration_examples`` and the blocks to ``keep`` in floating point.
        parent: A torch fp32 artifact; it is also the teacher.
        folder: Where the artifact goes, with the trained ranges as `RANGES_FILE`.
        materials: An interrupted training goes on from the checkpoint in the scratch folder.

    Raises:
        StageError: If the loss is no longer a number, a layer fell back to fp32, or the engine answers otherwise.
        SetupError: If OpenVINO is not installed.
    """
    try:
        from perflib.engines import openvino_engine
    except ImportError as error:
        raise SetupError(f"scheme int8-qat needs OpenVINO ({error}); pip install openvino.") from error

    check_qat(options, parent.spec, materials)
    tuning = materials.labelled("tuning", stage="quantize")
    teacher = load_module(parent.folder, parent.spec)
    sample = materials.sample(options.calibration_examples, stage="quantize")
    student, folded_count = prepare_student(parent, sample, keep=options.kept_blocks)
    before = softmax(answer(student, tuning.inputs))
    details = _train(student, teacher, options, materials, thread_count=parent.spec.runtime.thread_count)
    simulated = softmax(answer(student, tuning.inputs))
    openvino_engine.save_model(_convert(student, sample), _made(folder))
    write_json(folder / RANGES_FILE, {"input_ranges": trained_ranges(student)})
    artifact = parent.derive(
        folder,
        {"quantize": dataclasses.asdict(options)},
        packages=("openvino", "torch"),
        details={"calibration_inputs_sha256": sample.digest(), "training": dataclasses.asdict(details)},
        engine="openvino",
        precision="int8",
        builder=None,
        config={},
    )
    quantized_count = len(trained_ranges(student))
    return artifact, {
        **prove_kernels(artifact, quantized_count),
        **prove_answers(artifact, simulated, tuning),
        "folded_batch_norm_count": folded_count,
        "parent_accuracy_ratio": accuracy(tuning.labels, softmax(answer(teacher, tuning.inputs))),
        "untrained_accuracy_ratio": accuracy(tuning.labels, before),
        "last_loss_nat": details.epoch_losses_nat[-1],
    }


def prepare_student(parent: Artifact, sample: Encoded, *, keep: tuple[str, ...] = ()) -> tuple[nn.Module, int]:
    """
    Return the parent's module with batch normalisation folded and rounding in place, not yet trained.

    Args:
        parent: A torch fp32 artifact.
        sample: Calibration inputs, for the first ranges.
        keep: Paths of blocks that stay in floating point.

    Returns:
        The module in evaluation mode, and the number of normalisations folded.
    """
    module = load_module(parent.folder, parent.spec)
    folded_count = fold_batch_norms(module)
    left_out = {name for block in keep for name in layers_of(module, block)}
    names = [name for name in quantizable_layers(module) if name not in left_out]
    fake_quantize(module, observe_ranges(module, sample), names)
    return module.eval(), folded_count


def prove_kernels(artifact: Artifact, quantized_count: int) -> dict[str, Any]:
    """
    Read the executed graph: of the layers that were to run in int8, count those that did.

    Raises:
        StageError: If fewer than nine in ten did.
    """
    from perflib.engines import openvino_engine

    compiled = openvino_engine.compile_model(
        str(artifact.folder / openvino_engine.MODEL_FILE),
        precision="int8",
        thread_count=artifact.spec.runtime.thread_count,
    )
    layers = openvino_engine.executed_linear_layers(compiled)
    int8_count = sum(layer["precision"] in openvino_engine.INT8_TYPES for layer in layers)
    if int8_count < FEWEST_INT8_SHARE * max(quantized_count, 1):
        raise StageError(
            f"only {int8_count} of {quantized_count} quantized layers ran in int8 on this machine; its processor or "
            "the engine fell back to fp32."
        )
    return {"linear_layer_count": len(layers), "low_precision_share_ratio": openvino_engine.int8_share(layers)}


def prove_answers(artifact: Artifact, simulated: NDArray[np.float32], tuning: Labelled) -> dict[str, Any]:
    """
    Hold the engine's answers against the simulation's, shape (examples, classes).

    Raises:
        StageError: If they differ by more than `PARITY_RATIO` on average.
    """
    given = artifact.predict(tuning.inputs)
    difference = float(np.abs(given - simulated).mean())
    if not difference <= PARITY_RATIO:
        raise StageError(
            f"the engine's answers differ by {difference:.2g} on average from those that were trained, more than "
            f"{PARITY_RATIO:g}; its int8 arithmetic is not that of the simulation on this processor."
        )
    return {"accuracy_ratio": accuracy(tuning.labels, given), "mean_answer_difference_ratio": difference}


def _train(
    student: nn.Module, teacher: nn.Module, options: "Quantize", materials: Materials, *, thread_count: int | None
) -> TeachingDetails:
    train = materials.labelled("train", stage="quantize")
    lesson = Lesson(
        epochs=options.epochs,
        learning_rate=options.learning_rate,
        temperature=TEMPERATURE,
        alpha=ALPHA,
        hidden_loss=False,
        seed=materials.seed,
    )
    return teach(
        student,
        teacher,
        train.inputs,
        train.labels,
        lesson=lesson,
        arithmetic="fp32",  # bf16 has fewer steps between two levels than the rounding that is to be learnt
        thread_count=thread_count,
        checkpoint=materials.scratch and materials.scratch / CHECKPOINT_FILE,
        label="training in int8",
    )


def _convert(module: nn.Module, sample: Encoded) -> Any:
    from perflib.engines import openvino_engine

    example = to_tensors(sample.take([0, min(1, len(sample) - 1)]).arrays, device="cpu", dtype=torch.float32)
    with warnings.catch_warnings():
        # Tracing remarks that ranges become constants, which is what is wanted.
        warnings.simplefilter("ignore")
        with naming_what_is_unsupported():
            model = openvino_engine.openvino.convert_model(module, example_input=example)  # type: ignore[attr-defined]
    if MASK not in sample.arrays:
        model.reshape({name: [-1, *array.shape[1:]] for name, array in sample.arrays.items()})
    return model


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder
