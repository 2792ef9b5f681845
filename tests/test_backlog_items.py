"""The items of a backlog: what is kept of a run, by which id and status, and what people may say against it."""

import dataclasses
import json
import math
from pathlib import Path
from typing import Any

import pytest

from perflib.errors import ParameterError
from perflib.governance.backlog.edits import Edit
from perflib.governance.backlog.items import make_items
from perflib.governance.backlog.recipes import Recipe, effort_days, rests_on, technique
from perflib.governance.backlog.risk import guessed_risk, measured_risk
from perflib.governance.ledger import Ledger
from perflib.results import Candidate, FindingOutcome, Interval, SliceResult
from perflib.results.governance import BacklogItem, Range
from tests.ledgers import make_ledger
from tests.price_books import arm_cost, certain, finops, price_book
from tests.synthetic_records import comparison, gate, metric, scenario, validation

PADDING = ({"runtime": {"batching": "sorted"}},)


@pytest.fixture(name="ledger")
def _ledger(tmp_path: Path) -> Ledger:
    """The made-up run, its untried finding written as recipes are written."""
    one = make_ledger(tmp_path / "run")
    return with_untried(one, recipe=PADDING)


def with_untried(ledger: Ledger, *more: FindingOutcome, **change: Any) -> Ledger:
    """Return a ledger whose untried finding is another, and further outcomes."""
    tried, untried = ledger.outcomes[:2]
    changed = dataclasses.replace(untried, finding=dataclasses.replace(untried.finding, **change))
    return dataclasses.replace(ledger, outcomes=(tried, changed, *more))


def items(ledger: Ledger, edits: dict[str, Edit] | None = None) -> dict[str, BacklogItem]:
    """Return the items by id, at round prices."""
    return {one.id: one for one in make_items(ledger, finops(), price_book(), edits or {})}


def judged(ledger: Ledger, name: str, **change: Any) -> Ledger:
    """Return a ledger in which one candidate is another."""
    found = tuple(dataclasses.replace(one, **change) if one.name == name else one for one in ledger.candidates)
    return dataclasses.replace(ledger, candidates=found)


# --- what is an item ----------------------------------------------------------------------------------------------


def test_every_candidate_and_every_untried_finding_is_an_item(ledger: Ledger) -> None:
    """What did not work stays; what was tried is no hypothesis any more."""
    found = items(ledger)

    assert list(found) == ["HYP-padding", "OPT-bf16", "OPT-int8", "OPT-vocabulary"]
    assert [one.kind for one in found.values()] == ["hypothesis", "candidate", "candidate", "candidate"]
    assert found["OPT-vocabulary"].reasons == ("Texts with negation lose 4.0 pp.",)


def test_status_and_eligibility_follow_from_the_verdict(ledger: Ledger) -> None:
    """Only what may be offered is validated, and what is refused is no candidate for a rank."""
    failed = Candidate("broken", "failed", ("it was not built",), None, None, None, None)
    shown = dataclasses.replace(ledger.candidate("int8"), name="shown", is_finalist=False)
    found = items(dataclasses.replace(ledger, candidates=(*ledger.candidates, failed, shown)))

    assert {name: (one.status, one.is_eligible) for name, one in found.items()} == {
        "OPT-int8": ("validated", True),
        "OPT-shown": ("proposed", False),
        "OPT-bf16": ("proposed", False),
        "OPT-vocabulary": ("rejected", False),
        "OPT-broken": ("rejected", False),
        "HYP-padding": ("proposed", True),
    }


def test_what_a_person_has_promoted_is_accepted(ledger: Ledger) -> None:
    """A promotion is a decision, and the backlog says so."""
    assert items(dataclasses.replace(ledger, promoted=("int8",)))["OPT-int8"].status == "accepted"


