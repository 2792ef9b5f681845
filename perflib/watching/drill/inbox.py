"""A real HTTP server on this machine that receives what the watch sends, and keeps it to be read."""

import dataclasses
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

HOST = "127.0.0.1"
_MOST_BYTES = 1_000_000


@dataclasses.dataclass(frozen=True)
class Letter:
    """One message as it arrived."""

    title: str
    text: str


class Inbox:
    """Receives posts as apprise's ``json://`` sends them, for as long as the context lasts."""

    def __init__(self) -> None:
        self._letters: list[Letter] = []
        inbox = self

        class _Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                length = min(int(self.headers.get("Content-Length") or 0), _MOST_BYTES)
                posted = json.loads(self.rfile.read(length))
                inbox._letters.append(Letter(str(posted.get("title", "")), str(posted.get("message", ""))))
                self.send_response(200)
                self.end_headers()

            def log_message(self, *words: Any) -> None:
                """Say nothing: what arrives is shown by the drill."""

        self._server = ThreadingHTTPServer((HOST, 0), _Handler)

    def __enter__(self) -> "Inbox":
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *error: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    @property
    def url(self) -> str:
        """The address that apprise sends to."""
        return f"json://{HOST}:{self._server.server_address[1]}/"

    def take(self) -> list[Letter]:
        """Return what has arrived since the last time."""
        taken, self._letters[:] = list(self._letters), []
        return taken
