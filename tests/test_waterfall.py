"""The waterfall: one change a step, factors that multiply with their intervals, and a sentence that says why."""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from perflib import plots
from perflib.artifact import Artifact, Runtime
from perflib.compression.materials import Materials
from perflib.compression.stage import Ingredient, parse_recipe
from perflib.errors import DataError, ParameterError, SetupError
from perflib.explaining import best_candidate, explain_candidates, explain_named
from perflib.ladder import measure_ladder
from perflib.ladder.expand import Step, category, expand, halfway_lines
from perflib.ladder.factors import holds_one, over, product, summed
from perflib.ladder.pairs import timed_pairs
from perflib.plots.ladder import plot_waterfall
from perflib.plots.style import WARNING
from perflib.results import Build, BuildStep, Comparison, Interval, Ladder
from perflib.results.ladder import CategoryFactor, LadderTotal
from perflib.sentences.ladder import consistency_sentence, waterfall_sentence
from perflib.session import Session
from perflib.tables.ladder import waterfall_table
from tests.synthetic_records import comparison, ladder, scenario
from tests.test_ask import Words
from tests.test_ladder import EFFORT, RECIPE, FakeCompare, add_candidate
from tests.tiny_artifact import make_inputs, write_artifact

# --- one change a step --------------------------------------------------------------------------------------------


@pytest.fixture
def baseline(tmp_path: Path) -> Artifact:
    """Write a tiny PyTorch model."""
    return write_artifact(tmp_path / "tiny", runtime=Runtime(batch_example_count=4))


def promised(line: Ingredient, parent: Artifact) -> tuple[Artifact, BuildStep]:
    """Stand in for building: an artifact that says what the stage's check promises, without any work."""
    spec = line.stage.check(parent.spec, Materials(make_inputs()))
    lineage = dataclasses.replace(spec.lineage, recipe=(*spec.lineage.recipe, line.to_dict()))
    made = Artifact(parent.folder, dataclasses.replace(spec, lineage=lineage))
    return made, BuildStep(line.name, made.digest, 1, 1.0, is_cached=False, proof={})


def expanded(baseline: Artifact, *lines: Any, build: Any = promised) -> list[Step]:
    """Take a recipe apart."""
    return list(expand(parse_recipe(lines), baseline, Materials(make_inputs()), build))


def told(steps: list[Step]) -> list[tuple[str, str, bool]]:
    """Return of every step its kind, its stage, and whether the recipe has it."""
    return [(one.category, one.line.name, one.is_of_recipe) for one in steps]


def test_int8_on_another_engine_is_first_the_engine_then_int8(baseline: Artifact) -> None:
    """The engine in fp32 is made of the same parent, and the recipe's own path does not pass it."""
    steps = expanded(baseline, {"quantize": {}}, {"engine": {"shapes": "bucketed", "lengths": [4, 8]}})

    assert told(steps) == [
        ("runtime change", "engine", False),
        ("precision", "quantize", True),
        ("graph compilation", "engine", True),
    ]
    assert steps[0].line.to_dict() == {"engine": {"name": "openvino"}}
    assert steps[1].artifact.spec.lineage.recipe == ({"quantize": {}},)


def test_onnx_runtime_is_a_runtime_of_its_own(baseline: Artifact) -> None:
    """The engine between is the one that the line moves to."""
    steps = expanded(baseline, {"quantize": {"engine": "onnxruntime"}})

    assert told(steps) == [("runtime change", "engine", False), ("precision", "quantize", True)]
    assert steps[0].line.options == {"name": "onnxruntime"}


@pytest.mark.parametrize("engine", ["aotinductor", "torch-compile"])
def test_what_inductor_does_is_graph_compilation(baseline: Artifact, engine: str) -> None:
    """Kernels are made for the graph; int8 comes after it."""
    compiled = dataclasses.replace(baseline.spec, engine=engine)
    int8 = dataclasses.replace(compiled, precision="int8")
    (line,) = parse_recipe([{"quantize": {"engine": "inductor"}}])

    assert category(baseline.spec, compiled) == "graph compilation"
    assert category(compiled, int8) == "precision"
    assert halfway_lines(line, baseline.spec, int8) == [{"engine": {"name": engine}}]
    assert halfway_lines(line, baseline.spec, compiled) == []


