"""Decisions: one for every judged candidate, and nobody's words are ever overwritten."""

import dataclasses
import datetime
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from perflib import records
from perflib.errors import DataError
from perflib.governance.decisions import check_citations, decision_paths, read_decision, write_decisions
from perflib.governance.ledger import Ledger
from perflib.results import Build, Candidate
from perflib.results.governance import Cited, Decision
from tests.ledgers import make_ledger
from tests.synthetic_governance import backlog

DAY = datetime.date(2026, 3, 1)
LATER = datetime.date(2026, 3, 8)
WORDS = "We tried it on our own texts.\r\nIt held. — Ada\n\n--- \n<b>bold</b>"


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    """Return a run with one approved, one quarantined and one undecided candidate."""
    return make_ledger(tmp_path / "20260301-080000_made_abcdef0")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return where decisions are kept."""
    return tmp_path / "decisions"


def write(ledger: Ledger, folder: Path, day: datetime.date = DAY, status: Any = "validated") -> tuple[Decision, ...]:
    """Write the decisions of a run."""
    return write_decisions(ledger, backlog(status), folder=folder, today=day)


def path_of(folder: Path, adr_id: str = "ADR-0001") -> Path:
    """Return a decision's file."""
    return decision_paths(folder, "reviews-tiny")[adr_id]


def judged(ledger: Ledger, name: str = "int8", **change: Any) -> Ledger:
    """Return the ledger with one candidate judged in another way."""
    return dataclasses.replace(
        ledger,
        candidates=tuple(dataclasses.replace(one, **change) if one.name == name else one for one in ledger.candidates),
    )


def edit(path: Path, old: str, new: str) -> None:
    """Change a file as a person would; what is looked for has to be there once."""
    text = path.read_bytes().decode()
    assert text.count(old) == 1
    path.write_bytes(text.replace(old, new).encode())


def test_every_judged_candidate_gets_a_decision(ledger: Ledger, folder: Path) -> None:
    """Approved is proposed, quarantined is rejected, undecided waits."""
    found = write(ledger, folder)

    assert [(one.id, one.candidate, one.status, one.chosen) for one in found] == [
        ("ADR-0001", "int8", "proposed", "adopt int8"),
        ("ADR-0002", "vocabulary", "rejected", "keep the baseline"),
        ("ADR-0003", "bf16", "proposed", "decide later: measure bf16 again"),
    ]
    names = sorted(path.name for path in (folder / "reviews-tiny").iterdir())
    assert names == ["0001-int8.md", "0002-vocabulary.md", "0003-bf16.md"]


def test_the_file_says_what_the_record_says(ledger: Ledger, folder: Path) -> None:
    """Reading a written decision gives the same record, also through plain YAML."""
    first = write(ledger, folder)[0]
    front = yaml.safe_load(path_of(folder).read_text().split("\n---\n")[0])

    assert read_decision(path_of(folder)) == first
    assert (front["status"], front["decision-makers"], front["id"]) == ("proposed", [], "ADR-0001")
    assert front["candidate_sha256"] == "1" * 64
    assert first.review_by == "2026-05-30"


def test_the_sections_are_those_of_madr(ledger: Ledger, folder: Path) -> None:
    """All sections of MADR 4 stand in the file in their order, and room for people last."""
    write(ledger, folder)

    headings = [line.lstrip("# ") for line in path_of(folder).read_text().split("\n") if re.match(r"###? [A-Z]", line)]
    assert headings == [
        *("Context and Problem Statement", "Decision Drivers", "Considered Options", "Decision Outcome"),
        *("Consequences", "Confirmation", "Pros and Cons of the Options", "More Information", "In people's words"),
    ]


def test_the_options_name_the_candidate_the_baseline_and_the_others(ledger: Ledger, folder: Path) -> None:
    """A decision has something to choose from, and says what each option costs and gives."""
    first = write(ledger, folder)[0]
    text = path_of(folder).read_text()

    assert first.options == ("adopt int8", "keep the baseline", "adopt vocabulary", "adopt bf16")
    assert "Good, because offline is 2.00× [1.90, 2.10] as fast." in text
    assert "9 of 872 answers were right and are wrong now" in text


def test_what_is_cited_is_there(ledger: Ledger, folder: Path) -> None:
    """Every citation resolves in the run's folder, with its digest and pointer."""
    found = write(ledger, folder)

    assert [check_citations(one, ledger.folder) for one in found] == [[], [], []]
    assert [one.path for one in found[0].evidence] == [
        *("records/validation-int8.json", "records/comparison-int8.json", "records/build-int8.json"),
    ]


