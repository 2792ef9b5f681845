"""The break-even map: cells of exact texts, a prediction that is written first, and all cells in the same lives."""

import dataclasses
import datetime
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from perflib import records
from perflib.artifact import Artifact
from perflib.benchmarking.compare import compare
from perflib.benchmarking.grid import cell, exact_texts, grid_cells, named_scenarios
from perflib.benchmarking.worker import Worker
from perflib.breakeven import find_candidate, measure_breakeven
from perflib.encoded import MASK, Encoded
from perflib.errors import MeasurementError, ParameterError
from perflib.profiling.forecast import CallCost
from perflib.results import Breakeven, BreakevenCell, Comparison, Interval
from perflib.sentences.breakeven import breakeven_sentence, score
from perflib.session import Session
from perflib.tables.breakeven import breakeven_table, forecast_table
from tests.fake_arms import FakeArm, FakeHost, FakeWatch
from tests.test_ask import Words

EAGER = CallCost(4e-3, 2e-4, 1e-4, 7e-7)
# Less overhead, and every text costs as much as a long one; at batch 1 faster everywhere, else for long texts only.
FIXED = CallCost(1e-3, 3e-3, 0.0, 0.0)
FEWEST = {"max_lives_count": 6, "units_per_life_count": 1}


class LongWords(Words):
    """Texts of up to 70 words, so that the map has lengths."""

    name = f"{__name__}:LongWords"
    max_token_count: int | None = 70

    def encode(self, inputs: Any) -> Encoded:
        """Repeat each text's words until it has 7, 14, … 70 of them."""
        short = super().encode(list(inputs))
        rows = [np.resize(row[row > 0], 7 * (1 + place % 10)) for place, row in enumerate(short.arrays["input_ids"])]
        ids = np.zeros((len(rows), 70), np.int64)
        for place, row in enumerate(rows):
            ids[place, : len(row)] = row
        return Encoded({"input_ids": ids, MASK: (ids > 0).astype(np.int64)})


class ShapedArm(FakeArm):
    """An arm whose calls take what its model costs at the cell's shape."""

    def _time(self, name: str, passes_count: int) -> list[float]:
        asked, host = cell(name), self.host
        assert isinstance(host, ShapedHost)
        cost_sec = host.costs[self.label](asked.example_count, asked.length_token_count)
        step_ns = round(1e9 * cost_sec * math.exp(self.luck_log + host.noise()))
        return [self._timer.time(lambda: self._run(step_ns)) for _ in range(passes_count)]


class ShapedHost(FakeHost):
    """A machine on which both models have a cost for every shape."""

    def __init__(
        self,
        baseline: Callable[[int, int], float] = EAGER.seconds,
        candidate: Callable[[int, int], float] = FIXED.seconds,
        **chance: Any,
    ) -> None:
        super().__init__(**chance)
        self.costs = {"baseline": baseline, "candidate": candidate}

    def __call__(self, label: Any, *, hash_seed: int, padding_bytes: int) -> ShapedArm:
        """Start an arm."""
        life = 1 + sum(arm.label == label for arm in self.arms)
        arm = ShapedArm(label, self, life=life, hash_seed=hash_seed, padding_bytes=padding_bytes)
        self.arms.append(arm)
        return arm


class Clock:
    """A clock that is read: every look is a second later."""

    def __init__(self) -> None:
        self.at = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)

    def __call__(self) -> datetime.datetime:
        """Return the time."""
        self.at += datetime.timedelta(seconds=1)
        return self.at