def test_shapes_and_arithmetic_of_one_line_are_two_steps(baseline: Artifact, monkeypatch: pytest.MonkeyPatch) -> None:
    """Engine, plans and bf16 stand one after the other."""
    monkeypatch.setattr("perflib.compression.converters.openvino._BF16_PRODUCTS", _Everything())
    line = {"engine": {"name": "openvino", "shapes": "fixed", "lengths": [8], "arithmetic": "bf16"}}
    steps = expanded(baseline, line)

    assert [one.category for one in steps] == ["runtime change", "graph compilation", "precision"]
    assert [one.is_of_recipe for one in steps] == [False, False, True]
    assert "arithmetic" not in steps[1].line.options


class _Everything(set[str]):
    """Instruction sets of a processor that has them all."""

    def __and__(self, other: Any) -> Any:
        return {"any"}


def test_batches_and_replicas_of_one_line_are_two_steps(baseline: Artifact, monkeypatch: pytest.MonkeyPatch) -> None:
    """Batches first, with the threads of before."""
    monkeypatch.setattr("perflib.machine.thread_count", lambda: 2)
    line = {"runtime": {"batching": "token-budget", "tokens": 64, "replicas": 2, "threads": 1}}
    steps = expanded(baseline, line)
    halfway, last = (one.artifact.spec.runtime for one in steps)

    assert told(steps) == [("batching", "runtime", False), ("threads", "runtime", True)]
    assert (halfway.batching, halfway.batch_token_count, halfway.replica_count) == ("token-budget", 64, 1)
    assert halfway == dataclasses.replace(last, replica_count=1, thread_count=baseline.spec.runtime.thread_count)


@pytest.mark.parametrize("error", [SetupError("not installed."), ParameterError("unknown.")])
def test_where_nothing_can_stand_between_the_line_stays_whole(baseline: Artifact, error: Exception) -> None:
    """It is said to be of both kinds."""

    def refuses(line: Ingredient, parent: Artifact) -> tuple[Artifact, BuildStep]:
        if line.name == "engine":
            raise error
        return promised(line, parent)

    assert told(expanded(baseline, {"quantize": {}}, build=refuses)) == [
        ("runtime change and precision", "quantize", True)
    ]


def test_a_broken_disk_is_no_reason_to_go_on(baseline: Artifact) -> None:
    """Only what an engine says for itself leaves a line whole; a damaged artifact ends the work."""

    def breaks(line: Ingredient, parent: Artifact) -> tuple[Artifact, BuildStep]:
        if line.name == "engine":
            raise DataError("torn.")
        return promised(line, parent)

    with pytest.raises(DataError):
        expanded(baseline, {"quantize": {}}, build=breaks)


def test_other_weights_alone_are_structure_and_nothing_is_no_change(baseline: Artifact) -> None:
    """The record tells it by the files, whatever the stage is called."""
    other = dataclasses.replace(baseline.spec.files[0], sha256="1" * 64)
    pruned = dataclasses.replace(baseline.spec, files=(other,))

    assert category(baseline.spec, pruned) == "structure"
    assert category(baseline.spec, dataclasses.replace(pruned, precision="bf16")) == "precision"
    assert category(baseline.spec, baseline.spec) == "no change"
    assert told(expanded(baseline, {"runtime": {}})) == [("no change", "runtime", True)]


# --- the arithmetic -----------------------------------------------------------------------------------------------


def test_the_interval_of_a_product_covers_as_it_says() -> None:
    """Held against simulated measurements: normal on the log scale, three factors, intervals at 90 %."""
    chance, sds, z = np.random.default_rng(0), np.array([0.02, 0.1, 0.05]), 1.6448536269514722
    logs = chance.normal(0.0, sds, (4000, 3))
    hits = 0
    for row in logs:
        factors = [
            Interval(float(np.exp(x)), float(np.exp(x - z * sd)), float(np.exp(x + z * sd)), 0.9)
            for x, sd in zip(row, sds, strict=True)
        ]
        hits += bool(holds_one(product(factors)))

    assert abs(hits / 4000 - 0.9) < 0.02