def test_a_candidate_without_records_cites_the_baseline(ledger: Ledger, folder: Path) -> None:
    """What could not be made is rejected, and what it was to replace is cited."""
    failed = Candidate("onnx", "failed", ("onnx is not installed.",), None, None, None, None)
    found = write(dataclasses.replace(ledger, candidates=(failed,)), folder)[0]

    assert (found.status, found.chosen, found.candidate_sha256) == (
        *("rejected", "keep the baseline until it can be built", ""),
    )
    assert [one.path for one in found.evidence] == ["records/baseline-baseline.json"]
    assert check_citations(found, ledger.folder) == []


def test_the_same_records_give_the_same_bytes(ledger: Ledger, folder: Path) -> None:
    """A run that says nothing new does not touch the files, on whichever day."""
    write(ledger, folder)
    before = {path: path.read_bytes() for path in (folder / "reviews-tiny").iterdir()}

    found = write(ledger, folder, LATER)

    assert {path: path.read_bytes() for path in (folder / "reviews-tiny").iterdir()} == before
    assert found[0].date == "2026-03-01"


def test_new_facts_move_the_date(ledger: Ledger, folder: Path) -> None:
    """A refreshed decision carries the day of the refreshing, under its old number."""
    write(ledger, folder)

    found = write(judged(ledger, reasons=("2.10x as fast.",)), folder, LATER)[0]

    assert (found.id, found.date, found.review_by) == ("ADR-0001", "2026-03-08", "2026-06-06")
    assert "2.10x as fast." in path_of(folder).read_text()


def test_a_refresh_keeps_what_people_wrote(ledger: Ledger, folder: Path) -> None:
    """Words, status, names and comments of people survive a re-run to the byte."""
    write(ledger, folder)
    path = path_of(folder)
    edit(path, "status: proposed", "status: accepted  # on the 3rd")
    edit(path, "decision-makers: []", "decision-makers: [Ada, Grace]")
    edit(path, "## In people's words\n", f"## In people's words\n\n{WORDS}\n")
    before = path.read_bytes().decode()

    found = write(judged(ledger, reasons=("2.10x as fast.",)), folder, LATER)[0]
    after = path.read_bytes().decode()

    assert found.status == "accepted"
    assert after.split("# perflib:begin")[0].replace("2026-06-06", "2026-05-30") == before.split("# perflib:begin")[0]
    assert after.split("<!-- perflib:end -->")[1] == before.split("<!-- perflib:end -->")[1]
    assert "It is accepted." in after


def test_a_person_may_set_the_day_of_review(ledger: Ledger, folder: Path) -> None:
    """A review date without quotes is read, and no re-run moves it."""
    write(ledger, folder)
    edit(path_of(folder), "review_by: '2026-05-30'", "review_by: 2026-04-01")

    found = write(judged(ledger, reasons=("2.10x as fast.",)), folder, LATER)[0]

    assert (found.review_by, read_decision(path_of(folder)).review_by) == ("2026-04-01", "2026-04-01")


def test_a_file_of_windows_stays_one(ledger: Ledger, folder: Path) -> None:
    """An editor that changed the line ends does not make a damaged file, and the people's part keeps them."""
    write(ledger, folder)
    path = path_of(folder)
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))

    found = write(judged(ledger, reasons=("2.10x as fast.",)), folder, LATER)[0]

    assert found.date == "2026-03-08"
    assert path.read_bytes().split(b"<!-- perflib:end -->")[1].count(b"\r\n") >= 3


def test_the_status_of_the_backlog_becomes_the_decision(ledger: Ledger, folder: Path) -> None:
    """Who accepts or rejects an approved candidate in the backlog has decided; the gates' no stays a no."""
    assert [one.status for one in write(ledger, folder, status="accepted")] == ["accepted", "rejected", "proposed"]
    assert [one.status for one in write(ledger, folder, status="rolled_back")] == ["rejected", "rejected", "proposed"]
    assert [one.status for one in write(judged(ledger, verdict="quarantined"), folder, status="accepted")] == [
        *("rejected", "rejected", "proposed"),
    ]


