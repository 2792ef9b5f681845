"""What governance makes of a run that never was: a backlog of one item, costs of two arms, and a pointer followed."""

import dataclasses
import json
from pathlib import Path
from typing import Any

from perflib.results import Interval
from perflib.results.governance import ArmCost, Backlog, BacklogItem, Finops, Pointer, Range


def backlog(status: Any = "validated", **change: Any) -> Backlog:
    """Return a backlog of one item: int8."""
    item = BacklogItem(
        id="OPT-int8",
        kind="candidate",
        title="int8",
        technique="quantization",
        status=status,
        hypothesis="",
        verdict="approved",
        accuracy_verdict="PASS",
        reasons=(),
        latency_ratio=None,
        throughput_ratio=None,
        size_ratio=0.25,
        memory_ratio=None,
        accuracy_change_ratio=None,
        negative_flip_ratio=None,
        worst_slice="",
        effort_days=Range(1.0, 2.0, 3.0),
        risk="low",
        risk_sentence="All gates are kept.",
        dependencies=(),
        build_sec=None,
        returns=None,
        tornado=(),
        rice=None,
        realisable=None,
        is_eligible=True,
        rank=1,
        owner="",
        people_words="",
        evidence=(),
    )
    return Backlog(
        "run",
        "reviews-tiny",
        "EUR",
        is_example=True,
        prices_sha256="0" * 64,
        items=(dataclasses.replace(item, **change),),
    )


def finops(realisable: Any = "yes", *, is_example: bool = False) -> Finops:
    """Return the costs of the baseline and of int8."""
    arm = ArmCost("baseline", Interval(100.0, 98.0, 102.0, 0.9), (), 2, 300.0, None, None, None, "")
    cheaper = dataclasses.replace(
        arm, name="int8", saving_month_amount=150.0, realisable=realisable, realisable_sentence="One instance is left."
    )
    return Finops(
        "run",
        "EUR",
        is_example=is_example,
        prices_sha256="0" * 64,
        machine="m",
        scenario="offline",
        arms=(arm, cheaper),
        notes=(),
    )


def value_at(folder: Path, pointer: Pointer) -> Any:
    """Follow a pointer in a file, by its definition (RFC 6901)."""
    value = json.loads((folder / pointer.path).read_text())
    for word in pointer.pointer.split("/")[1:]:
        key = word.replace("~1", "/").replace("~0", "~")
        value = value[int(key)] if isinstance(value, list) else value[key]
    return value
