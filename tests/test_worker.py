"""The worker over real pipes: it answers, and every way of not answering becomes one sentence."""

import dataclasses
import io
import json
import os
import shlex
import shutil
import signal
import statistics
import subprocess
import sys
import sysconfig
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

from perflib.artifact import SPEC_FILE, Runtime
from perflib.benchmarking import protocol, scenarios, worker
from perflib.benchmarking.arm import Arm, ArmError, Launcher, ask_slot, load_request, worker_command
from perflib.benchmarking.probe import make_probe, probe_inputs
from perflib.benchmarking.scenarios import SCENARIOS, SlotPlan, SlotRunner
from perflib.encoded import Encoded
from perflib.errors import ParameterError
from tests.tiny_artifact import make_inputs, write_artifact

pytestmark = pytest.mark.timing

CHATTY = """
import os
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
"""
# Engines as a package would add them; they import in no time.
ENGINES = """
import os, subprocess
from perflib.benchmarking import probe

def dying(folder, spec):
    print("the last\\nwords", flush=True)
    os._exit(3)

def raising(folder, spec):
    raise RuntimeError("nobody foresaw this")

def greedy(folder, spec):
    session = probe.open_session(folder, spec)
    def call(arrays):
        if len(arrays["x"]) > 1:
            raise MemoryError
        return session(arrays)
    return call

def parental(folder, spec):
    child = subprocess.Popen(["sleep", "30"])
    (folder / "child.pid").write_text(str(child.pid))
    return probe.open_session(folder, spec)
"""
# What a user would write to time something of their own: no perflib, not even Python's packages.
FOREIGN_ARM = """
import json, sys
assert not [path for path in sys.path if "-packages" in path]
for line in sys.stdin:
    request = json.loads(line)
    op = request["op"]
    print("working on", op, file=sys.stderr)
    if op == "load":
        reply = {"load_sec": 0.25, "answer_shape": [1, 2], "python": "none", "versions": {"mine": "7"}}
    elif op in ("warm", "slot"):
        reply = {"samples_sec": [0.5, 0.25] * request["passes"], "note": request["scenario"]}
    else:
        reply = {"peak_rss_bytes": 4096}
    print(json.dumps(reply), flush=True)
    if op == "stop":
        break
"""
STOP: dict[str, Any] = {"op": "stop"}


