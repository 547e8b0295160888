"""The explorer as one HTML file that needs neither Python nor a network, and a server for it."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Sequence
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from sandbox.errors import InputError
from sandbox.explorer.module import FOLDER, module, style
from sandbox.explorer.presets import measured_saes

HOST = "127.0.0.1"
OWN_NAMES = (HOST, "localhost", "[::1]")
"""The Host headers that are accepted: a foreign name that was made to resolve to this machine is refused."""


def html(saes: Sequence[dict[str, Any]] | None = None) -> str:
    """The page, with script, style and data inline; it keeps its state in its address, after the #.

    Args: saes: named points for the map, each with `name`, `cosine` and `norm_ratio`; the embedded pair by default
    """
    saes = measured_saes() if saes is None else saes
    parts = {
        "STYLE": style(),
        "MODULE": module(),
        "SAES": json.dumps(list(saes), ensure_ascii=False).replace("<", "\\u003c"),  # a name cannot end the script
        "PAGE": (FOLDER / "page.js").read_text(encoding="utf-8"),
    }
    text = (FOLDER / "page.html").read_text(encoding="utf-8")
    return re.sub(r"/\*([A-Z]+)\*/", lambda mark: parts[mark[1]].replace("</", "<\\/"), text)


def server(text: str, port: int = 0) -> ThreadingHTTPServer:
    """A server of this one page on the loopback address; port 0 picks a free one. `serve_forever()` starts it.

    Raises: InputError if the port is taken
    """
    try:
        return _Server((HOST, port), partial(_OnePage, text.encode()))
    except (OSError, OverflowError) as error:
        raise InputError(f"cannot listen on port {port} ({error}): choose another with --port") from error


class _Server(ThreadingHTTPServer):
    def handle_error(self, request: Any, client_address: Any) -> None:
        """Stay silent when a browser disconnects in the middle of a request."""
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)


class _OnePage(BaseHTTPRequestHandler):
    def __init__(self, page: bytes, *args, **options):
        self.page = page
        super().__init__(*args, **options)

    def do_GET(self) -> None:
        host = re.sub(r":\d*$", "", self.headers.get("Host", HOST).strip().lower())
        if host not in OWN_NAMES:  # any port will do: it may be forwarded
            self.send_error(421, "This page is served to this machine only")
            return
        if self.path not in ("/", "/index.html"):
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(self.page)))
        self.end_headers()
        self.wfile.write(self.page)

    def log_message(self, format: str, *args: Any) -> None:
        """Stay silent: the terminal belongs to whoever started the server."""
