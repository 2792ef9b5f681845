"""Each rule of the verifier by itself, at its borders; what is found in whole packs is in the tests of tampers."""

import dataclasses
import datetime
import json
from collections.abc import Callable
from typing import Any

import pandas as pd
import pytest

from perflib.errors import DataError
from perflib.governance.evidence.pack import Pack
from perflib.governance.evidence.rules import (
    complete,
    crosswalk,
    decided,
    identities,
    money,
    order,
    policy,
    quiet,
    shown,
)
from perflib.governance.evidence.rules.base import Setting, claimed_names
from perflib.governance.evidence.rules.book import RULES
from perflib.governance.evidence.rules.recomputed import lives
from perflib.governance.evidence.rules.shown import numbers_in
from perflib.governance.evidence.rules.waivers import open_gates, waivers
from perflib.records import sha256_bytes
from perflib.results import Validation
from tests.hand_packs import SETTING, broken, hand_pack
from tests.sound_packs import CANDIDATE_SHA256, DECISION, RUN_ID, ULID, sound_files
from tests.synthetic_records import gate, identity, validation
from tests.test_evidence_strict import parquet
from tests.whole_records import NAME

VALIDATION = f"records/validation-{NAME}.json"
MANIFEST = {"run_id": RUN_ID, "run_ulid": ULID, "claimed": (NAME,)}


def pack_with(change: dict[str, Any] | None = None, **manifest: Any) -> Pack:
    """Return the sound pack with some files instead of its own; None leaves one out."""
    files: dict[str, Any] = sound_files()
    files.update(change or {})
    return hand_pack({path: one for path, one in files.items() if one is not None}, **{**MANIFEST, **manifest})


def edited(path: str, change: Callable[[Any], Any]) -> dict[str, Any]:
    """Return a JSON file of the sound pack after a change in place."""
    document = json.loads(sound_files()[path])
    change(document)
    return {path: document}


def found(rule: Any, pack: Pack, setting: Setting = SETTING) -> list[tuple[int, str]]:
    """Return code and file of what a rule finds wrong."""
    return [(one.code, one.path) for one in broken(rule(pack, setting))]


@pytest.mark.parametrize(
    "rule", [one for one in RULES if one.look.__module__ != lives.__module__], ids=lambda one: one.title
)
def test_the_sound_pack_keeps_every_rule(rule: Any) -> None:
    """And each rule looked at something."""
    looks = list(rule.look(pack_with(), SETTING))

    assert looks
    assert broken(iter(looks)) == []


# --- who is claimed ---------------------------------------------------------------------------------------------------


def test_a_candidate_is_claimed_wherever_something_claims_it() -> None:
    """Taking its name out of the manifest hides nothing; a quarantined one is not claimed by being there."""
    refused = edited("run.json", lambda run: run["candidates"][0].update(verdict="quarantined"))

    assert claimed_names(pack_with(claimed=())) == [NAME]
    assert claimed_names(pack_with(refused, claimed=())) == []
    assert claimed_names(pack_with(refused, claimed=(), promoted=(NAME,))) == [NAME]
    with pytest.raises(DataError, match="no name"):
        claimed_names(pack_with(promoted=("../x",)))


# --- policy -----------------------------------------------------------------------------------------------------------

WAIVER = {
    "artifact": CANDIDATE_SHA256[:12],
    "gate": "A2",
    "owner": "ann",
    "reason": "known",
    "compensating_control": "a person reads along",
    "granted": "2026-02-01",
    "expires": "2026-03-02",
}


def judged(*verdicts: str, verdict: str = "FAIL", **gates: Any) -> Validation:
    """Return a record whose gates say this."""
    one = validation(gates=tuple(gate(word, **gates) for word in verdicts), verdict=verdict)
    shas = dict.fromkeys(("candidate_sha256", "built_sha256", "timed_candidate_sha256"), CANDIDATE_SHA256)
    digest = sha256_bytes(sound_files()["params/guardrails.yaml"])
    return dataclasses.replace(one, name=NAME, identity=identity(**shas), guardrails_sha256=digest)


def book(**change: str) -> str:
    """Return a file of one waiver."""
    return "waivers:\n- " + "\n  ".join(f"{key}: '{value}'" for key, value in (WAIVER | change).items()) + "\n"


