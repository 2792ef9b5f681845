"""The commands of the watch, as they are typed."""

import itertools
import json
from collections.abc import Callable
from pathlib import Path

import junitparser
import pytest

from perflib import cli, project
from perflib.results.history import METRICS
from perflib.runs import Run
from perflib.watching import commands
from perflib.watching.drill.inbox import Inbox
from tests.fake_bench import FakeBench, lock_of, write_model
from tests.made_runs import Made, make_run

LOCK = lock_of(kernel="1.0")
Call = Callable[..., tuple[int, str, str]]


@pytest.fixture
def call(own_folders: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Call:
    """Return a function that types a command and returns its code and what it printed."""
    monkeypatch.setattr(commands, "make_bench", lambda run: FakeBench(LOCK))
    monkeypatch.delenv("GITHUB_STEP_SUMMARY", raising=False)

    def typed(*words: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as left:
            cli.main(list(words))
        printed = capsys.readouterr()
        return int(left.value.code or 0), printed.out, printed.err

    return typed


@pytest.fixture
def run(own_folders: Path) -> Callable[..., Run]:
    """Return a function that makes the next run; ``fat`` triples its weights."""
    numbers = itertools.count()

    def made(*, fat: bool = False) -> Run:
        number = next(numbers)
        model = write_model(own_folders.parent / f"model-{number}", weights=b"weights" * (3 if fat else 1))
        return make_run(own_folders / f"run-{number}", model, LOCK, Made(), millisecond=number)

    return made


def params_with(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, alerts: str) -> None:
    """Make a project whose params say who is told."""
    for folder in ("notebooks", "params", "perflib"):
        (tmp_path / "project" / folder).mkdir(parents=True)
    (tmp_path / "project" / "params" / "alerts.yaml").write_text(alerts)
    monkeypatch.setenv("PERFLIB_ROOT", str(tmp_path / "project"))


def test_the_first_check_has_nothing_to_compare(call: Call, run: Callable[..., Run]) -> None:
    """Exit 0 with a notice; record, figure and history are there."""
    made = run()
    code, out, _ = call("check", str(made.folder))

    assert code == 0
    assert "begins the history" in out
    assert made.record_path("check", "run").is_file()
    assert made.figure("watch").is_file()
    assert (project.outputs_dir() / "history" / "history.sqlite").is_file()


def test_a_check_without_any_run_says_how_to_get_one(call: Call) -> None:
    """Nothing is made."""
    code, _, err = call("check")

    assert code == 1
    assert "perflib run" in err


def test_a_check_of_an_unknown_run_suggests_one(call: Call, run: Callable[..., Run]) -> None:
    """A typing mistake costs one sentence."""
    run()
    code, _, err = call("check", "run-9")

    assert code == 1
    assert "run-0" in err


def test_a_regression_is_told_with_its_alert(
    call: Call, run: Callable[..., Run], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Exit 3, one message at a real server, JUnit with one failure, a job summary; and no secret anywhere."""
    with Inbox() as inbox:
        params_with(tmp_path, monkeypatch, "channels: {team: {url_env: TEAM_URL}}\ndefault: {to: [team], owner: us}\n")
        monkeypatch.setenv("TEAM_URL", f"{inbox.url}s3cret-token/")
        monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "summary.md"))
        call("check", str(run().folder))
        code, out, err = call("check", str(run(fat=True).folder), "--alert", "--junit", str(tmp_path / "junit.xml"))
        letters = inbox.take()

    assert code == 3
    assert len(letters) == 1
    assert "is larger" in letters[0].title
    assert "owner: us" in letters[0].text
    suites = list(junitparser.JUnitXml.fromfile(str(tmp_path / "junit.xml")))
    assert sum(suite.failures for suite in suites) == 1
    assert "is larger" in (tmp_path / "summary.md").read_text()
    kept = b"".join(path.read_bytes() for path in project.outputs_dir().rglob("*") if path.is_file())
    assert "s3cret" not in out + err
    assert b"s3cret" not in kept


def test_an_alert_is_answered_on_the_command_line(call: Call, run: Callable[..., Run]) -> None:
    """Listed, shown, acknowledged by the beginning of its ulid, accepted with a reason and closed."""
    call("check", str(run().folder))
    call("check", str(run(fat=True).folder))
    code, listed, _ = call("alerts")
    ulid = listed.split()[0]

    assert code == 0
    assert "OPEN" in listed
    assert "WHAT GOT WORSE" in call("alerts", "show", ulid)[1]
    assert "ACKED" in call("alerts", "ack", ulid[:12].lower())[1]
    code, _, err = call("alerts", "accept", ulid)
    assert code == 1
    assert "reason" in err
    assert "ACCEPTED, closed" in call("alerts", "accept", ulid, "--reason", "it is meant")[1]
    assert call("alerts")[1] == "no open alerts\n"
    assert ulid in call("alerts", "list", "--all")[1]


def test_an_accepted_size_is_the_new_one(call: Call, run: Callable[..., Run]) -> None:
    """The next run of the same size is quiet."""
    call("check", str(run().folder))
    call("check", str(run(fat=True).folder))
    ulid = call("alerts")[1].split()[0]
    call("alerts", "accept", ulid, "--reason", "it is meant")

    assert call("check", str(run(fat=True).folder))[0] == 0


@pytest.mark.parametrize(("action", "code"), [("invalid", 0), ("close", 3)])
def test_a_false_alarm_is_not_raised_again_but_a_new_one_is(
    call: Call, run: Callable[..., Run], action: str, code: int
) -> None:
    """What was called false stays silent at that size; what was called mended and is not is told again."""
    call("check", str(run().folder))
    call("check", str(run(fat=True).folder))
    call("alerts", action, call("alerts")[1].split()[0], "--reason", "as I say")

    assert call("check", str(run(fat=True).folder))[0] == code


def test_again_reruns_what_an_alert_tells_already(call: Call, run: Callable[..., Run]) -> None:
    """Whoever doubts the alert measures it anew; it stays one alert."""
    call("check", str(run().folder))
    fat = run(fat=True)
    call("check", str(fat.folder))
    known = json.loads(call("check", str(fat.folder), "--json")[1])
    again = json.loads(call("check", str(fat.folder), "--again", "--json")[1])

    assert known["confirmations"] == []
    assert [one["verdict"] for one in again["confirmations"]] == ["CONFIRMED"]
    assert known["exit_code"] == again["exit_code"] == 3
    assert len(call("alerts")[1].splitlines()) == 1


def test_an_address_in_the_file_is_refused(
    call: Call, run: Callable[..., Run], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Secrets belong in the environment, and the sentence does not repeat this one."""
    params_with(tmp_path, monkeypatch, "channels: {team: {url_env: 'json://user:s3cret@host/'}}\n")
    code, _, err = call("check", str(run().folder), "--alert")

    assert code == 1
    assert "environment" in err
    assert "s3cret" not in err


def test_a_promotion_needs_a_run_a_name_and_a_reason(call: Call, run: Callable[..., Run]) -> None:
    """And is written once all three are there."""
    made = run()

    assert call("promote", "baseline", "--reason", "x")[0] == 1
    assert call("promote", f"{made.run_id}:int8", "--reason", "x")[0] == 1
    assert call("promote", f"{made.run_id}:baseline", "--reason", " ")[0] == 1
    code, out, _ = call("promote", f"{made.run_id}:baseline", "--reason", "ships on Monday")
    assert code == 0
    assert "from now on" in out
    assert len(list((project.outputs_dir() / "promotions").glob("*.json"))) == 1


@pytest.mark.parametrize("suffix", ["parquet", "csv"])
def test_a_history_travels_in_a_file(
    call: Call, run: Callable[..., Run], suffix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Exported here and imported elsewhere; a second import adds nothing."""
    call("check", str(run().folder))
    file = tmp_path / f"all.{suffix}"

    assert "7 results" in call("history", "export", str(file))[1]
    monkeypatch.setenv("PERFLIB_OUTPUTS_DIR", str(tmp_path / "elsewhere"))
    assert "7 results were new" in call("history", "import", str(file))[1]
    assert "0 results were new" in call("history", "import", str(file))[1]
    assert "is sound: 7 results" in call("history", "verify")[1]


def test_a_history_travels_through_a_shared_place(
    call: Call, run: Callable[..., Run], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A hosted job that starts empty has a past, and what it needs to rerun it."""
    call("check", str(run().folder))
    place = (tmp_path / "shared").as_uri()
    assert call("history", "push", place)[0] == 0
    monkeypatch.setenv("PERFLIB_OUTPUTS_DIR", str(tmp_path / "elsewhere"))

    assert "7 results were new" in call("history", "pull", place)[1]
    assert list((tmp_path / "elsewhere" / "history" / "kept" / "artifacts").iterdir())


def test_a_damaged_history_is_found(call: Call, run: Callable[..., Run]) -> None:
    """A changed value does not go unnoticed: exit 1, and which row it is."""
    import sqlite3

    call("check", str(run().folder))
    with sqlite3.connect(project.outputs_dir() / "history" / "history.sqlite") as database:
        database.execute("UPDATE result SET value = value * 2 WHERE metric = 'p50_sec'")
    code, out, err = call("history", "verify")

    assert code == 1
    assert "p50_sec" in out
    assert "problem" in err


def test_metrics_and_dashboard_are_written(call: Call, run: Callable[..., Run], tmp_path: Path) -> None:
    """For Prometheus and for Grafana."""
    call("check", str(run().folder))
    code, _, _ = call("metrics", "--out", str(tmp_path / "metrics.txt"))

    assert code == 0
    assert "perflib_artifact_size_bytes{" in (tmp_path / "metrics.txt").read_text()
    call("metrics", "--dashboard", str(tmp_path / "grafana.json"))
    assert json.loads((tmp_path / "grafana.json").read_text())["panels"]


def test_every_metric_is_known_by_its_unit() -> None:
    """The table that all of this rests on names each metric once."""
    assert all(name == one.name for name, one in METRICS.items())
