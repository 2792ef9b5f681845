"""Techniques side by side: bounds by Amdahl's law, candidates with their reasons, and what a recipe does when tried."""

import dataclasses
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pytest
import torch
from matplotlib import pyplot as plt

from perflib import choosing, plots, sentences, tables
from perflib.engines.torch_engine import load_module, save_module
from perflib.errors import ParameterError
from perflib.results import Build, BuildStep, Estimate, Failure, Interval, LowerBound, OperatorTime
from perflib.results.techniques import PaddingPlan, TechniqueRow, Trial, Work
from perflib.runs import Run
from tests.synthetic_records import (
    baseline,
    build,
    candidate,
    ceilings,
    comparison,
    full_validation,
    gate,
    profile,
    scenario,
    validation,
)
from tests.tiny_artifact import CONFIG, LINEARS_COUNT, make_inputs, write_artifact

mpl.use("Agg")

ATTACK = "<script>alert(1)</script>\"'&"
KERNELS = {"low_precision_share_ratio": 1.0, "linear_layer_count": 37}


def built(*lines: dict[str, Any], proofs: tuple[dict[str, Any], ...] = (), **change: Any) -> Build:
    """Return the build of a recipe whose steps have these proofs."""
    proofs = proofs or ({},) * len(lines)
    steps = tuple(
        BuildStep(next(iter(line)), "b" * 64, 1, 1.0, is_cached=False, proof=proof)
        for line, proof in zip(lines, proofs, strict=True)
    )
    return build(recipe=lines, steps=steps, **change)


def row(name: str = "int8", family: Any = "quantization", verdict: Any = "approved", **change: Any) -> TechniqueRow:
    """Return one technique: 3× one at a time, 2× all at once, 0.57 points."""
    bound_ratio = change.pop("bound_ratio", None)
    return TechniqueRow(candidate(name, verdict, **change), family, f"recipe of {name}", f"why {name}", bound_ratio)


def by_technique(**change: Any) -> dict[tuple[str, str], float]:
    """Return the bounds of the synthetic baseline by technique and scenario."""
    found = choosing.upper_bounds(baseline(), profile(), ceilings(**change))
    return {(one.technique, one.scenario): one.bound_ratio for one in found}


# --- bounds -----------------------------------------------------------------------------------------------------


def test_bounds_follow_amdahls_law() -> None:
    """5 GFLOP a batch at 62 texts a second: computed by hand from share, rate and time."""
    batch_sec, flop_count = 32 / 62, 10**10 / 2
    found = by_technique()

    assert found["a perfect engine in fp32", "offline"] == pytest.approx(batch_sec / (flop_count / 1e11))
    assert found["int8 products", "offline"] == pytest.approx(batch_sec / (0.4 * batch_sec + flop_count / 6e11))
    assert found["bf16 products", "offline"] == pytest.approx(batch_sec / (0.4 * batch_sec + flop_count / 3e11))
    assert found["int8 products", "offline"] < 2.5  # two fifths of the time are no product
    assert found["no padding at all", "offline"] == 2.0  # 512 of 1,024 tokens are real
    assert found["a perfect engine in fp32", "single"] == pytest.approx(0.03 / (flop_count / 32 / 2 / 1e11))


def test_emulated_products_are_bounded_below_one() -> None:
    """A machine whose bf16 is slower than its fp32 cannot gain from it."""
    assert by_technique(bf16_flop_per_sec=5e9)["bf16 products", "offline"] < 1


def test_a_machine_without_int8_has_no_bound_for_it() -> None:
    """What was not measured is left out, not guessed."""
    found = by_technique(int8_op_per_sec=None)

    assert not any("int8" in technique for technique, _ in found)
    assert ("bf16 products", "offline") in found


def test_a_baseline_without_throughput_is_bounded_by_its_profiled_batch() -> None:
    """What a step took unwatched stands in."""
    bare = baseline(scenarios=())
    found = {one.technique: one.bound_ratio for one in choosing.upper_bounds(bare, profile(), ceilings())}

    assert found["a perfect engine in fp32"] == pytest.approx(0.45 / (10**10 / 2 / 1e11))


