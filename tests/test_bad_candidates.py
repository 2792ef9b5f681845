"""The validator against candidates whose truth is known: every bad one is caught, and the baseline itself never is."""

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from perflib import project
from perflib.artifact import Runtime
from perflib.errors import DataError, ParameterError
from perflib.records import sha256_file
from perflib.results import RunSummary, Validation
from perflib.runs import SUMMARY_FILE, Run
from perflib.validating import load_limits
from perflib.validation.numerics import EXAMPLE_COUNT
from perflib.validation.overlaps import check_apart
from perflib.validation.predictions import Answers, pair
from perflib.workloads.base import Splits
from tests.bad_candidates import CASES, REFUSED, Bench, Case, Rerun, leaky_splits

pytestmark = pytest.mark.gates

Judged = Callable[[str, str], Validation]

# Examples per batch, threads, and whether inputs come in another order.
RERUNS = tuple(itertools.product((5, 16, 32, 64, 256), (1, 2), (False, True)))


@pytest.fixture(scope="module")
def bench() -> Iterator[Bench]:
    """Prepare `reviews-tiny` once; it is trained where nobody has done so before."""
    thread_count = torch.get_num_threads()
    yield Bench.prepared()
    torch.set_num_threads(thread_count)


@pytest.fixture(scope="module")
def judged(bench: Bench, tmp_path_factory: pytest.TempPathFactory) -> Judged:
    """Return a bad candidate's record by name and profile; each is asked once."""
    cases = {(case.name, case.profile): case for case in CASES}
    known: dict[tuple[str, str], Validation] = {}

    def find(name: str, profile: str = "lossy") -> Validation:
        if (name, profile) not in known:
            answered = cases[name, profile].make(bench, tmp_path_factory.mktemp("candidate"))
            known[name, profile] = bench.judged(answered, profile=profile)
        return known[name, profile]

    return find


def verdicts(found: Validation) -> dict[str, str]:
    """Return the verdict of each gate."""
    return {gate.id: gate.verdict for gate in found.gates}


def sentence(found: Validation, gate_id: str) -> str:
    """Return what a gate says."""
    return next(gate.sentence for gate in found.gates if gate.id == gate_id)


def test_all_fourteen_are_here() -> None:
    """None can be left out, or stand here without a gate."""
    assert list(dict.fromkeys([*(case.name for case in CASES), *REFUSED])) == [
        "M1 balanced flips",
        "M2 slice harm",
        "M3 over-confidence",
        "M4 identity bias",
        "M5 typo fragility",
        "M6 NaN",
        "M7 batch dependence",
        "M8 truncation",
        "M9 wrong artifact",
        "M10 leaked calibration",
        "M11 majority collapse",
        "M12 weight noise",
        "M13 stale guardrails",
        "M14 missing rows",
    ]
    assert all(case.gates for case in CASES)


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.name}, {case.profile}")
def test_a_bad_candidate_fails_at_the_gate_that_is_there_for_it(judged: Judged, case: Case) -> None:
    """What each candidate does is said where it is made; every gate named there fails, and so does the whole."""
    found = judged(case.name, case.profile)

    assert {gate: verdicts(found)[gate] for gate in case.gates} == dict.fromkeys(case.gates, "FAIL")
    assert found.verdict == "FAIL"


def test_balanced_flips_leave_accuracy_as_it_was(judged: Judged) -> None:
    """M1 is what mean accuracy cannot see: A1 and A2 pass, and only those that count flips and loyalty fail."""
    found = judged("M1 balanced flips", "lossy")

    assert found.negative_flip_count == found.positive_flip_count == round(0.02 * found.example_count)
    assert found.candidate_accuracy_ratio == found.baseline_accuracy_ratio
    assert (verdicts(found)["A1"], verdicts(found)["A2"]) == ("PASS", "PASS")


def test_harm_to_a_slice_hides_in_the_whole(judged: Judged) -> None:
    """M2 costs less than half a point in all, and A7 names the slice that pays for it."""
    found = judged("M2 slice harm", "lossy")

    assert -0.005 < found.accuracy_change_ratio.estimate < 0
    assert verdicts(found)["A1"] == "PASS"
    assert sentence(found, "A7-drop").startswith("negation = yes")


@pytest.mark.parametrize("profile", ["lossy", "lossless"])
def test_over_confidence_changes_no_answer(judged: Judged, profile: str) -> None:
    """M3 leaves every label as it was, so accuracy is identical and only confidence can tell."""
    found = judged("M3 over-confidence", profile)

    assert found.changed_label_count == 0
    assert found.candidate_accuracy_ratio == found.baseline_accuracy_ratio


@pytest.mark.parametrize("profile", ["lossy", "lossless"])
def test_identity_bias_is_found_among_names(judged: Judged, profile: str) -> None:
    """M4 favours a name, and A10 names that group, not another."""
    assert sentence(judged("M4 identity bias", profile), "A10-mean").startswith("By name,")


def test_typos_are_met_only_in_probes(judged: Judged) -> None:
    """M5 is right wherever the tokenizer knows every word, so the test split alone would not show it."""
    assert judged("M5 typo fragility", "lossy").changed_label_count == 0


