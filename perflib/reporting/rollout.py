"""The steps of a rollout and the faults of its rehearsal, as tables."""

import html
from collections.abc import Sequence

from perflib import units
from perflib.results.governance import Rehearsal, RolloutPlan, StageGate
from perflib.sentences.rehearsal import metric_words
from perflib.tables import table

_OPS = {"<=": "at most ", ">=": "at least ", "abs<=": "within ±"}


def stages_table(plan: RolloutPlan) -> str:
    """Return every step: who is served by the candidate, for how long at least, and what must hold meanwhile."""
    rows = [
        (
            html.escape(one.name),
            units.percent(one.traffic_ratio, 0),
            units.percent(one.mirror_ratio, 0),
            f"{units.duration(one.least_sec)} and {one.least_request_count:,} requests",
            "as in the last row" if one.gates == plan.triggers else _gates(one.gates),
        )
        for one in plan.stages
    ]
    rows.append(("back at once", "0 %", units.UNKNOWN, units.UNKNOWN, f"unless {_gates(plan.triggers)}"))
    caption = (
        f"From the model of today to {plan.candidate}, and back: all traffic returns within "
        f"{units.duration(plan.rollback_sec)}. The plan holds until {plan.expires}."
    )
    return table(
        caption, ("step", "served by it", "answered beside", "at least for", "must hold"), rows, has_total=True
    )


def faults_table(rehearsal: Rehearsal) -> str:
    """Return every planted fault: when it was seen, when traffic was back, and what users got meanwhile."""
    rows = [
        (
            html.escape(one.fault),
            html.escape(one.stage),
            html.escape(metric_words(one.trigger) or units.UNKNOWN),
            units.duration(one.seen_sec),
            f"{units.duration(one.rolled_back_sec)} of {units.duration(one.limit_sec)}",
            f"{one.bad_answer_count:,} of {one.request_count:,}",
            "yes" if one.is_as_planned else "<strong>no</strong>",
        )
        for one in rehearsal.faults
    ]
    caption = (
        f"The way back, tried on this machine with live traffic; windows are {rehearsal.scale_ratio:.3g} times as long "
        "as planned."
    )
    head = ("planted", "in step", "seen by", "seen after", "back after", "bad answers", "as planned")
    return table(caption, head, rows)


def _gates(gates: Sequence[StageGate]) -> str:
    return "; ".join(_gate(one) for one in gates) or units.UNKNOWN


def _gate(gate: StageGate) -> str:
    than = f" of the {html.escape(gate.relative_to)}'s" if gate.relative_to else ""
    metric = html.escape(gate.metric.removesuffix("_sec").replace("_ratio", " share").replace("_", " "))
    limit = units.duration(gate.limit) if gate.metric.endswith("_sec") and not than else units.three_digits(gate.limit)
    return f"{metric} {_OPS[gate.op]}{limit}{than}"
