"""What names, settings and documents hold is shown and never obeyed; foreign letters are drawn without a warning."""

from __future__ import annotations

import http.client
import io
import json
import socket
import threading
import warnings

import pytest
from rich.table import Table

from sandbox.cli import program
from sandbox.errors import InputError
from sandbox.explorer import page
from sandbox.site.server import server
from sandbox.system.terminal import Screen
from sandbox.system.text import LONGEST, one_line, shown, visible

HOSTILE = "\x1b]0;owned\x07\x1b[31mred\x9b2J\r\x08\u202etxt\ud800"
SEEN = r"\x1b]0;owned\x07\x1b[31mred\x9b2J\r\x08\u202etxt\ud800"

LINE = SEEN.replace(r"\r", " ")


def acts(text: str) -> bool:
    return any(not (one.isprintable() or one == "\n") for one in text)


def test_every_character_that_acts_is_written_out():
    assert visible(HOSTILE) == SEEN
    assert visible("x̂ ≥ γ\t漢字\n‖x‖ 🙂") == "x̂ ≥ γ\t漢字\n‖x‖ 🙂"
    everything = "".join(map(chr, range(0x3000)))
    assert not acts(visible(everything).replace("\t", "").replace("\xa0", "").translate(SPACES))


SPACES = {ord(one): None for one in "\xad\u0600\u0601\u0602\u0603\u0604\u0605\u06dd\u070f\u0890\u0891\u08e2\u180e"} | {
    code: None for code in range(0x3000) if not chr(code).isprintable() and code > 0xA0 and chr(code) not in "\u202e"
}
"""Spaces, soft hyphens and letters that Unicode has not given away: they move nothing."""


def test_an_error_is_one_line_whatever_it_quotes():
    error = InputError(f"a.json: {HOSTILE}\n\n  is not known " + "x" * 5000 + "; do this")
    assert str(error).startswith(f"a.json: {LINE} is not known xxx")
    assert str(error).endswith("; do this")
    assert len(str(error)) <= LONGEST + 3
    assert not acts(str(error))


def test_values_are_shown_short():
    assert shown(10**5000) == "int with too many digits"
    assert len(shown({"a": ["x" * 1000]})) <= 80
    assert shown(0.5) == "0.5"
    assert one_line(" a\n b ") == "a b"


@pytest.mark.parametrize("terminal", [True, False])
def test_no_console_obeys_what_it_shows(terminal):
    text = io.StringIO()
    screen = Screen(file=text, width=200, force_terminal=terminal, color_system="truecolor" if terminal else None)
    table = Table(title=HOSTILE.replace("[", "\\["), caption=HOSTILE.replace("[", "\\["))
    table.add_column("[bold]header[/]")
    table.add_row(HOSTILE.replace("[", "\\["))
    screen.print(table)
    screen.print(HOSTILE, markup=False)
    shown = text.getvalue()
    assert "owned" in shown
    assert "\x1b]" not in shown
    assert "\x9b" not in shown
    assert "\u202e" not in shown
    assert "\x1b[31m" not in shown
    assert ("\x1b[1m" in shown) == terminal  # its own styles stay


def test_what_is_said_is_safe(capsys):
    program.say(f"warning: {HOSTILE}")
    assert capsys.readouterr().err == f"sandbox: warning: {LINE}\n"


def test_letters_that_the_font_lacks_are_drawn_without_a_warning(tmp_path):
    from sandbox import plots

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for ending in ("png", "svg", "pdf"):
            with plots.figure(3, 2) as (made, (ax,)):
                ax.set_title("漢字 한글 ᚠ \x07")
                ax.plot([0, 1], label="漢字")
                ax.legend()
                plots.save(made, tmp_path / f"o.{ending}")
            assert (tmp_path / f"o.{ending}").stat().st_size > 1000


def test_a_page_holds_names_that_are_no_text(tmp_path):
    from sandbox.system.files import write_text

    write_text(tmp_path / "o.html", page.html([{"name": "a\ud800", "cosine": 0.5, "norm_ratio": 1.0}]))
    held = (tmp_path / "o.html").read_text(encoding="utf-8")
    assert json.loads('"a\\ud800"') == "a\ud800"
    assert "a\\ud800" in held


@pytest.fixture
def port():
    with server({"index.html": b"<p>here</p>"}) as serving:
        threading.Thread(target=serving.serve_forever, daemon=True).start()
        yield serving.server_address[1]
        serving.shutdown()


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1:{port}", 200),
        ("localhost:{port}", 200),
        ("LOCALHOST", 200),
        ("localhost:8080", 200),  # forwarded from another machine's port
        ("[::1]:{port}", 200),
        ("evil.example", 421),
        ("evil.example:{port}", 421),
        ("127.0.0.1.evil.example", 421),
        ("localhost.evil.example:{port}", 421),
        ("127.0.0.1@evil.example", 421),
        ("", 421),
    ],
)
def test_a_page_from_elsewhere_does_not_get_at_the_explorer(host, status, port):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    connection.putrequest("GET", "/", skip_host=True)
    connection.putheader("Host", host.format(port=port))
    connection.endheaders()
    answer = connection.getresponse()
    assert answer.status == status
    assert (answer.read() == b"<p>here</p>") == (status == 200)
    connection.close()


def test_a_browser_that_goes_away_leaves_no_traceback(port, capfd):
    for _ in range(3):
        gone = socket.create_connection(("127.0.0.1", port))
        gone.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        gone.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        gone.close()
    connection = http.client.HTTPConnection("localhost", port, timeout=20)
    connection.request("GET", "/")
    assert connection.getresponse().status == 200
    connection.close()
    assert "Traceback" not in capfd.readouterr().err
