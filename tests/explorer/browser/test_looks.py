"""It fits telephones and wide screens, light and dark, respects reduced motion, and opens at once."""

import pytest

from tests.explorer.browser.driver import until

# Visible texts that extend out of their picture, with the number of pixels.
OUTSIDE = """(root) => [...root.querySelectorAll("svg text")].flatMap((text) => {
  const [box, frame] = [text, text.ownerSVGElement].map((node) => node.getBoundingClientRect());
  const out = Math.max(frame.left - box.left, box.right - frame.right, frame.top - box.top, box.bottom - frame.bottom);
  return box.width && out > 3 ? [`${text.textContent} by ${out.toFixed(1)} px`] : [];
})"""
STATES = ["#", "#angle=180&norm_ratio=2&norm_x=2", "#angle=90&norm_ratio=2&norm_x=2&measure=equation_10_v1",
          "#norm_ratio=0&norm_x=2", "#penalty=0.2&angle=3&norm_ratio=0.95", "#penalty=6&norm_x=2",
          "#penalty=2&norm_x=0", "#merged=true&cells=3&factor=1.5", "#merged=true&cells=1", "#merged=true&cells=64",
          "#angle=0&norm_ratio=1&norm_x=0", "#population=true&norm_spread=1&angle=100",
          "#angle=89.9&norm_ratio=1&measure=scale_x", "#angle=170&norm_ratio=0.3&measure=relative_loss"]  # fmt: skip


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 800, 1600])
def test_nothing_sticks_out(open_page, width, scheme):
    phone = {"has_touch": True, "is_mobile": True} if width < 400 else {}
    shown = open_page(viewport={"width": width, "height": 900}, color_scheme=scheme, **phone)
    assert shown.root.get_attribute("data-theme") == scheme
    outside = {}
    for state in STATES:
        if state != "#":
            shown.go_to(state)
        wide, window = shown.page.evaluate("[document.scrollingElement.scrollWidth, innerWidth]")
        assert wide <= min(window, width), state
        outside[state] = shown.root.evaluate(OUTSIDE)
    assert outside == {state: [] for state in STATES}


@pytest.mark.parametrize("width", [360, 800, 1600])
def test_no_sign_of_a_formula_is_lost(open_page, width):
    shown = open_page(viewport={"width": width, "height": 900})
    lost = """(root) => [...root.querySelectorAll("td.formula :is(mi, mo, mn)")]
      .filter((sign) => !sign.getBoundingClientRect().width).map((sign) => sign.textContent)"""
    assert shown.root.evaluate(lost) == []


def test_the_whole_follows_a_window_that_changes_its_width(shown):
    shown.page.set_viewport_size({"width": 400, "height": 900})
    shown.settle()
    assert shown.page.evaluate("document.scrollingElement.scrollWidth") == 400
    assert shown.drawn() == pytest.approx((40, 0.6))
    x, y = shown.knob("x-hat")
    shown.page.evaluate("scrollTo(0, 200)")
    shown.drag("x-hat", (x - 50, y - 200 - 20), let_go=False)
    assert shown.knob("x-hat") == pytest.approx((x - 50, y - 220), abs=1)


def test_the_theme_is_that_of_the_background_and_follows_it(open_page, host_file):
    shown = open_page(file=host_file)
    shown.page.evaluate("document.body.className = 'night'; start()")
    assert shown.root.get_attribute("data-theme") == "dark"
    paper = shown.root.evaluate("(root) => getComputedStyle(root).backgroundColor")
    shown.page.evaluate("document.body.className = 'day'")
    shown.settle()
    assert shown.root.get_attribute("data-theme") == "light"
    assert shown.root.evaluate("(root) => getComputedStyle(root).backgroundColor") != paper


def test_the_page_follows_a_system_that_turns_dark(shown):
    shown.page.emulate_media(color_scheme="dark")
    shown.settle()
    assert shown.root.get_attribute("data-theme") == "dark"


def test_nothing_moves_by_itself_where_that_is_not_wanted(open_page):
    shown = open_page(reduced_motion="reduce")
    shown.root.locator('[data-preset="offset"]').click()
    assert shown.page.evaluate("document.getAnimations().length") == 0
    moving = """(root) => [root, ...root.querySelectorAll("*")].map((node) => getComputedStyle(node)).filter((style) =>
      parseFloat(style.transitionDuration) || style.animationName !== "none").length"""
    assert shown.root.evaluate(moving) == 0
    assert shown.page.evaluate("getComputedStyle(document.documentElement).scrollBehavior") == "auto"


def test_the_picture_is_there_within_a_second_of_loading(open_page):
    # Generous: this checks that nothing blocks; the benchmark measures how long it takes.
    watch = """addEventListener("load", () => { const end = performance.now() + 1000; (function look() {
      const line = document.querySelector("line[data-arrow=x-hat][x2]");
      window.drawnInTime = Boolean(line) && performance.now() < end;
      if (!line && performance.now() < end) setTimeout(look, 20);
    })(); })"""
    shown = open_page(before=watch)
    shown.settle()
    assert shown.page.evaluate("window.drawnInTime")
    until(lambda: shown.page.evaluate("performance.getEntriesByName('first-contentful-paint').length") == 1)


def test_on_a_phone_the_picture_comes_first_and_the_presets_are_in_a_menu(open_page):
    shown = open_page(viewport={"width": 390, "height": 844})
    plane = shown.root.locator("svg.plane").bounding_box()
    assert plane
    assert plane["y"] + plane["height"] < 560, "the whole picture, and the first settings below it"
    preset, menu = shown.root.locator('[data-preset="thales"]'), shown.root.locator(".menu")
    assert not preset.is_visible()
    assert shown.button("undo").bounding_box()["y"] > plane["y"] + plane["height"]
    menu.focus()
    shown.press("Enter")
    assert menu.get_attribute("aria-expanded") == "true"
    preset.focus()
    shown.press("Enter")
    assert (menu.get_attribute("aria-expanded"), preset.is_visible()) == ("false", False)
    assert menu.inner_text().startswith("Preset: On Thales’ circle")
    assert menu.evaluate("(menu) => menu.matches(':focus')"), "the focus is not lost with the button that had it"
    shown.page.set_viewport_size({"width": 1280, "height": 844})
    shown.settle()
    assert preset.is_visible()
    assert not menu.is_visible()
    assert shown.button("undo").bounding_box()["y"] < shown.root.locator("svg.plane").bounding_box()["y"]