@pytest.mark.parametrize("word", ["FAIL", "INCONCLUSIVE"])
def test_what_is_claimed_needs_every_gate_or_a_waiver(word: str) -> None:
    """An open question is no pass; a waiver of another model or gate is none."""
    record = {VALIDATION: judged("PASS", word)}

    assert found(policy.gates, pack_with(record)) == [(6, VALIDATION)]
    assert found(policy.gates, pack_with(record | {"params/waivers.yaml": None})) == [(6, VALIDATION)]
    assert found(policy.gates, pack_with(record | {"params/waivers.yaml": book(gate="A3-all")})) == [(6, VALIDATION)]
    assert found(policy.gates, pack_with(record | {"params/waivers.yaml": book(artifact="2" * 12)})) == [
        (6, VALIDATION)
    ]
    waived = {VALIDATION: judged("PASS", word, verdict="WARN"), "params/waivers.yaml": book()}
    assert found(policy.gates, pack_with(waived)) == []
    assert list(policy.warnings(pack_with(waived))) == [f"{NAME}: A2 says {word} and is waived until 2026-03-02."]


def test_a_warning_passes_and_is_listed() -> None:
    """It breaks nothing."""
    pack = pack_with({VALIDATION: judged("WARN", verdict="WARN")})

    assert found(policy.gates, pack) == []
    assert list(policy.warnings(pack)) == [f"{NAME}: A2 warns."]


def test_gates_that_nobody_asked_do_not_pass() -> None:
    """Nor does a verdict that contradicts them."""
    assert found(policy.gates, pack_with({VALIDATION: judged(verdict="PASS")})) == [(6, VALIDATION)]
    assert found(policy.gates, pack_with({VALIDATION: judged("PASS", verdict="FAIL")})) == [(6, VALIDATION)]


def test_an_honest_run_that_refuses_a_candidate_verifies() -> None:
    """A quarantined candidate is a result, not a fault; claiming it is one."""
    run = edited("run.json", lambda run: run["candidates"][0].update(verdict="quarantined"))
    files = run | {VALIDATION: judged("FAIL")}

    assert found(policy.gates, pack_with(files, claimed=())) == []
    assert found(policy.gates, pack_with(files)) == [(6, VALIDATION)]


def test_only_a_finalist_may_be_claimed() -> None:
    """It was named before the test split was seen."""
    run = edited("run.json", lambda run: run["candidates"][0].update(is_finalist=False))

    assert found(policy.gates, pack_with(run)) == [(6, "run.json")]


def test_limits_are_those_that_were_registered() -> None:
    """One comment more is another file."""
    loose = {"params/guardrails.yaml": sound_files()["params/guardrails.yaml"] + b"# harmless\n"}

    assert found(policy.limits, pack_with(loose)) == [(6, "run.json"), (6, VALIDATION)]


def test_a_last_day_is_included() -> None:
    """Waiver, plan and decision hold on their last day, and no longer."""
    pack = pack_with({"params/waivers.yaml": book()})

    def on(day: str) -> list[str]:
        return [path for _, path in found(policy.freshness, pack, Setting(datetime.date.fromisoformat(day)))]

    assert on("2026-03-02") == []
    assert on("2026-03-03") == ["params/waivers.yaml"]
    assert on("2026-05-30") == ["params/waivers.yaml"]
    assert on("2026-05-31") == ["params/waivers.yaml", f"records/rollout-{NAME}.json", DECISION]


@pytest.mark.parametrize(
    "text",
    [
        "waivers: {}\n",
        "waivers: []\nmore: 1\n",
        "waivers:\n- 7\n",
        book(owner=""),
        book(artifact="1" * 11),
        book(artifact="A" * 12),
        book(gate="A13"),
        book(gate="A14"),
        book(expires="2026-05-03"),
        book(expires="2026-01-31"),
        book(expires="soon"),
        book(granted="2026-03-02"),
        book(more="x"),
    ],
)
def test_a_waiver_that_is_none_is_refused(text: str) -> None:
    """Too long, too young, for everything, or for what cannot be waived."""
    with pytest.raises(DataError):
        waivers(pack_with({"params/waivers.yaml": text}))


def test_ninety_days_and_the_day_of_the_pack_are_allowed() -> None:
    """The borders belong to what is allowed; the longest of two waivers counts."""
    (one,) = waivers(pack_with({"params/waivers.yaml": book(granted="2026-03-01", expires="2026-05-30")}))
    shorter = dataclasses.replace(one, expires=datetime.date(2026, 3, 1))

    ((_, waiver),) = open_gates(judged("FAIL"), (shorter, one))

    assert waiver == one


