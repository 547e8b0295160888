"""An explorer in a page: what it shows, and ways to move it."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from urllib.parse import parse_qsl

import pytest
from playwright.sync_api import Locator, Page

from sandbox.explorer.state import CONTROLS, checked
from sandbox.report import Report

Point = tuple[float, float]

# Pauses meant for people (until a number is read, until the hand rests) take a tenth of the time and are tracked.
QUICK = """
  const [later, never] = [setTimeout, clearTimeout].map((f) => f.bind(window));
  const pauses = window.pauses = new Set();
  window.setTimeout = (call, time, ...rest) => {
    const id = later(() => { pauses.delete(id); call(...rest); }, time > 200 ? time : time / 10);
    if (time <= 200) pauses.add(id);
    return id;
  };
  window.clearTimeout = (id) => { pauses.delete(id); never(id); };
"""
SETTLED = """async () => {
  const frame = () => new Promise(requestAnimationFrame);
  do { await frame(); await frame(); } while (window.pauses?.size);
}"""
GO_TO = """(hash) => new Promise((done) => {
  addEventListener("hashchange", () => requestAnimationFrame(done), { once: true });
  location.hash = hash;
})"""
MEASURES = """(root) => [...root.querySelectorAll("tr[data-measure]")].map((row) => [row.dataset.measure,
  { value: row.querySelector("data").value, reason: row.querySelector(".reason").textContent,
    interval: row.querySelector(".interval").textContent }])"""


class Shown:
    """One explorer; `root` is its element, by default the first in the page."""

    def __init__(self, page: Page, root: Locator | None = None):
        self.page = page
        self.root = root or page.locator(".shrinkage-explorer").first

    # What it shows.

    def address(self) -> dict:
        """The state in the page's address, checked by Python."""
        return state_in(self.page.evaluate("location.hash"))

    def measures(self) -> dict[str, dict]:
        """By key: the `value` (None where undefined), the `reason`, and the `interval` as text."""
        rows = dict(self.root.evaluate(MEASURES))
        return {key: row | {"value": _number(row["value"])} for key, row in rows.items()}

    def values(self) -> dict[str, float | None]:
        return {key: row["value"] for key, row in self.measures().items()}

    def moments(self) -> list[float]:
        return [float(self.root.locator(f'[data-moment="{name}"]').get_attribute("value")) for name in "abc"]

    def mean(self, key: str) -> float | None:
        return _number(self.root.locator(f'[data-mean="{key}"]').get_attribute("value"))

    def status(self) -> str:
        return self.root.locator(".status:not(.silence)").inner_text()

    def said(self, name: str) -> str:
        """The line beside the field, button or picture of this name."""
        beside = f':is(.field, .placing, .where):has([name="{name}"], [data-action="{name}"])'
        return self.root.locator(f"{beside} .said").first.inner_text()

    def preset(self, key: str) -> None:
        """Choose a preset, from the menu where there is little room."""
        menu = self.root.locator(".menu")
        if menu.is_visible():
            menu.click()
        self.root.locator(f'[data-preset="{key}"]').click()
        self.settle()

    def silence(self) -> str:
        """The message about a kernel that does not answer."""
        return self.root.locator(".silence").inner_text()

    def typed(self, name: str) -> Locator:
        return self.root.locator(f'.typed input[name="{name}"]')

    def slider(self, name: str) -> Locator:
        return self.root.locator(f'input[type="range"][name="{name}"]')

    def handle(self, name: str) -> Locator:
        return self.root.locator(f'[data-handle="{name}"]')

    def button(self, action: str) -> Locator:
        return self.root.locator(f'[data-action="{action}"]')

    def knob(self, handle: str) -> Point:
        """The centre of a handle, in window pixels."""
        box = self.handle(handle).locator(".knob").bounding_box()
        assert box
        return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2

    def arrow(self, name: str) -> Point:
        """The drawn arrow of "x" or "x-hat", in the picture's pixels, upwards positive."""
        x1, y1, x2, y2 = self._line(name)
        return x2 - x1, y1 - y2

    def origin(self) -> Point:
        """The common foot of both arrows, in window pixels."""
        box = self.root.locator("svg.plane").bounding_box()
        assert box
        x1, y1, _, _ = self._line("x")
        return box["x"] + x1, box["y"] + y1

    def drawn(self) -> Point:
        """The angle (degrees) and norm ratio of the two arrows as drawn."""
        (u, v), (length, _) = self.arrow("x-hat"), self.arrow("x")
        return math.degrees(math.atan2(v, u)), math.hypot(u, v) / length

    # What moves it.

    def go_to(self, hash_: str) -> None:
        """Change the address and wait for the picture."""
        self.page.evaluate(GO_TO, hash_)
        self.settle()

    def settle(self) -> None:
        """Wait until everything is drawn, written and in the address."""
        self.page.evaluate(SETTLED)

    def drag(self, handle: str, to: Point, let_go: bool = True) -> None:
        """Drag a handle with the mouse to a point in the window."""
        self.page.mouse.move(*self.knob(handle))
        self.page.mouse.down()
        self.page.mouse.move(*to, steps=6)
        if let_go:
            self.page.mouse.up()
        self.settle()

    def drag_by(self, handle: str, dx: float, dy: float, let_go: bool = True) -> None:
        x, y = self.knob(handle)
        self.drag(handle, (x + dx, y + dy), let_go)

    def type(self, name: str, text: str) -> None:
        self.typed(name).click(click_count=3)
        self.page.keyboard.type(text)
        self.page.keyboard.press("Enter")
        self.settle()

    def press(self, *keys: str) -> None:
        for key in keys:
            self.page.keyboard.press(key)
        self.settle()

    def _line(self, name: str) -> list[float]:
        line = self.root.locator(f'line[data-arrow="{name}"]')
        return line.evaluate('(line) => ["x1", "y1", "x2", "y2"].map((end) => +line.getAttribute(end))')


def until(holds: Callable[[], bool], seconds: float = 5) -> None:
    """Wait until a condition holds; the page's content policy forbids playwright's wait_for_function."""
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, "the condition never held"
        time.sleep(0.02)


def state_in(hash_: str) -> dict:
    """The state in a link as Python understands it; raises if the page wrote what Python refuses."""
    settings: dict = {}
    for name, text in parse_qsl(hash_.removeprefix("#"), strict_parsing=len(hash_) > 1):
        if name in CONTROLS:
            settings[name] = int(text) if CONTROLS[name].whole else float(text)
        else:
            settings[name] = {"true": True, "false": False}.get(text, text)
    return checked(settings)


def report_of(state: dict) -> Report:
    """Python's report on a state."""
    from sandbox.explorer.shown import moments_of

    return Report("x̂", moments_of(state))


def near(expected):
    """Equal to 1e-9, or None for None.

    Both sides compute the same float64 formulas. But the relative loss and its two parts are differences of numbers
    near 1, so a zero among them is known only to a few units in the last digit.
    """
    absent = expected is None or (isinstance(expected, float) and math.isnan(expected))
    return None if absent else pytest.approx(expected, rel=1e-9, abs=1e-14)


def _number(text: str | None) -> float | None:
    return float(text) if text else None
