"""Which item comes first, RICE beside it, and whether a stated backlog can be computed again."""

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from perflib.governance.backlog.make import make_backlog
from perflib.governance.backlog.rank import ranked, rice
from perflib.governance.backlog.recheck import check_returns
from perflib.governance.ledger import Ledger
from perflib.results import Candidate, Interval
from perflib.results.governance import Backlog, BacklogItem, Range
from tests.ledgers import make_ledger
from tests.price_books import arm_cost, certain, finops, price_book

BOOK = price_book(inferences_per_month=Range(2e8, 365e6, 9e8), effort_days={"default": Range(1.0, 2.0, 5.0)})


@pytest.fixture(name="ledger")
def _ledger(tmp_path: Path) -> Ledger:
    """The made-up run."""
    return make_ledger(tmp_path / "run")


@pytest.fixture(name="backlog")
def _backlog(ledger: Ledger) -> Backlog:
    """Its backlog, at uncertain volumes."""
    return make_backlog(ledger, finops(), BOOK, {})


def item(backlog: Backlog, name: str, **change: Any) -> BacklogItem:
    """Return one item, changed."""
    found = backlog.item(name)
    assert found is not None
    return dataclasses.replace(found, **change)


def with_p10(one: BacklogItem, p10: float, **change: Any) -> BacklogItem:
    """Return an item with another P10 of ROI."""
    assert one.returns is not None
    return dataclasses.replace(
        one, returns=dataclasses.replace(one.returns, roi_ratio=Range(p10, 90.0, 99.0)), **change
    )


# --- the order ----------------------------------------------------------------------------------------------------


def test_only_the_eligible_have_a_rank_and_the_rest_follows_by_id(backlog: Backlog) -> None:
    """The approved candidate, then the hypothesis; what was refused keeps its return and has no place."""
    assert [(one.id, one.rank) for one in backlog.items] == [
        ("OPT-int8", 1),
        ("HYP-padding", 2),
        ("OPT-bf16", None),
        ("OPT-vocabulary", None),
    ]
    assert item(backlog, "OPT-vocabulary").returns is not None
    assert item(backlog, "OPT-vocabulary").rice is None


def test_the_bad_case_decides_and_not_the_middle(backlog: Backlog) -> None:
    """Of two with the same middle the one with the higher P10 is first."""
    one = item(backlog, "OPT-int8")
    found = ranked([with_p10(one, 2.0, id="OPT-a"), with_p10(one, 5.0, id="OPT-b"), with_p10(one, -1.0, id="OPT-c")])

    assert [each.id for each in found] == ["OPT-b", "OPT-a", "OPT-c"]
    assert [each.rank for each in found] == [1, 2, 3]


def test_what_was_measured_stands_before_what_is_expected(backlog: Backlog) -> None:
    """However much is hoped for; and what has no return at all stands behind those that have one."""
    measured, hoped = with_p10(item(backlog, "OPT-int8"), -0.5), with_p10(item(backlog, "HYP-padding"), 50.0)
    bare = item(backlog, "OPT-int8", id="OPT-bare", returns=None)

    assert [one.id for one in ranked([hoped, bare, measured])] == ["OPT-int8", "OPT-bare", "HYP-padding"]


def test_equal_returns_are_ordered_by_rice_and_then_by_id(backlog: Backlog) -> None:
    """So the order never depends on the order of the input."""
    one = item(backlog, "OPT-int8")
    assert one.rice is not None
    better = dataclasses.replace(one, id="OPT-z", rice=dataclasses.replace(one.rice, score=1e9))
    twins = [dataclasses.replace(one, id=f"OPT-{letter}") for letter in "ba"]

    assert [each.id for each in ranked([*twins, better])] == ["OPT-z", "OPT-a", "OPT-b"]
    assert ranked([*twins, better]) == ranked([better, *reversed(twins)])


def test_a_saving_that_cannot_be_realised_loses_its_place(ledger: Ledger) -> None:
    """Costs that say no make the return a full loss, which another candidate beats."""
    other = dataclasses.replace(ledger.candidate("int8"), name="vocabulary")
    both = dataclasses.replace(
        ledger, candidates=(ledger.candidate("int8"), other), validations={"int8": ledger.validations["int8"]}
    )
    costs = finops(arm_cost("int8", realisable="no"), arm_cost("vocabulary"))
    found = make_backlog(both, costs, BOOK, {})

    assert [one.id for one in found.items if one.kind == "candidate"] == ["OPT-vocabulary", "OPT-int8"]
    assert item(found, "OPT-int8").returns is not None
    assert item(found, "OPT-int8").returns.roi_ratio == certain(-1.0)  # type: ignore[union-attr]


