"""
A place where Prometheus can scrape the metrics file: this machine's loopback address, and one path.

    serve_metrics(Path("outputs/metrics.txt"), PORT)    # until Ctrl-C; http://127.0.0.1:6008/metrics

The file is read anew at each scrape, so whoever writes it need not know that it is served.
"""

import errno
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from perflib.errors import ParameterError, SetupError
from perflib.regression.metrics.export import CONTENT_TYPE

HOST = "127.0.0.1"
# Beside those of the viewers.
PORT = 6008
METRICS_PATH = "/metrics"
# A page elsewhere may give its own name our address; then the browser sends that name.
_OUR_NAMES = frozenset({HOST, "localhost"})


def serve_metrics(path: Path, port: int = PORT) -> None:
    """Serve a metrics file until Ctrl-C; errors as `MetricsServer`."""
    with MetricsServer(path, port) as server:
        print(f"metrics: {server.url} (Ctrl-C ends it)", flush=True)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            pass  # that is how one leaves


class MetricsServer(ThreadingHTTPServer):
    """
    One metrics file on the loopback address; ``url`` is what to scrape.

    Args:
        path: The file; it may be written later.
        port: 0 for any free one.

    Raises:
        ParameterError: If there is no such port.
        SetupError: If the port is taken.
    """

    def __init__(self, path: Path, port: int) -> None:
        if not 0 <= port < 2**16:
            raise ParameterError(f"port {port} does not exist; choose one from 1024 to 65535 with PORT=….")
        self.path = path
        try:
            super().__init__((HOST, port), _MetricsHandler)
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                reason = "is taken by another program"
            else:
                reason = f"cannot be opened ({error.strerror})"
            raise SetupError(f"port {port} {reason}; choose another with PORT=….") from error

    @property
    def url(self) -> str:
        """The address of the metrics."""
        return f"http://{HOST}:{self.server_port}{METRICS_PATH}"


class _MetricsHandler(BaseHTTPRequestHandler):
    # Whoever connects and says nothing shall not keep a thread for ever.
    timeout = 10

    def do_GET(self) -> None:
        assert isinstance(self.server, MetricsServer)
        name, _, port = self.headers.get("Host", "").partition(":")
        if name.lower() not in _OUR_NAMES or not (port.isdigit() or not port):
            self._say(403, "this server answers to this machine only.")
        elif self.path.partition("?")[0] != METRICS_PATH:
            self._say(404, f"there is nothing here; the metrics are at {METRICS_PATH}.")
        else:
            try:
                content = self.server.path.read_bytes()
            except OSError as error:
                self._say(
                    503, f"{self.server.path} cannot be read ({error.strerror}); run `perflib metrics` to write it."
                )
            else:
                self._reply(200, CONTENT_TYPE, content)

    def _say(self, status: int, sentence: str) -> None:
        self._reply(status, "text/plain; charset=utf-8", f"{sentence}\n".encode())

    def _reply(self, status: int, kind: str, content: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("Cache-Control", "no-store")
        self.send_header("X-Content-Type-Options", "nosniff")
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the name is the parent's
        pass  # a line for every scrape helps nobody