def test_a_model_without_counted_products_has_no_bound_by_products() -> None:
    """No division by nothing where the profiler counted no operation."""
    operators = (OperatorTime("aten::<gelu>", "elementwise", 12, 0.2, 0.2, 1.0, 0, 10**7),)
    found = choosing.upper_bounds(baseline(), dataclasses.replace(profile(), operators=operators), ceilings())

    assert {one.family for one in found} == {"structure", "serving"}


def test_the_sentence_on_bounds_has_every_number_or_says_that_there_is_none() -> None:
    """What was bounded is told; a run without a profile is told too."""
    found = choosing.upper_bounds(baseline(), profile(), ceilings())
    told = sentences.bounds_sentence(found)

    assert all(technique in told for technique in ("bf16 products", "int8 products", "no padding at all"))
    assert "no ceilings" in sentences.bounds_sentence(())


# --- rows and why -----------------------------------------------------------------------------------------------


def small_run(folder: Path) -> Run:
    """Write a run of four candidates: approved int8, failed, quarantined zeros, and one that two stages made."""
    run = Run(folder)
    run.write(baseline(), "baseline")
    run.write(profile(), "baseline-offline")
    run.write(ceilings(), "machine")
    zeros = {"zero_share_ratio": 0.5, "is_faster_expected": False, "why": "dense kernels multiply zeros"}
    builds = {
        "int8": built({"quantize": {"scheme": "int8-static"}}, proofs=(KERNELS,)),
        "zeros": built({"prune": {"weights_ratio": 0.5}}, proofs=(zeros,)),
        "both": built({"distil": {"layers": 3}}, {"runtime": {"batching": "sorted"}}),
    }
    for name, record in builds.items():
        run.write(record, name)
        speed = Interval(0.99, 0.9, 1.1, 0.9) if name == "zeros" else Interval(3.0, 2.8, 3.2, 0.9)
        verdict = "INCONCLUSIVE" if name == "zeros" else "IMPROVEMENT"
        run.write(comparison(scenario("offline", verdict, speedup_ratio=speed), name=name), name)
        failing = (gate("FAIL", sentence="39 answers changed; 17 may."),)
        run.write(validation(gates=failing) if name == "zeros" else full_validation(negative_flip_count=4), name)
    run.write(Failure("gone", "unavailable", "The compiler is not installed."), "gone")
    return run


def test_every_candidate_of_a_run_is_one_row_in_the_order_of_families(tmp_path: Path) -> None:
    """Families follow from recipes, and a candidate that was not built keeps its reason."""
    rows = choosing.technique_rows(small_run(tmp_path))

    assert [(one.name, one.family) for one in rows] == [
        ("int8", "quantization"),
        ("zeros", "structure"),
        ("both", "combination"),
        ("gone", "not built"),
    ]
    assert [one.candidate.verdict for one in rows] == ["approved", "quarantined", "approved", "failed"]
    assert rows[0].bound_ratio == by_technique()["int8 products", "offline"]
    assert rows[2].bound_ratio is None
    assert "100 % of 37 linear layers compute in int8" in rows[0].why
    assert "50 % of the weights are zero, but dense kernels multiply zeros" in rows[1].why
    assert rows[1].why.endswith("Quarantined: 39 answers changed; 17 may.")
    assert rows[3].why == "The compiler is not installed."


def test_a_run_without_a_profile_has_rows_without_bounds(tmp_path: Path) -> None:
    """A missing record takes nothing else away."""
    run = small_run(tmp_path)
    run.record_path("profile", "baseline-offline").unlink()

    assert choosing.run_bounds(run) == ()
    assert [one.bound_ratio for one in choosing.technique_rows(run)] == [None] * 4