def ask(arm: Arm, request: dict[str, Any]) -> dict[str, Any]:
    """Send a request and return the reply as it came."""
    arm.send(request)
    return arm.receive()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A torch artifact that prints wherever it can, probes with every kind of trouble, and inputs for both."""
    folder = tmp_path_factory.mktemp("worker")
    (folder / "chatty_model.py").write_text(CHATTY)
    (folder / "odd_engines.py").write_text(ENGINES)
    write_artifact(folder / "chatty", builder="chatty_model:build")
    make_inputs(150).write(folder / "texts.npz")
    make_probe(folder / "probe", layer_count=20)
    one_by_one = Runtime(batch_example_count=1, thread_count=1)
    dataclasses.replace(make_probe(folder / "alone", layer_count=20).spec, runtime=one_by_one).write(
        folder / "alone" / SPEC_FILE
    )
    for name in ("dying", "raising", "greedy", "parental"):
        spec = make_probe(folder / name, layer_count=20).spec
        odd = dataclasses.replace(spec, engine=f"odd_engines:{name}", runtime=Runtime())
        odd.write(folder / name / SPEC_FILE)
    probe_inputs().write(folder / "vectors.npz")
    return folder


@pytest.fixture
def start() -> Iterator[Callable[..., Arm]]:
    """Return what starts arms; those that a test leaves behind are ended."""
    started: list[Arm] = []

    def begin(label: str = "candidate", **settings: Any) -> Arm:
        started.append(Arm(label, **settings))
        return started[-1]

    yield begin
    for arm in started:
        arm.close()


@pytest.fixture
def shell(start: Callable[..., Arm]) -> Callable[..., Arm]:
    """Return what starts an arm that is a line of shell: in no time, and as wrong as one likes."""
    return lambda script, **settings: start(command=("/bin/sh", "-c", script), **settings)


@pytest.fixture(scope="module")
def chatty(folder: Path) -> Iterator[Arm]:
    """A worker with the torch artifact that prints; it has been asked nothing."""
    arm = Arm("candidate", environment={"PYTHONPATH": str(folder)})
    yield arm
    arm.close()


@pytest.fixture
def probe(folder: Path, start: Callable[..., Arm]) -> Arm:
    """A worker that has loaded a probe."""
    arm = start()
    ask(arm, load(folder / "probe", folder / "vectors.npz", "single", "offline"))
    return arm


def fails(arm: Arm, request: dict[str, Any] = STOP) -> ArmError:
    """Ask, and return the error with which it fails."""
    with pytest.raises(ArmError) as caught:
        ask(arm, request)

    assert "\n" not in str(caught.value)
    assert caught.value.arm == arm.label
    return caught.value


def served(*requests: dict[str, Any]) -> list[dict[str, Any]]:
    """Answer requests in this process."""
    replies = io.StringIO()
    worker.serve([json.dumps(request) for request in requests], replies)
    return [json.loads(line) for line in replies.getvalue().splitlines()]


def load(artifact: Path, inputs: Path, *names: str, cpus: tuple[int, ...] = ()) -> dict[str, Any]:
    """Return a request to load; without processors, so that in this process it pins nothing."""
    return load_request(artifact, inputs, list(names), list(cpus))


def has_ended(pid: int, *, within_sec: float = 5.0) -> bool:
    """Say whether a process is gone, or dead and only not yet buried."""
    deadline_sec = time.monotonic() + within_sec
    while time.monotonic() < deadline_sec:
        try:
            if psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
                return True
        except psutil.NoSuchProcess:
            return True
        time.sleep(0.02)
    return False


# --- a worker that answers --------------------------------------------------------------------------------------


def test_a_printing_model_disturbs_no_reply(chatty: Arm, folder: Path) -> None:
    """Whatever a library writes to standard output, at any level, loading, warm-up and slots stay whole."""
    loaded = protocol.loaded(ask(chatty, load(folder / "chatty", folder / "texts.npz", "single", "offline")))
    warm = [ask_slot(chatty, {"op": "warm", "scenario": name, "passes": 1}) for name in ("single", "offline")]
    slots = [
        ask_slot(chatty, {"op": "slot", "scenario": name, "passes": passes})
        for name, passes in (("single", 2), ("offline", 3))
    ]

    assert loaded.answer_shape == (1, 3)
    assert set(loaded.versions) >= {"torch", "numpy"}
    assert [len(slot.samples_sec) for slot in warm] == [16, 1]
    assert [len(slot.samples_sec) for slot in slots] == [64, 3]
    assert all(slot.cpu_sec is not None and slot.cpu_sec > 0 for slot in slots)


def test_a_probe_is_loaded_timed_and_stopped(folder: Path, start: Callable[..., Arm]) -> None:
    """The whole conversation: what is ready, what a slot used, how much memory was held, and an end by itself."""
    arm = start()
    loaded = protocol.loaded(ask(arm, load(folder / "alone", folder / "vectors.npz", "single", "server")))
    warm = ask_slot(arm, {"op": "warm", "scenario": "single", "passes": 10})
    single = ask_slot(arm, {"op": "slot", "scenario": "single", "passes": 2})
    call_sec = statistics.median(warm.samples_sec)
    plan = {"target_sec": 20 * call_sec, "start_rate_per_sec": 0.5 / call_sec}
    server = ask_slot(arm, {"op": "slot", "scenario": "server", "passes": 1, **plan})
    stopped = protocol.stopped(ask(arm, STOP))

    assert loaded.load_sec > 0
    assert loaded.answer_shape == (1, 2)
    assert loaded.python == sys.version.split()[0]
    assert loaded.versions == {"numpy": np.__version__}
    assert len(single.samples_sec) == 2 * 32
    assert single.cpu_sec is not None
    assert single.cpu_sec > 0
    assert single.involuntary_switch_count is not None
    assert (single.gpu_sm_clock_mhz, single.gpu_throttle_bits) == (None, None)
    assert len(server.samples_sec) == 1
    assert stopped.peak_rss_bytes is not None
    assert 20_000_000 < stopped.peak_rss_bytes < 2_000_000_000
    assert stopped.peak_device_bytes is None
    assert arm._process.wait(timeout=30) == 0


def test_an_arm_of_one_thread_keeps_to_the_first_processor_given(folder: Path, start: Callable[..., Arm]) -> None:
    """Both arms of a life get the same list, so a busy neighbour of one processor meets both."""
    cpus = sorted(os.sched_getaffinity(0))[::-1]
    arm = start()
    ask(arm, load(folder / "probe", folder / "vectors.npz", "single", cpus=tuple(cpus)))

    assert os.sched_getaffinity(arm._process.pid) == {cpus[0]}
    assert os.sched_getaffinity(0) == set(cpus)


def test_an_arm_of_as_many_threads_as_processors_keeps_to_none(folder: Path, start: Callable[..., Arm]) -> None:
    """Where the runtime block leaves the threads open, all processors are the arm's."""
    cpus = os.sched_getaffinity(0)
    arm = start(environment={"PYTHONPATH": str(folder)})
    ask(arm, load(folder / "greedy", folder / "vectors.npz", "single", cpus=tuple(cpus)))

    assert os.sched_getaffinity(arm._process.pid) == cpus