# --- returns of a run ---------------------------------------------------------------------------------------------


def test_the_record_says_whose_prices_it_used(ledger: Ledger, backlog: Backlog) -> None:
    """Run, workload, currency, digest, and whether they are examples."""
    example = make_backlog(ledger, finops(is_example=True), dataclasses.replace(BOOK, is_example=True), {})

    assert (backlog.run_id, backlog.workload, backlog.currency) == (ledger.summary.run_id, "reviews-tiny", "EUR")
    assert backlog.prices_sha256 == BOOK.file_sha256
    assert (backlog.is_example, example.is_example) == (False, True)


def test_without_bounds_or_costs_no_money_is_set_against_an_item(ledger: Ledger) -> None:
    """Too few lives, no timing and a run without costs all leave the return open."""
    one = ledger.comparisons["int8"]
    open_ends = tuple(dataclasses.replace(each, speedup_ratio=Interval(2.0, None, None, 0.9)) for each in one.scenarios)
    unsure = dataclasses.replace(
        ledger, comparisons={**ledger.comparisons, "int8": dataclasses.replace(one, scenarios=open_ends)}
    )
    failed = Candidate("broken", "failed", ("it was not built",), None, None, None, None)
    untimed = dataclasses.replace(ledger, candidates=(*ledger.candidates, failed))

    assert item(make_backlog(unsure, finops(), BOOK, {}), "OPT-int8").returns is None
    assert item(make_backlog(untimed, finops(), BOOK, {}), "OPT-broken").returns is None
    bare = make_backlog(ledger, dataclasses.replace(finops(), arms=()), BOOK, {})
    assert all(one.returns is None and not one.tornado for one in bare.items)


def test_a_backlog_survives_its_file(backlog: Backlog, tmp_path: Path) -> None:
    """Written and read, it is the same record and can still be computed again."""
    again = Backlog.read(backlog.write(tmp_path / "backlog.json"))

    assert again == backlog
    assert check_returns(again, BOOK, finops()) == []


# --- RICE ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("low_ratio", "impact"),
    [(4.0, 3.0), (3.999, 2.0), (2.0, 2.0), (1.999, 1.0), (1.5, 1.0), (1.499, 0.5), (1.1, 0.5), (1.099, 0.25)],
)
def test_impact_follows_from_the_lower_bound(backlog: Backlog, low_ratio: float, impact: float) -> None:
    """Borders belong to the larger impact."""
    one = item(backlog, "OPT-int8", throughput_ratio=Interval(9.0, low_ratio, 9.9, 0.9), latency_ratio=None)

    assert rice(one, BOOK).impact == impact


def test_rice_is_reach_times_impact_times_confidence_over_effort(backlog: Backlog) -> None:
    """365 million a month, two days of a month of twenty."""
    found = rice(item(backlog, "OPT-int8"), BOOK)

    assert (found.reach, found.impact, found.confidence, found.effort_months) == (365.0, 2.0, 1.0, 0.1)
    assert found.score == pytest.approx(7300.0)


def test_confidence_falls_with_a_warning_and_without_a_measurement(backlog: Backlog) -> None:
    """One, four fifths, a half."""
    one = item(backlog, "OPT-int8")

    assert rice(one, BOOK).confidence == 1.0
    assert rice(dataclasses.replace(one, accuracy_verdict="WARN"), BOOK).confidence == 0.8
    assert rice(item(backlog, "HYP-padding"), BOOK).confidence == 0.5


def test_the_larger_of_two_speedups_is_the_impact_and_unknown_is_the_least(backlog: Backlog) -> None:
    """A hypothesis has no sure gain, so its middle counts."""
    slow, fast, unsure = Interval(1.0, 0.9, 1.1, 0.9), Interval(5.0, 4.5, 5.5, 0.9), Interval(9.0, None, None, 0.9)
    one = item(backlog, "OPT-int8")

    assert rice(dataclasses.replace(one, throughput_ratio=slow, latency_ratio=fast), BOOK).impact == 3.0
    assert rice(dataclasses.replace(one, throughput_ratio=unsure, latency_ratio=None), BOOK).impact == 0.25
    assert rice(dataclasses.replace(one, throughput_ratio=None, latency_ratio=None), BOOK).impact == 0.25
    assert rice(item(backlog, "HYP-padding"), BOOK).impact == 0.5


# --- computed again -----------------------------------------------------------------------------------------------


def test_an_untouched_backlog_is_computed_again_without_a_word(backlog: Backlog) -> None:
    """With the same seed the draws are the same."""
    assert check_returns(backlog, BOOK, finops()) == []


