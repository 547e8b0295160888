"""The article in a page: what it shows, ways to read and move it, and what its numbers must be."""

import csv
import math
from pathlib import Path
from typing import Any

from sandbox.explorer.penalty import penalised
from sandbox.explorer.shown import moments_of
from sandbox.explorer.state import BLOCKS
from sandbox.maths.compile import evaluate
from sandbox.maths.measures import REGISTRY
from tests.explorer.browser.driver import SETTLED, state_in, until

SCENES = range(1, 11)

RINGS = (2, 4, 6)
"""The scenes of a single pair in which the reader predicts with a ring."""

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

    def arrow(self, name="x-hat"):
        """An arrow as it is drawn, in pixels, upwards positive."""
        x1, y1, x2, y2 = self.stage.locator(f'line[data-arrow="{name}"]').evaluate(
            "(line) => [line.x1, line.y1, line.x2, line.y2].map((end) => end.baseVal.value)"
        )
        return x2 - x1, y1 - y2

    def unit(self):
        """The length of x in pixels."""
        return self.arrow("x")[0]

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


def expected(state) -> dict[str, float | None]:
    """The numbers that a scene may show in a state of its picture, by Python."""
    values = in_python(state)
    found = values | {"angle": state["angle"], "penalty": state["penalty"]}
    if state["population"]:
        moments = moments_of(state)
        batches = evaluate(REGISTRY["relative_reconstruction_bias"], *moments.totals.unbind(-1))
        pooled = values["relative_reconstruction_bias"]
        return found | {"pooled": pooled, "mean_of_batches": batches.nanmean().item(), "batch": state["n"] / BLOCKS}
    found["cosine_squared"] = values["cosine"] ** 2
    found["distance"] = math.sqrt(values["relative_loss"])
    if values["scale_x_hat"] is not None:
        found["product"] = values["scale_x"] * values["scale_x_hat"]
    if values["equation_10_v1"] is not None:
        found["error"] = values["equation_10_v1"] - values["relative_reconstruction_bias"]
    both = penalised(state["penalty"])
    law = {"predicted": both["soft"].predicted, "P": both["soft"].penalty, "c": both["soft"].c}
    for name, law_of in (("measured", "soft"), ("of_count", "hard")):
        law[name] = both[law_of].values["relative_reconstruction_bias"]
    return found | {f"law_{name}": value for name, value in law.items()}


def sweep(measure):
    """Architecture ► the (L0, value) of its SAEs in the committed sweep, sparsest first."""
    with Path("results/figure-6/figure-6.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if row["finished"] == "True" and row["measured_on"] == "held-out"]
    seen = [row for row in rows if row["origin"] == "raw" and row["measure"] == measure]
    return {
        name: sorted((float(row["l0"]), float(row["value"])) for row in seen if row["architecture"] == name)
        for name in ("relu", "gated")
    }


COVERED = """([over, text]) => {
  const [top, below] = [over, text].map((selector) => document.querySelector(selector).getBoundingClientRect());
  const beside = top.right <= below.left || top.left >= below.right;
  return beside ? 0 : Math.max(Math.min(top.bottom, innerHeight) - Math.max(top.top, 0), 0) / innerHeight;
}"""


def covered(page, over, text):
    """The share of the window's height in which one element stands in the column of another."""
    return page.evaluate(COVERED, [over, text])
