"""
The products themselves: number format, bytes of the weights, and how near they come to the roof.

In another format a product is taken to keep the share of its roof that it reaches today, under the roof of that format.
"""

import json
import math
from collections.abc import Sequence

from perflib import units
from perflib.profiling.findings.amdahl import combined_speedup
from perflib.profiling.findings.case import (
    BETWEEN,
    DISPATCH,
    PRODUCTS,
    Case,
    busy_sec,
    calls_count,
    priced,
    reached_ratio,
    share_ratio,
)
from perflib.results import Finding, Profile, RooflinePoint

# Instructions that multiply int8 without widening it first.
INT8_FLAGS = frozenset({"avx512_vnni", "avx_vnni", "amx_int8", "asimddp", "i8mm"})
# What libraries reach of a measured peak with the shapes of real models; below the first there is something to gain.
FAR_RATIO, GOOD_RATIO = 0.6, 0.8
_WIDTHS_BYTES = {"fp32": 4, "bf16": 2, "fp16": 2, "int8": 1}
# Where the weights stand among the inputs; what `bmm` multiplies are no weights.
_WEIGHT_PLACES = {
    "aten::addmm": 2,
    "aten::mm": 1,
    "FullyConnected": 1,
    "MatMul": 1,
    "Gemm": 1,
    "QGemm": 1,
    "MatMulIntegerToFloat": 1,
    "DynamicQuantizeMatMul": 1,
}


def int8_headroom(case: Case, profile: Profile) -> Finding | None:
    """Products in int8. Engines that have them also fuse what lies between, so both are priced together."""
    if case.spec.precision != "fp32" or case.is_cuda or not INT8_FLAGS & set(case.card.isa_flags):
        return None
    factor = _format_speedup(case, case.points(profile, "matrix"), "int8")
    if factor is None:
        return None
    # Attention stays in floating point in the int8 routes of today's engines.
    matrix_ratio, between_ratio = share_ratio(profile, "matrix"), share_ratio(profile, *BETWEEN)
    parts: list[tuple[float, float | None]] = [(matrix_ratio, factor)]
    evidence = (
        f"linear layers take {units.percent(matrix_ratio)} and could be {units.speedup(factor)} as fast under the roof"
    )
    if case.is_eager:
        parts += [(between_ratio, None), (share_ratio(profile, *DISPATCH), None)]
        evidence += f"; {units.percent(between_ratio + parts[2][0])} lies between the products and is fused on the way"
    touched_ratio, part_ratio = combined_speedup(parts)
    return priced(
        "int8",
        profile,
        claim=f"int8 can make the linear layers {units.speedup(factor)} as fast here"
        + (", and the engine that has such products fuses what lies between them." if case.is_eager else "."),
        evidence=evidence,
        share_ratio=touched_ratio,
        part_speedup_ratio=part_ratio,
        assumption="int8 products keep the share of the roof that fp32 ones reach, rescaling is free, attention stays "
        "as it is" + (", and fused operators cost nothing" if case.is_eager else ""),
        experiment="int8" if case.is_eager else "",
        recipe=({"quantize": {"scheme": "int8-static"}},),
    )


def bf16_headroom(case: Case, profile: Profile) -> Finding | None:
    """Products in bf16, and half the bytes for everything else that waits for memory."""
    if case.spec.precision != "fp32" or not case.is_eager or case.is_cuda:
        return None
    factor = _format_speedup(case, case.points(profile, *PRODUCTS), "bf16")
    if factor is None or factor <= 1:
        return None
    peaks = case.ceilings.product_op_per_sec
    product_ratio, between_ratio = share_ratio(profile, *PRODUCTS), share_ratio(profile, *BETWEEN)
    touched_ratio, part_ratio = combined_speedup([(product_ratio, factor), (between_ratio, 2.0)])
    return priced(
        "bf16",
        profile,
        claim=f"In bf16 the products can be {units.speedup(factor)} as fast here, and everything between them moves "
        "half the bytes.",
        evidence=f"products and attention take {units.percent(product_ratio)}, what lies between "
        f"{units.percent(between_ratio)}; peak {units.rate(peaks['bf16'], 'FLOP/s')} against "
        f"{units.rate(peaks['fp32'], 'FLOP/s')}",
        share_ratio=touched_ratio,
        part_speedup_ratio=part_ratio,
        assumption="bf16 products keep the share of the roof that fp32 ones reach, and what lies between them waits "
        "for memory",
        experiment="bf16",
        recipe=({"precision": {"dtype": "bf16"}},),
    )


def memory_bound_weights(case: Case, profile: Profile) -> Finding | None:
    """Linear layers of a single call that wait for their weights: smaller weights come sooner."""
    if profile.scenario != "single" or case.is_cuda or case.spec.precision == "int8":
        return None
    points = [point for point in case.points(profile, "matrix") if case.is_memory_bound(point)]
    seen_sec = sum(point.self_sec for point in points)
    if not seen_sec:
        return None
    left_sec = sum(point.self_sec - _fetch_saved_sec(case, point) for point in points)
    weights_bytes = sum(_weight_bytes(point) for point in points) / calls_count(profile)
    return priced(
        "memory-bound-weights",
        profile,
        claim="The linear layers of one call wait for their weights rather than for the processor; int8 weights are a "
        "quarter of the bytes.",
        evidence=f"{sum(point.call_count for point in points) / calls_count(profile):,.0f} products a call lie left of "
        f"the roof's ridge, {units.percent(seen_sec / busy_sec(profile))} of the time; they fetch "
        f"{units.size(weights_bytes)} of weights at {units.rate(case.ceilings.copy_bytes_per_sec, 'B/s')}",
        share_ratio=seen_sec / busy_sec(profile),
        part_speedup_ratio=seen_sec / left_sec,
        assumption="only the time to fetch what is no longer there is saved, and unpacking the weights is free",
        experiment="int8-weights",
        recipe=({"quantize": {"scheme": "int8-weights"}},),
    )


