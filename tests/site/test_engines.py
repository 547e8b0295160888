"""The site works in three engines, Chromium, Firefox and WebKit, from a server below a path."""

import json

import numpy as np
import pytest

from sandbox.site.build import PAGES
from tests.explorer.browser.driver import near, state_in
from tests.site.article import RINGS, SCENES, expected, sweep
from tests.site.conftest import served
from tests.site.same import by_python
from tests.site.test_data_in_the_browser import pairs

pytestmark = pytest.mark.slow

TOO_WIDE = "() => document.documentElement.scrollWidth - innerWidth"
TIP = '[data-handle="x-hat"] .knob'
PYTHON = 240  # seconds: ten are enough on a quiet machine


def test_a_page_that_is_opened_or_loaded_again_has_run_its_scripts(browser_engine, site):
    for _ in range(6):
        browser_engine.open(f"{site}data.html")
        assert browser_engine.evaluate("() => document.readyState") == "complete"
        browser_engine.reload()
        assert browser_engine.evaluate("() => document.readyState") == "complete"


@pytest.mark.parametrize("page", [page.name for page in PAGES])
def test_every_page_loads_and_fits_a_phone_and_a_desktop(engine, site, page):
    for width in (1600, 390):
        engine.resize(width, 900)
        engine.open(f"{site}{page}.html")
        assert engine.where(f'nav a[aria-current="page"][href="{page}.html"]')
        engine.settle(1)
        assert engine.evaluate(TOO_WIDE) <= 0


def test_the_tip_of_the_sites_explorer_follows_the_mouse(engine, site):
    engine.resize(1280, 1000)
    engine.open(f"{site}explorer.html#angle=60")
    engine.where(TIP)  # scrolls it into the window
    x, y = engine.where(TIP)
    engine.drag([(x - 10 * i, y) for i in range(9)])
    engine.settle()
    assert engine.where(TIP) == pytest.approx((x - 80, y), abs=1.5)  # drivers take whole pixels
    assert state_in(engine.evaluate("() => location.hash"))["angle"] > 75


SCENE = """(number) => {
  const scene = document.querySelector(`#scene-${number}`);
  const told = [...scene.querySelectorAll("[data-show]"), ...document.querySelectorAll(".stage [data-read]")];
  const numbers = told.filter((node) => node.checkVisibility() && node.value)
    .map((node) => [node.dataset.show ?? node.dataset.read, +node.value]);
  return { current: document.querySelector(".stage").dataset.scene, link: scene.querySelector(".open")?.hash, numbers };
}"""
TO_THE_PICTURE = """(number) => {
  document.querySelector(`#scene-${number} .jump`).click();
  const { activeElement: node } = document;
  return Boolean(node.closest(".picture")) && node.getClientRects().length > 0 && node.checkVisibility();
}"""
GO = """async (number) => {
  const frames = () => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
  for (const to of [number === 1 ? 2 : 1, number]) {
    document.querySelector(`#scene-${to}`).scrollIntoView({ behavior: "instant" });
    await frames();
  }
  return document.querySelector(".stage").dataset.scene === String(number);
}"""  # from another scene, because a page that a button has just scrolled does not follow at once


class Scene:
    """A scene of the article in one of the engines."""

    def __init__(self, engine, number):
        self.engine, self.number = engine, number

    def go(self):
        """Scroll to it."""
        self.engine.until(lambda: self.engine.evaluate(GO, self.number), f"scene {self.number} never came")

    def state(self):
        return state_in(self.engine.evaluate(SCENE, self.number)["link"])

    def numbers(self):
        """What it shows, once all of that is Python's; a picture may still be on its way to its state."""

        def agreed():
            now = self.engine.evaluate(SCENE, self.number)
            if now["current"] != str(self.number):
                return None
            wanted = expected(state_in(now["link"]))
            known = [(key, value, wanted[key]) for key, value in now["numbers"] if key in wanted]
            return known and all(value == pytest.approx(right, rel=1e-9) for _, value, right in known) and known

        return self.engine.until(agreed, f"the numbers of scene {self.number} are not Python's", 20)

    def drag(self, handle, dx, dy):
        x, y = self.engine.where(f'.stage [data-handle="{handle}"] .knob')
        self.engine.drag([(x + dx * i / 6, y + dy * i / 6) for i in range(7)])

    def predict(self):
        """Move each ring, or choose what is right."""
        rings = {2: ("guess",), 4: ("guess",), 6: ("guess",), 9: ("guess-0", "guess-1")}.get(self.number, ())
        for ring in rings:
            self.drag(ring, 30, -25)
        if not rings:
            self.engine.click(f"#scene-{self.number} .predict [data-right]")

    def answer(self):
        """Show the answer; what it says of the prediction."""
        assert not self.engine.text(f"#answer-{self.number}")
        self.engine.click(f"#scene-{self.number} .ask")
        judged = f"#answer-{self.number} :is([data-if^=guessed], .verdict)"
        return self.engine.until(lambda: self.engine.text(judged), f"scene {self.number} judges no prediction", 20)


