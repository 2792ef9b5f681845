"""What other people's tools read of a run: subjects, three words for four verdicts, and times that hold."""

import dataclasses
from typing import Any

import pytest

from perflib.errors import DataError
from perflib.governance.evidence.outcomes import gate_outcome, speed_outcome
from perflib.governance.evidence.statements import (
    accuracy_statement,
    gate_statement,
    performance_statement,
    provenance_statement,
)
from perflib.governance.ledger import Ledger
from perflib.results.history import EnvironmentLock, LockedPackage
from tests.ledgers import BASELINE_SHA256, CANDIDATES, make_ledger
from tests.synthetic_records import comparison, gate, scenario


@pytest.fixture(scope="module")
def ledger(tmp_path_factory: pytest.TempPathFactory) -> Ledger:
    """Return a run with an approved, a refused and an undecided candidate."""
    return make_ledger(tmp_path_factory.mktemp("statements") / "run")


def _with_summary(ledger: Ledger, **change: Any) -> Ledger:
    return dataclasses.replace(ledger, summary=dataclasses.replace(ledger.summary, **change))


@pytest.mark.parametrize("make", [accuracy_statement, performance_statement, gate_statement])
@pytest.mark.parametrize("name", CANDIDATES)
def test_the_subject_is_the_model(ledger: Ledger, make: Any, name: str) -> None:
    """Every statement about a candidate is about the digest that its build recorded."""
    statement = make(ledger, name)
    assert statement["_type"] == "https://in-toto.io/Statement/v1"
    assert statement["subject"] == [{"name": name, "digest": {"sha256": CANDIDATES[name]}}]


def test_predicates_bear_their_published_names(ledger: Ledger) -> None:
    """The types are those of SLSA and in-toto, letter by letter."""
    told = [make(ledger, "int8")["predicateType"] for make in (accuracy_statement, performance_statement)]
    assert told == ["https://in-toto.io/attestation/test-result/v0.1"] * 2
    assert gate_statement(ledger, "int8")["predicateType"] == "https://in-toto.io/attestation/svr/v0.2"
    assert provenance_statement(ledger)["predicateType"] == "https://slsa.dev/provenance/v1"


def test_what_was_not_done_cannot_be_stated(ledger: Ledger) -> None:
    """Without a build, a comparison or a validation there is no statement that needs it."""
    for part, make in (
        ("builds", accuracy_statement),
        ("comparisons", gate_statement),
        ("validations", gate_statement),
    ):
        empty: dict[str, Any] = {part: {}}
        less = dataclasses.replace(ledger, **empty)
        with pytest.raises(DataError, match="int8 was never"):
            make(less, "int8")


# --- four verdicts in three words -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("verdicts", "result"),
    [
        (["PASS"], "PASSED"),
        (["PASS", "WARN"], "WARNED"),
        (["PASS", "FAIL"], "FAILED"),
        (["PASS", "INCONCLUSIVE"], "FAILED"),
        (["WARN", "INCONCLUSIVE"], "FAILED"),
        ([], "FAILED"),
    ],
)
def test_the_worst_guardrail_is_the_result(verdicts: list[str], result: str) -> None:
    """One failure or one open question fails, one warning warns, and nothing asked is nothing shown."""
    assert gate_outcome([gate(verdict, id=f"A{place}") for place, verdict in enumerate(verdicts)]).result == result


def test_inconclusive_never_passes() -> None:
    """An open guardrail stands among the failed ones with the word, a waived one among the warnings with its waiver."""
    gates = [
        gate("PASS", id="A1"),
        gate("WARN", id="A2"),
        gate("FAIL", id="A3"),
        gate("INCONCLUSIVE", id="A4"),
        gate("INCONCLUSIVE", id="A5", waiver="ann, until 2026-04-01: known"),
        gate("FAIL", id="A6", waiver="ben, until 2026-04-01: known"),
    ]
    found = gate_outcome(gates)
    assert found.passed == ("A1",)
    assert found.warned == (
        "A2",
        "A5 (INCONCLUSIVE, waived: ann, until 2026-04-01: known)",
        "A6 (FAIL, waived: ben, until 2026-04-01: known)",
    )
    assert found.failed == ("A3", "A4 (INCONCLUSIVE)")