@pytest.mark.parametrize(
    ("line", "proof", "told"),
    [
        ({"precision": {"dtype": "bf16"}}, KERNELS, "100 % of 37 linear layers compute in bf16."),
        ({"precision": {"dtype": "fp16", "even_if_emulated": True}}, KERNELS, "compute in fp16, emulated where"),
        ({"quantize": {"scheme": "int8-weights"}}, KERNELS, "products stay in fp32"),
        ({"quantize": None}, {"low_precision_share_ratio": 0.75, "linear_layer_count": 4}, "75 % of 4 linear layers"),
        ({"prune": {}}, {"parameter_count": 6, "parent_parameter_count": 8}, "Prune leaves 75 % of the parameters."),
        ({"distil": {}}, {"student_parameter_count": 1, "teacher_parameter_count": 2}, "leaves 50 % of the parameters"),
        ({"vocabulary": {}}, {"kept_token_count": 1, "token_count": 4}, "25 % of the embedding's rows are kept"),
        ({"runtime": {"batching": "sorted", "replicas": 2}}, {}, "(batches sorted, 2 replicas)"),
        (
            {"engine": {"name": "onnxruntime"}},
            {"low_precision_share_ratio": 0.0},
            "Onnxruntime makes the same products",
        ),
        ({"own:Stage": {}}, {}, "no number that would say more"),
    ],
)
def test_why_reads_the_proof_of_every_kind_of_stage(line: dict[str, Any], proof: dict[str, Any], told: str) -> None:
    """What took effect is said with its number."""
    assert told in sentences.why_sentence(candidate(), built(line, proofs=(proof,)), None)


def test_why_says_on_which_side_of_its_bound_a_candidate_is() -> None:
    """Beyond the bound of its part alone, something else has become faster; at the bound nothing has to."""
    made = built({"quantize": {}}, proofs=(KERNELS,))

    assert "so the rest has become faster" in sentences.why_sentence(candidate(), made, None, bound_ratio=1.99)
    assert "so the rest" not in sentences.why_sentence(candidate(), made, None, bound_ratio=2.0)
    assert "at most" not in sentences.why_sentence(candidate(), made, None)


@pytest.mark.parametrize(
    ("recipe", "family"),
    [
        ([{"quantize": {}}], "quantization"),
        ([{"distil": {}}, {"prune": {}}], "structure"),
        ([{"quantize": {}}, {"engine": {}}], "combination"),
        ([{"own:Stage": {}}], "other"),
    ],
)
def test_a_family_is_the_kind_of_all_stages(recipe: list[dict[str, Any]], family: str) -> None:
    """Two stages of one kind are no combination."""
    assert choosing.family_of(recipe) == family


@pytest.mark.parametrize(
    ("line", "technique"),
    [
        ({"runtime": {"batching": "sorted"}}, "no padding at all"),
        ({"runtime": {"batching": "sorted", "replicas": 2}}, None),
        ({"precision": {}}, "bf16 products"),
        ({"precision": {"dtype": "fp16"}}, None),
        ({"quantize": {}}, "int8 products"),
        ({"quantize": {"scheme": "int8-weights"}}, None),
        ({"engine": {}}, None),
    ],
)
def test_a_bound_is_given_only_where_it_holds(tmp_path: Path, line: dict[str, Any], technique: str | None) -> None:
    """Replicas save more than padding, and only bf16 and int8 products have ceilings of their own."""
    run = small_run(tmp_path)
    run.write(built(line), "int8")
    (found,) = [one for one in choosing.technique_rows(run) if one.name == "int8"]

    assert found.bound_ratio == (by_technique()[technique, "offline"] if technique else None)


# --- sentences --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("guess", "word"), [(0.75, "right"), (1.25, "right"), (0.74, "wrong"), (1.26, "wrong")])
def test_a_guess_is_right_up_to_a_quarter_off(guess: float, word: str) -> None:
    """Both borders belong to what is right."""
    assert sentences.guess_sentence("it", guess, 1.0, kind="factor").endswith(f"**The prediction was {word}.**")


def test_a_guess_stays_open_where_nothing_was_found() -> None:
    """No verdict without a number."""
    assert sentences.guess_sentence("it", 4, None, kind="count").endswith("**The prediction stays open.**")


