"""Models that are ill on purpose: equal answers, and counts that name the problem and nothing else."""

import dataclasses
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import nn

from perflib import planted
from perflib.artifact import Artifact
from perflib.errors import ParameterError
from perflib.machine import read_card
from perflib.planted import ward
from perflib.planted.models import LAYERS, pad_all, planted_classifier
from perflib.profiling.sampling import make_step
from perflib.results import Ceilings, Finding, Findings, OperatorTime, Profile
from perflib.results.model import MachineCeilings
from perflib.runs import Run
from perflib.workloads.bert import mean_pooled_classifier
from tests.synthetic_profiles import STEP_COUNT, make_profile
from tests.tiny_artifact import CONFIG, LINEARS_COUNT, make_inputs, write_artifact

BATCH_COUNT, STEP_TEXTS_COUNT = 4, 16
# Sixteen texts of 1 … 8 tokens, twice; sorted into fours they are 1 1 2 2, 3 3 4 4, 5 5 6 6, 7 7 8 8.
TOKENS_COUNT, REAL_COUNT, LONGEST_COUNT = 4 * (2 + 4 + 6 + 8), 72, 8


@dataclasses.dataclass
class Ward:
    """Every patient of the tiny model with its profile, and what was kept."""

    session: Any
    patients: dict[str, planted.Patient]
    profiles: dict[str, Profile]
    kept: list[str]


def fake_session(folder: Path, baseline: Artifact) -> tuple[Any, list[str]]:
    """Return what patients need of a session, and the list of what it keeps."""
    kept: list[str] = []
    session = SimpleNamespace(
        baseline=baseline,
        run=Run(folder / "run"),
        inputs=make_inputs(STEP_TEXTS_COUNT),
        workload=SimpleNamespace(name="toy"),
        card=read_card(),
        keep=lambda record, name: kept.append(name),
    )
    return session, kept


@pytest.fixture(scope="module")
def tiny_ward(tmp_path_factory: pytest.TempPathFactory) -> Ward:
    """The healthy model and all patients, profiled."""
    folder = tmp_path_factory.mktemp("ward")
    session, kept = fake_session(folder, write_artifact(folder / "baseline"))
    counts = {"batch_example_count": BATCH_COUNT, "step_example_count": STEP_TEXTS_COUNT}
    patients = {name: planted.make_patient(session, name, **counts) for name in ("healthy", *planted.PROBLEMS)}
    profiles = {name: planted.profile_patient(session, one) for name, one in patients.items()}
    return Ward(session, patients, profiles, kept)


# --- models -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("problem", LAYERS)
def test_a_planted_model_answers_as_before_with_the_same_weights(problem: str) -> None:
    """The healthy model's weights fit by name, and the answers are equal but for rounding."""
    torch.manual_seed(0)
    healthy = mean_pooled_classifier(CONFIG).eval()
    ill = planted_classifier({**CONFIG, "planted": problem}).eval()
    ill.load_state_dict(healthy.state_dict(), strict=True)
    tensors = {name: torch.from_numpy(array) for name, array in make_inputs(5).arrays.items()}

    with torch.inference_mode():
        assert torch.allclose(ill(**tensors), healthy(**tensors), atol=1e-6)
    assert {type(part) for part in ill.modules()} & set(LAYERS.values()) == {LAYERS[problem]}


def test_padding_is_planted_in_the_asking() -> None:
    """The model stays as it is; every call gets the same width, and real tokens stay what they are."""
    healthy = mean_pooled_classifier(CONFIG)
    runtime = SimpleNamespace(batching="sorted", batch_example_count=BATCH_COUNT, batch_token_count=None)
    step = make_step(make_inputs(STEP_TEXTS_COUNT), runtime, "offline", example_count=STEP_TEXTS_COUNT)  # type: ignore[arg-type]
    wide = pad_all(step, 11)

    assert planted.plant(healthy, "padding") is healthy
    assert {array.shape for call in wide.calls for array in call.arrays.values()} == {(BATCH_COUNT, 11)}
    assert [call.lengths().tolist() for call in wide.calls] == [call.lengths().tolist() for call in step.calls]
    assert (step.token_count, step.real_token_count) == (TOKENS_COUNT, REAL_COUNT)
    assert (wide.token_count, wide.real_token_count) == (11 * STEP_TEXTS_COUNT, REAL_COUNT)


