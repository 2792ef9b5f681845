"""I1, the other half: what a pack cannot do without is listed, so that nothing inconvenient was left out and signed."""

from collections.abc import Iterator

from perflib.governance.evidence.pack import Pack
from perflib.governance.evidence.rules.base import DIGEST, Look, Setting, claimed_names, held, summary

ALWAYS = (
    *("VERIFY.md", "run.json", "report.html", "crosswalk.json", "attestations/provenance.json"),
    *("params/guardrails.yaml", "params/prices.yaml", "sbom/env.cdx.json"),
    *("backlog/backlog.csv", "finops/focus.csv", "finops/SUMMARY.md"),
    *(f"records/{kind}-run.json" for kind in ("finops", "carbon", "backlog", "risks", "prices")),
)
# The kept answers too: without them nobody can count again.
CLAIMED = (
    *(f"records/{kind}-{{name}}.json" for kind in ("build", "comparison", "validation", "rollout")),
    "records/predictions-{name}.parquet",
    *(f"candidates/{{name}}/{file}.json" for file in ("accuracy", "performance", "gate", "model.cdx")),
    "candidates/{name}/MODEL_CARD.md",
)


def files(pack: Pack, _: Setting) -> Iterator[Look]:
    """Ask for every file that a pack, and each candidate that it claims, must have."""
    wanted = [*ALWAYS, *(path.format(name=name) for name in claimed_names(pack) for path in CLAIMED)]
    for path in wanted:
        yield held(path in pack.digests, "I1", path, "The pack needs this file, and it is not listed.", code=DIGEST)
    decided = {path.rpartition("/")[2] for path in pack.paths("decisions/", ".md")}
    count = len(summary(pack).candidates)
    sentence = f"{len(decided)} decisions are there for {count} candidates."
    yield held(len(decided) >= count, "I1", "decisions", sentence, code=DIGEST)
