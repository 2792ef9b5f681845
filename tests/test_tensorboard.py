"""TensorBoard's plugin reads the copies that we write, and its own routes give the numbers of the trace."""

import gzip
import json
import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from torch.profiler import ProfilerActivity, profile, schedule

from perflib.errors import DataError, ParameterError
from perflib.profiling.attribution import CALL_RANGE, nest, uncovered_sec
from perflib.profiling.modules import annotated
from perflib.profiling.tensorboard import write_compatible_trace
from perflib.profiling.trace import Trace, read_trace
from perflib.workloads.bert import mean_pooled_classifier
from tests.tiny_artifact import CONFIG, LINEARS_COUNT, make_inputs

STEPS_COUNT = 3
PLACE = {"run": "tiny", "worker": "tiny", "span": "1"}
LOADER = "enumerate(DataLoader)#_SingleProcessDataLoaderIter.__next__"
US = 1e6


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A trace of a tiny model behind a DataLoader, with ranges around its modules, as torch writes it here."""
    path = tmp_path_factory.mktemp("traces") / "tiny.17.pt.trace.json.gz"
    torch.manual_seed(0)
    model = mean_pooled_classifier(CONFIG).eval()
    tensors = {name: torch.as_tensor(array) for name, array in make_inputs(4).arrays.items()}
    batches = iter(torch.utils.data.DataLoader(list(range(STEPS_COUNT + 1))))  # type: ignore[arg-type]
    with (
        pytest.MonkeyPatch.context() as patch,
        torch.inference_mode(),
        annotated(),
        profile(
            activities=[ProfilerActivity.CPU],
            schedule=schedule(wait=0, warmup=1, active=STEPS_COUNT, repeat=1),
            record_shapes=True,
            profile_memory=True,
            on_trace_ready=lambda ready: ready.export_chrome_trace(str(path)),
        ) as profiler,
    ):
        patch.setenv("KINETO_LOG_LEVEL", "99")
        for _ in range(STEPS_COUNT + 1):
            next(batches)
            with torch.profiler.record_function(CALL_RANGE):
                model(**tensors)
            profiler.step()
    return path


@pytest.fixture(scope="module")
def trace(source: Path) -> Trace:
    """The same trace, read by us."""
    return read_trace(source)


@pytest.fixture(scope="module")
def ask(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Any]:
    """Ask the plugin about the copy."""
    log_folder = tmp_path_factory.mktemp("log")
    write_compatible_trace(source, log_folder)
    return _plugin_routes(log_folder)


def _plugin_routes(log_folder: Path) -> Callable[..., Any]:
    """Start the plugin on a log folder, without a server, and return a call that asks one of its routes."""
    pytest.importorskip("tensorboard", reason="TensorBoard is optional: pip install perflib[tb]")
    plugin_module = pytest.importorskip("torch_tb_profiler.plugin", reason="optional: pip install perflib[tb]")
    from tensorboard.plugins.base_plugin import TBContext
    from werkzeug.test import Client

    logging.getLogger("pytorch_profiler").setLevel(logging.ERROR)
    routes = plugin_module.TorchProfilerPlugin(TBContext(logdir=str(log_folder))).get_plugin_apps()

    def ask(route: str, **query: str) -> Any:
        reply = Client(routes[route]).get("/", query_string=query)
        assert reply.status_code == 200, f"{route} {query}: {reply.get_data(as_text=True)[:200]}"
        body = reply.get_data()
        return json.loads(gzip.decompress(body) if reply.headers.get("Content-Encoding") == "gzip" else body)

    end_sec = time.monotonic() + 60
    while True:  # the plugin reads the folder in a thread and each trace in a process of its own
        state = ask("/runs")
        if state["runs"] and not state["loading"]:
            return ask
        if time.monotonic() > end_sec:
            pytest.fail(f"the plugin has not loaded {log_folder} in 60 s: {state}")
        time.sleep(0.1)


def _by_operator(trace: Trace) -> pd.DataFrame:
    """Return calls and own time of every operator, from the trace, without any range or step."""
    spans = trace.spans[(trace.spans["category"] == "cpu_op") & (trace.spans["thread"] == trace.steps["thread"][0])]
    grouped = nest(spans).groupby("name")
    return pd.DataFrame({"calls": grouped.size(), "self_us": grouped["self_sec"].sum() * US})


def test_the_plugin_lists_the_model_and_all_its_views(ask: Callable[..., Any]) -> None:
    """One run, one worker, one span, and every view that a CPU trace with modules can have."""
    assert ask("/runs")["runs"] == ["tiny"]
    assert ask("/views", run="tiny") == ["Overview", "Operator", "Trace", "Memory", "Module"]
    assert ask("/workers", run="tiny", view="Operator") == ["tiny"]
    assert ask("/spans", run="tiny", worker="tiny") == ["1"]


def test_every_operator_has_the_calls_and_the_time_of_the_trace(ask: Callable[..., Any], trace: Trace) -> None:
    """No operator is missing, none is added by our ranges, and host self times agree to the plugin's rounding."""
    shown = {
        row["name"]: row for row in ask("/operation/table", **PLACE, view="Operator", group_by="Operation")["data"]
    }
    ours = _by_operator(trace)

    assert set(shown) == set(ours.index)
    assert ours["calls"]["aten::addmm"] == LINEARS_COUNT * STEPS_COUNT
    for name, calls, self_us in ours.itertuples():
        assert shown[name]["calls"] == calls, name
        assert shown[name]["host_self_duration"] == pytest.approx(self_us, abs=1), name


