"""The frame of every page, in a real Chromium."""

import pytest

from sandbox.site.build import PAGES, write_site


@pytest.mark.parametrize("page", [page.name for page in PAGES])
@pytest.mark.parametrize("width", [320, 390, 640])
def test_every_page_of_the_menu_is_in_sight(open_site, page, width):
    tab = open_site(f"{page}.html", viewport={"width": width, "height": 844})
    links = tab.locator("nav[aria-label=Pages] a")
    assert links.count() == len(PAGES)
    for link in links.all():
        box = link.bounding_box()
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= width
        assert box["height"] >= 24  # a finger's
        assert link.evaluate("""(node) => {
            const { x, y, width, height } = node.getBoundingClientRect();
            return document.elementFromPoint(x + width / 2, y + height / 2) === node;
        }""")


@pytest.mark.parametrize("page", [page.name for page in PAGES])
@pytest.mark.parametrize("width", [390, 1600])
def test_every_page_loads_silently_and_scrolls_in_one_direction_only(open_site, page, width):
    tab = open_site(f"{page}.html", viewport={"width": width, "height": 900})
    tab.locator(f'nav a[aria-current="page"][href="{page}.html"]').wait_for()
    tab.wait_for_load_state("networkidle")
    assert tab.evaluate("document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize("page", [page.name for page in PAGES])
def test_the_link_that_skips_the_menu_says_and_changes_nothing(open_site, page):
    tab = open_site(f"{page}.html", bypass_csp=True)
    tab.wait_for_load_state("networkidle")
    before = tab.locator("main").inner_text()
    tab.keyboard.press("Tab")
    tab.keyboard.press("Enter")
    tab.wait_for_function("location.hash === '#main' || document.activeElement.closest('main')")
    tab.wait_for_timeout(300)  # a complaint would be drawn by now
    assert tab.locator("main").inner_text() == before


def test_a_page_opened_as_a_file_says_that_it_needs_a_server(chromium, tmp_path):
    write_site(tmp_path / "site")
    context = chromium.new_context()
    page = context.new_page()
    page.goto((tmp_path / "site" / "results.html").as_uri())
    assert "python -m http.server" in page.get_by_role("alert").first.inner_text()
    context.close()
