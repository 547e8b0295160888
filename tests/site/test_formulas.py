"""Every formula of the proofs and of the article is seen whole, in three sets of fonts."""

import pytest

from tests.explorer.browser.driver import until
from tests.helpers.fonts import SETS, chromium_with

WIDTHS = (1600, 1000, 390)

# Formulas that stick out of their boxes, lie on another one, or are cut off above or below: sideways, long ones scroll.
CUT = """() => {
  const box = (node) => node.getBoundingClientRect(), found = [];
  const all = [...document.querySelectorAll("main math")].filter((node) => node.checkVisibility());
  const by = (pixels, ...words) => pixels > 1 && found.push([...words, pixels]);
  for (const node of document.querySelectorAll("main :is(.chain, .wide)"))
    if (node.checkVisibility()) by(node.scrollHeight - node.clientHeight, node.textContent, "is cut off");
  all.forEach((math, i) => {
    const at = box(math);
    for (const part of math.querySelectorAll("*")) {
      const of = box(part);
      if (of.width) by(Math.max(at.left - of.left, of.right - at.right, at.top - of.top, of.bottom - at.bottom),
        part.textContent, "sticks out of", math.textContent);
    }
    for (const other of all.slice(i + 1, i + 12)) {
      const of = box(other);
      by(Math.min(at.right - of.left, of.right - at.left, at.bottom - of.top, of.bottom - at.top), math.textContent,
        "lies on", other.textContent);
    }
  });
  return { count: all.length, found };
}"""
OPEN = "() => document.querySelectorAll('.cell').forEach((cell) => (cell.open = true))"
SHOW_ALL = """() => {
  for (const button of document.querySelectorAll(".turn button")) if (button.textContent === "Show all") button.click();
}"""


@pytest.fixture(scope="module", params=SETS)
def fonts(playwright, request, tmp_path_factory):
    """A Chromium that knows only some fonts."""
    with chromium_with(request.param, playwright, tmp_path_factory.mktemp("fonts")) as browser:
        yield browser


@pytest.mark.parametrize(("name", "least"), [("proofs", 900), ("index", 3)])
def test_every_formula_is_whole(fonts, site, name, least):
    page = fonts.new_page(service_workers="block", reduced_motion="reduce")
    page.goto(f"{site}{name}.html")
    page.locator(".stage, .cell").first.wait_for()
    page.evaluate(OPEN)
    until(lambda: page.locator(".cell:not(:has(.steps))").count() == 0)
    page.evaluate(SHOW_ALL)
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 1000})
        measured = page.evaluate(CUT)
        assert measured["count"] >= least
        assert measured["found"] == [], width
    page.close()
