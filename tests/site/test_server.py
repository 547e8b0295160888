"""The server of the site."""

import threading
import urllib.request

import pytest

from sandbox import InputError
from sandbox.site.server import server


def test_a_port_that_is_taken_is_refused():
    with server({}) as first, pytest.raises(InputError, match="--port"):
        server({}, first.server_address[1])


def test_a_file_is_served_with_its_type_whatever_the_query():
    with server({"js/a b.js": b"1"}) as serving:
        threading.Thread(target=serving.serve_forever, daemon=True).start()
        with urllib.request.urlopen(f"http://127.0.0.1:{serving.server_port}/js/a%20b.js?x=1", timeout=20) as answer:
            assert (answer.read(), answer.headers["Content-Type"]) == (b"1", "text/javascript; charset=utf-8")
        serving.shutdown()
