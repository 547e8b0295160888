"""The service worker: a page works without its server, and is of one version, whatever the server holds by then."""

import threading
from contextlib import contextmanager

import pytest

from sandbox.site import build as of_build
from sandbox.site import server as of_server
from sandbox.site.build import files
from sandbox.site.server import server
from tests.site.conftest import served


@pytest.fixture
def context(chromium):
    context = chromium.new_context()
    context.set_default_timeout(60_000)
    yield context
    context.close()


@contextmanager
def changing(content):
    """The address of a server whose files (path ► bytes) may change, ending in a slash."""
    with server(content) as serving:
        threading.Thread(target=serving.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{serving.server_port}/"
        serving.shutdown()


def opened(context, address):
    """A page that was visited once, and is kept."""
    page = context.new_page()
    page.goto(address)
    page.wait_for_function("() => navigator.serviceWorker.controller !== null")
    return page


def renewed(now, monkeypatch):
    """Puts a new version, in which every page says so, onto the server."""
    whole = of_build._files

    def of_new_version(*given):
        for name, content in whole(*given):
            yield name, content.replace(b"<h1", b"<h1 data-new") + b" " * name.endswith((".html", ".css", ".json"))

    monkeypatch.setattr(of_build, "_files", of_new_version)
    now |= dict(files())
    monkeypatch.undo()


def next_state(page):
    """What becomes of a new version that the browser now looks for: "installed" or "redundant"."""
    return page.evaluate("""async () => {
        const found = await navigator.serviceWorker.getRegistration();
        await found.update().catch(() => {});
        const next = found.installing ?? found.waiting;
        if (!next) return "redundant";
        if (next.state === "installing") await new Promise((done) => (next.onstatechange = done));
        return next.state;
    }""")


def ready(page):
    """Waits until the browser has the new version whole."""
    assert next_state(page) == "installed"


def is_new(page):
    """Whether the page's own file is of the new version, and others that it now fetches."""
    fetched = "(name) => fetch(name).then((answer) => answer.text())"
    ends = {page.evaluate(fetched, name).endswith(" ") for name in ("site.css", "results/loss.json", "data.html")}
    assert ends == {page.locator("h1[data-new]").count() == 1}
    return ends == {True}


def test_a_page_opened_before_works_offline(context, site_files):
    with served(site_files) as address:
        page = opened(context, f"{address}explorer.html")
        page.locator("svg.plane").wait_for()
    page.goto(f"{address}explorer.html#angle=30")  # the server has gone
    page.reload()
    page.locator("svg.plane").wait_for()
    assert "30" in page.get_by_label("angle", exact=False).first.input_value()


def test_a_server_that_adds_to_pages_is_as_good(context, site_files):
    added = {name: file + b"<p>counted</p>" * name.endswith(".html") for name, file in site_files.items()}
    with served(added) as address:
        opened(context, f"{address}explorer.html")


def test_after_one_visit_every_page_works_offline_whole(context, site_files):
    with served(site_files) as address:
        page = opened(context, f"{address}index.html")
    for name in ("results.html?from=a%20link", "results", ""):
        page.goto(f"{address}{name}")
        page.locator("svg").first.wait_for()
    page.goto(f"{address}read-your-report.html")
    page.locator(".findings li").first.wait_for()


def test_a_reader_who_returns_gets_one_version_and_then_the_new_one(context, site_files, monkeypatch):
    now = dict(site_files)
    with changing(now) as address:
        page = opened(context, f"{address}explorer.html#angle=40")
        renewed(now, monkeypatch)
        page.reload()
        ready(page)
        assert not is_new(page)
        other = context.new_page()
        other.goto(f"{address}results.html")
        assert not is_new(other)  # else the first page, which is open, would be half new
        other.close()
        page.reload()
        page.locator("h1[data-new]").wait_for()
        assert is_new(page)
        assert page.evaluate("location.hash").startswith("#angle=40")
        assert page.evaluate("caches.keys().then((names) => names.length)") == 1


def test_a_cache_of_the_browser_or_of_the_server_leaves_nothing_old_in_a_new_version(context, site_files, monkeypatch):
    plain = of_server._Files.send_header
    monkeypatch.setattr(
        of_server._Files,
        "send_header",
        lambda self, name, value: plain(self, name, "max-age=600" if name == "Cache-Control" else value),
    )
    now = dict(site_files)
    with monkeypatch.context() as inner, changing(now) as address:
        page = opened(context, f"{address}explorer.html")
        renewed(now, inner)
        new = {name: now[name] for name in ("site.css", "data.html")}
        now |= {name: site_files[name] for name in new}  # half of it has arrived
        page.reload()
        assert next_state(page) == "redundant"
        assert not is_new(page)
        now |= new
        ready(page)
        page.reload()
        page.locator("h1[data-new]").wait_for()
        assert is_new(page)


def test_two_sites_of_one_server_keep_their_own_files(context, site_files):
    both = {f"{place}/{name}": content for place in ("a", "b") for name, content in site_files.items()}
    with changing(both) as address:
        for place in ("a", "b"):
            opened(context, f"{address}{place}/explorer.html")
    page = context.new_page()
    for place in ("a", "b"):
        page.goto(f"{address}{place}/explorer.html")
        page.locator("svg.plane").wait_for()


def test_the_version_depends_on_every_file(site_files):
    other = dict(files([{"name": "mine", "cosine": 0.5, "norm_ratio": 1.0}]))
    assert other["service-worker.js"] != site_files["service-worker.js"]
    assert dict(files())["service-worker.js"] == site_files["service-worker.js"]
