"""
The roofline: what each product of a profile could do at best on this machine, and how near it came.

A product with few operations a byte waits for memory, one with many for the processor (Williams, Waterman and
Patterson, 2009). Bytes are those that an operator has to move at least once: caches may hold some of them, so a point
can lie above the roof of memory, and then says so.

    roofline = make_roofline(profile, ceilings_for(known.ceilings, profile.thread_count))
    roofline.limit_ratio  # how many times as fast a step could be at the very most
"""

from perflib.errors import ParameterError
from perflib.profiling.ceilings import attainable_sec
from perflib.results import Ceilings, Profile, Roofline, RooflinePoint, ShapeTime


def make_roofline(profile: Profile, ceilings: Ceilings) -> Roofline:
    """
    Put every product of a profile under the roof.

    The precision of a product chooses its roof; one that has none here is put under fp32, and its point says fp32.
    What multiplies nothing has no point, and the floor asks no time for it.

    Args:
        profile: Of a processor, with shapes.
        ceilings: Of the same machine, for as many threads.

    Returns:
        Roofline: Points by falling time, over all active steps; ``floor_sec`` and ``step_sec`` are of one step.

    Raises:
        ParameterError: If the profile has no product whose work is known, or ran on another device.
    """
    if profile.device != "cpu":
        raise ParameterError(
            f"the profile `{profile.name}` ran on {profile.device} and the ceilings are of the processor; "
            "profile it on the processor."
        )
    products = [row for row in profile.shapes if row.flop_count > 0 and row.self_sec > 0]
    if not products:
        raise ParameterError(
            f"the profile `{profile.name}` ({profile.engine}, {profile.source}) holds no product whose shapes are "
            "known, so nothing can be put under the roof; profile the torch artifact that it was made from."
        )
    points = sorted((_point(row, ceilings) for row in products), key=lambda point: -point.self_sec)
    return Roofline(
        name=profile.name,
        scenario=profile.scenario,
        artifact_sha256=profile.artifact_sha256,
        thread_count=ceilings.thread_count,
        points=tuple(points),
        floor_sec=sum(point.attainable_sec for point in points) / profile.active_step_count,
        step_sec=profile.step_sec,
    )


def _point(row: ShapeTime, ceilings: Ceilings) -> RooflinePoint:
    precision = row.precision if row.precision in ceilings.product_op_per_sec else "fp32"
    return RooflinePoint(
        operator=row.operator,
        kind=row.kind,
        shapes=row.shapes,
        precision=precision,
        call_count=row.call_count,
        self_sec=row.self_sec,
        flop_count=row.flop_count,
        moved_bytes=row.moved_bytes,
        attainable_sec=attainable_sec(row.flop_count, row.moved_bytes, ceilings, precision),
    )
