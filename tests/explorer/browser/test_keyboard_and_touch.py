"""Everything works without a mouse: by keyboard, with a visible focus ring, and by touch."""

import pytest

from tests.explorer.browser.driver import until

LOOK = """(node) => {
  const style = getComputedStyle(node), ring = node.querySelector(".reach");
  const drawn = ring && getComputedStyle(ring);
  return [style.outlineStyle, style.outlineWidth, drawn && drawn.stroke, drawn && drawn.strokeWidth].join();
}"""
FOCUSABLE = """(root) => [...root.querySelectorAll("button, input, select, summary, [tabindex='0']")]
  .filter((node) => node.getClientRects().length && getComputedStyle(node).visibility === "visible")"""


@pytest.mark.parametrize("hash_", ["", "#population=true"])
def test_tab_reaches_every_handle_and_control_and_each_shows_a_ring(open_page, hash_):
    shown = open_page(hash_)
    if not hash_:
        shown.root.locator('[data-preset="half"]').click()  # adds a question to the tab order
    shown.settle()
    shown.page.evaluate("document.activeElement.blur()")
    controls = shown.root.evaluate_handle(FOCUSABLE)
    count = controls.evaluate("(all) => all.length")
    plain = controls.evaluate(f"(all) => all.map({LOOK})")
    seen, rings = [], []
    for _ in range(count + 3):  # not every browser starts at the first element
        shown.page.keyboard.press("Tab")
        at = controls.evaluate("(all) => all.indexOf(document.activeElement)")
        if at >= 0 and at not in seen:
            seen.append(at)
            rings.append(controls.evaluate(f"(all) => ({LOOK})(document.activeElement)"))
    names = controls.evaluate("(all) => all.map((node) => node.outerHTML.slice(0, 80))")
    assert sorted(seen) == list(range(count)), [names[i] for i in range(count) if i not in seen]
    assert count > 20
    for at, ring in zip(seen, rings, strict=True):
        assert ring != plain[at], names[at]


KEYS = {
    ("x-hat", "ArrowLeft"): {"angle": 41},
    ("x-hat", "ArrowRight"): {"angle": 39},
    ("x-hat", "ArrowUp"): {"norm_ratio": 0.65},
    ("x-hat", "ArrowDown"): {"norm_ratio": 0.55},
    ("x-hat", "Shift+ArrowLeft"): {"angle": 40.1},
    ("x-hat", "Shift+ArrowUp"): {"norm_ratio": 0.605},
    ("x", "ArrowRight"): {"norm_x": 1.05, "norm_ratio": 0.6 / 1.05},  # x̂ stays put
    ("x", "Shift+ArrowLeft"): {"norm_x": 0.995, "norm_ratio": 0.6 / 0.995},
    ("state", "ArrowLeft"): {"angle": 41},
    ("state", "ArrowUp"): {"norm_ratio": 0.65},
}


def test_arrow_keys_turn_and_stretch_shift_does_it_finely_and_home_resets(shown):
    for (handle, key), changed in KEYS.items():
        shown.handle(handle).focus()
        shown.press(key)
        state = shown.address()
        start = {"angle": 40.0, "norm_ratio": 0.6, "norm_x": 1.0}
        assert {name: state[name] for name in start} == pytest.approx(start | changed, rel=1e-12), (handle, key)
        assert shown.drawn() == pytest.approx((state["angle"], state["norm_ratio"]), rel=1e-9)
        shown.press("Home")
        assert shown.drawn() == pytest.approx((40, 0.6))


def test_keys_stop_at_the_ends(open_page):
    shown = open_page("#angle=179.5&norm_ratio=1.98")
    shown.handle("x-hat").focus()
    shown.press("ArrowLeft", "ArrowLeft", "ArrowUp", "ArrowUp")
    assert (shown.address()["angle"], shown.address()["norm_ratio"]) == (180, 2)


