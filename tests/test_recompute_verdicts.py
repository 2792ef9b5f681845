"""The verdict on a candidate, given a second time from its records; finalists together."""

import dataclasses
import itertools
import json
from pathlib import Path
from typing import Any

import pytest

from perflib.errors import DataError
from perflib.governance.recompute import candidate_verdict, recompute_verdicts, run_verdicts
from perflib.records import write_json
from perflib.results import Failure
from perflib.runs import Run
from perflib.verdict import judge, judge_run
from tests.ledgers import make_ledger
from tests.synthetic_records import build, comparison, gate, scenario, validation

SPEEDS = ("IMPROVEMENT", "PASS", "REGRESSION", "INCONCLUSIVE")
GATES = ("PASS", "WARN", "FAIL", "INCONCLUSIVE")


def plain(record: Any) -> dict[str, Any] | None:
    """Return a record as its file holds it."""
    return None if record is None else json.loads(json.dumps(record.to_dict()))


@pytest.mark.parametrize("is_waived", [False, True])
def test_every_pair_of_speeds_and_gates_gets_the_same_verdict(is_waived: bool) -> None:
    """All four verdicts of both scenarios with all pairs of gates, waived or not, and without any gate."""
    seen = set()
    waiver = "A. Person, until 2026-12-01: known." if is_waived else None
    for speeds in itertools.product(SPEEDS, repeat=2):
        timed = comparison(*(scenario(name, one) for name, one in zip(("single", "offline"), speeds, strict=True)))
        for verdicts in [(), *itertools.product(GATES, repeat=2)]:
            found = validation(gates=tuple(gate(one, waiver=waiver) for one in verdicts))
            mine = candidate_verdict(plain(build()), plain(timed), plain(found))
            seen.add(mine)

            assert mine == judge("int8", build=build(), comparison=timed, validation=found).verdict

    assert seen == {"approved", "quarantined", "undecided"}


@pytest.mark.parametrize("stop", ["running", "interrupted", "arm-failed", "decided", "hopeless"])
def test_a_comparison_that_was_cut_short_is_a_failure(stop: Any) -> None:
    """What ended by itself counts."""
    timed = comparison(stop=stop)
    mine = candidate_verdict(plain(build()), plain(timed), plain(validation("PASS")))

    assert mine == judge("int8", build=build(), comparison=timed, validation=validation("PASS")).verdict
    assert (mine == "failed") == (stop in ("running", "interrupted", "arm-failed"))


@pytest.mark.parametrize("missing", [0, 1, 2])
def test_a_missing_record_is_a_failure(missing: int) -> None:
    """Whichever it is; and so is one that says what could not be done."""
    records = [plain(build()), plain(comparison()), plain(validation("PASS"))]
    failure = plain(Failure("int8", "no-compiler", "It could not be built."))
    assert candidate_verdict(*records) == "approved"
    assert candidate_verdict(*records, failure=failure) == "failed"

    records[missing] = None

    assert candidate_verdict(*records) == "failed"


def make_run(
    folder: Path,
    counts: dict[str, tuple[int, int]],
    *,
    finalists: list[str] | None = None,
    slow: str = "",
    waived: str = "",
) -> Path:
    """
    Write a run of candidates with these flips among 10,000 answers, judged as a run judges them.

    All are fast but ``slow``; all pass their margin alone, but ``waived`` has a waiver instead.
    """
    make_ledger(folder)
    run = Run(folder)
    for path in (folder / "records").glob("*.json"):
        path.unlink()
    for name, (worse_count, better_count) in counts.items():
        margin = gate("PASS", id="A2", limit=0.0104)
        if name == waived:
            margin = dataclasses.replace(margin, verdict="INCONCLUSIVE", waiver="A. Person, until 2026-12-01: known.")
        found = dataclasses.replace(
            validation(gates=(margin,)),
            example_count=10_000,
            negative_flip_count=worse_count,
            positive_flip_count=better_count,
        )
        run.write(build(), name)
        run.write(comparison(scenario("single", "REGRESSION" if name == slow else "IMPROVEMENT"), name=name), name)
        run.write(found, name)
    summary = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    summary["params"]["finalists"] = finalists or []
    write_json(folder / "run.json", summary)
    summary["candidates"] = [
        {**summary["candidates"][0], "name": one.name, "verdict": one.verdict, "is_finalist": one.is_finalist}
        for one in judge_run(run)
    ]
    write_json(folder / "run.json", summary)
    return folder


