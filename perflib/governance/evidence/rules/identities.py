"""I3: every file that speaks of a model speaks of the same one, by its digest."""

import re
from collections.abc import Iterator
from typing import Any

from perflib.governance.evidence.pack import Pack
from perflib.governance.evidence.rules.base import Look, Setting, claimed_names, held, summary
from perflib.results import Baseline, Build, Comparison, Validation
from perflib.results.governance import Rehearsal, RolloutPlan

_DIGEST = re.compile(r"\b[0-9a-f]{64}\b")


def models(pack: Pack, _: Setting) -> Iterator[Look]:
    """Hold the digests of run, build, answers, times, plan, card, bill of materials and statements together."""
    run = summary(pack)
    is_ours = (run.run_id, run.ulid) == (pack.manifest.run_id, pack.manifest.run_ulid)
    yield held(is_ours, "I3", "MANIFEST.json", "The manifest names another run than run.json.")
    known = {one.name for one in run.candidates}
    for name in claimed_names(pack):
        baseline = pack.record(Baseline, "records/baseline-baseline.json").artifact_sha256
        yield held(name in known, "I3", "MANIFEST.json", f"It claims {name}, which run.json does not know.")
        path = f"records/validation-{name}.json"
        validation = pack.record(Validation, path)
        ours = validation.identity.candidate_sha256
        for where, sha256 in _digests(pack, name):
            yield held(sha256 == ours, "I3", where, f"It speaks of another model than the answers of {name}.")
        for where, sha256 in _baselines(pack, name):
            yield held(sha256 == baseline, "I3", where, f"It holds {name} against another baseline.")
        card = f"candidates/{name}/MODEL_CARD.md"
        is_named = ours in _DIGEST.findall(pack.text(card))
        yield held(is_named, "I3", card, f"The card does not name the digest of {name}.")


def _digests(pack: Pack, name: str) -> Iterator[tuple[str, str]]:
    validation = pack.record(Validation, f"records/validation-{name}.json")
    for sha256 in (validation.identity.built_sha256, validation.identity.timed_candidate_sha256):
        if sha256 is not None:
            yield f"records/validation-{name}.json", sha256
    comparison = f"records/comparison-{name}.json"
    yield comparison, pack.record(Comparison, comparison).candidate_sha256
    build = f"records/build-{name}.json"
    if build in pack:
        yield build, pack.record(Build, build).artifact_sha256
    plan = f"records/rollout-{name}.json"
    yield plan, pack.record(RolloutPlan, plan).candidate_sha256
    rehearsal = f"records/rehearsal-{name}.json"
    if rehearsal in pack:
        yield rehearsal, pack.record(Rehearsal, rehearsal).candidate_sha256
    bill = f"candidates/{name}/model.cdx.json"
    yield bill, _bill_digest(pack.json(bill))
    for statement in ("accuracy", "performance", "gate"):
        path = f"candidates/{name}/{statement}.json"
        for subject in pack.json(path)["subject"]:
            yield path, subject["digest"]["sha256"]


def _baselines(pack: Pack, name: str) -> Iterator[tuple[str, str]]:
    validation = f"records/validation-{name}.json"
    yield validation, pack.record(Validation, validation).identity.baseline_sha256
    comparison = f"records/comparison-{name}.json"
    yield comparison, pack.record(Comparison, comparison).baseline_sha256
    plan = f"records/rollout-{name}.json"
    yield plan, pack.record(RolloutPlan, plan).baseline_sha256


def _bill_digest(document: Any) -> str:
    """Return the digest of the model that a CycloneDX bill is about."""
    hashes = document["metadata"]["component"]["hashes"]
    return next((str(one["content"]) for one in hashes if one["alg"] == "SHA-256"), "")
