"""A server of the site, for this machine only."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote

from sandbox.errors import InputError

HOST = "127.0.0.1"
OWN_NAMES = (HOST, "localhost", "[::1]")
"""The Host headers that are accepted: a foreign name that was made to resolve to this machine is refused."""

TYPES = {
    "html": "text/html; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "json": "application/json",
    "wasm": "application/wasm",
}


def server(files: Mapping[str, bytes], port: int = 0) -> ThreadingHTTPServer:
    """A server of files in memory on the loopback address; port 0 picks a free one. `serve_forever()` starts it.

    Args:   files: path ► content
    Raises: InputError if the port is taken
    """
    try:
        return _Server((HOST, port), partial(_Files, files))
    except (OSError, OverflowError) as error:
        raise InputError(f"cannot listen on port {port} ({error}): choose another with --port") from error


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128
    """Connections that may wait to be accepted: a browser opens more at once than the 5 of Python's default."""

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Stay silent when a browser disconnects in the middle of a request."""
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)


class _Files(BaseHTTPRequestHandler):
    def __init__(self, files: Mapping[str, bytes], *args, **options):
        self.files = files
        super().__init__(*args, **options)

    def do_GET(self) -> None:
        host = re.sub(r":\d*$", "", self.headers.get("Host", HOST).strip().lower())
        if host not in OWN_NAMES:  # any port will do: it may be forwarded
            self.send_error(421, "This site is served to this machine only")
            return
        name = unquote(re.sub(r"[?#].*", "", self.path)).removeprefix("/") or "index.html"
        content = self.files.get(name)
        if content is None:
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("Content-Type", TYPES.get(name.rpartition(".")[2], "application/octet-stream"))
        self.send_header("Content-Length", str(len(content)))
        self.send_header("Cache-Control", "no-cache")  # the next one to listen on this port may serve other files
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    do_HEAD = do_GET

    def log_message(self, format: str, *args: Any) -> None:
        """Stay silent: the terminal belongs to whoever started the server."""
