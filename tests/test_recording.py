"""What a run gives to the history: provenance, canaries, points, and the first good artifact."""

from pathlib import Path

import pytest

from perflib.errors import ParameterError, SetupError
from perflib.pipeline import Outcome
from perflib.regression.history.store import open_history
from perflib.results.history import METRICS, EnvironmentLock, HistoryPoint, Provenance
from perflib.results.regression import Canary, Quarantine
from perflib.runs import Run
from perflib.watching import recording
from perflib.watching.open import open_watch
from perflib.watching.points import good_of_run, points_of_run
from perflib.watching.provenance import host_id
from perflib.watching.recording import enter_history, judge_host, quarantine_mark
from tests.fake_bench import lock_of, write_model
from tests.made_runs import Made, make_run

LOCK = lock_of(kernel="1.0")


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Return a made-up run."""
    return make_run(tmp_path / "runs" / "one", write_model(tmp_path / "model"), LOCK, Made(), millisecond=0)


def by_metric(points: list[HistoryPoint], candidate: str) -> dict[tuple[str, str], float]:
    """Return the values of one candidate by scenario and metric."""
    return {(one.scenario, one.metric): one.value for one in points if one.candidate == candidate}


def test_a_run_has_a_point_for_each_result_of_its_baseline(run: Run) -> None:
    """Values come from the record, in the metric's own unit."""
    points = points_of_run(run)

    assert by_metric(points, "baseline") == {
        ("single", "p50_sec"): 0.004,
        ("single", "p95_sec"): 0.006,
        ("offline", "examples_per_sec"): pytest.approx(320.0),
        ("all", "load_sec"): 1.0,
        ("all", "peak_rss_bytes"): 100_000_000,
        ("all", "size_bytes"): 7,
        ("all", "accuracy_ratio"): 0.85,
    }
    assert all(one.unit == METRICS[one.metric].unit for one in points)
    assert len({one.key for one in points}) == len(points)


def test_each_component_has_a_digest_of_its_own(tmp_path: Path) -> None:
    """Other weights, other serving, other packages, other data: each changes one digest and no other."""
    model = write_model(tmp_path / "model")
    changes = {
        "artifact": (write_model(tmp_path / "weights", weights=b"others"), LOCK, Made()),
        "parameters": (write_model(tmp_path / "threads", thread_count=2), LOCK, Made()),
        "lock": (model, lock_of(kernel="2.0"), Made()),
        "data": (model, LOCK, Made(data_sha256="others")),
    }
    first = points_of_run(make_run(tmp_path / "first", model, LOCK, Made(), millisecond=0))[0]
    for number, (name, (artifact, lock, made)) in enumerate(changes.items(), start=1):
        point = points_of_run(make_run(tmp_path / name, artifact, lock, made, millisecond=number))[0]
        differing = [one for one in changes if point.component_sha256(one) != first.component_sha256(one)]

        assert differing == [name]


def test_a_good_run_names_its_kept_folder_and_its_component(run: Run) -> None:
    """The artifact's own digest is not that of its weights."""
    good = good_of_run(run, "baseline", role="good")

    assert good.artifact_sha256 != good.weights_sha256 == points_of_run(run)[0].artifact_sha256
    assert (good.size_bytes, good.accuracy_ratio) == (7, 0.85)


def test_a_candidate_that_was_not_built_cannot_be_good(run: Run) -> None:
    """One sentence says which run lacks it."""
    with pytest.raises(ParameterError, match="has no artifact `int8`"):
        good_of_run(run, "int8", role="good")


def test_the_first_run_enters_the_history_and_is_kept(run: Run, own_folders: Path) -> None:
    """Rows, artifact and lock; a second time adds nothing."""
    said: list[str] = []

    assert enter_history(run, say=said.append)
    assert enter_history(run, say=said.append)
    with open_history() as history:
        assert history.count() == 7
        assert [one.role for one in history.goods()] == ["baseline"]
    assert "7 results added" in said[0]
    assert "0 results added" in said[1]
    assert list((own_folders / "history" / "kept" / "artifacts").iterdir())