def test_numbers_are_those_of_the_records(ledger: Ledger) -> None:
    """Both scenarios, size, accuracy, flips, build and prediction."""
    found = items(ledger)["OPT-int8"]

    assert found.throughput_ratio == Interval(2.0, 1.9, 2.1, 0.9)
    assert found.latency_ratio == Interval(3.0, 2.8, 3.2, 0.9)
    assert found.size_ratio == 0.25
    assert found.accuracy_change_ratio == Interval(-0.0057, -0.0136, None, 0.95)
    assert found.negative_flip_ratio == 9 / 872
    assert (found.build_sec, found.realisable, found.verdict, found.accuracy_verdict) == (
        12.0,
        "yes",
        "approved",
        "PASS",
    )
    assert found.hypothesis == "Fewer bytes are moved; predicted 2.00×."
    assert (found.title, found.technique) == ("int8: quantisation", "quantisation")


def test_peak_memory_is_found_by_its_name(ledger: Ledger) -> None:
    """Another metric of the comparison is no memory."""
    measured = comparison(metrics=(metric("load time"), metric("peak memory", ratio=Interval(0.8, 0.7, 0.9, 0.9))))
    found = items(dataclasses.replace(ledger, comparisons={"int8": measured}))["OPT-int8"]

    assert found.memory_ratio == Interval(0.8, 0.7, 0.9, 0.9)
    assert items(ledger)["OPT-int8"].memory_ratio is None


def test_every_pointer_leads_to_a_value(ledger: Ledger) -> None:
    """Into the run's own records, but for the two that are written beside the backlog."""
    for one in items(ledger).values():
        assert one.evidence
        for pointer in one.evidence:
            if pointer.path in ("records/prices-run.json", "records/finops-run.json"):
                continue
            value = json.loads((ledger.folder / pointer.path).read_text(encoding="utf-8"))
            for part in pointer.pointer.removeprefix("/").split("/"):
                value = value[int(part)] if isinstance(value, list) else value[part]


def test_the_pointer_into_the_costs_is_that_of_the_own_arm(ledger: Ledger) -> None:
    """The baseline is the first arm, so the second is int8's."""
    found = [str(one) for one in items(ledger)["OPT-int8"].evidence]

    assert "records/finops-run.json#/arms/1" in found
    assert "records/validation-int8.json#/negative_flip_count" in found
    assert "records/comparison-int8.json#/scenarios/1/speedup_ratio" in found
    assert "records/findings-baseline.json#/findings/1" in [str(one) for one in items(ledger)["HYP-padding"].evidence]


# --- hypotheses ---------------------------------------------------------------------------------------------------


def test_half_of_a_prediction_is_the_middle_of_what_is_expected(ledger: Ledger) -> None:
    """On the scale of factors, from no gain to all of it, and only in the finding's scenario."""
    found = items(ledger)["HYP-padding"]

    assert found.throughput_ratio == Interval(math.sqrt(1.5), 1.0, 1.5, 0.8)
    assert found.latency_ratio is None
    assert (found.verdict, found.accuracy_verdict, found.realisable) == (None, None, None)
    assert (found.title, found.technique) == ("try sorted", "serving")


def test_findings_of_one_recipe_in_two_scenarios_are_one_item(ledger: Ledger) -> None:
    """Each scenario has its own expectation, and each finding its pointer."""
    other = dataclasses.replace(ledger.outcomes[1].finding, scenario="single", predicted_speedup_ratio=1.21)
    found = items(with_untried(ledger, FindingOutcome(other, None, "not tried"), recipe=PADDING))

    assert [one for one in found if one.startswith("HYP")] == ["HYP-padding"]
    one = found["HYP-padding"]
    assert one.latency_ratio is not None
    assert one.throughput_ratio is not None
    assert one.latency_ratio.estimate == pytest.approx(1.1)
    assert one.throughput_ratio.high == 1.5
    assert sum("findings" in pointer.path for pointer in one.evidence) == 2


