"""The service worker: what a reader has opened once works without the server, and a new version replaces the old."""

import threading

import pytest

from sandbox.site.build import files
from sandbox.site.server import server
from tests.site.conftest import served


@pytest.fixture
def context(chromium):
    context = chromium.new_context()
    context.set_default_timeout(60_000)
    yield context
    context.close()


def opened(context, address):
    """A page whose service worker is at work, loaded once with it."""
    page = context.new_page()
    page.goto(address)
    page.wait_for_function("navigator.serviceWorker.controller !== null")
    page.reload()
    return page


def test_a_page_opened_before_works_offline(context, site_files):
    with served(site_files) as address:
        page = opened(context, f"{address}explorer.html")
        page.locator("svg.plane").wait_for()
    page.goto(f"{address}explorer.html#angle=30")  # the server has gone
    page.reload()
    page.locator("svg.plane").wait_for()
    assert "30" in page.get_by_label("angle", exact=False).first.input_value()


def test_a_new_version_replaces_what_was_kept(context, site_files):
    now = dict(site_files)
    with server(now) as serving:
        threading.Thread(target=serving.serve_forever, daemon=True).start()
        page = opened(context, f"http://127.0.0.1:{serving.server_port}/explorer.html")
        now |= dict(files([{"name": "mine", "cosine": 0.5, "norm_ratio": 1.0}]))
        now["explorer.html"] = now["explorer.html"].replace(b"<h1>", b"<h1>New: ")
        page.reload()  # still the old version, whole
        assert not page.locator("h1").inner_text().startswith("New")
        page.evaluate("navigator.serviceWorker.getRegistration().then((found) => found.update())")
        page.wait_for_function(
            "async () => (await caches.keys()).length === 1 && !(await caches.match('explorer.html'))"
        )
        page.reload()
        assert page.locator("h1").inner_text().startswith("New")
        serving.shutdown()


def test_the_version_depends_on_every_file(site_files):
    other = dict(files([{"name": "mine", "cosine": 0.5, "norm_ratio": 1.0}]))
    assert other["service-worker.js"] != site_files["service-worker.js"]
    assert dict(files())["service-worker.js"] == site_files["service-worker.js"]
    assert b"VERSION" not in site_files["service-worker.js"]
