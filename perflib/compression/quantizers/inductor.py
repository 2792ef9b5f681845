"""
int8 as a user of torchao would make it: its defaults, compiled ahead of time by AOTInductor.

- ``int8-static``: exported, ranges from calibration texts one at a time (padding would widen them), torchao's x86
  quantizer with its histogram observer, and oneDNN's int8 products with their neighbours fused in;
- ``int8-dynamic``: torchao's scales per token, so an answer does not depend on the rest of the batch;
- ``int8-weights``: int8 on disk alone. The weights are widened to fp32 in every call: if they were frozen into the code
  instead, they would be stored as fp32 and nothing would be saved.

The proof is read off the C++ that was compiled: which products it calls, and what its constants are.
"""

import contextlib
import dataclasses
import logging
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import NDArray

from perflib import machine
from perflib.artifact import Artifact, ArtifactSpec
from perflib.compression.converters.aotinductor import longest_tokens_count
from perflib.compression.materials import Materials
from perflib.compression.parity import LengthParity, check_lengths, real_texts
from perflib.compression.ranges import Range, write_ranges
from perflib.encoded import Encoded
from perflib.engines import Session
from perflib.errors import SetupError, StageError
from perflib.progress import Progress

if TYPE_CHECKING:
    import torch

    from perflib.compression.quantize import Quantize

FEWEST_INT8_SHARE = 0.9
_INT8_PRODUCTS = ("avx512_vnni", "avx_vnni", "amx_int8")


def check_parent(options: "Quantize", parent: ArtifactSpec, materials: Materials) -> ArtifactSpec:  # noqa: ARG001 -- the protocol's
    """
    Return what the stage will make of a torch fp32 parent.

    Raises:
        StageError: If torchao and inductor cannot do what an option asks for, or the processor has no such products.
        SetupError: If there is no C++ compiler.
    """
    from perflib.engines.aot_engine import require_compiler

    found = machine.read_card().isa_flags
    for is_wrong, sentence in (
        (options.scheme == "int8-qat", "has scheme: int8-qat, which is for engine: openvino; use int8-static here"),
        (
            options.calibrator != "min-max",
            f"has calibrator: {options.calibrator}, but torchao's x86 route has its own search for the range with the "
            "least squared error; leave it out",
        ),
        (bool(options.smooth), f"has smooth: {options.smooth}, but torchao's x86 route does not smooth; leave it out"),
        (
            not options.per_channel,
            "has per_channel: false, but these int8 products take a scale per channel; leave it out",
        ),
    ):
        if is_wrong:
            raise StageError(f"stage `quantize` on engine inductor {sentence}.")
    if options.scheme != "int8-weights" and not set(_INT8_PRODUCTS) & set(found):
        raise SetupError(
            f"{options.scheme} needs int8 products that do not overflow, and this processor has "
            f"{', '.join(found) or 'no matrix instructions'}, none of {', '.join(_INT8_PRODUCTS)}; "
            "use scheme: int8-weights."
        )
    require_compiler("inductor")
    return dataclasses.replace(parent, engine="aotinductor", precision="int8", builder=None, config={}, options={})


def quantize(
    options: "Quantize", parent: Artifact, folder: Path, materials: Materials
) -> tuple[Artifact, dict[str, Any]]:
    """
    Quantize, compile, compare what was compiled with what was quantized, and prove which products it calls.

    Raises:
        StageError: If a block to keep is unknown, the model cannot be exported or compiled, layers fell back to fp32,
            or the compiled code answers otherwise than the quantized model at some length.
    """
    parities: dict[tuple[str, ...], LengthParity] = {}

    def build(kept: tuple[str, ...], place: Path) -> Artifact:
        made, parities[kept] = quantize_keeping(options, parent, kept, place, materials)
        return made

    if options.keep == "sensitive":
        from perflib.compression.sensitivity import sensitive_blocks

        artifact, found = sensitive_blocks(options, parent, materials, quantize=build, folder=folder)
    else:
        artifact, found = build(options.kept_blocks, folder), {}
    proof = prove(artifact)
    return artifact, {**proof, "parity": parities[tuple(proof["kept_blocks"])].to_proof(), **found}


