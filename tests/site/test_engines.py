"""Every page of the site works in three engines, Chromium, Firefox and WebKit, from a server below a path."""

import pytest

from sandbox.site.build import PAGES
from tests.explorer.browser.driver import state_in

pytestmark = pytest.mark.slow

TOO_WIDE = "() => document.documentElement.scrollWidth - innerWidth"
TIP = '[data-handle="x-hat"] .knob'


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
