"""Profiling: the record agrees with the trace, and TensorBoard's plugin agrees with the record."""

import gzip
import json
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from tiny_artifact import LINEARS_COUNT, make_inputs, write_artifact
from torch.autograd import DeviceType

from perflib.artifact import Artifact, Runtime
from perflib.errors import DataError, MeasurementError, ParameterError, SetupError
from perflib.profiling import profile_artifact, torch_profiler, write_compatible_trace
from perflib.results import OperatorTime, Profile

STEPS_COUNT = 3


@pytest.fixture(scope="module")
def artifact(tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    """A tiny model."""
    return write_artifact(tmp_path_factory.mktemp("artifact"))


@pytest.fixture(scope="module")
def profiled(artifact: Artifact, tmp_path_factory: pytest.TempPathFactory) -> Profile:
    """A profile of the tiny model, with a clock that ticks once a look."""
    ticks = iter(range(1000))
    return profile_artifact(
        artifact,
        make_inputs(10),
        name="baseline",
        folder=tmp_path_factory.mktemp("traces"),
        active_step_count=STEPS_COUNT,
        clock=lambda: float(next(ticks)),
    )


def _operator(profile: Profile, name: str) -> OperatorTime:
    return next(operator for operator in profile.operators if operator.operator == name)


def _trace(profile: Profile) -> Path:
    return Path(profile.trace_folder) / profile.trace_files[0]


def test_a_profile_names_what_was_profiled(artifact: Artifact, profiled: Profile) -> None:
    """The batch has the size of the runtime block, its tokens include padding, and only active steps are timed."""
    assert profiled.artifact_sha256 == artifact.digest
    assert (profiled.batch_example_count, profiled.batch_token_count) == (4, 4 * 7)
    assert (profiled.active_step_count, profiled.wall_sec) == (STEPS_COUNT, STEPS_COUNT * 1.0)
    assert Profile.from_dict(profiled.to_dict()) == profiled


def test_operators_are_ranked_by_self_time_and_shares_sum_to_one(profiled: Profile) -> None:
    """Nothing is cut off and nothing is counted twice."""
    times = [operator.self_sec for operator in profiled.operators]

    assert times == sorted(times, reverse=True)
    assert sum(operator.self_share_ratio for operator in profiled.operators) == pytest.approx(1.0)
    assert len({operator.operator for operator in profiled.operators}) == len(profiled.operators)


def test_the_profilers_own_marks_are_no_operators(profiled: Profile) -> None:
    """A step is not something that a model computes."""
    assert not [operator for operator in profiled.operators if operator.operator.startswith("ProfilerStep")]


def test_counts_and_flops_are_those_of_all_active_steps(profiled: Profile) -> None:
    """Every linear layer is one addmm a step, with two FLOPs per weight and row."""
    addmm = _operator(profiled, "aten::addmm")
    rows = 4 * 7  # examples × tokens; the head sees one row per example
    per_step = 2 * (2 * rows * (4 * 16 * 16 + 2 * 16 * 32) + 4 * 16 * 3)

    assert addmm.call_count == LINEARS_COUNT * STEPS_COUNT
    assert addmm.flop_count == per_step * STEPS_COUNT
    assert _operator(profiled, "aten::linear").total_sec > _operator(profiled, "aten::linear").self_sec


def test_the_trace_lies_in_the_folder_and_holds_the_active_steps(profiled: Profile) -> None:
    """TensorBoard's naming, and one step mark for each active step."""
    with gzip.open(_trace(profiled)) as file:
        events = json.load(file)["traceEvents"]

    assert profiled.trace_files[0].startswith("baseline.")
    assert profiled.trace_files[0].endswith(".pt.trace.json.gz")
    assert sum(str(event.get("name")).startswith("ProfilerStep#") for event in events) == STEPS_COUNT


def test_an_engine_that_the_profiler_cannot_see_is_refused(artifact: Artifact, tmp_path: Path) -> None:
    """The sentence says what to profile instead."""
    blind: Any = SimpleNamespace(folder=tmp_path, spec=SimpleNamespace(engine="openvino"))

    with pytest.raises(ParameterError, match=r"runs in `openvino`, which torch\.profiler cannot see"):
        profile_artifact(blind, make_inputs(), name="int8", folder=tmp_path)


@pytest.mark.parametrize("word", ["warmup_step_count", "active_step_count", "batch_example_count"])
def test_counts_below_one_are_refused(artifact: Artifact, tmp_path: Path, word: str) -> None:
    """The sentence names the argument."""
    counts: dict[str, Any] = {word: 0}

    with pytest.raises(ParameterError, match=f"`{word}` is 0"):
        profile_artifact(artifact, make_inputs(), name="x", folder=tmp_path, **counts)


def test_a_folder_that_cannot_be_written_is_a_setup_error(artifact: Artifact, tmp_path: Path) -> None:
    """It is said before any step is run."""
    (tmp_path / "file").write_text("in the way")

    with pytest.raises(SetupError, match="trace folder"):
        profile_artifact(artifact, make_inputs(), name="x", folder=tmp_path / "file" / "traces")


def test_a_device_that_is_not_there_is_a_setup_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An artifact that is served on CUDA is not profiled on the CPU instead."""
    monkeypatch.setattr("perflib.machine.has_cuda", lambda: False)
    served = write_artifact(tmp_path / "artifact", runtime=Runtime(device="cuda"))

    with pytest.raises(SetupError, match="no CUDA device"):
        profile_artifact(served, make_inputs(), name="x", folder=tmp_path / "traces")


def test_a_name_that_is_no_file_name_is_made_one(artifact: Artifact, tmp_path: Path) -> None:
    """Dots and slashes would change how TensorBoard reads the name."""
    found = profile_artifact(
        artifact, make_inputs(), name="a/b 1.5", folder=tmp_path, warmup_step_count=1, active_step_count=1
    )

    assert found.trace_files[0].startswith("a-b-1-5.")
    assert _trace(found).is_file()


def _event(key: str, *, device_type: Any = DeviceType.CPU, device_us: float = 0.0, is_mark: bool = False) -> Any:
    return SimpleNamespace(
        key=key,
        count=1,
        flops=None,
        device_type=device_type,
        is_user_annotation=is_mark,
        self_cpu_time_total=5.0,
        cpu_time_total=6.0,
        self_device_time_total=device_us,
        device_time_total=device_us,
    )


def test_on_cuda_an_operator_has_the_time_of_its_kernels() -> None:
    """Host time is not device time, and a kernel's own line would count it twice."""
    events = [
        _event("aten::mm", device_us=30.0),
        _event("aten::add", device_us=10.0),
        _event("gemm_kernel", device_type=DeviceType.CUDA, device_us=30.0),
        _event("ProfilerStep*", device_us=40.0, is_mark=True),
    ]
    operators = torch_profiler._operators(events, device="cuda")

    assert [(row.operator, row.self_share_ratio) for row in operators] == [("aten::mm", 0.75), ("aten::add", 0.25)]
    assert operators[0].self_sec == pytest.approx(30e-6)


def test_a_profile_without_time_is_refused() -> None:
    """Shares of nothing are not written as NaN."""
    with pytest.raises(MeasurementError, match="no device time"):
        torch_profiler._operators([_event("aten::mm")], device="cuda")


def test_the_copy_has_the_categories_of_the_plugin_and_the_original_stays(tmp_path: Path) -> None:
    """CUDA calls become Runtime, annotations become operators, and nothing else changes."""
    categories = ["cuda_runtime", "cuda_driver", "user_annotation", "kernel", "cpu_op", None]
    events = [{"name": str(place), **({"cat": cat} if cat else {})} for place, cat in enumerate(categories)]
    source = tmp_path / "traces" / "int8.17.pt.trace.json"
    source.parent.mkdir()
    source.write_text(json.dumps({"schemaVersion": 1, "traceEvents": events}))
    before = source.read_bytes()
    copy = write_compatible_trace(source, tmp_path / "log")
    content = copy.read_bytes()
    found = json.loads(gzip.decompress(content))

    assert copy == tmp_path / "log" / "int8" / "int8.17.pt.trace.json.gz"
    assert [event.get("cat") for event in found["traceEvents"]] == [
        "Runtime",
        "Runtime",
        "cpu_op",
        "kernel",
        "cpu_op",
        None,
    ]
    assert found["schemaVersion"] == 1
    assert source.read_bytes() == before
    assert write_compatible_trace(source, tmp_path / "log").read_bytes() == content


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b'{"traceEvents": 1}', b'{"traceEvents": [1]}', b"\x1f\x8b torn"]
)
def test_a_broken_trace_is_a_data_error(tmp_path: Path, content: bytes) -> None:
    """One sentence names the file, plain or compressed."""
    for name in ("x.1.pt.trace.json", "x.1.pt.trace.json.gz"):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(DataError, match=r"x\.1\.pt\.trace\.json"):
            write_compatible_trace(tmp_path / name, tmp_path / "log")


