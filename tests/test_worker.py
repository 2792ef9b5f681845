"""The worker over real pipes: it answers, and every way of not answering becomes one sentence."""

import io
import json
import os
import shutil
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tiny_artifact import make_inputs, write_artifact

from perflib.benchmarking import worker
from perflib.benchmarking.arm import Arm, load_request
from perflib.errors import MeasurementError

pytestmark = pytest.mark.timing

CHATTY = """
import os, sys
from perflib.engines.torch_engine import model_builder
from perflib.workloads.bert import MeanPooledClassifier

class Chatty(MeanPooledClassifier):
    def forward(self, **inputs):
        print('{"samples_sec": "forged"}', flush=True)
        os.write(1, b"raw noise without a line break")
        return super().forward(**inputs)

@model_builder
def build(config):
    print("a library greets you", flush=True)
    return Chatty(config)

@model_builder
def dying(config):
    print("the last\\nwords", flush=True)
    os._exit(3)
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An artifact that prints wherever it can, another that dies while it loads, and inputs for both."""
    folder = tmp_path_factory.mktemp("worker")
    (folder / "chatty_model.py").write_text(CHATTY)
    write_artifact(folder / "chatty", builder="chatty_model:build")
    write_artifact(folder / "dying", builder="chatty_model:dying")
    make_inputs(150).write(folder / "inputs.npz")
    return folder


@pytest.fixture(scope="module")
def arm(folder: Path) -> Iterator[Arm]:
    """A worker that has loaded the chatty artifact."""
    arm = start(folder)
    assert arm.ask(load_request(folder / "chatty", folder / "inputs.npz"))["load_sec"] > 0
    yield arm
    arm.close()


def start(folder: Path) -> Arm:
    """Start a worker that can import the chatty model."""
    return Arm("candidate", environment={"PYTHONPATH": str(folder)})


def fails(arm: Arm, request: dict[str, object]) -> str:
    """Ask, and return the sentence with which it fails."""
    try:
        with pytest.raises(MeasurementError) as caught:
            arm.ask(request)
    finally:
        arm.close()

    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_warm_up_and_slots_give_their_samples_though_the_model_prints(arm: Arm) -> None:
    """Whatever a library writes to standard output, at any level, the replies stay whole."""
    warm = [len(arm.ask({"op": "warm", "scenario": name})["samples_sec"]) for name in ("single", "offline")]
    slots = [
        arm.ask({"op": "slot", "scenario": name, "passes": passes})["samples_sec"]
        for name, passes in (("single", 2), ("offline", 3))
    ]

    assert warm == [32, 1]
    assert [len(samples) for samples in slots] == [64, 3]
    assert all(isinstance(value, float) and value > 0 for samples in slots for value in samples)


def test_a_request_that_cannot_be_met_is_answered_and_the_worker_lives(arm: Arm) -> None:
    """An unknown request is refused in one sentence, and the next one is served."""
    with pytest.raises(MeasurementError, match="the candidate arm could not be timed: the worker does not know"):
        arm.ask({"op": "dance"})

    assert len(arm.ask({"op": "slot", "scenario": "offline", "passes": 1})["samples_sec"]) == 1


def test_stop_tells_the_peak_memory_and_ends_the_worker(arm: Arm) -> None:
    """The last reply holds resident bytes, no device bytes on a CPU, and the process ends by itself."""
    peaks = arm.ask({"op": "stop"})

    assert peaks["peak_rss_bytes"] > 20_000_000
    assert peaks["peak_device_bytes"] is None
    assert arm._process.wait(timeout=30) == 0


def test_a_worker_that_dies_while_loading_is_named_with_its_last_words(folder: Path) -> None:
    """Code and output of the dead process stand in one sentence, without line breaks."""
    said = fails(start(folder), load_request(folder / "dying", folder / "inputs.npz"))

    assert said == "the candidate arm ended with code 3; see its last output: the last words"


def test_a_killed_worker_is_named_with_its_signal() -> None:
    """Kill -9 is what the kernel does when memory is short, and the sentence says so."""
    arm = Arm("baseline")
    os.kill(arm._process.pid, signal.SIGKILL)
    said = fails(arm, {"op": "stop"})

    assert said == ("the baseline arm was killed by signal 9; free memory and try again: it printed nothing")


def test_a_worker_that_is_gone_before_it_is_asked_is_named_too() -> None:
    """A closed pipe, found while writing or while closing, is the same sentence and no traceback."""
    arm = Arm("baseline")
    os.kill(arm._process.pid, signal.SIGKILL)
    arm._process.wait()

    assert "was killed by signal 9" in fails(arm, {"op": "stop"})


def test_a_hanging_worker_is_given_up_and_the_parent_sleeps_meanwhile() -> None:
    """No answer in time is an error, the worker is killed, and waiting costs the parent next to no processor time."""
    arm = Arm("candidate", timeout_sec=2)
    os.kill(arm._process.pid, signal.SIGSTOP)
    before_sec = time.process_time()
    said = fails(arm, {"op": "stop"})
    used_sec = time.process_time() - before_sec

    assert said.startswith("the candidate arm gave no answer within 2 s")
    assert used_sec < 0.05 * 2
    assert arm._process.returncode == -signal.SIGKILL


def test_a_missing_artifact_is_refused_with_its_path(tmp_path: Path) -> None:
    """The worker's own sentence reaches the reader."""
    said = fails(Arm("candidate"), load_request(tmp_path / "none", tmp_path / "inputs.npz"))

    assert said.startswith("the candidate arm could not be timed: ")
    assert str(tmp_path / "none") in said


def test_a_bug_in_the_worker_shows_its_exception_in_the_sentence() -> None:
    """An error that nobody foresaw ends the worker, and the end of its traceback reaches the reader."""
    said = fails(Arm("candidate"), {"op": "warm", "scenario": "none"})

    assert said.startswith("the candidate arm ended with code 1; see its last output: ")
    assert said.endswith("KeyError: 'none'")


def test_requests_in_the_wrong_order_are_refused() -> None:
    """A slot before a load is an error of the caller, said in one sentence."""
    replies = io.StringIO()
    worker.serve(['{"op": "slot", "scenario": "single", "passes": 1}', '{"op": "stop"}', '{"op": "never"}'], replies)
    first, last = map(json.loads, replies.getvalue().splitlines())

    assert "send `load` first" in first["error"]
    assert last["peak_rss_bytes"] > 0


def test_an_altered_artifact_is_refused_inside_the_worker(folder: Path, tmp_path: Path) -> None:
    """A weight file that is not the recorded one is never timed."""
    shutil.copytree(folder / "chatty", tmp_path / "altered")
    with (tmp_path / "altered" / "model.safetensors").open("ab") as file:
        file.write(b"x")
    replies = io.StringIO()
    worker.serve([json.dumps(load_request(tmp_path / "altered", folder / "inputs.npz"))], replies)

    assert "sha256" in json.loads(replies.getvalue())["error"]
