"""Chromium, driven by playwright."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from playwright.sync_api import (
    Browser,
    ConsoleMessage,
    Download,
    Page,
    Playwright,
    Request,
    ViewportSize,
    sync_playwright,
)

from tests.helpers.engines.engine import FRAME, PATIENCE, Engine, Point


class Chromium(Engine):
    name = "chromium"

    def __init__(self, folder: Path, browser: Browser | None = None) -> None:
        super().__init__(folder)
        self._browser = browser  # playwright runs only once in a process
        self._heard: list[str] = []
        self._saving: list[Download] = []
        self._page: Page | None = None
        self._playwright: Playwright | None = None
        self._size = ViewportSize(width=1280, height=1000)
        self._cut = False

    @classmethod
    def missing(cls) -> str:
        if shutil.which("chromium") or (Path.home() / ".cache/ms-playwright").is_dir():
            return ""
        return "Chromium is missing: install Debian's chromium, or run `playwright install chromium`"

    def start(self) -> None:
        if not self._browser:
            self._playwright = sync_playwright().start()
            launch = self._playwright.chromium.launch
            self._browser = launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        self.version = f"Chromium {self._browser.version}"
        self.open("about:blank")

    @property
    def page(self) -> Page:
        assert self._page, "open a page first"
        return self._page

    def open(self, url: str) -> None:
        assert self._browser, "start it first"
        if self._page:
            self._page.context.close()
        context = self._browser.new_context(viewport=self._size, color_scheme="light", has_touch=True)
        context.set_offline(self._cut)
        context.set_default_timeout(1000 * PATIENCE)
        self._page = page = context.new_page()
        self._touch = context.new_cdp_session(page)
        page.on("console", self._said)
        page.on("pageerror", lambda error: self._heard.append(f"uncaught: {error}"))
        page.on("request", self._asked)
        page.on("download", lambda file: self._saving.append(file))
        page.goto(url)

    def reload(self) -> None:
        self.page.reload()

    def _said(self, said: ConsoleMessage) -> None:
        if said.type in ("error", "warning"):
            self._heard.append(f"{said.type}: {said.text}")

    def _asked(self, request: Request) -> None:
        if request.url.startswith("http"):
            self._heard.append(f"to {request.url}")

    def wait(self, seconds: float) -> None:
        self.page.wait_for_timeout(1000 * seconds)  # playwright hears nothing while Python sleeps
        for file in self._saving:
            file.save_as(self.downloads / file.suggested_filename)
        self._saving.clear()

    def heard(self) -> list[str]:
        self.wait(0)
        heard, self._heard = self._heard, []
        return heard

    def resize(self, width: int, height: int) -> None:
        self._size = ViewportSize(width=width, height=height)
        if self._page:
            self._page.set_viewport_size(self._size)

    def cut_off(self, cut: bool = True) -> None:
        self._cut = cut
        if self._page:
            self._page.context.set_offline(cut)

    def evaluate(self, function: str, *values: Any) -> Any:
        return self.page.evaluate(f"(values) => ({function})(...values)", list(values))

    def drag(self, points: Sequence[Point], let_go: bool = True) -> None:
        mouse = self.page.mouse
        mouse.move(*points[0])
        mouse.down()
        for point in points[1:]:
            mouse.move(*point)
            self.wait(FRAME)
        if let_go:
            mouse.up()

    def touch(self, points: Sequence[Point]) -> None:
        for i, (x, y) in enumerate(points):
            kind = "touchMove" if i else "touchStart"
            self._touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": [{"x": x, "y": y, "id": 0}]})
            self.wait(FRAME)
        self._touch.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})

    def press(self, *keys: str) -> None:
        for key in keys:
            self.page.keyboard.press(key)

    def choose(self, selector: str, file: Path) -> None:
        self.page.set_input_files(selector, file)

    def screenshot(self) -> bytes:
        return self.page.screenshot()

    def close(self) -> None:
        if self._page:
            self._page.context.close()
        if self._playwright:
            if self._browser:
                self._browser.close()
            self._playwright.stop()
        super().close()
