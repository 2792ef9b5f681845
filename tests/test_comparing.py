"""`perflib compare`: names become artifacts, verdicts become exit codes, and nothing is lost when it is cut short."""

import dataclasses
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from perflib import comparing
from perflib.benchmarking.probe import make_probe
from perflib.comparing import Compared, find_artifact
from perflib.errors import DataError, ParameterError
from perflib.results import Comparison, SpeedVerdict
from perflib.runs import Run
from tests.synthetic_records import comparison, scenario
from tests.test_cli import assert_one_sentence, leave

TESTS = Path(__file__).parent
QUICK = ("--scenario", "single", "--alpha", "0.05", "--max-lives", "6")


@pytest.fixture
def probes(own_folders: Path) -> Path:
    """Make a run with a probe, its twin and one that does half as much again; return the folder of runs."""
    folder = own_folders / "20260101-000000_quick_nogit" / "artifacts"
    make_probe(folder / "baseline")
    make_probe(folder / "twin", spin_ratio=0.0)
    make_probe(folder / "slow", layer_count=750)
    return own_folders


def in_process(*arguments: str) -> "subprocess.Popen[str]":
    """Start the command line where probes are known."""
    return subprocess.Popen(
        [sys.executable, str(TESTS / "probe_cli.py"), *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def records(outputs: Path) -> Iterator[Path]:
    """Yield the records of comparisons."""
    return outputs.glob("*_compare_*/records/comparison-*.json")


# --- exit codes ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("verdicts", "code"),
    [
        (("IMPROVEMENT",), 0),
        (("PASS", "IMPROVEMENT"), 0),
        (("INCONCLUSIVE", "IMPROVEMENT"), 5),
        (("REGRESSION", "INCONCLUSIVE"), 3),
        (("PASS", "REGRESSION"), 3),
    ],
)
def test_the_worst_scenario_decides_the_code(verdicts: tuple[SpeedVerdict, ...], code: int, tmp_path: Path) -> None:
    """A gate that asked for two scenarios may not pass on one."""
    scenarios = tuple(dataclasses.replace(scenario(), verdict=verdict) for verdict in verdicts)

    assert Compared(dataclasses.replace(comparison(), scenarios=scenarios), Run(tmp_path)).exit_code == code


# --- names --------------------------------------------------------------------------------------------------------


def test_an_artifact_is_found_by_folder_run_and_path_of_a_run(probes: Path) -> None:
    """`RUN` may be the run's name or its path."""
    run = next(probes.iterdir())
    found = [find_artifact(word) for word in (str(run / "artifacts" / "slow"), f"{run.name}:slow", f"{run}:slow")]

    assert len({one.digest for one in found}) == 1


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("nowhere", "nowhere is no artifact's folder"),
        ("20260101-000000_quick_nogi:slow", "did you mean `20260101-000000_quick_nogit`?"),
        ("20260101-000000_quick_nogit:slaw", "has no artifact `slaw`; did you mean `slow`?"),
    ],
)
def test_a_name_that_is_not_there_is_refused(probes: Path, word: str, said: str) -> None:
    """The sentence names the nearest that is."""
    with pytest.raises(ParameterError, match=said.replace("?", r"\?")):
        find_artifact(word)


def test_an_artifact_that_does_not_load_is_refused(probes: Path) -> None:
    """One altered byte is enough."""
    weights = next(probes.glob("*/artifacts/slow/*.safetensors"))
    weights.write_bytes(weights.read_bytes()[:-1] + b"\x00")

    with pytest.raises(DataError, match="sha256"):
        find_artifact(str(weights.parent))


# --- the command --------------------------------------------------------------------------------------------------