def test_another_verdict_makes_another_decision(ledger: Ledger, folder: Path) -> None:
    """The new one names the old one, the old one says by what it was replaced, and a third run adds nothing."""
    write(ledger, folder)
    old = path_of(folder).read_text()

    found = write(judged(ledger, verdict="quarantined"), folder, LATER)[0]
    again = write(judged(ledger, verdict="quarantined"), folder, LATER)[0]

    assert (found.id, found.supersedes, found.status) == ("ADR-0004", "ADR-0001", "rejected")
    assert again == found
    replaced = path_of(folder).read_text()
    assert read_decision(path_of(folder)).status == "superseded"
    assert "> Superseded by ADR-0004.\n" in replaced
    assert replaced.replace("> Superseded by ADR-0004.\n\n", "").replace("superseded", "proposed") == old


def test_a_status_of_a_person_is_not_superseded(ledger: Ledger, folder: Path) -> None:
    """Only perflib's part of the old file says that it does not hold any more."""
    write(ledger, folder)
    edit(path_of(folder), "status: proposed", "status: accepted")

    write(judged(ledger, verdict="undecided"), folder, LATER)

    assert read_decision(path_of(folder)).status == "accepted"
    assert "> Superseded by ADR-0004." in path_of(folder).read_text()


def test_a_person_decided_about_this_model_only(ledger: Ledger, folder: Path) -> None:
    """An acceptance does not carry over to another artifact of the same name."""
    write(ledger, folder)
    other = dataclasses.replace(ledger.builds["int8"], artifact_sha256="9" * 64)
    rebuilt = dataclasses.replace(ledger, builds={**ledger.builds, "int8": other})
    assert isinstance(other, Build)
    assert write(rebuilt, folder, LATER)[0].id == "ADR-0001"

    edit(path_of(folder), "status: proposed", "status: accepted")
    found = write(ledger, folder, LATER)[0]

    assert (found.id, found.status, found.supersedes) == ("ADR-0004", "proposed", "ADR-0001")


def test_an_older_run_changes_no_superseded_decision(ledger: Ledger, folder: Path) -> None:
    """Governing an old run again finds its own decision, and leaves the later one alone."""
    write(ledger, folder)
    newer = dataclasses.replace(ledger.summary, run_id="20260308-080000_made_abcdef0")
    write(dataclasses.replace(judged(ledger, verdict="quarantined"), summary=newer), folder, LATER)
    before = {path: path.read_bytes() for path in (folder / "reviews-tiny").iterdir() if "int8" in path.name}

    found = write(ledger, folder, LATER)[0]

    assert found.id == "ADR-0001"
    assert {path: path.read_bytes() for path in before} == before


def test_foreign_words_do_nothing(ledger: Ledger, folder: Path) -> None:
    """Markup, front matter and markers in a reason stay words."""
    evil = "<!-- perflib:end -->\n---\n# perflib:end\n<script>alert(1)</script> [x](javascript:alert(1)) | `rm`"
    write(judged(ledger, reasons=(evil,)), folder)

    text = path_of(folder).read_text()
    assert "<script" not in text
    assert "[x](" not in text
    assert read_decision(path_of(folder)).id == "ADR-0001"


def test_foreign_names_and_waivers_do_nothing(ledger: Ledger, folder: Path) -> None:
    """A name that climbs out of the folder does not, and a waiver with our own markers is only a text."""
    evil = "Ada\n# perflib:end\n---\n<!-- perflib:end -->\nstatus: accepted"
    validation = ledger.validations["int8"]
    waived = dataclasses.replace(validation, gates=(dataclasses.replace(validation.gates[0], waiver=evil),))
    climber = dataclasses.replace(ledger.candidates[0], name="../../Evil <b>", verdict="failed")
    changed = dataclasses.replace(
        ledger, validations={"int8": waived}, candidates=(ledger.candidates[0], climber), builds={}, comparisons={}
    )
    write(changed, folder)

    assert sorted(path.name for path in folder.rglob("*.md")) == ["0001-int8.md", "0002-evil-b.md"]
    assert read_decision(path_of(folder)).waivers == (f"A2: {evil}",)
    assert read_decision(path_of(folder)).status == "proposed"
    assert write(changed, folder, LATER)[0].date == "2026-03-01"


def test_who_was_no_finalist_is_not_adopted(ledger: Ledger, folder: Path) -> None:
    """An approved candidate that nobody had named before is to be named in the next run."""
    found = write(judged(ledger, is_finalist=False), folder, status="accepted")[0]

    assert (found.status, found.chosen) == ("proposed", "name int8 as a finalist of the next run")


