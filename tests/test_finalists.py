"""Finalists: few, named beforehand, judged together; the others are shown and never offered."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest

from perflib.finalists import NOT_OFFERED, judge_together, named_finalists
from perflib.results import Candidate, Estimate, RunSummary, Validation
from perflib.runs import SUMMARY_FILE, Run
from perflib.tables import summary_table
from perflib.validation.quality import tango_lower
from perflib.verdict import exit_code, headline, is_offered, judge_run, mark_quarantine, ranked
from tests.synthetic_records import build, candidate, comparison, gate, scenario, validation

FAST = scenario("single", "IMPROVEMENT")


def answers(worse_count: int, better_count: int, *, verdict: Any = "PASS", margin: float = 0.01) -> Validation:
    """Return a validation of 10,000 examples with these flips, and A2 as its only gate."""
    return dataclasses.replace(
        validation(gates=(gate(verdict, id="A2", limit=margin),)),
        example_count=10_000,
        negative_flip_count=worse_count,
        positive_flip_count=better_count,
    )


def approved(*names: str) -> list[Candidate]:
    """Return approved candidates."""
    return [candidate(name, reasons=("fast",)) for name in names]


def test_one_that_holds_alone_need_not_hold_beside_others() -> None:
    """At 95 % a loss of 0.6 points over 10,000 answers stays under the margin, at 97.5 % it does not."""
    assert tango_lower(372, 312, 10_000, level=0.95) > -0.0104 > tango_lower(372, 312, 10_000, level=0.975)
    near, far = answers(372, 312, margin=0.0104), answers(300, 100)

    alone, beside = (
        judge_together(approved("near", "far")[:count], {"near": near, "far": far}, None) for count in (1, 2)
    )
    with_good = judge_together(approved("near", "good"), {"near": near, "good": answers(10, 10)}, None)

    assert [one.verdict for one in alone] == ["approved"]
    assert beside[0].verdict == "undecided"
    assert beside[0].reasons[0].startswith("Of 2 finalists together its loss has to be ruled out at 97.50 %")
    assert beside[0].reasons[0].endswith("is not; the margin is 1.04 pp.")
    # Whoever is shown leaves more for the rest.
    assert [one.verdict for one in with_good] == ["approved", "approved"]


def test_only_finalists_pay_for_each_other_and_are_offered() -> None:
    """Those that are only shown make nobody pay, keep their verdict, and say why they are not offered."""
    near = answers(372, 312, margin=0.0104)
    found = judge_together(approved("near", "far"), {"near": near, "far": answers(300, 100)}, {"near"})

    assert [(one.verdict, one.is_finalist, is_offered(one)) for one in found] == [
        ("approved", True, True),
        ("approved", False, False),
    ]
    assert (found[0].reasons, found[1].reasons[-1]) == (("fast",), NOT_OFFERED)


@pytest.mark.parametrize("verdict", ["FAIL", "INCONCLUSIVE"])
def test_who_does_not_hold_alone_is_judged_by_its_own_gate(verdict: Any) -> None:
    """An open gate says so itself, and one that somebody waived keeps its approval."""
    (found, _) = judge_together(
        approved("bad", "good"), {"bad": answers(400, 0, verdict=verdict), "good": answers(0, 0)}, None
    )

    assert (found.verdict, found.reasons) == ("approved", ("fast",))


def test_without_answers_or_margin_nothing_is_added() -> None:
    """A candidate that was not validated, and a profile without A2."""
    other = validation("PASS")

    assert judge_together(approved("a", "b"), {"b": other}, None) == tuple(approved("a", "b"))


@pytest.fixture
def run(tmp_path: Path, summary: RunSummary) -> Run:
    """Return a run with two fast candidates, of which its params name one."""
    made = Run(tmp_path / "run")
    for name in ("shown", "named"):
        for record in (build(), comparison(FAST), answers(3, 3)):
            made.write(record, name)
        made.artifact_folder(name).mkdir(parents=True)
    dataclasses.replace(summary, params={"finalists": ["named"]}).write(made.folder / SUMMARY_FILE)
    return made


@pytest.fixture
def summary() -> RunSummary:
    """Return a run's own record."""
    from tests.test_schema import summary as plain

    return RunSummary.from_dict(json.loads(json.dumps(plain())))


def test_a_run_offers_what_its_params_name(run: Run) -> None:
    """Both are approved; one may be shipped, and the other's folder says why not."""
    found = judge_run(run)
    mark_quarantine(run, found)

    assert named_finalists(run) == {"named"}
    assert {one.name: one.is_finalist for one in found} == {"shown": False, "named": True}
    assert headline(found).startswith("Ship named:")
    assert not (run.artifact_folder("named") / "QUARANTINE.md").exists()
    assert (run.artifact_folder("shown") / "QUARANTINE.md").read_text(encoding="utf-8").splitlines()[0] == (
        "# shown may not be promoted: it is no finalist of its run"
    )


def test_a_run_without_finalists_offers_what_is_approved(run: Run, summary: RunSummary) -> None:
    """Up to five candidates are all finalists."""
    for params in ({}, {"finalists": []}):
        dataclasses.replace(summary, params=params).write(run.folder / SUMMARY_FILE)

        assert named_finalists(run) is None
        assert all(is_offered(one) for one in judge_run(run))


def test_what_is_only_shown_decides_no_exit_code() -> None:
    """Nothing is offered, so a CI job must not take it for approved."""
    shown = [dataclasses.replace(one, is_finalist=False) for one in approved("a")]
    quarantined = candidate("b", "quarantined")

    assert exit_code(shown, has_failed_step=False) == 5
    assert exit_code([*shown, quarantined], has_failed_step=False) == 2
    assert exit_code([*shown, *approved("c")], has_failed_step=False) == 0
    assert headline(shown) == "Ship nothing yet: no finalist of this run was tried."
    assert headline([*shown, quarantined]) == "Ship nothing yet: b is quarantined."


def test_what_may_be_shipped_comes_first_and_the_fastest_of_it() -> None:
    """Whoever reads a table of twenty begins there; finalists that may not be shipped come before what is shown."""
    slow, fast, other = approved("slow", "fast", "other")
    stopped = dataclasses.replace(fast, name="stopped", verdict="quarantined")
    fast = dataclasses.replace(fast, offline_throughput_speedup_ratio=Estimate(9.0, 8.0, 10.0))
    other = dataclasses.replace(other, is_finalist=False)

    assert [one.name for one in ranked([slow, other, stopped, fast])] == ["fast", "slow", "stopped", "other"]


def test_the_table_lets_finalists_stand_out() -> None:
    """The others are there, and quiet."""
    named, other = approved("named", "other")
    html = summary_table([named, dataclasses.replace(other, is_finalist=False)], None, caption="Two.")

    assert '<tr><th scope="row">named' in html
    assert '<tr class="quiet"><th scope="row">other' in html