def test_what_cannot_be_planted_is_refused() -> None:
    """An unknown problem gets a suggestion; a model without encoder layers gets a reason."""
    with pytest.raises(ParameterError, match="did you mean `padding`"):
        planted.plant(mean_pooled_classifier(CONFIG), "pading")
    with pytest.raises(ParameterError, match="no encoder layer"):
        planted.plant(nn.Linear(2, 2), "one-by-one")


def test_every_problem_is_a_suspect_and_there_are_more_suspects() -> None:
    """The last one cannot be found by crossing out."""
    assert set(planted.PROBLEMS.values()) < set(planted.SUSPECTS)
    assert len(planted.SUSPECTS) >= len(planted.PROBLEMS) + 2
    assert all("return" in planted.guilty_lines(problem) for problem in planted.PROBLEMS.values())


# --- patients ---------------------------------------------------------------------------------------------------


def test_no_test_of_answers_would_find_a_patient(tiny_ward: Ward) -> None:
    """All patients give the healthy model's probabilities, on the same texts in the same order."""
    healthy = tiny_ward.patients["healthy"]

    assert all(planted.largest_difference(healthy, one) < 1e-6 for one in tiny_ward.patients.values())


def test_other_answers_would_be_seen(tiny_ward: Ward) -> None:
    """The comparison itself is not blind: the same batches in another order differ."""
    healthy = tiny_ward.patients["healthy"]
    turned = dataclasses.replace(healthy.step, calls=healthy.step.calls[::-1])

    assert planted.largest_difference(healthy, dataclasses.replace(healthy, step=turned)) > 1e-6


def test_the_counts_name_each_problem(tiny_ward: Ward) -> None:
    """Each patient has its own problem, and the healthy model has none."""
    usual = tiny_ward.profiles["healthy"]
    found = {name: planted.diagnosis(usual, profile).suspect for name, profile in tiny_ward.profiles.items()}

    assert found == {"healthy": "", **planted.PROBLEMS}
    assert tiny_ward.kept == ["healthy", "patient-A", "patient-B", "patient-C"]


def test_the_counts_are_those_of_one_step(tiny_ward: Ward) -> None:
    """Four calls of thirteen products and two attentions; a loop asks for all but the head text by text."""
    signs = {name: planted.symptoms(profile) for name, profile in tiny_ward.profiles.items()}
    per_call_count = LINEARS_COUNT - 1 + 2

    assert signs["healthy"].token_count == signs["A"].token_count == signs["C"].token_count == TOKENS_COUNT
    assert signs["healthy"].product_call_count == 4 * (per_call_count + 1)
    assert signs["A"].product_call_count == 4 * (BATCH_COUNT * per_call_count + 1)
    assert signs["A"].flop_count == signs["C"].flop_count == signs["healthy"].flop_count
    assert signs["B"].token_count == LONGEST_COUNT * STEP_TEXTS_COUNT
    assert signs["B"].operator_call_count == signs["healthy"].operator_call_count


def test_a_second_profile_replaces_the_trace_of_the_first(tiny_ward: Ward) -> None:
    """A cell that is run again leaves one trace."""
    again = planted.profile_patient(tiny_ward.session, tiny_ward.patients["C"], active_step_count=1)

    assert [path.name for path in Path(again.trace_folder).glob("patient-C.*")] == list(again.trace_files)