@pytest.fixture
def session(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Session:
    """Begin a session on a model that only adds up numbers of words."""
    monkeypatch.setenv("PERFLIB_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setattr("perflib.scraps.glue", lambda *args, **kwargs: None)
    return Session.begin("02_breakeven", run_dir=str(tmp_path / "run"), workload=LongWords.name)


def other(session: Session) -> Artifact:
    """Put a candidate into the run: the baseline in other batches."""
    runtime = dataclasses.replace(session.baseline.spec.runtime, batch_example_count=2)
    return session.baseline.copy_to(session.run.artifact_folder("other"), runtime=runtime)


def measured(session: Session, host: ShapedHost, *, fail: bool = False, clock: Clock | None = None) -> Breakeven:
    """Make the map on a fake machine; one that fails does so after the prediction and before any cell."""

    def timed(*given: Any) -> Comparison:
        if fail:
            raise KeyboardInterrupt
        return compare(*given, start_arm=host, watch=FakeWatch(), clock=host.clock)

    return measure_breakeven(
        session,
        "other",
        other(session),
        **FEWEST,
        compare=timed,
        start_arm=host,
        watch=FakeWatch(),
        now=clock or Clock(),
    )


def texts(*lengths: int) -> Encoded:
    """Return texts of these lengths: first token 1, last token 2, and the text's own numbers between."""
    ids = np.zeros((len(lengths), max(lengths)), np.int64)
    for row, length in enumerate(lengths):
        ids[row, :length] = 100 * (row + 1) + np.arange(length)
        ids[row, 0], ids[row, length - 1] = 1, 2
    return Encoded({"input_ids": ids, MASK: (ids > 0).astype(np.int64), "kind": np.arange(len(lengths))})


def test_the_names_of_cells_stand_beside_those_of_scenarios() -> None:
    """Order is kept, and what is neither is refused."""
    found = named_scenarios(["16x8", "offline", "1x64"])

    assert [one.name for one in found] == ["16x8", "offline", "1x64"]
    assert (found[0].example_count, found[0].sample(texts(8)).lengths().tolist()) == (16, [8] * 16)
    for names in (["ofline"], ["0x8"], ["4x"], ["-1x8"], [], ["offline", "offline"]):
        with pytest.raises(ParameterError):
            named_scenarios(names)


def test_a_name_that_is_no_cell_is_refused() -> None:
    """In one sentence that shows one."""
    with pytest.raises(ParameterError, match="name one as batch and length, such as 4x16"):
        cell("offline")


def test_texts_are_cut_or_repeated_between_their_first_and_last_token() -> None:
    """By hand: of 6 tokens four, and of 4 tokens seven."""
    cut = exact_texts(texts(6), 1, 4).arrays["input_ids"].tolist()
    longer = exact_texts(texts(4), 1, 7).arrays["input_ids"].tolist()

    assert cut == [[1, 101, 102, 2]]
    assert longer == [[1, 101, 102, 101, 102, 101, 2]]


@pytest.mark.parametrize("length", [1, 2, 3, 9])
@pytest.mark.parametrize("short", [1, 2, 3])
def test_texts_without_a_middle_fit_too(short: int, length: int) -> None:
    """Every one of their tokens is one that the text has."""
    ids = exact_texts(texts(short, 20), 1, length).arrays["input_ids"]
    found = exact_texts(texts(short), 3, length)

    assert ids.shape == (1, length)
    assert found.arrays[MASK].tolist() == [[1] * length] * 3
    assert set(found.arrays["input_ids"].ravel().tolist()) <= set(texts(short).arrays["input_ids"].ravel().tolist())


def test_the_texts_nearest_in_length_are_taken_and_their_other_arrays_with_them() -> None:
    """Again from the first where there are too few."""
    found = exact_texts(texts(20, 9, 5, 8), 6, 8)

    assert found.arrays["kind"].tolist() == [3, 1, 2, 0, 3, 1]
    assert found.arrays[MASK].shape == (6, 8)
    assert found.lengths().tolist() == [8] * 6
    assert found.digest() == exact_texts(texts(20, 9, 5, 8), 6, 8).digest()


def test_the_map_ends_at_the_longest_text_and_at_all_texts_there_are() -> None:
    """Inclusive; texts shorter than every length have a map over the batch only."""
    assert [one.name for one in grid_cells(texts(*[12] * 8))] == ["1x8", "1x12", "4x8", "4x12", "8x8", "8x12"]
    assert {one.length_token_count for one in grid_cells(texts(11, 3))} == {8}
    assert [one.name for one in grid_cells(texts(*[7] * 5))] == ["1x7", "4x7"]
    assert len(grid_cells(texts(*[127] * 16))) == 20


def test_inputs_without_lengths_have_one_axis() -> None:
    """Their examples are taken as they are."""
    pictures = Encoded({"pixels": np.arange(64, dtype=np.float32).reshape(64, 1)})

    assert [one.name for one in grid_cells(pictures)] == ["1x1", "4x1", "8x1", "16x1", "32x1", "64x1"]
    assert cell("4x1").sample(pictures).arrays["pixels"].ravel().tolist() == [0, 1, 2, 3]


def test_a_worker_times_a_cell(session: Session, tmp_path: Path) -> None:
    """Asked by its name over the wire, it makes the inputs from the file that it was given."""
    worker = Worker()
    inputs = session.inputs.write(tmp_path / "inputs.npz")
    load = {"op": "load", "artifact": str(session.baseline.folder), "inputs": str(inputs), "scenarios": ["4x16"]}

    assert worker.answer(load)["answer_shape"] == [1, 2]
    assert len(worker.answer({"op": "slot", "scenario": "4x16", "passes": 3})["samples_sec"]) == 3
    with pytest.raises(MeasurementError, match="asked for before it was loaded"):
        worker.answer({"op": "slot", "scenario": "4x32", "passes": 1})


def test_signs_are_predicted_on_a_map_that_has_both(session: Session) -> None:
    """On a quiet machine every cell is decided and every sign right; the true cost is the oracle."""
    found = measured(session, ShapedHost())
    said = score(found)

    assert (said.cells_count, said.decided_count, said.right_count) == (20, 20, 20)
    assert said.has_both_signs
    assert said.is_foreseen
    assert said.commoner_count == 11
    for one in found.cells:
        shape = (one.batch_example_count, one.length_token_count)
        true = EAGER.seconds(*shape) / FIXED.seconds(*shape)
        assert one.measured_ratio is not None
        assert one.predicted_ratio == pytest.approx(true, rel=1e-4)
        assert one.measured_ratio.estimate == pytest.approx(true, rel=1e-4)
        assert one.verdict == ("IMPROVEMENT" if true > 1 else "REGRESSION")
        assert one.lives_count >= 5
    assert session.run.read(Breakeven, "other") == found


def test_the_prediction_is_written_before_anything_on_the_map_is_measured(session: Session) -> None:
    """When the first cell would be timed, the record lies there; no probe was a cell."""
    host, clock = ShapedHost(), Clock()
    with pytest.raises(KeyboardInterrupt):
        measured(session, host, fail=True, clock=clock)
    written = session.run.read(Breakeven, "other")

    assert written is not None
    assert written.measured_at is None
    assert written.predicted_at == "2026-01-01T00:00:01.000000+00:00"
    assert all(one.measured_ratio is None and one.verdict == "" and not one.lives_count for one in written.cells)
    asked = {request["scenario"] for _, request in host.requests if "scenario" in request}
    cells = {f"{one.batch_example_count}x{one.length_token_count}" for one in written.cells}
    assert asked == {f"{batch}x{length}" for batch, length, _, _ in written.probes_sec}
    assert not asked & cells
    assert len(host.arms) == 6


def test_a_disturbed_life_does_not_reach_the_prediction(session: Session) -> None:
    """Whatever slows both processes down tenfold in one of the three; the true costs are found all the same."""
    host = ShapedHost(noise=lambda: math.log(10.0) if 2 < len(host.arms) <= 4 else 0.0)
    with pytest.raises(KeyboardInterrupt):
        measured(session, host, fail=True)
    written = session.run.read(Breakeven, "other")

    assert written is not None
    for batch, length, baseline_sec, candidate_sec in written.probes_sec:
        assert baseline_sec == pytest.approx(EAGER.seconds(batch, length), rel=1e-6)
        assert candidate_sec == pytest.approx(FIXED.seconds(batch, length), rel=1e-6)


def test_whoever_begins_again_is_held_to_the_first_prediction(session: Session) -> None:
    """Also where the machine would now say something else; and a finished map is not measured again."""
    clock = Clock()
    with pytest.raises(KeyboardInterrupt):
        measured(session, ShapedHost(), fail=True, clock=clock)
    first = session.run.read(Breakeven, "other")
    slower = ShapedHost(candidate=lambda batch, length: 10 * EAGER.seconds(batch, length))
    again = measured(session, slower, clock=clock)
    assert first is not None
    assert [one.predicted_ratio for one in again.cells] == [one.predicted_ratio for one in first.cells]
    assert (again.predicted_at, again.probes_sec) == (first.predicted_at, first.probes_sec)
    assert again.measured_at is not None
    assert first.predicted_at < again.measured_at
    assert {one.verdict for one in again.cells} == {"REGRESSION"}

    untouched = ShapedHost()
    assert measured(session, untouched) == again
    assert not untouched.arms


def test_a_record_of_other_artifacts_or_of_another_version_is_made_anew(session: Session) -> None:
    """A prediction about one candidate says nothing about another."""
    found = measured(session, ShapedHost())
    session.run.write(dataclasses.replace(found, candidate_sha256="0" * 64, predicted_at="long ago"), "other")
    assert measured(session, ShapedHost()).predicted_at != "long ago"
    path = session.run.record_path("breakeven", "other")
    records.write_bytes(path, path.read_bytes().replace(b"perflib/breakeven/", b"perflib/breakeven/9"))
    assert measured(session, ShapedHost()).cells == found.cells


def test_all_cells_share_their_lives(session: Session) -> None:
    """Two processes a life, however many cells; the probes have three lives of their own."""
    host = ShapedHost()
    found = measured(session, host)

    assert len(host.arms) == 6 + 2 * max(one.lives_count for one in found.cells)


def test_a_cell_that_never_levels_costs_eight_slots_of_warm_up(session: Session) -> None:
    """Twenty cells of twenty slots each would be most of the map's time; other scenarios keep their twenty."""
    chance = np.random.default_rng(0)
    host = ShapedHost(noise=lambda: float(chance.normal(0.0, 0.5)))
    measured(session, host)
    warm = [request["scenario"] for label, request in host.requests if request["op"] == "warm" and label == "baseline"]
    lives_count = len(host.arms) // 2 - 3

    # One more slot in the first life, where the length of slots is planned.
    assert 8 * lives_count * 0.5 < warm.count("4x16") <= 8 * lives_count + 1


def test_jumps_make_cells_wrong_and_the_record_says_so(session: Session) -> None:
    """An engine with a fast plan for exactly 16 tokens is foreseen nowhere; the map is then not called foreseen."""

    def jumping(batch: int, length: int) -> float:
        return EAGER.seconds(batch, length) * (0.5 if length == 16 else 1.5)

    said = score(measured(session, ShapedHost(candidate=jumping)))

    assert (said.decided_count, said.right_count, said.commoner_count) == (20, 16, 16)
    assert said.has_both_signs
    assert not said.is_foreseen


def test_equal_models_leave_cells_open_or_call_them_no_regression(session: Session) -> None:
    """With noise that both models share in turn there is no sign to be right about."""
    chance = np.random.default_rng(0)
    host = ShapedHost(candidate=EAGER.seconds, noise=lambda: float(chance.normal(0.0, 0.05)))
    said = score(measured(session, host))

    assert said.decided_count <= 2
    assert not said.is_foreseen


def test_a_candidate_is_taken_from_the_run_before_it_is_built(session: Session) -> None:
    """One that neither the run nor the experiments know is refused."""
    kept = other(session)
    assert find_candidate(session, "other").digest == kept.digest
    with pytest.raises(ParameterError):
        find_candidate(session, "ghost")


def one_cell(batch: int, length: int, predicted: float, verdict: str, ratio: float = 2.0) -> BreakevenCell:
    """Return a cell that was measured."""
    return BreakevenCell(batch, length, predicted, Interval(ratio, None, None, 0.9), verdict, 5)


def a_map(*cells: BreakevenCell) -> Breakeven:
    """Return a finished map."""
    return Breakeven("fixed", "a", "b", ((1, 9, 0.004, 0.005),), "2026-01-01", "2026-01-02", cells)


@pytest.mark.parametrize(
    ("predicted", "verdict", "right"),
    [
        (1.01, "IMPROVEMENT", True),
        (0.99, "IMPROVEMENT", False),
        (0.99, "REGRESSION", True),
        (1.01, "REGRESSION", False),
        (1.0, "IMPROVEMENT", False),
        (1.0, "REGRESSION", False),
        (2.0, "PASS", None),
        (2.0, "INCONCLUSIVE", None),
        (2.0, "", None),
    ],
)
def test_a_sign_is_right_only_where_it_was_decided(predicted: float, verdict: str, *, right: bool | None) -> None:
    """A tie predicts neither."""
    assert one_cell(1, 8, predicted, verdict).is_right is right


@pytest.mark.parametrize(("right_count", "is_foreseen"), [(20, True), (18, True), (17, False)])
def test_nine_in_ten_signs_have_to_be_right(right_count: int, *, is_foreseen: bool) -> None:
    """Exactly nine in ten are enough."""
    cells = [
        one_cell(
            1,
            8 + place,
            2.0 if (place < right_count) == (place % 2 == 0) else 0.5,
            ("IMPROVEMENT", "REGRESSION")[place % 2],
        )
        for place in range(20)
    ]

    assert score(a_map(*cells)).right_count == right_count
    assert score(a_map(*cells)).is_foreseen is is_foreseen


def test_the_commoner_sign_has_to_be_beaten() -> None:
    """Nineteen of twenty is no foresight where always saying faster gives as many; nor is a map of one sign."""
    faster = [one_cell(1, 8 + place, 2.0, "IMPROVEMENT") for place in range(19)]
    lone = score(a_map(*faster, one_cell(1, 40, 2.0, "REGRESSION")))

    assert (lone.right_count, lone.commoner_count, lone.is_foreseen) == (19, 19, False)
    assert score(a_map(*faster, one_cell(1, 40, 0.5, "REGRESSION"))).is_foreseen
    assert not score(a_map(*faster)).is_foreseen
    assert "has one sign only" in breakeven_sentence(a_map(*faster))


def test_the_sentence_says_where_break_even_lies() -> None:
    """Batch sizes that switch at the same place are said together; open cells are counted and left out."""
    found = a_map(
        one_cell(1, 8, 1.2, "IMPROVEMENT"),
        one_cell(1, 32, 1.2, "IMPROVEMENT"),
        *(
            one
            for batch in (4, 16)
            for one in (one_cell(batch, 8, 0.5, "REGRESSION"), one_cell(batch, 32, 1.4, "IMPROVEMENT"))
        ),
        one_cell(4, 16, 0.9, "INCONCLUSIVE"),
    )

    assert breakeven_sentence(found) == (
        "6 of 7 cells were decided (1 was not, and left out); the predicted sign is right in 6 of them (100 %), always "
        "guessing the commoner sign would be in 4: the map was foreseen. fixed is faster wherever it was decided at "
        "batch 1; slower up to 8 tokens and faster from 32 on at batch 4 and 16."
    )


def test_the_sentence_of_other_maps() -> None:
    """Not measured, not decided, without lengths, and with more than one switch."""
    open_map = a_map(one_cell(1, 8, 1.2, "PASS"))
    pictures = a_map(one_cell(1, 1, 0.5, "REGRESSION"), one_cell(4, 1, 0.8, "IMPROVEMENT"))
    wild = a_map(
        *(
            one_cell(1, 8 * place, 2.0, word)
            for place, word in ((1, "IMPROVEMENT"), (2, "REGRESSION"), (3, "IMPROVEMENT"))
        )
    )

    assert "has not been measured" in breakeven_sentence(dataclasses.replace(open_map, measured_at=None))
    assert breakeven_sentence(open_map).startswith("None of the 1 cells of fixed was decided")
    assert breakeven_sentence(pictures).endswith("fixed is slower up to 1 examples and faster from 4 on.")
    assert "the map was not foreseen" in breakeven_sentence(pictures)
    assert "now faster, now slower between 8 and 24 tokens at batch 1" in breakeven_sentence(wild)


def test_the_progress_of_a_map_is_one_short_line(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    """How many cells are decided, not what each of twenty says."""
    notes: list[str] = []
    monkeypatch.setattr("perflib.progress.Progress.step", lambda bar, note="": notes.append(note))
    measured(session, ShapedHost())

    assert (notes[0], notes[-1]) == ("0 of 20 decided", "20 of 20 decided")


def test_the_tables_show_every_cell_and_every_probe() -> None:
    """With what was predicted, and whether it came true."""
    found = a_map(
        one_cell(4, 8, 0.5, "REGRESSION", 0.6), one_cell(4, 16, 0.9, "IMPROVEMENT"), one_cell(1, 8, 1.0, "PASS")
    )
    cells, probes = breakeven_table(dataclasses.replace(found, name="<b>")), forecast_table(found)

    assert "&lt;b&gt;" in cells
    assert "<td>0.5×</td><td>0.6×</td><td>slower</td><td>right</td><td>5</td>" in cells
    assert "<td>wrong</td>" in cells
    assert "<td>no regression</td><td>–</td>" in cells
    assert "1 × 9 tokens</th><td>4.00 ms</td><td>5.00 ms</td><td>0.8×</td>" in probes
