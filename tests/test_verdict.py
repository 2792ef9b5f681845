"""The verdict: every row of the rule, and the exit code that a CI job sees."""

from pathlib import Path
from typing import Any

import pytest

from perflib.artifact import Artifact, Lineage
from perflib.results import Candidate, Comparison, Estimate, Failure, Validation
from perflib.runs import Run
from perflib.verdict import QUARANTINE_FILE, exit_code, headline, judge, judge_run, mark_quarantine
from tests.synthetic_records import build, candidate, comparison, gate, scenario, unbounded, validation

WAIVER = "Ada Example, until 2027-01-31: The next release repairs it. Instead: Tweets go to the old model."

FAST, SLOW = scenario("single", "IMPROVEMENT"), scenario("offline", "REGRESSION")
SAME, OPEN = scenario("offline", "PASS"), unbounded("offline")


def ruling(measured: Comparison | None, checked: Validation | None, **change: Any) -> Candidate:
    """Judge one candidate."""
    return judge("int8", **{"build": build(), "comparison": measured, "validation": checked} | change)


@pytest.mark.parametrize(
    ("scenarios", "gates", "verdict", "reason"),
    [
        ((FAST, SAME), ("PASS",), "approved", "3.00× [2.80, 3.20] as fast in single"),
        ((FAST, SAME), ("PASS", "WARN"), "approved", "the WARN sentence"),
        ((FAST, SAME), ("PASS", "WARN", "PASS"), "approved", "2 of 3 guardrails pass."),
        ((FAST, OPEN), ("PASS",), "approved", "as fast in single"),
        ((FAST, SLOW), ("PASS",), "quarantined", "Slower in offline"),
        ((FAST, SAME), ("FAIL",), "quarantined", "the FAIL sentence"),
        ((FAST, SAME), ("FAIL", "INCONCLUSIVE"), "quarantined", "the FAIL sentence"),
        ((SLOW, OPEN), ("INCONCLUSIVE",), "quarantined", "Slower in offline"),
        ((SAME,), ("PASS",), "quarantined", "faster in no scenario"),
        ((FAST, SAME), ("PASS", "INCONCLUSIVE"), "undecided", "the INCONCLUSIVE sentence"),
        ((OPEN,), ("PASS",), "undecided", "Not decided in offline: 1 lives rule out no slowdown"),
        ((FAST, SAME), (), "undecided", "No guardrail was checked"),
    ],
)
def test_every_row_of_the_rule(scenarios: Any, gates: Any, verdict: str, reason: str) -> None:
    """Speed and correctness together decide, and the reason is in words."""
    found = ruling(comparison(*scenarios), validation(*gates))

    assert found.verdict == verdict
    assert any(reason in one for one in found.reasons)


@pytest.mark.parametrize("found", ["FAIL", "INCONCLUSIVE"])
def test_a_waived_gate_is_listed_with_its_waiver(found: Any) -> None:
    """It holds nothing up, and nobody ships it without reading who answers for it."""
    waived = gate(found, id="A7-drop", waiver=WAIVER)

    one = ruling(comparison(FAST, SAME), validation(gates=(gate("PASS"), waived)))

    assert one.verdict == "approved"
    assert one.reasons[1:] == ("1 of 2 guardrails pass.", f"the {found} sentence Waived by {WAIVER}")


def test_a_waiver_ends_its_sentence() -> None:
    """Whether or not its author did."""
    unfinished = gate("FAIL", waiver=WAIVER.removesuffix("."))

    assert ruling(comparison(FAST, SAME), validation(gates=(unfinished,))).reasons[-1].endswith("the old model.")


@pytest.mark.parametrize(
    ("other", "verdict"), [("FAIL", "quarantined"), ("INCONCLUSIVE", "undecided"), ("WARN", "approved")]
)
def test_a_waiver_holds_for_its_own_gate(other: Any, verdict: str) -> None:
    """Another one that fails or is open still decides, and its sentence is the reason."""
    waived, second = gate("FAIL", waiver=WAIVER), gate(other, id="A9")

    one = ruling(comparison(FAST, SAME), validation(gates=(waived, second)))

    assert one.verdict == verdict
    assert f"the {other} sentence" in one.reasons


def test_a_waiver_makes_nothing_faster() -> None:
    """A slow candidate stays where it is."""
    one = ruling(comparison(FAST, SLOW), validation(gates=(gate("FAIL", waiver=WAIVER),)))

    assert one.verdict == "quarantined"
    assert [reason.split(":")[0] for reason in one.reasons] == ["Slower in offline"]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"failure": Failure("int8", "stage", "it fell back to fp32.")}, "it fell back to fp32."),
        ({"comparison": None}, "speed was not measured"),
        ({"validation": None}, "answers were not validated"),
        ({"build": None}, "it was not built"),
    ],
)
def test_a_candidate_with_a_record_missing_has_failed(change: dict[str, Any], reason: str) -> None:
    """However good the rest looks."""
    found = judge("int8", **{"build": build(), "comparison": comparison(), "validation": validation("PASS")} | change)

    assert found.verdict == "failed"
    assert reason in found.reasons[0]


def test_the_summary_line_holds_speed_size_and_quality() -> None:
    """Estimates keep their bounds, and what was not measured is None."""
    found = ruling(comparison(scenario("single")), validation("PASS"))

    assert found.single_p50_speedup_ratio == Estimate(3.0, 2.8, 3.2)
    assert found.offline_throughput_speedup_ratio is None
    assert found.size_ratio == 0.25
    assert found.accuracy_change is not None
    assert found.accuracy_change.low == -0.0136