def test_every_scene_asks_follows_the_hand_and_answers(engine, site):
    engine.resize(1280, 900)
    engine.open(f"{site}index.html")
    for number in SCENES:
        scene = Scene(engine, number)
        scene.go()
        if number == 9:
            _figure_6(scene)
            continue
        assert engine.evaluate(TO_THE_PICTURE, number)
        before = scene.state()
        scene.predict()
        judged = scene.answer()
        assert ("lengths of x away" if number in RINGS else "right.") in judged
        scene.numbers()
        scene.drag("x-hat", -30, 18)
        engine.until(lambda scene=scene, before=before: scene.state() != before, f"scene {number} does not move")
        assert len(scene.numbers()) > 1
    engine.click('.stage [data-action="back"]')
    engine.until(lambda: engine.text(".stage .where").startswith("9 of"), "Back leads nowhere")


def _figure_6(scene):
    """Its numbers are those of the committed sweep."""
    engine = scene.engine
    scene.predict()
    assert scene.answer().count(" off.") == 2
    own = sweep("relative_reconstruction_bias")
    told = dict(engine.evaluate(SCENE, 9)["numbers"])
    assert told["relu_sparsest_relative_reconstruction_bias"] == own["relu"][0][1]
    assert told["relu_densest_relative_reconstruction_bias"] == own["relu"][-1][1]
    scene.drag("sae", -180, 0)
    looked = "() => [...document.querySelectorAll('.stage .row.looked data')].map((one) => +one.value)"
    l0, bias, *_ = engine.evaluate(looked)
    assert l0 != own["relu"][-1][0]
    assert [value for at, value in own["relu"] if at == pytest.approx(l0)] == [bias]


def test_a_claim_is_decided_by_python_in_the_browser(engine, complete):
    engine.resize(1280, 900)
    engine.open(f"{complete}proofs.html")
    for claim, verdict in {"scale_x * scale_x_hat == cosine**2": "is true", "gamma < 1 => r > 1": "is false"}.items():
        engine.click("#claim")
        engine.press("Control+a", *claim, "Enter")
        engine.until(
            lambda claim=claim, verdict=verdict: f"{claim} {verdict}" in engine.text(".answer h3"),
            f"{claim} was not decided",
            PYTHON,
        )
    assert "It fails at" in engine.text(".answer")


def test_the_steps_of_a_proof_open_one_by_one(engine, site):
    engine.open(f"{site}proofs.html#C3")
    steps = (
        "() => [...document.querySelectorAll('#C3 .steps > li')].filter((one) => one.getClientRects().length).length"
    )
    engine.until(lambda: engine.evaluate(steps) == 1, "the address opens no claim")
    engine.click("#C3 .body button:not([hidden])")
    engine.until(lambda: engine.evaluate(steps) == 2, "no second step")


def test_files_that_are_dropped_are_measured_as_python_measures_them(engine, site, tmp_path):
    x, x_hat = pairs(n=2000, d=24)
    paths = [tmp_path / "x.npy", tmp_path / "x_hat.npy"]
    for path, array in zip(paths, (x, x_hat), strict=True):
        np.save(path, array.astype(np.float32))
    engine.resize(1280, 900)
    engine.open(f"{site}data.html")
    engine.where("#choose")
    engine.drop(".drop", paths[0])
    engine.until(lambda: "(2000, 24)" in engine.text("table.given"), "the file was not read")
    engine.choose("#files", paths[1])
    engine.until(lambda: engine.text("#status").startswith("Ready: "), "the second file was not read")
    engine.click("#measure")
    engine.until(lambda: engine.text(".verdict"), "no report")
    engine.click("#report a[download]")
    (entry,) = json.loads(engine.downloaded("*.json").read_text(encoding="utf-8"))["saes"]
    report = by_python(*paths)
    for key, one in report.raw.items():
        assert entry["raw"][key]["value"] == near(one.value), key


def test_a_page_that_was_visited_twice_works_without_its_server(browser_engine, site_files):
    engine = browser_engine
    with served(site_files) as address:
        engine.open(f"{address}explorer.html#angle=60")
        engine.until(lambda: engine.evaluate("() => Boolean(navigator.serviceWorker.controller)"), "no service worker")
        engine.reload()
        engine.where(TIP)
        engine.settle(1)
    engine.reload()
    engine.where(TIP)
    engine.evaluate("""() => document.querySelector('[data-handle="x-hat"]').focus()""")
    engine.press("ArrowLeft")
    engine.settle()
    assert state_in(engine.evaluate("() => location.hash"))["angle"] == 61


def test_a_point_of_a_figure_shows_its_row(engine, site):
    engine.resize(1280, 900)
    engine.open(f"{site}results.html")
    point = "#sparsity .point .mark"
    engine.where(point, 2)
    words = engine.evaluate("(selector) => document.querySelectorAll(selector)[2].parentElement.ariaLabel", point)
    engine.click(point, 2)
    chosen = engine.until(lambda: engine.text("#sparsity .card h3"), "no card")
    assert words.startswith(chosen)
    assert engine.evaluate("() => document.querySelectorAll('#sparsity tr.chosen').length") == 1