def test_an_unknown_request_is_refused_and_the_worker_lives(probe: Arm) -> None:
    """A refusal is one sentence, and the next request is served."""
    error = fails(probe, {"op": "dance"})

    assert str(error).startswith("the candidate arm could not be timed: the worker does not know the request")
    assert error.trouble == "refused"
    assert len(ask_slot(probe, {"op": "slot", "scenario": "offline", "passes": 1}).samples_sec) == 1


@pytest.mark.parametrize(("label", "hash_seed", "padding_bytes"), [("baseline", 17, 0), ("candidate", 2**32 - 1, 4095)])
def test_chance_reaches_the_process(label: Any, hash_seed: int, padding_bytes: int) -> None:
    """Hash seed, padding and the offset's seed are what the launcher was given, and the rest of the setting stays."""
    script = (
        'read line; printf \'{"seed": "%s", "offset": "%s", "padding": "%s", "path": "%s"}\\n\' '
        '"$PYTHONHASHSEED" "$PERFLIB_DEVICE_OFFSET" "${#PERFLIB_PADDING}" "$PATH"'
    )
    command = ("/bin/sh", "-c", script)
    launch = Launcher(baseline=command) if label == "baseline" else Launcher(candidate=command)
    arm = launch(label, hash_seed=hash_seed, padding_bytes=padding_bytes)
    try:
        told = ask(arm, STOP)
    finally:
        arm.close()

    assert launch.command(label) == command
    assert arm.label == label
    assert told == {
        "seed": str(hash_seed),
        "offset": str(hash_seed),
        "padding": str(padding_bytes),
        "path": os.environ["PATH"],
    }


def test_a_request_does_not_wait_for_its_reply(shell: Callable[..., Arm]) -> None:
    """Two arms can load at the same time, and replies come in the order of the requests."""
    arms = [shell(f'while read line; do echo "{{\\"is\\": {n}, \\"got\\": $line}}"; done') for n in range(2)]
    for arm in arms:
        arm.send({"op": "load"})
        arm.send({"op": "warm"})

    assert [[arm.receive() for _ in range(2)] for arm in arms] == [
        [{"is": n, "got": {"op": "load"}}, {"is": n, "got": {"op": "warm"}}] for n in range(2)
    ]


def test_a_long_reply_arrives_whole(shell: Callable[..., Arm]) -> None:
    """A slot of many calls is longer than a pipe holds at once."""
    arm = shell(
        'read line; awk \'BEGIN { printf "{\\"samples_sec\\": [0.5"; for (i = 1; i < 50000; i++) printf ", 0.012345";'
        ' print "]}" }\'; read line'
    )

    assert len(ask_slot(arm, {"op": "slot"}).samples_sec) == 50_000


# --- a worker that does not -------------------------------------------------------------------------------------


def test_a_worker_that_dies_while_loading_is_named_with_its_last_words(folder: Path, start: Callable[..., Arm]) -> None:
    """Code and output of the dead process stand in one sentence, without line breaks."""
    arm = start(environment={"PYTHONPATH": str(folder)})
    error = fails(arm, load(folder / "dying", folder / "vectors.npz", "single"))

    assert str(error) == "the candidate arm ended with code 3; see its last output: the last words"
    assert error.trouble == "died"


def test_a_bug_in_a_model_shows_its_exception_in_the_sentence(folder: Path, start: Callable[..., Arm]) -> None:
    """An error that nobody foresaw ends the worker, and the end of its traceback reaches the reader."""
    arm = start(environment={"PYTHONPATH": str(folder)})
    error = fails(arm, load(folder / "raising", folder / "vectors.npz", "single"))

    assert str(error).startswith("the candidate arm ended with code 1; see its last output: ")
    assert str(error).endswith("RuntimeError: nobody foresaw this")
    assert error.trouble == "died"