def test_a_trace_that_tensorboard_would_miss_or_show_twice_is_refused(tmp_path: Path) -> None:
    """The name must be a trace's, and the original must lie outside the log folder."""
    with pytest.raises(ParameterError, match="would not find it"):
        write_compatible_trace(tmp_path / "trace.json", tmp_path / "log")
    with pytest.raises(ParameterError, match="lies in the log folder"):
        write_compatible_trace(tmp_path / "log" / "x.1.pt.trace.json", tmp_path / "log")


def _plugin_routes(log_folder: Path) -> Callable[..., Any]:
    """Start the plugin on a log folder, without a server, and return a call that asks one of its routes."""
    pytest.importorskip("tensorboard", reason="TensorBoard is optional: pip install perflib[tb]")
    plugin_module = pytest.importorskip("torch_tb_profiler.plugin", reason="optional: pip install perflib[tb]")
    from tensorboard.plugins.base_plugin import TBContext
    from werkzeug.test import Client

    routes = plugin_module.TorchProfilerPlugin(TBContext(logdir=str(log_folder))).get_plugin_apps()

    def ask(route: str, **query: str) -> Any:
        reply = Client(routes[route]).get("/", query_string=query)
        assert reply.status_code == 200, f"{route} {query}: {reply.get_data(as_text=True)[:200]}"
        return json.loads(reply.get_data())

    end_sec = time.monotonic() + 30
    while True:  # the plugin reads the folder in a thread and each trace in a process of its own
        state = ask("/runs")
        if state["runs"] and not state["loading"]:
            return ask
        if time.monotonic() > end_sec:
            pytest.fail(f"the plugin has not loaded {log_folder} in 30 s: {state}")
        time.sleep(0.1)