@pytest.fixture
def known(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let this process know probes."""
    from tests.probe_cli import ProbeWorkload

    monkeypatch.setattr(comparing, "get_workload", lambda name: ProbeWorkload())


@pytest.mark.usefixtures("known")
def test_a_slower_copy_is_found_or_not_decided_but_never_passed(
    probes: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Half as much work again, in real processes: on whatever machine, this is no PASS and no IMPROVEMENT."""
    run = next(probes.iterdir()).name
    code, out, err = leave(capsys, "compare", f"{run}:baseline", f"{run}:slow", *QUICK)
    kept = Comparison.read(next(records(probes)))

    assert code in (3, 5)
    assert kept.scenarios[0].verdict in ("REGRESSION", "INCONCLUSIVE")
    assert "In single, slow is" in out
    assert "record and figures: " in err
    assert sorted(path.name for path in probes.glob("*_compare_*/figures/*")) == [
        "evidence-slow.svg",
        "latencies-slow.svg",
        "lives-slow.svg",
    ]
    assert kept.parent_core_ratio < 0.01, "the parent sleeps while its arms work"


@pytest.mark.usefixtures("known")
def test_json_is_the_whole_record(probes: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What a program reads is what is kept."""
    run = next(probes.iterdir()).name
    _, out, _ = leave(capsys, "compare", f"{run}:baseline", f"{run}:twin", *QUICK, "--json")

    assert Comparison.from_dict(json.loads(out)) == Comparison.read(next(records(probes)))


@pytest.mark.usefixtures("known")
@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("--alpha", "1.5"), "alpha is 1.5"),
        (("--mde", "0"), "mde is 0"),
        (("--scenario", "sigle"), "did you mean `single`?"),
        (("--max-lives", "2"), "2 lives cannot decide anything"),
        (("--budget-sec", "-3"), "the budget is -3 s"),
        (("--units", "0"), "0 units"),
        (("--python-b", "/no/such/python"), "'/no/such/python' cannot be run"),
        (("--python-a", "python3", "--command-a", "true"), "give one of them"),
        (("--command-b", "'unbalanced"), "check its quotes"),
    ],
)
def test_a_bad_question_is_one_sentence(
    probes: Path, capsys: pytest.CaptureFixture[str], change: tuple[str, ...], said: str
) -> None:
    """Nothing is started for it, and nothing is left of it."""
    run = next(probes.iterdir()).name
    code, _, err = leave(capsys, "compare", f"{run}:baseline", f"{run}:twin", *QUICK, *change)

    assert code == 1
    assert_one_sentence(err)
    assert said in err
    assert list(probes.glob("*_compare_*")) == []


@pytest.mark.usefixtures("known")
def test_a_budget_that_holds_no_life_is_refused_with_the_time_it_takes(
    probes: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """How long a life takes is known after the first."""
    run = next(probes.iterdir()).name
    code, _, err = leave(capsys, "compare", f"{run}:baseline", f"{run}:twin", *QUICK, "--budget-sec", "0.001")

    assert code == 1
    assert "the budget of 0.001 s is too short: one life takes" in err.splitlines()[-1]


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupted_comparison_ends_its_workers_and_leaves_a_valid_record(
    probes: Path, number: signal.Signals, code: int
) -> None:
    """The lives until then stand."""
    run = next(probes.iterdir()).name
    many = ("--scenario", "single", "--max-lives", "200", "--mde", "0.006")
    process = in_process("compare", f"{run}:baseline", f"{run}:twin", *many)
    try:
        wait_for(lambda: any(records(probes)), process)
        workers = psutil.Process(process.pid).children(recursive=True)
        process.send_signal(number)
        _, err = process.communicate(timeout=60)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
    kept = Comparison.read(next(records(probes)))

    assert process.returncode == code
    assert err.splitlines()[-1].endswith("ended the comparison; the lives until then are kept in its record.")
    assert kept.stop == "interrupted"
    assert len(kept.processes) >= 1
    assert not any(one.is_running() and one.status() != psutil.STATUS_ZOMBIE for one in workers)


def wait_for(is_there: Callable[[], bool], process: "subprocess.Popen[str]", *, limit_sec: float = 60.0) -> None:
    """Wait until something is there, and fail with the process's last words where it ends before."""
    end_sec = time.monotonic() + limit_sec
    while not is_there():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < end_sec
        time.sleep(0.05)
