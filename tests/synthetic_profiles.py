"""Profiles, ceilings and rooflines that add up, without running a model: six layers of 384 numbers, in three steps."""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any

from perflib.results import (
    KINDS,
    Ceilings,
    KindTime,
    MemoryPoint,
    ModuleTime,
    OperatorTime,
    Profile,
    ShapeTime,
)

STEP_COUNT = 3
TOKEN_COUNT = 32 * 64
# What one step takes, in seconds, by kind; 0.52 s in all, of which the products need 0.22 s under `make_ceilings`.
STEP_SEC: Mapping[str, float] = {
    "matrix": 0.34,
    "attention": 0.06,
    "normalisation": 0.012,
    "elementwise": 0.06,
    "reduction": 0.004,
    "embedding": 0.004,
    "memory": 0.014,
    "framework": 0.016,
    "idle": 0.006,
    "unattributed": 0.004,
}
# Operator, kind, share of the kind's time, calls of a step, sizes of the inputs; one row for each shape.
_CALLS: Sequence[tuple[str, str, float, int, tuple[tuple[int, ...], ...]]] = (
    ("aten::addmm", "matrix", 0.40, 24, ((384,), (TOKEN_COUNT, 384), (384, 384))),
    ("aten::addmm", "matrix", 0.31, 6, ((1536,), (TOKEN_COUNT, 384), (384, 1536))),
    ("aten::addmm", "matrix", 0.28, 6, ((384,), (TOKEN_COUNT, 1536), (1536, 384))),
    ("aten::addmm", "matrix", 0.01, 1, ((2,), (32, 384), (384, 2))),
    ("aten::_scaled_dot_product_flash_attention_for_cpu", "attention", 1.0, 6, ((32, 12, 64, 32),) * 3),
    ("aten::native_layer_norm", "normalisation", 1.0, 13, ((32, 64, 384),)),
    ("aten::gelu", "elementwise", 0.8, 6, ((32, 64, 1536),)),
    ("aten::add", "elementwise", 0.2, 12, ((32, 64, 384),) * 2),
    ("aten::sum", "reduction", 1.0, 2, ((32, 64, 384),)),
    ("aten::embedding", "embedding", 1.0, 3, ((30522, 384), (32, 64))),
    ("aten::copy_", "memory", 1.0, 24, ((32, 12, 64, 32),) * 2),
    ("aten::quantize_per_tensor", "quantization", 1.0, 36, ((32, 64, 384),)),
    ("aten::linear", "framework", 0.5, 37, ((32, 64, 384), (384, 384), (384,))),
    ("aten::transpose", "framework", 0.2, 60, ((32, 64, 12, 32),)),
)
_LAYER_PARTS: Mapping[str, float] = {"attention": 0.05, "attention.query": 0.01, "intermediate": 0.05, "output": 0.04}
WIDTH_BYTES = {"fp32": 4, "bf16": 2, "int8": 1}


def make_profile(
    *, kind_sec: Mapping[str, float] | None = None, product_precision: str = "fp32", **changes: Any
) -> Profile:
    """
    Make a profile whose parts add up: kinds to the wall time, operators and shapes to their kinds.

    Args:
        kind_sec: Seconds of one step by kind, laid over `STEP_SEC`; 0 takes a kind away.
        product_precision: Of the shapes with products.
        changes: Fields of the profile to replace at the end, as they are; nothing is adapted to them.

    Example:
        make_profile(kind_sec={"quantization": 0.02}, name="int8").share_ratio("quantization")
    """
    sec = {**STEP_SEC, **(kind_sec or {})}
    wall_sec = STEP_COUNT * sum(sec.values())
    shapes = _shapes(sec, product_precision)
    whole = Profile(
        name="baseline",
        scenario="offline",
        artifact_sha256="a" * 64,
        engine="torch",
        precision="fp32",
        device="cpu",
        source="torch.profiler",
        thread_count=2,
        calls_per_step_count=1,
        step_example_count=32,
        step_token_count=TOKEN_COUNT,
        real_token_count=TOKEN_COUNT * 5 // 8,
        active_step_count=STEP_COUNT,
        wall_sec=wall_sec,
        unwatched_sec=wall_sec / 1.08,
        operators=_operators(shapes),
        shapes=tuple(row for row in shapes if row.kind != "framework"),
        modules=_modules(wall_sec),
        kinds=tuple(
            KindTime(kind, STEP_COUNT * sec[kind], STEP_COUNT * sec[kind] / wall_sec)
            for kind in KINDS
            if sec.get(kind, 0.0) > 0
        ),
        memory=_memory(wall_sec),
        peak_allocated_bytes=136_000_000,
        trace_folder="traces",
        trace_files=("baseline.1767.pt.trace.json.gz",),
    )
    return dataclasses.replace(whole, **changes)


