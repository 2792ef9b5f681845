"""What an on-call engineer reads: all of it, in plain units, and nothing that a channel would take for a command."""

import dataclasses
import html
import json
import re
from pathlib import Path
from typing import Literal
from xml.etree import ElementTree

import pytest
from junitparser import Failure, JUnitXml, Skipped, TestCase

from perflib.regression.alerts import message
from perflib.regression.alerts.escaping import MAX_WORDS_COUNT, markdown_words, plain_words, xml_words
from perflib.regression.alerts.job_summary import MAX_SUMMARY_BYTES, append_job_summary, job_summary
from perflib.regression.alerts.junit import write_junit
from perflib.regression.alerts.quantities import change_words
from perflib.results.regression import Alert, Check, Nomination, Quarantine, Rerun, SeriesCheck
from perflib.results.speed import Interval
from tests.alert_records import ULID, make_alert, make_confirmation, make_key, make_nomination

EXACT = Interval(1.04, 1.04, 1.04, 0.98)
SIZE = make_nomination(
    make_key("size_bytes", scenario="all"),
    before_value=23.1e6,
    after_value=24e6,
    shift_ratio=EXACT,
    rule="exact",
    after_count=1,
)
GOLDEN = f"""\
Alert {ULID} is OPEN; owner: serving team.

WHAT GOT WORSE
- int8 single p50_sec: 12.3 ms → 14.1 ms, 1.15× [1.12, 1.18] (over 3 runs, seen by the rule segment)
- int8 size_bytes: 23.1 MB → 24.0 MB, 1.04× (over 1 run, seen by the rule exact)

BY HOW MUCH, MEASURED AGAIN SIDE BY SIDE
- int8, speed: confirmed: 1.15× [1.11, 1.19; 98 %] the time of the last good run (+14.7 %)

SINCE WHEN
- last good run: run-5 (01KAQ000000000000000000005)
- first worse run: run-6 (01KAQ000000000000000000006)

ON WHICH MACHINE
- Example CPU, 8 cores, 31.0 GB
- hardware class c0ffee, host host-7

WHY
- int8, speed: lock, numpy 2.1.0 → 2.2.0; alone it makes 1.14× [1.10, 1.18; 98 %] \
the time of the last good run (+14.0 %)

WHAT IT IS NOT
- int8, speed: parameters: not worse, 1.00× [0.99, 1.01; 98 %] the time of the last good run (+0.1 %)

WHAT TO DO
- say that you have it: perflib alerts ack {ULID}
- measure it again: perflib check run-6 --again
- if the new level is meant: perflib alerts accept {ULID} --reason 'why it is so'
- if it is a false alarm: perflib alerts invalid {ULID} --reason 'why it is so'
- when it is repaired: perflib alerts close {ULID}"""


def full_alert() -> Alert:
    """Return the alert of the golden text."""
    return make_alert(nominations=(make_nomination(), SIZE), owner="serving team")


# --- content ----------------------------------------------------------------------------------------------------


def test_the_message_is_the_golden_one() -> None:
    """What, by how much, since when, where, why, what not, and what to do; in this order."""
    assert message.plain(full_alert()) == GOLDEN


def test_the_subject_says_the_most_in_one_line() -> None:
    """Who, what, how much, and the ulid."""
    assert (
        message.subject(full_alert()) == f"perflib: int8 of sentiment-minilm is slower and is larger (+14.7 %) ({ULID})"
    )


def test_markdown_says_the_same() -> None:
    """Word for word, once its marks are taken away."""
    text = re.sub(r"\\([\\*_\[\]|~#])", r"\1", message.markdown(full_alert())).replace("`", "").replace("**", "")
    lines = [line for line in text.splitlines() if line]

    assert lines[0] == f"### {message.subject(full_alert())}"
    assert [line.upper() for line in lines[1:]] == [line.upper() for line in GOLDEN.splitlines() if line]


def test_the_lives_of_the_rerun_are_counted() -> None:
    """Twelve lives are said to be twelve."""
    assert ", 12 lives" in message.plain(make_alert(confirmations=(make_confirmation(lives_count=12),)))


