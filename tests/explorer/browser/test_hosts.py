"""The explorer fits into whatever page holds it: shadow roots, other directions, forced colours, a silent Python."""

import pytest

from tests.explorer.browser.driver import Shown, until


@pytest.fixture
def host(open_page, host_file):
    return open_page(file=host_file, viewport={"width": 900, "height": 1000}).page


def test_in_a_shadow_root_the_theme_is_that_of_what_lies_behind_it(host):
    """marimo puts each widget into one."""
    host.evaluate("""() => {
      const outside = document.body.appendChild(document.createElement("div"));
      outside.className = "night";
      const inside = outside.attachShadow({ mode: "open" });
      start(inside.appendChild(document.createElement("div")));
    }""")
    assert Shown(host).root.get_attribute("data-theme") == "dark"


def test_an_explorer_that_is_rendered_before_it_is_in_the_page_does_not_start_dark(host):
    host.evaluate("() => { window.early = document.createElement('div'); start(early); }")
    assert host.evaluate("early.firstChild.dataset.theme") == "light"
    host.evaluate("() => { document.body.className = 'night'; document.body.append(early); }")
    shown = Shown(host)
    until(lambda: shown.root.get_attribute("data-theme") == "dark")
    assert shown.drawn() == pytest.approx((40, 0.6))


PLACES = """(root) => [...root.querySelectorAll("svg text, svg circle, th, td, button, input")].map((node) => {
  const [box, frame] = [node, root].map((each) => each.getBoundingClientRect());
  return [Math.round(box.left - frame.left), Math.round(box.top - frame.top)];
})"""


def test_in_a_page_that_is_read_from_the_right_everything_has_its_place(shown):
    before = shown.root.evaluate(PLACES)
    shown.page.evaluate("document.documentElement.dir = 'rtl'")
    shown.settle()
    assert shown.root.evaluate(PLACES) == before
    shown.drag_by("x-hat", -60, -30)
    assert shown.drawn()[0] > 50


def test_where_colours_are_forced_bars_are_still_seen(open_page):
    shown = open_page(forced_colors="active")
    bar = shown.root.locator("tr[data-measure=norm_ratio] .bar")
    box = bar.bounding_box()
    assert box
    seen = shown.page.screenshot(clip=box)
    shown.type("norm_ratio", "1.2")
    assert shown.page.screenshot(clip=box) != seen


ANSWER = "for (const [name, call] of models[0].calls) if (name === 'msg:custom') call({ kind: 'pong' })"


def test_python_no_longer_listens_only_if_it_has_listened(host):
    """In a notebook that was exported as HTML there never was a Python."""
    host.evaluate("start(undefined, { _listens: true })")
    shown = Shown(host)
    shown.drag_by("x-hat", -30, -20)
    host.wait_for_timeout(3000)  # longer than the explorer waits for an answer
    assert shown.silence() == ""
    host.evaluate(ANSWER)
    shown.drag_by("x-hat", -30, -20)
    until(lambda: "Python no longer listens" in shown.silence(), 10)
    host.evaluate(ANSWER)
    assert shown.silence() == ""