def test_a_history_that_cannot_be_written_fails_no_run(
    run: Run, own_folders: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One line says why, and that nothing is lost."""

    def refuse(url: str | None = None) -> None:
        raise SetupError("the disk is full; free space.")

    monkeypatch.setattr(recording, "open_watch", refuse)
    said: list[str] = []

    assert not enter_history(run, say=said.append)
    assert "the disk is full" in said[0]
    assert f"perflib check {run.run_id}" in said[0]


@pytest.mark.parametrize(
    ("state", "words"),
    [
        (Quarantine(is_quarantined=False, reasons=(), clean_count=3), None),
        (Quarantine(is_quarantined=True, reasons=("throttled",), clean_count=0), "throttled"),
        (Quarantine(is_quarantined=True, reasons=(), clean_count=2), "2 clean canaries so far"),
    ],
)
def test_a_quarantined_machine_marks_its_results(state: Quarantine, words: str | None) -> None:
    """The mark says why; a sound machine leaves none."""
    mark = quarantine_mark(state)

    assert mark is None if words is None else words in str(mark)


def test_a_class_that_began_on_a_disturbed_machine_recovers(tmp_path: Path, own_folders: Path) -> None:
    """What is usual is what the class mostly was, so six slow runs at its beginning are outnumbered by seven."""
    model = write_model(tmp_path / "model")
    states = []
    for number in range(16):
        run = make_run(tmp_path / "runs" / f"{number:02}", model, LOCK, Made(), millisecond=number)
        level_sec = 0.021 if number < 6 else 0.015
        canary = Canary(
            name="memory",
            hardware_class=points_of_run(run)[0].hardware_class,
            level_sec=level_sec,
            sd_ratio=0.01,
            evidence=1.0,
            unit_count=8,
            throttle_count=0,
            steal_ratio=0.0,
            unit_levels_sec=(level_sec,) * 8,
        )
        run.write(canary, canary.name)
        with open_watch() as watch:
            states.append(judge_host(watch, (canary,), host_id="somewhere"))
            watch.history.append(points_of_run(run))

    assert [not state.reasons for state in states] == [True] * 6 + [False] * 7 + [True] * 3
    assert [state.is_quarantined for state in states] == [False] * 6 + [True] * 9 + [False]


def test_a_host_is_known_without_being_named(tmp_path: Path) -> None:
    """Twelve digits, the same every time, another for another machine, and nothing of the machine's own number."""
    (tmp_path / "machine-id").write_text("0123456789abcdef0123456789abcdef\n")
    first = host_id(etc=tmp_path)
    (tmp_path / "machine-id").write_text("1123456789abcdef0123456789abcdef\n")

    assert len(first) == 12
    assert first != host_id(etc=tmp_path)
    assert first not in "0123456789abcdef0123456789abcdef"


# --- a real run -------------------------------------------------------------------------------------------------


@pytest.mark.notebooks
def test_a_real_run_leaves_its_points_in_the_history(smoke_run: Outcome) -> None:
    """Baseline, candidate and canaries, with provenance and lock beside them."""
    run = smoke_run.run
    points = points_of_run(run)
    with open_history(f"sqlite:///{run.folder.parent / 'history' / 'history.sqlite'}") as history:
        kept = history.run_points(smoke_run.summary.ulid)

    assert {one.candidate for one in points} == {"baseline", "int8", "cpu", "memory"}
    assert sorted(one.key for one in kept) == sorted(one.key for one in points)
    assert ("offline", "speedup_ratio") in by_metric(points, "int8")
    assert ("all", "accuracy_ratio") in by_metric(points, "int8")
    assert run.read(Provenance, "run") is not None
    assert run.read(EnvironmentLock, "run") is not None
    assert run.names(Canary) == ["cpu", "memory"]