# --- what is shown ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "value", "is_kept"),
    [
        ("3.21×", 3.2149, True),
        ("3.21×", 3.2151, False),
        ("84.7 %", 0.8465, True),
        ("84.7 %", 0.8475, True),
        ("84.7 %", 0.8476, False),
        ("−0.57 pp", -0.0057, True),
        ("−0.57 pp", 0.0057, False),
        ("+0.57 pp", -0.0057, False),
        ("loses 0.57 pp", -0.0057, True),
        ("18.6 ms", 0.01864, True),
        ("18.6 s", 0.01864, False),
        ("90.9 MB", 90_868_376, True),
        ("200 GFLOP/s", 2.0e11, True),
        ("1,234 EUR", 1234.4, True),
        ("1,234 EUR", 1234.6, False),
        ("12 000", 12_000.0, False),
        ("5e-07", 5.2e-7, True),
        ("10 minutes", 600.0, True),
    ],
)
def test_a_number_is_compared_as_far_as_it_is_shown(text: str, value: float, is_kept: bool) -> None:
    """With its unit, its sign, and half of its last digit."""
    assert any(number.is_of(value) for number in numbers_in(text)) == is_kept


def test_every_number_of_a_text_is_read() -> None:
    """An interval has three; a version or a hyphen makes no number negative."""
    assert [one.value for one in numbers_in("3.21× [3.05, 3.40] in 5-6 lives")] == [3.21, 3.05, 3.4, 5, 6]
    assert [one.value for one in numbers_in("1,234,567 and 12,34")] == [1_234_567, 12, 34]


def report(inner: str) -> dict[str, Any]:
    """Return a page with one result section."""
    data = {"low": -0.02, "rows": [1, 2, 3], "words": "31 of 31 pass", "mib": 4}
    return {"report.html": f"<p>2026</p><main><section>{inner}</section></main>", "x.json": data}


@pytest.mark.parametrize(
    ("inner", "problem_count"),
    [
        ('<b data-ev="x.json#/low">−2.0 %</b>', 0),
        ('<b data-ev="x.json#/low">−2.<i>1</i> %</b>', 1),
        ('<b data-ev="x.json#/rows">3 rows</b>', 0),
        ('<b data-ev="x.json#/words">31 of 31 pass</b>', 0),
        ('<b data-ev="x.json#/words">31 of 32 pass</b>', 1),
        ('<b data-ev="x.json#/low x.json#/mib">2.0 % of 4</b>', 0),
        ('<b data-ev="x.json#/none">words</b>', 1),
        ('<b data-ev="none.json#/low">words</b>', 1),
        ('<b data-ev="../x.json#/low">words</b>', 1),
        ("<p>no digits</p>", 0),
        ("<p>4 %</p>", 1),
        ("<p>&#52; %</p>", 1),
        ("<p>٤ %</p>", 1),
        ("<svg><text>4</text></svg><style>p1{}</style>", 0),
        ('<br><img alt="4"><b data-ev="x.json#/mib">4</b> 5', 2),
        ('<p data-ev-block="x.json#/rows">7 of 9 <img alt="4"></p>', 0),
        ('<p data-ev-block="none.json">7 of 9</p>', 1),
        ('<p data-ev-block="">7 of 9</p>', 1),
        ('<p data-ev-block="x.json"><b data-ev="x.json#/mib">5</b></p>', 1),
        ('<b data-ev="x.json#/mib"><i data-ev="x.json#/low">2 %</i> of 4</b>', 0),
        ('</p></i><b data-ev="x.json#/mib">4', 0),
    ],
)
def test_results_show_what_their_records_say(inner: str, problem_count: int) -> None:
    """Outside of results anybody may write a number; inside none stands without a place."""
    assert len(broken(shown.numbers(hand_pack(report(inner)), SETTING))) == problem_count


def test_a_report_without_results_is_not_believed() -> None:
    """Else renaming the sections would be enough."""
    assert found(shown.numbers, hand_pack({"report.html": "<p>all is 99 % better</p>"})) == [(5, "report.html")]


def test_a_pointer_at_half_the_pack_proves_nothing() -> None:
    """Some number in it would always fit."""
    files = report('<b data-ev="big.json#">7</b>') | {"big.json": list(range(1_000))}

    assert found(shown.numbers, hand_pack(files)) == [(5, "report.html")]


# --- files that belong together ---------------------------------------------------------------------------------------


def test_an_accepted_item_needs_gates_decision_and_way_back() -> None:
    """Each of them is missed by itself."""
    plan, decision = f"records/rollout-{NAME}.json", sound_files()[DECISION].decode()
    proposed = decision.replace("status: accepted", "status: proposed", 1)

    assert found(decided.items, pack_with({plan: None})) == [(5, decided.BACKLOG)]
    assert found(decided.items, pack_with({DECISION: proposed})) == [(5, decided.BACKLOG)]
    missing = found(decided.items, pack_with({VALIDATION: None}))
    assert (5, decided.BACKLOG) in missing
    open_gate = broken(decided.items(pack_with({VALIDATION: judged("INCONCLUSIVE")}), SETTING))
    assert any("neither pass nor are waived" in one.sentence for one in open_gate)