NEAR, FAR, GOOD = (372, 312), (300, 100), (10, 10)


@pytest.mark.parametrize(
    ("counts", "finalists", "verdicts"),
    [
        ({"near": NEAR}, None, {"near": ("approved", True)}),
        ({"near": NEAR, "far": FAR}, None, {"near": ("undecided", True), "far": ("undecided", True)}),
        ({"near": NEAR, "good": GOOD}, None, {"near": ("approved", True), "good": ("approved", True)}),
        ({"near": NEAR, "far": FAR}, ["near"], {"near": ("approved", True), "far": ("approved", False)}),
        ({"near": NEAR, "other": NEAR, "good": GOOD}, None, {"near": ("undecided", True), "good": ("approved", True)}),
    ],
)
def test_finalists_are_judged_together(
    tmp_path: Path,
    counts: dict[str, tuple[int, int]],
    finalists: list[str] | None,
    verdicts: dict[str, tuple[str, bool]],
) -> None:
    """A loss that is ruled out alone need not be beside others, and only finalists pay for each other."""
    folder = make_run(tmp_path / "run", counts, finalists=finalists)

    found = run_verdicts(folder)

    assert found | verdicts == found
    assert recompute_verdicts(folder) == ()


def test_beside_others_nobody_gets_better_and_a_waiver_bears_its_gate(tmp_path: Path) -> None:
    """Who is slower stays quarantined, and who was waived stays approved, though neither is shown with the others."""
    folder = make_run(tmp_path / "run", {"near": NEAR, "slow": NEAR, "waived": NEAR}, slow="slow", waived="waived")

    assert {name: verdict for name, (verdict, _) in run_verdicts(folder).items()} == {
        "near": "undecided",
        "slow": "quarantined",
        "waived": "approved",
    }
    assert recompute_verdicts(folder) == ()


def test_alone_nobody_is_judged_beside_others(tmp_path: Path) -> None:
    """A margin that passes and should not is for the gates to find, here as in the run's own verdict."""
    folder = make_run(tmp_path / "run", {"bad": (900, 100)})

    assert run_verdicts(folder) == {"bad": ("approved", True)}
    assert recompute_verdicts(folder) == ()


def test_an_altered_verdict_is_named(tmp_path: Path) -> None:
    """Approved where it is not, and a finalist where it is none."""
    folder = make_run(tmp_path / "run", {"near": NEAR, "far": FAR}, finalists=["near"])
    summary = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    by_name = {one["name"]: one for one in summary["candidates"]}
    by_name["near"]["verdict"], by_name["far"]["is_finalist"] = "quarantined", True
    write_json(folder / "run.json", summary)

    assert sorted(recompute_verdicts(folder)) == [
        "far is approved, and follows as approved (no finalist).",
        "near is quarantined, and follows as approved.",
    ]


def test_an_altered_record_changes_what_follows(tmp_path: Path) -> None:
    """A gate that fails after all makes the run's own word differ."""
    folder = make_run(tmp_path / "run", {"near": NEAR})
    path = folder / "records" / "validation-near.json"
    record = json.loads(path.read_text(encoding="utf-8"))
    record["gates"][0]["verdict"] = "FAIL"
    write_json(path, record)

    assert recompute_verdicts(folder) == ("near is approved, and follows as quarantined.",)


def test_a_folder_that_is_no_run_is_refused(tmp_path: Path) -> None:
    """With a sentence."""
    with pytest.raises(DataError, match=r"has no run\.json"):
        run_verdicts(tmp_path)
    write_json(tmp_path / "run.json", {"params": {}})
    with pytest.raises(DataError, match=r"cannot be given again .*candidates"):
        run_verdicts(tmp_path)
