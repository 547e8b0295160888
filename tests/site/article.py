"""The article in a page: what it shows, and ways to read and move it."""

import math
from typing import Any

from sandbox.explorer.shown import moments_of
from sandbox.maths.compile import evaluate
from sandbox.maths.measures import REGISTRY
from tests.explorer.browser.driver import SETTLED, state_in, until

SCENES = range(1, 11)

WINDOWS = [(1280, 900), (390, 844), (844, 390), (640, 450), (320, 225)]
"""A desktop, a phone upright and on its side, and the desktop at a zoom of 200 and 400 %."""


class Article:
    """The article in a page, and ways to read and move it."""

    def __init__(self, page):
        self.page = page
        self.stage = page.locator(".stage")
        self.stage.locator("[data-handle=x]").wait_for(state="attached")
        self.settle()

    def settle(self):
        self.page.evaluate(SETTLED)

    def scene(self, number):
        return self.page.locator(f"#scene-{number}")

    def go(self, number):
        """Scroll to a scene as a reader does."""
        self.scene(number).evaluate("(scene) => scene.scrollIntoView({ block: 'start', behavior: 'instant' })")
        until(lambda: self.stage.get_attribute("data-scene") == str(number))
        self.settle()

    def answer(self, number):
        self.go(number)
        self.scene(number).locator(".ask").click()
        self.settle()

    def state(self, number):
        """The state in the scene's link to the explorer, checked by Python."""
        return state_in("#" + self.scene(number).locator(".open").get_attribute("href").partition("#")[2])

    def proof(self, number):
        """The address of a scene's proof."""
        return self.scene(number).locator(".more a").first.evaluate("(link) => link.href")

    def numbers(self, number):
        """What the text of a scene shows: name ► number, None where it is undefined."""
        found = (
            self.scene(number).locator("[data-show]").evaluate_all("(all) => all.map((d) => [d.dataset.show, d.value])")
        )
        return {name: float(value) if value else None for name, value in found}

    def readout(self):
        """What stands below the picture: name ► text."""
        rows = self.stage.locator(".readout [data-read]")
        found = rows.evaluate_all(
            "(all) => all.map((d) => [d.dataset.read, d.value, d.textContent, d.getClientRects().length])"
        )
        return {name: (float(value) if value else None, text) for name, value, text, seen in found if seen}

    def knob(self, handle):
        box = self.stage.locator(f'[data-handle="{handle}"]:visible .knob').bounding_box()
        return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2

    def unit(self):
        """The length of x in pixels."""
        x1, x2 = self.stage.locator('line[data-arrow="x"]').evaluate(
            "(line) => [line.x1, line.x2].map((end) => end.baseVal.value)"
        )
        return x2 - x1

    def drag(self, handle, dx, dy):
        x, y = self.knob(handle)
        self.page.mouse.move(x, y)
        self.page.mouse.down()
        self.page.mouse.move(x + dx, y + dy, steps=5)
        self.page.mouse.up()
        self.settle()

    def covered(self):
        """The share of the window's height that the picture takes away from the current scene's text."""
        return covered(self.page, ".stage", ".scene.current")

    def press(self, *keys):
        for key in keys:
            self.page.keyboard.press(key)
        self.settle()


def in_python(state) -> dict[str, Any]:
    means = moments_of(state).means
    values = {key: evaluate(measure, *means).item() for key, measure in REGISTRY.items()}
    return {key: None if math.isnan(value) else value for key, value in values.items()}


COVERED = """([over, text]) => {
  const [top, below] = [over, text].map((selector) => document.querySelector(selector).getBoundingClientRect());
  const beside = top.right <= below.left || top.left >= below.right;
  return beside ? 0 : Math.max(Math.min(top.bottom, innerHeight) - Math.max(top.top, 0), 0) / innerHeight;
}"""


def covered(page, over, text):
    """The share of the window's height in which one element stands in the column of another."""
    return page.evaluate(COVERED, [over, text])
