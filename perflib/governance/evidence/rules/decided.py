"""I4: whatever was accepted or shipped passed its gates or has a waiver, was decided, and has a way back."""

from collections.abc import Iterator
from typing import Any

from perflib.errors import DataError
from perflib.governance.evidence import strict
from perflib.governance.evidence.pack import Pack
from perflib.governance.evidence.rules.base import Look, Setting, broken, held
from perflib.governance.evidence.rules.waivers import open_gates, waivers
from perflib.results import Validation
from perflib.results.governance import Backlog, BacklogItem, Pointer, RolloutPlan

BACKLOG = "records/backlog-run.json"


def items(pack: Pack, _: Setting) -> Iterator[Look]:
    """Ask gates, decision and rollout plan of every accepted or shipped item, and the citations of every decision."""
    decided = {path: front_matter(pack, path) for path in pack.paths("decisions/", ".md")}
    for item in pack.record(Backlog, BACKLOG).items:
        if item.status in ("accepted", "shipped"):
            yield from _accepted(pack, item, decided)
    for path, front in decided.items():
        yield from _citations(pack, path, front)


def front_matter(pack: Pack, path: str) -> dict[str, Any]:
    """Return what stands between the first two lines of dashes; `DataError` if it is not plain YAML."""
    lines = pack.text(path).splitlines()
    if not lines or lines[0] != "---" or "---" not in lines[1:]:
        raise DataError(f"{strict.shown(path)} has no front matter between two lines `---`; build the pack again.")
    block = "\n".join(lines[1 : 1 + lines[1:].index("---")])
    return strict.load_yaml(block.encode(), source=path)


def _accepted(pack: Pack, item: BacklogItem, decided: dict[str, dict[str, Any]]) -> Iterator[Look]:
    name = item.id.removeprefix("OPT-")
    said = f"{item.id} is {item.status}"
    mine = [one for one in decided.values() if (one.get("backlog_id"), one.get("candidate")) == (item.id, name)]
    is_decided = any(one.get("status") == "accepted" for one in mine)
    yield held(is_decided, "I4", BACKLOG, f"{said} and no accepted decision says so.")
    plan, validation = f"records/rollout-{name}.json", f"records/validation-{name}.json"
    has_plan = plan in pack and pack.record(RolloutPlan, plan).candidate == name
    yield held(has_plan, "I4", BACKLOG, f"{said} and has no rollout plan.")
    if validation not in pack:
        yield broken("I4", BACKLOG, f"{said} and was never validated.")
        return
    unwaived = [one for one, waiver in open_gates(pack.record(Validation, validation), waivers(pack)) if waiver is None]
    yield held(not unwaived, "I4", BACKLOG, f"{said}, and gates of it neither pass nor are waived.")


def _citations(pack: Pack, path: str, front: dict[str, Any]) -> Iterator[Look]:
    name = front.get("candidate")
    validation = f"records/validation-{name}.json"
    if validation in pack:
        found = pack.record(Validation, validation)
        is_same = (found.identity.candidate_sha256, found.verdict) == (
            front["candidate_sha256"],
            front["accuracy_verdict"],
        )
        yield held(is_same, "I4", path, f"It speaks of another model or verdict than the answers of {name}.")
    cited = front.get("evidence")
    if not isinstance(cited, list) or not cited:
        yield broken("I4", path, "The decision cites nothing.")
        return
    for one in cited:
        place, sha256 = str(one["path"]), one["sha256"]
        is_listed = pack.digests.get(place) == sha256
        yield held(is_listed, "I4", path, f"It cites {place} with a digest that the manifest does not have.")
        if is_listed:
            try:
                pack.value(Pointer(place, str(one.get("pointer") or "")))
                yield None
            except DataError as error:
                yield broken("I4", path, str(error))
