"""Tables: escaped, captioned, the baseline marked, speed never without quality."""

import dataclasses
import re
from html.parser import HTMLParser
from typing import Any

import matplotlib as mpl
import pytest

from perflib import machine, tables
from perflib.results import Interval, Percentile
from tests.synthetic_records import (
    baseline,
    build,
    candidate,
    ceilings,
    comparison,
    full_validation,
    gate,
    metric,
    probe,
    profile,
    scenario,
    timing,
    unbounded,
    validation,
)

mpl.use("Agg")

ATTACK = "<script>alert(1)</script>\"'&"


class Cells(HTMLParser):
    """Collects rows of text, row classes, the caption and every tag."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.rows: list[list[str]] = []
        self.classes: list[str | None] = []
        self.tags: set[str] = set()
        self.caption = ""
        self._place = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Open a row or a cell."""
        self.tags.add(tag)
        if tag == "tr":
            self.rows.append([])
            self.classes.append(dict(attrs).get("class"))
        if tag in ("td", "th"):
            self.rows[-1].append("")
        if tag in ("td", "th", "caption"):
            self._place = tag

    def handle_data(self, data: str) -> None:
        """Add text to the caption or the last cell."""
        if self._place == "caption":
            self.caption += data
        elif self.rows:
            self.rows[-1][-1] += data


WORDS_OF_AN_EXEMPLAR = ("id", "text", "label", "baseline_label", "candidate_label", "direction", "slices")


def exemplar(**change: Any) -> dict[str, Any]:
    """Return one answer that changed."""
    return {
        "id": "test-17",
        "text": "not bad at all",
        "label": "positive",
        "baseline_label": "positive",
        "candidate_label": "negative",
        "divergence_nat": 0.6931,
        "direction": "became wrong",
        "slices": ["negation: yes", "domain: tweets"],
    } | change


def all_tables() -> dict[str, str]:
    """Draw every table with hostile text wherever a text can come from outside."""
    card = dataclasses.replace(
        machine.read_card(),
        cpu_model=ATTACK,
        isa_flags=(ATTACK,),
        governor=ATTACK,
        operating_system=ATTACK,
        kernel=ATTACK,
        versions={ATTACK: ATTACK},
    )
    operators = tuple(dataclasses.replace(row, operator=ATTACK) for row in profile().operators)
    bad_gate = gate(name=ATTACK, sentence=ATTACK, source=ATTACK, id=ATTACK, waiver=ATTACK)
    return {
        "machine": tables.machine_table(card),
        "ceilings": tables.ceilings_table(ceilings(int8_op_per_sec=None)),
        "operators": tables.operators_table(dataclasses.replace(profile(), operators=operators)),
        "baseline": tables.baseline_table(baseline(workload=ATTACK, unit=ATTACK)),
        "comparison": tables.comparison_table(comparison(name=ATTACK), validation("PASS"), build()),
        "unbounded": tables.comparison_table(comparison(unbounded()), validation("PASS"), build()),
        "timings": tables.timings_table(comparison(scenario(ATTACK), name=ATTACK)),
        "metrics": tables.metrics_table(comparison(metrics=(metric(ATTACK),))),
        "no metrics": tables.metrics_table(comparison(metrics=())),
        "gates": tables.gates_table(dataclasses.replace(validation(gates=(bad_gate,)), profile=ATTACK)),
        "probes": tables.probes_table(full_validation(probes=(probe(ATTACK),))),
        "no probes": tables.probes_table(validation("PASS")),
        "exemplars": tables.exemplars_table([exemplar(**dict.fromkeys(WORDS_OF_AN_EXEMPLAR, ATTACK))]),
        "no exemplars": tables.exemplars_table([]),
        "summary": tables.summary_table([candidate(ATTACK)], baseline(unit=ATTACK), caption=ATTACK),
        "empty": tables.summary_table([], None, caption="nothing"),
    }


@pytest.mark.parametrize("name", sorted(all_tables()))
def test_every_table_is_escaped_and_whole(name: str) -> None:
    """No text becomes a tag; there is a caption, and every row is as long as the head."""
    html = all_tables()[name]
    cells = Cells(html)

    assert "<script" not in html
    assert cells.tags <= {"table", "caption", "thead", "tbody", "tr", "th", "td", "code", "span"}
    assert cells.caption
    assert {len(row) for row in cells.rows} == {len(cells.rows[0])}
    assert 'scope="col"' in html


def test_the_baselines_row_is_marked() -> None:
    """In every table that compares, the first row is the baseline's and is marked as such."""
    for html in (
        tables.summary_table([candidate()], baseline(), caption="x"),
        tables.comparison_table(comparison(), validation("PASS"), build()),
        tables.baseline_table(baseline()),
    ):
        assert Cells(html).classes[1:2] == ["baseline"]
        assert Cells(html).classes.count("baseline") == 1
    assert Cells(tables.summary_table([candidate()], None, caption="x")).classes == [None, None]