def test_a_lopsided_interval_stays_lopsided_and_turns_over() -> None:
    """Each side by itself; a quotient takes the other side of what divides."""
    one, other = Interval(2.0, 1.0, 2.5, 0.9), Interval(3.0, 2.9, 6.0, 0.98)
    both, left = product([one, other]), over(one, other)

    assert (both.estimate, both.level_ratio) == (6.0, 0.9)
    assert both.low == pytest.approx(6 * np.exp(-np.hypot(np.log(2), np.log(3 / 2.9))))
    assert both.high == pytest.approx(6 * np.exp(np.hypot(np.log(1.25), np.log(2))))
    assert left.low == pytest.approx(2 / 3 * np.exp(-np.hypot(np.log(2), np.log(2))))
    assert left.high == pytest.approx(2 / 3 * np.exp(np.hypot(np.log(1.25), np.log(3 / 2.9))))
    assert product([one]).high == pytest.approx(one.high)


def test_without_a_bound_nothing_is_said_to_agree() -> None:
    """A bound that is lacking is lacking in the product too, and on the other side of a quotient."""
    lacking = Interval(2.0, None, 2.5, 0.9)

    assert product([lacking, Interval(3.0, 2.9, 3.1, 0.9)]).low is None
    assert over(Interval(3.0, 2.9, 3.1, 0.9), lacking).high is None
    assert holds_one(product([lacking])) is None
    assert (holds_one(Interval(1.1, 1.0, 1.2, 0.9)), holds_one(Interval(1.1, 1.0001, 1.2, 0.9))) == (True, False)


def test_steps_of_one_kind_are_one_factor() -> None:
    """In the order in which they first came; the product is of all steps."""
    first, second = ladder().rungs
    rungs = (first, second, dataclasses.replace(first, stage="prune"))
    found = summed(rungs, scenario("single", speedup_ratio=Interval(12.0, 11.0, 13.0, 0.9)))

    assert [(one.category, one.factor_ratio.estimate) for one in found.categories] == [
        ("structure", 4.0),
        ("runtime change and precision", 3.0),
    ]
    assert found.product_ratio.estimate == 12.0
    assert found.unattributed_ratio.estimate == pytest.approx(1.0)
    assert found.is_consistent is True


def test_a_total_beyond_the_steps_is_not_consistent() -> None:
    """2 times 3 is not 10, and the record says so."""
    found = summed(ladder().rungs, scenario("single", speedup_ratio=Interval(10.0, 9.5, 10.5, 0.9)))

    assert found.is_consistent is False
    assert found.unattributed_ratio.estimate == pytest.approx(10 / 6)


def test_one_step_that_is_the_total_leaves_nothing_open() -> None:
    """It is one measurement, not two."""
    (rung, _) = ladder().rungs
    found = summed((rung,), scenario("single", speedup_ratio=rung.speeds[0].factor_ratio))

    assert found.unattributed_ratio == Interval(1.0, 1.0, 1.0, 0.9)
    assert found.is_consistent is True


# --- nothing is timed twice ---------------------------------------------------------------------------------------


