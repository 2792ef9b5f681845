"""Tests for the plan by which a candidate goes to users and comes back."""

import dataclasses
import datetime
import re
from pathlib import Path
from typing import Any

import pytest
from scipy.stats import binom

from perflib.artifact import ArtifactSpec, Lineage, Runtime
from perflib.errors import ParameterError
from perflib.governance.ledger import Ledger
from perflib.governance.rollout import thresholds
from perflib.governance.rollout.instructions import isa_of, needed_isa
from perflib.governance.rollout.plan import disagreement_limit_ratio, plan_rollout
from perflib.governance.rollout.samples import least_request_count, requests_to_tell
from perflib.results.governance import RolloutPlan
from tests.ledgers import BASELINE_SHA256, CANDIDATES, make_ledger

TODAY = datetime.date(2026, 3, 1)
AMD = ("avx2", "fma", "avx512f", "avx512bw", "avx512_vnni", "avx_vnni", "avx512_bf16")


def make_plan(ledger: Ledger, name: str = "int8") -> RolloutPlan:
    """Plan the way of a candidate."""
    return plan_rollout(ledger, name, owner="Ann", approvers=("author", "reviewer"), today=TODAY)


def changing(ledger: Ledger, changed_count: int, example_count: int) -> Ledger:
    """Return a ledger whose candidate has changed so many labels of the test split."""
    validation = dataclasses.replace(
        ledger.validations["int8"], changed_label_count=changed_count, example_count=example_count
    )
    return dataclasses.replace(ledger, validations={**ledger.validations, "int8": validation})


def spec(engine: str, precision: str, **change: Any) -> ArtifactSpec:
    """Return the record of an artifact without files."""
    one = ArtifactSpec(engine, precision, None, {}, ("a", "b"), Runtime(), (), Lineage("toy", None, (), {}))
    return dataclasses.replace(one, **change)


def test_a_plan_goes_in_five_stages_from_nobody_to_everybody(tmp_path: Path) -> None:
    """Shadow serves nobody; every later stage serves more, and all are watched by the same gates."""
    plan = make_plan(make_ledger(tmp_path / "run"))

    assert [(one.name, one.traffic_ratio) for one in plan.stages] == [
        ("shadow", 0.0),
        ("canary-1", 0.01),
        ("canary-10", 0.1),
        ("half", 0.5),
        ("full", 1.0),
    ]
    assert plan.stages[0].mirror_ratio == 1.0
    assert {one.gates for one in plan.stages} == {plan.triggers}
    assert {gate.on_missing for gate in plan.triggers} == {"hold"}
    assert all(one.least_sec >= gate.breach_count * gate.window_sec for one in plan.stages for gate in one.gates)


def test_a_plan_names_its_models_people_and_last_day(tmp_path: Path) -> None:
    """Digests are those of the records; the plan ends after 90 days."""
    plan = make_plan(make_ledger(tmp_path / "run"))

    assert (plan.candidate_sha256, plan.baseline_sha256) == (CANDIDATES["int8"], BASELINE_SHA256)
    assert (plan.owner, plan.approvers) == ("Ann", ("author", "reviewer"))
    assert plan.expires == "2026-05-30"
    assert BASELINE_SHA256[:12] in plan.rollback_action
    assert "candidates/int8/gate.json" in plan.preconditions
    assert plan == RolloutPlan.from_dict(plan.to_dict())


def test_the_gates_watch_errors_labels_the_tail_and_the_share_of_answers(tmp_path: Path) -> None:
    """One gate each, with the house limits where the test split showed few changes."""
    gates = {gate.metric: gate for gate in make_plan(changing(make_ledger(tmp_path / "run"), 8, 1000)).triggers}

    assert (gates["error_ratio"].op, gates["error_ratio"].limit) == ("<=", 0.01)
    assert (gates["label_agreement_ratio"].op, gates["label_agreement_ratio"].limit) == (">=", 0.98)
    assert (gates["p99_sec"].limit, gates["p99_sec"].relative_to) == (1.1, "baseline")
    assert (gates["answer_shift_ratio"].op, gates["answer_shift_ratio"].limit) == ("abs<=", 0.01)


@pytest.mark.parametrize(("changed", "limit"), [(0, 0.02), (13, 0.02), (14, 0.021), (34, 0.051), (40, 0.06)])
def test_a_validated_model_that_differs_more_may_differ_more(changed: int, limit: float) -> None:
    """Half as much again as the test split showed, in steps of a thousandth, and never below 2 %."""
    assert disagreement_limit_ratio(changed / 1000) == limit


def test_the_least_number_of_requests_follows_from_what_must_be_seen(tmp_path: Path) -> None:
    """Twice the error limit needs 1,787; a candidate near its label limit needs more."""
    ledger = make_ledger(tmp_path / "run")
    rare, near = (make_plan(changing(ledger, count, 1000)).stages[0].least_request_count for count in (2, 13))

    assert rare == 1787
    assert near == requests_to_tell(0.013, 0.02) > rare


