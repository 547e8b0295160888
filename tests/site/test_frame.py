"""The frame of every page, in a real Chromium."""

import pytest

from sandbox.site.build import PAGES


@pytest.mark.parametrize("page", [page.name for page in PAGES])
@pytest.mark.parametrize("width", [390, 1600])
def test_every_page_loads_silently_and_scrolls_in_one_direction_only(open_site, page, width):
    tab = open_site(f"{page}.html", viewport={"width": width, "height": 900})
    tab.locator(f'nav a[aria-current="page"][href="{page}.html"]').wait_for()
    tab.wait_for_load_state("networkidle")
    assert tab.evaluate("document.documentElement.scrollWidth") <= width