def test_the_pie_has_the_same_times_as_the_table(ask: Callable[..., Any], trace: Trace) -> None:
    """The other route to the same numbers."""
    rows = dict(ask("/operation", **PLACE, view="Operator", group_by="Operation")["host_self_time"]["rows"])
    ours = _by_operator(trace)["self_us"]

    assert rows == pytest.approx(ours[ours > 0].to_dict(), abs=1)


def test_steps_and_data_loading_have_the_time_of_the_marks(ask: Callable[..., Any], trace: Trace) -> None:
    """A step lasts as long as its mark, and the loader's share is that of its annotations."""
    overview = ask("/overview", **PLACE, view="Overview")
    whole = overview["performance"][0]
    shares = {row["name"]: row for row in whole["children"]}
    names = [column.get("name") for column in overview["steps"]["columns"]]
    loading_us = trace.spans.loc[trace.spans["name"] == LOADER, "duration_sec"].sum() * US / STEPS_COUNT
    step_us = trace.steps["duration_sec"] * US

    assert len(overview["steps"]["rows"]) == STEPS_COUNT
    for row, mark_us in zip(overview["steps"]["rows"], step_us, strict=True):
        costs = [value for name, value in zip(names, row, strict=True) if name in {"DataLoader", "CPU Exec", "Other"}]
        assert sum(costs) == pytest.approx(mark_us, abs=1)
    assert whole["value"] == pytest.approx(step_us.mean(), abs=1)
    assert loading_us > 0
    assert shares["DataLoader"]["value"] == pytest.approx(loading_us, abs=1)
    assert shares["DataLoader"]["extra"] == pytest.approx(100 * loading_us / step_us.mean(), abs=0.1)


def test_python_between_operators_is_no_execution(ask: Callable[..., Any], trace: Trace) -> None:
    """Our ranges cover a step and are not counted as work: what remains is what no operator ran in."""
    shares = {row["name"]: row for row in ask("/overview", **PLACE, view="Overview")["performance"][0]["children"]}
    is_work = (trace.spans["category"] == "cpu_op") | (trace.spans["name"] == LOADER)
    work = trace.spans[is_work & (trace.spans["thread"] == trace.steps["thread"][0])]
    starts_sec, ends_sec = work["start_sec"], work["start_sec"] + work["duration_sec"]
    other_us = US * sum(
        uncovered_sec(starts_sec, ends_sec, step.start_sec, step.start_sec + step.duration_sec)
        for step in trace.steps.itertuples()
    )
    busy_us = trace.steps["duration_sec"].sum() * US - other_us

    assert shares["Other"]["value"] == pytest.approx(other_us / STEPS_COUNT, abs=2)
    assert shares["CPU Exec"]["value"] + shares["DataLoader"]["value"] == pytest.approx(busy_us / STEPS_COUNT, abs=2)
    assert shares["Other"]["value"] > 0