@pytest.mark.parametrize(
    ("verdicts", "change", "result"),
    [
        (["IMPROVEMENT", "PASS"], {}, "PASSED"),
        (["IMPROVEMENT", "INCONCLUSIVE"], {}, "WARNED"),
        (["INCONCLUSIVE", "INCONCLUSIVE"], {}, "FAILED"),
        (["IMPROVEMENT", "REGRESSION"], {}, "FAILED"),
        (["IMPROVEMENT", "PASS"], {"marks": ("1 of 5 lives was noisy",)}, "WARNED"),
        (["IMPROVEMENT", "PASS"], {"stop": "arm-failed"}, "FAILED"),
        (["IMPROVEMENT", "PASS"], {"stop": "interrupted"}, "FAILED"),
        (["IMPROVEMENT", "PASS"], {"stop": "lives-spent"}, "PASSED"),
    ],
)
def test_speed_in_three_words(verdicts: list[str], change: dict[str, Any], result: str) -> None:
    """A regression or a measurement that was cut short fails; an open scenario beside a decided one warns."""
    single, offline = (scenario(name, one) for name, one in zip(("single", "offline"), verdicts, strict=True))
    found = speed_outcome(comparison(single, offline, **change))
    assert found.result == result
    told = {name for name in (*found.passed, *found.failed) if not name.startswith("the measurement")}
    assert told == {f"single ({verdicts[0]})", f"offline ({verdicts[1]})"}
    assert not any(word in name for name in found.passed for word in ("INCONCLUSIVE", "REGRESSION"))


@pytest.mark.parametrize(
    ("name", "result", "properties"),
    [
        (
            "int8",
            "PASSED",
            ["PERFLIB_ACCURACY_PASS", "PERFLIB_NOREGRESSION_PASS", "PERFLIB_IMPROVEMENT", "PERFLIB_APPROVED"],
        ),
        ("vocabulary", "FAILED", ["PERFLIB_NOREGRESSION_PASS", "PERFLIB_IMPROVEMENT"]),
        ("bf16", "FAILED", ["PERFLIB_NOREGRESSION_PASS", "PERFLIB_IMPROVEMENT"]),
    ],
)
def test_only_promises_that_are_kept_are_listed(ledger: Ledger, name: str, result: str, properties: list[str]) -> None:
    """A failed or open guardrail takes accuracy and approval away, and leaves what is true of the speed."""
    assert accuracy_statement(ledger, name)["predicate"]["result"] == result
    assert gate_statement(ledger, name)["predicate"]["properties"] == properties


def test_an_open_scenario_is_no_promise_of_no_regression(ledger: Ledger) -> None:
    """What could not be decided is not promised, and a measurement that was cut short promises nothing of speed."""
    one = ledger.comparisons["int8"]
    unclear = dataclasses.replace(one, scenarios=(one.scenarios[0], scenario("offline", "INCONCLUSIVE")))
    for changed, kept in ((unclear, True), (dataclasses.replace(one, stop="interrupted"), False)):
        other = dataclasses.replace(ledger, comparisons={**ledger.comparisons, "int8": changed})
        properties = gate_statement(other, "int8")["predicate"]["properties"]
        assert "PERFLIB_NOREGRESSION_PASS" not in properties
        assert ("PERFLIB_IMPROVEMENT" in properties) is kept


