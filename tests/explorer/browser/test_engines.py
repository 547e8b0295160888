"""The page works in three engines, Chromium, Firefox and WebKit, without a warning and without a request."""

import math
from xml.etree import ElementTree

import matplotlib.image
import pytest

from sandbox.explorer.presets import presets
from sandbox.explorer.state import checked
from tests.explorer.browser.driver import MEASURES, near, report_of, state_in

pytestmark = pytest.mark.slow

TIP = '[data-handle="x-hat"] .knob'
FOOT = """() => {
  const svg = document.querySelector("svg.plane"), box = svg.getBoundingClientRect();
  const [x, y, tip] = ["x1", "y1", "x2"].map((end) => +svg.querySelector('[data-arrow="x"]').getAttribute(end));
  return [box.left + x, box.top + y, tip - x];
}"""  # of both arrows, and the length of x, in window pixels


@pytest.fixture
def page(engine, page_file):
    """The explorer, just opened in one of the engines."""
    engine.open(page_file.as_uri())
    engine.until(lambda: engine.evaluate(f"() => document.querySelectorAll('{TIP}').length"), "no picture was drawn")
    return engine


def state_of(page):
    """The state in the page's address, which every number in its table must fit: to 1e-9, Python's."""
    page.settle()
    state = state_in(page.evaluate("() => location.hash"))
    report = report_of(state)
    shown = page.evaluate(f"() => ({MEASURES})(document)")
    assert len(shown) == len(report.raw)
    for key, row in shown:
        expected = report.raw[key].value
        assert (float(row["value"]) if row["value"] else None) == near(expected), key
    return state


def tip_towards(page, move, to):
    """Drag the tip of x̂ with a mouse or a finger; the state must be the one of the place where it was let go."""
    page.where(TIP)  # scrolls it into the window, before anything is measured
    x, y = page.where(TIP)
    across, up, length = page.evaluate(FOOT)
    move([(x + (to[0] - x) * i / 8, y + (to[1] - y) * i / 8) for i in range(9)])
    u, v = to[0] - across, up - to[1]
    state = state_of(page)
    drawn = state["norm_ratio"] * state["norm_x"] * length
    turned = math.radians(state["angle"])
    # drivers take whole pixels, for the start and for the end
    assert (drawn * math.cos(turned), drawn * math.sin(turned)) == pytest.approx((u, v), abs=1.5)
    assert page.where(TIP) == pytest.approx(to, abs=1.5)


NOISY = """<!doctype html><meta charset="utf-8"><link rel="icon" href="data:,"><script>
console.log("of no importance"); console.warn("a warning"); console.error("an error");
setTimeout(() => { throw new Error("a fault") }); fetch("http://nowhere.invalid/it").catch(() => {});
</script>"""


def test_whatever_a_page_says_and_asks_for_is_heard(browser_engine, tmp_path):
    file = tmp_path / "noisy.html"
    file.write_text(NOISY)
    browser_engine.heard()
    browser_engine.open(file.as_uri())
    heard = []
    for words in ("to http://nowhere.invalid/it", "a warning", "an error", "uncaught"):

        def said(words=words):  # WebKit says of a file's fault no more than that it was
            heard.extend(browser_engine.heard())
            return any(words in one for one in heard)

        browser_engine.until(said, f"{words!r} was not heard")
    assert not any("of no importance" in one for one in heard)


def test_the_page_opens_in_the_state_of_its_address(page, page_file):
    assert state_of(page) == checked({})
    page.open(f"{page_file.as_uri()}#angle=70&norm_ratio=1.5&population=true&spread=20")
    assert state_of(page) == checked({"angle": 70, "norm_ratio": 1.5, "population": True, "spread": 20})
    assert page.screenshot().startswith(b"\x89PNG")


def test_the_mouse_drags_the_tip_and_every_measure_is_pythons(page):
    across, up, length = page.evaluate(FOOT)
    for to in [(0.6, 0.5), (-0.3, 0.7)]:
        tip_towards(page, page.drag, (round(across + to[0] * length), round(up - to[1] * length)))


def test_a_finger_drags_the_tip(page):
    across, up, length = page.evaluate(FOOT)
    tip_towards(page, page.touch, (round(across + 0.2 * length), round(up - 0.8 * length)))


def test_keys_move_the_tip_and_undo_leads_back(page):
    page.evaluate("""() => document.querySelector('[data-handle="x-hat"]').focus()""")
    page.press("ArrowLeft")
    assert state_of(page)["angle"] == 41
    page.press("Shift+ArrowUp")
    assert state_of(page)["norm_ratio"] == pytest.approx(0.605)
    page.press("Control+z")
    assert state_of(page)["norm_ratio"] == pytest.approx(0.6)
    page.click('[data-action="undo"]')
    assert state_of(page) == checked({})
    page.press("Tab", "Home")  # whatever has the focus now
    assert state_of(page) == checked({})


def test_each_preset_asks_before_it_answers(page):
    seen = "(selector) => { const { display, visibility } = getComputedStyle(document.querySelector(selector));" + (
        "return display !== 'none' && visibility !== 'hidden'; }"
    )
    for preset in presets():
        page.click(f'[data-preset="{preset.key}"]')
        page.settle()
        assert state_in(page.evaluate("() => location.hash")) == checked(preset.settings), preset.key
        assert not page.evaluate(seen, "tr[data-measure] data"), preset.key
    page.click(".lesson summary")
    page.until(lambda: page.evaluate(seen, "tr[data-measure] data"), "the answer stays hidden")
    assert state_of(page) == checked(presets()[-1].settings)


PASTE = "() => document.body.prepend(Object.assign(document.createElement('textarea'), { id: 'paste' }))"


def test_a_copied_link_leads_back_to_the_state(page):
    page.evaluate("""() => document.querySelector('[data-handle="x-hat"]').focus()""")
    page.press("ArrowRight", "ArrowUp")
    state = state_of(page)
    page.click('[data-action="link"]')
    page.until(lambda: "Link copied" in page.evaluate("() => document.querySelector('.status').textContent"), "no link")
    page.evaluate(PASTE)
    page.click("#paste")
    page.press("Control+v")
    link = page.until(lambda: page.evaluate("() => document.querySelector('#paste').value"), "nothing to paste")
    page.open(link)
    assert state_of(page) == state != checked({})


def test_the_picture_is_saved_as_svg_and_as_png(page):
    page.click('[data-action="svg"]')
    root = ElementTree.parse(page.downloaded("shrinkage*.svg")).getroot()
    width, height = (float(root.get(name, 0)) for name in ("width", "height"))
    assert 'data-arrow="x-hat"' in ElementTree.tostring(root, encoding="unicode")
    page.click('[data-action="png"]')
    pixels = matplotlib.image.imread(page.downloaded("shrinkage*.png"))
    assert pixels.shape[:2] == pytest.approx((2 * height, 2 * width))
    assert pixels[..., :3].std() > 0.05  # something is drawn: a blank sheet has 0
