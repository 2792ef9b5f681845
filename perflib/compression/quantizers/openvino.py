"""
int8 for OpenVINO, made by NNCF: with ranges set beforehand, with ranges found in every call, or of weights alone.

What is not a matrix product stays fp32: the precision hint is f32, because int8 with bf16 around it has been seen to
answer wrongly at one padded length.

Two things are proved before an artifact leaves this file: the converted fp32 model equals its source at several
lengths, and the layers that were to be int8 are. OpenVINO rounds activations of models with int8 weights by itself, so
a model whose products shall stay in fp32 is served with that switched off.
"""

import dataclasses
import logging
from pathlib import Path
from typing import Any

from perflib import machine
from perflib.artifact import Artifact, ArtifactSpec
from perflib.compression import ranges
from perflib.compression.materials import USUAL_SAMPLE_COUNT, Materials
from perflib.compression.quantize import KEEP_WORDS, Quantize
from perflib.compression.quantizers import accuracy_control, openvino_graph
from perflib.compression.quantizers.openvino_source import Source, convert, kept_operations, quiet
from perflib.encoded import MASK, Encoded
from perflib.errors import SetupError, StageError
from perflib.progress import Progress

FEWEST_INT8_SHARE = 0.9
# How many values share a dynamic scale, the better choice first; the engine skips layers that are narrower.
GROUP_SIZES = (32, 16)
GROUP_SETTING = "DYNAMIC_QUANTIZATION_GROUP_SIZE"
_INT8_PRODUCTS = ("avx512_vnni", "avx_vnni", "amx_int8", "asimddp", "i8mm")


def check_parent(options: Quantize, parent: ArtifactSpec, materials: Materials) -> ArtifactSpec:
    """
    Return what the stage will make of a torch fp32 parent.

    Raises:
        StageError: If an option has no meaning for this engine, this model or this processor.
    """
    if not options.is_calibrated and not options.per_channel:
        raise StageError(f"NNCF compresses weights per channel only; {options.scheme} cannot have per_channel: false.")
    if options.smooth and MASK not in materials.calibration.arrays:
        raise StageError(
            f"stage `quantize` has smooth: {options.smooth:g}, but NNCF smooths transformers only, and this model "
            "takes no attention mask; leave it out."
        )
    found = machine.read_card().isa_flags
    if options.scheme == "int8-dynamic" and not set(_INT8_PRODUCTS) & set(found):
        raise SetupError(
            f"int8-dynamic has no products on this processor (it has {', '.join(found) or 'no matrix instructions'}; "
            f"one of {', '.join(_INT8_PRODUCTS)} is needed); use scheme: int8-weights."
        )
    group = str(GROUP_SIZES[0]) if options.scheme == "int8-dynamic" else "0"
    return dataclasses.replace(parent, **_changes(parent, None if options.is_calibrated else group))


def quantize(
    options: Quantize, parent: Artifact, folder: Path, materials: Materials
) -> tuple[Artifact, dict[str, Any]]:
    """
    Convert, compare with the source, quantize, and prove what was executed.

    Raises:
        StageError: If the conversion is wrong, a block to keep is unknown, accuracy control misses its target, or
            layers fell back to fp32.
    """
    with Progress("quantizing", 2) as progress:
        source = convert(parent, _sample(options, materials))
        progress.step("converted")
        found: dict[str, Any] = {}
        if options.keep == "sensitive":
            from perflib.compression.sensitivity import sensitive_blocks

            def build(kept: tuple[str, ...], place: Path) -> Artifact:
                return quantize_keeping(options, source, kept, place, materials)

            artifact, found = sensitive_blocks(options, parent, materials, quantize=build, folder=folder)
        else:
            artifact = quantize_keeping(options, source, options.kept_blocks, folder, materials)
        progress.step("quantized")
    return artifact, {**prove(artifact), **found}


