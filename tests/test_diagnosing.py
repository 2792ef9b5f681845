"""`perflib profile`: an artifact by name becomes profiles, roofs and findings in its run; bad names, one sentence."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from perflib import diagnosing, outside
from perflib.artifact import Artifact
from perflib.encoded import Encoded
from perflib.results import Findings, MachineCeilings, Profile, Roofline
from perflib.runs import Run
from tests.synthetic_profiles import make_ceilings, make_profile
from tests.test_cli import assert_one_sentence, leave
from tests.tiny_artifact import make_inputs, write_artifact

COUNT = 24


class FakeWorkload:
    """Texts are numbers, and encoding one takes the row of that number."""

    def __init__(self) -> None:
        self.encoded_counts: list[int] = []

    def prepare(self) -> None:
        """Nothing has to be fetched."""

    def splits(self) -> Any:
        """Only the test split is read."""
        return SimpleNamespace(test=SimpleNamespace(inputs=list(range(COUNT))))

    def encode(self, inputs: list[int]) -> Encoded:
        """Remember how many were encoded together."""
        self.encoded_counts.append(len(inputs))
        return make_inputs(COUNT).take(inputs)


@pytest.fixture
def run(own_folders: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """A run with a tiny baseline, whose workload and ceilings are known."""
    folder = own_folders / "20260101-000000_quick_nogit"
    write_artifact(folder / "artifacts" / "baseline")
    (folder / "records").mkdir()
    known = MachineCeilings("class", "2", (make_ceilings(1), make_ceilings(2)), ())
    monkeypatch.setattr(diagnosing, "known_ceilings", lambda *_, **__: known)
    for module in (diagnosing, outside):
        monkeypatch.setattr(module, "get_workload", lambda _: FakeWorkload())
    return Run(folder)


def test_a_profile_by_name_keeps_everything_in_the_run(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    """Two profiles, two roofs, findings, traces for both viewers, figures; and words for a person."""
    code, out, error = leave(capsys, "profile", f"{run.run_id}:baseline")
    sha256 = Artifact.load(run.artifact_folder("baseline")).digest

    assert code == 0, error
    assert run.names(Profile) == ["baseline-offline", "baseline-single"]
    assert run.names(Roofline) == ["baseline-offline", "baseline-single"]
    findings = run.read(Findings, "baseline")
    assert findings is not None
    assert findings.artifact_sha256 == sha256
    assert len(list((run.folder / "traces" / "raw").glob("*.pt.trace.json.gz"))) == 2
    assert len(list((run.folder / "traces" / "tensorboard").glob("*/*.pt.trace.json.gz"))) == 2
    assert {"kinds-baseline.svg", "roofline-baseline.svg"} <= {path.name for path in (run.folder / "figures").iterdir()}
    assert out.startswith("single: ")
    assert "\noffline: " in out
    assert str(run.folder) in error


def test_a_second_profile_replaces_the_first_one(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    """TensorBoard would show two spans, and nobody could say which one the record is of."""
    leave(capsys, "profile", f"{run.run_id}:baseline")
    before = {path.name for path in (run.folder / "traces").rglob("*.gz")}
    code, out, _ = leave(capsys, "profile", f"{run.run_id}:baseline", "--json")
    after = {path.name for path in (run.folder / "traces").rglob("*.gz")}
    told = json.loads(out)

    assert code == 0
    assert len(before) == len(after) == 2
    assert before.isdisjoint(after)
    assert sorted(told) == ["findings", "profiles", "rooflines"]
    assert [one["scenario"] for one in told["profiles"]] == ["single", "offline"]


def test_an_artifact_outside_of_runs_gets_a_folder_of_its_own(
    run: Run, own_folders: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its records must lie somewhere."""
    write_artifact(tmp_path / "mine")
    code, _, error = leave(capsys, "profile", str(tmp_path / "mine"))
    made = next(own_folders.glob("*_profile_*"))

    assert code == 0
    assert (made / "records" / "profile-mine-offline.json").is_file()
    assert str(made) in error


@pytest.mark.parametrize(
    ("word", "sentence"),
    [
        ("nowhere:baseline", "there is no run nowhere"),
        ("20260101-000000_quick_nogit:int8", "has no artifact `int8`"),
        ("baseline", "is no artifact's folder"),
    ],
)
def test_a_name_that_is_not_there_is_one_sentence(
    run: Run, capsys: pytest.CaptureFixture[str], word: str, sentence: str
) -> None:
    """Exit code 1, and nothing is made."""
    code, _, error = leave(capsys, "profile", word)

    assert code == 1
    assert_one_sentence(error)
    assert sentence in error


def test_a_profiler_that_is_not_there_is_one_sentence_with_its_command(
    run: Run, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The command can be run on another machine."""
    monkeypatch.setenv("PATH", "")
    code, _, error = leave(capsys, "profile", f"{run.run_id}:baseline", "--with", "nsys")

    assert code == 1
    assert_one_sentence(error)
    assert "`nsys` is not on PATH" in error
    assert "--steps-only" in error


def test_a_profiler_that_nobody_knows_is_one_sentence(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    """The nearest known one is named."""
    code, _, error = leave(capsys, "profile", f"{run.run_id}:baseline", "--with", "gprof")

    assert code == 1
    assert_one_sentence(error)
    assert "did you mean `perf`?" in error


def test_steps_for_a_profiler_from_outside_leave_nothing_behind(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    """They only run; each range is exactly one step, and the warm-up lies outside of it."""
    opened: list[str] = []
    calls: list[str] = []

    class Range:
        def __init__(self, name: str) -> None:
            self.name = name

        def __enter__(self) -> None:
            opened.append(self.name)

        def __exit__(self, *_: object) -> None:
            opened.append("end")

    real = Artifact.open

    def watched(artifact: Artifact) -> Any:
        session = real(artifact)

        def call(arrays: Any) -> Any:
            calls.append(opened[-1] if opened else "before")
            return session(arrays)

        return call

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(outside, "named_range", Range)
        patch.setattr(Artifact, "open", watched)
        code, out, _ = leave(capsys, "profile", f"{run.run_id}:baseline", "--steps-only")

    assert (code, out) == (0, "")
    assert opened == ["perflib:single", "end", "perflib:offline", "end"]
    assert calls.count("perflib:single") == COUNT
    assert calls.count("perflib:offline") == COUNT // 4
    assert list((run.folder / "records").iterdir()) == []


def test_the_share_of_encoding_is_of_the_way_from_input_to_answer() -> None:
    """One second for encoding beside three of the model is a quarter; single inputs are encoded one by one."""
    workload = FakeWorkload()
    ticks = iter(np.arange(100.0))
    profiles = [
        make_profile(name="x", scenario="single", unwatched_sec=9.0, active_step_count=3),
        make_profile(name="y", scenario="offline", unwatched_sec=1.0, active_step_count=1),
    ]
    found = diagnosing.encode_shares(
        workload,  # type: ignore[arg-type]
        list(range(COUNT)),
        make_inputs(COUNT),
        profiles,
        clock=lambda: float(next(ticks)),
    )

    assert found == {"single": 0.25, "offline": 0.5}
    assert workload.encoded_counts == [1] * COUNT * 3 + [COUNT] * 3


def test_a_profile_without_products_has_no_roofline(tmp_path: Path) -> None:
    """There is nothing to put under the roof."""
    profile = make_profile(shapes=())

    assert diagnosing.draw_rooflines(Run(tmp_path), [profile], make_ceilings()) == ()