def test_the_choice_names_most_free_and_cheapest() -> None:
    """Three questions, three answers; what may not be shipped is named apart."""
    rows = [
        row(
            "best", "combination", accuracy_change=LowerBound(-0.02, -0.03), offline_throughput_speedup_ratio=speed(9.0)
        ),
        row("sorted", "serving", accuracy_change=LowerBound(0.0, 0.0), single_p50_speedup_ratio=None),
        row("int8", accuracy_change=LowerBound(-0.001, -0.01)),
        row("broken", verdict="quarantined", offline_throughput_speedup_ratio=speed(20.0)),
        row("slow", verdict="quarantined", offline_throughput_speedup_ratio=speed(0.9), single_p50_speedup_ratio=None),
    ]
    told = sentences.choice_sentence(rows, machine="a machine", unit="texts")

    assert told == (
        "On a machine, for these texts, best gave most, 9.00× for −2.00 pp of accuracy; sorted gave most of what costs "
        "no accuracy, 2.00×; int8 gave most per point of accuracy, 3.00× for −0.10 pp of accuracy. "
        "Faster and not to be shipped: broken (quarantined)."
    )


def test_nothing_to_choose_is_said() -> None:
    """A run in which nothing is approved, and one without candidates."""
    assert "no technique" in sentences.choice_sentence([row(verdict="undecided")], machine="m", unit="texts")
    assert "no technique" in sentences.choice_sentence([], machine="m", unit="texts")


def test_a_family_is_predicted_among_single_techniques() -> None:
    """A combination is faster and does not count; equal to the baseline is not faster."""
    rows = [row("best", "combination", offline_throughput_speedup_ratio=speed(9.0)), row()]
    same = row(offline_throughput_speedup_ratio=speed(1.0), single_p50_speedup_ratio=None)

    assert choosing.best_single(rows) is rows[1]
    assert choosing.best_single([same]) is None
    assert "was right" in sentences.family_sentence("quantization", rows[1])
    assert "was wrong" in sentences.family_sentence("engine", rows[1])
    assert "stays open" in sentences.family_sentence("engine", None)


def speed(ratio: float) -> Estimate:
    """Return a speed-up with its interval."""
    return Estimate(ratio, 0.95 * ratio, 1.05 * ratio)


def test_work_is_explained_by_what_changed() -> None:
    """Zeros, smaller matrices and nothing at all have three lessons."""
    one = Trial("x", built({"prune": {}}), 10, 0, 0.9, 0.9)
    lessons = [
        sentences.work_sentence(Work(100, 100), after, one) for after in (Work(100, 50), Work(60, 60), Work(100, 100))
    ]

    assert "multiplied like any other number" in lessons[0]
    assert "50 % of those" in lessons[0]
    assert "matrices are smaller" in lessons[1]
    assert "Nothing was left out" in lessons[2]


def test_trials_say_whether_more_examples_helped() -> None:
    """The last one has most examples; it is not always the best."""
    few, many = (Trial(name, build(), 10, count, 0.9, 0.9) for name, count in (("few", 5), ("many", 1)))

    assert "many changes fewest" in sentences.trials_sentence([few, many])
    assert "few changes not fewest" in sentences.trials_sentence([many, few])


# --- figure and tables ------------------------------------------------------------------------------------------


