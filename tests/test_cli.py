"""The command line: quick to import, one sentence for a mistake, exit codes as documented."""

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from perflib import cli, project
from perflib.errors import InterruptedRunError, NotebookError

HEAVY = ("torch", "pandas", "papermill", "matplotlib", "pydantic", "numpy", "IPython")
GOOD = "workload: reviews-tiny\n"


def leave(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    """Run the command line and return exit code, output and errors."""
    with pytest.raises(SystemExit) as left:
        cli.main(arguments)
    said = capsys.readouterr()
    assert isinstance(left.value.code, int)
    return left.value.code, said.out, said.err


def assert_one_sentence(error: str) -> None:
    """A mistake is told in one line that starts with our name."""
    lines = error.splitlines()

    assert len(lines) == 1, error
    assert lines[0].startswith("perflib: ")
    assert lines[0].endswith((".", "?"))


def test_help_needs_none_of_the_heavy_packages() -> None:
    """What makes `perflib --help` quick is what it does not import."""
    script = f"import sys, perflib.cli; print([name for name in {HEAVY!r} if name in sys.modules])"
    reply = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)

    assert reply.stdout == "[]\n"


def test_help_names_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    """Asked for, help is no error; a bare `perflib` is, and shows it all the same."""
    code, out, _ = leave(capsys, "--help")

    assert code == 0
    assert all(command in out for command in ("run", "prepare", "report", "compare", "validate", "machine"))
    assert leave(capsys)[:2] == (1, out)


def test_the_version_is_that_of_the_package(capsys: pytest.CaptureFixture[str]) -> None:
    """It is read from the installed package."""
    assert leave(capsys, "--version")[:2] == (0, "perflib 0.1.0\n")


@pytest.mark.parametrize(
    "arguments",
    [
        *(
            ["rum"],
            ["run"],
            ["run", "p.yaml", "--onyl", "int8"],
            ["run", "p.yaml", "--only"],
            ["prepare", "--seed", "x"],
        ),
        *(["validate"], ["validate", "RUN:int8", "--profile"], ["validate", "RUN:int8", "RUN:bf16"]),
    ],
    ids=" ".join,
)
def test_a_usage_error_is_one_sentence(capsys: pytest.CaptureFixture[str], arguments: Sequence[str]) -> None:
    """It leaves with 1, as every mistake does, not with argparse's 2."""
    code, out, error = leave(capsys, *arguments)

    assert (code, out) == (1, "")
    assert_one_sentence(error)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (f"{GOOD}sead: 1\n", "did you mean `seed`?"),
        (f"{GOOD}experiments: [int9]\n", "did you mean `int8`?"),
        ("workload: [\n", "is not plain YAML"),
        ("workload: !!python/object/apply:os.system [ls]\n", "is not plain YAML"),
        (f"{GOOD}'x=1; seed': 0\n", "is no parameter name"),
        (None, "does not exist"),
        (f"{GOOD}seed: -1\n", "`seed`"),
        ("workload: reviews-tinny\n", "did you mean `reviews-tiny`?"),
    ],
    ids=["unknown key", "unknown experiment", "no YAML", "a tag", "code as key", "no file", "out of range", "workload"],
)
def test_a_bad_params_file_is_one_sentence(
    capsys: pytest.CaptureFixture[str], own_folders: Path, tmp_path: Path, text: str | None, words: str
) -> None:
    """Nothing is written and no traceback is shown."""
    path = tmp_path / "p.yaml"
    if text is not None:
        path.write_text(text)
    code, out, error = leave(capsys, "run", str(path))

    assert (code, out) == (1, "")
    assert_one_sentence(error)
    assert words in error
    assert not own_folders.exists()


def test_a_second_run_in_one_folder_is_one_sentence(
    capsys: pytest.CaptureFixture[str], own_folders: Path, tmp_path: Path
) -> None:
    """The folder is left as it is."""
    (tmp_path / "run.json").write_text("{}")
    smoke = project.root() / "params" / "smoke.yaml"
    code, out, error = leave(capsys, "run", str(smoke), "--run-dir", str(tmp_path))

    assert (code, out) == (1, "")
    assert_one_sentence(error)
    assert "add --resume" in error
    assert (tmp_path / "run.json").read_text() == "{}"