def make_ceilings(thread_count: int = 2, **changes: Any) -> Ceilings:
    """Make the ceilings of a processor whose bf16 and int8 are 3.5 and 4.5 times as fast as its fp32."""
    whole = Ceilings(
        thread_count=thread_count,
        fp32_flop_per_sec=100e9 * thread_count,
        bf16_flop_per_sec=350e9 * thread_count,
        int8_op_per_sec=450e9 * thread_count,
        copy_bytes_per_sec=12e9 * thread_count,
    )
    return dataclasses.replace(whole, **changes)


def _shapes(sec: Mapping[str, float], product_precision: str) -> list[ShapeTime]:
    rows = []
    for operator, kind, share, call_count, sizes in _CALLS:
        if sec.get(kind, 0.0) <= 0:
            continue
        # Attention has no int8 form.
        is_lowered = kind == "matrix" or (kind == "attention" and product_precision != "int8")
        precision = product_precision if is_lowered else "fp32"
        rows.append(
            ShapeTime(
                operator=operator,
                kind=kind,
                shapes=str([list(size) for size in sizes]),
                precision=precision,
                call_count=STEP_COUNT * call_count,
                self_sec=STEP_COUNT * share * sec[kind],
                flop_count=STEP_COUNT * call_count * _flop_count(kind, sizes),
                moved_bytes=STEP_COUNT * call_count * _moved_bytes(kind, sizes) * WIDTH_BYTES[precision],
            )
        )
    return sorted(rows, key=lambda row: (-row.self_sec, row.operator, row.shapes))


def _flop_count(kind: str, sizes: Sequence[tuple[int, ...]]) -> int:
    if kind == "matrix":
        return 2 * math.prod(sizes[1]) * sizes[2][1]
    if kind == "attention":
        return 4 * math.prod(sizes[0]) * sizes[0][2]
    return 0


def _moved_bytes(kind: str, sizes: Sequence[tuple[int, ...]]) -> int:
    """Count numbers, not yet bytes: every input and the output once."""
    written = sizes[1][0] * sizes[2][1] if kind == "matrix" else max(math.prod(size) for size in sizes)
    return sum(math.prod(size) for size in sizes) + written


def _operators(shapes: Sequence[ShapeTime]) -> tuple[OperatorTime, ...]:
    all_sec = sum(row.self_sec for row in shapes)
    rows = []
    for operator, kind in sorted({(row.operator, row.kind) for row in shapes}):
        mine = [row for row in shapes if row.operator == operator]
        self_sec = sum(row.self_sec for row in mine)
        rows.append(
            OperatorTime(
                operator=operator,
                kind=kind,
                call_count=sum(row.call_count for row in mine),
                self_sec=self_sec,
                total_sec=self_sec,
                self_share_ratio=self_sec / all_sec,
                flop_count=sum(row.flop_count for row in mine),
                moved_bytes=sum(row.moved_bytes for row in mine),
            )
        )
    return tuple(sorted(rows, key=lambda row: (-row.self_sec, row.operator)))


def _modules(wall_sec: float) -> tuple[ModuleTime, ...]:
    """Share out the time: six layers take nine tenths of it, each the same, and each part a share of its own."""
    rows = [ModuleTime("model", STEP_COUNT, 0.04 * wall_sec, 0.97 * wall_sec)]
    rows.append(ModuleTime("embeddings", STEP_COUNT, 0.03 * wall_sec, 0.03 * wall_sec))
    for layer in range(6):
        name = f"encoder.layer.{layer}"
        parts = {f"{name}.{part}": share * wall_sec for part, share in _LAYER_PARTS.items()}
        for part, sec in parts.items():
            inside_sec = sum(own for other, own in parts.items() if other.startswith(f"{part}."))
            rows.append(ModuleTime(part, STEP_COUNT, sec, sec + inside_sec))
        rows.append(ModuleTime(name, STEP_COUNT, 0.0, sum(parts.values())))
    return tuple(sorted(rows, key=lambda row: (-row.self_sec, row.module)))


def _memory(wall_sec: float) -> tuple[MemoryPoint, ...]:
    """Rise and fall in every layer of every step, above weights that stay."""
    count = STEP_COUNT * 6 * 4
    heights = (8_000_000, 30_000_000, 46_000_000, 20_000_000)
    return tuple(MemoryPoint(wall_sec * place / count, 90_000_000 + heights[place % 4]) for place in range(count + 1))