def quantize_keeping(
    options: "Quantize", parent: Artifact, kept: tuple[str, ...], folder: Path, materials: Materials
) -> tuple[Artifact, LengthParity]:
    """
    Quantize all but some blocks, compile, seal the result in a folder, and compare it with the quantized model.

    Args:
        options: How.
        parent: A torch fp32 artifact.
        kept: Paths of modules that stay in fp32, with all that is in them.
        folder: Where the artifact goes.
        materials: For the ranges.

    Raises:
        StageError: If a path is unknown, nothing is left to quantize, torch cannot export or compile the model, or the
            compiled code answers otherwise.
    """
    from perflib.engines import aot_engine
    from perflib.engines.torch_engine import DTYPES, load_module

    module = load_module(parent.folder, parent.spec)
    inputs = aot_engine.describe_inputs(
        materials.calibration, dtype=DTYPES["fp32"], longest_tokens_count=longest_tokens_count(parent.spec)
    )
    chosen, layer_count = choose_layers(module, kept, is_static=options.scheme == "int8-static")
    details: dict[str, Any] = {
        "kept_blocks": list(kept),
        "linear_layer_count": layer_count,
        "wanted_layer_count": len(chosen),
    }
    folder.mkdir(parents=True, exist_ok=True)
    with _quiet(), Progress("quantizing", 3) as bar:
        if options.scheme == "int8-static":
            sample = materials.sample(options.calibration_examples, stage="quantize")
            module = quantize_static(module, chosen, inputs, sample)
            write_ranges(read_ranges(module), folder, calibrator="histogram")
            details |= {"calibration_inputs_sha256": sample.digest(), "calibration_example_count": len(sample)}
        else:
            quantize_weights(module, chosen, is_dynamic=options.scheme == "int8-dynamic")
        bar.step("quantized")
        program = aot_engine.export(module, inputs)
        bar.step("exported")
        aot_engine.compile_package(program, folder, is_frozen=options.scheme != "int8-weights")
        bar.step("compiled")
    made = parent.derive(
        folder,
        {"quantize": dataclasses.asdict(options)},
        packages=("torch", "torchao"),
        details=details,
        engine="aotinductor",
        precision="int8",
        builder=None,
        config={},
        options=inputs | aot_engine.build_options(),
    )
    # Not with the fp32 parent: how much rounding costs is for the tuning split to say, and here engines are compared.
    source = cast("Artifact", _Quantized(module, inputs))
    parity = check_lengths(source, made, real_texts(materials), limit_logit=None, label="the int8 package")
    parity.require()
    return made, parity


def prove(artifact: Artifact) -> dict[str, Any]:
    """
    Return how many of the layers that were to be int8 are int8, by the code that was compiled.

    Raises:
        StageError: If fewer than nine in ten are: a silent fallback to fp32 is a failed stage.
    """
    from perflib.engines import aot_engine

    details, scheme = artifact.spec.lineage.details, artifact.spec.lineage.recipe[-1]["quantize"]["scheme"]
    source = aot_engine.read_source(artifact.folder / aot_engine.PACKAGE_FILE)
    product_count, stored_count = aot_engine.int8_product_count(source), aot_engine.int8_matrix_count(source)
    int8_count = stored_count if scheme == "int8-weights" else product_count
    share = int8_count / details["wanted_layer_count"]
    if share < FEWEST_INT8_SHARE:
        raise StageError(
            f"only {int8_count} of {details['wanted_layer_count']} linear layers that were to be int8 ({scheme}) are "
            f"so in the compiled code, fewer than {FEWEST_INT8_SHARE:.0%}; inductor did not know their pattern, so use "
            "engine: openvino."
        )
    return {
        "linear_layer_count": details["linear_layer_count"],
        "low_precision_share_ratio": min(share, 1.0),
        "products": "int8" if product_count else "fp32",
        "int8_product_layer_count": product_count,
        "kept_blocks": details["kept_blocks"],
        "kept_layer_count": details["linear_layer_count"] - details["wanted_layer_count"],
    }


