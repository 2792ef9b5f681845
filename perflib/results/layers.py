"""Products of a roofline by layer: a text of every length is a shape of its own, and the weight is the same for all."""

import dataclasses
import json
import math

from perflib.results.profile import Roofline, RooflinePoint


def merged_points(roofline: Roofline) -> tuple[RooflinePoint, ...]:
    """Return one point for each operator, layer and precision, summed, by falling time; ``shapes`` says the layer."""
    groups: dict[tuple[str, str, str, str], list[RooflinePoint]] = {}
    for point in roofline.points:
        groups.setdefault((point.operator, point.kind, layer_of(point), point.precision), []).append(point)
    merged = [
        dataclasses.replace(
            group[0],
            shapes=layer,
            call_count=sum(point.call_count for point in group),
            self_sec=sum(point.self_sec for point in group),
            flop_count=sum(point.flop_count for point in group),
            moved_bytes=sum(point.moved_bytes for point in group),
            attainable_sec=sum(point.attainable_sec for point in group),
        )
        for (_, _, layer, _), group in groups.items()
    ]
    return tuple(sorted(merged, key=lambda point: -point.self_sec))


def layer_of(point: RooflinePoint) -> str:
    """
    Say which layer a product belongs to: ``384→1536`` for a linear one, whatever the order of its operands.

    Attention has no weights and is one layer; what is no matrix product keeps its shapes.
    """
    if point.kind == "attention":
        return "attention"
    try:
        sizes = [size for size in json.loads(point.shapes) if isinstance(size, list) and len(size) > 1]
    except ValueError:
        return point.shapes
    if len(sizes) < 2:
        return point.shapes
    inputs, weight = sizes[0], sizes[1]
    if len(weight) > 2:
        return "×".join(str(side) for side in weight)
    outputs_count, rest_count = divmod(math.prod(weight), inputs[-1])
    return f"{inputs[-1]}→{outputs_count}" if not rest_count else point.shapes
