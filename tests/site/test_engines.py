"""The site works in three engines, Chromium, Firefox and WebKit, from a server below a path."""

import json

import numpy as np
import pytest

from sandbox.site.build import PAGES
from tests.explorer.browser.driver import near, state_in
from tests.site.conftest import served
from tests.site.same import by_python
from tests.site.test_data_in_the_browser import pairs

pytestmark = pytest.mark.slow

TOO_WIDE = "() => document.documentElement.scrollWidth - innerWidth"
TIP = '[data-handle="x-hat"] .knob'
ALONG = """(selector) => {
  const [x1, y1, x2, y2] = ["x1", "y1", "x2", "y2"].map((end) => +document.querySelector(selector).getAttribute(end));
  return [x2 - x1, y1 - y2];
}"""  # an arrow as it is drawn
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


def test_a_scene_asks_follows_the_hand_and_answers(engine, site):
    engine.resize(1280, 900)
    engine.open(f"{site}index.html")
    assert "length of x̂" not in engine.text("#answer-1")
    x, y = engine.where(f".stage {TIP}")
    engine.drag([(x - 8 * i, y - 3 * i) for i in range(9)])
    engine.click("#scene-1 .ask")
    engine.settle()
    u, v = engine.evaluate(ALONG, '.stage [data-arrow="x-hat"]')
    angle = engine.evaluate("() => +document.querySelector('#answer-1 [data-show=angle]').value")
    assert angle == pytest.approx(np.degrees(np.arctan2(v, u)), abs=0.1)
    engine.click('.stage [data-action="next"]')
    engine.until(lambda: engine.text(".stage .where").startswith("2 of"), "the next scene never came")


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