def test_ids_do_not_depend_on_the_order_of_findings(ledger: Ledger) -> None:
    """Two recipes of one rule are told apart by what they are, also when one of them was tried."""
    first = ledger.outcomes[1]
    finding = dataclasses.replace(first.finding, experiment="", recipe=({"runtime": {"batch": 128}},))
    second = FindingOutcome(finding, None, "not tried")
    forward = items(dataclasses.replace(ledger, outcomes=(first, second)))
    backward = items(dataclasses.replace(ledger, outcomes=(second, first)))
    names = {one for one in forward if one.startswith("HYP")}
    tried = FindingOutcome(first.finding, Interval(1.2, 1.1, 1.3, 0.9), "undecided")
    later = items(dataclasses.replace(ledger, outcomes=(tried, second)))

    assert len(names) == 2
    assert names == {one for one in backward if one.startswith("HYP")}
    assert {one for one in later if one.startswith("HYP")} < names
    assert {forward[name].title for name in names} == {"try sorted", "try runtime (batch 128)"}


def test_a_finding_whose_recipe_ran_under_another_name_was_tried(ledger: Ledger) -> None:
    """The same stages with the same options are the same experiment."""
    found = items(with_untried(ledger, recipe=({"quantize": {}},)))

    assert not [one for one in found if one.startswith("HYP")]


def test_a_finding_of_a_candidate_that_failed_is_no_hypothesis(ledger: Ledger) -> None:
    """Its item is the failed candidate."""
    found = items(with_untried(ledger, experiment="bf16", recipe=PADDING))

    assert not [one for one in found if one.startswith("HYP")]


def test_where_no_gain_is_predicted_nothing_is_to_be_done(ledger: Ledger) -> None:
    """It is listed and not ranked, and nothing is expected of it."""
    found = items(with_untried(ledger, recipe=PADDING, predicted_speedup_ratio=1.0))["HYP-padding"]

    assert not found.is_eligible
    assert found.throughput_ratio is None


# --- effort, dependencies, technique ------------------------------------------------------------------------------


def test_later_stages_cost_half() -> None:
    """The dearest in full whatever its place; an unknown stage takes the default."""
    book = price_book()

    assert effort_days([{"quantize": {}}], book) == certain(2.0)
    assert effort_days([{"runtime": {}}, {"quantize": {}}], book) == Range(2.25, 2.5, 3.5)
    assert effort_days([{"own:Stage": {}}], book) == certain(4.0)
    assert effort_days([], book) == certain(4.0)


def test_a_stage_that_the_book_does_not_know_is_a_mistake_of_the_book() -> None:
    """Without a default nobody can say how long it takes."""
    with pytest.raises(ParameterError, match="no effort for stage `prune` and no `default`"):
        effort_days([{"prune": {}}], price_book(effort_days={"quantize": certain(1.0)}))


def _stage(name: str) -> dict[str, Any]:
    return {name: {}}


def test_a_recipe_rests_on_the_longest_approved_beginning() -> None:
    """Its own recipe, another order and what is not approved are none."""
    quantize, engine, runtime = (_stage(stage) for stage in ("quantize", "engine", "runtime"))
    recipes: dict[str, Recipe] = {
        "one": (quantize,),
        "two": (quantize, engine),
        "long": (quantize, engine, runtime),
        "other": (engine, quantize),
        "same": (quantize,),
    }

    assert rests_on("long", recipes, ["one", "two", "other"]) == ("two",)
    assert rests_on("long", recipes, ["one", "same"]) == ("one", "same")
    assert rests_on("two", recipes, ["one"]) == ("one",)
    assert rests_on("two", recipes, []) == ()
    assert rests_on("one", recipes, ["same", "two"]) == ()
    assert rests_on("absent", recipes, ["one"]) == ()


def test_dependencies_of_recipes_and_of_people_stand_together(ledger: Ledger) -> None:
    """Each as the id of an item, once."""
    longer = dataclasses.replace(ledger.builds["bf16"], recipe=({"quantize": {}}, {"runtime": {}}))
    one = dataclasses.replace(ledger, builds={**ledger.builds, "bf16": longer})
    edit = Edit(depends_on=("OPT-int8", "HYP-padding"))

    assert items(one)["OPT-bf16"].dependencies == ("OPT-int8",)
    assert items(one, {"OPT-bf16": edit})["OPT-bf16"].dependencies == ("HYP-padding", "OPT-int8")
    assert technique(longer.recipe) == "quantisation, serving"