@pytest.fixture
def session(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Session:
    """Begin a session on a model that only adds up numbers of words."""
    monkeypatch.setenv("PERFLIB_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("PERFLIB_OUTPUTS_DIR", str(tmp_path))
    monkeypatch.setattr("perflib.machine.thread_count", lambda: 2)
    return Session.begin("02_why", run_dir=str(tmp_path / "run"), workload=Words.name)


def test_a_recipe_of_one_change_needs_no_timing(session: Session) -> None:
    """Its factor is the total."""
    add_candidate(session, "sorted", RECIPE[:1])
    compare = FakeCompare()
    found = measure_ladder(session, "sorted", RECIPE[:1], EFFORT, compare=compare)

    assert not compare.pairs
    assert [rung.timed_in for rung in found.rungs] == ["comparison-sorted"]
    assert [one.unattributed_ratio.estimate for one in found.totals] == [1.0, 1.0]
    assert found.comparisons == ()


def test_what_another_experiment_timed_is_taken_from_there(session: Session) -> None:
    """The first step of this candidate is another one; only the second is timed."""
    first, last = add_candidate(session, "sorted", RECIPE[:1]), add_candidate(session, "best", RECIPE)
    compare = FakeCompare()
    found = measure_ladder(session, "best", RECIPE, EFFORT, compare=compare)

    assert compare.pairs == [(first.digest, last.digest, "best, step 2 of 2: batching")]
    assert [rung.timed_in for rung in found.rungs] == ["comparison-sorted", "ladder-best"]
    assert [rung.speeds[0].factor_ratio.estimate for rung in found.rungs] == [5.0, 2.0]
    assert len(found.comparisons) == 1


def test_what_another_ladder_timed_is_taken_from_there(session: Session) -> None:
    """Two candidates that begin alike share their first step."""
    other = [RECIPE[0], {"runtime": {"batching": "sorted", "batch": 8}}]
    for name, recipe in (("best", RECIPE), ("other", other)):
        add_candidate(session, name, recipe)
    compare = FakeCompare()
    first = measure_ladder(session, "best", RECIPE, EFFORT, compare=compare)
    second = measure_ladder(session, "other", other, EFFORT, compare=compare)

    assert len(compare.pairs) == 3
    assert [rung.timed_in for rung in second.rungs] == ["ladder-best", "ladder-other"]
    assert second.rungs[0].speeds == first.rungs[0].speeds


def test_batches_and_replicas_are_timed_apart(session: Session) -> None:
    """One line of the recipe, two rungs; what was made between costs nobody who ships the candidate."""
    recipe = [{"runtime": {"batching": "sorted", "replicas": 2}}]
    add_candidate(session, "replicas", recipe)
    found = measure_ladder(session, "replicas", recipe, EFFORT, compare=FakeCompare())

    assert [(rung.category, rung.is_of_recipe) for rung in found.rungs] == [("batching", False), ("threads", True)]
    assert [[one.category for one in total.categories] for total in found.totals] == [["batching", "threads"]] * 2


@pytest.mark.parametrize(
    "change", [{"stop": "interrupted"}, {"stop": "arm-failed"}, {"scenarios": (scenario("offline"),)}]
)
def test_what_was_cut_short_or_lacks_a_scenario_is_not_taken(session: Session, change: dict[str, Any]) -> None:
    """Half a comparison is none."""
    add_candidate(session, "sorted", RECIPE[:1])
    kept = session.run.read(Comparison, "sorted")
    assert kept is not None
    session.run.write(dataclasses.replace(kept, **change), "sorted")

    assert timed_pairs(session.run, EFFORT.scenarios) == {}


def test_the_rivals_of_an_earlier_ladder_stay(session: Session) -> None:
    """To explain a candidate does not forget what it was held against, and times nothing again."""
    add_candidate(session, "best", RECIPE)
    add_candidate(session, "usual", [{"runtime": {"batch": 2}}])
    compare = FakeCompare()
    before = measure_ladder(session, "best", RECIPE, EFFORT, rivals=["usual", "ghost"], compare=compare)
    count = len(compare.pairs)
    after = measure_ladder(session, "best", RECIPE, EFFORT, compare=compare)

    assert after == before
    assert len(compare.pairs) == count


def test_a_scenario_that_the_run_did_not_time_is_left_out(session: Session) -> None:
    """There is no total to hold the steps against; with none left it is refused."""
    made = add_candidate(session, "best", RECIPE)
    found = scenario("offline", speedup_ratio=Interval(7.0, 6.5, 7.5, 0.9))
    shas = {"baseline_sha256": session.baseline.digest, "candidate_sha256": made.digest}
    session.run.write(comparison(found, name="best", **shas), "best")
    with pytest.raises(DataError, match="best was timed in offline and not in single"):
        measure_ladder(session, "best", RECIPE, dataclasses.replace(EFFORT, scenarios=["single"]))

    def offline(before: Artifact, after: Artifact, inputs: Any, question: Any) -> Comparison:
        assert [one.name for one in question.scenarios] == ["offline"]
        return comparison(found, baseline_sha256=before.digest, candidate_sha256=after.digest)

    assert [one.scenario for one in measure_ladder(session, "best", RECIPE, EFFORT, compare=offline).totals] == [
        "offline"
    ]


# --- whose waterfall ----------------------------------------------------------------------------------------------


def test_the_best_is_explained_where_nobody_is_named(session: Session) -> None:
    """The best that may be shipped; the figure of speed decides only among those."""
    assert best_candidate(session.run) is None
    assert explain_candidates(session, [], EFFORT).sentence.startswith("No candidate of this run was built")

    made = add_candidate(session, "fast", RECIPE)
    quick = (scenario("single", "REGRESSION"), scenario("offline", "REGRESSION"))
    shas = {"baseline_sha256": session.baseline.digest, "candidate_sha256": made.digest}
    session.run.write(comparison(*quick, name="fast", **shas), "fast")

    assert best_candidate(session.run) == "fast"

    add_candidate(session, "slow", RECIPE[:1])

    assert best_candidate(session.run) == "slow"

    found = explain_candidates(session, [], EFFORT, compare=FakeCompare())

    assert [one.name for one in found.ladders] == ["slow"]
    assert found.sentence == "Taken apart: slow."


def test_who_cannot_be_explained_is_named_and_stops_nobody(session: Session) -> None:
    """One was never built, and of one the steps are not those that were timed."""
    add_candidate(session, "good", RECIPE)
    add_candidate(session, "odd", RECIPE[:1])
    built = session.run.read(Build, "good")
    assert built is not None
    session.run.write(dataclasses.replace(built, name="odd"), "odd")
    found = explain_candidates(session, ["ghost", "odd", "good"], EFFORT, compare=FakeCompare())

    assert [one.name for one in found.ladders] == ["good"]
    assert set(found.left_out) == {"ghost", "odd"}
    assert "odd is not: the recipe of odd builds another artifact than was timed" in found.sentence


def test_a_candidate_of_an_existing_run_is_explained_by_name(session: Session) -> None:
    """Record and figure are kept in that run, and three lines say what came out."""
    add_candidate(session, "best", RECIPE)
    done = explain_named("run:best", compare=FakeCompare())

    assert session.run.read(Ladder, "best") == done.ladder
    assert session.run.figure("why-best").is_file()
    assert done.lines[0].startswith("best is faster one at a time, 5.00× [4.50, 5.50]")
    assert done.lines[-1].endswith("why-best.svg")


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("run:baseline", "the baseline is what candidates are held against"),
        ("run:bset", "did you mean `best`"),
        ("rnu:best", "there is no run rnu"),
        ("run:unbuilt", "has no record of how it was built"),
        ("run:untimed", "has no record of how fast it is"),
        ("nowhere", "is no artifact's folder"),
    ],
)
def test_what_cannot_be_explained_is_refused_in_one_sentence(session: Session, word: str, said: str) -> None:
    """Nothing is built or timed for it."""
    add_candidate(session, "best", RECIPE)
    for name, record in (("unbuilt", "build"), ("untimed", "comparison")):
        add_candidate(session, name, RECIPE[:1])
        session.run.record_path(record, name).unlink()
    with pytest.raises(ParameterError, match=said):
        explain_named(word, compare=FakeCompare())


