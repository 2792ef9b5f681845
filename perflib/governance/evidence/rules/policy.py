"""What is claimed was allowed: gates that pass or are waived, by limits that nobody moved, and nothing out of date."""

import datetime
from collections.abc import Iterator

from perflib.governance.evidence.pack import Pack
from perflib.governance.evidence.rules.base import POLICY, STALE, Look, Setting, claimed_names, held, summary
from perflib.governance.evidence.rules.decided import front_matter
from perflib.governance.evidence.rules.waivers import WAIVERS, open_gates, waivers
from perflib.records import sha256_bytes
from perflib.results import Validation
from perflib.results.governance import RolloutPlan

GUARDRAILS = "params/guardrails.yaml"


def gates(pack: Pack, _: Setting) -> Iterator[Look]:
    """Ask every claimed candidate: a finalist of the run, with every gate passed or waived; a warning passes."""
    finalists = {one.name for one in summary(pack).candidates if one.is_finalist}
    known = waivers(pack)
    for name in claimed_names(pack):
        path = f"records/validation-{name}.json"
        validation = pack.record(Validation, path)
        is_finalist = name in finalists
        yield held(is_finalist, "policy", "run.json", f"{name} is claimed and was no finalist.", code=POLICY)
        is_judged = bool(validation.gates)
        yield held(is_judged, "policy", path, f"{name} is claimed and no gate was asked.", code=POLICY)
        waived = dict.fromkeys((gate.id for gate in validation.gates), True)
        for gate, waiver in open_gates(validation, known):
            waived[gate.id] = waiver is not None
            sentence = f"{name} is claimed, {gate.id} says {gate.verdict}, and no waiver lets it pass."
            yield held(waiver is not None, "policy", path, sentence, code=POLICY)
        is_fit = validation.verdict in ("PASS", "WARN")
        # Where a gate says it already, the verdict need not be named again.
        if all(waived.values()):
            sentence = f"{name} is claimed and its validation says {validation.verdict}."
            yield held(is_fit, "policy", path, sentence, code=POLICY)


def limits(pack: Pack, _: Setting) -> Iterator[Look]:
    """Hold the limits in the pack against the digest that run and validations registered before any answer."""
    sha256 = sha256_bytes(pack.content(GUARDRAILS))
    sentence = (
        "It was judged by other limits than those in the pack: they were changed, or are not the registered ones."
    )
    yield held(summary(pack).guardrails_sha256 == sha256, "policy", "run.json", sentence, code=POLICY)
    for name in claimed_names(pack):
        path = f"records/validation-{name}.json"
        found = pack.record(Validation, path).guardrails_sha256
        yield held(found == sha256, "policy", path, sentence, code=POLICY)


def freshness(pack: Pack, setting: Setting) -> Iterator[Look]:
    """Look at the last day of waivers and plans of what is claimed, and of decisions that still hold."""
    known = waivers(pack)
    for name in claimed_names(pack):
        sha256 = pack.record(Validation, f"records/validation-{name}.json").identity.candidate_sha256
        for waiver in (one for one in known if one.is_for(sha256)):
            sentence = f"The waiver of {waiver.gate} for {name} expired on {waiver.expires}."
            yield held(waiver.expires >= setting.today, "stale", WAIVERS, sentence, code=STALE)
        path = f"records/rollout-{name}.json"
        last = datetime.date.fromisoformat(pack.record(RolloutPlan, path).expires[:10])
        sentence = f"The rollout plan of {name} expired on {last}; plan it anew."
        yield held(last >= setting.today, "stale", path, sentence, code=STALE)
    for path in pack.paths("decisions/", ".md"):
        front = front_matter(pack, path)
        if front.get("status") in ("proposed", "accepted"):
            last = datetime.date.fromisoformat(str(front["review_by"])[:10])
            sentence = f"The decision was to be reviewed by {last}; decide anew."
            yield held(last >= setting.today, "stale", path, sentence, code=STALE)


def warnings(pack: Pack) -> Iterator[str]:
    """Yield what passed and should be known: gates of claimed candidates that warn, or that a waiver lets pass."""
    known = waivers(pack)
    for name in claimed_names(pack):
        validation = pack.record(Validation, f"records/validation-{name}.json")
        for gate in validation.gates:
            if gate.verdict == "WARN":
                yield f"{name}: {gate.id} warns."
        for gate, waiver in open_gates(validation, known):
            if waiver is not None:
                yield f"{name}: {gate.id} says {gate.verdict} and is waived until {waiver.expires}."