def test_a_statement_names_what_was_tested_with(ledger: Ledger) -> None:
    """Limits, test split, inputs and baseline stand in the configuration by their digests."""
    validation, measured = ledger.validations["int8"], ledger.comparisons["int8"]
    accuracy = accuracy_statement(ledger, "int8")["predicate"]["configuration"]
    assert [one["digest"]["sha256"] for one in accuracy] == [
        validation.guardrails_sha256,
        validation.split_sha256,
        validation.identity.baseline_sha256,
    ]
    speed = performance_statement(ledger, "int8")["predicate"]["configuration"]
    assert [one["digest"]["sha256"] for one in speed[1:]] == [measured.inputs_sha256, BASELINE_SHA256]
    assert speed[0]["annotations"]["alpha_ratio"] == measured.alpha_ratio


# --- provenance -------------------------------------------------------------------------------------------------------


def test_provenance_names_what_went_in_and_came_out(ledger: Ledger) -> None:
    """Subjects are all models that were built; parameters, code and packages are those of the run."""
    lock = EnvironmentLock("3.11.7", (LockedPackage("torch", "2.13.0+cpu"), LockedPackage("numpy", "2.4.6")))
    statement = provenance_statement(dataclasses.replace(ledger, lock=lock))
    assert {one["name"]: one["digest"]["sha256"] for one in statement["subject"]} == CANDIDATES
    definition = statement["predicate"]["buildDefinition"]
    given = definition["externalParameters"]
    assert given["params"]["digest"]["sha256"] == ledger.summary.params_sha256
    assert given["guardrails"]["digest"]["sha256"] == ledger.summary.guardrails_sha256
    assert definition["internalParameters"]["code"] == {
        "commit": "abcdef0",
        "digest": {"sha256": ledger.summary.code_sha256},
    }
    uris = [one["uri"] for one in definition["resolvedDependencies"] if "uri" in one]
    # The plus sign of a local version must not be read as a blank.
    assert uris == ["pkg:generic/python@3.11.7", "pkg:pypi/numpy@2.4.6", "pkg:pypi/torch@2.13.0%2Bcpu"]


def test_provenance_claims_no_more_than_it_can(ledger: Ledger) -> None:
    """The builder says that it speaks of itself, which is Build L1 at best."""
    assert "Build L1 at best" in provenance_statement(ledger)["predicate"]["runDetails"]["builder"]["perflib_level"]


@pytest.mark.parametrize(
    ("started", "wall_sec", "told"),
    [
        ("2026-03-01T08:00:00+00:00", 600.0, ("2026-03-01T08:00:00Z", "2026-03-01T08:10:00Z")),
        ("2026-03-01T09:00:00+01:00", 599.99, ("2026-03-01T08:00:00Z", "2026-03-01T08:09:59Z")),
        ("2026-03-01T08:00:00+00:00", None, ("2026-03-01T08:00:00Z", "2026-03-01T08:10:00Z")),
        ("2026-03-01T09:00:00+00:00", None, ("2026-03-01T09:00:00Z", "2026-03-01T09:00:00Z")),
    ],
)
def test_times_are_of_the_run_and_in_utc(
    ledger: Ledger, started: str, wall_sec: float | None, told: tuple[str, str]
) -> None:
    """Start and end are the run's own, in whole seconds; a run that still goes ends when its results were recorded."""
    metadata = provenance_statement(_with_summary(ledger, started=started, wall_sec=wall_sec))["predicate"][
        "runDetails"
    ]["metadata"]
    assert (metadata["startedOn"], metadata["finishedOn"]) == told


def test_a_time_that_is_none_is_refused(ledger: Ledger) -> None:
    """Words and times without a zone cannot be put in order with others."""
    for started in ("yesterday", "2026-03-01T08:00:00"):
        with pytest.raises(DataError, match="make the run again"):
            provenance_statement(_with_summary(ledger, started=started))


def test_a_run_without_candidates_speaks_of_its_baseline(ledger: Ledger) -> None:
    """A statement needs a subject: the baseline where nothing was built, and none without any model."""
    less = dataclasses.replace(ledger, builds={})
    assert provenance_statement(less)["subject"] == [{"name": "baseline", "digest": {"sha256": BASELINE_SHA256}}]
    with pytest.raises(DataError, match="has made no model"):
        provenance_statement(dataclasses.replace(less, baseline=None))
