"""The ladder: every step against the one before, the total by itself, nothing timed twice."""

import dataclasses
import itertools
from pathlib import Path
from typing import Any

import pytest

from perflib import plots, sentences, tables
from perflib.artifact import Artifact
from perflib.compression.build import build_candidate
from perflib.compression.stage import parse_recipe
from perflib.endtoend import measure_end_to_end
from perflib.errors import DataError
from perflib.ladder import Effort, measure_ladder, measure_model_alone
from perflib.results import Comparison, EndToEnd, Interval, Ladder, ModelAlone
from perflib.session import Session
from tests.synthetic_records import build, comparison, gate, ladder, scenario, validation
from tests.test_ask import Words

RECIPE = [{"runtime": {"batching": "sorted"}}, {"runtime": {"batching": "sorted", "batch": 4}}]
EFFORT = Effort(["single", "offline"], max_lives_count=5, units_per_life_count=1)


class FakeCompare:
    """Says that whatever comes second is 2× and 3× as fast, and writes down who was timed."""

    def __init__(self) -> None:
        self.pairs: list[tuple[str, str, str]] = []
        self.fails_after: int | None = None

    def __call__(self, before: Artifact, after: Artifact, inputs: Any, question: Any) -> Comparison:
        """Return a comparison of these two artifacts."""
        if self.fails_after is not None and len(self.pairs) >= self.fails_after:
            raise KeyboardInterrupt
        self.pairs.append((before.digest, after.digest, question.name))
        found = tuple(
            scenario(one.name, speedup_ratio=Interval(factor, 0.9 * factor, 1.1 * factor, 0.9))
            for one, factor in zip(question.scenarios, (2.0, 3.0), strict=True)
        )
        return comparison(*found, name=question.name, baseline_sha256=before.digest, candidate_sha256=after.digest)


