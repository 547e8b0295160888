"""A web server of files for tests: with ranges or without, forbidden, or dying after a number of requests."""

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit


class Server(ThreadingHTTPServer):
    """Attributes: folder: of the files; ranges: whether requests for them are honoured; status: of every answer, if
    set; lives: answers with content until it dies, or None; asked: the range of each GET
    """

    daemon_threads = True

    def __init__(self, folder: Path) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.folder, self.ranges, self.status, self.lives, self.asked = folder, True, None, None, []
        self.fail_next = 0
        self.lock = threading.Lock()

    def handle_error(self, *_: object) -> None:
        """A client that hangs up is no failure of the test, and must not print into what it captures."""

    def url(self, path: str, user: str = "") -> str:
        return f"http://{user}127.0.0.1:{self.server_port}/{path}"


class Handler(BaseHTTPRequestHandler):
    server: Server
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        pass

    def do_HEAD(self) -> None:
        self.answer(False)

    def do_GET(self) -> None:
        self.answer(True)

    def answer(self, content: bool) -> None:
        server, path = self.server, self.server.folder / urlsplit(self.path).path.lstrip("/")
        if content:
            with server.lock:
                server.asked.append(self.headers.get("Range"))
                if server.lives is not None:
                    server.lives -= 1
                    if server.lives < 0:
                        self.close_connection = True
                        return None
                if server.fail_next:
                    server.fail_next -= 1
                    return self.empty(503)
        if server.status is not None:
            return self.empty(server.status)
        if path.is_dir():
            links = "".join(f'<a href="{file.name}">{file.name}</a>' for file in path.iterdir()).encode()
            return self.send(links, 200, content, {"Content-Type": "text/html"})
        if not path.is_file():
            return self.empty(404)
        size, tag = path.stat().st_size, {"ETag": f'"{path.stat().st_mtime_ns}"'}
        wanted = re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("Range", "")) if server.ranges else None
        first, last = (int(wanted[1]), min(int(wanted[2]), size - 1)) if wanted else (0, size - 1)
        if not content:
            return self.send(b"", 200, False, tag | {"Content-Length": str(size)})
        with path.open("rb") as file:
            file.seek(first)
            body = file.read(last - first + 1)
        more = {"Content-Range": f"bytes {first}-{last}/{size}"} if wanted else {}
        return self.send(body, 206 if wanted else 200, True, tag | more)

    def empty(self, status: int) -> None:
        self.send(b"", status, True, {})

    def send(self, body: bytes, status: int, content: bool, headers: dict[str, str]) -> None:
        self.send_response(status)
        for key, value in ({"Content-Length": str(len(body))} | headers).items():
            self.send_header(key, value)
        self.end_headers()
        if content:
            self.wfile.write(body)


@contextmanager
def serving(folder: Path) -> Iterator[Server]:
    server = Server(folder)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