@pytest.mark.parametrize(
    ("metric", "before", "after", "words"),
    [
        ("p50_sec", 0.01226, 0.0141, "12.3 ms → 14.1 ms, 1.15× [1.12, 1.18]"),
        ("peak_rss_bytes", 310e6, 356e6, "310 MB → 356 MB, 1.15× [1.12, 1.18]"),
        ("examples_per_sec", 1500.0, 1300.0, "1.50 kexamples/s → 1.30 kexamples/s, 1.15× [1.12, 1.18]"),
        ("speedup_ratio", 3.2, 2.8, "3.20× → 2.80×, 1.15× [1.12, 1.18]"),
        ("accuracy_ratio", 0.85, 0.83, "85.00 % → 83.00 %, −2.00 pp"),
        ("sd_ratio", 0.01, 0.02, "1.00 % → 2.00 %, 1.15× [1.12, 1.18]"),
    ],
)
def test_levels_are_in_the_units_of_people(metric: str, before: float, after: float, words: str) -> None:
    """No bare numbers and no exponents."""
    assert change_words(make_nomination(make_key(metric), before_value=before, after_value=after)) == words


def test_a_cause_that_was_not_found_says_what_was_tried() -> None:
    """With packages by name."""
    ratio = Interval(1.01, None, None, 0.98)
    reruns = (
        Rerun(
            ("artifact", "lock"), None, is_worse=True, ratio=Interval(1.1, 1.05, 1.15, 0.98), evidence=1.0, sentence=""
        ),
        Rerun(("lock",), "numpy", is_worse=False, ratio=ratio, evidence=1.0, sentence=""),
        Rerun(("artifact",), None, is_worse=None, ratio=None, evidence=None, sentence=""),
    )
    text = message.plain(make_alert(confirmations=(make_confirmation(culprits=(), reruns=reruns),)))
    (line,) = [line for line in text.splitlines() if "not found" in line]

    assert "artifact and lock: worse, 1.10× [1.05, 1.15; 98 %]" in line
    assert "lock (package numpy alone): not worse, 1.01× the time" in line
    assert "artifact: not decided, no figure" in line


def test_an_alert_that_was_not_confirmed_says_so() -> None:
    """It does not invent a cause either."""
    alert = make_alert(state="NOMINATED", confirmations=())
    text = message.plain(alert)

    assert "not measured again yet" in text
    assert "not known yet" in text
    assert message.subject(alert) == f"perflib: int8 of sentiment-minilm is slower (p50_sec 12.3 ms → 14.1 ms) ({ULID})"


def test_an_undecided_rerun_is_not_called_confirmed() -> None:
    """Nor is a figure of it in the subject."""
    alert = make_alert(confirmations=(make_confirmation(verdict="INCONCLUSIVE", culprits=(), sentence="too few"),))

    assert "not decided: 1.15×" in message.plain(alert)
    assert "14.7" not in message.subject(alert)


def test_a_gain_that_nobody_explains_is_told_apart() -> None:
    """It is no loss."""
    alert = make_alert(nominations=(make_nomination(is_worse=False),))
    text = message.plain(alert)

    assert "WHAT GOT BETTER AND IS NOT EXPLAINED\n- int8 single p50_sec" in text
    assert "WHAT GOT WORSE" not in text
    assert "has changed" in message.subject(alert)


def test_quality_is_told_in_points() -> None:
    """A difference is no ratio."""
    accuracy = make_nomination(make_key("accuracy_ratio", scenario="all"), before_value=0.85, after_value=0.83)
    confirmation = make_confirmation(family="quality", ratio=Interval(-0.02, -0.03, -0.01, 0.98))
    alert = make_alert(nominations=(accuracy,), confirmations=(confirmation,))

    assert "confirmed: −2.00 pp of right answers [−3.00 pp, −1.00 pp; 98 %]" in message.plain(alert)
    assert "is less often right (−2.00 pp)" in message.subject(alert)


def test_a_benchmark_that_cries_wolf_is_to_be_mended() -> None:
    """It blames nobody's change and asks for no rerun."""
    alert = make_alert(kind="benchmark", confirmations=())
    text = message.plain(alert)

    assert "cries wolf" in text
    assert "cries wolf" in message.subject(alert)
    assert "when the benchmark is mended" in text
    assert "perflib compare" not in text
    assert "WHY" not in text


def test_a_long_list_is_cut_with_its_count() -> None:
    """A message is no table."""
    many = tuple(make_nomination(make_key(scenario=f"s{number}")) for number in range(33))

    assert "- and 13 more\n" in message.plain(make_alert(nominations=many))


# --- injection --------------------------------------------------------------------------------------------------