def test_a_real_process_says_no_more_than_the_sentence(own_folders: Path, tmp_path: Path) -> None:
    """No library adds a warning of its own on the way."""
    (tmp_path / "p.yaml").write_text(f"{GOOD}sead: 1\n")
    reply = subprocess.run(
        [sys.executable, "-m", "perflib", "run", "p.yaml"], capture_output=True, text=True, cwd=tmp_path
    )

    assert (reply.returncode, reply.stdout) == (1, "")
    assert reply.stderr == "perflib: `sead` is not a parameter of p.yaml; did you mean `seed`?\n"


def test_a_finished_run_is_told_and_its_code_is_ours(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Each candidate is one line, with speed and accuracy side by side."""
    from perflib import pipeline
    from perflib.results import RunSummary
    from perflib.runs import Run
    from tests import synthetic_records
    from tests.test_schema import summary

    line = synthetic_records.candidate().__class__
    plain: Any = summary(exit_code=5, status="done")
    record = RunSummary.from_dict(plain)
    bare = line("bf16", "undecided", ("Not decided.",), None, None, None, None)
    made = RunSummary(**{**record.__dict__, "candidates": (synthetic_records.candidate(), bare)})
    monkeypatch.setattr(pipeline, "run_params", lambda *_, **__: pipeline.Outcome(Run(tmp_path), made))
    (tmp_path / "report.html").write_text("")
    code, out, error = leave(capsys, "run", "p.yaml")
    lines = out.splitlines()

    assert (code, error) == (5, "")
    assert lines[0].startswith("int8: approved · 2")
    assert "accuracy" in lines[0]
    assert lines[1].startswith("bf16: undecided · ")
    assert lines[2:] == [f"run folder: {tmp_path}", f"report: {tmp_path / 'report.html'}"]


@pytest.mark.parametrize(
    ("error", "exit_code"),
    [
        (NotebookError("04_report failed; see it."), 4),
        (InterruptedRunError("SIGTERM ended the run; go on with --resume.", signal_number=15), 143),
        (KeyboardInterrupt(), 130),
    ],
    ids=["notebook", "signal", "keyboard"],
)
def test_an_error_brings_its_exit_code(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, error: BaseException, exit_code: int
) -> None:
    """Wherever it comes from, it is one sentence."""
    from perflib import pipeline

    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(pipeline, "run_params", fail)
    code, _, said = leave(capsys, "run", "p.yaml")

    assert code == exit_code
    assert_one_sentence(said)


def test_the_machine_card_is_strict_json(capsys: pytest.CaptureFixture[str]) -> None:
    """For tools as JSON, for people as words; nothing is measured for it."""
    from perflib.machine import read_card

    code, out, _ = leave(capsys, "machine", "--card", "--json")

    assert code == 0
    assert json.loads(out)["hardware_class"] == read_card().hardware_class
    assert f"hardware class: {read_card().hardware_class}\n" in leave(capsys, "machine", "--card")[1]


@pytest.mark.usefixtures("own_folders")
def test_the_machine_says_what_it_can_do_and_see(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Card, ceilings and noise floor, as words and as JSON."""
    from perflib import calibrating
    from perflib.results import CeilingRepeat, MachineCeilings
    from tests.fake_arms import FakeHost, FakeWatch
    from tests.synthetic_records import ceilings

    real = calibrating.measure_noise
    known = MachineCeilings("class", "2", (ceilings(),), (CeilingRepeat(2, 0.01, None, 0.04, 0.02),))
    monkeypatch.setattr(calibrating, "known_ceilings", lambda *_, **__: known)
    monkeypatch.setattr(
        calibrating,
        "measure_noise",
        lambda folder, **settings: real(folder, start_arm=FakeHost(), watch=FakeWatch(), **settings),
    )
    code, out, _ = leave(capsys, "machine")
    told = json.loads(leave(capsys, "machine", "--json")[1])

    assert code == 0
    assert "hardware class: " in out
    assert "Over a perfect fp32, this machine can give " in out
    assert "This machine can see 1 % in 8 lives: " in out
    assert sorted(told) == ["card", "ceilings", "noise"]
    assert told["noise"]["visible"][0] == {"effect_ratio": 0.01, "lives_count": 8}


def test_a_report_of_no_run_is_one_sentence(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """A folder that holds no run is named."""
    code, out, error = leave(capsys, "report", str(tmp_path))

    assert (code, out) == (1, "")
    assert_one_sentence(error)
    assert "is no run folder" in error


def test_an_unknown_workload_cannot_be_prepared(capsys: pytest.CaptureFixture[str]) -> None:
    """Prepare suggests what was meant."""
    code, _, error = leave(capsys, "prepare", "digit")

    assert code == 1
    assert_one_sentence(error)
    assert "did you mean `digits`?" in error


@pytest.mark.parametrize(("asked", "lines_count"), [((), 1), (("--churn",), 2)], ids=["plain", "churn"])
def test_churn_is_measured_only_where_it_is_asked_for(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, asked: tuple[str, ...], lines_count: int
) -> None:
    """It trains a second model, for the same workload and from the same seed."""
    from perflib import validating, workloads
    from tests.test_measure import CHURN

    calls: list[tuple[str, int]] = []
    model = SimpleNamespace(digest="d" * 64, folder="here")

    def find(name: str, *, seed: int) -> Any:
        calls.append((name, seed))
        return SimpleNamespace(prepare=lambda: model)

    def churn(name: str, *, seed: int) -> Any:
        calls.append((name, seed))
        return CHURN

    monkeypatch.setattr(workloads, "get_workload", find)
    monkeypatch.setattr(validating, "measure_churn", churn)
    code, out, _ = leave(capsys, "prepare", "toy", "--seed", "3", *asked)
    lines = out.splitlines()

    assert code == 0
    assert calls == [("toy", 3)] * lines_count
    assert lines[0] == "toy is ready: baseline artifact dddddddddddd in here"
    assert [line.startswith("Training toy again with another seed turns 1.00 %") for line in lines[1:]] == [True] * (
        lines_count - 1
    )


def test_a_validation_is_asked_for_as_it_is_written(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Candidate, limits and profile are handed on, and the code is that of the verdict."""
    from perflib import validating
    from perflib.runs import Run
    from tests import synthetic_records

    asked: dict[str, Any] = {}

    def validate(word: str, **given: Any) -> validating.Validated:
        asked.update(given, word=word)
        found = synthetic_records.validation("INCONCLUSIVE", verdict="INCONCLUSIVE")
        return validating.Validated(found, run, is_kept=True)

    run = Run(tmp_path)
    monkeypatch.setattr(validating, "validate_named", validate)
    code, out, err = leave(capsys, "validate", "RUN:int8", "--guardrails", "mine.yaml", "--profile", "lossless")

    assert asked == {"word": "RUN:int8", "guardrails_file": Path("mine.yaml"), "profile": "lossless"}
    assert (code, err) == (5, f"kept in {tmp_path}\n")
    assert out.splitlines()[1:] == ["INCONCLUSIVE A2: the INCONCLUSIVE sentence"]
    leave(capsys, "validate", "RUN:int8")
    assert asked == {"word": "RUN:int8", "guardrails_file": None, "profile": None}


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("explain", "nowhere:int8"), "there is no run nowhere"),
        (("explain", "int8"), "is no artifact's folder"),
        (("profile", "nowhere:int8"), "there is no run nowhere"),
        (("show", "trace", "nowhere"), "nowhere"),
        (("show", "pictures"), "invalid choice"),
    ],
)
@pytest.mark.usefixtures("own_folders")
def test_what_is_not_there_cannot_be_profiled_explained_or_shown(
    capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], sentence: str
) -> None:
    """One sentence, exit code 1, no traceback."""
    code, _, error = leave(capsys, *arguments)

    assert code == 1
    assert_one_sentence(error)
    assert sentence in error
