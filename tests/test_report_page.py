"""The page by which somebody decides: what it says first, how it says it, and that no number on it is from nowhere."""

import dataclasses
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import papermill
import pyphen
import pytest
from bs4 import BeautifulSoup

from perflib import project
from perflib.errors import DataError
from perflib.pointed import check_numbers
from perflib.records import Record
from perflib.report import render_report
from perflib.reporting.case import Case
from perflib.reporting.money import dangers, savings
from perflib.reporting.rollout import faults_table, stages_table
from perflib.reporting.words import asks, failures, losses, recommendation
from perflib.results import Failure, Finding, Findings, Validation
from perflib.results.governance import Backlog, Finops, Impact, Likelihood, Rehearsal, RiskRegister, RolloutPlan
from perflib.runs import Run
from tests.decided_runs import documents, make_run, rehearsal

SECTIONS: tuple[Callable[[Case], str], ...] = (recommendation, savings, losses, dangers, failures, asks)
HEADINGS = [
    "What we recommend",
    "What it saves",
    "What gets worse, and for whom",
    "What could go wrong, and how we get back",
    "What we tried that did not work",
    "What we ask of you",
]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Return a run with everything that governance makes."""
    return make_run(tmp_path / "run")


def page_of(run: Run) -> str:
    """Return the first part of the report."""
    case = Case(run)
    return "".join(section(case) for section in SECTIONS)


def words_of(page: str) -> str:
    """Return what a reader sees, in one line."""
    soup = BeautifulSoup(page, "html.parser")
    for block in soup.find_all(["h2", "p", "li"]):
        block.append(" ")
    return " ".join(soup.get_text().split())


def headings_of(page: str) -> list[str]:
    """Return the headings of the second level."""
    return [" ".join(one.get_text().split()) for one in BeautifulSoup(page, "html.parser").find_all("h2")]


def change(run: Run, kind: type[Record], name: str, **values: Any) -> None:
    """Write a record again with other values."""
    record = run.read(kind, name)
    assert record is not None
    run.write(dataclasses.replace(record, **values), name)


# --- the whole page, as the pipeline makes it --------------------------------------------------------------------


@pytest.fixture(scope="module", params=[True, False], ids=["governed", "plain"])
def whole(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Run, str, bool]:
    """Execute the notebook on the made-up run, with and without the records of governance."""
    folder = tmp_path_factory.mktemp("report")
    run = make_run(folder / "run", is_governed=request.param)
    run.notebook("04_report").parent.mkdir()
    source = project.root() / "notebooks" / "04_report.ipynb"
    papermill.execute_notebook(
        str(source), str(run.notebook("04_report")), {"run_dir": str(run.folder)}, progress_bar=False
    )
    page = render_report(run.notebook("04_report"), run.report, title="What should we ship?")
    return run, page.read_text(encoding="utf-8"), request.param


def test_no_number_on_the_page_stands_without_a_record(whole: tuple[Run, str, bool]) -> None:
    """Each pointed number is that of its record, each block names records that are there, and no digit is bare."""
    run, page, _ = whole

    assert check_numbers(page, documents(run)) == []
    assert len(re.findall("data-ev=", page)) > 10
    assert len(re.findall("data-ev-block=", page)) > 10


def test_another_number_on_the_page_is_found(whole: tuple[Run, str, bool]) -> None:
    """The check is not blind: one digit changed is one problem."""
    run, page, _ = whole

    assert len(check_numbers(page.replace('as="speedup">2.00×<', 'as="speedup">2.10×<', 1), documents(run))) == 1


def test_the_decision_stands_before_what_it_rests_on(whole: tuple[Run, str, bool]) -> None:
    """The six sections come first, in their order; what has no record leaves no heading."""
    _, page, is_governed = whole
    without = ("What it saves", "What could go wrong, and how we get back")
    first = [one for one in HEADINGS if is_governed or one not in without]
    rest = headings_of(page)[len(first) :]

    assert headings_of(page)[: len(first)] == first
    assert rest[0] == "All candidates at a glance"
    assert rest[-2:] == ["How this was measured", "Where the numbers come from"]
    governed = {"What to do next", "What it costs", "How it goes to users, and how it comes back"}
    assert governed & set(rest) == (governed if is_governed else set())


def test_the_page_is_small(whole: tuple[Run, str, bool]) -> None:
    """Ten figures with letters that stay sharp weigh less than 2 MB; an image is a PNG with a palette."""
    _, page, _ = whole

    assert len(page.encode()) < 1_000_000
    assert "data:image/png" in page


def test_the_steps_and_the_faults_are_in_tables(run: Run) -> None:
    """Each step with its share of traffic, what sends everybody back once, and each fault with its times."""
    plan = run.read(RolloutPlan, "int8")
    assert plan is not None
    gates = (dataclasses.replace(plan.triggers[0], metric="p99_sec", limit=0.02, relative_to="", op="<="),)
    other = dataclasses.replace(plan.stages[0], name="<b>own</b>", traffic_ratio=0.25, gates=gates)
    words = words_of(stages_table(dataclasses.replace(plan, stages=(*plan.stages, other))).replace("<td>", " <td>"))
    assert "canary-1 1 % 20 %" in words
    assert words.count("as in the last row") == len(plan.stages)
    assert "<b>own</b> 25 %" in words
    assert "p99 at most 20.0 ms" in words
    assert "unless error share at most 0.01" in words

    fault = rehearsal().faults[0]
    late = dataclasses.replace(fault, rolled_back_sec=None, is_as_planned=False)
    words = words_of(faults_table(rehearsal(faults=(fault, late))).replace("<td>", " <td>"))
    assert "1.20 s 1.50 s of 5.00 s 12 of 400 yes" in words
    assert "– of 5.00 s 12 of 400 no" in words


# --- the first part ----------------------------------------------------------------------------------------------


def reading_grade(text: str) -> float:
    """Return the years of school that a text asks for (Flesch and Kincaid, 1975); hyphenation counts the syllables."""
    hyphens = pyphen.Pyphen(lang="en_US")
    words = re.findall(r"[A-Za-z]+", text)
    syllable_count = sum(len(hyphens.positions(word)) + 1 for word in words)
    sentence_count = len(re.findall(r"[.!?](?:\s|$)", text))
    return 0.39 * len(words) / sentence_count + 11.8 * syllable_count / len(words) - 15.59


def test_the_first_part_can_be_read_by_anybody(run: Run) -> None:
    """Grade 10 or below; names, numbers and texts of records are words of others."""
    soup = BeautifulSoup(page_of(run), "html.parser")
    for other in soup.select("[data-ev], code"):
        other.string = "this"
    sentences = " ".join(" ".join(one.get_text().split()).rstrip(".") + "." for one in soup.select("p, li"))
    heavy = (
        "Notwithstanding contemporaneous instrumentation irregularities, multidimensional characterisation suffices."
    )

    assert len(sentences.split()) > 200
    assert reading_grade(sentences) <= 10 < reading_grade(heavy)


def test_the_first_sentence_says_what_to_ship(run: Run) -> None:
    """Name, gain with its range, what it rests on, and that limits hold."""
    words = words_of(recommendation(Case(run)))

    assert words.startswith("What we recommend approved Ship int8. On the same machine it is 2.00× as fast")
    assert "2.00× [1.90, 2.10]" in words
    assert "3.00× [2.80, 3.20]" in words
    assert "All of them hold." in words


def test_while_prices_are_examples_the_ratio_leads_and_each_amount_says_so(run: Run) -> None:
    """No amount of money stands on the page without the word."""
    words = words_of(savings(Case(run)))

    assert words.index("The prices are examples") < words.index("does 2.00×") < words.index("It saves")
    amounts = re.findall(r"[\d,.]+ EUR\S*(?: \S+)?", words)
    assert len(amounts) >= 5
    assert all("(example)" in one for one in amounts)


def test_with_own_prices_no_example_is_left(tmp_path: Path) -> None:
    """The word goes, and so does the request for prices."""
    words = words_of(page_of(make_run(tmp_path / "run", is_example=False)))

    assert "(example)" not in words
    assert "your own prices" not in words
    assert "1,460 EUR a month" in words


@pytest.mark.parametrize(
    ("saving", "words"),
    [(50.0, "It saves 50 EUR"), (-50.0, "It costs more: its saving is −50 EUR"), (0.0, "it saves nothing"), (None, "")],
)
def test_a_loss_is_not_told_as_a_saving(run: Run, saving: float | None, words: str) -> None:
    """More, nothing, or unknown: the sentence says which."""
    finops = run.read(Finops, "run")
    assert finops is not None
    arms = [dataclasses.replace(one, saving_month_amount=saving) if one.name == "int8" else one for one in finops.arms]
    change(run, Finops, "run", arms=tuple(arms))

    assert (words or "so we claim no saving") in words_of(savings(Case(run)))


def test_work_that_does_not_pay_off_is_told(run: Run) -> None:
    """More than every second case: then it is said in words; at one half it is not."""
    backlog = run.read(Backlog, "run")
    assert backlog is not None
    for ratio, is_told in ((0.5, False), (0.51, True)):
        items = [
            dataclasses.replace(one, returns=dataclasses.replace(one.returns, chance_of_loss_ratio=ratio))
            if one.id == "OPT-int8" and one.returns
            else one
            for one in backlog.items
        ]
        change(run, Backlog, "run", items=tuple(items))

        assert ("does not pay off" in words_of(savings(Case(run)))) is is_told


def test_who_loses_most_is_named(run: Run) -> None:
    """The gated slice with the lowest change, with its name, number and whether it may be chance."""
    validation = run.read(Validation, "int8")
    assert validation is not None
    slices = tuple(
        dataclasses.replace(
            validation.slices[0],
            column="length",
            value=value,
            change_ratio=ratio,
            holm_high_ratio=high,
            is_gated=gated,
            example_count=400,
        )
        for value, ratio, high, gated in (
            ("long", -0.02, -0.001, True),
            ("short", -0.01, 0.01, True),
            ("tiny", -0.5, 0.0, False),
        )
    )
    change(run, Validation, "int8", slices=slices)
    words = words_of(losses(Case(run)))
    assert "Who loses most: length = long, with −2.00 points on 400" in words
    assert "more than chance" in words

    change(run, Validation, "int8", slices=slices[1:])
    assert "short, with −1.00 points on 400" in words_of(losses(Case(run)))
    assert "may be chance" in words_of(losses(Case(run)))


def test_warnings_and_waivers_are_told(run: Run) -> None:
    """A gate that warns stands with its sentence, a waiver with who gave it; then nobody says that all hold."""
    validation = run.read(Validation, "int8")
    assert validation is not None
    gate = dataclasses.replace(
        validation.gates[0], id="A5", verdict="FAIL", sentence="It is surer than right.", waiver="Ann until May"
    )
    change(run, Validation, "int8", gates=(*validation.gates, gate))
    words = words_of(page_of(run))

    assert "It is surer than right. Waived: Ann until May" in words
    assert "none was waived" not in words
    assert "All of them hold, but for those that somebody lets pass." in words


def test_the_worst_risks_come_first(run: Run) -> None:
    """Three at most, by likelihood times impact."""
    register = run.read(RiskRegister, "run")
    assert register is not None
    one = register.risks[0]
    kinds: tuple[tuple[Likelihood, Impact], ...] = (
        ("rare", "minor"),
        ("likely", "severe"),
        ("possible", "minor"),
        ("likely", "serious"),
        ("rare", "severe"),
    )
    risks = [
        dataclasses.replace(one, id=f"R{place}", title=f"Risk {place}", likelihood=likelihood, impact=impact)
        for place, (likelihood, impact) in enumerate(kinds)
    ]
    change(run, RiskRegister, "run", risks=tuple(risks))

    assert re.findall(r"Risk \d", words_of(dangers(Case(run)))) == ["Risk 1", "Risk 3", "Risk 4"]


def test_the_way_back_is_told_with_its_rehearsal(run: Run) -> None:
    """Steps, alarms, time; and a rehearsal that failed is not told as one that went well."""
    words = words_of(dangers(Case(run)))
    assert "in 5 steps (shadow, canary-1, canary-10, half, full)" in words
    assert "within 5 minutes" in words
    assert "We tried the way back with faults" in words

    run.write(rehearsal(is_passed=False, sentence="It did not come back."), "int8")
    assert "We tried the way back, and it failed with faults" in words_of(dangers(Case(run)))
    run.record_path("rehearsal", "int8").unlink()
    assert "tried" not in words_of(dangers(Case(run)))


def test_what_did_not_work_is_named_with_its_reason(run: Run) -> None:
    """A gate that says no, data that cannot tell, a build that failed: each with the sentence of its record."""
    run.write(Failure("pruned", "stage", "The stage pruned nothing."), "pruned")
    words = words_of(failures(Case(run)))

    assert "vocabulary quarantined Texts with negation lose 4.0 pp." in words
    assert "bf16 undecided the INCONCLUSIVE sentence" in words
    assert "pruned failed The stage pruned nothing." in words
    assert "int8" not in words


def test_a_hope_that_was_wrong_is_told(run: Run) -> None:
    """What a finding promised and the measurement ruled out is a result too."""
    findings = run.read(Findings, "baseline")
    assert findings is not None
    hope: Finding = dataclasses.replace(
        findings.findings[0], claim="Everything could be ten times as fast.", predicted_speedup_ratio=10.0
    )
    change(run, Findings, "baseline", findings=(hope, *findings.findings[1:]))

    assert "A hope that was wrong: Everything could be ten times as fast." in words_of(failures(Case(run)))


def test_the_reader_is_asked_with_a_day_and_the_work(run: Run) -> None:
    """Yes or no by the day on which the plan ends, prices, a person, and more time for what is open."""
    words = words_of(asks(Case(run)))
    plan = run.read(RolloutPlan, "int8")
    assert plan is not None

    assert f"Say yes or no to int8 by {plan.expires}. It takes about 2 days of work." in words
    for part in ("your own prices", "Name the person", "more time on the machine if you want an answer on bf16"):
        assert part in words
    change(run, RolloutPlan, "int8", owner="Ann")
    assert "Name the person" not in words_of(asks(Case(run)))


def test_where_nothing_may_be_shipped_nothing_is_recommended(run: Run) -> None:
    """The model of today stays, and each candidate says why."""
    validation = run.read(Validation, "int8")
    assert validation is not None
    gate = dataclasses.replace(validation.gates[0], verdict="FAIL", sentence="It forgets negation.")
    change(run, Validation, "int8", gates=(gate,))
    page = page_of(run)
    words = words_of(page)

    assert "Ship nothing yet." in words
    assert "Nothing is saved yet" in words
    assert "Keep the model of today." in words
    assert "int8 quarantined It forgets negation." in words
    assert "What gets worse, and for whom" not in words
    assert check_numbers(page, documents(run)) == []


def test_a_run_without_candidates_says_so(tmp_path: Path) -> None:
    """Only the baseline was measured."""
    (tmp_path / "run" / "records").mkdir(parents=True)

    assert words_of(page_of(Run(tmp_path / "run"))) == (
        "What we recommend Nothing was tried. Only the model of today was measured."
    )


def test_foreign_words_are_words(run: Run) -> None:
    """What a model, a person or a file wrote comes out as it was written and does nothing."""
    attack = '<img src=x onerror=alert(1)>"&'
    run.write(Failure("evil", "stage", attack), "evil")
    register = run.read(RiskRegister, "run")
    assert register is not None
    change(run, RiskRegister, "run", risks=(dataclasses.replace(register.risks[0], title=attack),))
    run.write(dataclasses.replace(rehearsal(), sentence=attack), "int8")
    page = page_of(run)

    assert BeautifulSoup(page, "html.parser").find_all("img") == []
    assert words_of(page).count(attack) == 3
    assert check_numbers(page, documents(run)) == []


def test_a_damaged_record_is_not_written_over(run: Run) -> None:
    """A record that cannot be read ends the report with one sentence."""
    run.record_path("rehearsal", "int8").write_text('{"schema": "perflib/rehearsal/1"}')

    with pytest.raises(DataError):
        dangers(Case(run))
    assert Rehearsal.schema.startswith("perflib/rehearsal")