ATTACKS = (
    "x\n::set-output name=pwned::1",
    "x\r::error file=a::b",
    "\u2028::stop-commands::t",
    "a##[set-env name=PATH]b",
    "::add-mask::",
    ":::set-output",
    "@channel <!here> <@U123> @org/team",
    "[click](https://evil.example) ![i](javascript://x) <https://evil.example|x>",
    "www.evil.example https://evil.example",
    "`code` **bold** __u__ | cell | # head",
    "<script>alert(1)</script><img src=x onerror=y>",
    "\x1b[31mred\x07 \x00 \u202eevil\u200b",
    "; rm -rf ~ $(reboot) `reboot` && x",
    "[1]: https://evil.example",
    "x" * 5000,
)


def hostile_alert(attack: str) -> Alert:
    """Put an attack wherever a word can come from a file."""
    key = dataclasses.replace(make_key(), workload=attack, candidate=attack, scenario=attack, metric=attack)
    nomination = dataclasses.replace(make_nomination(), series=key, unit=attack)
    confirmation = make_confirmation(candidate=attack, sentence=attack, good_run_id=attack)
    culprit = dataclasses.replace(confirmation.culprits[0], detail=attack)
    rerun = Rerun(("lock",), attack, is_worse=False, ratio=None, evidence=None, sentence=attack)
    return make_alert(
        workload=attack,
        hardware_class=attack,
        host_id=attack,
        machine=attack,
        nominations=(nomination,),
        confirmations=(dataclasses.replace(confirmation, culprits=(culprit,), reruns=(rerun,)),),
        good_run_id=attack,
        since_run_id=attack,
        run_id=attack,
        owner=attack,
    )


def assert_harmless(text: str) -> None:
    """Check that no channel would find a command, a mention, a link or a mark that it obeys."""
    for line in text.splitlines():
        assert not line.lstrip().startswith("::")
    assert "##[" not in text
    assert re.search(r"::\w", text) is None
    assert "@" not in text
    assert "<" not in text
    assert "://" not in text
    assert re.search(r"www\.", text) is None
    assert "".join(one for one in text if not one.isprintable() and one != "\n") == ""


@pytest.mark.parametrize("attack", ATTACKS)
@pytest.mark.parametrize("kind", ["performance", "benchmark"])
def test_names_from_files_stay_words(attack: str, kind: Literal["performance", "benchmark"]) -> None:
    """In mails, chats, pages and logs, in every place of a message."""
    alert = dataclasses.replace(hostile_alert(attack), kind=kind)
    subject, plain, markdown = message.subject(alert), message.plain(alert), message.markdown(alert)

    assert len(subject) <= message.SUBJECT_CHARS
    assert "\n" not in subject
    assert ULID in subject
    for text in (subject, plain, markdown):
        assert_harmless(text)
    assert len(plain) < 40_000
    assert len(plain.splitlines()) == len(
        message.plain(dataclasses.replace(hostile_alert("x"), kind=kind)).splitlines()
    )


def rendered_links(markdown: str) -> list[str]:
    """Return what Markdown would make a link, a heading in a line, emphasis, or code that is left open."""
    outside = re.sub(r"`[^`\n]*`", "", re.sub(r"\\.", "", markdown))
    return re.findall(r"\]\(|\]:|(?<!\*)\*(?!\*)|_|`|\|", outside)


@pytest.mark.parametrize("attack", ATTACKS)
def test_markdown_shows_names_as_they_are(attack: str) -> None:
    """No mark of a name is left that Markdown would obey."""
    assert rendered_links(message.markdown(hostile_alert(attack))) == []


def test_the_check_for_links_sees_one() -> None:
    """The check itself can fail."""
    assert rendered_links("[x](y) and a_b") == ["](", "_"]


@pytest.mark.parametrize("attack", [one for one in ATTACKS if len(one) < 100])
def test_a_command_to_copy_is_one_command(attack: str) -> None:
    """A shell takes every name in it for one word."""
    import shlex

    # Where the packages are not the cause, a comparison is offered too.
    alert = dataclasses.replace(hostile_alert(attack), confirmations=())
    lines = message.plain(alert).splitlines()
    compare = next(line for line in lines if "hold the two runs" in line).partition("other: ")[2]
    check = next(line for line in lines if line.startswith("- measure it again")).partition("again: ")[2]

    assert shlex.split(compare)[:2] == ["perflib", "compare"]
    assert len(shlex.split(compare)) == 4
    assert shlex.split(check)[0::3] == ["perflib", "--again"]