def changed(backlog: Backlog, name: str, **change: Any) -> Backlog:
    """Return a backlog in which one item states something else."""
    found = tuple(dataclasses.replace(one, **change) if one.id == name else one for one in backlog.items)
    return dataclasses.replace(backlog, items=found)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("horizon_months", 24),
        ("seed", 1),
        ("draw_count", 9_999),
        ("one_off_amount", Range(1.0, 2.0, 3.0)),
        ("saving_month_amount", Range(1.0, 2.0, 3.0)),
        ("roi_ratio", Range(1.0, 2.0, 3.0)),
        ("npv_amount", Range(1.0, 2.0, 3.0)),
        ("payback_months_p50", 0.001),
        ("payback_months_p90", None),
        ("chance_of_loss_ratio", 0.5),
    ],
)
def test_every_stated_number_of_a_return_is_compared(backlog: Backlog, field: str, value: Any) -> None:
    """The sentence names the item and the number."""
    stated = item(backlog, "OPT-int8").returns
    assert stated is not None
    found = check_returns(
        changed(backlog, "OPT-int8", returns=dataclasses.replace(stated, **{field: value})), BOOK, finops()
    )

    assert found
    assert all(sentence.startswith("OPT-int8: returns.") for sentence in found)
    if field not in ("seed", "draw_count"):
        assert [sentence for sentence in found if field in sentence]


def test_a_difference_in_the_last_digits_is_none(backlog: Backlog) -> None:
    """One in a thousand million is the way a sum was ordered; one in ten million is a difference."""
    stated = item(backlog, "OPT-int8").returns
    assert stated is not None

    def shifted(factor: float) -> Backlog:
        npv = dataclasses.replace(stated.npv_amount, p50=stated.npv_amount.p50 * factor)
        return changed(backlog, "OPT-int8", returns=dataclasses.replace(stated, npv_amount=npv))

    assert check_returns(shifted(1 + 5e-10), BOOK, finops()) == []
    assert len(check_returns(shifted(1 + 1e-7), BOOK, finops())) == 1


def test_better_inputs_do_not_fit_the_stated_return(backlog: Backlog) -> None:
    """A ratio or an effort that was changed alone is found by the return that follows from it."""
    ratio = changed(backlog, "OPT-int8", throughput_ratio=Interval(3.0, 2.9, 3.1, 0.9))
    effort = changed(backlog, "OPT-int8", effort_days=Range(0.5, 1.0, 2.0))

    for one in (ratio, effort):
        found = check_returns(one, BOOK, finops())
        assert any("returns.roi_ratio" in sentence for sentence in found)
        assert any("tornado" in sentence for sentence in found)


def test_a_tornado_a_score_and_a_rank_are_compared(backlog: Backlog) -> None:
    """Each by itself."""
    one = item(backlog, "OPT-int8")
    assert one.rice is not None
    cases = {
        "tornado": changed(backlog, "OPT-int8", tornado=one.tornado[:-1]),
        "rice": changed(backlog, "OPT-int8", rice=dataclasses.replace(one.rice, score=1.0)),
        "stands where": dataclasses.replace(backlog, items=tuple(reversed(backlog.items))),
        "which has rank 1": changed(backlog, "OPT-int8", rank=7),
        "ranked, but it is rejected and quarantined": changed(backlog, "OPT-vocabulary", is_eligible=True),
        "`realisable`": changed(backlog, "OPT-int8", realisable="partly"),
        "stated without a ratio": changed(backlog, "OPT-int8", throughput_ratio=None),
        "holds its own estimate": changed(backlog, "OPT-int8", throughput_ratio=Interval(2.0, -1.0, 2.1, 0.9)),
    }
    for words, case in cases.items():
        assert any(words in sentence for sentence in check_returns(case, BOOK, finops())), words


def test_too_many_draws_are_not_made_again(backlog: Backlog) -> None:
    """A record cannot keep its reader busy for hours."""
    stated = item(backlog, "OPT-int8").returns
    assert stated is not None
    huge = changed(backlog, "OPT-int8", returns=dataclasses.replace(stated, draw_count=10**12))

    assert check_returns(huge, BOOK, finops()) == ["OPT-int8: 1,000,000,000,000 draws cannot be made again."]


def test_other_prices_than_those_stated_are_told(backlog: Backlog) -> None:
    """By currency, by digest, and by being examples."""
    for book in (
        dataclasses.replace(BOOK, file_sha256="f" * 64),
        dataclasses.replace(BOOK, currency="USD"),
        dataclasses.replace(BOOK, is_example=True),
    ):
        assert "The backlog and the price book differ" in check_returns(backlog, book, finops())[0]
    assert "cost record" in check_returns(backlog, BOOK, finops(prices_sha256="f" * 64))[0]