def test_the_module_view_has_the_modules_of_the_model(ask: Callable[..., Any], trace: Trace) -> None:
    """Dotted names, nested as their calls were, each with the calls and the time of its ranges."""
    (root,) = ask("/module", **PLACE, view="Module")["data"]
    shown: dict[str, Any] = {}

    def walk(row: dict[str, Any]) -> None:
        shown[row["name"]] = row
        for child in row["children"]:
            walk(child)

    walk(root)
    ranges = trace.spans[trace.spans["name"].str.startswith("module:")].groupby("name")["duration_sec"]

    assert root["name"] == "model"
    assert {f"module:{name}" for name in shown} == set(ranges.groups)
    assert {row["name"] for row in shown["encoder.layer.0.output"]["children"]} >= {"encoder.layer.0.output.dense"}
    for name, row in shown.items():
        assert row["occurences"] == ranges.size()[f"module:{name}"], name
        assert row["host_duration"] == pytest.approx(ranges.sum()[f"module:{name}"] * US, abs=1), name


def test_the_memory_view_has_the_peak_of_the_trace(ask: Callable[..., Any], trace: Trace) -> None:
    """The curve's highest point is the largest total that the allocator reported."""
    curve = ask("/memory_curve", **PLACE, view="Memory", memory_metric="B")
    peak_bytes = trace.allocations["allocated_bytes"].max()

    assert peak_bytes > 0
    assert max(row[1] for row in curve["rows"]["CPU"]) == peak_bytes
    assert {row[0] for row in ask("/memory", **PLACE, view="Memory")["rows"]["CPU"]} >= {"aten::addmm"}


def test_the_timeline_and_the_tree_answer(ask: Callable[..., Any], source: Path) -> None:
    """The timeline gets every event of the original, and the tree the steps."""
    with gzip.open(source) as file:
        original = json.load(file)
    shown = ask("/trace", **PLACE, view="Trace")
    tree = ask("/tree", **PLACE, view="Trace")

    assert set(shown) == set(original)
    assert len(shown["traceEvents"]) == len(original["traceEvents"])
    assert sum(child["type"] == "ProfilerStep" for child in tree["children"]) == STEPS_COUNT


def _gpu_trace() -> dict[str, Any]:
    """
    One step in which a DataLoader works, mm launches a kernel and the answer is copied; times in µs.

    Made by hand after what torch 2 writes on CUDA: launches and what they launched share a correlation, an operator and
    its launches share an external id, and annotations appear again on the track of the stream.
    """

    def event(cat: str, name: str, ts: float, dur: float, *, tid: int = 1, pid: int = 1, **args: Any) -> dict[str, Any]:
        return {"ph": "X", "cat": cat, "name": name, "pid": pid, "tid": tid, "ts": ts, "dur": dur, "args": args}

    stream: dict[str, Any] = {"pid": 0, "tid": 7, "device": 0, "stream": 7}
    events = [
        event("user_annotation", "ProfilerStep#1", 0.0, 100.0, **{"External id": 1}),
        event("user_annotation", LOADER, 1.0, 20.0, **{"External id": 2}),
        event("cpu_op", "aten::mm", 30.0, 30.0, **{"External id": 3, "Input Dims": [[4, 4], [4, 4]]}),
        event("cuda_runtime", "cudaLaunchKernel", 40.0, 5.0, correlation=7, **{"External id": 3}),
        event("kernel", "gemm", 50.0, 25.0, correlation=7, **stream, **{"External id": 3}),
        event("cpu_op", "aten::copy_", 62.0, 25.0, **{"External id": 4}),
        event("cuda_driver", "cuMemcpyDtoHAsync", 76.0, 3.0, correlation=8, **{"External id": 4}),
        event("gpu_memcpy", "Memcpy DtoH", 80.0, 4.0, correlation=8, **stream, **{"External id": 4}),
        event("gpu_user_annotation", "ProfilerStep#1", 50.0, 34.0, **stream, **{"External id": 1}),
    ]
    return {"schemaVersion": 1, "deviceProperties": [{"id": 0, "name": "GPU", "numSms": 1}], "traceEvents": events}


def _gpu_numbers(folder: Path) -> dict[str, Any]:
    ask = _plugin_routes(folder)
    place = {"run": folder.name, "worker": "gpu", "span": "1"}
    table = ask("/operation/table", **place, view="Operator", group_by="Operation")["data"]
    overview = ask("/overview", **place, view="Overview")
    costs = {row["name"]: row["value"] for row in overview["performance"][0]["children"]}
    device_us = {row["name"]: row["device_self_duration"] for row in table}
    return {"steps": len(overview["steps"]["rows"]), "device": device_us, "Runtime": costs["Runtime"]} | {
        name: costs[name] for name in ("DataLoader", "Kernel", "Memcpy")
    }