def test_rules_are_asked_without_the_knowledge_of_a_healthy_twin(
    tiny_ward: Ward, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They get the patient's profile, its roof and its recipe; every finding is about a batch."""
    peaks = Ceilings(1, 1e11, None, None, 1e10)
    known = MachineCeilings("x", "2.13", (peaks,), ())
    monkeypatch.setattr(ward, "known_ceilings", lambda card, cache, thread_counts: known)
    found = planted.find_rules(tiny_ward.session, tiny_ward.patients["A"], tiny_ward.profiles["A"])

    assert found.artifact_sha256 == tiny_ward.patients["A"].artifact.digest
    assert {one.scenario for one in found.findings} == {"offline"}
    assert "unfused" in {one.rule for one in found.findings}


def test_a_patient_needs_a_name_and_an_encoder(tmp_path: Path) -> None:
    """Both mistakes end in one sentence."""
    session, _ = fake_session(tmp_path, write_artifact(tmp_path / "baseline"))
    with pytest.raises(ParameterError, match="no patient `D`"):
        planted.make_patient(session, "D")
    session, _ = fake_session(
        tmp_path, write_artifact(tmp_path / "other", builder="perflib.workloads.convnet:small_convnet")
    )
    with pytest.raises(ParameterError, match="`toy` has another model"):
        planted.make_patient(session, "A")


# --- signs ------------------------------------------------------------------------------------------------------


def with_operators(profile: Profile, **changes: tuple[str, int]) -> Profile:
    """Return a profile with one field of some operators changed, for all steps."""
    rows = tuple(
        dataclasses.replace(row, **{changes[key][0]: changes[key][1]})
        if (key := row.operator.removeprefix("aten::")) in changes
        else row
        for row in profile.operators
    )
    return dataclasses.replace(profile, operators=rows)


def converting(profile: Profile, moved_bytes: int) -> Profile:
    """Add an operator that converts so many bytes a step."""
    row = OperatorTime("aten::_to_copy", "framework", STEP_COUNT, 1e-6, 1e-6, 0.0, 0, moved_bytes * STEP_COUNT)
    return dataclasses.replace(profile, operators=(*profile.operators, row))


@pytest.mark.parametrize(("token_count", "suspect"), [(1200, "padding"), (1199, "")])
def test_a_fifth_more_tokens_is_padding(token_count: int, suspect: str) -> None:
    """The border belongs to the problem."""
    usual = make_profile(step_token_count=1000)

    assert planted.diagnosis(usual, make_profile(step_token_count=token_count)).suspect == suspect


@pytest.mark.parametrize(("calls_count", "suspect"), [(59, "one-by-one"), (58, "")])
def test_half_as_many_products_again_is_a_loop(calls_count: int, suspect: str) -> None:
    """43 products a step (37 linear layers and 6 attentions) become 65, or one less."""
    usual = make_profile()
    ill = with_operators(usual, addmm=("call_count", STEP_COUNT * calls_count))

    assert planted.symptoms(usual).product_call_count == 43
    assert planted.diagnosis(usual, ill).suspect == suspect


@pytest.mark.parametrize(("moved_bytes", "suspect"), [(1000, "conversions"), (999, "")])
def test_ten_times_the_bytes_converted_is_a_problem(moved_bytes: int, suspect: str) -> None:
    """Another operator's bytes do not count."""
    usual = converting(make_profile(), 100)

    assert planted.diagnosis(usual, converting(make_profile(), moved_bytes)).suspect == suspect


def test_the_kind_that_grew_most_is_by_step() -> None:
    """Twice as many steps are not twice the time; a kind that is new grew by all it has."""
    usual = make_profile()
    longer = make_profile(kind_sec={"memory": 0.114, "quantization": 0.05})
    grown = planted.grown_kinds(usual, longer)

    assert [kind for kind, _ in grown[:2]] == ["memory", "quantization"]
    assert [sec for _, sec in grown[:2]] == pytest.approx([0.1, 0.05])
    halved = dataclasses.replace(usual, active_step_count=2 * usual.active_step_count)
    assert dict(planted.grown_kinds(usual, halved))["matrix"] == pytest.approx(-0.17)


# --- words ------------------------------------------------------------------------------------------------------

PADDED = planted.Diagnosis("padding", "9 tokens for 3", "matrix", 0.002)


@pytest.mark.parametrize(
    ("guess", "word"),
    [("padding", "right"), ("conversions", "wrong"), ("", "stays open"), ("pading", "did you mean `padding`?")],
)
def test_a_wrong_guess_never_stops_the_notebook(guess: str, word: str) -> None:
    """Right, wrong, none and mistyped are four sentences."""
    assert word in planted.guess_sentence(guess, PADDED)


def test_guesses_are_counted() -> None:
    """By patient; whoever guessed nothing has no score."""
    found = {"A": PADDED, "B": dataclasses.replace(PADDED, suspect="conversions")}

    assert planted.score_sentence({"A": "padding", "B": "padding"}, found) == (
        "1 of 2 guesses were right: A padding, B conversions."
    )
    assert planted.score_sentence({"A": "conversions"}, found).startswith("0 of 2")
    assert planted.score_sentence({"A": ""}, found) == "You wrote no guess down, and it was: A padding, B conversions."


def test_what_is_revealed_is_what_was_counted() -> None:
    """Suspect, evidence and growth; where nothing grew, nothing is said to have grown."""
    assert planted.reveal_sentence(PADDED) == (
        "It is **padding**: texts are made longer than their batch needs. 9 tokens for 3. In the bars matrix products "
        "grew most, by 2.00 ms a step."
    )
    quiet = planted.Diagnosis("", "no count differs", "matrix", 0.0)
    assert planted.reveal_sentence(quiet) == "No count differs. No kind of work grew."


def test_a_fix_is_orientation_and_no_verdict() -> None:
    """Seconds come from the steps that nobody watched."""
    usual = make_profile(unwatched_sec=0.3)
    said = planted.fix_sentence(PADDED, usual, make_profile(unwatched_sec=0.6))

    assert "took 200 ms ill and takes 100.0 ms healthy (2.00×)" in said
    assert "no verdict" in said
    nothing = dataclasses.replace(PADDED, suspect="")
    assert planted.fix_sentence(nothing, usual, usual) == "There is nothing to heal."


def findings(**prices: float) -> Findings:
    """Return findings with these predicted ratios, by rule."""
    rows = tuple(
        Finding(rule, "offline", f"Claim of {rule}.", "", 0.5, None, price, "", "", ())
        for rule, price in prices.items()
    )
    return Findings("x", "a" * 64, "machine", rows)


def test_the_rule_that_rose_most_is_named() -> None:
    """What another precision could give is no sign of illness, and a small rise may be noise."""
    usual = findings(unfused=2.0, int8=1.0)

    said = planted.rules_sentence(usual, findings(unfused=2.4, dispatch=1.3, int8=9.0))
    assert "`dispatch` rose most: it promises 1.30×, and for the healthy model nothing. Claim of dispatch." in said
    assert "`unfused` rose most" in planted.rules_sentence(usual, findings(unfused=2.3))
    assert planted.rules_sentence(usual, findings(unfused=2.29)).startswith("No rule")
    assert planted.rules_sentence(usual, findings()).startswith("No rule")


@pytest.mark.parametrize(("largest", "word"), [(1e-4, "no test of answers sees"), (2e-4, "can see it")])
def test_differences_are_told_beside_the_prediction(largest: float, word: str) -> None:
    """The largest of all patients counts."""
    said = planted.difference_sentence({"A": 0.0, "B": largest}, 0.01)

    assert word in said
    assert "You predicted 0.01" in said


def test_tables_hold_counts_and_escape_names() -> None:
    """Names come from a file; what a type costs where nothing was converted has no ratio."""
    usual = make_profile(name="<b>")
    page = planted.symptoms_table(usual, with_operators(usual, addmm=("call_count", STEP_COUNT * 80)))

    assert "<td>43</td><td>86</td><td>2.00×</td>" in page
    assert "<b>" not in page
    assert "&lt;b&gt;" in page
    assert "<td>384 · 2048×384 · 384×384</td><td>24</td>" in planted.shapes_table(usual)
    assert planted.shapes_table(usual, kind="memory").count("<code>") == 1
    assert planted.suspects_table().count("<tr>") == len(planted.SUSPECTS) + 1