def test_escaping_keeps_ordinary_names() -> None:
    """And does nothing twice."""
    for name in ("int8", "sentiment-minilm", "p50_sec", "numpy 2.1.0 → 2.2.0", "Größe: 3 µs, ½", "20261123-1_q_abc"):
        assert plain_words(name) == name
    for attack in ATTACKS:
        assert plain_words(plain_words(attack)) == plain_words(attack)
        assert len(plain_words(attack)) <= MAX_WORDS_COUNT
    assert markdown_words("p50_sec [a]") == r"p50\_sec \[a\]"


# --- JUnit and the job summary ----------------------------------------------------------------------------------


def series_check(metric: str = "p50_sec", state: str = "quiet", nomination: Nomination | None = None) -> SeriesCheck:
    """Return what a check made of one series."""
    key = make_key(metric)
    return SeriesCheck(key, state, 30, 0.012, "s", 0.01, 0.05, nomination)  # type: ignore[arg-type]


def make_check(*series: SeriesCheck, **fields: object) -> Check:
    """Return a check with these series."""
    check = Check(
        run_id="run-6",
        run_ulid="01R",
        checked="2026-11-23T12:00:00+00:00",
        hardware_class="c0ffee",
        host_id="host-7",
        machine="Example CPU",
        quarantine=Quarantine(is_quarantined=False, reasons=(), clean_count=3),
        canaries=(),
        noise_sentence="This machine can see 3 %.",
        series=series,
        appeared=(),
        disappeared=(),
        confirmations=(),
        alert_ulids=(),
        exit_code=0,
        sentence="Nothing got worse.",
    )
    return dataclasses.replace(check, **fields)  # type: ignore[arg-type]


def cases_of(check: Check, tmp_path: Path) -> dict[str, TestCase]:
    """Write a check, read it with the library that CI systems use, and return its cases by name."""
    document = JUnitXml.fromfile(str(write_junit(check, tmp_path / "check.xml")))
    return {case.name: case for suite in document for case in suite}


def test_each_series_is_a_test_case(tmp_path: Path) -> None:
    """Confirmed ones fail, what could not be said is skipped with its reason, the rest succeeds."""
    suspect = make_nomination()
    check = make_check(
        series_check("p50_sec", "nominated", suspect),
        series_check("p95_sec", "too few"),
        series_check("load_sec", "known"),
        series_check("examples_per_sec", "better", make_nomination(make_key("examples_per_sec"), is_worse=False)),
        series_check("size_bytes", "nominated", SIZE),
        series_check("accuracy_ratio"),
        confirmations=(make_confirmation(),),
    )
    cases = cases_of(check, tmp_path)
    results = {name: [type(one) for one in case.result] for name, case in cases.items()}

    assert results == {
        "sentiment-minilm int8 single p50_sec": [Failure],
        "sentiment-minilm int8 single p95_sec": [Skipped],
        "sentiment-minilm int8 single load_sec": [Skipped],
        "sentiment-minilm int8 single examples_per_sec": [],
        "sentiment-minilm int8 single size_bytes": [Skipped],
        "sentiment-minilm int8 single accuracy_ratio": [],
    }
    assert "12.3 ms → 14.1 ms" in cases["sentiment-minilm int8 single p50_sec"].result[0].message
    assert "1.15× [1.11, 1.19; 98 %]" in cases["sentiment-minilm int8 single p50_sec"].result[0].message
    assert cases["sentiment-minilm int8 single p95_sec"].result[0].message == "too few points to judge by: 30"
    assert "not run side by side" in cases["sentiment-minilm int8 single size_bytes"].result[0].message


@pytest.mark.parametrize(
    ("verdict", "results"),
    [("CONFIRMED", [Failure]), ("INCONCLUSIVE", [Skipped]), ("MACHINE", [Skipped]), ("WITHDRAWN", [])],
)
def test_a_verdict_decides_about_the_case(verdict: str, results: list[type], tmp_path: Path) -> None:
    """A suspicion that did not come back is a success."""
    check = make_check(
        series_check(state="nominated", nomination=make_nomination()),
        confirmations=(make_confirmation(verdict=verdict, sentence="so it is"),),
    )
    (case,) = cases_of(check, tmp_path).values()

    assert [type(one) for one in case.result] == results
    if results == [Skipped]:
        assert case.result[0].message == "so it is"


