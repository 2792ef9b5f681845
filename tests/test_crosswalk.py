"""The crosswalk: every control has a row, every row points at what is there, and nothing is claimed beyond that."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest

from perflib.governance.controls import CONTROLS
from perflib.governance.crosswalk import map_controls
from perflib.governance.risks import assess_risks
from perflib.results.governance import Crosswalk
from tests.ledgers import make_ledger
from tests.synthetic_governance import backlog, finops, value_at
from tests.synthetic_records import full_validation

NIST = (
    *("MEASURE 1.3", "MEASURE 2.1", "MEASURE 2.3", "MEASURE 2.4", "MEASURE 2.5", "MEASURE 2.6", "MEASURE 2.7"),
    *("MEASURE 2.9", "MEASURE 2.11", "MEASURE 2.12", "MEASURE 2.13", "MEASURE 3.1"),
    *("MANAGE 1.1", "MANAGE 1.3", "MANAGE 1.4", "MANAGE 2.4", "MANAGE 4.1"),
)
WHOLE = (
    *("VERIFY.md", "run.json", "report.html", "params/guardrails.yaml", "attestations/provenance.json"),
    *("backlog/backlog.csv", "sbom/env.cdx.json", "records/risks-run.json", "records/carbon-run.json"),
    *("records/backlog-run.json", "candidates/int8/gate.json", "candidates/int8/MODEL_CARD.md"),
    *("candidates/int8/model.cdx.json", "records/rollout-int8.json", "records/rehearsal-int8.json"),
    *("records/validation-int8.json", "records/comparison-int8.json", "records/build-int8.json"),
)


def row(crosswalk: Crosswalk, control: str) -> Any:
    """Return the row of one control."""
    return next(one for one in crosswalk.rows if one.control == control)


def test_every_control_has_one_row() -> None:
    """All chosen subcategories, and all nine headings of the annex in their order."""
    rows = map_controls([]).rows

    assert tuple(one.control for one in rows if one.framework == "NIST AI RMF 1.0") == NIST
    assert [one.control for one in rows if one.framework == "EU AI Act Annex IV"] == [
        str(place) for place in range(1, 10)
    ]


def test_it_claims_no_conformity() -> None:
    """The disclaimer stands in the record, and the declaration of conformity is not applicable, with its reason."""
    found = map_controls(WHOLE)

    assert "Voluntary mapping, no claim of conformity" in found.disclaimer
    assert row(found, "8").status == "not applicable"
    assert "No conformity is declared" in row(found, "8").reason


def test_a_row_points_only_at_what_is_there() -> None:
    """In whichever pack: no pointer leads to a file that it does not hold."""
    for paths in (WHOLE, WHOLE[:9], ()):
        for one in map_controls(paths).rows:
            assert {pointer.path for pointer in one.pointers} <= set(paths)


def test_whatever_is_not_covered_has_a_reason() -> None:
    """Covered means: with pointers and without a reason; all else says why."""
    for paths in (WHOLE, WHOLE[:9], ()):
        for one in map_controls(paths).rows:
            assert (one.status == "covered") == (one.reason == "")
            assert one.status != "covered" or one.pointers


def test_a_whole_pack_covers_what_can_be_covered() -> None:
    """With every file there, only what no file can show stays partial."""
    found = {one.control for one in map_controls(WHOLE).rows if one.status == "covered"}

    assert found == {one.id for one in CONTROLS if not one.limit}
    assert "MEASURE 2.5" in found


def test_a_missing_file_makes_a_row_partial() -> None:
    """The reason names what is missing."""
    found = row(map_controls([one for one in WHOLE if "rollout" not in one]), "MANAGE 1.3")

    assert (found.status, found.reason) == ("partial", "Not in this pack: records/rollout-int8.json.")
    assert [pointer.path for pointer in found.pointers] == ["records/risks-run.json"]


def test_a_pack_without_claims_says_so() -> None:
    """A run in which nothing was approved has files, but nothing of a candidate to point at."""
    found = row(map_controls(WHOLE[:9]), "4")

    assert (found.status, "claims no candidate" in found.reason) == ("partial", True)


def test_every_claimed_candidate_is_pointed_at() -> None:
    """Two candidates, two pointers for each place of a candidate."""
    both = [*WHOLE, *(one.replace("int8", "bf16") for one in WHOLE if "int8" in one)]

    found = row(map_controls(both), "4").pointers
    assert [str(one) for one in found] == [
        "params/guardrails.yaml#",
        "records/validation-bf16.json#/gates",
        "records/validation-int8.json#/gates",
    ]


def test_pointers_into_our_records_resolve(tmp_path: Path) -> None:
    """What a crosswalk points at in records is a key that these records have."""
    made = make_ledger(tmp_path / "run")
    full_validation().write(made.folder / "records/validation-int8.json")
    backlog().write(made.folder / "records/backlog-run.json")
    assess_risks(made, backlog(), finops()).write(made.folder / "records/risks-run.json")
    there = [path.relative_to(made.folder).as_posix() for path in made.folder.rglob("*.json")]

    pointers = [one for found in map_controls([*there, "candidates/int8/gate.json"]).rows for one in found.pointers]
    ours = [one for one in pointers if one.path != "candidates/int8/gate.json"]

    assert len({str(one) for one in ours}) >= 12
    for one in ours:
        value_at(made.folder, one)


@pytest.mark.parametrize("kind", ["rollout", "rehearsal", "carbon"])
def test_keys_of_later_records_exist(kind: str) -> None:
    """Records that other parts write have the fields that are pointed at."""
    from perflib.results.governance import Carbon, Rehearsal, RolloutPlan

    record = {"rollout": RolloutPlan, "rehearsal": Rehearsal, "carbon": Carbon}[kind]
    fields = {one.name for one in dataclasses.fields(record)}
    named = {
        place.partition("#/")[2]
        for control in CONTROLS
        for place in control.places
        if place.startswith(f"records/{kind}-")
    }

    assert named
    assert named <= fields


def test_it_is_a_record(tmp_path: Path) -> None:
    """The crosswalk is written and read as strict JSON."""
    found = map_controls(WHOLE)
    path = found.write(tmp_path / "crosswalk.json")

    assert Crosswalk.read(path) == found
    assert json.loads(path.read_text())["schema"] == "perflib/crosswalk/1"