def quantize_keeping(
    options: Quantize, source: Source, kept: tuple[str, ...], folder: Path, materials: Materials
) -> Artifact:
    """
    Quantize all but some blocks, and seal the result in a folder.

    Args:
        options: How.
        source: From `convert`.
        kept: Names of torch modules that stay in fp32, with all that is in them.
        folder: Where the artifact goes.
        materials: The tuning split is for accuracy control.

    Raises:
        StageError: If a name is unknown, or accuracy control misses its target.
    """
    from perflib.engines import openvino_engine

    operations, patterns, layer_count = kept_operations(source, kept, words=KEEP_WORDS)
    told: dict[str, Any] = {
        "conversion_largest_logit_difference": source.largest_logit_difference,
        "linear_layer_count": layer_count,
        "kept_layer_count": len(operations),
        "kept_blocks": list(kept),
    }
    group = None
    folder.mkdir(parents=True, exist_ok=True)
    with quiet():
        import nncf

        nncf.set_log_level(logging.ERROR)
        scope = nncf.IgnoredScope(names=operations, patterns=patterns, validate=False)
        if options.is_calibrated:
            model, found = _set_ranges(options, source, scope, folder, materials)
            told["calibration_inputs_sha256"] = source.sample.digest()
            told["calibration_example_count"] = len(source.sample)
        else:
            model = nncf.compress_weights(
                source.model.clone(), mode=nncf.CompressWeightsMode.INT8_ASYM, ignored_scope=scope
            )
            group, found = _find_group(options, source, model, layer_count - len(operations))
        int8_count = len(openvino_graph.int8_weighted(model))
        openvino_engine.save_model(model, folder)
    return source.parent.derive(
        folder,
        {"quantize": dataclasses.asdict(options)},
        packages=("openvino", "nncf"),
        details={**told, "int8_weighted_layer_count": int8_count, **found},
        **_changes(source.parent.spec, group),
    )


def prove(artifact: Artifact) -> dict[str, Any]:
    """
    Return how many of all linear layers are int8, and how many of those that were to be.

    Raises:
        StageError: If fewer than nine in ten are: a silent fallback to fp32 is a failed stage.
    """
    told = dict(artifact.spec.lineage.details)
    options = artifact.spec.lineage.recipe[-1]["quantize"]
    if options["scheme"] == "int8-weights":
        int8_count = told["int8_weighted_layer_count"]
    elif options["scheme"] == "int8-dynamic":
        int8_count = told["int8_product_layer_count"]
    else:
        told["linear_layer_count"], int8_count = _executed(artifact)
    wanted_count = told["linear_layer_count"] - told["kept_layer_count"]
    if options["keep"] == "accuracy-control":
        # What it reverted is what it was asked for, so the weights say how many were to be int8.
        wanted_count = told["int8_weighted_layer_count"]
        told["kept_layer_count"] = told["linear_layer_count"] - wanted_count
    share = int8_count / wanted_count if wanted_count else 0.0
    if share < FEWEST_INT8_SHARE:
        raise StageError(
            f"only {share:.0%} of {wanted_count} linear layers that were to be int8 ran in it on this machine, fewer "
            f"than {FEWEST_INT8_SHARE:.0%}; its processor or the engine fell back to fp32, or all was kept."
        )
    proof = {**told, "intended_share_ratio": min(share, 1.0)}
    # Weights alone promise no products, so nothing is said of what runs.
    return (
        proof
        if options["scheme"] == "int8-weights"
        else proof | {"low_precision_share_ratio": int8_count / told["linear_layer_count"]}
    )


def _changes(parent: ArtifactSpec, group: str | None) -> dict[str, Any]:
    """List what differs from the parent's record; a group of 0 values keeps products in fp32."""
    settings = {} if group is None else {"settings": {**parent.options.get("settings", {}), GROUP_SETTING: group}}
    return {
        "engine": "openvino",
        "precision": "int8",
        "builder": None,
        "config": {},
        "options": {**parent.options, **settings},
    }


def _sample(options: Quantize, materials: Materials) -> Encoded:
    if options.is_calibrated:
        return materials.sample(options.calibration_examples, stage="quantize")
    # Only to compare with, so that fewer will do.
    return materials.calibration.stratified(options.calibration_examples or USUAL_SAMPLE_COUNT)