def test_a_card_names_its_model() -> None:
    """The whole digest, not a part of a longer word."""
    card = f"candidates/{NAME}/MODEL_CARD.md"

    assert found(identities.models, pack_with({card: f"x{CANDIDATE_SHA256}"})) == [(5, card)]
    assert found(identities.models, pack_with({card: f"`{CANDIDATE_SHA256}`"})) == []


def test_a_crosswalk_has_all_rows_and_its_pointers_resolve() -> None:
    """A row that is not covered says why."""
    nothing = edited("crosswalk.json", lambda one: one["rows"][-1].update(reason=" "))

    assert found(crosswalk.rows, pack_with(nothing)) == [(5, "crosswalk.json")]
    assert len(crosswalk.ANNEX_HEADINGS | crosswalk.NIST_SUBCATEGORIES) == 26


def test_the_bill_sums_to_a_cent() -> None:
    """A cent is rounding, two are not."""

    def off_by(cents: float) -> list[tuple[int, str]]:
        return found(
            money.costs,
            pack_with(
                edited(
                    "records/finops-run.json",
                    lambda one: one["arms"][0].update(month_amount=one["arms"][0]["month_amount"] + cents),
                )
            ),
        )

    assert off_by(0.01) == []
    assert off_by(0.0101) == [(5, "finops/focus.csv")]


def test_percentiles_are_in_order() -> None:
    """p50 is not above p95, and an estimate lies within its bounds."""

    def swapped(one: Any) -> None:
        one["scenarios"][0]["candidate"]["percentiles"] = [
            {"share_ratio": share, "estimate_sec": at, "low_sec": at, "high_sec": at, "call_count": 320}
            for share, at in ((0.5, 0.2), (0.95, 0.1))
        ]

    sentences = [
        one.sentence for one in broken(lives(pack_with(edited(f"records/comparison-{NAME}.json", swapped)), SETTING))
    ]
    assert "Percentiles of single are not in order." in sentences


def test_a_time_needs_its_zone() -> None:
    """Else two readers order two files differently."""
    with pytest.raises(DataError, match="without its zone"):
        list(order.times(pack_with(built="2026-03-01T09:00:00"), SETTING))


def test_decisions_are_as_many_as_candidates() -> None:
    """What was tried and did not work is decided too."""
    assert (3, "decisions") in found(complete.files, pack_with({DECISION: None}))


# --- secrets and strictness -------------------------------------------------------------------------------------------


def test_a_secret_is_found_in_every_kind_of_file() -> None:
    """Also in the cells of a table and in a key file."""
    token = "ghp_" + "a1B2" * 9
    files = {
        "a.parquet": parquet(pd.DataFrame({"n": [1, 2], "id": ["x", token]})),
        "keys/author.pub": token,
        "b.json": {"a": token},
        "c.bin": b"\xff\x00" + token.encode(),
        "d.json": {"sha256": "0123456789abcdef" * 4},
    }

    assert found(quiet.silence, hand_pack(files)) == [
        (5, path) for path in ("a.parquet", "b.json", "c.bin", "keys/author.pub")
    ]


def test_a_machine_is_not_named() -> None:
    """Neither by its own name nor in a column's name."""
    files = {"a.txt": "made on buildhost7", "b.parquet": parquet(pd.DataFrame({"buildhost7": ["x"]}))}

    assert found(quiet.silence, hand_pack(files)) == []
    setting = dataclasses.replace(SETTING, host_names=("buildhost7",))
    assert found(quiet.silence, hand_pack(files), setting) == [(5, "a.txt"), (5, "b.parquet")]


def test_documents_that_no_rule_asks_for_are_strict_too() -> None:
    """A repeated key in any of them is of another schema."""
    files = {
        "sbom/x.json": '{"a": 1, "a": 2}',
        "x.yaml": "a: &b 1\n",
        "x.md": b"\xff",
        "x.parquet": b"PAR1",
        "x.bin": b"\xff",
    }

    assert found(quiet.strictness, hand_pack(files)) == [
        (2, path) for path in ("sbom/x.json", "x.md", "x.parquet", "x.yaml")
    ]


def test_names_from_the_pack_are_plain_in_problems() -> None:
    """A terminal that prints them does nothing else."""
    hostile = edited(
        "crosswalk.json", lambda one: one["rows"][0]["pointers"][0].update(pointer="/\x1b[2J\n" + "x" * 500)
    )

    (problem,) = broken(crosswalk.rows(pack_with(hostile), SETTING))
    assert problem.sentence.isprintable()
    assert len(problem.sentence) <= 160