def test_tensorboard_shows_the_operators_of_the_record(profiled: Profile, tmp_path: Path) -> None:
    """The plugin lists the model as a run, with its steps and with the same call counts and times as our record."""
    write_compatible_trace(_trace(profiled), tmp_path)
    ask = _plugin_routes(tmp_path)
    place = {"run": "baseline", "worker": "baseline", "span": "1"}
    overview = ask("/overview", **place, view="Overview")
    table = ask("/operation/table", **place, view="Operator", group_by="Operation")["data"]
    shown = {row["name"]: row for row in table}

    assert ask("/runs")["runs"] == ["baseline"]
    assert {"Overview", "Operator", "Trace"} <= set(ask("/views", run="baseline"))
    assert ask("/workers", run="baseline", view="Operator") == ["baseline"]
    assert len(overview["steps"]["rows"]) == STEPS_COUNT
    for name in ("aten::linear", "aten::addmm", "aten::gelu"):
        assert shown[name]["calls"] == _operator(profiled, name).call_count
        assert shown[name]["host_self_duration"] == pytest.approx(_operator(profiled, name).self_sec * 1e6, abs=1)


def _gpu_trace() -> dict[str, Any]:
    """One step in which a DataLoader works and mm launches a kernel, as torch 2 writes it; times in µs."""

    def event(cat: str, name: str, ts: float, dur: float, *, tid: int = 1, pid: int = 1, **args: Any) -> dict[str, Any]:
        return {"ph": "X", "cat": cat, "name": name, "pid": pid, "tid": tid, "ts": ts, "dur": dur, "args": args}

    loader = "enumerate(DataLoader)#_SingleProcessDataLoaderIter.__next__"
    events = [
        event("user_annotation", "ProfilerStep#1", 0.0, 100.0, **{"External id": 1}),
        event("user_annotation", loader, 1.0, 20.0, **{"External id": 2}),
        event("cpu_op", "aten::mm", 30.0, 30.0, **{"External id": 3, "Input Dims": [[4, 4], [4, 4]]}),
        event("cuda_runtime", "cudaLaunchKernel", 40.0, 5.0, correlation=7, **{"External id": 3}),
        event("kernel", "gemm", 50.0, 25.0, pid=0, tid=7, device=0, stream=7, correlation=7, **{"External id": 3}),
    ]
    return {"schemaVersion": 1, "deviceProperties": [{"id": 0, "name": "GPU", "numSms": 1}], "traceEvents": events}


def test_tensorboard_sees_device_time_and_data_loading_only_in_the_copy(tmp_path: Path) -> None:
    """The reason for the copy: in the original the plugin finds neither."""
    source = tmp_path / "traces" / "gpu.17.pt.trace.json"
    source.parent.mkdir()
    source.write_text(json.dumps(_gpu_trace()))
    copy = write_compatible_trace(source, tmp_path / "log")
    found = {}
    for name, folder in (("original", source.parent), ("copy", copy.parent)):
        ask = _plugin_routes(folder)
        place = {"run": folder.name, "worker": "gpu", "span": "1"}
        table = ask("/operation/table", **place, view="Operator", group_by="Operation")["data"]
        mm = next(row for row in table if row["name"] == "aten::mm")
        costs = {
            row["name"]: row["value"]
            for row in ask("/overview", **place, view="Overview")["performance"][0]["children"]
        }
        found[name] = (mm["device_self_duration"], costs["DataLoader"])

    assert found == {"original": (0, 0), "copy": (25, 20)}
