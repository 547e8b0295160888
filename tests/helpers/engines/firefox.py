"""Firefox, driven over WebDriver BiDi: JSON over a websocket, without geckodriver."""

from __future__ import annotations

import base64
import itertools
import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

from tests.helpers.engines.actions import Driven
from tests.helpers.engines.engine import PATIENCE

HEARD = ["log.entryAdded", "network.beforeRequestSent", "network.responseCompleted"]


class Firefox(Driven):
    name = "firefox"

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._heard: list[str] = []
        self._count = itertools.count(1)

    @classmethod
    def missing(cls) -> str:
        return "" if _program() else "Firefox is missing: install Debian's firefox-esr"

    def start(self) -> None:
        from websocket import create_connection

        profile = self.folder / "profile"
        profile.mkdir()
        preferences = {
            "browser.download.folderList": 2,
            "browser.download.dir": str(self.downloads),
            "browser.download.useDownloadDir": True,
            "browser.download.always_ask_before_handling_new_types": False,
            "dom.w3c_touch_events.enabled": 1,  # as on a machine with a touchscreen
            "layout.css.prefers-color-scheme.content-override": 1,  # light
            "widget.gtk.overlay-scrollbars.enabled": True,
        }
        (profile / "user.js").write_text(
            "".join(f"user_pref({json.dumps(name)}, {json.dumps(value)});\n" for name, value in preferences.items())
        )
        with (self.folder / "firefox.log").open("wb") as log:
            self.launch(
                _program(),
                "--headless",
                "--no-remote",
                "--profile",
                str(profile),
                "--remote-debugging-port",
                "0",
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        file = profile / "WebDriverBiDiServer.json"
        server = self.until(lambda: _json(file), f"Firefox opened no port; it said {self.folder / 'firefox.log'}")
        self._socket = create_connection(
            f"ws://{server['ws_host']}:{server['ws_port']}/session", timeout=PATIENCE, suppress_origin=True
        )
        about = self.send("session.new", capabilities={})["capabilities"]
        self.version = f"Firefox {about['browserVersion']}"
        self.send("session.subscribe", events=HEARD)
        self._context = self.send("browsingContext.getTree")["contexts"][0]["context"]
        self.resize(1280, 1000)

    def send(self, method: str, **params: Any) -> Any:
        """The answer to a command; events that arrive meanwhile are heard."""
        number = next(self._count)
        self._socket.send(json.dumps({"id": number, "method": method, "params": params}))
        while True:
            message = json.loads(self._socket.recv())
            if message["type"] == "event":
                self._hear(message["method"], message["params"])
            elif message["id"] == number:
                assert message["type"] == "success", f"{method}: {message['error']}: {message['message']}"
                return message["result"]

    def _hear(self, event: str, params: dict[str, Any]) -> None:
        if event == "log.entryAdded" and params["level"] in ("warn", "error"):
            if params["text"].startswith("Failed to load ‘’. A ServiceWorker"):
                return  # of a page that has been left while it loaded
            kind = "uncaught" if params["type"] == "javascript" else params["level"]
            self._heard.append(f"{kind}: {params['text']}")
        elif event == "network.beforeRequestSent" and params["request"]["url"].startswith("http"):
            self._heard.append(f"to {params['request']['url']}")
        elif event == "network.responseCompleted" and params["response"]["status"] >= 400:
            self._heard.append(f"error: {params['response']['status']} from {params['request']['url']}")

    def heard(self) -> list[str]:
        self.send("session.status")  # events are sent before the answer to a later command
        heard, self._heard = self._heard, []
        return heard

    def open(self, url: str) -> None:
        for to in ("about:blank", url):  # another hash alone would not load the page
            self.send("browsingContext.navigate", context=self._context, url=to, wait="complete")

    def reload(self) -> None:
        self.send("browsingContext.reload", context=self._context, wait="complete")

    def resize(self, width: int, height: int) -> None:
        size = {"width": width, "height": height}
        self.send("browsingContext.setViewport", context=self._context, viewport=size)

    def cut_off(self, cut: bool = True) -> None:
        conditions = {"type": "offline"} if cut else None
        self.send("emulation.setNetworkConditions", contexts=[self._context], networkConditions=conditions)

    def evaluate(self, function: str, *values: Any) -> Any:
        answer = self.send(
            "script.callFunction",
            functionDeclaration=f"async (v) => JSON.stringify(await ({function})(...JSON.parse(v))) ?? 'null'",
            arguments=[{"type": "string", "value": json.dumps(values)}],
            target={"context": self._context},
            awaitPromise=True,
            userActivation=False,
        )
        assert answer["type"] == "success", answer["exceptionDetails"]["text"]
        return json.loads(answer["result"]["value"])

    def perform(self, actions: list[dict[str, Any]]) -> None:
        self.send("input.performActions", context=self._context, actions=actions)

    def choose(self, selector: str, file: Path) -> None:
        located = self.send(
            "browsingContext.locateNodes", context=self._context, locator={"type": "css", "value": selector}
        )
        element = {"sharedId": located["nodes"][0]["sharedId"]}
        self.send("input.setFiles", context=self._context, element=element, files=[str(file)])

    def screenshot(self) -> bytes:
        return base64.b64decode(self.send("browsingContext.captureScreenshot", context=self._context)["data"])

    def close(self) -> None:
        if socket := getattr(self, "_socket", None):
            socket.close()
        super().close()


def _program() -> str:
    return shutil.which("firefox-esr") or shutil.which("firefox") or ""


def _json(file: Path) -> dict[str, Any] | None:
    try:
        return json.loads(file.read_text())
    except (FileNotFoundError, ValueError):  # not written yet, or only half
        return None
