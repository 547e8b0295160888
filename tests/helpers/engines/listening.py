"""For WebKit, whose driver hears nothing: a listener at the top of each page, and a proxy that hears each request."""

from __future__ import annotations

import re
import threading
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

LISTENER = """{
  const heard = (globalThis.heardByTests = []);
  for (const kind of ["warn", "error"]) {
    const say = console[kind];
    console[kind] = (...words) => { heard.push(`${kind}: ${words.join(" ")}`); say.apply(console, words); };
  }
  addEventListener("error", ({ message, target }) => {
    if (message?.startsWith("ResizeObserver loop")) return; // it says no more than that the rest waits for a frame
    heard.push(message ? `uncaught: ${message}` : `error: not loaded: ${target.src ?? target.href}`);
  }, true);
  addEventListener("unhandledrejection", ({ reason }) => heard.push(`uncaught: ${reason}`));
  document.addEventListener("securitypolicyviolation", (event) =>
    heard.push(`error: refused by the page's policy: ${event.violatedDirective} ${event.blockedURI}`));
}"""


def listened(page: bytes) -> bytes:
    """A page with the listener as its first script."""
    script = b"<script>" + LISTENER.encode() + b"</script>"
    for start in (rb"<head[^>]*>", rb"<!doctype[^>]*>", b""):
        if found := re.search(start, page, re.IGNORECASE):
            break
    assert found  # nothing is found at the very start
    return page[: found.end()] + script + page[found.end() :]


class Proxy:
    """A proxy that lets a browser speak only to this machine, and notes what it asks for."""

    def __init__(self) -> None:
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self.port = self._server.server_port
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05})
        self._thread.start()

    def heard(self) -> list[str]:
        """The requests since the last call, and the answers that were errors."""
        heard, self._server.heard = self._server.heard, []
        return heard

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128
    heard: list[str]

    def __init__(self, *of: object) -> None:
        super().__init__(*of)  # pyright: ignore[reportArgumentType]
        self.heard = []

    def handle_error(self, *_: object) -> None:
        """A browser that hangs up is no failure of the test."""


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        pass

    def do_CONNECT(self) -> None:
        self.server.heard.append(f"to https://{self.path}")
        self.send_error(403)

    def do_GET(self) -> None:
        self.server.heard.append(f"to {self.path}")
        where = urlsplit(self.path)
        if where.hostname not in ("127.0.0.1", "localhost"):
            return self.send_error(403)
        connection = HTTPConnection(where.hostname, where.port or 80, timeout=60)
        headers = {name: value for name, value in self.headers.items() if name.lower() not in DROPPED}
        connection.request(self.command, where._replace(scheme="", netloc="").geturl(), headers=headers)
        answer = connection.getresponse()
        body = answer.read()
        if answer.status >= 400:
            self.server.heard.append(f"error: {answer.status} from {self.path}")
        if answer.getheader("Content-Type", "").startswith("text/html"):
            body = listened(body)
        self.send_response(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in ("content-length", "transfer-encoding", "connection", "date", "server"):
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)
        connection.close()
        return None

    do_HEAD = do_GET


DROPPED = ("accept-encoding", "connection", "proxy-connection", "if-modified-since", "if-none-match")
"""Headers not passed on: compressed or cached pages could not be listened to."""