def choose_layers(module: "torch.nn.Module", kept: Sequence[str], *, is_static: bool) -> tuple[tuple[str, ...], int]:
    """
    Return the paths of the linear and convolution layers to quantize, and how many there are in all.

    Raises:
        StageError: If a kept block is none of the model's, nothing is left, or they are convolutions and the scheme
            leaves those in fp32.
    """
    from torch import nn

    from perflib.compression.blocks import layers_of

    layers = {name: part for name, part in module.named_modules() if isinstance(part, nn.Linear | nn.Conv2d)}
    spared = {name for block in kept for name in layers_of(module, block)}
    chosen = tuple(name for name in layers if name not in spared)
    if not chosen:
        raise StageError(f"all {len(layers)} linear layers are kept in floating point; keep fewer blocks.")
    convolution_count = sum(isinstance(layers[name], nn.Conv2d) for name in chosen)
    if convolution_count and not is_static:
        raise StageError(
            f"{convolution_count} of {len(chosen)} layers are convolutions, which torchao quantizes with static ranges "
            "only; use scheme: int8-static."
        )
    return chosen, len(layers)


def quantize_static(
    module: "torch.nn.Module", chosen: Sequence[str], inputs: dict[str, Any], sample: Encoded
) -> "torch.nn.Module":
    """
    Export a module, find the ranges of its activations on a sample, and return it with rounding in place.

    Args:
        module: In fp32, in evaluation mode.
        chosen: From `choose_layers`; the others stay in fp32.
        inputs: From `describe_inputs`.
        sample: Calibration inputs, given one at a time and without padding.
    """
    import torch
    from torchao.quantization.pt2e.quantize_pt2e import convert_pt2e, prepare_pt2e
    from torchao.quantization.pt2e.quantizer import x86_inductor_quantizer

    from perflib.engines import aot_engine

    quantizer = x86_inductor_quantizer.X86InductorQuantizer()
    quantizer.set_global(x86_inductor_quantizer.get_default_x86_inductor_quantization_config())
    for name, part in module.named_modules():
        if isinstance(part, torch.nn.Linear | torch.nn.Conv2d) and name not in chosen:
            quantizer.set_module_name_qconfig(name, None)
    prepared = prepare_pt2e(aot_engine.export(module, inputs).module(), quantizer)
    names = [one["name"] for one in inputs["inputs"]]
    with torch.no_grad(), Progress("calibrating", len(sample)) as bar:
        for row in range(len(sample)):
            tensors = aot_engine.fit(sample.take([row]).arrays, inputs)
            prepared(**dict(zip(names, tensors, strict=True)))
            bar.step()
    made: torch.nn.Module = convert_pt2e(prepared)
    return made


def read_ranges(module: Any) -> list[Range]:
    """List the ranges of the activations that a graph from `quantize_static` rounds, in its order."""
    ranges = []
    for node in module.graph.nodes:
        if "quantized_decomposed.quantize_per_tensor" in str(node.target):
            value, scale, zero, lowest, highest = node.args[:5]
            low, high = (float(scale * (level - zero)) for level in (lowest, highest))
            ranges.append(Range(value.name, low, high, highest - lowest + 1))
    return ranges


def quantize_weights(module: "torch.nn.Module", chosen: Sequence[str], *, is_dynamic: bool) -> None:
    """Give the chosen layers int8 weights in place and, if dynamic, int8 inputs with a scale per token."""
    from torchao.quantization import Int8DynamicActivationInt8WeightConfig, Int8WeightOnlyConfig, quantize_

    kind = Int8DynamicActivationInt8WeightConfig if is_dynamic else Int8WeightOnlyConfig
    # Without its changes to inductor's settings, which would stay in force for whatever is compiled afterwards.
    quantize_(module, kind(set_inductor_config=False), filter_fn=lambda _, name: name in chosen)


class _Quantized:
    """A quantized module before it is compiled, opened as an artifact is."""

    def __init__(self, module: "torch.nn.Module", inputs: dict[str, Any]) -> None:
        self._module, self._inputs = module, inputs

    def open(self) -> Session:
        import torch

        from perflib.engines import aot_engine

        names = [one["name"] for one in self._inputs["inputs"]]

        def call(arrays: Mapping[str, NDArray[np.generic]]) -> NDArray[np.float32]:
            with torch.no_grad():
                tensors = aot_engine.fit(arrays, self._inputs)
                return self._module(**dict(zip(names, tensors, strict=True))).numpy()  # type: ignore[no-any-return]

        return call


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep the libraries' remarks out of notebooks: CUDA parts that are not there, graphs that were changed."""
    logger = logging.getLogger("torchao")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