def _set_ranges(
    options: Quantize, source: Source, scope: Any, folder: Path, materials: Materials
) -> tuple[Any, dict[str, Any]]:
    """Quantize weights and activations, write the ranges beside the model, and return what is to be told."""
    import nncf

    calls = [dict(source.sample.take([row]).arrays) for row in range(len(source.sample))]
    given = (source.model.clone(), nncf.Dataset(calls))
    found: dict[str, Any] = {}
    settings = {
        "model_type": nncf.ModelType.TRANSFORMER if source.is_transformer else None,
        "subset_size": len(calls),
        "ignored_scope": scope,
    }
    if options.keep == "accuracy-control":
        model, found = _control(options, source, materials, given, settings)
    else:
        model = nncf.quantize(*given, advanced_parameters=_advanced(options, source), **settings)
    histograms = ranges.record_values(model, source.sample)
    if options.calibrator == "mse":
        ranges.clip_ranges(model, histograms)
    read = ranges.read_ranges(model, histograms)
    ranges.write_ranges(read, folder, calibrator=options.calibrator)
    found |= {"activation_range_count": len(read), "activation_error_ratio": ranges.mean_error_ratio(read)}
    return model, found


def _control(
    options: Quantize, source: Source, materials: Materials, given: tuple[Any, Any], settings: dict[str, Any]
) -> tuple[Any, dict[str, Any]]:
    import nncf
    from nncf.quantization.advanced_parameters import AdvancedAccuracyRestorerParameters

    from perflib.engines.openvino_engine import compile_model

    judge = accuracy_control.Judge(
        materials.labelled("tuning", stage="quantize"),
        max_drop_ratio=options.max_drop_ratio,
        budget_sec=options.budget_sec,
    )
    model = nncf.quantize_with_accuracy_control(
        *given,
        nncf.Dataset(judge.items),
        judge,
        max_drop=options.max_drop_ratio,
        drop_type=nncf.DropType.ABSOLUTE,
        advanced_quantization_parameters=_advanced(options, source),
        # One worker, because the judge keeps the time and the best result.
        advanced_accuracy_restorer_parameters=AdvancedAccuracyRestorerParameters(num_ranking_workers=1),
        **settings,
    )
    compiled = (compile_model(source.model, precision="fp32"), compile_model(model, precision="int8"))
    return model, judge.verdict(*compiled)


def _advanced(options: Quantize, source: Source) -> Any:
    """Translate the options; where they say nothing, NNCF's own choice stands."""
    from nncf.quantization import advanced_parameters as advanced
    from nncf.quantization.range_estimator import RangeEstimatorParametersSet as Estimators

    chosen = advanced.AdvancedQuantizationParameters()
    # NNCF's own min-max is the mean over the examples of each one's extremes; a clip must begin at the outermost.
    if options.calibrator != "min-max":
        is_clipped = options.calibrator == "mse"
        chosen.activations_range_estimator_params = Estimators.MINMAX if is_clipped else Estimators.MEAN_QUANTILE
    if options.smooth is not None and source.is_transformer:
        chosen.smooth_quant_alphas = advanced.AdvancedSmoothQuantParameters(matmul=options.smooth or -1)
    if not options.per_channel:
        chosen.weights_quantization_params = advanced.QuantizationParameters(per_channel=False)
    return chosen


def _find_group(options: Quantize, source: Source, model: Any, wanted_count: int) -> tuple[str, dict[str, Any]]:
    """Choose the largest group of values per scale that the engine takes for nearly all layers; 0 for weights alone."""
    groups = [str(size) for size in GROUP_SIZES] if options.scheme == "int8-dynamic" else ["0"]
    count = 0
    for group in groups:
        count = openvino_graph.int8_product_count(model, source.sample, settings={GROUP_SETTING: group})
        if group == groups[-1] or count >= FEWEST_INT8_SHARE * wanted_count:
            break
    return group, {"int8_product_layer_count": count, "values_per_scale_count": int(group)}


def _executed(artifact: Artifact) -> tuple[int, int]:
    """Return how many linear layers the executed graph has, and how many of them ran in int8."""
    from perflib.engines import openvino_engine

    compiled = openvino_engine.compile_model(
        str(artifact.folder / openvino_engine.MODEL_FILE),
        precision="int8",
        thread_count=artifact.spec.runtime.thread_count,
    )
    layers = openvino_engine.executed_linear_layers(compiled)
    return len(layers), round(openvino_engine.int8_share(layers) * len(layers))
