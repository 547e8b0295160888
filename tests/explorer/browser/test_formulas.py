"""Every formula is seen whole: in three sets of fonts, on a telephone, a wide screen, and at a zoom of 400 %."""

import pytest

from tests.explorer.browser.driver import Shown
from tests.helpers.fonts import FOR_MATHS, SETS, chromium_with, used

# How many pixels of a formula, or of a sign in it, its cell or the explorer cuts off, or lie on something else.
CUT = """(root) => [...root.querySelectorAll("tr[data-measure]")].flatMap((row) => {
  const box = (node) => node.getBoundingClientRect(), cell = row.querySelector("td.formula");
  const seen = [...row.querySelectorAll("td.formula :is(math, mi, mo, mn, mfrac, msqrt, msup, .reason)")].filter(
    (node) => box(node).width && (node.tagName !== "SPAN" || node.textContent));
  const others = [...row.querySelectorAll("th > *, td data, .bar")].filter((node) => box(node).width);
  return seen.flatMap((node) => {
    const at = box(node), name = `${row.dataset.measure} ${node.tagName} ${node.textContent}`;
    const out = [cell.firstElementChild, cell, row, root].map(box).map((frame) => Math.max(frame.left - at.left,
      at.right - frame.right, frame.top - at.top, at.bottom - frame.bottom));
    const over = others.map(box).map((other) => Math.min(other.right - at.left, at.right - other.left,
      other.bottom - at.top, at.bottom - other.top));
    const worst = Math.max(...out, ...over);
    return worst > 1 ? [`${name} by ${worst.toFixed(1)} px`] : [];
  });
})"""
STATES = [
    "#",
    "#angle=120&norm_ratio=1.99&norm_x=2",
    "#angle=0&norm_ratio=0.5",
    "#population=true&n=50&angle=95&norm_x=2",
]


@pytest.fixture(scope="module", params=SETS)
def fonts(playwright, request, tmp_path_factory):
    """A Chromium that knows only some fonts."""
    with chromium_with(request.param, playwright, tmp_path_factory.mktemp("fonts")) as browser:
        yield browser


@pytest.mark.parametrize("width", [1600, 1000, 560, 390, 320])  # 320: a screen of 1280 at 400 %
def test_every_formula_is_whole(fonts, page_file, width):
    page = fonts.new_page(viewport={"width": width, "height": 1000})
    page.goto(page_file.as_uri())
    shown = Shown(page)
    cut = {}
    for state in STATES:
        if state != "#":
            shown.go_to(state)
        shown.settle()
        cut[state] = shown.root.evaluate(CUT)
        assert page.evaluate("document.scrollingElement.scrollWidth") <= width
    page.close()
    assert cut == {state: [] for state in STATES}


def test_no_letter_is_an_empty_box(fonts, page_file):
    page = fonts.new_page()
    page.goto(page_file.as_uri())
    shown = Shown(page)
    shown.settle()
    letters = shown.root.locator('tr[data-measure="relative_reconstruction_bias"] .symbol mi').all()
    assert [letter.text_content() for letter in letters] == ["b", "c"]
    first, second = (page.screenshot(clip=letter.bounding_box()) for letter in letters)
    assert first != second
    page.close()


def test_the_set_of_fonts_is_the_one_that_was_asked_for(fonts, page_file, request):
    page = fonts.new_page()
    page.goto(page_file.as_uri())
    Shown(page).settle()
    assert used(page, "td.formula mi") == {FOR_MATHS[request.node.callspec.params["fonts"]]}
    page.close()