def test_only_the_copy_of_a_gpu_trace_has_device_time_data_loading_and_one_step(tmp_path: Path) -> None:
    """The reason for the copy: in the original the plugin finds no device time, no loading, and the step twice."""
    source = tmp_path / "traces" / "gpu.17.pt.trace.json"
    source.parent.mkdir()
    source.write_text(json.dumps(_gpu_trace()))
    copy = write_compatible_trace(source, tmp_path / "log")
    original, found = _gpu_numbers(source.parent), _gpu_numbers(copy.parent)

    assert original["device"] == {"aten::mm": 0, "aten::copy_": 0}
    assert (original["steps"], original["DataLoader"], original["Runtime"]) == (2, 0, 0)
    assert found == {
        "steps": 1,
        "device": {"aten::mm": 25, "aten::copy_": 4},
        "DataLoader": 20,
        "Kernel": 25,
        "Memcpy": 4,
        "Runtime": 8,
    }


def test_the_copy_has_the_categories_of_the_plugin_and_the_original_stays(tmp_path: Path) -> None:
    """CUDA calls become Runtime, annotations become operators, and nothing else changes."""
    categories = ["cuda_runtime", "cuda_driver", "user_annotation", "gpu_user_annotation", "kernel", "cpu_op", None]
    events = [{"name": str(place), **({"cat": cat} if cat else {})} for place, cat in enumerate(categories)]
    source = tmp_path / "traces" / "int8.17.pt.trace.json"
    source.parent.mkdir()
    source.write_text(json.dumps({"schemaVersion": 1, "baseTimeNanoseconds": 5, "traceEvents": events}))
    before = source.read_bytes()
    copy = write_compatible_trace(source, tmp_path / "log")
    content = copy.read_bytes()
    found = json.loads(gzip.decompress(content))
    expected = ["Runtime", "Runtime", "cpu_op", "device_annotation", "kernel", "cpu_op", None]

    assert copy == tmp_path / "log" / "int8" / "int8.17.pt.trace.json.gz"
    assert [event.get("cat") for event in found["traceEvents"]] == expected
    assert "cat" not in found["traceEvents"][-1]
    assert (found["schemaVersion"], found["baseTimeNanoseconds"]) == (1, 5)
    assert source.read_bytes() == before
    assert write_compatible_trace(source, tmp_path / "log").read_bytes() == content


def test_calls_of_modules_nest_on_their_own_thread(tmp_path: Path) -> None:
    """A call that starts when another ends is its sibling, another thread has parents of its own, and torch's stay."""

    def call(name: str, ts: float, dur: float, tid: int = 1) -> dict[str, Any]:
        return {"ph": "X", "cat": "user_annotation", "name": name, "pid": 1, "tid": tid, "ts": ts, "dur": dur}

    events = [
        *(call("module:b", 2.0, 1.0), call("module:a", 0.0, 5.0), call("module:b", 3.0, 2.0), call("call", 0.0, 9.0)),
        *(call("module:c", 1.0, 1.0, tid=2), {"ph": "X", "cat": "user_annotation", "name": "module:torn"}),
    ]
    source = tmp_path / "traces" / "m.17.pt.trace.json"
    source.parent.mkdir()
    source.write_text(json.dumps({"traceEvents": events}))
    with gzip.open(write_compatible_trace(source, tmp_path / "log")) as file:
        first, outer, second, whole, other, torn = json.load(file)["traceEvents"]

    assert [one["name"] for one in (first, outer, second)] == ["nn.Module: b", "nn.Module: a", "nn.Module: b"]
    assert {one["args"]["Python parent id"] for one in (first, second)} == {outer["args"]["Python id"]}
    assert (outer["args"]["Python parent id"], other["args"]["Python parent id"]) == (None, None)
    assert len({one["args"]["Python id"] for one in (first, outer, second, other)}) == 4
    assert first["args"]["Python module id"] == second["args"]["Python module id"] != outer["args"]["Python module id"]
    assert whole == call("call", 0.0, 9.0)
    assert torn["cat"] == "cpu_op"


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
