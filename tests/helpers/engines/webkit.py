"""WebKit: MiniBrowser of WebKitGTK on a screen in memory, driven by WebKitWebDriver.

WebDriver hears nothing, and MiniBrowser keeps silent about a driven page. So a small script at the top of each page
listens to its console, and a proxy to its requests. The driver has no touchscreen: a finger is made of events.
"""

from __future__ import annotations

import base64
import json
import os
import shutil
import socket
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import unquote, urldefrag, urlsplit
from urllib.request import Request, urlopen

from tests.helpers.engines.actions import Driven
from tests.helpers.engines.engine import PATIENCE, Point
from tests.helpers.engines.listening import Proxy, listened

TOUCH = """async (points) => {
  const frame = () => new Promise(requestAnimationFrame);
  const target = document.elementFromPoint(...points[0]);
  const make = (type, [clientX, clientY]) => target.dispatchEvent(new PointerEvent(type, { clientX, clientY,
    pointerType: "touch", pointerId: 1, isPrimary: true, bubbles: true, cancelable: true, composed: true }));
  make("pointerdown", points[0]);
  for (const point of points.slice(1)) { await frame(); make("pointermove", point); }
  make("pointerup", points.at(-1));
}"""
ELEMENT = "element-6066-11e4-a52e-4f735466cecf"  # the W3C's key of a reference to an element


class WebKit(Driven):
    name = "webkit"
    touches = False

    @classmethod
    def missing(cls) -> str:
        lacks = [program for program in ("WebKitWebDriver", "Xvfb") if not shutil.which(program)]
        lacks += [] if _minibrowser() else ["MiniBrowser"]
        return f"{', '.join(lacks)} missing: install Debian's webkit2gtk-driver and xvfb" if lacks else ""

    def start(self) -> None:
        home = self.folder / "home"
        (home / ".config").mkdir(parents=True)
        (home / ".config/user-dirs.dirs").write_text(f'XDG_DOWNLOAD_DIR="{self.downloads}"\n')
        display = self._screen()
        own = {"HOME": str(home), "XDG_CONFIG_HOME": str(home / ".config"), "DISPLAY": display, "GDK_BACKEND": "x11"}
        self._proxy = Proxy()
        port = _free_port()
        with (self.folder / "webkit.log").open("wb") as log:
            self.launch(
                "WebKitWebDriver",
                f"--port={port}",
                env=os.environ | own,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        self._driver = f"http://127.0.0.1:{port}"
        self.until(self._ready, "WebKitWebDriver does not answer")
        proxy = f"127.0.0.1:{self._proxy.port}"
        wanted = {
            "browserName": "MiniBrowser",
            "proxy": {"proxyType": "manual", "httpProxy": proxy, "sslProxy": proxy},
            "timeouts": {"script": int(1000 * PATIENCE), "pageLoad": int(1000 * PATIENCE)},
            "webkitgtk:browserOptions": {"binary": _minibrowser(), "args": ["--automation"]},
        }
        session = self.send("POST", "/session", {"capabilities": {"alwaysMatch": wanted}})
        self._session = f"/session/{session['sessionId']}"
        self.version = f"WebKitGTK {session['capabilities']['browserVersion']}"
        self.resize(1280, 1000)

    def _screen(self) -> str:
        """Start a screen in memory; its name, such as ":99"."""
        read, write = os.pipe()
        size = "1920x2400x24"
        self.launch("Xvfb", "-displayfd", str(write), "-screen", "0", size, "-nolisten", "tcp", pass_fds=[write])
        os.close(write)
        with os.fdopen(read) as pipe:
            return f":{pipe.readline().strip()}"

    def _ready(self) -> bool:
        try:
            return self.send("GET", "/status")["ready"]
        except (URLError, ConnectionError):
            return False

    def send(self, method: str, path: str, body: Any = None) -> Any:
        """The driver's answer to a command."""
        data = None if body is None else json.dumps(body).encode()
        request = Request(self._driver + path, data, {"Content-Type": "application/json"}, method=method)
        try:
            with urlopen(request, timeout=2 * PATIENCE) as answer:
                return json.load(answer)["value"]
        except HTTPError as error:
            raise AssertionError(f"{method} {path}: {error.read().decode()}") from None

    def heard(self) -> list[str]:
        said = self.evaluate("() => (globalThis.heardByTests ?? []).splice(0)")
        return said + self._proxy.heard()

    def open(self, url: str) -> None:
        if url.startswith("file:"):
            url = _beside(url)
        self.resize(*self._size)  # MiniBrowser's list of downloads takes room
        self._leave("url", {"url": "about:blank"})  # another hash alone would not load the page
        self._leave("url", {"url": url})

    def reload(self) -> None:
        self._leave("refresh", {})

    def _leave(self, how: str, body: dict[str, str]) -> None:
        """Go to another page. Its scripts must have run, which the driver alone does not wait for."""
        self.evaluate("() => { globalThis.leftByTests = true; }")
        self.send("POST", f"{self._session}/{how}", body)
        loaded = """() => !globalThis.leftByTests && document.readyState === "complete" """
        self.until(lambda: self.evaluate(loaded), "the page does not load")

    def resize(self, width: int, height: int) -> None:
        self._size = (width, height)
        size = {"width": width, "height": height}
        for _ in range(2):  # first as the window's size, then with what its frame has taken
            self.send("POST", f"{self._session}/window/rect", size)
            lacks = self.evaluate("(w, h) => [w - innerWidth, h - innerHeight]", width, height)
            size = {"width": width + lacks[0], "height": height + lacks[1]}

    def cut_off(self, cut: bool = True) -> None:
        """Its proxy refuses every other machine as it is."""

    def evaluate(self, function: str, *values: Any) -> Any:
        script = f"""const done = arguments[arguments.length - 1];
          (async () => JSON.stringify(await ({function})(...JSON.parse(arguments[0]))) ?? "null")()
            .then((text) => done([text]), (error) => done([null, String(error)]));"""
        body = {"script": script, "args": [json.dumps(values)]}
        text, *error = self.send("POST", f"{self._session}/execute/async", body)
        assert not error, error
        return json.loads(text)

    def perform(self, actions: list[dict[str, Any]]) -> None:
        self.send("POST", f"{self._session}/actions", {"actions": actions})

    def touch(self, points: Sequence[Point]) -> None:
        self.evaluate(TOUCH, points)

    def choose(self, selector: str, file: Path) -> None:
        body = {"using": "css selector", "value": selector}
        element = self.send("POST", f"{self._session}/element", body)[ELEMENT]
        self.send("POST", f"{self._session}/element/{element}/value", {"text": str(file)})

    def screenshot(self) -> bytes:
        return base64.b64decode(self.send("GET", f"{self._session}/screenshot"))

    def close(self) -> None:
        if proxy := getattr(self, "_proxy", None):
            proxy.close()
        super().close()


def _minibrowser() -> str:
    found = sorted(Path("/usr/lib").glob("*/webkit*gtk-*/MiniBrowser"))
    return str(found[-1]) if found else ""


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def _beside(url: str) -> str:
    """A file's copy that listens to itself, in the same folder so that its neighbours are found."""
    address, fragment = urldefrag(url)
    file = Path(unquote(urlsplit(address).path))
    copy = file.with_name(f"{file.stem}.listening.html")
    copy.write_bytes(listened(file.read_bytes()))
    return f"{copy.as_uri()}#{fragment}" if fragment else copy.as_uri()
