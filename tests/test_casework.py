"""A case as a reviewer reads it: every planted mistake is named, and an honest case passes."""

import dataclasses
from pathlib import Path

import pytest

from perflib.casework import Case, Claim, Remark, case_table, draft_case, grade_sentence, honest_case, remarks
from perflib.errors import ParameterError
from perflib.results import Interval
from perflib.results.governance import ArmCost, Finops
from perflib.runs import Run
from tests.ledgers import make_ledger

LOW = "records/comparison-int8.json#/scenarios/1/speedup_ratio/low"
HIGH = "records/comparison-int8.json#/scenarios/1/speedup_ratio/high"
FLIPS = "records/validation-int8.json#/negative_flip_count"


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Return a made-up run with one approved and one refused candidate, and with costs of example prices."""
    made = Run(make_ledger(tmp_path / "run").folder)
    arm = ArmCost(
        name="int8",
        examples_per_sec=Interval(124.0, 118.0, 130.0, 0.9),
        unit_costs=(),
        instance_count=2,
        month_amount=100.0,
        saving_month_amount=0.0,
        elastic_saving_month_amount=40.0,
        realisable="no",
        realisable_sentence="Two instances run whatever the model takes.",
    )
    costs = Finops(
        run_id=made.run_id,
        currency="EUR",
        is_example=True,
        prices_sha256="0" * 64,
        machine="fake",
        scenario="offline",
        arms=(arm,),
        notes=(),
    )
    made.write(costs, "run")
    return made


def mistakes(found: tuple[Remark, ...]) -> list[str]:
    """Return the names of the mistakes."""
    return [one.mistake for one in found]


def with_losses(*claims: Claim) -> Case:
    """Return a case that leaves nothing out."""
    loss, back = Claim("wrong now", 5, FLIPS, "loss"), Claim("asked", 872, FLIPS, "way back")
    return Case("int8", (*claims, loss, dataclasses.replace(back, value=5)))


def test_the_draft_makes_every_mistake_of_a_hurried_writer(run: Run) -> None:
    """A bright end, no source, example money that nobody saves, no losses and no way back."""
    found = remarks(run, draft_case(run, "int8"))

    assert mistakes(found) == [
        "the bright end",
        "no pointer",
        "example money",
        "money that is not saved",
        "silent about losses",
        "no way back",
    ]
    assert "1.90" in found[0].sentence


def test_an_honest_case_has_no_remark(run: Run) -> None:
    """Made of the records alone."""
    assert remarks(run, honest_case(run, "int8")) == ()


def test_a_refused_candidate_has_no_case(run: Run) -> None:
    """However honest its numbers are."""
    found = remarks(run, honest_case(run, "vocabulary"))

    assert mistakes(found) == ["not to be shipped"]
    assert "quarantined" in found[0].sentence


@pytest.mark.parametrize(
    ("claim", "mistake"),
    [
        (Claim("faster", 1.9, LOW, "gain"), []),
        (Claim("faster", 1.92, LOW, "gain"), ["another number"]),
        (Claim("faster", 2.1, HIGH, "gain"), ["the bright end"]),
        (Claim("faster", 2.1, HIGH, "fact"), []),
        (Claim("faster", 1.9, "records/nothing.json#/a", "gain"), ["no pointer"]),
        (Claim("faster", 1.9, "../secrets.json#/a", "gain"), ["no pointer"]),
        (Claim("name", 1.9, "records/comparison-int8.json#/name", "fact"), ["no pointer"]),
    ],
)
def test_each_claim_is_held_against_its_record(run: Run, claim: Claim, mistake: list[str]) -> None:
    """A number is the record's to three digits, and a gain is its low end."""
    claims = with_losses(claim).claims
    held = [one for one in remarks(run, Case("int8", claims)) if one.words == claim.words]

    assert mistakes(tuple(held)) == mistake


def test_an_unknown_candidate_is_named_with_those_there_are(run: Run) -> None:
    """One sentence."""
    with pytest.raises(ParameterError, match="has no candidate `int4`; it has"):
        remarks(run, Case("int4", ()))


def test_a_grade_counts_what_was_seen_missed_and_imagined() -> None:
    """By the names of the mistakes."""
    found = (Remark("the bright end", "", ""), Remark("no pointer", "", ""))

    assert grade_sentence(["no pointer", "no way back"], found) == (
        "You have seen 1 of 2 mistakes. Missed: the bright end. Not there: no way back."
    )


def test_foreign_words_do_nothing_in_a_table() -> None:
    """A claim is somebody's text."""
    shown = case_table(Case("x", (Claim("<script>", 1.0, "<b>"),)))

    assert "<script>" not in shown
    assert "<b>" not in shown