def test_a_run_with_another_baseline_keeps_it(session: Session) -> None:
    """The workload of today prepares another one; nothing of the run is replaced."""
    add_candidate(session, "best", RECIPE)
    folder = session.run.artifact_folder("baseline")
    other = Words(seed=1).prepare().copy_to(folder)
    with pytest.raises(DataError, match="prepares another baseline now than run run was made from"):
        explain_named("run:best", compare=FakeCompare())

    assert Artifact.load(folder).digest == other.digest


# --- what is said and shown ---------------------------------------------------------------------------------------


def total(whole: Interval, **factors: Interval) -> LadderTotal:
    """Return the total of one scenario."""
    named = tuple(CategoryFactor(name.replace("_", " "), factor) for name, factor in factors.items())
    steps = product(list(factors.values()))
    left = over(whole, steps)
    return LadderTotal("single", whole, steps, left, holds_one(left), named, lives_count=5)


GAIN, LOSS, UNSURE = Interval(1.5, 1.4, 1.6, 0.9), Interval(0.5, 0.45, 0.55, 0.9), Interval(1.01, 0.98, 1.04, 0.9)


def test_what_made_it_slower_leads_where_it_is_slower() -> None:
    """Then what gave; what is not sure is not named."""
    one = total(Interval(0.76, 0.7, 0.8, 0.9), runtime_change=GAIN, precision=LOSS, batching=UNSURE)

    assert waterfall_sentence(ladder(name="int8", totals=(one,))) == (
        "int8 is slower one at a time, 0.76× [0.7, 0.8] as fast as the baseline (5 lives), because precision cost "
        "most, 0.5× [0.45, 0.55]; runtime change gave most, 1.50× [1.40, 1.60]."
    )


