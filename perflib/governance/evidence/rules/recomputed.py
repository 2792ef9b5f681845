"""I2 and I12: what can be computed again from the kept answers and lives is, and must come out the same."""

from collections.abc import Iterator, Sequence

from perflib.errors import DataError
from perflib.governance.evidence.pack import Pack
from perflib.governance.evidence.rules.base import Look, Setting, broken, claimed_names, held, summary
from perflib.governance.evidence.strict import path_problem, shown
from perflib.governance.recompute import (
    recompute_comparison,
    recompute_gates,
    recompute_validation,
    recompute_verdicts,
)
from perflib.results import Comparison, Validation

GUARDRAILS = "params/guardrails.yaml"


def answers(pack: Pack, _: Setting) -> Iterator[Look]:
    """Recompute accuracy, flips, calibration, slices, probes and gates of the claimed candidates (I2)."""
    for name in claimed_names(pack):
        path = f"records/validation-{name}.json"
        pack.record(Validation, path)
        # Their size is known before they are unpacked.
        pack.table(f"records/predictions-{name}.parquet")
        if f"records/probes-{name}.parquet" in pack:
            pack.table(f"records/probes-{name}.parquet")
        found = recompute_validation(pack.folder / "records", name)
        if not found.compared_count:
            raise DataError(f"nothing of {path} could be recomputed; build the pack again.")
        yield from [None] * (found.compared_count - len(found.differing))
        for value in found.differing:
            yield broken("I2", path, f"`{value}` is not what follows from the kept answers.")
        # By other limits than the registered ones nothing follows; the policy says that they are others.
        if pack.record(Validation, path).guardrails_sha256 == pack.digests.get(GUARDRAILS):
            yield from _said(recompute_gates(pack.json(path), pack.yaml(GUARDRAILS)), "I2", path)


def lives(pack: Pack, _: Setting) -> Iterator[Look]:
    """Recompute the verdicts of every comparison from its lives, and look at the order of percentiles (I12)."""
    for path in pack.paths("records/comparison-", ".json"):
        found = pack.record(Comparison, path)
        for one in found.scenarios:
            for arm in (one.baseline, one.candidate):
                ordered = sorted(arm.percentiles, key=lambda percentile: percentile.share_ratio)
                values = [percentile.estimate_sec for percentile in ordered]
                yield held(values == sorted(values), "I12", path, f"Percentiles of {one.scenario} are not in order.")
                for percentile in ordered:
                    is_inside = percentile.low_sec <= percentile.estimate_sec <= percentile.high_sec
                    yield held(is_inside, "I12", path, f"A percentile of {one.scenario} lies outside its own bounds.")
        yield from _said(recompute_comparison(pack.json(path)), "I12", path)


def verdicts(pack: Pack, _: Setting) -> Iterator[Look]:
    """Give every candidate its verdict again, from its own records."""
    for one in summary(pack).candidates:
        if "/" in one.name or path_problem(one.name):
            raise DataError(f"{shown(one.name)} is no name of a candidate; build the pack again.")
    yield from _said(recompute_verdicts(pack.folder), "I12", "run.json")


def _said(sentences: Sequence[str], rule: str, path: str) -> Iterator[Look]:
    yield None
    for sentence in sentences:
        yield broken(rule, path, sentence)