@pytest.mark.parametrize(
    ("verdicts", "has_failed_step", "code"),
    [
        ((), False, 0),
        ((), True, 4),
        (("approved",), False, 0),
        (("approved", "quarantined", "undecided"), False, 0),
        (("approved", "failed"), False, 4),
        (("approved",), True, 4),
        (("undecided", "quarantined"), False, 5),
        (("undecided",), False, 5),
        (("quarantined", "quarantined"), False, 2),
        (("failed", "undecided"), False, 4),
    ],
)
def test_the_exit_code_follows_its_precedence(verdicts: Any, has_failed_step: bool, code: int) -> None:
    """A failed notebook or candidate, then something approved, then undecided, then all quarantined."""
    candidates = [candidate(verdict=verdict) for verdict in verdicts]

    assert exit_code(candidates, has_failed_step=has_failed_step) == code


def test_the_headline_ships_the_fastest_approved_one() -> None:
    """Throughput leads with its interval, size and accuracy beside it."""
    slower = candidate("bf16", offline_throughput_speedup_ratio=Estimate(1.5, 1.4, 1.6))
    faster_but_wrong = candidate("prune", "quarantined", offline_throughput_speedup_ratio=Estimate(9.0, 8.0, 10.0))

    assert headline([slower, candidate(), faster_but_wrong]) == (
        "Ship int8: 2.00× [1.90, 2.10] as fast as today in throughput, 25 % of the size, "
        "accuracy −0.57 pp (at worst −1.36 pp)."
    )


def test_the_headline_tells_the_speed_that_was_proved() -> None:
    """A candidate that is faster in single calls only is not announced with an undecided throughput."""
    one = candidate(offline_throughput_speedup_ratio=Estimate(0.98, 0.9, 1.1))

    assert "3.00× [2.80, 3.20] as fast as today one at a time" in headline([one])


def test_the_headline_leaves_out_what_was_not_measured() -> None:
    """No dash stands in the first sentence of a report."""
    unknown: dict[str, Any] = {"offline_throughput_speedup_ratio": None, "size_ratio": None, "accuracy_change": None}

    assert headline([candidate(**unknown)]) == "Ship int8: 3.00× [2.80, 3.20] as fast as today one at a time."
    assert headline([candidate(**unknown, single_p50_speedup_ratio=None)]) == "Ship int8."


def test_the_headline_says_when_nothing_may_be_shipped() -> None:
    """Each candidate is named with its verdict; without any, the baseline is all there is."""
    none = headline([candidate("bf16", "failed"), candidate("int8", "quarantined")])

    assert none == "Ship nothing yet: bf16 is failed, int8 is quarantined."
    assert headline([]) == "No candidate was asked for; the baseline is measured."


def test_a_run_is_judged_from_its_records(tmp_path: Path) -> None:
    """Candidates come in the order of their names; a failed build is one of them."""
    run = Run(tmp_path)
    run.write(build(), "int8")
    run.write(comparison(), "int8")
    run.write(validation(gates=(gate(),)), "int8")
    run.write(Failure("bf16", "stage", "no bf16 here."), "bf16")
    run.write(Failure("baseline", "cell", "no baseline."), "baseline")

    assert [(one.name, one.verdict) for one in judge_run(run)] == [("bf16", "failed"), ("int8", "approved")]


def kept(run: Run, name: str) -> Path:
    """Seal an artifact in a run's folder, and return that folder."""
    folder = run.artifact_folder(name)
    folder.mkdir(parents=True)
    (folder / "model.safetensors").write_bytes(b"weights")
    Artifact.seal(folder, engine="torch", precision="fp32", labels=("a",), lineage=Lineage("toy", None, (), {}))
    return folder


@pytest.mark.parametrize("verdict", ["quarantined", "undecided", "failed"])
def test_what_may_not_be_promoted_says_so_in_its_folder(tmp_path: Path, verdict: Any) -> None:
    """Every reason is a line of its own, also one that came in several."""
    run = Run(tmp_path)
    folder = kept(run, "int8")

    mark_quarantine(run, [candidate("int8", verdict, reasons=("It is slower.", "It fell\n# back."))])

    assert (folder / QUARANTINE_FILE).read_text(encoding="utf-8") == (
        f"# int8 may not be promoted: it is {verdict}\n\n- It is slower.\n- It fell # back.\n"
    )


def test_a_quarantined_artifact_can_still_be_loaded(tmp_path: Path) -> None:
    """The note is no weight file, and changes no digest."""
    run = Run(tmp_path)
    folder = kept(run, "int8")
    digest = Artifact.load(folder).digest

    mark_quarantine(run, [candidate("int8", "quarantined")])

    assert (folder / QUARANTINE_FILE).is_file()
    assert Artifact.load(folder).digest == digest


def test_the_note_goes_when_its_reason_has_gone(tmp_path: Path) -> None:
    """Approved at last, marked again, and each candidate by its own verdict."""
    run = Run(tmp_path)
    note, other = kept(run, "int8") / QUARANTINE_FILE, kept(run, "bf16") / QUARANTINE_FILE

    seen = []
    for verdict in ("quarantined", "approved", "undecided"):
        mark_quarantine(run, [candidate("int8", verdict), candidate("bf16", "approved")])
        seen.append((note.exists(), other.exists()))

    assert seen == [(True, False), (False, False), (True, False)]
    assert "undecided" in note.read_text(encoding="utf-8")


@pytest.mark.parametrize("verdict", ["quarantined", "approved", "failed"])
def test_a_candidate_that_was_never_kept_gets_no_folder(tmp_path: Path, verdict: Any) -> None:
    """A build that failed leaves nothing to mark."""
    mark_quarantine(Run(tmp_path), [candidate("int8", verdict)])

    assert list(tmp_path.iterdir()) == []