def test_what_gave_leads_where_it_is_faster() -> None:
    """The others that gave follow in brackets, the largest first."""
    more = Interval(2.0, 1.9, 2.1, 0.9)
    one = total(Interval(3.0, 2.8, 3.2, 0.9), runtime_change=GAIN, precision=more)
    said = waterfall_sentence(ladder(name="int8", totals=(one,)))

    assert "because precision gave most, 2.00× [1.90, 2.10] (then runtime change 1.50× [1.40, 1.60]);" in said
    assert said.endswith("; no change is sure to have cost anything.")


def test_an_undecided_total_gets_no_because() -> None:
    """What gave and what cost stand side by side."""
    one = total(Interval(1.0, 0.97, 1.03, 0.9), runtime_change=GAIN, precision=LOSS)
    said = waterfall_sentence(ladder(name="int8", totals=(one,)))

    assert "int8 is neither faster nor slower for sure one at a time" in said
    assert "because" not in said
    assert "runtime change gave most, 1.50× [1.40, 1.60], and precision cost most" in said


def test_one_change_is_all_of_it() -> None:
    """And without any total nothing is said."""
    one = total(GAIN, runtime_change=GAIN)

    assert waterfall_sentence(ladder(name="openvino", totals=(one,))).endswith(
        "and all of it is runtime change: its recipe changes nothing else."
    )
    assert waterfall_sentence(ladder(totals=())).startswith("No step of best was timed")


def test_whether_steps_and_total_agree_is_said() -> None:
    """Also which step could not be taken apart."""
    agrees = consistency_sentence(ladder())
    one = total(Interval(9.0, 8.0, 10.0, 0.9), runtime_change=GAIN, precision=GAIN)
    unknown = dataclasses.replace(one, is_consistent=None)

    assert agrees.startswith("One at a time: The steps multiply to 6.00× [5.17, 6.87], which agrees with the total")
    assert agrees.endswith("so that its parts stay unknown: `quantize` (runtime change and precision).")
    assert "which does not agree with the total" in consistency_sentence(ladder(totals=(one,)))
    assert "too few lives to say" in consistency_sentence(ladder(totals=(unknown,)))


def test_the_table_never_hides_what_is_left_open() -> None:
    """Kinds, product, what is left open, agreement, and the total last."""
    found = waterfall_table(ladder(name="<b>"))

    assert "&lt;b&gt;" in found
    words = ["structure", "runtime change and precision", "all steps multiplied", "left open", "agree?", "all together"]
    places = [found.index(f">{word}") if word != "agree?" else found.index(word) for word in words]
    assert places == sorted(places)
    assert "<td>yes</td>" in found
    assert "1.10× [0.94, 1.29]" in found


def test_the_figure_has_a_bar_for_every_change_and_warns_of_losses() -> None:
    """A loss has the warning colour, and so has a total below 1."""
    plots.use_house_style()
    one = total(Interval(0.76, 0.7, 0.8, 0.9), runtime_change=GAIN, precision=LOSS)
    figure, (ax,) = plot_waterfall(ladder(name="int8", totals=(one,)))
    warned = [patch for patch in ax.patches if patch.get_facecolor()[:3] == _rgb(WARNING)]

    assert len(ax.patches) == 4
    assert len(warned) == 2
    assert ax.get_xscale() == "log"
    assert "precision 0.5× [0.45, 0.55]; left open" in str(figure.get_label())
    assert "nothing to draw" in str(plot_waterfall(ladder(totals=()))[0].get_label())


def _rgb(colour: str) -> tuple[float, ...]:
    from matplotlib.colors import to_rgb

    return to_rgb(colour)