def test_a_killed_worker_most_likely_ran_out_of_memory(probe: Arm) -> None:
    """Kill -9 is what the kernel does when memory is short, and the sentence says so."""
    os.kill(probe._process.pid, signal.SIGKILL)
    error = fails(probe, {"op": "slot", "scenario": "single", "passes": 1})

    assert str(error).startswith("the candidate arm was killed by signal 9; most likely memory ran out, free some and")
    assert str(error).endswith("its last output: it printed nothing")
    assert error.trouble == "out-of-memory"


@pytest.mark.parametrize("name", ["TERM", "ABRT"])
def test_another_signal_is_named(name: str, shell: Callable[..., Arm]) -> None:
    """A crash of an engine is no lack of memory."""
    error = fails(shell(f"read line; ulimit -c 0; echo bad luck >&2; kill -{name} $$; sleep 5"))

    number = getattr(signal, f"SIG{name}").value
    assert str(error) == f"the candidate arm was killed by signal {number}; see its last output: bad luck"
    assert error.trouble == "died"


def test_a_worker_that_is_gone_before_it_is_asked_is_named_too(shell: Callable[..., Arm]) -> None:
    """A closed pipe, found while writing, is the same sentence and no traceback; closing twice is none either."""
    arm = shell("echo too early >&2; exit 7", label="baseline")
    arm._process.wait(timeout=10)
    error = fails(arm)
    arm.close()

    assert str(error) == "the baseline arm ended with code 7; see its last output: too early"
    assert error.trouble == "died"


def test_a_hanging_worker_is_given_up_and_ended(shell: Callable[..., Arm]) -> None:
    """No answer in time is an error with the last output, and the process does not outlive it."""
    arm = shell('echo "loading, loading" >&2; read line; exec sleep 60', timeout_sec=0.3)
    error = fails(arm)
    arm.close()

    assert str(error) == "the candidate arm gave no answer within 0.3 s; see its last output: loading, loading"
    assert error.trouble == "hung"
    assert arm._process.returncode == -signal.SIGKILL


def test_half_a_reply_does_not_stop_the_clock(shell: Callable[..., Arm]) -> None:
    """A worker that says a little every now and then hangs as well."""
    arm = shell("while true; do printf '{'; sleep 0.1; done", timeout_sec=0.5)

    assert fails(arm).trouble == "hung"


def test_rubbish_on_the_pipe_is_shown(shell: Callable[..., Arm]) -> None:
    """What came instead of a reply stands in the sentence beside the last output."""
    error = fails(shell('read line; echo "Loading model... 100%"; echo on standard error >&2; sleep 60'))

    assert "the candidate arm wrote b'Loading model... 100%', which is no JSON; see its last output: " in str(error)
    assert error.trouble == "rubbish"