@pytest.mark.parametrize("limit", [0.01, 0.02, 0.05])
def test_so_many_requests_really_show_twice_the_limit(limit: float) -> None:
    """The exact binomial test has about the promised power with that number, and not with half of it."""
    count = requests_to_tell(limit, 2 * limit)

    def power(n: int) -> float:
        breach = int(binom.isf(0.01, n, limit)) + 1  # the first count whose tail is below 1 %
        return float(binom.sf(breach - 1, n, 2 * limit))

    assert power(count) == pytest.approx(0.90, abs=0.03)
    assert power(count // 2) < 0.75


def test_a_share_without_a_validation_is_not_asked_for() -> None:
    """The two limits and the tail remain."""
    assert least_request_count(disagreement_ratio=None, disagreement_limit_ratio=0.02) == 1787
    assert least_request_count(disagreement_ratio=None, disagreement_limit_ratio=0.9) == 1787


@pytest.mark.parametrize(
    ("made", "tested", "needed"),
    [
        (spec("openvino", "int8"), AMD, ("avx512_vnni",)),
        (spec("openvino", "int8"), ("avx2", "avx_vnni"), ("avx_vnni",)),
        (spec("openvino", "int8"), ("avx2", "avx512_vnni", "amx_int8"), ("amx_int8",)),
        (spec("openvino", "int8"), ("avx2", "avx512f"), ("avx512f",)),
        (spec("onnxruntime", "int8"), ("asimd", "asimddp"), ("asimddp",)),
        (spec("openvino", "int8", options={"settings": {"DYNAMIC_QUANTIZATION_GROUP_SIZE": "0"}}), AMD, ("avx512f",)),
        (
            spec("openvino", "int8", options={"settings": {"DYNAMIC_QUANTIZATION_GROUP_SIZE": "32"}}),
            AMD,
            ("avx512_vnni",),
        ),
        (spec("torch", "bf16"), AMD, ("avx512_bf16",)),
        (spec("torch", "fp32"), AMD, ("avx512f",)),
        (spec("torch", "fp32"), ("avx2", "fma"), ("avx2",)),
        (spec("aotinductor", "fp32", options={"isa_flags": ["avx2", "fma"]}), AMD, ("avx2", "fma")),
        (spec("torch", "bf16", runtime=Runtime(device="cuda")), AMD, ()),
        (spec("torch", "fp32"), (), ()),
    ],
)
def test_a_candidate_needs_only_what_its_products_run_on(
    made: ArtifactSpec, tested: tuple[str, ...], needed: tuple[str, ...]
) -> None:
    """The best of what engines prefer for its precision, and all of what machine code was compiled for."""
    assert isa_of(made, tested) == needed


def test_the_artifact_says_what_it_needs_and_the_validation_what_was_there(tmp_path: Path) -> None:
    """Where the artifact was tidied away, everything that the machine had is needed."""
    ledger = make_ledger(tmp_path / "run")
    tested = ledger.validations["int8"].identity.isa_flags

    assert needed_isa(ledger, "int8") == tested
    spec("openvino", "int8").write(ledger.folder / "artifacts" / "int8" / "artifact.json")
    assert needed_isa(ledger, "int8") == ("avx512_vnni",)
    assert make_plan(ledger).needs_isa == ("avx512_vnni",)


@pytest.mark.parametrize(
    ("name", "word"), [("vocabulary", "quarantined"), ("bf16", "undecided"), ("int9", "no candidate `int9`")]
)
def test_what_may_not_be_shipped_is_refused_in_one_sentence(tmp_path: Path, name: str, word: str) -> None:
    """The sentence says what it is and why."""
    with pytest.raises(ParameterError, match=re.escape(word)) as caught:
        make_plan(make_ledger(tmp_path / "run"), name)

    assert "\n" not in str(caught.value)


def test_an_approved_candidate_that_was_no_finalist_is_refused(tmp_path: Path) -> None:
    """It was chosen after the run had seen the test split."""
    ledger = make_ledger(tmp_path / "run")
    late = dataclasses.replace(ledger.candidates[0], is_finalist=False)

    with pytest.raises(ParameterError, match="no finalist"):
        make_plan(dataclasses.replace(ledger, candidates=(late, *ledger.candidates[1:])))


def test_every_threshold_stands_in_the_table() -> None:
    """The table at the top of the module is what people read; its numbers are the code's."""
    table = thresholds.__doc__ or ""
    for word in (
        ", ".join(f"{100 * share:g}" for _, share, _ in thresholds.STAGES),
        f"at most {100 * thresholds.ERROR_LIMIT_RATIO:g} %",
        f"at least {100 * (1 - thresholds.LEAST_DISAGREEMENT_LIMIT_RATIO):g} %",
        f"{thresholds.DISAGREEMENT_FACTOR_RATIO:g} times the disagreement",
        f"at most {thresholds.LATENCY_FACTOR_RATIO:.2f} times",
        f"{thresholds.SHORT_WINDOW_SEC / 60:g} min, else {thresholds.LONG_WINDOW_SEC / 60:g} min",
        f"{thresholds.BREACH_COUNT} in a row",
        f"{thresholds.SHADOW_SEC / 60:g} min, then {thresholds.STAGE_SEC / 60:g} min",
        f"| way back | {thresholds.ROLLBACK_SEC / 60:g} min",
        f"{thresholds.EXPIRY_DAYS} days",
        f"1 of {1 / thresholds.MIRROR_RATIO:g}",
    ):
        assert word in table