@pytest.fixture
def session(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Session:
    """Begin a session on a model that only adds up numbers of words, with a candidate that is built and timed."""
    monkeypatch.setenv("PERFLIB_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setattr("perflib.scraps.glue", lambda *args, **kwargs: None)
    return Session.begin("02_ladder", run_dir=str(tmp_path / "run"), workload=Words.name)


def add_candidate(session: Session, name: str, recipe: list[Any]) -> Artifact:
    """Build a candidate into the run as its experiment would, with a comparison of 5× and 7×."""
    made, record = build_candidate(
        name,
        parse_recipe(recipe),
        parent=session.baseline,
        folder=session.run.artifact_folder(name),
        materials=session.materials,
    )
    found = (
        scenario("single", speedup_ratio=Interval(5.0, 4.5, 5.5, 0.9)),
        scenario("offline", speedup_ratio=Interval(7.0, 6.5, 7.5, 0.9)),
    )
    timed = comparison(*found, name=name, baseline_sha256=session.baseline.digest, candidate_sha256=made.digest)
    for one in (record, timed, validation(gates=(gate(id="A1"),))):
        session.run.write(one, name)
    return made


def test_every_step_is_timed_against_the_one_before_it(session: Session) -> None:
    """Two pairings for two steps; the total is the candidate's own comparison, and what is left open is said."""
    last, compare = add_candidate(session, "best", RECIPE), FakeCompare()
    found = measure_ladder(session, "best", RECIPE, EFFORT, compare=compare)

    (first, second) = compare.pairs
    assert (first[0], second[1]) == (session.baseline.digest, last.digest)
    assert first[1] == second[0] == found.rungs[0].artifact_sha256
    assert [rung.stage for rung in found.rungs] == ["runtime", "runtime"]
    assert [rung.line for rung in found.rungs] == RECIPE
    assert [rung.category for rung in found.rungs] == ["batching", "batching"]
    assert [(one.scenario, one.total_ratio.estimate, one.product_ratio.estimate) for one in found.totals] == [
        ("single", 5.0, 4.0),
        ("offline", 7.0, 9.0),
    ]
    assert [one.unattributed_ratio.estimate for one in found.totals] == pytest.approx([5 / 4, 7 / 9])
    assert session.run.read(Ladder, "best") == found
    assert "best" in session.run.candidate_names()


def test_an_interrupted_ladder_goes_on_where_it_was(session: Session) -> None:
    """What was timed before the interruption is not timed again."""
    add_candidate(session, "best", RECIPE)
    compare = FakeCompare()
    compare.fails_after = 1
    with pytest.raises(KeyboardInterrupt):
        measure_ladder(session, "best", RECIPE, EFFORT, compare=compare)
    kept = session.run.read(Ladder, "best")
    compare.fails_after = None
    found = measure_ladder(session, "best", RECIPE, EFFORT, compare=compare)

    assert kept is not None
    assert len(kept.rungs) == 1
    assert [name for _, _, name in compare.pairs] == [f"best, step {place} of 2: batching" for place in (1, 2)]
    assert len(found.rungs) == len(found.comparisons) == 2


def test_rivals_are_timed_against_the_candidate(session: Session) -> None:
    """The rival is the baseline of that pairing; one that was never built is named and left out."""
    last, compare = add_candidate(session, "best", RECIPE), FakeCompare()
    rival = add_candidate(session, "usual", [{"runtime": {"batch": 2}}])
    found = measure_ladder(session, "best", RECIPE, EFFORT, rivals=["usual", "ghost"], compare=compare)

    assert compare.pairs[-1] == (rival.digest, last.digest, "best against usual")
    assert [(one.name, one.is_approved) for one in found.rivals] == [("usual", True)]
    assert found.absent_rivals == ("ghost",)


def test_a_candidate_that_was_not_timed_is_timed(session: Session) -> None:
    """Opened by itself, the notebook measures the total too, and keeps it."""
    compare = FakeCompare()
    found = measure_ladder(session, "best", RECIPE, EFFORT, compare=compare)

    kept = session.run.read(Comparison, "best")
    assert kept is not None
    assert (kept.baseline_sha256, kept.candidate_sha256) == (session.baseline.digest, found.candidate_sha256)
    assert compare.pairs[-1][2] == "best"


def test_another_artifact_under_the_name_is_refused(session: Session) -> None:
    """A ladder of one recipe does not explain the speed of another."""
    add_candidate(session, "best", RECIPE[:1])
    with pytest.raises(DataError, match="builds another artifact than was timed; run its experiment again"):
        measure_ladder(session, "best", RECIPE, EFFORT, compare=FakeCompare())


def test_the_model_alone_is_timed_where_it_is_served_otherwise(session: Session, tmp_path: Path) -> None:
    """Both arms are then served as the baseline is."""
    compare = FakeCompare()
    runtime = dataclasses.replace(session.baseline.spec.runtime, batching="sorted")
    other = Words(seed=1).prepare().copy_to(tmp_path / "other", runtime=runtime)
    found = measure_model_alone(session, other, "other", EFFORT, compare=compare)

    assert found == session.run.read(ModelAlone, "other")
    ((before, after, _),) = compare.pairs
    assert before == session.baseline.digest
    assert after == Words(seed=1).prepare().digest


def test_where_model_or_serving_is_the_baselines_nothing_is_timed_alone(session: Session) -> None:
    """The factor is 1 by definition, or the whole of it."""
    compare = FakeCompare()
    for one in (add_candidate(session, "sorted", RECIPE[:1]), session.baseline, Words(seed=1).prepare()):
        assert measure_model_alone(session, one, "any", EFFORT, compare=compare) is None
    assert not compare.pairs


def test_from_raw_inputs_to_answers_both_models_take_turns(session: Session) -> None:
    """Every pass encodes; the ratio is of the medians, and the tokeniser's share is of the candidate's time."""
    ticks = itertools.count()
    candidate = add_candidate(session, "best", RECIPE)
    encoded_count = session.workload.encoded_count  # type: ignore[attr-defined]
    found = measure_end_to_end(session, candidate, "best", clock=lambda: float(next(ticks) ** 2))

    assert found == session.run.read(EndToEnd, "best")
    assert (found.example_count, len(found.encode_sec), len(found.candidate_sec)) == (80, 5, 5)
    assert found.encode_sec[0] < found.baseline_sec[0] < found.candidate_sec[0] < found.encode_sec[1]
    assert session.workload.encoded_count >= encoded_count + 18  # type: ignore[attr-defined]
    one = EndToEnd("best", 128, (0.1, 0.1, 0.2), (2.0, 2.0, 9.0), (0.5, 0.5, 0.1))
    assert (one.speedup_ratio, one.encode_share_ratio) == (4.0, 0.2)
    assert sentences.end_to_end_sentence(one).startswith(
        "With tokenising, 128 raw inputs are answered 4.00× as fast as today; 20.0 % of the candidate's time is "
    )


def test_the_sentence_names_the_step_that_gave_most() -> None:
    """With the direct total and what is left open."""
    said = sentences.ladder_sentence(ladder())

    assert said.startswith("In single, best is 6.60× [6.10, 7.00] as fast as the baseline (5 lives, paired directly); ")
    assert "`quantize` (runtime change and precision) gave most, 3.00× [2.70, 3.30]. The steps multiply to" in said
    assert "6.00× [5.17, 6.87], which agrees with the total within the intervals; 1.10× [0.94, 1.29] is left" in said
    assert "In offline" in said


def test_the_best_rival_is_the_one_over_which_least_is_gained() -> None:
    """Only those that pass the same gates count; the others are named."""
    said = sentences.rivals_sentence(ladder())
    none = sentences.rivals_sentence(dataclasses.replace(ladder(), rivals=()))

    assert "In offline, best is 2.50× [2.20, 2.80] as fast as onnx" in said
    assert "Not approved themselves: other." in said
    assert said.endswith("Not built here: third.")
    assert none.startswith("None of the usual choices passed")


def test_what_is_the_models_and_what_is_the_servings() -> None:
    """Both speed-ups stand side by side."""
    whole = comparison(scenario("offline", speedup_ratio=Interval(6.0, 5.0, 7.0, 0.9)))
    alone = ModelAlone("best", comparison(scenario("offline", speedup_ratio=Interval(4.0, 3.5, 4.5, 0.9))))

    assert sentences.alone_sentence(whole, alone) == (
        "Served as the baseline is, the model alone gives in offline 4.00× [3.50, 4.50] of 6.00×; "
        "the rest is how it is served."
    )
    assert "the model alone" in sentences.alone_sentence(whole, None)
    served = dataclasses.replace(whole, is_baseline_runtime=False)
    assert sentences.alone_sentence(served, None).startswith("The model is the baseline's own")


def test_the_tables_show_every_step_and_every_rival() -> None:
    """Options are escaped, the total stands last and marked."""
    evil = dataclasses.replace(ladder().rungs[0], line={"distil": {"student": "<b>"}})
    steps, rivals = tables.ladder_table(ladder(rungs=(evil, ladder().rungs[1]))), tables.rivals_table(ladder())

    assert "distil (student: &lt;b&gt;)" in steps
    assert "<b>" not in steps
    assert steps.index("quantize (layers: 3)") < steps.index("left open by the steps") < steps.index("all together")
    assert '<tr class="total"><th scope="row">all together' in steps
    assert "15.0 MB, 15 % of the baseline" in steps
    assert "2.0 min" in steps or "120 s" in steps
    assert "not approved" in rivals
    assert "2.50× [2.20, 2.80]" in rivals


def test_the_figure_tells_every_factor_in_words() -> None:
    """One panel a scenario, a bar a step, one for what is left open and one for the total."""
    plots.use_house_style()
    figure, axes = plots.plot_ladder(ladder())

    assert len(axes) == 2
    assert all(len(ax.patches) == 4 for ax in axes)
    assert [ax.get_title(loc="left") for ax in axes] == ["single: 6.60× in all", "offline: 6.60× in all"]
    told = str(figure.get_label())
    assert "quantize 3.00× [2.70, 3.30]; left open 1.10× [0.94, 1.29]; all together 6.60× [6.10, 7.00]." in told
    assert "nothing to draw" in str(plots.plot_ladder(ladder(rungs=()))[0].get_label())


def test_the_record_survives_its_own_json() -> None:
    """A reviewer reads back what was written."""
    assert Ladder.from_dict(ladder().to_dict()) == ladder()
    assert build().proofs[0]["stage"] == "quantize"