def test_a_line_without_an_end_is_given_up(shell: Callable[..., Arm], monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker that writes for ever fills neither the memory nor the time."""
    monkeypatch.setattr(protocol, "MAX_LINE_BYTES", 200_000)
    error = fails(shell("exec cat /dev/zero", timeout_sec=30))
    written_bytes = int(str(error).split("wrote ")[1].split(" bytes")[0].replace(",", ""))

    assert 200_000 < written_bytes <= 200_000 + 65_536
    assert "bytes without a line's end" in str(error)
    assert error.trouble == "rubbish"


def test_a_worker_that_closes_its_pipe_and_lives_on_is_told_from_a_dead_one(
    shell: Callable[..., Arm], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It has not ended, so no code is made up for it."""
    arm = shell("echo goodbye >&2; exec 1>&-; exec sleep 60")
    wait = arm._process.wait
    monkeypatch.setattr(arm._process, "wait", lambda timeout=None: wait(None if timeout is None else timeout / 20))
    error = fails(arm)
    arm.close()

    assert str(error) == "the candidate arm closed its pipe and lives on; see its last output: goodbye"
    assert error.trouble == "rubbish"
    assert arm._process.returncode == -signal.SIGKILL


def test_a_refusal_is_the_arms_own_sentence(shell: Callable[..., Arm]) -> None:
    """What it says reaches the reader."""
    error = fails(shell('read line; echo \'{"error": "this machine has no such GPU; use another."}\'; read line'))

    assert str(error) == "the candidate arm could not be timed: this machine has no such GPU; use another."
    assert error.trouble == "refused"


def test_a_reply_that_is_no_slot_names_the_arm(shell: Callable[..., Arm]) -> None:
    """JSON that answers another question is rubbish too, and the value is shown."""
    arm = shell("read line; echo '{\"samples_sec\": [0.1, -0.5]}'; read line", label="baseline")
    with pytest.raises(ArmError, match=r"the baseline arm timed a call at -0\.5 s: .*; measure again\.$") as caught:
        ask_slot(arm, {"op": "slot"})

    assert (caught.value.arm, caught.value.trouble) == ("baseline", "rubbish")


def test_of_much_output_the_last_stands_in_the_sentence(shell: Callable[..., Arm]) -> None:
    """A sentence is no log, and bytes that are no text do no harm."""
    said = str(fails(shell("seq 1 10000 >&2; printf '\\377\\376 the very end' >&2; exit 1")))

    assert said.endswith("9999 10000 �� the very end")
    assert len(said) < 400


def test_a_missing_artifact_is_refused_with_its_path(tmp_path: Path, start: Callable[..., Arm]) -> None:
    """The worker's own sentence reaches the reader."""
    error = fails(start(), load(tmp_path / "none", tmp_path / "inputs.npz", "single"))

    assert str(error).startswith("the candidate arm could not be timed: ")
    assert str(tmp_path / "none") in str(error)
    assert error.trouble == "refused"


# --- what an arm leaves behind ----------------------------------------------------------------------------------


def test_the_parent_sleeps_while_an_arm_works(shell: Callable[..., Arm]) -> None:
    """A parent that polls would take a core from the benchmark beside it."""
    arm = shell("read line; sleep 1; echo '{\"samples_sec\": [1.0]}'; read line")
    before_sec, start_sec = time.process_time(), time.monotonic()
    slot = ask_slot(arm, {"op": "slot"})
    used_sec, wall_sec = time.process_time() - before_sec, time.monotonic() - start_sec

    assert slot.samples_sec == (1.0,)
    assert wall_sec >= 0.95
    assert used_sec < 0.01 * wall_sec


def test_a_ctrl_c_does_not_reach_an_arm(shell: Callable[..., Arm]) -> None:
    """The terminal signals the parent's process group; an arm leads a group and a session of its own."""
    pid = shell("read line")._process.pid

    assert os.getpgid(pid) == pid != os.getpgid(0)
    assert os.getsid(pid) == pid != os.getsid(0)


def test_what_a_model_has_started_ends_with_its_worker(folder: Path, start: Callable[..., Arm]) -> None:
    """An engine's helper processes would go on loading the machine beside the next life."""
    arm = start(environment={"PYTHONPATH": str(folder)})
    ask(arm, load(folder / "parental", folder / "vectors.npz", "single"))
    child = int((folder / "parental" / "child.pid").read_text())
    assert psutil.pid_exists(child)
    arm.close()

    assert has_ended(child)


@pytest.mark.parametrize("end", ["exit 0", "kill -KILL $$"])
def test_what_a_dead_worker_has_started_is_ended_too(end: str, shell: Callable[..., Arm]) -> None:
    """Stopped in peace or killed, it may leave helpers that live on; closing the arm ends them."""
    arm = shell(f'read line; sleep 20 >&2 & echo "{{\\"child\\": $!}}"; {end}')
    child = ask(arm, STOP)["child"]
    arm._process.wait(timeout=10)
    arm.close()
    try:
        assert has_ended(child, within_sec=2.0)
    finally:
        if psutil.pid_exists(child):
            os.kill(child, signal.SIGKILL)


# --- another command, another Python ----------------------------------------------------------------------------


@pytest.mark.parametrize("is_by_shebang", [True, False])
def test_a_program_without_perflib_can_be_an_arm(is_by_shebang: bool, tmp_path: Path) -> None:
    """Whoever speaks the protocol is timed, and what it prints to standard error is nobody's business."""
    script = tmp_path / "my arm.py"
    script.write_text(f"#!{sys.executable} -IS\n{FOREIGN_ARM}")
    script.chmod(0o755)
    typed = shlex.quote(str(script)) if is_by_shebang else shlex.join([sys.executable, "-IS", str(script)])
    launch = Launcher(candidate=worker_command(command=typed))
    arm = launch("candidate", hash_seed=1, padding_bytes=8)
    try:
        loaded = protocol.loaded(ask(arm, load(tmp_path, tmp_path / "inputs.npz", "single")))
        warm = ask_slot(arm, {"op": "warm", "scenario": "single", "passes": 1})
        slot = ask_slot(arm, {"op": "slot", "scenario": "single", "passes": 2})
        stopped = protocol.stopped(ask(arm, STOP))
        assert arm._process.wait(timeout=10) == 0
    finally:
        arm.close()

    assert loaded == protocol.Loaded(0.25, (1, 2), "none", {"mine": "7"})
    assert (warm.samples_sec, slot.samples_sec) == ((0.5, 0.25), (0.5, 0.25, 0.5, 0.25))
    assert slot.cpu_sec is None
    assert stopped == protocol.Stopped(4096, None)


def test_another_command_is_lent_perflib_alone_and_until_it_ends(shell: Callable[..., Arm]) -> None:
    """Its import path holds this very package and nothing else of what is installed beside it."""
    arm = shell(
        'read line; printf \'{"folder": "%s", "holds": "%s"}\\n\' "$PYTHONPATH" "$(ls -A "$PYTHONPATH")"; read line',
        environment={"PYTHONPATH": "somewhere else"},
    )
    told = ask(arm, STOP)
    lent = Path(told["folder"])

    assert told["holds"] == "perflib"
    assert (lent / "perflib").resolve() == Path(protocol.__file__).resolve().parents[1]
    arm.close()
    assert not lent.exists()
    assert Path(protocol.__file__).exists()


def test_our_own_worker_is_lent_nothing(folder: Path, start: Callable[..., Arm]) -> None:
    """Under this interpreter perflib is installed, and a path that somebody set for it stays."""
    arm = start(environment={"PYTHONPATH": str(folder)})

    assert arm._lent is None


def make_environment(folder: Path) -> Path:
    """Make a virtual environment that has everything but perflib, by links, in no time; return its Python."""
    (folder / "bin").mkdir(parents=True)
    python = folder / "bin" / "python"
    real = Path(sys.executable).resolve()
    python.symlink_to(real)
    (folder / "pyvenv.cfg").write_text(f"home = {real.parent}\ninclude-system-site-packages = false\n")
    packages = folder / "lib" / f"python{sys.version_info[0]}.{sys.version_info[1]}" / "site-packages"
    packages.mkdir(parents=True)
    for path in Path(sysconfig.get_paths()["purelib"]).iterdir():
        if "perflib" not in path.name:
            (packages / path.name).symlink_to(path)
    return python


def test_our_worker_runs_under_another_python(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An environment without perflib borrows it, and times what this one times."""
    python = make_environment(tmp_path / "other")
    monkeypatch.chdir(tmp_path)  # a checkout in the working folder could be imported as well
    monkeypatch.delenv("PYTHONPATH", raising=False)
    alone = subprocess.run([python, "-c", "import perflib"], capture_output=True, text=True)
    arm = Launcher(candidate=worker_command(python=str(python)))("candidate", hash_seed=0, padding_bytes=0)
    try:
        loaded = protocol.loaded(ask(arm, load(folder / "probe", folder / "vectors.npz", "single")))
        slot = ask_slot(arm, {"op": "slot", "scenario": "single", "passes": 1})
        found = psutil.Process(arm._process.pid).cmdline()[0]
    finally:
        arm.close()

    assert "No module named 'perflib'" in alone.stderr
    assert loaded.versions == {"numpy": np.__version__}
    assert len(slot.samples_sec) == 32
    assert found == str(python)


def test_a_command_line_is_what_was_typed() -> None:
    """Words are split as a shell would, and nothing given means our own worker."""
    own = worker_command()

    assert own == Launcher().baseline == Launcher().candidate
    assert own[0] == sys.executable
    assert worker_command(python="/bin/sh") == ("/bin/sh", *own[1:])
    assert worker_command(command="sh -c 'exec my arm' --fast") == ("sh", "-c", "exec my arm", "--fast")


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"python": sys.executable, "command": "sh"}, "either another Python or another command; give one"),
        ({"python": "/no/such/python"}, "program '/no/such/python' cannot be run; give its full path"),
        ({"command": "no-such-program --fast"}, "program 'no-such-program' cannot be run"),
        ({"command": "sh -c 'oops"}, r'"sh -c \'oops" cannot be read \(No closing quotation\); check its quotes'),
        ({"command": "  "}, "cannot be run"),
    ],
)
def test_a_command_that_cannot_be_run_is_refused_before_anything_starts(given: dict[str, str], said: str) -> None:
    """The sentence names the program and says what to do."""
    with pytest.raises(ParameterError, match=said):
        worker_command(**given)


# --- the worker's own rules -------------------------------------------------------------------------------------


def test_requests_in_the_wrong_order_are_refused() -> None:
    """A slot before a load is an error of the caller, said in one sentence; after a stop nothing is answered."""
    early, warm, last = served(
        {"op": "slot", "scenario": "single", "passes": 1},
        {"op": "warm", "scenario": "single", "passes": 1},
        STOP,
        {"op": "never"},
    )

    assert early == warm
    assert early["error"] == "scenario `single` was asked for before it was loaded; name it in `load`."
    assert last["peak_rss_bytes"] > 0


def test_only_loaded_scenarios_are_timed(folder: Path) -> None:
    """Known and loaded are two things, and an unknown one is refused when it is loaded."""
    inputs = folder / "vectors.npz"
    good, offline, unknown, none = served(
        load(folder / "probe", inputs, "single"),
        {"op": "slot", "scenario": "offline", "passes": 1},
        load(folder / "probe", inputs, "singel"),
        load(folder / "probe", inputs),
    )

    assert good["load_sec"] > 0
    assert "scenario `offline` was asked for before it was loaded" in offline["error"]
    assert "scenario `singel` is not known; did you mean `single`?" in unknown["error"]
    assert "scenarios are []" in none["error"]


@pytest.mark.parametrize(
    "request_",
    [{"op": "load"}, {"op": "slot", "scenario": "single"}, {"op": "warm", "scenario": 3, "passes": 1}, {}],
)
def test_half_a_request_is_refused_and_shown(request_: dict[str, Any]) -> None:
    """Parent and worker may be of different versions, where one asks what the other does not know."""
    (reply,) = served(request_)

    assert repr(request_) in reply["error"]
    assert "parent and worker must match" in reply["error"]


def test_a_lack_of_memory_is_a_refusal(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A batch too large for this machine does not end the worker."""
    monkeypatch.syspath_prepend(folder)
    loaded, short, single = served(
        load(folder / "greedy", folder / "vectors.npz", "single", "offline"),
        {"op": "slot", "scenario": "offline", "passes": 1},
        {"op": "slot", "scenario": "single", "passes": 1},
    )

    assert "error" not in loaded
    assert short == {"error": "it ran out of memory; free some, or give it a smaller batch."}
    assert len(single["samples_sec"]) == 32


def test_an_altered_artifact_is_refused_inside_the_worker(folder: Path, tmp_path: Path) -> None:
    """A weight file that is not the recorded one is never timed."""
    shutil.copytree(folder / "probe", tmp_path / "altered")
    with (tmp_path / "altered" / "model.safetensors").open("ab") as file:
        file.write(b"x")
    reply, slot = served(
        load(tmp_path / "altered", folder / "vectors.npz", "single"),
        {"op": "slot", "scenario": "single", "passes": 1},
    )

    assert "sha256" in reply["error"]
    assert "before it was loaded" in slot["error"]


def test_inputs_that_cannot_be_read_are_refused(folder: Path, tmp_path: Path) -> None:
    """The sentence names the file."""
    (tmp_path / "broken.npz").write_bytes(b"no archive")
    (reply,) = served(load(folder / "probe", tmp_path / "broken.npz", "single"))

    assert str(tmp_path / "broken.npz") in reply["error"]


# --- what a slot asks -------------------------------------------------------------------------------------------


class Diary:
    """A predict that notes the rows it is asked, and a timer that notes what it times."""

    held_bytes = 0

    def __init__(self) -> None:
        self.calls: list[tuple[bool, list[int]]] = []
        self._is_timed = False

    def predict(self, call: Encoded) -> None:
        """Note whether this call is timed, and its rows."""
        self.calls.append((self._is_timed, call.arrays["row"][:, 0].tolist()))

    def time(self, call: Callable[[], object]) -> float:
        """Time a call by how many there were before."""
        self._is_timed = True
        call()
        self._is_timed = False
        return float(len(self.calls))

    def runner(self, name: str, *, count: int = 200) -> SlotRunner:
        """Return a runner of a scenario over ``count`` examples that know their row."""
        rows = Encoded({"row": np.arange(count)[:, None]})
        return SlotRunner(SCENARIOS[name], self.predict, rows, batch_example_count=4, timer=self)


def test_a_slot_begins_with_one_call_that_is_not_timed() -> None:
    """It washes the other arm's lines out of the caches; every slot has it, however often it was warmed up."""
    diary = Diary()
    runner = diary.runner("single")
    samples = [runner.slot(SlotPlan(passes_count=2)) for _ in range(2)]

    assert [len(one) for one in samples] == [64, 64]
    assert [is_timed for is_timed, _ in diary.calls] == [False, *[True] * 64] * 2
    assert diary.calls[0][1] == diary.calls[1][1]
    assert samples[0] == [float(number) for number in range(2, 66)]


def test_all_slots_ask_the_same_in_the_same_order() -> None:
    """A slot's passes repeat the sample, one example a call, and so does the next slot."""
    diary = Diary()
    runner = diary.runner("single")
    for _ in range(2):
        runner.slot(SlotPlan(passes_count=3))
    timed = [rows for is_timed, rows in diary.calls if is_timed]
    sample = Encoded({"row": np.arange(200)[:, None]}).stratified(32).arrays["row"].tolist()

    assert timed == sample * 6


@pytest.mark.parametrize(
    ("name", "call_count", "row_count"), [("single", 16, 16), ("offline", 1, 16), ("server", 16, 16)]
)
def test_a_warm_up_asks_the_first_sixteen(name: str, call_count: int, row_count: int) -> None:
    """The first warm-up meets every input once, untimed; then all of its calls are timed, offline's sixteen at once."""
    diary = Diary()
    runner = diary.runner(name)
    runner.warm()
    met = [row for is_timed, rows in diary.calls if not is_timed for row in rows]
    diary.calls.clear()
    samples = runner.warm(passes_count=2)
    first = SCENARIOS[name].sample(Encoded({"row": np.arange(200)[:, None]})).arrays["row"][:row_count, 0].tolist()

    assert len(samples) == 2 * call_count
    assert all(is_timed for is_timed, _ in diary.calls)
    assert [row for _, rows in diary.calls for row in rows] == first * 2
    assert sorted(met) == sorted(SCENARIOS[name].sample(Encoded({"row": np.arange(200)[:, None]})).arrays["row"][:, 0])


def test_an_offline_slot_hands_over_its_whole_sample_after_a_small_wash_out() -> None:
    """The wash-out is the warm-up's call, and a pass is one call with all examples."""
    diary = Diary()
    diary.runner("offline").slot(SlotPlan(passes_count=2))

    assert [(is_timed, len(rows)) for is_timed, rows in diary.calls] == [(False, 16), (True, 128), (True, 128)]


def test_fewer_inputs_than_a_sample_are_all_asked() -> None:
    """A small data set makes a small slot, not an error."""
    diary = Diary()
    runner = diary.runner("offline", count=5)

    assert len(runner.warm()) == 1
    assert len(runner.slot(SlotPlan())) == 1
    assert [len(rows) for _, rows in diary.calls] == [5, 5, 5, 5]


def test_a_server_slot_is_the_time_per_request_at_the_largest_rate(monkeypatch: pytest.MonkeyPatch) -> None:
    """After the wash-out call the search gets the sample, the plan and the batch size of the runtime block."""
    diary, asked = Diary(), dict[str, Any]()

    def largest_rate(predict: Any, requests: Encoded, **settings: Any) -> float:
        asked.update(settings, count=len(requests), calls_before=len(diary.calls))
        return 40.0

    monkeypatch.setattr(scenarios, "largest_rate", largest_rate)
    samples = diary.runner("server").slot(SlotPlan(1, target_sec=0.05, start_rate_per_sec=10.0))

    assert samples == [0.025]
    assert asked == {
        "target_sec": 0.05,
        "start_rate_per_sec": 10.0,
        "batch_example_count": 4,
        "count": 64,
        "calls_before": 1,
    }


@pytest.mark.parametrize("plan", [SlotPlan(), SlotPlan(1, 0.05), SlotPlan(1, None, 10.0)])
def test_a_server_slot_without_its_plan_is_refused(plan: SlotPlan) -> None:
    """A target that nobody set is not guessed."""
    with pytest.raises(ParameterError, match="a server slot needs a latency target and a first rate"):
        Diary().runner("server").slot(plan)