def test_a_quarantined_machine_fails_nothing(tmp_path: Path) -> None:
    """Its series are skipped, with the reason."""
    quarantine = Quarantine(is_quarantined=True, reasons=("it throttles",), clean_count=0)
    (case,) = cases_of(make_check(series_check(), quarantine=quarantine), tmp_path).values()

    assert case.result[0].message == "the machine is in quarantine: it throttles"


@pytest.mark.parametrize("attack", [*ATTACKS, "\ud800\ufffe\uffff]]>&<"])
def test_the_file_is_xml_whatever_names_hold(attack: str, tmp_path: Path) -> None:
    """Another parser reads it too, and its counts are right."""
    key = dataclasses.replace(make_key(), candidate=attack)
    nomination = dataclasses.replace(make_nomination(), series=key, unit=attack)
    series = SeriesCheck(key, "nominated", 30, 0.012, attack, 0.01, 0.05, nomination)
    check = make_check(
        series, run_id=attack, machine=attack, confirmations=(make_confirmation(candidate=attack, sentence=attack),)
    )
    root = ElementTree.parse(write_junit(check, tmp_path / "check.xml")).getroot()
    (suite,) = root.findall("testsuite")

    assert suite.attrib["tests"] == suite.attrib["failures"] == "1"
    assert xml_words(attack) in suite.find("testcase").attrib["name"]  # type: ignore[union-attr]


def test_without_a_job_nothing_is_written() -> None:
    """An empty name is none."""
    assert not append_job_summary(make_check(), [], {})
    assert not append_job_summary(make_check(), [], {"GITHUB_STEP_SUMMARY": ""})


def test_the_summary_is_appended_to_the_jobs_page(tmp_path: Path) -> None:
    """After what stands there: series, alerts, and what came and went."""
    page = tmp_path / "summary.md"
    page.write_text("before\n", encoding="utf-8")
    check = make_check(
        series_check("p50_sec", "nominated", make_nomination()),
        series_check("p95_sec"),
        appeared=(make_key("load_sec"),),
    )

    assert append_job_summary(check, [full_alert()], {"GITHUB_STEP_SUMMARY": str(page)})
    text = page.read_text(encoding="utf-8")
    assert text == f"before\n{job_summary(check, [full_alert()])}"
    assert "| `sentiment-minilm int8 single p50_sec` | nominated | 12.3 ms → 14.1 ms" in text
    assert "Quiet: 1 other series." in text
    assert "Appeared: `sentiment-minilm int8 single load_sec`" in text
    assert message.markdown(full_alert()) in text


@pytest.mark.parametrize("before_bytes", [0, MAX_SUMMARY_BYTES - 1000, MAX_SUMMARY_BYTES - 10, MAX_SUMMARY_BYTES + 5])
def test_the_summary_keeps_to_githubs_limit(before_bytes: int, tmp_path: Path) -> None:
    """It is cut between characters, and says so; a full page stays as it is."""
    page = tmp_path / "summary.md"
    page.write_bytes(b"x" * before_bytes)
    many = [full_alert()] * 1000
    written = append_job_summary(make_check(), many, {"GITHUB_STEP_SUMMARY": str(page)})
    content = page.read_bytes()

    assert len(content) <= max(MAX_SUMMARY_BYTES, before_bytes)
    assert written == (before_bytes < MAX_SUMMARY_BYTES - 100)
    assert content.decode().endswith("shows the rest.\n") == written
    assert len(content) >= MAX_SUMMARY_BYTES - 1010


@pytest.mark.parametrize("name", ["/proc/nobody/writes/here", "a\0b", "."])
def test_a_page_that_cannot_be_written_harms_nothing(name: str) -> None:
    """The check goes on."""
    assert not append_job_summary(make_check(), [], {"GITHUB_STEP_SUMMARY": name})


@pytest.mark.parametrize("attack", ATTACKS)
def test_the_jobs_page_is_safe_too(attack: str) -> None:
    """Its table keeps its three columns."""
    series = dataclasses.replace(
        series_check(state="nominated", nomination=hostile_alert(attack).nominations[0]),
        series=hostile_alert(attack).nominations[0].series,
    )
    check = make_check(series, run_id=attack, machine=attack, sentence=attack, noise_sentence=attack)
    text = job_summary(check, [hostile_alert(attack)])
    (row,) = [line for line in text.splitlines() if line.startswith("| `")]

    assert_harmless(text)
    assert len(re.findall(r"(?<!\\)\|", row)) == 4
    assert html.escape(text, quote=False).count("&lt;") == 0
    assert json.loads(json.dumps(text)) == text