# --- risk ---------------------------------------------------------------------------------------------------------


def facts(**change: Any) -> Any:
    """Return a validation that raises no concern, but for what is changed."""
    calm = dataclasses.replace(validation("PASS"), accuracy_change_ratio=Interval(0.0, -0.005, None, 0.95))
    return dataclasses.replace(calm, **change)


def part(change_ratio: float) -> SliceResult:
    """Return a gated slice."""
    return SliceResult("length", "short", 400, 0.9, 0.87, 0.93, 0.9, change_ratio, -0.02, is_gated=True)


def test_without_a_concern_the_risk_is_low() -> None:
    """Borders included: half of the margin, and a slice that loses one point."""
    assert measured_risk(facts(slices=(part(-0.01),)), comparison())[0] == "low"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"profile": "retrained"}, "The model was trained again"),
        ({"slices": (part(-0.0101),)}, "Length = short changes by −1.01 pp"),
        ({"accuracy_change_ratio": Interval(0.0, -0.0051, None, 0.95)}, "The sure loss of accuracy uses 51 %"),
        ({"gates": (gate("PASS"), gate("INCONCLUSIVE", waiver="Ada"))}, "1 of 2 gates are inconclusive"),
    ],
)
def test_each_fact_alone_makes_it_medium(change: dict[str, Any], words: str) -> None:
    """And the sentence says which it is."""
    risk, sentence = measured_risk(facts(**change), comparison())

    assert risk == "medium"
    assert sentence.startswith(words)


def test_another_engine_is_a_concern() -> None:
    """What the candidate loads and the baseline does not."""
    one = comparison()
    other = dataclasses.replace(
        one, candidate_environment=dataclasses.replace(one.candidate_environment, versions={"ov": "1"})
    )

    assert measured_risk(facts(), other) == ("medium", "It runs on another engine (ov).")


def test_three_concerns_a_failing_gate_or_a_slower_scenario_are_high() -> None:
    """So is what nobody validated; a waived gate does not fail."""
    three = facts(profile="retrained", slices=(part(-0.02),), accuracy_change_ratio=Interval(0.0, -0.009, None, 0.95))
    many = facts(gates=tuple(gate("FAIL", id=f"A{place}") for place in range(5)))
    slower = comparison(scenario("single"), scenario("offline", "REGRESSION"))

    assert measured_risk(three, comparison())[0] == "high"
    assert measured_risk(many, None) == ("high", "5 of 5 gates fail (A0, A1, A2 and 2 more).")
    assert measured_risk(facts(), slower) == ("high", "It is slower in offline.")
    assert measured_risk(None, comparison()) == ("high", "Its answers were not validated.")
    assert measured_risk(facts(gates=(gate("FAIL", waiver="Ada"),)), comparison())[0] == "low"


def test_the_risk_of_a_hypothesis_follows_from_what_it_would_change() -> None:
    """Serving is harmless, training is not."""
    assert guessed_risk(["runtime", "engine"])[0] == "low"
    assert guessed_risk(["quantize", "runtime"])[0] == "medium"
    assert guessed_risk(["runtime", "distil"])[0] == "high"
    assert guessed_risk([])[0] == "medium"


# --- people -------------------------------------------------------------------------------------------------------


def test_what_people_write_stands_in_the_item(ledger: Ledger) -> None:
    """Status, owner, effort and words, of candidates and of hypotheses."""
    edit = Edit("accepted", "Ada Example", Range(1.0, 2.0, 9.0), "In March.")
    found = items(ledger, {"OPT-int8": edit, "HYP-padding": dataclasses.replace(edit, status="rejected")})

    for name, status in (("OPT-int8", "accepted"), ("HYP-padding", "rejected")):
        one = found[name]
        assert (one.status, one.owner, one.people_words) == (status, "Ada Example", "In March.")
        assert one.effort_days == Range(1.0, 2.0, 9.0)
    assert found["OPT-int8"].is_eligible
    assert not found["HYP-padding"].is_eligible


