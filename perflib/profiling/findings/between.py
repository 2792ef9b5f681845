"""
What lies between the products: Python, dispatch, elementwise operators, copies, rescaling.

A compiled engine joins it to the products, or leaves it out; so most of these findings are tried by changing engine.
"""

from perflib import units
from perflib.profiling.findings.amdahl import combined_speedup
from perflib.profiling.findings.case import BETWEEN, DISPATCH, Case, busy_sec, calls_count, priced, share_ratio
from perflib.results import Finding, Profile

# A tenth of a call between operators is usual for eager PyTorch; from half on, the work is not what a call waits for.
USUAL_DISPATCH_RATIO, LAUNCH_BOUND_RATIO = 0.10, 0.50
_NAMED_COUNT = 4


def dispatch(case: Case, profile: Profile) -> Finding | None:
    """A single call of which much is spent on finding out what to call next."""
    touched_ratio = share_ratio(profile, *DISPATCH)
    if profile.scenario != "single" or touched_ratio < USUAL_DISPATCH_RATIO:
        return None
    call_count = sum(row.call_count for row in profile.operators) / calls_count(profile)
    if case.is_eager:
        engine = "torch-compile" if case.is_cuda else "openvino"
        experiment, recipe = ("" if case.is_cuda else "openvino"), ({"engine": {"name": engine}},)
        how = "records the whole call as one graph of kernels" if case.is_cuda else "dispatches the whole graph at once"
    elif case.spec.engine == "openvino" and case.spec.options.get("shapes", "dynamic") == "dynamic":
        experiment = "int8-bucketed" if case.spec.precision == "int8" else ""
        recipe, how = ({"engine": {"name": "openvino", "shapes": "bucketed"}},), "plans a few lengths beforehand"
    else:
        return None
    return priced(
        "dispatch",
        profile,
        claim=f"{units.percent(touched_ratio, 0)} of a single call is Python and dispatch around operators, in which "
        f"nothing is computed{', so it is launch-bound' if touched_ratio >= LAUNCH_BOUND_RATIO else ''}.",
        evidence=f"{call_count:,.0f} operators a call; framework, gaps and unattributed time are "
        f"{units.percent(profile.share_ratio(*DISPATCH))} of the watched time, "
        f"{units.percent(touched_ratio)} without the profiler's own",
        share_ratio=touched_ratio,
        part_speedup_ratio=None,
        assumption=f"an engine that {how} needs no time between operators; what else it gains comes on top",
        experiment=experiment,
        recipe=recipe,
    )


def unfused(case: Case, profile: Profile) -> Finding | None:
    """Elementwise operators, normalisations and copies that each read and write everything once more."""
    if not case.is_eager:
        return None
    rows = [row for row in profile.operators if row.kind in BETWEEN][:_NAMED_COUNT]
    touched_ratio = share_ratio(profile, *BETWEEN)
    named = ", ".join(
        f"{row.operator.removeprefix('aten::')} {units.percent(row.self_sec / busy_sec(profile), 0)}" for row in rows
    )
    call_count = sum(row.call_count for row in profile.operators if row.kind in BETWEEN) / calls_count(profile)
    engine = "torch-compile" if case.is_cuda else "aotinductor"
    return priced(
        "unfused",
        profile,
        claim=f"{units.percent(touched_ratio, 0)} of the time goes to what lies between the products, one pass over "
        "memory for each small operator; a compiler makes few loops of it.",
        evidence=f"{named} of the time, in {call_count:,.0f} operators a {_call_word(profile)}"
        + (_bias_copies(profile)),
        share_ratio=touched_ratio,
        part_speedup_ratio=None,
        assumption="joined to the products it costs nothing, because its numbers are in registers or caches already",
        experiment="" if case.is_cuda else engine,
        recipe=({"engine": {"name": engine}},),
    )


def separate_attention(case: Case, profile: Profile) -> Finding | None:
    """Softmax between two batched products, whose scores are written and read again."""
    rows = {
        name: [row for row in profile.operators if row.operator in operators]
        for name, operators in (
            ("softmax", ("aten::_softmax", "aten::softmax")),
            ("bmm", ("aten::bmm", "aten::baddbmm")),
            ("linear", ("aten::addmm", "aten::mm")),
        )
    }
    softmax_sec, bmm_sec, linear_sec = (sum(row.self_sec for row in rows[name]) for name in rows)
    if not softmax_sec or not bmm_sec or any(row.kind == "attention" for row in profile.operators):
        return None
    bmm_count, linear_count = (sum(row.flop_count for row in rows[name]) for name in ("bmm", "linear"))
    at_best_sec = bmm_count * linear_sec / linear_count if linear_count else bmm_sec
    touched_ratio, part_ratio = combined_speedup(
        [
            (softmax_sec / busy_sec(profile), None),
            (bmm_sec / busy_sec(profile), max(bmm_sec / at_best_sec, 1.0) if at_best_sec else None),
        ]
    )
    return priced(
        "separate-attention",
        profile,
        claim="Attention is not fused: softmax stands between two products, and every score is written and read again.",
        evidence=f"softmax {units.percent(softmax_sec / busy_sec(profile))} and bmm "
        f"{units.percent(bmm_sec / busy_sec(profile))} of the time, no scaled_dot_product_attention",
        share_ratio=touched_ratio,
        part_speedup_ratio=part_ratio,
        assumption="in one kernel softmax is free and the products are as quick for each operation as the linear "
        "layers; load the model with attention of kind sdpa, or let an engine fuse it",
        recipe=({"engine": {"name": "openvino"}},) if case.is_eager and not case.is_cuda else (),
    )


def rescaling(case: Case, profile: Profile) -> Finding | None:
    """Numbers that go to int8 and back around every product."""
    touched_ratio = share_ratio(profile, "quantization")
    if touched_ratio <= 0:
        return None
    is_elsewhere = case.spec.engine != "openvino"
    return priced(
        "rescaling",
        profile,
        claim=f"{units.percent(touched_ratio, 0)} of the time is spent turning numbers into int8 and back.",
        evidence=f"quantize and dequantize take {units.percent(touched_ratio)}, products "
        f"{units.percent(share_ratio(profile, 'matrix'))}",
        share_ratio=touched_ratio,
        part_speedup_ratio=None,
        assumption="with ranges fixed beforehand and operators fused, rescaling happens where the products write",
        experiment="int8" if is_elsewhere else "",
        recipe=({"quantize": {"scheme": "int8-static"}},) if is_elsewhere else (),
    )


def _call_word(profile: Profile) -> str:
    return "call" if profile.scenario == "single" else "batch"


def _bias_copies(profile: Profile) -> str:
    """Say where copies come from if it is linear algebra: `addmm` first copies the bias into its output."""
    names = {row.operator for row in profile.operators}
    if not {"aten::copy_", "aten::addmm"} <= names:
        return ""
    return "; copy_ is memory traffic, much of it the bias that addmm puts into its output before it multiplies"