def test_speed_stands_beside_quality() -> None:
    """A row of the decision has both speeds, the accuracy change with its bound, the size and the verdict."""
    cells = Cells(tables.summary_table([candidate()], baseline(), caption="x"))

    assert cells.rows[1] == ["baseline", "1× (30.0 ms)", "1× (62.0 texts/s)", "85.0 %", "100 MB", "today"]
    assert cells.rows[2] == [
        "int8",
        "3.00× [2.80, 3.20]",
        "2.00× [1.90, 2.10]",
        "−0.57 pp (at worst −1.36 pp)",
        "25 %",
        "approved",
    ]


def test_what_is_unknown_is_a_dash() -> None:
    """A failed candidate and a missing memory reading are no zeros."""
    failed = candidate(
        verdict="failed",
        single_p50_speedup_ratio=None,
        offline_throughput_speedup_ratio=None,
        size_ratio=None,
        accuracy_change=None,
    )

    assert Cells(tables.summary_table([failed], None, caption="x")).rows[1] == ["int8", "–", "–", "–", "–", "failed"]
    assert [row[-1] for row in Cells(tables.comparison_table(comparison(), validation("PASS"), build())).rows[1:]] == [
        "1.00 MB",
        "–",
        "–",
    ]


def test_an_interval_that_does_not_exist_is_not_shown() -> None:
    """Too few lives give an estimate without brackets."""
    html = tables.comparison_table(comparison(unbounded()), validation("PASS"), build())

    assert Cells(html).rows[3][1] == "1.20×"


def test_the_caption_gives_the_counts_behind_the_numbers() -> None:
    """Lives, the level of the intervals, and the number of test examples."""
    cells = Cells(tables.comparison_table(comparison(scenario()), validation("PASS"), build()))

    assert cells.caption == "5 pairs of fresh processes; intervals at 90 %; 872 test examples."


def test_reasons_are_listed_and_escaped() -> None:
    """Each candidate's name, verdict and reasons, none of them a tag."""
    html = tables.reasons_list([candidate(ATTACK, reasons=(ATTACK, "second"))])

    assert "<script" not in html
    assert re.search(r"second</li>", html)
    assert tables.reasons_list([]) == '<ul class="reasons"></ul>'


def test_many_reasons_are_counted_where_they_would_be_a_wall_of_words() -> None:
    """Four stand as they are, of five the first three; a candidate's own section has all of them."""
    assert tables.sentences_of(["1.", "2.", "3.", "4."]) == "1. 2. 3. 4."
    assert tables.sentences_of(["1.", "2.", "3.", "4.", "5."]) == "1. 2. 3. And 2 more reasons."


def test_a_pill_cannot_break_out_of_its_class() -> None:
    """The verdict's word is the class, escaped."""
    assert tables.pill("PASS") == '<span class="verdict pass">PASS</span>'
    assert '"><' not in tables.pill('"><b')


def test_timings_stand_scenario_by_scenario() -> None:
    """Both arms and what is gained, with the percentiles that the calls support; the baseline's rows are marked."""
    cells = Cells(tables.timings_table(comparison()))

    assert cells.classes[1:] == ["baseline", None, None] * 2
    assert [row[0] for row in cells.rows[1:]] == [
        *("single, baseline", "single, int8", "gain"),
        *("offline, baseline", "offline, int8", "gain"),
    ]
    assert cells.rows[1][1:] == ["30.0 ms [29.4 ms, 30.0 ms]", "32.4 ms [31.8 ms, 32.4 ms]", "–", "33.3", "800", "–"]
    assert cells.rows[2][1:4] == ["10.0 ms [9.80 ms, 10.0 ms]", "10.8 ms [10.6 ms, 10.8 ms]", "–"]
    assert cells.rows[3][1:] == ["3.00×", "3.00×", "–", "3.00×", "3.00×", "–"]
    assert cells.rows[4][1:4] == ["–", "–", "–"]


def test_less_energy_is_a_gain() -> None:
    """Energy is gained when the candidate needs less; a counter that stood still is no ratio."""
    some, less, none = (timing(joule_per_example=joule, tokens_per_sec=None) for joule in (0.4, 0.1, 0.0))
    gained = Cells(tables.timings_table(comparison(scenario(baseline=some, candidate=less))))
    still = Cells(tables.timings_table(comparison(scenario(baseline=some, candidate=none))))

    assert [row[-1] for row in gained.rows[1:]] == ["0.4 J", "0.1 J", "4.00×"]
    assert [row[-2] for row in gained.rows[1:]] == ["–", "–", "–"]
    assert still.rows[3][-1] == "–"