def many_rows() -> list[TechniqueRow]:
    """Return 24 rows of all families and verdicts, one of them never timed."""
    families = ("engine", "precision", "quantization", "structure", "serving", "combination")
    verdicts = ("approved", "quarantined", "undecided")
    rows = [
        row(
            f"candidate with a long name {place}",
            families[place // 4],
            verdicts[place % 3],
            offline_throughput_speedup_ratio=speed(0.6 * 1.15**place),
            bound_ratio=3.0 if place % 5 == 0 else None,
        )
        for place in range(24)
    ]
    none = {"single_p50_speedup_ratio": None, "offline_throughput_speedup_ratio": None, "size_ratio": None}
    return [*rows, row("gone", "not built", "failed", accuracy_change=None, **none)]


def test_the_figure_fills_what_is_approved_and_tells_all() -> None:
    """One mark a measurement on a logarithmic scale, the words name every candidate, and nothing leaves the axes."""
    plots.use_house_style()
    rows = many_rows()
    fig, ax = plots.plot_techniques(rows)
    marks = [line for line in ax.get_lines() if line.get_marker() in ("o", "D") and len(line.get_xdata()) == 1]
    low, high = ax.get_xlim()

    assert ax.get_xscale() == "log"
    assert len(marks) == 48
    assert sum(mark.get_markerfacecolor() == "white" for mark in marks) == 32
    assert all(low < mark.get_xdata()[0] < high for mark in marks)
    assert all(one.name in str(fig.get_label()) for one in rows)
    assert "gone (not built), failed: not timed" in str(fig.get_label())
    assert ax.get_title(loc="left").replace("\n", " ").startswith("8 of 25 may be shipped; the fastest is candidate")
    plt.close(fig)


def test_the_figure_of_nothing_says_so() -> None:
    """A run whose only candidate failed has no figure but a sentence."""
    fig, _ = plots.plot_techniques([many_rows()[-1]])

    assert str(fig.get_label()).startswith("No candidate of this run was timed")
    plt.close(fig)


def test_tables_escape_every_word() -> None:
    """Names, recipes and reasons may come from anywhere."""
    evil = dataclasses.replace(row(ATTACK), recipe=ATTACK, why=ATTACK)
    trial = Trial(ATTACK, build(), 10, 1, 0.9, 0.8)
    shown = tables.techniques_table([evil, *many_rows()], caption=ATTACK) + tables.trials_table([trial])

    assert "<script" not in shown
    assert shown.count("<tr>") + shown.count('<tr class="baseline">') == 1 + 26 + 2
    assert "−10.00 pp" in shown
    assert "1 of 10" in shown
    assert 'title="recipe of gone"' in shown


def test_tables_of_bounds_and_padding_have_their_numbers() -> None:
    """Every bound is a row with its condition; padding is a share."""
    bounds = choosing.upper_bounds(baseline(), profile(), ceilings())
    shown = tables.bounds_table(bounds)

    assert all(one.because in shown and one.technique in shown for one in bounds)
    assert "25 %" in tables.padding_table([PaddingPlan("sorted", 3, 1000, 750)])


# --- trying out -------------------------------------------------------------------------------------------------


def test_padding_is_counted_by_batch() -> None:
    """Lengths 1, 9, 1, 9 in twos: 36 tokens as they come, 20 when sorted, and by a budget of 10 as well."""
    plans = choosing.padding_plans(np.array([1, 9, 1, 9]), example_count=2, token_count=10)

    assert [(one.batching, one.batch_count, one.token_count) for one in plans] == [
        ("as-they-come", 2, 36),
        ("sorted", 2, 20),
        ("token-budget", 3, 20),
    ]
    assert [one.real_token_count for one in plans] == [20, 20, 20]
    assert plans[0].padding_ratio == pytest.approx(16 / 36)


def test_zeros_are_counted_and_multiplied_all_the_same(tmp_path: Path) -> None:
    """One layer of zeros: as many multiplications as before, less those of the layer useful."""
    whole = write_artifact(tmp_path / "whole")
    module = load_module(whole.folder, whole.spec)
    layers = [layer for layer in module.modules() if isinstance(layer, torch.nn.Linear)]
    with torch.no_grad():
        layers[0].weight.zero_()
    save_module(module, tmp_path / "holed")
    holed = whole.derive(tmp_path / "holed", {"zero": {}})
    inputs = make_inputs(4)
    before, after = choosing.count_work(whole, inputs), choosing.count_work(holed, inputs)
    token_count = inputs.arrays["input_ids"].size

    assert len(layers) == LINEARS_COUNT
    assert before.useful_count == before.multiplication_count == after.multiplication_count
    assert before.useful_count - after.useful_count == token_count * CONFIG["hidden_size"] ** 2


def test_multiplications_are_those_of_the_layers(tmp_path: Path) -> None:
    """Counted by hand: four square products and two of the feed-forward a layer, and the classifier."""
    inputs = make_inputs(4)
    examples, tokens = inputs.arrays["input_ids"].shape
    wide, inner = 16, 32
    layer = examples * tokens * (4 * wide * wide + 2 * wide * inner)
    found = choosing.count_work(write_artifact(tmp_path / "whole"), inputs).multiplication_count

    assert found == 2 * layer + 3 * wide * examples


def test_work_of_another_engine_is_not_counted(tmp_path: Path) -> None:
    """Only torch lets us look at its layers, and the sentence says what to do."""
    whole = write_artifact(tmp_path / "whole")
    other = whole.derive(tmp_path / "whole", {"x": {}}, engine="openvino")

    with pytest.raises(ParameterError, match="runs in openvino; leave the stages out"):
        choosing.count_work(other, make_inputs(1))