def test_arrow_keys_move_a_slider_as_far_as_they_move_its_handle(shown):
    for key, changed in {"ArrowRight": 41, "Shift+ArrowRight": 40.1, "ArrowDown": 39}.items():
        shown.slider("angle").focus()
        shown.press(key)
        assert shown.address()["angle"] == changed
        shown.press("Home")


def test_the_browsers_own_shortcuts_stay_the_browsers(shown):
    shown.page.evaluate("addEventListener('keydown', (e) => { window.kept = !e.defaultPrevented }, true)")
    shown.handle("x-hat").focus()
    shown.press("Control+ArrowLeft", "Alt+ArrowUp")
    assert shown.drawn() == pytest.approx((40, 0.6))


def finger(cdp, kind, *at):
    points = [{"x": x, "y": y, "id": i} for i, (x, y) in enumerate(at)]
    cdp.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})


@pytest.fixture
def touched(open_page):
    """The page on a telephone, scrolled to the picture, and a finger to touch it."""
    shown = open_page(viewport={"width": 360, "height": 560}, has_touch=True, is_mobile=True)
    shown.page.evaluate("scrollTo(0, document.querySelector('svg.plane').getBoundingClientRect().top - 20)")
    shown.settle()
    return shown, shown.page.context.new_cdp_session(shown.page)


def swipe(cdp, start, to, steps=8):
    finger(cdp, "touchStart", start)
    for i in range(1, steps + 1):
        finger(cdp, "touchMove", [a + (b - a) * i / steps for a, b in zip(start, to, strict=True)])
    finger(cdp, "touchEnd")


def test_a_finger_drags_the_tip_and_the_page_does_not_scroll(touched):
    shown, cdp = touched
    top = shown.page.evaluate("scrollY")
    assert top > 100
    x, y = shown.knob("x-hat")
    to = (x - 60, y - 40)
    finger(cdp, "touchStart", (x, y))
    for i in range(1, 9):
        finger(cdp, "touchMove", (x - 60 * i / 8, y - 40 * i / 8))
    until(lambda: shown.knob("x-hat") == pytest.approx(to, abs=1))
    finger(cdp, "touchEnd")
    shown.settle()
    assert shown.page.evaluate("scrollY") == top
    assert shown.address()["angle"] > 50


def test_a_finger_beside_the_handles_scrolls_the_page(touched):
    shown, cdp = touched
    top = shown.page.evaluate("scrollY")
    box = shown.root.locator(".split").bounding_box()
    assert box
    swipe(cdp, (180, box["y"] + 5), (180, box["y"] - 195))
    until(lambda: shown.page.evaluate("scrollY") > top + 50)
    assert shown.drawn() == pytest.approx((40, 0.6))


def test_a_second_finger_does_not_take_over(touched):
    shown, cdp = touched
    x, y = shown.knob("x-hat")
    finger(cdp, "touchStart", (x, y))
    finger(cdp, "touchStart", (x, y), (x + 9, y + 9))
    for i in range(1, 5):
        finger(cdp, "touchMove", (x - 10 * i, y - 5 * i), (x + 30 * i, y + 9))
    until(lambda: shown.knob("x-hat") == pytest.approx((x - 40, y - 20), abs=1))
    finger(cdp, "touchEnd")
    shown.settle()
    assert shown.address()["angle"] > 40


@pytest.mark.parametrize("hash_", ["", "#population=true", "#merged=true"])
def test_whatever_a_finger_aims_at_is_24_pixels_wide_and_high(open_page, hash_):
    shown = open_page(hash_, viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True)
    targets = "button, input, select, summary, [tabindex='0']"
    small = shown.root.evaluate(f"""(root) => [...root.querySelectorAll("{targets}")]
      .map((node) => [node, node.getBoundingClientRect()])
      .filter(([, box]) => box.width && Math.min(box.width, box.height) < 24)
      .map(([node, box]) => [node.outerHTML.slice(0, 90), box.width, box.height])""")
    assert small == []