def far_from_roof(case: Case, profile: Profile) -> Finding | None:
    """Products that the processor could do in much less time, in the same number format."""
    if not case.is_eager or case.is_cuda:
        return None
    points = tuple(point for point in case.points(profile, "matrix") if not case.is_memory_bound(point))
    reach_ratio = reached_ratio(points)
    if reach_ratio is None or reach_ratio >= FAR_RATIO:
        return None
    seen_sec = sum(point.self_sec for point in points)
    done_count = sum(point.flop_count for point in points)
    return priced(
        "far-from-roof",
        profile,
        claim=f"The products reach only {units.percent(reach_ratio, 0)} of what this processor can do in the same "
        "format; better kernels would help.",
        evidence=f"{units.rate(done_count / seen_sec, 'FLOP/s')} in products that are bound by the processor, "
        f"{units.percent(seen_sec / busy_sec(profile))} of the time",
        share_ratio=seen_sec / busy_sec(profile),
        part_speedup_ratio=GOOD_RATIO / reach_ratio,
        assumption=f"an engine with kernels for these shapes reaches {units.percent(GOOD_RATIO, 0)} of the roof; what "
        "else it gains comes on top",
        experiment="openvino",
        recipe=({"engine": {"name": "openvino"}},),
    )


def fallback(case: Case, profile: Profile) -> Finding | None:
    """Products of a low-precision artifact that were computed in fp32 all the same."""
    precision = case.spec.precision
    rows = [row for row in profile.shapes if row.kind in PRODUCTS and row.flop_count > 0]
    fallen = [row for row in rows if row.precision == "fp32"]
    if precision == "fp32" or precision not in case.ceilings.product_op_per_sec or not fallen:
        return None
    done_count, fallen_count = (sum(row.flop_count for row in some) for some in (rows, fallen))
    fallen_sec = sum(row.self_sec for row in fallen)
    names = ", ".join(sorted({row.operator.removeprefix("aten::") for row in fallen}))
    return priced(
        "fallback",
        profile,
        claim=f"The artifact says {precision}, but {units.percent(fallen_count / done_count, 0)} of its operations are "
        "computed in fp32.",
        evidence=f"{names} fell back: {units.percent(fallen_sec / busy_sec(profile))} of the time; coverage is "
        f"{units.percent(1 - fallen_count / done_count)} of the operations",
        share_ratio=fallen_sec / busy_sec(profile),
        part_speedup_ratio=case.ceilings.product_op_per_sec[precision] / case.ceilings.product_op_per_sec["fp32"],
        assumption=f"there are {precision} kernels for these operators, and the accuracy bears them",
    )


def int8_without_instructions(case: Case, profile: Profile) -> Finding | None:
    """
    A warning before somebody tries: without the instructions int8 is widened before it is multiplied.

    It predicts no gain at all, so it is no matter of the least saving.
    """
    if profile.scenario != "offline" or case.is_cuda or INT8_FLAGS & set(case.card.isa_flags):
        return None
    is_done = case.spec.precision == "int8"
    return Finding(
        rule="int8-without-instructions",
        scenario=profile.scenario,
        claim="This processor has no int8 products, so int8 saves bytes and no time"
        + ("; serve the model that it was made from." if is_done else "."),
        evidence=f"none of {', '.join(sorted(INT8_FLAGS))} among its instructions "
        f"({', '.join(case.card.isa_flags) or 'none known'})",
        share_ratio=share_ratio(profile, "matrix"),
        part_speedup_ratio=1.0,
        predicted_speedup_ratio=1.0,
        assumption="the batch is bound by products and not by the bytes of the weights, and the engine gains nothing "
        "by itself",
        experiment="" if is_done else "int8-onnx-dynamic",
        recipe=() if is_done else ({"quantize": {"scheme": "int8-dynamic", "engine": "onnxruntime"}},),
    )


def _format_speedup(case: Case, points: Sequence[RooflinePoint], precision: str) -> float | None:
    """Return how many times as fast products may be under the roof of another precision; None if it has no roof."""
    rates = case.ceilings.product_op_per_sec
    if precision not in rates:
        return None
    if not points:
        return rates[precision] / rates["fp32"]
    narrower_ratio = _WIDTHS_BYTES[precision] / _WIDTHS_BYTES["fp32"]
    there_sec = sum(
        max(
            point.flop_count / rates[precision],
            point.moved_bytes * narrower_ratio / case.ceilings.copy_bytes_per_sec,
        )
        for point in points
    )
    return sum(point.attainable_sec for point in points) / there_sec if there_sec > 0 else None


def _weight_bytes(point: RooflinePoint) -> float:
    """Return the bytes of the weights over all calls of a point; 0 where its shapes do not tell them."""
    place = _WEIGHT_PLACES.get(point.operator)
    sizes = json.loads(point.shapes or "[]") if place is not None else []
    if place is None or len(sizes) <= place:
        return 0
    number_count: int = math.prod(sizes[place])
    return number_count * _WIDTHS_BYTES.get(point.precision, 4) * point.call_count


def _fetch_saved_sec(case: Case, point: RooflinePoint) -> float:
    """Return the time to fetch what int8 leaves out; a point cannot save more than its own time's share of it."""
    left_ratio = _WIDTHS_BYTES["int8"] / _WIDTHS_BYTES.get(point.precision, 4)
    fetched_sec = (1 - left_ratio) * _weight_bytes(point) / case.ceilings.copy_bytes_per_sec
    return min(fetched_sec, (1 - left_ratio) * point.self_sec)