def test_one_answer_in_a_thousand_is_not_finite(judged: Judged) -> None:
    """M6 loses just that many answers, and A12 counts each."""
    found = judged("M6 NaN", "lossy")

    assert found.non_finite_count == -(-found.example_count // 1000)


def test_a_collapse_is_found_where_it_is(judged: Judged) -> None:
    """M11 spares the other domains, and A7 names the one that collapsed."""
    assert sentence(judged("M11 majority collapse", "lossy"), "A7-drop").startswith("domain = hotel")


def test_noise_costs_what_it_was_raised_to(judged: Judged) -> None:
    """M12 is a model of its own, with other weights, that loses at least a point and a half."""
    found = judged("M12 weight noise", "lossy")

    assert found.accuracy_change_ratio.estimate <= -0.015
    assert found.identity.candidate_sha256 != found.identity.baseline_sha256


def test_leaked_calibration_is_refused_before_anything_is_built(bench: Bench) -> None:
    """M10, where splits were cut by hand: neither a build nor `Splits` itself takes texts of the test split."""
    leaky = leaky_splits(bench)

    with pytest.raises(DataError, match=f"5 of {len(leaky.calibration)} stand in both"):
        check_apart("the calibration texts of `int8`", leaky.calibration.keys, leaky.test.keys)
    with pytest.raises(DataError, match="5 examples stand in both calibration and test"):
        Splits(leaky.train, leaky.calibration, leaky.tuning, leaky.test)


def test_limits_cannot_be_loosened_after_the_run(tmp_path: Path) -> None:
    """M13 loosens limits that a run has registered; by the digest in `run.json` they are refused, and taken before."""
    file = tmp_path / "guardrails.yaml"
    file.write_bytes((project.root() / "params" / "guardrails.yaml").read_bytes())
    run = Run(tmp_path / "run")
    _summary(run, guardrails_sha256=sha256_file(file)).write(run.folder / SUMMARY_FILE)

    assert load_limits(run, file=str(file), profile="lossy", waivers="none.yaml").sha256 == sha256_file(file)

    strict = file.read_text(encoding="utf-8")
    loose = strict.replace("A3-all: { limit: 0.02,", "A3-all: { limit: 0.2,")
    assert loose != strict
    file.write_text(loose, encoding="utf-8")
    with pytest.raises(ParameterError, match=r"where the run registered .* before any answer was seen"):
        load_limits(run, file=str(file), profile="lossy", waivers="none.yaml")


def test_the_hardest_rows_cannot_be_left_out(bench: Bench) -> None:
    """M14 leaves one answer in a hundred out, the hardest; pairing refuses it and says how many are missing."""
    test, answers = bench.material.splits.test, bench.material.baseline.predict(bench.material.inputs)
    count = len(test) // 100
    of_label = answers[np.arange(len(test)), test.labels]
    kept = np.sort(np.argsort(of_label, kind="stable")[count:])
    candidate = Answers(tuple(test.ids[row] for row in kept), answers[kept])

    assert np.mean(answers[kept].argmax(axis=1) == test.labels[kept]) > np.mean(answers.argmax(axis=1) == test.labels)
    with pytest.raises(DataError, match=f"^{count} ids are missing in the answers of the candidate"):
        pair(test, Answers(test.ids, answers), candidate, test.slices, class_count=2)


def test_there_are_twenty_reruns() -> None:
    """As many different ways of asking the same model as were promised."""
    assert len(set(RERUNS)) == 20


@pytest.mark.parametrize(("batch_example_count", "thread_count", "is_shuffled"), RERUNS)
def test_the_baseline_against_itself_alarms_nobody(
    bench: Bench, batch_example_count: int, thread_count: int, is_shuffled: bool
) -> None:
    """A/A: in a new session, other batches, threads and orders, every gate of both profiles passes."""
    runtime = Runtime(batch_example_count=batch_example_count, thread_count=thread_count)
    same = Rerun(bench.model, runtime, order_seed=batch_example_count if is_shuffled else None)
    answered = bench.asked(same)

    assert bench.material.cache is None
    assert bench.material.probe_inputs is not None
    ways_count = len(answered.invariance) + 1
    assert same.answered_count == (
        len(bench.material.inputs) + len(bench.material.probe_inputs) + ways_count * EXAMPLE_COUNT
    )
    for profile in ("lossy", "lossless"):
        found = bench.judged(answered, profile=profile)
        assert [(gate.id, gate.verdict, gate.sentence) for gate in found.gates if gate.verdict != "PASS"] == []
        assert found.verdict == "PASS"
        assert found.changed_label_count == found.tie_count


def _summary(run: Run, *, guardrails_sha256: str) -> RunSummary:
    return RunSummary(
        run_id=run.run_id,
        ulid="0" * 26,
        status="done",
        reason=None,
        exit_code=0,
        commit="nogit",
        started="2026-01-01T00:00:00Z",
        wall_sec=1.0,
        params_name="smoke",
        params={},
        params_sha256="",
        guardrails_sha256=guardrails_sha256,
        code_sha256="",
        machine={},
        steps=(),
        candidates=(),
    )