def test_a_percentile_of_one_arm_only_gives_no_gain() -> None:
    """Where the calls of one arm do not support p99, the other's still stands."""
    tail = Percentile(0.99, 0.05, 0.04, 0.06, 1000)
    rows = Cells(tables.timings_table(comparison(scenario(baseline=timing(percentiles=(tail,)))))).rows

    assert [row[3] for row in rows[1:]] == ["50.0 ms [40.0 ms, 60.0 ms]", "–", "–"]


def test_metrics_stand_with_interval_evidence_and_finding() -> None:
    """Evidence that nobody reads digit by digit is cut, and a missing interval is not shown."""
    wide = metric("load_sec", ratio=Interval(1.01, None, None, 0.9), evidence_less=0.5, evidence_more=1e18)
    cells = Cells(tables.metrics_table(comparison(metrics=(metric(), dataclasses.replace(wide, finding="more")))))

    assert cells.rows[1] == ["peak_rss_bytes", "0.5× [0.45, 0.55]", "64.0", "below 0.01", "less"]
    assert cells.rows[2] == ["load_sec", "1.01×", "0.5", "over 100,000", "more"]
    assert "their number, 2 " in cells.caption


def test_a_gate_stands_with_what_was_found_and_who_set_its_limit() -> None:
    """What only warns says up to where; a waiver follows the reason; those that pass can be left out."""
    gates = (
        gate("WARN", id="A5-ece", measured=0.0123, low=0.004, high=0.019, limit=0.01, warn_limit=0.02),
        gate(id="A2", measured=-0.002, low=None, high=None),
        gate("FAIL", id="A9", measured=0.05, low=0.01, high=None, limit=0.01, waiver="A. Person, until May"),
        gate("INCONCLUSIVE", id="A13", measured=None, limit=0.0),
    )
    rows = Cells(tables.gates_table(validation(gates=gates))).rows

    assert rows[0] == ["gate", "verdict", "what was found", "limit set by"]
    assert rows[1] == ["A5-ece non-inferiority", "WARN", "the WARN sentence", "house default, warns to 2 pp"]
    assert rows[2] == ["A2 non-inferiority", "PASS", "the PASS sentence", "house default"]
    assert rows[3][2] == "the FAIL sentence Waived: A. Person, until May"
    assert rows[4][1] == "INCONCLUSIVE"
    open_only = Cells(tables.gates_table(validation(gates=gates), is_open_only=True)).rows
    assert open_only == [rows[0], rows[1], *rows[3:]]


def test_a_probe_stands_with_both_failure_rates_and_the_increase() -> None:
    """Counts with their shares, bounds of the increase, and whether it is judged; a suite of nothing has no share."""
    cells = Cells(tables.probes_table(full_validation(probes=(probe(), probe("none", probe_count=0, is_gated=False)))))

    assert cells.rows[1] == [
        *("perturbation", "typo (version 1)", "400", "12 (3.0 %)", "14 (3.5 %)"),
        *("+0.50 pp [−0.75 pp, +1.75 pp]", "yes"),
    ]
    assert cells.rows[2][2:5] == ["0", "12", "14"]
    assert cells.rows[2][6] == "no: too few, or only reported"
    assert "2 kinds" in cells.caption


def test_exemplars_are_capped_and_counted() -> None:
    """Twenty rows in the file's order; the caption says how many there are."""
    some, all_of_them, none = (
        Cells(tables.exemplars_table([exemplar(id=f"test-{place}") for place in range(count)])) for count in (21, 20, 0)
    )

    assert [row[0] for row in some.rows[1:]] == [f"test-{place}" for place in range(20)]
    assert some.caption == "Answers that changed: 21 in the file, the first 20 of them here."
    assert all_of_them.caption == "Answers that changed: 20 in the file, all of them here."
    assert none.caption == "No answer changed; the file is empty."
    assert some.rows[1][1:] == [
        *(
            "not bad at all",
            "positive",
            "positive",
            "negative",
            "0.693",
            "became wrong",
            "negation: yes; domain: tweets",
        )
    ]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("x" * 200, "x" * 200),
        ("x" * 201, "x" * 199 + "…"),
        ("one\n\ttwo", "one two"),
        ("\u202edesrever\u202c", "desrever"),
        ("café 🎉", "café 🎉"),
    ],
)
def test_a_text_cannot_leave_its_cell(text: str, shown: str) -> None:
    """Two hundred characters at most, on one line, and nothing that turns the direction of what stands beside."""
    assert Cells(tables.exemplars_table([exemplar(text=text)])).rows[1][1] == shown


@pytest.mark.parametrize(
    ("divergence_nat", "shown"),
    [(0.001, "0.001"), (0.0009, "<0.001"), (0.0, "<0.001"), (27.63, "27.630"), (None, "–"), (float("nan"), "–")],
)
def test_a_divergence_is_written_without_exponent(divergence_nat: float | None, shown: str) -> None:
    """An answer that is no number has none."""
    assert Cells(tables.exemplars_table([exemplar(divergence_nat=divergence_nat)])).rows[1][5] == shown
