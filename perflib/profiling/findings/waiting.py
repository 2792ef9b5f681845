"""Time that a user waits and no benchmark of the model counts: encoding before a call, and the start of a process."""

from perflib import units
from perflib.profiling.findings.case import Case, priced
from perflib.results import Finding, Profile

# A process that answers fewer calls is a script, and its start is most of what its user waits for.
USUAL_CALL_COUNT = 1000


def encoding(case: Case, profile: Profile) -> Finding | None:
    """Encoding that could run beside the model: tokenising needs no weights."""
    share_ratio = case.facts.encode_share_ratio.get(profile.scenario)
    if share_ratio is None:
        return None
    return priced(
        "encoding",
        profile,
        claim=f"Encoding the inputs takes {units.percent(share_ratio, 0)} of what a user waits for, before the model "
        "sees anything.",
        evidence=f"encoding is {units.percent(share_ratio)} of the end-to-end time ({profile.scenario})",
        share_ratio=share_ratio,
        part_speedup_ratio=None,
        assumption="the next inputs are encoded beside the model, on a core that it does not need; the share grows as "
        "the model gets faster",
    )


def cold_start(case: Case, profile: Profile) -> Finding | None:
    """A start that takes as long as many calls; it is the process's, so it is said once, with single calls."""
    facts = case.facts
    if profile.scenario != "single" or facts.load_sec is None or facts.p50_sec is None:
        return None
    call_count = facts.calls_per_process or USUAL_CALL_COUNT
    worth_count = facts.load_sec / facts.p50_sec
    return priced(
        "cold-start",
        profile,
        claim=f"Starting a process takes as long as {worth_count:,.0f} calls, so keep it alive or start it early.",
        evidence=f"loading and the first call take {units.duration(facts.load_sec)}, a warm call "
        f"{units.duration(facts.p50_sec)}",
        share_ratio=facts.load_sec / (facts.load_sec + call_count * facts.p50_sec),
        part_speedup_ratio=None,
        assumption=f"a process answers {call_count:,} calls, and somebody waits for its start",
    )
