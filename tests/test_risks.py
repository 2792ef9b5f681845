"""The risk register: every risk follows from a record, says where it stands, and is gone when the record is another."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path

import pytest

from perflib.governance.ledger import Ledger
from perflib.governance.risks import assess_risks
from perflib.results import Candidate, Validation
from perflib.results.governance import Backlog, Finops, Risk
from tests.ledgers import make_ledger
from tests.synthetic_governance import backlog, finops, value_at
from tests.synthetic_records import full_validation, gate, passing_gates


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    """Return a run in which int8 was asked everything."""
    made = make_ledger(tmp_path / "run")
    machine = {**made.summary.machine, "isa_flags": ["avx2", "fma", "avx512_vnni"], "is_virtual": False}
    summary = dataclasses.replace(made.summary, machine=machine)
    return answered(dataclasses.replace(made, summary=summary), full_validation())


def answered(ledger: Ledger, validation: Validation) -> Ledger:
    """Return the ledger with other answers of int8."""
    return dataclasses.replace(ledger, validations={**ledger.validations, "int8": validation})


def risks(ledger: Ledger, book: Backlog | None = None, costs: Finops | None = None) -> Mapping[str, Risk]:
    """Return the register by ids."""
    found = assess_risks(ledger, book or backlog(), costs or finops()).risks
    assert len({one.id for one in found}) == len(found)
    return {one.id: one for one in found}


def write_all(ledger: Ledger, book: Backlog, costs: Finops) -> None:
    """Write the records of a changed ledger to its folder, as a run would."""
    folder = ledger.folder / "records"
    ledger.summary.write(ledger.folder / "run.json")
    ledger.validations["int8"].write(folder / "validation-int8.json")
    ledger.comparisons["int8"].write(folder / "comparison-int8.json")
    book.write(folder / "backlog-run.json")
    costs.write(folder / "finops-run.json")
    if ledger.provenance:
        ledger.provenance.write(folder / "provenance-run.json")


def test_every_pointer_resolves(ledger: Ledger) -> None:
    """With every risk that we know of in the register, each names a value that is there."""
    assert ledger.provenance is not None
    waived = gate("FAIL", id="A9", waiver="Ada, until April")
    near = dataclasses.replace(ledger.validations["int8"].accuracy_change_ratio, low=-0.009)
    everything = dataclasses.replace(
        answered(
            ledger,
            full_validation(
                accuracy_change_ratio=near, absent_suites=("perturbation",), gates=(*passing_gates(), waived)
            ),
        ),
        provenance=dataclasses.replace(ledger.provenance, mark="canary slower by 9 %"),
        comparisons={
            **ledger.comparisons,
            "int8": dataclasses.replace(ledger.comparisons["int8"], marks=("no steady state",)),
        },
    )
    book, costs = backlog(), finops("no", is_example=True)
    write_all(everything, book, costs)

    found = risks(everything, book, costs)

    assert len(found) == 15
    assert all(one.evidence for one in found.values())
    for one in found.values():
        for pointer in one.evidence:
            value_at(everything.folder, pointer)
    assert value_at(everything.folder, found["R-open-guardrails"].evidence[0]) == "FAIL"
    assert value_at(everything.folder, found["R-savings"].evidence[0]) == "no"
    assert value_at(everything.folder, found["R-quarantined-machine"].evidence[0]) == "canary slower by 9 %"


def test_what_no_record_says_is_no_risk(ledger: Ledger) -> None:
    """Own prices, a real saving, a sound machine and an easy margin: these risks are not in the register."""
    easy = dataclasses.replace(ledger.validations["int8"].accuracy_change_ratio, low=-0.0049)
    found = risks(answered(ledger, full_validation(accuracy_change_ratio=easy, negative_flip_count=0)))

    assert {
        *("R-example-prices", "R-savings", "R-quarantined-machine", "R-disturbed", "R-open-guardrails"),
        *("R-accuracy-margin", "R-changed-answers", "R-not-probed"),
    }.isdisjoint(found)


@pytest.mark.parametrize(("low", "is_there"), [(-0.005, True), (-0.00499, False), (None, False)])
def test_the_margin_is_near_from_half_of_it_on(low: float | None, *, is_there: bool, ledger: Ledger) -> None:
    """The sure loss against the gate's limit of one point decides."""
    change = dataclasses.replace(ledger.validations["int8"].accuracy_change_ratio, low=low)

    assert ("R-accuracy-margin" in risks(answered(ledger, full_validation(accuracy_change_ratio=change)))) is is_there


def test_small_groups_are_named(ledger: Ledger) -> None:
    """A slice without a gate is one that nobody can judge; one that a search found is not among them."""
    found = risks(ledger)["R-small-groups"]

    assert found.cause == "Too few examples: question = yes (18)."
    assert found.candidates == ("int8",)


def test_instruction_sets_are_those_that_matter(ledger: Ledger) -> None:
    """What every processor has is no risk; a machine of such features only has none."""
    plain = dataclasses.replace(ledger, summary=dataclasses.replace(ledger.summary, machine={"isa_flags": ["avx2"]}))

    assert risks(ledger)["R-instruction-sets"].cause == "The times were taken on a processor with avx512_vnni."
    assert "R-instruction-sets" not in risks(plain)


def test_a_virtual_machine_is_likelier_to_differ(ledger: Ledger) -> None:
    """Neighbours that nobody sees make the one class of machines a worse witness."""
    virtual = dataclasses.replace(ledger, summary=dataclasses.replace(ledger.summary, machine={"is_virtual": True}))

    assert risks(ledger)["R-one-machine"].likelihood == "possible"
    assert risks(virtual)["R-one-machine"].likelihood == "likely"


def test_packages_without_a_lock_are_a_larger_risk(ledger: Ledger) -> None:
    """The versions are named; with a lock it is possible, without one likely."""
    assert "torch 2.13.0" in risks(ledger)["R-packages"].cause
    assert risks(ledger)["R-packages"].likelihood == "possible"
    assert risks(dataclasses.replace(ledger, lock=None))["R-packages"].likelihood == "likely"


@pytest.mark.parametrize(("realisable", "likelihood"), [("no", "likely"), ("partly", "possible"), ("yes", None)])
def test_a_saving_on_paper_is_a_risk(realisable: str, likelihood: str | None, ledger: Ledger) -> None:
    """The record of the costs says whether capacity can be given back."""
    found = risks(ledger, costs=finops(realisable)).get("R-savings")

    assert (found.likelihood if found else None) == likelihood


def test_the_owner_is_whom_the_backlog_names(ledger: Ledger) -> None:
    """Nobody is made responsible whom no person has named."""
    assert {one.owner for one in risks(ledger).values()} == {"unassigned"}
    assert risks(ledger, backlog(owner="Ada"))["R-packages"].owner == "Ada"
    assert "Ada" in risks(ledger, backlog(owner="Ada"))["R-single-reviewer"].cause


def test_only_what_may_be_shipped_is_at_risk(ledger: Ledger) -> None:
    """Without an approved candidate, what is left is about our own statements."""
    refused = tuple(dataclasses.replace(one, verdict="quarantined") for one in ledger.candidates)
    none_left = dataclasses.replace(ledger, candidates=refused)
    assert isinstance(none_left.candidates[0], Candidate)

    assert set(risks(none_left, costs=finops("no", is_example=True))) == {"R-example-prices"}
