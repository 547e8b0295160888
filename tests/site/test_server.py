"""The server of the site."""

import http.client
import os
import socket
import subprocess
import sys
import threading
import urllib.request

import pytest

from sandbox import InputError
from sandbox.site.server import server


def test_a_port_that_is_taken_is_refused():
    with server({}) as first, pytest.raises(InputError, match="--port"):
        server({}, first.server_address[1])


def test_a_head_has_no_body_and_a_broken_request_no_traceback(capfd):
    with server({"a.html": b"12"}) as serving:
        threading.Thread(target=serving.serve_forever, daemon=True).start()
        asked = http.client.HTTPConnection("localhost", serving.server_port, timeout=20)
        asked.request("HEAD", "/a.html")
        answer = asked.getresponse()
        assert (answer.status, answer.read(), answer.headers["Content-Length"]) == (200, b"", "2")
        asked.close()
        for line in (b"GET http://[ HTTP/1.1", b"GET /%ff%00 HTTP/1.0", b"\xff\xfe"):
            with socket.create_connection(("127.0.0.1", serving.server_port), timeout=20) as raw:
                raw.sendall(line + b"\r\nConnection: close\r\n\r\n")
                assert b"40" in raw.recv(4096)
        serving.shutdown()
    assert capfd.readouterr().err == ""


def test_a_browser_that_returns_only_when_it_is_closed_still_gets_its_page(tmp_path):
    """As those in a terminal do: the server must answer meanwhile."""
    reads = tmp_path / "browser.py"
    reads.write_text("import sys, urllib.request as of\nprint(of.urlopen(sys.argv[1], timeout=20).status, flush=True)")
    chosen = os.environ | {"BROWSER": f"{sys.executable} {reads} %s"}
    command = [sys.executable, "-m", "sandbox", "explore"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=chosen) as running:
        assert running.stdout is not None
        try:
            assert "explorer.html" in running.stdout.readline()
            assert running.stdout.readline() == "200\n"
        finally:
            running.terminate()


def test_a_file_is_served_with_its_type_whatever_the_query():
    with server({"js/a b.js": b"1"}) as serving:
        threading.Thread(target=serving.serve_forever, daemon=True).start()
        with urllib.request.urlopen(f"http://127.0.0.1:{serving.server_port}/js/a%20b.js?x=1", timeout=20) as answer:
            assert (answer.read(), answer.headers["Content-Type"]) == (b"1", "text/javascript; charset=utf-8")
        serving.shutdown()