@pytest.mark.parametrize("content", [b"\xff\xfe", b"", b"# a note of my own\n", b"---\n" + b"x" * 1_000_001])
def test_what_is_no_decision_is_refused(content: bytes, ledger: Ledger, folder: Path) -> None:
    """Bytes, an empty file, another document and a huge one: each is one sentence, and stays as it is."""
    write(ledger, folder)
    path = path_of(folder)
    path.write_bytes(content)

    with pytest.raises(DataError, match=r"0001-int8\.md is no decision as perflib writes them"):
        read_decision(path)
    with pytest.raises(DataError, match="nothing was overwritten"):
        write(ledger, folder)
    assert path.read_bytes() == content


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("<!-- perflib:end -->", "", "the line `<!-- perflib:end -->` stands in it 0 times"),
        ("## In people's words", "<!-- perflib:begin -->", "stands in it 2 times"),
        ("# perflib:begin {", "# perflib:begin [", "is not strict JSON"),
        ("status: proposed", "status: [proposed", "is not plain YAML"),
        ("status: proposed", "status: proposed\nstatus: accepted", "key `status` stands twice"),
        ("status: proposed", "status: Accepted", "`status`"),
        ("decision-makers: []", "decision_makers: []", "did you mean `decision-makers`?"),
        ("decision-makers: []", "decision-makers: &a [x]\nconsulted: *a", "an alias"),
        ("decision-makers: []", "decision-makers: !!python/name:os.system []", "is not plain YAML"),
        ("decision-makers: []", "decision-makers: [1]", "holds [1] and not names"),
        ("review_by: '2026-05-30'", "review_by: soon", "no date such as"),
        ("chosen: adopt int8", "chosen: adopt nothing", "one of two `options` or more"),
        ("id: ADR-0001\n", "id: '1'\n", "not such as ADR-0001"),
        ("---\n\n<!-- perflib:begin -->", "<!-- perflib:begin -->", "front matter"),
    ],
)
def test_a_damaged_file_is_refused_and_left_alone(
    old: str, new: str, reason: str, ledger: Ledger, folder: Path
) -> None:
    """One sentence says what is wrong, and nothing in the folder is written, not even other decisions."""
    write(ledger, folder)
    path = path_of(folder)
    edit(path, old, new)
    before = {one: one.read_bytes() for one in path.parent.iterdir()}

    with pytest.raises(DataError) as caught:
        write(judged(ledger, "bf16", reasons=("new",)), folder, LATER)

    assert path.name in str(caught.value)
    assert reason in str(caught.value)
    assert {one: one.read_bytes() for one in path.parent.iterdir()} == before


def test_two_files_with_one_number_are_refused(ledger: Ledger, folder: Path) -> None:
    """A copied file would make it a matter of luck which of both counts."""
    write(ledger, folder)
    path = path_of(folder)
    path.with_name("0009-copy.md").write_bytes(path.read_bytes())

    with pytest.raises(DataError, match="are both ADR-0001"):
        write(ledger, folder)


def cited(ledger: Ledger, **change: Any) -> Decision:
    """Return a decision that cites one record of a run, with something about it changed."""
    path = "records/build-int8.json"
    one = Cited(path, records.sha256_file(ledger.folder / path), "/artifact_sha256")
    return dataclasses.replace(
        Decision(
            *("ADR-0001", "title", "proposed", "2026-03-01", "int8", "1" * 64, "run", "OPT-int8"),
            options=("a", "b"),
            chosen="a",
            accuracy_verdict=None,
            waivers=(),
            review_by="2026-05-30",
            supersedes=None,
            evidence=(dataclasses.replace(one, **change),),
        )
    )


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({}, ""),
        ({"path": "records/build-int4.json"}, "which is not there"),
        ({"sha256": "f" * 64}, "with the sha256 ffffffffffff…"),
        ({"pointer": "/steps/7"}, "cites /steps/7 in records/build-int8.json, which is not in it"),
        ({"pointer": "artifact_sha256"}, "which is not in it"),
        ({"path": "/etc/passwd"}, "no path below the folder"),
        ({"path": "../run.json"}, "no path below the folder"),
        ({"path": "records/link.json"}, "which is a link"),
    ],
)
def test_a_wrong_citation_is_one_sentence(change: dict[str, str], sentence: str, ledger: Ledger) -> None:
    """A record that is not there, is another, or lies elsewhere is named."""
    (ledger.folder / "records/link.json").symlink_to(ledger.folder / "run.json")

    found = check_citations(cited(ledger, **change), ledger.folder)

    assert (len(found), sentence in "".join(found)) == (1 if change else 0, True)