@pytest.mark.parametrize("status", ["rejected", "shipped", "rolled_back"])
def test_what_is_done_or_dropped_is_not_ranked(ledger: Ledger, status: Any) -> None:
    """There is nothing to do about it next."""
    assert not items(ledger, {"OPT-int8": Edit(status)})["OPT-int8"].is_eligible


@pytest.mark.parametrize("status", ["accepted", "shipped", "validated"])
def test_a_word_does_not_beat_a_gate(ledger: Ledger, status: Any) -> None:
    """The sentence names the gate and the two ways out."""
    with pytest.raises(
        ParameterError, match=rf"OPT-vocabulary is {status}, but its gates say A7-drop FAIL; write a waiver"
    ):
        items(ledger, {"OPT-vocabulary": Edit(status)})
    with pytest.raises(ParameterError, match="its gates say A2 INCONCLUSIVE"):
        items(ledger, {"OPT-bf16": Edit(status)})


def test_rolled_back_may_be_said_of_anything_that_was_built(ledger: Ledger) -> None:
    """That something was taken back claims nothing good."""
    assert items(ledger, {"OPT-vocabulary": Edit("rolled_back")})["OPT-vocabulary"].status == "rolled_back"


def test_a_waiver_for_every_failing_gate_lets_a_candidate_be_accepted(ledger: Ledger) -> None:
    """A waived gate counts as a warning, so the candidate is approved; one of two waived is not enough."""
    waived = gate("FAIL", id="A7-drop", waiver="Ada, until 2026-05-01")
    accepted = {"OPT-vocabulary": Edit("accepted")}

    def with_gates(*gates: Any) -> Ledger:
        asked = dataclasses.replace(validation(gates=gates, verdict="WARN"), name="vocabulary")
        return dataclasses.replace(ledger, validations={**ledger.validations, "vocabulary": asked})

    one = judged(with_gates(waived), "vocabulary", verdict="approved")
    assert items(one, accepted)["OPT-vocabulary"].status == "accepted"
    with pytest.raises(ParameterError, match=r"its gates say A1 FAIL; write a waiver"):
        items(with_gates(waived, gate("FAIL", id="A1")), accepted)


def test_who_was_no_finalist_is_not_accepted_but_validated(ledger: Ledger) -> None:
    """It was seen on the test split by chance, and the next run may name it."""
    one = judged(ledger, "int8", is_finalist=False)

    assert items(one, {"OPT-int8": Edit("validated")})["OPT-int8"].status == "validated"
    with pytest.raises(ParameterError, match="it was no finalist of its run; name it among `finalists`"):
        items(one, {"OPT-int8": Edit("accepted")})


def test_a_candidate_that_failed_is_not_accepted(ledger: Ledger) -> None:
    """Its reason is in the sentence."""
    one = judged(dataclasses.replace(ledger, validations={}), "int8", verdict="failed", reasons=("No compiler.",))
    with pytest.raises(ParameterError, match=r"OPT-int8 is accepted, but it is failed \(No compiler\.\); or change"):
        items(one, {"OPT-int8": Edit("accepted")})


def test_a_hypothesis_is_not_accepted(ledger: Ledger) -> None:
    """Nothing of it was measured."""
    with pytest.raises(ParameterError, match="HYP-padding is accepted, but nothing of it was measured"):
        items(ledger, {"HYP-padding": Edit("accepted")})


def test_what_the_costs_say_is_kept(ledger: Ledger) -> None:
    """Whether a saving is realisable; None where the arm has no costs."""
    no = finops(arm_cost("int8", realisable="no"))
    found = {one.id: one for one in make_items(ledger, no, price_book(), {})}

    assert found["OPT-int8"].realisable == "no"
    assert found["OPT-bf16"].realisable is None
